"""
Which words decided
===================

In the reviews of this example the order of the words decides: "funny but terrible film" is negative, "terrible but
funny film" is positive. :func:`~seqclf.inspection.token_contributions` computes how much each word contributed to the
class, and :class:`~seqclf.inspection.TokenAttributionDisplay` colours the texts by these contributions. In a series,
the steps contribute.
"""

# %%
# The model
# ---------
# The reviews come in pairs of the same words in a different order, so no single word can decide.
import os

import matplotlib.pyplot as plt
import numpy as np

from seqclf import RNNClassifier, RNNTextClassifier, datasets
from seqclf.inspection import TokenAttributionDisplay, token_contributions

QUICK = os.environ.get("SEQCLF_EXAMPLES_QUICK", "0") not in ("", "0")

X_train, y_train = datasets.make_order_reviews(200 if QUICK else 600, random_state=0)
X_test, y_test = datasets.make_order_reviews(200, random_state=1)
names = np.array(["negative", "positive"])
classifier = RNNTextClassifier(max_epochs=15, random_state=0).fit(X_train, names[y_train])
print(f"accuracy on new reviews: {classifier.score(X_test, names[y_test]):.3f}")

# %%
# Coloured texts
# --------------
# By default the predicted class of each text is explained. ``target="positive"`` explains the same class in all texts:
# red words count for "positive", blue words against it. In a notebook, and on this page, the display is shown as
# coloured text.
pair = ["funny but terrible film", "terrible but funny film"]
TokenAttributionDisplay.from_estimator(classifier, [*pair, *X_test[:4]], target="positive")

# %%
# In a terminal, ``print`` shows a display as plain text. Its method ``plot`` draws a figure.
print(TokenAttributionDisplay.from_estimator(classifier, pair, target="positive"))

# %%
# Two methods
# -----------
# The default method computes integrated gradients (M. Sundararajan, A. Taly, Q. Yan, "Axiomatic attribution for deep
# networks", ICML 2017). The contributions add up to the output minus the output of an empty text, up to a small error.
# The output is the logit of the class. The code prints this sum for the first review.
methods = {
    "integrated gradients": token_contributions(classifier, pair, target="positive"),
    "leave one word out": token_contributions(classifier, pair, target="positive", method="leave_out"),
}
first = methods["integrated gradients"][0]
print(f"output {first.output:.2f} = baseline {first.baseline:.2f} + contributions {first.contributions.sum():.2f}")

# %%
# The other method predicts the text without the word. The contribution of the word is the change of the output. No
# approximation is involved, but each word needs a prediction, and the contributions do not add up to a particular
# number.
figure, axes = plt.subplots(1, 2, figsize=(7, 3), sharex=True, layout="constrained")
for ax, text, *found in zip(axes, pair, *methods.values(), strict=True):
    rows = np.arange(len(found[0].tokens))
    for (method, color), shift, each in zip(zip(methods, ("C0", "C1"), strict=True), (-0.2, 0.2), found, strict=True):
        ax.barh(rows + shift, each.contributions, height=0.36, color=color, label=method)
    ax.set_yticks(rows, found[0].tokens)
    ax.invert_yaxis()
    ax.axvline(0, color="black", linewidth=0.8)
    ax.set_title(f"“{text}”", fontsize="medium")
figure.supxlabel("contribution to the logit of “positive”", fontsize="medium")
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False)
plt.show()

# %%
# In a network that has learned this task, the contribution of an opinion changes its sign with the position: the same
# word counts for "positive" in one review and against it in the other. The methods differ in the details, because they
# answer different questions: a text without one of its words can be unlike all texts that the model was trained on.
#
# Series
# ------
# In a series, the contribution of a window is the change of the output when the values in it are replaced by a straight
# line. The class of these series is whether a peak or a trough comes first.
X, y = datasets.make_order_series(200, n_steps=(30, 40), random_state=0)
series_classifier = RNNClassifier(random_state=0).fit(X, np.array(["trough first", "peak first"])[y])
TokenAttributionDisplay.from_estimator(series_classifier, X[:2], method="leave_out").plot()
plt.show()

# %%
# Each panel names the class that is explained. The strip of colours below a series shows the contribution of each step.
#
# A contribution describes the model only: it says what the model relies on, and not whether it is right to do so.
# :func:`~seqclf.inspection.token_contributions` lists the details of both methods.
