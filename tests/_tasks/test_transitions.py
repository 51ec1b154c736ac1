"""Best legal sequences of labels against an exhaustive search, and legal transitions of BIO labels."""

from itertools import pairwise, product

import numpy as np
import pytest

from seqclf._data.ragged import Ragged
from seqclf._tasks.transitions import Transitions, best_paths, bio_transitions

LENGTHS = [3, 0, 1, 5, 2, 5, 0, 4]


def random_transitions(rng, n_classes):
    """Random transitions. Class 0 can always follow, so that sequences of any length have a legal path."""
    first, after = rng.random(n_classes) < 0.5, rng.random((n_classes, n_classes)) < 0.4
    first[0] = after[:, 0] = True
    return Transitions(first, after)


def is_legal(path, legal):
    if not path:
        return True
    return bool(legal.first[path[0]]) and all(legal.after[one, other] for one, other in pairwise(path))


def best_of_all(scores, legal):
    """The best path, by trying all paths."""
    n_steps, n_classes = scores.shape
    paths = [path for path in product(range(n_classes), repeat=n_steps) if is_legal(path, legal)]
    return list(max(paths, key=lambda path: sum(scores[step, one] for step, one in enumerate(path))))


@pytest.mark.parametrize("n_classes", [2, 3, 4])
@pytest.mark.parametrize("seed", range(5))
def test_best_paths_match_exhaustive_search(n_classes, seed):
    rng = np.random.default_rng(seed)
    legal = random_transitions(rng, n_classes)
    scores = Ragged(rng.normal(size=(sum(LENGTHS), n_classes)), np.array(LENGTHS))
    paths = best_paths(scores, legal)
    assert paths.lengths.tolist() == LENGTHS
    greedy = Ragged(scores.values.argmax(axis=1), scores.lengths)
    found = [path.tolist() for path in paths.items()]
    assert found == [best_of_all(each, legal) for each in scores.items()]
    assert all(is_legal(path, legal) for path in found)
    assert any(not is_legal(path.tolist(), legal) for path in greedy.items()), "the constraints should change something"


def test_best_paths_without_constraints_are_argmax():
    rng = np.random.default_rng(0)
    scores = Ragged(rng.normal(size=(sum(LENGTHS), 3)), np.array(LENGTHS))
    legal = Transitions(np.ones(3, dtype=bool), np.ones((3, 3), dtype=bool))
    assert best_paths(scores, legal).values.tolist() == scores.values.argmax(axis=1).tolist()


@pytest.mark.parametrize("at_once", [1, 9, 18, 10**6])
def test_best_paths_of_a_sequence_do_not_depend_on_others(at_once, tune):
    tune(transitions_at_once=at_once)
    rng = np.random.default_rng(3)
    legal = random_transitions(rng, 3)
    lengths = rng.integers(0, 12, size=40)
    # Integer scores cause many ties, which must not be resolved by other sequences.
    scores = Ragged(rng.integers(0, 3, size=(lengths.sum(), 3)).astype(float), lengths)
    together = best_paths(scores, legal)
    for row in range(40):
        assert best_paths(scores.take([row]), legal).values.tolist() == together.items()[row].tolist()


def test_best_paths_of_empty_input():
    legal = bio_transitions(np.array(["B-x", "O"]))
    for lengths in ([], [0, 0]):
        paths = best_paths(Ragged(np.empty((0, 2)), np.array(lengths, dtype=np.int64)), legal)
        assert len(paths) == len(lengths) and paths.n_steps == 0


def test_bio_transitions():
    first, after = bio_transitions(np.array(["B-x", "B-y", "I-x", "I-y", "O"]))
    assert first.tolist() == [True, True, False, False, True]
    assert after.tolist() == [
        [True, True, True, False, True],  # B-x
        [True, True, False, True, True],  # B-y
        [True, True, True, False, True],  # I-x
        [True, True, False, True, True],  # I-y
        [True, True, False, False, True],  # O
    ]


def test_bio_kinds_can_contain_any_character():
    _, after = bio_transitions(np.array(["B-fare.amount", "B-fare-basis", "I-fare-basis"]))
    assert after[:, 2].tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("labels", "shown"),
    [(["NOUN", "O"], "'NOUN'"), (["B_x", "O"], "'B_x'"), (["O", "o"], "'o'"), ([0, 1], "0"), (["", "O"], "''")],
)
def test_check_bio_raises_for_other_labels(labels, shown):
    with pytest.raises(ValueError, match=rf"y holds {shown}\. Use transitions=None for other labels\."):
        bio_transitions(np.array(labels))


@pytest.mark.parametrize("labels", [["I-x", "O"], ["B-x", "I-x", "I-y"], ["I-x", "I-y"], ["I-", "O"]])
def test_check_bio_raises_for_inside_without_beginning(labels):
    """It could never be predicted, so such labels belong to another scheme."""
    inside = next(label for label in labels if label[0] == "I" and f"B{label[1:]}" not in labels)
    with pytest.raises(ValueError, match=rf"y holds '{inside}', but no 'B{inside[1:]}'"):
        bio_transitions(np.array(labels))
