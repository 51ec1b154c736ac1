"""Save and restore label features. A model has one kind of them, and only the module of that kind is imported."""

from seqclf._label_features.label_features import LabelFeatures
from seqclf._label_features.token_features import TokenNames
from seqclf._saved import Saved, State

# The kind in a state, by the name of the class.
_KINDS = {"TextLabelFeatures": "text", "SeriesLabelFeatures": "series", "TagLabelFeatures": "tags"}


def label_features_to_state(features: LabelFeatures) -> State:
    """The state to save, with its kind, but without the names of tokens."""
    return {"kind": _KINDS[type(features).__name__], **features.to_state()}


def label_features_from_state(saved: Saved, names: TokenNames | None) -> LabelFeatures:
    """Restore label features.

    Parameters
    ----------
    saved : Saved
        A state from `label_features_to_state`.
    names : TokenNames or None
        The names of the tokens, as in fit; None if token ids have no other names, and for series.
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
