"""Contributions as HTML: coloured texts, and a strip of coloured cells for each channel of a series.

Texts are untrusted: everything is escaped. Colours are drawn behind text in the colour of the page, which is readable
on light and on dark pages.
"""

from html import escape

import numpy as np
from numpy.typing import NDArray

from seqclf.inspection._colours import colour
from seqclf.inspection._contributions import Contributions
from seqclf.inspection._text_pieces import Piece, largest_contribution, text_pieces, title

# Longer series are drawn with this many cells, each with the mean of its steps.
_MAX_CELLS = 200


def to_html(rows: list[Contributions], texts: list[str] | None) -> str:
    """All rows, with a legend."""
    largest = largest_contribution(rows)
    parts = ['<div style="max-width: 60em; line-height: 1.7; color: inherit">', _legend(largest)]
    for position, found in enumerate(rows):
        parts.append(f'<div style="margin-top: 0.8em"><b>{escape(title(found))}</b></div>')
        if found.tokens is None:
            parts += [_strip(channel, values, largest) for channel, values in enumerate(found.contributions.T)]
        else:
            pieces = text_pieces(found, None if texts is None else texts[position])
            body = "".join(_span(piece, largest) for piece in pieces)
            parts.append(f'<div dir="auto" style="white-space: pre-wrap; overflow-wrap: anywhere">{body}</div>')
    return "".join([*parts, "</div>"])


def _legend(largest: float) -> str:
    samples = [Piece(f"raises the output (by up to {largest:.3g})", largest), Piece("lowers it", -largest)]
    return f'<div style="font-size: 0.85em">{" ".join(_span(sample, largest) for sample in samples)}</div>'


def _span(piece: Piece, largest: float) -> str:
    if piece.value is None:
        return escape(piece.text)
    found = colour(piece.value, largest)
    style = "" if found is None else f' style="background: {_css(found)}; border-radius: 0.2em"'
    return f'<span title="{piece.value:+.3g}"{style}>{escape(piece.text)}</span>'


def _strip(channel: int, values: NDArray[np.float64], largest: float) -> str:
    """The contributions of one channel of a series."""
    parts = np.array_split(values, max(min(len(values), _MAX_CELLS), 1))
    cells = "".join(_cell(float(part.mean()), largest) for part in parts if len(part))
    outline = "outline: 1px solid rgba(128, 128, 128, 0.5)"
    return (
        '<div style="display: flex; align-items: center; margin: 0.2em 0">'
        f'<span style="width: 7em">channel {channel}</span>'
        f'<span style="display: flex; flex: 1; height: 1.2em; {outline}">{cells}</span></div>'
    )


def _cell(value: float, largest: float) -> str:
    found = colour(value, largest)
    background = "" if found is None else f"; background: {_css(found)}"
    return f'<span title="{value:+.3g}" style="flex: 1{background}"></span>'


def _css(found: tuple[int, int, int, float]) -> str:
    red, green, blue, opacity = found
    return f"rgba({red}, {green}, {blue}, {opacity:.2f})"
