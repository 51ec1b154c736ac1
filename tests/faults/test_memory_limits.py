"""Fits with a limited address space: each fit succeeds or raises a MemoryError with a message."""

import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS is specific to Linux")

LIMITED = """
    import resource
    import seqclf._fit, seqclf._rnn_classifier  # importing torch would exceed the limit

    model = seqclf.RNNClassifier(units={units}, cell="lstm", max_epochs=1, random_state=0, n_threads=2)
    before = dict(vars(model))
    size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + {megabytes} * 2**20, -1))
    try:
        model.fit([[[0.0, 1.0]] * 4, [[1.0, 0.0]] * 4] * 2, [0, 1, 0, 1])
    except MemoryError as error:
        assert vars(model) == before
        assert str(error), "the message is empty"
        print("MemoryError", error)
    else:
        print("fitted")
"""


def test_fit_raises_memory_error_before_openblas_fails_to_allocate(run_program):
    """With so little memory OpenBLAS would end the process or never return."""
    output = run_program(LIMITED.format(units=8, megabytes=50))
    assert output.startswith("MemoryError Less than 84 MB of the address space")


@pytest.mark.slow
@pytest.mark.parametrize("units", [8, 300, 1500])
@pytest.mark.parametrize("megabytes", [1, 20, 90, 100, 130, 160, 250, 400, 500, 700])
def test_fit_succeeds_or_raises_memory_error_under_any_limit(run_program, megabytes, units):
    run_program(LIMITED.format(units=units, megabytes=megabytes))


FAILING_ALLOCATIONS = """
    from seqclf._native import library

    loaded, text = library.load()
    if loaded is None:
        sys.exit(print("skipped"))
    expected = series().fit(X, y).decision_function(X)
    loaded.seqclf_fail_allocation(10**9)
    series().fit(X, y)
    n_allocations = 10**9 - loaded.seqclf_fail_allocation(0)
    model = series().fit(X, y)
    before = dict(vars(model))
    for n in [1, 2, 3, *np.random.default_rng(0).integers(1, n_allocations, size={n_random})]:
        loaded.seqclf_fail_allocation(int(n))
        try:
            model.fit(X, y)
        except MemoryError as error:
            assert vars(model) == before and "The compiled kernels ran out of memory" in str(error)
        else:
            raise AssertionError(n)
    np.testing.assert_array_equal(model.fit(X, y).decision_function(X), expected)
    print(n_allocations > 100)
"""


@pytest.mark.parametrize("n_random", [4, pytest.param(60, marks=pytest.mark.slow)])
def test_failed_kernel_allocation_leaves_the_estimator_unchanged(run_program, n_random):
    """The next fit is bitwise equal."""
    assert run_program(FAILING_ALLOCATIONS.format(n_random=n_random)) in ("True", "skipped")
