"""Count what each source system says it took down against what the lake was sent, so that what was never sent is seen.

Source systems tell how many records they took down on each day (feed ``control_totals``). A delivery describes the days after the business
date of the one before, up to its own: what the source took down on these days is compared with the records that came for them.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass

from catalog.contract import Contract


@dataclass(frozen=True)
class Total:
    """What a source system says: so many records of a resource (by its Chinese name) on a day."""

    resource: str
    day: dt.date
    records: int


@dataclass(frozen=True)
class Held:
    """A delivery that a release contains. ``records``: those that came, each once however often it stands in it."""

    feed: str
    department: str
    business_date: dt.date | None
    revision: int
    records: int
    simulated: bool


@dataclass(frozen=True)
class Line:
    """A period of a resource. ``business_date``: of the deliveries that describe it; None: nothing has come that does. ``feed``: None if no feed is the resource."""

    resource: str
    period_to: dt.date
    period_from: dt.date
    feed: str | None
    department: str | None
    business_date: dt.date | None
    source_records: int
    held_records: int
    status: str
    simulated: bool


def reconcile(totals: Iterable[Total], deliveries: Iterable[Held], feeds: Iterable[Contract]) -> list[Line]:
    """The periods of each resource, in their order.

    ``status``: ``matched``; ``short``, fewer records came than the source took down; ``over``, more; ``awaited``, no delivery describes the
    period yet; ``unknown``, no feed is known under the name. Of the deliveries of one department and business date those of the highest
    revision count: a correction replaces what it corrects whole (docs/how-to/deliveries.zh.md).
    """
    named = {feed.control_name: feed for feed in feeds}
    came = _by_day(deliveries)
    days: dict[str, dict[dt.date, int]] = {}
    for total in totals:
        days.setdefault(total.resource, {})[total.day] = total.records
    lines = []
    for resource, counts in sorted(days.items()):
        feed = named.get(resource)
        held = came.get(feed.name, {}) if feed else {}
        ends = sorted(held)
        periods: dict[dt.date | None, list[dt.date]] = {}
        for day in sorted(counts):
            place = bisect_left(ends, day)
            periods.setdefault(ends[place] if place < len(ends) else None, []).append(day)
        for end, within in periods.items():
            records, simulated = held[end] if end else (0, False)
            expected = sum(counts[day] for day in within)
            status = "unknown" if feed is None else "awaited" if end is None else _compared(expected, records)
            lines.append(
                Line(
                    resource,
                    within[-1],
                    within[0],
                    feed.name if feed else None,
                    feed.department if feed else None,
                    end,
                    expected,
                    records,
                    status,
                    simulated,
                )
            )
    return lines


def _compared(expected: int, records: int) -> str:
    return "matched" if expected == records else "short" if records < expected else "over"


def _by_day(deliveries: Iterable[Held]) -> dict[str, dict[dt.date, tuple[int, bool]]]:
    """Records, and whether any is made up, by feed and business date."""
    groups: dict[tuple[str, dt.date, str], list[Held]] = {}
    for d in deliveries:
        if d.business_date is not None:
            groups.setdefault((d.feed, d.business_date, d.department), []).append(d)
    found: dict[str, dict[dt.date, tuple[int, bool]]] = {}
    for (feed, day, _), group in groups.items():
        newest = [d for d in group if d.revision == max(g.revision for g in group)]
        records, simulated = found.setdefault(feed, {}).get(day, (0, False))
        found[feed][day] = (records + sum(d.records for d in newest), simulated or any(d.simulated for d in newest))
    return found
