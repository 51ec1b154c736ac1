"""An epoch of `fit` of the textbook model on film reviews, compared with the same model in Keras on JAX and TensorFlow.

    python benchmarks/epoch.py [--reviews N] [--rounds 3] [--threads 2] [--models lstm,gru] [--peers jax,tensorflow]
    python benchmarks/epoch.py --profile [--reviews N]          the time of each section of our batch

The model: 10,000 words, the last 500 of each review, an embedding of 16, then lstm(8), or two layers of gru(8) with
dropout 0.3 before, between and after them, the last state, one logit; batches of 64, RMSprop with a learning rate of
1e-4; no gradient clipping, no log-count ratios as step features. Keras gets the reviews padded to 500 at the start, and
masks the padding; seqclf gets lists of ids. No time includes the splitting of texts into words. The times of the
comparison are seconds of a complete call of `fit` for one epoch. The profile excludes the work of `fit` before and
after the epoch.

A warm-up on two batches (with both sizes of an epoch) compiles or loads everything that a first call needs, for every
column; the time including it is reported too. Each round trains every column for one epoch, one after the other, so
that other load affects all columns equally. The figures are medians over the rounds; the spread is half the
interquartile range.

Before any time is printed, the script checks that the columns have the same number of parameters and of optimiser
updates per epoch; that Keras with our weights gives our probabilities; and, if an epoch has 100 batches or more, that
the loss of each column falls from the first epoch to the last. (Losses are not equal: the order of the rows and the
dropout masks differ, and each `fit` of ours restarts RMSprop, whose first updates are larger.)

Keras runs in separate environments under ``benchmarks/.peers``, which the first run creates with venv and pip. Without
reviews (the environment variable SEQCLF_DATA) the texts are docstrings.
"""

import argparse
import json
import statistics
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from _data import Texts, load_texts
from _peers import NAMES, KerasPeer, start_peers
from _profile import print_profile
from _report import load, machine, print_load, print_table, reached, seconds_of, with_spread

from seqclf import RNNTextClassifier, TextTokenizer
from seqclf._training.optimizers import FusedOptimizer

OURS = "ours"
VOCAB_SIZE, MAX_LENGTH, BATCH, EMBEDDING, LEARNING_RATE = 10_000, 500, 64, 16, 1e-4
MODELS = {
    "lstm": {"cell": "lstm", "units": 8, "n_layers": 1, "dropout": 0.0},
    "gru": {"cell": "gru", "units": 8, "n_layers": 2, "dropout": 0.3},
}
# The goal for the time of the peer divided by our time.
GOALS = {"jax": 5.0, "tensorflow": 20.0}
# Maximum difference of probabilities, float32 on both sides.
PROBABILITY_TOLERANCE = 1e-5
# Batches per epoch that are needed for the loss to fall at this learning rate.
MIN_BATCHES_TO_LEARN = 100


def classifier(model: str, n_threads: int, **changes) -> RNNTextClassifier:
    """The textbook model; each `fit` continues for one epoch."""
    settings = {
        **MODELS[model], "bidirectional": False, "embedding_dim": EMBEDDING, "pooling": "last", "token_dropout": 0.0,
        "nb_ngrams": 0, "optimizer": "rmsprop", "learning_rate": LEARNING_RATE, "schedule": "constant",
        "batch_size": BATCH, "max_grad_norm": None, "patience": None, "max_epochs": 1, "warm_start": True,
        "random_state": 0, "n_threads": n_threads,
    }  # fmt: skip
    return RNNTextClassifier(**{**settings, **changes})


def tokenize(texts: Texts) -> list[np.ndarray]:
    """The ids of the training texts."""
    return list(TextTokenizer(vocab_size=VOCAB_SIZE, max_length=MAX_LENGTH).fit_transform(texts.train))


@dataclass
class Column:
    """The measurements of one side."""

    name: str
    n_parameters: int = 0
    warm_up: float = 0.0
    seconds: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    n_batches: set[int] = field(default_factory=set)

    @property
    def with_warm_up(self) -> float:
        """The time of a first epoch, including compilation."""
        return self.warm_up + self.seconds[0]


class Comparison:
    """One model on all sides, on the same rows."""

    def __init__(self, model: str, ids: list[np.ndarray], labels: np.ndarray, n_threads: int, peers: list[KerasPeer]):
        self.model, self.ids, self.labels, self.peers = model, ids, labels, peers
        self.ours = classifier(model, n_threads)
        self.columns = {OURS: Column(OURS)} | {peer.backend: Column(peer.name) for peer in peers}

    def set_up(self, folder: Path) -> None:
        """Build and warm up every side, and check that they are the same model."""
        # Includes the row with the largest id, so that the embedding gets its final size.
        rows = [int(np.argmax([row.max(initial=0) for row in self.ids])), *range(BATCH + len(self.ids) % BATCH)]
        some, labels = [self.ids[row] for row in rows], self.labels[rows]
        self.columns[OURS].warm_up = seconds_of(lambda: self.ours.fit(some, labels))
        self.columns[OURS].n_parameters = self.ours.n_parameters_

        padded = np.zeros((len(self.ids), MAX_LENGTH), dtype=np.uint16)
        for row, ids in zip(padded, self.ids, strict=True):
            row[MAX_LENGTH - len(ids) :] = ids
        np.savez(folder / "data.npz", ids=padded, labels=self.labels)
        weights = keras_weights(self.ours)
        np.savez(folder / "weights.npz", **{str(i): array for i, array in enumerate(weights)})
        expected = self.ours.predict_proba(self.ids[:BATCH])[:, 1]
        for peer in self.peers:
            column = self.columns[peer.backend]
            response = peer.request(
                setup={
                    **MODELS[self.model], "data": str(folder / "data.npz"), "vocab_size": self.ours.vocab_size_,
                    "embedding_dim": EMBEDDING, "batch_size": BATCH, "learning_rate": LEARNING_RATE,
                }
            )  # fmt: skip
            column.warm_up, column.n_parameters = response["seconds"], response["n_parameters"]
            if column.n_parameters != self.ours.n_parameters_:
                sys.exit(
                    f"{column.name} has {column.n_parameters:,} parameters, seqclf has {self.ours.n_parameters_:,}."
                )
            response = peer.request(probabilities={"weights": str(folder / "weights.npz"), "n_rows": BATCH})
            error = float(np.abs(np.array(response["probabilities"]) - expected).max())
            if not error <= PROBABILITY_TOLERANCE:  # written so that NaN fails
                sys.exit(f"{column.name} with our weights has other probabilities: the error is {error:.1e}.")

    def round(self) -> None:
        """Train one epoch on every side."""
        updates, update = [], FusedOptimizer.update
        with patch.object(FusedOptimizer, "update", lambda optimizer: updates.append(1) or update(optimizer)):
            ours = self.columns[OURS]
            ours.seconds.append(seconds_of(lambda: self.ours.fit(self.ids, self.labels)))
        ours.losses.append(self.ours.history_[0]["train_loss"])
        ours.n_batches.add(len(updates))
        for peer in self.peers:
            response = peer.request(epoch={})
            column = self.columns[peer.backend]
            column.seconds.append(response["seconds"])
            column.losses.append(response["loss"])
            column.n_batches.add(response["n_batches"])

    def check(self) -> None:
        """Exit if the sides did not do the same work, or did not learn."""
        (n_batches,) = expected = {-(-len(self.ids) // BATCH)}
        for column in self.columns.values():
            if column.n_batches != expected:
                sys.exit(f"{column.name} made {sorted(column.n_batches)} updates per epoch; expected {n_batches}.")
            if not np.isfinite(column.losses).all():
                sys.exit(f"{column.name} has losses that are not finite: {column.losses}.")
            if len(column.losses) > 1 and n_batches >= MIN_BATCHES_TO_LEARN and column.losses[-1] >= column.losses[0]:
                sys.exit(f"{column.name} does not learn: losses {column.losses}.")

    def print(self) -> bool:
        """Print the table; return whether all goals were reached."""
        columns, ours = self.columns.values(), self.columns[OURS]
        (n_batches,) = ours.n_batches
        rows = [
            ["epoch, s", *(with_spread(column.seconds) for column in columns)],
            ["batch, ms", *(with_spread(column.seconds, unit=n_batches / 1e3) for column in columns)],
            ["warm-up, s", *(f"{column.warm_up:.2f}" for column in columns)],
            ["first epoch with warm-up, s", *(f"{column.with_warm_up:.2f}" for column in columns)],
            ["loss, first and last epoch", *(f"{column.losses[0]:.4f}, {column.losses[-1]:.4f}" for column in columns)],
        ]
        ratios, with_warm_up, good = [], [], True
        for backend, column in list(self.columns.items())[1:]:
            ratio = statistics.median(column.seconds) / statistics.median(ours.seconds)
            each = [peer / our for peer, our in zip(column.seconds, ours.seconds, strict=True)]
            good &= ratio >= GOALS[backend]
            goal = f"goal {GOALS[backend]:.0f}x: {reached(ratio >= GOALS[backend])}"
            ratios.append(f"{ratio:.1f}x ({min(each):.1f} to {max(each):.1f}), {goal}")
            with_warm_up.append(f"{column.with_warm_up / ours.with_warm_up:.1f}x")
        if ratios:
            rows += [["times ours", "", *ratios], ["times ours, with warm-up", "", *with_warm_up]]
        model = self.ours
        print(f"\n{model.n_layers} x {model.cell}({model.units}), dropout {model.dropout}: ", end="")
        print(f"{ours.n_parameters:,} parameters, {n_batches} batches of {BATCH}\n")
        print_table(["", *(column.name for column in columns)], rows)
        return good

    def summary(self) -> dict:
        """All measurements, for JSON."""
        return {
            name: {"seconds": column.seconds, "warm_up": column.warm_up, "losses": column.losses}
            for name, column in self.columns.items()
        }


def keras_weights(model: RNNTextClassifier) -> list[np.ndarray]:
    """Our weights in the order and form of Keras: the gates of a gru are z, r, n there, and r, z, n here."""
    arrays = model.network_.to_arrays()
    weights = [arrays["embedding.weight"]]
    for depth in range(model.n_layers):
        name = f"recurrent.layers.{depth}.directions.0."
        kinds = ["weight_input", "weight_recurrent", "bias", *(["bias_recurrent"] if model.cell == "gru" else [])]
        layer = []
        for kind in kinds:
            gates = np.split(arrays[name + kind], 4 if model.cell == "lstm" else 3)
            layer.append(np.concatenate(gates if model.cell == "lstm" else [gates[1], gates[0], gates[2]]).T)
        bias = layer[2] if model.cell == "lstm" else np.stack(layer[2:])
        weights += [layer[0], layer[1], bias]
    return [*weights, arrays["head.weight"].T, arrays["head.bias"]]


def some_of(allowed):
    """A parser of names separated by commas; "none" is the empty list."""

    def parse(text):
        chosen = [] if text == "none" else text.split(",")
        if not set(chosen) <= set(allowed):
            raise argparse.ArgumentTypeError(f"got {text!r}; expected names of {','.join(allowed)}")
        return chosen

    return parse


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--reviews", type=int, help="number of reviews, at least 128 (default: all 25,000)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--models", type=some_of(MODELS), default=list(MODELS), help="separated by commas")
    parser.add_argument("--peers", type=some_of(NAMES), default=list(NAMES), help="separated by commas, or none")
    parser.add_argument("--profile", action="store_true", help="print the sections of our batch instead")
    parser.add_argument("--json", type=Path, help="also write all measurements to this file")
    parser.add_argument("--smoke", action="store_true", help="a few short texts, no Keras, to test this script")
    arguments = parser.parse_args()
    if arguments.reviews is not None and arguments.reviews < 2 * BATCH:
        parser.error(f"--reviews must be at least {2 * BATCH}, got {arguments.reviews}")
    if arguments.smoke:
        arguments.peers, arguments.rounds = [], 1
    return arguments


def main() -> None:
    """Measure and print."""
    arguments = parse_arguments()
    texts = load_texts(arguments.reviews, 1, smoke=arguments.smoke)
    ids, labels = tokenize(texts), texts.train_labels
    lengths = np.array([len(row) for row in ids])
    print(f"{len(ids):,} {texts.description}, {lengths.sum():,} words after truncation, ", end="")
    print(f"{lengths.mean() / MAX_LENGTH:.0%} of a grid of {MAX_LENGTH} steps.")
    before = load()
    if arguments.profile:
        print(machine(arguments.threads))
        for model in arguments.models:
            print_profile(classifier(model, arguments.threads), ids, labels, arguments.rounds)
    else:
        compare(arguments, ids, labels)
    print()
    print_load(before)


def compare(arguments: argparse.Namespace, ids: list[np.ndarray], labels: np.ndarray) -> None:
    """Compare seqclf with Keras."""
    peers = start_peers(arguments.peers, "_keras_fit_worker.py", arguments.threads)
    described = machine(arguments.threads, *(peer.versions for peer in peers))
    print(f"{described} Medians of {arguments.rounds} interleaved rounds.", flush=True)
    content = {"machine": described, "n_texts": len(ids), "threads": arguments.threads, "models": {}}
    good = True
    for model in arguments.models:
        comparison = Comparison(model, ids, labels, arguments.threads, peers)
        with tempfile.TemporaryDirectory() as folder:
            comparison.set_up(Path(folder))
        for _ in range(arguments.rounds):
            comparison.round()
        comparison.check()
        good &= comparison.print()
        content["models"][model] = comparison.summary()
    for peer in peers:
        peer.close()
    if peers:
        print("\nChecked before timing: equal numbers of parameters and updates; with our weights, the probabilities")
        print(f"of Keras equal ours within {PROBABILITY_TOLERANCE:.0e}. All goals: {reached(good)}.")
    if arguments.json:
        arguments.json.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
