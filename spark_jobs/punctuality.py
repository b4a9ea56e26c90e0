"""When each feed's deliveries were due, and whether they came: by the update cycle that its contract states."""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from catalog.contract import Contract

# Days or months from one business date to the next; what comes at any time has none.
_DAYS = {"每日": 1, "每周": 7}
_MONTHS = {"每月": 1, "每季度": 3, "每年": 12}


def has_cycle(feed: Contract) -> bool:
    """Whether it can be said when a feed's deliveries are due."""
    return feed.update_cycle in _DAYS | _MONTHS


@dataclass(frozen=True)
class Came:
    """A delivery that was taken: the day that it describes, the day on which it came (both in China)."""

    business_date: dt.date
    arrived_on: dt.date
    simulated: bool


@dataclass(frozen=True)
class Due:
    """A business date of a feed for which a delivery is expected by ``due_on``.

    ``status``: ``on_time``; ``late``, it came after that; ``missing``, later ones have come, it hasn't; ``overdue``, it is the next to come and
    its day has passed; ``awaited``, its day is yet to come; ``history``, it was due before the feed was connected.
    """

    feed: str
    department: str
    business_date: dt.date
    due_on: dt.date
    arrived_on: dt.date | None
    status: str
    days_late: int
    simulated: bool


def punctuality(feed: Contract, deliveries: Iterable[Came], today: dt.date) -> list[Due]:
    """The business dates of a feed, in their order, with the next one that is expected. Empty for a feed without cycle or delivery.

    A feed is connected from the day of its first delivery on; what had been due before then is history, come or not. Nobody is reminded of
    made-up deliveries: after one of them nothing is expected.
    """
    cycle = feed.update_cycle
    firsts: dict[dt.date, Came] = {}
    for d in sorted(deliveries, key=lambda d: d.arrived_on):
        firsts.setdefault(d.business_date, d)
    if not firsts or not has_cycle(feed):
        return []
    connected = min(d.arrived_on for d in firsts.values())
    days = sorted(firsts)
    found = []
    for day, following in zip(days, [*days[1:], None], strict=True):
        found.append(_came(feed, firsts[day], connected))
        if following is None:
            break
        for missed in _between(cycle, day, following):
            due = missed + dt.timedelta(days=feed.days_allowed)
            late = max(0, (today - due).days)
            found.append(
                Due(feed.name, feed.department, missed, due, None, "missing" if due >= connected else "history", late, firsts[following].simulated)
            )
    last = firsts[days[-1]]
    if not last.simulated:
        expected = _next(cycle, days[-1])
        due = expected + dt.timedelta(days=feed.days_allowed)
        late = max(0, (today - due).days)
        found.append(Due(feed.name, feed.department, expected, due, None, "overdue" if late else "awaited", late, False))
    return found


def _came(feed: Contract, delivery: Came, connected: dt.date) -> Due:
    due = delivery.business_date + dt.timedelta(days=feed.days_allowed)
    late = max(0, (delivery.arrived_on - due).days)
    status = "history" if due < connected else "late" if late else "on_time"
    return Due(
        feed.name, feed.department, delivery.business_date, due, delivery.arrived_on, status, late if status == "late" else 0, delivery.simulated
    )


def _between(cycle: str, day: dt.date, following: dt.date) -> Iterator[dt.date]:
    """Business dates between two that came: those after which more than half a cycle is left until the second."""
    expected = _next(cycle, day)
    while (following - expected) * 2 > _next(cycle, expected) - expected:
        yield expected
        expected = _next(cycle, expected)


def _next(cycle: str, day: dt.date) -> dt.date:
    """The business date a cycle later; from the end of a month to the end of one."""
    if cycle in _DAYS:
        return day + dt.timedelta(days=_DAYS[cycle])
    month = day.year * 12 + day.month - 1 + _MONTHS[cycle]
    year, month = month // 12, month % 12 + 1
    last = calendar.monthrange(year, month)[1]
    at_end = day.day == calendar.monthrange(day.year, day.month)[1]
    return dt.date(year, month, last if at_end else min(day.day, last))
