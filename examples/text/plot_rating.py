"""
A number from a text
====================

:class:`seqclf.RNNTextRegressor` predicts a number, here the stars that the author of a review gave to a film. It is
compared with ridge regression on TF-IDF, which uses single words and pairs, but not the order of words further apart.

The data are film reviews with 1 to 10 stars, if :func:`seqclf.datasets.fetch_imdb` finds them without a download.
Otherwise reviews with two opinions each are generated, and the second opinion counts more.
"""

# %%
# The generated reviews have 1 to 10 stars too.
import os

import matplotlib.pyplot as plt
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import RidgeCV
from sklearn.metrics import mean_absolute_error, r2_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from seqclf import RNNTextRegressor, datasets

QUICK = os.environ.get("SEQCLF_EXAMPLES_QUICK", "0") not in ("", "0")
OPINIONS = {
    1: ["an awful script", "terrible actors", "i hated the ending"],
    3: ["boring dialogues", "a weak plot", "too long for me"],
    5: ["an average story", "ordinary music", "nothing new"],
    8: ["good actors", "a funny script", "i liked the ending"],
    10: ["a brilliant plot", "wonderful music", "i loved every minute"],
}
FILLERS = ["last week", "at home", "with my friends", "after dinner", "in the rain", "as we know", "by the way"]


def make_reviews(n, rng):
    """Return `n` reviews of two opinions, and their stars."""
    texts, stars = [], []
    for _ in range(n):
        first, second = rng.choice(list(OPINIONS), size=2)
        parts = [rng.choice(FILLERS), rng.choice(OPINIONS[first]), rng.choice(FILLERS), rng.choice(OPINIONS[second])]
        texts.append(" ".join([*parts, rng.choice(FILLERS)]))
        stars.append(np.clip(np.rint(0.25 * first + 0.75 * second + rng.normal(scale=0.7)), 1, 10))
    return texts, np.array(stars)


try:
    reviews = datasets.fetch_imdb(download_if_missing=False)
    X, y, n_train = reviews.data, reviews.ratings, 500 if QUICK else 2000
except OSError:
    X, y = make_reviews(4000, np.random.default_rng(0))
    n_train = 1500 if QUICK else 3000
X_train, X_test, y_train, y_test = train_test_split(
    X, y, train_size=n_train, test_size=500 if QUICK else 1000, random_state=0
)
print(f"{y_train[0]:.0f} stars: {X_train[0][:200]}")

# %%
# Targets need no scaling: the network standardises them itself, and its predictions never leave the range of the
# targets in ``fit``. Ridge regression can predict 11 stars.
models = {
    "ridge regression on TF-IDF": make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), RidgeCV(np.logspace(-2, 2, 9))
    ),
    "RNNTextRegressor": RNNTextRegressor(random_state=0),
}
predictions = {name: model.fit(X_train, y_train).predict(X_test) for name, model in models.items()}
print(f"{'':<27} {'R squared':>9} {'mean absolute error':>20}")
for name, predicted in predictions.items():
    print(f"{name:<27} {r2_score(y_test, predicted):9.3f} {mean_absolute_error(y_test, predicted):20.2f}")

# %%
# The figure shows the predictions for the test reviews, grouped by the stars of their authors: a box contains the
# middle half of a group, the line in it is the median, and the whiskers leave out one review in twenty at each end. On
# the dashed line predictions would be correct. The predictions of both models are pulled towards the mean, because a
# text does not determine the stars completely. The better model is the one whose boxes are nearer to the line.
stars = np.unique(y_test)
figure, axes = plt.subplots(1, 2, figsize=(9, 4.6), sharey=True, layout="constrained")
for ax, (name, predicted), color in zip(axes, predictions.items(), ("0.75", "#56B4E9"), strict=True):
    ax.plot([1, 10], [1, 10], color="black", linestyle="--", linewidth=1)
    ax.boxplot(
        [predicted[y_test == star] for star in stars],
        positions=stars,
        widths=0.6,
        whis=(5, 95),
        showfliers=False,
        patch_artist=True,
        boxprops={"facecolor": color},
        medianprops={"color": "black", "linewidth": 2},
    )
    ax.set(title=name, xlabel="stars of the author", xlim=(0.3, 10.7), ylim=(-0.5, 11.5), yticks=range(1, 11))
    ax.set_xticks(range(1, 11), range(1, 11))
axes[0].set_ylabel("predicted stars")
plt.show()

# %%
# With ``loss="absolute_error"`` the network estimates the median of the stars instead of their mean, and a few extreme
# reviews have less influence. y can also have several columns: one network then predicts several numbers.
