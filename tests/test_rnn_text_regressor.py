"""RNNTextRegressor: the mean targets of n-grams that the network reads."""

import numpy as np
import pytest

from seqclf import RNNTextRegressor

SETTINGS = {"units": 2, "max_epochs": 1, "random_state": 0, "n_threads": 1, "wide": False}
WORDS = {"awful": -2.0, "poor": -1.0, "so": 0.0, "fine": 1.0, "superb": 2.0}


def make_texts(n=80):
    rng = np.random.default_rng(0)
    rows = [rng.choice(list(WORDS), size=rng.integers(1, 9)).tolist() for _ in range(n)]
    return [" ".join(row) for row in rows], np.array([np.mean([WORDS[word] for word in row]) for row in rows])


TEXTS, Y = make_texts()


def regressor(**changes):
    return RNNTextRegressor(**(SETTINGS | changes))


@pytest.mark.parametrize("nb_ngrams", [1, 3])
@pytest.mark.parametrize("n_targets", [1, 2])
def test_target_means_have_a_table_per_length_and_a_column_per_target(nb_ngrams, n_targets):
    y = np.column_stack([Y, -Y])[:, :n_targets]
    fitted = regressor(nb_ngrams=nb_ngrams).fit(TEXTS, y)
    tables = [table[0] for table in fitted.target_means_.tables_]
    assert len(tables) == nb_ngrams
    assert {table.shape[1] for table in tables} == {n_targets}
    assert fitted.network_.config.n_step_features == nb_ngrams * n_targets
    if n_targets == 2:
        np.testing.assert_allclose(tables[0][:, 0], -tables[0][:, 1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("n_targets", "has_means"), [(32, True), (33, False)])
def test_more_than_32_targets_have_no_means(n_targets, has_means):
    y = np.random.default_rng(0).normal(size=(len(TEXTS), n_targets))
    fitted = regressor(nb_ngrams=1).fit(TEXTS, y)
    assert hasattr(fitted, "target_means_") == has_means
    assert fitted.network_.config.n_step_features == (n_targets if has_means else 0)
    assert fitted.predict(TEXTS).shape == y.shape


def test_no_target_means_without_ngrams():
    fitted = regressor(nb_ngrams=0).fit(TEXTS, Y)
    with pytest.raises(AttributeError, match="RNNTextRegressor has no target_means_"):
        fitted.target_means_  # noqa: B018
    with pytest.raises(AttributeError, match="it is not fitted"):
        regressor().target_means_  # noqa: B018


def test_a_text_without_tokens_has_one_prediction():
    fitted = regressor().fit(TEXTS, Y)
    assert len(set(fitted.predict(["", "  ", "\n"]).tolist())) == 1
