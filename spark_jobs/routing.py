"""What silver does with the rows of any feed: say which run wrote them, hold a delivery back, set rows aside, account for each row."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from catalog.contract import Contract
from catalog.derive import WRITE_NUMBER, physical_columns, quarantine_of, table_name
from infra.ledger import Account, Delivery, Finding, Run
from spark_jobs.refine.batches import UNSPLITTABLE
from spark_jobs.writing import Writer

MOST_HELD = 100_000  # refined rows that are kept with the server; more of them are staged in a table
# So few bad rows never hold a delivery back: of a handful of records one is a large share.
FEW = 20


def numbered(rows: DataFrame, run: Run) -> DataFrame:
    """Rows that say which run wrote them."""
    return rows.withColumn(WRITE_NUMBER, F.lit(run.number).cast("bigint"))


def arrived(writer: Writer, feed: Contract, deliveries: list[Delivery]) -> tuple[DataFrame, DataFrame]:
    """(the bronze rows of deliveries with ``business_date`` and ``simulated`` of theirs, ``source_revision`` by ``delivery_id``)."""
    stated = writer.spark.createDataFrame(
        [(d.delivery_id, d.business_date, d.source_revision, d.simulated) for d in deliveries],
        "delivery_id STRING, business_date DATE, source_revision INT, simulated BOOLEAN",
    )
    bronze = writer.spark.table(table_name(feed)).where(F.col("delivery_id").isin([d.delivery_id for d in deliveries]))
    return bronze.join(F.broadcast(stated.drop("source_revision")), "delivery_id"), stated.select("delivery_id", "source_revision")


def dated(typed: DataFrame, revisions: DataFrame) -> DataFrame:
    """Refined rows with what is said of them by the way they came: revision, time of knowledge, kind of value."""
    return (
        typed.join(F.broadcast(revisions), "delivery_id")
        .withColumn("known_at", F.col("arrived_at"))
        .withColumn("value_kind", F.expr("CASE WHEN simulated THEN 'simulated' ELSE 'observed' END"))
    )


# Of all that a refined row may say beside its columns; a feed without corrections and crosswalks says less. What a row uses counts only if
# it becomes a fact.
_KINDS = {
    "reason": "transform(reasons, r -> struct('reason' AS what, r AS which))",
    "mark": "transform(quality_marks, m -> struct('mark' AS what, m AS which))",
    "applied": "transform(corrections, i -> struct('applied' AS what, i AS which))",
    "crossed": "transform(crosswalks, i -> struct('applied' AS what, i AS which))",
    "ended": "transform(ended, i -> struct('ended' AS what, i AS which))",
}


def _says(columns: Collection[str]) -> str:
    used = [_KINDS[kind] for kind, column in (("applied", "corrections"), ("crossed", "crosswalks"), ("ended", "ended")) if column in columns]
    unmapped = "CASE WHEN size(unmapped) > 0 THEN array(struct('unmapped' AS what, '' AS which)) ELSE array() END"
    return f"""concat(
        array(struct('row' AS what, '' AS which)), {_KINDS["reason"]}, {_KINDS["mark"]},
        CASE WHEN size(reasons) > 0 THEN array(struct('aside' AS what, '' AS which)) ELSE concat({", ".join([*used, unmapped])}) END
    )"""


class Tallies:
    """How many rows of each delivery say what, counted in one pass, and the first of them."""

    def __init__(self, refined: DataFrame) -> None:
        said = refined.select("delivery_id", "row_number", F.explode(F.expr(_says(refined.columns))).alias("said")).groupBy(
            "delivery_id", "said.what", "said.which"
        )
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


class Routed(NamedTuple):
    """``good``: the rows that go on; ``judged``: these and those set aside, of the ``deliveries`` that go on."""

    good: DataFrame
    judged: DataFrame
    deliveries: list[Delivery]


class Built(NamedTuple):
    """What came of a feed: deliveries taken, accounts, findings, and the rows of those deliveries as they were judged."""

    deliveries: list[Delivery]
    accounts: list[Account]
    findings: list[Finding]
    judged: DataFrame


def worked_out(writer: Writer, run: Run, refined: DataFrame, name: str, deliveries: list[Delivery]) -> DataFrame:
    """The refined rows of deliveries, worked out once: few are kept with the server, many are staged."""
    few = sum(d.row_count or 0 for d in deliveries) <= MOST_HELD
    return (writer.hold if few else writer.stage)(numbered(refined, run), name)


def settle(writer: Writer, feed: Contract, run: Run, rows: DataFrame, tallies: Tallies, deliveries: list[Delivery], fresh: Collection[str]) -> Routed:
    """Say where refined rows go: of the ``fresh`` deliveries those with too many bad rows are held back whole; of the others the bad rows are set aside."""
    routed = hold_back(writer, feed, rows, tallies, deliveries, fresh)
    put_aside(writer, feed, run, routed, tallies)
    return routed


def hold_back(writer: Writer, feed: Contract, rows: DataFrame, tallies: Tallies, deliveries: list[Delivery], fresh: Collection[str]) -> Routed:
    """What is left of refined rows without those of deliveries that are held back whole; the ledger is told why."""
    held = _hold_back(writer, feed, tallies, [d for d in deliveries if d.delivery_id in fresh and not d.budget_waived])
    if held:
        deliveries = [d for d in deliveries if d.delivery_id not in held]
        rows = rows.where(~F.col("delivery_id").isin(held))
    return Routed(rows.where("size(reasons) = 0"), rows, deliveries)


def put_aside(writer: Writer, feed: Contract, run: Run, routed: Routed, tallies: Tallies) -> None:
    """Set the bad rows of deliveries that go on aside."""
    if any(tallies.rows(d.delivery_id, "aside") for d in routed.deliveries):
        set_aside(writer, feed, routed.judged, run)


def take_out(writer: Writer, tables: Iterable[Contract], identities: Iterable[str], run: Run) -> None:
    """Delete the rows of deliveries from tables."""
    chosen = ", ".join(f"'{i}'" for i in identities)
    for table in map(table_name, tables):
        writer.change(f"DELETE FROM {table} WHERE delivery_id IN ({chosen})", table, "withdraw", run.run_id)  # noqa: S608 - ids are ours


def _hold_back(writer: Writer, feed: Contract, tallies: Tallies, deliveries: list[Delivery]) -> list[str]:
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


def set_aside(writer: Writer, feed: Contract, refined: DataFrame, run: Run) -> None:
    """Put the bronze rows of those refined rows that have reasons into the feed's quarantine."""
    quarantine = quarantine_of(feed)
    reasons = refined.where("size(reasons) > 0").select("delivery_id", "row_number", "reasons")
    rows = writer.spark.table(table_name(feed)).join(F.broadcast(reasons), ["delivery_id", "row_number"])
    writer.write(rows.select(*[c.name for c in physical_columns(quarantine)]), table_name(quarantine), "append", "quarantine", run.run_id)


def accounts(writer: Writer, feed: Contract, kept: Contract, identities: Collection[str]) -> list[Account]:
    """Count anew what became of the rows of deliveries, which this run has touched; ``kept``: the table of those that were not set aside."""
    facts, aside, delivered = (
        writer.spark.table(table_name(c)).where(F.col("delivery_id").isin(sorted(identities))) for c in (kept, quarantine_of(feed), feed)
    )
    rows = facts.select("delivery_id", F.col("fact_outcome").alias("what"))
    for what, frame in (("quarantined", aside), ("arrived", delivered)):
        rows = rows.unionAll(frame.select("delivery_id", F.lit(what)))
    counts: dict[str, dict[str, int]] = {i: dict.fromkeys(("arrived", "applied", "superseded", "duplicate", "quarantined"), 0) for i in identities}
    for identity, what, number in rows.groupBy("delivery_id", "what").count().collect():
        counts[identity][what] = number
    repeated = _repeated(facts, [i for i, c in counts.items() if c["duplicate"]])
    return [Account(identity, **c, repeated=repeated.get(identity, 0)) for identity, c in sorted(counts.items())]


def _repeated(facts: DataFrame, identities: list[str]) -> dict[str, int]:
    """How many facts of each delivery repeat another one of the same delivery. Only where there are duplicates can there be any."""
    if not identities:
        return {}
    mine = facts.where(F.col("delivery_id").isin(identities)).groupBy("delivery_id")
    # Of a digest a shorter one will do to tell a few thousand contents apart.
    counted = mine.agg(F.count("*") - F.count_distinct(F.xxhash64("content_hash", "effective_from"))).collect()
    return {row[0]: row[1] for row in counted if row[1]}


def findings(feed: Contract, deliveries: list[Delivery], tallies: Tallies) -> list[Finding]:
    """How many rows of each delivery failed which rule."""
    rules = {r.id: (r.severity, r.description) for r in feed.rules} | {UNSPLITTABLE: ("quarantine", "记录的列数与表头不符，无法拆分")}
    return [
        Finding(d.delivery_id, rule, *rules[rule], affected, first)
        for d in deliveries
        for what in ("reason", "mark")
        for rule, (affected, first) in tallies.of(d.delivery_id, what).items()
    ]
