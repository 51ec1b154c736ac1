"""Contributions by leaving out: the output minus the output without a token, or without a window of a channel."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from seqclf._data.encoded import EncodedSequences
from seqclf._data.ragged import Ragged
from seqclf._validation.texts import UNKNOWN
from seqclf.inspection._explained_model import ExplainedModel
from seqclf.inspection._target import Target

Floats = NDArray[np.float64]
# The largest number of steps that are predicted at once, which bounds memory.
_MAX_STEPS = 2**20
# A series is divided into this many windows, and each half window is the start of one.
_N_WINDOWS = 12


def leave_out(model: ExplainedModel, targets: list[Target], outputs: list[float]) -> list[tuple[Floats, float]]:
    """The contributions and the baseline of each row, from the target of each row and its output."""
    contributions_of = _leave_out_windows if model.reads_series else _leave_out_tokens
    if model.reads_series or model.task.per_step:
        baselines = [np.nan] * len(targets)
    else:
        empty = model.baseline_outputs()
        baselines = [target.value(empty) for target in targets]
    rows = zip(targets, outputs, baselines, strict=True)
    return [
        (contributions_of(model, row, target, output), baseline) for row, (target, output, baseline) in enumerate(rows)
    ]


def _leave_out_tokens(model: ExplainedModel, row: int, target: Target, output: float) -> Floats:
    """For each token of a row the output minus the output without it, (n_tokens,).

    The step that is explained in a tagger is not removed, but replaced by the unknown token.
    """
    sequence = model.row(row)
    n_tokens = len(sequence.steps.values)
    contributions = np.empty(n_tokens)
    tokens = [token for token in range(n_tokens) if token != target.step]
    for start, stop in _blocks(len(tokens), n_tokens):
        block = tokens[start:stop]
        steps = [None if target.step is None else target.step - int(token < target.step) for token in block]
        contributions[block] = output - _values(model, _without_each(sequence, block), target, steps)
    if target.step is not None:
        hidden = _with_unknown(sequence, target.step)
        contributions[target.step] = output - _values(model, hidden, target, [target.step])[0]
    return contributions


def _leave_out_windows(model: ExplainedModel, row: int, target: Target, output: float) -> Floats:
    """The contribution of each value of a series, (n_steps, n_channels).

    A window of a channel is replaced by the straight line between the values around it, or at an end of the series by
    the nearest value. The effect of a window is divided equally among its steps; a value gets the mean over the windows
    that contain it.
    """
    series = model.row(row).steps.values
    n_steps, n_channels = series.shape
    windows = _windows(n_steps)
    contributions, n_windows = np.zeros((n_steps, n_channels)), np.zeros(n_steps)
    for start, stop in windows:
        n_windows[start:stop] += 1
    cases = [(window, channel) for window in windows for channel in range(n_channels)]
    for first, last in _blocks(len(cases), n_steps):
        block = cases[first:last]
        values = np.stack([_straightened(series, *window, channel) for window, channel in block])
        sequences = EncodedSequences(Ragged.from_array(values))
        found = output - _values(model, sequences, target, [target.step] * len(block))
        for ((start, stop), channel), effect in zip(block, found, strict=True):
            contributions[start:stop, channel] += effect / (stop - start)
    return contributions / np.maximum(n_windows, 1)[:, None]


def _blocks(n_cases: int, n_steps: int) -> Iterator[tuple[int, int]]:
    size = max(_MAX_STEPS // max(n_steps, 1), 1)
    for start in range(0, n_cases, size):
        yield start, min(start + size, n_cases)


def _values(model: ExplainedModel, sequences: EncodedSequences, target: Target, steps: list[int | None]) -> Floats:
    """The output for each sequence; `steps` are the positions of the step that is explained."""
    outputs = model.outputs(sequences)
    rows = outputs.items() if isinstance(outputs, Ragged) else outputs
    return np.array([target._replace(step=step).value(row) for step, row in zip(steps, rows, strict=True)])


def _without_each(sequence: EncodedSequences, tokens: list[int]) -> EncodedSequences:
    """For each of `tokens`, the one sequence without it."""
    n_tokens = len(sequence.steps.values)
    kept = np.concatenate([np.delete(np.arange(n_tokens), token) for token in tokens])
    spelling = sequence.spelling
    return replace(
        sequence,
        steps=Ragged(sequence.steps.values[kept], np.full(len(tokens), n_tokens - 1)),
        spelling=spelling and spelling._replace(ids=spelling.ids[kept]),
    )


def _with_unknown(sequence: EncodedSequences, step: int) -> EncodedSequences:
    """The sequence with the unknown token at one step."""

    def hide(ids: NDArray[np.int32]) -> NDArray[np.int32]:
        return np.where(np.arange(len(ids)) == step, np.int32(UNKNOWN), ids)

    spelling = sequence.spelling
    steps = replace(sequence.steps, values=hide(sequence.steps.values))
    return replace(sequence, steps=steps, spelling=spelling and spelling._replace(ids=hide(spelling.ids)))


def _windows(n_steps: int) -> list[tuple[int, int]]:
    """The windows of a series: each has the same length, and starts half a window after the one before."""
    length = -(-n_steps // _N_WINDOWS)
    starts = range(0, max(n_steps - length, 0) + 1, max(length // 2, 1))
    windows = [(start, start + length) for start in starts] if n_steps else []
    if windows and windows[-1][1] < n_steps:
        windows.append((n_steps - length, n_steps))
    return windows


def _straightened(series: NDArray[np.floating], start: int, stop: int, channel: int) -> NDArray[np.floating]:
    """The series with one window of a channel on a straight line."""
    changed = series.copy()
    ends = [(position, series[position, channel]) for position in (start - 1, stop) if 0 <= position < len(series)]
    if ends:
        positions, values = zip(*ends, strict=True)
        changed[start:stop, channel] = np.interp(np.arange(start, stop), positions, values)
    else:
        changed[:, channel] = 0.0  # the mean of the channel, if series are scaled
    return changed
