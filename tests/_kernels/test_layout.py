"""The positions of a layout as tensors, and padding to a grid and back."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from seqclf._kernels import StepLayout

lengths_lists = st.lists(st.integers(0, 6), min_size=0, max_size=8)


@given(lengths_lists)
def test_index_tensors_equal_the_positions_of_the_layout(lengths):
    layout = StepLayout(lengths)
    pairs = {
        "order": layout.sequence_of_row,
        "gather": layout.data_positions,
        "steps_in_order": layout.positions_end_to_end,
        "row_of_step": layout.row,
        "last_step": layout.last_positions,
        "reversed": layout.mirrored_positions,
        "row_lengths": layout.lengths,
    }
    for name, expected in pairs.items():
        found = getattr(layout, name)
        assert found.dtype == torch.int64 and found.tolist() == expected.tolist(), name


def test_index_tensors_are_on_the_given_device():
    layout = StepLayout([1, 3], "meta")
    assert layout.order.device.type == layout.gather.device.type == "meta"


@given(lengths_lists.filter(any))
def test_unpad_inverts_pad(lengths):
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
