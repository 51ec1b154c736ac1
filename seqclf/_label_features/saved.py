"""What is learned from targets, made again of a saved state."""

from seqclf._label_features.label_features import LabelFeatures
from seqclf._label_features.series_label_features import SeriesLabelFeatures
from seqclf._label_features.tag_label_features import TagLabelFeatures
from seqclf._label_features.text_label_features import TextLabelFeatures
from seqclf._label_features.token_features import TokenNames
from seqclf._saved import Saved, State

# By the names that a state has for them.
_KINDS = {"text": TextLabelFeatures, "series": SeriesLabelFeatures, "tags": TagLabelFeatures}


def label_features_to_state(features: LabelFeatures) -> State:
    """What is saved, with its kind; the names of tokens are not."""
    kind = next(name for name, of in _KINDS.items() if type(features) is of)
    return {"kind": kind, **features.to_state()}


def label_features_from_state(saved: Saved, names: TokenNames | None) -> LabelFeatures:
    """The same features.

    Parameters
    ----------
    saved : Saved
        Of what `label_features_to_state` gave.
    names : TokenNames or None
        What the tokens are called, as in fit; None where their ids are their names, and of series.
    """
    kind = saved.option("kind", list(_KINDS))
    if kind == "text":
        return TextLabelFeatures.from_state(saved, names)
    if kind == "tags":
        return TagLabelFeatures.from_state(saved, None if names is None else names.tokens)
    return SeriesLabelFeatures.from_state(saved)
