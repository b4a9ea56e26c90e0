"""Sixty days one after another with ten faults among them, and one clean build of the same deliveries: both come to the same archives."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress

from infra import processes
from infra.bench.cases import FEED, Case, Delivery
from infra.bench.contenders import INSTANCE, Contender, Lake
from infra.bench.measure import Measured, named
from infra.ledger import Ledger

SAYS = "60 days with ten faults among them, and one clean build"
ROUNDS = 1
DAYS = 60


def contenders(case: Case) -> list[Contender]:
    lake = Lake()
    rows = case.share(DAYS)

    def live(number: int) -> Measured:
        """Day after day; on some of them something goes wrong."""
        days = [case.day(n, rows) for n in range(DAYS)]
        faults = dict(zip(range(3, DAYS, DAYS // 10), FAULTS, strict=False))
        costs = []
        with lake.measuring() as measured:
            for n, day in enumerate(days):
                before, start = lake.stored(), time.monotonic()
                faults.get(n, _send)(lake, case, day)
                costs.append((time.monotonic() - start, lake.added(before)))
            lake.lake("run")
        measured.days = costs
        measured.written = sum(b for _, b in costs)
        return measured

    def anew(number: int) -> Measured:
        return lake.ingest([*case.register, *(case.day(n, rows) for n in range(DAYS))])

    return [
        Contender("day after day", lambda number: lake.load(case), live, lambda number: lake.outcome()),
        Contender("one build", lambda number: lake.fresh(), anew, lambda number: lake.outcome()),
    ]


# ---- what goes wrong ----


def _send(lake: Lake, case: Case, day: Delivery) -> None:
    lake.lake("ingest", FEED, str(day.path))


def _half_a_file_first(lake: Lake, case: Case, day: Delivery) -> None:
    """Its manifest states the rows of the whole: refused. The whole one follows."""
    data = day.path.read_bytes()
    _instead(lake, case, day, "half.csv", data[: len(data) // 2])
    _send(lake, case, day)


def _sent_twice(lake: Lake, case: Case, day: Delivery) -> None:
    _send(lake, case, day)
    _instead(lake, case, day, "again.csv", day.path.read_bytes())


def _spoilt(lake: Lake, case: Case, day: Delivery) -> None:
    """Every other date is none: too many bad rows, held back whole; the right one follows."""
    head, *lines = day.path.read_text(encoding="utf-8").splitlines(keepends=True)
    lines = [line.replace("-", "？") if n % 2 else line for n, line in enumerate(lines)]
    _instead(lake, case, day, "spoilt.csv", "".join((head, *lines)).encode())
    _send(lake, case, day)


def _withdrawn(lake: Lake, case: Case, day: Delivery) -> None:
    """Somebody else's rows under the same keys come too, are published, and are withdrawn."""
    text = day.path.read_text(encoding="utf-8").replace("路", "街")
    _send(lake, case, day)
    name = _instead(lake, case, day, "wrong.csv", text.encode())
    with Ledger(lake.context) as ledger:
        (wrong,) = [d.delivery_id for d in ledger.deliveries(FEED) if d.file_name == name]
    lake.lake("withdraw", wrong, "--reason", "错报")


def _replayed(lake: Lake, case: Case, day: Delivery) -> None:
    _send(lake, case, day)
    lake.lake("replay", FEED, "--from", day.as_of, "--to", day.as_of, "--by", "business", "--reason", "核对")


def _stopped_in_between(lake: Lake, case: Case, day: Delivery) -> None:
    lake.lake("down")
    lake.lake("up")
    _send(lake, case, day)


def _killed(step: str, service: str | None, after: float) -> Callable[[Lake, Case, Delivery], None]:
    """`kill -9` so many seconds into a step: of its program, or of a service. Airflow tries again."""

    def killed(lake: Lake, case: Case, day: Delivery) -> None:
        process = lake.begin("ingest", FEED, str(day.path))
        while process.poll() is None and not (programs := _programs(step)):
            time.sleep(0.2)
        time.sleep(after)
        for pid in programs if service is None else processes.find(lake.state, service):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.communicate()
        # What had failed for good waits for the next run.
        lake.lake("run", check=False)

    return killed


def _programs(step: str) -> set[int]:
    found = subprocess.run(["pgrep", "-f", f"spark_jobs.pipeline {step}"], capture_output=True, text=True).stdout.split()
    return {int(pid) for pid in found} & named(f"LAKE_INSTANCE={INSTANCE}")


def _instead(lake: Lake, case: Case, day: Delivery, name: str, data: bytes) -> str:
    """Send other bytes with the manifest of a day; return the name under which they were sent."""
    path = case.folder / f"{day.path.stem}-{name}"
    for made, content in (
        (path, data),
        (path.with_name(f"{path.name}.manifest.json"), day.path.with_name(f"{day.path.name}.manifest.json").read_bytes()),
    ):
        made.write_bytes(content)
        made.chmod(0o644)
    lake.lake("ingest", FEED, str(path), check=False)
    return path.name


FAULTS = (
    _half_a_file_first,
    _sent_twice,
    _killed("silver", None, 8),
    _spoilt,
    _killed("gold", "spark", 8),
    _withdrawn,
    _stopped_in_between,
    _replayed,
    _killed("publish", "trino", 3),
    _killed("ingest", "postgres", 2),
)
