"""TextTokenizer: tokens, vocabularies, ids, copies and saved states."""

import copy
import pickle
import re
import subprocess
import sys
import unicodedata

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags

from seqclf import SequencePadder, TextTokenizer
from seqclf._data.ragged import Ragged
from seqclf._saved import Saved, SavedStateError
from seqclf._text.characters import clean
from seqclf._validation.texts import validate_text_input

TEXTS = ["Good film, good music.", "Not good!", ""]
LEVELS = ["word", "char", "subword"]
words = st.text(alphabet="abcdeüß한", min_size=1, max_size=6)


def make(level, **parameters):
    if level == "subword":
        pytest.importorskip("tokenizers")
        parameters = {"vocab_size": 300, **parameters}
    return TextTokenizer(level=level, **parameters)


def tokens_of(text, level="word", **parameters):
    tokenizer = TextTokenizer(level=level, **parameters).fit([text])
    return [tokenizer.tokens_[token_id] for token_id in tokenizer.transform([text])[0]]


def assert_equal_ids(left, right):
    assert [item.tolist() for item in left] == [item.tolist() for item in right]


# --- what a token is

SPLITS = [
    ("I don't know", ["i", "don't", "know"]),
    ("I don’t know", ["i", "don't", "know"]),
    ("'quoted' rock'n'roll'", ["'", "quoted", "'", "rock'n'roll", "'"]),
    ("8/10, really!!", ["8", "/", "10", ",", "really", "!", "!"]),
    ("bad.<br /><br />Good", ["bad", ".", "good"]),
    ("one<br>two<BR/>three<bR  />four", ["one", "two", "three", "four"]),
    ('a<br clear="all">b</br>c< br / >d<BR\n/>e', ["a", "b", "c", "d", "e"]),
    ("<brown> <br", ["<", "brown", ">", "<", "br"]),
    ("a <b>bold</b> word", ["a", "<", "b", ">", "bold", "<", "/", "b", ">", "word"]),
    ("a < b", ["a", "<", "b"]),
    ("[PAD] [UNK]", ["[", "pad", "]", "[", "unk", "]"]),
    ("ÄRGER Straße", ["ärger", "straße"]),
    ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
    ("cafe\u0301 noir", ["caf\u00e9", "noir"]),
    ("wun\u00adder\u00adbar \ufeffx\u2060y", ["wunderbar", "xy"]),
    ("wunder\u200bbar", ["wunder", "bar"]),
    ("می\u200cخواهم کتاب\u200c", ["می\u200cخواهم", "کتاب"]),
    ("क्\u200dषेत्र अवन്\u200d.", ["क्\u200dषेत्र", "अवन്\u200d", "."]),
    ("a \u200d \u200c b", ["a", "b"]),
    ("👍🏽👍🏽", ["👍🏽", "👍🏽"]),
    ("🇩🇪🇫🇷 🇩", ["🇩🇪", "🇫🇷", "🇩"]),
    ("1️⃣2️⃣#️⃣", ["1️⃣", "2️⃣", "#️⃣"]),
    ("hi👨‍👩‍👧‍👦👩🏽‍⚕️!", ["hi", "👨‍👩‍👧‍👦", "👩🏽‍⚕️", "!"]),
    (
        "🏳️‍🌈❤️‍🔥🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
        ["🏳️‍🌈", "❤️‍🔥", "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"],
    ),
    ("葛\U000e0100飾", ["葛\U000e0100飾"]),
    ("좋은 영화", ["좋은", "영화"]),
    ("❤️ 👍🏽", ["❤️", "👍🏽"]),
    ("half \ud83d surrogate \x00", ["half", "\ud83d", "surrogate", "\x00"]),
    ("a\u00a0b\u2028c\td\n", ["a", "b", "c", "d"]),
]


@pytest.mark.parametrize(("text", "expected"), SPLITS)
def test_level_word_splits_texts(text, expected):
    assert tokens_of(text) == expected


def test_lowercase_false_keeps_case():
    assert tokens_of("Good good", lowercase=False) == ["Good", "good"]
    tokenizer = TextTokenizer(lowercase=False).fit([["Good", "good"]])
    assert tokenizer.n_tokens_ == 4


@pytest.mark.parametrize(("form", "expected"), [("NFC", 3), ("NFKC", 1), (None, 4)])
def test_normalize_determines_which_spellings_are_equal(form, expected):
    spellings = ["fian\u0303o", "fia\u00f1o", "\ufb01a\u00f1o", "\uff46\uff49a\u00f1o"]
    for X in (spellings, [[text] for text in spellings]):
        assert TextTokenizer(level="word", normalize=form).fit(X).n_tokens_ == 2 + expected


@pytest.mark.parametrize("level", LEVELS)
def test_invisible_characters_and_composition_do_not_change_ids(level):
    plain = "Ärger über das Café im Ort, wunderbar"
    other = "\ufeff" + unicodedata.normalize("NFD", plain).replace("wunder", "wun\u00adder").replace("im ", "im\u200b")
    tokenizer = make(level).fit([plain])
    assert_equal_ids(tokenizer.transform([other]), tokenizer.transform([plain]))
    assert tokenizer.inverse_transform(tokenizer.transform([other])) == tokenizer.inverse_transform(
        tokenizer.transform([plain])
    )
    without = make(level, normalize=None).fit([plain])
    assert_equal_ids(without.transform(["\ufeff" + plain.replace("im ", "im\u200b")]), without.transform([plain]))


@given(st.text(st.characters() | st.sampled_from("J\u030c\u0345\u093c👩🏽\u200d\u200c\u1161\u11ab\u00ad"), max_size=30))
def test_canonically_equal_texts_have_equal_ids(text):
    spellings = [text, *(unicodedata.normalize(form, text) for form in ("NFC", "NFD"))]
    for level in ("word", "char"):
        tokenizer = TextTokenizer(level=level).fit([text + " a"])
        assert len({tuple(ids.tolist()) for ids in tokenizer.transform(spellings)}) == 1
    tokenizer = TextTokenizer().fit([[text, "a"]])
    assert len({tuple(ids.tolist()) for ids in tokenizer.transform([[spelling] for spelling in spellings])}) == 1


def test_level_char_splits_texts():
    assert "".join(tokens_of("  좋은\n\n 영화<br />!", level="char")) == "좋은 영화 !"


def test_html_line_breaks_separate_subwords():
    tokenizer = make("subword").fit(["good<br />bad", "good", "bad"])
    assert tokenizer.inverse_transform(tokenizer.transform(["Good<br />bad"])) == ["good bad"]


# --- the vocabulary


def test_ids_are_ordered_by_frequency_then_by_token():
    tokenizer = TextTokenizer().fit(["b a c", "c d a", "c"])
    assert tokenizer.tokens_ == ["[PAD]", "[UNK]", "c", "a", "b", "d"]
    assert tokenizer.vocabulary_ == {"c": 2, "a": 3, "b": 4, "d": 5}
    assert tokenizer.n_tokens_ == 6
    assert tokenizer.input_kind_ == "texts"


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"vocab_size": 4}, ["c", "a"]),
        ({"vocab_size": 100}, ["c", "a", "b", "d"]),
        ({"vocab_size": None}, ["c", "a", "b", "d"]),
        ({"min_frequency": 2}, ["c", "a"]),
        ({"min_frequency": 3}, ["c"]),
        ({"min_frequency": 2, "vocab_size": 3}, ["c"]),
        ({"max_length": 1}, ["c", "a", "b", "d"]),  # truncation comes after the vocabulary
    ],
)
def test_vocab_size_and_min_frequency_limit_the_vocabulary(parameters, expected):
    tokenizer = TextTokenizer(**parameters).fit(["b a c", "c d a", "c"])
    assert list(tokenizer.vocabulary_) == expected
    assert tokenizer.tokens_[2:] == expected


@pytest.mark.parametrize("level", LEVELS)
def test_ids_are_below_vocab_size(level):
    tokenizer = make(level, vocab_size=260 if level == "subword" else 5)
    ids = np.concatenate(tokenizer.fit_transform(TEXTS))
    assert tokenizer.n_tokens_ <= tokenizer.vocab_size
    assert ids.max() < tokenizer.n_tokens_
    assert ids.min() >= 1


def test_tokens_spelled_like_special_tokens_have_other_ids():
    tokenizer = TextTokenizer(lowercase=False).fit([["[UNK]", "[PAD]", "a"]])
    assert min(tokenizer.vocabulary_.values()) == 2
    assert tokenizer.transform([["[PAD]", "[UNK]", "b"]])[0].tolist() == [2, 3, 1]


def test_subwords_spelled_like_special_tokens_have_other_ids():
    tokenizer = make("subword", lowercase=False).fit(["[PAD] [UNK] a"] * 5)
    ids = tokenizer.transform(["[PAD] [UNK]"])
    assert ids[0].min() >= 2
    assert tokenizer.inverse_transform(ids) == ["[PAD] [UNK]"]


def test_subwords_have_no_unknown_token():
    tokenizer = make("subword").fit(TEXTS)
    text = "völlig 새로운 👍🏽 text"
    ids = tokenizer.transform([text])
    assert 1 not in ids[0]
    assert tokenizer.inverse_transform(ids) == [text]


# --- the output


@pytest.mark.parametrize("level", LEVELS)
def test_fit_transform_equals_fit_then_transform(level):
    tokenizer = make(level, max_length=4)
    together = tokenizer.fit_transform(TEXTS)
    assert_equal_ids(together, clone(tokenizer).fit(TEXTS).transform(TEXTS))
    assert together.shape == (3,)
    assert together.dtype == object
    assert {item.dtype for item in together} == {np.dtype(np.int32)}
    assert {item.ndim for item in together} == {1}
    assert len(together[2]) == 0


@pytest.mark.parametrize("level", LEVELS)
def test_fit_to_ids_and_to_ids_equal_transform(level):
    """The estimators call these two methods with validated rows."""
    tokenizer, expected = make(level, max_length=4), make(level, max_length=4).fit(TEXTS)
    for rows, (ids, new_tokens) in (
        (TEXTS, tokenizer._fit_to_ids(*validate_text_input(TEXTS))),
        (TEXTS[::-1], tokenizer._to_ids(TEXTS[::-1])),
        (["new words", "x"], tokenizer._to_ids(["new words", "x"])),
    ):
        assert isinstance(ids, Ragged) and ids.values.dtype == np.int32
        assert ids.values.max() < tokenizer.n_tokens_ + len(new_tokens)
        assert_equal_ids(tokenizer._vocabulary().replace_unknown(ids).items(), expected.transform(rows))
    assert tokenizer.tokens_ == expected.tokens_ and tokenizer.input_kind_ == "texts"


def test_vocabulary_does_not_depend_on_counting_chunks(tune):
    texts = ["a b c a", "b a", "d"]
    tokenizer = TextTokenizer()
    expected = tokenizer.fit_transform(texts)
    tune(count_chunk=2)
    in_pieces = TextTokenizer()
    assert_equal_ids(in_pieces.fit_transform(texts), expected)
    assert in_pieces.tokens_ == tokenizer.tokens_ == ["[PAD]", "[UNK]", "a", "b", "c", "d"]


def test_output_is_one_dimensional_if_all_texts_have_equal_length():
    ids = TextTokenizer().fit_transform(["a b", "b c"])
    assert ids.shape == (2,)
    assert ids[0].tolist() == [3, 2]


@pytest.mark.parametrize("level", LEVELS)
def test_empty_text_is_an_empty_sequence(level):
    (ids,) = make(level).fit(TEXTS).transform([""])
    assert ids.shape == (0,)
    assert ids.dtype == np.int32


def test_truncate_is_the_side_that_is_cut_off():
    texts = ["a b c d", "a"]
    for truncate, expected in [("start", [4, 5]), ("end", [2, 3])]:
        tokenizer = TextTokenizer(level="word", max_length=2, truncate=truncate).fit(texts)
        assert [item.tolist() for item in tokenizer.transform(texts)] == [expected, [2]]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("method", ["fit", "fit_transform"])
def test_n_truncated_counts_texts_that_lost_tokens(level, method):
    texts = ["abcdef " * 40, "a", "abcdef " * 30, "", "b"]
    for max_length, expected in ((None, 0), (10_000, 0), (1, 2), (20, 2)):
        tokenizer = make(level, max_length=max_length)
        getattr(tokenizer, method)(texts)
        assert tokenizer.n_truncated_ == expected


def test_nothing_is_truncated_by_default():
    text = " ".join(f"w{index}" for index in range(40_000))
    tokenizer = TextTokenizer(vocab_size=None)
    assert tokenizer.inverse_transform(tokenizer.fit_transform([text])) == [text]


@pytest.mark.parametrize("as_container", [list, tuple, np.array, pd.Series, pl.Series, pd.DataFrame])
def test_ids_do_not_depend_on_the_container(as_container):
    assert_equal_ids(TextTokenizer().fit_transform(as_container(TEXTS)), TextTokenizer().fit_transform(TEXTS))


@given(st.lists(st.lists(words, max_size=5), min_size=1, max_size=5).filter(any))
def test_inverse_transform_restores_words(rows):
    texts = [" ".join(row) for row in rows]
    tokenizer = TextTokenizer(level="word", lowercase=False)
    ids = tokenizer.fit_transform(texts)
    assert tokenizer.inverse_transform(ids) == texts
    assert tokenizer.inverse_transform(SequencePadder(padding="start").fit_transform(ids)) == texts
    assert_equal_ids(ids, TextTokenizer(lowercase=False).fit(rows).transform(rows))


@given(st.lists(st.text(max_size=9), min_size=1, max_size=3))
def test_inverse_transform_restores_characters(texts):
    expected = [" ".join(clean(text, False, "NFC").split()) for text in texts]
    if any(expected):
        tokenizer = TextTokenizer(level="char", lowercase=False)
        assert tokenizer.inverse_transform(tokenizer.fit_transform(texts)) == expected


@pytest.mark.parametrize("level", ["word", "char"])
@given(st.text(st.characters()))
def test_any_text_has_ids(level, text):
    tokenizer = TextTokenizer(level=level).fit(["a b"])
    assert tokenizer.transform([text])[0].dtype == np.int32


@given(st.text(st.characters(), max_size=20))
def test_any_text_has_subword_ids(text):
    tokenizer = make("subword").fit([text, "a b"])
    assert 1 not in tokenizer.transform([text])[0]


@pytest.mark.parametrize("level", LEVELS)
def test_lone_surrogates_have_ids(level):
    tokenizer = make(level).fit(["half \ud83d", "a"])
    assert tokenizer.transform(["\udc00 half"])[0].dtype == np.int32
    assert tokenizer.tokens_[:2] == ["[PAD]", "[UNK]"]


@pytest.mark.parametrize(
    ("level", "expected"), [("word", "[UNK] good [UNK]"), ("char", "[UNK]good"), ("subword", "[UNK] good [UNK]")]
)
def test_inverse_transform_shows_unknown_tokens(level, expected):
    tokenizer = make(level).fit(["good"])
    if level == "char":
        ids = tokenizer.transform(["xgood"])
    else:
        ids = [np.concatenate([[1], tokenizer.transform(["good"])[0], [1]])]
    assert tokenizer.inverse_transform(ids) == [expected]


def test_inverse_transform_of_ids_outside_the_vocabulary_is_an_error():
    tokenizer = TextTokenizer().fit(["a b"])
    with pytest.raises(ValueError, match=r"Row 1 of X holds 4 at position 1.* from 0 to 3\.$"):
        tokenizer.inverse_transform([[2], [3, 4]])
    with pytest.raises(ValueError, match=f"Row 0 of X holds {2**40} at position 0"):
        tokenizer.inverse_transform([[2**40]])
    with pytest.raises(ValueError, match="Row 0 of X is a text"):
        tokenizer.inverse_transform(["a"])


# --- behaviour as an estimator

BAD_PARAMETERS = [
    ("level", "letter", "one of 'auto', 'word', 'char', 'subword'"),
    ("vocab_size", 2, "an integer >= 3, or None"),
    ("vocab_size", 10.0, "an integer >= 3, or None"),
    ("min_frequency", 0, "an integer >= 1"),
    ("min_frequency", True, "an integer >= 1"),
    ("normalize", "nfc", "one of 'NFC', 'NFKC', or None"),
    ("lowercase", "yes", "True or False"),
    ("max_length", 0, "an integer >= 1, or None"),
    ("truncate", "left", "one of 'start', 'end'"),
]


@pytest.mark.parametrize("method", ["fit", "fit_transform"])
@pytest.mark.parametrize(("name", "value", "expected"), BAD_PARAMETERS)
def test_invalid_parameters_are_errors_in_fit(method, name, value, expected):
    tokenizer = TextTokenizer(**{name: value})
    message = f"The {name!r} parameter of TextTokenizer must be {expected}. Got {value!r} instead."
    with pytest.raises(ValueError, match=re.escape(message)):
        getattr(tokenizer, method)(TEXTS)


BAD_INPUT = [
    ({}, "a text", "wrap it in a list"),
    ({}, [], "Found array with 0 sample"),
    ({}, ["a", None], "Row 1 of X is None"),
    ({}, ["a", 5], "Row 1 of X is 5"),
    ({}, [[1, 2]], "X holds token ids already"),
    ({}, ["", "  "], "Empty vocabulary: none of the 0 different tokens of 2 texts"),
    ({"min_frequency": 5}, ["a b"], "Empty vocabulary.*min_frequency=5"),
    ({"level": "char"}, [["a", "b"]], "level='char' splits texts, but X holds lists of tokens"),
    ({"level": "subword"}, [["a", "b"]], "level='subword' splits texts, but X holds lists of tokens"),
    (
        {"level": "subword", "vocab_size": 257},
        ["a"],
        "'vocab_size' parameter of TextTokenizer must be an integer >= 258.*Got 257",
    ),
    (
        {"level": "subword", "vocab_size": None},
        ["a"],
        "'vocab_size' parameter of TextTokenizer must be an integer >= 258.*Got None",
    ),
]


@pytest.mark.parametrize(("parameters", "X", "words"), BAD_INPUT)
def test_invalid_input_is_an_error_in_fit(parameters, X, words):
    with pytest.raises(ValueError, match=words):
        TextTokenizer(**parameters).fit(X)


def test_transform_accepts_only_the_kind_of_fit():
    with pytest.raises(ValueError, match=r"Row 0 of X is a list of tokens.*in fit the rows were texts"):
        TextTokenizer().fit(["a"]).transform([["a"]])
    with pytest.raises(ValueError, match=r"Row 0 of X is a text.*in fit the rows were lists of tokens"):
        TextTokenizer().fit([["a"]]).transform(["a"])


@pytest.mark.parametrize("method", ["transform", "inverse_transform"])
def test_methods_raise_not_fitted_error_before_fit(method):
    with pytest.raises(NotFittedError):
        getattr(TextTokenizer(), method)(TEXTS)


def test_fit_keeps_parameters_and_replaces_an_earlier_fit():
    tokenizer = make("subword", max_length=3)
    parameters = tokenizer.get_params()
    tokenizer.fit(TEXTS)
    assert tokenizer.get_params() == parameters
    tokenizer.set_params(level="word").fit(["x"])
    assert vars(tokenizer) == vars(TextTokenizer(level="word", vocab_size=300, max_length=3).fit(["x"]))


BAD_REFITS = [
    ({}, [["a"], ["b", 3]]),
    ({"min_frequency": 9}, [["c", "c"]]),
    ({"level": "char"}, [["c", "c"]]),
    ({"level": "subword", "vocab_size": 10}, ["c"]),
]


@pytest.mark.parametrize("method", ["fit", "fit_transform"])
@pytest.mark.parametrize(("parameters", "X"), BAD_REFITS)
def test_failed_refit_leaves_the_tokenizer_unchanged(method, parameters, X):
    tokenizer = TextTokenizer().fit(TEXTS).set_params(**parameters)
    before = dict(vars(tokenizer))
    with pytest.raises(ValueError, match=r"Row 1|Empty|splits|vocab_size"):
        getattr(tokenizer, method)(X)
    assert vars(tokenizer) == before
    tokenizer.set_params(**TextTokenizer().get_params())
    assert_equal_ids(tokenizer.transform(TEXTS), TextTokenizer().fit_transform(TEXTS))


def test_pickles_contain_no_training_text():
    tokenizer = TextTokenizer(vocab_size=3).fit(["secret a a"])
    assert b"secret" not in pickle.dumps(tokenizer)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    "copied",
    [
        lambda tokenizer, folder: pickle.loads(pickle.dumps(tokenizer)),
        lambda tokenizer, folder: copy.deepcopy(tokenizer),
        lambda tokenizer, folder: joblib.load(joblib.dump(tokenizer, folder / "tokenizer.joblib")[0]),
        lambda tokenizer, folder: clone(tokenizer).fit(TEXTS),
    ],
    ids=["pickle", "deepcopy", "joblib", "clone"],
)
def test_copies_return_equal_ids(level, copied, tmp_path):
    tokenizer = make(level).fit(TEXTS)
    again = copied(tokenizer, tmp_path)
    assert_equal_ids(again.transform(TEXTS), tokenizer.transform(TEXTS))
    assert again.inverse_transform(again.transform(TEXTS)) == tokenizer.inverse_transform(tokenizer.transform(TEXTS))


def test_tags_of_the_tokenizer():
    tags = get_tags(TextTokenizer())
    assert tags.input_tags.string
    assert tags.input_tags.one_d_array
    assert not tags.input_tags.two_d_array
    assert tags.requires_fit
    assert not tags.target_tags.required


@pytest.mark.parametrize("container", ["pandas", "polars", "default"])
def test_set_output_does_not_change_ragged_ids(container):
    expected = TextTokenizer().fit_transform(TEXTS)
    assert_equal_ids(TextTokenizer().set_output(transform=container).fit_transform(TEXTS), expected)
    pipeline = make_pipeline(TextTokenizer(), "passthrough").set_output(transform=container)
    assert_equal_ids(pipeline.fit_transform(TEXTS), expected)
    assert_equal_ids(clone(pipeline).fit(TEXTS).transform(TEXTS), expected)
    with config_context(transform_output=container):
        assert_equal_ids(TextTokenizer().fit_transform(TEXTS), expected)
        assert_equal_ids(TextTokenizer().fit(TEXTS).transform(TEXTS), expected)


def test_set_output_of_another_container_is_an_error():
    with pytest.raises(ValueError, match=r"one of 'default', 'pandas', 'polars', or None\. Got 'xyz'"):
        TextTokenizer().set_output(transform="xyz")


def test_pipeline_of_tokenizer_and_padder_returns_a_frame():
    pipeline = make_pipeline(TextTokenizer(), SequencePadder()).set_output(transform="pandas")
    frame = pipeline.fit_transform(TEXTS)
    assert list(frame.columns) == [f"step{step}" for step in range(6)]
    assert pipeline[0].inverse_transform(frame)[1] == "not good !"


def test_subwords_change_no_environment_variable_and_work_after_a_fork():
    pytest.importorskip("tokenizers")
    code = (
        "import os; from seqclf import TextTokenizer; before = dict(os.environ)\n"
        "tokenizer = TextTokenizer(level='subword', vocab_size=300); texts = ['a good film'] * 500\n"
        "tokenizer.fit_transform(texts); assert dict(os.environ) == before\n"
        "if hasattr(os, 'fork'):\n"
        "    child = os.fork()\n"
        "    if child == 0: tokenizer.transform(texts); os._exit(0)\n"
        "    assert os.waitpid(child, 0)[1] == 0\n"
    )
    # Since 3.12, Python warns about a fork in a process with threads
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code]
    ran = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_level_subword_without_its_package_names_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(ImportError, match=r"pip install tokenizers"):
        TextTokenizer(level="subword").fit(TEXTS)


def test_words_need_neither_torch_nor_the_subword_package():
    code = (
        "import sys; from seqclf._text_tokenizer import TextTokenizer; "
        "TextTokenizer().fit_transform(['a', 5_000 * 'a ']); "
        "from seqclf._sequence_padder import SequencePadder; SequencePadder().fit_transform([[1]]); "
        "sys.exit(bool({'torch', 'tokenizers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


SAVED = [
    TextTokenizer(),
    TextTokenizer(level=np.str_("word"), vocab_size=np.int64(7), lowercase=np.bool_(False), max_length=np.int32(2)),
    TextTokenizer(level="char", normalize=None, truncate="end", max_length=3),
    TextTokenizer(level="subword", vocab_size=300),
]


@pytest.mark.parametrize("tokenizer", SAVED)
def test_loaded_tokenizer_equals_the_saved_one(tokenizer):
    again = TextTokenizer._from_state(Saved(tokenizer._to_state()))
    assert again.get_params() == tokenizer.get_params() and not hasattr(again, "vocabulary_")
    with pytest.raises(NotFittedError):
        again.transform(TEXTS)
    fitted = clone(tokenizer).fit(TEXTS)
    again = TextTokenizer._from_state(Saved(fitted._to_state()))
    assert_equal_ids(again.transform(TEXTS), fitted.transform(TEXTS))
    assert again.inverse_transform(again.transform(TEXTS)) == fitted.inverse_transform(fitted.transform(TEXTS))
    names = ["tokens_", "vocabulary_", "n_tokens_", "n_truncated_", "input_kind_", "level_"]
    assert [getattr(again, name) for name in names] == [getattr(fitted, name) for name in names]
    assert {type(value) for value in again.get_params().values()} <= {str, int, bool, type(None)}
    assert_equal_ids(pickle.loads(pickle.dumps(again)).transform(TEXTS), fitted.transform(TEXTS))


def test_saving_after_partial_fit_fixes_the_ids():
    tokenizer = TextTokenizer().partial_fit(TEXTS)
    again = TextTokenizer._from_state(Saved(tokenizer._to_state()))
    assert again.tokens_ == TextTokenizer().fit(TEXTS).tokens_
    with pytest.raises(ValueError, match="ids of this TextTokenizer are fixed"):
        tokenizer.partial_fit(TEXTS)


def test_invalid_parameters_are_not_saved():
    with pytest.raises(ValueError, match="min_frequency"):
        TextTokenizer(min_frequency=0)._to_state()


@pytest.mark.parametrize("tokenizer", [TextTokenizer(max_length=3), TextTokenizer(level="subword", vocab_size=270)])
def test_altered_state_is_an_error_or_a_usable_tokenizer(tokenizer, altered):
    n_refused = 0
    for state in altered(tokenizer.fit(TEXTS)._to_state()):
        try:
            again = TextTokenizer._from_state(Saved(state))
        except SavedStateError:
            n_refused += 1
            continue
        if hasattr(again, "vocabulary_") and again.input_kind_ == "texts":
            assert len(again.transform(TEXTS)) == len(TEXTS)
    assert n_refused > 100
