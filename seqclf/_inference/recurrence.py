"""`Recurrence`: one recurrent layer of a trained network, by the compiled library or in plain numpy."""

import ctypes
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqclf._cells import ACTIVATIONS, CELLS, Weights
from seqclf._inference.inputs import LayerInputs, check_ids, written_out
from seqclf._inference.layout import BatchLayout
from seqclf._native import abi
from seqclf._native.call import GATE_COST, loaded, thread_count
from seqclf._native.cell_layout import padded_units
from seqclf._native.threads import n_threads

Array = NDArray[Any]


class Recurrence:
    """One layer, from an initial state of zero.

    Parameters
    ----------
    cell, activation : str
        Names in `CELLS` and `ACTIVATIONS`.
    directions : sequence of one or two Weights
        The weights of the forward direction, and those of the reverse one, of the same shapes. Those of float32 are
        for the compiled library.
    n_looked_up : int, default=0
        How many columns of the input weights are those of ids; the others are those of numbers.
    """

    def __init__(self, cell: str, activation: str, directions: Sequence[Weights], n_looked_up: int = 0):
        self.cell, self.activation, self.directions, self.n_looked_up = cell, activation, directions, n_looked_up
        self.units = directions[0].units
        self.n_numbers = directions[0].input.shape[1] - n_looked_up
        self.dtype = directions[0].input.dtype

    def run(self, inputs: LayerInputs, layout: BatchLayout) -> Array:
        """The hidden states after each step, (n_steps, directions * units), those of the forward direction first."""
        self._check(inputs, layout)
        return (self._run_compiled if self.dtype == np.float32 else self._run_plain)(inputs, layout)

    def project(self, table: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """What each row of a table of vectors gives to the gates of each direction, in the library's own order.

        As the ``projected`` of the inputs it gives the same bits as the vectors themselves, in less time where there
        are more steps than rows.
        """
        return [self._project(table, weights) for weights in self.directions]

    def _check(self, inputs: LayerInputs, layout: BatchLayout) -> None:
        """Refuse shapes with which the library would read beyond the end of something."""
        numbers, ids, table = inputs.numbers, inputs.ids, inputs.table
        n_steps, n_looked_up = layout.n_steps, self.n_looked_up
        fits = (numbers is None and not self.n_numbers) or (
            numbers is not None and numbers.shape == (n_steps, self.n_numbers) and self.n_numbers > 0
        )
        fits = fits and ((ids is None and not n_looked_up) or (ids is not None and ids.shape == (n_steps,)))
        fits = fits and (table is None or table.shape[1] == n_looked_up)
        if not fits:
            shapes = [None if each is None else each.shape for each in (numbers, ids, table, self.directions[0].input)]
            raise ValueError(f"The shapes of numbers, ids, table and input weights do not fit together: {shapes}.")
        if ids is not None:
            looked_up_in = table if inputs.projected is None else inputs.projected[0]
            check_ids(ids, n_looked_up if looked_up_in is None else len(looked_up_in))

    def _run_compiled(self, inputs: LayerInputs, layout: BatchLayout) -> Array:
        n_directions, width = len(self.directions), padded_units(self.units)
        numbers = None if inputs.numbers is None else np.ascontiguousarray(inputs.numbers, dtype=np.float32)
        outputs = np.empty((layout.n_steps, n_directions * width), dtype=np.float32)
        n_read = self.n_numbers + (0 if inputs.table is None else self.n_looked_up)
        macs_per_step = n_directions * len(self.directions[0].recurrent) * (n_read + self.units + GATE_COST)
        call = abi.Forward(
            layout.as_c_struct,
            self._as_c_struct if inputs.projected is None else self._layer(inputs.projected),
            abi.Inputs(*map(abi.address, (numbers, inputs.ids, inputs.table, None))),
            abi.address(outputs),
            None,  # gates and memory, which only the way back reads
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
        """The weights as the library reads them. It points into their memory."""
        return self._layer([None] * len(self.directions))

    def _layer(self, projected: Sequence[Array | None]) -> abi.Layer:
        directions = [
            abi.Direction(reverse, *map(abi.address, (*weights, table)))
            for reverse, weights, table in zip((False, True), self.directions, projected, strict=False)
        ]
        code, activation = CELLS[self.cell].code, ACTIVATIONS[self.activation].code
        sizes = (self.units, len(directions), self.n_looked_up, self.n_numbers)
        return abi.Layer(code, activation, *sizes, (2 * abi.Direction)(*directions))

    def _project(self, table: NDArray[np.float32], weights: Weights) -> NDArray[np.float32]:
        if table.shape[1] != self.n_looked_up:
            raise ValueError(f"The table has vectors of {table.shape[1]} numbers; expected {self.n_looked_up}.")
        projected = np.empty((len(table), CELLS[self.cell].n_gates * padded_units(self.units)), dtype=np.float32)
        layer = Recurrence(self.cell, self.activation, [weights], self.n_looked_up)._as_c_struct
        call = abi.Projection(layer, len(table), abi.address(table), abi.address(projected), n_threads())
        loaded().seqclf_project(ctypes.byref(call))
        return projected

    def _run_plain(self, inputs: LayerInputs, layout: BatchLayout) -> Array:
        if inputs.table is not None:
            inputs = LayerInputs(written_out(inputs, self.dtype))
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
            running = recurrence.step(projected[steps], tuple(part[:rows] for part in state), weights, activate)
            # Rows that have ended (forward) or not begun (reverse) keep what they have: the latter, zeros.
            for part, new in zip(state, running, strict=True):
                part[:rows] = new
            outputs[steps] = running[0]
        return outputs


def _project_inputs(inputs: LayerInputs, weights: Weights) -> Array:
    """x W + b for every step; the product of a one-hot vector is a row of W."""
    numbers, ids = inputs.numbers, inputs.ids
    n_looked_up = weights.input.shape[1] - (0 if numbers is None else numbers.shape[1])
    sums = weights.bias if ids is None else weights.input[:, :n_looked_up].T[ids] + weights.bias
    return sums if numbers is None else numbers @ weights.input[:, n_looked_up:].T + sums
