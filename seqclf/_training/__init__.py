"""Training: the loop (skorch, privately), what happens around it, and where it runs."""

from seqclf._training.data import Labelled, training_data
from seqclf._training.device import resolve_device, use_threads
from seqclf._training.fit import SCHEDULES, FitResult, fit_network, read_logits
from seqclf._training.optimizers import OPTIMIZERS

__all__ = [
    "OPTIMIZERS",
    "SCHEDULES",
    "FitResult",
    "Labelled",
    "fit_network",
    "read_logits",
    "resolve_device",
    "training_data",
    "use_threads",
]
