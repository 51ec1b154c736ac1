"""The network: parameter counts, kernels exchanged under it, padding-free arithmetic, dropout at every depth."""

import copy

import numpy as np
import pytest
import torch

from seqclf import _kernels
from seqclf._native import library
from seqclf._nn import POOLINGS, Network


def make_network(seed=0, **changes):
    config = {
        "n_outputs": 3,
        "vocab_size": 11,
        "embedding_dim": 4,
        "n_channels": 0,
        "cell": "lstm",
        "units": (5,),
        "bidirectional": False,
        "pooling": "last",
        "activation": "tanh",
        "dropout": 0.0,
        "recurrent_dropout": 0.0,
        "token_dropout": 0.0,
    }
    return Network(**(config | changes)).reset_parameters(torch.Generator().manual_seed(seed))


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
LENGTHS = [3, 0, 5, 2]


def numbers_and_ids(network):
    if network.config["vocab_size"] is None:
        values = torch.randn(10, network.config["n_channels"], generator=torch.Generator().manual_seed(5))
        return values.to(network.head.weight.dtype)
    return IDS


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
    for kernel in ("reference", "torch_native"):
        with _kernels.use(kernel):
            logits = network(numbers_and_ids(network), LENGTHS)
            weight = torch.arange(1.0, logits.numel() + 1, dtype=torch.float64).reshape(logits.shape)
            gradients = torch.autograd.grad((logits * weight).sum(), list(network.parameters()))
        results[kernel] = [logits.detach(), *gradients]
    for ours, theirs in zip(results["torch_native"], results["reference"], strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-10, atol=1e-10)
    assert all(gradient.abs().sum() > 0 for gradient in gradients)


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_each_sequence_alone_gives_its_row(pooling, bidirectional):
    network = make_network(pooling=pooling, bidirectional=bidirectional, units=(5, 3), cell="gru").double().eval()
    together = network(IDS, LENGTHS)
    alone = torch.cat([network(ids, [len(ids)]) for ids in IDS.split(LENGTHS)])
    np.testing.assert_allclose(together.detach().numpy(), alone.detach().numpy(), rtol=1e-12, atol=1e-12)


def test_an_empty_sequence_gets_the_bias_of_the_head():
    network = make_network(pooling="max", bidirectional=True)
    with torch.no_grad():
        network.head.bias.copy_(torch.tensor([1.0, 2.0, 3.0]))
    assert torch.equal(network(IDS, LENGTHS)[1], network.head.bias)
    only_empty = network(IDS[:0], [0, 0])
    assert torch.equal(only_empty, network.head.bias.expand(2, 3))


def by_hand(network, ids, beside=None):
    """Forward half and reverse half of a bidirectional lstm, and what each pooling makes of them."""
    vectors = network.embedding.weight[ids]
    if beside is not None:
        vectors = torch.cat((vectors, beside), dim=1)
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
    else:
        module = network.pooling
        scores = torch.tanh(states @ module.weight.T + module.bias) @ module.query
        pooled = scores.softmax(dim=0) @ states
    expected = network.head(pooled)
    # Another, longer sequence beside it makes padding where a kernel pads.
    found = network(torch.cat((torch.tensor([5] * 9), ids)), [9, 4])[1]
    np.testing.assert_allclose(found.detach().numpy(), expected.detach().numpy(), rtol=1e-12, atol=1e-12)


# Numbers beside the token ids


def numbers_beside(network, seed=7, n_steps=10):
    numbers = torch.randn(n_steps, network.n_beside, generator=torch.Generator().manual_seed(seed))
    return numbers.to(network.head.weight.dtype)


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_numbers_beside_by_hand(n_outputs):
    """They stand beside the vector of each token, and ten times their mean beside the pooled states."""
    network = make_network(n_outputs=n_outputs, n_channels=6, pooling="max", bidirectional=True).double().eval()
    assert network.recurrent.layers[0].directions[0].weight_input.shape[1] == 4 + 6
    ids, beside = torch.tensor([3, 7, 2, 9]), numbers_beside(network, n_steps=4)
    states = torch.cat(by_hand(network, ids, beside), dim=1)
    expected = network.head(torch.cat((states.max(dim=0).values, 10 * beside.mean(dim=0))))
    others = numbers_beside(network, seed=8, n_steps=9)
    found = network(torch.cat((torch.tensor([5] * 9), ids)), [9, 4], beside=torch.cat((others, beside)))[1]
    np.testing.assert_allclose(found.detach().numpy(), expected.detach().numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kernel", ["reference", "torch_native", "cpu"])
@pytest.mark.parametrize("n_channels", [0, 6])
@pytest.mark.parametrize("embedding_dim", [4, None])
def test_sequences_may_lie_anywhere_in_the_data(embedding_dim, n_channels, kernel):
    """In any order, twice, and with numbers that are looked up: the same bits as end to end, gradients too."""
    if kernel == "cpu" and not library.available()[0]:
        pytest.skip(library.available()[1])
    network = make_network(embedding_dim=embedding_dim, n_channels=n_channels, bidirectional=True)
    rng = np.random.default_rng(0)
    data = torch.from_numpy(np.stack([IDS, *rng.integers(0, 7, (2, 10))], axis=1).astype(np.int32))
    starts, lengths, versions = np.array([6, 0, 2, 6, 9]), np.array([4, 0, 5, 4, 1]), np.array([0, 1, 1, 0, 2])
    spans = [slice(start, start + length) for start, length in zip(starts, lengths, strict=True)]
    asked = beside = None
    if n_channels:
        tables = tuple(torch.from_numpy(rng.standard_normal((3, 7, 3)).astype(np.float32)) for _ in range(2))
        asked = _kernels.LookUp(data[:, 1:], tables, versions)
        entries = torch.cat([data[span, 1:] for span in spans])
        version = torch.from_numpy(np.repeat(versions, lengths))
        beside = torch.cat([table[version, column] for table, column in zip(tables, entries.T, strict=True)], dim=1)
    results = []
    with _kernels.use(kernel):
        for values, numbers, places in (
            (torch.cat([IDS[span] for span in spans]), beside, None),
            (data[:, 0], asked, starts),
        ):
            logits = network(values, lengths, beside=numbers, starts=places)
            results.append([logits, *torch.autograd.grad((logits**2).sum(), list(network.parameters()))])
    for ours, theirs in zip(*results, strict=True):
        assert torch.equal(ours, theirs)
    assert torch.equal(results[0][0][0], results[0][0][3]) or kernel != "cpu"


@pytest.mark.parametrize("cell", _kernels.CELLS)
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("inputs", [{}, {"embedding_dim": None}], ids=["embedding", "one-hot"])
def test_numbers_beside_on_every_kernel(cell, pooling, inputs):
    """Logits and gradients in float32 on each kernel, against the definition in float64."""
    results = {}
    for kernel in ("reference", "torch_native", "cpu"):
        if kernel == "cpu" and not library.available()[0]:
            continue
        network = make_network(cell=cell, pooling=pooling, bidirectional=True, units=(5, 3), n_channels=6, **inputs)
        network = network.double() if kernel == "reference" else network
        with _kernels.use(kernel):
            logits = network(IDS, LENGTHS, beside=numbers_beside(network))
            weight = torch.arange(1.0, logits.numel() + 1).reshape(logits.shape)
            gradients = torch.autograd.grad((logits * weight).sum(), list(network.parameters()))
        results[kernel] = [logits.detach(), *gradients]
    for kernel in results.keys() - {"reference"}:
        for ours, theirs in zip(results[kernel], results["reference"], strict=True):
            np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=2e-4, atol=2e-4, err_msg=kernel)


@pytest.mark.parametrize("embedding_dim", [4, None])
def test_numbers_beside_reach_the_recurrence_and_the_head(embedding_dim):
    """Each step's numbers go both ways, beside vectors and beside one-hot ids."""
    network = make_network(n_outputs=1, embedding_dim=embedding_dim, n_channels=2, pooling="mean").double()
    beside = numbers_beside(network).requires_grad_()
    (both,) = torch.autograd.grad(network(IDS, LENGTHS, beside=beside).sum(), beside)
    through_the_head = 10 / torch.tensor(LENGTHS).double().repeat_interleave(torch.tensor(LENGTHS))
    through_the_recurrence = (both - through_the_head[:, None]).abs()
    assert through_the_recurrence.min() > 1e-6


@pytest.mark.parametrize(("n_outputs", "n_channels"), [(1, 1), (1, 3), (3, 3), (3, 9), (20, 40)])
def test_the_head_starts_as_a_vote(n_outputs, n_channels):
    """N-grams of each length vote, each number for the class that it speaks of; the states have weights of chance."""
    network = make_network(n_outputs=n_outputs, n_channels=n_channels)
    votes = network.head.weight.detach()[:, 5:]
    assert votes.shape == (n_outputs, n_channels)
    for order in votes.split(n_outputs, dim=1):
        assert torch.equal(order, torch.eye(n_outputs))
    states = network.head.weight.detach()[:, :5]
    assert states.abs().min() > 0 and states.std() > 0.05
    assert not network.head.bias.any()


def test_an_empty_sequence_gets_the_bias_beside_numbers_too():
    network = make_network(n_channels=3, pooling="max", bidirectional=True)
    with torch.no_grad():
        network.head.bias.copy_(torch.tensor([1.0, 2.0, 3.0]))
    logits = network(IDS, LENGTHS, beside=numbers_beside(network))
    assert torch.equal(logits[1], network.head.bias) and not torch.equal(logits[0], network.head.bias)
    only_empty = network(IDS[:0], [0, 0], beside=numbers_beside(network)[:0])
    assert torch.equal(only_empty, network.head.bias.expand(2, 3))


def test_votes_are_added_to_the_logits():
    """Each class's own, times a weight that starts at 1; and the means of the numbers beside tokens are left out."""
    network = make_network(n_outputs=3, n_channels=6, votes=True)
    plain = make_network(n_outputs=3, n_channels=6)
    assert plain.head.in_features - network.head.in_features == 6
    np.testing.assert_array_equal(network.vote_weights.detach(), 1)
    votes = torch.randn(len(LENGTHS), 3, generator=torch.Generator().manual_seed(0))
    beside = numbers_beside(network)
    without = network(IDS, LENGTHS, beside=beside, votes=torch.zeros_like(votes))
    np.testing.assert_allclose((network(IDS, LENGTHS, beside=beside, votes=votes) - without).detach(), votes, atol=1e-5)
    with torch.no_grad():
        network.vote_weights.copy_(torch.tensor([2.0, 0.0, -1.0]))
    weighted = (network(IDS, LENGTHS, beside=beside, votes=votes) - without).detach()
    np.testing.assert_allclose(weighted, votes * torch.tensor([2.0, 0.0, -1.0]), atol=1e-5)
    network(IDS, LENGTHS, beside=beside, votes=votes).sum().backward()
    np.testing.assert_allclose(network.vote_weights.grad, votes.sum(dim=0), rtol=1e-5)


@pytest.mark.parametrize("built_for_votes", [False, True])
def test_votes_where_there_should_be_none_and_the_other_way_round(built_for_votes):
    network = make_network(n_outputs=3, votes=built_for_votes)
    votes = None if built_for_votes else torch.zeros(len(LENGTHS), 3)
    given = "are missing" if built_for_votes else "were given"
    with pytest.raises(ValueError, match=f"votes {given}, but the network was built with votes={built_for_votes}"):
        network(IDS, LENGTHS, votes=votes)


def test_numbers_beside_are_never_dropped():
    """Neither by the dropout of features nor with the token that they stand beside."""
    network = make_network(n_outputs=1, n_channels=2, dropout=0.9, token_dropout=0.9)
    with torch.no_grad():
        network.head.weight[:, :5] = 0
    beside = numbers_beside(network)
    network.train()
    logits = [network(IDS, LENGTHS, torch.Generator().manual_seed(seed), beside) for seed in (0, 1)]
    assert torch.equal(*logits)
    expected = [10 * part.mean(dim=0).sum() if len(part) else torch.tensor(0.0) for part in beside.split(LENGTHS)]
    np.testing.assert_allclose(logits[0].detach()[:, 0], torch.stack(expected), rtol=1e-5)


@pytest.mark.parametrize(("built_for", "given"), [(0, 3), (3, 0), (3, 2), (3, 6)])
def test_other_numbers_than_the_network_was_built_for(built_for, given):
    network = make_network(n_channels=built_for)
    beside = torch.zeros(len(IDS), given) if given else None
    with pytest.raises(ValueError, match=f"beside holds {given} numbers a step, but .* built for {built_for}"):
        network(IDS, LENGTHS, beside=beside)
    series = make_network(vocab_size=None, n_channels=3)
    with pytest.raises(ValueError, match=r"built for 0"):
        series(torch.zeros(10, 3), LENGTHS, beside=torch.zeros(10, 1))


# Dropout


def logits_twice(network, seeds):
    network.train()
    return [network(numbers_and_ids(network), LENGTHS, torch.Generator().manual_seed(seed)) for seed in seeds]


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
    values = numbers_and_ids(network)
    assert torch.equal(network(values, LENGTHS), plain.eval()(values, LENGTHS))


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
    assert torch.equal(rebuilt(IDS, LENGTHS), network(IDS, LENGTHS))
    assert not rebuilt.training
    with torch.no_grad():
        rebuilt.head.bias += 1
    assert not torch.equal(rebuilt.head.bias, network.head.bias)


def test_the_network_is_an_ordinary_module():
    network = make_network(cell="gru")
    twin = copy.deepcopy(network)
    twin.load_state_dict(network.state_dict())
    assert torch.equal(twin(IDS, LENGTHS), network(IDS, LENGTHS))
    assert "gru, 4 -> 5, forward" in repr(network) and "tanh" in repr(network)
