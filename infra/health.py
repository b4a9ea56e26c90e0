"""Ask every service at once how it is, and say the truth about those that do not answer."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from pathlib import Path

from infra import processes, supervision
from infra.services import SERVICES
from infra.services.base import Context, Service

SECONDS = 20


@dataclass(frozen=True)
class Condition:
    """How one service is. ``healthy`` only if its process runs and it did real work just now."""

    service: str
    what: str
    healthy: bool
    state: str
    says: str
    pid: int
    up_seconds: int
    memory: int
    port: int | None


# What a service's process is before it is the service: for an instant a copy of the supervisor, then the wrapper.
_NOT_YET = (b"supervisor.supervisord", b"infra.run_service")


def _became(pid: int) -> bool:
    """Whether the process lives and is the service already. Until then, orphans of a killed one may still answer on its port."""
    try:
        program = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return bool(program) and not any(name in program for name in _NOT_YET)


def _ask(context: Context, service: Service) -> tuple[bool, str]:
    try:
        return True, service.health(context)
    except Exception as error:
        return False, (str(error).strip().splitlines() or [type(error).__name__])[0][:160]


def _in_background(context: Context, service: Service) -> Future[tuple[bool, str]]:
    """Ask in a thread that never keeps the program alive: a service may hang for ever."""
    future: Future[tuple[bool, str]] = Future()
    threading.Thread(target=lambda: future.set_result(_ask(context, service)), daemon=True).start()
    return future


def conditions(context: Context, only: Iterable[str] | None = None, measure: bool = True) -> list[Condition]:
    """Return the condition of the services (all, or ``only`` those named), asked in parallel; ``measure`` their memory too."""
    states = supervision.states(context.settings)
    chosen = [s for s in SERVICES if only is None or s.name in set(only)]
    owners = processes.find(context.settings.state) if measure else {}
    live = {s.name for s in chosen if states.get(s.name, {}).get("statename") in ("RUNNING", "STARTING")}
    asked = {s.name: _in_background(context, s) for s in chosen if s.name in live and _became(states[s.name]["pid"])}
    result = []
    for service in chosen:
        info = states.get(service.name)
        healthy, says = False, "the supervisor is not running" if not states else "being prepared" if service.name in live else "not running"
        if service.name in asked:
            try:
                healthy, says = asked[service.name].result(timeout=SECONDS)
            except FutureTimeout:
                says = f"no answer within {SECONDS} s"
        pids = [pid for pid, name in owners.items() if name == service.name]
        result.append(
            Condition(
                service.name, service.what, healthy, info["statename"] if info else "DOWN", says, info["pid"] if info else 0,
                max(0, info["now"] - info["start"]) if info and info["pid"] else 0, processes.memory(pids), context.settings.port(service.port) if service.port else None,
            )
        )  # fmt: skip
    return result


def duration(seconds: int) -> str:
    return str(dt.timedelta(seconds=seconds))
