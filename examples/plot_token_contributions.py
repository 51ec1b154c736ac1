"""
Which words decided
===================

A classifier of reviews in which the order decides: "funny but terrible film" is negative, "terrible but funny film" is
positive. `token_contributions` computes how much each word contributed to the class, and `TokenAttributionDisplay`
colours the texts by their contributions. For a series, the steps contribute.
"""

# %%
# Training. The reviews come in pairs with the same words, so no single word can decide.
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # writes files, needs no screen
import matplotlib.pyplot as plt
import numpy as np

from seqclf import RNNClassifier, RNNTextClassifier, datasets
from seqclf.inspection import TokenAttributionDisplay, token_contributions

OUTPUT = Path(__file__).resolve().parent.parent / "demo_output"
OUTPUT.mkdir(exist_ok=True)

texts, labels = datasets.make_order_reviews(600, random_state=0)
names = np.array(["negative", "positive"])[labels]
classifier = RNNTextClassifier(max_epochs=15, random_state=0).fit(texts, names)
print(f"accuracy on its own texts {classifier.score(texts, names):.3f}")

# %%
# The contributions to the predicted class, by integrated gradients. They add up to the difference between the output,
# here the logit of the class, and the output for an empty text.
pair = ["funny but terrible film", "terrible but funny film"]
for found in token_contributions(classifier, pair):
    print(f"\n{found.target}: {found.output:.2f} = {found.baseline:.2f} + {found.contributions.sum():.2f}")
    for token, value in zip(found.tokens, found.contributions, strict=True):
        print(f"    {token:10} {value:+.2f}")
    assert abs(found.error) < max(0.01, 0.01 * abs(found.output - found.baseline))

# %%
# The alternative is the output minus the output without the word. It is exact, but slower, and the contributions do not
# add up. Without a word the rest can mean something else: without "but" the model reads another kind of review.
for found in token_contributions(classifier, pair, method="leave_out"):
    values = ", ".join(f"{token} {value:+.2f}" for token, value in zip(found.tokens, found.contributions, strict=True))
    print(f"\n{found.target}, left out one by one: {values}")

# %%
# The display is coloured text in a notebook, plain text in a terminal, and a picture with matplotlib. `target` is the
# class to explain; without it, the class that is predicted for each row.
display = TokenAttributionDisplay.from_estimator(classifier, [*pair, *texts[:4]], target="positive")
print(f"\n{display}")
display.plot()
path = OUTPUT / "token_contributions.png"
display.figure_.savefig(path, dpi=120)
plt.close(display.figure_)
print(f"\npicture: {path}")
path = OUTPUT / "token_contributions.html"
path.write_text(f"<meta charset='utf-8'>{display._repr_html_()}", encoding="utf-8")
print(f"page: {path}")

# %%
# Series: the contribution of a window is the change of the output when its steps are replaced by a straight line. Here
# the order of a peak and a trough is the class.
X, y = datasets.make_order_series(200, n_steps=(30, 40), random_state=0)
series_classifier = RNNClassifier(random_state=0).fit(X, y)
display = TokenAttributionDisplay.from_estimator(series_classifier, X[:2], method="leave_out").plot()
path = OUTPUT / "series_contributions.png"
display.figure_.savefig(path, dpi=120)
plt.close(display.figure_)
print(f"picture: {path}")
