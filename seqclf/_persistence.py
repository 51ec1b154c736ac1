"""`save_model`, `load_model`, `load_predictor`: models as files that are safe to read.

A state is taken apart into JSON documents and one file of arrays, by `_model_files`, and put together again from the
classes that are named here: nothing is imported, and no code is run, because a file says so.
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

# The classes that files may name, and where they are.
_HOMES = {name: module for module, _, name in (kind.rpartition(".") for kind in SKOPS_TRUSTED_TYPES)}
_TRANSFORMERS = ("SequencePadder", "TextTokenizer")
# Large parts of a state, which have documents of their own.
_DOCUMENTS = ("tokenizer", "label_features")


def save_model(estimator: Any, path: str | os.PathLike[str]) -> None:
    """Save an estimator of this package in a form that is safe to load.

    Parameters
    ----------
    estimator : RNNClassifier, RNNRegressor, RNNTagger, RNNTextClassifier, RNNTextRegressor, SequencePadder or \
TextTokenizer
        The estimator, fitted or not. It is not changed.
    path : str or path-like
        A folder, which is made, or one file if the name ends in ".zip". A model that is there is replaced: after an
        error the old one is still there.

    Raises
    ------
    ValueError
        If it could not be loaded: a weight is not finite, for example.
    TypeError
        If it is no estimator of this package, or holds what a file can't hold: a generator as `random_state`, or a
        tokenizer of another package.
    FileExistsError
        If something else than a model is at the path.
    OSError
        If it can't be written to.

    See Also
    --------
    load_model : Loads the estimator.
    load_predictor : Loads what predicts, without torch and scikit-learn.

    Notes
    -----
    The file holds what predicts, the hyperparameters and the history. The state of the optimiser, with which
    `partial_fit` goes on, is not in it; pickles have that.

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
    kind = type(estimator).__name__
    path = _text_of(path)
    if isinstance(estimator, type):
        raise TypeError(f"save_model got the class {estimator.__name__}: pass an estimator, {estimator.__name__}(...).")
    if _HOMES.get(kind) != type(estimator).__module__:
        raise TypeError(
            f"save_model saves the estimators of seqclf, {', '.join(_HOMES)}; got a {kind}. {_advice(estimator)}"
        )
    state = {"class": kind, **estimator._to_state()}
    try:
        type(estimator)._from_state(Saved(state))
    except SavedStateError as error:
        raise ValueError(f"This {kind} can't be saved, because it could not be loaded: {error}") from error
    documents = {name: state.pop(name) for name in _DOCUMENTS if state.get(name) is not None}
    write_states(path, documents | {"model": state})


def load_model(path: str | os.PathLike[str], *, device: str = "auto") -> Any:
    """Load an estimator that :func:`save_model` has saved.

    Nothing in the file is run: it holds texts, numbers and arrays, and each of them is checked. A checksum shows
    whether the file is damaged, not who has written it.

    Parameters
    ----------
    path : str or path-like
        The folder or the .zip file.
    device : str, default="auto"
        The `device` of the loaded estimator; that of the saved one may not be there.

    Returns
    -------
    estimator
        It predicts as the one that was saved, and `fit` with ``warm_start=True`` goes on from it; `partial_fit` begins
        with a new state of the optimiser. On the CPU it predicts without importing torch.

    Raises
    ------
    ModelFileError
        If the file is damaged, was changed, or was written by a newer version.
    FileNotFoundError
        If there is nothing at the path.
    ValueError
        If `device` is none.

    See Also
    --------
    load_predictor : Loads what predicts, faster.

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
        raise TypeError(f"device={device!r} is not 'auto' or the name of a torch device, such as 'cpu'.")
    if not computes_on_cpu(device):
        from seqclf._training.device import resolve_device  # It imports torch.

        resolve_device(device)
    state = _read(path)
    with _naming(path):
        saved = Saved(state)
        name = saved.option("class", tuple(_HOMES))
        cls = getattr(import_module(_HOMES[name]), name)
        estimator = cls._from_state(saved)
    if name not in _TRANSFORMERS:
        estimator.set_params(device=device)
    return estimator


def load_predictor(path: str | os.PathLike[str]) -> Predictor:
    """Load a saved model to predict with, without torch, scikit-learn or scipy.

    Only numpy, safetensors and the compiled library of this package are used; the models of
    ``TextTokenizer(level="subword")`` need the package `tokenizers` too.

    Parameters
    ----------
    path : str or path-like
        The folder or the .zip file in which :func:`save_model` has saved a fitted classifier, regressor or tagger.

    Returns
    -------
    Predictor
        It has `predict`, and as far as the estimator has them `predict_proba`, `predict_log_proba`,
        `decision_function` and ``classes_``.

    Raises
    ------
    ModelFileError
        If the file is damaged, was changed, or was written by a newer version, or if it holds no fitted model that
        predicts.
    FileNotFoundError
        If there is nothing at the path.

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

    state = _read(path)
    with _naming(path):
        saved = Saved(state)
        name = saved.option("class", tuple(_HOMES))
        saved.require(name not in _TRANSFORMERS, f"it holds a {name}, which does not predict: use load_model")
        saved.require(saved.value("fitted") is not None, f"the {name} in it was not fitted: use load_model")
        return predictor_from_state(saved)


def _read(path: str | os.PathLike[str]) -> State:
    path = _text_of(path)
    states = read_states(path)
    if not isinstance(state := states["model"], dict):
        raise ModelFileError(f"{path!r} can't be loaded: it holds no named values")
    return {**state, **{name: states.get(name) for name in _DOCUMENTS}}


def _text_of(path: str | os.PathLike[str]) -> str:
    text = os.fspath(path)
    if not isinstance(text, str):
        raise TypeError(f"path is {text!r}; expected a text or a Path")
    return text


def _advice(estimator: Any) -> str:
    if hasattr(estimator, "best_estimator_"):
        return "Save its best_estimator_."
    return "A pipeline can be saved step by step, or by skops with seqclf.SKOPS_TRUSTED_TYPES."


@contextmanager
def _naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Say of which file a state is, where it can't be used."""
    try:
        yield
    except SavedStateError as error:
        raise ModelFileError(f"{os.fspath(path)!r} can't be loaded: {error}") from error
