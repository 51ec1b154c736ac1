"""`Recurrence`: a recurrent layer of a trained network, on the compiled library or in plain numpy."""

import ctypes
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqclf._cells import ACTIVATIONS, CELLS, Weights
from seqclf._inference.inputs import LayerInputs, check_ids, materialize
from seqclf._inference.layout import BatchLayout
from seqclf._native import abi
from seqclf._native.call import GATE_COST, loaded, thread_count
from seqclf._native.cell_layout import padded_units
from seqclf._native.threads import n_threads

Array = NDArray[Any]


class Recurrence:
    """A recurrent layer with an initial state of zero.

    Parameters
    ----------
    cell, activation : str
        Names in `CELLS` and `ACTIVATIONS`.
    directions : sequence of one or two Weights
        The weights of the forward and, optionally, the reverse direction, of equal shapes. With float32 weights the
        compiled library runs.
    n_looked_up : int, default=0
        Number of columns of the input weights for ids; the other columns are for values.
    """

    def __init__(self, cell: str, activation: str, directions: Sequence[Weights], n_looked_up: int = 0):
        self.cell, self.activation, self.directions, self.n_looked_up = cell, activation, directions, n_looked_up
        self.units = directions[0].units
        self.n_values = directions[0].input.shape[1] - n_looked_up
        self.dtype = directions[0].input.dtype

    def run(self, inputs: LayerInputs, layout: BatchLayout) -> Array:
        """The hidden states after each step, (n_steps, directions * units); the forward direction comes first."""
        self._check(inputs, layout)
        return (self._run_compiled if self.dtype == np.float32 else self._run_numpy)(inputs, layout)

    def project(self, embedding: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """The product of each vector of an embedding and the input weights, per direction, in the library's gate order.

        As ``projected`` of the inputs it replaces the embedding and gives the same bits. It is faster if there are more
        steps than vectors.
        """
        return [self._project(embedding, weights) for weights in self.directions]

    def _check(self, inputs: LayerInputs, layout: BatchLayout) -> None:
        """Raise ValueError for shapes with which the library would read out of bounds."""
        values, ids, embedding = inputs.values, inputs.ids, inputs.embedding
        n_steps, n_looked_up = layout.n_steps, self.n_looked_up
        fits = (values is None and not self.n_values) or (
            values is not None and values.shape == (n_steps, self.n_values) and self.n_values > 0
        )
        fits = fits and ((ids is None and not n_looked_up) or (ids is not None and ids.shape == (n_steps,)))
        fits = fits and (embedding is None or embedding.shape[1] == n_looked_up)
        if not fits:
            arrays = (values, ids, embedding, self.directions[0].input)
            shapes = [None if each is None else each.shape for each in arrays]
            raise ValueError(f"The shapes of values, ids, embedding and input weights do not match: {shapes}.")
        if ids is not None:
            lookup = embedding if inputs.projected is None else inputs.projected[0]
            check_ids(ids, n_looked_up if lookup is None else len(lookup))

    def _run_compiled(self, inputs: LayerInputs, layout: BatchLayout) -> Array:
        n_directions, width = len(self.directions), padded_units(self.units)
        values = None if inputs.values is None else np.ascontiguousarray(inputs.values, dtype=np.float32)
        outputs = np.empty((layout.n_steps, n_directions * width), dtype=np.float32)
        n_multiplied = self.n_values + (0 if inputs.embedding is None else self.n_looked_up)
        macs_per_step = n_directions * len(self.directions[0].recurrent) * (n_multiplied + self.units + GATE_COST)
        call = abi.Forward(
            layout.as_c_struct,
            self._as_c_struct if inputs.projected is None else self._layer(inputs.projected),
            abi.Inputs(*map(abi.address, (values, inputs.ids, inputs.embedding, None))),
            abi.address(outputs),
            None,  # saved gates and memory, which only the backward pass needs
            None,
            thread_count(n_threads(), layout.n_steps * macs_per_step),
        )
        loaded().seqclf_forward(ctypes.byref(call))
        if width == self.units:
            return outputs
        outputs = outputs.reshape(layout.n_steps, n_directions, width)[..., : self.units]
        return outputs.reshape(layout.n_steps, n_directions * self.units)

    @cached_property
    def _as_c_struct(self) -> abi.Layer:
        """The weights as a C struct, with pointers into their memory."""
        return self._layer([None] * len(self.directions))

    def _layer(self, projected: Sequence[Array | None]) -> abi.Layer:
        directions = [
            abi.Direction(reverse, *map(abi.address, (*weights, product)))
            for reverse, weights, product in zip((False, True), self.directions, projected, strict=False)
        ]
        code, activation = CELLS[self.cell].code, ACTIVATIONS[self.activation].code
        sizes = (self.units, len(directions), self.n_looked_up, self.n_values)
        return abi.Layer(code, activation, *sizes, (2 * abi.Direction)(*directions))

    def _project(self, embedding: NDArray[np.float32], weights: Weights) -> NDArray[np.float32]:
        if embedding.shape[1] != self.n_looked_up:
            raise ValueError(f"The embedding has the dimension {embedding.shape[1]}; expected {self.n_looked_up}.")
        projected = np.empty((len(embedding), CELLS[self.cell].n_gates * padded_units(self.units)), dtype=np.float32)
        layer = Recurrence(self.cell, self.activation, [weights], self.n_looked_up)._as_c_struct
        call = abi.Projection(layer, len(embedding), abi.address(embedding), abi.address(projected), n_threads())
        loaded().seqclf_project(ctypes.byref(call))
        return projected

    def _run_numpy(self, inputs: LayerInputs, layout: BatchLayout) -> Array:
        if inputs.embedding is not None:
            inputs = LayerInputs(materialize(inputs, self.dtype))
        directions = zip((False, True), self.directions, strict=False)
        return np.concatenate([self._run_direction(inputs, layout, *each) for each in directions], axis=1)

    def _run_direction(self, inputs: LayerInputs, layout: BatchLayout, reverse: bool, weights: Weights) -> Array:
        recurrence, activate = CELLS[self.cell], ACTIVATIONS[self.activation].function
        projected = _project_inputs(inputs, weights)
        state = tuple(np.zeros((layout.n_rows, weights.units)) for _ in range(1 + recurrence.has_memory))
        outputs = np.empty((layout.n_steps, weights.units))
        times = range(layout.max_length)
        for time in reversed(times) if reverse else times:
            rows, steps = layout.batch_sizes[time], slice(*layout.time_offsets[time : time + 2])
            active = tuple(component[:rows] for component in state)
            active = recurrence.step(projected[steps], active, weights, activate)
            # Rows that have ended (forward) or not started (reverse) keep their state, which is zero before the start.
            for component, new in zip(state, active, strict=True):
                component[:rows] = new
            outputs[steps] = active[0]
        return outputs


def _project_inputs(inputs: LayerInputs, weights: Weights) -> Array:
    """x W + b for every step; for a one-hot vector, x W is a lookup in W."""
    values, ids = inputs.values, inputs.ids
    n_looked_up = weights.input.shape[1] - (0 if values is None else values.shape[1])
    sums = weights.bias if ids is None else weights.input[:, :n_looked_up].T[ids] + weights.bias
    return sums if values is None else values @ weights.input[:, n_looked_up:].T + sums
