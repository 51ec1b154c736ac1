"""The labelled data that `accuracy.py` and `textbook.py` measure on, out of the folder that SEQCLF_DATA names.

| folder / file | what it holds |
|---|---|
| `imdb`, `nsmc` / `train.jsonl.gz`, `test.jsonl.gz` | one JSON object a line: `text`, `label` |
| `sms_spam` / `sms_spam.jsonl.gz` | the same, with no split: texts that are equal stay on one side of an 80/20 split |
| `mnist` / `mnist.npz` | `X_train`, `y_train`, `X_test`, `y_test`; images of 28 x 28 bytes, a row of pixels is a step |
| `ucr_uea` / `NAME.npz` | the same, (rows, steps, channels); of unequal length: `values_train` and `lengths_train` |
"""

import gzip
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


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
            rows = rng.permutation(len(y))[:n]
            parts += [X[rows] if isinstance(X, np.ndarray) else [X[i] for i in rows], y[rows]]
        return Split(*parts)


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


SERIES = ("JapaneseVowels", "PickupGestureWiimoteZ", "ArrowHead", "GunPoint", "ItalyPowerDemand")
TEXTS = ("imdb", "nsmc", "sms_spam")
NAMES = (*TEXTS, *SERIES, "mnist")


def load(name: str) -> Split:
    """The data of that name."""
    if name == "sms_spam":
        return _sms_spam()
    if name in TEXTS:
        return _official(name)
    if name == "mnist":
        return _arrays(_folder() / "mnist" / "mnist.npz", scale=1 / 255)
    return _arrays(_folder() / "ucr_uea" / f"{name}.npz")
