"""Pooling: from the hidden states of all steps to one vector per row."""

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqclf._cells import Weights
from seqclf._inference.inputs import LayerInputs
from seqclf._inference.layout import BatchLayout
from seqclf._inference.recurrence import Recurrence
from seqclf._native import abi
from seqclf._native.call import VALUE_COST, loaded, thread_count
from seqclf._native.threads import n_threads

Array = NDArray[Any]


def last_states(states: Array, layout: BatchLayout, n_forward: int) -> Array:
    """The final state of each direction, (n_rows, features): forward at the last step, reverse at the first.

    The first `n_forward` features are those of the forward direction.
    """
    forward = states[layout.last_positions, :n_forward]
    if n_forward == states.shape[1]:
        return forward
    # In time-major order the first steps of all rows come first.
    return np.concatenate((forward, states[: layout.n_rows, n_forward:]), axis=1)


def pool(kind: str, values: Array, layout: BatchLayout) -> Array:
    """The maximum ("max") or mean ("mean") of each feature over the steps of each row, shape (n_rows, features)."""
    if values.dtype == np.float32:
        return _pool_compiled(kind, values, layout)
    if kind == "max":
        return _reduce_steps(np.maximum, values, layout)
    return _reduce_steps(np.add, values, layout) / layout.lengths[:, None]


def attend(values: Array, layout: BatchLayout, weight: Array, bias: Array, query: Array) -> Array:
    """The mean over the steps of each row, weighted by the softmax of ``tanh(weight values + bias) . query``.

    The shapes are (n_steps, features), (features, features), (features,), (features,), and (n_rows, features) for the
    result.
    """
    if values.dtype == np.float32:
        # tanh(W h + b) is a simple RNN over sequences of one step.
        steps = BatchLayout(np.ones(layout.n_steps, dtype=np.int64))
        keys = Recurrence("rnn", "tanh", [Weights(weight, np.zeros_like(weight), bias)]).run(LayerInputs(values), steps)
        return _pool_compiled("attention", values, layout, np.ascontiguousarray(keys), query)
    scores = (np.tanh(values @ weight.T + bias) @ query)[:, None]
    attention = np.exp(scores - _reduce_steps(np.maximum, scores, layout)[layout.row])
    return _reduce_steps(np.add, attention * values, layout) / _reduce_steps(np.add, attention, layout)


def _reduce_steps(function: Any, values: Array, layout: BatchLayout) -> Array:
    """Apply `function` cumulatively to the steps of each row, in the order of time."""
    pooled = values[: layout.n_rows].copy()
    for time in range(1, layout.max_length):
        rows = pooled[: layout.batch_sizes[time]]
        function(rows, values[slice(*layout.time_offsets[time : time + 2])], out=rows)
    return pooled


def _pool_compiled(
    kind: str, values: Array, layout: BatchLayout, keys: Array | None = None, query: Array | None = None
) -> Array:
    if values.strides[1] != values.itemsize:
        values = np.ascontiguousarray(values)
    pooled = np.empty((layout.n_rows, values.shape[1]), dtype=np.float32)
    scales = None if keys is None else np.empty(layout.n_rows)
    call = abi.Pooling(
        layout.as_c_struct,
        abi.POOLING_KINDS[kind],
        values.shape[1],
        values.strides[0] // values.itemsize,
        *map(abi.address, (values, keys, query, pooled)),
        *map(abi.address, (None, scales)),
        thread_count(n_threads(), layout.n_steps * VALUE_COST * values.shape[1]),
    )
    loaded().seqclf_pool(ctypes.byref(call))
    return pooled
