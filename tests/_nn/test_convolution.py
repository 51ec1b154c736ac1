"""Convolution over ragged rows: against plain loops, blind to padding and company, normalised by what it has seen."""

from functools import partial

import numpy as np
import pytest
import torch

import _factories
from seqclf import _kernels
from seqclf._kernels import StepLayout, reference
from seqclf._kernels.cpu import convolution
from seqclf._native import library
from seqclf._nn.convolution import Convolution, ConvolutionStack
from seqclf._nn.network import Network
from seqclf._nn.sequence_batch import SequenceBatch

LENGTHS = [4, 1, 0, 9, 9, 2, 3]
CPU = torch.device("cpu")
compiled = pytest.mark.skipif(not library.available()[0], reason="the compiled kernels are not installed")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def drawn(layout, n_features, dtype=torch.float64):
    return torch.randn(layout.n_steps, n_features, generator=generator(), dtype=dtype)


def plain_convolve(values, layout, weight):
    """Row by row, step by step, filter by filter."""
    n_filters, _, width = weight.shape
    outputs = torch.zeros(layout.n_steps, n_filters, dtype=values.dtype)
    for row, length in enumerate(layout.lengths):
        positions = [layout.time_offsets[time] + row for time in range(length)]
        for time in range(length):
            for filter_ in range(n_filters):
                for offset in range(width):
                    seen = time + offset - (width - 1) // 2
                    if 0 <= seen < length:
                        outputs[positions[time], filter_] += values[positions[seen]] @ weight[filter_, :, offset]
    return outputs


@pytest.mark.parametrize("lengths", [LENGTHS, [5, 5, 5], [1], [1, 1]])
@pytest.mark.parametrize("width", [1, 2, 3, 4, 7])
def test_equals_the_plain_loop_forward_and_backward(lengths, width):
    layout = StepLayout(lengths)
    results = []
    for convolve in (_kernels.convolve, plain_convolve):
        values = drawn(layout, 3).requires_grad_()
        weight = torch.randn(4, 3, width, generator=generator(1), dtype=torch.float64).requires_grad_()
        outputs = convolve(values, layout, weight)
        weighted = (outputs * torch.randn(outputs.shape, generator=generator(2), dtype=torch.float64)).sum()
        results.append((outputs.detach(), *torch.autograd.grad(weighted, (values, weight))))
    for ours, plain in zip(*results, strict=True):
        np.testing.assert_allclose(ours, plain, rtol=1e-12, atol=1e-12)


@compiled
@pytest.mark.parametrize("width", [1, 2, 7])
@pytest.mark.parametrize("n_filters", [5, 16])
def test_reading_on_our_kernels_equals_the_definition(width, n_filters):
    layout = StepLayout(LENGTHS)
    values = drawn(layout, 3, torch.float32)
    weight = torch.randn(n_filters, 3, width, generator=generator(1))
    bias = torch.randn(n_filters, generator=generator(2))
    with torch.inference_mode():
        found = _kernels.convolve_relu(values, layout, weight, bias)
        expected = reference.convolve_relu(values, layout, weight, bias)
    assert (expected == 0).any() and (expected > 0).any()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@compiled
def test_our_kernels_read_and_torch_trains(monkeypatch):
    calls = []
    monkeypatch.setattr(convolution, "convolve_relu", lambda *arguments: calls.append("cpu"))
    monkeypatch.setattr(reference, "convolve_relu", lambda *arguments: calls.append("reference"))
    layout = StepLayout(LENGTHS)
    values, weight, bias = drawn(layout, 3, torch.float32), torch.zeros(4, 3, 3), torch.zeros(4)
    _kernels.convolve_relu(values, layout, weight, bias)
    with torch.inference_mode():
        _kernels.convolve_relu(values, layout, weight, bias)
        _kernels.convolve_relu(values.double(), layout, weight.double(), bias.double())
        with _kernels.use("torch_native"):
            _kernels.convolve_relu(values, layout, weight, bias)
    assert calls == ["reference", "cpu", "reference", "reference"]


def make_layer(n_inputs=3, n_filters=4, width=3):
    layer = Convolution(n_inputs, n_filters, width)
    layer.reset_parameters(generator())
    return layer.double()


def test_training_normalises_each_filter_over_the_steps_of_the_batch():
    layer, layout = make_layer(), StepLayout(LENGTHS)
    values = drawn(layout, 3)
    filtered = plain_convolve(values, layout, layer.weight)
    mean, variance = filtered.mean(dim=0), filtered.var(dim=0, correction=0)
    with torch.no_grad():
        layer.bias.copy_(torch.arange(4.0) - 2)
    expected = torch.relu((filtered - mean) / (variance + 1e-5).sqrt() + layer.bias)
    np.testing.assert_allclose(layer(values, layout).detach(), expected.detach(), rtol=1e-10, atol=1e-10)


def test_reading_normalises_by_what_training_has_seen():
    """The mean over the first ten batches; from then on a tenth of it is renewed by each batch."""
    layer, layout = make_layer(), StepLayout(LENGTHS)
    means, variances = [], []
    for batch in range(12):
        values = drawn(layout, 3) * (1 + batch) + batch
        filtered = plain_convolve(values, layout, layer.weight).detach()
        means.append(filtered.mean(dim=0))
        variances.append(filtered.var(dim=0))
        layer(values, layout)
    mean, variance = torch.stack(means[:10]).mean(dim=0), torch.stack(variances[:10]).mean(dim=0)
    for newest in (10, 11):
        mean = 0.9 * mean + 0.1 * means[newest]
        variance = 0.9 * variance + 0.1 * variances[newest]
    layer.eval()
    expected = torch.relu((plain_convolve(values, layout, layer.weight) - mean) / (variance + 1e-5).sqrt() + layer.bias)
    before = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    np.testing.assert_allclose(layer(values, layout).detach(), expected.detach(), rtol=1e-10, atol=1e-10)
    assert all(torch.equal(tensor, before[name]) for name, tensor in layer.state_dict().items())


def test_a_batch_of_one_step_is_normalised_by_what_was_seen_before():
    layer = make_layer()
    layer(drawn(StepLayout(LENGTHS), 3), StepLayout(LENGTHS))
    layout, mean = StepLayout([0, 1]), layer.mean.clone()
    outputs = layer(drawn(layout, 3), layout)
    assert torch.equal(outputs, layer.eval()(drawn(layout, 3), layout))
    assert torch.equal(layer.mean, mean) and torch.isfinite(outputs).all()


def plain_stack(stack, values, layout):
    """Each layer by the plain loop, with the statistics of a new network."""
    for layer in stack.layers:
        values = torch.relu(plain_convolve(values, layout, layer.weight) / (1 + 1e-5) ** 0.5)
    return values


def test_the_stack_is_its_layers_one_after_the_other():
    stack, layout = ConvolutionStack(3, (4, 6)).double().eval(), StepLayout(LENGTHS)
    for layer in stack.layers:
        layer.reset_parameters(generator())
    values = drawn(layout, 3)
    expected = plain_stack(stack, values, layout)
    assert stack.n_outputs == expected.shape[1] == 6
    np.testing.assert_allclose(stack(values, layout).detach(), expected.detach(), rtol=1e-10, atol=1e-10)


make_network = partial(_factories.make_network, n_channels=2, bidirectional=True, pooling="max", conv_filters=(4, 6, 3))


def trained_network(**changes):
    """With statistics that are not those of a new network."""
    network, layout = make_network(**changes), StepLayout([6, 3])
    network(SequenceBatch(3 * drawn(layout, 2, torch.float32) + 1, np.array([6, 3])))
    return network.eval()


ROWS = np.random.default_rng(0).integers(0, 30, 70)
STEPS = torch.randn(int(ROWS.sum()), 2, generator=generator(3))
BATCH = SequenceBatch(STEPS, ROWS)


def test_the_head_is_given_the_mean_of_the_last_layer_over_each_row():
    network, layout = make_network().double().eval(), StepLayout(ROWS)
    arranged = _kernels.arrange(STEPS.double(), layout)
    filtered = plain_stack(network.convolutions, arranged, layout)
    expected = torch.zeros(len(ROWS), 3, dtype=torch.float64)
    for row, place in enumerate(layout.order):
        expected[place] = filtered[layout.row_of_step == row].mean(dim=0)
    # After what is pooled of the five units in each direction.
    found = network.features(BATCH)[:, 10:]
    np.testing.assert_allclose(found.detach(), expected.detach(), rtol=1e-10, atol=1e-10)


def test_parameters_equal_the_equations():
    with_filters, without = (
        sum(parameter.numel() for parameter in make_network(conv_filters=filters).parameters())
        for filters in ((4, 6, 3), ())
    )
    # Widths 15, 9, 5 and a bias per filter; the last layer's three features go to three classes.
    assert with_filters - without == (4 * 2 * 15 + 4) + (6 * 4 * 9 + 6) + (3 * 6 * 5 + 3) + 3 * 3


def test_rows_without_a_step_and_gradients_of_every_weight():
    network = make_network()
    logits = network(BATCH)
    empty = np.flatnonzero(ROWS == 0)
    assert len(empty) and torch.equal(logits[empty], network.head.bias.expand(len(empty), 3))
    assert torch.equal(network(SequenceBatch(STEPS[:0], np.array([0, 0]))), network.head.bias.expand(2, 3))
    (logits * torch.arange(3.0)).sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in network.parameters())


def test_arrays_rebuild_the_statistics_too():
    network = trained_network()
    rebuilt = Network.from_arrays(network.config, network.to_arrays())
    assert torch.equal(rebuilt(BATCH), network(BATCH))
    assert rebuilt.convolutions.layers[0].n_batches == 1
    fresh = make_network().eval()
    assert not torch.equal(rebuilt(BATCH), fresh(BATCH))
