"""
Which cell, how many units?
===========================

scikit-learn's ``GridSearchCV`` compares cells and numbers of units by cross-validation. The task is one that a bag of
words cannot learn: "bad but i recommend it" is positive and "i recommend it but bad" is negative.
"""

# %%
# The data
# --------
# Reviews come in pairs with the same words, one of each class. ``groups`` has the number of the pair, and
# ``GroupKFold`` keeps both reviews in the same fold. A model that counts words is right for one of the two.
import os

import matplotlib.pyplot as plt
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline

from seqclf import RNNTextClassifier, datasets

QUICK = os.environ.get("SEQCLF_EXAMPLES_QUICK", "0") not in ("", "0")

data = datasets.make_order_reviews(200 if QUICK else 600, random_state=0, return_X_y=False)
X, y, folds = data.data, data.target, GroupKFold(2 if QUICK else 3)
for text, label in list(zip(X, y, strict=True))[:4]:
    print(f"{data.target_names[label]:<10} {text}")

bag_of_words = make_pipeline(CountVectorizer(), LogisticRegression())
print(f"\nbag of words: {cross_val_score(bag_of_words, X, y, cv=folds, groups=data.groups).mean():.3f}")

# %%
# The search
# ----------
# The network is trained alone (``wide=False, nb_ngrams=0``), because with the linear model of the defaults this task is
# too easy to show a difference. ``n_jobs=2`` runs two fits at a time; each worker process uses its part of the
# processors.
classifier = RNNTextClassifier(wide=False, nb_ngrams=0, learning_rate=0.02, max_epochs=10, random_state=0)
grid: dict[str, list] = {"cell": ["rnn", "gru", "lstm"], "units": [8, 16, 32]}
search = GridSearchCV(classifier, grid, cv=folds, n_jobs=None if QUICK else 2)
search.fit(X, y, groups=data.groups)
print(f"best: {search.best_params_} with {search.best_score_:.3f}")

# %%
# The results
# -----------
# A point is the mean of the folds, a bar their standard deviation.
results = search.cv_results_
figure, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
styles = {"rnn": ("#0072B2", "o"), "gru": ("#E69F00", "s"), "lstm": ("#009E73", "^")}
for position, (cell, (color, marker)) in enumerate(styles.items()):
    rows = [i for i, params in enumerate(results["params"]) if params["cell"] == cell]
    ax.errorbar(
        [k + 0.06 * (position - 1) for k in range(len(rows))],
        results["mean_test_score"][rows],
        yerr=results["std_test_score"][rows],
        color=color,
        marker=marker,
        capsize=3,
        label=cell,
    )
ax.axhline(0.5, color="gray", linestyle=":", label="bag of words")
ax.set_xticks(range(len(grid["units"])), grid["units"])
ax.set(xlabel="units", ylabel="accuracy")
ax.legend(loc="upper left", ncols=2)
plt.show()

# %%
# With so few rows and epochs, larger networks tend to be more accurate on this task. Differences that are smaller than
# the bars can be due to chance. The defaults add a linear model and features of pairs and triples of words, which help
# on so few rows:
defaults = RNNTextClassifier(max_epochs=10, random_state=0)
print(f"defaults: {cross_val_score(defaults, X, y, cv=folds, groups=data.groups).mean():.3f}")

# %%
# What to read next
# -----------------
# - :ref:`sphx_glr_auto_examples_tuning_plot_halving.py` searches more candidates with fewer epochs.
# - :ref:`sphx_glr_auto_examples_tuning_plot_validation_by_group.py` explains why pairs must not be split.
