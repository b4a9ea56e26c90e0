"""To which subject each party of the feeds' records belongs (decision 0031): the ways in which records say whom they mean, looked up once each.

A run looks at parties that are new, and at those whose code or name the register now says something else about.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import reduce

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from catalog.contract import Contract
from catalog.derive import WRITE_NUMBER, records_of, table_name
from infra.ledger import Run
from spark_jobs import delta
from spark_jobs.identity.keys import KEY, key_id_sql
from spark_jobs.refine.batches import spark_ddl
from spark_jobs.refine.parties import party
from spark_jobs.refine.records import party_columns
from spark_jobs.writing import MOST_BROADCAST, Writer, sent_along

PARTIES = "silver.party"
MOVED = "moved_party"  # staged: parties of before that a run gives another subject, with the number of the last run that did
_NAMES = ("normalized_name", "short_name")
_SAID = pa.schema([(name, pa.string()) for name in ("party_key", "code", "name", "district")])
_PARTY = pa.schema([
    ("party_key", pa.string()), ("key_kind", pa.string()), ("key_value", pa.string()), ("trusted", pa.bool_()), ("normalized_name", pa.string()), ("district_code", pa.string()),
    ("short_name", pa.string()),
])  # fmt: skip
# Of the parties asked: the subjects that its code (`fitting`) or its name (`called`) fits. A code goes before a name; a code of several subjects is
# told by the name. Where neither leads to one subject, the party belongs to none; a code that passes its checks is a subject all the same (0009).
# A name that nobody has borne may be somebody's said for short: of those in the district that the record states, or in one that isn't known (0033).
_FITTING = """
SELECT {few} DISTINCT a.party_key, a.normalized_name, k.subject_id
FROM asked_party AS a JOIN {keys} AS k ON k.key_kind = a.key_kind AND k.key_value = a.key_value"""
_BY_NAME = """
SELECT DISTINCT normalized_name, short_name FROM asked_party LEFT JOIN (SELECT party_key, count(*) AS subjects FROM fitting GROUP BY party_key) USING (party_key)
WHERE normalized_name IS NOT NULL AND coalesce(subjects, 0) <> 1 AND (subjects > 1 OR NOT trusted)"""
_RESOLVED = f"""
WITH of_code AS (SELECT party_key, count(*) AS subjects, min(subject_id) AS subject_id FROM fitting GROUP BY party_key),
of_both AS (
    SELECT f.party_key, count(DISTINCT f.subject_id) AS subjects, min(f.subject_id) AS subject_id
    FROM fitting AS f JOIN called AS c ON c.normalized_name = f.normalized_name AND c.subject_id = f.subject_id GROUP BY f.party_key),
of_short AS (
    SELECT a.party_key, count(DISTINCT c.subject_id) AS subjects, min(c.subject_id) AS subject_id, max(c.district_code) IS NOT NULL AS placed
    FROM asked_party AS a JOIN called AS c ON c.short_name = a.short_name AND coalesce(c.district_code, a.district_code) = a.district_code
        AND contains(c.normalized_name, a.normalized_name) GROUP BY a.party_key),
of_name AS (
    SELECT a.party_key, count(DISTINCT c.subject_id) AS subjects, min(c.subject_id) AS subject_id,
        count(DISTINCT CASE WHEN c.district_code = a.district_code THEN c.subject_id END) AS near,
        min(CASE WHEN c.district_code = a.district_code THEN c.subject_id END) AS near_id
    FROM asked_party AS a JOIN called AS c USING (normalized_name) GROUP BY a.party_key),
judged AS (
    SELECT a.*, of_code.subject_id AS code_id, of_both.subject_id AS both_id, of_short.subject_id AS short_id, CASE WHEN of_name.subjects = 1 THEN of_name.subject_id ELSE of_name.near_id END AS name_id,
        CASE WHEN of_code.subjects = 1 THEN 'code'
            WHEN of_code.subjects > 1 THEN CASE WHEN of_both.subjects = 1 THEN 'code_and_name' ELSE 'ambiguous' END
            WHEN a.trusted THEN 'unregistered'
            WHEN of_name.subjects = 1 OR of_name.near = 1 THEN 'name'
            WHEN of_name.subjects > 1 THEN 'ambiguous'
            WHEN of_short.subjects = 1 AND of_short.placed THEN 'short_name'
            WHEN of_short.subjects > 1 THEN 'ambiguous' ELSE 'unknown' END AS basis
    FROM asked_party AS a LEFT JOIN of_code USING (party_key) LEFT JOIN of_both USING (party_key) LEFT JOIN of_name USING (party_key)
    LEFT JOIN of_short USING (party_key)),
belonging AS (
    SELECT *, CASE basis WHEN 'code' THEN code_id WHEN 'code_and_name' THEN both_id WHEN 'name' THEN name_id WHEN 'short_name' THEN short_id
        WHEN 'unregistered' THEN {key_id_sql("key_kind", "key_value")} END AS belongs_to
    FROM judged)
SELECT party_key, key_kind, key_value, trusted AS is_trusted, normalized_name, short_name, district_code, basis AS party_basis, belongs_to AS subject_id, old_basis IS NOT NULL AS was_known
FROM belonging WHERE old_basis IS NULL OR old_basis <> basis OR NOT old_subject <=> belongs_to"""  # noqa: S608 - our own names


def record(writer: Writer, contracts: Mapping[str, Contract], run: Run, feeds: Collection[Contract], left: DataFrame | None) -> None:
    """Bring the parties to what this run has taken in.

    ``feeds``: those of which rows were written. ``left``: keys and names for which the register held rows or ties before this run and may hold
    none any more; None where the run has left the register as it was.
    """
    contract = contracts[PARTIES]
    table, facts, keys = (table_name(c) for c in (contract, contracts["silver.subject_registration"], contracts["silver.subject_key"]))
    stored = writer.spark.table(table)
    asked = [] if left is None or not delta.files(table) else [_touched(writer, stored, facts, keys, run, left)]
    if said := [s for feed in feeds for s in _said(writer, feed, run)]:
        named = writer.hold(reduce(DataFrame.unionByName, said).dropDuplicates(["party_key"]), "named_party")
        known = stored.select("party_key").join(sent_along(named.select("party_key"), named.count()), "party_key", "left_semi")
        new = named.join(known, "party_key", "left_anti").mapInArrow(_read, spark_ddl(_PARTY))
        asked.append(new.withColumn("old_basis", F.lit(None).cast("string")).withColumn("old_subject", F.lit(None).cast("string")))
    if not asked or not (number := writer.hold(reduce(DataFrame.unionByName, asked), "asked_party").count()):
        return
    few = "/*+ broadcast(a) */" if number <= MOST_BROADCAST else ""
    writer.hold(writer.spark.sql(_FITTING.format(keys=keys, few=few)), "fitting")
    wanted = writer.hold(writer.spark.sql(_BY_NAME), "asked_name")
    registered = writer.spark.table(facts).where("fact_outcome = 'applied'").select(*_NAMES, "district_code", "subject_id")
    several = wanted.count()
    of_names = [registered.join(sent_along(wanted.select(name), several), name, "left_semi") for name in _NAMES]
    writer.hold(reduce(DataFrame.unionByName, of_names).distinct(), "called")
    resolved = writer.hold(writer.spark.sql(_RESOLVED), "resolved_party")
    if resolved.isEmpty():
        return
    if not (moved := resolved.where("was_known").select("party_key", F.lit(run.number).cast("bigint").alias(WRITE_NUMBER))).isEmpty():
        writer.stage(moved, MOVED)
    names = [c.name for c in contract.columns if c.name != WRITE_NUMBER]
    writer.change(
        f"""MERGE INTO {table} AS t USING (SELECT {few.replace("(a)", "(r)")} * FROM resolved_party AS r) AS s ON t.party_key = s.party_key
        WHEN MATCHED THEN UPDATE SET t.party_basis = s.party_basis, t.subject_id = s.subject_id, t.{WRITE_NUMBER} = {run.number}
        WHEN NOT MATCHED THEN INSERT ({", ".join(names)}, {WRITE_NUMBER}) VALUES ({", ".join(f"s.{n}" for n in names)}, {run.number})""",  # noqa: S608
        table,
        "parties",
        run.run_id,
    )


def _touched(writer: Writer, stored: DataFrame, facts: str, keys: str, run: Run, left: DataFrame) -> DataFrame:
    """The stored parties whose code or name the register may say something else about than before this run."""
    wrote = F.col(WRITE_NUMBER) == run.number
    changed = writer.hold(writer.spark.table(keys).where(wrote).select(*KEY).union(left.select(*KEY)).distinct(), "changed_key")
    called = writer.spark.table(facts).where(wrote).select(*_NAMES).union(left.select(*_NAMES))
    called = writer.hold(called.where("normalized_name IS NOT NULL").distinct(), "changed_name")
    several = called.count()
    by_key = stored.join(sent_along(changed, changed.count()), [*KEY], "left_semi")
    by_name = [stored.join(sent_along(called.select(name).distinct(), several), name, "left_semi") for name in _NAMES]
    stood = (
        reduce(DataFrame.unionByName, [by_key, *by_name])
        .distinct()
        .withColumnsRenamed({"is_trusted": "trusted", "party_basis": "old_basis", "subject_id": "old_subject"})
    )
    return stood.select(*_PARTY.names, "old_basis", "old_subject")


def _said(writer: Writer, feed: Contract, run: Run) -> list[DataFrame]:
    """The parties that the new rows of a feed name, one frame for each of its columns of that kind: key, code, name, district."""
    rows = writer.spark.table(table_name(records_of(feed))).where(F.col(WRITE_NUMBER) == run.number)
    found = []
    for column in feed.derived_columns:
        if column.party is not None:
            named = zip(("code", "name", "district"), party_columns(feed, column), strict=True)
            columns = [(F.lit(None).cast("string") if of is None else F.col(of)).alias(name) for name, of in named]
            found.append(rows.where(F.col(column.name).isNotNull()).select(F.col(column.name).alias("party_key"), *columns))
    return found


def _read(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        rows = [
            (key, *meant, meant.short_name)
            for key, *said in zip(*(batch.column(name).to_pylist() for name in _SAID.names), strict=True)
            if (meant := party(*said))
        ]
        columns = zip(*rows, strict=True) if rows else [[] for _ in _PARTY]
        yield pa.RecordBatch.from_arrays([pa.array(c, f.type) for c, f in zip(columns, _PARTY, strict=True)], schema=_PARTY)
