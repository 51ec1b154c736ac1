"""Small fitted models of every estimator and input kind, for the tests of saving and loading."""

from functools import cache

import numpy as np

from seqclf import RNNClassifier, RNNRegressor, RNNTagger, RNNTextClassifier, RNNTextRegressor, TextTokenizer

SMALL = {"units": 3, "max_epochs": 2, "random_state": 0, "n_threads": 1}
RNG = np.random.default_rng(0)
WORDS = "good bad fine poor film plot actor scene not very too never ever and or but so if as".split()
TEXTS = [" ".join(RNG.choice(WORDS, n)) for n in RNG.integers(1, 9, 60)]
NEW_TEXTS = [*TEXTS[:5], "", "unknown words only", "good Films, néver séen!"]
TOKENS = [text.split() for text in TEXTS]
IDS = [[2 + WORDS.index(word) for word in text.split()] for text in TEXTS]
LABELS = np.array(["yes", "no", "maybe"])[RNG.integers(0, 3, 60)]
BINARY = np.where(LABELS == "yes", 1, 0)
SERIES = RNG.normal(size=(60, 14))
RAGGED = [RNG.normal(size=(n, 2)) for n in RNG.integers(1, 20, 60)]
INDICATOR = RNG.integers(0, 2, (60, 3))
VALUES = RNG.normal(size=60)


def length_tags(rows):
    """A label for each step."""
    return [[str(len(str(step)) % 3) for step in row] for row in rows]


def series_with_holes():
    series = SERIES.copy()
    series[::3, 4:7] = np.nan
    return series


# For each name a function that returns a fitted model and the samples to predict.
MODELS = {
    "texts, two classes": lambda: (RNNTextClassifier(**SMALL).fit(TEXTS, BINARY), NEW_TEXTS),
    "texts, three classes, gru": lambda: (RNNTextClassifier(**SMALL, cell="gru").fit(TEXTS, LABELS), NEW_TEXTS),
    "texts, labels": lambda: (RNNTextClassifier(**SMALL).fit(TEXTS, INDICATOR), NEW_TEXTS),
    "texts, one-hot, without label features": lambda: (
        RNNTextClassifier(**SMALL, embedding_dim=None, wide=False, nb_ngrams=0).fit(TEXTS, LABELS),
        NEW_TEXTS,
    ),
    "characters": lambda: (RNNTextClassifier(TextTokenizer(level="char"), **SMALL).fit(TEXTS, LABELS), NEW_TEXTS),
    "tokens": lambda: (RNNTextClassifier(**SMALL, pooling="attention").fit(TOKENS, LABELS), [["good", "new"], []]),
    "ids": lambda: (RNNTextClassifier(**SMALL, class_weight={"yes": 2.0}).fit(IDS, LABELS), [[2, 99], [], [3]]),
    "scattered ids": lambda: (
        RNNTextClassifier(**SMALL).fit([[token * 10**9 for token in row] for row in IDS], LABELS),
        [[2 * 10**9, 5], []],
    ),
    "texts, values": lambda: (RNNTextRegressor(**SMALL).fit(TEXTS, VALUES), NEW_TEXTS),
    "matrix": lambda: (RNNClassifier(**SMALL).fit(SERIES, LABELS), SERIES),
    "matrix with holes": lambda: (
        RNNClassifier(**SMALL, missing="interpolate").fit(SERIES, BINARY),
        series_with_holes(),
    ),
    "ragged series": lambda: (
        RNNClassifier(**(SMALL | {"units": (3, 2)}), cell="rnn", activation="relu", pooling="last").fit(RAGGED, LABELS),
        RAGGED,
    ),
    "series, labels": lambda: (RNNClassifier(**SMALL, conv_filters=0, scale=False).fit(RAGGED, INDICATOR), RAGGED),
    "series, values": lambda: (RNNRegressor(**SMALL).fit(SERIES, np.stack([VALUES, -VALUES], axis=1)), SERIES),
    "series, one value": lambda: (RNNRegressor(**SMALL, loss="huber", cell="mgu").fit(RAGGED, VALUES), RAGGED),
    "tags of tokens": lambda: (RNNTagger(**SMALL).fit(TOKENS, length_tags(TOKENS)), [["good", "new"], []]),
    "tags of ids": lambda: (RNNTagger(**SMALL, wide=False).fit(IDS, length_tags(IDS)), [[2, 3, 99], []]),
    "tags of series": lambda: (
        RNNTagger(**SMALL).fit(RAGGED, [[len(series) % 2] * len(series) for series in RAGGED]),
        RAGGED,
    ),
    "bio tags": lambda: (
        RNNTagger(**SMALL, transitions="bio").fit(TOKENS, [["O", *["B-x", "I-x"] * 9][: len(row)] for row in TOKENS]),
        TOKENS[:5],
    ),
}
METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function")


@cache
def fitted(name):
    """One of `MODELS`, fitted once, and its samples. Tests must not change the model."""
    return MODELS[name]()
