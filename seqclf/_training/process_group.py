"""`ProcessGroup`: the processes that train one network together, or the only process.

The processes communicate through torch's gloo on the CPU; the gradients of networks on GPUs through NCCL, if each
process has its own GPU. All of them run the same code, and every collective operation is called in all of them in the
same order.
"""

import os
import pickle
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from platform import node
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from seqclf._training.gradient_sum import GradientSum
from seqclf._training.lost_process import LostProcess, Notices, raise_in_thread
from seqclf._training.rendezvous import Member, meet, one_fit, runs_on_several

Result = TypeVar("Result")

# A process that ends closes its connections, and the others get an error at once. This timeout is for a machine that is
# no longer reachable. Between two operations, one process can be later than another by less than this.
_TIMEOUT = timedelta(minutes=2)
# While the first process works alone, all processes check at this interval that the others are running.
_CHECK_SECONDS = 1.0


class ProcessGroup:
    """The processes of a fit. This class is for a fit in one process, which communicates with no other.

    Attributes
    ----------
    rank : int
        The number of this process, from 0.
    size : int
        The number of processes.
    """

    rank, size = 0, 1

    @property
    def n_threads(self) -> int | None:
        """The default number of threads of each process; None for the default of a single process."""
        return None

    def device(self, device: torch.device) -> torch.device:
        """The device of this process, if the user chose `device`."""
        return device

    def rows_of_rank(self, rows: np.ndarray) -> np.ndarray:
        """The rows of a batch that this process computes; there can be none."""
        return rows

    def sum_gradients(self, parameters: Sequence[Tensor], sparse: Tensor | None) -> None:
        """Replace the gradient of each parameter by its sum over all processes.

        Parameters
        ----------
        parameters : sequence of Tensor
            All parameters.
        sparse : Tensor or None
            The parameter with a sparse gradient, if there is one.
        """

    def average(self, tensors: Sequence[Tensor], weight: float) -> None:
        """Replace the tensors by their weighted averages over all processes."""

    def on_first(self, function: Callable[[], Result], *, send: bool = True) -> Result:
        """Call a function in the first process only; all return its result, or raise its error.

        Without `send`, the other processes return None.
        """
        return function()

    def gather(self, value: Result) -> list[Result]:
        """The values of all processes, by rank."""
        return [value]

    def gather_tensors(self, tensors: list[Tensor]) -> list[list[Tensor]]:
        """The tensors of all processes, by rank; those of several processes are on the CPU."""
        return [tensors]

    def copy_from_first(self, tensors: Sequence[Tensor]) -> None:
        """Copy the values of the first process into the tensors of the others."""


@contextmanager
def joined_processes() -> Iterator[ProcessGroup]:
    """The group of a fit, which ends with the block; after an error in one process, all of them raise one."""
    if not runs_on_several():
        yield ProcessGroup()
        return
    with one_fit():
        member = meet()
        notices, group = Notices(*member), JoinedProcesses(member)
        try:
            group.connect()
            yield group
        except LostProcess as lost:
            group.close()
            raise RuntimeError(notices.explain()) from lost.__cause__
        except BaseException as error:
            notices.post(error, group.close)
            raise
        finally:
            group.close()


class JoinedProcesses(ProcessGroup):
    """Several processes.

    Parameters
    ----------
    member : Member
        This process, and the store in which the processes find each other.
    """

    def __init__(self, member: Member):
        self.rank, self.size, self._store = member
        self._gloo: Any = None
        self._nccl: Any = None
        self._sum = GradientSum(self)

    def connect(self) -> None:
        """Connect the processes; at the end, each is connected to all others."""
        try:
            self._gloo = dist.ProcessGroupGloo(self._store, self.rank, self.size, _TIMEOUT)
        except RuntimeError as error:
            raise LostProcess from error
        self._is_over(0.0)

    @property
    def n_threads(self) -> int | None:
        """The processors of this machine divided by its processes, unless OMP_NUM_THREADS is set."""
        n_local = os.environ.get("LOCAL_WORLD_SIZE", "")
        if "OMP_NUM_THREADS" in os.environ or not n_local.isdecimal():
            return None
        return max(1, torch.get_num_threads() // max(1, int(n_local)))

    def device(self, device: torch.device) -> torch.device:
        """A CUDA device without a number is the one of LOCAL_RANK, so that each process has its own."""
        local_rank = os.environ.get("LOCAL_RANK", "")
        if device.type == "cuda" and device.index is None and local_rank.isdecimal():
            device = torch.device("cuda", int(local_rank) % torch.cuda.device_count())
        everywhere = self.gather((device.type, str(device), os.environ.get("CUDA_VISIBLE_DEVICES"), node()))
        if len({kind for kind, *_ in everywhere}) > 1:
            names = ", ".join(f"rank {rank}: {name}" for rank, (_, name, *_) in enumerate(everywhere))
            raise ValueError(f"All processes of a fit need the same kind of device, but they have: {names}.")
        if device.type == "cuda" and len(set(everywhere)) == self.size:
            options = dist.ProcessGroupNCCL.Options()
            options._timeout = _TIMEOUT
            self._nccl = dist.ProcessGroupNCCL(dist.PrefixStore("nccl", self._store), self.rank, self.size, options)
        return device

    def rows_of_rank(self, rows: np.ndarray) -> np.ndarray:
        """Every `size`-th row: the rows are sorted by length, so all processes get about the same number of steps."""
        return rows[self.rank :: self.size]

    def sum_gradients(self, parameters: Sequence[Tensor], sparse: Tensor | None) -> None:
        """The sum, with the same bits in all processes."""
        self._sum(parameters, sparse)

    def all_reduce(self, values: Tensor) -> Tensor:
        """The sum of the tensors of all processes; it can overwrite `values`."""
        if values.device.type == "cpu":
            _wait(self._gloo.allreduce([values]))
        elif self._nccl is not None:
            _wait(self._nccl.allreduce([values]))
        else:
            return self.all_reduce(values.cpu()).to(values.device)
        return values

    def all_gather(self, values: Tensor) -> Tensor:
        """The tensors of all processes, which have the same shape on the CPU, along a new first dimension."""
        gathered = values.new_empty(self.size * values.numel())
        _wait(self._gloo._allgather_base(gathered, values.reshape(-1)))
        return gathered.view(self.size, *values.shape)

    def on_first(self, function: Callable[[], Result], *, send: bool = True) -> Result:
        """In the other processes, wait for the first one, however long it takes, as long as all are running."""
        if self.rank:
            while not self._is_over(0.0):
                pass
            value, error = self._broadcast(None)
            if error is not None:
                raise error
            return value
        error = None
        with self._checking():
            try:
                value = function()
                content = pickle.dumps((value if send else None, None), pickle.HIGHEST_PROTOCOL)
            except Exception as failed:
                error, content = failed, _pickled_error(failed)
        self._broadcast(content)
        if error is not None:
            raise error
        return value

    def gather(self, value: Result) -> list[Result]:
        """The values are pickled."""
        content = _as_tensor(pickle.dumps(value, pickle.HIGHEST_PROTOCOL))
        sizes = self.all_gather(torch.tensor([len(content)])).flatten().tolist()
        padded = content.new_zeros(max(sizes))
        padded[: len(content)] = content
        each = self.all_gather(padded)
        return [pickle.loads(one[:n].numpy().data) for one, n in zip(each, sizes, strict=True)]

    def gather_tensors(self, tensors: list[Tensor]) -> list[list[Tensor]]:
        """They are copied to the CPU, where they are pickled."""
        return self.gather([tensor.cpu() for tensor in tensors])

    def average(self, tensors: Sequence[Tensor], weight: float) -> None:
        """All tensors in one message; they stay as they are if no process has a weight above 0."""
        weights = torch.tensor([float(weight)])
        total = self.all_reduce(torch.cat([weight * _joined(tensors), weights]))
        if total[-1] > 0:
            _set_values(tensors, total[:-1] / total[-1])

    def copy_from_first(self, tensors: Sequence[Tensor]) -> None:
        """All tensors in one message."""
        values = _joined(tensors)
        _wait(self._gloo.broadcast(values, 0))
        if self.rank:
            _set_values(tensors, values)

    def close(self) -> None:
        """Close the connections."""
        self._gloo = self._nccl = None

    def _broadcast(self, content: bytes | None) -> Any:
        """The object that the first process has pickled."""
        n = torch.tensor([0 if content is None else len(content)])
        _wait(self._gloo.broadcast(n, 0))
        message = torch.empty(int(n), dtype=torch.uint8) if content is None else _as_tensor(content)
        _wait(self._gloo.broadcast(message, 0))
        return None if content is not None else pickle.loads(message.numpy().data)

    def _is_over(self, over: float) -> bool:
        """Whether the first process has said that its work is over; an error if a process has ended."""
        return bool(self.all_reduce(torch.tensor([over])))

    @contextmanager
    def _checking(self) -> Iterator[None]:
        """In the first process, check that the others are running while it works; raise LostProcess if not."""
        over, lock, worker = threading.Event(), threading.Lock(), threading.get_ident()

        def check() -> None:
            try:
                while not over.wait(_CHECK_SECONDS):
                    self._is_over(0.0)
            except LostProcess:
                with lock:
                    if not over.is_set():
                        raise_in_thread(worker, LostProcess)

        thread = threading.Thread(target=check, daemon=True)
        thread.start()
        try:
            yield
        finally:
            with lock:
                over.set()
            thread.join()
        self._is_over(1.0)


def _wait(operation: Any) -> None:
    try:
        operation.wait()
    except RuntimeError as error:
        raise LostProcess from error


def _joined(tensors: Sequence[Tensor]) -> Tensor:
    """A copy of all values in one vector on the CPU."""
    return torch.cat([torch.empty(0), *(tensor.detach().reshape(-1).cpu() for tensor in tensors)])


@torch.no_grad()
def _set_values(tensors: Sequence[Tensor], values: Tensor) -> None:
    """The inverse of `_joined`."""
    for tensor, new in zip(tensors, values.split([each.numel() for each in tensors]), strict=True):
        tensor.copy_(new.view_as(tensor))


def _as_tensor(content: bytes) -> Tensor:
    return torch.from_numpy(np.frombuffer(bytearray(content), dtype=np.uint8))


def _pickled_error(error: Exception) -> bytes:
    """The error for the other processes; one that can't be pickled becomes a RuntimeError."""
    try:
        content = pickle.dumps((None, error))
        pickle.loads(content)
    except Exception:
        content = pickle.dumps((None, RuntimeError(f"{type(error).__name__}: {error}")))
    return content
