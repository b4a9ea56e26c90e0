"""Figures of the city's economy from two marts: who registered and who left, by month, district and industry section.

Pure: data frames in, rows out. What each indicator means, and what it can't say, is in docs/indicators.zh.md.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spark_jobs.analyse import demography, regions, structure

Array = NDArray[np.float64]
CITY, ALL, UNASSIGNED = "全市", "全部", "未分配"
KINDS = ("observed", "estimated", "simulated")  # from strong to weak
LEAST_EXPECTED = 5  # subjects of an industry that must be expected in a district before its quotient is told
LARGEST = 4


@dataclass(frozen=True)
class District:
    """A district of today's frame: its group, and the codes of those that it touches."""

    code: str
    name: str
    group: str
    neighbours: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """One figure. ``counted``: the subjects that it rests on. ``low`` and ``high``: its 95 % interval, where it has one."""

    indicator: str
    period_end: dt.date
    district: str
    section: str
    value: Decimal
    low: Decimal | None
    high: Decimal | None
    counted: int
    value_kind: str


@dataclass(frozen=True)
class Counts:
    """Subjects by period, district and section (each with ``UNASSIGNED`` last): those born and ended in a period, and live at its end; the weakest kind of value among them.

    All of shape (periods, districts + 1, sections + 1). Periods are whole years, the last may be a part of one.
    """

    periods: list[dt.date]
    districts: list[str]
    sections: list[str]
    born: Array
    ended: Array
    live: Array
    kind: NDArray[np.int_]
    exits_told: tuple[dt.date, dt.date] | None  # the first and the last month of which an exit is told

    def whole(self, period: int) -> bool:
        """Whether a period is a whole year."""
        return (self.periods[period].month, self.periods[period].day) == (12, 31)

    def exits_whole(self, period: int) -> bool:
        """Whether exits are told of a whole year, as far as can be seen: of years before the first and after the last that nobody left is not known."""
        year = self.periods[period].year
        return (
            self.whole(period)
            and self.exits_told is not None
            and self.exits_told[0] <= dt.date(year, 1, 1)
            and self.exits_told[1] >= dt.date(year, 12, 1)
        )


def counts(births: pd.DataFrame, exits: pd.DataFrame, districts: list[str], sections: list[str], until: dt.date) -> Counts:
    """Count subjects by period, as far as they were known ``until`` a day.

    ``births``, ``exits``: columns ``month`` (first days), ``district``, ``section`` (names; others than the given ones count as unassigned), ``subjects``,
    ``value_kind``. The last period ends with the last month of which anything is told (what was not delivered yet is no standstill), but not after
    ``until``: a month that has only begun is not over.
    """
    told = pd.concat([births["month"], exits["month"]])
    first, last = told.min(), told.max()
    years = list(range(first.year, last.year + 1))
    ends = [dt.date(y, 12, 31) for y in years[:-1]] + [min((pd.Timestamp(last) + pd.offsets.MonthEnd(0)).date(), max(until, last))]
    place = {name: n for n, name in enumerate(districts)}, {name: n for n, name in enumerate(sections)}
    shape = (len(years), len(districts) + 1, len(sections) + 1)
    kind = np.zeros(shape, dtype=int)

    def laid(frame: pd.DataFrame) -> Array:
        found = np.zeros(shape)
        if frame.empty:
            return found
        at = (
            frame["month"].map(lambda m: m.year - years[0]).to_numpy(),
            frame["district"].map(place[0]).fillna(len(districts)).astype(int).to_numpy(),
            frame["section"].map(place[1]).fillna(len(sections)).astype(int).to_numpy(),
        )
        np.add.at(found, at, frame["subjects"].to_numpy(dtype=float))
        np.maximum.at(kind, at, frame["value_kind"].map(KINDS.index).to_numpy())
        return found

    born, ended = laid(births), laid(exits)
    # Who left before the day of registration that is on record now would be fewer than nobody.
    live = np.maximum(0, (born - ended).cumsum(axis=0))
    of_exits = None if exits.empty else (exits["month"].min(), exits["month"].max())
    return Counts(ends, districts, sections, born, ended, live, np.maximum.accumulate(kind, axis=0), of_exits)


def figures(of: Counts, frame: Mapping[str, District], first: dt.date = dt.date.min) -> Iterator[Row]:
    """Work out all indicators of the periods that end on ``first`` or later. ``frame``: the districts by name, of which ``of`` has the counts."""
    for period in range(len(of.periods)):
        if of.periods[period] < first:
            continue
        yield from _demography(of, period)
        yield from _structure(of, period)
        yield from _regions(of, period, frame)


def _row(
    of: Counts,
    indicator: str,
    period: int,
    value: float,
    counted: float,
    district: str = CITY,
    section: str = ALL,
    interval: tuple[float | None, float | None] = (None, None),
) -> Row:
    d = slice(None) if district == CITY else of.districts.index(district) if district != UNASSIGNED else -1
    s = slice(None) if section == ALL else of.sections.index(section) if section != UNASSIGNED else -1
    kind = KINDS[int(of.kind[period][d, s].max())]
    low, high = (None if x is None else decimal(x) for x in interval)
    return Row(indicator, of.periods[period], district, section, decimal(value), low, high, int(counted), kind)


def decimal(value: float) -> Decimal:
    """A figure as tables hold it, to six places."""
    return Decimal(f"{value:.6f}")


def figure(value: float | None) -> Decimal | None:
    """The same of a figure that there may not be: None, or not a number."""
    return None if value is None or np.isnan(value) else decimal(value)


def places(frame: Mapping[str, District], sections: Mapping[str, str]) -> Callable[[tuple[str, str]], tuple[str | None, str, str | None, str]]:
    """What says codes and names of a place (district and section by name), as columns. ``sections``: titles by letter."""
    letters = {title: code for code, title in sections.items()}
    return lambda place: (frame[place[0]].code if place[0] in frame else None, place[0], letters.get(place[1]), place[1])


def _demography(of: Counts, period: int) -> Iterator[Row]:
    names = [*of.districts, UNASSIGNED]
    groups: list[tuple[str, str, Any]] = [(CITY, ALL, np.s_[:, :])]
    groups += [(name, ALL, np.s_[n, :]) for n, name in enumerate(names)]
    groups += [(CITY, name, np.s_[:, n]) for n, name in enumerate([*of.sections, UNASSIGNED])]
    for district, section, part in groups:
        live, born, ended = (x[period][part].sum() for x in (of.live, of.born, of.ended))
        before = of.live[period - 1][part].sum() if period else 0.0
        yield _row(of, "live_subjects", period, live, live, district, section)
        if not of.whole(period):
            continue
        yield _row(of, "births", period, born, born, district, section)
        if of.exits_whole(period):
            yield _row(of, "exits", period, ended, ended, district, section)
        active = before + born
        if before > 0 and ended <= active:
            rates = demography.rates(active, born, ended)
            for name in ("birth", "death", "net", "churn") if of.exits_whole(period) else ("birth",):
                yield _row(of, f"{name}_rate", period, getattr(rates, name), active, district, section)


def _structure(of: Counts, period: int) -> Iterator[Row]:
    live = of.live[period]
    everybody = live.sum()
    if not everybody:
        return
    yield _row(of, "unassigned_district_share", period, live[-1].sum() / everybody, everybody)
    yield _row(of, "unassigned_section_share", period, live[:, -1].sum() / everybody, everybody)
    known = live[:-1, :-1]  # of both
    of_city = live[:, :-1].sum(axis=0)
    before = of.live[period - 1][:, :-1] if period else None
    for n, district in [(None, CITY), *enumerate(of.districts)]:
        mine = of_city if n is None else known[n]
        total = mine.sum()
        if not total:
            continue
        share = structure.shares(mine)
        for section, part, count in zip(of.sections, share, mine, strict=True):
            yield _row(of, "section_share", period, part, count, district, section)
        yield _row(of, "herfindahl_index", period, structure.herfindahl(mine), total, district)
        yield _row(of, "largest_sections_share", period, structure.concentration_ratio(mine, LARGEST), total, district)
        three = structure.three_sectors(dict(zip((s[0] for s in _letters(of.sections)), mine, strict=True)))
        for name, part in zip(("primary", "secondary", "tertiary"), structure.shares(three), strict=True):
            yield _row(of, f"{name}_share", period, part, total, district)
        yield _row(of, "upgrading_index", period, structure.upgrading(three), total, district)
        if before is not None and of.whole(period):
            then = before.sum(axis=0) if n is None else before[n]
            if then.sum():
                yield _row(of, "structural_change", period, structure.structural_change(then, mine), total, district)
                yield _row(of, "moore_angle", period, structure.moore_angle(then, mine), total, district)
        if n is not None:
            yield _row(of, "similarity_to_city", period, structure.similarity(mine, of_city), total, district)
            yield from _quotients(of, period, n, known)
            if before is not None and of.whole(period) and before[n].sum():
                yield from _parts_of_growth(of, period, n, before[:-1], known)


def _letters(sections: list[str]) -> list[str]:
    """The letters of sections of GB/T 4754, which are named in their order."""
    return [chr(ord("A") + n) for n in range(len(sections))]


def _quotients(of: Counts, period: int, n: int, known: Array) -> Iterator[Row]:
    """Location quotients of a district, among subjects whose district and section are both known."""
    for s, section in enumerate(of.sections):
        q = structure.location_quotient(known[n, s], known[n].sum(), known[:, s].sum(), known.sum(), LEAST_EXPECTED)
        if q.value is not None:
            yield _row(of, "location_quotient", period, q.value, known[n, s], of.districts[n], section, (q.low, q.high))


def _parts_of_growth(of: Counts, period: int, n: int, before: Array, now: Array) -> Iterator[Row]:
    """Of the growth of a district since the year before: what the city's growth, its mix of industries and it itself account for."""
    there = before.sum(axis=0) > 0  # an industry that is new in the whole city has no growth yet
    parts = structure.shift_share(before[n][there], now[n][there], before.sum(axis=0)[there], now.sum(axis=0)[there])
    for name in ("national", "mix", "competitive"):
        yield _row(of, f"growth_{name}_part", period, getattr(parts, name).sum(), before[n].sum(), of.districts[n])


def _regions(of: Counts, period: int, frame: Mapping[str, District]) -> Iterator[Row]:
    live = of.live[period][:-1].sum(axis=1)
    if (live > 0).sum() < len(live):
        return  # of a city of which districts are empty these say nothing
    groups = [frame[name].group for name in of.districts]
    spread = regions.theil(live, groups=groups)
    counted = live.sum()
    for name, value in (("total", spread.total), ("between", spread.between), ("within", spread.within)):
        yield _row(of, f"theil_{name}", period, value, counted)
    yield _row(of, "gini_index", period, regions.gini(live), counted)
    yield _row(of, "variation_coefficient", period, regions.williamson(live), counted)
    name_of = {d.code: d.name for d in frame.values()}
    beside = {name: [name_of[code] for code in frame[name].neighbours] for name in of.districts}
    if np.ptp(live) > 0:
        found = regions.moran(dict(zip(of.districts, live, strict=True)), beside)
        yield _row(of, "moran_index", period, found.value, counted)
        yield _row(of, "moran_p_value", period, found.p_value, counted)
    before = of.live[period - 1][:-1].sum(axis=1) if period else None
    if before is not None and of.whole(period) and (before > 0).all() and of.born[period][:-1].sum():
        born = of.born[period][:-1].sum(axis=1)
        yield _row(of, "theil_of_births", period, regions.theil(born, before).total, born.sum())
