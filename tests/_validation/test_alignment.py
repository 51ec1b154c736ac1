"""Rows and the values that go with them: other indexes are warned of, long frames are named."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from seqclf import RNNTextClassifier
from seqclf._validation.alignment import match_rows, match_steps

TEXTS = pd.Series(["good film", "bad film"] * 3, index=list("abcdef"))
Y = np.array([1, 0] * 3)


def test_the_first_row_that_differs_is_named():
    other = pd.Series(Y, index=list("abcefd"))
    words = r"X and y have different indexes.*row 3 is 'd' in X, and 'e' in y\..*y\.loc\[X\.index\].*y\.to_numpy\(\)"
    with pytest.warns(UserWarning, match=words):
        match_rows(TEXTS, 6, y=other)
    with pytest.warns(UserWarning, match="X_val and groups have different"):
        match_rows(TEXTS.to_frame(), 6, name="X_val", groups=other.to_frame())


@pytest.mark.parametrize("y", [Y, Y.tolist(), pl.Series(Y), None, pd.Series(Y, index=TEXTS.index), pd.Series(Y[:4])])
def test_nothing_to_say(y):
    match_rows(TEXTS, 6, y=y)
    match_rows(TEXTS.tolist(), 6, y=pd.Series(Y))
    match_rows(TEXTS.to_numpy(), 6, y=pd.Series(Y))


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
def test_a_frame_with_more_rows_than_labels(make):
    frame = make({"id": [1, 1, 2], "x": [0.0, 1.0, 2.0]})
    with pytest.raises(ValueError, match=r"y has 2 values, but X has 3 rows.*seqclf\.series_from_frame\(X, id="):
        match_rows(frame, 3, y=[0, 1])
    match_rows(frame, 3, y=[0, 1, 0, 1])  # another message says so


def test_texts_are_matched_by_position_too():
    with pytest.warns(UserWarning, match="X and y have different indexes"):
        fitted = RNNTextClassifier(units=2, max_epochs=1, random_state=0).fit(TEXTS, pd.Series(Y))
    plain = RNNTextClassifier(units=2, max_epochs=1, random_state=0).fit(TEXTS, Y)
    np.testing.assert_array_equal(fitted.decision_function(TEXTS), plain.decision_function(TEXTS))


def test_a_target_for_each_step():
    match_steps(np.array([3, 0]), np.array([3, 0]), "X", "y")
    with pytest.raises(ValueError, match=r"^Row 1 of y_val has 2 targets, but row 1 of X_val has 1 steps: .*step\.$"):
        match_steps(np.array([3, 2]), np.array([3, 1]), "X_val", "y_val")


def test_padded_targets_get_a_hint():
    with pytest.raises(ValueError, match="All rows of y have 3: if y is padded, as X may be, leave its padding out"):
        match_steps(np.array([3, 3]), np.array([3, 1]), "X", "y")
    with pytest.raises(ValueError, match=r"one target for each step\.$"):
        match_steps(np.array([3, 3]), np.array([4, 1]), "X", "y")


class NoIndex:
    @property
    def index(self):
        raise RuntimeError("no index")


def test_values_whose_attributes_raise():
    with pytest.raises(ValueError, match="y can't be read, because it raises RuntimeError: no index"):
        match_rows(TEXTS, 6, y=NoIndex())
