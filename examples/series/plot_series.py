"""
Series of any length
====================

A classifier for series of different lengths, without padding, truncation or resampling. Each series has a peak and a
trough in noise, and only their *order* determines the class: both classes have the same values, so sums, means and
extremes contain no information.
"""

# %%
# The data are lists of arrays, each (steps, channels). Series come in pairs with the same values. The test series are
# generated separately instead of split off, which keeps pairs together.
import os

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression

from seqclf import RNNClassifier, datasets

QUICK = os.environ.get("SEQCLF_EXAMPLES_QUICK", "0") not in ("", "0")
BLUE, ORANGE = "#0072B2", "#D55E00"

X_train, y_train = datasets.make_order_series(200 if QUICK else 600, noise=0.3, random_state=0)
test = datasets.make_order_series(400, noise=0.3, random_state=1, return_X_y=False)
lengths = [len(series) for series in X_train]
print(f"{len(X_train)} series of {min(lengths)} to {max(lengths)} steps")

# %%
# Two pairs of different length. The values of a pair are the same, in a different order.
figure, axes = plt.subplots(2, 2, figsize=(8, 4), sharex="row", sharey=True, layout="constrained")
for row, pair in zip(axes, (test.groups[3], test.groups[10]), strict=True):
    for member in np.flatnonzero(test.groups == pair):
        label = test.target[member]
        ax = row[label]
        ax.plot(np.arange(1, len(test.data[member]) + 1), test.data[member], marker=".", color=(BLUE, ORANGE)[label])
        ax.set_title(f"{test.target_names[label]}, {len(test.data[member])} steps", fontsize=10)
for ax in axes[1]:
    ax.set_xlabel("step")
for ax in axes[:, 0]:
    ax.set_ylabel("value")
plt.show()

# %%
# ``RNNClassifier`` accepts the list as it is, and standardises each channel (``scale=True``). A logistic regression on
# mean, standard deviation and extremes of a series can't be better than chance.
classifier = RNNClassifier(random_state=0).fit(X_train, y_train)


def describe(X):
    """Return mean, standard deviation, minimum and maximum of each series."""
    return np.array([[series.mean(), series.std(), series.min(), series.max()] for series in X])


rival = LogisticRegression().fit(describe(X_train), y_train)
print(f"RNNClassifier {classifier.score(test.data, test.target):.3f}")
print(f"logistic regression {rival.score(describe(test.data), test.target):.3f}")
classifier

# %%
# A model predicts series of any length, including lengths that did not occur in training. Its accuracy can be lower
# there. The second classifier of the figure is trained on the same number of series, of 10 to 160 steps.
varied = RNNClassifier(random_state=0).fit(
    *datasets.make_order_series(len(X_train), n_steps=(10, 160), noise=0.3, random_state=0)
)
test_lengths = [10, 14, 20, 28, 40, 80, 160]
figure, ax = plt.subplots(figsize=(7.5, 4), layout="constrained")
ax.axvspan(20, 40, color="0.9", label="20 to 40 steps")
for model, label, color, marker in (
    (classifier, "trained on 20 to 40 steps", BLUE, "o"),
    (varied, "trained on 10 to 160 steps", ORANGE, "s"),
):
    scores = [
        model.score(*datasets.make_order_series(200 if QUICK else 600, n_steps=length, noise=0.3, random_state=2))
        for length in test_lengths
    ]
    ax.plot(test_lengths, scores, color=color, marker=marker, label=label)
ax.axhline(0.5, color="black", linestyle=":", linewidth=1, label="chance")
ax.set(xscale="log", xlabel="steps of the test series", ylabel="accuracy", ylim=(0.45, 1.02))
ax.set_xticks(test_lengths, list(map(str, test_lengths)))
ax.minorticks_off()
ax.legend(loc="lower left", frameon=False)
plt.show()

# %%
# The first classifier makes the fewest errors in the grey range. A longer series also has a longer peak, and there were
# no such peaks in its training series. The second one is better at long series. The shortest series are hard for both,
# because peak and trough have only two or three noisy steps. So series may have any length, but train on the lengths
# that you expect.
#
# If series come as a table, see :ref:`sphx_glr_auto_examples_series_plot_series_from_frame.py`.
