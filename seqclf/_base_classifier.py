"""Base of the classifiers: fit and predict classes, or several labels per row."""

from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.metaestimators import available_if

from seqclf._base import BaseRNN, has_constant_rate
from seqclf._tasks.classification import Classification
from seqclf._tasks.multilabel import Multilabel
from seqclf._tasks.task import Task
from seqclf._validation.containers import shorten
from seqclf._validation.indicators import is_indicator
from seqclf._validation.parameters import class_weight


class BaseRNNClassifier(ClassifierMixin, BaseRNN):
    """Base of the classifiers; the input base class of a subclass defines what X is."""

    _constraints: dict[str, Any] = BaseRNN._constraints | {"class_weight": class_weight()}
    _task: Classification | Multilabel

    def _new_task(self, y: Any) -> Task:
        if not is_indicator(y):
            return Classification(self.class_weight)
        return self._new_multilabel()

    def _next_task(self) -> Task:
        return Classification(self.class_weight) if isinstance(self._task, Classification) else self._new_multilabel()

    def _new_multilabel(self) -> Multilabel:
        if self.class_weight is not None:
            raise ValueError(
                f"class_weight={shorten(self.class_weight)} weights classes against each other, but the labels of an "
                "indicator matrix y are learned independently. Use class_weight=None; sample_weight weights rows."
            )
        return Multilabel()

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
        y : array-like of shape (n_samples,), or array-like or sparse matrix of shape (n_samples, n_labels)
            The classes: strings, integers or other objects, at least two different ones. Or an indicator matrix of
            several labels per row: 1 if a row has a label, else 0; `class_weight` must then be None. Rows and targets
            are matched by position. See the parameter guide.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row in the losses, the scores, the linear model, the n-grams and the scaling. Only the
            proportions matter. Rows of weight 0 are left out entirely.
        X_val : array-like, list or Series, default=None
            Validation rows of the same kind as X, instead of rows held out of X: early stopping uses their loss, and
            all rows of X are used for training. Nothing else is learned from them. With ``patience=None`` they are only
            scored in ``history_``. See the parameter guide.
        y_val : array-like of shape (n_samples_val,) or (n_samples_val, n_labels), default=None
            The classes of X_val. Each must be a class of y; not all classes need to occur. Or an indicator matrix with
            the columns of y.
        sample_weight_val : array-like of shape (n_samples_val,), default=None
            Weight of each row of X_val in the validation loss and score. The loss also uses `class_weight`.
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
            If a parameter is out of range, the data are not as described, there are fewer than two classes, X_val
            or y_val is passed without the other, y_val holds a label that y does not, groups has missing values or
            fewer than two groups, or the loss stops being a finite number.
        TypeError
            If X or X_val is sparse or masked, or is not a container of rows.
        MemoryError
            If the longest sequence needs more memory than is available.

        Notes
        -----
        A `Pipeline` transforms X, but not X_val. Either let the classifier do the work itself (it accepts texts, token
        ids and ragged series, and learns nothing from X_val), or let the pipeline transform X_val too::

            sklearn.set_config(enable_metadata_routing=True)
            classifier = RNNClassifier(patience=5).set_fit_request(X_val=True, y_val=True)
            pipeline = Pipeline([("padder", SequencePadder()), ("classifier", classifier)], transform_input=["X_val"])
            pipeline.fit(X, y, X_val=X_val, y_val=y_val)

        ``GridSearchCV(...).fit(X, y, groups=groups)`` and ``cross_validate(..., groups=groups)`` split the rows by
        groups, but do not pass the groups to the classifier: its own validation split and cross-fitting then treat all
        rows as independent. With metadata routing the classifier gets them too::

            sklearn.set_config(enable_metadata_routing=True)
            classifier = RNNTextClassifier(patience=2).set_fit_request(groups=True)
            GridSearchCV(classifier, {"units": [16, 32]}, cv=GroupKFold(5)).fit(X, y, groups=groups)

        A search or cross-validation assumes that any argument with as many rows as X belongs to the rows of X, and
        splits it with X. Pass an X_val with a different number of rows.

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
    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train for one pass over a chunk of a stream.

        This needs ``schedule="constant"`` and ``patience=None``, ignores `max_epochs`, and calls no callbacks. A call
        is all or nothing, like `fit`. The state of the optimiser is kept, in pickles too, so training continues where
        it stopped.

        Parameters
        ----------
        X : array-like, list or Series
            Rows of the stream. The vocabulary (unless `tokenizer` is already fitted), scaling, linear model and n-grams
            are learned from the first chunk only, so start with a large one.
        y : array-like of shape (n_samples,), or array-like or sparse matrix of shape (n_samples, n_labels)
            The targets, as in `fit`.
        classes : array-like of shape (n_classes,), default=None
            All classes that the stream will ever contain; required in the first call, but not for an indicator matrix.
            For the linear model, a class without rows in the first chunk counts as half a row.
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
            If the data are not as described, `patience` is not None, a parameter that determines the network has
            changed, a label is not in `classes`, or the loss stops being a finite number.

        Notes
        -----
        The first chunk is divided into five folds, and the content of a row determines its fold. A row that occurs
        again in a later chunk gets features that were fitted without its fold, so not to its own target. `fit` does not
        keep the models of its folds, so after `fit` pass only rows that were not in it. Parameters of the training and
        of the loss can change between calls. `clone`, which searches and meta-estimators call, turns a fitted
        `tokenizer` into an unfitted one.

        Examples
        --------
        >>> from seqclf import RNNTextClassifier, datasets
        >>> texts, labels = datasets.make_order_reviews(300, random_state=0, return_X_y=True)
        >>> classifier = RNNTextClassifier(units=8, schedule="constant", random_state=0)
        >>> for start in [0, 100, 200] * 5:
        ...     rows = slice(start, start + 100)
        ...     classifier = classifier.partial_fit(texts[rows], labels[rows], classes=[0, 1])
        >>> classifier.n_iter_, bool(classifier.score(texts, labels) > 0.9)
        (15, True)
        """
        return self._partial_fit(X, y, sample_weight, classes)

    def decision_function(self, X: Any) -> np.ndarray:
        """Logits of the classes or labels.

        Parameters
        ----------
        X : array-like
            Sequences of the same kind as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            For two classes the logit of ``classes_[1]``, otherwise one logit per class or label.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError, TypeError
            If X is invalid, or not of the kind seen in `fit`.
        """
        logits = self._fitted()._outputs(X)
        return logits[:, 0] if logits.shape[1] == 1 else logits

    def predict(self, X: Any) -> np.ndarray:
        """Predict the most probable class of each row, or its labels.

        Parameters
        ----------
        X : array-like
            Sequences of the same kind as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_labels)
            Values of ``classes_``; or an indicator matrix, with 1 for labels whose probability is above 0.5.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError, TypeError
            If X is invalid, or not of the kind seen in `fit`.
        """
        fitted = self._fitted()
        return fitted._task.decode(fitted._outputs(X))

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of the classes or labels.

        Parameters
        ----------
        X : array-like
            Sequences of the same kind as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes) or (n_samples, n_labels)
            Columns are in the order of ``classes_``. The probabilities of classes add up to 1; each label has its own
            probability.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError, TypeError
            If X is invalid, or not of the kind seen in `fit`.
        """
        fitted = self._fitted()
        return fitted._task.probabilities(fitted._outputs(X))

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Log-probabilities of the classes or labels, accurate even if the probabilities round to 0 or 1.

        Parameters
        ----------
        X : array-like
            Sequences of the same kind as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes) or (n_samples, n_labels)
            Columns are in the order of ``classes_``.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError, TypeError
            If X is invalid, or not of the kind seen in `fit`.
        """
        fitted = self._fitted()
        return fitted._task.log_probabilities(fitted._outputs(X))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
