"""The summary of `accuracy.py`: the sets on which our defaults are behind their rivals."""

import statistics
from collections.abc import Iterable

import numpy as np
from _figures import Row, mean_hits, paired_difference
from _report import print_table
from _sets import SERIES, TEN_TEXTS, TEXTS

MINIROCKET = "MiniRocket"
CHOSEN = "column chosen by cross-validation"
# Series: a difference up to this many test rows, or this accuracy, does not count.
_MAX_ROWS_BEHIND, _MAX_ACCURACY_BEHIND = 2, 0.01


def accuracy(row: Row) -> float:
    """The mean over the runs."""
    return statistics.mean(row.accuracies)


def _find(rows: Iterable[Row], data: str, role: str) -> Row | None:
    return next((row for row in rows if row.data == data and row.role == role), None)


def _pairs(rows: list[Row], names: Iterable[str]) -> list[tuple[Row, Row]]:
    """Our row and the rival's row of each set that has both."""
    both = ((_find(rows, name, "ours"), _find(rows, name, "rival")) for name in names)
    return [(ours, rival) for ours, rival in both if ours and rival]


def _line(ours: Row, rival: Row, allowed: float | None = None) -> list[str]:
    difference, error = paired_difference(mean_hits(ours), mean_hits(rival))
    behind = difference < -(error if allowed is None else allowed) - 1e-9  # the sums are not exact
    chosen = rival.extra.get("chosen", [rival.model])
    cells = [ours.data, f"{accuracy(ours):.4f}", f"{accuracy(rival):.4f}", " / ".join(dict.fromkeys(chosen))]
    return [*cells, f"{difference:+.4f} ± {error:.4f}", "**behind**" if behind else ""]


_HEADER = ["data", "ours", "rival", "the rival is", "difference ± paired standard error", ""]


def _print_texts(rows: list[Row]) -> None:
    pairs = _pairs(rows, TEXTS)
    if not pairs:
        return
    print("\nTexts; the rival is the linear model that is best in cross-validation of the training half;")
    print("behind means more than one standard error below it.\n")
    print_table(_HEADER, [_line(*pair) for pair in pairs])
    ten = [pair for pair in pairs if pair[0].data in TEN_TEXTS]
    if not ten:
        return
    names = [ours.data for ours, _ in ten]
    columns: dict[str, list[float]] = {}
    for row in rows:
        if row.role == "column" and row.data in names:
            columns.setdefault(row.model, []).append(accuracy(row))
    means = {name: statistics.mean(values) for name, values in columns.items() if len(values) == len(names)}
    best = max(means, key=lambda name: means[name])
    of_test = [max(accuracy(row) for row in rows if row.role == "column" and row.data == name) for name in names]
    print(f"\nMeans over {len(names)} of the ten sets:\n")
    lines = [
        ["ours", statistics.mean(accuracy(ours) for ours, _ in ten)],
        [f"best single column: {best}", means[best]],
        ["each set's rival", statistics.mean(accuracy(rival) for _, rival in ten)],
        ["each set's best column on the test rows themselves", statistics.mean(of_test)],
    ]
    print_table(["model", "mean accuracy"], [[str(name), f"{value:.4f}"] for name, value in lines])


def _print_series(rows: list[Row]) -> None:
    pairs = _pairs(rows, SERIES)
    if not pairs:
        return
    print(
        f"\nSeries; behind means more than {_MAX_ROWS_BEHIND} test rows "
        f"and more than {_MAX_ACCURACY_BEHIND} below {MINIROCKET}.\n"
    )
    lines = [_line(*pair, allowed=max(_MAX_ROWS_BEHIND / pair[0].n_rows[1], _MAX_ACCURACY_BEHIND)) for pair in pairs]
    print_table(_HEADER, lines)
    ours, theirs = (statistics.mean(accuracy(pair[i]) for pair in pairs) for i in (0, 1))
    print(f"\nMean over {len(pairs)} sets: ours {ours:.4f}, {MINIROCKET} {theirs:.4f}.")


def chosen_row(data: str, choice: list[dict[str, float]], columns: list[Row]) -> Row:
    """The rival of a text data set: in each draw, the column that is best in cross-validation."""
    by_name = {row.model: row for row in columns}
    chosen = [max(scores, key=lambda name: scores[name]) for scores in choice]
    rows = [by_name[name] for name in chosen]

    def draws(field: str) -> list:
        return [getattr(row, field)[draw] for draw, row in enumerate(rows)]

    names = ("fit_seconds", "predict_seconds", "fit_cpu_seconds", "predict_cpu_seconds")
    times = {name: float(np.mean([getattr(row, name) for row in rows])) for name in names}
    spam = draws("f1_of_spam") if rows[0].f1_of_spam else None
    return Row(
        data, CHOSEN, "rival", rows[0].n_rows,
        draws("accuracies"), draws("macro_f1"), draws("hits"), **times,
        f1_of_spam=spam, extra={"chosen": chosen, "cross-validation": choice},
    )  # fmt: skip


def print_summary(rows: list[Row]) -> None:
    """Print the tables of texts and of series."""
    _print_texts(rows)
    _print_series(rows)
