"""The arithmetic of `docs/how_far.md`: the time of a fit on several processes, from costs that one process measures.

A step computes one batch, whose rows are divided among the processes. It costs a fixed time and a time per token. Then
the processes add up their gradients. Those of dense weights alone are added up by a ring all-reduce, in which every
process sends and receives 2 (N - 1) / N times their bytes. If the embedding is large, one all-gather exchanges
everything: each process receives the dense gradients of the N - 1 others, and the rows of the embedding that occur in
their parts of the batch, with indices.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

FLOAT = INDEX = 4  # bytes


@dataclass(frozen=True)
class StepCosts:
    """The seconds of a training step of one process: a fixed part, and a part for each token."""

    per_batch: float
    per_token: float

    @classmethod
    def from_points(cls, points: list[dict[str, Any]]) -> "StepCosts":
        """Least squares of the relative errors of epochs of different sizes, as `scaling.py` measures them."""
        seconds = np.array([point["epoch_seconds"] for point in points])
        counts = np.array([(point["n_batches"], point["n_steps"]) for point in points])
        return cls(*map(float, np.linalg.lstsq(counts / seconds[:, None], np.ones(len(seconds)))[0]))

    def step(self, n_tokens: float) -> float:
        """The seconds of a step on a batch with this many tokens."""
        return self.per_batch + self.per_token * n_tokens


@dataclass(frozen=True)
class Network:
    """The connection of each process: bytes per second in each direction, and the seconds of a small message."""

    bytes_per_second: float
    latency: float = 50e-6

    @classmethod
    def of_gigabits(cls, gigabits: float) -> "Network":
        """A network with this many gigabits per second."""
        return cls(gigabits * 1e9 / 8)


@dataclass(frozen=True)
class Gradient:
    """The gradient of a network.

    Parameters
    ----------
    n_dense : int
        The number of weights whose gradient is sent whole.
    row_width : int
        The dimension of the embedding, if its gradient is sent row by row; 0 if it is among the dense weights.
    """

    n_dense: int
    row_width: int = 0

    def received_bytes(self, n_processes: int, n_rows: float) -> float:
        """The bytes that each process receives in a step; `n_rows` are the distinct tokens in its part of the batch."""
        others, dense = n_processes - 1, FLOAT * self.n_dense
        if not self.row_width:
            return 2 * others / n_processes * dense
        return others * (dense + n_rows * (INDEX + FLOAT * self.row_width))

    def exchange(self, network: Network, n_processes: int, n_rows: float) -> float:
        """The seconds of the exchange; an all-reduce passes 2 (N - 1) messages in a ring, an all-gather N - 1."""
        n_messages = (1 if self.row_width else 2) * (n_processes - 1)
        return self.received_bytes(n_processes, n_rows) / network.bytes_per_second + n_messages * network.latency


@dataclass(frozen=True)
class Training:
    """An epoch: batches of `batch_size` rows with `tokens` tokens each.

    Parameters
    ----------
    costs : StepCosts
    gradient : Gradient
    n_rows, batch_size : int
        Of the whole fit, over all processes.
    tokens, distinct : float
        The mean number of tokens of a row, and the fraction of the tokens of a batch that are distinct, as long as
        these are fewer than `vocab_size`.
    vocab_size : float, default=inf
        The number of rows of the embedding.
    """

    costs: StepCosts
    gradient: Gradient
    n_rows: int
    batch_size: int
    tokens: float
    distinct: float = 1.0
    vocab_size: float = np.inf

    def compute(self, n_processes: int) -> float:
        """The seconds of the computation of a step."""
        return self.costs.step(self.batch_size * self.tokens / n_processes)

    def exchange(self, network: Network, n_processes: int) -> float:
        """The seconds of the exchange of a step; 0 for one process."""
        return self.gradient.exchange(network, n_processes, self.n_embedding_rows(n_processes))

    def n_embedding_rows(self, n_processes: int) -> float:
        """The rows of the embedding that occur in the part of a batch of each process."""
        return min(self.distinct * self.batch_size * self.tokens / n_processes, self.vocab_size)

    def epoch(self, network: Network, n_processes: int) -> float:
        """The seconds of an epoch."""
        n_batches = -(-self.n_rows // self.batch_size)
        return n_batches * (self.compute(n_processes) + self.exchange(network, n_processes))

    def efficiency(self, network: Network, n_processes: int) -> float:
        """The time of one process divided by that of N processes, divided by N; 1 is perfect."""
        return self.epoch(network, 1) / self.epoch(network, n_processes) / n_processes

    def max_processes(self, network: Network, efficiency: float = 0.5, highest: int = 4_096) -> int:
        """The largest power of two whose efficiency is at least this."""
        n = 1
        while n < highest and self.efficiency(network, 2 * n) >= efficiency:
            n *= 2
        return n
