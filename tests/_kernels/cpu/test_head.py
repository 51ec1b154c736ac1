"""The final linear layer on our kernels, against float64."""

import numpy as np
import pytest
import torch

from seqclf import _kernels
from seqclf._kernels.cpu import head
from seqclf._native import library

pytestmark = pytest.mark.skipif(not library.available()[0], reason=f"no compiled kernels: {library.available()[1]}")


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.usefixtures("_every_instruction_set")
@pytest.mark.parametrize(
    ("n_rows", "n_inputs", "n_outputs"), [(1, 1, 1), (7, 33, 3), (40, 8, 20), (0, 5, 2), (3, 0, 2)]
)
def test_equals_float64(n_rows, n_inputs, n_outputs):
    values, weight, bias = draw(n_rows, n_inputs), draw(n_outputs, n_inputs, seed=1), draw(n_outputs, seed=2)
    found = head.linear(values, weight, bias)
    expected = torch.nn.functional.linear(values.double(), weight.double(), bias.double())
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-12, atol=1e-12)


def test_is_chosen_where_it_can_compute(monkeypatch):
    monkeypatch.delenv("SEQCLF_KERNELS", raising=False)
    arguments = draw(3, 5), draw(2, 5, seed=1), draw(2, seed=2)
    expected, ran = head.linear(*arguments), []
    monkeypatch.setattr(head, "linear", lambda *args, linear=head.linear: ran.append("cpu") or linear(*args))
    assert torch.equal(_kernels.linear(*arguments), expected)
    assert ran == ["cpu"]
    with _kernels.use("reference"):
        np.testing.assert_allclose(_kernels.linear(*arguments).numpy(), expected.numpy(), rtol=1e-12, atol=1e-12)
    assert ran == ["cpu"]


def test_a_row_has_the_same_bits_whatever_the_other_rows():
    values, weight, bias = draw(30, 19), draw(4, 19, seed=1), draw(4, seed=2)
    together = head.linear(values, weight, bias)
    assert all(torch.equal(head.linear(values[i : i + 1], weight, bias)[0], together[i]) for i in range(30))


def test_memory_that_is_not_contiguous():
    values, weight, bias = draw(6, 5), draw(3, 5, seed=1), draw(3, seed=2)
    apart = [torch.stack((tensor, tensor), dim=-1)[..., 0] for tensor in (values, weight, bias)]
    assert torch.equal(head.linear(*apart), head.linear(values, weight, bias))
