"""From a file to the first prediction in a new process: our model, its predictor, and TF-IDF with logistic regression.

    SEQCLF_DATA=... python benchmarks/loading.py              models of 25,000 reviews
    python benchmarks/loading.py --smoke                      models of a few texts, to test this script

The rival uses words. Each way runs in separate processes, interleaved. The time is from the start of the process to the
first prediction, of one text. The memory is the peak of the process as reported by Linux in /proc. The time of another
text is measured inside the process, after the first one.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import joblib
from _data import Texts, load_texts
from _report import load as load_of_machine
from _report import machine, print_load, print_table, reached
from _rivals import linear_model

from seqclf import RNNTextClassifier, save_model

_RIVAL = "TF-IDF + LR, joblib"
# How each way loads a file.
_WAYS = {
    _RIVAL: ("rival.joblib", "from joblib import load"),
    "load_predictor, folder": ("model", "from seqclf import load_predictor as load"),
    "load_predictor, zip": ("model.zip", "from seqclf import load_predictor as load"),
    "load_model, folder": ("model", "from seqclf import load_model as load"),
    "joblib": ("model.joblib", "from joblib import load"),
}
# The maximum time and memory of a way, as fractions of those of the rival.
_GOALS = {"load_predictor, folder": (0.35, 0.5), "load_model, folder": (1.1, 1.2)}
_MAX_ONE_TEXT = 1.0e-3
_WORKER = """
{imports}
import json, sys, time
model, text = load({file!r}), open({text!r}, encoding="utf-8").read()
answer = str(model.predict([text])[0])
seconds = time.time() - {start}
times = []
for _ in range({n_texts}):
    start = time.perf_counter()
    model.predict([text])
    times.append(time.perf_counter() - start)
# Not getrusage, which includes the process that started this one.
memory = next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
heavy = [name for name in ("torch", "skorch", "sklearn", "scipy") if name in sys.modules]
one = sorted(times)[len(times) // 2]
print(json.dumps({{"seconds": seconds, "answer": answer, "memory": memory, "one": one, "heavy": heavy}}))
"""


def run(way: str, folder: Path, n_texts: int) -> dict:
    """Run one process; return its prediction, seconds and bytes."""
    file, imports = _WAYS[way]
    files = {"file": str(folder / file), "text": str(folder / "text.txt")}
    code = _WORKER.format(imports=imports, **files, n_texts=n_texts, start=time.time())
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    result: dict = json.loads(done.stdout)
    return result


def size_of(path: Path) -> int:
    """The bytes of a file, or of the files in a folder."""
    return path.stat().st_size if path.is_file() else sum(each.stat().st_size for each in path.iterdir())


def make_models(folder: Path, data: Texts, n_threads: int) -> None:
    """Fit both models and save them in all ways, with the text for prediction."""
    ours = RNNTextClassifier(random_state=0, n_threads=n_threads).fit(data.train, data.train_labels)
    save_model(ours, folder / "model")
    save_model(ours, folder / "model.zip")
    joblib.dump(ours, folder / "model.joblib")
    joblib.dump(linear_model("words + LR").fit(data.train, data.train_labels), folder / "rival.joblib")
    text = min(data.test[:100], key=lambda text: abs(len(text.split()) - 233))
    (folder / "text.txt").write_text(text, encoding="utf-8")


def main() -> None:
    """Print the table and the goals."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=7, help="processes of each way")
    parser.add_argument("--models", help="a folder for the models, reused if an earlier call has created them")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--smoke", action="store_true", help="small models, two processes each, to test this script")
    options = parser.parse_args()
    before, repeat = load_of_machine(), 2 if options.smoke else options.repeat
    data = load_texts(smoke=options.smoke)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(options.models or name)
        if not (folder / "text.txt").exists():
            make_models(folder, data, options.threads)
        runs: dict[str, list[dict]] = {way: [] for way in _WAYS}
        for _ in range(repeat):
            for way, results in runs.items():
                results.append(run(way, folder, 20 if options.smoke else 100))
        sizes = {way: size_of(folder / file) for way, (file, _) in _WAYS.items()}
    rows, ratios = [], {}
    rival_seconds, rival_bytes = (statistics.median(r[key] for r in runs[_RIVAL]) for key in ("seconds", "memory"))
    for way, results in runs.items():
        seconds, used, one = (statistics.median(r[key] for r in results) for key in ("seconds", "memory", "one"))
        ratios[way] = seconds / rival_seconds, used / rival_bytes, one
        rows.append(
            [
                way,
                f"{sizes[way] / 1e6:.1f}",
                f"{seconds:.2f}",
                f"{ratios[way][0]:.2f}",
                f"{used / 1e6:.0f}",
                f"{ratios[way][1]:.2f}",
                f"{one * 1e3:.2f}",
                ", ".join(results[0]["heavy"]) or "none of them",
            ]
        )
    header = ["way", "file, MB", "start to first prediction, s", "ratio", "memory, MB", "ratio", "one text, ms"]
    print_table([*header, "imports torch, skorch, sklearn, scipy"], rows)
    print()
    for way, (max_time, max_memory) in _GOALS.items():
        time_ratio, memory, one = ratios[way]
        print(f"{way}: at most {max_time} of the rival's time: {time_ratio:.2f},", end=" ")
        print(f"{reached(time_ratio <= max_time)};", end=" ")
        print(f"at most {max_memory} of its memory: {memory:.2f}, {reached(memory <= max_memory)};", end=" ")
        print(f"one text in at most 1.0 ms: {one * 1e3:.2f}, {reached(one <= _MAX_ONE_TEXT)}.")
    print()
    print(f"{data.description}; medians of {repeat} processes.", machine(options.threads))
    print_load(before)


if __name__ == "__main__":
    main()
