"""Seasonal adjustment against published values, and against festivals and breaks that were put in."""

from __future__ import annotations

import datetime as dt
import random

import numpy as np
import pytest
from golden import series

from spark_jobs.analyse import seasonal

FIRST, MONTHS = dt.date(2010, 1, 1), 120


def drawn() -> tuple[np.ndarray, np.ndarray]:
    """Counts with trend, seasons and festival, a level shift in 2015-01 (a quarter less) and an outlier in 2017-07 (40 % more); and the festival's factors, of a year more, too."""
    seed = random.SystemRandom().randrange(10**9)
    print("seed", seed)
    draw, t = np.random.default_rng(seed), np.arange(MONTHS)
    calendar = np.exp(seasonal.festival(FIRST, MONTHS + 12) @ [-0.15, -0.3, 0.1])
    y = np.exp(6 + 0.004 * t + draw.normal(0, 0.1, 12)[t % 12] + draw.normal(0, 0.02, MONTHS)) * calendar[:MONTHS]
    y[60:] *= 0.75
    y[90] *= 1.4
    return y, calendar


def test_the_airline_without_its_seasons():
    found = seasonal.adjust(series("air_passengers_monthly"), dt.date(1949, 1, 1), calendar=False)
    assert found.method == "x13"
    assert found.adjusted[:3] == pytest.approx([124.547, 124.626, 124.891], abs=5e-4)
    assert found.adjusted[-3:] == pytest.approx([496.774, 487.575, 488.930], abs=5e-4)


def test_the_festival_moves_between_months():
    early, late = seasonal.festival(dt.date(2025, 1, 1), 3), seasonal.festival(dt.date(2026, 1, 1), 3)
    # 29 January 2025, 17 February 2026: in which month the holidays lay.
    assert early[0][1] > 0 > early[1][1]
    assert late[0][1] < 0 < late[1][1]
    assert seasonal.festival(dt.date(1978, 1, 1), 12 * 83).mean(axis=0) == pytest.approx([0, 0, 0], abs=1e-12)
    assert not seasonal.festival(dt.date(2026, 4, 1), 9).any()
    with pytest.raises(ValueError, match="no Spring Festival of 2061"):
        seasonal.festival(dt.date(2061, 1, 1), 1)


def test_festival_shift_and_outlier_are_found():
    """Of twelve series; the program takes a shift for an outlier now and then, where its model wanders."""
    right = np.zeros(3)
    for _ in range(12):
        y, calendar = drawn()
        found = seasonal.adjust(y, FIRST, 12)
        assert found.method == "x13"
        assert found.calendar.shape == (MONTHS + 12,), "also of the year to come"
        breaks = {(b.month, b.kind): b.effect for b in found.breaks}
        right += [
            np.abs(np.log(found.calendar / calendar)).max() < 0.06,
            abs(breaks.get((dt.date(2015, 1, 1), "level_shift"), 0) + 0.25) < 0.06,
            abs(breaks.get((dt.date(2017, 7, 1), "outlier"), 0) - 0.4) < 0.12,
        ]
    assert (right >= [10, 8, 9]).all(), right


def test_a_month_of_nobody_is_taken_apart_otherwise():
    draw = np.random.default_rng(7)
    y = draw.poisson(2, 60).astype(float)
    y[7] = 0
    found = seasonal.adjust(y, FIRST, 12)
    assert (found.method, found.breaks) == ("stl", ())
    assert found.calendar.tolist() == [1] * 72
    assert np.isfinite(found.adjusted).all()
    assert seasonal.adjust(np.full(60, 7.0), FIRST).adjusted == pytest.approx(np.full(60, 7)), "nor is one that never changes any trouble"
    for wrong in (y[:35], np.append(y, -1), np.append(y, np.nan)):
        with pytest.raises(ValueError, match="without a gap"):
            seasonal.adjust(wrong, FIRST)
