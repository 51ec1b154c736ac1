"""What a model file may hold at most. Writing keeps to the same limits, so what is written can be read."""

MAX_JSON_BYTES = 2**28  # parsed JSON takes up to 20 times as much memory
MAX_WEIGHTS_BYTES = 2**35
MAX_FILES = 16
MAX_JSON_DEPTH = 96  # far below the recursion limit of Python
MAX_DEPTH = 64  # of one encoded value, in levels of JSON; a document has a few levels around it
MAX_DIGITS = 40  # of a number in JSON in a row; larger integers are hexadecimal texts, which are read in linear time
MAX_EQUAL_HASHES = 64  # of the keys of one dict
MAX_PADDING_BYTES = 2**24  # see `padding_is_bounded`


def padding_is_bounded(n_texts: int, width: int, n_characters: int) -> bool:
    """Whether an array of `n_texts` texts of a fixed width is not much larger than the texts themselves.

    The width is only a number in the file, so without this check a small file could ask for any amount of memory.
    """
    return 4 * n_texts * width <= max(MAX_PADDING_BYTES, 64 * n_characters)
