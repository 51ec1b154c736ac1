"""Predictions from encoded rows, shared by estimators and predictors."""

from collections.abc import Callable
from typing import Any

import numpy as np

from seqclf._data.encoded import AddFeatures, EncodedSequences
from seqclf._data.ragged import Ragged
from seqclf._label_features.label_features import LabelFeatures
from seqclf._native.threads import chosen_threads, current_choice, default_threads, kernel_threads, restore_choice

Outputs = np.ndarray[Any, Any] | Ragged


def predict_sequences(
    encode: Callable[[], EncodedSequences],
    features: LabelFeatures | None,
    compute: Callable[[EncodedSequences, AddFeatures | None], Outputs],
    n_threads: int | None,
) -> Outputs:
    """Outputs of a network for encoded rows with their label features.

    Parameters
    ----------
    encode : callable
        Returns the encoded rows.
    features : LabelFeatures or None
        Fitted label features, which are added to the rows.
    compute : callable
        Computes the outputs from the rows and the function that adds the label features; a method of the network.
    n_threads : int or None
        As in the estimators.

    Raises
    ------
    ValueError
        If an output is not finite.
    MemoryError
        If memory runs out.
    """
    choice = current_choice()
    try:
        with kernel_threads(n_threads or chosen_threads() or default_threads()):
            values = compute(encode(), None if features is None else features.transform)
    except BaseException as error:
        restore_choice(choice)  # Ctrl-C can prevent the `with` statement from doing it.
        if isinstance(error, MemoryError) and not str(error):
            raise MemoryError("There was too little memory: an allocation failed.") from error
        raise
    check_outputs(values)
    return values


def check_outputs(values: Outputs) -> None:
    """Raise an error that names the first row of X whose outputs are not finite."""
    units = values.values if isinstance(values, Ragged) else values
    finite = np.isfinite(units).all(axis=1)
    if not finite.all():
        first = int(np.argmin(finite))
        row = values.row_of(first) if isinstance(values, Ragged) else first
        raise ValueError(
            f"The output of the network for row {row} of X is not finite: the values of the row are too large for the "
            "network. Expected values of about the same size as in fit: scale the row in the same way, or leave it "
            "out."
        )


def check_token_counts(rows: Any, sequences: EncodedSequences, name: str, tokenizer: str) -> None:
    """Raise an error unless each token has exactly one id: labels of steps would belong to the wrong tokens."""
    if not isinstance(rows, list):
        return
    n_tokens = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
    if (n_tokens != sequences.lengths).any():
        row = int(np.argmax(n_tokens != sequences.lengths))
        raise ValueError(
            f"The tokenizer, {tokenizer}, made {sequences.lengths[row]} ids from the {n_tokens[row]} tokens in "
            f"row {row} of {name}: expected one for each token. Use a tokenizer that drops no tokens, without "
            "max_length."
        )
