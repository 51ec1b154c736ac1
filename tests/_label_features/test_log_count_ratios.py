"""Log-count ratios, judged by a twin of loops and dicts; and that no training row sees its own label."""

import math

import numpy as np
import pytest
from scipy.sparse import csr_array

from _factories import ragged_ids, step_features_by_row
from seqclf._data.encoded import EncodedSequences
from seqclf._label_features.log_count_ratios import MAX_OUTPUTS, LogCountRatios
from seqclf._label_features.ngrams import NGrams
from seqclf._label_features.supervision import Supervision

VOCAB = 9


def random_rows(n=40, seed=0, vocab_size=VOCAB, longest=12):
    rng = np.random.default_rng(seed)
    rows = [rng.integers(1, vocab_size, size=rng.integers(0, longest)).tolist() for _ in range(n)]
    return [[], *rows[1:-1], []]


def memberships_of(codes, n_classes):
    """Of two classes whether it is the second one, of more a column for each."""
    columns = np.eye(n_classes)[codes]
    return csr_array(columns[:, 1:] if n_classes == 2 else columns)


def learn(
    rows,
    codes,
    *,
    n_orders=3,
    vocab_size=VOCAB,
    n_classes=None,
    weights=None,
    fold=None,
    memberships=None,
    loss_weights=None,
    limit=2**22,
    exclusive=True,
):
    """The learned ratios, and the training rows with theirs."""
    if memberships is None:
        codes = np.asarray(codes, dtype=int)
        memberships = memberships_of(codes, n_classes or int(codes.max()) + 1)
    supervision = Supervision(
        memberships,
        np.ones(len(rows)) if weights is None else np.asarray(weights, dtype=float),
        np.ones(len(rows)) if loss_weights is None else loss_weights,
        (np.arange(len(rows)) // 2 + np.arange(len(rows))) % 4 if fold is None else np.asarray(fold),
        calibrate=None,
        exclusive=exclusive,
    )
    ngrams, ids = NGrams(n_orders, vocab_size), ragged_ids(rows)
    ratios = LogCountRatios(ngrams, n_orders)
    features = ratios.fit_transform(list(ngrams.learn(ids, limit)), supervision)
    return ratios, EncodedSequences(ids, features)


def apply(ratios, rows):
    """Rows that are not of the training data, with their ratios."""
    ids = ragged_ids(rows)
    return EncodedSequences(ids, ratios.transform(ratios.ngrams.numbers(ids), len(ids)))


def ngrams_of(row, n):
    return [tuple(row[end - n : end]) for end in range(n, len(row) + 1)]


def twin(
    rows,
    codes,
    *,
    n_orders=3,
    vocab_size=VOCAB,
    n_classes=None,
    weights=None,
    without=(),
    limit=2**22,
    silent=(),
    shares=None,
):
    """For each n the ratios of each n-gram by class, the formula spelled out.

    Rows in `without` are not counted; which n-grams are kept is decided on all rows. The classes in `silent` get 0.
    `shares` say for each row and class how far it belongs there, in place of `codes`.
    """
    if shares is None:
        n_classes = n_classes or max(codes) + 1
        shares = [[float(code == one) for one in range(n_classes)] for code in codes]
    n_classes = len(shares[0])
    weights = [1.0] * len(rows) if weights is None else [float(weight) for weight in weights]
    mean = sum(weights) / len(weights)
    learned, shorter = [], None
    for n in range(1, n_orders + 1):
        holders = {(token,): set() for token in range(vocab_size)} if n == 1 else {}
        for position, row in enumerate(rows):
            for ngram in ngrams_of(row, n):
                if n == 1 or ngram[:-1] in shorter:
                    holders.setdefault(ngram, set()).add(position)
        frequent = [ngram for ngram in sorted(holders) if len(holders[ngram]) >= 2]
        frequent = sorted(frequent, key=lambda ngram: -len(holders[ngram]))[:limit]
        if n > 1:
            holders = {ngram: holders[ngram] for ngram in frequent}
            holders[None] = set()  # one that never occurs
        ratios = {ngram: [] for ngram in holders}
        for code in range(n_classes):
            ours, others = dict.fromkeys(holders, 0.0), dict.fromkeys(holders, 0.0)
            for ngram, positions in holders.items():
                for position in positions - set(without):
                    ours[ngram] += weights[position] / mean * shares[position][code]
                    others[ngram] += weights[position] / mean * (1 - shares[position][code])
            for ngram in holders:
                p, q, held = 1 + ours[ngram], 1 + others[ngram], ours[ngram] + others[ngram]
                p_sum, q_sum = (sum(1 + count for count in counts.values()) for counts in (ours, others))
                ratio = math.log((p / p_sum) / (q / q_sum)) * held / (held + 2)
                known = ngram in frequent and any(ours.values()) and any(others.values()) and code not in silent
                ratios[ngram].append(ratio if known else 0.0)
        # Of two classes the second one's alone.
        learned.append({ngram: values[1:] if n_classes == 2 else values for ngram, values in ratios.items()})
        shorter = set(frequent)
    return learned


def pairs_of(ratios):
    """The pairs of token ids that are learned."""
    return [list(pair) for pair in ratios.ngrams.spelled()[1]]


def looked_up(learned, row, n_features):
    """The ratios of each step of a row by the twin: (n_steps, n_orders * n_features)."""
    steps = []
    for end in range(1, len(row) + 1):
        parts = [
            ratios.get(tuple(row[end - n : end]), [0.0] * n_features) if end >= n else [0.0] * n_features
            for n, ratios in enumerate(learned, start=1)
        ]
        steps.append(np.concatenate(parts))
    return np.array(steps).reshape(len(row), len(learned) * n_features)


# Against the twin


@pytest.mark.parametrize("n_classes", [2, 3, MAX_OUTPUTS])
@pytest.mark.parametrize("n_orders", [1, 2, 3, 5])
@pytest.mark.parametrize("weighted", [False, True])
def test_ratios_are_those_of_the_twin(n_orders, n_classes, weighted):
    rng = np.random.default_rng(n_orders)
    rows, codes = random_rows(60, seed=n_orders), np.arange(60) % n_classes
    fold = rng.integers(0, 4, size=60)
    weights = rng.uniform(0.01, 5, size=60) if weighted else None
    ratios, training = learn(rows, codes, n_orders=n_orders, weights=weights, fold=fold)
    n_features = 1 if n_classes == 2 else n_classes
    assert sum(table.shape[2] for table in ratios.tables_) == n_orders * n_features
    # Classes that lie in one fold altogether, or all others do.
    silent = [code for code in range(n_classes) if 1 in (len(set(fold[codes == code])), len(set(fold[codes != code])))]
    settings = {"n_orders": n_orders, "n_classes": n_classes, "weights": weights, "silent": silent}

    learned = twin(rows, codes, **settings)
    assert [len(ngrams) for ngrams in learned[1:]] == [table.shape[1] for table in ratios.tables_[1:]]
    assert n_orders == 1 or len(learned[1]) > 20, "pairs are kept"
    new = random_rows(30, seed=99)
    for row, found in zip(rows + new, step_features_by_row(apply(ratios, rows + new)), strict=True):
        np.testing.assert_allclose(found, looked_up(learned, row, n_features), rtol=0, atol=1e-5)

    for one in range(4):
        learned = twin(rows, codes, without=np.flatnonzero(fold == one), **settings)
        for position in np.flatnonzero(fold == one):
            found = step_features_by_row(training)[position]
            np.testing.assert_allclose(found, looked_up(learned, rows[position], n_features), rtol=0, atol=1e-5)
            assert found.dtype == np.float32


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("n_outputs", "rest"), [(1, True), (3, False), (3, True)])
def test_a_row_may_belong_to_outputs_in_part(n_outputs, weighted, rest):
    """It counts for an output as far as it belongs to it, and for what is left among the others of that output."""
    rng = np.random.default_rng(n_outputs)
    rows, fold = random_rows(60), rng.integers(0, 4, size=60)
    weights = rng.uniform(0.01, 5, size=60) if weighted else None
    # In sixteenths, so that they add up to 1 exactly; some are 0 and some are 1.
    shares = rng.multinomial(16, [1 / (n_outputs + 1)] * (n_outputs + 1), size=60) / 16
    shares[::5] = np.eye(n_outputs + 1)[rng.integers(n_outputs + 1, size=12)]
    if not rest:
        shares[:, 0] += shares[:, n_outputs]
    shares = shares[:, :n_outputs]
    ratios, training = learn(rows, None, weights=weights, fold=fold, memberships=csr_array(shares))
    assert sum(table.shape[2] for table in ratios.tables_) == 3 * n_outputs
    # Of two columns the twin gives the second one alone.
    whole = np.hstack([1 - shares, shares]) if n_outputs == 1 else shares
    learned = twin(rows, None, weights=weights, shares=whole)
    for row, found in zip(rows, step_features_by_row(apply(ratios, rows)), strict=True):
        np.testing.assert_allclose(found, looked_up(learned, row, n_outputs), rtol=0, atol=1e-5)
    for one in range(4):
        learned = twin(rows, None, weights=weights, shares=whole, without=np.flatnonzero(fold == one))
        for position in np.flatnonzero(fold == one):
            expected = looked_up(learned, rows[position], n_outputs)
            np.testing.assert_allclose(step_features_by_row(training)[position], expected, rtol=0, atol=1e-5)
    assert training.step_features.any(axis=0).all()


def test_the_formula_by_hand():
    """Token 2 in 3 rows of class 1 and 1 of class 0; token 3 in one of each; ids 0 and 1 in none."""
    rows = [[2], [2, 2, 3], [2], [2], [3]]
    ratios, _ = learn(rows, [1, 1, 1, 0, 0], n_orders=1, vocab_size=4)
    p, q = np.array([4, 2]) / 8, np.array([2, 2]) / 6  # with 1 for each of the four ids in the sums
    expected = np.log(p / q) * np.array([4 / 6, 2 / 4])
    np.testing.assert_allclose(apply(ratios, [[2, 3]]).step_features[:, 0], expected, rtol=1e-6)
    np.testing.assert_array_equal(apply(ratios, [[1, 0]]).step_features, 0)


def test_a_fold_of_single_tokens_is_learned_as_if_its_rows_were_not_there():
    rows, codes, fold = random_rows(), np.arange(40) % 3, np.random.default_rng(0).integers(0, 5, size=40)
    _, training = learn(rows, codes, n_orders=1, fold=fold)
    for one in range(5):
        left = np.flatnonzero(fold != one)
        alone, _ = learn([rows[row] for row in left], codes[left], n_orders=1)
        assert training.features.tables[0][1 + one].shape == (VOCAB, 3), (
            "all but padding are held by two rows, with any fold"
        )
        np.testing.assert_array_equal(training.features.tables[0][1 + one], alone.tables_[0][0])


# What a training row may see


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_a_training_row_never_sees_its_own_label(n_classes, weighted):
    """With another label its own ratios, and those of its fold, are the same bits; rows of other folds see it."""
    rng = np.random.default_rng(0)
    rows, codes = random_rows(50), np.arange(50) % n_classes
    fold = rng.integers(0, 5, size=50)
    weights = rng.uniform(0.1, 3, size=50) if weighted else None
    before = step_features_by_row(learn(rows, codes, weights=weights, fold=fold)[1])
    for flipped in (7, 18, 33):
        other = codes.copy()
        other[flipped] = (other[flipped] + 1) % n_classes
        after = step_features_by_row(learn(rows, other, weights=weights, fold=fold)[1])
        changed = np.array([not np.array_equal(one, two) for one, two in zip(before, after, strict=True)])
        assert rows[flipped] and not changed[fold == fold[flipped]].any()
        seen = np.array([bool(row) for row in rows]) & (fold != fold[flipped])
        assert changed[seen].mean() > 0.9


def test_what_only_one_fold_holds_says_nothing_there():
    """Exactly 0, whatever the weights: no rounding error of a sum is left."""
    rows = [[2, 3], [2, 3], [4, 5], [5, 4], [4], [5]]
    weights = [0.1, 0.7, 1 / 3, 3.3, 0.9, 1e-3]
    ratios, training = learn(rows, [0, 1, 0, 1, 1, 0], n_orders=2, weights=weights, fold=[0, 0, 1, 1, 1, 1])
    for found in step_features_by_row(training)[:2]:
        np.testing.assert_array_equal(found, 0)
    assert all(np.abs(found[:, 0]).min() > 1e-3 for found in step_features_by_row(apply(ratios, rows))[:2])


@pytest.mark.parametrize("weighted", [False, True])
def test_a_class_that_a_fold_holds_alone(weighted):
    """Its ratios would be 0 in its own rows alone, and tell the label there: they are 0 everywhere."""
    rows, codes = random_rows(30), np.arange(30) % 3
    rng = np.random.default_rng(0)
    weights = rng.uniform(0.1, 3, size=30) if weighted else None
    fold = np.where(codes == 1, 2, np.arange(30) // 10)
    for n_classes, silent in ((3, [1]), (2, [0])):
        ratios, training = learn(rows, np.minimum(codes, n_classes - 1), n_orders=1, weights=weights, fold=fold)
        if n_classes == 2:  # Class 1 has all of the last two thirds, and more folds than one.
            assert training.step_features.any()
            ratios, training = learn(rows, codes == 1, n_classes=2, n_orders=1, weights=weights, fold=fold)
        for found in (training.step_features, apply(ratios, rows).step_features):
            assert not found[:, silent].any()
            assert np.delete(found, silent, axis=1).any(axis=0).all()


@pytest.mark.parametrize("weighted", [False, True])
def test_a_class_whose_others_a_fold_holds_alone(weighted):
    """Without that fold it would be all there is: its ratios, 0 in that fold alone, are 0 everywhere."""
    rows, codes, fold = random_rows(30), np.zeros(30, dtype=int), np.arange(30) // 10
    weights = np.random.default_rng(0).uniform(0.1, 3, size=30) if weighted else None
    codes[20::2], codes[21::4] = 1, 2
    for silent in ([0, 1, 2], [2]):
        ratios, training = learn(rows, codes, n_orders=1, weights=weights, fold=fold)
        for found in (training.step_features, apply(ratios, rows).step_features):
            assert not found[:, silent].any()
            assert np.delete(found, silent, axis=1).any(axis=0).all()
        codes[3] = 1  # Now the others of class 0 are in two folds, and so is class 1.


def test_a_class_without_a_row():
    """As a class of which no row has a token."""
    rows, codes = random_rows(30), np.arange(30) % 2
    ratios, _ = learn(rows, codes, n_classes=3)
    two, _ = learn(rows, codes, n_classes=2)
    found, expected = apply(ratios, rows).step_features, apply(two, rows).step_features
    np.testing.assert_array_equal(found[:, 2::3], 0)
    np.testing.assert_allclose(found[:, 1::3], expected, rtol=1e-6)
    np.testing.assert_allclose(found[:, 0::3], -expected, rtol=1e-6)


# Weights


def test_a_weight_of_two_counts_a_row_twice():
    """Where the weights of all rows add up to the same: only proportions count. A row stays one row to be kept for."""
    rng = np.random.default_rng(0)
    rows, codes = random_rows(40), np.arange(40) % 3
    weights = rng.integers(1, 4, size=40)
    ratios, _ = learn(rows, codes, weights=weights)
    kept = twin(rows, codes)
    again = [position for position, weight in enumerate(weights) for _ in range(weight)]
    for n, ngrams in enumerate(kept, start=1):
        counts = {ngram: np.zeros(3) for ngram in ngrams}
        for position in again:
            for ngram in counts.keys() & set(ngrams_of(rows[position], n)):
                counts[ngram][codes[position]] += len(rows) / len(again)
        held = np.array(list(counts.values()))
        ours, others = 1 + held, 1 + held.sum(axis=1, keepdims=True) - held
        expected = np.log(ours / ours.sum(axis=0)) - np.log(others / others.sum(axis=0))
        expected *= held.sum(axis=1, keepdims=True) / (held.sum(axis=1, keepdims=True) + 2)
        found = [apply(ratios, [ngram]).step_features[-1, 3 * (n - 1) : 3 * n] for ngram in counts if ngram]
        np.testing.assert_allclose(found, expected[: len(found)], rtol=0, atol=1e-5)
        assert len(found) > 5


@pytest.mark.parametrize("scale", [1e-320, 1e-30, 4.0, 1e307])
def test_only_the_proportions_of_the_weights_count(scale):
    rows, codes = random_rows(), np.arange(40) % 2
    weights = np.random.default_rng(0).integers(1, 5, size=40).astype(float)
    one, trained = learn(rows, codes, weights=weights)
    other, trained_too = learn(rows, codes, weights=weights * scale)
    for ours, theirs in zip(one.tables_, other.tables_, strict=True):
        np.testing.assert_allclose(theirs, ours, rtol=0, atol=1e-5)
    np.testing.assert_allclose(trained_too.step_features, trained.step_features, rtol=0, atol=1e-5)


def test_rows_decide_what_is_kept_whatever_they_weigh():
    rows, codes = [[2, 3], [2, 3], [4, 5], [3, 2], [5, 4], [6]], [0, 1, 0, 1, 1, 0]
    for weights in ([1] * 6, [0.01, 0.01, 100, 1, 1, 1]):
        ratios, _ = learn(rows, codes, n_orders=2, weights=weights)
        assert pairs_of(ratios) == [[2, 3]]


# What is kept


def test_an_ngram_of_one_row_is_not_learned_however_often_it_stands_there():
    rows, codes = [[2, 3, 2, 3, 2, 3], [2, 2], [4, 4], [3]], [1, 1, 0, 0]
    ratios, _ = learn(rows, codes, n_orders=2)
    assert not pairs_of(ratios)
    found = apply(ratios, [[2, 3], [4, 4]]).step_features
    assert found[0, 0] > 0.5 and found[2, 0] == 0 and not found[:, 1].any()
    ratios, _ = learn([*rows, [2, 3]], [*codes, 0], n_orders=2)
    assert pairs_of(ratios) == [[2, 3]]


def test_unseen_ngrams_have_ratios_of_zero():
    """Of a token that no row holds; of a pair of known tokens; and across the end of a row there is no pair."""
    rows = [[2, 3, 4], [2, 3, 4], [5, 2, 6], [5, 2, 6]]
    ratios, _ = learn(rows, [0, 0, 1, 1])
    unseen, pair, across = step_features_by_row(apply(ratios, [[7, 8], [4, 5], [4]]))
    np.testing.assert_array_equal(unseen, 0)
    assert pair[:, 0].all() and not pair[:, 1:].any()
    assert across[0, 0] and not across[0, 1:].any()
    assert pairs_of(ratios) == [[2, 3], [2, 6], [3, 4], [5, 2]]
    found = apply(ratios, [[2, 3, 4], [7, 3, 4]])
    known, after_unseen = step_features_by_row(found)
    assert known[2].all()
    assert after_unseen[2, :2].tolist() == known[2, :2].tolist() and after_unseen[2, 2] == 0


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("limit", [1, 3, 6, 15])
def test_ngrams_without_a_number_are_summed_over(limit, n_classes):
    """Where only the most frequent have one."""
    rows, codes = random_rows(60, seed=3), np.arange(60) % n_classes
    ratios, training = learn(rows, codes, limit=limit)
    learned = twin(rows, codes, limit=limit)
    assert [len(ngrams) for ngrams in learned[1:]] == [table.shape[1] for table in ratios.tables_[1:]]
    assert ratios.tables_[0].shape[1] == 1 + min(limit, VOCAB - 1)
    assert len(learned[1]) <= 1 + limit
    n_features = 1 if n_classes == 2 else n_classes
    for row, found in zip(rows, step_features_by_row(apply(ratios, rows)), strict=True):
        np.testing.assert_allclose(found, looked_up(learned, row, n_features), rtol=0, atol=1e-5)
    assert training.step_features.shape == (sum(map(len, rows)), 3 * n_features)


def test_a_large_vocabulary():
    """Products of numbers and ids far beyond 32 bits."""
    vocab_size = 2**20
    strange = np.array([0, 1, *range(vocab_size - VOCAB + 2, vocab_size)])
    rows, codes = random_rows(), np.arange(40) % 2
    far = [strange[row].tolist() for row in rows]
    one, training = learn(rows, codes)
    other, training_too = learn(far, codes, vocab_size=vocab_size)
    for ours, theirs in zip(one.tables_[1:], other.tables_[1:], strict=True):
        np.testing.assert_array_equal(theirs, ours)
    np.testing.assert_array_equal(training_too.step_features[:, 1:], training.step_features[:, 1:])
    np.testing.assert_array_equal(apply(other, far).step_features[:, 1:], apply(one, rows).step_features[:, 1:])
    assert other.tables_[0].shape == (1, VOCAB, 1), "of ids that don't occur there is no row"


# Few rows, empty rows


def test_one_row():
    ratios, training = learn([[2, 3]], [0], n_classes=2, fold=[0])
    np.testing.assert_array_equal(training.step_features, np.zeros((2, 3)))
    np.testing.assert_array_equal(apply(ratios, [[2, 3], [3]]).step_features, np.zeros((3, 3)))


@pytest.mark.parametrize("rows", [[[], []], [[2], []], [[2], [2]]])
def test_rows_without_a_pair_or_without_a_token(rows):
    ratios, training = learn(rows, [0, 1], fold=[0, 1])
    assert training.step_features.shape == (sum(map(len, rows)), 3)
    assert apply(ratios, [[], [2, 3, 4], []]).step_features.shape == (3, 3)
    assert apply(ratios, [[], []]).step_features.shape == (0, 3)
    assert len(apply(ratios, [[], []])) == 2


# Encoded sequences


@pytest.mark.parametrize("trained", [False, True])
def test_rows_are_taken_with_their_ratios(trained):
    rows, codes = random_rows(), np.arange(40) % 3
    ratios, training = learn(rows, codes)
    encoded = training if trained else apply(ratios, rows)
    mask = np.arange(40) % 4 == 1
    for chosen in (np.array([5, 3, 3, 0, 39]), mask, slice(4, 30, 7), np.array([], dtype=int)):
        taken = encoded.take(chosen)
        positions = np.arange(40)[chosen]
        assert isinstance(taken, EncodedSequences) and len(taken) == len(positions)
        assert taken.lengths.tolist() == [len(rows[position]) for position in positions]
        assert taken.steps.values.tolist() == [token for position in positions for token in rows[position]]
        expected = [step_features_by_row(encoded)[position] for position in positions]
        np.testing.assert_array_equal(taken.step_features, np.concatenate([np.zeros((0, 9)), *expected]))


def test_a_row_has_the_same_ratios_in_any_company():
    rows, codes = random_rows(), np.arange(40) % 2
    ratios, _ = learn(rows, codes)
    new = random_rows(25, seed=5)
    together = step_features_by_row(apply(ratios, new))
    for row, expected in zip(new, together, strict=True):
        np.testing.assert_array_equal(apply(ratios, [row]).step_features, expected)
    for row, expected in zip(new[::-1], step_features_by_row(apply(ratios, new[::-1])), strict=True):
        np.testing.assert_array_equal(apply(ratios, [row]).step_features, expected)


def test_the_order_of_the_rows_is_nothing_to_the_ratios():
    rng = np.random.default_rng(0)
    rows, codes, weights = random_rows(), np.arange(40) % 3, rng.uniform(0.1, 9, size=40)
    order = rng.permutation(40)
    one, _ = learn(rows, codes, weights=weights)
    other, _ = learn([rows[row] for row in order], codes[order], weights=weights[order])
    for ours, theirs in zip(one.tables_, other.tables_, strict=True):
        np.testing.assert_array_equal(ours, theirs)


# Other uses of the same numbers


def test_a_label_whose_other_rows_are_in_one_fold_says_nothing_even_among_other_labels():
    """Several labels a row: the rows without the first one are all in fold 2."""
    rows = [[2, 3 + row % 2] for row in range(20)]
    memberships = np.stack([np.arange(20) != 7, np.arange(20) % 2], axis=1).astype(float)
    _, training = learn(
        rows, None, n_orders=1, vocab_size=5, fold=np.arange(20) % 5, memberships=csr_array(memberships)
    )
    assert not training.step_features[:, 0].any() and training.step_features[:, 1].any()


def test_weights_of_the_loss_do_not_count():
    """They say which errors are worse, not which rows there are."""
    rows, codes = random_rows(), np.arange(40) % 3
    plain, training = learn(rows, codes)
    other, training_too = learn(rows, codes, loss_weights=np.random.default_rng(0).uniform(0, 9, size=40))
    for ours, theirs in zip(plain.tables_, other.tables_, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(training.step_features, training_too.step_features)


def test_ratios_of_shorter_ngrams_than_are_numbered():
    """The numbers of longer ones are for others to read."""
    rows, codes = random_rows(), np.arange(40) % 3
    expected, expected_training = learn(rows, codes, n_orders=2)
    ids = ragged_ids(rows)
    ngrams = NGrams(5, VOCAB)
    ratios = LogCountRatios(ngrams, 2)
    fold = expected_training.features.version - 1
    supervision = Supervision(memberships_of(codes, 3), np.ones(40), np.ones(40), fold, calibrate=None)
    features = ratios.fit_transform(list(ngrams.learn(ids, 2**22)), supervision)
    assert len(ngrams.of_longer_) == 4 and sum(table.shape[2] for table in ratios.tables_) == 6
    np.testing.assert_array_equal(EncodedSequences(ids, features).step_features, expected_training.step_features)
    np.testing.assert_array_equal(apply(ratios, rows[::-1]).step_features, apply(expected, rows[::-1]).step_features)


# Labels, each by itself


def random_labels(n, seed=0):
    """Three labels: of half of the rows, of the rows of one fold alone, of every row."""
    rng = np.random.default_rng(seed)
    fold = np.arange(n) % 4
    return np.stack([rng.random(n) < 0.5, fold == 2, np.ones(n)], axis=1).astype(float), fold


def test_ratios_of_labels_are_those_of_each_label_alone():
    """To the bit, in all versions, whatever the weights; of exclusive outputs they are not."""
    rows, weights = random_rows(), np.random.default_rng(1).uniform(0.1, 2, size=40)
    members, fold = random_labels(40)
    members[:, 1] = np.random.default_rng(2).random(40) < 0.2
    settings = {"codes": None, "weights": weights, "fold": fold}
    together, training = learn(rows, memberships=csr_array(members), exclusive=False, **settings)
    for i in range(3):
        alone, own = learn(rows, memberships=csr_array(members[:, [i]]), **settings)
        for one, other in zip(together.tables_, alone.tables_, strict=True):
            np.testing.assert_array_equal(one[..., [i]], other)
        np.testing.assert_array_equal(training.step_features[:, i::3], own.step_features)
        apart = apply(together, rows[:9]).step_features[:, i::3]
        np.testing.assert_array_equal(apart, apply(alone, rows[:9]).step_features)
    assert together.tables_[0][..., :2].any(axis=(0, 1)).all()


def test_ratios_of_labels_are_those_of_the_formula():
    """A row counts once against a label that it lacks, however many others it has."""
    rows, members = random_rows(), (np.random.default_rng(2).random((40, 3)) < [0.6, 0.5, 0.3]).astype(float)
    ratios, _ = learn(rows, None, memberships=csr_array(members), exclusive=False, n_orders=1)
    for i, column in enumerate(members.T.astype(int)):
        (expected,) = twin(rows, column.tolist(), n_orders=1)
        of_tokens = ratios.tables_[0][0, ratios.ngrams.of_tokens_, i]
        np.testing.assert_allclose(of_tokens, [expected[(token,)][0] for token in range(VOCAB)], atol=1e-6)


def test_a_label_of_one_fold_and_a_label_of_every_row_have_ratios_of_0():
    members, fold = random_labels(40)
    ratios, training = learn(random_rows(), None, memberships=csr_array(members), exclusive=False, fold=fold)
    assert not training.step_features[:, 1::3].any() and not training.step_features[:, 2::3].any()
    assert training.step_features[:, ::3].any()
    assert all(not table[..., 1:].any() and table[..., 0].any() for table in ratios.tables_)


def test_no_row_sees_its_own_labels():
    rows, fold = random_rows(), np.arange(40) % 4
    members = (np.random.default_rng(2).random((40, 3)) < 0.5).astype(float)
    other = members.copy()
    other[7] = 1 - other[7]
    before, after = (
        learn(rows, None, memberships=csr_array(each), exclusive=False, fold=fold)[1] for each in (members, other)
    )
    own = np.repeat(fold == fold[7], before.lengths)
    np.testing.assert_array_equal(after.step_features[own], before.step_features[own])
    assert (after.step_features[~own, :3] != before.step_features[~own, :3]).any(axis=0).all()
