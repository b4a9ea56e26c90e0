"""Every engine earns its place: for each, one failure that only it catches (docs/architecture.md lists them)."""

from __future__ import annotations

import re
import signal
import time

import psycopg
import pytest
import trino

from infra import processes


def test_airflow_runs_a_step_again_whose_program_was_killed(published, eventually):
    """The program dies without a word; nobody but the scheduler notices, and starts it again."""
    run = published.background_run()

    def victim() -> int | None:
        for pid in published.programs("spark_jobs.pipeline build"):
            return pid
        return None

    pid = eventually(victim, 120, "the build step's program")
    published.kill(pid, signal.SIGKILL)
    eventually(lambda: run.poll() is not None, 300, "the end of the run", 1)
    assert run.returncode == 0
    with published.ledger() as ledger:
        assert ledger.execute("SELECT count(*) FROM run WHERE state = 'released'").fetchone()[0] >= 1
        assert ledger.execute("SELECT state FROM run ORDER BY opened_at DESC LIMIT 1").fetchone()[0] == "released"
    with psycopg.connect(**published.database("airflow")) as airflow:
        tries = airflow.execute("SELECT max(try_number) FROM task_instance WHERE task_id = 'build'").fetchone()[0]
    assert tries == 2


def test_delta_takes_a_statement_once_however_often_it_is_sent(published):
    """A lost acknowledgement makes a client send again; only the table's own log knows that it was taken."""
    with published.spark() as spark:
        spark.sql("CREATE SCHEMA IF NOT EXISTS scratch")
        spark.sql("DROP TABLE IF EXISTS scratch.once")
        spark.sql("CREATE TABLE scratch.once (n BIGINT) USING DELTA")
        for _ in range(2):
            spark.range(10).selectExpr("id AS n").write.format("delta").mode("append").option("txnAppId", "scratch.once").option(
                "txnVersion", "7"
            ).saveAsTable("scratch.once")
        assert spark.table("scratch.once").count() == 10
        spark.range(10).selectExpr("id AS n").write.format("delta").mode("append").option("txnAppId", "scratch.once").option(
            "txnVersion", "8"
        ).saveAsTable("scratch.once")
        assert spark.table("scratch.once").count() == 20
        spark.sql("DROP SCHEMA scratch CASCADE")


def test_the_metastore_gives_every_engine_the_same_name_at_once(published):
    """A table that Spark drops is gone for Trino too: a path kept in two places would still be read."""
    with published.spark() as spark:
        spark.sql("CREATE SCHEMA IF NOT EXISTS scratch")
        spark.sql("CREATE OR REPLACE TABLE scratch.named USING DELTA AS SELECT 1 AS n")
        names = lambda: [r[0] for r in published.as_publisher("SHOW TABLES FROM lake_publish.scratch")]  # noqa: E731
        assert "named" in names()
        spark.sql("DROP TABLE scratch.named")
        assert "named" not in names()
        spark.sql("DROP SCHEMA scratch CASCADE")


def test_dbt_s_unit_tests_hold_on_this_engine(published):
    """The SQL of a mart can be wrong while every row of it is well formed: only its unit tests know right answers."""
    done = published.dbt("test", "--select", "test_type:unit")
    assert "ERROR=0" in done
    assert re.search(r"PASS=[1-9]", done), done


def test_great_expectations_stops_a_mart_that_lost_rows(published):
    """Each remaining row is valid, keys and types hold; only the comparison with the current release sees the loss."""
    before = published.ask("leader", "SELECT sum(subjects) FROM lake.gold.mart_registrations_yearly")
    run_id = f"loss-{time.time_ns()}"
    published.step("load", run_id)
    published.step("build", run_id)
    with published.spark() as spark:
        spark.sql("DELETE FROM gold_tables.mart_registrations_yearly WHERE district_name = '天河区'")
    published.note_candidates(run_id)
    done = published.step("gate", run_id, check=False)
    assert done.returncode == 3
    assert "合计" in done.stdout
    assert published.ask("leader", "SELECT sum(subjects) FROM lake.gold.mart_registrations_yearly") == before
    with published.ledger() as ledger:
        assert ledger.execute("SELECT state FROM run WHERE run_id = %s", (run_id,)).fetchone()[0] == "abandoned"
    refused = published.step("publish", run_id, check=False)
    assert refused.returncode == 1
    # The next run starts from the release again.
    published.lake("run")
    assert published.ask("leader", "SELECT sum(subjects) FROM lake.gold.mart_registrations_yearly") == before


def test_trino_shows_the_release_while_something_newer_lies_beneath(published):
    """Half a build is in the table; readers' views are pinned, and what lies beneath is denied to them."""
    sql = "SELECT sum(subjects) FROM lake.gold.mart_registrations_yearly"
    before = published.ask("leader", sql)
    with published.spark() as spark:
        spark.sql("DELETE FROM gold_tables.mart_registrations_yearly WHERE registration_year < 2000")
        assert spark.sql("SELECT sum(subjects) FROM gold_tables.mart_registrations_yearly").collect()[0][0] != before[0][0]
    assert published.ask("leader", sql) == before
    for hidden in (
        "lake.gold_tables.mart_registrations_yearly",
        'lake.gold_tables."mart_registrations_yearly$history"',
        "lake_publish.gold.mart_registrations_yearly",
    ):
        with pytest.raises(trino.exceptions.TrinoUserError, match="Access Denied"):
            published.ask("analyst", f"SELECT * FROM {hidden}")


def test_trino_masks_personal_data_by_role(published):
    """A home address is seen by the steward alone; the operator's search for one finds nothing."""
    assert published.ask("steward", "SELECT count(*) FROM lake.bronze.registration_subjects WHERE registered_address LIKE '广州市%'")[0][0] > 0
    assert published.ask("operator", "SELECT count(*) FROM lake.bronze.registration_subjects WHERE registered_address LIKE '广州市%'") == [[0]]
    with pytest.raises(trino.exceptions.TrinoUserError, match="Access Denied"):
        published.ask("analyst", "SELECT * FROM lake.bronze.registration_subjects")


def test_postgresql_refuses_a_step_that_the_state_machine_lacks(published):
    """Two programs may disagree about a run; the database refuses what is no step, and a second live run."""
    with published.ledger() as ledger:
        release = ledger.execute("SELECT run_id FROM release LIMIT 1").fetchone()[0]
        with pytest.raises(psycopg.errors.RaiseException, match="can't go from released to open"):
            ledger.execute("UPDATE run SET state = 'open' WHERE run_id = %s", (release,))
        with pytest.raises(psycopg.errors.RaiseException, match="can't go from loaded to landed"):
            ledger.execute("UPDATE delivery SET state = 'landed' WHERE state = 'loaded'")
        ledger.execute("INSERT INTO run (run_id) VALUES ('one') ON CONFLICT DO NOTHING")
        try:
            with pytest.raises(psycopg.errors.UniqueViolation):
                ledger.execute("INSERT INTO run (run_id) VALUES ('two')")
        finally:
            ledger.execute("UPDATE run SET state = 'abandoned' WHERE run_id = 'one'")


def test_the_stack_left_no_stranger_behind(published):
    """Every process of the stack belongs to a service that the supervisor knows."""
    known = set(published.status()[1])
    assert set(processes.find(published.state).values()) <= known
