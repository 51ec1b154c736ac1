"""
A first classifier of texts
===========================

The first five minutes: fit a classifier, compare its accuracy with that of a linear model, predict the classes of
sentences of your own, and see which words decided.

The texts are the docstrings of four installed packages, and the class is the package. The names of the packages are
masked, so the classifier has to recognise the package by what the text is about.
"""

# %%
# The data
# --------
# A classifier takes a list of texts and an array of labels, which can be strings. The test texts are not used in the
# fit.
import os

import matplotlib.pyplot as plt
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from seqclf import RNNTextClassifier, datasets
from seqclf.inspection import TokenAttributionDisplay

QUICK = os.environ.get("SEQCLF_EXAMPLES_QUICK", "0") not in ("", "0")

docstrings = datasets.load_docstrings()
texts, packages = docstrings.data, np.array(docstrings.target_names)[docstrings.target]
if QUICK:
    texts, packages = texts[:800], packages[:800]
X_train, X_test, y_train, y_test = train_test_split(texts, packages, stratify=packages, random_state=0)

print(f"{len(X_train):,} training texts, {len(X_test):,} test texts")
print(f"\n{y_train[0]}:\n{X_train[0][:300]} ...")

# %%
# Fit and score
# -------------
# No preprocessing is necessary: the classifier splits the texts into words, counts them, fits a linear model and trains
# the network. With an integer as ``random_state``, each run gives the same model.
classifier = RNNTextClassifier(random_state=0)
classifier.fit(X_train, y_train)

# %%
# An accuracy says little without the accuracy of a common model on the same texts.
linear = make_pipeline(TfidfVectorizer(), LogisticRegression(max_iter=1000)).fit(X_train, y_train)
print(f"RNNTextClassifier()              {classifier.score(X_test, y_test):.3f}")
print(f"TF-IDF and logistic regression   {linear.score(X_test, y_test):.3f}")

# %%
# Sentences of your own
# ---------------------
# ``predict`` returns a class for each text, and ``predict_proba`` the probability of each class, in the order of
# ``classes_``.
sentences = [
    "Applies a 2D convolution over an input signal.",
    "Fit a random forest to the training rows.",
    "Interpolate the points with a cubic spline.",
    "Split an array into several sub-arrays.",
]
probabilities = classifier.predict_proba(sentences)

figure, ax = plt.subplots(figsize=(7, 2.6), layout="constrained")
ax.imshow(probabilities, cmap="Blues", vmin=0, vmax=1, aspect="auto")
for (row, column), p in np.ndenumerate(probabilities):
    ax.text(column, row, f"{p:.0%}", ha="center", va="center", color="white" if p > 0.6 else "black")
ax.set_xticks(range(len(classifier.classes_)), classifier.classes_)
ax.set_yticks(range(len(sentences)), sentences)
ax.tick_params(length=0)
ax.set_title("Probability of each package")
plt.show()

# %%
# The numbers in a row add up to 100%, up to rounding. Short sentences like these are harder than whole docstrings,
# because they have few words.
#
# Which words decided
# -------------------
# Red words raised the output for the predicted class, blue words lowered it. The strongest colour is the largest
# contribution of all rows.
TokenAttributionDisplay.from_estimator(classifier, sentences)

# %%
# What to read next
# -----------------
# - :class:`~seqclf.RNNTextClassifier` explains every parameter. Most of them can keep their defaults.
# - :ref:`sphx_glr_auto_examples_first_steps_plot_why_this_class.py` explains the coloured words.
# - :ref:`sphx_glr_auto_examples_tuning_plot_grid_search.py` compares settings by cross-validation.
# - :ref:`sphx_glr_auto_examples_shipping_plot_save_and_load.py` saves a model in a file.
