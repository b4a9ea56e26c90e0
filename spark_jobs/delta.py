"""Small helpers around Delta tables: creation from contracts, exactly-once statements, versions, durability."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from catalog.contract import Contract
from catalog.derive import contents_sql, create_table_sql, physical_columns, statistics_columns, table_name, table_schema, tracked
from infra import settings, store
from infra.delta_log import DataFile, DeltaLog, LogDamaged
from infra.durable import sync
from infra.ledger import TableVersion
from infra.problems import Problem

# Of a table: each run adds a few, then they are put together. Of 50 and less Delta keeps the list beside each commit.
MOST_FILES = 40
STAMP = "spark.databricks.delta.commitInfo.userMetadata"


def ensure_table(spark: SparkSession, contract: Contract) -> str:
    """Create the contract's table (and its schema) where missing; return its name. Bronze gets columns that its feed has gained."""
    table = table_name(contract)
    spark.sql(f"CREATE SCHEMA IF NOT EXISTS {table_schema(contract)}")
    spark.sql(create_table_sql(contract, {}))
    if contract.layer == "bronze":
        stored = set(spark.table(table).columns)
        new = [f"{c.name} {c.type}" for c in physical_columns(contract) if c.name not in stored]
        if new:
            spark.sql(f"ALTER TABLE {table} ADD COLUMNS ({', '.join(new)})")
    return table


def make_anew(spark: SparkSession, contract: Contract) -> None:
    """Empty the contract's table and give it the contract's shape, as a new version: older ones stay readable."""
    spark.sql(f"CREATE SCHEMA IF NOT EXISTS {table_schema(contract)}")
    properties = {"delta.dataSkippingStatsColumns": ",".join(statistics_columns(contract))} if tracked(contract) else {}
    spark.sql(create_table_sql(contract, properties).replace("CREATE TABLE IF NOT EXISTS", "CREATE OR REPLACE TABLE", 1))


def stamp(spark: SparkSession, text: str) -> None:
    """Write ``text`` into the log entry of every commit that this session makes from now on."""
    spark.conf.set(STAMP, text)


def write(frame: DataFrame, table: str, epoch: int, mode: str, replaced: str | None = None) -> None:
    """Append to or overwrite ``table`` (or of it, the rows that meet ``replaced``) once: Delta skips a statement whose epoch it has seen."""
    put(frame, table, mode, {"txnAppId": table, "txnVersion": str(epoch)}, replaced)


def put(frame: DataFrame, table: str, mode: str, options: Mapping[str, str], replaced: str | None = None) -> None:
    """Append rows to ``table``, or put them in the place of those that meet ``replaced`` (None: of all), in one commit.

    As an overwrite of rows: ``saveAsTable`` would create the table anew from them, which took ten times as long (docs/decisions/0046).
    """
    if mode == "overwrite":
        frame.writeTo(table).options(**options).overwrite(F.expr(replaced or "true"))
    else:
        frame.write.format("delta").mode(mode).options(**options).saveAsTable(table)


def change(spark: SparkSession, statement: str, table: str, epoch: int) -> None:
    """Run a MERGE, UPDATE or DELETE on ``table`` once, under ``epoch``."""
    spark.conf.set("spark.databricks.delta.write.txnAppId", table)
    spark.conf.set("spark.databricks.delta.write.txnVersion", str(epoch))
    try:
        spark.sql(statement)
    finally:
        spark.conf.unset("spark.databricks.delta.write.txnVersion")
        spark.conf.unset("spark.databricks.delta.write.txnAppId")


def fence(spark: SparkSession, table: str, epoch: int) -> None:
    """Commit nothing under ``epoch``: no statement with an older one can commit to the table after that."""
    if spark.catalog.tableExists(table):
        write(spark.table(table).limit(0), table, epoch, "append")


def _log(table: str) -> DeltaLog:
    """A table's log as it lies on disk: versions and their writers are listed there, and asking Spark for them costs a job each.

    Raises:
        FileNotFoundError: there is no such table.
    """
    return DeltaLog(store.folder_of(settings.load(), table))


def newest_version(table: str) -> int:
    """The newest version of a table; -1 where there is none."""
    try:
        return _log(table).newest
    except FileNotFoundError:
        return -1


def files(table: str) -> tuple[DataFile, ...]:
    """The data files of a table's newest version."""
    log = _log(table)
    return log.snapshot(log.newest).files


def newest_note(table: str) -> str | None:
    """What the newest commit of a table carries: the stamp of a session, or what its writer has noted; None also if it can't be read."""
    log = _log(table)
    try:
        return next(log.notes(log.newest - 1)).text
    except LogDamaged:
        return None


def candidates(spark: SparkSession, wanted: Iterable[tuple[Contract, int, int]]) -> list[TableVersion]:
    """Versions of tables (contract, version, since) with row count and checksum, all counted in one statement; of a tracked one, what run ``since``
    and later ones wrote is added up in full."""
    asked = [
        (
            table_name(contract),
            version,
            contents_sql(contract, "spark", store.at_version(settings.load(), table_name(contract), version), since if tracked(contract) else None),
        )
        for contract, version, since in wanted
    ]
    if not asked:
        return []
    union = " UNION ALL ".join(f"SELECT {n} AS place, * FROM ({sql}) AS c (rows, checksum)" for n, (_, _, sql) in enumerate(asked))  # noqa: S608
    counted = {row[0]: row[1:] for row in spark.sql(union).collect()}
    return [TableVersion(table, version, int(counted[n][0]), str(counted[n][1])) for n, (table, version, _) in enumerate(asked)]


def check_strangers(spark: SparkSession, table: str, after: int, stamp: str) -> None:
    """Make sure that every version of a table after ``after`` carries this session's stamp.

    A statement that a killed program left running may commit late; a deletion vector property that is off is noticed too.

    Raises:
        Problem: somebody else has written, or the table could be read wrongly by Trino (docs/decisions/0011).
    """
    try:
        strange = [f"version {n.version} ({n.operation})" for n in _log(table).notes(after) if n.text != stamp]
    except LogDamaged as damaged:
        strange = [f"version {damaged.version} ({damaged.file} {damaged.what})"]
    if strange:
        raise Problem(f"somebody else wrote {table}", ", ".join(strange), "nothing was published; the run is started again from the release")
    stated = spark.sql(f"SHOW TBLPROPERTIES {table} ('delta.enableDeletionVectors')").collect()[0]["value"]
    if stated != "true":
        raise Problem(
            f"{table} has lost its property enableDeletionVectors", "Trino could read it wrongly", "build the table anew under another name"
        )


def settle(table: str, after: int, since: float = math.inf) -> int:
    """Make the versions of a table after ``after`` survive a power cut; return how many files were synced.

    ``since``: where versions before it may not have been settled either, the moment (seconds of the epoch) that their files are not older than.

    Delta doesn't fsync on a local disk. The ledger must not name a version that could vanish (docs/decisions/0016).
    """
    root = store.folder_of(settings.load(), table)
    before = root / "_delta_log" / f"{after:020}.json"
    since = min(since, before.stat().st_mtime if before.exists() else 0.0)
    new = [p for p in root.rglob("*") if p.is_file() and p.stat().st_mtime >= since]
    for path in {*new, *(p.parent for p in new), root}:
        sync(path)
    return len(new)
