"""Recurrent neural networks for text and series that behave like any scikit-learn estimator.

This module defines only the public names. Importing it is cheap: torch, scikit-learn and numpy are imported when a name
that needs them is first accessed.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seqclf import datasets, inspection
    from seqclf._model_file_error import ModelFileError
    from seqclf._persistence import load_model, load_predictor, save_model
    from seqclf._rnn_classifier import RNNClassifier
    from seqclf._rnn_regressor import RNNRegressor
    from seqclf._rnn_tagger import RNNTagger
    from seqclf._rnn_text_classifier import RNNTextClassifier
    from seqclf._rnn_text_regressor import RNNTextRegressor
    from seqclf._sequence_padder import SequencePadder
    from seqclf._series_from_frame import series_from_frame
    from seqclf._show_versions import show_versions
    from seqclf._skops_types import SKOPS_TRUSTED_TYPES
    from seqclf._text_tokenizer import TextTokenizer

__version__ = "0.1.0"

__all__ = [
    "SKOPS_TRUSTED_TYPES",
    "ModelFileError",
    "RNNClassifier",
    "RNNRegressor",
    "RNNTagger",
    "RNNTextClassifier",
    "RNNTextRegressor",
    "SequencePadder",
    "TextTokenizer",
    "__version__",
    "datasets",
    "inspection",
    "load_model",
    "load_predictor",
    "save_model",
    "series_from_frame",
    "show_versions",
]

_MODULES = {
    "SKOPS_TRUSTED_TYPES": "seqclf._skops_types",
    "ModelFileError": "seqclf._model_file_error",
    "RNNClassifier": "seqclf._rnn_classifier",
    "RNNRegressor": "seqclf._rnn_regressor",
    "RNNTagger": "seqclf._rnn_tagger",
    "RNNTextClassifier": "seqclf._rnn_text_classifier",
    "RNNTextRegressor": "seqclf._rnn_text_regressor",
    "SequencePadder": "seqclf._sequence_padder",
    "TextTokenizer": "seqclf._text_tokenizer",
    "load_model": "seqclf._persistence",
    "load_predictor": "seqclf._persistence",
    "save_model": "seqclf._persistence",
    "series_from_frame": "seqclf._series_from_frame",
    "show_versions": "seqclf._show_versions",
}


def __getattr__(name: str) -> Any:
    if name in ("datasets", "inspection"):
        return import_module(f"seqclf.{name}")
    if name not in _MODULES:
        raise AttributeError(f"module 'seqclf' has no attribute {name!r}; its public names are {', '.join(__all__)}")
    try:
        value = getattr(import_module(_MODULES[name]), name)
    except ModuleNotFoundError as error:
        _add_install_hint(name, error)
        raise
    globals()[name] = value  # later accesses do not call __getattr__
    return value


def _add_install_hint(name: str, error: ModuleNotFoundError) -> None:
    """Say in the message how to install the missing package."""
    if error.name is not None and error.name.partition(".")[0] != "seqclf":
        error.msg = (
            f"seqclf.{name} needs the package {error.name.partition('.')[0]!r}, which is not installed: "
            "`pip install seqclf` installs it. seqclf.load_predictor needs only numpy and safetensors."
        )


def __dir__() -> list[str]:
    return sorted(__all__)
