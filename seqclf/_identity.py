"""What the result of a fit depends on, by names that a message can use: how a checkpoint is known."""

import os
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import joblib
import numpy as np

from seqclf._data.dataset import Dataset
from seqclf._data.ragged import Ragged
from seqclf._native import library

# They say where and how a fit computes, and what it prints.
_WITHOUT_EFFECT = {"checkpoint_dir", "device", "n_threads", "verbose"}


def fit_identity(estimator: Any, data: Dataset, given: Dataset | None, device: str) -> dict[str, str]:
    """The estimator, its parameters, and hashes of the encoded rows of X and X_val with their validated targets."""
    parameters = {
        name: _described(value) for name, value in estimator.get_params().items() if name not in _WITHOUT_EFFECT
    }
    identity = {
        "estimator": type(estimator).__name__,
        "device": device,
        **parameters,
        "data": _hash_of_rows(estimator, data),
        "validation data": "none" if given is None else _hash_of_rows(estimator, given),
    }
    if estimator.warm_start and hasattr(estimator, "network_"):
        identity["fitted network"] = joblib.hash(estimator.network_.to_arrays())
    return identity


def versions() -> Mapping[str, str]:
    """Of the packages whose code decides what a training gives, and which kernels compute."""
    found = {name: version(name) for name in ("seqclf", "torch", "numpy", "scipy", "scikit-learn")}
    compiled = "compiled" if library.available()[0] else "torch's"
    return found | {"kernels": os.environ.get("SEQCLF_KERNELS") or compiled}


def _described(value: Any) -> str:
    if isinstance(value, np.random.RandomState):
        return f"RandomState {joblib.hash(value.get_state(legacy=False))}"
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    if isinstance(value, tuple | list):
        return f"({', '.join(map(_described, value))})"
    if isinstance(value, Mapping):
        items = sorted(f"{_described(key)}: {_described(each)}" for key, each in value.items())
        return f"{{{', '.join(items)}}}"
    return type(value).__qualname__  # Its own parameters are listed too; the encoded rows say what it does.


def _hash_of_rows(estimator: Any, data: Dataset) -> str:
    sequences, spelling = data.sequences, data.sequences.spelling
    tokens = getattr(getattr(estimator, "tokenizer_", None), "tokens_", None)
    spelled = None if spelling is None else (spelling.ids, spelling.new_tokens)
    targets = data.targets
    of_rows = (targets.values, targets.lengths) if isinstance(targets, Ragged) else targets
    parts = (sequences.steps.values, sequences.lengths, spelled, tokens, of_rows, data.weights, data.groups)
    return str(joblib.hash(parts))
