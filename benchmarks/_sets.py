"""The labelled data of `accuracy.py`, `ablation.py` and others, in the folder that SEQCLF_DATA names.

| folder / file | content |
|---|---|
| `imdb`, `nsmc`, `texts/NAME` / `train.jsonl.gz`, `test.jsonl.gz` | one JSON object per line: `text`, `label` |
| `sms_spam` / `sms_spam.jsonl.gz` | the same, not split: equal texts are on one side of an 80/20 split |
| `mnist` / `mnist.npz` | `X_train`, `y_train`, `X_test`, `y_test`; images of 28 x 28 bytes, a row of pixels is a step |
| `ucr_uea` / `NAME.npz` | the same, (rows, steps, channels); for unequal lengths: `values_train` and `lengths_train` |

`docstrings` needs no file: `load_docstrings`, split as in `examples/demo.py`. `imdb-200`, `imdb-1000` and `imdb-5000`
are five draws of that many training reviews, all tested on the same 5,000 test reviews.
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
    """Training rows and test rows."""

    X_train: Any
    y_train: np.ndarray
    X_test: Any
    y_test: np.ndarray

    def head(self, n: int | None, seed: int = 0) -> "Split":
        """At most `n` rows of each half, drawn at random, because files can be sorted by class."""
        if n is None:
            return self
        rng = np.random.default_rng(seed)
        halves = []
        for X, y in ((self.X_train, self.y_train), (self.X_test, self.y_test)):
            halves += _rows_of(X, y, rng.permutation(len(y))[:n])
        return Split(*halves)


def _rows_of(X: Any, y: np.ndarray, rows: np.ndarray) -> tuple[Any, np.ndarray]:
    return X[rows] if isinstance(X, np.ndarray) else [X[i] for i in rows], y[rows]


def _folder() -> Path:
    name = os.environ.get("SEQCLF_DATA")
    if not name:
        raise SystemExit("Set SEQCLF_DATA to the folder of the data; benchmarks/_sets.py describes its content.")
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
    is_test = np.isin(message, np.random.default_rng(0).permutation(message.max() + 1)[: (message.max() + 1) // 5])
    halves = [np.flatnonzero(~is_test), np.flatnonzero(is_test)]
    return Split(*(array for rows in halves for array in ([texts[i] for i in rows], labels[rows])))


def _arrays(file: Path, scale: float = 1.0) -> Split:
    halves = []
    with np.load(file, allow_pickle=False) as arrays:
        for half in ("train", "test"):
            if f"values_{half}" in arrays:
                X = np.split(arrays[f"values_{half}"], np.cumsum(arrays[f"lengths_{half}"])[:-1])
            else:
                X = arrays[f"X_{half}"] * np.float32(scale)
            halves += [X, arrays[f"y_{half}"]]
    return Split(*halves)


def _docstrings() -> Split:
    X, y = datasets.load_docstrings(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, stratify=y, random_state=0)
    return Split(X_train, np.asarray(y_train), X_test, np.asarray(y_test))


_FOLDERS = (
    *("customer_reviews", "subjectivity", "mpqa", "reuters_r8", "offensive_tweets"),
    *("hwu64", "snips", "atis_intents", "chinese_hotels"),
)
# The sets of the mean accuracy.
TEN_TEXTS = (*_FOLDERS, "docstrings")
_DRAWN = {"imdb-200": 200, "imdb-1000": 1_000, "imdb-5000": 5_000}
_N_DRAWS, _N_TEST = 5, 5_000
TEXTS = (*TEN_TEXTS, "nsmc", "sms_spam", *_DRAWN, "imdb")
SERIES = (
    *("ArrowHead", "GunPoint", "ItalyPowerDemand", "JapaneseVowels"),
    *("PickupGestureWiimoteZ", "BasicMotions", "PLAID", "OSULeaf"),
)
NAMES = (*TEXTS, *SERIES, "mnist")
# Languages that are not split well into words.
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
    """The splits of that name, all with the same test rows: one split, or several for drawn reviews."""
    if name not in _DRAWN:
        return [load(name)]
    whole = load("imdb")
    test = whole.head(_N_TEST)
    drawn = [whole.head(_DRAWN[name], seed) for seed in range(_N_DRAWS)]
    return [Split(draw.X_train, draw.y_train, test.X_test, test.y_test) for draw in drawn]


def _stratified(y: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """`n` positions drawn at random in proportion to the classes, which can be of any size."""
    order = rng.permutation(len(y))
    order = order[np.argsort(y[order], kind="stable")]
    return order[((np.arange(n) + rng.random()) * len(y) / n).astype(int)]


def inner_splits(split: Split, n_splits: int, n_rows: int, seed: int = 0) -> list[tuple[Split, np.ndarray]]:
    """Splits of the training half, 80 to 20, and the rows that each holds out; equal texts are on one side.

    `n_rows` rows of a larger training half are drawn first.
    """
    X, y = split.X_train, split.y_train
    rng = np.random.default_rng(seed)
    if len(y) > n_rows:
        X, y = _rows_of(X, y, _stratified(y, n_rows, rng))
    content = np.arange(len(y)) if isinstance(X[0], np.ndarray) else np.unique(X, return_inverse=True)[1]
    first = np.unique(content, return_index=True)[1]
    splits = []
    for _ in range(n_splits):
        held_out = np.isin(content, _stratified(y[first], len(first) // 5, rng))
        halves = np.flatnonzero(~held_out), np.flatnonzero(held_out)
        arrays = [array for rows in halves for array in _rows_of(X, y, rows)]
        splits.append((Split(*arrays), halves[1]))
    return splits


def names_of(text: str) -> tuple[str, ...]:
    """The sets for a command-line value: "texts", "series", "all", or names separated by commas."""
    chosen = {"texts": TEXTS, "series": SERIES, "all": NAMES}.get(text, tuple(text.split(",")))
    if unknown := set(chosen) - set(NAMES):
        names = ", ".join(NAMES)
        message = f"unknown data set {', '.join(sorted(unknown))}; expected texts, series, all, {names}"
        raise argparse.ArgumentTypeError(message)
    return chosen
