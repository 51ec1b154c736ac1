"""A recurrent layer by the compiled library and in numpy: ids, numbers, projected ids, and what is refused."""

import numpy as np
import pytest
import torch

from seqclf._cells import ACTIVATIONS, CELLS, Weights
from seqclf._inference.inputs import LayerInputs
from seqclf._inference.layout import BatchLayout
from seqclf._inference.recurrence import Recurrence
from seqclf._kernels import Inputs, StepLayout, reference
from seqclf._native import library
from seqclf._native.threads import kernel_threads

compiled = pytest.mark.skipif(not library.available()[0], reason=f"no compiled kernels: {library.available()[1]}")
ALL_CELLS = pytest.mark.parametrize(
    ("cell", "activation"), [(cell, activation) for cell in CELLS for activation in ACTIVATIONS]
)
LENGTHS = [9, 1, 0, 14, 3, 9, 2]
N_STEPS, N_IDS, DIM, N_NUMBERS = sum(LENGTHS), 11, 7, 3
LAYOUT = BatchLayout(LENGTHS)


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def draw_weights(cell, n_inputs, units, n_directions=2, dtype=np.float32):
    rows = CELLS[cell].n_gates * units
    shapes = [(rows, n_inputs), (rows, units), (rows,)] + [(rows,)] * CELLS[cell].has_recurrent_bias
    return [
        Weights(*((0.3 * draw(*shape, seed=10 * way + i)).astype(dtype) for i, shape in enumerate(shapes)))
        for way in range(n_directions)
    ]


# By a name, what a layer reads, and how many columns of its weights are those of ids.
IDS, NUMBERS, TABLE = np.random.default_rng(5).integers(0, N_IDS, N_STEPS), draw(N_STEPS, N_NUMBERS), draw(N_IDS, DIM)
INPUTS = {
    "numbers": (LayerInputs(NUMBERS), 0),
    "one-hot": (LayerInputs(None, IDS), N_IDS),
    "one-hot and numbers": (LayerInputs(NUMBERS, IDS), N_IDS),
    "table": (LayerInputs(None, IDS, TABLE), DIM),
    "table and numbers": (LayerInputs(NUMBERS, IDS, TABLE), DIM),
}
ALL_INPUTS = pytest.mark.parametrize("kind", INPUTS)


def make(kind, cell="gru", activation="tanh", units=5, n_directions=2, dtype=np.float32):
    inputs, n_looked_up = INPUTS[kind]
    n_inputs = n_looked_up + (0 if inputs.numbers is None else N_NUMBERS)
    weights = draw_weights(cell, n_inputs, units, n_directions, dtype)
    if inputs.numbers is not None:
        inputs = inputs._replace(numbers=inputs.numbers.astype(dtype))
    return Recurrence(cell, activation, weights, n_looked_up), inputs


def by_torch(layer, inputs):
    """The reference in float64."""
    numbers, ids, table = (None if each is None else torch.from_numpy(each) for each in inputs[:3])
    given = Inputs(None if numbers is None else numbers.double(), ids, None if table is None else table.double())
    outputs = []
    for reverse, weights in zip((False, True), layer.directions, strict=False):
        weights = Weights(*(None if each is None else torch.from_numpy(each).double() for each in weights))
        outputs.append(
            reference.run(layer.cell, given, StepLayout(LENGTHS), weights, layer.activation, reverse).numpy()
        )
    return np.concatenate(outputs, axis=1)


@ALL_INPUTS
@ALL_CELLS
@pytest.mark.parametrize("n_directions", [1, 2])
def test_numpy_equals_the_reference(kind, cell, activation, n_directions):
    layer, inputs = make(kind, cell, activation, 5, n_directions, np.float64)
    found = layer.run(inputs, LAYOUT)
    assert found.dtype == np.float64 and found.shape == (N_STEPS, 5 * n_directions)
    np.testing.assert_allclose(found, by_torch(layer, inputs), rtol=1e-12, atol=1e-12)


@compiled
@pytest.mark.usefixtures("_every_instruction_set")
@pytest.mark.parametrize("units", [1, 8, 13])
@ALL_INPUTS
@ALL_CELLS
def test_the_library_equals_numpy(kind, cell, activation, units):
    layer, inputs = make(kind, cell, activation, units)
    plain, plain_inputs = make(kind, cell, activation, units, dtype=np.float64)
    found, expected = layer.run(inputs, LAYOUT), plain.run(plain_inputs, LAYOUT)
    assert found.dtype == np.float32 and found.shape == (N_STEPS, 2 * units)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * max(1, np.abs(expected).max()))


@compiled
@pytest.mark.parametrize("numbers", ["table", "table and numbers"])
@pytest.mark.parametrize("units", [5, 16, 27])
@ALL_CELLS
def test_projected_ids_stand_for_their_vectors_to_the_last_bit(cell, activation, units, numbers):
    layer, inputs = make(numbers, cell, activation, units)
    projected = inputs._replace(table=None, projected=layer.project(TABLE))
    assert np.array_equal(layer.run(projected, LAYOUT), layer.run(inputs, LAYOUT))


@compiled
@pytest.mark.parametrize("kind", ["numbers", "table and numbers"])
def test_any_number_of_threads_gives_the_same_bits(kind, tune):
    tune(min_parallel_work=-1)
    layer, inputs = make(kind, units=21)
    found = []
    for n_threads in (1, 2, 5):
        with kernel_threads(n_threads):
            found.append(
                [layer.run(inputs, LAYOUT), *(layer.project(draw(1001, DIM)) if inputs.ids is not None else ())]
            )
    for others in found[1:]:
        assert all(map(np.array_equal, others, found[0]))


@pytest.mark.parametrize("dtype", [pytest.param(np.float32, marks=compiled), np.float64])
@ALL_INPUTS
def test_what_would_be_read_beyond_its_end_is_refused(kind, dtype):
    layer, inputs = make(kind, dtype=dtype)
    if inputs.numbers is not None:
        for numbers in (inputs.numbers[1:], inputs.numbers[:, 1:], None):
            with pytest.raises(ValueError, match="do not fit together"):
                layer.run(inputs._replace(numbers=numbers), LAYOUT)
    if inputs.ids is not None:
        for ids in (inputs.ids[1:], None):
            with pytest.raises(ValueError, match="do not fit together"):
                layer.run(inputs._replace(ids=ids), LAYOUT)
        for bad in (-1, N_IDS):
            ids = inputs.ids.copy()
            ids[3] = bad
            with pytest.raises(IndexError, match=f"{bad}.*expected 0 to {N_IDS - 1}"):
                layer.run(inputs._replace(ids=ids), LAYOUT)
    if inputs.table is not None:
        with pytest.raises(ValueError, match="do not fit together"):
            layer.run(inputs._replace(table=draw(N_IDS, DIM + 1)), LAYOUT)


@compiled
def test_a_table_that_does_not_fit_is_not_projected():
    layer, inputs = make("table")
    with pytest.raises(ValueError, match="vectors of 8 numbers; expected 7"):
        layer.project(draw(N_IDS, DIM + 1))
    projected = layer.project(draw(4, DIM))
    with pytest.raises(IndexError, match="expected 0 to 3"):
        layer.run(inputs._replace(table=None, projected=projected), LAYOUT)
