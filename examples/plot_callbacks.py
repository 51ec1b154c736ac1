"""
A score after each epoch
========================

Two callbacks in a training: one records the scores of the training rows and of held-out rows after each epoch, and the
other stops the training when the held-out score has not improved for three epochs. The reviews come in pairs with the
same words, so only the order determines the class.
"""

# %%
# The data. The held-out rows decide when to stop, so the model is measured on a third set.
import os

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from sklearn.callback import ScoringMonitor

from seqclf import RNNTextClassifier, datasets

QUICK = os.environ.get("SEQCLF_EXAMPLES_QUICK", "0") not in ("", "0")

X_train, y_train = datasets.make_order_reviews(100 if QUICK else 400, random_state=0)
X_held_out, y_held_out = datasets.make_order_reviews(100, random_state=1)
X_test, y_test = datasets.make_order_reviews(200, random_state=2)


# %%
# A callback that stops the training. It has four methods, and `fitted_estimator` is the model after the epoch.
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
# Training of the network alone. ``ScoringMonitor`` takes a function that returns several scores.
def scores(estimator, X, y, **metadata):
    """Return the scores of the training rows and of the held-out rows."""
    return {"training": estimator.score(X, y), "held out": estimator.score(X_held_out, y_held_out)}


monitor = ScoringMonitor(scoring=scores)
classifier = RNNTextClassifier(wide=False, nb_ngrams=0, max_epochs=30, schedule="constant", random_state=0)
classifier.set_callbacks(monitor, StopWithoutImprovement()).fit(X_train, y_train)
print(f"{classifier.n_iter_} of {classifier.max_epochs} epochs")
print(f"accuracy on new reviews {classifier.score(X_test, y_test):.3f}")

# %%
# The scores that ``ScoringMonitor`` has recorded.
rows = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
figure, ax = plt.subplots(layout="constrained")
for name in ("training", "held out"):
    ax.plot([row["task_id"] + 1 for row in rows], [row[name] for row in rows], marker="o", label=name)
ax.set(xlabel="epoch", ylabel="accuracy", title="Scores during the training")
ax.legend()
plt.show()
