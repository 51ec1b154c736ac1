"""A vocabulary gives the ids that its tokenizer gives; one from a state is the same, or is refused."""

import sys

import numpy as np
import pytest

from seqclf import TextTokenizer
from seqclf._saved import Saved, SavedStateError
from seqclf._text.splitter import Splitter
from seqclf._text.vocabulary import Vocabulary

TEXTS = ["Good film, good music.", "Not good!", "", "a GOOD film ’t Köln 漢字"]
NEW = ["good music", "unheard words, words", ""]


def learned(**parameters):
    return TextTokenizer(**parameters).fit(TEXTS)._vocabulary()


VOCABULARIES = {
    "words": lambda: learned(level="word", vocab_size=6),
    "cut words": lambda: learned(level="word", max_length=2, truncate="end", lowercase=False, normalize=None),
    "characters": lambda: learned(level="char", normalize="NFKC", vocab_size=12),
    "subwords": lambda: learned(level="subword", vocab_size=270, max_length=5),
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


def test_from_a_state_it_gives_the_same_ids(vocabulary):
    again = Vocabulary.from_state(Saved(vocabulary.to_state()))
    rows = rows_for(vocabulary)
    found, expected = again.to_ids(rows), vocabulary.to_ids(rows)
    np.testing.assert_array_equal(found.ids.values, expected.ids.values)
    np.testing.assert_array_equal(found.ids.lengths, expected.ids.lengths)
    assert found.new_tokens == expected.new_tokens
    np.testing.assert_array_equal(again.known(found.ids).values, vocabulary.known(expected.ids).values)
    assert again.tokens == vocabulary.tokens and again.ids == vocabulary.ids and len(again) == len(vocabulary)


def test_unknown_tokens_are_new_ones_in_their_order():
    vocabulary = Vocabulary(Splitter("texts", "word", True, None), ["[PAD]", "[UNK]", "b"], 3, "end")
    ids, new = vocabulary.to_ids(["x b y x", "[UNK]"])
    assert ids.items()[0].tolist() == [3, 2, 4] and new == ["x", "y", "[", "unk", "]"]
    assert vocabulary.known(ids).items()[0].tolist() == [1, 2, 1]


def test_a_changed_state_is_refused_or_is_a_vocabulary(vocabulary, altered):
    n_refused, rows = 0, rows_for(vocabulary)
    for state in altered(vocabulary.to_state()):
        try:
            again = Vocabulary.from_state(Saved(state))
        except SavedStateError:
            n_refused += 1
            continue
        if again.splitter.kind == vocabulary.splitter.kind:
            ids = again.known(again.to_ids(rows).ids)
            assert len(ids) == len(rows) and (not ids.n_steps or 1 <= ids.values.min() <= ids.values.max() < len(again))
    assert n_refused > 100


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
def test_parts_that_do_not_go_together_are_refused(change):
    state = VOCABULARIES["words"]().to_state()
    with pytest.raises(SavedStateError):
        Vocabulary.from_state(Saved(state | change))


def test_without_the_library_subwords_say_what_to_install(monkeypatch):
    pytest.importorskip("tokenizers")
    state = VOCABULARIES["subwords"]().to_state()
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(ImportError, match=r"pip install tokenizers"):
        Vocabulary.from_state(Saved(state))
