"""Limits of model files. Writing enforces the same limits, so every file that was written can be read."""

MAX_JSON_BYTES = 2**28  # parsed JSON takes up to 20 times as much memory
MAX_WEIGHTS_BYTES = 2**35
MAX_FILES = 16
MAX_JSON_DEPTH = 96  # far below the recursion limit of Python
MAX_DEPTH = 64  # JSON levels of one encoded value; a document adds a few levels around it
MAX_DIGITS = 40  # consecutive digits of a JSON number; larger integers are hexadecimal strings, parsed in linear time
MAX_EQUAL_HASHES = 64  # keys of one dict that have the same hash
MAX_PADDING_BYTES = 2**24  # see `is_padding_bounded`


def is_padding_bounded(n_texts: int, width: int, n_characters: int) -> bool:
    """Whether an array of `n_texts` strings of a fixed width is not much larger than the strings themselves.

    The width is just a number in the file, so without this check a small file could demand any amount of memory.
    """
    return 4 * n_texts * width <= max(MAX_PADDING_BYTES, 64 * n_characters)
