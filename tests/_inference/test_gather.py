"""Steps of the data into the order of a batch, and what is looked up next to them: the library against numpy.

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


def somewhere(lengths, seed=0):
    """A layout of sequences that begin anywhere in the data, in any order, steps of one in another."""
    rng = np.random.default_rng(seed)
    return BatchLayout(lengths, [rng.integers(0, N_STEPS - length + 1) for length in lengths])


def asked(n_sequences, seed=0):
    """Entries of three tables for each step of the data, the tables, and the version of each sequence."""
    rng = np.random.default_rng(seed)
    sizes = (5, 300, 31)
    entries = np.stack([rng.integers(0, n, N_STEPS) for n in sizes], axis=1).astype(np.int32)
    tables = [rng.standard_normal((4, n, width)).astype(np.float32) for n, width in zip(sizes, (1, 3, 2), strict=True)]
    return entries, tables, rng.integers(0, 4, n_sequences)


@BOTH
@pytest.mark.parametrize("seed", range(5))
def test_steps_and_numbers_are_those_of_a_loop(kernel, seed):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, 40, rng.integers(0, 20)).tolist()
    layout, (entries, tables, versions) = somewhere(lengths, seed), asked(len(lengths), seed)
    ids, numbers = rng.integers(0, 999, N_STEPS).astype(np.int32), rng.standard_normal((N_STEPS, 3)).astype(np.float32)
    places = [
        (row, int(start) + time)
        for time in range(layout.max_length)
        for row, (start, length) in enumerate(zip(layout.data_offsets, layout.lengths, strict=True))
        if time < length
    ]
    with use(kernel):
        found_ids, found_numbers = gather.arrange(ids, layout), gather.arrange(numbers, layout)
        found = gather.look_up(entries, tables, versions, layout)
    assert found_ids.dtype == np.int64 and found_ids.tolist() == [ids[place] for _, place in places]
    assert found_numbers.dtype == np.float32 and found_numbers.tolist() == [numbers[p].tolist() for _, p in places]
    of_rows = versions[layout.sequence_of_row]
    expected = [
        np.concatenate([table[of_rows[row], entries[place, i]] for i, table in enumerate(tables)]).tolist()
        for row, place in places
    ]
    assert found.dtype == np.float32 and found.shape == (layout.n_steps, 6) and found.tolist() == expected


@compiled
def test_the_library_runs_unless_others_are_asked_for(monkeypatch):
    monkeypatch.delenv("SEQCLF_KERNELS", raising=False)
    layout, ran = BatchLayout([N_STEPS]), []
    for name in ("arrange_compiled", "arrange_plain", "look_up_compiled", "look_up_plain"):
        monkeypatch.setattr(gather, name, lambda *_, name=name: ran.append(name))
    gather.arrange(np.zeros(N_STEPS), layout)
    gather.look_up(*asked(1), layout)
    with use("reference"):
        gather.arrange(np.zeros(N_STEPS), layout)
        gather.look_up(*asked(1), layout)
    assert ran == ["arrange_compiled", "look_up_compiled", "arrange_plain", "look_up_plain"]


@BOTH
@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize(("table", "entry"), [(0, 5), (1, -1), (2, 2**31 - 1)])
def test_an_entry_that_no_table_has_is_refused(kernel, table, entry, n_threads, tune):
    tune(min_parallel_work=-1)
    entries, tables, versions = asked(2)
    entries[41, table] = entry
    with use(kernel), kernel_threads(n_threads), pytest.raises(IndexError, match=f"Looked up .*{entry}"):
        gather.look_up(entries, tables, versions, BatchLayout([40, 30]))


@BOTH
@pytest.mark.parametrize("version", [-1, 4])
def test_a_version_that_no_table_has_is_refused(kernel, version):
    entries, tables, versions = asked(2)
    versions[1] = version
    with use(kernel), pytest.raises(IndexError, match=f"Looked up were versions .*{version}"):
        gather.look_up(entries, tables, versions, BatchLayout([40, 30]))


@compiled
def test_tables_and_versions_that_do_not_fit_are_refused():
    entries, tables, versions = asked(2)
    with pytest.raises(ValueError, match="There are 1 versions for 2 rows"):
        gather.look_up_compiled(entries, tables, versions[:1], BatchLayout([40, 30]))
    with pytest.raises(ValueError, match="3 tables for entries of shape"):
        gather.look_up_compiled(entries[:, :2], tables, versions, BatchLayout([40, 30]))


@BOTH
@pytest.mark.parametrize("n", [N_STEPS - 1, N_STEPS + 1])
def test_data_of_another_length_are_refused(kernel, n):
    with use(kernel), pytest.raises(ValueError, match=f"There are {n} steps of values"):
        gather.arrange(np.zeros(n), BatchLayout([40, 30]))
    with use(kernel), pytest.raises(ValueError, match=f"There are {n} steps of values"):
        gather.look_up(np.zeros((n, 3), dtype=np.int32), *asked(2)[1:], BatchLayout([40, 30]))
