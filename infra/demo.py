"""``./lake demo``: the sample register from files to the dashboard, by the real scheduler, with visible progress."""

from __future__ import annotations

import datetime as dt
import shutil
import time

import requests
from rich.console import Console

from infra import accounts
from infra.ledger import Ledger
from infra.problems import Problem
from infra.services import airflow, superset
from infra.services.base import Context
from infra.services.trino import as_publisher
from infra.settings import HOST, REPO

FEED = "registration_subjects"
DAG = "registrations"
RUN_SECONDS = 900


def deliver_samples(context: Context) -> int:
    """Put the sample files into the feed's inbox, as a department would: written beside it, then moved in."""
    inbox = context.settings.folder(f"landing/inbox/{FEED}")
    files = sorted((REPO / "samples" / "registrations").glob("*.csv"))
    for file in files:
        temporary = inbox / f".{file.name}.new"
        shutil.copyfile(file, temporary)
        temporary.replace(inbox / file.name)
    return len(files)


class Pipeline:
    """A run of the DAG, started and watched through Airflow's REST API."""

    def __init__(self, context: Context) -> None:
        self._base = f"http://{HOST}:{context.settings.port('airflow')}/api/v2"
        self._headers = {"Authorization": f"Bearer {airflow.token(context)}"}

    def start(self, run_id: str) -> None:
        answer = requests.post(
            f"{self._base}/dags/{DAG}/dagRuns", json={"dag_run_id": run_id, "logical_date": None}, headers=self._headers, timeout=30
        )
        if answer.status_code not in (200, 201):
            raise Problem("Airflow did not start the run", f"{answer.status_code}: {answer.text[:200]}", "see ./lake logs airflow-api")

    def tasks(self, run_id: str) -> dict[str, str]:
        answer = requests.get(f"{self._base}/dags/{DAG}/dagRuns/{run_id}/taskInstances", headers=self._headers, timeout=30)
        answer.raise_for_status()
        return {t["task_id"]: t["state"] or "waiting" for t in answer.json()["task_instances"]}

    def state(self, run_id: str) -> str:
        answer = requests.get(f"{self._base}/dags/{DAG}/dagRuns/{run_id}", headers=self._headers, timeout=30)
        answer.raise_for_status()
        return str(answer.json()["state"])

    def log(self, run_id: str, task: str) -> list[str]:
        """The lines that the task's program printed last, for a message."""
        url = f"{self._base}/dags/{DAG}/dagRuns/{run_id}/taskInstances/{task}/logs/1"
        answer = requests.get(url, headers=self._headers, params={"full_content": "true"}, timeout=30)
        return [str(e.get("event", "")) for e in answer.json().get("content", []) if isinstance(e, dict)][-12:] if answer.ok else []


def run_pipeline(context: Context, out: Console) -> str:
    """Start a run and follow it to its end; returns the run's id.

    Raises:
        Problem: a task failed, or the run takes too long.
    """
    pipeline = Pipeline(context)
    run_id = f"demo__{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%S}"
    pipeline.start(run_id)
    shown: dict[str, str] = {}
    begin = said = time.monotonic()
    while True:
        state, tasks = pipeline.state(run_id), pipeline.tasks(run_id)
        for task, now in tasks.items():
            if shown.get(task) != now and now in ("running", "success", "failed", "up_for_retry"):
                out.print(f"  {'✓' if now == 'success' else '•'} {task:8} {now:12} {time.monotonic() - begin:4.0f} s")
                shown[task] = now
                said = time.monotonic()
        if state == "success":
            return run_id
        if state == "failed":
            failed = next((t for t, s in tasks.items() if s == "failed"), "?")
            raise Problem(
                f"the task {failed} of run {run_id} failed",
                "\n       ".join(pipeline.log(run_id, failed)),
                f"look at {airflow.address(context)}; readers stay on the last release",
            )
        if time.monotonic() - begin > RUN_SECONDS:
            raise Problem(f"run {run_id} did not end within {RUN_SECONDS} s", f"tasks: {tasks}", f"look at {airflow.address(context)}")
        if time.monotonic() - said > 8:
            out.print(
                f"  … {', '.join(t for t, s in tasks.items() if s == 'running') or 'the scheduler'} {time.monotonic() - begin:.0f} s", style="dim"
            )
            said = time.monotonic()
        time.sleep(1)


def summary(context: Context, before: set[str], out: Console) -> None:
    """Say what came out and where to look."""
    with Ledger(context) as ledger:
        loaded = list(ledger.deliveries(FEED, "loaded"))
        new = [d for d in loaded if d.delivery_id not in before]
        refused = ledger.deliveries(FEED, "refused")
        release = ledger.current_release()
    cursor = as_publisher(context).cursor()
    cursor.execute("SELECT sum(subjects), count(DISTINCT registration_year), max(as_of), max(release_id) FROM lake.gold.mart_registrations_yearly")
    total, years, as_of, shown = cursor.fetchall()[0]
    out.print(
        f"\nLoaded now: {sum(d.row_count or 0 for d in new)} rows of {len(new)} deliveries (in the lake: {sum(d.row_count or 0 for d in loaded)} rows of {len(loaded)}; refused: {len(refused)})."
    )
    out.print(
        f"Release {release}, seen in Trino: {shown}. {total} market subjects over {years} years, as of {as_of}. A partial sample: its counts are no economic truth."
    )
    out.print(f"\n  dashboards  {superset.address(context)}   sign in as leader")
    out.print(f"  pipelines   {airflow.address(context)}   sign in as operator")
    out.print('  SQL         ./lake query "SELECT * FROM lake.gold.mart_registrations_yearly LIMIT 5"')
    if accounts.initial_passwords(context):
        out.print(
            f"  passwords   generated at the first start, in {accounts.initial_passwords_file(context)}; change them with ./lake user passwd NAME",
            soft_wrap=True,
        )


def loaded_deliveries(context: Context) -> set[str]:
    """The ids of what the lake holds already."""
    with Ledger(context) as ledger:
        return {d.delivery_id for d in ledger.deliveries(FEED, "loaded")}
