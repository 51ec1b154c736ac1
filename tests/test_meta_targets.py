"""Regressors and multilabel classifiers inside scikit-learn's meta-estimators.

Their results are compared with explicit loops. `test_meta_estimators.py` does the same for classes.
"""

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import StackingRegressor, VotingRegressor
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    cross_val_predict,
    cross_validate,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MultiLabelBinarizer

from seqclf import RNNClassifier, RNNRegressor, RNNTextClassifier, RNNTextRegressor, SequencePadder, TextTokenizer

QUICK = {"units": 4, "max_epochs": 2, "batch_size": 8, "random_state": 0}
N = 48
FOLDS = KFold(3)


def make_data():
    """Series, texts, a numeric target for each of them, and several labels."""
    rng = np.random.default_rng(0)
    series = [rng.normal(size=(n, 2)) for n in rng.integers(5, 15, size=N)]
    words = ["bad", "dull", "fine", "good", "great"]
    chosen = [rng.integers(5, size=n) for n in rng.integers(2, 7, size=N)]
    texts = [" ".join(words[i] for i in row) for row in chosen]
    targets = {
        "series": np.array([row[:, 0].max() for row in series]) + 5,
        "texts": np.array([row.mean() for row in chosen]) + 5,
    }
    labels = MultiLabelBinarizer().fit_transform([set(row % 3) for row in chosen])
    return {"series": series, "texts": texts}, targets, labels


ROWS, TARGETS, LABELS = make_data()
WEIGHTS = np.random.default_rng(1).integers(1, 4, size=N).astype(float)
GROUPS = np.arange(N) // 4

REGRESSORS = {"series": RNNRegressor, "texts": RNNTextRegressor}
CLASSIFIERS = {"series": RNNClassifier, "texts": RNNTextClassifier}
each_input = pytest.mark.parametrize("kind", list(ROWS))


def take(X, rows):
    return [X[row] for row in rows]


def predict_out_of_fold(estimator, X, y, method="predict"):
    """Out-of-fold predictions by an explicit loop."""
    found = np.empty(y.shape)
    for train, test in FOLDS.split(y):
        model = clone(estimator).fit(take(X, train), y[train])
        found[test] = getattr(model, method)(take(X, test))
    return found


# Regressors


@each_input
@pytest.mark.parametrize("n_targets", [1, 2])
def test_cross_validation_of_a_regressor(kind, n_targets):
    X, y = ROWS[kind], TARGETS[kind]
    y = y if n_targets == 1 else np.column_stack([y, -(y**2)])
    model = REGRESSORS[kind](**QUICK)
    found = cross_val_predict(model, X, y, cv=FOLDS)
    np.testing.assert_array_equal(found, predict_out_of_fold(model, X, y))
    scores = cross_validate(model, X, y, cv=FOLDS, scoring=["r2", "neg_mean_squared_error"], error_score="raise")
    expected = [-np.mean((found[test] - y[test]) ** 2) for _, test in FOLDS.split(y)]
    np.testing.assert_allclose(scores["test_neg_mean_squared_error"], expected, rtol=1e-12)


@each_input
def test_grid_search_over_cell_and_units_in_two_processes(kind):
    X, y = ROWS[kind], TARGETS[kind]
    model = REGRESSORS[kind](n_threads=1, **QUICK)
    grid = {"cell": ["rnn", "gru"], "units": [2, 6]}
    alone = GridSearchCV(model, grid, cv=2, error_score="raise").fit(X, y)
    together = GridSearchCV(model, grid, cv=2, n_jobs=2, error_score="raise").fit(X, y)
    scores = alone.cv_results_["mean_test_score"]
    assert len(np.unique(scores)) == len(scores) == 4
    np.testing.assert_array_equal(together.cv_results_["mean_test_score"], scores)
    best = clone(model).set_params(**alone.best_params_).fit(X, y)
    np.testing.assert_array_equal(together.predict(X), best.predict(X))


def test_pipelines_of_a_regressor():
    """Padding has no effect, and a tokenizer in the pipeline equals that of the regressor."""
    pipeline = make_pipeline(SequencePadder(), RNNRegressor(**QUICK)).fit(ROWS["series"], TARGETS["series"])
    alone = RNNRegressor(**QUICK).fit(ROWS["series"], TARGETS["series"])
    np.testing.assert_allclose(pipeline.predict(ROWS["series"]), alone.predict(ROWS["series"]), rtol=1e-12)

    changes = QUICK | {"wide": False}  # the linear model doesn't see the characters of ids
    pipeline = make_pipeline(TextTokenizer(), SequencePadder(), RNNTextRegressor(**changes))
    pipeline.fit(ROWS["texts"], TARGETS["texts"])
    alone = RNNTextRegressor(**changes).fit(ROWS["texts"], TARGETS["texts"])
    np.testing.assert_allclose(pipeline.predict(ROWS["texts"]), alone.predict(ROWS["texts"]), rtol=1e-12)


@each_input
def test_a_transformed_target(kind):
    X, y = ROWS[kind], TARGETS[kind]
    inside = TransformedTargetRegressor(REGRESSORS[kind](**QUICK), func=np.log, inverse_func=np.exp).fit(X, y)
    alone = REGRESSORS[kind](**QUICK).fit(X, np.log(y))
    np.testing.assert_array_equal(inside.predict(X), np.exp(alone.predict(X)))


@each_input
def test_voting_and_stacking_of_regressors(kind):
    X, y = ROWS[kind], TARGETS[kind]
    members = [(cell, REGRESSORS[kind](cell=cell, **QUICK)) for cell in ("gru", "lstm")]
    columns = np.column_stack([clone(member).fit(X, y).predict(X) for _, member in members])
    vote = VotingRegressor(members).fit(X, y)
    np.testing.assert_allclose(vote.predict(X), columns.mean(axis=1), rtol=1e-12)
    stack = StackingRegressor(members, LinearRegression(), cv=FOLDS).fit(X, y)
    np.testing.assert_array_equal(stack.transform(X), columns)
    out_of_fold = np.column_stack([predict_out_of_fold(member, X, y) for _, member in members])
    expected = LinearRegression().fit(out_of_fold, y).predict(columns)
    np.testing.assert_allclose(stack.predict(X), expected, rtol=1e-9)


@pytest.fixture
def routing():
    with config_context(enable_metadata_routing=True):
        yield


@each_input
def test_grid_search_passes_weights_and_groups_to_the_regressor(kind, routing):
    X, y = ROWS[kind], TARGETS[kind]
    changes = QUICK | {"patience": 2, "validation_fraction": 0.3}
    model = REGRESSORS[kind](**changes)
    asking = clone(model).set_fit_request(groups=True, sample_weight=True).set_score_request(sample_weight=True)
    search = GridSearchCV(asking, {"units": [4]}, cv=GroupKFold(2), error_score="raise")
    search.fit(X, y, groups=GROUPS, sample_weight=WEIGHTS)
    expected = clone(model).fit(X, y, sample_weight=WEIGHTS, groups=GROUPS)
    np.testing.assert_array_equal(search.predict(X), expected.predict(X))
    for fold, (train, test) in enumerate(GroupKFold(2).split(X, y, GROUPS)):
        fitted = clone(model).fit(take(X, train), y[train], sample_weight=WEIGHTS[train], groups=GROUPS[train])
        score = fitted.score(take(X, test), y[test], sample_weight=WEIGHTS[test])
        assert search.cv_results_[f"split{fold}_test_score"][0] == score
    without = clone(model).fit(X, y, sample_weight=WEIGHTS)
    assert (without.predict(X) != expected.predict(X)).any()
    with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
        make_pipeline(model).fit(X, y, sample_weight=WEIGHTS)


def test_a_pipeline_transforms_x_val_for_a_regressor(routing):
    X, y, train, test = ROWS["series"], TARGETS["series"], slice(36), slice(36, None)
    asking = RNNRegressor(patience=2, **QUICK).set_fit_request(X_val=True, y_val=True)
    pipeline = Pipeline([("padder", SequencePadder()), ("regressor", asking)], transform_input=["X_val"])
    pipeline.fit(X[train], y[train], X_val=X[test], y_val=y[test])
    padder = SequencePadder().fit(X[train])
    expected = RNNRegressor(patience=2, **QUICK)
    expected.fit(padder.transform(X[train]), y[train], X_val=padder.transform(X[test]), y_val=y[test])
    found = [row["valid_loss"] for row in pipeline["regressor"].history_]
    assert found == [row["valid_loss"] for row in expected.history_]


# Several labels


@each_input
@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function"])
def test_cross_validation_of_several_labels(kind, method):
    model = CLASSIFIERS[kind](**QUICK)
    found = cross_val_predict(model, ROWS[kind], LABELS, cv=FOLDS, method=method)
    np.testing.assert_array_equal(found, predict_out_of_fold(model, ROWS[kind], LABELS, method))


@each_input
def test_grid_search_of_several_labels(kind):
    model = CLASSIFIERS[kind](**QUICK)
    search = GridSearchCV(model, {"cell": ["rnn", "gru"]}, cv=2, scoring="f1_micro", error_score="raise")
    search.fit(ROWS[kind], LABELS)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    best = clone(model).set_params(**search.best_params_).fit(ROWS[kind], LABELS)
    np.testing.assert_array_equal(search.predict_proba(ROWS[kind]), best.predict_proba(ROWS[kind]))
