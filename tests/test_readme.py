"""The documentation: README's code runs and prints its `# ->` comments; links, and names of files and tests, exist."""

import ast
import inspect
import re
from pathlib import Path

import pytest

from seqclf import RNNClassifier, RNNRegressor, RNNTextClassifier, RNNTextRegressor
from seqclf._native import library

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
FOLDERS = ("benchmarks", "seqclf", "tests", "tools")
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


@pytest.mark.skipif(not library.available()[0], reason="the page lists the compiled library")
def test_code_of_the_page_on_inspection_prints_its_outputs(capsys, monkeypatch, tmp_path):
    """Numbers with a decimal point are not compared: times differ, and the last digits depend on the processor."""
    pyplot = pytest.importorskip("matplotlib.pyplot")
    monkeypatch.chdir(tmp_path)  # it writes pictures
    page = (ROOT / "docs" / "inspection.md").read_text(encoding="utf-8")
    code, expected = "", ""
    for kind, block in re.findall(r"^```(python|text)\n(.*?)^```", page, re.DOTALL | re.MULTILINE):
        code += block if kind == "python" else ""
        expected += "\n".join(re.findall(r"# -> (.*)", block)) if kind == "python" else block
    exec(compile(code, "docs/inspection.md", "exec"), {"__name__": "page"})

    def without_fractions(text):
        return re.sub(r"\d+\.\d+", "0.0", text).split()

    assert without_fractions(capsys.readouterr().out) == without_fractions(expected)
    pictures = re.findall(r"\]\((\w+\.png)\)", page)
    assert pictures and all((tmp_path / picture).stat().st_size for picture in pictures)
    pyplot.close("all")


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
    section = README.read_text(encoding="utf-8").partition("## Defaults")[2].partition("\n## ")[0]
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
