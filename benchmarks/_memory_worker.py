"""The memory of a fit with the defaults, and the size of the saved model; `accuracy.py` starts this.

    python benchmarks/_memory_worker.py imdb [--rows N] [--threads 2]

It runs in a separate process, so that nothing else is counted, and prints one line of JSON.
"""

import argparse
import json
import tempfile
from pathlib import Path

import joblib
from _ours import defaults
from _report import peak_megabytes
from _sets import load

MEGABYTE = 1e6


def main() -> None:
    """Fit and save once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--rows", type=int)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    split = load(options.data).head(options.rows)
    before = peak_megabytes()
    model = defaults(options.data, random_state=0, n_threads=options.threads).fit(split.X_train, split.y_train)
    peak = peak_megabytes()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.joblib"
        joblib.dump(model, file)
        size = file.stat().st_size / MEGABYTE
    print(json.dumps({"peak MB": round(peak), "MB before the fit": round(before), "joblib MB": round(size, 1)}))


if __name__ == "__main__":
    main()
