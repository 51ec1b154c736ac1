"""Texts to token ids: `TextTokenizer`, compiled and with its regular expression, compared with `CountVectorizer`.

    python benchmarks/tokenizer.py [--train N] [--rounds 5] [--calls 1000] [--json FILE]

reviews
    `fit_transform` and `transform` of ``TextTokenizer()`` on the reviews of the training half, with the default kernels
    and with ``SEQCLF_KERNELS=reference``, in which Python's `re` splits the texts; and `fit` and `transform` of
    scikit-learn's ``CountVectorizer()``. One process, one thread, one after the other in each round; medians of the
    rounds; the spread is half the interquartile range.
one text
    `transform` of one review, a different one each time, and of one short sentence; median of all calls. Python's `re`
    splits short texts in both columns.

Before any time is printed, the script checks that both kernels give the same vocabulary and the same ids. Without
reviews (the environment variable SEQCLF_DATA) the texts are docstrings.
"""

import argparse
import json
import os
import statistics
import sys
from pathlib import Path

import numpy as np
from _data import load_texts
from _report import load, machine, print_load, print_table, seconds_of, with_spread
from sklearn.feature_extraction.text import CountVectorizer

from seqclf import TextTokenizer

OURS, PLAIN, RIVAL = "ours", "ours, by re", "CountVectorizer"
KERNELS = {OURS: "cpu", PLAIN: "reference"}
SENTENCE = "A dull film, but I recommend it."


def fitted(name: str, texts: list[str]) -> TextTokenizer:
    """A fitted tokenizer of that column; also selects the kernels of that column."""
    os.environ["SEQCLF_KERNELS"] = KERNELS[name]
    return TextTokenizer().fit(texts)


def check(texts: list[str]) -> None:
    """Exit if the compiled library and the regular expression do not agree."""
    results = []
    for name in KERNELS:
        tokenizer = fitted(name, texts)
        results.append((tokenizer.tokens_, tokenizer.transform(texts)))
    (tokens, ids), (plain_tokens, plain_ids) = results
    if tokens != plain_tokens or not all(map(np.array_equal, ids, plain_ids)):
        sys.exit("The compiled splitter and the regular expression give different tokens.")


def measure_reviews(texts: list[str], n_rounds: int) -> dict[str, dict[str, list[float]]]:
    """The seconds of `fit` and `transform`, by column, interleaved."""
    seconds: dict[str, dict[str, list[float]]] = {name: {"fit": [], "transform": []} for name in (*KERNELS, RIVAL)}
    for _ in range(n_rounds):
        for name, found in seconds.items():
            os.environ["SEQCLF_KERNELS"] = KERNELS.get(name, "cpu")
            model = TextTokenizer() if name in KERNELS else CountVectorizer()
            fit = model.fit_transform if name in KERNELS else model.fit
            found["fit"].append(seconds_of(lambda fit=fit: fit(texts)))
            found["transform"].append(seconds_of(lambda model=model: model.transform(texts)))
    return seconds


def measure_calls(texts: list[str], n_calls: int) -> dict[str, dict[str, list[float]]]:
    """The seconds of single calls, by column, after a warm-up."""
    seconds: dict[str, dict[str, list[float]]] = {name: {"review": [], "sentence": []} for name in KERNELS}
    for name, found in seconds.items():
        tokenizer = fitted(name, texts)
        for call in range(-20, n_calls):
            for kind, text in (("review", texts[call % len(texts)]), ("sentence", SENTENCE)):
                taken = seconds_of(lambda text=text, tokenizer=tokenizer: tokenizer.transform([text]))
                if call >= 0:
                    found[kind].append(taken)
    return seconds


def print_all(reviews: dict, calls: dict, n_texts: int, n_characters: int) -> None:
    """Print two tables."""
    print(f"\n{n_texts:,} texts, {n_characters / 1e6:.1f} million characters\n")
    rival = statistics.median(reviews[RIVAL]["fit"])
    rows = []
    for name, found in reviews.items():
        cells = []
        for seconds in found.values():
            cells += [with_spread(seconds), f"{rival / statistics.median(seconds):.1f}x"]
        rows.append([name, *cells])
    speed = f"speed against {RIVAL}().fit"
    print_table(["", "fit_transform, s", speed, "transform, s", speed], rows)
    print(f"\nFor {RIVAL}, the first column is `fit` alone, and the second counts tokens without their order.")

    print("\nOne text\n")
    rows = [
        [name, *(f"{1e6 * statistics.median(found[kind]):.0f}" for kind in ("review", "sentence"))]
        for name, found in calls.items()
    ]
    print_table(["", "review, µs", "short sentence, µs"], rows)


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--train", type=int, default=25_000, help="number of reviews")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=1_000, help="calls with one text")
    parser.add_argument("--json", type=Path, help="also write all measurements to this file")
    parser.add_argument("--smoke", action="store_true", help="a few short texts, to test this script")
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.rounds, arguments.calls = 1, 20
    return arguments


def main() -> None:
    """Check, measure, print."""
    arguments = parse_arguments()
    texts = load_texts(arguments.train, 1, smoke=arguments.smoke)
    before = load()
    print(f"{len(texts.train):,} {texts.description}. {machine(1)}")
    check(texts.train)
    reviews = measure_reviews(texts.train, arguments.rounds)
    calls = measure_calls(texts.train, arguments.calls)
    print_all(reviews, calls, len(texts.train), sum(map(len, texts.train)))
    if arguments.json:
        arguments.json.write_text(json.dumps({"reviews": reviews, "calls": calls}, indent=1) + "\n")
    print()
    print_load(before)


if __name__ == "__main__":
    main()
