"""Times single Keras layers on JAX for `kernels.py`, which starts this in an environment with Keras and JAX.

It accepts two requests (see `_serve.py`):

``{"setup": {cell, n_inputs, units, lengths, seed}}``
    Builds the layer and compiles both functions (outside any measured time).
``{"run": {"mode": "training"}}`` or ``"inference"``
    Runs one of them once, waits for its results, and returns ``{"seconds": ...}``.

Training is ``value_and_grad`` of a projection of the layer's outputs with respect to weights and inputs. Inference is
the layer's ``stateless_call``. Both run under ``jax.jit``, on inputs that are in JAX's memory already. Ragged batches
are padded at the end and masked, as by a model with ``mask_zero``; batches of equal lengths have no mask.
"""

import os
import time

os.environ["KERAS_BACKEND"] = "jax"

from _serve import serve  # isort: skip  # first: it reserves the standard output for the responses

import jax
import jax.numpy as jnp
import keras
import numpy as np


def functions(cell, n_inputs, units, lengths, seed):
    """The compiled training step and inference by name, as functions without arguments."""
    rng = np.random.default_rng(seed)
    n_rows, n_times = len(lengths), max(lengths)
    real = np.arange(n_times) < np.array(lengths)[:, None]  # (rows, times)
    mask = None if real.all() else jnp.asarray(real)
    inputs = jnp.asarray((rng.standard_normal((n_rows, n_times, n_inputs)) * real[..., None]).astype("float32"))
    projection = jnp.asarray((rng.standard_normal((n_rows, n_times, units)) * real[..., None]).astype("float32"))
    layer = {"rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[cell](
        units, return_sequences=True
    )
    layer.build(inputs.shape)
    weights = [variable.value for variable in layer.trainable_variables]
    state = [variable.value for variable in layer.non_trainable_variables]

    def outputs(weights, inputs):
        return layer.stateless_call(weights, state, inputs, mask=mask)[0]

    def loss(weights, inputs):
        return (outputs(weights, inputs) * projection).sum()

    step, infer = jax.jit(jax.value_and_grad(loss, argnums=(0, 1))), jax.jit(outputs)
    return {"training": lambda: step(weights, inputs), "inference": lambda: infer(weights, inputs)}


READY = {}


def setup(**case):
    """Build the layer, compile both functions and check their results."""
    READY.update(functions(**case))
    for function in READY.values():
        results = jax.block_until_ready(function())
        assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(results))
    return {"ready": True}


def run(mode):
    """Run one of the functions once."""
    start = time.perf_counter()
    jax.block_until_ready(READY[mode]())
    return {"seconds": time.perf_counter() - start}


if __name__ == "__main__":
    serve(f"Keras {keras.__version__} on JAX {jax.__version__}", {"setup": setup, "run": run})
