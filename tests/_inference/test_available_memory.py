"""What the system says of memory that is left, read from files like its own."""

import os
import subprocess
import sys

import pytest

from seqclf._inference import available_memory
from seqclf._inference.available_memory import Left, left_memory

MEMINFO = "MemTotal:  9000 kB\nMemFree:  100 kB\nMemAvailable:  5000 kB\nSwapFree:  1000 kB\nHugePages_Total:  0\n"
GROUP = "in its control group (container)"


@pytest.fixture
def system(monkeypatch, tmp_path):
    """A function that writes the files of a system, by path; what the process itself may take is left out."""
    monkeypatch.setattr(available_memory, "_PROC", tmp_path / "proc")
    monkeypatch.setattr(available_memory, "_CGROUP", tmp_path / "cgroup")
    monkeypatch.setattr(available_memory.sys, "platform", "a system with these files")

    def write(**files):
        for path, text in files.items():
            file = tmp_path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    return lambda files: write(**files)


def test_nothing_is_known_of_a_system_without_such_files(system):
    assert left_memory() is None


def test_the_machine_has_what_is_available_and_free_to_swap(system):
    system({"proc/meminfo": MEMINFO})
    assert left_memory() == Left(6000 * 1024, "on this machine")


@pytest.mark.parametrize("text", ["", "what is this\n", "MemAvailable: much\n", "MemTotal: 9000 kB\n", "\udcff"])
def test_what_is_not_understood_is_left_out(system, text, monkeypatch):
    system({"proc/meminfo": "", "proc/self/cgroup": "0::/none\n"})
    monkeypatch.setattr(available_memory, "_text", lambda file: text if file.name == "meminfo" else "")
    assert left_memory() is None


def test_a_control_group_of_version_2(system):
    files = {
        "proc/self/cgroup": "0::/outer/inner\n",
        "cgroup/outer/inner/memory.max": "max\n",
        "cgroup/outer/inner/memory.current": "70000\n",
        "cgroup/outer/memory.max": "100000\n",
        "cgroup/outer/memory.current": "90000\n",
        "cgroup/outer/memory.stat": "anon 60000\nactive_file 4000\ninactive_file 5000\nslab_reclaimable 600\n",
    }
    system(files)
    assert left_memory() == Left(19_600, GROUP), "that of the outer group, and the files that it keeps in memory"
    system({"proc/meminfo": MEMINFO})
    assert left_memory() == Left(19_600 + 1000 * 1024, GROUP), "it may swap as much as there is room for"
    system({"cgroup/outer/memory.swap.max": "5000\n", "cgroup/outer/memory.swap.current": "2000\n"})
    assert left_memory() == Left(19_600 + 3000, GROUP)
    system({"cgroup/outer/memory.current": "200000\n"})
    assert left_memory() == Left(3000, GROUP), "not less than nothing"


def test_a_control_group_of_version_1(system):
    files = {
        "proc/self/cgroup": "9:cpu:/box\n4:memory:/box\n",
        "cgroup/memory/box/memory.limit_in_bytes": "1000\n",
        "cgroup/memory/box/memory.usage_in_bytes": "400\n",
        "cgroup/memory/box/memory.stat": "total_active_file 30\ntotal_inactive_file 5\n",
        "cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        "cgroup/memory/memory.usage_in_bytes": "400\n",
    }
    system(files)
    assert left_memory() == Left(635, GROUP)


def test_a_container_that_sees_its_own_group_as_the_root(system):
    system({"proc/self/cgroup": "0::/\n", "cgroup/memory.max": "1000\n", "cgroup/memory.current": "400\n"})
    assert left_memory() == Left(600, GROUP)


def test_the_least_of_all_limits_counts(system):
    system({"proc/meminfo": MEMINFO, "proc/self/cgroup": "0::/\n", "cgroup/memory.max": "99999999999\n"})
    assert left_memory() == Left(6000 * 1024, "on this machine")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_limit_of_the_address_space():
    code = """
import resource
from seqclf._inference.available_memory import left_memory
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 2**28, -1))
left = left_memory()
print(2**28 - 2**23 < left.n_bytes <= 2**28, left.where)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "True of the address space (ulimit -v)\n", done.stderr


@pytest.mark.skipif(not os.path.exists("/proc/meminfo"), reason="reads /proc")
def test_this_machine_has_some():
    assert left_memory().n_bytes > 2**20


def test_windows_is_asked_for_what_may_be_committed(monkeypatch):
    class Kernel32:
        def GlobalMemoryStatusEx(self, pointer):
            status = pointer._obj
            assert status.length == 64, "the size of MEMORYSTATUSEX"
            status.available_page_file = 12345
            return 1

    class Windll:
        kernel32 = Kernel32()

    monkeypatch.setattr(available_memory.sys, "platform", "win32")
    monkeypatch.setattr(available_memory.ctypes, "windll", Windll, raising=False)
    monkeypatch.setattr(available_memory, "_text", lambda file: "")
    assert left_memory() == Left(12345, "on this machine")
