"""
Many candidates, few epochs
===========================

Many poor settings of a network can be ruled out after a few epochs. Successive halving trains all candidates briefly,
keeps the best third, trains these three times as long, and so on. With ``resource="max_epochs"`` scikit-learn's halving
searches do this with the estimators of this package.
"""

# %%
# The search
# ----------
# ``HalvingRandomSearchCV`` draws candidates from distributions. The learning rate is drawn on a logarithmic scale.
#
# Each round fits its candidates from the start, with its own number of epochs. The default schedule of the learning
# rate fits this, because it always falls to 0 at the last epoch: a fit of three epochs is a complete short training,
# and not the beginning of a long one.
import os

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LogNorm
from scipy.stats import loguniform
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GroupKFold, HalvingGridSearchCV, HalvingRandomSearchCV

from seqclf import RNNTextClassifier, datasets

QUICK = os.environ.get("SEQCLF_EXAMPLES_QUICK", "0") not in ("", "0")

data = datasets.make_order_reviews(200 if QUICK else 400, random_state=0, return_X_y=False)
classifier = RNNTextClassifier(wide=False, nb_ngrams=0, n_threads=1, random_state=0)
settings = {
    "resource": "max_epochs",
    "factor": 3,
    "cv": GroupKFold(2 if QUICK else 3),
    "n_jobs": None if QUICK else 2,
    "random_state": 0,
}
distributions = {
    "cell": ["rnn", "gru", "lstm"],
    "units": [8, 16, 32],
    "learning_rate": loguniform(1e-4, 1e-1),
}
search = HalvingRandomSearchCV(
    classifier,
    distributions,
    n_candidates=9 if QUICK else 18,
    min_resources=2,
    max_resources=18,
    **settings,
)
search.fit(data.data, data.target, groups=data.groups)
best = search.best_params_
print(f"best: {best['cell']}({best['units']}) with a learning rate of {best['learning_rate']:.3f}")
print(f"accuracy on held-out pairs: {search.best_score_:.3f}")
epochs = np.multiply(search.n_candidates_, search.n_resources_)
print(f"epochs in each fold: {epochs.sum()}, instead of {search.n_candidates_[0] * search.n_resources_[-1]}")

# %%
# Candidates by epochs
# --------------------
# A line is a candidate. It ends in the round after which the candidate was dropped.
results = search.cv_results_
candidates: dict[tuple, list[int]] = {}
for row, params in enumerate(results["params"]):
    key = tuple((name, value) for name, value in sorted(params.items()) if name != "max_epochs")
    candidates.setdefault(key, []).append(row)

figure, ax = plt.subplots(figsize=(7, 3.8), layout="constrained")
colors, norm = plt.get_cmap("viridis"), LogNorm(1e-4, 1e-1)
for key, rows in candidates.items():
    scores = results["mean_test_score"][rows]
    ax.plot(results["n_resources"][rows], scores, marker="o", color=colors(norm(dict(key)["learning_rate"])), alpha=0.8)
ax.axhline(0.5, color="gray", linestyle=":")
ax.set_xscale("log")
ax.set_xticks(search.n_resources_, search.n_resources_)
ax.minorticks_off()
ax.set(xlabel="epochs (max_epochs)", ylabel="accuracy on held-out pairs")
figure.colorbar(plt.cm.ScalarMappable(norm, colors), ax=ax, label="learning rate")
plt.show()

# %%
# The dotted line is chance. Two epochs are too few for small learning rates, so such candidates tend to be dropped
# after the first round. This is also the limit of the method: a candidate that learns slowly at first and is better in
# the end is dropped too. ``min_resources`` has to leave enough epochs to tell the candidates apart.
#
# A grid
# ------
# ``HalvingGridSearchCV`` does the same with all combinations of the given values.
grid = {"units": [8, 16, 32], "learning_rate": [3e-3, 1e-2, 3e-2]}
search = HalvingGridSearchCV(classifier, grid, min_resources=2, max_resources=18, **settings)
search.fit(data.data, data.target, groups=data.groups)
for n_candidates, n_epochs in zip(search.n_candidates_, search.n_resources_, strict=True):
    print(f"{n_candidates} candidates with {n_epochs:>2} epochs")
print(f"best: {search.best_params_} with {search.best_score_:.3f}")

# %%
# The best estimator is fitted once more on all rows, with the ``max_epochs`` of the last round.
# :ref:`sphx_glr_auto_examples_tuning_plot_grid_search.py` compares candidates of a full grid.
