"""scikit-learn's displays and inspection tools draw the estimators, whatever X is."""

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibrationDisplay
from sklearn.inspection import PartialDependenceDisplay, permutation_importance
from sklearn.metrics import (
    ConfusionMatrixDisplay,
    DetCurveDisplay,
    PrecisionRecallDisplay,
    PredictionErrorDisplay,
    RocCurveDisplay,
)
from sklearn.model_selection import LearningCurveDisplay, ValidationCurveDisplay

from _factories import SMALL
from seqclf import RNNClassifier, RNNRegressor, RNNTagger, RNNTextClassifier, RNNTextRegressor

PLAIN = SMALL | {"wide": False, "max_epochs": 5, "learning_rate": 0.05, "n_threads": 1}
SERIES = PLAIN | {"conv_filters": 0}
TEXTS = PLAIN | {"nb_ngrams": 0}
# The third of six steps determines the class and the number.
MATRIX = np.random.default_rng(0).normal(size=(40, 6))
CLASSES = np.where(MATRIX[:, 2] > 0, "up", "down")
FRAME = pd.DataFrame(MATRIX, columns=[f"step {i}" for i in range(6)])
# Every eighth sentence has the wrong word, so that no curve is a single point.
WORDS = [("bad", "good")[(label == "up") != (i % 8 == 0)] for i, label in enumerate(CLASSES)]
SENTENCES = [f"{word} film {i % 7}" for i, word in enumerate(WORDS)]
INPUTS = {
    "texts": (RNNTextClassifier(**TEXTS), SENTENCES),
    "series": (RNNClassifier(**SERIES), [series[: 5 + i % 2] for i, series in enumerate(MATRIX)]),
    "frame": (RNNClassifier(**SERIES), FRAME),
}
REGRESSORS = {
    "texts": (RNNTextRegressor(**TEXTS), SENTENCES),
    "series": (RNNRegressor(**SERIES), INPUTS["series"][1]),
    "frame": (RNNRegressor(**SERIES), FRAME),
}
CURVES = [LearningCurveDisplay, ValidationCurveDisplay]
CURVE_SETTINGS = {
    LearningCurveDisplay: {"train_sizes": [0.5, 1.0]},
    ValidationCurveDisplay: {"param_name": "units", "param_range": [2, 3]},
}
# The points of a display of scores: x and y of its line.
POINTS = {
    RocCurveDisplay: ("fpr", "tpr"),
    PrecisionRecallDisplay: ("recall", "precision"),
    DetCurveDisplay: ("fpr", "fnr"),
    CalibrationDisplay: ("prob_pred", "prob_true"),
}


@pytest.fixture(autouse=True)
def agg():
    """Draw without a screen, and close the figures."""
    pytest.importorskip("matplotlib").use("agg")
    import matplotlib.pyplot as plt

    yield
    plt.close("all")


@pytest.fixture(scope="module", params=INPUTS)
def fitted_classifier(request):
    model, X = INPUTS[request.param]
    return model.fit(X, CLASSES), X


@pytest.mark.parametrize("display", POINTS, ids=lambda display: display.__name__)
def test_displays_of_scores_agree_with_predictions(display, fitted_classifier):
    model, X = fitted_classifier
    drawn = display.from_estimator(model, X, CLASSES, pos_label="up")
    expected = display.from_predictions(CLASSES, model.predict_proba(X)[:, 1], pos_label="up")
    drawn.figure_.canvas.draw()
    for points in POINTS[display]:
        assert len(getattr(drawn, points)) > 1
        np.testing.assert_allclose(getattr(drawn, points), getattr(expected, points))


def test_confusion_matrix_counts_predictions(fitted_classifier):
    model, X = fitted_classifier
    display = ConfusionMatrixDisplay.from_estimator(model, X, CLASSES)
    predicted = model.predict(X)
    display.figure_.canvas.draw()
    assert [label.get_text() for label in display.ax_.get_xticklabels()] == ["down", "up"]
    pairs = list(zip(CLASSES, predicted, strict=True))
    expected = [[pairs.count((true, found)) for found in ("down", "up")] for true in ("down", "up")]
    np.testing.assert_array_equal(display.confusion_matrix, expected)


@pytest.mark.parametrize("display", CURVES, ids=lambda display: display.__name__)
@pytest.mark.parametrize("name", INPUTS)
def test_curves_of_classifiers(display, name):
    model, X = INPUTS[name]
    drawn = display.from_estimator(model, X, CLASSES, cv=2, error_score="raise", **CURVE_SETTINGS[display])
    drawn.figure_.canvas.draw()
    assert drawn.test_scores.shape == (2, 2)
    assert np.isfinite(drawn.test_scores).all()


@pytest.mark.parametrize("name", REGRESSORS)
def test_prediction_errors_of_regressors(name):
    model, X = REGRESSORS[name]
    model.fit(X, MATRIX[:, 2])
    for kind in ("actual_vs_predicted", "residual_vs_predicted"):
        drawn = PredictionErrorDisplay.from_estimator(model, X, MATRIX[:, 2], kind=kind, subsample=None)
        drawn.figure_.canvas.draw()
        np.testing.assert_array_equal(drawn.y_pred, model.predict(X))


def test_curves_and_confusion_matrix_of_a_tagger():
    X = [sentence.split() for sentence in SENTENCES]
    y = [["A", "N", "C"] for _ in X]
    tagger = RNNTagger(**PLAIN)
    for display in CURVES:
        drawn = display.from_estimator(tagger, X, y, cv=2, error_score="raise", **CURVE_SETTINGS[display])
        assert np.isfinite(drawn.test_scores).all()
    predicted = tagger.fit(X, y).predict(X)
    matrix = ConfusionMatrixDisplay.from_predictions(np.concatenate(y), np.concatenate(predicted)).confusion_matrix
    assert matrix.sum() == 3 * len(X)


def test_permutation_importance_and_partial_dependence_of_steps():
    model = RNNClassifier(**(SERIES | {"max_epochs": 20})).fit(FRAME, CLASSES)
    importances = permutation_importance(model, FRAME, CLASSES, n_repeats=3, random_state=0).importances_mean
    assert importances.argmax() == 2
    display = PartialDependenceDisplay.from_estimator(model, FRAME, ["step 2"], grid_resolution=5)
    display.figure_.canvas.draw()
    probabilities = display.pd_results[0].average[0]
    assert probabilities[-1] > probabilities[0] + 0.1


def test_permutation_importance_of_channels():
    # A column per channel, a series in each cell: permutation exchanges whole series of a channel between rows.
    noise = np.random.default_rng(1).normal(size=(40, 6))
    channels = pd.DataFrame({"noise": list(noise), "signal": list(np.sort(MATRIX))})
    channels.loc[CLASSES == "down", "signal"] = channels["signal"].map(lambda series: series[::-1])
    model = RNNClassifier(**(SERIES | {"max_epochs": 20})).fit(channels, CLASSES)
    importances = permutation_importance(model, channels, CLASSES, n_repeats=3, random_state=0).importances_mean
    assert importances[1] > importances[0] + 0.2
