"""Checks that X and its targets belong together: indexes, numbers of rows and steps."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from seqclf import RNNClassifier, RNNTextClassifier
from seqclf._validation.alignment import check_one_target_per_step, warn_if_indexes_differ

TEXTS = pd.Series(["good film", "bad film"] * 3, index=list("abcdef"))
Y = np.array([1, 0] * 3)


def test_different_indexes_warn_with_the_first_row():
    other = pd.Series(Y, index=list("abcefd"))
    words = r"X and y have different indexes.*of row 3 is 'd' in X, and 'e' in y\..*y\.loc\[X\.index\].*y\.to_numpy\(\)"
    with pytest.warns(UserWarning, match=words):
        warn_if_indexes_differ(TEXTS, 6, y=other)
    with pytest.warns(UserWarning, match="X_val and groups have different"):
        warn_if_indexes_differ(TEXTS.to_frame(), 6, name="X_val", groups=other.to_frame())


@pytest.mark.parametrize("y", [Y, Y.tolist(), pl.Series(Y), None, pd.Series(Y, index=TEXTS.index), pd.Series(Y[:4])])
def test_equal_or_missing_indexes_do_not_warn(y):
    warn_if_indexes_differ(TEXTS, 6, y=y)
    warn_if_indexes_differ(TEXTS.tolist(), 6, y=pd.Series(Y))
    warn_if_indexes_differ(TEXTS.to_numpy(), 6, y=pd.Series(Y))


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
def test_frame_with_more_rows_than_labels_is_an_error_with_advice(make):
    frame = make({"id": [1, 1, 2], "x": [0.0, 1.0, 2.0]})
    with pytest.raises(ValueError, match=r"y has 2 values, but X has 3 rows.*seqclf\.series_from_frame\(X, id="):
        warn_if_indexes_differ(frame, 3, y=[0, 1])
    warn_if_indexes_differ(frame, 3, y=[0, 1, 0, 1])  # a later check raises that error


def test_fit_matches_texts_by_position_with_a_warning():
    with pytest.warns(UserWarning, match="X and y have different indexes"):
        fitted = RNNTextClassifier(units=2, max_epochs=1, random_state=0).fit(TEXTS, pd.Series(Y))
    plain = RNNTextClassifier(units=2, max_epochs=1, random_state=0).fit(TEXTS, Y)
    np.testing.assert_array_equal(fitted.decision_function(TEXTS), plain.decision_function(TEXTS))


def test_check_one_target_per_step():
    check_one_target_per_step(np.array([3, 0]), np.array([3, 0]), "X", "y")
    with pytest.raises(ValueError, match=r"^Row 1 of y_val has 2 targets, but row 1 of X_val has 1 step: .*step\.$"):
        check_one_target_per_step(np.array([3, 2]), np.array([3, 1]), "X_val", "y_val")


def test_check_one_target_per_step_has_advice_for_padded_targets():
    with pytest.raises(ValueError, match="All rows of y have 3 targets: if they are padded, remove the padding"):
        check_one_target_per_step(np.array([3, 3]), np.array([3, 1]), "X", "y")
    with pytest.raises(ValueError, match=r"one target for each step\.$"):
        check_one_target_per_step(np.array([3, 3]), np.array([4, 1]), "X", "y")


class NoIndex:
    @property
    def index(self):
        raise RuntimeError("no index")


def test_error_of_an_index_property_is_converted():
    with pytest.raises(ValueError, match="y can't be read, because it raises RuntimeError: no index"):
        warn_if_indexes_differ(TEXTS, 6, y=NoIndex())


def small_classifier():
    return RNNClassifier(units=2, max_epochs=1, conv_filters=2, random_state=0, n_threads=1)


VALUES = np.round(64 * np.random.default_rng(0).normal(size=(12, 7))) / 64
LABELS = np.arange(12) % 2


def test_fit_warns_of_different_indexes_of_each_argument():
    table = pd.DataFrame(VALUES, index=range(100, 112))
    words = r"X and y have different indexes, but are matched by position: the index of row 0 is 100 in X, and 0 in y"
    with pytest.warns(UserWarning, match=words):
        fitted = small_classifier().fit(table, pd.Series(LABELS))
    expected = small_classifier().fit(table, LABELS).decision_function(table)
    np.testing.assert_array_equal(fitted.decision_function(table), expected)
    with pytest.warns(UserWarning, match="row 0 is 100 in X, and 111 in sample_weight"):
        small_classifier().fit(table, LABELS, sample_weight=pd.Series(1.0, index=table.index[::-1]))
    with pytest.warns(UserWarning, match="X_val and y_val have different indexes"):
        small_classifier().fit(table, LABELS, X_val=table, y_val=pd.Series(LABELS))


def test_fit_with_equal_or_missing_indexes_does_not_warn():
    table = pd.DataFrame(VALUES, index=list("abcdefghijkl"))
    expected = small_classifier().fit(table, LABELS).decision_function(table)
    for y in (pd.Series(LABELS, index=table.index), LABELS.tolist(), pl.Series(LABELS)):
        np.testing.assert_array_equal(small_classifier().fit(table, y).decision_function(table), expected)
    small_classifier().fit(VALUES[:, :, None], pd.Series(LABELS, index=range(5, 17)))
