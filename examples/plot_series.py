"""
Series of any length
====================

A classifier for series whose rows differ in length: nothing is padded, cut or resampled. Each series has a peak and a
trough somewhere in the noise, and only their ORDER tells the class: the values of the two classes are the same, so
sums, means and extremes say nothing.
"""

# %%
# The data: lists of arrays, each (steps, channels). Series come in pairs made of the same values, so the series to
# judge by are drawn for themselves and not split off: no pair is torn apart.
import os

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import ConfusionMatrixDisplay

from seqclf import RNNClassifier, datasets

QUICK = os.environ.get("SEQCLF_EXAMPLES_QUICK", "0") not in ("", "0")

X_train, y_train = datasets.make_order_series(200 if QUICK else 600, random_state=0)
X_test, y_test = datasets.make_order_series(200, random_state=1)
lengths = [len(series) for series in X_train]
print(f"{len(X_train)} series of {min(lengths)} to {max(lengths)} steps")

# %%
# Learning. `RNNClassifier` standardises every channel by itself (`scale=True`).
classifier = RNNClassifier(cell="gru", max_epochs=20, random_state=0)
classifier.fit(X_train, y_train)


def describe(X):
    """Return what a table of features would hold: mean, spread and extremes of each series."""
    return np.array([[series.mean(), series.std(), series.min(), series.max()] for series in X])


rival = LogisticRegression().fit(describe(X_train), y_train)
print(f"accuracy {classifier.score(X_test, y_test):.3f}")
print(f"logistic regression on mean, spread and extremes {rival.score(describe(X_test), y_test):.3f}")
print(f"{classifier.n_parameters_:,} parameters, {classifier.n_iter_} epochs")

# %%
# Where it errs. The display takes any scikit-learn classifier.
display = ConfusionMatrixDisplay.from_estimator(
    classifier, X_test, y_test, display_labels=["trough first", "peak first"]
)
display.ax_.set_title("Peak or trough first?")
plt.show()
