"""`ProcessGroup`: sums, averages and errors of several processes, which are threads here, with connections of gloo."""

import threading
import time

import numpy as np
import pytest
import torch
import torch.distributed as dist

from seqclf._tasks.classification import Classification
from seqclf._training.config import TrainingConfig
from seqclf._training.lost_process import LostProcess, Notices
from seqclf._training.process_group import JoinedProcesses, ProcessGroup
from seqclf._training.rendezvous import Member
from seqclf._training.session import TrainingSession

pytestmark = pytest.mark.skipif(not dist.is_available() or not dist.is_gloo_available(), reason="torch has no gloo")


@pytest.fixture
def run_ranks():
    """A function that calls `work(group)` in the thread of each rank, and returns the results or errors by rank."""

    def run(work, size=2):
        store, results = dist.HashStore(), [None] * size

        def run_rank(rank):
            group = JoinedProcesses(Member(rank, size, store))
            try:
                group.connect()
                results[rank] = work(group)
            except BaseException as error:
                results[rank] = error
            finally:
                group.close()

        threads = [threading.Thread(target=run_rank, args=(rank,), daemon=True) for rank in range(size)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
            assert not thread.is_alive(), "a rank is still waiting after 60 s"
        return results

    return run


def values_of(group, parameters):
    return [None if each.grad is None else each.grad.to_dense().tolist() for each in parameters]


@pytest.mark.parametrize("size", [2, 3])
def test_rows_of_rank_divide_a_batch(run_ranks, size):
    for n in (0, 1, size, 7):
        parts = run_ranks(lambda group, n=n: group.rows_of_rank(np.arange(n)), size)
        assert sorted(np.concatenate(parts).tolist()) == list(range(n))
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_sum_gradients_adds_dense_gradients_and_leaves_out_those_that_no_process_has(run_ranks):
    def work(group):
        parameters = [torch.zeros(2, 2), torch.zeros(3), torch.zeros(1)]
        parameters[0].grad = torch.full((2, 2), 1.0 + group.rank)
        if group.rank == 1:
            parameters[1].grad = torch.tensor([1.0, 2.0, 3.0])
        group.sum_gradients(parameters, None)
        return values_of(group, parameters)

    first, second = run_ranks(work)
    assert first == second == [[[3.0, 3.0], [3.0, 3.0]], [1.0, 2.0, 3.0], None]


def test_sum_gradients_of_rows_equals_the_dense_sum_with_equal_bits(run_ranks):
    """Each step has more rows than the one before, or none in one process, or none in all."""
    rng = np.random.default_rng(0)
    steps = [[(rng.choice(50, n, replace=False), rng.normal(size=(n, 4))) for n in ns] for ns in ((3, 5), (20, 0))]

    def work(group):
        sums = []
        for step in steps:
            dense, embedding = torch.zeros(1), torch.zeros(50, 4)
            dense.grad = torch.ones(1)
            indices, rows = step[group.rank]
            if len(indices):
                values = torch.from_numpy(rows).float()
                ids = torch.from_numpy(np.sort(indices))[None]
                embedding.grad = torch.sparse_coo_tensor(ids, values, (50, 4), check_invariants=False)
            group.sum_gradients([dense, embedding], embedding)
            assert dense.grad.tolist() == [2.0]
            sums.append(embedding.grad.to_dense().numpy())
        embedding.grad = None
        group.sum_gradients([dense, embedding], embedding)
        assert embedding.grad is None
        return sums

    first, second = run_ranks(work)
    for one, other, step in zip(first, second, steps, strict=True):
        assert one.tobytes() == other.tobytes()
        expected = np.zeros((50, 4))
        for indices, rows in step:
            expected[np.sort(indices)] += rows
        np.testing.assert_allclose(one, expected, rtol=1e-5, atol=1e-6)


def test_average_weights_processes_and_copy_from_first_copies(run_ranks):
    def work(group):
        averaged, untouched, copied = torch.full((2,), float(group.rank)), torch.ones(1), torch.full((3,), group.rank)
        group.average([averaged], weight=3 - 2 * group.rank)
        group.average([untouched], weight=0)
        copied = copied.float()
        group.copy_from_first([copied, copied[:0]])
        return averaged.tolist(), untouched.tolist(), copied.tolist()

    assert run_ranks(work) == [([0.25, 0.25], [1.0], [0.0, 0.0, 0.0])] * 2


def test_gather_and_on_first_return_values_of_other_processes(run_ranks):
    def work(group):
        gathered = group.gather({"rank": group.rank, "text": "x" * 1000 * group.rank})
        tensors = group.gather_tensors([torch.full((group.rank,), 7)])
        result = group.on_first(lambda: ("only in", group.rank))
        unsent = group.on_first(lambda: threading.Lock(), send=False)
        return [len(each["text"]) for each in gathered], tensors[1][0].tolist(), result, unsent is None

    expected = [0, 1000, 2000], [7], ("only in", 0)
    assert run_ranks(work, 3) == [(*expected, False), (*expected, True), (*expected, True)]


class _Unpicklable(Exception):
    def __init__(self, text):
        super().__init__(text)
        self.lock = threading.Lock()


def test_error_on_first_is_raised_in_all_processes(run_ranks):
    def fail():
        raise KeyError("no such key")

    def fail_without_pickle():
        raise _Unpicklable("a lock")

    first, second = run_ranks(lambda group: group.on_first(fail))
    assert isinstance(first, KeyError) and isinstance(second, KeyError) and first.args == second.args
    first, second = run_ranks(lambda group: group.on_first(fail_without_pickle))
    assert isinstance(first, _Unpicklable)
    assert isinstance(second, RuntimeError) and str(second) == "_Unpicklable: a lock"


def test_process_that_ends_stops_the_others_even_during_work_of_the_first(run_ranks):
    """The work of the first process is interrupted."""

    def work(group):
        if group.rank == 2:
            group.close()
            return "ended"
        start = time.monotonic()
        try:
            group.on_first(lambda: [time.sleep(0.05) for _ in range(600)])
        except LostProcess:
            return time.monotonic() - start
        return None

    *seconds, ended = run_ranks(work, 3)
    assert ended == "ended"
    assert all(each < 20 for each in seconds), seconds


def test_notices_name_the_process_that_stopped(monkeypatch):
    monkeypatch.setattr("seqclf._training.lost_process._NOTICE_SECONDS", 1.0)

    def explain(reasons):
        store, found = dist.HashStore(), {}

        def run_rank(rank):
            notices = Notices(rank, 3, store)
            if rank in reasons:
                notices.post(reasons[rank], lambda: None)
            else:
                time.sleep(0.2)  # the others notice after the process has posted
                found[rank] = notices.explain()

        threads = [threading.Thread(target=run_rank, args=(rank,)) for rank in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return found

    prefix = "This fit on 3 processes has ended, and the estimator is unchanged: "
    assert explain({1: ValueError("too few")}) == {0: f"{prefix}rank 1 stopped with ValueError: too few."}
    assert explain({0: KeyboardInterrupt()}) == {1: f"{prefix}rank 0 stopped with KeyboardInterrupt."}
    killed = f"{prefix}rank 2 was killed or can't be reached."
    assert explain({}) == {0: killed, 1: killed}


def test_session_of_two_processes_trains_like_one(run_ranks, make_data, make_network, make_task):
    """Without dropout they differ by rounding only; rows have weights, and a batch can have fewer rows than ranks."""
    settings = {"optimizer": "adam", "learning_rate": 1e-2, "schedule": "one_cycle", "weight_decay": 1e-3, "l1": 1e-3}
    settings |= {"max_grad_norm": 0.1, "batch_size": 3, "max_epochs": 3, "patience": 2, "tol": 0.0, "verbose": 0}
    config = TrainingConfig(**settings, step_name="tokens")
    lengths = [4, 3, 5, 2, 6, 1, 4, 0, 2, 3]
    training, validation = make_data(lengths, weights=np.linspace(0.5, 2, 10)), make_data([3, 1, 2], seed=1)

    def train(group):
        task: Classification = make_task({0: 1.0, 1: 3.0})
        session = TrainingSession(config, task, make_network(), np.random.RandomState(0), group)
        session.run(training, validation)
        history = [{name: value for name, value in row.items() if name != "seconds"} for row in session.history]
        return session.network.to_arrays(), history, session.state_dict()["generator"]

    alone, history, generator = train(ProcessGroup())
    for size in (2, 4):
        ranks = run_ranks(train, size)
        for arrays, rank_history, generators in ranks:
            assert rank_history == ranks[0][1]
            assert len(generators) == size * len(generator)
            for row, expected in zip(rank_history, history, strict=True):
                assert row == pytest.approx(expected, rel=1e-4)
            for name, array in arrays.items():
                assert array.tobytes() == ranks[0][0][name].tobytes(), name
                np.testing.assert_allclose(array, alone[name], rtol=1e-3, atol=1e-5, err_msg=name)


def test_weights_of_the_processes_have_equal_bits_before_they_are_copied(
    run_ranks, make_data, make_network, make_task, monkeypatch
):
    """The copy is for processors of different kinds; on one machine it changes nothing."""
    monkeypatch.setattr(JoinedProcesses, "copy_from_first", lambda *args: None)
    settings = {"optimizer": "rmsprop", "learning_rate": 1e-2, "schedule": "constant", "weight_decay": 0.0, "l1": 0.0}
    settings |= {"max_grad_norm": 1.0, "batch_size": 4, "max_epochs": 2, "patience": None, "tol": 0.0, "verbose": 0}
    config = TrainingConfig(**settings, step_name="tokens")

    def train(group):
        network = make_network(dropout=0.5, token_dropout=0.2)
        session = TrainingSession(config, make_task(), network, np.random.RandomState(0), group)
        session.run(make_data([4, 3, 5, 2, 6, 1, 4, 0, 2]))
        return b"".join(array.tobytes() for array in network.to_arrays().values())

    first, second, third = run_ranks(train, 3)
    assert first == second == third


def test_session_continues_with_the_generator_of_each_process(run_ranks, make_data, make_network, make_task):
    settings = {"optimizer": "adam", "learning_rate": 1e-2, "schedule": "constant", "weight_decay": 0.0, "l1": 0.0}
    settings |= {"max_grad_norm": 1.0, "batch_size": 4, "max_epochs": 2, "patience": None, "tol": 0.0, "verbose": 0}
    config, data = TrainingConfig(**settings, step_name="tokens"), make_data([4, 3, 5, 2, 6, 1, 4, 0, 2])

    def train(group, n_epochs, state=None):
        network = make_network(dropout=0.5)
        session = TrainingSession(config, make_task(), network, np.random.RandomState(0), group)
        if state is not None:
            session.load_state_dict(state)
        session.run(data, n_epochs=n_epochs)
        return session.state_dict(), b"".join(array.tobytes() for array in network.to_arrays().values())

    whole = [weights for _, weights in run_ranks(lambda group: train(group, 2))]
    state, _ = run_ranks(lambda group: train(group, 1))[0]
    continued = [weights for _, weights in run_ranks(lambda group: train(group, 1, state))]
    assert continued == whole
