"""The time of each section of a batch, for `epoch.py --profile`.

torch's hooks and a few wrapped methods mark where a section begins and ends. The time of a section excludes the
sections inside it. Backward is divided by the nodes of the graph. The hooks take time too, so the same fit is also
measured without them, in the same rounds.
"""

import statistics
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

import numpy as np
import torch
from _report import print_table, reached, spread
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from seqclf import RNNTextClassifier, _kernels
from seqclf._training.batches import TrainingData
from seqclf._training.loop import TrainingLoop
from seqclf._training.optimizers import FusedOptimizer

GOAL_MS = 8.0
RECURRENCE = ("recurrence, forward", "recurrence, backward")
_REMAINDER, _HOOKS, _OUTSIDE = "Python and everything else", "these measurements", "fit, around the epoch"
_MODULES = {
    "Network": "between the layers (layout, token dropout)",
    "RecurrentLayer": "recurrence, forward",
    "LastPooling": "pooling",
    "MeanPooling": "pooling",
    "MaxPooling": "pooling",
    "AttentionPooling": "pooling",
    "SequenceDropout": "dropout, forward",
    "Head": "classifier and loss",
}
_NODES = {
    "_RecurrenceBackward": "recurrence, backward",
    "EmbeddingBackward": "embedding, backward",  # if the kernels do not compute it
    "_PoolBackward": "pooling",
}
_OTHER_NODES = "other backward (dropout, pooling, classifier, sums)"


class Clock:
    """The seconds of each section, without the sections inside it."""

    def __init__(self):
        self.seconds: Counter[str] = Counter()
        self.n_batches = 0
        self._inside = [_OUTSIDE]
        self._since = time.perf_counter()

    def _charge(self) -> None:
        now = time.perf_counter()
        self.seconds[self._inside[-1]] += now - self._since
        self._since = now

    def enter(self, section: str | None) -> None:
        """Begin a section; None continues the enclosing one."""
        self._charge()
        self._inside.append(section or self._inside[-1])

    def leave(self) -> None:
        """End the innermost section."""
        self._charge()
        self._inside.pop()

    def stop(self) -> None:
        """Count the time until now."""
        self._charge()

    def wrapped(self, section: str, function):
        """The function, with its calls timed as a section."""

        def run(*args, **kwargs):
            self.enter(section)
            try:
                return function(*args, **kwargs)
            finally:
                self.leave()

        return run


def _hook_nodes(root: torch.autograd.graph.Node, clock: Clock) -> None:
    """Add hooks that time each node of the graph."""
    seen, pending = {root}, [root]
    while pending:
        node = pending.pop()
        section = next((section for name, section in _NODES.items() if node.name().startswith(name)), _OTHER_NODES)
        if not node.name().endswith("AccumulateGrad"):  # its hooks would be hooks of the tensor; counted in "other"
            node.register_prehook(lambda _, section=section: clock.enter(section))
            node.register_hook(lambda *_: clock.leave())
        for child, _ in node.next_functions:
            if child is not None and child not in seen:
                seen.add(child)
                pending.append(child)


@contextmanager
def _instrumented(clock: Clock) -> Iterator[None]:
    """Install hooks and wrappers, and remove them at the end."""
    backward, step = torch.Tensor.backward, TrainingLoop.train_step

    def timed_backward(tensor, *args, **kwargs):
        clock.wrapped(_HOOKS, _hook_nodes)(tensor.grad_fn, clock)
        clock.wrapped(_OTHER_NODES, backward)(tensor, *args, **kwargs)

    def counted_step(*args, **kwargs):
        clock.n_batches += 1
        return step(*args, **kwargs)

    with ExitStack() as stack:
        for handle in (
            register_module_forward_pre_hook(lambda module, _: clock.enter(_MODULES.get(type(module).__name__))),
            register_module_forward_hook(lambda *_: clock.leave(), always_call=True),
        ):
            stack.callback(handle.remove)
        for owner, name, section in (
            (TrainingData, "__getitem__", "choosing the batch"),
            (_kernels, "gather_steps", "gathering the batch (steps, step features)"),
            (FusedOptimizer, "zero_grad", "optimiser"),
            (FusedOptimizer, "update", "optimiser"),
            (TrainingLoop, "get_loss", "classifier and loss"),
            (TrainingLoop, "notify", _REMAINDER),
            (TrainingLoop, "fit_loop", _REMAINDER),
        ):
            stack.enter_context(patch.object(owner, name, clock.wrapped(section, getattr(owner, name))))
        stack.enter_context(patch.object(torch.Tensor, "backward", timed_backward))
        stack.enter_context(patch.object(TrainingLoop, "train_step", counted_step))
        yield


def print_profile(model: RNNTextClassifier, ids: Sequence[np.ndarray], labels: np.ndarray, n_rounds: int) -> None:
    """Fit with and without hooks, interleaved, and print the milliseconds per batch of each section."""
    model.fit(ids, labels)  # warm up
    plain: list[float] = []
    outside: list[float] = []
    rounds: list[Counter[str]] = []
    for _ in range(n_rounds):
        model.fit(ids, labels)
        without_hooks = model.history_[0]["seconds"]
        clock = Clock()
        with _instrumented(clock):
            model.fit(ids, labels)
        clock.stop()
        scale = 1e3 / clock.n_batches
        plain.append(scale * without_hooks)
        rounds.append(Counter({name: scale * seconds for name, seconds in clock.seconds.items() if name != _OUTSIDE}))
        outside.append(1e3 * clock.seconds[_OUTSIDE])
    totals = [sum(times.values()) - times[_HOOKS] for times in rounds]
    others = [total - sum(times[name] for name in RECURRENCE) for total, times in zip(totals, rounds, strict=True)]
    medians = {name: statistics.median(times[name] for times in rounds) for name in set().union(*rounds) - {_HOOKS}}
    total = statistics.median(totals)

    def row(name: str, values: Sequence[float]) -> list[str]:
        median = statistics.median(values)
        return [name, f"{median:.3f} ±{spread(values):.0%}", f"{median / total:.0%}"]

    order = sorted(medians, key=medians.__getitem__, reverse=True)
    print(f"\n{model.n_layers} x {model.cell}({model.units}), dropout {model.dropout}: ", end="")
    print(f"milliseconds per batch, medians of {n_rounds} rounds\n")
    print_table(
        ["section", "ms", "fraction"],
        [
            *(row(name, [times[name] for times in rounds]) for name in order),
            row("**the batch, with these hooks**", totals),
            row("the batch, without them", plain),
            row("**all but the recurrence**", others),
        ],
    )
    other = statistics.median(others)
    goal = f"goal under {GOAL_MS:.0f} ms: {reached(other < GOAL_MS)}"
    print(f"\nAll but the recurrence: {other:.2f} ms per batch, {goal}.", end=" ")
    print(f"Around the epoch (validating, encoding, building) a fit takes {statistics.median(outside):.0f} ms.")
