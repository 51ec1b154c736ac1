"""Prediction without torch: batch invariance, and agreement with the torch network in float64."""

import subprocess
import sys
import textwrap
from dataclasses import replace

import numpy as np
import pytest
import torch

import _factories
from _sampling import sampled
from seqclf._cells import ACTIVATIONS, CELLS
from seqclf._data.encoded import EncodedSequences, StepFeatures
from seqclf._data.ragged import Ragged
from seqclf._inference.config import POOLINGS, NetworkConfig
from seqclf._inference.network import InferenceNetwork
from seqclf._inference.recurrence import Recurrence
from seqclf._kernels import LookUp
from seqclf._native import library
from seqclf._native.call import loaded
from seqclf._native.forced import use
from seqclf._native.threads import kernel_threads
from seqclf._nn import pooling as torch_pooling
from seqclf._nn.sequence_batch import SequenceBatch

N_IDS, N_CHANNELS, N_OUTPUTS = 30, 3, 3
LENGTHS = np.random.default_rng(0).integers(0, 25, 24)
# The kinds of inputs of a network.
INPUTS = {
    "embedding": {"vocab_size": N_IDS, "embedding_dim": 12},
    "one-hot": {"vocab_size": N_IDS},
    "embedding and features": {"vocab_size": N_IDS, "embedding_dim": 12, "n_step_features": 4},
    "one-hot and features": {"vocab_size": N_IDS, "n_step_features": 4},
    "embedding, features, filters": {
        "vocab_size": N_IDS,
        "embedding_dim": 12,
        "n_step_features": 4,
        "conv_filters": (5, 8),
    },
    "values": {"n_channels": N_CHANNELS},
    "values and filters": {"n_channels": N_CHANNELS, "conv_filters": (5, 8)},
    "values and scores": {"n_channels": N_CHANNELS, "scores": True},
}

compiled = pytest.mark.skipif(not library.available()[0], reason="the compiled kernels are not installed")
KINDS = [*POOLINGS, None]
ALL_POOLINGS = pytest.mark.parametrize("pooling", KINDS)


@pytest.fixture
def make_network():
    """A function that makes a torch network with weights like those of a trained one."""

    def make(**changes):
        settings = {"n_outputs": N_OUTPUTS, "units": (9, 16), "bidirectional": True, "pooling": "max"}
        settings |= {"dropout": 0.5, "recurrent_dropout": 0.5}
        generator = torch.Generator().manual_seed(1)
        network = _factories.make_network(**(settings | changes)).eval()
        with torch.no_grad():
            for name, tensor in network.state_dict().items():
                if name.endswith(("bias", "bias_recurrent", "mean", "score_weights")):
                    tensor.normal_(std=0.1, generator=generator)
                elif name.endswith("variance"):
                    tensor.uniform_(0.1, 2.0, generator=generator)
        return network

    return make


@pytest.fixture
def make_inference_network():
    """A function that makes an InferenceNetwork with the weights of a torch network."""
    return lambda network: InferenceNetwork(network.config, weights_of(network))


@pytest.fixture
def make_sequences():
    """A function that makes sequences of the given lengths for a network."""

    def make(config, lengths=LENGTHS, seed=1):
        rng, lengths = np.random.default_rng(seed), np.asarray(lengths, dtype=np.int64)
        n, features, scores = int(lengths.sum()), None, None
        if config.vocab_size is None:
            values = rng.normal(size=(n, config.n_channels)).astype(np.float32)
        else:
            values = rng.integers(0, config.vocab_size, n).astype(np.int32)
        if config.n_step_features:
            tables = tuple(rng.normal(size=(2, 9, n)).astype(np.float32) for n in (1, config.n_step_features - 1))
            entries = rng.integers(0, 9, (n, 2)).astype(np.int32)
            features = StepFeatures(entries, tables, rng.integers(0, 2, len(lengths)))
        if config.scores:
            scores = rng.normal(size=(len(lengths), config.n_outputs)).astype(np.float32)
        return EncodedSequences(Ragged(values, lengths), features, scores)

    return make


def weights_of(network):
    """The weights of a torch network as arrays that share its memory."""
    return {name: tensor.detach().numpy() for name, tensor in network.state_dict().items()}


def values_of(outputs):
    return outputs.values if isinstance(outputs, Ragged) else outputs


def batch_of(sequences):
    """The sequences as a batch for the torch network."""
    features = sequences.features
    lookup = None
    if features is not None:
        tables = tuple(torch.from_numpy(table) for table in features.tables)
        lookup = LookUp(torch.from_numpy(features.entries), tables, features.version)
    starts = sequences.steps.offsets[:-1]
    scores = None if sequences.scores is None else torch.from_numpy(sequences.scores)
    return SequenceBatch(torch.from_numpy(sequences.steps.values), sequences.lengths, starts, lookup, scores)


def torch_outputs_and_states(network, sequences):
    """Outputs and states of the torch network on the reference in float64."""
    with use("reference"), torch.no_grad():
        network, batch = network.double(), batch_of(sequences)
        return network(batch).numpy(), network.states(batch).numpy()


def without_scores_per_step(inputs, pooling):
    return inputs | {"scores": False} if pooling is None else inputs


@sampled({"pooling": KINDS, "inputs": INPUTS, "bidirectional": [False, True]}, n_quick=16)
def test_numpy_equals_torch_in_float64(
    make_network, make_sequences, make_inference_network, pooling, inputs, bidirectional
):
    network = make_network(pooling=pooling, bidirectional=bidirectional, **without_scores_per_step(inputs, pooling))
    sequences = make_sequences(network.config)
    with use("reference"):
        found = make_inference_network(network)
        outputs, states = values_of(found.outputs(sequences)), found.states(sequences).values
    expected, expected_states = torch_outputs_and_states(network, sequences)
    assert outputs.dtype == np.float64 and states.dtype == np.float32
    np.testing.assert_allclose(outputs, expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(states, expected_states.astype(np.float32), rtol=0, atol=1e-7)


@sampled({"cell": list(CELLS), "activation": list(ACTIVATIONS), "inputs": INPUTS})
def test_every_cell_and_activation_in_numpy_equals_torch_in_float64(
    make_network, make_sequences, make_inference_network, cell, activation, inputs
):
    network = make_network(cell=cell, activation=activation, **inputs)
    sequences = make_sequences(network.config)
    with use("torch_native"):  # for which numpy is used too
        outputs = make_inference_network(network).outputs(sequences)
    np.testing.assert_allclose(outputs, torch_outputs_and_states(network, sequences)[0], rtol=1e-12, atol=1e-12)


@compiled
@pytest.mark.usefixtures("_every_instruction_set")
@sampled({"cell": list(CELLS), "activation": list(ACTIVATIONS), "pooling": KINDS}, n_quick=6)
def test_library_equals_numpy(make_network, make_sequences, make_inference_network, cell, activation, pooling):
    for inputs in INPUTS.values():
        network = make_network(
            cell=cell, activation=activation, pooling=pooling, **without_scores_per_step(inputs, pooling)
        )
        sequences, inference = make_sequences(network.config), make_inference_network(network)
        with use("reference"):
            in_numpy = make_inference_network(network)
            expected, states = values_of(in_numpy.outputs(sequences)), in_numpy.states(sequences).values
        np.testing.assert_allclose(values_of(inference.outputs(sequences)), expected, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(inference.states(sequences).values, states, rtol=1e-5, atol=1e-5)


@compiled
@sampled({"cell": list(CELLS), "inputs": INPUTS, "pooling": KINDS}, n_quick=16)
def test_inference_network_is_batch_invariant(
    make_network, make_sequences, make_inference_network, pooling, inputs, cell
):
    """A single row has fewer steps than ids, so the embedding is not projected; for all rows together it is."""
    network = make_network(cell=cell, pooling=pooling, **without_scores_per_step(inputs, pooling))
    sequences, inference = make_sequences(network.config), make_inference_network(network)

    def items(some, function):
        found = function(some)
        return found.items() if isinstance(found, Ragged) else found

    for function in (inference.outputs, inference.states):
        together = items(sequences, function)
        shuffled = np.random.default_rng(3).permutation(len(sequences))
        for row, found in zip(shuffled, items(sequences.take(shuffled), function), strict=True):
            assert np.array_equal(found, together[row])
        for row in range(len(sequences)):
            (alone,) = items(sequences.take([row]), function)
            assert np.array_equal(alone, together[row]), row
        with kernel_threads(3):
            assert all(map(np.array_equal, items(sequences, function), together))


@compiled
@pytest.mark.parametrize(
    ("inputs", "pooling", "functions"),
    [
        ("embedding", "max", {"gather", "project", "forward", "pool", "linear"}),
        ("one-hot", "last", {"gather", "forward", "linear"}),
        ("embedding and features", "mean", {"gather", "look_up", "project", "forward", "pool", "linear"}),
        ("values and filters", None, {"gather", "forward", "linear"}),
        ("values", "attention", {"gather", "forward", "pool", "linear"}),
    ],
)
def test_every_operation_runs_on_the_library(
    make_network, make_sequences, make_inference_network, monkeypatch, inputs, pooling, functions
):
    """The calls have the codes of the cell and the activation. numpy would give nearly the same values."""
    monkeypatch.delenv("SEQCLF_KERNELS", raising=False)
    network = make_network(cell="mgu", activation="softsign", pooling=pooling, **INPUTS[inputs])
    calls, codes, real = set(), set(), loaded()

    class Spy:
        def __getattr__(self, name):
            function = getattr(real, name)

            def spy(pointer):
                calls.add(name.removeprefix("seqclf_"))
                if name == "seqclf_forward":
                    codes.add((pointer._obj.layer.cell, pointer._obj.layer.activation))
                return function(pointer)

            return spy

    inference = make_inference_network(network)
    monkeypatch.setattr(library, "load", lambda: (Spy(), "test"))
    monkeypatch.setattr(Recurrence, "_run_numpy", lambda *_: pytest.fail("numpy ran"))
    inference.outputs(make_sequences(network.config))
    assert calls == functions
    assert (CELLS["mgu"].code, ACTIVATIONS["softsign"].code) in codes
    calls.clear()
    monkeypatch.undo()
    with use("reference"):
        in_numpy = make_inference_network(network)
        monkeypatch.setattr(library, "load", lambda: (Spy(), "test"))
        in_numpy.outputs(make_sequences(network.config))
    assert not calls


@compiled
def test_embedding_is_projected_only_if_that_is_faster(
    make_network, make_sequences, make_inference_network, monkeypatch, tune
):
    """It is faster if there are more steps than ids, and the result fits in the cache or the vectors are wide."""
    calls, project = [], Recurrence.project
    monkeypatch.setattr(Recurrence, "project", lambda *args: calls.append(args) or project(*args))
    for dim, n_steps, max_bytes, n_calls in (
        (12, 31, 30 * 4 * 27, 1),
        (12, 30, 30 * 4 * 27, 0),
        (12, 31, 30 * 4 * 27 - 1, 0),
        (64, 31, 0, 1),
        (63, 31, 0, 0),
    ):
        tune(max_cached_bytes=max_bytes)
        network = make_network(vocab_size=30, embedding_dim=dim)
        calls.clear()
        make_inference_network(network).outputs(make_sequences(network.config, [n_steps]))
        assert len(calls) == n_calls, (dim, n_steps, max_bytes)
    monkeypatch.setattr(Recurrence, "project", lambda *_: pytest.fail("filters need the vectors themselves"))
    network = make_network(vocab_size=30, embedding_dim=12, conv_filters=(3,))
    make_inference_network(network).outputs(make_sequences(network.config, [31]))


@sampled(
    {
        "pooling": KINDS,
        "inputs": INPUTS,
        "kernel": [None, "reference"],
        "lengths": [[], [0], [0, 0], [4, 0, 2]],
    },
    n_quick=24,
)
def test_outputs_of_empty_sequences(
    make_network, make_sequences, make_inference_network, pooling, inputs, kernel, lengths
):
    """The output is the bias of the head, plus weighted scores. Without pooling there are no outputs."""
    inputs = without_scores_per_step(inputs, pooling)
    network = make_network(pooling=pooling, **inputs)
    sequences = make_sequences(network.config, lengths)
    with use(kernel) if kernel else kernel_threads(1):
        outputs, states = (
            make_inference_network(network).outputs(sequences),
            make_inference_network(network).states(sequences),
        )
    assert states.lengths.tolist() == lengths and states.values.shape == (sum(lengths), 32)
    assert values_of(outputs).shape == (sum(lengths) if pooling is None else len(lengths), 3)
    if pooling is None:
        return
    expected = network.head.bias.detach().numpy()
    for row in np.flatnonzero(np.array(lengths) == 0):
        weighted_scores = (
            sequences.scores[row] * network.head.score_weights.detach().numpy() if inputs.get("scores") else 0
        )
        np.testing.assert_allclose(outputs[row], expected + weighted_scores, rtol=1e-6)


@pytest.mark.parametrize("rows", [1, 17])
@ALL_POOLINGS
def test_outputs_do_not_depend_on_the_batch_size(
    make_network, make_sequences, make_inference_network, tune, pooling, rows
):
    network = make_network(pooling=pooling, **INPUTS["embedding and features"])
    sequences, inference = make_sequences(network.config), make_inference_network(network)
    expected = values_of(inference.outputs(sequences)), inference.states(sequences).values
    tune(prediction_rows=rows)
    for found, once in zip(
        (values_of(inference.outputs(sequences)), inference.states(sequences).values), expected, strict=True
    ):
        assert np.array_equal(found, once) or not library.available()[0]
        np.testing.assert_allclose(found, once, rtol=0, atol=1e-12)


def test_weights_and_ids_of_any_memory_layout(make_network, make_sequences, make_inference_network):
    network = make_network(**INPUTS["embedding and features"])
    sequences, inference = make_sequences(network.config), make_inference_network(network)
    expected = inference.outputs(sequences)
    weights = {name: np.asfortranarray(array) for name, array in weights_of(network).items()}
    for array in weights.values():
        array.flags.writeable = False
    assert np.array_equal(InferenceNetwork(network.config, weights).outputs(sequences), expected)
    wide = Ragged(np.repeat(sequences.steps.values.astype(np.int64), 2)[::2], sequences.lengths)
    assert np.array_equal(inference.outputs(replace(sequences, steps=wide)), expected)


def test_weights_are_not_copied(make_network, make_inference_network):
    network = make_network(**INPUTS["embedding"])
    inference = make_inference_network(network)
    if not library.available()[0]:
        pytest.skip("numpy converts the weights to float64")
    for index, layer in enumerate(inference._layers):
        for direction, weights in enumerate(layer.directions):
            theirs = network.recurrent.layers[index].directions[direction]
            assert np.shares_memory(weights.input, theirs.weight_input.detach().numpy())
            assert np.shares_memory(weights.recurrent, theirs.weight_recurrent.detach().numpy())
    assert np.shares_memory(inference._embedding, network.embedding.weight.detach().numpy())


def test_unexpected_weights_raise(make_network):
    network = make_network(**INPUTS["values"])
    weights = weights_of(network)
    for changes, message in (
        ({"head.bias": None}, r"missing or unexpected: \['head.bias'\]"),
        ({"embedding.weight": np.zeros((3, 3), np.float32)}, r"\['embedding.weight'\]"),
        ({"head.bias": np.zeros(4, np.float32)}, r"'head.bias' is float32 of shape \(4,\); expected .* \(3,\)"),
        ({"head.bias": np.zeros(3)}, "'head.bias' is float64"),
        ({"head.bias": np.zeros(3, ">f4")}, "'head.bias' is >f4"),
        ({"head.bias": [0.0, 0.0, 0.0]}, "'head.bias' is <class 'list'>"),
    ):
        changed = {name: array for name, array in (weights | changes).items() if array is not None}
        with pytest.raises(ValueError, match=message):
            InferenceNetwork(network.config, changed)


@pytest.mark.parametrize("kernel", [None, "reference"])
def test_unexpected_inputs_raise(make_network, make_sequences, make_inference_network, kernel):
    with use(kernel) if kernel else kernel_threads(1):
        network = make_network(**INPUTS["embedding and features"])
        sequences, inference = make_sequences(network.config), make_inference_network(network)
        with pytest.raises(ValueError, match="step_features has 0 values per step, but the network was built for 4"):
            inference.outputs(replace(sequences, features=None))
        with pytest.raises(ValueError, match="scores were given, but the network was built with scores=False"):
            inference.outputs(replace(sequences, scores=np.zeros((len(sequences), 3), dtype=np.float32)))
        for token in (-1, 30):
            ids = sequences.steps.values.copy()
            ids[5] = token
            for some in (sequences, sequences.take([0, 1])):
                with pytest.raises(IndexError, match=f"{token}.*expected 0 to 29"):
                    inference.outputs(replace(some, steps=Ragged(ids[: some.steps.n_steps], some.lengths)))
        network = make_network(**INPUTS["values and scores"])
        with pytest.raises(ValueError, match="scores are missing, but the network was built with scores=True"):
            make_inference_network(network).outputs(replace(make_sequences(network.config), scores=None))
        narrow = EncodedSequences(Ragged(np.zeros((5, 2), np.float32), np.array([5])))
        with pytest.raises(ValueError, match="do not match"):
            make_inference_network(make_network(**INPUTS["values"])).outputs(narrow)


@compiled
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_infinity_stay_in_their_row(make_network, make_sequences, make_inference_network, pooling, bad):
    network = make_network(pooling=pooling, **INPUTS["values and filters"])
    sequences = make_sequences(network.config)
    row = int(np.flatnonzero(LENGTHS > 3)[0])
    values = sequences.steps.values.copy()
    values[sequences.steps.offsets[row] + 1] = bad
    outputs = make_inference_network(network).outputs(replace(sequences, steps=Ragged(values, sequences.lengths)))
    others = np.delete(outputs, row, axis=0)
    assert np.isfinite(others).all()
    assert np.array_equal(others, np.delete(make_inference_network(network).outputs(sequences), row, axis=0))


def test_cell_that_the_library_does_not_support_runs_in_numpy(
    make_network, make_sequences, make_inference_network, monkeypatch
):
    monkeypatch.delenv("SEQCLF_KERNELS", raising=False)
    monkeypatch.setitem(CELLS, "odd", replace(CELLS["gru"], name="odd", code=99))
    network = make_network(cell="odd", **INPUTS["values"])
    sequences = make_sequences(network.config)
    with use("reference"):
        expected = make_inference_network(make_network(**INPUTS["values"])).outputs(sequences)
    assert np.array_equal(make_inference_network(network).outputs(sequences), expected)
    if library.available()[0]:
        with use("cpu"), pytest.raises(ValueError, match="'cpu' does not support odd with activation 'tanh'"):
            make_inference_network(network)


def test_poolings_are_those_of_the_torch_network():
    assert tuple(torch_pooling.POOLINGS) == POOLINGS


def test_inference_imports_only_numpy():
    """In a process that cannot import other packages: prediction on the library and in numpy."""
    code = """
    import sys
    for name in ("torch", "skorch", "sklearn", "scipy", "joblib", "narwhals", "threadpoolctl", "pandas"):
        sys.modules[name] = None
    import numpy as np
    from seqclf._data.encoded import EncodedSequences, StepFeatures
    from seqclf._data.ragged import Ragged
    from seqclf._inference.config import NetworkConfig
    from seqclf._inference.network import InferenceNetwork
    from seqclf._native.forced import use

    config = NetworkConfig(n_outputs=2, cell="lstm", units=(3,), bidirectional=True, pooling="mean", activation="tanh",
                           dropout=0.0, recurrent_dropout=0.0, n_channels=2, conv_filters=(4,))
    weights = {name: np.ones(shape, np.float32) for name, shape in config.weight_shapes().items()}
    sequences = EncodedSequences(Ragged(np.ones((5, 2), np.float32), np.array([2, 3])))
    found = InferenceNetwork(config, weights).outputs(sequences)
    with use("reference"):
        expected = InferenceNetwork(config, weights).outputs(sequences)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    print(found.shape)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == "(2, 2)\n"


def test_inference_network_from_config_and_weights(make_network, make_sequences, make_inference_network):
    network = make_network(**INPUTS["values"])
    config = NetworkConfig(**network.config.to_state())
    sequences = make_sequences(config)
    copied = {name: array.copy() for name, array in weights_of(network).items()}
    assert np.array_equal(
        InferenceNetwork(config, copied).outputs(sequences), make_inference_network(network).outputs(sequences)
    )
