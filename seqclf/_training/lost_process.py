"""What happens when a process of a fit ends early: the others learn which one, and why."""

import ctypes
import time
from collections.abc import Callable
from typing import Any

# An ended process that left no notice was killed. Notices of running processes arrive within this time.
_NOTICE_SECONDS = 3.0


class LostProcess(BaseException):
    """Another process of the fit has ended, or can't be reached; `fit` raises a RuntimeError instead.

    It is not an Exception, so that no handler inside `fit` takes it for an error of the data.
    """


class Notices:
    """The notices that processes leave in the store of addresses when a fit fails.

    Parameters
    ----------
    rank, size : int
        The number of this process, and the number of all.
    store : torch.distributed.Store
        The store, which one process or the launcher serves.
    """

    def __init__(self, rank: int, size: int, store: Any):
        self._rank, self._size, self._store = rank, size, store

    def post(self, error: BaseException, close: Callable[[], None]) -> None:
        """Leave the reason why this process ends, close its connections, and wait until the others have noticed.

        The store can be in this process, which must not end before the others have read it.
        """
        try:
            self._leave(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
            close()
            self._wait_for_all()
        except RuntimeError:  # The process with the store has ended, and can't pass the notice on.
            close()

    def explain(self) -> str:
        """Which process ended the fit, for the message of this one."""
        try:
            ended = self._ended()
        except RuntimeError:  # The first failed call stops this, because torch logs each of them at length.
            ended = ["rank 0 or the launcher was killed or can't be reached"]
        what = "; ".join(ended) or "the connection between the processes failed"
        return f"This fit on {self._size} processes has ended, and the estimator is unchanged: {what}."

    def _ended(self) -> list[str]:
        """The processes that stopped with an error; if there are none, those that left no notice."""
        reasons = self._reasons()
        self._leave("")
        left = self._wait_for_all()
        reasons = {rank: reason for rank, reason in (reasons or self._reasons()).items() if reason}
        if reasons:
            return [f"rank {rank} stopped with {reason}" for rank, reason in reasons.items()]
        return [f"rank {rank} was killed or can't be reached" for rank in range(self._size) if rank not in left]

    def _leave(self, text: str) -> None:
        self._store.set(_key(self._rank), text)

    def _wait_for_all(self) -> set[int]:
        """Wait until every process has left a notice, but not long; return the processes that have."""
        left, start = {self._rank}, time.monotonic()
        while len(left) < self._size and time.monotonic() - start < _NOTICE_SECONDS:
            time.sleep(0.05)
            left |= set(self._reasons())
        return left

    def _reasons(self) -> dict[int, str]:
        """The notices of all processes that have left one."""
        left = [rank for rank in range(self._size) if self._store.check([_key(rank)])]
        return {rank: self._store.get(_key(rank)).decode() for rank in left}


def _key(rank: int) -> str:
    return f"notice/{rank}"


def raise_in_thread(thread: int, error: type[BaseException]) -> None:
    """Raise an error in another Python thread, as Ctrl-C does in the main thread."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error))
