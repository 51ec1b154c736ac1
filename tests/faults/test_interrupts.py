"""Ctrl-C at random moments of a fit: the estimator is as before, or completely fitted, and threads are as they were."""

import signal

import pytest

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no such timer")

CODE = """
    import signal, time
    import torch
    from threadpoolctl import threadpool_info

    def surroundings():
        blas = [(each["filepath"], each["num_threads"]) for each in threadpool_info() if each["user_api"] == "blas"]
        return torch.get_num_threads(), torch.is_grad_enabled(), torch.is_inference_mode_enabled(), blas

    def interrupt(*_):
        raise KeyboardInterrupt

    one, X, y = {make}
    one.fit(X, y)
    start = time.perf_counter()
    expected = one.fit(X, y).decision_function(X)
    seconds = time.perf_counter() - start
    outside, n_interrupted, rng = surroundings(), 0, np.random.default_rng({seed})
    signal.signal(signal.SIGALRM, interrupt)
    for delay in rng.uniform(0.0, 1.2 * seconds, size={n}):
        before, kept = dict(vars(one)), None
        try:
            signal.setitimer(signal.ITIMER_REAL, max(delay, 1e-6))
            one.fit(X, y)
            signal.setitimer(signal.ITIMER_REAL, 0)
        except KeyboardInterrupt as error:
            n_interrupted, kept = n_interrupted + 1, error
        assert surroundings() == outside
        now = vars(one)
        assert now == before or all(now[name] is not before[name] for name in ("network_", "history_"))
    np.testing.assert_array_equal(one.decision_function(X), expected)
    np.testing.assert_array_equal(one.fit(X, y).decision_function(X), expected)
    print(n_interrupted > {n} / 3)
"""
MAKE = {"series": "series(), X, y", "words": "words(), texts, y"}


@pytest.mark.parametrize(("kind", "seed"), [("series", 0)])
def test_a_few_moments(run_program, kind, seed):
    assert run_program(CODE.format(make=MAKE[kind], seed=seed, n=40)) == "True"


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("kind", MAKE)
def test_many_moments(run_program, kind, seed):
    assert run_program(CODE.format(make=MAKE[kind], seed=seed, n=400), timeout=290) == "True"
