"""Random odd inputs: every public class handles them or raises an error that names an argument, and is unchanged then.

`hypothesis` draws the inputs. It prints a failing input after reducing it. The environment variables `SEQCLF_FUZZ_SEED`
and `SEQCLF_FUZZ_EXAMPLES` set the seed and the number of inputs.
"""

import datetime
import os
import pickle
import re
import warnings
from array import array
from collections import UserList, deque
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
import torch
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from sklearn.exceptions import NotFittedError

import seqclf
from seqclf._validation.numbers import shorten

SEED = int(os.environ.get("SEQCLF_FUZZ_SEED", "0"))
N_QUICK = int(os.environ.get("SEQCLF_FUZZ_EXAMPLES", "500"))
N_SLOW = int(os.environ.get("SEQCLF_FUZZ_EXAMPLES", "20000"))


class Hostile:
    """An object with one method that raises."""

    def __init__(self, method):
        self.method = method

    def _may_raise(self, method, value):
        if self.method == method:
            raise RuntimeError("not today")
        return value

    def __repr__(self):
        return self._may_raise("repr", "Hostile()")

    def __len__(self):
        return self._may_raise("len", 2)

    def __iter__(self):
        return self._may_raise("iter", iter([1, 2]))

    def __getitem__(self, item):
        return self._may_raise("getitem", [1, 2][item])

    def __eq__(self, other):
        return self._may_raise("eq", self is other)

    def __hash__(self):
        return self._may_raise("hash", 1)

    def __bool__(self):
        return self._may_raise("bool", True)

    def __array__(self, dtype=None, copy=None):
        return self._may_raise("array", np.arange(2.0))


HOSTILE_METHODS = ["repr", "len", "iter", "getitem", "eq", "hash", "bool", "array"]


def nested(depth):
    row = [1.0]
    for _ in range(depth):
        row = [row]
    return row


# Functions that create odd values, so that no value is used twice.
ODD_VALUES = [
    *(lambda value=value: value for value in (None, float("nan"), float("inf"), pd.NaT, pd.NA, True, np.bool_(False))),
    *(lambda value=value: value for value in (0, -1, 7, 10**400, -(10**400), 2**63, 2**64, -(2**63) - 1, 2**53 + 1)),
    *(lambda value=value: value for value in (1e308, 1e-308, 1e30, 3.5e38, 1e-300, -0.0, 0.5, 1 + 2j)),
    *(lambda value=value: value for value in (Decimal("sNaN"), Decimal("NaN"), Decimal("1.5"), Fraction(1, 3))),
    *(lambda value=value: value for value in (np.float16(1.5), np.int8(3), np.uint64(2**64 - 1), np.longdouble(1))),
    *(lambda value=value: value for value in ("", "a", "a\0", "\0", "1.5", "[1, 2]", "\ud800", "\U0010ffff", b"a")),
    *(lambda value=value: value for value in (datetime.date(2024, 2, 29), datetime.timedelta(1), pd.Timestamp(0))),
    *(lambda value=value: value for value in (np.datetime64("2024-02-29"), np.datetime64("NaT"), np.timedelta64(1))),
    *(lambda value=value: value for value in (int, len, Ellipsis, range(3), slice(2), frozenset({1}))),
    *(lambda method=method: Hostile(method) for method in HOSTILE_METHODS),
    dict,
    set,
    list,
    object,
    lambda: {"a": 1},
    lambda: [[1]],
    lambda: (i for i in range(3)),
    lambda: torch.tensor(1.0, requires_grad=True),
    lambda: torch.ones(3, requires_grad=True),
    lambda: torch.ones(3, 2, dtype=torch.bfloat16),
    lambda: np.ma.masked,
    lambda: np.ma.masked_array([1.0, 2.0], mask=[False, True]),
    lambda: np.empty((0, 2)),
    lambda: np.array(3),
    lambda: np.array([], dtype="M8[s]"),
    lambda: np.zeros(2, dtype=[("a", int)]),
    lambda: scipy.sparse.csr_array(np.eye(2)),
    lambda: pd.DataFrame(),
    lambda: pd.DataFrame({"a": [1, 2]}),
    lambda: pd.Series([torch.ones(2), torch.ones(2)]),
    lambda: pl.Series([[1, 2], [3]]),
    lambda: pa.array([[1], None]),
    lambda: pd.Categorical(["a", "b"]),
    lambda: array("d", [1.0, 2.0]),
    lambda: memoryview(b"ab"),
]
# Only for single rows: other libraries take minutes to make columns of these.
ODD_ROWS = [lambda: nested(3000), lambda: np.empty((0, 10**9))]
CONTAINERS = [
    list,
    tuple,
    deque,
    UserList,
    pd.Series,
    pl.Series,
    pa.array,
    np.array,
    torch.tensor,
    iter,
    np.ma.masked_array,
    lambda rows: np.ma.masked_array(np.array(rows), mask=np.arange(np.array(rows).size).reshape(np.shape(rows)) == 1),
    lambda rows: deque([*rows[:1], *map(np.ma.masked_array, rows[1:])]),
    lambda rows: pd.DataFrame({"a": list(rows)}),
    lambda rows: pd.DataFrame(rows),
    lambda rows: pl.DataFrame({"a": list(rows)}),
    lambda rows: pa.table({"a": list(rows)}),
    lambda rows: pa.chunked_array([pa.array(rows)]),
    lambda rows: np.array(rows).astype("M8[s]"),
    lambda rows: np.array(rows).astype("m8[s]"),
    lambda rows: np.array(rows).astype(str),
    lambda rows: np.array(rows).astype(object),
    lambda rows: np.array(rows).astype(np.dtypes.StringDType()),
    lambda rows: np.array(rows).astype(np.float32),
    lambda rows: np.array(rows).astype(np.float16),
    lambda rows: np.array(rows).astype(np.longdouble),
    lambda rows: np.array(rows).astype(np.int8),
    lambda rows: np.array(rows).astype(np.uint64),
    lambda rows: np.array(rows).astype(bool),
    lambda rows: np.array(rows).astype(complex),
    lambda rows: np.array(rows)[:0],
    lambda rows: np.array(rows)[None],
    lambda rows: np.array(rows).T,
    lambda rows: torch.tensor(rows, dtype=torch.float32, requires_grad=True),
    lambda rows: torch.tensor(rows).to_sparse(),
    lambda rows: torch.nested.nested_tensor(list(rows)),
    lambda rows: scipy.sparse.csr_matrix(np.array(rows)),
    lambda rows: dict(enumerate(rows)),
    lambda rows: set(rows),
    lambda rows: pd.Categorical(rows),
    lambda rows: pd.Index(rows),
    lambda rows: pd.Series(rows, dtype="string"),
    lambda rows: pd.Series(rows, dtype="Int64"),
    lambda rows: [pd.Series(row) for row in rows],
    lambda rows: [pd.DataFrame(row) for row in rows],
    lambda rows: [deque(row) for row in rows],
    lambda rows: [torch.tensor(row) for row in rows],
    lambda rows: pd.Series([torch.tensor(row) for row in rows]),
    lambda rows: [pl.Series(row) for row in rows],
    lambda rows: [pa.array(row) for row in rows],
    lambda rows: [[value] for value in rows],
    lambda rows: [np.array(row).astype("M8[s]") for row in rows],
    lambda rows: [np.array(row, dtype=object) for row in rows],
    lambda rows: [np.full((2, 2, 2), len(row)) for row in rows],
    lambda rows: [np.empty((0, 5)) for _ in rows],
]

TEXT = st.text(st.characters(codec=None), max_size=8)
KINDS = {
    "texts": st.one_of(st.sampled_from(["good film", "bad plot", "not bad", ""]), TEXT),
    "tokens": st.lists(st.one_of(st.sampled_from(["good", "Bad", "plot"]), TEXT), max_size=4),
    "ids": st.lists(st.one_of(st.integers(1, 9), st.integers(0, 2**63)), max_size=4),
    "ids of one length": st.lists(st.integers(0, 9), min_size=3, max_size=3),
    "series": st.lists(st.floats(-5, 5, width=32), max_size=4),
    "table": st.lists(st.floats(-5, 5), min_size=3, max_size=3),
    "large": st.lists(st.floats(allow_nan=True, allow_infinity=False), min_size=1, max_size=3),
    "channels": st.integers(0, 3).flatmap(
        lambda n: st.lists(st.lists(st.floats(-5, 5), min_size=2, max_size=2), min_size=n, max_size=n)
    ),
}
TEXT_KINDS, SERIES_KINDS = ["texts", "tokens", "ids", "ids of one length"], ["series", "table", "large", "channels"]
# The kinds of X and of targets of each class.
ESTIMATORS = {
    "RNNTextClassifier": (TEXT_KINDS, "classes"),
    "RNNClassifier": (SERIES_KINDS, "classes"),
    "RNNTextRegressor": (TEXT_KINDS, "numbers"),
    "RNNRegressor": (SERIES_KINDS, "numbers"),
    "RNNTagger": (["tokens", "ids", "ids of one length", "series", "channels"], "tags"),
    "TextTokenizer": (["texts", "tokens"], None),
    "SequencePadder": (["ids", "ids of one length", "series", "table", "channels"], None),
}
SMALL = {"units": 2, "max_epochs": 1, "random_state": 0, "n_threads": 1}
PARAMETERS = {
    "units": [1, (2, 1), 10**30, 10**6, (2, 10**400), [3]],
    "n_layers": [2, 10**400, 10**9, np.int64(1)],
    "cell": ["lstm", "rnn", "mgu"],
    "bidirectional": [False],
    "pooling": ["mean", "max", "attention", "last"],
    "activation": ["relu", "tanh"],
    "dropout": [0.0, 1.0, 0.999],
    "optimizer": ["adamw", "sgd", "rmsprop"],
    "learning_rate": [1e308, 1e-320, 10**400, Fraction(1, 100), np.float32(0.01), 1e30],
    "schedule": ["constant"],
    "weight_decay": [1e308, 1e30, 0.1],
    "l1": [1e308, 1e30, 0.1],
    "max_grad_norm": [None, 1e308, 1e-300],
    "batch_size": [1, 10**400, 2**62],
    "patience": [None, 1, 10**400],
    "tol": [1e308, 0],
    "validation_fraction": [1e-300, 0.999, Fraction(1, 2)],
    "random_state": [None, 2**32 - 1, 10**400, np.random.RandomState(0)],
    "device": ["mps", "cuda", "cuda:99999999999999999999", "cpu:3", "meta", "\ud800", "cpu "],
    "n_threads": [None, 10**400, 3],
    "verbose": [10**400],
    "warm_start": [True],
    "wide": [False],
    "class_weight": ["balanced", {"yes": 1e308}, {"no": 1e-308, "yes": 0}, {"maybe": 1}, {0: 2.0}, {0: 1e-300, 1: 1}],
    "loss": ["huber", "absolute_error"],
    "embedding_dim": [None, 1, 10**30],
    "nb_ngrams": [0, 3],
    "token_dropout": [0.9],
    "scale": [False],
    "missing": ["interpolate", "forward"],
    "channels_first": [True],
    "conv_filters": [0, (2, 1), 10**30],
    "transitions": ["bio"],
    "checkpoint_dir": ["checkpoints", "a\0", 10**400, ""],
    "tokenizer": [seqclf.TextTokenizer(level="char"), seqclf.TextTokenizer(max_length=1)],
    "level": ["char", "word", "subword"],
    "vocab_size": [3, 300, 10**400],
    "min_frequency": [2, 10**400],
    "normalize": ["NFKC", None],
    "max_length": [1, 3, 10**12, 10**400],
    "padding": ["start"],
    "truncate": ["end"],
    "value": [-1, 0.5, 1e308, 10**400, float("nan")],
}

rarely = st.integers(0, 5).map(lambda number: number == 5)
odd_values = st.sampled_from(ODD_VALUES).map(lambda make: make())
odd_rows = st.sampled_from(ODD_ROWS).map(lambda make: make())


@st.composite
def rows_of(draw, kind, n_rows):
    """Rows of a kind. Rarely a row, a value in a row, or the container is odd."""
    rows = [draw(KINDS[kind]) for _ in range(n_rows)]
    return draw(with_odd_values(rows))


@st.composite
def with_odd_values(draw, rows):
    if rows and draw(rarely):
        index = draw(st.integers(0, len(rows) - 1))
        if isinstance(rows[index], list) and rows[index] and draw(st.booleans()):
            rows[index][draw(st.integers(0, len(rows[index]) - 1))] = draw(odd_values)
        elif draw(rarely):
            rows[index] = draw(odd_rows)
            return rows
        else:
            rows[index] = draw(odd_values)
    if draw(rarely):
        rows = rows[: draw(st.integers(0, len(rows)))]
    if draw(rarely):
        return draw(odd_values)
    return put_into(draw(st.sampled_from(CONTAINERS)), rows) if draw(st.booleans()) else rows


def put_into(container, rows):
    """Rows in a container, or unchanged if the container cannot hold them."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return container(rows)
    except (Exception, pl.exceptions.PanicException):
        return rows


def objects(values):
    """An object array of the values."""
    array = np.empty(len(values), dtype=object)
    for index, value in enumerate(values):
        array[index] = value
    return array


@st.composite
def targets_of(draw, targets, rows, n_rows):
    if targets == "classes":
        pairs = [("yes", "no"), (0, 1), (True, False), (2**62, 2**62 + 1), ("a", "a\0"), (0.0, 1.0), ([1, 0], [1, 1])]
        pair = draw(st.sampled_from([*pairs, (2**63, 2**63 + 1), (-1, 2**63), (10**400, 1), ("", " ")]))
        y = [list(one) if isinstance(one := pair[index % 2], list) else one for index in range(n_rows)]
    elif targets == "numbers":
        numbers = st.sampled_from([0.0, 1.0, -2.5, 3, 1e30, 1e-30, 1e308])
        y = [draw(numbers) for _ in range(n_rows)]
        if draw(rarely):
            y = [[number, index] for index, number in enumerate(y)]
    else:
        pair = draw(st.sampled_from([("a", "b"), ("B-x", "O"), (0, 1), (True, False), (None, "a"), (1.0, 2.0)]))
        lengths = [len(row) if isinstance(row, list) else 1 for row in rows] if isinstance(rows, list) else [2] * n_rows
        y = [[pair[(step + index) % 2] for step in range(n)] for index, n in enumerate(lengths)]
    return draw(with_odd_values(y))


@st.composite
def weights_of(draw, n_rows):
    values = st.sampled_from([1, 2.0, 0, 1e-300, 1e300, 1e-20, 1e308, 5e-324])
    return draw(with_odd_values([draw(values) for _ in range(n_rows)]))


@dataclass(repr=False)
class Case:
    """A class, its parameters, the arguments of `fit` or `partial_fit`, and new rows for predictions."""

    name: str
    parameters: dict
    fit_params: dict
    new: object
    method: str = "fit"

    def __repr__(self):  # the default one could raise
        given = ", ".join(f"{key}={shorten(value, 400)}" for key, value in self.fit_params.items())
        return f"{self.name}({shorten(self.parameters, 400)}).{self.method}({given}), then {shorten(self.new, 400)}"

    def _repr_pretty_(self, printer, cycle):  # for hypothesis
        printer.text(repr(self))


@st.composite
def cases(draw):
    name = draw(st.sampled_from(sorted(ESTIMATORS)))
    kinds, targets = ESTIMATORS[name]
    kind, n_rows = draw(st.sampled_from(kinds)), draw(st.integers(4, 8))
    known = getattr(seqclf, name)().get_params(deep=False)
    parameters = {key: value for key, value in SMALL.items() if key in known}
    if "conv_filters" in known:
        parameters["conv_filters"] = draw(st.sampled_from([0, 2]))
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2]))):
        key = draw(st.sampled_from(sorted(known)))
        parameters[key] = draw(odd_values) if draw(rarely) else draw(st.sampled_from(PARAMETERS.get(key, [None])))
    rows = draw(rows_of(kind, n_rows))
    method = "partial_fit" if name != "SequencePadder" and draw(rarely) else "fit"
    if targets is None:
        fit_params = {"X": rows}
    elif method == "partial_fit":
        fit_params = {"X": rows, "y": draw(targets_of(targets, rows, n_rows))}
        parameters = {"schedule": "constant", "patience": None} | parameters
        if targets != "numbers":
            pairs = [["yes", "no"], [0, 1], [True, False], ["a", "b"], ["a", "a\0"], [2**62, 2**62 + 1], ["B-x", "O"]]
            if isinstance(fit_params["y"], list) and targets == "classes" and draw(st.booleans()):
                pairs = [list({str(label): label for label in fit_params["y"]}.values())]
            fit_params["classes"] = draw(with_odd_values(draw(st.sampled_from(pairs))))
    else:
        fit_params = {"X": rows, "y": draw(targets_of(targets, rows, n_rows))}
        if draw(rarely):
            fit_params["sample_weight"] = draw(weights_of(n_rows))
        if draw(rarely):
            fit_params["groups"] = draw(with_odd_values([index // 2 for index in range(n_rows)]))
        if draw(rarely):
            fit_params["X_val"] = validation_rows = draw(rows_of(kind, 4))
            fit_params["y_val"] = draw(targets_of(targets, validation_rows, 4))
            if draw(rarely):
                fit_params["sample_weight_val"] = draw(weights_of(4))
    other_kind = draw(st.sampled_from(sorted(KINDS))) if draw(rarely) else kind
    return Case(name, parameters, fit_params, draw(rows_of(other_kind, 3)), method)


NAMES = ["X", "y", "row", "Row", "X_val", "y_val", "sample_weight", "sample_weight_val", "groups", "frame", "id"]
NAMES += [
    "time",
    "values",
    "time_as",
    "classes",
    *(key for name in ESTIMATORS for key in getattr(seqclf, name)().get_params()),
]


def attempt(function, *args, **kwargs):
    """The result of a function, or None after an error of the right type that names an argument."""
    try:
        return function(*args, **kwargs)
    except (ValueError, TypeError, NotFittedError, MemoryError) as error:
        message = str(error)
    assert set(re.findall(r"\w+", message)).intersection(NAMES), f"no argument is named: {message}"
    assert len(message) < 2_000
    return None


def check_outputs(estimator, name, X):
    """Check form, dtype and range of predictions, and equality after pickling; or the error names X."""
    if name == "TextTokenizer":
        ids = attempt(estimator.transform, X)
        if ids is not None:
            assert all(row.dtype == np.int32 and (row > 0).all() and (row < estimator.n_tokens_).all() for row in ids)
            assert len(estimator.inverse_transform(ids)) == len(ids)
        return
    if name == "SequencePadder":
        padded = attempt(estimator.transform, X)
        if padded is not None:
            assert padded.shape[2 if estimator.channels_first and padded.ndim == 3 else 1] == estimator.max_length_
            assert len(estimator.inverse_transform(padded)) == len(padded)
        return
    predicted = attempt(estimator.predict, X)
    if predicted is None:
        return
    again = pickle.loads(pickle.dumps(estimator)).predict(X)
    assert len(estimator.hidden_states(X)) == len(predicted)
    if name == "RNNTagger":
        for labels, other, probabilities in zip(predicted, again, estimator.predict_proba(X), strict=True):
            assert labels.tolist() == other.tolist()
            assert set(labels.tolist()) <= set(estimator.classes_.tolist())
            assert probabilities.shape == (len(labels), len(estimator.classes_))
            np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-6)
        return
    np.testing.assert_array_equal(again, predicted)
    if name.endswith("Regressor"):
        assert predicted.dtype == np.float64
        assert np.isfinite(predicted).all()
        return
    probabilities = estimator.predict_proba(X)
    assert probabilities.shape == (len(predicted), len(estimator.classes_))
    assert np.isfinite(probabilities).all()
    assert (probabilities >= 0).all()
    assert (probabilities <= 1).all()
    if predicted.ndim == 1:
        assert set(predicted.tolist()) <= set(estimator.classes_.tolist())
        np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-6)


def check(case):
    name, fit_params, new = case.name, case.fit_params, case.new
    estimator = getattr(seqclf, name)(**case.parameters)
    learn = getattr(estimator, case.method, estimator.fit)  # partial_fit exists only for some parameters
    if learn == estimator.fit:
        fit_params.pop("classes", None)
    before = dict(vars(estimator))
    reusable = {key: value for key, value in fit_params.items() if not hasattr(value, "__next__")}
    fitted = attempt(learn, **fit_params)
    if fitted is None:
        assert vars(estimator).keys() == before.keys()
        assert all(vars(estimator)[key] is value for key, value in before.items())
        return
    if len(reusable) == len(fit_params):
        check_outputs(estimator, name, fit_params["X"])
    check_outputs(estimator, name, new)
    state = dict(vars(estimator))
    if attempt(learn, **(fit_params | {"X": new})) is None:
        assert vars(estimator).keys() == state.keys()
        assert all(vars(estimator)[key] is value for key, value in state.items())


@st.composite
def frames(draw):
    """A long frame and the arguments of series_from_frame."""
    n_rows = draw(st.integers(1, 6))
    columns = {
        "id": draw(
            st.sampled_from([[1, 2, 1], ["a", "b", "a"], [1.5, None, 1.5], [datetime.date(2024, 2, 29)], [True]])
        ),
        "time": draw(st.sampled_from([[3, 1, 2], [0.5, float("inf")], [2**64 - 1, 0], [-(2**63), 2**63 - 1], ["a"]])),
        "x": draw(st.sampled_from([[1, 2], [0.5, None], [1e308], [10**400], ["1.5"], [True], [Decimal("1.5")]])),
    }
    if draw(rarely):
        columns[draw(st.sampled_from(sorted(columns)))] = [draw(odd_values)]
    if draw(rarely):
        days = [datetime.datetime(2024, 2, 29, tzinfo=draw(st.sampled_from([None, datetime.UTC])))]
        columns["time"] = draw(st.sampled_from([days, [datetime.timedelta(1)], [datetime.date(1, 1, 1)], [pd.NaT]]))
    columns = {label: [values[row % len(values)] for row in range(n_rows)] for label, values in columns.items()}
    frame = put_into(draw(st.sampled_from([pd.DataFrame, pl.DataFrame, pa.table, dict])), columns)
    if frame is columns:  # some libraries reject some values
        frame = put_into(pd.DataFrame, {label: objects(values) for label, values in columns.items()})
    arguments = {
        "id": "id",
        "time": draw(st.sampled_from([None, "time"])),
        "time_as": draw(st.sampled_from([None, "delta"])),
    }
    if draw(rarely):
        arguments[draw(st.sampled_from(["id", "time", "values", "time_as"]))] = draw(odd_values)
    if draw(rarely):
        arguments["values"] = draw(st.sampled_from(["x", ["x"], ["x", "time"], ["y"], []]))
    return Case("series_from_frame", arguments, {"frame": frame}, n_rows)


def check_frame(case):
    made = attempt(seqclf.series_from_frame, case.fit_params["frame"], **case.parameters)
    if made is not None:
        series, ids = made
        assert len(series) == len(ids)
        assert sum(map(len, series)) == case.new
        assert all(row.dtype == np.float64 and row.ndim == 2 for row in series)
        if case.parameters["time_as"] == "delta":
            assert all(np.isfinite(row[:, -1]).all() and row[0, -1] == 0 for row in series)


def fuzz(strategy, check_one, n_examples, first_seed):
    unchecked = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]

    @seed(first_seed)
    @settings(max_examples=n_examples, deadline=None, database=None, suppress_health_check=unchecked)
    @given(strategy)
    def run(case):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check_one(case)

    run()


@pytest.fixture(autouse=True)
def _in_temporary_folder(tmp_path, monkeypatch):
    """Odd texts are names of checkpoint folders too."""
    monkeypatch.chdir(tmp_path)


def test_odd_inputs_are_valid_or_raise_an_error_that_names_an_argument():
    fuzz(cases(), check, N_QUICK, SEED)


def test_series_from_frame_of_odd_frames_is_valid_or_raises_an_error():
    fuzz(frames(), check_frame, N_QUICK // 5, SEED)


@pytest.mark.slow
@pytest.mark.timeout(7_200)
def test_20000_odd_inputs_are_valid_or_raise_an_error_that_names_an_argument():
    fuzz(cases(), check, N_SLOW, SEED + 1)
    fuzz(frames(), check_frame, N_SLOW // 5, SEED + 1)
