"""The labelled data that `accuracy.py`, `ablation.py` and others measure on, in the folder that SEQCLF_DATA names.

| folder / file | what it holds |
|---|---|
| `imdb`, `nsmc`, `texts/NAME` / `train.jsonl.gz`, `test.jsonl.gz` | one JSON object a line: `text`, `label` |
| `sms_spam` / `sms_spam.jsonl.gz` | the same, with no split: texts that are equal stay on one side of an 80/20 split |
| `mnist` / `mnist.npz` | `X_train`, `y_train`, `X_test`, `y_test`; images of 28 x 28 bytes, a row of pixels is a step |
| `ucr_uea` / `NAME.npz` | the same, (rows, steps, channels); of unequal length: `values_train` and `lengths_train` |

`docstrings` needs no file: `load_docstrings`, split as in `examples/demo.py`. `imdb-200`, `imdb-1000` and `imdb-5000`
are five draws of so many training reviews, all judged by the same 5,000 test reviews.
"""

import argparse
import gzip
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split

from seqclf import datasets


@dataclass(frozen=True)
class Split:
    """Rows to learn from and rows to judge by."""

    X_train: Any
    y_train: np.ndarray
    X_test: Any
    y_test: np.ndarray

    def head(self, n: int | None, seed: int = 0) -> "Split":
        """At most `n` rows of each half, drawn at random: files may be sorted by class."""
        if n is None:
            return self
        rng = np.random.default_rng(seed)
        parts = []
        for X, y in ((self.X_train, self.y_train), (self.X_test, self.y_test)):
            parts += _rows_of(X, y, rng.permutation(len(y))[:n])
        return Split(*parts)


def _rows_of(X: Any, y: np.ndarray, rows: np.ndarray) -> tuple[Any, np.ndarray]:
    return X[rows] if isinstance(X, np.ndarray) else [X[i] for i in rows], y[rows]


def _folder() -> Path:
    name = os.environ.get("SEQCLF_DATA")
    if not name:
        raise SystemExit("Set SEQCLF_DATA to the folder of the data; benchmarks/_sets.py says what is in it.")
    return Path(name)


def _texts(file: Path) -> tuple[list[str], np.ndarray]:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [row["text"] for row in rows], np.array([row["label"] for row in rows])


def _official(name: str) -> Split:
    return Split(*_texts(_folder() / name / "train.jsonl.gz"), *_texts(_folder() / name / "test.jsonl.gz"))


def _sms_spam() -> Split:
    texts, labels = _texts(_folder() / "sms_spam" / "sms_spam.jsonl.gz")
    message = np.unique(texts, return_inverse=True)[1]
    judged = np.isin(message, np.random.default_rng(0).permutation(message.max() + 1)[: (message.max() + 1) // 5])
    halves = [np.flatnonzero(~judged), np.flatnonzero(judged)]
    return Split(*(part for rows in halves for part in ([texts[i] for i in rows], labels[rows])))


def _arrays(file: Path, scale: float = 1.0) -> Split:
    parts = []
    with np.load(file, allow_pickle=False) as arrays:
        for half in ("train", "test"):
            if f"values_{half}" in arrays:
                X = np.split(arrays[f"values_{half}"], np.cumsum(arrays[f"lengths_{half}"])[:-1])
            else:
                X = arrays[f"X_{half}"] * np.float32(scale)
            parts += [X, arrays[f"y_{half}"]]
    return Split(*parts)


def _docstrings() -> Split:
    X, y = datasets.load_docstrings(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, stratify=y, random_state=0)
    return Split(X_train, np.asarray(y_train), X_test, np.asarray(y_test))


_FOLDERS = (
    *("customer_reviews", "subjectivity", "mpqa", "reuters_r8", "offensive_tweets"),
    *("hwu64", "snips", "atis_intents", "chinese_hotels"),
)
# The sets that are averaged.
TEN_TEXTS = (*_FOLDERS, "docstrings")
_DRAWN = {"imdb-200": 200, "imdb-1000": 1_000, "imdb-5000": 5_000}
_N_DRAWS, _N_JUDGED = 5, 5_000
TEXTS = (*TEN_TEXTS, "nsmc", "sms_spam", *_DRAWN, "imdb")
SERIES = (
    *("ArrowHead", "GunPoint", "ItalyPowerDemand", "JapaneseVowels"),
    *("PickupGestureWiimoteZ", "BasicMotions", "PLAID", "OSULeaf"),
)
NAMES = (*TEXTS, *SERIES, "mnist")
# Words mean little here.
WITHOUT_SPACES = ("chinese_hotels", "nsmc")


def load(name: str) -> Split:
    """The data of that name."""
    if name == "docstrings":
        return _docstrings()
    if name == "sms_spam":
        return _sms_spam()
    if name in TEXTS:
        return _official(f"texts/{name}" if name in _FOLDERS else name)
    if name == "mnist":
        return _arrays(_folder() / "mnist" / "mnist.npz", scale=1 / 255)
    return _arrays(_folder() / "ucr_uea" / f"{name}.npz")


def load_draws(name: str) -> list[Split]:
    """The splits of that name, all with the same test rows: one, but of drawn reviews several."""
    if name not in _DRAWN:
        return [load(name)]
    whole = load("imdb")
    judged = whole.head(_N_JUDGED)
    drawn = [whole.head(_DRAWN[name], seed) for seed in range(_N_DRAWS)]
    return [Split(draw.X_train, draw.y_train, judged.X_test, judged.y_test) for draw in drawn]


def _spread(y: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """`n` places drawn at random, each class in its share; classes may be as small as they like."""
    order = rng.permutation(len(y))
    order = order[np.argsort(y[order], kind="stable")]
    return order[((np.arange(n) + rng.random()) * len(y) / n).astype(int)]


def inner_splits(split: Split, n_splits: int, n_rows: int, seed: int = 0) -> list[tuple[Split, np.ndarray]]:
    """Splits of the training half, 80 to 20, and the rows that each holds out; equal texts stay on one side.

    Of a training half with more than `n_rows` rows so many are drawn.
    """
    X, y = split.X_train, split.y_train
    rng = np.random.default_rng(seed)
    if len(y) > n_rows:
        X, y = _rows_of(X, y, _spread(y, n_rows, rng))
    content = np.arange(len(y)) if isinstance(X[0], np.ndarray) else np.unique(X, return_inverse=True)[1]
    first = np.unique(content, return_index=True)[1]
    splits = []
    for _ in range(n_splits):
        held_out = np.isin(content, _spread(y[first], len(first) // 5, rng))
        halves = np.flatnonzero(~held_out), np.flatnonzero(held_out)
        parts = [part for rows in halves for part in _rows_of(X, y, rows)]
        splits.append((Split(*parts), halves[1]))
    return splits


def names_of(text: str) -> tuple[str, ...]:
    """The sets that a user names: "texts", "series", "all", or names with commas between."""
    chosen = {"texts": TEXTS, "series": SERIES, "all": NAMES}.get(text, tuple(text.split(",")))
    if unknown := set(chosen) - set(NAMES):
        known = ", ".join(NAMES)
        message = f"there is no set named {', '.join(sorted(unknown))}; expected texts, series, all, {known}"
        raise argparse.ArgumentTypeError(message)
    return chosen
