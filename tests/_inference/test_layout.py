"""Positions of steps in a time-major batch, against a loop over the sequences."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqclf._inference.layout import BatchLayout

lengths_lists = st.lists(st.integers(0, 6), min_size=0, max_size=8)


def layout_by_loop(lengths):
    """(sequence, time) of every step, time-major, longest first; ties in the order of the sequences."""
    order = [i for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]) if lengths[i]]
    return order, [(i, t) for t in range(max(lengths, default=0)) for i in order if lengths[i] > t]


@given(lengths_lists)
def test_positions_equal_a_loop(lengths):
    layout = BatchLayout(lengths)
    order, steps = layout_by_loop(lengths)
    starts = np.cumsum([0, *lengths])
    position = {step: p for p, step in enumerate(steps)}
    assert layout.sequence_of_row.tolist() == order
    assert layout.data_positions.tolist() == [starts[i] + t for i, t in steps]
    assert layout.data_offsets.tolist() == [starts[i] for i in order]
    assert layout.is_sorted == (order == list(range(len(lengths))))
    assert layout.row.tolist() == [order.index(i) for i, _ in steps]
    assert layout.last_positions.tolist() == [position[i, lengths[i] - 1] for i in order]
    assert layout.mirrored_positions.tolist() == [position[i, lengths[i] - 1 - t] for i, t in steps]
    assert layout.time.tolist() == [t for _, t in steps]
    assert layout.batch_sizes.tolist() == [sum(n > t for n in lengths) for t in range(layout.max_length)]


@given(lengths_lists, st.randoms(use_true_random=False))
def test_positions_end_to_end_for_any_starts(lengths, random):
    starts = [random.randrange(100) for _ in lengths]
    layout = BatchLayout(lengths, starts)
    _, steps = layout_by_loop(lengths)
    position = {step: p for p, step in enumerate(steps)}
    assert layout.positions_end_to_end.tolist() == [position[i, t] for i, n in enumerate(lengths) for t in range(n)]
    assert layout.data_positions.tolist() == [starts[i] + t for i, t in steps]


@given(lengths_lists, st.integers(1, 5))
def test_window_positions_stay_within_their_row(lengths, width):
    layout = BatchLayout(lengths)
    _, steps = layout_by_loop(lengths)
    position = {step: p for p, step in enumerate(steps)}
    windows = [[(i, t + offset - (width - 1) // 2) for offset in range(width)] for i, t in steps]
    assert layout.window_positions(width).tolist() == [
        [position.get(step, len(steps)) for step in row] for row in windows
    ]


def test_sort_rows():
    values = np.arange(4) * 10
    assert BatchLayout([1, 3, 0, 2]).sort_rows(values).tolist() == [10, 30, 0]
    assert BatchLayout([3, 2, 2, 1]).sort_rows(values) is values


def test_starts_of_another_length_raise():
    with pytest.raises(ValueError, match="There are 1 starts, but 2 lengths"):
        BatchLayout([1, 2], [0])


@pytest.mark.parametrize("n", [4, 6])
def test_check_raises_for_data_of_another_length(n):
    with pytest.raises(ValueError, match=f"There are {n} steps of values, but the lengths add up to 5"):
        BatchLayout([2, 3]).check(n)
    BatchLayout([2, 3]).check(5)


@pytest.mark.parametrize("starts", [[-1, 2], [0, 3]])
def test_check_raises_for_sequences_beyond_the_data(starts):
    with pytest.raises(ValueError, match="There are 5 steps of values, but the sequences extend from"):
        BatchLayout([2, 3], starts).check(5)
    BatchLayout([2, 3], [1, 2]).check(5)
