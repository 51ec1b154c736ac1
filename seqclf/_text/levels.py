"""Choice of the token level, words or characters, from a sample of the texts."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from seqclf._text.characters import find_words

# Size of the sample: texts, and characters from the start of each.
_MAX_TEXTS, _MAX_CHARACTERS = 1_000, 500
_MIN_UNSPACED = 0.25  # fraction of the letters
_MIN_SINGLE_TOKEN = 0.5  # fraction of the texts that have a token
# First and last character of the scripts without spaces between words, and of Hangul, whose words have very many
# inflected forms.
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
    """A sample of the texts that were added. It does not depend on how the texts were divided over calls.

    Each position has a pseudorandom rank, and the texts with the lowest ranks are selected.
    """

    def __init__(self) -> None:
        self._n_texts, self._texts, self._ranks = 0, list[str](), np.empty(0, dtype=np.uint64)

    def add(self, texts: Sequence[str]) -> None:
        """Add texts, which follow all earlier ones, and select the sample again."""
        ranks = np.concatenate([self._ranks, _ranks(self._n_texts, len(texts))])
        selected = np.argsort(ranks)[:_MAX_TEXTS]
        n_before = len(self._texts)
        self._texts = [
            self._texts[index] if index < n_before else texts[index - n_before][:_MAX_CHARACTERS]
            for index in selected.tolist()
        ]
        self._ranks, self._n_texts = ranks[selected], self._n_texts + len(texts)

    def choose(self) -> Literal["word", "char"]:
        """Characters for scripts without spaces, or if most texts are a single word; else words.

        Chinese, Japanese and Thai words cannot be separated without a dictionary, and Korean words have so many
        inflected forms that most of them are rare. A quarter of such letters is enough, because one of them carries
        as much information as a word of four letters. Texts of one token are names or codes, which differ inside
        the token.
        """
        if _unspaced_fraction("".join(self._texts)) >= _MIN_UNSPACED:
            return "char"
        n_tokens = np.array([len(find_words(text)) for text in self._texts])
        mostly_single = int((n_tokens == 1).sum()) >= _MIN_SINGLE_TOKEN * max(int((n_tokens > 0).sum()), 1)
        return "char" if mostly_single else "word"


def choose_level(texts: Sequence[str]) -> Literal["word", "char"]:
    """The level for these texts, from a sample of them."""
    sample = LevelSample()
    sample.add(texts)
    return sample.choose()


def _ranks(start: int, n: int) -> NDArray[np.uint64]:
    """A pseudorandom rank for each of `n` positions from `start` on (the mixing of splitmix64)."""
    mixed = np.arange(start + 1, start + n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _unspaced_fraction(text: str) -> float:
    """The fraction of the letters that belong to an unspaced script."""
    if text.isascii():
        return 0.0
    letters = "".join(filter(str.isalpha, text))
    codes: NDArray[np.uint32] = np.frombuffer(letters.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    index = np.searchsorted(_UNSPACED[:, 0], codes, side="right") - 1
    unspaced = (index >= 0) & (codes <= _UNSPACED[index, 1])
    return float(unspaced.mean()) if len(codes) else 0.0
