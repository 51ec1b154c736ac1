"""When a fit is one on several processes, and the errors if the processes can't find each other."""

import threading
from datetime import timedelta

import pytest
import torch.distributed as dist

from seqclf import RNNClassifier, datasets
from seqclf._training import rendezvous
from seqclf._training.rendezvous import Member, meet, one_fit, runs_on_several

pytestmark = pytest.mark.skipif(not dist.is_available(), reason="torch has no distributed package")


@pytest.fixture
def _two_ranks(monkeypatch):
    for name, value in {"RANK": "0", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    for name in ("MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("_two_ranks")
def test_runs_on_several_with_rank_and_world_size(monkeypatch):
    assert runs_on_several()
    with one_fit():
        assert not runs_on_several(), "a fit in a callback runs alone"
    monkeypatch.setattr(rendezvous.multiprocessing, "parent_process", lambda: "a process")
    assert not runs_on_several(), "a worker of a search fits alone"
    monkeypatch.undo()
    assert not runs_on_several()


@pytest.mark.usefixtures("_two_ranks")
def test_world_size_of_one_runs_alone(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert not runs_on_several()


@pytest.mark.usefixtures("_two_ranks")
def test_fit_without_address_names_the_variables():
    X, y = datasets.make_order_series(20, n_steps=8, random_state=0, return_X_y=True)
    with pytest.raises(RuntimeError, match="not MASTER_ADDR and MASTER_PORT"):
        RNNClassifier().fit(X, y)


@pytest.mark.usefixtures("_two_ranks")
@pytest.mark.parametrize(("rank", "size"), [("2", "2"), ("-1", "2"), ("0", ""), ("first", "2")])
def test_fit_with_another_rank_or_size_names_both(monkeypatch, rank, size):
    addresses = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}
    for name, value in {"RANK": rank, "WORLD_SIZE": size, **addresses}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(RuntimeError, match=f"got RANK='{rank}' and WORLD_SIZE='{size}'"):
        meet()


@pytest.mark.usefixtures("_two_ranks")
def test_fit_in_another_thread_is_an_error():
    errors = []

    def fit():
        try:
            with one_fit():
                pass
        except RuntimeError as error:
            errors.append(str(error))

    with one_fit():
        thread = threading.Thread(target=fit)
        thread.start()
        thread.join()
    assert len(errors) == 1 and "one after another" in errors[0]


@pytest.mark.usefixtures("_two_ranks")
def test_meet_names_absent_ranks_and_detects_equal_ones(monkeypatch):
    monkeypatch.setattr(rendezvous, "_job", Member(0, 2, dist.HashStore()))
    monkeypatch.setattr(rendezvous, "_JOIN_TIMEOUT", timedelta(seconds=0.1))
    monkeypatch.setattr(rendezvous, "_n_fits", 0)
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", "1")
    with pytest.raises(RuntimeError, match=r"Rank 0 has waited 0:00:00.1\d* in fit for rank \[1\]"):
        meet()
    monkeypatch.setattr(rendezvous, "_n_fits", 0)
    with pytest.raises(RuntimeError, match="Two processes have RANK=0"):
        meet()


@pytest.mark.usefixtures("_two_ranks")
def test_meet_after_a_restart_by_torchrun_which_keeps_its_store(monkeypatch):
    store = dist.HashStore()
    monkeypatch.setattr(rendezvous, "_connect", lambda rank, size: store)
    monkeypatch.setattr(rendezvous, "_JOIN_TIMEOUT", timedelta(seconds=0.1))
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", "1")
    for attempt in ("0", "1"):  # a restarted process is a new one, with the initial values
        monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", attempt)
        monkeypatch.setattr(rendezvous, "_job", None)
        monkeypatch.setattr(rendezvous, "_n_fits", 0)
        with pytest.raises(RuntimeError, match="Rank 0 has waited"):
            meet()


@pytest.mark.usefixtures("_two_ranks")
def test_unreachable_address_is_an_error(monkeypatch):
    monkeypatch.setattr(rendezvous, "_JOIN_TIMEOUT", timedelta(seconds=0))
    monkeypatch.setattr(rendezvous, "_ANSWER_TIMEOUT", timedelta(seconds=1))
    for name, value in {"RANK": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(RuntimeError, match=r"Rank 1 can't reach MASTER_ADDR=127.0.0.1 and MASTER_PORT=1"):
        meet()
