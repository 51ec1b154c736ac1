"""`Predictor`: a trained network without gradients, each row by itself."""

import copy

import torch
from torch import Tensor

from seqclf import _kernels
from seqclf._nn.embedding import Embedding
from seqclf._nn.network import Network
from seqclf._nn.sequence_batch import SequenceBatch

# A projected table pays while it fits the cache, or where the vectors are wide.
_MAX_CACHED_BYTES, _MIN_WIDE = 2**24, 64


class Predictor:
    """Gives outputs and states that don't depend on the rows that are predicted together.

    The network is used as it is where our kernels run, which give a row the same bits in any batch. Elsewhere a copy in
    float64 is used: products of matrices depend on the number of rows, in float32 by more than can be accepted.

    Parameters
    ----------
    network : Network
        It must not be trained while the predictor is in use.
    device : torch.device
        Where to compute.
    n_steps : int
        How many steps will be predicted. If there are more of them than token ids, and if it pays, the input projection
        of the first layer is computed once for each id, and not at each step.

    Attributes
    ----------
    device : torch.device
        Where the scores are wanted: not the given one if that has no float64.
    """

    def __init__(self, network: Network, device: torch.device, n_steps: int):
        exact = device.type == "cpu" and _kernels.is_exact(network.config.cell, network.config.activation)
        if exact:
            self._network = (network if network.device.type == "cpu" else copy.deepcopy(network).cpu()).eval()
        else:
            if device.type == "mps":  # It has no float64.
                device = torch.device("cpu")
            self._network = copy.deepcopy(network).to(device, torch.float64).eval()
        self.device = self._network.device
        self._projected: list[Tensor] | None = None
        first_layer = self._network.recurrent.first_layer
        # The convolutions read the vectors themselves.
        if exact and isinstance(self._network.embedding, Embedding) and self._network.convolutions is None:
            table = self._network.embedding.weight
            n_bytes = len(table) * 4 * len(first_layer.weights(None)[0].input)
            if n_steps > len(table) and (n_bytes <= _MAX_CACHED_BYTES or table.shape[1] >= _MIN_WIDE):
                with torch.no_grad():
                    self._projected = first_layer.project(table)

    def predict(self, batch: SequenceBatch) -> Tensor:
        """Outputs in float64 of a batch, as from :meth:`Network.forward`."""
        with torch.inference_mode():
            return self._network(batch, projected=self._projected, exact=True)

    def states(self, batch: SequenceBatch) -> Tensor:
        """States in float32 of a batch, as from :meth:`Network.states`."""
        with torch.inference_mode():
            return self._network.states(batch, self._projected).float()
