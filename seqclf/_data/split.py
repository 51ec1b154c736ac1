"""The rows that early stopping watches, taken from the training rows."""

from typing import NamedTuple

import numpy as np

from seqclf._warn import warn

# The best of several draws of whole groups is taken: of many draws where few groups make the choice hard.
MIN_DRAWS, MAX_DRAWS, DRAWN_GROUPS = 2, 20, 4_000


class Strata(NamedTuple):
    """Kinds of rows, each of which both parts of a split should hold."""

    of_rows: np.ndarray  # (n_samples,), numbers from 0 without a gap
    one: str  # what a message calls one of them, and several
    several: str
    needed: bool = True  # whether there is no split where they don't allow one; else rows are then alike


def all_alike(n_rows: int) -> Strata:
    """A single stratum."""
    return Strata(np.zeros(n_rows, dtype=np.int64), "row", "rows")


def validation_rows(
    strata: Strata, fraction: float, rng: "np.random.RandomState", groups: np.ndarray | None = None
) -> np.ndarray | None:
    """Rows held out for validation, in the proportions of the strata, every one with two rows or more among them.

    A stratum with a single row stays in training. Where the fraction is too small to hold a row of every stratum there
    is no split, and a warning says so.

    With `groups`, whole groups are held out, at least one. Every stratum stays in training; with that settled, as many
    strata as possible are in validation; and with that settled, the shares held out of all rows and of each stratum
    come near to `fraction`. Where no group can be held out there is no split, and a warning says so.

    (scikit-learn's splitters do half of this each: GroupShuffleSplit counts groups, not rows, and has no strata;
    StratifiedGroupKFold makes shares of 1/k only, and may leave a stratum without a row to train on.)

    Parameters
    ----------
    strata : Strata
        What each row belongs to.
    fraction : float
        Share of the rows to hold out.
    rng : RandomState
        Draws the rows.
    groups : ndarray of shape (n_samples,), default=None
        Group numbers from 0, without a gap.

    Returns
    -------
    ndarray of int or None
        Sorted row numbers.
    """
    if groups is not None:
        return _rows_of_groups(strata, fraction, rng, groups)
    n_held_out = round(fraction * len(strata.of_rows))
    counts = np.bincount(strata.of_rows)
    splittable = np.flatnonzero(counts >= 2)
    if not 0 < len(splittable) <= n_held_out:
        if not strata.needed:
            return validation_rows(all_alike(len(strata.of_rows)), fraction, rng)
        of_each = f"a row of each of {len(counts)} {strata.several}" if len(counts) > 1 else "a single row"
        warn(
            f"validation_fraction={fraction!r} of {len(strata.of_rows)} rows can't hold {of_each}: there is no "
            "validation split, and early stopping watches the training loss. Raise validation_fraction, or set "
            "patience=None."
        )
        return None
    held_out = []
    for stratum in splittable:
        size = min(max(round(fraction * counts[stratum]), 1), counts[stratum] - 1)
        held_out.append(rng.permutation(np.flatnonzero(strata.of_rows == stratum))[:size])
    return np.sort(np.concatenate(held_out))


def _rows_of_groups(
    strata: Strata, fraction: float, rng: "np.random.RandomState", groups: np.ndarray
) -> np.ndarray | None:
    table = _GroupTable(strata.of_rows, groups, fraction)
    n_draws = min(max(DRAWN_GROUPS // table.n_groups, MIN_DRAWS), MAX_DRAWS)
    draws = [table.draw(rng.permutation(table.n_groups)) for _ in range(n_draws)]
    _, held_out = min(draws, key=lambda draw: draw[0])
    if not held_out.any():
        if not strata.needed:
            return _rows_of_groups(all_alike(len(groups)), fraction, rng, groups)
        warn(
            f"None of the {table.n_groups} groups can be held out, since a {strata.one} would be left without a row to "
            "train on: there is no validation split, and early stopping watches the training loss. Give X_val, or set "
            "patience=None."
        )
        return None
    return np.flatnonzero(held_out[groups])


class _GroupTable:
    """How many rows of which stratum each group has, and how well a set of groups would do as validation data."""

    def __init__(self, strata: np.ndarray, groups: np.ndarray, fraction: float):
        self.fraction = fraction
        self.sizes = np.bincount(strata)
        self.n_groups = int(groups.max()) + 1
        n_strata = len(self.sizes)
        pairs, counts = np.unique(groups * n_strata + strata, return_counts=True)
        starts = np.searchsorted(pairs, np.arange(1, self.n_groups) * n_strata)
        # group -> the strata in it, and how many rows of each
        self.strata_in, self.counts_in = np.split(pairs % n_strata, starts), np.split(counts, starts)

    def draw(self, order: np.ndarray) -> tuple[tuple[int, float], np.ndarray]:
        """The misfit of a set of groups, and the set as a mask.

        From an empty set on, groups are tried in `order`, again and again, until none improves it by coming or leaving.
        """
        held_out = np.zeros(self.n_groups, dtype=bool)
        held = np.zeros(len(self.sizes), dtype=np.int64)  # rows held out of each stratum
        best = self.misfit(held)
        improved = True
        while improved:
            improved = False
            for group in order:
                after = held.copy()
                after[self.strata_in[group]] += -self.counts_in[group] if held_out[group] else self.counts_in[group]
                if (after == self.sizes).any():  # a stratum without a row to train on
                    continue
                missing, distance = self.misfit(after)
                if (missing, distance + 1e-12) < best:
                    best, held, improved = (missing, distance), after, True
                    held_out[group] = not held_out[group]
        return best, held_out

    def misfit(self, held: np.ndarray) -> tuple[int, float]:
        """How many strata are not held out, and how far the shares held out are from the fraction."""
        rows = held.sum() / self.sizes.sum() - self.fraction
        of_strata = held / self.sizes - self.fraction
        return int(np.count_nonzero(held == 0)), float(rows**2 + np.mean(of_strata**2))
