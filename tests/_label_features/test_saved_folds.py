"""Saved models of folds: restored to the bit; states that do not match the features are rejected."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from _factories import ragged_ids, random_series
from seqclf._data.encoded import EncodedSequences
from seqclf._label_features.saved import label_features_from_state, label_features_to_state
from seqclf._label_features.saved_folds import fold_models_to_state, load_fold_models
from seqclf._label_features.series_label_features import SeriesLabelFeatures
from seqclf._label_features.supervision import Calibration, Supervision
from seqclf._label_features.text_label_features import TextLabelFeatures
from seqclf._saved import Saved, SavedStateError

N, VOCAB = 40, 9
FOLD = np.arange(N) % 3


def supervise():
    members = csr_array((np.random.default_rng(1).random((N, 2)) < 0.5).astype(float))
    calibration = Calibration(1.5, np.array([0.1, -0.1]), 0.5)
    return Supervision(members, np.ones(N), np.ones(N), FOLD, lambda scores: calibration, exclusive=False)


def fit_texts(nb_ngrams=2, wide_ngrams=2, keep_folds=True):
    rng = np.random.default_rng(0)
    rows = EncodedSequences(ragged_ids([rng.integers(2, VOCAB, size=rng.integers(0, 9)) for _ in range(N)]))
    features = TextLabelFeatures(nb_ngrams, wide_ngrams, VOCAB, None)
    features.fit_transform(rows, supervise(), keep_folds)
    return features, rows


def fit_series():
    rows = EncodedSequences(random_series(np.random.default_rng(0).integers(1, 6, size=N)))
    features = SeriesLabelFeatures(seed=0)
    features.fit_transform(rows, supervise(), keep_folds=True)
    return features, rows


CASES = {
    "texts": fit_texts,
    "texts, n-grams only": lambda: fit_texts(wide_ngrams=0),
    "texts, linear model only": lambda: fit_texts(nb_ngrams=0),
    "series": fit_series,
}


def restore(features):
    """The features without the models of folds."""
    return label_features_from_state(Saved(label_features_to_state(features)), None)


def arrays_of(sequences):
    features = [] if sequences.features is None else [sequences.step_features]
    return features + ([] if sequences.scores is None else [sequences.scores])


@pytest.mark.parametrize("case", CASES)
def test_read_fold_models_restores_the_features_without_each_fold(case):
    features, rows = CASES[case]()
    restored = restore(features)
    load_fold_models(Saved(fold_models_to_state(features)), restored)
    expected = arrays_of(features.transform(rows, FOLD))
    for found, array in zip(arrays_of(restored.transform(rows, FOLD)), expected, strict=True):
        np.testing.assert_array_equal(found, array, strict=True)
    for all_rows, array in zip(arrays_of(features.transform(rows)), expected, strict=True):
        assert (all_rows != array).any(), "the models of folds differ from that of all rows"


def test_features_without_fold_models_have_an_empty_state():
    features, rows = fit_texts(keep_folds=False)
    state = fold_models_to_state(features)
    assert state == {"tables": None, "models": []}
    restored = restore(features)
    load_fold_models(Saved(state), restored)
    expected = arrays_of(features.transform(rows))
    for found, array in zip(arrays_of(restored.transform(rows, FOLD)), expected, strict=True):
        np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state["tables"].pop(), "tables of folds have other shapes"),
        (lambda state: state["tables"][0].update(values=state["tables"][0]["values"][:, :-1]), "other shapes"),
        (lambda state: state["tables"][0].update(values=state["tables"][0]["values"][:-1]), "differ in their folds"),
        (lambda state: state["models"].pop(), "not a linear model for each fold"),
        (lambda state: state["models"][0].update(coef=state["models"][0]["coef"][:-1]), "coef is an array"),
        (lambda state: state["models"][0].update(intercept=np.array([np.nan, 0], np.float32)), "intercept holds NaN"),
        (lambda state: state.pop("models"), "models is missing"),
    ],
)
def test_read_fold_models_rejects_invalid_states(change, message):
    features, _ = fit_texts()
    state = fold_models_to_state(features)
    change(state)
    with pytest.raises(SavedStateError, match=message):
        load_fold_models(Saved(state), restore(features))


def test_read_fold_models_rejects_tables_for_features_without_ngrams():
    state = fold_models_to_state(fit_texts()[0])
    for features, _ in (fit_texts(nb_ngrams=0), fit_series()):
        with pytest.raises(SavedStateError, match="tables of folds and no n-grams"):
            load_fold_models(Saved(state), restore(features))
