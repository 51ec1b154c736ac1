"""What estimators are saved as, in files and in pickles: plain values and arrays, which are checked when they are read.

The network of a loaded estimator is kept as arrays, with which the CPU predicts. It becomes a torch module, the
attribute `network_`, when that is first asked for.
"""

import os
from abc import ABCMeta, abstractmethod
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator

from seqclf._inference.network import InferenceNetwork
from seqclf._inputs.series_encoder import SeriesEncoder
from seqclf._inputs.text_encoder import TextEncoder
from seqclf._label_features.folds import StreamFolds
from seqclf._label_features.label_features import LabelFeatures
from seqclf._label_features.saved import label_features_from_state, label_features_to_state
from seqclf._label_features.saved_folds import fold_models_to_state, read_fold_models
from seqclf._saved import Saved, SavedStateError, State
from seqclf._saved_model import FittedParts
from seqclf._tasks.saved import task_from_state
from seqclf._tasks.task import Task
from seqclf._text_tokenizer import TextTokenizer
from seqclf._unpickling import (
    VERSION,
    raise_too_old,
    raise_unusable,
    refuse_missing,
    this_version,
    warn_of_another_version,
)
from seqclf._validation.parameters import check_parameters

# A path is of one machine, and a file must not say where another one writes to.
_NOT_SAVED = {"checkpoint_dir"}


class BaseSavedRNN(BaseEstimator, metaclass=ABCMeta):
    """An estimator that can be saved; the subclasses say what it has learned."""

    _constraints: dict[str, Any]
    _task: Task
    _label_features: LabelFeatures | None
    _folds: StreamFolds  # of the label-informed inputs of a stream

    @abstractmethod
    def _encoder(self) -> TextEncoder | SeriesEncoder:
        """What fit has learned of X."""

    @abstractmethod
    def _keep_encoder(self, encoder: TextEncoder | SeriesEncoder, tokenizer: TextTokenizer | None) -> None:
        """Set the attributes that `fit` sets of X."""

    @abstractmethod
    def _learned(self) -> tuple[str, ...]:
        """The attributes that every fitted estimator of this kind has."""

    def __getattr__(self, name: str) -> Any:
        if name == "network_" and (saved := vars(self).get("_network")) is not None:
            from seqclf._nn.network import Network  # It imports torch, which most loaded models do without.

            # Where two threads ask at once, both get the network of the first one.
            network = self.__dict__.setdefault("network_", Network.from_arrays(saved.config, saved.weights))
            self.__dict__.pop("_network", None)
            return network
        return object.__getattribute__(self, name)  # raises the error, in the words of a property if there is one

    def _inference_network(self) -> InferenceNetwork:
        """The network as arrays, which are those of `network_` where that is on the CPU."""
        network: InferenceNetwork | None = vars(self).get("_network")
        if network is not None:
            return network
        from seqclf._training.predict import without_torch

        return without_torch(self.network_)

    def _parts(self) -> FittedParts:
        return FittedParts(self._encoder(), self._label_features, self._inference_network(), self._task)

    def _has_fit(self) -> bool:
        return "network_" in vars(self) or "_network" in vars(self)

    def _to_state(self) -> State:
        """What `save_model` saves: plain values and arrays; a TypeError for a tokenizer of another package."""
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
        state["fitted"] = self._parts().to_state() | {
            "history": self.history_,
            "n_iter": self.n_iter_,
            "best_epoch": self.best_epoch_,
            "n_parameters": self.n_parameters_,
        }
        return state

    @classmethod
    def _from_state(cls, saved: Saved) -> Self:
        """The estimator of a state, of which nothing is taken unchecked."""
        parameters = saved.part("parameters", lambda own: _parameters(cls, own))
        estimator = cls(**parameters)
        try:
            check_parameters(estimator, cls._constraints)
        except (TypeError, ValueError) as error:
            raise SavedStateError(str(error).rstrip(".")) from error
        if saved.value("fitted") is None:
            return estimator
        tokenizer = saved.optional("tokenizer", lambda name: saved.part(name, TextTokenizer._from_state))
        estimator._keep_parts(FittedParts.from_state(saved), tokenizer)
        saved.part("fitted", estimator._keep_history)
        return estimator

    def _keep_parts(self, parts: FittedParts, tokenizer: TextTokenizer | None) -> None:
        """Set what `fit` sets."""
        self._keep_encoder(parts.encoder, tokenizer)
        self._label_features, self._task, self._network = parts.features, parts.task, parts.network
        for name, value in parts.task.attributes().items():
            setattr(self, name, value)

    def _keep_history(self, fitted: Saved) -> None:
        self.n_iter_, self.best_epoch_ = fitted.integer("n_iter"), fitted.integer("best_epoch")
        self.n_parameters_ = fitted.integer("n_parameters")
        self.history_ = fitted.value("history")
        rows = self.history_ if isinstance(self.history_, list) else [None]
        if not all(isinstance(row, dict) and all(map(_is_number, row.values())) for row in rows):
            fitted.refuse("history", "a list of dicts of numbers")

    def __getstate__(self) -> dict[str, Any]:
        """The parts as plain values and arrays: no device, no data, and no class but those that users know."""
        state = super().__getstate__() | {VERSION: this_version()}
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
        """Make the parts again, and check what belongs together."""
        state = dict(state)
        if "network_" in state and VERSION not in state:
            raise_too_old()
        saved_by = str(state.pop(VERSION, "(no version)"))
        super().__setstate__(state)
        refuse_missing(self, saved_by, self._get_param_names())
        if "_network" in state:
            refuse_missing(self, saved_by, self._learned())
            try:
                self._restore_parts(Saved(state))
            except SavedStateError as error:
                raise_unusable(self, saved_by, str(error))
            except (AttributeError, TypeError) as error:
                raise_unusable(self, saved_by, f"its parts do not fit ({error})")
        warn_of_another_version(self, saved_by)

    def _restore_parts(self, saved: Saved) -> None:
        self._network = saved.part("_network", InferenceNetwork.from_state)
        self._task = saved.part("_task", task_from_state)
        encoder = self._encoder()
        encoder.check()
        names = encoder.names if isinstance(encoder, TextEncoder) else None
        self._label_features = saved.optional(
            "_label_features", lambda name: saved.part(name, lambda own: label_features_from_state(own, names))
        )
        if "_folds" in saved and self._label_features is not None:
            self._folds = saved.part("_folds", StreamFolds.from_state)
            saved.part("_folds", self._read_fold_models)
        self._parts().refuse_mismatch(Saved({}))
        for name, value in self._task.attributes().items():
            fits = name in vars(self) and np.array_equal(value, vars(self)[name])
            saved.require(fits, f"its {name} is not what its network was trained for")

    def _read_fold_models(self, saved: Saved) -> None:
        features = self._label_features
        assert features is not None
        saved.part("learned", lambda part: read_fold_models(part, features))


def _saved_parameter(name: str, value: Any) -> Any:
    """A parameter as a file can hold it."""
    if name in _NOT_SAVED:
        return None
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, TextTokenizer):
        return value._to_state()
    if hasattr(value, "transform"):
        raise TypeError(
            f"{name} is a {type(value).__name__}, and a model file can hold no tokenizer but TextTokenizer. Tokenize "
            "before the estimator, which takes token ids too, or use pickle."
        )
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _parameters(cls: type[Any], saved: Saved) -> dict[str, Any]:
    """The arguments of the constructor."""
    names = cls._get_param_names()
    values = {name: None if name in _NOT_SAVED else saved.value(name) for name in names}
    if isinstance(values.get("tokenizer"), Mapping):
        values["tokenizer"] = saved.part("tokenizer", TextTokenizer._from_state)
    return values


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
