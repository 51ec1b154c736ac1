"""
A blend with a linear model
===========================

A recurrent network and a linear model on n-grams make errors on different texts. The mean of their probabilities can
therefore be more accurate than each of them. scikit-learn blends models in two ways:
:class:`~sklearn.ensemble.VotingClassifier` averages the probabilities, and
:class:`~sklearn.ensemble.StackingClassifier` learns a weight for each model from out-of-fold predictions.
"""

# %%
# The data are film reviews, negative or positive, if :func:`seqclf.datasets.fetch_imdb` finds them without a download,
# else the first paragraphs of the docstrings of two packages.
import os

import matplotlib.pyplot as plt
import numpy as np
from sklearn.ensemble import StackingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from seqclf import RNNTextClassifier, datasets

QUICK = os.environ.get("SEQCLF_EXAMPLES_QUICK", "0") not in ("", "0")

try:
    X, y = datasets.fetch_imdb(download_if_missing=False, return_X_y=True)
except OSError:
    X, y = datasets.load_docstrings(packages=["scipy", "sklearn"], return_X_y=True)
    X = [text.split("\n\n")[0] for text in X]
X_train, X_test, y_train, y_test = train_test_split(
    X, y, train_size=200 if QUICK else 1500, test_size=500, stratify=y, random_state=0
)
print(f"{len(X_train):,} texts to train on, {len(X_test):,} to test on")

# %%
# The stacking classifier fits both models, and a logistic regression on their probabilities. It gets these by
# cross-validation, so that no text is predicted by a model that was trained on it: each model is fitted once for each
# of three folds, and once on all rows.
network = RNNTextClassifier(random_state=0)
linear = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(C=100, max_iter=1000))
stacking = StackingClassifier([("network", network), ("linear", linear)], LogisticRegression(), cv=3)
stacking.fit(X_train, y_train)

# %%
# The models that are fitted on all rows are in ``named_estimators_``, so their mean costs nothing more. If you want
# only the mean, use ``VotingClassifier([("network", network), ("linear", linear)], voting="soft")``, which fits each
# model once.
probabilities = {name: model.predict_proba(X_test) for name, model in stacking.named_estimators_.items()}
probabilities["mean"] = (probabilities["network"] + probabilities["linear"]) / 2
probabilities["learned weights"] = stacking.predict_proba(X_test)
accuracies = {name: np.mean(values.argmax(axis=1) == y_test) for name, values in probabilities.items()}
for name, accuracy in accuracies.items():
    print(f"{name:<15} {accuracy:.3f}")

# %%
# Each point of the figure is a test text. Its position is the probability of the *true* class in both models, so the
# texts in the right half are classified correctly by the network, and those in the upper half by the linear model. The
# mean of the two is correct above the dashed line. Where the models disagree, it follows the one whose probability is
# further from 0.5. The mean is better than the network alone if it corrects more texts (top left, above the line) than
# it spoils (bottom right, below the line).
rows = np.arange(len(y_test))
of_network, of_linear = (probabilities[name][rows, y_test] for name in ("network", "linear"))
right = (of_network > 0.5).astype(int) + 2 * (of_linear > 0.5)
kinds = {
    3: ("both correct", "0.75", "o"),
    1: ("only the network correct", "#0072B2", "s"),
    2: ("only the linear model correct", "#D55E00", "^"),
    0: ("both wrong", "black", "x"),
}

figure, ax = plt.subplots(figsize=(6.5, 6.5), layout="constrained")
for kind, (label, color, marker) in kinds.items():
    chosen = right == kind
    ax.scatter(
        of_network[chosen],
        of_linear[chosen],
        s=22,
        color=color,
        marker=marker,
        linewidth=1.2 if marker == "x" else 0,
        alpha=0.85,
        label=f"{label}: {chosen.sum()} texts",
    )
ax.axhline(0.5, color="0.5", linewidth=0.8)
ax.axvline(0.5, color="0.5", linewidth=0.8)
ax.plot([0, 1], [1, 0], color="black", linewidth=1.2, linestyle="--", label="mean of both = 0.5")
ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
ax.set(xlabel="probability of the true class, network", ylabel="probability of the true class, linear model")
figure.legend(loc="outside lower center", ncols=2, frameon=False)
plt.show()

# %%
# The default network already contains a linear model: with ``wide=True`` it starts from the scores of one, and learns
# what that model misses. The blend therefore gains less than it would with the plain network of the textbooks,
# ``RNNTextClassifier(wide=False, nb_ngrams=0)``.
