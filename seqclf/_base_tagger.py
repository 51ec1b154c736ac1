"""Base of the tagger: fit and predict one label per step, for sequences of any kind."""

from typing import Any, Self

import numpy as np
from sklearn.utils import Tags
from sklearn.utils.metaestimators import available_if

from seqclf._base import AutoEpochs, has_constant_rate
from seqclf._base_series import BaseSeriesRNN
from seqclf._base_text import BaseTextRNN
from seqclf._data.dataset import Rows
from seqclf._data.encoded import EncodedSequences
from seqclf._inputs.series_encoder import SeriesEncoder
from seqclf._inputs.text_encoder import TextEncoder
from seqclf._label_features.label_features import LabelFeatures
from seqclf._label_features.tag_label_features import TagLabelFeatures
from seqclf._prediction import check_token_counts
from seqclf._tasks.tagging import Tagging
from seqclf._tasks.task import Task
from seqclf._text_tokenizer import TextTokenizer
from seqclf._validation.alignment import check_one_target_per_step
from seqclf._validation.argument_errors import names_argument
from seqclf._validation.parameters import class_weight, optional, options, raise_parameter_changed
from seqclf._validation.steps import holds_series
from seqclf._validation.tags import check_tag_type, validate_tags
from seqclf._validation.targets import validate_sample_weight

# Attributes that a fit learns from X. Each kind of X sets only some of them, so a new fit removes them all first.
_ATTRIBUTES_FROM_X = (
    *("input_kind_", "tokenizer_", "vocab_size_", "renumbered_ids_"),
    *("n_channels_in_", "n_features_in_", "channel_names_in_", "channel_mean_", "channel_scale_"),
)


class BaseRNNTagger(BaseTextRNN, BaseSeriesRNN):
    """Base of the tagger: X holds token lists, token ids or series, y a label for each of their steps."""

    _constraints: dict[str, Any] = {
        name: constraint
        for name, constraint in (BaseTextRNN._constraints | BaseSeriesRNN._constraints).items()
        if name not in ("pooling", "nb_ngrams")  # Labels of steps need neither.
    } | {"class_weight": class_weight(), "transitions": optional(options("bio"))}
    _task: Tagging
    _reads_series: bool

    @property
    def _inputs(self) -> type[BaseTextRNN] | type[BaseSeriesRNN]:
        """The base class for the kind of X."""
        return BaseSeriesRNN if self._reads_series else BaseTextRNN

    @property
    def _step_name(self) -> str:  # type: ignore[override]
        return self._inputs._step_name

    # On the training half of ATIS, ten epochs found more complete slots than the four epochs of 600 updates.
    _auto_epochs = AutoEpochs(n_updates=1_500, n_steps=20_000_000, min_epochs=3, max_epochs=10)

    @property
    def _auto_epochs_alone(self) -> AutoEpochs:  # type: ignore[override]
        return self._inputs._auto_epochs_alone

    def _new_task(self, y: Any) -> Task:
        return Tagging(self.class_weight, self.transitions)

    def _default_tokenizer(self) -> TextTokenizer:
        return TextTokenizer(lowercase=False)  # Capital letters are evidence for names.

    @names_argument
    def _validate_X(self, X: Any, reset: bool, name: str = "X") -> Rows:
        if reset:
            self._reads_series = holds_series(X)
            for attribute in _ATTRIBUTES_FROM_X:
                self.__dict__.pop(attribute, None)
        rows = self._inputs._validate_X(self, X, reset, name)
        if not self._reads_series and self.input_kind_ == "texts":
            raise ValueError(
                f"{name} holds texts, but labels are for single steps: split the texts into lists of tokens, "
                "[text.split() for text in X]."
            )
        return rows

    def _fit_encoder(self, rows: Rows, weights: np.ndarray) -> EncodedSequences:
        sequences = self._inputs._fit_encoder(self, rows, weights)
        self._check_lost_tokens(rows, sequences, "X")
        return sequences

    def _encode(self, rows: Rows, name: str = "X") -> EncodedSequences:
        sequences = self._inputs._encode(self, rows, name)
        self._check_lost_tokens(rows, sequences, name)
        return sequences

    def _check_lost_tokens(self, rows: Rows, sequences: EncodedSequences, name: str) -> None:
        check_token_counts(rows, sequences, name, type(getattr(self, "tokenizer_", None)).__name__)

    def _encoder(self) -> TextEncoder | SeriesEncoder:  # type: ignore[override]
        return self._inputs._encoder(self)

    def _set_encoder(self, encoder: TextEncoder | SeriesEncoder, tokenizer: TextTokenizer | None) -> None:
        self._reads_series = isinstance(encoder, SeriesEncoder)
        self._inputs._set_encoder(self, encoder, tokenizer)

    def _start_encoder(self, rows: Rows, weights: np.ndarray) -> EncodedSequences:
        sequences = self._inputs._start_encoder(self, rows, weights)
        self._check_lost_tokens(rows, sequences, "X")
        return sequences

    def _check_label_features(self, task: Task) -> None:
        if not self._reads_series and self.wide != (was_wide := hasattr(self, "wide_")):
            raise_parameter_changed("wide", was_wide, self.wide)

    def _fitted_attributes(self) -> tuple[str, ...]:
        input_attributes = self._inputs._fitted_attributes(self) if hasattr(self, "_reads_series") else ()
        return ("_reads_series", *input_attributes)

    def _input_config(self) -> dict[str, Any]:
        return self._inputs._input_config(self)

    def _new_label_features(self, task: Task, rng: np.random.RandomState) -> LabelFeatures | None:
        if self._reads_series:
            return None
        if not self.wide:
            return None
        names = BaseTextRNN._encoder(self).names
        return TagLabelFeatures(None if names is None else names.tokens)

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
        X : list or array
            The training data, one sequence per row, in any of the forms that the class docstring lists.
        y : list of lists or arrays
            For each row of X one label per step: strings, integers or booleans, of at least two classes. None (or
            NaN, NaT and NA) marks a step without a label: it is part of the sequence, but not of losses and scores.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row in the losses, the scores, the linear model and the scaling. Only the proportions
            matter. Rows of weight 0 are left out entirely.
        X_val : list or array, default=None
            Validation rows of the same kind as X, instead of rows held out of X: early stopping uses their loss, and
            all rows of X are used for training. Nothing else is learned from them. With ``patience=None`` they are only
            scored in ``history_``. See the parameter guide.
        y_val : list of lists or arrays, default=None
            The labels of the steps of X_val. Each must be a label of y, or None.
        sample_weight_val : array-like of shape (n_samples_val,), default=None
            Weight of each row of X_val in the validation loss and score. The loss also uses `class_weight`.
        groups : array-like of shape (n_samples,), default=None
            The group of each row, such as its author, patient or film, if new data come from other groups. Early
            stopping holds out whole groups, and the linear model is cross-fitted without the group of a row. At least
            two different hashable values. See the parameter guide.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter is out of range, the data are not as described, a row of y does not have one label for each
            step of its row of X, there are fewer than two classes, X_val or y_val is passed without the other, y_val
            holds a label that y does not, groups has missing values or fewer than two groups, or the loss stops being a
            finite number.
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
    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train for one pass over a chunk of a stream.

        This needs ``schedule="constant"`` and ``patience=None``, ignores `max_epochs`, and calls no callbacks. A call
        is all or nothing, like `fit`. The state of the optimiser is kept, in pickles too, so training continues where
        it stopped.

        Parameters
        ----------
        X : array-like, list or Series
            Rows of the stream. The vocabulary (unless `tokenizer` is already fitted), scaling and linear model are
            learned from the first chunk only, so start with a large one.
        y : list of lists or arrays
            The targets, as in `fit`.
        classes : array-like of shape (n_classes,), default=None
            All classes that the stream will ever contain; required in the first call. For the linear model, a class
            without steps in the first chunk counts as half a step.
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
        >>> from seqclf import RNNTagger
        >>> X = [["the", noun, verb] for noun in ["cat", "dog", "sun"] for verb in ["sat", "ran", "rose"]]
        >>> tagger = RNNTagger(units=8, schedule="constant", random_state=0)
        >>> for _ in range(20):
        ...     tagger = tagger.partial_fit(X, [["D", "N", "V"]] * 9, classes=["D", "N", "V"])
        >>> tagger.predict([["the", "cat", "ran"]])[0].tolist()
        ['D', 'N', 'V']
        """
        return self._partial_fit(X, y, sample_weight, classes)

    def predict(self, X: Any) -> np.ndarray:
        """Predict the label of each step.

        Parameters
        ----------
        X : list or array
            Sequences of the same kind as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples,), dtype object
            For each sequence one array of values of ``classes_``, of shape (n_steps,).

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
        """Probabilities of the classes at each step.

        Parameters
        ----------
        X : list or array
            Sequences of the same kind as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples,), dtype object
            For each sequence one array of shape (n_steps, n_classes), with columns in the order of ``classes_``. Each
            step is considered on its own: `transitions` does not apply.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError, TypeError
            If X is invalid, or not of the kind seen in `fit`.
        """
        fitted = self._fitted()
        return fitted._task.probabilities(fitted._outputs(X))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Accuracy over steps: the fraction of the labelled steps whose label is predicted.

        Parameters
        ----------
        X : list or array
            Sequences of the same kind as in `fit`.
        y : list of lists or arrays
            The labels of the steps. Steps labelled None do not count; a label that was not in fit is never predicted.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each sequence, which holds for each of its steps.

        Returns
        -------
        float
            The accuracy; NaN if no step has a label.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError, TypeError
            If X is invalid or not of the kind seen in `fit`, or y does not have one label of the type of ``classes_``,
            or None, for each step.
        """
        predicted = self.predict(X)
        tags = validate_tags(y, len(predicted), name="y", rows_name="X")
        lengths = np.array([len(row) for row in predicted], dtype=np.int64)
        check_one_target_per_step(tags.lengths, lengths, "X", "y")
        check_tag_type(tags, self.classes_, "y")
        weights = np.repeat(validate_sample_weight(sample_weight, len(predicted)), lengths)
        found = [label for row in predicted for label in row.tolist()]
        labelled = np.array([label is not None for label in tags.values.tolist()], dtype=bool)
        hits = np.array([one == other for one, other in zip(found, tags.values.tolist(), strict=True)], dtype=bool)
        total = weights[labelled].sum()
        return float(weights[labelled & hits].sum() / total) if total else float("nan")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.one_d_labels = False
        tags.target_tags.two_d_labels = False
        return tags
