"""Small helpers around Delta tables: creation from contracts, exactly-once appends, versions."""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession

from catalog.contract import Contract
from catalog.derive import create_table_sql, table_name, table_schema
from infra.ledger import TableVersion


def ensure_table(spark: SparkSession, contract: Contract) -> str:
    """Create the contract's table (and its schema) where missing; return its name."""
    spark.sql(f"CREATE SCHEMA IF NOT EXISTS {table_schema(contract)}")
    spark.sql(create_table_sql(contract, {}))
    return table_name(contract)


def write(frame: DataFrame, table: str, epoch: int, mode: str) -> None:
    """Append to or overwrite ``table`` once: Delta skips a statement whose epoch it has already seen."""
    frame.write.format("delta").mode(mode).option("txnAppId", table).option("txnVersion", str(epoch)).saveAsTable(table)


def current_version(spark: SparkSession, table: str) -> TableVersion:
    """The newest version of a table and its row count."""
    version = spark.sql(f"DESCRIBE HISTORY {table} LIMIT 1").collect()[0]["version"]
    rows = spark.sql(f"SELECT count(*) FROM {table} VERSION AS OF {int(version)}").collect()[0][0]  # noqa: S608 - names come from contracts
    return TableVersion(table, int(version), int(rows))
