"""pip builds one wheel for every version of Python, and a pure Python wheel without a compiler."""

import os
import pickle
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

import seqclf

ROOT = Path(__file__).resolve().parents[1]
NO_COMPILER = "no-such-compiler"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (ROOT / "pyproject.toml").exists(), reason="the source tree is not available"),
]


def pip_wheel(sources, folder, **variables):
    """Build in an isolated environment, as pip does for users."""
    environment = os.environ.copy()
    for name in ("CXX", "SEQCLF_REQUIRE_KERNELS"):
        environment.pop(name, None)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-cache-dir", "-w", str(folder), str(sources)]
    return subprocess.run(command, env=environment | variables, capture_output=True, text=True)


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """The unpacked source distribution."""
    folder = tmp_path_factory.mktemp("sdist")
    code = f"import scikit_build_core.build as b; print(b.build_sdist({str(folder)!r}))"
    tools = folder / "tools"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(tools), "scikit-build-core"], check=True
    )
    environment = os.environ | {"PYTHONPATH": str(tools)}
    made = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    with tarfile.open(folder / made.stdout.split()[-1]) as archive:
        archive.extractall(folder, filter="data")
    (sources,) = (path for path in folder.iterdir() if path.name.startswith("seqclf-") and path.is_dir())
    return sources


@pytest.mark.skipif(not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="no C++ compiler")
def test_source_distribution_builds_one_wheel_for_every_python(unpacked, tmp_path):
    done = pip_wheel(unpacked, tmp_path, SEQCLF_REQUIRE_KERNELS="1")
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.iterdir()
    assert wheel.name.startswith("seqclf-") and "-py3-none-" in wheel.name and not wheel.name.endswith("-any.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert [name for name in names if Path(name).suffix in (".so", ".dll")] in (
        ["seqclf/_native/_cpu.so"],
        ["seqclf/_native/_cpu.dll"],
    )
    assert not [name for name in names if "csrc" in name or name.startswith(("tests", "tools"))]


PREDICT = """
import pickle, sys
from pathlib import Path
import numpy as np
from seqclf import load_predictor

for name in ("texts", "tokens", "series"):
    X, expected = pickle.loads(Path(f"{name}.pickle").read_bytes())
    np.testing.assert_array_equal(load_predictor(f"{name}.zip").predict_proba(X), expected)
for name in ("torch", "sklearn", "scipy"):
    try:
        __import__(name)
    except ModuleNotFoundError:
        continue
    sys.exit(f"{name} is installed")
import seqclf
from seqclf._native import library
print(seqclf.__file__, library.load()[0] is not None)
try:
    from seqclf import RNNClassifier
except ImportError as error:
    print(error)
"""


def saved_models(folder):
    """Write model files, with rows and the predictions of the estimators."""
    texts, labels = ["good film", "bad film, not good", "fine", "a poor plot"] * 10, ["yes", "no"] * 20
    rows = {
        "texts": (seqclf.RNNTextClassifier, texts),
        "tokens": (seqclf.RNNTextClassifier, [text.split() for text in texts]),
        "series": (seqclf.RNNClassifier, np.random.default_rng(0).normal(size=(40, 12))),
    }
    for name, (cls, X) in rows.items():
        model = cls(units=3, max_epochs=1, random_state=0, n_threads=1).fit(X, labels)
        seqclf.save_model(model, folder / f"{name}.zip")
        (folder / f"{name}.pickle").write_bytes(pickle.dumps((X, model.predict_proba(X))))


@pytest.mark.skipif(not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="no C++ compiler")
def test_saved_model_predicts_with_only_numpy_and_safetensors_installed(unpacked, tmp_path):
    done = pip_wheel(unpacked, tmp_path / "wheel", SEQCLF_REQUIRE_KERNELS="1")
    assert done.returncode == 0, done.stderr
    (wheel,) = (tmp_path / "wheel").iterdir()
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    install = [str(python), "-m", "pip", "install", "--quiet"]
    # The same numpy as here, because the predictions are compared bit by bit.
    subprocess.run([*install, f"numpy=={np.__version__}", "safetensors"], check=True)
    subprocess.run([*install, "--no-deps", str(wheel)], check=True)
    saved_models(tmp_path)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [str(python), "-W", "error", "-c", PREDICT]
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    where, message = ran.stdout.splitlines()
    assert "site-packages" in where and where.endswith(" True")
    assert "seqclf.RNNClassifier needs the package" in message and "`pip install seqclf` installs it" in message


def test_wheel_without_a_compiler_is_pure_python(unpacked, tmp_path):
    done = pip_wheel(unpacked, tmp_path, CXX=NO_COMPILER)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.iterdir()
    assert wheel.name.endswith("-py3-none-any.whl")
    assert not [name for name in zipfile.ZipFile(wheel).namelist() if "_cpu." in name or "csrc" in name]


def test_build_without_a_compiler_fails_if_kernels_are_required(unpacked, tmp_path):
    done = pip_wheel(unpacked, tmp_path, CXX=NO_COMPILER, SEQCLF_REQUIRE_KERNELS="1")
    assert done.returncode != 0
    assert NO_COMPILER in done.stdout + done.stderr
    assert not list(tmp_path.iterdir())
