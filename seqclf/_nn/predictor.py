"""`Predictor`: a trained network on a GPU, without gradients, each row by itself."""

import copy

import torch
from torch import Tensor

from seqclf._nn.network import Network
from seqclf._nn.sequence_batch import SequenceBatch


class Predictor:
    """Gives outputs and states that don't depend on the rows that are predicted together.

    A copy of the network in float64 is used: products of matrices depend on the number of rows, in float32 by more than
    can be accepted. On the CPU an `InferenceNetwork` predicts.

    Parameters
    ----------
    network : Network
        It is not changed.
    device : torch.device
        Where to compute; it must have float64.
    """

    def __init__(self, network: Network, device: torch.device):
        self._network = copy.deepcopy(network).to(device, torch.float64).eval()

    def predict(self, batch: SequenceBatch) -> Tensor:
        """Outputs in float64 of a batch, as from :meth:`Network.forward`."""
        with torch.inference_mode():
            return self._network(batch)

    def states(self, batch: SequenceBatch) -> Tensor:
        """States in float32 of a batch, as from :meth:`Network.states`."""
        with torch.inference_mode():
            return self._network.states(batch).float()
