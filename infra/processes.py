"""Find the processes of a service by the marks that it is started with."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path


def find(state: Path, service: str | None = None) -> dict[int, str]:
    """Return ``{pid: service}`` of our processes that belong to this instance.

    A service starts with a mark in its environment and in ``data/<service>`` as working directory;
    children inherit both, so a process is found whose parent was killed. Two signs are needed since
    programs that set their own title (Airflow, PostgreSQL) overwrite the environment's memory.
    """
    found = {}
    mark = f"LAKE_STATE={state}".encode()
    data = state / "data"
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            variables = (entry / "environ").read_bytes().split(b"\0")
            folder = (entry / "cwd").readlink()
        except OSError:  # gone, or somebody else's
            continue
        name = next((v[13:].decode() for v in variables if v.startswith(b"LAKE_SERVICE=")), "") if mark in variables else ""
        if not name and folder.is_relative_to(data) and folder != data:
            name = folder.relative_to(data).parts[0]
        if name and service in (None, name):
            found[int(entry.name)] = name
    return found


def kill_leftovers(state: Path, service: str) -> int:
    """End what a former life of ``service`` left running; return how many processes that were."""
    own = os.getpid()
    count = 0
    for _ in range(50):
        pids = [pid for pid in find(state, service) if pid != own]
        if not pids:
            break
        count = max(count, len(pids))
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)
    return count


def memory(pids: list[int]) -> int:
    """Resident bytes of the processes; pages that several share are counted once (PSS)."""
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total
