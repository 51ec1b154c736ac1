"""The optimisers: torch's own, with a step that our kernels take where they can.

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

from seqclf._kernels import FusedStep, Hyperparameters, State, optimize, supports_lazy_rows


class FusedOptimizer(Optimizer):
    """An optimiser of torch whose step is one call of our kernels, or torch's own where they cannot take it.

    With a sparse gradient of a table, a step skips rows without a gradient. With SGD and Adagrad that changes nothing
    but the rounding. With RMSprop, and in a large table with Adam and AdamW, such rows are updated lazily: when they
    have a gradient again, before the state is saved, and by `begin_batch` and `flush`. With Adam and AdamW that
    includes their values, so call `begin_batch` before a batch reads a table that gets sparse gradients, and `flush`
    before anything else reads it.
    """

    _rule: str
    _torch_class: type[Optimizer]
    _mean: str | None = None  # The names of torch's state.
    _square: str | None = None
    _options: Mapping[str, Any]
    _fused_step: FusedStep | None = None

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
        parameters, gradients, hyperparameters = [], [], []
        for group in self.param_groups:
            of_group = _hyperparameters(group)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameters.append(parameter)
                    gradients.append(parameter.grad)
                    hyperparameters.append(of_group)
        step = self._step_plan(parameters, gradients, hyperparameters)
        if not optimize(step, gradients, hyperparameters, self.defaults["max_grad_norm"]):
            self._torch_step(parameters)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """As torch's, without its label for the profiler."""
        if not set_to_none:
            super().zero_grad(set_to_none)
            return
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    @torch.no_grad()
    def _torch_step(self, parameters: Sequence[Tensor]) -> None:
        self.flush()
        for parameter in parameters:
            if parameter.grad is not None and parameter.grad.is_sparse:
                parameter.grad = parameter.grad.to_dense()
        if self.defaults["max_grad_norm"] is not None:
            clip_grad_norm_(parameters, self.defaults["max_grad_norm"])
        # Not super().step, which may have the hooks of a step around it.
        inspect.unwrap(self._torch_class.step)(self)

    def _step_plan(
        self,
        parameters: Sequence[Tensor],
        gradients: Sequence[Tensor],
        hyperparameters: Sequence[Hyperparameters],
    ) -> FusedStep:
        """The last step if it is for these parameters, else a new one."""
        lazy = [
            gradient.is_sparse and supports_lazy_rows(self._rule, parameter, each)
            for parameter, gradient, each in zip(parameters, gradients, hyperparameters, strict=True)
        ]
        step = self._fused_step
        if step is None or not step.matches(parameters, lazy):
            self.flush()
            states = list(map(self._state_of, parameters))
            step = self._fused_step = FusedStep(self._rule, parameters, states, lazy)
        return step

    def _state_of(self, parameter: Tensor) -> State:
        if self._mean is None and self._square is None:
            return State()
        state = self.state[parameter]
        for name in (self._mean, self._square):
            if name is not None and state.get(name) is None:
                state[name] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
        if self._square is not None and "step" not in state:
            state["step"] = torch.zeros((), dtype=torch.float32, device=parameter.device)
        return State(state.get(self._mean), state.get(self._square), state.get("step"))

    def begin_batch(self, table: Tensor, ids: Tensor) -> None:
        """Bring lazily updated rows of `table` up to date, those that `ids` name, before a batch reads them."""
        if self._fused_step is not None:
            self._fused_step.begin_batch(table, ids)

    def flush(self) -> None:
        """Bring all lazily updated rows up to date."""
        if self._fused_step is not None:
            self._fused_step.flush()

    def state_dict(self) -> dict[str, Any]:
        """As torch's."""
        self.flush()
        return super().state_dict()

    def __getstate__(self) -> dict[str, Any]:
        self.flush()
        return super().__getstate__()

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.flush()
        super().__setstate__(state)
        self._fused_step = None


def _hyperparameters(group: Mapping[str, Any]) -> Hyperparameters:
    momentum, decay = group.get("betas", (group.get("momentum", 0.0), group.get("alpha", 0.0)))
    return Hyperparameters(group["lr"], group["weight_decay"], momentum, decay, group.get("eps", 0.0))


# torch's step is fused too where it has that: one pass over the weights instead of five.
class _SGD(FusedOptimizer, SGD):
    _rule, _torch_class = "sgd", SGD
    _options = {"fused": True}


class _Nesterov(FusedOptimizer, SGD):
    _rule, _torch_class = "nesterov", SGD
    _mean = "momentum_buffer"
    _options = {"momentum": 0.9, "nesterov": True, "fused": True}


class _RMSprop(FusedOptimizer, RMSprop):
    _rule, _torch_class = "rmsprop", RMSprop
    _square = "square_avg"
    _options = {"alpha": 0.9, "eps": 1e-7}


class _Adagrad(FusedOptimizer, Adagrad):
    _rule, _torch_class = "adagrad", Adagrad
    _square = "sum"
    _options = {"fused": True}


class _Adam(FusedOptimizer, Adam):
    _rule, _torch_class = "adam", Adam
    _mean, _square = "exp_avg", "exp_avg_sq"
    _options = {"fused": True}


class _AdamW(FusedOptimizer, AdamW):
    _rule, _torch_class = "adamw", AdamW
    _mean, _square = "exp_avg", "exp_avg_sq"
    _options = {"fused": True}


OPTIMIZERS: Mapping[str, type[FusedOptimizer]] = {
    "adam": _Adam,
    "adamw": _AdamW,
    "rmsprop": _RMSprop,
    "adagrad": _Adagrad,
    "sgd": _SGD,
    "nesterov": _Nesterov,
}
