"""Words or characters, chosen by the writing."""

import pytest

from seqclf import RNNTextClassifier, TextTokenizer
from seqclf._text.levels import choose_level

UNSPACED = [
    "这家酒店很干净，服务也好。",
    "とても面白い映画でした",
    "โรงแรมนี้สะอาดมาก",
    "សណ្ឋាគារស្អាតណាស់",
    "정말 재미있는 영화였어요",
    "ｶﾀｶﾅﾃﾞ ｶｲﾀ ﾌﾞﾝ",
    "\U00020000\U00020001 \U00020002",
]
SPACED = [
    "A clean hotel, and good service",
    "Чистая гостиница",
    "होटल बहुत साफ है",
    "فندق نظيف جدا",
    "khách sạn rất sạch",
    "a long text about the 酒店 of the town",
    "3 2 1 !!",
]


@pytest.mark.parametrize(
    ("text", "level"), [*((text, "char") for text in UNSPACED), *((text, "word") for text in SPACED)]
)
def test_the_writing_decides(text, level):
    tokenizer = TextTokenizer().fit([text, text, ""])
    assert tokenizer.level_ == level
    explicit = TextTokenizer(level=level).fit([text, text, ""])
    assert tokenizer.tokens_ == explicit.tokens_
    assert TextTokenizer().fit([text.split()]).level_ == "word"


@pytest.mark.parametrize(
    ("texts", "level"),
    [
        (["Smith", "O'Neill", "Nguyễn"], "char"),
        (["ACGT", "GATTACA", "", "two words"], "char"),
        (["one", "two words", "three more words"], "word"),
        (["", ""], "word"),
        ([], "word"),
        (["酒店 is a hotel in the town"], "word"),
        (["酒店酒店 hotel town"], "char"),
    ],
)
def test_texts_of_one_token_and_mixed_writing(texts, level):
    assert choose_level(texts) == level


def test_a_sample_of_all_rows_decides():
    chinese, english = ["酒店很干净" * 20] * 3_000, ["a clean hotel " * 20] * 3_000
    assert choose_level(english + chinese) == "char"
    assert choose_level(english * 20 + chinese) == "word"


def test_the_classifier_tells_its_level(capsys):
    classifier = RNNTextClassifier(units=2, max_epochs=1, verbose=1).fit(UNSPACED[:2] * 4, [0, 1] * 4)
    assert classifier.tokenizer_.level_ == "char"
    assert "characters as tokens" in capsys.readouterr().out
