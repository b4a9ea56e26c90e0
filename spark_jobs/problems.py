"""Records that failed a quality rule, each until a later delivery states it rightly.

A row of a delivery that fails a rule is a problem of its record. It is resolved by the first delivery that comes later and states the same
record, of the same business day or a later one, without failing that rule. A row of which nobody can say which record it states is resolved
by the next revision of its delivery. Whole deliveries that were refused or held back are not here: the ledger has them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import reduce
from typing import NamedTuple

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from catalog.contract import Contract
from catalog.derive import WRITE_NUMBER, records_of, table_name
from infra.ledger import Delivery, Run
from spark_jobs.identity.keys import KEY_KIND, KEY_VALUE, key_id_sql
from spark_jobs.routing import numbered
from spark_jobs.writing import Writer, sent_along

PROBLEMS = "silver.quality_problem"
_ROW = ("delivery_id", "row_number", "rule_id")
SLIPPED = "columns_aligned"  # the rule of rows whose columns have slipped: what stands in the columns of the key is no key
# Of a later statement `s` of the record of a problem `p`. Of a day that is not known nothing is said to be earlier.
_RESOLVES = """
    s.feed = p.feed AND s.record_id = p.record_id AND s.known_at > p.known_at AND NOT array_contains(s.marks, p.rule_id)
    AND coalesce(s.effective_from >= p.effective_from, true)"""
# What a row was set aside for comes first: what else it may be marked with shows once it is put right.
_FAILED = """explode(CASE WHEN size(reasons) > 0 THEN transform(reasons, r -> struct(r AS rule, 'quarantine' AS severity))
    ELSE transform(marks, r -> struct(r AS rule, 'warn' AS severity)) END)"""


class Judged(NamedTuple):
    """A feed of which deliveries came in, those, and their rows as they were judged."""

    feed: Contract
    deliveries: list[Delivery]
    rows: DataFrame


def record(
    writer: Writer, contract: Contract, facts: Contract, feeds: Iterable[Contract], run: Run, judged: list[Judged], taken_out: Collection[str]
) -> None:
    """Bring the problems to what this run has taken in and out.

    ``contract``: of the table of problems. ``facts``: the table of the register's facts, of which the other ``feeds`` have each one of their own.
    """
    if not judged and not taken_out:
        return
    table = table_name(contract)
    if taken_out:
        _forget(writer, table, taken_out, run)
    size = sum(d.row_count or 0 for j in judged for d in j.deliveries)
    said = [_said(j.feed, j.rows, label=True) for j in judged]
    statements = [s.where("size(reasons) = 0") for s in said]
    looked_up = _looked_up(writer.ledger.deliveries(), judged, taken_out)
    statements += [_said(f, writer.spark.table(table_name(records_of(f) if f.record_key else facts))) for f in feeds if f.name in looked_up]
    stated = _union(statements)
    open_ = writer.spark.table(table).where("resolved_by IS NULL")
    revised = _revised(writer)
    ids = stated.select("feed", "record_id").distinct()
    old = open_.join(ids if looked_up else sent_along(ids, size), ["feed", "record_id"], "left_semi")
    old = old.unionByName(open_.where("record_id IS NULL").join(revised, "delivery_id", "left_semi"))
    old = writer.hold(old.drop("resolved_by", "resolved_at", WRITE_NUMBER), "old_problem")
    new = writer.hold(_problems(said), "new_problem") if said else old.limit(0)
    resolved = writer.hold(_resolved(old.unionByName(new), stated, revised), "resolved_problem")
    if not new.isEmpty():
        rows = numbered(new.join(resolved, [*_ROW], "left"), run)
        writer.write(rows.select(*[c.name for c in contract.columns]), table, "append", "problems", run.run_id)
    if not old.join(resolved, [*_ROW], "left_semi").isEmpty():
        match = " AND ".join(f"t.{c} = s.{c}" for c in _ROW)
        writer.change(
            f"""MERGE INTO {table} AS t USING resolved_problem AS s ON {match} AND t.resolved_by IS NULL
            WHEN MATCHED THEN UPDATE SET t.resolved_by = s.resolved_by, t.resolved_at = s.resolved_at, t.{WRITE_NUMBER} = {run.number}""",
            table,
            "resolved",
            run.run_id,
        )


def _looked_up(known: list[Delivery], judged: list[Judged], taken_out: Collection[str]) -> set[str]:
    """The feeds of which stored statements may resolve a problem: one that had done so may be gone, and others have come later; or a delivery comes
    in that had arrived before them (it had been held back or withdrawn)."""
    coming = {d.delivery_id for j in judged for d in j.deliveries}
    newest: dict[str, str] = {}
    for d in known:
        if d.state == "loaded" and d.delivery_id not in coming:
            newest[d.feed] = max(newest.get(d.feed, ""), d.arrived_at)
    late = {d.feed for j in judged for d in j.deliveries if d.arrived_at < newest.get(d.feed, "")}
    return late | {d.feed for d in known if d.delivery_id in set(taken_out)}


def _forget(writer: Writer, table: str, identities: Collection[str], run: Run) -> None:
    """Take out the problems of deliveries, and open those again that these had resolved."""
    chosen = ", ".join(f"'{i}'" for i in sorted(identities))
    writer.change(f"DELETE FROM {table} WHERE delivery_id IN ({chosen})", table, "withdraw problems", run.run_id)  # noqa: S608 - ids are ours
    writer.change(
        f"UPDATE {table} SET resolved_by = NULL, resolved_at = NULL, {WRITE_NUMBER} = {run.number} WHERE resolved_by IN ({chosen})",  # noqa: S608
        table,
        "reopen problems",
        run.run_id,
    )


def _said(feed: Contract, rows: DataFrame, label: bool = False) -> DataFrame:
    """Of rows of a feed: which record each states (NULL: nobody can say), since when, and which rules it fails.

    ``label``: what the record can be recognised by is added. What was set aside has none: where columns have slipped, a person's number may
    stand in place of a code.
    """
    if "reasons" not in rows.columns:
        rows = rows.withColumn("reasons", F.array().cast("array<string>"))
    # A day that is itself what is wrong says nothing of when the statement holds.
    of_days = ", ".join(f"'{r.id}'" for r in feed.rules if set(r.columns) & {*feed.record_date})
    if of_days:
        rows = rows.withColumn("effective_from", F.expr(f"CASE WHEN NOT arrays_overlap(reasons, array({of_days})) THEN effective_from END"))
    columns = {
        "feed": F.lit(feed.name),
        "record_id": F.expr(f"CASE WHEN NOT array_contains(reasons, '{SLIPPED}') THEN {record_id_sql(feed)} END"),
        "marks": F.col("quality_marks"),
        "reasons": F.col("reasons"),
    }
    if label:
        columns["record_label"] = F.expr(f"CASE WHEN size(reasons) = 0 THEN {label_sql(feed)} END")
    return rows.select("delivery_id", "row_number", "known_at", "effective_from", *[column.alias(name) for name, column in columns.items()])


def record_id_sql(feed: Contract) -> str:
    """The id of the record that a judged row of a feed states; NULL where what tells records apart is missing."""
    if not feed.record_key:
        place = "coalesce(credit_code, registration_number, district_code)"  # a name alone is nobody's
        return f"CASE WHEN {KEY_VALUE} IS NOT NULL AND {place} IS NOT NULL THEN {key_id_sql(KEY_KIND, KEY_VALUE)} END"
    needed = [c.name for c in feed.columns if c.name in feed.record_key and c.required]
    there = " AND ".join(f"{c} IS NOT NULL" for c in needed) or f"coalesce({', '.join(f'CAST({c} AS STRING)' for c in feed.record_key)}) IS NOT NULL"
    return f"CASE WHEN {there} THEN record_id END"


def label_sql(feed: Contract) -> str:
    """What a judged row of a feed can be recognised by: what tells records apart, but for personal data."""
    if not feed.record_key:
        return "concat_ws(' ', subject_name, coalesce(credit_code, registration_number))"
    personal = {c.name for c in feed.columns if c.personal}
    parts = [f"CASE WHEN {c} IS NOT NULL THEN '***' END" if c in personal else f"CAST({c} AS STRING)" for c in feed.record_key]
    return f"concat_ws(' ', {', '.join(parts)})"


def _problems(said: list[DataFrame]) -> DataFrame:
    failed = _union(s.where("size(reasons) + size(marks) > 0") for s in said).withColumn("failed", F.expr(_FAILED))
    return failed.select(
        "delivery_id",
        "row_number",
        F.col("failed.rule").alias("rule_id"),
        "feed",
        F.col("failed.severity").alias("severity"),
        "record_id",
        "record_label",
        "effective_from",
        "known_at",
    )


def _revised(writer: Writer) -> DataFrame:
    """``delivery_id, by``: deliveries that a later revision replaces, with id and arrival of the first of those."""
    pairs = writer.spark.createDataFrame(writer.ledger.revised(), "delivery_id STRING, known_at TIMESTAMP, revision STRING")
    return F.broadcast(pairs.selectExpr("delivery_id", "struct(known_at, revision AS delivery_id) AS by"))


def _resolved(problems: DataFrame, stated: DataFrame, revised: DataFrame) -> DataFrame:
    """Key of each problem that a later statement or revision resolves, with ``resolved_by`` and ``resolved_at``."""
    of_record = problems.where("record_id IS NOT NULL").alias("p").join(stated.alias("s"), F.expr(_RESOLVES)).groupBy(*[f"p.{c}" for c in _ROW])
    first = of_record.agg(F.min(F.struct("s.known_at", "s.delivery_id")).alias("by"))
    of_delivery = problems.where("record_id IS NULL").join(revised, "delivery_id").select(*_ROW, "by")
    return first.unionByName(of_delivery).selectExpr(*_ROW, "by.delivery_id AS resolved_by", "by.known_at AS resolved_at")


def _union(frames: Iterable[DataFrame]) -> DataFrame:
    return reduce(lambda a, b: a.unionByName(b, allowMissingColumns=True), frames)
