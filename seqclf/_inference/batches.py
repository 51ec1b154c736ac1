"""Batches for prediction, of sequences of similar length. A batch has the positions of its steps, not copies."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqclf._data.encoded import EncodedSequences, StepFeatures
from seqclf._inference.layout import BatchLayout

# Limits of a prediction batch: steps including padding, values (for wide steps), and sequences.
MAX_BATCH_STEPS = 2**16
MAX_BATCH_VALUES = 2**22
MAX_BATCH_ROWS = 512


class PredictionBatch(NamedTuple):
    """The sequences of a batch, given by their positions in the data."""

    rows: NDArray[np.int64]  # (n_sequences,), their indices among all sequences
    layout: BatchLayout
    values: NDArray[Any]  # (n,) or (n, n_channels), int32 ids or float32 values of all the data
    features: StepFeatures | None  # of all the data, but with the versions of the batch's sequences only
    scores: NDArray[np.float32] | None  # (n_sequences, n_outputs), for the sequences of the batch


def prediction_batches(sequences: EncodedSequences) -> Iterator[PredictionBatch]:
    """Yield batches of limited size that together have every sequence once."""
    values, features, scores = _as_kernel_dtype(sequences.steps.values), sequences.features, sequences.scores
    lengths, starts = sequences.lengths, sequences.steps.offsets[:-1]
    if features is not None:
        tables = tuple(map(_as_kernel_dtype, features.tables))
        features = StepFeatures(_as_kernel_dtype(features.entries), tables, features.version)
    for rows in prediction_rows(sequences):
        batch_features = None
        if features is not None:
            batch_features = StepFeatures(features.entries, features.tables, features.version[rows])
        layout = BatchLayout(lengths[rows], starts[rows])
        yield PredictionBatch(rows, layout, values, batch_features, None if scores is None else scores[rows])


def _as_kernel_dtype(array: NDArray[Any]) -> NDArray[Any]:
    """Convert ids to int32 and values to float32, without a copy if possible."""
    return np.require(array, np.int32 if array.dtype.kind in "iu" else np.float32, ["C", "A"])


def prediction_rows(sequences: EncodedSequences) -> list[np.ndarray]:
    """The indices of the sequences of each batch: sorted by length, and cut at the limits."""
    lengths = sequences.lengths
    n_steps = min(MAX_BATCH_STEPS, MAX_BATCH_VALUES // max(sequences.n_numbers, 1))
    order = np.argsort(-lengths, kind="stable")
    batches, start = [], 0
    while start < len(order):
        longest = max(int(lengths[order[start]]), 1)
        size = min(max(n_steps // longest, 1), MAX_BATCH_ROWS)
        batches.append(order[start : start + size])
        start += size
    return batches
