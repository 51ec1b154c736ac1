"""Pickles of development versions from before 0.1.0 are refused by an error that says what to do."""

import pickle

import pytest

import seqclf
from seqclf import RNNClassifier, RNNTextClassifier

MESSAGE = rf"before the release of 0\.1\.0 .*seqclf {seqclf.__version__} can't read it\. Fit it again, or load it with"


def test_a_pickle_that_names_an_old_module():
    with pytest.raises(ImportError, match=MESSAGE):
        pickle.loads(b"cseqclf._sequences.nb_ratios\nNaiveBayesRatios\n.")


@pytest.mark.parametrize("cls", [RNNClassifier, RNNTextClassifier])
def test_a_state_without_a_task(cls):
    with pytest.raises(ImportError, match=MESSAGE):
        cls().__setstate__({"network_": ({}, {}), "classes_": [0, 1]})


def test_an_estimator_that_was_never_fitted_is_no_older():
    assert pickle.loads(pickle.dumps(RNNClassifier(units=3))).units == 3


def test_the_old_module_has_nothing_else():
    from seqclf._sequences import nb_ratios

    with pytest.raises(AttributeError, match="has no attribute 'RatedIds'"):
        nb_ratios.RatedIds  # noqa: B018
