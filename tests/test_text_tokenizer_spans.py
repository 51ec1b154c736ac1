"""`TextTokenizer.spans`: the characters of the text as given that each token was made from."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import NotFittedError

from seqclf import TextTokenizer

TEXTS = [
    "A Good’s<br/>film, 1\ufe0f\u20e3 or 2!",
    "co\u00adoperate cafe\u0301 İstanbul ΟΔΟΣ",
    "한국어 영화 \U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1f0\U0001f1f7 ﬁne ½",
    "  \t ",
    "",
    "क्षेत्र हिन्दी \u200b x",
]
LEVELS = ("word", "char", "subword")
every_level = pytest.mark.parametrize("level", LEVELS)


def fitted(level, **changes):
    size = {"vocab_size": 300} if level == "subword" else {}
    return TextTokenizer(level=level, **size, **changes).fit(TEXTS * 2)


TOKENIZERS = {level: fitted(level) for level in LEVELS}


@every_level
@settings(max_examples=40)
@given(st.lists(st.one_of(st.text(), st.sampled_from(TEXTS)), min_size=1, max_size=4))
def test_there_is_one_span_for_each_token_in_order(level, texts):
    tokenizer = TOKENIZERS[level]
    for text, ids, spans in zip(texts, tokenizer.transform(texts), tokenizer.spans(texts), strict=True):
        assert spans.shape == (len(ids), 2)
        assert spans.dtype == np.int64
        assert (spans[:, 0] < spans[:, 1]).all() and (spans >= 0).all() and (spans <= len(text)).all()
        assert (np.diff(spans, axis=0) >= 0).all()


@pytest.mark.parametrize("normalize", ["NFC", "NFKC", None])
@pytest.mark.parametrize("lowercase", [True, False])
@settings(max_examples=30)
@given(data=st.data())
def test_the_normalised_text_of_a_span_is_the_token(normalize, lowercase, data):
    text = data.draw(st.one_of(st.text(), st.sampled_from(TEXTS), st.text("aB ’.<br>é\u0301\u00ad")))
    tokenizer = TextTokenizer(level="word", normalize=normalize, lowercase=lowercase).fit([text + " x"])
    spans, tokens = tokenizer.spans([text])[0], tokenizer.inverse_transform(tokenizer.transform([text]))[0].split(" ")
    for (start, stop), token in zip(spans.tolist(), tokens if len(spans) else [], strict=True):
        cleaned = [tokenizer.tokens_[id_] for id_ in tokenizer.transform([text[start:stop]])[0]]
        # Several tokens can be made from one character. A capital sigma is another letter at the end of a text.
        assert token in cleaned or "ς" in token + "".join(cleaned) or _is_shared(spans, start, stop)


def _is_shared(spans, start, stop):
    """Whether the characters of a span also belong to other tokens."""
    return ((spans[:, 0] < stop) & (spans[:, 1] > start)).sum() > 1


@every_level
def test_spans_of_plain_texts_are_their_tokens(level):
    text = "Good film, not bad"
    tokenizer = TextTokenizer(level=level, vocab_size=400).fit([text] * 3)
    found = [text[start:stop].lower() for start, stop in tokenizer.spans([text])[0]]
    tokens = [tokenizer.tokens_[id_].replace("Ġ", "") for id_ in tokenizer.transform([text])[0]]
    assert found == tokens


@every_level
@pytest.mark.parametrize("truncate", ["start", "end"])
def test_truncated_tokens_have_no_spans(level, truncate):
    whole, cut = fitted(level), fitted(level, max_length=3, truncate=truncate)
    for ours, theirs in zip(cut.spans(TEXTS), whole.spans(TEXTS), strict=True):
        np.testing.assert_array_equal(ours, theirs[-3:] if truncate == "start" else theirs[:3])


def test_level_auto_has_the_spans_of_the_chosen_level():
    tokenizer = TextTokenizer().fit(["한국어 영화가 좋아요"] * 3)
    assert tokenizer.level_ == "char"
    assert tokenizer.spans(["영화 좋"])[0].tolist() == [[0, 1], [1, 2], [2, 3], [3, 4]]


def test_lists_of_tokens_have_no_spans():
    with pytest.raises(ValueError, match="spans needs texts"):
        TextTokenizer().fit([["good", "film"]]).spans([["good"]])


def test_spans_need_a_fitted_tokenizer_and_texts():
    with pytest.raises(NotFittedError):
        TextTokenizer().spans(["good"])
    with pytest.raises(ValueError, match="Row 0 of X"):
        TextTokenizer().fit(["good"]).spans([["good"]])
