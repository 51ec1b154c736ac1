"""`Predictor`: a saved model that does nothing but predict, and needs neither torch nor scikit-learn."""

from collections.abc import Callable
from functools import update_wrapper
from types import MethodType
from typing import Any, TypeVar

import numpy as np

from seqclf._data.ragged import Ragged
from seqclf._inference.network import InferenceNetwork
from seqclf._inputs.series_encoder import SeriesEncoder
from seqclf._inputs.text_encoder import TextEncoder
from seqclf._label_features.label_features import LabelFeatures
from seqclf._prediction import Outputs, predicted, refuse_lost_tokens
from seqclf._tasks.task import Task

Method = TypeVar("Method", bound=Callable[..., Any])


class _Available:
    """A method that an object has only if its task has another one."""

    def __init__(self, method: Callable[..., Any], needed: str) -> None:
        self._method, self._needed = method, needed
        update_wrapper(self, method)  # type: ignore[arg-type]

    def __get__(self, owner: Any, cls: Any = None) -> Any:
        if owner is None:
            return self._method
        if not hasattr(owner._task, self._needed):
            raise AttributeError(f"A predictor of {owner._task.kind} has no {self._method.__name__}.")
        return MethodType(self._method, owner)


def _where_task_has(needed: str) -> Callable[[Method], Method]:
    return lambda method: _Available(method, needed)  # type: ignore[return-value]


class Predictor:
    """A fitted model as :func:`load_predictor` gives it.

    Of `predict`, `predict_proba`, `predict_log_proba` and `decision_function` it has those that the saved estimator
    has, and they give the same numbers, to the bit where both have the compiled library. It computes on the CPU, with
    `n_threads` of the estimator; where that is None, with as many threads as there are processors, or as the
    environment variable OMP_NUM_THREADS says. It may be called from several threads at once, and pickled.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes or labels, if the model predicts such.

    See Also
    --------
    load_predictor : Loads one.
    load_model : Loads the estimator itself, which can be trained further.
    """

    def __init__(
        self,
        encoder: TextEncoder | SeriesEncoder,
        features: LabelFeatures | None,
        network: InferenceNetwork,
        task: Task,
        n_threads: int | None,
    ) -> None:
        self._encoder, self._features, self._network, self._task = encoder, features, network, task
        self._n_threads = n_threads
        for name, value in task.attributes().items():
            setattr(self, name, value)

    def predict(self, X: Any) -> np.ndarray:
        """What the model says of each row: its class, its labels, its numbers, or the labels of its steps.

        Parameters
        ----------
        X : array-like
            Sequences of the kind seen in fit.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            As from `predict` of the estimator.

        Raises
        ------
        ValueError, TypeError
            If X is not of the kind seen in fit.
        """
        predictions: np.ndarray = self._task.decode(self._outputs(X))
        return predictions

    def _outputs(self, X: Any) -> Outputs:
        rows = self._encoder.read(X)

        def encode() -> Any:
            sequences = self._encoder.encode(rows)  # type: ignore[arg-type]
            if self._task.per_step:
                refuse_lost_tokens(rows, sequences, "X", "TextTokenizer")
            return sequences

        return predicted(encode, self._features, self._network.outputs, self._n_threads)

    @_where_task_has("probabilities")
    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of the classes or labels.

        Parameters
        ----------
        X : array-like
            Sequences of the kind seen in fit.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            As from `predict_proba` of the estimator: columns in the order of ``classes_``; of a tagger an object array
            with one array for each sequence.
        """
        return self._task.probabilities(self._outputs(X))  # type: ignore[attr-defined, no-any-return]

    @_where_task_has("log_probabilities")
    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Logarithms of the probabilities of the classes or labels.

        Parameters
        ----------
        X : array-like
            Sequences of the kind seen in fit.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``.
        """
        return self._task.log_probabilities(self._outputs(X))  # type: ignore[attr-defined, no-any-return]

    @_where_task_has("log_probabilities")
    def decision_function(self, X: Any) -> np.ndarray:
        """Logits of the classes or labels.

        Parameters
        ----------
        X : array-like
            Sequences of the kind seen in fit.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            For two classes the logit of ``classes_[1]``, else one logit a class or label.
        """
        logits = self._outputs(X)
        assert not isinstance(logits, Ragged)
        return logits[:, 0] if logits.shape[1] == 1 else logits

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if hasattr(self, name)]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._task.kind}>"
