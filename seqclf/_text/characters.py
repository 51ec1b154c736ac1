"""How a text is read before it is split: what is changed in it, and which characters words are made of."""

import re
import unicodedata
from functools import cache

import numpy as np
from numpy.typing import NDArray

_LINE_BREAK = re.compile(r"<[\s/]*+br\b[^<>]*+>", re.IGNORECASE)  # <br />, </br>, < BR clear="all">
_ALNUM, _SPACE = re.compile(r"\w"), re.compile(r"\s")
_PAGE = 256  # characters that are looked up together
_N_PAGES = 0x2000


def clean(text: str, lowercase: bool) -> str:
    """The text with spaces for HTML line breaks, typewriter apostrophes, and small letters if `lowercase`."""
    if "<" in text:
        text = _LINE_BREAK.sub(" ", text)
    text = text.replace("’", "'")
    return text.lower() if lowercase else text


@cache
def word_pattern() -> re.Pattern[str]:
    r"""Words and single marks.

    Python's ``\w`` leaves out the combining marks that vowels are written with in Hindi and many other scripts, and
    accents that stand alone; a word keeps them here. ``++`` and ``*+`` never step back, which makes them fast.
    """
    marks = "".join(filter(_is_mark, map(chr, range(0x10000))))
    letter = rf"[\w{marks}]"
    return re.compile(rf"{letter}++(?:'{letter}++)*+|[^\w\s][{marks}]*+")


def _is_mark(character: str) -> bool:
    return "\u0300" <= character <= "\uffff" and unicodedata.category(character).startswith("M")


class Characters:
    """What is known of some characters, by the rules above, in the form that the compiled splitter reads.

    Parameters
    ----------
    lowercase : bool
        As in :func:`clean`.

    Attributes
    ----------
    page_index : ndarray of shape (0x2000,), dtype int32
        The row of `pages` for each page of 256 characters, or -1. The first page has row 0.
    pages : ndarray of shape (room, 256), dtype uint32
        For each character the bits of `Kind` in abi.h, and above them the character that it is read as.
    """

    def __init__(self, lowercase: bool) -> None:
        self._lowercase, self._n_pages = lowercase, 0
        self.page_index = np.full(_N_PAGES, -1, dtype=np.int32)
        self.pages = np.empty((4, _PAGE), dtype=np.uint32)
        self.add(0)

    def add(self, code: int) -> None:
        """Make the page of this character known."""
        if self._n_pages == len(self.pages):
            self.pages = np.concatenate([self.pages, np.empty_like(self.pages)])
        self.page_index[code // _PAGE] = self._n_pages
        self.pages[self._n_pages] = _page(code // _PAGE, self._lowercase)
        self._n_pages += 1


@cache
def _page(number: int, lowercase: bool) -> NDArray[np.uint32]:
    return np.array([_entry(chr(_PAGE * number + place), lowercase) for place in range(_PAGE)], dtype=np.uint32)


def _entry(character: str, lowercase: bool) -> int:
    alnum, mark, space = _ALNUM.match(character), _is_mark(character), _SPACE.match(character)
    kinds = (alnum or mark, mark, space, alnum, not _is_context_free(character, lowercase))
    bits = sum(1 << place for place, kind in enumerate(kinds) if kind)
    return bits | ord(clean(character, lowercase)[0]) << 8


def _is_context_free(character: str, lowercase: bool) -> bool:
    """Whether it becomes one character, and the same one whatever is next to it.

    A capital sigma becomes another small letter at the end of a word, and a capital I with a dot two characters.
    """
    read = clean(character, lowercase)
    return len(read) == 1 and clean("a" + character, lowercase) == "a" + read
