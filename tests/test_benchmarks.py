"""The benchmarks still run: each script on a few texts or tiny batches, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from seqclf._kernels import CELLS
from seqclf._native import library

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not BENCHMARKS.is_dir(), reason="the benchmarks are not part of an installed package"),
]


def run(script, *arguments):
    done = subprocess.run(
        [sys.executable, BENCHMARKS / script, "--smoke", *arguments],
        env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(not library.available()[0], reason="there are no compiled kernels to measure")
def test_kernels():
    output = run("kernels.py", "--threads", "1")
    assert output.count("| 4x20 |") == 4 * len(CELLS)  # equal and unequal lengths, training and inference


def test_epoch():
    output = run("epoch.py", "--threads", "1")
    assert "1 x lstm(8), dropout 0.0" in output
    assert "2 x gru(8), dropout 0.3" in output
    assert output.count("| epoch, s |") == 2


def test_profile_covers_the_batch():
    output = run("epoch.py", "--threads", "1", "--profile", "--models", "lstm")
    milliseconds = {
        cells[1].strip(" *"): float(cells[2].split()[0])
        for cells in (line.split("|") for line in output.splitlines())
        if len(cells) == 5 and cells[2].strip()[:1].isdigit()
    }
    sums = ("the batch, with these hooks", "the batch, without them", "all but the recurrence")
    whole, _, others = (milliseconds.pop(name) for name in sums)
    assert sum(milliseconds.values()) == pytest.approx(whole, abs=0.01)
    recurrence = [milliseconds.pop(f"recurrence, {way}") for way in ("forward", "backward")]
    assert min(recurrence) > 0
    assert milliseconds["optimiser"] > 0
    assert others == pytest.approx(whole - sum(recurrence), abs=0.01)


def test_scaling_draws(tmp_path):
    picture = tmp_path / "scaling.png"
    output = run("epoch.py", "--threads", "1", "--scaling", str(picture))
    assert output.count("| 8x |") == 2
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_predict():
    output = run("predict.py", "--threads", "1,2")
    assert "| ours, 2 threads |" in output
    assert "| `import seqclf` |" in output


def test_tokenizer():
    output = run("tokenizer.py")
    assert "| CountVectorizer |" in output
    assert "| ours, by re |" in output


def test_series_from_frame():
    output = run("series_from_frame.py")
    assert "| arrow | texts |" in output


def test_missing(data_folder):
    output = run("missing.py")
    assert output.count("| GunPoint |") == 2
