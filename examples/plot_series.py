"""
Series of any length
====================

A classifier for series of different lengths, without padding, truncating or resampling. Each series has a peak and a
trough somewhere in the noise, and only their ORDER determines the class. The two classes have the same values, so sums,
means and extremes contain no information.
"""

# %%
# The data: lists of arrays, each (steps, channels). Series are pairs with the same values. The test series are
# generated separately instead of split off, which keeps pairs together.
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
# Training. `RNNClassifier` standardises each channel (`scale=True`).
classifier = RNNClassifier(cell="gru", max_epochs=20, random_state=0)
classifier.fit(X_train, y_train)


def describe(X):
    """Return simple features: mean, standard deviation and extremes of each series."""
    return np.array([[series.mean(), series.std(), series.min(), series.max()] for series in X])


rival = LogisticRegression().fit(describe(X_train), y_train)
print(f"accuracy {classifier.score(X_test, y_test):.3f}")
print(f"logistic regression on mean, standard deviation and extremes {rival.score(describe(X_test), y_test):.3f}")
print(f"{classifier.n_parameters_:,} parameters, {classifier.n_iter_} epochs")

# %%
# Its errors. The display accepts any scikit-learn classifier.
display = ConfusionMatrixDisplay.from_estimator(
    classifier, X_test, y_test, display_labels=["trough first", "peak first"]
)
display.ax_.set_title("Peak or trough first?")
plt.show()
