"""The time of an epoch against the number of tokens, for `epoch.py --scaling`, as tables and as a plot.

There are two series of data sets, both from the words of the reviews: 1, 2, 4 and 8 times the documents; and the same
number of words in documents of different lengths, cut from the concatenated reviews. In the first series the time
should be proportional to the number of words. In the second it should be constant, if a batch has enough words to make
its fixed cost negligible.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from _report import print_table, with_spread

from seqclf import RNNTextClassifier

FACTORS = (1, 2, 4, 8)
LENGTHS = (31, 62, 125, 250, 500)

Data = tuple[list[np.ndarray], np.ndarray]
Seconds = dict[int, list[float]]
Maker = Callable[[], RNNTextClassifier]


def more_documents(ids: Sequence[np.ndarray], labels: np.ndarray) -> dict[int, Data]:
    """An eighth, a quarter, half, and all of the documents, by their multiple of the smallest set."""
    rows = np.random.default_rng(0).permutation(len(ids))
    chosen = {factor: rows[: len(ids) * factor // FACTORS[-1]] for factor in FACTORS}
    return {factor: ([ids[row] for row in some], labels[some]) for factor, some in chosen.items()}


def other_lengths(ids: Sequence[np.ndarray], labels: np.ndarray) -> dict[int, Data]:
    """The words of half of the reviews in documents of each length that gives two or more. Labels alternate."""
    flat = np.concatenate(ids[: len(ids) // 2])
    lengths = [length for length in LENGTHS if 2 * length <= len(flat)]
    n_words = len(flat) // lengths[-1] * lengths[-1]
    data = {}
    for length in lengths:
        starts = np.arange(0, n_words - length + 1, length)
        data[length] = [flat[start : start + length] for start in starts], np.arange(len(starts)) % 2
    return data


def seconds_of_epochs(makers: Mapping[str, Maker], data: Mapping[int, Data], n_rounds: int) -> dict[str, Seconds]:
    """The seconds of an epoch of each model on each data set; each round measures all of them."""
    seconds: dict[str, Seconds] = {name: {key: [] for key in data} for name in makers}
    for round_ in range(n_rounds + 1):
        for key, (ids, labels) in data.items():
            for name, maker in makers.items():
                model = maker().fit(ids, labels)
                if round_:  # the first one is a warm-up
                    seconds[name][key].append(model.history_[0]["seconds"])
    return seconds


def print_scaling(
    makers: Mapping[str, Maker], ids: Sequence[np.ndarray], labels: np.ndarray, n_rounds: int, path: Path
) -> None:
    """Measure, print both tables for each model, and plot them."""
    documents, lengths = more_documents(ids, labels), other_lengths(ids, labels)
    by_factor = seconds_of_epochs(makers, documents, n_rounds)
    by_length = seconds_of_epochs(makers, lengths, n_rounds)
    for name in makers:
        print(f"\n{name}: an epoch against the number of documents, medians of {n_rounds} interleaved rounds\n")
        print_costs("", documents, by_factor[name], FACTORS[0])
        print(f"\n{name}: the same words in documents of different lengths\n")
        print_costs("words per document", lengths, by_length[name], max(lengths))
        each, fixed = cost_of_words_and_batches(makers[name](), lengths, by_length[name])
        if min(each, fixed) > 0:  # otherwise there is too little data
            print(
                f"\nLeast squares of the last table: {1e9 * each:.0f} ns per word and {1e3 * fixed:.2f} ms per batch."
            )
    draw(by_factor, by_length, documents, lengths, path)
    print(f"\nPlot: {path}")


def print_costs(unit: str, data: Mapping[int, Data], seconds: Seconds, base: int) -> None:
    """Print a table with the cost of a word, also relative to the line `base`."""
    n_words = {key: count_words(some) for key, some in data.items()}
    each = {key: statistics.median(seconds[key]) / n_words[key] for key in data}
    rows = [
        [
            str(key) if unit else f"{key}x",
            f"{len(data[key][0]):,}",
            f"{n_words[key]:,}",
            with_spread(seconds[key], digits=3),
            f"{1e9 * each[key]:.0f}",
            f"{each[key] / each[base]:.2f}",
        ]
        for key in data
    ]
    print_table([unit, "documents", "words", "epoch, s", "ns per word", f"against {base}{'' if unit else 'x'}"], rows)


def cost_of_words_and_batches(
    model: RNNTextClassifier, data: Mapping[int, Data], seconds: Seconds
) -> tuple[float, float]:
    """The cost of a word and the fixed cost of a batch in seconds, by least squares of relative errors."""
    medians = np.array([statistics.median(seconds[key]) for key in data])
    counts = [(count_words(some), -(-len(some[0]) // model.batch_size)) for some in data.values()]
    each, fixed = np.linalg.lstsq(np.array(counts) / medians[:, None], np.ones(len(medians)))[0]
    return float(each), float(fixed)


def count_words(data: Data) -> int:
    """The number of words of all documents."""
    return sum(map(len, data[0]))


def draw(
    by_factor: Mapping[str, Seconds],
    by_length: Mapping[str, Seconds],
    documents: Mapping[int, Data],
    lengths: Mapping[int, Data],
    path: Path,
) -> None:
    """Left: seconds against words, with a proportional line; right: nanoseconds per word against the length."""
    mpl.use("Agg")  # writes files, needs no screen
    import matplotlib.pyplot as plt

    def quartiles(seconds: Seconds) -> np.ndarray:
        return np.percentile(list(seconds.values()), [25, 50, 75], axis=1)

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    million = np.array([count_words(some) for some in documents.values()]) / 1e6
    n_words = np.array([count_words(some) for some in lengths.values()])
    for name in by_factor:
        low, middle, high = quartiles(by_factor[name])
        points = left.errorbar(million, middle, (middle - low, high - middle), fmt="o", capsize=3, label=name)
        left.plot([0, million[-1]], [0, middle[-1]], ":", color=points[0].get_color())
        low, middle, high = quartiles(by_length[name]) * 1e9 / n_words
        right.errorbar(list(lengths), middle, (middle - low, high - middle), fmt="o-", capsize=3, label=name)
    left.set(xlabel="words, millions", ylabel="seconds per epoch", title="More documents (dotted: proportional)")
    right.set(xlabel="words in each document", ylabel="nanoseconds per word", title="The same words, other lengths")
    right.set_xscale("log", base=2)
    right.set_xticks(list(lengths), [str(length) for length in lengths])
    for axes in (left, right):
        axes.set_ylim(bottom=0)
        axes.legend()
    left.set_xlim(left=0)
    figure.savefig(path, dpi=120)
    plt.close(figure)
