"""`Piece`: a text divided into tokens with their contributions and what is between them, for any kind of picture."""

import re
from typing import NamedTuple

import numpy as np

from seqclf.inspection._contributions import Contributions

# Characters that are not displayed, but can change how all others are: controls, direction overrides, and surrogates.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_REPLACEMENT = "\ufffd"
_LINE_BREAK = re.compile("\r\n?")


class Piece(NamedTuple):
    """A part of a text.

    Parameters
    ----------
    text : str
        Without control characters.
    value : float or None
        The contribution of a token; None for what belongs to no token.
    """

    text: str
    value: float | None


def text_pieces(found: Contributions, text: str | None) -> list[Piece]:
    """The pieces of a row: of the text as given, or without one the tokens, separated by spaces."""
    assert found.tokens is not None
    values = found.contributions.tolist()
    if text is None or found.spans is None:
        pieces = [Piece(visible(token), value) for token, value in zip(found.tokens, values, strict=True)]
        return [each for piece in pieces for each in (Piece(" ", None), piece)][1:]
    pieces, copied = [], 0
    for (start, stop), value in zip(found.spans.tolist(), values, strict=True):
        if stop <= copied:  # tokens that were made from one character
            last = pieces.pop()
            pieces.append(last._replace(value=(last.value or 0.0) + value))
            continue
        start = max(start, copied)
        if start > copied:
            pieces.append(Piece(visible(text[copied:start]), None))
        pieces.append(Piece(visible(text[start:stop]), value))
        copied = stop
    rest = text[copied:]
    return [*pieces, Piece(visible(rest), None)] if rest else pieces


def visible(text: str) -> str:
    """The text with control characters replaced, except tabs and line breaks, those of other systems too."""
    return _CONTROLS.sub(_REPLACEMENT, _LINE_BREAK.sub("\n", text))


def largest_contribution(rows: list[Contributions]) -> float:
    """The largest absolute contribution in all rows, 0 if there are none."""
    return max((float(np.abs(row.contributions).max(initial=0.0)) for row in rows), default=0.0)


def title(found: Contributions) -> str:
    """What was explained, in one line."""
    if isinstance(found.target, tuple):
        step, label = found.target
        token = "" if found.tokens is None else f" ({visible(found.tokens[step])})"
        what = f"{label!s} at step {step}{token}"
    else:
        what = str(found.target)
    baseline = "" if np.isnan(found.baseline) else f", baseline {found.baseline:.2f}"
    return visible(f"target {what}: output {found.output:.2f}{baseline}")
