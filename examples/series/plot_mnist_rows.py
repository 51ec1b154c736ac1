"""
Digits, read row by row
=======================

An image of a handwritten digit can be read as a series: each row of pixels is a step, and the pixels of the row are its
channels. The textbook network for it is *many-to-one*: it reads all rows, and its last state determines the class.
*Many-to-many* means an output after each step. What do the two predict when only a part of the digit has been read?
"""

# %%
# The digits are those of MNIST, with 28 rows, if the environment variable ``SEQCLF_DATA`` names a folder that contains
# them (``mnist/mnist.npz``), else the digits of scikit-learn, with 8 rows.
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from seqclf import RNNClassifier, RNNTagger

QUICK = os.environ.get("SEQCLF_EXAMPLES_QUICK", "0") not in ("", "0")

path = Path(os.environ.get("SEQCLF_DATA", ".")) / "mnist" / "mnist.npz"
if path.exists():
    with np.load(path, allow_pickle=False) as arrays:
        X, y = arrays["X_train"], arrays["y_train"]
    train_size, test_size = (800, 400) if QUICK else (6000, 1000)
else:
    X, y = load_digits(return_X_y=True)
    X = X.reshape(-1, 8, 8)
    train_size, test_size = (800, 400) if QUICK else (1300, 497)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, train_size=train_size, test_size=test_size, stratify=y, random_state=0
)
n_rows = X.shape[1]
print(f"{len(X_train):,} digits to train on, {len(X_test):,} to test on; {n_rows} rows of {X.shape[2]} pixels")

# %%
# Two classifiers: the LSTM of the textbooks, which reads from top to bottom and classifies by its last state, and the
# defaults, which read in both directions, and have convolutional layers and a linear model. Pixels need no scaling,
# because each channel is standardised (``scale=True``).
textbook = RNNClassifier(
    cell="lstm", bidirectional=False, pooling="last", wide=False, conv_filters=0, units=64, random_state=0
).fit(X_train, y_train)
defaults = RNNClassifier(random_state=0).fit(X_train, y_train)
print(f"textbook LSTM  accuracy {textbook.score(X_test, y_test):.3f} after {textbook.n_iter_} epochs")
print(f"defaults       accuracy {defaults.score(X_test, y_test):.3f} after {defaults.n_iter_} epochs")

# %%
# The same LSTM with an output after each row is a tagger: its target is a label for each step, here always the digit.
# It has one direction and no convolutions, otherwise its outputs would depend on rows that have not been read yet.
tagger = RNNTagger(cell="lstm", bidirectional=False, conv_filters=0, units=64, dropout=0.1, random_state=0)
tagger.fit(X_train, [[digit] * n_rows for digit in y_train])


def after_each_row(digits):
    """Return the probabilities after each row for both LSTMs, two arrays (digits, rows, classes)."""
    first_rows = [textbook.predict_proba(digits[:, : n_read + 1]) for n_read in range(n_rows)]
    return np.stack(first_rows, axis=1), np.stack(tagger.predict_proba(digits))


many_to_one, many_to_many = after_each_row(X_test)
print(f"tagger         accuracy {np.mean(many_to_many[:, -1].argmax(axis=1) == y_test):.3f} after the last row")

# %%
# The figure shows the probabilities for three digits. A line of the blue tables has the ten probabilities after the row
# of pixels at the same height. The many-to-one network was trained on whole digits only, so its outputs before the end
# mean little. The many-to-many network was trained to answer after each row: at first several digits are probable, and
# with more rows fewer remain.
both_right = (many_to_one[:, -1].argmax(axis=1) == y_test) & (many_to_many[:, -1].argmax(axis=1) == y_test)
shown = [np.flatnonzero(both_right & (y_test == digit))[0] for digit in (3, 7, 9)]

figure, axes = plt.subplots(3, 3, figsize=(7.5, 8), width_ratios=(1, 1.2, 1.2), sharey=True, layout="constrained")
for (image, left, right), row in zip(axes, shown, strict=True):
    image.imshow(X_test[row], cmap="gray_r", aspect="auto", extent=(0.5, X.shape[2] + 0.5, n_rows + 0.5, 0.5))
    image.set(xticks=[], ylabel="row")
    for ax, probabilities in ((left, many_to_one[row]), (right, many_to_many[row])):
        colours = ax.imshow(
            probabilities, cmap="Blues", vmin=0, vmax=1, aspect="auto", extent=(-0.5, 9.5, n_rows + 0.5, 0.5)
        )
        ax.set_xticks(range(10))
axes[0, 0].set_title("the digit")
axes[0, 1].set_title("many-to-one")
axes[0, 2].set_title("many-to-many")
for ax in axes[-1, 1:]:
    ax.set_xlabel("class")
figure.colorbar(colours, ax=axes, location="bottom", shrink=0.5, aspect=40, pad=0.01, label="probability after the row")
plt.show()

# %%
# The accuracy on all test digits. Before the end many-to-many is better, because it was trained for that. After the
# last row the two are close. So if you need answers before the end of a series, train for them. The green mark is the
# classifier with the defaults, which reads whole digits in both directions.
figure, ax = plt.subplots(figsize=(7.5, 4), layout="constrained")
n_read = np.arange(1, n_rows + 1)
for probabilities, label, color, marker in (
    (many_to_one, "many-to-one LSTM", "#D55E00", "s"),
    (many_to_many, "many-to-many LSTM", "#0072B2", "o"),
):
    accuracies = np.mean(probabilities.argmax(axis=2) == y_test[:, None], axis=0)
    ax.plot(n_read, accuracies, color=color, marker=marker, markersize=5, label=label)
ax.plot(
    n_rows, defaults.score(X_test, y_test), "D", color="#009E73", markersize=8, label="RNNClassifier(), whole digits"
)
ax.axhline(0.1, color="black", linestyle=":", linewidth=1, label="chance")
ax.set(xlabel="rows read", ylabel="accuracy", ylim=(0, 1.02))
ax.legend(loc="upper left", frameon=False)
plt.show()
