"""What the classifiers share: `fit` over classes or labels, and predictions of them."""

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
    """Classes out. The subclasses say what X is."""

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
                f"class_weight={shorten(self.class_weight)} weighs classes against each other, but the labels of an "
                "indicator matrix y are learned each by itself. Leave class_weight=None; sample_weight weighs rows."
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

        The fit is all or nothing: after an error, or Ctrl-C (which is raised), the estimator is as it was before.

        Parameters
        ----------
        X : array-like, list or Series
            The training data, one sequence a row, in any of the forms that the class names.
        y : array-like of shape (n_samples,), or array-like or sparse matrix of shape (n_samples, n_labels)
            The classes: strings, integers or other objects, at least two of them. Or an indicator matrix of several
            labels a row: 1 where a row has a label, else 0; each label is learned by itself, and `class_weight` has to
            be None. Row and target are matched by position; where X and y both have a pandas index and these differ, a
            warning says so.
        sample_weight : array-like of shape (n_samples,), default=None
            What each row counts in losses, scores, the linear model, n-grams and scaling; only the proportions
            matter. Rows of weight 0 are left out altogether.
        X_val : array-like, list or Series, default=None
            Rows to watch instead of a split of X: early stopping goes by their loss, and all rows of X train. They
            are of the kind of X, with its width or channels; vocabulary, linear model, n-grams and scaling are
            learned from X alone. With ``patience=None`` they stop nothing and are scored in ``history_`` all the
            same.
        y_val : array-like of shape (n_samples_val,) or (n_samples_val, n_labels), default=None
            The classes of X_val, each of them a class of y; it need not hold all of those. Or their labels.
        sample_weight_val : array-like of shape (n_samples_val,), default=None
            What each row of X_val counts in the validation loss and score; `class_weight` counts in the loss besides.
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
            If a hyperparameter is out of range, the data are not as described, there are fewer than two classes, X_val
            or y_val is given without the other, y_val holds a label that y does not, groups are missing or fewer than
            two, or the loss stops being a finite number.
        TypeError
            If X or X_val is sparse or masked, or no container of rows.

        Notes
        -----
        A `Pipeline` transforms X and leaves X_val alone. Either the classifier does the work itself (texts, token ids
        and ragged series go straight in, and nothing is learned from X_val), or the pipeline is told of X_val::

            sklearn.set_config(enable_metadata_routing=True)
            classifier = RNNClassifier(patience=5).set_fit_request(X_val=True, y_val=True)
            pipeline = Pipeline([("padder", SequencePadder()), ("classifier", classifier)], transform_input=["X_val"])
            pipeline.fit(X, y, X_val=X_val, y_val=y_val)

        ``GridSearchCV(...).fit(X, y, groups=groups)`` and ``cross_validate(..., groups=groups)`` cut the rows up by
        groups and keep these to themselves: without them the classifier makes its own split, and counts labels, as if
        all rows were strangers. With metadata routing they reach it too::

            sklearn.set_config(enable_metadata_routing=True)
            classifier = RNNTextClassifier(patience=2).set_fit_request(groups=True)
            GridSearchCV(classifier, {"units": [16, 32]}, cv=GroupKFold(5)).fit(X, y, groups=groups)

        A search or cross-validation takes whatever has as many rows as X for values beside them, and cuts it up with
        X: give it an X_val of another number of rows.

        With `checkpoint_dir` a file is known by estimator, parameters, data and device, so that several fits, such as
        those of a search, can share a folder. It is removed when the fit ends, and stays after an error or Ctrl-C. A
        checkpoint of a fit that differs in these is left alone, and a warning names the difference; one that other
        versions of the packages have written is an error. Vocabulary and linear model are learned again, epochs aren't.
        """
        return self._fit(X, y, sample_weight, X_val, y_val, sample_weight_val, groups)

    @available_if(has_constant_rate)
    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train one pass over a chunk of a stream.

        It needs ``schedule="constant"`` and ``patience=None``, and ignores `max_epochs`. A call is all or nothing, as
        `fit` is. The state of the optimiser is kept, in pickles too, so that a training goes on where it stopped.

        Parameters
        ----------
        X : array-like, list or Series
            Rows of the stream. Vocabulary (unless `tokenizer` is fitted already), scaling, linear model and n-grams are
            learned from the first chunk and kept, so begin with a large one.
        y : array-like of shape (n_samples,), or array-like or sparse matrix of shape (n_samples, n_labels)
            Their targets, as in `fit`.
        classes : array-like of shape (n_classes,), default=None
            All classes that the stream will ever hold; the first call needs them. A class without a row yet is taken to
            be as rare as half a row. Labels of an indicator matrix need none.
        sample_weight : array-like of shape (n_samples,), default=None
            What each row counts; across chunks too, a weight counts the same.

        Returns
        -------
        self : object
            The estimator, with one more row in ``history_``.

        Raises
        ------
        ValueError
            If the data are not as described, a hyperparameter that makes another network has changed, a label is not in
            `classes`, or the loss stops being a finite number.

        Notes
        -----
        A row that comes again, to the bit, is told what the first chunk has taught without a fifth of its rows, among
        them the same row: its fold goes by what it holds. After `fit`, which keeps no models of its folds, give
        `partial_fit` other rows than those of `fit`. Settings of the training and the loss may change between calls.
        `clone`, which searches and meta-estimators call, makes a fitted `tokenizer` an unfitted one.

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
            Sequences of the kind seen in fit.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            For two classes the logit of ``classes_[1]``, else one logit a class or label.
        """
        logits = self._fitted()._outputs(X)
        return logits[:, 0] if logits.shape[1] == 1 else logits

    def predict(self, X: Any) -> np.ndarray:
        """The likeliest class of each row, or its labels.

        Parameters
        ----------
        X : array-like
            Sequences of the kind seen in fit.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_labels)
            Classes out of ``classes_``; or an indicator matrix, 1 for labels with a probability above a half.
        """
        fitted = self._fitted()
        return fitted._task.decode(fitted._outputs(X))

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of the classes or labels.

        Parameters
        ----------
        X : array-like
            Sequences of the kind seen in fit.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``. Those of classes add up to 1; each label has its own probability.
        """
        fitted = self._fitted()
        return fitted._task.probabilities(fitted._outputs(X))

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Logarithms of the probabilities of the classes or labels, exact where the probabilities round to 0 or 1.

        Parameters
        ----------
        X : array-like
            Sequences of the kind seen in fit.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``.
        """
        fitted = self._fitted()
        return fitted._task.log_probabilities(fitted._outputs(X))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
