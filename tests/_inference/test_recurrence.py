"""A recurrent layer on the compiled library and in numpy: values, ids, embeddings, projections and errors."""

import numpy as np
import pytest
import torch

from _sampling import sampled
from seqclf._cells import ACTIVATIONS, CELLS, Weights
from seqclf._inference.inputs import LayerInputs
from seqclf._inference.layout import BatchLayout
from seqclf._inference.recurrence import Recurrence
from seqclf._kernels import Inputs, StepLayout, reference
from seqclf._native import library
from seqclf._native.threads import kernel_threads

compiled = pytest.mark.skipif(not library.available()[0], reason=f"no compiled kernels: {library.available()[1]}")
CELL = {"cell": list(CELLS), "activation": list(ACTIVATIONS)}
LENGTHS = [9, 1, 0, 14, 3, 9, 2]
N_STEPS, N_IDS, DIM, N_VALUES = sum(LENGTHS), 11, 7, 3
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


# The kinds of inputs of a layer, with the number of columns of its input weights for ids.
IDS, VALUES, EMBEDDING = np.random.default_rng(5).integers(0, N_IDS, N_STEPS), draw(N_STEPS, N_VALUES), draw(N_IDS, DIM)
INPUTS = {
    "values": (LayerInputs(VALUES), 0),
    "one-hot": (LayerInputs(None, IDS), N_IDS),
    "one-hot and values": (LayerInputs(VALUES, IDS), N_IDS),
    "embedding": (LayerInputs(None, IDS, EMBEDDING), DIM),
    "embedding and values": (LayerInputs(VALUES, IDS, EMBEDDING), DIM),
}
ALL_INPUTS = pytest.mark.parametrize("kind", INPUTS)


def make_layer(kind, cell="gru", activation="tanh", units=5, n_directions=2, dtype=np.float32):
    inputs, n_looked_up = INPUTS[kind]
    n_inputs = n_looked_up + (0 if inputs.values is None else N_VALUES)
    weights = draw_weights(cell, n_inputs, units, n_directions, dtype)
    if inputs.values is not None:
        inputs = inputs._replace(values=inputs.values.astype(dtype))
    return Recurrence(cell, activation, weights, n_looked_up), inputs


def run_reference(layer, inputs):
    """The outputs of the reference in float64."""
    values, ids, embedding = (None if each is None else torch.from_numpy(each) for each in inputs[:3])
    given = Inputs(None if values is None else values.double(), ids, None if embedding is None else embedding.double())
    outputs = []
    for reverse, weights in zip((False, True), layer.directions, strict=False):
        weights = Weights(*(None if each is None else torch.from_numpy(each).double() for each in weights))
        outputs.append(
            reference.run(layer.cell, given, StepLayout(LENGTHS), weights, layer.activation, reverse).numpy()
        )
    return np.concatenate(outputs, axis=1)


@sampled(CELL | {"kind": list(INPUTS), "n_directions": [1, 2]}, n_quick=10)
def test_numpy_equals_reference(kind, cell, activation, n_directions):
    layer, inputs = make_layer(kind, cell, activation, 5, n_directions, np.float64)
    found = layer.run(inputs, LAYOUT)
    assert found.dtype == np.float64 and found.shape == (N_STEPS, 5 * n_directions)
    np.testing.assert_allclose(found, run_reference(layer, inputs), rtol=1e-12, atol=1e-12)


@compiled
@pytest.mark.usefixtures("_every_instruction_set")
@sampled(CELL | {"kind": list(INPUTS), "units": [1, 8, 13]}, n_quick=10)
def test_library_equals_numpy(kind, cell, activation, units):
    layer, inputs = make_layer(kind, cell, activation, units)
    plain, plain_inputs = make_layer(kind, cell, activation, units, dtype=np.float64)
    found, expected = layer.run(inputs, LAYOUT), plain.run(plain_inputs, LAYOUT)
    assert found.dtype == np.float32 and found.shape == (N_STEPS, 2 * units)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * max(1, np.abs(expected).max()))


@compiled
@sampled(CELL | {"kind": ["embedding", "embedding and values"], "units": [5, 16, 27]}, n_quick=6)
def test_projected_embedding_has_the_same_bits(cell, activation, kind, units):
    layer, inputs = make_layer(kind, cell, activation, units)
    projected = inputs._replace(embedding=None, projected=layer.project(EMBEDDING))
    assert np.array_equal(layer.run(projected, LAYOUT), layer.run(inputs, LAYOUT))


@compiled
@pytest.mark.parametrize("kind", ["values", "embedding and values"])
def test_results_do_not_depend_on_the_number_of_threads(kind, tune):
    tune(min_parallel_work=-1)
    layer, inputs = make_layer(kind, units=21)
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
def test_mismatched_shapes_and_ids_out_of_range_raise(kind, dtype):
    layer, inputs = make_layer(kind, dtype=dtype)
    if inputs.values is not None:
        for values in (inputs.values[1:], inputs.values[:, 1:], None):
            with pytest.raises(ValueError, match="do not match"):
                layer.run(inputs._replace(values=values), LAYOUT)
    if inputs.ids is not None:
        for ids in (inputs.ids[1:], None):
            with pytest.raises(ValueError, match="do not match"):
                layer.run(inputs._replace(ids=ids), LAYOUT)
        for bad in (-1, N_IDS):
            ids = inputs.ids.copy()
            ids[3] = bad
            with pytest.raises(IndexError, match=f"{bad}.*expected 0 to {N_IDS - 1}"):
                layer.run(inputs._replace(ids=ids), LAYOUT)
    if inputs.embedding is not None:
        with pytest.raises(ValueError, match="do not match"):
            layer.run(inputs._replace(embedding=draw(N_IDS, DIM + 1)), LAYOUT)


@compiled
def test_project_raises_for_an_embedding_of_another_dimension():
    layer, inputs = make_layer("embedding")
    with pytest.raises(ValueError, match="dimension 8; expected 7"):
        layer.project(draw(N_IDS, DIM + 1))
    projected = layer.project(draw(4, DIM))
    with pytest.raises(IndexError, match="expected 0 to 3"):
        layer.run(inputs._replace(embedding=None, projected=projected), LAYOUT)
