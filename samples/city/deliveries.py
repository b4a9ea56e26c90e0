"""When what is delivered, and under which name: on time, late, twice, first wrong and then corrected."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np

from samples.city.feeds import DAILY, FEEDS, MONTHLY, ONCE, QUARTERLY, WEEKLY, YEARLY, Feed
from samples.city.parameters import Parameters, date_of, day

BASELINE = 0  # the period of what was there before the start


@dataclass(frozen=True)
class Delivery:
    """``as_of``: the business day that it describes. ``sent``: when it comes. ``late``: days behind the calendar. ``repeated``: the day on which
    the same content comes again under another name; None: never. ``corrected``: the day on which revision 1 puts right what came first. ``missing``: it never comes."""

    feed: Feed
    period: int
    as_of: dt.date
    sent: dt.date
    late: int
    repeated: dt.date | None
    corrected: dt.date | None
    missing: bool


def periods(p: Parameters, feed: Feed, days: np.ndarray) -> np.ndarray:
    """The period of each day: 0 before the start, else counted from 1."""
    cadence = _cadence(p, feed)
    since = days - p.start
    if cadence == DAILY:
        found = since + 1
    elif cadence == WEEKLY:
        found = since // 7 + 1
    else:
        months = days.astype("datetime64[D]").astype("datetime64[M]").astype(int) - (p.first_year - 1970) * 12
        found = months // {MONTHLY: 1, QUARTERLY: 3, YEARLY: 12, ONCE: 12 * p.years}[cadence] + 1
    return np.where(days < p.start, BASELINE, found)


def delivery(p: Parameters, feed: Feed, period: int) -> Delivery:
    """What becomes of the delivery of a period. The same for the same seed, whatever was asked before."""
    g = p.generator(70, list(FEEDS).index(feed.name), period)
    as_of = date_of(p.start - 1) if period == BASELINE else min(_last_day(p, feed, period), date_of(p.end - 1))
    late = int(g.integers(1, 21)) if g.random() < p.rate("deliveries.late") else 0
    sent = as_of + dt.timedelta(days=1 + late)
    repeated = sent + dt.timedelta(days=int(g.integers(1, 15))) if g.random() < p.rate("deliveries.repeated") else None
    corrected = sent + dt.timedelta(days=int(g.integers(2, 30))) if period != BASELINE and g.random() < p.rate("deliveries.corrected") else None
    missing = period != BASELINE and g.random() < p.rate("deliveries.missing")
    return Delivery(feed, period, as_of, sent, late, repeated, corrected, missing)


def _cadence(p: Parameters, feed: Feed) -> str:
    return MONTHLY if p.cadence == "monthly" and feed.cadence in (DAILY, WEEKLY) else feed.cadence


def _last_day(p: Parameters, feed: Feed, period: int) -> dt.date:
    cadence = _cadence(p, feed)
    if cadence == DAILY:
        return date_of(p.start + period - 1)
    if cadence == WEEKLY:
        return date_of(p.start + 7 * period - 1)
    months = period * {MONTHLY: 1, QUARTERLY: 3, YEARLY: 12, ONCE: 12 * p.years}[cadence]
    return date_of(day(p.first_year + months // 12, months % 12 + 1, 1) - 1)
