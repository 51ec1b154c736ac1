"""`series_from_frame` on a long frame of a million rows: seconds for pandas, polars and arrow.

    python benchmarks/series_from_frame.py             1,000,000 rows, 20,000 series, 3 channels, five calls
    python benchmarks/series_from_frame.py --smoke     2,000 rows

The rows are shuffled, so the function has to sort them. Ids are numbers or texts. Before a time is printed, the series
are compared with those of pandas' groupby.
"""

import argparse

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
from _report import load, machine, print_load, print_table, reached, seconds_of, with_spread

from seqclf import series_from_frame


def long_frame(n_rows: int, text_ids: bool) -> pd.DataFrame:
    """Shuffled rows of series of 50 steps on average, with times in seconds."""
    rng = np.random.default_rng(0)
    ids = rng.integers(0, n_rows // 50, n_rows)
    return pd.DataFrame(
        {
            "id": [f"series {i}" for i in ids] if text_ids else ids,
            "time": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.permutation(n_rows), unit="s"),
            **{name: rng.normal(size=n_rows) for name in "xyz"},
        }
    )


def check(frame: pd.DataFrame) -> None:
    """Compare the series with those of pandas' groupby."""
    X, ids = series_from_frame(frame, id="id", time="time")
    groups = dict(iter(frame.sort_values("time").groupby("id")))
    assert list(ids) == list(dict.fromkeys(frame["id"]))
    for row, id_ in zip(X[:200], ids[:200], strict=True):
        np.testing.assert_array_equal(row, groups[id_][["x", "y", "z"]].to_numpy())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="2,000 rows, to test this script")
    n_rows = 2_000 if parser.parse_args().smoke else 1_000_000
    before, rows, slowest = load(), [], 0.0
    for kind, text_ids in (("numbers", False), ("texts", True)):
        frame = long_frame(n_rows, text_ids)
        check(frame)
        frames = {"pandas": frame, "polars": pl.from_pandas(frame), "arrow": pa.Table.from_pandas(frame)}
        for library, frame in frames.items():
            call = lambda frame=frame: series_from_frame(frame, id="id", time="time", time_as="delta")  # noqa: E731
            seconds = [seconds_of(call) for _ in range(5)]
            slowest = max(slowest, float(np.median(seconds)))
            rows.append([library, kind, with_spread(seconds)])
    print_table(["frame", f"{n_rows:,} rows, ids are", "seconds"], rows)
    print(f"\nGoal: below 1 s, {reached(slowest < 1)}.\n\n{machine(1)}")
    print_load(before)


if __name__ == "__main__":
    main()
