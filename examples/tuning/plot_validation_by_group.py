"""
Rows that belong together
=========================

Texts of one author, series of one patient, methods of one class: such rows resemble each other. If some of them are in
the training set and others in the validation set, the validation score is too high, because the network was trained on
very similar rows. With ``fit(..., groups=...)`` whole groups are held out.
"""

# %%
# The data
# --------
# The beginnings of docstrings, with the package as the class to predict. Methods of one Python class, and functions of
# one module, are often documented in nearly the same words, so they are a group. Groups of a single docstring are
# omitted, and only the first four of a group are used.
import os

import matplotlib.pyplot as plt
import numpy as np
from sklearn import config_context
from sklearn.model_selection import GridSearchCV, GroupKFold, GroupShuffleSplit

from seqclf import RNNTextClassifier, TextTokenizer, datasets

QUICK = os.environ.get("SEQCLF_EXAMPLES_QUICK", "0") not in ("", "0")

data = datasets.load_docstrings()
members: dict[str, list[int]] = {}
for row, name in enumerate(data.names):
    members.setdefault(name.rpartition(".")[0], []).append(row)
members = {group: rows[:4] for group, rows in members.items() if len(rows) > 1}

rows = np.concatenate(list(members.values()))
X = np.array(data.data, dtype=object)[rows]
y = np.array(data.target_names)[data.target[rows]]
groups = np.repeat(list(members), [len(each) for each in members.values()])
print(f"{len(X):,} docstrings in {len(members)} groups, for example:")
for row in next(rows for rows in members.values() if len(rows) == 4):
    print(f"  {data.names[row]}: {data.data[row].splitlines()[0]}")

# %%
# Three accuracies
# ----------------
# Test rows are in other groups than training rows. Early stopping holds out a fifth of the training rows: at random, or
# as whole groups. ``history_`` has the validation score of each epoch.
classifier = RNNTextClassifier(
    TextTokenizer(max_length=20, truncate="end"),
    wide=False,
    nb_ngrams=0,
    schedule="constant",
    max_epochs=10,
    patience=3,
    validation_fraction=0.2,
    n_threads=1,
    random_state=0,
)


def accuracies(train, test, groups_of_fit):
    """Fit, and return the validation accuracy of the epoch that early stopping chose, and the test accuracy."""
    classifier.fit(X[train], y[train], groups=groups_of_fit)
    return classifier.history_[classifier.best_epoch_ - 1]["valid_score"], classifier.score(X[test], y[test])


splits = list(GroupShuffleSplit(2 if QUICK else 6, test_size=0.25, random_state=0).split(X, y, groups))
at_random = np.array([accuracies(train, test, None) for train, test in splits])
by_group = np.array([accuracies(train, test, groups[train]) for train, test in splits])

# %%
# Each thin line is one split into training and test set. With random rows held out, the validation accuracy tends to be
# higher than the accuracy on new groups. With whole groups held out, the two are closer on average.
figure, axes = plt.subplots(1, 2, figsize=(7, 3.4), sharey=True, layout="constrained")
for ax, found, title in zip(
    axes, (at_random, by_group), ("random rows held out", "whole groups held out"), strict=True
):
    ax.plot([0, 1], found.T, color="C0", alpha=0.5, marker="o")
    ax.plot([0, 1], found.mean(axis=0), color="black", linewidth=2.5, marker="o", label="mean")
    ax.set_xticks([0, 1], ["validation", "test:\nnew groups"])
    ax.set_xlim(-0.3, 1.3)
    ax.set_title(title, fontsize="medium")
axes[0].set_ylabel("accuracy")
axes[1].legend(frameon=False)
plt.show()
print(f"mean of validation minus test: {np.subtract(*at_random.T).mean():+.3f} with random rows, ", end="")
print(f"{np.subtract(*by_group.T).mean():+.3f} with groups")

# %%
# In a search
# -----------
# A search uses ``groups`` for its own folds. It passes them on to the classifier, for early stopping, only with
# scikit-learn's metadata routing and ``set_fit_request``.
with config_context(enable_metadata_routing=True):
    search = GridSearchCV(classifier.set_fit_request(groups=True), {"units": [8, 32]}, cv=GroupKFold(2 if QUICK else 3))
    search.fit(X, y, groups=groups)
print(f"best: {search.best_params_}, accuracy on held-out groups {search.best_score_:.3f}")

# %%
# If there are several kinds of groups, such as authors and films, hold out the one that will be new when the model is
# used. A validation set that already exists can be passed as ``fit(X, y, X_val=X_val, y_val=y_val)``.
