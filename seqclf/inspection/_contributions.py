"""`Contributions`: how much each token of a text, or each value of a series, contributed to an output."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False, kw_only=True)
class Contributions:
    """The contributions of one row of X to one output of a model, as `token_contributions` returns them.

    Parameters
    ----------
    tokens : list of str or None
        The tokens that the model read, as its tokenizer spells them; ids as digits. None for a series.
    contributions : ndarray of shape (n_tokens,) or (n_steps, n_channels), float64
        How much each of them raised the output; negative values lowered it.
    spans : ndarray of shape (n_tokens, 2) or None
        The start and the stop of each token in the text as given; None if X does not hold texts.
    target : object
        What was explained: a class, a label, the index of a number, or a pair (step, class) of a tagger.
    output : float
        The output for this row: a logit, or a number in the units of y.
    baseline : float
        The output from which the contributions count; NaN if there is none.

    Attributes
    ----------
    error : float
        What is missing from the sum: ``output - baseline - contributions.sum()``.

    See Also
    --------
    token_contributions : Computes them.

    Examples
    --------
    >>> import numpy as np
    >>> values = np.array([0.5, 1.0])
    >>> found = Contributions(
    ...     tokens=["not", "bad"], contributions=values, spans=None, target="praise", output=1.25, baseline=-0.25
    ... )
    >>> found.error
    0.0
    """

    tokens: Any
    contributions: NDArray[np.float64]
    spans: NDArray[np.int64] | None
    target: Any
    output: float
    baseline: float

    @property
    def error(self) -> float:
        """What is missing: ``output - baseline - contributions.sum()``.

        With ``method="integrated_gradients"`` it is the error of the integration. With "leave_out" it is no error: the
        contributions of tokens that act together, or that replace each other, do not add up.
        """
        return float(self.output - self.baseline - self.contributions.sum())
