"""Callbacks of scikit-learn (`sklearn.callback`), called at the fit and at each of its epochs.

This part of scikit-learn is experimental and can change in any release, so everything that uses it is in this file. It
was written for scikit-learn 1.9. If the import fails, the estimators work without `set_callbacks`.
"""

from collections.abc import Callable
from typing import Any

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class _NoContext:
        """The context of a fit without callbacks."""

        def subcontext(self, **kwargs: Any) -> "_NoContext":
            return self

        def call_on_fit_task_begin(self, **kwargs: Any) -> None:
            pass

        def call_on_fit_task_end(self, **kwargs: Any) -> bool:
            return False

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Replaces the class of scikit-learn; it has no `set_callbacks`."""

        def _init_callback_context(self, **kwargs: Any) -> _NoContext:
            return _NoContext()

    def with_callbacks(method: Any) -> Any:
        """Replaces the decorator of scikit-learn."""
        return method


# Attributes that scikit-learn sets on an estimator: during a fit, and at any time.
CONTEXT_ATTRIBUTES = ("_callback_fit_ctx", "_parent_callback_ctx", "_skl_callbacks_to_teardown")
CALLBACK_ATTRIBUTES = ("_skl_callbacks", *CONTEXT_ATTRIBUTES)


class FitCallbacks:
    """Calls the callbacks at the beginning and the end of a fit and of each of its epochs.

    For scikit-learn, the fit and each of its epochs are tasks, and each task has a context. The argument `fitted` of
    the methods is a function that returns an estimator with the results so far. It is called only if a callback has the
    parameter `fitted_estimator`.

    Parameters
    ----------
    estimator : estimator
        The estimator of the user. It is unchanged until the fit ends.
    X, y, sample_weight : object
        The arguments of `fit`. Callbacks get no other ones, because `ScoringMonitor` passes all metadata to the score,
        which raises an error for `X_val` or `groups`.
    """

    def __init__(self, estimator: Any, X: Any, y: Any, sample_weight: Any):
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self._arguments = {"estimator": estimator, "X": X, "y": y, "metadata": metadata}

    def begin(self, n_epochs: int, n_trained: int) -> None:
        """Begin the fit; `n_trained` of its `n_epochs` were trained by an earlier process."""
        self._fit = self._arguments["estimator"]._init_callback_context(max_subtasks=n_epochs)
        for _ in range(n_trained):  # so that scikit-learn numbers the next epoch correctly
            self._fit.subcontext(task_name="epoch")
        self._fit.call_on_fit_task_begin(**self._arguments)

    def begin_epoch(self, fitted: Callable[[], Any]) -> None:
        """Begin the next epoch."""
        self._epoch = self._fit.subcontext(task_name="epoch")
        self._epoch.call_on_fit_task_begin(**self._arguments, reconstruction_attributes=_attributes(fitted))

    def end_epoch(self, fitted: Callable[[], Any]) -> bool:
        """End the epoch, and return whether a callback stops the training."""
        return bool(self._epoch.call_on_fit_task_end(**self._arguments, reconstruction_attributes=_attributes(fitted)))

    def end(self, fitted: Callable[[], Any]) -> None:
        """End the fit."""
        self._fit.call_on_fit_task_end(**self._arguments, reconstruction_attributes=_attributes(fitted))


def _attributes(fitted: Callable[[], Any]) -> Callable[[], dict[str, Any]]:
    """A function that returns the attributes which scikit-learn sets on a copy of the estimator.

    The copy can have other attributes, of an earlier fit. Setting its whole ``__dict__`` removes them.
    """
    return lambda: {"__dict__": without(CALLBACK_ATTRIBUTES, vars(fitted()))}


def without(names: tuple[str, ...], state: dict[str, Any]) -> dict[str, Any]:
    """A copy of the state without these names."""
    return {name: value for name, value in state.items() if name not in names}
