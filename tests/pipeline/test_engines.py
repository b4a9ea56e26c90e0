"""Every engine earns its place: for each, one failure that only it catches (docs/architecture.md lists them)."""

from __future__ import annotations

import random
import re

import psycopg
import pytest
import trino

from catalog.contract import load_contracts
from catalog.derive import all_tables, table_name, tracked
from infra import processes
from infra.services.trino import connect


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


LOSES_A_DISTRICT = """
build = pipeline.dbt_runs.build
def wrong(context, writer, *more):
    build(context, writer, *more)
    writer.spark.sql("DELETE FROM gold_tables.mart_registrations_monthly WHERE district_name = '天河区'")
pipeline.dbt_runs.build = wrong
"""
FORGETS_ROWS = """
pipeline.silver.routing.set_aside = lambda *arguments: None
"""


@pytest.mark.timeout(1200)
def test_great_expectations_stops_rows_that_vanish(published):
    """What is left breaks no rule of any row, keys and types hold: only the count at landing sees the loss."""
    before = published.ask("leader", "SELECT max(release_id) FROM lake.gold.mart_registrations_monthly")
    published.send("loss.csv", ["广州市测试关口有限公司,91440101YKYYYYY028,2019-03-02,广州市天河区体育西路2号"])
    # The second contradicts a stored record (test_rows_of_older_runs_are_as_they_were looks at what becomes of that).
    stored = "SELECT subject_name, credit_code, CAST(registration_date AS varchar) FROM lake.gold.archive_subject WHERE fact_count = 1 AND value_kind = 'observed' AND NOT is_contested ORDER BY subject_id LIMIT 1"  # fmt: skip
    ((name, code, registered),) = published.ask("analyst", stored)
    published.send(
        "vanished.csv", ["N/A,91440101YKYYYYY038,2019-03-02,广州市天河区体育西路3号", f"{name},{code},{registered},广州市越秀区中山五路2号"]
    )
    # The same of a feed that its contract alone describes.
    published.send_to(
        "penalties",
        "消失的处罚_2019-08-31.csv",
        ["决定书文号,统一社会信用代码,当事人,处罚类别,决定日期", "穗演示处〔2019〕9号,,某人,警告,2019-02-30"],
    )
    published.step("ingest")
    done = published.step("silver", FORGETS_ROWS, check=False)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "事实与隔离之和应等于落地的" in done.stdout
    assert "行政处罚与其隔离之和应等于落地的" in done.stdout
    with published.ledger() as ledger:
        state, reason = ledger.execute("SELECT state, reason FROM run ORDER BY opened_at DESC LIMIT 1").fetchone()
        assert state == "abandoned"
        assert "silver_tables.subject_registration" in reason
    assert published.step("gold", check=False).returncode == 4  # nothing to build upon
    assert published.ask("leader", "SELECT max(release_id) FROM lake.gold.mart_registrations_monthly") == before


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_great_expectations_stops_a_mart_that_lost_some(published):
    """Each row of it is right; only the comparison with silver sees what is missing."""
    before = published.ask("leader", "SELECT sum(subjects), max(release_id) FROM lake.gold.mart_registrations_monthly")
    tag = random.SystemRandom().randrange(10**6)
    published.send(f"lost-{tag}.csv", [f"广州市测试少区{tag}有限公司,,2019-03-02,广州市天河区体育西路2号"])
    published.step("ingest")
    published.step("silver")
    done = published.step("gold", LOSES_A_DISTRICT, check=False)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "登记情况各格合计应等于主体数" in done.stdout
    assert "subjects_conserved" in done.stdout
    assert published.ask("leader", "SELECT sum(subjects), max(release_id) FROM lake.gold.mart_registrations_monthly") == before
    with published.ledger() as ledger:
        state, reason = ledger.execute("SELECT state, reason FROM run ORDER BY opened_at DESC LIMIT 1").fetchone()
        assert state == "abandoned"
        assert "gold_tables.mart_registrations_monthly" in reason
    assert published.step("publish", check=False).returncode == 4  # nothing to publish


@pytest.mark.timeout(1200)
def test_the_next_run_takes_along_what_a_refused_one_had(published, first_wave):
    """It starts from the release again."""
    sql = "SELECT count(*) FROM lake.gold.archive_subject WHERE subject_name = '广州市测试关口有限公司'"
    assert published.ask("leader", sql) == [[1]]
    reasons = published.ask("steward", "SELECT reasons FROM lake.silver.registration_subjects_quarantine WHERE credit_code = '91440101YKYYYYY038'")
    assert reasons == [[["subject_name_present"]]]
    reasons = published.ask("steward", "SELECT reasons FROM lake.silver.penalties_quarantine WHERE decision_number LIKE '%9号'")
    assert reasons == [[["decided_on_readable"]]]


@pytest.mark.long
def test_rows_of_older_runs_are_as_they_were(published, first_wave):
    """Gates and comparison leave out what a run has not written (docs/decisions/0024); so what has another number must be as it was."""
    tables = [table_name(c) for c in all_tables(load_contracts()).values() if tracked(c)]
    assert tables
    if not (moved := older_rows(published, tables)):  # this test ran alone, or others have published since
        for number in (5, 6):
            published.send(f"older-{number}.csv", [f"广州市测试旧行有限公司,91440101YKYYYYY048,2019-03-02,广州市天河区体育西路{number}号"])
            published.lake("run")
        moved = older_rows(published, tables)
    assert moved > 0, "something else is said of a stored record"


def older_rows(published, tables):
    """Compare the newest publication with the one that it was made on; return of how many stored records it says something else."""
    with published.ledger() as ledger:
        release, parent, number = ledger.execute(
            "SELECT release_id, parent_release_id, number FROM release r JOIN run USING (run_id, parent_release_id) WHERE r.kind = 'publish' ORDER BY 1 DESC LIMIT 1"
        ).fetchone()
        at = {(r, t): v for r, t, v in ledger.execute("SELECT release_id, table_name, version FROM release_table").fetchall()}
    with published.spark() as spark:
        for table in (t for t in tables if (parent, t) in at):
            now, before = (f"SELECT * FROM {table} VERSION AS OF {at[r, table]}" for r in (release, parent))
            assert spark.sql(f"SELECT * FROM ({now}) WHERE write_number <> {number} EXCEPT ALL {before}").count() == 0, (release, table)
        facts, before = (
            f"SELECT * FROM silver_tables.subject_registration VERSION AS OF {at[r, 'silver_tables.subject_registration']}" for r in (release, parent)
        )
        return spark.sql(f"SELECT * FROM ({facts}) LEFT SEMI JOIN ({before}) USING (delivery_id, row_number) WHERE write_number = {number}").count()


def test_trino_shows_the_release_while_something_newer_lies_beneath(published):
    """Half a build is in the table; readers' views are pinned, and what lies beneath is denied to them."""
    sql = "SELECT sum(subjects) FROM lake.gold.mart_registrations_monthly"
    before = published.ask("leader", sql)
    with published.spark() as spark:
        spark.sql("DELETE FROM gold_tables.mart_registrations_monthly WHERE registration_month < DATE '2000-01-01'")
        assert spark.sql("SELECT sum(subjects) FROM gold_tables.mart_registrations_monthly").collect()[0][0] != before[0][0]
    assert published.ask("leader", sql) == before
    for hidden in (
        "lake.gold_tables.mart_registrations_monthly",
        'lake.gold_tables."mart_registrations_monthly$history"',
        "lake_publish.gold.mart_registrations_monthly",
    ):
        with pytest.raises(trino.exceptions.TrinoUserError, match="Access Denied"):
            published.ask("analyst", f"SELECT * FROM {hidden}")


def test_trino_masks_personal_data_by_role(published):
    """A home address is seen by the steward alone; the operator's search for one finds nothing."""
    assert published.ask("steward", "SELECT count(*) FROM lake.bronze.registration_subjects WHERE registered_address LIKE '广州市%'")[0][0] > 0
    assert published.ask("operator", "SELECT count(*) FROM lake.bronze.registration_subjects WHERE registered_address LIKE '广州市%'") == [[0]]
    with pytest.raises(trino.exceptions.TrinoUserError, match="Access Denied"):
        published.ask("analyst", "SELECT * FROM lake.bronze.registration_subjects")


def test_trino_shows_a_district_office_its_own_rows(published):
    """Nobody but the engine that answers can hold rows back: whoever writes the SQL asks for all of them."""
    name, password = f"tianhe-{random.SystemRandom().randrange(10**6)}", "Zhiyuan-4711-lake"
    published.lake("user", "add", name, "--role", "district", "--district", "440106", env={"LAKE_NEW_PASSWORD": password})
    sees = lambda sql: connect(published.context, name, password).cursor().execute(sql).fetchall()  # noqa: E731
    mine = "SELECT count(*) FROM lake.gold.{} WHERE subject_id IN (SELECT subject_id FROM lake.gold.archive_subject WHERE '440106' IN (district_code, supervising_district_code))"
    for table in ("archive_subject", "archive_timeline", "archive_enforcement", "archive_complaint"):
        assert sees(f"SELECT count(*) FROM lake.gold.{table}") == published.ask("steward", mine.format(table))
    assert sees("SELECT count(*) FROM lake.gold.archive_subject")[0][0] > 0
    assert sees("SELECT DISTINCT district_code FROM lake.gold.mart_registrations_monthly") == [["440106"]]
    assert sees("SELECT count(*) FROM lake.gold.archive_subject WHERE legal_representative NOT IN ('***')") == [[0]]
    with pytest.raises(trino.exceptions.TrinoUserError, match="Access Denied"):
        sees("SELECT * FROM lake.silver.subject_registration")


def test_postgresql_refuses_a_step_that_the_state_machine_lacks(published):
    """Two programs may disagree about a run; the database refuses what is no step, and a second live run."""
    with published.ledger() as ledger:
        release = ledger.execute("SELECT run_id FROM release LIMIT 1").fetchone()[0]
        with pytest.raises(psycopg.errors.RaiseException, match="can't go from released to open"):
            ledger.execute("UPDATE run SET state = 'open' WHERE run_id = %s", (release,))
        with pytest.raises(psycopg.errors.RaiseException, match="can't go from loaded to refused"):
            ledger.execute("UPDATE delivery SET state = 'refused' WHERE state = 'loaded'")
        with pytest.raises(psycopg.errors.CheckViolation):
            ledger.execute(
                "INSERT INTO run_delivery SELECT run_id, delivery_id, arrived + 1, applied, superseded, duplicate, quarantined FROM run_delivery LIMIT 1"
            )
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
