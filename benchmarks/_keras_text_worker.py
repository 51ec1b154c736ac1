"""Trains the textbook network for texts in Keras for `accuracy.py`, which starts this in an environment with Keras.

It accepts these requests (see `_serve.py`):

``{"load": {file, by_characters}}``
    Reads the texts and labels of both halves from a JSON file.
``{"fit": {seed}}``
    Trains on the raw texts and predicts the test half. Returns the predictions, the probabilities, the elapsed and
    processor seconds of both steps, and the numbers of parameters and epochs.

The network is one LSTM layer of 64 units on an embedding of 128, for the 20,000 most frequent words and the last 200
words of a text, in batches of 32: the sizes of Keras's example "Bidirectional LSTM on IMDB". Then come dropout of 0.5
(Chollet, Deep Learning with Python, 2nd edition, section 11.3) and a softmax. Adam, with its default rate, trains on
four fifths of the rows; the rest is held out. Training stops when the loss of the held-out rows has not improved for
three epochs, at the latest after 20, and the weights of the best epoch are kept. The words are those of Keras's
`TextVectorization` (lower case, no punctuation, split at spaces), which itself requires TensorFlow. The time of a fit
includes the compilation by JAX.
"""

import json
import re
import string
import time
from collections import Counter
from pathlib import Path

from _serve import serve  # isort: skip  # first: it reserves the standard output for the responses

import keras
import numpy as np

VOCAB_SIZE, MAX_LENGTH = 20_000, 200
EMBEDDING_DIM, UNITS, DROPOUT = 128, 64, 0.5
MAX_EPOCHS, PATIENCE, BATCH_SIZE, HELD_OUT = 20, 3, 32, 0.2
_PUNCTUATION = re.compile(rf"<br />|[{re.escape(string.punctuation)}]")

STATE = {}


def load(*, file, by_characters):
    """Read both halves."""
    STATE.update(json.loads(Path(file).read_text()), by_characters=by_characters)
    return {}


def tokens_of(text):
    """The words, or characters, of a text."""
    cleaned = _PUNCTUATION.sub(lambda match: " " if len(match[0]) > 1 else "", text.lower())
    return list("".join(cleaned.split())) if STATE["by_characters"] else cleaned.split()


def ids_of(texts, index, length):
    """The last ids of each text in an array, padded at the start with 0; 1 is the unknown word."""
    rows = [[index.get(token, 1) for token in tokens_of(text)] for text in texts]
    return keras.utils.pad_sequences(rows, length)


def build(n_words, length, n_classes):
    """The compiled network."""
    model = keras.Sequential(
        [
            keras.layers.Input((length,), dtype="int32"),
            keras.layers.Embedding(n_words, EMBEDDING_DIM, mask_zero=True),
            keras.layers.LSTM(UNITS),
            keras.layers.Dropout(DROPOUT),
            keras.layers.Dense(n_classes, activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    return model


def fit(*, seed):
    """Train, predict, and time both."""
    keras.utils.set_random_seed(seed)
    start = np.array([time.perf_counter(), time.process_time()])
    texts = STATE["X_train"]
    counts = Counter(token for text in texts for token in tokens_of(text))
    index = {word: i + 2 for i, (word, _) in enumerate(counts.most_common(VOCAB_SIZE - 2))}
    length = min(MAX_LENGTH, max(len(tokens_of(text)) for text in texts))
    classes, y = np.unique(STATE["y_train"], return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(y))  # files can be sorted by class
    ids = ids_of(texts, index, length)[order]
    model = build(len(index) + 2, length, len(classes))
    early = keras.callbacks.EarlyStopping(patience=PATIENCE, restore_best_weights=True)
    settings = {"batch_size": BATCH_SIZE, "epochs": MAX_EPOCHS, "validation_split": HELD_OUT, "verbose": 0}
    history = model.fit(ids, y[order], callbacks=[early], **settings)
    fitted = np.array([time.perf_counter(), time.process_time()])
    probabilities = model.predict(ids_of(STATE["X_test"], index, length), batch_size=BATCH_SIZE, verbose=0)
    done = np.array([time.perf_counter(), time.process_time()])
    (fit_seconds, fit_cpu), (predict_seconds, predict_cpu) = (fitted - start).tolist(), (done - fitted).tolist()
    return {
        "predicted": classes[probabilities.argmax(axis=1)].tolist(),
        "probabilities": probabilities.tolist(),
        "fit_seconds": fit_seconds,
        "predict_seconds": predict_seconds,
        "fit_cpu_seconds": fit_cpu,
        "predict_cpu_seconds": predict_cpu,
        "n_parameters": model.count_params(),
        "n_epochs": len(history.epoch),
    }


def versions():
    """The versions of Keras and its backend."""
    backend = __import__(keras.backend.backend())
    return f"Keras {keras.__version__} on {backend.__name__} {backend.__version__}"


if __name__ == "__main__":
    serve(versions(), {"load": load, "fit": fit})
