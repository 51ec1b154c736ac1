import re

import numpy as np
import pytest

from seqclf._text import characters
from seqclf._text.characters import Characters, clean, word_pattern

LETTER, MARK, SPACE, ALNUM, ASK = (1 << place for place in range(5))


def entry(character, lowercase=True):
    """Its kinds, and the character that it is read as."""
    known = Characters(lowercase)
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
        ("\u0301", LETTER | MARK, "\u0301"),
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
    known = Characters(True)
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
    assert clean("It’s<br />GOOD", True) == "it's good"
    assert clean("It’s<br />GOOD", False) == "It's GOOD"
    assert clean("<br", True) == "<br"
