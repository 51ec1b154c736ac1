"""Constraints on constructor parameters, and their messages."""

from collections import OrderedDict
from collections.abc import Mapping
from types import SimpleNamespace

import numpy as np
import pytest

from seqclf._saved import Saved, SavedStateError
from seqclf._validation.parameters import (
    any_of,
    boolean,
    check_output_container,
    check_parameters,
    class_weight,
    has_methods,
    integer,
    load_parameters,
    nan,
    optional,
    options,
    parameters_state,
    path,
    random_state,
    real,
    sequence_of,
)

INF = float("inf")
NAN = float("nan")


class Tokenizer:
    def fit(self, X):
        return self

    def transform(self, X):
        return X


ACCEPTED = [
    (integer(1), [1, 7, np.int64(3)]),
    (integer(1, 3), [1, 3]),
    (real(0, 1), [0, 1, 0.5, np.float32(0.25)]),
    (real(0, INF, low_open=True), [1e-9, 10**6]),
    (real(0, 1, high_open=True), [0, 0.999]),
    (real(-INF, INF), [-1e300, 0, 5]),
    (nan(), [NAN, np.float32("nan")]),
    (options("gru", "lstm"), ["gru", np.str_("lstm")]),
    (boolean(), [True, False, np.True_]),
    (optional(integer(1)), [None, 1]),
    (any_of(integer(1), options("auto")), [3, "auto"]),
    (has_methods("fit", "transform"), [Tokenizer()]),
    (random_state(), [None, 0, np.int32(5), 2**32 - 1, np.random.RandomState(0)]),
    (class_weight(), [None, "balanced", {0: 1, "b": 0.5}, OrderedDict(a=np.float64(2))]),
    (sequence_of(integer(1)), [(1,), [1, 2]]),
]


class Raising(Mapping, int):
    """An object whose methods and attributes raise."""

    def __getattribute__(self, name):
        if name in ("values", "fit", "__ge__"):
            raise RuntimeError("no")
        return super().__getattribute__(name)

    def __getitem__(self, key):
        raise RuntimeError("no")

    def __iter__(self):
        raise RuntimeError("no")

    def __len__(self):
        raise RuntimeError("no")

    def __le__(self, other):
        raise RuntimeError("no")

    __ge__ = __le__


REJECTED = [
    (integer(1), 0, "an integer >= 1"),
    (integer(1), 1.0, "an integer >= 1"),
    (integer(1), True, "an integer >= 1"),
    (integer(1), None, "an integer >= 1"),
    (integer(1, 3), 4, "an integer from 1 to 3"),
    (real(0, 1), -0.1, "a finite number in [0, 1]"),
    (real(0, 1), NAN, "a finite number in [0, 1]"),
    (real(0, 1), False, "a finite number in [0, 1]"),
    (real(0, 1), "0.5", "a finite number in [0, 1]"),
    (real(0, 1), np.array([0.5]), "a finite number in [0, 1]"),
    (real(0, INF), INF, "a finite number in [0, inf)"),
    (real(0, INF, low_open=True), 0.0, "a finite number in (0, inf)"),
    (real(0, 1, high_open=True), 1, "a finite number in [0, 1)"),
    (real(-INF, INF), INF, "a finite number"),
    (real(-INF, INF), 10**400, "a finite number"),
    (boolean(), np.array(1), "True or False"),
    (nan(), 0.0, "NaN"),
    (options("gru", "lstm"), "GRU", "one of 'gru', 'lstm'"),
    (options("gru"), 3, "'gru'"),
    (boolean(), 1, "True or False"),
    (optional(integer(1)), 0, "an integer >= 1, or None"),
    (any_of(integer(1), options("auto")), "all", "an integer >= 1, or 'auto'"),
    (has_methods("fit", "transform"), Tokenizer, "an instance with the methods fit and transform"),
    (has_methods("fit", "predict"), Tokenizer(), "an instance with the methods fit and predict"),
    (random_state(), -1, "an integer from 0 to 4294967295, a numpy RandomState instance, or None"),
    (random_state(), np.random.default_rng(0), "a numpy RandomState instance"),
    (class_weight(), "balance", "'balanced', a dict"),
    (class_weight(), {0: -1.0}, "'balanced', a dict"),
    (integer(1), 10**400, "an integer >= 1"),
    (sequence_of(integer(1)), (2, 10**30), "a non-empty tuple or list"),
    (integer(0), Raising(), "an integer >= 0"),
    (class_weight(), Raising(), "'balanced', a dict"),
    (has_methods("fit"), Raising(), "an instance with the method fit"),
    (path(), 3, "a path (a str"),
    (path(), "a\0", "a path (a str"),
    (path(), "\ud800", "a path (a str"),
    (sequence_of(integer(1)), 3, "a non-empty tuple or list whose items are each an integer >= 1"),
    (sequence_of(integer(1)), (), "a non-empty tuple or list"),
    (sequence_of(integer(1)), (1, 0), "a non-empty tuple or list"),
]


@pytest.mark.parametrize(("constraint", "values"), ACCEPTED)
def test_constraints_accept_valid_values(constraint, values):
    for value in values:
        check_parameters(SimpleNamespace(size=value), {"size": constraint})


@pytest.mark.parametrize(("constraint", "value", "expected"), REJECTED)
def test_error_contains_name_class_expectation_and_value(constraint, value, expected):
    with pytest.raises(ValueError, match="The 'size' parameter of SimpleNamespace must be ") as caught:
        check_parameters(SimpleNamespace(size=value), {"size": constraint})
    assert expected in str(caught.value)
    shown = value.item() if getattr(value, "ndim", None) == 0 else value
    assert "Got " + " ".join(repr(shown).split())[:20] in str(caught.value)


def test_long_values_are_shortened_in_messages():
    with pytest.raises(ValueError, match="must be True or False") as caught:
        check_parameters(SimpleNamespace(size="x" * 10_000), {"size": boolean()})
    assert len(str(caught.value)) < 200


def test_numpy_values_are_shown_as_builtin_ones():
    with pytest.raises(ValueError, match="Got 3 instead"):
        check_parameters(SimpleNamespace(size=np.array(3)), {"size": boolean()})
    with pytest.raises(ValueError, match="Got 'a' instead"):
        check_parameters(SimpleNamespace(size=np.str_("a")), {"size": boolean()})


def test_check_output_container():
    for transform in (None, "default", "pandas", "polars"):
        check_output_container(transform)
    for transform in ("xyz", 3):
        with pytest.raises(ValueError, match=rf"one of 'default', 'pandas', 'polars', or None\. Got {transform!r}"):
            check_output_container(transform)


def test_error_for_integers_beyond_64_bits_contains_the_reason():
    for value in (10**400, (1, 2**63)):
        with pytest.raises(ValueError, match=r"instead, which is too large for 64 bits\.$"):
            check_parameters(SimpleNamespace(size=value), {"size": any_of(integer(1), sequence_of(integer(1)))})
    with pytest.raises(ValueError, match=r"Got 0 instead\.$"):
        check_parameters(SimpleNamespace(size=0), {"size": integer(1)})


def test_parameters_state_contains_builtin_values():
    class Estimator:
        name, n, x, yes, units = np.str_("a"), np.int64(3), np.float32(0.5), np.True_, (np.int8(4), 5)
        wide, missing, filters = np.longdouble(1), None, [np.int64(1)]

    names = ["name", "n", "x", "yes", "units", "wide", "missing", "filters"]
    state = parameters_state(Estimator, names)
    assert state == dict(zip(names, ["a", 3, 0.5, True, (4, 5), 1.0, None, [1]], strict=True))
    values = [*state.values(), *state["units"], *state["filters"]]
    assert {type(value) for value in values} == {str, int, float, bool, tuple, list, type(None)}


@pytest.mark.parametrize(
    ("value", "expected"), [(0, "an integer >= 1"), ("a", "an integer >= 1"), (np.zeros(2), "an integer >= 1")]
)
def test_load_parameters_checks_each_value(value, expected):
    constraints = {"n": integer(1), "name": options("a", "b")}
    assert load_parameters(Saved({"n": 3, "name": "a", "more": 5}), constraints) == {"n": 3, "name": "a"}
    with pytest.raises(SavedStateError, match=f"parameters.n is .*; expected {expected}"):
        load_parameters(Saved({"n": value, "name": "a"}, "parameters"), constraints)
    with pytest.raises(SavedStateError, match="n is missing"):
        load_parameters(Saved({"name": "a"}), constraints)
