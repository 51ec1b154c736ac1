"""The three kinds of dropout: masks, expected values and evaluation mode."""

import pytest
import torch

from seqclf._nn.dropout import SequenceDropout, TokenDropout, WeightDropout


def generator():
    return torch.Generator().manual_seed(0)


def test_sequence_dropout_has_one_mask_per_sequence():
    dropout = SequenceDropout(0.5).train()
    row_of_step = torch.tensor([0, 1, 2, 0, 1, 0])
    dropped = dropout(torch.ones(6, 40), row_of_step, 3, generator())
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    for row in range(3):
        masks = dropped[row_of_step == row]
        assert (masks == masks[0]).all()
    assert not torch.equal(dropped[0], dropped[1])


@pytest.mark.parametrize("p", [0.2, 0.7])
def test_dropout_preserves_the_expected_value(p):
    rows = torch.arange(20_000)
    dropped = SequenceDropout(p).train()(torch.ones(20_000, 4), rows, 20_000, generator())
    assert dropped.mean().item() == pytest.approx(1, abs=0.03)
    assert (dropped == 0).float().mean().item() == pytest.approx(p, abs=0.02)
    weights = WeightDropout(p).train()(torch.ones(200, 200), generator())
    assert weights.mean().item() == pytest.approx(1, abs=0.03)


def test_token_dropout_replaces_tokens_by_the_unknown_token():
    ids = torch.full((10_000,), 7)
    dropped = TokenDropout(0.3).train()(ids, generator())
    assert set(dropped.tolist()) == {1, 7}
    assert (dropped == 1).float().mean().item() == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize("module", [WeightDropout(0.5), TokenDropout(0.5)])
def test_dropout_is_inactive_in_evaluation_mode(module):
    values = torch.arange(2, 12)
    assert module.eval()(values, generator()) is values
    sequence_dropout = SequenceDropout(0.5).eval()
    assert sequence_dropout(values, None, 10, generator()) is values
