"""The way from encoded rows to numbers, which estimators and predictors have in common."""

from collections.abc import Callable
from typing import Any

import numpy as np

from seqclf._data.encoded import EncodedSequences
from seqclf._data.ragged import Ragged
from seqclf._label_features.label_features import LabelFeatures
from seqclf._native.threads import chosen_threads, default_threads, kernel_threads, present_choice, restore_choice

Outputs = np.ndarray[Any, Any] | Ragged


def predicted(
    encode: Callable[[], EncodedSequences],
    features: LabelFeatures | None,
    compute: Callable[[EncodedSequences], Outputs],
    n_threads: int | None,
) -> Outputs:
    """What a network computes for encoded rows, to which the label-informed inputs are added.

    Parameters
    ----------
    encode : callable
        Gives the rows.
    features : LabelFeatures or None
        What was learned from targets.
    compute : callable
        A method of the network.
    n_threads : int or None
        As in the estimators.

    Raises
    ------
    ValueError
        If a number is not finite.
    MemoryError
        If the memory does not suffice.
    """
    choice = present_choice()
    try:
        with kernel_threads(n_threads or chosen_threads() or default_threads()):
            sequences = encode()
            values = compute(sequences if features is None else features.transform(sequences))
    except BaseException as error:
        restore_choice(choice)  # Ctrl-C may have come before the `with` statement could do it.
        if isinstance(error, MemoryError) and not str(error):
            raise MemoryError("There was too little memory: an allocation failed.") from error
        raise
    refuse_not_finite(values)
    return values


def refuse_not_finite(values: Outputs) -> None:
    """Raise an error that names the first row of X for which the network gave a number that is not finite."""
    numbers = values.values if isinstance(values, Ragged) else values
    finite = np.isfinite(numbers).all(axis=1)
    if not finite.all():
        first = int(np.argmin(finite))
        row = values.row_of(first) if isinstance(values, Ragged) else first
        raise ValueError(
            f"What the network gives for row {row} of X is not finite: the row is out of the range in which the "
            "network can compute. Expected numbers of about the size of those in fit: scale the row as these were, "
            "or leave it out."
        )


def refuse_lost_tokens(rows: Any, sequences: EncodedSequences, name: str, tokenizer: str) -> None:
    """Raise an error if tokens have no id of their own: labels of steps would be those of other tokens."""
    if not isinstance(rows, list):
        return
    n_tokens = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
    if (n_tokens != sequences.lengths).any():
        row = int(np.argmax(n_tokens != sequences.lengths))
        raise ValueError(
            f"The tokenizer, {tokenizer}, has made {sequences.lengths[row]} ids of the {n_tokens[row]} tokens in "
            f"row {row} of {name}: expected one for each. Use a tokenizer that drops no token, without max_length."
        )
