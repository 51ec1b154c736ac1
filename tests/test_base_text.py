"""Base of the estimators for texts: validation, tokenizers, ids, and predictions that do not change the estimator."""

import pickle
import unicodedata
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import BaseEstimator

from seqclf import RNNClassifier, RNNTextClassifier, TextTokenizer, _base_text, _text_tokenizer, datasets
from seqclf._data.ragged import Ragged
from seqclf._label_features.log_count_ratios import LogCountRatios
from seqclf._label_features.ngrams import NGrams
from seqclf._label_features.supervision import Supervision

TEXTS, LABELS = datasets.make_order_reviews(40, random_state=0)
SETTINGS = {"units": 2, "max_epochs": 1, "random_state": 0}


@pytest.fixture
def n_validations(monkeypatch):
    """One entry for each validation of texts or ids."""
    calls = []
    for module in (_base_text, _text_tokenizer):
        check = module.validate_text_input
        monkeypatch.setattr(
            module,
            "validate_text_input",
            lambda *args, check=check, **kwargs: (calls.append(1), check(*args, **kwargs))[1],
        )
    return calls


@pytest.fixture
def no_rows(monkeypatch):
    """Make it an error to create one array per row."""

    def fail(self):
        raise AssertionError("one array per row was created")

    monkeypatch.setattr(Ragged, "items", fail)


@pytest.mark.parametrize("level", ["word", "char", "subword"])
@pytest.mark.usefixtures("no_rows")
def test_texts_are_validated_once(n_validations, level):
    tokenizer = TextTokenizer(level=level, vocab_size=300, max_length=5)
    classifier = RNNTextClassifier(tokenizer, **SETTINGS).fit(TEXTS, LABELS)
    assert len(n_validations) == 1
    classifier.predict(TEXTS)
    assert len(n_validations) == 2
    classifier.set_params(warm_start=True).fit(TEXTS, LABELS, X_val=TEXTS, y_val=LABELS)
    assert len(n_validations) == 4


class LouderTokenizer(TextTokenizer):
    """Adds a word to every text in its public methods."""

    def fit_transform(self, X, y=None):
        return super().fit_transform([text + " louder" for text in X])

    def transform(self, X):
        return super().transform([text + " louder" for text in X])


def test_subclass_of_text_tokenizer_is_used_through_public_methods():
    settings = SETTINGS | {"wide": False}  # The linear model uses the spelling only of TextTokenizer itself.
    classifier = RNNTextClassifier(LouderTokenizer(), **settings).fit(TEXTS, LABELS)
    assert "louder" in classifier.tokenizer_.vocabulary_
    expected = RNNTextClassifier(**settings).fit([text + " louder" for text in TEXTS], LABELS)
    np.testing.assert_array_equal(
        classifier.decision_function(TEXTS), expected.decision_function([text + " louder" for text in TEXTS])
    )


def test_encode_returns_the_ids_of_the_tokenizer():
    classifier = RNNTextClassifier(TextTokenizer(max_length=4, truncate="end"), **SETTINGS).fit(TEXTS, LABELS)
    rows = classifier._validate_X([*TEXTS, "", "never seen"], reset=False)
    encoded = classifier._encode(rows)
    found = encoded.steps.items()
    for ids, expected in zip(found, classifier.tokenizer_.transform(rows), strict=True):
        np.testing.assert_array_equal(ids, expected)


def test_unknown_tokens_keep_their_spelling():
    """Each unknown token has its own id for the linear model; the network gets one id for all of them."""
    classifier = RNNTextClassifier(TextTokenizer(vocab_size=5, max_length=4), **SETTINGS).fit(TEXTS, LABELS)
    encoded = classifier._encode(classifier._validate_X([*TEXTS, "", "never seen never"], reset=False))
    assert classifier.vocab_size_ == 5
    assert encoded.steps.items()[-1].tolist() == [1, 1, 1] and not len(encoded.steps.items()[-2])
    tokens, new_tokens = classifier.tokenizer_.tokens_, encoded.spelling.new_tokens
    assert {"never", "seen"} < set(new_tokens) and not set(tokens) & set(new_tokens)
    spelled = [[*tokens, *new_tokens][token_id] for token_id in encoded.spelling.ids]
    words = [text.lower().split()[-4:] for text in [*TEXTS, "", "never seen never"]]
    assert spelled == [word for row in words for word in row]
    np.testing.assert_array_equal(encoded.steps.values, np.where(encoded.spelling.ids < 5, encoded.spelling.ids, 1))


@pytest.mark.parametrize("level", ["char", "subword"])
def test_only_words_have_a_spelling(level):
    tokenizer = TextTokenizer(level=level, vocab_size=300)
    classifier = RNNTextClassifier(tokenizer, **SETTINGS).fit(TEXTS, LABELS)
    assert classifier._encode(classifier._validate_X(TEXTS, reset=False)).spelling is None
    assert classifier.wide_.features.characters_ is None


def test_verbose_prints_how_many_texts_were_truncated(capsys):
    texts = ["a b c d e", *TEXTS[1:]]
    max_tokens = max(len(ids) for ids in TextTokenizer().fit_transform(texts))
    for max_length, is_cut in ((4, True), (max_tokens, False)):
        for verbose in (0, 1):
            classifier = RNNTextClassifier(TextTokenizer(max_length=max_length), **SETTINGS, verbose=verbose)
            classifier.fit(texts, LABELS)
            lines = capsys.readouterr().out.splitlines()
            n_cut = classifier.tokenizer_.n_truncated_
            assert bool(n_cut) == is_cut
            expected = ["words as tokens (level='auto')"]
            expected += [f"{n_cut} of 40 texts lost tokens at the start: max_length=4"] if is_cut else []
            assert lines[:-1] == (expected if verbose else [])


@pytest.fixture(scope="module")
def fitted_to_accents():
    texts = [unicodedata.normalize(("NFC", "NFD")[i % 2], f"Ǹǰ한각 {text} é") for i, text in enumerate(TEXTS)]
    return RNNTextClassifier(**SETTINGS).fit(texts, LABELS)


@given(
    st.lists(st.sampled_from("éǰJ한각가ñ áक़👩🏽\u00ad\u030c\u0323\u200d") | st.characters(), max_size=30).map("".join)
)
def test_canonically_equal_texts_get_equal_predictions(fitted_to_accents, text):
    spellings = [text, *(unicodedata.normalize(form, text) for form in ("NFC", "NFD"))]
    found = fitted_to_accents.decision_function(spellings)
    np.testing.assert_array_equal(found, found[0])


@pytest.mark.parametrize("kind", ["texts", "tokens", "ids", "table", "series"])
def test_predictions_set_no_attribute(kind):
    if kind in ("table", "series"):
        X = np.random.default_rng(0).normal(size=(40, 6))
        model = RNNClassifier(**SETTINGS)
        X = X if kind == "table" else [row[: 3 + i % 3] for i, row in enumerate(X)]
    else:
        X = {"texts": TEXTS, "tokens": [text.split() for text in TEXTS]}.get(kind, [[2, 3, 4]] * 40)
        model = RNNTextClassifier(**SETTINGS)
    model.fit(X, LABELS)
    before = dict(vars(model))
    for method in (model.predict, model.predict_proba, model.decision_function, model.predict_log_proba):
        method(X)
        method(X[:1])
    assert vars(model) == before


def test_validation_rows_do_not_affect_ratios_and_class_weights(training_data):
    """Only the training rows determine the ratios and the balance of the classes."""
    rng = np.random.default_rng(0)
    texts = [" ".join(f"w{k}" for k in rng.integers(0, 12, 8)) for _ in range(61)]
    labels = (np.arange(61) % 3 == 0).astype(int)
    settings = SETTINGS | {"patience": 1, "validation_fraction": 0.3, "class_weight": "balanced"}
    classifier = RNNTextClassifier(**settings).fit(texts, labels)
    training, validation = training_data
    assert len(training) + len(validation) == 61 and len(validation) == 18
    n, steps = len(training), training.sequences.steps
    ngrams = NGrams(3, classifier.vocab_size_)
    expected = LogCountRatios(ngrams, 3)
    memberships = classifier._task.supervision_targets(training.targets)
    supervision = Supervision(memberships, np.ones(n), np.ones(n), np.arange(n) % 2, calibrate=None)
    expected.fit_transform(list(ngrams.fit_transform(steps, limit=2**22)), supervision)
    for found, table in zip(classifier.nb_ratios_.tables_, expected.tables_, strict=True):
        np.testing.assert_array_equal(found, table)
    steps = validation.sequences.steps
    features = replace(
        validation.sequences, features=expected.transform(ngrams.transform(steps), len(steps))
    ).step_features
    assert features.any()
    np.testing.assert_array_equal(validation.sequences.step_features, features)
    totals = np.bincount(training.targets, training.weights)
    assert totals[0] == pytest.approx(totals[1], rel=1e-6)


# --- other tokenizers


class PlainTokenizer:
    """Not a scikit-learn transformer: it has fit and transform, but no fit_transform."""

    def get_params(self, deep=True):
        return {}

    def fit(self, texts, y=None):
        self.ids = {text: i + 2 for i, text in enumerate(sorted(set(" ".join(texts).split())))}
        return self

    def transform(self, texts):
        return [[self.ids.get(word, 1) for word in text.split()] for text in texts]


class LossyTokenizer(PlainTokenizer):
    def transform(self, texts):
        return super().transform(texts)[:-1]


def test_tokenizer_needs_only_fit_and_transform():
    classifier = RNNTextClassifier(**SETTINGS, tokenizer=PlainTokenizer()).fit(TEXTS, LABELS)
    ids = classifier.tokenizer_.transform(TEXTS)
    assert classifier.vocab_size_ == max(map(max, ids)) + 1
    np.testing.assert_array_equal(
        classifier.decision_function(TEXTS), RNNTextClassifier(**SETTINGS).fit(ids, LABELS).decision_function(ids)
    )


def test_tokenizer_that_loses_rows_is_an_error():
    with pytest.raises(ValueError, match="LossyTokenizer, returned 39 rows for 40 texts"):
        RNNTextClassifier(**SETTINGS, tokenizer=LossyTokenizer()).fit(TEXTS, LABELS)


# --- ids


def ids_from(first):
    tokenizer = TextTokenizer().fit(TEXTS)
    return [(ids.astype(int) - 2 + first).tolist() for ids in tokenizer.transform(TEXTS)]


def test_ids_counted_from_0_are_an_error():
    with pytest.raises(ValueError, match=r"Row \d+ of X holds 0 at position \d+, but 0 is the padding, and .*: add 1"):
        RNNTextClassifier(**SETTINGS).fit(ids_from(0), LABELS)
    classifier = RNNTextClassifier(**SETTINGS).fit(ids_from(2), LABELS)
    with pytest.raises(ValueError, match="Row 1 of X holds 0 at position 1, but 0 is the padding"):
        classifier.predict([[2, 3, 4], [2, 0]])
    X = np.array([[2, 0, 3, 0], [2, 1, 3, 0]])
    np.testing.assert_array_equal(*classifier.decision_function(X))
    with pytest.raises(ValueError, match="Row 0 of X_val holds 0 at position 1"):
        RNNTextClassifier(**SETTINGS).fit(ids_from(2), LABELS, X_val=[[2, 0], [2]], y_val=LABELS[:2])


def scattered(rows, step=10**15):
    """The same ids with large gaps; 1 is still the unknown token."""
    return [[token_id if token_id == 1 else token_id * step for token_id in row] for row in rows]


@pytest.mark.parametrize("step", [5_000, 10**8, 10**15])
def test_network_for_scattered_ids_equals_that_for_consecutive_ids(step):
    rows = ids_from(2)
    rows[0] = [1, *rows[0]]
    new = [*rows, [1, 2], [2, 10**6, 3]]
    plain = RNNTextClassifier(**SETTINGS).fit(rows, LABELS)
    far = RNNTextClassifier(**SETTINGS).fit(scattered(rows, step), LABELS)
    assert far.vocab_size_ == plain.vocab_size_ and far.n_parameters_ == plain.n_parameters_
    assert not hasattr(plain, "renumbered_ids_")
    assert far.renumbered_ids_.tolist() == [token_id * step for token_id in range(2, plain.vocab_size_)]
    expected = plain.decision_function(new)
    new_scattered = [*scattered(rows, step), [1, 2 * step], [2 * step, 2 * step + 1, 3 * step]]
    for copied in (far, pickle.loads(pickle.dumps(far))):
        np.testing.assert_array_equal(copied.decision_function(new_scattered), expected)
    for model, X in ((plain, rows), (far, scattered(rows, step))):
        model.set_params(warm_start=True).fit(X, LABELS, X_val=X[:10], y_val=LABELS[:10])
    np.testing.assert_array_equal(far.decision_function(new_scattered), plain.decision_function(new))
    far.set_params(warm_start=False).fit(rows, LABELS)
    assert not hasattr(far, "renumbered_ids_")
    np.testing.assert_array_equal(
        far.decision_function(new), RNNTextClassifier(**SETTINGS).fit(rows, LABELS).decision_function(new)
    )


def test_renumbered_ids_are_those_of_rows_with_weight():
    X = np.array([[2, 3, 0], [3, 4, 5], [2, 4, 0], [3, 0, 0]])
    classifier = RNNTextClassifier(**SETTINGS, warm_start=True).fit(X * 10**9, [0, 1, 0, 1], sample_weight=[1, 0, 1, 1])
    assert classifier.renumbered_ids_.tolist() == [2 * 10**9, 3 * 10**9, 4 * 10**9]
    assert classifier.vocab_size_ == 5
    np.testing.assert_array_equal(*classifier.decision_function([[5 * 10**9], [1]]))


@pytest.mark.parametrize(("largest", "renumbered"), [(10_011, False), (10_012, True)])
def test_ids_are_renumbered_from_a_threshold_on(largest, renumbered):
    """With three distinct ids the threshold is 4 x 3 + 10,000."""
    classifier = RNNTextClassifier(**SETTINGS).fit([[2], [3], [2, largest]], [0, 1, 0])
    assert hasattr(classifier, "renumbered_ids_") == renumbered
    assert classifier.vocab_size_ == (5 if renumbered else largest + 1)


class Hashing(BaseEstimator):
    """Returns ids without a vocabulary, like hashing."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return [[int.from_bytes(word.encode()[:7].ljust(7, b" "), "big") for word in text.split()] for text in X]


def test_ids_of_another_tokenizer_are_renumbered():
    classifier = RNNTextClassifier(Hashing(), **SETTINGS).fit(TEXTS, LABELS)
    words = {word.encode()[:7] for text in TEXTS for word in text.split()}
    assert classifier.vocab_size_ == 2 + len(words) == 2 + len(classifier.renumbered_ids_)
    np.testing.assert_array_equal(*classifier.decision_function(["unseen", "other"]))
    classifier.set_params(tokenizer=None).fit(TEXTS, LABELS)
    assert not hasattr(classifier, "renumbered_ids_")


def test_columns_of_ids_are_checked_by_name():
    """Columns in another order would be other texts if they were used by position."""
    frame = pd.DataFrame([[2, 3, 4], [4, 3, 2]] * 20, columns=list("abc"))
    classifier = RNNTextClassifier(**SETTINGS).fit(frame, LABELS)
    expected = classifier.predict_proba(frame)
    with pytest.raises(ValueError, match="feature names"):
        classifier.predict(frame[["c", "b", "a"]])
    with pytest.warns(UserWarning, match="feature names"):
        np.testing.assert_array_equal(classifier.predict_proba(frame.to_numpy()), expected)
    classifier.fit(TEXTS, LABELS)
    assert not hasattr(classifier, "feature_names_in_")
