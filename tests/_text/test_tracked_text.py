"""`TrackedText`: cleaned texts are those of `characters`, and each character knows where it came from."""

import time
import unicodedata

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from seqclf._text.characters import clean, clean_for_words, find_word_spans
from seqclf._text.splitter import Splitter
from seqclf._text.tracked_text import TrackedText

ODD = "aAéE\u0301\u0323\u00ad\u200b\u200d\u20e3\ufe0f1İΣσ \t\n'’한\u1112\u1161\u11ab½ﬁ.!\U0001f468\u0345\u1e9b\u0344"
texts = st.lists(st.one_of(st.sampled_from(ODD), st.characters(), st.just("<br />"))).map("".join)
forms = st.sampled_from(["NFC", "NFKC", None])


@given(text=texts, lowercase=st.booleans(), form=forms)
@example("e\u00ad\u0301 İΣ", True, "NFC")
@example("\u0344\u0301", False, "NFKC")
def test_cleaned_texts_equal_those_of_ordinary_calls(text, lowercase, form):
    tracked = TrackedText.of(text)
    line = Splitter("texts", "char", lowercase, form).line(text)
    for found, expected in (
        (tracked.cleaned(lowercase, form), clean(text, lowercase, form)),
        (tracked.cleaned_for_words(lowercase, form), clean_for_words(text, lowercase, form)),
        (tracked.cleaned(lowercase, form).on_one_line(), line),
    ):
        assert found.text == expected
        assert len(found.starts) == len(found.stops) == len(expected)
        assert (found.starts < found.stops).all() and (found.stops <= len(text)).all()
        assert (np.diff(found.starts) >= 0).all() and (np.diff(found.stops) >= 0).all()


def test_the_time_for_a_run_of_marks_is_proportional_to_its_length():
    """Copying the rest of the run for each mark would take minutes."""
    n_marks = 300_000
    text = "a" + "\u0316" * n_marks + "e\u0301"
    start = time.process_time()
    cleaned = TrackedText.of(text).cleaned(True, "NFC")
    assert time.process_time() - start < 10
    assert len(cleaned.text) == n_marks + 2
    assert cleaned.stops[-1] == len(text)


@pytest.mark.parametrize(
    ("text", "word", "expected"),
    [
        ("a co\u00adop b", "coop", "co\u00adop"),
        ("x<br/>Cafe\u0301!", "café", "Cafe\u0301"),
        ("\u1112\u1161\u11ab \u1100\u1173\u11af", "글", "\u1100\u1173\u11af"),
        ("It’s", "it's", "It’s"),
        ("say ＯＫ now", "ok", "ＯＫ"),
    ],
)
def test_a_word_came_from_its_characters(text, word, expected):
    cleaned = TrackedText.of(text).cleaned_for_words(True, "NFKC")
    words = [unicodedata.normalize("NFC", cleaned.text[start:stop]) for start, stop in find_word_spans(cleaned.text)]
    start, stop = cleaned.word_spans()[words.index(word)]
    assert text[start:stop] == expected
