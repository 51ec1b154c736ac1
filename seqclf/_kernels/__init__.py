"""The operations that the layers are made of, on ragged batches, and who computes them.

This list has the names of this folder that others use.
"""

from seqclf._kernels.activations import ACTIVATIONS
from seqclf._kernels.cells import CELLS
from seqclf._kernels.cpu.lazy_rows import supports_lazy_rows
from seqclf._kernels.cpu.optimizer import FusedStep, State
from seqclf._kernels.cpu.update_rules import Hyperparameters
from seqclf._kernels.dispatch import choose, describe, is_exact, use, warn_where_slow
from seqclf._kernels.inputs import Inputs, LookUp
from seqclf._kernels.layout import StepLayout
from seqclf._kernels.ops import (
    arrange,
    attend,
    bidirectional,
    convolve,
    convolve_relu,
    linear,
    optimize,
    pool,
    project,
    reads_rows,
    recurrence,
    written_out,
)
from seqclf._kernels.threads import n_threads, torch_threads
from seqclf._kernels.weights import Weights

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
    "is_exact",
    "linear",
    "n_threads",
    "optimize",
    "pool",
    "project",
    "reads_rows",
    "recurrence",
    "supports_lazy_rows",
    "torch_threads",
    "use",
    "warn_where_slow",
    "written_out",
]
