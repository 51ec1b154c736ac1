"""Choice of the kernel for each operation, and the reason for the choice.

A kernel for recurrences is a module with ``run(cell, inputs, layout, weights, activation, reverse)``. `reference` is
the definition; the outputs and gradients of every other kernel are tested against it. It also defines the other
operations, most of which have a compiled kernel in `cpu`.
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
    """Choose the kernel for a cell, with the reason.

    Parameters
    ----------
    cell, activation : str
        As in :func:`seqclf._kernels.recurrence`.
    device, dtype : torch.device, torch.dtype
        Device and dtype of the weights.

    Returns
    -------
    (name, reason) : tuple of str
    """
    return forced_kernel() or _fastest_kernel(cell, activation, torch.device(device), dtype)


def _fastest_kernel(cell: str, activation: str, device: torch.device, dtype: torch.dtype) -> tuple[str, str]:
    """The compiled kernel if it supports the cell, else torch's operation, else the reference."""
    is_native = device.type == "cpu" and dtype == torch.float32
    where = "" if is_native else f" for {dtype} on {device.type}"
    available, text = library.available()
    if is_native and available and supports(cell, activation):
        return "cpu", text
    if not torch_native.supports(cell, activation):
        return "reference", f"no fast kernel supports {cell} with activation {activation!r}{where}"
    if device.type == "cuda":
        return "torch_native", "cuDNN, through torch's own operations"
    if is_native and available:
        text = f"the compiled kernels do not support {cell} with activation {activation!r}"
    return "torch_native", f"torch's own operations{f': {text}' if is_native else f',{where}'}"


def kernel_for(cell: str, activation: str, weights: Weights) -> ModuleType:
    """The module of the kernel for this cell with these weights."""
    name, reason = choose(cell, activation, weights.recurrent.device, weights.recurrent.dtype)
    supported_by = {"cpu": supports, "torch_native": torch_native.supports}
    if name in supported_by and not supported_by[name](cell, activation):
        raise ValueError(f"The kernel {name!r} ({reason}) does not support {cell} with activation {activation!r}.")
    device, dtype = weights.recurrent.device, weights.recurrent.dtype
    if name == "cpu" and (device.type, dtype) != ("cpu", torch.float32):
        raise ValueError(
            f"The kernel 'cpu' ({reason}) computes in float32 on the CPU only; the weights are {dtype} on {device}. "
            f"Unset {VARIABLE}, or set it to 'torch_native' or 'reference'."
        )
    return _KERNELS[name]


def supports_native(values: Tensor) -> bool:
    """Whether the compiled kernels are enabled and can process these values: float32 on the CPU."""
    return values.device.type == "cpu" and values.dtype == torch.float32 and is_native_enabled()


def describe() -> list[tuple[str, str]]:
    """The kernel in use for each cell and activation, with the reason."""
    rows = []
    for cell in CELLS:
        for activation in ACTIVATIONS:
            name, reason = choose(cell, activation, "cpu")
            rows.append((f"{cell} ({activation})", f"{name}: {reason}"))
    return rows


def warn_if_slow(cell: str, activation: str, device: torch.device) -> None:
    """Warn if a network runs on slow operations: once per process for each reason."""
    available, text = library.available()
    if device.type == "cpu" and not available:
        _warn_once(
            f"seqclf runs on torch's own operations, which are several times slower on a CPU: {text}. "
            f"{library.install_hint()}"
        )
    if forced_kernel() is None:
        name, reason = _fastest_kernel(cell, activation, device, torch.float32)
        if name == "reference":
            fast = [each for each in CELLS if _fastest_kernel(each, "tanh", device, torch.float32)[0] != "reference"]
            _warn_once(
                f"cell={cell!r} with activation={activation!r} is many times slower than other cells here: {reason}. "
                f"With activation='tanh' these cells are fast: {', '.join(map(repr, fast))}."
            )


def _warn_once(message: str) -> None:
    if message not in _warned:
        _warned.add(message)
        warn(message)
