"""Ratios of many classes: numbers for halves of them, and votes; judged by the formula on dense tables."""

import tracemalloc

import numpy as np
import pytest
from scipy.sparse import csr_array

from seqclf._data.ragged import Ragged
from seqclf._label_features import many_classes
from seqclf._label_features.log_count_ratios import FEW_OUTPUTS, LogCountRatios
from seqclf._label_features.many_classes import N_SPLITS, class_splits, tf_idf

VOCAB, N_CLASSES, N_ORDERS = 15, 12, 2


def random_rows(n=150, seed=0, vocab_size=VOCAB):
    rng = np.random.default_rng(seed)
    return [[], *(rng.integers(1, vocab_size, size=rng.integers(0, 9)).tolist() for _ in range(n - 2)), []]


def as_ids(rows):
    return Ragged.from_items([np.array(row, dtype=np.int32) for row in rows], dtype=np.int32)


ROWS, CODES = random_rows(), np.arange(150) % N_CLASSES
FOLD = np.random.default_rng(0).integers(0, 4, size=150)
WEIGHTS = np.random.default_rng(1).uniform(0.1, 3, size=150)


def memberships_of(codes, n_classes):
    """Of two classes whether it is the second one, of more a column for each."""
    if n_classes == 2:
        return csr_array(np.asarray(codes, dtype=float)[:, None])
    return csr_array((np.ones(len(codes)), (np.arange(len(codes)), codes)), shape=(len(codes), n_classes))


def learn(rows=ROWS, codes=CODES, *, n_classes=N_CLASSES, weights=None, fold=FOLD, vocab_size=VOCAB):
    """The learned ratios, and the training rows with theirs."""
    ratios = LogCountRatios(N_ORDERS, vocab_size)
    weights = np.ones(len(rows)) if weights is None else np.asarray(weights, dtype=float)
    memberships = memberships_of(np.asarray(codes), n_classes)
    return ratios, ratios.fit_transform(as_ids(rows), memberships, weights, np.asarray(fold))


def by_row(encoded):
    return np.split(encoded.step_features, np.cumsum(encoded.lengths)[:-1])


def ngrams_of(row, n):
    return [tuple(row[end - n : end]) for end in range(n, len(row) + 1)]


def log_ratio(ours, theirs):
    """Of n-grams, for all of them at once."""
    return np.log((1 + ours) / (1 + ours).sum()) - np.log((1 + theirs) / (1 + theirs).sum())


def twin(weights, without=()):
    """For each n the n-grams, their weights, their ratios for each class and for each half; formulas on full tables."""
    weights = np.asarray(weights) / np.mean(weights)
    counted = np.setdiff1d(np.arange(len(ROWS)), without)
    learned, splits = [], class_splits(N_CLASSES)
    for n in range(1, N_ORDERS + 1):
        held_by = {(token,): [] for token in range(VOCAB)} if n == 1 else {}
        for position, row in enumerate(ROWS):
            for ngram in sorted(set(ngrams_of(row, n))):
                held_by.setdefault(ngram, []).append(position)
        if n > 1:
            held_by = {ngram: rows for ngram, rows in held_by.items() if len(rows) > 1} | {None: []}
        counts = np.zeros((len(held_by), N_CLASSES))
        for number, rows in enumerate(held_by.values()):
            for row in np.intersect1d(rows, counted):
                counts[number, CODES[row]] += weights[row]
        held = counts.sum(axis=1)
        shrunk = (held / (held + 2))[:, None]
        classes = [log_ratio(ours, held - ours) for ours in counts.T]
        halves = [log_ratio(counts[:, half].sum(axis=1), counts[:, ~half].sum(axis=1)) for half in splits.T]
        n_holders = np.array([len(rows) for rows in held_by.values()])
        idf = np.where(n_holders > 1, np.log((1 + len(ROWS)) / (1 + n_holders)), 0)
        known = (n_holders > 1)[:, None]
        learned.append((list(held_by), idf, np.array(classes).T * shrunk * known, np.array(halves).T * shrunk * known))
    return learned


def expected_votes(row, learned):
    votes = np.zeros(N_CLASSES)
    for n, (ngrams, idf, classes, _) in enumerate(learned, start=1):
        held = [ngrams.index(ngram) for ngram in ngrams_of(row, n) if ngram in ngrams]
        tf = np.bincount(held, minlength=len(ngrams))
        weights = np.where(tf > 0, 1 + np.log(np.maximum(tf, 1)), 0) * idf
        votes += weights / (np.linalg.norm(weights) or 1) * idf @ classes * 2 / 4**n
    return votes


def expected_step_features(row, learned):
    steps = np.zeros((len(row), N_ORDERS * N_SPLITS))
    for n, (ngrams, _, _, halves) in enumerate(learned, start=1):
        for end in range(n, len(row) + 1):
            if tuple(row[end - n : end]) in ngrams:
                steps[end - 1, (n - 1) * N_SPLITS : n * N_SPLITS] = halves[ngrams.index(tuple(row[end - n : end]))]
    return steps


# Against the twin


@pytest.mark.parametrize("weights", [np.ones(150), WEIGHTS], ids=["ones", "weighted"])
def test_ratios_are_those_of_the_twin(weights):
    ratios, training = learn(weights=weights)
    assert N_CLASSES > FEW_OUTPUTS and ratios.gives_votes
    learned, new = twin(weights), [*ROWS, *random_rows(40, seed=9)]
    encoded = ratios.transform(as_ids(new))
    assert encoded.votes.dtype == encoded.step_features.dtype == np.float32
    for row, votes, numbers in zip(new, encoded.votes, by_row(encoded), strict=True):
        np.testing.assert_allclose(votes, expected_votes(row, learned), rtol=0, atol=2e-5)
        np.testing.assert_allclose(numbers, expected_step_features(row, learned), rtol=0, atol=2e-5)
    assert np.abs(encoded.votes).max() > 1 and np.abs(encoded.step_features).max() > 0.5
    for one in range(4):
        rows = np.flatnonzero(one == FOLD)
        learned = twin(weights, without=rows)
        taken = training.take(rows)
        for row, votes, numbers in zip(rows, taken.votes, by_row(taken), strict=True):
            np.testing.assert_allclose(votes, expected_votes(ROWS[row], learned), rtol=0, atol=2e-5)
            np.testing.assert_allclose(numbers, expected_step_features(ROWS[row], learned), rtol=0, atol=2e-5)


def test_weights_of_ngrams_by_hand():
    """Twice number 1 and once number 3, then nothing that counts, then nothing."""
    numbers = Ragged(np.array([1, 3, 1, 0, 2], dtype=np.int32), np.array([4, 1, 0]))
    before = numbers.values.copy()
    found = tf_idf(numbers, np.array([0, 2, 0, 1], dtype=np.float32)).toarray()
    twice = 2 * (1 + np.log(2))
    np.testing.assert_allclose(found[0], np.array([0, twice, 0, 1]) / np.hypot(twice, 1), rtol=1e-6)
    np.testing.assert_array_equal(found[1:], 0)
    np.testing.assert_array_equal(numbers.values, before)


@pytest.mark.parametrize("n_classes", [11, 12, 77, 500])
def test_splits_are_halves_that_tell_classes_apart(n_classes):
    splits = class_splits(n_classes)
    assert splits.shape == (n_classes, N_SPLITS)
    assert set(splits.sum(axis=0).tolist()) == {n_classes // 2}
    apart = (splits[:, None] != splits).sum(axis=2)[~np.eye(n_classes, dtype=bool)]
    assert apart.mean() > N_SPLITS / 2 - 0.1 and np.mean(apart == 0) < 1e-3
    np.testing.assert_array_equal(splits, class_splits(n_classes))


# What a training row may see


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["ones", "weighted"])
def test_a_training_row_never_sees_its_own_label(weights):
    """With another label its own numbers, and those of its fold, are the same bits; rows of other folds see it."""
    _, before = learn(weights=weights)
    for flipped in [row for row in range(150) if len(ROWS[row]) > 5][:6]:
        codes = CODES.copy()
        codes[flipped] = (codes[flipped] + 5) % N_CLASSES
        _, after = learn(codes=codes, weights=weights)
        same = [np.array_equal(one, two) for one, two in zip(by_row(before), by_row(after), strict=True)]
        same &= (before.votes == after.votes).all(axis=1)
        assert same[FOLD[flipped] == FOLD].all()
        filled = np.array([bool(row) for row in ROWS])
        assert not same[filled & (FOLD[flipped] != FOLD)].any()


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["ones", "weighted"])
def test_what_only_one_fold_holds_says_nothing_there(weights):
    """Exactly 0, whatever the weights: no rounding error of a sum is left."""
    rows = [*ROWS, *[[VOCAB, VOCAB + 1]] * 5]
    weights = None if weights is None else np.concatenate([weights, [0.1, 0.7, 1 / 3, 3.3, 1e-3]])
    codes, fold = np.concatenate([CODES, [0, 3, 3, 5, 8]]), np.concatenate([FOLD, [2] * 5])
    ratios, training = learn(rows, codes, weights=weights, fold=fold, vocab_size=VOCAB + 2)
    assert not training.votes[-5:].any() and not any(found.any() for found in by_row(training)[-5:])
    known = ratios.transform(as_ids(rows[-1:]))
    assert known.votes.all() and known.step_features[1].all()


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["ones", "weighted"])
def test_a_class_that_a_fold_holds_alone(weights):
    """Without that fold it would be missing, and its own rows alone would read that: it says nothing, nor counts."""
    fold = np.where(CODES == 4, 2, FOLD)
    ratios, training = learn(weights=weights, fold=fold)
    encoded = ratios.transform(as_ids(ROWS))
    for found in (training, encoded):
        assert not found.votes[:, 4].any() and np.delete(found.votes, 4, axis=1).any(axis=0).all()
    # Nor do its words count for others, whatever they are: a row of it more changes nothing but what is kept, and idf.
    more = [*ROWS, *ROWS[3:5]]
    others, trained = learn(
        more,
        np.concatenate([CODES, [4, 4]]),
        weights=None if weights is None else np.concatenate([weights, [weights.mean()] * 2]),
        fold=np.concatenate([fold, [2, 2]]),
    )
    for ours, theirs in zip(ratios.tables_, others.tables_, strict=True):
        np.testing.assert_allclose(theirs, ours, rtol=0, atol=1e-6)
    np.testing.assert_allclose(
        trained.step_features[: len(training.step_features)], training.step_features, rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["ones", "weighted"])
def test_a_class_whose_others_a_fold_holds_alone(weights):
    """Without that fold it would be all there is, and the rows of that fold alone would read that."""
    codes = np.where(FOLD == 2, CODES, 4)
    ratios, training = learn(codes=codes, weights=weights)
    for found in (training, ratios.transform(as_ids(ROWS))):
        assert not found.votes.any() and not found.step_features.any()
    codes[np.flatnonzero(FOLD == 1)[0]] = 7  # Now the others of class 4 are in two folds, and so is class 7.
    ratios, training = learn(codes=codes, weights=weights)
    for found in (training, ratios.transform(as_ids(ROWS))):
        assert found.votes.any(axis=0).tolist() == [code in (4, 7) for code in range(N_CLASSES)]
        assert found.step_features.any()


def test_every_class_in_a_fold_of_its_own():
    ratios, training = learn(fold=CODES)
    assert not training.votes.any() and not training.step_features.any()
    assert not ratios.transform(as_ids(ROWS)).votes.any()


def test_classes_without_a_row():
    """Nothing is said of them, nor of a half of which no class has rows."""
    few = CODES % 3
    _, training = learn(codes=few, n_classes=20)
    assert training.votes[:, :3].any(axis=0).all() and not training.votes[:, 3:].any()
    splits = class_splits(20)[:3]
    one_sided = np.tile(splits.all(axis=0) | ~splits.any(axis=0), N_ORDERS)
    assert one_sided.any() and not training.step_features[:, one_sided].any()
    assert training.step_features[:, ~one_sided].any(axis=0).all()


def test_only_the_proportions_of_the_weights_count():
    _, one = learn(weights=WEIGHTS)
    for scale in (1e-320, 1e307 / 3):
        weights = np.random.default_rng(1).integers(1, 4, size=150).astype(float)
        _, one = learn(weights=weights)
        _, other = learn(weights=weights * scale)
        np.testing.assert_allclose(other.votes, one.votes, rtol=0, atol=1e-5)
        np.testing.assert_allclose(other.step_features, one.step_features, rtol=0, atol=1e-5)


# A row's votes are its own


def test_a_row_has_the_same_votes_in_any_company(monkeypatch):
    ratios, training = learn()
    new = random_rows(40, seed=5)
    together = ratios.transform(as_ids(new)).votes
    for row, votes in zip(new, together, strict=True):
        np.testing.assert_array_equal(ratios.transform(as_ids([row])).votes[0], votes)
    np.testing.assert_array_equal(ratios.transform(as_ids(new[::-1])).votes[::-1], together)
    monkeypatch.setattr(many_classes, "_MAX_CELLS", 7 * N_CLASSES)
    np.testing.assert_array_equal(ratios.transform(as_ids(new)).votes, together)
    np.testing.assert_array_equal(learn()[1].votes, training.votes)
    taken = training.take([5, 3, 3])
    np.testing.assert_array_equal(taken.votes, training.votes[[5, 3, 3]])


def test_no_rows_and_empty_rows():
    ratios, _ = learn()
    assert ratios.transform(as_ids([])).votes.shape == (0, N_CLASSES)
    empty = ratios.transform(as_ids([[], []]))
    assert (
        empty.step_features.shape == (0, N_ORDERS * N_SPLITS) and not empty.votes.any() and empty.votes.shape == (2, 12)
    )


# Size


def test_steps_are_no_wider_for_more_classes():
    widths = {}
    for n_classes in (2, FEW_OUTPUTS, FEW_OUTPUTS + 1, 500):
        ratios, training = learn(codes=np.arange(150) % min(n_classes, 40), n_classes=n_classes)
        widths[n_classes] = training.step_features.shape[1]
        assert widths[n_classes] == training.n_numbers == ratios.n_features
        assert (training.votes is None) == (n_classes <= FEW_OUTPUTS)
    assert list(widths.values()) == [N_ORDERS, N_ORDERS * FEW_OUTPUTS, N_ORDERS * N_SPLITS, N_ORDERS * N_SPLITS]


def test_memory_does_not_grow_with_tokens_times_classes():
    """Nor with n-grams times classes."""
    n_rows, length, n_classes = 2_000, 40, 1_000
    rng = np.random.default_rng(0)
    ids = Ragged(rng.integers(1, 4_000, n_rows * length).astype(np.int32), np.full(n_rows, length))
    codes, fold = np.arange(n_rows) % n_classes, rng.integers(0, 10, n_rows)
    memberships = memberships_of(codes, n_classes)
    ratios = LogCountRatios(1, 4_000)
    peaks = []
    for call in (
        lambda: ratios.fit_transform(ids, memberships, np.ones(n_rows), fold),
        lambda: ratios.transform(ids),
    ):
        tracemalloc.start()
        encoded = call()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert encoded.votes.shape == (n_rows, n_classes)
    votes, tables = 4 * n_rows * n_classes, 4 * 4_000 * n_classes * 11
    assert max(peaks) < tables / 2, "what the ratios of every n-gram and class would take, all rows and ten folds"
    assert peaks[1] < 10 * votes < 4 * n_rows * length * n_classes / 3
