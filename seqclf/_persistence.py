"""`save_model`, `load_model`, `load_predictor`: model files that are safe to load.

`_model_files` splits a state into JSON documents and one file of arrays. A model is rebuilt from the classes that are
listed here: a file can neither import a module nor run code.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from seqclf._devices import computes_on_cpu
from seqclf._model_file_error import ModelFileError
from seqclf._model_files.states import read_states, write_states
from seqclf._predictor import Predictor
from seqclf._saved import Saved, SavedStateError, State
from seqclf._skops_types import SKOPS_TRUSTED_TYPES

# The classes that a file can name, and their modules.
_MODULES = {name: module for module, _, name in (path.rpartition(".") for path in SKOPS_TRUSTED_TYPES)}
_TRANSFORMERS = ("SequencePadder", "TextTokenizer")
# Large components of a state, which are saved as separate documents.
_DOCUMENTS = ("tokenizer", "label_features")


def save_model(estimator: Any, path: str | os.PathLike[str]) -> None:
    """Save an estimator of this package in a format that is safe to load.

    Parameters
    ----------
    estimator : RNNClassifier, RNNRegressor, RNNTagger, RNNTextClassifier, RNNTextRegressor, SequencePadder or \
TextTokenizer
        The estimator, fitted or not. It is not changed.
    path : str or path-like
        A folder to create, or a single file if the name ends in ".zip". An existing model is replaced; after an error
        the old model is still there.

    Raises
    ------
    ValueError
        If the estimator could not be loaded again, for example because a weight is not finite.
    TypeError
        If `estimator` is not of this package, or contains something that a model file can't hold, such as a RandomState
        as `random_state` or a tokenizer of another package.
    FileExistsError
        If the path exists and is not a model.
    OSError
        If the path can't be written to.

    See Also
    --------
    load_model : Loads the estimator.
    load_predictor : Loads a predictor, without torch and scikit-learn.

    Notes
    -----
    The file contains everything that predictions need, the parameters and the history. It does not contain the state of
    the optimiser, from which `partial_fit` continues; a pickle does.

    Examples
    --------
    >>> import os, tempfile
    >>> import seqclf
    >>> texts, labels = ["good, not bad", "bad, not good"] * 20, ["praise", "blame"] * 20
    >>> classifier = seqclf.RNNTextClassifier(units=8, random_state=0).fit(texts, labels)
    >>> path = os.path.join(tempfile.mkdtemp(), "reviews.zip")
    >>> seqclf.save_model(classifier, path)
    >>> seqclf.load_model(path).predict(["not good"]).tolist()
    ['blame']
    """
    name = type(estimator).__name__
    if isinstance(estimator, type):
        raise TypeError(f"save_model got the class {estimator.__name__}: pass an estimator, {estimator.__name__}(...).")
    if _MODULES.get(name) != type(estimator).__module__:
        raise TypeError(
            f"save_model saves the estimators of seqclf, {', '.join(_MODULES)}: got an instance of "
            f"{type(estimator).__module__}.{name}. {_advice(estimator)}"
        )
    path = _path_string(path)
    state = {"class": name, **estimator._to_state()}
    try:
        type(estimator)._from_state(Saved(state))
    except SavedStateError as error:
        raise ValueError(f"This {name} can't be saved, because it could not be loaded again: {error}.") from error
    documents = {document: state.pop(document) for document in _DOCUMENTS if state.get(document) is not None}
    write_states(path, documents | {"model": state})


def load_model(path: str | os.PathLike[str], *, device: str = "auto") -> Any:
    """Load an estimator that was saved by :func:`save_model`.

    Loading runs no code from the file: it contains strings, numbers and arrays, each of which is checked. A checksum
    detects damage; it does not show who wrote the file.

    Parameters
    ----------
    path : str or path-like
        The folder or the .zip file.
    device : str, default="auto"
        The `device` parameter of the loaded estimator. That of the saved estimator is not used, because this machine
        may not have the device.

    Returns
    -------
    estimator
        It predicts like the saved estimator, and `fit` with ``warm_start=True`` continues from it; `partial_fit`
        continues with a new state of the optimiser. On the CPU it predicts without importing torch.

    Raises
    ------
    ModelFileError
        If the file is damaged, was changed, is not a model, or was written by a newer version.
    FileNotFoundError
        If the path does not exist.
    ValueError, TypeError
        If `device` is not the name of a device that torch supports.

    See Also
    --------
    load_predictor : Loads a predictor, which is faster and needs neither torch nor scikit-learn.

    Examples
    --------
    >>> import os, tempfile
    >>> import seqclf
    >>> path = os.path.join(tempfile.mkdtemp(), "tokenizer.zip")
    >>> seqclf.save_model(seqclf.TextTokenizer().fit(["good film"]), path)
    >>> seqclf.load_model(path).transform(["film"])
    array([array([2], dtype=int32)], dtype=object)
    """
    if not isinstance(device, str):
        raise TypeError(f"device={device!r} is not supported: expected 'auto', 'cpu', 'cuda', 'cuda:0' or 'mps'.")
    if not computes_on_cpu(device):
        from seqclf._training.device import resolve_device  # imports torch

        resolve_device(device)
    state = _load_state(path)
    with _name_path_in_errors(path):
        saved = Saved(state)
        name = saved.option("class", tuple(_MODULES))
        cls = getattr(import_module(_MODULES[name]), name)
        estimator = cls._from_state(saved)
    if name not in _TRANSFORMERS:
        estimator.set_params(device=device)
    return estimator


def load_predictor(path: str | os.PathLike[str]) -> Predictor:
    """Load a saved model for prediction only, without importing torch, scikit-learn or scipy.

    This needs only numpy and safetensors; models with ``TextTokenizer(level="subword")`` also need the package
    `tokenizers`. Without the compiled library of this package, predictions run in numpy, which is slower.

    Parameters
    ----------
    path : str or path-like
        The folder or .zip file of a fitted classifier, regressor or tagger that was saved by :func:`save_model`.

    Returns
    -------
    Predictor
        It has `predict` and, if the estimator has them, `predict_proba`, `predict_log_proba`, `decision_function` and
        ``classes_``.

    Raises
    ------
    ModelFileError
        If the file is damaged, was changed, or was written by a newer version, or if it contains no fitted model that
        can predict.
    FileNotFoundError
        If the path does not exist.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> import seqclf
    >>> X = np.sin(np.arange(300)).reshape(30, 10)
    >>> regressor = seqclf.RNNRegressor(units=4, max_epochs=2, random_state=0).fit(X, X[:, -1])
    >>> path = os.path.join(tempfile.mkdtemp(), "model")
    >>> seqclf.save_model(regressor, path)
    >>> predictor = seqclf.load_predictor(path)
    >>> bool((predictor.predict(X) == regressor.predict(X)).all())
    True
    """
    from seqclf._saved_model import predictor_from_state

    state = _load_state(path)
    with _name_path_in_errors(path):
        saved = Saved(state)
        name = saved.option("class", tuple(_MODULES))
        saved.require(name not in _TRANSFORMERS, f"it contains a {name}, which can't predict: use load_model")
        saved.require(saved.value("fitted") is not None, f"it contains an unfitted {name}: use load_model")
        return predictor_from_state(saved)


def _load_state(path: str | os.PathLike[str]) -> State:
    path = _path_string(path)
    states = read_states(path)
    if not isinstance(state := states["model"], dict):
        raise ModelFileError(f"{path} can't be loaded: its document 'model' is not a dict.")
    return {**state, **{name: states.get(name) for name in _DOCUMENTS}}


def _path_string(path: str | os.PathLike[str]) -> str:
    text = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    if not isinstance(text, str):
        raise TypeError(f"path is {path!r}: expected a string or a Path.")
    return text


def _advice(estimator: Any) -> str:
    if isinstance(estimator, str | os.PathLike):
        return "The estimator is the first argument, the path the second."
    if hasattr(estimator, "best_estimator_"):
        return "Save its best_estimator_."
    return "Save a pipeline step by step, or with skops and seqclf.SKOPS_TRUSTED_TYPES."


@contextmanager
def _name_path_in_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn a SavedStateError into a ModelFileError that names the file."""
    try:
        yield
    except SavedStateError as error:
        raise ModelFileError(f"{os.fspath(path)} can't be loaded: {error}.") from error
