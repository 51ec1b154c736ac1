"""
Activities in a sensor stream
=============================

A label for every step of a series: the activity of a person, from the three channels of an accelerometer. Streams have
different lengths, activities can change at any time, and some steps of the training streams have no label. The network
learns from the labelled steps and uses the others as context.

The streams are generated. Walking, running and stairs are oscillations of different frequency and amplitude, which vary
from person to person. A single step says little about the activity; the steps around it show it.
"""

# %%
# The data, 20 steps per second.
import os
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from seqclf import RNNTagger

QUICK = os.environ.get("SEQCLF_EXAMPLES_QUICK", "0") not in ("", "0")
RATE = 20  # steps per second
# Frequency in Hz, and amplitude of the oscillation in each channel: forward, sideways, up.
ACTIVITIES = {
    "still": (0.0, (0.0, 0.0, 0.0)),
    "walking": (1.8, (0.6, 0.3, 0.9)),
    "running": (2.7, (1.0, 0.6, 2.0)),
    "stairs": (1.4, (0.7, 0.5, 0.7)),
}


def make_stream(rng):
    """Return the stream of one person, (steps, 3), and the activity at each step."""
    pace, force, lean = rng.normal(1, 0.08), rng.normal(1, 0.2), rng.normal(scale=0.3, size=3)
    steps, labels, activity, phase = [], [], None, 0.0
    for _ in range(rng.integers(4, 9)):
        activity = rng.choice([name for name in ACTIVITIES if name != activity])
        frequency, amplitudes = ACTIVITIES[activity]
        for _ in range(rng.integers(3 * RATE, 9 * RATE)):
            phase += 2 * np.pi * pace * frequency / RATE * rng.normal(1, 0.1)
            # Each footstep moves the body up and forward; a sideways period takes two footsteps.
            wave = np.array([np.sin(phase + 1), np.sin(phase / 2), np.sin(phase) + 0.3 * np.sin(2 * phase)])
            steps.append(lean + force * np.array(amplitudes) * wave + rng.normal(scale=0.25, size=3))
            labels.append(str(activity))
    return np.array(steps), labels


def make_streams(n, seed):
    """Return `n` streams and their labels."""
    rng = np.random.default_rng(seed)
    streams, labels = zip(*(make_stream(rng) for _ in range(n)), strict=True)
    return list(streams), list(labels)


X_train, y_train = make_streams(40 if QUICK else 150, seed=0)
X_test, y_test = make_streams(30 if QUICK else 100, seed=1)

# %%
# Labels are often incomplete: in each training stream, two sections of three seconds have the label None.
rng = np.random.default_rng(2)
for labels in y_train:
    for begin in rng.integers(0, len(labels) - 3 * RATE, size=2):
        labels[begin : begin + 3 * RATE] = [None] * (3 * RATE)

lengths = [len(stream) for stream in X_train]
n_labelled = sum(label is not None for labels in y_train for label in labels)
print(f"{len(X_train)} streams of {min(lengths)} to {max(lengths)} steps; {n_labelled / sum(lengths):.0%} are labelled")

# %%
# The tagger is compared with two models of single steps: the most frequent activity, and logistic regression on the
# values of the step and on their squares and products, because oscillations are symmetric.
tagger = RNNTagger(max_epochs=30 if QUICK else "auto", random_state=0).fit(X_train, y_train)


def single_steps(streams, labels):
    """Return the labelled steps of all streams as one matrix, and their labels."""
    targets = [label for row in labels for label in row]
    labelled = [label is not None for label in targets]
    return np.concatenate(streams)[labelled], np.array([label for label in targets if label is not None])


majority = DummyClassifier()
single = make_pipeline(PolynomialFeatures(), StandardScaler(), LogisticRegression(max_iter=1000))
print(f"{'accuracy over steps':<34} {'train, labelled':>15} {'test':>7}")
for name, model in (("most frequent activity", majority), ("logistic regression, single steps", single)):
    model.fit(*single_steps(X_train, y_train))
    on_train, on_test = (model.score(*single_steps(*data)) for data in ((X_train, y_train), (X_test, y_test)))
    print(f"{name:<34} {on_train:15.3f} {on_test:7.3f}")
print(f"{'RNNTagger':<34} {tagger.score(X_train, y_train):15.3f} {tagger.score(X_test, y_test):7.3f}")

# %%
# The figure shows the true activities and the predictions of the models as coloured bands, for the stream with the
# median accuracy. The predictions from single steps flicker, because the values of the activities overlap. The tagger
# also uses the steps around each step. It errs most easily near a change of the activity, and between walking and
# stairs, whose frequencies are similar.
accuracies = [tagger.score([stream], [labels]) for stream, labels in zip(X_test, y_test, strict=True)]
row = np.argsort(accuracies)[len(accuracies) // 2]
stream = X_test[row]
bands = {
    "truth": np.array(y_test[row]),
    "RNNTagger": tagger.predict([stream])[0],
    "single steps": single.predict(stream),
}
colors = {"still": "#bbbbbb", "walking": "#4477aa", "running": "#cc6677", "stairs": "#ddaa33"}
seconds = np.arange(len(stream) + 1) / RATE

figure, (top, bottom) = plt.subplots(
    2, 1, figsize=(8.5, 5.5), sharex=True, height_ratios=(2.2, 1), layout="constrained"
)
for channel, name, offset in zip(stream.T, ("forward", "sideways", "up"), (11.5, 6, 0), strict=True):
    top.plot(seconds[:-1], channel + offset, color="black", linewidth=0.8)
    top.text(-0.01, offset, name, transform=top.get_yaxis_transform(), ha="right", va="center")
top.set(yticks=[], xlim=(0, seconds[-1]))
top.set_title("A test stream: acceleration in three channels")

for band, labels in enumerate(bands.values()):
    edges = [0, *(np.flatnonzero(labels[1:] != labels[:-1]) + 1), len(labels)]
    for begin, end in pairwise(edges):
        span = (seconds[begin], seconds[end] - seconds[begin])
        bottom.broken_barh([span], (band - 0.4, 0.8), facecolors=colors[labels[begin]])
bottom.set(xlabel="seconds", xticks=range(0, int(seconds[-1]) + 1, 5), ylim=(len(bands) - 0.5, -0.5))
bottom.set_yticks(range(len(bands)), list(bands))
figure.legend(
    handles=[plt.Rectangle((0, 0), 1, 1, color=color, label=name) for name, color in colors.items()],
    loc="outside lower center", ncols=4, frameon=False,
)  # fmt: skip

plt.show()

# %%
# :class:`seqclf.RNNTagger` also labels the tokens of texts, see :ref:`sphx_glr_auto_examples_text_plot_tagging.py`.
