"""How good forecasts are: errors beside the seasonal naive, intervals, and whether a difference is more than chance.

Sources: MASE, RMSSE Hyndman and Koehler (2006), "Another look at measures of forecast accuracy"; MSIS Gneiting and Raftery (2007) as scaled in
the M4 competition; comparison of two forecasts Diebold and Mariano (1995).
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
DRAWS = 10_000


def naive_scale(known: ArrayLike, season: int, squared: bool = False) -> float:
    """The mean absolute (or squared) error of the seasonal naive within the ``known`` values of shape (periods,).

    Raises:
        ValueError: not more than one season is known, or it never changes from season to season: errors have no scale.
    """
    y = np.asarray(known, dtype=float)
    if y.size <= season:
        raise ValueError(f"more than {season} periods must be known, not {y.size}")
    step = y[season:] - y[:-season]
    scale = float(np.mean(step**2) if squared else np.mean(np.abs(step)))
    if scale == 0:
        raise ValueError("each season repeats the one before: errors have no scale")
    return scale


def mase(actual: ArrayLike, forecast: ArrayLike, known: ArrayLike, season: int) -> float:
    """Mean absolute error in units of the seasonal naive's within what was ``known``; below 1 is better than that."""
    return float(np.mean(np.abs(_errors(actual, forecast)))) / naive_scale(known, season)


def rmsse(actual: ArrayLike, forecast: ArrayLike, known: ArrayLike, season: int) -> float:
    """Root of the mean squared error in units of the seasonal naive's within what was ``known``."""
    return math.sqrt(float(np.mean(_errors(actual, forecast) ** 2)) / naive_scale(known, season, squared=True))


def smape(actual: ArrayLike, forecast: ArrayLike) -> float:
    """Symmetric mean absolute percentage error, in percent (0 to 200); a pair of zeros is no error."""
    a, f = np.asarray(actual, dtype=float), np.asarray(forecast, dtype=float)
    size = np.abs(a) + np.abs(f)
    return float(np.mean(np.divide(200 * np.abs(a - f), size, out=np.zeros_like(size), where=size > 0)))


def coverage(actual: ArrayLike, low: ArrayLike, high: ArrayLike) -> float:
    """The share of actual values inside their intervals, bounds included."""
    a = np.asarray(actual, dtype=float)
    return float(np.mean((a >= np.asarray(low)) & (a <= np.asarray(high))))


def msis(actual: ArrayLike, low: ArrayLike, high: ArrayLike, known: ArrayLike, season: int, level: float) -> float:
    """Mean scaled interval score of intervals of ``level`` (0.80): their width, and a penalty for each value outside; smaller is better."""
    a, lo, hi = (np.asarray(x, dtype=float) for x in (actual, low, high))
    penalty = 2 / (1 - level)
    score = (hi - lo) + penalty * np.maximum(0, lo - a) + penalty * np.maximum(0, a - hi)
    return float(np.mean(score)) / naive_scale(known, season)


@dataclass(frozen=True)
class Comparison:
    """Of two methods' losses: ``difference`` = first - second (below 0: the first is better) with its 95 % ``low`` and ``high``, and the two-sided ``p_value``."""

    difference: float
    low: float
    high: float
    p_value: float

    @property
    def verdict(self) -> str:
        """``better``, ``worse`` or ``no_difference``: of the first, at 5 %."""
        if self.p_value >= 0.05:
            return "no_difference"
        return "better" if self.difference < 0 else "worse"


def compare(first: ArrayLike, second: ArrayLike, horizon: int) -> Comparison:
    """Compare the losses of two methods at the same origins, of shape (origins,), each a mean over ``horizon`` steps.

    Losses of neighbouring origins overlap in ``horizon`` - 1 steps: the variance counts these covariances (Bartlett's weights, so that it can't
    become negative). Of few origins it is far too small: at 24 origins of 12 steps a test by the normal distribution finds a difference of equally
    good methods in more than a third of all cases, with the correction of Harvey, Leybourne and Newbold (1997) in a sixth. So the statistic
    is measured by what it is for differences without any pattern that overlap as these do. The interval is the one that goes with the test: it
    leaves 0 out where that finds a difference.

    Raises:
        ValueError: the losses differ in shape, or are of fewer than twice ``horizon`` origins.
    """
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if a.shape != b.shape or a.ndim != 1 or a.size < 2 * horizon:
        raise ValueError(f"losses of the same origins, of {2 * horizon} at least")
    d = (a - b)[None, :]
    mean, error = float(d.mean()), float(_standard_errors(d, horizon)[0])
    if error < 1e-12:
        return Comparison(mean, mean, mean, 1.0 if abs(mean) < 1e-12 else 0.0)
    chance = _of_chance(a.size, horizon)
    reach = float(np.quantile(chance, 0.95)) * error
    p_value = (int((chance >= abs(mean) / error).sum()) + 1) / (chance.size + 1)
    return Comparison(mean, mean - reach, mean + reach, p_value)


def _standard_errors(differences: Array, horizon: int) -> Array:
    """Of the mean of each row."""
    n = differences.shape[1]
    around = differences - differences.mean(axis=1, keepdims=True)
    variance = (around**2).sum(axis=1) / n
    for lag in range(1, horizon):
        variance += 2 * (1 - lag / horizon) * (around[:, lag:] * around[:, :-lag]).sum(axis=1) / n
    return np.asarray(np.sqrt(np.maximum(0, variance) / n))


@functools.cache
def _of_chance(origins: int, horizon: int) -> Array:
    """The size of the statistic for overlapping means of normal differences, of shape (draws,)."""
    steps = np.random.default_rng(0).normal(size=(DRAWS, origins + horizon - 1))
    sums = np.cumsum(np.pad(steps, ((0, 0), (1, 0))), axis=1)
    drawn = (sums[:, horizon:] - sums[:, :-horizon]) / horizon
    return np.asarray(np.abs(drawn.mean(axis=1)) / _standard_errors(drawn, horizon))


def _errors(actual: ArrayLike, forecast: ArrayLike) -> Array:
    return np.asarray(actual, dtype=float) - np.asarray(forecast, dtype=float)
