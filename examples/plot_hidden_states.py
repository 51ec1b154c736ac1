"""
The states of a simple recurrent network
========================================

Inside the network of the textbook: a simple (Elman) network learns whether a peak or a trough comes first in a series.
The states after every step are computed twice, by `hidden_states` and from scratch in numpy with the weights of the
trained network, and plotted for one series of each class.
"""

# %%
# Training. These settings are the plain network: one direction, classification by the last state, no convolution layers
# and no linear model.
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # writes a file, needs no screen
import matplotlib.pyplot as plt
import numpy as np

from seqclf import RNNClassifier, datasets
from seqclf.inspection import HiddenStatesDisplay

OUTPUT = Path(__file__).resolve().parent.parent / "demo_output"

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
# The same network from scratch. A state is a vector of 8 numbers, one per unit. It starts with zeros, and each update
# combines it with the values of a step (J. L. Elman, "Finding structure in time", Cognitive Science 14, 1990).
# torch stores weights as (outputs, inputs), so they are transposed here.
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
print(f"states from scratch and by hidden_states: largest difference {difference:.1e}")
assert difference < 1e-5

# The logit of a series is a linear function of its last state.
logits = np.array([(H[-1] @ V + c)[0] for H in states])
difference = np.abs(logits - classifier.decision_function(test.data)).max()
print(f"logits from scratch and by decision_function: largest difference {difference:.1e}")
assert difference < 1e-4

# %%
# The plot. The two series are a pair: the same values, with peak and trough exchanged. The last row of the picture
# applies the output layer to the state after each step: this is the output that the network would have if the series
# ended there. Most units work as a switch: a peak turns them one way, a trough the other way, and in between they do
# not change.
rows = np.flatnonzero(test.groups == 27)  # a pair with steps between peak and trough, and after both
rows = rows[np.argsort(test.target[rows])]
order = np.argsort(V[:, 0])  # from units with weight for "trough first" to units with weight for "peak first"

figure, axes = plt.subplots(
    3, 2, figsize=(9, 6.5), sharex="col", sharey="row", height_ratios=(2, 3, 2), layout="constrained"
)
for column, row, colorbar in zip(axes.T, rows, [False, True], strict=True):
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
figure.suptitle("A simple recurrent network reads two series of the same values")

OUTPUT.mkdir(exist_ok=True)
path = OUTPUT / "hidden_states.png"
figure.savefig(path, dpi=120)
print(f"picture: {path}")
