"""One door for texts: they are checked once, stay one array of ids, and a prediction leaves the estimator as it is."""

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
def n_checks(monkeypatch):
    """How often texts or ids were checked."""
    calls = []
    for module in (_base_text, _text_tokenizer):
        check = module.read_text_input
        monkeypatch.setattr(
            module, "read_text_input", lambda *args, check=check, **kwargs: (calls.append(1), check(*args, **kwargs))[1]
        )
    return calls


@pytest.fixture
def no_rows(monkeypatch):
    """An array for each row is an error."""

    def fail(self):
        raise AssertionError("an object was made of each row")

    monkeypatch.setattr(Ragged, "items", fail)


@pytest.mark.parametrize("level", ["word", "char", "subword"])
@pytest.mark.usefixtures("no_rows")
def test_texts_are_checked_once(n_checks, level):
    tokenizer = TextTokenizer(level=level, vocab_size=300, max_length=5)
    classifier = RNNTextClassifier(tokenizer, **SETTINGS).fit(TEXTS, LABELS)
    assert len(n_checks) == 1
    classifier.predict(TEXTS)
    assert len(n_checks) == 2
    classifier.set_params(warm_start=True).fit(TEXTS, LABELS, X_val=TEXTS, y_val=LABELS)
    assert len(n_checks) == 4


class Shouting(TextTokenizer):
    """Changes what its public methods do."""

    def fit_transform(self, X, y=None):
        return super().fit_transform([text + " louder" for text in X])

    def transform(self, X):
        return super().transform([text + " louder" for text in X])


def test_a_subclass_of_our_tokenizer_goes_through_its_public_methods():
    settings = SETTINGS | {"wide": False}  # Of other tokenizers only the ids are read.
    classifier = RNNTextClassifier(Shouting(), **settings).fit(TEXTS, LABELS)
    assert "louder" in classifier.tokenizer_.vocabulary_
    expected = RNNTextClassifier(**settings).fit([text + " louder" for text in TEXTS], LABELS)
    np.testing.assert_array_equal(
        classifier.decision_function(TEXTS), expected.decision_function([text + " louder" for text in TEXTS])
    )


def test_the_ids_are_those_of_the_public_methods():
    classifier = RNNTextClassifier(TextTokenizer(max_length=4, truncate="end"), **SETTINGS).fit(TEXTS, LABELS)
    rows = classifier._validate_X([*TEXTS, "", "never seen"], reset=False)
    encoded = classifier._encode(rows)
    found = encoded.steps.items()
    for ids, expected in zip(found, classifier.tokenizer_.transform(rows), strict=True):
        np.testing.assert_array_equal(ids, expected)


def test_tokens_that_the_network_does_not_know_keep_their_spelling():
    """Each by an id of its own; the network is given one for all."""
    classifier = RNNTextClassifier(TextTokenizer(vocab_size=5, max_length=4), **SETTINGS).fit(TEXTS, LABELS)
    encoded = classifier._encode(classifier._validate_X([*TEXTS, "", "never seen never"], reset=False))
    assert classifier.vocab_size_ == 5
    assert encoded.steps.items()[-1].tolist() == [1, 1, 1] and not len(encoded.steps.items()[-2])
    known, new_tokens = classifier.tokenizer_.tokens_, encoded.spelling.new_tokens
    assert {"never", "seen"} < set(new_tokens) and not set(known) & set(new_tokens)
    spelled = [[*known, *new_tokens][number] for number in encoded.spelling.ids]
    words = [text.lower().split()[-4:] for text in [*TEXTS, "", "never seen never"]]
    assert spelled == [word for row in words for word in row]
    np.testing.assert_array_equal(encoded.steps.values, np.where(encoded.spelling.ids < 5, encoded.spelling.ids, 1))


@pytest.mark.parametrize("level", ["char", "subword"])
def test_only_words_are_spelled(level):
    tokenizer = TextTokenizer(level=level, vocab_size=300)
    classifier = RNNTextClassifier(tokenizer, **SETTINGS).fit(TEXTS, LABELS)
    assert classifier._encode(classifier._validate_X(TEXTS, reset=False)).spelling is None
    assert classifier.wide_.features.characters_ is None


def test_a_fit_tells_how_many_texts_were_cut(capsys):
    texts = ["a b c d e", *TEXTS[1:]]
    longest = max(len(ids) for ids in TextTokenizer().fit_transform(texts))
    for max_length, cut in ((4, True), (longest, False)):
        for verbose in (0, 1):
            classifier = RNNTextClassifier(TextTokenizer(max_length=max_length), **SETTINGS, verbose=verbose)
            classifier.fit(texts, LABELS)
            lines = capsys.readouterr().out.splitlines()
            n_cut = classifier.tokenizer_.n_truncated_
            assert bool(n_cut) == cut
            told = ["words as tokens (level='auto')"]
            told += [f"{n_cut} of 40 texts lost tokens at the start: max_length=4"] if cut else []
            assert lines[:-1] == (told if verbose else [])


@pytest.fixture(scope="module")
def fitted_to_accents():
    texts = [unicodedata.normalize(("NFC", "NFD")[i % 2], f"Ǹǰ한각 {text} é") for i, text in enumerate(TEXTS)]
    return RNNTextClassifier(**SETTINGS).fit(texts, LABELS)


@given(
    st.lists(st.sampled_from("éǰJ한각가ñ áक़👩🏽\u00ad\u030c\u0323\u200d") | st.characters(), max_size=30).map("".join)
)
def test_canonically_equal_texts_get_equal_predictions_to_the_bit(fitted_to_accents, text):
    spellings = [text, *(unicodedata.normalize(form, text) for form in ("NFC", "NFD"))]
    found = fitted_to_accents.decision_function(spellings)
    np.testing.assert_array_equal(found, found[0])


@pytest.mark.parametrize("kind", ["texts", "tokens", "ids", "table", "series"])
def test_a_prediction_assigns_nothing(kind):
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


def test_rows_held_out_tell_nothing_that_is_learned_from_labels(parts):
    """Ratios and the balance of the classes are those of the training rows alone."""
    rng = np.random.default_rng(0)
    texts = [" ".join(f"w{k}" for k in rng.integers(0, 12, 8)) for _ in range(61)]
    labels = (np.arange(61) % 3 == 0).astype(int)
    settings = SETTINGS | {"patience": 1, "validation_fraction": 0.3, "class_weight": "balanced"}
    classifier = RNNTextClassifier(**settings).fit(texts, labels)
    training, watched = parts
    assert len(training) + len(watched) == 61 and len(watched) == 18
    n, steps = len(training), training.sequences.steps
    ngrams = NGrams(3, classifier.vocab_size_)
    expected = LogCountRatios(ngrams, 3)
    memberships = classifier._task.supervision_targets(training.targets)
    supervision = Supervision(memberships, np.ones(n), np.ones(n), np.arange(n) % 2, calibrate=None)
    expected.fit_transform(list(ngrams.learn(steps, limit=2**22)), supervision)
    for found, table in zip(classifier.nb_ratios_.tables_, expected.tables_, strict=True):
        np.testing.assert_array_equal(found, table)
    steps = watched.sequences.steps
    features = replace(watched.sequences, features=expected.transform(ngrams.numbers(steps), len(steps))).step_features
    assert features.any()
    np.testing.assert_array_equal(watched.sequences.step_features, features)
    totals = np.bincount(training.targets, training.weights)
    assert totals[0] == pytest.approx(totals[1], rel=1e-6)


# --- ids


def numbered_from(first):
    tokenizer = TextTokenizer().fit(TEXTS)
    return [(ids.astype(int) - 2 + first).tolist() for ids in tokenizer.transform(TEXTS)]


def test_ids_counted_from_0_are_refused():
    with pytest.raises(ValueError, match=r"Row \d+ of X holds 0 at position \d+: ids begin at 1, 0 is padding: add 1"):
        RNNTextClassifier(**SETTINGS).fit(numbered_from(0), LABELS)
    classifier = RNNTextClassifier(**SETTINGS).fit(numbered_from(2), LABELS)
    with pytest.raises(ValueError, match="Row 1 of X holds 0 at position 1: ids begin at 1"):
        classifier.predict([[2, 3, 4], [2, 0]])
    X = np.array([[2, 0, 3, 0], [2, 1, 3, 0]])
    np.testing.assert_array_equal(*classifier.decision_function(X))
    with pytest.raises(ValueError, match="Row 0 of X_val holds 0 at position 1"):
        RNNTextClassifier(**SETTINGS).fit(numbered_from(2), LABELS, X_val=[[2, 0], [2]], y_val=LABELS[:2])


def scattered(rows, step=10**15):
    """The same ids far apart; 1 stays the unknown token."""
    return [[number if number == 1 else number * step for number in row] for row in rows]


@pytest.mark.parametrize("step", [5_000, 10**8, 10**15])
def test_ids_far_apart_give_the_network_of_ids_close_together(step):
    rows = numbered_from(2)
    rows[0] = [1, *rows[0]]
    new = [*rows, [1, 2], [2, 10**6, 3]]
    plain = RNNTextClassifier(**SETTINGS).fit(rows, LABELS)
    far = RNNTextClassifier(**SETTINGS).fit(scattered(rows, step), LABELS)
    assert far.vocab_size_ == plain.vocab_size_ and far.n_parameters_ == plain.n_parameters_
    assert not hasattr(plain, "renumbered_ids_")
    assert far.renumbered_ids_.tolist() == [number * step for number in range(2, plain.vocab_size_)]
    expected = plain.decision_function(new)
    unmet = [*scattered(rows, step), [1, 2 * step], [2 * step, 2 * step + 1, 3 * step]]
    for copied in (far, pickle.loads(pickle.dumps(far))):
        np.testing.assert_array_equal(copied.decision_function(unmet), expected)
    for model, X in ((plain, rows), (far, scattered(rows, step))):
        model.set_params(warm_start=True).fit(X, LABELS, X_val=X[:10], y_val=LABELS[:10])
    np.testing.assert_array_equal(far.decision_function(unmet), plain.decision_function(new))
    far.set_params(warm_start=False).fit(rows, LABELS)
    assert not hasattr(far, "renumbered_ids_")
    np.testing.assert_array_equal(
        far.decision_function(new), RNNTextClassifier(**SETTINGS).fit(rows, LABELS).decision_function(new)
    )


def test_ids_far_apart_are_known_by_the_rows_that_train():
    X = np.array([[2, 3, 0], [3, 4, 5], [2, 4, 0], [3, 0, 0]])
    classifier = RNNTextClassifier(**SETTINGS, warm_start=True).fit(X * 10**9, [0, 1, 0, 1], sample_weight=[1, 0, 1, 1])
    assert classifier.renumbered_ids_.tolist() == [2 * 10**9, 3 * 10**9, 4 * 10**9]
    assert classifier.vocab_size_ == 5
    np.testing.assert_array_equal(*classifier.decision_function([[5 * 10**9], [1]]))


@pytest.mark.parametrize(("largest", "renumbered"), [(10_011, False), (10_012, True)])
def test_where_numbering_anew_begins(largest, renumbered):
    """Three different ids leave room up to 4 x 3 + 10,000."""
    classifier = RNNTextClassifier(**SETTINGS).fit([[2], [3], [2, largest]], [0, 1, 0])
    assert hasattr(classifier, "renumbered_ids_") == renumbered
    assert classifier.vocab_size_ == (5 if renumbered else largest + 1)


class Hashing(BaseEstimator):
    """Gives numbers without a vocabulary, as hashing does."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return [[int.from_bytes(word.encode()[:7].ljust(7, b" "), "big") for word in text.split()] for text in X]


def test_the_ids_of_another_tokenizer_are_numbered_anew_too():
    classifier = RNNTextClassifier(Hashing(), **SETTINGS).fit(TEXTS, LABELS)
    words = {word.encode()[:7] for text in TEXTS for word in text.split()}
    assert classifier.vocab_size_ == 2 + len(words) == 2 + len(classifier.renumbered_ids_)
    np.testing.assert_array_equal(*classifier.decision_function(["neverseen", "othernew"]))
    classifier.set_params(tokenizer=None).fit(TEXTS, LABELS)
    assert not hasattr(classifier, "renumbered_ids_")


def test_columns_of_ids_are_held_to_their_names():
    """Read by position, columns in another order would be other texts."""
    frame = pd.DataFrame([[2, 3, 4], [4, 3, 2]] * 20, columns=list("abc"))
    classifier = RNNTextClassifier(**SETTINGS).fit(frame, LABELS)
    expected = classifier.predict_proba(frame)
    with pytest.raises(ValueError, match="feature names"):
        classifier.predict(frame[["c", "b", "a"]])
    with pytest.warns(UserWarning, match="feature names"):
        np.testing.assert_array_equal(classifier.predict_proba(frame.to_numpy()), expected)
    classifier.fit(TEXTS, LABELS)
    assert not hasattr(classifier, "feature_names_in_")
