"""Batches of sequences of similar length, for predicting each once. A batch copies no steps: it says where they are."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqclf._data.encoded import EncodedSequences, StepFeatures
from seqclf._inference.layout import BatchLayout

# The largest prediction batch: its steps, padding counted; the numbers of wide steps; its sequences.
PREDICTION_STEPS = 2**16
PREDICTION_NUMBERS = 2**22
PREDICTION_ROWS = 512


class PredictionBatch(NamedTuple):
    """Some sequences, in the data that they are part of."""

    rows: NDArray[np.int64]  # (n_sequences,), their positions in the data
    layout: BatchLayout
    values: NDArray[Any]  # (n,) or (n, n_channels), ids of int32 or numbers of float32 of all the data
    features: StepFeatures | None  # of all the data, with the version of each sequence of the batch
    scores: NDArray[np.float32] | None  # (n_sequences, n_outputs), of the sequences of the batch


def prediction_batches(sequences: EncodedSequences) -> Iterator[PredictionBatch]:
    """All sequences once, in batches that memory allows."""
    values, features, scores = _plain(sequences.steps.values), sequences.features, sequences.scores
    lengths, starts = sequences.lengths, sequences.steps.offsets[:-1]
    if features is not None:
        features = StepFeatures(_plain(features.entries), tuple(map(_plain, features.tables)), features.version)
    for rows in prediction_rows(sequences):
        of_rows = None
        if features is not None:
            of_rows = StepFeatures(features.entries, features.tables, features.version[rows])
        layout = BatchLayout(lengths[rows], starts[rows])
        yield PredictionBatch(rows, layout, values, of_rows, None if scores is None else scores[rows])


def _plain(array: NDArray[Any]) -> NDArray[Any]:
    """Ids as int32, numbers as float32; the array itself where it is that."""
    return np.require(array, np.int32 if array.dtype.kind in "iu" else np.float32, ["C", "A"])


def prediction_rows(sequences: EncodedSequences) -> list[np.ndarray]:
    """Rows of each batch for predicting every sequence once: sorted by length, cut by memory."""
    lengths = sequences.lengths
    n_steps = min(PREDICTION_STEPS, PREDICTION_NUMBERS // max(sequences.n_numbers, 1))
    order = np.argsort(-lengths, kind="stable")
    batches, start = [], 0
    while start < len(order):
        longest = max(int(lengths[order[start]]), 1)
        size = min(max(n_steps // longest, 1), PREDICTION_ROWS)
        batches.append(order[start : start + size])
        start += size
    return batches
