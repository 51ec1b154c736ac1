"""How the compiled library is found, and what is said where there is none."""

import os
import subprocess
import sys
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


def test_a_library_that_does_not_load_is_named(monkeypatch, tmp_path):
    file = tmp_path / "broken.so"
    file.write_text("no library")
    monkeypatch.setenv("SEQCLF_KERNELS_LIBRARY", str(file))
    loaded, text = load()
    assert loaded is None
    assert "could not be loaded" in text and "broken.so" in text


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
