"""Invalid input: the message has the name, the value and what was expected, and the estimator is unchanged."""

import re

import numpy as np
import pandas as pd
import polars as pl
import pytest

from _factories import series_classifier, text_classifier
from seqclf import TextTokenizer

TEXTS = ["good film", "bad film", "good plot", "bad plot"]
IDS = [[2, 3], [4, 3], [2, 5], [4, 5]]
SERIES = [np.arange(3.0), -np.arange(4.0), np.arange(2.0), -np.arange(5.0)]
Y = ["yes", "no", "yes", "no"]


def with_nan(step, channel=None, n=4):
    X = np.zeros((n, 5, 2))
    X[1, step, slice(None) if channel is None else channel] = np.nan
    return X


BAD_FITS = [
    # (id, classifier, X, y, sample_weight, words of the message)
    ("no rows", text_classifier, [], [], None, ["X", "0 sample(s)", "minimum of 1"]),
    ("no series", series_classifier, [], [], None, ["X", "0 sample(s)", "minimum of 1"]),
    ("no rows in a table", series_classifier, np.empty((0, 3)), [], None, ["0 sample(s)", "RNNClassifier"]),
    ("no y", text_classifier, TEXTS, None, None, ["requires y to be passed", "None"]),
    ("one class", text_classifier, TEXTS, ["yes"] * 4, None, ["at least 2 classes", "one class", "'yes'"]),
    ("one class in series", series_classifier, SERIES, [1] * 4, None, ["at least 2 classes", "one class", "1"]),
    (
        "weights leave one class",
        text_classifier,
        TEXTS,
        Y,
        [1, 0, 1, 0],
        ["1 class", "'yes'", "sample_weight", "2 classes"],
    ),
    ("y too short", text_classifier, TEXTS, Y[:3], None, ["y has 3 labels", "X has 4 rows"]),
    ("y too long", series_classifier, SERIES, [*Y, "no"], None, ["y has 5 labels", "X has 4 rows"]),
    ("None in y", text_classifier, TEXTS, ["yes", "no", None, "no"], None, ["y", "row 2", "None"]),
    ("NaN in y", series_classifier, SERIES, [0, 1, np.nan, 1], None, ["y contains NaN", "row 2"]),
    ("continuous y", series_classifier, SERIES, [0.5, 1.5, 0.2, 0.1], None, ["Unknown label type", "continuous"]),
    ("None among texts", text_classifier, ["a", None, "b", "c"], Y, None, ["Row 1 of X is None", "a text (str)"]),
    ("NaN among texts", text_classifier, ["a", "b", np.nan, "c"], Y, None, ["Row 2 of X is nan", "a text (str)"]),
    ("bytes among texts", text_classifier, ["a", "b", "c", b"d"], Y, None, ["Row 3 of X is b'd'", "Decode"]),
    ("a number among texts", text_classifier, ["a", 7, "b", "c"], Y, None, ["Row 1 of X is 7", "a text (str)"]),
    ("pandas NA", text_classifier, pd.Series(["a", None, "b", "c"]), Y, None, ["Row 1 of X is ", "a text (str)"]),
    ("polars null", text_classifier, pl.Series(["a", "b", None, "c"]), Y, None, ["Row 2 of X is None", "a text (str)"]),
    ("one bare text", text_classifier, "good film", Y, None, ["X is a single str", "'good film'", "wrap it in a list"]),
    (
        "two text columns",
        text_classifier,
        pd.DataFrame({"title": TEXTS, "body": TEXTS}),
        Y,
        None,
        ["X has 2 columns", "title", "body", "pick the one"],
    ),
    (
        "two text columns, polars",
        text_classifier,
        pl.DataFrame({"title": TEXTS, "body": TEXTS}),
        Y,
        None,
        ["X has 2 columns", "title", "body", "pick the one"],
    ),
    (
        "texts and tokens",
        text_classifier,
        ["a", ["b"], "c", "d"],
        Y,
        None,
        ["Row 1", "list of tokens", "row 0", "text"],
    ),
    ("tokens and ids", text_classifier, [["a"], ["b"], [3], ["d"]], Y, None, ["Row 2", "token ids", "row 0", "tokens"]),
    (
        "a number among tokens",
        text_classifier,
        [["a"], ["b", 3], ["c"], ["d"]],
        Y,
        None,
        ["Row 1", "3", "a token (str)"],
    ),
    ("negative ids", text_classifier, [[2], [3], [4, -5], [6]], Y, None, ["Row 2", "-5", "whole numbers"]),
    ("broken ids", text_classifier, [[2.0], [3.5], [4.0], [6.0]], Y, None, ["Row 1", "3.5", "whole numbers"]),
    (
        "NaN among ids",
        text_classifier,
        [[2.0], [3.0], [4.0, np.nan], [6.0]],
        Y,
        None,
        ["Row 2", "nan", "whole numbers"],
    ),
    ("texts for series", series_classifier, TEXTS, Y, None, ["good film", "series of numbers"]),
    ("NaN inside a table", series_classifier, [[1, 2], [np.nan, 3], [1, 2], [3, 4]], Y, None, ["NaN", "RNNClassifier"]),
    ("NaN inside a series", series_classifier, with_nan(2), Y, None, ["row 1", "step 2", "NaN"]),
    ("NaN in one channel", series_classifier, with_nan(4, channel=1), Y, None, ["row 1", "step 4", "channel 1", "NaN"]),
    (
        "infinity in a series",
        series_classifier,
        [[0.0, 1.0], [1.0], [0.0, np.inf, 2.0], [1.0]],
        Y,
        None,
        ["row 2", "step 1", "infinity"],
    ),
    (
        "channels that differ",
        series_classifier,
        [np.zeros((3, 2)), np.zeros((4, 2)), np.zeros((3, 1)), np.zeros((2, 2))],
        Y,
        None,
        ["Row 2", "1 channel", "2"],
    ),
    ("four dimensions", series_classifier, np.zeros((4, 3, 2, 2)), Y, None, ["4 dimensions", "(n, steps, channels)"]),
    ("weights of other length", text_classifier, TEXTS, Y, [1, 2, 3], ["sample_weight", "(3,)", "(4,)"]),
    ("a negative weight", text_classifier, TEXTS, Y, [1, 1, -2, 1], ["sample_weight", "-2", "row 2", "not negative"]),
    ("a NaN weight", series_classifier, SERIES, Y, [1, 1, np.nan, 1], ["sample_weight", "nan", "row 2", "finite"]),
    ("all weights zero", text_classifier, TEXTS, Y, [0, 0, 0, 0], ["weights", "at least one non-zero"]),
]


@pytest.mark.parametrize(("make", "X", "y", "weight", "words"), [c[1:] for c in BAD_FITS], ids=[c[0] for c in BAD_FITS])
@pytest.mark.parametrize("fitted_before", [False, True], ids=["new", "refit"])
def test_fit_with_bad_data_raises_a_clear_error_and_changes_nothing(make, X, y, weight, words, fitted_before):
    classifier = make()
    good = TEXTS if make is text_classifier else SERIES
    if fitted_before:
        before = classifier.fit(good, Y).decision_function(good)
    attributes = dict(vars(classifier))
    with pytest.raises((ValueError, TypeError)) as caught:
        classifier.fit(X, y, sample_weight=weight)
    for word in words:
        assert word in str(caught.value)
    # The attributes are unchanged.
    assert vars(classifier).keys() == attributes.keys()
    assert all(vars(classifier)[name] is value for name, value in attributes.items())
    if fitted_before:
        np.testing.assert_array_equal(classifier.decision_function(good), before)


BAD_PREDICTS = [
    ("ids after texts", text_classifier, TEXTS, [[2, 3]], ["Row 0 of X", "token ids", "in fit", "texts"]),
    ("texts after ids", text_classifier, IDS, ["good"], ["Row 0 of X", "a text", "in fit", "token ids"]),
    ("tokens after texts", text_classifier, TEXTS, [["good"]], ["Row 0 of X", "tokens", "in fit", "texts"]),
    ("padded ids after texts", text_classifier, TEXTS, np.ones((2, 3), int), ["Row 0 of X", "ids", "in fit", "texts"]),
    ("no rows", text_classifier, TEXTS, [], ["0 sample(s)"]),
    (
        "channels, 3-D",
        series_classifier,
        np.ones((4, 3, 2)) * np.arange(4)[:, None, None],
        np.zeros((2, 3, 1)),
        ["1 channel", "2"],
    ),
    ("channels, ragged", series_classifier, SERIES, [np.zeros((2, 3))], ["Row 0", "3 channel", "1"]),
    ("another width", series_classifier, np.eye(4), np.eye(5), ["X has 5 features", "expecting 4 features"]),
    (
        "ragged after a table",
        series_classifier,
        np.eye(4),
        [[1.0], [1.0, 2.0]],
        ["table of 4 steps", "in fit", "ragged"],
    ),
    ("3-D after a table", series_classifier, np.eye(4), np.zeros((2, 4, 1)), ["table of 4 steps", "in fit", "3-D"]),
    ("NaN inside", series_classifier, SERIES, [[1.0, np.nan, 2.0]], ["row 0", "step 1", "NaN"]),
]


@pytest.mark.parametrize(("make", "X", "bad", "words"), [c[1:] for c in BAD_PREDICTS], ids=[c[0] for c in BAD_PREDICTS])
@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function", "predict_log_proba"])
def test_predict_with_bad_data_raises_a_clear_error(make, X, bad, words, method):
    classifier = make().fit(X, Y)
    with pytest.raises((ValueError, TypeError)) as caught:
        getattr(classifier, method)(bad)
    for word in words:
        assert word in str(caught.value)


BAD_PARAMETERS = {
    "cell": ["LSTM", "", None, 3],
    "units": [0, -1, 2.0, "8", (), (4, 0), True, 10**30, (2, 10**30)],
    "n_layers": [0, 1.5, None, 10**9, 10**30],
    "bidirectional": [1, "yes", None],
    "pooling": ["sum", None],
    "activation": ["sigmoid", "Softsign", None, 2],
    "dropout": [-0.1, 1.0, None, "0.5", np.nan],
    "recurrent_dropout": [-0.1, 1, None],
    "optimizer": ["Adam", None, 3],
    "learning_rate": [0, -1e-3, "constant", None, np.inf, np.nan, 1e308],
    "schedule": ["cosine", "", None, 1],
    "weight_decay": [-1e-3, None, np.inf, 1e308],
    "l1": [-1e-3, None, 1e308],
    "max_grad_norm": [0, -1, "1"],
    "batch_size": [0, 2.5, "auto", None],
    "max_epochs": [0, -1, 2.5, "many", None],
    "patience": [0, -1, 2.5, "auto"],
    "tol": [-1e-4, None, np.nan],
    "validation_fraction": [0, 1, 1.5, -0.1, None],
    "class_weight": ["even", 3, {"yes": -1.0}, [1, 2]],
    "random_state": [-1, "seed", 1.5],
    "device": [None, 0, "gpu"],
    "n_threads": [0, -1, 1.5],
    "verbose": [-1, "loud", None],
    "wide": [None, 1, "yes"],
    "checkpoint_dir": [3, 1.5, True, ["folder"]],
    "warm_start": [None, "yes", 1],
}
TEXT_ONLY = {
    "tokenizer": ["word", TextTokenizer, 3],
    "embedding_dim": [0, -1, 2.5, "64"],
    "token_dropout": [-0.1, 1.0, None],
    "nb_ngrams": [-1, 9, 2.0, "3", True, None],
}
SERIES_ONLY = {
    "channels_first": [None, "yes", 1],
    "missing": [None, "mean", True],
    "scale": [None, "yes", 1],
    "conv_filters": [-1, 2.5, "8", None, (), (4, 0), True],
}


def parameter_cases():
    for make, X, table in (
        (text_classifier, TEXTS, BAD_PARAMETERS | TEXT_ONLY),
        (series_classifier, SERIES, BAD_PARAMETERS | SERIES_ONLY),
    ):
        assert table.keys() == make().get_params(deep=False).keys(), "a parameter has no bad values in this table"
        for name, values in table.items():
            for value in values:
                yield pytest.param(make, X, name, value, id=f"{make.__name__}-{name}-{value}")


@pytest.mark.parametrize(("make", "X", "name", "value"), list(parameter_cases()))
def test_fit_with_an_invalid_parameter_raises_an_error_with_name_and_value(make, X, name, value):
    classifier = make().set_params(**{name: value})
    attributes = dict(vars(classifier))
    with pytest.raises(ValueError) as caught:
        classifier.fit(X, Y)
    message = str(caught.value)
    assert name in message
    shown = "TextTokenizer" if isinstance(value, type) else repr(value)
    assert shown in message
    assert re.search(r"must be|is not", message)
    assert vars(classifier) == attributes


@pytest.mark.parametrize(
    "changes", [{"units": 10**7}, {"units": (2, 10**7)}, {"embedding_dim": 10**12}, {"units": 10**5, "n_layers": 1_000}]
)
def test_network_that_needs_too_much_memory_is_an_error_before_it_is_allocated(changes):
    classifier = text_classifier(**changes)
    attributes = dict(vars(classifier))
    with pytest.raises(ValueError, match=r"A network of units=\[.*\] .* would need .* GiB of memory, but this machine"):
        classifier.fit(TEXTS, Y)
    assert vars(classifier) == attributes


def test_units_and_n_layers_that_contradict_are_an_error():
    with pytest.raises(ValueError, match=r"units=\(2, 3\) gives the width of 2 layers, but n_layers=3"):
        text_classifier(units=(2, 3), n_layers=3).fit(TEXTS, Y)
    assert len(text_classifier(units=(2, 3), n_layers=2).fit(TEXTS, Y).network_.recurrent.layers) == 2


def test_class_weight_for_an_unknown_class_is_an_error():
    with pytest.raises(ValueError, match="are not in class_weight"):
        text_classifier(class_weight={"maybe": 2.0}).fit(TEXTS, Y)


# --- valid special cases


def test_texts_without_tokens_are_predicted_by_the_bias():
    classifier = text_classifier().fit([*TEXTS, ""], [*Y, "no"])
    probabilities = classifier.predict_proba(["", "  ", "<br />"])
    head, wide = classifier.network_.head, classifier.wide_
    score = np.float32(wide.calibration_.offset + wide.calibration_.slope * wide.intercept_)
    logit = head.bias.item() + (score * head.score_weights.detach().numpy()).item()
    np.testing.assert_allclose(probabilities[:, 1], 1 / (1 + np.exp(-logit)), rtol=1e-12)


def test_series_without_steps_are_predicted_by_the_bias():
    classifier = series_classifier(wide=False).fit(SERIES, Y)
    logit = classifier.network_.head.bias.item()
    np.testing.assert_allclose(classifier.decision_function([[], [1.0]])[0], logit, rtol=1e-12)


def test_ids_that_are_not_in_fit_are_the_unknown_token():
    classifier = text_classifier().fit(IDS, Y)
    assert classifier.vocab_size_ == 6
    unknown, later, inside = classifier.decision_function([[2, 1, 3], [2, 6_000, 3], [2, 0, 3]])
    assert unknown == later == inside
    assert unknown != classifier.decision_function([[2, 5, 3]])[0]


def test_padded_ids_equal_ragged_ids():
    classifier = text_classifier().fit(IDS, Y)
    ragged = classifier.decision_function([[2, 3], [4]])
    for padded in ([[2, 3, 0, 0], [4, 0, 0, 0]], [[0, 0, 2, 3], [0, 0, 0, 4]], [[0, 2, 3, 0], [0, 4, 0, 0]]):
        np.testing.assert_array_equal(classifier.decision_function(np.array(padded)), ragged)
