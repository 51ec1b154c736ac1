"""The network: parameter counts, kernels exchanged under it, padding-free arithmetic, dropout at every depth."""

import copy

import numpy as np
import pytest
import torch

import _factories
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
def test_parameters_equal_the_equations(expected, changes):
    assert n_parameters(**changes) == expected


IDS = torch.tensor([3, 4, 5, 2, 9, 9, 1, 10, 2, 3])
LENGTHS = np.array([3, 0, 5, 2])
BATCH = SequenceBatch(IDS, LENGTHS)


def batch_for(network):
    """Numbers or ids."""
    if network.config.vocab_size is None:
        values = torch.randn(10, network.config.n_channels, generator=torch.Generator().manual_seed(5))
        return SequenceBatch(values.to(network.head.weight.dtype), LENGTHS)
    return BATCH


@pytest.mark.parametrize("cell", _kernels.CELLS)
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(
    "inputs",
    [{}, {"embedding_dim": None}, {"vocab_size": None, "n_channels": 2}],
    ids=["embedding", "one-hot", "channels"],
)
def test_kernels_agree_through_the_whole_network(cell, pooling, bidirectional, inputs):
    """Two layers, ragged lengths: logits and the gradients of all weights, reference against torch's own."""
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
def test_each_sequence_alone_gives_its_row(pooling, bidirectional):
    network = make_network(pooling=pooling, bidirectional=bidirectional, units=(5, 3), cell="gru").double().eval()
    together = network(BATCH)
    alone = torch.cat([network(SequenceBatch(ids, np.array([len(ids)]))) for ids in IDS.split(LENGTHS.tolist())])
    np.testing.assert_allclose(together.detach().numpy(), alone.detach().numpy(), rtol=1e-12, atol=1e-12)


def test_an_empty_sequence_gets_the_bias_of_the_head():
    network = make_network(pooling="max", bidirectional=True)
    with torch.no_grad():
        network.head.bias.copy_(torch.tensor([1.0, 2.0, 3.0]))
    assert torch.equal(network(BATCH)[1], network.head.bias)
    only_empty = network(SequenceBatch(IDS[:0], np.array([0, 0])))
    assert torch.equal(only_empty, network.head.bias.expand(2, 3))


def by_hand(network, ids, step_features=None):
    """Forward half and reverse half of a bidirectional lstm, and what each pooling makes of them."""
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
        pytest.fail(f"no equation of {pooling} is here")
    expected = network.head(pooled, None)
    # Another, longer sequence beside it makes padding where a kernel pads.
    found = network(SequenceBatch(torch.cat((torch.tensor([5] * 9), ids)), np.array([9, 4])))[1]
    np.testing.assert_allclose(found.detach().numpy(), expected.detach().numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("pooling", [*POOLINGS, None])
def test_states_by_hand(pooling):
    """Of every step, in the order of the batch, whatever is made of them."""
    network = make_network(pooling=pooling, bidirectional=True).double().eval()
    expected = [torch.cat(by_hand(network, ids), dim=1) for ids in IDS.split(LENGTHS.tolist()) if len(ids)]
    found = network.states(BATCH)
    np.testing.assert_allclose(found.detach().numpy(), torch.cat(expected).detach().numpy(), rtol=1e-12, atol=1e-12)
    assert network.states(SequenceBatch(IDS[:0], np.array([0, 0]))).shape == (0, 10)


# Step features: numbers next to the token ids


def features_for(network, seed=7, n_steps=10):
    numbers = torch.randn(n_steps, network.config.n_step_features, generator=torch.Generator().manual_seed(seed))
    return numbers.to(network.head.weight.dtype)


def batch_with(step_features, scores=None):
    return SequenceBatch(IDS, LENGTHS, step_features=step_features, scores=scores)


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_step_features_by_hand(n_outputs):
    """They stand beside the vector of each token, and ten times their mean beside the pooled states."""
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
def test_sequences_may_lie_anywhere_in_the_data(embedding_dim, n_step_features, kernel):
    """In any order, twice, and with numbers that are looked up: the same bits as end to end, gradients too."""
    if kernel == "cpu" and not library.available()[0]:
        pytest.skip(library.available()[1])
    network = make_network(embedding_dim=embedding_dim, n_step_features=n_step_features, bidirectional=True)
    rng = np.random.default_rng(0)
    data = torch.from_numpy(np.stack([IDS, *rng.integers(0, 7, (2, 10))], axis=1).astype(np.int32))
    starts, lengths, versions = np.array([6, 0, 2, 6, 9]), np.array([4, 0, 5, 4, 1]), np.array([0, 1, 1, 0, 2])
    spans = [slice(start, start + length) for start, length in zip(starts, lengths, strict=True)]
    asked = features = None
    if n_step_features:
        tables = tuple(torch.from_numpy(rng.standard_normal((3, 7, 3)).astype(np.float32)) for _ in range(2))
        asked = _kernels.LookUp(data[:, 1:], tables, versions)
        entries = torch.cat([data[span, 1:] for span in spans])
        version = torch.from_numpy(np.repeat(versions, lengths))
        features = torch.cat([table[version, column] for table, column in zip(tables, entries.T, strict=True)], dim=1)
    results = []
    with _kernels.use(kernel):
        for batch in (
            SequenceBatch(torch.cat([IDS[span] for span in spans]), lengths, step_features=features),
            SequenceBatch(data[:, 0], lengths, starts, asked),
        ):
            logits = network(batch)
            results.append([logits, *torch.autograd.grad((logits**2).sum(), list(network.parameters()))])
            of_rows = network.features(batch)
    for ours, theirs in zip(*results, strict=True):
        assert torch.equal(ours, theirs)
    # The same row twice. Its logits are torch's product, whose bits may depend on the position of a row.
    assert torch.equal(of_rows[0], of_rows[3]) or kernel != "cpu"
    assert torch.allclose(results[0][0][0], results[0][0][3], rtol=1e-5)


@pytest.mark.parametrize("cell", _kernels.CELLS)
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("inputs", [{}, {"embedding_dim": None}], ids=["embedding", "one-hot"])
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
def test_step_features_reach_the_recurrence_and_the_head(embedding_dim):
    """Each step's numbers go both ways, beside vectors and beside one-hot ids."""
    network = make_network(n_outputs=1, embedding_dim=embedding_dim, n_step_features=2, pooling="mean").double()
    features = features_for(network).requires_grad_()
    (both,) = torch.autograd.grad(network(batch_with(features)).sum(), features)
    through_the_head = 10 / torch.tensor(LENGTHS).double().repeat_interleave(torch.tensor(LENGTHS))
    through_the_recurrence = (both - through_the_head[:, None]).abs()
    assert through_the_recurrence.min() > 1e-6


@pytest.mark.parametrize(("n_outputs", "n_step_features"), [(1, 1), (1, 3), (3, 3), (3, 9), (20, 40)])
def test_the_head_starts_as_a_vote(n_outputs, n_step_features):
    """N-grams of each length vote, each number for the class that it speaks of; the states have weights of chance."""
    network = make_network(n_outputs=n_outputs, n_step_features=n_step_features)
    votes = network.head.weight.detach()[:, 5:]
    assert network.head.n_means == n_step_features
    assert votes.shape == (n_outputs, n_step_features)
    for order in votes.split(n_outputs, dim=1):
        assert torch.equal(order, torch.eye(n_outputs))
    states = network.head.weight.detach()[:, :5]
    assert states.abs().min() > 0 and states.std() > 0.05
    assert not network.head.bias.any()


def test_the_head_starts_with_what_a_task_knows():
    network = make_network(n_step_features=6)
    network.head.reset_parameters(torch.Generator().manual_seed(0))
    before = network.head.weight.detach().clone()
    assert before.abs().min() > 0 and not network.head.bias.any()
    network.head.start(np.array([1.0, -2.0, 0.5]), as_sum_of_means=False)
    assert torch.equal(network.head.weight, before) and network.head.bias.tolist() == [1, -2, 0.5]
    network.head.start(np.array([0.0, 3.0, 0.0]), as_sum_of_means=True)
    assert torch.equal(network.head.weight[:, 5:], torch.eye(3).repeat(1, 2))
    assert torch.equal(network.head.weight[:, :5], before[:, :5]) and network.head.bias.tolist() == [0, 3, 0]
    assert network.head.weight.requires_grad and network.head.bias.requires_grad


def test_an_empty_sequence_gets_the_bias_with_step_features_too():
    network = make_network(n_step_features=3, pooling="max", bidirectional=True)
    with torch.no_grad():
        network.head.bias.copy_(torch.tensor([1.0, 2.0, 3.0]))
    logits = network(batch_with(features_for(network)))
    assert torch.equal(logits[1], network.head.bias) and not torch.equal(logits[0], network.head.bias)
    only_empty = network(SequenceBatch(IDS[:0], np.array([0, 0]), step_features=features_for(network)[:0]))
    assert torch.equal(only_empty, network.head.bias.expand(2, 3))


def test_scores_are_added_to_the_logits():
    """Each output's own, times a weight that starts at 1; the means of the step features keep their place."""
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


def test_means_start_without_influence_where_there_are_scores():
    """The scores say it already. Training can give the means a weight."""
    network = make_network(n_step_features=6, scores=True)
    network.head.reset_parameters(torch.Generator().manual_seed(0))
    before = network.head.weight.detach().clone()
    network.head.start(np.array([1.0, -2.0, 0.5]), as_sum_of_means=False)
    assert not network.head.weight[:, 5:].any() and torch.equal(network.head.weight[:, :5], before[:, :5])
    assert network.head.bias.tolist() == [1, -2, 0.5]
    network(batch_with(features_for(network), torch.zeros(len(LENGTHS), 3)))[:, 0].sum().backward()
    assert network.head.weight.grad[0, 5:].abs().min() > 0


def test_an_empty_sequence_gets_the_bias_and_its_scores():
    network = make_network(n_outputs=3, scores=True)
    network.head.start(np.array([1.0, 2.0, 3.0]), as_sum_of_means=False)
    scores = torch.arange(12.0).reshape(4, 3)
    assert torch.equal(network(batch_with(None, scores))[1], network.head.bias + scores[1])


@pytest.mark.parametrize("built_for_scores", [False, True])
def test_scores_where_there_should_be_none_and_the_other_way_round(built_for_scores):
    network = make_network(n_outputs=3, scores=built_for_scores)
    scores = None if built_for_scores else torch.zeros(len(LENGTHS), 3)
    given = "are missing" if built_for_scores else "were given"
    with pytest.raises(ValueError, match=f"scores {given}, but the network was built with scores={built_for_scores}"):
        network(batch_with(None, scores))


def test_step_features_are_never_dropped():
    """Neither by the dropout of features nor with the token that they stand beside."""
    network = make_network(n_outputs=1, n_step_features=2, dropout=0.9, token_dropout=0.9)
    with torch.no_grad():
        network.head.weight[:, :5] = 0
    features = features_for(network)
    network.train()
    logits = [network(batch_with(features), torch.Generator().manual_seed(seed)) for seed in (0, 1)]
    assert torch.equal(*logits)
    parts = features.split(LENGTHS.tolist())
    expected = [10 * part.mean(dim=0).sum() if len(part) else torch.tensor(0.0) for part in parts]
    np.testing.assert_allclose(logits[0].detach()[:, 0], torch.stack(expected), rtol=1e-5)


@pytest.mark.parametrize(("built_for", "given"), [(0, 3), (3, 0), (3, 2), (3, 6)])
def test_other_step_features_than_the_network_was_built_for(built_for, given):
    network = make_network(n_step_features=built_for)
    features = torch.zeros(len(IDS), given) if given else None
    with pytest.raises(ValueError, match=f"step_features holds {given} numbers a step, but .* built for {built_for}"):
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
def test_dropout_acts_in_training_only_at_any_depth(changes, units):
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


def test_dropout_leaves_the_global_generator_alone():
    network = make_network(dropout=0.5, recurrent_dropout=0.5, token_dropout=0.5)
    before = torch.get_rng_state()
    logits_twice(network, [1])
    make_network()
    assert torch.equal(torch.get_rng_state(), before)


def test_a_new_network_has_the_documented_weights():
    network = make_network(cell="lstm", units=(6,), bidirectional=True)
    for direction in network.recurrent.layers[0].directions:
        i, f, g, o = direction.bias.detach().chunk(4)
        assert (f == 1).all() and not (i.any() or g.any() or o.any())
        for gate in direction.weight_recurrent.detach().chunk(4):
            np.testing.assert_allclose((gate @ gate.T).numpy(), np.eye(6), atol=1e-6)
    assert not torch.equal(*(d.weight_recurrent for d in network.recurrent.layers[0].directions))


def test_arrays_rebuild_the_network():
    network = make_network(cell="gru", pooling="attention", bidirectional=True).eval()
    rebuilt = Network.from_arrays(network.config, network.to_arrays())
    assert torch.equal(rebuilt(BATCH), network(BATCH))
    assert not rebuilt.training
    with torch.no_grad():
        rebuilt.head.bias += 1
    assert not torch.equal(rebuilt.head.bias, network.head.bias)


def test_the_network_is_an_ordinary_module():
    network = make_network(cell="gru")
    twin = copy.deepcopy(network)
    twin.load_state_dict(network.state_dict())
    assert torch.equal(twin(BATCH), network(BATCH))
    assert "gru, 4 -> 5, forward" in repr(network) and "tanh" in repr(network)
