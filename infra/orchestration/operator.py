"""The one operator: Airflow runs programs of the ``lake`` environment by argument lists, never through a shell."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from airflow.exceptions import AirflowException, AirflowFailException, AirflowSkipException
from airflow.sdk import BaseOperator

REPO = Path(os.environ.get("LAKE_REPO", ""))
PYTHON = REPO / ".lake" / "env" / "lake" / "bin" / "python"
# The same namespace as spark_jobs.session, which can't be imported here.
NAMESPACE = uuid.UUID("6f0a9a52-6f0e-5d0b-9f43-4c1b8f6f2a11")
REFUSED, NOTHING = 3, 4
GRACE_SECONDS = 15


class LakeOperator(BaseOperator):
    """Run ``python -P -m <module> <arguments>`` in the lake environment.

    Each argument is one element of the program's argument list, whatever it contains. The program
    gets the instance, the ids of run, task and try, and the id of its Spark session; it reads secrets
    itself. Exit code 3 means that trying again changes nothing, 4 that there was nothing to do: what waits for
    this task's assets is then not started.

    Args:
        module: name of a Python module of this project.
        arguments: its arguments; templates are rendered element by element.
        answers: the last line that it prints is JSON, and what the task returns.
    """

    template_fields = ("arguments",)
    ui_color = "#e8f1fa"

    def __init__(self, *, module: str, arguments: Sequence[str] = (), answers: bool = False, **more: Any) -> None:
        super().__init__(**more)
        self.module = module
        self.arguments = list(arguments)
        self.answers = answers
        self._process: subprocess.Popen[str] | None = None
        self._session = ""

    def execute(self, context: Any) -> Any:
        task = context["ti"]
        key = (task.dag_id, task.run_id, task.task_id, task.map_index)
        for earlier in range(1, task.try_number):
            self._interrupt(_session_id(*key, earlier))
        self._session = _session_id(*key, task.try_number)
        argv = [str(PYTHON), "-P", "-m", self.module, *map(str, self.arguments)]
        self.log.info("running %s", argv)
        self._process = subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True, errors="replace",
            env=self._environment(LAKE_RUN_ID=str(task.run_id), LAKE_TASK_ID=str(task.task_id), LAKE_TRY=str(task.try_number), LAKE_SPARK_SESSION=self._session, **self._lineage(task)), start_new_session=True,
        )  # fmt: skip
        assert self._process.stdout
        last = ""
        for line in self._process.stdout:
            if line.strip():
                last = line.rstrip()
                self.log.info(last)
        code = self._process.wait()
        if code == REFUSED:
            raise AirflowFailException(last)
        if code == NOTHING:
            raise AirflowSkipException(last)
        if code != 0:
            raise AirflowException(f"{self.module} ended with {code}: {last}")
        return json.loads(last) if self.answers else None

    def on_kill(self) -> None:
        """End the program and what it left running in Spark."""
        process = self._process
        if process is not None and process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
        if self._session:
            self._interrupt(self._session)

    def _lineage(self, task: Any) -> dict[str, str]:
        """Who this try of the task is to OpenLineage, as the provider names it: what the program tells of belongs to it (docs/decisions/0045)."""
        try:
            from airflow.providers.openlineage.plugins import macros

            return {"OPENLINEAGE_PARENT_ID": macros.lineage_parent_id(task), "OPENLINEAGE_ROOT_PARENT_ID": macros.lineage_root_parent_id(task)}
        except Exception as error:
            self.log.warning("this task is not named in what its program tells of lineage: %s %s", type(error).__name__, error)
            return {}

    def _environment(self, **more: str) -> dict[str, str]:
        keep = ("LAKE_INSTANCE", "LAKE_REPO", "LAKE_DECLARATIONS", "HOME", "PATH", "LANG", "LC_ALL", "TZ", "JAVA_HOME")
        return {
            **{k: os.environ[k] for k in keep if k in os.environ},
            "PYTHONSAFEPATH": "1",
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            **more,
        }

    def _interrupt(self, session: str) -> None:
        argv = [str(PYTHON), "-P", "-m", "spark_jobs.session", session]
        done = subprocess.run(argv, env=self._environment(), capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            # A session that was closed can't be opened again, and needs no interruption.
            self.log.info("session %s: %s", session, (done.stderr.strip().splitlines() or [""])[-1])


def _session_id(*parts: object) -> str:
    return str(uuid.uuid5(NAMESPACE, "/".join(str(p) for p in parts)))
