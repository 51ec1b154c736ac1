"""Log-count ratios against a reference with loops and dicts, and no training row sees its own label."""

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
    """One column for the second of two classes, or one for each of more classes."""
    columns = np.eye(n_classes)[codes]
    return csr_array(columns[:, 1:] if n_classes == 2 else columns)


def fit_ratios(
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
    """The fitted ratios, and the training rows with their features."""
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
    features = ratios.fit_transform(list(ngrams.fit_transform(ids, limit)), supervision)
    return ratios, EncodedSequences(ids, features)


def apply(ratios, rows):
    """New rows with their ratios."""
    ids = ragged_ids(rows)
    return EncodedSequences(ids, ratios.transform(ratios.ngrams.transform(ids), len(ids)))


def ngrams_of(row, n):
    return [tuple(row[end - n : end]) for end in range(n, len(row) + 1)]


def reference(
    rows,
    codes,
    *,
    n_orders=3,
    vocab_size=VOCAB,
    n_classes=None,
    weights=None,
    without=(),
    limit=2**22,
    unlearnable=(),
    memberships=None,
):
    """For each n the ratios of each n-gram by class, by the formula of the module.

    Rows in `without` are not counted; the n-grams are selected on all rows. The ratios of the classes in `unlearnable`
    are 0. `memberships` of rows in classes can replace `codes`.
    """
    if memberships is None:
        n_classes = n_classes or max(codes) + 1
        memberships = [[float(code == one) for one in range(n_classes)] for code in codes]
    n_classes = len(memberships[0])
    weights = [1.0] * len(rows) if weights is None else [float(weight) for weight in weights]
    mean = sum(weights) / len(weights)
    orders, shorter = [], None
    for n in range(1, n_orders + 1):
        rows_of = {(token,): set() for token in range(vocab_size)} if n == 1 else {}
        for position, row in enumerate(rows):
            for ngram in ngrams_of(row, n):
                if n == 1 or ngram[:-1] in shorter:
                    rows_of.setdefault(ngram, set()).add(position)
        frequent = [ngram for ngram in sorted(rows_of) if len(rows_of[ngram]) >= 2]
        frequent = sorted(frequent, key=lambda ngram: -len(rows_of[ngram]))[:limit]
        if n > 1:
            rows_of = {ngram: rows_of[ngram] for ngram in frequent}
            rows_of[None] = set()  # one that never occurs
        ratios = {ngram: [] for ngram in rows_of}
        for code in range(n_classes):
            inside, outside = dict.fromkeys(rows_of, 0.0), dict.fromkeys(rows_of, 0.0)
            for ngram, positions in rows_of.items():
                for position in positions - set(without):
                    inside[ngram] += weights[position] / mean * memberships[position][code]
                    outside[ngram] += weights[position] / mean * (1 - memberships[position][code])
            is_learnable = any(inside.values()) and any(outside.values()) and code not in unlearnable
            for ngram in rows_of:
                p, q, total = 1 + inside[ngram], 1 + outside[ngram], inside[ngram] + outside[ngram]
                p_sum, q_sum = (sum(1 + count for count in counts.values()) for counts in (inside, outside))
                ratio = math.log((p / p_sum) / (q / q_sum)) * total / (total + 2)
                ratios[ngram].append(ratio if is_learnable and ngram in frequent else 0.0)
        # With two classes there is only the column of the second one.
        orders.append({ngram: values[1:] if n_classes == 2 else values for ngram, values in ratios.items()})
        shorter = set(frequent)
    return orders


def pairs_of(ratios):
    """The pairs of token ids with an id."""
    return [list(pair) for pair in ratios.ngrams.as_token_ids()[1]]


def features_of(orders, row, n_features):
    """The ratios of each step of a row by the reference: (n_steps, n_orders * n_features)."""
    steps = []
    for end in range(1, len(row) + 1):
        features = [
            ratios.get(tuple(row[end - n : end]), [0.0] * n_features) if end >= n else [0.0] * n_features
            for n, ratios in enumerate(orders, start=1)
        ]
        steps.append(np.concatenate(features))
    return np.array(steps).reshape(len(row), len(orders) * n_features)


# Against the reference


@pytest.mark.parametrize("n_classes", [2, 3, MAX_OUTPUTS])
@pytest.mark.parametrize("n_orders", [1, 2, 3, 5])
@pytest.mark.parametrize("weighted", [False, True])
def test_ratios_equal_the_reference(n_orders, n_classes, weighted):
    rng = np.random.default_rng(n_orders)
    rows, codes = random_rows(60, seed=n_orders), np.arange(60) % n_classes
    fold = rng.integers(0, 4, size=60)
    weights = rng.uniform(0.01, 5, size=60) if weighted else None
    ratios, training = fit_ratios(rows, codes, n_orders=n_orders, weights=weights, fold=fold)
    n_features = 1 if n_classes == 2 else n_classes
    assert sum(table.shape[2] for table in ratios.tables_) == n_orders * n_features
    # Classes whose rows, or whose other rows, are all in one fold.
    unlearnable = [
        code for code in range(n_classes) if 1 in (len(set(fold[codes == code])), len(set(fold[codes != code])))
    ]
    settings = {"n_orders": n_orders, "n_classes": n_classes, "weights": weights, "unlearnable": unlearnable}

    orders = reference(rows, codes, **settings)
    assert [len(ngrams) for ngrams in orders[1:]] == [table.shape[1] for table in ratios.tables_[1:]]
    assert n_orders == 1 or len(orders[1]) > 20, "there are pairs"
    new = random_rows(30, seed=99)
    for row, found in zip(rows + new, step_features_by_row(apply(ratios, rows + new)), strict=True):
        np.testing.assert_allclose(found, features_of(orders, row, n_features), rtol=0, atol=1e-5)

    for one in range(4):
        orders = reference(rows, codes, without=np.flatnonzero(fold == one), **settings)
        for position in np.flatnonzero(fold == one):
            found = step_features_by_row(training)[position]
            np.testing.assert_allclose(found, features_of(orders, rows[position], n_features), rtol=0, atol=1e-5)
            assert found.dtype == np.float32


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("n_outputs", "has_remainder"), [(1, True), (3, False), (3, True)])
def test_ratios_of_partial_memberships_equal_the_reference(n_outputs, weighted, has_remainder):
    """A row counts for an output with its membership, and against it with the remainder."""
    rng = np.random.default_rng(n_outputs)
    rows, fold = random_rows(60), rng.integers(0, 4, size=60)
    weights = rng.uniform(0.01, 5, size=60) if weighted else None
    # In sixteenths, so that they add up to 1 exactly; some are 0 and some are 1.
    members = rng.multinomial(16, [1 / (n_outputs + 1)] * (n_outputs + 1), size=60) / 16
    members[::5] = np.eye(n_outputs + 1)[rng.integers(n_outputs + 1, size=12)]
    if not has_remainder:
        members[:, 0] += members[:, n_outputs]
    members = members[:, :n_outputs]
    ratios, training = fit_ratios(rows, None, weights=weights, fold=fold, memberships=csr_array(members))
    assert sum(table.shape[2] for table in ratios.tables_) == 3 * n_outputs
    # The reference returns only the second of two columns.
    columns = np.hstack([1 - members, members]) if n_outputs == 1 else members
    orders = reference(rows, None, weights=weights, memberships=columns)
    for row, found in zip(rows, step_features_by_row(apply(ratios, rows)), strict=True):
        np.testing.assert_allclose(found, features_of(orders, row, n_outputs), rtol=0, atol=1e-5)
    for one in range(4):
        orders = reference(rows, None, weights=weights, memberships=columns, without=np.flatnonzero(fold == one))
        for position in np.flatnonzero(fold == one):
            expected = features_of(orders, rows[position], n_outputs)
            np.testing.assert_allclose(step_features_by_row(training)[position], expected, rtol=0, atol=1e-5)
    assert training.step_features.any(axis=0).all()


def test_formula_on_a_small_example():
    """Token 2 is in 3 rows of class 1 and 1 of class 0; token 3 in one of each; tokens 0 and 1 in none."""
    rows = [[2], [2, 2, 3], [2], [2], [3]]
    ratios, _ = fit_ratios(rows, [1, 1, 1, 0, 0], n_orders=1, vocab_size=4)
    p, q = np.array([4, 2]) / 8, np.array([2, 2]) / 6  # with 1 for each of the four ids in the sums
    expected = np.log(p / q) * np.array([4 / 6, 2 / 4])
    np.testing.assert_allclose(apply(ratios, [[2, 3]]).step_features[:, 0], expected, rtol=1e-6)
    np.testing.assert_array_equal(apply(ratios, [[1, 0]]).step_features, 0)


def test_ratios_without_a_fold_equal_a_fit_to_the_other_rows():
    rows, codes, fold = random_rows(), np.arange(40) % 3, np.random.default_rng(0).integers(0, 5, size=40)
    _, training = fit_ratios(rows, codes, n_orders=1, fold=fold)
    for one in range(5):
        others = np.flatnonzero(fold != one)
        expected, _ = fit_ratios([rows[row] for row in others], codes[others], n_orders=1)
        found = training.features.tables[0][1 + one]
        assert found.shape == (VOCAB, 3), "all tokens but padding are frequent, without any fold"
        np.testing.assert_array_equal(found, expected.tables_[0][0])


# No leak of the targets of training rows


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_ratios_of_a_fold_do_not_depend_on_its_labels(n_classes, weighted):
    """With another label of a row, the ratios of its fold are the same to the bit; those of other folds change."""
    rng = np.random.default_rng(0)
    rows, codes = random_rows(50), np.arange(50) % n_classes
    fold = rng.integers(0, 5, size=50)
    weights = rng.uniform(0.1, 3, size=50) if weighted else None
    before = step_features_by_row(fit_ratios(rows, codes, weights=weights, fold=fold)[1])
    for flipped in (7, 18, 33):
        other = codes.copy()
        other[flipped] = (other[flipped] + 1) % n_classes
        after = step_features_by_row(fit_ratios(rows, other, weights=weights, fold=fold)[1])
        changed = np.array([not np.array_equal(one, two) for one, two in zip(before, after, strict=True)])
        assert rows[flipped] and not changed[fold == fold[flipped]].any()
        expected = np.array([bool(row) for row in rows]) & (fold != fold[flipped])
        assert changed[expected].mean() > 0.9


def test_ngrams_of_a_single_fold_have_ratios_of_zero_in_it():
    """Exactly 0 for any weights, without rounding errors."""
    rows = [[2, 3], [2, 3], [4, 5], [5, 4], [4], [5]]
    weights = [0.1, 0.7, 1 / 3, 3.3, 0.9, 1e-3]
    ratios, training = fit_ratios(rows, [0, 1, 0, 1, 1, 0], n_orders=2, weights=weights, fold=[0, 0, 1, 1, 1, 1])
    for found in step_features_by_row(training)[:2]:
        np.testing.assert_array_equal(found, 0)
    assert all(np.abs(found[:, 0]).min() > 1e-3 for found in step_features_by_row(apply(ratios, rows))[:2])


@pytest.mark.parametrize("weighted", [False, True])
def test_class_in_a_single_fold_has_ratios_of_zero(weighted):
    """If its ratios were 0 only in its own rows, they would reveal the label: they are 0 in all rows."""
    rows, codes = random_rows(30), np.arange(30) % 3
    rng = np.random.default_rng(0)
    weights = rng.uniform(0.1, 3, size=30) if weighted else None
    fold = np.where(codes == 1, 2, np.arange(30) // 10)
    for n_classes, unlearnable in ((3, [1]), (2, [0])):
        ratios, training = fit_ratios(rows, np.minimum(codes, n_classes - 1), n_orders=1, weights=weights, fold=fold)
        if n_classes == 2:  # Class 1 is in several folds here.
            assert training.step_features.any()
            ratios, training = fit_ratios(rows, codes == 1, n_classes=2, n_orders=1, weights=weights, fold=fold)
        for found in (training.step_features, apply(ratios, rows).step_features):
            assert not found[:, unlearnable].any()
            assert np.delete(found, unlearnable, axis=1).any(axis=0).all()


@pytest.mark.parametrize("weighted", [False, True])
def test_class_with_other_rows_in_a_single_fold_has_ratios_of_zero(weighted):
    """Without that fold there would be no other class, and the ratios 0 only in that fold: they are 0 in all rows."""
    rows, codes, fold = random_rows(30), np.zeros(30, dtype=int), np.arange(30) // 10
    weights = np.random.default_rng(0).uniform(0.1, 3, size=30) if weighted else None
    codes[20::2], codes[21::4] = 1, 2
    for unlearnable in ([0, 1, 2], [2]):
        ratios, training = fit_ratios(rows, codes, n_orders=1, weights=weights, fold=fold)
        for found in (training.step_features, apply(ratios, rows).step_features):
            assert not found[:, unlearnable].any()
            assert np.delete(found, unlearnable, axis=1).any(axis=0).all()
        codes[3] = 1  # Now the other rows of class 0 are in two folds, and so is class 1.


def test_class_without_rows_has_ratios_of_zero():
    rows, codes = random_rows(30), np.arange(30) % 2
    ratios, _ = fit_ratios(rows, codes, n_classes=3)
    two, _ = fit_ratios(rows, codes, n_classes=2)
    found, expected = apply(ratios, rows).step_features, apply(two, rows).step_features
    np.testing.assert_array_equal(found[:, 2::3], 0)
    np.testing.assert_allclose(found[:, 1::3], expected, rtol=1e-6)
    np.testing.assert_allclose(found[:, 0::3], -expected, rtol=1e-6)


# Weights


def test_weight_two_counts_a_row_twice():
    """If the weights add up to the same. For the selection of n-grams it is still one row."""
    rng = np.random.default_rng(0)
    rows, codes = random_rows(40), np.arange(40) % 3
    weights = rng.integers(1, 4, size=40)
    ratios, _ = fit_ratios(rows, codes, weights=weights)
    orders = reference(rows, codes)
    repeated = [position for position, weight in enumerate(weights) for _ in range(weight)]
    for n, ngrams in enumerate(orders, start=1):
        counts = {ngram: np.zeros(3) for ngram in ngrams}
        for position in repeated:
            for ngram in counts.keys() & set(ngrams_of(rows[position], n)):
                counts[ngram][codes[position]] += len(rows) / len(repeated)
        inside = np.array(list(counts.values()))
        total = inside.sum(axis=1, keepdims=True)
        p, q = 1 + inside, 1 + total - inside
        expected = np.log(p / p.sum(axis=0)) - np.log(q / q.sum(axis=0))
        expected *= total / (total + 2)
        found = [apply(ratios, [ngram]).step_features[-1, 3 * (n - 1) : 3 * n] for ngram in counts if ngram]
        np.testing.assert_allclose(found, expected[: len(found)], rtol=0, atol=1e-5)
        assert len(found) > 5


@pytest.mark.parametrize("scale", [1e-320, 1e-30, 4.0, 1e307])
def test_only_proportions_of_weights_matter(scale):
    rows, codes = random_rows(), np.arange(40) % 2
    weights = np.random.default_rng(0).integers(1, 5, size=40).astype(float)
    one, trained = fit_ratios(rows, codes, weights=weights)
    other, trained_too = fit_ratios(rows, codes, weights=weights * scale)
    for table, other_table in zip(one.tables_, other.tables_, strict=True):
        np.testing.assert_allclose(other_table, table, rtol=0, atol=1e-5)
    np.testing.assert_allclose(trained_too.step_features, trained.step_features, rtol=0, atol=1e-5)


def test_selection_of_ngrams_does_not_depend_on_weights():
    rows, codes = [[2, 3], [2, 3], [4, 5], [3, 2], [5, 4], [6]], [0, 1, 0, 1, 1, 0]
    for weights in ([1] * 6, [0.01, 0.01, 100, 1, 1, 1]):
        ratios, _ = fit_ratios(rows, codes, n_orders=2, weights=weights)
        assert pairs_of(ratios) == [[2, 3]]


# Selection of n-grams


def test_ngrams_repeated_in_one_row_have_no_ratios():
    rows, codes = [[2, 3, 2, 3, 2, 3], [2, 2], [4, 4], [3]], [1, 1, 0, 0]
    ratios, _ = fit_ratios(rows, codes, n_orders=2)
    assert not pairs_of(ratios)
    found = apply(ratios, [[2, 3], [4, 4]]).step_features
    assert found[0, 0] > 0.5 and found[2, 0] == 0 and not found[:, 1].any()
    ratios, _ = fit_ratios([*rows, [2, 3]], [*codes, 0], n_orders=2)
    assert pairs_of(ratios) == [[2, 3]]


def test_unseen_ngrams_have_ratios_of_zero():
    """An unseen token, an unseen pair of seen tokens, and no pair across the end of a row."""
    rows = [[2, 3, 4], [2, 3, 4], [5, 2, 6], [5, 2, 6]]
    ratios, _ = fit_ratios(rows, [0, 0, 1, 1])
    unseen, pair, across = step_features_by_row(apply(ratios, [[7, 8], [4, 5], [4]]))
    np.testing.assert_array_equal(unseen, 0)
    assert pair[:, 0].all() and not pair[:, 1:].any()
    assert across[0, 0] and not across[0, 1:].any()
    assert pairs_of(ratios) == [[2, 3], [2, 6], [3, 4], [5, 2]]
    found = apply(ratios, [[2, 3, 4], [7, 3, 4]])
    seen, after_unseen = step_features_by_row(found)
    assert seen[2].all()
    assert after_unseen[2, :2].tolist() == seen[2, :2].tolist() and after_unseen[2, 2] == 0


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("limit", [1, 3, 6, 15])
def test_ratios_with_a_limit_equal_the_reference(limit, n_classes):
    """N-grams without an id are part of the sums over all n-grams."""
    rows, codes = random_rows(60, seed=3), np.arange(60) % n_classes
    ratios, training = fit_ratios(rows, codes, limit=limit)
    orders = reference(rows, codes, limit=limit)
    assert [len(ngrams) for ngrams in orders[1:]] == [table.shape[1] for table in ratios.tables_[1:]]
    assert ratios.tables_[0].shape[1] == 1 + min(limit, VOCAB - 1)
    assert len(orders[1]) <= 1 + limit
    n_features = 1 if n_classes == 2 else n_classes
    for row, found in zip(rows, step_features_by_row(apply(ratios, rows)), strict=True):
        np.testing.assert_allclose(found, features_of(orders, row, n_features), rtol=0, atol=1e-5)
    assert training.step_features.shape == (sum(map(len, rows)), 3 * n_features)


def test_large_vocabulary_does_not_overflow():
    """The keys of n-grams, products of n-gram ids and the vocabulary size, exceed 32 bits."""
    vocab_size = 2**20
    large_ids = np.array([0, 1, *range(vocab_size - VOCAB + 2, vocab_size)])
    rows, codes = random_rows(), np.arange(40) % 2
    large_rows = [large_ids[row].tolist() for row in rows]
    one, training = fit_ratios(rows, codes)
    other, training_too = fit_ratios(large_rows, codes, vocab_size=vocab_size)
    for table, other_table in zip(one.tables_[1:], other.tables_[1:], strict=True):
        np.testing.assert_array_equal(other_table, table)
    np.testing.assert_array_equal(training_too.step_features[:, 1:], training.step_features[:, 1:])
    np.testing.assert_array_equal(apply(other, large_rows).step_features[:, 1:], apply(one, rows).step_features[:, 1:])
    assert other.tables_[0].shape == (1, VOCAB, 1), "no entries for ids that do not occur"


# Few rows, empty rows


def test_ratios_of_a_single_row_are_zero():
    ratios, training = fit_ratios([[2, 3]], [0], n_classes=2, fold=[0])
    np.testing.assert_array_equal(training.step_features, np.zeros((2, 3)))
    np.testing.assert_array_equal(apply(ratios, [[2, 3], [3]]).step_features, np.zeros((3, 3)))


@pytest.mark.parametrize("rows", [[[], []], [[2], []], [[2], [2]]])
def test_rows_without_tokens_or_pairs(rows):
    ratios, training = fit_ratios(rows, [0, 1], fold=[0, 1])
    assert training.step_features.shape == (sum(map(len, rows)), 3)
    assert apply(ratios, [[], [2, 3, 4], []]).step_features.shape == (3, 3)
    assert apply(ratios, [[], []]).step_features.shape == (0, 3)
    assert len(apply(ratios, [[], []])) == 2


# Encoded sequences


@pytest.mark.parametrize("trained", [False, True])
def test_take_selects_step_features(trained):
    rows, codes = random_rows(), np.arange(40) % 3
    ratios, training = fit_ratios(rows, codes)
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


def test_ratios_of_a_row_do_not_depend_on_other_rows():
    rows, codes = random_rows(), np.arange(40) % 2
    ratios, _ = fit_ratios(rows, codes)
    new = random_rows(25, seed=5)
    for row, expected in zip(new, step_features_by_row(apply(ratios, new)), strict=True):
        np.testing.assert_array_equal(apply(ratios, [row]).step_features, expected)
    for row, expected in zip(new[::-1], step_features_by_row(apply(ratios, new[::-1])), strict=True):
        np.testing.assert_array_equal(apply(ratios, [row]).step_features, expected)


def test_ratios_do_not_depend_on_the_order_of_rows():
    rng = np.random.default_rng(0)
    rows, codes, weights = random_rows(), np.arange(40) % 3, rng.uniform(0.1, 9, size=40)
    order = rng.permutation(40)
    one, _ = fit_ratios(rows, codes, weights=weights)
    other, _ = fit_ratios([rows[row] for row in order], codes[order], weights=weights[order])
    for table, other_table in zip(one.tables_, other.tables_, strict=True):
        np.testing.assert_array_equal(table, other_table)


# Other combinations


def test_label_with_other_rows_in_one_fold_has_ratios_of_zero():
    """Rows have several labels; the only row without the first label is in fold 2."""
    rows = [[2, 3 + row % 2] for row in range(20)]
    memberships = np.stack([np.arange(20) != 7, np.arange(20) % 2], axis=1).astype(float)
    _, training = fit_ratios(
        rows, None, n_orders=1, vocab_size=5, fold=np.arange(20) % 5, memberships=csr_array(memberships)
    )
    assert not training.step_features[:, 0].any() and training.step_features[:, 1].any()


def test_loss_weights_do_not_matter():
    """They weight errors, not rows."""
    rows, codes = random_rows(), np.arange(40) % 3
    plain, training = fit_ratios(rows, codes)
    other, training_too = fit_ratios(rows, codes, loss_weights=np.random.default_rng(0).uniform(0, 9, size=40))
    for table, other_table in zip(plain.tables_, other.tables_, strict=True):
        np.testing.assert_array_equal(table, other_table)
    np.testing.assert_array_equal(training.step_features, training_too.step_features)


def test_n_orders_below_that_of_ngrams():
    """Other features can use the ids of the longer n-grams."""
    rows, codes = random_rows(), np.arange(40) % 3
    expected, expected_training = fit_ratios(rows, codes, n_orders=2)
    ids = ragged_ids(rows)
    ngrams = NGrams(5, VOCAB)
    ratios = LogCountRatios(ngrams, 2)
    fold = expected_training.features.version - 1
    supervision = Supervision(memberships_of(codes, 3), np.ones(40), np.ones(40), fold, calibrate=None)
    features = ratios.fit_transform(list(ngrams.fit_transform(ids, 2**22)), supervision)
    assert len(ngrams.longer_) == 4 and sum(table.shape[2] for table in ratios.tables_) == 6
    np.testing.assert_array_equal(EncodedSequences(ids, features).step_features, expected_training.step_features)
    np.testing.assert_array_equal(apply(ratios, rows[::-1]).step_features, apply(expected, rows[::-1]).step_features)


# Multilabel: each label is independent


def random_labels(n, seed=0):
    """Three labels: of half of the rows, of the rows of a single fold, of all rows."""
    rng = np.random.default_rng(seed)
    fold = np.arange(n) % 4
    return np.stack([rng.random(n) < 0.5, fold == 2, np.ones(n)], axis=1).astype(float), fold


def test_ratios_of_a_label_do_not_depend_on_other_labels():
    """To the bit, for all folds and any weights."""
    rows, weights = random_rows(), np.random.default_rng(1).uniform(0.1, 2, size=40)
    members, fold = random_labels(40)
    members[:, 1] = np.random.default_rng(2).random(40) < 0.2
    settings = {"codes": None, "weights": weights, "fold": fold}
    ratios, training = fit_ratios(rows, memberships=csr_array(members), exclusive=False, **settings)
    for i in range(3):
        expected, expected_training = fit_ratios(rows, memberships=csr_array(members[:, [i]]), **settings)
        for one, other in zip(ratios.tables_, expected.tables_, strict=True):
            np.testing.assert_array_equal(one[..., [i]], other)
        np.testing.assert_array_equal(training.step_features[:, i::3], expected_training.step_features)
        found = apply(ratios, rows[:9]).step_features[:, i::3]
        np.testing.assert_array_equal(found, apply(expected, rows[:9]).step_features)
    assert ratios.tables_[0][..., :2].any(axis=(0, 1)).all()


def test_ratios_of_labels_equal_the_reference():
    """A row counts once against a label that it does not have, no matter how many other labels it has."""
    rows, members = random_rows(), (np.random.default_rng(2).random((40, 3)) < [0.6, 0.5, 0.3]).astype(float)
    ratios, _ = fit_ratios(rows, None, memberships=csr_array(members), exclusive=False, n_orders=1)
    for i, column in enumerate(members.T.astype(int)):
        (expected,) = reference(rows, column.tolist(), n_orders=1)
        of_tokens = ratios.tables_[0][0, ratios.ngrams.of_tokens_, i]
        np.testing.assert_allclose(of_tokens, [expected[(token,)][0] for token in range(VOCAB)], atol=1e-6)


def test_label_in_one_fold_and_label_of_all_rows_have_ratios_of_zero():
    members, fold = random_labels(40)
    ratios, training = fit_ratios(random_rows(), None, memberships=csr_array(members), exclusive=False, fold=fold)
    assert not training.step_features[:, 1::3].any() and not training.step_features[:, 2::3].any()
    assert training.step_features[:, ::3].any()
    assert all(not table[..., 1:].any() and table[..., 0].any() for table in ratios.tables_)


def test_ratios_of_a_fold_do_not_depend_on_its_label_sets():
    rows, fold = random_rows(), np.arange(40) % 4
    members = (np.random.default_rng(2).random((40, 3)) < 0.5).astype(float)
    other = members.copy()
    other[7] = 1 - other[7]
    before, after = (
        fit_ratios(rows, None, memberships=csr_array(each), exclusive=False, fold=fold)[1] for each in (members, other)
    )
    in_fold = np.repeat(fold == fold[7], before.lengths)
    np.testing.assert_array_equal(after.step_features[in_fold], before.step_features[in_fold])
    assert (after.step_features[~in_fold, :3] != before.step_features[~in_fold, :3]).any(axis=0).all()
