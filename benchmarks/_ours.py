"""Our models in `accuracy.py`: the defaults, and further settings for comparison."""

from typing import Any

import numpy as np
from _figures import Row, Run, row_of, run
from _rivals import NB_SVM_C, nb_svm
from _sets import TEXTS, Split

from seqclf import RNNClassifier, RNNTextClassifier, TextTokenizer

# The best known setting for reviews of this length, whatever its time.
BEST: dict[str, Any] = {"units": 64, "embedding_dim": 64}


def defaults(data: str, **common: Any) -> Any:
    """The estimator with its default parameters."""
    return RNNTextClassifier(**common) if data in TEXTS else RNNClassifier(**common)


def further(data: str, seeds: list[int], split: Split, ours: list[Run], common: dict[str, Any]) -> list[Row]:
    """The rows of other settings for this set, if there are any."""
    if data == "nsmc":
        name = 'RNNTextClassifier(TextTokenizer(level="char"))'
        runs = [run(RNNTextClassifier(TextTokenizer(level="char"), random_state=s, **common), split) for s in seeds]
    elif data == "mnist":
        name = 'RNNClassifier(cell="lstm", units=128)'
        runs = [run(RNNClassifier(cell="lstm", units=128, random_state=s, **common), split) for s in seeds]
    elif data == "imdb":
        return _reviews(seeds, split, ours, common)
    else:
        return []
    return [row_of(data, name, "further", runs, split.y_test, len(split.y_train))]


def _reviews(seeds: list[int], split: Split, ours: list[Run], common: dict[str, Any]) -> list[Row]:
    """A larger network, and blends with NB-SVM."""

    def row(model: str, runs: list[Run]) -> Row:
        return row_of("imdb", model, "further", runs, split.y_test, len(split.y_train))

    def mean(runs: list[Run]) -> list[Run]:
        probabilities = np.mean([run.probabilities for run in runs], axis=0)
        return [Run(classes[probabilities.argmax(axis=1)], probabilities, np.nan, np.nan)]

    classes = np.unique(split.y_train)
    settings = ", ".join(f"{name}={value!r}" for name, value in BEST.items())
    best = [run(RNNTextClassifier(random_state=seed, **BEST, **common), split) for seed in seeds]
    linear = run(nb_svm(C=NB_SVM_C["imdb"]), split)
    return [
        row(f"RNNTextClassifier({settings})", best),
        row("mean of the defaults' seeds", mean(ours)),
        row("mean of the defaults, seed 0, and NB-SVM", mean([ours[0], linear])),
        row("mean of all of the best setting and NB-SVM", mean([*mean(best), linear])),
    ]
