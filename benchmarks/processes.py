"""One fit on two processes, compared with one process: the epochs alone, and the whole fit.

    python benchmarks/processes.py [--reviews N] [--rounds 3] [--settings defaults,units=128] [--json FILE]

Each process has one thread. The settings are the defaults of `RNNTextClassifier` and the same with 128 units, on film
reviews. Each round fits with one process and with two, one after the other, so that other load affects both. The
seconds of the epochs are those in ``history_``; the whole fit begins when all processes have imported the package and
loaded the data. The processor seconds are those of the process that uses the most, in the epochs and in the whole fit:
on a busy machine they show what the division of the work saves, without the time in which a process waits.

Before any time is printed, the script checks that the processes of a fit end with equal weights. Without reviews (the
environment variable SEQCLF_DATA) the texts are docstrings.
"""

import argparse
import hashlib
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import patch

from _data import load_texts
from _report import load, machine, print_load, print_table, reached, with_spread

from seqclf import RNNTextClassifier
from seqclf._training.session import TrainingSession

SETTINGS = {"defaults": {}, "units=128": {"units": 128}}
# The goal for the epochs of one process divided by those of two.
GOALS = {"defaults": 1.6, "units=128": 1.8}


def fit_once(arguments: argparse.Namespace) -> None:
    """Fit in this process, and print the times as JSON; the environment variables say which rank it is."""
    texts = load_texts(arguments.reviews, 1, smoke=arguments.smoke)
    model = RNNTextClassifier(random_state=0, n_threads=1, **SETTINGS[arguments.settings[0]])
    processor_seconds, run = [], TrainingSession.run

    def timed_run(*args, **kwargs):
        start = time.process_time()
        run(*args, **kwargs)
        processor_seconds.append(time.process_time() - start)

    start, processor_start = time.perf_counter(), time.process_time()
    with patch.object(TrainingSession, "run", timed_run):
        model.fit(texts.train, texts.train_labels)
    weights = b"".join(array.tobytes() for array in model.network_.to_arrays().values())
    times = {
        "epochs": sum(epoch["seconds"] for epoch in model.history_),
        "fit": time.perf_counter() - start,
        "processor_epochs": processor_seconds[0],
        "processor_fit": time.process_time() - processor_start,
        "loss": model.history_[-1]["train_loss"],
        "n_epochs": model.n_iter_,
        "n_dense": model.n_parameters_ - model.network_.embedding.weight.numel(),
        "weights": hashlib.sha256(weights).hexdigest(),
    }
    print(json.dumps(times))


def fit_with(n_processes: int, settings: str, arguments: argparse.Namespace) -> dict:
    """The largest times of a fit on this number of processes."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    command = [sys.executable, __file__, "--worker", "--settings", settings]
    command += ["--smoke"] * arguments.smoke + (["--reviews", str(arguments.reviews)] if arguments.reviews else [])
    processes = []
    for rank in range(n_processes):
        job = {"RANK": rank, "WORLD_SIZE": n_processes, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        environment = os.environ | {name: str(value) for name, value in job.items()} | {"OMP_NUM_THREADS": "1"}
        processes.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True))
    outputs = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        sys.exit(f"A fit on {n_processes} processes failed.")
    ranks = [json.loads(output.splitlines()[-1]) for output in outputs]
    if len({rank.pop("weights") for rank in ranks}) > 1:
        sys.exit(f"The {n_processes} processes ended with different weights.")
    return {name: max(rank[name] for rank in ranks) for name in ranks[0]}


def compare(settings: str, arguments: argparse.Namespace) -> dict:
    """Measure and print one setting."""
    times: dict[int, list[dict]] = {1: [], 2: []}
    for _ in range(arguments.rounds):
        for n_processes, rounds in times.items():
            rounds.append(fit_with(n_processes, settings, arguments))
    rows = []
    for name, label in (
        ("epochs", "epochs, s"),
        ("fit", "whole fit, s"),
        ("processor_epochs", "epochs, processor s"),
        ("processor_fit", "whole fit, processor s"),
        ("loss", "last training loss"),
    ):
        one, two = ([each[name] for each in rounds] for rounds in times.values())
        ratio = statistics.median(one) / statistics.median(two)
        goal = f", goal {GOALS[settings]}x: {reached(ratio >= GOALS[settings])}" if name == "epochs" else ""
        if name == "loss":
            rows.append([label, f"{one[-1]:.4f}", f"{two[-1]:.4f}", ""])
        else:
            rows.append([label, with_spread(one), with_spread(two), f"{ratio:.2f}x{goal}"])
    print(f"\n{settings}\n")
    print_table(["", "1 process", "2 processes", "ratio"], rows)
    return {str(n_processes): rounds for n_processes, rounds in times.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--reviews", type=int, help="number of reviews (default: all 25,000)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--settings", type=lambda text: text.split(","), default=list(SETTINGS))
    parser.add_argument("--json", type=Path, help="also write all measurements to this file")
    parser.add_argument("--smoke", action="store_true", help="a few short texts, one round, to test this script")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not set(arguments.settings) <= set(SETTINGS):
        parser.error(f"--settings must be names of {','.join(SETTINGS)}")
    if arguments.worker:
        fit_once(arguments)
        return
    arguments.rounds = 1 if arguments.smoke else arguments.rounds
    before, described = load(), machine(1)
    print(f"{described} Medians of {arguments.rounds} rounds.", flush=True)
    content = {"machine": described, "reviews": arguments.reviews or 25_000, "settings": {}}
    for settings in arguments.settings:
        content["settings"][settings] = compare(settings, arguments)
    print()
    print_load(before)
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
