"""One recurrent layer, one direction: our kernels, torch.nn padded and packed, and Keras on JAX, side by side.

    python benchmarks/kernels.py [--threads 2] [--shapes 16-8,64-64] [--cells lstm,gru] [--repeats 9] [--json FILE]

The script times a single layer on prepared data in memory: no embedding, no pooling, no optimiser.

training
    Forward, then backward from a given gradient of all outputs to the weights and to the inputs.
inference
    Forward without autograd.
ours
    ``recurrence`` with the compiled kernels; the time includes creating the layout of the batch from the lengths.
torch padded
    ``torch.nn``'s module, if torch has the cell, on a time-major grid, (times, rows, inputs), padded with zeros.
torch packed
    The same module on a ``PackedSequence`` that was packed before.
Keras on JAX
    See `_keras_layer_worker.py`; in a separate environment under ``benchmarks/.peers``, which the first run creates
    with venv and pip.

Each round runs every column, one after the other, so that other load affects all columns equally. A column begins with
a pause, in which the threads of the previous column become idle (OpenMP's threads spin for milliseconds on a core that
the next column needs), and a warm-up call. Then come three consecutive calls, as in an epoch, whose median is used. The
figures are medians over the rounds; the spread is half the interquartile range. Before any time is printed, our outputs
and gradients are compared with torch.nn's on the same data, or with the reference's if torch lacks the cell. Rates
count the arithmetic of the REAL steps, the same for every column: 2 gates units (inputs + units) per step forward, and
three times that for training. The fraction is relative to the rate of ``torch.mm`` on matrices of 2048 x 2048 with the
same number of threads, measured in the same rounds.
"""

import argparse
import itertools
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from _peers import NAMES, KerasPeer, start_peers
from _report import as_line, load, machine, print_load, processor, reached, seconds_of, spread
from torch.nn.utils.rnn import PackedSequence

from seqclf import _kernels
from seqclf._kernels import CELLS, StepLayout, Weights
from seqclf._native import library

OURS, PADDED, PACKED, KERAS = "ours", "torch padded", "torch packed", NAMES["jax"]
COLUMNS = (OURS, PADDED, PACKED, KERAS)
PAUSE = 0.05  # seconds before a column runs
# Maximum error of outputs, and of gradients relative to their norm; both sides compute in float32.
OUTPUT_TOLERANCE, GRADIENT_TOLERANCE = 2e-5, 2e-4

# IMDB reviews have lognormal lengths. With these parameters and at most 500 steps, 49 % of the grid's steps are real.
MEDIAN_LENGTH, SIGMA, MAX_LENGTH = 214.5, 0.65, 500


@dataclass(frozen=True)
class Case:
    """One batch for one cell."""

    cell: str
    n_inputs: int
    units: int
    n_rows: int
    n_times: int
    kind: str  # "equal" or "IMDB"

    @property
    def shape(self) -> str:
        return f"{self.n_inputs}-{self.units}"

    @property
    def lengths(self) -> np.ndarray:
        """Number of steps of each row, longest first, so that no column has to sort."""
        if self.kind == "equal":
            return np.full(self.n_rows, self.n_times)
        # Evenly spaced quantiles, so that the fraction of real steps does not depend on chance.
        quantiles = (np.arange(self.n_rows) + 0.5) / self.n_rows
        normal = np.array([statistics.NormalDist().inv_cdf(p) for p in quantiles])
        lengths = MEDIAN_LENGTH * np.exp(SIGMA * normal) * self.n_times / MAX_LENGTH
        return np.sort(np.clip(np.round(lengths).astype(np.int64), 1, self.n_times))[::-1].copy()

    @property
    def has_rivals(self) -> bool:
        """Whether torch and Keras also have this cell."""
        return bool(CELLS[self.cell].torch_operations)

    def flops(self, mode: str) -> float:
        """The arithmetic of the real steps."""
        forward = 2 * CELLS[self.cell].n_gates * self.units * (self.n_inputs + self.units) * int(self.lengths.sum())
        return float(forward * (3 if mode == "training" else 1))

    def target(self, mode: str) -> float | None:
        """The goal for the time of the fastest other column divided by ours."""
        if self.n_rows != 64 or not self.has_rivals:
            return None
        ragged = self.kind == "IMDB"
        if mode == "inference":
            return 3.0 if ragged else 1.5
        if self.shape == "16-8":
            return {"lstm": 2.5, "gru": 4.0, "rnn": 2.0}[self.cell] * (2 if ragged else 1)
        return (4.0 if ragged else 2.0) if self.shape in ("64-64", "128-128") else None

    def target_fraction(self, mode: str) -> float | None:
        """The goal for our rate as a fraction of the matrix-product rate."""
        wide = self.shape in ("128-128", "256-256") and self.cell in ("lstm", "gru")
        return 0.65 if wide and mode == "training" else None


@dataclass
class Row:
    """The measurements of one case: seconds of every round, by column."""

    case: Case
    mode: str
    seconds: dict[str, list[float]] = field(default_factory=dict)
    product_rates: list[float] = field(default_factory=list)

    def median(self, column: str) -> float:
        return statistics.median(self.seconds[column])

    @property
    def fastest_other(self) -> str | None:
        return min((column for column in self.seconds if column != OURS), key=self.median, default=None)

    @property
    def ratio(self) -> float | None:
        return None if self.fastest_other is None else self.median(self.fastest_other) / self.median(OURS)

    @property
    def rate(self) -> float:
        return self.case.flops(self.mode) / self.median(OURS) / 1e9

    @property
    def fraction(self) -> float:
        return self.rate / statistics.median(self.product_rates)

    def summary(self) -> dict:
        case = asdict(self.case)
        return {
            **case,
            "what": self.mode,
            "n_steps": int(self.case.lengths.sum()),
            "median_ms": {column: 1e3 * self.median(column) for column in self.seconds},
            "seconds": self.seconds,
            "fastest_other": self.fastest_other,
            "ratio": self.ratio,
            "target": self.case.target(self.mode),
            "gflops": self.rate,
            "product_gflops": statistics.median(self.product_rates),
            "share": self.fraction,
            "target_share": self.case.target_fraction(self.mode),
        }


# ---- the columns ----------------------------------------------------------------------------------------------------


class Data:
    """The arrays of a case: weights, inputs and the gradient of the outputs, in the order of the layout."""

    def __init__(self, case: Case, seed: int = 0):
        self.case = case
        self.layout = StepLayout(case.lengths)
        rng = np.random.default_rng(seed)
        rows = CELLS[case.cell].n_gates * case.units

        def draw(*shape, scale=1.0):
            return torch.from_numpy((rng.standard_normal(shape) * scale).astype(np.float32))

        self.weights = Weights(
            draw(rows, case.n_inputs, scale=case.n_inputs**-0.5),
            draw(rows, case.units, scale=0.7 * case.units**-0.5),
            draw(rows, scale=0.1),
            draw(rows, scale=0.1) if CELLS[case.cell].has_recurrent_bias else None,
        )
        self.inputs = draw(self.layout.n_steps, case.n_inputs)
        self.grad_outputs = draw(self.layout.n_steps, case.units)


class Torch:
    """A column in this process; subclasses have `forward`, and `leaves` and `grad_outputs` for backward."""

    def __init__(self, data: Data):
        self.data = data

    def training(self):
        """The outputs, then the gradients of `leaves`."""
        outputs = self.forward()
        return [outputs, *torch.autograd.grad(outputs, self.leaves, self.grad_outputs)]

    @torch.no_grad()
    def inference(self):
        return self.forward()


class Ours(Torch):
    kernel = "cpu"

    def __init__(self, data: Data):
        super().__init__(data)
        self.inputs = data.inputs.clone().requires_grad_()
        self.weights = Weights(*(None if w is None else w.clone().requires_grad_() for w in data.weights))
        self.leaves = [self.inputs, *(w for w in self.weights if w is not None)]
        self.grad_outputs = data.grad_outputs
        self.lengths = data.case.lengths

    def forward(self):
        layout = StepLayout(self.lengths)
        with _kernels.use(self.kernel):
            return _kernels.recurrence(self.data.case.cell, self.inputs, layout, self.weights)


class Reference(Ours):
    """The reference kernel. Cells that torch lacks are checked against it; it is not a column."""

    kernel = "reference"


class TorchModule(Torch):
    def __init__(self, data: Data):
        super().__init__(data)
        case = data.case
        kind = getattr(torch.nn, case.cell.upper())
        self.module = kind(case.n_inputs, case.units)
        with torch.no_grad():
            self.module.weight_ih_l0.copy_(data.weights.input)
            self.module.weight_hh_l0.copy_(data.weights.recurrent)
            self.module.bias_ih_l0.copy_(data.weights.bias)
            self.module.bias_hh_l0.zero_()
            if data.weights.recurrent_bias is not None:
                self.module.bias_hh_l0.copy_(data.weights.recurrent_bias)
        parameters = [self.module.weight_ih_l0, self.module.weight_hh_l0, self.module.bias_ih_l0]
        if data.weights.recurrent_bias is not None:
            parameters.append(self.module.bias_hh_l0)
        self.inputs = self.prepare(data.inputs).requires_grad_()
        self.grad_outputs = self.prepare(data.grad_outputs)
        self.leaves = [self.inputs, *parameters]


class TorchPadded(TorchModule):
    def prepare(self, values):
        return self.data.layout.pad(values).clone()

    def forward(self):
        return self.module(self.inputs)[0]


class TorchPacked(TorchModule):
    def prepare(self, values):
        return values.clone()  # StepLayout has the order of a PackedSequence

    def forward(self):
        return self.module(PackedSequence(self.inputs, torch.from_numpy(self.data.layout.batch_sizes)))[0].data


# ---- measuring ------------------------------------------------------------------------------------------------------


def check(data: Data, ours: Ours, padded: TorchPadded | None) -> tuple[float, float]:
    """The largest error of the outputs, and the largest relative error of a gradient; exit if one is too large."""
    actual = ours.training()
    if padded is None:
        expected = Reference(data).training()
    else:
        expected = padded.training()
        expected[:2] = [data.layout.unpad(grid) for grid in expected[:2]]  # outputs, gradient of the inputs
    output_error = (actual[0] - expected[0]).abs().max().item()
    gradient_error = max(((a - b).norm() / b.norm()).item() for a, b in zip(actual[1:], expected[1:], strict=True))
    inference_error = (ours.inference() - expected[0]).abs().max().item()
    # Written so that NaN fails too.
    if not (max(output_error, inference_error) <= OUTPUT_TOLERANCE and gradient_error <= GRADIENT_TOLERANCE):
        sys.exit(f"{data.case}: WRONG RESULTS, error of outputs {output_error:.1e}, of gradients {gradient_error:.1e}")
    return output_error, gradient_error


def steady(run: Callable[[], float]) -> float:
    """The median of three consecutive calls in seconds, after a pause and a warm-up call."""
    time.sleep(PAUSE)
    run()
    return statistics.median(run() for _ in range(3))


def measure(case: Case, keras: KerasPeer | None, repeats: int, row_seconds: float) -> tuple[list[Row], tuple]:
    """Both rows of a case, and the errors from checking the results."""
    data = Data(case)
    columns: dict[str, Torch] = {OURS: Ours(data)}
    if case.has_rivals:
        columns |= {PADDED: TorchPadded(data), PACKED: TorchPacked(data)}
    else:
        keras = None
    errors = check(data, columns[OURS], columns.get(PADDED))
    if keras is not None:
        shape = {"cell": case.cell, "n_inputs": case.n_inputs, "units": case.units}
        keras.request(setup={**shape, "lengths": case.lengths.tolist(), "seed": 0})
    square = torch.randn(2048, 2048, generator=torch.Generator().manual_seed(0))
    torch.mm(square, square)
    rows = []
    for mode in ("training", "inference"):
        row = Row(case, mode)
        runs = {
            name: lambda column=column, mode=mode: seconds_of(getattr(column, mode)) for name, column in columns.items()
        }
        if keras is not None:
            runs[KERAS] = lambda mode=mode: keras.request(run={"mode": mode})["seconds"]
        for run in runs.values():
            run()  # warm-up
        started = time.perf_counter()
        for done in range(repeats):
            if done >= 3 and time.perf_counter() - started > row_seconds:
                break
            row.product_rates.append(2 * 2048**3 / steady(lambda: seconds_of(lambda: torch.mm(square, square))) / 1e9)
            for name, run in runs.items():
                row.seconds.setdefault(name, []).append(steady(run))
        rows.append(row)
    return rows, errors


# ---- printing -------------------------------------------------------------------------------------------------------


def verdict(value: float | None, target: float | None, text: str) -> str:
    if value is None or target is None:
        return "-"
    return f"{text}: {reached(value >= target)}"


HEADER = ["batch", "layer", "lengths", "cell", "", *COLUMNS]
HEADER += ["ratio", "target", "GFLOP/s", "fraction", "target fraction"]


def table_row(row: Row) -> list[str]:
    case = row.case

    def milliseconds(column):
        if column not in row.seconds:
            return "-"
        text = f"{1e3 * row.median(column):.2f} ±{spread(row.seconds[column]):.0%}"
        return f"*{text}*" if column == row.fastest_other else text

    target, target_fraction = case.target(row.mode), case.target_fraction(row.mode)
    return [
        f"{case.n_rows}x{case.n_times}",
        f"{case.n_inputs} -> {case.units}",
        case.kind,
        case.cell,
        row.mode,
        *map(milliseconds, COLUMNS),
        "-" if row.ratio is None else f"{row.ratio:.2f}x",
        verdict(row.ratio, target, f"{target}x"),
        f"{row.rate:.1f}",
        f"{row.fraction:.0%}",
        verdict(row.fraction, target_fraction, f"{target_fraction or 0:.0%}"),
    ]


SHAPES = {"16-8": 500, "64-64": 240, "128-128": 240, "256-256": 240}


def all_cases(shapes: list[str], cells: list[str]) -> list[Case]:
    """Every cell on every shape, first with equal lengths, then with the lengths of IMDB, up to 500 steps."""
    cases = []
    for kind, shape, cell in itertools.product(("equal", "IMDB"), shapes, cells):
        n_inputs, units = map(int, shape.split("-"))
        cases.append(Case(cell, n_inputs, units, 64, SHAPES[shape] if kind == "equal" else MAX_LENGTH, kind))
    return cases


def parse_arguments() -> argparse.Namespace:
    def some_of(allowed):
        def parse(text):
            chosen = text.split(",")
            if not set(chosen) <= set(allowed):
                raise argparse.ArgumentTypeError(f"got {text!r}; expected names of {','.join(allowed)}")
            return chosen

        return parse

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument(
        "--shapes", type=some_of(SHAPES), default=list(SHAPES), help="inputs-units, separated by commas"
    )
    parser.add_argument("--cells", type=some_of(CELLS), default=list(CELLS), help="separated by commas")
    parser.add_argument("--repeats", type=int, default=9, help="maximum number of rounds per row")
    parser.add_argument(
        "--row-seconds", type=float, default=40.0, help="maximum seconds per row, after at least three rounds"
    )
    parser.add_argument("--json", type=Path, help="also write all measurements to this file")
    parser.add_argument("--no-keras", action="store_true", help="skip Keras on JAX")
    parser.add_argument("--smoke", action="store_true", help="tiny batches, no Keras, to test this script")
    return parser.parse_args()


def main() -> None:
    """Measure, print a markdown table row by row, and write the JSON file."""
    arguments = parse_arguments()
    available, instructions = library.available()
    if not available:
        sys.exit(f"The compiled kernels are not available: {instructions}.")
    torch.set_num_threads(arguments.threads)
    cases, repeats = all_cases(arguments.shapes, arguments.cells), arguments.repeats
    keras = None
    if arguments.smoke:
        kinds = ("equal", "IMDB")
        cases, repeats = [Case(cell, 3, 5, 4, 20, kind) for kind in kinds for cell in arguments.cells], 1
    elif not arguments.no_keras:
        keras = next(iter(start_peers(["jax"], "_keras_layer_worker.py", arguments.threads)), None)

    described = machine(arguments.threads, "" if keras is None else keras.versions)
    print(f"{described} Milliseconds, median of up to {repeats} interleaved rounds;", end=" ")
    print("the fastest other column in italics.")
    load_before = load()
    print(f"\n{as_line(HEADER)}\n{as_line(['---'] * len(HEADER))}")
    rows, errors = [], []
    for case in cases:
        measured, error = measure(case, keras, repeats, arguments.row_seconds)
        errors.append(error)
        for row in measured:
            print(as_line(table_row(row)), flush=True)
            rows.append(row)
    if keras is not None:
        keras.close()

    slow = [row for row in rows if (row.ratio or 0) < (row.case.target(row.mode) or 0)]
    below_fraction = [row for row in rows if row.fraction < (row.case.target_fraction(row.mode) or 0)]
    worst = [max(column) for column in zip(*errors, strict=True)]
    ragged = next((case for case in cases if case.kind == "IMDB"), None)
    print("\nChecked against torch.nn (or the reference) before timing: ", end="")
    print(f"outputs within {worst[0]:.1e}, gradients {worst[1]:.1e} ", end="")
    print(f"(allowed: {OUTPUT_TOLERANCE:.0e}, {GRADIENT_TOLERANCE:.0e} of the norm).")
    if ragged is not None:
        real = ragged.lengths.sum() / (ragged.n_rows * ragged.n_times)
        print(
            f"IMDB lengths: lognormal, median {MEDIAN_LENGTH}, sigma {SIGMA}, truncated: {real:.1%} of steps are real."
        )
    products = [rate for row in rows for rate in row.product_rates]
    print(f"torch.mm: {statistics.median(products):.0f} GFLOP/s ({min(products):.0f} to {max(products):.0f}).")
    print_load(load_before)
    n_targets = sum(row.case.target(row.mode) is not None for row in rows)
    n_fractions = sum(row.case.target_fraction(row.mode) is not None for row in rows)
    print(f"Ratios reached: {n_targets - len(slow)} of {n_targets}; ", end="")
    print(f"fractions: {n_fractions - len(below_fraction)} of {n_fractions}.")
    if arguments.json:
        content = {
            "processor": processor(), "threads": arguments.threads, "instructions": instructions,
            "machine": described, "load_before": load_before, "rows": [row.summary() for row in rows],
        }  # fmt: skip
        arguments.json.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
