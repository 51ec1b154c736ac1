"""The optimisers: torch's own, whose step our kernels take where they can.

Settings, groups of parameters and state are torch's, by name and by meaning: a schedule of the learning rate or a saved
state fits both, and either may take any step. Clipping of the gradients belongs to the step.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop

from seqclf._nn import Plan, Rates, State, optimize


class OneCall(Optimizer):
    """A step in one call of our kernels, or by the torch class that stands behind this one.

    A row of a table that has no gradient is left alone where that is exact up to rounding. The square average of
    RMSprop, which shrinks all the same, catches up when the row is met again, and before the state is saved.
    """

    _rule: str
    _twin: type[Optimizer]
    _mean: str | None = None  # The names of torch's state.
    _square: str | None = None
    _options: Mapping[str, Any]
    _plan: Plan | None = None
    _decay: float  # that the plan's rows which rest have missed

    def __init__(self, params: Any, lr: float, weight_decay: float = 0.0, max_grad_norm: float | None = None):
        super().__init__(params, lr=lr, weight_decay=weight_decay, **self._options)  # type: ignore[call-arg]
        self.defaults["max_grad_norm"] = max_grad_norm

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """As torch's."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self.update()
        return loss

    def update(self) -> None:
        """Move all parameters that have a gradient, as `step` does, but without the hooks that torch puts around that.

        Its label for the profiler alone takes longer than the work on a small network.
        """
        parameters, gradients, rates = [], [], []
        for group in self.param_groups:
            of_group = _rates(group)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameters.append(parameter)
                    gradients.append(parameter.grad)
                    rates.append(of_group)
        plan = self._planned(parameters, gradients, rates)
        if not optimize(plan, gradients, rates, self.defaults["max_grad_norm"]):
            self._update_by_twin(parameters)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """As torch's, without its label for the profiler."""
        if not set_to_none:
            super().zero_grad(set_to_none)
            return
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    @torch.no_grad()
    def _update_by_twin(self, parameters: Sequence[Tensor]) -> None:
        self._catch_up()
        for parameter in parameters:
            if parameter.grad is not None and parameter.grad.is_sparse:
                parameter.grad = parameter.grad.to_dense()
        if self.defaults["max_grad_norm"] is not None:
            clip_grad_norm_(parameters, self.defaults["max_grad_norm"])
        # Not super().step, which may have the hooks of a step around it.
        inspect.unwrap(self._twin.step)(self)

    def _planned(self, parameters: Sequence[Tensor], gradients: Sequence[Tensor], rates: Sequence[Rates]) -> Plan:
        """The plan of the last step, or a new one where it is not for this one."""
        resting = [False] * len(parameters)
        if self._rule == "rmsprop":
            resting = [g.is_sparse and rate.weight_decay == 0 for g, rate in zip(gradients, rates, strict=True)]
        plan = self._plan
        if (
            plan is None
            or not plan.serves(parameters)
            or resting != [state.last is not None for state in plan.states]
            or any(rate.decay != self._decay for rate, rests in zip(rates, resting, strict=True) if rests)
        ):
            self._catch_up()
            plan = self._plan = Plan(self._rule, parameters, list(map(self._state_of, parameters, resting)))
            self._decay = next((rate.decay for rate, rests in zip(rates, resting, strict=True) if rests), 0.0)
        return plan

    def _state_of(self, parameter: Tensor, rests: bool) -> State:
        if self._mean is None and self._square is None:
            return State()
        state = self.state[parameter]
        for name in (self._mean, self._square):
            if name is not None and state.get(name) is None:
                state[name] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
        if self._square is not None and "step" not in state:
            state["step"] = torch.zeros((), dtype=torch.float32, device=parameter.device)
        last = state["step"].to(torch.int64).repeat(len(parameter)) if rests else None
        return State(state.get(self._mean), state.get(self._square), state.get("step"), last)

    def _catch_up(self) -> None:
        """Bring the rows that rest up to date."""
        for _, square, n_steps, last in [] if self._plan is None else self._plan.states:
            if last is not None:
                assert square is not None and n_steps is not None
                square.mul_((self._decay ** (n_steps - last).double()).to(square.dtype).unsqueeze(1))
                self._plan = None

    def state_dict(self) -> dict[str, Any]:
        """As torch's."""
        self._catch_up()
        return super().state_dict()

    def __getstate__(self) -> dict[str, Any]:
        self._catch_up()
        return super().__getstate__()

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._plan = None


def _rates(group: Mapping[str, Any]) -> Rates:
    momentum, decay = group.get("betas", (group.get("momentum", 0.0), group.get("alpha", 0.0)))
    return Rates(group["lr"], group["weight_decay"], momentum, decay, group.get("eps", 0.0))


# torch's step is fused too where it has that: one pass over the weights instead of five.
class _SGD(OneCall, SGD):
    _rule, _twin = "sgd", SGD
    _options = {"fused": True}


class _Nesterov(OneCall, SGD):
    _rule, _twin = "nesterov", SGD
    _mean = "momentum_buffer"
    _options = {"momentum": 0.9, "nesterov": True, "fused": True}


class _RMSprop(OneCall, RMSprop):
    _rule, _twin = "rmsprop", RMSprop
    _square = "square_avg"
    _options = {"alpha": 0.9, "eps": 1e-7}


class _Adagrad(OneCall, Adagrad):
    _rule, _twin = "adagrad", Adagrad
    _square = "sum"
    _options = {"fused": True}


class _Adam(OneCall, Adam):
    _rule, _twin = "adam", Adam
    _mean, _square = "exp_avg", "exp_avg_sq"
    _options = {"fused": True}


class _AdamW(OneCall, AdamW):
    _rule, _twin = "adamw", AdamW
    _mean, _square = "exp_avg", "exp_avg_sq"
    _options = {"fused": True}


OPTIMIZERS: Mapping[str, type[OneCall]] = {
    "adam": _Adam,
    "adamw": _AdamW,
    "rmsprop": _RMSprop,
    "adagrad": _Adagrad,
    "sgd": _SGD,
    "nesterov": _Nesterov,
}
