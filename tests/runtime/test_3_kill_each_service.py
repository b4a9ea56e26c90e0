"""``kill -9`` of each service: it is back and healthy within 60 s, and ``status`` tells the truth meanwhile."""

import datetime as dt
import os
import signal
import time
from pathlib import Path

import pytest

from infra.services import postgres

SECONDS = 60
SERVICES = ("postgres", "metastore", "spark", "trino", "airflow-api", "airflow-scheduler", "airflow-dag-processor", "superset")


JOBS = {"airflow-scheduler": "SchedulerJob", "airflow-dag-processor": "DagProcessorJob"}


def newest_job(stack, kind):
    """When the newest process of this kind reported to Airflow's database: health must not rest on a dead one's heartbeat."""
    with postgres.connect(stack.context, "airflow") as connection:
        return connection.execute("SELECT max(start_date) FROM job WHERE job_type = %s", (kind,)).fetchone()[0]


def program(pid):
    """What a process runs now; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    except OSError:
        return ""


@pytest.mark.parametrize("service", SERVICES)
def test_a_killed_service_comes_back_and_status_tells_the_truth(stack, service):
    killed = stack.pids()[service]
    assert program(killed)
    killed_at = dt.datetime.now(dt.UTC)
    os.kill(killed, signal.SIGKILL)
    died, waiting = time.monotonic(), {}
    while True:
        after = time.monotonic() - died
        assert after < SECONDS, f"not healthy within {SECONDS} s: {waiting}"
        code, now = stack.status()
        waiting = {name: condition["says"] for name, condition in now.items() if not condition["healthy"]}
        healthy = [name for name, condition in now.items() if condition["healthy"]]
        # The exit code says the same as the text.
        assert code == (0 if len(healthy) == len(now) else 1)
        if service in healthy:
            # Only a new process that has become the service may be called healthy, not the dead one, its orphans, or
            # the wrapper that is still preparing.
            assert now[service]["pid"] not in (0, killed)
            assert "infra.run_service" not in program(now[service]["pid"])
            if service in JOBS:
                assert newest_job(stack, JOBS[service]) > killed_at
        if code == 0:
            break
    print(f"{service} was back after {after:.0f} s")


def test_a_service_that_exists_but_does_nothing_is_not_healthy(stack, eventually):
    pids = [pid for pid, name in stack.processes().items() if name == "superset"]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        code, now = stack.status()
        assert code == 1
        assert (now["superset"]["healthy"], now["superset"]["state"]) == (False, "RUNNING")
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    eventually(lambda: stack.status()[0] == 0, 60, "the stack after the pause")
