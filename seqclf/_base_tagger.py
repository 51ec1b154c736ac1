"""What a tagger is: sequences of any kind in, a label for each of their steps out."""

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
from seqclf._prediction import refuse_lost_tokens
from seqclf._tasks.tagging import Tagging
from seqclf._tasks.task import Task
from seqclf._text_tokenizer import TextTokenizer
from seqclf._validation.alignment import match_steps
from seqclf._validation.parameters import class_weight, optional, options, raise_change
from seqclf._validation.reading import names_its_input
from seqclf._validation.steps import holds_series
from seqclf._validation.tags import check_tags, refuse_other_sort
from seqclf._validation.targets import read_sample_weight

# What a fit learns of X. A fit on another kind of X learns only some of it, so all of it is removed first.
_LEARNED_OF_X = (
    *("input_kind_", "tokenizer_", "vocab_size_", "renumbered_ids_"),
    *("n_channels_in_", "n_features_in_", "channel_names_in_", "channel_mean_", "channel_scale_"),
)


class BaseRNNTagger(BaseTextRNN, BaseSeriesRNN):
    """Token lists, token ids or series in, labels of their steps out."""

    _constraints: dict[str, Any] = {
        name: constraint
        for name, constraint in (BaseTextRNN._constraints | BaseSeriesRNN._constraints).items()
        if name not in ("pooling", "nb_ngrams")  # A label for each step needs neither.
    } | {"class_weight": class_weight(), "transitions": optional(options("bio"))}
    _task: Tagging
    _reads_series: bool

    @property
    def _inputs(self) -> type[BaseTextRNN] | type[BaseSeriesRNN]:
        """The base class that reads this kind of X."""
        return BaseSeriesRNN if self._reads_series else BaseTextRNN

    @property
    def _step_name(self) -> str:  # type: ignore[override]
        return self._inputs._step_name

    # On the training half of ATIS ten epochs gave more whole slots than the four that 600 steps come to.
    _auto_epochs = AutoEpochs(n_updates=1_500, n_steps=20_000_000, min_epochs=3, max_epochs=10)

    @property
    def _auto_epochs_alone(self) -> AutoEpochs:  # type: ignore[override]
        return self._inputs._auto_epochs_alone

    def _new_task(self, y: Any) -> Task:
        return Tagging(self.class_weight, self.transitions)

    def _default_tokenizer(self) -> TextTokenizer:
        return TextTokenizer(lowercase=False)  # Capitals tell names.

    @names_its_input
    def _validate_X(self, X: Any, reset: bool, name: str = "X") -> Rows:
        if reset:
            self._reads_series = holds_series(X)
            for attribute in _LEARNED_OF_X:
                self.__dict__.pop(attribute, None)
        rows = self._inputs._validate_X(self, X, reset, name)
        if not self._reads_series and self.input_kind_ == "texts":
            raise ValueError(
                f"{name} holds texts, but each step needs a label of its own: split them into lists of tokens, "
                "[text.split() for text in X]."
            )
        return rows

    def _fit_encoder(self, rows: Rows, weights: np.ndarray) -> EncodedSequences:
        sequences = self._inputs._fit_encoder(self, rows, weights)
        self._refuse_lost_tokens(rows, sequences, "X")
        return sequences

    def _encode(self, rows: Rows, name: str = "X") -> EncodedSequences:
        sequences = self._inputs._encode(self, rows, name)
        self._refuse_lost_tokens(rows, sequences, name)
        return sequences

    def _refuse_lost_tokens(self, rows: Rows, sequences: EncodedSequences, name: str) -> None:
        refuse_lost_tokens(rows, sequences, name, type(getattr(self, "tokenizer_", None)).__name__)

    def _encoder(self) -> TextEncoder | SeriesEncoder:  # type: ignore[override]
        return self._inputs._encoder(self)

    def _keep_encoder(self, encoder: TextEncoder | SeriesEncoder, tokenizer: TextTokenizer | None) -> None:
        self._reads_series = isinstance(encoder, SeriesEncoder)
        self._inputs._keep_encoder(self, encoder, tokenizer)

    def _start_encoder(self, rows: Rows, weights: np.ndarray) -> EncodedSequences:
        sequences = self._inputs._start_encoder(self, rows, weights)
        self._refuse_lost_tokens(rows, sequences, "X")
        return sequences

    def _refuse_other_features(self, task: Task) -> None:
        if not self._reads_series and self.wide != (learned := hasattr(self, "wide_")):
            raise_change("wide", learned, self.wide)

    def _learned(self) -> tuple[str, ...]:
        of_inputs = self._inputs._learned(self) if hasattr(self, "_reads_series") else ()
        return ("_reads_series", *of_inputs)

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

        The fit is all or nothing: after an error, or Ctrl-C (which is raised), the estimator is as it was before.

        Parameters
        ----------
        X : list or array
            The training data, one sequence a row, in any of the forms that the class names.
        y : list of lists or arrays
            For each row of X one label for each of its steps: strings, whole numbers or booleans, of at least two
            classes. None is a step without a label: it is read, but counts in no loss and no score. So
            is what is missing to pandas: NaN, NaT and NA.
        sample_weight : array-like of shape (n_samples,), default=None
            What each row counts in losses, scores, the linear model and scaling; only the proportions matter. Rows of
            weight 0 are left out altogether.
        X_val : list or array, default=None
            Rows to watch instead of a split of X: early stopping goes by their loss, and all rows of X train. They
            are of the kind of X, with its channels; vocabulary, linear model and scaling are learned from X alone.
            With ``patience=None`` they stop nothing and are scored in ``history_`` all the same.
        y_val : list of lists or arrays, default=None
            The labels of the steps of X_val, each of them a label of y, or None.
        sample_weight_val : array-like of shape (n_samples_val,), default=None
            What each row of X_val counts in the validation loss and score; `class_weight` counts in the loss besides.
        groups : array-like of shape (n_samples,), default=None
            What rows have in common that new data will not share: the author, the patient, the film. The split for
            early stopping then holds out whole groups, as near to `validation_fraction` as they allow. With
            ``patience=None`` or X_val there is no such split. What the linear model tells a row is learned without its
            whole group. Numbers, strings or other hashable objects, at least two different ones. Searches and
            cross-validation hand them on only when they are told to: see the notes of :meth:`RNNClassifier.fit`,
            which hold here too.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a hyperparameter is out of range, the data are not as described, a row of y has not one label for each
            step of its row of X, there are fewer than two classes, X_val or y_val is given without the other, y_val
            holds a label that y does not, groups are missing or fewer than two, or the loss stops being a finite
            number.
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
    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train one pass over a chunk of a stream.

        It needs ``schedule="constant"`` and ``patience=None``, and ignores `max_epochs`. A call is all or nothing, as
        `fit` is. The state of the optimiser is kept, in pickles too, so that a training goes on where it stopped.

        Parameters
        ----------
        X : array-like, list or Series
            Rows of the stream. Vocabulary (unless `tokenizer` is fitted already), scaling, linear model and n-grams are
            learned from the first chunk and kept, so begin with a large one.
        y : list of lists or arrays
            Their targets, as in `fit`.
        classes : array-like of shape (n_classes,), default=None
            All classes that the stream will ever hold; the first call needs them. A class without a row yet is taken to
            be as rare as half a row.
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
        """The label of each step.

        Parameters
        ----------
        X : list or array
            Sequences of the kind seen in fit.

        Returns
        -------
        ndarray of shape (n_samples,), dtype object
            One array of labels out of ``classes_`` for each sequence, of shape (n_steps,).
        """
        fitted = self._fitted()
        return fitted._task.decode(fitted._outputs(X))

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of the classes at each step.

        Parameters
        ----------
        X : list or array
            Sequences of the kind seen in fit.

        Returns
        -------
        ndarray of shape (n_samples,), dtype object
            One array for each sequence, of shape (n_steps, n_classes); columns in the order of ``classes_``. They are
            those of each step by itself, whatever `transitions` allow.
        """
        fitted = self._fitted()
        return fitted._task.probabilities(fitted._outputs(X))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The share of the steps whose label is predicted.

        Parameters
        ----------
        X : list or array
            Sequences of the kind seen in fit.
        y : list of lists or arrays
            Their labels. Steps labelled None don't count; a label that `fit` has not seen is never predicted.
        sample_weight : array-like of shape (n_samples,), default=None
            What each step of a sequence counts.

        Returns
        -------
        float
            NaN where no step has a label.
        """
        predicted = self.predict(X)
        tags = check_tags(y, len(predicted), name="y", rows_name="X")
        lengths = np.array([len(row) for row in predicted], dtype=np.int64)
        match_steps(tags.lengths, lengths, "X", "y")
        refuse_other_sort(tags, self.classes_, "y")
        weights = np.repeat(read_sample_weight(sample_weight, len(predicted)), lengths)
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
