"""Layers and the network, in plain torch: tensors in, tensors out."""

from seqclf._kernels import (
    ACTIVATIONS,
    CELLS,
    LookUp,
    State,
    chosen_threads,
    is_exact,
    kernel_threads,
    optimize,
    reads_rows,
    warn_where_slow,
)
from seqclf._nn.embedding import Embedding
from seqclf._nn.network import Network
from seqclf._nn.pooling import POOLINGS
from seqclf._nn.reader import Reader

__all__ = [
    "ACTIVATIONS",
    "CELLS",
    "POOLINGS",
    "Embedding",
    "LookUp",
    "Network",
    "Reader",
    "State",
    "chosen_threads",
    "is_exact",
    "kernel_threads",
    "optimize",
    "reads_rows",
    "warn_where_slow",
]
