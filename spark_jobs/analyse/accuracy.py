"""How good forecasts are: errors beside the seasonal naive, intervals, and whether a difference is more than chance.

Sources: MASE, RMSSE Hyndman and Koehler (2006), "Another look at measures of forecast accuracy"; MSIS Gneiting and Raftery (2007) as scaled in
the M4 competition; comparison of two forecasts Diebold and Mariano (1995) with the correction of Harvey, Leybourne and Newbold (1997).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Array = NDArray[np.float64]


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
    become negative), and the statistic is made smaller as Harvey, Leybourne and Newbold say for few origins. The interval is the one that
    goes with the test: it leaves 0 out where that finds a difference.

    Raises:
        ValueError: the losses differ in shape, or are of fewer than twice ``horizon`` origins.
    """
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if a.shape != b.shape or a.ndim != 1 or a.size < 2 * horizon:
        raise ValueError(f"losses of the same origins, of {2 * horizon} at least")
    d = a - b
    n, mean = d.size, float(d.mean())
    around = d - mean
    variance = float(around @ around) / n
    for lag in range(1, horizon):
        variance += 2 * (1 - lag / horizon) * float(around[lag:] @ around[:-lag]) / n
    correction = (n + 1 - 2 * horizon + horizon * (horizon - 1) / n) / n
    error = math.sqrt(max(0.0, variance) / n / correction)
    if error < 1e-12:
        return Comparison(mean, mean, mean, 1.0 if abs(mean) < 1e-12 else 0.0)
    reach = float(stats.t.ppf(0.975, n - 1)) * error
    return Comparison(mean, mean - reach, mean + reach, float(2 * stats.t.sf(abs(mean) / error, n - 1)))


def _errors(actual: ArrayLike, forecast: ArrayLike) -> Array:
    return np.asarray(actual, dtype=float) - np.asarray(forecast, dtype=float)
