"""The legacy module: pickles that name it raise one clear error."""

import pickle

import pytest

import seqclf
from seqclf._sequences import nb_ratios


def test_loading_an_old_pickle_raises_a_clear_error():
    message = rf"before the release of 0\.1\.0 .*seqclf {seqclf.__version__} can't load it\. Fit it again, or load it"
    with pytest.raises(ImportError, match=message):
        pickle.loads(b"cseqclf._sequences.nb_ratios\nNaiveBayesRatios\n.")


def test_module_has_no_other_names():
    with pytest.raises(AttributeError, match="has no attribute 'NGrams'"):
        nb_ratios.NGrams  # noqa: B018
