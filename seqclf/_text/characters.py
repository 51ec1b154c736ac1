"""Cleaning of texts before they are split, and the rules for which characters form words."""

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

LINE_BREAK = re.compile(r"<[\s/]*+br\b[^<>]*+>", re.IGNORECASE)  # <br />, </br>, < BR clear="all">
# Soft hyphens, word joiners, byte-order marks and direction marks: they are not displayed.
INVISIBLE = re.compile("[\u00ad\u061c\u180e\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff]+")
ZERO_WIDTH_SPACE, _JOINERS = "\u200b", "\u200c\u200d"
_KEYCAP = "\u20e3"
KEYCAPS = re.compile(rf"[0-9#*]\ufe0f?+{_KEYCAP}")
_MORE_MARKS = "\U000e0100-\U000e01ef"  # outside the basic plane: variation selectors of ideographs
_SKIN_TONES, _TAGS, _REGIONAL = "\U0001f3fb-\U0001f3ff", "\U000e0020-\U000e007f", "\U0001f1e6-\U0001f1ff"
_ALNUM, _SPACE = re.compile(r"\w"), re.compile(r"\s")
_IS_EXTENDER, _IS_REGIONAL = re.compile(f"[{_SKIN_TONES}{_TAGS}]"), re.compile(f"[{_REGIONAL}]")
_PAGE = 256  # characters per page of the lookup table
_N_PAGES = 0x2000  # enough pages for every 21-bit code that four bytes of UTF-8 can hold

Form = Literal["NFC", "NFKC"]
# Equals `word_pattern` on pure ASCII texts, without its list of marks, which is slow to build.
_ASCII_WORDS = re.compile(r"\w++(?:'\w++)*+|[^\w\s]")


def clean(text: str, lowercase: bool, form: Form | None) -> str:
    """Normalise a text: spaces for HTML line breaks, straight apostrophes, lower case if `lowercase`.

    Parameters
    ----------
    text : str
    lowercase : bool
    form : {"NFC", "NFKC"} or None
        The Unicode normal form; None does not normalise.
    """
    text = _visible(text, form)
    if "<" in text:
        text = LINE_BREAK.sub(" ", text)
    return _lower(text.replace("’", "'"), lowercase, form)


def clean_for_words(text: str, lowercase: bool, form: Form | None) -> str:
    """Like :func:`clean`, with spaces around keycaps, whose digits would otherwise join words."""
    text = clean(text, lowercase, form)
    return KEYCAPS.sub(r" \g<0> ", text) if _KEYCAP in text else text


def clean_token(token: str, lowercase: bool, form: Form | None) -> str:
    """Normalise a token of a list of tokens; its line breaks and apostrophes are not changed."""
    return _lower(_visible(token, form), lowercase, form)


def normalized(text: str, form: Form | None) -> str:
    """The text in this normal form; the same object where nothing changes."""
    return text if form is None or text.isascii() else unicodedata.normalize(form, text)


def _visible(text: str, form: Form | None) -> str:
    """Drop invisible characters. This comes before normalisation: they can separate a letter from its accent."""
    if text.isascii():
        return text
    return normalized(INVISIBLE.sub("", text).replace(ZERO_WIDTH_SPACE, " "), form)


def _lower(text: str, lowercase: bool, form: Form | None) -> str:
    # Normalise again: some lower-case letters compose with an accent where the capital does not.
    return normalized(text.lower(), form) if lowercase else text


def find_words(text: str) -> list[str]:
    """The words and single marks of a text, in order."""
    return (_ASCII_WORDS if text.isascii() else word_pattern()).findall(text)


def find_word_spans(text: str) -> Iterator[tuple[int, int]]:
    """The start and the stop of each of these words and marks."""
    for match in (_ASCII_WORDS if text.isascii() else word_pattern()).finditer(text):
        yield match.span()


@cache
def word_pattern() -> re.Pattern[str]:
    r"""Words and single marks.

    Python's ``\w`` excludes the combining marks that write vowels in Hindi and many other scripts, and separate
    combining accents; here they belong to words. The zero-width joiner and non-joiner belong to a word between its
    letters, and the joiner also at its end, where some scripts need it. A mark includes its variation selectors and
    its skin tone. Marks connected by joiners are one mark, and so are the two halves of a flag. Other joiners are
    skipped. The possessive quantifiers ``++``, ``*+`` and ``?+`` never backtrack, which makes them fast.
    """
    marks = "".join(filter(_is_mark, map(chr, range(0x10000)))) + _MORE_MARKS
    letters = rf"[\w{marks}]++"
    mark = rf"(?:[{_REGIONAL}]{{2}}|[^\w\s{marks}{_JOINERS}])[{marks}{_SKIN_TONES}{_TAGS}]*+"
    return re.compile(rf"{letters}(?:(?:'|[{_JOINERS}]++){letters})*+\u200d*+|{mark}(?:\u200d{mark})*+")


def _is_mark(character: str) -> bool:
    in_range = "\u0300" <= character <= "\uffff" or "\U000e0100" <= character <= "\U000e01ef"
    return in_range and unicodedata.category(character).startswith("M")


class Characters:
    """A table of the properties of characters, in the form that the native splitter reads.

    Parameters
    ----------
    lowercase : bool
    form : {"NFC", "NFKC"} or None
        As in :func:`clean`. The texts are already in this form.

    Attributes
    ----------
    page_index : ndarray of shape (0x2000,), dtype int32
        For each block of 256 characters its index in `pages`, or -1. Block 0 has index 0.
    pages : ndarray of shape (capacity, 256), dtype uint32
        For each character the bits of `Kind` in abi.h, and above them the character that replaces it.
    """

    def __init__(self, lowercase: bool, form: Form | None) -> None:
        self._settings, self._n_pages = (lowercase, form), 0
        self.page_index = np.full(_N_PAGES, -1, dtype=np.int32)
        self.pages = np.empty((4, _PAGE), dtype=np.uint32)
        self.add(0)

    def add(self, code: int) -> None:
        """Add the page that contains this character."""
        if self._n_pages == len(self.pages):
            self.pages = np.concatenate([self.pages, np.empty_like(self.pages)])
        self.page_index[code // _PAGE] = self._n_pages
        self.pages[self._n_pages] = _page(code // _PAGE, *self._settings)
        self._n_pages += 1


@cache
def _page(page: int, lowercase: bool, form: Form | None) -> NDArray[np.uint32]:
    characters = (chr(_PAGE * page + offset) for offset in range(_PAGE))
    return np.array([_entry(character, lowercase, form) for character in characters], dtype=np.uint32)


def _entry(character: str, lowercase: bool, form: Form | None) -> int:
    replacement = clean(character, lowercase, None)  # the text is already in its normal form
    alnum, mark = _ALNUM.match(character), _is_mark(character)
    kinds = (
        alnum or mark,
        mark or _IS_EXTENDER.match(character),
        _SPACE.match(replacement),
        alnum,
        not _is_context_free(character, lowercase, form),
        _IS_REGIONAL.match(character),
        character in _JOINERS,
    )
    bits = sum(1 << bit for bit, applies in enumerate(kinds) if applies)
    return bits | ord(replacement[:1] or character) << 8


def _is_context_free(character: str, lowercase: bool, form: Form | None) -> bool:
    """Whether it always becomes the same single character, whatever its neighbours are.

    Counterexamples: a capital sigma has another lower case at the end of a word, a capital I with a dot becomes two
    characters, an invisible character none, and some accents compose with a lower-case letter but not its capital.
    """
    if character == _KEYCAP or (lowercase and form is not None and character in _joining_accents()):
        return False
    cleaned = clean(character, lowercase, None)
    return len(cleaned) == 1 and clean("a" + character, lowercase, None) == "a" + cleaned


@cache
def _joining_accents() -> frozenset[str]:
    """The accents that compose with some lower-case letter."""
    pairs = (unicodedata.decomposition(chr(code)).split() for code in range(0x20000))
    return frozenset(chr(int(pair[1], 16)) for pair in pairs if len(pair) == 2 and _is_small(pair[0]))


def _is_small(code: str) -> bool:
    return not code.startswith("<") and chr(int(code, 16)).islower()
