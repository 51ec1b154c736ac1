"""What the estimators for numeric series share: series in, scaled."""

from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import Tags, check_array
from sklearn.utils.validation import validate_data

from seqclf._base import AutoEpochs, BaseRNN, Rows
from seqclf._data.ragged import Ragged
from seqclf._validation.containers import shorten
from seqclf._validation.parameters import any_of, boolean, integer, sequence_of
from seqclf._validation.series import read_series


class BaseSeriesRNN(BaseRNN):
    """Numeric series in. The subclasses say what is learned."""

    _constraints: dict[str, Any] = BaseRNN._constraints | {
        "scale": boolean(),
        "conv_filters": any_of(integer(0), sequence_of(integer(1))),
    }
    _step_name = "steps"
    _auto_epochs = AutoEpochs(n_updates=1_500, min_epochs=5, max_epochs=200)
    n_channels_in_: int

    def _validate_X(self, X: Any, reset: bool, name: str = "X") -> Rows:
        table = _is_table(X) if reset else hasattr(self, "n_features_in_")
        if not table:
            series = read_series(X, n_channels=None if reset else self.n_channels_in_, name=name)
            if reset:
                for attribute in ("n_features_in_", "feature_names_in_"):
                    self.__dict__.pop(attribute, None)
        else:
            if not (reset or _is_table(X)):
                raise ValueError(
                    f"{name} must be a table of {self.n_features_in_} steps (2-D), as in fit; "
                    "got ragged or 3-D series. Fit on those to allow series of any length."
                )
            if isinstance(X, np.ma.MaskedArray):
                raise TypeError(f"{name} is a masked array: fill its masked values first, e.g. with {name}.filled().")
            X = validate_data(self, X, reset=reset, dtype=np.float64) if name == "X" else self._other_table(X, name)
            series = Ragged(X.reshape(-1, 1), np.full(X.shape[0], X.shape[1], dtype=np.int64))
        if reset:
            self.n_channels_in_ = series.values.shape[1]
        return series

    def _other_table(self, X: Any, name: str) -> np.ndarray:
        """What `validate_data` checks, which would call every table X."""
        array = check_array(X, dtype=np.float64, input_name=name, estimator=self)
        if array.shape[1] != self.n_features_in_:
            raise ValueError(f"{name} has {array.shape[1]} steps, but X has {self.n_features_in_}: expected as many.")
        if hasattr(X, "columns") and hasattr(self, "feature_names_in_"):
            validate_data(self, X, reset=False, skip_check_array=True)  # the names of the columns
        return array

    def _fit_encoder(self, rows: Rows, weights: np.ndarray) -> Ragged:
        assert isinstance(rows, Ragged)
        self.channel_mean_ = np.zeros(self.n_channels_in_)
        self.channel_scale_ = np.ones(self.n_channels_in_)
        if self.scale and rows.n_steps:
            step_weights = np.repeat(weights, rows.lengths)
            largest = np.abs(rows.values).max(axis=0)
            largest[largest == 0] = 1.0
            values = rows.values / largest  # Their squares neither overflow nor vanish.
            mean = np.average(values, axis=0, weights=step_weights)
            deviation = np.sqrt(np.average((values - mean) ** 2, axis=0, weights=step_weights))
            # A channel that is constant, but for rounding, is only centred.
            deviation[deviation <= 1e-12 * np.abs(mean)] = 0.0
            self.channel_mean_ = mean * largest
            self.channel_scale_ = np.where(deviation == 0, 1.0, deviation * largest)
        return self._encode(rows)

    def _encode(self, rows: Rows, name: str = "X") -> Ragged:
        assert isinstance(rows, Ragged)
        with np.errstate(over="ignore"):
            values = ((rows.values - self.channel_mean_) / self.channel_scale_).astype(np.float32)
        too_large = ~np.isfinite(values).all(axis=1)
        if too_large.any():
            step = int(np.argmax(too_large))
            row = rows.row_of(step)
            raise ValueError(
                f"{name} holds {shorten(rows.values[step].tolist())} in row {row}, step {step - rows.offsets[row]}: "
                f"too large to compute with in float32{' after scaling' if self.scale else ''}; expected numbers "
                "below 3.4e38 in size" + ("." if self.scale else ", or scale=True.")
            )
        return Ragged(values, rows.lengths)

    def _input_config(self) -> dict[str, Any]:
        return {"n_channels": self.n_channels_in_, "conv_filters": self._filters()}

    def _filters(self) -> tuple[int, ...]:
        """Filters of each layer of convolution; none where there is no such layer."""
        if isinstance(self.conv_filters, tuple | list):
            return tuple(int(n) for n in self.conv_filters)
        n = int(self.conv_filters)
        return (n, n, n) if n else ()

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags


def _is_table(X: Any) -> bool:
    """Whether X is a table to scikit-learn, whose rows are series of equal length in one channel.

    Arrays of two dimensions, frames, and lists of equally long lists of numbers are. A 1-D object array, which
    transformers of sequences give, and a list of arrays stand for ragged series even where their lengths are equal.
    What is neither is left to scikit-learn's messages.
    """
    if issparse(X) or isinstance(X, np.ma.MaskedArray):
        return True
    if hasattr(X, "columns"):
        return len(X.columns) != 1 or not hasattr(np.asarray(X)[0, 0], "__len__")
    if isinstance(X, list | tuple) and any(hasattr(row, "__array__") for row in X):
        return False
    try:
        array = np.asarray(X)
    except ValueError:  # Rows of unequal length.
        return False
    return array.ndim == 2 or (array.ndim == 1 and len(array) > 0 and array.dtype.kind in "iufbc")
