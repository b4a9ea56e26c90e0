"""Registrations by month without a gap, as forecasts need them. Pure: a data frame in."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spark_jobs.analyse.economy import ALL, CITY, KINDS, UNASSIGNED

Array = NDArray[np.float64]
YEAR = 12
RECENT = 3 * YEAR  # months that say how large a series is, and that the earliest forecast must know
LEAST = RECENT + 8  # months without a gap that forecasts with an interval need
MOST = 10 * YEAR  # months that are looked back at: before that the city was another
Place = tuple[str, str]  # district and section, or CITY and ALL


@dataclass(frozen=True)
class Monthly:
    """Registrations of ``months`` (first days) without a gap, of shape (months, districts + 1, sections + 1), each with ``UNASSIGNED`` last; the weakest kind of value among them."""

    months: list[dt.date]
    districts: list[str]
    sections: list[str]
    counted: Array
    kind: str

    @property
    def origin(self) -> dt.date:
        """The last day of the last month."""
        return later(self.months[-1], 1) - dt.timedelta(days=1)

    def series(self) -> dict[Place, Array]:
        """Every series of which there is something, city first, then districts, sections and cells; each of shape (months,)."""
        d, s = [*self.districts, UNASSIGNED], [*self.sections, UNASSIGNED]
        found = {(CITY, ALL): self.counted.sum(axis=(1, 2))}
        found |= {(name, ALL): self.counted[:, n].sum(axis=1) for n, name in enumerate(d)}
        found |= {(CITY, name): self.counted[:, :, n].sum(axis=1) for n, name in enumerate(s)}
        found |= {(x, y): self.counted[:, m, n] for m, x in enumerate(d) for n, y in enumerate(s)}
        # A cell without anybody in the last years is expected to stay so.
        return {place: y for place, y in found.items() if y[-RECENT:].any()}


def monthly(births: pd.DataFrame, districts: list[str], sections: list[str], until: dt.date) -> Monthly | None:
    """Lay out the newest stretch of months that is long enough, as it was known ``until`` a day (the newest arrival); None where there is none.

    A month is over once something has arrived in a later one: on its own last day there is more to come.

    ``births``: as for `economy.counts`. A month in which nobody registered in the whole city is one that was never delivered: the stretch ends before it.
    """
    whole = births[births["month"].map(lambda m: later(m, 1) <= until)]
    if whole.empty:
        return None
    first, last = whole["month"].min(), whole["month"].max()
    months = [later(first, n) for n in range(_apart(first, last) + 1)]
    place = {n: i for i, n in enumerate(districts)}, {n: i for i, n in enumerate(sections)}
    counted = np.zeros((len(months), len(districts) + 1, len(sections) + 1))
    at = (
        whole["month"].map(lambda m: _apart(first, m)).to_numpy(),
        whole["district"].map(place[0]).fillna(len(districts)).astype(int).to_numpy(),
        whole["section"].map(place[1]).fillna(len(sections)).astype(int).to_numpy(),
    )
    np.add.at(counted, at, whole["subjects"].to_numpy(dtype=float))
    end = len(months)
    gaps = [-1, *np.flatnonzero(counted.sum(axis=(1, 2)) == 0), end]
    for before, after in zip(reversed(gaps[:-1]), reversed(gaps[1:]), strict=True):
        if after - before - 1 >= LEAST:
            begin = max(before + 1, after - MOST)
            inside = whole["month"].map(lambda m, b=begin, a=after: months[b] <= m <= months[a - 1])
            kind = KINDS[max(KINDS.index(k) for k in whole["value_kind"][inside])]
            return Monthly(months[begin:after], districts, sections, counted[begin:after], kind)
    return None


def later(first: dt.date, months: int) -> dt.date:
    """The first day of the month that comes ``months`` after the one of ``first``."""
    year, month = divmod(first.year * YEAR + first.month - 1 + months, YEAR)
    return dt.date(year, month + 1, 1)


def _apart(first: dt.date, last: dt.date) -> int:
    return (last.year - first.year) * YEAR + last.month - first.month
