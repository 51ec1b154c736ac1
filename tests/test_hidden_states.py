"""`hidden_states`: one array per sequence with the states of the textbook equations."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

from seqclf import RNNClassifier, RNNTextClassifier, SequencePadder, TextTokenizer, _kernels
from seqclf._kernels import CELLS
from seqclf._native import library
from seqclf._nn.pooling import POOLINGS

LENGTHS = (5, 1, 12, 0, 3, 12, 8, 2, 1, 7)
LABELS = np.arange(len(LENGTHS)) % 3
TEXTS = ["good, not bad", "bad, not good", "good", ""] * 3
QUICK = {"units": 5, "max_epochs": 2, "batch_size": 4, "learning_rate": 0.02, "schedule": "constant", "random_state": 0}
SERIES = [np.random.RandomState(1).normal(2, 3, size=(length, 2)) for length in LENGTHS]
IDS = [np.random.RandomState(length).randint(1, 9, size=length) for length in LENGTHS]
# Some cells are slow without the compiled kernels.
pytestmark = pytest.mark.filterwarnings("ignore:cell=.* is many times slower")
needs_kernels = pytest.mark.skipif(not library.available()[0], reason="the compiled kernels are not installed")


def fitted_on_series(**changes):
    return RNNClassifier(**(QUICK | {"wide": False, "conv_filters": 0} | changes)).fit(SERIES, LABELS)


def fitted_on_ids(**changes):
    settings = {"wide": False, "nb_ngrams": 0, "embedding_dim": 4}
    return RNNTextClassifier(**(QUICK | settings | changes)).fit(IDS, LABELS)


def assert_same(found, expected):
    """Compare two lists of arrays bitwise."""
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs, strict=True)


# Equations: x (the step) and h, c (the previous state) are row vectors. W, U and b have a block of columns per gate.


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


def rnn(x, h, c, W, U, b):
    return np.tanh(x @ W + h @ U + b), c


def lstm(x, h, c, W, U, b):
    i, f, g, o = np.split(x @ W + h @ U + b, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def gru(x, h, c, W, U, b, b_h):
    (r_x, z_x, n_x), (r_h, z_h, n_h) = np.split(x @ W + b, 3), np.split(h @ U + b_h, 3)
    z = sigmoid(z_x + z_h)
    return (1 - z) * np.tanh(n_x + sigmoid(r_x + r_h) * n_h) + z * h, c


def mgu(x, h, c, W, U, b, b_h):
    (f_x, n_x), (f_h, n_h) = np.split(x @ W + b, 2), np.split(h @ U + b_h, 2)
    f = sigmoid(f_x + f_h)
    return (1 - f) * h + f * np.tanh(n_x + f * n_h), c


EQUATIONS = {"rnn": rnn, "lstm": lstm, "gru": gru, "mgu": mgu}


def expected_states(model, inputs):
    """The states of the last layer for one sequence of inputs (n_steps, n_inputs)."""
    config, arrays = model.network_.config, model.network_.to_arrays()
    for layer, units in enumerate(config.units):
        halves = []
        for direction in range(1 + config.bidirectional):
            prefix = f"recurrent.layers.{layer}.directions.{direction}."
            names = [prefix + name for name in ("weight_input", "weight_recurrent", "bias", "bias_recurrent")]
            weights = [arrays[name].T.astype(np.float64) for name in names if name in arrays]
            assert all(weight.any() for weight in weights), "weights of zero would not be tested"
            h, c, half = np.zeros(units), np.zeros(units), np.empty((len(inputs), units))
            for step in reversed(range(len(inputs))) if direction else range(len(inputs)):
                h, c = EQUATIONS[config.cell](inputs[step], h, c, *weights)
                half[step] = h
            halves.append(half)
        inputs = np.concatenate(halves, axis=1)
    return inputs


def inputs_of_series(model):
    return [(series - model.channel_mean_) / model.channel_scale_ for series in SERIES]


def inputs_of_ids(model):
    """One-hot vectors or embeddings, followed by the log-count ratios of single tokens."""
    table = model.network_.to_arrays().get("embedding.weight", np.eye(model.vocab_size_)).astype(np.float64)
    if model.nb_ngrams:
        ratios = model.nb_ratios_
        table = np.concatenate([table, ratios.tables_[0][0][ratios.ngrams.of_tokens_]], axis=1)
    return [table[ids] for ids in IDS]


def assert_hidden_states_equal_the_equations(model, X, inputs):
    found = model.hidden_states(X)
    width = model.network_.config.units[-1] * (2 if model.bidirectional else 1)
    assert isinstance(found, list)
    assert [states.shape for states in found] == [(length, width) for length in LENGTHS]
    assert all(states.dtype == np.float32 for states in found)
    assert np.concatenate(found).std(axis=0).min() > 1e-3, "a constant unit would not be tested"
    for ours, sequence in zip(found, inputs, strict=True):
        np.testing.assert_allclose(ours, expected_states(model, sequence), rtol=0, atol=1e-6)


every_cell = pytest.mark.parametrize("cell", CELLS)
every_direction = pytest.mark.parametrize("bidirectional", [False, True])


def test_equations_cover_every_cell():
    assert set(EQUATIONS) == set(CELLS)


@every_cell
@every_direction
@pytest.mark.parametrize("units", [5, (4, 6)])
def test_hidden_states_of_series_equal_the_equations(cell, bidirectional, units):
    model = fitted_on_series(cell=cell, bidirectional=bidirectional, units=units)
    assert_hidden_states_equal_the_equations(model, SERIES, inputs_of_series(model))


@every_cell
@every_direction
@pytest.mark.parametrize("units", [5, (4, 6)])
@pytest.mark.parametrize("changes", [{}, {"embedding_dim": None}, {"nb_ngrams": 1}], ids=["table", "one-hot", "ratios"])
def test_hidden_states_of_ids_equal_the_equations(cell, bidirectional, units, changes):
    model = fitted_on_ids(cell=cell, bidirectional=bidirectional, units=units, **changes)
    assert_hidden_states_equal_the_equations(model, IDS, inputs_of_ids(model))


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("wide", [False, True])
def test_hidden_states_do_not_contain_pooling_convolutions_and_wide(pooling, wide):
    """Nor the means of label features."""
    series = fitted_on_series(pooling=pooling, wide=wide, conv_filters=(4,), missing="forward")
    assert_hidden_states_equal_the_equations(series, SERIES, inputs_of_series(series))
    ids = fitted_on_ids(pooling=pooling, wide=wide, nb_ngrams=1)
    assert_hidden_states_equal_the_equations(ids, IDS, inputs_of_ids(ids))


@pytest.mark.parametrize("kernel", ["reference", "torch_native"])
def test_hidden_states_do_not_depend_on_the_kernel(kernel):
    """Other kernels compute in float64, but the states are float32."""
    for model, X in ((fitted_on_series(), SERIES), (fitted_on_ids(), IDS)):
        expected = model.hidden_states(X)
        with _kernels.use(kernel):
            found = model.hidden_states(X)
        for ours, theirs in zip(found, expected, strict=True):
            assert ours.dtype == np.float32
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)


# --- invariances


@needs_kernels
@every_cell
@pytest.mark.parametrize("kind", ["series", "ids"])
def test_hidden_states_do_not_depend_on_rows_batches_and_threads(cell, kind, tune):
    rng = np.random.RandomState(0)
    lengths = rng.randint(0, 40, size=200)
    if kind == "series":
        X, model = [rng.normal(size=(length, 3)) for length in lengths], RNNClassifier
    else:
        X, model = [rng.randint(1, 50, size=length) for length in lengths], RNNTextClassifier
    model = model(**(QUICK | {"cell": cell, "units": 40, "n_layers": 2, "max_epochs": 1, "n_threads": 1}))
    expected = model.fit(X, np.arange(len(X)) % 3).hidden_states(X)
    for row in range(0, len(X), 20):
        assert_same(model.hidden_states([X[row]]), [expected[row]])
    assert_same(model.hidden_states(X[::-1]), expected[::-1])
    for n_threads in (2, 3, None):
        assert_same(model.set_params(n_threads=n_threads).hidden_states(X), expected)
    for rows, steps in [(1, 2**16), (17, 2**16), (512, 99)]:
        tune(prediction_rows=rows)
        tune(prediction_steps=steps)
        assert_same(model.hidden_states(X), expected)


def test_hidden_states_of_a_pickled_model_are_bitwise_equal():
    for model, X in ((fitted_on_series(conv_filters=3), SERIES), (fitted_on_ids(nb_ngrams=2, wide=True), IDS)):
        assert_same(pickle.loads(pickle.dumps(model)).hidden_states(X), model.hidden_states(X))


# --- forms of X


def test_hidden_states_have_one_row_per_token():
    model = RNNTextClassifier(**QUICK).fit(TEXTS, LABELS[:4].tolist() * 3)
    ids = model.tokenizer_.transform(TEXTS)
    assert [len(states) for states in model.hidden_states(TEXTS)] == [len(row) for row in ids] == [4, 4, 1, 0] * 3
    short = RNNTextClassifier(TextTokenizer(max_length=2), **QUICK).fit(TEXTS, LABELS[:4].tolist() * 3)
    assert [states.shape for states in short.hidden_states(TEXTS[:4])] == [(2, 10), (2, 10), (1, 10), (0, 10)]
    assert_same(model.hidden_states(pd.Series(TEXTS)), model.hidden_states(TEXTS))


def test_hidden_states_of_a_table_have_one_row_per_column():
    table, y = np.random.RandomState(0).normal(size=(12, 7)), np.arange(12) % 2
    found = RNNClassifier(**QUICK).fit(table, y).hidden_states(table)
    assert [states.shape for states in found] == [(7, 10)] * 12
    series = list(table[:, :, np.newaxis])
    assert_same(found, RNNClassifier(**QUICK).fit(series, y).hidden_states(series))


@needs_kernels
def test_hidden_states_omit_padding():
    for model, X in ((fitted_on_series(), SERIES), (fitted_on_ids(), IDS)):
        expected = model.hidden_states(X)
        for padding in ("start", "end"):
            value = np.nan if X is SERIES else 0
            assert_same(model.hidden_states(SequencePadder(padding=padding, value=value).fit_transform(X)), expected)


def test_hidden_states_raise_not_fitted_error_before_fit():
    for model, X in ((RNNClassifier(), SERIES), (RNNTextClassifier(), TEXTS)):
        with pytest.raises(NotFittedError, match="not fitted yet"):
            model.hidden_states(X)


@pytest.mark.parametrize(
    ("fitted", "X"),
    [
        (fitted_on_series, []),
        (fitted_on_series, None),
        (fitted_on_series, TEXTS),
        (fitted_on_series, [np.zeros((3, 5))]),
        (fitted_on_series, [np.full((3, 2), np.inf)]),
        (fitted_on_ids, []),
        (fitted_on_ids, TEXTS),
        (fitted_on_ids, "a text"),
        (fitted_on_ids, [[-1, 2]]),
    ],
)
def test_hidden_states_and_predict_raise_equal_errors(fitted, X):
    model = fitted()
    messages = []
    for method in (model.predict, model.hidden_states):
        with pytest.raises((TypeError, ValueError)) as raised:
            method(X)
        messages.append((raised.type, str(raised.value)))
    assert messages[0] == messages[1]


@pytest.mark.parametrize("n_threads", [None, 1, 2])
@pytest.mark.usefixtures("unchanged_global_state")
def test_hidden_states_change_neither_model_nor_global_state(n_threads):
    for model, X in ((fitted_on_series(n_threads=n_threads), SERIES), (fitted_on_ids(n_threads=n_threads), IDS)):
        before, filters, errors = pickle.dumps(model), list(warnings.filters), np.geterr()
        states = model.hidden_states(X)
        assert (list(warnings.filters), np.geterr()) == (filters, errors)
        assert pickle.dumps(model) == before
        for each in states:  # Changing the arrays must not change the model.
            each[:] = 0
        assert all(each.any() for each in model.hidden_states(X) if len(each))
