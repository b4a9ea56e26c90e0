"""Forecasts of a short monthly or quarterly series, beside the seasonal naive that they have to beat.

A forecast is the median of four simple models (exponential smoothing, ARIMA, complex smoothing, optimised Theta: the combination of Petropoulos
and Svetunkov 2020, "A simple combination of univariate models", which was among the best of the M4 competition), or the same period of the
year before where that was the better one at earlier origins. Its interval is what such forecasts have missed by at earlier origins
(split conformal, Vovk and others 2005), not what a model believes of itself: of the same competition's models most believed too much.

Whatever is chosen or calibrated at an origin uses only what was known there.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from statsforecast.models import AutoARIMA, AutoCES, AutoETS, DynamicOptimizedTheta

from spark_jobs.analyse import accuracy

Array = NDArray[np.float64]
NAIVE, MEDIAN = "seasonal_naive", "median"
METHODS = (NAIVE, MEDIAN)
_MODELS = {"ets": AutoETS, "arima": AutoARIMA, "ces": AutoCES, "theta": DynamicOptimizedTheta}
ALL_MODELS = tuple(_MODELS)
QUICK = ("ets", "ces", "theta")  # a fifth of the time
QUICKEST = ("ces", "theta")  # a fifth of that; of 150 drawn series the error is 0.4 % larger
LEAST_SEASONS = 3  # whole years that a model must have seen
ORIGINS = 18  # earlier origins that are looked back at, at most
LEAST_ORIGINS = 8  # origins with a known end that a choice or an interval needs
LEAST_DUE = 4  # errors that the width of a step needs
LEVELS = (0.80, 0.95)


@dataclass(frozen=True)
class Forecast:
    """Of one series at one origin. ``value``: shape (horizon,). ``miss``: what it may miss by, above or below, of shape (``LEVELS``, horizon); not a
    number where too few earlier forecasts have come due."""

    method: str
    value: Array
    miss: Array


@dataclass(frozen=True)
class Backtest:
    """What the method would have done at past origins: ``errors`` are MASE by origin, of the chosen and of the seasonal naive, both of shape (origins,);
    ``coverage`` is the share of values inside the interval of ``LEVELS[0]``."""

    errors: Array
    naive_errors: Array
    coverage: float
    methods: tuple[str, ...]
    against_naive: accuracy.Comparison


def candidates(known: ArrayLike, season: int, horizon: int, models: Sequence[str] = ALL_MODELS, calendar: ArrayLike | None = None) -> Array:
    """Return what the seasonal naive and the median of ``models`` say of the next ``horizon`` periods, of shape (2, horizon), in the order of ``METHODS``.

    ``calendar``: factors by which the calendar raises each period, of shape (known + horizon,): the models see the series without them. Without
    ``models`` the mean of the last ``LEAST_SEASONS`` years stands for the median: what can be said of a series of few counts.
    Counts and amounts are never below 0. A model that can't be fitted is left out; where none can, that mean stands for the median, too.

    Raises:
        ValueError: fewer than ``LEAST_SEASONS`` years are ``known``, of shape (periods,), or a value is missing.
    """
    y = np.asarray(known, dtype=float)
    if y.size < LEAST_SEASONS * season or not np.isfinite(y).all():
        raise ValueError(f"{LEAST_SEASONS} whole years without a gap are needed, not {y.size} periods")
    factors = np.ones(y.size + horizon) if calendar is None else np.asarray(calendar, dtype=float)
    plain = y / factors[: y.size]
    told = []
    for model in models:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                mean = np.asarray(_MODELS[model](season_length=season).forecast(y=plain, h=horizon)["mean"], dtype=float)
        except Exception:  # noqa: S112 - the library raises a plain one where no model fits, as with a series that repeats itself
            continue
        if np.isfinite(mean).all():
            told.append(mean)
    median = np.median(told, axis=0) if told else np.full(horizon, plain[-LEAST_SEASONS * season :].mean())
    return np.maximum(0, np.array([np.resize(y[-season:], horizon), median * factors[y.size :]]))


def rolling(
    series: ArrayLike,
    season: int,
    horizon: int,
    first: int,
    models: Sequence[str] = ALL_MODELS,
    calendars: Mapping[int, Array] | None = None,
) -> Array:
    """Return the candidates at each origin from ``first`` periods known to all of them, of shape (origins, methods, horizon).

    ``calendars``: the calendar factors as they were known at each origin.
    """
    y = np.asarray(series, dtype=float)
    return np.array(
        [candidates(y[:origin], season, horizon, models, calendars[origin] if calendars else None) for origin in range(first, y.size + 1)]
    )


def at(series: ArrayLike, told: Array, first: int, origin: int) -> Forecast:
    """Return the forecast at an ``origin``: choose among the candidates ``told`` (see `rolling`) by their errors at earlier ones that were due by then.

    The seasonal naive stays unless the median has missed by less.
    """
    y = np.asarray(series, dtype=float)
    start = max(first, origin - ORIGINS)
    missed = np.full((origin - start, *told.shape[1:]), np.nan)
    for n, earlier in enumerate(range(start, origin)):
        due = min(told.shape[2], origin - earlier)
        missed[n, :, :due] = y[earlier : earlier + due] - told[earlier - first, :, :due]
    if len(missed) < LEAST_ORIGINS:
        return Forecast(NAIVE, told[origin - first, 0], np.full((len(LEVELS), told.shape[2]), np.nan))
    losses = np.nanmean(np.abs(missed), axis=(0, 2))
    chosen = int(losses[1] < losses[0])
    return Forecast(METHODS[chosen], told[origin - first, chosen], np.array([_width(missed[:, chosen], level) for level in LEVELS]))


def backtest(series: ArrayLike, season: int, told: Array, first: int, origins: int) -> Backtest:
    """Forecast from each of the last ``origins`` from which the whole horizon is known by now, choosing and calibrating anew at each with what was
    known there; ``told``: the candidates from ``first`` on (see `rolling`).

    Raises:
        ValueError: the series is too short: ``LEAST_ORIGINS`` must come before the first of the ``origins``.
    """
    y = np.asarray(series, dtype=float)
    horizon = told.shape[2]
    last = y.size - horizon
    if last - origins + 1 < first + LEAST_ORIGINS:
        raise ValueError(f"{first + LEAST_ORIGINS + origins - 1 + horizon} periods are needed, not {y.size}")
    errors, naive_errors, inside, methods = [], [], [], []
    for origin in range(last - origins + 1, last + 1):
        # What comes after the origin is cut off, so that nothing of it can be used.
        made = at(y[:origin], told[: origin - first + 1], first, origin)
        actual, known = y[origin : origin + horizon], y[:origin]
        errors.append(accuracy.mase(actual, made.value, known, season))
        naive_errors.append(accuracy.mase(actual, told[origin - first, 0], known, season))
        inside.append(accuracy.coverage(actual, made.value - made.miss[0], made.value + made.miss[0]))
        methods.append(made.method)
    a, b = np.array(errors), np.array(naive_errors)
    return Backtest(a, b, float(np.mean(inside)), tuple(methods), accuracy.compare(a, b, horizon))


def _width(missed: Array, level: float) -> Array:
    """Half the width of the interval at each step: the split-conformal quantile of what was ``missed`` there, shape (origins, horizon). Of fewer than
    1 / (1 - level) errors it is the largest of this or an earlier step: fewer have come due of later ones. Steps that too few origins have reached by
    now take their neighbours' (the last takes the last that is known)."""
    steps: list[int] = []
    widths: list[float] = []
    for step in range(missed.shape[1]):
        due = np.sort(np.abs(missed[:, step][np.isfinite(missed[:, step])]))
        if due.size >= LEAST_DUE:
            rank = int(np.ceil((due.size + 1) * level - 1e-9))
            steps.append(step)
            widths.append(due[rank - 1] if rank <= due.size else max([due[-1], *widths]))
    return np.asarray(np.interp(np.arange(missed.shape[1]), steps, widths))
