"""Positions of steps in a time-major batch, against a plain loop over the sequences."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from seqclf._kernels import StepLayout

lengths_lists = st.lists(st.integers(0, 6), min_size=0, max_size=8)


def plain_layout(lengths):
    """(sequence, time) of every step, time-major, longest first; ties in the order of the sequences."""
    order = [i for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]) if lengths[i]]
    return order, [(i, t) for t in range(max(lengths, default=0)) for i in order if lengths[i] > t]


@given(lengths_lists)
def test_positions_equal_the_plain_loop(lengths):
    layout = StepLayout(lengths)
    order, steps = plain_layout(lengths)
    starts = np.cumsum([0, *lengths])
    position = {step: p for p, step in enumerate(steps)}
    assert layout.order.tolist() == order
    assert layout.gather.tolist() == [starts[i] + t for i, t in steps]
    assert layout.data_offsets.tolist() == [starts[i] for i in order]
    assert layout.is_sorted == (order == list(range(len(lengths))))
    assert layout.row_of_step.tolist() == [order.index(i) for i, _ in steps]
    assert layout.last_step.tolist() == [position[i, lengths[i] - 1] for i in order]
    assert layout.reversed.tolist() == [position[i, lengths[i] - 1 - t] for i, t in steps]
    assert layout.batch_sizes.tolist() == [sum(n > t for n in lengths) for t in range(layout.max_length)]


@given(lengths_lists, st.integers(1, 5))
def test_windows_stay_within_their_row(lengths, width):
    layout = StepLayout(lengths)
    _, steps = plain_layout(lengths)
    position = {step: p for p, step in enumerate(steps)}
    seen = [[(i, t + offset - (width - 1) // 2) for offset in range(width)] for i, t in steps]
    assert layout.windows(width).tolist() == [[position.get(step, len(steps)) for step in row] for row in seen]


@given(lengths_lists.filter(any))
def test_pad_is_undone_by_unpad(lengths):
    layout = StepLayout(lengths)
    values = torch.arange(2.0 * layout.n_steps).reshape(-1, 2) + 1
    grid = layout.pad(values, fill=-1.0)
    assert grid.shape == (layout.max_length, layout.n_rows, 2)
    for time, row in np.ndindex(*grid.shape[:2]):
        if time >= layout.lengths[row]:
            assert (grid[time, row] == -1).all()
        else:
            assert (grid[time, row] == values[layout.time_offsets[time] + row]).all()
    assert torch.equal(layout.unpad(grid), values)
