"""The memory of a fit with the defaults, and the size of the saved model; `accuracy.py` starts this.

    python benchmarks/_memory_worker.py imdb [--rows N] [--threads 2]

It runs in a separate process, so that nothing else is counted, and prints one line of JSON.
"""

import argparse
import json
import resource
import sys
import tempfile
from pathlib import Path

import joblib
from _ours import defaults
from _sets import load

MEGABYTE = 1e6


def _peak() -> float:
    """The peak memory of this process in megabytes.

    On Linux `getrusage` would include the memory of the parent at the start of this process; /proc does not.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / MEGABYTE
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MEGABYTE


def main() -> None:
    """Fit and save once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--rows", type=int)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    split = load(options.data).head(options.rows)
    before = _peak()
    model = defaults(options.data, random_state=0, n_threads=options.threads).fit(split.X_train, split.y_train)
    peak = _peak()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.joblib"
        joblib.dump(model, file)
        size = file.stat().st_size / MEGABYTE
    print(json.dumps({"peak MB": round(peak), "MB before the fit": round(before), "joblib MB": round(size, 1)}))


if __name__ == "__main__":
    main()
