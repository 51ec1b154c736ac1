"""The public API: its names, the cost of its import, docstrings and signatures."""

import inspect
import re
import subprocess
import sys

import pytest

import seqclf

ESTIMATORS = ["RNNClassifier", "RNNRegressor", "RNNTagger", "RNNTextClassifier", "RNNTextRegressor"]
TRANSFORMERS = ["SequencePadder", "TextTokenizer"]
FILES = ["load_model", "load_predictor", "save_model"]
CONSTANTS = ["SKOPS_TRUSTED_TYPES", "__version__"]
OTHERS = ["ModelFileError", "datasets", "inspection", "series_from_frame", "show_versions"]
PUBLIC_NAMES = sorted([*ESTIMATORS, *TRANSFORMERS, *FILES, *CONSTANTS, *OTHERS])

HEAVY = ["joblib", "matplotlib", "numpy", "pandas", "scipy", "skorch", "sklearn", "tokenizers", "torch", "tqdm"]


def modules_loaded_by(code):
    """Those of the heavy libraries that `code` imports in a new interpreter."""
    script = f"{code}\nimport sys\nprint(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    return done.stdout.split()


def public_objects():
    folders = ("datasets", "inspection")
    names = [name for name in PUBLIC_NAMES if name not in (*CONSTANTS, "ModelFileError", *folders)]
    functions = [f"{folder}.{name}" for folder in folders for name in getattr(seqclf, folder).__all__]
    return names + functions


def resolve(name):
    found = seqclf
    for part in name.split("."):
        found = getattr(found, part)
    return found


def test_all_and_dir_are_the_public_names():
    assert sorted(seqclf.__all__) == PUBLIC_NAMES
    assert dir(seqclf) == PUBLIC_NAMES
    for name in PUBLIC_NAMES:
        assert getattr(seqclf, name) is getattr(seqclf, name)


def test_star_import_imports_the_public_names():
    names = {}
    exec("from seqclf import *", names)
    assert set(PUBLIC_NAMES) <= set(names)


def test_unknown_name_is_an_error_with_a_suggestion():
    with pytest.raises(AttributeError, match=r"no attribute 'RNNTextClasifier'.*RNNTextClassifier"):
        seqclf.RNNTextClasifier  # noqa: B018


def test_import_error_names_the_missing_library_and_how_to_install_it():
    code = """
import sys
for name in ("torch", "sklearn"):
    sys.modules[name] = None
import seqclf
for name in ("RNNClassifier", "TextTokenizer"):
    try:
        getattr(seqclf, name)
    except ImportError as error:
        assert error.name.partition(".")[0] == "sklearn"
        print(error)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for line, name in zip(found.splitlines(), ("RNNClassifier", "TextTokenizer"), strict=True):
        assert line.startswith(f"seqclf.{name} needs the package 'sklearn', which is not installed: ")
        assert "`pip install seqclf`" in line and "load_predictor" in line


def test_version_equals_the_version_of_the_distribution():
    from importlib.metadata import version

    assert seqclf.__version__ == version("seqclf")


def test_import_seqclf_imports_no_heavy_library():
    assert modules_loaded_by("import seqclf") == []
    assert modules_loaded_by("import seqclf; dir(seqclf); seqclf.__version__; seqclf.__all__") == []


def test_transformers_and_datasets_do_not_import_torch():
    loaded = modules_loaded_by("from seqclf import SequencePadder, TextTokenizer, datasets, series_from_frame")
    assert not {"torch", "skorch", "matplotlib", "tokenizers"} & set(loaded)


def test_validate_series_does_not_import_polars():
    code = "from seqclf._validation.series import validate_series; validate_series([[1.0]]); import sys"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; print('polars' in sys.modules)"], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False"]


def test_inspection_imports_no_matplotlib_before_a_call():
    assert modules_loaded_by("from seqclf import inspection; dir(inspection)") == []
    loaded = modules_loaded_by("from seqclf.inspection import *")
    assert not {"matplotlib", "torch", "skorch", "tokenizers"} & set(loaded)


def test_classifiers_import_no_optional_library():
    loaded = modules_loaded_by("from seqclf import RNNClassifier, RNNTextClassifier")
    assert not {"matplotlib", "tokenizers"} & set(loaded)


def test_unfitted_estimators_do_not_import_torch():
    loaded = modules_loaded_by("from seqclf import *; RNNClassifier(); RNNTextClassifier()._repr_html_()")
    assert not {"torch", "skorch", "matplotlib", "tokenizers"} & set(loaded)


@pytest.mark.parametrize("name", public_objects())
def test_docstrings_have_a_summary_examples_and_sections(name):
    documented = resolve(name)
    text = inspect.getdoc(documented) or ""
    first = text.partition("\n")[0]
    assert first.endswith("."), f"{name}: the first line is a sentence, not {first!r}"
    assert "Examples\n--------" in text
    assert ">>> " in text
    sections = {
        "Parameters\n----------": bool(inspect.signature(documented).parameters),
        "Attributes\n----------": inspect.isclass(documented),
    }
    for heading, required in sections.items():
        assert not required or heading in text, f"{name}: no section {heading.partition(chr(10))[0]!r}"


@pytest.mark.parametrize("name", public_objects())
def test_parameters_are_documented_in_the_order_of_the_signature(name):
    documented = resolve(name)
    section = inspect.getdoc(documented).partition("Parameters\n----------\n")[2]
    section = re.split(r"\n\n\w[\w ]*\n---", section)[0]
    names = [n for line in re.findall(r"^(\w[\w, ]*) :", section, re.MULTILINE) for n in line.split(", ")]
    assert names == list(inspect.signature(documented).parameters)


@pytest.mark.parametrize("name", [*ESTIMATORS, *TRANSFORMERS])
def test_public_methods_are_documented(name):
    cls = resolve(name)
    for method_name, method in vars(cls).items():
        if not method_name.startswith("_") and callable(method):
            assert inspect.getdoc(method), f"{name}.{method_name}"


@pytest.mark.parametrize("name", public_objects())
def test_arguments_are_keyword_only_after_the_first(name):
    parameters = list(inspect.signature(resolve(name)).parameters.values())
    # the model and the path; the model and its input
    first = 2 if name in ("save_model", "inspection.token_contributions") else 1
    assert all(p.kind is p.KEYWORD_ONLY for p in parameters[first:]), f"{name}: {parameters}"


@pytest.mark.parametrize("name", [*ESTIMATORS, *TRANSFORMERS])
def test_hyperparameters_have_defaults(name):
    for parameter in inspect.signature(resolve(name)).parameters.values():
        assert parameter.default is not parameter.empty, f"{name}: {parameter.name}"


MODULES = {
    "RNNClassifier": "seqclf._rnn_classifier",
    "RNNRegressor": "seqclf._rnn_regressor",
    "RNNTagger": "seqclf._rnn_tagger",
    "RNNTextClassifier": "seqclf._rnn_text_classifier",
    "RNNTextRegressor": "seqclf._rnn_text_regressor",
    "SequencePadder": "seqclf._sequence_padder",
    "TextTokenizer": "seqclf._text_tokenizer",
}


@pytest.mark.parametrize("name", [*ESTIMATORS, *TRANSFORMERS])
def test_each_class_is_in_the_module_named_after_it(name):
    assert resolve(name).__module__ == MODULES[name]


@pytest.mark.parametrize("method", ["predict_log_proba", "decision_function"])
def test_tagger_has_no_decision_function_and_predict_log_proba(method):
    assert hasattr(seqclf.RNNClassifier, method)
    assert not hasattr(seqclf.RNNTagger, method)
