"""A label for every token: the defaults of RNNTagger, compared with a conditional random field.

    python benchmarks/tagging.py [--data ewt,atis] [--seeds 0,1,2] [--threads 2]
    python benchmarks/tagging.py --models ours
    python benchmarks/tagging.py --smoke

Parts of speech (`ud_english_ewt`, 17 classes) and the slots of questions to an airline (`atis_slots`, labels in the BIO
scheme, with ``transitions="bio"`` of RNNTagger): the halves `train.jsonl.gz` and `test.jsonl.gz` in the folder that
SEQCLF_DATA names.

The rival is the linear-chain CRF of sklearn-crfsuite on the usual features of a token and its neighbours
(`_tag_features.py`), in a separate environment. If that can't be installed, and with `--smoke`, the rival is logistic
regression on the same features of single tokens.

The table shows the fraction of tokens with the correct label; F1 of the slots, in which a slot is correct if its begin,
end and kind are; the seconds of fit and prediction from token lists to labels; and the tokens per second in prediction.
The CRF uses one thread.
"""

import argparse
import gzip
import json
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from _peers import Peer
from _report import load as load_of_machine
from _report import machine, print_load, print_table
from _tag_features import features_of
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_limits

from seqclf import RNNTagger

N_SMOKE = 150
# folder, name of the labels, `transitions` of RNNTagger
SETS = {"ewt": ("ud_english_ewt", "upos", None), "atis": ("atis_slots", "slots", "bio")}
Labels = Sequence[Sequence[str]]


class Sentences(NamedTuple):
    """Token lists and labels of training and test rows."""

    X_train: list[list[str]]
    y_train: list[list[str]]
    X_test: list[list[str]]
    y_test: list[list[str]]


class Run(NamedTuple):
    """One fit: the predictions of the test half, and the times."""

    predicted: Labels
    fit_seconds: float
    predict_seconds: float


def load(folder: str, key: str, n_rows: int | None) -> Sentences:
    """At most `n_rows` rows of each half."""
    halves = []
    for half in ("train", "test"):
        with gzip.open(Path(os.environ["SEQCLF_DATA"]) / folder / f"{half}.jsonl.gz", "rt", encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines][:n_rows]
        halves += [[row["tokens"] for row in rows], [row[key] for row in rows]]
    return Sentences(*halves)


class TokenByToken:
    """Logistic regression on the features of each token."""

    def fit(self, X: list[list[str]], y: list[list[str]]) -> "TokenByToken":
        """Fit on all tokens of all rows."""
        self.model = make_pipeline(DictVectorizer(), LogisticRegression(C=10, max_iter=1000))
        self.model.fit(
            [row for tokens in X for row in features_of(tokens)], [label for labels in y for label in labels]
        )
        return self

    def predict(self, X: list[list[str]]) -> Labels:
        """The labels of each row."""
        return [self.model.predict(features_of(tokens)).tolist() for tokens in X]


def run_model(model: Any, sentences: Sentences) -> Run:
    """Fit and predict in this process."""
    start = time.perf_counter()
    model.fit(sentences.X_train, sentences.y_train)
    fitted = time.perf_counter()
    predicted = model.predict(sentences.X_test)
    return Run([list(labels) for labels in predicted], fitted - start, time.perf_counter() - fitted)


def run_crf(peer: Peer, sentences: Sentences) -> Run:
    """Fit and predict in the worker."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "sentences.json"
        file.write_text(json.dumps(sentences._asdict()), encoding="utf-8")
        return Run(**peer.request(fit={"file": str(file)}))


def start_crf(n_threads: int) -> Peer | None:
    """The worker; if sklearn-crfsuite can't be installed, print the reason and return None."""
    peer = Peer("sklearn-crfsuite", "crfsuite", ["sklearn-crfsuite"], "_crf_worker.py", n_threads)
    if peer.problem is not None:
        print(f"{peer.name} is skipped: {peer.problem}")
        return None
    return peer


def token_accuracy(y: Labels, predicted: Labels) -> float:
    """The fraction of the tokens with the correct label."""
    hits = [a == b for labels, found in zip(y, predicted, strict=True) for a, b in zip(labels, found, strict=True)]
    return sum(hits) / len(hits)


def spans(labels: Sequence[str]) -> set[tuple[int, int, str]]:
    """Begin, end and kind of each slot; an "I-kind" that continues no slot begins one, as in the CoNLL script."""
    found, begin, kind = set(), 0, ""
    for i, label in enumerate([*labels, "O"]):
        if kind and label == f"I-{kind}":
            continue
        if kind:
            found.add((begin, i, kind))
        begin, kind = i, label[2:]
    return found


def span_f1(y: Labels, predicted: Labels) -> float:
    """F1 of the slots of all rows together."""
    pairs = [(spans(labels), spans(found)) for labels, found in zip(y, predicted, strict=True)]
    n_correct = sum(len(true & found) for true, found in pairs)
    return 2 * n_correct / sum(len(true) + len(found) for true, found in pairs)


def runs_of(sentences: Sentences, transitions: str | None, peer: Peer | None, options: argparse.Namespace) -> Any:
    """Generate the name and the run of each model."""
    for seed in options.seeds:
        model = RNNTagger(transitions=transitions, random_state=seed, n_threads=options.threads)
        setting = "" if transitions is None else f'transitions="{transitions}"'
        yield f"RNNTagger({setting}), seed {seed}", run_model(model, sentences)
    if peer is not None:
        yield "CRF of sklearn-crfsuite", run_crf(peer, sentences)
    elif options.models != "ours":
        yield "logistic regression on single tokens", run_model(TokenByToken(), sentences)


def measure(name: str, peer: Peer | None, options: argparse.Namespace) -> None:
    """Measure one data set and print its table."""
    folder, key, transitions = SETS[name]
    sentences = load(folder, key, N_SMOKE if options.smoke else None)
    n_tokens = sum(map(len, sentences.X_test))
    print(f"{name}: {len(sentences.X_train):,} + {len(sentences.X_test):,} rows, {n_tokens:,} test tokens", flush=True)
    rows = []
    with threadpool_limits(options.threads):
        for label, run in runs_of(sentences, transitions, peer, options):
            scores = [f"{token_accuracy(sentences.y_test, run.predicted):.4f}"]
            if transitions == "bio":
                scores.append(f"{span_f1(sentences.y_test, run.predicted):.4f}")
            speed = f"{n_tokens / run.predict_seconds:,.0f}"
            rows.append([label, *scores, f"{run.fit_seconds:.1f}", f"{run.predict_seconds:.2f}", speed])
            print("  " + ", ".join(rows[-1]), flush=True)
    measures = ["token accuracy", "F1 of slots"] if transitions == "bio" else ["token accuracy"]
    print_table([name, *measures, "fit, s", "predict, s", "tokens per second"], rows)
    print()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=",".join(SETS), type=lambda text: text.split(","))
    parser.add_argument("--models", default="both", choices=["ours", "both"])
    parser.add_argument("--seeds", default="0,1,2", type=lambda text: [int(seed) for seed in text.split(",")])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--smoke", action="store_true", help="one seed and a few rows, without the CRF, to test this script"
    )
    options = parser.parse_args()
    if options.smoke:
        options.seeds = options.seeds[:1]
    before = load_of_machine()
    peer = start_crf(options.threads) if options.models != "ours" and not options.smoke else None
    print(machine(options.threads, peer.versions if peer else ""), flush=True)
    for name in options.data:
        measure(name, peer, options)
    if peer is not None:
        peer.close()
    print_load(before)


if __name__ == "__main__":
    main()
