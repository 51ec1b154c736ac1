"""Split texts into words and index these, by a regular expression or, for longer texts, the native library."""

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

_MIN_CHARS_FOR_NATIVE = 2_000  # below this, preparing a native call takes longer than the regular expression
# Maximum characters per native call of several texts. Film reviews took the same time with 2**16 to 2**20, and a fifth
# more with 2**14.
_CHUNK = 1 << 18
# Initial capacity in tokens, and bytes for each. It doubles as needed; a small start keeps short calls cheap.
_INITIAL_TOKENS, _INITIAL_BYTES = 512, 16
# Above these limits the token table is reset. A token takes 20 bytes besides its characters.
_MAX_TOKENS, _MAX_BYTES = 1 << 20, 1 << 26
_FINISHED, _UNKNOWN_CHARACTER, _NEEDS_CLEANING, _BUFFER_FULL = range(4)  # `Stop` in abi.h


def index_words(texts: Sequence[str], index_tokens: TokenIndexer, lowercase: bool, form: Form | None) -> Ragged:
    """Split texts into words and return their ids.

    Parameters
    ----------
    texts : sequence of str
    index_tokens : callable
        Returns an id for each token of an iterable; equal tokens have equal ids. It is called several times, with new
        tokens in order of occurrence. Later calls can omit tokens that it has already seen.
    lowercase : bool
    form : {"NFC", "NFKC"} or None
        As in :func:`clean`.

    Returns
    -------
    Ragged of int32
    """
    if sum(map(len, texts)) >= _MIN_CHARS_FOR_NATIVE and library.is_wanted():
        return index_words_native(texts, index_tokens, lowercase, form)
    return index_words_reference(texts, index_tokens, lowercase, form)


def index_words_reference(
    texts: Sequence[str], index_tokens: TokenIndexer, lowercase: bool, form: Form | None
) -> Ragged:
    """Reference implementation of :func:`index_words`, by regular expressions."""
    return index_split_tokens((find_words(clean_for_words(text, lowercase, form)) for text in texts), index_tokens)


def index_split_tokens(rows: Iterable[Iterable[str]], index_tokens: TokenIndexer) -> Ragged:
    """The ids of the tokens of each row, which is already split."""
    values, lengths = array("i"), array("q")
    for row in rows:
        n_before = len(values)
        values.extend(index_tokens(row))
        lengths.append(len(values) - n_before)
    return Ragged(np.array(values, dtype=np.int32), np.array(lengths, dtype=np.int64))


def index_words_native(texts: Sequence[str], index_tokens: TokenIndexer, lowercase: bool, form: Form | None) -> Ragged:
    """:func:`index_words` by the native library."""
    splitter = _Splitter(index_tokens, lowercase, form)
    lengths = np.zeros(len(texts), dtype=np.int64)
    ids: list[NDArray[np.int32]] = [np.empty(0, dtype=np.int32)]
    for start, stop in _chunks(texts):
        ids += splitter.split(texts[start:stop], lengths[start:stop])
    return Ragged(np.concatenate(ids), lengths)


def _chunks(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """The index of the first text of each chunk, and of the first one after it."""
    start = size = 0
    for position, length in enumerate(map(len, texts)):
        if size and size + length > _CHUNK:
            yield start, position
            start, size = position, 0
        size += length
    if start < len(texts):
        yield start, len(texts)


class _Splitter:
    """The buffers of the native splitter, and the id of each token in its table."""

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
        """Yield the ids of these texts in pieces, and write the number of tokens of each text to `lengths`."""
        call, state = self._call, self._state
        encoded = [_encode(normalized(text, self._form)) for text in texts]
        sizes = list(map(len, encoded))
        offsets = np.zeros(len(texts) + 1, dtype=np.int64)
        np.cumsum(sizes, out=offsets[1:])
        self._bind(bytes=np.frombuffer(b"".join(encoded), dtype=np.uint8), offsets=offsets, lengths=lengths)
        self._reserve(max(sizes), min(int(offsets[-1]), _CHUNK))
        call.n_texts = len(texts)
        state.text = state.read = state.n_cleaned = state.split = 0
        split = _loaded().seqclf_split
        while True:
            split(ctypes.byref(call))
            is_full = state.n_ids == call.ids_capacity
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
                self._grow_token_table()
        if state.n_tokens > _MAX_TOKENS or state.n_token_bytes > _MAX_BYTES:
            self._reset()

    def _bind(self, **arrays: NDArray[Any]) -> None:
        """Set the addresses of arrays in the call, and keep the arrays alive."""
        self._arrays.update(arrays)
        for name, values in arrays.items():
            setattr(self._call, name, abi.address(values))

    def _bind_characters(self) -> None:
        self._bind(page_index=self._characters.page_index, pages=self._characters.pages)

    def _reserve(self, longest: int, n_ids: int) -> None:
        if len(self._arrays["cleaned"]) < 2 * longest + 64:
            self._bind(cleaned=np.empty(2 * longest + 64, dtype=np.uint8))
        if len(self._arrays["ids"]) < n_ids:
            self._bind(ids=np.empty(n_ids, dtype=np.int32))
            self._call.ids_capacity = n_ids

    def _grow_token_table(self) -> None:
        """Double the capacity of the token table; it then holds at least the token that did not fit."""
        capacity, state = 2 * self._call.tokens_capacity, self._state
        n_bytes = max(self._call.token_bytes_capacity, 2 * state.n_token_bytes + state.n_cleaned + 64)
        tokens = np.empty(n_bytes, dtype=np.uint8)
        starts = np.empty(capacity + 1, dtype=np.int64)
        tokens[: state.n_token_bytes] = self._arrays["tokens"][: state.n_token_bytes]
        starts[: state.n_tokens + 1] = self._arrays["starts"][: state.n_tokens + 1]
        self._bind_token_table(tokens, starts)

    def _bind_token_table(self, tokens: NDArray[np.uint8], starts: NDArray[np.int64]) -> None:
        capacity = len(starts) - 1
        # The hash table is at most half full, which keeps probe sequences short.
        self._bind(tokens=tokens, starts=starts, slots=np.zeros(2 * capacity, dtype=np.int32))
        self._call.token_bytes_capacity, self._call.tokens_capacity, self._call.n_slots = (
            len(tokens),
            capacity,
            2 * capacity,
        )
        self._state.n_hashed = 0

    def _reset(self) -> None:
        """Empty the token table, so that unusual texts cannot grow it without bound."""
        self._state.n_tokens = self._state.n_token_bytes = 0
        self._final_ids = array("i")
        self._bind_token_table(
            np.empty(_INITIAL_BYTES * _INITIAL_TOKENS, dtype=np.uint8), np.zeros(_INITIAL_TOKENS + 1, dtype=np.int64)
        )

    def _drain_ids(self) -> NDArray[np.int32]:
        """Index the new tokens in the buffer, empty it, and return the final ids of all its tokens."""
        start, stop = self._arrays["starts"][len(self._final_ids)], self._state.n_token_bytes
        if start < stop:
            tokens = self._arrays["tokens"][start : stop - 1].tobytes().decode("utf-8", "surrogatepass")
            self._final_ids.extend(self._index_tokens(tokens.split(" ")))
        ids = self._arrays["ids"][: self._state.n_ids]
        self._state.n_ids = 0
        return np.frombuffer(self._final_ids, dtype=np.int32)[ids]

    def _clean(self, text: str) -> None:
        """Clean the current text in Python, where the native code cannot."""
        cleaned, state = _encode(clean_for_words(text, self._lowercase, self._form)), self._state
        self._reserve(len(cleaned), 0)
        self._arrays["cleaned"][: len(cleaned)] = np.frombuffer(cleaned, dtype=np.uint8)
        state.n_cleaned, state.read = len(cleaned), int(self._arrays["offsets"][state.text + 1])


def _loaded() -> ctypes.CDLL:
    loaded, reason = library.load()
    if loaded is None:
        raise RuntimeError(f"The native word splitter is not available: {reason}.")
    return loaded


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
