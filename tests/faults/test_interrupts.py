"""Ctrl-C at random times during a fit: the estimator is unchanged or fitted, and global settings are restored."""

import signal

import pytest

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no interval timer")

CODE = """
    import signal, time
    import torch
    from threadpoolctl import threadpool_info

    def global_settings():
        blas = [(pool["filepath"], pool["num_threads"]) for pool in threadpool_info() if pool["user_api"] == "blas"]
        return torch.get_num_threads(), torch.is_grad_enabled(), torch.is_inference_mode_enabled(), blas

    def interrupt(*_):
        raise KeyboardInterrupt

    model, X, y = {make}
    model.fit(X, y)
    start = time.perf_counter()
    expected = model.fit(X, y).decision_function(X)
    seconds = time.perf_counter() - start
    settings, n_interrupted, rng = global_settings(), 0, np.random.default_rng({seed})
    signal.signal(signal.SIGALRM, interrupt)
    for delay in rng.uniform(0.0, 1.2 * seconds, size={n}):
        before, caught = dict(vars(model)), None
        try:
            signal.setitimer(signal.ITIMER_REAL, max(delay, 1e-6))
            model.fit(X, y)
            signal.setitimer(signal.ITIMER_REAL, 0)
        except KeyboardInterrupt as error:
            n_interrupted, caught = n_interrupted + 1, error
        assert global_settings() == settings, (global_settings(), settings, caught)
        after = vars(model)
        same = [after[name] is before.get(name) for name in after]
        assert all(same) or not (after["network_"] is before["network_"] or after["history_"] is before["history_"])
        assert after.keys() == before.keys()
    np.testing.assert_array_equal(model.decision_function(X), expected)
    np.testing.assert_array_equal(model.fit(X, y).decision_function(X), expected)
    print(n_interrupted > {n} / 3)
"""
MAKE = {"series": "series(), X, y", "words": "words(), texts, y"}


@pytest.mark.parametrize(("kind", "seed"), [("series", 0)])
def test_interrupted_fit_is_unchanged_or_complete(run_program, kind, seed):
    assert run_program(CODE.format(make=MAKE[kind], seed=seed, n=20)) == "True"


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("kind", MAKE)
def test_interrupted_fit_is_unchanged_or_complete_at_many_moments(run_program, kind, seed):
    assert run_program(CODE.format(make=MAKE[kind], seed=seed, n=400), timeout=290) == "True"
