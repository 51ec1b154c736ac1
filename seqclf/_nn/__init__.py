"""Layers and the network, in plain torch: tensors in, tensors out."""

from seqclf._kernels import ACTIVATIONS, CELLS, forked, warn_where_slow
from seqclf._nn.network import Network
from seqclf._nn.pooling import POOLINGS

__all__ = ["ACTIVATIONS", "CELLS", "POOLINGS", "Network", "forked", "warn_where_slow"]
