"""Gathering of steps, and of looked-up values: the compiled kernels against a loop and against the reference."""

import numpy as np
import pytest
import torch

from _sampling import sampled
from seqclf._kernels import LookUp, StepLayout, reference
from seqclf._kernels.cpu import gather
from seqclf._native import library
from seqclf._native.threads import kernel_threads

pytestmark = pytest.mark.skipif(not library.available()[0], reason=f"no compiled kernels: {library.available()[1]}")

LENGTHS = {
    "ragged": [40, 1, 17, 33, 0, 40, 5, 28, 2, 40, 11, 21, 3, 36, 8, 1, 19],
    "equal": [9] * 20,
    "one step": [1],
    "one row": [50],
    "no steps": [0, 0],
    "no rows": [],
}
SHAPES = {str(shape): shape for shape in [(), (0,), (1,), (2,), (3,), (16,)]}
DTYPES = [torch.int64, torch.int32, torch.float32, torch.float64, torch.uint8]
N_STEPS, N_ENTRIES = 70, (5, 300, 31)


def scattered_layout(lengths, seed=0):
    """A layout of overlapping sequences that start anywhere in the data, in any order."""
    rng = np.random.default_rng(seed)
    starts = np.array([rng.integers(0, N_STEPS - length + 1) for length in lengths], dtype=np.int64)
    starts[-1:] = N_STEPS - np.array(lengths[-1:], dtype=np.int64)  # one sequence ends with the data
    return StepLayout(lengths, starts=starts)


def gather_by_loop(values, layout):
    """The definition as a loop: all first steps, then all second steps, and so on."""
    positions = [
        int(start) + time
        for time in range(layout.max_length)
        for start, length in zip(layout.data_offsets, layout.lengths, strict=True)
        if time < length
    ]
    return values[torch.tensor(positions, dtype=torch.int64)]


def ids_and_entries(seed=0):
    """For each step a token id and the entries of three tables, (n_steps, 4)."""
    rng = np.random.default_rng(seed)
    columns = [rng.integers(0, n, N_STEPS) for n in (1000, *N_ENTRIES)]
    return torch.from_numpy(np.stack(columns, axis=1).astype(np.int32))


def make_lookup(n_sequences, channels=(1, 1, 1), n_versions=4, seed=0):
    rng = np.random.default_rng(seed)
    tables = [
        torch.from_numpy(rng.standard_normal((n_versions, n, width)).astype(np.float32))
        for n, width in zip(N_ENTRIES, channels, strict=True)
    ]
    tables[0][0, 1] = torch.nan
    return LookUp(ids_and_entries()[:, 1:], tuple(tables), rng.integers(0, n_versions, n_sequences))


def assert_same_bits(ours, theirs):
    assert ours.dtype == theirs.dtype and ours.shape == theirs.shape
    np.testing.assert_array_equal(ours.numpy(), theirs.numpy())  # NaN equals NaN


@pytest.mark.usefixtures("_every_instruction_set")
@sampled({"lengths": LENGTHS, "shape": SHAPES, "dtype": DTYPES}, n_quick=12)
def test_gathered_steps_equal_a_loop(lengths, shape, dtype):
    end_to_end = StepLayout(lengths)
    for layout, n in ((end_to_end, end_to_end.n_steps), (scattered_layout(lengths), N_STEPS)):
        values = torch.arange(1, 1 + n * (sum(shape) if shape else 1)).reshape(n, *shape).to(dtype)
        expected = gather_by_loop(values, layout).to(torch.int64 if dtype == torch.int32 and not shape else dtype)
        assert_same_bits(gather.gather_steps(values, layout), expected)
        assert_same_bits(reference.gather_steps(values, layout), expected)
        with_gaps = torch.stack((values, values), dim=-1)
        assert_same_bits(gather.gather_steps(with_gaps[..., 0], layout), expected)
        unaligned = torch.cat((values[:1], values))[1:] if n else values
        assert_same_bits(gather.gather_steps(unaligned, layout), expected)


@pytest.mark.usefixtures("_every_instruction_set")
@sampled({"lengths": LENGTHS, "channels": [(1, 1, 1), (3, 3, 3), (0, 2, 5)], "n_threads": [1, 3]})
def test_looked_up_values_equal_reference(lengths, channels, n_threads, tune, poison_memory):
    tune(min_parallel_work=-1)
    layout, lookup = scattered_layout(lengths), make_lookup(len(lengths), channels)
    versions = torch.from_numpy(lookup.versions[layout.order.numpy()])[layout.row_of_step]
    columns = zip(lookup.tables, gather_by_loop(lookup.entries, layout).T, strict=True)
    expected = torch.cat([table[versions, column] for table, column in columns], dim=1)
    assert expected.isnan().any() or layout.n_steps < N_STEPS or not channels[0], "NaN has to occur"
    assert_same_bits(reference.look_up(lookup, layout), expected)
    for table in lookup.tables:  # no other memory follows the table, so that a read beyond its end is noticed
        assert table.untyped_storage().nbytes() == table.nbytes
    poison_memory()
    with kernel_threads(n_threads):
        assert_same_bits(gather.look_up(lookup, layout), expected)


@pytest.mark.parametrize("seed", range(20))
def test_random_batches_equal_reference(seed):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, rng.integers(1, N_STEPS), rng.integers(0, 40)).tolist()
    layout, lookup = scattered_layout(lengths, seed), make_lookup(len(lengths), rng.integers(1, 4, 3), seed=seed)
    assert_same_bits(gather.look_up(lookup, layout), reference.look_up(lookup, layout))
    ids = ids_and_entries(seed)[:, 0]
    assert_same_bits(gather.gather_steps(ids, layout), reference.gather_steps(ids, layout))


def test_look_up_is_float32_for_any_default_dtype():
    """The default dtype of torch can be float64, but the library writes float32."""
    make_lookup = LookUp(torch.zeros(9, 1, dtype=torch.int32), (torch.ones(1, 1, 2),), np.zeros(2, dtype=np.int64))
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        found = gather.look_up(make_lookup, StepLayout([4, 5]))
    finally:
        torch.set_default_dtype(before)
    assert found.dtype == torch.float32 and torch.equal(found, torch.ones(9, 2, dtype=torch.float32))
