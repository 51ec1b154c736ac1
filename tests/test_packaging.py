"""What pip makes of the sources: a wheel for every Python, and pure Python where there is no compiler."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NO_COMPILER = "no-such-compiler"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (ROOT / "pyproject.toml").exists(), reason="the sources are not here"),
]


def pip_wheel(sources, folder, **variables):
    """Build in an environment of its own, as pip does for users."""
    environment = os.environ.copy()
    for name in ("CXX", "SEQCLF_REQUIRE_KERNELS"):
        environment.pop(name, None)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-cache-dir", "-w", str(folder), str(sources)]
    return subprocess.run(command, env=environment | variables, capture_output=True, text=True)


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """The sources as the archive for PyPI has them."""
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
def test_the_archive_becomes_one_wheel_for_every_python(unpacked, tmp_path):
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


def test_without_a_compiler_it_is_pure_python(unpacked, tmp_path):
    done = pip_wheel(unpacked, tmp_path, CXX=NO_COMPILER)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.iterdir()
    assert wheel.name.endswith("-py3-none-any.whl")
    assert not [name for name in zipfile.ZipFile(wheel).namelist() if "_cpu." in name or "csrc" in name]


def test_without_a_compiler_it_fails_where_kernels_are_required(unpacked, tmp_path):
    done = pip_wheel(unpacked, tmp_path, CXX=NO_COMPILER, SEQCLF_REQUIRE_KERNELS="1")
    assert done.returncode != 0
    assert NO_COMPILER in done.stdout + done.stderr
    assert not list(tmp_path.iterdir())
