"""The identity of a fit: everything that its result depends on, under readable names. It selects the checkpoint."""

import os
import pickle
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import joblib
import numpy as np
import torch

from seqclf._data.dataset import Dataset
from seqclf._data.ragged import Ragged
from seqclf._native import library

# These parameters do not change the result of a fit.
_WITHOUT_EFFECT = {"checkpoint_dir", "device", "n_threads", "verbose"}


def fit_identity(
    estimator: Any, data: Dataset, provided: Dataset | None, device: str, n_processes: int = 1
) -> dict[str, str]:
    """The estimator, its parameters, and hashes of the encoded rows of X and X_val with their validated targets."""
    identity = {
        "estimator": type(estimator).__name__,
        "device": device,
        "processes": str(n_processes),
        **_describe_parameters(estimator),
        "data": _hash_data(estimator, data),
        "validation data": "none" if provided is None else _hash_data(estimator, provided),
    }
    if estimator.warm_start and hasattr(estimator, "network_"):
        identity["fitted network"] = joblib.hash(estimator.network_.to_arrays())
    return identity


def call_identity(estimator: Any, arguments: Mapping[str, Any]) -> dict[str, str]:
    """The estimator, its parameters except for the seed, the versions, and a hash of each argument of `fit`.

    It is the same in all processes that call `fit` in the same way. With an argument that can't be hashed, `fit`
    raises an error later.
    """
    identity = {"estimator": type(estimator).__name__, **_describe_parameters(estimator), **versions()}
    identity.pop("random_state")
    for name, value in arguments.items():
        try:
            identity[name] = str(joblib.hash(_with_arrays(value)))
        except (pickle.PicklingError, TypeError, AttributeError):
            identity[name] = type(value).__qualname__
    return identity


def _with_arrays(value: Any) -> Any:
    """The value with arrays instead of tensors, because the pickle of a tensor has the address of its memory."""
    if isinstance(value, torch.Tensor):
        return value.numpy(force=True)
    if isinstance(value, list | tuple) and any(isinstance(each, torch.Tensor) for each in value):
        return list(map(_with_arrays, value))
    return value


def versions() -> Mapping[str, str]:
    """Versions of the packages that the result of training depends on, and the kernels in use."""
    found = {name: version(name) for name in ("seqclf", "torch", "numpy", "scipy", "scikit-learn")}
    compiled = "compiled" if library.available()[0] else "torch's"
    return found | {"kernels": os.environ.get("SEQCLF_KERNELS") or compiled}


def _describe_parameters(estimator: Any) -> dict[str, str]:
    parameters = estimator.get_params().items()
    return {name: _describe(value) for name, value in parameters if name not in _WITHOUT_EFFECT}


def _describe(value: Any) -> str:
    if isinstance(value, np.random.RandomState):
        return f"RandomState {joblib.hash(value.get_state(legacy=False))}"
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    if isinstance(value, tuple | list):
        return f"({', '.join(map(_describe, value))})"
    if isinstance(value, Mapping):
        items = sorted(f"{_describe(key)}: {_describe(each)}" for key, each in value.items())
        return f"{{{', '.join(items)}}}"
    return type(value).__qualname__  # its parameters are listed separately, and the hashed rows reflect its effect


def _hash_data(estimator: Any, data: Dataset) -> str:
    sequences, spelling = data.sequences, data.sequences.spelling
    tokens = getattr(getattr(estimator, "tokenizer_", None), "tokens_", None)
    spelled = None if spelling is None else (spelling.ids, spelling.new_tokens)
    targets: Any = data.targets
    if isinstance(targets, Ragged):
        targets = (targets.values, targets.lengths)
    return str(
        joblib.hash((sequences.steps.values, sequences.lengths, spelled, tokens, targets, data.weights, data.groups))
    )
