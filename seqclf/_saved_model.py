"""A fitted model as a state: encoder, label-informed inputs, network and task, of which all of it predicts."""

from typing import NamedTuple

from seqclf._inference.network import InferenceNetwork
from seqclf._inputs.series_encoder import SeriesEncoder
from seqclf._inputs.text_encoder import TextEncoder
from seqclf._label_features.label_features import InputKind, LabelFeatures
from seqclf._label_features.saved import label_features_from_state
from seqclf._predictor import Predictor
from seqclf._saved import Saved, State
from seqclf._tasks.saved import task_from_state
from seqclf._tasks.task import Task
from seqclf._text.vocabulary import Vocabulary

_MAX_THREADS = 1_024


# What the estimators read, and the names of what they learn.
_CLASSES = ("Classification", "Multilabel")
_KINDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "RNNClassifier": (("series",), _CLASSES),
    "RNNRegressor": (("series",), ("Regression",)),
    "RNNTagger": (("series", "texts"), ("Tagging",)),
    "RNNTextClassifier": (("texts",), _CLASSES),
    "RNNTextRegressor": (("texts",), ("Regression",)),
}


class FittedParts(NamedTuple):
    """What predicts."""

    encoder: TextEncoder | SeriesEncoder
    features: LabelFeatures | None
    network: InferenceNetwork
    task: Task

    def to_state(self) -> State:
        """All of it but the label-informed inputs and the tokenizer, which have files of their own."""
        return {
            "input": self.encoder.to_state() | {"is_series": isinstance(self.encoder, SeriesEncoder)},
            "network": self.network.to_state(),
            "task": self.task.to_state(),
        }

    @classmethod
    def from_state(cls, saved: Saved) -> "FittedParts":
        """The same, from the state of a fitted estimator."""
        return saved.part("fitted", lambda fitted: cls._from_fitted(fitted, saved))

    @classmethod
    def _from_fitted(cls, fitted: Saved, saved: Saved) -> "FittedParts":
        encoder = fitted.part("input", lambda own: _encoder(own, saved))
        task = fitted.part("task", task_from_state)
        network = fitted.part("network", InferenceNetwork.from_state)
        features = None
        if saved.value("label_features") is not None:
            names = encoder.names if isinstance(encoder, TextEncoder) else None
            features = saved.part("label_features", lambda own: label_features_from_state(own, names))
        parts, name = cls(encoder, features, network, task), saved.option("class", tuple(_KINDS))
        reads, learns = _KINDS[name]
        saved.require(
            encoder.reads in reads and type(task).__name__ in learns,
            f"its class is {name}, and it reads {encoder.reads} and predicts {task.kind}",
        )
        parts.refuse_mismatch(saved)
        return parts

    def refuse_mismatch(self, saved: Saved) -> None:
        """Raise an error where the parts do not fit each other."""
        config, task, features, inputs = self.network.config, self.task, self.features, self._input_kind()
        n_step_features = 0 if features is None else features.n_step_features
        has_scores = features is not None and features.scores is not None and not task.per_step
        saved.require(
            config.n_outputs == task.n_outputs, f"its network has {config.n_outputs} outputs for {task.n_outputs}"
        )
        saved.require((config.pooling is None) == task.per_step, "its network and its targets differ in their units")
        for name, found, wanted in (
            ("vocab_size", config.vocab_size, inputs.n_ids),
            ("n_channels", config.n_channels, inputs.n_channels),
            ("n_step_features", config.n_step_features, n_step_features),
            ("scores", config.scores, has_scores),
        ):
            saved.require(found == wanted, f"its network was trained with {name}={found}, not {wanted}")
        fault = None if features is None else features.mismatch(inputs, task.n_outputs)
        saved.require(fault is None, str(fault))

    def _input_kind(self) -> InputKind:
        encoder, per_step = self.encoder, self.task.per_step
        if isinstance(encoder, SeriesEncoder):
            return InputKind(None, encoder.form.n_channels, False, per_step)
        return InputKind(encoder.vocab_size, 0, encoder.is_spelled, per_step)


def _encoder(own: Saved, saved: Saved) -> TextEncoder | SeriesEncoder:
    if own.boolean("is_series"):
        return saved.part("parameters", lambda parameters: SeriesEncoder.from_state(own, parameters))
    vocabulary = None
    if saved.value("tokenizer") is not None:
        vocabulary = saved.part("tokenizer", lambda tokenizer: tokenizer.part("vocabulary", Vocabulary.from_state))
    return TextEncoder.from_state(own, vocabulary)


def predictor_from_state(saved: Saved) -> Predictor:
    """What predicts as the estimator of this state does."""
    parts = FittedParts.from_state(saved)
    n_threads = saved.part("parameters", lambda own: own.optional("n_threads", own.integer, low=1, high=_MAX_THREADS))
    return Predictor(parts.encoder, parts.features, parts.network, parts.task, n_threads)
