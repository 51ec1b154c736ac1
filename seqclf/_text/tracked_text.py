"""`TrackedText`: a text that is cleaned step by step, with the position of each character in the original text.

Its methods do what `characters` does to a plain text. Ordinary calls never use it, because positions take time.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from seqclf._text.characters import (
    INVISIBLE,
    KEYCAPS,
    LINE_BREAK,
    ZERO_WIDTH_SPACE,
    Form,
    find_word_spans,
    normalized,
)

Positions = NDArray[np.int64]
_SPACES = re.compile(r"\s+")
# The vowels and final consonants of Hangul, which compose with the letters before them by arithmetic, not by a table.
_HANGUL_SECONDS = [*range(0x1161, 0x1176), *range(0x11A8, 0x11C3)]


class TrackedText(NamedTuple):
    """A text with the span of each of its characters in the original text.

    Parameters
    ----------
    text : str
    starts, stops : ndarray of shape (n_characters,)
        The character at i came from the characters from ``starts[i]`` to ``stops[i] - 1`` of the original text.

    Examples
    --------
    >>> text = TrackedText.of("So<br />good").cleaned(lowercase=True, form="NFC")
    >>> text.text, text.spans([(0, 2), (3, 7)]).tolist()
    ('so good', [[0, 2], [8, 12]])
    """

    text: str
    starts: Positions
    stops: Positions

    @classmethod
    def of(cls, text: str) -> Self:
        """The original text."""
        starts = np.arange(len(text))
        return cls(text, starts, starts + 1)

    def cleaned(self, lowercase: bool, form: Form | None) -> Self:
        """The same text as from :func:`~seqclf._text.characters.clean`."""
        found = self
        if not found.text.isascii():
            found = found._substituted(INVISIBLE, "")
            found = found._replace(text=found.text.replace(ZERO_WIDTH_SPACE, " "))._normalized(form)
        found = found._substituted(LINE_BREAK, " ")
        found = found._replace(text=found.text.replace("’", "'"))
        return found._lower()._normalized(form) if lowercase else found

    def cleaned_for_words(self, lowercase: bool, form: Form | None) -> Self:
        """The same text as from :func:`~seqclf._text.characters.clean_for_words`."""
        found = self.cleaned(lowercase, form)
        pieces, copied = [], 0
        for match in KEYCAPS.finditer(found.text):
            start, stop = match.span()
            pieces += [found._part(copied, start), found._one(" ", start, start + 1), found._part(start, stop)]
            pieces.append(found._one(" ", stop - 1, stop))
            copied = stop
        return found._joined([*pieces, found._part(copied, len(found.text))]) if pieces else found

    def on_one_line(self) -> Self:
        """Runs of white space become one space, and white space at both ends is removed."""
        text = self.text
        start, stop = len(text) - len(text.lstrip()), len(text.rstrip())
        return self._part(start, max(start, stop))._substituted(_SPACES, " ")

    def word_spans(self) -> Positions:
        """The span of each word of the text in the original text, (n_words, 2)."""
        return self.spans(list(find_word_spans(self.text)))

    def spans(self, parts: list[tuple[int, int]]) -> Positions:
        """The span in the original text of each part (start, stop) of the text; no part is empty."""
        first, last = np.array(parts, dtype=np.int64).reshape(-1, 2).T
        return np.stack([self.starts[first], self.stops[last - 1]], axis=1)

    def _part(self, start: int, stop: int) -> Self:
        return type(self)(self.text[start:stop], self.starts[start:stop], self.stops[start:stop])

    def _one(self, text: str, start: int, stop: int) -> Self:
        """Characters that all came from the characters from `start` to ``stop - 1`` of this text."""
        starts, stops = np.full(len(text), self.starts[start]), np.full(len(text), self.stops[stop - 1])
        return type(self)(text, starts, stops)

    def _joined(self, pieces: "list[Self]") -> Self:
        texts, starts, stops = zip(*pieces, strict=True)
        return type(self)("".join(texts), np.concatenate(starts), np.concatenate(stops))

    def _substituted(self, pattern: re.Pattern[str], replacement: str) -> Self:
        pieces, copied = [], 0
        for match in pattern.finditer(self.text):
            start, stop = match.span()
            pieces += [self._part(copied, start), self._one(replacement, start, stop)]
            copied = stop
        return self._joined([*pieces, self._part(copied, len(self.text))]) if pieces else self

    def _lower(self) -> Self:
        lower = self.text.lower()
        if len(lower) == len(self.text):
            return self._replace(text=lower)
        n_lower = [len(character.lower()) for character in self.text]  # a capital I with a dot becomes two characters
        return type(self)(lower, np.repeat(self.starts, n_lower), np.repeat(self.stops, n_lower))

    def _normalized(self, form: Form | None) -> Self:
        if form is None or self.text.isascii() or unicodedata.is_normalized(form, self.text):
            return self
        pieces = []
        for start, stop in _independent_parts(self.text, form):
            changed = normalized(self.text[start:stop], form)
            pairs = zip(changed, self.text[start:stop], strict=False)
            n_same = next((n for n, (one, other) in enumerate(pairs) if one != other), min(len(changed), stop - start))
            pieces.append(self._part(start, start + n_same))
            if start + n_same < stop:
                pieces.append(self._one(changed[n_same:], start + n_same, stop))
        return self._joined(pieces)


def _independent_parts(text: str, form: Form) -> Iterator[tuple[int, int]]:
    """Divide a text into parts whose normal forms, joined, are the normal form of the text."""
    start = 0
    for position, character in enumerate(text):
        if position > start and not _can_join_the_one_before(character, form):
            yield start, position
            start = position
    if text:
        yield start, len(text)


@cache
def _can_join_the_one_before(character: str, form: Form) -> bool:
    first = unicodedata.normalize("NFD" if form == "NFC" else "NFKD", character)[0]
    return unicodedata.combining(first) > 0 or first in _composing_seconds()


@cache
def _composing_seconds() -> frozenset[str]:
    """The second characters of all canonical compositions."""
    pairs = (unicodedata.decomposition(chr(code)).split() for code in range(0x20000))
    seconds = {chr(int(pair[1], 16)) for pair in pairs if len(pair) == 2 and not pair[0].startswith("<")}
    return frozenset(seconds | set(map(chr, _HANGUL_SECONDS)))
