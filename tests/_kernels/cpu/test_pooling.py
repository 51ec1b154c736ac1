"""Pooling on our kernels: against the reference in float64, forward and backward."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from seqclf import _kernels
from seqclf._inference.config import NetworkConfig
from seqclf._kernels import StepLayout, reference
from seqclf._kernels.cpu import pooling
from seqclf._native import abi, library
from seqclf._nn.network import Network
from seqclf._nn.sequence_batch import SequenceBatch

pytestmark = pytest.mark.skipif(not library.available()[0], reason=f"no compiled kernels: {library.available()[1]}")

KINDS = pytest.mark.parametrize("kind", abi.POOL)
RAGGED = [40, 1, 17, 33, 0, 40, 5, 28, 2, 40, 11, 21, 3, 36, 8, 1, 19]


def make(kind, lengths, n_features, scale=1.0, seed=0):
    """(leaves, layout, gradient of what is pooled); the leaves are the values, and the weights of attention."""
    rng = np.random.default_rng(seed)
    layout = StepLayout(lengths)

    def draw(*shape):
        return torch.from_numpy((scale * rng.standard_normal(shape)).astype(np.float32))

    leaves = [draw(layout.n_steps, n_features)]
    if kind == "attention":
        leaves += [draw(n_features, n_features) / n_features**0.5, draw(n_features), draw(n_features)]
    return leaves, layout, draw(layout.n_rows, n_features)


def both_ways(kernel, kind, leaves, layout, grad_pooled, dtype=torch.float32):
    """What is pooled, and the gradients of the leaves."""
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
@pytest.mark.parametrize(
    "lengths", [RAGGED, [9] * 20, [1], [50], [1] * 30, [0, 300, 2]], ids=lambda n: f"{len(n)} rows"
)
@pytest.mark.parametrize("n_features", [1, 7, 8, 19, 64])
@KINDS
def test_equals_reference(kind, n_features, lengths, use_threads):
    leaves, layout, grad_pooled = make(kind, lengths, n_features)
    right = both_ways(reference, kind, leaves, layout, grad_pooled, torch.float64)
    pooled = []
    for n_threads in (1, 2, 5):
        use_threads(n_threads)
        found = both_ways(pooling, kind, leaves, layout, grad_pooled)
        assert_close(found, right)
        again = both_ways(pooling, kind, leaves, layout, grad_pooled)
        assert all(torch.equal(a, b) for a, b in zip(found, again, strict=True))
        pooled.append(found[0])
    assert torch.equal(pooled[0], pooled[1]) and torch.equal(pooled[0], pooled[2])


@KINDS
def test_equals_reference_in_a_long_call(kind, use_threads):
    """One of 500,000 values and 16 rows a thread is cut into two parts for each thread."""
    lengths = np.random.default_rng(1).integers(1, 320, 60)
    assert lengths.sum() * 64 >= 500_000
    leaves, layout, grad_pooled = make(kind, lengths, 64)
    use_threads(2)
    found = both_ways(pooling, kind, leaves, layout, grad_pooled)
    assert_close(found, both_ways(reference, kind, leaves, layout, grad_pooled, torch.float64))


def test_attention_that_looks_at_one_step_alone():
    """Scores of hundreds, where all weights but the largest vanish and exp without a scale would overflow."""
    leaves, layout, grad_pooled = make("attention", RAGGED, 12)
    leaves[3] *= 200
    right = both_ways(reference, "attention", leaves, layout, grad_pooled, torch.float64)
    found = both_ways(pooling, "attention", leaves, layout, grad_pooled)
    assert all(tensor.isfinite().all() for tensor in found)
    np.testing.assert_allclose(found[0].numpy(), right[0].numpy(), rtol=1e-3, atol=1e-3)
    for gradient, expected in zip(found[1:], right[1:], strict=True):
        assert (gradient.double() - expected).norm() <= 1e-2 * expected.norm()


@pytest.mark.parametrize("lengths", [[], [0], [0, 0]], ids=str)
@KINDS
def test_no_steps(kind, lengths):
    leaves, layout, grad_pooled = make(kind, lengths, 6)
    pooled, *gradients = both_ways(pooling, kind, leaves, layout, grad_pooled)
    assert pooled.shape == (0, 6)
    for gradient, leaf in zip(gradients, leaves, strict=True):
        assert gradient.shape == leaf.shape and (gradient == 0).all()


@KINDS
def test_fresh_memory_has_no_say(kind, monkeypatch, poison_memory):
    arguments = (kind, *make(kind, RAGGED, 11))
    expected = both_ways(pooling, *arguments)
    poisoned = poison_memory()
    found = both_ways(pooling, *arguments)
    monkeypatch.undo()
    assert len(poisoned) >= 2
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@KINDS
def test_memory_that_is_not_contiguous(kind):
    leaves, layout, grad_pooled = make(kind, RAGGED, 10)
    expected = both_ways(pooling, kind, leaves, layout, grad_pooled)
    apart = [torch.stack((leaf, leaf), dim=-1)[..., 0] for leaf in leaves]
    wide = [torch.cat((leaves[0], leaves[0]), dim=1)[:, :10], *leaves[1:]]
    for other in (apart, wide):
        leaf = [tensor.requires_grad_() for tensor in other]
        pooled = (
            pooling.attend(leaf[0], layout, *leaf[1:]) if kind == "attention" else pooling.pool(kind, leaf[0], layout)
        )
        found = [pooled.detach(), *torch.autograd.grad(pooled, leaf, grad_pooled.t().contiguous().t())]
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf], ids=str)
@KINDS
def test_what_is_not_finite_stays_in_its_row_and_is_not_hidden(kind, value):
    leaves, layout, grad_pooled = make(kind, RAGGED, 9)
    clean = both_ways(pooling, kind, leaves, layout, grad_pooled)
    in_values, in_gradient = leaves[0].clone(), grad_pooled.clone()
    in_values[int(layout.time_offsets[2]) + 3, 4] = value
    in_gradient[3, 4] = value
    elsewhere = layout.row_of_step != 3
    for values, gradient in ((in_values, grad_pooled), (leaves[0], in_gradient)):
        arguments = (kind, [values, *leaves[1:]], layout, gradient)
        found, right = both_ways(pooling, *arguments), both_ways(reference, *arguments)
        assert torch.equal(found[1][elsewhere], clean[1][elsewhere])
        for ours, theirs in zip(found, right, strict=True):
            assert not (~theirs.isfinite() & ours.isfinite()).any()
        others = torch.arange(layout.n_rows) != 3
        assert torch.equal(found[0][others], clean[0][others])


def in_the_header():
    """The kinds of abi.h and their codes."""
    text = (Path(abi.__file__).parent / "csrc" / "abi.h").read_text()
    (body,) = re.findall(r"enum Pool \{(.*?)\};", text, re.DOTALL)
    return {name.lower(): int(code) for name, code in re.findall(r"(\w+) = (\d+)", body)}


@KINDS
def test_each_kind_has_one_code_here_and_there(kind):
    assert in_the_header()[kind] == abi.POOL[kind]


def test_the_header_has_no_other_kind():
    assert in_the_header().keys() == abi.POOL.keys()


@pytest.mark.parametrize("kernel", [pooling, reference])
@pytest.mark.parametrize("kind", ["frist", "attention"])
def test_a_kind_that_is_not_there(kind, kernel):
    """Attention has weights, and so a function of its own."""
    leaves, layout, _ = make("max", RAGGED, 3)
    with pytest.raises(ValueError, match=f"no pooling of the kind '{kind}'"):
        kernel.pool(kind, *leaves, layout)


@KINDS
def test_trains_on_our_kernels(kind, monkeypatch):
    """The network's gradients are those of the plain twin, and the fast path gave them."""
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


def poolable(seed=0):
    layout = _kernels.StepLayout([4, 1, 0, 7, 7, 3])
    values = torch.randn(layout.n_steps, 5, generator=torch.Generator().manual_seed(seed))
    return layout, values


@pytest.mark.parametrize("kind", [kind for kind in abi.POOL if kind != "attention"])
@pytest.mark.parametrize("strided", [False, True])
def test_pooling_equals_reference(kind, strided):
    layout, values = poolable()
    if strided:  # as the recurrent kernels give them: rows wider than what is in use
        values = torch.cat((values, torch.full((len(values), 3), torch.nan)), dim=1)[:, :5]
    results = []
    for kernel in ("cpu", "reference"):
        leaf = values.detach().requires_grad_()
        with _kernels.use(kernel):
            pooled = _kernels.pool(kind, leaf, layout)
        (gradient,) = torch.autograd.grad((pooled * torch.arange(1.0, 6)).sum(), leaf)
        results.append((pooled.detach(), gradient))
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("pooling", abi.POOL)
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_nan_and_infinity_pass_through_to_their_row_only(pooling, bad):
    layout, values = poolable()
    spoilt_row = 1
    values[layout.row_of_step == spoilt_row, 3] = bad
    weight, bias, query = torch.eye(5), torch.zeros(5), torch.ones(5)
    with torch.inference_mode():
        if pooling == "attention":
            pooled = _kernels.attend(values, layout, weight, bias, query)
        else:
            pooled = _kernels.pool(pooling, values, layout)
    finite = torch.isfinite(pooled)
    assert not finite[spoilt_row, 3]
    assert finite[[row for row in range(layout.n_rows) if row != spoilt_row]].all()
