"""`SequencePadder`: converts ragged sequences (token ids or series) to one padded array, and back."""

from functools import partial
from math import inf
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from seqclf._data.ragged import Ragged
from seqclf._saved import Saved, State
from seqclf._state import fresh_state, snapshot
from seqclf._unpickling import CheckedState
from seqclf._validation.argument_errors import argument_errors
from seqclf._validation.channels import SeriesForm, as_name_tuple
from seqclf._validation.containers import shorten, tensor_array, unpack_rows
from seqclf._validation.frames import is_frame
from seqclf._validation.memory import check_fits_memory
from seqclf._validation.parameters import (
    any_of,
    boolean,
    check_output_container,
    check_parameters,
    integer,
    load_parameters,
    nan,
    optional,
    options,
    parameters_state,
    real,
)
from seqclf._validation.series import unpack_series, validate_series
from seqclf._validation.series_input import open_series
from seqclf._validation.texts import PADDING, check_no_zeros

_CONSTRAINTS = {
    "max_length": optional(integer(1)),
    "padding": options("start", "end"),
    "truncate": options("start", "end"),
    "value": optional(any_of(real(-inf, inf), nan())),
    "channels_first": boolean(),
}
_INT64 = np.iinfo(np.int64)
_KIND_NAMES = {"ids": "sequences of integers", "series": "series of floats"}


def _has_columns(padder: "SequencePadder") -> bool:
    """Whether the output is 2-D. Without column names scikit-learn does not convert the 3-D output."""
    return getattr(padder, "input_kind_", "ids") == "ids"


class SequencePadder(CheckedState, TransformerMixin, BaseEstimator):
    """Convert sequences of unequal length to one array.

    Shorter sequences are padded, longer ones are truncated. One-dimensional rows of integers are ids and result in a
    2-D array; everything else is a series of floats and results in a 3-D array, (sequences, steps, channels), or
    (sequences, channels, steps) with ``channels_first=True``.

    The estimators of seqclf need no padding: they accept ragged input directly, which is faster. This class is for
    other code that needs an array.

    Parameters
    ----------
    max_length : int or None, default=None
        Number of steps of the output. None means the length of the longest sequence in `fit`, which must be at least 1:
        no training data are truncated, but one very long sequence makes the whole array that long.
    padding : {"start", "end"}, default="end"
        The side to which padding is added.
    truncate : {"start", "end"}, default="start"
        The side from which steps of longer sequences are cut off: "start" keeps the last steps, "end" the first ones.
    value : float or None, default=None
        The fill value. None means 0 for ids and NaN for series, which the estimators of seqclf recognise as padding.
        They read any other value as data, and `inverse_transform` removes data that equal it at the padded side. It
        must fit the dtype of the output.
    channels_first : bool, default=False
        Whether series have the shape (channels, steps), and arrays of them (n, channels, steps), in the input and the
        output. Not used for ids. In the wrong order, channels would be padded instead of steps; `fit` warns if every
        series has fewer steps than channels.

    Attributes
    ----------
    max_length_ : int
        The number of steps of the output.
    input_kind_ : {"ids", "series"}
        What X held in `fit`. `transform` accepts only the same kind.
    n_channels_in_ : int
        The number of channels; present only for series.
    channel_names_in_ : ndarray of shape (`n_channels_in_`,)
        The names of the channels; present only if series came as frames. Later frames are read by name, so their
        columns can be in any order.

    See Also
    --------
    TextTokenizer : Converts texts to ragged token ids.

    Notes
    -----
    Arrays that are already padded are accepted too, 2-D arrays of integers or 3-D arrays of numbers, and are padded
    again. Steps at either end that equal the fill value (`value` or its default; in 3-D arrays also NaN in every
    channel) are taken for padding. No steps of ragged input are taken for padding, but a 0 among the ids of rows of
    unequal length is an error unless `value` is another number. Any other NaN is an error, and so is every NaN in
    ragged input and in 2-D arrays.

    If one number in a list of rows is a float, all rows are series: ``[[1, 2], [0.5]]``. Integers with channels, of
    shape (steps, channels), are series too.

    Ids are returned as int32, or as int64 if an array of them is int64 or if they need it. Series are returned as
    float64, or as float32 if all of them are.

    Examples
    --------
    >>> from seqclf import SequencePadder
    >>> padder = SequencePadder()
    >>> padder.fit_transform([[7, 8, 9], [5], [3, 4]])
    array([[7, 8, 9],
           [5, 0, 0],
           [3, 4, 0]], dtype=int32)

    The two sides are independent. Here the last two steps are kept, and padding is added at the start:

    >>> SequencePadder(max_length=2, padding="start").fit_transform([[7, 8, 9], [5], [3, 4]])
    array([[8, 9],
           [0, 5],
           [3, 4]], dtype=int32)

    >>> padder.inverse_transform([[6, 2, 0]])
    array([array([6, 2])], dtype=object)
    """

    def __init__(
        self,
        *,
        max_length: int | None = None,
        padding: Literal["start", "end"] = "end",
        truncate: Literal["start", "end"] = "start",
        value: float | None = None,
        channels_first: bool = False,
    ) -> None:
        self.max_length = max_length
        self.padding = padding
        self.truncate = truncate
        self.value = value
        self.channels_first = channels_first

    def fit(self, X: Any, y: Any = None) -> "SequencePadder":
        """Determine the length of the output. After an error the padder is unchanged.

        Parameters
        ----------
        X : list or object array of sequences, or a padded array
            Sequences of ids, or series of shape (steps,) or (steps, channels).
        y : None
            Ignored; present for compatibility with pipelines.

        Returns
        -------
        SequencePadder
            The fitted padder itself.

        Raises
        ------
        TypeError
            If X is sparse or is not a container of rows.
        ValueError
            If a parameter or a row of X is invalid, or all sequences are empty and `max_length` is None.
        """
        with fresh_state(self) as fresh:
            fresh._fit(X)
        return self

    def fit_transform(self, X: Any, y: Any = None) -> NDArray[Any]:
        """Determine the length of the output, and pad and truncate the same sequences, which are validated only once.

        Parameters
        ----------
        X : list or object array of sequences, or a padded array
            Sequences of ids, or series of shape (steps,) or (steps, channels).
        y : None
            Ignored.

        Returns
        -------
        ndarray of shape (n_sequences, `max_length_`) or (n_sequences, `max_length_`, `n_channels_in_`)
            What ``fit(X).transform(X)`` returns.

        Raises
        ------
        TypeError, ValueError
            As in `fit`.
        """
        with fresh_state(self) as fresh:
            return fresh._pad(fresh._fit(X))

    def transform(self, X: Any) -> NDArray[Any]:
        """Pad and truncate sequences.

        Parameters
        ----------
        X : list or object array of sequences, or a padded array
            Sequences of the same kind as in `fit`.

        Returns
        -------
        ndarray of shape (n_sequences, `max_length_`) or (n_sequences, `max_length_`, `n_channels_in_`)
            The padded array; of series with ``channels_first=True``, of shape (n_sequences, `n_channels_in_`,
            `max_length_`). A 2-D array becomes a data frame if `set_output` requests one.

        Raises
        ------
        NotFittedError
            If the padder is not fitted.
        TypeError
            If X is sparse or is not a container of rows.
        ValueError
            If a row of X is invalid, or its kind or channels differ from those in `fit`.
        """
        check_is_fitted(self, "max_length_")
        fitted = snapshot(self)
        kind, sequences, _ = fitted._validate_X(X, kind=fitted.input_kind_, seen=fitted._form())
        if kind != fitted.input_kind_:
            raise ValueError(f"X holds {_KIND_NAMES[kind]}, but in fit it held {_KIND_NAMES[fitted.input_kind_]}.")
        return fitted._pad(sequences)

    def inverse_transform(self, X: Any) -> NDArray[np.object_]:
        """Remove the padding.

        Parameters
        ----------
        X : array of shape (n_sequences, n_steps) or (n_sequences, n_steps, n_channels)
            The output of `transform`, an array or a data frame.

        Returns
        -------
        ndarray of shape (n_sequences,), dtype object
            One array per sequence, without the steps at the padded side that equal the fill value in every channel.
            Steps that were cut off are not restored.

        Raises
        ------
        NotFittedError
            If the padder is not fitted.
        ValueError
            If X is not an array with the number of dimensions that `transform` returns.
        """
        check_is_fitted(self, "max_length_")
        fitted, array = snapshot(self), np.array(unpack_rows(X, "X"))
        n_dimensions, dtype_kinds = (2, "iu") if fitted.input_kind_ == "ids" else (3, "iuf")
        if array.ndim != n_dimensions or array.dtype.kind not in dtype_kinds:
            raise ValueError(
                f"X has the shape {array.shape} and the dtype {array.dtype}: expected the padded array that "
                f"transform returns, which is {n_dimensions}-D for {_KIND_NAMES[fitted.input_kind_]}."
            )
        sequences = Ragged.from_array(fitted._in_channel_order(array))
        items = sequences.stripped(fitted._is_fill(sequences.values, fitted.input_kind_), (fitted.padding,)).items()
        if fitted.channels_first and fitted.input_kind_ == "series":
            items[:] = [item.T for item in items]
        return items

    @available_if(_has_columns)
    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the column names of padded ids: "step0", "step1" and so on.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        ndarray of shape (`max_length_`,), dtype object
            One name per step. A padder that was fitted on series does not have this method, because its output has no
            columns.

        Raises
        ------
        NotFittedError
            If the padder is not fitted.
        """
        check_is_fitted(self, "max_length_")
        return np.array([f"step{step}" for step in range(self.max_length_)], dtype=object)

    def set_output(self, *, transform: Literal["default", "pandas", "polars"] | None = None) -> "SequencePadder":
        """Choose the container of padded ids; the 3-D array of padded series is never converted.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, default=None
            The container of 2-D output; None keeps the current choice.

        Returns
        -------
        SequencePadder
            The padder itself.

        Raises
        ------
        ValueError
            For any other container.
        """
        check_output_container(transform)
        # scikit-learn's own method exists only together with get_feature_names_out, but a pipeline calls it on every
        # step. scikit-learn stores the choice in this attribute, and `clone` copies it.
        if transform is not None:
            self._sklearn_output_config = {**getattr(self, "_sklearn_output_config", {}), "transform": transform}
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        # 2-D input is accepted, but as padded sequences, not as a fixed number of features.
        tags.input_tags.two_d_array = False
        return tags

    def _to_state(self) -> State:
        """The parameters, the choice of `set_output`, and the fitted attributes, None before `fit`."""
        check_parameters(self, _CONSTRAINTS)
        fitted = snapshot(self)
        state = {
            "parameters": parameters_state(fitted, _CONSTRAINTS),
            "output": getattr(fitted, "_sklearn_output_config", {}).get("transform"),
        }
        if "max_length_" not in vars(fitted):
            return state | {"input_kind": None}
        form = fitted._form()
        fitted_attributes = {"input_kind": fitted.input_kind_, "max_length": fitted.max_length_}
        return state | fitted_attributes | {"form": None if form is None else form.to_state()}

    @classmethod
    def _from_state(cls, saved: Saved) -> Self:
        """The padder of a saved state."""
        padder = cls(**saved.part("parameters", partial(load_parameters, constraints=_CONSTRAINTS)))
        padder.set_output(transform=saved.optional("output", saved.option, ["default", "pandas", "polars"]))
        kind = saved.optional("input_kind", saved.option, ["ids", "series"])
        if kind is None:
            return padder
        padder.input_kind_, padder.max_length_ = kind, saved.integer("max_length", low=1)
        form = saved.optional("form", saved.part, SeriesForm.from_state)
        saved.require((form is None) == (kind == "ids"), "series have a form, and ids have none")
        if form is not None:
            padder._set_form(form)
        return padder

    def _restore(self, saved: Saved) -> None:
        if "max_length_" not in saved:
            return
        check_parameters(self, _CONSTRAINTS)
        saved.option("input_kind_", ["ids", "series"])
        saved.integer("max_length_", low=1)
        if (form := self._form()) is not None:
            SeriesForm.from_state(Saved(form.to_state()))

    def _fitted_attributes(self) -> tuple[str, ...]:
        if "max_length_" not in vars(self):
            return ()
        kind = vars(self).get("input_kind_")  # in a damaged state it can be any object
        series_attributes = ("n_channels_in_", "_n_row_axes") if isinstance(kind, str) and kind == "series" else ()
        return ("input_kind_", "max_length_", *series_attributes)

    def _fit(self, X: Any) -> Ragged:
        check_parameters(self, _CONSTRAINTS)
        kind, sequences, form = self._validate_X(X)
        self._check_value(sequences.values.dtype)
        max_length = int(sequences.lengths.max())
        if self.max_length is None and max_length == 0:
            raise ValueError(
                "All sequences of X are empty, and with max_length=None the output would have no steps: "
                "set max_length to the number of steps of the output."
            )
        self.input_kind_ = kind
        for attribute in ("n_channels_in_", "channel_names_in_", "_n_row_axes"):
            self.__dict__.pop(attribute, None)
        if form is not None:
            self._set_form(form)
        self.max_length_ = max_length if self.max_length is None else int(self.max_length)
        return sequences

    def _set_form(self, form: SeriesForm) -> None:
        self.n_channels_in_, self._n_row_axes = form.n_channels, form.n_axes
        if form.channel_names is not None:
            self.channel_names_in_ = np.array(form.channel_names, dtype=object)

    def _pad(self, sequences: Ragged) -> NDArray[Any]:
        self._check_value(sequences.values.dtype)
        check_fits_memory(
            len(sequences) * self.max_length_ * max(sequences.n_channels, 1) * (sequences.values.itemsize // 4),
            f"{len(sequences)} rows with max_length={self.max_length_}",
            "choose a smaller max_length",
        )
        padded = sequences.truncated(self.max_length_, self.truncate).padded(
            self.max_length_, value=self._fill_value(self.input_kind_), padding=self.padding
        )
        return self._in_channel_order(padded)

    def _in_channel_order(self, array: NDArray[Any]) -> NDArray[Any]:
        """Exchange the last two axes of an array of series if channels come first."""
        return np.ascontiguousarray(array.transpose(0, 2, 1)) if array.ndim == 3 and self.channels_first else array

    def _form(self) -> SeriesForm | None:
        """The form of the series in fit; None for ids."""
        if self.input_kind_ == "ids":
            return None
        return SeriesForm(
            self.n_channels_in_, self._n_row_axes, as_name_tuple(getattr(self, "channel_names_in_", None))
        )

    def _fill_value(self, kind: str) -> float:
        if self.value is None:
            return PADDING if kind == "ids" else np.nan
        return self.value if kind == "ids" else float(self.value)

    def _check_value(self, dtype: np.dtype[Any]) -> None:
        """Raise an error if `value` would be a different number in the padded array."""
        if self.value is None:
            return
        if dtype.kind == "f":
            fits = self.value != self.value or abs(self.value) <= float(np.finfo(dtype).max)
            expected = "a number"
        else:
            limits = np.iinfo(dtype)
            fits = limits.min <= self.value <= limits.max and self.value == int(self.value)
            expected = "an integer"
        if not fits:
            raise ValueError(
                f"value={shorten(self.value)} can't be filled into an array of dtype {dtype}: "
                f"expected {expected} that it can represent, or None."
            )

    def _is_fill(self, values: NDArray[Any], kind: str) -> NDArray[np.bool_]:
        """Whether each step holds the fill value in every channel."""
        fill = self._fill_value(kind)
        equal = np.isnan(values) if fill != fill else values == fill
        return equal if equal.ndim == 1 else equal.all(axis=1)

    def _validate_X(
        self, X: Any, *, kind: str | None = None, seen: SeriesForm | None = None
    ) -> tuple[str, Ragged, SeriesForm | None]:
        """Validate X and strip the padding of arrays; returns the kind, the sequences, and the form of series.

        `kind` is that of rows which are all empty.
        """
        opened = open_series(X, "X", bool(self.channels_first))
        with argument_errors("X"):
            rows = unpack_series(opened, "X")
            found, sequences, form = "ids", _validate_ids(rows, kind), None
        if sequences is None:
            found = "series"
            sequences, form = validate_series(
                opened, seen=seen, channels_first=bool(self.channels_first), keep_float32=True
            )
        if isinstance(rows, np.ndarray) and (found == "ids" or rows.ndim == 3):
            sequences = sequences.stripped(self._is_fill(sequences.values, found))
        elif found == "ids" and self._fill_value(found) == PADDING:
            check_no_zeros(sequences, "X")
        return found, sequences, form


def _validate_ids(rows: list[Any] | NDArray[Any], kind: str | None) -> Ragged | None:
    """The rows as int32 or int64; None if a row is not one-dimensional, or holds anything but integers."""
    if isinstance(rows, np.ndarray):
        if rows.ndim != 2 or rows.dtype.kind not in "iu":
            return None
        if rows.dtype != np.uint64:
            return _narrow_ids(Ragged.from_array(rows), keep_int64=rows.dtype == np.int64)
    arrays = []
    for row in rows:
        array = _integers(row)
        if array is None:
            return None
        arrays.append(array)
    if kind == "series" and not any(map(len, arrays)):
        return None
    # numpy converts a list of Python integers to int64, which does not mean that int64 is wanted.
    typed = [array for row, array in zip(rows, arrays, strict=True) if not isinstance(row, list | tuple)]
    keep_int64 = any(array.dtype == np.int64 for array in typed)
    arrays = [_as_int64(array, position) for position, array in enumerate(arrays)]
    return _narrow_ids(Ragged.from_items(arrays), keep_int64=keep_int64)


def _integers(row: Any) -> NDArray[Any] | None:
    """A row of integers as an array (of objects if they need more than 64 bits); None for anything else."""
    if is_frame(row) or not (isinstance(row, list | tuple) or hasattr(row, "__array__")):
        return None
    try:
        array = tensor_array(row) if hasattr(row, "detach") else np.asarray(row)
    except ValueError:  # a ragged list inside a row, for which validate_series raises the error
        return None
    if array.ndim != 1:
        return None
    if array.dtype.kind in "iu" or not len(array):
        return array
    # numpy converts integers that do not fit to floats or objects, which must not be taken for series.
    if (isinstance(row, list | tuple) or array.dtype.kind == "O") and set(map(type, row)) == {int}:
        exact = np.array(row, dtype=object)
        return None if _INT64.min <= exact.min() and exact.max() <= _INT64.max else exact
    return None


def _as_int64(array: NDArray[Any], position: int) -> NDArray[Any]:
    """Convert a row of uint64 or objects to int64; other rows are returned unchanged."""
    if not len(array) or array.dtype not in (np.uint64, object):
        return array
    out_of_range = (array < _INT64.min) | (array > _INT64.max)
    if out_of_range.any():
        step = int(np.argmax(out_of_range))
        raise ValueError(
            f"Row {position} of X holds {shorten(array[step])} at position {step}: expected whole numbers that "
            f"fit in int64, from {_INT64.min} to {_INT64.max}."
        )
    return array.astype(np.int64)


def _narrow_ids(ids: Ragged, *, keep_int64: bool) -> Ragged:
    limits = np.iinfo(np.int32)
    fits = not ids.n_steps or (ids.values.min() >= limits.min and ids.values.max() <= limits.max)
    return Ragged(ids.values.astype(np.int32 if fits and not keep_int64 else np.int64, copy=False), ids.lengths)
