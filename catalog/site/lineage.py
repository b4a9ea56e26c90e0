"""Where tables and columns come from and go to: contracts' inputs, the models' SQL, the records that follow from feeds, the dashboards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.lineage import Node, lineage
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import build_scope

from catalog.contract import Contract
from catalog.derive import physical_columns, table_schema
from catalog.properties import Kind
from catalog.site.numbers import Number


@dataclass(frozen=True)
class Source:
    """A column that another one is made of. ``how``: 同一记录 (a feed's typed record), 代码表 (read by a list), 模型 (by a model's SQL)."""

    table: str
    column: str
    how: str


Columns = dict[tuple[str, str], tuple[Source, ...]]  # (table, column) → what it is made of


def inputs(contracts: Mapping[str, Contract]) -> dict[str, tuple[str, ...]]:
    """For each table those that it is made from, as far as they are there."""
    return {c.id: tuple(dict.fromkeys(i for i in _inputs(c, contracts) if i in contracts and i != c.id)) for c in contracts.values()}


def _inputs(contract: Contract, contracts: Mapping[str, Contract]) -> Iterable[str]:
    if contract.kind in (Kind.RECORD, Kind.QUARANTINE):
        yield f"bronze.{contract.name.removesuffix('_quarantine') if contract.kind is Kind.QUARANTINE else contract.name}"
    yield from contract.inputs


def reached(edges: Mapping[str, Iterable[str]], start: str) -> dict[str, int]:
    """All that can be reached from a table, with the number of steps; the table itself is 0."""
    found, border = {start: 0}, [start]
    while border:
        steps = found[border[0]] + 1
        border = list(dict.fromkeys(n for b in border for n in edges.get(b, ()) if n not in found))
        found |= dict.fromkeys(border, steps)
    return found


def reverse(edges: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    back: dict[str, list[str]] = {}
    for node, sources in edges.items():
        for source in sources:
            back.setdefault(source, []).append(node)
    return {node: tuple(sorted(users)) for node, users in back.items()}


def of_records(contracts: Mapping[str, Contract]) -> Columns:
    """The columns of typed records: the delivered text that each is read from, or the delivered column that a list is asked for."""
    found: Columns = {}
    for contract in contracts.values():
        feed = contracts.get(f"bronze.{contract.name}")
        if contract.kind is not Kind.RECORD or feed is None:
            continue
        delivered = {c.name for c in feed.columns}
        for column in contract.columns:
            if column.derived is not None:
                found[contract.id, column.name] = (Source(feed.id, column.derived.of, "代码表"),)
            elif column.party is not None:
                named = (column.party.code, column.party.name)
                found[contract.id, column.name] = tuple(Source(feed.id, n, "代码表") for n in named if n in delivered)
            elif column.name in delivered:
                found[contract.id, column.name] = (Source(feed.id, column.name, "同一记录"),)
    return found


def of_models(compiled: Mapping[str, str], contracts: Mapping[str, Contract]) -> Columns:
    """The columns of gold by the SQL of their models (``compiled``: model → SQL as Spark runs it).

    A column that the SQL does not lead to a table of a contract (a constant, a temporary view) has no entry.
    """
    by_table = {f"{table_schema(c)}.{c.name}": c for c in contracts.values()}
    schema: dict[str, object] = {"work": {"this_run": {"write_number": "BIGINT"}}}  # the view that says which run writes (spark_jobs/dbt_runs.py)
    for name, contract in by_table.items():
        at, table = name.split(".")
        schema.setdefault(at, {})[table] = {c.name: c.type for c in physical_columns(contract)}  # type: ignore[index]
    found: Columns = {}
    for model, sql in compiled.items():
        if (target := contracts.get(f"gold.{model}")) is None:
            continue
        try:
            # Of temporary views no columns are known, so names may stay open.
            parsed = qualify(sqlglot.parse_one(sql, dialect="spark"), schema=schema, dialect="spark", validate_qualify_columns=False)
            scope = build_scope(parsed)
        except SqlglotError:
            continue
        for column in target.columns:
            try:
                node = lineage(column.name, parsed, schema=schema, dialect="spark", scope=scope)
            except (SqlglotError, ValueError):
                continue  # a column that can't be followed is shown without a source; the tables are known from the contract
            # Of a field of a struct all of the struct's columns are told; the one of its own name is it.
            sources = sorted(dict.fromkeys(_leaves(node, by_table)), key=lambda source: source.column != column.name)
            if sources:
                found[target.id, column.name] = tuple(sources)
    return found


def _leaves(node: Node, tables: Mapping[str, Contract]) -> Iterable[Source]:
    for one in node.walk():
        if not one.downstream and isinstance(one.expression, exp.Table):
            named = f"{one.expression.db}.{one.expression.name}"
            column = one.name.rpartition(".")[2].strip('`"')
            if named in tables and any(c.name == column for c in tables[named].columns):
                yield Source(tables[named].id, column, "模型")


def used_by(columns: Columns) -> dict[tuple[str, str], tuple[tuple[str, str], ...]]:
    """For each column those that are made of it."""
    back: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for made, sources in columns.items():
        for s in sources:
            back.setdefault((s.table, s.column), set()).add(made)
    return {source: tuple(sorted(users)) for source, users in back.items()}


def shown_by(numbers: Iterable[Number]) -> dict[tuple[str, str], tuple[Number, ...]]:
    """For each column the charts that show it."""
    found: dict[tuple[str, str], list[Number]] = {}
    for number in numbers:
        for column in number.columns:
            found.setdefault((number.table, column), []).append(number)
    return {column: tuple(charts) for column, charts in found.items()}
