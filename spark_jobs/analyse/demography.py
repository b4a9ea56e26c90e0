"""Business demography: rates of birth and death, survival, high growth.

Source: Eurostat-OECD Manual on Business Demography Statistics (2007). A register knows less than a survey: who has moved here or changed
from a household to a company appears as a birth, who was struck off (吊销) is legally alive, and deaths are told late.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Z = 1.959963984540054  # the normal quantile of 95 %


@dataclass(frozen=True)
class Rates:
    """Of a period, as shares of the active: ``net`` = birth - death, ``churn`` = birth + death."""

    birth: float
    death: float
    net: float
    churn: float


def rates(active: float, births: float, deaths: float) -> Rates:
    """Return the rates of a period; ``active``: those that were active in any part of it.

    Raises:
        ValueError: nobody was active, or more were born or died than were active.
    """
    if active <= 0 or not (0 <= births <= active and 0 <= deaths <= active):
        raise ValueError(f"births ({births}) and deaths ({deaths}) are among the active ({active})")
    return Rates(births / active, deaths / active, (births - deaths) / active, (births + deaths) / active)


@dataclass(frozen=True)
class Survival:
    """A survival curve; all of shape (times,): after each time at which somebody ended, the share that lives on, with its 95 % interval."""

    time: Array
    share: Array
    low: Array
    high: Array

    def at(self, time: float) -> float:
        """The share that lives on after ``time``."""
        place = int(np.searchsorted(self.time, time, side="right"))
        return float(self.share[place - 1]) if place else 1.0


def survival(durations: ArrayLike, ended: ArrayLike) -> Survival:
    """Return the Kaplan-Meier curve of subjects that lived for ``durations`` and then ``ended`` (True) or were seen no longer (False, censored).

    The interval is Greenwood's on the log-log scale, which stays between 0 and 1 (Kalbfleisch and Prentice 1980).

    Raises:
        ValueError: not one duration for each subject, or a negative one.
    """
    lived, end = np.asarray(durations, dtype=float), np.asarray(ended, dtype=bool)
    if lived.shape != end.shape or lived.ndim != 1 or (lived < 0).any():
        raise ValueError("each subject has a duration that is not negative, and has ended or not")
    time, died = np.unique(lived[end], return_counts=True)
    if not time.size:
        return Survival(time, *(np.array([]) for _ in range(3)))
    ordered = np.sort(lived)
    at_risk = lived.size - np.searchsorted(ordered, time, side="left")
    share: Array = np.cumprod(1 - died / at_risk, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.sqrt(np.cumsum(died / (at_risk * (at_risk - died)))) / np.abs(np.log(share))
        low, high = share ** np.exp(Z * spread), share ** np.exp(-Z * spread)
    gone = share <= 0  # nobody is left: nothing is uncertain about that
    return Survival(time, share, np.where(gone, 0.0, low), np.where(gone, 0.0, high))


@dataclass(frozen=True)
class Cohort:
    """Of those born in a ``year``, ``births`` in number: ``share`` by age in months, the share that lives on, with ``low`` and ``high`` (95 %). Ages that
    nobody has been seen to reach are left out."""

    year: int
    births: int
    share: dict[int, float]
    low: dict[int, float]
    high: dict[int, float]


def cohorts(born: Sequence[dt.date], ended: Sequence[dt.date | None], until: dt.date, ages: Sequence[int] = (12, 24, 36, 48, 60)) -> list[Cohort]:
    """Return the table of survival by year of birth, of subjects ``born`` on a day and ``ended`` on one, or None, as seen on the day ``until``.

    Of a year's cohort the youngest have been seen for less long: the Kaplan-Meier curve counts each as long as it was seen. Who ends on the day on which
    an age is reached has not lived on. Deaths are told late: of the last two years the shares will still fall. Whoever ends after ``until`` is alive.

    Raises:
        ValueError: not one end for each birth, or somebody ended before birth.
    """
    table: dict[int, tuple[list[float], list[bool]]] = {}
    for start, end in zip(born, ended, strict=True):
        if end is not None and end < start:
            raise ValueError(f"ended on {end}, born on {start}")
        if start > until:
            continue
        gone = end is not None and end <= until
        lived, dead = table.setdefault(start.year, ([], []))
        lived.append(_months(start, end if end is not None and gone else until))
        dead.append(gone)
    found = []
    for year, (lived, dead) in sorted(table.items()):
        curve = survival(lived, dead)
        # Where everybody has died, all ages that somebody could have reached are known.
        seen = max(_months(dt.date(year, 1, 1), until) if all(dead) else 0.0, *lived)
        reached = [a for a in ages if a <= seen]
        places = {a: int(np.searchsorted(curve.time, a, side="right")) - 1 for a in reached}
        low, high = ({a: float(bound[n]) if n >= 0 else 1.0 for a, n in places.items()} for bound in (curve.low, curve.high))
        found.append(Cohort(year, len(lived), {a: curve.at(a) for a in reached}, low, high))
    return found


def _months(start: dt.date, end: dt.date) -> float:
    return (end.year - start.year) * 12 + end.month - start.month + (end.day - start.day) / 31


def is_high_growth(size_before: float, size_after: float, years: int = 3, yearly: float = 0.20, least: float = 10) -> bool:
    """Whether an enterprise of at least ``least`` employees has grown by more than ``yearly`` a year on average over ``years``.

    0.20 is the manual's threshold (over three years x 1.728); Eurostat has used 0.10 since 2014 (x 1.331).
    """
    limit = size_before * (1 + yearly) ** years
    return size_before >= least and size_after > limit and not math.isclose(size_after, limit)


def is_gazelle(size_before: float, size_after: float, age: float, years: int = 3, yearly: float = 0.20, least: float = 10) -> bool:
    """Whether a high-growth enterprise is at most five years old."""
    return age <= 5 and is_high_growth(size_before, size_after, years, yearly, least)


@dataclass(frozen=True)
class Growth:
    """Among enterprises that were large enough at the start: ``high`` have grown fast, and of these ``gazelles`` are at most five years old; both in number."""

    enterprises: int
    high: int
    gazelles: int

    @property
    def share(self) -> float:
        """The share of those that have grown fast; 0 where none was large enough."""
        return self.high / self.enterprises if self.enterprises else 0.0


def growth(before: ArrayLike, after: ArrayLike, ages: ArrayLike, years: int = 3, yearly: float = 0.20, least: float = 10) -> Growth:
    """Count high growth among enterprises with so many employees ``before`` and ``after`` ``years``, at the end of which they are so old (years).

    Who has ended has 0 employees after, and is counted among the enterprises. The thresholds are those of `is_high_growth`.

    Raises:
        ValueError: the three differ in length.
    """
    rows = list(zip(*(np.asarray(v, dtype=float).tolist() for v in (before, after, ages)), strict=True))
    high = [age for small, large, age in rows if is_high_growth(small, large, years, yearly, least)]
    return Growth(sum(small >= least for small, _, _ in rows), len(high), sum(age <= 5 for age in high))


def identities(total: float, parts: Iterable[float], within: float = 0) -> float:
    """Return what the ``parts`` of a published figure lack to its ``total``; 0 where that is no more than ``within`` (rounding)."""
    gap = total - sum(parts)
    return 0.0 if abs(gap) <= within + 1e-9 else gap
