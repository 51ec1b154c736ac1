"""Training: the loop (skorch, privately), what happens around it, and where it runs."""

from seqclf._training.device import resolve_device, torch_threads
from seqclf._training.fit import OPTIMIZERS, FitResult, fit_network, read_logits
from seqclf._training.split import validation_rows

__all__ = [
    "OPTIMIZERS",
    "FitResult",
    "fit_network",
    "read_logits",
    "resolve_device",
    "torch_threads",
    "validation_rows",
]
