"""The pinned versions, and tools/test_versions."""

import os
import re
import sys
import tomllib
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "tools" / "test_versions"

pytestmark = pytest.mark.skipif(not SCRIPT.exists(), reason="the tools are not available")


@pytest.fixture(scope="module")
def script():
    loader = SourceFileLoader("test_versions_script", str(SCRIPT))
    module = module_from_spec(spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


def pins(name):
    """The version of every package in a constraints file, by normalised name."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    matches = (re.match(r"([\w.-]+)==([\w.]+)", line) for line in lines)
    return {re.sub(r"[-_.]+", "-", match[1]).lower(): match[2] for match in matches if match}


def test_constraints_hashed_has_the_versions_of_constraints():
    pinned = pins("constraints.txt")
    assert pinned.pop("torch")
    assert pins("constraints-hashed.txt") == pinned


def test_constraints_hashed_has_a_hash_for_every_package():
    text = (ROOT / "constraints-hashed.txt").read_text(encoding="utf-8")
    entries = re.split(r"\n(?=\w)", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).strip())
    assert len(entries) == len(pins("constraints-hashed.txt"))
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+( \\\n    --hash=sha256:[0-9a-f]{64})+", entry) for entry in entries)
    assert "://" not in text


def test_lower_bounds_are_those_of_pyproject(script):
    bounds = dict(bound.split("==") for bound in script.lower_bounds(script.project()))
    tables = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert f"torch>={bounds['torch']}" in tables["project"]["dependencies"]
    assert f"tokenizers>={bounds['tokenizers']}" in tables["project"]["optional-dependencies"]["subword"]
    assert tables["build-system"]["requires"] == [f"scikit-build-core>={bounds['scikit-build-core']}"]
    assert "seqclf" not in bounds and {"numpy", "pytest", "ruff"} <= set(bounds)


@pytest.mark.parametrize("requirement", ["numpy", "numpy>=2,<3", "numpy~=2.0", "numpy>=2; python_version<'3.12'"])
def test_lower_bounds_rejects_unsupported_requirements(script, requirement):
    tables = {
        "build-system": {"requires": []},
        "project": {"name": "seqclf", "dependencies": [requirement], "optional-dependencies": {}},
    }
    with pytest.raises(ValueError, match=re.escape(repr(requirement))):
        script.lower_bounds(tables)


def test_pythons_selects_the_versions_to_try(script, monkeypatch):
    tables = script.project()
    monkeypatch.setattr(script, "is_runnable", lambda name: name in ("python3.11", "python3.13", "python3.9"))
    assert script.pythons("newest", tables) == ["python3.13", "python3.11"]
    assert script.pythons("oldest", tables) == ["python3.11"]
    monkeypatch.setattr(script, "is_runnable", lambda name: False)
    with pytest.raises(FileNotFoundError, match=r"python3\.11 is not on PATH"):
        script.pythons("oldest", tables)


def test_is_runnable_needs_a_working_python(script, tmp_path, monkeypatch):
    broken = tmp_path / "python3.99"
    broken.write_text("#!/bin/sh\nexit 127\n", encoding="utf-8")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert script.is_runnable(sys.executable)
    assert not script.is_runnable("python3.99") and not script.is_runnable("python3.98")


def test_torch_release_is_that_of_constraints(script):
    assert script.torch_release() == [f"torch=={pins('constraints.txt')['torch']}"]
