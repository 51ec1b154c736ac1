"""`fit`: validation sets, unchanged estimators after errors, finite results, and `checkpoint_dir`."""

import os
import pickle
import signal
import subprocess
import sys
import textwrap

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from seqclf import RNNClassifier, RNNRegressor, RNNTagger, RNNTextClassifier, TextTokenizer, datasets
from seqclf._kernels import ACTIVATIONS, CELLS
from seqclf._training.session import TrainingSession

TINY = {"units": 3, "max_epochs": 2, "random_state": 0}


# Validation sets


def test_patience_none_trains_all_epochs_on_all_rows():
    X, y = datasets.make_order_series(20, random_state=0)
    classifier = RNNClassifier(units=2, max_epochs=3, patience=None, random_state=0).fit(X, y)
    assert classifier.n_iter_ == classifier.best_epoch_ == 3
    assert classifier.history_[0]["steps"] == sum(map(len, X))
    assert list(classifier.history_[0]) == ["epoch", "train_loss", "train_score", "seconds", "steps"]


def test_warns_if_there_are_too_few_rows_for_a_validation_set():
    X, y = datasets.make_order_series(4, random_state=0)
    classifier = RNNClassifier(units=2, max_epochs=2, patience=1, random_state=0)
    with pytest.warns(UserWarning, match="no validation split") as caught:
        classifier.fit(X, y)
    assert len(caught) == 1
    assert "valid_loss" not in classifier.history_[0]


def test_targets_of_held_out_rows_do_not_affect_the_weights(monkeypatch):
    """Even if they are far from the other targets."""
    rng = np.random.default_rng(0)
    X = [rng.normal(rng.normal(), 0.5, size=rng.integers(3, 12)) for _ in range(60)]
    y = np.array([100 + 10 * row.mean() for row in X])
    held_out = np.arange(0, 60, 5)
    monkeypatch.setattr("seqclf._fit.validation_rows", lambda *args: held_out)
    # Only one epoch, because held-out targets determine the best epoch.
    settings = {"units": 3, "max_epochs": 1, "patience": 3, "random_state": 0}
    first = RNNRegressor(**settings).fit(X, y)
    y[held_out] *= 100
    second = RNNRegressor(**settings).fit(X, y)
    for name, array in first.network_.to_arrays().items():
        np.testing.assert_array_equal(second.network_.to_arrays()[name], array)
    assert second.history_[0]["valid_loss"] > 100 * first.history_[0]["valid_loss"]


# Errors, and values that are not finite


@pytest.mark.parametrize("refit", [False, True])
def test_ctrl_c_leaves_the_estimator_unchanged(monkeypatch, refit):
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


@pytest.mark.filterwarnings("ignore:cell=.* is many times slower")
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("cell", CELLS)
def test_fit_on_huge_values_is_finite_or_raises(cell, activation):
    X = np.random.default_rng(0).normal(size=(20, 12)) * 1e20
    for settings in ({}, {"conv_filters": 0}, {"wide": False}, {"wide": False, "conv_filters": 0}):
        classifier = RNNClassifier(**TINY, cell=cell, activation=activation, scale=False, **settings)
        message = ""
        try:
            classifier.fit(X, [0, 1] * 10)
        except ValueError as error:
            message = str(error)
        if hasattr(classifier, "network_"):
            assert np.isfinite(classifier.predict_proba(X)).all()
        else:
            assert "diverged" in message or "scale" in message


@pytest.mark.parametrize("n_classes", [2, 3])
def test_fit_with_default_dtype_float64_of_torch(n_classes):
    """Some users set it for the whole process."""
    before = torch.get_default_dtype()
    X, y = np.random.default_rng(0).standard_normal((30, 5, 1)), np.arange(30) % n_classes
    torch.set_default_dtype(torch.float64)
    try:
        model = RNNClassifier(units=2, max_epochs=2, random_state=0).fit(X, y)
        assert model.predict(X).shape == y.shape
    finally:
        torch.set_default_dtype(before)
    assert all(np.isfinite(epoch["train_loss"]) for epoch in model.history_)


# checkpoint_dir: fits that are interrupted or killed resume with bit-identical results

SMALL = {"units": 3, "max_epochs": 4, "random_state": 0, "n_threads": 1}
TEXTS, LABELS = datasets.make_order_reviews(60, random_state=0)
SERIES, SERIES_LABELS = datasets.make_order_series(60, n_steps=8, random_state=0)
TOKENS = [text.split() for text in TEXTS]
VALUES = np.unique(SERIES_LABELS, return_inverse=True)[1] + np.linspace(0, 1, 60)
TAGS = [[len(token) % 3 for token in row] for row in TOKENS]


def cases():
    return {
        "texts": (RNNTextClassifier(**SMALL), TEXTS, LABELS, {}),
        "tokenizer": (RNNTextClassifier(TextTokenizer(level="char"), **SMALL), TEXTS, LABELS, {}),
        "patience": (RNNClassifier(**SMALL | {"max_epochs": 30, "patience": 1}), SERIES, SERIES_LABELS, {}),
        "X_val": (
            RNNClassifier(**SMALL, patience=2),
            SERIES,
            SERIES_LABELS,
            {"X_val": SERIES[:20], "y_val": SERIES_LABELS[:20]},
        ),
        "generator": (RNNClassifier(**SMALL | {"random_state": np.random.RandomState(3)}), SERIES, SERIES_LABELS, {}),
        "numbers": (RNNRegressor(**SMALL, optimizer="rmsprop"), SERIES, VALUES, {}),
        "tags": (RNNTagger(**SMALL), TOKENS, TAGS, {}),
        "groups": (RNNClassifier(**SMALL, patience=3), SERIES, SERIES_LABELS, {"groups": np.arange(60) // 4}),
    }


def weights_and_history(model):
    history = [{key: value for key, value in row.items() if key != "seconds"} for row in model.history_]
    return {name: array.tolist() for name, array in model.network_.to_arrays().items()}, history, model.best_epoch_


def interrupt_after(monkeypatch, n_epochs):
    """Raise KeyboardInterrupt after this many complete epochs."""
    state_dict = TrainingSession.state_dict
    n_saved = []

    def interrupting(self):
        if len(n_saved) == n_epochs:
            raise KeyboardInterrupt
        n_saved.append(1)
        return state_dict(self)

    monkeypatch.setattr(TrainingSession, "state_dict", interrupting)


def interrupt_fit(monkeypatch, n_epochs, model, X=SERIES, y=SERIES_LABELS, **more):
    """Start a fit, and interrupt it after this many epochs."""
    with monkeypatch.context() as patch:
        interrupt_after(patch, n_epochs)
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, y, **more)


@pytest.mark.parametrize("kind", cases())
@pytest.mark.parametrize("n_epochs", [1, 2])
def test_interrupted_fit_resumes_with_identical_result(kind, n_epochs, tmp_path, monkeypatch):
    model, X, y, more = cases()[kind]
    whole = clone(model).fit(X, y, **more)
    model.set_params(checkpoint_dir=tmp_path)
    interrupted = clone(model)
    interrupt_fit(monkeypatch, n_epochs, interrupted, X, y, **more)
    assert not hasattr(interrupted, "network_")
    (file,) = tmp_path.iterdir()
    trained, run = [], TrainingSession.run

    def counting(self, *args, **kwargs):
        before = self.n_epochs
        run(self, *args, **kwargs)
        trained.append((before, self.n_epochs))

    monkeypatch.setattr(TrainingSession, "run", counting)
    again = clone(model).fit(X, y, **more)
    assert trained == [(n_epochs, whole.n_iter_)], "should resume, not start again"
    assert weights_and_history(again) == weights_and_history(whole)
    assert not list(tmp_path.iterdir()), file


def test_resumed_fit_without_seed_keeps_the_split_and_the_initial_weights(tmp_path, monkeypatch):
    model = RNNClassifier(**SMALL | {"random_state": None, "patience": 3}, checkpoint_dir=tmp_path)
    np.random.seed(7)  # noqa: NPY002
    whole = clone(model).set_params(checkpoint_dir=None).fit(SERIES, SERIES_LABELS)
    np.random.seed(7)  # noqa: NPY002
    interrupt_fit(monkeypatch, 1, model)
    np.random.seed(8)  # noqa: NPY002
    assert weights_and_history(model.fit(SERIES, SERIES_LABELS)) == weights_and_history(whole)


def test_checkpoint_dir_does_not_change_the_result_and_leaves_no_files(tmp_path):
    plain = RNNClassifier(**SMALL).fit(SERIES, SERIES_LABELS)
    found = RNNClassifier(**SMALL, checkpoint_dir=tmp_path / "folder").fit(SERIES, SERIES_LABELS)
    assert weights_and_history(plain) == weights_and_history(found)
    assert vars(plain).keys() == vars(found).keys()
    assert not list((tmp_path / "folder").iterdir())
    pickle.loads(pickle.dumps(found))


@pytest.mark.parametrize(
    ("change", "data", "message"),
    [
        ({"learning_rate": 0.001}, SERIES, "learning_rate 0.003, here 0.001"),
        ({"units": 4}, SERIES, "units 3, here 4"),
        ({"class_weight": dict.fromkeys(np.unique(SERIES_LABELS), 2.0)}, SERIES, "class_weight None, here {"),
        ({}, SERIES[::-1], "data [0-9a-f]+, here [0-9a-f]+"),
    ],
)
def test_checkpoint_of_another_fit_is_not_used(change, data, message, tmp_path, monkeypatch):
    model = RNNClassifier(**SMALL, checkpoint_dir=tmp_path)
    interrupt_fit(monkeypatch, 1, clone(model))
    whole = RNNClassifier(**SMALL | change).fit(data, SERIES_LABELS)
    with pytest.warns(UserWarning, match=f"another fit .* is not used: it has {message}"):
        model.set_params(**change).fit(data, SERIES_LABELS)
    assert weights_and_history(model) == weights_and_history(whole)
    assert len(list(tmp_path.iterdir())) == 1


def test_resumed_fit_can_change_n_threads_and_verbose(tmp_path, monkeypatch, capsys):
    model = RNNClassifier(**SMALL, checkpoint_dir=tmp_path)
    interrupt_fit(monkeypatch, 2, clone(model))
    model.set_params(n_threads=2, verbose=1).fit(SERIES, SERIES_LABELS)
    assert "resuming after epoch 2, from " in capsys.readouterr().out


def test_checkpoint_of_a_warm_start_depends_on_the_fitted_network(tmp_path, monkeypatch):
    model = RNNClassifier(**SMALL, warm_start=True).fit(SERIES, SERIES_LABELS)
    whole = pickle.loads(pickle.dumps(model)).fit(SERIES, SERIES_LABELS)
    model.set_params(checkpoint_dir=tmp_path)
    other = pickle.loads(pickle.dumps(model))
    interrupt_fit(monkeypatch, 1, model)
    assert weights_and_history(model.fit(SERIES, SERIES_LABELS)) == weights_and_history(whole)
    interrupt_fit(monkeypatch, 1, other)
    other.set_params(checkpoint_dir=None).fit(SERIES, SERIES_LABELS).set_params(checkpoint_dir=tmp_path)
    with pytest.warns(UserWarning, match=r"fitted network [0-9a-f]+, here [0-9a-f]+"):
        other.fit(SERIES, SERIES_LABELS)


@pytest.mark.parametrize(
    ("backend", "n_jobs"), [("loky", 1), ("threading", 2), pytest.param("loky", 2, marks=pytest.mark.slow)]
)
def test_each_fit_of_a_search_has_a_separate_checkpoint(tmp_path, backend, n_jobs):
    search = {"param_grid": {"units": [2, 3]}, "cv": 2, "n_jobs": n_jobs}
    model = RNNClassifier(**SMALL)
    plain = GridSearchCV(model, **search | {"n_jobs": 1}).fit(SERIES, SERIES_LABELS)
    with joblib.parallel_config(backend):
        found = GridSearchCV(clone(model).set_params(checkpoint_dir=tmp_path), **search).fit(SERIES, SERIES_LABELS)
    np.testing.assert_array_equal(plain.cv_results_["mean_test_score"], found.cv_results_["mean_test_score"])
    assert weights_and_history(plain.best_estimator_) == weights_and_history(found.best_estimator_)
    assert not list(tmp_path.iterdir())


KILLED_FIT = textwrap.dedent("""
    import os, signal, sys, threading
    import torch  # a fit imports it first, which takes seconds
    from seqclf import RNNClassifier, datasets, _fit
    X, y = datasets.make_order_series(60, n_steps=8, random_state=0)
    model = RNNClassifier(
        units=3, max_epochs=60, random_state=0, n_threads=1, patience=40, checkpoint_dir=sys.argv[1]
    )
    threading.Timer(float(sys.argv[2]), os.kill, (os.getpid(), signal.SIGKILL)).start()
    model.fit(X, y)
    os._exit(0)
""")


def run_killed_fit(folder, delay):
    """Run a fit in a process that kills itself after this many seconds; returns whether it was killed."""
    command = [sys.executable, "-c", KILLED_FIT, str(folder), str(delay)]
    return subprocess.run(command, capture_output=True, timeout=300).returncode == -signal.SIGKILL


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
@pytest.mark.parametrize("n_kills", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_fit_killed_at_random_moments_resumes_with_identical_result(tmp_path, n_kills):
    rng = np.random.default_rng(0)
    n_killed = sum(run_killed_fit(tmp_path, 0.05 + rng.exponential(0.4)) for _ in range(n_kills))
    settings = {"units": 3, "max_epochs": 60, "random_state": 0, "n_threads": 1, "patience": 40}
    expected = RNNClassifier(**settings).fit(SERIES, SERIES_LABELS)
    resumed = RNNClassifier(**settings, checkpoint_dir=tmp_path).fit(SERIES, SERIES_LABELS)
    assert weights_and_history(resumed) == weights_and_history(expected)
    assert n_killed >= 1 and not list(tmp_path.iterdir())


@pytest.mark.skipif(
    not os.path.exists("/dev/shm") or os.geteuid() == 0, reason="needs a user who is subject to permissions"
)
def test_checkpoint_dir_without_write_permission_raises_before_training(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OSError, match="checkpoint_dir="):
        RNNClassifier(**SMALL, checkpoint_dir=tmp_path / "inner").fit(SERIES, SERIES_LABELS)
    tmp_path.chmod(0o700)


@pytest.mark.skipif(not os.path.exists("/proc/self"), reason="needs a folder without any write permissions")
def test_checkpoint_dir_in_a_read_only_folder_raises_before_training():
    model = RNNClassifier(**SMALL, checkpoint_dir="/proc/self/checkpoints")
    with pytest.raises(OSError, match="checkpoint_dir='/proc/self/checkpoints' can't be used"):
        model.fit(SERIES, SERIES_LABELS)
    assert not hasattr(model, "network_")


def test_full_disk_warns_and_does_not_stop_the_training(tmp_path, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    model = RNNClassifier(**SMALL, checkpoint_dir=tmp_path)
    with pytest.warns(UserWarning, match="could not be written .*No space left"):
        model.fit(SERIES, SERIES_LABELS)
    assert weights_and_history(model) == weights_and_history(RNNClassifier(**SMALL).fit(SERIES, SERIES_LABELS))
