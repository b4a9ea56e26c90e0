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
from catalog.derive import (
    PINNED_SCHEMAS,
    VIEW_SCHEMAS,
    checksum_since,
    contents_sql,
    physical_columns,
    table_name,
    trino_type,
    view_columns,
    view_comments,
)
from catalog.properties import Kind
from infra.ledger import Ledger, TableVersion
from infra.problems import Problem
from infra.services.base import Context
from infra.services.trino import as_publisher

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
    """What each readers' view shows: ``{view: (release, version)}``; None for what a view does not name. One that lacks what it reads is left out."""
    schemas = ", ".join(f"'{schema}'" for schema in (*VIEW_SCHEMAS, *PINNED_SCHEMAS))
    sql = f"SELECT table_schema, table_name, view_definition FROM lake_publish.information_schema.views WHERE table_schema IN ({schemas})"  # noqa: S608
    texts = {f"{schema}.{name}": text for schema, name, text in ask(as_publisher(context).cursor(), sql)}
    found: dict[str, tuple[str | None, int | None]] = {}
    for view, text in texts.items():
        layer, name = view.split(".")
        if layer in VIEW_SCHEMAS and (pinned := texts.get(f"{layer}_pinned.{name}", text if layer == "ops" else None)):
            version, release = re.search(r"FOR VERSION AS OF\s+(\d+)", pinned), re.search(r"'(R\d{8})'\s+(?:AS\s+)?release_id", pinned)
            found[view] = (release[1] if release else None, int(version[1]) if version else None)
    return found


def replay_views(context: Context, ledger: Ledger, contracts: Mapping[str, Contract], release_id: str | None, tables: Iterable[TableVersion]) -> int:
    """Make every view show what ``release_id`` holds; return how many there are.

    A readers' view reads a pinned one that says nothing but a version and the release that brought it, so that a publication replaces one view for
    each table that it changes. Replacing the readers' view would drop its columns' comments, a statement each: it is made again where its text or
    they have changed, and only when all are set noted as made (docs/decisions/0046). A table that the release does not have, because its feed
    came later, has no view.

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
        ask(cursor, f"DROP VIEW IF EXISTS lake_publish.{_pinned(contract)}")
    there, made = shown(context), ledger.views_made()
    moved = [(c, v) for c, v in wanted if v is not None and (there.get(c.id, (None, None))[1] != v or made.get(_pinned(c)) != pin_digest(c))]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        ledger.views_unmade([_pinned(c) for c, _ in moved])
        pins = list(pool.map(lambda m: _pin(context, m[0], m[1], release_id), moved))
        kept = {c.id for (c, _), is_new in zip(moved, pins, strict=True) if not is_new}
        moved = [(c, v) for c, v in moved if c.id not in kept]
        ledger.note_views({_pinned(c): pin_digest(c) for c, _ in moved})
        behind = [c for c, _ in wanted if c.id not in kept and (c.id not in there or made.get(c.id) != definition(c))]
        ledger.views_unmade([c.id for c in behind])
        # All views first: who reads one shall not wait for the comments of others.
        list(pool.map(lambda c: ask(as_publisher(context).cursor(), view_sql(c)), behind))
        list(pool.map(lambda m: _require_shown(context, m[0], release_id), moved))
        list(pool.map(lambda c: _comment(context, c), behind))
    ledger.note_views({c.id: definition(c) for c in behind})
    return len(wanted)


def definition(contract: Contract) -> str:
    """A digest of all that a readers' view is made of: a type that has changed beneath it makes it stale, too."""
    types = [trino_type(c) for c in view_columns(contract)]
    return hashlib.sha256(f"{view_sql(contract)}{types}{view_comments(contract)}".encode()).hexdigest()


def pin_digest(contract: Contract) -> str:
    """A digest of what a pinned view is made of, but for version and release."""
    return hashlib.sha256(pin_sql(contract, 0, None).encode()).hexdigest()


def _pin(context: Context, contract: Contract, version: int, release_id: str | None) -> bool:
    """Pin a version; False if it lacks a column of today's contract, because a run that built the table anew was not published."""
    try:
        ask(as_publisher(context).cursor(), pin_sql(contract, version, release_id))
    except trino.exceptions.TrinoUserError as error:
        if error.error_name != "COLUMN_NOT_FOUND":
            raise
        print(f"{contract.id}: 视图保持原样，版本 {version} 还没有合同里的全部列", flush=True)
        return False
    return True


def _require_shown(context: Context, contract: Contract, release_id: str | None) -> None:
    seen = ask(as_publisher(context).cursor(), f"SELECT release_id FROM lake.{contract.id} LIMIT 1")  # noqa: S608 - names come from contracts
    if seen not in ([], [[release_id]]):
        raise Problem(f"the view {contract.id} does not show {release_id}", f"it shows {seen}", "see ./lake logs trino, then run ./lake up again")


def _comment(context: Context, contract: Contract) -> None:
    cursor = as_publisher(context).cursor()
    for column, comment in view_comments(contract)["columns"].items():
        ask(cursor, f"COMMENT ON COLUMN lake_publish.{contract.layer}.{contract.name}.{column} IS {_text(comment)}")


def _pinned(contract: Contract) -> str:
    return f"{contract.layer}_pinned.{contract.name}"


def pin_sql(contract: Contract, version: int, release_id: str | None) -> str:
    """The statement of the view beneath a readers' view: columns by name, pinned to a version, with the release's id."""
    stored = {c.name for c in physical_columns(contract)}
    columns = ",\n  ".join(c.name if c.name in stored else f"{_text(release_id)} AS {c.name}" for c in view_columns(contract))
    return f"CREATE OR REPLACE VIEW lake_publish.{_pinned(contract)} SECURITY DEFINER AS\nSELECT\n  {columns}\nFROM lake.{table_name(contract)} FOR VERSION AS OF {int(version)}"


def view_sql(contract: Contract) -> str:
    """The statement of a readers' view: columns by name, of the pinned version; of the ledger's projections (ops), of the table itself."""
    columns = ",\n  ".join(c.name for c in view_columns(contract))
    beneath = table_name(contract) if contract.kind is Kind.PROJECTION else _pinned(contract)
    comment = _text(view_comments(contract)["view"])
    return f"CREATE OR REPLACE VIEW lake_publish.{contract.id} COMMENT {comment} SECURITY DEFINER AS\nSELECT\n  {columns}\nFROM lake.{beneath}"


def _text(value: str | None) -> str:
    return "'" + str(value).replace("'", "''") + "'"


def ask(cursor: Any, sql: str) -> list[Any]:
    """All rows of the answer to a statement."""
    cursor.execute(sql)
    return list(cursor.fetchall())
