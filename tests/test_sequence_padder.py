"""SequencePadder: padding and truncation of ids and series, and their removal."""

import pickle
import re
from contextlib import suppress

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags

from seqclf import SequencePadder
from seqclf._saved import Saved, SavedStateError

NAN = float("nan")
IDS = [[7, 8, 9], [5], [], [3, 4]]
SERIES = [np.arange(6.0).reshape(3, 2), np.ones((1, 2)), np.empty((0, 2))]
sides = st.sampled_from(["start", "end"])


def objects(*items):
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


def assert_same_items(left, right):
    assert len(left) == len(right)
    for one, other in zip(left, right, strict=True):
        np.testing.assert_array_equal(one, other)


# --- ids


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, [[7, 8, 9], [5, 0, 0], [0, 0, 0], [3, 4, 0]]),
        ({"padding": "start"}, [[7, 8, 9], [0, 0, 5], [0, 0, 0], [0, 3, 4]]),
        ({"max_length": 2}, [[8, 9], [5, 0], [0, 0], [3, 4]]),
        ({"max_length": 2, "truncate": "end"}, [[7, 8], [5, 0], [0, 0], [3, 4]]),
        ({"max_length": 4, "value": -1}, [[7, 8, 9, -1], [5, -1, -1, -1], [-1, -1, -1, -1], [3, 4, -1, -1]]),
    ],
)
def test_ids_are_padded_and_truncated(parameters, expected):
    padder = SequencePadder(**parameters)
    padded = padder.fit_transform(IDS)
    assert padded.tolist() == expected
    assert padded.dtype == np.int32
    assert padder.max_length_ == padded.shape[1]
    assert padder.input_kind_ == "ids"
    assert not hasattr(padder, "n_channels_in_")


@pytest.mark.parametrize(
    ("X", "dtype"),
    [
        (IDS, np.int32),
        (objects(*(np.array(row, dtype=np.int32) for row in IDS)), np.int32),
        (objects(*(np.array(row, dtype=np.uint8) for row in IDS)), np.int32),
        (objects(*(np.array(row, dtype=np.int64) for row in IDS)), np.int64),
        ([[1, 2**40], [3]], np.int64),
        (np.array([[1, 2], [3, 0]]), np.int64),
        (np.array([[1, 2], [3, 0]], dtype=np.int16), np.int32),
        (pd.Series(IDS), np.int32),
        (pl.Series(IDS), np.int64),
        (pd.DataFrame([[1, 2], [3, 0]]), np.int64),
        (np.array([[1, 2], [3, 0]], dtype=np.uint64), np.int32),
        ([np.array([1], dtype=np.uint64), np.array([2])], np.int64),
    ],
)
def test_dtype_of_padded_ids(X, dtype):
    padder = SequencePadder().fit(X)
    assert padder.input_kind_ == "ids"
    assert padder.transform(X).dtype == dtype


def test_transform_uses_the_length_of_fit():
    padder = SequencePadder().fit([[1, 2]])
    assert padder.transform([[1, 2, 3], [4]]).tolist() == [[2, 3], [4, 0]]


def test_zeros_of_ragged_ids_are_kept():
    assert SequencePadder(value=-1).fit_transform([[0, 5, 0], [0]]).tolist() == [[0, 5, 0], [0, -1, -1]]


@given(st.lists(st.lists(st.integers(1, 2**40), max_size=6), min_size=1, max_size=8).filter(any), sides)
def test_inverse_transform_restores_ids(rows, padding):
    padder = SequencePadder(padding=padding)
    assert_same_items(padder.inverse_transform(padder.fit_transform(rows)), rows)


@given(
    st.lists(st.lists(st.integers(0, 9), max_size=6), min_size=1, max_size=8).filter(any),
    sides,
    sides,
    st.integers(1, 8),
)
def test_padding_twice_equals_padding_once(rows, first, second, max_length):
    once = SequencePadder(padding=second, max_length=max_length, value=-1).fit_transform(rows)
    padded = SequencePadder(padding=first, value=-1).fit_transform(rows)
    np.testing.assert_array_equal(
        SequencePadder(padding=second, max_length=max_length, value=-1).fit_transform(padded), once
    )


def test_padding_of_arrays_is_stripped_at_both_ends():
    padder = SequencePadder()
    assert padder.fit_transform(np.array([[0, 0, 5, 6], [0, 7, 0, 8]])).tolist() == [[5, 6, 0], [7, 0, 8]]


def test_inverse_transform_strips_the_padded_side_only():
    assert_same_items(SequencePadder().fit(IDS).inverse_transform([[0, 5, 0], [0, 0, 0]]), [[0, 5], []])
    padder = SequencePadder(padding="start").fit(IDS)
    assert_same_items(padder.inverse_transform(np.array([[0, 5, 0], [0, 0, 0]])), [[5, 0], []])


def test_inverse_transform_returns_copies():
    array = np.array([[1, 2]])
    SequencePadder().fit(IDS).inverse_transform(array)[0][0] = 9
    assert array.tolist() == [[1, 2]]


# --- series


@pytest.mark.parametrize(
    ("X", "n_channels"),
    [
        ([[0.5, 1.0], [2.0]], 1),
        ([[1, 2], [0.5]], 1),  # one float makes all of them series
        ([np.array([1.0, 2.0]), np.array([3])], 1),
        (np.array([[1.0, 2.0], [3.0, 4.0]]), 1),
        ([[2**70], [0.5]], 1),
        (SERIES, 2),
        (np.ones((2, 5, 4)), 4),
        (np.ones((2, 5, 4), dtype=np.uint8), 4),  # integers with channels are not ids
        ([[[1, 2], [3, 4]], [[5, 6]]], 2),
        (np.array([[True, False]]), 1),
    ],
)
def test_rows_that_are_series(X, n_channels):
    padder = SequencePadder()
    padded = padder.fit_transform(X)
    assert padder.input_kind_ == "series"
    assert padder.n_channels_in_ == n_channels
    assert padded.shape == (len(X), padder.max_length_, n_channels)
    assert padded.dtype == np.float64


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, [[1, 2, 3], [4, NAN, NAN]]),
        ({"padding": "start", "value": 0.5}, [[1, 2, 3], [0.5, 0.5, 4]]),
        ({"max_length": 2}, [[2, 3], [4, NAN]]),
        ({"max_length": 2, "truncate": "end", "value": NAN}, [[1, 2], [4, NAN]]),
    ],
)
def test_series_are_padded_and_truncated(parameters, expected):
    padded = SequencePadder(**parameters).fit_transform([[1.0, 2.0, 3.0], [4.0]])
    np.testing.assert_array_equal(padded[:, :, 0], expected)


def test_float32_is_kept():
    X = [series.astype(np.float32) for series in SERIES]
    assert SequencePadder().fit_transform(X).dtype == np.float32
    assert SequencePadder().fit_transform(np.ones((2, 3, 1), dtype=np.float32)).dtype == np.float32
    assert SequencePadder().fit_transform([X[0], SERIES[1]]).dtype == np.float64


@pytest.mark.filterwarnings("ignore:Every row of X has fewer steps than channels")
@given(st.data(), sides, sides)
def test_inverse_transform_restores_series(data, first, second):
    n_channels = data.draw(st.integers(1, 3))
    lengths = data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=5).filter(any))
    rows = [data.draw(npst.arrays(np.float64, (length, n_channels), elements=st.floats(-9, 9))) for length in lengths]
    padder = SequencePadder(padding=first)
    padded = padder.fit_transform(rows)
    again = SequencePadder(padding=second)
    assert_same_items(padder.inverse_transform(padded), rows)
    assert_same_items(again.inverse_transform(again.fit_transform(padded)), padder.inverse_transform(padded))


def test_inverse_transform_strips_steps_with_value_in_every_channel():
    padder = SequencePadder(value=-1)
    padded = padder.fit_transform([[[1, -1], [2, 2]], [[3, -1]]])
    assert padded[1].tolist() == [[3, -1], [-1, -1]]
    assert_same_items(padder.inverse_transform(padded), [[[1, -1], [2, 2]], [[3, -1]]])


def test_empty_rows_are_series_after_a_fit_to_series():
    padder = SequencePadder().fit(SERIES)
    assert padder.transform([[], []]).shape == (2, 3, 2)


# --- behaviour as an estimator

BAD_PARAMETERS = [
    ("max_length", 0, "an integer >= 1, or None"),
    ("max_length", 2.5, "an integer >= 1, or None"),
    ("padding", "pre", "one of 'start', 'end'"),
    ("truncate", None, "one of 'start', 'end'"),
    ("value", "0", "a finite number, or NaN, or None"),
    ("value", float("inf"), "a finite number, or NaN, or None"),
]


@pytest.mark.parametrize(("name", "value", "expected"), BAD_PARAMETERS)
def test_invalid_parameters_are_errors_in_fit(name, value, expected):
    padder = SequencePadder(**{name: value})
    message = f"The {name!r} parameter of SequencePadder must be {expected}. Got {value!r} instead."
    with pytest.raises(ValueError, match=re.escape(message)):
        padder.fit(IDS)


@pytest.mark.parametrize(
    ("X", "value", "dtype"),
    [
        (IDS, 0.5, "int32"),
        (IDS, NAN, "int32"),
        (IDS, 2**40, "int32"),
        (IDS, 1e300, "int32"),
        (IDS, -(2**31) - 1, "int32"),
        (np.array([[1, 2]]), 2**63, "int64"),
        ([np.ones(2, dtype=np.float32)], 1e300, "float32"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "fit_transform", "transform"])
def test_value_that_the_dtype_cannot_represent_is_an_error(X, value, dtype, method):
    padder = SequencePadder()
    if method == "transform":
        padder.fit(X)
    padder.set_params(value=value)
    words = rf"value={re.escape(str(value))} can't be filled into an array of dtype {dtype}: expected an? \w+ that it"
    with pytest.raises(ValueError, match=words):
        getattr(padder, method)(X)


def test_value_at_the_limits_of_the_dtype():
    assert SequencePadder(value=2**31 - 1).fit_transform(IDS)[1].tolist() == [5, 2**31 - 1, 2**31 - 1]
    assert SequencePadder(value=2**40).fit_transform([[2**35], []]).tolist() == [[2**35], [2**40]]
    padder = SequencePadder(value=np.float64(0.1))
    X = [np.ones(2, dtype=np.float32), np.ones(1, dtype=np.float32)]
    assert_same_items(padder.inverse_transform(padder.fit_transform(X)), [[[1], [1]], [[1]]])


@pytest.mark.parametrize("X", [[[], []], np.empty((2, 0, 3)), np.full((2, 3, 1), NAN), np.zeros((2, 3), dtype=int)])
def test_only_empty_sequences_need_max_length(X):
    with pytest.raises(ValueError, match=r"All sequences of X are empty.*set max_length"):
        SequencePadder().fit(X)
    assert SequencePadder(max_length=2).fit_transform(X).shape[:2] == (2, 2)


@pytest.mark.parametrize("X", [[[1], [2, 2**70]], [[1], [2, -(2**70)]], [[1], [2, 2**63]], [[1], [-1, 2**63]]])
@pytest.mark.parametrize("make", [list, lambda X: [np.array(X[0]), np.array(X[1], dtype=object)]])
def test_integers_beyond_64_bits_are_an_error(make, X):
    with pytest.raises(ValueError, match=f"Row 1 of X holds {X[1][1]} at position 1: expected .* fit in int64"):
        SequencePadder().fit(make(X))


BAD_INPUT = [
    (["a text", "another"], "Row 0 of X is 'a text'.*TextTokenizer turns it into ids"),
    ([["a", "b"]], "Row 0 of X holds .*'a'.*TextTokenizer turns it into ids"),
    ([[1], ["a"]], "Row 1 of X holds .*'a'.*TextTokenizer turns it into ids"),
    ("a text", "wrap it in a list"),
    ([], "Found array with 0 sample"),
    ([1, 2], "Row 0 of X is 1"),
    ([[1], None], "Row 1 of X is None"),
    ([[1.0, NAN, 2.0]], "Input X contains NaN: row 0, step 1"),
    ([[1.0, 2.0], [1.0, NAN]], "Input X contains NaN: row 1, step 1"),
    ([[1.0, 2.0], [None]], "Input X contains NaN: row 1, step 0"),
    (np.array([[1.0, 2.0], [1.0, NAN]]), "Input X contains NaN: row 1, step 1"),
    (np.array([[2**63, 1]], dtype=np.uint64), f"Row 0 of X holds {2**63} at position 0"),
    ([[1.0, float("inf")]], "Input X contains infinity: row 0, step 1"),
    ([np.ones((2, 2)), np.ones((2, 3))], r"Row 1 of X has 3 channels, but row 0 has 2"),
    ([[1j]], "Complex data not supported"),
    (np.ones((1, 2, 3, 4)), "X has 4 dimensions"),
    ([[[1, 2], [3]]], r"Row 0 of X has steps with \[1, 2\] channels"),
]


@pytest.mark.parametrize(("X", "words"), BAD_INPUT)
def test_invalid_input_is_an_error(X, words):
    with pytest.raises(ValueError, match=words):
        SequencePadder().fit(X)


@pytest.mark.parametrize(
    ("seen", "X", "words"),
    [
        (IDS, SERIES, "X holds series of floats, but in fit it held sequences of integers"),
        (SERIES, IDS, "X holds sequences of integers, but in fit it held series of floats"),
        (SERIES, np.ones((2, 3, 5)), r"Row 0 of X has 5 channels, but X of fit had 2"),
    ],
)
def test_transform_accepts_only_the_kind_and_channels_of_fit(seen, X, words):
    with pytest.raises(ValueError, match=words):
        SequencePadder().fit(seen).transform(X)


@pytest.mark.parametrize(
    ("seen", "X"), [(IDS, np.ones((2, 3, 1))), (IDS, [[0.5, 1.0]]), (SERIES, [[1.0, 2.0]]), (SERIES, [["a"]])]
)
def test_inverse_transform_of_other_dimensions_is_an_error(seen, X):
    with pytest.raises(ValueError, match="expected the padded array that transform returns"):
        SequencePadder().fit(seen).inverse_transform(X)


@pytest.mark.parametrize("method", ["transform", "inverse_transform"])
def test_methods_raise_not_fitted_error_before_fit(method):
    with pytest.raises(NotFittedError):
        getattr(SequencePadder(), method)(IDS)


def test_feature_names_raise_not_fitted_error_before_fit():
    with pytest.raises(NotFittedError):
        SequencePadder().get_feature_names_out()


def test_fit_keeps_parameters_and_replaces_an_earlier_fit():
    padder = SequencePadder()
    parameters = padder.get_params()
    padder.fit(SERIES)
    assert padder.get_params() == parameters
    assert vars(padder.fit(IDS)) == vars(SequencePadder().fit(IDS))


@pytest.mark.parametrize("method", ["fit", "fit_transform"])
def test_failed_refit_leaves_the_padder_unchanged(method):
    padder = SequencePadder().fit(SERIES)
    for change, X in [({"value": 0.5}, IDS), ({}, [[], []]), ({}, [[1.0, NAN]])]:
        before = dict(vars(padder.set_params(value=None).set_params(**change)))
        with pytest.raises(ValueError, match=r"can't be filled|are empty|contains NaN"):
            getattr(padder, method)(X)
        assert vars(padder) == before


def test_zeros_of_2d_floats_are_data():
    assert SequencePadder(value=0).fit_transform(np.array([[0.0, 1.5, 0.0]])).tolist() == [[[0.0], [1.5], [0.0]]]


def test_masked_rows_are_an_error():
    with pytest.raises(TypeError, match="X holds a masked array at position 1"):
        SequencePadder().fit([[1, 2], np.ma.masked_array([1, 2], mask=[0, 1])])


def test_input_is_not_changed():
    array = np.array([[[1.0], [NAN]]])
    padded = SequencePadder(value=0).fit_transform(array)
    padded[:] = 5
    np.testing.assert_array_equal(array, [[[1.0], [NAN]]])


@pytest.mark.parametrize("X", [IDS, SERIES])
def test_pickle_and_clone_give_the_same_output(X):
    padder = SequencePadder(padding="start").fit(X)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(padder)).transform(X), padder.transform(X))
    np.testing.assert_array_equal(clone(padder).fit_transform(X), padder.transform(X))


def test_tags_of_the_padder():
    tags = get_tags(SequencePadder())
    assert tags.input_tags.three_d_array
    assert not tags.input_tags.two_d_array
    assert not tags.input_tags.string


# --- set_output

FRAMES = {"pandas": pd.DataFrame, "polars": pl.DataFrame}


@pytest.mark.parametrize("container", FRAMES)
@pytest.mark.parametrize("transform", [lambda step, X: step.fit_transform(X), lambda step, X: step.fit(X).transform(X)])
def test_set_output_converts_padded_ids(container, transform):
    expected = SequencePadder().fit_transform(IDS)
    steps = [
        SequencePadder().set_output(transform=container),
        clone(SequencePadder().set_output(transform=container)),
        make_pipeline(SequencePadder()).set_output(transform=container),
    ]
    frames = [transform(step, IDS) for step in steps]
    with config_context(transform_output=container):
        frames.append(transform(SequencePadder(), IDS))
    for frame in frames:
        assert isinstance(frame, FRAMES[container])
        assert list(frame.columns) == ["step0", "step1", "step2"]
        np.testing.assert_array_equal(frame.to_numpy(), expected)


@pytest.mark.parametrize("container", FRAMES)
@pytest.mark.parametrize("transform", [lambda step, X: step.fit_transform(X), lambda step, X: step.fit(X).transform(X)])
def test_set_output_does_not_convert_padded_series(container, transform):
    expected = SequencePadder().fit_transform(SERIES)
    for step in (SequencePadder(), make_pipeline(SequencePadder())):
        np.testing.assert_array_equal(transform(step.set_output(transform=container), SERIES), expected)
        step.set_output(transform="default").set_output(transform=container)  # the method exists after a fit to series
        np.testing.assert_array_equal(step.transform(SERIES), expected)
        with config_context(transform_output=container):
            np.testing.assert_array_equal(transform(clone(step), SERIES), expected)


def test_set_output_of_another_container_is_an_error():
    with pytest.raises(ValueError, match=r"one of 'default', 'pandas', 'polars', or None\. Got 'xyz'"):
        SequencePadder().set_output(transform="xyz")


def test_set_output_keeps_the_index_and_none_changes_nothing():
    padder = SequencePadder().set_output(transform="pandas").set_output(transform=None)
    assert padder.fit_transform(pd.Series(IDS, index=list("abcd"))).index.tolist() == list("abcd")


def test_frames_are_accepted_by_transform_and_inverse_transform():
    padder = SequencePadder().set_output(transform="pandas")
    frame = padder.fit_transform(IDS)
    np.testing.assert_array_equal(padder.transform(frame).to_numpy(), frame.to_numpy())
    assert_same_items(padder.inverse_transform(frame), IDS)


def test_feature_names_exist_only_for_ids():
    assert not hasattr(SequencePadder().fit(SERIES), "get_feature_names_out")
    assert SequencePadder(max_length=2).fit(IDS).get_feature_names_out().tolist() == ["step0", "step1"]


def test_zeros_in_ragged_ids_are_an_error_if_the_padding_is_0():
    """They could not be distinguished from padding: [1, 2, 0] and [1, 2] would be the same row."""
    message = r"Row 0 of X holds 0 at position 2, but 0 is the padding.*Ids begin at 1: add 1 to all ids"
    with pytest.raises(ValueError, match=message):
        SequencePadder().fit([[1, 2, 0], [1, 2]])
    padder = SequencePadder().fit([[1, 2, 3], [1, 2]])
    with pytest.raises(ValueError, match="Ids begin at 1"):
        padder.transform([[0, 2, 3], [1]])


SAVED = [
    (SequencePadder(), [[7, 8, 9], [5]]),
    (SequencePadder(max_length=np.int64(2), value=np.float32(-1), padding="start"), [[7, 8, 9], [5]]),
    (SequencePadder(value=float("nan"), channels_first=np.bool_(True)), [np.ones((2, 3)), np.ones((2, 1))]),
    (SequencePadder(truncate="end"), [pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})]),
]


@pytest.mark.parametrize(("padder", "X"), SAVED)
def test_loaded_padder_equals_the_saved_one(padder, X):
    again = SequencePadder._from_state(Saved(padder._to_state()))
    assert str(again.get_params()) == str(clone(padder).set_params(**again.get_params()).get_params())
    assert not hasattr(again, "max_length_")
    fitted = clone(padder).fit(X)
    again = SequencePadder._from_state(Saved(fitted._to_state()))
    np.testing.assert_array_equal(again.transform(X), fitted.transform(X))
    assert again.transform(X).dtype == fitted.transform(X).dtype
    learned = {name: value for name, value in vars(fitted).items() if name.endswith("_") or name == "_n_row_axes"}
    assert vars(again).keys() == vars(fitted).keys()
    for name, value in learned.items():
        np.testing.assert_array_equal(getattr(again, name), value)
    assert {type(value) for value in again.get_params().values()} <= {str, int, float, bool, type(None)}


def test_setting_of_set_output_is_saved():
    padder = SequencePadder().set_output(transform="pandas").fit([[1], [2, 3]])
    again = SequencePadder._from_state(Saved(padder._to_state()))
    assert isinstance(again.transform([[4]]), pd.DataFrame)


@pytest.mark.filterwarnings("ignore:Row 0 of X has")  # channel names in fit, but not in transform, or the reverse
@pytest.mark.parametrize(("padder", "X"), SAVED)
def test_altered_state_is_an_error_or_a_usable_padder(padder, X, altered):
    n_errors = 0
    for state in altered(clone(padder).fit(X)._to_state()):
        try:
            again = SequencePadder._from_state(Saved(state))
        except SavedStateError:
            n_errors += 1
            continue
        if hasattr(again, "max_length_"):
            with suppress(ValueError):  # other channels, or more steps than fit into memory
                assert len(again.transform(X)) == len(X)
    assert n_errors > 50
