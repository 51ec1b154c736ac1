"""What is learned from targets, made again of a saved state. A model has one kind of it, and no other is imported."""

from seqclf._label_features.label_features import LabelFeatures
from seqclf._label_features.token_features import TokenNames
from seqclf._saved import Saved, State

# By the names of the classes; those of a state are shorter.
_KINDS = {"TextLabelFeatures": "text", "SeriesLabelFeatures": "series", "TagLabelFeatures": "tags"}


def label_features_to_state(features: LabelFeatures) -> State:
    """What is saved, with its kind; the names of tokens are not."""
    return {"kind": _KINDS[type(features).__name__], **features.to_state()}


def label_features_from_state(saved: Saved, names: TokenNames | None) -> LabelFeatures:
    """The same features.

    Parameters
    ----------
    saved : Saved
        Of what `label_features_to_state` gave.
    names : TokenNames or None
        What the tokens are called, as in fit; None where their ids are their names, and of series.
    """
    kind = saved.option("kind", tuple(_KINDS.values()))
    if kind == "text":
        from seqclf._label_features.text_label_features import TextLabelFeatures

        return TextLabelFeatures.from_state(saved, names)
    if kind == "tags":
        from seqclf._label_features.tag_label_features import TagLabelFeatures

        return TagLabelFeatures.from_state(saved, None if names is None else names.tokens)
    from seqclf._label_features.series_label_features import SeriesLabelFeatures

    return SeriesLabelFeatures.from_state(saved)
