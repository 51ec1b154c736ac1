"""`TextEncoder`: texts, tokens or token ids as the ids that the network knows."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from seqclf._data.dataset import Rows
from seqclf._data.encoded import EncodedSequences, Spelling
from seqclf._data.ragged import Ragged
from seqclf._label_features.token_features import TokenNames
from seqclf._saved import Saved, State
from seqclf._text.vocabulary import Vocabulary
from seqclf._validation.frames import column_labels, is_frame
from seqclf._validation.texts import UNKNOWN, Kind, read_text_input

KINDS = ("texts", "tokens", "ids")
_MAX_VOCABULARY = 2**31 - 1


@dataclass(frozen=True, eq=False)
class TextEncoder:
    """What fit has learned of texts, tokens or ids.

    Parameters
    ----------
    kind : {"texts", "tokens", "ids"}
        What the rows are.
    vocabulary : Vocabulary or None
        That of our own tokenizer; None for ids, whoever has made them.
    vocab_size : int
        The number of ids that the network knows.
    renumbered_ids : ndarray, int32 or int64, or None
        Ids that are numbered from 2 on in this order, which rises; None where ids are their own numbers.
    feature_names : tuple of str or None
        The names of the columns, where X of fit was a frame of ids with a step a column.
    """

    reads: ClassVar[str] = "texts"
    kind: Kind
    vocabulary: Vocabulary | None
    vocab_size: int
    renumbered_ids: NDArray[np.integer] | None
    feature_names: tuple[str, ...] | None

    def read(self, X: Any, name: str = "X") -> Rows:
        """Check X, and give its rows."""
        _, rows = read_text_input(X, kind=self.kind, name=name)
        if self.feature_names is not None and is_frame(X):
            labels = column_labels(X, name)
            if labels != list(self.feature_names):
                raise ValueError(
                    f"{name} has the columns {labels!r}, but in fit they were {list(self.feature_names)!r}: expected "
                    "the same names in the same order."
                )
        return rows

    def encode(self, rows: Rows) -> EncodedSequences:
        """The ids, as the network numbers them, with the spelling of words."""
        if isinstance(rows, Ragged):
            return EncodedSequences(self.known(rows))
        assert self.vocabulary is not None
        return self.with_spelling(*self.vocabulary.to_ids(rows))

    def with_spelling(self, ids: Ragged, new_tokens: list[str]) -> EncodedSequences:
        """Ids of our own tokenizer as the network numbers them, with their spelling where words have one."""
        assert self.vocabulary is not None
        spelling = Spelling(ids.values, new_tokens) if self.is_spelled else None
        return EncodedSequences(self.known(ids), spelling=spelling)

    def known(self, ids: Ragged) -> Ragged:
        """The ids as the network numbers them; those that it does not know are the unknown token."""
        if self.renumbered_ids is not None:
            position = np.searchsorted(self.renumbered_ids, ids.values)
            found = self.renumbered_ids.take(position, mode="clip") == ids.values
            return Ragged(np.where(found, UNKNOWN + 1 + position, UNKNOWN).astype(np.int32), ids.lengths)
        unknown = ids.values >= self.vocab_size
        if not unknown.any():
            return ids
        return Ragged(np.where(unknown, UNKNOWN, ids.values).astype(np.int32), ids.lengths)

    @property
    def is_spelled(self) -> bool:
        """Whether tokens come with their spelling: words do."""
        return self.vocabulary is not None and self.vocabulary.splitter.level == "word"

    @property
    def names(self) -> TokenNames | None:
        """What the tokens are called; None where their ids are their names."""
        if self.vocabulary is not None:
            return TokenNames(self.vocabulary.tokens, "" if self.vocabulary.splitter.level == "char" else " ")
        if self.renumbered_ids is not None:
            return TokenNames(["0", "1", *map(str, self.renumbered_ids.tolist())], " ")
        return None

    def to_state(self) -> State:
        """What was learned; the vocabulary is saved with its tokenizer."""
        return {
            "kind": self.kind,
            "vocab_size": self.vocab_size,
            "renumbered_ids": self.renumbered_ids,
            "feature_names": None if self.feature_names is None else list(self.feature_names),
        }

    def check(self) -> None:
        """Raise an error if what was learned can't be right."""
        if self.kind == "ids" or self.vocabulary is not None:  # and not of another package's tokenizer
            self.from_state(Saved(self.to_state()), self.vocabulary)

    @classmethod
    def from_state(cls, saved: Saved, vocabulary: Vocabulary | None) -> Self:
        """The same with the vocabulary of the tokenizer, if there is one."""
        kind = saved.option("kind", KINDS)
        vocab_size = saved.integer("vocab_size", low=UNKNOWN + 1, high=_MAX_VOCABULARY)
        renumbered = names = None
        if saved.value("renumbered_ids") is not None:
            dtype = np.int32 if getattr(saved.value("renumbered_ids"), "dtype", None) == np.int32 else np.int64
            renumbered = saved.array("renumbered_ids", dtype, (vocab_size - UNKNOWN - 1,), low=UNKNOWN + 1)
            saved.require(bool((np.diff(renumbered) > 0).all()), "renumbered_ids do not rise")
        if (found := saved.optional("feature_names", saved.texts)) is not None:
            names = tuple(found)
        saved.require(
            (vocabulary is None) == (kind == "ids"), f"kind is {kind!r}, which does not go with the tokenizer"
        )
        if vocabulary is not None:
            saved.require(renumbered is None and names is None, "texts and tokens have neither numbers nor columns")
            saved.require(vocab_size == len(vocabulary), "vocab_size is not that of the tokenizer")
            reads = vocabulary.splitter.kind
            saved.require(kind == reads, f"kind is {kind!r}, but the tokenizer reads {reads}")
        return cls(kind, vocabulary, vocab_size, renumbered, names)
