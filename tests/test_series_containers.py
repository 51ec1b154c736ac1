"""What users hold goes in, and nothing is read wrongly in silence: axis orders, names, frames, labelled arrays."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqclf import RNNClassifier, SequencePadder

NAMES = ("x", "y", "z")
RNG = np.random.default_rng(0)
# Numbers that float32 holds exactly.
X = np.round(64 * RNG.normal(size=(12, 7, 3))) / 64
Y = np.arange(12) % 2
RAGGED = [row[: 5 + place % 3] for place, row in enumerate(X)]


def classifier(**changes):
    return RNNClassifier(
        **({"units": 2, "max_epochs": 1, "conv_filters": 2, "random_state": 0, "n_threads": 1} | changes)
    )


def answers(data, **changes):
    return classifier(**changes).fit(data, Y).decision_function(data)


def pandas_frame(row, names=NAMES):
    return pd.DataFrame(row, columns=list(names))


def polars_frame(row, names=NAMES):
    return pl.DataFrame(row, schema=list(names))


def arrow_table(row, names=NAMES):
    return pa.table(dict(zip(names, row.T, strict=True)))


FRAMES = {"pandas": pandas_frame, "polars": polars_frame, "arrow": arrow_table}
every_frame = pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)


# Axis order


def test_channels_first_is_the_transposed_array():
    expected = answers(X)
    first = X.transpose(0, 2, 1)
    for data in (first, list(first), first.tolist(), torch.from_numpy(first), first.astype(np.float32)):
        np.testing.assert_array_equal(answers(data, channels_first=True), expected)
    np.testing.assert_array_equal(answers([row.T for row in RAGGED], channels_first=True), answers(RAGGED))


def test_channels_first_says_nothing_of_one_channel_and_of_tables():
    rows = [row[:, 0] for row in RAGGED]
    for data in (rows, X[:, :, 0]):
        np.testing.assert_array_equal(answers(data, channels_first=True), answers(data))


@pytest.mark.parametrize("name", ["GunPoint", "BasicMotions"])
def test_real_series_with_channels_first(name, data_folder):
    with np.load(data_folder / "ucr_uea" / f"{name}.npz", allow_pickle=False) as arrays:
        train, y, test = arrays["X_train"], arrays["y_train"], arrays["X_test"]
    expected = classifier().fit(train, y).decision_function(test)
    fitted = classifier(channels_first=True).fit(train.transpose(0, 2, 1), y)
    np.testing.assert_array_equal(fitted.decision_function(test.transpose(0, 2, 1)), expected)
    with pytest.warns(UserWarning, match=rf"read as \d+ steps? of {train.shape[1]} channels.*channels_first=True"):
        classifier().fit(train.transpose(0, 2, 1), y)


@pytest.mark.parametrize(
    ("data", "read"),
    [
        (X[:, :1].transpose(0, 2, 1)[:, :1].repeat(150, axis=2), "1 step of 150 channels"),
        (X.transpose(0, 2, 1), "3 steps of 7 channels at most"),
        (list(X.transpose(0, 2, 1)), "3 steps of 7 channels at most"),
        ([np.ones((2, 4)), np.zeros((3, 4))] * 6, "3 steps of 4 channels at most"),
    ],
)
@pytest.mark.parametrize("make", [lambda: classifier(), lambda: SequencePadder()], ids=["classifier", "padder"])
def test_fewer_steps_than_channels_are_warned_of_once_and_in_fit_only(data, read, make):
    with pytest.warns(UserWarning, match="fewer steps than channels") as caught:
        fitted = make().fit(data, Y)
    assert len(caught) == 1
    for words in (read, "channels_first=True", "X.transpose(0, 2, 1)"):
        assert words in str(caught[0].message)
    if isinstance(fitted, RNNClassifier):
        fitted.predict(data)
    else:
        fitted.transform(data)


def test_as_many_steps_as_channels_are_no_reason_to_warn():
    classifier().fit(np.concatenate([X[:, :3]] * 2)[:12], Y)
    classifier().fit([np.ones((2, 3))] * 11 + [np.ones((3, 3))], Y)
    classifier(channels_first=True).fit(X, Y)  # 3 steps of 7 channels: it was said


def test_channels_first_of_series_of_one_step_is_warned_of():
    with pytest.warns(UserWarning, match="read as 1 step of 7 channels.*channels_first=False"):
        classifier(channels_first=True).fit(X[:, :, :1], Y)


@pytest.mark.parametrize(
    ("rows", "first", "words"),
    [
        ([np.ones((3, 20)), np.ones((3, 26))], False, "channels_first=True"),
        ([np.ones((20, 3)), np.ones((26, 3))], True, "channels_first=False"),
    ],
)
@pytest.mark.parametrize("make", [classifier, SequencePadder])
def test_ragged_rows_that_share_the_wrong_axis(rows, first, words, make):
    with pytest.raises(ValueError, match=rf"26 channel\(s\), but in row 0 it is 20.*length 3 in all rows.*{words}"):
        make(channels_first=first).fit(rows * 6, Y)


def test_ragged_rows_that_share_no_axis_are_not_given_that_advice():
    with pytest.raises(ValueError, match="Row 1 of X has 3") as caught:
        classifier().fit([np.ones((4, 2)), np.ones((5, 3))] * 6, Y)
    assert "channels_first" not in str(caught.value)


@pytest.mark.parametrize("make", [list, np.asarray])
def test_the_wrong_order_in_predict(make):
    fitted = classifier().fit(X, Y)
    with pytest.raises(ValueError, match=r"7 channel\(s\), but in fit it was 3.*length 3 .*channels_first=True"):
        fitted.predict(make(X.transpose(0, 2, 1)))


def test_the_padder_returns_what_it_takes():
    rows = [row.T for row in RAGGED]
    padder = SequencePadder(channels_first=True)
    padded = padder.fit_transform(rows)
    np.testing.assert_array_equal(padded, SequencePadder().fit_transform(RAGGED).transpose(0, 2, 1))
    np.testing.assert_array_equal(padder.transform(padded), padded)
    for back, row in zip(padder.inverse_transform(padded), rows, strict=True):
        np.testing.assert_array_equal(back, row)
    assert SequencePadder(channels_first=True).fit_transform([[1, 2], [3]]).tolist() == [[1, 2], [3, 0]]


# Names of channels


@every_frame
@given(order=st.permutations(range(3)), seed=st.integers(0, 9))
@settings(max_examples=5)
def test_named_columns_come_in_any_order(frame, order, seed):
    """In predict, and within one fit: the first row gives the order."""
    expected = answers(RAGGED)
    orders = [np.random.default_rng(seed + place).permutation(3) for place in range(len(RAGGED))]
    orders[0] = np.arange(3)
    mixed = [frame(row[:, o], [NAMES[i] for i in o]) for row, o in zip(RAGGED, orders, strict=True)]
    fitted = classifier().fit(mixed, Y)
    assert fitted.channel_names_in_.tolist() == list(NAMES) and isinstance(fitted.channel_names_in_, np.ndarray)
    permuted = [frame(row[:, order], [NAMES[i] for i in order]) for row in RAGGED]
    np.testing.assert_array_equal(fitted.decision_function(permuted), expected)
    np.testing.assert_array_equal(fitted.decision_function(mixed), expected)


@every_frame
def test_the_padder_matches_names_too(frame):
    padder = SequencePadder().fit([frame(row) for row in RAGGED])
    assert padder.channel_names_in_.tolist() == list(NAMES)
    turned = [frame(row[:, ::-1], NAMES[::-1]) for row in RAGGED]
    np.testing.assert_array_equal(padder.transform(turned), SequencePadder().fit_transform(RAGGED))
    assert not hasattr(padder.fit(RAGGED), "channel_names_in_")
    assert not hasattr(padder.fit([[1, 2], [3]]), "channel_names_in_")


@every_frame
def test_other_columns_than_in_fit(frame):
    fitted = classifier().fit([frame(row) for row in RAGGED], Y)
    bad = [frame(RAGGED[0]), frame(RAGGED[1], ("x", "q", "z"))]
    with pytest.raises(ValueError, match=r"Row 1 of X has other columns than in fit: missing 'y'; unexpected 'q'"):
        fitted.predict(bad)
    with pytest.raises(ValueError, match=r"Row 0 of X has other columns than in fit: missing 'z'\."):
        fitted.predict([frame(RAGGED[0][:, :2], ("x", "y"))])
    with pytest.raises(ValueError, match=r"Row 0 of X has other columns than in fit: unexpected 'w'\."):
        fitted.predict([frame(RAGGED[0][:, [0, 1, 2, 0]], (*NAMES, "w"))])
    with pytest.raises(ValueError, match=r"Row 1 of X has other columns than in row 0: missing 'y'; unexpected 'q'"):
        classifier().fit([frame(row, ("x", "qy"[place != 1], "z")) for place, row in enumerate(RAGGED)], Y)
    with pytest.raises(ValueError, match=r"Row 0 of X_val has other columns than in fit"):
        classifier().fit([frame(row) for row in RAGGED], Y, X_val=bad[1:], y_val=[0])


def test_rows_of_several_libraries_agree_by_name():
    frames = [(pandas_frame, polars_frame, arrow_table)[place % 3](row) for place, row in enumerate(RAGGED)]
    np.testing.assert_array_equal(answers(frames), answers(RAGGED))


@pytest.mark.parametrize("unnamed", [RAGGED, X, [pd.DataFrame(row) for row in RAGGED]], ids=["list", "3-D", "unnamed"])
def test_without_names_in_predict_rows_are_read_by_position_with_a_warning(unnamed):
    fitted = classifier().fit([pandas_frame(row) for row in RAGGED], Y)
    with pytest.warns(UserWarning, match=r"no names of channels, but in fit they are \['x', 'y', 'z'\].*by position"):
        found = fitted.decision_function(unnamed)
    named = [pandas_frame(np.asarray(row)) for row in unnamed]
    np.testing.assert_array_equal(found, fitted.decision_function(named))


def test_names_in_predict_alone_are_warned_of():
    fitted = classifier().fit(RAGGED, Y)
    assert not hasattr(fitted, "channel_names_in_")
    with pytest.warns(UserWarning, match="Row 0 of X has names of channels, but in fit there were none"):
        fitted.predict([pandas_frame(row) for row in RAGGED])


def test_rows_without_names_among_named_ones_are_warned_of():
    mixed = [*(pandas_frame(row) for row in RAGGED[:3]), *RAGGED[3:]]
    with pytest.warns(UserWarning, match="Row 3 of X has no names of channels, but in row 0 they are"):
        fitted = classifier().fit(mixed, Y)
    np.testing.assert_array_equal(fitted.decision_function([pandas_frame(row) for row in RAGGED]), answers(RAGGED))


def test_numbers_that_only_count_columns_are_no_names_and_other_numbers_are():
    assert not hasattr(classifier().fit([pd.DataFrame(row) for row in RAGGED], Y), "channel_names_in_")
    fitted = classifier().fit([pandas_frame(row, (7, 3, 5)) for row in RAGGED], Y)
    assert fitted.channel_names_in_.tolist() == ["7", "3", "5"]
    turned = [pandas_frame(row[:, ::-1], (5, 3, 7)) for row in RAGGED]
    np.testing.assert_array_equal(fitted.decision_function(turned), answers(RAGGED))


def test_names_are_forgotten_in_a_refit():
    fitted = classifier().fit([pandas_frame(row) for row in RAGGED], Y)
    assert not hasattr(fitted.fit(RAGGED, Y), "channel_names_in_")
    assert not hasattr(fitted.fit([pandas_frame(row) for row in RAGGED], Y).fit(X[:, :, 0], Y), "channel_names_in_")


def test_two_columns_of_one_name():
    with pytest.raises(ValueError, match=r"Row 0 of X has two columns called 'x': rename"):
        classifier().fit([pandas_frame(row, ("x", "y", "x")) for row in RAGGED], Y)
    with pytest.raises(ValueError, match=r"X has two columns called 'x': rename"):
        classifier().fit(pandas_frame(X[:, 0], ("x", "y", "x")), Y)


@every_frame
def test_frames_name_their_channels_whatever_the_order_of_arrays(frame):
    np.testing.assert_array_equal(answers([frame(row) for row in RAGGED], channels_first=True), answers(RAGGED))


# One series


@pytest.mark.parametrize("n_channels", [1, 3])
@pytest.mark.parametrize("fit_on", [lambda data: data, list], ids=["3-D", "list"])
def test_one_series_is_no_set_of_series(n_channels, fit_on):
    data = X[:, :, :n_channels]
    fitted, padder = classifier().fit(fit_on(data), Y), SequencePadder().fit(fit_on(data))
    for call in (fitted.predict, fitted.predict_proba, padder.transform):
        with pytest.raises(ValueError, match=r"One series\? X\[None\]"):
            call(data[0])
        with pytest.raises(ValueError, match=r"One series\? \[X\]"):
            call(data[0].tolist())
    assert fitted.predict(data[0][None]).shape == (1,)
    for frame in (pd.DataFrame(data[0]), pl.DataFrame(data[0])):
        with pytest.raises(ValueError, match=r"One series\? \[X\]"):
            fitted.predict(frame)


def test_lists_of_rows_stay_fine_for_one_channel():
    fitted = classifier().fit(X[:, :, :1], Y)
    expected = fitted.decision_function(X[:, :, :1])
    rows = [row[:, 0] for row in X]
    for data in (rows, [row.tolist() for row in rows], pd.Series(rows), [pd.Series(row) for row in rows]):
        np.testing.assert_array_equal(fitted.decision_function(data), expected)
    with pytest.raises(ValueError, match=r"Several series of one channel\? X\[:, :, None\]"):
        fitted.predict(X[:, :, 0])


def test_one_series_as_a_column_after_a_fit_on_a_list_of_rows():
    rows = [row[:, 0] for row in RAGGED]
    fitted, padder = classifier().fit(rows, Y), SequencePadder().fit(rows)
    for call in (fitted.predict, padder.transform):
        with pytest.raises(ValueError, match=r"the shape \(7, 1\).*One series\? X\.T\."):
            call(X[0, :, :1])
        call(X[0, :, :1].T)
        call(list(X[0, :, :1]))
    assert SequencePadder().fit(X[:, :1, 0]).transform(X[:, :1, 0]).shape == (12, 1, 1)


def test_the_channels_of_one_series_as_rows():
    with pytest.raises(ValueError, match=r"One series, a row for each channel\? \[numpy\.column_stack\(X\)\]"):
        classifier().fit(X, Y).predict(list(X[0].T))


def test_one_series_of_one_axis():
    for data in ([row[:, 0] for row in X], X[:, :, :1]):
        with pytest.raises(ValueError, match=r"Row 0 of X is .*One series\? \[X\]"):
            classifier().fit(data, Y).predict(list(X[0, :, 0]))
    with pytest.raises(ValueError, match=r"Expected 2D array, got 1D array.*One series\? X\[None\]"):
        classifier().fit(X[:, :, 0], Y).predict(X[0, :, 0])


# Containers


def nested_pandas(rows):
    return pd.DataFrame({name: [row[:, place] for row in rows] for place, name in enumerate(NAMES)})


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


@given(data=st.data())
@settings(max_examples=25)
def test_equivalent_containers_of_one_data_set_give_equal_predictions(data):
    lengths = data.draw(st.lists(st.integers(4, 7), min_size=12, max_size=12))
    rows = [row[:length] for row, length in zip(X, lengths, strict=True)]
    padded = SequencePadder().fit_transform(rows)
    others = {"3-D": padded, "3-D float32": padded.astype(np.float32)}
    name = data.draw(st.sampled_from([*CONTAINERS, *others]))
    given_rows = others[name] if name in others else CONTAINERS[name](rows)
    expected = answers(rows)
    np.testing.assert_array_equal(answers(given_rows), expected)
    first = padded.transpose(0, 2, 1) if name in others else [row.T for row in rows]
    np.testing.assert_array_equal(answers(first, channels_first=True), expected)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*channels are read by position", UserWarning)
        np.testing.assert_array_equal(classifier().fit(rows, Y).decision_function(given_rows), expected)


@pytest.mark.parametrize("make", CONTAINERS.values(), ids=CONTAINERS)
def test_every_container(make):
    np.testing.assert_array_equal(answers(make(RAGGED)), answers(RAGGED))
    np.testing.assert_array_equal(SequencePadder().fit_transform(make(RAGGED)), SequencePadder().fit_transform(RAGGED))


def test_a_nested_frame_names_its_channels():
    frame = nested_pandas(RAGGED)
    fitted = classifier().fit(frame, Y)
    assert fitted.channel_names_in_.tolist() == list(NAMES)
    np.testing.assert_array_equal(fitted.decision_function(frame[["z", "x", "y"]]), answers(RAGGED))
    with pytest.raises(ValueError, match=r"missing 'y'"):
        fitted.predict(frame[["z", "x"]])


def test_a_polars_column_of_arrays_of_one_length_is_a_column_of_series():
    rows = X[:, :, 0]
    frame = pl.DataFrame({"steps": pl.Series(rows.tolist(), dtype=pl.Array(pl.Float64, 7))})
    np.testing.assert_array_equal(answers(frame), answers(list(rows)))


def test_tensors_with_gradients_and_of_half_precision():
    halves = torch.from_numpy(X).to(torch.bfloat16)
    np.testing.assert_array_equal(answers(torch.from_numpy(X).requires_grad_()), answers(X))
    np.testing.assert_array_equal(answers(halves), answers(halves.float().numpy()))
    np.testing.assert_array_equal(answers(torch.from_numpy(X[:, :, 0]).requires_grad_()), answers(X[:, :, 0]))


class Labelled:
    """An array with named axes, as xarray has them."""

    def __init__(self, values, dims, coords=None):
        self.values, self.dims, self.coords = values, dims, coords or {}

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype=dtype)

    def __len__(self):
        return len(self.values)


@pytest.mark.parametrize("row", ["case", "patient"])
@pytest.mark.parametrize("time", ["time", "Step", "steps"])
@pytest.mark.parametrize("channel", ["channel", "Channels", "variable"])
def test_named_axes_are_known_in_any_order(row, time, channel):
    fitted = classifier().fit(X, Y)
    expected = fitted.decision_function(X)
    for order in ((0, 1, 2), (0, 2, 1), (1, 2, 0), (2, 1, 0)):
        dims = tuple((row, time, channel)[axis] for axis in order)
        np.testing.assert_array_equal(fitted.decision_function(Labelled(X.transpose(order), dims)), expected)


def test_one_named_axis_is_enough_and_names_come_before_channels_first():
    expected = answers(X)
    for dims, order in (
        (("a", "b", "channel"), (0, 1, 2)),
        (("a", "channel", "b"), (0, 2, 1)),
        (("a", "b", "time"), (0, 2, 1)),
    ):
        np.testing.assert_array_equal(answers(Labelled(X.transpose(order), dims)), expected)
    np.testing.assert_array_equal(answers(Labelled(X, ("a", "time", "channel")), channels_first=True), expected)
    np.testing.assert_array_equal(
        answers(Labelled(X.transpose(0, 2, 1), ("a", "b", "c")), channels_first=True), expected
    )


def test_coordinates_name_the_channels():
    dims = ("case", "time", "channel")
    fitted = classifier().fit(Labelled(X, dims, {"channel": np.array(NAMES)}), Y)
    assert fitted.channel_names_in_.tolist() == list(NAMES)
    turned = Labelled(X[:, :, ::-1], dims, {"channel": np.array(NAMES[::-1])})
    np.testing.assert_array_equal(fitted.decision_function(turned), answers(X))
    np.testing.assert_array_equal(fitted.decision_function([pandas_frame(row) for row in X]), answers(X))
    with pytest.raises(ValueError, match=r"X has other columns than in fit: missing 'x'; unexpected 'q'"):
        fitted.predict(Labelled(X, dims, {"channel": np.array(["q", "y", "z"])}))
    numbered = classifier().fit(Labelled(X, dims, {"channel": np.arange(3)}), Y)
    assert not hasattr(numbered, "channel_names_in_")


def test_rows_with_named_axes():
    rows = [Labelled(row.T, ("channel", "time"), {"channel": np.array(NAMES)}) for row in RAGGED]
    fitted = classifier().fit(rows, Y)
    assert fitted.channel_names_in_.tolist() == list(NAMES)
    np.testing.assert_array_equal(fitted.decision_function(rows), answers(RAGGED))


def test_a_table_with_named_axes():
    table = X[:, :, 0]
    np.testing.assert_array_equal(answers(Labelled(table.T, ("time", "case"))), answers(table))


@pytest.mark.parametrize(
    ("values", "dims", "words"),
    [
        (X[0], ("time", "channel"), r"One series\? \[X\]"),
        (X, ("time", "step", "channel"), "expected one for each of row, step, channel"),
        (X[None], ("a", "b", "time", "channel"), "expected one for each of row, step, channel"),
    ],
)
def test_named_axes_that_do_not_fit(values, dims, words):
    with pytest.raises(ValueError, match=words):
        classifier().fit(Labelled(values, dims), Y)


def test_xarray_itself():
    xarray = pytest.importorskip("xarray")
    array = xarray.DataArray(X, dims=("case", "time", "channel"), coords={"channel": list(NAMES)})
    fitted = classifier().fit(array, Y)
    turned = array.isel(channel=[2, 0, 1]).transpose("channel", "case", "time")
    np.testing.assert_array_equal(fitted.decision_function(turned), answers(X))
    with pytest.raises(TypeError, match=r"X is a Dataset.*X\.to_dataarray\(\)"):
        classifier().fit(array.to_dataset("channel"), Y)


LONG = pd.DataFrame(
    X.reshape(-1, 3), columns=NAMES, index=pd.MultiIndex.from_product([range(12), range(7)], names=["case", "at"])
)
GROUPS = LONG.groupby("case")
HELPED = [
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
        ["Column 'age' of X holds 7 in row 0", "'x' holds series", "Leave 'age' out"],
    ),
    (nested_pandas(RAGGED).assign(y=[[1.0]] * 12), ["Row 0 of X", "(1,) in column 'y'", "(5,) in column 'x'"]),
    (nested_pandas(RAGGED).assign(y=[[1.0] * 5] + [None] * 11), ["Row 1 of X holds None in column 'y'"]),
]


@pytest.mark.parametrize(("data", "words"), HELPED)
def test_containers_that_need_a_call(data, words):
    with pytest.raises((ValueError, TypeError)) as caught:
        classifier().fit(data, Y)
    for word in words:
        assert word in str(caught.value)


# Rows and labels


def test_rows_and_labels_with_other_indexes_are_warned_of():
    table = pd.DataFrame(X[:, :, 0], index=range(100, 112))
    words = r"X and y have different indexes, but are matched by position: row 0 is 100 in X, and 0 in y"
    with pytest.warns(UserWarning, match=words):
        fitted = classifier().fit(table, pd.Series(Y))
    np.testing.assert_array_equal(fitted.decision_function(table), answers(table))
    with pytest.warns(UserWarning, match="row 0 is 100 in X, and 111 in sample_weight"):
        classifier().fit(table, Y, sample_weight=pd.Series(1.0, index=table.index[::-1]))
    with pytest.warns(UserWarning, match="X_val and y_val have different indexes"):
        classifier().fit(table, Y, X_val=table, y_val=pd.Series(Y))


def test_rows_and_labels_with_one_index_or_none_are_fine():
    table = pd.DataFrame(X[:, :, 0], index=list("abcdefghijkl"))
    for y in (pd.Series(Y, index=table.index), Y, Y.tolist(), pl.Series(Y)):
        np.testing.assert_array_equal(classifier().fit(table, y).decision_function(table), answers(table))
    classifier().fit(X, pd.Series(Y, index=range(5, 17)))


def test_a_table_with_columns_of_several_levels_is_refused():
    """A pivoted frame holds all steps of a channel, then those of the next: no series of one channel."""
    long = pd.DataFrame({"i": np.repeat(range(6), 4), "t": list(range(4)) * 6, "a": range(24), "b": range(24)})
    wide = long.pivot(index="i", columns="t", values=["a", "b"])
    with pytest.raises(ValueError, match=r"columns of 2 levels.*channels_first=True.*series_from_frame"):
        RNNClassifier().fit(wide, [0, 1] * 3)
