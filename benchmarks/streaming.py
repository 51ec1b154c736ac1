"""`partial_fit`: the accuracy on a stream of reviews compared with `fit`, and the memory of a long stream.

    SEQCLF_DATA=... python benchmarks/streaming.py                 IMDB in 50 chunks
    python benchmarks/streaming.py --rows 10000000                 memory, every million rows
    python benchmarks/streaming.py --smoke                         both on little data, to test this script

Both trainings use a constant learning rate, the same passes over the same rows, and a tokenizer that was fitted on all
rows. The n-gram features are fitted to the first chunk only, so the network alone is compared too. The rows of the long
stream are generated: short texts of Zipf-distributed words, whose class depends on some of the words.
"""

import argparse
import os
from collections.abc import Iterator

import numpy as np
from _data import load_texts
from _report import load as load_of_machine
from _report import machine, print_load, print_table

from seqclf import RNNTextClassifier, TextTokenizer

WAYS = {"defaults": {}, "network alone": {"wide": False, "nb_ngrams": 0}}
CHUNK = 20_000


def chunk_of_stream(seed: int, n: int) -> tuple[list[str], np.ndarray]:
    """Texts of 3 to 8 words, from some 50,000 words, and their classes."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(3, 9, n)
    words = np.minimum(rng.zipf(1.3, lengths.sum()), 50_000)
    evidence = np.add.reduceat(np.where(words % 2, 1, -1) * (words < 1_000), np.cumsum(lengths) - lengths)
    texts = np.split(words, np.cumsum(lengths)[:-1])
    return [" ".join(map("w{}".format, row)) for row in texts], (evidence > 0).astype(int)


def resident() -> float:
    """The memory of this process in MB."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def memory(n_rows: int, every: int, n_threads: int) -> Iterator[list[str]]:
    """The accuracy on new rows, and the resident memory, after each multiple of `every` rows."""
    model = RNNTextClassifier(units=8, schedule="constant", batch_size=256, random_state=0, n_threads=n_threads)
    chunk = min(CHUNK, every)
    for n in range(0, n_rows, chunk):
        texts, labels = chunk_of_stream(n, chunk)
        model.partial_fit(texts, labels, classes=[0, 1])
        if (n + chunk) % every == 0:
            next_texts, next_labels = chunk_of_stream(n_rows + 1, 2_000)
            yield [f"{n + chunk:,}", f"{model.score(next_texts, next_labels):.4f}", f"{resident():.0f}"]


def reviews(passes: int, n_chunks: int, n_threads: int, smoke: bool) -> Iterator[list[str]]:
    """The accuracy after each pass of a stream, and that of `fit` with the same number of epochs."""
    data = load_texts(smoke=smoke)
    X, y = np.array(data.train, dtype=object), np.asarray(data.train_labels)
    order = np.random.default_rng(0).permutation(len(X))
    X, y = X[order], y[order]
    tokenizer = TextTokenizer().fit(list(X))
    for name, settings in WAYS.items():
        settings = settings | {"schedule": "constant", "random_state": 0, "n_threads": n_threads}
        stream = RNNTextClassifier(tokenizer, **settings)
        for n in range(1, passes + 1):
            for rows in np.array_split(np.arange(len(X)), n_chunks):
                stream.partial_fit(list(X[rows]), y[rows], classes=np.unique(y))
            whole = RNNTextClassifier(tokenizer, **settings, max_epochs=n).fit(list(X), y)
            scores = (model.score(data.test, data.test_labels) for model in (stream, whole))
            yield [name, str(n), *(f"{score:.4f}" for score in scores)]


def main() -> None:
    """Print one of the tables, or both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=0, help="rows of the long stream, which replaces the reviews")
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--smoke", action="store_true", help="two chunks of little data, to test this script")
    options = parser.parse_args()
    before = load_of_machine()
    if options.rows or options.smoke:
        n_rows, every = (options.rows, 1_000_000) if options.rows else (2_000, 1_000)
        rows = []
        for row in memory(n_rows, every, options.threads):
            print(" ".join(row), flush=True)
            rows.append(row)
        print()
        print_table(["rows", "accuracy", "memory, MB"], rows)
    if not options.rows:
        rows = []
        passes, n_chunks = (1, 2) if options.smoke else (options.passes, 50)
        for row in reviews(passes, n_chunks, options.threads, options.smoke):
            print(" ".join(row), flush=True)
            rows.append(row)
        print()
        print_table(["model", "passes", "stream", "fit"], rows)
    print()
    print(machine(options.threads))
    print_load(before)


if __name__ == "__main__":
    main()
