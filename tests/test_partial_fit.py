"""`partial_fit`: training on chunks of a stream, with label features fitted to the first chunk."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone

from seqclf import RNNClassifier, RNNRegressor, RNNTagger, RNNTextClassifier, RNNTextRegressor, TextTokenizer, datasets
from seqclf._training.session import TrainingSession

STREAM = {"units": 3, "schedule": "constant", "random_state": 0, "n_threads": 1}
TEXTS, LABELS = datasets.make_order_reviews(120, random_state=0)
SERIES, SERIES_LABELS = datasets.make_order_series(120, n_steps=8, random_state=0)
TOKENS = [text.split() for text in TEXTS]
CLASSES = np.unique(LABELS)


def values_of(labels):
    return np.unique(labels, return_inverse=True)[1] + np.random.default_rng(0).uniform(size=len(labels))


def models():
    """Estimator, X, y and classes, for each kind of estimator, input and target."""
    indicators = np.column_stack([np.asarray(LABELS) == CLASSES[0], np.arange(len(LABELS)) % 3 == 0]).astype(int)
    return {
        "texts": (RNNTextClassifier(**STREAM), TEXTS, LABELS, CLASSES),
        "tokens": (RNNTextClassifier(**STREAM), TOKENS, LABELS, CLASSES),
        "characters": (RNNTextClassifier(TextTokenizer(level="char"), **STREAM), TEXTS, LABELS, CLASSES),
        "network alone": (RNNTextClassifier(**STREAM, wide=False, nb_ngrams=0), TEXTS, LABELS, CLASSES),
        "labels": (RNNTextClassifier(**STREAM), TEXTS, indicators, None),
        "text regression": (RNNTextRegressor(**STREAM), TEXTS, values_of(LABELS), None),
        "series": (RNNClassifier(**STREAM), SERIES, SERIES_LABELS, np.unique(SERIES_LABELS)),
        "series regression": (RNNRegressor(**STREAM), SERIES, values_of(SERIES_LABELS), None),
        "tags": (RNNTagger(**STREAM), TOKENS, [[len(token) % 3 for token in row] for row in TOKENS], [0, 1, 2]),
        "tags of series": (RNNTagger(**STREAM), SERIES, [(row[:, 0] > 0).astype(int) for row in SERIES], [0, 1]),
    }


KINDS = list(models())


def train(model, X, y, classes, size=40, start=0):
    for first in range(start, len(X), size):
        rows = slice(first, first + size)
        model.partial_fit(X[rows], y[rows], **({} if classes is None else {"classes": classes}))
    return model


def weights_of(model):
    return model.network_.to_arrays()


def assert_same(model, other):
    expected = weights_of(other)
    for name, array in weights_of(model).items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name)


@pytest.mark.parametrize("kind", KINDS)
def test_partial_fit_learns_from_a_stream(kind):
    model, X, y, classes = models()[kind]
    model = train(model.set_params(units=8, learning_rate=1e-2), X, y, classes)
    for _ in range(9):
        train(model, X, y, classes)
    assert model.n_iter_ == model.best_epoch_ == len(model.history_) == 30
    assert [row["epoch"] for row in model.history_] == list(range(1, 31))
    losses = [row["train_loss"] for row in model.history_]
    assert np.mean(losses[-3:]) < 0.9 * np.mean(losses[:3])
    assert len(model.predict(X[:3])) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_partial_fit_of_a_pickled_estimator_is_bit_identical(kind):
    model, X, y, classes = models()[kind]
    model = train(model, X[:80], y[:80], classes)
    loaded = pickle.loads(pickle.dumps(model))
    assert_same(train(loaded, X, y, None, start=80), train(model, X, y, None, start=80))
    assert loaded.n_iter_ == 3


@pytest.mark.parametrize("kind", ["texts", "series", "tags", "text regression"])
@pytest.mark.parametrize("first", [True, False])
def test_interrupted_partial_fit_leaves_the_estimator_unchanged(kind, first, monkeypatch):
    model, X, y, classes = models()[kind]
    if not first:
        train(model, X[:40], y[:40], classes)
    before, bits = dict(vars(model)), pickle.dumps(model)

    def interrupt(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(TrainingSession, "_check_weights", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(model, X, y, classes, start=40)
    assert vars(model) == before
    assert pickle.dumps(model) == bits


@pytest.mark.parametrize("kind", ["texts", "series", "tags", "labels"])
def test_label_features_of_a_repeated_row_do_not_depend_on_its_target(kind, tune):
    """If its target changes, the features fitted without its fold stay the same; all others change."""
    # With a choice of penalties, the target would affect the penalty.
    tune(tag_penalties=(1.0,))
    model, X, y, classes = models()[kind]
    other = list(y) if isinstance(y, list) else y.copy()
    if kind == "tags":
        other[7] = [(y[7][0] + 1) % 3, *y[7][1:]]
    elif kind == "labels":
        other[7] = 1 - y[7]
    else:
        other[7] = next(label for label in classes if label != y[7])
    fitted = []
    for targets in (y, other):
        one = train(clone(model), X[:60], targets[:60], classes, size=60)
        row_fold = int(one._folds.of(one._encode(one._validate_X(X[7:8], reset=False)).steps)[0])
        features = one._label_features
        of_ngrams = getattr(features, "of_ngrams", None)
        tables = [] if of_ngrams is None else [table[1:] for table in of_ngrams.fold_tables_]
        models_without = [coef for coef, _ in features.scores.fold_models_]
        fitted.append((row_fold, tables, models_without))
    (row_fold, tables, coefs), (same_fold, other_tables, other_coefs) = fitted
    assert row_fold == same_fold
    for one, changed in zip(tables, other_tables, strict=True):
        np.testing.assert_array_equal(one[row_fold], changed[row_fold])
        assert (one != changed).any()
    for fold, (one, changed) in enumerate(zip(coefs, other_coefs, strict=True)):
        assert np.array_equal(one, changed) is (fold == row_fold)


@pytest.mark.filterwarnings("ignore:The first chunk of partial_fit holds rows of only one class")
def test_rows_of_a_fold_missing_in_the_first_chunk_use_features_of_all_rows():
    model, X, y, classes = models()["texts"]
    model.partial_fit(X[:3], y[:3], classes=classes)
    assert -1 in model._folds.of(model._encode(model._validate_X(X, reset=False)).steps)
    train(model, X, y, classes)
    assert np.isfinite(model.predict_proba(X)).all()


def test_folds_keep_overlapping_windows_together():
    """The labels can't be learned, so out-of-fold scores of the linear model must be no better than chance."""
    rng = np.random.default_rng(0)
    X = np.lib.stride_tricks.sliding_window_view(rng.normal(size=400).cumsum(), 20)[:300]
    y = np.repeat(np.arange(15) % 2, 20)
    model = RNNClassifier(**STREAM).partial_fit(X, y, [0, 1])
    assert model.wide_.calibration_.slope < 2
    steps = model._encode(model._validate_X(X, reset=False)).steps
    np.testing.assert_array_equal(model._folds.of(steps), np.arange(300) * 5 // 300)
    assert (model._folds.of(steps.take(np.arange(3)[::-1])) == 0).all()
    other = model._encode(model._validate_X(X + rng.normal(size=X.shape), reset=False)).steps
    assert (model._folds.of(other) == -1).all()


@pytest.mark.parametrize("kind", ["texts", "series", "tags"])
def test_uninformative_first_chunk_raises_or_warns(kind):
    model, X, y, classes = models()[kind]
    with pytest.raises(ValueError, match=r"has too few different rows .*wide=False; for texts also nb_ngrams=0"):
        model.partial_fit(X[:1], y[:1], classes=classes)
    one = [["a"] * len(row) for row in X] if kind == "tags" else ["a"] * len(X)
    with pytest.warns(UserWarning, match="rows of only one class.* linear model and the n-grams learn nothing"):
        clone(model).partial_fit(X, one, classes=["a", "b"])
    if kind != "tags":
        network_only = {"wide": False} | ({"nb_ngrams": 0} if kind == "texts" else {})
        clone(model).set_params(**network_only).partial_fit(X[:1], y[:1], classes=classes)


@pytest.mark.filterwarnings("ignore:The first chunk of partial_fit holds rows of only one class")
@pytest.mark.parametrize("n", [20, 200])
def test_missing_classes_have_the_prior_of_half_a_row(n):
    X = np.random.default_rng(1).normal(size=(n, 12))
    model = RNNClassifier(**STREAM, conv_filters=0).partial_fit(X, [0] * n, classes=[0, 1, 2])
    sequences = model._label_features.transform(model._encode(model._validate_X(X[:1], reset=False)))
    probabilities = np.exp(sequences.scores) / np.exp(sequences.scores).sum()
    np.testing.assert_allclose(probabilities[0, 1:], 0.5 / (n + 1), rtol=0.1)


def test_chunk_of_one_row_with_several_labels():
    model, X, y, _ = models()["labels"]
    model.partial_fit(X[:40], y[:40]).partial_fit(X[40:41], y[40:41])
    assert model.n_iter_ == 2


@pytest.mark.filterwarnings("ignore:The first chunk of partial_fit holds rows of only one class")
@pytest.mark.parametrize("kind", ["texts", "series"])
def test_class_missing_in_the_first_chunk_is_learned_later(kind):
    model, X, y, _ = models()[kind]
    model.set_params(units=8, learning_rate=1e-2)
    labels = np.unique(y, return_inverse=True)[1].astype(str)
    present = np.flatnonzero(labels != "1") if kind == "series" else np.flatnonzero(labels == "0")
    all_classes = [*np.unique(labels), "unused"]
    rows = [X[i] for i in present]
    model.partial_fit(rows, labels[present], classes=all_classes)
    assert model.classes_.tolist() == all_classes
    absent = [all_classes.index("1"), all_classes.index("unused")]
    assert model.predict_proba(rows)[:, absent].mean(axis=0).max() < 0.2
    for _ in range(30):
        train(model, X, labels, None)
    assert (model.predict(X) == "1").sum() > 10
    assert model.predict_proba(X)[:, all_classes.index("unused")].mean() < 0.05


@pytest.mark.filterwarnings("ignore:The first chunk of partial_fit holds rows of only one class")
def test_first_chunk_with_a_single_class():
    for kind in ("texts", "series", "tags"):
        model, X, _, _ = models()[kind]
        y = [["a"] * len(row) for row in X] if kind == "tags" else ["a"] * len(X)
        model.partial_fit(X, y, classes=["a", "b"])
        predicted = model.predict(X)
        assert set(np.concatenate(predicted) if kind == "tags" else predicted) == {"a"}


def test_fitted_tokenizer_is_not_refitted():
    tokenizer = TextTokenizer().fit([*TEXTS, "a word of later chunks"])
    model = RNNTextClassifier(tokenizer, **STREAM).partial_fit(TEXTS[:40], LABELS[:40], classes=CLASSES)
    assert "later" in model.tokenizer_.vocabulary_ and model.vocab_size_ == len(tokenizer.tokens_)
    assert model.tokenizer_ is not tokenizer
    from_counts = TextTokenizer().partial_fit(TEXTS).partial_fit(["a word of later chunks"])
    same = RNNTextClassifier(from_counts, **STREAM).partial_fit(TEXTS[:40], LABELS[:40], classes=CLASSES)
    assert same.tokenizer_.tokens_ == tokenizer.tokens_
    from_counts.partial_fit(["the tokenizer itself can be updated"])
    unfitted = RNNTextClassifier(TextTokenizer(), **STREAM).partial_fit(TEXTS[:40], LABELS[:40], classes=CLASSES)
    assert "later" not in unfitted.tokenizer_.vocabulary_
    assert "later" not in RNNTextClassifier(tokenizer, **STREAM).fit(TEXTS, LABELS).tokenizer_.vocabulary_


def test_sample_weight_has_the_same_scale_in_every_chunk():
    def fitted(*scales, **settings):
        model = RNNClassifier(**STREAM, wide=False, optimizer="sgd", max_grad_norm=None, **settings)
        for n, scale in enumerate(scales):
            rows = slice(40 * n, 40 * n + 40)
            weight = np.full(40, scale)
            model.partial_fit(SERIES[rows], SERIES_LABELS[rows], np.unique(SERIES_LABELS), weight)
        return model

    assert_same(fitted(1.0, 1.0), fitted(4.0, 4.0))
    twice, plain = weights_of(fitted(1.0, 2.0)), weights_of(fitted(1.0, 1.0))
    assert any((twice[name] != plain[name]).any() for name in plain)


def test_training_parameters_can_change_but_network_parameters_cannot():
    model, X, y, classes = models()["texts"]
    train(model, X[:40], y[:40], classes)
    slower = pickle.loads(pickle.dumps(model)).set_params(learning_rate=1e-9, batch_size=4, dropout=0.0)
    before = weights_of(slower)
    train(slower, X, y, None, start=40)
    assert max(np.abs(array - before[name]).max() for name, array in weights_of(slower).items()) < 1e-5
    for change in ({"units": 4}, {"wide": False}, {"nb_ngrams": 1}, {"cell": "rnn"}, {"optimizer": "sgd"}):
        other = pickle.loads(pickle.dumps(model)).set_params(**change)
        with pytest.raises(ValueError, match=next(iter(change))):
            train(other, X, y, None, start=40)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("series", {"class_weight": {0: 5.0}}),
        ("tags", {"class_weight": {1: 5.0}}),
        ("series regression", {"loss": "huber"}),
    ],
)
def test_loss_and_class_weight_can_change_between_calls(kind, change):
    model, X, y, classes = models()[kind]
    if kind == "series":
        y = np.unique(y, return_inverse=True)[1]
        classes = np.unique(y)
    train(model, X[:40], y[:40], classes)
    before = dict(vars(model._task))
    changed, plain = (pickle.loads(pickle.dumps(model)) for _ in range(2))
    train(changed.set_params(**change), X, y, None, start=40)
    train(plain, X, y, None, start=40)
    assert any((array != weights_of(plain)[name]).any() for name, array in weights_of(changed).items())
    assert vars(model._task).keys() == before.keys()
    assert all(vars(model._task)[name] is value for name, value in before.items())


def test_class_weight_with_one_positive_weight_raises():
    with pytest.raises(ValueError, match="leaves fewer than 2 of the classes with a weight above 0"):
        RNNClassifier(**STREAM, class_weight={"a": 0.0}).partial_fit(np.eye(4), ["a", "b"] * 2, ["a", "b"])


@pytest.mark.parametrize("kind", ["texts", "series", "tags", "series regression", "labels"])
def test_partial_fit_after_fit_continues_training(kind):
    model, X, y, _ = models()[kind]
    model.set_params(max_epochs=2).fit(X[:80], y[:80])
    before = weights_of(model)
    train(model, X, y, None, start=80)
    assert model.n_iter_ == 3 and [row["epoch"] for row in model.history_] == [1, 2, 3]
    assert any((array != before[name]).any() for name, array in weights_of(model).items())


@pytest.mark.parametrize("kind", ["texts", "series", "tags"])
def test_fit_after_partial_fit_starts_again(kind):
    model, X, y, classes = models()[kind]
    train(model, X, y, classes)
    model.set_params(max_epochs=1)
    assert_same(clone(model).fit(X, y), model.fit(X, y))
    assert not {"_training_state", "_folds"} & vars(model).keys()


def test_range_of_predictions_extends_to_targets_of_later_chunks():
    X = np.linspace(0, 10, 200)[:, None] + np.zeros((1, 4))
    y = X[:, 0] * 10
    model = RNNRegressor(**STREAM | {"units": 8, "learning_rate": 3e-2})
    model.partial_fit(X[:50], y[:50])
    assert model.predict(X).max() <= y[49]
    for _ in range(40):
        model.partial_fit(X[::4], y[::4])
    assert model.predict(X).max() > 0.8 * y.max()


def test_pickle_size_does_not_grow():
    model, X, y, classes = models()["texts"]
    sizes = []
    for _ in range(3):
        train(model, X, y, classes, size=12)
        sizes.append(len(pickle.dumps(model)) - len(pickle.dumps(model.history_)))
    assert max(sizes) - min(sizes) < 500


@pytest.mark.parametrize("make", [RNNClassifier, RNNTextClassifier, RNNRegressor, RNNTextRegressor, RNNTagger])
def test_schedule_one_cycle_has_no_partial_fit(make):
    assert not hasattr(make(), "partial_fit")
    assert hasattr(make(schedule="constant"), "partial_fit")
    with pytest.raises(AttributeError) as caught:
        make().partial_fit([], [])
    assert "schedule='constant'. With schedule='one_cycle' the learning rate depends" in str(caught.value.__cause__)


@pytest.mark.parametrize(
    ("settings", "call", "message"),
    [
        ({"patience": 3}, {}, r"patience=3 compares epochs .* Set patience=None"),
        ({"class_weight": "balanced"}, {}, "class_weight='balanced' needs the classes of all rows"),
        ({}, {"classes": None}, r"first call of partial_fit needs classes.*partial_fit\(X, y, classes=\[...\]\)"),
        ({}, {"classes": ["a"]}, "classes holds only one class"),
        ({}, {"classes": ["a", "b", "a"]}, r"classes=\['a', 'b', 'a'\] holds a label twice"),
        ({}, {"classes": 3}, "classes must be"),
        ({}, {"classes": ["x", "z"]}, r"y holds \['a', 'b'\], but the classes of y are"),
        ({}, {"sample_weight": [0] * 4}, "sample_weight"),
        ({"units": 0}, {}, "'units' parameter"),
    ],
)
def test_first_call_raises(settings, call, message):
    model = RNNClassifier(**STREAM | settings)
    with pytest.raises(ValueError, match=message):
        model.partial_fit(np.eye(4), ["a", "b"] * 2, **{"classes": ["a", "b"]} | call)
    assert not hasattr(model, "network_")


@pytest.mark.parametrize(
    ("y", "call", "message"),
    [
        (["a", "c"] * 2, {}, r"y holds \['c'\], but the classes of y are \['a', 'b'\]"),
        (["a", "b"] * 2, {"classes": ["a", "b", "c"]}, "classes of a stream can't change"),
        (np.eye(4, 2, dtype=int), {}, "y"),
        (["a"] * 3, {}, "y has 3 labels, but X has 4 rows"),
    ],
)
def test_later_calls_raise(y, call, message):
    model = RNNClassifier(**STREAM).partial_fit(np.eye(4), ["a", "b"] * 2, ["a", "b"])
    before = dict(vars(model))
    with pytest.raises(ValueError, match=message):
        model.partial_fit(np.eye(4), y, **call)
    assert vars(model) == before


def test_first_chunk_with_constant_targets_raises():
    with pytest.raises(ValueError, match=r"y holds only 2\.0: partial_fit takes the scale"):
        RNNRegressor(**STREAM).partial_fit(np.eye(4), [2.0] * 4)
    with pytest.raises(ValueError, match=r"y holds only 7\.0 in column 1"):
        RNNRegressor(**STREAM).partial_fit(np.eye(4), [[n, 7.0] for n in range(4)])


def test_indicator_matrix_with_other_labels_raises():
    model, X, y, _ = models()["labels"]
    with pytest.raises(ValueError, match="an indicator matrix of 2 labels: leave classes=None"):
        clone(model).partial_fit(X, y, classes=["a", "b", "c"])
    model.partial_fit(X, y)
    with pytest.raises(ValueError, match="y has 1 column, but y of fit had 2"):
        model.partial_fit(X, y[:, :1])
