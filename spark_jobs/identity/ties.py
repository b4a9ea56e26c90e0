"""What the rows of a run are tied to: the keys whose subjects have to be told anew, and how (decision 0030).

Statements about keys come from two feeds: changes of a code in the register, and decisions of stewards. That two keys state one name and one
day of registration is seen in the register's own records. Ties are few; what they join is worked out in this process.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import reduce
from typing import Any, NamedTuple

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from catalog.contract import Contract
from catalog.derive import WRITE_NUMBER, records_of, table_name
from infra.ledger import Run
from spark_jobs import delta
from spark_jobs.identity.keys import KEY, key_id_sql
from spark_jobs.identity.links import CORRECTED, DECIDED_APART, DECIDED_SAME, SAME_NAME, Key, Resolved, State, Statement, Tie, resolve
from spark_jobs.refine.batches import spark_ddl
from spark_jobs.refine.identifiers import identify
from spark_jobs.refine.text import normalize_name
from spark_jobs.writing import Writer, sent_along

LINKS = "silver.identity_link"


class Source(NamedTuple):
    """How the records of a feed say something of keys: Spark SQL expressions of its columns."""

    said: str
    first_code: str
    first_name: str
    second_code: str
    second_name: str
    day: str
    own: str  # the code that the record is of, where it has to be one of the two, or the record must say that it is about codes; NULL else


SOURCES = {
    "registration_changes": Source(f"'{CORRECTED}'", "content_before", "subject_name", "content_after", "CAST(NULL AS STRING)", "approved_on", "CASE WHEN change_item LIKE '%信用代码%' OR change_item LIKE '%注册号%' THEN NULL ELSE coalesce(credit_code, '') END"),
    "identity_decisions": Source(
        f"CASE judgement WHEN 'same' THEN '{DECIDED_SAME}' WHEN 'apart' THEN '{DECIDED_APART}' END",
        "first_code", "first_name", "second_code", "second_name", "decided_on", "CAST(NULL AS STRING)",
    ),
}  # fmt: skip
_STATED = pa.schema([
    *((name, pa.string()) for name in ("link_kind", "first_kind", "first_value", "first_name", "second_kind", "second_value", "second_name")),
    ("effective_from", pa.date32()), ("known_at", pa.int64()), ("link_evidence", pa.string()),
])  # fmt: skip
_STATEMENT = _STATED.names
_LINK = [*_STATEMENT, "is_applied", "cluster"]
_CALLED = ("normalized_name", "registration_date")
_STATE = (*KEY, *_CALLED, "district_code", "trusted", "effective_from", "known_at")
_ENDS = (("first_kind", "first_value"), ("second_kind", "second_value"))


class Tied(NamedTuple):
    """`touched`: the stored rows of all keys that are affected; `keys`: those with a tie; `resolved`: what the ties say; `old`: as they stood."""

    touched: DataFrame
    keys: DataFrame
    resolved: Resolved
    old: list[Tie]


def stated(writer: Writer, contracts: Mapping[str, Contract], connected: Collection[str]) -> DataFrame:
    """All that the feeds say of keys now (of those whose tables are ``connected``): the columns of a statement."""
    of_feed = {feed: records_of(contracts[f"bronze.{feed}"]) for feed in SOURCES}
    found = [said_by(feed, writer.spark.table(table_name(records))) for feed, records in of_feed.items() if records.id in connected]
    return reduce(DataFrame.unionByName, found) if found else writer.spark.createDataFrame([], spark_ddl(_STATED))


def said_by(feed: str, records: DataFrame) -> DataFrame:
    """What the typed records of a feed, as they stand, say of keys."""
    source = SOURCES[feed]
    applied = records.where("fact_outcome = 'applied'")
    # Of the many changes few are of a code; the rest is neither put in order nor handed to Python.
    about_codes = f"length({source.first_code}) BETWEEN 13 AND 40 AND length({source.second_code}) BETWEEN 13 AND 40"
    candidates = applied.where(about_codes).select(F.col("record_id").alias("candidate")).distinct()
    columns = [f"{expression} AS {name}" for name, expression in source._asdict().items()]
    stating = applied.join(F.broadcast(candidates), F.col("record_id") == F.col("candidate"), "left_semi").selectExpr(
        "record_id", "effective_from", "fact_state", f"{about_codes} AS about_codes", *columns, "unix_micros(known_at) AS known_at", f"concat('{feed}/', record_id) AS link_evidence"
    )  # fmt: skip
    standing = stating.groupBy("record_id").agg(F.max_by(F.struct(*stating.columns[2:]), "effective_from").alias("s")).select("s.*")
    return standing.where("fact_state = 'active' AND about_codes").mapInArrow(_read, spark_ddl(_STATED)).distinct()


def _read(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        rows = [found for row in batch.to_pylist() if (found := statement(row)) is not None]
        columns = zip(*rows, strict=True) if rows else [[] for _ in _STATED]
        yield pa.RecordBatch.from_arrays([pa.array(c, f.type) for c, f in zip(columns, _STATED, strict=True)], schema=_STATED)


def statement(row: Mapping[str, Any]) -> tuple[Any, ...] | None:
    """What a record says of two keys, or of two companies of one key; None where it says nothing of that kind."""
    first, second = identify(row["first_code"]), identify(row["second_code"])
    first_name, second_name = normalize_name(row["first_name"]), normalize_name(row["second_name"])
    if row["said"] is None or first.value is None or second.value is None:
        return None
    if row["own"] is not None and identify(row["own"]).value not in (first.value, second.value):
        return None  # about others: what a shareholder was and is
    if first.value == second.value and (row["said"] == CORRECTED or not first_name or not second_name or first_name == second_name):
        return None
    ends = first.kind, first.value, first_name, second.kind, second.value, second_name
    return row["said"], *ends, row["day"], row["known_at"], row["link_evidence"]


def moved(writer: Writer, links: Contract, said: DataFrame) -> tuple[DataFrame, DataFrame] | None:
    """(what is said now, worked out; the keys of which something else is said than the stored ties tell); None where that is nobody."""
    kept = _stored(writer.spark, links).where(f"link_kind <> '{SAME_NAME}'").select(*_STATEMENT)
    now = writer.hold(said, "stated")
    keys = writer.hold(_ends(now.exceptAll(kept).union(kept.exceptAll(now))), "restated_key")
    return None if keys.isEmpty() else (now, keys)


def tie(writer: Writer, links: Contract, stored: DataFrame, new: DataFrame, rows: int, keys: DataFrame, said: DataFrame | None, first: bool) -> Tied:
    """Find all that the ``keys`` of a run are tied to, by way of others too, and say what that means.

    ``stored``, ``new``: rows of the register with key, name, date, district and ``trusted``, of the new ones at most so many ``rows``; ``said``: what the feeds say of
    keys, None where that is as in the stored ties; ``first``: nothing is stored.
    """
    spark, table = writer.spark, table_name(links)
    if not first:
        called = sent_along(new.select(*_CALLED).distinct(), rows)
        keys = keys.union(stored.join(called, [*_CALLED], "left_semi").select(*KEY))
    keys = writer.hold(keys.distinct(), "asked_key")
    old: list[Tie] = []
    if delta.files(table):
        kept = _stored(spark, links)
        clusters = _with_end(kept, sent_along(keys, keys.count())).select("cluster").distinct()
        old = [tie_of(row) for row in kept.join(F.broadcast(clusters), "cluster", "left_semi").select(*_LINK).collect()]
    if old:
        keys = keys.union(_frame(spark, _keys_of(old))).distinct()
    touched = writer.hold(stored.join(sent_along(keys, keys.count()), [*KEY], "left_semi"), "touched")
    if said is None:
        statements = [one.said for one in old if one.said.kind != SAME_NAME]
    else:
        about = said.join(keys, [said.first_kind == keys.key_kind, said.first_value == keys.key_value], "left_semi")
        statements = [statement_of(row) for row in about.select(*_STATEMENT).collect()]
    tied, resolved = resolve_rows(new.select(*_STATE).union(touched.select(*_STATE)), statements, lambda frame: writer.hold(frame, "tied_key"))
    return Tied(touched, tied, resolved, old)


def resolve_rows(records: DataFrame, statements: list[Statement], hold: Callable[[DataFrame], DataFrame]) -> tuple[DataFrame, Resolved]:
    """(the keys with a tie among the records of whole clusters, what their ties say). ``hold``: works a frame out once."""
    several = records.groupBy(*_CALLED).agg(F.min(F.xxhash64(*KEY)).alias("a"), F.max(F.xxhash64(*KEY)).alias("b")).where("a <> b")
    named = records.join(F.broadcast(several), [*_CALLED], "left_semi").select(*KEY)
    tied = hold(named.union(_frame(records.sparkSession, {key for s in statements for key in (s.first, s.second)})).distinct())
    states = records.join(F.broadcast(tied), [*KEY], "left_semi").groupBy(*_STATE[:6])
    found = states.agg(F.min("effective_from"), F.min(F.unix_micros("known_at"))).collect()
    return tied, resolve([State(Key(*row[:2]), *row[2:]) for row in found], statements)


def statement_of(row: tuple) -> Statement:
    """A row of what feeds say of keys (`stated`) as a statement."""
    kind, first_kind, first_value, first_name, second_kind, second_value, second_name, *rest = row
    return Statement(kind, Key(first_kind, first_value), Key(second_kind, second_value), first_name, second_name, *rest)


def tie_of(row: tuple) -> Tie:
    """A row of the stored ties."""
    *said, applied, cluster = row
    return Tie(statement_of(tuple(said)), applied, cluster)


def row_of(one: Tie) -> tuple[Any, ...]:
    """What `tie_of` reads."""
    kind, first, second, first_name, second_name, *rest = one.said
    return kind, *first, first_name, *second, second_name, *rest, one.applied, one.cluster


def said_of(spark: SparkSession, resolved: Resolved) -> DataFrame:
    """Of the records of tied keys, by key and name: ``contested``, ``anchor_kind``, ``anchor_value``, ``subject_id``."""
    rows = [(*key, name, key in resolved.contested, *anchor) for (key, name), anchor in resolved.anchors.items()]
    columns = "key_kind STRING, key_value STRING, normalized_name STRING, contested BOOLEAN, anchor_kind STRING, anchor_value STRING"
    return spark.createDataFrame(rows, columns).withColumn("subject_id", F.expr(key_id_sql("anchor_kind", "anchor_value")))


def key_rows(spark: SparkSession, resolved: Resolved) -> DataFrame:
    """The keys of subjects with ties: ``key_kind, key_value, subject_id, is_anchor, known_at``."""
    rows = [(*row.key, *row.anchor, row.known_at) for row in resolved.keys]
    frame = spark.createDataFrame(rows, "key_kind STRING, key_value STRING, anchor_kind STRING, anchor_value STRING, known BIGINT")
    anchor = "key_kind = anchor_kind AND key_value = anchor_value AS is_anchor"
    return frame.selectExpr(*KEY, f"{key_id_sql('anchor_kind', 'anchor_value')} AS subject_id", anchor, "timestamp_micros(known) AS known_at")


def review_rows(spark: SparkSession, resolved: Resolved) -> DataFrame:
    """What people must look at: ``review_kind, key_value, names_involved, keys_involved, subjects, known_at``."""
    found: dict[tuple[str, str], tuple[set[str], set[str], int, int]] = {}
    for r in resolved.reviews:
        names, keys, subjects, known_at = found.get((r.kind, r.key.value), (set(), set(), 0, 0))
        found[r.kind, r.key.value] = ({*names, *r.names}, {*keys, *r.keys}, max(subjects, r.subjects), max(known_at, r.known_at))
    rows = [(kind, value, sorted(n), sorted(k), s, at) for (kind, value), (n, k, s, at) in found.items()]
    columns = "review_kind STRING, key_value STRING, names_involved ARRAY<STRING>, keys_involved ARRAY<STRING>, subjects BIGINT, known BIGINT"
    return spark.createDataFrame(rows, columns).withColumn("known_at", F.expr("timestamp_micros(known)")).drop("known")


def write_links(writer: Writer, links: Contract, tied: Tied, run: Run) -> None:
    """Put the ties of the clusters in which something has changed in the place of those that stood."""
    before, now = _by_cluster(tied.old), _by_cluster(tied.resolved.links)
    # A cluster that has changed its name, or come apart, is gone under its old name.
    gone = sorted(c for c, rows in before.items() if now.get(c) != rows)
    put = [row for c, rows in sorted(now.items()) if before.get(c) != rows for row in sorted(rows, key=str)]
    table = table_name(links)
    if gone:
        # By a list beside the statement: names of traders stand in it, and a statement is kept in the table's log.
        writer.hold(writer.spark.createDataFrame([(c,) for c in gone], "cluster STRING"), "gone_cluster")
        writer.change(
            f"MERGE INTO {table} AS t USING gone_cluster AS s ON t.cluster = s.cluster WHEN MATCHED THEN DELETE", table, "links", run.run_id
        )
    if put:
        schema = f"{spark_ddl(_STATED)}, is_applied BOOLEAN, cluster STRING"
        frame = writer.spark.createDataFrame([row_of(one) for one in put], schema).withColumn("known_at", F.expr("timestamp_micros(known_at)"))
        frame = frame.withColumn(WRITE_NUMBER, F.lit(run.number).cast("bigint"))
        writer.write(frame.select(*[c.name for c in links.columns]), table, "append", "links", run.run_id)


def ends(spark: SparkSession, tied: Tied) -> DataFrame:
    """The keys that had a tie, and those that have one."""
    return _frame(spark, _keys_of([*tied.old, *tied.resolved.links]))


def _keys_of(ties: Iterable[Tie]) -> set[Key]:
    return {key for one in ties for key in (one.said.first, one.said.second)}


def _by_cluster(rows: list[Tie]) -> dict[str, set[Tie]]:
    found: dict[str, set[Tie]] = {}
    for row in rows:
        found.setdefault(row.cluster, set()).add(row)
    return found


def _stored(spark: SparkSession, links: Contract) -> DataFrame:
    return spark.table(table_name(links)).withColumn("known_at", F.unix_micros("known_at")).select(*_LINK)


def _ends(links: DataFrame) -> DataFrame:
    return reduce(DataFrame.union, [links.selectExpr(f"{kind} AS key_kind", f"{value} AS key_value") for kind, value in _ENDS]).distinct()


def _with_end(links: DataFrame, keys: DataFrame) -> DataFrame:
    """The rows of which an end is one of the keys."""
    parts = [links.join(keys, [links[kind] == keys.key_kind, links[value] == keys.key_value], "left_semi") for kind, value in _ENDS]
    return parts[0].union(parts[1])


def _frame(spark: SparkSession, keys: Collection[Key]) -> DataFrame:
    return spark.createDataFrame([tuple(k) for k in sorted(keys)], "key_kind STRING, key_value STRING")
