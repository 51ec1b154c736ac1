"""Series from frames, labelled arrays and tensors, and advice for containers that are not supported."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from _series_frames import NAMES, RAGGED, X, Y, arrow_table, classifier, fit_and_score, pandas_frame, polars_frame
from seqclf import SequencePadder


def nested_pandas(rows):
    return pd.DataFrame({name: [row[:, index] for row in rows] for index, name in enumerate(NAMES)})


CONTAINERS = {
    "list": list,
    "lists": lambda rows: [row.tolist() for row in rows],
    "objects": lambda rows: pd.Series(list(rows)).to_numpy(),
    "tensors": lambda rows: [torch.from_numpy(row) for row in rows],
    "nested tensor": lambda rows: torch.nested.nested_tensor(
        [torch.from_numpy(row) for row in rows], layout=torch.jagged
    ),
    "float32": lambda rows: [row.astype(np.float32) for row in rows],
    "pandas": lambda rows: [pandas_frame(row) for row in rows],
    "polars": lambda rows: [polars_frame(row) for row in rows],
    "arrow": lambda rows: [arrow_table(row) for row in rows],
    "pandas float32": lambda rows: [pandas_frame(row.astype(np.float32)) for row in rows],
    "nested pandas": nested_pandas,
    "nested Series": lambda rows: nested_pandas(rows).map(pd.Series),
    "nested lists": lambda rows: nested_pandas(rows).map(list),
    "nested polars": lambda rows: pl.from_pandas(nested_pandas(rows)),
    "nested arrow": lambda rows: pa.Table.from_pandas(nested_pandas(rows)),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_containers_of_very_ragged_series_give_equal_predictions(name):
    """Frames are in column order: their channel means were rounded differently, which changed the fitted model."""
    rows = [row[:length] for row, length in zip(X, [4, 7, 4, 6, 7, 6, 7, 5, 6, 6, 4, 7], strict=True)]
    np.testing.assert_array_equal(fit_and_score(CONTAINERS[name](rows)), fit_and_score(rows))


@given(data=st.data())
@settings(max_examples=25)
def test_containers_of_the_same_data_give_equal_predictions(data):
    lengths = data.draw(st.lists(st.integers(4, 7), min_size=12, max_size=12))
    rows = [row[:length] for row, length in zip(X, lengths, strict=True)]
    padded = SequencePadder().fit_transform(rows)
    arrays = {"3-D": padded, "3-D float32": padded.astype(np.float32)}
    name = data.draw(st.sampled_from([*CONTAINERS, *arrays]))
    converted = arrays[name] if name in arrays else CONTAINERS[name](rows)
    expected = fit_and_score(rows)
    np.testing.assert_array_equal(fit_and_score(converted), expected)
    transposed = padded.transpose(0, 2, 1) if name in arrays else [row.T for row in rows]
    np.testing.assert_array_equal(fit_and_score(transposed, channels_first=True), expected)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*channels are matched by position", UserWarning)
        np.testing.assert_array_equal(classifier().fit(rows, Y).decision_function(converted), expected)


@pytest.mark.parametrize("make", CONTAINERS.values(), ids=CONTAINERS)
def test_series_from_every_container(make):
    np.testing.assert_array_equal(fit_and_score(make(RAGGED)), fit_and_score(RAGGED))
    np.testing.assert_array_equal(SequencePadder().fit_transform(make(RAGGED)), SequencePadder().fit_transform(RAGGED))


def test_columns_of_a_nested_frame_are_channel_names():
    frame = nested_pandas(RAGGED)
    fitted = classifier().fit(frame, Y)
    assert fitted.channel_names_in_.tolist() == list(NAMES)
    np.testing.assert_array_equal(fitted.decision_function(frame[["z", "x", "y"]]), fit_and_score(RAGGED))
    with pytest.raises(ValueError, match=r"missing 'y'"):
        fitted.predict(frame[["z", "x"]])


def test_polars_column_of_arrays_of_equal_length_holds_series():
    rows = X[:, :, 0]
    frame = pl.DataFrame({"steps": pl.Series(rows.tolist(), dtype=pl.Array(pl.Float64, 7))})
    np.testing.assert_array_equal(fit_and_score(frame), fit_and_score(list(rows)))


def test_tensors_with_gradients_or_half_precision():
    halves = torch.from_numpy(X).to(torch.bfloat16)
    np.testing.assert_array_equal(fit_and_score(torch.from_numpy(X).requires_grad_()), fit_and_score(X))
    np.testing.assert_array_equal(fit_and_score(halves), fit_and_score(halves.float().numpy()))
    np.testing.assert_array_equal(
        fit_and_score(torch.from_numpy(X[:, :, 0]).requires_grad_()), fit_and_score(X[:, :, 0])
    )


class Labelled:
    """An array with named axes, like those of xarray."""

    def __init__(self, values, dims, coords=None):
        self.values, self.dims, self.coords = values, dims, coords or {}

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype=dtype)

    def __len__(self):
        return len(self.values)


@pytest.mark.parametrize("row", ["case", "patient"])
@pytest.mark.parametrize("time", ["time", "Step", "steps"])
@pytest.mark.parametrize("channel", ["channel", "Channels", "variable"])
def test_named_axes_can_have_any_order(row, time, channel):
    fitted = classifier().fit(X, Y)
    expected = fitted.decision_function(X)
    for order in ((0, 1, 2), (0, 2, 1), (1, 2, 0), (2, 1, 0)):
        dims = tuple((row, time, channel)[axis] for axis in order)
        np.testing.assert_array_equal(fitted.decision_function(Labelled(X.transpose(order), dims)), expected)


def test_one_named_axis_suffices_and_overrides_channels_first():
    expected = fit_and_score(X)
    for dims, order in (
        (("a", "b", "channel"), (0, 1, 2)),
        (("a", "channel", "b"), (0, 2, 1)),
        (("a", "b", "time"), (0, 2, 1)),
    ):
        np.testing.assert_array_equal(fit_and_score(Labelled(X.transpose(order), dims)), expected)
    np.testing.assert_array_equal(fit_and_score(Labelled(X, ("a", "time", "channel")), channels_first=True), expected)
    np.testing.assert_array_equal(
        fit_and_score(Labelled(X.transpose(0, 2, 1), ("a", "b", "c")), channels_first=True), expected
    )


def test_coordinates_are_channel_names():
    dims = ("case", "time", "channel")
    fitted = classifier().fit(Labelled(X, dims, {"channel": np.array(NAMES)}), Y)
    assert fitted.channel_names_in_.tolist() == list(NAMES)
    reversed_array = Labelled(X[:, :, ::-1], dims, {"channel": np.array(NAMES[::-1])})
    np.testing.assert_array_equal(fitted.decision_function(reversed_array), fit_and_score(X))
    np.testing.assert_array_equal(fitted.decision_function([pandas_frame(row) for row in X]), fit_and_score(X))
    with pytest.raises(ValueError, match=r"X does not have the columns of fit: missing 'x'; unexpected 'q'"):
        fitted.predict(Labelled(X, dims, {"channel": np.array(["q", "y", "z"])}))
    numbered = classifier().fit(Labelled(X, dims, {"channel": np.arange(3)}), Y)
    assert not hasattr(numbered, "channel_names_in_")


def test_rows_can_have_named_axes():
    rows = [Labelled(row.T, ("channel", "time"), {"channel": np.array(NAMES)}) for row in RAGGED]
    fitted = classifier().fit(rows, Y)
    assert fitted.channel_names_in_.tolist() == list(NAMES)
    np.testing.assert_array_equal(fitted.decision_function(rows), fit_and_score(RAGGED))


def test_table_can_have_named_axes():
    table = X[:, :, 0]
    np.testing.assert_array_equal(fit_and_score(Labelled(table.T, ("time", "case"))), fit_and_score(table))


@pytest.mark.parametrize(
    ("values", "dims", "words"),
    [
        (X[0], ("time", "channel"), r"If it is one series, pass \[X\]"),
        (X, ("time", "step", "channel"), "expected one axis for each of row, step, channel"),
        (X[None], ("a", "b", "time", "channel"), "expected one axis for each of row, step, channel"),
    ],
)
def test_invalid_named_axes_are_errors(values, dims, words):
    with pytest.raises(ValueError, match=words):
        classifier().fit(Labelled(values, dims), Y)


def test_xarray_arrays_and_datasets():
    xarray = pytest.importorskip("xarray")
    array = xarray.DataArray(X, dims=("case", "time", "channel"), coords={"channel": list(NAMES)})
    fitted = classifier().fit(array, Y)
    transposed = array.isel(channel=[2, 0, 1]).transpose("channel", "case", "time")
    np.testing.assert_array_equal(fitted.decision_function(transposed), fit_and_score(X))
    with pytest.raises(TypeError, match=r"X is a Dataset.*X\.to_dataarray\(\)"):
        classifier().fit(array.to_dataset("channel"), Y)


LONG = pd.DataFrame(
    X.reshape(-1, 3), columns=NAMES, index=pd.MultiIndex.from_product([range(12), range(7)], names=["case", "at"])
)
GROUPS = LONG.groupby("case")
CONVERSIONS = [
    (LONG, ["index of 2 levels", "series_from_frame(X.reset_index(), id='case', time='at')", "reset_index(drop=True)"]),
    (LONG.rename_axis([None, None]), ["series_from_frame(X.reset_index(), id='level_0', time='level_1')"]),
    (LONG["x"], ["index of 2 levels", "series_from_frame(X.reset_index(), id='case', time='at')"]),
    (GROUPS, ["DataFrameGroupBy", "series_from_frame"]),
    (list(GROUPS), ["Row 0 of X is a pair (key, frame)", "series_from_frame"]),
    (list(pl.from_pandas(LONG.reset_index()).group_by("case")), ["a pair (key, frame)", "series_from_frame"]),
    (LONG.reset_index(), ["y has 12 values, but X has 84 rows", "series_from_frame"]),
    (pl.from_pandas(LONG.reset_index()), ["y has 12 values, but X has 84 rows", "series_from_frame"]),
    (dict(enumerate(X)), ["X is a dict", "list(X.values())"]),
    (pl.LazyFrame({"a": [1.0]}), ["X is a LazyFrame", "X.collect()"]),
    (pl.Series([[{"x": 1, "y": 2}]] * 12), ["X holds structs", "[polars.DataFrame(row) for row in X.to_list()]"]),
    ([[{"x": 1, "y": 2}], [{"x": 1, "y": 2}] * 2] * 6, ["{'x': 1, 'y': 2}", "[pandas.DataFrame(row) for row in X]"]),
    (
        nested_pandas(RAGGED).assign(age=7),
        ["Column 'age' of X holds 7 in row 0", "'x' holds series", "Drop 'age'"],
    ),
    (nested_pandas(RAGGED).assign(y=[[1.0]] * 12), ["Row 0 of X", "(1,) in column 'y'", "(5,) in column 'x'"]),
    (nested_pandas(RAGGED).assign(y=[[1.0] * 5] + [None] * 11), ["Row 1 of X holds None in column 'y'"]),
]


@pytest.mark.parametrize(("data", "words"), CONVERSIONS)
def test_error_for_unsupported_containers_contains_the_conversion(data, words):
    with pytest.raises((ValueError, TypeError)) as caught:
        classifier().fit(data, Y)
    for word in words:
        assert word in str(caught.value)
