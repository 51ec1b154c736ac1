"""The package on a GPU: tests, the kernels that ran, and speed next to plain torch.nn and to our CPU kernels.

    python benchmarks/gpu.py [--reviews 5000] [--json gpu.json]         meant for under five minutes
    python benchmarks/gpu.py --device cpu --smoke                       the logic of this script, without a GPU

Without a CUDA device it stops with a message. In order:

1. pytest runs the tests of devices, of torch's kernels and of predictions on a device.
2. The probabilities of one model on the GPU and on the CPU agree.
3. A training step of each cell under torch.profiler: the names of the kernels show whether cuDNN ran (simple RNN,
   LSTM and GRU; an MGU has no cuDNN kernel and runs step by step).
4. The seconds of an epoch, and predictions per second: ours on the device, ours on the CPU, and torch.nn with packed
   sequences (embedding, nn.LSTM or nn.GRU, maximum over the steps, one linear layer) on the device, on the same ids in
   batches of the same size. Our linear model and n-grams are off, so that the three networks are the same.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _data import load_texts
from _report import load, machine, print_load, print_table, seconds_of, with_spread
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from seqclf import RNNTextClassifier, TextTokenizer

TESTS = (
    "tests/_training/test_device.py",
    "tests/_training/test_predict.py",
    "tests/_training/test_memory.py",
    "tests/_kernels/test_torch_native.py",
    "tests/_kernels/test_dispatch.py",
)
CELLS = ("rnn", "lstm", "gru", "mgu")
UNITS, EMBEDDING, BATCH, MAX_LENGTH = 64, 64, 128, 500
# The largest difference of probabilities in float32 on two devices.
TOLERANCE = 1e-3

Data = tuple[list[np.ndarray], np.ndarray]


class PlainNetwork(nn.Module):
    """The same network in plain torch."""

    def __init__(self, cell: str, vocab_size: int):
        super().__init__()
        layer = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[cell]
        self.embedding = nn.Embedding(vocab_size, EMBEDDING, padding_idx=0)
        self.recurrent = layer(EMBEDDING, UNITS, bidirectional=True, batch_first=True)
        self.head = nn.Linear(2 * UNITS, 1)

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """The logit of each row."""
        packed = pack_padded_sequence(self.embedding(ids), lengths, batch_first=True, enforce_sorted=False)
        states = pad_packed_sequence(self.recurrent(packed)[0], batch_first=True, padding_value=-torch.inf)[0]
        return self.head(states.max(dim=1).values)[:, 0]


class Plain:
    """Training and prediction with a `PlainNetwork`."""

    def __init__(self, cell: str, vocab_size: int, device: torch.device):
        self.device, self.network = device, PlainNetwork(cell, vocab_size).to(device)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=5e-3)

    def batches(
        self, ids: list[np.ndarray], rows: np.ndarray
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor, np.ndarray]]:
        """Padded batches of similar lengths."""
        order = rows[np.argsort([len(ids[row]) for row in rows], kind="stable")]
        for some in np.array_split(order, max(-(-len(order) // BATCH), 1)):
            padded = nn.utils.rnn.pad_sequence([torch.as_tensor(ids[row]) for row in some], batch_first=True)
            yield padded.long().to(self.device), torch.tensor([len(ids[row]) for row in some]), some

    def epoch(self, ids: list[np.ndarray], y: np.ndarray) -> None:
        """Train on every row once."""
        for padded, lengths, rows in self.batches(ids, np.random.default_rng(0).permutation(len(ids))):
            self.optimizer.zero_grad()
            target = torch.as_tensor(y[rows], dtype=torch.float32, device=self.device)
            nn.functional.binary_cross_entropy_with_logits(self.network(padded, lengths), target).backward()
            self.optimizer.step()
        synchronize(self.device)

    @torch.no_grad()
    def predict(self, ids: list[np.ndarray]) -> np.ndarray:
        """The logits of all rows."""
        logits = np.empty(len(ids))
        for padded, lengths, rows in self.batches(ids, np.arange(len(ids))):
            logits[rows] = self.network(padded, lengths).cpu().numpy()
        return logits


def synchronize(device: torch.device) -> None:
    """Wait for the GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def ours(cell: str, device: torch.device, **changes: Any) -> RNNTextClassifier:
    """The network alone; each `fit` continues for one epoch."""
    settings = {"units": UNITS, "embedding_dim": EMBEDDING, "batch_size": BATCH, "pooling": "max", "dropout": 0.0}
    settings |= {"wide": False, "nb_ngrams": 0, "token_dropout": 0.0, "schedule": "constant", "max_epochs": 1}
    settings |= {"warm_start": True, "random_state": 0, "device": str(device), "max_grad_norm": None}
    return RNNTextClassifier(cell=cell, **(settings | changes))


def profiled_kernels(cell: str, device: torch.device, data: Data) -> list[str]:
    """The names of the recurrent kernels of one epoch on a few rows, most time first."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    if device.type == "cuda":
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    model = ours(cell, device).fit(*data)
    with torch.profiler.profile(activities=activities) as profile:
        model.fit(*data)
        synchronize(device)
    events = sorted(profile.key_averages(), key=lambda event: -max(event.device_time_total, event.cpu_time_total))
    words = ("cudnn", "rnn", "lstm", "gru", "recurrence")
    return [event.key for event in events if any(word in event.key.lower() for word in words)]


def check_agreement(device: torch.device, data: Data) -> None:
    """Exit if the GPU and the CPU predict other probabilities with the same weights."""
    for cell in CELLS:
        model = ours(cell, device).fit(*data)
        on_device = model.predict_proba(data[0])
        on_cpu = model.set_params(device="cpu").predict_proba(data[0])
        difference = float(np.abs(on_device - on_cpu).max())
        print(f"{cell}: the largest difference of probabilities on {device} and the CPU is {difference:.1e}.")
        if not difference <= TOLERANCE:  # written so that NaN fails
            sys.exit(f"{cell}: the probabilities differ by more than {TOLERANCE}.")


def compare(cell: str, device: torch.device, data: Data, vocab_size: int, n_rounds: int) -> dict[str, Any]:
    """The seconds of an epoch and of predictions, by column, interleaved."""
    ids, y = data
    columns = {f"ours, {device}": ours(cell, device), "ours, CPU kernels": ours(cell, torch.device("cpu"))}
    plain = Plain(cell, vocab_size, device) if cell != "mgu" else None
    seconds: dict[str, dict[str, list[float]]] = {}
    for round_ in range(n_rounds + 1):
        measured = {
            name: (lambda model=model: model.fit(ids, y), lambda model=model: model.decision_function(ids))
            for name, model in columns.items()
        }
        if plain is not None:
            measured[f"torch.nn, packed, {device}"] = (lambda: plain.epoch(ids, y), lambda: plain.predict(ids))
        for name, (train, predict) in measured.items():
            taken = seconds_of(train), seconds_of(predict)
            if round_:  # the first one is a warm-up
                found = seconds.setdefault(name, {"epoch": [], "predict": []})
                found["epoch"].append(taken[0])
                found["predict"].append(taken[1])
    return seconds


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--reviews", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="also write all measurements to this file")
    parser.add_argument("--smoke", action="store_true", help="a few short texts and one test file, to test this script")
    return parser.parse_args()


def main() -> None:
    """Test, check, profile and measure."""
    arguments = parse_arguments()
    device = torch.device(arguments.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        sys.exit("There is no CUDA device here: run this on a machine with an NVIDIA GPU and a CUDA build of torch.")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "the CPU in place of a GPU"
    print(f"{name}; cuDNN {torch.backends.cudnn.version()}. {machine(torch.get_num_threads())}", flush=True)
    before, root = load(), Path(__file__).resolve().parents[1]
    tests = TESTS[:1] if arguments.smoke else TESTS
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow", *tests]
    if subprocess.run(command, cwd=root, check=False).returncode:
        sys.exit("The tests failed.")
    texts = load_texts(arguments.reviews, 1, smoke=arguments.smoke)
    tokenizer = TextTokenizer(vocab_size=10_000, max_length=MAX_LENGTH)
    data = list(tokenizer.fit_transform(texts.train)), texts.train_labels
    some = data[0][:BATCH], data[1][:BATCH]
    check_agreement(device, some)
    content: dict[str, Any] = {"device": name, "n_texts": len(data[0]), "kernels": {}, "seconds": {}}
    rows = []
    for cell in CELLS:
        content["kernels"][cell] = kernels = profiled_kernels(cell, device, some)
        uses_cudnn = any("cudnn" in kernel.lower() for kernel in kernels)
        print(f"{cell}: cuDNN {'ran' if uses_cudnn else 'did not run'}; {', '.join(kernels[:3]) or 'no such kernel'}")
        if device.type == "cuda" and uses_cudnn is (cell == "mgu"):
            sys.exit(f"{cell}: expected the opposite.")
    for cell in ("lstm", "gru"):
        seconds = compare(cell, device, data, tokenizer.n_tokens_, 1 if arguments.smoke else arguments.rounds)
        content["seconds"][cell] = seconds
        for column, found in seconds.items():
            per_second = len(data[0]) / statistics.median(found["predict"])
            rows.append([cell, column, with_spread(found["epoch"]), f"{per_second:,.0f}"])
    print(f"\n{len(data[0]):,} {texts.description}, {UNITS} units in two directions, batches of {BATCH}\n")
    print_table(["cell", "", "epoch, s", "predictions per second"], rows)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(content, indent=1) + "\n")
    print()
    print_load(before)


if __name__ == "__main__":
    main()
