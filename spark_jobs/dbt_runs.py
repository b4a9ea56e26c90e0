"""Run dbt in this process, as a client of the Spark Connect server."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from catalog import places
from catalog.contract import Contract
from catalog.derive import THROUGH, timeline_feeds
from infra.credentials import write_private
from infra.problems import Problem
from infra.services.base import Context
from infra.services.spark import remote
from spark_jobs.identity import parties
from spark_jobs.trademark import effects
from spark_jobs.writing import Writer, sent_along

PROFILE = "lake:\n  target: lake\n  outputs:\n    lake: {type: spark, method: session, host: localhost, schema: gold_tables, threads: 3}\n"
_STATED = ("record_id", "content_hash", "effective_from", "known_at", "fact_state", "delivery_id", "row_number", "value_kind")
STATEMENT = """event_feed STRING, record_id STRING, content_hash STRING, effective_from DATE, known_at TIMESTAMP, fact_state STRING, delivery_id STRING,
    row_number BIGINT, value_kind STRING, statement_order BIGINT,
    events ARRAY<STRUCT<number: INT, party_key: STRING, section: STRING, event: STRING, occurred_on: DATE, matter: STRING, summary: STRING>>"""
_ROW = ("event_feed", "delivery_id", "row_number")
_LINKING = ("shareholders", "key_persons")
# Months in which a changed subject is or was counted: all registration dates that any of its records states, or stated before it was withdrawn.
_CHANGED_MONTHS = """
    SELECT DISTINCT cast(trunc(registration_date, 'MM') AS date) AS registration_month FROM (
        SELECT registration_date FROM changed_fact UNION ALL SELECT registration_date FROM work.changed_subject)
    WHERE registration_date IS NOT NULL"""
# Months in which a subject that this run concerns was counted as having left until now.
_EXIT_MONTHS_BEFORE = """
    SELECT DISTINCT cast(trunc(day, 'MM') AS date) AS exit_month
    FROM (SELECT explode(array(ended_on, revoked_on)) AS day FROM gold_tables.archive_exit LEFT SEMI JOIN concerned_subject USING (subject_id))
    WHERE day IS NOT NULL"""


@dataclass(frozen=True)
class Changes:
    """What of silver gold is built from: ``number`` of the run, ``tables`` that it holds, those that the run has ``changed``, of these those that are there
    for the ``first`` time, deliveries that it has ``taken_out``. ``anew``: everything is built from nothing."""

    number: int
    tables: Collection[str]
    changed: Collection[str]
    first: Collection[str]
    taken_out: Collection[str]
    anew: bool


def build(context: Context, writer: Writer, contracts: Mapping[str, Contract], changes: Changes) -> None:
    """Build gold in the writer's own Spark session, so that its stamp is on every commit.

    Raises:
        Problem: a model or a data test failed.
    """
    anew = changes.anew
    writer.spark.createDataFrame([(changes.number,)], "write_number BIGINT").createOrReplaceTempView("this_run")
    effects.stage(writer.spark, "silver_tables.trademark_outcomes" in changes.tables)
    told = _stage_timeline(writer, timeline_feeds(contracts), changes)
    # An archive of a theme of which nothing was said stays as it is.
    spared = [c.name for c in contracts.values() if c.tells_of and told is not None and not told & set(c.tells_of)]
    if not anew:
        # All records of changed subjects, read once: they lie anywhere among those of all others.
        ids = writer.spark.table("work.changed_subject").select("subject_id").distinct()
        several = ids.count()
        facts = writer.spark.table("silver_tables.subject_registration")
        writer.hold(facts.join(sent_along(ids, several), "subject_id", "left_semi"), "changed_fact")
        writer.hold(writer.spark.sql(_CHANGED_MONTHS), "changed_month")
        concerned = ids.union(writer.spark.table("touched_subject"))
        concerned.createOrReplaceTempView("concerned_subject")
        # What subjects have in common follows from the register, shares and key persons.
        linked = told is None or bool(told & set(_LINKING))
        (concerned if linked else ids).createOrReplaceTempView("linked_subject")
        spared += [name for name, needed in (("archive_links", linked), ("archive_private", told is None or bool(told))) if not (needed or several)]
        writer.hold(writer.spark.sql(_EXIT_MONTHS_BEFORE), "exit_month_before")
    result = invoke(context, writer.session_id, "build", "--exclude", "test_type:unit", *spared, *(["--full-refresh"] if anew else []))
    if not result.success:
        failed = [r.node.name for r in getattr(result.result, "results", []) if r.status not in ("success", "pass")]
        raise Problem(
            "dbt could not build gold", f"failed: {', '.join(failed) or result.exception}", "readers stay on the current release; see this log"
        )


def _stage_timeline(writer: Writer, feeds: list[dict[str, Any]], changes: Changes) -> set[str] | None:
    """Stage what of the timeline is built anew: the statements of records, the rows of these that it already holds, and the subjects that this touches.
    Returns the feeds of which an event may change; None: any.

    The statements of all feeds are worked out once, here: as a part of dbt's model each of some twenty tables would be planned again for every mention.
    """
    spark = writer.spark
    told = {f["name"]: f"silver_tables.{f['name']}" for f in feeds if f"silver_tables.{f['name']}" in changes.tables}
    stored = {name: spark.table(table) for name, table in told.items()}
    if changes.anew:
        _work_out(writer, feeds, stored, stored, True)
        return None
    # Of a feed that is there for the first time all is new.
    first = {name: rows for name, rows in stored.items() if told[name] in changes.first}
    others = {name: rows for name, rows in stored.items() if name not in first}
    written = {name: rows.where(F.col("write_number") == changes.number) for name, rows in stored.items() if told[name] in changes.changed}
    records = [rows.select(F.lit(name).alias("event_feed"), "record_id") for name, rows in written.items() if name in others]
    timeline = spark.table("gold_tables.archive_timeline")
    gone: list[DataFrame] = []
    if changes.taken_out:
        # Also what was said of these records beside: it may stand again.
        left = timeline.where(F.col("delivery_id").isin(sorted(changes.taken_out))).select("event_feed", "record_ref").distinct()
        gone = [writer.hold(timeline.join(F.broadcast(left), ["event_feed", "record_ref"], "left_semi").select(*_ROW), "gone_row")]
        for name, rows in others.items():
            mine = rows.join(gone[0].where(F.col("event_feed") == name), [*_ROW[1:]], "left_semi")
            records.append(mine.select(F.lit(name).alias("event_feed"), "record_id"))
    # Whose record says of whom a matter is speaks for those of other feeds with its number, too.
    for feed in (f for f in feeds if f["through"] and f["name"] in others):
        numbers = [written[t["name"]].selectExpr(f"{t['number']} AS number") for t in feed["through"] if t["name"] in written]
        if gone:
            left = timeline.where(F.col("event_feed").isin([t["name"] for t in feed["through"]])).join(gone[0], [*_ROW], "left_semi")
            numbers.append(left.selectExpr("matter_number AS number"))
        if numbers:
            of_matter = others[feed["name"]].join(_union(numbers, numbers[0]).distinct(), F.col(feed["number"]) == F.col("number"), "left_semi")
            records.append(of_matter.select(F.lit(feed["name"]).alias("event_feed"), "record_id"))
    ids = writer.hold(_union(records, spark.createDataFrame([], "event_feed STRING, record_id STRING")).distinct(), "changed_record")
    changed = {row[0]: row[1] for row in ids.groupBy("event_feed").count().collect()}
    few = sent_along(ids, sum(changed.values()))
    whole = {name: others[name].join(few.where(F.col("event_feed") == name), "record_id", "left_semi") for name in changed}
    statements = _work_out(writer, feeds, whole | first, stored, bool(first))
    # Of the stored rows of these records the timeline may hold some; those that this run brings it can't.
    out = _union([*gone, statements.select(*_ROW)], spark.createDataFrame([], "event_feed STRING, delivery_id STRING, row_number BIGINT")).distinct()
    writer.hold(timeline.select(*_ROW).join(out, [*_ROW], "left_semi").distinct(), "changed_row")
    moved = _stage_parties(writer, changes)
    now = statements.select(F.explode("events.party_key").alias("party_key")).union(moved.select("party_key")).distinct()
    # Of a record that names several, whoever is at its other end sees that one of them is somebody else now.
    of_moved = timeline.join(moved.select("party_key"), "party_key", "left_semi").select(*_ROW)
    changed_rows = spark.table("changed_row")
    before = timeline.join(of_moved.union(changed_rows).distinct(), [*_ROW], "left_semi").select("subject_id")
    followers = [f["name"] for f in feeds if f["through"]]
    if changes.taken_out or not (changed.keys() | first.keys()).isdisjoint(followers):
        # What is said of a matter by its number concerns whoever has to do with it.
        of_followers = F.col("event_feed").isin(followers)
        matters = statements.where(of_followers).select(F.explode("events.matter").alias("matter_number"))
        gone_matters = timeline.where(of_followers).join(changed_rows, [*_ROW], "left_semi").select("matter_number")
        before = before.union(timeline.join(matters.union(gone_matters).distinct(), "matter_number", "left_semi").select("subject_id"))
    after = spark.table("silver_tables.party").join(now, "party_key", "left_semi").select("subject_id")
    writer.hold(before.union(after).where("subject_id IS NOT NULL").distinct(), "touched_subject")
    if changes.taken_out or not moved.isEmpty():
        return None
    return changed.keys() | first.keys()


def _work_out(writer: Writer, feeds: list[dict[str, Any]], rows: Mapping[str, DataFrame], stored: Mapping[str, DataFrame], many: bool) -> DataFrame:
    """The statements of records with the events that each makes, in the order in which these are declared; what is not said of anybody, or of no day, is none.
    ``stored``: all records of each feed. ``many``: they are written down instead of being held by the server."""
    found = []
    order = {f["name"]: f["order"] for f in feeds}
    for feed in (f for f in feeds if f["name"] in rows):
        events = ", ".join(
            f"named_struct('number', {e['number']}, 'party_key', {e['party']}, 'section', '{e['section']}', 'event', '{e['event']}',"
            f" 'occurred_on', {e['occurred_on']}, 'matter', {e['matter']}, 'summary', {e['summary']})"
            for e in feed["events"]
        )
        mine = rows[feed["name"]]
        if feed["through"]:  # whose they are may still be said
            mine, told = _told_through(writer, feed, mine, stored, order, many), "e.occurred_on IS NOT NULL"
        else:
            told = "e.party_key IS NOT NULL AND e.occurred_on IS NOT NULL"
        stated = f"filter(array({events}), e -> {told}) AS events"
        found.append(mine.selectExpr(f"'{feed['name']}' AS event_feed", *_STATED, f"{order[feed['name']]} AS statement_order", stated))
    statements = _union(found, writer.spark.createDataFrame([], STATEMENT))
    if not many:
        return writer.hold(statements, "statement")
    staged = writer.stage(statements, "statement")
    staged.createOrReplaceTempView("statement")
    return staged


def _told_through(
    writer: Writer, feed: dict[str, Any], rows: DataFrame, stored: Mapping[str, DataFrame], order: Mapping[str, str], many: bool
) -> DataFrame:
    """Records with a column more: the party that the standing record of their number names, of several feeds' that of the first by name."""
    numbers = None if many else writer.hold(rows.selectExpr(f"{feed['number']} AS matter").distinct(), f"number_of_{feed['name']}")
    several = 0 if numbers is None else numbers.count()
    named = []
    for t in (t for t in feed["through"] if t["name"] in stored):
        said = stored[t["name"]].withColumn("matter", F.col(t["number"]))
        said = said if numbers is None else said.join(sent_along(numbers, several), "matter", "left_semi")
        last = f"max_by(struct(matter, {t['party']} AS party, fact_state), struct(effective_from, {order[t['name']]}, content_hash)) AS last"
        standing = said.groupBy("record_id").agg(F.expr(last)).where("last.fact_state = 'active' AND last.party IS NOT NULL")
        named.append(standing.selectExpr("last.matter AS matter", f"struct('{t['name']}' AS event_feed, last.party AS party) AS named"))
    nobody = writer.spark.createDataFrame([], "matter STRING, named STRUCT<event_feed: STRING, party: STRING>")
    by_number = _union(named, nobody).groupBy("matter").agg(F.min("named").alias("named")).selectExpr("matter", f"named.party AS {THROUGH}")
    return rows.join(by_number, F.col(feed["number"]) == F.col("matter"), "left").drop("matter")


def _union(frames: Iterable[DataFrame], nothing: DataFrame) -> DataFrame:
    """The frames as one; ``nothing``, which has their columns, where there are none."""
    several = list(frames)
    return reduce(DataFrame.unionByName, several) if several else nothing


def _stage_parties(writer: Writer, changes: Changes) -> DataFrame:
    """Stage the parties to which this run gave another subject than they had, with that."""
    spark, table = writer.spark, f"work.{parties.MOVED}"
    party = spark.table("silver_tables.party").select("party_key", "subject_id", "party_basis")
    if not spark.catalog.tableExists(table):
        return writer.hold(party.limit(0), "moved_party")
    mine = spark.table(table).where(F.col("write_number") == changes.number)
    return writer.hold(party.join(F.broadcast(mine), "party_key", "left_semi"), "moved_party")


def invoke(context: Context, identity: str, *arguments: str) -> Any:
    """Run ``dbt <arguments>`` in the Spark session ``identity``; return dbt's own result (``success``, ``result``, ``exception``)."""
    from dbt.cli.main import dbtRunner  # slow to import, so only here

    os.environ.update(remote(context))
    os.environ["SPARK_REMOTE"] += f"/;user_id=lake;session_id={identity}"
    os.environ.update({"DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DO_NOT_TRACK": "1"})
    folder = context.settings.folder("conf/dbt")
    write_private(folder / "profiles.yml", PROFILE)
    options = {
        "--project-dir": places.root() / "dbt",
        "--profiles-dir": folder,
        "--target-path": context.settings.folder("data/dbt"),
        "--log-path": context.settings.folder("logs/dbt"),
    }
    return dbtRunner().invoke([*arguments, *(str(part) for option in options.items() for part in option), "--no-use-colors", "--no-version-check"])
