"""Build the typed records of feeds: refine their deliveries, set each row into the history of its record, account for it.

All feeds go through together: to ask Spark something costs the same for many rows as for few, and most feeds bring few. What has to be
asked of each feed alone is the refinement of its rows and the writing of its tables.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from typing import NamedTuple, TypeVar

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from catalog.contract import Contract
from catalog.derive import WRITE_NUMBER, quarantine_of, records_of, statement_order_sql, table_name
from infra.ledger import Account, Delivery, Run
from spark_jobs import delta, mapping_use, routing
from spark_jobs.history import outcomes
from spark_jobs.refine.batches import spark_ddl
from spark_jobs.refine.records import output_schema, refine_batches
from spark_jobs.writing import Writer, sent_along

_ROW = ("delivery_id", "row_number")
_SAID = ("fact_outcome", "is_conflict")  # what is said of a row, and may change when others of its record come
_SMALL = (*_ROW, "record_id", "effective_from", "content_hash", "known_at")
AT_ONCE = 2  # feeds
T = TypeVar("T")


class Work(NamedTuple):
    """Of a feed: the deliveries that come in, and the ids of those that go out."""

    feed: Contract
    deliveries: list[Delivery]
    taken_out: list[str]


def build(writer: Writer, contracts: Mapping[str, Contract], run: Run, work: list[Work], fresh: Collection[str]) -> list[routing.Built]:
    """Bring the rows of each feed's deliveries from bronze into its typed records and its quarantine; return what came of each.

    Of the ``fresh`` deliveries, those with too many bad rows are held back whole, and the ledger is told why. The stored rows of those taken
    out leave first.
    """
    if not work:
        return []
    left = [gone for w in work if (gone := _take_out(writer, contracts, w, run)) is not None]
    typed = _each(lambda w: _refine(writer, w, run), work)
    tallies = routing.Tallies(_union(t.select(*_ROW, "reasons", "quality_marks", "unmapped") for t in typed.values()))
    # One after another: the ledger is told of what is held back in one transaction each.
    routed = {w.feed.name: routing.hold_back(writer, w.feed, typed[w.feed.name], tallies, w.deliveries, fresh) for w in work}
    _each(lambda w: routing.put_aside(writer, w.feed, run, routed[w.feed.name], tallies), work)
    rows = sum(d.row_count or 0 for w in work for d in w.deliveries)
    good = {
        name: r.good for name, r in routed.items() if any(tallies.rows(d.delivery_id) > tallies.rows(d.delivery_id, "aside") for d in r.deliveries)
    }
    placed = _place(writer, work, good, left, rows, run) if good or left else _Placed(None, {})
    accounts = _accounts(writer, work, routed, tallies, placed)
    _note_unmapped(writer, contracts, run, work, routed, tallies)
    return [
        routing.Built(r.deliveries, accounts[w.feed.name], routing.findings(w.feed, r.deliveries, tallies), r.judged)
        for w in work
        for r in (routed[w.feed.name],)
    ]


def _refine(writer: Writer, work: Work, run: Run) -> DataFrame:
    rows, revisions = routing.arrived(writer, work.feed, work.deliveries)
    typed = routing.dated(rows.mapInArrow(refine_batches(work.feed), spark_ddl(output_schema(work.feed))), revisions)
    return routing.worked_out(writer, run, typed, f"refined_{work.feed.name}", work.deliveries)


def _take_out(writer: Writer, contracts: Mapping[str, Contract], work: Work, run: Run) -> DataFrame | None:
    """Delete what silver holds of deliveries; return the ids of the records that they stated (None: there was nothing to do)."""
    if not work.taken_out:
        return None
    kept = records_of(work.feed)
    stored = writer.spark.table(table_name(kept)).where(F.col("delivery_id").isin(work.taken_out))
    left = writer.hold(stored.select("record_id").distinct(), f"left_{work.feed.name}")
    routing.take_out(writer, (kept, quarantine_of(work.feed), contracts[mapping_use.UNMAPPED]), work.taken_out, run)
    return left


class _Placed(NamedTuple):
    """``rows``: outcomes of the rows of records that have more than one (None: each has one), with what is needed to count them; ``moved``: the
    deliveries, by feed, of which what is said of a stored row has changed."""

    rows: DataFrame | None
    moved: dict[str, set[str]]


def _place(writer: Writer, work: list[Work], good: Mapping[str, DataFrame], left: list[DataFrame], rows: int, run: Run) -> _Placed:
    """Append the new rows of each feed (at most so many in all) with their outcomes, and change those of stored rows."""
    kept = {w.feed.name: records_of(w.feed) for w in work}
    new = [_small(kept[name], name, g) for name, g in good.items()]
    ids = _union([*(n.select("record_id") for n in new), *left]).distinct()
    touched = _touched(writer, kept, sent_along(ids, rows + sum(gone.count() for gone in left)))
    # Most rows are the only one of their record: they are its history, and need neither sorting nor joining.
    several = [n.select("feed", "record_id", F.lit(1).alias("rows")) for n in new]
    several += [touched.select("feed", "record_id", F.lit(2).alias("rows"))] if touched is not None else []
    counted = _union(several).groupBy("feed", "record_id").agg(F.sum("rows").alias("rows")).where("rows > 1")
    shared = writer.hold(counted.select("feed", "record_id"), "shared_record")
    sharing = {str(row[0]) for row in shared.select("feed").distinct().collect()}
    placed, moved = None, {}
    if sharing:
        parts = [n.join(shared.select("record_id"), "record_id", "left_semi") for n in new]
        parts += [touched.drop(*_SAID)] if touched is not None else []
        whole = writer.hold(_union(parts), "whole")
        judged = outcomes(whole.withColumnRenamed("record_id", "subject_id")).drop("subject_id")
        placed = writer.hold(judged.join(whole.select(*_ROW, "feed", "content_hash", "effective_from"), [*_ROW]), "placed")
        if touched is not None:
            moved = _change(writer, kept, placed, touched, run)

    def put(w: Work) -> None:
        name, names = w.feed.name, [c.name for c in kept[w.feed.name].columns]
        mine = good[name]
        fresh = _alone(mine).select(*names)
        if placed is not None and name in sharing:
            alone = mine.join(shared.where(F.col("feed") == name).select("record_id"), "record_id", "left_anti")
            told = placed.where(F.col("feed") == name).select(*_ROW, *_SAID)
            fresh = _alone(alone).select(*names).unionByName(mine.join(told, [*_ROW]).select(*names))
        writer.write(fresh, table_name(kept[name]), "append", "records", run.run_id)

    _each(put, [w for w in work if w.feed.name in good])
    return _Placed(placed, moved)


def _each(do: Callable[[Work], T], work: list[Work]) -> dict[str, T]:
    """What is done for each feed alone, by its name; some at once, for much of each is waiting for the server to plan."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip([w.feed.name for w in work], pool.map(do, work), strict=True))


def _touched(writer: Writer, kept: Mapping[str, Contract], ids: DataFrame) -> DataFrame | None:
    """The stored rows of records, with what is said of each; None where nothing is stored yet."""
    tables = {name: table_name(c) for name, c in kept.items() if delta.files(table_name(c))}
    stored = [_small(kept[name], name, writer.spark.table(t).join(ids, "record_id", "left_semi"), *_SAID) for name, t in tables.items()]
    return writer.hold(_union(stored), "touched") if stored else None


def _small(kept: Contract, name: str, rows: DataFrame, *more: str) -> DataFrame:
    """What the history of a record is told by; ``source_revision``: the order of what is said of one day."""
    return rows.select(F.lit(name).alias("feed"), *_SMALL, F.expr(statement_order_sql(kept)).alias("source_revision"), *more)


def _change(writer: Writer, kept: Mapping[str, Contract], placed: DataFrame, touched: DataFrame, run: Run) -> dict[str, set[str]]:
    """Say of stored rows what now becomes of them; return the deliveries, by feed, of which something has changed."""
    before = touched.select(*_ROW, *[F.col(c).alias(f"old_{c}") for c in _SAID])
    changes = writer.hold(placed.join(before, [*_ROW]).where(" OR ".join(f"{c} <> old_{c}" for c in _SAID)), "moved")
    moved: dict[str, set[str]] = {}
    for name, identity in changes.select("feed", "delivery_id").distinct().collect():
        moved.setdefault(name, set()).add(identity)
    for name in sorted(moved):
        table = table_name(kept[name])
        writer.change(
            f"""MERGE INTO {table} AS t USING (SELECT * FROM moved WHERE feed = '{name}') AS s ON t.delivery_id = s.delivery_id AND t.row_number = s.row_number
            WHEN MATCHED THEN UPDATE SET t.fact_outcome = s.fact_outcome, t.is_conflict = s.is_conflict, t.{WRITE_NUMBER} = {run.number}""",  # noqa: S608
            table,
            "outcomes",
            run.run_id,
        )
    return moved


def _alone(rows: DataFrame) -> DataFrame:
    """Rows of which each is the only one of its record, with what becomes of them."""
    return rows.withColumn("fact_outcome", F.lit("applied")).withColumn("is_conflict", F.lit(False))


def _accounts(
    writer: Writer, work: list[Work], routed: Mapping[str, routing.Routed], tallies: routing.Tallies, placed: _Placed
) -> dict[str, list[Account]]:
    """What became of the rows of the deliveries taken, and, counted anew, of those that have changed by it; by feed."""
    taken = {d.delivery_id for r in routed.values() for d in r.deliveries}
    counted: dict[str, dict[str, int]] = {}
    copies: dict[str, int] = {}
    if taken and placed.rows is not None:
        mine = placed.rows.where(F.col("delivery_id").isin(sorted(taken)))
        told = mine.groupBy("delivery_id").agg(
            *[F.count_if(F.col("fact_outcome") == what).alias(what) for what in ("superseded", "duplicate")],
            # Of a digest a shorter one will do to tell a few thousand contents apart.
            (F.count("*") - F.count_distinct(F.xxhash64("content_hash", "effective_from"))).alias("repeated"),
        )
        for row in told.collect():
            counted[row["delivery_id"]] = {what: row[what] for what in ("superseded", "duplicate")}
            copies[row["delivery_id"]] = row["repeated"]
    found: dict[str, list[Account]] = {}
    for w in work:
        own = []
        for d in routed[w.feed.name].deliveries:
            arrived, aside = tallies.rows(d.delivery_id), tallies.rows(d.delivery_id, "aside")
            superseded, duplicate = (counted.get(d.delivery_id, {}).get(what, 0) for what in ("superseded", "duplicate"))
            own.append(
                Account(d.delivery_id, arrived, arrived - aside - superseded - duplicate, superseded, duplicate, aside, copies.get(d.delivery_id, 0))
            )
        if others := placed.moved.get(w.feed.name, set()) - taken:
            own += routing.accounts(writer, w.feed, records_of(w.feed), others)
        found[w.feed.name] = own
    return found


def _note_unmapped(
    writer: Writer, contracts: Mapping[str, Contract], run: Run, work: list[Work], routed: Mapping[str, routing.Routed], tallies: routing.Tallies
) -> None:
    """List what stands in columns of allowed values and is none of them."""
    for w in work:
        r = routed[w.feed.name]
        unknown = [d.delivery_id for d in r.deliveries if tallies.rows(d.delivery_id, "unmapped")]
        if unknown:
            lists = {c.name: f"{c.chinese}（允许值）" for c in w.feed.columns if c.allowed}
            rows = r.good.where(F.col("delivery_id").isin(unknown))
            mapping_use.write_unmapped(writer, contracts[mapping_use.UNMAPPED], run, rows, w.feed.name, lists)


def _union(frames: Iterable[DataFrame]) -> DataFrame:
    return reduce(DataFrame.unionByName, frames)
