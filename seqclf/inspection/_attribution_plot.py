"""Contributions as matplotlib pictures: a coloured text in lines, or a series with a strip of colours below it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple
from unicodedata import category, combining, east_asian_width

import numpy as np
from numpy.typing import NDArray

from seqclf.inspection._colours import LOWERS, MAX_OPACITY, RAISES, colour
from seqclf.inspection._text_pieces import Piece

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]
_FONT = "DejaVu Sans Mono"  # part of matplotlib
# Fonts for the characters that it does not have, as far as they are installed.
_MORE_FONTS = (
    "DejaVu Sans",
    "Noto Sans CJK KR",
    "Noto Sans CJK SC",
    "NanumGothic",
    "Malgun Gothic",
    "Apple SD Gothic Neo",
    "Hiragino Sans",
    "Microsoft YaHei",
    "WenQuanYi Zen Hei",
    "Arial Unicode MS",
)
# The width of a column and the distance of lines, as fractions of the font size. Hinting makes characters, which are
# 0.602 wide, a little wider or narrower, so each word is drawn by itself.
_COLUMN_WIDTH, _LINE_HEIGHT = 0.63, 1.7
_WIDE = 1.75  # the columns of a wide character, such as those of Korean
FONT_SIZE, _MIN_FONT_SIZE = 10.0, 4.0  # points
_POINTS = 72  # per inch


class Fragment(NamedTuple):
    """A part of a piece on one line: one white space, or characters without white space.

    Parameters
    ----------
    text : str
    piece : int
        The index of the piece.
    line : int
    column, width : float
        In columns, each of which is as wide as a narrow character.
    """

    text: str
    piece: int
    line: int
    column: float
    width: float


def wrap(pieces: list[Piece], n_columns: int) -> list[Fragment]:
    """Arrange pieces in lines of at most `n_columns`.

    Lines break at white space, or inside words that are longer than a line.
    """
    fragments: list[Fragment] = []
    for placed in _locate_characters(pieces, n_columns):
        last = fragments[-1] if fragments else None
        is_word = last is not None and not (last.text.isspace() or placed.text.isspace())
        if last is not None and is_word and (last.piece, last.line) == (placed.piece, placed.line):
            fragments[-1] = last._replace(text=last.text + placed.text, width=last.width + placed.width)
        else:
            fragments.append(placed)
    return fragments


def text_height(pieces: list[Piece], width: float) -> float:
    """The height in inches of a text in lines of this width."""
    fragments = wrap(pieces, _columns(width, FONT_SIZE))
    return _n_lines(fragments) * FONT_SIZE * _LINE_HEIGHT / _POINTS


def draw_text(axes: "Axes", pieces: list[Piece], largest: float, title: str) -> None:
    """Draw a text with coloured tokens into empty axes, in a font that fits."""
    box = axes.get_window_extent().transformed(axes.figure.dpi_scale_trans.inverted())
    size = FONT_SIZE
    fragments = wrap(pieces, _columns(box.width, size))
    while size > _MIN_FONT_SIZE and _n_lines(fragments) * size * _LINE_HEIGHT / _POINTS > box.height * 1.01:
        size *= 0.9
        fragments = wrap(pieces, _columns(box.width, size))
    axes.set_axis_off()
    _set_title(axes, title)
    axes.set_xlim(0, _columns(box.width, size))
    axes.set_ylim(max(_n_lines(fragments), box.height * _POINTS / (size * _LINE_HEIGHT)), 0)
    families = _families("".join(piece.text for piece in pieces), _FONT)
    for fragment in fragments:
        _draw_background(axes, fragment, pieces[fragment.piece].value, largest)
        axes.text(
            fragment.column,
            fragment.line + 0.5,
            fragment.text,
            fontsize=size,
            fontfamily=families,
            verticalalignment="center_baseline",
            parse_math=False,
        )


def draw_series(axes: "Axes", series: NDArray[np.floating], contributions: Floats, largest: float, title: str) -> None:
    """Draw each channel of a series, (n_steps, n_channels), above a strip of its contributions."""
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    n_steps, n_channels = series.shape
    lowers, raises = (tuple(part / 255 for part in each) for each in (LOWERS, RAISES))
    stops = [(*lowers, MAX_OPACITY), (*lowers, 0.0), (*raises, 0.0), (*raises, MAX_OPACITY)]
    shades = LinearSegmentedColormap.from_list("contributions", list(zip((0, 0.5, 0.5, 1), stops, strict=True)))
    norm = Normalize(-(largest or 1.0), largest or 1.0)
    for channel in range(n_channels if n_steps else 0):
        bottom = n_channels - 1 - channel
        extent = (-0.5, n_steps - 0.5, bottom + 0.05, bottom + 0.25)
        image = contributions[None, :, channel]
        axes.imshow(image, cmap=shades, norm=norm, extent=extent, aspect="auto", interpolation="nearest")
        values = series[:, channel]
        low, high = (np.nanmin(values), np.nanmax(values)) if np.isfinite(values).any() else (0.0, 1.0)
        scaled = (values - low) / ((high - low) or 1.0)
        axes.plot(np.arange(n_steps), bottom + 0.32 + 0.6 * scaled, color="gray", marker="." if n_steps < 60 else "")
    axes.set_xlim(-0.5, max(n_steps, 1) - 0.5)
    axes.set_ylim(0, max(n_channels, 1))
    axes.set_yticks(np.arange(n_channels) + 0.5, [f"channel {channel}" for channel in range(n_channels)][::-1])
    axes.set_xlabel("step")
    _set_title(axes, title)


def draw_legend(figure: Any, largest: float) -> None:
    """A legend for the colours, at the upper right of a figure."""
    from matplotlib.patches import Patch

    values = {f"raises the output (by up to {largest:.3g})": largest or 1.0, "lowers it": -largest or -1.0}
    handles = [Patch(facecolor=_rgba(value, largest or 1.0), label=label) for label, value in values.items()]
    figure.legend(handles=handles, loc="upper right", ncols=2, fontsize=FONT_SIZE - 2, frameon=False)


def _set_title(axes: "Axes", title: str) -> None:
    axes.set_title(title, loc="left", fontsize=FONT_SIZE, fontfamily=_families(title, "DejaVu Sans"), parse_math=False)


def _rgba(value: float, largest: float) -> Any:
    found = colour(value, largest)
    if found is None:
        return "none"
    *parts, opacity = found
    return (*(part / 255 for part in parts), opacity)


def _draw_background(axes: "Axes", fragment: Fragment, value: float | None, largest: float) -> None:
    from matplotlib.patches import Rectangle

    if value is None:
        return
    corner = (fragment.column, fragment.line + 0.08)
    axes.add_patch(Rectangle(corner, fragment.width, 0.84, facecolor=_rgba(value, largest), linewidth=0))


def _families(text: str, font: str) -> list[str]:
    """The fonts to draw this text with; matplotlib takes each character from the first that has it."""
    if text.isascii():
        return [font]
    from matplotlib.font_manager import fontManager

    installed = {font.name for font in fontManager.ttflist}
    return [font, *(more for more in _MORE_FONTS if more in installed)]


def _columns(width: float, font_size: float) -> int:
    """The number of columns in a line of this width in inches."""
    return max(int(width * _POINTS / (_COLUMN_WIDTH * font_size)), 4)


def _n_lines(fragments: list[Fragment]) -> int:
    return 1 + (fragments[-1].line if fragments else 0)


def _width(character: str) -> float:
    """The number of columns of a character."""
    if combining(character) or category(character) in ("Mn", "Me", "Cf"):
        return 0.0
    return _WIDE if east_asian_width(character) in "WF" else 1.0


def _locate_characters(pieces: list[Piece], n_columns: int) -> Iterator[Fragment]:
    """Each character with its position; white space at the beginning of a line is left out."""
    line, column, is_start = 0, 0.0, True
    for word in _words(pieces):
        if column and column + sum(_width(character) for character, _ in word) > n_columns:
            line, column, is_start = line + 1, 0.0, True
        for character, piece in word:
            width = _width(character)
            if character == "\n" or column + width > n_columns:
                line, column, is_start = line + 1, 0.0, True
            if character.isspace() and is_start:
                continue
            yield Fragment(" " if character.isspace() else character, piece, line, column, width)
            column, is_start = column + width, False


def _words(pieces: list[Piece]) -> Iterator[list[tuple[str, int]]]:
    """Runs of characters without white space, and single white spaces, with the indices of their pieces."""
    word: list[tuple[str, int]] = []
    for position, piece in enumerate(pieces):
        for character in piece.text:
            if not character.isspace():
                word.append((character, position))
                continue
            if word:
                yield word
            yield [(character, position)]
            word = []
    if word:
        yield word
