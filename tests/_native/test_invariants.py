"""The build with sanitizers stops at a call that violates a precondition of the kernels (csrc/invariants.h)."""

import subprocess
import sys
import textwrap

import pytest

from seqclf._native import library

checked = library.available()[0] and hasattr(library.load()[0], "seqclf_checks_calls")
needs_checks = pytest.mark.skipif(not checked, reason="this library was not built with -DSEQCLF_SANITIZE=ON")

# A batch of ids with two rows, of three steps and one step.
PROGRAM = """
    import ctypes
    import numpy as np
    from seqclf._native import abi, library

    batch_sizes, time_offsets = np.array([2, 1, 1]), np.array([0, 2, 3, 4])
    ids, n_ids = np.array([0, 1, 2, 1]), 3
    weights = {name: np.zeros(n, dtype=np.float32) for name, n in (("input", n_ids), ("recurrent", 1), ("bias", 1))}
    outputs = np.zeros((4, 8), dtype=np.float32)
    CHANGE
    direction = abi.Direction(0, *map(abi.address, weights.values()), None, None)
    call = abi.Forward(
        abi.Batch(2, 3, abi.address(batch_sizes), abi.address(time_offsets)),
        abi.Layer(0, 0, 1, 1, n_ids, 0, (2 * abi.Direction)(direction)),
        abi.Inputs(None, abi.address(ids), None, None),
        abi.address(outputs), None, None, 1,
    )
    library.load()[0].seqclf_forward(ctypes.byref(call))
    print("computed")
"""


# Runs before the call above: pools these steps, with one feature.
POOL = """
    values, pooled = np.zeros(4, dtype=np.float32), np.zeros(2, dtype=np.float32)
    addresses = (abi.address(values), None, None, abi.address(pooled), None, None)
    batch = abi.Batch(2, 3, abi.address(batch_sizes), abi.address(time_offsets))
    library.load()[0].seqclf_pool(ctypes.byref(abi.Pooling(batch, KIND, 1, 1, *addresses, 1)))
"""


def run_program(line):
    code = textwrap.dedent(PROGRAM.replace("CHANGE", line))
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.skipif(not library.available()[0], reason="no compiled kernels")
def test_valid_recurrence_call_is_computed():
    done = run_program("")
    assert (done.returncode, done.stdout) == (0, "computed\n"), done.stderr


@pytest.mark.skipif(not library.available()[0], reason="no compiled kernels")
@pytest.mark.parametrize("kind", [0, 1])
def test_valid_pooling_call_is_computed(kind):
    done = run_program(POOL.replace("KIND", str(kind)))
    assert (done.returncode, done.stdout) == (0, "computed\n"), done.stderr


@needs_checks
@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "batch_sizes[:] = [1, 2, 1]; time_offsets[:] = [0, 1, 3, 4]",
            "batch_sizes are non-increasing from n_rows, and positive",
        ),
        ("batch_sizes[:] = [2, 1, 0]", "batch_sizes are non-increasing from n_rows, and positive"),
        ("batch_sizes[:] = [3, 1, 1]", "batch_sizes are non-increasing from n_rows, and positive"),
        ("time_offsets[:] = [0, 1, 3, 4]", "time_offsets are the cumulative sums of batch_sizes"),
        ("time_offsets[:] = [1, 2, 3, 4]", "time_offsets"),
        ("time_offsets[:] = [0, 2, 1, 4]", "time_offsets"),
        ("ids[2] = 3", "ids"),
        ("ids[2] = -1", "ids"),
    ],
)
def test_invalid_recurrence_call_is_stopped(line, message):
    assert_stopped(run_program(line), message)


@needs_checks
@pytest.mark.parametrize(("kind", "message"), [(-1, "kind"), (99, "kind"), (2, "keys and query")])
def test_invalid_pooling_call_is_stopped(kind, message):
    assert_stopped(run_program(POOL.replace("KIND", str(kind))), message)


def assert_stopped(done, message):
    assert done.returncode != 0 and not done.stdout
    assert f"seqclf: a call violates a precondition of the kernels: {message}\n" in done.stderr
