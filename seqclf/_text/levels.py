"""Words or characters: what to read texts by, told from their writing."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from seqclf._text.characters import find_words

# A sample is enough: this many texts, and this many characters from the start of each.
_MAX_TEXTS, _MAX_CHARACTERS = 1_000, 500
_MIN_UNSPACED = 0.25  # share of the letters
_MIN_ONE_TOKEN = 0.5  # share of the texts that have a token
# First and last character of the scripts that are written without spaces between words, and of Hangul, whose words take
# endings without end.
_UNSPACED = np.array(
    [
        (0x0E00, 0x0EFF),  # Thai, Lao
        (0x0F00, 0x0FFF),  # Tibetan
        (0x1000, 0x109F),  # Myanmar
        (0x1100, 0x11FF),  # Hangul Jamo
        (0x1780, 0x17FF),  # Khmer
        (0x1950, 0x19DF),  # Tai Le, New Tai Lue
        (0x1A20, 0x1AAF),  # Tai Tham
        (0x3005, 0x3007),  # iteration mark and zero of ideographs
        (0x3040, 0x30FF),  # Hiragana, Katakana
        (0x3100, 0x312F),  # Bopomofo
        (0x3130, 0x318F),  # Hangul Compatibility Jamo
        (0x31F0, 0x31FF),  # small Katakana
        (0x3400, 0x4DBF),  # ideographs
        (0x4E00, 0x9FFF),
        (0xA980, 0xA9DF),  # Javanese
        (0xAA60, 0xAADF),  # Myanmar, Tai Viet
        (0xAC00, 0xD7FF),  # Hangul syllables
        (0xF900, 0xFAFF),  # ideographs
        (0xFF66, 0xFFDC),  # half-width Katakana and Hangul
        (0x1B000, 0x1B16F),  # older Kana
        (0x20000, 0x3347F),  # ideographs
    ]
)


class LevelSample:
    """Some of the texts that were added, in any number of parts: the same ones, however the texts are parted.

    A position has a number that looks random, and the texts with the smallest numbers are kept.
    """

    def __init__(self) -> None:
        self._n_texts, self._texts, self._ranks = 0, list[str](), np.empty(0, dtype=np.uint64)

    def add(self, texts: Sequence[str]) -> None:
        """Choose among the texts of the sample and these, which come after all others."""
        ranks = np.concatenate([self._ranks, _ranks(self._n_texts, len(texts))])
        kept = np.argsort(ranks)[:_MAX_TEXTS]
        n_before = len(self._texts)
        self._texts = [
            self._texts[place] if place < n_before else texts[place - n_before][:_MAX_CHARACTERS]
            for place in kept.tolist()
        ]
        self._ranks, self._n_texts = ranks[kept], self._n_texts + len(texts)

    def choose(self) -> Literal["word", "char"]:
        """Characters where words are not written apart, or where most texts are a single one; words elsewhere.

        A word of Chinese, Japanese or Thai cannot be told from its neighbours without a dictionary, and a Korean one
        takes so many endings that most words are rare. A quarter of such letters is enough, because one of them says as
        much as a word of four. Texts of one token are names or codes: what tells them apart is inside the token.
        """
        if _unspaced_share("".join(self._texts)) >= _MIN_UNSPACED:
            return "char"
        n_tokens = np.array([len(find_words(text)) for text in self._texts])
        one_token = int((n_tokens == 1).sum()) >= _MIN_ONE_TOKEN * max(int((n_tokens > 0).sum()), 1)
        return "char" if one_token else "word"


def choose_level(texts: Sequence[str]) -> Literal["word", "char"]:
    """The level for these texts, by a sample of them."""
    sample = LevelSample()
    sample.add(texts)
    return sample.choose()


def _ranks(start: int, n: int) -> NDArray[np.uint64]:
    """A number for each of `n` positions from `start` on that looks random (the mixing of splitmix64)."""
    mixed = np.arange(start + 1, start + n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _unspaced_share(text: str) -> float:
    """The share of the letters that are of an unspaced script."""
    if text.isascii():
        return 0.0
    letters = "".join(filter(str.isalpha, text))
    codes: NDArray[np.uint32] = np.frombuffer(letters.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    place = np.searchsorted(_UNSPACED[:, 0], codes, side="right") - 1
    unspaced = (place >= 0) & (codes <= _UNSPACED[place, 1])
    return float(unspaced.mean()) if len(codes) else 0.0
