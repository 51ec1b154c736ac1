"""Layers and the network, in plain torch: tensors in, tensors out."""

from seqclf._kernels import ACTIVATIONS, CELLS
from seqclf._nn.network import Network
from seqclf._nn.pooling import POOLINGS

__all__ = ["ACTIVATIONS", "CELLS", "POOLINGS", "Network"]
