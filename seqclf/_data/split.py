"""Split of the training rows: draws the validation set for early stopping."""

from typing import NamedTuple

import numpy as np

from seqclf._warn import warn

# The best of several draws of groups is used. Few groups are hard to balance, so they get more draws: DRAWN_GROUPS
# divided by their number, within these limits.
MIN_DRAWS, MAX_DRAWS, DRAWN_GROUPS = 2, 20, 4_000


class Strata(NamedTuple):
    """The strata of rows. Each stratum should occur on both sides of a split."""

    of_rows: np.ndarray  # (n_samples,), the stratum of each row, from 0 without gaps
    one: str  # singular and plural of what messages call a stratum
    several: str
    needed: bool = True  # if the strata prevent a split: True means that there is none, False that they are ignored


def single_stratum(n_rows: int) -> Strata:
    """A single stratum with all rows."""
    return Strata(np.zeros(n_rows, dtype=np.int64), "row", "rows")


def validation_rows(
    strata: Strata, fraction: float, rng: "np.random.RandomState", groups: np.ndarray | None = None
) -> np.ndarray | None:
    """Draw the validation set, stratified, with every stratum of two or more rows in it.

    A stratum with a single row is used for training. If the fraction is too small for a row of every stratum there is
    no split, and a warning says so.

    With `groups`, whole groups are held out, at least one. First, every stratum keeps a row in training; second, as
    many strata as possible are in the validation set; third, the fractions held out of all rows and of each stratum
    are close to `fraction`. If no group can be held out there is no split, and a warning says so.

    (Neither of scikit-learn's splitters does all of this: GroupShuffleSplit counts groups instead of rows, and has no
    strata; StratifiedGroupKFold holds out fractions of 1/k only, and can leave a stratum without a training row.)

    Parameters
    ----------
    strata : Strata
        The stratum of each row.
    fraction : float
        Fraction of the rows to hold out.
    rng : RandomState
        Source of randomness.
    groups : ndarray of shape (n_samples,), default=None
        The group of each row, from 0 without gaps.

    Returns
    -------
    ndarray of int or None
        The row indices, sorted; None if there is no split.
    """
    if groups is not None:
        return _rows_of_groups(strata, fraction, rng, groups)
    n_held_out = round(fraction * len(strata.of_rows))
    counts = np.bincount(strata.of_rows)
    splittable = np.flatnonzero(counts >= 2)
    if not 0 < len(splittable) <= n_held_out:
        if not strata.needed:
            return validation_rows(single_stratum(len(strata.of_rows)), fraction, rng)
        needed_rows = f"a row of each of {len(counts)} {strata.several}" if len(counts) > 1 else "a single row"
        warn(
            f"validation_fraction={fraction!r} of {len(strata.of_rows)} rows is too small to hold {needed_rows}: there "
            "is no validation split, and early stopping watches the training loss. Raise validation_fraction, or set "
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
    counts = _GroupCounts(strata.of_rows, groups, fraction)
    n_draws = min(max(DRAWN_GROUPS // counts.n_groups, MIN_DRAWS), MAX_DRAWS)
    draws = [counts.draw(rng.permutation(counts.n_groups)) for _ in range(n_draws)]
    _, held_out = min(draws, key=lambda draw: draw[0])
    if not held_out.any():
        if not strata.needed:
            return _rows_of_groups(single_stratum(len(groups)), fraction, rng, groups)
        warn(
            f"None of the {counts.n_groups} groups can be held out, because a {strata.one} would then have no training "
            "row: there is no validation split, and early stopping watches the training loss. Pass X_val, or set "
            "patience=None."
        )
        return None
    return np.flatnonzero(held_out[groups])


class _GroupCounts:
    """The number of rows of each stratum in each group, and a score for sets of groups as validation sets."""

    def __init__(self, strata: np.ndarray, groups: np.ndarray, fraction: float):
        self.fraction = fraction
        self.sizes = np.bincount(strata)
        self.n_groups = int(groups.max()) + 1
        n_strata = len(self.sizes)
        pairs, counts = np.unique(groups * n_strata + strata, return_counts=True)
        starts = np.searchsorted(pairs, np.arange(1, self.n_groups) * n_strata)
        # for each group: its strata, and the number of rows of each
        self.strata_in, self.counts_in = np.split(pairs % n_strata, starts), np.split(counts, starts)

    def draw(self, order: np.ndarray) -> tuple[tuple[int, float], np.ndarray]:
        """The misfit of a set of groups, and the set as a mask.

        Local search: starting with the empty set, groups are added or removed in `order`, in repeated passes, until
        no change of a single group improves the misfit.
        """
        held_out = np.zeros(self.n_groups, dtype=bool)
        n_held_out = np.zeros(len(self.sizes), dtype=np.int64)  # rows of each stratum
        best = self.misfit(n_held_out)
        improved = True
        while improved:
            improved = False
            for group in order:
                after = n_held_out.copy()
                after[self.strata_in[group]] += -self.counts_in[group] if held_out[group] else self.counts_in[group]
                if (after == self.sizes).any():  # a stratum without a training row
                    continue
                missing, distance = self.misfit(after)
                if (missing, distance + 1e-12) < best:
                    best, n_held_out, improved = (missing, distance), after, True
                    held_out[group] = not held_out[group]
        return best, held_out

    def misfit(self, n_held_out: np.ndarray) -> tuple[int, float]:
        """The number of strata without a held-out row, and the squared error of the held-out fractions."""
        error = n_held_out.sum() / self.sizes.sum() - self.fraction
        stratum_errors = n_held_out / self.sizes - self.fraction
        return int(np.count_nonzero(n_held_out == 0)), float(error**2 + np.mean(stratum_errors**2))
