"""Make the current release visible: pinned views in Trino, and the ledger's projections in ``ops``.

The publication itself is one commit in the ledger; everything here follows from it and may be repeated.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pyspark.sql import SparkSession

from catalog.contract import Contract
from catalog.derive import physical_columns, spark_schema, table_name, view_columns, view_comments
from catalog.properties import Kind
from infra.ledger import Ledger, TableVersion
from infra.problems import Problem
from infra.services.base import Context
from infra.services.trino import as_publisher
from spark_jobs import delta

VIEW_SCHEMAS = ("silver", "gold", "ops")
PROJECTIONS = {
    "ops.deliveries": """
        SELECT delivery_id, feed, department, file_name, sha256, state, row_count, NULL, NULL, NULL, NULL, NULL, arrived_at, loaded_at FROM delivery""",
    "ops.releases": """
        SELECT r.release_id, t.table_name, t.version, r.run_id, r.published_at FROM release r JOIN release_table t USING (release_id)""",
}


def replay_views(context: Context, contracts: dict[str, Contract], release_id: str | None, tables: Iterable[TableVersion]) -> int:
    """Make every view show ``release_id``; return how many there are. Comments are set again: replacing a view drops them.

    Raises:
        Problem: a view does not show the release afterwards.
    """
    cursor = as_publisher(context).cursor()
    pinned = {t.table_name: t.version for t in tables}
    found = _ask(cursor, "SELECT table_name FROM lake.information_schema.tables WHERE table_schema = 'ops_tables'")
    projected = {row[0] for row in found}
    shown: list[tuple[Contract, int | None]] = [(c, pinned[table_name(c)]) for c in contracts.values() if table_name(c) in pinned]
    shown += [(c, None) for c in contracts.values() if c.kind is Kind.PROJECTION and c.name in projected]
    for contract, version in shown:
        _ask(cursor, view_sql(contract, version, release_id))
        for column, comment in view_comments(contract)["columns"].items():
            _ask(cursor, f"COMMENT ON COLUMN lake_publish.{contract.layer}.{contract.name}.{column} IS {_text(comment)}")
        if version is not None:
            seen = _ask(cursor, f"SELECT DISTINCT release_id FROM lake.{contract.layer}.{contract.name}")  # noqa: S608 - names come from contracts
            if seen not in ([], [[release_id]]):
                raise Problem(
                    f"the view {contract.id} does not show {release_id}", f"it shows {seen}", "see ./lake logs trino, then run ./lake up again"
                )
    return len(shown)


def view_sql(contract: Contract, version: int | None, release_id: str | None) -> str:
    """The statement of a readers' view: columns by name, pinned to a version, with the release's id (ops views: neither)."""
    stored = {c.name for c in physical_columns(contract)}
    columns = ",\n  ".join(c.name if c.name in stored else f"{_text(release_id)} AS {c.name}" for c in view_columns(contract))
    pin = "" if version is None else f" FOR VERSION AS OF {int(version)}"
    comment = _text(view_comments(contract)["view"])
    return f"CREATE OR REPLACE VIEW lake_publish.{contract.layer}.{contract.name} COMMENT {comment} SECURITY DEFINER AS\nSELECT\n  {columns}\nFROM lake.{table_name(contract)}{pin}"


def _text(value: str | None) -> str:
    return "'" + str(value).replace("'", "''") + "'"


def _ask(cursor: Any, sql: str) -> list[Any]:
    cursor.execute(sql)
    return list(cursor.fetchall())


def project_ledger(spark: SparkSession, ledger: Ledger, contracts: dict[str, Contract]) -> None:
    """Rewrite ``ops_tables.*`` from the ledger. Nothing reads them to decide."""
    for identity, sql in PROJECTIONS.items():
        contract = contracts[identity]
        table = delta.ensure_table(spark, contract)
        frame = spark.createDataFrame(ledger.rows(sql), spark_schema(contract).replace(" NOT NULL", ""))
        frame.write.format("delta").mode("overwrite").saveAsTable(table)
