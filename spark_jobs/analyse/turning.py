"""Turning points of a monthly series: dated after the fact, and told as early as can be with a stated delay and rate of false alarms.

After the fact: the rules of Bry and Boschan (1971), "Cyclical analysis of time series: selected procedures and computer programs" (NBER).

In real time: the logarithm of a seasonally adjusted series is a level that rises, stays or falls, each at a constant rate until the regime changes,
seen through noise (Hamilton 1989, with a level that is observed inexactly; the rule to speak as soon as a probability passes a threshold is
Shiryaev's, 1963). How fast it rises or falls and how noisy it is are not estimated, which a few years can't bear, but averaged over a grid, each
point by how well it has foretold the series so far. Each regime carries its age, so that no new one begins in the first ``PHASE`` months of
another, and a turn is told with its month. Nothing that comes later is used: what has been told stays.

At `THRESHOLD` a turn of a drawn series (tests/support/turning_trial.py) is told 10 months late on average, three times in a hundred years for
nothing; one in six is never told before the next. With as many false alarms the rule of falls in a row takes a third longer, a cumulative sum a sixth; who knew how the
series were drawn would need a fifth less.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from statsmodels.tsa.seasonal import STL

from spark_jobs.analyse import seasonal
from spark_jobs.analyse.months import YEAR, later

Array = NDArray[np.float64]
PEAK, TROUGH = "peak", "trough"
WINDOW, PHASE, CYCLE = 5, 5, 15  # months: a turn is the extreme of so many to either side; the least from turn to turn, and from peak to peak
SPENCER = np.array([-3, -6, -5, 3, 21, 46, 67, 74, 67, 46, 21, 3, -5, -6, -3]) / 320  # his curve of fifteen terms (1904)

UP, FLAT, DOWN = range(3)
PHASES = {UP: "rising", DOWN: "falling"}
AGES = 24  # months of age that are told apart
WILD = 16.0  # how many times the variance of a month that doesn't fit is larger
RATES = (0.003, 0.008, 0.02)  # by which the level rises or falls in a month (logarithms)
NOISES = (0.015, 0.025, 0.04, 0.065, 0.1, 0.2)  # standard deviation of a month around the level
CALM = NOISES[1]  # a series with less noise than this is seen through a finer grid
WANDERS = (0.002, 0.008)  # of the level's own step
THRESHOLD = 0.85
STEADY = 101  # years over which STL smooths each month's season: it stays the same
# (threshold, delay in months, false alarms in ten years) of drawn series (tests/support/turning_trial.py): of those that come adjusted, and with the seasons as known.
CURVES = {
    False: ((0.5, 6.6, 1.36), (0.6, 7.4, 0.74), (0.7, 8.5, 0.38), (0.8, 10.0, 0.16), (0.85, 11.2, 0.10), (0.9, 13.2, 0.05)),
    True: ((0.5, 5.9, 2.80), (0.6, 6.8, 1.60), (0.7, 7.5, 1.04), (0.8, 8.9, 0.50), (0.85, 10.0, 0.31), (0.9, 11.1, 0.18)),
}
BATCH = 8  # series that are filtered at once: more don't fit into the processor's near memory
WORKERS = 2


@dataclass(frozen=True)
class Grid:
    """What may be true of a series: ``up`` and ``down`` are rates (both above 0), ``noise`` and ``wander`` standard deviations; all of shape (points,), or
    (series, points), ``noise`` also (series, points, months).

    ``hazard``: the chance that a regime of at least ``phase`` months ends in a month, ``flat``: that a rise or fall ends in standing still,
    ``outliers``: that a month does not fit.
    """

    up: Array
    down: Array
    noise: Array
    wander: Array
    hazard: float = 1 / 30
    phase: int = PHASE
    flat: float = 0.2
    outliers: float = 0.03


@dataclass(frozen=True)
class Belief:
    """What was known of each month in that month; both of shape (series, months, 3), by regime up, flat, down: ``share`` is its probability, ``age`` for
    how many months it is most likely to have lasted (at most ``AGES``)."""

    share: Array
    age: NDArray[np.int64]


@dataclass(frozen=True)
class Turn:
    """A ``peak`` or ``trough`` of ``month`` (a first day), told when the data of ``found_in`` were known, ``delay`` months later."""

    month: dt.date
    kind: str
    found_in: dt.date
    delay: int


def dated(adjusted: ArrayLike) -> list[tuple[int, str]]:
    """Date the turning points of a seasonally adjusted series of shape (months,) after the fact: (place of the month, ``peak`` or ``trough``), in order.

    Candidates are extremes of Spencer's curve; each moves to the extreme of a mean of three months near it. Turns within ``WINDOW`` months of an end are
    not told, nor phases and cycles that are too short. The rules know no least depth: of pure noise they date turns as well.

    Raises:
        ValueError: a value is missing.
    """
    y = np.asarray(adjusted, dtype=float)
    if not np.isfinite(y).all():
        raise ValueError("a series without gaps")
    if y.size < CYCLE + 2 * WINDOW:
        return []
    smooth = np.convolve(np.pad(y, 7, mode="reflect", reflect_type="odd"), SPENCER, "valid")
    short = np.convolve(np.pad(y, 1, mode="edge"), np.ones(3) / 3, "valid")
    found: list[tuple[int, str]] = []
    for sign, kind in ((1, PEAK), (-1, TROUGH)):
        for n in range(WINDOW, y.size - WINDOW):
            near = sign * smooth[n - WINDOW : n + WINDOW + 1]
            if near[WINDOW] > near[:WINDOW].max() and near[WINDOW] >= near[WINDOW + 1 :].max():
                at = n - WINDOW + int(np.argmax(sign * short[n - WINDOW : n + WINDOW + 1]))
                if WINDOW < at < y.size - 1 - WINDOW:
                    found.append((at, kind))
    return _long_enough(sorted(found), short)


def _long_enough(turns: list[tuple[int, str]], y: Array) -> list[tuple[int, str]]:
    """Take turns out until they alternate and no phase or cycle is too short; of two of a kind the more extreme stays."""
    while True:
        same = _first(turns, 1, lambda a, b: a[1] == b[1])
        brief = _first(turns, 1, lambda a, b: b[0] - a[0] < PHASE)
        near = _first(turns, 2, lambda a, b: b[0] - a[0] < CYCLE)
        if same is not None:
            turns = _without(turns, {_weaker(turns, same, same + 1, y)})
        elif brief is not None:
            # At an end one turn goes, so that the rest still alternates; else both.
            ends = {0} if brief == 0 else {brief + 1} if brief + 2 == len(turns) else {brief, brief + 1}
            turns = _without(turns, ends)
        elif near is not None:
            turns = _without(turns, {_weaker(turns, near, near + 2, y)})
        else:
            return turns


def _first(turns: list[tuple[int, str]], apart: int, wrong: Callable[[tuple[int, str], tuple[int, str]], bool]) -> int | None:
    return next((n for n in range(len(turns) - apart) if wrong(turns[n], turns[n + apart])), None)


def _without(turns: list[tuple[int, str]], places: set[int]) -> list[tuple[int, str]]:
    return [t for n, t in enumerate(turns) if n not in places]


def _weaker(turns: list[tuple[int, str]], first: int, second: int, y: Array) -> int:
    higher = y[turns[first][0]] >= y[turns[second][0]]
    return second if higher == (turns[first][1] == PEAK) else first


def grid() -> Grid:
    """All combinations of ``RATES``, ``NOISES`` and ``WANDERS``."""
    return Grid(*np.array(list(itertools.product(RATES, RATES, NOISES, WANDERS))).T)


def believe(adjusted: ArrayLike, of: Grid | None = None) -> Belief:
    """Filter seasonally adjusted counts or amounts of shape (series, months), or (months,).

    0.5 is added before the logarithm is taken, so a unit in which ordinary months are well above that.

    Raises:
        ValueError: a value is missing or below 0.
    """
    y = _checked(adjusted)
    points = of or grid()
    logs = np.log(y + 0.5)
    if of is None:
        logs /= _finer(logs)
    shape = (len(y), points.up.shape[-1])
    rates = np.zeros((*shape, 3, 1))
    rates[:, :, UP, 0], rates[:, :, DOWN, 0] = points.up, -points.down
    noises = points.noise if points.noise.ndim == 3 else np.broadcast_to(points.noise[..., None], (*shape, 1))
    wander = np.broadcast_to(points.wander, shape)[:, :, None, None]
    parts = [slice(n, n + BATCH) for n in range(0, len(y), BATCH)]
    with ThreadPoolExecutor(WORKERS) as pool:  # the work is done in large arrays, outside of the interpreter's lock
        found = list(pool.map(lambda p: _filter(logs[p], rates[p], noises[p] ** 2, wander[p] ** 2, points), parts))
    return Belief(np.concatenate([share for share, _ in found]), np.concatenate([age for _, age in found]))


def _checked(values: ArrayLike) -> Array:
    y = np.atleast_2d(np.asarray(values, dtype=float))
    if not np.isfinite(y).all() or (y < 0).any():
        raise ValueError("a series without gaps, of values that are not below 0")
    return y


def _finer(logs: Array) -> Array:
    """By what the grid's rates and noises are too large for series that are calmer than registers are, of shape (series, 1); at most 1. Of the first
    months only, so that it stays. Second differences of noise have six times its variance."""
    begin = logs[:, : seasonal.LEAST]
    if begin.shape[1] < PHASE:
        return np.ones((len(logs), 1))
    noise = 1.4826 * np.median(np.abs(np.diff(begin, 2, axis=1)), axis=1, keepdims=True) / 6**0.5
    rate = np.abs(np.median(np.diff(begin, axis=1), axis=1, keepdims=True))
    return np.asarray(np.clip(np.maximum(noise / CALM, rate / RATES[-1]), 0.01, 1))


def _filter(y: Array, rates: Array, noises: Array, wander: Array, of: Grid) -> tuple[Array, NDArray[np.int64]]:
    """Follow every regime of every age as a Gaussian level; those that begin anew are merged into one (Kim 1994)."""
    series, points = rates.shape[:2]
    weight = np.zeros((series, points, 3, AGES))
    weight[..., of.phase] = 1 / (3 * points)
    if not of.flat:
        weight[:, :, FLAT] = 0
    level = np.broadcast_to(y[:, 0, None, None, None], weight.shape).copy()
    spread = np.broadcast_to(noises[:, :, 0, None, None], weight.shape).copy()
    shares, ages = np.zeros((series, y.shape[1], 3)), np.zeros((series, y.shape[1], 3), dtype=np.int64)
    shares[:, 0] = 1 / 3
    for month in range(1, y.shape[1]):
        noise = noises[:, :, min(month, noises.shape[2] - 1), None, None]
        weight, level, spread = _on(weight, level, spread, of)
        level += rates
        spread += wander
        off = y[:, month, None, None, None] - level
        near, far = spread + noise, spread + WILD * noise
        usual = (1 - of.outliers) * np.exp(-0.5 * off**2 / near) / np.sqrt(near)
        odd = of.outliers * np.exp(-0.5 * off**2 / far) / np.sqrt(far)
        weight *= usual + odd + 1e-300
        # The gain is the mean of both, by how likely the month is an ordinary one.
        ordinary = (usual + 1e-300) / (usual + odd + 2e-300)
        gain = spread * (ordinary / near + (1 - ordinary) / far)
        level += gain * off
        spread *= 1 - gain
        weight /= weight.sum(axis=(1, 2, 3), keepdims=True)
        by_age = weight.sum(axis=1)
        shares[:, month], ages[:, month] = by_age.sum(axis=2), by_age.argmax(axis=2) + 1
    return shares, ages


def _on(weight: Array, level: Array, spread: Array, of: Grid) -> tuple[Array, Array, Array]:
    """A month on, before it is seen: each regime is a month older, or another has begun."""
    into = np.array([[0, of.flat, 1 - of.flat], [0.5, 0, 0.5], [1 - of.flat, of.flat, 0]])
    ending = weight[..., of.phase - 1 :] * of.hazard
    total = ending.sum(axis=-1)
    inside = np.maximum(total, 1e-300)
    mean = (ending * level[..., of.phase - 1 :]).sum(axis=-1) / inside
    square = (ending * (spread[..., of.phase - 1 :] + level[..., of.phase - 1 :] ** 2)).sum(axis=-1) / inside
    older, levels, spreads = np.empty_like(weight), np.empty_like(weight), np.empty_like(weight)
    staying = weight.copy()
    staying[..., of.phase - 1 :] -= ending
    older[..., 1:], levels[..., 1:], spreads[..., 1:] = staying[..., :-1], level[..., :-1], spread[..., :-1]
    # The oldest two ages become one.
    older[..., -1] += staying[..., -1]
    share = staying[..., -1] / np.maximum(older[..., -1], 1e-300)
    levels[..., -1] += share * (level[..., -1] - level[..., -2])
    spreads[..., -1] = (1 - share) * spread[..., -2] + share * spread[..., -1] + share * (1 - share) * (level[..., -1] - level[..., -2]) ** 2
    for regime in range(3):
        others = [r for r in range(3) if r != regime]
        mass = total[..., others] * into[others, regime]
        part = mass / np.maximum(mass.sum(axis=-1, keepdims=True), 1e-300)
        older[..., regime, 0] = mass.sum(axis=-1)
        levels[..., regime, 0] = (part * mean[..., others]).sum(axis=-1)
        spreads[..., regime, 0] = np.maximum((part * square[..., others]).sum(axis=-1) - levels[..., regime, 0] ** 2, 1e-12)
    return older, levels, spreads


def phases(belief: Belief, threshold: float) -> NDArray[np.int64]:
    """Return in which phase each month was told to be, of shape (series, months): ``UP``, ``DOWN``, or -1 before anything could be told.

    A phase lasts until the other one is likelier than ``threshold`` (0 to 1); standing still ends none.
    """
    rising, falling = belief.share[..., UP], belief.share[..., DOWN]
    told = np.full(belief.age.shape[:2], -1)
    now = told[:, 0]
    for month in range(belief.age.shape[1]):
        rises = (rising[:, month] > threshold) & (rising[:, month] > falling[:, month])
        falls = (falling[:, month] > threshold) & (falling[:, month] > rising[:, month])
        now = np.where(rises, UP, np.where(falls, DOWN, now))
        told[:, month] = now
    return told


def turns(belief: Belief, first: dt.date, threshold: float = THRESHOLD) -> list[list[Turn]]:
    """Return the turns of each series, in the order in which they were told; ``first``: the first month of ``belief``."""
    return [list(_turns(told, belief.age[n], first)) for n, told in enumerate(phases(belief, threshold))]


def _turns(told: NDArray[np.int64], age: NDArray[np.int64], first: dt.date) -> Iterator[Turn]:
    before = -1
    for month in np.flatnonzero(np.diff(told)) + 1:
        if told[month - 1] == -1:
            continue  # which way it went before, nobody knows
        # Peaks and troughs follow each other: none comes before the one that was told last.
        at = min(max(int(month - age[month, told[month]]), before + 1), int(month))
        before = at
        yield Turn(later(first, at), PEAK if told[month] == DOWN else TROUGH, later(first, int(month)), int(month) - at)


def believe_as_known(counts: ArrayLike, first: dt.date, calendars: Mapping[int, ArrayLike] | None = None) -> Belief:
    """Filter unadjusted counts of shape (series, months), or (months,), as they were known: the months from ``seasonal.LEAST`` on, the others are 1/3 each.

    The seasons are found anew each January (or the first month in which they can be, see `begins`) of the months before it, by STL of the logarithms;
    until the next January a month is adjusted as the same month of the year before. So later months change nothing of what was told.
    ``calendars``: by the places of `begins`, the factors by which the calendar raises each month, of shape (months before + 12,), such as
    `seasonal.Adjusted.calendar` of the whole city; a small series can't tell its own.

    Raises:
        ValueError: a value is missing or below 0.
    """
    y = _checked(counts)
    size = y.shape[1]
    share, age = np.full((*y.shape, 3), 1 / 3), np.ones((*y.shape, 3), dtype=np.int64)
    starts = begins(first, size)
    for begin, end in zip(starts, [*starts[1:], size], strict=False):
        factors = np.ones(end) if calendars is None else np.asarray(calendars[begin], dtype=float)[:end]
        found = believe(np.array([_adjusted(row[:end], begin, factors) for row in y]))
        share[:, begin:end], age[:, begin:end] = found.share[:, begin:end], found.age[:, begin:end]
    return Belief(share, age)


def begins(first: dt.date, months: int) -> list[int]:
    """The places at which seasons are found anew: the first that has ``seasonal.LEAST`` months before it, and each January after it."""
    return sorted({n for n in range(seasonal.LEAST, months) if n == seasonal.LEAST or later(first, n).month == 1})


def _adjusted(y: Array, begin: int, calendar: Array) -> Array:
    """Seasons that drift or spare outliers take noise for seasons, and what is left of it then looks calmer than it is: with those of `seasonal.adjust` there
    were five times as many false alarms."""
    plain = np.log1p(y) - np.log(calendar)
    season = STL(plain[:begin], period=YEAR, seasonal=STEADY).fit().seasonal
    season = np.concatenate([season, season[begin - YEAR : y.size - YEAR]])
    return np.maximum(0, np.expm1(plain - season))


def stated(threshold: float = THRESHOLD, as_known: bool = True) -> tuple[float, float]:
    """Return the mean delay in months and the false alarms in ten years of a series that go with a threshold (see `CURVES`).

    Raises:
        ValueError: the threshold is outside of what was measured.
    """
    curve = np.array(CURVES[as_known])
    if not curve[0, 0] <= threshold <= curve[-1, 0]:
        raise ValueError(f"thresholds from {curve[0, 0]} to {curve[-1, 0]} were measured, not {threshold}")
    return float(np.interp(threshold, curve[:, 0], curve[:, 1])), float(np.interp(threshold, curve[:, 0], curve[:, 2]))
