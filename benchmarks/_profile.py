"""Which part of a batch takes how long, for `epoch.py --profile`.

Hooks of torch and a few wrapped methods tell when a part begins and ends; the time of a part is what it spends itself,
without the parts inside it. Backward is taken apart by the nodes of the graph. The hooks cost something too: the same
fit without them is measured in the same rounds.
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
_REST, _HOOKS, _OUTSIDE = "Python and all else", "these measurements", "fit, around the epoch"
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
    "EmbeddingBackward": "embedding, backward",  # where it isn't in the kernels
    "_PoolBackward": "pooling",
}
_OTHER_NODES = "other backward (dropout, pooling, classifier, sums)"


class Clock:
    """Seconds of each part, exclusive of the parts inside it."""

    def __init__(self):
        self.seconds: Counter[str] = Counter()
        self.n_batches = 0
        self._inside = [_OUTSIDE]
        self._since = time.perf_counter()

    def _charge(self) -> None:
        now = time.perf_counter()
        self.seconds[self._inside[-1]] += now - self._since
        self._since = now

    def enter(self, part: str | None) -> None:
        """A part begins; None goes on with the part around it."""
        self._charge()
        self._inside.append(part or self._inside[-1])

    def leave(self) -> None:
        """The part that began last ends."""
        self._charge()
        self._inside.pop()

    def stop(self) -> None:
        """Nothing runs any more."""
        self._charge()

    def wrapped(self, part: str, function):
        """The function as a part."""

        def run(*args, **kwargs):
            self.enter(part)
            try:
                return function(*args, **kwargs)
            finally:
                self.leave()

        return run


def _hook_nodes(root: torch.autograd.graph.Node, clock: Clock) -> None:
    """Tell the clock when each node of the graph begins and ends."""
    seen, waiting = {root}, [root]
    while waiting:
        node = waiting.pop()
        part = next((part for name, part in _NODES.items() if node.name().startswith(name)), _OTHER_NODES)
        if not node.name().endswith("AccumulateGrad"):  # Its hooks are those of the tensor; it is part of "other".
            node.register_prehook(lambda _, part=part: clock.enter(part))
            node.register_hook(lambda *_: clock.leave())
        for following, _ in node.next_functions:
            if following is not None and following not in seen:
                seen.add(following)
                waiting.append(following)


@contextmanager
def _watched(clock: Clock) -> Iterator[None]:
    """Hooks and wrappers, taken off at the end."""
    backward, step = torch.Tensor.backward, TrainingLoop.train_step

    def watched_backward(tensor, *args, **kwargs):
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
        for place, name, part in (
            (TrainingData, "__getitem__", "choosing the batch"),
            (_kernels, "arrange", "reading the batch (order of steps, numbers beside)"),
            (FusedOptimizer, "zero_grad", "optimiser"),
            (FusedOptimizer, "update", "optimiser"),
            (TrainingLoop, "get_loss", "classifier and loss"),
            (TrainingLoop, "notify", _REST),
            (TrainingLoop, "fit_loop", _REST),
        ):
            stack.enter_context(patch.object(place, name, clock.wrapped(part, getattr(place, name))))
        stack.enter_context(patch.object(torch.Tensor, "backward", watched_backward))
        stack.enter_context(patch.object(TrainingLoop, "train_step", counted_step))
        yield


def print_profile(model: RNNTextClassifier, ids: Sequence[np.ndarray], labels: np.ndarray, n_rounds: int) -> None:
    """Fit with hooks and without, in turn, and print milliseconds a batch of each part."""
    model.fit(ids, labels)  # warm up
    plain: list[float] = []
    outside: list[float] = []
    rounds: list[Counter[str]] = []
    for _ in range(n_rounds):
        model.fit(ids, labels)
        without_hooks = model.history_[0]["seconds"]
        clock = Clock()
        with _watched(clock):
            model.fit(ids, labels)
        clock.stop()
        scale = 1e3 / clock.n_batches
        plain.append(scale * without_hooks)
        rounds.append(Counter({part: scale * seconds for part, seconds in clock.seconds.items() if part != _OUTSIDE}))
        outside.append(1e3 * clock.seconds[_OUTSIDE])
    totals = [sum(parts.values()) - parts[_HOOKS] for parts in rounds]
    others = [total - sum(parts[name] for name in RECURRENCE) for total, parts in zip(totals, rounds, strict=True)]
    medians = {name: statistics.median(parts[name] for parts in rounds) for name in set().union(*rounds) - {_HOOKS}}
    total = statistics.median(totals)

    def row(name: str, values: Sequence[float]) -> list[str]:
        middle = statistics.median(values)
        return [name, f"{middle:.3f} ±{spread(values):.0%}", f"{middle / total:.0%}"]

    order = sorted(medians, key=medians.__getitem__, reverse=True)
    print(f"\n{model.n_layers} x {model.cell}({model.units}), dropout {model.dropout}: ", end="")
    print(f"milliseconds a batch, medians of {n_rounds} rounds\n")
    print_table(
        ["part", "ms", "share"],
        [
            *(row(name, [parts[name] for parts in rounds]) for name in order),
            row("**the batch, with these hooks**", totals),
            row("the batch, without them", plain),
            row("**all but the recurrence**", others),
        ],
    )
    other = statistics.median(others)
    goal = f"goal under {GOAL_MS:.0f} ms: {reached(other < GOAL_MS)}"
    print(f"\nAll but the recurrence: {other:.2f} ms a batch, {goal}.", end=" ")
    print(f"Around the epoch (reading, building, checking) a fit takes {statistics.median(outside):.0f} ms.")
