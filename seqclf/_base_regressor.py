"""What the regressors share: `fit` over numbers, and predictions of them."""

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
    """Numbers out. The subclasses say what X is."""

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

        The fit is all or nothing: after an error, or Ctrl-C (which is raised), the estimator is as it was before.

        Parameters
        ----------
        X : array-like, list or Series
            The training data, one sequence a row, in any of the forms that the class names.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            The targets: finite numbers, one or several a row. They are standardised for the network, and predictions
            are in their units. Row and target are matched by position; where X and y both have a pandas index and
            these differ, a warning says so.
        sample_weight : array-like of shape (n_samples,), default=None
            What each row counts in losses, scores, the linear model, n-grams and scaling; only the proportions
            matter. Rows of weight 0 are left out altogether.
        X_val : array-like, list or Series, default=None
            Rows to watch instead of a split of X: early stopping goes by their loss, and all rows of X train. They
            are of the kind of X, with its width or channels; vocabulary, linear model, n-grams and scaling are
            learned from X alone. With ``patience=None`` they stop nothing and are scored in ``history_`` all the
            same.
        y_val : array-like of shape (n_samples_val,) or (n_samples_val, n_targets), default=None
            The targets of X_val, as many a row as y has.
        sample_weight_val : array-like of shape (n_samples_val,), default=None
            What each row of X_val counts in the validation loss and score.
        groups : array-like of shape (n_samples,), default=None
            What rows have in common that new data will not share: the author, the patient, the film. The split for
            early stopping then holds out whole groups, as near to `validation_fraction` as they allow; every class,
            if there are any, keeps rows to train on, and has some to watch where that is possible. With
            ``patience=None`` or X_val there is no such split. What the linear model and `nb_ngrams` tell a row is
            learned without its whole group. Numbers, strings or other hashable objects, at least two different ones.
            Searches and cross-validation hand them on only when they are told to: see the notes of
            :meth:`RNNClassifier.fit`.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a hyperparameter is out of range, the data are not as described, X_val or y_val is given without the
            other, groups are missing or fewer than two, or the loss stops being a finite number.
        TypeError
            If X or X_val is sparse or masked, or no container of rows.

        Notes
        -----
        With `checkpoint_dir` a file is known by estimator, parameters, data and device, so that several fits, such as
        those of a search, can share a folder. It is removed when the fit ends, and stays after an error or Ctrl-C. A
        checkpoint of a fit that differs in these is left alone, and a warning names the difference; one that other
        versions of the packages have written is an error. Vocabulary and linear model are learned again, epochs aren't.
        """
        return self._fit(X, y, sample_weight, X_val, y_val, sample_weight_val, groups)

    @available_if(has_constant_rate)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train one pass over a chunk of a stream.

        It needs ``schedule="constant"`` and ``patience=None``, and ignores `max_epochs`. A call is all or nothing, as
        `fit` is. The state of the optimiser is kept, in pickles too, so that a training goes on where it stopped.

        Parameters
        ----------
        X : array-like, list or Series
            Rows of the stream. Vocabulary (unless `tokenizer` is fitted already), scaling, linear model and n-grams are
            learned from the first chunk and kept, so begin with a large one.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Their targets, as in `fit`.
        sample_weight : array-like of shape (n_samples,), default=None
            What each row counts; across chunks too, a weight counts the same.

        Returns
        -------
        self : object
            The estimator, with one more row in ``history_``.

        Raises
        ------
        ValueError
            If the data are not as described, a hyperparameter that makes another network has changed, or the
            loss stops being a finite number.

        Notes
        -----
        A row that comes again, to the bit, is told what the first chunk has taught without a fifth of its rows, among
        them the same row: its fold goes by what it holds. After `fit`, which keeps no models of its folds, give
        `partial_fit` other rows than those of `fit`. Settings of the training and the loss may change between calls.
        `clone`, which searches and meta-estimators call, makes a fitted `tokenizer` an unfitted one.

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
        """The numbers of each row.

        Parameters
        ----------
        X : array-like
            Sequences of the kind seen in fit.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_targets), float64
            In the units and the form of y.
        """
        fitted = self._fitted()
        return fitted._task.decode(fitted._outputs(X))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
