"""What several estimators share is documented in the same words, except where the meaning differs."""

import inspect
import re

import pytest

from seqclf import RNNClassifier, RNNRegressor, RNNTagger, RNNTextClassifier, RNNTextRegressor

# What may differ, with the reason.
BY_TARGETS = {
    "nb_ngrams": "log-count ratios, or means of targets",
    "history_": "scores are accuracies, or R squared",
    "network_": "it gives logits, or standardised targets",
    "wide_": "its weights have a column for each class, or for each target",
}
BY_INPUT = {
    "dropout": "only texts have an embedding",
    "wide": "the time that it takes",
    "max_epochs": "the numbers of epochs and steps",
    "warm_start": "a vocabulary and n-grams, or the scaling of channels",
    "verbose": "only a tokenizer cuts texts",
    "history_": "tokens or steps are counted",
    "network_": "it reads token ids or numbers",
}
BY_TARGETS_IN_FIT = {
    "y": "what the targets are",
    "y_val": "what the targets are",
    "sample_weight_val": "only classifiers have class weights",
}
# Of a tagger, which takes either input, against the classifiers.
BY_STEPS = {
    "warm_start": "a vocabulary or the scaling, and labels",
    "wide": "the time that it takes",
    "max_epochs": "the numbers of epochs and steps",
    "validation_fraction": "sequences have no classes to keep in proportion",
    "classes_": "there are no indicator matrices",
    "history_": "scores are over steps",
    "network_": "logits are for each step",
    "wide_": "there is none of series",
}
BY_STEPS_OF_TEXTS = {
    "tokenizer": "texts are refused, and capitals are kept",
    "verbose": "a tokenizer that cuts leaves labels without a step",
    "input_kind_": "texts are refused",
    "tokenizer_": "absent of series",
    "vocab_size_": "absent of series",
}
BY_STEPS_OF_SERIES = {
    "conv_filters": "for series only",
    "dropout": "only tokens have an embedding",
    "n_channels_in_": "absent of tokens",
    "channel_mean_, channel_scale_": "absent of tokens",
}
BY_STEPS_IN_FIT = {
    "y": "what the targets are",
    "X_val": "there are no n-grams",
    "y_val": "what the targets are",
    "sample_weight": "there are no n-grams",
    "groups": "sequences have no classes to keep, and there are no n-grams",
}


def fields(documented, section):
    """The type and the text of each name in a section of a numpydoc docstring."""
    after = inspect.getdoc(documented).partition(f"{section}\n{'-' * len(section)}\n")[2]
    body = re.split(r"\n\n\w[\w ]*\n-{3,}\n", after)[0]
    entries = re.findall(r"^(\w[\w, ]*) : (.+)\n((?:(?: .*)?(?:\n|\Z))+)", body, re.MULTILINE)
    assert entries
    # References are numbered by each docstring for itself.
    found = {names: (kind, re.sub(r"\[\d+\]_", "[]_", " ".join(text.split()))) for names, kind, text in entries}
    assert all(text for _, text in found.values())
    return found


def differing(one, other):
    shared = one.keys() & other.keys()
    assert shared
    return {name for name in shared if one[name] != other[name]}


def test_fields_are_all_found():
    for estimator in (RNNClassifier, RNNRegressor, RNNTagger, RNNTextClassifier, RNNTextRegressor):
        assert list(fields(estimator, "Parameters")) == list(inspect.signature(estimator).parameters)
        assert list(fields(estimator.fit, "Parameters")) == list(inspect.signature(estimator.fit).parameters)[1:]
    assert fields(RNNClassifier, "Parameters")["l1"] == (
        "float, default=0.0",
        "Strength of an L1 penalty on the weight matrices.",
    )


@pytest.mark.parametrize(
    ("classifier", "regressor"), [(RNNClassifier, RNNRegressor), (RNNTextClassifier, RNNTextRegressor)]
)
def test_classifiers_and_regressors(classifier, regressor):
    found = set()
    for section in ("Parameters", "Attributes"):
        found |= differing(fields(classifier, section), fields(regressor, section))
    assert found == {name for name in BY_TARGETS if name != "nb_ngrams" or classifier is RNNTextClassifier}


@pytest.mark.parametrize(("series", "texts"), [(RNNClassifier, RNNTextClassifier), (RNNRegressor, RNNTextRegressor)])
def test_series_and_texts(series, texts):
    """Their types differ too, by the defaults, which are a matter of README.md."""
    found = set()
    for section in ("Parameters", "Attributes"):
        of_series, of_texts = (
            {name: text for name, (_, text) in fields(estimator, section).items()} for estimator in (series, texts)
        )
        found |= differing(of_series, of_texts)
    assert found == set(BY_INPUT)


@pytest.mark.parametrize(("method", "exceptions"), [("fit", set(BY_TARGETS_IN_FIT)), ("predict", set())])
def test_methods_of_classifiers_and_regressors(method, exceptions):
    one, other = (fields(getattr(estimator, method), "Parameters") for estimator in (RNNClassifier, RNNRegressor))
    assert one.keys() == other.keys()
    assert differing(one, other) == exceptions


def texts_of(documented, section):
    """Types differ by the defaults and by how many forms there are."""
    return {name: text for name, (_, text) in fields(documented, section).items()}


@pytest.mark.parametrize(
    ("classifier", "exceptions"),
    [(RNNTextClassifier, BY_STEPS | BY_STEPS_OF_TEXTS), (RNNClassifier, BY_STEPS | BY_STEPS_OF_SERIES)],
)
def test_taggers_and_classifiers(classifier, exceptions):
    found = set()
    for section in ("Parameters", "Attributes"):
        found |= differing(texts_of(RNNTagger, section), texts_of(classifier, section))
    assert found == set(exceptions)


@pytest.mark.parametrize(
    ("method", "exceptions"), [("fit", set(BY_STEPS_IN_FIT)), ("predict", set()), ("predict_proba", set())]
)
def test_methods_of_taggers_and_classifiers(method, exceptions):
    one, other = (texts_of(getattr(estimator, method), "Parameters") for estimator in (RNNTagger, RNNClassifier))
    assert one.keys() == other.keys()
    assert differing(one, other) == exceptions
