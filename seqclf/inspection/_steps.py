"""The steps of one sequence as a reader knows them: the tokens of a text, or the values of a series."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqclf._base import BaseRNN
from seqclf._data.ragged import Ragged
from seqclf._inputs.text_encoder import TextEncoder
from seqclf._validation.texts import UNKNOWN


class Steps(NamedTuple):
    """The steps of one sequence, of which there are tokens or values.

    Parameters
    ----------
    tokens : list of str or None
        The token of each step; one outside the vocabulary, which the network reads as unknown, is in parentheses.
    values : ndarray of shape (n_steps, n_channels) or None
        The values of each step, before scaling.
    channel_names : list of str or None
        The names of the channels, if they have names.
    """

    tokens: list[str] | None = None
    values: NDArray[np.float64] | None = None
    channel_names: list[str] | None = None


def as_X(fitted: BaseRNN, X_row: Any) -> Any:
    """One row as the X of a prediction; after a fit on a table it is a table, otherwise a list."""
    if not hasattr(fitted, "n_features_in_"):
        return [X_row]
    if hasattr(X_row, "to_frame"):  # a row of a frame, whose names are those of the columns
        return X_row.to_frame().T
    return X_row if np.ndim(X_row) == 2 else np.asarray(X_row)[None]


def steps_of(fitted: BaseRNN, X: Any) -> Steps:
    """The steps of the first row of X that the network of a fitted estimator processes."""
    rows = fitted._validate_X(X, reset=False, name="X_row")
    if len(rows) != 1:
        raise ValueError(f"X_row must be one row of X; got {len(rows)} rows.")
    encoder: Any = fitted._encoder()
    if not isinstance(encoder, TextEncoder):
        assert isinstance(rows, Ragged)
        names = encoder.form.channel_names
        return Steps(values=rows.values, channel_names=None if names is None else list(names))
    if isinstance(rows, Ragged):
        return Steps(_names_of_ids(rows, encoder.replace_unknown(rows)))
    if encoder.vocabulary is None:  # of a tokenizer of another class, whose tokens have no known names
        ids = fitted._encode(rows).steps
        return Steps([str(token_id) for token_id in ids.values.tolist()])
    ids, new_tokens = encoder.vocabulary.to_ids(rows)
    names = [*encoder.vocabulary.tokens, *(f"({token})" for token in new_tokens)]
    return Steps([names[token_id] for token_id in ids.values.tolist()])


def _names_of_ids(ids: Ragged, known: Ragged) -> list[str]:
    """The ids themselves; those that the network reads as unknown are in parentheses."""
    pairs = zip(ids.values.tolist(), known.values.tolist(), strict=True)
    return [f"({given})" if network_id == UNKNOWN and given != UNKNOWN else str(given) for given, network_id in pairs]
