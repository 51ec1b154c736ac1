"""The loop and what happens around it: batches, splits, early stopping, penalties, interruptions, devices, threads."""

import math
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from seqclf import RNNClassifier, RNNTextClassifier, _kernels, datasets
from seqclf._data.ragged import Ragged
from seqclf._kernels import cpu
from seqclf._label_features.log_count_ratios import RatedIds
from seqclf._nn import Network
from seqclf._training import OPTIMIZERS, fit_network, resolve_device, use_threads
from seqclf._training.batching import CHUNK_BATCHES, Data, TrainingBatches, TrainingData, prediction_rows
from seqclf._training.callbacks import EarlyStopping
from seqclf._training.net import Net
from seqclf._training.split import validation_rows

CPU = torch.device("cpu")


def make_data(lengths, seed=0):
    rng = np.random.default_rng(seed)
    sequences = Ragged(rng.integers(2, 9, size=sum(lengths)).astype(np.int32), np.array(lengths, dtype=np.int64))
    n = len(lengths)
    return TrainingData(sequences, np.arange(n) % 2, np.ones(n), np.ones(n), CPU)


def make_network():
    network = Network(
        n_outputs=1,
        vocab_size=9,
        embedding_dim=4,
        cell="gru",
        units=(4,),
        bidirectional=False,
        pooling="last",
        activation="tanh",
        dropout=0.0,
        recurrent_dropout=0.0,
    )
    return network.reset_parameters(torch.Generator().manual_seed(0))


def fit(network, data, validation=None, **changes):
    options = {
        "optimizer": "adam",
        "learning_rate": 1e-2,
        "schedule": "constant",
        "weight_decay": 0.0,
        "l1": 0.0,
        "max_grad_norm": None,
        "batch_size": 4,
        "max_epochs": 3,
        "patience": None,
        "tol": 0.0,
        "verbose": 0,
        "step_name": "tokens",
        "rng": np.random.RandomState(0),
    }
    return fit_network(network, data, validation, **(options | changes))


# Batches


@pytest.mark.parametrize("n", [1, 5, 64, 65, 1_000])
def test_an_epoch_reads_every_row_once_in_even_batches(n):
    data = make_data(np.random.default_rng(1).integers(0, 30, n).tolist())
    batches = TrainingBatches(data, 8, np.random.RandomState(0))
    drawn = batches.draw()
    assert sorted(np.concatenate(drawn).tolist()) == list(range(n))
    sizes = {len(rows) for rows in drawn}
    assert len(drawn) == len(batches) == math.ceil(n / 8)
    assert max(sizes) <= 8 and max(sizes) - min(sizes) <= 1


def test_lengths_are_sorted_inside_shuffled_chunks_only():
    n = 8 * CHUNK_BATCHES * 4
    lengths = np.random.default_rng(1).integers(1, 200, n)
    data = make_data(lengths.tolist())
    batches = TrainingBatches(data, 8, np.random.RandomState(0))
    spread = np.mean([np.ptp(lengths[rows]) for rows in batches.draw()])
    assert spread < 15 < 150 < np.mean([np.ptp(chunk) for chunk in lengths.reshape(-1, 8)])
    longest = [lengths[rows].max() for rows in batches.draw()]
    assert np.abs(np.diff(longest)).mean() > 30, "batches of like length must not follow one another"
    first, second = batches.draw(), batches.draw()
    assert any(not np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    once, again = (TrainingBatches(data, 8, np.random.RandomState(0)).draw() for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(once, again, strict=True))


def test_a_batch_holds_its_rows():
    data = make_data([3, 0, 2, 5])
    batch = data.batch(np.array([3, 1, 0]))
    items = data.sequences.items()
    inputs = batch.inputs
    spans = zip(inputs.starts, inputs.lengths, strict=True)
    assert [inputs.values[start : start + n].tolist() for start, n in spans] == [list(items[row]) for row in (3, 1, 0)]
    assert batch.targets.tolist() == [1, 1, 0]
    assert len(batch) == 3 and batch.n_steps == 8


def rated_ids(lengths, seed=0):
    rng = np.random.default_rng(seed)
    steps = np.stack([rng.integers(2, 9, sum(lengths)), *rng.integers(0, 5, (2, sum(lengths)))], axis=1)
    tables = tuple(rng.standard_normal((4, 5, 3)).astype(np.float32) for _ in range(2))
    version = rng.integers(0, 4, len(lengths))
    return RatedIds(Ragged(steps.astype(np.int32), np.array(lengths)), tables, version, rng.random((len(lengths), 2)))


@pytest.mark.parametrize("kind", ["ids", "series", "rated"])
@pytest.mark.parametrize("writeable", [True, False])
def test_a_batch_copies_nothing(kind, writeable):
    """It says where its steps lie; only memory that may not be written is copied, once for all batches."""
    lengths = [3, 0, 2, 5]
    sequences = rated_ids(lengths) if kind == "rated" else Ragged(np.arange(10, dtype=np.int32), np.array(lengths))
    if kind == "series":
        sequences = Ragged(np.random.default_rng(0).standard_normal((10, 2)).astype(np.float32), np.array(lengths))
    arrays = [sequences.steps.values, *sequences.tables] if kind == "rated" else [sequences.values]
    for array in arrays:
        array.flags.writeable = writeable
    data = Data(sequences)
    rows = np.array([3, 1, 0, 3])
    inputs, again = data.at(rows, CPU), data.at(rows, CPU)
    tensors = [inputs.values, *(() if inputs.beside is None else inputs.beside.tables)]
    shared = [np.shares_memory(tensor.numpy(), array) for tensor, array in zip(tensors, arrays, strict=True)]
    assert shared == len(arrays) * [writeable]
    assert inputs.values.data_ptr() == again.values.data_ptr()
    layout = _kernels.StepLayout(inputs.lengths, starts=inputs.starts)
    taken = sequences.take(rows)
    in_order = _kernels.StepLayout(taken.lengths).gather.numpy()
    np.testing.assert_array_equal(_kernels.arrange(inputs.values, layout), taken.values[in_order])
    if kind == "rated":
        np.testing.assert_array_equal(_kernels.arrange(inputs.beside, layout), taken.beside[in_order])
        np.testing.assert_array_equal(inputs.votes, taken.votes)


def test_prediction_batches_read_every_row_once_within_the_budget(monkeypatch):
    monkeypatch.setattr("seqclf._training.batching.PREDICTION_STEPS", 100)
    monkeypatch.setattr("seqclf._training.batching.PREDICTION_NUMBERS", 300)
    lengths = np.random.default_rng(0).integers(0, 150, 300)
    ids, series = np.ones(lengths.sum(), dtype=np.int32), np.zeros((lengths.sum(), 5))
    tables = (np.zeros((1, 1, 3), dtype=np.float32), np.zeros((1, 1, 2), dtype=np.float32))
    steps = Ragged(np.stack([ids, ids * 0, ids * 0], axis=1), lengths)
    # At most 100 steps; of 5 numbers each, 60.
    for sequences, budget in (
        (Ragged(ids, lengths), 100),
        (Ragged(series, lengths), 60),
        (RatedIds(steps, tables, lengths * 0), 60),
    ):
        batches = prediction_rows(sequences)
        assert sorted(np.concatenate(batches).tolist()) == list(range(300))
        assert all(len(rows) == 1 or lengths[rows].max() * len(rows) <= budget for rows in batches)
        assert max(lengths[rows].max() * len(rows) for rows in batches if len(rows) > 1) > 0.7 * budget


# Validation split


def test_the_split_holds_every_class_in_proportion():
    codes = np.repeat([0, 1, 2], [80, 15, 5])
    rows = validation_rows(codes, 0.2, np.random.RandomState(0))
    assert np.bincount(codes[rows]).tolist() == [16, 3, 1]
    assert not np.array_equal(rows, validation_rows(codes, 0.2, np.random.RandomState(1)))


def test_a_class_with_a_single_row_stays_in_training():
    codes = np.repeat([0, 1, 2], [20, 20, 1])
    rows = validation_rows(codes, 0.1, np.random.RandomState(0))
    assert set(codes[rows]) == {0, 1}


def test_too_few_rows_for_a_split_is_said_and_the_training_loss_watched():
    codes = np.repeat(np.arange(10), 3)
    with pytest.warns(UserWarning, match=r"validation_fraction=0.1 of 30 rows.*each of 10 classes.*training loss"):
        assert validation_rows(codes, 0.1, np.random.RandomState(0)) is None
    X, y = datasets.make_order_series(4, random_state=0)
    classifier = RNNClassifier(units=2, max_epochs=2, patience=1, random_state=0)
    with pytest.warns(UserWarning, match="no validation split") as caught:
        classifier.fit(X, y)
    assert len(caught) == 1
    assert "valid_loss" not in classifier.history_[0]


# Early stopping


def losses(monkeypatch, values):
    """Let the validation losses of successive epochs be `values`."""
    remaining = iter(values)
    original = EarlyStopping.on_epoch_end

    def on_epoch_end(self, net, **kwargs):
        net.history[-1][self.monitor] = next(remaining)
        original(self, net, **kwargs)

    monkeypatch.setattr(EarlyStopping, "on_epoch_end", on_epoch_end)


def epoch_weights(data, n_epochs):
    """The head's weights after each epoch of an uninterrupted fit."""
    weights = []
    for n in range(1, n_epochs + 1):
        network = make_network()
        fit(network, data, max_epochs=n)
        weights.append(network.head.weight.detach().clone())
    return weights


@pytest.mark.parametrize(
    ("values", "patience", "tol", "n_epochs", "best"),
    [
        ([3.0, 2.0, 2.5, 2.6, 1.0], 2, 0.0, 4, 2),
        ([3.0, 2.0, 2.5, 1.9, 2.0, 2.1, 0.0], 2, 0.0, 6, 4),
        # Absolute tol: a gain of no more than tol is none.
        ([3.0, 2.95, 2.9, 2.0], 2, 0.2, 3, 1),
        # Losses may be negative in principle: a slightly worse one is worse.
        ([-3.0, -2.9999, -2.9998, -9.0], 2, 1e-4, 3, 1),
        ([3.0, 2.0, 1.0], 5, 0.0, 3, 3),
    ],
)
def test_early_stopping_keeps_the_best_weights(monkeypatch, values, patience, tol, n_epochs, best):
    data = make_data([4, 3, 5, 2, 6, 1, 4, 4])
    expected = epoch_weights(data, best)[best - 1]
    losses(monkeypatch, values)
    network = make_network()
    result = fit(
        network, data, make_data([3, 3]), patience=patience, tol=tol, max_epochs=min(len(values), n_epochs + 1)
    )
    assert (len(result.history), result.best_epoch) == (n_epochs, best)
    assert torch.equal(network.head.weight, expected)
    assert not network.training


def test_without_patience_all_epochs_run_on_all_rows():
    X, y = datasets.make_order_series(20, random_state=0)
    classifier = RNNClassifier(units=2, max_epochs=3, patience=None, random_state=0).fit(X, y)
    assert classifier.n_iter_ == classifier.best_epoch_ == 3
    assert classifier.history_[0]["steps"] == sum(map(len, X))
    assert list(classifier.history_[0]) == ["epoch", "train_loss", "train_score", "seconds", "steps"]


def test_history_of_a_text_classifier():
    X, y = datasets.make_order_reviews(40, random_state=0)
    classifier = RNNTextClassifier(units=2, max_epochs=2, patience=2, random_state=0, device="cpu").fit(X, y)
    keys = ["epoch", "train_loss", "train_score", "valid_loss", "valid_score", "seconds", "tokens"]
    assert [list(row) for row in classifier.history_] == [keys, keys]
    assert all(type(value) in (int, float) for row in classifier.history_ for value in row.values())
    assert classifier.history_[0]["tokens"] < sum(map(len, classifier.tokenizer_.transform(X)))
    assert 0 <= classifier.history_[1]["valid_score"] <= 1


def test_recorded_losses_and_scores_are_those_of_the_weights():
    """A learning rate of nothing: the training loss of the epoch is the loss of the first weights, weights counted."""
    data = make_data([4, 3, 5, 2, 6, 1, 4])
    data.weights[:] = np.array([1, 2, 0.5, 1, 1, 3, 0.1], dtype=np.float32)
    data.score_weights[:] = np.array([1, 1, 1, 5, 1, 1, 1], dtype=np.float32)
    network = make_network()
    with torch.no_grad():
        logits = network(torch.from_numpy(data.sequences.values).long(), data.sequences.lengths)[:, 0].double().numpy()
    signs = 1 - 2 * data.targets
    row_losses = np.logaddexp(0, signs * logits)
    hits = (logits > 0) == data.targets
    (row,) = fit(network, data, learning_rate=1e-30, max_epochs=1).history
    assert row["train_loss"] == pytest.approx(np.average(row_losses, weights=data.weights), rel=1e-5)
    assert row["train_score"] == pytest.approx(np.average(hits, weights=data.score_weights), rel=1e-6)


# Steps


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_lowers_the_loss(optimizer):
    X, y = datasets.make_order_series(60, n_steps=8, random_state=0)
    rate = {"sgd": 0.5, "nesterov": 0.2, "adagrad": 0.1}.get(optimizer, 1e-2)
    classifier = RNNClassifier(
        units=4, optimizer=optimizer, learning_rate=rate, schedule="constant", max_epochs=15, random_state=0
    ).fit(X, y)
    assert classifier.history_[-1]["train_loss"] < 0.8 * classifier.history_[0]["train_loss"]


def step_length(**changes):
    """How far one plain gradient step moves the weights."""
    network = make_network()
    before = torch.cat([p.detach().clone().ravel() for p in network.parameters()])
    data = make_data([4, 3, 5, 2])
    fit(network, data, optimizer="sgd", learning_rate=1.0, max_epochs=1, **changes)
    return (torch.cat([p.detach().ravel() for p in network.parameters()]) - before).norm().item()


def test_max_grad_norm_bounds_the_step():
    free = step_length(max_grad_norm=None)
    assert free > 0.01
    assert step_length(max_grad_norm=free / 10) == pytest.approx(free / 10, rel=1e-3)
    assert step_length(max_grad_norm=free * 10) == pytest.approx(free, rel=1e-5)


@pytest.mark.parametrize("penalty", ["l1", "weight_decay"])
def test_penalties_move_weights_by_their_gradient_and_spare_biases(penalty):
    def weights(**changes):
        network = make_network()
        with torch.no_grad():
            network.head.bias.fill_(0.5)
        fit(network, make_data([4, 3, 5, 2]), optimizer="sgd", learning_rate=0.1, max_epochs=1, **changes)
        return {name: p.detach() for name, p in network.named_parameters()}

    plain, penalised = weights(), weights(**{penalty: 0.01})
    initial = {name: p.detach() for name, p in make_network().named_parameters()}
    for name, value in plain.items():
        moved = (value - penalised[name]).numpy()
        expected = {"l1": initial[name].sign(), "weight_decay": initial[name]}[penalty] * 0.1 * 0.01
        if "bias" in name:
            expected = torch.zeros_like(expected)
        np.testing.assert_allclose(moved, expected.numpy(), atol=2e-7)


def rates_of_the_steps(monkeypatch, network, data, **changes):
    """The learning rates of all groups of weights at each step of a fit."""
    rates = []
    step = Net.train_step_single

    def spy(self, batch, **kwargs):
        rates.append([group["lr"] for group in self.optimizer_.param_groups])
        return step(self, batch, **kwargs)

    monkeypatch.setattr(Net, "train_step_single", spy)
    fit(network, data, **changes)
    return np.array(rates)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(("n_rows", "max_epochs"), [(4, 1), (8, 1), (4, 3), (9, 5), (40, 10)])
def test_one_cycle_rises_in_a_fifth_of_the_steps_and_falls_to_nothing(monkeypatch, optimizer, n_rows, max_epochs):
    """Half a cosine up, half a cosine down, over all epochs; validation takes no step of it."""
    settings = {"optimizer": optimizer, "learning_rate": 0.03, "max_epochs": max_epochs, "max_grad_norm": 1e-6}
    rates = rates_of_the_steps(
        monkeypatch,
        make_network(),
        make_data([3] * n_rows),
        validation=make_data([3, 3]),
        schedule="one_cycle",
        **settings,
    )
    n_steps = math.ceil(n_rows / 4) * max_epochs
    assert rates.shape == (n_steps, 2), "weights, and biases, which are not decayed"
    for step, (of_weights, of_biases) in enumerate(rates, start=1):
        done = step / (n_steps + 1)
        if done < 0.2:
            share = (1 - math.cos(math.pi * done / 0.2)) / 2
        else:
            share = (1 + math.cos(math.pi * (done - 0.2) / 0.8)) / 2
        assert of_weights == of_biases == pytest.approx(0.03 * share, rel=1e-9)
    assert rates.min() > 0 and rates.max() <= 0.03
    if n_steps == 100:
        assert rates.argmax() // 2 in (19, 20) and rates.max() > 0.029 and rates[-1, 0] < 0.03 / 1_000


def test_a_constant_rate_stays(monkeypatch):
    rates = rates_of_the_steps(monkeypatch, make_network(), make_data([3] * 9), schedule="constant", max_epochs=4)
    assert rates.tolist() == [[0.01, 0.01]] * 12


def test_the_rate_of_the_schedule_is_that_of_the_step():
    """One step of plain gradient descent, the only one: as long as the rate at the middle of the way."""

    def step(**changes):
        network = make_network()
        fit(network, make_data([3] * 4), optimizer="sgd", learning_rate=1.0, max_epochs=1, **changes)
        return network.head.weight.detach() - make_network().head.weight.detach()

    share = (1 + math.cos(math.pi * (0.5 - 0.2) / 0.8)) / 2
    np.testing.assert_allclose(step(schedule="one_cycle"), share * step(schedule="constant"), rtol=1e-4)


def test_a_diverging_loss_names_epoch_and_remedy():
    X, y = datasets.make_order_series(20, random_state=0)
    classifier = RNNClassifier(
        cell="rnn", activation="relu", units=8, optimizer="sgd", learning_rate=1e8, max_grad_norm=None, random_state=0
    )
    with pytest.raises(
        ValueError, match=r"training loss became (nan|inf) in epoch \d+.*learning_rate \(now 100000000.0\)"
    ):
        classifier.fit(X, y)
    assert not hasattr(classifier, "network_") and not hasattr(classifier, "classes_")


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


def test_no_value_is_read_back_inside_an_epoch(monkeypatch):
    """Reading a loss every batch would make a GPU wait: one read per epoch and pass, however many batches."""
    reads = []
    for name in ("item", "tolist", "__float__"):
        original = getattr(torch.Tensor, name)
        monkeypatch.setattr(torch.Tensor, name, lambda self, original=original: (reads.append(1), original(self))[1])
    fit(make_network(), make_data([3] * 40), make_data([3] * 4), max_epochs=1, max_grad_norm=1.0, patience=1)
    few = len(reads)
    reads.clear()
    fit(make_network(), make_data([3] * 400), make_data([3] * 4), max_epochs=1, max_grad_norm=1.0, patience=1)
    assert len(reads) == few <= 4


# Verbosity


def test_a_line_per_epoch(capsys):
    X, y = datasets.make_order_reviews(40, random_state=0)
    RNNTextClassifier(units=2, max_epochs=2, patience=2, verbose=1, random_state=0).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("epoch   1/2 ") and "validation: loss" in lines[0] and "best so far" in lines[0]


def test_a_bar_inside_the_epoch(capsys):
    X, y = datasets.make_order_series(20, random_state=0)
    RNNClassifier(units=2, max_epochs=2, batch_size=5, verbose=2, random_state=0).fit(X, y)
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 2
    assert "epoch 1" in captured.err and "/4" in captured.err


def test_silence_by_default(capsys):
    X, y = datasets.make_order_series(10, random_state=0)
    RNNClassifier(units=2, max_epochs=1, random_state=0).fit(X, y)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


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


# Device and threads


def test_device_names():
    assert resolve_device("auto").type in ("cpu", "cuda")
    assert resolve_device("cpu") == CPU
    with pytest.raises(ValueError, match="device='gpu' is not 'auto' or the name of a torch device"):
        resolve_device("gpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_warns_and_the_cpu_works():
    with pytest.warns(UserWarning, match="device='cuda:1', but torch sees no CUDA GPU here"):
        assert resolve_device("cuda:1") == CPU


def test_auto_never_takes_mps(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert resolve_device("auto") == CPU
    with pytest.warns(UserWarning, match="MPS are known to give wrong results"):
        resolve_device("mps")


KERNELS = pytest.mark.skipif(not cpu.available()[0], reason="no compiled kernels")
OURS, TORCHS = (CPU, "lstm", "tanh"), (CPU, "lstm", "relu")


def numbers():
    return _kernels.n_threads(), torch.get_num_threads()


@KERNELS
def test_our_kernels_get_the_threads_and_torch_gets_one(monkeypatch):
    monkeypatch.delenv("SEQCLF_KERNELS", raising=False)
    outside = numbers()
    with use_threads(3, *OURS):
        assert numbers() == (3, 1)
        with use_threads(None, *OURS):
            assert numbers() == (3, 1)
        with use_threads(2, *OURS):
            assert numbers() == (2, 1)
        assert numbers() == (3, 1)
    with use_threads(None, *OURS):
        assert numbers() == (outside[1], 1)
    assert numbers() == outside


def test_where_our_kernels_do_not_compute_torch_gets_the_threads():
    before = torch.get_num_threads()
    for arguments in (TORCHS, (torch.device("cuda"), "lstm", "tanh")):
        with use_threads(before + 1, *arguments):
            assert torch.get_num_threads() == before + 1
        with use_threads(None, *arguments):
            assert torch.get_num_threads() == before


@pytest.mark.parametrize("where", [OURS, TORCHS])
def test_threads_are_put_back_after_an_error_too(where):
    before, inside = numbers(), []

    def fail():
        with use_threads(before[1] + 1, *where):
            inside.append(_kernels.n_threads())
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        fail()
    assert inside == [before[1] + 1]
    assert numbers() == before


@KERNELS
def test_blocks_in_several_threads_at_once(monkeypatch):
    """Each sees its own number and that of outside, whichever begins or ends first; torch's is put back in all."""
    monkeypatch.delenv("SEQCLF_KERNELS", raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(before + 2)
    met, fresh = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
    try:
        assert met.submit(torch.get_num_threads).result() == before + 2  # torch knows this thread before it comes in
        entered = {name: threading.Event() for name in ("met", "fresh")}
        leave = {name: threading.Event() for name in entered}

        def block(name, n):
            with use_threads(n, *OURS):
                entered[name].set()
                assert leave[name].wait(30)
                seen = numbers()
            return seen, numbers()

        with use_threads(None, *OURS):
            assert numbers() == (before + 2, 1)
            results = {"met": met.submit(block, "met", 5), "fresh": fresh.submit(block, "fresh", None)}
            assert all(event.wait(30) for event in entered.values())
        assert numbers() == (before + 2, before + 2)
        leave["met"].set()
        assert results["met"].result(30) == ((5, 1), (before + 2, before + 2))
        leave["fresh"].set()
        assert results["fresh"].result(30) == ((before + 2, 1), (before + 2, before + 2))
        assert ThreadPoolExecutor(1).submit(torch.get_num_threads).result() == before + 2
    finally:
        for event in leave.values():
            event.set()
        met.shutdown()
        fresh.shutdown()
        torch.set_num_threads(before)


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
