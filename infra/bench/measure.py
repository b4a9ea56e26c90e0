"""How long, how much memory, how many bytes: of a tree of processes, and of the machine meanwhile."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

EVERY = 0.5  # seconds between two looks
MEMORY_EVERY = 10  # looks, and sooner at the beginning: adding up a process's memory walks through all its pages and would itself be a load


@dataclass
class Measured:
    """``seconds`` wall; ``peak`` bytes of memory (PSS of all processes, added up); ``read`` and ``written`` bytes that they asked of files and pipes;
    ``processor`` seconds; ``load``: processor seconds of everybody on the machine per second, at most its cores."""

    seconds: float = 0.0
    peak: int = 0
    read: int = 0
    written: int = 0
    processor: float = 0.0
    load: float = 0.0
    stages: dict[str, float] = field(default_factory=dict)
    days: list[tuple[float, int]] = field(default_factory=list)  # seconds and bytes of each of several days


@contextmanager
def measuring(processes: Callable[[], set[int]]) -> Iterator[Measured]:
    """Measure what happens inside the block. ``processes`` names those that count; new ones are looked for all the time."""
    found = Measured()
    begins: dict[int, tuple[int, int, float]] = {}
    last: dict[int, tuple[int, int, float]] = {}
    stop = threading.Event()

    def look(memory: bool) -> None:
        total, first = 0, not last
        for pid in processes():
            with suppress(OSError, ValueError, KeyError):
                total += _pss(pid) if memory else 0
                numbers = _counters(pid)
                # What had run before counts from now; what comes later counts from its start.
                begins.setdefault(pid, numbers if first else (0, 0, 0.0))
                last[pid] = numbers
        found.peak = max(found.peak, total)

    begin = time.monotonic()
    look(memory=True)

    def watch() -> None:
        looks = 0
        while not stop.wait(EVERY):
            looks += 1
            look(memory=looks in (1, 2, 4) or looks % MEMORY_EVERY == 0)

    busy = _busy()
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield found
    finally:
        found.seconds = time.monotonic() - begin
        found.load = (_busy() - busy) / found.seconds
        stop.set()
        watcher.join()
        look(memory=True)
        found.read = sum(last[p][0] - begins[p][0] for p in last)
        found.written = sum(last[p][1] - begins[p][1] for p in last)
        found.processor = sum(last[p][2] - begins[p][2] for p in last)


def tree(root: int) -> set[int]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError, IndexError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found, waiting = set(), [root]
    while waiting:
        pid = waiting.pop()
        found.add(pid)
        waiting += children.get(pid, [])
    return found


def named(variable: str) -> set[int]:
    """All processes that have ``NAME=value`` in their environment."""
    wanted, found = variable.encode(), set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    found.add(int(entry.name))
    return found


def _pss(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def _counters(pid: int) -> tuple[int, int, float]:
    io = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
    times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(io["rchar"]), int(io["wchar"]), (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")


def _busy() -> float:
    """Processor seconds of the machine since it started, but for idling and waiting."""
    numbers = [int(n) for n in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(numbers) - numbers[3] - numbers[4]) / os.sysconf("SC_CLK_TCK")
