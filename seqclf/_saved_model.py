"""`FittedComponents`: encoder, label features, network and task of a fitted model, and their state."""

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

# The input kinds and the task classes of each estimator.
_CLASSES = ("Classification", "Multilabel")
_KINDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "RNNClassifier": (("series",), _CLASSES),
    "RNNRegressor": (("series",), ("Regression",)),
    "RNNTagger": (("series", "texts"), ("Tagging",)),
    "RNNTextClassifier": (("texts",), _CLASSES),
    "RNNTextRegressor": (("texts",), ("Regression",)),
}


class FittedComponents(NamedTuple):
    """Everything that a fitted model needs to predict."""

    encoder: TextEncoder | SeriesEncoder
    features: LabelFeatures | None
    network: InferenceNetwork
    task: Task

    def to_state(self) -> State:
        """The state without label features and tokenizer, which are saved as separate documents."""
        return {
            "input": self.encoder.to_state() | {"is_series": isinstance(self.encoder, SeriesEncoder)},
            "network": self.network.to_state(),
            "task": self.task.to_state(),
        }

    @classmethod
    def from_state(cls, saved: Saved) -> "FittedComponents":
        """The components from the state of a fitted estimator."""
        return saved.part("fitted", lambda fitted: cls._from_fitted(fitted, saved))

    @classmethod
    def _from_fitted(cls, fitted: Saved, saved: Saved) -> "FittedComponents":
        encoder = fitted.part("input", lambda state: _encoder(state, saved))
        task = fitted.part("task", task_from_state)
        network = fitted.part("network", InferenceNetwork.from_state)
        features = None
        if saved.value("label_features") is not None:
            names = encoder.names if isinstance(encoder, TextEncoder) else None
            features = saved.part("label_features", lambda state: label_features_from_state(state, names))
        components, name = cls(encoder, features, network, task), saved.option("class", tuple(_KINDS))
        input_kinds, tasks = _KINDS[name]
        saved.require(
            encoder.input_kind in input_kinds and type(task).__name__ in tasks,
            f"its class is {name}, but its input is {encoder.input_kind} and it predicts {task.kind}",
        )
        components.check_consistency(saved)
        return components

    def check_consistency(self, saved: Saved) -> None:
        """Raise an error if the components do not match each other."""
        config, task, features, inputs = self.network.config, self.task, self.features, self._input_kind()
        n_step_features = 0 if features is None else features.n_step_features
        has_scores = features is not None and features.scores is not None and not task.per_step
        saved.require(
            config.n_outputs == task.n_outputs,
            f"its network has {config.n_outputs} outputs, but its task needs {task.n_outputs}",
        )
        saved.require(
            (config.pooling is None) == task.per_step,
            f"its network has pooling={config.pooling!r}, but its task predicts "
            f"{'each step' if task.per_step else 'whole sequences'}",
        )
        for name, found, expected in (
            ("vocab_size", config.vocab_size, inputs.n_ids),
            ("n_channels", config.n_channels, inputs.n_channels),
            ("n_step_features", config.n_step_features, n_step_features),
            ("scores", config.scores, has_scores),
        ):
            saved.require(found == expected, f"its network was trained with {name}={found}; expected {expected}")
        fault = None if features is None else features.mismatch(inputs, task.n_outputs)
        saved.require(fault is None, str(fault))

    def _input_kind(self) -> InputKind:
        encoder, per_step = self.encoder, self.task.per_step
        if isinstance(encoder, SeriesEncoder):
            return InputKind(None, encoder.form.n_channels, False, per_step)
        return InputKind(encoder.vocab_size, 0, encoder.has_spelling, per_step)


def _encoder(encoder_state: Saved, saved: Saved) -> TextEncoder | SeriesEncoder:
    if encoder_state.boolean("is_series"):
        return saved.part("parameters", lambda parameters: SeriesEncoder.from_state(encoder_state, parameters))
    vocabulary = None
    if saved.value("tokenizer") is not None:
        vocabulary = saved.part("tokenizer", lambda tokenizer: tokenizer.part("vocabulary", Vocabulary.from_state))
    return TextEncoder.from_state(encoder_state, vocabulary)


def predictor_from_state(saved: Saved) -> Predictor:
    """The predictor equivalent to the estimator of this state."""
    fitted = FittedComponents.from_state(saved)
    n_threads = saved.part(
        "parameters", lambda parameters: parameters.optional("n_threads", parameters.integer, low=1, high=_MAX_THREADS)
    )
    return Predictor(fitted.encoder, fitted.features, fitted.network, fitted.task, n_threads)
