"""Tagging: encoding of labels, steps without a label, weights and predictions."""

import re

import numpy as np
import pytest
import torch

from seqclf._data.ragged import Ragged
from seqclf._tasks.classification import Classification
from seqclf._tasks.tagging import Tagging

Y = [["b", None, "a"], [], ["c", "a"], [None]]
CODES = [1, -1, 0, 2, 0, -1]
LABELLED = np.array(CODES) >= 0


def fitted(y=Y, **settings):
    """The task, and the encoded labels."""
    task = Tagging(**settings)
    targets = task.fit(task.validate(y, y), np.ones(len(y)))
    task.fit_weights(targets, np.ones(len(y)))
    return task, targets


# Labels


def test_fit_encodes_sorted_classes():
    task, targets = fitted()
    assert task.classes.tolist() == ["a", "b", "c"]
    assert task.attributes()["classes_"] is task.classes
    assert task.n_outputs == 3
    assert targets.values.tolist() == CODES and targets.values.dtype == np.int64
    assert targets.lengths.tolist() == [3, 0, 2, 1]


@pytest.mark.parametrize("labels", [["no", "yes"], [0, 1], [3, -4], [False, True]])
def test_two_classes_have_one_output(labels):
    task, targets = fitted([labels, labels[:1]])
    assert task.n_outputs == 1
    assert task.classes.tolist() == sorted(labels)
    assert task.classes[targets.values].tolist() == [*labels, labels[0]]
    decoded = task.decode(Ragged(np.array([[2.0], [-2.0], [0.0]]), targets.lengths))
    low, high = sorted(labels)
    assert [row.tolist() for row in decoded] == [[high, low], [low]]


def test_one_class_raises():
    with pytest.raises(ValueError, match=r"y holds only one class: 'a'\."):
        fitted([["a", None], ["a"]])
    task = Tagging()
    y = task.validate([["a", "a"], ["b"]], range(2))
    with pytest.raises(ValueError, match=r"y holds only one class among some rows: 'a'\."):
        task.check_trainable(y.take([0]), among="some rows")
    task.check_trainable(y, among="all rows")


def test_rows_without_labels_raise():
    task = Tagging()
    y = task.validate([["a", "b"], [None, None]], range(2))
    with pytest.raises(ValueError, match="y has no label among some rows"):
        task.check_trainable(y.take([1]), among="some rows")
    with pytest.raises(ValueError, match="y has no label"):
        task.fit(y.take([1]), np.ones(1))


def test_encode_names_an_unknown_label():
    task, _ = fitted()
    tags = task.validate([["a", "z"], ["b", None]], range(2), name="y_val", rows_name="X_val")
    with pytest.raises(ValueError, match=re.escape("y_val holds ['z'], but the classes of y are ['a', 'b', 'c']")):
        task.encode(tags, name="y_val")
    assert task.encode(tags.take([1]), name="y_val").values.tolist() == [1, -1]


def test_refit_accepts_only_the_same_classes():
    before, _ = fitted()
    again = Tagging()
    y = again.validate([["c", "b", None, "a"]], range(1))
    assert again.refit(y, before).values.tolist() == [2, 1, -1, 0]
    assert again.classes.tolist() == before.classes.tolist()
    for labels in (["a", "b"], ["a", "b", "d"], ["a", "b", "c", "d"]):
        with pytest.raises(ValueError, match="With warm_start=True, y must hold the classes of the first fit"):
            Tagging().refit(again.validate([labels], range(1)), before)


# Steps without a label


def test_steps_without_a_label_have_weight_0():
    task, targets = fitted()
    assert task.loss_weights(targets).tolist() == LABELLED.tolist()
    assert task.score_weights(targets).tolist() == LABELLED.tolist()
    supervised = task.supervision_targets(targets).toarray()
    assert supervised.tolist() == [[0, 1, 0], [0, 0, 0], [1, 0, 0], [0, 0, 1], [1, 0, 0], [0, 0, 0]]


def test_loss_weights_raises_for_validation_rows_without_labels():
    task, targets = fitted()
    with pytest.raises(ValueError, match="No step of the training rows, or none of the validation rows, has a label"):
        task.loss_weights(targets.take([1, 3]))
    assert task.loss_weights(targets.take([0, 3])).tolist() == [1, 0, 1, 0]


def test_supervision_targets_of_two_classes_have_one_column():
    task, targets = fitted([["y", None, "x"], ["y"]])
    assert task.supervision_targets(targets).toarray().tolist() == [[1], [0], [0], [1]]


def test_losses_and_score_match_a_classification_of_labelled_steps():
    task, targets = fitted()
    plain = Classification()
    codes = plain.fit(task.classes[targets.values[LABELLED]], None)
    outputs = torch.from_numpy(np.random.default_rng(0).normal(size=(6, 3)))
    losses = task.losses(outputs, torch.from_numpy(targets.values))
    assert torch.isfinite(losses).all()
    assert torch.equal(losses[LABELLED], plain.losses(outputs[LABELLED], torch.from_numpy(codes)))
    weights = torch.from_numpy(task.score_weights(targets))
    found = task.score(task.summarise(outputs), torch.from_numpy(targets.values), weights)
    hits = outputs.argmax(dim=1).numpy()[LABELLED] == codes
    assert float(found) == pytest.approx(hits.mean(), abs=1e-15)


def test_calibrate_ignores_steps_without_a_label():
    rng = np.random.default_rng(0)
    y = [[None if rng.random() < 0.3 else "abc"[i] for i in rng.integers(3, size=20)] for _ in range(10)]
    task, targets = fitted(y)
    scores = rng.normal(size=(200, 3)) + 2 * (targets.values[:, None] == np.arange(3))
    other = scores.copy()
    other[targets.values < 0] = 1e6
    expected, found = (task.calibrate(each, targets, np.ones(200)) for each in (scores, other))
    assert found.loss == expected.loss
    np.testing.assert_array_equal(found.estimates(scores), expected.estimates(scores))
    assert task.calibrate(np.roll(scores, 1, axis=0), targets, np.ones(200)).loss != expected.loss


# Weights of classes


def test_class_weight_balanced_uses_labelled_steps_and_sample_weights():
    task = Tagging("balanced")
    y = task.validate([["a", "a", None, "b"], ["a"]], range(2))
    targets = task.fit(y, np.ones(2))
    task.fit_weights(targets, np.array([1.0, 0.5]))
    # The labelled steps of "a" weigh 2.5 in total, those of "b" 1.
    a, b = 3.5 / (2 * 2.5), 3.5 / 2
    np.testing.assert_allclose(task.loss_weights(targets), [a, a, 0, b, a], rtol=1e-12)
    assert task.score_weights(targets).tolist() == [1, 1, 0, 1, 1]


def test_class_weight_dict_sets_loss_weights():
    task, targets = fitted(class_weight={"a": 2.0, "b": 0.5, "c": 1.0})
    assert task.loss_weights(targets).tolist() == [0.5, 0, 2, 1, 2, 0]


# Outputs


def test_decode_and_probabilities_match_softmax():
    task, targets = fitted()
    outputs = Ragged(np.random.default_rng(1).normal(size=(6, 3)), targets.lengths)
    labels, probabilities = task.decode(outputs), task.probabilities(outputs)
    assert labels.dtype == probabilities.dtype == object and labels.shape == probabilities.shape == (4,)
    assert [row.shape for row in probabilities] == [(3, 3), (0, 3), (2, 3), (1, 3)]
    expected = np.exp(outputs.values) / np.exp(outputs.values).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(np.concatenate(list(probabilities)), expected, rtol=1e-12)
    assert np.concatenate(list(labels)).tolist() == task.classes[outputs.values.argmax(axis=1)].tolist()
    assert [len(row) for row in labels] == [3, 0, 2, 1]


def test_transitions_bio_predicts_legal_labels():
    task, _ = fitted([["O", "B-x", "I-x"]], transitions="bio")
    assert task.classes.tolist() == ["B-x", "I-x", "O"]
    outputs = Ragged(np.array([[0.0, 3.0, 2.0], [1.0, 3.0, 2.0], [0.0, 9.0, 5.0]]), np.array([1, 2]))
    assert [row.tolist() for row in task.decode(outputs)] == [["O"], ["B-x", "I-x"]]
    free, _ = fitted([["O", "B-x", "I-x"]])
    assert [row.tolist() for row in free.decode(outputs)] == [["I-x"], ["I-x", "I-x"]]
    np.testing.assert_array_equal(task.probabilities(outputs)[1], free.probabilities(outputs)[1])


def test_transitions_bio_with_two_classes():
    """The single logit gives the log-probabilities of both classes."""
    task, _ = fitted([["B-x", "I-x"]], transitions="bio")
    outputs = Ragged(np.array([[9.0], [2.0], [-1.0]]), np.array([3]))
    assert task.decode(outputs)[0].tolist() == ["B-x", "I-x", "B-x"]


def test_transitions_bio_raises_for_other_labels_in_fit():
    with pytest.raises(ValueError, match=r"transitions=.bio. needs labels that are .O.*y holds \'NOUN\'"):
        fitted([["O", "NOUN"]], transitions="bio")
