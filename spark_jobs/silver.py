"""Build silver from the deliveries of a run: refine, tell subjects apart, set the facts into their history, account for each row."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from catalog.contract import Contract
from catalog.derive import WRITE_NUMBER, physical_columns, quarantine_of, table_name
from infra.ledger import Account, Delivery, Finding, Run
from spark_jobs import mapping_use
from spark_jobs.history import outcomes
from spark_jobs.identity.keys import KEY, assign_subjects, key_id_sql, lone_subjects, shared_keys, with_key
from spark_jobs.refine.batches import UNSPLITTABLE, refine_batches, spark_ddl
from spark_jobs.writing import Writer

FEED = "bronze.registration_subjects"
FACTS = "silver.subject_registration"
KEYS = "silver.subject_key"
REVIEW = "silver.identity_review"
BUILT = (FACTS, KEYS, REVIEW)
# So few bad rows never hold a delivery back: of a handful of records one is a large share.
FEW = 20
_SAID = ("subject_id", "fact_outcome", "is_conflict")  # what is said of a record, and may change when others come
_SMALL = ("delivery_id", "row_number", *KEY, "normalized_name", "registration_date", "effective_from", "source_revision", "content_hash", "known_at")


def build(
    writer: Writer, contracts: Mapping[str, Contract], run: Run, deliveries: list[Delivery], taken_out: list[str], fresh: Collection[str]
) -> tuple[list[Delivery], list[Account], list[Finding]]:
    """Bring the rows of ``deliveries`` from bronze into the facts and the quarantine; return what was taken, with accounts and findings.

    Of the ``fresh`` ones, those with too many bad rows are held back whole, and the ledger is told why.

    The stored rows of the deliveries ``taken_out`` (withdrawn, or about to come in by a new reading) leave first, and the histories that
    they were part of are told anew without them.

    Silver must stand at the run's parent release (or be empty). One pass over the new rows types them, checks them and says
    where they go; what follows reads the stored rows of the keys that are touched, not all of them.
    """
    feed, facts = contracts[FEED], contracts[FACTS]
    left = _take_out_deliveries(writer, contracts, taken_out, run)
    refined = writer.stage(_numbered(_refine(writer, feed, deliveries), run), "refined")
    tallies = _Tallies(refined)
    held = _hold_back(writer, feed, tallies, [d for d in deliveries if d.delivery_id in fresh and not d.budget_waived])
    if held:
        deliveries = [d for d in deliveries if d.delivery_id not in held]
        refined = refined.where(~F.col("delivery_id").isin(held))
    if any(tallies.rows(d.delivery_id, "aside") for d in deliveries):
        _set_aside(writer, feed, refined, run)
    new = with_key(refined.where("size(reasons) = 0"))
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
    return deliveries, _accounts(writer, contracts, {d.delivery_id for d in deliveries} | moved), _findings(feed, deliveries, tallies)


def _refine(writer: Writer, feed: Contract, deliveries: list[Delivery]) -> DataFrame:
    spark = writer.spark
    stated = spark.createDataFrame(
        [(d.delivery_id, d.business_date, d.source_revision, d.simulated) for d in deliveries],
        "delivery_id STRING, business_date DATE, source_revision INT, simulated BOOLEAN",
    )
    bronze = spark.table(table_name(feed)).where(F.col("delivery_id").isin([d.delivery_id for d in deliveries]))
    rows = bronze.join(F.broadcast(stated.drop("source_revision")), "delivery_id")
    typed = rows.mapInArrow(refine_batches, spark_ddl())
    return (
        typed.join(F.broadcast(stated.select("delivery_id", "source_revision")), "delivery_id")
        .withColumn("known_at", F.col("arrived_at"))
        .withColumn("value_kind", F.expr("CASE WHEN simulated THEN 'simulated' ELSE 'observed' END"))
    )


def _numbered(rows: DataFrame, run: Run) -> DataFrame:
    """Rows that say which run wrote them."""
    return rows.withColumn(WRITE_NUMBER, F.lit(run.number).cast("bigint"))


def _take_out_deliveries(writer: Writer, contracts: Mapping[str, Contract], identities: list[str], run: Run) -> DataFrame | None:
    """Delete what silver holds of deliveries; return key, subject and registration date of their facts (None: there was nothing to do)."""
    if not identities:
        return None
    stored = with_key(writer.spark.table(table_name(contracts[FACTS]))).where(F.col("delivery_id").isin(identities))
    left = writer.stage(stored.select(*KEY, "subject_id", "registration_date").distinct(), "taken_out")
    chosen = ", ".join(f"'{i}'" for i in identities)
    for contract in (contracts[FACTS], quarantine_of(contracts[FEED]), contracts[mapping_use.USES], contracts[mapping_use.UNMAPPED]):
        writer.change(f"DELETE FROM {table_name(contract)} WHERE delivery_id IN ({chosen})", table_name(contract), "withdraw", run.run_id)  # noqa: S608 - ids are ours
    return left


# What a typed row says beside its columns, as pairs of what and which. What a row uses counts only if it becomes a fact.
_SAYS = """concat(
    array(struct('row' AS what, '' AS which)),
    transform(reasons, r -> struct('reason' AS what, r AS which)),
    transform(quality_marks, m -> struct('mark' AS what, m AS which)),
    CASE WHEN size(reasons) > 0 THEN array(struct('aside' AS what, '' AS which)) ELSE concat(
        transform(concat(corrections, crosswalks), i -> struct('applied' AS what, i AS which)),
        transform(ended, i -> struct('ended' AS what, i AS which)),
        CASE WHEN size(unmapped) > 0 THEN array(struct('unmapped' AS what, '' AS which)) ELSE array() END
    ) END
)"""


class _Tallies:
    """How many rows of each delivery say what, counted in one pass, and the first of them."""

    def __init__(self, refined: DataFrame) -> None:
        said = refined.select("delivery_id", "row_number", F.explode(F.expr(_SAYS)).alias("said")).groupBy("delivery_id", "said.what", "said.which")
        self._counted: dict[str, dict[str, dict[str, tuple[int, int]]]] = {}
        for identity, what, which, number, first in said.agg(F.count("*"), F.min("row_number")).collect():
            self._counted.setdefault(identity, {}).setdefault(what, {})[which] = (number, first)

    def of(self, delivery: str, what: str) -> dict[str, tuple[int, int]]:
        """``{which: (rows, first row)}``; ``what`` is ``reason`` or ``mark`` (by rule), ``applied`` or ``ended`` (by mapping)."""
        return self._counted.get(delivery, {}).get(what, {})

    def uses(self) -> dict[tuple[str, str, bool], int]:
        """``{(delivery, mapping, whether it had ended): rows}`` of the rows that become facts."""
        kinds = (("applied", False), ("ended", True))
        return {(d, mapping, over): rows for d in self._counted for what, over in kinds for mapping, (rows, _) in self.of(d, what).items()}

    def rows(self, delivery: str, what: str = "row") -> int:
        """Of a delivery: all rows, those to be set ``aside``, or those with a value that no list knows (``unmapped``)."""
        return self.of(delivery, what).get("", (0, 0))[0]


def _hold_back(writer: Writer, feed: Contract, tallies: _Tallies, deliveries: list[Delivery]) -> list[str]:
    """Hold back those of ``deliveries`` of which more rows are to be set aside than the contract allows; return their ids."""
    if feed.quarantine_budget is None:
        return []
    counts = {d.delivery_id: (tallies.rows(d.delivery_id), tallies.rows(d.delivery_id, "aside")) for d in deliveries}
    over = {i: (total, bad) for i, (total, bad) in counts.items() if bad > FEW and bad > total * feed.quarantine_budget}
    rules = {r.id: r.description for r in feed.rules}
    for identity, (total, bad) in over.items():
        worst = sorted(tallies.of(identity, "reason").items(), key=lambda r: (-r[1][0], r[0]))[:3]
        most = "；".join(f"{rules.get(rule, '记录的列数与表头不符')}（{number:,} 条）" for rule, (number, _) in worst)
        writer.ledger.hold(
            identity,
            f"{total:,} 条记录中有 {bad:,} 条（{bad / total:.0%}）不合规则，超过上限 {feed.quarantine_budget:.0%}，整批扣留，没有进入加工，读者看到的数据不变。"
            f"主要是：{most}。请报送单位改正后重新报送；核对过、确认其余记录可用时：./lake accept {identity} --reason 原因",
        )
        print(f"{identity}: 扣留，{bad} / {total} 条不合规则", flush=True)
    return sorted(over)


def _set_aside(writer: Writer, feed: Contract, refined: DataFrame, run: Run) -> None:
    quarantine = quarantine_of(feed)
    reasons = refined.where("size(reasons) > 0").select("delivery_id", "row_number", "reasons")
    rows = writer.spark.table(table_name(feed)).join(F.broadcast(reasons), ["delivery_id", "row_number"])
    writer.write(rows.select(*[c.name for c in physical_columns(quarantine)]), table_name(quarantine), "append", "quarantine", run.run_id)


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
    writer.stage(_numbered(changed, run), "changed_subject")
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
    writer.write(_numbered(keys, run).select(*[c.name for c in contracts[KEYS].columns]), table, "append", "keys", run.run_id)
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


def _accounts(writer: Writer, contracts: Mapping[str, Contract], identities: Collection[str]) -> list[Account]:
    """Count anew what became of the rows of the deliveries that this run has touched."""
    kept, aside, arrived = (
        writer.spark.table(table_name(c)).where(F.col("delivery_id").isin(sorted(identities)))
        for c in (contracts[FACTS], quarantine_of(contracts[FEED]), contracts[FEED])
    )
    rows = kept.select("delivery_id", F.col("fact_outcome").alias("what"))
    for what, frame in (("quarantined", aside), ("arrived", arrived)):
        rows = rows.unionAll(frame.select("delivery_id", F.lit(what)))
    counts: dict[str, dict[str, int]] = {i: dict.fromkeys(("arrived", "applied", "superseded", "duplicate", "quarantined"), 0) for i in identities}
    for identity, what, number in rows.groupBy("delivery_id", "what").count().collect():
        counts[identity][what] = number
    return [Account(identity, **c) for identity, c in sorted(counts.items())]


def _findings(feed: Contract, deliveries: list[Delivery], tallies: _Tallies) -> list[Finding]:
    rules = {r.id: (r.severity, r.description) for r in feed.rules} | {UNSPLITTABLE: ("quarantine", "记录的列数与表头不符，无法拆分")}
    return [
        Finding(d.delivery_id, rule, *rules[rule], affected, first)
        for d in deliveries
        for what in ("reason", "mark")
        for rule, (affected, first) in tallies.of(d.delivery_id, what).items()
    ]
