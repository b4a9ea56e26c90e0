"""Build silver from the deliveries of a run: refine, tell subjects apart, set the facts into their history, account for each row."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from catalog.contract import Contract
from catalog.derive import WRITE_NUMBER, quarantine_of, table_name
from infra.ledger import Delivery, Run
from spark_jobs import delta, mapping_use, routing
from spark_jobs.history import outcomes
from spark_jobs.identity import ties
from spark_jobs.identity.keys import KEY, ORDER_OF_A_DAY, TRUSTED, assign_subjects, key_id_sql, lone_subjects, shared_keys, with_key
from spark_jobs.refine.batches import refine_batches, spark_ddl
from spark_jobs.writing import Writer

REGISTER = "registration_subjects"  # the feed
FACTS = "silver.subject_registration"
KEYS = "silver.subject_key"
REVIEW = "silver.identity_review"
_SAID = ("subject_id", "fact_outcome", "is_conflict")  # what is said of a record, and may change when others come
_SMALL = ("delivery_id", "row_number", *KEY, "normalized_name", "registration_date", "district_code", "trusted", "effective_from", "source_revision", "content_hash", "known_at")  # fmt: skip


def build(
    writer: Writer,
    contracts: Mapping[str, Contract],
    feed: Contract,
    run: Run,
    deliveries: list[Delivery],
    taken_out: list[str],
    fresh: Collection[str],
    said: DataFrame | None,
) -> routing.Built | None:
    """Bring the rows of ``deliveries`` from bronze into the facts and the quarantine; return what was taken, with accounts and findings.

    Of the ``fresh`` ones, those with too many bad rows are held back whole, and the ledger is told why.

    The stored rows of the deliveries ``taken_out`` (withdrawn, or about to come in by a new reading) leave first, and the histories that
    they were part of are told anew without them. ``said``: what other feeds say of keys (`ties.stated`), None where they have brought nothing.
    Where nothing comes in, goes out or is said otherwise, the result is None.

    Silver must stand at the run's parent release (or be empty). One pass over the new rows types them, checks them and says
    where they go; what follows reads the stored rows of the keys that are touched, not all of them.
    """
    facts, links = contracts[FACTS], contracts[ties.LINKS]
    restated = ties.moved(writer, links, said) if said is not None else None
    if not deliveries and not taken_out and restated is None:
        nothing_changed(writer)
        return None
    left = _take_out_deliveries(writer, contracts, feed, taken_out, run)
    stored = _keyed(writer.spark.table(table_name(facts)))
    # Also where only ties have changed: what is worked out is joined with stored rows, an empty list would not be.
    refined = routing.worked_out(writer, run, _refine(writer, feed, deliveries), "refined", deliveries)
    tallies = routing.Tallies(refined)
    good, judged, deliveries = routing.settle(writer, feed, run, refined, tallies, deliveries, fresh)
    new = _keyed(good)
    keys = new.select(*KEY) if left is None else new.select(*KEY).union(left.select(*KEY))
    keys = keys if restated is None else keys.union(restated[1])
    rows = sum(d.row_count or 0 for d in deliveries)
    tied = ties.tie(
        writer,
        links,
        stored.select(*_SMALL, *_SAID),
        new,
        rows,
        keys,
        restated[0] if restated is not None else None,
        not delta.files(table_name(facts)),
    )
    touched = tied.touched
    # Most records are the only one of their key, and it has no ties: they are their own history, and need neither sorting nor joining.
    shared = writer.hold(shared_keys(new, touched).union(tied.keys).distinct(), "shared_key")
    lone = lone_subjects(new.join(shared, list(KEY), "left_anti"))
    records = new.join(shared, list(KEY), "left_semi").select(*_SMALL).unionByName(touched.select(*_SMALL))
    loose, whole = _assigned(writer, records, tied)
    placed = writer.hold(outcomes(whole.withColumn("source_revision", F.expr(ORDER_OF_A_DAY))), "placed")
    moved = _write_facts(writer, facts, new, lone, touched, placed, left, tied, run)
    ties.write_links(writer, links, tied, run)
    _write_keys(writer, contracts, lone, loose, tied, left, run)
    unknown = [d.delivery_id for d in deliveries if tallies.rows(d.delivery_id, "unmapped")]
    mapping_use.record(writer, contracts, run, deliveries, tallies.uses(), new.where(F.col("delivery_id").isin(unknown)) if unknown else None)
    accounts = routing.accounts(writer, feed, facts, {d.delivery_id for d in deliveries} | moved)
    return routing.Built(deliveries, accounts, routing.findings(feed, deliveries, tallies), judged)


def _keyed(records: DataFrame) -> DataFrame:
    return with_key(records).withColumn("trusted", F.expr(TRUSTED))


def _assigned(writer: Writer, records: DataFrame, tied: ties.Tied) -> tuple[DataFrame, DataFrame]:
    """(records of keys without ties, all records), each with its subject."""
    if not tied.resolved.keys:
        loose = writer.hold(assign_subjects(records), "assigned")
        return loose, loose
    loose = writer.hold(assign_subjects(records.join(F.broadcast(tied.keys), list(KEY), "left_anti")), "assigned")
    said = F.broadcast(ties.said_of(writer.spark, tied.resolved))
    bound = records.join(said, [*KEY, "normalized_name"]).select(*loose.columns)
    return loose, writer.hold(loose.union(bound), "all_assigned")


def left(writer: Writer, taken_out: Collection[str]) -> DataFrame:
    """Keys and names of which this run's `build` took rows or ties out; there may be others that say them."""
    nothing = F.lit(None).cast("string")
    ends = writer.spark.table("tie_end").withColumns({"normalized_name": nothing, "short_name": nothing})
    return ends.unionByName(writer.spark.table("work.taken_out").select(*ends.columns)) if taken_out else ends


def nothing_changed(writer: Writer) -> None:
    """Tell gold that this run has changed no subject: no delivery of the register came."""
    writer.stage(writer.spark.createDataFrame([], "subject_id STRING, registration_date DATE"), "changed_subject")


def _refine(writer: Writer, feed: Contract, deliveries: list[Delivery]) -> DataFrame:
    rows, revisions = routing.arrived(writer, feed, deliveries)
    return routing.dated(rows.mapInArrow(refine_batches, spark_ddl()), revisions)


def _take_out_deliveries(writer: Writer, contracts: Mapping[str, Contract], feed: Contract, identities: list[str], run: Run) -> DataFrame | None:
    """Delete what silver holds of deliveries; return key, subject, registration date and name of their facts (None: there was nothing to do)."""
    if not identities:
        return None
    stored = with_key(writer.spark.table(table_name(contracts[FACTS]))).where(F.col("delivery_id").isin(identities))
    left = writer.stage(stored.select(*KEY, "subject_id", "registration_date", "normalized_name", "short_name").distinct(), "taken_out")
    tables = (contracts[FACTS], quarantine_of(feed), contracts[mapping_use.USES], contracts[mapping_use.UNMAPPED])
    routing.take_out(writer, tables, identities, run)
    return left


def _write_facts(
    writer: Writer,
    facts: Contract,
    new: DataFrame,
    lone: DataFrame,
    touched: DataFrame,
    placed: DataFrame,
    left: DataFrame | None,
    tied: ties.Tied,
    run: Run,
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
    if tied.resolved.keys:  # whether a key is contested changes with others of its cluster
        changed = changed.union(ties.said_of(writer.spark, tied.resolved).select("subject_id")).distinct()
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


def _write_keys(
    writer: Writer, contracts: Mapping[str, Contract], lone: DataFrame, loose: DataFrame, tied: ties.Tied, left: DataFrame | None, run: Run
) -> None:
    """Set the keys of the touched subjects, and what people must look at, anew."""
    table, review = table_name(contracts[KEYS]), table_name(contracts[REVIEW])
    own = loose.selectExpr("key_kind", "key_value", "subject_id", "NOT contested AS is_anchor", "known_at")
    qualified = loose.where("contested").selectExpr(
        "'uscc_name' AS key_kind", "anchor_value AS key_value", "subject_id", "true AS is_anchor", "known_at"
    )
    keys = (
        own.union(qualified)
        .groupBy("key_kind", "key_value", "subject_id")
        .agg(F.max("is_anchor").alias("is_anchor"), F.min("known_at").alias("known_at"))
        .union(lone.selectExpr("key_kind", "key_value", "subject_id", "true", "known_at"))
    )
    contested = (
        loose.where("contested")
        .groupBy("key_value")
        .agg(
            F.sort_array(F.collect_set("normalized_name")).alias("names_involved"),
            F.countDistinct("subject_id").alias("subjects"),
            F.min("known_at").alias("known_at"),
        )
        .withColumn("review_kind", F.lit("contested_code"))
        .withColumn("keys_involved", F.array("key_value"))
    )
    if tied.resolved.keys:
        keys = keys.union(ties.key_rows(writer.spark, tied.resolved))
        contested = contested.unionByName(ties.review_rows(writer.spark, tied.resolved))
    keys = keys.withColumn("key_id", F.expr(key_id_sql("key_kind", "key_value")))
    # Also keys whose last record has gone, and keys that had a tie or have one.
    gone = "" if left is None else " UNION ALL SELECT key_kind, key_value FROM work.taken_out"
    ties.ends(writer.spark, tied).createOrReplaceTempView("tie_end")
    touched = f"(SELECT key_kind, key_value FROM assigned UNION ALL SELECT key_kind, key_value FROM tie_end{gone})"  # noqa: S608 - no outside text
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
