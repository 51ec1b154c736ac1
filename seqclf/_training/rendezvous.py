"""How the processes of a fit find each other: torch.distributed if it is initialised, or RANK and WORLD_SIZE."""

import multiprocessing
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NamedTuple

import torch.distributed as dist

from seqclf._native.threads import in_forked_process

# A process can call `fit` later than another by less than this, for example because it loads the data first.
_JOIN_TIMEOUT = timedelta(minutes=30)
# The store answers in milliseconds.
_ANSWER_TIMEOUT = timedelta(seconds=10)


class Member(NamedTuple):
    """One process of a fit."""

    rank: int
    size: int
    store: Any  # torch.distributed.Store, for this fit only


# The thread that runs the present fit on several processes, the number of such fits so far, and the store of the job.
_lock = threading.Lock()
_thread: int | None = None
_n_fits = 0
_job: Member | None = None


def runs_on_several() -> bool:
    """Whether a fit of this process is one on several processes.

    Processes that this one starts, such as the workers of a parallel search, have the same environment, but fit alone.
    So does a fit within a fit, in a callback of the first process.
    """
    if _thread == threading.get_ident() or in_forked_process() or not dist.is_available():
        return False
    if dist.is_initialized():
        return dist.get_world_size() > 1
    has_rank = "RANK" in os.environ and os.environ.get("WORLD_SIZE", "1") != "1"
    return has_rank and multiprocessing.parent_process() is None


@contextmanager
def one_fit() -> Iterator[None]:
    """The block of a fit on several processes, of which only one can run in a process at a time."""
    global _thread
    with _lock:
        if _thread is not None:
            raise RuntimeError(
                "Another thread of this process runs a fit on several processes. Such fits have to run one after "
                "another, in the same order in all processes."
            )
        _thread = threading.get_ident()
    try:
        yield
    finally:
        _thread = None


def meet() -> Member:
    """Wait for the other processes of the job to start the same fit.

    Raises
    ------
    RuntimeError
        If they don't within 30 minutes, or another process has the same rank.
    """
    global _n_fits
    job = _find_job()
    _n_fits += 1
    member = job._replace(store=dist.PrefixStore(f"seqclf/{_n_fits}", job.store))
    if member.store.add(f"joined/{member.rank}", 1) > 1:
        raise RuntimeError(
            f"Two processes have RANK={member.rank} at the same MASTER_ADDR and MASTER_PORT. Two jobs on one machine "
            "need different ports. A program that one of the processes starts needs an environment without WORLD_SIZE."
        )
    absent, start = set(range(member.size)), time.monotonic()
    while absent := {rank for rank in absent if not member.store.check([f"joined/{rank}"])}:
        if time.monotonic() - start > _JOIN_TIMEOUT.total_seconds():
            raise RuntimeError(
                f"Rank {member.rank} has waited {_JOIN_TIMEOUT} in fit for rank {sorted(absent)}. With RANK and "
                "WORLD_SIZE set, every process has to call fit."
            )
        time.sleep(0.01)
    return member


def _find_job() -> Member:
    """The rank of this process, the number of processes, and a store of the whole job."""
    global _job
    if dist.is_initialized():
        return Member(dist.get_rank(), dist.get_world_size(), dist.distributed_c10d._get_default_store())
    if _job is None:
        if unset := [name for name in ("MASTER_ADDR", "MASTER_PORT") if name not in os.environ]:
            raise RuntimeError(
                f"RANK and WORLD_SIZE are set, but not {' and '.join(unset)}. To fit on several processes, set all "
                "four; to fit in one, unset WORLD_SIZE."
            )
        rank, size = _rank_and_size()
        # torchrun keeps its store when it restarts the processes, so each attempt needs keys of its own.
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        _job = Member(rank, size, dist.PrefixStore(f"attempt/{attempt}", _connect(rank, size)))
    return _job


def _rank_and_size() -> tuple[int, int]:
    rank, size = os.environ["RANK"], os.environ["WORLD_SIZE"]
    if not (rank.isdecimal() and size.isdecimal() and int(rank) < int(size)):
        raise RuntimeError(
            f"Expected RANK from 0 to WORLD_SIZE - 1, got RANK={rank!r} and WORLD_SIZE={size!r}. To fit in one "
            "process, unset WORLD_SIZE."
        )
    return int(rank), int(size)


def _connect(rank: int, size: int) -> Any:
    """The store at MASTER_ADDR and MASTER_PORT, which torchrun or the first process serves.

    `torch.distributed.rendezvous` returns the same store, but Ctrl-C does not end its wait for the other processes.
    """
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    serves = rank == 0 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
    start = time.monotonic()
    while True:
        try:
            store = dist.TCPStore(
                address, port, size, serves, _ANSWER_TIMEOUT, wait_for_workers=False, multi_tenant=True
            )
        except dist.DistError as error:
            if serves or time.monotonic() - start > _JOIN_TIMEOUT.total_seconds():
                raise RuntimeError(
                    f"Rank {rank} can't reach MASTER_ADDR={address} and MASTER_PORT={port}: {error}"
                ) from error
        else:
            return store
