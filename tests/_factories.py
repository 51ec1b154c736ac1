"""Estimators, data and checks that several test files use."""

import io
import subprocess
import sys
import textwrap
import warnings

import numpy as np
import pytest

from seqclf import RNNClassifier, RNNTextClassifier
from seqclf._data.ragged import Ragged

SMALL = {"units": 3, "max_epochs": 2, "patience": None, "random_state": 0}


def text_classifier(**changes):
    return RNNTextClassifier(**(SMALL | changes))


def series_classifier(**changes):
    return RNNClassifier(**(SMALL | changes))


def make_texts(words, n=40, n_classes=2, seed=0, words_per_class=1, min_length=1):
    """Texts and classes: in each class, `words_per_class` words are six times as frequent as others. Row 0 is empty."""
    rng = np.random.default_rng(seed)
    codes = np.arange(n) % n_classes
    texts = []
    for code in codes:
        chances = np.ones(len(words))
        chances[(code * words_per_class + np.arange(words_per_class)) % len(words)] = 6
        length = rng.integers(min_length, 9)
        texts.append(" ".join(rng.choice(words, size=length, p=chances / chances.sum())))
    return ["", *texts[1:]], codes


def ragged_ids(rows):
    """Lists of token ids as one ragged array."""
    return Ragged.from_items([np.array(row, dtype=np.int32) for row in rows], dtype=np.int32)


def random_series(lengths, n_channels=2, seed=0):
    values = np.random.default_rng(seed).normal(size=(sum(lengths), n_channels)).astype(np.float32)
    return Ragged(values, np.array(lengths, dtype=np.int64))


def step_features_by_row(encoded):
    return np.split(encoded.step_features, np.cumsum(encoded.lengths)[:-1])


def make_network(seed=0, **changes):
    """A network with initial weights, three outputs, one layer and no dropout."""
    import torch

    from seqclf._inference.config import NetworkConfig
    from seqclf._nn.network import Network

    config = {"n_outputs": 3, "cell": "gru", "units": (5,), "bidirectional": False, "pooling": "last"}
    config |= {"activation": "tanh", "dropout": 0.0, "recurrent_dropout": 0.0}
    return Network(NetworkConfig(**(config | changes))).reset_parameters(torch.Generator().manual_seed(seed))


def convolve_by_loop(values, layout, weight):
    """A convolution of each sequence, row by row, step by step, filter by filter."""
    import torch

    n_filters, _, width = weight.shape
    outputs = torch.zeros(layout.n_steps, n_filters, dtype=values.dtype)
    for row, length in enumerate(layout.lengths):
        positions = [layout.time_offsets[time] + row for time in range(length)]
        for time in range(length):
            for filter_ in range(n_filters):
                for offset in range(width):
                    source = time + offset - (width - 1) // 2
                    if 0 <= source < length:
                        outputs[positions[time], filter_] += values[positions[source]] @ weight[filter_, :, offset]
    return outputs


def run_python(code, *options, timeout=120):
    """Run a program in another process and return its output. A deadlock is a failure after `timeout` seconds."""
    command = [sys.executable, *options, "-c", textwrap.dedent(code)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired as error:
        pytest.fail(f"no answer after {timeout} s: {error.stdout!r} {error.stderr!r}")
    assert done.returncode == 0, (done.returncode, done.stderr[-3000:])
    return done.stdout


def draw_figure(figure):
    """Draw with warnings as errors, for example those of a layout that collapses."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.savefig(io.BytesIO(), format="png")


def assert_same_predictions(found, expected):
    """Bitwise equality of values and types; lists and arrays of arrays are compared by row."""
    is_ragged = isinstance(expected, np.ndarray) and expected.dtype == object and expected.ndim == 1
    if isinstance(expected, list) or is_ragged:
        assert len(found) == len(expected)
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    else:
        np.testing.assert_array_equal(found, expected)
    assert getattr(found, "dtype", None) == getattr(expected, "dtype", None)
