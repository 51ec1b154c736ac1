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
# The values after a window depend on the position of its end in the cycle and on the height of the cycle. A linear
# function of the window cannot represent the interaction of the two.
import os

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import RidgeCV

from seqclf import RNNRegressor

QUICK = os.environ.get("SEQCLF_EXAMPLES_QUICK", "0") not in ("", "0")
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
# The windows are split by time: the last months are the future, and no training window reaches into them. The first
# test windows begin in the past, as in a real forecast.
first_test = len(series) - (200 if QUICK else 300)


def windows(series):
    """Return all windows of the series, and the values that follow each of them."""
    rows = np.lib.stride_tricks.sliding_window_view(series, WINDOW + HORIZON)
    return rows[:, :WINDOW], rows[:, WINDOW:]


# Predictions of the network never leave the range of the targets in fit. This series has no trend, so the targets are
# its values. With a trend, learn the differences from the last value, y - X[:, -1:], and add it to the predictions.
X_train, y_train = windows(series[:first_test])
X_test, y_test = windows(series[first_test - WINDOW :])
print(f"{len(X_train)} windows to train on, {len(X_test)} to test on")

# %%
# By default a linear model of the last steps is fitted first, and a network that averages over the steps learns what
# the linear model misses. For a forecast, the last state of a network without a linear model can be better, because the
# most recent steps matter most.
models = {
    "ridge regression": RidgeCV(np.logspace(-3, 5, 17)),
    "RNNRegressor, defaults": RNNRegressor(random_state=0),
    "RNNRegressor, last state": RNNRegressor(
        pooling="last", bidirectional=False, wide=False, conv_filters=0, random_state=0
    ),
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
# The figure shows a new forecast every twelve months. Each starts at a dot, the last value of its window.
shown = "RNNRegressor, last state"
months = np.arange(first_test - 1, len(series))
figure, ax = plt.subplots(figsize=(8.5, 3.8), layout="constrained")
ax.plot(months, series[months], color="0.55", linewidth=1.2, label="the series")
for row in range(0, len(X_test), HORIZON):
    values = [X_test[row, -1], *forecasts[shown][row]]
    ax.plot(
        months[row : row + HORIZON + 1],
        values,
        color="#0072B2",
        linewidth=2,
        marker="o",
        markersize=5,
        markevery=[0],
        label="forecasts" if row == 0 else None,
    )
ax.set(xlabel="month", ylabel="value", xlim=(months[0] - 2, months[-1] + 2), ylim=(-5, 1.25 * series[months].max()))
ax.legend(loc="upper left", frameon=False, ncols=2)
plt.show()

# %%
# The error by the number of months ahead. The last value is a good forecast of the next month and a bad one of the next
# year. The cycles have different lengths, so the value of one cycle ago is about as far off for the next month as for
# the next year.
styles = {
    "last value": ("0.5", ":"),
    "one cycle ago": ("0.5", "--"),
    "ridge regression": ("black", "-"),
    "RNNRegressor, defaults": ("#E69F00", "-"),
    "RNNRegressor, last state": ("#0072B2", "-"),
}
figure, ax = plt.subplots(figsize=(7.5, 4.2), layout="constrained")
for name, (color, line) in styles.items():
    ax.plot(np.arange(1, HORIZON + 1), errors[name], color=color, linestyle=line, linewidth=2, label=name)
ax.set(xlabel="months ahead", ylabel="root mean squared error", xticks=range(1, HORIZON + 1), ylim=(0, None))
figure.legend(loc="outside lower center", ncols=3, frameon=False)
plt.show()

# %%
# The default pooling of :class:`seqclf.RNNRegressor` is the mean over all steps, which suits targets that depend on the
# whole series. The targets of a forecast depend on its end most of all.
