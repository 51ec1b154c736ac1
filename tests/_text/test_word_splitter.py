"""The compiled splitter against the regular expression that defines it: the same tokens, numbers and lengths."""

import gzip
import json
import os
import random
import sys
import threading
import unicodedata
from collections import defaultdict
from functools import partial
from itertools import repeat

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqclf import TextTokenizer
from seqclf._native import library
from seqclf._text import word_splitter as words
from seqclf._text.word_splitter import number_compiled, number_plain, number_words

compiled = pytest.mark.skipif(not library.available()[0], reason=f"no compiled kernels: {library.available()[1]}")

# What the rules turn on: pieces of line breaks, marks, spaces and cases of all widths, half surrogates.
PIECES = [
    *"<>/ \t'’_.,!-aAbBrRzZ019\0\x1c\x7f\x85\xa0",
    *["<br", "<br />", "br", "BR>", "</br", "long", "longerthaneight", "eightlet", "don't", "ß", "é", "Ⱥ", "K"],
    *["İ", "I", "Σ", "ς", "ΑΣ", "ſ", "\u0301", "\u0300x", "ि", "한", "영화", "\u2028", "\u3000", "\u200d", "❤️", "👍🏽"],
    *["\U0001d165", "\U00010400", "\U000e0001", "\U0010ffff", "\ud83d", "\udc00", "\uffff"],
    # What joins others or shows nothing, and what it does that to; spellings of several characters.
    *["\u200d", "\u200c", "\u200b", "\u00ad", "\u2060", "\ufeff", "\u200f", "\ufe0f", "\u20e3", "1\ufe0f\u20e3", "#"],
    *[
        "👩",
        "🏽",
        "🇩",
        "🇪",
        "🏴",
        "\U000e0067",
        "\U000e007f",
        "❤",
        "\U000e0100",
        "👩\u200d👩\u200d👧",
        "क्\u200dष",
        "می\u200cخ",
    ],
    *["J", "j", "A", "\u030c", "\u0323", "\u0338", "\u0342", "\u0345", "क", "\u093c", "\u0958", "\u212a", "ﬁ", "＜"],
    *["\u1112", "\u1161", "\u11ab", "\u0f71", "\u0f72", "\u0340", "\u0344"],
]
texts_of_pieces = st.lists(st.lists(st.sampled_from(PIECES), max_size=40).map("".join), max_size=6)
any_texts = st.lists(st.text(st.characters(), max_size=60), max_size=6)


def numbered(split, texts, lowercase=True, form="NFC"):
    """The tokens in the order of their numbers, the numbers, and how many each text has."""
    seen = defaultdict()
    seen.default_factory = seen.__len__
    ids = split(texts, partial(map, seen.__getitem__), lowercase, form)
    assert ids.values.dtype == np.int32
    assert ids.lengths.dtype == np.int64
    return list(seen), ids.values.tolist(), ids.lengths.tolist()


def assert_same(texts, lowercase=True, form="NFC"):
    assert numbered(number_compiled, texts, lowercase, form) == numbered(number_plain, texts, lowercase, form)


def leave_little_room(patch):
    """Every chunk, table and list of ids is full at once, and tokens are forgotten as soon."""
    patch.setattr(words, "_FIRST_ROOM", 1)
    patch.setattr(words, "_CHUNK", 3)
    patch.setattr(words, "_MAX_TOKENS", 4)


@compiled
@pytest.mark.parametrize("form", ["NFC", "NFKC", None])
@pytest.mark.parametrize("lowercase", [True, False])
@given(texts=texts_of_pieces | any_texts)
@settings(max_examples=300)
def test_texts(texts, lowercase, form):
    assert_same(texts, lowercase, form)


@compiled
@given(text=st.lists(st.sampled_from(PIECES) | st.characters(), max_size=40).map("".join), lowercase=st.booleans())
@settings(max_examples=300)
def test_canonically_equal_spellings(text, lowercase):
    spellings = [unicodedata.normalize(form, text) for form in ("NFC", "NFD")]
    for split in (number_compiled, number_plain):
        of_each = [numbered(split, [spelling], lowercase) for spelling in (text, *spellings)]
        assert of_each[0] == of_each[1] == of_each[2]


@compiled
@given(texts=texts_of_pieces | any_texts, lowercase=st.booleans(), form=st.sampled_from(["NFC", "NFKC", None]))
@settings(max_examples=200)
def test_texts_with_little_room(texts, lowercase, form):
    with pytest.MonkeyPatch.context() as patch:
        leave_little_room(patch)
        assert_same(texts, lowercase, form)


@compiled
@pytest.mark.slow
@pytest.mark.parametrize(("lowercase", "form"), [(True, "NFC"), (False, "NFC"), (True, None)])
def test_every_character(lowercase, form):
    """In words, next to them, to a capital sigma and to joiners, in parts of a line break, and as the whole text."""
    patterns = ["a{0}b'{0}{0} .{0}{0}", "A{0}. Σ{0}'", "<br{0}>x <{0}br>x <b{0}>.<{0}r>.<{0}r/>", "{0}"]
    patterns += ["👩\u200d{0}\u200d{0}\u200c", "1{0}\u20e3", "<br{0}x>", "J{0}\u030c"]
    for start in range(0, 0x110000, 0x4000):
        for pattern in patterns:
            assert_same([pattern.format(chr(code)) for code in range(start, start + 0x4000)], lowercase, form)


@compiled
@pytest.mark.parametrize("character", ["é", "Σ", "\ud83d", "<", "'", " ", "한", "\0"])
def test_texts_of_every_length_around_a_block(character):
    for length in range(70):
        assert_same([length * "a" + character, character + length * "A", length * character, "b" * length])


@compiled
@pytest.mark.parametrize("end", ["<", "< /", "<br", "<br ", "<br\u0301", "<b", "<br/", "é", "'", "Σ", "\ud83d"])
def test_nothing_reaches_into_the_next_text(end):
    for fill in ("", 600 * "a", 600 * "é"):  # memory that ends with the text, and that the sanitizer watches
        assert_same([fill + end])
        assert_same([fill + end, "> r />", fill + end, "", "br>", "br", ">"])


@compiled
def test_what_was_cleaned_is_not_cleaned_again():
    """A text with a capital sigma is cleaned by Python."""
    text = "<<br>br> ΟΔΥΣΣΕΥΣ <br/>İ’s"
    assert numbered(number_compiled, [text])[0] == ["<", "br", ">", "οδυσσευς", "i̇'s"]
    assert_same([text])


@compiled
def test_no_texts_and_empty_texts():
    for texts in ([], [""], ["", " ", "\n"], ["", "a", ""]):
        assert_same(texts)


@compiled
def test_long_tokens_and_many_tokens(tune):
    generator = random.Random(0)
    letters = "".join(generator.choices("abcdefghijé한", k=200_000))
    same_beginning = [letters[:9] + letters[:end] for end in range(0, 3_000, 7)]
    many = " ".join(str(number) for number in range(60_000))
    for _ in range(2):
        assert_same([letters, letters[1:], letters, "!" * 70_000, many, " ".join(same_beginning)])
        tune(max_split_bytes=1_000)


@compiled
def test_the_room_for_tokens_grows_with_what_they_hold(monkeypatch):
    """Not with the text times the number of doublings: one text of many different words asked for gigabytes."""
    rooms, true_bind = [], words._Splitter._bind_room

    def bind(splitter, tokens, starts):
        rooms.append(len(tokens))
        true_bind(splitter, tokens, starts)

    monkeypatch.setattr(words._Splitter, "_bind_room", bind)
    text = " ".join(f"t{number:x}" for number in range(100_000))
    assert_same([text])
    assert len(rooms) > 5 and max(rooms) < 4 * len(text)


@compiled
def test_tokens_that_differ_in_one_byte_are_told_apart():
    base = "abcdefghijklmnopqrstuvwxyz"
    tokens = [base[:n] + letter + base[n:m] for n in range(26) for m in range(n, 27) for letter in "_09é"]
    assert_same([" ".join(tokens)])


@compiled
def test_two_threads_at_once():
    generator = random.Random(1)
    texts = ["".join(generator.choices(PIECES, k=300)) for _ in range(100)]
    expected, found = numbered(number_plain, texts), {}

    def work(name):
        found[name] = [numbered(number_compiled, texts) == expected for _ in range(5)]

    threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {name: [True] * 5 for name in "abc"}


@compiled
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.skipif(sys.version_info >= (3, 12), reason="Python warns of a fork beside threads")
def test_a_forked_child_splits_too():
    texts = ["a forked child é"] * 50
    expected = numbered(number_compiled, texts)
    child = os.fork()
    if child == 0:
        os._exit(numbered(number_compiled, texts) != expected)
    assert os.waitpid(child, 0)[1] == 0


# --- which of the two is used

LONG = ["A good film, don’t you think?<br />Σ"] * 200


@pytest.fixture
def used(monkeypatch):
    """The names of the ways that were used."""
    names = []

    def spy(name, way):
        def spying(*arguments):
            names.append(name)
            return way(*arguments)

        monkeypatch.setattr(words, name, spying)

    for name in ("number_compiled", "number_plain"):
        spy(name, getattr(words, name))
    return names


@compiled
def test_much_text_is_split_by_the_library(monkeypatch, used):
    monkeypatch.delenv("SEQCLF_KERNELS", raising=False)
    tokenizer = TextTokenizer().fit(LONG)
    tokenizer.transform(LONG)
    tokenizer.transform(["".join(LONG)])
    tokenizer.transform(["short"])
    assert used == ["number_compiled"] * 3 + ["number_plain"]


@compiled
@pytest.mark.parametrize(
    ("value", "expected"), [("", "compiled"), ("cpu", "compiled"), ("reference", "plain"), ("torch_native", "plain")]
)
def test_the_variable_that_names_other_kernels_holds_for_words(monkeypatch, used, value, expected):
    monkeypatch.setenv("SEQCLF_KERNELS", value)
    TextTokenizer().fit(LONG)
    assert used == [f"number_{expected}"]


def test_without_a_library_words_are_split_all_the_same(monkeypatch, used):
    monkeypatch.setattr(library, "load", lambda: (None, "test"))
    assert numbered(number_words, LONG) == numbered(number_plain, LONG)
    assert set(used) == {"number_plain"}
    with pytest.raises(RuntimeError, match="no compiled splitter: test"):
        number_compiled(LONG, lambda tokens: map(len, tokens), True, "NFC")


# --- the tokenizer on real texts, both ways


def both_ways(monkeypatch, texts, **parameters):
    """The fitted tokenizer of each way, and what it gives for the texts."""
    results = []
    for name in ("cpu", "reference"):
        monkeypatch.setenv("SEQCLF_KERNELS", name)
        tokenizer = TextTokenizer(**parameters)
        results.append((tokenizer, tokenizer.fit_transform(texts), tokenizer.transform(texts[::3])))
    return results


def assert_same_tokenizers(results):
    (one, *ids), (other, *other_ids) = results
    assert one.tokens_ == other.tokens_
    assert one.vocabulary_ == other.vocabulary_
    for rows, other_rows in zip(ids, other_ids, strict=True):
        assert list(map(len, rows)) == list(map(len, other_rows))
        np.testing.assert_array_equal(np.concatenate(rows), np.concatenate(other_rows))


@compiled
@pytest.mark.parametrize(
    "parameters", [{}, {"lowercase": False}, {"min_frequency": 3}, {"vocab_size": 50, "max_length": 20}]
)
def test_the_tokenizer_learns_and_gives_the_same(monkeypatch, parameters):
    generator = random.Random(2)
    texts = [" ".join(generator.choices(PIECES, k=50)) for _ in range(300)]
    assert_same_tokenizers(both_ways(monkeypatch, texts, **parameters))


@compiled
def test_a_changed_vocabulary_is_read_as_it_is():
    tokenizer = TextTokenizer().fit(LONG)
    tokenizer.vocabulary_ = {"film": 7, "σ": 8}
    text = " ".join(LONG)
    expected = number_plain([text], lambda tokens: map(tokenizer.vocabulary_.get, tokens, repeat(1)), True, "NFC")
    np.testing.assert_array_equal(tokenizer.transform([text])[0], expected.values)


@compiled
@pytest.mark.slow
@pytest.mark.parametrize("file", ["imdb/train", "imdb/test", "nsmc/train", "sms_spam/sms_spam"])
@pytest.mark.parametrize("lowercase", [True, False])
def test_real_texts(monkeypatch, data_folder, file, lowercase):
    path = data_folder / f"{file}.jsonl.gz"
    if not path.exists():
        pytest.skip(f"there is no {path}")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    assert_same_tokenizers(both_ways(monkeypatch, texts, lowercase=lowercase))
