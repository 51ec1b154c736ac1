"""Subwords by byte-level byte pair encoding, from the package `tokenizers`, which is imported only on use."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

N_BYTES = 256  # size of the initial alphabet of every subword vocabulary
_CHUNK = 1_000  # texts per call of the library
_MAX_REPEATS = 100  # of a word in one generated text


def load_library() -> Any:
    """The package `tokenizers`, or an ImportError that says how to install it."""
    try:
        import tokenizers
    except ImportError as error:
        raise ImportError(
            "TextTokenizer(level='subword') needs the package tokenizers, which is not installed. "
            "Install it: pip install tokenizers."
        ) from error
    return tokenizers


def train(lines: Iterable[str], n_tokens: int, min_frequency: int) -> Any:
    """Train a model on texts of one line each."""
    return _train(map(_without_surrogates, lines), n_tokens, min_frequency)


def train_from_counts(words: Sequence[str], counts: NDArray[np.int64], n_tokens: int, min_frequency: int) -> Any:
    """Train the same model on the words that :func:`word_finder` finds and their counts.

    The library takes only texts, but its result depends only on the counts of words. Each word is therefore passed as
    often as it occurs. Spaces can separate the words, because another character represents the spaces inside them.
    """
    on_spaces = load_library().pre_tokenizers.WhitespaceSplit()
    return _train(_repeated(words, counts), n_tokens, min_frequency, on_spaces)


def word_finder() -> Callable[[str], list[str]]:
    """A function that splits a line into words in the alphabet of the library. No subword crosses a word boundary."""
    split = _byte_level().pre_tokenize_str
    return lambda line: [word for word, _ in split(_without_surrogates(line))]


def tokens_of(model: Any) -> list[str]:
    """The token of each id of the library."""
    vocabulary = model.get_vocab()
    return sorted(vocabulary, key=vocabulary.__getitem__)


def merges_of(model: Any) -> NDArray[np.int32]:
    """The pairs of tokens that a model merges, as ids of the library, in order of priority; shape (n_merges, 2).

    Tokens and merges completely define a model that was trained here; any other model raises a ValueError.
    """
    ids = model.get_vocab()
    pairs = json.loads(model.to_str())["model"].get("merges", ())
    merges = np.array([[ids[first], ids[second]] for first, second in pairs], dtype=np.int32).reshape(-1, 2)
    if rebuild(tokens_of(model), merges).to_str() != model.to_str():
        raise ValueError(
            "The subword model was changed after fit: a changed model can't be saved. Fit the tokenizer again."
        )
    return merges


def rebuild(tokens: Sequence[str], merges: NDArray[np.int32]) -> Any:
    """Rebuild the model from its tokens and merges; a ValueError if they are not valid.

    They are checked before the library gets them, because some invalid values make it panic.
    """
    ids = dict(zip(tokens, range(len(tokens)), strict=True))
    if len(ids) < len(tokens) or "" in ids:
        raise ValueError("a token is empty or occurs twice")
    if any(map(_has_surrogate, tokens)):
        raise ValueError("a token contains lone surrogates")
    pairs = [(tokens[first], tokens[second]) for first, second in merges.tolist()]
    if len(set(pairs)) < len(pairs) or any(first + second not in ids for first, second in pairs):
        raise ValueError("a merge occurs twice, or its result is not a token")
    tokenizers = load_library()
    try:
        return _with_byte_level(tokenizers.Tokenizer(tokenizers.models.BPE(vocab=ids, merges=pairs)))
    except Exception as error:
        raise ValueError(f"the package tokenizers rejects it ({error})") from error


def encode(model: Any, lines: Iterable[str]) -> Iterator[NDArray[np.int32]]:
    """The ids of the library for each line."""
    # In chunks: the library's encoding of a text is many times larger than its ids.
    cleaned = map(_without_surrogates, lines)
    while chunk := list(islice(cleaned, _CHUNK)):
        for encoding in model.encode_batch_fast(chunk):
            yield np.array(encoding.ids, dtype=np.int32)


def spans(model: Any, line: str) -> list[tuple[int, int]]:
    """The start and the stop of each subword in the line.

    The space before a word belongs to its first subword, but not to its span. The subwords of a part of a character
    have the span of the character.
    """
    found = []
    for start, stop in model.encode(_without_surrogates(line)).offsets:
        start += stop - start > 1 and line[start] == " "
        found.append((start, stop))
    return found


def _train(texts: Iterator[str], n_tokens: int, min_frequency: int, pre_tokenizer: Any = None) -> Any:
    tokenizers, byte_level = load_library(), _byte_level()
    model = tokenizers.Tokenizer(tokenizers.models.BPE())
    model.pre_tokenizer = pre_tokenizer or byte_level
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=n_tokens,
        min_frequency=min_frequency,
        initial_alphabet=sorted(byte_level.alphabet()),
        show_progress=False,
    )
    model.train_from_iterator(texts, trainer)
    return _with_byte_level(model)


def _with_byte_level(model: Any) -> Any:
    """Set the model to split lines into words, and to spell tokens, in the byte alphabet."""
    model.pre_tokenizer, model.decoder = _byte_level(), load_library().decoders.ByteLevel()
    return model


def _byte_level() -> Any:
    # The first word is spelled like all others, with a leading space.
    return load_library().pre_tokenizers.ByteLevel(add_prefix_space=True)


def _repeated(words: Sequence[str], counts: NDArray[np.int64]) -> Iterator[str]:
    for word, count in zip(words, counts.tolist(), strict=True):
        for n_before in range(0, count, _MAX_REPEATS):
            yield f"{word} " * min(count - n_before, _MAX_REPEATS)


def _has_surrogate(token: str) -> bool:
    return not token.isascii() and _without_surrogates(token) != token


def _without_surrogates(line: str) -> str:
    """Replace lone surrogates, which the library rejects."""
    return line.encode("utf-8", "replace").decode("utf-8")
