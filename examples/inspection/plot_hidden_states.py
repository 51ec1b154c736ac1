"""
The states of a simple recurrent network
========================================

This example looks inside the network of the textbooks: a simple (Elman) network learns whether a peak or a trough comes
first in a series. Its states after every step are computed twice, by :meth:`~seqclf.RNNClassifier.hidden_states` and
from scratch in numpy with the weights of the trained network, and drawn for one series of each class.
"""

# %%
# A small network
# ---------------
# These settings give the plain network: one direction, classification by the last state, no convolutional layers and no
# linear model. Each series comes in a pair with another one of the same values, in which peak and trough are exchanged.
import matplotlib.pyplot as plt
import numpy as np

from seqclf import RNNClassifier, datasets
from seqclf.inspection import HiddenStatesDisplay

X_train, y_train = datasets.make_order_series(200, n_steps=(16, 24), random_state=0)
test = datasets.make_order_series(200, n_steps=(16, 24), random_state=1, return_X_y=False)

classifier = RNNClassifier(
    cell="rnn",
    units=8,
    bidirectional=False,
    pooling="last",
    wide=False,
    conv_filters=0,
    dropout=0.0,
    max_epochs=20,
    random_state=0,
)
classifier.fit(X_train, y_train)
print(f"accuracy {classifier.score(test.data, test.target):.3f} with {classifier.n_parameters_} parameters")

# %%
# From scratch
# ------------
# A state :math:`h` is a vector of 8 numbers, one per unit. It starts as zeros, and each step combines it with the
# values :math:`x` of this step (J. L. Elman, "Finding structure in time", Cognitive Science 14, 1990):
#
# .. math:: h_t = \tanh(x_t W + h_{t-1} U + b)
#
# torch stores a matrix as (outputs, inputs), so the matrices are transposed here.
weights = classifier.network_.to_arrays()
layer = "recurrent.layers.0.directions.0"
W = weights[f"{layer}.weight_input"].T  # (1 channel, 8 units)
U = weights[f"{layer}.weight_recurrent"].T  # (8 units, 8 units)
b = weights[f"{layer}.bias"]  # (8 units,)
V, c = weights["head.weight"].T, weights["head.bias"]  # (8 units, 1 output), (1 output,)


def states_from_scratch(series):
    """Return the state after each step, an array (steps, units)."""
    scaled = (series - classifier.channel_mean_) / classifier.channel_scale_
    state = np.zeros(len(U))
    states = []
    for x in scaled:
        state = np.tanh(x @ W + state @ U + b)
        states.append(state)
    return np.array(states)


states = classifier.hidden_states(test.data)
difference = max(np.abs(states_from_scratch(X) - H).max() for X, H in zip(test.data, states, strict=True))
print(f"states from scratch and by hidden_states: largest difference {difference:.0e}")
assert difference < 1e-5

# %%
# The logit of a series is a linear function of its last state.
logits = np.array([(H[-1] @ V + c)[0] for H in states])
difference = np.abs(logits - classifier.decision_function(test.data)).max()
print(f"logits from scratch and by decision_function: largest difference {difference:.0e}")
assert difference < 1e-4

# %%
# What the units do
# -----------------
# The columns are the two series of a pair. The first row shows the series. The second row shows the states: a line per
# unit, a column per step. The last row applies the output layer to the state after each step: it is the logit that the
# network would return if the series ended there.
pair = np.flatnonzero(test.groups == 27)  # a pair with steps between peak and trough, and after both
pair = pair[np.argsort(test.target[pair])]
order = np.argsort(V[:, 0])  # from units with weight for "trough first" to units with weight for "peak first"

figure, axes = plt.subplots(
    3, 2, figsize=(7, 6), sharex="col", sharey="row", height_ratios=(2, 3, 2), layout="constrained"
)
for column, row, colorbar in zip(axes.T, pair, [False, True], strict=True):
    HiddenStatesDisplay.from_estimator(
        classifier, test.data[row], units=order, ax=column[:2], vmax=1, colorbar=colorbar
    )
    column[0].set_title(test.target_names[test.target[row]])
    column[2].axhline(0, color="gray", linewidth=1)
    column[2].plot(np.arange(1, len(states[row]) + 1), states[row] @ V + c, marker=".")
    column[2].set_xlabel("step")
    for ax in column:
        ax.label_outer()
axes[2, 0].set_ylabel("logit of\n“peak first”")
plt.show()

# %%
# Some units work as switches: a peak moves them one way, a trough the other way, and in between they hardly change. So
# the state depends on the last bump, which is enough: if the trough is last, the peak came first. For the same reason,
# the logit after the first bump alone points to the wrong class.
#
# What to read next
# -----------------
# - :class:`~seqclf.inspection.HiddenStatesDisplay` draws the states of texts too, with a word at each column.
# - :ref:`sphx_glr_auto_examples_first_steps_plot_textbook_network.py` computes an LSTM from its equations.
