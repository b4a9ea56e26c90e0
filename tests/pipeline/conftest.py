"""The stack after ``./lake demo``, and ways to drive single steps of a run."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from infra.services.trino import as_publisher
from infra.settings import HOST

STEP = "import runpy, sys; sys.argv = ['pipeline', *sys.argv[1:]]; runpy.run_module('spark_jobs.pipeline', run_name='__main__')"
CANDIDATES = """
import sys
from catalog.contract import load_contracts
from catalog.derive import table_name
from infra.ledger import Ledger
from spark_jobs import delta, pipeline, session
context = session.context()
spark = session.connect(context)
with Ledger(context) as ledger:
    ledger.built(sys.argv[1], [delta.current_version(spark, table_name(c)) for c in pipeline.released_tables(load_contracts())])
"""
DBT = """
import sys, uuid
from spark_jobs import dbt_runs, session
result = dbt_runs.invoke(session.context(), str(uuid.uuid4()), *sys.argv[1:])
sys.exit(0 if result.success else 1)
"""


class Published:
    """The demonstrated stack (everything of ``stack`` works here too)."""

    def __init__(self, stack: Any) -> None:
        self._stack = stack

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stack, name)

    def deliver(self, path: Path, content: bytes) -> None:
        """Put a file into an inbox as a department would: written beside it, then moved in."""
        temporary = path.with_name(f".{path.name}.new")
        temporary.write_bytes(content)
        temporary.chmod(0o644)
        temporary.replace(path)

    def step(self, name: str, run_id: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """One step of a run, without Airflow."""
        return self._stack.python(STEP, name, "--run-id", run_id, check=check)

    def note_candidates(self, run_id: str) -> None:
        self._stack.python(CANDIDATES, run_id)

    def dbt(self, *arguments: str) -> str:
        return self._stack.python(DBT, *arguments).stdout

    def background_run(self) -> subprocess.Popen[str]:
        environment = {**os.environ, "LAKE_INSTANCE": self._stack.name}
        from infra.settings import REPO

        return subprocess.Popen([str(REPO / "lake"), "run"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True)

    def programs(self, words: str) -> list[int]:
        """Programs of this instance whose command line has ``words``."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    mine = f"LAKE_INSTANCE={self._stack.name}".encode() in (entry / "environ").read_bytes().split(b"\0")
                except OSError:
                    continue
                if mine and f"-m {words}" in line:
                    found.append(int(entry.name))
        return found

    def kill(self, pid: int, signal: int) -> None:
        os.kill(pid, signal)

    def database(self, name: str) -> dict[str, Any]:
        return {
            "host": HOST,
            "port": self._stack.ports["postgres"],
            "dbname": name,
            "user": name,
            "password": self._stack.context.secrets[f"postgres_{name}"],
        }

    def as_publisher(self, sql: str) -> list[Any]:
        return as_publisher(self._stack.context).cursor().execute(sql).fetchall()


@pytest.fixture(scope="session")
def published(demonstrated: Any) -> Published:
    return Published(demonstrated)
