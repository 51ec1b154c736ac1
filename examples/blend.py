"""
Two heads are better than one
=============================

A recurrent network and a linear model on n-grams make errors on different texts, so their mean is more accurate than
either. scikit-learn blends them: ``VotingClassifier`` averages the probabilities, ``StackingClassifier`` learns a
weight for each model from out-of-fold predictions.

The data are the IMDB reviews in the folder that the environment variable ``SEQCLF_DATA`` names, or else docstrings.
"""

# %%
# The data: the official halves, or docstrings whose class is their package.
import os
import time

import numpy as np
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from seqclf import RNNTextClassifier, datasets

QUICK = os.environ.get("SEQCLF_EXAMPLES_QUICK", "0") not in ("", "0")

try:
    train = datasets.fetch_imdb(subset="train", download_if_missing=False)
    test = datasets.fetch_imdb(subset="test", download_if_missing=False)
    X_train, y_train, X_test, y_test = train.data, train.target, test.data, test.target
except OSError:
    data = datasets.load_docstrings()
    X_train, X_test, y_train, y_test = train_test_split(data.data, data.target, stratify=data.target, random_state=0)
if QUICK:
    X_train, _, y_train, _ = train_test_split(X_train, y_train, train_size=500, stratify=y_train, random_state=0)
    X_test, _, y_test, _ = train_test_split(X_test, y_test, train_size=500, stratify=y_test, random_state=0)

# %%
# Two common models with their defaults, except for the pairs of words and C.
network = RNNTextClassifier(random_state=0)
linear = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(C=10, max_iter=1000))
models = [("network", network), ("linear", linear)]


def evaluate(name, model):
    """Fit, predict, print a line."""
    start = time.perf_counter()
    accuracy = np.mean(model.fit(X_train, y_train).predict(X_test) == y_test)
    print(f"{name:<22} {accuracy:.4f}  {time.perf_counter() - start:6.1f} s", flush=True)


for name, model in models:
    evaluate(name, model)

# %%
# The mean of their probabilities.
evaluate("mean", VotingClassifier(models, voting="soft"))

# %%
# Weights learned by a logistic regression on out-of-fold predictions: both models are fitted once for each of three
# folds, and once on all rows.
evaluate("stacked", StackingClassifier(models, LogisticRegression(), cv=3))
