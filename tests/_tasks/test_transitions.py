"""The most probable legal sequence of labels, against all legal sequences; and which moves of BIO labels are legal."""

from itertools import pairwise, product

import numpy as np
import pytest

from seqclf._data.ragged import Ragged
from seqclf._tasks.transitions import Moves, best_paths, bio_moves

LENGTHS = [3, 0, 1, 5, 2, 5, 0, 4]


def random_moves(rng, n_classes):
    """Some moves, with which sequences of any length have a legal path: class 0 may always follow."""
    first, after = rng.random(n_classes) < 0.5, rng.random((n_classes, n_classes)) < 0.4
    first[0] = after[:, 0] = True
    return Moves(first, after)


def is_legal(path, moves):
    if not path:
        return True
    return bool(moves.first[path[0]]) and all(moves.after[one, other] for one, other in pairwise(path))


def best_of_all(scores, moves):
    """By trying all paths."""
    n_steps, n_classes = scores.shape
    legal = [path for path in product(range(n_classes), repeat=n_steps) if is_legal(path, moves)]
    return list(max(legal, key=lambda path: sum(scores[step, one] for step, one in enumerate(path))))


@pytest.mark.parametrize("n_classes", [2, 3, 4])
@pytest.mark.parametrize("seed", range(5))
def test_paths_are_the_best_of_all_legal_ones(n_classes, seed):
    rng = np.random.default_rng(seed)
    moves = random_moves(rng, n_classes)
    scores = Ragged(rng.normal(size=(sum(LENGTHS), n_classes)), np.array(LENGTHS))
    paths = best_paths(scores, moves)
    assert paths.lengths.tolist() == LENGTHS
    greedy = Ragged(scores.values.argmax(axis=1), scores.lengths)
    found = [path.tolist() for path in paths.items()]
    assert found == [best_of_all(each, moves) for each in scores.items()]
    assert all(is_legal(path, moves) for path in found)
    assert any(not is_legal(path.tolist(), moves) for path in greedy.items()), "the moves change nothing"


def test_where_all_is_legal_each_step_is_by_itself():
    rng = np.random.default_rng(0)
    scores = Ragged(rng.normal(size=(sum(LENGTHS), 3)), np.array(LENGTHS))
    moves = Moves(np.ones(3, dtype=bool), np.ones((3, 3), dtype=bool))
    assert best_paths(scores, moves).values.tolist() == scores.values.argmax(axis=1).tolist()


@pytest.mark.parametrize("at_once", [1, 9, 18, 10**6])
def test_a_sequence_alone_has_the_path_that_it_has_among_others(at_once, tune):
    tune(transitions_at_once=at_once)
    rng = np.random.default_rng(3)
    moves = random_moves(rng, 3)
    lengths = rng.integers(0, 12, size=40)
    # Whole numbers: many paths are equally good, and which of them is taken must not depend on others.
    scores = Ragged(rng.integers(0, 3, size=(lengths.sum(), 3)).astype(float), lengths)
    together = best_paths(scores, moves)
    for row in range(40):
        assert best_paths(scores.take([row]), moves).values.tolist() == together.items()[row].tolist()


def test_no_sequence_and_no_step():
    moves = bio_moves(np.array(["B-x", "O"]))
    for lengths in ([], [0, 0]):
        paths = best_paths(Ragged(np.empty((0, 2)), np.array(lengths, dtype=np.int64)), moves)
        assert len(paths) == len(lengths) and paths.n_steps == 0


def test_bio_moves():
    first, after = bio_moves(np.array(["B-x", "B-y", "I-x", "I-y", "O"]))
    assert first.tolist() == [True, True, False, False, True]
    assert after.tolist() == [
        [True, True, True, False, True],  # B-x
        [True, True, False, True, True],  # B-y
        [True, True, True, False, True],  # I-x
        [True, True, False, True, True],  # I-y
        [True, True, False, False, True],  # O
    ]


def test_a_kind_may_hold_any_character():
    _, after = bio_moves(np.array(["B-fare.amount", "B-fare-basis", "I-fare-basis"]))
    assert after[:, 2].tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("labels", "shown"),
    [(["NOUN", "O"], "'NOUN'"), (["B_x", "O"], "'B_x'"), (["O", "o"], "'o'"), ([0, 1], "0"), (["", "O"], "''")],
)
def test_other_labels_are_refused(labels, shown):
    with pytest.raises(ValueError, match=rf"y holds {shown}\. Use transitions=None for other labels\."):
        bio_moves(np.array(labels))


@pytest.mark.parametrize("labels", [["I-x", "O"], ["B-x", "I-x", "I-y"], ["I-x", "I-y"], ["I-", "O"]])
def test_an_inside_without_a_beginning_is_refused(labels):
    """It could never be predicted: such labels are of another scheme."""
    inside = next(label for label in labels if label[0] == "I" and f"B{label[1:]}" not in labels)
    with pytest.raises(ValueError, match=rf"y holds '{inside}' but no 'B{inside[1:]}'"):
        bio_moves(np.array(labels))
