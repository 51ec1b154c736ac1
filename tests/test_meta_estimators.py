"""The estimators in pipelines, searches, ensembles, calibration and metadata routing of scikit-learn.

Only the order of the steps determines the classes of the data. Where possible, the results are compared with fits by
hand.
"""

import subprocess
import sys
from functools import partial

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    HalvingGridSearchCV,
    StratifiedKFold,
    TunedThresholdClassifierCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
    train_test_split,
    validation_curve,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.pipeline import Pipeline, make_pipeline

from seqclf import RNNClassifier, RNNTextClassifier, SequencePadder, TextTokenizer
from seqclf._kernels import CELLS
from seqclf.datasets import make_order_reviews, make_order_series

# These settings learn the order from a hundred rows within a second.
LEARNING = {"units": 8, "learning_rate": 0.02, "dropout": 0, "patience": None, "max_epochs": 20, "batch_size": 16}
LEARNING |= {"schedule": "constant", "wide": False}
# Without label features only the network can learn.
TEXT_LEARNING = LEARNING | {"embedding_dim": 8, "token_dropout": 0, "nb_ngrams": 0}
QUICK = {"units": 4, "patience": None, "max_epochs": 2, "batch_size": 16, "wide": True}


text_classifier = partial(RNNTextClassifier, **TEXT_LEARNING, random_state=0)
series_classifier = partial(RNNClassifier, **LEARNING, random_state=0)


def text_pipeline(**changes):
    steps = [("tokenizer", TextTokenizer()), ("padder", SequencePadder()), ("classifier", text_classifier(**changes))]
    return Pipeline(steps)


REVIEWS = make_order_reviews(160, random_state=0, return_X_y=False)
TEXTS, Y = REVIEWS.data, np.array(["blame", "praise"])[REVIEWS.target]
SERIES = make_order_series(80, n_steps=(10, 20), random_state=0, return_X_y=False)
N_TRAIN = 110


def three_classes():
    """Rising, falling, and arched series."""
    rng = np.random.RandomState(0)
    codes = np.arange(60) % 3
    times = [np.linspace(-1, 1, n) for n in rng.randint(5, 12, size=60)]
    rows = [
        (t, -t, 1 - 2 * t**2)[code] + rng.normal(scale=0.1, size=len(t)) for t, code in zip(times, codes, strict=True)
    ]
    return rows, np.array(["arch", "fall", "rise"])[[2, 1, 0]][codes]


# --- only the order determines the classes


@pytest.mark.parametrize("binary", [False, True])
def test_bag_of_words_has_chance_accuracy_on_order_reviews(binary):
    """It is correct for exactly one text of each pair."""
    bag = make_pipeline(CountVectorizer(binary=binary, token_pattern=r"\w+"), LogisticRegression())
    scores = cross_val_score(bag, TEXTS, Y, groups=REVIEWS.groups, cv=GroupKFold(4))
    np.testing.assert_allclose(scores, 0.5, atol=0.05)


def test_histogram_has_chance_accuracy_on_order_series():
    summaries = np.array([[x.mean(), x.std(), *np.quantile(x, np.linspace(0, 1, 9))] for x in SERIES.data])
    scores = cross_val_score(LogisticRegression(), summaries, SERIES.target, groups=SERIES.groups, cv=GroupKFold(4))
    np.testing.assert_allclose(scores, 0.5, atol=0.05)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_learns_order_reviews(cell, bidirectional):
    classifier = text_classifier(cell=cell, bidirectional=bidirectional)
    scores = cross_val_score(classifier, TEXTS, Y, groups=REVIEWS.groups, cv=GroupKFold(2))
    assert scores.min() > 0.9


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_learns_order_series(cell, bidirectional):
    classifier = series_classifier(cell=cell, bidirectional=bidirectional)
    scores = cross_val_score(classifier, SERIES.data, SERIES.target, groups=SERIES.groups, cv=GroupKFold(2))
    assert scores.min() > 0.9


# --- pipelines


def test_pipeline_of_tokenizer_padder_and_classifier():
    train, test = slice(None, N_TRAIN), slice(N_TRAIN, None)
    pipeline = text_pipeline(cell="gru").fit(TEXTS[train], Y[train])
    assert pipeline.score(TEXTS[test], Y[test]) > 0.9
    assert pipeline.classes_.tolist() == ["blame", "praise"]
    # Padding has no effect, and the classifier tokenizes in the same way.
    ids = TextTokenizer().fit_transform(TEXTS[train])
    ragged = text_classifier(cell="gru").fit(ids, Y[train])
    texts = text_classifier(cell="gru").fit(TEXTS[train], Y[train])
    expected = pipeline.decision_function(TEXTS[train])
    np.testing.assert_allclose(ragged.decision_function(ids), expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(texts.decision_function(TEXTS[train]), expected, rtol=0, atol=1e-12)


def test_pipeline_of_padder_and_classifier_for_series():
    pipeline = make_pipeline(SequencePadder(), series_classifier()).fit(SERIES.data, SERIES.target)
    single = series_classifier().fit(SERIES.data, SERIES.target)
    assert pipeline.score(SERIES.data, SERIES.target) > 0.9
    np.testing.assert_allclose(
        pipeline.predict_proba(SERIES.data), single.predict_proba(SERIES.data), rtol=0, atol=1e-12
    )


def test_pipeline_with_memory(tmp_path):
    plain = text_pipeline(**QUICK).fit(TEXTS, Y)
    for _ in range(2):
        cached = text_pipeline(**QUICK).set_params(memory=joblib.Memory(tmp_path, verbose=0)).fit(TEXTS, Y)
        np.testing.assert_array_equal(cached.predict_proba(TEXTS), plain.predict_proba(TEXTS))


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_set_output_on_a_pipeline(container):
    frames = {"pandas": pd.DataFrame, "polars": pl.DataFrame}
    plain = text_pipeline(**QUICK).fit(TEXTS, Y)
    pipeline = text_pipeline(**QUICK).set_output(transform=container).fit(TEXTS, Y)
    padded = pipeline[:-1].transform(TEXTS[:9])
    assert isinstance(padded, frames[container])
    assert list(padded.columns) == [f"step{step}" for step in range(plain["padder"].max_length_)]
    np.testing.assert_array_equal(padded.to_numpy(), plain[:-1].transform(TEXTS[:9]))
    assert pipeline["tokenizer"].transform(TEXTS[:9]).dtype == object  # ragged ids are not a table
    np.testing.assert_array_equal(pipeline.predict_proba(TEXTS), plain.predict_proba(TEXTS))
    np.testing.assert_array_equal(clone(pipeline).fit(TEXTS, Y).predict_proba(TEXTS), plain.predict_proba(TEXTS))

    series = make_pipeline(SequencePadder(), series_classifier(**QUICK)).set_output(transform=container)
    series.fit(SERIES.data, SERIES.target)
    assert type(series[:-1].transform(SERIES.data)) is np.ndarray
    again = series_classifier(**QUICK).fit(SERIES.data, SERIES.target)
    np.testing.assert_allclose(series.predict_proba(SERIES.data), again.predict_proba(SERIES.data), atol=1e-12)


LOAD_AND_PREDICT = """
import sys
import joblib

model, texts, target = sys.argv[1:]
pipeline = joblib.load(model)
texts = joblib.load(texts)
joblib.dump((pipeline.predict(texts), pipeline.predict_proba(texts), pipeline.decision_function(texts)), target)
"""


def test_loaded_pipeline_predicts_the_same_in_another_process(tmp_path):
    pipeline = text_pipeline(**QUICK).fit(TEXTS[:N_TRAIN], Y[:N_TRAIN])
    paths = [str(tmp_path / name) for name in ("model.joblib", "texts.joblib", "answers.joblib")]
    joblib.dump(pipeline, paths[0])
    joblib.dump([*TEXTS, "", "never seen words, all of them"], paths[1])
    subprocess.run([sys.executable, "-W", "error", "-c", LOAD_AND_PREDICT, *paths], check=True, timeout=120)
    texts = joblib.load(paths[1])
    labels, probabilities, logits = joblib.load(paths[2])
    np.testing.assert_array_equal(labels, pipeline.predict(texts))
    np.testing.assert_array_equal(probabilities, pipeline.predict_proba(texts))
    np.testing.assert_array_equal(logits, pipeline.decision_function(texts))


# --- splitting and scoring

ROWS = {
    "list": list,
    "tuple": tuple,
    "array": np.array,
    "pandas": lambda texts: pd.Series(texts, index=range(500, 500 + len(texts))),
    "pandas frame": lambda texts: pd.DataFrame({"review": texts}),
    "polars": pl.Series,
    "tokens": lambda texts: [text.split() for text in texts],
    "ragged ids": lambda texts: TextTokenizer().fit_transform(texts),
    "padded ids": lambda texts: SequencePadder().fit_transform(TextTokenizer().fit_transform(texts)),
}
SERIES_ROWS = {
    "list": list,
    "objects": lambda rows: pd.Series(list(rows)).to_numpy(),
    "pandas": lambda rows: pd.Series(list(rows)),
    "3-D": lambda rows: SequencePadder().fit_transform(rows),
    "2-D": lambda rows: np.nan_to_num(SequencePadder().fit_transform(rows)[:, :, 0]),
}


@pytest.mark.parametrize(
    ("make", "X", "y"),
    [pytest.param(text_classifier, to(TEXTS), Y, id=f"text-{name}") for name, to in ROWS.items()]
    + [
        pytest.param(series_classifier, to(SERIES.data), SERIES.target, id=f"series-{n}")
        for n, to in SERIES_ROWS.items()
    ],
)
def test_cross_validate_equals_fits_by_hand(make, X, y):
    splitter = StratifiedKFold(2, shuffle=True, random_state=0)
    estimator = make(max_epochs=1)
    scoring = ["accuracy", "neg_log_loss", "roc_auc"]
    result = cross_validate(
        estimator, X, y, cv=splitter, scoring=scoring, return_estimator=True, return_indices=True, error_score="raise"
    )
    assert all(np.isfinite(result[f"test_{name}"]).all() for name in scoring)
    logits = cross_val_predict(estimator, X, y, cv=splitter, method="decision_function")
    for fold, (train, test) in enumerate(splitter.split(np.zeros(len(y)), y)):
        np.testing.assert_array_equal(result["indices"]["test"][fold], test)
        classifier = clone(estimator).fit(select(X, train), y[train])
        assert result["test_accuracy"][fold] == classifier.score(select(X, test), y[test])
        expected = classifier.decision_function(select(X, test))
        np.testing.assert_array_equal(result["estimator"][fold].decision_function(select(X, test)), expected)
        np.testing.assert_array_equal(logits[test], expected)


def select(X, rows):
    if hasattr(X, "iloc"):
        return X.iloc[rows]
    return X[rows] if hasattr(X, "dtype") else [X[row] for row in rows]


@pytest.mark.parametrize("name", ROWS)
def test_train_test_split_of_every_container(name):
    X = ROWS[name](TEXTS)
    X_train, X_test, y_train, y_test = train_test_split(X, Y, test_size=0.25, random_state=0)
    assert len(X_test) == len(y_test) == 40
    rows = train_test_split(np.arange(len(Y)), test_size=0.25, random_state=0)
    classifier = text_classifier(**QUICK).fit(X_train, y_train)
    expected = text_classifier(**QUICK).fit(select(X, rows[0]), Y[rows[0]])
    np.testing.assert_array_equal(classifier.predict_proba(X_test), expected.predict_proba(select(X, rows[1])))


def test_learning_curve_and_validation_curve():
    sizes, train_scores, test_scores = learning_curve(
        text_classifier(max_epochs=20), TEXTS, Y, train_sizes=[30, 106], cv=3, error_score="raise"
    )
    assert sizes.tolist() == [30, 106]
    assert train_scores.shape == test_scores.shape == (2, 3)
    assert test_scores[1].mean() > 0.9 > test_scores[0].mean()
    train_scores, _ = validation_curve(
        text_classifier(), TEXTS, Y, param_name="max_epochs", param_range=[1, 20], cv=3, error_score="raise"
    )
    assert train_scores[1].mean() > 0.95 > train_scores[0].mean()


# --- searches

GRID = {"classifier__cell": list(CELLS), "classifier__units": [4, 8]}


def test_grid_search_in_two_processes_equals_one_process():
    """The search is over cells and units."""
    settings = {"cv": 2, "scoring": "neg_log_loss", "error_score": "raise"}
    quick = text_pipeline(n_threads=1, max_epochs=6)
    single = GridSearchCV(quick, GRID, **settings).fit(TEXTS, Y)
    together = GridSearchCV(quick, GRID, n_jobs=2, **settings).fit(TEXTS, Y)
    scores = single.cv_results_["mean_test_score"]
    assert len(np.unique(scores)) == len(scores)
    np.testing.assert_array_equal(together.cv_results_["mean_test_score"], scores)
    assert together.best_params_ == single.best_params_
    np.testing.assert_array_equal(together.predict_proba(TEXTS), single.predict_proba(TEXTS))


def test_grid_search_over_parameters_of_the_tokenizer():
    search = GridSearchCV(
        text_classifier(tokenizer=TextTokenizer()), {"tokenizer__vocab_size": [3, 5, 200]}, cv=2, error_score="raise"
    ).fit(TEXTS, Y)
    assert search.best_params_ == {"tokenizer__vocab_size": 200}
    assert search.cv_results_["mean_test_score"][2] > 0.9
    assert search.cv_results_["mean_test_score"][0] < 0.8
    tokenizer = search.best_estimator_.tokenizer_
    assert (tokenizer.vocab_size, tokenizer.n_tokens_) == (200, search.best_estimator_.vocab_size_)
    assert 50 < tokenizer.n_tokens_ < 200
    levels = GridSearchCV(
        text_classifier(**QUICK), {"tokenizer": [None, TextTokenizer(level="char")]}, cv=2, error_score="raise"
    ).fit(TEXTS, Y)
    assert len(levels.cv_results_["params"]) == 2


@pytest.mark.parametrize("make", [text_classifier, series_classifier])
def test_grid_search_over_wide(make):
    """For texts, over the level of the tokenizer too. The best estimator equals a fit with its parameters."""
    X, y = (TEXTS, Y) if make is text_classifier else (SERIES.data, SERIES.target)
    grid = {"wide": [True, False]}
    changes = QUICK | {"max_epochs": 1}
    if make is text_classifier:
        grid["tokenizer__level"] = ["word", "char"]
        changes["tokenizer"] = TextTokenizer()
    search = GridSearchCV(make(**changes), grid, cv=2, scoring="neg_log_loss", error_score="raise").fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert len(np.unique(scores)) == len(scores) == (4 if make is text_classifier else 2)
    assert hasattr(search.best_estimator_, "wide_") == search.best_params_["wide"]
    best = clone(make(**changes)).set_params(**search.best_params_).fit(X, y)
    np.testing.assert_array_equal(search.decision_function(X), best.decision_function(X))


@pytest.mark.parametrize("resource", ["n_samples", "classifier__max_epochs"])
def test_halving_grid_search_in_two_processes(resource):
    """The resource is the number of rows or of epochs."""
    settings = {"min_resources": 40} if resource == "n_samples" else {"min_resources": 5, "max_resources": 20}
    grid = {"classifier__units": [2, 8], "classifier__learning_rate": [1e-6, 0.02]}
    search = HalvingGridSearchCV(
        text_pipeline(n_threads=1),
        grid,
        resource=resource,
        factor=2,
        cv=2,
        random_state=0,
        n_jobs=2,
        error_score="raise",
        **settings,
    ).fit(TEXTS, Y)
    assert search.best_params_["classifier__learning_rate"] == 0.02
    assert search.score(TEXTS, Y) > 0.9
    assert len(set(search.cv_results_["n_resources"])) > 1


def test_grid_search_on_ragged_series_in_two_processes():
    grid = {"scale": [True, False], "max_epochs": [1, 15]}
    classifier = series_classifier(n_threads=1, conv_filters=0)  # with filters one epoch would be enough
    search = GridSearchCV(classifier, grid, cv=2, n_jobs=2, error_score="raise")
    search.fit(SERIES.data, SERIES.target)
    assert search.best_params_["max_epochs"] == 15
    assert search.best_score_ > 0.9


def test_grid_search_in_two_threads_equals_one_thread():
    """Threads of one process use the same torch; each fit still depends only on its seed."""
    grid = {"cell": list(CELLS), "random_state": [0, 1]}
    single = GridSearchCV(text_classifier(max_epochs=3), grid, cv=2, error_score="raise", scoring="neg_log_loss")
    together = clone(single).set_params(n_jobs=2)
    single.fit(TEXTS, Y)
    with joblib.parallel_config(backend="threading"):
        together.fit(TEXTS, Y)
    np.testing.assert_array_equal(single.cv_results_["mean_test_score"], together.cv_results_["mean_test_score"])


# --- ensembles


def test_voting_classifier():
    members = [(cell, text_classifier(cell=cell)) for cell in CELLS]
    voting = VotingClassifier(
        [*members, ("bag", make_pipeline(CountVectorizer(), LogisticRegression()))], voting="soft"
    )
    voting.fit(TEXTS, Y)
    mean = np.mean([member.predict_proba(TEXTS) for member in voting.estimators_], axis=0)
    np.testing.assert_allclose(voting.predict_proba(TEXTS), mean, rtol=1e-12)
    assert voting.score(TEXTS, Y) > 0.95
    hard = VotingClassifier(members).fit(TEXTS, Y)
    assert hard.score(TEXTS, Y) > 0.95
    assert hard.predict(TEXTS).dtype == Y.dtype
    two = VotingClassifier([("one", series_classifier()), ("two", series_classifier(random_state=1))], voting="soft")
    assert two.fit(SERIES.data, SERIES.target).score(SERIES.data, SERIES.target) > 0.9


@pytest.mark.parametrize("method", ["predict_proba", "decision_function"])
def test_stacking_classifier(method):
    members = [
        ("network", text_classifier()),
        ("bag", make_pipeline(CountVectorizer(), LogisticRegression())),
    ]
    stack = StackingClassifier(members, stack_method=method, cv=2).fit(TEXTS[:N_TRAIN], Y[:N_TRAIN])
    assert stack.score(TEXTS[N_TRAIN:], Y[N_TRAIN:]) > 0.9
    network, _ = stack.estimators_
    expected = getattr(network, method)(TEXTS)
    column = expected[:, 1] if method == "predict_proba" else expected
    np.testing.assert_array_equal(stack.transform(TEXTS)[:, 0], column)


def test_one_vs_rest_classifier():
    X, y = three_classes()
    model = OneVsRestClassifier(series_classifier()).fit(X, y)
    assert model.classes_.tolist() == ["arch", "fall", "rise"]
    assert model.score(X, y) > 0.95
    for label, binary in zip(model.classes_, model.estimators_, strict=True):
        by_hand = series_classifier().fit(X, (y == label).astype(int))
        np.testing.assert_array_equal(binary.decision_function(X), by_hand.decision_function(X))
    texts = [f"{word} film" for word in ("good", "bad", "dull")] * 10
    model = OneVsRestClassifier(text_classifier()).fit(texts, ["a", "b", "c"] * 10)
    assert model.predict(texts[:3]).tolist() == ["a", "b", "c"]


def test_one_vs_one_classifier():
    """OneVsOneClassifier validates X, so X must be a table."""
    X, y = three_classes()
    table = np.stack([np.interp(np.linspace(0, 1, 6), np.linspace(0, 1, len(row)), row) for row in X])
    model = OneVsOneClassifier(series_classifier()).fit(table, y)
    assert model.score(table, y) > 0.95


# --- calibration and thresholds


@pytest.mark.parametrize("method", ["sigmoid", "isotonic", "temperature"])
@pytest.mark.parametrize("ensemble", [True, False])
def test_calibrated_classifier_cv(method, ensemble):
    calibrated = CalibratedClassifierCV(text_classifier(), method=method, cv=2, ensemble=ensemble)
    calibrated.fit(TEXTS[:N_TRAIN], Y[:N_TRAIN])
    probabilities = calibrated.predict_proba(TEXTS[N_TRAIN:])
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-12)
    assert accuracy_score(Y[N_TRAIN:], calibrated.predict(TEXTS[N_TRAIN:])) > 0.9
    # For two classes sigmoid and temperature are monotonic, so the order of the rows does not change.
    if method != "isotonic" and not ensemble:
        (inner,) = calibrated.calibrated_classifiers_
        order = np.argsort(inner.estimator.decision_function(TEXTS[N_TRAIN:]), kind="stable")
        assert (np.diff(probabilities[order, 1]) >= 0).all()


def test_calibrated_classifier_cv_with_three_classes_of_series():
    X, y = three_classes()
    calibrated = CalibratedClassifierCV(series_classifier(), method="temperature", cv=2).fit(X, y)
    assert calibrated.predict_proba(X).shape == (60, 3)
    assert calibrated.score(X, y) > 0.9


def test_calibration_and_threshold_of_a_frozen_classifier():
    fitted = text_classifier().fit(TEXTS[:N_TRAIN], Y[:N_TRAIN])
    before = fitted.decision_function(TEXTS)
    calibrated = CalibratedClassifierCV(FrozenEstimator(fitted), method="sigmoid").fit(TEXTS[N_TRAIN:], Y[N_TRAIN:])
    assert calibrated.score(TEXTS[N_TRAIN:], Y[N_TRAIN:]) > 0.9
    tuned = TunedThresholdClassifierCV(fitted, cv="prefit", refit=False).fit(TEXTS[N_TRAIN:], Y[N_TRAIN:])
    assert tuned.score(TEXTS[N_TRAIN:], Y[N_TRAIN:]) > 0.9
    np.testing.assert_array_equal(fitted.decision_function(TEXTS), before)


# --- metadata routing

WEIGHTS = np.random.RandomState(0).randint(0, 4, size=len(Y)).astype(float)


@pytest.fixture
def routing():
    with config_context(enable_metadata_routing=True):
        yield


@pytest.fixture(scope="module")
def weighted():
    """The decision function of a classifier that was fitted with WEIGHTS."""
    model = text_classifier(**QUICK).fit(TEXTS, Y, sample_weight=WEIGHTS)
    unweighted = text_classifier(**QUICK).fit(TEXTS, Y)
    assert (model.decision_function(TEXTS) != unweighted.decision_function(TEXTS)).all()
    return model.decision_function(TEXTS)


def test_sample_weight_without_a_request_is_an_error(routing):
    with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
        make_pipeline(text_classifier(**QUICK)).fit(TEXTS, Y, sample_weight=WEIGHTS)


def test_pipeline_routes_sample_weight(routing, weighted):
    pipeline = text_pipeline(**QUICK)
    pipeline["classifier"].set_fit_request(sample_weight=True)
    pipeline.fit(TEXTS, Y, sample_weight=WEIGHTS)
    ids = TextTokenizer().fit(TEXTS).transform(TEXTS)
    by_hand = text_classifier(**QUICK).fit(ids, Y, sample_weight=WEIGHTS)
    np.testing.assert_allclose(pipeline.decision_function(TEXTS), by_hand.decision_function(ids), rtol=0, atol=1e-12)

    single = make_pipeline(text_classifier(**QUICK).set_fit_request(sample_weight="importance"))
    single.fit(TEXTS, Y, importance=WEIGHTS)
    np.testing.assert_array_equal(single.decision_function(TEXTS), weighted)


def test_grid_search_routes_sample_weight(routing, weighted):
    classifier = text_classifier(**QUICK).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
    search = GridSearchCV(classifier, {"cell": ["lstm"]}, cv=StratifiedKFold(2), error_score="raise")
    search.fit(TEXTS, Y, sample_weight=WEIGHTS)
    np.testing.assert_array_equal(search.decision_function(TEXTS), weighted)
    for fold, (train, test) in enumerate(StratifiedKFold(2).split(TEXTS, Y)):
        model = text_classifier(**QUICK).fit(select(TEXTS, train), Y[train], sample_weight=WEIGHTS[train])
        score = model.score(select(TEXTS, test), Y[test], sample_weight=WEIGHTS[test])
        assert search.cv_results_[f"split{fold}_test_score"][0] == score


def test_voting_cross_validation_and_calibration_route_sample_weight(routing):
    def requesting():
        return text_classifier(**QUICK).set_fit_request(sample_weight=True)

    by_hand = text_classifier(**QUICK).fit(TEXTS, Y, sample_weight=WEIGHTS).predict_proba(TEXTS)
    voting = VotingClassifier([("one", requesting())], voting="soft").fit(TEXTS, Y, sample_weight=WEIGHTS)
    np.testing.assert_array_equal(voting.predict_proba(TEXTS), by_hand)
    result = cross_validate(
        requesting().set_score_request(sample_weight=False),
        TEXTS,
        Y,
        cv=2,
        params={"sample_weight": WEIGHTS},
        error_score="raise",
    )
    assert np.isfinite(result["test_score"]).all()
    calibrated = CalibratedClassifierCV(requesting(), cv=2, ensemble=False).fit(TEXTS, Y, sample_weight=WEIGHTS)
    (inner,) = calibrated.calibrated_classifiers_
    np.testing.assert_array_equal(inner.estimator.predict_proba(TEXTS), by_hand)


def test_sample_weight_is_passed_on_without_routing(weighted):
    """With `step__parameter`, or in a search."""
    pipeline = make_pipeline(text_classifier(**QUICK))
    pipeline.fit(TEXTS, Y, rnntextclassifier__sample_weight=WEIGHTS)
    np.testing.assert_array_equal(pipeline.decision_function(TEXTS), weighted)
    search = GridSearchCV(text_classifier(**QUICK), {"cell": ["lstm"]}, cv=2, error_score="raise")
    search.fit(TEXTS, Y, sample_weight=WEIGHTS)
    np.testing.assert_array_equal(search.decision_function(TEXTS), weighted)


def test_cross_validate_routes_groups_to_splitter_and_classifier(routing):
    """A pair of reviews is never split, neither by the folds nor by the split for early stopping."""
    weights = WEIGHTS + 1  # above 0: the tokenizer of the pipeline would use rows of weight 0
    changes = QUICK | {"patience": 2, "validation_fraction": 0.3, "wide": False}  # wide would use characters of words
    requesting = text_classifier(**changes).set_fit_request(groups=True, sample_weight=True)
    requesting.set_score_request(sample_weight=True)
    pipeline = text_pipeline(**changes)
    pipeline["classifier"].set_fit_request(groups=True, sample_weight=True).set_score_request(sample_weight=True)
    arguments = {"params": {"groups": REVIEWS.groups, "sample_weight": weights}, "cv": GroupKFold(3)}
    options = {"return_estimator": True, "return_indices": True, "error_score": "raise"}
    single = cross_validate(requesting, TEXTS, Y, **arguments, **options)
    piped = cross_validate(pipeline, TEXTS, Y, **arguments, **options)
    search = GridSearchCV(requesting, {"cell": ["lstm"]}, cv=GroupKFold(3), error_score="raise")
    search.fit(TEXTS, Y, groups=REVIEWS.groups, sample_weight=weights)
    for fold, train in enumerate(single["indices"]["train"]):
        by_hand = text_classifier(**changes).fit(
            select(TEXTS, train), Y[train], sample_weight=weights[train], groups=REVIEWS.groups[train]
        )
        logits = by_hand.decision_function(TEXTS)
        np.testing.assert_array_equal(single["estimator"][fold].decision_function(TEXTS), logits)
        # Only for the rows of its fit, because the padder truncates longer rows.
        in_pipeline = piped["estimator"][fold].decision_function(select(TEXTS, train))
        np.testing.assert_allclose(in_pipeline, logits[train], rtol=0, atol=1e-12)
        ungrouped = text_classifier(**changes).fit(select(TEXTS, train), Y[train], sample_weight=weights[train])
        assert (ungrouped.decision_function(TEXTS) != logits).any()
        assert search.cv_results_[f"split{fold}_test_score"][0] == single["test_score"][fold]


@pytest.mark.parametrize("routed", [False, True])
def test_grid_search_passes_groups_to_the_classifier_only_if_requested(routed):
    """Otherwise only the splitter uses them."""

    def fit(rows, with_groups):
        groups = REVIEWS.groups[rows] if with_groups else None
        return text_classifier(**QUICK).fit(select(TEXTS, rows), Y[rows], groups=groups)

    with config_context(enable_metadata_routing=routed):
        classifier = text_classifier(**QUICK)
        if routed:
            classifier.set_fit_request(groups=True)
        search = GridSearchCV(classifier, {"cell": ["lstm"]}, cv=GroupKFold(3), error_score="raise")
        search.fit(TEXTS, Y, groups=REVIEWS.groups)
    for fold, (train, test) in enumerate(GroupKFold(3).split(TEXTS, Y, REVIEWS.groups)):
        score = fit(train, with_groups=routed).score(select(TEXTS, test), Y[test])
        assert search.cv_results_[f"split{fold}_test_score"][0] == score
    logits, other_logits = (
        fit(np.arange(len(Y)), with_groups=with_groups).decision_function(TEXTS) for with_groups in (routed, not routed)
    )
    np.testing.assert_array_equal(search.decision_function(TEXTS), logits)
    assert (logits != other_logits).any()


def histories(*classifiers):
    return [[{k: v for k, v in row.items() if k != "seconds"} for row in one.history_] for one in classifiers]


def test_pipeline_with_transform_input_transforms_x_val(routing):
    validating = QUICK | {"patience": 2}
    train, test = slice(None, N_TRAIN), slice(N_TRAIN, None)
    of_words = validating | {"wide": False}  # wide would use characters of words
    texts = text_pipeline(**of_words).set_params(transform_input=["X_val"])
    texts["classifier"].set_fit_request(X_val=True, y_val=True)
    texts.fit(TEXTS[train], Y[train], X_val=TEXTS[test], y_val=Y[test])
    by_hand = text_classifier(**of_words).fit(TEXTS[train], Y[train], X_val=TEXTS[test], y_val=Y[test])
    assert histories(texts["classifier"]) == histories(by_hand)

    series = Pipeline(
        [
            ("padder", SequencePadder()),
            ("classifier", series_classifier(**validating).set_fit_request(X_val=True, y_val=True)),
        ],
        transform_input=["X_val"],
    )
    (X, y), (X_val, y_val) = ((SERIES.data[rows], SERIES.target[rows]) for rows in (slice(60), slice(60, None)))
    series.fit(X, y, X_val=X_val, y_val=y_val)
    padder = SequencePadder().fit(X)
    by_hand = series_classifier(**validating).fit(padder.transform(X), y, X_val=padder.transform(X_val), y_val=y_val)
    assert histories(series["classifier"]) == histories(by_hand)


def test_pipeline_without_transform_input_raises_an_error_for_x_val():
    """`step__X_val` is not transformed, so it is of another kind than X. The error names transform_input."""
    with pytest.raises(ValueError, match="Row 0 of X_val is a text") as caught:
        text_pipeline(**QUICK).fit(TEXTS, Y, classifier__X_val=TEXTS, classifier__y_val=Y)
    assert "transform_input" in caught.value.__notes__[0]


def test_grid_search_routes_x_val(routing):
    classifier = text_classifier(**QUICK).set_fit_request(X_val=True, y_val=True)
    search = GridSearchCV(classifier, {"cell": ["lstm"]}, cv=2, error_score="raise")
    search.fit(TEXTS[:N_TRAIN], Y[:N_TRAIN], X_val=TEXTS[N_TRAIN:], y_val=Y[N_TRAIN:])
    by_hand = text_classifier(**QUICK).fit(TEXTS[:N_TRAIN], Y[:N_TRAIN], X_val=TEXTS[N_TRAIN:], y_val=Y[N_TRAIN:])
    assert histories(search.best_estimator_) == histories(by_hand)


def test_frozen_tokenizer_is_not_refitted():
    """The classifier uses the vocabulary of an earlier fit."""
    tokenizer = TextTokenizer().fit([*TEXTS, "words from a much larger collection"])
    classifier = text_classifier(tokenizer=FrozenEstimator(tokenizer), **QUICK).fit(TEXTS, Y)
    assert classifier.vocab_size_ == tokenizer.n_tokens_
    assert "collection" in classifier.tokenizer_.tokens_
    again = text_classifier(tokenizer=FrozenEstimator(tokenizer), **QUICK).fit(
        tokenizer.inverse_transform(tokenizer.transform(TEXTS)), Y
    )
    np.testing.assert_array_equal(classifier.decision_function(TEXTS), again.decision_function(TEXTS))
