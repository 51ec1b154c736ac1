"""The native word splitter against its reference, a regular expression: the same tokens, ids and lengths."""

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
from seqclf._text import word_splitter
from seqclf._text.word_splitter import index_words, index_words_native, index_words_reference

needs_native = pytest.mark.skipif(not library.available()[0], reason=f"no native library: {library.available()[1]}")

# Special cases of the rules: pieces of line breaks, marks, spaces and cases of all byte lengths, lone surrogates.
PIECES = [
    *"<>/ \t'’_.,!-aAbBrRzZ019\0\x1c\x7f\x85\xa0",
    *["<br", "<br />", "br", "BR>", "</br", "long", "longerthaneight", "eightlet", "don't", "ß", "é", "Ⱥ", "K"],
    *["İ", "I", "Σ", "ς", "ΑΣ", "ſ", "\u0301", "\u0300x", "ि", "한", "영화", "\u2028", "\u3000", "\u200d", "❤️", "👍🏽"],
    *["\U0001d165", "\U00010400", "\U000e0001", "\U0010ffff", "\ud83d", "\udc00", "\uffff"],
    # Joiners and invisible characters, with their neighbours; characters with several spellings.
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


def indexed(split, texts, lowercase=True, form="NFC"):
    """The tokens in order of their ids, the ids, and the number of tokens of each text."""
    seen = defaultdict()
    seen.default_factory = seen.__len__
    ids = split(texts, partial(map, seen.__getitem__), lowercase, form)
    assert ids.values.dtype == np.int32
    assert ids.lengths.dtype == np.int64
    return list(seen), ids.values.tolist(), ids.lengths.tolist()


def assert_same(texts, lowercase=True, form="NFC"):
    assert indexed(index_words_native, texts, lowercase, form) == indexed(index_words_reference, texts, lowercase, form)


def use_small_buffers(patch):
    """Make every chunk, table and list of ids full at once, and reset the token table often."""
    patch.setattr(word_splitter, "_INITIAL_TOKENS", 1)
    patch.setattr(word_splitter, "_CHUNK", 3)
    patch.setattr(word_splitter, "_MAX_TOKENS", 4)


@needs_native
@pytest.mark.parametrize("form", ["NFC", "NFKC", None])
@pytest.mark.parametrize("lowercase", [True, False])
@given(texts=texts_of_pieces | any_texts)
@settings(max_examples=300)
def test_native_equals_reference(texts, lowercase, form):
    assert_same(texts, lowercase, form)


@needs_native
@given(text=st.lists(st.sampled_from(PIECES) | st.characters(), max_size=40).map("".join), lowercase=st.booleans())
@settings(max_examples=300)
def test_canonically_equal_spellings_give_equal_ids(text, lowercase):
    spellings = [unicodedata.normalize(form, text) for form in ("NFC", "NFD")]
    for split in (index_words_native, index_words_reference):
        results = [indexed(split, [spelling], lowercase) for spelling in (text, *spellings)]
        assert results[0] == results[1] == results[2]


@needs_native
@given(texts=texts_of_pieces | any_texts, lowercase=st.booleans(), form=st.sampled_from(["NFC", "NFKC", None]))
@settings(max_examples=200)
def test_native_equals_reference_with_small_buffers(texts, lowercase, form):
    with pytest.MonkeyPatch.context() as patch:
        use_small_buffers(patch)
        assert_same(texts, lowercase, form)


@needs_native
@pytest.mark.slow
@pytest.mark.parametrize(("lowercase", "form"), [(True, "NFC"), (False, "NFC"), (True, None)])
def test_native_equals_reference_for_every_character(lowercase, form):
    """In words; next to words, a capital sigma and joiners; inside a line break; and as the whole text."""
    patterns = ["a{0}b'{0}{0} .{0}{0}", "A{0}. Σ{0}'", "<br{0}>x <{0}br>x <b{0}>.<{0}r>.<{0}r/>", "{0}"]
    patterns += ["👩\u200d{0}\u200d{0}\u200c", "1{0}\u20e3", "<br{0}x>", "J{0}\u030c"]
    for start in range(0, 0x110000, 0x4000):
        for pattern in patterns:
            assert_same([pattern.format(chr(code)) for code in range(start, start + 0x4000)], lowercase, form)


@needs_native
@pytest.mark.parametrize("character", ["é", "Σ", "\ud83d", "<", "'", " ", "한", "\0"])
def test_native_equals_reference_for_every_length_around_a_block(character):
    for length in range(70):
        assert_same([length * "a" + character, character + length * "A", length * character, "b" * length])


@needs_native
@pytest.mark.parametrize("end", ["<", "< /", "<br", "<br ", "<br\u0301", "<b", "<br/", "é", "'", "Σ", "\ud83d"])
def test_native_splitter_does_not_read_past_the_end_of_a_text(end):
    for fill in ("", 600 * "a", 600 * "é"):  # allocations that end with the text, which the sanitizer checks
        assert_same([fill + end])
        assert_same([fill + end, "> r />", fill + end, "", "br>", "br", ">"])


@needs_native
def test_native_splitter_cleans_a_text_only_once():
    """A text with a capital sigma is cleaned in Python."""
    text = "<<br>br> ΟΔΥΣΣΕΥΣ <br/>İ’s"
    assert indexed(index_words_native, [text])[0] == ["<", "br", ">", "οδυσσευς", "i̇'s"]
    assert_same([text])


@needs_native
def test_native_equals_reference_for_empty_texts():
    for texts in ([], [""], ["", " ", "\n"], ["", "a", ""]):
        assert_same(texts)


@needs_native
def test_native_equals_reference_for_long_tokens_and_many_tokens(tune):
    generator = random.Random(0)
    letters = "".join(generator.choices("abcdefghijé한", k=200_000))
    common_prefix = [letters[:9] + letters[:end] for end in range(0, 3_000, 7)]
    many = " ".join(str(index) for index in range(60_000))
    for _ in range(2):
        assert_same([letters, letters[1:], letters, "!" * 70_000, many, " ".join(common_prefix)])
        tune(max_split_bytes=1_000)


@needs_native
def test_token_table_grows_with_the_tokens(monkeypatch):
    """Its size must not be the text times the number of doublings: one text of many words then took gigabytes."""
    capacities, true_bind = [], word_splitter._Splitter._bind_token_table

    def bind(splitter, tokens, starts):
        capacities.append(len(tokens))
        true_bind(splitter, tokens, starts)

    monkeypatch.setattr(word_splitter._Splitter, "_bind_token_table", bind)
    text = " ".join(f"t{index:x}" for index in range(100_000))
    assert_same([text])
    assert len(capacities) > 5 and max(capacities) < 4 * len(text)


@needs_native
def test_native_splitter_distinguishes_tokens_that_differ_in_one_byte():
    base = "abcdefghijklmnopqrstuvwxyz"
    tokens = [base[:n] + letter + base[n:m] for n in range(26) for m in range(n, 27) for letter in "_09é"]
    assert_same([" ".join(tokens)])


@needs_native
def test_native_splitter_works_in_several_threads():
    generator = random.Random(1)
    texts = ["".join(generator.choices(PIECES, k=300)) for _ in range(100)]
    expected, found = indexed(index_words_reference, texts), {}

    def work(name):
        found[name] = [indexed(index_words_native, texts) == expected for _ in range(5)]

    threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {name: [True] * 5 for name in "abc"}


@needs_native
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.skipif(sys.version_info >= (3, 12), reason="Python warns about a fork in a process with threads")
def test_native_splitter_works_in_a_forked_child():
    texts = ["a forked child é"] * 50
    expected = indexed(index_words_native, texts)
    child = os.fork()
    if child == 0:
        os._exit(indexed(index_words_native, texts) != expected)
    assert os.waitpid(child, 0)[1] == 0


# Choice between the two implementations

LONG = ["A good film, don’t you think?<br />Σ"] * 200


@pytest.fixture
def used(monkeypatch):
    """The names of the implementations that were called."""
    names = []

    def spy(name, split):
        def spying(*arguments):
            names.append(name)
            return split(*arguments)

        monkeypatch.setattr(word_splitter, name, spying)

    for name in ("index_words_native", "index_words_reference"):
        spy(name, getattr(word_splitter, name))
    return names


@needs_native
def test_long_texts_use_the_native_splitter(monkeypatch, used):
    monkeypatch.delenv("SEQCLF_KERNELS", raising=False)
    tokenizer = TextTokenizer().fit(LONG)
    tokenizer.transform(LONG)
    tokenizer.transform(["".join(LONG)])
    tokenizer.transform(["short"])
    assert used == ["index_words_native"] * 3 + ["index_words_reference"]


@needs_native
@pytest.mark.parametrize(
    ("value", "expected"),
    [("", "native"), ("cpu", "native"), ("reference", "reference"), ("torch_native", "reference")],
)
def test_environment_variable_for_kernels_selects_the_splitter(monkeypatch, used, value, expected):
    monkeypatch.setenv("SEQCLF_KERNELS", value)
    TextTokenizer().fit(LONG)
    assert used == [f"index_words_{expected}"]


def test_index_words_without_a_library_uses_the_reference(monkeypatch, used):
    monkeypatch.setattr(library, "load", lambda: (None, "test"))
    assert indexed(index_words, LONG) == indexed(index_words_reference, LONG)
    assert set(used) == {"index_words_reference"}
    with pytest.raises(RuntimeError, match="The native word splitter is not available: test"):
        index_words_native(LONG, lambda tokens: map(len, tokens), True, "NFC")


# The tokenizer with both implementations


def fit_with_both(monkeypatch, texts, **parameters):
    """The fitted tokenizer of each implementation, and its output for the texts."""
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


@needs_native
@pytest.mark.parametrize(
    "parameters", [{}, {"lowercase": False}, {"min_frequency": 3}, {"vocab_size": 50, "max_length": 20}]
)
def test_tokenizer_is_equal_with_both_implementations(monkeypatch, parameters):
    generator = random.Random(2)
    texts = [" ".join(generator.choices(PIECES, k=50)) for _ in range(300)]
    assert_same_tokenizers(fit_with_both(monkeypatch, texts, **parameters))


@needs_native
def test_transform_uses_a_changed_vocabulary():
    tokenizer = TextTokenizer().fit(LONG)
    tokenizer.vocabulary_ = {"film": 7, "σ": 8}
    text = " ".join(LONG)
    expected = index_words_reference(
        [text], lambda tokens: map(tokenizer.vocabulary_.get, tokens, repeat(1)), True, "NFC"
    )
    np.testing.assert_array_equal(tokenizer.transform([text])[0], expected.values)


@needs_native
@pytest.mark.slow
@pytest.mark.parametrize("file", ["imdb/train", "imdb/test", "nsmc/train", "sms_spam/sms_spam"])
@pytest.mark.parametrize("lowercase", [True, False])
def test_tokenizer_is_equal_with_both_implementations_on_real_texts(monkeypatch, data_folder, file, lowercase):
    path = data_folder / f"{file}.jsonl.gz"
    if not path.exists():
        pytest.skip(f"there is no {path}")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    assert_same_tokenizers(fit_with_both(monkeypatch, texts, lowercase=lowercase))
