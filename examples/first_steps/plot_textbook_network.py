"""
The networks of the textbooks
=============================

Textbooks build recurrent networks up in small steps: words as one-hot vectors, then as learned vectors; a simple
recurrent cell, then an LSTM or a GRU; a second layer with dropout; early stopping. Here all of them learn the same
task, and the LSTM is computed once more from its equations in numpy.

The defaults of :class:`~seqclf.RNNTextClassifier` are another model, with a linear half and features of n-grams. The
plain network needs these settings:

- ``wide=False, nb_ngrams=0``: no linear model, no features of n-grams,
- ``bidirectional=False``: one direction, from the first word to the last,
- ``pooling="last"``: the last state is classified.
"""

# %%
# Words
# -----
# The texts are docstrings of numpy and torch with masked names, and the class is the package. The tokenizer keeps the
# 500 most frequent words, including padding and the unknown word, and the last 100 words of a text.
import os

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import train_test_split

from seqclf import RNNTextClassifier, TextTokenizer, datasets
from seqclf.inspection import TrainingCurveDisplay

QUICK = os.environ.get("SEQCLF_EXAMPLES_QUICK", "0") not in ("", "0")

data = datasets.load_docstrings(packages=["numpy", "torch"])
y = np.array(data.target_names)[data.target]
X_train, X_test, y_train, y_test = train_test_split(data.data, y, stratify=y, random_state=0)
if QUICK:
    X_train, y_train = X_train[:800], y_train[:800]

tokenizer = TextTokenizer(vocab_size=500, max_length=100)
ids = tokenizer.fit(X_train).transform(["Return the sum of the elements"])[0]
print(ids)
print([tokenizer.tokens_[each] for each in ids])

# %%
# Networks
# --------
# A network gets one word per step. As a one-hot vector, a word is 500 numbers, one of which is 1. As an embedding it is
# 16 numbers, which are learned. A simple recurrent cell (J. L. Elman, "Finding structure in time", Cognitive Science
# 14, 1990) combines the word :math:`x_t` with its state :math:`h_{t-1}`, which starts as zeros:
#
# .. math:: h_t = \tanh(x_t W + h_{t-1} U + b)
#
# The probability of the second class is a logistic function of the last state. Everything else in ``plain`` is about
# the training: with ``patience=5`` a fifth of the rows is held out, the training stops after five epochs without a
# lower loss on these rows, and the weights of the best epoch are restored.
plain: dict = {
    "wide": False,
    "nb_ngrams": 0,
    "bidirectional": False,
    "pooling": "last",
    "units": 8,
    "embedding_dim": 16,
    "dropout": 0.0,
    "token_dropout": 0.0,
    "learning_rate": 3e-3,
    "schedule": "constant",
    "max_epochs": 40,
    "patience": 5,
    "validation_fraction": 0.2,
    "n_threads": 1,
}
networks: dict[str, dict] = {
    "one-hot words, simple RNN": {"cell": "rnn", "embedding_dim": None},
    "embedding, simple RNN": {"cell": "rnn"},
    "embedding, LSTM": {"cell": "lstm"},
    "embedding, GRU": {"cell": "gru"},
    "embedding, two LSTMs, dropout 0.3": {"cell": "lstm", "n_layers": 2, "dropout": 0.3},
}
fitted = {
    name: [
        RNNTextClassifier(tokenizer, random_state=seed, **(plain | changes)).fit(X_train, y_train)
        for seed in range(2 if QUICK else 5)
    ]
    for name, changes in networks.items()
}

# %%
# Loss and accuracy by epoch
# --------------------------
# These are the curves of an LSTM. Where the training loss continues to fall after the validation loss has stopped
# falling, the network overfits. The circle marks the epoch whose weights are kept.
lstm = fitted["embedding, LSTM"][0]
figure, axes = plt.subplots(1, 2, figsize=(7, 3), layout="constrained")
TrainingCurveDisplay.from_estimator(lstm, ax=axes)
plt.show()

# %%
# Accuracy on new texts
# ---------------------
# A point is a fit with other initial weights and other validation rows. Points of one network can be further apart than
# the medians of two networks, so a single run says little about a network as small as these.
figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
for row, models in enumerate(fitted.values()):
    accuracies = [model.score(X_test, y_test) for model in models]
    ax.plot(accuracies, [row] * len(models), "o", color="C0", alpha=0.6)
    ax.plot(np.median(accuracies), row, "|", color="black", markersize=16, markeredgewidth=2)
labels = [f"{name}\n{models[0].n_parameters_:,} parameters" for name, models in fitted.items()]
ax.set_yticks(range(len(labels)), labels, fontsize="small")
ax.margins(y=0.1)
ax.invert_yaxis()
ax.grid(axis="x", alpha=0.3)
ax.set(xlabel="accuracy on test texts (the black line is the median)")
plt.show()

# %%
# Fits of the simple cell can remain far below the others; those of LSTM and GRU usually vary less. Their gates can pass
# a state on nearly unchanged over many steps, so the last state can depend on words that came long before it.
#
# One cell in numpy
# -----------------
# An LSTM (S. Hochreiter, J. Schmidhuber, "Long short-term memory", Neural Computation 9, 1997; with the forget gate of
# F. A. Gers, J. Schmidhuber, F. Cummins, 2000) has a cell state :math:`c_t` as well as a state :math:`h_t`. Three gates
# between 0 and 1 determine how much is added to the cell state, how much of it is kept, and how much of it becomes the
# state:
#
# .. math::
#
#     i, f, o &= \sigma(x_t W_{i,f,o} + h_{t-1} U_{i,f,o} + b_{i,f,o}) \\
#     g &= \tanh(x_t W_g + h_{t-1} U_g + b_g) \\
#     c_t &= f \odot c_{t-1} + i \odot g \\
#     h_t &= o \odot \tanh(c_t)
#
# ``to_arrays`` returns the weights of a network. torch stores a matrix as (outputs, inputs), with one block of rows for
# each gate in the order i, f, g, o.
weights = lstm.network_.to_arrays()
layer = "recurrent.layers.0.directions.0"
W = weights[f"{layer}.weight_input"].T  # (16 inputs, 4 x 8 units)
U = weights[f"{layer}.weight_recurrent"].T  # (8 units, 4 x 8 units)
b = weights[f"{layer}.bias"]  # (4 x 8 units,)
V, v = weights["head.weight"].T, weights["head.bias"]  # (8 units, 1 output), (1 output,)


def sigmoid(x):
    """Return the logistic function of x."""
    return 1 / (1 + np.exp(-x))


def states_from_scratch(ids):
    """Return the state after each word, an array (words, units)."""
    state, cell_state = np.zeros(8), np.zeros(8)
    states = []
    for x in weights["embedding.weight"][ids]:
        i, f, g, o = np.split(x @ W + state @ U + b, 4)
        cell_state = sigmoid(f) * cell_state + sigmoid(i) * np.tanh(g)
        state = sigmoid(o) * np.tanh(cell_state)
        states.append(state)
    return np.array(states)


# %%
# These states are equal to those of ``hidden_states`` up to rounding in float32, and so are the probabilities.
states = [states_from_scratch(ids) for ids in lstm.tokenizer_.transform(X_test)]
pairs = zip(states, lstm.hidden_states(X_test), strict=True)
print(f"states: largest difference {max(np.abs(ours - theirs).max() for ours, theirs in pairs):.0e}")

probabilities = np.array([sigmoid(each[-1] @ V + v)[0] for each in states])
difference = np.abs(probabilities - lstm.predict_proba(X_test)[:, 1]).max()
print(f"probabilities: largest difference {difference:.0e}")
assert difference < 1e-4

# %%
# What to read next
# -----------------
# - :ref:`sphx_glr_auto_examples_inspection_plot_hidden_states.py` shows what the units of a simple RNN compute.
# - The notes of :meth:`~seqclf.RNNTextClassifier.hidden_states` list the names of all weights.
# - :ref:`sphx_glr_auto_examples_first_steps_plot_first_contact.py` uses the defaults instead, which are more accurate
#   on most texts.
