"""Texts into words, and words into ids: by a regular expression, or by the compiled library for longer texts."""

import ctypes
import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqclf._data.ragged import Ragged
from seqclf._native import abi, library
from seqclf._text.characters import Characters, Form, clean_for_words, find_words, normalized

TokenIndexer = Callable[[Iterable[str]], Iterable[int]]

_MIN_CHARS_FOR_NATIVE = 2_000  # below, preparing a call takes longer than the regular expression
# Characters of the texts of one call, if it has more than one text. Reviews took the same time with 2**16 to 2**20, and
# a fifth more with 2**14.
_CHUNK = 1 << 18
# Tokens that there is room for at first, and bytes for each. The room doubles as needed; a short call clears little.
_FIRST_ROOM, _FIRST_BYTES = 512, 16
# Beyond these the table of tokens is reset: it has 20 bytes for a token besides its characters.
_MAX_TOKENS, _MAX_BYTES = 1 << 20, 1 << 26
_FINISHED, _UNKNOWN_CHARACTER, _NEEDS_CLEANING, _NO_ROOM = range(4)  # `Stop` in abi.h


def number_words(texts: Sequence[str], index_tokens: TokenIndexer, lowercase: bool, form: Form | None) -> Ragged:
    """Split texts into words and put the ids of all of them end to end.

    Parameters
    ----------
    texts : sequence of str
    index_tokens : callable
        Gives an id for each token of an iterable, equal ones for equal tokens. It is called several times; a token that
        it has seen may be left out later. New tokens come in the order of the texts.
    lowercase : bool
    form : {"NFC", "NFKC"} or None
        As in :func:`clean`.

    Returns
    -------
    Ragged of int32
    """
    if sum(map(len, texts)) >= _MIN_CHARS_FOR_NATIVE and library.is_wanted():
        return number_compiled(texts, index_tokens, lowercase, form)
    return number_plain(texts, index_tokens, lowercase, form)


def number_plain(texts: Sequence[str], index_tokens: TokenIndexer, lowercase: bool, form: Form | None) -> Ragged:
    """The definition of :func:`number_words`."""
    return number_tokens((find_words(clean_for_words(text, lowercase, form)) for text in texts), index_tokens)


def number_tokens(rows: Iterable[Iterable[str]], index_tokens: TokenIndexer) -> Ragged:
    """The ids of tokens that have been split already, row by row."""
    values, lengths = array("i"), array("q")
    for row in rows:
        n_before = len(values)
        values.extend(index_tokens(row))
        lengths.append(len(values) - n_before)
    return Ragged(np.array(values, dtype=np.int32), np.array(lengths, dtype=np.int64))


def number_compiled(texts: Sequence[str], index_tokens: TokenIndexer, lowercase: bool, form: Form | None) -> Ragged:
    """The same by the compiled library."""
    splitter = _Splitter(index_tokens, lowercase, form)
    lengths = np.zeros(len(texts), dtype=np.int64)
    ids: list[NDArray[np.int32]] = [np.empty(0, dtype=np.int32)]
    for start, stop in _chunks(texts):
        ids += splitter.split(texts[start:stop], lengths[start:stop])
    return Ragged(np.concatenate(ids), lengths)


def _chunks(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """First and last (not included) text of each chunk."""
    start = size = 0
    for position, length in enumerate(map(len, texts)):
        if size and size + length > _CHUNK:
            yield start, position
            start, size = position, 0
        size += length
    if start < len(texts):
        yield start, len(texts)


class _Splitter:
    """The memory of the compiled splitter, and the id of each token in its table."""

    def __init__(self, index_tokens: TokenIndexer, lowercase: bool, form: Form | None) -> None:
        self._index_tokens, self._lowercase, self._form = index_tokens, lowercase, form
        self._call, self._arrays = abi.SplitCall(lowercase=lowercase), dict[str, NDArray[Any]]()
        # Hash seeds from the system: the global random state is not touched.
        self._call.seed, self._call.second_seed = np.frombuffer(os.urandom(16), dtype=np.int64).tolist()
        self._bind(state=np.zeros(len(abi.SplitState._fields_), dtype=np.int64))
        self._state = abi.SplitState.from_buffer(self._arrays["state"].data)
        self._characters = Characters(lowercase, form)
        self._bind_characters()
        self._bind(cleaned=np.empty(0, dtype=np.uint8), ids=np.empty(0, dtype=np.int32))
        self._reset()

    def split(self, texts: Sequence[str], lengths: NDArray[np.int64]) -> Iterator[NDArray[np.int32]]:
        """Yield the ids of these texts in pieces, and write how many each text has into `lengths`."""
        call, state = self._call, self._state
        encoded = [_encode(normalized(text, self._form)) for text in texts]
        sizes = list(map(len, encoded))
        offsets = np.zeros(len(texts) + 1, dtype=np.int64)
        np.cumsum(sizes, out=offsets[1:])
        self._bind(bytes=np.frombuffer(b"".join(encoded), dtype=np.uint8), offsets=offsets, lengths=lengths)
        self._make_room(max(sizes), min(int(offsets[-1]), _CHUNK))
        call.n_texts = len(texts)
        state.text = state.read = state.written = state.split = 0
        split = _loaded().seqclf_split
        while True:
            split(ctypes.byref(call))
            is_full = state.n_ids == call.ids_room
            if state.n_ids:
                yield self._drain_ids()
            if state.stop == _FINISHED:
                break
            if state.stop == _UNKNOWN_CHARACTER:
                self._characters.add(state.character)
                self._bind_characters()
            elif state.stop == _NEEDS_CLEANING:
                self._clean(texts[state.text])
            elif not is_full:
                self._make_room_for_tokens()
        if state.n_tokens > _MAX_TOKENS or state.n_token_bytes > _MAX_BYTES:
            self._reset()

    def _bind(self, **arrays: NDArray[Any]) -> None:
        """Put the addresses of arrays into the call, and keep the arrays alive."""
        self._arrays.update(arrays)
        for name, values in arrays.items():
            setattr(self._call, name, abi.address(values))

    def _bind_characters(self) -> None:
        self._bind(page_index=self._characters.page_index, pages=self._characters.pages)

    def _make_room(self, longest: int, n_ids: int) -> None:
        if len(self._arrays["cleaned"]) < 2 * longest + 64:
            self._bind(cleaned=np.empty(2 * longest + 64, dtype=np.uint8))
        if len(self._arrays["ids"]) < n_ids:
            self._bind(ids=np.empty(n_ids, dtype=np.int32))
            self._call.ids_room = n_ids

    def _make_room_for_tokens(self) -> None:
        """Room for twice the tokens, and at least for the token that had none."""
        room, state = 2 * self._call.tokens_room, self._state
        n_bytes = max(self._call.token_bytes_room, 2 * state.n_token_bytes + state.written + 64)
        tokens = np.empty(n_bytes, dtype=np.uint8)
        starts = np.empty(room + 1, dtype=np.int64)
        tokens[: state.n_token_bytes] = self._arrays["tokens"][: state.n_token_bytes]
        starts[: state.n_tokens + 1] = self._arrays["starts"][: state.n_tokens + 1]
        self._bind_room(tokens, starts)

    def _bind_room(self, tokens: NDArray[np.uint8], starts: NDArray[np.int64]) -> None:
        room = len(starts) - 1
        # A hash table that is half full at most, so that searches are short.
        self._bind(tokens=tokens, starts=starts, slots=np.zeros(2 * room, dtype=np.int32))
        self._call.token_bytes_room, self._call.tokens_room, self._call.n_slots = len(tokens), room, 2 * room
        self._state.n_hashed = 0

    def _reset(self) -> None:
        """Empty the table of tokens, so that unusual texts cannot grow it without bound."""
        self._state.n_tokens = self._state.n_token_bytes = 0
        self._final_ids = array("i")
        self._bind_room(np.empty(_FIRST_BYTES * _FIRST_ROOM, dtype=np.uint8), np.zeros(_FIRST_ROOM + 1, dtype=np.int64))

    def _drain_ids(self) -> NDArray[np.int32]:
        """The final ids of the tokens that were written; new tokens are indexed first."""
        start, stop = self._arrays["starts"][len(self._final_ids)], self._state.n_token_bytes
        if start < stop:
            tokens = self._arrays["tokens"][start : stop - 1].tobytes().decode("utf-8", "surrogatepass")
            self._final_ids.extend(self._index_tokens(tokens.split(" ")))
        ids = self._arrays["ids"][: self._state.n_ids]
        self._state.n_ids = 0
        return np.frombuffer(self._final_ids, dtype=np.int32)[ids]

    def _clean(self, text: str) -> None:
        """Clean a text that the splitter can't clean by itself."""
        cleaned, state = _encode(clean_for_words(text, self._lowercase, self._form)), self._state
        self._make_room(len(cleaned), 0)
        self._arrays["cleaned"][: len(cleaned)] = np.frombuffer(cleaned, dtype=np.uint8)
        state.written, state.read = len(cleaned), int(self._arrays["offsets"][state.text + 1])


def _loaded() -> ctypes.CDLL:
    loaded, text = library.load()
    if loaded is None:
        raise RuntimeError(f"There is no compiled splitter: {text}.")
    return loaded


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
