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
    """(class 0, class 1) of every pair."""
    found = {(group, label): index for index, (group, label) in enumerate(zip(bunch.groups, bunch.target, strict=True))}
    n_pairs = len(bunch.target) // 2
    assert set(found) == {(group, label) for group in range(n_pairs) for label in (0, 1)}
    return [tuple(bunch.data[found[group, label]] for label in (0, 1)) for group in range(n_pairs)]


def test_reviews_of_a_pair_have_the_same_words():
    for negative, positive in in_pairs(make_order_reviews(200, random_state=0, return_X_y=False)):
        assert negative != positive
        assert sorted(negative.split()) == sorted(positive.split())


def test_counting_words_is_chance_and_word_pairs_are_not():
    bunch = make_order_reviews(400, random_state=0, return_X_y=False)
    words, word_pairs = (
        make_pipeline(CountVectorizer(ngram_range=(1, n), token_pattern=r"\S+"), LogisticRegression()) for n in (1, 2)
    )
    assert score(words, bunch.data, bunch) == 0.5
    assert score(word_pairs, bunch.data, bunch) > 0.9


def test_noise_words_frame_the_opinions():
    short = make_order_reviews(200, noise_words=0, random_state=0, return_X_y=False)
    long = make_order_reviews(200, noise_words=30, random_state=0, return_X_y=False)
    assert max(len(text.split()) for text in short.data) < 15
    assert max(len(text.split()) for text in long.data) > 40
    assert len({len(text.split()) for text in long.data}) > 20


def test_series_of_a_pair_have_the_same_values():
    bunch = make_order_series(100, n_steps=(8, 30), n_channels=3, random_state=0, return_X_y=False)
    for trough_first, peak_first in in_pairs(bunch):
        assert not np.array_equal(trough_first, peak_first)
        assert_array_equal(np.sort(trough_first, axis=0), np.sort(peak_first, axis=0))
        # steps move as a whole, so that channels stay together
        assert sorted(map(tuple, trough_first)) == sorted(map(tuple, peak_first))


def test_the_class_is_which_bump_comes_first():
    data, target = make_order_series(100, n_steps=(8, 60), n_channels=2, noise=0.0, random_state=0)
    for series, label in zip(data, target, strict=True):
        peak, trough = series.argmax(axis=0), series.argmin(axis=0)
        assert_array_equal(peak < trough, [label, label])


def test_a_histogram_is_chance_and_halves_are_not():
    bunch = make_order_series(400, random_state=0, return_X_y=False)
    histograms = np.array([np.quantile(series, np.linspace(0, 1, 11)) for series in bunch.data])
    halves = np.array([[half.mean() for half in np.array_split(series, 2)] for series in bunch.data])
    assert score(LogisticRegression(), histograms, bunch) == 0.5
    assert score(LogisticRegression(), halves, bunch) > 0.75


def test_series_are_ragged_or_an_array():
    ragged, _ = make_order_series(60, n_steps=(10, 14), n_channels=2, random_state=0)
    assert {series.shape for series in ragged} == {(steps, 2) for steps in range(10, 15)}
    array, target = make_order_series(60, n_steps=12, n_channels=2, random_state=0)
    assert array.shape == (60, 12, 2)
    assert array.dtype == np.float64
    assert target.shape == (60,)


@pytest.mark.parametrize("make", MAKERS)
def test_a_seed_decides_everything(make):
    first, second, other = (make(40, random_state=seed, return_X_y=False) for seed in (0, 0, 1))
    for one, same in zip(first.data, second.data, strict=True):
        assert_array_equal(one, same)
    assert_array_equal(first.target, second.target)
    assert_array_equal(first.groups, second.groups)
    assert any(not np.array_equal(one, another) for one, another in zip(first.data, other.data, strict=True))


@pytest.mark.parametrize("make", MAKERS)
def test_classes_are_equal_in_size_and_mixed(make):
    data, target = make(100, random_state=0)
    assert len(data) == 100
    assert_array_equal(np.bincount(target), [50, 50])
    assert set(target[:10]) == {0, 1}


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("n_samples", [0, 7, -2, 2.0, True])
def test_n_samples_is_even(make, n_samples):
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
    ],
)
def test_parameters_out_of_range(make, parameters):
    (name,) = parameters
    with pytest.raises(ValueError, match=f"{name} must be"):
        make(4, **parameters)
