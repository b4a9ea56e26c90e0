"""Who does the work: the lake itself, as an instance of its own, and other ways to do the same."""

from __future__ import annotations

import csv
import functools
import hashlib
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path

import psycopg

from infra import credentials, settings
from infra.bench.cases import FEED, Case, Delivery
from infra.bench.measure import Measured, measuring, named, tree
from infra.bench.peers.common import COLUMNS, applied
from infra.deliveries import feed as contract_of
from infra.deliveries import hand_over
from infra.pipelines import STEPS
from infra.services.base import Context
from infra.services.postgres import connect
from infra.services.trino import as_publisher
from infra.settings import REPO

INSTANCE, PORT_OFFSET = "bench", 6000
REBUILD = ("land", "refine", "archive", "marts")  # the stages of a peer that builds everything that comes of the register
REBUILD_ALL = ("land", "records", "refine", "archive", "marts")  # of all feeds: changes of codes are known before the register is told apart
DRIVER_MEMORY = "3g"  # of the scripts, as large as the lake's Spark


@dataclass(frozen=True)
class Outcome:
    """What a contender came to: rows of the archive (and records of the feeds), and a digest over them in the order of their ids."""

    rows: int
    digest: str


@dataclass(frozen=True)
class Contender:
    """``prepare`` is not timed; ``work`` is, by its own stages where it can tell them; ``outcome`` says what came out (None: nothing to compare)."""

    name: str
    prepare: Callable[[int], None]
    work: Callable[[int], Measured]
    outcome: Callable[[int], Outcome | None] = lambda number: None


def digest(rows: Iterable[tuple[object, ...]]) -> Outcome:
    """Of rows that come in the order of their first column."""
    told, number = hashlib.sha256(), 0
    for row in rows:
        told.update(("\x1f".join("" if v is None else str(v) for v in row) + "\n").encode())
        number += 1
    return Outcome(number, told.hexdigest())


# ---- the lake ----


class Lake:
    """The instance ``bench``, driven through ``./lake`` as a user would."""

    def __init__(self) -> None:
        self.state = REPO / ".lake" / "instances" / INSTANCE

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        environment = {**os.environ, "LAKE_INSTANCE": INSTANCE}
        return subprocess.Popen([str(REPO / "lake"), *arguments], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip

    def lake(self, *arguments: str, check: bool = True) -> str:
        """What ``./lake`` says. ``check``: raise RuntimeError where it fails."""
        process = self.begin(*arguments)
        said, complained = process.communicate()
        if check and process.returncode:
            raise RuntimeError(f"./lake {' '.join(arguments)} ended with {process.returncode}\n{said[-2000:]}\n{complained[-2000:]}")
        return said

    def fresh(self) -> None:
        """An empty instance, all services up."""
        if (self.state / "run" / "supervisord.pid").exists():
            self.lake("down")
        shutil.rmtree(self.state, ignore_errors=True)
        self.state.mkdir(parents=True)
        ports = settings.tomllib.loads((REPO / "infra" / "settings.toml").read_text())["ports"]
        path = self.state / "settings.toml"
        path.write_text("[ports]\n" + "".join(f"{name} = {port + PORT_OFFSET}\n" for name, port in ports.items()))
        path.chmod(0o644)
        settings.load.cache_clear()
        self.lake("up")

    def loaded(self, case: Case) -> None:
        """The instance with the register in it, whatever came after it."""
        if not (self.state / "warehouse" / "gold_tables.db").exists():
            self.load(case)

    def load(self, case: Case) -> None:
        """The instance with the register in it and nothing else: as a first load has just left it, or made anew."""
        if self._held() != str(case.city):
            self.fresh()
            self.first_load(case)

    def first_load(self, case: Case) -> Measured:
        """Take the register into a fresh instance."""
        measured = self.ingest(case.register)
        self._holds.write_text(str(case.city))
        return measured

    def load_all(self, case: Case) -> None:
        """As `load`, with all feeds."""
        if self._held() != _all_of(case):
            self.fresh()
            self.first_load_of_all(case)

    def first_load_of_all(self, case: Case) -> Measured:
        """Take all feeds into a fresh instance."""
        measured = self.ingest_all(case.sent)
        self._holds.write_text(_all_of(case))
        return measured

    @property
    def _holds(self) -> Path:
        """Names the city whose register, or whose feeds, and no more, the instance holds."""
        return self.state / "holds-register-of"

    def _held(self) -> str:
        return self._holds.read_text() if self._holds.exists() else ""

    def measuring(self) -> AbstractContextManager[Measured]:
        """Measure all processes of the instance."""
        return measuring(lambda: named(f"LAKE_INSTANCE={INSTANCE}"))

    @property
    def context(self) -> Context:
        found = settings.load(INSTANCE)
        return Context(found, credentials.load(found))

    def ingest(self, deliveries: Iterable[Delivery]) -> Measured:
        """Hand files over and follow them to the publication; stages as Airflow timed its tasks, ``between`` is all that is none of them."""
        self._holds.unlink(missing_ok=True)
        files = [str(d.path) for d in deliveries]
        return self._timed(lambda: self.lake("ingest", FEED, *files))

    def ingest_all(self, deliveries: Iterable[Delivery]) -> Measured:
        """Hand files of any feeds over, as `./lake ingest` does for one, and follow one run to the publication; stages as in `ingest`."""
        self._holds.unlink(missing_ok=True)
        files: dict[str, list[Path]] = {}
        for delivery in deliveries:
            files.setdefault(delivery.feed, []).append(delivery.path)

        def work() -> None:
            for feed, paths in files.items():
                hand_over(self.context, contract_of(feed), paths, {})
            self._give_to_services()
            self.lake("run")

        return self._timed(work)

    def _give_to_services(self) -> None:
        """What lies in the inboxes belongs to the user that the services run as, as if `./lake` had put it there; the bench is root."""
        if os.geteuid() == 0:
            landing = self.context.settings.landing
            for path in (landing, *landing.rglob("*")):
                shutil.chown(path, self.state.owner(), self.state.group())

    def run(self) -> Measured:
        return self._timed(lambda: self.lake("run"))

    def _timed(self, work: Callable[[], object]) -> Measured:
        before, begin = self._newest_task(), time.time()
        with self.measuring() as measured:
            work()
        measured.stages = self._tasks(before)
        measured.stages["between"] = measured.seconds - sum(measured.stages.values())
        measured.stages["(of them gates)"] = self._gates(begin)
        return measured

    def _gates(self, since: float) -> float:
        """Seconds that the gates took, as the steps have told Airflow's logs."""
        logs = [p for p in (self.state / "logs" / "airflow-tasks").rglob("*.log") if p.stat().st_mtime >= since]
        return sum(float(s) for p in logs for s in re.findall(r"项检查，用时 (\d+\.\d) 秒", p.read_text(encoding="utf-8", errors="replace")))

    def _newest_task(self) -> str:
        with self._airflow() as airflow:
            return str(airflow.execute("SELECT coalesce(max(start_date)::text, '') FROM task_instance").fetchone()[0])  # type: ignore[index]

    def _tasks(self, since: str) -> dict[str, float]:
        """Seconds from the first task of each step's DAG to its last: of ingest, there is one for each feed, two at once."""
        with self._airflow() as airflow:
            rows = airflow.execute(
                "SELECT dag_id, extract(epoch FROM max(end_date) - min(start_date)) FROM task_instance WHERE start_date IS NOT NULL AND end_date IS NOT NULL"
                " AND start_date::text > %s AND dag_id = ANY(%s) GROUP BY dag_id ORDER BY min(start_date)",
                (since, list(STEPS)),
            ).fetchall()
        return {dag: float(seconds) for dag, seconds in rows}

    def _airflow(self) -> psycopg.Connection:
        return connect(self.context, "airflow")

    def outcome(self) -> Outcome:
        return digest(self._archive())

    def outcome_of_all(self, feeds: Iterable[str]) -> Outcome:
        """Of the archive and of what stands in the records of the feeds; the register has none."""
        records = ((feed, *row) for feed in sorted(set(feeds) - {FEED}) for row in self._asked(applied(f"lake.silver.{feed}")))
        return digest(itertools.chain(self._archive(), records))

    def _archive(self) -> Iterator[tuple[object, ...]]:
        return self._asked(f"SELECT {', '.join(COLUMNS)} FROM lake.gold.archive_subject ORDER BY subject_id")  # noqa: S608 - our own columns

    def _asked(self, query: str) -> Iterator[tuple[object, ...]]:
        cursor = as_publisher(self.context).cursor()
        cursor.execute(query)
        return (tuple(row) for row in iter(cursor.fetchone, None))

    def added(self, before: dict[str, int]) -> int:
        """How many bytes the tables have got since they were as `stored` said."""
        return sum(size for path, size in self.stored().items() if path not in before)

    def stored(self) -> dict[str, int]:
        """Bytes of all table files by name of file: what is new after a step is what it has written."""
        return {str(p): p.stat().st_size for p in (self.state / "warehouse").rglob("*") if p.is_file()}


def _all_of(case: Case) -> str:
    return f"all feeds of {case.city}"


# ---- others ----


def program(case: Case, name: str, stages: Iterable[str], deliveries: Callable[[int], list[Delivery]], compared: bool = True) -> Contender:
    """A peer in ``infra/bench/peers``: one process for each stage, ``python NAME.py STAGE FOLDER DELIVERIES``.

    ``compared``: its stage ``export``, which is not timed, leaves archive.csv and, where there are other feeds than the register, records.csv,
    whose rows are what came out.
    """
    folder = case.folder / name
    listed = folder / "deliveries.json"
    environment = {**os.environ, "BENCH_MEMORY": DRIVER_MEMORY}

    def command(stage: str) -> list[str]:
        return [sys.executable, "-P", "-m", f"infra.bench.peers.{name}", stage, str(folder), str(listed)]

    def prepare(number: int) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        listed.write_text(json.dumps([asdict(d) for d in deliveries(number)], default=str))

    def work(number: int) -> Measured:
        whole = Measured()
        for stage in stages:
            with (folder / f"{stage}.log").open("w") as log:
                process = subprocess.Popen(command(stage), stdout=log, stderr=subprocess.STDOUT, cwd=REPO, env=environment)
                with measuring(functools.partial(tree, process.pid)) as measured:
                    process.wait()
            if process.returncode:
                raise RuntimeError(f"{name} {stage} ended with {process.returncode}\n{(folder / f'{stage}.log').read_text()[-3000:]}")
            whole.stages[stage] = measured.seconds
            whole.seconds += measured.seconds
            whole.peak = max(whole.peak, measured.peak)
            whole.read, whole.written, whole.processor = (
                whole.read + measured.read,
                whole.written + measured.written,
                whole.processor + measured.processor,
            )
            whole.load = max(whole.load, measured.load)
        return whole

    def outcome(number: int) -> Outcome | None:
        if not compared:
            return None
        with (folder / "export.log").open("w") as log:
            subprocess.run(command("export"), check=True, stdout=log, stderr=subprocess.STDOUT, cwd=REPO, env=environment)
        return digest(itertools.chain(*(_rows(folder / name) for name in ("archive.csv", "records.csv"))))

    return Contender(name, prepare, work, outcome)


def _rows(path: Path) -> Iterator[tuple[str, ...]]:
    """The rows of a CSV; none where it isn't there."""
    if path.exists():
        with path.open(encoding="utf-8", newline="") as file:
            yield from map(tuple, csv.reader(file))
