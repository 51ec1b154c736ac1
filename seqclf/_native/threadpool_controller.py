"""Lets threadpoolctl list the compiled library, and limit its threads. Imported only if threadpoolctl is installed."""

from pathlib import Path
from typing import ClassVar

import threadpoolctl

from seqclf._native.threads import default_threads, set_thread_limit, thread_limit


class _NoLimit(int):
    """The default number of threads, reported while there is no limit.

    threadpoolctl restores the numbers that it found, for example after each limit on BLAS. Setting this number removes
    the limit. A plain number would become a limit, and later changes of torch's number could not raise it.
    """


class KernelsController(threadpoolctl.LibController):  # type: ignore[misc]
    """The threads of the compiled library; a limit applies to the calling thread, as those of OpenMP do."""

    user_api = "seqclf"
    internal_api = "seqclf"
    filename_prefixes: ClassVar[tuple[str, ...]] = ()
    check_symbols = ("seqclf_interface",)  # Files of other packages can have the same name.

    def get_num_threads(self) -> int:
        """The limit, or the default without a limit."""
        limit = thread_limit()
        return _NoLimit(default_threads()) if limit is None else limit

    def set_num_threads(self, num_threads: int) -> None:
        """Set the limit of the calling thread."""
        set_thread_limit(None if isinstance(num_threads, _NoLimit) else max(int(num_threads), 1))

    def get_version(self) -> str | None:
        """The version of the interface between Python and the library."""
        interface = getattr(self.dynlib, "seqclf_interface", None)
        return None if interface is None else str(interface())


def register(path: Path) -> None:
    """Make the loaded library at `path` known to threadpoolctl; a second call changes nothing."""
    name = path.resolve().name.lower()  # threadpoolctl compares the names of files, without links and in lower case
    if name not in KernelsController.filename_prefixes:
        KernelsController.filename_prefixes += (name,)
        threadpoolctl.register(KernelsController)
