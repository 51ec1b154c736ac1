"""`Ragged`: joining, padding, stripping, truncating and selecting sequences of unequal length."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from seqclf._data.ragged import Ragged

ids = st.lists(st.lists(st.integers(1, 2**31 - 1), max_size=6), min_size=1, max_size=8)
sides = st.sampled_from(["start", "end"])


def as_lists(ragged):
    return [item.tolist() for item in ragged.items()]


@st.composite
def series(draw):
    n_channels = draw(st.integers(1, 3))
    lengths = draw(st.lists(st.integers(0, 5), min_size=1, max_size=6))
    values = draw(npst.arrays(np.float64, (sum(lengths), n_channels), elements=st.floats(-1e6, 1e6)))
    return Ragged(values, np.array(lengths))


@given(ids)
def test_from_items_and_items_are_a_round_trip(rows):
    ragged = Ragged.from_items(rows)
    assert as_lists(ragged) == rows
    assert len(ragged) == len(rows)
    assert ragged.n_steps == sum(map(len, rows)) == ragged.offsets[-1]
    assert ragged.lengths.dtype == ragged.offsets.dtype == np.int64


def test_items_are_views_in_a_1d_array_even_with_equal_lengths():
    ragged = Ragged.from_items([[1, 2], [3, 4]])
    items = ragged.items()
    assert items.shape == (2,)
    assert items.dtype == object
    assert all(np.shares_memory(item, ragged.values) for item in items)


@pytest.mark.parametrize(
    ("items", "arguments", "shape", "dtype"),
    [
        ([], {}, (0,), np.int32),
        ([[], []], {}, (0,), np.int32),
        ([[], []], {"dtype": np.int64}, (0,), np.int64),
        ([[]], {"n_channels": 3}, (0, 3), np.float64),
        ([[], [5]], {}, (1,), np.int64),  # the empty float array does not turn ids into floats
        ([[], [5]], {"dtype": np.int32}, (1,), np.int32),
        ([np.zeros((2, 3)), []], {}, (2, 3), np.float64),
    ],
)
def test_from_items_with_empty_items(items, arguments, shape, dtype):
    ragged = Ragged.from_items(items, **arguments)
    assert (ragged.values.shape, ragged.values.dtype) == (shape, dtype)
    assert len(ragged) == len(items)


@given(series(), sides)
def test_padding_and_stripping_series_is_a_round_trip(ragged, padding):
    padded = ragged.padded(value=np.nan, padding=padding)
    assert padded.shape == (len(ragged), ragged.lengths.max(), ragged.values.shape[1])
    flat = Ragged.from_array(padded)
    back = flat.stripped(np.isnan(flat.values).all(axis=1))
    np.testing.assert_array_equal(back.values, ragged.values)
    np.testing.assert_array_equal(back.lengths, ragged.lengths)


@given(ids, sides, st.integers(0, 3))
def test_padding_and_stripping_ids_is_a_round_trip(rows, padding, more):
    ragged = Ragged.from_items(rows)
    padded = ragged.padded(int(ragged.lengths.max()) + more, value=0, padding=padding)
    flat = Ragged.from_array(padded)
    assert as_lists(flat.stripped(flat.values == 0)) == rows
    assert as_lists(flat.stripped(flat.values == 0, ("start", "end"))) == rows
    assert as_lists(flat.stripped(flat.values == 0, ("start" if padding == "start" else "end",))) == rows


def test_stripped_keeps_inner_padding_and_the_other_side():
    ragged = Ragged.from_items([[0, 0, 5, 0, 6, 0], [0, 0], [], [7]])
    marked = ragged.values == 0
    assert as_lists(ragged.stripped(marked)) == [[5, 0, 6], [], [], [7]]
    assert as_lists(ragged.stripped(marked, ("end",))) == [[0, 0, 5, 0, 6], [], [], [7]]
    assert as_lists(ragged.stripped(marked, ("start",))) == [[5, 0, 6, 0], [], [], [7]]


def test_stripped_without_padding_returns_the_same_object():
    ragged = Ragged.from_items([[5, 0, 6], [], [7]])
    assert ragged.stripped(ragged.values == 0) is ragged


def test_padded_pads_either_side():
    ragged = Ragged.from_items([[1, 2, 3], [], [4]])
    assert ragged.padded(value=0).tolist() == [[1, 2, 3], [0, 0, 0], [4, 0, 0]]
    assert ragged.padded(4, value=9, padding="start").tolist() == [[9, 1, 2, 3], [9, 9, 9, 9], [9, 9, 9, 4]]


def test_padded_to_less_than_the_longest_is_an_error():
    with pytest.raises(ValueError, match=r"3 steps, more than length=2"):
        Ragged.from_items([[1, 2, 3]]).padded(2, value=0)


def test_truncated_cuts_the_given_side():
    ragged = Ragged.from_items([[1, 2, 3], [], [4]])
    assert as_lists(ragged.truncated(2, "start")) == [[2, 3], [], [4]]
    assert as_lists(ragged.truncated(2, "end")) == [[1, 2], [], [4]]


@pytest.mark.parametrize("max_length", [None, 3, 4])
def test_truncated_returns_the_same_object_if_nothing_is_cut(max_length):
    ragged = Ragged.from_items([[1, 2, 3], []])
    assert ragged.truncated(max_length, "start") is ragged


@given(ids, st.data())
def test_take_equals_a_loop_over_rows(rows, data):
    ragged = Ragged.from_items(rows)
    selected = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=10))
    assert as_lists(ragged.take(np.array(selected, dtype=np.int64))) == [rows[row] for row in selected]


@pytest.mark.parametrize("min_span", [0, 10**9])
def test_take_is_equal_for_copied_and_gathered_spans(min_span, tune):
    tune(long_span=min_span)
    rng = np.random.default_rng(0)
    rows = [rng.standard_normal((length, 2)) for length in (3, 0, 5, 1, 0, 7)]
    for selected in ([2, 5, 1, 2], [1, 4], [], [0]):
        taken = Ragged.from_items(rows).take(np.array(selected, dtype=np.int64))
        np.testing.assert_array_equal(
            taken.values, np.concatenate([np.empty((0, 2)), *(rows[row] for row in selected)])
        )
        assert taken.lengths.tolist() == [len(rows[row]) for row in selected]


def test_take_accepts_a_mask_and_a_slice():
    ragged = Ragged(np.arange(12.0).reshape(6, 2), np.array([1, 3, 2]))
    np.testing.assert_array_equal(ragged.take(np.array([True, False, True])).values, ragged.values[[0, 4, 5]])
    np.testing.assert_array_equal(ragged.take(slice(None, None, -1)).values, ragged.values[[4, 5, 1, 2, 3, 0]])


def test_row_of_skips_empty_sequences():
    ragged = Ragged.from_items([[], [1, 2], [], [], [3]])
    assert [ragged.row_of(step) for step in range(3)] == [1, 1, 4]


def test_pickle_does_not_contain_cached_offsets():
    ragged = Ragged.from_items([[7, 8], [], [9]])
    before = pickle.dumps(ragged)
    assert ragged.offsets.tolist() == [0, 2, 2, 3]
    assert pickle.dumps(ragged) == before
    restored = pickle.loads(before)
    assert as_lists(restored) == [[7, 8], [], [9]] and restored.offsets.tolist() == [0, 2, 2, 3]


def test_from_items_stores_steps_in_row_order():
    items = [np.asfortranarray(np.arange(6.0).reshape(3, 2)), np.asfortranarray(np.ones((2, 2)))]
    assert np.concatenate(items).flags.f_contiguous
    assert Ragged.from_items(items).values.flags.c_contiguous


@pytest.mark.parametrize(
    ("max_steps", "max_rows", "limits"),
    [
        (100, 100, [(0, 5)]),
        (4, 100, [(0, 3), (3, 4), (4, 5)]),
        (7, 100, [(0, 3), (3, 5)]),
        (100, 2, [(0, 2), (2, 4), (4, 5)]),
        (1, 1, [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)]),
    ],
)
def test_block_limits_by_steps_and_rows(max_steps, max_rows, limits):
    """A row that is longer than a block is a block."""
    ragged = Ragged(np.arange(10), np.array([3, 0, 1, 5, 1]))
    assert list(ragged.block_limits(max_steps, max_rows)) == limits
    assert list(ragged.part(0, 0).block_limits(max_steps, max_rows)) == []
    assert ragged.part(2, 4).values.tolist() == [3, 4, 5, 6, 7, 8] and ragged.part(2, 4).lengths.tolist() == [1, 5]
