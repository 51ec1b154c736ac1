"""The recurrent networks of the textbooks, with their settings, compared with our defaults on the same words or steps.

    python benchmarks/textbook.py [--rows one-hot,embedding,...] [--n-rows N] [--max-epochs 100] [--threads 2]

The settings: RMSprop with a learning rate of 1e-4, batches of 64, at most 100 epochs, early stopping with a patience of
3 on a fifth of the training rows, best weights restored; one direction, classification by the last state, no label
features (``wide=False, nb_ngrams=0``). Texts are truncated to their last 100 or 500 words.

| row | network | reported |
|---|---|---|
| one-hot | 500 words, 100 steps, one-hot, rnn(8) | 4,081 parameters |
| embedding | 500 words, 100 steps, embedding 16, rnn(8) | 8,209 parameters |
| lstm, lstm-dropout, lstm-2 | the same with lstm(8); recurrent dropout 0.3; two layers | 4 times the recurrent part |
| lstm-500 | 10,000 words, 500 steps, embedding 16, lstm(8) | 0.868, 160,809 parameters |
| two-lstm | two lstm(8), dropout 0.3 | 0.881 |
| two-gru | two gru(8), dropout 0.3 | 0.877, 161,065 parameters |
| mnist | 28 rows of 28 pixels, lstm(128), Adam 1e-3, batches of 128, about 100,000 images | 0.97 to 0.98 |
| spam | 10,000 words, 100 steps, embedding 16, lstm(8), on messages instead of transcripts of calls | none |
| scratch | a simple RNN in a few lines of numpy: all hidden states | equal to 1e-6 |

The reported accuracies are those of the textbooks' code, run elsewhere; ours are those of the official test halves.
"""

import argparse
import time
from typing import Any

import numpy as np
import torch
from _report import load as load_of_machine
from _report import machine, print_load, print_table
from _sets import Split, load
from sklearn.metrics import f1_score

from seqclf import RNNClassifier, RNNTextClassifier, TextTokenizer, _kernels

TEXTBOOK: dict[str, Any] = {
    "bidirectional": False,
    "pooling": "last",
    "dropout": 0.0,
    "token_dropout": 0.0,
    "wide": False,
    "nb_ngrams": 0,
    "optimizer": "rmsprop",
    "learning_rate": 1e-4,
    "schedule": "constant",
    "batch_size": 64,
    "patience": 3,
    "tol": 0.0,
    "validation_fraction": 0.2,
    "units": 8,
    "embedding_dim": 16,
}
# Row: vocabulary size, steps, differences from the settings above.
REVIEWS: dict[str, tuple[int, int, dict[str, Any]]] = {
    "one-hot": (500, 100, {"cell": "rnn", "embedding_dim": None}),
    "embedding": (500, 100, {"cell": "rnn"}),
    "lstm": (500, 100, {"cell": "lstm"}),
    "lstm-dropout": (500, 100, {"cell": "lstm", "recurrent_dropout": 0.3}),
    "lstm-2": (500, 100, {"cell": "lstm", "n_layers": 2}),
    "lstm-500": (10_000, 500, {"cell": "lstm"}),
    "two-lstm": (10_000, 500, {"cell": "lstm", "n_layers": 2, "dropout": 0.3}),
    "two-gru": (10_000, 500, {"cell": "gru", "n_layers": 2, "dropout": 0.3}),
}
REPORTED = {
    "one-hot": "4,081 parameters",
    "embedding": "8,209 parameters",
    "lstm-500": "0.868, 160,809 parameters",
    "two-lstm": "0.881",
    "two-gru": "0.877, 161,065 parameters",
    "mnist": "0.97 to 0.98",
    "scratch": "equal to 1e-6",
}
N_PARAMETERS = {"one-hot": 4_081, "embedding": 8_209, "lstm-500": 160_809, "two-gru": 161_065}
NAMES = (*REVIEWS, "mnist", "spam", "scratch")
Cells = list[str]


def tokenizer(vocab_size: int, max_length: int) -> TextTokenizer:
    """A tokenizer of the most frequent words, which keeps the end of a text."""
    return TextTokenizer(vocab_size=vocab_size, max_length=max_length, truncate="start")


def fit(row: str, network: str, model: Any, split: Split, *, spam: bool = False) -> Cells:
    """Fit a model; return its line of the table."""
    start = time.perf_counter()
    model.fit(split.X_train, split.y_train)
    seconds = time.perf_counter() - start
    predicted = model.predict(split.X_test)
    score = f"{np.mean(predicted == split.y_test):.4f}"
    if spam:
        score += f", F1 {f1_score(split.y_test, predicted):.4f}"
    reported = REPORTED.get(row, "") if network == "textbook" else ""
    epochs = f"{model.n_iter_} (best {model.best_epoch_})"
    return [row, network, score, f"{model.n_parameters_:,}", epochs, f"{seconds:.0f}", reported]


def text_rows(row: str, split: Split, size: tuple[int, int], changes: dict[str, Any], **common: Any) -> list[Cells]:
    """The network of the textbook, and our defaults on the same words."""
    spam = row == "spam"
    theirs = RNNTextClassifier(tokenizer(*size), **(TEXTBOOK | changes | common))
    lines = [fit(row, "textbook", theirs, split, spam=spam)]
    expected = N_PARAMETERS.get(row)
    if expected is not None and len(theirs.tokenizer_.tokens_) == size[0] and theirs.n_parameters_ != expected:
        raise SystemExit(f"{row} has {theirs.n_parameters_} parameters; expected {expected}, as in the textbook.")
    common.pop("max_epochs")
    # The line of the defaults is printed once for rows with the same words.
    if row in ("one-hot", "lstm-500", "spam"):
        lines.append(fit(row, "our defaults", RNNTextClassifier(tokenizer(*size), **common), split, spam=spam))
    return lines


def mnist_rows(split: Split, **common: Any) -> list[Cells]:
    """The lines of MNIST; a digit is 28 steps of 28 pixels."""
    common.pop("max_epochs")
    settings = {name: TEXTBOOK[name] for name in ("bidirectional", "pooling", "dropout", "schedule")}
    theirs = RNNClassifier(
        cell="lstm",
        units=128,
        wide=False,
        conv_filters=0,
        learning_rate=1e-3,
        batch_size=128,
        max_epochs=2,
        patience=None,
        **settings,
        **common,
    )
    return [
        fit("mnist", "textbook", theirs, split),
        fit("mnist", "our defaults, lstm(128)", RNNClassifier(cell="lstm", units=128, **common), split),
    ]


def scratch() -> list[Cells]:
    """Compare h_t = tanh(W x_t + U h_{t-1} + b), computed step by step, with the kernels."""
    rng = np.random.default_rng(0)
    n_steps, n_inputs, units = 100, 16, 8
    inputs = rng.normal(size=(n_steps, n_inputs)).astype(np.float32)
    weight, recurrent, bias = (
        rng.normal(size=shape).astype(np.float32) / 4 for shape in ((units, n_inputs), (units, units), (units,))
    )
    state, states = np.zeros(units), []
    for step in inputs:
        state = np.tanh(weight @ step + recurrent @ state + bias)
        states.append(state)
    weights = _kernels.Weights(*map(torch.from_numpy, (weight, recurrent, bias)))
    layout = _kernels.StepLayout([n_steps])
    ours = _kernels.recurrence("rnn", torch.from_numpy(inputs), layout, weights).numpy()
    gap = float(np.abs(np.stack(states) - ours).max())
    if gap > 1e-6:
        raise SystemExit(f"The hidden states differ by {gap}; expected at most 1e-6.")
    return [["scratch", "numpy against ours", f"largest difference {gap:.1e}", "", "", "", REPORTED["scratch"]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default=",".join(NAMES), help="names of rows, separated by commas")
    parser.add_argument("--n-rows", type=int, help="maximum number of rows of each half, for a trial")
    parser.add_argument("--max-epochs", type=int, default=100)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    names = options.rows.split(",")
    if unknown := set(names) - set(NAMES):
        parser.error(f"--rows {', '.join(sorted(unknown))}: expected {', '.join(NAMES)}")
    before = load_of_machine()
    print(machine(options.threads), flush=True)
    common = {"n_threads": options.threads, "random_state": options.seed, "max_epochs": options.max_epochs}
    sets: dict[str, Split] = {}

    def data(name: str) -> Split:
        if name not in sets:
            sets[name] = load(name).head(options.n_rows)
        return sets[name]

    lines: list[Cells] = []
    for name in names:
        if name in REVIEWS:
            vocab_size, n_steps, changes = REVIEWS[name]
            new = text_rows(name, data("imdb"), (vocab_size, n_steps), changes, **common)
        elif name == "spam":
            new = text_rows(name, data("sms_spam"), (10_000, 100), {"cell": "lstm"}, **common)
        else:
            new = mnist_rows(data("mnist"), **common) if name == "mnist" else scratch()
        for line in new:
            print("  " + ", ".join(filter(None, line)), flush=True)
        lines += new
    print_table(["row", "network", "accuracy", "parameters", "epochs", "fit, s", "reported"], lines)
    print_load(before)


if __name__ == "__main__":
    main()
