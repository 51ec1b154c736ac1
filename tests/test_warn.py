import warnings

import numpy as np
import pytest

from seqclf import RNNClassifier, RNNTextClassifier, SequencePadder, TextTokenizer
from seqclf._warn import warn

TEXTS, Y = ["good film", "bad film", "good plot", "bad plot"], ["yes", "no", "yes", "no"]
SMALL = {"units": 2, "max_epochs": 1, "random_state": 0}
MADE = {
    "parameter": lambda: RNNTextClassifier(**SMALL, device="cuda:7").fit(TEXTS, Y),
    "channels": lambda: RNNClassifier(**SMALL).fit(np.ones((4, 2, 3)) * np.arange(4)[:, None, None], Y),
    "indicator": lambda: RNNTextClassifier(**SMALL).fit(TEXTS, np.eye(4)),
    "split": lambda: RNNTextClassifier(**SMALL, patience=1, validation_fraction=0.01).fit(TEXTS, Y),
    "transformer": lambda: SequencePadder().fit_transform(np.ones((4, 2, 3))),
    "tokens": lambda: TextTokenizer(level="word").fit([f"name{number}" for number in range(500)]),
}


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_a_warning_points_at_the_line_of_the_user(make):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        make()
    assert {warning.filename for warning in caught} == {__file__}
    assert {warning.lineno for warning in caught} == {make.__code__.co_firstlineno}


def test_outside_of_the_package_it_is_the_line_of_the_call():
    with pytest.warns(UserWarning, match="Hear") as caught:
        warn("Hear")
    assert caught[0].filename == __file__
