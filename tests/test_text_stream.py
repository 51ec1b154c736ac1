"""Texts that come one after another: `fit` of an iterator and `partial_fit` learn what one `fit` of a list learns."""

import copy
import pickle
import random
import re
import tracemalloc
import warnings
from itertools import chain, islice

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
from seqclf._validation import text_stream

FIXED = "ids of this TextTokenizer are fixed.*clone"


def made_texts(n, seed=0):
    generator = random.Random(seed)
    words = ["".join(generator.choices("abcdefghij", k=generator.randint(1, 4))) for _ in range(400)]
    return [" ".join([*generator.choices(words, k=generator.randint(0, 9)), "Ok!"][: n % 7 + 3]) for _ in range(n)]


TEXTS = made_texts(2_500)
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


def learned(tokenizer):
    """All that the tokenizer knows, in a form that can be compared."""
    known = dict(vars(tokenizer))
    if known["subword_model_"] is not None:
        known["subword_model_"] = known["subword_model_"].to_str()
    return known


def in_parts(texts, seed=0):
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
def short_parts(tune):
    tune(stream_rows=300)


def test_an_iterator_is_read_as_a_list_is(case, short_parts):
    texts, tokenizer = case
    expected = learned(clone(tokenizer).fit(texts))
    assert learned(clone(tokenizer).fit(text for text in texts)) == expected
    assert learned(clone(tokenizer).partial_fit(texts[:9]).fit(iter(texts))) == expected, "fit begins anew"


def test_parts_are_read_as_all_texts_at_once(case, short_parts):
    texts, tokenizer = case
    expected = clone(tokenizer).fit(texts)
    for number, part in enumerate(in_parts(texts)):
        assert tokenizer.partial_fit(iter(part) if number % 2 else part) is tokenizer
        if number == 3:
            tokenizer = pickle.loads(pickle.dumps(tokenizer))
        if number == 5:
            tokenizer = copy.deepcopy(tokenizer)
    rows = texts[-30:]
    assert list(map(list, tokenizer.transform(rows))) == list(map(list, expected.transform(rows)))
    assert learned(tokenizer) == learned(expected)


@pytest.mark.parametrize("level", ["auto", "word", "char", "subword"])
@given(texts=st.lists(st.text(alphabet=st.characters(), max_size=20), min_size=1, max_size=6).filter(any))
@settings(max_examples=50)
def test_any_texts(level, texts):
    """Half surrogates and control characters too; hostile texts have no vocabulary or the same one."""
    if level == "subword":
        pytest.importorskip("tokenizers")
    tokenizer, found = TextTokenizer(level=level, vocab_size=300), []
    for fit in (tokenizer.fit, lambda texts: clone(tokenizer).fit(iter(texts))):
        try:
            found.append(learned(fit(texts)))
        except ValueError as error:
            found.append(str(error))
    assert found[0] == found[1]


def test_how_many_texts_lost_tokens():
    texts = ["abc abc abc", "abc", "abc abc"]
    assert TextTokenizer(level="word", max_length=2).fit(iter(texts)).n_truncated_ == 1
    pytest.importorskip("tokenizers")
    subwords = TextTokenizer(level="subword", vocab_size=300)
    assert subwords.fit(iter(texts)).n_truncated_ == 0
    assert subwords.set_params(max_length=2).fit(iter(texts)).n_truncated_ is None
    assert subwords.fit(texts).n_truncated_ == 1


def test_lines_of_a_file(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(TEXTS), encoding="utf-8")
    with path.open(encoding="utf-8") as lines:
        assert learned(TextTokenizer(level="char").fit(lines)) == learned(TextTokenizer(level="char").fit(TEXTS))
    with path.open("rb") as lines, pytest.raises(ValueError, match=r"Row 0 of X is b'.*Decode it first"):
        TextTokenizer().fit(lines)


@pytest.mark.parametrize("level", ["auto", "word", "char", "subword"])
def test_memory_does_not_grow_with_the_number_of_texts(level, short_parts, tune):
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

    peak(300)  # tables of characters are made once
    assert peak(8_000) < peak(2_000) + 200_000, "6,000 texts take more than 400,000 bytes"


def test_ids_are_fixed_by_transform_and_not_before():
    tokenizer = TextTokenizer(level="word").partial_fit(["a b"])
    assert tokenizer.tokens_ == ["[PAD]", "[UNK]", "a", "b"]
    assert tokenizer.level_ == "word" and tokenizer.input_kind_ == "texts"
    tokenizer.partial_fit(["b"])
    assert tokenizer.tokens_ == ["[PAD]", "[UNK]", "b", "a"] and tokenizer.n_tokens_ == 4
    assert tokenizer.vocabulary_ == {"b": 2, "a": 3}
    assert tokenizer.transform(["a c"])[0].tolist() == [3, 1]
    for again in (tokenizer, pickle.loads(pickle.dumps(tokenizer)), TextTokenizer().fit(["a"])):
        with pytest.raises(ValueError, match=FIXED):
            again.partial_fit(["a"])
    assert clone(tokenizer).partial_fit(["c"]).tokens_ == ["[PAD]", "[UNK]", "c"]


@pytest.mark.parametrize(
    "use",
    [
        lambda tokenizer: tokenizer.inverse_transform([[2]]),
        lambda tokenizer: tokenizer._to_ids(["a"]),
        lambda tokenizer: make_pipeline(tokenizer, "passthrough").transform(["a"]),
    ],
)
def test_whatever_needs_ids_fixes_them(use):
    tokenizer = TextTokenizer(level="word").partial_fit(["a a b"])
    use(tokenizer)
    assert learned(tokenizer) == learned(TextTokenizer(level="word").fit(["a a b"]))


def test_fitted_or_not():
    tokenizer = TextTokenizer()
    for name in ("vocabulary_", "level_", "n_trees_"):
        assert not hasattr(tokenizer, name)
    with pytest.raises(NotFittedError):
        check_is_fitted(tokenizer)
    check_is_fitted(tokenizer.partial_fit(["a b c"]))
    assert hasattr(tokenizer, "vocabulary_") and not hasattr(tokenizer, "n_trees_")
    with pytest.raises(NotFittedError):
        clone(tokenizer).transform(["a"])


def test_a_frame_a_pipeline_and_an_estimator():
    tokenizer = TextTokenizer(level="word").set_output(transform="pandas").partial_fit(pd.DataFrame({"text": TEXTS}))
    expected = TextTokenizer(level="word").fit_transform(TEXTS)
    assert np.concatenate(list(tokenizer.transform(TEXTS))).tolist() == np.concatenate(list(expected)).tolist()
    padded = make_pipeline(clone(tokenizer).partial_fit(TEXTS), SequencePadder()).fit_transform(TEXTS)
    assert padded.shape[0] == len(TEXTS)
    settings = {"units": 2, "max_epochs": 1, "random_state": 0}
    counted = RNNTextClassifier(clone(tokenizer).partial_fit(CHINESE), **settings).fit(TEXTS[:40], [0, 1] * 20)
    assert counted.tokenizer_.tokens_ == TextTokenizer(level="word").fit(TEXTS[:40]).tokens_, "estimators clone"


# --- bad input


def failing(texts):
    yield from texts
    raise OSError("the disk is gone")


BAD_PARTS = [
    (["new", None], "Row 1 of X is None"),
    (iter(["new", 5]), r"Row 1 of X is 5 \(int\)"),
    (iter([["new"]]), r"Row 0 of X is a list of tokens \(str\), but in fit they were texts"),
    (iter([[1, 2]]), "Row 0 of X is a list of token ids"),
    (iter([]), "Found array with 0 sample"),
    ([], "Found array with 0 sample"),
    ("new", "wrap it in a list"),
    (chain(["new"] * 1_234, [3.5]), "Row 1234 of X is 3.5"),
]


@pytest.mark.parametrize(("X", "words"), BAD_PARTS)
def test_an_error_leaves_the_counts_as_they_were(X, words, short_parts):
    tokenizer = TextTokenizer().partial_fit(TEXTS)
    with pytest.raises(ValueError, match=words):
        tokenizer.partial_fit(X)
    assert tokenizer.tokens_ == TextTokenizer().fit(TEXTS).tokens_
    tokenizer.partial_fit(CHINESE)
    tokenizer.transform(["a"])
    assert learned(tokenizer) == learned(TextTokenizer().fit(TEXTS + CHINESE))


def test_an_error_of_the_iterator_is_raised(short_parts):
    tokenizer = TextTokenizer().fit(["a b"])
    before = dict(vars(tokenizer))
    with pytest.raises(OSError, match="the disk is gone"):
        tokenizer.fit(failing(TEXTS))
    assert vars(tokenizer) == before
    counting = TextTokenizer().partial_fit(["a b c"])
    with pytest.raises(OSError, match="the disk is gone"):
        counting.partial_fit(failing(["secret"] * 400))
    assert counting.tokens_ == ["[PAD]", "[UNK]", "a", "b", "c"]
    assert b"secret" not in pickle.dumps(counting)


@pytest.mark.parametrize("as_input", [list, iter])
@pytest.mark.parametrize(
    ("parameters", "texts", "words"),
    [
        ({}, [[1, 2]], "X holds token ids already"),
        ({"level": "char"}, [["a", "b"]], "level='char' splits the texts itself"),
        ({"level": "subword", "vocab_size": 257}, ["a"], "vocab_size must be an integer >= 258"),
        ({"level": "letter"}, ["a"], "'level' parameter of TextTokenizer must be one of"),
        ({"max_length": 0}, ["a"], "'max_length' parameter"),
    ],
)
def test_bad_input_is_refused_at_once(as_input, parameters, texts, words):
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
        ({}, ["[]", "[7, 8]", "[9]"], r"Row 1 of X is '\[7, 8\]', a list that was written as a text"),
        ({}, [[], []], "Empty vocabulary: none of the 0 different tokens of 2 texts"),
    ],
)
def test_what_only_all_texts_show_is_refused_when_the_vocabulary_is_made(parameters, texts, words):
    with pytest.raises(ValueError, match=words):
        TextTokenizer(**parameters).fit(iter(texts))
    tokenizer = TextTokenizer(**parameters)
    for text in texts:
        tokenizer.partial_fit([text])
    with pytest.raises(ValueError, match=words):
        tokenizer.transform(texts[:1])
    more = [["a"] * 3] if texts[0] == [] else ["a a a"]
    assert "a" in tokenizer.partial_fit(more).vocabulary_, "the counts are still there"


def test_lists_written_as_texts_among_others_are_texts():
    texts = ["[1, 2]"] * 3 + ["a word"]
    tokenizer = TextTokenizer()
    for text in texts:
        tokenizer.partial_fit([text])
    tokenizer.transform(texts)
    assert learned(tokenizer) == learned(TextTokenizer().fit(texts))


@pytest.mark.parametrize(
    ("name", "value"), [("level", "char"), ("lowercase", False), ("normalize", None), ("max_length", 3)]
)
def test_a_parameter_that_counts_depend_on_cannot_change_between(name, value):
    tokenizer = TextTokenizer().partial_fit(TEXTS)
    default = getattr(tokenizer, name)
    tokenizer.set_params(**{name: value})
    message = (
        f"The {name!r} parameter of TextTokenizer was {default!r} in the calls of partial_fit before and is {value!r}"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        tokenizer.partial_fit(TEXTS)
    tokenizer.set_params(**{name: default}).partial_fit(CHINESE)


def test_parameters_of_the_choice_may_change_between():
    tokenizer = TextTokenizer().partial_fit(TEXTS).set_params(vocab_size=9, min_frequency=2)
    tokenizer.transform(["a"])
    assert tokenizer.tokens_ == TextTokenizer(vocab_size=9, min_frequency=2).fit(TEXTS).tokens_


def test_the_warning_of_unknown_words_is_that_of_a_list(short_parts):
    generator = random.Random(0)
    texts = [" ".join("".join(generator.choices("abcdefghijklmnop", k=9)) for _ in range(9)) for _ in range(6_000)]

    def warned(fit):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fit(TextTokenizer(level="word"))
        assert len(caught) == 1
        return str(caught[0].message)

    expected = warned(lambda tokenizer: tokenizer.fit(texts))
    assert "of the words occur once" in expected
    assert warned(lambda tokenizer: tokenizer.fit(iter(texts))) == expected
    assert warned(lambda tokenizer: tokenizer.partial_fit(iter(texts)).transform(["a"])) == expected


@pytest.mark.parametrize("X", [{"a": 1}, {"a", "b"}, 5, None])
def test_what_has_no_order_or_no_rows_is_no_stream(X):
    for method in ("fit", "partial_fit"):
        with pytest.raises(TypeError, match=f"X is a {type(X).__name__}: expected a list"):
            getattr(TextTokenizer(), method)(X)


def test_an_iterator_is_read_part_after_part(short_parts):
    n_read = 0

    def texts():
        nonlocal n_read
        for n_read in range(1, 10_000):  # noqa: B007
            yield "a"

    parts = text_stream.read_text_parts(texts(), None)
    assert [len(rows) for _, rows in islice(parts, 2)] == [300, 300]
    assert n_read == 600
