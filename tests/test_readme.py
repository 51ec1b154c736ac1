"""The documentation: README's code runs and prints its `# ->` comments; links, and names of files and tests, exist.

README is short, and its figure and table are made from `benchmarks/results`.
"""

import ast
import inspect
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from seqclf import RNNClassifier, RNNRegressor, RNNTextClassifier, RNNTextRegressor

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
BENCHMARKS = ROOT / "benchmarks"
FOLDERS = ("benchmarks", "docs", "seqclf", "tests", "tools")
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]


def name_of(page):
    return page.relative_to(ROOT).as_posix()


def test_readme_code_prints_its_comments(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # it writes a model
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE))
    expected = re.findall(r"# -> (.*)", code)
    exec(compile(code, str(README), "exec"), {"__name__": "readme"})
    assert expected
    assert capsys.readouterr().out.splitlines() == expected


def test_readme_is_short():
    lines = README.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 110
    assert not [line for line in lines if len(line) > 120 and not line.startswith(("|", "!["))]


@pytest.mark.skipif(not BENCHMARKS.is_dir(), reason="the benchmarks are not part of an installed package")
def test_figure_is_what_the_script_draws_and_small():
    done = subprocess.run([sys.executable, BENCHMARKS / "draw_results.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (ROOT / "docs" / "accuracy_and_time.svg").stat().st_size < 60_000


@pytest.mark.skipif(not BENCHMARKS.is_dir(), reason="the benchmarks are not part of an installed package")
def test_table_of_results_is_made_from_the_results(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    tables = import_module("_tables")
    monkeypatch.delitem(sys.modules, "_tables")
    table = tables.results_table()
    assert table.count("\n") == 7  # six rows
    assert table in README.read_text(encoding="utf-8")
    assert all(name in tables.accuracy_table() for name in ("mean of all but IMDB", "hotel reviews in Chinese"))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_existing_files(page):
    for target in re.findall(r"\]\(([^)#\s]+)\)", page.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (page.parent / target).exists(), target


@pytest.mark.parametrize("page", [ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/contributing/*.md")], ids=name_of)
def test_contributing_pages_name_existing_files_and_tests(page):
    text = page.read_text(encoding="utf-8")
    files = {"/" + path.relative_to(ROOT).as_posix() for folder in FOLDERS for path in ROOT.glob(f"{folder}/**/*.*")}
    for path in set(re.findall(r"`([\w./]+\.(?:cpp|h|py))`", text)) - {"_rnn_dreamer.py"}:
        assert any(file.endswith("/" + path) for file in files), path
    tests = "\n".join(path.read_text(encoding="utf-8") for path in ROOT.glob("tests/**/test_*.py"))
    for name in re.findall(r"`(test_\w+)`", text):
        assert f"def {name}(" in tests, name


@pytest.mark.parametrize(("estimator", "column"), [(RNNTextClassifier, 1), (RNNClassifier, 2)])
def test_table_of_defaults_matches_signatures(estimator, column):
    page = (ROOT / "docs" / "parameters.md").read_text(encoding="utf-8")
    section = page.partition("## Defaults")[2].partition("\n## ")[0]
    rows = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in section.splitlines() if "| `" in line]
    shown = {row[0]: ast.literal_eval(row[column]) for row in rows[1:] if row[column]}
    defaults = {name: p.default for name, p in inspect.signature(estimator).parameters.items()}
    assert shown
    assert shown == {name: defaults[name] for name in shown}
    without_value = {row[0] for row in rows[1:]} - set(shown)
    assert not without_value & set(defaults)


@pytest.mark.parametrize(
    ("regressor", "classifier"), [(RNNTextRegressor, RNNTextClassifier), (RNNRegressor, RNNClassifier)]
)
def test_regressors_have_defaults_of_classifiers(regressor, classifier):
    of_regressor, of_classifier = (
        {name: p.default for name, p in inspect.signature(estimator).parameters.items()}
        for estimator in (regressor, classifier)
    )
    assert of_regressor.pop("loss") == "squared_error"
    assert of_classifier.pop("class_weight") is None
    assert of_regressor == of_classifier
