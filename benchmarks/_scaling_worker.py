"""One point of `scaling.py`: a fit, or a prediction of the same rows by the saved model, in a process of its own.

    python benchmarks/_scaling_worker.py texts 100000 fit MODEL.joblib [--threads 2] [--batch-size N]
    python benchmarks/_scaling_worker.py texts 100000 predict MODEL.joblib

It prints one line of JSON: the seconds, the peak memory of the process, and its memory before the call, which includes
the data. If the call raises a MemoryError, the line has the message instead.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import joblib
import numpy as np
from _report import peak_megabytes, resident_megabytes, seconds_of

from seqclf import RNNClassifier, RNNTextClassifier, TextTokenizer
from seqclf._training.session import TrainingSession

# Constant sizes, where another size is varied.
N_TEXTS_OF_CLASSES, N_TEXTS_OF_TOKENS, N_TOKENS_OF_LENGTHS = 10_000, 250_000, 1_000_000
N_TOKENS_OF_UNITS, BATCH_OF_UNITS = 200_000, 512
N_SHORT, N_SERIES = 15, 10
ZIPF_WORDS = 50_000

Data = tuple[Any, np.ndarray]


def as_texts(words: np.ndarray, lengths: np.ndarray) -> list[str]:
    """Texts of these words, given by number."""
    names = np.array([f"w{number}" for number in range(int(words.max()) + 1)], dtype=object)[words]
    return [" ".join(row) for row in np.split(names, np.cumsum(lengths)[:-1])]


def zipf_words(rng: np.random.Generator, n: int) -> np.ndarray:
    """Words whose frequencies are like those of a language; their distinct number grows with `n`, up to a limit."""
    return np.minimum(rng.zipf(1.3, n), ZIPF_WORDS) - 1


def short_texts(n: int, n_classes: int = 2) -> Data:
    """Texts of 4 to 12 words. The last word is that of the class in nine of ten texts."""
    rng = np.random.default_rng(0)
    lengths, y = rng.integers(4, 13, n), rng.permutation(n) % n_classes
    words = zipf_words(rng, int(lengths.sum()))
    shown = np.where(rng.random(n) < 0.9, y, rng.integers(0, n_classes, n))
    words[np.cumsum(lengths) - 1] = ZIPF_WORDS + shown
    return as_texts(words, lengths), y


def texts_of_distinct_tokens(n_distinct: int, n: int = N_TEXTS_OF_TOKENS) -> Data:
    """The same number of texts of eight words in every case; every word occurs about as often as every other."""
    rng = np.random.default_rng(0)
    return as_texts(rng.permutation(8 * n) % n_distinct, np.full(n, 8)), np.arange(n) % 2


def texts_of_length(length: int, n_tokens: int = N_TOKENS_OF_LENGTHS) -> Data:
    """The same number of words in every case, in texts of this many words."""
    rng, n = np.random.default_rng(0), max(n_tokens // length, 2)
    return as_texts(zipf_words(rng, n * length), np.full(n, length)), np.arange(n) % 2


def one_long_text(n_bytes: int) -> Data:
    """Short texts, and one of this many bytes."""
    rng = np.random.default_rng(0)
    texts, y = short_texts(N_SHORT)
    words = zipf_words(rng, n_bytes // 3)
    return [*texts, as_texts(words, np.array([len(words)]))[0][:n_bytes]], np.append(y, 1 - y[-1])


def long_series(n_steps: int) -> Data:
    """Noise with a slow wave, whose frequency depends on the class."""
    rng, y = np.random.default_rng(0), np.arange(N_SERIES) % 2
    time = np.linspace(0, 1, n_steps)
    X = np.sin(2 * np.pi * (3 + 2 * y[:, None]) * time) + rng.normal(size=(N_SERIES, n_steps))
    return X[:, :, None].astype(np.float32), y


def text_model(**changes: Any) -> RNNTextClassifier:
    """The defaults, for one epoch."""
    return RNNTextClassifier(**{"max_epochs": 1, "random_state": 0, **changes})


def every_token_model(**changes: Any) -> RNNTextClassifier:
    """The same with a vector for each distinct token, however many there are, and larger batches."""
    return text_model(tokenizer=TextTokenizer(vocab_size=None), batch_size=256, **changes)


def series_model(**changes: Any) -> RNNClassifier:
    """The defaults for one epoch, with a series in each batch."""
    return RNNClassifier(**{"max_epochs": 1, "batch_size": 1, "random_state": 0, **changes})


# For each axis: what its size counts, the data of a size, and the model.
AXES: dict[str, tuple[str, Callable[[int], Data], Callable[..., Any]]] = {
    "texts": ("short texts", short_texts, text_model),
    "classes": ("classes", lambda n: short_texts(N_TEXTS_OF_CLASSES, n), text_model),
    "tokens": ("distinct tokens", texts_of_distinct_tokens, every_token_model),
    "bytes": ("bytes of one text", one_long_text, text_model),
    "steps": ("steps of each series", long_series, series_model),
    "length": ("words of each text", texts_of_length, text_model),
    "batch": ("texts in each batch", lambda _: texts_of_length(20), text_model),
    "units": ("units", lambda _: texts_of_length(20, N_TOKENS_OF_UNITS), text_model),
}


@contextmanager
def timed_epochs() -> Iterator[list[float]]:
    """The processor seconds of the epochs inside the block."""
    seconds, run = [], TrainingSession.run

    def timed(*args: Any, **kwargs: Any) -> None:
        start = time.process_time()
        run(*args, **kwargs)
        seconds.append(time.process_time() - start)

    with patch.object(TrainingSession, "run", timed):
        yield seconds


def measure(axis: str, size: int, what: str, file: Path, n_threads: int) -> dict[str, Any]:
    """The figures of one call."""
    _, make_data, make_model = AXES[axis]
    X, y = make_data(size)
    if what == "fit":
        small, labels = (short_texts if isinstance(X, list) else long_series)(N_SHORT)
        make_model(n_threads=n_threads).fit(small, labels)  # imports what a first call needs
        changes = {"batch": {"batch_size": size}, "units": {"units": size, "batch_size": BATCH_OF_UNITS}}
        model = make_model(n_threads=n_threads, **changes.get(axis, {}))
        call = lambda: model.fit(X, y)  # noqa: E731
    else:
        model = joblib.load(file)
        model.predict(X[:2])  # the same
        call = lambda: model.predict(X)  # noqa: E731
    before = resident_megabytes()
    try:
        with timed_epochs() as epochs:
            processor = time.process_time()
            seconds = seconds_of(call)
            processor = time.process_time() - processor
    except MemoryError as error:
        return {"refused": str(error)}
    figures = {"seconds": seconds, "processor_seconds": processor, "peak_mb": peak_megabytes(), "before_mb": before}
    if what == "fit":
        joblib.dump(model, file)
        (epoch,) = model.history_
        figures |= {
            "epoch_seconds": sum(epochs),
            "n_steps": int(epoch.get("tokens", epoch.get("steps"))),
            "n_batches": -(-len(y) // model.batch_size),
            "n_parameters": model.n_parameters_,
            "n_embedding": getattr(model, "vocab_size_", 0) * (getattr(model, "embedding_dim", None) or 0),
            "model_mb": file.stat().st_size / 1e6,
        }
    return figures


def main() -> None:
    """Measure one point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("axis", choices=AXES)
    parser.add_argument("size", type=int)
    parser.add_argument("what", choices=("fit", "predict"))
    parser.add_argument("model", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    print(json.dumps(measure(options.axis, options.size, options.what, options.model, options.threads)))


if __name__ == "__main__":
    main()
