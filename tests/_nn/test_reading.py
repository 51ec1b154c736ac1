"""Prediction: each row's logits are the same bits whatever is beside it, and equal those of torch in float64."""

import numpy as np
import pytest
import torch

from seqclf import _kernels
from seqclf._kernels.cpu import recurrence
from seqclf._native import library
from seqclf._nn import POOLINGS, Network, Reader

CPU = torch.device("cpu")
LENGTHS = np.random.default_rng(0).integers(0, 30, 70)
IDS = torch.from_numpy(np.random.default_rng(1).integers(1, 30, LENGTHS.sum()))
BESIDE = torch.from_numpy(np.random.default_rng(2).normal(size=(LENGTHS.sum(), 6)).astype(np.float32))


def make_network(**changes):
    config = {
        "n_outputs": 3,
        "vocab_size": 30,
        "embedding_dim": 12,
        "cell": "lstm",
        "units": (9, 16),
        "bidirectional": True,
        "pooling": "max",
        "activation": "tanh",
        "dropout": 0.0,
        "recurrent_dropout": 0.0,
    }
    return Network(**(config | changes)).reset_parameters(torch.Generator().manual_seed(0)).eval()


@pytest.mark.skipif(not library.available()[0], reason="the compiled kernels are not installed")
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize(
    "changes",
    [
        *({"cell": cell, "n_channels": n_channels} for cell in _kernels.CELLS for n_channels in (0, 6)),
        {"embedding_dim": None},
        {"embedding_dim": None, "n_channels": 6},
    ],
)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_row_has_the_same_bits_in_any_company(pooling, changes, bidirectional):
    network = make_network(pooling=pooling, bidirectional=bidirectional, **changes)

    def read(ids, lengths, beside):
        # Alone, a row is shorter than the vocabulary is large: nothing is projected. Together they are longer.
        return Reader(network, CPU, len(ids)).read(ids, lengths, beside if network.n_beside else None)

    parts = zip(IDS.split(LENGTHS.tolist()), BESIDE.split(LENGTHS.tolist()), strict=True)
    n_half = LENGTHS[:35].sum()
    together = read(IDS, LENGTHS, BESIDE)
    alone = torch.cat([read(ids, [len(ids)], beside) for ids, beside in parts])
    half = read(IDS[:n_half], LENGTHS[:35], BESIDE[:n_half])
    assert together.dtype == torch.float64
    assert torch.equal(together, alone)
    assert torch.equal(together[:35], half)


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("cell", _kernels.CELLS)
@pytest.mark.parametrize("n_channels", [0, 6])
def test_float32_reading_equals_float64_reading(pooling, cell, n_channels):
    network = make_network(pooling=pooling, cell=cell, n_channels=n_channels)
    beside = BESIDE if n_channels else None
    found = Reader(network, CPU, len(IDS)).read(IDS, LENGTHS, beside)
    with _kernels.use("torch_native"):
        expected = Reader(network, CPU, len(IDS)).read(IDS, LENGTHS, beside)
    assert all(weight.dtype == torch.float32 for weight in network.parameters())
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=2e-6)


@pytest.mark.skipif(not library.available()[0], reason="the compiled kernels are not installed")
def test_ids_are_projected_once_where_there_are_fewer_of_them_than_steps(monkeypatch):
    network, calls = make_network(n_channels=6), []
    monkeypatch.setattr(
        recurrence, "project", lambda *args, project=recurrence.project: calls.append(args) or project(*args)
    )
    monkeypatch.setattr(network.embedding, "forward", lambda *args: pytest.fail("the table was read at every step"))
    reader = Reader(network, CPU, 31)
    for _ in range(3):
        reader.read(IDS, LENGTHS, BESIDE)
    assert len(calls) == 2, "one for each direction"
    monkeypatch.undo()
    monkeypatch.setattr(recurrence, "project", lambda *args: pytest.fail("projected where it doesn't pay"))
    Reader(network, CPU, 30).read(IDS, LENGTHS, BESIDE)
    monkeypatch.setattr("seqclf._nn.reader._CACHED_BYTES", 30 * 4 * 36 - 1)  # the table's, and one less
    Reader(network, CPU, 31).read(IDS, LENGTHS, BESIDE)


def test_filters_beside_an_embedding_read_the_vectors_themselves():
    network = make_network(conv_filters=(3,))
    found = Reader(network, CPU, 10**7).read(IDS, LENGTHS)
    np.testing.assert_allclose(found, network(IDS, LENGTHS).detach(), rtol=1e-5, atol=1e-5)


def poolable(seed=0):
    layout = _kernels.StepLayout([4, 1, 0, 7, 7, 3])
    values = torch.randn(layout.n_steps, 5, generator=torch.Generator().manual_seed(seed))
    return layout, values


@pytest.mark.skipif(not library.available()[0], reason="the compiled kernels are not installed")
@pytest.mark.parametrize("kind", ["max", "mean"])
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


@pytest.mark.skipif(not library.available()[0], reason="the compiled kernels are not installed")
@pytest.mark.parametrize("pooling", ["max", "mean", "attention"])
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_nan_and_infinity_pass_through_to_their_row_only(pooling, bad):
    layout, values = poolable()
    spoilt_row = 1
    values[layout.time_offsets[2] + spoilt_row, 3] = bad
    weight, bias, query = torch.eye(5), torch.zeros(5), torch.ones(5)
    with torch.inference_mode():
        if pooling == "attention":
            pooled = _kernels.attend(values, layout, weight, bias, query)
        else:
            pooled = _kernels.pool(pooling, values, layout)
    finite = torch.isfinite(pooled)
    assert not finite[spoilt_row, 3]
    assert finite[[row for row in range(layout.n_rows) if row != spoilt_row]].all()
