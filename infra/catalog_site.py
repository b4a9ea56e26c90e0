"""Bring the catalog site to what readers see: collect what the lake says of itself, write the pages."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import trino

from catalog import drift
from catalog.contract import Contract, load_contracts
from catalog.derive import all_tables, column_mask, table_name, view_columns
from catalog.properties import Kind
from catalog.site import build, model
from catalog.site.model import slug_of
from catalog.site.status import FeedStatus, ProblemStatus, Report, Score, Status, TableStatus, read, write
from infra import credentials, model_columns, store
from infra.delta_log import DeltaLog
from infra.ledger import Ledger, TableVersion
from infra.problems import Problem
from infra.querying import records
from infra.services.base import Context
from infra.services.trino import as_publisher
from infra.settings import Settings, load
from spark_jobs import quality_month
from spark_jobs.scores import ALL

ROWS = 5  # of an example
MONTHS = 3  # of which there are reports
SAMPLE_READER = "analyst"  # examples are of what this role may read, as it reads it: the site is for everybody who has an account
_FEEDS = """
    SELECT feed, count(*), coalesce(sum(row_count), 0)::bigint, max((arrived_at AT TIME ZONE 'Asia/Shanghai')::date), max(business_date), bool_or(simulated)
    FROM delivery WHERE state = 'loaded' GROUP BY 1"""


def folder(settings: Settings) -> Path:
    """Where the site lies; ``current`` in it is what is served."""
    return settings.folder("site")


def publish(context: Context) -> int:
    """Write the site of the current release; return how many files it has.

    Raises:
        ContractError: a contract is not in order; the former site stays.
        Drift: something is used, shown or stored that no contract declares; the former site stays.
    """
    at = folder(context.settings)
    contracts = all_tables(load_contracts())
    drift.require_none(contracts)
    if problems := drift.of_tables(_stored(context), contracts):
        raise drift.Drift(problems)
    status = collect(context, at / "status.json")
    files = build.write(model.load(status), at / "current", build.fuse_program(context.settings.engines / "jars"))
    write(replace(status, reports=()), at / "status.json")
    return files


def write_to(settings: Settings, target: Path, context: Context | None) -> int:
    """Write the site into a folder of the caller's choice; return how many files it has. ``context``: of a running instance, the state of which it shows.

    Raises:
        Problem: there is something at the place that is no such site, or it can't be written.
    """
    if target.exists() and any(target.iterdir() if target.is_dir() else [target]):
        raise Problem(f"{target} 已有内容", "目录写成一个新文件夹，不覆盖别的文件", "换一个名称，或先删除它")
    status = collect(context, folder(settings) / "status.json") if context is not None else Status()
    status = replace(status, reports=())  # they name records, and nobody knows who will read the folder
    try:
        return build.write_into(model.load(status), target, build.fuse_program(settings.engines / "jars"))
    except OSError as error:
        raise Problem(f"不能写入 {target}", f"{error.strerror}（以服务用户写入）", "换一个该用户可写的文件夹") from error


def _stored(context: Context) -> dict[str, list[str]]:
    """The columns of all tables of the lake."""
    schemas = ", ".join(f"'{layer}_tables'" for layer in ("silver", "gold", "ops"))
    sql = f"SELECT table_schema, table_name, column_name FROM lake_publish.information_schema.columns WHERE table_schema IN ({schemas})"  # noqa: S608
    found: dict[str, list[str]] = {}
    for schema, table, column in _rows(as_publisher(context).cursor(), sql):
        found.setdefault(f"{schema}.{table}", []).append(column)
    return found


def collect(context: Context, former: Path) -> Status:
    """What the lake says of itself. ``former``: the file with what it said last; examples of tables that stand at the same version are taken from it."""
    contracts = all_tables(load_contracts())
    known = _known(former)
    with Ledger(context) as ledger:
        release = ledger.current_release()
        if release is None:
            return Status()
        published = {r[0]: (r[3], r[4]) for r in ledger.releases()}
        pinned = {t.table_name: t for t in ledger.release_tables(release)}
        came = ledger.rows(_FEEDS)
        since = _since(ledger)
    cursor = as_publisher(context).cursor()
    tables = {
        c.id: _table(context, cursor, c, pinned[table_name(c)], since.get(table_name(c)), known.tables.get(c.id))
        for c in contracts.values()
        if table_name(c) in pinned
    }
    feeds = {c.name: c for c in contracts.values() if c.kind is Kind.FEED}
    at, as_of = published[release]
    return Status(
        release, at, as_of, tables, _feeds(cursor, [row for row in came if row[0] in feeds]), _scores(cursor, "department", "department"), model_columns.compiled(context.settings, known.compiled),
        tuple(_reports(cursor, feeds)),
    )  # fmt: skip


def _known(former: Path) -> Status:
    try:
        return read(former)
    except (OSError, ValueError):
        return Status()


def _since(ledger: Ledger) -> dict[str, tuple[str, dt.datetime]]:
    """Since which release readers see a table's version without a break, and when it was published."""
    found: dict[str, tuple[int, str, dt.datetime]] = {}
    for table, version, release, at in ledger.rows(
        "SELECT t.table_name, t.version, r.release_id, r.published_at FROM release r JOIN release_table t USING (release_id) ORDER BY r.release_id"
    ):
        if found.get(table, (None,))[0] != version:
            found[table] = (version, release, at)
    return {table: (release, at) for table, (_, release, at) in found.items()}


def _table(
    context: Context, cursor: Any, contract: Contract, pinned: TableVersion, since: tuple[str, dt.datetime] | None, known: TableStatus | None
) -> TableStatus:
    files = DeltaLog(store.folder_of(context.settings, pinned.table_name)).snapshot(pinned.version).files
    columns, sample = (
        (known.sample_columns, known.sample) if known is not None and known.version == pinned.version else _sample(cursor, contract, pinned.row_count)
    )
    release, at = since if since else (None, None)
    return TableStatus(pinned.version, pinned.row_count, len(files), sum(f.size for f in files), at, release, columns, sample)


def _sample(cursor: Any, contract: Contract, rows: int) -> tuple[tuple[str, ...], tuple[tuple[str | None, ...], ...]]:
    """A few rows of a table, personal columns masked, every value as text."""
    if SAMPLE_READER not in contract.readers or not rows:
        return (), ()
    columns = view_columns(contract)
    shown = ", ".join(f"{column_mask(c)} AS {c.name}" if c.personal else c.name for c in columns)
    try:
        found = cursor.execute(f"SELECT {shown} FROM lake_publish.{contract.id} LIMIT {ROWS}").fetchall()  # noqa: S608 - names come from contracts
    except trino.exceptions.TrinoUserError:  # the version that is shown lacks a column of today's contract, until a run has built the table anew
        return (), ()
    return tuple(c.name for c in columns), tuple(tuple(None if v is None else _text(v) for v in row) for row in found)


def _text(value: Any) -> str:
    return "、".join(map(str, value)) if isinstance(value, list) else str(value)


def _feeds(cursor: Any, came: Iterable[tuple[Any, ...]]) -> dict[str, FeedStatus]:
    scores = _scores(cursor, "feed", "table")
    dimensions: dict[str, dict[str, float]] = {}
    for feed, dimension, score in _rows(
        cursor,
        "SELECT feed, dimension, max_by(quality_score, score_date) FROM lake_publish.ops.quality_scores WHERE score_level = 'table_dimension' GROUP BY 1, 2",
    ):
        dimensions.setdefault(feed, {})[dimension] = float(score)
    problems: dict[str, list[ProblemStatus]] = {}
    for feed, rule, says, dimension, affected, open_ in _rows(
        cursor,
        "SELECT feed, rule_id, max(rule_description), max(dimension), sum(affected_records), sum(open_records) FROM lake_publish.ops.quality_problems"
        " GROUP BY 1, 2 ORDER BY 1, 6 DESC, 5 DESC",
    ):
        problems.setdefault(feed, []).append(ProblemStatus(rule, says, dimension, int(affected), int(open_)))
    late = {
        feed: (int(a), int(b))
        for feed, a, b in _rows(
            cursor,
            "SELECT feed, count_if(punctuality = 'late'), count_if(punctuality IN ('missing', 'overdue')) FROM lake_publish.ops.delivery_calendar GROUP BY 1",
        )
    }
    totals = {
        feed: (int(a), int(b))
        for feed, a, b in _rows(
            cursor, "SELECT feed, sum(source_records), sum(held_records) FROM lake_publish.ops.reconciliation WHERE feed IS NOT NULL GROUP BY 1"
        )
    }
    return {
        feed: FeedStatus(
            deliveries, records, arrived, business, simulated, scores.get(feed, ()), dict(sorted(dimensions.get(feed, {}).items())),
            tuple(problems.get(feed, ())), *late.get(feed, (0, 0)), *totals.get(feed, (None, None)),
        )
        for feed, deliveries, records, arrived, business, simulated in came
    }  # fmt: skip


def _reports(cursor: Any, feeds: Mapping[str, Contract]) -> Iterator[Report]:
    """The reports of the newest months that have scores, of the city and of each department."""
    ((newest,),) = _rows(cursor, "SELECT max(score_date) FROM lake_publish.ops.quality_scores")
    if newest is None:
        return
    number = newest.year * 12 + newest.month - 1
    months = [dt.date(n // 12, n % 12 + 1, 1) for n in range(number - MONTHS + 1, number + 1)]
    first = number - MONTHS - quality_month.TREND
    since = f"score_level = 'rule' AND score_date >= DATE '{dt.date(first // 12, first % 12 + 1, 1)}'"
    asked = {
        "quality_scores": since,
        "quality_problems": "problem_state = 'open'",
        "delivery_calendar": f"due_on >= DATE '{months[0]}'",
        "reconciliation": f"period_to >= DATE '{months[0]}'",
        "quality_anomalies": "true",
    }
    rows = (records(cursor, f"SELECT * FROM lake_publish.ops.{name} WHERE {where}", []) for name, where in asked.items())  # noqa: S608 - our own
    tables = quality_month.Tables(*rows)
    for month in months:
        for department in (ALL, *quality_month.departments(tables, month)):
            told = asdict(quality_month.department_month(department, month, tables, feeds))
            yield told | {"department": "全市" if department == ALL else department, "slug": "city" if department == ALL else slug_of(department)}


def _scores(cursor: Any, by: str, level: str) -> dict[str, tuple[Score, ...]]:
    found: dict[str, list[Score]] = {}
    sql = f"SELECT {by}, score_date, quality_score FROM lake_publish.ops.quality_scores WHERE score_level = '{level}' ORDER BY 1, 2"  # noqa: S608
    for name, day, score in _rows(cursor, sql):
        found.setdefault(name, []).append(Score(day, float(score)))
    return {name: tuple(scores) for name, scores in found.items()}


def _rows(cursor: Any, sql: str) -> list[Any]:
    rows: list[Any] = cursor.execute(sql).fetchall()
    return rows


if __name__ == "__main__":
    _settings = load()
    print(f"{publish(Context(_settings, credentials.load(_settings)))} pages")
