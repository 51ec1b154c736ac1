"""Contributions to the outputs of whole models: integrated gradients of the network, and those of the linear model."""

import numpy as np
from numpy.typing import NDArray

from seqclf._label_features.tag_label_features import TagLabelFeatures
from seqclf._label_features.text_label_features import TextLabelFeatures
from seqclf.inspection._explained_model import ExplainedModel
from seqclf.inspection._integrated_gradients import Accuracy, IntegratedGradients
from seqclf.inspection._target import Target
from seqclf.inspection._wide_half import divide_context_scores, divide_ngram_values, wide_contributions

Floats = NDArray[np.float64]
# The error of an integral may be this large, or this large relative to the difference that is explained.
_TOLERANCE = 0.004


def integrate(
    model: ExplainedModel, targets: list[Target], outputs: list[float], n_nodes: int
) -> list[tuple[Floats, float]]:
    """The contributions and the baseline of each row, from the target of each row and its output."""
    gradients = IntegratedGradients(model.estimator)
    if model.reads_series:
        return [_of_series(model, gradients, row, target, n_nodes) for row, target in enumerate(targets)]
    if model.task.per_step:
        return [_of_tagged_tokens(model, gradients, row, target, n_nodes) for row, target in enumerate(targets)]
    found, empty = [], model.baseline_outputs()
    for row, (target, output) in enumerate(zip(targets, outputs, strict=True)):
        baseline = target.value(empty)
        tolerance = _TOLERANCE * max(abs(output - baseline) / (abs(target.scale) or 1.0), 1.0)
        contributions = _of_text(model, gradients, row, target, Accuracy(n_nodes, tolerance))
        found.append((target.scale * contributions, baseline))
    return found


def _of_text(
    model: ExplainedModel, gradients: IntegratedGradients, row: int, target: Target, accuracy: Accuracy
) -> Floats:
    """The contributions of the tokens of a text to an output of the network, (n_tokens,)."""
    sequence, features = model.row(row), model.features
    n_tokens = sequence.steps.n_steps
    if not n_tokens:
        return np.empty(0)
    encoded = sequence if features is None else features.transform(sequence)
    integral = gradients.of_tokens(encoded.steps.values, encoded.step_features, target, accuracy)
    unknown_tokens = integral.first - gradients.bias[target.position]
    contributions = integral.of_ids + unknown_tokens / n_tokens
    if features is None:
        return contributions
    assert isinstance(features, TextLabelFeatures)
    n_orders = 0 if features.of_ngrams is None else features.of_ngrams.n_orders
    for order, values in enumerate(np.split(integral.of_values, max(n_orders, 1), axis=1), 1):
        contributions += divide_ngram_values(values.sum(axis=1), order)
    if gradients.score_weights is not None:
        weight = gradients.score_weights[target.position]
        contributions += weight * wide_contributions(features, sequence, target.position)
    return contributions


def _of_tagged_tokens(
    model: ExplainedModel, gradients: IntegratedGradients, row: int, target: Target, n_nodes: int
) -> tuple[Floats, float]:
    """The contributions of tokens to the label of a step, and the output for unknown tokens."""
    sequence, features = model.row(row), model.features
    encoded = sequence if features is None else features.transform(sequence)
    accuracy = Accuracy(n_nodes, _TOLERANCE, relative=_TOLERANCE)
    integral = gradients.of_tokens(encoded.steps.values, encoded.step_features, target, accuracy)
    contributions = integral.of_ids
    if features is not None:
        assert isinstance(features, TagLabelFeatures)
        contributions = contributions + divide_context_scores(features, sequence, integral.slopes)
    return target.scale * contributions, target.scale * integral.first + target.offset


def _of_series(
    model: ExplainedModel, gradients: IntegratedGradients, row: int, target: Target, n_nodes: int
) -> tuple[Floats, float]:
    """The contributions of the values of a series, (n_steps, n_channels), and the output for a series of zeros."""
    steps = model.row(row).steps
    if not steps.n_steps:
        bias = float(gradients.bias[target.position])
        return np.empty((0, steps.n_channels)), target.scale * bias + target.offset
    integral = gradients.of_series(steps.values, target, Accuracy(n_nodes, _TOLERANCE, relative=_TOLERANCE))
    return target.scale * integral.of_values, target.scale * integral.first + target.offset
