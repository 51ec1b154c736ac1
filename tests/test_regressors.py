"""RNNRegressor and RNNTextRegressor: the properties that both have, for every kind of input."""

import pickle
import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone, is_regressor
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline

from seqclf import RNNRegressor, RNNTextRegressor, SequencePadder, TextTokenizer
from seqclf._tasks.regression import LOSSES

QUICK = {"units": 4, "max_epochs": 2, "batch_size": 8, "random_state": 0}
WORDS = {"awful": -2.0, "poor": -1.0, "so": 0.0, "fine": 1.0, "superb": 2.0}


def texts(n=60, seed=0):
    rng = np.random.default_rng(seed)
    rows = [rng.choice(list(WORDS), size=rng.integers(1, 9)).tolist() for _ in range(n)]
    return [" ".join(row) for row in rows], np.array([sum(WORDS[word] for word in row) for row in rows]) * 3 + 100


def tokens(n=60, seed=0):
    rows, y = texts(n, seed)
    return [row.split() for row in rows], y


def ids(n=60, seed=0):
    rows, y = tokens(n, seed)
    numbers = {word: i for i, word in enumerate(WORDS, start=2)}
    return [[numbers[word] for word in row] for row in rows], y


def series(n=60, seed=0):
    rng = np.random.default_rng(seed)
    rows = [rng.normal(size=(rng.integers(3, 20), 2)) for _ in range(n)]
    return rows, np.array([row[:, 0].max() - row[:, 1].min() for row in rows]) * 3 + 100


def table(n=60, seed=0):
    X = np.random.default_rng(seed).normal(size=(n, 12))
    return X, X.max(axis=1) * 3 + 100


CASES = {
    "texts": (RNNTextRegressor, texts),
    "tokens": (RNNTextRegressor, tokens),
    "ids": (RNNTextRegressor, ids),
    "series": (RNNRegressor, series),
    "table": (RNNRegressor, table),
}
every_case = pytest.mark.parametrize(("make", "data"), CASES.values(), ids=list(CASES))
every_class = pytest.mark.parametrize(("make", "data"), [CASES["texts"], CASES["series"]], ids=["texts", "series"])


def take(X, rows):
    return X[rows] if isinstance(X, np.ndarray) else [X[row] for row in rows]


@every_case
def test_learns_and_score_is_r_squared(make, data):
    X, y = data(300)
    X_new, y_new = data(200, seed=1)
    model = make(random_state=0).fit(X, y)
    predicted = model.predict(X_new)
    assert predicted.shape == (200,) and predicted.dtype == np.float64
    assert model.score(X_new, y_new) == pytest.approx(r2_score(y_new, predicted))
    assert model.score(X_new, y_new) > 0.5
    assert is_regressor(model)
    assert abs(model.target_center_[0] - y.mean()) < 1e-9 and abs(model.target_scale_[0] - y.std()) < 1e-9


@every_case
def test_several_targets_are_learned(make, data):
    X, y = data(120)
    Y = np.column_stack([y, -5 * y, np.full(len(y), 7.25)])
    model = make(**QUICK).fit(X, Y)
    predicted = model.predict(X)
    assert predicted.shape == Y.shape
    assert (predicted[:, 2] == 7.25).all()
    assert np.corrcoef(predicted[:, 0], predicted[:, 1])[0, 1] < -0.8
    assert model.score(X, Y) == pytest.approx(r2_score(Y, predicted))
    assert model.network_.config.n_outputs == 3


@every_class
def test_predict_keeps_the_shape_of_a_column(make, data):
    X, y = data()
    one, other = make(**QUICK).fit(X, y), make(**QUICK).fit(X, y[:, None])
    np.testing.assert_array_equal(one.predict(X)[:, None], other.predict(X))


@every_class
@pytest.mark.parametrize("loss", LOSSES)
def test_only_robust_losses_ignore_outliers(make, data, loss):
    X, y = data(300)
    y = y.copy()
    y[:3] += 1e4
    model = make(loss=loss, random_state=0).fit(X, y)
    X_new, y_new = data(200, seed=1)
    spread = np.abs(y_new - np.median(y_new)).mean()
    error = np.abs(model.predict(X_new) - y_new).mean()
    # Three rows of 10,000 dominate the squared error.
    assert (error < 0.8 * spread) == (loss != "squared_error")
    losses = [epoch["train_loss"] for epoch in model.history_]
    assert np.isfinite(losses).all()


@every_class
def test_predictions_are_in_the_range_of_y(make, data):
    X, y = data(100)
    model = make(**QUICK).fit(X, y > 100)
    predicted = model.predict(data(300, seed=1)[0])
    assert predicted.min() >= 0 and predicted.max() <= 1


@every_class
def test_the_network_is_shrunk_if_rows_are_few(make, data):
    """By a factor of n / (n + 100), unless there are validation rows or the start is warm."""
    X, y = data(60)
    validation = {"X_val": X[:5], "y_val": y[:5]}
    shrunk, whole = make(**QUICK).fit(X, y), make(**QUICK).fit(X, y, **validation)
    factor = 60 / 160
    heads = [model.network_.head for model in (shrunk, whole)]
    for name in ("weight", "bias"):
        values, unscaled = (getattr(head, name).detach().numpy() for head in heads)
        np.testing.assert_allclose(values, factor * unscaled, rtol=1e-5)
    scores, unscaled = (head.score_weights.detach().numpy() for head in heads)
    np.testing.assert_allclose(scores, 1 + factor * (unscaled - 1), rtol=1e-5)

    first = make(**QUICK, warm_start=True).fit(X, y)
    warm, with_validation = (pickle.loads(pickle.dumps(first)) for _ in range(2))
    np.testing.assert_array_equal(warm.fit(X, y).predict(X), with_validation.fit(X, y, **validation).predict(X))


@every_class
def test_the_network_is_not_shrunk_if_rows_are_held_out(make, data, monkeypatch):
    X, y = data(60)
    monkeypatch.setattr("seqclf._nn.head.Head.shrink", lambda head, factor: pytest.fail("the network was shrunk"))
    assert make(**QUICK, patience=1).fit(X, y).n_iter_ <= 2


@every_class
def test_the_network_is_not_shrunk_without_a_linear_model(make, data):
    X, y = data(40)
    model = make(**QUICK, wide=False).fit(X, y)
    outputs = model._outputs(X)
    np.testing.assert_array_equal(model.predict(X), model._task.decode(outputs))
    assert model.network_.head.score_weights is None


@every_class
def test_noise_is_predicted_by_about_its_mean(make, data):
    X, _ = data(200)
    y = np.random.default_rng(5).normal(size=200)
    model = make(random_state=0).fit(X[:100], y[:100])
    error = np.sqrt(np.mean((model.predict(X[100:]) - y[100:]) ** 2))
    assert error < 1.12 * np.sqrt(np.mean((y[:100].mean() - y[100:]) ** 2))


# Invariances


@every_case
def test_predictions_do_not_depend_on_other_rows_and_batches(make, data, tune):
    X, y = data(40)
    model = make(**QUICK).fit(X, y)
    expected = model.predict(X)
    for row in range(0, 40, 7):
        assert model.predict(take(X, [row]))[0] == expected[row]
    order = np.random.default_rng(0).permutation(40)
    np.testing.assert_array_equal(model.predict(take(X, order)), expected[order])
    for n_threads in (1, 2, 3):
        np.testing.assert_array_equal(model.set_params(n_threads=n_threads).predict(X), expected)
    tune(prediction_rows=3)
    np.testing.assert_array_equal(model.predict(X), expected)


@pytest.mark.parametrize("side", ["start", "end"])
@pytest.mark.parametrize("case", ["ids", "series"])
def test_padding_does_not_change_predictions(case, side):
    make, data = CASES[case]
    X, y = data()
    padder = SequencePadder(padding=side, value=0 if case == "ids" else np.nan)
    model = make(**QUICK).fit(X, y)
    padded = padder.fit_transform(X)
    np.testing.assert_array_equal(model.predict(padded), model.predict(X))
    np.testing.assert_array_equal(make(**QUICK).fit(padded, y).predict(X), model.predict(X))


@every_class
def test_random_state_determines_the_model(make, data, unchanged_global_state):
    X, y = data()
    one, other = make(**QUICK).fit(X, y), make(**QUICK).fit(X, y)
    np.testing.assert_array_equal(one.predict(X), other.predict(X))


# Weights, validation, groups, warm starts


@every_class
def test_sample_weight_of_zero_removes_rows_and_only_proportions_matter(make, data):
    X, y = data()
    rng = np.random.default_rng(0)
    weights = rng.integers(0, 3, size=60).astype(float)
    kept = np.flatnonzero(weights)
    y_wild = np.where(weights > 0, y, 1e6)
    model = make(**QUICK).fit(X, y_wild, weights)
    removed = make(**QUICK).fit(take(X, kept), y[kept], weights[kept] * 4)
    np.testing.assert_array_equal(model.predict(X), removed.predict(X))
    assert not np.array_equal(model.predict(X), make(**QUICK).fit(take(X, kept), y[kept]).predict(X))


@every_class
def test_valid_score_is_the_score_of_predictions(make, data):
    X, y = data(80)
    X_val, y_val = data(30, seed=1)
    model = make(**QUICK).fit(X, y, X_val=X_val, y_val=y_val)
    assert model.history_[-1]["valid_score"] == pytest.approx(r2_score(y_val, model.predict(X_val)), abs=1e-5)
    assert {"train_loss", "train_score", "valid_loss", "valid_score"} <= set(model.history_[0])
    with pytest.raises(ValueError, match=r"y_val has the shape \(30, 2\): expected \(30,\)"):
        make(**QUICK).fit(X, y, X_val=X_val, y_val=np.column_stack([y_val, y_val]))


@every_class
def test_early_stopping_restores_the_best_weights(make, data):
    X, y = data(80)
    model = make(**(QUICK | {"max_epochs": 30}), patience=2, learning_rate=0.05).fit(X, y)
    losses = [epoch["valid_loss"] for epoch in model.history_]
    assert model.best_epoch_ == 1 + int(np.argmin(losses)) or min(losses) > losses[model.best_epoch_ - 1] - 1e-4


@every_class
def test_groups_are_validated_and_used(make, data):
    X, y = data()
    model = make(**QUICK, patience=1, validation_fraction=0.3).fit(X, y, groups=np.arange(60) // 6)
    assert "valid_loss" in model.history_[0]
    with pytest.raises(ValueError, match="groups holds only one group"):
        make(**QUICK).fit(X, y, groups=np.zeros(60))


@every_class
def test_warm_start_keeps_the_target_scale_of_the_first_fit(make, data):
    X, y = data()
    model = make(**QUICK, warm_start=True).fit(X, y)
    center = model.target_center_.copy()
    model.fit(X, y + 50)
    np.testing.assert_array_equal(model.target_center_, center)
    assert y.min() <= model.predict(X).min() and model.predict(X).max() <= y.max() + 50
    with pytest.raises(ValueError, match=r"y has the shape \(60, 2\): expected \(60,\)"):
        model.fit(X, np.column_stack([y, y]))


# Bad input


@every_class
@pytest.mark.parametrize("fitted_before", [False, True])
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (lambda y: [*y[:-1], np.nan], "Input y contains NaN: the target of row 59 is nan"),
        (lambda y: [*y[:-1], -np.inf], "Input y contains infinity: the target of row 59"),
        (lambda y: [*y[:-1], "many"], "y holds 'many' as the target of row 59: expected numbers, not text"),
        (lambda y: y + 1j, "Complex data not supported: y holds .* row 0"),
        (lambda y: y[:-1], "y has 59 rows, but X has 60"),
        (lambda y: None, "requires y to be passed"),
        (lambda y: [[1, 2], *([[3]] * 59)], "Row 0 of y holds 2 values"),
    ],
)
def test_bad_targets_are_an_error(make, data, bad, message, fitted_before):
    X, y = data()
    model = make(**QUICK)
    before = model.fit(X, y).predict(X) if fitted_before else None
    with pytest.raises(ValueError, match=message):
        model.fit(X, bad(y))
    if fitted_before:
        np.testing.assert_array_equal(model.predict(X), before)
    else:
        assert not [name for name in vars(model) if name.endswith("_") and not name.startswith("_")]


@every_class
def test_bad_parameters_are_an_error(make, data):
    X, y = data()
    with pytest.raises(ValueError, match="loss"):
        make(loss="poisson").fit(X, y)
    with pytest.raises(NotFittedError):
        make().predict(X)
    with pytest.raises(TypeError, match="class_weight"):
        make(class_weight="balanced")


# Tools of scikit-learn, files, other processes


@every_case
def test_copies_predict_the_same(make, data, tmp_path):
    X, y = data()
    model = make(**QUICK).fit(X, np.column_stack([y, -y]))
    expected = model.predict(X)
    for loaded in (pickle.loads(pickle.dumps(model)), _through_a_file(model, tmp_path)):
        np.testing.assert_array_equal(loaded.predict(X), expected)
    assert not hasattr(clone(model), "network_")


def _through_a_file(model, folder):
    joblib.dump(model, folder / "model.joblib")
    return joblib.load(folder / "model.joblib")


def test_a_new_process_predicts_the_same(tmp_path):
    X, y = texts()
    model = RNNTextRegressor(**QUICK).fit(X, y)
    joblib.dump(model, tmp_path / "model.joblib")
    code = f"import joblib; print(repr(joblib.load({str(tmp_path / 'model.joblib')!r}).predict({X[:3]!r}).tolist()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert eval(done.stdout) == model.predict(X[:3]).tolist()


def test_grid_search_over_cell_and_units():
    X, y = series()
    search = GridSearchCV(RNNRegressor(**QUICK), {"cell": ["rnn", "gru"], "units": [2, 3]}, cv=2).fit(X, y)
    assert set(search.best_params_) == {"cell", "units"} and search.predict(X).shape == (60,)


def test_pipelines_and_cross_validation():
    X, y = texts()
    pipeline = make_pipeline(TextTokenizer(), SequencePadder(), RNNTextRegressor(**QUICK))
    groups = np.arange(60) // 6
    assert cross_val_predict(pipeline, X, y, groups=groups, cv=GroupKFold(3)).shape == (60,)
    X, y = series()
    pipeline = make_pipeline(SequencePadder(value=np.nan), RNNRegressor(**QUICK))
    assert pipeline.fit(X, y).score(X, y) > 0
    inside = TransformedTargetRegressor(RNNRegressor(**QUICK), func=np.log, inverse_func=np.exp).fit(X, y)
    assert (inside.predict(X) > 0).all()


@pytest.mark.parametrize("as_targets", [list, pd.Series, pl.Series, lambda y: y.astype(np.float32).astype(float)])
def test_all_containers_of_y_give_one_model(as_targets):
    X, y = series()
    y = y.round(2)
    expected = RNNRegressor(**QUICK).fit(X, y).predict(X)
    np.testing.assert_allclose(RNNRegressor(**QUICK).fit(X, as_targets(y)).predict(X), expected, rtol=1e-4)


def test_target_means_are_ordered_like_the_words():
    X, y = texts(200)
    model = RNNTextRegressor(**QUICK).fit(X, y)
    tokens = model.tokenizer_.tokens_
    values = model.target_means_.tables_[0][0][:, 0]
    of_word = {word: values[model.target_means_.ngrams.of_tokens_[tokens.index(word)]] for word in WORDS}
    assert sorted(of_word, key=of_word.get) == sorted(WORDS, key=WORDS.get)
    assert not hasattr(RNNTextRegressor(**QUICK, nb_ngrams=0).fit(X, y), "target_means_")
    assert not hasattr(model, "nb_ratios_") and not hasattr(model, "classes_")
    assert model.wide_.coef_.shape == (len(model.wide_.feature_names()), 1)


def test_hidden_states_have_one_state_per_step():
    X, y = series()
    states = RNNRegressor(**QUICK).fit(X, y).hidden_states(X[:2])
    assert [len(one) for one in states] == [len(row) for row in X[:2]]
