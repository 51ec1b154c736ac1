"""`Predictor`: prediction with a trained network on a GPU, without gradients."""

import copy

import torch
from torch import Tensor

from seqclf._nn.network import Network
from seqclf._nn.sequence_batch import SequenceBatch


class Predictor:
    """Computes outputs and states that are (nearly) independent of the other rows of the batch.

    It uses a float64 copy of the network: matrix products depend on the number of rows, and in float32 the differences
    would be too large. On the CPU an `InferenceNetwork` is used instead.

    Parameters
    ----------
    network : Network
        The trained network. It is not changed.
    device : torch.device
        The device to compute on; it must support float64.
    """

    def __init__(self, network: Network, device: torch.device):
        self._network = copy.deepcopy(network).to(device, torch.float64).eval()

    def predict(self, batch: SequenceBatch) -> Tensor:
        """Outputs of a batch in float64, as from :meth:`Network.forward`."""
        with torch.inference_mode():
            return self._network(batch)

    def states(self, batch: SequenceBatch) -> Tensor:
        """States of a batch in float32, as from :meth:`Network.states`."""
        with torch.inference_mode():
            return self._network.states(batch).float()
