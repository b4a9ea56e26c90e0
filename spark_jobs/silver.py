"""Build silver from the deliveries of a run: refine, tell subjects apart, set the facts into their history, account for each row."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from catalog.contract import Contract
from catalog.derive import WRITE_NUMBER, quarantine_of, table_name
from infra.ledger import Account, Delivery, Finding, Run
from spark_jobs import mapping_use, routing
from spark_jobs.history import outcomes
from spark_jobs.identity.keys import KEY, assign_subjects, key_id_sql, lone_subjects, shared_keys, with_key
from spark_jobs.refine.batches import refine_batches, spark_ddl
from spark_jobs.writing import Writer

REGISTER = "registration_subjects"  # the feed
FACTS = "silver.subject_registration"
KEYS = "silver.subject_key"
REVIEW = "silver.identity_review"
BUILT = (FACTS, KEYS, REVIEW)
_SAID = ("subject_id", "fact_outcome", "is_conflict")  # what is said of a record, and may change when others come
_SMALL = ("delivery_id", "row_number", *KEY, "normalized_name", "registration_date", "effective_from", "source_revision", "content_hash", "known_at")


def build(
    writer: Writer,
    contracts: Mapping[str, Contract],
    feed: Contract,
    run: Run,
    deliveries: list[Delivery],
    taken_out: list[str],
    fresh: Collection[str],
) -> tuple[list[Delivery], list[Account], list[Finding]]:
    """Bring the rows of ``deliveries`` from bronze into the facts and the quarantine; return what was taken, with accounts and findings.

    Of the ``fresh`` ones, those with too many bad rows are held back whole, and the ledger is told why.

    The stored rows of the deliveries ``taken_out`` (withdrawn, or about to come in by a new reading) leave first, and the histories that
    they were part of are told anew without them.

    Silver must stand at the run's parent release (or be empty). One pass over the new rows types them, checks them and says
    where they go; what follows reads the stored rows of the keys that are touched, not all of them.
    """
    facts = contracts[FACTS]
    left = _take_out_deliveries(writer, contracts, feed, taken_out, run)
    good, deliveries, tallies = routing.routed(writer, feed, run, _refine(writer, feed, deliveries), "refined", deliveries, fresh)
    new = with_key(good)
    stored = with_key(writer.spark.table(table_name(facts)))
    keys = new.select(*KEY) if left is None else new.select(*KEY).union(left.select(*KEY))
    touched = writer.hold(stored.join(keys.distinct(), list(KEY), "left_semi").select(*_SMALL, *_SAID), "touched")
    # Most records are the only one of their key: they are their own history, and need neither sorting nor joining.
    shared = writer.hold(shared_keys(new, touched), "shared_key")
    lone = lone_subjects(new.join(shared, list(KEY), "left_anti"))
    records = new.join(shared, list(KEY), "left_semi").select(*_SMALL).unionByName(touched.select(*_SMALL))
    assigned = writer.hold(assign_subjects(records), "assigned")
    placed = writer.hold(outcomes(assigned), "placed")
    moved = _write_facts(writer, facts, new, lone, touched, placed, left, run)
    _write_keys(writer, contracts, lone, assigned, left, run)
    unknown = [d.delivery_id for d in deliveries if tallies.rows(d.delivery_id, "unmapped")]
    mapping_use.record(writer, contracts, run, deliveries, tallies.uses(), new.where(F.col("delivery_id").isin(unknown)) if unknown else None)
    return deliveries, routing.accounts(writer, feed, facts, {d.delivery_id for d in deliveries} | moved), routing.findings(feed, deliveries, tallies)


def nothing_changed(writer: Writer) -> None:
    """Tell gold that this run has changed no subject: no delivery of the register came."""
    writer.stage(writer.spark.createDataFrame([], "subject_id STRING, registration_date DATE"), "changed_subject")


def _refine(writer: Writer, feed: Contract, deliveries: list[Delivery]) -> DataFrame:
    rows, revisions = routing.arrived(writer, feed, deliveries)
    return routing.dated(rows.mapInArrow(refine_batches, spark_ddl()), revisions)


def _take_out_deliveries(writer: Writer, contracts: Mapping[str, Contract], feed: Contract, identities: list[str], run: Run) -> DataFrame | None:
    """Delete what silver holds of deliveries; return key, subject and registration date of their facts (None: there was nothing to do)."""
    if not identities:
        return None
    stored = with_key(writer.spark.table(table_name(contracts[FACTS]))).where(F.col("delivery_id").isin(identities))
    left = writer.stage(stored.select(*KEY, "subject_id", "registration_date").distinct(), "taken_out")
    tables = (contracts[FACTS], quarantine_of(feed), contracts[mapping_use.USES], contracts[mapping_use.UNMAPPED])
    routing.take_out(writer, tables, identities, run)
    return left


def _write_facts(
    writer: Writer, facts: Contract, new: DataFrame, lone: DataFrame, touched: DataFrame, placed: DataFrame, left: DataFrame | None, run: Run
) -> set[str]:
    """Put the new records into the facts and change what is said of stored ones; return the deliveries of which that is changed."""
    table, names = table_name(facts), [c.name for c in facts.columns]
    where = ["delivery_id", "row_number"]
    fresh = lone.select(*names).unionByName(new.join(placed, where).select(*names))
    # Of a stored fact nothing changes but whose it is and what became of it.
    before = touched.select(*where, *[F.col(c).alias(f"old_{c}") for c in _SAID])
    changes = writer.hold(placed.join(before, where).where(" OR ".join(f"{c} <> old_{c}" for c in _SAID)), "moved")
    moved = {r[0] for r in changes.select("delivery_id").distinct().collect()}
    changed = placed.join(touched, where, "left_anti").select("subject_id")
    changed = changed.union(changes.select("subject_id")).union(changes.select("old_subject_id")).distinct().union(lone.select("subject_id"))
    # The month in which a subject was counted by a record that is gone can't be found in the facts any more.
    changed = changed.withColumn("registration_date", F.lit(None).cast("date"))
    changed = changed if left is None else changed.union(left.select("subject_id", "registration_date"))
    writer.stage(changed, "changed_subject")
    if moved:
        writer.change(
            f"""MERGE INTO {table} AS t USING moved AS s ON t.delivery_id = s.delivery_id AND t.row_number = s.row_number
            WHEN MATCHED THEN UPDATE SET t.subject_id = s.subject_id, t.fact_outcome = s.fact_outcome, t.is_conflict = s.is_conflict,
                t.{WRITE_NUMBER} = {run.number}""",
            table,
            "outcomes",
            run.run_id,
        )
    writer.write(fresh, table, "append", "facts", run.run_id)
    return moved


def _write_keys(writer: Writer, contracts: Mapping[str, Contract], lone: DataFrame, assigned: DataFrame, left: DataFrame | None, run: Run) -> None:
    """Set the keys of the touched subjects, and what people must look at, anew."""
    table, review = table_name(contracts[KEYS]), table_name(contracts[REVIEW])
    own = assigned.selectExpr("key_kind", "key_value", "subject_id", "NOT contested AS is_anchor", "known_at")
    qualified = assigned.where("contested").selectExpr(
        "'uscc_name' AS key_kind", "anchor_value AS key_value", "subject_id", "true AS is_anchor", "known_at"
    )
    keys = (
        own.union(qualified)
        .groupBy("key_kind", "key_value", "subject_id")
        .agg(F.max("is_anchor").alias("is_anchor"), F.min("known_at").alias("known_at"))
        .union(lone.selectExpr("key_kind", "key_value", "subject_id", "true", "known_at"))
        .withColumn("key_id", F.expr(key_id_sql("key_kind", "key_value")))
    )
    contested = (
        assigned.where("contested")
        .groupBy("key_value")
        .agg(
            F.sort_array(F.collect_set("normalized_name")).alias("names_involved"),
            F.countDistinct("subject_id").alias("subjects"),
            F.min("known_at").alias("known_at"),
        )
        .withColumn("review_kind", F.lit("contested_code"))
    )
    # Also keys whose last record has gone.
    gone = "" if left is None else " UNION ALL SELECT key_kind, key_value FROM work.taken_out"
    touched = f"(SELECT key_kind, key_value FROM assigned{gone})"  # noqa: S608 - no outside text
    matches = [
        (table, "t.key_value = s.key_value AND t.key_kind = s.key_kind"),
        (table, "t.key_kind = 'uscc_name' AND s.key_kind <> 'name' AND split_part(t.key_value, '|', 1) = s.key_value"),
        (review, "t.key_value = s.key_value"),
    ]
    _take_out(writer, matches, touched, run)
    writer.write(routing.numbered(keys, run).select(*[c.name for c in contracts[KEYS].columns]), table, "append", "keys", run.run_id)
    reviews = contested.select(*[c.name for c in contracts[REVIEW].columns])
    if not reviews.isEmpty():
        writer.write(reviews, review, "append", "review", run.run_id)


def _take_out(writer: Writer, matches: list[tuple[str, str]], touched: str, run: Run) -> None:
    """Delete the rows ``t`` of tables that match a touched key ``s``. Most deliveries touch none: one look is cheaper than each MERGE."""
    keys = f"(SELECT DISTINCT key_kind, key_value FROM {touched})"  # noqa: S608 - no outside text
    looks = [f"(SELECT {n} AS n FROM {table} AS t JOIN {keys} AS s ON {match} LIMIT 1)" for n, (table, match) in enumerate(matches)]  # noqa: S608
    for (number,) in sorted(writer.spark.sql(" UNION ALL ".join(looks)).collect()):
        table, match = matches[number]
        writer.change(f"MERGE INTO {table} AS t USING {keys} AS s ON {match} WHEN MATCHED THEN DELETE", table, "keys", run.run_id)
