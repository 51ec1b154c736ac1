"""Each benchmark script runs in a separate process, on a few texts or tiny batches."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from seqclf import datasets
from seqclf._kernels import CELLS
from seqclf._native import library

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not BENCHMARKS.is_dir(), reason="the benchmarks are not part of an installed package"),
]


def run(script, *arguments, **variables):
    done = subprocess.run(
        [sys.executable, BENCHMARKS / script, "--smoke", *arguments],
        env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE", **variables},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(not library.available()[0], reason="needs the compiled kernels")
def test_kernels_prints_all_cases():
    output = run("kernels.py", "--threads", "1")
    assert output.count("| 4x20 |") == 4 * len(CELLS)  # equal and unequal lengths, training and inference


def test_epoch_prints_both_models():
    output = run("epoch.py", "--threads", "1")
    assert "1 x lstm(8), dropout 0.0" in output
    assert "2 x gru(8), dropout 0.3" in output
    assert output.count("| epoch, s |") == 2


def test_epoch_profile_adds_up_to_the_batch():
    output = run("epoch.py", "--threads", "1", "--profile", "--models", "lstm")
    milliseconds = {
        cells[1].strip(" *"): float(cells[2].split()[0])
        for cells in (line.split("|") for line in output.splitlines())
        if len(cells) == 5 and cells[2].strip()[:1].isdigit()
    }
    sums = ("the batch, with these hooks", "the batch, without them", "all but the recurrence")
    total, _, others = (milliseconds.pop(name) for name in sums)
    assert sum(milliseconds.values()) == pytest.approx(total, abs=0.01)
    recurrence = [milliseconds.pop(f"recurrence, {direction}") for direction in ("forward", "backward")]
    assert min(recurrence) > 0
    assert milliseconds["optimiser"] > 0
    assert others == pytest.approx(total - sum(recurrence), abs=0.01)


def test_scaling_stores_and_draws_its_points(tmp_path):
    file, picture = tmp_path / "results" / "scaling.json", tmp_path / "scaling.svg"
    output = run("scaling.py", "--json", str(file), "--figure", str(picture))
    assert output.count("growth of the seconds of predict") == 3
    points = json.loads(file.read_text())["points"]
    assert {(point["axis"], point["what"]) for point in points} >= {("texts", "fit"), ("steps", "predict")}
    assert len(points) == 12 and all(point["peak_mb"] >= point["before_mb"] for point in points)
    again = tmp_path / "again.svg"
    run("scaling.py", "--from", str(file), "--figure", str(again))
    assert again.read_text().startswith("<?xml") and again.read_text() == picture.read_text()
    run("scaling.py", "--axes", "texts", "--json", str(file))
    assert len(json.loads(file.read_text())["points"]) == 12


def test_searches_print_both_numbers_of_threads(tmp_path):
    file = tmp_path / "searches.json"
    output = run("searches.py", "--json", str(file))
    assert output.count("| n_jobs=2 |") == 2
    one, default = json.loads(file.read_text())["searches"]
    assert (one["n_threads"], default["n_threads"]) == (1, None)


def test_gpu_script_runs_on_the_cpu(tmp_path):
    file = tmp_path / "gpu.json"
    output = run("gpu.py", "--device", "cpu", "--json", str(file))
    assert output.count("cuDNN did not run") == 4
    assert output.count("| torch.nn, packed, cpu |") == 2
    assert json.loads(file.read_text())["seconds"].keys() == {"lstm", "gru"}


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_gpu_script_reports_a_missing_gpu():
    done = subprocess.run([sys.executable, BENCHMARKS / "gpu.py"], capture_output=True, text=True, timeout=240)
    assert done.returncode == 1
    assert done.stderr.startswith("There is no CUDA device here")


def test_predict_prints_threads_and_imports():
    output = run("predict.py", "--threads", "1,2")
    assert "| ours, 2 threads |" in output
    assert "| `import seqclf` |" in output


def test_tokenizer_prints_all_columns():
    output = run("tokenizer.py")
    assert "| CountVectorizer |" in output
    assert "| ours, by re |" in output


def test_series_from_frame_prints_all_libraries():
    output = run("series_from_frame.py")
    assert "| arrow | texts |" in output


def test_loading_predicts_without_large_libraries():
    output = run("loading.py")
    assert output.count("| none of them |") == 2 and output.count("of its memory") == 2


def test_streaming_prints_both_tables():
    output = run("streaming.py")
    assert "| 2,000 |" in output
    assert "| network alone | 1 |" in output


def test_processes_prints_both_settings():
    output = run("processes.py")
    assert output.count("| epochs, s |") == 2


def test_missing_prints_both_fractions(data_folder):
    output = run("missing.py")
    assert output.count("| GunPoint |") == 2


def write_texts(file, n, seed):
    texts, labels = datasets.make_order_reviews(n, random_state=seed, return_X_y=True)
    file.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(file, "wt", encoding="utf-8") as lines:
        lines.writelines(
            json.dumps({"text": text, "label": int(label)}) + "\n" for text, label in zip(texts, labels, strict=True)
        )


@pytest.fixture(scope="module")
def generated_data(tmp_path_factory):
    """A folder as in `benchmarks/_sets.py`, with a few data sets of a few rows."""
    folder = tmp_path_factory.mktemp("data")
    for name in ("texts/mpqa", "texts/chinese_hotels", "imdb"):
        for seed, half in enumerate(("train", "test")):
            write_texts(folder / name / f"{half}.jsonl.gz", 80, seed)
    write_texts(folder / "sms_spam" / "sms_spam.jsonl.gz", 80, 0)
    (folder / "ucr_uea").mkdir()
    y = np.arange(80) % 2
    slopes = 2 * y - 1
    X = np.random.default_rng(0).normal(size=(80, 14, 1)) + np.multiply.outer(slopes, np.linspace(0, 4, 14))[..., None]
    np.savez(folder / "ucr_uea" / "GunPoint.npz", X_train=X[:40], y_train=y[:40], X_test=X[40:], y_test=y[40:])
    values, lengths = np.concatenate([series[: 9 + i % 5] for i, series in enumerate(X)]), 9 + np.arange(80) % 5
    cut = lengths[:40].sum()
    halves = {"values_train": values[:cut], "values_test": values[cut:]}
    halves |= {"lengths_train": lengths[:40], "lengths_test": lengths[40:], "y_train": y[:40], "y_test": y[40:]}
    np.savez(folder / "ucr_uea" / "PLAID.npz", **halves)
    return folder


def test_accuracy_compares_all_models(generated_data, tmp_path):
    names, file = "mpqa,chinese_hotels,sms_spam,imdb-200,imdb,GunPoint,PLAID", tmp_path / "rows.json"
    output = run("accuracy.py", "--data", names, "--json", str(file), SEQCLF_DATA=str(generated_data))
    assert output.count("| NB-SVM, words to triples |") == 5
    assert output.count("column chosen by cross-validation |") == 5
    assert "| chinese_hotels | characters + SVC |" in output
    assert "| mpqa | characters + SVC |" not in output
    assert "joblib MB" in output
    assert "F1 of spam" in output
    assert "| mean of the defaults, seed 0, and NB-SVM |" in output
    assert "Means over 2 of the ten sets" in output
    assert "| one nearest neighbour |" in output
    rows = json.loads(file.read_text())["rows"]
    (drawn,) = (row for row in rows if row["data"] == "imdb-200" and row["role"] == "ours")
    assert len(drawn["accuracies"]) == 5


def test_accuracy_reads_rivals_of_an_earlier_run(generated_data, tmp_path):
    file = tmp_path / "rows.json"
    data = {"SEQCLF_DATA": str(generated_data)}
    run("accuracy.py", "--data", "mpqa", "--models", "linear", "--json", str(file), **data)
    content = json.loads(file.read_text())
    for row in content["rows"]:
        row["fit_seconds"] = 1234.0
    file.write_text(json.dumps(content))
    output = run("accuracy.py", "--data", "mpqa", "--models", "ours", "--rivals", str(file), **data)
    assert output.count("| 1234 |") == 5
    assert "| mpqa | RNNTextClassifier() |" in output


def test_accuracy_measures_the_chosen_columns_only(generated_data):
    arguments = ("--data", "mpqa", "--models", "linear", "--columns", "pairs + LR,words + LR")
    output = run("accuracy.py", *arguments, SEQCLF_DATA=str(generated_data))
    assert output.count("| mpqa | pairs + LR |") == output.count("| mpqa | words + LR |") == 1
    assert "SVC" not in output and "cross-validation |" not in output


@pytest.mark.skipif(not (BENCHMARKS / ".peers/keras-jax/installed").exists(), reason="needs the environment with Keras")
def test_keras_text_worker_learns(tmp_path):
    code = """
import numpy as np
import _keras_text, _sets
words = np.random.default_rng(0).choice(["a", "of", "the", "plot", "film"], (240, 4))
texts = [f"{' '.join(row)} {('bad', 'good')[i % 2]}, {row[0]}!" for i, row in enumerate(words)]
y = np.arange(240) % 2
peer = _keras_text.start(1)
row = _keras_text.measure(peer, "any", [_sets.Split(texts[:200], y[:200], texts[200:], y[200:])], [0])
peer.close()
print(row.accuracies[0] > 0.9, row.fit_seconds > 0, row.extra["n_epochs"][0] > 3)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(BENCHMARKS)},
        capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["True"] * 3


@pytest.mark.skipif(not (BENCHMARKS / ".peers/aeon/installed").exists(), reason="needs the environment with aeon")
def test_minirocket_worker_learns(generated_data):
    code = """
import _minirocket, _sets
peer = _minirocket.start(1)
for name in ("GunPoint", "PLAID"):
    split = _sets.load(name)
    (run,) = _minirocket.runs(peer, split, [0], 1)
    print(name, (run.predicted == split.y_test).mean() > 0.8, run.fit_seconds > 0)
peer.close()
"""
    variables = {**os.environ, "SEQCLF_DATA": str(generated_data), "PYTHONPATH": str(BENCHMARKS)}
    done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["GunPoint True True", "PLAID True True"]


def test_ablation_prints_chosen_settings(generated_data):
    data = {"SEQCLF_DATA": str(generated_data)}
    output = run("ablation.py", "--data", "mpqa,chinese_hotels", "--settings", "mgu,default", **data)
    assert "| data | mgu | default |" in output
    assert "| **mean** |" in output
    output = run("ablation.py", "--data", "GunPoint", **data)
    assert "| data | default | without the linear model | without layers of convolution |" in output


def test_multilabel_compares_both_ways(tmp_path):
    rng = np.random.default_rng(0)
    words = [f"w{i}" for i in range(30)]
    for folder, key, tag in (("atis_slots", "slots", "B-{}"), ("ud_english_ewt", "deprel", "{}")):
        (tmp_path / folder).mkdir()
        for half in ("train", "test"):
            rows = [rng.choice(words, size=8).tolist() for _ in range(60)]
            with gzip.open(tmp_path / folder / f"{half}.jsonl.gz", "wt", encoding="utf-8") as lines:
                lines.writelines(
                    json.dumps({"tokens": row, key: [tag.format(word) for word in row]}) + "\n" for row in rows
                )
    output = run("multilabel.py", SEQCLF_DATA=str(tmp_path))
    assert output.count("| OneVsRestClassifier(RNNTextClassifier()) |") == 2
    assert output.count("A classifier for each of 20 labels takes") == 2


def write_tagged(folder, key, label_of):
    """Write two halves of sentences of generated words, with a label for each word."""
    words = [f"w{i}" for i in range(30)]
    folder.mkdir()
    for seed, half in enumerate(("train", "test")):
        rows = [np.random.default_rng([seed, i]).choice(words, size=8).tolist() for i in range(60)]
        with gzip.open(folder / f"{half}.jsonl.gz", "wt", encoding="utf-8") as lines:
            lines.writelines(json.dumps({"tokens": row, key: [label_of(word) for word in row]}) + "\n" for row in rows)


def test_tagging_learns_one_label_per_word(tmp_path):
    write_tagged(tmp_path / "ud_english_ewt", "upos", lambda word: ("NOUN", "VERB")[int(word[1:]) % 2])
    write_tagged(tmp_path / "atis_slots", "slots", lambda word: ("O", "B-city", "B-day")[int(word[1:]) % 3])
    output = run("tagging.py", SEQCLF_DATA=str(tmp_path))
    tables = [line.strip("| ").split(" | ") for line in output.splitlines() if line.startswith("| ")]
    rows = {(len(row), row[0]): [float(cell.replace(",", "")) for cell in row[1:]] for row in tables if "," in row[-1]}
    assert rows.keys() == {
        (5, "RNNTagger(), seed 0"),
        (5, "logistic regression on single tokens"),
        (6, 'RNNTagger(transitions="bio"), seed 0'),
        (6, "logistic regression on single tokens"),
    }
    assert all(row[0] > 0.95 for row in rows.values())  # each word has one label


@pytest.mark.skipif(
    not (BENCHMARKS / ".peers/crfsuite/installed").exists(), reason="needs the environment with sklearn-crfsuite"
)
def test_crf_worker_learns(tmp_path):
    write_tagged(tmp_path / "atis_slots", "slots", lambda word: ("O", "B-city", "B-day")[int(word[1:]) % 3])
    code = """
import tagging
sentences = tagging.load("atis_slots", "slots", None)
peer = tagging.start_crf(1)
run = tagging.run_crf(peer, sentences)
peer.close()
print(tagging.span_f1(sentences.y_test, run.predicted) > 0.95, run.fit_seconds > 0, run.predict_seconds > 0)
"""
    variables = {**os.environ, "SEQCLF_DATA": str(tmp_path), "PYTHONPATH": str(BENCHMARKS)}
    done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["True"] * 3
