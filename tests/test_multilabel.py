"""Both classifiers with an indicator matrix as y: any number of labels per row, each learned independently."""

import pickle
import re
import warnings

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.sparse import coo_matrix, csc_array, csr_array, csr_matrix
from sklearn.base import clone
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict
from sklearn.preprocessing import MultiLabelBinarizer

from seqclf import RNNClassifier, RNNTextClassifier

QUICK = {"units": 4, "max_epochs": 2, "batch_size": 16, "random_state": 0}
WORDS = np.array([f"w{i}" for i in range(12)])


def text_rows(n, seed=0):
    """A label is 1 if its word occurs: in about a third, a sixth and a third of the rows."""
    rng = np.random.default_rng(seed)
    texts = [" ".join(rng.choice(WORDS, size=rng.integers(3, 7))) for _ in range(n)]
    return texts, np.array([[word in text.split() for word in ("w0", "w2", "w3")] for text in texts], dtype=int)


def series_rows(n, seed=0):
    """A label is 1 if its channel rises, which the third one rarely does."""
    rng = np.random.default_rng(seed)
    y = (rng.random((n, 3)) < [0.5, 0.5, 0.2]).astype(int)
    lengths = rng.integers(8, 12, size=n)
    slopes = [np.outer(np.linspace(-2, 2, length), 2 * row - 1) for length, row in zip(lengths, y, strict=True)]
    return [rng.normal(size=slope.shape) + slope for slope in slopes], y


KINDS = {"texts": (RNNTextClassifier, text_rows), "series": (RNNClassifier, series_rows)}
every_kind = pytest.mark.parametrize("kind", KINDS)


def make(kind, **changes):
    return KINDS[kind][0](**(QUICK | changes))


@pytest.fixture(scope="module")
def rows():
    """80 training rows and 40 new ones, of each kind."""
    return {kind: (*draw(80), *draw(40, seed=1)) for kind, (_, draw) in KINDS.items()}


@pytest.fixture(scope="module")
def fitted(rows):
    """A fitted model for each kind, which tests must not change."""
    return {kind: make(kind).fit(*rows[kind][:2]) for kind in KINDS}


def assert_same_model(one, other, X):
    for (name, array), theirs in zip(
        one.network_.to_arrays().items(), other.network_.to_arrays().values(), strict=True
    ):
        np.testing.assert_array_equal(array, theirs, err_msg=name)
    np.testing.assert_array_equal(one.decision_function(X), other.decision_function(X))


# --- predictions


@every_kind
def test_predictions_have_the_shapes_of_multilabel_classifiers(kind, fitted, rows):
    model, X = fitted[kind], rows[kind][2]
    assert model.classes_.tolist() == [0, 1, 2]
    logits, p = model.decision_function(X), model.predict_proba(X)
    assert logits.shape == p.shape == (40, 3)
    np.testing.assert_allclose(p, 1 / (1 + np.exp(-logits)), rtol=1e-12)
    np.testing.assert_allclose(model.predict_log_proba(X), np.log(p), rtol=1e-9, atol=1e-12)
    predicted = model.predict(X)
    assert type(predicted) is np.ndarray and predicted.dtype == np.int64
    np.testing.assert_array_equal(predicted, p > 0.5)
    assert set(predicted.sum(axis=1).tolist()) >= {0, 1, 2}, "any number of labels"


@every_kind
def test_labels_are_learned(kind, fitted, rows):
    _, y, X_new, y_new = rows[kind]
    assert fitted[kind].score(X_new, y_new) > 0.8
    most_frequent = (y.mean(axis=0) > 0.5).astype(int)
    assert (y_new == most_frequent).all(axis=1).mean() < 0.5


@every_kind
def test_score_is_the_fraction_of_rows_with_all_labels_correct(kind, rows):
    X, y, X_new, y_new = rows[kind]
    weights = np.random.default_rng(0).uniform(0.1, 2, size=40)
    model = make(kind, max_epochs=1, wide=False).fit(X, y, X_val=X_new, y_val=y_new, sample_weight_val=weights)
    is_correct = (model.predict(X_new) == y_new).all(axis=1)
    score = model.score(X_new, y_new, weights)
    assert score == pytest.approx(np.average(is_correct, weights=weights))
    assert score == pytest.approx(model.history_[-1]["valid_score"], rel=1e-5)
    assert 0 < is_correct.mean() < (model.predict(X_new) == y_new).mean()
    assert model.score(X_new, csr_array(y_new)) == accuracy_score(y_new, model.predict(X_new))


@every_kind
def test_each_label_has_ratios_and_scores(kind, fitted):
    model = fitted[kind]
    assert model.wide_.coef_.shape[1] == 3
    assert model.wide_.calibration_.slope.shape == model.wide_.calibration_.offset.shape == (3,)
    if kind == "texts":
        assert [table.shape[2] for table in model.nb_ratios_.tables_] == [3, 3, 3]


@every_kind
def test_random_labels_are_predicted_by_their_frequency(kind):
    """On new rows the loss is the entropy of the frequencies, plus the cost of learning from 300 rows."""
    draw = KINDS[kind][1]
    costs = []
    for seed in range(3):
        rng, frequencies = np.random.default_rng(seed + 100), np.array([0.5, 0.2, 0.05])
        y = (rng.random((300, 3)) < frequencies).astype(int)
        model = KINDS[kind][0](random_state=seed, max_epochs=3).fit(draw(300, seed)[0], y)
        p = model.predict_proba(draw(200, seed + 10)[0])
        costs.append(-(frequencies * np.log(p) + (1 - frequencies) * np.log(1 - p)).mean(axis=0))
    entropy = -(frequencies * np.log(frequencies) + (1 - frequencies) * np.log(1 - frequencies))
    assert (np.mean(costs, axis=0) < entropy + 0.03).all()


# --- forms of y

Y = text_rows(80)[1]
FORMS = {
    "list": Y.tolist(),
    "bool": Y.astype(bool),
    "float": Y.astype(float),
    "pandas": pd.DataFrame(Y, columns=list("uvw")),
    "polars": pl.DataFrame(Y),
    "csr": csr_array(Y),
    "csr_matrix, float": csr_matrix(Y.astype(float)),
    "csc, bool": csc_array(Y.astype(bool)),
    "coo": coo_matrix(Y),
}


@pytest.mark.parametrize("form", FORMS)
def test_model_does_not_depend_on_the_container_of_y(form, fitted, rows):
    assert_same_model(make("texts").fit(rows["texts"][0], FORMS[form]), fitted["texts"], rows["texts"][2])


def test_labels_binarised_by_scikit_learn():
    texts, y = text_rows(40)
    named = [[name for name, has in zip("abc", row, strict=True) if has] for row in y]
    with pytest.raises(ValueError, match=r"Row \d+ of y holds \d labels, .*sklearn.preprocessing.MultiLabelBinarizer"):
        make("texts").fit(texts, named)
    binarizer = MultiLabelBinarizer(sparse_output=True)
    model = make("texts").fit(texts, binarizer.fit_transform(named))
    assert_same_model(model, make("texts").fit(texts, y), texts)
    assert set(binarizer.inverse_transform(model.predict(texts[:9]))) <= {*map(tuple, named)}


def changed(value, dtype=object):
    y = Y.astype(dtype)
    y[7, 1] = value
    return y


BAD = {
    "2": (changed(2, int), "or an indicator matrix of 0 and 1, but row 7 holds 2"),
    "-1": (changed(-1, int), "row 7 holds -1"),
    "nan": (changed(np.nan, float), "row 7 holds nan"),
    "None": (changed(None), "row 7 holds None"),
    "text": (Y.astype(str), "row 0 holds '"),
    "frame": (pd.DataFrame(changed(2, int)), r"row 7 holds 2.*Pick the column"),
    "sparse": (csr_array(changed(2, int)), "y holds 2 in row 7: expected an indicator matrix"),
    "3-D": (Y[:, :, None], "y must be one label for each row of X.*dim 3"),
    "short": (Y[:79], "y has 79 rows, but X has 80: expected an indicator matrix"),
    "sparse, short": (csr_array(Y[:79]), "y has 79 rows, but X has 80: expected an indicator matrix"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_values_of_y_are_an_error(case, rows):
    y, words = BAD[case]
    model = make("texts")
    with pytest.raises(ValueError, match=words):
        model.fit(rows["texts"][0], y)
    assert not hasattr(model, "classes_")


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (np.ma.masked_array(Y), "y is a masked array"),
        (csr_array(Y[:, :1]), "y is a sparse matrix of shape .*or an indicator matrix with a column for each"),
    ],
)
def test_other_types_of_y_are_an_error(y, words, rows):
    with pytest.raises(TypeError, match=words):
        make("texts").fit(rows["texts"][0], y)


def test_one_hot_y_warns(rows):
    one_hot = np.eye(3)[np.arange(80) % 3]
    with pytest.warns(UserWarning, match=r"one 1 in each row.*y\.argmax\(axis=1\)") as caught:
        model = make("texts").fit(rows["texts"][0], one_hot)
    assert len(caught) == 1
    assert model.predict_proba(rows["texts"][2]).shape == (40, 3)


@pytest.mark.parametrize("class_weight", ["balanced", {0: 1, 1: 2}])
def test_class_weight_with_labels_is_an_error(class_weight, rows):
    words = f"class_weight={class_weight!r} weights classes against each other, but the labels of an indicator matrix"
    with pytest.raises(ValueError, match=re.escape(words)):
        make("texts", class_weight=class_weight).fit(rows["texts"][0], Y)


@every_kind
@pytest.mark.parametrize("patience", [None, 1])
def test_constant_labels(kind, patience, rows):
    X, y, X_new, _ = rows[kind]
    y = np.column_stack([y, np.zeros(80), np.ones(80)])
    model = make(kind, patience=patience).fit(X, y)
    p = model.predict_proba(X_new)
    assert np.isfinite(model.predict_log_proba(X_new)).all()
    assert (p[:, 3] < 0.1).all() and (p[:, 4] > 0.9).all()
    assert (model.predict(X_new)[:, :3].sum(axis=0) > 0).all()


@every_kind
@pytest.mark.parametrize("n", [1, 2, 3])
def test_fit_with_few_rows(kind, n, rows):
    """A single row remains if all others have a weight of 0."""
    X, y, X_new, _ = rows[kind]
    model = make(kind).fit(X[:3], y[[0, 1, 2]], sample_weight=np.arange(3) < n)
    assert np.isfinite(model.predict_log_proba(X_new)).all()


# --- weights, validation rows and groups


@every_kind
def test_sample_weight_of_zero_equals_removal(kind, rows):
    X, y, X_new, _ = rows[kind]
    weights = np.arange(80) % 4
    kept = np.flatnonzero(weights)
    weighted = make(kind, patience=1).fit(X, y, weights)
    without = make(kind, patience=1).fit([X[row] for row in kept], y[kept], weights[kept])
    assert_same_model(weighted, without, X_new)
    plain = make(kind, patience=1).fit([X[row] for row in kept], y[kept])
    assert np.abs(weighted.decision_function(X_new) - plain.decision_function(X_new)).max() > 1e-3


@every_kind
def test_y_val_can_be_sparse(kind, rows):
    X, y, X_new, y_new = rows[kind]
    models = [make(kind, patience=1).fit(X, y, X_val=X_new, y_val=form(y_new)) for form in (np.array, csr_array)]
    assert_same_model(*models, X_new)
    assert models[0].history_[-1]["valid_loss"] == models[1].history_[-1]["valid_loss"]


@pytest.mark.parametrize(
    ("y_val", "words"),
    [
        (Y[:5, :2], "y_val has 2 columns, but y of fit had 3: expected one for each label"),
        (csr_array(Y[:5, [0, 1, 2, 2]]), "y_val has 4 columns, but y of fit had 3"),
        (Y[:5, 0], r"y_val has the shape \(5,\): expected an indicator matrix of shape \(5, n_labels\)"),
        (2 * Y[:5], "y_val holds 2 in row"),
        (Y[:4], "y_val has 4 rows, but X_val has 5"),
    ],
)
def test_y_val_of_another_form_is_an_error(y_val, words, rows):
    X = rows["texts"][0]
    with pytest.raises(ValueError, match=words):
        make("texts").fit(X, Y, X_val=X[:5], y_val=y_val)


def test_y_val_of_labels_for_classes_is_an_error(rows):
    X = rows["texts"][0]
    with pytest.raises(ValueError, match=r"y_val should be a 1d array, got an array of shape \(5, 3\) instead"):
        make("texts").fit(X, Y[:, 0], X_val=X[:5], y_val=Y[:5])


def test_x_val_with_one_label_per_row_does_not_warn(rows):
    X, y, *_ = rows["texts"]
    only = np.flatnonzero(y.sum(axis=1) == 1)[:2]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = make("texts").fit(X, y, X_val=[X[row] for row in only], y_val=y[only])
    assert "valid_loss" in model.history_[0]


@every_kind
def test_validation_split_contains_every_label(kind, training_data, rows):
    X, y, *_ = rows[kind]
    y = y.copy()
    y[:, 2] = np.arange(80) % 20 == 0  # four rows
    model = make(kind, patience=1, max_epochs=4, validation_fraction=0.2).fit(X, y)
    training, validation = training_data
    assert len(training) + len(validation) == 80 and 12 <= len(validation) <= 18
    assert validation.targets.sum(axis=0).min() >= 1 and validation.targets[:, 2].sum() == 1
    losses = [epoch["valid_loss"] for epoch in model.history_]
    assert model.best_epoch_ == 1 + int(np.argmin(losses))


@every_kind
@pytest.mark.parametrize("of_one_label", [False, True])
def test_groups_are_not_split_by_validation(kind, of_one_label, training_data):
    """Also if each group has its own label, so that no split keeps every label in training."""
    groups = np.arange(80) // 4
    y = np.hstack([np.eye(20)[groups], np.ones((80, 1))]) if of_one_label else Y
    # Each row holds its index + 1.
    X = [[row + 1] for row in range(80)] if kind == "texts" else [[float(row + 1)] for row in range(80)]
    changes = {} if kind == "texts" else {"scale": False, "learning_rate": 1e-6}
    make(kind, patience=1, validation_fraction=0.25, **changes).fit(X, y, groups=groups)
    training, validation = ((part.sequences.steps.values.ravel() - 1).astype(int) for part in training_data)
    assert sorted([*training, *validation]) == list(range(80))
    assert not set(groups[training]) & set(groups[validation])
    assert 12 <= len(validation) <= 28


# --- warm start


@every_kind
def test_warm_start_needs_the_same_number_of_labels(kind, rows):
    X, y, X_new, _ = rows[kind]
    model = make(kind, warm_start=True).fit(X, y)
    before = model.decision_function(X_new)
    model.fit(X, csr_array(y))
    assert np.abs(model.decision_function(X_new) - before).max() > 1e-3
    for other, words in (
        (y[:, :2], "a column for each of the 3 labels of the first fit; got 2"),
        (np.hstack([y, y]), "a column for each of the 3 labels of the first fit; got 6"),
        (y[:, 0], "y must stay 'several labels per row' as in the first fit; got 'one class per row'"),
    ):
        after = model.decision_function(X_new)
        with pytest.raises(ValueError, match=words):
            model.fit(X, other)
        np.testing.assert_array_equal(model.decision_function(X_new), after)
        assert model.classes_.tolist() == [0, 1, 2]


def test_warm_start_from_classes_to_labels_is_an_error(rows):
    X, y, *_ = rows["texts"]
    model = make("texts", warm_start=True).fit(X, y[:, 0])
    with pytest.raises(
        ValueError, match="must stay 'one class per row' as in the first fit; got 'several labels per row'"
    ):
        model.fit(X, y)
    assert model.set_params(warm_start=False).fit(X, y).classes_.tolist() == [0, 1, 2]


# --- tools of scikit-learn


@every_kind
def test_copies_have_equal_predictions(kind, fitted, rows, tmp_path):
    model, X = fitted[kind], rows[kind][2]
    joblib.dump(model, tmp_path / "model.joblib")
    for copy in (pickle.loads(pickle.dumps(model)), joblib.load(tmp_path / "model.joblib")):
        assert_same_model(copy, model, X)
        np.testing.assert_array_equal(copy.predict(X), model.predict(X))
    assert_same_model(clone(model).fit(*rows[kind][:2]), model, X)


@pytest.mark.parametrize("form", [np.array, csr_array])
def test_grid_search_with_labels(form, rows):
    X, y, *_ = rows["texts"]
    search = GridSearchCV(make("texts"), {"max_epochs": [1, 2]}, scoring="f1_macro", cv=KFold(2), refit=False)
    search.fit(X, form(y))
    train, test = next(KFold(2).split(X))
    model = make("texts", max_epochs=2).fit([X[row] for row in train], y[train])
    expected = f1_score(y[test], model.predict([X[row] for row in test]), average="macro")
    assert search.cv_results_["split0_test_score"][1] == expected > 0


@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function"])
def test_cross_val_predict_with_labels(method, rows):
    X, y, *_ = rows["texts"]
    found = cross_val_predict(make("texts"), X, y, cv=KFold(2), method=method)
    train, test = next(KFold(2).split(X))
    model = make("texts").fit([X[row] for row in train], y[train])
    np.testing.assert_array_equal(found[test], getattr(model, method)([X[row] for row in test]))


# --- invariances


@every_kind
def test_predictions_do_not_depend_on_other_rows_and_batches(kind, fitted, rows, tune):
    model, X = fitted[kind], rows[kind][2]
    expected = model.decision_function(X)
    assert len(np.unique(expected.round(6), axis=0)) > 20
    for row in range(0, 40, 4):
        np.testing.assert_allclose(model.decision_function(X[row : row + 1])[0], expected[row], rtol=0, atol=1e-13)
    order = np.random.default_rng(0).permutation(40)
    found = model.decision_function([X[row] for row in order])
    np.testing.assert_allclose(found, expected[order], rtol=0, atol=1e-13)
    tune(prediction_rows=3)
    np.testing.assert_allclose(model.decision_function(X), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("side", ["start", "end"])
def test_padding_does_not_change_predictions(side, rows):
    X, y, X_new, _ = rows["series"]

    def padded(series):
        array = np.full((len(series), 15, 3), np.nan)
        for row, steps in zip(array, series, strict=True):
            row[slice(0, len(steps)) if side == "end" else slice(15 - len(steps), None)] = steps
        return array

    model = make("series").fit(padded(X), y)
    assert_same_model(model, make("series").fit(X, y), X_new)
    np.testing.assert_allclose(model.predict_proba(padded(X_new)), model.predict_proba(X_new), rtol=0, atol=1e-13)


@every_kind
def test_n_threads_does_not_change_the_model(kind, rows):
    X, y, X_new, _ = rows[kind]
    assert_same_model(*(make(kind, n_threads=n_threads).fit(X, y) for n_threads in (1, 2)), X_new)


@every_kind
def test_fit_and_predict_do_not_use_global_random_generators(kind, rows, unchanged_global_state):
    X, y, X_new, _ = rows[kind]
    make(kind, patience=1).fit(X, y).predict(X_new)
