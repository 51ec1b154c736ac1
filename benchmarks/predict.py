"""From raw text to label: reviews a second, the time of one call, and the time of the import; beside TF-IDF.

    python benchmarks/predict.py [--train N] [--test N] [--rounds 5] [--calls 1000] [--threads 1,2] [--json FILE]
    python benchmarks/predict.py --profile          where the time of one call goes, by line of our code

reviews a second
    `predict` on all reviews of the test half at once: ``RNNTextClassifier()`` with each number of threads, and
    scikit-learn's ``TfidfVectorizer`` with ``LogisticRegression``, both trained on the same reviews (ours for
    ``--epochs`` only: how well it has learned makes no difference to its speed). One process, one after the other in
    each round; medians of the rounds, with half the range between the quartiles as the spread.
one call
    `predict` on a list with one review, another one each time, with one thread; median and 99th percentile of all.
import
    ``import seqclf``, and ``from seqclf import RNNTextClassifier``, each in new processes, which look at the clock
    themselves: starting Python is not in it. Median of all but the first.

Before any time is printed: the logits are the same to the last bit with each number of threads and one by one, and both
models are right on 60 % of the reviews or more. Without reviews (the environment variable SEQCLF_DATA) it is docstrings
that are read.
"""

import argparse
import cProfile
import json
import pstats
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
from _data import Texts, load_texts
from _report import load, machine, print_load, print_table, reached, seconds_of, with_spread
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

import seqclf
from seqclf import RNNTextClassifier

RIVAL = "TF-IDF + logistic regression"
# Goals: one call, and the import of the package alone, in seconds.
CALL_GOAL, IMPORT_GOAL = 2e-3, 0.3
LEAST_ACCURACY = 0.6
# Looks at the clock before and after, and at what else has come along.
IMPORT = """
import sys, time
start = time.perf_counter()
{statement}
print(time.perf_counter() - start, *[name for name in ("numpy", "sklearn", "torch") if name in sys.modules])
"""


def train(texts: Texts, n_epochs: int, n_threads: int) -> tuple[RNNTextClassifier, Pipeline]:
    """Both models, on the same texts."""
    ours = RNNTextClassifier(max_epochs=n_epochs, patience=None, n_threads=n_threads, random_state=0)
    rival = make_pipeline(TfidfVectorizer(), LogisticRegression(max_iter=1000))
    fits = [seconds_of(lambda model=model: model.fit(texts.train, texts.train_labels)) for model in (ours, rival)]
    print(f"Fit: ours {fits[0]:.1f} s (epochs: {n_epochs}), {RIVAL} {fits[1]:.1f} s.", flush=True)
    return ours, rival


def check(ours: RNNTextClassifier, rival: Pipeline, texts: Texts, threads: list[int], least: float) -> tuple:
    """Accuracies; ends the program if they are too low, or if the logits depend on threads or company."""
    logits = [ours.set_params(n_threads=number).decision_function(texts.test) for number in threads]
    alone = [ours.decision_function([text])[0] for text in texts.test[:100]]
    if any((other != logits[0]).any() for other in logits) or (logits[0][:100] != alone).any():
        sys.exit("The logits depend on the number of threads, or on the other rows.")
    accuracies = ours.score(texts.test, texts.test_labels), rival.score(texts.test, texts.test_labels)
    if min(accuracies) < least:
        sys.exit(f"Accuracies {accuracies[0]:.3f} and {accuracies[1]:.3f}: one of the models has learned nothing.")
    return accuracies


def measure_rates(ours: RNNTextClassifier, rival: Pipeline, texts: Texts, threads: list[int], n_rounds: int) -> dict:
    """Seconds of predicting all reviews, by column, each in turn."""
    runs = {f"ours, {number} thread{'s' * (number > 1)}": number for number in threads} | {RIVAL: None}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(n_rounds):
        for name, number in runs.items():
            model = rival if number is None else ours.set_params(n_threads=number)
            seconds[name].append(seconds_of(lambda model=model: model.predict(texts.test)))
    return seconds


def measure_calls(ours: RNNTextClassifier, rival: Pipeline, texts: Texts, n_calls: int) -> dict:
    """Seconds of single calls, ours and the rival's in turn, after some that warm up."""
    ours.set_params(n_threads=1)
    seconds: dict[str, list[float]] = {"ours, 1 thread": [], RIVAL: []}
    for call in range(-20, n_calls):
        one = [texts.test[call % len(texts.test)]]
        for name, model in zip(seconds, (ours, rival), strict=True):
            taken = seconds_of(lambda model=model, one=one: model.predict(one))
            if call >= 0:
                seconds[name].append(taken)
    return seconds


def measure_imports(n_times: int) -> dict[str, tuple[list[float], list[str]]]:
    """Seconds of each import, in turn, each in a new process, and which of the large libraries it brought along."""
    statements = "import seqclf", "from seqclf import RNNTextClassifier"
    found: dict[str, tuple[list[float], list[str]]] = {statement: ([], []) for statement in statements}
    for time_ in range(n_times + 1):
        for statement in statements:
            command = [sys.executable, "-c", IMPORT.format(statement=statement)]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
            if time_:  # the first may have to read the files from the disk
                found[statement][0].append(float(output[0]))
                found[statement][1][:] = output[1:]
    return found


def print_profile(ours: RNNTextClassifier, texts: Texts, n_calls: int) -> None:
    """What one call spends where: own time of each function, and all of what it calls, in milliseconds a call."""
    ours.set_params(n_threads=1)
    calls = [[texts.test[call % len(texts.test)]] for call in range(n_calls)]
    for one in calls[:20]:
        ours.predict(one)
    plain = seconds_of(lambda: [ours.predict(one) for one in calls])
    profile = cProfile.Profile()
    profile.enable()
    for one in calls:
        ours.predict(one)
    profile.disable()
    stats = pstats.Stats(profile)
    scale = 1e3 / n_calls
    print(f"\nOne call: {scale * plain:.3f} ms, and {scale * stats.total_tt:.3f} ms under the profiler, which", end=" ")
    print("makes small functions look dearer than they are. Ours by all their time, then all by their own:\n")
    home = str(Path(seqclf.__file__).parent)
    by_all = sorted(stats.stats.items(), key=lambda item: -item[1][3])
    by_own = sorted(stats.stats.items(), key=lambda item: -item[1][2])
    chosen = [item for item in by_all if item[0][0].startswith(home)][:25], by_own[:15]
    for part in chosen:
        rows = []
        for (file, line, name), (_, number, own, whole, _) in part:
            place = f"{file.removeprefix(home + '/')}:{line}" if file.startswith(home) else Path(file).name
            rows.append([name, place, f"{number / n_calls:g}", f"{scale * own:.3f}", f"{scale * whole:.3f}"])
        print_table(["function", "where", "calls", "own ms", "with what it calls, ms"], rows)
        print()


def print_all(rates: dict, calls: dict, imports: dict, accuracies: tuple, n_test: int) -> None:
    """Three tables."""
    print(f"\nFrom raw text to label, {n_test:,} at once\n")
    rival = statistics.median(rates[RIVAL])
    rows = []
    for name, seconds in rates.items():
        middle = statistics.median(seconds)
        speed = f"{n_test / middle:,.0f}", f"{rival / middle:.2f}x"
        rows.append([name, with_spread(seconds), *speed, f"{accuracies[name == RIVAL]:.3f}"])
    print_table(["", "s", "a second", f"speed against {RIVAL}", "accuracy"], rows)

    print("\nOne call for one review\n")
    rows = []
    for name, seconds in calls.items():
        middle, late = np.percentile(seconds, [50, 99])
        goal = "-" if name == RIVAL else f"median under {1e3 * CALL_GOAL:.0f} ms: {reached(middle < CALL_GOAL)}"
        rows.append([name, f"{1e3 * middle:.2f}", f"{1e3 * late:.2f}", f"{len(seconds):,}", goal])
    print_table(["", "median, ms", "99th percentile, ms", "calls", "goal"], rows)

    print("\nImport in a new process\n")
    rows = []
    for statement, (seconds, libraries) in imports.items():
        goal = "-"
        if statement == "import seqclf":
            good = statistics.median(seconds) < IMPORT_GOAL and not {"torch", "sklearn"} & set(libraries)
            goal = f"under {IMPORT_GOAL} s, without torch and sklearn: {reached(good)}"
        rows.append([f"`{statement}`", with_spread(seconds, digits=4), ", ".join(libraries) or "none", goal])
    print_table(["", "s", "of numpy, sklearn, torch it imports", "goal"], rows)


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--train", type=int, default=5_000, help="reviews to learn from")
    parser.add_argument("--test", type=int, default=25_000, help="reviews to predict at once")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=1_000, help="for one review each")
    parser.add_argument("--imports", type=int, default=7, help="processes for each import")
    parser.add_argument("--threads", type=lambda text: [int(part) for part in text.split(",")], default=[1, 2])
    parser.add_argument("--profile", action="store_true", help="where the time of one call goes, instead")
    parser.add_argument("--json", type=Path, help="write all measurements there as well")
    parser.add_argument("--smoke", action="store_true", help="a few short texts: does this script still run?")
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.rounds, arguments.calls, arguments.imports, arguments.epochs = 1, 20, 1, 1
    return arguments


def main() -> None:
    """Train, check, measure, print."""
    arguments = parse_arguments()
    texts = load_texts(arguments.train, arguments.test, smoke=arguments.smoke)
    before = load()
    print(f"{len(texts.train):,} and {len(texts.test):,} {texts.description}. {machine(max(arguments.threads))}")
    ours, rival = train(texts, arguments.epochs, max(arguments.threads))
    # Made-up texts are such that a bag of words can't tell them apart.
    accuracies = check(ours, rival, texts, arguments.threads, 0.0 if arguments.smoke else LEAST_ACCURACY)
    if arguments.profile:
        print_profile(ours, texts, arguments.calls)
    else:
        rates = measure_rates(ours, rival, texts, arguments.threads, arguments.rounds)
        calls = measure_calls(ours, rival, texts, arguments.calls)
        imports = measure_imports(arguments.imports)
        print_all(rates, calls, imports, accuracies, len(texts.test))
        if arguments.json:
            content = {"texts": len(texts.test), "rates": rates, "calls": calls, "imports": imports}
            arguments.json.write_text(json.dumps(content, indent=1) + "\n")
    print()
    print_load(before)


if __name__ == "__main__":
    main()
