"""Programs in separate processes, because these tests can kill or block a process."""

import os
import subprocess
import sys
import textwrap

import pytest

# Small fits on series and texts with the default features. `digest` hashes the bits of their outputs.
SETTING = """
import hashlib, os, sys
import numpy as np
import seqclf

rng = np.random.default_rng(0)
X = [rng.normal(size=(n, 2)) for n in rng.integers(3, 9, size=40)]
y = [int(row[:, 0].sum() > 0) for row in X]
texts = [" ".join(rng.choice(["good", "bad", "film", "a", "very"], size=n)) for n in rng.integers(3, 9, size=40)]

def series(**settings):
    return seqclf.RNNClassifier(**{"units": 8, "max_epochs": 2, "random_state": 0, "n_threads": 2} | settings)

def words(**settings):
    return seqclf.RNNTextClassifier(**{"units": 8, "max_epochs": 2, "random_state": 0, "n_threads": 2} | settings)

def digest():
    logits = [series().fit(X, y).decision_function(X), words().fit(texts, y).decision_function(texts)]
    return hashlib.sha256(b"".join(array.tobytes() for array in logits)).hexdigest()[:16]
"""


@pytest.fixture(scope="session")
def run_program():
    """A function that runs SETTING and a program and returns the output; `status` is the expected exit status."""

    def run(code, *flags, environment=None, status=0, timeout=240):
        program = SETTING + textwrap.dedent(code)
        variables = {name: value for name, value in (os.environ | (environment or {})).items() if value is not None}
        command = [sys.executable, *flags, "-c", program]
        try:
            done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=timeout, check=False)
        except subprocess.TimeoutExpired as error:
            pytest.fail(f"no answer after {timeout} s: {error.stdout!r} {error.stderr!r}")
        assert done.returncode == status, (done.returncode, done.stdout[-1000:], done.stderr[-3000:])
        return done.stdout.strip()

    return run


@pytest.fixture(scope="session")
def expected_digest(run_program):
    return run_program("print(digest())")
