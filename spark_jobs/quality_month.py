"""What a monthly report on the quality of a department's deliveries says, out of the tables of ``ops``. Pure: a template renders it.

Scores of a month are worked out as those of a day are (`spark_jobs.scores`), from what was checked and what failed in the whole month.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from catalog.contract import Contract
from spark_jobs.refine.batches import UNSPLITTABLE
from spark_jobs.scores import ALL, COMPLETE, PUNCTUAL, Checked, Score, grade, rules_of, scores

Row = Mapping[str, Any]  # of a table, by the names of its contract
TREND = 12  # months
_OF_DELIVERIES = {PUNCTUAL: "批次没有按期到达", COMPLETE: "源系统产生的记录没有送达", UNSPLITTABLE: "记录的列数与表头不符，无法拆分"}


@dataclass(frozen=True)
class Tables:
    """Rows of ``ops.quality_scores`` (those of level rule are enough), ``quality_problems``, ``delivery_calendar``, ``reconciliation`` and
    ``quality_anomalies``, of all months."""

    scores: Sequence[Row]
    problems: Sequence[Row]
    calendar: Sequence[Row]
    reconciliation: Sequence[Row]
    anomalies: Sequence[Row]


@dataclass(frozen=True)
class Finding:
    """A rule that failed in the month, or in the one before. ``share``: of what was checked, in percent. ``change``: ``new``, ``more``, ``fewer`` or
    ``same`` (by share, of two places), ``gone`` (nothing failed this month), ``unknown`` (nothing came that it could look at, in one of the months).
    ``samples``: labels of records that are still to be put right, without personal data; ``open_records`` and they are as of now."""

    department: str
    feed: str
    feed_title: str
    rule: str
    description: str
    dimension: str
    severity: str
    checked: int
    failed: int
    share: Decimal | None
    failed_before: int | None
    share_before: Decimal | None
    change: str
    open_records: int | None
    samples: tuple[str, ...]


@dataclass(frozen=True)
class MonthScore:
    """0–100 with its grade (`scores.GRADES`); None where nothing was to be judged."""

    month: dt.date
    score: Decimal | None
    grade: str | None


@dataclass(frozen=True)
class Punctuality:
    """Of the deliveries that were due in the month. ``share``: on time, in percent; None where nothing was due."""

    due: int
    on_time: int
    late: int
    missing: int
    overdue: int
    share: Decimal | None
    worst: tuple[tuple[str, dt.date, int], ...]  # title of the feed, business date, days late; the latest first


@dataclass(frozen=True)
class Counted:
    """A source system's totals beside what came, of the periods that end in the month."""

    resource: str
    periods: int
    source_records: int
    held_records: int
    missing_records: int  # of the periods in which fewer came: one that has more doesn't make up for it
    awaited_records: int  # of periods that no delivery describes yet


@dataclass(frozen=True)
class Unusual:
    """An anomaly that was seen in the month, or is still open."""

    text: str
    kind: str
    state: str
    first_seen: dt.date
    recovered_on: dt.date | None
    deviation: Decimal


@dataclass(frozen=True)
class DepartmentMonth:
    """All that the report of a department (`ALL`: of the city) says. ``trend``: the last `TREND` months, the oldest first, this one last. ``by_feed``,
    ``by_dimension``: score of each. ``simulated``: whether anything of it is made up."""

    department: str
    month: dt.date
    overall: MonthScore
    before: MonthScore
    change: Decimal | None
    trend: tuple[MonthScore, ...]
    by_feed: tuple[tuple[str, MonthScore], ...]
    by_dimension: tuple[tuple[str, MonthScore], ...]
    findings: tuple[Finding, ...]
    punctuality: Punctuality
    counts: tuple[Counted, ...]
    anomalies: tuple[Unusual, ...]
    simulated: bool


def departments(tables: Tables, month: dt.date) -> list[str]:
    """The departments of which a month's report says anything, in their order."""
    of_scores = {r["department"] for r in tables.scores if _first(r["score_date"]) == month and r["department"] != ALL}
    return sorted(of_scores | {r["department"] for r in tables.anomalies if _concerns(r, month)})


def department_month(department: str, month: dt.date, tables: Tables, feeds: Mapping[str, Contract]) -> DepartmentMonth:
    """The report of a department, or of the city (`ALL`), for the month that begins on ``month``. Of a rule that no contract states any more nothing is said.

    Raises:
        ValueError: ``month`` is not the first day of one.
    """
    if month.day != 1:
        raise ValueError(f"{month} is not the first day of a month")
    mine = [r for r in tables.scores if r["score_level"] == "rule" and department in (ALL, r["department"]) and _known(r, feeds)]
    found = {m: _scores(mine, m, feeds) for m in _months(month)}
    level = "city" if department == ALL else "department"
    trend = tuple(_of(found[m], m, level) for m in _months(month))
    now, last = trend[-1], trend[-2]
    change = None if now.score is None or last.score is None else now.score - last.score
    titles = {name: f.title for name, f in feeds.items()}
    this = found[month]
    return DepartmentMonth(
        department,
        month,
        now,
        last,
        change,
        trend,
        tuple((titles[s.feed] if department != ALL else f"{s.department} {titles[s.feed]}", _month_score(month, s.score)) for s in this if s.level == "table"),
        tuple((s.dimension, _month_score(month, s.score)) for s in this if s.level == f"{level}_dimension"),
        _findings(this, found[_months(month)[-2]], [p for p in tables.problems if department in (ALL, p["department"])], feeds),
        _punctuality([r for r in tables.calendar if department in (ALL, r["department"]) and _first(r["due_on"]) == month]),
        _counts([r for r in tables.reconciliation if department in (ALL, r["department"]) and _first(r["period_to"]) == month]),
        _unusual([r for r in tables.anomalies if department in (ALL, r["department"]) and _concerns(r, month)]),
        any(s.simulated for s in this),
    )  # fmt: skip


def _known(r: Row, feeds: Mapping[str, Contract]) -> bool:
    feed = feeds.get(r["feed"])
    return feed is not None and (r["rule_id"] in (PUNCTUAL, COMPLETE) or r["rule_id"] in rules_of(feed))


def _first(day: dt.date) -> dt.date:
    return day.replace(day=1)


def _months(month: dt.date) -> list[dt.date]:
    """The last `TREND` months up to one, the oldest first."""
    number = month.year * 12 + month.month - 1
    return [dt.date(n // 12, n % 12 + 1, 1) for n in range(number - TREND + 1, number + 1)]


def _scores(rows: Iterable[Row], month: dt.date, feeds: Mapping[str, Contract]) -> list[Score]:
    """Scores of all levels, of a month as if it were a day."""
    checked = [
        Checked(month, r["department"], r["feed"], r["rule_id"], r["checked_count"], r["failed_count"], r["value_kind"] == "simulated")
        for r in rows
        if _first(r["score_date"]) == month
    ]
    return scores(checked, feeds)


def _of(found: Iterable[Score], month: dt.date, level: str) -> MonthScore:
    return _month_score(month, next((s.score for s in found if s.level == level), None))


def _month_score(month: dt.date, score: Decimal | None) -> MonthScore:
    return MonthScore(month, score, None if score is None else grade(score))


def _findings(this: Iterable[Score], last: Iterable[Score], problems: Iterable[Row], feeds: Mapping[str, Contract]) -> tuple[Finding, ...]:
    now = {(s.department, s.feed, s.rule): s for s in this if s.level == "rule"}
    before = {(s.department, s.feed, s.rule): s for s in last if s.level == "rule"}
    open_ = {(p["department"], p["feed"], p["rule_id"]): p for p in problems if p["problem_scope"] == "rule" and p["problem_state"] == "open"}
    found = []
    for key in now.keys() | before.keys():
        s, b, p = now.get(key), before.get(key), open_.get(key)
        if not (s and s.failed) and not (b and b.failed):
            continue
        feed, any_ = feeds[key[1]], s or b
        assert any_
        rule = next((r for r in feed.rules if r.id == key[2]), None)
        share, share_before = _percent(s), _percent(b)
        found.append(
            Finding(
                key[0], feed.name, feed.title, key[2], rule.description if rule else _OF_DELIVERIES[key[2]], any_.dimension, rule.severity if rule else "quarantine",
                s.checked if s else 0, s.failed if s else 0, share, b.failed if b else None, share_before, _change(share, share_before),
                int(p["open_records"]) if p else None, tuple(p["sample_keys"]) if p else (),
            )
        )  # fmt: skip
    return tuple(sorted(found, key=lambda f: (-f.failed, -(f.failed_before or 0), f.feed, f.rule)))


def _percent(s: Score | None) -> Decimal | None:
    return None if s is None else (Decimal(100 * s.failed) / s.checked).quantize(Decimal("0.01"), ROUND_HALF_UP)


def _change(share: Decimal | None, before: Decimal | None) -> str:
    if share is None or before is None:
        return "unknown"
    if not share:
        return "gone"
    return "new" if not before else "more" if share > before else "fewer" if share < before else "same"


def _punctuality(rows: Sequence[Row]) -> Punctuality:
    """What is not due yet, or was due before the feed was connected, counts nowhere (as in the scores)."""
    number = {status: sum(r["punctuality"] == status for r in rows) for status in ("on_time", "late", "missing", "overdue")}
    due = sum(number.values())
    share = (Decimal(100 * number["on_time"]) / due).quantize(Decimal("0.01"), ROUND_HALF_UP) if due else None
    late = sorted(
        (r for r in rows if r["punctuality"] in ("late", "missing", "overdue")), key=lambda r: (-r["days_late"], r["feed"], r["business_date"])
    )
    return Punctuality(due, **number, share=share, worst=tuple((r["feed_title"], r["business_date"], r["days_late"]) for r in late))


def _counts(rows: Iterable[Row]) -> tuple[Counted, ...]:
    by_resource: dict[str, list[Row]] = {}
    for r in rows:
        by_resource.setdefault(r["resource_name"], []).append(r)
    found = []
    for resource, periods in sorted(by_resource.items()):
        came = [r for r in periods if r["reconciliation_status"] in ("matched", "short", "over")]
        found.append(
            Counted(
                resource,
                len(periods),
                sum(r["source_records"] for r in came),
                sum(r["held_records"] for r in came),
                sum(max(0, r["source_records"] - r["held_records"]) for r in came),
                sum(r["source_records"] for r in periods if r["reconciliation_status"] == "awaited"),
            )
        )
    return tuple(found)


def _concerns(r: Row, month: dt.date) -> bool:
    """Whether an anomaly was there at any time of the month."""
    ended: dt.date | None = r["recovered_on"]
    return _first(r["first_seen_on"]) <= month and (ended is None or _first(ended) >= month)


def _unusual(rows: Iterable[Row]) -> tuple[Unusual, ...]:
    """The open ones first, then by how far they are off."""
    ordered = sorted(rows, key=lambda r: (r["anomaly_state"] != "open", -r["deviation"], r["feed"], r["source_column"]))
    return tuple(
        Unusual(r["anomaly_text"], r["anomaly_kind"], r["anomaly_state"], r["first_seen_on"], r["recovered_on"], Decimal(str(r["deviation"])))
        for r in ordered
    )
