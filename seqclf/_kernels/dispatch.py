"""Who computes: chosen in one place, which can say which kernel and why.

A kernel of the recurrences is a module with ``run(cell, inputs, layout, weights, activation, reverse)``. `reference` is
the definition; every other kernel is tested against it, outputs and gradients. All other operations have a definition
there and, most of them, a module of our own in `cpu`.
"""

from types import ModuleType

import torch
from torch import Tensor

from seqclf._cells import ACTIVATIONS, CELLS, Weights
from seqclf._inference.dispatch import is_native_enabled, supports
from seqclf._kernels import reference, torch_native
from seqclf._kernels.cpu import recurrence
from seqclf._native import library
from seqclf._native.forced import VARIABLE, forced_kernel
from seqclf._warn import warn

_KERNELS = {"cpu": recurrence, "reference": reference, "torch_native": torch_native}
_warned: set[str] = set()


def choose(
    cell: str, activation: str, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> tuple[str, str]:
    """The kernel that computes this cell, and the reason.

    Parameters
    ----------
    cell, activation : str
        As in :func:`seqclf._kernels.recurrence`.
    device, dtype : torch.device, torch.dtype
        Of the weights.

    Returns
    -------
    (name, reason) : tuple of str
    """
    return forced_kernel() or _fastest_kernel(cell, activation, torch.device(device), dtype)


def _fastest_kernel(cell: str, activation: str, device: torch.device, dtype: torch.dtype) -> tuple[str, str]:
    """Our own kernel where there is one, else torch's, else the reference."""
    is_ours = device.type == "cpu" and dtype == torch.float32
    where = "" if is_ours else f" for {dtype} on {device.type}"
    available, text = library.available()
    if is_ours and available and supports(cell, activation):
        return "cpu", text
    if not torch_native.supports(cell, activation):
        return "reference", f"no fast kernel has {cell} with activation {activation!r}{where}"
    if device.type == "cuda":
        return "torch_native", "cuDNN, through torch's own operations"
    if is_ours and available:
        text = f"the compiled kernels have no {cell} with activation {activation!r}"
    return "torch_native", f"torch's own operations{f': {text}' if is_ours else f',{where}'}"


def kernel_for(cell: str, activation: str, weights: Weights) -> ModuleType:
    """The module of the kernel that computes this cell with these weights."""
    name, reason = choose(cell, activation, weights.recurrent.device, weights.recurrent.dtype)
    has = {"cpu": supports, "torch_native": torch_native.supports}
    if name in has and not has[name](cell, activation):
        raise ValueError(f"The kernel {name!r} ({reason}) has no {cell} with activation {activation!r}.")
    device, dtype = weights.recurrent.device, weights.recurrent.dtype
    if name == "cpu" and (device.type, dtype) != ("cpu", torch.float32):
        raise ValueError(
            f"The kernel 'cpu' ({reason}) computes in float32 on the CPU alone; the weights are of {dtype} on "
            f"{device}. Unset {VARIABLE}, or have it name 'torch_native' or 'reference'."
        )
    return _KERNELS[name]


def supports_native(values: Tensor) -> bool:
    """Whether our own kernels compute with these values: float32 on the CPU."""
    return values.device.type == "cpu" and values.dtype == torch.float32 and is_native_enabled()


def describe() -> list[tuple[str, str]]:
    """For each cell (with its activation), the kernel in use and why."""
    rows = []
    for cell in CELLS:
        for activation in ACTIVATIONS:
            name, reason = choose(cell, activation, "cpu")
            rows.append((f"{cell} ({activation})", f"{name}: {reason}"))
    return rows


def warn_where_slow(cell: str, activation: str, device: torch.device) -> None:
    """Warn, once in a process for each reason, that a network runs on slow operations."""
    available, text = library.available()
    if device.type == "cpu" and not available:
        _warn_once(
            f"seqclf runs on torch's own operations, which are several times slower on a CPU: {text}. "
            f"{library.remedy()}"
        )
    if forced_kernel() is None:
        name, reason = _fastest_kernel(cell, activation, device, torch.float32)
        if name == "reference":
            fast = [each for each in CELLS if _fastest_kernel(each, "tanh", device, torch.float32)[0] != "reference"]
            _warn_once(
                f"cell={cell!r} with activation={activation!r} is many times slower than others here: {reason}. "
                f"With activation='tanh' these cells are fast: {', '.join(map(repr, fast))}."
            )


def _warn_once(message: str) -> None:
    if message not in _warned:
        _warned.add(message)
        warn(message)
