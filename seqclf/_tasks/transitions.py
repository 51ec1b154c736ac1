"""Legal transitions between labels, and the most probable legal sequence of labels.

In the BIO scheme, a span of kind K is labelled B-K at its first step and I-K at the others; steps outside of spans are
O (Ramshaw & Marcus 1995, with B at the beginning of every span). So I-K can only follow B-K or I-K. The most probable
legal sequence is found by dynamic programming (Viterbi 1967).

References
----------
L. A. Ramshaw, M. P. Marcus, "Text chunking using transformation-based learning", Third Workshop on Very Large Corpora
(1995).
A. J. Viterbi, "Error bounds for convolutional codes and an asymptotically optimum decoding algorithm", IEEE
Transactions on Information Theory 13 (1967).
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqclf._data.ragged import Ragged
from seqclf._validation.containers import shorten

# Maximum number of transition scores that are compared at once.
_MAX_AT_ONCE = 10_000_000


class Transitions(NamedTuple):
    """The legal transitions between classes.

    Parameters
    ----------
    first : ndarray of shape (n_classes,), bool
        Whether a sequence can begin with the class.
    after : ndarray of shape (n_classes, n_classes), bool
        Whether the second class can follow the first one.
    """

    first: NDArray[np.bool_]
    after: NDArray[np.bool_]


def bio_transitions(classes: NDArray[Any]) -> Transitions:
    """The legal transitions between BIO labels; the labels must pass :func:`check_bio`."""
    check_bio(classes)
    labels = classes.tolist()
    kinds = np.unique([label if label == "O" else label[1:] for label in labels], return_inverse=True)[1]
    inside = np.array([label[:2] == "I-" for label in labels])
    return Transitions(~inside, ~inside | (kinds[:, None] == kinds))


def check_bio(classes: NDArray[Any]) -> None:
    """Raise a ValueError for labels that are not BIO labels, and for an I-kind without its B-kind."""
    labels = classes.tolist()
    unique_labels = set(labels)
    for label in labels:
        if not (label == "O" or (isinstance(label, str) and label[:2] in ("B-", "I-"))):
            raise ValueError(
                f"transitions='bio' needs labels that are 'O' or begin with 'B-' or 'I-': y holds {shorten(label)}. "
                "Use transitions=None for other labels."
            )
    for label in labels:
        if label[:2] == "I-" and (begin := f"B-{label[2:]}") not in unique_labels:
            raise ValueError(
                f"transitions='bio' needs spans that begin with 'B-': y holds {shorten(label)}, but no "
                f"{shorten(begin)}. Label the first step of each such span {shorten(begin)}, or use transitions=None."
            )


def best_paths(scores: Ragged, transitions: Transitions) -> Ragged:
    """The class indices of the legal sequence with the largest sum of scores, for each sequence.

    Parameters
    ----------
    scores : Ragged of shape (n_steps, n_classes)
        Log-probabilities of the classes at each step.
    transitions : Transitions
        The legal transitions.
    """
    n_classes = len(transitions.first)
    at_once = max(_MAX_AT_ONCE // n_classes**2, 1)
    # Sequences of similar length are decoded together, longest first.
    order = np.argsort(-scores.lengths, kind="stable")
    paths = np.empty(scores.n_steps, dtype=np.int64)
    for start in range(0, len(order), at_once):
        rows = order[start : start + at_once]
        starts, lengths = scores.offsets[:-1][rows], scores.lengths[rows]
        _decode(scores.values, starts, lengths, transitions, paths)
    return Ragged(paths, scores.lengths)


def _decode(
    scores: NDArray[np.float64],
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    transitions: Transitions,
    paths: Any,
) -> None:
    """Write the best path of each sequence into `paths`, from its position in `starts`; longest sequences first."""
    # Most classes can follow every class. The best class before them is therefore the same for all of them.
    is_unconstrained = np.asarray(transitions.after.all(axis=0))
    constrained = np.flatnonzero(~is_unconstrained)
    allowed, penalty = _allowed_before(transitions.after[:, constrained])
    best = np.zeros((len(starts), len(transitions.first)))
    predecessors: list[NDArray[np.int64]] = []
    for time in range(int(lengths.max(initial=0))):
        n = int(np.count_nonzero(lengths > time))
        now = scores[starts[:n] + time]
        if time == 0:
            best[:n] = now + np.where(transitions.first, 0.0, -np.inf)
            continue
        before = np.repeat(best[:n].argmax(axis=1)[:, None], len(is_unconstrained), axis=1)
        best_before = np.take_along_axis(best[:n], before, axis=1)
        candidates = best[:n][:, allowed] + penalty
        best_index = candidates.argmax(axis=2)
        before[:, constrained] = allowed[np.arange(len(constrained)), best_index]
        best_before[:, constrained] = np.take_along_axis(candidates, best_index[:, :, None], axis=2)[:, :, 0]
        best[:n] = best_before + now
        predecessors.append(before)
    state = best.argmax(axis=1)
    for time in range(int(lengths.max(initial=0)) - 1, -1, -1):
        n = int(np.count_nonzero(lengths > time))
        paths[starts[:n] + time] = state[:n]
        if time:
            before = predecessors[time - 1]
            state[: len(before)] = before[np.arange(len(before)), state[: len(before)]]


def _allowed_before(after: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """For each column, the indices of True rows, padded with 0; and a penalty of -inf for padding, 0 elsewhere."""
    n_allowed = after.sum(axis=0)
    allowed = np.zeros((after.shape[1], int(n_allowed.max(initial=1))), dtype=np.int64)
    is_valid = np.arange(allowed.shape[1]) < n_allowed[:, None]
    allowed[is_valid] = np.nonzero(after.T)[1]
    return allowed, np.where(is_valid, 0.0, -np.inf)
