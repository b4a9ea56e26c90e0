"""The stack after ``./lake demo --small``, and ways to drive single steps of a run."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from filings import send_marks
from forms import send_forms
from injuries import compacting
from recoded import Codes

from infra.services.trino import as_publisher
from infra.settings import HOST, REPO

SERVICE_USER = "lake"
# A step of the pipeline, after ``injury`` has been done to the program: a wrong rule, a lost row.
STEP = """
import sys
from spark_jobs import pipeline
exec(sys.argv[2])
sys.argv = ['pipeline', sys.argv[1]]
sys.exit(pipeline.main())
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

    def step(self, name: str, injury: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        """One step of a run, without Airflow; ``injury`` is Python that damages the program first."""
        return self._stack.python(STEP, name, injury, check=check)

    def publish(self, injury: str = "", injured: str = "ingest") -> str:
        """All steps of a run, without Airflow; ``injury`` to the one that is ``injured``. Returns the release that readers then see."""
        for name in ("ingest", "silver", "gold", "publish"):
            self.step(name, injury if name == injured else "")
        return str(self._stack.ask("analyst", "SELECT max(release_id) FROM lake.ops.releases")[0][0])

    @contextmanager
    def slow_step(self, name: str, injury: str = "") -> Iterator[SimpleNamespace]:
        """A step in the background; gives its ``process`` and the path of its ``log``. It is ended at the end of the block."""
        log = Path(tempfile.mkstemp(prefix="step-")[1])
        call = self._stack._python(STEP, (name, injury), SERVICE_USER)
        with log.open("w") as out:
            process = subprocess.Popen(**call, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            yield SimpleNamespace(process=process, log=str(log))
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            log.unlink()

    def step_until_done(self, name: str) -> None:
        """Start a step again and again, as Airflow does, until it is done or there is nothing to do."""
        for _ in range(6):
            done = self.step(name, check=False)
            if done.returncode in (0, 4):
                return
            time.sleep(10)
        raise AssertionError(f"{name} does not end: {done.stdout[-2000:]}{done.stderr[-2000:]}")

    def restart_with(self, **memory: str) -> None:
        """Stop the stack and start it with other heaps."""
        self._stack.lake("down")
        self._stack.write_settings(memory=memory)
        self._stack.lake("up")

    def send(self, name: str, rows: list[str]) -> None:
        """Put a small delivery of made-up subjects into the inbox: ``name,code,date,address`` lines under their header."""
        self.send_to("registration_subjects", name, ["企业名称,统一社会信用代码,注册日期,注册地址", *rows])

    def send_to(self, feed: str, name: str, lines: list[str]) -> None:
        """Put a delivery into the inbox of a feed."""
        self.deliver(self._stack.state / "landing" / "inbox" / feed / name, "".join(f"{line}\n" for line in lines).encode())

    def dbt(self, *arguments: str) -> str:
        return self._stack.python(DBT, *arguments).stdout

    def background_run(self) -> subprocess.Popen[str]:
        environment = {**os.environ, "LAKE_INSTANCE": self._stack.name}
        return subprocess.Popen([str(REPO / "lake"), "run"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

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


@pytest.fixture(scope="session")
def first_wave(published: Published) -> Any:
    """One publication of what several tests look at; it costs as much for one of them. Gives the codes of test_identity.

    Silver puts small files together on its way, gold does not: what is new in the one is then more than what is new in the other.
    """
    codes = Codes(random.SystemRandom().randrange(10**9))
    send_forms(published)
    codes.send(published)
    send_marks(published)
    for step in ("ingest", "silver", "gold", "publish"):
        said = published.step(step, compacting("subject_registration", "penalties", "party") if step == "silver" else "").stdout
        assert (": compacted" in said) == (step == "silver")
    return codes


@pytest.fixture(scope="session")
def ingested(published: Published, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Two files given to ``./lake ingest``, of which one breaks its contract; and with them, through Airflow, whatever waits. Gives what was said."""
    folder = tmp_path_factory.mktemp("ingested")
    good = "企业名称,统一社会信用代码,注册日期,注册地址\n广州市测试一号有限公司,91440101YTEXT00018,2019-03-01,广州市天河区体育西路1号\n,91440101YTEXT00026,2019-03-01,广州市\n"
    (folder / "good.csv").write_bytes(good.encode("gb18030"))
    (folder / "bad.csv").write_text(good.replace("注册日期", "日期不明"), encoding="utf-8")
    for path in (folder, *folder.iterdir(), *folder.parents):
        if path.stat().st_uid == 0 and path != Path("/"):
            path.chmod(path.stat().st_mode | (0o055 if path.is_dir() else 0o044))
    return published.lake("ingest", "registration_subjects", str(folder / "good.csv"), str(folder / "bad.csv"), timeout=900).stdout
