"""`ExplainedModel`: what explanations need of a fitted estimator or a predictor."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqclf._data.encoded import EncodedSequences
from seqclf._data.ragged import Ragged
from seqclf._prediction import check_token_counts, predict_sequences
from seqclf._predictor import Predictor
from seqclf.inspection._fitted_estimator import fitted_estimator


class ExplainedModel:
    """A fitted model with encoded rows.

    Parameters
    ----------
    model : estimator or Predictor
        The fitted model.
    X : array-like
        The rows to explain.

    Attributes
    ----------
    estimator : estimator or None
        A snapshot of the estimator; None for a predictor.
    rows : Rows
        The validated rows.
    encoder, features, task
        The encoder, the label features (or None) and the task of the model.
    sequences : EncodedSequences
        The encoded rows, without label features.
    reads_series : bool
        Whether X holds series.
    """

    estimator: Any
    rows: Any
    encoder: Any
    sequences: EncodedSequences

    def __init__(self, model: Any, X: Any):
        if isinstance(model, Predictor):
            self.estimator, self._predictor = None, model
            self.encoder, self.features, self.task = model._encoder, model._features, model._task
            self.rows = self.encoder.validate(X)
            self.sequences = self.encoder.encode(self.rows)
            if self.task.per_step:
                check_token_counts(self.rows, self.sequences, "X", "TextTokenizer")
        else:
            self.estimator = fitted_estimator(model, "model", ", or a predictor that load_predictor returned")
            self.rows = self.estimator._validate_X(X, reset=False)
            self.encoder = self.estimator._encoder()
            self.features, self.task = self.estimator._label_features, self.estimator._task
            self.sequences = self.estimator._encode(self.rows)
        self.reads_series = self.sequences.steps.n_channels > 0

    def outputs(self, sequences: EncodedSequences) -> NDArray[np.float64] | Ragged:
        """The outputs of the network for encoded rows, on the device of the model."""
        if self.estimator is not None:
            found: NDArray[np.float64] | Ragged = self.estimator._predict_encoded(lambda: sequences, "outputs")
            return found
        model = self._predictor
        return predict_sequences(lambda: sequences, model._features, model._network.outputs, model._n_threads)

    def row(self, row: int) -> EncodedSequences:
        """One encoded row, without the new tokens of other rows, whose features would be computed too."""
        return self.sequences.part(row, row + 1)

    def baseline_outputs(self) -> NDArray[np.float64]:
        """The outputs of the network for a text without tokens, (n_outputs,)."""
        spelling = None if self.sequences.spelling is None else self.sequences.spelling.part(slice(0))
        empty = Ragged(np.empty(0, dtype=np.int32), np.zeros(1, dtype=np.int64))
        outputs = self.outputs(EncodedSequences(empty, spelling=spelling))
        assert isinstance(outputs, np.ndarray)
        return outputs[0]

    def tokens(self) -> list[list[str] | None]:
        """The tokens of each row, as a list of str; None for each series."""
        if self.reads_series:
            return [None] * len(self.sequences)
        vocabulary = self.encoder.vocabulary
        if vocabulary is not None:
            ids, new_tokens = vocabulary.to_ids(self.rows)
            names = [*vocabulary.tokens, *new_tokens]
            return [[names[id_] for id_ in row.tolist()] for row in ids.items()]
        rows = self.rows if isinstance(self.rows, Ragged) else self.sequences.steps
        return [list(map(str, row.tolist())) for row in rows.items()]

    def texts(self) -> list[str] | None:
        """The texts as given, if X holds texts."""
        return list(self.rows) if not self.reads_series and self.encoder.kind == "texts" else None

    def series(self) -> list[Any] | None:
        """The series in the units of X, with missing values filled in, if X holds series."""
        if not self.reads_series:
            return None
        return [values * self.encoder.scale + self.encoder.mean for values in self.sequences.steps.items()]

    def spans(self) -> list[Any]:
        """The spans of the tokens of each text; None for each row if there are none."""
        if self.texts() is None or self.encoder.vocabulary is None:
            return [None] * len(self.sequences)
        return list(self.encoder.vocabulary.spans(self.rows).items())
