"""Saved token counts: loaded counts continue as the originals do, and invalid states are errors."""

import pytest

from seqclf._saved import Saved, SavedStateError
from seqclf._text.saved_counts import counts_to_state, load_counts
from seqclf._text.splitter import Splitter
from seqclf._text.token_counts import TextCounts

TEXTS = ["good film", "bad film", "", "a plot"] * 3


def new_counts():
    return TextCounts([Splitter("texts", level, True, "NFC") for level in ("word", "char")], 1)


def test_loaded_counts_continue_like_the_originals():
    counts, loaded = new_counts(), new_counts()
    counts.add(TEXTS)
    load_counts(Saved(counts_to_state(counts)), loaded)
    for each in (counts, loaded):
        each.add(["a new film"])
    expected, found = counts.chosen(), loaded.chosen()
    assert found.tokens == expected.tokens
    assert found.counts.tolist() == expected.counts.tolist()
    assert found.n_texts == expected.n_texts
    assert found.n_truncated == expected.n_truncated == 10


def test_load_counts_of_an_altered_state_is_an_error_or_usable(altered):
    counts = new_counts()
    counts.add(TEXTS)
    n_errors = 0
    for state in altered(counts_to_state(counts)):
        loaded = new_counts()
        try:
            load_counts(Saved(state), loaded)
        except SavedStateError:
            n_errors += 1
            continue
        loaded.add(["good"])
    assert n_errors > 50
    with pytest.raises(SavedStateError, match="sample"):
        load_counts(Saved(counts_to_state(counts) | {"sample": None}), new_counts())
