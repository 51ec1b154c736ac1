"""The estimators inside scikit-learn's: pipelines, searches, ensembles, calibration, metadata routing.

The data are sets in which nothing but the order of the steps tells the classes apart, and what an estimator of
estimators gives is compared with the same done by hand wherever that can be done.
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

# What learns the order from a hundred rows within a second.
LEARNING = {"units": 8, "learning_rate": 0.02, "dropout": 0, "patience": None, "max_epochs": 20, "batch_size": 16}
LEARNING |= {"schedule": "constant", "wide": False}
# By the order of the words alone, with nothing counted.
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


# Order decides, and nothing else


@pytest.mark.parametrize("binary", [False, True])
def test_a_bag_of_words_learns_nothing_from_the_reviews(binary):
    """Of each pair it gets exactly one right."""
    bag = make_pipeline(CountVectorizer(binary=binary, token_pattern=r"\w+"), LogisticRegression())
    scores = cross_val_score(bag, TEXTS, Y, groups=REVIEWS.groups, cv=GroupKFold(4))
    np.testing.assert_allclose(scores, 0.5, atol=0.05)


def test_a_histogram_learns_nothing_from_the_series():
    summaries = np.array([[x.mean(), x.std(), *np.quantile(x, np.linspace(0, 1, 9))] for x in SERIES.data])
    scores = cross_val_score(LogisticRegression(), summaries, SERIES.target, groups=SERIES.groups, cv=GroupKFold(4))
    np.testing.assert_allclose(scores, 0.5, atol=0.05)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_learns_the_order_of_words(cell, bidirectional):
    classifier = text_classifier(cell=cell, bidirectional=bidirectional)
    scores = cross_val_score(classifier, TEXTS, Y, groups=REVIEWS.groups, cv=GroupKFold(2))
    assert scores.min() > 0.9


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_learns_the_order_of_bumps(cell, bidirectional):
    classifier = series_classifier(cell=cell, bidirectional=bidirectional)
    scores = cross_val_score(classifier, SERIES.data, SERIES.target, groups=SERIES.groups, cv=GroupKFold(2))
    assert scores.min() > 0.9


# Pipelines


def test_pipeline_of_tokenizer_padder_and_classifier():
    train, test = slice(None, N_TRAIN), slice(N_TRAIN, None)
    pipeline = text_pipeline(cell="gru").fit(TEXTS[train], Y[train])
    assert pipeline.score(TEXTS[test], Y[test]) > 0.9
    assert pipeline.classes_.tolist() == ["blame", "praise"]
    # Padding is invisible, and the classifier's own tokenizer is the same one.
    ids = TextTokenizer().fit_transform(TEXTS[train])
    ragged = text_classifier(cell="gru").fit(ids, Y[train])
    texts = text_classifier(cell="gru").fit(TEXTS[train], Y[train])
    expected = pipeline.decision_function(TEXTS[train])
    np.testing.assert_allclose(ragged.decision_function(ids), expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(texts.decision_function(TEXTS[train]), expected, rtol=0, atol=1e-12)


def test_pipeline_of_padder_and_classifier_for_series():
    pipeline = make_pipeline(SequencePadder(), series_classifier()).fit(SERIES.data, SERIES.target)
    alone = series_classifier().fit(SERIES.data, SERIES.target)
    assert pipeline.score(SERIES.data, SERIES.target) > 0.9
    np.testing.assert_allclose(
        pipeline.predict_proba(SERIES.data), alone.predict_proba(SERIES.data), rtol=0, atol=1e-12
    )


def test_pipeline_can_cache_its_transformers(tmp_path):
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
    assert pipeline["tokenizer"].transform(TEXTS[:9]).dtype == object  # ragged ids are no table
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


def test_a_fitted_pipeline_in_a_fresh_process(tmp_path):
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


# Splitting and scoring

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
def test_cross_validate_equals_the_loop_by_hand(make, X, y):
    splitter = StratifiedKFold(3, shuffle=True, random_state=0)
    estimator = make(max_epochs=4)
    scoring = ["accuracy", "neg_log_loss", "roc_auc"]
    result = cross_validate(
        estimator, X, y, cv=splitter, scoring=scoring, return_estimator=True, return_indices=True, error_score="raise"
    )
    assert all(np.isfinite(result[f"test_{name}"]).all() for name in scoring)
    by_hand = []
    for train, test in splitter.split(np.zeros(len(y)), y):
        classifier = clone(estimator).fit(take(X, train), y[train])
        by_hand.append(classifier.score(take(X, test), y[test]))
    np.testing.assert_array_equal(result["test_accuracy"], by_hand)
    logits = cross_val_predict(estimator, X, y, cv=splitter, method="decision_function")
    for fitted, test in zip(result["estimator"], result["indices"]["test"], strict=True):
        np.testing.assert_array_equal(logits[test], fitted.decision_function(take(X, test)))


def take(X, rows):
    if hasattr(X, "iloc"):
        return X.iloc[rows]
    return X[rows] if hasattr(X, "dtype") else [X[row] for row in rows]


@pytest.mark.parametrize("name", ROWS)
def test_train_test_split_takes_every_container(name):
    X = ROWS[name](TEXTS)
    X_train, X_test, y_train, y_test = train_test_split(X, Y, test_size=0.25, random_state=0)
    assert len(X_test) == len(y_test) == 40
    rows = train_test_split(np.arange(len(Y)), test_size=0.25, random_state=0)
    classifier = text_classifier(**QUICK).fit(X_train, y_train)
    expected = text_classifier(**QUICK).fit(take(X, rows[0]), Y[rows[0]])
    np.testing.assert_array_equal(classifier.predict_proba(X_test), expected.predict_proba(take(X, rows[1])))


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


# Searches

GRID = {"classifier__cell": list(CELLS), "classifier__units": [4, 8]}


def test_grid_search_in_two_processes():
    """Cells and widths, searched with the same result as in one process."""
    settings = {"cv": 2, "scoring": "neg_log_loss", "error_score": "raise"}
    quick = text_pipeline(n_threads=1, max_epochs=6)
    alone = GridSearchCV(quick, GRID, **settings).fit(TEXTS, Y)
    together = GridSearchCV(quick, GRID, n_jobs=2, **settings).fit(TEXTS, Y)
    scores = alone.cv_results_["mean_test_score"]
    assert len(np.unique(scores)) == len(scores)
    np.testing.assert_array_equal(together.cv_results_["mean_test_score"], scores)
    assert together.best_params_ == alone.best_params_
    np.testing.assert_array_equal(together.predict_proba(TEXTS), alone.predict_proba(TEXTS))


def test_grid_search_over_the_tokenizer_inside_the_classifier():
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
def test_grid_search_over_the_wide_half(make):
    """And over how texts are split inside of it; the model kept is the one that its parameters give."""
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
    """With rows as what is scarce, and with epochs."""
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
    classifier = series_classifier(n_threads=1, conv_filters=0)  # With filters one epoch is enough.
    search = GridSearchCV(classifier, grid, cv=2, n_jobs=2, error_score="raise")
    search.fit(SERIES.data, SERIES.target)
    assert search.best_params_["max_epochs"] == 15
    assert search.best_score_ > 0.9


def test_grid_search_in_two_threads():
    """Workers share torch here; each fit must still be the one that its seed gives."""
    grid = {"cell": list(CELLS), "random_state": [0, 1]}
    alone = GridSearchCV(text_classifier(max_epochs=3), grid, cv=2, error_score="raise", scoring="neg_log_loss")
    together = clone(alone).set_params(n_jobs=2)
    alone.fit(TEXTS, Y)
    with joblib.parallel_config(backend="threading"):
        together.fit(TEXTS, Y)
    np.testing.assert_array_equal(alone.cv_results_["mean_test_score"], together.cv_results_["mean_test_score"])


# Ensembles


def test_voting():
    members = [(cell, text_classifier(cell=cell)) for cell in CELLS]
    vote = VotingClassifier([*members, ("bag", make_pipeline(CountVectorizer(), LogisticRegression()))], voting="soft")
    vote.fit(TEXTS, Y)
    mean = np.mean([member.predict_proba(TEXTS) for member in vote.estimators_], axis=0)
    np.testing.assert_allclose(vote.predict_proba(TEXTS), mean, rtol=1e-12)
    assert vote.score(TEXTS, Y) > 0.95
    hard = VotingClassifier(members).fit(TEXTS, Y)
    assert hard.score(TEXTS, Y) > 0.95
    assert hard.predict(TEXTS).dtype == Y.dtype
    two = VotingClassifier([("one", series_classifier()), ("two", series_classifier(random_state=1))], voting="soft")
    assert two.fit(SERIES.data, SERIES.target).score(SERIES.data, SERIES.target) > 0.9


@pytest.mark.parametrize("passed_on", ["predict_proba", "decision_function"])
def test_stacking(passed_on):
    members = [
        ("network", text_classifier()),
        ("bag", make_pipeline(CountVectorizer(), LogisticRegression())),
    ]
    stack = StackingClassifier(members, stack_method=passed_on, cv=2).fit(TEXTS[:N_TRAIN], Y[:N_TRAIN])
    assert stack.score(TEXTS[N_TRAIN:], Y[N_TRAIN:]) > 0.9
    network, _ = stack.estimators_
    expected = getattr(network, passed_on)(TEXTS)
    column = expected[:, 1] if passed_on == "predict_proba" else expected
    np.testing.assert_array_equal(stack.transform(TEXTS)[:, 0], column)


def test_one_class_against_the_rest():
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


def test_one_class_against_one():
    """This one checks X itself, so it is for tables."""
    X, y = three_classes()
    table = np.stack([np.interp(np.linspace(0, 1, 6), np.linspace(0, 1, len(row)), row) for row in X])
    model = OneVsOneClassifier(series_classifier()).fit(table, y)
    assert model.score(table, y) > 0.95


# Calibration and thresholds


@pytest.mark.parametrize("method", ["sigmoid", "isotonic", "temperature"])
@pytest.mark.parametrize("ensemble", [True, False])
def test_calibration(method, ensemble):
    calibrated = CalibratedClassifierCV(text_classifier(), method=method, cv=2, ensemble=ensemble)
    calibrated.fit(TEXTS[:N_TRAIN], Y[:N_TRAIN])
    probabilities = calibrated.predict_proba(TEXTS[N_TRAIN:])
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-12)
    assert accuracy_score(Y[N_TRAIN:], calibrated.predict(TEXTS[N_TRAIN:])) > 0.9
    # For two classes sigmoid and temperature only bend the scale, so the order of the rows stays.
    if method != "isotonic" and not ensemble:
        (inner,) = calibrated.calibrated_classifiers_
        order = np.argsort(inner.estimator.decision_function(TEXTS[N_TRAIN:]), kind="stable")
        assert (np.diff(probabilities[order, 1]) >= 0).all()


def test_calibration_of_series_in_three_classes():
    X, y = three_classes()
    calibrated = CalibratedClassifierCV(series_classifier(), method="temperature", cv=2).fit(X, y)
    assert calibrated.predict_proba(X).shape == (60, 3)
    assert calibrated.score(X, y) > 0.9


def test_a_model_that_was_trained_before_is_calibrated():
    fitted = text_classifier().fit(TEXTS[:N_TRAIN], Y[:N_TRAIN])
    before = fitted.decision_function(TEXTS)
    calibrated = CalibratedClassifierCV(FrozenEstimator(fitted), method="sigmoid").fit(TEXTS[N_TRAIN:], Y[N_TRAIN:])
    assert calibrated.score(TEXTS[N_TRAIN:], Y[N_TRAIN:]) > 0.9
    tuned = TunedThresholdClassifierCV(fitted, cv="prefit", refit=False).fit(TEXTS[N_TRAIN:], Y[N_TRAIN:])
    assert tuned.score(TEXTS[N_TRAIN:], Y[N_TRAIN:]) > 0.9
    np.testing.assert_array_equal(fitted.decision_function(TEXTS), before)


# Metadata routing

WEIGHTS = np.random.RandomState(0).randint(0, 4, size=len(Y)).astype(float)


@pytest.fixture
def routing():
    with config_context(enable_metadata_routing=True):
        yield


@pytest.fixture(scope="module")
def weighted():
    """What the weights make of the classifier, by hand."""
    model = text_classifier(**QUICK).fit(TEXTS, Y, sample_weight=WEIGHTS)
    unweighted = text_classifier(**QUICK).fit(TEXTS, Y)
    assert (model.decision_function(TEXTS) != unweighted.decision_function(TEXTS)).all()
    return model.decision_function(TEXTS)


def test_weights_must_be_asked_for(routing):
    with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
        make_pipeline(text_classifier(**QUICK)).fit(TEXTS, Y, sample_weight=WEIGHTS)


def test_weights_reach_the_classifier_through_a_pipeline(routing, weighted):
    pipeline = text_pipeline(**QUICK)
    pipeline["classifier"].set_fit_request(sample_weight=True)
    pipeline.fit(TEXTS, Y, sample_weight=WEIGHTS)
    ids = TextTokenizer().fit(TEXTS).transform(TEXTS)
    by_hand = text_classifier(**QUICK).fit(ids, Y, sample_weight=WEIGHTS)
    np.testing.assert_allclose(pipeline.decision_function(TEXTS), by_hand.decision_function(ids), rtol=0, atol=1e-12)

    alone = make_pipeline(text_classifier(**QUICK).set_fit_request(sample_weight="importance"))
    alone.fit(TEXTS, Y, importance=WEIGHTS)
    np.testing.assert_array_equal(alone.decision_function(TEXTS), weighted)


def test_weights_reach_the_classifier_through_a_grid_search(routing, weighted):
    classifier = text_classifier(**QUICK).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
    search = GridSearchCV(classifier, {"cell": ["lstm"]}, cv=StratifiedKFold(2), error_score="raise")
    search.fit(TEXTS, Y, sample_weight=WEIGHTS)
    np.testing.assert_array_equal(search.decision_function(TEXTS), weighted)
    for fold, (train, test) in enumerate(StratifiedKFold(2).split(TEXTS, Y)):
        model = text_classifier(**QUICK).fit(take(TEXTS, train), Y[train], sample_weight=WEIGHTS[train])
        score = model.score(take(TEXTS, test), Y[test], sample_weight=WEIGHTS[test])
        assert search.cv_results_[f"split{fold}_test_score"][0] == score


def test_weights_reach_the_classifier_through_other_estimators(routing):
    def asking():
        return text_classifier(**QUICK).set_fit_request(sample_weight=True)

    by_hand = text_classifier(**QUICK).fit(TEXTS, Y, sample_weight=WEIGHTS).predict_proba(TEXTS)
    vote = VotingClassifier([("one", asking())], voting="soft").fit(TEXTS, Y, sample_weight=WEIGHTS)
    np.testing.assert_array_equal(vote.predict_proba(TEXTS), by_hand)
    result = cross_validate(
        asking().set_score_request(sample_weight=False),
        TEXTS,
        Y,
        cv=2,
        params={"sample_weight": WEIGHTS},
        error_score="raise",
    )
    assert np.isfinite(result["test_score"]).all()
    calibrated = CalibratedClassifierCV(asking(), cv=2, ensemble=False).fit(TEXTS, Y, sample_weight=WEIGHTS)
    (inner,) = calibrated.calibrated_classifiers_
    np.testing.assert_array_equal(inner.estimator.predict_proba(TEXTS), by_hand)


def test_weights_reach_the_classifier_without_routing(weighted):
    """The older spelling."""
    pipeline = make_pipeline(text_classifier(**QUICK))
    pipeline.fit(TEXTS, Y, rnntextclassifier__sample_weight=WEIGHTS)
    np.testing.assert_array_equal(pipeline.decision_function(TEXTS), weighted)
    search = GridSearchCV(text_classifier(**QUICK), {"cell": ["lstm"]}, cv=2, error_score="raise")
    search.fit(TEXTS, Y, sample_weight=WEIGHTS)
    np.testing.assert_array_equal(search.decision_function(TEXTS), weighted)


def test_groups_reach_both_the_folds_and_the_classifier(routing):
    """The pairs of reviews stay together outside, in the folds, and inside, in the split for early stopping."""
    weights = WEIGHTS + 1  # with 0 the classifier's own tokenizer would leave rows out that the pipeline's reads
    changes = QUICK | {"patience": 2, "validation_fraction": 0.3, "wide": False}  # Characters of ids are not read.
    asking = text_classifier(**changes).set_fit_request(groups=True, sample_weight=True)
    asking.set_score_request(sample_weight=True)
    pipeline = text_pipeline(**changes)
    pipeline["classifier"].set_fit_request(groups=True, sample_weight=True).set_score_request(sample_weight=True)
    arguments = {"params": {"groups": REVIEWS.groups, "sample_weight": weights}, "cv": GroupKFold(3)}
    options = {"return_estimator": True, "return_indices": True, "error_score": "raise"}
    alone = cross_validate(asking, TEXTS, Y, **arguments, **options)
    piped = cross_validate(pipeline, TEXTS, Y, **arguments, **options)
    search = GridSearchCV(asking, {"cell": ["lstm"]}, cv=GroupKFold(3), error_score="raise")
    search.fit(TEXTS, Y, groups=REVIEWS.groups, sample_weight=weights)
    for fold, train in enumerate(alone["indices"]["train"]):
        by_hand = text_classifier(**changes).fit(
            take(TEXTS, train), Y[train], sample_weight=weights[train], groups=REVIEWS.groups[train]
        )
        logits = by_hand.decision_function(TEXTS)
        np.testing.assert_array_equal(alone["estimator"][fold].decision_function(TEXTS), logits)
        # On the rows that the padder has seen: it cuts longer ones.
        in_pipeline = piped["estimator"][fold].decision_function(take(TEXTS, train))
        np.testing.assert_allclose(in_pipeline, logits[train], rtol=0, atol=1e-12)
        ungrouped = text_classifier(**changes).fit(take(TEXTS, train), Y[train], sample_weight=weights[train])
        assert (ungrouped.decision_function(TEXTS) != logits).any()
        assert search.cv_results_[f"split{fold}_test_score"][0] == alone["test_score"][fold]


@pytest.mark.parametrize("routed", [False, True])
def test_groups_of_a_search_reach_the_classifier_only_where_they_are_routed(routed, monkeypatch):
    """Else the splitter alone gets them, and the classifier counts labels and makes its split as if there were none."""
    seen = []
    fit = RNNTextClassifier.fit

    def spy(self, X, y, sample_weight=None, **kwargs):
        seen.append(kwargs.get("groups"))
        return fit(self, X, y, sample_weight, **kwargs)

    monkeypatch.setattr(RNNTextClassifier, "fit", spy)
    with config_context(enable_metadata_routing=routed):
        classifier = text_classifier(**QUICK)
        if routed:
            classifier.set_fit_request(groups=True)
        search = GridSearchCV(classifier, {"units": [3]}, cv=GroupKFold(3), error_score="raise")
        search.fit(TEXTS, Y, groups=REVIEWS.groups)
    assert len(seen) == 4
    if not routed:
        assert seen == [None] * 4
        return
    for (train, _), groups in zip(GroupKFold(3).split(TEXTS, Y, REVIEWS.groups), seen, strict=False):
        np.testing.assert_array_equal(groups, REVIEWS.groups[train])
    np.testing.assert_array_equal(seen[-1], REVIEWS.groups)


def histories(*classifiers):
    return [[{k: v for k, v in row.items() if k != "seconds"} for row in one.history_] for one in classifiers]


def test_a_pipeline_transforms_x_val_if_it_is_told_of_it(routing):
    watching = QUICK | {"patience": 2}
    train, test = slice(None, N_TRAIN), slice(N_TRAIN, None)
    of_words = watching | {"wide": False}  # Characters of ids are not read.
    texts = text_pipeline(**of_words).set_params(transform_input=["X_val"])
    texts["classifier"].set_fit_request(X_val=True, y_val=True)
    texts.fit(TEXTS[train], Y[train], X_val=TEXTS[test], y_val=Y[test])
    by_hand = text_classifier(**of_words).fit(TEXTS[train], Y[train], X_val=TEXTS[test], y_val=Y[test])
    assert histories(texts["classifier"]) == histories(by_hand)

    series = Pipeline(
        [
            ("padder", SequencePadder()),
            ("classifier", series_classifier(**watching).set_fit_request(X_val=True, y_val=True)),
        ],
        transform_input=["X_val"],
    )
    (X, y), (X_val, y_val) = ((SERIES.data[rows], SERIES.target[rows]) for rows in (slice(60), slice(60, None)))
    series.fit(X, y, X_val=X_val, y_val=y_val)
    padder = SequencePadder().fit(X)
    by_hand = series_classifier(**watching).fit(padder.transform(X), y, X_val=padder.transform(X_val), y_val=y_val)
    assert histories(series["classifier"]) == histories(by_hand)


def test_a_pipeline_that_is_not_told_of_x_val():
    """The older spelling hands X_val on as it is: not of the kind of X any more, and the error says what to do."""
    with pytest.raises(ValueError, match="Row 0 of X_val is a text") as caught:
        text_pipeline(**QUICK).fit(TEXTS, Y, classifier__X_val=TEXTS, classifier__y_val=Y)
    assert "transform_input" in caught.value.__notes__[0]


def test_x_val_reaches_the_classifier_through_a_search(routing):
    classifier = text_classifier(**QUICK).set_fit_request(X_val=True, y_val=True)
    search = GridSearchCV(classifier, {"cell": ["lstm"]}, cv=2, error_score="raise")
    search.fit(TEXTS[:N_TRAIN], Y[:N_TRAIN], X_val=TEXTS[N_TRAIN:], y_val=Y[N_TRAIN:])
    by_hand = text_classifier(**QUICK).fit(TEXTS[:N_TRAIN], Y[:N_TRAIN], X_val=TEXTS[N_TRAIN:], y_val=Y[N_TRAIN:])
    assert histories(search.best_estimator_) == histories(by_hand)


def test_a_frozen_tokenizer_is_used_as_it_is():
    """Its vocabulary was learnt elsewhere, and fitting the classifier doesn't touch it."""
    tokenizer = TextTokenizer().fit([*TEXTS, "words from a much larger collection"])
    classifier = text_classifier(tokenizer=FrozenEstimator(tokenizer), **QUICK).fit(TEXTS, Y)
    assert classifier.vocab_size_ == tokenizer.n_tokens_
    assert "collection" in classifier.tokenizer_.tokens_
    again = text_classifier(tokenizer=FrozenEstimator(tokenizer), **QUICK).fit(
        tokenizer.inverse_transform(tokenizer.transform(TEXTS)), Y
    )
    np.testing.assert_array_equal(classifier.decision_function(TEXTS), again.decision_function(TEXTS))
