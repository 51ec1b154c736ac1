"""Finding and loading the compiled library, and the messages if that fails."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from seqclf._native import library

load = library.load.__wrapped__  # without the cache
loaded_library, reason = library.load()
compiled = pytest.mark.skipif(loaded_library is None, reason=f"no compiled kernels: {reason}")


@pytest.mark.skipif(
    os.environ.get("SEQCLF_REQUIRE_KERNELS", "0").lower() in ("", "0", "false", "no", "off"),
    reason="SEQCLF_REQUIRE_KERNELS is not set: the package can be installed without kernels",
)
def test_library_is_loaded_if_kernels_are_required():
    """Without the library all other tests of the kernels would be skipped silently."""
    assert loaded_library is not None, reason


def test_load_names_the_reason_without_a_library(monkeypatch):
    monkeypatch.setattr(library, "find_library", lambda: None)
    loaded, text = load()
    assert loaded is None
    assert "without its compiled kernels" in text


def missing_file(tmp_path):
    return tmp_path / "missing.so", "could not be loaded: "


def text_file(tmp_path):
    file = tmp_path / "broken.so"
    file.write_text("no library")
    return file, "could not be loaded: "


def folder(tmp_path):
    return tmp_path, "could not be loaded: "


def other_library(tmp_path):
    import _ctypes

    return Path(_ctypes.__file__), " is not the compiled library of seqclf, or is older than version 0.1.0"


WRONG = pytest.mark.parametrize("wrong", [missing_file, text_file, folder, other_library])


@WRONG
def test_load_names_a_wrong_library_and_the_reason(wrong, monkeypatch, tmp_path):
    file, message = wrong(tmp_path)
    monkeypatch.setenv("SEQCLF_KERNELS_LIBRARY", str(file))
    loaded, text = load()
    assert loaded is None
    assert message in text and file.name in text and "(set by the environment variable SEQCLF_KERNELS_LIBRARY)" in text
    assert library.install_hint().startswith("Unset SEQCLF_KERNELS_LIBRARY")


@pytest.mark.parametrize("wrong", [text_file, pytest.param(other_library, marks=pytest.mark.slow)])
def test_fit_with_a_wrong_library_warns_once(wrong, tmp_path):
    code = """
    import warnings
    from seqclf import RNNClassifier

    for _ in range(2):
        with warnings.catch_warnings(record=True) as caught:
            classifier = RNNClassifier(units=2, max_epochs=1, random_state=0).fit([[[0.0]], [[1.0]]] * 10, [0, 1] * 10)
        print(*(str(one.message) for one in caught), sep="\\n")
    print(len(classifier.predict([[[1.0]]])))
    """
    environment = os.environ | {"SEQCLF_KERNELS_LIBRARY": str(wrong(tmp_path)[0])}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    warning, second, n_predicted = done.stdout.splitlines()
    assert "seqclf runs on torch's own operations, which are several times slower on a CPU: " in warning
    assert "Unset SEQCLF_KERNELS_LIBRARY, or set it to" in warning
    assert (second, n_predicted) == ("", "1")


@compiled
def test_load_rejects_another_interface_version(monkeypatch):
    version = library.abi.INTERFACE
    monkeypatch.setattr(library.abi, "INTERFACE", 99)
    loaded, text = load()
    assert loaded is None
    assert f"was built from other sources: its interface has version {version}, this package needs 99" in text


@compiled
def test_load_rejects_a_library_without_an_entry_point(monkeypatch):
    monkeypatch.setitem(library.abi.ENTRY_POINTS, "unknown", library.abi.Forward)
    loaded, text = load()
    assert loaded is None and text.endswith("lacks the functions unknown")


@compiled
def test_bare_file_name_is_relative_to_the_working_directory(monkeypatch, tmp_path):
    path = library.find_library()
    monkeypatch.chdir(path.parent)
    monkeypatch.setenv("SEQCLF_KERNELS_LIBRARY", path.name)
    assert load()[0] is not None
    monkeypatch.chdir(tmp_path)
    assert load()[0] is None


def test_load_raises_memory_error(monkeypatch):
    def fail(_):
        raise OSError("_cpu.so: failed to map segment from shared object: Cannot allocate memory")

    monkeypatch.setattr(library, "find_library", lambda: Path("_cpu.so"))
    monkeypatch.setattr(library.ctypes, "CDLL", fail)
    with pytest.raises(MemoryError, match="There is not enough memory to load the compiled library"):
        load()


@compiled
def test_library_is_loaded_without_torch():
    code = (
        "import sys; from seqclf._native import abi, library, threads; assert library.available()[0]; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@compiled
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/cpuinfo")
def test_library_uses_the_best_instruction_set():
    """The library queries the processor; the test compares with the list of the system."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    flags = set(next((line for line in lines if line.startswith("flags")), "").split())
    needed = {
        "avx512": {"avx2", "fma", "avx512f", "avx512vl", "avx512dq", "avx512bw"},
        "avx2": {"avx2", "fma"},
        "baseline": set(),
    }
    best = next(name for name, flags_needed in needed.items() if flags_needed <= flags)
    assert load()[1] == f"fused kernels for {best}"
