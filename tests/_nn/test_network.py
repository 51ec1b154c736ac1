"""The network: parameter counts, agreement of the kernels, equations by hand, step features, scores and dropout."""

import copy

import numpy as np
import pytest
import torch

import _factories
from _sampling import sampled
from seqclf import _kernels
from seqclf._kernels import torch_native
from seqclf._native import library
from seqclf._nn.network import Network
from seqclf._nn.pooling import POOLINGS
from seqclf._nn.sequence_batch import SequenceBatch


def make_network(seed=0, **changes):
    config = {"vocab_size": 11, "embedding_dim": 4, "cell": "lstm", "token_dropout": 0.0}
    network = _factories.make_network(seed, **(config | changes))
    network.head.start(np.zeros(network.head.n_outputs), as_sum_of_means=True)
    return network


def n_parameters(**changes):
    return sum(
        p.numel() for p in make_network(n_outputs=1, bidirectional=False, pooling="last", **changes).parameters()
    )


@pytest.mark.parametrize(
    ("expected", "changes"),
    [
        (4_081, {"vocab_size": 500, "embedding_dim": None, "cell": "rnn", "units": (8,)}),
        (8_209, {"vocab_size": 500, "embedding_dim": 16, "cell": "rnn", "units": (8,)}),
        (160_809, {"vocab_size": 10_000, "embedding_dim": 16, "cell": "lstm", "units": (8,)}),
        (161_065, {"vocab_size": 10_000, "embedding_dim": 16, "cell": "gru", "units": (8, 8)}),
    ],
)
def test_number_of_parameters(expected, changes):
    assert n_parameters(**changes) == expected


IDS = torch.tensor([3, 4, 5, 2, 9, 9, 1, 10, 2, 3])
LENGTHS = np.array([3, 0, 5, 2])
BATCH = SequenceBatch(IDS, LENGTHS)


def batch_for(network):
    """A batch of values or of ids, as the network needs it."""
    if network.config.vocab_size is None:
        values = torch.randn(10, network.config.n_channels, generator=torch.Generator().manual_seed(5))
        return SequenceBatch(values.to(network.head.weight.dtype), LENGTHS)
    return BATCH


INPUTS = {"embedding": {}, "one-hot": {"embedding_dim": None}, "values": {"vocab_size": None, "n_channels": 2}}


@sampled(
    {
        "cell": list(_kernels.CELLS),
        "pooling": list(POOLINGS),
        "bidirectional": [False, True],
        "inputs": INPUTS,
    },
    n_quick=12,
)
def test_network_on_torch_native_equals_reference(cell, pooling, bidirectional, inputs):
    """Logits and the gradients of all weights, with two layers and ragged lengths."""
    network = make_network(cell=cell, pooling=pooling, bidirectional=bidirectional, units=(5, 3), **inputs).double()
    results = {}
    for kernel in ("reference", "torch_native") if torch_native.supports(cell, "tanh") else ("reference",):
        with _kernels.use(kernel):
            logits = network(batch_for(network))
            weight = torch.arange(1.0, logits.numel() + 1, dtype=torch.float64).reshape(logits.shape)
            gradients = torch.autograd.grad((logits * weight).sum(), list(network.parameters()))
        results[kernel] = [logits.detach(), *gradients]
    for found in results.values():
        for ours, theirs in zip(found, results["reference"], strict=True):
            np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-10, atol=1e-10)
    for (name, _), gradient in zip(network.named_parameters(), gradients, strict=True):
        assert gradient.abs().sum() > 0, f"{name} has no gradient"


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_network_does_not_depend_on_other_sequences(pooling, bidirectional):
    network = make_network(pooling=pooling, bidirectional=bidirectional, units=(5, 3), cell="gru").double().eval()
    together = network(BATCH)
    alone = torch.cat([network(SequenceBatch(ids, np.array([len(ids)]))) for ids in IDS.split(LENGTHS.tolist())])
    np.testing.assert_allclose(together.detach().numpy(), alone.detach().numpy(), rtol=1e-12, atol=1e-12)


def test_output_of_an_empty_sequence_is_the_bias():
    network = make_network(pooling="max", bidirectional=True)
    with torch.no_grad():
        network.head.bias.copy_(torch.tensor([1.0, 2.0, 3.0]))
    assert torch.equal(network(BATCH)[1], network.head.bias)
    only_empty = network(SequenceBatch(IDS[:0], np.array([0, 0])))
    assert torch.equal(only_empty, network.head.bias.expand(2, 3))


def by_hand(network, ids, step_features=None):
    """The states of the forward and the reverse direction of a bidirectional LSTM, for one sequence."""
    vectors = network.embedding.weight[ids]
    if step_features is not None:
        vectors = torch.cat((vectors, step_features), dim=1)
    halves = []
    for direction in network.recurrent.layers[0].directions:
        hidden = memory = torch.zeros(direction.units, dtype=vectors.dtype)
        states = []
        for vector in vectors.flip(0) if direction.reverse else vectors:
            gates = direction.weight_input @ vector + direction.weight_recurrent @ hidden + direction.bias
            i, f, g, o = gates.chunk(4)
            memory = torch.sigmoid(f) * memory + torch.sigmoid(i) * torch.tanh(g)
            hidden = torch.sigmoid(o) * torch.tanh(memory)
            states.append(hidden)
        halves.append(torch.stack(states[::-1] if direction.reverse else states))
    return halves


@pytest.mark.parametrize("pooling", POOLINGS)
def test_pooling_by_hand(pooling):
    network = make_network(pooling=pooling, bidirectional=True).double().eval()
    ids = torch.tensor([3, 7, 2, 9])
    forward, reverse = by_hand(network, ids)
    states = torch.cat((forward, reverse), dim=1)
    if pooling == "last":
        pooled = torch.cat((forward[-1], reverse[0]))
    elif pooling == "mean":
        pooled = states.mean(dim=0)
    elif pooling == "max":
        pooled = states.max(dim=0).values
    elif pooling == "attention":
        module = network.pooling
        scores = torch.tanh(states @ module.weight.T + module.bias) @ module.query
        pooled = scores.softmax(dim=0) @ states
    else:
        pytest.fail(f"this test has no equation for {pooling}")
    expected = network.head(pooled, None)
    # A second, longer sequence makes padding necessary for kernels that pad.
    found = network(SequenceBatch(torch.cat((torch.tensor([5] * 9), ids)), np.array([9, 4])))[1]
    np.testing.assert_allclose(found.detach().numpy(), expected.detach().numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("pooling", [*POOLINGS, None])
def test_states_by_hand(pooling):
    """The states of every step, in the order of the batch, for every kind of pooling."""
    network = make_network(pooling=pooling, bidirectional=True).double().eval()
    expected = [torch.cat(by_hand(network, ids), dim=1) for ids in IDS.split(LENGTHS.tolist()) if len(ids)]
    found = network.states(BATCH)
    np.testing.assert_allclose(found.detach().numpy(), torch.cat(expected).detach().numpy(), rtol=1e-12, atol=1e-12)
    assert network.states(SequenceBatch(IDS[:0], np.array([0, 0]))).shape == (0, 10)


# Step features


def features_for(network, seed=7, n_steps=10):
    features = torch.randn(n_steps, network.config.n_step_features, generator=torch.Generator().manual_seed(seed))
    return features.to(network.head.weight.dtype)


def batch_with(step_features, scores=None):
    return SequenceBatch(IDS, LENGTHS, step_features=step_features, scores=scores)


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_step_features_by_hand(n_outputs):
    """They are appended to the vector of each token, and ten times their mean to the pooled states."""
    network = make_network(n_outputs=n_outputs, n_step_features=6, pooling="max", bidirectional=True).double().eval()
    assert network.recurrent.layers[0].directions[0].weight_input.shape[1] == 4 + 6
    ids, features = torch.tensor([3, 7, 2, 9]), features_for(network, n_steps=4)
    states = torch.cat(by_hand(network, ids, features), dim=1)
    expected = network.head(torch.cat((states.max(dim=0).values, 10 * features.mean(dim=0))), None)
    values = torch.cat((torch.tensor([5] * 9), ids))
    others = features_for(network, seed=8, n_steps=9)
    found = network(SequenceBatch(values, np.array([9, 4]), step_features=torch.cat((others, features))))[1]
    np.testing.assert_allclose(found.detach().numpy(), expected.detach().numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kernel", ["reference", "torch_native", "cpu"])
@pytest.mark.parametrize("n_step_features", [0, 6])
@pytest.mark.parametrize("embedding_dim", [4, None])
def test_starts_have_the_same_bits_as_concatenated_sequences(embedding_dim, n_step_features, kernel):
    """Outputs and gradients of sequences in any order, one of them twice, with looked-up features."""
    if kernel == "cpu" and not library.available()[0]:
        pytest.skip(library.available()[1])
    network = make_network(embedding_dim=embedding_dim, n_step_features=n_step_features, bidirectional=True)
    rng = np.random.default_rng(0)
    data = torch.from_numpy(np.stack([IDS, *rng.integers(0, 7, (2, 10))], axis=1).astype(np.int32))
    starts, lengths, versions = np.array([6, 0, 2, 6, 9]), np.array([4, 0, 5, 4, 1]), np.array([0, 1, 1, 0, 2])
    spans = [slice(start, start + length) for start, length in zip(starts, lengths, strict=True)]
    lookup = features = None
    if n_step_features:
        tables = tuple(torch.from_numpy(rng.standard_normal((3, 7, 3)).astype(np.float32)) for _ in range(2))
        lookup = _kernels.LookUp(data[:, 1:], tables, versions)
        entries = torch.cat([data[span, 1:] for span in spans])
        version = torch.from_numpy(np.repeat(versions, lengths))
        features = torch.cat([table[version, column] for table, column in zip(tables, entries.T, strict=True)], dim=1)
    results = []
    with _kernels.use(kernel):
        for batch in (
            SequenceBatch(torch.cat([IDS[span] for span in spans]), lengths, step_features=features),
            SequenceBatch(data[:, 0], lengths, starts, lookup),
        ):
            logits = network(batch)
            results.append([logits, *torch.autograd.grad((logits**2).sum(), list(network.parameters()))])
            features_of_rows = network.features(batch)
    for ours, theirs in zip(*results, strict=True):
        assert torch.equal(ours, theirs)
    # One sequence occurs twice. The bits of its logits can differ: torch's product can depend on the position of a row.
    assert torch.equal(features_of_rows[0], features_of_rows[3]) or kernel != "cpu"
    assert torch.allclose(results[0][0][0], results[0][0][3], rtol=1e-5)


@sampled(
    {
        "cell": list(_kernels.CELLS),
        "pooling": list(POOLINGS),
        "inputs": {"embedding": {}, "one-hot": {"embedding_dim": None}},
    },
    n_quick=8,
)
def test_step_features_on_every_kernel(cell, pooling, inputs):
    """Logits and gradients in float32 on each kernel, against the definition in float64."""
    results = {}
    for kernel in ("reference", "torch_native", "cpu"):
        if (kernel == "cpu" and not library.available()[0]) or (
            kernel == "torch_native" and not torch_native.supports(cell, "tanh")
        ):
            continue
        network = make_network(
            cell=cell, pooling=pooling, bidirectional=True, units=(5, 3), n_step_features=6, **inputs
        )
        network = network.double() if kernel == "reference" else network
        with _kernels.use(kernel):
            logits = network(batch_with(features_for(network)))
            weight = torch.arange(1.0, logits.numel() + 1).reshape(logits.shape)
            gradients = torch.autograd.grad((logits * weight).sum(), list(network.parameters()))
        results[kernel] = [logits.detach(), *gradients]
    for kernel in results.keys() - {"reference"}:
        for ours, theirs in zip(results[kernel], results["reference"], strict=True):
            np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=2e-4, atol=2e-4, err_msg=kernel)


@pytest.mark.parametrize("embedding_dim", [4, None])
def test_step_features_are_inputs_of_the_recurrence_and_the_head(embedding_dim):
    """This holds with vectors and with one-hot ids."""
    network = make_network(n_outputs=1, embedding_dim=embedding_dim, n_step_features=2, pooling="mean").double()
    features = features_for(network).requires_grad_()
    (both,) = torch.autograd.grad(network(batch_with(features)).sum(), features)
    through_the_head = 10 / torch.tensor(LENGTHS).double().repeat_interleave(torch.tensor(LENGTHS))
    through_the_recurrence = (both - through_the_head[:, None]).abs()
    assert through_the_recurrence.min() > 1e-6


def test_output_of_an_empty_sequence_is_the_bias_with_step_features():
    network = make_network(n_step_features=3, pooling="max", bidirectional=True)
    with torch.no_grad():
        network.head.bias.copy_(torch.tensor([1.0, 2.0, 3.0]))
    logits = network(batch_with(features_for(network)))
    assert torch.equal(logits[1], network.head.bias) and not torch.equal(logits[0], network.head.bias)
    only_empty = network(SequenceBatch(IDS[:0], np.array([0, 0]), step_features=features_for(network)[:0]))
    assert torch.equal(only_empty, network.head.bias.expand(2, 3))


def test_scores_are_added_with_learned_weights():
    """The weights start at 1; the means of the step features are not affected."""
    network = make_network(n_outputs=3, n_step_features=6, scores=True)
    plain = make_network(n_outputs=3, n_step_features=6)
    assert plain.head.n_features == network.head.n_features and plain.head.n_means == network.head.n_means == 6
    assert plain.head.score_weights is None
    np.testing.assert_array_equal(network.head.score_weights.detach(), 1)
    scores = torch.randn(len(LENGTHS), 3, generator=torch.Generator().manual_seed(0))
    features = features_for(network)
    zeros = torch.zeros_like(scores)
    without, scored = network(batch_with(features, zeros)), batch_with(features, scores)
    assert torch.equal(without, plain(batch_with(features)))
    np.testing.assert_allclose((network(scored) - without).detach(), scores, atol=1e-5)
    with torch.no_grad():
        network.head.score_weights.copy_(torch.tensor([2.0, 0.0, -1.0]))
    weighted = (network(scored) - without).detach()
    np.testing.assert_allclose(weighted, scores * torch.tensor([2.0, 0.0, -1.0]), atol=1e-5)
    network(scored).sum().backward()
    np.testing.assert_allclose(network.head.score_weights.grad, scores.sum(dim=0), rtol=1e-5)


def test_output_of_an_empty_sequence_is_the_bias_plus_scores():
    network = make_network(n_outputs=3, scores=True)
    network.head.start(np.array([1.0, 2.0, 3.0]), as_sum_of_means=False)
    scores = torch.arange(12.0).reshape(4, 3)
    assert torch.equal(network(batch_with(None, scores))[1], network.head.bias + scores[1])


@pytest.mark.parametrize("built_for_scores", [False, True])
def test_missing_or_unexpected_scores_raise(built_for_scores):
    network = make_network(n_outputs=3, scores=built_for_scores)
    scores = None if built_for_scores else torch.zeros(len(LENGTHS), 3)
    problem = "are missing" if built_for_scores else "were given"
    with pytest.raises(ValueError, match=f"scores {problem}, but the network was built with scores={built_for_scores}"):
        network(batch_with(None, scores))


def test_step_features_are_never_dropped():
    """Neither the dropout of features nor the dropout of their token drops them."""
    network = make_network(n_outputs=1, n_step_features=2, dropout=0.9, token_dropout=0.9)
    with torch.no_grad():
        network.head.weight[:, :5] = 0
    features = features_for(network)
    network.train()
    logits = [network(batch_with(features), torch.Generator().manual_seed(seed)) for seed in (0, 1)]
    assert torch.equal(*logits)
    by_sequence = features.split(LENGTHS.tolist())
    expected = [10 * rows.mean(dim=0).sum() if len(rows) else torch.tensor(0.0) for rows in by_sequence]
    np.testing.assert_allclose(logits[0].detach()[:, 0], torch.stack(expected), rtol=1e-5)


@pytest.mark.parametrize(("built_for", "width"), [(0, 3), (3, 0), (3, 2), (3, 6)])
def test_step_features_of_another_width_raise(built_for, width):
    network = make_network(n_step_features=built_for)
    features = torch.zeros(len(IDS), width) if width else None
    with pytest.raises(ValueError, match=f"step_features has {width} values per step, but .* built for {built_for}"):
        network(batch_with(features))
    series = make_network(vocab_size=None, n_channels=3)
    with pytest.raises(ValueError, match=r"built for 0"):
        series(SequenceBatch(torch.zeros(10, 3), LENGTHS, step_features=torch.zeros(10, 1)))


# Dropout


def logits_twice(network, seeds):
    network.train()
    return [network(batch_for(network), torch.Generator().manual_seed(seed)) for seed in seeds]


@pytest.mark.parametrize("units", [(5,), (5, 4)])
@pytest.mark.parametrize(
    "changes",
    [
        {"dropout": 0.5},
        {"dropout": 0.5, "vocab_size": None, "n_channels": 2},
        {"recurrent_dropout": 0.5},
        {"token_dropout": 0.5},
    ],
)
def test_dropout_acts_in_training_mode_only(changes, units):
    network = make_network(units=units, **changes)
    first, again, other = logits_twice(network, [1, 1, 2])
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)
    network.eval()
    plain = make_network(
        units=units, **(changes | dict.fromkeys(["dropout", "recurrent_dropout", "token_dropout"], 0.0))
    )
    batch = batch_for(network)
    assert torch.equal(network(batch), plain.eval()(batch))


def test_dropout_does_not_use_the_global_generator():
    network = make_network(dropout=0.5, recurrent_dropout=0.5, token_dropout=0.5)
    before = torch.get_rng_state()
    logits_twice(network, [1])
    make_network()
    assert torch.equal(torch.get_rng_state(), before)


def test_initial_weights_of_an_lstm():
    network = make_network(cell="lstm", units=(6,), bidirectional=True)
    for direction in network.recurrent.layers[0].directions:
        i, f, g, o = direction.bias.detach().chunk(4)
        assert (f == 1).all() and not (i.any() or g.any() or o.any())
        for gate in direction.weight_recurrent.detach().chunk(4):
            np.testing.assert_allclose((gate @ gate.T).numpy(), np.eye(6), atol=1e-6)
    assert not torch.equal(*(d.weight_recurrent for d in network.recurrent.layers[0].directions))


def test_from_arrays_inverts_to_arrays():
    network = make_network(cell="gru", pooling="attention", bidirectional=True).eval()
    rebuilt = Network.from_arrays(network.config, network.to_arrays())
    assert torch.equal(rebuilt(BATCH), network(BATCH))
    assert not rebuilt.training
    with torch.no_grad():
        rebuilt.head.bias += 1
    assert not torch.equal(rebuilt.head.bias, network.head.bias)


def test_network_supports_deepcopy_state_dict_and_repr():
    network = make_network(cell="gru")
    copied = copy.deepcopy(network)
    copied.load_state_dict(network.state_dict())
    assert torch.equal(copied(BATCH), network(BATCH))
    assert "gru, 4 -> 5, forward" in repr(network) and "tanh" in repr(network)


DROPOUT_LENGTHS = np.array([4, 0, 6, 6])
DROPOUT_IDS = torch.arange(int(DROPOUT_LENGTHS.sum())) % 9 + 1


def network_with_dropout(units, **changes):
    config = {"n_outputs": 1, "vocab_size": 12, "embedding_dim": 40, "bidirectional": True, "pooling": "max"}
    return _factories.make_network(**(config | {"dropout": 0.5, "units": units} | changes)).train()


def inputs_of(network, module):
    captured = []
    handle = module.register_forward_pre_hook(lambda module, args: captured.append(args[0]))
    network(SequenceBatch(DROPOUT_IDS, DROPOUT_LENGTHS), torch.Generator().manual_seed(1))
    handle.remove()
    return captured[0]


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_dropout_before_each_layer_is_constant_over_a_sequence(layer):
    network = network_with_dropout((20, 20, 20))
    layout = _kernels.StepLayout(DROPOUT_LENGTHS)
    inputs = inputs_of(network, network.recurrent.layers[layer])
    layer_inputs = _kernels.materialize(inputs, layout).detach()
    masks = []
    for row in range(layout.n_rows):
        dropped = layer_inputs[layout.row_of_step == row] == 0
        assert (dropped == dropped[0]).all(), "one mask per sequence, constant over time"
        masks.append(dropped[0])
    fraction = torch.stack(masks).float().mean().item()
    assert 0.3 < fraction < 0.7
    assert not torch.equal(masks[0], masks[1])


def test_dropout_before_the_head():
    network = network_with_dropout((40,))
    layer_inputs = inputs_of(network, network.head).detach()
    present = layer_inputs[[0, 2, 3]]
    assert 0.3 < (present == 0).float().mean().item() < 0.7
    assert not torch.equal(present[0] == 0, present[1] == 0)


def test_numeric_inputs_are_not_dropped():
    network = network_with_dropout((8,), vocab_size=None, embedding_dim=None, n_channels=3)
    values = torch.ones(int(DROPOUT_LENGTHS.sum()), 3)
    captured = []
    network.recurrent.layers[0].register_forward_pre_hook(lambda module, args: captured.append(args[0]))
    network(SequenceBatch(values, DROPOUT_LENGTHS), torch.Generator().manual_seed(1))
    assert (captured[0].values == 1).all()
