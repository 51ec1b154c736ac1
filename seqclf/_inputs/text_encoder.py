"""`TextEncoder`: encodes texts, tokens or token ids as ids in the vocabulary of the network."""

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
from seqclf._validation.texts import UNKNOWN, Kind, validate_text_input

KINDS = ("texts", "tokens", "ids")
_MAX_VOCABULARY = 2**31 - 1


@dataclass(frozen=True, eq=False)
class TextEncoder:
    """The state of a fitted model that encodes texts, tokens or ids.

    Parameters
    ----------
    kind : {"texts", "tokens", "ids"}
        The kind of the rows.
    vocabulary : Vocabulary or None
        The vocabulary of a `TextTokenizer`; None if the ids come from anywhere else.
    vocab_size : int
        The number of ids that the network has.
    renumbered_ids : ndarray, int32 or int64, or None
        The ids in increasing order, which become 2, 3 and so on; None if ids are not renumbered.
    feature_names : tuple of str or None
        The names of the columns if X of fit was a frame of ids with one step in each column.
    """

    input_kind: ClassVar[str] = "texts"
    kind: Kind
    vocabulary: Vocabulary | None
    vocab_size: int
    renumbered_ids: NDArray[np.integer] | None
    feature_names: tuple[str, ...] | None

    def validate(self, X: Any, name: str = "X") -> Rows:
        """Validate X and return its rows."""
        _, rows = validate_text_input(X, kind=self.kind, name=name)
        if self.feature_names is not None and is_frame(X):
            labels = column_labels(X, name)
            if labels != list(self.feature_names):
                raise ValueError(
                    f"{name} has the columns {labels!r}, but in fit they were {list(self.feature_names)!r}: pass "
                    "columns of the same names in the same order."
                )
        return rows

    def encode(self, rows: Rows) -> EncodedSequences:
        """The ids in the vocabulary of the network, with the spelling of words."""
        if isinstance(rows, Ragged):
            return EncodedSequences(self.replace_unknown(rows))
        assert self.vocabulary is not None
        return self.with_spelling(*self.vocabulary.to_ids(rows))

    def with_spelling(self, ids: Ragged, new_tokens: list[str]) -> EncodedSequences:
        """Ids of a `TextTokenizer` as ids of the network, with the spelling of words."""
        assert self.vocabulary is not None
        spelling = Spelling(ids.values, new_tokens, len(self.vocabulary)) if self.has_spelling else None
        return EncodedSequences(self.replace_unknown(ids), spelling=spelling)

    def replace_unknown(self, ids: Ragged) -> Ragged:
        """The ids in the vocabulary of the network; other ids become the unknown token."""
        if self.renumbered_ids is not None:
            position = np.searchsorted(self.renumbered_ids, ids.values)
            found = self.renumbered_ids.take(position, mode="clip") == ids.values
            return Ragged(np.where(found, UNKNOWN + 1 + position, UNKNOWN).astype(np.int32), ids.lengths)
        unknown = ids.values >= self.vocab_size
        if not unknown.any():
            return ids
        return Ragged(np.where(unknown, UNKNOWN, ids.values).astype(np.int32), ids.lengths)

    @property
    def has_spelling(self) -> bool:
        """Whether tokens have a spelling: words have one, characters and subwords do not."""
        return self.vocabulary is not None and self.vocabulary.splitter.level == "word"

    @property
    def names(self) -> TokenNames | None:
        """The names of the tokens; None if their ids are their names."""
        if self.vocabulary is not None:
            return TokenNames(self.vocabulary.tokens, "" if self.vocabulary.splitter.level == "char" else " ")
        if self.renumbered_ids is not None:
            return TokenNames(["0", "1", *map(str, self.renumbered_ids.tolist())], " ")
        return None

    def to_state(self) -> State:
        """The fitted values; the vocabulary is saved with its tokenizer."""
        return {
            "kind": self.kind,
            "vocab_size": self.vocab_size,
            "renumbered_ids": self.renumbered_ids,
            "feature_names": None if self.feature_names is None else list(self.feature_names),
        }

    def check(self) -> None:
        """Raise an error if the fitted values are invalid."""
        if self.kind == "ids" or self.vocabulary is not None:  # else a tokenizer of another package
            self.from_state(Saved(self.to_state()), self.vocabulary)

    @classmethod
    def from_state(cls, saved: Saved, vocabulary: Vocabulary | None) -> Self:
        """Restore an encoder with the vocabulary of the tokenizer, if there is one."""
        kind = saved.option("kind", KINDS)
        vocab_size = saved.integer("vocab_size", low=UNKNOWN + 1, high=_MAX_VOCABULARY)
        renumbered = names = None
        if saved.value("renumbered_ids") is not None:
            dtype = np.int32 if getattr(saved.value("renumbered_ids"), "dtype", None) == np.int32 else np.int64
            renumbered = saved.array("renumbered_ids", dtype, (vocab_size - UNKNOWN - 1,), low=UNKNOWN + 1)
            saved.require(bool((np.diff(renumbered) > 0).all()), "renumbered_ids are not in increasing order")
        if (found := saved.optional("feature_names", saved.texts)) is not None:
            names = tuple(found)
        saved.require((vocabulary is None) == (kind == "ids"), f"kind is {kind!r}, which does not match the tokenizer")
        if vocabulary is not None:
            saved.require(
                renumbered is None and names is None,
                "renumbered_ids and feature_names must be None for texts and tokens",
            )
            saved.require(vocab_size == len(vocabulary), "vocab_size is not that of the tokenizer")
            expected = vocabulary.splitter.kind
            saved.require(kind == expected, f"kind is {kind!r}, but the tokenizer expects {expected!r}")
        return cls(kind, vocabulary, vocab_size, renumbered, names)
