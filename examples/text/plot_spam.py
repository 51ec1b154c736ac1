"""
Rare classes: thresholds and class weights
==========================================

Spam is rare, and the two possible errors have different costs: a lost message is worse than a spam message in the
inbox. This example keeps the classifier as it is and chooses the *threshold*, the probability above which a text is
classified as the rare class. ``class_weight="balanced"`` is a common alternative, but does not take the costs into
account.

The data are the SMS Spam Collection, with the rare class spam, if the environment variable ``SEQCLF_DATA`` names a
folder that contains it (``sms_spam/sms_spam.jsonl.gz``; T. A. Almeida, J. M. Gomez Hidalgo, A. Yamakami,
"Contributions to the study of SMS spam filtering", DocEng 2011). Otherwise they are the beginnings
of docstrings of scikit-learn, with a few of scipy as the rare class.
"""

# %%
# Many messages of the collection occur several times. Each is used once, otherwise some test messages would also be
# training messages.
import gzip
import json
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import confusion_matrix, make_scorer, precision_recall_curve
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV, train_test_split

from seqclf import RNNTextClassifier, datasets

QUICK = os.environ.get("SEQCLF_EXAMPLES_QUICK", "0") not in ("", "0")


def load_rare():
    """Return texts, whether each is of the rare class, and the name of that class."""
    path = Path(os.environ.get("SEQCLF_DATA", ".")) / "sms_spam" / "sms_spam.jsonl.gz"
    if path.exists():
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            rows = {row["text"]: row["label"] for row in map(json.loads, lines)}
        return list(rows), np.array(list(rows.values())), "spam"
    data = datasets.load_docstrings(packages=["scipy", "sklearn"])
    is_rare = data.target == data.target_names.index("scipy")
    kept = np.concatenate([np.flatnonzero(~is_rare), np.flatnonzero(is_rare)[:150]])
    return [" ".join(data.data[row].split()[:60]) for row in kept], is_rare[kept].astype(int), "scipy"


X, y, rare = load_rare()
X_train, X_test, y_train, y_test = train_test_split(
    X, y, train_size=500 if QUICK else 0.5, test_size=500 if QUICK else 0.5, stratify=y, random_state=0
)
print(f"{len(X_train):,} texts to train on, {y_train.mean():.0%} of them {rare!r}; {len(X_test):,} to test on")

# %%
# Accuracy says little about rare classes: a model that never predicts the rare class would have the accuracy printed
# here. Costs say more. In this example a false alarm costs 10, and a missed text of the rare class costs 1.
print(f"accuracy without any prediction of {rare!r}: {np.mean(y_test == 0):.3f}")


def mean_cost(y_true, predicted):
    """Return the mean cost per text."""
    (_, false_alarms), (misses, _) = confusion_matrix(y_true, predicted, labels=[0, 1])
    return (10 * false_alarms + misses) / len(y_true)


# %%
# Four classifiers are compared. If probabilities are right, the threshold of the lowest expected cost follows from the
# costs alone: an alarm is worthwhile if 10 (1 - p) < p, so from p = 10/11 on. ``FixedThresholdClassifier`` applies it,
# here to a model that is already fitted: ``FrozenEstimator`` prevents another fit. ``TunedThresholdClassifierCV`` does
# not rely on this calculation: it chooses the threshold with the lowest cost of out-of-fold predictions.
model = RNNTextClassifier(random_state=0).fit(X_train, y_train)
balanced = RNNTextClassifier(class_weight="balanced", random_state=0).fit(X_train, y_train)
fixed = FixedThresholdClassifier(FrozenEstimator(model), threshold=10 / 11).fit(X_train, y_train)
tuned = TunedThresholdClassifierCV(
    model, scoring=make_scorer(mean_cost, greater_is_better=False), cv=3, random_state=0
).fit(X_train, y_train)
tuned

# %%
# The results on the test texts.
classifiers = {
    "default, threshold 0.5": model,
    "balanced, threshold 0.5": balanced,
    "threshold 10/11": fixed,
    f"tuned threshold, {tuned.best_threshold_:.2f}": tuned,
}
predictions = {name: classifier.predict(X_test) for name, classifier in classifiers.items()}
print(f"{'':<24} {'false alarms':>12} {'misses':>7} {'cost per 1,000 texts':>21}")
for name, predicted in predictions.items():
    (_, false_alarms), (misses, _) = confusion_matrix(y_test, predicted)
    print(f"{name:<24} {false_alarms:12} {misses:7} {1000 * mean_cost(y_test, predicted):21.0f}")

# %%
# On the left, precision and recall for all thresholds; the points are the four classifiers. A threshold moves a
# classifier along its curve. Class weights also move the point at 0.5, towards more recall and more false alarms, which
# is the wrong direction for these costs. They usually change the curve itself less.
#
# On the right, the cost of the first model for all thresholds. Low thresholds give more false alarms than these costs
# justify. Near 1 almost nothing is found, and the cost is that of a model that never predicts the rare class.
BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
styles = dict(zip(classifiers, [(BLUE, "o"), (ORANGE, "s"), (BLUE, "^"), (GREEN, "D")], strict=True))
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 5), layout="constrained")
for name, classifier, color in (("default", model, BLUE), ("balanced", balanced, ORANGE)):
    precision, recall, _ = precision_recall_curve(y_test, classifier.predict_proba(X_test)[:, 1])
    left.plot(recall, precision, color=color, linewidth=1.5, label=f"{name}, all thresholds")
for name, predicted in predictions.items():
    (_, false_alarms), (misses, hits) = confusion_matrix(y_test, predicted)
    color, marker = styles[name]
    position = (hits / (hits + misses), hits / (hits + false_alarms))
    left.plot(*position, color=color, marker=marker, markersize=9, markeredgecolor="white", linestyle="", label=name)
left.set(xlabel=f"recall: {rare!r} texts that are found", ylabel=f"precision: alarms that are {rare!r}")
left.set(xlim=(0.5, 1.02), ylim=(0.5, 1.02))

thresholds = np.linspace(0.01, 1, 200)
p = model.predict_proba(X_test)[:, 1]
right.plot(thresholds, [1000 * mean_cost(y_test, p >= threshold) for threshold in thresholds], color=BLUE)
for name, threshold in zip(classifiers, (0.5, None, 10 / 11, tuned.best_threshold_), strict=True):
    if threshold is None:
        continue  # another model
    color, marker = styles[name]
    cost = 1000 * mean_cost(y_test, p >= threshold)
    right.plot(threshold, cost, color=color, marker=marker, markersize=9, markeredgecolor="white")
right.axhline(1000 * y_test.mean(), color="0.5", linestyle="--", linewidth=1, label="no alarm at all")
right.set(xlabel="threshold", ylabel="cost per 1,000 texts", xlim=(0, 1.02), ylim=(0, 3000 * y_test.mean()))
figure.legend(loc="outside lower center", ncols=3, frameon=False)
plt.show()

# %%
# Class weights are useful where scores are computed from the predicted classes and rare classes count as much as
# others, such as balanced accuracy. But they distort the probabilities, and 10/11 would no longer be the right
# threshold. If costs are known, leave the weights alone and choose the threshold.
