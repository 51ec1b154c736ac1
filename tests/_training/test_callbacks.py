"""Callbacks: early stopping, schedules, penalties, progress messages, and losses that are not finite."""

import math

import numpy as np
import pytest
import torch

from seqclf import RNNClassifier, RNNTextClassifier, datasets
from seqclf._training.callbacks import EarlyStopping
from seqclf._training.optimizers import OPTIMIZERS, FusedOptimizer

# Early stopping


def replace_losses(monkeypatch, values):
    """Replace the losses of successive epochs that early stopping compares by `values`."""
    remaining = iter(values)
    original = EarlyStopping.on_epoch_end

    def on_epoch_end(self, net, **kwargs):
        epoch = net.history[-1]
        epoch["valid_loss" if "valid_loss" in epoch else "train_loss"] = next(remaining)
        original(self, net, **kwargs)

    monkeypatch.setattr(EarlyStopping, "on_epoch_end", on_epoch_end)


@pytest.fixture
def epoch_weights(make_network, train):
    """A function that returns the weights of the head after each epoch of a training without early stopping."""

    def weights(data, n_epochs):
        found = []
        for n in range(1, n_epochs + 1):
            network = make_network()
            train(network, data, max_epochs=n)
            found.append(network.head.weight.detach().clone())
        return found

    return weights


@pytest.mark.parametrize(
    ("values", "patience", "tol", "n_epochs", "best"),
    [
        ([3.0, 2.0, 2.5, 2.6, 1.0], 2, 0.0, 4, 2),
        ([3.0, 2.0, 2.5, 1.9, 2.0, 2.1, 0.0], 2, 0.0, 6, 4),
        # tol is absolute: a decrease by less than tol is no improvement.
        ([3.0, 2.95, 2.9, 2.0], 2, 0.2, 3, 1),
        # Negative losses are compared in the same way.
        ([-3.0, -2.9999, -2.9998, -9.0], 2, 1e-4, 3, 1),
        ([3.0, 2.0, 1.0], 5, 0.0, 3, 3),
    ],
)
@pytest.mark.parametrize("with_validation", [True, False], ids=["validation", "training"])
def test_early_stopping_restores_the_best_weights(
    monkeypatch, make_data, make_network, train, epoch_weights, values, patience, tol, n_epochs, best, with_validation
):
    data = make_data([4, 3, 5, 2, 6, 1, 4, 4])
    expected = epoch_weights(data, best)[best - 1]
    replace_losses(monkeypatch, values)
    network = make_network()
    max_epochs = min(len(values), n_epochs + 1)
    session = train(
        network, data, make_data([3, 3]) if with_validation else None, patience=patience, tol=tol, max_epochs=max_epochs
    )
    assert ("valid_loss" in session.history[0]) is with_validation
    assert (len(session.history), session.n_epochs, session.best_epoch) == (n_epochs, n_epochs, best)
    assert session.is_over
    assert torch.equal(network.head.weight, expected)
    assert not network.training


# Schedules


@pytest.fixture
def learning_rates(monkeypatch, train):
    """A function that returns the learning rates of all parameter groups at each update of a training."""

    def rates(network, data, **changes):
        found, update = [], FusedOptimizer.update

        def spy(self):
            found.append([group["lr"] for group in self.param_groups])
            update(self)

        with monkeypatch.context() as patched:
            patched.setattr(FusedOptimizer, "update", spy)
            train(network, data, **changes)
        return np.array(found)

    return rates


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(("n_rows", "max_epochs"), [(4, 1), (8, 1), (4, 3), (9, 5), (40, 10)])
def test_one_cycle_rises_for_a_fifth_of_the_updates_then_falls_to_0(
    make_data, make_network, learning_rates, optimizer, n_rows, max_epochs
):
    """Half a cosine up, half a cosine down, over all epochs; validation batches don't count."""
    settings = {"optimizer": optimizer, "learning_rate": 0.03, "max_epochs": max_epochs, "max_grad_norm": 1e-6}
    rates = learning_rates(
        make_network(),
        make_data([3] * n_rows),
        validation=make_data([3, 3]),
        schedule="one_cycle",
        **settings,
    )
    n_updates = math.ceil(n_rows / 4) * max_epochs
    assert rates.shape == (n_updates, 2), "one group for weights, and one for biases without weight decay"
    for update, (weight_rate, bias_rate) in enumerate(rates, start=1):
        done = update / (n_updates + 1)
        if done < 0.2:
            fraction = (1 - math.cos(math.pi * done / 0.2)) / 2
        else:
            fraction = (1 + math.cos(math.pi * (done - 0.2) / 0.8)) / 2
        assert weight_rate == bias_rate == pytest.approx(0.03 * fraction, rel=1e-9)
    assert rates.min() > 0 and rates.max() <= 0.03
    if n_updates == 100:
        assert rates.argmax() // 2 in (19, 20) and rates.max() > 0.029 and rates[-1, 0] < 0.03 / 1_000


def test_schedule_constant_keeps_the_learning_rate(make_data, make_network, learning_rates):
    rates = learning_rates(make_network(), make_data([3] * 9), schedule="constant", max_epochs=4)
    assert rates.tolist() == [[0.01, 0.01]] * 12


def test_one_cycle_scales_the_update(make_data, make_network, train):
    """The only update of plain gradient descent uses the rate at the middle of the schedule."""

    def difference(**changes):
        network = make_network()
        train(network, make_data([3] * 4), optimizer="sgd", learning_rate=1.0, max_epochs=1, **changes)
        return network.head.weight.detach() - make_network().head.weight.detach()

    fraction = (1 + math.cos(math.pi * (0.5 - 0.2) / 0.8)) / 2
    np.testing.assert_allclose(difference(schedule="one_cycle"), fraction * difference(schedule="constant"), rtol=1e-4)


# Penalties


@pytest.mark.parametrize("penalty", ["l1", "weight_decay"])
def test_penalties_apply_to_weights_but_not_biases(make_data, make_network, train, penalty):
    def weights(**changes):
        network = make_network()
        with torch.no_grad():
            network.head.bias.fill_(0.5)
        train(network, make_data([4, 3, 5, 2]), optimizer="sgd", learning_rate=0.1, max_epochs=1, **changes)
        return {name: p.detach() for name, p in network.named_parameters()}

    plain, penalised = weights(), weights(**{penalty: 0.01})
    initial = {name: p.detach() for name, p in make_network().named_parameters()}
    for name, value in plain.items():
        moved = (value - penalised[name]).numpy()
        expected = {"l1": initial[name].sign(), "weight_decay": initial[name]}[penalty] * 0.1 * 0.01
        if "bias" in name:
            expected = torch.zeros_like(expected)
        np.testing.assert_allclose(moved, expected.numpy(), atol=2e-7)


# Losses that are not finite


def test_finite_loss_names_epoch_and_remedy():
    X, y = datasets.make_order_series(20, random_state=0)
    classifier = RNNClassifier(
        cell="rnn", activation="relu", units=8, optimizer="sgd", learning_rate=1e8, max_grad_norm=None, random_state=0
    )
    with pytest.raises(
        ValueError, match=r"training loss became (nan|inf) in epoch \d+.*learning_rate \(now 100000000.0\)"
    ):
        classifier.fit(X, y)
    assert not hasattr(classifier, "network_") and not hasattr(classifier, "classes_")


# Progress


def test_progress_prints_a_line_per_epoch(capsys):
    X, y = datasets.make_order_reviews(40, random_state=0)
    RNNTextClassifier(units=2, max_epochs=2, patience=2, verbose=1, random_state=0).fit(X, y)
    level, *lines = capsys.readouterr().out.splitlines()
    assert level == "words as tokens (level='auto')" and len(lines) == 2
    assert lines[0].startswith("epoch   1/2 ") and "validation: loss" in lines[0] and "best so far" in lines[0]


def test_progress_shows_a_bar_with_verbose_2(capsys):
    X, y = datasets.make_order_series(20, random_state=0)
    RNNClassifier(units=2, max_epochs=2, batch_size=5, verbose=2, random_state=0).fit(X, y)
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 2
    assert "epoch 1" in captured.err and "/4" in captured.err


def test_no_output_by_default(capsys):
    X, y = datasets.make_order_series(10, random_state=0)
    RNNClassifier(units=2, max_epochs=1, random_state=0).fit(X, y)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")
