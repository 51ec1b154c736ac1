"""`Splitter`: the settings by which texts are split into tokens."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from seqclf._data.ragged import Ragged
from seqclf._text.characters import Form, clean, clean_token
from seqclf._text.subwords import word_finder
from seqclf._text.tracked_text import Positions, TrackedText
from seqclf._text.word_splitter import TokenIndexer, index_split_tokens, index_words

Level = Literal["word", "char", "subword"]


class Splitter(NamedTuple):
    """How texts are split into tokens.

    Parameters
    ----------
    kind : {"texts", "tokens"}
        Whether rows are texts, or lists of tokens, which are not split again.
    level : {"word", "char", "subword"}
        What a token is. With "subword", texts are split into the words of the subword library, from which subwords are
        trained later.
    lowercase : bool
    form : {"NFC", "NFKC"} or None
        As in :func:`clean`.
    """

    kind: Literal["texts", "tokens"]
    level: Level
    lowercase: bool
    form: Form | None

    def index_tokens(self, rows: Sequence[Any], index_tokens: TokenIndexer) -> Ragged:
        """Split each row into tokens and return their ids; see :func:`index_words`."""
        if self.kind == "tokens":
            return index_split_tokens((self._clean_tokens(row) for row in rows), index_tokens)
        if self.level == "char":
            return index_split_tokens(map(self.line, rows), index_tokens)
        if self.level == "subword":
            find_words = word_finder()
            return index_split_tokens((find_words(self.line(text)) for text in rows), index_tokens)
        return index_words(rows, index_tokens, self.lowercase, self.form)

    def line(self, text: str) -> str:
        """The text on one line: runs of white space become one space, and the ends are stripped."""
        return " ".join(clean(text, self.lowercase, self.form).split())

    def tracked_line(self, text: str) -> TrackedText:
        """The same text as from :meth:`line`, with the positions of its characters in `text`."""
        return TrackedText.of(text).cleaned(self.lowercase, self.form).on_one_line()

    def spans(self, text: str) -> Positions:
        """The start and the stop in `text` of each token, (n_tokens, 2); for words and characters."""
        if self.level == "char":
            line = self.tracked_line(text)
            return np.stack([line.starts, line.stops], axis=1)
        return TrackedText.of(text).cleaned_for_words(self.lowercase, self.form).word_spans()

    def _clean_tokens(self, tokens: Sequence[str]) -> list[str]:
        return [clean_token(token, self.lowercase, self.form) for token in tokens]
