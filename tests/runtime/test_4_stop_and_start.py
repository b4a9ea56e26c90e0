"""The whole stack: started twice, and stopped as a machine stops: everything at once. How ``down`` ends, the fixture checks."""

import contextlib
import os
import signal
import uuid

from infra.services import SERVICES


def kill_everything(stack):
    """What a power cut does, seen from the processes: nobody gets to say goodbye."""
    for signal_number in (signal.SIGSTOP, signal.SIGKILL):  # stopped first, so that nobody sees another one die
        for pid in stack.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal_number)


def test_up_on_a_running_stack_changes_nothing(stack):
    before = stack.pids()
    said = stack.lake("up").stdout
    assert f"All {len(SERVICES)} services are healthy" in said
    assert "Starting" not in said
    assert stack.pids() == before


def test_after_everything_was_killed_at_once_up_brings_all_back_and_nothing_is_lost(stack, eventually, three_lines):
    mark = uuid.uuid4().hex
    with stack.spark() as session:
        session.sql("CREATE SCHEMA IF NOT EXISTS probe")
        session.sql("CREATE TABLE IF NOT EXISTS probe.kept (mark STRING) USING delta")
        session.sql(f"INSERT INTO probe.kept VALUES ('{mark}')")
    with stack.ledger() as ledger:
        ledger.execute("CREATE TABLE IF NOT EXISTS runtime_probe (mark text)")
        ledger.execute("INSERT INTO runtime_probe VALUES (%s)", (mark,))
    kill_everything(stack)
    eventually(lambda: not stack.processes(), 10, "the end of all processes")
    code, told = stack.status()
    assert code == 1
    assert {(c["healthy"], c["pid"], c["says"]) for c in told.values()} == {(False, 0, "the supervisor is not running")}
    refused = stack.lake("query", "SELECT 1", "-u", "analyst", check=False, env={"LAKE_PASSWORD": stack.password("analyst")})
    assert "can't be reached" in three_lines(refused)
    assert stack.lake("down").stdout.endswith("Nothing was running.\n")

    stack.lake("up")
    code, told = stack.status()
    assert (code, [c["service"] for c in told.values() if not c["healthy"]]) == (0, [])
    with stack.ledger() as ledger:
        assert ledger.execute("SELECT count(*) FROM runtime_probe WHERE mark = %s", (mark,)).fetchone() == (1,)
        ledger.execute("DROP TABLE runtime_probe")
    with stack.spark() as session:
        assert session.sql(f"SELECT count(*) FROM probe.kept WHERE mark = '{mark}'").collect()[0][0] == 1
        session.sql("DROP SCHEMA probe CASCADE")
    assert stack.lets_in("operator", stack.password("operator")) == {"superset": True, "airflow": True, "trino": True}
