"""The head: initial weights, scores and shrinking."""

import numpy as np
import pytest
import torch

from seqclf._nn.head import Head


def make_head(n_features=11, n_outputs=3, n_means=6, scores=False):
    head = Head(n_features, n_outputs, n_means, scores)
    head.reset_parameters(torch.Generator().manual_seed(0))
    return head


FEATURES = torch.randn(4, 11, generator=torch.Generator().manual_seed(1))
SCORES = torch.randn(4, 3, generator=torch.Generator().manual_seed(2))


def test_outputs_are_linear_plus_weighted_scores():
    head = make_head(scores=True)
    with torch.no_grad():
        head.score_weights.copy_(torch.tensor([2.0, 0.0, -1.0]))
    expected = FEATURES @ head.weight.T + head.bias + SCORES * head.score_weights
    torch.testing.assert_close(head(FEATURES, SCORES), expected)
    assert head.n_features == 11 and head.n_outputs == 3


def test_reset_parameters_of_the_head():
    head = make_head(scores=True)
    assert head.weight.abs().min() > 0 and head.weight.abs().max() <= (6 / (11 + 3)) ** 0.5
    assert not head.bias.any() and (head.score_weights == 1).all()


@pytest.mark.parametrize(("n_outputs", "n_means"), [(1, 1), (1, 3), (3, 3), (3, 9), (20, 40)])
def test_start_as_sum_of_means(n_outputs, n_means):
    """Each mean is an estimate of its own output; the weights of the states are random."""
    head = make_head(5 + n_means, n_outputs, n_means)
    head.start(np.zeros(n_outputs), as_sum_of_means=True)
    for group in head.weight.detach()[:, 5:].split(n_outputs, dim=1):
        assert torch.equal(group, torch.eye(n_outputs))
    states = head.weight.detach()[:, :5]
    assert states.abs().min() > 0 and states.std() > 0.05


def test_start_sets_the_bias_and_changes_no_other_weights():
    head = make_head()
    before = head.weight.detach().clone()
    head.start(np.array([1.0, -2.0, 0.5]), as_sum_of_means=False)
    assert torch.equal(head.weight, before) and head.bias.tolist() == [1, -2, 0.5]
    head.start(np.array([0.0, 3.0, 0.0]), as_sum_of_means=True)
    assert torch.equal(head.weight[:, 5:], torch.eye(3).repeat(1, 2))
    assert torch.equal(head.weight[:, :5], before[:, :5]) and head.bias.tolist() == [0, 3, 0]
    assert head.weight.requires_grad and head.bias.requires_grad


def test_start_with_scores_sets_the_weights_of_means_to_zero():
    """The scores contain that information already. Training can change the weights."""
    head = make_head(scores=True)
    before = head.weight.detach().clone()
    head.start(np.array([1.0, -2.0, 0.5]), as_sum_of_means=False)
    assert not head.weight[:, 5:].any() and torch.equal(head.weight[:, :5], before[:, :5])
    assert head.bias.tolist() == [1, -2, 0.5]
    head(FEATURES, SCORES)[:, 0].sum().backward()
    assert head.weight.grad[0, 5:].abs().min() > 0


@pytest.mark.parametrize("fraction", [0.0, 0.25, 1.0])
def test_shrink_moves_the_outputs_towards_the_scores(fraction):
    head = make_head(scores=True)
    with torch.no_grad():
        head.bias.copy_(torch.tensor([1.0, -2.0, 0.5]))
        head.score_weights.copy_(torch.tensor([2.0, 0.0, 1.0]))
    before = head(FEATURES, SCORES).detach()
    head.shrink(fraction)
    torch.testing.assert_close(head(FEATURES, SCORES).detach(), SCORES + fraction * (before - SCORES))


def test_shrink_without_scores_changes_nothing():
    head = make_head()
    before = head(FEATURES, None).detach()
    head.shrink(0.25)
    assert torch.equal(head(FEATURES, None), before)


@pytest.mark.parametrize("built_for_scores", [False, True])
def test_missing_or_unexpected_scores_raise(built_for_scores):
    head = make_head(scores=built_for_scores)
    problem = "are missing" if built_for_scores else "were given"
    with pytest.raises(ValueError, match=f"scores {problem}, but the network was built with scores={built_for_scores}"):
        head(FEATURES, None if built_for_scores else SCORES)
