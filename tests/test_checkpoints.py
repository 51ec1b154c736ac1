"""`checkpoint_dir`: fits that are killed, and go on to the bit."""

import os
import pickle
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from seqclf import RNNClassifier, RNNRegressor, RNNTagger, RNNTextClassifier, TextTokenizer, datasets
from seqclf._training.session import TrainingSession

SMALL = {"units": 3, "max_epochs": 4, "random_state": 0, "n_threads": 1}
TEXTS, LABELS = datasets.make_order_reviews(60, random_state=0)
SERIES, SERIES_LABELS = datasets.make_order_series(60, n_steps=8, random_state=0)
TOKENS = [text.split() for text in TEXTS]
NUMBERS = np.unique(SERIES_LABELS, return_inverse=True)[1] + np.linspace(0, 1, 60)
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
        "numbers": (RNNRegressor(**SMALL, optimizer="rmsprop"), SERIES, NUMBERS, {}),
        "tags": (RNNTagger(**SMALL), TOKENS, TAGS, {}),
        "groups": (RNNClassifier(**SMALL, patience=3), SERIES, SERIES_LABELS, {"groups": np.arange(60) // 4}),
    }


def weights_and_history(model):
    history = [{key: value for key, value in row.items() if key != "seconds"} for row in model.history_]
    return {name: array.tolist() for name, array in model.network_.to_arrays().items()}, history, model.best_epoch_


def interrupt_after(monkeypatch, n_epochs):
    """Ctrl-C in an epoch, after so many whole ones."""
    state_dict = TrainingSession.state_dict
    done = []

    def interrupting(self):
        if len(done) == n_epochs:
            raise KeyboardInterrupt
        done.append(1)
        return state_dict(self)

    monkeypatch.setattr(TrainingSession, "state_dict", interrupting)


def stop(monkeypatch, n_epochs, model, X=SERIES, y=SERIES_LABELS, **more):
    """Begin a fit, and interrupt it."""
    with monkeypatch.context() as patch:
        interrupt_after(patch, n_epochs)
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, y, **more)


@pytest.mark.parametrize("kind", cases())
@pytest.mark.parametrize("n_epochs", [1, 2])
def test_a_fit_that_was_stopped_ends_as_if_it_had_not(kind, n_epochs, tmp_path, monkeypatch):
    model, X, y, more = cases()[kind]
    whole = clone(model).fit(X, y, **more)
    model.set_params(checkpoint_dir=tmp_path)
    begun = clone(model)
    stop(monkeypatch, n_epochs, begun, X, y, **more)
    assert not hasattr(begun, "network_")
    (file,) = tmp_path.iterdir()
    trained, run_single_epoch = [], TrainingSession.run

    def counted(self, *args, **kwargs):
        before = self.n_epochs
        run_single_epoch(self, *args, **kwargs)
        trained.append((before, self.n_epochs))

    monkeypatch.setattr(TrainingSession, "run", counted)
    again = clone(model).fit(X, y, **more)
    assert trained == [(n_epochs, whole.n_iter_)], "it went on, and did not begin anew"
    assert weights_and_history(again) == weights_and_history(whole)
    assert not list(tmp_path.iterdir()), file


def test_without_a_seed_the_split_and_the_first_weights_are_those_of_the_first_process(tmp_path, monkeypatch):
    model = RNNClassifier(**SMALL | {"random_state": None, "patience": 3}, checkpoint_dir=tmp_path)
    np.random.seed(7)  # noqa: NPY002
    whole = clone(model).set_params(checkpoint_dir=None).fit(SERIES, SERIES_LABELS)
    np.random.seed(7)  # noqa: NPY002
    stop(monkeypatch, 1, model)
    np.random.seed(8)  # noqa: NPY002
    assert weights_and_history(model.fit(SERIES, SERIES_LABELS)) == weights_and_history(whole)


def test_a_checkpoint_changes_no_bit_and_leaves_no_trace(tmp_path):
    plain = RNNClassifier(**SMALL).fit(SERIES, SERIES_LABELS)
    kept = RNNClassifier(**SMALL, checkpoint_dir=tmp_path / "folder").fit(SERIES, SERIES_LABELS)
    assert weights_and_history(plain) == weights_and_history(kept)
    assert vars(plain).keys() == vars(kept).keys()
    assert not list((tmp_path / "folder").iterdir())
    pickle.loads(pickle.dumps(kept))


@pytest.mark.parametrize(
    ("change", "data", "words"),
    [
        ({"learning_rate": 0.001}, SERIES, "learning_rate 0.003, here 0.001"),
        ({"units": 4}, SERIES, "units 3, here 4"),
        ({"class_weight": dict.fromkeys(np.unique(SERIES_LABELS), 2.0)}, SERIES, "class_weight None, here {"),
        ({}, SERIES[::-1], "data [0-9a-f]+, here [0-9a-f]+"),
    ],
)
def test_a_checkpoint_of_another_fit_is_not_used(change, data, words, tmp_path, monkeypatch):
    model = RNNClassifier(**SMALL, checkpoint_dir=tmp_path)
    stop(monkeypatch, 1, clone(model))
    whole = RNNClassifier(**SMALL | change).fit(data, SERIES_LABELS)
    with pytest.warns(UserWarning, match=f"another fit .* is not used: it has {words}"):
        model.set_params(**change).fit(data, SERIES_LABELS)
    assert weights_and_history(model) == weights_and_history(whole)
    assert len(list(tmp_path.iterdir())) == 1


def test_threads_and_messages_are_no_other_fit(tmp_path, monkeypatch, capsys):
    model = RNNClassifier(**SMALL, checkpoint_dir=tmp_path)
    stop(monkeypatch, 2, clone(model))
    model.set_params(n_threads=2, verbose=1).fit(SERIES, SERIES_LABELS)
    assert "goes on after epoch 2, from " in capsys.readouterr().out


def test_a_warm_start_is_known_by_its_network(tmp_path, monkeypatch):
    model = RNNClassifier(**SMALL, warm_start=True).fit(SERIES, SERIES_LABELS)
    whole = pickle.loads(pickle.dumps(model)).fit(SERIES, SERIES_LABELS)
    model.set_params(checkpoint_dir=tmp_path)
    other = pickle.loads(pickle.dumps(model))
    stop(monkeypatch, 1, model)
    assert weights_and_history(model.fit(SERIES, SERIES_LABELS)) == weights_and_history(whole)
    stop(monkeypatch, 1, other)
    other.set_params(checkpoint_dir=None).fit(SERIES, SERIES_LABELS).set_params(checkpoint_dir=tmp_path)
    with pytest.warns(UserWarning, match=r"fitted network [0-9a-f]+, here [0-9a-f]+"):
        other.fit(SERIES, SERIES_LABELS)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_each_fit_of_a_search_has_its_own_file(tmp_path, n_jobs):
    search = {"param_grid": {"units": [2, 3]}, "cv": 2, "n_jobs": n_jobs}
    model = RNNClassifier(**SMALL)
    plain = GridSearchCV(model, **search).fit(SERIES, SERIES_LABELS)
    kept = GridSearchCV(clone(model).set_params(checkpoint_dir=tmp_path), **search).fit(SERIES, SERIES_LABELS)
    np.testing.assert_array_equal(plain.cv_results_["mean_test_score"], kept.cv_results_["mean_test_score"])
    assert weights_and_history(plain.best_estimator_) == weights_and_history(kept.best_estimator_)
    assert not list(tmp_path.iterdir())


KILLED = textwrap.dedent("""
    import os, pickle, signal, sys, time, threading
    from seqclf import RNNClassifier, datasets
    X, y = datasets.make_order_series(60, n_steps=8, random_state=0)
    delay = float(sys.argv[2])
    model = RNNClassifier(
        units=3, max_epochs=60, random_state=0, n_threads=1, patience=40, checkpoint_dir=sys.argv[1] or None
    )
    if delay:
        threading.Timer(delay, os.kill, (os.getpid(), signal.SIGKILL)).start()
    model.fit(X, y)
    history = [{key: value for key, value in row.items() if key != "seconds"} for row in model.history_]
    arrays = {name: array.tolist() for name, array in model.network_.to_arrays().items()}
    pickle.dump((arrays, history, model.best_epoch_), sys.stdout.buffer)
    sys.stdout.flush()
    os._exit(0)
""")


def killed(folder, delay):
    command = [sys.executable, "-c", KILLED, str(folder), str(delay)]
    return subprocess.run(command, capture_output=True, timeout=300)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL on this system")
@pytest.mark.parametrize("n_kills", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_kills_at_any_moment_change_no_bit(tmp_path, n_kills):
    """The last run, which is left alone, gives what a run without a kill gives."""
    rng, n_killed = np.random.default_rng(0), 0
    for _ in range(n_kills):
        run = killed(tmp_path, 0.05 + rng.exponential(0.4))
        n_killed += run.returncode == -signal.SIGKILL
    whole, resumed = killed("", 0), killed(tmp_path, 0)
    assert whole.returncode == 0, whole.stderr.decode()
    assert resumed.returncode == 0, resumed.stderr.decode()
    assert pickle.loads(resumed.stdout) == pickle.loads(whole.stdout)
    assert n_killed >= 1 and not list(tmp_path.iterdir())


@pytest.mark.skipif(not os.path.exists("/dev/shm") or os.geteuid() == 0, reason="needs a user whom rights bind")
def test_a_folder_that_can_not_be_written_to_is_named_before_the_training(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OSError, match="checkpoint_dir="):
        RNNClassifier(**SMALL, checkpoint_dir=tmp_path / "inner").fit(SERIES, SERIES_LABELS)
    tmp_path.chmod(0o700)


@pytest.mark.skipif(not os.path.exists("/proc/self"), reason="needs a folder in which nobody can write")
def test_a_read_only_folder_is_named_before_the_training():
    model = RNNClassifier(**SMALL, checkpoint_dir="/proc/self/checkpoints")
    with pytest.raises(OSError, match="checkpoint_dir='/proc/self/checkpoints' can't be used"):
        model.fit(SERIES, SERIES_LABELS)
    assert not hasattr(model, "network_")


def test_a_full_disk_ends_no_training(tmp_path, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    model = RNNClassifier(**SMALL, checkpoint_dir=tmp_path)
    with pytest.warns(UserWarning, match="could not be written .*No space left"):
        model.fit(SERIES, SERIES_LABELS)
    assert weights_and_history(model) == weights_and_history(RNNClassifier(**SMALL).fit(SERIES, SERIES_LABELS))
