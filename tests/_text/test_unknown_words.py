"""The warning for texts whose words are unsuitable as tokens, on synthetic and real texts."""

import gzip
import json
import random
import re
import warnings

import numpy as np
import pytest

from seqclf import RNNTextClassifier, TextTokenizer, datasets
from seqclf._data.ragged import Ragged
from seqclf._text.unknown_words import WordSample

SINGLE_TOKENS = "Nearly all texts are one token each, and .* occur once.*level=.char."
MOSTLY_UNKNOWN = (
    "^[0-9]+% of the words occur once: expect about this fraction of unknown words in new texts.*level=.char."
)


def words_of(letters, lengths, n, seed=0):
    generator = random.Random(seed)
    return ["".join(generator.choices(letters, k=generator.randint(*lengths))) for _ in range(n)]


def warning_of(texts, level="word"):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        TextTokenizer(level=level).fit(texts)
    assert len(caught) <= 1
    return str(caught[0].message) if caught else ""


CHARACTERS = [chr(code) for code in range(0x4E00, 0x4E00 + 800)]
CHINESE = ["，".join(words_of(CHARACTERS, (4, 14), 12, seed)) + "。" for seed in range(200)]


@pytest.mark.parametrize(
    "texts",
    [
        words_of("ACGT", (60, 60), 200),
        words_of("abcdefgh", (3, 9), 100),
        words_of(CHARACTERS, (20, 80), 20),
        [*words_of("ACGT", (60, 60), 98), "a b", ""],
    ],
)
def test_texts_of_one_token_each_warn(texts):
    with pytest.warns(UserWarning, match=SINGLE_TOKENS):
        TextTokenizer(level="word").fit(texts)
    assert not warning_of(texts, level="char")
    assert not warning_of(texts, level="auto")
    assert not warning_of([[text] for text in texts])  # lists of tokens never warn


def test_language_without_spaces_warns():
    with pytest.warns(UserWarning, match=MOSTLY_UNKNOWN):
        TextTokenizer(level="word").fit_transform(CHINESE)
    assert not warning_of([" ".join(text) for text in CHINESE]), "characters with spaces between them"
    assert not warning_of(CHINESE, level="char")
    assert not warning_of(CHINESE, level="auto")


def test_classifier_warns_once():
    texts = words_of("ACGT", (30, 30), 40)
    with pytest.warns(UserWarning, match=SINGLE_TOKENS) as caught:
        classifier = RNNTextClassifier(TextTokenizer(level="word"), units=2, max_epochs=1).fit(texts, [0, 1] * 20)
    assert len(caught) == 1
    classifier.predict(texts)
    RNNTextClassifier(TextTokenizer(level="char"), units=2, max_epochs=1).fit(texts, [0, 1] * 20)


@pytest.mark.parametrize(
    "texts",
    [
        ["yes", "no"] * 50,
        ["", *random.Random(0).choices(["red", "green", "blue", "black"], k=100)],
        words_of("abcdefgh", (3, 9), 19),
        words_of(CHARACTERS, (1, 1), 300),
        [*words_of("abcdefgh", (3, 9), 30), *30 * ["yes"], *40 * ["no"]],
        [" ".join(words_of("abcdefgh", (3, 9), 4, seed)) for seed in range(30)],
        ["!?", "..."] * 20,
        datasets.make_order_reviews(200, random_state=0)[0],
    ],
)
def test_suitable_texts_do_not_warn(texts):
    assert not warning_of(texts)


@pytest.mark.parametrize("n_texts", [10, 1_000, 2_500, 9_000])
def test_word_sample_does_not_depend_on_chunks(n_texts, tune):
    tune(unknown_word_sample=1_000)
    generator = np.random.default_rng(0)
    lengths = generator.integers(0, 5, n_texts)
    ids = Ragged(generator.integers(0, 90, lengths.sum()).astype(np.int32), lengths)
    whole, chunked = WordSample(), WordSample()
    whole.add(ids)
    for start in range(0, n_texts, 700):
        chunked.add(ids.take(slice(start, start + 700)))
    assert np.array_equal(chunked._ids.values, whole._ids.values)
    assert np.array_equal(chunked._positions, whole._positions)
    assert np.array_equal(chunked._ids.lengths, whole._ids.lengths)
    assert ids.n_steps < 2_000 or 900 < whole._ids.n_steps < 2_200
    tokens = [f"t{index}" for index in range(90)]
    assert chunked.describe_unknown(tokens) == whole.describe_unknown(tokens)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("texts/chinese_hotels/train", MOSTLY_UNKNOWN),
        ("texts/mpqa/train", "^$"),
        ("texts/hwu64/train", "^$"),
        ("imdb/train", "^$"),
        ("nsmc/train", "^$"),
        ("sms_spam/sms_spam", "^$"),
    ],
)
def test_warning_on_real_texts(data_folder, file, expected):
    path = data_folder / f"{file}.jsonl.gz"
    if not path.exists():
        pytest.skip(f"there is no {path}")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    for n in (300, 1_000, len(texts)):
        assert re.match(expected, warning_of(random.Random(n).sample(texts, n)))
