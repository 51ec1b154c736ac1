"""One row, one answer; one seed, one model; and the world as it was found.

What is beside a row, how far it is padded, how prediction is cut into batches and how many threads compute it must not
change its answer. A model that is wrong here looks right in every other test.
"""

import threading
import warnings
from functools import partial

import numpy as np
import pytest
import torch

from seqclf import RNNClassifier, RNNTextClassifier, SequencePadder
from seqclf._data.encoded import EncodedSequences
from seqclf._data.ragged import Ragged
from seqclf._inference import batches
from seqclf._kernels import CELLS
from seqclf._nn.pooling import POOLINGS
from seqclf._training import batches as training_batches

# Prediction computes in float64, and a matrix product of other height may round the last digit otherwise. What has been
# seen is 2e-16 to 2e-15; scikit-learn asks for 1e-7.
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
    """Every cell, pooling, direction and depth, for embedded and one-hot ids and for numbers."""
    for cell in CELLS:
        for pooling in POOLINGS:
            for bidirectional in (False, True):
                for n_layers in (1, 2):
                    yield {"cell": cell, "pooling": pooling, "bidirectional": bidirectional, "n_layers": n_layers}
        for activation, bidirectional in (("relu", False), ("relu", True), ("softsign", True)):
            # A lower rate, because units of a relu die at a high one.
            yield {
                "cell": cell,
                "activation": activation,
                "bidirectional": bidirectional,
                "n_layers": 2,
                "learning_rate": 0.02,
            }


def identify(value):
    return "-".join(map(str, value.values())) if isinstance(value, dict) else None


INPUTS = {
    "ids": (text_classifier, id_rows, {}),
    "one-hot ids": (text_classifier, id_rows, {"embedding_dim": None}),
    "ids with ratios": (text_classifier, id_rows, {"nb_ngrams": 2}),
    "one-hot ids with ratios": (text_classifier, id_rows, {"embedding_dim": None, "nb_ngrams": 2}),
    "series": (series_classifier, series_rows, {}),
}


@pytest.fixture(scope="module")
def fitted():
    """Models of this module, each fitted once."""
    models = {}

    def get(kind, network):
        make, rows, changes = INPUTS[kind]
        key = (kind, *network.items())
        if key not in models:
            X = rows()
            model = make(**(changes | network)).fit(X, LABELS)
            models[key] = model, X, model.decision_function(X)
            # Rows differ; but the largest states of two short ones may be those of the same step.
            n_answers = len(np.unique(models[key][2].round(6), axis=0))
            assert n_answers >= len(set(map(repr, X))) - (network.get("pooling", "max") == "max")
        return models[key]

    return get


every_network = pytest.mark.parametrize("network", list(networks()), ids=identify)
every_kind = pytest.mark.parametrize("kind", INPUTS)


def padded(rows, n_steps, side, fill):
    """Rows as one array by hand, not by the class that is tested elsewhere."""
    array = np.full((len(rows), n_steps, *rows[0].shape[1:]), fill, dtype=np.result_type(rows[0], type(fill)))
    for row, steps in enumerate(rows):
        if len(steps):
            array[row, slice(0, len(steps)) if side == "end" else slice(n_steps - len(steps), None)] = steps
    return array


@every_network
@every_kind
def test_a_row_alone_shuffled_or_repeated_gets_the_same_answer(kind, network, fitted):
    model, X, expected = fitted(kind, network)
    for row, logits in enumerate(expected):
        np.testing.assert_allclose(model.decision_function([X[row]])[0], logits, rtol=0, atol=ATOL)
    n = len(X)
    for rows in (np.random.RandomState(2).permutation(n), np.arange(n)[::-1], [4, 4, 4, 1], np.arange(n).repeat(7)):
        got = model.decision_function([X[row] for row in rows])
        np.testing.assert_allclose(got, expected[rows], rtol=0, atol=ATOL)


@every_network
@every_kind
def test_padding_is_invisible(kind, network, fitted):
    """At either side, however long; a row of padding alone is a row without steps."""
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


@every_network
@every_kind
def test_batches_of_prediction_are_invisible(kind, network, fitted, tune):
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
def test_threads_are_invisible_in_prediction(make, cell, tune):
    """Large enough for torch to share the work out."""
    rng = np.random.RandomState(0)
    lengths = rng.randint(1, 40, size=300)
    rows = [rng.randint(1, 50, size=n) if make is text_classifier else rng.normal(size=(n, 3)) for n in lengths]
    model = make(cell=cell, units=64, max_epochs=1, batch_size=64, n_threads=1).fit(rows, np.arange(300) % 3)
    expected = model.predict_proba(rows)
    for n_threads in (2, 3, None):
        np.testing.assert_allclose(model.set_params(n_threads=n_threads).predict_proba(rows), expected, atol=ATOL)
    tune(prediction_rows=17)
    np.testing.assert_allclose(model.set_params(n_threads=2).predict_proba(rows), expected, atol=ATOL)


# Training reads the same sequences, whatever they come in


@pytest.mark.parametrize("side", ["start", "end"])
@pytest.mark.parametrize("kind", INPUTS)
def test_padding_is_invisible_in_training(kind, side):
    make, rows, changes = INPUTS[kind]
    X, fill = rows(), np.nan if kind == "series" else 0
    settings = {"patience": 1, "validation_fraction": 0.3, "dropout": 0.3} | changes
    ragged = make(**settings).fit(X, LABELS)
    for n_steps in (12, 20):
        array = make(**settings).fit(padded(X, n_steps, side, fill), LABELS)
        np.testing.assert_array_equal(array.decision_function(X), ragged.decision_function(X))
        assert array.history_[-1]["train_loss"] == ragged.history_[-1]["train_loss"]
    counted = "steps" if kind == "series" else "tokens"
    assert 0 < array.history_[0][counted] <= sum(LENGTHS)  # padding is not even counted


def test_nothing_can_be_written_into_padding():
    """The steps beyond a length are not read: NaN in every channel is all that a 3-D array may hold there."""
    X, y = padded(series_rows(), 12, "end", np.nan), LABELS
    model = series_classifier().fit(series_rows(), y)
    expected = model.decision_function(series_rows())
    longer = np.concatenate([X, np.full((len(X), 30, 2), np.nan)], axis=1)
    np.testing.assert_allclose(model.decision_function(longer), expected, rtol=0, atol=ATOL)
    np.testing.assert_array_equal(series_classifier().fit(longer, y).channel_mean_, model.channel_mean_)
    np.testing.assert_array_equal(series_classifier().fit(longer, y).decision_function(X), model.decision_function(X))


@pytest.mark.parametrize("truncate", ["start", "end"])
@pytest.mark.parametrize("make", [text_classifier, series_classifier])
def test_steps_that_the_padder_cuts_off_change_nothing(make, truncate):
    rng = np.random.RandomState(0)
    draw = (lambda n: rng.randint(2, 9, size=n)) if make is text_classifier else (lambda n: rng.normal(size=(n, 2)))
    kept, cut, other = ([draw(n) for n in (6,) * 9] for _ in range(3))

    def joined(cuts):
        pairs = [(cut, keep) if truncate == "start" else (keep, cut) for cut, keep in zip(cuts, kept, strict=True)]
        return SequencePadder(max_length=6, truncate=truncate).fit_transform([np.concatenate(pair) for pair in pairs])

    y = np.arange(9) % 3
    model = make().fit(kept, y)
    np.testing.assert_allclose(model.decision_function(joined(cut)), model.decision_function(kept), atol=ATOL)
    one, two = (make().fit(joined(cuts), y) for cuts in (cut, other))
    np.testing.assert_array_equal(one.decision_function(joined(other)), two.decision_function(joined(cut)))


# Seeds

# Everything that draws: weights, split, order, each of the dropouts, and folds.
DRAWING = {"patience": 2, "validation_fraction": 0.3, "dropout": 0.4, "recurrent_dropout": 0.3, "n_layers": 2}


def drawing(make, **changes):
    return make(**(DRAWING | ({"token_dropout": 0.3, "nb_ngrams": 2} if make is text_classifier else {}) | changes))


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
    return {name: (a != b).any() for (name, a), b in pairs if not name.endswith("n_batches")}  # the same for any seed


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("make", "rows"), [(text_classifier, id_rows), (series_classifier, series_rows)])
def test_one_seed_gives_one_model(make, rows, cell, n_threads):
    X = rows() * 3
    y = np.tile(LABELS, 3)

    def fit(random_state):
        torch.rand(3), np.random.rand(3)  # noqa: NPY002  (what others draw is no concern of ours)
        return drawing(make, cell=cell, n_threads=n_threads, random_state=random_state).fit(X, y)

    first = fit(7)
    assert_same_model(first, fit(7))
    assert_same_model(first, fit(np.random.RandomState(7)))
    np.testing.assert_array_equal(first.predict_proba(X), fit(7).predict_proba(X))
    differs = weights_differ(first, fit(8))
    assert all(differs.values()), f"the seed does not reach {[name for name in differs if not differs[name]]}"


def test_a_random_state_object_goes_on():
    rng = np.random.RandomState(7)
    one, two = (drawing(text_classifier, random_state=rng).fit(id_rows(), LABELS) for _ in range(2))
    assert all(weights_differ(one, two).values())
    again = np.random.RandomState(7)
    for expected in (one, two):
        assert_same_model(drawing(text_classifier, random_state=again).fit(id_rows(), LABELS), expected)


def test_no_seed_gives_another_model_each_time():
    one, two = (drawing(series_classifier, random_state=None).fit(series_rows(), LABELS) for _ in range(2))
    assert all(weights_differ(one, two).values())


def test_numpys_global_seed_counts_without_one_of_ours():
    """scikit-learn's rule for random_state=None."""

    def fit():
        np.random.seed(3)  # noqa: NPY002
        return drawing(series_classifier, random_state=None).fit(series_rows(), LABELS)

    before = np.random.get_state()  # noqa: NPY002
    try:
        assert_same_model(fit(), fit())
    finally:
        np.random.set_state(before)  # noqa: NPY002


# The world as it was found


def world():
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
def test_fit_and_predict_leave_the_world_as_it_was(make, rows, n_threads):
    before = world()
    model = drawing(make, n_threads=n_threads).fit(rows(), LABELS)
    assert world() == before
    model.predict_proba(rows())
    assert world() == before
    with pytest.raises(ValueError, match="Row 0 of X"):
        model.predict_proba([[["nonsense"]]])
    assert world() == before


@pytest.mark.parametrize("n_threads", [None, 2])
@pytest.mark.parametrize("fault", ["data", "labels", "loss", "interrupt"])
def test_a_fit_that_fails_leaves_the_world_as_it_was(fault, n_threads, monkeypatch):
    model, X, y = drawing(series_classifier, n_threads=n_threads), series_rows(), LABELS
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
            training_batches.TrainingData, "__getitem__", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt())
        )
    before = world()
    with pytest.raises(error, match=match):
        model.fit(X, y)
    assert world() == before
    assert not hasattr(model, "network_")


@pytest.mark.parametrize("n_threads", [None, 1])
def test_fits_in_two_threads_do_not_meet(n_threads):
    """As in a grid search on joblib's threads: each equals the same fit done alone."""
    makes = [(text_classifier, id_rows, 3), (series_classifier, series_rows, 4), (text_classifier, id_rows, 5)]

    def fit(make, rows, seed):
        model = drawing(make, random_state=seed, n_threads=n_threads, max_epochs=15, patience=15)
        return model.fit(rows() * 4, np.tile(LABELS, 4))

    alone = [fit(*arguments) for arguments in makes]
    before = world()
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
    assert world() == before
