"""One door for texts: they are checked once, stay one array of ids, and a prediction leaves the estimator as it is."""

import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqclf import RNNClassifier, RNNTextClassifier, TextTokenizer, _base_text, _text_tokenizer, datasets
from seqclf._data.ragged import Ragged
from seqclf._label_features.log_count_ratios import LogCountRatios

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
    classifier = RNNTextClassifier(Shouting(), **SETTINGS).fit(TEXTS, LABELS)
    assert "louder" in classifier.tokenizer_.vocabulary_
    expected = RNNTextClassifier(**SETTINGS).fit([text + " louder" for text in TEXTS], LABELS)
    np.testing.assert_array_equal(
        classifier.decision_function(TEXTS), expected.decision_function([text + " louder" for text in TEXTS])
    )


def test_the_ids_are_those_of_the_public_methods():
    classifier = RNNTextClassifier(TextTokenizer(max_length=4, truncate="end"), **SETTINGS).fit(TEXTS, LABELS)
    rows = classifier._validate_X([*TEXTS, "", "never seen"], reset=False)
    found = classifier._encode(rows).items()
    for ids, expected in zip(found, classifier.tokenizer_.transform(rows), strict=True):
        np.testing.assert_array_equal(ids, expected)


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
            told = [f"{n_cut} of 40 texts lost tokens at the start: max_length=4"] if cut else []
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
    expected = LogCountRatios(3, classifier.vocab_size_)
    memberships = classifier._task.memberships(training.targets)
    expected.fit_transform(training.sequences.steps, memberships, np.ones(len(training)), np.arange(len(training)) % 2)
    for found, table in zip(classifier.nb_ratios_.tables_, expected.tables_, strict=True):
        np.testing.assert_array_equal(found, table)
    features = expected.transform(watched.sequences.steps).step_features
    assert features.any()
    np.testing.assert_array_equal(watched.sequences.step_features, features)
    totals = np.bincount(training.targets, training.weights)
    assert totals[0] == pytest.approx(totals[1], rel=1e-6)
