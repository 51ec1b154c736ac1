"""Other libraries in separate environments under ``benchmarks/.peers``, and the workers that run in them.

A worker is a script of this folder that handles JSON requests (see `_serve.py`). Its environment is created with venv
and pip at its first use.
"""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
FOLDER = HERE / ".peers"
# On systems with a CUDA build of TensorFlow, the build without CUDA has a different name.
_TENSORFLOW = "tensorflow" if sys.platform == "darwin" else "tensorflow-cpu"
_PACKAGES = {"jax": ["keras>=3.10", "jax[cpu]"], "tensorflow": ["keras>=3.10", _TENSORFLOW]}
NAMES = {"jax": "Keras on JAX", "tensorflow": "Keras on TensorFlow"}


class Peer:
    """A worker in a separate environment; if it cannot be started, `problem` says why.

    Parameters
    ----------
    name : str
        The name in messages and tables.
    folder : str
        The folder of its environment, under ``benchmarks/.peers``.
    packages : list of str
        The packages that pip installs there.
    script : str
        The worker, a file of this folder.
    n_threads : int
        How many cores it can use.
    variables : dict, optional
        Environment variables for the worker.
    """

    def __init__(
        self,
        name: str,
        folder: str,
        packages: list[str],
        script: str,
        n_threads: int,
        variables: dict[str, str] | None = None,
    ):
        self.name, self.folder, self.packages = name, FOLDER / folder, packages
        self.variables = variables or {}
        self.process, self.problem, self.versions = None, None, ""
        try:
            self._start(self._environment(), script, n_threads)
        except (OSError, RuntimeError, subprocess.SubprocessError) as error:
            self.problem = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__

    def _environment(self) -> Path:
        folder = self.folder
        python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        done = folder / "installed"
        if not done.exists():
            print(f"Creating an environment with {self.name} in {folder} ...", file=sys.stderr)
            venv.create(folder, with_pip=True, clear=True)
            (FOLDER / ".gitignore").write_text("*\n")
            pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
            command = [*pip, *self.packages]
            installed = subprocess.run(command, capture_output=True, text=True, timeout=1800)
            if installed.returncode:
                raise RuntimeError(f"pip could not install {self.name}: {installed.stderr[-500:]}")
            done.touch()
        return python

    def _start(self, python: Path, script: str, n_threads: int) -> None:
        environment = os.environ | self.variables
        environment.pop("PYTHONPATH", None)
        before = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
        if before is not None and n_threads < len(before):
            # XLA creates a thread for each core that it sees; the worker inherits the affinity of this process.
            os.sched_setaffinity(0, sorted(before)[:n_threads])
        try:
            self.process = subprocess.Popen(
                [str(python), str(HERE / script)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment,
            )  # fmt: skip
        finally:
            if before is not None:
                os.sched_setaffinity(0, before)
        self.versions = self._receive()["versions"]

    def _receive(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the worker with {self.name} ended with status {self.process.wait()}")
        response = json.loads(line)
        if "error" in response:
            raise RuntimeError(f"{self.name}: {response['error']}")
        return response

    def request(self, **content) -> dict:
        """Send a request and wait for the response."""
        print(json.dumps(content), file=self.process.stdin, flush=True)
        return self._receive()

    def close(self) -> None:
        """Stop the worker."""
        if self.process is not None:
            self.process.stdin.close()
            self.process.wait(30)


class KerasPeer(Peer):
    """A worker with Keras.

    Parameters
    ----------
    backend : {"jax", "tensorflow"}
        The backend of Keras.
    script : str
        The worker, a file of this folder.
    n_threads : int
        How many cores it can use.
    """

    def __init__(self, backend: str, script: str, n_threads: int):
        self.backend = backend
        variables = {
            "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3",
            "TF_NUM_INTRAOP_THREADS": str(n_threads), "TF_NUM_INTEROP_THREADS": str(n_threads),
        }  # fmt: skip
        super().__init__(NAMES[backend], f"keras-{backend}", _PACKAGES[backend], script, n_threads, variables)


def start_peers(backends: list[str], script: str, n_threads: int) -> list[KerasPeer]:
    """The workers that can be started; print which are skipped, and why."""
    peers = []
    for backend in backends:
        peer = KerasPeer(backend, script, n_threads)
        if peer.problem is None:
            peers.append(peer)
        else:
            print(f"{peer.name} is skipped: {peer.problem}")
    return peers
