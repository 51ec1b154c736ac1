"""Base of the estimators whose X holds numeric series: validation and scaling."""

from typing import Any

import numpy as np
from sklearn.utils import Tags, check_array
from sklearn.utils.validation import validate_data

from seqclf._base import AutoEpochs, BaseRNN
from seqclf._data.dataset import Rows
from seqclf._data.encoded import EncodedSequences
from seqclf._data.ragged import Ragged
from seqclf._inputs.series_encoder import MISSING, SeriesEncoder, not_a_table_error, table_to_series
from seqclf._inputs.text_encoder import TextEncoder
from seqclf._label_features.label_features import LabelFeatures
from seqclf._label_features.series_label_features import SeriesLabelFeatures
from seqclf._tasks.task import Task
from seqclf._text_tokenizer import TextTokenizer
from seqclf._validation.argument_errors import names_argument
from seqclf._validation.channels import SeriesForm, as_name_tuple
from seqclf._validation.missing_values import fill_missing
from seqclf._validation.numbers import counted
from seqclf._validation.parameters import any_of, boolean, integer, options, sequence_of
from seqclf._validation.series import is_table, validate_series
from seqclf._validation.series_input import open_series
from seqclf._validation.table import check_table_contents


class BaseSeriesRNN(BaseRNN):
    """Base of the estimators for series; the target base class of a subclass defines what is learned."""

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

    @names_argument
    def _validate_X(self, X: Any, reset: bool, name: str = "X") -> Rows:
        opened = open_series(X, name, bool(self.channels_first))
        is_2d = is_table(opened.rows, name) if reset else hasattr(self, "n_features_in_")
        if is_2d:
            series, form = self._validate_2d(opened.rows, reset, name), SeriesForm(1)
        else:
            series, form = validate_series(
                opened,
                seen=None if reset else self._form(),
                channels_first=bool(self.channels_first),
                allow_nan=self.missing != "raise",
                name=name,
            )
        if reset:
            self._set_form(form, also_reset=() if is_2d else ("n_features_in_", "feature_names_in_"))
        return series if self.missing == "raise" else fill_missing(series, self.missing)

    def _fitted_attributes(self) -> tuple[str, ...]:
        return (
            *BaseRNN._fitted_attributes(self),
            "n_channels_in_",
            "_n_row_axes",
            "channel_mean_",
            "channel_scale_",
            "_mean_of_fit",
        )

    def _form(self) -> SeriesForm:
        """The form of the series in fit."""
        return SeriesForm(
            self.n_channels_in_,
            getattr(self, "_n_row_axes", None),
            as_name_tuple(getattr(self, "channel_names_in_", None)),
        )

    def _set_form(self, form: SeriesForm, also_reset: tuple[str, ...]) -> None:
        for attribute in ("channel_names_in_", *also_reset):
            self.__dict__.pop(attribute, None)
        self.n_channels_in_, self._n_row_axes = form.n_channels, form.n_axes
        if form.channel_names is not None:
            self.channel_names_in_ = np.array(form.channel_names, dtype=object)

    def _validate_2d(self, X: Any, reset: bool, name: str) -> Ragged:
        """Validate 2-D input as scikit-learn does, and return it as series of one channel."""
        if not (reset or is_table(X, name)):
            raise not_a_table_error(name, self.n_features_in_)
        check_table_contents(X, name)
        validate = self._validate_2d_X if name == "X" else self._validate_2d_other
        try:
            array = validate(X, reset, name)
        except OverflowError as error:
            raise ValueError(f"{name} holds an integer that is too large for float64: {error}.") from error
        three_axes = f"{name}.to_numpy()[:, :, None]" if hasattr(X, "columns") else f"{name}[:, :, None]"
        advice = (
            f"{type(self).__name__}(missing='interpolate') fills in missing values. If NaN is the padding of "
            f"shorter series, pass {three_axes}."
        )
        return table_to_series(array, name, advice if self.missing == "raise" else None)

    def _validate_2d_X(self, X: Any, reset: bool, name: str) -> np.ndarray:
        return validate_data(self, X, reset=reset, dtype=np.float64, ensure_all_finite=False)

    def _validate_2d_other(self, X: Any, reset: bool, name: str) -> np.ndarray:
        """The checks of `validate_data`, whose messages would call every input X."""
        array = check_array(X, dtype=np.float64, input_name=name, estimator=self, ensure_all_finite=False)
        if array.shape[1] != self.n_features_in_:
            raise ValueError(
                f"{name} has {counted(array.shape[1], 'step')}, but X has {self.n_features_in_}: "
                "expected the same number."
            )
        if hasattr(X, "columns") and hasattr(self, "feature_names_in_"):
            validate_data(self, X, reset=False, skip_check_array=True)  # checks the column names
        return array

    def _fit_encoder(self, rows: Rows, weights: np.ndarray) -> EncodedSequences:
        assert isinstance(rows, Ragged)
        mean, scale = self._statistics(rows, weights) if rows.n_steps else (np.zeros(self.n_channels_in_),) * 2
        self._mean_of_fit = mean  # fills a channel that is missing in all steps of a series
        scaled = self.scale and rows.n_steps
        self.channel_mean_ = mean if scaled else np.zeros(self.n_channels_in_)
        self.channel_scale_ = scale if scaled else np.ones(self.n_channels_in_)
        return self._encode(rows)

    def _statistics(self, rows: Ragged, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each channel over all steps that have a value."""
        present = ~np.isnan(rows.values)
        is_complete = bool(present.all())
        if not present.any(axis=0).all():
            channel = int(np.argmin(present.any(axis=0)))
            raise ValueError(f"Channel {channel} of X is NaN in every row: drop it, or provide a value in some row.")
        step_weights = np.repeat(weights, rows.lengths)
        if not is_complete:
            step_weights = step_weights[:, None] * present
        values = rows.values if is_complete else np.where(present, rows.values, 0.0)
        largest = np.abs(values).max(axis=0)
        largest[largest == 0] = 1.0
        values = values / largest  # so that their squares neither overflow nor underflow
        mean = np.average(values, axis=0, weights=step_weights)
        deviation = np.sqrt(np.average((values - mean) ** 2, axis=0, weights=step_weights))
        # A channel that is constant up to rounding is centred, but not scaled.
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
            feature_names=as_name_tuple(getattr(self, "feature_names_in_", None)),
            channels_first=bool(self.channels_first),
            missing=self.missing,
            scales=bool(self.scale),
        )

    def _set_encoder(self, encoder: TextEncoder | SeriesEncoder, tokenizer: TextTokenizer | None) -> None:
        assert isinstance(encoder, SeriesEncoder)
        self._set_form(encoder.form, also_reset=())
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
        """The number of filters of each convolutional layer."""
        if isinstance(self.conv_filters, tuple | list):
            return tuple(int(n) for n in self.conv_filters)
        n = int(self.conv_filters)
        return (n, n, n) if n else ()

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = self.missing != "raise"
        return tags
