"""torch's optimisers, with updates computed by the native kernels if they support them.

Settings, parameter groups and state have torch's names and meaning. Learning-rate schedules and saved states therefore
work with both kinds of optimisers, and each update can be computed by either. The update includes the clipping of the
gradients.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop

from seqclf._kernels import FusedUpdate, Hyperparameters, ParameterState, optimize, supports_lazy_rows


class FusedOptimizer(Optimizer):
    """A torch optimiser whose update is one call of the native kernels, or torch's own if they don't support it.

    If an embedding matrix has a sparse gradient, an update skips its rows without a gradient. With SGD and Adagrad,
    this only affects rounding. With RMSprop, and in large matrices with Adam and AdamW, the skipped rows are updated
    lazily: when they have a gradient again, before the state is saved, and by `begin_batch` and `flush`. With Adam and
    AdamW, the values of these rows are out of date until then. Call `begin_batch` before a batch reads a matrix with
    sparse gradients, and `flush` before anything else reads it.
    """

    _rule: str
    _torch_class: type[Optimizer]
    _mean: str | None = None  # names in torch's state
    _square: str | None = None
    _options: Mapping[str, Any]
    _fused_update: FusedUpdate | None = None

    def __init__(self, params: Any, lr: float, weight_decay: float = 0.0, max_grad_norm: float | None = None):
        super().__init__(params, lr=lr, weight_decay=weight_decay, **self._options)  # type: ignore[call-arg]
        self.defaults["max_grad_norm"] = max_grad_norm

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Perform an update, as in torch."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self.update()
        return loss

    def update(self) -> None:
        """Update all parameters that have a gradient, like `step` but without torch's hooks around it.

        Its profiler label alone takes longer than the update of a small network.
        """
        parameters, gradients, hyperparameters = [], [], []
        for group in self.param_groups:
            shared = _hyperparameters(group)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameters.append(parameter)
                    gradients.append(parameter.grad)
                    hyperparameters.append(shared)
        update = self._plan_update(parameters, gradients, hyperparameters)
        if not optimize(update, gradients, hyperparameters, self.defaults["max_grad_norm"]):
            self._torch_update(parameters)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients, as in torch but without its profiler label."""
        if not set_to_none:
            super().zero_grad(set_to_none)
            return
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    @torch.no_grad()
    def _torch_update(self, parameters: Sequence[Tensor]) -> None:
        self.flush()
        for parameter in parameters:
            if parameter.grad is not None and parameter.grad.is_sparse:
                parameter.grad = parameter.grad.to_dense()
        if self.defaults["max_grad_norm"] is not None:
            clip_grad_norm_(parameters, self.defaults["max_grad_norm"])
        # super().step can have torch's hooks around it.
        inspect.unwrap(self._torch_class.step)(self)

    def _plan_update(
        self,
        parameters: Sequence[Tensor],
        gradients: Sequence[Tensor],
        hyperparameters: Sequence[Hyperparameters],
    ) -> FusedUpdate:
        """The update of the last call if it is for these parameters, otherwise a new one."""
        lazy = [
            gradient.is_sparse and supports_lazy_rows(self._rule, parameter, each)
            for parameter, gradient, each in zip(parameters, gradients, hyperparameters, strict=True)
        ]
        update = self._fused_update
        if update is None or not update.matches(parameters, lazy):
            self.flush()
            states = list(map(self._state_of, parameters))
            update = self._fused_update = FusedUpdate(self._rule, parameters, states, lazy)
        return update

    def _state_of(self, parameter: Tensor) -> ParameterState:
        if self._mean is None and self._square is None:
            return ParameterState()
        state = self.state[parameter]
        for name in (self._mean, self._square):
            if name is not None and state.get(name) is None:
                state[name] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
        if self._square is not None and "step" not in state:
            state["step"] = torch.zeros((), dtype=torch.float32, device=parameter.device)
        return ParameterState(state.get(self._mean), state.get(self._square), state.get("step"))

    def begin_batch(self, parameter: Tensor, ids: Tensor) -> None:
        """Bring the lazily updated rows `ids` of an embedding matrix up to date, before a batch reads them."""
        if self._fused_update is not None:
            self._fused_update.begin_batch(parameter, ids)

    def flush(self) -> None:
        """Bring all lazily updated rows up to date."""
        if self._fused_update is not None:
            self._fused_update.flush()

    def state_dict(self) -> dict[str, Any]:
        """The state, as in torch."""
        self.flush()
        return super().state_dict()

    def __getstate__(self) -> dict[str, Any]:
        self.flush()
        return super().__getstate__()

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.flush()
        super().__setstate__(state)
        self._fused_update = None


def _hyperparameters(group: Mapping[str, Any]) -> Hyperparameters:
    momentum, decay = group.get("betas", (group.get("momentum", 0.0), group.get("alpha", 0.0)))
    return Hyperparameters(group["lr"], group["weight_decay"], momentum, decay, group.get("eps", 0.0))


# torch's updates are fused too if it supports that: one pass over the weights instead of five.
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
