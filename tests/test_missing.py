"""RNNClassifier(missing=): holes in series."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.utils import get_tags

from seqclf import RNNClassifier, SequencePadder

NAN = float("nan")
X = np.random.default_rng(0).normal(size=(12, 6, 2)) + np.array([0.0, 100.0])
Y = np.arange(12) % 2


def classifier(**changes):
    return RNNClassifier(
        **({"units": 2, "max_epochs": 1, "conv_filters": 2, "random_state": 0, "n_threads": 1} | changes)
    )


def with_holes(n_axes=3):
    data = X.copy()
    data[1, 2, 0] = data[2, 0, 1] = data[3, 5, 0] = NAN
    return data if n_axes == 3 else data[:, :, 0]


def filled(way):
    data = with_holes()
    before, after = data[1, [1, 3], 0]
    data[1, 2, 0] = before * 0.5 + after * 0.5 if way == "interpolate" else before
    data[2, 0, 1], data[3, 5, 0] = data[2, 1, 1], data[3, 4, 0]
    return data


@pytest.mark.parametrize("way", ["interpolate", "forward"])
@pytest.mark.parametrize(
    "form",
    [
        lambda data: data,
        list,
        lambda data: data.tolist(),
        lambda data: data.astype(object),
        lambda data: [pd.DataFrame(row) for row in data],
        lambda data: [pl.DataFrame(row) for row in data],
        lambda data: pd.DataFrame({"a": list(data[:, :, 0]), "b": list(data[:, :, 1])}),
        lambda data: data[:, :, 0],
        lambda data: data[:, :, 0].tolist(),
        lambda data: pd.DataFrame(data[:, :, 0]),
        lambda data: pd.DataFrame(data[:, :, 0]).convert_dtypes(),
        lambda data: pl.DataFrame(data[:, :, 0]),
    ],
)
def test_holes_are_filled_in_fit_and_in_predict(way, form):
    plain = classifier().fit(form(filled(way)), Y)
    holed = classifier(missing=way).fit(form(with_holes()), Y)
    expected = plain.decision_function(form(filled(way)))
    np.testing.assert_allclose(holed.decision_function(form(with_holes())), expected, rtol=1e-12)
    validated = classifier(missing=way).fit(form(filled(way)), Y, X_val=form(with_holes()), y_val=Y)
    assert validated.history_[-1]["valid_loss"] == pytest.approx(
        classifier().fit(form(filled(way)), Y, X_val=form(filled(way)), y_val=Y).history_[-1]["valid_loss"], rel=1e-12
    )


@pytest.mark.parametrize("scale", [True, False])
def test_a_channel_that_a_whole_series_lacks_is_the_mean_of_fit(scale):
    data = X.copy()
    data[0, :, 1] = NAN
    fitted = classifier(missing="interpolate", scale=scale).fit(data, Y)
    mean = X[1:, :, 1].mean()
    if scale:
        np.testing.assert_allclose(fitted.channel_mean_, [X[:, :, 0].mean(), mean])
        np.testing.assert_allclose(fitted.channel_scale_, [X[:, :, 0].std(), X[1:, :, 1].std()])
    at_mean = data.copy()
    at_mean[0, :, 1] = mean
    np.testing.assert_allclose(fitted.decision_function(data), fitted.decision_function(at_mean), rtol=1e-6)
    assert not np.allclose(fitted.decision_function(at_mean), fitted.decision_function(X))


def test_means_count_sample_weights():
    data, weights = X.copy(), np.arange(12) + 1.0
    data[0, :, 1] = NAN
    fitted = classifier(missing="forward").fit(data, Y, sample_weight=weights)
    expected = np.average(X[1:, :, 1].mean(axis=1), weights=weights[1:])
    assert fitted.channel_mean_[1] == pytest.approx(expected)


def test_a_channel_without_any_value_is_refused():
    data = X.copy()
    data[:, :, 1] = NAN
    with pytest.raises(ValueError, match="Channel 1 of X is NaN in every row"):
        classifier(missing="interpolate").fit(data, Y)


@pytest.mark.parametrize("way", ["interpolate", "forward"])
def test_the_ends_of_a_3d_array_are_padding_all_the_same_and_those_of_rows_are_holes(way):
    rows = [row[: 3 + place % 4] for place, row in enumerate(X)]
    padded = SequencePadder().fit_transform(rows)
    fitted = classifier(missing=way).fit(padded, Y)
    np.testing.assert_array_equal(fitted.decision_function(padded), classifier().fit(rows, Y).decision_function(rows))
    repeated = [np.concatenate([row, row[-1:].repeat(6 - len(row), axis=0)]) for row in rows]
    np.testing.assert_array_equal(fitted.decision_function(list(padded)), fitted.decision_function(repeated))


def test_one_channel_that_begins_with_nan_loses_no_step():
    data = X.copy()
    data[:, 0, 0] = NAN
    assert classifier(missing="forward").fit(data, Y).history_[0]["steps"] == data[:, :, 0].size


def test_infinity_is_refused_all_the_same():
    for data in (with_holes(), list(with_holes()), with_holes(2)):
        data[4][2] = np.inf
        with pytest.raises(ValueError, match="infinity"):
            classifier(missing="interpolate").fit(data, Y)


@pytest.mark.parametrize("form", [lambda data: data, pd.DataFrame, pl.DataFrame, lambda data: data.tolist()])
def test_nan_in_a_table_says_what_to_do(form):
    words = r"Input X contains NaN: row 1, step 2.*RNNClassifier\(missing=\"interpolate\"\).*\[:, :, None\]"
    with pytest.raises(ValueError, match=words):
        classifier().fit(form(with_holes(2)), Y)
    fitted = classifier().fit(form(X[:, :, 0]), Y)
    with pytest.raises(ValueError, match=words):
        fitted.predict(form(with_holes(2)))
    with pytest.raises(ValueError, match=words.replace("Input X", "Input X_val")):
        classifier().fit(form(X[:, :, 0]), Y, X_val=form(with_holes(2)), y_val=Y)


def test_nan_in_series_says_what_to_do():
    with pytest.raises(ValueError, match=r"Input X contains NaN: row 1, step 2, channel 0.*missing=\"interpolate\""):
        classifier().fit(with_holes(), Y)


def test_a_padded_table_with_three_axes_is_padded():
    table = X[:, :, 0].copy()
    table[::2, 4:] = NAN
    rows = [row[: 4 + 2 * (place % 2)] for place, row in enumerate(X[:, :, 0])]
    expected = classifier().fit(rows, Y).decision_function(rows)
    np.testing.assert_array_equal(classifier().fit(table[:, :, None], Y).decision_function(rows), expected)


def test_tag():
    assert not get_tags(RNNClassifier()).input_tags.allow_nan
    for way in ("interpolate", "forward"):
        assert get_tags(RNNClassifier(missing=way)).input_tags.allow_nan


def test_searchable():
    search = GridSearchCV(classifier(), {"missing": ["interpolate", "forward"]}, cv=2, scoring="neg_log_loss")
    search.fit(with_holes(), Y)
    assert len(set(search.cv_results_["mean_test_score"])) == 2


def test_a_row_is_filled_from_itself_alone():
    fitted = classifier(missing="interpolate").fit(with_holes(), Y)
    together = fitted.decision_function(with_holes())
    alone = [fitted.decision_function(row[None])[0] for row in with_holes()]
    np.testing.assert_array_equal(together, alone)
