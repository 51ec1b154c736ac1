"""
A text and columns of numbers
=============================

A table has a column of texts, such as reviews, next to columns of numbers. An estimator of this package reads the
texts, another classifier reads the numbers, and :class:`~sklearn.ensemble.StackingClassifier` combines them.

The table is generated. Whether a customer orders again depends on the opinion of the review, on the days until the
delivery, and on the price.
"""

# %%
# In the reviews the last opinion counts, see :func:`seqclf.datasets.make_order_reviews`. Whether a customer orders
# again also depends on chance: no model can be right for all customers.
import os
from operator import itemgetter

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, StackingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from seqclf import RNNTextClassifier, datasets

QUICK = os.environ.get("SEQCLF_EXAMPLES_QUICK", "0") not in ("", "0")

rng = np.random.default_rng(0)
reviews, opinions = datasets.make_order_reviews(1600 if QUICK else 6000, random_state=0)
table = pd.DataFrame(
    {
        "review": reviews,
        "days": rng.integers(1, 15, size=len(reviews)),
        "price": rng.gamma(4, 10, size=len(reviews)).round(2),
    }
)
logit = 4 * (opinions - 0.5) - 0.7 * (table["days"] - 7.5) - 0.03 * (table["price"] - 40)
orders_again = rng.random(len(table)) < 1 / (1 + np.exp(-logit))
y = np.where(orders_again, "again", "never again")
train, test, y_train, y_test = train_test_split(table, y, test_size=800 if QUICK else 2000, random_state=0)
train.head()

# %%
# Each model gets its columns from a ``FunctionTransformer``. ``itemgetter("review")`` returns one column, a Series of
# texts; ``itemgetter(["days", "price"])`` returns a frame. Pipelines like these can be cloned, searched and pickled,
# which a lambda would prevent.
from_text = make_pipeline(FunctionTransformer(itemgetter("review")), RNNTextClassifier(random_state=0))
from_numbers = make_pipeline(
    FunctionTransformer(itemgetter(["days", "price"])),
    HistGradientBoostingClassifier(max_iter=50, learning_rate=0.05, max_leaf_nodes=8, random_state=0),
)

# %%
# The stacking classifier fits a logistic regression on the outputs of both models. For the training rows these outputs
# come from cross-validation, so no row is predicted by a model that was trained on it.
# ``stack_method="decision_function"`` takes log-odds instead of probabilities, because log-odds of independent evidence
# add up.
stacking = StackingClassifier(
    [("text", from_text), ("numbers", from_numbers)], LogisticRegression(), stack_method="decision_function", cv=3
)
stacking.fit(train, y_train)
print("weights of the two outputs", stacking.final_estimator_.coef_[0].round(2))

# %%
# The fitted members also predict alone. Each is worse than both together: the text says nothing about the delivery, and
# the numbers say nothing about the opinion.
models = {"text": stacking.named_estimators_["text"], "numbers": stacking.named_estimators_["numbers"]}
models["both (stacking)"] = stacking
print(f"{'':<16} {'accuracy':>8} {'log loss':>9}")
for name, model in models.items():
    probabilities = model.predict_proba(test)
    accuracy = np.mean(stacking.classes_[probabilities.argmax(axis=1)] == y_test)
    print(f"{name:<16} {accuracy:8.3f} {log_loss(y_test, probabilities):9.3f}")

# %%
# The fraction of customers who order again (points), and the mean prediction of each model (lines), by days until the
# delivery, for customers with a good and with a bad opinion. The model of the text separates the opinions, but its
# lines are flat. That of the numbers falls with the days, but it has the same line for both opinions. The stacking
# classifier combines the two.
opinion = np.asarray(opinions)[test.index]
days = np.arange(1, 15)
figure, axes = plt.subplots(1, 3, figsize=(9, 3.9), sharey=True, layout="constrained")
for ax, (name, model) in zip(axes, models.items(), strict=True):
    predicted = model.predict_proba(test)[:, list(stacking.classes_).index("again")]
    for value, label, color in ((1, "good", "#0072B2"), (0, "bad", "#D55E00")):
        groups = [(opinion == value) & (test["days"] == day) for day in days]
        fractions = [np.mean(y_test[group] == "again") for group in groups]
        means = [predicted[group].mean() for group in groups]
        ax.plot(days, fractions, "o", color=color, markersize=5, label=f"{label} opinion: fraction of the customers")
        ax.plot(days, means, color=color, linewidth=2, label=f"{label} opinion: mean prediction")
    ax.set(title=name, xlabel="days until delivery", ylim=(-0.02, 1.02), xticks=range(2, 15, 4))
axes[0].set_ylabel("probability of another order")
handles, labels = axes[0].get_legend_handles_labels()
figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
plt.show()

# %%
# The logistic regression adds the two outputs up. If the effect of a number depends on the text, let the final
# estimator use the numbers too (``passthrough=True`` passes all columns on, the texts included, so it needs a selector
# again), or give it products of its inputs with :class:`~sklearn.preprocessing.PolynomialFeatures`.
