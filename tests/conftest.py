"""Fixtures of many tests: checks of global state, real data, and access to internals."""

import os
import sys
from pathlib import Path

import hypothesis
import numpy as np
import pytest

from _tuning import TUNING


def pytest_configure(config):
    """Stop if seqclf is imported from another checkout: the tests would test that code."""
    import seqclf

    tested, here = Path(seqclf.__file__).resolve().parents[1], Path(__file__).resolve().parents[1]
    if tested != here and (tested / "pyproject.toml").exists():
        pytest.exit(
            f"These tests are in {here}, but seqclf is imported from {tested}: use this checkout's own .venv.", 4
        )


# A busy machine makes tests slow, which is not a failure.
hypothesis.settings.register_profile("seqclf", deadline=None)
hypothesis.settings.load_profile("seqclf")


def _torch_settings():
    torch = sys.modules.get("torch")  # not imported, so not changed
    if torch is None:
        return None
    return {
        "threads": torch.get_num_threads(),
        "default dtype": torch.get_default_dtype(),
        "gradients enabled": torch.is_grad_enabled(),
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
    }


@pytest.fixture(autouse=True)
def _unchanged_torch_settings():
    before = _torch_settings()
    yield
    if before is not None:
        assert _torch_settings() == before, "the test left torch's global settings changed"


@pytest.fixture
def unchanged_global_state():
    """Fail a test that uses the global random generators.

    Not for all tests: `random_state=None` and the layers of torch use them.
    """
    import torch

    numpy_before, torch_before = np.random.get_state(legacy=False), torch.get_rng_state()  # noqa: NPY002
    yield
    numpy_after, torch_after = np.random.get_state(legacy=False), torch.get_rng_state()  # noqa: NPY002
    assert numpy_after["state"]["pos"] == numpy_before["state"]["pos"], "numpy's global generator was used"
    np.testing.assert_array_equal(numpy_after["state"]["key"], numpy_before["state"]["key"])
    assert torch.equal(torch_after, torch_before), "torch's global generator was used"


@pytest.fixture(scope="session")
def data_folder():
    """The folder of real data in the environment variable SEQCLF_DATA; without it the test is skipped."""
    named = os.environ.get("SEQCLF_DATA")
    if not named:
        pytest.skip("SEQCLF_DATA is not set: no real data on this machine")
    folder = Path(named)
    if not folder.is_dir():
        pytest.skip(f"SEQCLF_DATA is {named!r}, which is not a folder")
    return folder


@pytest.fixture(params=["avx512", "avx2", "baseline"])
def _every_instruction_set(request):
    from seqclf._native import library

    loaded = library.load()[0]
    before = loaded.seqclf_instructions()
    if not loaded.seqclf_use_instructions(request.param.encode()):
        pytest.skip(f"this processor has no {request.param}")
    yield
    loaded.seqclf_use_instructions(before)


@pytest.fixture
def tune(monkeypatch):
    """A function that sets constants of `_tuning.py` during a test: `tune(min_parallel_work=-1)`."""

    def set_constants(**values):
        for name, value in values.items():
            module, constant = TUNING[name]
            monkeypatch.setattr(f"{module}.{constant}", value)

    return set_constants


@pytest.fixture
def training_data(monkeypatch):
    """The training and validation data of the last fit."""
    from seqclf._training import session

    seen = []
    make, run = session.TrainingData, session.TrainingSession.run

    def record_data(*args, **kwargs):
        seen.append(make(*args, **kwargs))
        return seen[-1]

    def run_and_fill(self, training, validation=None, **kwargs):
        seen.clear()
        try:
            run(self, training, validation, **kwargs)
        finally:
            seen.extend([None] * (2 - len(seen)))

    monkeypatch.setattr(session, "TrainingData", record_data)
    monkeypatch.setattr(session.TrainingSession, "run", run_and_fill)
    return seen


_OTHER_VALUES = (
    None,
    True,
    -1,
    0,
    1,
    2**62,
    2**70,
    0.5,
    float("nan"),
    float("inf"),
    "",
    "x",
    [],
    ["x"],
    ["x", "x"],
    {},
)


def _altered_arrays(array):
    yield from (array[:-1], array[:0], array[None], array[::-1], np.concatenate([array, array]), array.tolist())
    for dtype in ("S", "c16", "f4", "i1", "M8[s]", object):
        try:
            yield array.astype(dtype)
        except (TypeError, ValueError):  # not convertible
            continue
    number = {"i": (-1, 2**30), "f": (float("nan"), float("inf"), -1.0, 1e308)}.get(array.dtype.kind, ())
    for other in (*number, array.flat[-1]):
        changed = array.copy()
        changed.flat[0] = other
        yield changed
    if array.dtype.kind == "U":
        yield np.full(len(array), 2**31 - 1, dtype=np.uint32).view("<U1")


def _altered(state):
    yield from (value for value in _OTHER_VALUES if not (type(value) is type(state) and value == state))
    yield from (np.zeros(0), np.zeros((2, 2)), np.array(2**62), np.array(["b", "a"]), np.array([{}], dtype=object))
    if isinstance(state, np.ndarray):
        yield from _altered_arrays(state)
    elif isinstance(state, list):
        yield from (state[:-1], [*state, *state], state[::-1], [3, *state[1:]], [*state, ""], [*state, "\ud800"])
    elif isinstance(state, dict):
        for name, value in state.items():
            yield {other: state[other] for other in state if other != name}
            yield from ({**state, name: changed} for changed in _altered(value))


@pytest.fixture
def altered():
    """A function that yields copies of a saved state, each with one value changed or missing."""
    return _altered
