"""Available memory, read from simulated system files."""

import os
import subprocess
import sys

import pytest

from seqclf._inference import available_memory
from seqclf._inference.available_memory import AvailableMemory, find_available_memory

MEMINFO = "MemTotal:  9000 kB\nMemFree:  100 kB\nMemAvailable:  5000 kB\nSwapFree:  1000 kB\nHugePages_Total:  0\n"
IN_GROUP = "in its control group (container)"


@pytest.fixture
def system(monkeypatch, tmp_path):
    """A function that writes the system files by path. The limit of the process itself is disabled."""
    monkeypatch.setattr(available_memory, "_PROC", tmp_path / "proc")
    monkeypatch.setattr(available_memory, "_CGROUP", tmp_path / "cgroup")
    monkeypatch.setattr(available_memory.sys, "platform", "a system with these files")

    def write(**files):
        for path, text in files.items():
            file = tmp_path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    return lambda files: write(**files)


def test_available_memory_is_none_without_system_files(system):
    assert find_available_memory() is None


def test_machine_memory_includes_free_swap(system):
    system({"proc/meminfo": MEMINFO})
    assert find_available_memory() == AvailableMemory(6000 * 1024, "on this machine")


@pytest.mark.parametrize("text", ["", "what is this\n", "MemAvailable: much\n", "MemTotal: 9000 kB\n", "\udcff"])
def test_unreadable_meminfo_is_ignored(system, text, monkeypatch):
    system({"proc/meminfo": "", "proc/self/cgroup": "0::/none\n"})
    monkeypatch.setattr(available_memory, "_read_text", lambda file: text if file.name == "meminfo" else "")
    assert find_available_memory() is None


def test_control_group_version_2(system):
    files = {
        "proc/self/cgroup": "0::/outer/inner\n",
        "cgroup/outer/inner/memory.max": "max\n",
        "cgroup/outer/inner/memory.current": "70000\n",
        "cgroup/outer/memory.max": "100000\n",
        "cgroup/outer/memory.current": "90000\n",
        "cgroup/outer/memory.stat": "anon 60000\nactive_file 4000\ninactive_file 5000\nslab_reclaimable 600\n",
    }
    system(files)
    assert find_available_memory() == AvailableMemory(19_600, IN_GROUP), "of the outer group, with cached files"
    system({"proc/meminfo": MEMINFO})
    assert find_available_memory() == AvailableMemory(19_600 + 1000 * 1024, IN_GROUP), "plus the free swap space"
    system({"cgroup/outer/memory.swap.max": "5000\n", "cgroup/outer/memory.swap.current": "2000\n"})
    assert find_available_memory() == AvailableMemory(19_600 + 3000, IN_GROUP)
    system({"cgroup/outer/memory.current": "200000\n"})
    assert find_available_memory() == AvailableMemory(3000, IN_GROUP), "not negative"


def test_control_group_version_1(system):
    files = {
        "proc/self/cgroup": "9:cpu:/box\n4:memory:/box\n",
        "cgroup/memory/box/memory.limit_in_bytes": "1000\n",
        "cgroup/memory/box/memory.usage_in_bytes": "400\n",
        "cgroup/memory/box/memory.stat": "total_active_file 30\ntotal_inactive_file 5\n",
        "cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        "cgroup/memory/memory.usage_in_bytes": "400\n",
    }
    system(files)
    assert find_available_memory() == AvailableMemory(635, IN_GROUP)


def test_container_whose_group_is_the_root(system):
    system({"proc/self/cgroup": "0::/\n", "cgroup/memory.max": "1000\n", "cgroup/memory.current": "400\n"})
    assert find_available_memory() == AvailableMemory(600, IN_GROUP)


def test_smallest_limit_is_used(system):
    system({"proc/meminfo": MEMINFO, "proc/self/cgroup": "0::/\n", "cgroup/memory.max": "99999999999\n"})
    assert find_available_memory() == AvailableMemory(6000 * 1024, "on this machine")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_address_space_limit():
    code = """
import resource
from seqclf._inference.available_memory import find_available_memory
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 2**28, -1))
left = find_available_memory()
print(2**28 - 2**23 < left.n_bytes <= 2**28, left.where)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "True of the address space (ulimit -v)\n", done.stderr


@pytest.mark.skipif(not os.path.exists("/proc/meminfo"), reason="reads /proc")
def test_memory_of_this_machine():
    assert find_available_memory().n_bytes > 2**20


def test_windows_reports_available_page_file(monkeypatch):
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
    monkeypatch.setattr(available_memory, "_read_text", lambda file: "")
    assert find_available_memory() == AvailableMemory(12345, "on this machine")
