"""
Forecasts of a series
=====================

Predict the next twelve months from the last sixty: each window of a series is a row of X, and the values that follow it
are a row of y. One network predicts all twelve months together. It is trained on the past and tested on the future,
next to two naive forecasts and ridge regression on the same windows.

The series is generated and resembles the monthly sunspot numbers: cycles of different height and length, in which high
cycles rise faster, and noise that grows with the level.
"""

# %%
# The series. The values after a window depend on the position of its end in the cycle and on the height of the cycle. A
# linear function of the window cannot represent the interaction of the two.
import os
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # writes a file, needs no screen
import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.linear_model import RidgeCV

from seqclf import RNNRegressor

QUICK = os.environ.get("SEQCLF_EXAMPLES_QUICK", "0") not in ("", "0")
OUTPUT = Path(__file__).resolve().parent.parent / "demo_output"
WINDOW, HORIZON, CYCLE = 60, 12, 44


def make_cycles(n_months, seed):
    """Return a series of cycles with random heights and lengths."""
    rng = np.random.default_rng(seed)
    height, cycles = 100.0, []
    while sum(map(len, cycles)) < n_months:
        height = max(30, 100 + 0.3 * (height - 100) + rng.normal(scale=40))
        length = max(30, round(rng.normal(CYCLE, 4)))
        rise = max(6, 22 - 0.08 * height)
        month = np.arange(length)
        rising, falling = np.sin(np.pi / 2 * month / rise), np.cos(np.pi / 2 * (month - rise) / (length - rise))
        cycles.append(height * np.where(month < rise, rising, falling) ** 2)
    level = np.concatenate(cycles)[:n_months]
    noise = rng.normal(size=n_months)
    for i in range(1, n_months):
        noise[i] += 0.5 * noise[i - 1]
    return np.maximum(level + noise * (2 + 0.06 * level), 0)


series = make_cycles(800 if QUICK else 1500, seed=0)

# %%
# The windows, split by time: the last 300 months are the future. No target of a training window is in them. The
# first test windows contain values of the past, as in a real forecast.
first_test = len(series) - (200 if QUICK else 300)


def windows(series):
    """Return all windows of the series, and the values that follow each of them."""
    rows = np.lib.stride_tricks.sliding_window_view(series, WINDOW + HORIZON)
    return rows[:, :WINDOW], rows[:, WINDOW:]


# Predictions never leave the range of the targets in fit. This series has no trend, so the targets are its values. With
# a trend, learn the differences from the last value, `y - X[:, -1:]`, and add that value to the predictions.
X_train, y_train = windows(series[:first_test])
X_test, y_test = windows(series[first_test - WINDOW :])
print(f"{len(X_train)} windows to train on, {len(X_test)} to test on")

# %%
# The forecasts. By default a linear model of the last steps is fitted first, and a network that averages over the steps
# learns what the linear model misses. For a forecast, the last state of a network without a linear model can be better,
# here with one and with two layers. The second layer changes little: on other random series either can be better.
last_state = RNNRegressor(pooling="last", bidirectional=False, wide=False, conv_filters=0, random_state=0)
models = {
    "ridge regression": RidgeCV(np.logspace(-3, 5, 17)),
    "RNNRegressor, defaults": RNNRegressor(random_state=0),
    "last state, one layer": last_state,
    "last state, two layers": clone(last_state).set_params(n_layers=2),
}
forecasts = {
    "last value": np.repeat(X_test[:, -1:], HORIZON, axis=1),
    "one cycle ago": X_test[:, WINDOW - CYCLE : WINDOW - CYCLE + HORIZON],
}
for name, model in models.items():
    forecasts[name] = model.fit(X_train, y_train).predict(X_test)

errors = {name: np.sqrt(np.mean((forecast - y_test) ** 2, axis=0)) for name, forecast in forecasts.items()}
print(f"{'root mean squared error':<24} {'month 1':>8} {'month 6':>8} {'month 12':>8} {'all':>8}")
for name, forecast in forecasts.items():
    overall = np.sqrt(np.mean((forecast - y_test) ** 2))
    print(f"{name:<24} {errors[name][0]:8.1f} {errors[name][5]:8.1f} {errors[name][11]:8.1f} {overall:8.1f}")

# %%
# The plot: a new forecast every twelve months, and the error by the predicted month.
shown = "last state, two layers"
figure, (top, bottom) = plt.subplots(2, 1, figsize=(9, 7), height_ratios=(1, 1.1), layout="constrained")
months = np.arange(first_test - 1, len(series))
top.plot(months, series[months], color="0.6", linewidth=1.2, label="the series")
for row in range(0, len(X_test), HORIZON):
    values = [X_test[row, -1], *forecasts[shown][row]]  # from the last known value
    label = f"{shown}: forecasts, each starting at its dot" if row == 0 else None
    shown_months = months[row : row + HORIZON + 1]
    top.plot(shown_months, values, color="C0", linewidth=2, marker="o", markersize=5, markevery=[0], label=label)
top.set(xlabel="month", ylabel="value", xlim=(months[0] - 2, months[-1] + 2), ylim=(-5, 1.3 * series[months].max()))
top.set_title(f"Forecasts of the last {len(series) - first_test} months, which are not in the training data")
top.legend(loc="upper left", frameon=False, ncols=2)

styles = {
    "last value": ("0.6", ":"),
    "one cycle ago": ("0.6", "--"),
    "ridge regression": ("black", "-"),
    "RNNRegressor, defaults": ("C1", "-"),
    "last state, one layer": ("C0", "--"),
    "last state, two layers": ("C0", "-"),
}
for name, (color, line) in styles.items():
    bottom.plot(np.arange(1, HORIZON + 1), errors[name], color=color, linestyle=line, linewidth=2, label=name)
bottom.set(xlabel="months ahead", ylabel="root mean squared error", xticks=range(1, HORIZON + 1), ylim=(0, None))
bottom.set_title("Error by horizon")
bottom.legend(loc="upper left", frameon=False, ncols=2)

OUTPUT.mkdir(exist_ok=True)
picture = OUTPUT / "forecast.png"
figure.savefig(picture, dpi=120)
print(f"picture: {picture}")
