"""A training from its first epoch to its last: what it takes, what it leaves, and what an interruption leaves."""

import numpy as np
import pytest
import torch

from seqclf import RNNClassifier, RNNTextClassifier, datasets


def test_without_patience_all_epochs_run_on_all_rows():
    X, y = datasets.make_order_series(20, random_state=0)
    classifier = RNNClassifier(units=2, max_epochs=3, patience=None, random_state=0).fit(X, y)
    assert classifier.n_iter_ == classifier.best_epoch_ == 3
    assert classifier.history_[0]["steps"] == sum(map(len, X))
    assert list(classifier.history_[0]) == ["epoch", "train_loss", "train_score", "seconds", "steps"]


def test_too_few_rows_for_a_split_is_said_and_the_training_loss_watched():
    X, y = datasets.make_order_series(4, random_state=0)
    classifier = RNNClassifier(units=2, max_epochs=2, patience=1, random_state=0)
    with pytest.warns(UserWarning, match="no validation split") as caught:
        classifier.fit(X, y)
    assert len(caught) == 1
    assert "valid_loss" not in classifier.history_[0]


def test_history_of_a_text_classifier():
    X, y = datasets.make_order_reviews(40, random_state=0)
    classifier = RNNTextClassifier(units=2, max_epochs=2, patience=2, random_state=0, device="cpu").fit(X, y)
    keys = ["epoch", "train_loss", "train_score", "valid_loss", "valid_score", "seconds", "tokens"]
    assert [list(row) for row in classifier.history_] == [keys, keys]
    assert all(type(value) in (int, float) for row in classifier.history_ for value in row.values())
    assert classifier.history_[0]["tokens"] < sum(map(len, classifier.tokenizer_.transform(X)))
    assert 0 <= classifier.history_[1]["valid_score"] <= 1


@pytest.fixture
def step_length(make_data, make_network, train):
    """A function that tells how far one plain gradient step moves the weights."""

    def length(**changes):
        network = make_network()
        before = torch.cat([p.detach().clone().ravel() for p in network.parameters()])
        train(network, make_data([4, 3, 5, 2]), optimizer="sgd", learning_rate=1.0, max_epochs=1, **changes)
        return (torch.cat([p.detach().ravel() for p in network.parameters()]) - before).norm().item()

    return length


def test_max_grad_norm_bounds_the_step(step_length):
    free = step_length(max_grad_norm=None)
    assert free > 0.01
    assert step_length(max_grad_norm=free / 10) == pytest.approx(free / 10, rel=1e-3)
    assert step_length(max_grad_norm=free * 10) == pytest.approx(free, rel=1e-5)


@pytest.mark.parametrize("refit", [False, True])
def test_ctrl_c_is_raised_and_leaves_the_estimator_as_it_was(monkeypatch, refit):
    X, y = datasets.make_order_series(20, random_state=0)
    classifier = RNNClassifier(units=2, max_epochs=2, random_state=0)
    if refit:
        before = classifier.fit(X, y).decision_function(X)
    attributes = dict(vars(classifier))

    def interrupt(self, net, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("seqclf._training.callbacks.FiniteLoss.on_epoch_end", interrupt)
    with pytest.raises(KeyboardInterrupt):
        classifier.set_params(warm_start=refit).fit(X, y)
    attributes["warm_start"] = refit
    assert vars(classifier).keys() == attributes.keys()
    if refit:
        np.testing.assert_array_equal(classifier.decision_function(X), before)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_fit_where_torch_makes_float64(n_classes):
    """Some users set that for the whole process."""
    before = torch.get_default_dtype()
    X, y = np.random.default_rng(0).standard_normal((30, 5, 1)), np.arange(30) % n_classes
    torch.set_default_dtype(torch.float64)
    try:
        model = RNNClassifier(units=2, max_epochs=2, random_state=0).fit(X, y)
        assert model.predict(X).shape == y.shape
    finally:
        torch.set_default_dtype(before)
    assert all(np.isfinite(epoch["train_loss"]) for epoch in model.history_)
