"""`Vocabulary`: the state of a fitted `TextTokenizer` that prediction needs. It turns texts into ids."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np

from seqclf._data.ragged import Ragged, Side
from seqclf._saved import Saved, SavedStateError, State
from seqclf._text import subwords
from seqclf._text.splitter import Splitter
from seqclf._text.tracked_text import Positions

SPECIAL_TOKENS = ["[PAD]", "[UNK]"]
N_SPECIAL = len(SPECIAL_TOKENS)  # padding and unknown come before the first token
_UNKNOWN = SPECIAL_TOKENS.index("[UNK]")


class IndexedTokens(NamedTuple):
    """The token ids of texts. Tokens outside the vocabulary have the ids after its last one, in order."""

    ids: Ragged
    new_tokens: list[str]


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """The tokens that have an id, and the settings by which texts are split into tokens.

    Parameters
    ----------
    splitter : Splitter
    tokens : list of str
        The token of each id; the first two are padding and unknown.
    max_length : int or None
        Longer texts are truncated to this many tokens.
    truncate : {"start", "end"}
        The side that is truncated.
    subword_model : tokenizers.Tokenizer or None
        The model of the library if tokens are subwords. Its ids are those of `tokens` minus 2.

    Examples
    --------
    >>> vocabulary = Vocabulary(Splitter("texts", "word", True, "NFC"), ["[PAD]", "[UNK]", "good"], None, "start")
    >>> ids, new_tokens = vocabulary.to_ids(["A good film"])
    >>> ids.values.tolist(), new_tokens, vocabulary.replace_unknown(ids).values.tolist()
    ([3, 2, 4], ['a', 'film'], [1, 2, 1])
    """

    splitter: Splitter
    tokens: list[str]
    max_length: int | None
    truncate: Side
    subword_model: Any = None

    def __len__(self) -> int:
        return len(self.tokens)

    @cached_property
    def ids(self) -> dict[str, int]:
        """The id of each token, without padding and unknown, so that no text can contain these two."""
        return dict(zip(self.tokens[N_SPECIAL:], range(N_SPECIAL, len(self.tokens)), strict=True))

    def to_ids(self, rows: Sequence[Any]) -> IndexedTokens:
        """The token ids of validated rows; unknown tokens get ids too."""
        if self.subword_model is not None:
            return IndexedTokens(self.cut(self.subword_ids(rows)), [])
        find, n_tokens = self.ids.get, len(self.tokens)
        new: defaultdict[str, int] = defaultdict()
        new.default_factory = lambda: n_tokens + len(new)
        ids = self.splitter.index_tokens(rows, lambda tokens: [find(token) or new[token] for token in tokens])
        return IndexedTokens(self.cut(ids), list(new))

    def replace_unknown(self, ids: Ragged) -> Ragged:
        """Replace the ids of all unknown tokens by that of [UNK]."""
        values = np.where(ids.values < len(self.tokens), ids.values, np.int32(_UNKNOWN))
        return Ragged(values, ids.lengths)

    def subword_ids(self, texts: Sequence[str]) -> Ragged:
        """The subword ids of whole texts, not truncated."""
        encoded = subwords.encode(self.subword_model, map(self.splitter.line, texts))
        return Ragged.from_items([ids + N_SPECIAL for ids in encoded], dtype=np.int32)

    def spans(self, texts: Sequence[str]) -> Ragged:
        """The start and the stop of each token in its text, (n_tokens, 2), truncated to `max_length`."""
        spans = self.splitter.spans if self.subword_model is None else self._subword_spans
        return self.cut(Ragged.from_items([spans(text) for text in texts], dtype=np.int64, n_channels=2))

    def _subword_spans(self, text: str) -> Positions:
        line = self.splitter.tracked_line(text)
        return line.spans(subwords.spans(self.subword_model, line.text))

    def cut(self, ids: Ragged) -> Ragged:
        """Truncate the texts to `max_length`."""
        return ids.truncated(self.max_length, self.truncate)

    def to_state(self) -> State:
        """The tokens and the settings, and the merges of a subword model."""
        merges = None if self.subword_model is None else subwords.merges_of(self.subword_model)
        return {
            "kind": str.__str__(self.splitter.kind),
            "level": str.__str__(self.splitter.level),
            "lowercase": bool(self.splitter.lowercase),
            "normalize": None if self.splitter.form is None else str.__str__(self.splitter.form),
            "tokens": list(self.tokens),
            "max_length": None if self.max_length is None else int(self.max_length),
            "truncate": str.__str__(self.truncate),
            "merges": merges,
        }

    @classmethod
    def from_state(cls, saved: Saved) -> Self:
        """Restore the vocabulary from a saved state."""
        splitter = Splitter(
            saved.option("kind", ["texts", "tokens"]),
            saved.option("level", ["word", "char", "subword"]),
            saved.boolean("lowercase"),
            saved.optional("normalize", saved.option, ["NFC", "NFKC"]),
        )
        tokens = saved.texts("tokens")
        vocabulary = cls(
            splitter,
            tokens,
            saved.optional("max_length", saved.integer, low=1),
            saved.option("truncate", ["start", "end"]),
            _subword_model(saved, splitter.level, tokens[N_SPECIAL:]),
        )
        saved.require(tokens[:N_SPECIAL] == SPECIAL_TOKENS, f"tokens do not begin with {', '.join(SPECIAL_TOKENS)}")
        saved.require(
            len(vocabulary.ids) == len(tokens) - N_SPECIAL > 0, "tokens are empty, or one of them occurs twice"
        )
        saved.require(
            splitter.kind == "texts" or splitter.level == "word",
            "kind 'tokens' goes only with level 'word': tokens can't be split again",
        )
        return vocabulary


def _subword_model(saved: Saved, level: str, tokens: list[str]) -> Any:
    """Rebuild the model of the library from its tokens and merges; None for other levels."""
    if level != "subword":
        saved.require(saved.value("merges") is None, f"merges are only for subwords, and the level is {level}")
        return None
    merges = saved.array("merges", np.int32, (None, 2), low=0, high=len(tokens) - 1)
    try:
        return subwords.rebuild(tokens, merges)
    except ValueError as error:
        raise SavedStateError(f"the subword model can't be rebuilt: {error}") from error
