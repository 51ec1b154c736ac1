import re

import numpy as np
import pytest

from seqclf._text import characters
from seqclf._text.characters import Characters, clean, clean_for_words, clean_token, find_words, word_pattern

LETTER, MARK, SPACE, ALNUM, ASK, REGIONAL, JOINER = (1 << place for place in range(7))


def entry(character, lowercase=True, form="NFC"):
    """Its kinds, and the character that it is read as."""
    known = Characters(lowercase, form)
    known.add(ord(character))
    found = int(known.pages[known.page_index[ord(character) >> 8], ord(character) & 255])
    return found & 255, chr(found >> 8)


@pytest.mark.parametrize(
    ("character", "kinds", "read_as"),
    [
        ("a", LETTER | ALNUM, "a"),
        ("A", LETTER | ALNUM, "a"),
        ("_", LETTER | ALNUM, "_"),
        (" ", SPACE, " "),
        ("'", 0, "'"),
        ("’", 0, "'"),
        ("É", LETTER | ALNUM, "é"),
        ("\u0301", LETTER | MARK | ASK, "\u0301"),  # forms one character with some small letter
        ("\u093f", LETTER | MARK, "\u093f"),
        ("\u3000", SPACE, "\u3000"),
        ("한", LETTER | ALNUM, "한"),
        ("😀", 0, "😀"),
        ("\ud83d", 0, "\ud83d"),
        ("\U0001d165", 0, "\U0001d165"),  # a mark too, but not of those that words are written with
        ("İ", LETTER | ALNUM | ASK, "i"),
        ("Σ", LETTER | ALNUM | ASK, "σ"),
    ],
)
def test_what_is_known_of_a_character(character, kinds, read_as):
    assert entry(character) == (kinds, read_as)
    same = "'" if character == "’" else character
    assert entry(character, lowercase=False) == (kinds & ~ASK, same)


def test_pages_come_as_they_are_asked_for():
    known = Characters(True, "NFC")
    assert known.page_index.tolist() == [0] + [-1] * 0x1FFF
    first = known.pages[0].copy()
    for code in range(0xAC00, 0xD7A4, 256):
        known.add(code)
    assert known.page_index[[0, 0xAC, 0xD7]].tolist() == [0, 1, 44]
    assert len(known.pages) == 64
    np.testing.assert_array_equal(known.pages[0], first)
    assert chr(known.pages[44, 0xA3] >> 8) == "힣"


def test_line_breaks_have_no_other_letters():
    """The compiled splitter knows four bytes."""
    for place, letters in ((1, "bB"), (2, "rR")):
        tags = (("<br>"[:place] + chr(code) + "<br>"[place + 1 :], chr(code)) for code in range(0x110000))
        assert "".join(letter for tag, letter in tags if characters._LINE_BREAK.fullmatch(tag)) == "".join(
            sorted(letters)
        )


def test_the_letters_of_ascii_are_those_that_the_compiled_splitter_knows():
    of_ascii = re.compile(r"[A-Za-z0-9_]")
    for code in range(128):
        assert bool(entry(chr(code))[0] & LETTER) == bool(of_ascii.match(chr(code)))


def test_a_word_keeps_its_marks():
    assert word_pattern().findall("हिन्दी cafe\u0301, ❤️'s") == ["हिन्दी", "cafe\u0301", ",", "❤️", "'", "s"]


def test_cleaning():
    assert clean("It’s<br />GOOD", True, "NFC") == "it's good"
    assert clean("It’s<br />GOOD", False, "NFC") == "It's GOOD"
    assert clean("<br", True, None) == "<br"


@pytest.mark.parametrize(
    ("text", "form", "expected"),
    [
        ("cafe\u0301", "NFC", "caf\u00e9"),
        ("cafe\u0301", None, "cafe\u0301"),
        ("\uff21\ufb01\u2122", "NFKC", "AfiTM"),
        ("\uff21\ufb01", "NFC", "\uff21\ufb01"),
        ("wun\u00adder\u2060bar\ufeff", None, "wunderbar"),
        ("wun\u00adder\u200bbar", "NFC", "wunder bar"),
        ("\u200fשלום\u202c \u2067עולם\u2069", "NFC", "שלום עולם"),
        ("e\u00ad\u0301", "NFC", "\u00e9"),  # nothing visible keeps them apart
        ("J\u030c j\u030c \u01f0", "NFC", "\u01f0 \u01f0 \u01f0"),  # there is no such capital
        ("<b\u00adr>x", "NFC", " x"),
        ("می\u200cخواهم क्\u200dष", "NFC", "می\u200cخواهم क्\u200dष"),
    ],
)
def test_normal_form_and_invisible_characters(text, form, expected):
    assert clean(text, False, form).replace("J\u030c", "\u01f0") == expected
    assert clean(text, True, form) == expected.lower()


def test_tokens_are_cleaned_but_keep_their_marks():
    assert clean_token("It’s<br>Cafe\u0301\u00ad", True, "NFC") == "it’s<br>caf\u00e9"
    assert clean_token("Cafe\u0301", False, None) == "Cafe\u0301"


def test_keycaps_are_set_apart_for_words_only():
    assert clean_for_words("a1\ufe0f\u20e32\u20e3", True, "NFC").split() == ["a", "1\ufe0f\u20e3", "2\u20e3"]
    assert clean("a1\ufe0f\u20e3", True, "NFC") == "a1\ufe0f\u20e3"


@pytest.mark.parametrize("seed", range(20))
def test_texts_of_ascii_need_no_table_of_marks(seed):
    rng = np.random.default_rng(seed)
    text = "".join(map(chr, rng.integers(0, 128, 2_000))) + " don't 'tis rock'n'roll a_b 1,5 ''' x"
    assert find_words(text) == word_pattern().findall(text)
    assert find_words(text + "\u00e9") == word_pattern().findall(text + "\u00e9")
