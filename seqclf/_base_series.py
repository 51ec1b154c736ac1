"""What the estimators for numeric series share: series in, scaled."""

from typing import Any

import numpy as np
from sklearn.utils import Tags, check_array
from sklearn.utils.validation import validate_data

from seqclf._base import AutoEpochs, BaseRNN
from seqclf._data.dataset import Rows
from seqclf._data.encoded import EncodedSequences
from seqclf._data.ragged import Ragged
from seqclf._inputs.series_encoder import MISSING, SeriesEncoder, no_table, series_of_table
from seqclf._inputs.text_encoder import TextEncoder
from seqclf._label_features.label_features import LabelFeatures
from seqclf._label_features.series_label_features import SeriesLabelFeatures
from seqclf._tasks.task import Task
from seqclf._text_tokenizer import TextTokenizer
from seqclf._validation.channels import SeriesForm, as_names
from seqclf._validation.holes import fill_holes
from seqclf._validation.parameters import any_of, boolean, integer, options, sequence_of
from seqclf._validation.reading import names_its_input
from seqclf._validation.series import is_table, read_series
from seqclf._validation.series_input import open_series
from seqclf._validation.table import refuse_no_table


class BaseSeriesRNN(BaseRNN):
    """Numeric series in. The subclasses say what is learned."""

    _constraints: dict[str, Any] = BaseRNN._constraints | {
        "channels_first": boolean(),
        "missing": options(*MISSING),
        "scale": boolean(),
        "conv_filters": any_of(integer(0), sequence_of(integer(1))),
    }
    _step_name = "steps"
    _auto_epochs = AutoEpochs(n_updates=300, n_steps=500_000, min_epochs=4, max_epochs=20)
    # Without a linear model the network has to learn everything.
    _auto_epochs_alone = AutoEpochs(n_updates=1_500, n_steps=1_500_000, min_epochs=5, max_epochs=200)
    n_channels_in_: int

    @names_its_input
    def _validate_X(self, X: Any, reset: bool, name: str = "X") -> Rows:
        opened = open_series(X, name, bool(self.channels_first))
        table = is_table(opened.rows, name) if reset else hasattr(self, "n_features_in_")
        if table:
            series, form = self._read_table(opened.rows, reset, name), SeriesForm(1)
        else:
            series, form = read_series(
                opened,
                seen=None if reset else self._form(),
                channels_first=bool(self.channels_first),
                allow_nan=self.missing != "raise",
                name=name,
            )
        if reset:
            self._keep_form(form, forget=() if table else ("n_features_in_", "feature_names_in_"))
        return series if self.missing == "raise" else fill_holes(series, self.missing)

    def _learned(self) -> tuple[str, ...]:
        return (
            *BaseRNN._learned(self),
            "n_channels_in_",
            "_n_row_axes",
            "channel_mean_",
            "channel_scale_",
            "_mean_of_fit",
        )

    def _form(self) -> SeriesForm:
        """The form of the series in fit."""
        return SeriesForm(
            self.n_channels_in_, getattr(self, "_n_row_axes", None), as_names(getattr(self, "channel_names_in_", None))
        )

    def _keep_form(self, form: SeriesForm, forget: tuple[str, ...]) -> None:
        for attribute in ("channel_names_in_", *forget):
            self.__dict__.pop(attribute, None)
        self.n_channels_in_, self._n_row_axes = form.n_channels, form.n_axes
        if form.channel_names is not None:
            self.channel_names_in_ = np.array(form.channel_names, dtype=object)

    def _read_table(self, X: Any, reset: bool, name: str) -> Ragged:
        """A table, as scikit-learn reads it, as series of one channel."""
        if not (reset or is_table(X, name)):
            raise no_table(name, self.n_features_in_)
        refuse_no_table(X, name)
        read = self._first_table if name == "X" else self._other_table
        try:
            array = read(X, reset, name)
        except OverflowError as error:
            raise ValueError(f"{name} holds a whole number that is too large for float64: {error}.") from error
        three_axes = f"{name}.to_numpy()[:, :, None]" if hasattr(X, "columns") else f"{name}[:, :, None]"
        advice = (
            f'{type(self).__name__}(missing="interpolate") fills holes. If the NaN pads series of different lengths, '
            f"hand in {three_axes}."
        )
        return series_of_table(array, name, advice if self.missing == "raise" else None)

    def _first_table(self, X: Any, reset: bool, name: str) -> np.ndarray:
        return validate_data(self, X, reset=reset, dtype=np.float64, ensure_all_finite=False)

    def _other_table(self, X: Any, reset: bool, name: str) -> np.ndarray:
        """What `validate_data` checks, which would call every table X."""
        array = check_array(X, dtype=np.float64, input_name=name, estimator=self, ensure_all_finite=False)
        if array.shape[1] != self.n_features_in_:
            raise ValueError(f"{name} has {array.shape[1]} steps, but X has {self.n_features_in_}: expected as many.")
        if hasattr(X, "columns") and hasattr(self, "feature_names_in_"):
            validate_data(self, X, reset=False, skip_check_array=True)  # the names of the columns
        return array

    def _fit_encoder(self, rows: Rows, weights: np.ndarray) -> EncodedSequences:
        assert isinstance(rows, Ragged)
        mean, scale = self._statistics(rows, weights) if rows.n_steps else (np.zeros(self.n_channels_in_),) * 2
        self._mean_of_fit = mean  # of a channel that a whole series lacks
        scaled = self.scale and rows.n_steps
        self.channel_mean_ = mean if scaled else np.zeros(self.n_channels_in_)
        self.channel_scale_ = scale if scaled else np.ones(self.n_channels_in_)
        return self._encode(rows)

    def _statistics(self, rows: Ragged, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each channel over all steps that have a value."""
        known = ~np.isnan(rows.values)
        whole = bool(known.all())
        if not known.any(axis=0).all():
            channel = int(np.argmin(known.any(axis=0)))
            raise ValueError(f"Channel {channel} of X is NaN in every row: leave it out, or give some row a value.")
        step_weights = np.repeat(weights, rows.lengths)
        if not whole:
            step_weights = step_weights[:, None] * known
        values = rows.values if whole else np.where(known, rows.values, 0.0)
        largest = np.abs(values).max(axis=0)
        largest[largest == 0] = 1.0
        values = values / largest  # Their squares neither overflow nor vanish.
        mean = np.average(values, axis=0, weights=step_weights)
        deviation = np.sqrt(np.average((values - mean) ** 2, axis=0, weights=step_weights))
        # A channel that is constant, but for rounding, is only centred.
        deviation[deviation <= 1e-12 * np.abs(mean)] = 0.0
        return mean * largest, np.where(deviation == 0, 1.0, deviation * largest)

    def _encode(self, rows: Rows, name: str = "X") -> EncodedSequences:
        assert isinstance(rows, Ragged)
        return self._encoder().encode(rows, name)

    def _encoder(self) -> SeriesEncoder:
        return SeriesEncoder(
            form=self._form(),
            mean=self.channel_mean_,
            scale=self.channel_scale_,
            fill=self._mean_of_fit,
            n_features=getattr(self, "n_features_in_", None),
            feature_names=as_names(getattr(self, "feature_names_in_", None)),
            channels_first=bool(self.channels_first),
            missing=self.missing,
            scales=bool(self.scale),
        )

    def _keep_encoder(self, encoder: TextEncoder | SeriesEncoder, tokenizer: TextTokenizer | None) -> None:
        assert isinstance(encoder, SeriesEncoder)
        self._keep_form(encoder.form, forget=())
        self.channel_mean_, self.channel_scale_, self._mean_of_fit = encoder.mean, encoder.scale, encoder.fill
        if encoder.n_features is not None:
            self.n_features_in_ = encoder.n_features
        if encoder.feature_names is not None:
            self.feature_names_in_ = np.array(encoder.feature_names, dtype=object)

    def _new_label_features(self, task: Task, rng: np.random.RandomState) -> LabelFeatures | None:
        return SeriesLabelFeatures(int(rng.randint(2**31))) if self.wide and not task.per_step else None

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
        tags.input_tags.allow_nan = self.missing != "raise"
        return tags
