"""The operations that the layers are made of, on ragged batches, and who computes them.

This list has the names of this folder that others use.
"""

from seqclf._cells import ACTIVATIONS, CELLS, Weights
from seqclf._kernels.cpu.lazy_rows import supports_lazy_rows
from seqclf._kernels.cpu.optimizer import FusedStep, State
from seqclf._kernels.cpu.update_rules import Hyperparameters
from seqclf._kernels.dispatch import choose, describe, warn_where_slow
from seqclf._kernels.inputs import Inputs, LookUp
from seqclf._kernels.layout import StepLayout
from seqclf._kernels.ops import (
    arrange,
    attend,
    bidirectional,
    convolve,
    convolve_relu,
    optimize,
    pool,
    reads_rows,
    recurrence,
    written_out,
)
from seqclf._kernels.threads import torch_threads
from seqclf._native.forced import use

__all__ = [
    "ACTIVATIONS",
    "CELLS",
    "FusedStep",
    "Hyperparameters",
    "Inputs",
    "LookUp",
    "State",
    "StepLayout",
    "Weights",
    "arrange",
    "attend",
    "bidirectional",
    "choose",
    "convolve",
    "convolve_relu",
    "describe",
    "optimize",
    "pool",
    "reads_rows",
    "recurrence",
    "supports_lazy_rows",
    "torch_threads",
    "use",
    "warn_where_slow",
    "written_out",
]
