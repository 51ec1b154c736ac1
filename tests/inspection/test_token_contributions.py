"""`token_contributions`: contributions add up to the output, belong to the right tokens, and change nothing."""

import pickle
from functools import cache

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from _factories import run_python
from _taggers import id_rows, make_tagger, series_rows, token_rows
from seqclf import (
    RNNClassifier,
    RNNRegressor,
    RNNTextClassifier,
    RNNTextRegressor,
    TextTokenizer,
    load_predictor,
    save_model,
)
from seqclf.inspection import _integrated_gradients, token_contributions
from seqclf.inspection._integrated_gradients import IntegratedGradients

SMALL = {"units": 8, "max_epochs": 6, "learning_rate": 0.02, "random_state": 0, "n_threads": 1}
RNG = np.random.default_rng(0)
WORDS = "good bad fine poor film plot actor scene not very too never ever and or but so if as".split()
TEXTS = [" ".join(RNG.choice(WORDS, n)) for n in RNG.integers(1, 20, 80)]
BINARY = np.array(["yes" if ("good" in text) != ("not" in text) else "no" for text in TEXTS])
THREE = np.array(["a", "b", "c"])[[(text.count("good") + 2 * text.count("bad")) % 3 for text in TEXTS]]
LABELS = np.array([[word in text for word in ("good", "bad", "film")] for text in TEXTS]).astype(int)
NUMBERS = np.array([10.0 * text.count("good") - 7 * text.count("bad") for text in TEXTS])
SEVERAL = np.stack([NUMBERS, [text.count("film") for text in TEXTS]], axis=1)
NEW = [*TEXTS[:2], "", "zzz unknown words", "Good films, néver not bad bad bad!"]
SERIES = [RNG.normal(size=(n, 2)) for n in RNG.integers(5, 24, 40)]
ALONE = {"nb_ngrams": 0, "wide": False}


def text_model(y, **changes):
    return RNNTextClassifier(**(SMALL | changes)).fit(TEXTS, y)


def regressor(y, **changes):
    return RNNTextRegressor(**(SMALL | changes)).fit(TEXTS, y)


def char_model():
    tokenizer = TextTokenizer(level="char", max_length=12)
    return RNNTextClassifier(tokenizer, **SMALL).fit(TEXTS, THREE)


def truncating_model():
    tokenizer = TextTokenizer(max_length=5, vocab_size=9)
    return RNNTextClassifier(tokenizer, n_layers=2, activation="relu", **SMALL).fit(TEXTS, THREE)


def id_model():
    ids = [[2 + WORDS.index(word) for word in text.split()] for text in TEXTS]
    return RNNTextClassifier(**SMALL).fit(ids, BINARY)


# For each name a function that returns a fitted model, the rows to explain and the target.
MODELS = {
    "two classes": lambda: (text_model(BINARY), NEW, None),
    "two classes, network alone": lambda: (text_model(BINARY, **ALONE), NEW, "no"),
    "three classes": lambda: (text_model(THREE), NEW, None),
    "three classes, no linear model": lambda: (text_model(THREE, nb_ngrams=3, wide=False), NEW, "b"),
    "three classes, no ratios": lambda: (text_model(THREE, nb_ngrams=0), NEW, "c"),
    "several labels": lambda: (text_model(LABELS, nb_ngrams=3), NEW, 1),
    "one-hot": lambda: (text_model(THREE, embedding_dim=None), NEW, None),
    "gru, last": lambda: (text_model(BINARY, cell="gru", pooling="last"), NEW, None),
    "rnn, mean": lambda: (text_model(BINARY, cell="rnn", pooling="mean", bidirectional=False), NEW, None),
    "mgu, attention": lambda: (text_model(BINARY, cell="mgu", pooling="attention"), NEW, None),
    "characters, truncated": lambda: (char_model(), NEW, None),
    "truncated, unknown tokens, two layers": lambda: (truncating_model(), NEW, None),
    "numbers": lambda: (regressor(NUMBERS), NEW, None),
    "several numbers": lambda: (regressor(SEVERAL, loss="huber", nb_ngrams=3), NEW, 1),
    "ids": lambda: (id_model(), [[2, 3, 4, 5], [900, 3], []], None),
    "tagged tokens": lambda: (make_tagger().fit(*token_rows(40)), token_rows(3)[0], 0),
    "tagged tokens, network alone": lambda: (
        make_tagger(wide=False).fit(*token_rows(40)),
        token_rows(1)[0],
        (2, "VERB"),
    ),
    "tagged ids": lambda: (make_tagger(embedding_dim=None).fit(*id_rows(40)), id_rows(3)[0], 0),
    "tagged series": lambda: (make_tagger().fit(*series_rows(30)), series_rows(3)[0], 0),
    "series": lambda: (
        RNNClassifier(wide=False, **SMALL).fit(SERIES, [row[:, 0].mean() > 0 for row in SERIES]),
        [*SERIES[:3], np.empty((0, 2))],
        None,
    ),
    "numbers from series": lambda: (
        RNNRegressor(wide=False, conv_filters=0, **SMALL).fit(SERIES, [row.sum() for row in SERIES]),
        SERIES[:3],
        None,
    ),
}


@cache
def case(name):
    return MODELS[name]()


@cache
def contributions_of(name):
    model, X, target = case(name)
    return token_contributions(model, X, target=target)


def outputs_of(name):
    """The output of the target for each row, from public methods."""
    model, X, target = case(name)
    if not hasattr(model, "classes_"):
        predicted = np.asarray(model.predict(X)).reshape(len(X), -1)
        return predicted[:, target or 0]
    logits = model.decision_function(X).reshape(len(X), -1)
    classes = model.classes_.tolist()
    found = contributions_of(name)
    if logits.shape[1] == 1:
        return np.array(
            [logit if row.target == classes[1] else -logit for logit, row in zip(logits[:, 0], found, strict=True)]
        )
    return np.array([logit[classes.index(row.target)] for logit, row in zip(logits, found, strict=True)])


@pytest.mark.parametrize("name", MODELS)
def test_contributions_add_up_to_the_output_minus_the_baseline(name):
    unit = max(np.atleast_1d(getattr(case(name)[0], "target_scale_", 1.0)))
    for row in contributions_of(name):
        assert np.isfinite(row.contributions).all()
        assert abs(row.error) <= max(0.01 * abs(row.output - row.baseline), 0.01 * unit)
        assert row.error == row.output - row.baseline - row.contributions.sum()


@pytest.mark.parametrize("name", [name for name in MODELS if not name.startswith("tagged")])
def test_outputs_are_those_of_public_methods(name):
    # Predicted numbers are clipped to the range of the targets.
    clipped = {"numbers": NUMBERS, "several numbers": SEVERAL[:, 1], "numbers from series": [s.sum() for s in SERIES]}
    found = np.array([row.output for row in contributions_of(name)])
    if name in clipped:
        found = np.clip(found, min(clipped[name]), max(clipped[name]))
    np.testing.assert_allclose(found, outputs_of(name), rtol=1e-6, atol=1e-6)


def test_the_baseline_is_the_output_of_an_empty_text():
    model, X, _ = case("three classes")
    for row in token_contributions(model, X, target="b"):
        assert row.target == "b"
        assert row.baseline == pytest.approx(model.decision_function([""])[0, 1])


def test_two_classes_have_opposite_contributions():
    model, X, _ = case("two classes")
    for yes, no, predicted in zip(
        *(token_contributions(model, X, target=target) for target in ("yes", "no", None)), strict=True
    ):
        np.testing.assert_allclose(yes.contributions, -no.contributions, atol=1e-9)
        assert predicted.target == ("yes" if yes.output > 0 else "no")
        assert predicted.output >= 0


@pytest.mark.parametrize("name", MODELS)
def test_every_row_has_its_tokens_and_spans(name):
    model, X, _ = case(name)
    for given, row in zip(X, contributions_of(name), strict=True):
        if row.tokens is None:
            assert row.contributions.shape == np.shape(given)
        else:
            assert row.contributions.shape == (len(row.tokens),)
        if isinstance(given, str):
            spans = model.tokenizer_.spans([given])[0]
            np.testing.assert_array_equal(row.spans, spans)
            assert row.tokens == [given[start:stop].lower() for start, stop in spans]
        else:
            assert row.spans is None


def test_an_unknown_token_without_features_contributes_an_equal_part():
    model = text_model(BINARY, **ALONE)
    row = token_contributions(model, ["zzz good unknown"])[0]
    only_unknown = token_contributions(model, ["zzz yyy xxx"], target=row.target)[0]
    equal_part = (only_unknown.output - only_unknown.baseline) / 3
    np.testing.assert_allclose(only_unknown.contributions, equal_part, atol=1e-5)
    np.testing.assert_allclose(row.contributions[[0, 2]], equal_part, atol=1e-5)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_value_of_an_ngram_is_divided_among_its_tokens(order, monkeypatch):
    """The step features of a token are one value per output for n = 1, then for n = 2, and so on."""
    n_outputs, last, n_tokens = 3, 3, 5

    def of_tokens(self, ids, features, target, accuracy):
        assert features.shape == (n_tokens, 3 * n_outputs)
        values = np.zeros(features.shape)
        values[last, (order - 1) * n_outputs : order * n_outputs] = [6.0, 0.0, -12.0]
        bias = self.bias[target.position]
        return _integrated_gradients.PathIntegral(np.zeros(n_tokens), values, values, bias, bias)

    monkeypatch.setattr(_integrated_gradients.IntegratedGradients, "of_tokens", of_tokens)
    model, _, _ = case("three classes, no linear model")
    expected = np.zeros(n_tokens)
    expected[last - order + 1 : last + 1] = -6 / order
    row = token_contributions(model, ["good bad fine poor film"])[0]
    np.testing.assert_allclose(row.contributions, expected, atol=1e-6)


@pytest.mark.parametrize("changes", [{}, ALONE, {"nb_ngrams": 3, "wide": False}, {"nb_ngrams": 0}])
@pytest.mark.parametrize("method", ["integrated_gradients", "leave_out"])
def test_planted_words_come_out_on_top(changes, method):
    rng = np.random.default_rng(1)
    fillers = [f"filler{i}" for i in range(20)]
    labels = np.arange(240) % 3
    texts = [" ".join(rng.permutation([f"planted{label}", *rng.choice(fillers, 9)])) for label in labels]
    model = RNNTextClassifier(**(SMALL | {"max_epochs": 12} | changes)).fit(texts, labels)
    new = texts[:9]
    for text, row in zip(new, token_contributions(model, new, method=method), strict=True):
        assert row.target == labels[new.index(text)]
        order = np.argsort(-row.contributions)
        assert row.tokens[order[0]] == f"planted{row.target}"
        assert row.contributions[order[0]] > 2 * np.abs(row.contributions[order[1:]]).max()


def test_a_model_of_shuffled_labels_shows_next_to_nothing():
    texts, rng = TEXTS * 4, np.random.default_rng(2)
    labels = np.array(["good" in text for text in texts])
    largest = []
    for y in (labels, rng.permutation(labels)):
        model = RNNTextClassifier(units=8, random_state=0, n_threads=1, patience=2).fit(texts, y)
        largest.append(max(np.abs(row.contributions).max() for row in token_contributions(model, TEXTS)))
    assert largest[1] < 0.15 * largest[0]


def test_a_coarse_integral_reports_its_error_and_is_refined(tune):
    model, X, _ = case("three classes, no linear model")
    tune(max_path_doublings=0)
    coarse = [abs(row.error) for row in token_contributions(model, X, n_steps=1)]
    tune(max_path_doublings=7)
    fine = [abs(row.error) for row in token_contributions(model, X, n_steps=1)]
    assert max(coarse) > 0.05
    assert max(fine) < max(coarse) / 4


@pytest.mark.parametrize("n_nodes", [1, 5, 64, 65, 1000, 160_000])
def test_nodes_of_the_quadrature_are_spread_over_the_path(n_nodes):
    """Finding all nodes at once would take hours and hundreds of gigabytes for the largest number."""
    nodes, weights = _integrated_gradients._quadrature(n_nodes)
    assert n_nodes <= len(nodes) == len(weights) < 1.6 * n_nodes
    assert np.all(np.diff(nodes) > 0) and 0 < nodes.min() <= nodes.max() < 1
    for power in (0, 1):
        np.testing.assert_allclose(weights @ nodes**power, 1 / (power + 1))


def test_errors_of_large_outputs_are_relative(monkeypatch):
    """The output of a network of a series with large values is large; its last digits are not refined."""
    n_nodes, mean_gradients = [], IntegratedGradients._mean_gradients

    def spy(self, start, stop, n_looked_up, target, n):
        n_nodes.append(n)
        return mean_gradients(self, start, stop, n_looked_up, target, n)

    relu = RNNRegressor(wide=False, activation="relu", cell="rnn", **SMALL).fit(SERIES, [row.sum() for row in SERIES])
    monkeypatch.setattr(IntegratedGradients, "_mean_gradients", spy)
    found = token_contributions(relu, [1e8 * SERIES[0]])[0]
    assert abs(found.output - found.baseline) > 1e5
    assert abs(found.error) < 0.005 * abs(found.output - found.baseline)
    assert n_nodes == [64]


def test_long_paths_are_integrated_in_parts(tune):
    model, X, target = case("several labels")
    tune(max_path_values=500)
    for ours, theirs in zip(
        token_contributions(model, X, target=target), contributions_of("several labels"), strict=True
    ):
        np.testing.assert_allclose(ours.contributions, theirs.contributions, atol=1e-4)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_gradient_modes_of_the_caller_do_not_matter(mode, unchanged_global_state):
    model, X, _ = case("two classes")
    with mode():
        for ours, theirs in zip(token_contributions(model, X), contributions_of("two classes"), strict=True):
            np.testing.assert_array_equal(ours.contributions, theirs.contributions)
        assert not torch.is_grad_enabled()


@pytest.mark.parametrize("name", ["one-hot", "two classes, network alone"])
def test_default_types_and_devices_of_torch_do_not_matter(name):
    model, X, target = case(name)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"), torch.autocast("cpu", torch.bfloat16):
            found = token_contributions(model, X, target=target)
    finally:
        torch.set_default_dtype(before)
    for ours, theirs in zip(found, contributions_of(name), strict=True):
        np.testing.assert_array_equal(ours.contributions, theirs.contributions)


def test_the_model_is_not_changed():
    for name in ("two classes", "one-hot", "tagged tokens"):
        model, X, target = case(name)
        weights = list(model.network_.parameters())
        before, needs_gradient = pickle.dumps(model), [weight.requires_grad for weight in weights]
        gradients = [weight.grad for weight in weights]
        token_contributions(model, X[:2], target=target)
        assert pickle.dumps(model) == before
        assert [weight.requires_grad for weight in weights] == needs_gradient
        assert all(weight.grad is found for weight, found in zip(weights, gradients, strict=True))


def test_a_loaded_model_has_the_same_contributions():
    model, X, _ = case("two classes")
    loaded = pickle.loads(pickle.dumps(model))
    for ours, theirs in zip(token_contributions(loaded, X), contributions_of("two classes"), strict=True):
        np.testing.assert_allclose(ours.contributions, theirs.contributions, atol=1e-6)


def test_a_tokenizer_of_another_class_has_ids_as_tokens():
    class Hashes(BaseEstimator):
        def fit(self, X, y=None):
            return self

        def transform(self, X):
            return [[2 + len(word) for word in text.split()] for text in X]

    model = RNNTextClassifier(Hashes(), **SMALL).fit(TEXTS, BINARY)
    row = token_contributions(model, ["good film"])[0]
    assert row.tokens == ["6", "6"]
    assert row.spans is None


def test_leaving_out_is_the_difference_of_two_outputs():
    tokens = [text.split() for text in TEXTS]
    model = RNNTextClassifier(**SMALL).fit(tokens, THREE)
    row = token_contributions(model, tokens[:1], target="b", method="leave_out")[0]
    without = [tokens[0][:i] + tokens[0][i + 1 :] for i in range(len(tokens[0]))]
    expected = model.decision_function(tokens[:1])[0, 1] - model.decision_function(without)[:, 1]
    np.testing.assert_allclose(row.contributions, expected, atol=1e-9)
    assert row.baseline == pytest.approx(model.decision_function([[]])[0, 1])


def test_leaving_out_tokens_of_a_tagger_keeps_the_explained_step():
    X, y = token_rows(40)
    tagger = make_tagger().fit(X, y)
    row = token_contributions(tagger, X[:1], target=(2, "NOUN"), method="leave_out")[0]

    assert row.target == (2, "NOUN")
    assert len(row.contributions) == len(X[0])
    outputs = tagger._outputs([X[0], X[0][1:]]).items()
    column = tagger.classes_.tolist().index("NOUN")
    assert row.contributions[0] == pytest.approx(outputs[0][2, column] - outputs[1][1, column])


def test_left_out_tokens_are_not_replaced_by_truncated_ones():
    model, X, _ = case("truncated, unknown tokens, two layers")
    is_cut = False
    for text, row in zip(X, token_contributions(model, X, target="b", method="leave_out"), strict=True):
        tokens = row.tokens
        is_cut |= len(tokens) == 5 < len(text.split())
        without = [" ".join(tokens[:i] + tokens[i + 1 :]) for i in range(len(tokens))]
        outputs = model.decision_function([" ".join(tokens), *without])[:, 1]
        np.testing.assert_allclose(row.contributions, outputs[0] - outputs[1:], atol=1e-6)
    assert is_cut


@pytest.mark.parametrize("name", ["three classes", "tagged tokens", "series"])
def test_leaving_out_in_parts_has_the_same_contributions(name, tune):
    model, X, target = case(name)
    expected = token_contributions(model, X[:2], target=target, method="leave_out")
    tune(max_left_out_steps=10)
    for ours, theirs in zip(
        token_contributions(model, X[:2], target=target, method="leave_out"), expected, strict=True
    ):
        np.testing.assert_allclose(ours.contributions, theirs.contributions, atol=1e-6)


def test_leaving_out_of_one_token_leaves_an_empty_text():
    model, _, _ = case("two classes")
    row = token_contributions(model, ["good"], method="leave_out")[0]
    assert row.contributions[0] == pytest.approx(row.output - row.baseline)
    assert row.error == pytest.approx(0)


def test_a_predictor_leaves_out_without_torch(tmp_path):
    model, X, _ = case("two classes")
    save_model(model, tmp_path / "model.zip")
    expected = token_contributions(model, X, method="leave_out")
    for ours, theirs in zip(
        token_contributions(load_predictor(tmp_path / "model.zip"), X, method="leave_out"), expected, strict=True
    ):
        assert ours.tokens == theirs.tokens
        np.testing.assert_array_equal(ours.contributions, theirs.contributions)
    printed = run_python(
        f"""
        import sys
        from seqclf import load_predictor
        from seqclf.inspection import token_contributions
        model = load_predictor({str(tmp_path / "model.zip")!r})
        print(len(token_contributions(model, ["good film"], method="leave_out")[0].contributions))
        print("torch" in sys.modules)
        """
    )
    assert printed.split() == ["2", "False"]


def test_windows_of_a_series_with_the_planted_peak_come_out_on_top():
    rng = np.random.default_rng(0)
    X = rng.normal(scale=0.1, size=(80, 48, 2))
    y, starts = np.arange(80) % 2, rng.integers(6, 36, 80)
    for series, label, start in zip(X, y, starts, strict=True):
        series[start : start + 6, label] += np.hanning(8)[1:-1] * 3
    model = RNNClassifier(**SMALL).fit(X, y)
    for row, label, start in zip(token_contributions(model, X[:6], method="leave_out"), y, starts, strict=False):
        assert row.tokens is None
        assert row.target == label
        inside = row.contributions[start : start + 6, label].mean()
        outside = np.delete(row.contributions[:, label], np.arange(start - 4, start + 10).clip(0, 47)).mean()
        assert inside > 0
        assert inside > 4 * abs(outside)


def test_series_with_a_linear_model_need_leave_out():
    model = RNNClassifier(**SMALL).fit(SERIES, np.arange(40) % 2)
    with pytest.raises(ValueError, match=r"Use method='leave_out', or fit the model with wide=False"):
        token_contributions(model, SERIES[:1])
    assert token_contributions(model, [np.zeros((1, 2))], method="leave_out")[0].contributions.shape == (1, 2)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("two classes", {"method": "gradient"}, "method='gradient', expected 'integrated_gradients' or 'leave_out'"),
        ("two classes", {"method": np.array(["leave_out", "x"])}, "expected 'integrated_gradients' or 'leave_out'"),
        ("two classes", {"n_steps": 0}, "n_steps=0, expected an integer from 1"),
        ("two classes", {"n_steps": True}, "n_steps=True"),
        ("two classes", {"target": "maybe"}, "target='maybe' is not one of the classes"),
        ("two classes", {"target": np.array(["yes", "no"])}, "is not one of the classes"),
        ("several numbers", {"target": None}, "predicts 2 numbers: choose one of them, from 0 to 1"),
        ("several numbers", {"target": 2}, "target=2, expected the index of a number, from 0 to 1"),
        ("tagged tokens", {"target": None}, r"a pair \(step, class\)\. Row 0 of X has 4 steps, numbered from 0"),
        ("tagged tokens", {"target": 4}, "Row 0 of X has 4 steps"),
        ("tagged tokens", {"target": (0, "ADVERB")}, "target='ADVERB' is not one of the classes"),
    ],
)
def test_invalid_arguments_are_named(name, arguments, message):
    model, X, _ = case(name)
    with pytest.raises(ValueError, match=message):
        token_contributions(model, X, **arguments)


def test_other_models_are_errors(tmp_path):
    model, X, _ = case("two classes")
    with pytest.raises(NotFittedError):
        token_contributions(RNNTextClassifier(), X)
    with pytest.raises(TypeError, match=r"model must be .*; got the class RNNTextClassifier"):
        token_contributions(RNNTextClassifier, X)
    with pytest.raises(TypeError, match=r"model must be .*, or a predictor.* got a Pipeline\. Pass the last step"):
        token_contributions(make_pipeline(model), X)
    save_model(model, tmp_path / "model.zip")
    with pytest.raises(ValueError, match="load it by load_model, or use method='leave_out'"):
        token_contributions(load_predictor(tmp_path / "model.zip"), X)
    with pytest.raises(ValueError, match="Row 0 of X"):
        token_contributions(model, [["good"]])
