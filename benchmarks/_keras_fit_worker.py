"""Trains the textbook model in Keras for `epoch.py`, which starts this in an environment with Keras and a backend.

It accepts these requests (see `_serve.py`):

``{"setup": {data, cell, units, n_layers, dropout, ...}}``
    Loads the ids and labels from an ``.npz`` file, builds and compiles the model, and trains it on the rows of a whole
    batch and of the last, smaller batch of an epoch, so that both shapes are compiled. Returns the seconds from the
    start of building, and the number of parameters.
``{"probabilities": {weights, n_rows}}``
    Loads the weights from an ``.npz`` file (torch's order of gates), and returns the probabilities of the first rows.
``{"epoch": {}}``
    Trains for one epoch. Returns its seconds, loss and number of batches.

The ids are padded at the start with zeros, as by `pad_sequences`, and the embedding masks them.
"""

import os
import time

from _serve import serve  # isort: skip  # first: it reserves the standard output for the responses

import keras
import numpy as np

STATE = {}


class CountBatches(keras.callbacks.Callback):
    """Counts the batches of an epoch."""

    n_batches = 0

    def on_train_batch_end(self, batch, logs=None):
        """Count one batch."""
        self.n_batches += 1


def setup(*, data, cell, units, n_layers, dropout, vocab_size, embedding_dim, batch_size, learning_rate):
    """Build, compile, warm up."""
    with np.load(data) as arrays:
        ids, labels = arrays["ids"].astype("int32"), arrays["labels"].astype("float32")
    keras.utils.set_random_seed(0)
    start = time.perf_counter()
    layer = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[cell]
    stack = [layer(units, dropout=dropout, return_sequences=depth < n_layers - 1) for depth in range(n_layers)]
    model = keras.Sequential(
        [
            keras.layers.Input((ids.shape[1],), dtype="int32"),
            keras.layers.Embedding(vocab_size, embedding_dim, mask_zero=True),
            *stack,
            *([keras.layers.Dropout(dropout)] if dropout else []),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    optimizer = keras.optimizers.RMSprop(learning_rate=learning_rate)
    model.compile(optimizer=optimizer, loss="binary_crossentropy", metrics=["accuracy"])
    rows = batch_size + len(ids) % batch_size
    model.fit(ids[:rows], labels[:rows], batch_size=batch_size, epochs=1, verbose=0)
    STATE.update(model=model, ids=ids, labels=labels, batch_size=batch_size)
    return {"seconds": time.perf_counter() - start, "n_parameters": model.count_params()}


def probabilities(weights, n_rows):
    """The predictions of the model with these weights."""
    with np.load(weights) as arrays:
        STATE["model"].set_weights([arrays[str(index)] for index in range(len(arrays))])
    predicted = STATE["model"].predict(STATE["ids"][:n_rows], batch_size=STATE["batch_size"], verbose=0)
    return {"probabilities": predicted[:, 0].tolist()}


def epoch():
    """Call `fit` for one epoch."""
    count = CountBatches()
    start = time.perf_counter()
    history = STATE["model"].fit(
        STATE["ids"], STATE["labels"], batch_size=STATE["batch_size"], epochs=1, verbose=0, callbacks=[count]
    )
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "loss": history.history["loss"][0], "n_batches": count.n_batches}


def versions():
    """The versions of Keras and its backend."""
    library = __import__({"jax": "jax", "tensorflow": "tensorflow"}[os.environ["KERAS_BACKEND"]])
    return f"Keras {keras.__version__} on {library.__name__} {library.__version__}"


if __name__ == "__main__":
    serve(versions(), {"setup": setup, "probabilities": probabilities, "epoch": epoch})
