"""Gathering of steps and of looked-up values, on the library and in numpy, against a loop.

`tests/_kernels/cpu/test_gather.py` compares the library with a loop, in many shapes and types.
"""

import numpy as np
import pytest

from seqclf._inference import gather
from seqclf._inference.layout import BatchLayout
from seqclf._native import library
from seqclf._native.forced import use
from seqclf._native.threads import kernel_threads

compiled = pytest.mark.skipif(not library.available()[0], reason=f"no compiled kernels: {library.available()[1]}")
BOTH = pytest.mark.parametrize("kernel", [pytest.param("cpu", marks=compiled), "reference"])
N_STEPS = 70


def scattered_layout(lengths, seed=0):
    """A layout of overlapping sequences that start anywhere in the data, in any order."""
    rng = np.random.default_rng(seed)
    return BatchLayout(lengths, [rng.integers(0, N_STEPS - length + 1) for length in lengths])


def make_lookup(n_sequences, seed=0):
    """Entries of three tables for each step of the data, the tables, and the version of each sequence."""
    rng = np.random.default_rng(seed)
    sizes = (5, 300, 31)
    entries = np.stack([rng.integers(0, n, N_STEPS) for n in sizes], axis=1).astype(np.int32)
    tables = [rng.standard_normal((4, n, width)).astype(np.float32) for n, width in zip(sizes, (1, 3, 2), strict=True)]
    return entries, tables, rng.integers(0, 4, n_sequences)


@BOTH
@pytest.mark.parametrize("seed", range(5))
def test_gather_steps_and_look_up_equal_a_loop(kernel, seed):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, 40, rng.integers(0, 20)).tolist()
    layout, (entries, tables, versions) = scattered_layout(lengths, seed), make_lookup(len(lengths), seed)
    ids, values = rng.integers(0, 999, N_STEPS).astype(np.int32), rng.standard_normal((N_STEPS, 3)).astype(np.float32)
    positions = [
        (row, int(start) + time)
        for time in range(layout.max_length)
        for row, (start, length) in enumerate(zip(layout.data_offsets, layout.lengths, strict=True))
        if time < length
    ]
    with use(kernel):
        found_ids, found_values = gather.gather_steps(ids, layout), gather.gather_steps(values, layout)
        found = gather.look_up(entries, tables, versions, layout)
    assert found_ids.dtype == np.int64 and found_ids.tolist() == [ids[position] for _, position in positions]
    assert found_values.dtype == np.float32 and found_values.tolist() == [values[p].tolist() for _, p in positions]
    row_versions = versions[layout.sequence_of_row]
    expected = [
        np.concatenate([table[row_versions[row], entries[position, i]] for i, table in enumerate(tables)]).tolist()
        for row, position in positions
    ]
    assert found.dtype == np.float32 and found.shape == (layout.n_steps, 6) and found.tolist() == expected


@compiled
def test_library_is_used_unless_another_kernel_is_forced(monkeypatch):
    monkeypatch.delenv("SEQCLF_KERNELS", raising=False)
    layout, ran = BatchLayout([N_STEPS]), []
    for name in ("gather_steps_compiled", "gather_steps_numpy", "look_up_compiled", "look_up_numpy"):
        monkeypatch.setattr(gather, name, lambda *_, name=name: ran.append(name))
    gather.gather_steps(np.zeros(N_STEPS), layout)
    gather.look_up(*make_lookup(1), layout)
    with use("reference"):
        gather.gather_steps(np.zeros(N_STEPS), layout)
        gather.look_up(*make_lookup(1), layout)
    assert ran == ["gather_steps_compiled", "look_up_compiled", "gather_steps_numpy", "look_up_numpy"]


@BOTH
@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize(("table", "entry"), [(0, 5), (1, -1), (2, 2**31 - 1)])
def test_look_up_raises_for_an_entry_out_of_range(kernel, table, entry, n_threads, tune):
    tune(min_parallel_work=-1)
    entries, tables, versions = make_lookup(2)
    entries[41, table] = entry
    with use(kernel), kernel_threads(n_threads), pytest.raises(IndexError, match=f"entries from .*{entry}"):
        gather.look_up(entries, tables, versions, BatchLayout([40, 30]))


@BOTH
@pytest.mark.parametrize("version", [-1, 4])
def test_look_up_raises_for_a_version_out_of_range(kernel, version):
    entries, tables, versions = make_lookup(2)
    versions[1] = version
    with use(kernel), pytest.raises(IndexError, match=f"The versions run from .*{version}"):
        gather.look_up(entries, tables, versions, BatchLayout([40, 30]))


@compiled
def test_look_up_raises_for_mismatched_tables_or_versions():
    entries, tables, versions = make_lookup(2)
    with pytest.raises(ValueError, match="There are 1 versions for 2 rows"):
        gather.look_up_compiled(entries, tables, versions[:1], BatchLayout([40, 30]))
    with pytest.raises(ValueError, match="3 tables for entries of shape"):
        gather.look_up_compiled(entries[:, :2], tables, versions, BatchLayout([40, 30]))


@BOTH
@pytest.mark.parametrize("n", [N_STEPS - 1, N_STEPS + 1])
def test_data_of_another_length_raises(kernel, n):
    with use(kernel), pytest.raises(ValueError, match=f"There are {n} steps of values"):
        gather.gather_steps(np.zeros(n), BatchLayout([40, 30]))
    with use(kernel), pytest.raises(ValueError, match=f"There are {n} steps of values"):
        gather.look_up(np.zeros((n, 3), dtype=np.int32), *make_lookup(2)[1:], BatchLayout([40, 30]))
