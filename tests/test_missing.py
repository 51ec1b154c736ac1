"""The parameter `missing`: how fit and predict fill holes in series, for every form of X."""

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


def make_classifier(**changes):
    return RNNClassifier(
        **({"units": 2, "max_epochs": 1, "conv_filters": 2, "random_state": 0, "n_threads": 1} | changes)
    )


def data_with_holes(n_axes=3):
    data = X.copy()
    data[1, 2, 0] = data[2, 0, 1] = data[3, 5, 0] = NAN
    return data if n_axes == 3 else data[:, :, 0]


def filled_data(method):
    data = data_with_holes()
    before, after = data[1, [1, 3], 0]
    data[1, 2, 0] = before * 0.5 + after * 0.5 if method == "interpolate" else before
    data[2, 0, 1], data[3, 5, 0] = data[2, 1, 1], data[3, 4, 0]
    return data


@pytest.mark.parametrize("method", ["interpolate", "forward"])
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
def test_missing_fills_holes_in_fit_predict_and_x_val(method, form):
    complete, with_holes = form(filled_data(method)), form(data_with_holes())
    plain = make_classifier().fit(complete, Y)
    fitted = make_classifier(missing=method).fit(with_holes, Y)
    np.testing.assert_allclose(fitted.decision_function(with_holes), plain.decision_function(complete), rtol=1e-12)
    plain, validated = (
        make_classifier(**changes).fit(complete, Y, X_val=X_val, y_val=Y)
        for changes, X_val in (({}, complete), ({"missing": method}, with_holes))
    )
    assert validated.history_[-1]["valid_loss"] == pytest.approx(plain.history_[-1]["valid_loss"], rel=1e-12)


@pytest.mark.parametrize("scale", [True, False])
def test_channel_without_values_in_a_series_gets_the_mean_of_fit(scale):
    data = X.copy()
    data[0, :, 1] = NAN
    fitted = make_classifier(missing="interpolate", scale=scale).fit(data, Y)
    mean = X[1:, :, 1].mean()
    if scale:
        np.testing.assert_allclose(fitted.channel_mean_, [X[:, :, 0].mean(), mean])
        np.testing.assert_allclose(fitted.channel_scale_, [X[:, :, 0].std(), X[1:, :, 1].std()])
    at_mean = data.copy()
    at_mean[0, :, 1] = mean
    np.testing.assert_allclose(fitted.decision_function(data), fitted.decision_function(at_mean), rtol=1e-6)
    assert not np.allclose(fitted.decision_function(at_mean), fitted.decision_function(X))


def test_channel_means_use_sample_weight():
    data, weights = X.copy(), np.arange(12) + 1.0
    data[0, :, 1] = NAN
    fitted = make_classifier(missing="forward").fit(data, Y, sample_weight=weights)
    expected = np.average(X[1:, :, 1].mean(axis=1), weights=weights[1:])
    assert fitted.channel_mean_[1] == pytest.approx(expected)


def test_channel_without_values_in_any_series_is_an_error():
    data = X.copy()
    data[:, :, 1] = NAN
    with pytest.raises(ValueError, match="Channel 1 of X is NaN in every row"):
        make_classifier(missing="interpolate").fit(data, Y)


@pytest.mark.parametrize("method", ["interpolate", "forward"])
def test_nan_at_the_end_is_padding_in_a_3d_array_and_a_hole_in_a_list(method):
    rows = [row[: 3 + index % 4] for index, row in enumerate(X)]
    padded = SequencePadder().fit_transform(rows)
    fitted = make_classifier(missing=method).fit(padded, Y)
    np.testing.assert_array_equal(
        fitted.decision_function(padded), make_classifier().fit(rows, Y).decision_function(rows)
    )
    repeated = [np.concatenate([row, row[-1:].repeat(6 - len(row), axis=0)]) for row in rows]
    np.testing.assert_array_equal(fitted.decision_function(list(padded)), fitted.decision_function(repeated))


def test_nan_at_the_start_of_one_channel_is_not_padding():
    data = X.copy()
    data[:, 0, 0] = NAN
    assert make_classifier(missing="forward").fit(data, Y).history_[0]["steps"] == data[:, :, 0].size


def test_infinity_is_an_error_with_missing():
    for data in (data_with_holes(), list(data_with_holes()), data_with_holes(2)):
        data[4][2] = np.inf
        with pytest.raises(ValueError, match="infinity"):
            make_classifier(missing="interpolate").fit(data, Y)


@pytest.mark.parametrize("form", [lambda data: data, pd.DataFrame, pl.DataFrame, lambda data: data.tolist()])
def test_error_for_nan_in_a_table_names_missing_and_padding(form):
    words = r"Input X contains NaN: row 1, step 2.*RNNClassifier\(missing=.interpolate.\).*\[:, :, None\]"
    with pytest.raises(ValueError, match=words):
        make_classifier().fit(form(data_with_holes(2)), Y)
    fitted = make_classifier().fit(form(X[:, :, 0]), Y)
    with pytest.raises(ValueError, match=words):
        fitted.predict(form(data_with_holes(2)))
    with pytest.raises(ValueError, match=words.replace("Input X", "Input X_val")):
        make_classifier().fit(form(X[:, :, 0]), Y, X_val=form(data_with_holes(2)), y_val=Y)


def test_error_for_nan_in_series_names_missing():
    with pytest.raises(ValueError, match=r"Input X contains NaN: row 1, step 2, channel 0.*missing=.interpolate."):
        make_classifier().fit(data_with_holes(), Y)


def test_table_with_three_axes_can_be_padded():
    table = X[:, :, 0].copy()
    table[::2, 4:] = NAN
    rows = [row[: 4 + 2 * (index % 2)] for index, row in enumerate(X[:, :, 0])]
    expected = make_classifier().fit(rows, Y).decision_function(rows)
    np.testing.assert_array_equal(make_classifier().fit(table[:, :, None], Y).decision_function(rows), expected)


def test_missing_sets_the_tag_allow_nan():
    assert not get_tags(RNNClassifier()).input_tags.allow_nan
    for method in ("interpolate", "forward"):
        assert get_tags(RNNClassifier(missing=method)).input_tags.allow_nan


def test_grid_search_over_missing():
    search = GridSearchCV(make_classifier(), {"missing": ["interpolate", "forward"]}, cv=2, scoring="neg_log_loss")
    search.fit(data_with_holes(), Y)
    assert len(set(search.cv_results_["mean_test_score"])) == 2


def test_holes_are_filled_independently_of_other_rows():
    fitted = make_classifier(missing="interpolate").fit(data_with_holes(), Y)
    together = fitted.decision_function(data_with_holes())
    single = [fitted.decision_function(row[None])[0] for row in data_with_holes()]
    np.testing.assert_array_equal(together, single)
