"""Loaded tasks predict and continue training as the saved ones would; altered states raise or give a valid task."""

import numpy as np
import pytest

from seqclf._data.ragged import Ragged
from seqclf._saved import Saved, SavedStateError
from seqclf._tasks.classification import Classification
from seqclf._tasks.multilabel import Multilabel
from seqclf._tasks.regression import Regression
from seqclf._tasks.saved import KINDS, task_from_state
from seqclf._tasks.tagging import Tagging
from seqclf._tasks.task import Task

RNG = np.random.RandomState(0)
SPANS = [["O", "B-a", "I-a"], ["B-b", "I-b"], ["O", "O"]]


def fitted(task, y):
    targets = task.validate(y, y)
    encoded = task.fit(targets, np.ones(len(y)))
    task.fit_weights(encoded, np.ones(len(y)))
    return task


TASKS_OF_ALL_KINDS = {
    "two classes": lambda: fitted(Classification(), ["b", "a", "b"]),
    "classes": lambda: fitted(Classification({3: 2.0}), [1, 2, 3, 3]),
    "balanced": lambda: fitted(Classification("balanced"), np.array(["x", "y", "z", "z"], dtype=object)),
    "labels": lambda: fitted(Multilabel(), np.array([[1, 0, 1], [0, 1, 1]])),
    "numbers": lambda: fitted(Regression("huber"), [1.0, 2.0, 4.0]),
    "columns": lambda: fitted(Regression(), np.array([[1.0, 5.0], [2.0, 5.0], [4.0, 5.0]])),
    "tags": lambda: fitted(Tagging(), SPANS),
    "spans": lambda: fitted(Tagging("balanced", transitions="bio"), SPANS),
}


@pytest.fixture(params=list(TASKS_OF_ALL_KINDS))
def task(request):
    return TASKS_OF_ALL_KINDS[request.param]()


def predictions(task):
    """All predictions of a task for some outputs."""
    outputs = np.random.RandomState(1).randn(5, task.n_outputs) * 3
    if task.per_step:
        outputs = Ragged(outputs, np.array([2, 0, 3]))
    methods = [getattr(task, name) for name in ("decode", "probabilities", "log_probabilities") if hasattr(task, name)]
    return [np.asarray(row) for predict in methods for row in list(predict(outputs))]


def test_task_from_state_predicts_the_same(task):
    again = task_from_state(Saved(task.to_state()))
    assert type(again) is type(task) and again.n_outputs == task.n_outputs
    for found, expected in zip(predictions(again), predictions(task), strict=True):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    for name, value in task.attributes().items():
        np.testing.assert_array_equal(again.attributes()[name], value)


def test_state_contains_the_kind():
    states = {kind: build().to_state() for kind, build in TASKS_OF_ALL_KINDS.items()}
    assert {state["kind"] for state in states.values()} == set(KINDS)
    assert all(
        type(task_from_state(Saved(state))) is type(TASKS_OF_ALL_KINDS[kind]()) for kind, state in states.items()
    )
    with pytest.raises(SavedStateError, match="kind"):
        task_from_state(Saved(states["numbers"] | {"kind": "__import__"}))


def test_to_state_raises_for_a_custom_task():
    class Other(Regression):
        to_state = Task.to_state

    with pytest.raises(TypeError, match="Other"):
        Other().to_state()


def test_task_from_state_rejects_or_accepts_altered_states(task, altered):
    n_errors = 0
    for state in altered(task.to_state()):
        try:
            again = task_from_state(Saved(state))
        except SavedStateError:
            n_errors += 1
            continue
        with np.errstate(all="ignore"):
            assert predictions(again)
        assert again.to_state().keys() == task.to_state().keys()
    assert n_errors > 50


def test_task_from_state_raises_for_inside_without_beginning():
    state = TASKS_OF_ALL_KINDS["spans"]().to_state()
    state["steps"]["classes"] = np.array(["B-a", "B-b", "I-a", "I-c", "O"])
    with pytest.raises(SavedStateError, match="I-c"):
        task_from_state(Saved(state))


@pytest.mark.parametrize("before", [None, {"a": 2.0, "b": 1.0}, "balanced"])
@pytest.mark.parametrize("now", [None, {"a": 2.0, "b": 1.0}, {"a": 5.0}, "balanced"])
def test_continue_from_a_loaded_classification_keeps_the_weights(before, now):
    task = fitted(Classification(before), ["a", "b", "b"])
    results = []
    for earlier in (task, task_from_state(Saved(task.to_state()))):
        following = Classification(now)
        try:
            following.continue_from(earlier, None)
        except ValueError as error:
            results.append(str(error))
        else:
            results.append(following.loss_weights(np.array([0, 1])).tolist())
    assert results[0] == results[1]
    raises = now == "balanced" and before != "balanced"
    assert isinstance(results[0], str) == raises
    if not raises:
        expected = {"balanced": [1.5, 0.75]}.get(now) if isinstance(now, str) else [(now or {}).get(c, 1) for c in "ab"]
        assert results[0] == expected


def test_refit_from_a_loaded_regression():
    task = fitted(Regression("absolute_error"), [1.0, 2.0, 4.0])
    again = task_from_state(Saved(task.to_state()))
    results = []
    for before in (task, again):
        following = Regression("squared_error")
        targets = following.refit(np.array([0.0, 9.0]), before)
        results.append((targets.tolist(), following.low.tolist(), following.high.tolist(), following.loss))
    assert results[0] == results[1] and again.loss == "absolute_error"


def test_refit_from_a_loaded_classification():
    before = task_from_state(Saved(fitted(Classification(), ["a", "b"]).to_state()))
    assert Classification().refit(np.array(["b", "a"]), before).tolist() == [1, 0]
    with pytest.raises(ValueError, match="must hold the classes of the first fit"):
        Classification().refit(np.array(["b", "c"]), before)
