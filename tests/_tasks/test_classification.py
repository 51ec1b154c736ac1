"""Classification: encoding and decoding of labels, supervision targets, weights, loss and score."""

import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from scipy.sparse import csr_array
from sklearn.exceptions import DataConversionWarning
from sklearn.linear_model import LogisticRegression

from seqclf._tasks.classification import Classification

INF = float("inf")
NAN = float("nan")


def fitted(y, n_rows=None, class_weight=None):
    """The task, and the encoded labels."""
    task = Classification(class_weight)
    return task, task.fit(task.validate(y, range(len(y) if n_rows is None else n_rows)), None)


# Labels


@pytest.mark.parametrize(
    ("y", "classes", "codes"),
    [
        (["b", "a", "b"], ["a", "b"], [1, 0, 1]),
        ((2, 0, 2), [0, 2], [1, 0, 1]),
        ([1.0, 3.0, 1.0], [1.0, 3.0], [0, 1, 0]),
        (np.array([True, False, True]), [False, True], [1, 0, 1]),
        (np.array(["b", "a", "b"], dtype=object), ["a", "b"], [1, 0, 1]),
        (pd.Series(["b", "a", "b"], index=[5, 5, 5]), ["a", "b"], [1, 0, 1]),
        (pd.Series(["b", "a", "b"], dtype="category"), ["a", "b"], [1, 0, 1]),
        (pl.Series(["b", "a", "b"]), ["a", "b"], [1, 0, 1]),
    ],
)
def test_fit_encodes_sorted_classes(y, classes, codes):
    task, found = fitted(y, 3)
    assert task.classes.tolist() == classes
    assert found.tolist() == codes
    assert found.dtype == np.int64


def test_validate_warns_about_a_column_vector():
    with pytest.warns(DataConversionWarning, match="column-vector y"):
        _, codes = fitted(np.array([[1], [0]]), 2)
    assert codes.tolist() == [1, 0]


BAD_LABELS = [
    (None, "requires y to be passed, but the target y is None"),
    ([0, 1], "y has 2 labels, but X has 3 rows.*inconsistent numbers of samples"),
    ([0, 1, NAN], "Input y contains NaN.*row 2 is.*nan"),
    ([0, INF, 1], "Input y contains infinity.*row 1 is.*inf"),
    (["a", None, "b"], "Input y contains NaN.*row 1 is None"),
    (["a", "b", NAN], "Input y contains NaN.*row 2 is nan"),
    (pd.Series(["a", "b", None]), "Input y contains NaN.*row 2"),
    (pd.Series(["a", "b", pd.NA], dtype=object), "Input y contains NaN.*row 2 is <NA>"),
    (pl.Series(["a", "b", None]), "Input y contains NaN.*row 2 is None"),
    (["a", "b", 1], "labels in y mix int and str"),
    ([0.1, 0.2, 0.3], "Unknown label type: continuous"),
    ([[0, 1], [1, 0], [1, 1]], "y should be a 1d array"),
    (np.array(["2020-01-01", "2020-01-02", "NaT"], dtype="M8[D]"), "Input y contains NaN.*row 2 is.*NaT"),
    (pd.Series(pd.to_datetime(["2020-01-01", None, "2020-01-02"])), "Input y contains NaN.*row 1 is.*NaT"),
    (np.array([0, 1, 0], dtype=object), "Unknown label type: y is an object array that holds int"),
    (np.array([False, True, 0], dtype=object), "Unknown label type: y is an object array that holds bool and int"),
    ([1, 1, 1], "y holds only one class: 1. .* at least 2 classes, and got 1 class"),
    (["a", "a", "a"], "only one class: 'a'"),
]


@pytest.mark.parametrize(("y", "words"), BAD_LABELS)
def test_validate_raises_for_bad_labels(y, words):
    with pytest.raises(ValueError, match=words):
        fitted(y, 3)


@pytest.mark.parametrize("labels", [[0, 1, 0], [True, False, True], [1.0, 2.0, 1.0]])
@pytest.mark.parametrize("fit", [fitted, lambda y, n: LogisticRegression().fit(np.eye(n), y)])
def test_numbers_in_an_object_array_raise_as_in_scikit_learn(labels, fit):
    with pytest.raises(ValueError, match="Unknown label type"):
        fit(np.array(labels, dtype=object), 3)


def test_validate_raises_for_masked_labels():
    with pytest.raises(TypeError, match="y is a masked array"):
        fitted(np.ma.masked_array([0, 1, 0], mask=[0, 0, 1]), 3)


def test_messages_name_the_argument_and_the_row():
    task = Classification()
    with pytest.raises(ValueError, match="y_val has 2 labels, but X_val has 3 rows"):
        task.validate(["a", "b"], range(3), name="y_val", rows_name="X_val")
    with pytest.raises(ValueError, match=r"Input y_val contains NaN.*row 1 is None"):
        task.validate(["a", None, "b"], range(3), name="y_val", rows_name="X_val")
    with pytest.raises(ValueError, match=r"y holds only one class among some rows: 'a'. .* at least 2 classes"):
        task.check_trainable(np.array(["a", "a"]), among="some rows")


@pytest.mark.parametrize(
    ("labels", "codes"),
    [(["b", "a", "b"], [1, 0, 1]), (["c"], [2]), ([], []), (np.array(["c", "a"], dtype=object), [2, 0])],
)
def test_encode_returns_indices_into_classes(labels, codes):
    task, _ = fitted(["c", "a", "b"])
    found = task.encode(np.asarray(labels), name="y_val")
    assert found.tolist() == codes
    assert found.dtype == np.int64


def test_encode_names_unknown_labels():
    task, _ = fitted(["a", "b", "a"])
    words = (
        r"y_val holds \['x', 'y'\], but the classes of y are \['a', 'b'\]: each label of y_val must be one of them\."
    )
    with pytest.raises(ValueError, match=words):
        task.encode(np.array(["a", "x", "y", "x"]), name="y_val")


# Warm starts


def test_refit_accepts_the_classes_of_the_first_fit():
    before, _ = fitted(["b", "a", "b"])
    task = Classification()
    assert task.refit(np.array(["a", "b", "a", "a"]), before).tolist() == [0, 1, 0, 0]
    assert task.classes.tolist() == ["a", "b"]
    assert task.n_outputs == 1


@pytest.mark.parametrize("labels", [["a", "c"], ["a", "b", "c"], ["x", "y"]])
def test_refit_raises_for_other_classes(labels):
    before, _ = fitted(["b", "a", "b"])
    words = f"With warm_start=True, y must hold the classes of the first fit, ['a', 'b']; got {labels!r}."
    with pytest.raises(ValueError, match=re.escape(words)):
        Classification().refit(np.array(labels), before)


def test_refit_raises_for_a_missing_class():
    before, _ = fitted([0, 1, 2])
    with pytest.raises(ValueError, match=r"must hold the classes of the first fit, \[0, 1, 2\]; got \[0, 2\]\."):
        Classification().refit(np.array([0, 2, 2]), before)
    with pytest.raises(ValueError, match="y holds only one class: 2"):
        Classification().refit(np.array([2, 2]), before)


# Supervision targets and strata


@pytest.mark.parametrize(
    ("labels", "n_outputs", "expected"),
    [
        (["b", "a", "b", "b"], 1, [[1], [0], [1], [1]]),
        (["b", "a", "c", "b"], 3, [[0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0]]),
    ],
)
def test_supervision_targets_are_class_memberships(labels, n_outputs, expected):
    """One column for the second of two classes, otherwise one column for each class."""
    task, codes = fitted(labels)
    assert task.n_outputs == n_outputs
    found = task.supervision_targets(codes)
    assert isinstance(found, csr_array) and found.dtype == np.float64
    assert found.toarray().tolist() == expected
    assert found.nnz == np.sum(expected)
    assert task.supervision_targets(codes[:0]).shape == (0, n_outputs)


def test_supervision_targets_of_some_rows_have_a_column_for_each_class():
    task, codes = fitted(["b", "a", "c", "b"])
    assert task.supervision_targets(codes[:2]).toarray().tolist() == [[0, 1, 0], [1, 0, 0]]


@pytest.mark.parametrize("labels", [["b", "a", "b"], ["b", "a", "c"]])
def test_strata_are_the_classes(labels):
    task, codes = fitted(labels)
    strata = task.strata(codes)
    assert strata.of_rows.tolist() == codes.tolist()
    assert (strata.one, strata.several) == ("class", "classes")


# Weights of classes


def test_class_weight_none_weighs_all_rows_equally():
    task, codes = fitted(["b", "a", "b", "c"])
    task.fit_weights(codes, np.array([0.1, 1.0, 0.5, 0.2]))
    assert task.loss_weights(codes).tolist() == [1, 1, 1, 1]


def test_class_weight_dict_sets_loss_weights():
    task, codes = fitted(["b", "a", "b", "c"], class_weight={"b": 3, "c": 0.5})
    task.fit_weights(codes, np.ones(4))
    assert task.loss_weights(codes).tolist() == [3, 1, 3, 0.5]
    assert task.loss_weights(np.array([2, 2, 0])).tolist() == [0.5, 0.5, 1]


def test_class_weight_balanced_uses_sample_weights():
    task, codes = fitted(["b", "a", "b", "c"], class_weight="balanced")
    weights = np.array([0.1, 1.0, 0.5, 0.2])
    task.fit_weights(codes, weights)
    # The total weight of all rows is 1.8; that of each class should be a third of it.
    np.testing.assert_allclose(task.loss_weights(np.arange(3)), 0.6 / np.array([1.0, 0.6, 0.2]), rtol=1e-12)
    class_totals = np.bincount(codes, weights * task.loss_weights(codes))
    np.testing.assert_allclose(class_totals, 0.6, rtol=1e-12)


def test_fit_weights_raises_if_one_class_has_a_weight():
    task, codes = fitted(["b", "a", "b"], class_weight={"a": 0})
    with pytest.raises(ValueError, match=r"class_weight=\{'a': 0\} leaves fewer than 2 classes in y .*at least 2 are"):
        task.fit_weights(codes, np.ones(3))


def test_loss_weights_raises_if_no_row_has_a_weight():
    task, codes = fitted(["b", "a", "c"], class_weight={"a": 0})
    task.fit_weights(codes, np.ones(3))
    assert task.loss_weights(codes).tolist() == [1, 0, 1]
    with pytest.raises(
        ValueError, match=r"class_weight=\{'a': 0\} leaves no row with a weight above 0 in the training"
    ):
        task.loss_weights(np.array([0, 0]))


def test_fit_weights_raises_for_an_extreme_ratio_of_class_weights():
    task, codes = fitted(["b", "a", "b"], class_weight={"a": 1e308})
    words = r"class_weight=\{'a': 1e\+308\} ranges from 1\.0 for the class 'b' to 1e\+308 for 'a': .*1e-30 times"
    with pytest.raises(ValueError, match=words):
        task.fit_weights(codes, np.ones(3))


@pytest.mark.parametrize("size", [1e308, 1e-308])
def test_loss_weights_depend_on_the_ratio_of_class_weights_only(size):
    task, codes = fitted(["b", "a", "b"], class_weight={"a": size, "b": size / 2})
    task.fit_weights(codes, np.ones(3))
    assert task.loss_weights(codes).tolist() == [0.5, 1.0, 0.5]


def test_fit_weights_names_unknown_labels_in_class_weight():
    task, codes = fitted([0, 1, 0], class_weight={"0": 2.0, 1: 3.0})
    words = r"The classes, \[0\], are not in class_weight, whose keys \['0'\] are not in y: the keys must be labels"
    with pytest.raises(ValueError, match=words):
        task.fit_weights(codes, np.ones(3))
    task, codes = fitted([0, 1, 0], class_weight={0: 2.0, 1: 3.0, 7: 1.0})
    task.fit_weights(codes, np.ones(3))
    assert task.loss_weights(codes).tolist() == [2, 3, 2]


# Loss, score and predictions


def test_loss_score_and_predictions_of_two_classes_by_hand():
    task, codes = fitted(["no", "yes", "yes", "no"])
    logits = np.array([[-1.5], [0.25], [-0.5], [0.0]])
    losses = task.losses(torch.from_numpy(logits), torch.from_numpy(codes))
    p = 1 / (1 + np.exp(-logits[:, 0]))
    np.testing.assert_allclose(losses, -np.log(np.where(codes == 1, p, 1 - p)), rtol=1e-12)
    weights = torch.tensor([1.0, 2.0, 4.0, 8.0], dtype=torch.float64)
    score = task.score(task.summarise(torch.from_numpy(logits)), torch.from_numpy(codes), weights)
    assert score.item() == 11 / 15, "all except the third are correct"
    assert task.decode(logits).tolist() == ["no", "yes", "no", "no"]
    np.testing.assert_allclose(task.probabilities(logits), np.column_stack([1 - p, p]), rtol=1e-12)
    np.testing.assert_allclose(task.log_probabilities(logits), np.log(np.column_stack([1 - p, p])), rtol=1e-12)
    assert task.log_probabilities(np.array([[900.0]])).tolist() == [[-900, 0]]


def test_loss_score_and_predictions_of_three_classes_by_hand():
    task, codes = fitted(["b", "a", "c"])
    logits = np.array([[0.5, 1.5, -1.0], [0.0, 0.25, 0.0], [-1.0, -2.0, 3.0]])
    losses = task.losses(torch.from_numpy(logits), torch.from_numpy(codes))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(losses, -np.log(p[np.arange(3), codes]), rtol=1e-12)
    weights = torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64)
    score = task.score(task.summarise(torch.from_numpy(logits)), torch.from_numpy(codes), weights)
    assert score.item() == 5 / 7, "all except the second are correct"
    assert task.decode(logits).tolist() == ["b", "b", "c"]
    np.testing.assert_allclose(task.probabilities(logits), p, rtol=1e-12)
    np.testing.assert_allclose(task.log_probabilities(logits), np.log(p), rtol=1e-12)
    assert task.log_probabilities(np.array([[900.0, 0.0, 0.0]])).tolist() == [[0, -900, -900]]


@pytest.mark.parametrize(
    "y", [[0.1, 0.2, 0.3], [b"a", b"b", b"a"], pd.Series(pd.date_range("2020", periods=3, tz="UTC"))]
)
def test_validate_advises_how_to_convert_labels_that_are_not_classes(y):
    with pytest.raises((TypeError, ValueError), match=r"y holds .* in row 0: expected a class.*numpy.digitize"):
        fitted(y, 3)
