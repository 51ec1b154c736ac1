"""`Vocabulary`: it returns the same ids as its tokenizer, also after a round trip through a state."""

import sys

import numpy as np
import pytest

from seqclf import TextTokenizer
from seqclf._saved import Saved, SavedStateError
from seqclf._text.splitter import Splitter
from seqclf._text.vocabulary import Vocabulary

TEXTS = ["Good film, good music.", "Not good!", "", "a GOOD film ’t Köln 漢字"]
NEW = ["good music", "unheard words, words", ""]


def fitted(**parameters):
    return TextTokenizer(**parameters).fit(TEXTS)._vocabulary()


VOCABULARIES = {
    "words": lambda: fitted(level="word", vocab_size=6),
    "truncated words": lambda: fitted(level="word", max_length=2, truncate="end", lowercase=False, normalize=None),
    "characters": lambda: fitted(level="char", normalize="NFKC", vocab_size=12),
    "subwords": lambda: fitted(level="subword", vocab_size=270, max_length=5),
    "tokens": lambda: TextTokenizer().fit([["a", "[UNK]"], ["b c"]])._vocabulary(),
    "a special token": lambda: TextTokenizer(lowercase=False).fit([["[PAD]", "[UNK]"]])._vocabulary(),
}


@pytest.fixture(params=list(VOCABULARIES))
def vocabulary(request):
    if request.param == "subwords":
        pytest.importorskip("tokenizers")
    return VOCABULARIES[request.param]()


def rows_for(vocabulary):
    return NEW if vocabulary.splitter.kind == "texts" else [["a", "x", "[UNK]"], [], ["b c", "x", "y"]]


def test_restored_vocabulary_returns_the_same_ids(vocabulary):
    restored = Vocabulary.from_state(Saved(vocabulary.to_state()))
    rows = rows_for(vocabulary)
    found, expected = restored.to_ids(rows), vocabulary.to_ids(rows)
    np.testing.assert_array_equal(found.ids.values, expected.ids.values)
    np.testing.assert_array_equal(found.ids.lengths, expected.ids.lengths)
    assert found.new_tokens == expected.new_tokens
    np.testing.assert_array_equal(
        restored.replace_unknown(found.ids).values, vocabulary.replace_unknown(expected.ids).values
    )
    assert restored.tokens == vocabulary.tokens and restored.ids == vocabulary.ids
    assert len(restored) == len(vocabulary)


def test_to_ids_returns_new_tokens_in_order_of_occurrence():
    vocabulary = Vocabulary(Splitter("texts", "word", True, None), ["[PAD]", "[UNK]", "b"], 3, "end")
    ids, new = vocabulary.to_ids(["x b y x", "[UNK]"])
    assert ids.items()[0].tolist() == [3, 2, 4] and new == ["x", "y", "[", "unk", "]"]
    assert vocabulary.replace_unknown(ids).items()[0].tolist() == [1, 2, 1]


def test_from_state_of_an_altered_state_is_an_error_or_a_usable_vocabulary(vocabulary, altered):
    n_errors, rows = 0, rows_for(vocabulary)
    for state in altered(vocabulary.to_state()):
        try:
            restored = Vocabulary.from_state(Saved(state))
        except SavedStateError:
            n_errors += 1
            continue
        if restored.splitter.kind == vocabulary.splitter.kind:
            ids = restored.replace_unknown(restored.to_ids(rows).ids)
            assert len(ids) == len(rows)
            assert not ids.n_steps or 1 <= ids.values.min() <= ids.values.max() < len(restored)
    assert n_errors > 100


@pytest.mark.parametrize(
    "change",
    [
        {"tokens": ["[PAD]", "[UNK]"]},
        {"tokens": ["[PAD]", "a", "b"]},
        {"tokens": ["[PAD]", "[UNK]", "a", "b", "a"]},
        {"tokens": ("[PAD]", "[UNK]", "a")},
        {"kind": "tokens", "level": "char"},
        {"merges": np.zeros((1, 2), dtype=np.int32)},
        {"level": "subword"},
        {"max_length": 0},
    ],
)
def test_from_state_rejects_inconsistent_values(change):
    state = VOCABULARIES["words"]().to_state()
    with pytest.raises(SavedStateError):
        Vocabulary.from_state(Saved(state | change))


def test_from_state_of_subwords_without_the_library_names_what_to_install(monkeypatch):
    pytest.importorskip("tokenizers")
    state = VOCABULARIES["subwords"]().to_state()
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(ImportError, match=r"pip install tokenizers"):
        Vocabulary.from_state(Saved(state))
