"""Trademark statistics: applications, registrations, valid stock, ratios, rankings.

Counted is the 标件: one mark in one class (一标一类); an application for several classes counts in each [to be confirmed]. Attributed to the applicant's
or registrant's address, never to the agent's. A table of marks has one row for each mark_number and nice_class.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

import pandas as pd

from spark_jobs.trademark.validity import dates, valid_on

KEY = ["mark_number", "nice_class"]


def _checked(marks: pd.DataFrame) -> pd.DataFrame:
    if marks.duplicated(KEY).any():
        raise ValueError("a mark counts once in a class: mark_number and nice_class aren't unique")
    return marks


def _grouped(marks: pd.DataFrame, by: Sequence[str]) -> pd.Series:
    """Counts by columns; what a column doesn't know is counted, too, so that parts sum to the whole."""
    return marks.groupby(list(by), dropna=False, observed=True).size().rename("count") if by else pd.Series([len(marks)], name="count")


def counted(marks: pd.DataFrame, date: str, since: dt.date, until: dt.date, by: Sequence[str] = ()) -> pd.Series:
    """标件 whose ``date`` lies between ``since`` and ``until``, both inclusive, by columns.

    ``date``: `applied_on` for applications 申请量, `mark_registered_on` for registrations 注册量.

    Raises:
        ValueError: a mark stands twice in a class.
    """
    on = dates(_checked(marks)[date])
    return _grouped(marks[(on >= pd.Timestamp(since)) & (on <= pd.Timestamp(until))], by)


def monthly(marks: pd.DataFrame, date: str, by: Sequence[str] = ()) -> pd.Series:
    """标件 by the first day of the month of ``date``, and by columns; rows without the date don't count."""
    on = dates(_checked(marks)[date])
    return _grouped(marks.assign(month=on.dt.to_period("M").dt.start_time)[on.notna()], ["month", *by])


def stock(
    marks: pd.DataFrame, day: dt.date, decisions: pd.DataFrame | None = None, renewals: pd.DataFrame | None = None, by: Sequence[str] = ()
) -> pd.Series:
    """有效注册量: 标件 on the register at the end of ``day``, as it was known that day (see `validity`), by columns."""
    return _grouped(marks[valid_on(_checked(marks), day, decisions, renewals)], by)


def monthly_stock(
    marks: pd.DataFrame,
    first: dt.date,
    last: dt.date,
    decisions: pd.DataFrame | None = None,
    renewals: pd.DataFrame | None = None,
    by: Sequence[str] = (),
) -> pd.Series:
    """`stock` on the last day of each month from that of ``first`` to that of ``last``, by the month's first day and by columns."""
    months = pd.period_range(pd.Timestamp(first), pd.Timestamp(last), freq="M")
    parts = {m.start_time: stock(marks, m.end_time.date(), decisions, renewals, by) for m in months}
    found = pd.concat(parts, names=["month"])
    return found if by else found.droplevel(-1)


def per_10_000(count: float, subjects: float) -> float | None:
    """每万户市场主体有效注册商标量 (or another count); None without subjects."""
    return count / (subjects / 10_000) if subjects > 0 else None


def registration_ratio(registered: float, applied: float) -> float | None:
    """申请注册比 of a period: registrations / applications of the same period; None without applications.

    Registrations are of earlier applications: in a year in which applications fall, the ratio rises by itself and may exceed 1. Whether a
    source divides the other way is to be confirmed. `registered_share` follows the same applications.
    """
    return registered / applied if applied > 0 else None


def registered_share(marks: pd.DataFrame, since: dt.date, until: dt.date, as_of: dt.date) -> float | None:
    """Share of the 标件 applied for between two days that were registered by ``as_of``; None if there were none. Young applications are still open."""
    on, registered = dates(_checked(marks)["applied_on"]), dates(marks["mark_registered_on"])
    mine = (on >= pd.Timestamp(since)) & (on <= pd.Timestamp(until))
    return float((registered[mine] <= pd.Timestamp(as_of)).mean()) if mine.any() else None


def change(now: float, before: float) -> float | None:
    """Relative change 同比; None where there was nothing before."""
    return now / before - 1 if before > 0 else None


def ranks(values: Mapping[str, float] | pd.Series) -> pd.Series:
    """Ranks, 1 for the largest: equal ones share the better rank and the next is moved by their number (1, 2, 2, 4). Without a value no rank."""
    return pd.Series(values, dtype=float).rank(method="min", ascending=False).astype("Int64")


def ranking(now: Mapping[str, float] | pd.Series, before: Mapping[str, float] | pd.Series, total: float | None = None) -> pd.DataFrame:
    """A league table in order of rank, ties by name: value, before, change, share, rank, rank_before; all by name.

    ``total``: what shares are of; None: the sum of ``now``. Who stands in one period only has no value (and no change) in the other.
    """
    value, earlier = pd.Series(now, dtype=float), pd.Series(before, dtype=float)
    names = value.index.union(earlier.index) if len(earlier) else value.index
    table = pd.DataFrame({"value": value.reindex(names), "before": earlier.reindex(names)})
    whole = table["value"].sum() if total is None else total
    table["change"] = (table["value"] / table["before"] - 1).where(table["before"] > 0)
    table["share"] = table["value"] / whole if whole > 0 else float("nan")
    table["rank"], table["rank_before"] = ranks(table["value"]), ranks(table["before"])
    table.index.name = "name"
    return table.sort_values(["rank", "name"], na_position="last")
