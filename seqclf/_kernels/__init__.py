"""The operations of the layers on ragged batches, and the choice of the kernel that runs them.

`__all__` lists the names that other folders use.
"""

from seqclf._cells import ACTIVATIONS, CELLS, Weights
from seqclf._kernels.cpu.lazy_rows import supports_lazy_rows
from seqclf._kernels.cpu.optimizer import FusedUpdate, ParameterState
from seqclf._kernels.cpu.update_rules import Hyperparameters
from seqclf._kernels.dispatch import choose, describe, warn_if_slow
from seqclf._kernels.inputs import Inputs, LookUp
from seqclf._kernels.layout import StepLayout
from seqclf._kernels.ops import (
    attend,
    bidirectional,
    convolve,
    convolve_relu,
    gather_steps,
    materialize,
    optimize,
    pool,
    prefers_sparse_gradient,
    recurrence,
)
from seqclf._kernels.threads import torch_threads
from seqclf._native.forced import use

__all__ = [
    "ACTIVATIONS",
    "CELLS",
    "FusedUpdate",
    "Hyperparameters",
    "Inputs",
    "LookUp",
    "ParameterState",
    "StepLayout",
    "Weights",
    "attend",
    "bidirectional",
    "choose",
    "convolve",
    "convolve_relu",
    "describe",
    "gather_steps",
    "materialize",
    "optimize",
    "pool",
    "prefers_sparse_gradient",
    "recurrence",
    "supports_lazy_rows",
    "torch_threads",
    "use",
    "warn_if_slow",
]
