"""`Predictor`: a saved model for prediction only, without torch and scikit-learn."""

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
from seqclf._prediction import Outputs, check_token_counts, predict_sequences
from seqclf._tasks.task import Task

Method = TypeVar("Method", bound=Callable[..., Any])


class _Available:
    """A method of a predictor that is available only if its task has the method `required`."""

    def __init__(self, method: Callable[..., Any], required: str) -> None:
        self._method, self._required = method, required
        update_wrapper(self, method)  # type: ignore[arg-type]

    def __get__(self, predictor: Any, cls: Any = None) -> Any:
        if predictor is None:
            return self._method
        if not hasattr(predictor._task, self._required):
            raise AttributeError(f"A predictor of {predictor._task.kind} has no {self._method.__name__}.")
        return MethodType(self._method, predictor)


def _available_if_task_has(required: str) -> Callable[[Method], Method]:
    return lambda method: _Available(method, required)  # type: ignore[return-value]


class Predictor:
    """A fitted model for prediction, as returned by :func:`load_predictor`.

    Of the methods `predict`, `predict_proba`, `predict_log_proba` and `decision_function`, a predictor has those that
    the saved estimator has. They return the same values, bit for bit if both use the compiled library. A predictor
    computes on the CPU with the `n_threads` of the estimator; if that is None, with one thread per processor, or with
    the number of threads in the environment variable OMP_NUM_THREADS. It is thread-safe and can be pickled.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes or labels; absent for a regressor.

    See Also
    --------
    load_predictor : Loads a predictor.
    load_model : Loads the estimator, which can be trained further.
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
        """Predict the class, the labels, the target values or the labels of the steps of each sample.

        Parameters
        ----------
        X : array-like
            Sequences of the kind seen in fit.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The same as `predict` of the estimator.

        Raises
        ------
        ValueError, TypeError
            If X is not of the kind seen in fit.
        """
        predictions: np.ndarray = self._task.decode(self._outputs(X))
        return predictions

    def _outputs(self, X: Any) -> Outputs:
        rows = self._encoder.validate(X)

        def encode() -> Any:
            sequences = self._encoder.encode(rows)  # type: ignore[arg-type]
            if self._task.per_step:
                check_token_counts(rows, sequences, "X", "TextTokenizer")
            return sequences

        return predict_sequences(encode, self._features, self._network.outputs, self._n_threads)

    @_available_if_task_has("probabilities")
    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of the classes or labels.

        Parameters
        ----------
        X : array-like
            Sequences of the kind seen in fit.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            The same as `predict_proba` of the estimator: columns in the order of ``classes_``; for a tagger, an object
            array with one array per sequence.

        Raises
        ------
        ValueError, TypeError
            If X is not of the kind seen in fit.
        """
        return self._task.probabilities(self._outputs(X))  # type: ignore[attr-defined, no-any-return]

    @_available_if_task_has("log_probabilities")
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

        Raises
        ------
        ValueError, TypeError
            If X is not of the kind seen in fit.
        """
        return self._task.log_probabilities(self._outputs(X))  # type: ignore[attr-defined, no-any-return]

    @_available_if_task_has("log_probabilities")
    def decision_function(self, X: Any) -> np.ndarray:
        """Logits of the classes or labels.

        Parameters
        ----------
        X : array-like
            Sequences of the kind seen in fit.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            The logit of ``classes_[1]`` for two classes; otherwise one logit per class or label.

        Raises
        ------
        ValueError, TypeError
            If X is not of the kind seen in fit.
        """
        logits = self._outputs(X)
        assert not isinstance(logits, Ragged)
        return logits[:, 0] if logits.shape[1] == 1 else logits

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if hasattr(self, name)]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._task.kind}>"
