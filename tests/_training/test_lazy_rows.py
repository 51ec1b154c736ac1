"""Fits with a large embedding whose rows are updated lazily, against fits where every step moves all rows."""

import numpy as np
import pytest

from seqclf import RNNTextClassifier
from seqclf._kernels.cpu.lazy_rows import LazyRows
from seqclf._native import library
from seqclf._training.loop import TrainingLoop
from seqclf._training.optimizers import FusedOptimizer

pytestmark = pytest.mark.skipif(not library.available()[0], reason=f"no compiled kernels: {library.available()[1]}")

N_WORDS, N_TEXTS = 26_000, 600


@pytest.fixture(autouse=True)
def _in_smaller_tables(tune):
    """More words make for longer fits, in which roundings grow until two fits are not the same."""
    tune(min_lazy_rows=25_000)


@pytest.fixture(scope="module")
def texts():
    """Token ids of texts of rare words, each of which belongs to a class more or less, and the classes."""
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 2, N_TEXTS)
    # Every word occurs, and some in many texts.
    words = np.concatenate((rng.permutation(N_WORDS), rng.zipf(1.3, 40 * N_TEXTS) % N_WORDS))
    rng.shuffle(words)
    of_text = np.array_split(words, N_TEXTS)
    # Of a pair of words, an even and an odd one, a class prefers one.
    rows = [
        2 + words - words % 2 + (c ^ (rng.random(len(words)) < 0.2)) for c, words in zip(classes, of_text, strict=True)
    ]
    return rows, classes


@pytest.fixture
def synced(monkeypatch):
    """How many rows each call brought up to date, of those that it named or of all."""
    counts = {"named": [], "all": []}
    sync = LazyRows._sync

    def watched(rows, ids):
        pending = is_pending(rows)
        if ids is not None:
            pending = pending[ids.unique()]
        counts["all" if ids is None else "named"].append(int(pending.sum()))
        sync(rows, ids)

    monkeypatch.setattr(LazyRows, "_sync", watched)
    return counts


def is_pending(rows):
    return rows._last_step != rows._entry.n_logged


def make(**changes):
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


def all_move(monkeypatch):
    monkeypatch.setattr("seqclf._training.optimizers.supports_lazy_rows", lambda *_: False)


@pytest.mark.parametrize("changes", [{"optimizer": "adam"}, {"optimizer": "adamw", "weight_decay": 0.05}])
def test_a_fit_is_what_it_is_when_all_rows_move(texts, changes, synced, monkeypatch):
    """Validation, early stopping and the weights it keeps see the same table after every epoch."""
    found = make(**changes).fit(*texts)
    table = found.network_.embedding.weight
    assert len(table) > 25_000
    n_batches = sum(count > 0 for count in synced["named"])
    assert n_batches > 15 * len(found.history_) - 5
    assert len(table) > np.median(synced["named"]) > 100 and max(synced["all"]) > 10_000
    for counts in synced.values():
        counts.clear()
    all_move(monkeypatch)
    expected = make(**changes).fit(*texts)
    assert not any(synced.values())
    assert found.best_epoch_ == expected.best_epoch_ and len(found.history_) == len(expected.history_)
    for ours, theirs in zip(found.history_, expected.history_, strict=True):
        for key in ("train_loss", "valid_loss"):
            assert ours[key] == pytest.approx(theirs[key], abs=1e-3)
    differences = np.abs(found.predict_proba(texts[0]) - expected.predict_proba(texts[0]))
    assert differences.mean() < 1e-4 and differences.max() < 0.01
    # What differs is rounding; a gradient that is nothing else moves a value by a part of a step all the same.
    differences = (table - expected.network_.embedding.weight).detach().abs()
    assert differences.mean() < 1e-5 and differences.max() < 0.1
    again = make(**changes).fit(*texts)
    np.testing.assert_array_equal(again.predict_proba(texts[0]), expected.predict_proba(texts[0]))


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_interrupted_fit_leaves_no_row_behind(texts, error, synced, monkeypatch):
    """In the middle of its second epoch."""
    step, nets = TrainingLoop.train_step, []

    def failing(net, batch):
        nets.append(net)
        if len(nets) == 30:
            raise error("in the middle")
        return step(net, batch)

    monkeypatch.setattr(TrainingLoop, "train_step", failing)
    tables = []
    for lazy in (True, False):
        nets.clear()
        if not lazy:
            assert len(synced["all"]) == 2 and min(synced["all"]) > 10_000
            all_move(monkeypatch)
        with pytest.raises(error, match="in the middle"):
            make().fit(*texts)
        table = nets[-1].module_.embedding
        assert not table._forward_pre_hooks
        tables.append(table.weight.detach().clone())
    differences = (tables[0] - tables[1]).abs()
    assert differences.mean() < 1e-6 and differences.max() < 0.01


def test_every_batch_reads_rows_that_are_up_to_date(texts, monkeypatch):
    """Whatever token dropout put in the place of words, and whoever asks."""
    seen, update = [], FusedOptimizer.update

    def checked(optimizer):
        step = optimizer._fused_step
        for rows in [] if step is None else step._lazy_rows:
            assert rows.table.grad.is_sparse
            seen.append(not is_pending(rows)[rows.table.grad._indices()[0]].any())
        update(optimizer)

    monkeypatch.setattr(FusedOptimizer, "update", checked)
    make(max_epochs=2, patience=None).fit(*texts)
    assert len(seen) > 30 and all(seen)
