"""`Target`: the output that is explained, chosen by the argument `target`."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqclf._data.ragged import Ragged
from seqclf._tasks.classification import Classification
from seqclf._tasks.multilabel import Multilabel
from seqclf._tasks.regression import Regression
from seqclf._tasks.tagging import Tagging
from seqclf._tasks.task import Task
from seqclf._validation.containers import shorten


class Target(NamedTuple):
    """One output of a model for one row: ``offset + scale * outputs[position]`` of its network.

    Parameters
    ----------
    position : int
        Which output of the network.
    name : object
        The class, the label or the index, as users know it; for a tagger the pair (step, class).
    scale, offset : float
        From the output of the network to that of the model. The scale is -1 for the first of two classes.
    step : int or None
        The step that is explained, if each step has outputs.
    """

    position: int
    name: Any
    scale: float = 1.0
    offset: float = 0.0
    step: int | None = None

    def value(self, outputs: NDArray[np.float64]) -> float:
        """The output of the model, from those of the network: (n_outputs,), or (n_steps, n_outputs)."""
        unit = outputs if self.step is None else outputs[self.step]
        return float(self.offset + self.scale * unit[self.position])


def choose_targets(task: Task, target: Any, outputs: NDArray[np.float64] | Ragged) -> list[Target]:
    """The target of each row, from the argument `target` and the outputs of the network for all rows."""
    if isinstance(task, Regression):
        return [_choose_number(task, target)] * len(outputs)
    if isinstance(task, Tagging):
        assert isinstance(outputs, Ragged)
        return [_choose_label_of_step(task, target, row, each) for row, each in enumerate(outputs.items())]
    assert isinstance(task, Classification | Multilabel) and isinstance(outputs, np.ndarray)
    return [_choose_class(task.classes.tolist(), target, row) for row in outputs]


def _choose_class(classes: list[Any], target: Any, outputs: NDArray[np.float64]) -> Target:
    """The class or label `target`; for None the most probable one. Two classes have one output, for the second."""
    has_two = len(classes) == 2 and len(outputs) == 1
    if target is None:
        position = int(outputs[0] > 0) if has_two else int(outputs.argmax())
    else:
        position = _position(classes, target)
    if has_two:
        return Target(0, classes[position], scale=1.0 if position else -1.0)
    return Target(position, classes[position])


def _position(classes: list[Any], target: Any) -> int:
    for position, name in enumerate(classes):
        if _is_same(name, target):
            return position
    raise ValueError(f"target={shorten(target)} is not one of the classes of the model: {shorten(classes)}.")


def _is_same(name: Any, target: Any) -> bool:
    same = name == target
    return isinstance(same, bool | np.bool_) and bool(same)


def _choose_number(task: Regression, target: Any) -> Target:
    n = task.n_outputs
    if target is None and n > 1:
        raise ValueError(f"target=None, but the model predicts {n} numbers: choose one of them, from 0 to {n - 1}.")
    index = _whole_number(0 if target is None else target, n, f"the index of a number, from 0 to {n - 1}")
    return Target(index, index, float(task.scale[index]), float(task.center[index]))


def _choose_label_of_step(task: Tagging, target: Any, row: int, outputs: NDArray[np.float64]) -> Target:
    step, *labels = target if isinstance(target, tuple) and len(target) == 2 else (target,)
    n = len(outputs)
    step = _whole_number(step, n, f"a step, or a pair (step, class). Row {row} of X has {n} steps, numbered from 0")
    found = _choose_class(task.classes.tolist(), labels[0] if labels else None, outputs[step])
    return found._replace(name=(step, found.name), step=step)


def _whole_number(value: Any, n: int, expected: str) -> int:
    if isinstance(value, int | np.integer) and not isinstance(value, bool) and 0 <= value < n:
        return int(value)
    raise ValueError(f"target={shorten(value)}, expected {expected}.")
