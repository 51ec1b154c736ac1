import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline

from seqclf.datasets import make_order_reviews, make_order_series

MAKERS = [make_order_reviews, make_order_series]


def score(model, X, bunch):
    return cross_val_score(model, X, bunch.target, groups=bunch.groups, cv=GroupKFold(5)).mean()


def in_pairs(bunch):
    """The samples (of class 0, of class 1) of every pair."""
    indices = {pair: index for index, pair in enumerate(zip(bunch.groups, bunch.target, strict=True))}
    n_pairs = len(bunch.target) // 2
    assert set(indices) == {(group, label) for group in range(n_pairs) for label in (0, 1)}
    return [tuple(bunch.data[indices[group, label]] for label in (0, 1)) for group in range(n_pairs)]


def test_make_order_reviews_pairs_have_the_same_words():
    for negative, positive in in_pairs(make_order_reviews(200, random_state=0, return_X_y=False)):
        assert negative != positive
        assert sorted(negative.split()) == sorted(positive.split())


def test_make_order_reviews_needs_the_order_of_words():
    bunch = make_order_reviews(400, random_state=0, return_X_y=False)
    words, word_pairs = (
        make_pipeline(CountVectorizer(ngram_range=(1, n), token_pattern=r"\S+"), LogisticRegression()) for n in (1, 2)
    )
    assert score(words, bunch.data, bunch) == 0.5
    assert score(word_pairs, bunch.data, bunch) > 0.9


def test_noise_words_limits_the_length_of_texts():
    short = make_order_reviews(200, noise_words=0, random_state=0, return_X_y=False)
    long = make_order_reviews(200, noise_words=30, random_state=0, return_X_y=False)
    assert max(len(text.split()) for text in short.data) < 15
    assert max(len(text.split()) for text in long.data) > 40
    assert len({len(text.split()) for text in long.data}) > 20


def test_make_order_series_pairs_have_the_same_values():
    bunch = make_order_series(100, n_steps=(8, 30), n_channels=3, random_state=0, return_X_y=False)
    for trough_first, peak_first in in_pairs(bunch):
        assert not np.array_equal(trough_first, peak_first)
        assert_array_equal(np.sort(trough_first, axis=0), np.sort(peak_first, axis=0))
        # The channels of a step are moved together.
        assert sorted(map(tuple, trough_first)) == sorted(map(tuple, peak_first))


def test_make_order_series_class_is_the_first_bump():
    data, target = make_order_series(100, n_steps=(8, 60), n_channels=2, noise=0.0, random_state=0)
    for series, label in zip(data, target, strict=True):
        peak, trough = series.argmax(axis=0), series.argmin(axis=0)
        assert_array_equal(peak < trough, [label, label])


def test_make_order_series_needs_the_order_of_steps():
    bunch = make_order_series(400, random_state=0, return_X_y=False)
    histograms = np.array([np.quantile(series, np.linspace(0, 1, 11)) for series in bunch.data])
    halves = np.array([[half.mean() for half in np.array_split(series, 2)] for series in bunch.data])
    assert score(LogisticRegression(), histograms, bunch) == 0.5
    assert score(LogisticRegression(), halves, bunch) > 0.75


def test_n_steps_selects_an_array_or_ragged_series():
    ragged, _ = make_order_series(60, n_steps=(10, 14), n_channels=2, random_state=0)
    assert {series.shape for series in ragged} == {(steps, 2) for steps in range(10, 15)}
    array, target = make_order_series(60, n_steps=12, n_channels=2, random_state=0)
    assert array.shape == (60, 12, 2)
    assert array.dtype == np.float64
    assert target.shape == (60,)


@pytest.mark.parametrize("make", MAKERS)
def test_random_state_determines_the_data(make):
    first, second, reseeded = (make(40, random_state=seed, return_X_y=False) for seed in (0, 0, 1))
    for expected, repeated in zip(first.data, second.data, strict=True):
        assert_array_equal(repeated, expected)
    assert_array_equal(first.target, second.target)
    assert_array_equal(first.groups, second.groups)
    assert any(not np.array_equal(a, b) for a, b in zip(first.data, reseeded.data, strict=True))


@pytest.mark.parametrize("make", MAKERS)
def test_classes_are_balanced_and_shuffled(make):
    data, target = make(100, random_state=0)
    assert len(data) == 100
    assert_array_equal(np.bincount(target), [50, 50])
    assert set(target[:10]) == {0, 1}


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("n_samples", [0, 7, -2, 2.0, True])
def test_odd_or_invalid_n_samples_raises_value_error(make, n_samples):
    with pytest.raises(ValueError, match="n_samples must be an even integer"):
        make(n_samples)


@pytest.mark.parametrize(
    ("make", "parameters"),
    [
        (make_order_reviews, {"noise_words": -1}),
        (make_order_series, {"n_steps": 7}),
        (make_order_series, {"n_steps": (20, 10)}),
        (make_order_series, {"n_channels": 0}),
        (make_order_series, {"noise": -1.0}),
        (make_order_series, {"noise": float("nan")}),
        (make_order_series, {"noise": "a"}),
    ],
)
def test_invalid_parameters_raise_value_error(make, parameters):
    (name,) = parameters
    with pytest.raises(ValueError, match=f"{name} must be"):
        make(4, **parameters)
