"""RNNTextClassifier with many classes: it stays narrow, and what it is told about labels stays honest."""

import pickle
import tracemalloc

import joblib
import numpy as np
import pytest
from sklearn.base import clone

from seqclf import RNNTextClassifier, _base_text
from seqclf._data.encoded import EncodedSequences
from seqclf._label_features.log_count_ratios import FEW_OUTPUTS
from seqclf._label_features.many_classes import N_SPLITS

QUICK = {"units": 4, "embedding_dim": 5, "batch_size": 16, "max_epochs": 2, "random_state": 0, "n_threads": 1}
N_CLASSES = 20


def text_classifier(**changes):
    return RNNTextClassifier(**(QUICK | changes))


def make_texts(n=200, n_classes=N_CLASSES, seed=0, length=8):
    """Of each class a few texts, in which some of its own words stand; row 0 has none."""
    rng = np.random.default_rng(seed)
    codes = np.arange(n) % n_classes
    texts = [""]
    for code in codes[1:]:
        own, others = rng.integers(3, size=length), rng.integers(60, size=length)
        is_own = rng.random(length) < 0.3
        texts.append(
            " ".join(f"c{code}w{a}" if ours else f"w{b}" for ours, a, b in zip(is_own, own, others, strict=True))
        )
    return texts, codes


TEXTS, CODES = make_texts()


def encode(fitted, X):
    """Rows as they are read for prediction."""
    rows = fitted._validate_X(X, reset=False)
    return fitted._add_label_features(EncodedSequences(fitted._encode(rows)))


def by_row(encoded):
    """Of each row all that it reads of labels."""
    features = np.split(encoded.step_features, np.cumsum(encoded.lengths)[:-1])
    return [np.append(steps, votes) for steps, votes in zip(features, encoded.votes, strict=True)]


def same_rows(one, other):
    return np.array([np.array_equal(*pair) for pair in zip(by_row(one), by_row(other), strict=True)])


# What it reads


@pytest.mark.parametrize("nb_ngrams", [1, 3])
@pytest.mark.parametrize("n_classes", [FEW_OUTPUTS, FEW_OUTPUTS + 1, 150])
def test_the_network_is_no_wider_for_more_classes(n_classes, nb_ngrams):
    texts, codes = make_texts(300, n_classes)
    network = text_classifier(nb_ngrams=nb_ngrams, max_epochs=1).fit(texts, codes).network_
    few = n_classes == FEW_OUTPUTS
    n_step_features = nb_ngrams * (FEW_OUTPUTS if few else N_SPLITS)
    assert network.config.n_step_features == n_step_features
    assert network.recurrent.layers[0].directions[0].weight_input.shape[1] == 5 + n_step_features
    # Two directions of 4 units; the means of what stands beside the tokens, or no such means.
    assert network.head.weight.shape == (n_classes, 8 + (n_step_features if few else 0))
    assert (network.head.vote_weights is None) == few


@pytest.mark.parametrize("changes", [{}, {"embedding_dim": None}, {"cell": "gru", "pooling": "attention"}])
def test_a_row_has_the_same_bits_in_any_company(changes):
    fitted = text_classifier(**changes).fit(TEXTS, CODES)
    new = [*make_texts(40, seed=1)[0], "", "unseen words c3w1 w5"]
    together = fitted.decision_function(new)
    assert len(np.unique(together.round(6), axis=0)) > 30
    for text, logits in zip(new, together, strict=True):
        np.testing.assert_array_equal(fitted.decision_function([text])[0], logits)
    np.testing.assert_array_equal(fitted.decision_function(new[::-1]), together[::-1])
    np.testing.assert_allclose(together[-2], fitted.network_.head.bias.detach(), rtol=1e-6)  # no word


def test_words_of_rare_classes_are_known_from_a_few_rows():
    """Sixty classes, ten rows of each: too little for a network that can't count."""
    texts, y = make_texts(900, 60, length=12)
    train, test = slice(600), slice(600, None)
    settings = {"units": 8, "max_epochs": 3, "learning_rate": 5e-3}
    scores = [
        text_classifier(nb_ngrams=n, **settings).fit(texts[train], y[train]).score(texts[test], y[test]) for n in (1, 0)
    ]
    assert scores[0] > 0.8 and scores[1] < 0.2


def test_the_order_of_words_is_known_from_the_numbers_beside_them():
    """Which of five topics comes first and which after it: a bag of words knows half of that."""
    rng = np.random.default_rng(0)
    pairs = [(first, second) for first in range(5) for second in range(5) if first != second]
    y = np.arange(4_000) % len(pairs)
    texts = []
    for code in y:
        words = [f"f{word}" for word in rng.integers(100, size=12)]
        for place, topic in zip(np.sort(rng.choice(12, size=2, replace=False)), pairs[code], strict=True):
            words[place] = f"t{topic}w{rng.integers(10)}"
        texts.append(" ".join(words))
    fitted = text_classifier(units=16, embedding_dim=16, max_epochs=4, nb_ngrams=1).fit(texts[:3_000], y[:3_000])
    assert fitted.score(texts[3_000:], y[3_000:]) > 0.7


def test_memory_of_prediction_does_not_grow_with_tokens_times_classes():
    n_classes, length = 400, 50
    texts, codes = make_texts(800, n_classes, length=length)
    fitted = text_classifier(nb_ngrams=2, max_epochs=1).fit(texts, codes)
    tracemalloc.start()
    logits = fitted.decision_function(texts)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert logits.shape == (800, n_classes)
    assert peak < 4 * 800 * length * n_classes / 2


# Rows that count


def test_rows_of_weight_zero_count_nothing(parts):
    weights = (np.arange(200) % 4 > 0).astype(float)
    kept = np.flatnonzero(weights)
    zeroed = text_classifier().fit(TEXTS, CODES, sample_weight=weights)
    of_zeroed = parts[0].sequences
    removed = text_classifier().fit([TEXTS[row] for row in kept], CODES[kept])
    assert same_rows(of_zeroed, parts[0].sequences).all()
    np.testing.assert_array_equal(zeroed.decision_function(TEXTS), removed.decision_function(TEXTS))


def test_weights_of_rows_count_in_the_votes_and_those_of_classes_do_not(parts):
    text_classifier().fit(TEXTS, CODES)
    plain = parts[0].sequences
    text_classifier(class_weight="balanced").fit(TEXTS, CODES)
    assert same_rows(parts[0].sequences, plain).all()
    text_classifier().fit(TEXTS, CODES, sample_weight=np.linspace(0.1, 3, 200))
    assert not same_rows(parts[0].sequences, plain)[1:].any()


def test_x_val_gets_what_is_counted_on_all_rows(parts):
    X_val, y_val = make_texts(40, seed=1)
    fitted = text_classifier(patience=1).fit(TEXTS, CODES, X_val=X_val, y_val=y_val)
    training, watched = parts
    assert (training.sequences.features.version > 0).all()
    expected = encode(fitted, X_val)
    assert same_rows(watched.sequences, expected).all()


# Cross-fitting


def test_no_training_row_sees_its_own_label(parts, monkeypatch):
    """Of the same folds, a row with another label reads the same numbers, and has the same votes."""
    fold = np.random.default_rng(0).integers(0, 5, size=200)
    monkeypatch.setattr(_base_text, "cross_fitting_folds", lambda *_: fold)
    text_classifier(max_epochs=1).fit(TEXTS, CODES)
    before = parts[0].sequences
    for flipped in (3, 20):
        y = CODES.copy()
        y[flipped] = (y[flipped] + 7) % N_CLASSES
        text_classifier(max_epochs=1).fit(TEXTS, y)
        same = same_rows(before, parts[0].sequences)
        assert same[fold == fold[flipped]].all()
        assert same[fold != fold[flipped]].mean() < 0.1


@pytest.mark.parametrize("patience", [None, 1])
def test_a_network_does_not_trust_what_noise_says_of_itself(patience):
    """Labels have nothing to do with the texts: votes that saw their own label would tell it at once."""
    rng = np.random.default_rng(0)
    X, y = 2 + rng.integers(600, size=(400, 6)), rng.permutation(np.arange(400) % N_CLASSES)
    fitted = text_classifier(max_epochs=4, dropout=0.5, patience=patience, validation_fraction=0.3).fit(X, y)
    assert fitted.history_[0]["train_score"] < 0.15 and fitted.history_[0].get("valid_score", 0) < 0.15
    assert fitted.network_.head.vote_weights.mean() < 1


def test_a_class_within_one_group_is_not_told_by_its_gap():
    rng = np.random.default_rng(0)
    X = [" ".join(rng.choice(list("abcdefghijklmnop"), size=10)) for _ in range(240)]
    y = np.arange(240) % 12
    fitted = text_classifier(nb_ngrams=1, max_epochs=8).fit(X, y, groups=y)
    assert fitted.history_[-1]["train_score"] < 0.25
    encoded = encode(fitted, X)
    assert not encoded.votes.any() and not encoded.step_features.any()


# Further fits, and copies


def test_warm_start_keeps_what_is_learned_and_cross_fits_again(parts):
    X_more, y_more = make_texts(100, seed=1)
    classifier = text_classifier(warm_start=True).fit(TEXTS, CODES)
    ratios, before = classifier.nb_ratios_, pickle.dumps(classifier.nb_ratios_)
    classifier.fit(X_more, y_more)
    assert classifier.nb_ratios_ is ratios and pickle.dumps(ratios) == before
    assert (parts[0].sequences.features.version > 0).all()
    assert not same_rows(parts[0].sequences, encode(classifier, X_more))[1:].any()


def test_refitting_to_few_classes_and_back():
    classifier = text_classifier().fit(TEXTS, CODES)
    expected = classifier.decision_function(TEXTS)
    assert classifier.fit(TEXTS, CODES % 3).decision_function(TEXTS).shape == (200, 3)
    np.testing.assert_array_equal(classifier.fit(TEXTS, CODES).decision_function(TEXTS), expected)


@pytest.mark.parametrize("mmap_mode", [None, "r"])
def test_copies_answer_to_the_bit(tmp_path, mmap_mode):
    fitted = text_classifier().fit(TEXTS, CODES)
    expected = fitted.decision_function(TEXTS)
    joblib.dump(fitted, tmp_path / "model.joblib")
    for copied in (pickle.loads(pickle.dumps(fitted)), joblib.load(tmp_path / "model.joblib", mmap_mode=mmap_mode)):
        np.testing.assert_array_equal(copied.decision_function(TEXTS), expected)
    np.testing.assert_array_equal(clone(fitted).fit(TEXTS, CODES).decision_function(TEXTS), expected)
