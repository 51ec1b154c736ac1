"""The recipe of the estimators: every hyperparameter reaches what it names, by value."""

from dataclasses import asdict

import numpy as np
import pytest
import torch

from _factories import series_classifier, text_classifier
from seqclf import RNNTextClassifier, _kernels, datasets
from seqclf._inference.network import InferenceNetwork
from seqclf._kernels import dispatch
from seqclf._native import library
from seqclf._native.threads import n_threads as usual_threads
from seqclf._nn.network import Network
from seqclf._nn.pooling import POOLINGS
from seqclf._training.session import TrainingSession

SLOW_WITHOUT_KERNELS = pytest.mark.filterwarnings("ignore:cell=.* is many times slower")
SERIES, LABELS = datasets.make_order_series(40, n_steps=8, random_state=0)
TEXTS, TEXT_LABELS = datasets.make_order_reviews(40, random_state=0)


def sessions_of(monkeypatch, note=lambda session: session):
    """What `note` says of the session of each fit when that begins."""
    noted, run = [], TrainingSession.run

    def spy(self, *args, **kwargs):
        noted.append(note(self))
        run(self, *args, **kwargs)

    monkeypatch.setattr(TrainingSession, "run", spy)
    return noted


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
def test_parameters_of_the_network(name, value, expected):
    if name != "conv_filters":
        config = asdict(text_classifier(**{name: value}).fit(TEXTS, TEXT_LABELS).network_.config)
        assert {key: config[key] for key in expected} == expected
    if name != "token_dropout" and name != "embedding_dim":
        config = asdict(series_classifier(**{name: value}).fit(SERIES, LABELS).network_.config)
        assert {key: config[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("optimizer", "sgd"),
        ("learning_rate", 0.0123),
        ("schedule", "constant"),
        ("schedule", "one_cycle"),
        ("weight_decay", 0.0123),
        ("l1", 0.0123),
        ("max_grad_norm", 0.5),
        ("max_grad_norm", None),
        ("batch_size", 7),
        ("max_epochs", 3),
        ("patience", 4),
        ("tol", 0.0123),
        ("verbose", 1),
    ],
)
@pytest.mark.parametrize("make", [series_classifier, text_classifier])
def test_parameters_of_the_fit(monkeypatch, make, name, value):
    sessions = sessions_of(monkeypatch)
    data = (SERIES, LABELS) if make is series_classifier else (TEXTS, TEXT_LABELS)
    make(**{name: value}).fit(*data)
    (session,) = sessions
    assert getattr(session.config, name) == value


@pytest.mark.parametrize("n_threads", [1, 3, None])
def test_n_threads_holds_in_fit_and_predict(monkeypatch, n_threads):
    """Our kernels alone get the threads where they compute, else torch."""
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
    for kernels_are_there in (True, False):
        monkeypatch.setattr(library, "available", lambda there=kernels_are_there: (there, "test"))
        if kernels_are_there and library.load()[0] is None:
            continue
        if not kernels_are_there:
            monkeypatch.setattr(dispatch, "_warn_once", lambda message: None)
        expected = n_threads or outside
        seen.clear()
        classifier = series_classifier(n_threads=n_threads).fit(SERIES, LABELS)
        in_fit = len(seen)
        classifier.predict(SERIES)
        assert set(seen[:in_fit]) == {(expected, 1 if kernels_are_there else expected)}
        assert set(seen[in_fit:]) == {(expected, outside)}, "a prediction leaves torch alone"
        assert (usual_threads(), torch.get_num_threads()) == (outside, outside)


@pytest.mark.parametrize(("fraction", "n_held_out"), [(0.1, 4), (0.5, 20)])
def test_validation_fraction(parts, fraction, n_held_out):
    series_classifier(patience=2, validation_fraction=fraction).fit(SERIES, LABELS)
    assert list(map(len, parts)) == [40 - n_held_out, n_held_out]


def weights_of(parts, y, **fit_params):
    """Loss weights and score weights of the training rows and of the validation rows, by row."""
    class_weight = fit_params.pop("class_weight", None)
    series_classifier(patience=2, validation_fraction=0.5, class_weight=class_weight).fit(SERIES, y, **fit_params)
    return [(part.targets, part.weights, part.score_weights) for part in parts]


def test_class_weights_count_in_both_losses_and_in_no_score(parts):
    for targets, weights, score_weights in weights_of(parts, LABELS, class_weight={0: 1.0, 1: 3.0}):
        np.testing.assert_allclose(weights[targets == 1] / weights[targets == 0].mean(), 3, rtol=1e-6)
        np.testing.assert_allclose(weights.mean(), 1, rtol=1e-6)
        np.testing.assert_allclose(score_weights, 1)


def test_balanced_counts_sample_weights(parts):
    """Rows of class 1 weigh four times as much; balanced, each class has the same total weight."""
    y = np.repeat([0, 1], 20)
    found = weights_of(parts, y, class_weight="balanced", sample_weight=np.where(y == 1, 4.0, 1.0))
    for targets, weights, score_weights in found:
        assert weights[targets == 1].sum() == pytest.approx(weights[targets == 0].sum(), rel=1e-5)
        assert score_weights[targets == 1].mean() == pytest.approx(4 * score_weights[targets == 0].mean(), rel=1e-5)


def test_balanced_goes_by_the_rows_that_train(parts):
    """Of 5 and 35 rows 3 and 17 train, and it is these that "balanced" counts, for the rows that are watched too."""
    y = np.repeat([0, 1], [5, 35])
    for (targets, weights, _), n in zip(weights_of(parts, y, class_weight="balanced"), ([3, 17], [2, 18]), strict=True):
        assert np.bincount(targets).tolist() == n
        np.testing.assert_allclose(weights[targets == 0] / weights[targets == 1].mean(), 17 / 3, rtol=1e-6)
        np.testing.assert_allclose(weights.mean(), 1, rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-320, 1e-30, 1e300])
def test_sample_weights_of_any_size(scale):
    plain = series_classifier(patience=2).fit(SERIES, LABELS)
    scaled = series_classifier(patience=2).fit(SERIES, LABELS, sample_weight=np.full(40, scale))
    np.testing.assert_allclose(scaled.decision_function(SERIES), plain.decision_function(SERIES), rtol=1e-5)
    assert scaled.history_[0]["valid_loss"] == pytest.approx(plain.history_[0]["valid_loss"], rel=1e-5)


def test_class_weights_that_leave_one_class():
    with pytest.raises(ValueError, match=r"class_weight=\{0: 0, 1: 1.0\} leaves fewer than 2 classes"):
        series_classifier(class_weight={0: 0, 1: 1.0}).fit(SERIES, LABELS)


def test_random_state_seeds_the_first_weights(monkeypatch):
    first = sessions_of(monkeypatch, lambda session: session.network.head.weight.detach().clone())
    for seed in (0, 0, 1):
        series_classifier(random_state=seed).fit(SERIES, LABELS)
    assert torch.equal(first[0], first[1]) and not torch.equal(first[0], first[2])


def test_log_probabilities_stay_exact_where_probabilities_round():
    classifier = series_classifier().fit(SERIES, LABELS)
    with torch.no_grad():
        classifier.network_.head.bias.fill_(-60.0)
    assert (classifier.predict_proba(SERIES)[:, 0] == 1).all()
    log_proba = classifier.predict_log_proba(SERIES)
    logits = classifier.decision_function(SERIES)
    np.testing.assert_allclose(log_proba[:, 1], logits, rtol=1e-10)
    np.testing.assert_allclose(log_proba[:, 0], -np.exp(logits), rtol=1e-6)


def test_weights_that_are_lost_in_the_last_step_are_an_error():
    X = np.random.default_rng(0).normal(size=(20, 4))
    classifier = series_classifier(max_epochs=1, learning_rate=1e38)
    with pytest.raises(ValueError, match=r"became .* in epoch 1: the fit diverged.*learning_rate \(now 1e\+38\)"):
        classifier.fit(X, [0, 1] * 10)
    assert not hasattr(classifier, "network_")


def test_ten_classes_of_one_row_each():
    texts = [f"word{i}" for i in range(10)]
    classifier = text_classifier(patience=2)
    with pytest.warns(UserWarning, match="no validation split"):
        classifier.fit(texts, list(range(10)))
    assert len(classifier.classes_) == 10


class PlainTokenizer:
    """No scikit-learn transformer: fit and transform, no fit_transform."""

    def get_params(self, deep=True):
        return {}

    def fit(self, texts, y=None):
        self.ids = {text: i + 2 for i, text in enumerate(sorted(set(" ".join(texts).split())))}
        return self

    def transform(self, texts):
        return [[self.ids.get(word, 1) for word in text.split()] for text in texts]


class LossyTokenizer(PlainTokenizer):
    def transform(self, texts):
        return super().transform(texts)[:-1]


def test_any_tokenizer_with_fit_and_transform_will_do():
    classifier = text_classifier(tokenizer=PlainTokenizer()).fit(TEXTS, TEXT_LABELS)
    ids = classifier.tokenizer_.transform(TEXTS)
    assert classifier.vocab_size_ == max(map(max, ids)) + 1
    np.testing.assert_array_equal(
        classifier.decision_function(TEXTS), text_classifier().fit(ids, TEXT_LABELS).decision_function(ids)
    )


def test_a_tokenizer_that_loses_rows_is_named():
    with pytest.raises(ValueError, match="LossyTokenizer, gave 39 rows for 40 texts"):
        text_classifier(tokenizer=LossyTokenizer()).fit(TEXTS, TEXT_LABELS)


def test_the_pickle_holds_no_torch_object():
    """The network goes as its configuration and numpy arrays, so that no version or device of torch is in the file."""
    state = series_classifier().fit(SERIES, LABELS).__getstate__()
    network = state["_network"]
    assert isinstance(network["config"], dict) and "network_" not in state
    assert all(type(array) is np.ndarray for array in network["weights"].values())
    assert not any(isinstance(value, torch.Tensor | torch.nn.Module) for value in state.values())


def test_a_rebuilt_network_does_not_share_memory_with_the_arrays():
    network = series_classifier().fit(SERIES, LABELS).network_
    arrays = network.to_arrays()
    rebuilt = Network.from_arrays(network.config, arrays)
    with torch.no_grad():
        rebuilt.head.weight += 1
        network.head.bias += 1
    assert not np.array_equal(arrays["head.weight"], rebuilt.head.weight.detach().numpy())
    assert not np.array_equal(arrays["head.bias"], network.head.bias.detach().numpy())


# Warm start


def test_warm_start_trains_the_network_further():
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
def test_warm_start_refuses_what_the_network_can_not_become(changes, labels, message):
    X = ["x y", "y x"] * 5
    classifier = RNNTextClassifier(units=4, max_epochs=1, patience=None, warm_start=True, random_state=0)
    classifier.fit(X, ["a", "b"] * 5)
    before = classifier.decision_function(X)
    with pytest.raises(ValueError, match=message):
        classifier.set_params(**changes).fit(X, labels * 5)
    np.testing.assert_array_equal(classifier.decision_function(X), before)


@pytest.mark.parametrize("refit", [False, True])
def test_an_interruption_after_the_training_leaves_the_estimator_as_it_was(monkeypatch, refit):
    """Its classes, above all, are those of its network."""
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
