"""Build the typed records of a feed: refine its deliveries, set each row into the history of its record, account for it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from catalog.contract import Contract
from catalog.derive import WRITE_NUMBER, quarantine_of, records_of, table_name
from infra.ledger import Account, Delivery, Finding, Run
from spark_jobs import mapping_use, routing
from spark_jobs.history import outcomes
from spark_jobs.refine.batches import spark_ddl
from spark_jobs.refine.records import output_schema, refine_batches
from spark_jobs.writing import Writer

_ROW = ("delivery_id", "row_number")
_SAID = ("fact_outcome", "is_conflict")  # what is said of a row, and may change when others of its record come
_SMALL = (*_ROW, "record_id", "occurred_on", "effective_from", "source_revision", "content_hash", "known_at")
# Of one day and revision, what is said of the later day stands: a removal after the listing that it ends. (No date is ten million days after 1900.)
_ORDER = "CAST(source_revision AS BIGINT) * 10000000 + datediff(occurred_on, DATE '1900-01-01')"


def build(
    writer: Writer,
    contracts: Mapping[str, Contract],
    feed: Contract,
    run: Run,
    deliveries: list[Delivery],
    taken_out: list[str],
    fresh: Collection[str],
) -> tuple[list[Delivery], list[Account], list[Finding]]:
    """Bring the rows of the feed's ``deliveries`` from bronze into its typed records and its quarantine; arguments and result as in `silver.build`."""
    kept = records_of(feed)
    left = _take_out(writer, contracts, feed, kept, taken_out, run)
    rows, revisions = routing.arrived(writer, feed, deliveries)
    typed = routing.dated(rows.mapInArrow(refine_batches(feed), spark_ddl(output_schema(feed))), revisions)
    new, deliveries, tallies = routing.routed(writer, feed, run, typed, f"refined_{feed.name}", deliveries, fresh)
    moved = _write(writer, kept, new, left, run)
    unknown = [d.delivery_id for d in deliveries if tallies.rows(d.delivery_id, "unmapped")]
    if unknown:
        lists = {c.name: f"{c.chinese}（允许值）" for c in feed.columns if c.allowed}
        mapping_use.write_unmapped(writer, contracts[mapping_use.UNMAPPED], run, new.where(F.col("delivery_id").isin(unknown)), feed.name, lists)
    return deliveries, routing.accounts(writer, feed, kept, {d.delivery_id for d in deliveries} | moved), routing.findings(feed, deliveries, tallies)


def _take_out(writer: Writer, contracts: Mapping[str, Contract], feed: Contract, kept: Contract, identities: list[str], run: Run) -> DataFrame | None:
    """Delete what silver holds of deliveries; return the ids of the records that they stated (None: there was nothing to do)."""
    if not identities:
        return None
    stored = writer.spark.table(table_name(kept)).where(F.col("delivery_id").isin(identities))
    left = writer.hold(stored.select("record_id").distinct(), "left_record")
    routing.take_out(writer, (kept, quarantine_of(feed), contracts[mapping_use.UNMAPPED]), identities, run)
    return left


def _write(writer: Writer, kept: Contract, new: DataFrame, left: DataFrame | None, run: Run) -> set[str]:
    """Append the new rows with their outcomes, and change those of stored rows; return the deliveries of which one is changed."""
    table, names = table_name(kept), [c.name for c in kept.columns]
    ids = new.select("record_id") if left is None else new.select("record_id").union(left)
    touched = writer.hold(writer.spark.table(table).join(ids.distinct(), "record_id", "left_semi").select(*_SMALL, *_SAID), "touched")
    # Most rows are the only one of their record: they are its history, and need neither sorting nor joining.
    several = new.select("record_id", F.lit(1).alias("rows")).union(touched.select("record_id", F.lit(2)))
    shared = writer.hold(several.groupBy("record_id").agg(F.sum("rows").alias("rows")).where("rows > 1").select("record_id"), "shared_record")
    if left is None and shared.isEmpty():
        writer.write(_alone(new).select(*names), table, "append", "records", run.run_id)
        return set()
    lone = _alone(new.join(shared, "record_id", "left_anti"))
    whole = new.join(shared, "record_id", "left_semi").select(*_SMALL).unionByName(touched.select(*_SMALL))
    ordered = whole.withColumnRenamed("record_id", "subject_id").withColumn("source_revision", F.expr(_ORDER)).drop("occurred_on")
    placed = writer.hold(outcomes(ordered).drop("subject_id"), "placed")
    before = touched.select(*_ROW, *[F.col(c).alias(f"old_{c}") for c in _SAID])
    changes = writer.hold(placed.join(before, list(_ROW)).where(" OR ".join(f"{c} <> old_{c}" for c in _SAID)), "moved")
    moved = {r[0] for r in changes.select("delivery_id").distinct().collect()}
    if moved:
        writer.change(
            f"""MERGE INTO {table} AS t USING moved AS s ON t.delivery_id = s.delivery_id AND t.row_number = s.row_number
            WHEN MATCHED THEN UPDATE SET t.fact_outcome = s.fact_outcome, t.is_conflict = s.is_conflict, t.{WRITE_NUMBER} = {run.number}""",
            table,
            "outcomes",
            run.run_id,
        )
    fresh = lone.select(*names).unionByName(new.join(placed, list(_ROW)).select(*names))
    writer.write(fresh, table, "append", "records", run.run_id)
    return moved


def _alone(rows: DataFrame) -> DataFrame:
    """Rows of which each is the only one of its record, with what becomes of them."""
    return rows.withColumn("fact_outcome", F.lit("applied")).withColumn("is_conflict", F.lit(False))
