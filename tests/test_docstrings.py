"""Docstrings: estimators use the same texts for the same parameters, and every parameter text is short."""

import inspect
import re
from pathlib import Path

import pytest

import seqclf
from seqclf import RNNClassifier, RNNRegressor, RNNTagger, RNNTextClassifier, RNNTextRegressor, datasets, inspection

ESTIMATORS = (RNNClassifier, RNNRegressor, RNNTagger, RNNTextClassifier, RNNTextRegressor)
GUIDE, GUIDE_NAME = "docs/parameters.md", "the parameter guide"
MAX_LINES = 3

# Names whose text or type may differ, with the reason.
BY_TARGETS = {
    "nb_ngrams": "log-count ratios, or means of targets",
    "history_": "scores are accuracies, or R squared",
    "network_": "it returns logits, or standardised targets",
    "wide_": "its weights have one column per class, or per target",
}
BY_INPUT = {
    "dropout": "only texts have an embedding",
    "wide": "the time of its fit",
    "max_epochs": "the numbers of epochs and steps",
    "warm_start": "a vocabulary and n-grams, or the scaling of channels",
    "verbose": "only a tokenizer truncates texts",
    "history_": "tokens or steps are counted",
    "network_": "its input is token ids or numeric values",
}
BY_TARGETS_IN_FIT = {
    "y": "what the targets are",
    "y_val": "what the targets are",
    "sample_weight_val": "only classifiers have class weights",
}
# The tagger, which accepts either input, compared with the classifiers.
BY_STEPS = {
    "warm_start": "a vocabulary or the scaling, and labels",
    "wide": "the time of its fit",
    "max_epochs": "the numbers of epochs and steps",
    "validation_fraction": "sequences have no classes to stratify by",
    "classes_": "there are no indicator matrices",
    "history_": "scores are over steps",
    "network_": "logits are for each step",
    "wide_": "there is none for series",
}
BY_STEPS_OF_TEXTS = {
    "tokenizer": "texts are an error, and capitals are kept",
    "verbose": "a tokenizer that truncates leaves labels without a step",
    "input_kind_": "texts are an error",
    "tokenizer_": "absent for series",
    "vocab_size_": "absent for series",
}
BY_STEPS_OF_SERIES = {
    "conv_filters": "for series only",
    "dropout": "only tokens have an embedding",
    "n_channels_in_": "absent for tokens",
    "channel_mean_, channel_scale_": "absent for tokens",
}
BY_STEPS_IN_FIT = {
    "y": "what the targets are",
    "y_val": "what the targets are",
    "sample_weight": "there are no n-grams",
    "groups": "there are no n-grams",
}


def documented_objects():
    """The public functions, classes and methods, by name."""
    found = {}
    for module in (seqclf, datasets, inspection):
        for name in module.__all__:
            documented = getattr(module, name)
            if inspect.isfunction(documented):
                found[name] = documented
            elif inspect.isclass(documented):
                found[name] = documented
                for method, function in inspect.getmembers(documented, inspect.isfunction):
                    if not method.startswith("_") and function.__module__.startswith("seqclf."):
                        found[f"{name}.{method}"] = function
    return found


def entries(documented, section):
    """The names, the type and the lines of the text of each entry in a section of a numpydoc docstring."""
    after = inspect.cleandoc(documented.__doc__).partition(f"{section}\n{'-' * len(section)}\n")[2]
    body = re.split(r"\n\n\w[\w ]*\n-{3,}\n", after)[0]
    found = re.findall(r"^(\w[\w, ]*) : (.+)\n((?:(?: .*)?(?:\n|\Z))+)", body, re.MULTILINE)
    return [(names, kind, text.strip().splitlines()) for names, kind, text in found]


def fields(documented, section):
    """The type and the text of each name in a section, without the numbers of references."""
    found = {
        names: (kind, re.sub(r"\[\d+\]_", "[]_", " ".join(" ".join(lines).split())))
        for names, kind, lines in entries(documented, section)
    }
    assert found
    assert all(text for _, text in found.values())
    return found


def differing(one, other):
    shared = one.keys() & other.keys()
    assert shared
    return {name for name in shared if one[name] != other[name]}


def test_fields_finds_every_parameter():
    for estimator in ESTIMATORS:
        assert list(fields(estimator, "Parameters")) == list(inspect.signature(estimator).parameters)
        assert list(fields(estimator.fit, "Parameters")) == list(inspect.signature(estimator.fit).parameters)[1:]
    assert fields(RNNClassifier, "Parameters")["l1"] == (
        "float, default=0.0",
        "Strength of an L1 penalty on the weight matrices.",
    )


@pytest.mark.parametrize(
    ("classifier", "regressor"), [(RNNClassifier, RNNRegressor), (RNNTextClassifier, RNNTextRegressor)]
)
def test_classifiers_and_regressors_have_equal_texts(classifier, regressor):
    found = set()
    for section in ("Parameters", "Attributes"):
        found |= differing(fields(classifier, section), fields(regressor, section))
    assert found == {name for name in BY_TARGETS if name != "nb_ngrams" or classifier is RNNTextClassifier}


@pytest.mark.parametrize(("series", "texts"), [(RNNClassifier, RNNTextClassifier), (RNNRegressor, RNNTextRegressor)])
def test_estimators_for_series_and_for_texts_have_equal_texts(series, texts):
    """Types are not compared: they name the defaults, which differ."""
    found = set()
    for section in ("Parameters", "Attributes"):
        of_series, of_texts = (
            {name: text for name, (_, text) in fields(estimator, section).items()} for estimator in (series, texts)
        )
        found |= differing(of_series, of_texts)
    assert found == set(BY_INPUT)


@pytest.mark.parametrize(("method", "exceptions"), [("fit", set(BY_TARGETS_IN_FIT)), ("predict", set())])
def test_methods_of_classifiers_and_regressors_have_equal_texts(method, exceptions):
    one, other = (fields(getattr(estimator, method), "Parameters") for estimator in (RNNClassifier, RNNRegressor))
    assert one.keys() == other.keys()
    assert differing(one, other) == exceptions


def texts_of(documented, section):
    """The texts without the types, which differ by defaults and by the forms of the input."""
    return {name: text for name, (_, text) in fields(documented, section).items()}


@pytest.mark.parametrize(
    ("classifier", "exceptions"),
    [(RNNTextClassifier, BY_STEPS | BY_STEPS_OF_TEXTS), (RNNClassifier, BY_STEPS | BY_STEPS_OF_SERIES)],
)
def test_taggers_and_classifiers_have_equal_texts(classifier, exceptions):
    found = set()
    for section in ("Parameters", "Attributes"):
        found |= differing(texts_of(RNNTagger, section), texts_of(classifier, section))
    assert found == set(exceptions)


@pytest.mark.parametrize(
    ("method", "exceptions"), [("fit", set(BY_STEPS_IN_FIT)), ("predict", set()), ("predict_proba", set())]
)
def test_methods_of_taggers_and_classifiers_have_equal_texts(method, exceptions):
    one, other = (texts_of(getattr(estimator, method), "Parameters") for estimator in (RNNTagger, RNNClassifier))
    assert one.keys() == other.keys()
    assert differing(one, other) == exceptions


@pytest.mark.parametrize("name", documented_objects())
def test_parameter_texts_have_three_lines_or_fewer(name):
    long = {names: len(lines) for names, _, lines in entries(documented_objects()[name], "Parameters")}
    assert {names: n_lines for names, n_lines in long.items() if n_lines > MAX_LINES} == {}


def guide_sections():
    """The parameters that have a heading in the guide."""
    guide = Path(__file__).parents[1].joinpath(GUIDE).read_text(encoding="utf-8")
    return re.findall(r"^### `(\w+)`$", guide, re.MULTILINE)


def test_guide_has_a_section_for_each_parameter_that_refers_to_it():
    referring = {
        names
        for documented in documented_objects().values()
        for names, _, lines in entries(documented, "Parameters")
        if GUIDE_NAME in " ".join(" ".join(lines).split())
    }
    assert referring
    assert sorted(guide_sections()) == sorted(referring)


def test_sections_of_the_guide_are_in_the_order_of_the_constructors():
    order = list(inspect.signature(RNNTextClassifier).parameters)
    order.insert(order.index("activation") + 1, "conv_filters")
    sections = [name for name in guide_sections() if name in order]
    assert sections == sorted(sections, key=order.index)


@pytest.mark.parametrize(
    ("row", "aim"),
    [
        ("`RNNTextClassifier`, `RNNTextRegressor`", RNNTextClassifier._auto_epochs),
        ("the same with `wide=False, nb_ngrams=0`", RNNTextClassifier._auto_epochs_alone),
        ("`RNNClassifier`, `RNNRegressor`", RNNClassifier._auto_epochs),
        ("`RNNTagger` with tokens or ids", RNNTagger._auto_epochs),
        ("`RNNTagger` with series", RNNClassifier._auto_epochs_alone),
    ],
)
def test_guide_has_the_numbers_of_max_epochs_auto(row, aim):
    guide = Path(__file__).parents[1].joinpath(GUIDE).read_text(encoding="utf-8")
    expected = f"| {row} | {aim.n_updates:,} | {aim.n_steps:,} | {aim.min_epochs} to {aim.max_epochs} |"
    assert expected in guide.splitlines()
