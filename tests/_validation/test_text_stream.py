"""Texts that come one after another, checked part after part."""

import numpy as np
import pandas as pd
import pytest

from seqclf._validation.text_stream import is_stream, read_text_parts


@pytest.mark.parametrize("X", [iter(["a"]), (text for text in "ab"), map(str, [1]), {"a": 1}.values()])
def test_streams(X):
    assert is_stream(X)


@pytest.mark.parametrize("X", [["a"], ("a",), "a", b"a", {"a": 1}, {"a"}, np.array(["a"]), pd.Series(["a"]), 5, None])
def test_others(X):
    assert not is_stream(X)


def test_parts_have_a_limit_of_rows_and_of_characters(tune):
    tune(stream_rows=3)
    tune(stream_items=10)
    texts = ["a", "b", "c", "d", "e" * 30, "f" * 9, "g" * 9, "h"]
    expected = [("texts", texts[:3]), ("texts", texts[3:5]), ("texts", texts[5:7]), ("texts", texts[7:])]
    assert list(read_text_parts(iter(texts), None)) == expected
    assert list(read_text_parts(texts, None)) == expected
    tokens = [["a"] * 4] * 4
    assert list(read_text_parts(iter(tokens), "tokens")) == [("tokens", tokens[:3]), ("tokens", tokens[3:])]


def test_the_first_row_says_the_kind(tune):
    tune(stream_rows=2)
    for rows in ([[], [], [], ["a"]], [[], []]):
        assert {kind for kind, _ in read_text_parts(iter(rows), None)} == {"tokens"}
        assert [row for _, part in read_text_parts(iter(rows), None) for row in part] == rows
        assert {kind for kind, _ in read_text_parts(rows, None)} == {"tokens"}
    assert [kind for kind, _ in read_text_parts(iter([[1], [2, 3]]), None)] == ["ids"]
    assert [kind for kind, _ in read_text_parts([[1], [2, 3]], None)] == ["ids"]
    for rows in (iter([[], [], "a"]), iter([["a"], ["b"], "a"])):
        with pytest.raises(ValueError, match=r"Row 2 of X is a text \(str\), but in fit they were lists of tokens"):
            list(read_text_parts(rows, None))


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (None, "Row 5 of X is None"),
        (["b"], r"Row 5 of X is a list of tokens \(str\), but in fit they were texts"),
        (np.array([1, 2]), r"Row 5 of X is a list of token ids"),
        ([], r"Row 5 of X is \[\]"),
        (["b", 1], r"Row 5 of X is \['b', 1\] \(list\): expected a text"),
    ],
)
def test_messages_count_all_rows(row, words, tune):
    tune(stream_rows=2)
    with pytest.raises(ValueError, match=words):
        list(read_text_parts(iter(["a"] * 5 + [row]), None))


def test_no_rows():
    with pytest.raises(ValueError, match=r"Found array with 0 sample.*: lines"):
        list(read_text_parts(iter([]), None, name="lines"))
