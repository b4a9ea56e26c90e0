"""Make the current release visible: pinned views in Trino, and the ledger's projections in ``ops``.

The publication itself is one commit in the ledger; everything here follows from it and may be repeated.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pyspark.sql import SparkSession

from catalog.contract import Contract
from catalog.derive import checksum_since, contents_sql, physical_columns, spark_schema, table_name, trino_type, view_columns, view_comments
from catalog.properties import Kind
from infra.ledger import Ledger, TableVersion
from infra.problems import Problem
from infra.services.base import Context
from infra.services.trino import as_publisher
from spark_jobs import delta

VIEW_SCHEMAS = ("silver", "gold", "ops")
AT_ONCE = 4  # connections that make views follow: each statement mostly waits
_CURRENT = "(SELECT max(release_id) FROM release)"
PROJECTIONS = {
    "ops.deliveries": f"""
        SELECT d.delivery_id, d.feed, d.department, d.file_name, d.sha256, d.state, d.reason, d.business_date, d.source_revision, d.simulated,
            coalesce(a.arrived, d.row_count), a.applied, a.superseded, a.duplicate, a.quarantined,
            CASE WHEN a.delivery_id IS NOT NULL THEN {_CURRENT} END, d.arrived_at, d.loaded_at
        FROM delivery d LEFT JOIN release_accounts({_CURRENT}) a USING (delivery_id)""",  # noqa: S608
    "ops.delivery_findings": f"""
        SELECT delivery_id, rule, severity, description, affected FROM release_findings({_CURRENT})""",  # noqa: S608
    "ops.releases": """
        SELECT r.release_id, t.table_name, t.version, t.row_count, t.checksum, r.kind, r.run_id, r.published_at
        FROM release r JOIN release_table t USING (release_id)""",
    "ops.quality_results": """
        SELECT run_id, table_name, rule, version, description, dimension, passed, observed, judged_at FROM gate_result""",
}

# Projections whose rows never change, with the column that says when they came: a run appends to them what is new.
GROWING = {"ops.releases": "published_at", "ops.quality_results": "judged_at"}

PROJECTED = tuple(identity.replace("ops.", "ops_tables.") for identity in PROJECTIONS)


def compare(context: Context, contracts: Mapping[str, Contract], tables: Iterable[TableVersion]) -> None:
    """Make sure that Trino reads the same rows as Spark from the versions that readers are about to get.

    Raises:
        Problem: row count or checksum differ: nothing is published.
    """
    for t, rows, checksum in contents(context, contracts, tables):
        if differs(t, rows, checksum):
            raise Problem(
                f"Trino reads {t.table_name} version {t.version} otherwise than Spark",
                f"Spark: {t.row_count} rows, checksum {t.checksum}; Trino: {rows} rows, checksum {checksum}",
                "nothing was published; see docs/decisions/0011-deletion-vectors.md",
            )
        print(f"{t.table_name} version {t.version}: {rows} rows, the same in both engines", flush=True)


def contents(context: Context, contracts: Mapping[str, Contract], tables: Iterable[TableVersion]) -> Iterator[tuple[TableVersion, int, str | None]]:
    """Row count and checksum of table versions, as Trino reads them. A table without a contract of today is left out.

    A version that was written under another contract has no checksum (None): what was added up then is not known any more.
    """
    cursor = as_publisher(context).cursor()
    by_table = {table_name(c): c for c in contracts.values()}
    for t in tables:
        if t.table_name in by_table:
            contract, version = by_table[t.table_name], f"lake.{t.table_name} FOR VERSION AS OF {int(t.version)}"
            ask(cursor, f"SELECT * FROM {version} LIMIT 0")  # noqa: S608 - names come from contracts
            same = {(c[0], c[1]) for c in cursor.description} == {(c.name, trino_type(c)) for c in physical_columns(contract)}
            # The ledger's checksum says how it was made.
            query = contents_sql(contract, "trino", version, checksum_since(t.checksum)) if same else f"SELECT count(*), NULL FROM {version}"  # noqa: S608
            rows, found = ask(cursor, query)[0]
            yield t, int(rows), found


def differs(t: TableVersion, rows: int, checksum: str | None) -> bool:
    """Whether what `contents` has found is not what the ledger says of a version. Checksums of two kinds (``crc32:…``) say nothing of each other."""
    alike = checksum is not None and _kind(checksum) == _kind(t.checksum or "")
    return rows != t.row_count or (alike and checksum != t.checksum)


def _kind(checksum: str) -> str:
    return checksum.partition(":")[0] if ":" in checksum else ""


def shown(context: Context) -> dict[str, tuple[str | None, int | None]]:
    """What each readers' view shows: ``{view: (release, version)}``; None for what a view does not name."""
    cursor = as_publisher(context).cursor()
    found: dict[str, tuple[str | None, int | None]] = {}
    for schema in VIEW_SCHEMAS:
        for (name,) in ask(cursor, f"SELECT table_name FROM lake_publish.information_schema.views WHERE table_schema = '{schema}'"):  # noqa: S608
            (text,) = ask(cursor, f"SHOW CREATE VIEW lake_publish.{schema}.{name}")[0]
            version, release = re.search(r"FOR VERSION AS OF\s+(\d+)", text), re.search(r"'(R\d{8})'\s+(?:AS\s+)?release_id", text)
            found[f"{schema}.{name}"] = (release[1] if release else None, int(version[1]) if version else None)
    return found


def replay_views(context: Context, contracts: Mapping[str, Contract], release_id: str | None, tables: Iterable[TableVersion]) -> int:
    """Make every view show ``release_id``; return how many there are. Comments are set again: replacing a view drops them.

    A table that the release does not have, because its feed came later, has no view.

    Raises:
        Problem: a view does not show the release afterwards.
    """
    cursor = as_publisher(context).cursor()
    pinned = {t.table_name: t.version for t in tables}
    stored: dict[str, set[str]] = {}
    for schema, table, column in ask(cursor, "SELECT table_schema, table_name, column_name FROM lake.information_schema.columns"):
        stored.setdefault(f"{schema}.{table}", set()).add(column)
    shown: list[tuple[Contract, int | None]] = []
    for contract in contracts.values():
        table = table_name(contract)
        if contract.kind is not Kind.PROJECTION and table not in pinned:
            continue
        # After an upgrade a table may still lack a new column; the view stays as it is until a run has built the table anew.
        if {c.name for c in physical_columns(contract)} <= stored.get(table, set()):
            shown.append((contract, pinned.get(table)))
    gone = [c for c in contracts.values() if release_id and c.layer in ("silver", "gold") and c.id in stored and table_name(c) not in pinned]
    for contract in gone:
        ask(cursor, f"DROP VIEW IF EXISTS lake_publish.{contract.id}")
    # All views first: who joins two of them shall not wait for a hundred comments until both show the same release.
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for work in (_replace, _require_shown, _comment):
            list(pool.map(lambda shows, work=work: work(context, *shows, release_id), shown))
    return len(shown)


def _replace(context: Context, contract: Contract, version: int | None, release_id: str | None) -> None:
    ask(as_publisher(context).cursor(), view_sql(contract, version, release_id))


def _require_shown(context: Context, contract: Contract, version: int | None, release_id: str | None) -> None:
    if version is None:
        return
    seen = ask(as_publisher(context).cursor(), f"SELECT DISTINCT release_id FROM lake.{contract.id}")  # noqa: S608 - names come from contracts
    if seen not in ([], [[release_id]]):
        raise Problem(f"the view {contract.id} does not show {release_id}", f"it shows {seen}", "see ./lake logs trino, then run ./lake up again")


def _comment(context: Context, contract: Contract, version: int | None, release_id: str | None) -> None:
    cursor = as_publisher(context).cursor()
    for column, comment in view_comments(contract)["columns"].items():
        ask(cursor, f"COMMENT ON COLUMN lake_publish.{contract.layer}.{contract.name}.{column} IS {_text(comment)}")


def view_sql(contract: Contract, version: int | None, release_id: str | None) -> str:
    """The statement of a readers' view: columns by name, pinned to a version, with the release's id (ops views: neither)."""
    stored = {c.name for c in physical_columns(contract)}
    columns = ",\n  ".join(c.name if c.name in stored else f"{_text(release_id)} AS {c.name}" for c in view_columns(contract))
    pin = "" if version is None else f" FOR VERSION AS OF {int(version)}"
    comment = _text(view_comments(contract)["view"])
    return f"CREATE OR REPLACE VIEW lake_publish.{contract.layer}.{contract.name} COMMENT {comment} SECURITY DEFINER AS\nSELECT\n  {columns}\nFROM lake.{table_name(contract)}{pin}"


def _text(value: str | None) -> str:
    return "'" + str(value).replace("'", "''") + "'"


def ask(cursor: Any, sql: str) -> list[Any]:
    """All rows of the answer to a statement."""
    cursor.execute(sql)
    return list(cursor.fetchall())


def project_ledger(spark: SparkSession, ledger: Ledger, contracts: Mapping[str, Contract], anew: bool = False) -> None:
    """Bring ``ops_tables.*`` to what the ledger says, as far as it says something else than at the last time. Nothing reads them to decide.

    Each commit notes what the table then holds; a table whose newest commit is somebody else's is written anew. ``anew``: all are.
    """
    for identity, sql in PROJECTIONS.items():
        contract = contracts[identity]
        table = delta.ensure_table(spark, contract)
        if spark.table(table).columns != [c.name for c in physical_columns(contract)]:
            delta.make_anew(spark, contract)
        note = None if anew else delta.newest_note(table)
        mode, rows, holds = _growth(ledger, sql, GROWING[identity], note, table) if identity in GROWING else _whole(ledger, sql)
        if note != holds:
            frame = spark.createDataFrame(rows, spark_schema(contract).replace(" NOT NULL", ""))
            frame.write.format("delta").mode(mode).option("userMetadata", holds).saveAsTable(table)


def _whole(ledger: Ledger, sql: str) -> tuple[str, list[tuple[Any, ...]], str]:
    rows = ledger.rows(sql)
    return "overwrite", rows, contents_digest(rows)


def _growth(ledger: Ledger, sql: str, column: str, note: str | None, table: str) -> tuple[str, list[tuple[Any, ...]], str]:
    """How to bring a projection up that only gains rows: mode, rows, and what it then holds.

    What came after the moment that the table's note names is appended, if the ledger has as many rows before it as the note says.
    """
    ((count, last),) = ledger.rows(f"SELECT count(*), max({column})::text FROM ({sql}) AS p")  # noqa: S608 - our own statements
    holds = f"rows:{count} until:{last}"
    noted = re.fullmatch(r"rows:(\d+) until:([0-9 :.+-]+)", note or "")
    if noted and note == holds:
        return "append", [], holds
    if noted and len(delta.files(table)) < delta.MOST_FILES:
        until = f"timestamptz '{noted[2]}'"
        ((known,),) = ledger.rows(f"SELECT count(*) FROM ({sql}) AS p WHERE {column} <= {until}")  # noqa: S608
        if known == int(noted[1]):
            return "append", ledger.rows(f"SELECT * FROM ({sql}) AS p WHERE {column} > {until}"), holds  # noqa: S608
    return "overwrite", ledger.rows(sql), holds


def contents_digest(rows: Iterable[tuple[Any, ...]]) -> str:
    """The same for the same rows in any order."""
    return "sha256:" + hashlib.sha256("\n".join(sorted(map(repr, rows))).encode()).hexdigest()
