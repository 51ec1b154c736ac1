"""`make_order_reviews` and `make_order_series`: small sets in which nothing but the order tells the classes apart.

Samples come in pairs, one of each class, and both of a pair are made of exactly the same pieces. Whatever doesn't look
at the order (a bag of words, a mean, a histogram) gives both the same answer, so it is right for exactly one of them.
"""

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import Bunch, check_random_state

# No punctuation and no capitals, which would mark the beginning or the end.
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

_MIN_STEPS = 8  # a bump has a quarter of the steps, and below two there is no bump


def make_order_reviews(
    n_samples: int = 400,
    *,
    noise_words: int = 4,
    random_state: int | np.random.RandomState | None = None,
    return_X_y: bool = True,
) -> Any:
    """Make short reviews whose last opinion counts: "bad but i recommend it" against "i recommend it but bad".

    Texts come in pairs, one of each class, with exactly the same words: no model that only counts words can be right
    on more than one of a pair.

    Parameters
    ----------
    n_samples : int, default=400
        The number of texts, an even number since they come in pairs.
    noise_words : int, default=4
        The most words without meaning that stand before the first opinion and, drawn anew, after the last one. More
        of them ask for a longer memory. 0 for none.
    random_state : int, RandomState instance or None, default=None
        Pass an int for the same texts each time.
    return_X_y : bool, default=True
        If False, return a Bunch, which has the pairs too.

    Returns
    -------
    (data, target) : tuple
        The texts, a list of str, and their classes, an array of int: 1 if the last opinion is positive, else 0.
    data : Bunch if `return_X_y` is False
        With the fields `data` and `target` as above, `target_names`, and `groups`: the number of the pair that each
        text belongs to. Give it to a splitter such as :class:`~sklearn.model_selection.GroupKFold`, so that no pair
        is torn apart.

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
    """Make series with a peak and a trough, classed by which of the two comes first.

    Series come in pairs, one of each class, with exactly the same values in another order: mean, spread and histogram
    say nothing about the class.

    Parameters
    ----------
    n_samples : int, default=200
        The number of series, an even number since they come in pairs.
    n_steps : int or tuple of (int, int), default=(20, 40)
        The length of all series, or the shortest and the longest, from 8 on. Each of the bumps takes a quarter.
    n_channels : int, default=1
        The number of channels. The bumps are in each of them, under noise of its own.
    noise : float, default=0.1
        The standard deviation of the noise; the bumps are 1 high.
    random_state : int, RandomState instance or None, default=None
        Pass an int for the same series each time.
    return_X_y : bool, default=True
        If False, return a Bunch, which has the pairs too.

    Returns
    -------
    (data, target) : tuple
        The series: an array of shape (n_samples, n_steps, n_channels) if `n_steps` is an int, else a list of arrays of
        shape (steps, n_channels). And their classes, an array of int: 0 if the trough comes first, 1 if the peak does.
    data : Bunch if `return_X_y` is False
        With the fields `data` and `target` as above, `target_names`, and `groups`: the number of the pair that each
        series belongs to. Give it to a splitter such as :class:`~sklearn.model_selection.GroupKFold`, so that no pair
        is torn apart.

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
    shortest, longest = n_steps if isinstance(n_steps, tuple) else (n_steps, n_steps)
    _check_integer("n_samples", n_samples, minimum=2, even=True)
    _check_integer("n_steps", shortest, minimum=_MIN_STEPS)
    _check_integer("n_steps", longest, minimum=shortest)
    _check_integer("n_channels", n_channels, minimum=1)
    if not 0 <= noise < np.inf:
        raise ValueError(f"noise must be a finite number from 0 on, got {noise!r} instead.")
    rng = check_random_state(random_state)

    data: list[np.ndarray] = []
    for _ in range(n_samples // 2):
        steps = rng.randint(shortest, longest + 1)
        width = steps // 4
        first = rng.randint(steps - 2 * width + 1)
        second = rng.randint(first + width, steps - width + 1)
        bump = np.hanning(width + 2)[1:-1, np.newaxis]  # without the zeros at both ends
        peak_first = rng.normal(scale=noise, size=(steps, n_channels))
        peak_first[first : first + width] += bump
        peak_first[second : second + width] -= bump
        # The noise moves along with the bumps, so that the values of the two series are the same to the last bit.
        trough_first = peak_first.copy()
        trough_first[first : first + width] = peak_first[second : second + width]
        trough_first[second : second + width] = peak_first[first : first + width]
        data += [trough_first, peak_first]

    order = rng.permutation(n_samples)
    shuffled = [data[index] for index in order]
    ragged = isinstance(n_steps, tuple)
    return _pack(shuffled if ragged else np.stack(shuffled), order, ["trough first", "peak first"], return_X_y)


def _check_integer(name: str, value: int, *, minimum: int, even: bool = False) -> None:
    valid = isinstance(value, Integral) and not isinstance(value, bool) and value >= minimum
    if not valid or (even and value % 2):
        kind = "an even integer" if even else "an integer"
        raise ValueError(f"{name} must be {kind} from {minimum} on, got {value!r} instead.")


def _pack(
    data: list[str] | list[np.ndarray] | np.ndarray, order: np.ndarray, target_names: list[str], return_X_y: bool
) -> Any:
    """Class and pair follow from the place before shuffling: pairs stand together, class 0 first."""
    target, groups = (order % 2).astype(np.int64), (order // 2).astype(np.int64)
    if return_X_y:
        return data, target
    return Bunch(data=data, target=target, target_names=target_names, groups=groups)
