"""Contributions as plain text for terminals, with or without ANSI colours."""

import numpy as np
from numpy.typing import NDArray

from seqclf.inspection._contributions import Contributions
from seqclf.inspection._text_pieces import Piece, largest_contribution, text_pieces, title

# Tokens with at least these parts of the largest contribution are marked.
_MIN_PART, _STRONG_PART = 1 / 3, 2 / 3
_WIDTH = 80  # cells of a longer series
_RED, _BLUE, _BOLD, _END = "\x1b[31m", "\x1b[34m", "\x1b[1m", "\x1b[0m"


def to_text(rows: list[Contributions], texts: list[str] | None, ansi: bool) -> str:
    """All rows, with a legend."""
    largest = largest_contribution(rows)
    if all(found.tokens is None for found in rows):
        legend = f"# and + raise the output, = and - lower it; the largest contribution is {largest:.3g}"
    elif ansi:
        legend = f"{_RED}raises the output{_END}, {_BLUE}lowers it{_END}; the largest contribution is {largest:.3g}"
    else:
        legend = f"[token +contribution] for those of at least a third of the largest, {largest:.3g}"
    blocks = [legend]
    for position, found in enumerate(rows):
        if found.tokens is None:
            lines = [_strip(channel, values, largest, ansi) for channel, values in enumerate(found.contributions.T)]
        else:
            pieces = text_pieces(found, None if texts is None else texts[position])
            lines = ["".join((_coloured if ansi else _marked)(piece, largest) for piece in pieces)]
        blocks.append("\n".join([title(found), *lines]))
    return "\n\n".join(blocks)


def _marked(piece: Piece, largest: float) -> str:
    if piece.value is None or not largest or abs(piece.value) < _MIN_PART * largest:
        return piece.text
    return f"[{piece.text} {piece.value:+.2g}]"


def _coloured(piece: Piece, largest: float) -> str:
    if piece.value is None or not largest or abs(piece.value) < _MIN_PART * largest:
        return piece.text
    strong = _BOLD if abs(piece.value) >= _STRONG_PART * largest else ""
    return f"{strong}{_RED if piece.value > 0 else _BLUE}{piece.text}{_END}"


def _strip(channel: int, values: NDArray[np.float64], largest: float, ansi: bool) -> str:
    """One sign for each step of a channel, or for the mean of each of 80 parts of a longer series."""
    parts = np.array_split(values, max(min(len(values), _WIDTH), 1))
    signs = "".join(_sign(float(part.mean()), largest, ansi) for part in parts if len(part))
    return f"channel {channel}  {signs}"


def _sign(value: float, largest: float, ansi: bool) -> str:
    part = abs(value) / largest if largest else 0.0
    if part < _MIN_PART:
        return "."
    sign = ("#" if part >= _STRONG_PART else "+") if value > 0 else ("=" if part >= _STRONG_PART else "-")
    return f"{_RED if value > 0 else _BLUE}{sign}{_END}" if ansi else sign
