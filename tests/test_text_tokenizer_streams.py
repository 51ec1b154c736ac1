"""Streams of texts: `TextTokenizer.fit` of an iterator and `partial_fit` equal one `fit` of a list."""

import copy
import pickle
import random
import re
import tracemalloc
import warnings
from itertools import chain

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.utils.validation import check_is_fitted

from seqclf import RNNTextClassifier, SequencePadder, TextTokenizer

FIXED = "ids of this TextTokenizer are fixed.*clone"


def make_texts(n, seed=0):
    generator = random.Random(seed)
    words = ["".join(generator.choices("abcdefghij", k=generator.randint(1, 4))) for _ in range(400)]
    return [" ".join([*generator.choices(words, k=generator.randint(0, 9)), "Ok!"][: n % 7 + 3]) for _ in range(n)]


TEXTS = make_texts(2_500)
CHINESE = ["".join(random.Random(seed).choices("这家酒店很干净服务也好", k=9)) for seed in range(1_500)]
MIXED = list(chain.from_iterable(zip(TEXTS, CHINESE, strict=False)))
TOKENS = [text.split() for text in TEXTS]
CASES = {
    "auto, words": (TEXTS, {}),
    "auto, characters": (MIXED, {}),
    "auto, tokens": ([[], [], *TOKENS], {}),
    "words": (TEXTS, {"level": "word", "min_frequency": 30, "max_length": 4, "truncate": "end"}),
    "size": (TEXTS, {"vocab_size": 20, "lowercase": False}),
    "characters": (TEXTS, {"level": "char", "max_length": 20, "normalize": None}),
    "subwords": (TEXTS, {"level": "subword", "vocab_size": 400}),
}


def state_of(tokenizer):
    """All attributes of the tokenizer, in a form that can be compared."""
    attributes = dict(vars(tokenizer))
    if attributes["subword_model_"] is not None:
        attributes["subword_model_"] = attributes["subword_model_"].to_str()
    return attributes


def in_chunks(texts, seed=0):
    generator, start = random.Random(seed), 0
    while start < len(texts):
        stop = start + generator.choice((1, 50, 900))
        yield texts[start:stop]
        start = stop


@pytest.fixture(params=CASES)
def case(request):
    texts, parameters = CASES[request.param]
    if parameters.get("level") == "subword":
        pytest.importorskip("tokenizers")
    return texts, TextTokenizer(**parameters)


@pytest.fixture
def short_chunks(tune):
    tune(stream_rows=300)


def test_fit_of_an_iterator_equals_fit_of_a_list(case, short_chunks):
    texts, tokenizer = case
    expected = state_of(clone(tokenizer).fit(texts))
    assert state_of(clone(tokenizer).fit(text for text in texts)) == expected
    assert state_of(clone(tokenizer).partial_fit(texts[:9]).fit(iter(texts))) == expected, "fit resets the counts"


def test_partial_fit_of_chunks_equals_fit_of_all_texts(case, short_chunks):
    texts, tokenizer = case
    expected = clone(tokenizer).fit(texts)
    for index, chunk in enumerate(in_chunks(texts)):
        assert tokenizer.partial_fit(iter(chunk) if index % 2 else chunk) is tokenizer
        if index == 3:
            tokenizer = pickle.loads(pickle.dumps(tokenizer))
        if index == 5:
            tokenizer = copy.deepcopy(tokenizer)
    rows = texts[-30:]
    assert list(map(list, tokenizer.transform(rows))) == list(map(list, expected.transform(rows)))
    assert state_of(tokenizer) == state_of(expected)


@pytest.mark.parametrize("level", ["auto", "word", "char", "subword"])
@given(texts=st.lists(st.text(alphabet=st.characters(), max_size=20), min_size=1, max_size=6).filter(any))
@settings(max_examples=50)
def test_fit_of_an_iterator_equals_fit_of_a_list_for_any_texts(level, texts):
    """Includes lone surrogates and control characters. Both calls give the same vocabulary or the same error."""
    if level == "subword":
        pytest.importorskip("tokenizers")
    tokenizer, found = TextTokenizer(level=level, vocab_size=300), []
    for fit in (tokenizer.fit, lambda texts: clone(tokenizer).fit(iter(texts))):
        try:
            found.append(state_of(fit(texts)))
        except ValueError as error:
            found.append(str(error))
    assert found[0] == found[1]


def test_n_truncated_of_streams():
    texts = ["abc abc abc", "abc", "abc abc"]
    assert TextTokenizer(level="word", max_length=2).fit(iter(texts)).n_truncated_ == 1
    pytest.importorskip("tokenizers")
    subwords = TextTokenizer(level="subword", vocab_size=300)
    assert subwords.fit(iter(texts)).n_truncated_ == 0
    assert subwords.set_params(max_length=2).fit(iter(texts)).n_truncated_ is None
    assert subwords.fit(texts).n_truncated_ == 1


def test_fit_of_the_lines_of_a_file(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(TEXTS), encoding="utf-8")
    with path.open(encoding="utf-8") as lines:
        assert state_of(TextTokenizer(level="char").fit(lines)) == state_of(TextTokenizer(level="char").fit(TEXTS))
    with path.open("rb") as lines, pytest.raises(ValueError, match=r"Row 0 of X is b'.*Decode it first"):
        TextTokenizer().fit(lines)


@pytest.mark.parametrize("level", ["auto", "word", "char", "subword"])
def test_memory_does_not_grow_with_the_number_of_texts(level, short_chunks, tune):
    if level == "subword":
        pytest.importorskip("tokenizers")
    tune(max_level_texts=100)
    tune(unknown_word_sample=1_000)

    def peak(n):
        texts = (f"{'even' if row % 2 else 'odd'} and row {row % 500}" for row in range(n))
        tracemalloc.start()
        TextTokenizer(level=level, vocab_size=500).fit(texts)
        reached = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return reached

    peak(300)  # tables of characters are built once
    assert peak(8_000) < peak(2_000) + 200_000, "6,000 texts take more than 400,000 bytes"


def test_transform_fixes_the_ids():
    tokenizer = TextTokenizer(level="word").partial_fit(["a b"])
    assert tokenizer.tokens_ == ["[PAD]", "[UNK]", "a", "b"]
    assert tokenizer.level_ == "word" and tokenizer.input_kind_ == "texts"
    tokenizer.partial_fit(["b"])
    assert tokenizer.tokens_ == ["[PAD]", "[UNK]", "b", "a"] and tokenizer.n_tokens_ == 4
    assert tokenizer.vocabulary_ == {"b": 2, "a": 3}
    assert tokenizer.transform(["a c"])[0].tolist() == [3, 1]
    for fixed in (tokenizer, pickle.loads(pickle.dumps(tokenizer)), TextTokenizer().fit(["a"])):
        with pytest.raises(ValueError, match=FIXED):
            fixed.partial_fit(["a"])
    assert clone(tokenizer).partial_fit(["c"]).tokens_ == ["[PAD]", "[UNK]", "c"]


@pytest.mark.parametrize(
    "use",
    [
        lambda tokenizer: tokenizer.inverse_transform([[2]]),
        lambda tokenizer: tokenizer._to_ids(["a"]),
        lambda tokenizer: make_pipeline(tokenizer, "passthrough").transform(["a"]),
    ],
)
def test_every_use_of_ids_fixes_them(use):
    tokenizer = TextTokenizer(level="word").partial_fit(["a a b"])
    use(tokenizer)
    assert state_of(tokenizer) == state_of(TextTokenizer(level="word").fit(["a a b"]))


def test_tokenizer_is_fitted_after_partial_fit():
    tokenizer = TextTokenizer()
    for name in ("vocabulary_", "level_", "n_trees_"):
        assert not hasattr(tokenizer, name)
    with pytest.raises(NotFittedError):
        check_is_fitted(tokenizer)
    check_is_fitted(tokenizer.partial_fit(["a b c"]))
    assert hasattr(tokenizer, "vocabulary_") and not hasattr(tokenizer, "n_trees_")
    with pytest.raises(NotFittedError):
        clone(tokenizer).transform(["a"])


def test_partial_fit_with_frames_pipelines_and_estimators():
    tokenizer = TextTokenizer(level="word").set_output(transform="pandas").partial_fit(pd.DataFrame({"text": TEXTS}))
    expected = TextTokenizer(level="word").fit_transform(TEXTS)
    assert np.concatenate(list(tokenizer.transform(TEXTS))).tolist() == np.concatenate(list(expected)).tolist()
    padded = make_pipeline(clone(tokenizer).partial_fit(TEXTS), SequencePadder()).fit_transform(TEXTS)
    assert padded.shape[0] == len(TEXTS)
    settings = {"units": 2, "max_epochs": 1, "random_state": 0}
    counted = RNNTextClassifier(clone(tokenizer).partial_fit(CHINESE), **settings).fit(TEXTS[:40], [0, 1] * 20)
    assert counted.tokenizer_.tokens_ == TextTokenizer(level="word").fit(TEXTS[:40]).tokens_, "estimators clone"


# Invalid input


def failing_iterator(texts):
    yield from texts
    raise OSError("the disk is gone")


INVALID_CHUNKS = [
    (["new", None], "Row 1 of X is None"),
    (iter(["new", 5]), r"Row 1 of X is 5 \(int\)"),
    (iter([["new"]]), r"Row 0 of X is a list of tokens \(str\), but in fit the rows were texts"),
    (iter([[1, 2]]), "Row 0 of X is a list of token ids"),
    (iter([]), "Found array with 0 sample"),
    ([], "Found array with 0 sample"),
    ("new", "wrap it in a list"),
    (chain(["new"] * 1_234, [3.5]), "Row 1234 of X is 3.5"),
]


@pytest.mark.parametrize(("X", "words"), INVALID_CHUNKS)
def test_error_in_partial_fit_does_not_change_the_counts(X, words, short_chunks):
    tokenizer = TextTokenizer().partial_fit(TEXTS)
    with pytest.raises(ValueError, match=words):
        tokenizer.partial_fit(X)
    assert tokenizer.tokens_ == TextTokenizer().fit(TEXTS).tokens_
    tokenizer.partial_fit(CHINESE)
    tokenizer.transform(["a"])
    assert state_of(tokenizer) == state_of(TextTokenizer().fit(TEXTS + CHINESE))


def test_error_of_the_iterator_is_raised_and_changes_nothing(short_chunks):
    tokenizer = TextTokenizer().fit(["a b"])
    before = dict(vars(tokenizer))
    with pytest.raises(OSError, match="the disk is gone"):
        tokenizer.fit(failing_iterator(TEXTS))
    assert vars(tokenizer) == before
    counting = TextTokenizer().partial_fit(["a b c"])
    with pytest.raises(OSError, match="the disk is gone"):
        counting.partial_fit(failing_iterator(["secret"] * 400))
    assert counting.tokens_ == ["[PAD]", "[UNK]", "a", "b", "c"]
    assert b"secret" not in pickle.dumps(counting)


@pytest.mark.parametrize("as_input", [list, iter])
@pytest.mark.parametrize(
    ("parameters", "texts", "words"),
    [
        ({}, [[1, 2]], "X holds token ids already"),
        ({"level": "char"}, [["a", "b"]], "level='char' splits texts, but X holds lists of tokens"),
        (
            {"level": "subword", "vocab_size": 257},
            ["a"],
            "'vocab_size' parameter of TextTokenizer must be an integer >= 258",
        ),
        ({"level": "letter"}, ["a"], "'level' parameter of TextTokenizer must be one of"),
        ({"max_length": 0}, ["a"], "'max_length' parameter"),
    ],
)
def test_invalid_input_is_an_error_in_the_first_call(as_input, parameters, texts, words):
    for method in ("fit", "partial_fit"):
        tokenizer = TextTokenizer(**parameters)
        with pytest.raises(ValueError, match=words):
            getattr(tokenizer, method)(as_input(texts))
        assert vars(tokenizer) == vars(TextTokenizer(**parameters))


@pytest.mark.parametrize(
    ("parameters", "texts", "words"),
    [
        ({"level": "word"}, ["", "  "], "Empty vocabulary: none of the 0 different tokens of 2 texts"),
        (
            {"level": "word", "min_frequency": 3},
            ["a b", "a"],
            "Empty vocabulary: none of the 2 different tokens of 2 texts",
        ),
        ({}, ["[]", "[7, 8]", "[9]"], r"Row 1 of X is '\[7, 8\]', a list that was stored as a text"),
        ({}, [[], []], "Empty vocabulary: none of the 0 different tokens of 2 texts"),
    ],
)
def test_errors_that_depend_on_all_texts_are_raised_with_the_vocabulary(parameters, texts, words):
    with pytest.raises(ValueError, match=words):
        TextTokenizer(**parameters).fit(iter(texts))
    tokenizer = TextTokenizer(**parameters)
    for text in texts:
        tokenizer.partial_fit([text])
    with pytest.raises(ValueError, match=words):
        tokenizer.transform(texts[:1])
    more = [["a"] * 3] if texts[0] == [] else ["a a a"]
    assert "a" in tokenizer.partial_fit(more).vocabulary_, "the counts are kept"


def test_stringified_lists_among_other_texts_are_texts():
    texts = ["[1, 2]"] * 3 + ["a word"]
    tokenizer = TextTokenizer()
    for text in texts:
        tokenizer.partial_fit([text])
    tokenizer.transform(texts)
    assert state_of(tokenizer) == state_of(TextTokenizer().fit(texts))


@pytest.mark.parametrize(
    ("name", "value"), [("level", "char"), ("lowercase", False), ("normalize", None), ("max_length", 3)]
)
def test_parameters_that_determine_the_counts_cannot_change_between_calls(name, value):
    tokenizer = TextTokenizer().partial_fit(TEXTS)
    default = getattr(tokenizer, name)
    tokenizer.set_params(**{name: value})
    message = (
        f"The {name!r} parameter of TextTokenizer was {default!r} in earlier calls of partial_fit and is {value!r}"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        tokenizer.partial_fit(TEXTS)
    tokenizer.set_params(**{name: default}).partial_fit(CHINESE)


def test_parameters_of_the_vocabulary_can_change_between_calls():
    tokenizer = TextTokenizer().partial_fit(TEXTS).set_params(vocab_size=9, min_frequency=2)
    tokenizer.transform(["a"])
    assert tokenizer.tokens_ == TextTokenizer(vocab_size=9, min_frequency=2).fit(TEXTS).tokens_


def test_warning_of_unknown_words_equals_that_of_a_list(short_chunks):
    generator = random.Random(0)
    texts = [" ".join("".join(generator.choices("abcdefghijklmnop", k=9)) for _ in range(9)) for _ in range(6_000)]

    def warning_of(fit):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fit(TextTokenizer(level="word"))
        assert len(caught) == 1
        return str(caught[0].message)

    expected = warning_of(lambda tokenizer: tokenizer.fit(texts))
    assert "of the words occur once" in expected
    assert warning_of(lambda tokenizer: tokenizer.fit(iter(texts))) == expected
    assert warning_of(lambda tokenizer: tokenizer.partial_fit(iter(texts)).transform(["a"])) == expected


@pytest.mark.parametrize("X", [{"a": 1}, {"a", "b"}, 5, None])
def test_unordered_containers_and_scalars_are_errors(X):
    for method in ("fit", "partial_fit"):
        with pytest.raises(TypeError, match=f"X is an? {type(X).__name__}: expected a list"):
            getattr(TextTokenizer(), method)(X)
