"""
Irregular times and missing values
==================================

Measurements often come as a table in long format, with one row per measurement. Their times are irregular, and some
values are missing. :func:`seqclf.series_from_frame` converts the table to a list of series, ``missing=`` fills the
gaps, and ``time_as="delta"`` tells the network how much time passed between steps.

The table is generated: temperatures of engines that are cooling down. A faulty engine cools faster. The thermometers
are read at irregular times, so the same sequence of values can come from an engine that cools fast and was read often,
and from one that cools slowly and was read rarely.
"""

# %%
# The table. ``water`` and ``oil`` are the temperatures, and some readings are missing (NaN).
import os

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from seqclf import RNNClassifier, series_from_frame

QUICK = os.environ.get("SEQCLF_EXAMPLES_QUICK", "0") not in ("", "0")


def make_readings(n_engines, seed):
    """Return a table of readings in long format, and the state of each engine."""
    rng = np.random.default_rng(seed)
    parts, states = [], {}
    for engine in range(n_engines):
        is_faulty = bool(rng.integers(2))
        n_readings = rng.integers(8, 16)
        pace = rng.lognormal(0, 0.7)  # some engines are read more often than others
        minutes = np.cumsum(rng.exponential(5 * pace, size=n_readings)).round(1)
        halving = rng.lognormal(np.log(15 if is_faulty else 30), 0.2)  # minutes until half of the heat is lost
        heat = 70 * 0.5 ** (minutes / halving)
        readings = {
            "engine": f"E{engine:03}",
            "minute": minutes,
            "water": 20 + heat + rng.normal(scale=1.5, size=n_readings),
            "oil": 25 + 1.2 * heat + rng.normal(scale=1.5, size=n_readings),
        }
        for name in ("water", "oil"):
            readings[name][rng.random(n_readings) < 0.3] = np.nan
        parts.append(pd.DataFrame(readings))
        states[f"E{engine:03}"] = "faulty" if is_faulty else "good"
    return pd.concat(parts).sample(frac=1, random_state=seed).reset_index(drop=True), pd.Series(states)


table, states = make_readings(200 if QUICK else 1000, seed=0)
table.round(1).head(8)

# %%
# From the table to series. Rows can be in any order: they are grouped by ``id`` and sorted by ``time``. All other
# columns become channels. ``time_as="delta"`` adds a channel, the logarithm of 1 + the minutes since the previous
# reading.
X, engines = series_from_frame(table, id="engine", time="minute", time_as="delta")
print(f"{len(X)} series of {min(map(len, X))} to {max(map(len, X))} steps; the first of them, {engines[0]}:")
print(X[0].round(1))

# %%
# The targets have to be in the order of the series, which is that of ``engines``. Labels with an index of ids can be
# looked up.
y = states.loc[engines].to_numpy()

# %%
# The figure shows why the times matter: two engines, a good and a faulty one, whose curves are similar if drawn by the
# number of the reading. Drawn by minute they are not: the faulty engine cools faster, and was read more often. Points
# are readings; the lines show what "interpolate" fills in.
plain, _ = series_from_frame(table, id="engine", time="minute", values=["water", "oil"])
lines = [pd.Series(series[:, 0]).interpolate(limit_direction="both").to_numpy() for series in plain]
minutes = [table.loc[table["engine"] == engine, "minute"].sort_values().to_numpy() for engine in engines]
similar = [
    (good, faulty)
    for good in np.flatnonzero(y == "good")
    for faulty in np.flatnonzero(y == "faulty")
    if len(lines[good]) == len(lines[faulty]) >= 12 and np.abs(lines[good] - lines[faulty]).max() < 8
]
pair = max(similar, key=lambda pair: np.ptp(minutes[pair[0]]) / np.ptp(minutes[pair[1]]))

BLUE, ORANGE = "#0072B2", "#D55E00"
figure, axes = plt.subplots(1, 2, figsize=(8.5, 3.6), sharey=True, layout="constrained")
for row, color, marker in zip(pair, (BLUE, ORANGE), ("o", "s"), strict=True):
    for ax, x in zip(axes, (np.arange(1, len(lines[row]) + 1), minutes[row]), strict=True):
        ax.plot(x, lines[row], color=color, linewidth=1)
        ax.plot(x, plain[row][:, 0], color=color, marker=marker, linestyle="", label=f"{y[row]} ({engines[row]})")
axes[0].set(xlabel="number of the reading", ylabel="temperature of the water in °C")
axes[1].set(xlabel="minute")
axes[1].legend(frameon=False)
plt.show()

# %%
# Four classifiers: with the times and without them, and with two ways of filling gaps. "interpolate" draws a straight
# line between the neighbours of a gap, "forward" repeats the last value. Neither looks at the times.
half = len(X) // 2
scores = {}
for times, series in (("values only", plain), ('time_as="delta"', X)):
    for missing in ("forward", "interpolate"):
        scores[f'{times}, missing="{missing}"'] = [
            RNNClassifier(missing=missing, random_state=seed)
            .fit(series[:half], y[:half])
            .score(series[half:], y[half:])
            for seed in range(2 if QUICK else 5)
        ]

figure, ax = plt.subplots(figsize=(7.5, 2.8), layout="constrained")
for height, values in enumerate(reversed(scores.values())):
    ax.plot(values, np.full(len(values), height), "o", color=BLUE, alpha=0.6, markersize=7)
    ax.plot(np.mean(values), height, "|", color="black", markersize=18, markeredgewidth=2)
ax.set_yticks(range(len(scores)), list(reversed(scores)))
ax.set(xlabel="accuracy (points: networks, bars: their mean)", ylim=(-0.6, len(scores) - 0.4))
ax.grid(axis="x", color="0.9")
ax.set_axisbelow(True)
plt.show()

# %%
# In this task the times matter more than the way of filling gaps. "interpolate" uses the values on both sides of a gap.
# Use "forward" if a prediction must not look at later values, for example while a series is still growing.
