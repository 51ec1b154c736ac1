"""`Splitter`: splitting and indexing of texts and lists of tokens by each setting."""

import numpy as np
import pytest

from seqclf._text.splitter import Splitter

SETTINGS = {"lowercase": True, "form": "NFC"}


def tokens_of(rows, kind="texts", level="word", **changes):
    """The tokens in order of their ids, and the ids of each row."""
    tokens = {}
    ids = Splitter(kind, level, **(SETTINGS | changes)).index_tokens(
        rows, lambda found: [tokens.setdefault(token, len(tokens)) for token in found]
    )
    assert ids.values.dtype == np.int32
    return list(tokens), [row.tolist() for row in ids.items()]


@pytest.mark.parametrize(
    ("level", "expected"),
    [("word", ["a", "bé", "."]), ("char", ["a", " ", "b", "é", "."]), ("subword", ["Ġa", "ĠbÃ©", "."])],
)
def test_splitter_splits_texts_at_each_level(level, expected):
    if level == "subword":
        pytest.importorskip("tokenizers")
    assert tokens_of([" A\n Be\u0301. "], level=level) == (
        expected,
        [[0, 1, 2] if level != "char" else [0, 1, 2, 3, 4]],
    )


def test_splitter_does_not_split_lists_of_tokens():
    rows = [["A b", "c."], [], ["a b"]]
    assert tokens_of(rows, "tokens") == (["a b", "c."], [[0, 1], [], [0]])
    assert tokens_of(rows, "tokens", lowercase=False) == (["A b", "c.", "a b"], [[0, 1], [], [2]])


def test_splitter_applies_the_normal_form_and_strips_lines():
    assert tokens_of(["ﬁne"], form="NFKC")[0] == ["fine"]
    assert tokens_of(["ﬁne"])[0] == ["ﬁne"]
    assert Splitter("texts", "char", **SETTINGS).line("\tA  b\n") == "a b"
