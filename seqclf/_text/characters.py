"""How a text is read before it is split: what is changed in it, and which characters words are made of."""

import re
import unicodedata
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

_LINE_BREAK = re.compile(r"<[\s/]*+br\b[^<>]*+>", re.IGNORECASE)  # <br />, </br>, < BR clear="all">
# Soft hyphens, word joiners, byte-order marks and marks of the writing direction: they show nothing.
_INVISIBLE = re.compile("[\u00ad\u061c\u180e\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff]+")
_ZERO_WIDTH_SPACE, _JOINERS = "\u200b", "\u200c\u200d"
_KEYCAP = "\u20e3"
_KEYCAPS = re.compile(rf"[0-9#*]\ufe0f?+{_KEYCAP}")
_MORE_MARKS = "\U000e0100-\U000e01ef"  # beyond the first plane: the variants of ideographs
_SKIN_TONES, _TAGS, _REGIONAL = "\U0001f3fb-\U0001f3ff", "\U000e0020-\U000e007f", "\U0001f1e6-\U0001f1ff"
_ALNUM, _SPACE = re.compile(r"\w"), re.compile(r"\s")
_IS_EXTENDER, _IS_REGIONAL = re.compile(f"[{_SKIN_TONES}{_TAGS}]"), re.compile(f"[{_REGIONAL}]")
_PAGE = 256  # characters that are looked up together
_N_PAGES = 0x2000  # four bytes of UTF-8 have 21 bits: whatever they are, there is a page

Form = Literal["NFC", "NFKC"]
# What `word_pattern` is to texts of ASCII alone, without its table of marks, which takes long to make.
_ASCII_WORDS = re.compile(r"\w++(?:'\w++)*+|[^\w\s]")


def clean(text: str, lowercase: bool, form: Form | None) -> str:
    """The text in its normal form: spaces for line breaks, typewriter apostrophes, small letters if `lowercase`.

    Parameters
    ----------
    text : str
    lowercase : bool
    form : {"NFC", "NFKC"} or None
        The Unicode normal form; None leaves every spelling as it is.
    """
    text = _visible(text, form)
    if "<" in text:
        text = _LINE_BREAK.sub(" ", text)
    return _lower(text.replace("’", "'"), lowercase, form)


def clean_for_words(text: str, lowercase: bool, form: Form | None) -> str:
    """The same with spaces around keycaps, whose digits would be parts of words."""
    text = clean(text, lowercase, form)
    return _KEYCAPS.sub(r" \g<0> ", text) if _KEYCAP in text else text


def clean_token(token: str, lowercase: bool, form: Form | None) -> str:
    """A token that was split already; its line breaks and apostrophes stay."""
    return _lower(_visible(token, form), lowercase, form)


def normalized(text: str, form: Form | None) -> str:
    """The text in this normal form, often the same object."""
    return text if form is None or text.isascii() else unicodedata.normalize(form, text)


def _visible(text: str, form: Form | None) -> str:
    """Without invisible characters: these would keep a letter and its accent apart, so they go first."""
    if text.isascii():
        return text
    return normalized(_INVISIBLE.sub("", text).replace(_ZERO_WIDTH_SPACE, " "), form)


def _lower(text: str, lowercase: bool, form: Form | None) -> str:
    # A small letter may form one character with its accent where the capital does not.
    return normalized(text.lower(), form) if lowercase else text


def find_words(text: str) -> list[str]:
    """The words and single marks of a text, in their order."""
    return (_ASCII_WORDS if text.isascii() else word_pattern()).findall(text)


@cache
def word_pattern() -> re.Pattern[str]:
    r"""Words and single marks.

    Python's ``\w`` leaves out the combining marks that vowels are written with in Hindi and many other scripts, and
    accents that stand alone; a word keeps them here. The zero-width joiner and non-joiner are part of a word between
    its letters, the joiner also at its end, where some scripts need it. A mark keeps its variation selectors and its
    skin tone; marks with joiners between them are one, and so are the two halves of a flag. Other joiners are passed
    over. ``++``, ``*+`` and ``?+`` never step back, which makes them fast.
    """
    marks = "".join(filter(_is_mark, map(chr, range(0x10000)))) + _MORE_MARKS
    letters = rf"[\w{marks}]++"
    mark = rf"(?:[{_REGIONAL}]{{2}}|[^\w\s{marks}{_JOINERS}])[{marks}{_SKIN_TONES}{_TAGS}]*+"
    return re.compile(rf"{letters}(?:(?:'|[{_JOINERS}]++){letters})*+\u200d*+|{mark}(?:\u200d{mark})*+")


def _is_mark(character: str) -> bool:
    of_words = "\u0300" <= character <= "\uffff" or "\U000e0100" <= character <= "\U000e01ef"
    return of_words and unicodedata.category(character).startswith("M")


class Characters:
    """What is known of some characters, by the rules above, in the form that the compiled splitter reads.

    Parameters
    ----------
    lowercase : bool
    form : {"NFC", "NFKC"} or None
        As in :func:`clean`. The texts are in this form already.

    Attributes
    ----------
    page_index : ndarray of shape (0x2000,), dtype int32
        The row of `pages` for each page of 256 characters, or -1. The first page has row 0.
    pages : ndarray of shape (room, 256), dtype uint32
        For each character the bits of `Kind` in abi.h, and above them the character that it is read as.
    """

    def __init__(self, lowercase: bool, form: Form | None) -> None:
        self._settings, self._n_pages = (lowercase, form), 0
        self.page_index = np.full(_N_PAGES, -1, dtype=np.int32)
        self.pages = np.empty((4, _PAGE), dtype=np.uint32)
        self.add(0)

    def add(self, code: int) -> None:
        """Make the page of this character known."""
        if self._n_pages == len(self.pages):
            self.pages = np.concatenate([self.pages, np.empty_like(self.pages)])
        self.page_index[code // _PAGE] = self._n_pages
        self.pages[self._n_pages] = _page(code // _PAGE, *self._settings)
        self._n_pages += 1


@cache
def _page(number: int, lowercase: bool, form: Form | None) -> NDArray[np.uint32]:
    characters = (chr(_PAGE * number + place) for place in range(_PAGE))
    return np.array([_entry(character, lowercase, form) for character in characters], dtype=np.uint32)


def _entry(character: str, lowercase: bool, form: Form | None) -> int:
    read = clean(character, lowercase, None)  # the text is in its normal form already
    alnum, mark = _ALNUM.match(character), _is_mark(character)
    kinds = (
        alnum or mark,
        mark or _IS_EXTENDER.match(character),
        _SPACE.match(read),
        alnum,
        not _is_context_free(character, lowercase, form),
        _IS_REGIONAL.match(character),
        character in _JOINERS,
    )
    bits = sum(1 << place for place, kind in enumerate(kinds) if kind)
    return bits | ord(read[:1] or character) << 8


def _is_context_free(character: str, lowercase: bool, form: Form | None) -> bool:
    """Whether it becomes one character, and the same one whatever is next to it.

    A capital sigma becomes another small letter at the end of a word, a capital I with a dot two characters, an
    invisible character none; some accents join the small letter of a capital that they did not join.
    """
    if character == _KEYCAP or (lowercase and form is not None and character in _joining_accents()):
        return False
    read = clean(character, lowercase, None)
    return len(read) == 1 and clean("a" + character, lowercase, None) == "a" + read


@cache
def _joining_accents() -> frozenset[str]:
    """The accents that form one character with some small letter."""
    pairs = (unicodedata.decomposition(chr(code)).split() for code in range(0x20000))
    return frozenset(chr(int(pair[1], 16)) for pair in pairs if len(pair) == 2 and _is_small(pair[0]))


def _is_small(code: str) -> bool:
    return not code.startswith("<") and chr(int(code, 16)).islower()
