"""Cleaning of texts, the pattern of words, and the lookup table of characters for the native splitter."""

import re

import numpy as np
import pytest

from seqclf._text import characters
from seqclf._text.characters import Characters, clean, clean_for_words, clean_token, find_words, word_pattern

LETTER, MARK, SPACE, ALNUM, CONTEXT_DEPENDENT, REGIONAL, JOINER = (1 << bit for bit in range(7))


def entry(character, lowercase=True, form="NFC"):
    """The kinds of a character, and its replacement."""
    table = Characters(lowercase, form)
    table.add(ord(character))
    found = int(table.pages[table.page_index[ord(character) >> 8], ord(character) & 255])
    return found & 255, chr(found >> 8)


@pytest.mark.parametrize(
    ("character", "kinds", "replacement"),
    [
        ("a", LETTER | ALNUM, "a"),
        ("A", LETTER | ALNUM, "a"),
        ("_", LETTER | ALNUM, "_"),
        (" ", SPACE, " "),
        ("'", 0, "'"),
        ("’", 0, "'"),
        ("É", LETTER | ALNUM, "é"),
        ("\u0301", LETTER | MARK | CONTEXT_DEPENDENT, "\u0301"),  # composes with some lower-case letters
        ("\u093f", LETTER | MARK, "\u093f"),
        ("\u3000", SPACE, "\u3000"),
        ("한", LETTER | ALNUM, "한"),
        ("😀", 0, "😀"),
        ("\ud83d", 0, "\ud83d"),
        ("\U0001d165", 0, "\U0001d165"),  # a mark, but not one that belongs to words
        ("İ", LETTER | ALNUM | CONTEXT_DEPENDENT, "i"),
        ("Σ", LETTER | ALNUM | CONTEXT_DEPENDENT, "σ"),
    ],
)
def test_characters_contains_kinds_and_replacement(character, kinds, replacement):
    assert entry(character) == (kinds, replacement)
    same = "'" if character == "’" else character
    assert entry(character, lowercase=False) == (kinds & ~CONTEXT_DEPENDENT, same)


def test_characters_add_pages_on_demand():
    table = Characters(True, "NFC")
    assert table.page_index.tolist() == [0] + [-1] * 0x1FFF
    first = table.pages[0].copy()
    for code in range(0xAC00, 0xD7A4, 256):
        table.add(code)
    assert table.page_index[[0, 0xAC, 0xD7]].tolist() == [0, 1, 44]
    assert len(table.pages) == 64
    np.testing.assert_array_equal(table.pages[0], first)
    assert chr(table.pages[44, 0xA3] >> 8) == "힣"


def test_line_break_pattern_matches_only_ascii_letters():
    """The native splitter compares single bytes: b, B, r and R."""
    for index, letters in ((1, "bB"), (2, "rR")):
        tags = (("<br>"[:index] + chr(code) + "<br>"[index + 1 :], chr(code)) for code in range(0x110000))
        assert "".join(letter for tag, letter in tags if characters.LINE_BREAK.fullmatch(tag)) == "".join(
            sorted(letters)
        )


def test_ascii_letters_match_the_native_splitter():
    letters = re.compile(r"[A-Za-z0-9_]")
    for code in range(128):
        assert bool(entry(chr(code))[0] & LETTER) == bool(letters.match(chr(code)))


def test_word_pattern_keeps_combining_marks_in_words():
    assert word_pattern().findall("हिन्दी cafe\u0301, ❤️'s") == ["हिन्दी", "cafe\u0301", ",", "❤️", "'", "s"]


def test_clean_replaces_line_breaks_apostrophes_and_case():
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
        ("e\u00ad\u0301", "NFC", "\u00e9"),  # separated by an invisible character only
        ("J\u030c j\u030c \u01f0", "NFC", "\u01f0 \u01f0 \u01f0"),  # this capital has no composed form
        ("<b\u00adr>x", "NFC", " x"),
        ("می\u200cخواهم क्\u200dष", "NFC", "می\u200cخواهم क्\u200dष"),
    ],
)
def test_clean_normalises_and_drops_invisible_characters(text, form, expected):
    assert clean(text, False, form).replace("J\u030c", "\u01f0") == expected
    assert clean(text, True, form) == expected.lower()


def test_clean_token_keeps_line_breaks_and_apostrophes():
    assert clean_token("It’s<br>Cafe\u0301\u00ad", True, "NFC") == "it’s<br>caf\u00e9"
    assert clean_token("Cafe\u0301", False, None) == "Cafe\u0301"


def test_only_clean_for_words_separates_keycaps():
    assert clean_for_words("a1\ufe0f\u20e32\u20e3", True, "NFC").split() == ["a", "1\ufe0f\u20e3", "2\u20e3"]
    assert clean("a1\ufe0f\u20e3", True, "NFC") == "a1\ufe0f\u20e3"


@pytest.mark.parametrize("seed", range(20))
def test_find_words_equals_word_pattern_on_ascii(seed):
    rng = np.random.default_rng(seed)
    text = "".join(map(chr, rng.integers(0, 128, 2_000))) + " don't 'tis rock'n'roll a_b 1,5 ''' x"
    assert find_words(text) == word_pattern().findall(text)
    assert find_words(text + "\u00e9") == word_pattern().findall(text + "\u00e9")
