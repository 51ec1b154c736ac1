"""Texts into words, and words into numbers: by a regular expression, or by the compiled library where that pays."""

import ctypes
import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqclf._data.ragged import Ragged
from seqclf._library import library
from seqclf._text.characters import Characters, clean, word_pattern

Numbers = Callable[[Iterable[str]], Iterable[int]]

# Characters from which on the compiled splitter is faster, all that it needs made ready.
_WORTH_A_CALL = 2_000
_CHUNK = 1 << 18  # characters handed over at once, or one text
_FIRST_ROOM = 512  # tokens that there is room for at first
_MOST_TOKENS, _MOST_BYTES = 1 << 20, 1 << 26  # beyond these the splitter forgets what it has met
_FINISHED, _UNKNOWN_CHARACTER, _ASK_FOR_CLEANED, _NO_ROOM = range(4)  # `Stop` in interface.h


class Progress(ctypes.Structure):
    """As in `csrc/interface.h`."""

    _fields_ = [
        (name, ctypes.c_int64)
        for name in "text read written split n_ids n_tokens n_token_bytes n_filed stop character".split()
    ]


class Splitting(ctypes.Structure):
    """As in `csrc/interface.h`."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in ("n_texts", "lowercase")),
        *((name, ctypes.c_void_p) for name in ("bytes", "offsets", "pages", "characters", "cleaned", "lengths", "ids")),
        *((name, ctypes.c_void_p) for name in ("tokens", "starts", "slots")),
        *((name, ctypes.c_int64) for name in ("ids_room", "token_bytes_room", "tokens_room", "n_slots")),
        *((name, ctypes.c_int64) for name in ("seed", "second_seed")),
        ("progress", ctypes.c_void_p),
    ]


def number_words(texts: Sequence[str], numbers_of: Numbers, lowercase: bool) -> Ragged:
    """Split texts into words and put the numbers of all of them end to end.

    Parameters
    ----------
    texts : sequence of str
    numbers_of : callable
        Gives a number for each token of an iterable, equal ones for equal tokens. It is called several times, and need
        not see a token again that it has seen; new ones come in the order of the texts.
    lowercase : bool
        As in :func:`clean`.

    Returns
    -------
    Ragged of int32
    """
    if sum(map(len, texts)) >= _WORTH_A_CALL and is_compiled():
        return number_compiled(texts, numbers_of, lowercase)
    return number_plain(texts, numbers_of, lowercase)


def is_compiled() -> bool:
    """Whether the compiled splitter may be used: it is there, and no other kernels are asked for."""
    return os.environ.get("SEQCLF_KERNELS") in (None, "", "cpu") and library()[0] is not None


def number_plain(texts: Sequence[str], numbers_of: Numbers, lowercase: bool) -> Ragged:
    """The definition of :func:`number_words`."""
    find_words = word_pattern().findall
    return number_tokens((find_words(clean(text, lowercase)) for text in texts), numbers_of)


def number_tokens(rows: Iterable[Iterable[str]], numbers_of: Numbers) -> Ragged:
    """The numbers of tokens that are there already, row by row."""
    values, lengths = array("i"), array("q")
    for row in rows:
        n_before = len(values)
        values.extend(numbers_of(row))
        lengths.append(len(values) - n_before)
    return Ragged(np.array(values, dtype=np.int32), np.array(lengths, dtype=np.int64))


def number_compiled(texts: Sequence[str], numbers_of: Numbers, lowercase: bool) -> Ragged:
    """The same by the compiled library."""
    splitter = _Splitter(numbers_of, lowercase)
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
    """What the compiled splitter reads and writes, and the numbers of the tokens that it has met."""

    def __init__(self, numbers_of: Numbers, lowercase: bool) -> None:
        self._numbers_of, self._lowercase = numbers_of, lowercase
        self._call, self._arrays = Splitting(lowercase=lowercase), dict[str, NDArray[Any]]()
        # Of the system's random numbers, which nobody else draws from.
        self._call.seed, self._call.second_seed = np.frombuffer(os.urandom(16), dtype=np.int64).tolist()
        self._lend(progress=np.zeros(len(Progress._fields_), dtype=np.int64))
        self._progress = Progress.from_buffer(self._arrays["progress"].data)
        self._characters = Characters(lowercase)
        self._lend_characters()
        self._lend(cleaned=np.empty(0, dtype=np.uint8), ids=np.empty(0, dtype=np.int32))
        self._forget()

    def split(self, texts: Sequence[str], lengths: NDArray[np.int64]) -> Iterator[NDArray[np.int32]]:
        """The numbers of these texts, in pieces; how many each has is written into `lengths`."""
        call, progress = self._call, self._progress
        encoded = list(map(_encode, texts))
        sizes = list(map(len, encoded))
        offsets = np.zeros(len(texts) + 1, dtype=np.int64)
        np.cumsum(sizes, out=offsets[1:])
        self._lend(bytes=np.frombuffer(b"".join(encoded), dtype=np.uint8), offsets=offsets, lengths=lengths)
        self._make_room(max(sizes), min(int(offsets[-1]), _CHUNK))
        call.n_texts = len(texts)
        progress.text = progress.read = progress.written = progress.split = 0
        split = _loaded().seqclf_split
        while True:
            split(ctypes.byref(call))
            is_full = progress.n_ids == call.ids_room
            if progress.n_ids:
                yield self._take_numbers()
            if progress.stop == _FINISHED:
                break
            if progress.stop == _UNKNOWN_CHARACTER:
                self._characters.add(progress.character)
                self._lend_characters()
            elif progress.stop == _ASK_FOR_CLEANED:
                self._clean(texts[progress.text])
            elif not is_full:
                self._make_room_for_tokens()
        if progress.n_tokens > _MOST_TOKENS or progress.n_token_bytes > _MOST_BYTES:
            self._forget()

    def _lend(self, **arrays: NDArray[Any]) -> None:
        """Put the addresses of arrays into the call, and keep the arrays as long."""
        self._arrays.update(arrays)
        for name, values in arrays.items():
            setattr(self._call, name, _address(values))

    def _lend_characters(self) -> None:
        self._lend(pages=self._characters.rows, characters=self._characters.entries)

    def _make_room(self, longest: int, n_ids: int) -> None:
        if len(self._arrays["cleaned"]) < 2 * longest + 64:
            self._lend(cleaned=np.empty(2 * longest + 64, dtype=np.uint8))
        if len(self._arrays["ids"]) < n_ids:
            self._lend(ids=np.empty(n_ids, dtype=np.int32))
            self._call.ids_room = n_ids

    def _make_room_for_tokens(self) -> None:
        """Twice as much as is in use, and enough for the token that had no room."""
        room, progress = 2 * self._call.tokens_room, self._progress
        n_bytes = max(self._call.token_bytes_room, 2 * progress.n_token_bytes + progress.written + 64)
        tokens = np.empty(n_bytes, dtype=np.uint8)
        starts = np.empty(room + 1, dtype=np.int64)
        tokens[: progress.n_token_bytes] = self._arrays["tokens"][: progress.n_token_bytes]
        starts[: progress.n_tokens + 1] = self._arrays["starts"][: progress.n_tokens + 1]
        self._lend_room(tokens, starts)

    def _lend_room(self, tokens: NDArray[np.uint8], starts: NDArray[np.int64]) -> None:
        room = len(starts) - 1
        self._lend(tokens=tokens, starts=starts, slots=np.zeros(2 * room, dtype=np.int32))
        self._call.token_bytes_room, self._call.tokens_room, self._call.n_slots = len(tokens), room, 2 * room
        self._progress.n_filed = 0

    def _forget(self) -> None:
        """Begin anew with no tokens: strange texts shall not fill the memory with them."""
        self._progress.n_tokens = self._progress.n_token_bytes = 0
        self._numbers = array("i")
        self._lend_room(np.empty(16 * _FIRST_ROOM, dtype=np.uint8), np.zeros(_FIRST_ROOM + 1, dtype=np.int64))

    def _take_numbers(self) -> NDArray[np.int32]:
        """The numbers for the ids that were written, the new tokens' asked for first."""
        start, stop = self._arrays["starts"][len(self._numbers)], self._progress.n_token_bytes
        if start < stop:
            tokens = self._arrays["tokens"][start : stop - 1].tobytes().decode("utf-8", "surrogatepass")
            self._numbers.extend(self._numbers_of(tokens.split(" ")))
        ids = self._arrays["ids"][: self._progress.n_ids]
        self._progress.n_ids = 0
        return np.frombuffer(self._numbers, dtype=np.int32)[ids]

    def _clean(self, text: str) -> None:
        """A text that the splitter can't clean by itself."""
        cleaned, progress = _encode(clean(text, self._lowercase)), self._progress
        self._make_room(len(cleaned), 0)
        self._arrays["cleaned"][: len(cleaned)] = np.frombuffer(cleaned, dtype=np.uint8)
        progress.written, progress.read = len(cleaned), int(self._arrays["offsets"][progress.text + 1])


def _loaded() -> ctypes.CDLL:
    loaded, text = library()
    if loaded is None:
        raise RuntimeError(f"There is no compiled splitter: {text}.")
    return loaded


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _address(values: NDArray[Any]) -> int:
    return values.ctypes.data
