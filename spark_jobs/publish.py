"""Make the current release visible: pinned views in Trino, and the ledger's projections in ``ops``.

The publication itself is one commit in the ledger; everything here follows from it and may be repeated.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import trino

from catalog.contract import Contract
from catalog.derive import checksum_since, contents_sql, physical_columns, table_name, trino_type, view_columns, view_comments
from catalog.properties import Kind
from infra.ledger import Ledger, TableVersion
from infra.problems import Problem
from infra.services.base import Context
from infra.services.trino import as_publisher

VIEW_SCHEMAS = ("silver", "gold", "ops")
AT_ONCE = 4  # connections: each statement mostly waits


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
    by_table = {table_name(c): c for c in contracts.values()}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield from pool.map(lambda t: _content(context, by_table[t.table_name], t), [t for t in tables if t.table_name in by_table])


def _content(context: Context, contract: Contract, t: TableVersion) -> tuple[TableVersion, int, str | None]:
    cursor, version = as_publisher(context).cursor(), f"lake.{t.table_name} FOR VERSION AS OF {int(t.version)}"
    ask(cursor, f"SELECT * FROM {version} LIMIT 0")  # noqa: S608 - names come from contracts
    same = {(c[0], c[1]) for c in cursor.description} == {(c.name, trino_type(c)) for c in physical_columns(contract)}
    # The ledger's checksum says how it was made.
    query = contents_sql(contract, "trino", version, checksum_since(t.checksum)) if same else f"SELECT count(*), NULL FROM {version}"  # noqa: S608
    rows, found = ask(cursor, query)[0]
    return t, int(rows), found


def differs(t: TableVersion, rows: int, checksum: str | None) -> bool:
    """Whether what `contents` has found is not what the ledger says of a version. Checksums of two kinds (``crc32:…``) say nothing of each other."""
    alike = checksum is not None and _kind(checksum) == _kind(t.checksum or "")
    return rows != t.row_count or (alike and checksum != t.checksum)


def _kind(checksum: str) -> str:
    return checksum.partition(":")[0] if ":" in checksum else ""


def shown(context: Context) -> dict[str, tuple[str | None, int | None]]:
    """What each readers' view shows: ``{view: (release, version)}``; None for what a view does not name."""
    schemas = ", ".join(f"'{schema}'" for schema in VIEW_SCHEMAS)
    sql = f"SELECT table_schema, table_name, view_definition FROM lake_publish.information_schema.views WHERE table_schema IN ({schemas})"  # noqa: S608
    found: dict[str, tuple[str | None, int | None]] = {}
    for schema, name, text in ask(as_publisher(context).cursor(), sql):
        version, release = re.search(r"FOR VERSION AS OF\s+(\d+)", text), re.search(r"'(R\d{8})'\s+(?:AS\s+)?release_id", text)
        found[f"{schema}.{name}"] = (release[1] if release else None, int(version[1]) if version else None)
    return found


def replay_views(context: Context, ledger: Ledger, contracts: Mapping[str, Contract], release_id: str | None, tables: Iterable[TableVersion]) -> int:
    """Make every view show what ``release_id`` holds; return how many there are.

    A view that shows its version already stays, and with it the id of the release that brought that version: what a publication costs
    follows what it changes. Replacing a view drops its comments, so they are set again; only then is the view noted as made.
    A table that the release does not have, because its feed came later, has no view.

    Raises:
        Problem: a view does not show the release afterwards.
    """
    cursor = as_publisher(context).cursor()
    pinned = {t.table_name: t.version for t in tables}
    stored: dict[str, set[str]] = {}
    for schema, table, column in ask(cursor, "SELECT table_schema, table_name, column_name FROM lake.information_schema.columns"):
        stored.setdefault(f"{schema}.{table}", set()).add(column)
    wanted: list[tuple[Contract, int | None]] = []
    for contract in contracts.values():
        table = table_name(contract)
        if contract.kind is not Kind.PROJECTION and table not in pinned:
            continue
        # After an upgrade a table may still lack a new column; the view stays as it is until a run has built the table anew.
        if {c.name for c in physical_columns(contract)} <= stored.get(table, set()):
            wanted.append((contract, pinned.get(table)))
    gone = [c for c in contracts.values() if release_id and c.layer in ("silver", "gold") and c.id in stored and table_name(c) not in pinned]
    for contract in gone:
        ask(cursor, f"DROP VIEW IF EXISTS lake_publish.{contract.id}")
    there, made = shown(context), ledger.views_made()
    behind = [(c, v) for c, v in wanted if c.id not in there or there[c.id][1] != v or made.get(c.id) != definition(c, v)]
    ledger.views_unmade([c.id for c, _ in behind])
    # All views first: who joins two of them shall not wait for a hundred comments until both show the same release.
    with ThreadPoolExecutor(AT_ONCE) as pool:
        replaced = list(pool.map(lambda shows: _replace(context, shows[0], shows[1], release_id), behind))
        behind = [shows for shows, is_new in zip(behind, replaced, strict=True) if is_new]
        for work in (_require_shown, _comment):
            list(pool.map(lambda shows, work=work: work(context, *shows, release_id), behind))
    ledger.note_views({c.id: definition(c, v) for c, v in behind})
    return len(wanted)


def definition(contract: Contract, version: int | None) -> str:
    """A digest of all that a view is made of, but for the release that it names."""
    return hashlib.sha256(f"{view_sql(contract, version, None)}{view_comments(contract)}".encode()).hexdigest()


def _replace(context: Context, contract: Contract, version: int | None, release_id: str | None) -> bool:
    """Replace a view; False if the version that it shows lacks a column of today's contract, because a run that built the table anew was not published."""
    try:
        ask(as_publisher(context).cursor(), view_sql(contract, version, release_id))
    except trino.exceptions.TrinoUserError as error:
        if version is None or error.error_name != "COLUMN_NOT_FOUND":
            raise
        print(f"{contract.id}: 视图保持原样，版本 {version} 还没有合同里的全部列", flush=True)
        return False
    return True


def _require_shown(context: Context, contract: Contract, version: int | None, release_id: str | None) -> None:
    if version is None:
        return
    seen = ask(as_publisher(context).cursor(), f"SELECT release_id FROM lake.{contract.id} LIMIT 1")  # noqa: S608 - names come from contracts
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
