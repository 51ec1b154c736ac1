"""The fused CPU kernels: against the reference in float64, and everything that speed could have cost.

Weights and inputs are drawn in float32 and widened for the reference, so that both read the same numbers.
"""

import os
import textwrap
import threading
import time

import numpy as np
import pytest
import torch

from _factories import run_python
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
ALL_CELLS = pytest.mark.parametrize(("cell", "activation"), CELLS)
# Activations that do not saturate: states grow with the inputs.
UNBOUNDED = {
    name for name, each in _kernels.ACTIVATIONS.items() if each.function(torch.tensor([-1e9, 1e9])).abs().max() > 1
}
BOTH_DIRECTIONS = pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
ENDING_TOGETHER = [9] * 20
RAGGED = [40, 1, 17, 33, 0, 40, 5, 28, 2, 40, 11, 21, 3, 36, 8, 1, 19]
UNITS = 11  # a block of eight and one that is not full; of sixteen one that is not
WIDTHS = [8, UNITS, 37]  # the last: a pair of blocks of sixteen, and one of eight that is not full


def instruction_sets():
    """Those that the library and this processor have, the best one first."""
    if not library.available()[0]:
        return []
    chosen = loaded().seqclf_instructions()
    names = [name for name in (b"avx512", b"avx2", b"neon", b"baseline") if loaded().seqclf_use_instructions(name)]
    assert loaded().seqclf_use_instructions(chosen)
    return names


@pytest.fixture
def use_instructions():
    """A function that chooses an instruction set; what was chosen before is put back."""
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
    """What the outputs are multiplied by, summed, to have a gradient."""
    return draw(np.random.default_rng([9, seed]), layout.n_steps, units)


def leaves_of(inputs, weights, dtype=None):
    """Fresh leaves with gradients: (inputs, weights), of `dtype` where given; ids stay as they are."""

    def leaf(tensor):
        if tensor is None or not tensor.is_floating_point():
            return tensor
        return tensor.detach().to(dtype or tensor.dtype).clone().requires_grad_()

    return leaf(inputs), Weights(*map(leaf, weights))


def run_both_ways(kernel, cell, inputs, layout, weights, activation, reverse, projection, dtype=None):
    """Outputs, then the gradients of inputs (where they have one) and weights, by name."""
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
    """Outputs to 1e-5, gradients to 1e-4 of their norm."""
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
    # Nothing bounds the state: few units drawn by chance above 1 would leave float32 in 700 steps.
    scale = 0.3 if activation in UNBOUNDED else 0.7
    inputs, weights = make_inputs(layout, n_inputs, seed, ids), make_weights(cell, n_inputs, units, seed, scale)
    arguments = (cell, inputs, layout, weights, activation, reverse, make_projection(layout, units, seed))
    expected = run_both_ways(reference, *arguments, dtype=torch.float64)
    for name in instruction_sets() if use else [None]:
        if use:
            use(name)
        found = run_both_ways(recurrence, *arguments)
        assert_close(found, expected)
        assert torch.equal(infer(*arguments[:-1]), found["outputs"])


# ---- against the reference ------------------------------------------------------------------------------------------


def sample_shape(rng, work):
    """A random (lengths, n_inputs, units), each over its whole range, of about `work` multiplications at most."""
    units = int(rng.choice([1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 24, 31, 33, 64, 65, 100, 129, 255, 256, 257]))
    n_inputs = int(rng.choice([1, 2, 3, 4, 7, 8, 10, 16, 17, 33, 64, 130]))
    n_steps = max(1, work // (units * (units + n_inputs)))
    n_rows = int(np.exp(rng.uniform(0, np.log(201))))
    longest = int(min(np.exp(rng.uniform(0, np.log(701))), max(1, n_steps / n_rows)))
    lengths = rng.integers(0, longest + 1, n_rows) if rng.random() < 0.8 else np.full(n_rows, longest)
    return np.append(lengths, longest), n_inputs, units


@pytest.mark.parametrize("seed", range(12))
@ALL_CELLS
def test_equals_reference_on_a_sample(cell, activation, seed, use_instructions):
    rng = np.random.default_rng([1, seed, CELLS.index((cell, activation))])
    lengths, n_inputs, units = sample_shape(rng, work=4_000_000)
    reverse, ids = bool(rng.integers(2)), rng.random() < 0.3
    compare_with_reference(cell, activation, lengths, n_inputs, units, reverse, ids, seed, use=use_instructions)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
@BOTH_DIRECTIONS
@ALL_CELLS
def test_equals_reference_on_a_large_sample(cell, activation, reverse, seed):
    rng = np.random.default_rng([2, seed, CELLS.index((cell, activation)), reverse])
    lengths, n_inputs, units = sample_shape(rng, work=500_000_000)
    compare_with_reference(cell, activation, lengths, n_inputs, units, reverse, bool(seed % 3 == 2), seed)


@pytest.mark.slow
@ALL_CELLS
def test_equals_reference_at_the_far_corner(cell, activation):
    lengths = (700 * np.random.default_rng(3).random(200) ** 6).astype(np.int64)  # the reference is slow: few are long
    lengths[5] = 700
    compare_with_reference(cell, activation, lengths, 33, 257, reverse=True)


@pytest.mark.parametrize(
    "lengths", [[1], [700], [1] * 200, [0, 3, 0], RAGGED, ENDING_TOGETHER], ids=lambda lengths: f"{len(lengths)} rows"
)
@pytest.mark.parametrize("ids", [False, True], ids=["numbers", "ids"])
@BOTH_DIRECTIONS
@ALL_CELLS
def test_equals_reference_at_the_edges(cell, activation, reverse, ids, lengths):
    compare_with_reference(cell, activation, lengths, 3, UNITS, reverse, ids)


@pytest.mark.parametrize("units", [1, 7, 8, 9, 15, 16, 17, 24, 257])
@pytest.mark.parametrize("n_inputs", [1, 5, 40])
@ALL_CELLS
def test_equals_reference_at_every_width(cell, activation, n_inputs, units):
    compare_with_reference(cell, activation, [5, 3, 4, 1, 5], n_inputs, units, reverse=units % 2 == 0)


@pytest.mark.parametrize("n_rows", range(1, 27))
@ALL_CELLS
def test_equals_reference_for_every_number_of_rows_left_over(cell, activation, n_rows, use_instructions):
    compare_with_reference(cell, activation, [3] * n_rows, 2, 9, reverse=False, use=use_instructions)


@pytest.mark.parametrize("units", [9, 64, 300])
@pytest.mark.parametrize("n_threads", [1, 3])
@ALL_CELLS
def test_equals_reference_where_a_time_has_more_rows_than_a_block(cell, activation, n_threads, units, use_threads):
    """Backward sums over a block of some fifty to two hundred steps; here they are cut within a time."""
    use_threads(n_threads)
    lengths = np.random.default_rng(10).integers(1, 4, 230)
    compare_with_reference(cell, activation, lengths, 18, units, reverse=units == 64)


@pytest.mark.parametrize("n_threads", [2, 3, 7, 40])
@pytest.mark.parametrize(
    "lengths",
    [[300, *[2] * 20], [90, 90, *[1] * 9], [1] * 41, [40] * 5],
    ids=["one long", "two long", "short", "equal"],
)
@BOTH_DIRECTIONS
@ALL_CELLS
def test_equals_reference_however_the_rows_are_shared_out(cell, activation, reverse, lengths, n_threads, use_threads):
    """By their steps: where one row has most of them, some threads have no row."""
    use_threads(n_threads)
    compare_with_reference(cell, activation, lengths, 4, 9, reverse)


@pytest.mark.parametrize("n_threads", [2, 3])
@ALL_CELLS
def test_equals_reference_in_a_long_call(cell, activation, n_threads, use_threads):
    """One of 500,000 states and 16 rows a thread is cut into two parts for each thread."""
    use_threads(n_threads)
    lengths = np.random.default_rng(11).integers(1, 320, 60)
    assert lengths.sum() * 64 >= 500_000
    compare_with_reference(cell, activation, lengths, 5, 64, reverse=n_threads == 3)


@pytest.mark.parametrize("with_table", [False, True], ids=["numbers", "table"])
@pytest.mark.parametrize(("cell", "activation"), CELLS)
def test_large_weights_are_read_ahead_with_the_same_bits(cell, activation, with_table, use_instructions, use_threads):
    """More than a megabyte of them, where a part has 64 rows or fewer: against the same rows among many."""
    n_gates = _kernels.CELLS[cell].n_gates
    n_inputs, units = (600, 400) if n_gates < 3 else (300, 210)
    weights = [make_weights(cell, n_inputs, units, seed, scale=0.3) for seed in range(2)]
    assert 4 * n_gates * units * (n_inputs + units) > 2**20
    rng = np.random.default_rng(5)
    lengths = rng.integers(0, 12, 150)
    table, masks = draw(rng, 50, n_inputs), (draw(rng, 150, n_inputs) > 0).float()
    ids = torch.from_numpy(rng.integers(0, 50, lengths.sum()))
    starts = np.cumsum(lengths) - lengths

    def read(rows, n_threads):
        layout = StepLayout(lengths[rows], starts=starts[rows])
        use_threads(n_threads)
        inputs = Inputs(ids=_kernels.arrange(ids, layout), table=table, mask=masks[rows][layout.order])
        with torch.no_grad():
            if not with_table:
                inputs = Inputs(_kernels.written_out(inputs, layout))
            outputs = _kernels.bidirectional(cell, inputs, layout, tuple(weights), activation=activation)
        last = torch.zeros(len(rows), 2 * units)
        last[layout.order] = outputs[layout.last_step]
        return last

    for name in instruction_sets():
        use_instructions(name)
        among_many = read(np.arange(150), 1)
        for rows in (np.arange(64), np.arange(100, 105), rng.permutation(150)[:40]):
            for n_threads in (1, 3):
                assert torch.equal(read(rows, n_threads), among_many[rows])


@ALL_CELLS
def test_one_hot_inputs_have_the_gradient_of_their_rows(cell, activation, use_threads):
    """As of the same numbers written out as vectors; and a sum runs over the steps in their order on any threads."""
    layout = StepLayout(RAGGED)
    ids, weights = make_inputs(layout, 37, ids=True), make_weights(cell, 37, 21)
    ids[ids == 5] = 6  # one that doesn't occur
    vectors = torch.nn.functional.one_hot(ids, 37).float()
    projection = make_projection(layout, 21)
    results = []
    for n_threads in (1, 2, 7):
        use_threads(n_threads)
        found = run_both_ways(recurrence, cell, ids, layout, weights, activation, False, projection)
        written_out = run_both_ways(recurrence, cell, vectors, layout, weights, activation, False, projection)
        assert relative_error(found["input"], written_out["input"].double()) < 1e-6
        assert (found["input"][:, 5] == 0).all()
        results.append(found["input"])
    assert torch.equal(results[0], results[1]) and torch.equal(results[0], results[2])


@ALL_CELLS
def test_a_fit_and_a_prediction_run_on_the_kernels(cell, activation, monkeypatch):
    """With the codes of the cell and of the activation; a fallback would give nearly the same numbers."""
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


@pytest.mark.parametrize("ids", [False, True], ids=["numbers", "ids"])
@ALL_CELLS
def test_backward_leaves_no_arithmetic_to_torch(cell, activation, ids):
    """Of torch it needs memory alone: all that walks over the steps is done in our threads."""
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
def test_a_network_of_several_layers(cell, embedding_dim):
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


# ---- the same bits --------------------------------------------------------------------------------------------------


@BOTH_DIRECTIONS
@ALL_CELLS
def test_inference_saves_no_gates(cell, activation, reverse, monkeypatch):
    """The same bits as in training; and the library is given no memory for gates, though the weights want gradients."""
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


def by_sequence(outputs, layout, lengths):
    """The outputs of each sequence, in the order of `lengths`: a list of arrays of shape (length, units)."""
    flat = torch.empty_like(outputs)
    flat[layout.gather] = outputs
    return flat.split(list(lengths))


@pytest.mark.parametrize("name", instruction_sets(), ids=bytes.decode)
@pytest.mark.parametrize("ids", [False, True], ids=["numbers", "ids"])
@BOTH_DIRECTIONS
@ALL_CELLS
def test_a_row_gives_the_same_bits_in_any_company(cell, activation, reverse, ids, name, use_instructions, use_threads):
    use_instructions(name)
    rng = np.random.default_rng(5)
    lengths = np.append(rng.integers(1, 25, 39), 30)
    n_inputs, units = 5, 19
    weights = make_weights(cell, n_inputs, units)
    flat = make_inputs(StepLayout(lengths), n_inputs, ids=ids)
    sequences = flat.split(list(lengths))

    def in_company(chosen):
        chosen = list(chosen)
        layout = StepLayout(lengths[chosen])
        inputs = torch.cat([sequences[i] for i in chosen])[layout.gather]
        outputs = infer(cell, inputs, layout, weights, activation, reverse)
        return dict(zip(chosen, by_sequence(outputs, layout, lengths[chosen]), strict=True))

    use_threads(1)
    alone = {i: in_company([i])[i] for i in range(len(lengths))}
    for n_threads in (1, 2, 3):
        use_threads(n_threads)
        batches = [range(40), rng.permutation(40), *np.split(rng.permutation(40), [1, 3, 6, 10, 15, 21, 28])]
        batches += [range(n) for n in range(1, 15)]
        for batch in batches:
            for i, outputs in in_company(batch).items():
                assert torch.equal(outputs, alone[i]), (n_threads, i, list(batch))


@ALL_CELLS
def test_the_same_bits_again_and_nearly_those_of_other_thread_counts(cell, activation, use_threads):
    layout = StepLayout(RAGGED)
    inputs, weights = make_inputs(layout, 6), make_weights(cell, 6, 20)
    arguments = (cell, inputs, layout, weights, activation, False, make_projection(layout, 20))
    results = []
    for n_threads in (1, 2, 3, 16, 40):
        use_threads(n_threads)
        results.append(run_both_ways(recurrence, *arguments))
        for _ in range(5):
            assert_same_bits(run_both_ways(recurrence, *arguments), results[-1])
    for other in results[1:]:
        assert torch.equal(other["outputs"], results[0]["outputs"])
        for name, value in other.items():
            assert relative_error(value, results[0][name].double()) < 1e-5, name


@BOTH_DIRECTIONS
@pytest.mark.parametrize("units", WIDTHS)
@ALL_CELLS
def test_fresh_memory_has_no_say(cell, activation, units, reverse, monkeypatch, poison_memory):
    """Every number of the results was written by the kernels: NaN in the memory they are given changes nothing."""
    layout = StepLayout(RAGGED)
    arguments = (cell, make_inputs(layout, 3), layout, make_weights(cell, 3, units), activation, reverse)
    projection = make_projection(layout, units)
    expected = run_both_ways(recurrence, *arguments, projection)
    poisoned = poison_memory()
    found = run_both_ways(recurrence, *arguments, projection)
    inference = infer(*arguments)
    monkeypatch.undo()
    assert sum(poisoned) >= 2 * layout.n_steps * units
    assert_same_bits(found, expected)
    assert torch.equal(inference, expected["outputs"])


# ---- numbers at the edge --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf], ids=str)
@pytest.mark.parametrize("units", WIDTHS)
@BOTH_DIRECTIONS
@ALL_CELLS
def test_nan_and_infinity_in_an_input_reach_their_row_and_no_other(cell, activation, reverse, units, value):
    """They come out where they come out of the reference, and the other rows keep their bits."""
    lengths = [6] * 9 + [3] * 4
    layout = StepLayout(lengths)
    weights = make_weights(cell, 3, units)
    projection = make_projection(layout, units)
    inputs = make_inputs(layout, 3)
    step = int(layout.time_offsets[2]) + 4  # row 4 at time 2
    spoilt = inputs.clone()
    spoilt[step, 1] = value
    elsewhere = layout.row_of_step != 4

    clean = run_both_ways(recurrence, cell, inputs, layout, weights, activation, reverse, projection)
    found = run_both_ways(recurrence, cell, spoilt, layout, weights, activation, reverse, projection)
    for name in ("outputs", "inputs"):
        assert torch.equal(found[name][elsewhere], clean[name][elsewhere]), name
    expected = run_both_ways(reference, cell, spoilt, layout, weights, activation, reverse, projection)
    outputs, right = found["outputs"], expected["outputs"]
    before = [int(layout.time_offsets[time]) + 4 for time in ((3, 4, 5) if reverse else (0, 1))]
    assert torch.equal(outputs[before], clean["outputs"][before])
    if activation in UNBOUNDED and cell != "rnn" and np.isinf(value):
        # A gate times an infinite state: whether that is NaN or infinity depends on the form of the equation.
        # After it relu may make 0 of an infinity, and a NaN remains.
        assert torch.equal(outputs[step].isfinite(), right[step].isfinite())
        del expected["outputs"]
    else:
        np.testing.assert_allclose(outputs.numpy(), right.numpy(), rtol=1e-4, atol=1e-5, equal_nan=True)
    if np.isnan(value):
        assert outputs[step].isnan().all()
    # What is not finite in a gradient must not be finite in ours; which of NaN and infinity it is may differ.
    for name, gradient in expected.items():
        hidden = ~gradient.isfinite() & found[name].isfinite()
        assert not hidden.any(), f"{name}: the kernels hid {int(hidden.sum())} numbers that are not finite"


@pytest.mark.parametrize("value", [torch.nan, torch.inf], ids=str)
@pytest.mark.parametrize("units", WIDTHS)
@BOTH_DIRECTIONS
@ALL_CELLS
def test_nan_and_infinity_in_a_gradient_reach_their_row_and_no_other(cell, activation, reverse, units, value):
    layout = StepLayout([6] * 9 + [3] * 4)
    weights, inputs = make_weights(cell, 3, units), make_inputs(layout, 3)
    projection = make_projection(layout, units)
    outputs = infer(cell, inputs, layout, weights, activation, reverse)
    step, unit = int(layout.time_offsets[2]) + 4, int(outputs[int(layout.time_offsets[2]) + 4].abs().argmax())
    spoilt = projection.clone()
    spoilt[step, unit] = value

    def gradients(grad_outputs):
        x, w = leaves_of(inputs, weights)
        out = recurrence.run(cell, x, layout, w, activation, reverse)
        return torch.autograd.grad(out, [x, w.input, w.recurrent, w.bias], grad_outputs)

    clean, found = gradients(projection), gradients(spoilt)
    elsewhere = layout.row_of_step != 4
    assert torch.equal(found[0][elsewhere], clean[0][elsewhere])
    assert not found[0][step].isfinite().any()
    for gradient in found[1:]:  # of the weights: a sum over all rows
        assert not gradient.isfinite().all()


@pytest.mark.parametrize("name", instruction_sets(), ids=bytes.decode)
@pytest.mark.parametrize("size", [1e4, -1e4, 1e30, -1e30])
@ALL_CELLS
def test_saturated_gates_give_the_limits(cell, activation, size, name, use_instructions):
    use_instructions(name)
    layout = StepLayout([5, 3])
    weights = make_weights(cell, 1, 9)
    # All gates are to saturate. Of a sigmoid of 12 float32 has few digits left of 1 - s(x), in torch as here.
    weights = weights._replace(input=torch.where(weights.input.abs() < 0.01, 0.01, weights.input))
    inputs = torch.full((layout.n_steps, 1), size)
    if activation in UNBOUNDED and abs(size) > 1e4:
        pytest.skip(f"{activation} does not saturate")
    arguments = (cell, inputs, layout, weights, activation, False, make_projection(layout, 9))
    found, expected = run_both_ways(recurrence, *arguments), run_both_ways(reference, *arguments, dtype=torch.float64)
    # Sums of large states of both signs lose digits.
    rtol = 1e-4 if activation in UNBOUNDED else 1e-5
    np.testing.assert_allclose(found["outputs"].numpy(), expected["outputs"].numpy(), rtol=rtol, atol=1e-5)
    for name, gradient in found.items():
        assert gradient.isfinite().all(), name
        # Far out on a sigmoid float32 has exactly 0 or 1 where float64 still sees the difference.
        assert relative_error(gradient, expected[name]) < 1e-4 or (gradient - expected[name]).abs().max() < 1e-5, name


@ALL_CELLS
def test_sums_of_zero_have_the_slope_of_the_reference(cell, activation, use_instructions):
    """That of relu at 0 is 0, as torch's."""
    layout = StepLayout([4, 0, 2])
    weights = Weights(*(None if each is None else torch.zeros_like(each) for each in make_weights(cell, 3, 9)))
    inputs = make_inputs(layout, 3)
    for reverse in (False, True):
        arguments = (cell, inputs, layout, weights, activation, reverse, make_projection(layout, 9))
        expected = run_both_ways(reference, *arguments, dtype=torch.float64)
        assert bool(expected["bias"].any()) == (activation != "relu")
        for name in instruction_sets():
            use_instructions(name)
            assert_close(run_both_ways(recurrence, *arguments), expected)


def test_every_finite_input_of_the_gates_has_the_right_value(use_instructions):
    """tanh and sigmoid alone, through cells of one step whose weights are 1 or 0, over the whole range of float32."""
    x = torch.cat([torch.linspace(-120, 120, 20_001), torch.logspace(-37, 38, 2_000)])
    x = torch.cat([x, -x])
    layout = StepLayout([1] * len(x))
    rnn = Weights(torch.ones(1, 1), torch.zeros(1, 1), torch.zeros(1))
    for name in instruction_sets():
        use_instructions(name)
        found = infer("rnn", x[:, None], layout, rnn, "tanh", False)[:, 0].double()
        expected = x.double().tanh()
        normal = expected.abs() > 1.2e-38  # below, numbers are flushed to zero
        assert ((found - expected) / expected)[normal].abs().max() < 1e-6
        assert (found - expected).abs().max() < 1e-6
        # z = s(x), n = tanh(100) = 1 from the bias, h = (1 - z) n = s(-x)
        gru = Weights(torch.tensor([[0.0], [1], [0]]), torch.zeros(3, 1), torch.tensor([0.0, 0, 100]), torch.zeros(3))
        found = infer("gru", x[:, None], layout, gru, "tanh", False)[:, 0].double()
        assert (found - torch.sigmoid(-x.double())).abs().max() < 1e-6


def test_denormals_are_flushed_inside_only(use_threads):
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


def test_the_lock_of_the_interpreter_is_released(use_threads):
    """Another Python thread goes on while a call runs: it sees the clock many times between its start and end."""
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
    """Their results, all run at once."""
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


def test_calls_from_several_python_threads_at_once(use_threads):
    use_threads(2)

    def job(seed, cell, activation):
        layout = StepLayout(np.random.default_rng(seed).integers(0, 30, 20 + seed))
        inputs, weights = make_inputs(layout, 5, seed), make_weights(cell, 5, 17 + seed, seed)
        projection = make_projection(layout, 17 + seed, seed)
        return lambda: [
            run_both_ways(recurrence, cell, inputs, layout, weights, activation, bool(i % 2), projection)
            for i in range(10)
        ]

    jobs = [job(seed, *CELLS[seed % len(CELLS)]) for seed in range(6)]
    expected = [job() for job in jobs]
    for found, right in zip(run_in_threads(jobs), expected, strict=True):
        for one, other in zip(found, right, strict=True):
            assert_same_bits(one, other)


def test_two_fits_in_two_threads_are_both_right(monkeypatch):
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
        "What `function` gives in a forked child: its exit status, or 'deadlock'."
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
@pytest.mark.parametrize("function", ["infer", "train", "fit"])
def test_a_forked_child_runs_after_the_parent_has_used_threads(function):
    """torch's own pool (GNU OpenMP) does not survive a fork: its threads are gone, and it waits for them for ever."""
    program = textwrap.dedent(FORK) + textwrap.dedent(f"""
        infer(), train(), {function}()
        torch.randn(300, 300) @ torch.randn(300, 300)
        print(in_child({function}))
        assert torch.allclose({function}()[0], {function}()[0])
        print("parent is well")
    """)
    assert run_python(program, "-W", "ignore").splitlines() == ["0", "parent is well"]


def test_in_loky_workers():
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
    print("well")
    """
    assert run_python(code, "-W", "ignore") == "well\n"


# ---- what else may come ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lengths", [[], [0], [0, 0, 0]], ids=str)
@pytest.mark.parametrize("ids", [False, True], ids=["numbers", "ids"])
@pytest.mark.parametrize("units", WIDTHS)
@BOTH_DIRECTIONS
@ALL_CELLS
def test_no_rows_no_steps(cell, activation, reverse, units, ids, lengths):
    layout = StepLayout(lengths)
    weights, inputs = make_weights(cell, 3, units), make_inputs(layout, 3, ids=ids)
    found = run_both_ways(
        recurrence, cell, inputs, layout, weights, activation, reverse, make_projection(layout, units)
    )
    assert found["outputs"].shape == (0, units)
    for name, value in found.items():
        assert (value == 0).all(), name
    assert found["recurrent"].shape == weights.recurrent.shape


@pytest.mark.parametrize("units", WIDTHS)
@ALL_CELLS
def test_memory_that_is_not_contiguous(cell, activation, units):
    layout = StepLayout(RAGGED)
    inputs, weights = make_inputs(layout, 6), make_weights(cell, 6, units)
    projection = make_projection(layout, units)

    def strided(tensor):
        if tensor is None:
            return None
        apart = torch.full((*tensor.shape, 2), torch.nan)
        apart[..., 1] = tensor
        return apart[..., 1]

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
    # The gradient of a sum is one number seen from everywhere.
    ones = gradients(inputs, weights, torch.ones(layout.n_steps, units))
    expanded = gradients(inputs, weights, torch.ones(()).expand(layout.n_steps, units))
    assert all(torch.equal(a, b) for a, b in zip(ones, expanded, strict=True))


@ALL_CELLS
def test_only_the_gradients_that_are_wanted(cell, activation):
    layout = StepLayout(RAGGED)
    inputs, weights = make_inputs(layout, 6), make_weights(cell, 6, UNITS)
    projection = make_projection(layout, UNITS)
    expected = run_both_ways(recurrence, cell, inputs, layout, weights, activation, False, projection)
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
def test_a_second_backward_is_refused_or_right(cell, activation):
    layout = StepLayout([4, 2])
    inputs, weights = leaves_of(make_inputs(layout, 3), make_weights(cell, 3, 4))
    outputs = recurrence.run(cell, inputs, layout, weights, activation, False)
    outputs.sum().backward()
    with pytest.raises(RuntimeError, match=r"through the graph a second time|called a second time"):
        outputs.sum().backward()

    outputs = recurrence.run(cell, inputs, layout, weights, activation, False)
    (first,) = torch.autograd.grad(outputs.sum(), inputs, retain_graph=True)
    if not saves_slots(cell):  # nothing of forward is overwritten
        assert torch.equal(torch.autograd.grad(outputs.sum(), inputs)[0], first)
    else:
        with pytest.raises(RuntimeError, match="called a second time"):
            outputs.sum().backward()


@ALL_CELLS
def test_no_gradient_of_a_gradient(cell, activation):
    layout = StepLayout([4, 2])
    inputs, weights = leaves_of(make_inputs(layout, 3), make_weights(cell, 3, 4))
    outputs = recurrence.run(cell, inputs, layout, weights, activation, False)
    (gradient,) = torch.autograd.grad((outputs**2).sum(), inputs, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def test_outputs_changed_in_place_before_backward_are_noticed():
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
def test_ids_of_any_width(dtype):
    layout = StepLayout(RAGGED)
    weights, ids = make_weights("gru", 50, UNITS), make_inputs(layout, 50, ids=True)
    assert torch.equal(
        infer("gru", ids.to(dtype), layout, weights, "tanh", False), infer("gru", ids, layout, weights, "tanh", False)
    )


@pytest.mark.parametrize("wrong", [-1, 50, 2**40])
def test_an_id_outside_the_vocabulary_is_refused(wrong):
    layout = StepLayout(RAGGED)
    weights, ids = make_weights("gru", 50, UNITS), make_inputs(layout, 50, ids=True)
    ids[7] = wrong
    with pytest.raises(IndexError):
        _kernels.recurrence("gru", ids, layout, weights)


@pytest.mark.parametrize("cell", _kernels.CELLS)
def test_only_float32_on_the_cpu_gets_here(cell, monkeypatch):
    """Dispatch sends everything else elsewhere; a mixture is an error, or right, but never read as what it is not."""
    monkeypatch.delenv("SEQCLF_KERNELS", raising=False)
    layout = StepLayout(RAGGED)
    inputs, weights = make_inputs(layout, 3), make_weights(cell, 3, UNITS)
    ran = []
    true_run = recurrence.run
    monkeypatch.setattr(recurrence, "run", lambda *args: ran.append(args) or true_run(*args))
    expected = _kernels.recurrence(cell, inputs, layout, weights)
    assert len(ran) == 1, "float32 on the CPU must get here"

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


def test_unknown_instructions_are_refused():
    before = loaded().seqclf_instructions()
    assert not loaded().seqclf_use_instructions(b"mmx")
    assert loaded().seqclf_instructions() == before
