"""Choice between words and characters from a sample of the texts."""

import numpy as np
import pytest

from seqclf import RNNTextClassifier, TextTokenizer
from seqclf._text.levels import LevelSample, choose_level

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
def test_auto_level_depends_on_the_script(text, level):
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
def test_choose_level_for_single_tokens_and_mixed_scripts(texts, level):
    assert choose_level(texts) == level


def test_choose_level_samples_all_rows():
    chinese, english = ["酒店很干净" * 20] * 3_000, ["a clean hotel " * 20] * 3_000
    assert choose_level(english + chinese) == "char"
    assert choose_level(english * 20 + chinese) == "word"


@pytest.mark.parametrize("size", [1, 7, 400, 5_000])
def test_level_sample_does_not_depend_on_chunks(size, tune):
    tune(max_level_texts=90)
    texts = [f"{index} " + "x" * 600 for index in range(1_000)]
    whole, chunked = LevelSample(), LevelSample()
    whole.add(texts)
    for start in range(0, len(texts), size):
        chunked.add(texts[start : start + size])
    assert chunked._texts == whole._texts
    assert len(set(whole._texts)) == 90 and max(map(len, whole._texts)) == 500


def test_level_sample_is_spread_over_all_texts():
    sample = LevelSample()
    sample.add(list(map(str, range(16_000))))
    positions = np.array(list(map(int, sample._texts)))
    assert len(positions) == 1_000
    for n_kinds in (2, 3, 8):  # texts of several kinds can alternate
        fractions = np.bincount(positions % n_kinds) / len(positions)
        assert abs(fractions - 1 / n_kinds).max() < 0.05
    assert abs(np.histogram(positions, bins=8, range=(0, 16_000))[0] / len(positions) - 1 / 8).max() < 0.05


def test_verbose_fit_prints_the_chosen_level(capsys):
    classifier = RNNTextClassifier(units=2, max_epochs=1, verbose=1).fit(UNSPACED[:2] * 4, [0, 1] * 4)
    assert classifier.tokenizer_.level_ == "char"
    assert "characters as tokens" in capsys.readouterr().out
