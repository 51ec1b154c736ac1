"""`TrainingLoop`: recorded losses and scores, copies from the device, and lazy updates of embedding entries."""

import numpy as np
import pytest
import torch

from seqclf import RNNClassifier, RNNTextClassifier, datasets
from seqclf._kernels.cpu.lazy_rows import LazyRows
from seqclf._native import library
from seqclf._nn.sequence_batch import SequenceBatch
from seqclf._training.loop import TrainingLoop
from seqclf._training.optimizers import OPTIMIZERS, FusedOptimizer

NATIVE = pytest.mark.skipif(not library.available()[0], reason=f"no compiled kernels: {library.available()[1]}")


def test_history_has_the_weighted_loss_and_score(make_data, make_network, make_task, train):
    """With a learning rate of almost 0, they are those of the initial weights."""
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
    loss_weights = weights * np.where(data.targets == 1, 5, 1)
    assert row["train_loss"] == pytest.approx(np.average(row_losses, weights=loss_weights), rel=1e-5)
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


def test_epoch_copies_no_values_to_the_host_per_batch(monkeypatch, make_data, make_network, train):
    """Copying a loss after every batch would make a GPU wait: the number of copies must not depend on the batches."""
    reads = []
    for name in ("item", "tolist", "__float__"):
        original = getattr(torch.Tensor, name)
        monkeypatch.setattr(torch.Tensor, name, lambda self, original=original: (reads.append(1), original(self))[1])
    train(make_network(), make_data([3] * 40), make_data([3] * 4), max_epochs=1, max_grad_norm=1.0, patience=1)
    n_reads = len(reads)
    reads.clear()
    train(make_network(), make_data([3] * 400), make_data([3] * 4), max_epochs=1, max_grad_norm=1.0, patience=1)
    assert len(reads) == n_reads <= 4


# Lazy updates: fits with a large embedding against fits that update all entries every time

N_WORDS, N_TEXTS = 26_000, 600


@pytest.fixture
def _lazy_in_smaller_embeddings(tune):
    """More words need longer fits, in which rounding differences grow until two fits differ."""
    tune(min_lazy_rows=25_000)


@pytest.fixture(scope="module")
def texts():
    """Texts as token ids of mostly rare words, which depend on the class of the text, and the classes."""
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 2, N_TEXTS)
    # Every word occurs, and some occur in many texts.
    words = np.concatenate((rng.permutation(N_WORDS), rng.zipf(1.3, 40 * N_TEXTS) % N_WORDS))
    rng.shuffle(words)
    words_of_texts = np.array_split(words, N_TEXTS)
    # From each pair of an even and an odd word, a class prefers one.
    rows = [
        2 + words - words % 2 + (c ^ (rng.random(len(words)) < 0.2))
        for c, words in zip(classes, words_of_texts, strict=True)
    ]
    return rows, classes


@pytest.fixture
def synced(monkeypatch):
    """The number of pending rows in each call that syncs some rows, or all."""
    counts = {"some": [], "all": []}
    sync = LazyRows._sync

    def counting(rows, ids):
        pending = is_pending(rows)
        if ids is not None:
            pending = pending[ids.unique()]
        counts["all" if ids is None else "some"].append(int(pending.sum()))
        sync(rows, ids)

    monkeypatch.setattr(LazyRows, "_sync", counting)
    return counts


def is_pending(rows):
    return rows._last_update != rows._entry.n_logged


def make_classifier(**changes):
    settings = {
        "units": 4,
        "embedding_dim": 24,
        "batch_size": 32,
        "max_epochs": 6,
        "patience": 2,
        "nb_ngrams": 0,
        "token_dropout": 0.1,
        "learning_rate": 0.005,
        "random_state": 0,
    }
    return RNNTextClassifier(**(settings | changes))


def disable_lazy_rows(monkeypatch):
    monkeypatch.setattr("seqclf._training.optimizers.supports_lazy_rows", lambda *_: False)


@NATIVE
@pytest.mark.usefixtures("_lazy_in_smaller_embeddings")
@pytest.mark.parametrize("changes", [{"optimizer": "adam"}, {"optimizer": "adamw", "weight_decay": 0.05}])
def test_fit_with_lazy_rows_equals_fit_without(texts, changes, synced, monkeypatch):
    """Validation, early stopping and the restored weights use the same embedding after every epoch."""
    found = make_classifier(**changes).fit(*texts)
    embedding = found.network_.embedding.weight
    assert len(embedding) > 25_000
    n_batches = sum(count > 0 for count in synced["some"])
    assert n_batches > 15 * len(found.history_) - 5
    assert len(embedding) > np.median(synced["some"]) > 100 and max(synced["all"]) > 10_000
    for counts in synced.values():
        counts.clear()
    disable_lazy_rows(monkeypatch)
    expected = make_classifier(**changes).fit(*texts)
    assert not any(synced.values())
    assert found.best_epoch_ == expected.best_epoch_ and len(found.history_) == len(expected.history_)
    for found_row, expected_row in zip(found.history_, expected.history_, strict=True):
        for key in ("train_loss", "valid_loss"):
            assert found_row[key] == pytest.approx(expected_row[key], abs=1e-3)
    differences = np.abs(found.predict_proba(texts[0]) - expected.predict_proba(texts[0]))
    assert differences.mean() < 1e-4 and differences.max() < 0.01
    # The differences are rounding errors, but a gradient that consists of rounding errors still moves a value.
    differences = (embedding - expected.network_.embedding.weight).detach().abs()
    assert differences.mean() < 1e-5 and differences.max() < 0.1
    again = make_classifier(**changes).fit(*texts)
    np.testing.assert_array_equal(again.predict_proba(texts[0]), expected.predict_proba(texts[0]))


@NATIVE
@pytest.mark.usefixtures("_lazy_in_smaller_embeddings")
@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_interrupted_fit_leaves_no_pending_rows(texts, error, synced, monkeypatch):
    """The error is raised in the middle of the second epoch."""
    train_step, loops = TrainingLoop.train_step, []

    def failing(loop, batch):
        loops.append(loop)
        if len(loops) == 30:
            raise error("in the middle")
        return train_step(loop, batch)

    monkeypatch.setattr(TrainingLoop, "train_step", failing)
    embeddings = []
    for lazy in (True, False):
        loops.clear()
        if not lazy:
            assert len(synced["all"]) == 2 and min(synced["all"]) > 10_000
            disable_lazy_rows(monkeypatch)
        with pytest.raises(error, match="in the middle"):
            make_classifier().fit(*texts)
        embedding = loops[-1].module_.embedding
        assert not embedding._forward_pre_hooks
        embeddings.append(embedding.weight.detach().clone())
    differences = (embeddings[0] - embeddings[1]).abs()
    assert differences.mean() < 1e-6 and differences.max() < 0.01


@NATIVE
@pytest.mark.usefixtures("_lazy_in_smaller_embeddings")
def test_batches_read_synced_rows(texts, monkeypatch):
    """This includes the tokens that token dropout inserts."""
    is_synced, update = [], FusedOptimizer.update

    def checked(optimizer):
        fused_update = optimizer._fused_update
        for rows in [] if fused_update is None else fused_update._lazy_rows:
            gradients = [parameter.grad for group in optimizer.param_groups for parameter in group["params"]]
            (gradient,) = [gradient for gradient in gradients if gradient.is_sparse]
            is_synced.append(not is_pending(rows)[gradient._indices()[0]].any())
        update(optimizer)

    monkeypatch.setattr(FusedOptimizer, "update", checked)
    make_classifier(max_epochs=2, patience=None).fit(*texts)
    assert len(is_synced) > 30 and all(is_synced)
