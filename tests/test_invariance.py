"""Invariances: predictions, models for a seed, and global state.

A prediction of a row does not depend on other rows, padding, batches or threads. Other tests would not notice errors of
this kind.
"""

import threading
import warnings
from functools import partial

import numpy as np
import pytest
import torch

from _sampling import sampled
from seqclf import RNNClassifier, RNNTextClassifier, SequencePadder
from seqclf._data.encoded import EncodedSequences
from seqclf._data.ragged import Ragged
from seqclf._inference import batches
from seqclf._kernels import CELLS
from seqclf._nn.pooling import POOLINGS
from seqclf._training import batches as training_batches

# Predictions are computed in float64. The last digit of a matrix product can depend on the number of rows: differences
# of 2e-16 to 2e-15 were observed. The checks of scikit-learn allow 1e-7.
ATOL = 1e-13

LENGTHS = (5, 1, 12, 0, 3, 12, 8, 2, 1, 7)


def id_rows():
    rng = np.random.RandomState(0)
    return [rng.randint(1, 9, size=length) for length in LENGTHS]


def series_rows():
    rng = np.random.RandomState(1)
    return [rng.normal(size=(length, 2)) for length in LENGTHS]


# Without the compiled kernels some activations of networks() are slow for some cells.
pytestmark = pytest.mark.filterwarnings("ignore:cell=.* is many times slower")

LABELS = np.arange(len(LENGTHS)) % 3


QUICK = {"units": 5, "max_epochs": 2, "learning_rate": 0.02, "schedule": "constant", "patience": None, "batch_size": 4}
QUICK |= {"random_state": 0}


text_classifier = partial(RNNTextClassifier, **QUICK, embedding_dim=4, dropout=0.5, token_dropout=0.2, nb_ngrams=0)
series_classifier = partial(RNNClassifier, **QUICK, dropout=0.1)


def networks():
    """Settings of networks: every cell, pooling, direction and depth."""
    for cell in CELLS:
        for pooling in POOLINGS:
            for bidirectional in (False, True):
                for n_layers in (1, 2):
                    yield {"cell": cell, "pooling": pooling, "bidirectional": bidirectional, "n_layers": n_layers}
        for activation, bidirectional in (("relu", False), ("relu", True), ("softsign", True)):
            # Units with relu stay 0 after updates with a high learning rate.
            yield {
                "cell": cell,
                "activation": activation,
                "bidirectional": bidirectional,
                "n_layers": 2,
                "learning_rate": 0.02,
            }


INPUTS = {
    "ids": (text_classifier, id_rows, {}),
    "one-hot ids": (text_classifier, id_rows, {"embedding_dim": None}),
    "ids with ratios": (text_classifier, id_rows, {"nb_ngrams": 2}),
    "one-hot ids with ratios": (text_classifier, id_rows, {"embedding_dim": None, "nb_ngrams": 2}),
    "series": (series_classifier, series_rows, {}),
}


@pytest.fixture(autouse=True, scope="module")
def _modules_are_imported():
    """torch imports sympy in the first fit of a process, which adds warning filters."""
    series_classifier(max_epochs=1).fit(series_rows(), LABELS)


@pytest.fixture(scope="module")
def fitted():
    """A function that returns a model, its data and its decision function; each model is fitted once."""
    models = {}

    def get(kind, network):
        make, rows, changes = INPUTS[kind]
        key = (kind, *network.items())
        if key not in models:
            X = rows()
            model = make(**(changes | network)).fit(X, LABELS)
            models[key] = model, X, model.decision_function(X)
            # Outputs of different rows differ. With max pooling the largest states can be those of a common step.
            n_answers = len(np.unique(models[key][2].round(6), axis=0))
            assert n_answers >= len(set(map(repr, X))) - (network.get("pooling", "max") == "max")
        return models[key]

    return get


NETWORKS = {"-".join(map(str, network.values())): network for network in networks()}
every_kind_and_network = sampled({"kind": list(INPUTS), "network": NETWORKS})


def padded(rows, n_steps, side, fill):
    """Rows as one array. SequencePadder is not used, because other tests cover it."""
    array = np.full((len(rows), n_steps, *rows[0].shape[1:]), fill, dtype=np.result_type(rows[0], type(fill)))
    for row, steps in enumerate(rows):
        if len(steps):
            array[row, slice(0, len(steps)) if side == "end" else slice(n_steps - len(steps), None)] = steps
    return array


@every_kind_and_network
def test_predictions_do_not_depend_on_the_other_rows(kind, network, fitted):
    model, X, expected = fitted(kind, network)
    for row, logits in enumerate(expected):
        np.testing.assert_allclose(model.decision_function([X[row]])[0], logits, rtol=0, atol=ATOL)
    n = len(X)
    for rows in (np.random.RandomState(2).permutation(n), np.arange(n)[::-1], [4, 4, 4, 1], np.arange(n).repeat(7)):
        got = model.decision_function([X[row] for row in rows])
        np.testing.assert_allclose(got, expected[rows], rtol=0, atol=ATOL)


@every_kind_and_network
def test_predictions_do_not_depend_on_padding(kind, network, fitted):
    """Padding at the start, at the end and at both; a row of padding equals a row without steps."""
    model, X, expected = fitted(kind, network)
    fill = np.nan if kind == "series" else 0
    for side in ("start", "end"):
        for n_steps in (12, 13, 40):
            array = padded(X, n_steps, side, fill)
            assert array.dtype.kind == ("f" if kind == "series" else "i")
            np.testing.assert_allclose(model.decision_function(array), expected, rtol=0, atol=ATOL)
    at_end = padded(X, 15, "end", fill)
    both = np.concatenate([np.full_like(at_end[:, :4], fill), at_end], axis=1)
    np.testing.assert_allclose(model.decision_function(both), expected, rtol=0, atol=ATOL)


@every_kind_and_network
def test_predictions_do_not_depend_on_batches(kind, network, fitted, tune):
    model, X, expected = fitted(kind, network)
    for rows, steps in [(1, 2**16), (3, 2**16), (512, 7), (2, 13), (512, 1)]:
        tune(prediction_rows=rows)
        tune(prediction_steps=steps)
        sequences = EncodedSequences(Ragged(np.zeros(sum(LENGTHS)), np.array(LENGTHS)))
        n_batches = len(batches.prediction_rows(sequences))
        assert n_batches > 1, "the setting did not reach the batches"
        np.testing.assert_allclose(model.decision_function(X), expected, rtol=0, atol=ATOL)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("make", [text_classifier, series_classifier])
def test_predictions_do_not_depend_on_n_threads(make, cell, tune):
    """The model is large enough for several threads."""
    rng = np.random.RandomState(0)
    lengths = rng.randint(1, 40, size=300)
    rows = [rng.randint(1, 50, size=n) if make is text_classifier else rng.normal(size=(n, 3)) for n in lengths]
    model = make(cell=cell, units=64, max_epochs=1, batch_size=64, n_threads=1).fit(rows, np.arange(300) % 3)
    expected = model.predict_proba(rows)
    for n_threads in (2, 3, None):
        np.testing.assert_allclose(model.set_params(n_threads=n_threads).predict_proba(rows), expected, atol=ATOL)
    tune(prediction_rows=17)
    np.testing.assert_allclose(model.set_params(n_threads=2).predict_proba(rows), expected, atol=ATOL)


# --- training


@pytest.mark.parametrize("side", ["start", "end"])
@pytest.mark.parametrize("kind", INPUTS)
def test_fit_does_not_depend_on_padding(kind, side):
    make, rows, changes = INPUTS[kind]
    X, fill = rows(), np.nan if kind == "series" else 0
    settings = {"patience": 1, "validation_fraction": 0.3, "dropout": 0.3} | changes
    ragged = make(**settings).fit(X, LABELS)
    for n_steps in (12, 20):
        array = make(**settings).fit(padded(X, n_steps, side, fill), LABELS)
        np.testing.assert_array_equal(array.decision_function(X), ragged.decision_function(X))
        assert array.history_[-1]["train_loss"] == ragged.history_[-1]["train_loss"]
    counted = "steps" if kind == "series" else "tokens"
    assert 0 < array.history_[0][counted] <= sum(LENGTHS)  # padding is not counted


def test_nan_after_the_last_step_is_not_read():
    """In a 3-D array, padding is NaN in every channel."""
    X, y = padded(series_rows(), 12, "end", np.nan), LABELS
    model = series_classifier().fit(series_rows(), y)
    expected = model.decision_function(series_rows())
    longer = np.concatenate([X, np.full((len(X), 30, 2), np.nan)], axis=1)
    np.testing.assert_allclose(model.decision_function(longer), expected, rtol=0, atol=ATOL)
    np.testing.assert_array_equal(series_classifier().fit(longer, y).channel_mean_, model.channel_mean_)
    np.testing.assert_array_equal(series_classifier().fit(longer, y).decision_function(X), model.decision_function(X))


@pytest.mark.parametrize("truncate", ["start", "end"])
@pytest.mark.parametrize("make", [text_classifier, series_classifier])
def test_truncated_steps_change_no_output(make, truncate):
    rng = np.random.RandomState(0)
    draw = (lambda n: rng.randint(2, 9, size=n)) if make is text_classifier else (lambda n: rng.normal(size=(n, 2)))
    kept, first, second = ([draw(n) for n in (6,) * 9] for _ in range(3))

    def truncated(removed):
        pairs = [(cut, keep) if truncate == "start" else (keep, cut) for cut, keep in zip(removed, kept, strict=True)]
        return SequencePadder(max_length=6, truncate=truncate).fit_transform([np.concatenate(pair) for pair in pairs])

    y = np.arange(9) % 3
    model = make().fit(kept, y)
    np.testing.assert_allclose(model.decision_function(truncated(first)), model.decision_function(kept), atol=ATOL)
    one, two = (make().fit(truncated(removed), y) for removed in (first, second))
    np.testing.assert_array_equal(one.decision_function(truncated(second)), two.decision_function(truncated(first)))


# --- seeds

# Random numbers determine weights, the validation split, the order of rows, every dropout, and folds.
RANDOM_SETTINGS = {"patience": 2, "validation_fraction": 0.3, "dropout": 0.4, "recurrent_dropout": 0.3, "n_layers": 2}


def make_random(make, **changes):
    return make(
        **(RANDOM_SETTINGS | ({"token_dropout": 0.3, "nb_ngrams": 2} if make is text_classifier else {}) | changes)
    )


def model_of(classifier):
    """Weights and history, without the times."""
    epochs = [{key: value for key, value in epoch.items() if key != "seconds"} for epoch in classifier.history_]
    return classifier.network_.to_arrays(), epochs


def assert_same_model(one, other):
    (weights, history), (other_weights, other_history) = model_of(one), model_of(other)
    assert history == other_history
    assert weights.keys() == other_weights.keys()
    for name in weights:
        np.testing.assert_array_equal(weights[name], other_weights[name], err_msg=name)


def weights_differ(one, other):
    pairs = zip(model_of(one)[0].items(), model_of(other)[0].values(), strict=True)
    return {name: (a != b).any() for (name, a), b in pairs if not name.endswith("n_batches")}  # equal for all seeds


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("make", "rows"), [(text_classifier, id_rows), (series_classifier, series_rows)])
def test_random_state_determines_the_model(make, rows, cell, n_threads):
    X = rows() * 3
    y = np.tile(LABELS, 3)

    def fit(random_state):
        torch.rand(3), np.random.rand(3)  # noqa: NPY002  (global generators have no effect)
        return make_random(make, cell=cell, n_threads=n_threads, random_state=random_state).fit(X, y)

    first = fit(7)
    assert_same_model(first, fit(7))
    assert_same_model(first, fit(np.random.RandomState(7)))
    np.testing.assert_array_equal(first.predict_proba(X), fit(7).predict_proba(X))
    differs = weights_differ(first, fit(8))
    assert all(differs.values()), f"the seed does not reach {[name for name in differs if not differs[name]]}"


def test_random_state_object_advances_between_fits():
    rng = np.random.RandomState(7)
    one, two = (make_random(text_classifier, random_state=rng).fit(id_rows(), LABELS) for _ in range(2))
    assert all(weights_differ(one, two).values())
    again = np.random.RandomState(7)
    for expected in (one, two):
        assert_same_model(make_random(text_classifier, random_state=again).fit(id_rows(), LABELS), expected)


def test_random_state_none_draws_new_weights_in_each_fit():
    one, two = (make_random(series_classifier, random_state=None).fit(series_rows(), LABELS) for _ in range(2))
    assert all(weights_differ(one, two).values())


def test_random_state_none_uses_the_global_seed_of_numpy():
    """scikit-learn's rule for random_state=None."""

    def fit():
        np.random.seed(3)  # noqa: NPY002
        return make_random(series_classifier, random_state=None).fit(series_rows(), LABELS)

    before = np.random.get_state()  # noqa: NPY002
    try:
        assert_same_model(fit(), fit())
    finally:
        np.random.set_state(before)  # noqa: NPY002


# --- global state


def global_state():
    numpy_state = np.random.get_state(legacy=False)["state"]  # noqa: NPY002
    return {
        "torch's generator": torch.get_rng_state().tolist(),
        "numpy's generator": (numpy_state["key"].tolist(), numpy_state["pos"]),
        "threads": torch.get_num_threads(),
        "threads between operations": torch.get_num_interop_threads(),
        "warnings": list(warnings.filters),
        "dtype": torch.get_default_dtype(),
        "gradients": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "numpy errors": np.geterr(),
    }


@pytest.mark.parametrize("n_threads", [None, 1, 2, 3])
@pytest.mark.parametrize(("make", "rows"), [(text_classifier, id_rows), (series_classifier, series_rows)])
def test_fit_and_predict_do_not_change_global_state(make, rows, n_threads):
    before = global_state()
    model = make_random(make, n_threads=n_threads).fit(rows(), LABELS)
    assert global_state() == before
    model.predict_proba(rows())
    assert global_state() == before
    with pytest.raises(ValueError, match="Row 0 of X"):
        model.predict_proba([[["nonsense"]]])
    assert global_state() == before


@pytest.mark.parametrize("n_threads", [None, 2])
@pytest.mark.parametrize("fault", ["data", "labels", "loss", "interrupt"])
def test_failed_fit_does_not_change_global_state(fault, n_threads, monkeypatch):
    model, X, y = make_random(series_classifier, n_threads=n_threads), series_rows(), LABELS
    error, match = ValueError, None
    if fault == "data":
        X[3] = np.array([[np.nan, 1.0], [1.0, 1.0]])
    elif fault == "labels":
        y = np.zeros(len(X), dtype=int)
    elif fault == "loss":
        model.set_params(optimizer="sgd", learning_rate=3e38, max_grad_norm=None)
        match = "loss became"
    else:
        error = KeyboardInterrupt
        monkeypatch.setattr(
            training_batches.TrainingData, "batch", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt())
        )
    before = global_state()
    with pytest.raises(error, match=match):
        model.fit(X, y)
    assert global_state() == before
    assert not hasattr(model, "network_")


@pytest.mark.parametrize("n_threads", [None, 1])
def test_concurrent_fits_equal_sequential_fits(n_threads):
    """joblib's threading backend fits like this."""
    makes = [(text_classifier, id_rows, 3), (series_classifier, series_rows, 4), (text_classifier, id_rows, 5)]

    def fit(make, rows, seed):
        model = make_random(make, random_state=seed, n_threads=n_threads, max_epochs=15, patience=15)
        return model.fit(rows() * 4, np.tile(LABELS, 4))

    alone = [fit(*arguments) for arguments in makes]
    before = global_state()
    together, errors = [None] * len(makes), []
    barrier = threading.Barrier(len(makes))

    def work(position):
        try:
            barrier.wait(timeout=60)
            for _ in range(3):
                together[position] = fit(*makes[position])
                assert_same_model(together[position], alone[position])
                probabilities = together[position].predict_proba(makes[position][1]())
                np.testing.assert_array_equal(probabilities, alone[position].predict_proba(makes[position][1]()))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(position,)) for position in range(len(makes))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert not errors, errors[0]
    assert all(model is not None for model in together)
    assert global_state() == before
