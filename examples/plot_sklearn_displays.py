"""
scikit-learn's displays
=======================

scikit-learn's displays draw a fitted model, or a model that they fit themselves for each point of a curve. They accept
the estimators of this package, with ragged series or texts as X. Here they show one small network: its errors, how well
its probabilities are calibrated, and whether more rows or more epochs would improve it.

The class of a series is whether its peak or its trough comes first. The noise is strong, so some errors cannot be
avoided.
"""

# %%
# The data. Series come in pairs of the same values in a different order. Test series are generated separately, and
# folds keep pairs together, so no pair is split.
import os
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # writes a file, needs no screen
import matplotlib.pyplot as plt
from sklearn.calibration import CalibrationDisplay
from sklearn.metrics import ConfusionMatrixDisplay, PrecisionRecallDisplay, RocCurveDisplay
from sklearn.model_selection import GroupKFold, LearningCurveDisplay, ValidationCurveDisplay

from seqclf import RNNClassifier, datasets

QUICK = os.environ.get("SEQCLF_EXAMPLES_QUICK", "0") not in ("", "0")
OUTPUT = Path(__file__).resolve().parent.parent / "demo_output"

train = datasets.make_order_series(120 if QUICK else 400, noise=0.7, random_state=0, return_X_y=False)
X_test, y_test = datasets.make_order_series(200 if QUICK else 1000, noise=0.7, random_state=1)

# %%
# The model: a plain recurrent network, without linear model and convolutional layers. It is small, so one thread is
# enough.
classifier = RNNClassifier(units=16, wide=False, conv_filters=0, max_epochs=20, n_threads=1, random_state=0)
classifier.fit(train.data, train.target)
accuracy = classifier.score(X_test, y_test)
print(f"accuracy {accuracy:.3f}")

# %%
# Displays of the fitted model, on the test series. `from_predictions` draws the same from labels or probabilities, for
# example from those of a predictor of `load_predictor`, which is not a scikit-learn estimator.
figure, axes = plt.subplots(2, 3, figsize=(13, 8), layout="constrained")
confusion, roc, precision_recall, calibration, learning, validation = axes.flat

ConfusionMatrixDisplay.from_estimator(
    classifier,
    X_test,
    y_test,
    display_labels=train.target_names,
    normalize="true",
    values_format=".0%",
    cmap="Blues",
    im_kw={"vmin": 0, "vmax": 1},
    colorbar=False,
    ax=confusion,
)
confusion.set(title="Confusion matrix", xlabel="predicted class", ylabel="true class (rows add up to 100%)")

name = train.target_names[1]
shown = {"name": f"“{name}”", "plot_chance_level": True, "chance_level_kw": {"color": "gray"}}
RocCurveDisplay.from_estimator(classifier, X_test, y_test, ax=roc, **shown)
roc.set(title="ROC curve", xlabel="false positive rate", ylabel="true positive rate")
PrecisionRecallDisplay.from_estimator(classifier, X_test, y_test, ax=precision_recall, **shown)
precision_recall.set(title="Precision and recall", xlabel="recall", ylabel="precision")

probabilities = classifier.predict_proba(X_test)[:, 1]
CalibrationDisplay.from_predictions(
    y_test, probabilities, n_bins=5 if QUICK else 10, strategy="quantile", name=f"“{name}”", ax=calibration
)
calibration.set(title="Calibration", xlabel="mean predicted probability", ylabel="fraction of the class")

# %%
# Curves of scores. Each point is the mean over folds, with the standard deviation as a band. `groups` keeps pairs in
# one fold. Any parameter can be on the axis of a validation curve.
settings = {"groups": train.groups, "cv": GroupKFold(2 if QUICK else 3), "score_type": "both"}
settings |= {"score_name": "accuracy", "line_kw": {"marker": "o"}}
epochs = (1, 3, 10, 30) if QUICK else (2, 5, 10, 20, 40, 80, 160)
LearningCurveDisplay.from_estimator(
    classifier, train.data, train.target, train_sizes=(0.25, 0.5, 0.75, 1.0), ax=learning, **settings
)
learning.set(title="Learning curve", xlabel="training series")

ValidationCurveDisplay.from_estimator(
    classifier,
    train.data,
    train.target,
    param_name="max_epochs",
    param_range=epochs,
    ax=validation,
    **settings,
)
validation.set(title="Validation curve", xlabel="epochs (max_epochs)", xscale="log")
validation.set_xticks(epochs, labels=epochs)
validation.minorticks_off()
for ax in (learning, validation):
    ax.set_ylim(0.45, 1.02)
    ax.grid(alpha=0.3)
    lines, _ = ax.get_legend_handles_labels()
    ax.legend(lines[:2], ["training folds", "held-out fold"], loc="upper left")

figure.suptitle(f"A small network, {len(train.data)} training series: accuracy {accuracy:.1%}")
OUTPUT.mkdir(exist_ok=True)
path = OUTPUT / "sklearn_displays.png"
figure.savefig(path, dpi=100)
print(f"picture: {path}")
