"""Who does the work: the lake itself, as an instance of its own, and other ways to do the same."""

from __future__ import annotations

import csv
import functools
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import psycopg

from infra import credentials, settings
from infra.bench.cases import FEED, Case, Delivery
from infra.bench.measure import Measured, measuring, named, tree
from infra.bench.peers.common import COLUMNS
from infra.services.base import Context
from infra.services.postgres import connect
from infra.services.trino import as_publisher
from infra.settings import REPO

INSTANCE, PORT_OFFSET = "bench", 6000
REBUILD = ("land", "refine", "archive", "marts")  # the stages of a peer that builds everything
DRIVER_MEMORY = "3g"  # of the scripts, as large as the lake's Spark


@dataclass(frozen=True)
class Outcome:
    """What a contender came to: rows of the archive, and a digest over them in the order of their ids."""

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
        """A fresh instance with the register in it, unless one is there."""
        if not (self.state / "warehouse" / "gold_tables.db").exists():
            self.load(case)

    def load(self, case: Case) -> None:
        """A fresh instance with the register in it."""
        self.fresh()
        self.ingest(case.register)

    def measuring(self) -> AbstractContextManager[Measured]:
        """Measure all processes of the instance."""
        return measuring(lambda: named(f"LAKE_INSTANCE={INSTANCE}"))

    @property
    def context(self) -> Context:
        found = settings.load(INSTANCE)
        return Context(found, credentials.load(found))

    def ingest(self, deliveries: Iterable[Delivery]) -> Measured:
        """Hand files over and follow them to the publication; stages as Airflow timed its tasks, ``between`` is all that is none of them."""
        files = [str(d.path) for d in deliveries]
        return self._timed(lambda: self.lake("ingest", FEED, *files))

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
        with self._airflow() as airflow:
            rows = airflow.execute(
                "SELECT task_id, extract(epoch FROM end_date - start_date) FROM task_instance WHERE start_date IS NOT NULL AND end_date IS NOT NULL"
                " AND start_date::text > %s ORDER BY start_date",
                (since,),
            ).fetchall()
        return {task: float(seconds) for task, seconds in rows}

    def _airflow(self) -> psycopg.Connection:
        return connect(self.context, "airflow")

    def outcome(self) -> Outcome:
        cursor = as_publisher(self.context).cursor()
        cursor.execute(f"SELECT {', '.join(COLUMNS)} FROM lake.gold.archive_subject ORDER BY subject_id")  # noqa: S608 - our own columns
        return digest(tuple(row) for row in iter(cursor.fetchone, None))

    def added(self, before: dict[str, int]) -> int:
        """How many bytes the tables have got since they were as `stored` said."""
        return sum(size for path, size in self.stored().items() if path not in before)

    def stored(self) -> dict[str, int]:
        """Bytes of all table files by name of file: what is new after a step is what it has written."""
        return {str(p): p.stat().st_size for p in (self.state / "warehouse").rglob("*") if p.is_file()}


# ---- others ----


def program(case: Case, name: str, stages: Iterable[str], deliveries: Callable[[int], list[Delivery]], compared: bool = True) -> Contender:
    """A peer in ``infra/bench/peers``: one process for each stage, ``python NAME.py STAGE FOLDER DELIVERIES``.

    ``compared``: its stage ``export``, which is not timed, leaves archive.csv, whose rows are what came out.
    """
    folder = case.folder / name
    listed = folder / "deliveries.json"
    environment = {**os.environ, "BENCH_MEMORY": DRIVER_MEMORY}

    def command(stage: str) -> list[str]:
        return [sys.executable, "-P", "-m", f"infra.bench.peers.{name}", stage, str(folder), str(listed)]

    def prepare(number: int) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        listed.write_text(json.dumps([[str(d.path), d.as_of, d.revision] for d in deliveries(number)]))

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
        with (folder / "archive.csv").open(encoding="utf-8", newline="") as file:
            return digest(tuple(row) for row in csv.reader(file))

    return Contender(name, prepare, work, outcome)
