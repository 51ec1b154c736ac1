"""`BaseSavedRNN`: estimators as states for model files and pickles.

A state consists of plain values and arrays, which are checked when they are loaded. A loaded estimator holds its
network as arrays, which suffice to predict on the CPU; the torch module `network_` is created at the first access.
"""

import os
from abc import ABCMeta, abstractmethod
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator

from seqclf._callbacks import CALLBACK_ATTRIBUTES, CONTEXT_ATTRIBUTES, without
from seqclf._inference.network import InferenceNetwork
from seqclf._inputs.series_encoder import SeriesEncoder
from seqclf._inputs.text_encoder import TextEncoder
from seqclf._label_features.folds import StreamFolds
from seqclf._label_features.label_features import LabelFeatures
from seqclf._label_features.saved import label_features_from_state, label_features_to_state
from seqclf._label_features.saved_folds import fold_models_to_state, load_fold_models
from seqclf._saved import Saved, SavedStateError, State
from seqclf._saved_model import FittedComponents
from seqclf._state import snapshot
from seqclf._tasks.saved import task_from_state
from seqclf._tasks.task import Task
from seqclf._text_tokenizer import TextTokenizer
from seqclf._unpickling import (
    VERSION,
    check_attributes,
    raise_too_old,
    raise_unusable,
    this_version,
    warn_about_version,
)
from seqclf._validation.numbers import type_of
from seqclf._validation.parameters import check_parameters

# A path is valid on one machine only, and a model file must not decide where another machine writes.
_NOT_SAVED = {"checkpoint_dir"}


class BaseSavedRNN(BaseEstimator, metaclass=ABCMeta):
    """An estimator that can be saved; subclasses define its encoder and its fitted attributes."""

    _constraints: dict[str, Any]
    _task: Task
    _label_features: LabelFeatures | None
    _folds: StreamFolds  # of the label features after `partial_fit`

    @abstractmethod
    def _encoder(self) -> TextEncoder | SeriesEncoder:
        """The fitted encoder of X."""

    @abstractmethod
    def _set_encoder(self, encoder: TextEncoder | SeriesEncoder, tokenizer: TextTokenizer | None) -> None:
        """Set the attributes that `fit` derives from X."""

    @abstractmethod
    def _fitted_attributes(self) -> tuple[str, ...]:
        """The attributes that every fitted estimator of this class must have."""

    def __getattr__(self, name: str) -> Any:
        if name == "network_" and (saved := vars(self).get("_network")) is not None:
            from seqclf._nn.network import Network  # imports torch, which prediction on the CPU does not need

            # `setdefault` gives concurrent threads the same network.
            network = self.__dict__.setdefault("network_", Network.from_arrays(saved.config, saved.weights))
            self.__dict__.pop("_network", None)
            return network
        return object.__getattribute__(self, name)  # raises AttributeError, with the message of a property if any

    def _inference_network(self) -> InferenceNetwork:
        """The network as arrays; they share the memory of `network_` if it is on the CPU."""
        network: InferenceNetwork | None = vars(self).get("_network")
        if network is not None:
            return network
        from seqclf._training.predict import to_inference_network

        return to_inference_network(self.network_)

    def _components(self) -> FittedComponents:
        return FittedComponents(self._encoder(), self._label_features, self._inference_network(), self._task)

    def _has_fit(self) -> bool:
        return "network_" in vars(self) or "_network" in vars(self)

    def _to_state(self) -> State:
        """The state for `save_model`, of plain values and arrays; TypeError for a tokenizer of another package."""
        state: State = {
            "version": this_version(),
            "parameters": {name: _saved_parameter(name, value) for name, value in self.get_params(deep=False).items()},
            "fitted": None,
            "tokenizer": None,
            "label_features": None,
        }
        if not self._has_fit():
            return state
        if (tokenizer := getattr(self, "tokenizer_", None)) is not None:
            state["tokenizer"] = _saved_parameter("tokenizer_", tokenizer)
        if self._label_features is not None:
            state["label_features"] = label_features_to_state(self._label_features)
        state["fitted"] = self._components().to_state() | {
            "history": self.history_,
            "n_iter": self.n_iter_,
            "best_epoch": self.best_epoch_,
            "n_parameters": self.n_parameters_,
        }
        return state

    @classmethod
    def _from_state(cls, saved: Saved) -> Self:
        """The estimator from a state; every value is checked."""
        parameters = saved.part("parameters", lambda state: _parameters(cls, state))
        estimator = cls(**parameters)
        try:
            check_parameters(estimator, cls._constraints)
        except (TypeError, ValueError) as error:
            raise SavedStateError(str(error).rstrip(".")) from error
        if saved.value("fitted") is None:
            return estimator
        tokenizer = saved.optional("tokenizer", lambda name: saved.part(name, TextTokenizer._from_state))
        estimator._set_components(FittedComponents.from_state(saved), tokenizer)
        saved.part("fitted", estimator._load_history)
        return estimator

    def _set_components(self, fitted: FittedComponents, tokenizer: TextTokenizer | None) -> None:
        """Set the attributes that `fit` sets."""
        self._set_encoder(fitted.encoder, tokenizer)
        self._label_features, self._task, self._network = fitted.features, fitted.task, fitted.network
        for name, value in fitted.task.attributes().items():
            setattr(self, name, value)

    def _load_history(self, fitted: Saved) -> None:
        self.n_iter_, self.best_epoch_ = fitted.integer("n_iter"), fitted.integer("best_epoch")
        self.n_parameters_ = fitted.integer("n_parameters")
        self.history_ = fitted.value("history")
        epochs = self.history_ if isinstance(self.history_, list) else [None]
        if not all(isinstance(epoch, dict) and all(map(_is_number, epoch.values())) for epoch in epochs):
            fitted.raise_invalid("history", "a list of dicts of numbers")

    def __copy__(self) -> Self:
        """A copy with the same components, which no method changes, and without the contexts of a fit in progress."""
        copy = snapshot(self)
        copy.__dict__ = without(CONTEXT_ATTRIBUTES, copy.__dict__)
        return copy

    def __getstate__(self) -> dict[str, Any]:
        """The components as plain values and arrays: no device, no data, and only public classes.

        A saved model has no callbacks. Without a fit they are part of the state, because a search sends unfitted
        estimators, with their callbacks, to its processes.
        """
        names = CALLBACK_ATTRIBUTES if self._has_fit() else CONTEXT_ATTRIBUTES
        state = without(names, super().__getstate__()) | {VERSION: this_version()}
        if not self._has_fit():
            return state
        state.pop("network_", None)
        state["_network"] = self._inference_network().to_state()
        state["_task"] = self._task.to_state()
        features = self._label_features
        state["_label_features"] = None if features is None else label_features_to_state(features)
        if "_folds" in state and features is not None:
            state["_folds"] = self._folds.to_state() | {"learned": fold_models_to_state(features)}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Rebuild the components and check that they are consistent."""
        state = dict(state)
        if "network_" in state and VERSION not in state:
            raise_too_old()
        saved_by = str(state.pop(VERSION, "(no version)"))
        super().__setstate__(state)
        check_attributes(self, saved_by, self._get_param_names())
        if "_network" in state:
            check_attributes(self, saved_by, self._fitted_attributes())
            try:
                self._restore_components(Saved(state))
            except SavedStateError as error:
                raise_unusable(self, saved_by, str(error))
            except (AttributeError, TypeError) as error:
                raise_unusable(self, saved_by, f"its components do not match ({error})")
        warn_about_version(self, saved_by)

    def _restore_components(self, saved: Saved) -> None:
        self._network = saved.part("_network", InferenceNetwork.from_state)
        self._task = saved.part("_task", task_from_state)
        encoder = self._encoder()
        encoder.check()
        names = encoder.names if isinstance(encoder, TextEncoder) else None
        self._label_features = saved.optional(
            "_label_features", lambda name: saved.part(name, lambda state: label_features_from_state(state, names))
        )
        if "_folds" in saved and self._label_features is not None:
            self._folds = saved.part("_folds", StreamFolds.from_state)
            saved.part("_folds", self._load_fold_models)
        self._components().check_consistency(Saved({}))
        for name, value in self._task.attributes().items():
            matches = name in vars(self) and np.array_equal(value, vars(self)[name])
            saved.require(matches, f"its {name} is not the one that its network was trained for")

    def _load_fold_models(self, saved: Saved) -> None:
        features = self._label_features
        assert features is not None
        saved.part("learned", lambda state: load_fold_models(state, features))


def _saved_parameter(name: str, value: Any) -> Any:
    """A parameter as a plain value."""
    if name in _NOT_SAVED:
        return None
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, TextTokenizer):
        return value._to_state()
    if hasattr(value, "transform"):
        raise TypeError(
            f"{name} is {type_of(value)}, but the only tokenizer that a model file can hold is TextTokenizer. "
            "Tokenize before the estimator, which also accepts token ids, or use pickle."
        )
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _parameters(cls: type[Any], saved: Saved) -> dict[str, Any]:
    """The constructor arguments."""
    names = cls._get_param_names()
    values = {name: None if name in _NOT_SAVED else saved.value(name) for name in names}
    if isinstance(values.get("tokenizer"), Mapping):
        values["tokenizer"] = saved.part("tokenizer", TextTokenizer._from_state)
    return values


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
