"""Fits Rocket and MiniRocket (Dempster et al., DMKD 2020, KDD 2021) in an environment with aeon.

It accepts these requests (see `_serve.py`):

``{"load": {file, n_threads, model}}``
    Loads both halves from an ``.npz`` file (`values_train` of all steps, `lengths_train`, `y_train`, the same for the
    test half) and fits once, so that numba has compiled everything before the measurement. `model` is one of `MODELS`.
``{"fit": {seed}}``
    Fits 10,000 kernels with aeon's ridge model, which chooses its penalty itself. Returns the predictions of the test
    half and the seconds of fit and prediction.

aeon supports only series of one length. All series get the length of the longest one in the training half: shorter ones
are padded with zeros at the end, longer ones are truncated.
"""

import time

from _serve import serve  # isort: skip  # first: it reserves the standard output for the responses

import aeon
import numpy as np
from aeon.classification.convolution_based import MiniRocketClassifier
from aeon.regression.convolution_based import MiniRocketRegressor, RocketRegressor
from threadpoolctl import threadpool_limits

MODELS = {
    "MiniRocket": MiniRocketClassifier,
    "MiniRocket, numbers": MiniRocketRegressor,
    "Rocket, numbers": RocketRegressor,
}
MIN_STEPS = 9
STATE = {}


def padded(values, lengths, n_steps):
    """(series, channels, steps), zeros at the end."""
    filled = np.zeros((len(lengths), values.shape[1], n_steps), dtype=np.float32)
    for row, series in zip(filled, np.split(values, np.cumsum(lengths)[:-1]), strict=True):
        truncated = series[:n_steps]
        row[:, : len(truncated)] = truncated.T
    return filled


def load(file, n_threads, model):
    """Load, pad and compile."""
    with np.load(file, allow_pickle=False) as arrays:
        n_steps = max(MIN_STEPS, int(arrays["lengths_train"].max()))
        for half in ("train", "test"):
            STATE[f"X_{half}"] = padded(arrays[f"values_{half}"], arrays[f"lengths_{half}"], n_steps)
        STATE["y_train"] = arrays["y_train"]
    STATE["n_threads"], STATE["model"] = n_threads, MODELS[model]
    fit(seed=0)
    return {"n_steps": n_steps}


def fit(seed):
    """Fit once, and predict the test half."""
    n_threads = STATE["n_threads"]
    model = STATE["model"](n_kernels=10_000, n_jobs=n_threads, random_state=seed)
    with threadpool_limits(n_threads, user_api="blas"):
        start = time.perf_counter()
        model.fit(STATE["X_train"], STATE["y_train"])
        fitted = time.perf_counter()
        predicted = model.predict(STATE["X_test"])
        done = time.perf_counter()
    return {"predicted": predicted.tolist(), "fit_seconds": fitted - start, "predict_seconds": done - fitted}


if __name__ == "__main__":
    serve(f"aeon {aeon.__version__}", {"load": load, "fit": fit})
