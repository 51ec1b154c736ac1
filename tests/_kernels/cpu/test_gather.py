"""Steps of the data into the order of a batch, and what is looked up beside them: our kernels against plain twins."""

import numpy as np
import pytest
import torch

from seqclf import _kernels
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
ALL_LENGTHS = pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS.keys())
N_STEPS, N_ENTRIES = 70, (5, 300, 31)


def somewhere(lengths, seed=0):
    """A layout of sequences that begin anywhere in the data, in any order, steps of one in another."""
    rng = np.random.default_rng(seed)
    starts = np.array([rng.integers(0, N_STEPS - length + 1) for length in lengths], dtype=np.int64)
    starts[-1:] = N_STEPS - np.array(lengths[-1:], dtype=np.int64)  # up to the very end
    return StepLayout(lengths, starts=starts)


def one_by_one(values, layout):
    """The definition as a loop: all first steps, then all second ones."""
    places = [
        int(start) + time
        for time in range(layout.max_length)
        for start, length in zip(layout.data_offsets, layout.lengths, strict=True)
        if time < length
    ]
    return values[torch.tensor(places, dtype=torch.int64)]


def ids_and_entries(seed=0):
    """Of each step a token id and entries of three tables, beside one another as `RatedIds` has them."""
    rng = np.random.default_rng(seed)
    columns = [rng.integers(0, n, N_STEPS) for n in (1000, *N_ENTRIES)]
    return torch.from_numpy(np.stack(columns, axis=1).astype(np.int32))


def asked(n_sequences, channels=(1, 1, 1), n_versions=4, seed=0):
    rng = np.random.default_rng(seed)
    tables = [
        torch.from_numpy(rng.standard_normal((n_versions, n, width)).astype(np.float32))
        for n, width in zip(N_ENTRIES, channels, strict=True)
    ]
    tables[0][0, 1] = torch.nan
    return LookUp(ids_and_entries()[:, 1:], tuple(tables), rng.integers(0, n_versions, n_sequences))


def same_bits(ours, theirs):
    assert ours.dtype == theirs.dtype and ours.shape == theirs.shape
    np.testing.assert_array_equal(ours.numpy(), theirs.numpy())  # NaN equals NaN


@pytest.mark.usefixtures("_every_instruction_set")
@ALL_LENGTHS
@pytest.mark.parametrize("shape", [(), (0,), (1,), (2,), (3,), (16,)], ids=str)
@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.float32, torch.float64, torch.uint8], ids=str)
def test_arranged_steps_are_those_of_the_plain_twin(lengths, shape, dtype):
    end_to_end = StepLayout(lengths)
    for layout, n in ((end_to_end, end_to_end.n_steps), (somewhere(lengths), N_STEPS)):
        values = torch.arange(1, 1 + n * (sum(shape) if shape else 1)).reshape(n, *shape).to(dtype)
        expected = one_by_one(values, layout).to(torch.int64 if dtype == torch.int32 and not shape else dtype)
        same_bits(gather.arrange(values, layout), expected)
        same_bits(reference.arrange(values, layout), expected)
        with_gaps = torch.stack((values, values), dim=-1)
        same_bits(gather.arrange(with_gaps[..., 0], layout), expected)
        from_an_odd_place = torch.cat((values[:1], values))[1:] if n else values
        same_bits(gather.arrange(from_an_odd_place, layout), expected)


@pytest.mark.usefixtures("_every_instruction_set")
@ALL_LENGTHS
@pytest.mark.parametrize("channels", [(1, 1, 1), (3, 3, 3), (0, 2, 5)], ids=str)
@pytest.mark.parametrize("n_threads", [1, 3])
def test_looked_up_numbers_are_those_of_the_plain_twin(lengths, channels, n_threads, tune, poison_memory):
    tune(min_parallel_work=-1)
    layout, given = somewhere(lengths), asked(len(lengths), channels)
    versions = torch.from_numpy(given.versions[layout.order.numpy()])[layout.row_of_step]
    columns = zip(given.tables, one_by_one(given.entries, layout).T, strict=True)
    expected = torch.cat([table[versions, column] for table, column in columns], dim=1)
    assert expected.isnan().any() or layout.n_steps < N_STEPS or not channels[0], "NaN has to pass through"
    same_bits(reference.look_up(given, layout), expected)
    for table in given.tables:  # beside the tables lies nothing that could be read instead
        assert table.untyped_storage().nbytes() == table.nbytes
    poison_memory()
    with kernel_threads(n_threads):
        same_bits(gather.look_up(given, layout), expected)


@pytest.mark.parametrize("seed", range(20))
def test_random_batches_are_those_of_the_plain_twin(seed):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, rng.integers(1, N_STEPS), rng.integers(0, 40)).tolist()
    layout, given = somewhere(lengths, seed), asked(len(lengths), rng.integers(1, 4, 3), seed=seed)
    same_bits(gather.look_up(given, layout), reference.look_up(given, layout))
    ids = ids_and_entries(seed)[:, 0]
    same_bits(gather.arrange(ids, layout), reference.arrange(ids, layout))


def test_the_fast_path_runs_where_it_can(monkeypatch):
    layout = StepLayout([2, 3])
    values, given = torch.arange(5.0), asked(2)
    given = given._replace(entries=given.entries[:5])
    ran = []
    for name, kernel in (("cpu", gather), ("reference", reference)):
        for function in ("arrange", "look_up"):
            monkeypatch.setattr(kernel, function, lambda *args, name=name: ran.append(name) or values)
    _kernels.arrange(values, layout)
    _kernels.arrange(given, layout)
    _kernels.arrange(values.clone().requires_grad_(), layout)
    with _kernels.use("reference"):
        _kernels.arrange(values, layout)
        _kernels.arrange(given, layout)
    assert ran == ["cpu", "cpu", "reference", "reference", "reference"]


# What may not be read

BOTH_KERNELS = pytest.mark.parametrize("kernel", ["cpu", "reference"])


@pytest.mark.parametrize("n", [0, 4, 6])
@BOTH_KERNELS
def test_steps_that_are_too_few_or_too_many_are_refused(kernel, n):
    with _kernels.use(kernel), pytest.raises(ValueError, match=f"There are {n} steps .* lengths add up to 5"):
        _kernels.arrange(torch.zeros(n), StepLayout([2, 3]))
    given = asked(2)
    given = given._replace(entries=given.entries[:n])
    with _kernels.use(kernel), pytest.raises(ValueError, match=f"There are {n} steps .* lengths add up to 5"):
        _kernels.arrange(given, StepLayout([2, 3]))


@pytest.mark.parametrize(("starts", "reach"), [([-1, 3], "-1 to 6"), ([0, N_STEPS - 2], f"0 to {N_STEPS + 1}")])
@BOTH_KERNELS
def test_sequences_beyond_the_data_are_refused(kernel, starts, reach):
    layout = StepLayout([2, 3], starts=starts)
    for values in (ids_and_entries()[:, 0], asked(2)):
        with _kernels.use(kernel), pytest.raises(ValueError, match=f"There are {N_STEPS} steps .* reach from {reach}"):
            _kernels.arrange(values, layout)


def test_where_a_sequence_without_steps_begins_does_not_matter():
    layout = StepLayout([2, 0], starts=[1, -7])
    assert _kernels.arrange(torch.arange(5.0), layout).tolist() == [1, 2]


def test_as_many_starts_as_lengths():
    with pytest.raises(ValueError, match="There are 3 starts, but 2 lengths"):
        StepLayout([2, 3], starts=[0, 1, 2])


@pytest.mark.usefixtures("_every_instruction_set")
@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("step", [0, 30, N_STEPS - 1])
@pytest.mark.parametrize(("table", "entry"), [(0, -1), (1, N_ENTRIES[1]), (2, 2**31 - 1), (2, -(2**31))])
@BOTH_KERNELS
def test_an_entry_that_no_table_has_is_refused(kernel, table, entry, step, n_threads, tune):
    tune(min_parallel_work=-1)
    given = asked(2)
    given.entries[step, table] = entry
    layout = StepLayout([40, 30])
    with _kernels.use(kernel), kernel_threads(n_threads), pytest.raises(IndexError, match=f"Looked up .*{entry}"):
        _kernels.arrange(given, layout)


@pytest.mark.parametrize("version", [-1, 4])
@BOTH_KERNELS
def test_a_version_that_no_table_has_is_refused(kernel, version):
    given = asked(2)._replace(versions=np.array([0, version]))
    with _kernels.use(kernel), pytest.raises(IndexError, match="versions"):
        _kernels.arrange(given, StepLayout([40, 30]))
    fewer = asked(2)._replace(versions=np.array([0, 3]))
    fewer = fewer._replace(tables=(*fewer.tables[:2], fewer.tables[2][:3].clone()))
    with _kernels.use(kernel), pytest.raises(IndexError, match="versions"):
        _kernels.arrange(fewer, StepLayout([40, 30]))


def test_what_tables_hold_is_float32_whatever_torch_makes_by_default():
    """A process may have torch make float64: the library writes float32 into memory that is made for it."""
    asked = LookUp(torch.zeros(9, 1, dtype=torch.int32), (torch.ones(1, 1, 2),), np.zeros(2, dtype=np.int64))
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        found = gather.look_up(asked, StepLayout([4, 5]))
    finally:
        torch.set_default_dtype(before)
    assert found.dtype == torch.float32 and torch.equal(found, torch.ones(9, 2, dtype=torch.float32))
