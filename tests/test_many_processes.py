"""One fit on several processes, started by torchrun or by hand: results, data, errors, and processes that end."""

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time

import pytest
import torch.distributed as dist

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not dist.is_available() or not dist.is_gloo_available(),
    reason="signals, and torch with gloo",
)

# Each rank prints lines of JSON with its rank.
SETTING = """
import hashlib, json, os, pickle, sys, time
import numpy as np
import seqclf
from seqclf import datasets

rank = int(os.environ.get("RANK", 0))

def show(**values):
    sys.stdout.write(json.dumps({"rank": rank, **values}) + chr(10))
    sys.stdout.flush()

def digest(model):
    arrays = model.network_.to_arrays()
    return hashlib.sha256(b"".join(arrays[name].tobytes() for name in sorted(arrays))).hexdigest()[:16]

texts, labels = datasets.make_order_reviews(500, random_state=0, return_X_y=True)
train, test = slice(0, 300), slice(300, None)

def reviews(**settings):
    return seqclf.RNNTextClassifier(**{"units": 8, "max_epochs": 3, "random_state": 0, "n_threads": 1} | settings)
"""


def environment_of(rank, size, port):
    variables = {"RANK": rank, "WORLD_SIZE": size, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return os.environ | {name: str(value) for name, value in variables.items()} | {"OMP_NUM_THREADS": "1"}


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture
def torchrun(tmp_path):
    """A function that runs a program in several processes, and returns the printed values of each rank."""

    def run(code, n_processes, **variables):
        program = tmp_path / f"program_{n_processes}.py"
        program.write_text(SETTING + textwrap.dedent(code))
        launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        command = [*launcher, "--nproc-per-node", str(n_processes), str(program)]
        environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"} | variables
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, env=environment)
        assert done.returncode == 0, done.stderr[-3000:]
        rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        by_rank = [[row for row in rows if row["rank"] == rank] for rank in range(n_processes)]
        return [[row | {"rank": None} for row in each] for each in by_rank]

    return run


@pytest.fixture
def start(tmp_path):
    """A function that starts a program in processes of ranks 0 to n - 1, without a launcher that ends them."""
    processes = []

    def run(code, n_processes, **variables):
        program, port = tmp_path / "program.py", free_port()
        program.write_text(SETTING + textwrap.dedent(code))
        for rank in range(n_processes):
            process = subprocess.Popen(
                [sys.executable, str(program)],
                env=environment_of(rank, n_processes, port) | variables,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            processes.append(process)
        return processes

    yield run
    for process in processes:
        process.kill()
        process.communicate()


def test_two_processes_train_one_model(torchrun):
    """One launch for many checks, because a launch takes seconds."""
    code = """
    from sklearn.model_selection import GridSearchCV

    model = reviews().fit(texts[train], labels[train])
    show(weights=digest(model), history=model.history_, score=model.score(texts[test], labels[test]))
    again = pickle.loads(pickle.dumps(model))
    show(equal=bool(np.array_equal(again.predict(texts[test]), model.predict(texts[test]))), threads=model.n_threads)

    # a sparse gradient of a large embedding, early stopping, random_state=None, and fewer rows than ranks in each batch
    words = [f"w{i} w{7 * i % 3000}" for i in range(3000)]
    wide = reviews(embedding_dim=64, wide=False, nb_ngrams=0, batch_size=999).fit(words, np.arange(3000) % 2)
    show(weights=digest(wide), large=wide.network_.embedding.weight.numel() > 100_000)
    series, y = datasets.make_order_series(40, n_steps=8, random_state=0, return_X_y=True)
    model = seqclf.RNNClassifier(units=4, patience=1, max_epochs=5).fit(series, y)
    next_number = int(np.random.randint(2**31))  # the global generators differ before the fit
    show(weights=digest(model), best=model.best_epoch_, history=model.history_, next=next_number)
    generator = np.random.RandomState(3)
    model = seqclf.RNNClassifier(units=4, max_epochs=2, batch_size=1, random_state=generator).fit(series, y)
    show(weights=digest(model), next=int(generator.randint(1000)))

    # errors are the same in all ranks
    for X, targets, units in (
        (series, np.zeros(40), 4), (series[:39], y, 4), (series[rank:], y[rank:], 4), (series, y, 4 + rank)
    ):
        try:
            model.set_params(units=units).fit(X, targets)
        except ValueError as error:
            show(error=str(error), unchanged=model.n_iter_)
    model.set_params(units=4, random_state=0)

    # searches
    search = GridSearchCV(model, {"units": [2, 4]}, cv=2).fit(series, y)
    show(best=digest(search.best_estimator_), scores=search.cv_results_["mean_test_score"].tolist())
    parallel = GridSearchCV(model, {"units": [2]}, cv=2, n_jobs=2, refit=False, error_score="raise").fit(series, y)
    show(parallel=parallel.cv_results_["mean_test_score"].tolist())
    """
    first, second = torchrun(code, 2)
    assert first == second
    fitted, pickled, sparse, stopped, single_rows, *errors, _, _ = first
    assert pickled["equal"]
    assert sparse["large"]
    assert len(stopped["history"]) <= 5
    assert single_rows["next"] >= 0
    alone = [scores_of_one_process(seed) for seed in range(3)]
    assert min(alone) - 0.05 <= fitted["score"] <= max(alone) + 0.05
    messages = [each["error"] for each in errors]
    assert "only one class" in messages[0]
    assert "39" in messages[1]
    assert messages[2].startswith("Ranks 0 and 1 call fit with different X, y.")
    assert messages[3].startswith("Ranks 0 and 1 call fit with different units.")
    assert {each["unchanged"] for each in errors} == {2}


def scores_of_one_process(seed):
    from seqclf import RNNTextClassifier, datasets

    texts, labels = datasets.make_order_reviews(500, random_state=0, return_X_y=True)
    model = RNNTextClassifier(units=8, max_epochs=3, random_state=seed, n_threads=1).fit(texts[:300], labels[:300])
    return model.score(texts[300:], labels[300:])


def test_killed_or_interrupted_process_ends_the_others(start):
    """No launcher ends them: the connections close, and the notice names the process."""
    code = """
    from seqclf._training.session import TrainingSession

    class Slow(seqclf.RNNTextClassifier):
        def _fit_encoder(self, rows, weights):
            if self.units == 9:
                show(state="preparing")
                for _ in range(900):
                    time.sleep(0.1)
            return super()._fit_encoder(rows, weights)

    run = TrainingSession.run
    TrainingSession.run = lambda *args, **kwargs: (show(state="training"), run(*args, **kwargs))
    if rank and UNITS == 9:
        show(state="waiting")
    model = Slow(units=UNITS, max_epochs=100_000, random_state=0)
    try:
        model.fit(texts, labels)
    except BaseException as error:
        show(error=type(error).__name__, message=str(error), fitted=hasattr(model, "network_"))
    """
    for units, number, ended in (
        (8, signal.SIGKILL, "rank 1 was killed or can't be reached."),
        (9, signal.SIGINT, "rank 1 stopped with KeyboardInterrupt."),
    ):
        processes = start(code.replace("UNITS", str(units)), 2)
        first, second = processes[-2:]
        assert "state" in json.loads(first.stdout.readline()) and "state" in json.loads(second.stdout.readline())
        second.send_signal(number)
        signalled = time.monotonic()
        row = json.loads(first.stdout.readline())
        assert time.monotonic() - signalled < 30
        assert row["error"] == "RuntimeError"
        assert row["message"].endswith(ended), row
        assert not row["fitted"]


@pytest.mark.slow
def test_four_processes_and_a_group_that_is_already_initialised(torchrun):
    code = """
    import torch.distributed as dist

    class Recorder:
        tasks = []
        def setup(self, estimator, context): pass
        def teardown(self, estimator, context): pass
        def on_fit_task_begin(self, estimator, context, **kwargs): pass
        def on_fit_task_end(self, estimator, context, **kwargs): self.tasks.append(rank)

    model = reviews().fit(texts[train], labels[train])
    show(weights=digest(model), score=model.score(texts[test], labels[test]))
    dist.init_process_group("gloo")
    recorder = Recorder()
    model = reviews().set_callbacks(recorder).fit(texts[train], labels[train])
    show(weights=digest(model), initialised=dist.is_initialized(), size=dist.get_world_size())
    show(called=recorder.tasks)
    dist.destroy_process_group()
    """
    ranks = torchrun(code, 4)
    called = [rank.pop()["called"] for rank in ranks]
    assert called == [[0] * 4, [], [], []]  # three epochs and the fit, in the first process only
    assert all(rank == ranks[0] for rank in ranks)
    fitted, again = ranks[0]
    assert fitted["weights"] == again["weights"]
    assert again["initialised"] and again["size"] == 4
    alone = [scores_of_one_process(seed) for seed in range(3)]
    assert min(alone) - 0.05 <= fitted["score"] <= max(alone) + 0.05


@pytest.mark.slow
def test_two_jobs_at_the_same_time_do_not_meet(torchrun):
    code = """
    seed = int(os.environ["JOB"])
    model = reviews(random_state=seed).fit(texts[train], labels[train])
    show(weights=digest(model))
    """
    together = [None, None]

    def run_job(job):
        together[job] = torchrun(code, 2, JOB=str(job))

    threads = [threading.Thread(target=run_job, args=(job,)) for job in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    alone = torchrun(code, 2, JOB="0")
    (first, second), (other_first, other_second) = together
    assert first == second == alone[0] == alone[1] != other_first == other_second


@pytest.mark.slow
def test_killed_fit_continues_from_its_checkpoint(torchrun, start, tmp_path):
    code = """
    from seqclf._training import checkpoint
    save = checkpoint.Checkpoint.save

    def save_and_end(self, session):
        save(self, session)
        if session.n_epochs == 2 and ENDS:
            os.kill(os.getpid(), 9)

    checkpoint.Checkpoint.save = save_and_end
    if not CONTINUES:
        show(weights=digest(reviews(max_epochs=4).fit(texts, labels)))
    else:
        show(state="fits")
        model = reviews(max_epochs=4, checkpoint_dir=os.environ["FOLDER"]).fit(texts, labels)
        show(weights=digest(model), epochs=[row["epoch"] for row in model.history_])
    """

    def program(ends, continues):
        return code.replace("ENDS", str(ends)).replace("CONTINUES", str(continues))

    whole, _ = torchrun(program(False, False), 2)
    folder = tmp_path / "checkpoints"
    processes = start(program(True, True), 2, FOLDER=str(folder))
    errors = [process.communicate(timeout=200)[1] for process in processes]
    assert "rank 0 or the launcher was killed" in errors[1]
    assert processes[0].returncode == -signal.SIGKILL and processes[1].returncode == 1
    assert len(list(folder.glob("*.ckpt"))) == 1
    first, second = torchrun(program(False, True), 2, FOLDER=str(folder))
    assert first[-1]["weights"] == second[-1]["weights"] == whole[0]["weights"]
    assert first[-1]["epochs"] == [1, 2, 3, 4]
    assert not list(folder.glob("*.ckpt"))
