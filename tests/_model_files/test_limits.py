"""Limits that are computed."""

from seqclf._model_files.limits import MAX_DEPTH, MAX_JSON_DEPTH, MAX_PADDING_BYTES, padding_is_bounded


def test_padding_may_grow_with_the_texts_only():
    assert padding_is_bounded(0, 0, 0) and padding_is_bounded(1000, 1000, 1000)
    assert not padding_is_bounded(1, MAX_PADDING_BYTES, 1)
    assert padding_is_bounded(10**6, 16, 10**6) and not padding_is_bounded(10**6, 17, 10**6)


def test_what_may_be_encoded_may_be_read():
    assert MAX_DEPTH + 10 <= MAX_JSON_DEPTH
