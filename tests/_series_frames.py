"""Small series in frames of pandas, polars and arrow, for the tests of validation."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

from seqclf import RNNClassifier

NAMES = ("x", "y", "z")
RNG = np.random.default_rng(0)
# Values that are exact in float32.
X = np.round(64 * RNG.normal(size=(12, 7, 3))) / 64
Y = np.arange(12) % 2
RAGGED = [row[: 5 + index % 3] for index, row in enumerate(X)]


def classifier(**changes):
    return RNNClassifier(
        **({"units": 2, "max_epochs": 1, "conv_filters": 2, "random_state": 0, "n_threads": 1} | changes)
    )


def fit_and_score(data, **changes):
    """The decision function of a classifier for the data that it was fitted on."""
    return classifier(**changes).fit(data, Y).decision_function(data)


def pandas_frame(row, names=NAMES):
    return pd.DataFrame(row, columns=list(names))


def polars_frame(row, names=NAMES):
    return pl.DataFrame(row, schema=list(names))


def arrow_table(row, names=NAMES):
    return pa.table(dict(zip(names, row.T, strict=True)))
