"""The code of README.md runs as it stands, top to bottom, and prints what its `# ->` comments say."""

import ast
import inspect
import re
from pathlib import Path

import pytest

from seqclf import RNNClassifier, RNNRegressor, RNNTextClassifier, RNNTextRegressor

README = Path(__file__).parent.parent / "README.md"


def test_code_runs_and_prints_what_it_says(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # it writes a model
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE))
    promised = re.findall(r"# -> (.*)", code)
    exec(compile(code, str(README), "exec"), {"__name__": "readme"})
    assert promised
    assert capsys.readouterr().out.splitlines() == promised


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", README.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (README.parent / target).exists(), target


@pytest.mark.parametrize(("estimator", "column"), [(RNNTextClassifier, 1), (RNNClassifier, 2)])
def test_the_table_of_defaults_is_that_of_the_signatures(estimator, column):
    section = README.read_text(encoding="utf-8").partition("## Defaults")[2].partition("\n## ")[0]
    rows = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in section.splitlines() if "| `" in line]
    shown = {row[0]: ast.literal_eval(row[column]) for row in rows[1:] if row[column]}
    defaults = {name: p.default for name, p in inspect.signature(estimator).parameters.items()}
    assert shown
    assert shown == {name: defaults[name] for name in shown}
    left_out = {row[0] for row in rows[1:]} - set(shown)
    assert not left_out & set(defaults)


@pytest.mark.parametrize(
    ("regressor", "classifier"), [(RNNTextRegressor, RNNTextClassifier), (RNNRegressor, RNNClassifier)]
)
def test_regressors_have_the_defaults_of_the_classifier_for_the_same_input(regressor, classifier):
    of_regressor, of_classifier = (
        {name: p.default for name, p in inspect.signature(estimator).parameters.items()}
        for estimator in (regressor, classifier)
    )
    assert of_regressor.pop("loss") == "squared_error"
    assert of_classifier.pop("class_weight") is None
    assert of_regressor == of_classifier
