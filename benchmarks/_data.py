"""The texts that the benchmarks read: IMDB's reviews, or what every installation has."""

from dataclasses import dataclass

import numpy as np

from seqclf import datasets


@dataclass(frozen=True)
class Texts:
    """Two sets of texts, each with labels 0 and 1."""

    description: str
    train: list[str]
    train_labels: np.ndarray
    test: list[str]
    test_labels: np.ndarray


def load_texts(n_train: int | None = None, n_test: int | None = None, *, smoke: bool = False) -> Texts:
    """At most so many reviews to learn from and to judge by; see `Texts.description` for what they are.

    Where there are no reviews, docstrings: those of numpy and scipy are one class, those of scikit-learn and torch the
    other. With `smoke` a few texts that are made up.
    """
    if smoke:
        texts, labels = datasets.make_order_reviews(192, random_state=0, return_X_y=True)
        return Texts("192 made-up texts", texts[:128], np.asarray(labels[:128]), texts[128:], np.asarray(labels[128:]))
    try:
        train = datasets.fetch_imdb(subset="train", download_if_missing=False)
        test = datasets.fetch_imdb(subset="test", download_if_missing=False)
    except OSError:
        found = datasets.load_docstrings()
        order = np.random.default_rng(0).permutation(len(found.data))
        rows, judged = np.split(order, [len(order) * 4 // 5])
        texts = np.array(found.data, dtype=object)
        labels = np.isin(np.array(found.target_names)[found.target], ["sklearn", "torch"]).astype(int)
        rows, judged = rows[:n_train], judged[:n_test]
        what = "docstrings, of numpy and scipy or of scikit-learn and torch (there is no SEQCLF_DATA with reviews)"
        return Texts(what, texts[rows].tolist(), labels[rows], texts[judged].tolist(), labels[judged])
    return Texts("IMDB reviews", train.data[:n_train], train.target[:n_train], test.data[:n_test], test.target[:n_test])
