"""
Several labels for each text
============================

A text can have any number of labels at once. :class:`~sklearn.preprocessing.MultiLabelBinarizer` converts lists of
labels to an indicator matrix, with one row per text and one column per label, and the classifier predicts a probability
for each entry. One network learns all labels together.

The texts are docstrings whose headings have been removed: which sections do they have?
"""

# %%
# A heading is a line with a line of dashes below it. Without the headings, the content of a section is still there:
# ``>>>`` in examples, ``[1]`` in references, names and types in the list of parameters. A section of notes is plain
# prose, and harder to recognise.
import os
import re

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import precision_recall_fscore_support
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import MultiLabelBinarizer

from seqclf import RNNTextClassifier, TextTokenizer, datasets

QUICK = os.environ.get("SEQCLF_EXAMPLES_QUICK", "0") not in ("", "0")
SECTIONS = ["Parameters", "Returns", "Raises", "See Also", "Notes", "References", "Examples"]
HEADING = re.compile(rf"^[ ]*({'|'.join(SECTIONS)})[ ]*\n[ ]*-+[ ]*$", re.MULTILINE)

docstrings = datasets.load_docstrings(packages=["numpy", "scipy", "sklearn"]).data
docstrings = [text for text in docstrings if 30 <= len(text.split()) <= 250][: 500 if QUICK else 1500]
sections = [HEADING.findall(text) for text in docstrings]
texts = [HEADING.sub("", text) for text in docstrings]
print(sections[0])
print(texts[0])

# %%
# The labels as a matrix. ``classes`` fixes the order of the columns.
binarizer = MultiLabelBinarizer(classes=SECTIONS)
y = binarizer.fit_transform(sections)
X_train, X_test, y_train, y_test = train_test_split(texts, y, random_state=0)
print(y_train[:3])

# %%
# The output layer has one sigmoid per label, so the probabilities of a text do not have to add up to 1. ``predict``
# returns the labels with a probability of at least 0.5.
classifier = RNNTextClassifier(TextTokenizer(max_length=250), random_state=0).fit(X_train, y_train)
predicted = classifier.predict(X_test)
print(binarizer.inverse_transform(predicted[:3]))

# %%
# Precision, recall and F1 of each label on the test texts. The grey dots are the F1 of a model that predicts the label
# for every text: the more frequent the label, the higher. Examples are easy to find, because their ``>>>`` hardly
# occurs elsewhere. Notes are harder, because they look like any other prose, and so is the rarest label, because few of
# the training texts have it.
precision, recall, f1, _ = precision_recall_fscore_support(y_test, predicted, zero_division=0)
fraction = y_test.mean(axis=0)
order = np.argsort(fraction)
heights = np.arange(len(SECTIONS))
figure, ax = plt.subplots(figsize=(7.5, 4.2), layout="constrained")
ax.hlines(heights, 2 * fraction[order] / (1 + fraction[order]), f1[order], color="0.8", linewidth=2, zorder=0)
for values, label, color, marker in (
    (2 * fraction / (1 + fraction), "F1, label predicted for every text", "0.6", "o"),
    (precision, "precision", "#E69F00", "<"),
    (recall, "recall", "#009E73", ">"),
    (f1, "F1", "#0072B2", "D"),
):
    ax.scatter(values[order], heights, color=color, marker=marker, s=45, label=label)
ax.set_yticks(heights, [f"{SECTIONS[i]} ({fraction[i]:.0%} of the texts)" for i in order])
ax.set(xlim=(-0.02, 1.02), xlabel="score on the test texts")
figure.legend(loc="outside lower center", ncols=4, frameon=False, columnspacing=1, handletextpad=0.2)
plt.show()

# %%
# The figure shows the probabilities of twelve test texts. Each row is a text; a ring marks the labels that it has.
# Rings on dark cells are correct, rings on light cells are misses, and dark cells without a ring are false alarms.
probabilities = classifier.predict_proba(X_test[:12])
figure, ax = plt.subplots(figsize=(7.5, 5), layout="constrained")
image = ax.imshow(probabilities, cmap="Blues", vmin=0, vmax=1, aspect="auto")
rows, columns = np.nonzero(y_test[:12])
ax.scatter(columns, rows, s=110, facecolors="none", edgecolors="#D55E00", linewidths=2)
ax.set_xticks(range(len(SECTIONS)), SECTIONS, rotation=30, ha="right")
first_lines = [text.strip().splitlines()[0] for text in X_test[:12]]
ax.set_yticks(range(12), [line if len(line) <= 34 else f"{line[:32]}…" for line in first_lines])
figure.colorbar(image, label="probability of the label")
plt.show()

# %%
# A threshold other than 0.5 finds more texts of a rare label, or makes fewer false alarms. With ``predict_proba`` each
# label can have its own. :ref:`sphx_glr_auto_examples_text_plot_spam.py` shows how to choose a threshold.
