"""The rows that early stopping watches, taken from the training rows."""

import warnings

import numpy as np


def validation_rows(codes: np.ndarray, fraction: float, rng: np.random.RandomState) -> np.ndarray | None:
    """Rows held out for validation, in the proportions of the classes, every class with two rows or more among them.

    A class with a single row stays in training. Where the fraction is too small to hold a row of every class there is
    no split, and a warning says so.

    Parameters
    ----------
    codes : ndarray of shape (n_samples,)
        Class codes from 0.
    fraction : float
        Share of the rows to hold out.
    rng : RandomState
        Draws the rows.

    Returns
    -------
    ndarray of int or None
        Sorted row numbers.
    """
    counts = np.bincount(codes)
    splittable = np.flatnonzero(counts >= 2)
    n_held_out = round(fraction * len(codes))
    if not len(splittable) or n_held_out < len(splittable):
        warnings.warn(
            f"validation_fraction={fraction!r} of {len(codes)} rows can't hold a row of each of {len(counts)} classes: "
            "there is no validation split, and early stopping watches the training loss. Raise validation_fraction, "
            "or set patience=None.",
            UserWarning,
            stacklevel=2,
        )
        return None
    held_out = []
    for code in splittable:
        size = min(max(round(fraction * counts[code]), 1), counts[code] - 1)
        held_out.append(rng.permutation(np.flatnonzero(codes == code))[:size])
    return np.sort(np.concatenate(held_out))
