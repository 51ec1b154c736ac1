"""`LabelFeatures`: which inputs and numbers of outputs each kind of features matches."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from _factories import ragged_ids, random_series
from seqclf._data.encoded import EncodedSequences, Spelling
from seqclf._label_features.label_features import InputKind
from seqclf._label_features.series_label_features import SeriesLabelFeatures
from seqclf._label_features.supervision import Calibration, Supervision
from seqclf._label_features.tag_label_features import TagLabelFeatures
from seqclf._label_features.text_label_features import TextLabelFeatures
from seqclf._label_features.token_features import TokenNames

N, VOCAB = 30, 8
NAMES = ["", "", *(f"word{i}" for i in range(2, VOCAB))]
TEXTS = InputKind(VOCAB, 0, spelled=True, per_step=False)
SERIES = InputKind(None, 2, spelled=False, per_step=False)
TAGS = InputKind(VOCAB, 0, spelled=True, per_step=True)


def supervise(n, n_outputs=2):
    members = csr_array((np.random.default_rng(1).random((n, n_outputs)) < 0.5).astype(float))
    calibration = Calibration(1.0, np.zeros(n_outputs), 0.5)
    return Supervision(members, np.ones(n), np.ones(n), np.arange(n) % 3, lambda scores: calibration, exclusive=False)


def random_rows():
    rng = np.random.default_rng(0)
    ids = ragged_ids([rng.integers(2, VOCAB, size=rng.integers(1, 9)) for _ in range(N)])
    return EncodedSequences(ids, spelling=Spelling(ids.values, [], VOCAB))


def fit_texts(nb_ngrams, wide_ngrams):
    features = TextLabelFeatures(nb_ngrams, wide_ngrams, VOCAB, TokenNames(NAMES, " "))
    features.fit_transform(random_rows(), supervise(N))
    return features


def fit_tags():
    features, rows = TagLabelFeatures(NAMES), random_rows()
    features.fit_transform(rows, supervise(rows.steps.n_steps))
    return features


def fit_series():
    features = SeriesLabelFeatures(seed=0)
    features.fit_transform(EncodedSequences(random_series([5] * N)), supervise(N))
    return features


@pytest.mark.parametrize(
    ("fit", "inputs", "n_step_features"),
    [
        (lambda: fit_texts(2, 2), TEXTS, 4),
        (lambda: fit_texts(0, 2), TEXTS, 0),
        (lambda: fit_texts(2, 0), TEXTS._replace(spelled=False), 4),
        (fit_tags, TAGS, 2),
        (fit_series, SERIES, 0),
    ],
    ids=["texts", "texts, scores", "texts, ratios", "tags", "series"],
)
def test_mismatch_is_none_for_the_inputs_of_fit(fit, inputs, n_step_features):
    features = fit()
    assert features.mismatch(inputs, 2) is None
    assert features.n_step_features == n_step_features


@pytest.mark.parametrize(
    ("fit", "inputs", "n_outputs", "message"),
    [
        (lambda: fit_texts(2, 2), TEXTS._replace(n_ids=9), 2, "its n-grams are those of texts of 8 token ids"),
        (lambda: fit_texts(2, 2), SERIES, 2, "its n-grams are those of texts of 8 token ids"),
        (lambda: fit_texts(2, 2), TAGS, 2, "its n-grams are those of texts of 8 token ids"),
        (lambda: fit_texts(2, 2), TEXTS._replace(spelled=False), 2, "n-grams of characters, but its tokens have no"),
        (lambda: fit_texts(2, 0), TEXTS, 3, "its n-gram tables are for 2 outputs, not 3"),
        (lambda: fit_texts(0, 2), TEXTS, 3, "its linear model has 2 outputs for 3"),
        (fit_tags, TEXTS, 2, "its linear model is one of tokens that have a label each"),
        (fit_tags, TAGS._replace(n_ids=9), 2, "its linear model has 8 tokens, not 9"),
        (fit_tags, TAGS, 1, "its linear model has 2 outputs for 1"),
        (fit_series, SERIES._replace(n_channels=3), 2, "its linear model is one of series of 2 channels"),
        (fit_series, TEXTS, 2, "its linear model is one of series of 2 channels"),
        (fit_series, SERIES, 1, "its linear model has 2 outputs for 1"),
    ],
)
def test_mismatch_names_the_difference(fit, inputs, n_outputs, message):
    assert message in fit().mismatch(inputs, n_outputs)
