"""Base of the regressors: fit and predict one or several numeric targets."""

from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils import Tags
from sklearn.utils.metaestimators import available_if

from seqclf._base import BaseRNN, has_constant_rate
from seqclf._tasks.regression import LOSSES, Regression
from seqclf._tasks.task import Task
from seqclf._validation.parameters import options


class BaseRNNRegressor(RegressorMixin, BaseRNN):
    """Base of the regressors; the input base class of a subclass defines what X is."""

    _constraints: dict[str, Any] = BaseRNN._constraints | {"loss": options(*LOSSES)}
    _task: Regression

    def _new_task(self, y: Any) -> Task:
        return Regression(self.loss)

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
        groups: Any = None,
    ) -> Self:
        """Fit the network to X and y.

        A fit is all or nothing: after an error or Ctrl-C (KeyboardInterrupt is raised) the estimator is unchanged.

        Parameters
        ----------
        X : array-like, list or Series
            The training data, one sequence per row, in any of the forms that the class docstring lists.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            The targets: finite numbers, one or several per row. They are standardised for the network; predictions
            are in the units of y. Rows and targets are matched by position; if X and y both have a pandas index and
            these differ, a warning says so.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row in the losses, the scores, the linear model, the n-grams and the scaling. Only the
            proportions matter. Rows of weight 0 are left out entirely.
        X_val : array-like, list or Series, default=None
            Validation rows of the same kind as X, instead of rows held out of X: early stopping uses their loss, and
            all rows of X are used for training. Nothing else is learned from them. With ``patience=None`` they are only
            scored in ``history_``. See the parameter guide.
        y_val : array-like of shape (n_samples_val,) or (n_samples_val, n_targets), default=None
            The targets of X_val, with as many columns as y.
        sample_weight_val : array-like of shape (n_samples_val,), default=None
            Weight of each row of X_val in the validation loss and score.
        groups : array-like of shape (n_samples,), default=None
            The group of each row, such as its author, patient or film, if new data come from other groups. Early
            stopping holds out whole groups, and the linear model and n-grams are cross-fitted without the group of a
            row. At least two different hashable values. See the parameter guide.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter is out of range, the data are not as described, X_val or y_val is passed without the other,
            groups has missing values or fewer than two groups, or the loss stops being a finite number.
        TypeError
            If X or X_val is sparse or masked, or is not a container of rows.
        MemoryError
            If the longest sequence needs more memory than is available.

        Notes
        -----
        With `checkpoint_dir`, the estimator, its parameters, the data and the device identify a checkpoint, so several
        fits, such as those of a search, can share a folder. The file is removed when the fit is complete, and remains
        after an error or Ctrl-C. If a fit differs from a checkpoint in any of these, the checkpoint is not used, and a
        warning names the difference. A checkpoint from other versions of the packages raises an error. When a fit
        continues, the vocabulary and the linear model are fitted again, and only the remaining epochs are run.

        The callbacks of scikit-learn, set with `set_callbacks`, are called at the beginning and the end of the fit and
        of each epoch. They can stop the training. docs/callbacks.md describes them.

        If RANK and WORLD_SIZE are set, as torchrun does, these processes train the network together.
        docs/guide/many_processes.md describes it.
        """
        return self._fit(X, y, sample_weight, X_val, y_val, sample_weight_val, groups)

    @available_if(has_constant_rate)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one pass over a chunk of a stream.

        This needs ``schedule="constant"`` and ``patience=None``, ignores `max_epochs`, and calls no callbacks. A call
        is all or nothing, like `fit`. The state of the optimiser is kept, in pickles too, so training continues where
        it stopped.

        Parameters
        ----------
        X : array-like, list or Series
            Rows of the stream. The vocabulary (unless `tokenizer` is already fitted), scaling, linear model and n-grams
            are learned from the first chunk only, so start with a large one.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            The targets, as in `fit`.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row, on the same scale in all chunks.

        Returns
        -------
        self : object
            The estimator, with one more entry in ``history_``.

        Raises
        ------
        AttributeError
            If `schedule` is not "constant".
        TypeError
            If X is sparse or masked, or is not a container of rows.
        ValueError
            If the data are not as described, `patience` is not None, a target is constant in the first chunk, a
            parameter that determines the network has changed, or the loss stops being a finite number.

        Notes
        -----
        The first chunk is divided into five folds, and the content of a row determines its fold. A row that occurs
        again in a later chunk gets features that were fitted without its fold, so not to its own target. `fit` does not
        keep the models of its folds, so after `fit` pass only rows that were not in it. Parameters of the training and
        of the loss can change between calls. `clone`, which searches and meta-estimators call, turns a fitted
        `tokenizer` into an unfitted one.

        Examples
        --------
        >>> import numpy as np
        >>> from seqclf import RNNRegressor
        >>> rng = np.random.default_rng(0)
        >>> regressor = RNNRegressor(units=8, schedule="constant", random_state=0)
        >>> for _ in range(12):
        ...     X = rng.normal(size=(50, 6))
        ...     regressor = regressor.partial_fit(X, X.sum(axis=1))
        >>> X = rng.normal(size=(50, 6))
        >>> regressor.score(X, X.sum(axis=1)) > 0.9
        True
        """
        return self._partial_fit(X, y, sample_weight)

    def predict(self, X: Any) -> np.ndarray:
        """Predict the targets of each row.

        Parameters
        ----------
        X : array-like
            Sequences of the same kind as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_targets), float64
            The predicted targets, in the units and the shape of y.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError, TypeError
            If X is invalid, or not of the kind seen in `fit`.
        """
        fitted = self._fitted()
        return fitted._task.decode(fitted._outputs(X))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
