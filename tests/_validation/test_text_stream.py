"""Validation of streams of texts in chunks."""

from itertools import islice

import numpy as np
import pandas as pd
import pytest

from seqclf._validation.text_stream import is_stream, validate_text_chunks


@pytest.mark.parametrize("X", [iter(["a"]), (text for text in "ab"), map(str, [1]), {"a": 1}.values()])
def test_is_stream_accepts_iterators(X):
    assert is_stream(X)


@pytest.mark.parametrize("X", [["a"], ("a",), "a", b"a", {"a": 1}, {"a"}, np.array(["a"]), pd.Series(["a"]), 5, None])
def test_is_stream_rejects_containers(X):
    assert not is_stream(X)


def test_chunks_have_a_maximum_of_rows_and_items(tune):
    tune(stream_rows=3)
    tune(stream_items=10)
    texts = ["a", "b", "c", "d", "e" * 30, "f" * 9, "g" * 9, "h"]
    expected = [("texts", texts[:3]), ("texts", texts[3:5]), ("texts", texts[5:7]), ("texts", texts[7:])]
    assert list(validate_text_chunks(iter(texts), None)) == expected
    assert list(validate_text_chunks(texts, None)) == expected
    tokens = [["a"] * 4] * 4
    assert list(validate_text_chunks(iter(tokens), "tokens")) == [("tokens", tokens[:3]), ("tokens", tokens[3:])]


def test_first_nonempty_row_determines_the_kind(tune):
    tune(stream_rows=2)
    for rows in ([[], [], [], ["a"]], [[], []]):
        assert {kind for kind, _ in validate_text_chunks(iter(rows), None)} == {"tokens"}
        assert [row for _, chunk in validate_text_chunks(iter(rows), None) for row in chunk] == rows
        assert {kind for kind, _ in validate_text_chunks(rows, None)} == {"tokens"}
    assert [kind for kind, _ in validate_text_chunks(iter([[1], [2, 3]]), None)] == ["ids"]
    assert [kind for kind, _ in validate_text_chunks([[1], [2, 3]], None)] == ["ids"]
    for rows in (iter([[], [], "a"]), iter([["a"], ["b"], "a"])):
        with pytest.raises(ValueError, match=r"Row 2 of X is a text \(str\), but in fit the rows were lists of tokens"):
            list(validate_text_chunks(rows, None))


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (None, "Row 5 of X is None"),
        (["b"], r"Row 5 of X is a list of tokens \(str\), but in fit the rows were texts"),
        (np.array([1, 2]), r"Row 5 of X is a list of token ids"),
        ([], r"Row 5 of X is \[\]"),
        (["b", 1], r"Row 5 of X is \['b', 1\] \(list\): expected a text"),
    ],
)
def test_messages_contain_the_row_in_the_whole_stream(row, words, tune):
    tune(stream_rows=2)
    with pytest.raises(ValueError, match=words):
        list(validate_text_chunks(iter(["a"] * 5 + [row]), None))


def test_empty_stream_is_an_error():
    with pytest.raises(ValueError, match=r"Found array with 0 sample.*: lines"):
        list(validate_text_chunks(iter([]), None, name="lines"))


def test_iterator_is_consumed_chunk_by_chunk(tune):
    tune(stream_rows=300)
    n_consumed = 0

    def texts():
        nonlocal n_consumed
        for n_consumed in range(1, 10_000):  # noqa: B007
            yield "a"

    chunks = validate_text_chunks(texts(), None)
    assert [len(rows) for _, rows in islice(chunks, 2)] == [300, 300]
    assert n_consumed == 600
