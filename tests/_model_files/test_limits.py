"""The limits of model files."""

from seqclf._model_files.limits import MAX_DEPTH, MAX_JSON_DEPTH, MAX_PADDING_BYTES, is_padding_bounded


def test_is_padding_bounded_allows_padding_in_proportion_to_the_strings():
    assert is_padding_bounded(0, 0, 0) and is_padding_bounded(1000, 1000, 1000)
    assert not is_padding_bounded(1, MAX_PADDING_BYTES, 1)
    assert is_padding_bounded(10**6, 16, 10**6) and not is_padding_bounded(10**6, 17, 10**6)


def test_documents_can_be_deeper_than_encoded_values():
    assert MAX_DEPTH + 10 <= MAX_JSON_DEPTH
