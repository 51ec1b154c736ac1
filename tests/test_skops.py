"""skops reports exactly the types in SKOPS_TRUSTED_TYPES as untrusted, and restores models bit by bit."""

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

import seqclf
from _factories import assert_same_predictions
from _fitted_models import IDS, INDICATOR, LABELS, NEW_TEXTS, RAGGED, SERIES, TEXTS, TOKENS, VALUES, length_tags
from seqclf import (
    SKOPS_TRUSTED_TYPES,
    RNNClassifier,
    RNNRegressor,
    RNNTagger,
    RNNTextClassifier,
    RNNTextRegressor,
    SequencePadder,
    TextTokenizer,
)

io = pytest.importorskip("skops.io")

SMALL = {"units": 2, "max_epochs": 1, "random_state": 0, "n_threads": 1}
STREAM = SMALL | {"schedule": "constant"}
CLASSES = ["maybe", "no", "yes"]
TAGS = length_tags(TOKENS)


def pipeline_steps():
    return [("ids", TextTokenizer()), ("array", SequencePadder()), ("model", RNNTextClassifier(**SMALL))]


def fitted_on_a_frame():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(SERIES, columns=[f"t{step}" for step in range(14)])
    return RNNClassifier(**SMALL).fit(frame, LABELS), frame


def subword_tokenizer():
    pytest.importorskip("tokenizers")
    return TextTokenizer(level="subword", vocab_size=300)


# For each name a function that returns a fitted model and the samples to predict.
MODELS = {
    "texts": lambda: (RNNTextClassifier(**SMALL, cell="gru").fit(TEXTS, LABELS), NEW_TEXTS),
    "texts, without label features": lambda: (
        RNNTextClassifier(**SMALL, wide=False, nb_ngrams=0).fit(TEXTS, LABELS),
        NEW_TEXTS,
    ),
    "texts, labels": lambda: (RNNTextClassifier(**SMALL).fit(TEXTS, INDICATOR), NEW_TEXTS),
    "texts, weights": lambda: (RNNTextClassifier(**SMALL, class_weight={"yes": 2.0}).fit(TEXTS, LABELS), NEW_TEXTS),
    "texts, a generator": lambda: (
        RNNTextClassifier(**(SMALL | {"random_state": np.random.RandomState(0)})).fit(TEXTS, LABELS),
        NEW_TEXTS,
    ),
    "characters": lambda: (RNNTextClassifier(TextTokenizer(level="char"), **SMALL).fit(TEXTS, LABELS), NEW_TEXTS),
    "subwords": lambda: (RNNTextClassifier(subword_tokenizer(), **SMALL).fit(TEXTS, LABELS), NEW_TEXTS),
    "tokens": lambda: (RNNTextClassifier(**SMALL, pooling="attention").fit(TOKENS, LABELS), [["good", "new"], []]),
    "ids": lambda: (RNNTextClassifier(**SMALL).fit(IDS, LABELS), [[2, 99], [], [3]]),
    "texts, values": lambda: (RNNTextRegressor(**SMALL).fit(TEXTS, VALUES), NEW_TEXTS),
    "matrix": lambda: (RNNClassifier(**SMALL).fit(SERIES, LABELS), SERIES),
    "frame": fitted_on_a_frame,
    "ragged, without a linear model": lambda: (RNNClassifier(**SMALL, wide=False).fit(RAGGED, LABELS), RAGGED),
    "series, labels": lambda: (RNNClassifier(**SMALL, conv_filters=0).fit(RAGGED, INDICATOR), RAGGED),
    "series, values": lambda: (RNNRegressor(**SMALL).fit(SERIES, np.stack([VALUES, -VALUES], axis=1)), SERIES),
    "tags of tokens": lambda: (RNNTagger(**SMALL).fit(TOKENS, TAGS), [["good", "new"], []]),
    "tags of series": lambda: (RNNTagger(**SMALL).fit(RAGGED, [[len(r) % 2] * len(r) for r in RAGGED]), RAGGED),
    "a stream of texts": lambda: (RNNTextClassifier(**STREAM).partial_fit(TEXTS, LABELS, CLASSES), NEW_TEXTS),
    "a stream of series": lambda: (RNNClassifier(**STREAM).partial_fit(SERIES, LABELS, CLASSES), SERIES),
    "a stream of values": lambda: (RNNRegressor(**STREAM, optimizer="sgd").partial_fit(RAGGED, VALUES), RAGGED),
    "a stream of tags": lambda: (RNNTagger(**STREAM).partial_fit(TOKENS, TAGS, ["0", "1", "2"]), TOKENS[:5]),
    "pipeline": lambda: (Pipeline(pipeline_steps()).fit(TEXTS, LABELS), NEW_TEXTS),
    "grid": lambda: (
        GridSearchCV(Pipeline(pipeline_steps()), {"model__units": [2, 3]}, cv=2).fit(TEXTS, LABELS).best_estimator_,
        NEW_TEXTS,
    ),
}
TRANSFORMERS = {
    "words": lambda: (TextTokenizer().fit(TEXTS), NEW_TEXTS),
    "characters": lambda: (TextTokenizer(level="char").fit(TEXTS), NEW_TEXTS),
    "subwords": lambda: (subword_tokenizer().fit(TEXTS), NEW_TEXTS),
    "tokens": lambda: (TextTokenizer().fit(TOKENS), [["good", "new"], []]),
    "partially fitted texts": lambda: (TextTokenizer().partial_fit(TEXTS), NEW_TEXTS),
    "partially fitted characters": lambda: (TextTokenizer(level="char", max_length=3).partial_fit(TEXTS), NEW_TEXTS),
    "partially fitted subwords": lambda: (subword_tokenizer().partial_fit(TEXTS), NEW_TEXTS),
    "partially fitted tokens": lambda: (TextTokenizer().partial_fit(TOKENS), [["good", "new"], []]),
    "padded ids": lambda: (SequencePadder().fit(IDS), IDS),
    "padded series": lambda: (SequencePadder(channels_first=True).fit([row.T for row in RAGGED]), [RAGGED[0].T]),
    "padded ids in a frame": lambda: (SequencePadder().set_output(transform="pandas").fit(IDS), IDS),
}
ESTIMATORS = [RNNClassifier, RNNRegressor, RNNTagger, RNNTextClassifier, RNNTextRegressor]
UNFITTED = [*(cls(**SMALL) for cls in ESTIMATORS), RNNTextClassifier(TextTokenizer()), TextTokenizer()]
UNFITTED += [SequencePadder(), Pipeline(pipeline_steps())]


def types_in(value):
    """The types of this package in an estimator and its state."""
    types = set()
    if type(value).__module__.startswith("seqclf."):
        types.add(f"{type(value).__module__}.{type(value).__name__}")
        return types.union(*map(types_in, value.__getstate__().values()))
    if isinstance(value, dict):
        return types.union(*map(types_in, value.values()))
    if isinstance(value, list | tuple):
        return types.union(*map(types_in, value))
    return types.union(*map(types_in, vars(value).values())) if isinstance(value, Pipeline) else types


def saved_and_loaded(model):
    """The model after saving and loading with skops, which trusts only SKOPS_TRUSTED_TYPES."""
    data = io.dumps(model)
    untrusted = set(io.get_untrusted_types(data=data))
    assert f"{type(model).__module__}.{type(model).__name__}" in untrusted or isinstance(model, Pipeline)
    assert untrusted == types_in(model)
    assert untrusted <= set(SKOPS_TRUSTED_TYPES)
    return io.loads(data, trusted=list(SKOPS_TRUSTED_TYPES))


@pytest.mark.parametrize("name", MODELS)
def test_loaded_model_predicts_the_same(name):
    model, X = MODELS[name]()
    loaded = saved_and_loaded(model)
    for method in ("predict", "predict_proba", "decision_function"):
        assert hasattr(loaded, method) == hasattr(model, method)
        if hasattr(model, method):
            assert_same_predictions(getattr(loaded, method)(X), getattr(model, method)(X))
    assert loaded.get_params().keys() == model.get_params().keys()


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_loaded_transformer_returns_the_same(name):
    transformer, X = TRANSFORMERS[name]()
    loaded = saved_and_loaded(transformer)
    assert vars(loaded).keys() == vars(transformer).keys()
    assert_same_predictions(loaded.transform(X), transformer.transform(X))


@pytest.mark.parametrize("model", UNFITTED, ids=lambda model: type(model).__name__)
def test_unfitted_estimator_is_restored(model):
    assert repr(saved_and_loaded(model)) == repr(model)


@pytest.mark.parametrize("level", ["auto", "word", "char"])
def test_loaded_tokenizer_continues_partial_fit(level):
    tokenizer = TextTokenizer(level=level, max_length=4).partial_fit(TEXTS[:30])
    loaded = saved_and_loaded(tokenizer).partial_fit(TEXTS[30:])
    assert loaded.tokens_ == tokenizer.partial_fit(TEXTS[30:]).tokens_ == TextTokenizer(level=level).fit(TEXTS).tokens_
    assert loaded.n_truncated_ == tokenizer.n_truncated_ > 0


@pytest.mark.parametrize("name", ["a stream of texts", "a stream of series"])
def test_loaded_model_continues_partial_fit(name):
    model, X = MODELS[name]()
    rows = SERIES if X is SERIES else TEXTS
    loaded = saved_and_loaded(model).partial_fit(rows, LABELS)
    assert_same_predictions(loaded.predict_proba(X), model.partial_fit(rows, LABELS).predict_proba(X))


@pytest.mark.parametrize("name", SKOPS_TRUSTED_TYPES)
def test_each_trusted_type_is_required(name):
    model = getattr(seqclf, name.rpartition(".")[2])()
    data = io.dumps(model)
    assert io.get_untrusted_types(data=data) == [name]
    with pytest.raises(TypeError, match=name):
        io.loads(data, trusted=[other for other in SKOPS_TRUSTED_TYPES if other != name])
