"""Which label may follow which, and the most probable sequence of labels that keeps to it.

In the BIO scheme a span of a kind K is labelled B-K at its first step and I-K at the others; steps outside are O
(Ramshaw & Marcus 1995, with B at the beginning of every span). So I-K may only follow B-K or I-K. The most probable
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

# The largest number of scores of moves that are compared at once.
_MAX_AT_ONCE = 10_000_000


class Moves(NamedTuple):
    """Which moves are legal.

    Parameters
    ----------
    first : ndarray of shape (n_classes,), bool
        Whether a sequence may begin with a class.
    after : ndarray of shape (n_classes, n_classes), bool
        Whether the second class may follow the first one.
    """

    first: NDArray[np.bool_]
    after: NDArray[np.bool_]


def bio_moves(classes: NDArray[Any]) -> Moves:
    """The legal moves between BIO labels; a ValueError for labels that :func:`check_bio` refuses."""
    check_bio(classes)
    labels = classes.tolist()
    kinds = np.unique([label if label == "O" else label[1:] for label in labels], return_inverse=True)[1]
    inside = np.array([label[:2] == "I-" for label in labels])
    return Moves(~inside, ~inside | (kinds[:, None] == kinds))


def check_bio(classes: NDArray[Any]) -> None:
    """Raise a ValueError for labels that are not those of BIO, and for I-kind without its B-kind."""
    labels = classes.tolist()
    known = set(labels)
    for label in labels:
        if not (label == "O" or (isinstance(label, str) and label[:2] in ("B-", "I-"))):
            raise ValueError(
                f'transitions="bio" needs labels that are "O" or begin with "B-" or "I-"; y holds {shorten(label)}. '
                "Use transitions=None for other labels."
            )
    for label in labels:
        if label[:2] == "I-" and (begin := f"B-{label[2:]}") not in known:
            raise ValueError(
                f'transitions="bio" needs spans that begin with "B-"; y holds {shorten(label)} but no '
                f"{shorten(begin)}. Label the first step of each span with it, or use transitions=None."
            )


def best_paths(scores: Ragged, moves: Moves) -> Ragged:
    """The positions of the classes of the largest sum of scores, among legal sequences.

    Parameters
    ----------
    scores : Ragged of shape (n_steps, n_classes)
        Log-probabilities of the classes at each step.
    moves : Moves
    """
    n_classes = len(moves.first)
    at_once = max(_MAX_AT_ONCE // n_classes**2, 1)
    # Sequences of similar length are decoded together, longest first.
    order = np.argsort(-scores.lengths, kind="stable")
    paths = np.empty(scores.n_steps, dtype=np.int64)
    for start in range(0, len(order), at_once):
        rows = order[start : start + at_once]
        starts, lengths = scores.offsets[:-1][rows], scores.lengths[rows]
        _decode(scores.values, starts, lengths, moves, paths)
    return Ragged(paths, scores.lengths)


def _decode(
    scores: NDArray[np.float64], starts: NDArray[np.int64], lengths: NDArray[np.int64], moves: Moves, paths: Any
) -> None:
    """Write the paths of sequences, longest first, that begin at `starts`."""
    # Most classes may follow any other class, so that the best class before them is the same for all.
    is_free = np.asarray(moves.after.all(axis=0))
    bound = np.flatnonzero(~is_free)
    allowed, blocked = _allowed_before(moves.after[:, bound])
    best = np.zeros((len(starts), len(moves.first)))
    came_from: list[NDArray[np.int64]] = []
    for time in range(int(lengths.max(initial=0))):
        n = int(np.count_nonzero(lengths > time))
        now = scores[starts[:n] + time]
        if time == 0:
            best[:n] = now + np.where(moves.first, 0.0, -np.inf)
            continue
        before = np.repeat(best[:n].argmax(axis=1)[:, None], len(is_free), axis=1)
        through = np.take_along_axis(best[:n], before, axis=1)
        of_bound = best[:n][:, allowed] + blocked
        chosen = of_bound.argmax(axis=2)
        before[:, bound] = allowed[np.arange(len(bound)), chosen]
        through[:, bound] = np.take_along_axis(of_bound, chosen[:, :, None], axis=2)[:, :, 0]
        best[:n] = through + now
        came_from.append(before)
    state = best.argmax(axis=1)
    for time in range(int(lengths.max(initial=0)) - 1, -1, -1):
        n = int(np.count_nonzero(lengths > time))
        paths[starts[:n] + time] = state[:n]
        if time:
            before = came_from[time - 1]
            state[: len(before)] = before[np.arange(len(before)), state[: len(before)]]


def _allowed_before(after: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """For each column the rows that are True, filled up with row 0; and -inf where it is filled up, else 0."""
    n_allowed = after.sum(axis=0)
    allowed = np.zeros((after.shape[1], int(n_allowed.max(initial=1))), dtype=np.int64)
    is_one = np.arange(allowed.shape[1]) < n_allowed[:, None]
    allowed[is_one] = np.nonzero(after.T)[1]
    return allowed, np.where(is_one, 0.0, -np.inf)
