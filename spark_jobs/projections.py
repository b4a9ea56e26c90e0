"""The ledger as tables for SQL and dashboards (``ops.*``), and what is worked out from it. Nothing reads them to decide."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from catalog.contract import Contract
from catalog.derive import physical_columns, spark_schema, table_name, table_schema
from catalog.properties import Kind
from infra import settings
from infra.clock import china_day
from infra.ledger import Ledger
from spark_jobs import anomalies, delta, profiles, rectification_tables, scores
from spark_jobs.problems import PROBLEMS
from spark_jobs.punctuality import Came, Due, punctuality
from spark_jobs.reconciliation import Held, Line, Total, reconcile

_CURRENT = "(SELECT max(release_id) FROM release)"
PROJECTIONS = {
    "ops.deliveries": f"""
        SELECT d.delivery_id, d.feed, d.department, d.file_name, d.sha256, d.state, d.reason, d.business_date, d.source_revision, d.simulated,
            coalesce(a.arrived, d.row_count), a.applied, a.superseded, a.duplicate, a.quarantined, a.repeated,
            CASE WHEN a.delivery_id IS NOT NULL THEN {_CURRENT} END, d.arrived_at, d.loaded_at
        FROM delivery d LEFT JOIN release_accounts({_CURRENT}) a USING (delivery_id)""",  # noqa: S608
    "ops.delivery_findings": f"""
        SELECT delivery_id, rule, severity, description, affected FROM release_findings({_CURRENT})""",  # noqa: S608
    "ops.releases": """
        SELECT r.release_id, t.table_name, t.version, t.row_count, t.checksum, r.kind, r.run_id, r.published_at
        FROM release r JOIN release_table t USING (release_id)""",
    "ops.trademark_feedback": """
        SELECT feedback_id, alert_id, answer, note, who, answered_at, right_name, trademark_name, mark_number, nice_class, verdict, score, act_until,
            release_id, NOT EXISTS (SELECT FROM trademark_feedback n WHERE n.alert_id = f.alert_id AND n.feedback_id > f.feedback_id)
        FROM trademark_feedback f""",
    "ops.quality_results": """
        SELECT run_id, table_name, rule, version, description, dimension, passed, observed, judged_at FROM gate_result""",
    "ops.rectification_events": r"""
        SELECT event_id, 'Z' || left(encode(sha256(convert_to(concat_ws(E'\n', feed, department, scope, rule), 'UTF8')), 'hex'), 8), feed, department,
            scope, rule, kind, who, happened_at, owner, until, record, note, records, place, sha256
        FROM rectification_event""",
}

# Projections whose rows never change, with the column that says when they came: a run appends to them what is new.
GROWING = {"ops.releases": "published_at", "ops.quality_results": "judged_at", "ops.rectification_events": "happened_at"}

# Projections that are worked out from the ledger and from what is released.
CALENDAR, RECONCILIATION, TOTALS = "ops.delivery_calendar", "ops.reconciliation", "silver.control_totals"
_HELD = f"""
    SELECT d.feed, d.department, d.business_date, d.source_revision, a.arrived - a.repeated, d.simulated
    FROM delivery d JOIN release_accounts({_CURRENT}) a USING (delivery_id) WHERE d.business_date IS NOT NULL"""  # noqa: S608
_TOTALS = """
    SELECT resource_name, control_date, CAST(control_records AS BIGINT) FROM (
        SELECT *, row_number() OVER (PARTITION BY record_id ORDER BY effective_from DESC) AS place
        FROM {table} VERSION AS OF {version} WHERE fact_outcome = 'applied')
    WHERE place = 1 AND fact_state = 'active' AND control_records IS NOT NULL"""

LEDGER_OF_PROBLEMS, SCORES = "ops.quality_problems", "ops.quality_scores"
_DELIVERED = f"""
    SELECT (d.arrived_at AT TIME ZONE 'Asia/Shanghai')::date, d.department, d.feed, sum(a.arrived)::bigint, bool_or(d.simulated)
    FROM delivery d JOIN release_accounts({_CURRENT}) a USING (delivery_id) GROUP BY 1, 2, 3"""  # noqa: S608
_FAILED = f"""
    SELECT (d.arrived_at AT TIME ZONE 'Asia/Shanghai')::date, d.department, d.feed, f.rule, sum(f.affected)::bigint
    FROM delivery d JOIN release_findings({_CURRENT}) f USING (delivery_id) GROUP BY 1, 2, 3, 4"""  # noqa: S608
_CAME = "SELECT delivery_id, department, file_name, (arrived_at AT TIME ZONE 'Asia/Shanghai')::date, simulated FROM delivery WHERE state = 'loaded'"
# Deliveries that were refused or held back, by feed and department; resolved once something else of the same name or day was taken later.
_NOT_TAKEN = """
    WITH stopped AS (
        SELECT d.*, (d.arrived_at AT TIME ZONE 'Asia/Shanghai')::date AS seen, g.delivery_id AS by, g.arrived_at AS by_at
        FROM delivery d LEFT JOIN LATERAL (
            SELECT n.delivery_id, n.arrived_at FROM delivery n
            WHERE n.feed = d.feed AND n.department = d.department AND n.state = 'loaded' AND n.arrived_at > d.arrived_at
                AND (n.file_name = d.file_name OR n.business_date = d.business_date)
            ORDER BY n.arrived_at, n.delivery_id LIMIT 1) g ON true
        WHERE d.state IN ('refused', 'held'))
    SELECT feed, department, state, coalesce(sum(row_count), 0)::bigint, coalesce(sum(row_count) FILTER (WHERE by IS NULL), 0)::bigint,
        count(*), (array_agg(file_name ORDER BY by IS NOT NULL, seen DESC, file_name))[:5], min(seen), max(seen),
        CASE WHEN bool_and(by IS NOT NULL) THEN (array_agg(by ORDER BY by_at DESC, by))[1] END,
        CASE WHEN bool_and(by IS NOT NULL) THEN (max(by_at) AT TIME ZONE 'Asia/Shanghai')::date END, bool_or(simulated)
    FROM stopped GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"""
AT_ONCE = 4  # projections
MOST_DAYS = 60  # that are written one by one
_STOPPED = {"refused": "整批没有通过接收检查，原因见 ops.deliveries", "held": "不合规则的记录超过上限，整批扣留，原因见 ops.deliveries"}
_FEW = 5  # samples of a problem
# By feed, department and rule. A record that failed a rule in several deliveries is one; a row of which nobody can say the record is one by itself.
_GROUPED = """
    WITH told AS (
        SELECT /*+ REPARTITION(feed, department, rule_id, severity) */ p.*, d.department, d.arrived_on, d.simulated, p.resolved_by IS NULL AS is_open,
            coalesce(p.record_id, concat(p.delivery_id, ' ', p.row_number)) AS record,
            coalesce(p.record_label, concat(d.file_name, ' 第 ', p.row_number, ' 条')) AS label
        FROM {table} VERSION AS OF {version} AS p JOIN {{came}} AS d USING (delivery_id)),
    placed AS (
        SELECT *, dense_rank() OVER (PARTITION BY feed, department, rule_id, severity ORDER BY is_open DESC, label) AS place FROM told)
    SELECT feed, department, rule_id, severity, count(DISTINCT record), count(DISTINCT CASE WHEN is_open THEN record END), count(DISTINCT delivery_id),
        sort_array(collect_set(CASE WHEN place <= {few} THEN label END)), min(arrived_on), max(arrived_on),
        CASE WHEN NOT bool_or(is_open) THEN max_by(resolved_by, struct(resolved_at, resolved_by)) END,
        CASE WHEN NOT bool_or(is_open) THEN to_date(max(resolved_at)) END, bool_or(simulated)
    FROM placed GROUP BY feed, department, rule_id, severity"""

WORKED_OUT = (
    CALENDAR,
    RECONCILIATION,
    LEDGER_OF_PROBLEMS,
    SCORES,
    rectification_tables.ITEMS,
    rectification_tables.RECORDS,
    profiles.PROFILES,
    anomalies.ANOMALIES,
)
PROJECTED = tuple(identity.replace("ops.", "ops_tables.") for identity in (*PROJECTIONS, *WORKED_OUT))


class _Change(NamedTuple):
    """What is written to a projection: rows, and what it then holds. ``replaced``: of an overwrite, which rows they stand for (None: all)."""

    contract: Contract
    mode: str
    rows: list[tuple[Any, ...]] | DataFrame
    holds: str
    replaced: str | None = None


def project_ledger(spark: SparkSession, ledger: Ledger, contracts: Mapping[str, Contract], anew: bool = False) -> None:
    """Bring ``ops_tables.*`` to what the ledger says, as far as it says something else than at the last time. Nothing reads them to decide.

    Each commit notes what the table then holds; a table whose newest commit is somebody else's is written anew. ``anew``: all are.
    """
    _stand(spark, [contracts[identity] for identity in (*PROJECTIONS, *WORKED_OUT)])
    changes: list[_Change] = []
    for identity, sql in PROJECTIONS.items():
        note = _note(contracts[identity], anew)
        mode, rows, holds = (
            _growth(ledger, sql, GROWING[identity], note, table_name(contracts[identity])) if identity in GROWING else _whole(ledger, sql)
        )
        if note != holds:
            changes.append(_Change(contracts[identity], mode, rows, holds))
    feeds = {c.name: c for c in contracts.values() if c.kind is Kind.FEED}
    due, lines = _due(ledger, feeds), _lines(spark, ledger, contracts, feeds)
    changes += _whole_again(spark, contracts[CALENDAR], [_calendar_row(e, feeds[e.feed]) for e in due], anew)
    changes += _whole_again(spark, contracts[RECONCILIATION], [_reconciled_row(line, ledger.current_release()) for line in lines], anew)
    changes += _list_problems(spark, ledger, contracts, feeds, anew)
    changes += _unusual(spark, ledger, contracts, feeds, anew)
    scored, digests = _score(spark, ledger, contracts[SCORES], feeds, due, lines, anew)
    rectified, parts = _rectify(spark, ledger, contracts, feeds, due, lines, anew)
    # Writing a small table is mostly waiting for its commit.
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda change: _put(spark, change), [*changes, *scored, *rectified]))
    if parts is not None:
        ledger.note_projected_parts(table_name(contracts[rectification_tables.RECORDS]), parts)
    if scored:
        ledger.note_projected_days(table_name(contracts[SCORES]), digests)


def _whole_again(spark: SparkSession, contract: Contract, rows: list[tuple[Any, ...]], anew: bool) -> list[_Change]:
    holds = contents_digest(rows)
    return [] if _note(contract, anew) == holds else [_Change(contract, "overwrite", rows, holds)]


def _due(ledger: Ledger, feeds: Mapping[str, Contract]) -> list[Due]:
    """What was due from each feed, and what came."""
    came: dict[str, list[Came]] = {}
    for d in ledger.deliveries():
        if d.business_date and d.state not in ("refused", "withdrawn"):
            came.setdefault(d.feed, []).append(Came(d.business_date, d.arrived_on, d.simulated))
    today = china_day(dt.datetime.now(dt.UTC))
    return [e for feed in feeds.values() if feed.name in came for e in punctuality(feed, came[feed.name], today)]


def _calendar_row(e: Due, feed: Contract) -> tuple[Any, ...]:
    return (e.feed, e.business_date, feed.title, e.department, e.due_on, e.arrived_on, e.status, e.days_late, _kind_of_value(e.simulated))


def _lines(spark: SparkSession, ledger: Ledger, contracts: Mapping[str, Contract], feeds: Mapping[str, Contract]) -> list[Line]:
    """The control totals of the release beside the deliveries that it holds."""
    table = table_name(contracts[TOTALS])
    version = _released(ledger, table)
    totals = [] if version is None else spark.sql(_TOTALS.format(table=table, version=version)).collect()
    return reconcile((Total(*t) for t in totals), [Held(*row) for row in ledger.rows(_HELD)], feeds.values())


def _reconciled_row(line: Line, release: str | None) -> tuple[Any, ...]:
    missing = line.source_records - line.held_records
    return (
        line.resource, line.period_to, line.period_from, line.feed, line.department, line.business_date, line.source_records, line.held_records,
        missing, line.status, _kind_of_value(line.simulated), release,
    )  # fmt: skip


def _released(ledger: Ledger, table: str) -> int | None:
    """The version of a table that the current release names."""
    return next((t.version for t in ledger.release_tables(ledger.current_release()) if t.table_name == table), None)


def _list_problems(
    spark: SparkSession, ledger: Ledger, contracts: Mapping[str, Contract], feeds: Mapping[str, Contract], anew: bool
) -> list[_Change]:
    """Bring the ledger of problems up, where the release holds other ones, or other deliveries were refused or held back."""
    contract, table = contracts[LEDGER_OF_PROBLEMS], table_name(contracts[PROBLEMS])
    version, stopped = _released(ledger, table), ledger.rows(_NOT_TAKEN)
    rules = {(f.name, r.id): r for f in feeds.values() for r in f.rules}
    holds = f"problems:{version} {contents_digest([*stopped, *((*k, r.description) for k, r in rules.items())])}"
    if _note(contract, anew) == holds:
        return []
    release, rows = ledger.current_release(), []
    # Of a feed whose contract is gone nobody is told any more.
    for feed, department, state, affected, open_, number, samples, first, last, by, on, simulated in [s for s in stopped if s[0] in feeds]:
        done = "open" if on is None else "resolved"
        rows.append((feed, department, state, f"delivery_{state}", feeds[feed].title, "quarantine", "规范性", _STOPPED[state], done, affected, open_, number, samples, first, last, by, on, _kind_of_value(simulated), release))  # fmt: skip
    if version is not None:
        came = spark.createDataFrame(
            ledger.rows(_CAME), "delivery_id STRING, department STRING, file_name STRING, arrived_on DATE, simulated BOOLEAN"
        )
        for feed, department, rule, severity, affected, open_, number, samples, first, last, by, on, simulated in spark.sql(
            _GROUPED.format(table=table, version=version, few=_FEW), came=came
        ).collect():
            if feed not in feeds:
                continue
            dimension, says = (r.dimension, r.description) if (r := rules.get((feed, rule))) else ("规范性", "记录的列数与表头不符，无法拆分")
            done = "open" if on is None else "resolved"
            rows.append((feed, department, "rule", rule, feeds[feed].title, severity, dimension, says, done, affected, open_, number, samples, first, last, by, on, _kind_of_value(simulated), release))  # fmt: skip
    return [_Change(contract, "overwrite", rows, holds)]


def _score(
    spark: SparkSession, ledger: Ledger, contract: Contract, feeds: Mapping[str, Contract], due: list[Due], lines: list[Line], anew: bool
) -> tuple[list[_Change], dict[dt.date, str]]:
    """Bring the scores up, of the days of which they have changed; also what is then held of each day."""
    failed = {tuple(row[:4]): row[4] for row in ledger.rows(_FAILED)}
    checked = [
        *scores.of_deliveries(ledger.rows(_DELIVERED), failed, feeds),
        *scores.of_calendar(due),
        *scores.of_reconciliation(lines),
    ]
    days: dict[dt.date, list[tuple[Any, ...]]] = {}
    for s in scores.scores(checked, feeds):
        row = (
            s.day,
            s.level,
            s.department,
            s.feed,
            s.dimension,
            s.rule,
            s.checked,
            s.failed,
            s.score,
            scores.grade(s.score),
            _kind_of_value(s.simulated),
        )
        days.setdefault(s.day, []).append(row)
    table, digests = table_name(contract), {day: contents_digest(rows) for day, rows in days.items()}
    holds, note, known = contents_digest(list(digests.items())), _note(contract, anew), ledger.projected_days(table_name(contract))
    if note == holds:
        return [], digests
    changed = {day for day in digests.keys() | known.keys() if digests.get(day) != known.get(day)}
    if note != contents_digest(list(known.items())) or len(changed) > MOST_DAYS or len(delta.files(table)) >= delta.MOST_FILES:
        return [_Change(contract, "overwrite", [row for rows in days.values() for row in rows], holds)], digests
    rows = [row for day in sorted(changed) for row in days.get(day, ())]
    replaced = f"score_date IN ({', '.join(f'DATE {day.isoformat()!r}' for day in sorted(changed))})"
    return [_Change(contract, "overwrite", rows, holds, replaced)], digests


_PROFILED = """
    SELECT delivery_id, source_column, profiled_records, empty_count, distinct_count, CAST(mean_length AS DOUBLE), sampled_count,
        CAST(round(most_frequent_share * sampled_count) AS BIGINT)
    FROM {table} WHERE delivery_id IN ({chosen})"""


def _unusual(spark: SparkSession, ledger: Ledger, contracts: Mapping[str, Contract], feeds: Mapping[str, Contract], anew: bool) -> list[_Change]:
    """Profile what has come, and judge anew the feeds of which something else has come or gone since the last time (or, where time alone tells, each
    day); the note says of each feed what its anomalies were judged by."""
    of_columns, contract = contracts[profiles.PROFILES], contracts[anomalies.ANOMALIES]
    taken, before = profiles.taken(ledger), _note(of_columns, anew)
    try:
        profiles.bring_up(spark, ledger, of_columns, feeds, taken, before, anew)
    except PySparkException as error:  # rows that can't be read are told of by whoever needs them; the message could show what stands in one
        print(f"列的剖析没有完成，下次运行再做（{error.getCondition() or type(error).__name__}）", flush=True)
        return []
    today, by_feed = china_day(dt.datetime.now(dt.UTC)), {name: [d for d in taken if d.feed == name] for name in feeds}
    judged = {name: anomalies.judged_by(feeds[name], mine, today) for name, mine in by_feed.items() if mine}
    known = anomalies.noted(_note(contract, anew))
    changed = sorted(name for name in judged.keys() | known.keys() if judged.get(name) != known.get(name)) if known is not None else sorted(judged)
    if known is not None and not changed:
        return []
    needed = {i for name in changed if name in judged for i in anomalies.needed(feeds[name], by_feed[name], today)}
    seen: dict[str, dict[str, profiles.Profile]] = {}
    if needed:
        chosen = ", ".join(f"'{i}'" for i in sorted(needed))
        for i, column, records, empty, distinct, mean, sampled, most in spark.sql(
            _PROFILED.format(table=table_name(of_columns), chosen=chosen)
        ).collect():
            seen.setdefault(i, {})[column] = profiles.Profile(records, empty, distinct, mean_length=mean, sampled=sampled, most_frequent=most)
    rows: list[tuple[Any, ...]] = []
    for name in changed:
        if name in judged:
            rows += anomalies.rows(anomalies.judge(feeds[name], by_feed[name], seen, today), feeds[name])
    replaced = None if known is None else f"feed IN ({', '.join(repr(name) for name in changed)})"
    return [_Change(contract, "overwrite", rows, anomalies.note(judged), replaced)]


def _rectify(
    spark: SparkSession,
    ledger: Ledger,
    contracts: Mapping[str, Contract],
    feeds: Mapping[str, Contract],
    due: list[Due],
    lines: list[Line],
    anew: bool,
) -> tuple[list[_Change], dict[str, str] | None]:
    """Bring the rectification ledger up, where the day has changed or anything that it is worked out from; of records those of the items whose
    records have changed. Also what is then held of each item's; None where nothing was looked at."""
    items, records, problems = contracts[rectification_tables.ITEMS], contracts[rectification_tables.RECORDS], table_name(contracts[PROBLEMS])
    version = _released(ledger, problems)
    at = None if version is None else f"{problems} VERSION AS OF {version}"
    seen = rectification_tables.look(ledger, settings.load(), at, feeds, due, lines, china_day(dt.datetime.now(dt.UTC)))
    holds = f"rectification:{contents_digest(() if seen.is_empty else [seen.inputs])}"
    note, note_of_records = _note(items, anew), _note(records, anew)
    known = ledger.projected_parts(table_name(records))
    if note == holds and note_of_records == contents_digest(list(known.items())):
        return [], None
    told = rectification_tables.tell(spark, seen, feeds, ledger.current_release())
    changes = [] if note == holds else [_Change(items, "overwrite", told.items, holds)]
    holds_records = contents_digest(list(told.digests.items()))
    if note_of_records == holds_records:
        return changes, told.digests
    changed = {i for i in told.digests.keys() | known.keys() if told.digests.get(i) != known.get(i)}
    whole = note_of_records != contents_digest(list(known.items())) or len(delta.files(table_name(records))) >= delta.MOST_FILES
    rows = rectification_tables.records(spark, seen, told, told.digests.keys() if whole else changed, spark_schema(records).replace(" NOT NULL", ""))
    replaced = None if whole else f"item_id IN ({', '.join(repr(i) for i in sorted(changed))})"
    return [*changes, _Change(records, "overwrite", rows, holds_records, replaced)], told.digests


def _kind_of_value(simulated: bool) -> str:
    return "simulated" if simulated else "observed"


def _stand(spark: SparkSession, projected: list[Contract]) -> None:
    """Make sure that the projections' tables are there in the shape of their contracts. Several at once: each waits for the metastore most of the time."""
    for schema in sorted({table_schema(c) for c in projected}):
        spark.sql(f"CREATE SCHEMA IF NOT EXISTS {schema}")  # not by several at once

    def one(contract: Contract) -> None:
        table = delta.ensure_table(spark, contract)
        if spark.table(table).columns != [c.name for c in physical_columns(contract)]:
            delta.make_anew(spark, contract)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(one, projected))


def _note(contract: Contract, anew: bool) -> str | None:
    """What the projection's newest commit says that it holds; None where it has to be written whatever it holds."""
    return None if anew else delta.newest_note(table_name(contract))


def _put(spark: SparkSession, change: _Change) -> None:
    """Write rows, with a note of what the table then holds."""
    schema = spark_schema(change.contract).replace(" NOT NULL", "")
    frame = change.rows if isinstance(change.rows, DataFrame) else spark.createDataFrame(change.rows, schema)
    delta.put(frame, table_name(change.contract), change.mode, {"userMetadata": change.holds}, change.replaced)


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
