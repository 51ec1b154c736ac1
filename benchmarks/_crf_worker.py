"""Fits a linear-chain CRF (Lafferty et al., ICML 2001) where sklearn-crfsuite is installed.

The request that it answers (see `_serve.py`):

``{"fit": {file}}``
    Reads the token lists `X_train` and `X_test` and the labels `y_train` from a JSON file, and fits with the settings
    of sklearn-crfsuite's tutorial; answers what is predicted of the test half and the seconds of both. They include
    the making of the features. CRFsuite computes with one thread.
"""

import json
import time
from importlib.metadata import version

from _serve import serve  # isort: skip  # first: it keeps the standard output for the answers

from _tag_features import features_of
from sklearn_crfsuite import CRF


def fit(file):
    """One fit, and the prediction of the test half."""
    with open(file, encoding="utf-8") as content:
        data = json.load(content)
    start = time.perf_counter()
    model = CRF(algorithm="lbfgs", c1=0.1, c2=0.1, max_iterations=100, all_possible_transitions=True)
    model.fit([features_of(tokens) for tokens in data["X_train"]], data["y_train"])
    fitted = time.perf_counter()
    predicted = model.predict([features_of(tokens) for tokens in data["X_test"]])
    done = time.perf_counter()
    return {
        "predicted": [list(labels) for labels in predicted],
        "fit_seconds": fitted - start,
        "predict_seconds": done - fitted,
    }


if __name__ == "__main__":
    serve(f"sklearn-crfsuite {version('sklearn-crfsuite')}", {"fit": fit})
