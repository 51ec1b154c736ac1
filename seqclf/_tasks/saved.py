"""Tasks from their saved states."""

from seqclf._saved import Saved
from seqclf._tasks.classification import Classification
from seqclf._tasks.multilabel import Multilabel
from seqclf._tasks.regression import Regression
from seqclf._tasks.tagging import Tagging

SavedTask = Classification | Multilabel | Regression | Tagging

# By what `to_state` calls its kind.
TASKS: dict[str, type[SavedTask]] = {
    "classification": Classification,
    "multilabel": Multilabel,
    "regression": Regression,
    "tagging": Tagging,
}


def task_from_state(saved: Saved) -> SavedTask:
    """The task that a `to_state` of a task has given."""
    return TASKS[saved.option("kind", list(TASKS))].from_state(saved)
