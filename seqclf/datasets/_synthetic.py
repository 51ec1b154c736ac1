"""`make_order_reviews` and `make_order_series`: small data sets whose classes differ only in the order.

Samples come in pairs, one of each class, and both samples of a pair consist of exactly the same pieces. A model that
ignores the order (a bag of words, a mean, a histogram) predicts the same class for both, so it is right for exactly one
of them.
"""

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import Bunch, check_random_state

# Without punctuation and capitals, which would mark the beginning or the end.
_POSITIVE = [
    "i recommend it",
    "great",
    "the acting is superb",
    "i loved the music",
    "funny",
    "a beautiful story",
    "well worth the evening",
    "brilliant",
]
_NEGATIVE = [
    "i regret it",
    "bad",
    "the plot is dull",
    "i hated the ending",
    "boring",
    "an awful script",
    "too long by an hour",
    "terrible",
]
_NOISE = "we saw this film last week with friends at home on sunday after dinner my sister chose from her list".split()

_MIN_STEPS = 8  # a bump has a quarter of the steps, and at least two


def make_order_reviews(
    n_samples: int = 400,
    *,
    noise_words: int = 4,
    random_state: int | np.random.RandomState | None = None,
    return_X_y: bool = True,
) -> Any:
    """Make short reviews whose last opinion decides: "bad but i recommend it" against "i recommend it but bad".

    Texts come in pairs, one text of each class, with exactly the same words: a model that only counts words is right
    for exactly one text of each pair.

    Parameters
    ----------
    n_samples : int, default=400
        The number of texts; it must be even, because they come in pairs.
    noise_words : int, default=4
        The maximum number of meaningless words before the first opinion and, drawn separately, after the last one. The
        more there are, the more steps a model has to bridge. 0 means none.
    random_state : int, RandomState instance or None, default=None
        Pass an int for reproducible texts.
    return_X_y : bool, default=True
        If False, return a Bunch, which also has the index of the pair of each sample.

    Returns
    -------
    (data, target) : tuple
        The texts, a list of str, and their classes, an array of int: 1 if the last opinion is positive, else 0.
    data : Bunch if `return_X_y` is False
        With the fields `data` and `target` as above, `target_names`, and `groups`: the index of the pair of each text.
        Pass `groups` to a splitter such as :class:`~sklearn.model_selection.GroupKFold`, so that both members of a pair
        are on the same side of a split.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    Examples
    --------
    >>> from seqclf.datasets import make_order_reviews
    >>> X, y = make_order_reviews(2, noise_words=0, random_state=0)
    >>> for text, label in zip(X, y):
    ...     print(label, text)
    0 funny but terrible
    1 terrible but funny
    """
    _check_integer("n_samples", n_samples, minimum=2, even=True)
    _check_integer("noise_words", noise_words, minimum=0)
    rng = check_random_state(random_state)

    data = []
    for _ in range(n_samples // 2):
        positive, negative = rng.choice(_POSITIVE), rng.choice(_NEGATIVE)
        before, after = (rng.choice(_NOISE, size=rng.randint(noise_words + 1)) for _ in range(2))
        for first, last in ((positive, negative), (negative, positive)):
            data.append(" ".join([*before, first, "but", last, *after]))

    order = rng.permutation(n_samples)
    return _pack([data[index] for index in order], order, ["negative", "positive"], return_X_y)


def make_order_series(
    n_samples: int = 200,
    *,
    n_steps: int | tuple[int, int] = (20, 40),
    n_channels: int = 1,
    noise: float = 0.1,
    random_state: int | np.random.RandomState | None = None,
    return_X_y: bool = True,
) -> Any:
    """Make series with a peak and a trough; the class is which of the two comes first.

    Series come in pairs, one series of each class, with exactly the same values in a different order: mean, standard
    deviation and histogram carry no information about the class.

    Parameters
    ----------
    n_samples : int, default=200
        The number of series; it must be even, because they come in pairs.
    n_steps : int or tuple of (int, int), default=(20, 40)
        The number of steps of all series, or the minimum and maximum number; at least 8. The peak and the trough each
        take a quarter of the steps.
    n_channels : int, default=1
        The number of channels. Each channel has the peak and the trough, with independent noise.
    noise : float, default=0.1
        The standard deviation of the noise; peak and trough have a height of 1.
    random_state : int, RandomState instance or None, default=None
        Pass an int for reproducible series.
    return_X_y : bool, default=True
        If False, return a Bunch, which also has the index of the pair of each sample.

    Returns
    -------
    (data, target) : tuple
        The series, an array of shape (n_samples, n_steps, n_channels) if `n_steps` is an int, else a list of arrays of
        shape (steps, n_channels); and their classes, an array of int: 0 if the trough comes first, 1 if the peak does.
    data : Bunch if `return_X_y` is False
        With the fields `data` and `target` as above, `target_names`, and `groups`: the index of the pair of each
        series. Pass `groups` to a splitter such as :class:`~sklearn.model_selection.GroupKFold`, so that both members
        of a pair are on the same side of a split.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    Examples
    --------
    >>> from seqclf.datasets import make_order_series
    >>> X, y = make_order_series(10, n_steps=24, n_channels=2, random_state=0)
    >>> X.shape
    (10, 24, 2)
    >>> X, y = make_order_series(10, n_steps=(20, 40), random_state=0)
    >>> all(20 <= len(series) <= 40 for series in X)
    True
    """
    min_steps, max_steps = n_steps if isinstance(n_steps, tuple) else (n_steps, n_steps)
    _check_integer("n_samples", n_samples, minimum=2, even=True)
    _check_integer("n_steps", min_steps, minimum=_MIN_STEPS)
    _check_integer("n_steps", max_steps, minimum=min_steps)
    _check_integer("n_channels", n_channels, minimum=1)
    if not (isinstance(noise, Real) and 0 <= noise < np.inf):
        raise ValueError(f"noise must be a finite number >= 0. Got {noise!r} instead.")
    rng = check_random_state(random_state)

    data: list[np.ndarray] = []
    for _ in range(n_samples // 2):
        steps = rng.randint(min_steps, max_steps + 1)
        width = steps // 4
        first = rng.randint(steps - 2 * width + 1)
        second = rng.randint(first + width, steps - width + 1)
        bump = np.hanning(width + 2)[1:-1, np.newaxis]  # without the zeros at both ends
        peak_first = rng.normal(scale=noise, size=(steps, n_channels))
        peak_first[first : first + width] += bump
        peak_first[second : second + width] -= bump
        # The noise is moved together with the bumps, so that both series have exactly the same values.
        trough_first = peak_first.copy()
        trough_first[first : first + width] = peak_first[second : second + width]
        trough_first[second : second + width] = peak_first[first : first + width]
        data += [trough_first, peak_first]

    order = rng.permutation(n_samples)
    shuffled = [data[index] for index in order]
    ragged = isinstance(n_steps, tuple)
    return _pack(shuffled if ragged else np.stack(shuffled), order, ["trough first", "peak first"], return_X_y)


def _check_integer(name: str, value: int, *, minimum: int, even: bool = False) -> None:
    is_valid = isinstance(value, Integral) and not isinstance(value, bool) and value >= minimum
    if not is_valid or (even and value % 2):
        kind = "an even integer" if even else "an integer"
        raise ValueError(f"{name} must be {kind} >= {minimum}. Got {value!r} instead.")


def _pack(
    data: list[str] | list[np.ndarray] | np.ndarray, order: np.ndarray, target_names: list[str], return_X_y: bool
) -> Any:
    """Compute class and pair from the index before shuffling, where pairs are adjacent and class 0 is first."""
    target, groups = (order % 2).astype(np.int64), (order // 2).astype(np.int64)
    if return_X_y:
        return data, target
    return Bunch(data=data, target=target, target_names=target_names, groups=groups)
