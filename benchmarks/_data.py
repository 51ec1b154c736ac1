"""The texts of the benchmarks: the IMDB reviews, or docstrings of installed packages."""

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
    """At most `n_train` reviews to train on and `n_test` to test on.

    Without reviews they are docstrings: numpy and scipy are one class, scikit-learn and torch the other. With `smoke`
    they are a few generated texts. `Texts.description` says which.
    """
    if smoke:
        texts, labels = datasets.make_order_reviews(192, random_state=0, return_X_y=True)
        return Texts("generated texts", texts[:128], np.asarray(labels[:128]), texts[128:], np.asarray(labels[128:]))
    try:
        train = datasets.fetch_imdb(subset="train", download_if_missing=False)
        test = datasets.fetch_imdb(subset="test", download_if_missing=False)
    except OSError:
        docstrings = datasets.load_docstrings()
        order = np.random.default_rng(0).permutation(len(docstrings.data))
        train_rows, test_rows = np.split(order, [len(order) * 4 // 5])
        texts = np.array(docstrings.data, dtype=object)
        labels = np.isin(np.array(docstrings.target_names)[docstrings.target], ["sklearn", "torch"]).astype(int)
        train_rows, test_rows = train_rows[:n_train], test_rows[:n_test]
        description = "docstrings of numpy and scipy, or of scikit-learn and torch (SEQCLF_DATA has no reviews)"
        return Texts(
            description, texts[train_rows].tolist(), labels[train_rows], texts[test_rows].tolist(), labels[test_rows]
        )
    return Texts("IMDB reviews", train.data[:n_train], train.target[:n_train], test.data[:n_test], test.target[:n_test])
