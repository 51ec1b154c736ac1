"""The loop: what it records of an epoch, and what it asks of the device."""

import numpy as np
import pytest
import torch

from seqclf import RNNClassifier, datasets
from seqclf._nn.sequence_batch import SequenceBatch
from seqclf._training.optimizers import OPTIMIZERS


def test_recorded_losses_and_scores_are_those_of_the_weights(make_data, make_network, make_task, train):
    """A learning rate of nothing: the training loss of the epoch is the loss of the first weights, weights counted."""
    weights = np.array([1, 2, 0.5, 1, 1, 3, 0.1])
    data = make_data([4, 3, 5, 2, 6, 1, 4], weights=weights)
    network, task = make_network(), make_task({0: 1.0, 1: 5.0})
    steps = data.sequences.steps
    with torch.no_grad():
        batch = SequenceBatch(torch.from_numpy(steps.values).long(), steps.lengths)
        logits = network(batch)[:, 0].double().numpy()
    signs = 1 - 2 * data.targets
    row_losses = np.logaddexp(0, signs * logits)
    hits = (logits > 0) == data.targets
    (row,) = train(network, data, task=task, learning_rate=1e-30, max_epochs=1).history
    in_loss = weights * np.where(data.targets == 1, 5, 1)
    assert row["train_loss"] == pytest.approx(np.average(row_losses, weights=in_loss), rel=1e-5)
    assert row["train_score"] == pytest.approx(np.average(hits, weights=weights), rel=1e-6)
    assert row["tokens"] == 25


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_lowers_the_loss(optimizer):
    X, y = datasets.make_order_series(60, n_steps=8, random_state=0)
    rate = {"sgd": 0.5, "nesterov": 0.2, "adagrad": 0.1}.get(optimizer, 1e-2)
    classifier = RNNClassifier(
        units=4, optimizer=optimizer, learning_rate=rate, schedule="constant", max_epochs=15, random_state=0
    ).fit(X, y)
    assert classifier.history_[-1]["train_loss"] < 0.8 * classifier.history_[0]["train_loss"]


def test_no_value_is_read_back_inside_an_epoch(monkeypatch, make_data, make_network, train):
    """Reading a loss every batch would make a GPU wait: one read per epoch and pass, however many batches."""
    reads = []
    for name in ("item", "tolist", "__float__"):
        original = getattr(torch.Tensor, name)
        monkeypatch.setattr(torch.Tensor, name, lambda self, original=original: (reads.append(1), original(self))[1])
    train(make_network(), make_data([3] * 40), make_data([3] * 4), max_epochs=1, max_grad_norm=1.0, patience=1)
    few = len(reads)
    reads.clear()
    train(make_network(), make_data([3] * 400), make_data([3] * 4), max_epochs=1, max_grad_norm=1.0, patience=1)
    assert len(reads) == few <= 4
