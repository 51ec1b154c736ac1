"""
A score after each epoch
========================

This example uses two callbacks: one records the scores of the training rows and of held-out rows after each epoch, and
the other stops the training when the held-out score has not improved for three epochs.
"""

# %%
# The data
# --------
# The reviews come in pairs with the same words, so only the order determines the class. The held-out rows decide when
# to stop, so the final accuracy is measured on a third set.
import os

import matplotlib.pyplot as plt
from matplotlib.ticker import MaxNLocator
from sklearn.callback import ScoringMonitor

from seqclf import RNNTextClassifier, datasets

QUICK = os.environ.get("SEQCLF_EXAMPLES_QUICK", "0") not in ("", "0")

X_train, y_train = datasets.make_order_reviews(100 if QUICK else 400, random_state=0)
X_held_out, y_held_out = datasets.make_order_reviews(100, random_state=1)
X_test, y_test = datasets.make_order_reviews(200, random_state=2)


# %%
# A callback of your own
# ----------------------
# A callback is an object with four methods. ``fitted_estimator`` is the model as if the training had ended with this
# epoch: it can predict, score and be saved. If ``on_fit_task_end`` returns True, the training stops.
class StopWithoutImprovement:
    """Stops after three epochs without a better score than before."""

    def setup(self, estimator, context):
        """Begin a fit without scores."""
        self.scores = []

    def on_fit_task_begin(self, estimator, context):
        """Do nothing."""

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        """Return whether the training stops here."""
        if context.task_name != "epoch":
            return False
        self.scores.append(fitted_estimator.score(X_held_out, y_held_out))
        return len(self.scores) > 3 and max(self.scores[-3:]) <= max(self.scores[:-3])

    def teardown(self, estimator, context):
        """Do nothing."""


# %%
# A callback of scikit-learn
# --------------------------
# ``ScoringMonitor`` takes names of scores, or a function that returns several scores. This one ignores the rows that it
# gets for the held-out score.
def scores(estimator, X, y, **metadata):
    """Return the scores of the training rows and of the held-out rows."""
    return {"training": estimator.score(X, y), "held out": estimator.score(X_held_out, y_held_out)}


monitor = ScoringMonitor(scoring=scores)
classifier = RNNTextClassifier(wide=False, nb_ngrams=0, max_epochs=30, schedule="constant", random_state=0)
classifier.set_callbacks(monitor, StopWithoutImprovement()).fit(X_train, y_train)
print(f"stopped after {classifier.n_iter_} of {classifier.max_epochs} epochs")
print(f"accuracy on new reviews: {classifier.score(X_test, y_test):.3f}")

# %%
# What was recorded
# -----------------
# ``get_logs`` returns a row for each epoch, and one for the whole fit.
rows = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
figure, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
for name, marker in (("training", "o"), ("held out", "s")):
    ax.plot([row["task_id"] + 1 for row in rows], [row[name] for row in rows], marker=marker, label=name)
ax.axhline(0.5, color="gray", linestyle=":", label="chance")
ax.set(xlabel="epoch", ylabel="accuracy")
ax.xaxis.set_major_locator(MaxNLocator(integer=True))
ax.legend(loc="center right")
plt.show()

# %%
# As long as the network finds no difference between the two reviews of a pair, its accuracy is that of chance. The
# training stops three epochs after the best held-out score, or at ``max_epochs``.
#
# When no callback is needed
# --------------------------
# ``history_`` has loss and score of every epoch without callbacks. ``patience=3`` stops in a similar way, by the loss
# of held-out rows, and restores the best weights; after a callback has stopped the training, the model has those of the
# last epoch. ``set_callbacks(ProgressBar())``, with ``from sklearn.callback import ProgressBar``, shows the progress of
# a fit.
#
# scikit-learn calls this interface experimental, so it can change in any of its releases.
