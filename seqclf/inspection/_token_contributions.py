"""`token_contributions`: how much each token of a text, or each value of a series, contributed to an output."""

from typing import Any, Literal

import numpy as np

from seqclf._data.ragged import Ragged
from seqclf._validation.containers import shorten
from seqclf.inspection._contributions import Contributions
from seqclf.inspection._explained_model import ExplainedModel
from seqclf.inspection._leave_out import leave_out
from seqclf.inspection._target import choose_targets

Method = Literal["integrated_gradients", "leave_out"]
_MAX_N_STEPS = 10_000


def token_contributions(
    model: Any,
    X: Any,
    *,
    target: Any = None,
    method: Method = "integrated_gradients",
    n_steps: int = 64,
) -> list[Contributions]:
    """Compute how much each token contributed to an output of a model.

    Parameters
    ----------
    model : estimator or Predictor
        A fitted estimator of this package, or a predictor of :func:`~seqclf.load_predictor` with
        ``method="leave_out"``.
    X : array-like
        The rows to explain: texts, lists of tokens, token ids or series, as in `predict`.
    target : object, default=None
        The class or label to explain; the index of one of several numbers; for a tagger a step, or (step, class). None
        is the most probable class of each row, or the only number.
    method : {"integrated_gradients", "leave_out"}, default="integrated_gradients"
        "leave_out" is exact and works with predictors, but predicts a row once for each of its tokens, and its
        contributions do not add up. Models of series need it if they have a linear model.
    n_steps : int, default=64
        The number of points at which gradients are computed; the time grows in proportion. It is doubled, up to four
        times, if the contributions do not add up.

    Returns
    -------
    list of Contributions
        For each row its tokens with their contributions, the target, its output and the baseline.

    Raises
    ------
    ValueError
        If X is not of the kind seen in fit, the model has no such target, a parameter is out of range, or
        `method` cannot be used for the model.
    TypeError
        If `model` is not a fitted model of this package.

    Notes
    -----
    The output is what `decision_function` returns for the class: with two classes, the logit of the class that is
    explained, so it is above 0 if this class is predicted. For a number it is the prediction before it is clipped to
    the range of y.

    Integrated gradients [1]_ add up: the contributions of a text are ``output - baseline``, up to `error`, and the
    baseline is the output of an empty text. They are the sum of three parts. (1) The linear model of ``wide=True``
    contributes the weight times the value of each feature, divided equally among the occurrences of the feature, and
    for each occurrence among the tokens of the n-gram. (2) The network contributes gradients along a straight line from
    unknown tokens without n-gram features to the text; the value of an n-gram is divided equally among its tokens.
    (3) The difference between a text of unknown tokens and an empty text is divided equally among all tokens. In a
    tagger there is no output without tokens, so there is no third part: the baseline is the output for unknown
    tokens.

    "leave_out" is the output minus the output without a token. If two tokens say the same, the model needs only one of
    them, so both contribute little. If a step of a tagger is explained, its own token is not left out, but replaced by
    the unknown token. In a series, windows of a twelfth of the steps are replaced by a straight line, channel by
    channel; the effect of a window is divided equally among its steps, and a step gets the mean over its windows. So
    single steps are not resolved, and trends and levels do not contribute.

    For a series, the baseline of integrated gradients is the output for the channel means in fit (zeros with
    ``scale=False``).

    References
    ----------
    .. [1] M. Sundararajan, A. Taly, Q. Yan, "Axiomatic attribution for deep networks", ICML 2017.

    Examples
    --------
    >>> from seqclf import RNNTextClassifier
    >>> from seqclf.inspection import token_contributions
    >>> texts, labels = ["a good film", "a bad film"] * 20, ["praise", "blame"] * 20
    >>> classifier = RNNTextClassifier(units=8, batch_size=8, random_state=0).fit(texts, labels)
    >>> found = token_contributions(classifier, ["a good film"])[0]
    >>> found.target, found.tokens, found.tokens[found.contributions.argmax()]
    ('praise', ['a', 'good', 'film'], 'good')
    >>> bool(abs(found.error) < 0.01)
    True
    """
    return explain(ExplainedModel(model, X), target, method, n_steps)


def explain(explained: ExplainedModel, target: Any, method: Method, n_steps: int) -> list[Contributions]:
    """The contributions of the rows of a model; arguments as in :func:`token_contributions`."""
    _check_parameters(method, n_steps)
    if method == "integrated_gradients":
        _check_has_gradients(explained)
    outputs = explained.outputs(explained.sequences)
    targets = choose_targets(explained.task, target, outputs)
    rows = outputs.items() if isinstance(outputs, Ragged) else outputs
    values = [each.value(row) for each, row in zip(targets, rows, strict=True)]
    if method == "leave_out":
        found = leave_out(explained, targets, values)
    else:
        from seqclf.inspection._integrated_outputs import integrate  # This imports torch.

        found = integrate(explained, targets, values, int(n_steps))
    tokens, spans = explained.tokens(), explained.spans()
    return [
        Contributions(
            tokens=tokens[row],
            contributions=contributions,
            spans=spans[row],
            target=targets[row].name,
            output=values[row],
            baseline=baseline,
        )
        for row, (contributions, baseline) in enumerate(found)
    ]


def _check_parameters(method: Any, n_steps: Any) -> None:
    if not isinstance(method, str) or method not in ("integrated_gradients", "leave_out"):
        raise ValueError(f"method={shorten(method)}, expected 'integrated_gradients' or 'leave_out'.")
    is_integer = isinstance(n_steps, int | np.integer) and not isinstance(n_steps, bool)
    if not is_integer or not 1 <= n_steps <= _MAX_N_STEPS:
        raise ValueError(f"n_steps={shorten(n_steps)}, expected an integer from 1 to {_MAX_N_STEPS}.")


def _check_has_gradients(explained: ExplainedModel) -> None:
    if explained.estimator is None:
        raise ValueError(
            "method='integrated_gradients' needs the estimator: load it by load_model, or use method='leave_out', "
            "which works with a predictor too."
        )
    if explained.reads_series and explained.features is not None:
        raise ValueError(
            "method='integrated_gradients' needs gradients, but this model has a linear model of random convolutions, "
            "whose features are counts. Use method='leave_out', or fit the model with wide=False."
        )
