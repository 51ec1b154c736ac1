"""Reading with a trained network: no gradients, and each row by itself."""

import copy

import numpy as np
import torch
from torch import Tensor

from seqclf import _kernels
from seqclf._kernels import LookUp
from seqclf._nn.embedding import Embedding
from seqclf._nn.network import Network

# A table beyond the caches is read at their speed, not at the kernels': it pays where the vectors are wide.
_CACHED_BYTES, _WIDE = 2**24, 64


class Reader:
    """Gives logits that don't depend on the rows read together.

    The network is read as it is where our kernels run, which give a row the same bits in any company. Elsewhere a copy
    in float64 is: matrix products of float32 depend on the number of rows by more than anyone would accept, of float64
    by less.

    Parameters
    ----------
    network : Network
        It must not be trained while the reader is in use.
    device : torch.device
        Where to read.
    n_steps : int
        How much will be read. If that is more than there are token ids, and if it pays, what each id gives to the
        first layer is computed once, and not at each step again.

    Attributes
    ----------
    device : torch.device
        Where the votes are wanted: not the given one if that has no float64.
    n_outputs : int
        Logits per sequence.
    """

    def __init__(self, network: Network, device: torch.device, n_steps: int):
        exact = device.type == "cpu" and _kernels.is_exact(network.config["cell"], network.config["activation"])
        if exact:
            on_cpu = network.head.weight.device.type == "cpu"
            self._network = (network if on_cpu else copy.deepcopy(network).cpu()).eval()
        else:
            if device.type == "mps":  # It has no float64.
                device = torch.device("cpu")
            self._network = copy.deepcopy(network).to(device, torch.float64).eval()
        self.device, self.n_outputs = self._network.head.weight.device, self._network.head.out_features
        self._projected: list[Tensor] | None = None
        first_layer = self._network.recurrent.first_layer
        # Filters read the vectors themselves.
        if exact and isinstance(self._network.embedding, Embedding) and self._network.convolutions is None:
            table = self._network.embedding.weight
            n_bytes = len(table) * 4 * len(first_layer.weights(None)[0].input)
            if n_steps > len(table) and (n_bytes <= _CACHED_BYTES or table.shape[1] >= _WIDE):
                with torch.no_grad():
                    self._projected = first_layer.project(table)

    def read(
        self,
        values: Tensor,
        lengths,
        beside: Tensor | LookUp | None = None,
        votes: Tensor | None = None,
        starts: np.ndarray | None = None,
    ) -> Tensor:
        """Logits in float64 of a batch of sequences; arguments as in :meth:`Network.forward`."""
        head = self._network.head
        with torch.inference_mode():
            features = self._network.features(values, lengths, beside=beside, projected=self._projected, starts=starts)
            return self._network.vote(_kernels.linear(features, head.weight, head.bias), votes)
