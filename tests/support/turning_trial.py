"""How late, and how often for nothing, turning points are told: measured on series whose turns are known, drawn afresh.

A rise and a fall of unlike speed take turns; the level wanders a little, and counts scatter around it more than chance alone would have it. The best
that is attainable is the same filter told all that the draw knows.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spark_jobs.analyse.turning import DOWN, FLAT, UP, Grid

Array = NDArray[np.float64]
LEAST_PHASE, MEAN_PHASE = 9, 33  # months
BEFORE = 36  # months in which nothing is scored: the filter still learns
DECADE = 120
AFTER = 18  # months that must follow the last turn for it to be scored
SIZES = (50.0, 3000.0)  # counts in an ordinary month, even in logarithms


@dataclass(frozen=True)
class Drawn:
    """``counts`` and the ``regime`` they were drawn from, both of shape (series, months), and what is ``true`` of them."""

    counts: Array
    regime: NDArray[np.int64]
    true: Grid


@dataclass(frozen=True)
class Point:
    """What a rule does: ``delay`` in months on average from a turn until the rule says the right phase (a turn that never is told counts to the next one),
    ``false_alarms`` in ten years of a series, and the share of turns ``missed``."""

    delay: float
    false_alarms: float
    missed: float


def drawn(draw: np.random.Generator, series: int, months: int, sizes: tuple[float, float] = SIZES) -> Drawn:
    """Draw series that rise and fall in turn: by 0.3 to 2 % and 0.4 to 3 % a month, for ``LEAST_PHASE`` months at least."""
    regime = np.zeros((series, months), dtype=np.int64)
    for row in regime:
        month, now = -int(draw.integers(0, 24)), int(draw.choice([UP, DOWN]))
        while month < months:
            end = month + LEAST_PHASE - 1 + int(draw.geometric(1 / (MEAN_PHASE - LEAST_PHASE)))
            row[max(0, month) : max(0, end)] = now
            month, now = end, UP + DOWN - now
    up, down = _even(draw, 0.003, 0.02, series), _even(draw, 0.004, 0.03, series)
    return _counted(draw, regime, up, down, draw.uniform(0, 0.008, series), sizes)


def steady(draw: np.random.Generator, series: int, months: int, growing: bool, sizes: tuple[float, float] = SIZES) -> Drawn:
    """Draw series that never turn: that stand still, or rise or fall all the time."""
    regime = np.repeat(draw.choice([UP, DOWN], series) if growing else np.full(series, FLAT), months).reshape(series, months)
    rate = _even(draw, 0.003, 0.015, series)
    return _counted(draw, regime.astype(np.int64), rate, rate, np.zeros(series), sizes)


def _even(draw: np.random.Generator, low: float, high: float, number: int) -> Array:
    return np.asarray(np.exp(draw.uniform(np.log(low), np.log(high), number)))


def _counted(draw: np.random.Generator, regime: NDArray[np.int64], up: Array, down: Array, wander: Array, sizes: tuple[float, float]) -> Drawn:
    step = np.where(regime == UP, up[:, None], np.where(regime == DOWN, -down[:, None], 0.0))
    level = np.cumsum(step + draw.normal(size=regime.shape) * wander[:, None], axis=1)
    mean = np.exp(level - level.mean(axis=1, keepdims=True)) * _even(draw, *sizes, len(regime))[:, None]
    mean = np.maximum(mean, sizes[0] / 5)  # what has nearly ended can't be followed
    excess = draw.uniform(0.001, 0.05, len(regime))[:, None]
    counts = draw.negative_binomial(excess**-2, 1 / (1 + mean * excess**2)).astype(float)
    noise = np.sqrt(1 / mean + excess**2)
    hazard = 1 / (MEAN_PHASE - LEAST_PHASE)
    true = Grid(up[:, None], down[:, None], noise[:, None, :], wander[:, None], hazard=hazard, phase=LEAST_PHASE, flat=0.0, outliers=0.0)
    return Drawn(counts, regime, true)


def score(told: NDArray[np.int64], regime: NDArray[np.int64]) -> Point:
    """Compare phases as they were ``told`` (-1: not yet) with the true ``regime``, both of shape (series, months)."""
    delays: list[int] = []
    missed = false = 0
    for said, true in zip(told, regime, strict=True):
        changed = said[BEFORE:] != said[BEFORE - 1 : -1]
        false += int((changed & (said[BEFORE - 1 : -1] != -1) & (said[BEFORE:] != true[BEFORE:])).sum())
        begins = [*(np.flatnonzero(np.diff(true)) + 1), true.size]
        for begin, end in itertools.pairwise(begins):
            if begin < BEFORE or true.size - begin < AFTER:
                continue
            right = np.flatnonzero(said[begin:end] == true[begin])
            missed += not right.size
            # The turn is the month before the new phase.
            delays.append(1 + int(right[0] if right.size else end - begin))
    decades = told.shape[0] * (told.shape[1] - BEFORE) / DECADE
    return Point(float(np.mean(delays)) if delays else 0.0, false / decades, missed / max(1, len(delays)))


def in_a_row(counts: Array, number: int, mean_of: int = 1) -> NDArray[np.int64]:
    """The naive rule: a phase is told when the mean of the last ``mean_of`` months has risen or fallen ``number`` times in a row; shape as ``counts``."""
    smooth = np.apply_along_axis(lambda y: np.convolve(y, np.ones(mean_of) / mean_of)[: y.size], 1, counts)
    step = np.sign(np.diff(smooth, axis=1))
    told, now = np.full(counts.shape, -1), np.full(len(counts), -1)
    for month in range(number + mean_of - 1, counts.shape[1]):
        last = step[:, month - number : month]
        now = np.where((last > 0).all(axis=1), UP, np.where((last < 0).all(axis=1), DOWN, now))
        told[:, month] = now
    return told


def drop(counts: Array, size: float, memory: float = 0.25) -> NDArray[np.int64]:
    """A cumulative sum (Page 1954): a phase is told when the smoothed logarithm is ``size`` of its usual steps away from its extreme. ``memory``: weight of
    the newest month; the usual step is the median of what was known."""
    level = np.log(counts + 0.5)
    for month in range(1, counts.shape[1]):
        level[:, month] = level[:, month - 1] + memory * (level[:, month] - level[:, month - 1])
    told, now = np.full(counts.shape, -1), np.full(len(counts), -1)
    high, low = level[:, 0].copy(), level[:, 0].copy()
    for month in range(8, counts.shape[1]):
        step = np.diff(level[:, : month + 1], axis=1)
        usual = 1.4826 * np.median(np.abs(step - np.median(step, axis=1, keepdims=True)), axis=1) + 1e-3
        here = level[:, month]
        high, low = np.maximum(high, here), np.minimum(low, here)
        falls, rises = (now != DOWN) & (here < high - size * usual), (now != UP) & (here > low + size * usual)
        now = np.where(falls, DOWN, np.where(rises, UP, now))
        low, high = np.where(falls, here, low), np.where(rises & ~falls, here, high)
        told[:, month] = now
    return told


def at_rate(points: Sequence[Point], false_alarms: float) -> float:
    """The delay of a rule where it has so many ``false_alarms``, between the points of its curve; not a number outside of it."""
    ordered = sorted(points, key=lambda p: p.false_alarms)
    rates = [p.false_alarms for p in ordered]
    return float(np.interp(false_alarms, rates, [p.delay for p in ordered], left=np.nan, right=np.nan))
