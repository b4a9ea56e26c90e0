"""Scores of the quality of what was delivered, by day: from each rule to its table, dimension (GB/T 36344), department and the city.

A rule's score is the share of what it checked that is in order, in percent: indicators of GB/T 36344-2018 are ratios A / B. Above it, the
mean of the scores of the rules below, those that set a record aside weighing twice as much as those that only mark it: a weight of ours.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from catalog.contract import Contract
from spark_jobs.punctuality import Due
from spark_jobs.reconciliation import Line
from spark_jobs.refine.batches import UNSPLITTABLE

WEIGHTS = {"quarantine": 2, "warn": 1}
# Beside the rules of the contracts, what is said of deliveries as a whole: dimension and severity.
PUNCTUAL, COMPLETE = "delivered_on_time", "records_delivered"
WHOLE = {
    PUNCTUAL: ("时效性", "quarantine"),  # what was due by the update cycle came in time
    COMPLETE: ("完整性", "quarantine"),  # what the source's control totals say has come
}
ALL = "全部"  # stands for what a score is summed up over
# Each grade from this score on. The limits are ours: in a table of a dozen rules, one that fails everywhere costs some eight points, and two
# some sixteen. Those of DB11/T 2317-2024 were not at hand (docs/quality.zh.md).
GRADES = {"excellent": Decimal(98), "good": Decimal(95), "fair": Decimal(90), "poor": Decimal(80), "bad": Decimal(0)}


@dataclass(frozen=True)
class Checked:
    """``failed`` of ``checked`` things were not in order by a rule, on a day."""

    day: dt.date
    department: str
    feed: str
    rule: str
    checked: int
    failed: int
    simulated: bool


@dataclass(frozen=True)
class Score:
    """``level``: rule, table_dimension, table, department_dimension, department, city_dimension or city; what a level does not tell apart is `ALL`.
    ``score``: 0–100."""

    day: dt.date
    level: str
    department: str
    feed: str
    dimension: str
    rule: str
    checked: int
    failed: int
    score: Decimal
    simulated: bool


def of_deliveries(
    came: Iterable[tuple[dt.date, str, str, int, bool]], failed: Mapping[tuple[dt.date, str, str, str], int], feeds: Mapping[str, Contract]
) -> list[Checked]:
    """What the rules of the feeds' contracts found. ``came``: day, department, feed, records, whether any is simulated. ``failed``: records by
    day, department, feed and rule. Each rule looks at every record."""
    return [
        Checked(day, department, feed, rule, records, failed.get((day, department, feed, rule), 0), simulated)
        for day, department, feed, records, simulated in came
        if feed in feeds
        for rule in rules_of(feeds[feed])
        if records
    ]


def rules_of(feed: Contract) -> dict[str, tuple[str, str]]:
    """Dimension and severity of each rule that looks at every row of a feed: those of its contract, and that a row can be split at all."""
    return {r.id: (r.dimension, r.severity) for r in feed.rules} | {UNSPLITTABLE: ("规范性", "quarantine")}


def of_calendar(expected: Iterable[Due]) -> list[Checked]:
    """What was due on each day (or came before), and did not come in time. What is not due yet, or was before the feed was connected, counts nowhere."""
    return [
        Checked(min(e.due_on, e.arrived_on or e.due_on), e.department, e.feed, PUNCTUAL, 1, int(e.status != "on_time"), e.simulated)
        for e in expected
        if e.status not in ("awaited", "history")
    ]


def of_reconciliation(lines: Iterable[Line]) -> list[Checked]:
    """What source systems took down in each period, and did not send."""
    return [
        Checked(line.period_to, line.department, line.feed, COMPLETE, line.source_records, max(0, line.source_records - line.held_records), line.simulated)
        for line in lines
        if line.feed and line.department and line.status in ("matched", "short", "over") and line.source_records
    ]  # fmt: skip


def scores(checked: Iterable[Checked], feeds: Mapping[str, Contract]) -> list[Score]:
    """Every level's scores, in the order of their keys."""
    about = {name: rules_of(feed) | WHOLE for name, feed in feeds.items()}
    rules: dict[tuple[dt.date, str, str, str], list[Checked]] = {}
    for c in checked:
        rules.setdefault((c.day, c.department, c.feed, c.rule), []).append(c)
    found: list[Score] = []
    above: dict[tuple[dt.date, str, str, str, str], list[tuple[Score, int]]] = {}
    for (day, department, feed, rule), parts in rules.items():
        dimension, severity = about[feed][rule]
        total, bad = sum(p.checked for p in parts), sum(p.failed for p in parts)
        score = Score(
            day, "rule", department, feed, dimension, rule, total, bad, _percent(Decimal(total - bad), total), any(p.simulated for p in parts)
        )
        found.append(score)
        for level, of_department, of_feed, of_dimension in (
            ("table_dimension", department, feed, dimension),
            ("table", department, feed, ALL),
            ("department_dimension", department, ALL, dimension),
            ("department", department, ALL, ALL),
            ("city_dimension", ALL, ALL, dimension),
            ("city", ALL, ALL, ALL),
        ):
            above.setdefault((day, level, of_department, of_feed, of_dimension), []).append((score, WEIGHTS[severity]))
    for (day, level, department, feed, dimension), below in above.items():
        mean = sum((s.score * w for s, w in below), Decimal(0)) / sum(w for _, w in below)
        total, bad, simulated = sum(s.checked for s, _ in below), sum(s.failed for s, _ in below), any(s.simulated for s, _ in below)
        found.append(Score(day, level, department, feed, dimension, ALL, total, bad, _rounded(mean, bad), simulated))
    return sorted(found, key=lambda s: (s.day, s.level, s.department, s.feed, s.dimension, s.rule))


def grade(score: Decimal) -> str:
    """The grade of a score from 0 to 100: a key of `GRADES`."""
    return next(name for name, least in GRADES.items() if score >= least)


def _percent(part: Decimal, whole: int) -> Decimal:
    return _rounded(part * 100 / whole, int(whole - part))


def _rounded(score: Decimal, failed: int) -> Decimal:
    """To two places; 100 only where nothing failed."""
    rounded = score.quantize(Decimal("0.01"), ROUND_HALF_UP)
    return min(rounded, Decimal("99.99")) if failed else rounded
