"""
scikit-learn's displays
=======================

scikit-learn's displays draw a fitted model, or a model that they fit themselves for each point of a curve. They accept
the estimators of this package, with texts or ragged series as X. Here they answer three questions about one small
network: which errors does it make, can its probabilities be trusted, and would more rows or more epochs help?
"""

# %%
# A network that makes errors
# ---------------------------
# The class of a series is whether its peak or its trough comes first. The noise is strong, so some errors cannot be
# avoided. Series come in pairs of the same values in a different order; test series are generated separately, so that
# no pair is split. The network is a plain one, without linear model and convolutional layers.
import os

import matplotlib.pyplot as plt
from sklearn.calibration import CalibrationDisplay
from sklearn.metrics import ConfusionMatrixDisplay, PrecisionRecallDisplay, RocCurveDisplay
from sklearn.model_selection import GroupKFold, LearningCurveDisplay, ValidationCurveDisplay

from seqclf import RNNClassifier, datasets

QUICK = os.environ.get("SEQCLF_EXAMPLES_QUICK", "0") not in ("", "0")

train = datasets.make_order_series(120 if QUICK else 400, noise=0.7, random_state=0, return_X_y=False)
X_test, y_test = datasets.make_order_series(400 if QUICK else 1000, noise=0.7, random_state=1)

classifier = RNNClassifier(units=16, wide=False, conv_filters=0, max_epochs=20, n_threads=1, random_state=0)
classifier.fit(train.data, train.target)
print(f"accuracy on test series: {classifier.score(X_test, y_test):.3f}")

# %%
# Errors and probabilities
# ------------------------
# ``from_estimator`` takes the model and the test rows. ``from_predictions`` takes labels or probabilities, for example
# those of :func:`~seqclf.load_predictor`, whose predictor is not a scikit-learn estimator.
figure, axes = plt.subplots(2, 2, figsize=(7, 7), layout="constrained")
confusion, roc, precision_recall, calibration = axes.flat

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
confusion.set_yticks([0, 1], train.target_names, rotation=90, va="center")

name = train.target_names[1]
shown = {"name": "network", "plot_chance_level": True, "chance_level_kw": {"color": "gray", "label": "chance"}}
RocCurveDisplay.from_estimator(classifier, X_test, y_test, ax=roc, **shown)
roc.set(title="ROC curve", xlabel="false positive rate", ylabel="true positive rate")
PrecisionRecallDisplay.from_estimator(classifier, X_test, y_test, ax=precision_recall, **shown)
precision_recall.set(title="Precision and recall", xlabel="recall", ylabel="precision")

probabilities = classifier.predict_proba(X_test)[:, 1]
CalibrationDisplay.from_predictions(
    y_test, probabilities, n_bins=5 if QUICK else 10, strategy="quantile", name="network", ax=calibration
)
calibration.set(title="Calibration", xlabel="mean predicted probability", ylabel="fraction of the class")
for ax in (roc, precision_recall, calibration):
    ax.legend(loc="lower right" if ax is not precision_recall else "lower left", fontsize="small")
plt.show()

# %%
# Probabilities and curves are those of the second class, "peak first". The calibration curve is below the diagonal
# where the network is more certain of this class than it should be, and above it where it is less certain.
#
# More rows or more epochs?
# -------------------------
# Each point is the mean over folds, with the standard deviation as a band. ``groups`` keeps pairs in one fold. Any
# parameter can be on the axis of a validation curve, here ``max_epochs``.
figure, (learning, validation) = plt.subplots(1, 2, figsize=(7, 3.2), sharey=True, layout="constrained")
settings = {"groups": train.groups, "cv": GroupKFold(2 if QUICK else 3), "score_type": "both"}
settings |= {"score_name": "accuracy", "line_kw": {"marker": "o"}}
LearningCurveDisplay.from_estimator(
    classifier, train.data, train.target, train_sizes=(0.25, 0.5, 0.75, 1.0), ax=learning, **settings
)
learning.set(title="Learning curve", xlabel="training series")

epochs = (2, 10, 40, 120) if QUICK else (2, 5, 10, 20, 40, 80, 160)
ValidationCurveDisplay.from_estimator(
    classifier,
    train.data,
    train.target,
    param_name="max_epochs",
    param_range=epochs,
    ax=validation,
    **settings,
)
validation.set(title="Validation curve", xlabel="epochs (max_epochs)", ylabel="", xscale="log")
validation.set_xticks(epochs, labels=epochs)
validation.minorticks_off()
for ax in (learning, validation):
    ax.set_ylim(0.45, 1.02)
    ax.grid(alpha=0.3)
    lines, _ = ax.get_legend_handles_labels()
    ax.legend(lines[:2], ["training folds", "held-out fold"], loc="lower right", fontsize="small")
plt.show()

# %%
# The distance between the two lines measures overfitting. In the learning curve, more rows would probably help if the
# lower line still rises at the right end. In the validation curve, further epochs do not help where only the upper line
# still rises.
