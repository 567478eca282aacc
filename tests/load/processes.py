"""What processes took: CPU seconds and memory of whole trees of them, from /proc."""

import os
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

_TICK = os.sysconf("SC_CLK_TCK")
_PARENT, _USER, _SYSTEM = 1, 11, 12
"""Where they stand in /proc/PID/stat, counted after the name."""


def family(roots: Iterable[int]) -> set[int]:
    """These processes and all below them."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        if stat := _stat(int(folder.name)):
            children.setdefault(int(stat[_PARENT]), []).append(int(folder.name))
    found: set[int] = set()
    waiting = list(roots)
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting += children.get(pid, [])
    return found


def cpu_seconds(roots: Iterable[int]) -> float:
    """CPU time of all of them, user and system. Of a process that ended in between, nothing is known."""
    return sum(cpu_by_process(roots).values())


def cpu_by_process(roots: Iterable[int]) -> dict[int, float]:
    """The same of each of them."""
    stats = {pid: _stat(pid) for pid in family(roots)}
    return {pid: (int(stat[_USER]) + int(stat[_SYSTEM])) / _TICK for pid, stat in stats.items() if stat}


def memory(roots: Iterable[int]) -> int:
    """Bytes that they hold in memory (Pss: what is shared counts once, split among those that share it)."""
    return sum(_pss(pid) for pid in family(roots))


def file_pages(roots: Iterable[int]) -> int:
    """The part of `memory` that is pages of files (the database, programs): the system's cache, which it takes back at need."""
    return sum(_pss(pid, "Pss_File:") for pid in family(roots))


def _stat(pid: int) -> list[str] | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None


def _pss(pid: int, kind: str = "Pss:") -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith(kind))


class MemoryWatch:
    """Looks at the memory of processes while something runs, and keeps the most that was seen."""

    def __init__(self, roots: Iterable[int], every: float = 0.1) -> None:
        self._roots = tuple(roots)
        self._every = every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.before = 0
        """Bytes before it began."""
        self.peak = 0
        """Bytes at most."""

    def __enter__(self) -> Self:
        self.before = self.peak = memory(self._roots)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(self._every):
            self.peak = max(self.peak, memory(self._roots))


def machine() -> dict[str, str]:
    """What this machine is, without its name."""
    processor = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ),
        os.uname().machine,
    )
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cores": f"{len(os.sched_getaffinity(0))} ({processor})",
        "memory": f"{pages / 2**30:.0f} GiB",
        "kernel": os.uname().release,
        "load average": f"{os.getloadavg()[1]:.0f}",
        "date": time.strftime("%Y-%m-%d"),
    }
