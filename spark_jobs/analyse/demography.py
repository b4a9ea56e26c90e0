"""Business demography: rates of birth and death, survival, high growth.

Source: Eurostat-OECD Manual on Business Demography Statistics (2007). A register knows less than a survey: who has moved here or changed
from a household to a company appears as a birth, who was struck off (吊销) is legally alive, and deaths are told late.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
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


def is_high_growth(size_before: float, size_after: float, years: int = 3, yearly: float = 0.20, least: float = 10) -> bool:
    """Whether an enterprise of at least ``least`` employees has grown by more than ``yearly`` a year on average over ``years``.

    0.20 is the manual's threshold (over three years x 1.728); Eurostat has used 0.10 since 2014 (x 1.331).
    """
    limit = size_before * (1 + yearly) ** years
    return size_before >= least and size_after > limit and not math.isclose(size_after, limit)


def is_gazelle(size_before: float, size_after: float, age: float, years: int = 3, yearly: float = 0.20, least: float = 10) -> bool:
    """Whether a high-growth enterprise is at most five years old."""
    return age <= 5 and is_high_growth(size_before, size_after, years, yearly, least)


def identities(total: float, parts: Iterable[float], within: float = 0) -> float:
    """Return what the ``parts`` of a published figure lack to its ``total``; 0 where that is no more than ``within`` (rounding)."""
    gap = total - sum(parts)
    return 0.0 if abs(gap) <= within + 1e-9 else gap
