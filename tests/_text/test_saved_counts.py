"""Counts of a stream as a state: they go on as the counts themselves do, and what can't be right is refused."""

import pytest

from seqclf._saved import Saved, SavedStateError
from seqclf._text.saved_counts import counts_to_state, read_counts
from seqclf._text.splitter import Splitter
from seqclf._text.token_counts import TextCounts

TEXTS = ["good film", "bad film", "", "a plot"] * 3


def new():
    return TextCounts([Splitter("texts", level, True, "NFC") for level in ("word", "char")], 1)


def test_counts_go_on():
    counts, read = new(), new()
    counts.add(TEXTS)
    read_counts(Saved(counts_to_state(counts)), read)
    for each in (counts, read):
        each.add(["a new film"])
    one, other = counts.chosen(), read.chosen()
    assert (one.tokens, one.counts.tolist(), one.n_texts) == (other.tokens, other.counts.tolist(), other.n_texts)
    assert one.n_truncated == other.n_truncated == 10


def test_counts_that_can_not_be_right_are_refused(altered):
    counts = new()
    counts.add(TEXTS)
    n_refused = 0
    for state in altered(counts_to_state(counts)):
        read = new()
        try:
            read_counts(Saved(state), read)
        except SavedStateError:
            n_refused += 1
            continue
        read.add(["good"])  # what is read can be gone on with
    assert n_refused > 50
    with pytest.raises(SavedStateError, match="sample"):
        read_counts(Saved(counts_to_state(counts) | {"sample": None}), new())
