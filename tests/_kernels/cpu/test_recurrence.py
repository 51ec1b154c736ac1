"""The compiled recurrences: against the reference in float64, reproducibility, non-finite values, threads and forks.

Weights and inputs are drawn in float32 and widened for the reference, so that both use the same values.
"""

import os
import textwrap
import threading
import time

import numpy as np
import pytest
import torch

from _factories import run_python
from _sampling import sampled
from seqclf import RNNClassifier, _kernels
from seqclf._inference.config import NetworkConfig
from seqclf._kernels import Inputs, StepLayout, Weights, reference
from seqclf._kernels.cpu import recurrence
from seqclf._native import library
from seqclf._native.call import loaded
from seqclf._native.cell_layout import cell_layout
from seqclf._nn.network import Network
from seqclf._nn.sequence_batch import SequenceBatch

pytestmark = pytest.mark.skipif(not library.available()[0], reason=f"no compiled kernels: {library.available()[1]}")

CELLS = [(cell.name, activation) for cell in _kernels.CELLS.values() for activation in _kernels.ACTIVATIONS]
CELL = {"cell": list(_kernels.CELLS), "activation": list(_kernels.ACTIVATIONS)}
ALL_CELLS = sampled(CELL)
DIRECTION = {"reverse": {"forward": False, "reverse": True}}
KIND = {"ids": {"values": False, "ids": True}}
# Activations that do not saturate, so that states grow with the inputs.
UNBOUNDED = {
    name for name, each in _kernels.ACTIVATIONS.items() if each.function(torch.tensor([-1e9, 1e9])).abs().max() > 1
}
EQUAL_LENGTHS = [9] * 20
RAGGED = [40, 1, 17, 33, 0, 40, 5, 28, 2, 40, 11, 21, 3, 36, 8, 1, 19]
UNITS = 11  # one full vector of 8 and a partial one; or one partial vector of 16
WIDTHS = {"units": [8, UNITS, 37]}  # 37: two vectors of 16 and a partial vector of 8


def instruction_sets():
    """The names that the library and this processor support, the fastest first."""
    if not library.available()[0]:
        return []
    chosen = loaded().seqclf_instructions()
    names = [name for name in (b"avx512", b"avx2", b"neon", b"baseline") if loaded().seqclf_use_instructions(name)]
    assert loaded().seqclf_use_instructions(chosen)
    return names


INSTRUCTIONS = {"name": {name.decode(): name for name in instruction_sets()}}


@pytest.fixture
def use_instructions():
    """A function that selects an instruction set until the end of the test."""
    before = loaded().seqclf_instructions()

    def use(name):
        assert loaded().seqclf_use_instructions(name) and loaded().seqclf_instructions() == name

    yield use
    use(before)


def draw(rng, *shape, scale=1.0):
    return torch.from_numpy((rng.standard_normal(shape) * scale).astype(np.float32))


def make_weights(cell, n_inputs, units, seed=0, scale=0.7):
    """Random weights with a spectral radius of about `scale`, so that long sequences stay well-conditioned."""
    rng = np.random.default_rng([7, seed])
    rows = _kernels.CELLS[cell].n_gates * units
    return Weights(
        draw(rng, rows, n_inputs, scale=n_inputs**-0.5),
        draw(rng, rows, units, scale=scale * units**-0.5),
        draw(rng, rows, scale=0.3),
        draw(rng, rows, scale=0.3) if _kernels.CELLS[cell].has_recurrent_bias else None,
    )


def saves_slots(cell):
    return cell_layout(_kernels.CELLS[cell].code).saves_slots


def make_inputs(layout, n_inputs, seed=0, ids=False):
    rng = np.random.default_rng([8, seed])
    if ids:
        return torch.from_numpy(rng.integers(0, n_inputs, layout.n_steps))
    return draw(rng, layout.n_steps, n_inputs)


def make_projection(layout, units, seed=0):
    """Random factors of the outputs. The loss is the sum of the products, so they are its gradient."""
    return draw(np.random.default_rng([9, seed]), layout.n_steps, units)


def leaves_of(inputs, weights, dtype=None):
    """Copies of inputs and weights that require gradients, converted to `dtype` if given; ids are not changed."""

    def leaf(tensor):
        if tensor is None or not tensor.is_floating_point():
            return tensor
        return tensor.detach().to(dtype or tensor.dtype).clone().requires_grad_()

    return leaf(inputs), Weights(*map(leaf, weights))


def run_forward_and_backward(kernel, cell, inputs, layout, weights, activation, reverse, projection, dtype=None):
    """Outputs and the gradients of inputs and weights, by name."""
    inputs, weights = leaves_of(inputs, weights, dtype)
    outputs = kernel.run(cell, inputs, layout, weights, activation, reverse)
    named = {name: w for name, w in zip(Weights._fields, weights, strict=True) if w is not None}
    if inputs.is_floating_point():
        named["inputs"] = inputs
    gradients = torch.autograd.grad((outputs * projection.to(outputs.dtype)).sum(), list(named.values()))
    return {"outputs": outputs.detach(), **dict(zip(named, gradients, strict=True))}


def infer(cell, inputs, layout, weights, activation, reverse):
    with torch.no_grad():
        return recurrence.run(cell, inputs, layout, weights, activation, reverse)


def relative_error(found, expected):
    return ((found.double() - expected).norm() / expected.norm().clamp_min(1e-20)).item()


def assert_close(found, expected):
    """Compare outputs to 1e-5, and gradients to 1e-4 of their norm."""
    assert found.keys() == expected.keys()
    for name, value in found.items():
        assert value.shape == expected[name].shape, name
        if name == "outputs":
            np.testing.assert_allclose(value.numpy(), expected[name].numpy(), rtol=1e-5, atol=1e-5)
        else:
            assert relative_error(value, expected[name]) < 1e-4, name


def assert_same_bits(found, expected):
    assert found.keys() == expected.keys()
    for name, value in found.items():
        assert torch.equal(value, expected[name]), name


def compare_with_reference(cell, activation, lengths, n_inputs, units, reverse, ids=False, seed=0, use=None):
    layout = StepLayout(lengths)
    # The state is not bounded: a few large random weights would exceed the range of float32 in 700 steps.
    scale = 0.3 if activation in UNBOUNDED else 0.7
    inputs, weights = make_inputs(layout, n_inputs, seed, ids), make_weights(cell, n_inputs, units, seed, scale)
    arguments = (cell, inputs, layout, weights, activation, reverse, make_projection(layout, units, seed))
    expected = run_forward_and_backward(reference, *arguments, dtype=torch.float64)
    for name in instruction_sets() if use else [None]:
        if use:
            use(name)
        found = run_forward_and_backward(recurrence, *arguments)
        assert_close(found, expected)
        assert torch.equal(infer(*arguments[:-1]), found["outputs"])


# ---- against the reference ------------------------------------------------------------------------------------------


def sample_shape(rng, work):
    """Random (lengths, n_inputs, units), each over its whole range, with at most about `work` multiplications."""
    units = int(rng.choice([1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 24, 31, 33, 64, 65, 100, 129, 255, 256, 257]))
    n_inputs = int(rng.choice([1, 2, 3, 4, 7, 8, 10, 16, 17, 33, 64, 130]))
    n_steps = max(1, work // (units * (units + n_inputs)))
    n_rows = int(np.exp(rng.uniform(0, np.log(201))))
    longest = int(min(np.exp(rng.uniform(0, np.log(701))), max(1, n_steps / n_rows)))
    lengths = rng.integers(0, longest + 1, n_rows) if rng.random() < 0.8 else np.full(n_rows, longest)
    return np.append(lengths, longest), n_inputs, units


@sampled({"cell, activation": CELLS, "seed": range(12)})
def test_recurrence_equals_reference_on_random_shapes(cell, activation, seed, use_instructions):
    rng = np.random.default_rng([1, seed, CELLS.index((cell, activation))])
    lengths, n_inputs, units = sample_shape(rng, work=4_000_000)
    reverse, ids = bool(rng.integers(2)), rng.random() < 0.3
    compare_with_reference(cell, activation, lengths, n_inputs, units, reverse, ids, seed, use=use_instructions)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize(("cell", "activation"), CELLS)
def test_recurrence_equals_reference_on_large_random_shapes(cell, activation, reverse, seed):
    rng = np.random.default_rng([2, seed, CELLS.index((cell, activation)), reverse])
    lengths, n_inputs, units = sample_shape(rng, work=500_000_000)
    compare_with_reference(cell, activation, lengths, n_inputs, units, reverse, bool(seed % 3 == 2), seed)


@pytest.mark.slow
@pytest.mark.parametrize(("cell", "activation"), CELLS)
def test_recurrence_equals_reference_on_a_large_ragged_batch(cell, activation):
    # Only a few sequences are long, because the reference is slow.
    lengths = (700 * np.random.default_rng(3).random(200) ** 6).astype(np.int64)
    lengths[5] = 700
    compare_with_reference(cell, activation, lengths, 33, 257, reverse=True)


EDGE_CASES = {
    "one step": [1],
    "one long row": [700],
    "200 steps": [1] * 200,
    "empty rows": [0, 3, 0],
    "ragged": RAGGED,
    "equal": EQUAL_LENGTHS,
}


@sampled(CELL | DIRECTION | KIND | {"lengths": EDGE_CASES}, n_quick=24)
def test_recurrence_equals_reference_on_edge_case_lengths(cell, activation, reverse, ids, lengths):
    compare_with_reference(cell, activation, lengths, 3, UNITS, reverse, ids)


@sampled(CELL | {"n_inputs": [1, 5, 40], "units": [1, 7, 8, 9, 15, 16, 17, 24, 257]}, n_quick=27)
def test_recurrence_equals_reference_for_every_padding_of_units(cell, activation, n_inputs, units):
    compare_with_reference(cell, activation, [5, 3, 4, 1, 5], n_inputs, units, reverse=units % 2 == 0)


@sampled(CELL | {"n_rows": range(1, 27)}, n_quick=52)
def test_recurrence_equals_reference_for_every_tile_remainder(cell, activation, n_rows, use_instructions):
    compare_with_reference(cell, activation, [3] * n_rows, 2, 9, reverse=False, use=use_instructions)


@sampled(CELL | {"n_threads": [1, 3], "units": [9, 64, 300]}, n_quick=8)
def test_recurrence_equals_reference_with_more_rows_than_a_gradient_block(
    cell, activation, n_threads, units, use_threads
):
    """Backward sums gradients over blocks of about 50 to 200 steps, so here a block ends inside a time."""
    use_threads(n_threads)
    lengths = np.random.default_rng(10).integers(1, 4, 230)
    compare_with_reference(cell, activation, lengths, 18, units, reverse=units == 64)


UNEVEN = {"one long": [300, *[2] * 20], "two long": [90, 90, *[1] * 9], "short": [1] * 41, "equal": [40] * 5}


@sampled(CELL | DIRECTION | {"lengths": UNEVEN, "n_threads": [2, 3, 7, 40]}, n_quick=16)
def test_recurrence_equals_reference_for_every_partition_of_rows(
    cell, activation, reverse, lengths, n_threads, use_threads
):
    """Rows are partitioned by their number of steps: if one row has most of them, some threads have no row."""
    use_threads(n_threads)
    compare_with_reference(cell, activation, lengths, 4, 9, reverse)


@sampled(CELL | {"n_threads": [2, 3]})
def test_recurrence_equals_reference_with_two_partitions_per_thread(cell, activation, n_threads, use_threads):
    """A call with at least 500,000 states and 16 rows per thread has two partitions per thread."""
    use_threads(n_threads)
    lengths = np.random.default_rng(11).integers(1, 320, 60)
    assert lengths.sum() * 64 >= 500_000
    compare_with_reference(cell, activation, lengths, 5, 64, reverse=n_threads == 3)


@sampled(CELL | {"with_embedding": {"values": False, "embedding": True}})
def test_input_projection_cache_does_not_change_any_bit(
    cell, activation, with_embedding, use_instructions, use_threads
):
    """The cache is enabled for weights above 1 MB if a partition has at most 64 rows; a large batch runs without."""
    n_gates = _kernels.CELLS[cell].n_gates
    n_inputs, units = (600, 400) if n_gates < 3 else (300, 210)
    weights = [make_weights(cell, n_inputs, units, seed, scale=0.3) for seed in range(2)]
    assert 4 * n_gates * units * (n_inputs + units) > 2**20
    rng = np.random.default_rng(5)
    lengths = rng.integers(0, 12, 150)
    embedding, masks = draw(rng, 50, n_inputs), (draw(rng, 150, n_inputs) > 0).float()
    ids = torch.from_numpy(rng.integers(0, 50, lengths.sum()))
    starts = np.cumsum(lengths) - lengths

    def last_states(rows, n_threads):
        layout = StepLayout(lengths[rows], starts=starts[rows])
        use_threads(n_threads)
        inputs = Inputs(ids=_kernels.gather_steps(ids, layout), embedding=embedding, mask=masks[rows][layout.order])
        with torch.no_grad():
            if not with_embedding:
                inputs = Inputs(_kernels.materialize(inputs, layout))
            outputs = _kernels.bidirectional(cell, inputs, layout, tuple(weights), activation=activation)
        last = torch.zeros(len(rows), 2 * units)
        last[layout.order] = outputs[layout.last_step]
        return last

    for name in instruction_sets():
        use_instructions(name)
        among_many = last_states(np.arange(150), 1)
        for rows in (np.arange(64), np.arange(100, 105), rng.permutation(150)[:40]):
            for n_threads in (1, 3):
                assert torch.equal(last_states(rows, n_threads), among_many[rows])


@ALL_CELLS
def test_one_hot_ids_have_the_gradient_of_one_hot_vectors(cell, activation, use_threads):
    """The sum over the steps also has the same order for any number of threads."""
    layout = StepLayout(RAGGED)
    ids, weights = make_inputs(layout, 37, ids=True), make_weights(cell, 37, 21)
    ids[ids == 5] = 6  # so 5 does not occur
    vectors = torch.nn.functional.one_hot(ids, 37).float()
    projection = make_projection(layout, 21)
    results = []
    for n_threads in (1, 2, 7):
        use_threads(n_threads)
        found = run_forward_and_backward(recurrence, cell, ids, layout, weights, activation, False, projection)
        from_vectors = run_forward_and_backward(
            recurrence, cell, vectors, layout, weights, activation, False, projection
        )
        assert relative_error(found["input"], from_vectors["input"].double()) < 1e-6
        assert (found["input"][:, 5] == 0).all()
        results.append(found["input"])
    assert torch.equal(results[0], results[1]) and torch.equal(results[0], results[2])


@ALL_CELLS
def test_fit_and_predict_pass_the_codes_of_cell_and_activation_to_the_library(cell, activation, monkeypatch):
    """A fallback would give nearly the same values."""
    monkeypatch.delenv("SEQCLF_KERNELS", raising=False)
    calls, library_before = [], loaded()

    class Spy:
        def __getattr__(self, name):
            function = getattr(library_before, name)

            def spy(pointer):
                layer = pointer._obj.layer
                calls.append((name, layer.cell, layer.activation))
                return function(pointer)

            return spy if name in ("seqclf_forward", "seqclf_backward") else function

    monkeypatch.setattr(library, "load", lambda: (Spy(), "test"))
    X, y = np.random.default_rng(0).standard_normal((8, 5, 2)), np.arange(8) % 2
    classifier = RNNClassifier(
        cell=cell, activation=activation, units=3, conv_filters=0, wide=False, max_epochs=1, random_state=0
    ).fit(X, y)
    codes = (_kernels.CELLS[cell].code, _kernels.ACTIVATIONS[activation].code)
    assert set(calls) == {("seqclf_forward", *codes), ("seqclf_backward", *codes)}
    calls.clear()
    assert classifier.predict_proba(X).shape == (8, 2)
    assert set(calls) == {("seqclf_forward", *codes)}


@sampled(CELL | KIND)
def test_backward_runs_no_arithmetic_in_torch(cell, activation, ids):
    """torch only allocates memory; all loops over the steps run in the threads of the library."""
    layout = StepLayout(RAGGED)
    inputs, weights = leaves_of(make_inputs(layout, 12, ids=ids), make_weights(cell, 12, 16))
    leaves = [leaf for leaf in (inputs, *weights) if leaf is not None and leaf.requires_grad]
    outputs = recurrence.run(cell, inputs, layout, weights, activation, False)
    grad_outputs = make_projection(layout, 16)
    with torch.profiler.profile() as profile:
        torch.autograd.grad(outputs, leaves, grad_outputs)
    operations = {event.key for event in profile.key_averages() if event.key.startswith("aten::")}
    assert operations <= {"aten::empty_like", "aten::empty_strided", "aten::empty", "aten::detach"}, operations


@pytest.mark.parametrize("cell", _kernels.CELLS)
@pytest.mark.parametrize("embedding_dim", [None, 6], ids=["one-hot", "embedding"])
def test_network_of_two_layers_equals_reference(cell, embedding_dim):
    rng = np.random.default_rng(4)
    network = Network(NetworkConfig(
        n_outputs=3, vocab_size=20, embedding_dim=embedding_dim, cell=cell, units=(13, 6), bidirectional=True,
        pooling="mean", activation="tanh", dropout=0.0, recurrent_dropout=0.0,
    )).reset_parameters(torch.Generator().manual_seed(0))  # fmt: skip
    ids, target = torch.from_numpy(rng.integers(0, 20, sum(RAGGED))), draw(rng, len(RAGGED), 3)

    def logits_and_gradients(kernel, dtype):
        network.to(dtype).zero_grad()
        with _kernels.use(kernel):
            logits = network(SequenceBatch(ids, np.array(RAGGED)))
            (logits * target.to(dtype)).sum().backward()
        gradients = {name: p.grad.clone() for name, p in network.named_parameters()}
        return {"outputs": logits.detach(), **gradients}

    found = logits_and_gradients("cpu", torch.float32)
    assert_close(found, logits_and_gradients("reference", torch.float64))


@sampled(CELL | DIRECTION | {"units": [1, 8, 13, 32], "n_threads": [1, 3]}, n_quick=12)
def test_ids_with_values_equal_reference(cell, activation, reverse, units, n_threads, use_threads):
    use_threads(n_threads)
    layout, n_ids = StepLayout(RAGGED), 23
    ids, values, weights = (
        make_inputs(layout, n_ids, ids=True),
        make_inputs(layout, 3),
        make_weights(cell, n_ids + 3, units),
    )
    ids[ids == 5] = 6  # so 5 does not occur
    projection = make_projection(layout, units)
    results = []
    for kernel, dtype in ((recurrence, torch.float32), (reference, torch.float64)):
        leaf, leaves = leaves_of(values, weights, dtype)
        outputs = kernel.run(cell, Inputs(leaf, ids), layout, leaves, activation, reverse)
        named = {"inputs": leaf, **{name: w for name, w in leaves._asdict().items() if w is not None}}
        gradients = torch.autograd.grad(outputs, list(named.values()), projection.to(dtype))
        results.append({"outputs": outputs.detach(), **dict(zip(named, gradients, strict=True))})
    assert_close(*results)
    assert (results[0]["input"][:, 5] == 0).all()


def test_id_beyond_the_columns_of_ids_raises():
    layout = StepLayout(RAGGED)
    ids = make_inputs(layout, 23, ids=True)
    ids[7] = 23
    inputs = Inputs(make_inputs(layout, 3), ids)
    with pytest.raises(IndexError, match="to 23; expected 0 to 22"):
        recurrence.run("lstm", inputs, layout, make_weights("lstm", 23 + 3, 4), "tanh", False)


# ---- the same bits --------------------------------------------------------------------------------------------------


@sampled(CELL | DIRECTION)
def test_inference_saves_no_gates(cell, activation, reverse, monkeypatch):
    """The outputs have the same bits as in training. Gates get no memory, although the weights require gradients."""
    layout = StepLayout(RAGGED)
    inputs, weights = leaves_of(make_inputs(layout, 3), make_weights(cell, 3, UNITS))
    calls = []
    true_forward = loaded().seqclf_forward

    class Spy:
        def __getattr__(self, name):
            return getattr(library_before, name)

        @staticmethod
        def seqclf_forward(pointer):
            call = pointer._obj
            calls.append((call.gates, call.memory))
            return true_forward(pointer)

    library_before = loaded()
    monkeypatch.setattr(library, "load", lambda: (Spy(), ""))
    in_training = recurrence.run(cell, inputs, layout, weights, activation, reverse)
    assert in_training.requires_grad
    with torch.no_grad():
        without_grad = recurrence.run(cell, inputs, layout, weights, activation, reverse)
    with torch.inference_mode():
        in_inference = recurrence.run(cell, inputs, layout, weights, activation, reverse)
    assert torch.equal(without_grad, in_training.detach()) and torch.equal(in_inference, in_training.detach())
    assert (calls[0][0] is not None) == saves_slots(cell)
    assert (calls[0][1] is not None) == _kernels.CELLS[cell].has_memory
    assert calls[1:] == [(None, None)] * 2


def split_by_sequence(outputs, layout, lengths):
    """The outputs of each sequence, in the order of `lengths`: a list of arrays of shape (length, units)."""
    flat = torch.empty_like(outputs)
    flat[layout.gather] = outputs
    return flat.split(list(lengths))


@sampled(CELL | DIRECTION | KIND | INSTRUCTIONS, n_quick=12)
def test_recurrence_is_batch_invariant(cell, activation, reverse, ids, name, use_instructions, use_threads):
    use_instructions(name)
    rng = np.random.default_rng(5)
    lengths = np.append(rng.integers(1, 25, 39), 30)
    n_inputs, units = 5, 19
    weights = make_weights(cell, n_inputs, units)
    flat = make_inputs(StepLayout(lengths), n_inputs, ids=ids)
    sequences = flat.split(list(lengths))

    def run_batch(chosen):
        chosen = list(chosen)
        layout = StepLayout(lengths[chosen])
        inputs = torch.cat([sequences[i] for i in chosen])[layout.gather]
        outputs = infer(cell, inputs, layout, weights, activation, reverse)
        return dict(zip(chosen, split_by_sequence(outputs, layout, lengths[chosen]), strict=True))

    use_threads(1)
    alone = {i: run_batch([i])[i] for i in range(len(lengths))}
    for n_threads in (1, 2, 3):
        use_threads(n_threads)
        batches = [range(40), rng.permutation(40), *np.split(rng.permutation(40), [1, 3, 6, 10, 15, 21, 28])]
        batches += [range(n) for n in range(1, 15)]
        for batch in batches:
            for i, outputs in run_batch(batch).items():
                assert torch.equal(outputs, alone[i]), (n_threads, i, list(batch))


@ALL_CELLS
def test_results_are_reproducible_for_each_thread_count(cell, activation, use_threads):
    layout = StepLayout(RAGGED)
    inputs, weights = make_inputs(layout, 6), make_weights(cell, 6, 20)
    arguments = (cell, inputs, layout, weights, activation, False, make_projection(layout, 20))
    results = []
    for n_threads in (1, 2, 3, 16, 40):
        use_threads(n_threads)
        results.append(run_forward_and_backward(recurrence, *arguments))
        for _ in range(5):
            assert_same_bits(run_forward_and_backward(recurrence, *arguments), results[-1])
    for other in results[1:]:
        assert torch.equal(other["outputs"], results[0]["outputs"])
        for name, value in other.items():
            assert relative_error(value, results[0][name].double()) < 1e-5, name


@sampled(CELL | WIDTHS | DIRECTION, n_quick=6)
def test_uninitialised_memory_does_not_contribute(cell, activation, units, reverse, monkeypatch, poison_memory):
    """The kernels write every value of the results: NaN in the memory that they get changes nothing."""
    layout = StepLayout(RAGGED)
    arguments = (cell, make_inputs(layout, 3), layout, make_weights(cell, 3, units), activation, reverse)
    projection = make_projection(layout, units)
    expected = run_forward_and_backward(recurrence, *arguments, projection)
    poisoned = poison_memory()
    found = run_forward_and_backward(recurrence, *arguments, projection)
    inference = infer(*arguments)
    monkeypatch.undo()
    assert sum(poisoned) >= 2 * layout.n_steps * units
    assert_same_bits(found, expected)
    assert torch.equal(inference, expected["outputs"])


# ---- extreme and non-finite values----------------------------------------------------------------------------------


@sampled(CELL | DIRECTION | WIDTHS | {"value": [torch.nan, torch.inf, -torch.inf]}, n_quick=12)
def test_nan_and_infinity_in_an_input_stay_in_their_row(cell, activation, reverse, units, value):
    """They propagate as in the reference, and the other rows have the same bits."""
    lengths = [6] * 9 + [3] * 4
    layout = StepLayout(lengths)
    weights = make_weights(cell, 3, units)
    projection = make_projection(layout, units)
    inputs = make_inputs(layout, 3)
    step = int(layout.time_offsets[2]) + 4  # row 4 at time 2
    changed = inputs.clone()
    changed[step, 1] = value
    elsewhere = layout.row_of_step != 4

    clean = run_forward_and_backward(recurrence, cell, inputs, layout, weights, activation, reverse, projection)
    found = run_forward_and_backward(recurrence, cell, changed, layout, weights, activation, reverse, projection)
    for name in ("outputs", "inputs"):
        assert torch.equal(found[name][elsewhere], clean[name][elsewhere]), name
    expected = run_forward_and_backward(reference, cell, changed, layout, weights, activation, reverse, projection)
    outputs, right = found["outputs"], expected["outputs"]
    before = [int(layout.time_offsets[time]) + 4 for time in ((3, 4, 5) if reverse else (0, 1))]
    assert torch.equal(outputs[before], clean["outputs"][before])
    if activation in UNBOUNDED and cell != "rnn" and np.isinf(value):
        # A gate times an infinite state is NaN or infinite, depending on the form of the equation. After that, relu
        # can turn an infinity into 0, but a NaN remains.
        assert torch.equal(outputs[step].isfinite(), right[step].isfinite())
        del expected["outputs"]
    else:
        np.testing.assert_allclose(outputs.numpy(), right.numpy(), rtol=1e-4, atol=1e-5, equal_nan=True)
    if np.isnan(value):
        assert outputs[step].isnan().all()
    # Where the gradient of the reference is not finite, ours must not be either; NaN and infinity are equivalent.
    for name, gradient in expected.items():
        hidden = ~gradient.isfinite() & found[name].isfinite()
        assert not hidden.any(), f"{name}: {int(hidden.sum())} values are finite, but not in the reference"


@sampled(CELL | DIRECTION | WIDTHS | {"value": [torch.nan, torch.inf]}, n_quick=8)
def test_nan_and_infinity_in_a_gradient_stay_in_their_row(cell, activation, reverse, units, value):
    layout = StepLayout([6] * 9 + [3] * 4)
    weights, inputs = make_weights(cell, 3, units), make_inputs(layout, 3)
    projection = make_projection(layout, units)
    outputs = infer(cell, inputs, layout, weights, activation, reverse)
    step, unit = int(layout.time_offsets[2]) + 4, int(outputs[int(layout.time_offsets[2]) + 4].abs().argmax())
    changed = projection.clone()
    changed[step, unit] = value

    def gradients(grad_outputs):
        x, w = leaves_of(inputs, weights)
        out = recurrence.run(cell, x, layout, w, activation, reverse)
        return torch.autograd.grad(out, [x, w.input, w.recurrent, w.bias], grad_outputs)

    clean, found = gradients(projection), gradients(changed)
    elsewhere = layout.row_of_step != 4
    assert torch.equal(found[0][elsewhere], clean[0][elsewhere])
    assert not found[0][step].isfinite().any()
    for gradient in found[1:]:  # of the weights: a sum over all rows
        assert not gradient.isfinite().all()


@sampled(CELL | {"size": [1e4, -1e4, 1e30, -1e30]} | INSTRUCTIONS, n_quick=24)
def test_saturated_gates_equal_reference(cell, activation, size, name, use_instructions):
    use_instructions(name)
    layout = StepLayout([5, 3])
    weights = make_weights(cell, 1, 9)
    # All gates must saturate: at x = 12, 1 - s(x) has few correct digits in float32, in torch too.
    weights = weights._replace(input=torch.where(weights.input.abs() < 0.01, 0.01, weights.input))
    inputs = torch.full((layout.n_steps, 1), size)
    if activation in UNBOUNDED and abs(size) > 1e4:
        pytest.skip(f"{activation} does not saturate")
    arguments = (cell, inputs, layout, weights, activation, False, make_projection(layout, 9))
    found, expected = (
        run_forward_and_backward(recurrence, *arguments),
        run_forward_and_backward(reference, *arguments, dtype=torch.float64),
    )
    # Sums of large states with opposite signs lose digits.
    rtol = 1e-4 if activation in UNBOUNDED else 1e-5
    np.testing.assert_allclose(found["outputs"].numpy(), expected["outputs"].numpy(), rtol=rtol, atol=1e-5)
    for name, gradient in found.items():
        assert gradient.isfinite().all(), name
        # Far from 0 a float32 sigmoid is exactly 0 or 1, while a float64 sigmoid still differs from it.
        assert relative_error(gradient, expected[name]) < 1e-4 or (gradient - expected[name]).abs().max() < 1e-5, name


@ALL_CELLS
def test_derivative_at_zero_equals_reference(cell, activation, use_instructions):
    """The derivative of relu at 0 is 0, as in torch."""
    layout = StepLayout([4, 0, 2])
    weights = Weights(*(None if each is None else torch.zeros_like(each) for each in make_weights(cell, 3, 9)))
    inputs = make_inputs(layout, 3)
    for reverse in (False, True):
        arguments = (cell, inputs, layout, weights, activation, reverse, make_projection(layout, 9))
        expected = run_forward_and_backward(reference, *arguments, dtype=torch.float64)
        assert bool(expected["bias"].any()) == (activation != "relu")
        for name in instruction_sets():
            use_instructions(name)
            assert_close(run_forward_and_backward(recurrence, *arguments), expected)


def test_tanh_and_sigmoid_are_accurate_over_the_whole_range(use_instructions):
    """Cells of one step with weights of 1 or 0 isolate the two functions."""
    x = torch.cat([torch.linspace(-120, 120, 20_001), torch.logspace(-37, 38, 2_000)])
    x = torch.cat([x, -x])
    layout = StepLayout([1] * len(x))
    rnn = Weights(torch.ones(1, 1), torch.zeros(1, 1), torch.zeros(1))
    for name in instruction_sets():
        use_instructions(name)
        found = infer("rnn", x[:, None], layout, rnn, "tanh", False)[:, 0].double()
        expected = x.double().tanh()
        normal = expected.abs() > 1.2e-38  # smaller values are flushed to zero
        assert ((found - expected) / expected)[normal].abs().max() < 1e-6
        assert (found - expected).abs().max() < 1e-6
        # z = s(x), n = tanh(100) = 1 from the bias, h = (1 - z) n = s(-x)
        gru = Weights(torch.tensor([[0.0], [1], [0]]), torch.zeros(3, 1), torch.tensor([0.0, 0, 100]), torch.zeros(3))
        found = infer("gru", x[:, None], layout, gru, "tanh", False)[:, 0].double()
        assert (found - torch.sigmoid(-x.double())).abs().max() < 1e-6


def test_denormals_are_flushed_only_inside_calls(use_threads):
    tiny = np.full(1_000_000, 1e-30, dtype=np.float32)  # large enough for torch to use its pool

    def denormals_are_alive():
        product = tiny[:8] * np.float32(1e-10)
        in_pool = torch.from_numpy(tiny) * 1e-10
        return bool((product > 0).all() and (in_pool > 0).all())

    assert denormals_are_alive()
    layout = StepLayout(RAGGED)
    weights = make_weights("rnn", 1, 8)._replace(bias=torch.zeros(8), input=torch.ones(8, 1))
    for n_threads in (1, 2, 3):
        use_threads(n_threads)
        inputs = torch.full((layout.n_steps, 1), 1e-39, requires_grad=True)
        outputs = recurrence.run("rnn", inputs, layout, weights, "tanh", False)
        assert (outputs == 0).all()
        outputs.sum().backward()
        assert denormals_are_alive()


# ---- threads and processes ------------------------------------------------------------------------------------------


def test_forward_releases_the_gil(use_threads):
    """Another Python thread runs during a call: it records the time repeatedly between start and end of the call."""
    use_threads(1)
    layout = StepLayout([600] * 60)
    weights, inputs = make_weights("lstm", 60, 64), make_inputs(layout, 60)
    infer("lstm", inputs[: 3 * 60], StepLayout([3] * 60), weights, "tanh", False)
    seen, done = [], threading.Event()

    def watch():
        while not done.is_set():
            seen.append(time.perf_counter())
            time.sleep(0.0005)

    watcher = threading.Thread(target=watch)
    watcher.start()
    true_forward, spans = loaded().seqclf_forward, []

    class Timed:
        @staticmethod
        def seqclf_forward(pointer):
            start = time.perf_counter()
            true_forward(pointer)
            spans.append((start, time.perf_counter()))

    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(library, "load", lambda: (Timed, ""))
            for _ in range(3):
                infer("lstm", inputs, layout, weights, "tanh", False)
    finally:
        done.set()
        watcher.join()
    within = max(sum(start < moment < end for moment in seen) for start, end in spans)
    assert within >= 5, f"another thread ran {within} times during calls of {[end - start for start, end in spans]} s"


def run_in_threads(functions):
    """Run the functions concurrently and return their results."""
    results, errors = [None] * len(functions), []
    barrier = threading.Barrier(len(functions))

    def work(i):
        try:
            barrier.wait(30)
            results[i] = functions[i]()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(len(functions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not errors, errors
    assert not any(thread.is_alive() for thread in threads), "a thread hangs"
    return results


def test_concurrent_calls_from_python_threads_give_the_same_bits(use_threads):
    use_threads(2)

    def job(seed, cell, activation):
        layout = StepLayout(np.random.default_rng(seed).integers(0, 30, 20 + seed))
        inputs, weights = make_inputs(layout, 5, seed), make_weights(cell, 5, 17 + seed, seed)
        projection = make_projection(layout, 17 + seed, seed)
        return lambda: [
            run_forward_and_backward(recurrence, cell, inputs, layout, weights, activation, bool(i % 2), projection)
            for i in range(10)
        ]

    jobs = [job(seed, *CELLS[seed % len(CELLS)]) for seed in range(6)]
    expected = [job() for job in jobs]
    for found, right in zip(run_in_threads(jobs), expected, strict=True):
        for one, other in zip(found, right, strict=True):
            assert_same_bits(one, other)


def test_concurrent_fits_are_right(monkeypatch):
    monkeypatch.setenv("SEQCLF_KERNELS", "cpu")
    rng = np.random.default_rng(6)
    X = [rng.standard_normal((length, 2)) for length in rng.integers(3, 30, 60)]
    y = [int(x[:, 0].sum() > 0) for x in X]

    def fit(cell):
        return lambda: RNNClassifier(cell=cell, units=9, max_epochs=3, random_state=0).fit(X, y).predict_proba(X)

    fits = [fit("lstm"), fit("gru")]
    expected = [one() for one in fits]
    for found, right in zip(run_in_threads(fits), expected, strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-4, atol=1e-5)


FORK = """
    import os, signal, sys, time
    import numpy as np
    import torch
    from seqclf._kernels import StepLayout, Weights
    from seqclf._kernels.cpu import recurrence
    from seqclf._native import call

    call._MIN_PARALLEL_WORK = 0
    torch.set_num_threads(2)
    layout = StepLayout([30] * 12)
    inputs = torch.randn(layout.n_steps, 4)
    rows = 4 * 16
    weights = Weights(*(torch.randn(*shape).mul(0.2).requires_grad_() for shape in [(rows, 4), (rows, 16), (rows,)]))

    def infer():
        with torch.no_grad():
            return recurrence.run("lstm", inputs, layout, weights, "tanh", False)

    def train():
        outputs = recurrence.run("lstm", inputs, layout, weights, "tanh", False)
        return [outputs.detach(), *torch.autograd.grad(outputs.sum(), weights[:3])]

    def fit():
        from seqclf import RNNClassifier

        X = [np.full((20 + i % 9, 3), i % 2, dtype=np.float32) for i in range(60)]
        model = RNNClassifier(cell="gru", units=40, max_epochs=1, random_state=0)
        return [torch.from_numpy(model.fit(X, [i % 2 for i in range(60)]).predict_proba(X))]

    def in_child(function):
        "Run `function` in a forked child: the exit status of the child, or 'deadlock'."
        expected = function()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                found = function()
                code = 0 if all(torch.allclose(a, b, 1e-4, 1e-5) for a, b in zip(found, expected)) else 2
            finally:
                os._exit(code)
        for _ in range(150):
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.1)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return "deadlock"
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_forked_child_runs_after_the_parent_used_threads():
    """torch's own pool (GNU OpenMP) does not survive a fork: its threads are gone, and torch would wait forever."""
    program = textwrap.dedent(FORK) + textwrap.dedent("""
        infer(), train(), fit()
        torch.randn(300, 300) @ torch.randn(300, 300)
        for function in (infer, train, fit):
            print(function.__name__, in_child(function))
            assert torch.allclose(function()[0], function()[0])
        print("parent finished")
    """)
    assert run_python(program, "-W", "ignore").splitlines() == ["infer 0", "train 0", "fit 0", "parent finished"]


def test_loky_workers_give_the_same_results():
    code = """
    import numpy as np
    from joblib import Parallel, delayed

    def job(seed):
        import torch
        from seqclf._kernels import StepLayout, Weights
        from seqclf._kernels.cpu import recurrence

        generator = torch.Generator().manual_seed(seed)
        layout = StepLayout([40, 20, 40, 7, 33])
        shapes = [(64, 50), (64, 16), (64,)]
        weights = Weights(*(torch.randn(*s, generator=generator).mul(0.2).requires_grad_() for s in shapes))
        inputs = torch.randn(layout.n_steps, 50, generator=generator)
        outputs = recurrence.run("lstm", inputs, layout, weights, "tanh", True)
        outputs.sum().backward()
        return outputs.detach().numpy(), weights.recurrent.grad.numpy()

    here = [job(seed) for seed in range(4)]
    there = Parallel(n_jobs=2, backend="loky")(delayed(job)(seed) for seed in range(4))
    for a, b in zip(here, there):
        np.testing.assert_array_equal(a[0], b[0])
        np.testing.assert_allclose(a[1], b[1], rtol=1e-4, atol=1e-5)
    print("equal")
    """
    assert run_python(code, "-W", "ignore") == "equal\n"


# ---- other properties ----------------------------------------------------------------------------------------------


@sampled(CELL | DIRECTION | WIDTHS | KIND | {"lengths": [[], [0], [0, 0, 0]]}, n_quick=12)
def test_batch_without_steps_has_zero_gradients(cell, activation, reverse, units, ids, lengths):
    layout = StepLayout(lengths)
    weights, inputs = make_weights(cell, 3, units), make_inputs(layout, 3, ids=ids)
    found = run_forward_and_backward(
        recurrence, cell, inputs, layout, weights, activation, reverse, make_projection(layout, units)
    )
    assert found["outputs"].shape == (0, units)
    for name, value in found.items():
        assert (value == 0).all(), name
    assert found["recurrent"].shape == weights.recurrent.shape


@sampled(CELL | WIDTHS)
def test_non_contiguous_memory_does_not_change_any_bit(cell, activation, units):
    layout = StepLayout(RAGGED)
    inputs, weights = make_inputs(layout, 6), make_weights(cell, 6, units)
    projection = make_projection(layout, units)

    def strided(tensor):
        if tensor is None:
            return None
        padded = torch.full((*tensor.shape, 2), torch.nan)
        padded[..., 1] = tensor
        return padded[..., 1]

    def gradients(inputs, weights, grad_outputs):
        leaves = [leaf.detach().requires_grad_() for leaf in (inputs, *weights) if leaf is not None]
        outputs = recurrence.run(cell, leaves[0], layout, Weights(*leaves[1:]), activation, False)
        return [outputs.detach(), *torch.autograd.grad(outputs, leaves, grad_outputs)]

    expected = gradients(inputs, weights, projection)
    transposed = projection.t().contiguous().t()
    for other in (strided(projection), transposed, torch.cat((projection, projection), 1)[:, :units]):
        assert not other.is_contiguous()
        found = gradients(strided(inputs), Weights(*map(strided, weights)), other)
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    # The gradient of a sum is an expanded tensor with strides of 0.
    ones = gradients(inputs, weights, torch.ones(layout.n_steps, units))
    expanded = gradients(inputs, weights, torch.ones(()).expand(layout.n_steps, units))
    assert all(torch.equal(a, b) for a, b in zip(ones, expanded, strict=True))


@ALL_CELLS
def test_only_required_gradients_are_set(cell, activation):
    layout = StepLayout(RAGGED)
    inputs, weights = make_inputs(layout, 6), make_weights(cell, 6, UNITS)
    projection = make_projection(layout, UNITS)
    expected = run_forward_and_backward(recurrence, cell, inputs, layout, weights, activation, False, projection)
    named = {"inputs": inputs, **{n: w for n, w in zip(Weights._fields, weights, strict=True) if w is not None}}
    for wanted in named:
        tensors = {name: tensor.detach().clone().requires_grad_(name == wanted) for name, tensor in named.items()}
        leaf = tensors.pop("inputs")
        outputs = recurrence.run(cell, leaf, layout, Weights(**tensors), activation, False)
        assert outputs.requires_grad
        (outputs * projection).sum().backward()
        for name, tensor in {"inputs": leaf, **tensors}.items():
            if name == wanted:
                assert torch.equal(tensor.grad, expected[name])
            else:
                assert tensor.grad is None
    frozen = recurrence.run(cell, inputs, layout, weights, activation, False)
    assert not frozen.requires_grad and torch.equal(frozen, expected["outputs"])


@ALL_CELLS
def test_second_backward_raises_unless_no_gates_were_saved(cell, activation):
    layout = StepLayout([4, 2])
    inputs, weights = leaves_of(make_inputs(layout, 3), make_weights(cell, 3, 4))
    outputs = recurrence.run(cell, inputs, layout, weights, activation, False)
    outputs.sum().backward()
    with pytest.raises(RuntimeError, match=r"through the graph a second time|called a second time"):
        outputs.sum().backward()

    outputs = recurrence.run(cell, inputs, layout, weights, activation, False)
    (first,) = torch.autograd.grad(outputs.sum(), inputs, retain_graph=True)
    if not saves_slots(cell):  # backward overwrites nothing
        assert torch.equal(torch.autograd.grad(outputs.sum(), inputs)[0], first)
    else:
        with pytest.raises(RuntimeError, match="called a second time"):
            outputs.sum().backward()


@ALL_CELLS
def test_second_derivative_raises(cell, activation):
    layout = StepLayout([4, 2])
    inputs, weights = leaves_of(make_inputs(layout, 3), make_weights(cell, 3, 4))
    outputs = recurrence.run(cell, inputs, layout, weights, activation, False)
    (gradient,) = torch.autograd.grad((outputs**2).sum(), inputs, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def test_outputs_modified_before_backward_raise():
    layout = StepLayout([4, 2])
    for units in (8, UNITS):
        inputs, weights = leaves_of(make_inputs(layout, 3), make_weights("lstm", 3, units))
        outputs = recurrence.run("lstm", inputs, layout, weights, "tanh", False)
        loss = (outputs * 2).sum()
        with torch.no_grad():
            outputs.zero_()
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            loss.backward()


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.int16, torch.uint8], ids=str)
def test_ids_of_any_integer_dtype(dtype):
    layout = StepLayout(RAGGED)
    weights, ids = make_weights("gru", 50, UNITS), make_inputs(layout, 50, ids=True)
    assert torch.equal(
        infer("gru", ids.to(dtype), layout, weights, "tanh", False), infer("gru", ids, layout, weights, "tanh", False)
    )


@pytest.mark.parametrize("wrong", [-1, 50, 2**40])
def test_id_outside_the_vocabulary_raises(wrong):
    layout = StepLayout(RAGGED)
    weights, ids = make_weights("gru", 50, UNITS), make_inputs(layout, 50, ids=True)
    ids[7] = wrong
    with pytest.raises(IndexError):
        _kernels.recurrence("gru", ids, layout, weights)


@pytest.mark.parametrize("cell", _kernels.CELLS)
def test_cpu_kernel_runs_only_for_float32(cell, monkeypatch):
    """Other dtypes run elsewhere. A mixture of dtypes raises or is converted; it is never misinterpreted."""
    monkeypatch.delenv("SEQCLF_KERNELS", raising=False)
    layout = StepLayout(RAGGED)
    inputs, weights = make_inputs(layout, 3), make_weights(cell, 3, UNITS)
    ran = []
    true_run = recurrence.run
    monkeypatch.setattr(recurrence, "run", lambda *args: ran.append(args) or true_run(*args))
    expected = _kernels.recurrence(cell, inputs, layout, weights)
    assert len(ran) == 1, "float32 on the CPU has to run here"

    wide = Weights(*(None if w is None else w.double() for w in weights))
    outputs = _kernels.recurrence(cell, inputs.double(), layout, wide)
    assert outputs.dtype == torch.float64 and len(ran) == 1
    np.testing.assert_allclose(outputs.numpy(), expected.numpy(), rtol=1e-5, atol=1e-5)

    for dtype in (torch.float64, torch.float16, torch.bfloat16):
        try:
            outputs = _kernels.recurrence(cell, inputs.to(dtype), layout, weights)
        except (RuntimeError, TypeError, ValueError):
            continue
        np.testing.assert_allclose(outputs.double().numpy(), expected.numpy(), rtol=0.05, atol=0.05)


def test_unknown_instruction_set_is_rejected():
    before = loaded().seqclf_instructions()
    assert not loaded().seqclf_use_instructions(b"mmx")
    assert loaded().seqclf_instructions() == before
