"""How the compiled library is found, and what is said where there is none."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from seqclf._native import library

load = library.load.__wrapped__  # past the cache
found, reason = library.load()
compiled = pytest.mark.skipif(found is None, reason=f"no compiled kernels: {reason}")


@pytest.mark.skipif(
    os.environ.get("SEQCLF_REQUIRE_KERNELS", "0").lower() in ("", "0", "false", "no", "off"),
    reason="SEQCLF_REQUIRE_KERNELS is not set: the package may be without kernels",
)
def test_the_kernels_are_there_where_they_are_required():
    """Without them all other tests of the kernels are skipped, which would go unnoticed."""
    assert found is not None, reason


def test_without_a_library_the_reason_is_given(monkeypatch):
    monkeypatch.setattr(library, "file", lambda: None)
    loaded, text = load()
    assert loaded is None
    assert "without its compiled kernels" in text


def not_there(tmp_path):
    return tmp_path / "missing.so", "could not be loaded: "


def no_library(tmp_path):
    file = tmp_path / "broken.so"
    file.write_text("no library")
    return file, "could not be loaded: "


def a_folder(tmp_path):
    return tmp_path, "could not be loaded: "


def that_of_somebody_else(tmp_path):
    import _ctypes

    return Path(_ctypes.__file__), " is not the compiled library of seqclf, or of a version before 0.1.0"


WRONG = pytest.mark.parametrize("wrong", [not_there, no_library, a_folder, that_of_somebody_else])


@WRONG
def test_a_wrong_library_is_named_with_what_is_wrong(wrong, monkeypatch, tmp_path):
    file, message = wrong(tmp_path)
    monkeypatch.setenv("SEQCLF_KERNELS_LIBRARY", str(file))
    loaded, text = load()
    assert loaded is None
    assert (
        message in text and file.name in text and "(the environment variable SEQCLF_KERNELS_LIBRARY names it)" in text
    )
    assert library.remedy().startswith("Unset SEQCLF_KERNELS_LIBRARY")


@pytest.mark.parametrize("wrong", [no_library, that_of_somebody_else])
def test_with_a_wrong_library_a_fit_warns_and_goes_on(wrong, tmp_path):
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
    assert "Unset SEQCLF_KERNELS_LIBRARY, or have it name" in warning
    assert (second, n_predicted) == ("", "1")


@compiled
def test_a_library_with_another_interface_is_refused(monkeypatch):
    monkeypatch.setattr(library.abi, "INTERFACE", 99)
    loaded, text = load()
    assert loaded is None
    assert "was built from other sources: the number of its interface is 2, this package needs 99" in text


@compiled
def test_a_library_that_lacks_a_function_is_refused(monkeypatch):
    monkeypatch.setitem(library.abi.ENTRY_POINTS, "dream", library.abi.Forward)
    loaded, text = load()
    assert loaded is None and text.endswith("has no function dream")


@compiled
def test_a_bare_name_is_looked_for_in_the_working_folder(monkeypatch, tmp_path):
    path = library.file()
    monkeypatch.chdir(path.parent)
    monkeypatch.setenv("SEQCLF_KERNELS_LIBRARY", path.name)
    assert load()[0] is not None
    monkeypatch.chdir(tmp_path)
    assert load()[0] is None


def test_too_little_memory_to_load_it_is_an_error_and_not_kept(monkeypatch):
    def refuse(_):
        raise OSError("_cpu.so: failed to map segment from shared object: Cannot allocate memory")

    monkeypatch.setattr(library, "file", lambda: Path("_cpu.so"))
    monkeypatch.setattr(library.ctypes, "CDLL", refuse)
    with pytest.raises(MemoryError, match="There is no memory to load the compiled library"):
        load()


@compiled
def test_it_is_loaded_without_torch():
    code = (
        "import sys; from seqclf._native import abi, library, threads; assert library.available()[0]; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@compiled
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/cpuinfo")
def test_the_best_instructions_of_this_processor_are_chosen():
    """The library asks the processor itself; the system has its own list."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    flags = set(next((line for line in lines if line.startswith("flags")), "").split())
    needed = {
        "avx512": {"avx2", "fma", "avx512f", "avx512vl", "avx512dq", "avx512bw"},
        "avx2": {"avx2", "fma"},
        "baseline": set(),
    }
    best = next(name for name, flags_needed in needed.items() if flags_needed <= flags)
    assert load()[1] == f"fused kernels for {best}"
