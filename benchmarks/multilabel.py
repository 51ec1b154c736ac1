"""Several labels per row: one classifier of an indicator matrix, compared with one classifier per label.

    python benchmarks/multilabel.py [--data atis,deprel] [--seeds 0,1,2] [--threads 2]
    python benchmarks/multilabel.py --smoke

Questions to an airline (`atis_slots`): the slot types in a question, of the 20 most frequent in the training half.
Sentences (`ud_english_ewt`): the dependency relations in a sentence, of the 7th to the 26th most frequent, trained on
the first 4,000 sentences of the training half. Texts are tokens joined by spaces.

The rival is OneVsRestClassifier with the same classifier, for the first seed only. The table shows the fraction of the
rows with all labels correct, the fraction of correct labels, the macro average of F1, and seconds. The last line is the
ratio of the seconds of fit.
"""

import argparse
import gzip
import json
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from _report import load as load_of_machine
from _report import machine, print_load, print_table
from _sets import Split
from sklearn.metrics import f1_score
from sklearn.multiclass import OneVsRestClassifier
from threadpoolctl import threadpool_limits

from seqclf import RNNTextClassifier

N_LABELS, N_SENTENCES, N_SMOKE = 20, 4_000, 100


def slots_of(row: dict[str, Any]) -> set[str]:
    """The slot types of a question with the tags O, B-type and I-type."""
    return {tag[2:] for tag in row["slots"] if tag != "O"}


def relations_of(row: dict[str, Any]) -> set[str]:
    """The dependency relations of a sentence."""
    return set(row["deprel"])


# folder, labels of a row, number of more frequent labels that are skipped, number of training rows that are used
SETS: dict[str, tuple[str, Any, int, int | None]] = {
    "atis": ("atis_slots", slots_of, 0, None),
    "deprel": ("ud_english_ewt", relations_of, 6, N_SENTENCES),
}


def load(name: str, n_rows: int | None) -> Split:
    """Texts and indicators of their labels. All rows of the training half determine the labels."""
    folder, labels_of, n_skipped, n_train = SETS[name]
    halves = []
    for half in ("train", "test"):
        with gzip.open(Path(os.environ["SEQCLF_DATA"]) / folder / f"{half}.jsonl.gz", "rt", encoding="utf-8") as lines:
            halves.append([json.loads(line) for line in lines])
    counts = Counter(label for row in halves[0] for label in sorted(labels_of(row)))
    labels = [label for label, _ in counts.most_common(n_skipped + N_LABELS)[n_skipped:]]
    arrays: list[Any] = []
    for rows in (halves[0][:n_train], halves[1]):
        arrays.append([" ".join(row["tokens"]) for row in rows])
        arrays.append(np.array([[label in labels_of(row) for label in labels] for row in rows], dtype=int))
    return Split(*arrays).head(n_rows)


def measure(name: str, options: argparse.Namespace) -> None:
    """Measure one data set and print its table."""
    split = load(name, N_SMOKE if options.smoke else None)
    common = {"n_threads": options.threads}
    models: dict[str, Any] = {
        f"RNNTextClassifier(), seed {seed}": RNNTextClassifier(random_state=seed, **common) for seed in options.seeds
    }
    if options.models != "ours":
        binary = RNNTextClassifier(random_state=options.seeds[0], **common)
        models["OneVsRestClassifier(RNNTextClassifier())"] = OneVsRestClassifier(binary)
    rows, fit_seconds = [], []
    with threadpool_limits(options.threads):
        for label, model in models.items():
            start = time.perf_counter()
            model.fit(split.X_train, split.y_train)
            fitted = time.perf_counter()
            predicted = model.predict(split.X_test)
            done = time.perf_counter()
            correct = predicted == split.y_test
            f1 = f1_score(split.y_test, predicted, average="macro", zero_division=0)
            scores = [f"{score:.4f}" for score in (correct.all(axis=1).mean(), correct.mean(), f1)]
            fit_seconds.append(fitted - start)
            rows.append([label, *scores, f"{fit_seconds[-1]:.1f}", f"{done - fitted:.1f}"])
            print("  " + ", ".join(rows[-1]), flush=True)
    print_table([name, "all labels correct", "labels correct", "macro F1", "fit, s", "predict, s"], rows)
    if options.models != "ours":
        ratio = fit_seconds[-1] / np.mean(fit_seconds[:-1])
        print(f"A classifier for each of {split.y_train.shape[1]} labels takes {ratio:.1f} times as long to fit.")
    print()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=",".join(SETS), type=lambda text: text.split(","))
    parser.add_argument("--models", default="both", choices=["ours", "both"])
    parser.add_argument("--seeds", default="0,1,2", type=lambda text: [int(seed) for seed in text.split(",")])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--smoke", action="store_true", help="one seed and a few rows, to test this script")
    options = parser.parse_args()
    if options.smoke:
        options.seeds = options.seeds[:1]
    before = load_of_machine()
    print(machine(options.threads), flush=True)
    for name in options.data:
        measure(name, options)
    print_load(before)


if __name__ == "__main__":
    main()
