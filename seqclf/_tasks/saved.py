"""Tasks from their saved states. Only the module of the task that a model has is imported."""

from seqclf._saved import Saved
from seqclf._tasks.task import Task

# The values of "kind" in saved states.
KINDS = ("classification", "multilabel", "regression", "tagging")


def task_from_state(saved: Saved) -> Task:
    """The task that was saved by `to_state`."""
    kind = saved.option("kind", KINDS)
    if kind == "classification":
        from seqclf._tasks.classification import Classification

        return Classification.from_state(saved)
    if kind == "multilabel":
        from seqclf._tasks.multilabel import Multilabel

        return Multilabel.from_state(saved)
    if kind == "regression":
        from seqclf._tasks.regression import Regression

        return Regression.from_state(saved)
    from seqclf._tasks.tagging import Tagging

    return Tagging.from_state(saved)
