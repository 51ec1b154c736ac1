"""`SeriesEncoder`: fills, scales and casts series to the float32 inputs of the network."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from seqclf._data.encoded import EncodedSequences
from seqclf._data.ragged import Ragged
from seqclf._saved import Saved, State
from seqclf._validation.channels import SeriesForm
from seqclf._validation.containers import shorten
from seqclf._validation.missing_values import fill_missing
from seqclf._validation.series import clean_series, is_table, validate_series
from seqclf._validation.series_input import open_series
from seqclf._validation.table import validate_table

MISSING = ("raise", "interpolate", "forward")
_FILL_ADVICE = "Set missing='interpolate' before fit to fill missing values."


@dataclass(frozen=True, eq=False)
class SeriesEncoder:
    """The state of a fitted model that encodes series.

    Parameters
    ----------
    form : SeriesForm
        The channels of the series.
    mean, scale : ndarray of shape (n_channels,), float64
        The mean is subtracted from each channel, which is then divided by the scale.
    fill : ndarray of shape (n_channels,), float64
        The value of each channel in a series where the whole channel is missing.
    n_features : int or None
        The number of columns if X of fit was a table, whose rows are series of one channel; else None.
    feature_names : tuple of str or None
        The names of these columns; None if they had none.
    channels_first, missing, scales
        The parameters `channels_first`, `missing` and `scale` of the estimator.
    """

    input_kind: ClassVar[str] = "series"
    form: SeriesForm
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    fill: NDArray[np.float64]
    n_features: int | None
    feature_names: tuple[str, ...] | None
    channels_first: bool
    missing: str
    scales: bool

    def validate(self, X: Any, name: str = "X") -> Ragged:
        """Validate X and return its series, with missing values filled."""
        opened = open_series(X, name, self.channels_first)
        if self.n_features is not None:
            series = self._validate_table(opened.rows, name)
        else:
            series, _ = validate_series(
                opened,
                seen=self.form,
                channels_first=self.channels_first,
                allow_nan=self.missing != "raise",
                name=name,
            )
        return series if self.missing == "raise" else fill_missing(series, self.missing)

    def _validate_table(self, rows: Any, name: str) -> Ragged:
        assert self.n_features is not None
        if not is_table(rows, name):
            raise not_a_table_error(name, self.n_features)
        array = validate_table(rows, self.n_features, self.feature_names, name)
        return table_to_series(array, name, _FILL_ADVICE if self.missing == "raise" else None)

    def encode(self, rows: Ragged, name: str = "X") -> EncodedSequences:
        """The scaled series."""
        missing = np.isnan(rows.values)
        values = np.where(missing, self.fill, rows.values) if missing.any() else rows.values
        with np.errstate(over="ignore"):
            values = ((values - self.mean) / self.scale).astype(np.float32)
        too_large = ~np.isfinite(values).all(axis=1)
        if too_large.any():
            step = int(np.argmax(too_large))
            row = rows.row_of(step)
            raise ValueError(
                f"{name} holds {shorten(rows.values[step].tolist())} in row {row}, step {step - rows.offsets[row]}: "
                f"too large for float32{' after scaling' if self.scales else ''}. Expected absolute values below 3.4e38"
                + (": rescale the data." if self.scales else ", or scale=True.")
            )
        return EncodedSequences(Ragged(values, rows.lengths))

    def to_state(self) -> State:
        """The fitted values; the estimator saves its parameters itself."""
        names = self.form.channel_names
        return {
            "n_channels": self.form.n_channels,
            "n_axes": self.form.n_axes,
            "channel_names": None if names is None else list(names),
            "channel_mean": self.mean,
            "channel_scale": self.scale,
            "channel_fill": self.fill,
            "n_features": self.n_features,
            "feature_names": None if self.feature_names is None else list(self.feature_names),
        }

    def check(self) -> None:
        """Raise an error if the fitted values are invalid."""
        parameters = {"channels_first": self.channels_first, "missing": self.missing, "scale": self.scales}
        self.from_state(Saved(self.to_state()), Saved(parameters))

    @classmethod
    def from_state(cls, saved: Saved, parameters: Saved) -> Self:
        """Restore an encoder; `parameters` are those of the estimator."""
        n_channels = saved.integer("n_channels", low=1)
        names = saved.optional("channel_names", saved.texts)
        n_features = saved.optional("n_features", saved.integer, low=1)
        columns = saved.optional("feature_names", saved.texts)
        saved.require(
            names is None or len(names) == n_channels,
            f"channel_names must have {n_channels} names, one for each channel",
        )
        saved.require(
            columns is None or len(columns) == n_features,
            f"feature_names must have {n_features} names, one for each column",
        )
        saved.require(
            n_features is None or n_channels == 1,
            "n_channels must be 1 if n_features is set: the rows of a table have one channel",
        )
        return cls(
            form=SeriesForm(
                n_channels,
                saved.optional("n_axes", saved.integer, low=1, high=2),
                None if names is None else tuple(names),
            ),
            mean=saved.array("channel_mean", np.float64, (n_channels,)),
            scale=saved.array("channel_scale", np.float64, (n_channels,), low=np.nextafter(0, 1)),
            fill=saved.array("channel_fill", np.float64, (n_channels,)),
            n_features=n_features,
            feature_names=None if columns is None else tuple(columns),
            channels_first=parameters.boolean("channels_first"),
            missing=parameters.option("missing", MISSING),
            scales=parameters.boolean("scale"),
        )


def table_to_series(array: NDArray[np.float64], name: str, advice: str | None) -> Ragged:
    """The rows of a table as series of one channel. NaN is an error with this `advice`, unless it is None."""
    series = Ragged(array.reshape(-1, 1), np.full(array.shape[0], array.shape[1], dtype=np.int64))
    return clean_series(series, name, False, False, advice)


def not_a_table_error(name: str, n_features: int) -> ValueError:
    """The error for an X that is not a table although X of fit was one."""
    return ValueError(
        f"{name} must be a table of {n_features} steps (2-D), as in fit; got ragged or 3-D series. "
        "To allow series of any length, fit on ragged or 3-D series."
    )
