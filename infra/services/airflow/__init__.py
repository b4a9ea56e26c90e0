"""Airflow: what runs after what. Three processes: scheduler with its workers, DAG processor, API server."""

from __future__ import annotations

import datetime as dt
import json
import subprocess

import requests

from infra import accounts, lineage_target
from infra.services.base import Command, Context, Service, base_environment, render
from infra.services.postgres import connect, url
from infra.settings import HOST, REPO


def address(context: Context) -> str:
    return str(context.settings.values["web"]["airflow_url"]) or f"http://localhost:{context.settings.port('airflow')}"


def environment(context: Context) -> dict[str, str]:
    return {
        "AIRFLOW_HOME": str(context.data("airflow")),
        "AIRFLOW_CONFIG": str(context.conf("airflow") / "airflow.cfg"),
        "LAKE_INSTANCE": context.settings.instance,
        "LAKE_REPO": str(REPO),
    }


def _render(context: Context) -> None:
    public = str(context.settings.values["web"]["airflow_url"])
    render(
        context, "airflow", "airflow.cfg", database=url(context, "airflow", "psycopg2"), logs=context.settings.folder("logs/airflow-tasks"),
        public_url=public or f"http://localhost:{context.settings.port('airflow')}", secure=str(public.startswith("https://")),
        webserver_config=REPO / "infra" / "services" / "airflow" / "webserver_config.py", lineage_namespace=lineage_target.airflow_namespace(context.settings),
        lineage_transport=json.dumps(lineage_target.airflow_transport(context)).replace("%", "%%"),
    )  # fmt: skip


def _airflow(context: Context, *arguments: str) -> Command:
    return Command([context.settings.program("airflow", "airflow"), *arguments], environment(context))


def _prepare_database(context: Context) -> None:
    """Migrate the metadata database and make the first accounts; once for each version."""
    marker = context.data("airflow") / "migrated"
    version = (REPO / "infra" / "requirements" / "airflow.in").read_text()
    if marker.exists() and marker.read_text() == version:
        return
    run = {"check": True, "env": {**base_environment(context.settings), **environment(context)}, "cwd": context.data("airflow")}
    airflow = context.settings.program("airflow", "airflow")
    subprocess.run([airflow, "db", "migrate"], **run)  # type: ignore[call-overload]
    subprocess.run([airflow, "fab-db", "migrate"], **run)  # type: ignore[call-overload]
    subprocess.run([airflow, "sync-perm"], **run)  # type: ignore[call-overload]
    everyone = accounts.users(context)
    accounts.tell(context, "airflow", everyone, {n: p for n, p in accounts.initial_passwords(context).items() if n in everyone})
    accounts.run_account_script(
        context, "airflow", [{"name": "deployer", "title": "deployer", "roles": ["Admin"], "active": True, "password": context.secrets["deployer"]}]
    )
    marker.write_text(version)


def _heartbeat(context: Context, service: str, job_type: str) -> str:
    """The newest heartbeat of the job that the running process made: one that hangs alive has an old one, a dead one's doesn't count."""
    from infra import supervision  # it needs the list of services

    started = supervision.states(context.settings)[service]["start"]
    with connect(context, "airflow") as connection:
        row = connection.execute(
            "SELECT max(latest_heartbeat) FROM job WHERE job_type = %s AND state = 'running' AND start_date >= to_timestamp(%s)", (job_type, started)
        ).fetchone()
    if not row or row[0] is None:
        raise RuntimeError("no heartbeat yet")
    age = (dt.datetime.now(dt.UTC) - row[0]).total_seconds()
    if age > 30:
        raise RuntimeError(f"the last heartbeat is {age:.0f} s old")
    return f"heartbeat {age:.0f} s ago"


def _scheduler_health(context: Context) -> str:
    return _heartbeat(context, "airflow-scheduler", "SchedulerJob")


def _processor_health(context: Context) -> str:
    beat = _heartbeat(context, "airflow-dag-processor", "DagProcessorJob")
    with connect(context, "airflow") as connection:
        errors = connection.execute("SELECT filename, stacktrace FROM import_error").fetchall()
        row = connection.execute("SELECT count(*), max(last_parsed_time) FROM dag WHERE NOT is_stale").fetchone()
    if errors:
        raise RuntimeError(f"{errors[0][0]} can't be imported: {errors[0][1].strip().splitlines()[-1]}")
    if not row or not row[0]:
        raise RuntimeError("no DAG parsed yet")
    age = (dt.datetime.now(dt.UTC) - row[1]).total_seconds()
    if age > 120:
        raise RuntimeError(f"DAGs were last parsed {age:.0f} s ago")
    return f"{row[0]} DAGs parsed {age:.0f} s ago, {beat}"


def token(context: Context) -> str:
    """Log in as the deployer and return a token for the REST API."""
    base = f"http://{HOST}:{context.settings.port('airflow')}"
    answer = requests.post(f"{base}/auth/token", json={"username": "deployer", "password": context.secrets["deployer"]}, timeout=10)
    answer.raise_for_status()
    return str(answer.json()["access_token"])


def _api_health(context: Context) -> str:
    base = f"http://{HOST}:{context.settings.port('airflow')}"
    answer = requests.get(f"{base}/api/v2/dags?limit=1", headers={"Authorization": f"Bearer {token(context)}"}, timeout=10)
    answer.raise_for_status()
    return f"login and a list of {answer.json()['total_entries']} DAGs"


SERVICES = (
    Service(
        "airflow-api",
        "Airflow 3.3: API and pages",
        ("postgres",),
        "airflow",
        lambda c: _airflow(c, "api-server"),
        _api_health,
        _render,
        _prepare_database,
    ),
    Service(
        "airflow-scheduler",
        "Airflow 3.3: scheduler and workers",
        ("airflow-api",),
        None,
        lambda c: _airflow(c, "scheduler", "--skip-serve-logs"),
        _scheduler_health,
    ),
    Service("airflow-dag-processor", "Airflow 3.3: DAG processor", ("airflow-api",), None, lambda c: _airflow(c, "dag-processor"), _processor_health),
)
