"""Validation of texts, tokens and token ids from every container, and the errors for invalid ones."""

import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from seqclf._data.ragged import Ragged
from seqclf._validation.texts import validate_text_input

INF = float("inf")
NAN = float("nan")


def containing(*parts):
    """A pattern for messages that contain all these parts, in any order."""
    return "(?s)" + "".join(f"(?=.*{re.escape(part)})" for part in parts)


def as_lists(ragged):
    return [item.tolist() for item in ragged.items()]


TEXTS = ["good film", "", "bad"]


@pytest.mark.parametrize(
    "X",
    [
        TEXTS,
        tuple(TEXTS),
        np.array(TEXTS),
        np.array(TEXTS, dtype=object),
        np.array(TEXTS)[:, None],
        np.array(TEXTS, dtype=object)[:, None],
        np.array(TEXTS, dtype=np.dtypes.StringDType()),
        list(np.array(TEXTS)),
        pd.Series(TEXTS, index=[7, 7, 7]),
        pd.Series(TEXTS, dtype=object),
        pd.Series(TEXTS, dtype="category"),
        pd.DataFrame({"review": TEXTS}),
        pl.Series(TEXTS),
        pl.DataFrame({"review": TEXTS}),
    ],
)
def test_texts_from_every_container(X):
    kind, data = validate_text_input(X)
    assert (kind, data) == ("texts", TEXTS)
    assert {type(text) for text in data} == {str}


TOKENS = [["good", "film"], ["bad", "one"], []]


@pytest.mark.parametrize(
    "X",
    [
        TOKENS,
        tuple(map(tuple, TOKENS)),
        pd.Series(TOKENS).to_numpy(),
        [np.array(row, dtype=str) for row in TOKENS],
        [np.array(row, dtype=object) for row in TOKENS],
        pd.Series(TOKENS),
        pl.Series(TOKENS),
        pl.DataFrame({"tokens": TOKENS}),
    ],
)
def test_tokens_from_every_container(X):
    kind, data = validate_text_input(X)
    assert (kind, data) == ("tokens", TOKENS)
    assert {type(token) for row in data for token in row} == {str}


IDS = [[5, 6, 7], [9], []]
PADDED = np.array([[5, 6, 7], [9, 0, 0], [0, 0, 0]])


@pytest.mark.parametrize(
    "X",
    [
        IDS,
        [tuple(row) for row in IDS],
        [[5.0, 6.0, 7.0], [9], []],
        [[np.int64(5), 6, np.float32(7)], [9], []],
        Ragged.from_items(IDS, dtype=np.int32).items(),
        Ragged.from_items(IDS, dtype=float).items(),
        [np.array(row, dtype=object) for row in IDS],
        [pd.Series(row, dtype="Int64") for row in IDS],
        pd.Series(IDS),
        pl.Series(IDS),
        pl.DataFrame({"ids": IDS}),
        PADDED,
        PADDED[:, ::-1][:, [2, 1, 0]],
        np.asfortranarray(PADDED),
        PADDED.astype(np.uint8),
        PADDED.astype(np.float32),
        PADDED.astype(object),
        np.pad(PADDED, ((0, 0), (2, 1))),
        PADDED.tolist(),
        pd.DataFrame(PADDED, columns=["step0", "step1", "step2"]),
        pd.DataFrame(PADDED, dtype="Int64"),
        pl.DataFrame(PADDED, schema=["step0", "step1", "step2"]),
    ],
)
def test_ids_from_every_container(X):
    kind, data = validate_text_input(X)
    assert kind == "ids"
    assert as_lists(data) == IDS
    assert data.values.dtype == np.int32


def test_frame_with_one_column_of_numbers_is_ids():
    assert as_lists(validate_text_input(pd.DataFrame({"step0": [3, 0]}))[1]) == [[3], []]


def test_input_is_not_changed():
    frame = pd.DataFrame(PADDED)
    PADDED.flags.writeable = False
    validate_text_input(PADDED)
    validate_text_input(frame)
    np.testing.assert_array_equal(frame.to_numpy(), PADDED)
    PADDED.flags.writeable = True


EQUAL_ROWS = [[0, 3, 0, 0, 4, 0], [0, 0, 5, 6, 7, 8]]


@pytest.mark.parametrize("as_container", [list, np.array, pd.DataFrame, lambda X: np.array(X, float), pd.Series])
def test_zeros_between_ids_are_errors_in_fit_and_unknown_later(as_container):
    X = as_container(EQUAL_ROWS)
    for settings in ({}, {"kind": "ids", "in_fit": True}):
        with pytest.raises(ValueError, match=r"Row 0 of X holds 0 at position 2, but 0 is the padding, and .*: add 1"):
            validate_text_input(X, **settings)
    assert as_lists(validate_text_input(X, kind="ids")[1]) == [[3, 1, 1, 4], [5, 6, 7, 8]]
    with pytest.raises(ValueError, match="Row 1 of X holds 0 at position 3"):
        validate_text_input(as_container([[0, 2, 3, 4, 5, 0], [2, 3, 4, 0, 5, 0]]))


@pytest.mark.parametrize("kind", [None, "ids"])
@pytest.mark.parametrize(
    ("X", "row", "position"),
    [
        ([[0, 2, 3], [2, 0]], 0, 0),
        ([[2, 3], [2, 3, 0]], 1, 2),
        ([[2, 3], [], [2, 0, 4]], 2, 1),
        ([[], [0]], 1, 0),
        ([np.array([2.0, 3.0]), np.array([0.0])], 1, 0),
        (pd.Series([[2, 3], [0, 4, 5]]), 1, 0),
        (pl.Series([[2, 3], [0, 4, 5]]), 1, 0),
    ],
)
def test_zero_in_rows_of_unequal_length_is_an_error(X, row, position, kind):
    message = f"Row {row} of X holds 0 at position {position}, but 0 is the padding, and .*: add 1"
    with pytest.raises(ValueError, match=message):
        validate_text_input(X, kind=kind)
    X = [[index + 1 for index in ids] for ids in X]
    assert as_lists(validate_text_input(X, kind=kind)[1]) == X


@given(st.lists(st.lists(st.integers(0, 4), max_size=5), min_size=1, max_size=5))
def test_zeros_equal_a_reference_implementation(rows):
    """The rules for zeros, written with texts of digits."""
    ragged = len(set(map(len, rows))) > 1
    texts = ["".join(map(str, row)).strip("0") for row in rows]
    for kind in (None, "ids"):
        wrong = any(0 in row for row in rows) if ragged else kind is None and any("0" in text for text in texts)
        if wrong:
            with pytest.raises(ValueError, match=r"0 is the padding, and .*: add 1"):
                validate_text_input(rows, kind=kind)
        else:
            expected = [[max(int(digit), 1) for digit in text] for text in texts]
            assert as_lists(validate_text_input(rows, kind=kind)[1]) == expected


@pytest.mark.parametrize(
    ("X", "words"),
    [
        ([[2, 3, NAN], [2, NAN, NAN]], ["Row 0 of X holds nan at position 2", "If it is padding, replace it with 0"]),
        (np.array([[2, 3], [2, -1]]), ["Row 1 of X holds -1 at position 1", "If -1 is padding, replace it with 0"]),
        (
            [[0, 1, -1], [1, 2, 3]],
            ["Row 0 of X holds -1 at position 2", "replace it with 0, and add 1 to all other ids"],
        ),
        (pd.DataFrame({"a": [2, 3], "b": [2, None]}), ["Row 1 of X holds nan at position 1", "replace it with 0"]),
    ],
)
def test_other_padding_values_have_advice(X, words):
    for kind in (None, "ids"):
        with pytest.raises(ValueError, match=containing(*words)):
            validate_text_input(X, kind=kind)


STRINGIFIED_LISTS = [
    ["[3, 5, 8]", "[]", "[2]"],
    ["['a', 'b']", '["it\'s", "c"]'],
    ["[3 5 8]", "[ 3  5\n 8]"],
    ["(3, 5)", "(8,)"],
    ["[3.0, 5.0]", " [2.0] "],
]


@pytest.mark.parametrize("texts", STRINGIFIED_LISTS)
def test_stringified_lists_are_errors_in_fit(texts):
    for X in (texts, pd.Series(texts), pl.Series(texts), np.array(texts)):
        with pytest.raises(ValueError, match=containing("Row 0 of X is", "stored as a text", "literal_eval(text)")):
            validate_text_input(X)
    assert validate_text_input(texts, kind="texts")[1] == texts
    for kind in ("ids", "tokens"):
        with pytest.raises(
            ValueError, match=containing("Row 0 of X is a text", "in fit the rows were", "ast.literal_eval")
        ):
            validate_text_input(texts, kind=kind)


@pytest.mark.parametrize("texts", [["[3, 5]", "a"], ["[laughs]", "[sighs]"], ["[]"], ["3 5 8"], ["[3, x]", "[4]"]])
def test_texts_with_brackets_are_valid(texts):
    assert validate_text_input(texts)[1] == texts


def test_detection_of_stringified_lists_is_fast():
    text = "[" + 50_000 * "12 34, " + "x]"
    assert validate_text_input([text])[1] == [text]


@pytest.mark.parametrize(("kind", "expected"), [(None, "ids"), ("ids", "ids"), ("tokens", "tokens")])
def test_empty_lists_are_tokens_or_ids(kind, expected):
    found, data = validate_text_input([[], []], kind=kind)
    assert found == expected
    assert len(data) == 2


BIG = 2**24


@pytest.mark.parametrize("large", [2**63, 2**70, 10**400, 1e300, np.float32(2**63)])
def test_id_beyond_64_bits_is_an_error_in_fit_and_unknown_later(large):
    with pytest.raises(ValueError, match=rf"Row 1 of X holds .* at position 2.* to {2**63 - 1}"):
        validate_text_input([[5], [6, 7, large]])
    kind, data = validate_text_input([[5], [6, 7, large]], kind="ids")
    assert (kind, as_lists(data)) == ("ids", [[5], [6, 7, 1]])
    assert data.values.dtype == np.int32


@pytest.mark.parametrize("kind", [None, "ids"])
def test_largest_ids_of_each_dtype(kind):
    for large, dtype in ((2**31 - 1, np.int32), (2**31, np.int64), (2**63 - 1, np.int64)):
        for X in ([[3], [4, large]], np.array([[3, 0], [4, large]], dtype=np.uint64), [[3], [4, np.int64(large)]]):
            data = validate_text_input(X, kind=kind)[1]
            assert as_lists(data) == [[3], [4, large]] and data.values.dtype == dtype
    assert as_lists(validate_text_input(np.array([[2**64 - 1, 3, 0]], dtype=np.uint64), kind="ids")[1]) == [[1, 3]]
    assert as_lists(validate_text_input(np.array([[3, 2048]], dtype=np.float16), kind=kind)[1]) == [[3, 2048]]


def test_max_id():
    assert as_lists(validate_text_input([[2, 3]], kind="ids", max_id=3)[1]) == [[2, 3]]
    with pytest.raises(ValueError, match=r"Row 0 of X holds 4 at position 1: .* from 0 to 3\.$"):
        validate_text_input([[2, 4]], kind="ids", max_id=3)


@given(st.lists(st.lists(st.integers(1, BIG - 1), max_size=6), min_size=1, max_size=8))
def test_padding_of_ids_is_removed(rows):
    ragged = Ragged.from_items(rows)
    for padding in ("start", "end"):
        padded = ragged.padded(int(ragged.lengths.max()) + 2, value=0, padding=padding)
        assert as_lists(validate_text_input(padded)[1]) == rows


BAD_TEXT_INPUT = [
    ("a text", ValueError, ["X is a single str, 'a text'", "wrap it in a list"]),
    (b"a text", ValueError, ["X is a single bytes", "wrap it in a list"]),
    ([], ValueError, ["Found array with 0 sample(s)", "minimum of 1 is required"]),
    (np.empty((0, 5), dtype=int), ValueError, ["Found array with 0 sample(s) (shape=(0, 5))"]),
    (np.array("a"), TypeError, ["without rows", "one sequence in each row"]),
    (5, TypeError, ["X is an int", "expected a list"]),
    (None, TypeError, ["X is a NoneType"]),
    ({"a": 1}, TypeError, ["X is a dict", "expected a list"]),
    ({"a"}, TypeError, ["X is a set"]),
    ((text for text in TEXTS), TypeError, ["X is a generator"]),
    (pl.LazyFrame({"a": TEXTS}), TypeError, ["X is a LazyFrame"]),
    (scipy.sparse.csr_matrix([[1]]), TypeError, ["Sparse data was passed for X", "dense data is required"]),
    (scipy.sparse.coo_array([[1]]), TypeError, ["Sparse data was passed for X"]),
    (np.ma.masked_array([[1, 2]], mask=[[0, 1]]), TypeError, ["masked array", "filled()"]),
    (np.ones((2, 2, 2), dtype=int), ValueError, ["X has 3 dimensions"]),
    (pd.DataFrame({"title": ["a"], "text": ["b"]}), ValueError, ["2 columns, ['title', 'text']", "X['title']"]),
    (pd.DataFrame({"n": [1, 2], "text": [None, "b"]}), ValueError, ["2 columns, ['n', 'text']", "X['text']"]),
    (pl.DataFrame({"a": [None, "a"], "b": [None, "b"]}), ValueError, ["2 columns, ['a', 'b']", "X['a']"]),
    (np.array([[None, NAN], [3, "b"]], dtype=object), ValueError, ["2 columns", "X[:, 1]"]),
    (pl.DataFrame({"title": ["a"], "n": [1]}), ValueError, ["2 columns, ['title', 'n']", "pick the one"]),
    (np.array([["a", "b"]]), ValueError, ["X has 2 columns", "X[:, 0]"]),
    (np.array([["a", "b"]], dtype=object), ValueError, ["X has 2 columns", "X[:, 0]"]),
    (["a", None], ValueError, ["Row 1 of X is None (NoneType)", "expected a text (str)", "missing values"]),
    (["a", NAN], ValueError, ["Row 1 of X is nan (float)", "missing values"]),
    (pd.Series(["a", None]), ValueError, ["Row 1 of X is ", "missing values"]),  # None, or from pandas 3 on nan
    (pd.Series(["a", pd.NA], dtype="string"), ValueError, ["Row 1 of X is", "missing values"]),
    (pl.Series(["a", None]), ValueError, ["Row 1 of X is None", "missing values"]),
    (["a", b"b"], ValueError, ["Row 1 of X is b'b' (bytes)", "Decode it first"]),
    (np.array([b"a"]), ValueError, ["Row 0 of X is b'a'", "Decode it first"]),
    (["a", 3], ValueError, ["Row 1 of X is 3 (int)", "expected a text (str)"]),
    ([1, 2, 3], ValueError, ["Row 0 of X is 1 (int)"]),
    (np.array([1, 2, 3]), ValueError, ["Row 0 of X is 1 (int64)"]),
    (["a", np.array(True)], ValueError, ["Row 1 of X is True (ndarray)", "expected a text"]),
    ([[1], np.ma.masked_array([1, 2], mask=[0, 1])], TypeError, ["X holds a masked array at position 1"]),
    (["a", ["b"]], ValueError, ["Row 1 of X is a list of tokens (str), but row 0 is a text (str)"]),
    ([["a"], "b"], ValueError, ["Row 1 of X is a text (str), but row 0 is a list of tokens (str)"]),
    ([["a"], [1]], ValueError, ["Row 1 of X is a list of token ids (whole numbers), but row 0 is a list of tokens"]),
    ([[], "b"], ValueError, ["Row 0 of X is []", "expected a text (str)"]),
    (["b", []], ValueError, ["Row 1 of X is []", "expected a text (str)"]),
    ([["a", 1]], ValueError, ["Row 0 of X holds 1 (int) at position 1", "expected a token (str)"]),
    ([["a"], ["b", None]], ValueError, ["Row 1 of X holds None (NoneType) at position 1", "missing values"]),
    ([["a", b"b"]], ValueError, ["b'b' (bytes) at position 1", "Decode it first"]),
    ([[1, "a"]], ValueError, ["Row 0 of X holds 'a' (str) at position 1"]),
    ([[1, True]], ValueError, ["Row 0 of X holds True (bool) at position 1"]),
    ([[["a"]]], ValueError, ["Row 0 of X holds ['a'] (list) at position 0"]),
    ([np.ones((2, 2))], ValueError, ["Row 0 of X is array(", "(ndarray)", "a list of token ids"]),
    (np.array([[True, False]]), ValueError, ["Row 0 of X holds True (bool) at position 0"]),
    ([[1, 2.5]], ValueError, ["Row 0 of X holds 2.5 at position 1", "whole numbers >= 0"]),
    ([[1], [2, NAN]], ValueError, ["Row 1 of X holds nan at position 1"]),
    ([[1], [INF]], ValueError, ["Row 1 of X holds inf at position 0"]),
    (np.array([[1.0, NAN], [1.0, 2.0]]), ValueError, ["Row 0 of X holds nan at position 1"]),
    ([[1], [], [2, -3]], ValueError, ["Row 2 of X holds -3 at position 1"]),
    (
        np.array([[1, 2], [3, 2**63]], np.uint64),
        ValueError,
        [f"Row 1 of X holds {2**63} at position 1", str(2**63 - 1)],
    ),
    ([[2**70]], ValueError, [f"Row 0 of X holds {2**70} at position 0"]),
    (
        [[1, 2, None], [3, None, None]],
        ValueError,
        ["Row 0 of X holds None", "at position 2", "If it is padding, replace it with 0"],
    ),
    (
        pd.DataFrame({"a": [1, 2], "b": [3, None]}, dtype="Int64"),
        ValueError,
        ["Row 1", "holds nan", "replace it with 0"],
    ),
    ([[1], [-(10**400)]], ValueError, ["Row 1 of X holds -1000", "at position 0", "whole numbers from 0"]),
    ([[1], [2.0, 10**400]], ValueError, ["Row 1 of X holds", "at position 1", f"from 0 to {2**63 - 1}"]),
    (pl.Series([[1, None]]), ValueError, ["Row 0 of X holds nan at position 1"]),
]


@pytest.mark.parametrize(("X", "error", "words"), BAD_TEXT_INPUT)
def test_invalid_text_input_is_an_error(X, error, words):
    with pytest.raises(error, match=containing(*words)):
        validate_text_input(X)


@pytest.mark.parametrize(
    ("X", "kind", "words"),
    [
        (["a"], "ids", ["Row 0 of X is a text (str)", "in fit the rows were lists of token ids"]),
        (["a"], "tokens", ["Row 0 of X is a text (str)", "in fit the rows were lists of tokens"]),
        ([["a"]], "texts", ["Row 0 of X is a list of tokens (str)", "in fit the rows were texts"]),
        ([[], [1]], "tokens", ["Row 1 of X is a list of token ids", "in fit the rows were lists of tokens"]),
        ([[1]], "texts", ["Row 0 of X is a list of token ids", "in fit the rows were texts"]),
        (np.array([[1, 2]]), "texts", ["Row 0 of X is a list of token ids", "in fit the rows were texts"]),
        ([[]], "texts", ["Row 0 of X is []", "expected a text (str)"]),
        (["a", 3], "texts", ["Row 1 of X is 3 (int)", "expected a text (str)"]),
    ],
)
def test_another_kind_than_in_fit_is_an_error(X, kind, words):
    with pytest.raises(ValueError, match=containing(*words)):
        validate_text_input(X, kind=kind)


def test_messages_contain_the_given_name_and_are_short():
    with pytest.raises(ValueError, match="Row 1 of X_val") as caught:
        validate_text_input(["a", ["x" * 10_000, 5]], name="X_val")
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("layout", ["strided", "jagged"])
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
def test_ids_from_a_nested_tensor(layout):
    torch = pytest.importorskip("torch")
    rows = [torch.tensor([2, 3, 4]), torch.tensor([5])]
    kind, ids = validate_text_input(torch.nested.nested_tensor(rows, layout=getattr(torch, layout)))
    assert kind == "ids" and [row.tolist() for row in ids.items()] == [[2, 3, 4], [5]]
