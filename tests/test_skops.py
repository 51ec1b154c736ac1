"""skops asks for the types that `SKOPS_TRUSTED_TYPES` has and for no others; what it loads predicts the same."""

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

import seqclf
from _factories import assert_same_predictions
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
RNG = np.random.default_rng(0)
WORDS = "good bad fine poor film plot actor scene not very too never ever and or but so if as".split()
TEXTS = [" ".join(RNG.choice(WORDS, n)) for n in RNG.integers(1, 9, 60)]
NEW_TEXTS = [*TEXTS[:5], "", "unknown words only", "good Films, néver séen!"]
TOKENS = [text.split() for text in TEXTS]
IDS = [[2 + WORDS.index(word) for word in text.split()] for text in TEXTS]
LABELS = np.array(["yes", "no", "maybe"])[RNG.integers(0, 3, 60)]
CLASSES = ["maybe", "no", "yes"]
SERIES = RNG.normal(size=(60, 14))
RAGGED = [RNG.normal(size=(n, 2)) for n in RNG.integers(1, 20, 60)]
INDICATOR = RNG.integers(0, 2, (60, 3))
NUMBERS = RNG.normal(size=60)
TAGS = [[str(len(word) % 3) for word in row] for row in TOKENS]


def steps():
    return [("ids", TextTokenizer()), ("array", SequencePadder()), ("model", RNNTextClassifier(**SMALL))]


def framed():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(SERIES, columns=[f"t{step}" for step in range(14)])
    return RNNClassifier(**SMALL).fit(frame, LABELS), frame


def subwords():
    pytest.importorskip("tokenizers")
    return TextTokenizer(level="subword", vocab_size=300)


# A model, fitted, and what it predicts.
MODELS = {
    "texts": lambda: (RNNTextClassifier(**SMALL, cell="gru").fit(TEXTS, LABELS), NEW_TEXTS),
    "texts, alone": lambda: (RNNTextClassifier(**SMALL, wide=False, nb_ngrams=0).fit(TEXTS, LABELS), NEW_TEXTS),
    "texts, labels": lambda: (RNNTextClassifier(**SMALL).fit(TEXTS, INDICATOR), NEW_TEXTS),
    "texts, weights": lambda: (RNNTextClassifier(**SMALL, class_weight={"yes": 2.0}).fit(TEXTS, LABELS), NEW_TEXTS),
    "texts, a generator": lambda: (
        RNNTextClassifier(**(SMALL | {"random_state": np.random.RandomState(0)})).fit(TEXTS, LABELS),
        NEW_TEXTS,
    ),
    "characters": lambda: (RNNTextClassifier(TextTokenizer(level="char"), **SMALL).fit(TEXTS, LABELS), NEW_TEXTS),
    "subwords": lambda: (RNNTextClassifier(subwords(), **SMALL).fit(TEXTS, LABELS), NEW_TEXTS),
    "tokens": lambda: (RNNTextClassifier(**SMALL, pooling="attention").fit(TOKENS, LABELS), [["good", "new"], []]),
    "ids": lambda: (RNNTextClassifier(**SMALL).fit(IDS, LABELS), [[2, 99], [], [3]]),
    "texts, numbers": lambda: (RNNTextRegressor(**SMALL).fit(TEXTS, NUMBERS), NEW_TEXTS),
    "table": lambda: (RNNClassifier(**SMALL).fit(SERIES, LABELS), SERIES),
    "frame": framed,
    "ragged, alone": lambda: (RNNClassifier(**SMALL, wide=False).fit(RAGGED, LABELS), RAGGED),
    "series, labels": lambda: (RNNClassifier(**SMALL, conv_filters=0).fit(RAGGED, INDICATOR), RAGGED),
    "series, numbers": lambda: (RNNRegressor(**SMALL).fit(SERIES, np.stack([NUMBERS, -NUMBERS], axis=1)), SERIES),
    "tags of tokens": lambda: (RNNTagger(**SMALL).fit(TOKENS, TAGS), [["good", "new"], []]),
    "tags of series": lambda: (RNNTagger(**SMALL).fit(RAGGED, [[len(r) % 2] * len(r) for r in RAGGED]), RAGGED),
    "a stream of texts": lambda: (RNNTextClassifier(**STREAM).partial_fit(TEXTS, LABELS, CLASSES), NEW_TEXTS),
    "a stream of series": lambda: (RNNClassifier(**STREAM).partial_fit(SERIES, LABELS, CLASSES), SERIES),
    "a stream of numbers": lambda: (RNNRegressor(**STREAM, optimizer="sgd").partial_fit(RAGGED, NUMBERS), RAGGED),
    "a stream of tags": lambda: (RNNTagger(**STREAM).partial_fit(TOKENS, TAGS, ["0", "1", "2"]), TOKENS[:5]),
    "pipeline": lambda: (Pipeline(steps()).fit(TEXTS, LABELS), NEW_TEXTS),
    "grid": lambda: (
        GridSearchCV(Pipeline(steps()), {"model__units": [2, 3]}, cv=2).fit(TEXTS, LABELS).best_estimator_,
        NEW_TEXTS,
    ),
}
TRANSFORMERS = {
    "words": lambda: (TextTokenizer().fit(TEXTS), NEW_TEXTS),
    "characters": lambda: (TextTokenizer(level="char").fit(TEXTS), NEW_TEXTS),
    "subwords": lambda: (subwords().fit(TEXTS), NEW_TEXTS),
    "tokens": lambda: (TextTokenizer().fit(TOKENS), [["good", "new"], []]),
    "counted texts": lambda: (TextTokenizer().partial_fit(TEXTS), NEW_TEXTS),
    "counted characters": lambda: (TextTokenizer(level="char", max_length=3).partial_fit(TEXTS), NEW_TEXTS),
    "counted subwords": lambda: (subwords().partial_fit(TEXTS), NEW_TEXTS),
    "counted tokens": lambda: (TextTokenizer().partial_fit(TOKENS), [["good", "new"], []]),
    "padded ids": lambda: (SequencePadder().fit(IDS), IDS),
    "padded series": lambda: (SequencePadder(channels_first=True).fit([row.T for row in RAGGED]), [RAGGED[0].T]),
    "padded ids in a frame": lambda: (SequencePadder().set_output(transform="pandas").fit(IDS), IDS),
}
CLASSES_OF_US = [RNNClassifier, RNNRegressor, RNNTagger, RNNTextClassifier, RNNTextRegressor]
UNFITTED = [*(cls(**SMALL) for cls in CLASSES_OF_US), RNNTextClassifier(TextTokenizer()), TextTokenizer()]
UNFITTED += [SequencePadder(), Pipeline(steps())]


def types_in(value):
    """The types of this package that an estimator and its attributes have, but for what `__getstate__` writes out."""
    found = set()
    if type(value).__module__.startswith("seqclf."):
        found.add(f"{type(value).__module__}.{type(value).__name__}")
        return found.union(*map(types_in, value.__getstate__().values()))
    if isinstance(value, dict):
        return found.union(*map(types_in, value.values()))
    if isinstance(value, list | tuple):
        return found.union(*map(types_in, value))
    return found.union(*map(types_in, vars(value).values())) if isinstance(value, Pipeline) else found


def saved_and_loaded(model):
    """The model that skops makes again, told to trust our types alone."""
    data = io.dumps(model)
    asked = set(io.get_untrusted_types(data=data))
    assert f"{type(model).__module__}.{type(model).__name__}" in asked or isinstance(model, Pipeline)
    assert asked == types_in(model)
    assert asked <= set(SKOPS_TRUSTED_TYPES)
    return io.loads(data, trusted=list(SKOPS_TRUSTED_TYPES))


@pytest.mark.parametrize("name", MODELS)
def test_a_model_predicts_the_same(name):
    model, X = MODELS[name]()
    loaded = saved_and_loaded(model)
    for method in ("predict", "predict_proba", "decision_function"):
        assert hasattr(loaded, method) == hasattr(model, method)
        if hasattr(model, method):
            assert_same_predictions(getattr(loaded, method)(X), getattr(model, method)(X))
    assert loaded.get_params().keys() == model.get_params().keys()


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_a_transformer_gives_the_same(name):
    transformer, X = TRANSFORMERS[name]()
    loaded = saved_and_loaded(transformer)
    assert vars(loaded).keys() == vars(transformer).keys()
    assert_same_predictions(loaded.transform(X), transformer.transform(X))


@pytest.mark.parametrize("model", UNFITTED, ids=lambda model: type(model).__name__)
def test_what_was_not_fitted_comes_back(model):
    assert repr(saved_and_loaded(model)) == repr(model)


@pytest.mark.parametrize("level", ["auto", "word", "char"])
def test_counting_goes_on(level):
    tokenizer = TextTokenizer(level=level, max_length=4).partial_fit(TEXTS[:30])
    loaded = saved_and_loaded(tokenizer).partial_fit(TEXTS[30:])
    assert loaded.tokens_ == tokenizer.partial_fit(TEXTS[30:]).tokens_ == TextTokenizer(level=level).fit(TEXTS).tokens_
    assert loaded.n_truncated_ == tokenizer.n_truncated_ > 0


@pytest.mark.parametrize("name", ["a stream of texts", "a stream of series"])
def test_a_stream_goes_on(name):
    model, X = MODELS[name]()
    rows = SERIES if X is SERIES else TEXTS
    loaded = saved_and_loaded(model).partial_fit(rows, LABELS)
    assert_same_predictions(loaded.predict_proba(X), model.partial_fit(rows, LABELS).predict_proba(X))


@pytest.mark.parametrize("name", SKOPS_TRUSTED_TYPES)
def test_each_trusted_type_is_asked_for(name):
    model = getattr(seqclf, name.rpartition(".")[2])()
    data = io.dumps(model)
    assert io.get_untrusted_types(data=data) == [name]
    with pytest.raises(TypeError, match=name):
        io.loads(data, trusted=[other for other in SKOPS_TRUSTED_TYPES if other != name])
