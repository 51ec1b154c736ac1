"""Integrated gradients of the network: the deep half of a model.

The path is a straight line from one sequence of inputs to another (for tokens: vectors and step features). An input
contributes the difference of its values times the mean gradient along the path, and the contributions add up to the
difference of the outputs at both ends (Sundararajan et al. 2017, eq. 1). The mean is a Gauss-Legendre quadrature, whose
nodes are the rows of one batch.

References
----------
M. Sundararajan, A. Taly, Q. Yan, "Axiomatic attribution for deep networks", ICML 2017.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seqclf._kernels import StepLayout
from seqclf._nn.embedding import Embedding
from seqclf._nn.network import Network
from seqclf._nn.recurrent import Direction, RecurrentLayer
from seqclf._training.device import resolve_device, use_threads
from seqclf._training.guard import guarded
from seqclf._validation.texts import UNKNOWN
from seqclf.inspection._target import Target

Floats = NDArray[np.float64]
# More nodes than this are divided among parts of the path, because finding the nodes takes their number to the third.
_MAX_NODES_OF_PART = 64
# The number of nodes is doubled until the contributions add up, at most this often.
_MAX_DOUBLINGS = 4
# The largest number of values of a batch, which bounds memory.
_MAX_VALUES = 2**23


class Accuracy(NamedTuple):
    """How accurately to integrate.

    Parameters
    ----------
    n_nodes : int
        The number of points on the path.
    tolerance : float
        With a larger error than this the number of points is doubled, at most four times.
    relative : float
        An error of this part of the difference between the ends of the path is tolerated, too.
    """

    n_nodes: int
    tolerance: float
    relative: float = 0.0


class PathIntegral(NamedTuple):
    """The contributions along a path.

    Parameters
    ----------
    of_ids : ndarray of shape (n_steps,)
        The contributions of the vectors of the token ids.
    of_values : ndarray of shape (n_steps, n_values)
        The contributions of the step features, or of the channels of a series.
    slopes : ndarray of shape (n_steps, n_values)
        The mean gradients of these.
    first, last : float
        The output at both ends of the path.
    """

    of_ids: Floats
    of_values: Floats
    slopes: Floats
    first: float
    last: float


class IntegratedGradients:
    """Integrates gradients of one network.

    Parameters
    ----------
    estimator : estimator
        A fitted estimator, which is not changed.
    """

    def __init__(self, estimator: Any):
        self._device = resolve_device(estimator.device)
        self._threads = (estimator.n_threads, self._device, estimator.cell, estimator.activation)
        with torch.inference_mode(False):
            self._network = _copy_without_gradients(estimator.network_).to(self._device).eval()
        first_layer = cast(RecurrentLayer, self._network.recurrent.layers[0])
        directions = [cast(Direction, direction) for direction in first_layer.directions]
        self._first_weights = [(direction, direction.weight_input) for direction in directions]

    @property
    def bias(self) -> Floats:
        """The outputs of a sequence without steps, before the linear model is added: (n_outputs,)."""
        return self._network.head.bias.cpu().numpy().astype(np.float64)

    @property
    def score_weights(self) -> Floats | None:
        """The weight of each estimate of the linear model in its output."""
        weights = self._network.head.score_weights
        return None if weights is None else weights.cpu().numpy().astype(np.float64)

    @guarded
    def of_tokens(
        self, ids: NDArray[np.int32], features: NDArray[np.float32], target: Target, accuracy: Accuracy
    ) -> PathIntegral:
        """Integrate from unknown tokens without step features to these token ids and step features."""
        with self._gradients():
            vectors, unknown = self._vectors(ids)
            values = torch.from_numpy(features.astype(np.float32)).to(self._device)
            start = torch.cat([unknown.expand_as(vectors), torch.zeros_like(values)], dim=1)
            stop = torch.cat([vectors, values], dim=1)
            return self._integrate(start, stop, vectors.shape[1], target, accuracy)

    @guarded
    def of_series(self, values: NDArray[np.floating], target: Target, accuracy: Accuracy) -> PathIntegral:
        """Integrate from zeros to the encoded values of a series."""
        with self._gradients():
            stop = torch.from_numpy(values.astype(np.float32)).to(self._device)
            return self._integrate(torch.zeros_like(stop), stop, 0, target, accuracy)

    @contextmanager
    def _gradients(self) -> Iterator[None]:
        """A block with gradients on the device of the model, whatever the caller set."""
        exact = torch.autocast(self._device.type, enabled=False)
        with torch.inference_mode(False), torch.enable_grad(), exact, self._device, use_threads(*self._threads):
            yield

    def _vectors(self, ids: NDArray[np.int32]) -> tuple[Tensor, Tensor]:
        """The vector of each token, (n_steps, dim), and that of the unknown token, (dim,)."""
        embedding = self._network.embedding
        if isinstance(embedding, Embedding):
            return embedding.weight[torch.from_numpy(ids).long().to(self._device)], embedding.weight[UNKNOWN]
        # One-hot vectors have a dimension for each id that occurs, so the first layer gets the weights of these ids.
        distinct, position = np.unique(np.concatenate([[UNKNOWN], ids]), return_inverse=True)
        vocab_size = self._network.config.vocab_size
        assert vocab_size is not None
        for direction, weight in self._first_weights:
            columns = np.concatenate([distinct, np.arange(vocab_size, weight.shape[1])])
            direction.weight_input = nn.Parameter(weight[:, columns].contiguous(), requires_grad=False)
        vectors = torch.eye(len(distinct), dtype=torch.float32, device=self._device)[position]
        return vectors[1:], vectors[0]

    def _integrate(
        self, start: Tensor, stop: Tensor, n_looked_up: int, target: Target, accuracy: Accuracy
    ) -> PathIntegral:
        difference = (stop - start).cpu().numpy().astype(np.float64)
        for doubling in range(_MAX_DOUBLINGS + 1):
            slopes, first, last = self._mean_gradients(start, stop, n_looked_up, target, accuracy.n_nodes << doubling)
            contributions = slopes * difference
            tolerance = max(accuracy.tolerance, accuracy.relative * abs(last - first))
            if abs(contributions.sum() - (last - first)) <= tolerance:
                break
        of_ids = contributions[:, :n_looked_up].sum(axis=1)
        return PathIntegral(of_ids, contributions[:, n_looked_up:], slopes[:, n_looked_up:], first, last)

    def _mean_gradients(
        self, start: Tensor, stop: Tensor, n_looked_up: int, target: Target, n_nodes: int
    ) -> tuple[Floats, float, float]:
        """The mean gradient along the path, (n_steps, n_inputs), and the outputs at its ends."""
        n_steps, n_inputs = start.shape
        nodes, weights = _quadrature(n_nodes)
        # The ends of the path are nodes of weight 0.
        fractions = self._tensor(np.concatenate([[0.0], nodes, [1.0]]))
        weight = self._tensor(np.concatenate([[0.0], weights, [0.0]]))
        size = max(_MAX_VALUES // (n_steps * n_inputs), 1)
        slopes, outputs = torch.zeros_like(start), []
        for rows in torch.arange(len(weight), device=self._device).split(size):
            points = torch.lerp(start[:, None], stop[:, None], fractions[rows][:, None])  # time-major
            points = points.reshape(-1, n_inputs).requires_grad_()
            layout = StepLayout(np.full(len(rows), n_steps), self._device)
            units = self._network.outputs_of_values(points, n_looked_up, layout)[:, target.position]
            if target.step is not None:
                units = units.reshape(n_steps, len(rows))[target.step]
            (gradient,) = torch.autograd.grad(units @ weight[rows], points)
            slopes += gradient.reshape(n_steps, len(rows), n_inputs).sum(dim=1)
            outputs.append(units.detach())
        first, *_, last = torch.cat(outputs).tolist()
        return slopes.cpu().numpy().astype(np.float64), first, last

    def _tensor(self, values: Floats) -> Tensor:
        return torch.from_numpy(values.astype(np.float32)).to(self._device)


def _quadrature(n_nodes: int) -> tuple[Floats, Floats]:
    """At least this many nodes from 0 to 1, and their weights, which add up to 1."""
    n_parts = -(-n_nodes // _MAX_NODES_OF_PART)
    nodes, weights = _gauss_legendre(-(-n_nodes // n_parts))
    starts = np.arange(n_parts)[:, None]
    return ((starts + (1 + nodes) / 2) / n_parts).ravel(), np.tile(weights / 2, n_parts) / n_parts


@cache
def _gauss_legendre(n_nodes: int) -> tuple[Floats, Floats]:
    found: tuple[Floats, Floats] = np.polynomial.legendre.leggauss(n_nodes)
    return found


def _copy_without_gradients(network: Network) -> Network:
    """A copy that refers to the same weights, none of which requires gradients."""
    shared = {id(weight): nn.Parameter(weight.detach(), requires_grad=False) for weight in network.parameters()}
    return copy.deepcopy(network, memo=shared)
