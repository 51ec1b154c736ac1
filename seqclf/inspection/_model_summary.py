"""`model_summary`: the layers, inputs, targets and training of a fitted estimator."""

from typing import Any

import numpy as np

from seqclf._base import BaseRNN
from seqclf._label_features.last_steps import LastSteps
from seqclf._label_features.linear_scores import LinearScores
from seqclf._label_features.log_count_ratios import LogCountRatios
from seqclf._label_features.random_convolutions import RandomConvolutions
from seqclf._label_features.target_means import TargetMeans
from seqclf._label_features.token_context import TokenContext
from seqclf._label_features.token_features import TokenFeatures
from seqclf._text_tokenizer import TextTokenizer
from seqclf._validation.containers import shorten
from seqclf.inspection._fitted_estimator import fitted_estimator, network_config
from seqclf.inspection._layers import layers_of
from seqclf.inspection._summary import ModelSummary

_LINEAR_FEATURES = {
    RandomConvolutions: "random convolutions",
    LastSteps: "values of the last steps",
    TokenContext: "spelling and neighbours of a token",
}
_STEP_FEATURES = {LogCountRatios: "log-count ratios", TargetMeans: "mean targets"}
_MAX_NAMES = 5


def model_summary(estimator: Any) -> ModelSummary:
    """Summarise a fitted estimator: layers and weights, linear model, tokens, targets and training.

    Parameters
    ----------
    estimator : RNNClassifier, RNNTextClassifier, RNNRegressor, RNNTextRegressor or RNNTagger
        A fitted estimator, or one that `load_model` returned. It is not changed, and torch is not imported.

    Returns
    -------
    ModelSummary
        It prints as a table, and a notebook shows it as one. Its attributes are `title`, `layers`, `facts`, and
        `n_parameters`, which equals ``estimator.n_parameters_``.

    Raises
    ------
    TypeError
        If `estimator` is not an estimator of this package.
    NotFittedError
        If it is not fitted.

    Examples
    --------
    >>> from seqclf import RNNClassifier, datasets
    >>> from seqclf.inspection import model_summary
    >>> X, y = datasets.make_order_series(40, random_state=0)
    >>> classifier = RNNClassifier(units=8, conv_filters=0, wide=False, max_epochs=2, random_state=0).fit(X, y)
    >>> print(model_summary(classifier))
    RNNClassifier: one class per row
    <BLANKLINE>
    layer        settings                      output shape  weights
    ----------------------------------------------------------------
    input        1 channel                     (steps, 1)          0
    recurrent 1  gru, 2 directions of 8 units  (steps, 16)       528
    pooling      mean                          (16,)               0
    head         linear, 16 inputs             (1,)               17
    ----------------------------------------------------------------
    total                                                        545
    <BLANKLINE>
    inputs        series of 1 channel, scaled
    classes       2: 0, 1
    linear model  none
    training      2 epochs in ... s
    """
    fitted = fitted_estimator(estimator)
    layers = layers_of(network_config(fitted), _step_features(fitted))
    facts = {"inputs": _inputs(fitted), **_targets(fitted), "linear model": _linear_model(fitted)}
    title = f"{type(estimator).__name__}: {fitted._task.kind}"
    return ModelSummary(title, tuple(layers), facts | {"training": _training(fitted)})


def _step_features(fitted: BaseRNN) -> str:
    """What the features next to each token are."""
    features = getattr(fitted._label_features, "of_ngrams", None)
    if features is None:
        return "scores of the linear model"
    return f"{_STEP_FEATURES[type(features)]} of n-grams of 1 to {features.n_orders} tokens"


def _inputs(fitted: BaseRNN) -> str:
    kind = getattr(fitted, "input_kind_", None)
    if kind is None:
        return _series(fitted)
    n_ids = f"{fitted.vocab_size_:,} token ids"  # type: ignore[attr-defined]
    if kind == "ids":
        return f"{n_ids}, with padding and unknown"
    tokenizer = fitted.tokenizer_  # type: ignore[attr-defined]
    if type(tokenizer) is not TextTokenizer:
        return f"{kind}, {n_ids} of {type(tokenizer).__name__}"
    level = {"word": "words", "char": "characters", "subword": "subwords"}[tokenizer.level_]
    cut = "" if tokenizer.max_length is None else f", at most {tokenizer.max_length:,} tokens"
    texts = "lists of tokens" if kind == "tokens" else f"texts, split into {level}"
    return f"{texts}{cut}; {n_ids}, with padding and unknown"


def _series(fitted: Any) -> str:
    scaled = ", scaled" if np.any(fitted.channel_scale_ != 1) else ""
    if hasattr(fitted, "n_features_in_"):
        return f"table of {_count(fitted.n_features_in_, 'step')}{scaled}"
    names = getattr(fitted, "channel_names_in_", None)
    listed = "" if names is None else f" ({_listed(names)})"
    return f"series of {_count(fitted.n_channels_in_, 'channel')}{listed}{scaled}"


def _targets(fitted: Any) -> dict[str, str]:
    if not hasattr(fitted, "classes_"):
        return {"targets": f"{_count(fitted._task.n_outputs, 'number')} per row; loss {fitted._task.loss!r}"}
    classes = f"{len(fitted.classes_):,}: {_listed(fitted.classes_)}"
    if (transitions := getattr(fitted._task, "transitions", None)) is not None:
        classes += f"; transitions {transitions!r}"
    return {"classes": classes}


def _linear_model(fitted: Any) -> str:
    """The size and the kinds of features of the linear model."""
    if not hasattr(fitted, "wide_"):
        return "none"
    wide: LinearScores = fitted.wide_
    n_weights = wide.coef_.size + wide.intercept_.size
    return f"{len(wide.coef_):,} features ({_linear_features(wide.features)}), {n_weights:,} weights"


def _linear_features(features: Any) -> str:
    if not isinstance(features, TokenFeatures):
        return _LINEAR_FEATURES.get(type(features), type(features).__name__)
    tokens = "TF-IDF of tokens" if features.n_orders == 1 else f"TF-IDF of n-grams of 1 to {features.n_orders} tokens"
    return tokens if features.characters_ is None else f"{tokens} and of characters"


def _training(fitted: BaseRNN) -> str:
    seconds = sum(epoch.get("seconds", 0.0) for epoch in fitted.history_)
    text = f"{_count(fitted.n_iter_, 'epoch')} in {seconds:.3g} s"
    if fitted.best_epoch_ == fitted.n_iter_:
        return text
    return f"{text}; weights of epoch {fitted.best_epoch_}, the best one"


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def _listed(names: Any) -> str:
    """The first names, with an ellipsis for the others."""
    first = [shorten(name.item() if isinstance(name, np.generic) else name) for name in names[:_MAX_NAMES]]
    return ", ".join([*first, "..."] if len(names) > _MAX_NAMES else first)
