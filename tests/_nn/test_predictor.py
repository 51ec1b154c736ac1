"""Prediction: each row's logits are the same bits whatever is beside it, and equal those of torch in float64."""

import numpy as np
import pytest
import torch

from seqclf import _kernels
from seqclf._kernels.cpu import pooling as cpu_pooling
from seqclf._kernels.cpu import recurrence
from seqclf._native import library
from seqclf._nn.config import NetworkConfig
from seqclf._nn.network import Network
from seqclf._nn.pooling import POOLINGS
from seqclf._nn.predictor import Predictor
from seqclf._nn.sequence_batch import SequenceBatch

CPU = torch.device("cpu")
LENGTHS = np.random.default_rng(0).integers(0, 30, 70)
IDS = torch.from_numpy(np.random.default_rng(1).integers(1, 30, LENGTHS.sum()))
FEATURES = torch.from_numpy(np.random.default_rng(2).normal(size=(LENGTHS.sum(), 6)).astype(np.float32))


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
    network = Network(NetworkConfig(**(config | changes))).reset_parameters(torch.Generator().manual_seed(0))
    network.head.start(np.zeros(3), as_sum_of_means=True)
    return network.eval()


def batch_for(network, part=slice(None)):
    """These sequences, with step features for a network that reads some."""
    starts = np.cumsum(LENGTHS) - LENGTHS
    lengths = LENGTHS[part]
    steps = slice(starts[part][0], starts[part][-1] + lengths[-1])
    return SequenceBatch(IDS[steps], lengths, None, FEATURES[steps] if network.config.n_step_features else None)


@pytest.mark.skipif(not library.available()[0], reason="the compiled kernels are not installed")
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize(
    "changes",
    [
        *({"cell": cell, "n_step_features": n_step_features} for cell in _kernels.CELLS for n_step_features in (0, 6)),
        {"embedding_dim": None},
        {"embedding_dim": None, "n_step_features": 6},
    ],
)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_row_has_the_same_bits_in_any_company(pooling, changes, bidirectional):
    network = make_network(pooling=pooling, bidirectional=bidirectional, **changes)

    def predict(part):
        # Alone, a row is shorter than the vocabulary is large: nothing is projected. Together they are longer.
        batch = batch_for(network, part)
        return Predictor(network, CPU, batch.n_steps).predict(batch)

    together = predict(slice(None))
    alone = torch.cat([predict(slice(row, row + 1)) for row in range(len(LENGTHS))])
    half = predict(slice(35))
    assert together.dtype == torch.float64
    assert torch.equal(together, alone)
    assert torch.equal(together[:35], half)


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("cell", _kernels.CELLS)
@pytest.mark.parametrize("n_step_features", [0, 6])
def test_float32_reading_equals_float64_reading(pooling, cell, n_step_features):
    network = make_network(pooling=pooling, cell=cell, n_step_features=n_step_features)
    batch = batch_for(network)
    found = Predictor(network, CPU, len(IDS)).predict(batch)
    with _kernels.use("torch_native" if _kernels.CELLS[cell].torch_operations else "reference"):
        expected = Predictor(network, CPU, len(IDS)).predict(batch)
    assert all(weight.dtype == torch.float32 for weight in network.parameters())
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=2e-6)


@pytest.mark.skipif(not library.available()[0], reason="the compiled kernels are not installed")
def test_ids_are_projected_once_where_there_are_fewer_of_them_than_steps(monkeypatch):
    network, calls = make_network(n_step_features=6), []
    batch = batch_for(network)
    monkeypatch.setattr(
        recurrence, "project", lambda *args, project=recurrence.project: calls.append(args) or project(*args)
    )
    monkeypatch.setattr(network.embedding, "forward", lambda *args: pytest.fail("the table was read at every step"))
    predictor = Predictor(network, CPU, 31)
    for _ in range(3):
        predictor.predict(batch)
    assert len(calls) == 2, "one for each direction"
    monkeypatch.undo()
    monkeypatch.setattr(recurrence, "project", lambda *args: pytest.fail("projected where it doesn't pay"))
    Predictor(network, CPU, 30).predict(batch)
    monkeypatch.setattr("seqclf._nn.predictor._MAX_CACHED_BYTES", 30 * 4 * 36 - 1)  # the table's, and one less
    Predictor(network, CPU, 31).predict(batch)


def test_filters_beside_an_embedding_read_the_vectors_themselves():
    network = make_network(conv_filters=(3,))
    batch = batch_for(network)
    found = Predictor(network, CPU, 10**7).predict(batch)
    np.testing.assert_allclose(found, network(batch).detach(), rtol=1e-5, atol=1e-5)


def poolable(seed=0):
    layout = _kernels.StepLayout([4, 1, 0, 7, 7, 3])
    values = torch.randn(layout.n_steps, 5, generator=torch.Generator().manual_seed(seed))
    return layout, values


@pytest.mark.skipif(not library.available()[0], reason="the compiled kernels are not installed")
@pytest.mark.parametrize("kind", [kind for kind in cpu_pooling._POOL if kind != "attention"])
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
@pytest.mark.parametrize("pooling", cpu_pooling._POOL)
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
