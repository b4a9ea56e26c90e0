"""The rectification ledger as tables: items, and the records that departments have to mend (docs/decisions/0041).

Records that failed a rule are added up by Spark, which says of them what `rectification.facts` says of the few that are no rows of deliveries.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from pyspark.sql import DataFrame, SparkSession

from catalog.contract import Contract
from infra.clock import CHINA, china_day
from infra.ledger import Ledger, RectificationEvent
from infra.settings import Settings
from spark_jobs import rectification, scores
from spark_jobs.problems import SLIPPED
from spark_jobs.punctuality import Due
from spark_jobs.reconciliation import Line
from spark_jobs.rectification import Facts, Failure, Item, Key, Terms, Verdict

ITEMS, RECORDS = "ops.rectification_items", "ops.rectification_records"
MOST_RECORDS = 100_000  # of an item: a longer list is a faulty program at the department's, not so many mistakes
CAME = "delivery_id STRING, department STRING, file_name STRING, simulated BOOLEAN"
SAID = "feed STRING, department STRING, rule_id STRING, record_ref STRING, verdict STRING, said_at TIMESTAMP"
WHICH = "feed STRING, department STRING, rule_id STRING, item_id STRING"
SAYS = {
    "refused": "整批没有通过接收检查，没有入湖",
    "held": "不合规则的记录超过上限，整批扣留",
    "missing": "到了应到日期没有送达的批次",
    "unsent": "源系统对账单里有、报送里没有的记录",
}

# One row of each record that ever failed a rule. `ends`: that the department is right ends a problem, too.
_JUDGED = """
    WITH failed AS (
        SELECT p.feed, d.department, p.rule_id, p.severity, p.delivery_id, p.row_number, p.known_at AS failed_at, p.resolved_at AS mended_at,
            p.resolved_by AS mended_by, coalesce(p.record_id, concat(p.delivery_id, ' ', p.row_number)) AS record,
            coalesce(p.record_label, concat('第 ', p.row_number, ' 条')) AS label, d.file_name, d.simulated,
            concat(p.delivery_id, '-', p.row_number) AS record_ref
        FROM {problems} AS p JOIN {came} AS d ON d.delivery_id = p.delivery_id),
    said AS (
        SELECT f.feed, f.department, f.rule_id, f.record, max_by(v.verdict, v.said_at) AS verdict, max(v.said_at) AS said_at
        FROM failed AS f JOIN {said} AS v
            ON v.feed = f.feed AND v.department = f.department AND v.rule_id = f.rule_id AND v.record_ref = f.record_ref
        GROUP BY f.feed, f.department, f.rule_id, f.record),
    ended AS (
        SELECT f.*, s.verdict, s.said_at,
            coalesce(f.mended_at, CASE WHEN s.verdict = 'upheld' THEN s.said_at END, TIMESTAMP '9999-12-31 00:00:00') AS ends
        FROM failed AS f LEFT JOIN said AS s ON s.feed = f.feed AND s.department = f.department AND s.rule_id = f.rule_id AND s.record = f.record),
    placed AS (
        SELECT *, min(mended_at) OVER (PARTITION BY feed, department, rule_id, record) AS first_mended,
            row_number() OVER (PARTITION BY feed, department, rule_id, record
                ORDER BY CASE WHEN mended_at IS NULL THEN 0 ELSE 1 END, failed_at DESC, delivery_id, row_number) AS place,
            max(ends) OVER (PARTITION BY feed, department, rule_id ORDER BY failed_at, delivery_id, row_number
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS open_until
        FROM ended),
    marked AS (SELECT *, ends > failed_at AND (open_until IS NULL OR failed_at > open_until) AS begins FROM placed),
    added AS (
        SELECT feed, department, rule_id, record, min(severity) AS severity, min(CASE WHEN mended_at IS NULL THEN severity END) AS open_severity,
            bool_or(simulated) AS simulated, min(failed_at) AS first_failed, max(failed_at) AS last_failed,
            min(CASE WHEN mended_at IS NULL THEN failed_at END) AS open_since, max(mended_at) AS last_mended, max_by(mended_by, mended_at) AS mended_by,
            min(CASE WHEN mended_at IS NULL AND failed_at > first_mended THEN failed_at END) AS returned_at,
            max(verdict) AS verdict, max(said_at) AS said_at,
            sum(CASE WHEN begins THEN 1 ELSE 0 END) AS episodes, max(CASE WHEN begins THEN failed_at END) AS began_at,
            max(CASE WHEN place = 1 THEN delivery_id END) AS delivery_id, max(CASE WHEN place = 1 THEN row_number END) AS row_number,
            max(CASE WHEN place = 1 THEN record_ref END) AS record_ref, max(CASE WHEN place = 1 THEN label END) AS label,
            max(CASE WHEN place = 1 THEN file_name END) AS file_name
        FROM marked GROUP BY feed, department, rule_id, record),
    judged AS (
        SELECT *, CASE WHEN open_since IS NULL THEN 'mended' WHEN verdict = 'upheld' THEN 'upheld'
            WHEN verdict = 'disputed' AND (returned_at IS NULL OR said_at >= returned_at) THEN 'disputed'
            WHEN returned_at IS NOT NULL THEN 'returned' ELSE 'open' END AS state
        FROM added)"""
_LEFT = "state IN ('open', 'returned', 'disputed')"
_OPEN = "state IN ('open', 'returned')"
FACTS = f"""{_JUDGED}
    SELECT feed, department, rule_id, coalesce(min(open_severity), min(severity)) AS severity, bool_or(simulated) AS simulated,
        sum(CASE WHEN {_OPEN} THEN 1 ELSE 0 END) AS open, sum(CASE WHEN state = 'returned' THEN 1 ELSE 0 END) AS returned,
        sum(CASE WHEN state = 'disputed' THEN 1 ELSE 0 END) AS disputed, sum(CASE WHEN state = 'upheld' THEN 1 ELSE 0 END) AS upheld,
        sum(CASE WHEN state = 'mended' THEN 1 ELSE 0 END) AS mended,
        {{micros}}(min(first_failed)) AS first_seen, {{micros}}(max(last_failed)) AS last_seen,
        {{micros}}(min(CASE WHEN {_OPEN} THEN open_since END)) AS open_since, {{micros}}(max(CASE WHEN {_OPEN} THEN returned_at END)) AS returned_at,
        {{micros}}(max(last_mended)) AS mended_at, sum(episodes) AS episodes, {{micros}}(max(began_at)) AS began_at,
        sum(CAST(CASE WHEN {_LEFT} THEN {{hash}}(record_ref, label, file_name, state, open_since, returned_at, mended_by) END AS DECIMAL(38, 0))) AS digest
    FROM judged GROUP BY feed, department, rule_id"""  # noqa: S608 - our own expressions
NAMED = f"""{_JUDGED}
    SELECT item_id, record_ref, feed, department, 'rule', rule_id, label, file_name, delivery_id, row_number, state, CAST(open_since AS DATE),
        CASE WHEN returned_at IS NOT NULL THEN mended_by END, CAST(returned_at AS DATE), CASE WHEN simulated THEN 'simulated' ELSE 'observed' END
    FROM (
        SELECT j.*, i.item_id, row_number() OVER (PARTITION BY i.item_id ORDER BY j.open_since, j.delivery_id, j.row_number) AS line
        FROM judged AS j JOIN {{which}} AS i ON i.feed = j.feed AND i.department = j.department AND i.rule_id = j.rule_id WHERE {_LEFT}) AS l
    WHERE line <= {MOST_RECORDS}"""  # noqa: S608

# Deliveries that were refused or held back, each mended by the first that was taken after it under its name or for its day.
STOPPED = """
    SELECT d.feed, d.department, d.state, d.delivery_id, d.file_name, d.arrived_at, g.arrived_at, g.delivery_id, d.simulated
    FROM delivery d LEFT JOIN LATERAL (
        SELECT n.delivery_id, n.arrived_at FROM delivery n
        WHERE n.feed = d.feed AND n.department = d.department AND n.state = 'loaded' AND n.arrived_at > d.arrived_at
            AND (n.file_name = d.file_name OR n.business_date = d.business_date)
        ORDER BY n.arrived_at, n.delivery_id LIMIT 1) g ON true
    WHERE d.state IN ('refused', 'held') ORDER BY d.delivery_id"""
# Rows that had failed in deliveries that were withdrawn, by what was published of them last, once no release has them any more; and withdrawn deliveries that had been held.
WITHDRAWN = """
    WITH gone AS (
        SELECT * FROM delivery WHERE state = 'withdrawn'
            AND delivery_id NOT IN (SELECT delivery_id FROM release_accounts((SELECT max(release_id) FROM release))))
    SELECT g.feed, g.department, 'rule', f.rule, sum(f.affected)::bigint FROM gone g JOIN LATERAL (
        SELECT f.rule, f.affected FROM run_finding f WHERE f.delivery_id = g.delivery_id AND f.run_id = (
            SELECT d.run_id FROM run_delivery d JOIN run r USING (run_id)
            WHERE d.delivery_id = g.delivery_id AND d.refined AND NOT d.withdrawn AND r.state = 'released' ORDER BY r.number DESC LIMIT 1)) f ON true
    GROUP BY 1, 2, 4
    UNION ALL SELECT g.feed, g.department, 'held', 'delivery_held', count(*) FROM gone g
        WHERE EXISTS (SELECT FROM delivery_event e WHERE e.delivery_id = g.delivery_id AND e.event = 'held') GROUP BY 1, 2
    ORDER BY 1, 2, 3, 4"""
# When the newest delivery of a feed and department arrived that no release has yet.
WAITING = """
    SELECT feed, department, max(arrived_at) FROM delivery
    WHERE state IN ('arrived', 'landed', 'loaded')
        AND delivery_id NOT IN (SELECT delivery_id FROM release_accounts((SELECT max(release_id) FROM release)))
    GROUP BY 1, 2 ORDER BY 1, 2"""
CAME_IN = "SELECT delivery_id, department, file_name, simulated FROM delivery WHERE state = 'loaded' ORDER BY delivery_id"
# When the first delivery of a business date arrived.
ARRIVED = "SELECT feed, business_date, min(arrived_at) FROM delivery WHERE state = 'loaded' AND business_date IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2"


class Seen(NamedTuple):
    """All that items are worked out from, but for the failures of rules. ``problems``: the table of those, at the version of the release;
    ``came``: deliveries with what is told of them, as `CAME` has it."""

    problems: str | None
    came: list[tuple[Any, ...]]
    deliveries: list[Failure]
    withdrawn: dict[Key, int]
    waiting: dict[tuple[str, str], dt.datetime]
    events: list[RectificationEvent]
    rules: dict[tuple[str, str], tuple[str, str]]  # by feed and rule: dimension and text
    terms: Terms
    today: dt.date

    @property
    def is_empty(self) -> bool:
        return not (self.problems or self.deliveries or self.withdrawn or self.events)

    @property
    def inputs(self) -> tuple[Any, ...]:
        """All of it, for a digest."""
        whole = (
            self.came,
            self.deliveries,
            sorted(self.withdrawn.items()),
            sorted(self.waiting.items()),
            rectification.ordered(self.events),
            sorted(self.rules.items()),
        )
        return (self.problems, *whole, self.terms, self.today)


def look(
    ledger: Ledger, settings: Settings, problems: str | None, feeds: Mapping[str, Contract], due: Iterable[Due], lines: Iterable[Line], today: dt.date
) -> Seen:
    """What there is to work items out from. Of a feed whose contract is gone nobody is told any more."""
    failures = [*_stopped(ledger.rows(STOPPED)), *_missing(due), *_unsent(lines, {(f, day): at for f, day, at in ledger.rows(ARRIVED)})]
    return Seen(
        problems,
        ledger.rows(CAME_IN) if problems else [],
        [f for f in failures if f.item.feed in feeds],
        {Key(*row[:4]): row[4] for row in ledger.rows(WITHDRAWN) if row[0] in feeds},
        {(feed, department): at for feed, department, at in ledger.rows(WAITING)},
        [e for e in ledger.rectification_events() if e.feed in feeds],
        {(f.name, r.id): (r.dimension, r.description) for f in feeds.values() for r in f.rules},
        rectification.terms(settings, ledger),
        today,
    )


def _stopped(rows: Iterable[tuple[Any, ...]]) -> list[Failure]:
    return [
        Failure(
            Key(feed, department, state, f"delivery_{state}"), identity, identity, at, mended_at, "quarantine", simulated, by, name, name, identity
        )
        for feed, department, state, identity, name, at, mended_at, by, simulated in rows
    ]


def _missing(due: Iterable[Due]) -> list[Failure]:
    """Deliveries that have not come, or came late: from the day after they were due until they arrived."""
    return [
        Failure(
            Key(d.feed, d.department, "missing", scores.PUNCTUAL), str(d.business_date), str(d.business_date), _morning(d.due_on + dt.timedelta(days=1)),
            _morning(d.arrived_on) if d.arrived_on else None, "quarantine", d.simulated, None, f"业务日期 {d.business_date}（应于 {d.due_on} 送达）",
        )
        for d in due if d.status in ("missing", "overdue", "late")
    ]  # fmt: skip


def _unsent(lines: Iterable[Line], arrived: Mapping[tuple[str, dt.date], dt.datetime]) -> list[Failure]:
    """Periods of which less came than the source says, since the delivery that describes them arrived. Once they agree nothing tells of them any more."""
    return [
        Failure(
            Key(n.feed, n.department, "unsent", scores.COMPLETE), str(n.period_to), str(n.period_to), arrived[n.feed, n.business_date], None,
            "quarantine", n.simulated, None, f"{n.period_from} 至 {n.period_to}：来源 {n.source_records} 条，送达 {n.held_records} 条",
        )
        for n in lines
        if n.status == "short" and n.feed and n.department and n.business_date and (n.feed, n.business_date) in arrived
    ]  # fmt: skip


def _morning(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), CHINA)


class Told(NamedTuple):
    """What the tables are to hold: items, and of each of them that has records left, by its id, a digest of those (``digests``); ``rows`` are the records
    that are no rows of deliveries."""

    items: list[tuple[Any, ...]]
    digests: dict[str, str]
    rows: dict[str, list[tuple[Any, ...]]]


def tell(spark: SparkSession, seen: Seen, feeds: Mapping[str, Contract], release: str | None) -> Told:
    """Work out items and which records are left. One pass over all problems, in Spark."""
    said = rectification.verdicts(seen.events)
    facts, digests = [], {}
    if seen.problems is not None:
        sql = FACTS.format(problems=seen.problems, came="{came}", said="{said}", micros="unix_micros", hash="xxhash64")
        for row in spark.sql(sql, came=_came(spark, seen), said=_said(spark, said)).collect():
            if row[0] in feeds:
                facts.append(facts_of(row))
                if row[-1] is not None:
                    digests[facts[-1].item.item_id] = str(row[-1])
    facts += rectification.facts(seen.deliveries, said)
    rows = left(seen.deliveries, said)
    digests |= {identity: hashlib.sha256(repr(r).encode()).hexdigest() for identity, r in rows.items()}
    facts += [rectification.nothing(k) for k in sorted(seen.withdrawn.keys() - {f.item for f in facts})]
    whole = {
        f.item: replace(f, withdrawn=seen.withdrawn.get(f.item, 0), waiting_at=seen.waiting.get((f.item.feed, f.item.department))) for f in facts
    }
    told = rectification.items(whole.values(), seen.events, seen.today, seen.terms)
    return Told([_row(i, whole.get(i.item), seen, feeds[i.item.feed], release) for i in told], digests, rows)


def records(spark: SparkSession, seen: Seen, told: Told, changed: Collection[str], schema: str) -> DataFrame:
    """The records that are left of the ``changed`` items. ``schema``: of the table."""
    frame = spark.createDataFrame([row for identity in sorted(changed) for row in told.rows.get(identity, ())], schema)
    which = [(k.feed, k.department, k.rule, identity) for k, identity in ((Key(*row[1:5]), row[0]) for row in told.items) if identity in changed and k.scope == "rule"]  # fmt: skip
    if seen.problems is None or not which:
        return frame
    sql = NAMED.format(problems=seen.problems, came="{came}", said="{said}", which="{which}")
    views: dict[str, Any] = {
        "came": _came(spark, seen),
        "said": _said(spark, rectification.verdicts(seen.events)),
        "which": spark.createDataFrame(which, WHICH),
    }
    return frame.unionByName(spark.sql(sql, **views).toDF(*frame.columns))


def facts_of(row: Iterable[Any]) -> Facts:
    """A row of `FACTS`; its moments are microseconds of the epoch."""
    feed, department, rule, severity, simulated, *rest = tuple(row)[:17]
    open_, returned, disputed, upheld, mended = (int(n) for n in rest[:5])
    first, last, since, back, mended_at = map(_moment, rest[5:10])
    item = Key(feed, department, "rule", rule)
    return Facts(item, severity, bool(simulated), open_, returned, disputed, upheld, mended, first, last, since, back, mended_at, int(rest[10]), _moment(rest[11]))  # fmt: skip


def left(failures: Iterable[Failure], said: Mapping[tuple[Key, str], Verdict]) -> dict[str, list[tuple[Any, ...]]]:
    """Of failures that are no rows of deliveries, a row of the table for each record that is left, by item."""
    of: dict[tuple[Key, str], list[Failure]] = {}
    for f in failures:
        of.setdefault((f.item, f.record), []).append(f)
    rows: dict[str, list[tuple[Any, ...]]] = {}
    for (key, _), record in sorted(of.items()):
        state = rectification.record_state(record, rectification.latest_verdict(record, said))
        if state in ("mended", "upheld"):
            continue
        f = max((f for f in record if f.mended_at is None), key=lambda f: (f.failed_at, f.ref))
        back = rectification.returned_at(record)
        by = max((f for f in record if f.mended_at), key=lambda f: str(f.mended_at), default=None)
        first = min(f.failed_at for f in record if f.mended_at is None)
        rows.setdefault(key.item_id, []).append(
            (
                key.item_id, f.ref, *key[:4], f.label, f.file_name, f.delivery_id, None, state, china_day(first),
                by.mended_by if by and back else None, china_day(back) if back else None, _kind_of_value(f.simulated),
            )
        )  # fmt: skip
    return rows


def _row(i: Item, f: Facts | None, seen: Seen, feed: Contract, release: str | None) -> tuple[Any, ...]:
    k, f = i.item, f or rectification.nothing(i.item)
    if k.scope == "rule":
        dimension, says = seen.rules.get(
            (k.feed, k.rule), ("规范性", "记录的列数与表头不符，无法拆分" if k.rule == SLIPPED else "现行合同里没有这条规则")
        )
    else:
        dimension, says = scores.WHOLE[k.rule][0] if k.rule in scores.WHOLE else "规范性", SAYS[k.scope]
    return (
        k.item_id, *k, feed.title, i.severity, dimension, says, i.state,
        i.records, i.open, i.returned, i.disputed, i.exempted, f.upheld, i.mended, i.withdrawn, i.first_seen, i.last_seen,
        f.open_since, f.returned_at, f.began_at, f.mended_at, f.waiting_at,
        i.owner, i.assigned_on, i.deadline, i.days_left, i.deadline_note, i.escalation, i.exported_on, i.exported_to, i.exempt_until, i.exempt_reason,
        i.reopened, i.closed_on, seen.today, _kind_of_value(i.simulated), release,
    )  # fmt: skip


def _came(spark: SparkSession, seen: Seen) -> DataFrame:
    return spark.createDataFrame(seen.came, CAME)


def _said(spark: SparkSession, said: Mapping[tuple[Key, str], Verdict]) -> DataFrame:
    """What was said of records that failed a rule."""
    return spark.createDataFrame([(k.feed, k.department, k.rule, ref, v.kind, v.at) for (k, ref), v in said.items() if k.scope == "rule"], SAID)


def _kind_of_value(simulated: bool) -> str:
    return "simulated" if simulated else "observed"


def _moment(micros: int | None) -> dt.datetime | None:
    return None if micros is None else dt.datetime.fromtimestamp(0, dt.UTC) + dt.timedelta(microseconds=int(micros))
