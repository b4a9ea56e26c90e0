"""``kill -9`` of each service: it is back and healthy within 60 s, and ``status`` tells the truth meanwhile."""

import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

SECONDS = 60
PAUSE = 2  # each question costs a processor some seconds, which a service needs to come back
SERVICES = ("postgres", "metastore", "spark", "trino", "airflow-api", "airflow-scheduler", "airflow-dag-processor", "superset")
SLOW = {"spark", "trino", "airflow-api"}  # can't be back when the first question is answered

# Runs as the service user. Kills a service and asks the health check without a pause, as ``status`` would at any moment, until it
# says healthy; prints what was true at that moment.
KILL_AND_ASK = """
import json, os, signal, sys, time
from infra import credentials, health, settings, supervision
from infra.services import Context, postgres
service, limit = sys.argv[1], float(sys.argv[2])
context = Context(settings.load(), credentials.load(settings.load()))
killed = supervision.states(context.settings)[service]["pid"]
os.kill(killed, signal.SIGKILL)
died = time.time()
while True:
    (condition,) = health.conditions(context, [service], measure=False)
    if condition.healthy or time.time() - died > limit:
        break
    time.sleep(0.1)
answered = time.time()
job = {"airflow-scheduler": "SchedulerJob", "airflow-dag-processor": "DagProcessorJob"}.get(service)
newest = None
if job:
    with postgres.connect(context, "airflow") as connection:
        newest = connection.execute("SELECT extract(epoch FROM max(start_date))::float FROM job WHERE job_type = %s", (job,)).fetchone()[0]
program = open(f"/proc/{condition.pid}/cmdline").read() if os.path.exists(f"/proc/{condition.pid}") else ""
print(json.dumps({**vars(condition), "killed": killed, "died": died, "after": answered - died, "program": program, "newest_job": newest}))
"""


# The others come back in the same way; each is killed with the long tests, and all at once in the next file.
OFTEN = ("postgres", "spark")


@pytest.mark.parametrize("service", [s if s in OFTEN else pytest.param(s, marks=pytest.mark.long) for s in SERVICES])
def test_a_killed_service_comes_back_and_status_tells_the_truth(stack, eventually, service):
    old = stack.pids()[service]
    with ThreadPoolExecutor() as pool:
        back = pool.submit(stack.python, KILL_AND_ASK, service, str(SECONDS))
        eventually(lambda: stack.pids()[service] != old, 30, "the kill", pause=0.05)
        code, told = stack.status()  # while the service is down or starting
        first = json.loads(back.result().stdout)

    # What status said meanwhile.
    assert (code == 0) == all(condition["healthy"] for condition in told.values())
    assert told[service]["pid"] != old
    if service in SLOW:
        assert (code, told[service]["healthy"]) == (1, False)

    # The first time that the service was called healthy, it was: a new process that has become the service, not the wrapper that
    # prepares it; not the dead one's orphans that still answer, nor its last heartbeat.
    assert first["healthy"], f"not healthy within {SECONDS} s: {first['says']}"
    assert first["killed"] == old
    assert first["pid"] not in (0, old)
    assert first["program"]
    assert "infra.run_service" not in first["program"]
    if first["newest_job"]:
        assert first["newest_job"] > first["died"]
    print(f"{service} was back after {first['after']:.0f} s")

    deadline = time.monotonic() + SECONDS
    while stack.status()[0] != 0:  # those that rest on it too
        assert time.monotonic() < deadline
        time.sleep(PAUSE)


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
