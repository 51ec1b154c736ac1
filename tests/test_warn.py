"""Warnings point at the line of user code that called the package."""

import warnings

import numpy as np
import pytest

from seqclf import RNNClassifier, RNNTextClassifier, SequencePadder, TextTokenizer
from seqclf._warn import warn

TEXTS, Y = ["good film", "bad film", "good plot", "bad plot"], ["yes", "no", "yes", "no"]
SMALL = {"units": 2, "max_epochs": 1, "random_state": 0}
WARNING_CALLS = {
    "parameter": lambda: RNNTextClassifier(**SMALL, device="cuda:7").fit(TEXTS, Y),
    "channels": lambda: RNNClassifier(**SMALL).fit(np.ones((4, 2, 3)) * np.arange(4)[:, None, None], Y),
    "indicator": lambda: RNNTextClassifier(**SMALL).fit(TEXTS, np.eye(4)),
    "split": lambda: RNNTextClassifier(**SMALL, patience=1, validation_fraction=0.01).fit(TEXTS, Y),
    "transformer": lambda: SequencePadder().fit_transform(np.ones((4, 2, 3))),
    "tokens": lambda: TextTokenizer(level="word").fit([f"name{index}" for index in range(500)]),
}


@pytest.mark.parametrize("call", WARNING_CALLS.values(), ids=WARNING_CALLS)
def test_warn_points_at_the_line_of_the_user(call):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    assert {warning.filename for warning in caught} == {__file__}
    assert {warning.lineno for warning in caught} == {call.__code__.co_firstlineno}


def test_warn_outside_of_the_package_points_at_its_call():
    with pytest.warns(UserWarning, match="Attention") as caught:
        warn("Attention")
    assert caught[0].filename == __file__
