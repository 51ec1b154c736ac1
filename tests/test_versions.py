"""The versions that are pinned, and the script that tests others."""

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

pytestmark = pytest.mark.skipif(not SCRIPT.exists(), reason="the tools are not here")


@pytest.fixture(scope="module")
def script():
    loader = SourceFileLoader("test_versions_script", str(SCRIPT))
    module = module_from_spec(spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


def pins(name):
    """Name and version of every package in a file of constraints, the names spelled in one way."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    found = (re.match(r"([\w.-]+)==([\w.]+)", line) for line in lines)
    return {re.sub(r"[-_.]+", "-", match[1]).lower(): match[2] for match in found if match}


def test_hashed_versions_are_the_pinned_ones():
    pinned = pins("constraints.txt")
    assert pinned.pop("torch")
    assert pins("constraints-hashed.txt") == pinned


def test_every_hashed_version_has_a_hash():
    text = (ROOT / "constraints-hashed.txt").read_text(encoding="utf-8")
    entries = re.split(r"\n(?=\w)", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).strip())
    assert len(entries) == len(pins("constraints-hashed.txt"))
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+( \\\n    --hash=sha256:[0-9a-f]{64})+", entry) for entry in entries)
    assert "://" not in text


def test_lower_bounds_are_those_of_the_project(script):
    bounds = dict(bound.split("==") for bound in script.lower_bounds(script.project()))
    tables = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert f"torch>={bounds['torch']}" in tables["project"]["dependencies"]
    assert f"tokenizers>={bounds['tokenizers']}" in tables["project"]["optional-dependencies"]["subword"]
    assert tables["build-system"]["requires"] == [f"scikit-build-core>={bounds['scikit-build-core']}"]
    assert "seqclf" not in bounds and {"numpy", "pytest", "ruff"} <= set(bounds)


@pytest.mark.parametrize("requirement", ["numpy", "numpy>=2,<3", "numpy~=2.0", "numpy>=2; python_version<'3.12'"])
def test_a_requirement_that_the_script_cannot_read_is_an_error(script, requirement):
    tables = {
        "build-system": {"requires": []},
        "project": {"name": "seqclf", "dependencies": [requirement], "optional-dependencies": {}},
    }
    with pytest.raises(ValueError, match=re.escape(repr(requirement))):
        script.lower_bounds(tables)


def test_pythons_that_are_tried(script, monkeypatch):
    tables = script.project()
    monkeypatch.setattr(script, "runs", lambda name: name in ("python3.11", "python3.13", "python3.9"))
    assert script.pythons("newest", tables) == ["python3.13", "python3.11"]
    assert script.pythons("oldest", tables) == ["python3.11"]
    monkeypatch.setattr(script, "runs", lambda name: False)
    with pytest.raises(FileNotFoundError, match=r"python3\.11 is not on PATH"):
        script.pythons("oldest", tables)


def test_a_python_is_there_if_it_runs(script, tmp_path, monkeypatch):
    broken = tmp_path / "python3.99"
    broken.write_text("#!/bin/sh\nexit 127\n", encoding="utf-8")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert script.runs(sys.executable)
    assert not script.runs("python3.99") and not script.runs("python3.98")


def test_torch_is_that_of_the_constraints(script):
    assert script.torch_release() == [f"torch=={pins('constraints.txt')['torch']}"]
