"""`series_from_frame`: long frames become series, sorted by time, in order of the first occurrence of ids."""

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqclf import RNNClassifier, series_from_frame

COLUMNS = {
    "who": ["b", "a", "b", "a", "b"],
    "at": [3, 1, 1, 2, 2],
    "x": [0.3, 1.0, 0.1, 2.0, 0.2],
    "y": [30, 10, 10, 20, 20],
}
FRAMES = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "arrow": pa.table}
every_frame = pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)


def as_lists(X):
    assert X.dtype == object and X.ndim == 1
    assert all(row.dtype == np.float64 and row.ndim == 2 for row in X)
    return [row.tolist() for row in X]


@every_frame
def test_steps_are_sorted_by_time_and_series_by_first_occurrence(frame):
    X, ids = series_from_frame(frame(COLUMNS), id="who", time="at")
    assert ids.tolist() == ["b", "a"]
    assert as_lists(X) == [[[0.1, 10], [0.2, 20], [0.3, 30]], [[1, 10], [2, 20]]]


@every_frame
def test_without_time_steps_keep_their_order(frame):
    X, _ = series_from_frame(frame(COLUMNS), id="who", values=["y"])
    assert as_lists(X) == [[[30], [10], [20]], [[10], [20]]]


@every_frame
def test_values_selects_channels_in_order(frame):
    for values, expected in [("y", [[10], [20]]), (["y", "x"], [[10, 1], [20, 2]]), (["at"], [[1], [2]])]:
        assert as_lists(series_from_frame(frame(COLUMNS), id="who", time="at", values=values)[0])[1] == expected


SECOND = datetime.timedelta(seconds=1)
START = datetime.datetime(2024, 2, 28, 23, 59, 58)
TIMES = {
    "numbers": [0.0, 2.0, 5.5],
    "datetimes": [START, START + 2 * SECOND, START + 5.5 * SECOND],
    "durations": [0 * SECOND, 2 * SECOND, 5.5 * SECOND],
}


@every_frame
@pytest.mark.parametrize("times", TIMES.values(), ids=TIMES)
def test_delta_is_the_logarithm_of_the_seconds_since_the_previous_step(frame, times):
    order = [2, 0, 1]
    columns = {
        "id": [7] * 3 + [8],
        "t": [times[i] for i in order] + times[2:],
        "v": [[0, 1, 2][i] for i in order] + [9],
    }
    X, ids = series_from_frame(frame(columns), id="id", time="t", time_as="delta")
    assert ids.tolist() == [7, 8]
    np.testing.assert_allclose(X[0], [[0, 0], [1, np.log(3)], [2, np.log(4.5)]], rtol=1e-12)
    np.testing.assert_array_equal(X[1], [[9, 0]])


@every_frame
def test_delta_of_dates_is_in_seconds(frame):
    days = [datetime.date(2024, 3, 1), datetime.date(2024, 2, 28)]
    X, _ = series_from_frame(frame({"id": [1, 1], "t": days, "v": [2, 1]}), id="id", time="t", time_as="delta")
    np.testing.assert_allclose(X[0], [[1, 0], [2, np.log1p(2 * 86_400)]])


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_delta_of_timestamps_of_every_unit_and_time_zone(unit, zone):
    times = pd.Series(pd.to_datetime(["2024-03-31 04:00", "2024-03-31 00:00"])).dt.as_unit(unit)
    times = times.dt.tz_localize("UTC").dt.tz_convert(zone) if zone else times
    frame = pd.DataFrame({"id": [1, 1], "t": times, "v": [2, 1]})
    for each_frame in (frame, pl.from_pandas(frame)):
        X, _ = series_from_frame(each_frame, id="id", time="t", time_as="delta")
        np.testing.assert_allclose(X[0], [[1, 0], [2, np.log1p(4 * 3_600)]])


def test_object_columns_of_numbers_are_accepted():
    frame = pd.DataFrame({"id": [1, 1], "t": pd.Series([5, 2], dtype=object), "v": pd.array([None, 3], dtype="Int64")})
    X, _ = series_from_frame(frame, id="id", time="t", time_as="delta")
    np.testing.assert_allclose(X[0], [[3, 0], [np.nan, np.log(4)]])


@every_frame
def test_missing_values_become_nan(frame):
    X, _ = series_from_frame(frame(COLUMNS | {"x": [None, 1.0, 0.1, 2.0, 0.2]}), id="who", time="at", values="x")
    np.testing.assert_array_equal(X[0][:, 0], [0.1, 0.2, np.nan])


def test_id_and_time_can_be_index_levels():
    frame = pd.DataFrame(COLUMNS)
    expected, ids = series_from_frame(frame, id="who", time="at")
    for indexed in (frame.set_index(["who", "at"]), frame.set_index("who"), frame.set_index("at")):
        X, found = series_from_frame(indexed, id="who", time="at")
        assert as_lists(X) == as_lists(expected) and found.tolist() == ids.tolist()


def test_steps_of_equal_time_keep_their_order():
    frame = pd.DataFrame({"id": [1] * 4, "t": [2, 1, 2, 1], "v": [1, 2, 3, 4]})
    assert as_lists(series_from_frame(frame, id="id", time="t")[0]) == [[[2], [4], [1], [3]]]


def test_ids_have_the_type_of_the_column():
    for ids in ([3, 1], ["b", "a"], [True, False], [datetime.date(2024, 1, 2), datetime.date(2024, 1, 1)], [2.5, 1.5]):
        found = series_from_frame(pd.DataFrame({"id": ids, "v": [1, 2]}), id="id")[1]
        assert found.tolist() == ids
    category = pd.DataFrame({"id": pd.Categorical(["b", "a"]), "v": [1, 2]})
    assert series_from_frame(category, id="id")[1].tolist() == ["b", "a"]


COLUMN_IS_TEXT = {"id": [1, 2], "t": ["2024-01-10", "2024-01-9"], "v": [1, 2]}
NO_ID = {"id": ["a", None], "t": [1, 2], "v": [1, 2]}
INVALID_FRAMES = [
    (COLUMNS, {"id": "whom"}, ["id='whom' is not a column", "'who', 'at', 'x', 'y'"]),
    (COLUMNS, {"id": "who", "time": "when"}, ["time='when' is not a column"]),
    (COLUMNS, {"id": "who", "values": ["x", "z"]}, ["values names 'z'", "'who', 'at', 'x', 'y'"]),
    (COLUMNS, {"id": "who", "values": ["x", "who"]}, ["values names the column 'who' of frame, which is the id"]),
    (COLUMNS, {"id": "who", "values": ["x", "x"]}, ["values names the column 'x' of frame twice"]),
    (COLUMNS, {"id": "who", "time_as": "delta"}, ["time_as='delta' needs", "time="]),
    (COLUMNS, {"id": "who", "time": "at", "time_as": "gap"}, ["time_as must be 'delta' or None", "'gap'"]),
    (COLUMNS, {"id": "at", "time": "x"}, ["are not numeric: 'who' (holds 'b')", "values=['y']"]),
    (
        COLUMN_IS_TEXT,
        {"id": "id", "time": "t"},
        ["time='t' holds '2024-01-10'", "expected numbers, dates", "to_datetime"],
    ),
    (NO_ID, {"id": "id", "time": "t"}, ["Row 1 of frame has no id", "column 'id'"]),
    (NO_ID | {"id": [1.5, float("nan")]}, {"id": "id", "time": "t"}, ["Row 1 of frame has no id"]),
    (NO_ID | {"id": [1, 2], "t": [None, 3.0]}, {"id": "id", "time": "t"}, ["Row 0 of frame has no time", "'t'"]),
    ({"id": [1], "t": [START], "v": [START]}, {"id": "id", "time": "t"}, ["are not numeric: 'v'"]),
    ({"id": [], "t": [], "v": []}, {"id": "id", "time": "t"}, ["frame has no rows"]),
    ({"id": [1], "t": [2]}, {"id": "id", "time": "t"}, ["no columns besides id and time"]),
]


@every_frame
@pytest.mark.parametrize(("columns", "keywords", "words"), INVALID_FRAMES)
def test_invalid_frames_are_errors(frame, columns, keywords, words):
    with pytest.raises(ValueError) as caught:
        series_from_frame(frame(columns), **keywords)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (COLUMNS, "frame is a dict: expected a frame of pandas, polars or arrow"),
        (pl.LazyFrame(COLUMNS), r"frame is a LazyFrame.*collect\(\)"),
        (np.eye(3), "frame is an ndarray"),
        (pd.DataFrame(COLUMNS).groupby("who"), "frame is a DataFrameGroupBy"),
    ],
)
def test_other_objects_than_frames_are_errors(frame, words):
    with pytest.raises(TypeError, match=words):
        series_from_frame(frame, id="who")


@every_frame
@given(rows=st.lists(st.tuples(st.integers(0, 3), st.integers(-5, 5), st.floats(-9, 9)), min_size=1, max_size=30))
@settings(max_examples=30)
def test_series_from_frame_equals_sorting_lists(frame, rows):
    ids, times, values = zip(*rows, strict=True)
    X, found = series_from_frame(frame({"id": ids, "t": times, "v": values}), id="id", time="t")
    assert found.tolist() == list(dict.fromkeys(ids))
    for series, series_id in zip(X, found, strict=True):
        steps = sorted((row for row, row_id in enumerate(ids) if row_id == series_id), key=lambda row: times[row])
        assert series[:, 0].tolist() == [values[row] for row in steps]


def test_classifier_accepts_series_from_frame():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"id": np.repeat(np.arange(20), 6), "t": rng.random(120), "v": rng.normal(size=120)})
    X, ids = series_from_frame(frame.sample(frac=1, random_state=0), id="id", time="t", time_as="delta")
    fitted = RNNClassifier(units=2, max_epochs=1, random_state=0).fit(X, ids % 2)
    assert fitted.n_channels_in_ == 2 and len(fitted.predict(X)) == 20


def test_integer_labels_select_columns():
    frame = pd.DataFrame([[1, 2, 5.0], [1, 1, 6.0], [2, 1, 7.0]])
    X, ids = series_from_frame(frame, id=0, time=1)
    assert ids.tolist() == [1, 2] and [row.tolist() for row in X] == [[[6.0], [5.0]], [[7.0]]]
    X, _ = series_from_frame(pd.DataFrame({"i": [7.0], 0: [5.0]}), id="i")
    assert X[0].tolist() == [[5.0]]
    wide = pd.DataFrame(np.arange(300.0).reshape(100, 3)).assign(i=np.repeat([1, 2], 50))
    X, _ = series_from_frame(wide, id="i")
    np.testing.assert_array_equal(np.concatenate(X), np.arange(300.0).reshape(100, 3))


def test_id_and_time_can_be_levels_of_a_multi_index():
    frame = pd.DataFrame(
        {"x": [1.0, 2.0, 3.0]}, index=pd.MultiIndex.from_arrays([[1, 1, 2], [2, 1, 1]], names=["i", "t"])
    )
    X, ids = series_from_frame(frame, id="i", time="t")
    assert ids.tolist() == [1, 2] and [row.tolist() for row in X] == [[[2.0], [1.0]], [[3.0]]]


@pytest.mark.parametrize("dtype", ["int8", "int16", "int64"])
def test_delta_of_small_integer_times_does_not_overflow(dtype):
    frame = pd.DataFrame({"i": [1, 1], "t": np.array([-100, 100], dtype=dtype), "x": [0.0, 0.0]})
    X, _ = series_from_frame(frame, id="i", time="t", time_as="delta")
    np.testing.assert_allclose(X[0][:, 1], [0, np.log(201)])


def test_ids_have_the_time_zone_of_the_column():
    days = pd.to_datetime(["2020-01-01", "2021-01-01"]).tz_localize("Europe/Berlin")
    _, ids = series_from_frame(pd.DataFrame({"i": days, "x": [1.0, 2.0]}), id="i")
    labels = pd.Series(["a", "b"], index=days)
    assert labels.reindex(ids).tolist() == ["a", "b"]


@pytest.mark.parametrize("value", [np.inf, Decimal("Infinity")])
def test_infinite_times_are_errors(value):
    frame = pd.DataFrame({"id": [1, 1], "time": pd.Series([1.0, value], dtype=object), "x": [1, 2]})
    with pytest.raises(ValueError, match=r"time='time' holds .* in row 1 of frame: expected finite"):
        series_from_frame(frame, id="id", time="time")


@pytest.mark.parametrize(
    "times",
    [np.array([2**64 - 1, 0], dtype=np.uint64), np.array([2**63 - 1, -(2**63)]), np.array([2**63, 3], np.uint64)],
)
def test_delta_of_distant_times_does_not_overflow(times):
    frame = pd.DataFrame({"id": [1, 1], "time": times, "x": [1.0, 2.0]})
    series, _ = series_from_frame(frame, id="id", time="time", time_as="delta")
    np.testing.assert_allclose(series[0], [[2, 0], [1, np.log(float(int(times[0]) - int(times[1])))]])


def test_error_for_too_large_numbers_contains_the_column():
    frame = pd.DataFrame({"id": [1, 1], "x": pd.Series([1, 10**400], dtype=object)})
    with pytest.raises(ValueError, match=r"Column 'x' of frame holds 1000.* at position 1: it is too large"):
        series_from_frame(frame, id="id")


def test_labels_with_a_failing_comparison_are_errors():
    class Label:
        def __eq__(self, other):
            raise RuntimeError("no")

        __hash__ = object.__hash__

    with pytest.raises(ValueError, match="frame can't be read, because it raises RuntimeError: no"):
        series_from_frame(pd.DataFrame({"id": [1], "x": [1]}), id=Label())
