"""Pooling on the compiled kernels: against the reference in float64, forward and backward."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from _sampling import sampled
from seqclf import _kernels
from seqclf._inference.config import NetworkConfig
from seqclf._kernels import StepLayout, reference
from seqclf._kernels.cpu import pooling
from seqclf._native import abi, library
from seqclf._nn.network import Network
from seqclf._nn.sequence_batch import SequenceBatch

pytestmark = pytest.mark.skipif(not library.available()[0], reason=f"no compiled kernels: {library.available()[1]}")

KINDS = pytest.mark.parametrize("kind", abi.POOLING_KINDS)
LENGTHS = {"equal": [9] * 20, "one step": [1], "one row": [50], "single steps": [1] * 30, "one long": [0, 300, 2]}
RAGGED = [40, 1, 17, 33, 0, 40, 5, 28, 2, 40, 11, 21, 3, 36, 8, 1, 19]
LENGTHS["ragged"] = RAGGED


def make_case(kind, lengths, n_features, scale=1.0, seed=0):
    """(leaves, layout, gradient of the result); the leaves are the values and, for attention, the weights."""
    rng = np.random.default_rng(seed)
    layout = StepLayout(lengths)

    def draw(*shape):
        return torch.from_numpy((scale * rng.standard_normal(shape)).astype(np.float32))

    leaves = [draw(layout.n_steps, n_features)]
    if kind == "attention":
        leaves += [draw(n_features, n_features) / n_features**0.5, draw(n_features), draw(n_features)]
    return leaves, layout, draw(layout.n_rows, n_features)


def forward_and_backward(kernel, kind, leaves, layout, grad_pooled, dtype=torch.float32):
    """The pooled values and the gradients of the leaves."""
    leaves = [leaf.to(dtype).detach().requires_grad_() for leaf in leaves]
    if kind == "attention":
        pooled = kernel.attend(leaves[0], layout, *leaves[1:])
    else:
        pooled = kernel.pool(kind, leaves[0], layout)
    return [pooled.detach(), *torch.autograd.grad(pooled, leaves, grad_pooled.to(dtype))]


def assert_close(found, right):
    np.testing.assert_allclose(found[0].numpy(), right[0].numpy(), rtol=1e-5, atol=1e-5)
    for gradient, expected in zip(found[1:], right[1:], strict=True):
        assert gradient.shape == expected.shape
        assert (gradient.double() - expected).norm() <= 1e-4 * expected.norm() + 1e-12


@pytest.mark.usefixtures("_every_instruction_set")
@sampled({"kind": list(abi.POOLING_KINDS), "n_features": [1, 7, 8, 19, 64], "lengths": LENGTHS}, n_quick=12)
def test_pooling_equals_reference(kind, n_features, lengths, use_threads):
    leaves, layout, grad_pooled = make_case(kind, lengths, n_features)
    right = forward_and_backward(reference, kind, leaves, layout, grad_pooled, torch.float64)
    pooled = []
    for n_threads in (1, 2, 5):
        use_threads(n_threads)
        found = forward_and_backward(pooling, kind, leaves, layout, grad_pooled)
        assert_close(found, right)
        again = forward_and_backward(pooling, kind, leaves, layout, grad_pooled)
        assert all(torch.equal(a, b) for a, b in zip(found, again, strict=True))
        pooled.append(found[0])
    assert torch.equal(pooled[0], pooled[1]) and torch.equal(pooled[0], pooled[2])


@KINDS
def test_pooling_equals_reference_with_two_partitions_per_thread(kind, use_threads):
    """A call with at least 500,000 values and 16 rows per thread has two partitions per thread."""
    lengths = np.random.default_rng(1).integers(1, 320, 60)
    assert lengths.sum() * 64 >= 500_000
    leaves, layout, grad_pooled = make_case(kind, lengths, 64)
    use_threads(2)
    found = forward_and_backward(pooling, kind, leaves, layout, grad_pooled)
    assert_close(found, forward_and_backward(reference, kind, leaves, layout, grad_pooled, torch.float64))


def test_attention_with_large_scores():
    """With scores in the hundreds all weights but the largest vanish, and exp without scaling would overflow."""
    leaves, layout, grad_pooled = make_case("attention", RAGGED, 12)
    leaves[3] *= 200
    right = forward_and_backward(reference, "attention", leaves, layout, grad_pooled, torch.float64)
    found = forward_and_backward(pooling, "attention", leaves, layout, grad_pooled)
    assert all(tensor.isfinite().all() for tensor in found)
    np.testing.assert_allclose(found[0].numpy(), right[0].numpy(), rtol=1e-3, atol=1e-3)
    for gradient, expected in zip(found[1:], right[1:], strict=True):
        assert (gradient.double() - expected).norm() <= 1e-2 * expected.norm()


@pytest.mark.parametrize("lengths", [[], [0], [0, 0]], ids=str)
@KINDS
def test_batch_without_steps_has_zero_gradients(kind, lengths):
    leaves, layout, grad_pooled = make_case(kind, lengths, 6)
    pooled, *gradients = forward_and_backward(pooling, kind, leaves, layout, grad_pooled)
    assert pooled.shape == (0, 6)
    for gradient, leaf in zip(gradients, leaves, strict=True):
        assert gradient.shape == leaf.shape and (gradient == 0).all()


@KINDS
def test_uninitialised_memory_does_not_contribute(kind, monkeypatch, poison_memory):
    arguments = (kind, *make_case(kind, RAGGED, 11))
    expected = forward_and_backward(pooling, *arguments)
    poisoned = poison_memory()
    found = forward_and_backward(pooling, *arguments)
    monkeypatch.undo()
    assert len(poisoned) >= 2
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@KINDS
def test_non_contiguous_memory_does_not_change_any_bit(kind):
    leaves, layout, grad_pooled = make_case(kind, RAGGED, 10)
    expected = forward_and_backward(pooling, kind, leaves, layout, grad_pooled)
    padded = [torch.stack((leaf, leaf), dim=-1)[..., 0] for leaf in leaves]
    wide = [torch.cat((leaves[0], leaves[0]), dim=1)[:, :10], *leaves[1:]]
    for other in (padded, wide):
        leaf = [tensor.requires_grad_() for tensor in other]
        pooled = (
            pooling.attend(leaf[0], layout, *leaf[1:]) if kind == "attention" else pooling.pool(kind, leaf[0], layout)
        )
        found = [pooled.detach(), *torch.autograd.grad(pooled, leaf, grad_pooled.t().contiguous().t())]
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf], ids=str)
@KINDS
def test_nan_and_infinity_stay_in_their_row(kind, value):
    leaves, layout, grad_pooled = make_case(kind, RAGGED, 9)
    clean = forward_and_backward(pooling, kind, leaves, layout, grad_pooled)
    in_values, in_gradient = leaves[0].clone(), grad_pooled.clone()
    in_values[int(layout.time_offsets[2]) + 3, 4] = value
    in_gradient[3, 4] = value
    elsewhere = layout.row_of_step != 3
    for values, gradient in ((in_values, grad_pooled), (leaves[0], in_gradient)):
        arguments = (kind, [values, *leaves[1:]], layout, gradient)
        found, right = forward_and_backward(pooling, *arguments), forward_and_backward(reference, *arguments)
        assert torch.equal(found[1][elsewhere], clean[1][elsewhere])
        for ours, theirs in zip(found, right, strict=True):
            assert not (~theirs.isfinite() & ours.isfinite()).any()
        others = torch.arange(layout.n_rows) != 3
        assert torch.equal(found[0][others], clean[0][others])


def kinds_in_header():
    """The codes of abi.h by kind."""
    text = (Path(abi.__file__).parent / "csrc" / "abi.h").read_text()
    (body,) = re.findall(r"enum PoolingKind \{(.*?)\};", text, re.DOTALL)
    return {name.lower(): int(code) for name, code in re.findall(r"(\w+) = (\d+)", body)}


def test_pool_codes_are_those_of_the_header():
    assert kinds_in_header() == abi.POOLING_KINDS


@pytest.mark.parametrize("kernel", [pooling, reference])
@pytest.mark.parametrize("kind", ["frist", "attention"])
def test_unknown_kind_raises(kind, kernel):
    """Attention is not a kind of `pool`: it has weights, so it is a separate function."""
    leaves, layout, _ = make_case("max", RAGGED, 3)
    with pytest.raises(ValueError, match=f"no pooling of the kind '{kind}'"):
        kernel.pool(kind, *leaves, layout)


@KINDS
def test_network_gradients_equal_reference(kind, monkeypatch):
    """The compiled kernel also runs exactly once."""
    monkeypatch.delenv("SEQCLF_KERNELS", raising=False)
    network = Network(NetworkConfig(
        n_outputs=2, n_channels=3, cell="lstm", units=(9,), bidirectional=True, pooling=kind, activation="tanh",
        dropout=0.0, recurrent_dropout=0.0,
    )).reset_parameters(torch.Generator().manual_seed(0)).train()  # fmt: skip
    values = torch.randn(sum(RAGGED), 3, generator=torch.Generator().manual_seed(1))
    operation = "attend" if kind == "attention" else "pool"
    ran, true_operation = [], getattr(pooling, operation)
    monkeypatch.setattr(pooling, operation, lambda *args: ran.append("cpu") or true_operation(*args))

    def gradients():
        network.zero_grad()
        (network(SequenceBatch(values, np.array(RAGGED))) ** 2).sum().backward()
        return [parameter.grad.clone() for parameter in network.parameters()]

    found = gradients()
    assert ran == ["cpu"]
    with _kernels.use("reference"):
        for a, b in zip(found, gradients(), strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-4, atol=1e-5)
