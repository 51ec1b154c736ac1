"""SequencePadder: ragged sequences (token ids or series) become one padded array, and back."""

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
from seqclf._validation.channels import SeriesForm, as_names
from seqclf._validation.containers import shorten, tensor_array, unpack_rows
from seqclf._validation.frames import is_frame
from seqclf._validation.memory import refuse_size
from seqclf._validation.parameters import (
    any_of,
    boolean,
    check_output_container,
    check_parameters,
    integer,
    nan,
    optional,
    options,
    parameters_state,
    read_parameters,
    real,
)
from seqclf._validation.reading import reading
from seqclf._validation.series import read_series, unpack_series
from seqclf._validation.series_input import open_series
from seqclf._validation.texts import PADDING, refuse_zeros

_CONSTRAINTS = {
    "max_length": optional(integer(1)),
    "padding": options("start", "end"),
    "truncate": options("start", "end"),
    "value": optional(any_of(real(-inf, inf), nan())),
    "channels_first": boolean(),
}
_INT64 = np.iinfo(np.int64)
_PLURAL = {"ids": "sequences of whole numbers", "series": "series of floats"}


def _has_columns(padder: "SequencePadder") -> bool:
    """A 3-D array has no columns: without names for them scikit-learn leaves the output as it is."""
    return getattr(padder, "input_kind_", "ids") == "ids"


class SequencePadder(CheckedState, TransformerMixin, BaseEstimator):
    """Turn sequences of unequal length into one array.

    Shorter sequences are filled up, longer ones are cut. Rows that are one-dimensional and hold integers are ids and
    give a 2-D array; everything else is a series of floats and gives a 3-D array, its last axis the channels.

    The estimators of seqclf need no padding: they take ragged input as it is, which is faster. This is for everything
    else that wants an array.

    Parameters
    ----------
    max_length : int or None, default=None
        The number of steps of the output. None is the longest sequence seen in `fit`: nothing of the training data is
        cut, but one very long sequence makes the whole array that long. It needs one sequence with a step at least.
    padding : {"start", "end"}, default="end"
        The side that is filled.
    truncate : {"start", "end"}, default="start"
        The side that is cut off from longer sequences: "start" keeps the last steps.
    value : float or None, default=None
        What is filled in. None is 0 for ids and NaN for series; both are what the estimators of seqclf recognise as
        padding. Another value can be mistaken for data, by them and by `inverse_transform`. It has to fit the dtype of
        the output.
    channels_first : bool, default=False
        Whether series are (channels, steps), and arrays of them (n, channels, steps): the input, and the output too.
        It says nothing of ids. Read the wrong way round, channels are padded for steps; `fit` warns of few steps.

    Attributes
    ----------
    max_length_ : int
        The number of steps of the output.
    input_kind_ : {"ids", "series"}
        What `fit` was given. `transform` takes nothing else.
    n_channels_in_ : int
        The number of channels; only for series.
    channel_names_in_ : ndarray of shape (n_channels_in_,)
        The names of the channels; only where series came as frames. Later frames are read by name, in any order.

    See Also
    --------
    TextTokenizer : Turns texts into ragged token ids.

    Notes
    -----
    Arrays that are padded already are taken too, 2-D of integers or 3-D of numbers, and padded anew. What counts as
    their padding are steps at either end that equal the fill value (`value`, or its default; in 3-D arrays also NaN in
    every channel). Ragged input is kept as it is, but a 0 in ids of rows that differ in length is
    an error unless `value` is another number; any other NaN is an error, and so is every NaN in
    ragged input and in 2-D arrays.

    If a single number of a list of rows is a float, all rows are series: ``[[1, 2], [0.5]]``. Integers with channels,
    of shape (steps, channels), are series too.

    Ids come out as int32, or int64 where an array of them is int64 or they need it; series as float64, or float32 where
    all of them are.

    Examples
    --------
    >>> from seqclf import SequencePadder
    >>> padder = SequencePadder()
    >>> padder.fit_transform([[7, 8, 9], [5], [3, 4]])
    array([[7, 8, 9],
           [5, 0, 0],
           [3, 4, 0]], dtype=int32)

    The two sides are chosen separately. Here the last two steps are kept, and the start is filled:

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
        """Find the length of the output. After an error the padder is as it was before.

        Parameters
        ----------
        X : list or object array of sequences, or a padded array
            Sequences of ids, or series of shape (steps,) or (steps, channels).
        y : None
            Ignored; it is here so that the padder fits into a pipeline.

        Returns
        -------
        SequencePadder
            The fitted padder itself.

        Raises
        ------
        ValueError
            Where a parameter or a row of X is not valid, or all sequences are empty and `max_length` is None.
        """
        with fresh_state(self) as fresh:
            fresh._learn(X)
        return self

    def fit_transform(self, X: Any, y: Any = None) -> NDArray[Any]:
        """Find the length of the output, and pad and cut the same sequences, which are read only once.

        Parameters
        ----------
        X : list or object array of sequences, or a padded array
            Sequences of ids, or series of shape (steps,) or (steps, channels).
        y : None
            Ignored.

        Returns
        -------
        ndarray of shape (n_sequences, max_length_) or (n_sequences, max_length_, n_channels_in_)
            The same as from ``fit(X).transform(X)``.
        """
        with fresh_state(self) as fresh:
            return fresh._pad(fresh._learn(X))

    def transform(self, X: Any) -> NDArray[Any]:
        """Pad and cut the sequences.

        Parameters
        ----------
        X : list or object array of sequences, or a padded array
            Sequences of the same kind as in `fit`.

        Returns
        -------
        ndarray of shape (n_sequences, max_length_) or (n_sequences, max_length_, n_channels_in_)
            The padded array. Two dimensions become a frame where `set_output` asks for one.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            Where a row of X is not valid, or of another kind or with other channels than in `fit`.
        """
        check_is_fitted(self, "max_length_")
        fitted = snapshot(self)
        kind, sequences, _ = fitted._read(X, kind=fitted.input_kind_, seen=fitted._form())
        if kind != fitted.input_kind_:
            raise ValueError(f"X holds {_PLURAL[kind]}, but in fit it held {_PLURAL[fitted.input_kind_]}.")
        return fitted._pad(sequences)

    def inverse_transform(self, X: Any) -> NDArray[np.object_]:
        """Drop the padding.

        Parameters
        ----------
        X : array of shape (n_sequences, n_steps) or (n_sequences, n_steps, n_channels)
            As from `transform`, an array or a frame.

        Returns
        -------
        ndarray of shape (n_sequences,), dtype object
            One array for each sequence, without the steps at the filled side that equal the fill value in every
            channel. Steps that were cut off do not come back.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            Where X is no array of the dimensions that `transform` returns.
        """
        check_is_fitted(self, "max_length_")
        fitted, array = snapshot(self), np.array(unpack_rows(X, "X"))
        n_dimensions, numbers = (2, "iu") if fitted.input_kind_ == "ids" else (3, "iuf")
        if array.ndim != n_dimensions or array.dtype.kind not in numbers:
            raise ValueError(
                f"inverse_transform takes the padded array that transform returns, {n_dimensions}-D for "
                f"{_PLURAL[fitted.input_kind_]}: got {array.ndim} dimension(s) of dtype {array.dtype}."
            )
        sequences = Ragged.from_array(fitted._turned(array))
        items = sequences.stripped(fitted._is_fill(sequences.values, fitted.input_kind_), (fitted.padding,)).items()
        if fitted.channels_first and fitted.input_kind_ == "series":
            items[:] = [item.T for item in items]
        return items

    @available_if(_has_columns)
    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """The names of the columns of padded ids: "step0", "step1" and so on.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        ndarray of shape (max_length_,), dtype object
            One name for each step. Series have no columns, and a padder fitted on them does not have this method.
        """
        check_is_fitted(self, "max_length_")
        return np.array([f"step{step}" for step in range(self.max_length_)], dtype=object)

    def set_output(self, *, transform: Literal["default", "pandas", "polars"] | None = None) -> "SequencePadder":
        """Choose the container of padded ids; the 3-D array of padded series stays an array.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, default=None
            The container of 2-D output; None leaves the choice as it was.

        Returns
        -------
        SequencePadder
            The padder itself.

        Raises
        ------
        ValueError
            For a container that there is not.
        """
        check_output_container(transform)
        # scikit-learn's own method disappears together with get_feature_names_out, and a pipeline calls it on every
        # step; the attribute is the one it keeps the choice in, and `clone` copies.
        if transform is not None:
            self._sklearn_output_config = {**getattr(self, "_sklearn_output_config", {}), "transform": transform}
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.two_d_array = False  # taken, but as padded sequences, not as a table with a fixed width
        return tags

    def _to_state(self) -> State:
        """The parameters, the choice of `set_output`, and what was learned, None before `fit`."""
        check_parameters(self, _CONSTRAINTS)
        fitted = snapshot(self)
        state = {
            "parameters": parameters_state(fitted, _CONSTRAINTS),
            "output": getattr(fitted, "_sklearn_output_config", {}).get("transform"),
        }
        if "max_length_" not in vars(fitted):
            return state | {"input_kind": None}
        form = fitted._form()
        learned = {"input_kind": fitted.input_kind_, "max_length": fitted.max_length_}
        return state | learned | {"form": None if form is None else form.to_state()}

    @classmethod
    def _from_state(cls, saved: Saved) -> Self:
        """The padder of a saved state."""
        padder = cls(**saved.part("parameters", partial(read_parameters, constraints=_CONSTRAINTS)))
        padder.set_output(transform=saved.optional("output", saved.option, ["default", "pandas", "polars"]))
        kind = saved.optional("input_kind", saved.option, ["ids", "series"])
        if kind is None:
            return padder
        padder.input_kind_, padder.max_length_ = kind, saved.integer("max_length", low=1)
        form = saved.optional("form", saved.part, SeriesForm.from_state)
        saved.require((form is None) == (kind == "ids"), "series have a form, and ids have none")
        if form is not None:
            padder._keep_form(form)
        return padder

    def _restore(self, saved: Saved) -> None:
        if "max_length_" not in saved:
            return
        check_parameters(self, _CONSTRAINTS)
        saved.option("input_kind_", ["ids", "series"])
        saved.integer("max_length_", low=1)
        if (form := self._form()) is not None:
            SeriesForm.from_state(Saved(form.to_state()))

    def _learned(self) -> tuple[str, ...]:
        if "max_length_" not in vars(self):
            return ()
        kind = vars(self).get("input_kind_")  # of a damaged state it may be anything
        of_series = ("n_channels_in_", "_n_row_axes") if isinstance(kind, str) and kind == "series" else ()
        return ("input_kind_", "max_length_", *of_series)

    def _learn(self, X: Any) -> Ragged:
        check_parameters(self, _CONSTRAINTS)
        kind, sequences, form = self._read(X)
        self._check_fill(sequences.values.dtype)
        longest = int(sequences.lengths.max())
        if self.max_length is None and longest == 0:
            raise ValueError(
                "All sequences of X are empty, and max_length=None makes the output as long as the longest of them: "
                "set max_length to the number of steps wanted."
            )
        self.input_kind_ = kind
        for attribute in ("n_channels_in_", "channel_names_in_", "_n_row_axes"):
            self.__dict__.pop(attribute, None)
        if form is not None:
            self._keep_form(form)
        self.max_length_ = longest if self.max_length is None else int(self.max_length)
        return sequences

    def _keep_form(self, form: SeriesForm) -> None:
        self.n_channels_in_, self._n_row_axes = form.n_channels, form.n_axes
        if form.channel_names is not None:
            self.channel_names_in_ = np.array(form.channel_names, dtype=object)

    def _pad(self, sequences: Ragged) -> NDArray[Any]:
        self._check_fill(sequences.values.dtype)
        refuse_size(
            len(sequences) * self.max_length_ * max(sequences.n_channels, 1) * (sequences.values.itemsize // 4),
            f"{len(sequences)} rows with max_length={self.max_length_}",
            "choose a smaller max_length",
        )
        padded = sequences.truncated(self.max_length_, self.truncate).padded(
            self.max_length_, value=self._fill(self.input_kind_), padding=self.padding
        )
        return self._turned(padded)

    def _turned(self, array: NDArray[Any]) -> NDArray[Any]:
        """An array of series with its last two axes exchanged, where channels come first."""
        return np.ascontiguousarray(array.transpose(0, 2, 1)) if array.ndim == 3 and self.channels_first else array

    def _form(self) -> SeriesForm | None:
        """The form of the series in fit; None for ids."""
        if self.input_kind_ == "ids":
            return None
        return SeriesForm(self.n_channels_in_, self._n_row_axes, as_names(getattr(self, "channel_names_in_", None)))

    def _fill(self, kind: str) -> float:
        if self.value is None:
            return PADDING if kind == "ids" else np.nan
        return self.value if kind == "ids" else float(self.value)

    def _check_fill(self, dtype: np.dtype[Any]) -> None:
        """Refuse a `value` that would be another number in the padded array."""
        if self.value is None:
            return
        if dtype.kind == "f":
            fits = self.value != self.value or abs(self.value) <= float(np.finfo(dtype).max)
            expected = "a number"
        else:
            limits = np.iinfo(dtype)
            fits = limits.min <= self.value <= limits.max and self.value == int(self.value)
            expected = "a whole number"
        if not fits:
            raise ValueError(
                f"value={shorten(self.value)} cannot be filled into an array of dtype {dtype}: "
                f"expected {expected} that fits it, or None."
            )

    def _is_fill(self, values: NDArray[Any], kind: str) -> NDArray[np.bool_]:
        """Which steps hold the fill value in every channel."""
        fill = self._fill(kind)
        equal = np.isnan(values) if fill != fill else values == fill
        return equal if equal.ndim == 1 else equal.all(axis=1)

    def _read(
        self, X: Any, *, kind: str | None = None, seen: SeriesForm | None = None
    ) -> tuple[str, Ragged, SeriesForm | None]:
        """Say what the rows are, and take the padding off arrays that have some. `kind`: what empty rows are."""
        opened = open_series(X, "X", bool(self.channels_first))
        with reading("X"):
            rows = unpack_series(opened, "X")
            found, sequences, form = "ids", _read_ids(rows, kind), None
        if sequences is None:
            found = "series"
            sequences, form = read_series(
                opened, seen=seen, channels_first=bool(self.channels_first), keep_float32=True
            )
        if isinstance(rows, np.ndarray) and (found == "ids" or rows.ndim == 3):
            sequences = sequences.stripped(self._is_fill(sequences.values, found))
        elif found == "ids" and self._fill(found) == PADDING:
            refuse_zeros(sequences, "X")
        return found, sequences, form


def _read_ids(rows: list[Any] | NDArray[Any], kind: str | None) -> Ragged | None:
    """The rows as int32 or int64, or None where one of them is not one-dimensional or holds no integers."""
    if isinstance(rows, np.ndarray):
        if rows.ndim != 2 or rows.dtype.kind not in "iu":
            return None
        if rows.dtype != np.uint64:
            return _narrow(Ragged.from_array(rows), keep_int64=rows.dtype == np.int64)
    arrays = []
    for row in rows:
        array = _integers(row)
        if array is None:
            return None
        arrays.append(array)
    if kind == "series" and not any(map(len, arrays)):
        return None
    # numpy makes int64 of a list of Python's integers, which says nothing about what its owner wants
    typed = [array for row, array in zip(rows, arrays, strict=True) if not isinstance(row, list | tuple)]
    keep_int64 = any(array.dtype == np.int64 for array in typed)
    arrays = [_as_int64(array, position) for position, array in enumerate(arrays)]
    return _narrow(Ragged.from_items(arrays), keep_int64=keep_int64)


def _integers(row: Any) -> NDArray[Any] | None:
    """A row of integers as an array, of objects where they need more than 64 bits; None for everything else."""
    if is_frame(row) or not (isinstance(row, list | tuple) or hasattr(row, "__array__")):
        return None
    try:
        array = tensor_array(row) if hasattr(row, "detach") else np.asarray(row)
    except ValueError:  # a ragged list inside a row: read_series says so, with its number
        return None
    if array.ndim != 1:
        return None
    if array.dtype.kind in "iu" or not len(array):
        return array
    # numpy makes floats or objects of what does not fit: they must not pass for series
    if (isinstance(row, list | tuple) or array.dtype.kind == "O") and set(map(type, row)) == {int}:
        exact = np.array(row, dtype=object)
        return None if _INT64.min <= exact.min() and exact.max() <= _INT64.max else exact
    return None


def _as_int64(array: NDArray[Any], position: int) -> NDArray[Any]:
    """A row of a type that may hold more than int64 as int64; other rows as they are."""
    if not len(array) or array.dtype not in (np.uint64, object):
        return array
    wrong = (array < _INT64.min) | (array > _INT64.max)
    if wrong.any():
        step = int(np.argmax(wrong))
        raise ValueError(
            f"Row {position} of X holds {shorten(array[step])} at position {step}: expected whole numbers that fit "
            f"int64, from {_INT64.min} to {_INT64.max}."
        )
    return array.astype(np.int64)


def _narrow(ids: Ragged, *, keep_int64: bool) -> Ragged:
    limits = np.iinfo(np.int32)
    fits = not ids.n_steps or (ids.values.min() >= limits.min and ids.values.max() <= limits.max)
    return Ragged(ids.values.astype(np.int32 if fits and not keep_int64 else np.int64, copy=False), ids.lengths)
