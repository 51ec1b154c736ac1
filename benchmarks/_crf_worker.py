"""Fits a linear-chain CRF (Lafferty et al., ICML 2001) in an environment with sklearn-crfsuite.

It accepts one request (see `_serve.py`):

``{"fit": {file}}``
    Reads the token lists `X_train` and `X_test` and the labels `y_train` from a JSON file, and fits with the settings
    of sklearn-crfsuite's tutorial. Returns the predictions of the test half and the seconds of fit and prediction,
    both including the computation of the features. CRFsuite uses one thread.
"""

import json
import time
from importlib.metadata import version

from _serve import serve  # isort: skip  # first: it reserves the standard output for the responses

from _tag_features import features_of
from sklearn_crfsuite import CRF


def fit(file):
    """Fit once, and predict the test half."""
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
