"""Base of all estimators: effects of the parameters, warm starts, pickles, interruptions."""

from dataclasses import asdict, fields

import numpy as np
import pytest
import torch

from _factories import series_classifier, text_classifier
from seqclf import RNNClassifier, RNNTextClassifier, _kernels, datasets
from seqclf._base import AutoEpochs
from seqclf._data.dataset import Dataset
from seqclf._data.encoded import EncodedSequences
from seqclf._data.ragged import Ragged
from seqclf._inference.network import InferenceNetwork
from seqclf._kernels import dispatch
from seqclf._native import library
from seqclf._native.threads import n_threads as usual_threads
from seqclf._nn.network import Network
from seqclf._nn.pooling import POOLINGS
from seqclf._training.session import TrainingSession
from seqclf._training_parts import training_config

SLOW_WITHOUT_KERNELS = pytest.mark.filterwarnings("ignore:cell=.* is many times slower")
SERIES, LABELS = datasets.make_order_series(40, n_steps=8, random_state=0)
TEXTS, TEXT_LABELS = datasets.make_order_reviews(40, random_state=0)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("cell", "gru", {"cell": "gru"}),
        ("cell", "rnn", {"cell": "rnn"}),
        ("units", 7, {"units": (7,)}),
        ("units", (7, 5), {"units": (7, 5)}),
        ("n_layers", 3, {"units": (3, 3, 3)}),
        ("bidirectional", False, {"bidirectional": False}),
        ("bidirectional", True, {"bidirectional": True}),
        ("embedding_dim", None, {"embedding_dim": None}),
        ("embedding_dim", 5, {"embedding_dim": 5}),
        *(("pooling", pooling, {"pooling": pooling}) for pooling in POOLINGS),
        *(
            pytest.param("activation", activation, {"activation": activation}, marks=SLOW_WITHOUT_KERNELS)
            for activation in _kernels.ACTIVATIONS
        ),
        ("conv_filters", 4, {"conv_filters": (4, 4, 4)}),
        ("conv_filters", (4, 3), {"conv_filters": (4, 3)}),
        ("conv_filters", 0, {"conv_filters": ()}),
        ("dropout", 0.25, {"dropout": 0.25}),
        ("recurrent_dropout", 0.25, {"recurrent_dropout": 0.25}),
        ("token_dropout", 0.25, {"token_dropout": 0.25}),
    ],
)
def test_network_parameters_are_in_the_network_config(name, value, expected):
    if name != "conv_filters":
        config = asdict(text_classifier(**{name: value}).fit(TEXTS, TEXT_LABELS).network_.config)
        assert {key: config[key] for key in expected} == expected
    if name != "token_dropout" and name != "embedding_dim":
        config = asdict(series_classifier(**{name: value}).fit(SERIES, LABELS).network_.config)
        assert {key: config[key] for key in expected} == expected


TRAINING_SETTINGS = [
    ("optimizer", "sgd"),
    ("learning_rate", 0.0123),
    ("schedule", "constant"),
    ("weight_decay", 0.0123),
    ("l1", 0.0123),
    ("max_grad_norm", 1e-3),
    ("batch_size", 7),
    ("max_epochs", 3),
    ("patience", 4),
    ("tol", 0.0123),
    ("verbose", 1),
]


@pytest.mark.parametrize(("name", "value"), [*TRAINING_SETTINGS, ("schedule", "one_cycle"), ("max_grad_norm", None)])
@pytest.mark.parametrize("make", [series_classifier, text_classifier])
def test_training_settings_are_passed_to_the_training(make, name, value):
    estimator = make(**{name: value})
    steps = Ragged(np.zeros((3, 1)), np.array([3]))
    config = training_config(estimator, Dataset(EncodedSequences(steps), np.zeros(1), np.ones(1)))
    assert getattr(config, name) == value
    others = [field.name for field in fields(config) if field.name not in (name, "step_name")]
    assert [getattr(config, other) for other in others] == [getattr(make(), other) for other in others]


@pytest.mark.parametrize(("name", "value"), TRAINING_SETTINGS[:8])
def test_training_settings_change_the_model(name, value):
    default, changed = (series_classifier(**settings).fit(SERIES, LABELS) for settings in ({}, {name: value}))
    assert not np.array_equal(changed.decision_function(SERIES), default.decision_function(SERIES))


@pytest.mark.parametrize(("patience", "tol", "n_epochs", "best_epoch"), [(1, 99.0, 2, 1), (3, 99.0, 4, 1)])
def test_patience_counts_epochs_without_an_improvement_of_tol(patience, tol, n_epochs, best_epoch):
    fitted = series_classifier(patience=patience, tol=tol, max_epochs=9).fit(SERIES, LABELS)
    assert (fitted.n_iter_, len(fitted.history_), fitted.best_epoch_) == (n_epochs, n_epochs, best_epoch)


@pytest.mark.parametrize("verbose", [0, 1])
def test_verbose_prints_a_line_per_epoch(verbose, capsys):
    series_classifier(verbose=verbose).fit(SERIES, LABELS)
    assert sum("accuracy" in line for line in capsys.readouterr().out.splitlines()) == 2 * verbose


@pytest.mark.parametrize("n_threads", [1, 3, None])
def test_n_threads_is_used_in_fit_and_predict(monkeypatch, n_threads):
    """The compiled kernels get the threads if they compute; otherwise torch does."""
    monkeypatch.delenv("SEQCLF_KERNELS", raising=False)
    seen, outside = [], torch.get_num_threads()

    def spy_on(owner, name):
        compute = getattr(owner, name)

        def spy(self, *args, **kwargs):
            seen.append((usual_threads(), torch.get_num_threads()))
            return compute(self, *args, **kwargs)

        monkeypatch.setattr(owner, name, spy)

    spy_on(Network, "features")
    spy_on(InferenceNetwork, "_features")
    for has_kernels in (True, False):
        monkeypatch.setattr(library, "available", lambda available=has_kernels: (available, "test"))
        if has_kernels and library.load()[0] is None:
            continue
        if not has_kernels:
            monkeypatch.setattr(dispatch, "_warn_once", lambda message: None)
        expected = n_threads or outside
        seen.clear()
        classifier = series_classifier(n_threads=n_threads).fit(SERIES, LABELS)
        in_fit = len(seen)
        classifier.predict(SERIES)
        assert set(seen[:in_fit]) == {(expected, 1 if has_kernels else expected)}
        assert set(seen[in_fit:]) == {(expected, outside)}, "a prediction does not change the threads of torch"
        assert (usual_threads(), torch.get_num_threads()) == (outside, outside)


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize(("n_rows", "batch_size", "expected"), [(9, 4, 7), (20, 4, 4), (40, 4, 3), (9, 100, 10)])
def test_max_epochs_auto_aims_at_a_number_of_updates(monkeypatch, n_rows, batch_size, expected, wide):
    """20 updates, in 3 to 10 epochs; with and without a linear model the numbers come from different attributes."""
    aims = [AutoEpochs(n_updates=20, n_steps=9_999, min_epochs=3, max_epochs=10), AutoEpochs(1, 1, 1, 1)]
    for name, aim in zip(("_auto_epochs", "_auto_epochs_alone"), aims if wide else aims[::-1], strict=True):
        monkeypatch.setattr(RNNClassifier, name, aim)
    X = np.random.default_rng(0).normal(size=(n_rows, 3))
    fitted = series_classifier(max_epochs="auto", batch_size=batch_size, wide=wide).fit(X, np.arange(n_rows) % 2)
    assert fitted.n_iter_ == expected


@pytest.mark.parametrize(("n_steps", "expected"), [(27 * 7 + 1, 7), (27 * 5 + 26, 5), (27 * 2, 3), (1, 3)])
def test_max_epochs_auto_limits_the_time_steps(monkeypatch, n_steps, expected):
    """Nine series of three steps: seven epochs amount to 20 updates."""
    monkeypatch.setattr(RNNClassifier, "_auto_epochs", AutoEpochs(20, n_steps, min_epochs=3, max_epochs=10))
    X = np.random.default_rng(0).normal(size=(9, 3))
    assert series_classifier(max_epochs="auto", batch_size=4).fit(X, np.arange(9) % 2).n_iter_ == expected


@pytest.mark.parametrize(("fraction", "n_held_out"), [(0.1, 4), (0.5, 20)])
def test_validation_fraction_is_the_fraction_held_out(training_data, fraction, n_held_out):
    series_classifier(patience=2, validation_fraction=fraction).fit(SERIES, LABELS)
    assert list(map(len, training_data)) == [40 - n_held_out, n_held_out]


@pytest.mark.parametrize("scale", [1e-320, 1e-30, 1e300])
def test_sample_weight_can_be_of_any_size(scale):
    plain = series_classifier(patience=2).fit(SERIES, LABELS)
    scaled = series_classifier(patience=2).fit(SERIES, LABELS, sample_weight=np.full(40, scale))
    np.testing.assert_allclose(scaled.decision_function(SERIES), plain.decision_function(SERIES), rtol=1e-5)
    assert scaled.history_[0]["valid_loss"] == pytest.approx(plain.history_[0]["valid_loss"], rel=1e-5)


def test_random_state_seeds_the_initial_weights():
    """A learning rate that changes no bit of a weight shows the initial ones."""
    weights = [
        series_classifier(random_state=seed, learning_rate=1e-30).fit(SERIES, LABELS).network_.head.weight
        for seed in (0, 0, 1)
    ]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def test_divergence_in_the_last_update_is_an_error():
    X = np.random.default_rng(0).normal(size=(20, 4))
    classifier = series_classifier(max_epochs=1, learning_rate=1e38)
    with pytest.raises(ValueError, match=r"became .* in epoch 1: the fit diverged.*learning_rate \(now 1e\+38\)"):
        classifier.fit(X, [0, 1] * 10)
    assert not hasattr(classifier, "network_")


def test_pickles_contain_no_torch_object():
    """The network is pickled as its configuration and numpy arrays, without a version or device of torch."""
    state = series_classifier().fit(SERIES, LABELS).__getstate__()
    network = state["_network"]
    assert isinstance(network["config"], dict) and "network_" not in state
    assert all(type(array) is np.ndarray for array in network["weights"].values())
    assert not any(isinstance(value, torch.Tensor | torch.nn.Module) for value in state.values())


def test_network_from_arrays_copies_the_arrays():
    network = series_classifier().fit(SERIES, LABELS).network_
    arrays = network.to_arrays()
    rebuilt = Network.from_arrays(network.config, arrays)
    with torch.no_grad():
        rebuilt.head.weight += 1
        network.head.bias += 1
    assert not np.array_equal(arrays["head.weight"], rebuilt.head.weight.detach().numpy())
    assert not np.array_equal(arrays["head.bias"], network.head.bias.detach().numpy())


# --- warm start


def test_warm_start_continues_from_the_fitted_network():
    X, y = datasets.make_order_reviews(60, random_state=0)
    settings = {"units": 4, "max_epochs": 2, "learning_rate": 0.01, "schedule": "constant", "patience": None}
    classifier = RNNTextClassifier(**settings, warm_start=True, random_state=0).fit(X, y)
    first, network, tokenizer = classifier.history_, classifier.network_, classifier.tokenizer_
    classifier.fit(X, y)
    assert classifier.history_[0]["train_loss"] < first[0]["train_loss"]
    assert classifier.network_ is not network and classifier.tokenizer_ is tokenizer
    classifier.set_params(dropout=0.0, token_dropout=0.0).fit(X, y)
    assert classifier.network_.dropout.p == 0


@pytest.mark.parametrize(
    ("changes", "labels", "message"),
    [
        ({"units": 5}, ["a", "b"], r"units must stay \(4,\).*got \(5,\)"),
        ({"cell": "gru"}, ["a", "b"], "cell must stay 'lstm'"),
        ({}, ["a", "c"], r"classes of the first fit, \['a', 'b'\]; got \['a', 'c'\]"),
    ],
)
def test_warm_start_with_another_network_or_classes_is_an_error(changes, labels, message):
    X = ["x y", "y x"] * 5
    classifier = RNNTextClassifier(units=4, max_epochs=1, patience=None, warm_start=True, random_state=0)
    classifier.fit(X, ["a", "b"] * 5)
    before = classifier.decision_function(X)
    with pytest.raises(ValueError, match=message):
        classifier.set_params(**changes).fit(X, labels * 5)
    np.testing.assert_array_equal(classifier.decision_function(X), before)


@pytest.mark.parametrize("refit", [False, True])
def test_interruption_after_training_leaves_the_estimator_unchanged(monkeypatch, refit):
    """In particular, the classes still match the network."""
    classifier = series_classifier()
    if refit:
        classifier.fit(SERIES, LABELS)
    before = dict(vars(classifier))

    def interrupt(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(TrainingSession, "best_epoch", property(interrupt))
    with pytest.raises(KeyboardInterrupt):
        classifier.fit(SERIES, np.arange(len(LABELS)) % 3)
    assert vars(classifier) == before
