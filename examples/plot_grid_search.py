"""
Which cell, how many units?
===========================

``GridSearchCV`` and ``HalvingGridSearchCV`` with a recurrent classifier, on reviews whose class depends on the order of
the words: "bad but i recommend it" and "i recommend it but bad". A bag of words has an accuracy of one half.
"""

# %%
# The data, and the accuracy of a bag of words. The texts are pairs with the same words; the folds keep each pair
# together.
import os

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, HalvingGridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

from seqclf import RNNTextClassifier, datasets

QUICK = os.environ.get("SEQCLF_EXAMPLES_QUICK", "0") not in ("", "0")

data = datasets.make_order_reviews(200 if QUICK else 600, random_state=0, return_X_y=False)
X, y, folds = data.data, data.target, GroupKFold(3)
for text, label in list(zip(X, y, strict=True))[:4]:
    print(f"{data.target_names[label]:<10} {text}")

bag_of_words = make_pipeline(CountVectorizer(), LogisticRegression())
print(f"bag of words: {cross_val_score(bag_of_words, X, y, cv=folds, groups=data.groups).mean():.3f}")

# %%
# The whole grid on two processes, with one thread each, so that the processes do not compete for two cores.
classifier = RNNTextClassifier(max_epochs=10, n_threads=1, random_state=0)
search = GridSearchCV(classifier, {"cell": ["rnn", "lstm", "gru"], "units": [8, 16]}, n_jobs=2, cv=folds)
search.fit(X, y, groups=data.groups)
print(f"grid: {search.best_params_} with {search.best_score_:.3f}")

# %%
# Successive halving: all candidates get a few epochs, the best third gets three times as many, and so on. The number of
# epochs is the resource.
halving = HalvingGridSearchCV(
    classifier,
    {"cell": ["rnn", "lstm", "gru"], "learning_rate": [1e-3, 3e-3, 1e-2]},
    resource="max_epochs",
    min_resources=2,
    max_resources=6 if QUICK else 18,
    cv=folds,
    n_jobs=2,
    random_state=0,
)
halving.fit(X, y, groups=data.groups)
print(f"halving: {halving.best_params_} with {halving.best_score_:.3f}")

# %%
# A plot of the grid.
figure, ax = plt.subplots(layout="constrained")
for cell in ("rnn", "lstm", "gru"):
    rows = [i for i, params in enumerate(search.cv_results_["params"]) if params["cell"] == cell]
    units = [search.cv_results_["params"][i]["units"] for i in rows]
    ax.errorbar(
        units,
        search.cv_results_["mean_test_score"][rows],
        yerr=search.cv_results_["std_test_score"][rows],
        marker="o",
        capsize=3,
        label=cell,
    )
ax.axhline(0.5, color="gray", linestyle=":", label="bag of words")
ax.set(xlabel="units", ylabel="accuracy (3 folds)", title="The order of the words determines the class")
ax.legend()
plt.show()
