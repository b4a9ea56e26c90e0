"""What is unlike all that a feed usually brings, found without a rule having been written for it.

A delivery is compared with those before it that are comparable: of the same feed and department, full ones with full ones, working days with
working days. What usually comes is their median; how much it usually varies, their median absolute deviation (of a few deliveries it says
little, and is drawn towards what feeds vary by in general). What lies more than some five of these spreads away, outside of all that was seen,
and so far that somebody would care, is an anomaly. Pure: history in, anomalies out. How often it is wrong is measured (docs/decisions/0042).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
from itertools import islice, pairwise
from statistics import NormalDist, median

from catalog.contract import Contract
from spark_jobs.profiles import Profile, Taken
from spark_jobs.punctuality import has_cycle
from spark_jobs.refine import codes
from spark_jobs.scores import ALL
from spark_jobs.trademark.calendar import is_working_day, working_days_between

ANOMALIES = "ops.quality_anomalies"
FORM = 1  # raised when something is judged otherwise
JUDGED_DAYS = 400  # deliveries that arrived longer ago are judged no more
LEAST = 6  # comparable deliveries before one that is judged
WINDOW = 30  # of which the last so many count
# Deliveries of which one may be told wrongly, if they vary as the normal distribution says: shared out among all columns and questions.
ONE_IN = 2_000
FEWEST_ROWS = 20  # of a delivery whose columns are looked at
# So many deliveries' worth of general experience is added to what the deliveries themselves say of their spread.
EXPERIENCE = 4
_SPREAD = {"volume": 0.35, "share": 0.04, "distinct": 0.25, "length": 0.03, "gap": 0.5}  # how much feeds vary in general, each on its scale
_FOR_SD = 1.4826  # median absolute deviation to standard deviation
# What is less than this nobody has to be told, however sure it is.
LEAST_FACTOR = 2.5  # volume
LEAST_RISE = 0.20  # share of empty cells
LEAST_CONCENTRATION = 0.30  # share of the most frequent content
LEAST_COLLAPSE = 3  # times fewer contents
LEAST_LENGTH = 0.15  # of the length
LEAST_GAP = 3  # working days
FESTIVAL = range(-7, 16)  # days around the Spring Festival on which offices bring less, and then more, than usual
FESTIVAL_FACTOR = 4  # how much less, or more, that may be, where no festival has been seen yet
SEASON = 15  # days around the same date a year ago
SEASON_FACTOR = 4  # what is within this factor of the same season a year ago is the season
STATES = ("open", "recovered", "settled")


@dataclass(frozen=True)
class Anomaly:
    """Of consecutive deliveries that are alike unusual, the first and the last. ``column``: `ALL` for the delivery as a whole. Values: records,
    contents, characters, working days, or shares from 0 to 1, by ``kind``; ``low`` and ``high`` None where nothing is too low or too high.

    ``kind``: volume_low, volume_high, emptied, distinct_collapsed, one_value, length_shifted, silent. ``state``: open; recovered, a later
    comparable delivery is as usual again; settled, what was unusual has become usual.
    """

    feed: str
    department: str
    column: str
    kind: str
    delivery_id: str
    business_date: dt.date | None
    observed: float
    usual: float
    low: float | None
    high: float | None
    deviation: float
    text: str
    first_seen: dt.date
    last_seen: dt.date
    deliveries: int
    last_delivery: str
    state: str
    recovered_by: str | None
    recovered_on: dt.date | None
    simulated: bool


@dataclass(frozen=True)
class Found:
    """What a question says of a value: whether it is unusual, and what was usual."""

    unusual: bool
    observed: float
    usual: float
    low: float | None
    high: float | None
    deviation: float


@dataclass(frozen=True)
class Unit:
    """What is compared as one: the deliveries of one department, business date and revision; without business date, of one day of arrival."""

    department: str
    full: bool
    day: dt.date
    revision: int
    first: Taken
    last: Taken
    records: int
    judged: bool  # not from before the feed was connected, and complete
    held: bool


def judge(feed: Contract, deliveries: Sequence[Taken], profiles: Mapping[str, Mapping[str, Profile]], today: dt.date) -> list[Anomaly]:
    """The anomalies of a feed, by department, column, kind and first day.

    ``deliveries``: all of the feed, in the order of arrival. ``profiles``: of those that `needed` names, by delivery and column.
    """
    found: list[Anomaly] = []
    titles = {c.name: c.chinese for c in feed.columns}
    for series in _series(feed, deliveries, today):
        found += _of_volume(feed, series, today)
        found += _of_columns(feed, deliveries, series, profiles, titles, today)
    for department in sorted({d.department for d in deliveries}):
        found += _of_silence(feed, [d for d in deliveries if d.department == department], today)
    return sorted(found, key=lambda a: (a.department, a.column, a.kind, a.first_seen, a.delivery_id))


def needed(feed: Contract, deliveries: Sequence[Taken], today: dt.date) -> set[str]:
    """The deliveries whose profiles `judge` looks at: those that it judges, and as many before them as it compares with."""
    chosen: set[str] = set()
    for series in _series(feed, deliveries, today):
        members = [(u, d) for u, d in _members(deliveries, series) if d.records >= FEWEST_ROWS]
        first = next((n for n, (u, _) in enumerate(members) if _recent(u, today)), None)
        if first is not None:
            chosen |= {d.delivery_id for _, d in members[max(0, first - WINDOW) :]}
    return chosen


# ---- what is compared ----


def is_full(delivery: Taken) -> bool:
    """Whether a file says of itself that it is a full one: it isn't compared with what came in between."""
    return "全量" in delivery.file_name


def _series(feed: Contract, deliveries: Sequence[Taken], today: dt.date) -> list[list[Unit]]:
    """Units that are compared with each other, each in the order of their days."""
    groups: dict[tuple[str, bool, dt.date, int], list[Taken]] = {}
    connected: dict[str, dt.date] = {}
    for d in deliveries:
        connected.setdefault(d.department, d.arrived_on)
        groups.setdefault((d.department, is_full(d), d.business_date or d.arrived_on, d.revision if d.business_date else 0), []).append(d)
    series: dict[tuple[str, bool], list[Unit]] = {}
    for (department, full, day, revision), members in sorted(groups.items(), key=lambda g: g[0]):
        dated, since = members[0].business_date is not None, connected[department]
        # What was due before the feed was connected is its history. A day of readings is judged when it is over.
        judged = day + dt.timedelta(days=feed.days_allowed) >= since if dated else since < day < today
        series.setdefault((department, full), []).append(
            Unit(
                department,
                full,
                day,
                revision,
                members[0],
                members[-1],
                sum(d.records for d in members),
                judged,
                any(d.held for d in members),
            )
        )
    return list(series.values())


def _recent(unit: Unit, today: dt.date) -> bool:
    return unit.judged and (today - unit.last.arrived_on).days <= JUDGED_DAYS


def _before(units: Sequence[Unit], number: int, kind: Callable[[Unit], str]) -> list[Unit]:
    """The comparable units before one, the newest last: of earlier days, the highest revision of each that had come by then."""
    unit = units[number]
    newest: dict[dt.date, Unit] = {}
    for u in units[:number]:
        if u.day < unit.day and u.first.arrived_on <= unit.last.arrived_on and not u.held and kind(u) == kind(unit):
            newest[u.day] = u
    return list(newest.values())


@cache
def _festivals() -> tuple[dt.date, ...]:
    return tuple(dt.date.fromisoformat(r["spring_festival"]) for r in codes.rows("spring_festivals"))


@cache
def _near_festival(day: dt.date) -> bool:
    return any((day - f).days in FESTIVAL for f in _festivals() if abs(f.year - day.year) <= 1)


def kind_of_day(feed: Contract, dated: bool, day: dt.date) -> str:
    """With which days one may be compared: ``usual``, ``rest`` (weekends and holidays), ``festival`` (working days around the Spring Festival), and
    of weeks ``short`` (at most two working days)."""
    if feed.update_cycle in ("每日", "实时") or not dated:
        return "rest" if not is_working_day(day) else "festival" if _near_festival(day) else "usual"
    if feed.update_cycle == "每周":
        short = sum(is_working_day(day - dt.timedelta(days=n)) for n in range(7)) <= 2
        return "short" if short else "festival" if _near_festival(day) else "usual"
    return "usual"


# ---- what is usual ----


@cache
def limit(questions: int, before: int) -> float:
    """How many spreads off is too far, where so many questions are asked of a delivery and so many comparable ones came before."""
    return NormalDist().inv_cdf(1 - 1 / (ONE_IN * max(1, questions))) * (1 + 4 / before)


def spread(values: Sequence[float], scale: str) -> float:
    """The usual spread of values: their median absolute deviation, with general experience of the ``scale`` where they are few."""
    middle = median(values)
    own = _FOR_SD * median(abs(v - middle) for v in values)
    return math.sqrt((len(values) * own**2 + EXPERIENCE * _SPREAD[scale] ** 2) / (len(values) + EXPERIENCE))


def _between(values: Sequence[float], odd: Sequence[bool]) -> tuple[float, float]:
    """Between what values lay, but for those that were unusual themselves (``odd``, by place, where that is known) and a tenth at either end: one fault
    in the past doesn't hide the next, and what comes and goes is no fault."""
    usual = sorted(v for n, v in enumerate(values) if not (n < len(odd) and odd[n])) or sorted(values)
    out = len(usual) // 10
    return usual[out], usual[-1 - out]


def of_volume(records: int, before: Sequence[int], season: Sequence[int] = (), leeway: float = 1, odd: Sequence[bool] = ()) -> Found | None:
    """Whether so many records are unusual after ``before`` (each of a comparable unit, oldest first); None if these are too few.

    ``season``: of the same time a year ago: what is alike to them is no anomaly. ``leeway``: a factor that is allowed beyond the usual range.
    ``odd``: which of the last `WINDOW` were unusual themselves.
    """
    if len(before) < LEAST:
        return None
    last = before[-WINDOW:]
    logs = [math.log(n + 0.5) for n in last]
    usual = math.exp(median(logs)) - 0.5
    # Counts of few vary by chance alone.
    s = math.sqrt(spread(logs, "volume") ** 2 + 1 / (usual + 1))
    allowed = max(limit(2, len(last)) * s, math.log(LEAST_FACTOR)) + math.log(leeway)
    off = math.log(records + 0.5) - median(logs)
    low, high = max(0.0, math.exp(median(logs) - allowed) - 0.5), math.exp(median(logs) + allowed) - 0.5
    least, most = _between(last, odd)
    unusual = abs(off) > allowed and not least <= records <= most
    if unusual and season:
        unusual = not min(season) / SEASON_FACTOR <= records <= max(season) * SEASON_FACTOR
    return Found(unusual, records, max(0.0, usual), low, high, abs(off) / s)


def _angle(part: float, whole: float) -> float:
    """A share on the scale on which chance spreads all shares alike, by half a root of the number."""
    return math.asin(math.sqrt((part + 0.375) / (whole + 0.75)))


def of_share(part: int, whole: int, before: Sequence[tuple[int, int]], questions: int, rise: float, odd: Sequence[bool] = ()) -> Found | None:
    """Whether a share has risen unusually, by at least ``rise``. ``before``: parts and wholes of comparable deliveries."""
    if len(before) < LEAST:
        return None
    last = before[-WINDOW:]
    angles = [_angle(p, w) for p, w in last]
    s = math.sqrt(spread(angles, "share") ** 2 + 1 / (4 * whole))
    middle, angle, shares = median(angles), _angle(part, whole), [p / w for p, w in last]
    allowed = limit(questions, len(last)) * s
    usual, (_, most) = median(shares), _between(shares, odd)
    high = min(1.0, max(math.sin(min(middle + allowed, math.pi / 2)) ** 2, usual + rise, most))
    unusual = angle - middle > allowed and part / whole >= usual + rise and part / whole > most
    return Found(unusual, part / whole, usual, None, high, (angle - middle) / s)


def of_distinct(distinct: int, filled: int, before: Sequence[tuple[int, int]], questions: int, odd: Sequence[bool] = ()) -> Found | None:
    """Whether there are unusually few contents. ``before``: contents and filled cells of comparable deliveries.

    Of a column in which most contents differ (a number, a name) there are as many as cells; of any other there are the same in a small delivery
    as in a large one, and a much smaller one than usual says nothing.
    """
    if len(before) < LEAST:
        return None
    last = before[-WINDOW:]
    cells = median(f for _, f in last)
    by_cell = median(d / f for d, f in last) > 0.5
    if not by_cell and filled < cells / 2:
        return None
    values = [d / f * filled if by_cell else d for d, f in last]
    logs = [math.log(v + 0.5) for v in values]
    s, middle = spread(logs, "distinct"), median(logs)
    allowed = max(limit(questions, len(last)) * s, math.log(LEAST_COLLAPSE))
    off, usual = middle - math.log(distinct + 0.5), median(values)
    low = max(0.0, math.exp(middle - allowed) - 0.5)
    unusual = off > allowed and distinct * LEAST_COLLAPSE <= usual and distinct < _between(values, odd)[0]
    return Found(unusual, distinct, usual, low, None, off / s)


def of_length(mean: float, filled: int, before: Sequence[tuple[float, int]], questions: int, odd: Sequence[bool] = ()) -> Found | None:
    """Whether contents are unusually short or long. ``before``: mean lengths and filled cells of comparable deliveries."""
    if len(before) < LEAST:
        return None
    last = before[-WINDOW:]
    logs = [math.log(m) for m, _ in last]
    # The mean of few cells varies more than that of many.
    s = spread(logs, "length") * math.sqrt(max(1.0, median(f for _, f in last) / filled))
    allowed = max(limit(questions, len(last)) * s, LEAST_LENGTH)
    off, usual = math.log(mean) - median(logs), median(m for m, _ in last)
    low, high = usual * math.exp(-allowed), usual * math.exp(allowed)
    least, most = _between([m for m, _ in last], odd)
    unusual = abs(off) > allowed and abs(mean - usual) >= 1 and not least <= mean <= most
    return Found(unusual, mean, usual, low, high, abs(off) / s)


def of_gap(days: int, before: Sequence[int]) -> Found | None:
    """Whether nothing has come for unusually many working days. ``before``: working days between one arrival and the next."""
    if len(before) < LEAST:
        return None
    last = before[-WINDOW:]
    logs = [math.log(n + 0.5) for n in last]
    s = spread(logs, "gap")
    high = max(math.exp(median(logs) + limit(1, len(last)) * s) - 0.5, 1.5 * max(last), median(last) + LEAST_GAP)
    return Found(days > high, days, median(last), None, high, (math.log(days + 0.5) - median(logs)) / s)


# ---- what is asked ----


@dataclass(frozen=True)
class _Seen:
    """A unit or a delivery that was asked a question, and the answer."""

    delivery: Taken
    found: Found


def _of_volume(feed: Contract, units: Sequence[Unit], today: dt.date) -> list[Anomaly]:
    low: list[_Seen] = []
    high: list[_Seen] = []
    odd: set[Unit] = set()
    for number, unit in enumerate(units):
        if not _recent(unit, today):
            continue
        dated = unit.first.business_date is not None

        def kind(u: Unit, dated: bool = dated) -> str:
            return kind_of_day(feed, dated, u.day)

        before, leeway = _before(units, number, kind), 1
        if len(before) < LEAST and kind(unit) == "festival":
            before, leeway = _before(units, number, lambda u, kind=kind: kind(u).replace("festival", "usual")), FESTIVAL_FACTOR  # type: ignore[misc]
        year_ago = [u.records for u in units[:number] if not u.held and abs((unit.day - u.day).days - 365) <= SEASON]
        found = of_volume(unit.records, [u.records for u in before], year_ago, leeway, [u in odd for u in before[-WINDOW:]])
        if found is None:
            continue
        if found.unusual:
            odd.add(unit)
        below = found.observed < found.usual
        low.append(_Seen(unit.last, replace(found, unusual=found.unusual and below)))
        high.append(_Seen(unit.last, replace(found, unusual=found.unusual and not below)))
    about = (feed, units[0].department, ALL)
    return [
        *_episodes(*about, "volume_low", low, lambda f: f"到达 {f.observed:,.0f} 条，往常约 {f.usual:,.0f} 条，只有往常的 {_part(f)}"),
        *_episodes(*about, "volume_high", high, lambda f: f"到达 {f.observed:,.0f} 条，往常约 {f.usual:,.0f} 条，是往常的 {_times(f)} 倍"),
    ]


def _members(deliveries: Sequence[Taken], units: Sequence[Unit]) -> list[tuple[Unit, Taken]]:
    """The deliveries of a series with their units, in the order of days."""
    unit_of = {(u.day, u.revision): u for u in units}
    department, full = units[0].department, units[0].full
    mine = [d for d in deliveries if d.department == department and is_full(d) == full]
    told = [(unit_of[d.business_date or d.arrived_on, d.revision if d.business_date else 0], d) for d in mine]
    return sorted(told, key=lambda t: (t[0].day, t[0].revision))  # of one unit, in the order of arrival


def _of_columns(
    feed: Contract,
    deliveries: Sequence[Taken],
    units: Sequence[Unit],
    profiles: Mapping[str, Mapping[str, Profile]],
    titles: Mapping[str, str],
    today: dt.date,
) -> list[Anomaly]:
    members = [(u, d) for u, d in _members(deliveries, units) if d.records >= FEWEST_ROWS and d.delivery_id in profiles]
    asked: dict[tuple[str, str], list[_Seen]] = {}
    odd: set[tuple[str, str, str]] = set()
    for number, (unit, delivery) in enumerate(members):
        if not _recent(unit, today):
            continue
        earlier = (
            d.delivery_id
            for u, d in reversed(members[:number])
            if (u.day < unit.day or delivery.business_date is None) and d.arrived_on <= delivery.arrived_on and not d.held
        )
        before = list(islice(earlier, WINDOW))
        mine = profiles[delivery.delivery_id]
        for column, profile in mine.items():
            past = [(i, p) for i in before if (p := profiles[i].get(column)) and p.records >= FEWEST_ROWS]
            for kind, found in _asked(profile, past, 4 * len(mine), column, odd).items():
                asked.setdefault((column, kind), []).append(_Seen(delivery, found))
                if found.unusual:
                    odd.add((delivery.delivery_id, column, kind))
    return [
        a
        for (column, kind), seen in asked.items()
        for a in _episodes(feed, units[0].department, column, kind, seen, lambda f, c=column, k=kind: _told(titles[c], k, f))  # type: ignore[misc]
    ]


def _asked(
    profile: Profile, past: Sequence[tuple[str, Profile]], questions: int, column: str, odd: Collection[tuple[str, str, str]]
) -> dict[str, Found]:
    """The answers of a column, by kind. ``past``: its profiles in the comparable deliveries, the newest first; ``odd``: which of them (delivery, column,
    kind) were unusual.

    One that has become empty isn't asked about its contents, one whose contents have become few not whether one of them is frequent: one fault is told once.
    """
    if profile.records < FEWEST_ROWS:
        return {}
    told: dict[str, Found] = {}

    def were(kind: str, deliveries: Iterable[tuple[str, Profile]]) -> list[bool]:
        return [(i, column, kind) in odd for i, _ in deliveries]

    ordered = list(reversed(past))
    shares = [(p.empty, p.records) for _, p in ordered]
    if emptied := of_share(profile.empty, profile.records, shares, questions, LEAST_RISE, were("emptied", ordered)):
        told["emptied"] = emptied
    filled = profile.records - profile.empty
    full = [(i, p) for i, p in ordered if p.records - p.empty >= FEWEST_ROWS]
    if (emptied and emptied.unusual) or filled < FEWEST_ROWS:
        return told
    contents = [(p.distinct, p.records - p.empty) for _, p in full]
    if few := of_distinct(profile.distinct, filled, contents, questions, were("distinct_collapsed", full)):
        told["distinct_collapsed"] = few
    if profile.sampled and profile.most_frequent and not (few and few.unusual):
        looked = [(i, p) for i, p in full if p.most_frequent and p.sampled]
        parts = [(p.most_frequent or 0, p.sampled or 1) for _, p in looked]
        if one := of_share(profile.most_frequent, profile.sampled, parts, questions, LEAST_CONCENTRATION, were("one_value", looked)):
            told["one_value"] = one
    if profile.mean_length:
        measured = [(i, p) for i, p in full if p.mean_length]
        lengths = [(p.mean_length or 0.0, p.records - p.empty) for _, p in measured]
        if length := of_length(profile.mean_length, filled, lengths, questions, were("length_shifted", measured)):
            told["length_shifted"] = length
    return told


def _of_silence(feed: Contract, deliveries: Sequence[Taken], today: dt.date) -> list[Anomaly]:
    """Of a department whose deliveries the calendar doesn't expect (no cycle, or no business date): when nothing came for too long."""
    if (has_cycle(feed) and any(d.business_date for d in deliveries)) or deliveries[-1].simulated:
        return []
    first: dict[dt.date, Taken] = {}
    for d in deliveries:
        first.setdefault(d.arrived_on, d)
    days = sorted(first)
    gaps = [working_days_between(a, b) for a, b in pairwise(days)]
    found = []
    for number, day in enumerate(days):
        ended = days[number + 1] if number + 1 < len(days) else None
        if (today - (ended or today)).days > JUDGED_DAYS:
            continue
        told = of_gap(working_days_between(day, ended or today), gaps[:number])
        if told is None or not told.unusual or told.high is None:
            continue
        noticed = day
        while working_days_between(day, noticed) <= told.high:
            noticed += dt.timedelta(days=1)
        last = first[day]
        text = f"{feed.title}（{last.department}）已 {told.observed:.0f} 个工作日没有到达，往常约 {told.usual:.0f} 个工作日一次"
        found.append(
            Anomaly(
                feed.name, last.department, ALL, "silent", last.delivery_id, last.business_date, told.observed, told.usual, None, _tidy(told.high),
                round(told.deviation, 1), text, noticed, ended or today, 1, last.delivery_id, "recovered" if ended else "open",
                first[ended].delivery_id if ended else None, ended, False,
            )
        )  # fmt: skip
    return found


def _episodes(feed: Contract, department: str, column: str, kind: str, seen: Sequence[_Seen], words: Callable[[Found], str]) -> list[Anomaly]:
    """Consecutive unusual answers as one anomaly, until one is as usual."""
    found: list[Anomaly] = []
    running: Anomaly | None = None
    for s in seen:
        d, f = s.delivery, s.found
        if f.unusual and running is None:
            what = f"{feed.title}（{department}）{f'{d.business_date:%Y-%m-%d} ' if d.business_date else ''}批次" if column == ALL else feed.title
            running = Anomaly(
                feed.name, department, column, kind, d.delivery_id, d.business_date, _tidy(f.observed), _tidy(f.usual),
                None if f.low is None else _tidy(f.low), None if f.high is None else _tidy(f.high), round(f.deviation, 1), f"{what}：{words(f)}" if column == ALL else f"{what}（{department}）{words(f)}",
                d.arrived_on, d.arrived_on, 1, d.delivery_id, "open", None, None, d.simulated,
            )  # fmt: skip
        elif f.unusual and running is not None:
            running = replace(running, last_seen=max(running.last_seen, d.arrived_on), last_delivery=d.delivery_id, deliveries=running.deliveries + 1)
        elif running is not None:
            within = (running.low is None or f.observed >= running.low) and (running.high is None or f.observed <= running.high)
            found.append(replace(running, state="recovered" if within else "settled", recovered_by=d.delivery_id, recovered_on=d.arrived_on))
            running = None
    return [*found, running] if running else found


# ---- in words ----


def _told(title: str, kind: str, f: Found) -> str:
    if kind == "emptied":
        return f"“{title}”一列有 {f.observed:.0%} 是空的，往常为 {f.usual:.0%}"
    if kind == "distinct_collapsed":
        only = "全部是同一个内容" if f.observed == 1 else f"只有 {f.observed:,.0f} 种内容"
        return f"“{title}”一列{only}，往常约 {f.usual:,.0f} 种"
    if kind == "one_value":
        return f"“{title}”一列有 {f.observed:.0%} 是同一个内容，往常最多的内容占 {f.usual:.0%}"
    return f"“{title}”一列平均 {f.observed:.1f} 个字，往常为 {f.usual:.1f} 个字"


def _part(f: Found) -> str:
    """So small a part of the usual, in words."""
    return "零" if not f.observed else f"{f.observed / f.usual:.0%}" if f.observed * 10 >= f.usual else f"{f.observed / f.usual:.1%}"


def _times(f: Found) -> str:
    return f"{f.observed / max(f.usual, 1):,.1f}"


def _tidy(number: float) -> float:
    return round(number, 4)


def _decimal(number: float | None) -> Decimal | None:
    return None if number is None else Decimal(f"{number:.4f}")


def rows(found: Iterable[Anomaly], feed: Contract) -> list[tuple[object, ...]]:
    """Rows of ``ops.quality_anomalies``."""
    titles = {c.name: c.chinese for c in feed.columns}
    return [
        (
            a.feed, a.department, a.column, a.kind, a.delivery_id, feed.title, titles.get(a.column), a.business_date, _decimal(a.observed), _decimal(a.usual),
            _decimal(a.low), _decimal(a.high), Decimal(f"{a.deviation:.1f}"), a.text, a.first_seen,
            a.last_seen, a.deliveries, a.last_delivery, a.state, a.recovered_by, a.recovered_on, "simulated" if a.simulated else "observed",
        )
        for a in found
    ]  # fmt: skip


# ---- what they were judged by ----


def judged_by(feed: Contract, deliveries: Sequence[Taken], today: dt.date) -> str:
    """A digest of all that the anomalies of a feed follow from: if it is the same, so are they."""
    # The day alone changes what is told of deliveries that nobody can expect, and what of them is judged at all.
    day = today if any(d.business_date is None for d in deliveries) or not has_cycle(feed) else f"{today:%Y-%m}"
    about = (FORM, day, feed.title, feed.update_cycle, feed.days_allowed, [(c.name, c.chinese, c.classification) for c in feed.columns])
    return hashlib.sha256(repr((about, list(deliveries))).encode()).hexdigest()[:16]


def note(judged: Mapping[str, str]) -> str:
    """What a commit of the table says that it holds: of each feed, what its anomalies were judged by."""
    return f"anomalies:{json.dumps(judged, sort_keys=True)}"


def noted(text: str | None) -> dict[str, str] | None:
    """What `note` says; None if the text is none."""
    return dict(json.loads(text.removeprefix("anomalies:"))) if text and text.startswith("anomalies:") else None
