"""Trademark statistics as rows: counts by month, district and class, and rankings of a year beside the year before.

Counted is the 标件, by the applicant's place (see `statistics`). Of what was filed before the feeds began only what stood was delivered, so applications
are counted from the first month of which all are known, and registrations from then on, too.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from spark_jobs.analyse.economy import UNASSIGNED
from spark_jobs.trademark import statistics
from spark_jobs.trademark.told import Told

MONTHS = 37  # that are shown: three years, and the month that the first is compared with
OWNERS = 100  # of the largest that a ranking names
LEAST_SHARE = 0.25
CITY, ABROAD = "全市", "市外"


class Month(NamedTuple):
    """标件 of a month, a district (`CITY`: all of the city; `ABROAD`: applicants from elsewhere) and a class (0: all)."""

    month: dt.date
    district: str
    nice_class: int
    applications: int
    registrations: int
    stock: int


class Place(NamedTuple):
    """A place in a ranking of ``of`` (district, class, owner) by ``indicator``. ``key``: code, class or subject; ``share`` of the city's whole."""

    of: str
    indicator: str
    period_end: dt.date
    key: str
    name: str
    value: float
    before: float | None
    change: float | None
    share: float | None
    rank: int
    rank_before: int | None


def first_month(told: Told) -> dt.date | None:
    """The first whole month since which applications are told without a gap; None without any.

    A month with less than `LEAST_SHARE` of the usual number (the median of the two years before the last month) is a gap: of what was filed before the
    feeds began a few may be told, too.
    """
    days = pd.to_datetime(told.marks["applied_on"].dropna())
    last = pd.Period(told.until, "M") - 1
    counted = days.dt.to_period("M").value_counts()
    if not len(counted) or counted.index.min() > last:
        return None
    counted = counted.reindex(pd.period_range(counted.index.min(), last, freq="M"), fill_value=0)
    least = max(1.0, LEAST_SHARE * float(counted.iloc[-24:].median()))
    usual = np.flatnonzero(counted.to_numpy() >= least)
    if not len(usual):
        return None
    # Months at the end with less are no beginning: what is late comes later.
    gaps = np.flatnonzero(counted.to_numpy()[: usual[-1]] < least)
    first = counted.index[gaps[-1] + 1 if len(gaps) else 0]
    # What was told first may have begun within a month.
    begun = first > counted.index.min() or days.min().day == 1
    return (first if begun else first + 1).start_time.date()


def of_months(told: Told) -> Iterator[Month]:
    """The months that are over, the newest `MONTHS` of them, where anything is counted."""
    first = first_month(told)
    last = told.until.replace(day=1) - dt.timedelta(days=1)
    if first is None or first > last:
        return
    first = max(first, (pd.Period(last, "M") - MONTHS + 1).start_time.date())
    marks = told.marks.assign(district=told.marks["district_name"].fillna(ABROAD))
    by = ["district", "nice_class"]
    parts = [
        statistics.monthly(marks, "applied_on", by),
        statistics.monthly(marks, "mark_registered_on", by),
        statistics.monthly_stock(marks, first, last, told.decisions, told.renewals, by),
    ]
    cells = pd.concat(parts, axis=1, keys=["applications", "registrations", "stock"]).fillna(0).astype(int)
    cells.index.names = ["month", *by]
    cells = cells[(cells.index.get_level_values("month") >= pd.Timestamp(first)) & (cells.index.get_level_values("month") <= pd.Timestamp(last))]
    flat = cells.reset_index()
    inside = flat[flat["district"] != ABROAD]
    values = ["applications", "registrations", "stock"]
    several = [
        flat,
        flat.groupby(["month", "district"], as_index=False)[values].sum().assign(nice_class=0),
        inside.groupby(["month", "nice_class"], as_index=False)[values].sum().assign(district=CITY),
        inside.groupby("month", as_index=False)[values].sum().assign(district=CITY, nice_class=0),
    ]
    for month, district, nice_class, *counted in pd.concat(several)[["month", "district", "nice_class", *values]].itertuples(index=False):
        yield Month(month.date(), district, int(nice_class), *map(int, counted))


def _years(told: Told) -> Iterator[tuple[dt.date, dt.date, dt.date, dt.date]]:
    """(first, last day) of the last whole year and of the year before it, and of the months of this year that are over and the same ones a year ago."""
    first, last = first_month(told), told.until.replace(day=1) - dt.timedelta(days=1)
    if first is None:
        return
    ends = {dt.date(last.year - (last.month < 12), 12, 31), last}
    for end in sorted(ends):
        since = dt.date(end.year, 1, 1)
        before_end = (pd.Period(end, "M") - 12).end_time.date()
        if since >= first:
            yield since, end, dt.date(end.year - 1, 1, 1), before_end


def rankings(told: Told, subjects: Mapping[tuple[dt.date, str], float]) -> Iterator[Place]:
    """Rankings of districts, classes and owners of the city. ``subjects``: live market subjects by (year end, district name), for marks per 10,000.

    Where the period before isn't known whole, nothing is compared.
    """
    first = first_month(told)
    mine = told.marks[told.marks["district_name"].notna()]
    for since, end, before_since, before_end in _years(told):
        compared = first is not None and before_since >= first
        tables_of_city: dict[str, float] = {}
        for of, key in (("district", "district_name"), ("class", "nice_class"), ("owner", "owner_subject_id")):
            marks = mine if of != "owner" else mine[mine["owner_subject_id"].notna()]
            of_stock = (statistics.stock(marks, day, told.decisions, told.renewals, [key]) for day in (end, before_end))
            tables = {
                "valid_stock": tuple(of_stock),
                "applications": tuple(statistics.counted(marks, "applied_on", a, b, [key]) for a, b in ((since, end), (before_since, before_end))),
                "registrations": tuple(
                    statistics.counted(marks, "mark_registered_on", a, b, [key]) for a, b in ((since, end), (before_since, before_end))
                ),
            }
            if of == "district":
                tables_of_city = {name: now.sum() for name, (now, _) in tables.items()}
                tables |= dict(_ratios(tables, subjects, end, before_end))
            for indicator, (now, before) in tables.items():
                # What stood before the feeds began is known; what was filed isn't.
                known = compared or indicator in ("valid_stock", "per_10_000_subjects")
                # Marks of owners or places that aren't known are part of the city, and no competitor.
                whole = float(tables_of_city[indicator]) if indicator in tables_of_city else float("nan")
                now, before = (s[s.index != UNASSIGNED] if of == "district" else s for s in (now, before))
                table = statistics.ranking(now, before if known else before.iloc[:0], whole)
                table = table[table["rank"].notna()]
                for name, r in (table.head(OWNERS) if of == "owner" else table).iterrows():
                    yield Place(
                        of, indicator, end, str(name), str(name), float(r["value"]), _maybe(r["before"]), _maybe(r["change"]), _maybe(r["share"]),
                        int(r["rank"]), None if pd.isna(r["rank_before"]) else int(r["rank_before"]),
                    )  # fmt: skip


def _ratios(
    tables: Mapping[str, tuple[pd.Series, pd.Series]], subjects: Mapping[tuple[dt.date, str], float], end: dt.date, before_end: dt.date
) -> Iterator[tuple[str, tuple[pd.Series, pd.Series]]]:
    """Indicators of districts that are no counts."""

    def per(stock: pd.Series, day: dt.date) -> pd.Series:
        return pd.Series({d: v for d, n in stock.items() if (v := statistics.per_10_000(n, subjects.get((day, d), 0))) is not None}, dtype=float)

    def ratio(period: int) -> pd.Series:
        registered, applied = tables["registrations"][period], tables["applications"][period]
        found = {d: statistics.registration_ratio(registered.get(d, 0), n) for d, n in applied.items()}
        return pd.Series({d: v for d, v in found.items() if v is not None}, dtype=float)

    yield "per_10_000_subjects", (per(tables["valid_stock"][0], end), per(tables["valid_stock"][1], before_end))
    yield "registration_ratio", (ratio(0), ratio(1))


def _maybe(value: float) -> float | None:
    return None if pd.isna(value) else float(value)
