"""The months to come: registrations by month of the city, its districts, its sections and their cells, without seasons and ahead, with what was expected before.

Pure: counts in, rows out. What each figure means, and what it can't say, is in docs/indicators.zh.md.
"""

from __future__ import annotations

import datetime as dt
import multiprocessing
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spark_jobs.analyse import forecast, hierarchy, seasonal, turning
from spark_jobs.analyse.economy import ALL, CITY
from spark_jobs.analyse.months import RECENT, YEAR, Monthly, Place, later

Array = NDArray[np.float64]
AHEAD = 12
LEAST_MEAN = 5  # registrations in a month, on average, that a model needs; of fewer only their mean is said
TESTED = 2 * AHEAD  # origins of the back-test: two blocks of what overlaps
WORTH_IT = 20  # series with models from which on several processes are quicker than one
LEAST_TURNING = 50  # registrations in a month, on average, that turning points are told of: of fewer it was not measured how late
MEAN = "mean"  # beside the methods of `forecast`: of a series that is no model's worth


@dataclass(frozen=True)
class Expected:
    """What is expected of a month ``ahead`` months after the ``origin``: ``value`` with what it may miss by, above or below, at each of `forecast.LEVELS`."""

    origin: dt.date
    month: dt.date
    ahead: int
    place: Place
    value: float
    miss: tuple[float, ...]
    method: str

    def bounds(self, level: int) -> tuple[float, float]:
        """The interval of ``forecast.LEVELS[level]``; counts are never below 0."""
        return max(0.0, self.value - self.miss[level]), self.value + self.miss[level]


@dataclass(frozen=True)
class Told:
    """A month that is over: what was ``counted``, without the season and the calendar (``adjusted``), the ``trend``, whether it is a break (of cells these
    are not told); what had been expected of it the month before: by a forecast that was published then, or (``backcast``) as it would have been
    made then of today's counts; in which ``phase`` (`turning.PHASES`) it was told to be in that month, and whether it is a ``turn``."""

    month: dt.date
    place: Place
    counted: int
    adjusted: float | None
    trend: float | None
    method: str | None
    broken: seasonal.Break | None
    expected: Expected | None
    backcast: bool
    phase: str | None = None
    turn: turning.Turn | None = None

    @property
    def surprise(self) -> str | None:
        """``above`` or ``below`` the wide interval of what had been expected: of twenty ordinary months of a series one is so, too. Not told of cells."""
        if self.expected is None or not _is_total(self.place):
            return None
        low, high = self.expected.bounds(-1)
        return "above" if self.counted > high else "below" if self.counted < low else None

    @property
    def unusual(self) -> bool:
        """Whether somebody should look: of cells, of which there are hundreds, chance alone would show a dozen each month."""
        return _is_total(self.place) and (self.surprise is not None or self.broken is not None)


@dataclass(frozen=True)
class Tested:
    """How forecasts of a series did at past origins, beside the seasonal naive."""

    place: Place
    origins: int
    result: forecast.Backtest


@dataclass(frozen=True)
class Outlook:
    """All that is said at one origin."""

    expected: list[Expected]
    told: list[Told]
    tested: list[Tested]


def outlook(of: Monthly, published: Mapping[tuple[Place, dt.date], Expected], workers: int = 1) -> Outlook:
    """Work out what is said at the end of the last month, with so many ``workers`` (processes). ``published``: what earlier vintages had expected of a
    month, the newest before it."""
    series = of.series()
    size = len(of.months)
    reach = max(RECENT, size - AHEAD - TESTED + 1 - forecast.ORIGINS)  # the earliest origin that the back-test looks at
    near = max(RECENT, size - forecast.ORIGINS)
    calendars = _calendars(of, series[CITY, ALL], reach)
    phases = _phases(of, {p: y for p, y in series.items() if _is_total(p) and y[-RECENT:].mean() >= LEAST_TURNING}, calendars)
    rolled = _rolled({place: (y, reach if _is_total(place) else near, _models(place, y)) for place, y in series.items()}, calendars, workers)
    made: dict[Place, forecast.Forecast] = {}
    missed: list[list[float]] = []
    expected: list[Expected] = []
    told: list[Told] = []
    tested: list[Tested] = []
    for place, y in series.items():
        first = reach if _is_total(place) else near
        candidates = rolled[place]
        made[place] = forecast.at(y, candidates, first, size)
        method = forecast.METHODS.index(made[place].method)
        missed.append([y[o] - candidates[o - first, method, 0] for o in range(near, size)])
        if not _is_total(place):
            told += [Told(m, place, int(n), None, None, None, None, published.get((place, m)), False) for m, n in zip(of.months, y, strict=True)]
            continue
        if size - AHEAD - TESTED + 1 >= first + forecast.LEAST_ORIGINS and _repeats_not(y, size):
            tested.append(Tested(place, TESTED, forecast.backtest(y, YEAR, candidates, first, TESTED)))
        told += _told(of, place, y, candidates, first, published, phases.get(place, {}))
    cells = [p for p in series if not _is_total(p)]
    d, s = [x for x, y in series if x != CITY and y == ALL], [y for x, y in series if x == CITY and y != ALL]
    sums = hierarchy.summing([(d.index(x), s.index(y)) for x, y in cells], range(len(d)), range(len(s)))
    values = hierarchy.coherent(sums, np.array([m.value for m in made.values()]), np.array(missed))
    for (place, m), value in zip(made.items(), values, strict=True):
        how = MEAN if m.method == forecast.MEDIAN and not _models(place, series[place]) else m.method
        # What is missed goes along with the value.
        expected += [
            Expected(of.origin, later(of.months[-1], n + 1), n + 1, place, float(value[n]), tuple(float(x) for x in m.miss[:, n]), how)
            for n in range(AHEAD)
        ]
    return Outlook(expected, told, tested)


def _told(
    of: Monthly,
    place: Place,
    y: Array,
    candidates: Array,
    first: int,
    published: Mapping[tuple[Place, dt.date], Expected],
    phases: Mapping[dt.date, tuple[str | None, turning.Turn | None]],
) -> Iterator[Told]:
    apart = seasonal.adjust(y, of.months[0])
    broken = {b.month: b for b in apart.breaks}
    for n, month in enumerate(of.months):
        before = published.get((place, month))
        backcast = before is None and n > first + forecast.LEAST_ORIGINS
        if backcast:
            then = forecast.at(y[:n], candidates[: n - first + 1], first, n)
            miss = tuple(float(x) for x in then.miss[:, 0])
            before = Expected(month - dt.timedelta(days=1), month, 1, place, float(then.value[0]), miss, then.method)
        yield Told(
            month, place, int(y[n]), float(apart.adjusted[n]), float(apart.trend[n]), apart.method, broken.get(month), before, backcast,
            *phases.get(month, (None, None)),
        )  # fmt: skip


def _rolled(work: Mapping[Place, tuple[Array, int, tuple[str, ...]]], calendars: Mapping[int, Array], workers: int) -> dict[Place, Array]:
    """What the candidates say of each series at each origin (see `forecast.rolling`)."""
    tasks = [(y, YEAR, AHEAD, first, models, calendars) for y, first, models in work.values()]
    if workers == 1 or sum(bool(models) for *_, models, _ in tasks) < WORTH_IT:
        found = [forecast.rolling(*task) for task in tasks]
    else:
        # Not forked: the caller has threads.
        with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
            found = [f.result() for f in [pool.submit(forecast.rolling, *task) for task in tasks]]
    return dict(zip(work, found, strict=True))


def _models(place: Place, y: Array) -> tuple[str, ...]:
    """The models that a series is worth."""
    if y[-RECENT:].mean() < LEAST_MEAN:
        return ()
    if place == (CITY, ALL):
        return forecast.ALL_MODELS
    return forecast.QUICK if _is_total(place) else forecast.QUICKEST


def _phases(
    of: Monthly, totals: Mapping[Place, Array], calendars: Mapping[int, Array]
) -> dict[Place, dict[dt.date, tuple[str | None, turning.Turn | None]]]:
    """In which phase each month was told to be, in that month, and the turn that it was found to be later, by place."""
    if not totals:
        return {}
    city = of.counted.sum(axis=(1, 2))
    factors = {
        n: calendars[n] if n in calendars else seasonal.adjust(city[:n], of.months[0], AHEAD).calendar
        for n in turning.begins(of.months[0], len(city))
    }
    belief = turning.believe_as_known(np.array(list(totals.values())), of.months[0], factors)
    found = {}
    for place, told, turns in zip(totals, turning.phases(belief, turning.THRESHOLD), turning.turns(belief, of.months[0]), strict=True):
        by_month = {t.month: t for t in turns}
        found[place] = {month: (turning.PHASES.get(int(told[n])), by_month.get(month)) for n, month in enumerate(of.months)}
    return found


def _calendars(of: Monthly, city: Array, first: int) -> dict[int, Array]:
    """The city's calendar factors as they were known at each origin; they are everybody's: a small series can't tell its own."""
    return {o: seasonal.adjust(city[:o], of.months[0], AHEAD).calendar for o in range(first, len(city) + 1)}


def _repeats_not(y: Array, size: int) -> bool:
    """Whether errors have a scale at all origins of the back-test."""
    known = y[: size - AHEAD - TESTED + 1]
    return bool(np.abs(known[YEAR:] - known[:-YEAR]).any())


def _is_total(place: Place) -> bool:
    return place[0] == CITY or place[1] == ALL
