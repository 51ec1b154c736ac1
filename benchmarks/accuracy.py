"""The accuracy of the defaults on official test halves, next to common alternatives.

    python benchmarks/accuracy.py --data all [--seeds 0,1,2] [--threads 2] [--json FILE]
    python benchmarks/accuracy.py --data texts --models ours --rivals FILE
    python benchmarks/accuracy.py --data imdb --models ours,nbsvm,keras,linear --columns "pairs + LR"
    python benchmarks/accuracy.py --data customer_reviews,GunPoint --rows 200

`--rivals` reads the rows of the rivals from the `--json` file of an earlier run on the same machine. Our models are
fitted once per seed (`random_state`). The times of fit and predict include everything from raw texts or series to
labels. Without `--rivals`, all models are measured in one run.

`--models` chooses from `MODELS`; without it, all but Keras are measured.

| data | ours | rivals |
|---|---|---|
| ten text data sets, nsmc, sms_spam, imdb and draws of it | defaults | linear models on TF-IDF (`_rivals.py`) |
| nsmc | also `TextTokenizer(level="char")` | the same |
| imdb | also `BEST` of `_ours.py`; blends with NB-SVM | the same |
| all texts | | NB-SVM (`_rivals.py`); the textbook network in Keras (`_keras_text_worker.py`) |
| eight series data sets | defaults | MiniRocket (`_minirocket.py`); nearest neighbour (series of one length) |
| mnist | defaults; `cell="lstm", units=128` | none |

"CPU, s" is the processor time of fit: the sum over the threads, which other processes hardly change. With `--threads 1`
it is the time of a fit on one free core.

The linear models are timed with each number of BLAS threads up to `--threads`, and the fastest time is reported.
MiniRocket is compiled before the measurement. Macro F1 is over the classes of the test rows. The expected calibration
error has 15 bins of equal width; next to it is that of a perfectly calibrated model with the same confidences (labels
drawn from its probabilities).

The linear model that is the rival of a set is chosen by cross-validation of its training half. The summary at the end
is a paired comparison: the difference is that of the means over the seeds, its standard error is over the test rows.
"""

import argparse
import json
import math
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import _keras_text
import _minirocket
import _rivals
import numpy as np
from _figures import Row, row_of, run
from _ours import defaults, further
from _peers import Peer
from _report import load as load_of_machine
from _report import machine, print_load, print_table
from _sets import NAMES, SERIES, TEXTS, WITHOUT_SPACES, Split, load_draws, names_of
from _summary import MINIROCKET, accuracy, chosen_row, print_summary

MODELS = ("ours", "further", "linear", "nbsvm", "minirocket", "keras")


def measure_ours(data: str, draws: list[Split], options: argparse.Namespace) -> list[Row]:
    """Measure the defaults, and further settings if there are any."""
    common = {"n_threads": options.threads}
    runs = [run(defaults(data, random_state=seed, **common), draw) for draw in draws for seed in options.seeds]
    first = draws[0]
    more = "further" in options.models
    extra = memory(data, options) if more and data == "imdb" else {}
    row = row_of(data, _name(data), "ours", runs, first.y_test, len(first.y_train), **extra)
    return [row, *(further(data, options.seeds, first, runs, common) if more else [])]


def _name(data: str) -> str:
    return f"{type(defaults(data)).__name__}()"


def memory(data: str, options: argparse.Namespace) -> dict[str, float]:
    """The result of `_memory_worker.py`."""
    worker = Path(__file__).with_name("_memory_worker.py")
    rows = [] if options.rows is None else ["--rows", str(options.rows)]
    command = [sys.executable, str(worker), data, "--threads", str(options.threads), *rows]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def measure_linear(data: str, draws: list[Split], options: argparse.Namespace) -> list[Row]:
    """Measure the columns of the options; or all of them, and the one that cross-validation chooses."""
    names = options.columns or _rivals.columns(without_spaces=data in WITHOUT_SPACES)
    y_test, n_train = draws[0].y_test, len(draws[0].y_train)
    rows = []
    for name in names:
        model = _rivals.linear_model(name)
        runs, times = zip(*(_rivals.timed(model, draw, options.threads) for draw in draws), strict=True)
        mean_times = {which: float(np.mean([each[which] for each in times])) for which in times[0]}
        rows.append(row_of(data, name, "column", runs, y_test, n_train, **mean_times))
    if options.columns:
        return rows
    choice = [_rivals.cross_validated(names, draw.X_train, draw.y_train) for draw in draws]
    return [*rows, chosen_row(data, choice, rows)]


def measure_nb_svm(data: str, draws: list[Split]) -> Row:
    """Measure NB-SVM."""
    model = _rivals.nb_svm(without_spaces=data in WITHOUT_SPACES, C=_rivals.NB_SVM_C.get(data, 1.0))
    runs = [run(model, draw) for draw in draws]
    return row_of(data, "NB-SVM, words to triples", "other", runs, draws[0].y_test, len(draws[0].y_train))


def measure_series(data: str, split: Split, peer: Peer | None, options: argparse.Namespace) -> list[Row]:
    """Measure MiniRocket, and one nearest neighbour if all series have one length."""
    models = {}
    if peer is not None:
        models[MINIROCKET] = "rival", _minirocket.runs(peer, split, options.seeds, options.threads)
    if isinstance(split.X_train, np.ndarray):
        models["one nearest neighbour"] = "other", [run(_rivals.nearest_neighbour(), split)]
    n_train = len(split.y_train)
    return [row_of(data, model, role, runs, split.y_test, n_train) for model, (role, runs) in models.items()]


def measure_rivals(data: str, draws: list[Split], peers: dict[str, Peer], options: argparse.Namespace) -> list[Row]:
    """The rows of the rivals that were asked for."""
    models = options.models
    if data in SERIES and "minirocket" in models:
        return measure_series(data, draws[0], peers.get("minirocket"), options)
    rows = []
    if data in TEXTS and "linear" in models:
        rows += measure_linear(data, draws, options)
    if data in TEXTS and "nbsvm" in models:
        rows.append(measure_nb_svm(data, draws))
    if data in TEXTS and "keras" in peers:
        rows.append(_keras_text.measure(peers["keras"], data, draws, options.seeds))
    return rows


def measure(data: str, peers: dict[str, Peer], earlier: list[Row], options: argparse.Namespace) -> list[Row]:
    """All rows of one data set; `earlier` are the rows of `--rivals`."""
    draws = [draw.head(options.rows) for draw in load_draws(data)]
    rows = measure_ours(data, draws, options) if "ours" in options.models else []
    rivals = [row for row in earlier if row.data == data and row.role in ("rival", "column", "other")]
    if any(row.n_rows != (len(draws[0].y_train), len(draws[0].y_test)) for row in rivals):
        raise SystemExit(f"The rivals of {data} were measured with different numbers of rows: omit --rivals.")
    rows += rivals or measure_rivals(data, draws, peers, options)
    for row in rows:
        print("  " + ", ".join(filter(None, as_cells(row)[:3])), flush=True)
    return rows


HEADER = ["data", "model", "accuracy (each)", "macro F1", "calibration error (chance)", "fit, s", "predict, s"]


def as_cells(row: Row) -> list[str]:
    """The cells of a row of the printed table."""
    scores = f"{accuracy(row):.4f}"
    if len(row.accuracies) > 1:
        scores = f"**{scores}** ({' / '.join(f'{score:.4f}' for score in row.accuracies)})"
    error = "" if row.calibration_error is None else f"{row.calibration_error:.3f} ({row.error_by_chance:.3f})"
    times = (row.fit_seconds, row.predict_seconds, row.fit_cpu_seconds)
    seconds = ["" if math.isnan(s) else f"{s:.2f}" if s < 10 else f"{s:.0f}" for s in times]
    notes = [f"{value} {name}" for name, value in row.extra.items() if "MB" in name]
    if row.n_parameters is not None:
        notes.insert(0, f"{row.n_parameters:,} parameters")
    if row.f1_of_spam is not None:
        notes.append(f"F1 of spam {np.mean(row.f1_of_spam):.4f}")
    if "chosen" in row.extra:
        notes.append(", ".join(dict.fromkeys(row.extra["chosen"])))
    return [row.data, row.model, scores, f"{np.mean(row.macro_f1):.4f}", error, *seconds, "; ".join(notes)]


def read_rows(file: Path | None) -> list[Row]:
    """The rows of a file that `--json` has written."""
    if file is None:
        return []
    return [Row(**{**row, "n_rows": tuple(row["n_rows"])}) for row in json.loads(file.read_text())["rows"]]


def models_of(text: str) -> tuple[str, ...]:
    """The models for a command-line value, names separated by commas."""
    chosen = tuple(text.split(","))
    if unknown := set(chosen) - set(MODELS):
        message = f"unknown model {', '.join(sorted(unknown))}; expected {', '.join(MODELS)}"
        raise argparse.ArgumentTypeError(message)
    return chosen


def start_peers(earlier: list[Row], options: argparse.Namespace) -> dict[str, Peer]:
    """The workers for models that are measured now."""
    unmeasured = set(options.data) - {row.data for row in earlier}
    peers = {}
    if "minirocket" in options.models and unmeasured & set(SERIES) and not options.smoke:
        peers["minirocket"] = _minirocket.start(options.threads)
    if "keras" in options.models and unmeasured & set(TEXTS):
        peers["keras"] = _keras_text.start(options.threads)
    return {name: peer for name, peer in peers.items() if peer is not None}


def options_of(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data_help = f"texts, series, all, or names separated by commas: {', '.join(NAMES)}"
    parser.add_argument("--data", default="all", type=names_of, help=data_help)
    models_help = f"names separated by commas: {', '.join(MODELS)}"
    parser.add_argument("--models", default=MODELS[:-1], type=models_of, help=models_help)
    columns_help = "only these linear models, separated by commas, such as 'pairs + LR'"
    parser.add_argument("--columns", type=lambda text: text.split(","), help=columns_help)
    parser.add_argument(
        "--rivals", type=Path, help="read the rows of the rivals from this file, the --json of an earlier run"
    )
    parser.add_argument("--seeds", default="0,1,2", type=lambda text: [int(seed) for seed in text.split(",")])
    parser.add_argument("--rows", type=int, help="maximum number of rows of each half, for a trial")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="also write the rows to this file, after each data set")
    parser.add_argument("--smoke", action="store_true", help="60 rows, one seed, no MiniRocket, to test this script")
    options = parser.parse_args(arguments)
    if options.smoke:
        options.rows, options.seeds = 60, [0]
    return options


def main() -> None:
    """Measure, print and save."""
    options = options_of()
    earlier = read_rows(options.rivals)
    before = load_of_machine()
    peers = start_peers(earlier, options)
    described = machine(options.threads, *(peer.versions for peer in peers.values()))
    print(described, flush=True)
    rows: list[Row] = []
    for data in options.data:
        rows += measure(data, peers, earlier, options)
        if options.json:
            content: dict[str, Any] = {"machine": described, "rows": [asdict(row) for row in rows]}
            options.json.write_text(json.dumps(content, indent=1))
    for peer in peers.values():
        peer.close()
    print()
    print_table([*HEADER, "CPU, s", "notes"], [as_cells(row) for row in rows])
    print_summary(rows)
    print_load(before)


if __name__ == "__main__":
    main()
