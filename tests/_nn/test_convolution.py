"""The convolutional branch: against loops over ragged rows, with batch and running statistics."""

from functools import partial

import numpy as np
import torch

import _factories
from _factories import convolve_by_loop
from seqclf._kernels import StepLayout
from seqclf._nn.convolution import Convolution, ConvolutionStack
from seqclf._nn.network import Network
from seqclf._nn.sequence_batch import SequenceBatch

LENGTHS = [4, 1, 0, 9, 9, 2, 3]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def drawn(layout, n_features, dtype=torch.float64):
    return torch.randn(layout.n_steps, n_features, generator=generator(), dtype=dtype)


def make_layer(n_inputs=3, n_filters=4, width=3):
    layer = Convolution(n_inputs, n_filters, width)
    layer.reset_parameters(generator())
    return layer.double()


def test_training_normalises_each_filter_over_the_batch():
    layer, layout = make_layer(), StepLayout(LENGTHS)
    values = drawn(layout, 3)
    filtered = convolve_by_loop(values, layout, layer.weight)
    mean, variance = filtered.mean(dim=0), filtered.var(dim=0, correction=0)
    with torch.no_grad():
        layer.bias.copy_(torch.arange(4.0) - 2)
    expected = torch.relu((filtered - mean) / (variance + 1e-5).sqrt() + layer.bias)
    np.testing.assert_allclose(layer(values, layout).detach(), expected.detach(), rtol=1e-10, atol=1e-10)


def test_evaluation_normalises_by_running_statistics():
    """The mean over the first ten batches; each further batch then has a weight of 0.1."""
    layer, layout = make_layer(), StepLayout(LENGTHS)
    means, variances = [], []
    for batch in range(12):
        values = drawn(layout, 3) * (1 + batch) + batch
        filtered = convolve_by_loop(values, layout, layer.weight).detach()
        means.append(filtered.mean(dim=0))
        variances.append(filtered.var(dim=0))
        layer(values, layout)
    mean, variance = torch.stack(means[:10]).mean(dim=0), torch.stack(variances[:10]).mean(dim=0)
    for newest in (10, 11):
        mean = 0.9 * mean + 0.1 * means[newest]
        variance = 0.9 * variance + 0.1 * variances[newest]
    layer.eval()
    expected = torch.relu(
        (convolve_by_loop(values, layout, layer.weight) - mean) / (variance + 1e-5).sqrt() + layer.bias
    )
    before = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    np.testing.assert_allclose(layer(values, layout).detach(), expected.detach(), rtol=1e-10, atol=1e-10)
    assert all(torch.equal(tensor, before[name]) for name, tensor in layer.state_dict().items())


def test_batch_of_one_step_is_normalised_by_running_statistics():
    layer = make_layer()
    layer(drawn(StepLayout(LENGTHS), 3), StepLayout(LENGTHS))
    layout, mean = StepLayout([0, 1]), layer.mean.clone()
    outputs = layer(drawn(layout, 3), layout)
    assert torch.equal(outputs, layer.eval()(drawn(layout, 3), layout))
    assert torch.equal(layer.mean, mean) and torch.isfinite(outputs).all()


def stack_by_loop(stack, values, layout):
    """Each layer as a loop, with the statistics of a new network."""
    for layer in stack.layers:
        values = torch.relu(convolve_by_loop(values, layout, layer.weight) / (1 + 1e-5) ** 0.5)
    return values


def test_stack_applies_its_layers_in_order():
    stack, layout = ConvolutionStack(3, (4, 6)).double().eval(), StepLayout(LENGTHS)
    for layer in stack.layers:
        layer.reset_parameters(generator())
    values = drawn(layout, 3)
    expected = stack_by_loop(stack, values, layout)
    assert stack.n_outputs == expected.shape[1] == 6
    np.testing.assert_allclose(stack(values, layout).detach(), expected.detach(), rtol=1e-10, atol=1e-10)


make_network = partial(_factories.make_network, n_channels=2, bidirectional=True, pooling="max", conv_filters=(4, 6, 3))


def trained_network(**changes):
    """A network with other statistics than a new one."""
    network, layout = make_network(**changes), StepLayout([6, 3])
    network(SequenceBatch(3 * drawn(layout, 2, torch.float32) + 1, np.array([6, 3])))
    return network.eval()


ROWS = np.random.default_rng(0).integers(0, 30, 70)
STEPS = torch.randn(int(ROWS.sum()), 2, generator=generator(3))
BATCH = SequenceBatch(STEPS, ROWS)


def test_features_end_with_the_mean_of_the_last_layer_over_each_row():
    lengths, n_steps = ROWS[:8], int(ROWS[:8].sum())
    network, layout = make_network().double().eval(), StepLayout(lengths)
    filtered = stack_by_loop(network.convolutions, STEPS.double()[layout.gather], layout)
    expected = torch.zeros(len(lengths), 3, dtype=torch.float64)
    for row, sequence in enumerate(layout.order):
        expected[sequence] = filtered[layout.row_of_step == row].mean(dim=0)
    # They follow the pooled states, 5 units in each direction.
    found = network.features(SequenceBatch(STEPS[:n_steps], lengths))[:, 10:]
    np.testing.assert_allclose(found.detach(), expected.detach(), rtol=1e-10, atol=1e-10)


def test_number_of_parameters():
    with_filters, without = (
        sum(parameter.numel() for parameter in make_network(conv_filters=filters).parameters())
        for filters in ((4, 6, 3), ())
    )
    # Widths 15, 9, 5 and a bias per filter; the last layer's three features go to three classes.
    assert with_filters - without == (4 * 2 * 15 + 4) + (6 * 4 * 9 + 6) + (3 * 6 * 5 + 3) + 3 * 3


def test_empty_rows_and_gradients_of_every_weight():
    network = make_network()
    logits = network(BATCH)
    empty = np.flatnonzero(ROWS == 0)
    assert len(empty) and torch.equal(logits[empty], network.head.bias.expand(len(empty), 3))
    assert torch.equal(network(SequenceBatch(STEPS[:0], np.array([0, 0]))), network.head.bias.expand(2, 3))
    (logits * torch.arange(3.0)).sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in network.parameters())


def test_from_arrays_restores_the_running_statistics():
    network = trained_network()
    rebuilt = Network.from_arrays(network.config, network.to_arrays())
    assert torch.equal(rebuilt(BATCH), network(BATCH))
    assert rebuilt.convolutions.layers[0].n_batches == 1
    fresh = make_network().eval()
    assert not torch.equal(rebuilt(BATCH), fresh(BATCH))
