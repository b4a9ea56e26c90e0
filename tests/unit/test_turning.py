"""Turning points: of a real economy as historians date them, and in real time with the delay and the false alarms that are stated."""

from __future__ import annotations

import csv
import dataclasses
import datetime as dt
import itertools
import random
import time

import numpy as np
import pytest
import turning_trial

from infra.settings import REPO
from spark_jobs.analyse import turning

FIRST = dt.date(2010, 1, 1)


def fresh() -> np.random.Generator:
    seed = random.SystemRandom().randrange(10**9)
    print("seed", seed)
    return np.random.default_rng(seed)


def real(name: str) -> np.ndarray:
    """Employment or industrial production of the United States, seasonally adjusted, from 1985-01 (Bureau of Labor Statistics, Federal Reserve; public domain)."""
    with (REPO / "tests" / "golden" / "us_activity_monthly.csv").open(encoding="utf-8", newline="") as f:
        return np.array([float(row[name]) for row in csv.DictReader(f)])


# --- after the fact ------------------------------------------------------------------------------------------------------


def test_recessions_are_dated():
    """Employment: as the dating committee of the National Bureau of Economic Research sees its three recessions, with recoveries that were later in jobs."""
    found = [(f"{1985 + n // 12}-{n % 12 + 1:02d}", kind) for n, kind in turning.dated(np.log(real("PAYEMS")))]
    assert found == [
        ("1990-06", "peak"),
        ("1991-06", "trough"),
        ("2001-02", "peak"),
        ("2003-05", "trough"),
        ("2008-01", "peak"),
        ("2010-01", "trough"),
    ]


def test_turns_that_were_put_in_are_dated():
    draw = fresh()
    y = np.interp(np.arange(120), [0, 40, 64, 119], [0.0, 1.0, 0.3, 1.5]) + draw.normal(0, 0.01, 120)
    (peak, first), (trough, second) = turning.dated(y)
    assert (first, second) == ("peak", "trough")
    assert abs(peak - 40) <= 2
    assert abs(trough - 64) <= 2


def test_rules_of_dating():
    draw = fresh()
    for _ in range(30):
        y = np.cumsum(draw.normal(0, 1, 240))
        found = turning.dated(y)
        places, kinds = [n for n, _ in found], [k for _, k in found]
        assert all(a != b for a, b in itertools.pairwise(kinds))
        assert all(b - a >= 5 for a, b in itertools.pairwise(places))
        assert all(b - a >= 15 for a, b in zip(places, places[2:], strict=False))
        assert all(5 < n < 234 for n in places)
        assert turning.dated(-y) == [(n, "trough" if k == "peak" else "peak") for n, k in found]
        assert turning.dated(1000 + 7 * y) == found
    assert turning.dated(np.arange(100.0)) == turning.dated(np.ones(100)) == turning.dated(np.ones(10)) == []
    with pytest.raises(ValueError, match="without gaps"):
        turning.dated([1.0, np.nan])


# --- in real time ----------------------------------------------------------------------------------------------------------


def test_the_crisis_is_told_in_time():
    """As far as today's figures of then can tell: the fall of employment in 2008 within nine months, its end within six."""
    (found,) = turning.turns(turning.believe(real("PAYEMS")), dt.date(1985, 1, 1))
    crisis = [t for t in found if t.month.year in (2008, 2009, 2010)]
    assert [t.kind for t in crisis] == ["peak", "trough"]
    assert dt.date(2008, 6, 1) <= crisis[0].found_in <= dt.date(2009, 1, 1)
    assert dt.date(2010, 3, 1) <= crisis[1].found_in <= dt.date(2010, 12, 1)
    for t in found:
        assert t.delay == (t.found_in.year - t.month.year) * 12 + t.found_in.month - t.month.month >= 0
    assert [t.kind for t in found] == ["peak", "trough"] * (len(found) // 2) + ["peak"] * (len(found) % 2)


def with_seasons(draw: np.random.Generator, counts: np.ndarray) -> np.ndarray:
    months = np.arange(counts.shape[1])
    return np.round(counts * np.exp(draw.normal(0, 0.1, (len(counts), 12)))[:, months % 12])


def test_what_comes_later_changes_nothing():
    draw = fresh()
    counts = with_seasons(draw, turning_trial.drawn(draw, 2, 100).counts)
    other = np.column_stack([counts[:, :70], draw.poisson(5000, (2, 30))])
    for filtered in (turning.believe, lambda y: turning.believe_as_known(y, FIRST)):
        whole, changed, cut = filtered(counts), filtered(other), filtered(counts[:, :70])
        for found in (changed, cut):
            assert np.allclose(whole.share[:, :70], found.share[:, :70], atol=1e-12)
            assert np.array_equal(whole.age[:, :70], found.age[:, :70])
        for before, after in zip(turning.turns(cut, FIRST), turning.turns(whole, FIRST), strict=True):
            assert after[: len(before)] == before


def test_the_calendar_is_known_of_the_months_ahead():
    draw = fresh()
    counts = turning_trial.drawn(draw, 2, 80).counts
    starts = turning.begins(FIRST, 80)
    assert starts == [36, 48, 60, 72]
    assert turning.begins(dt.date(2010, 4, 1), 60) == [36, 45, 57]
    holidays = np.where(draw.random(92) < 0.2, 0.5, 1.0)
    plain = turning.believe_as_known(counts + 1, FIRST)
    found = turning.believe_as_known((counts + 2) * holidays[:80] - 1, FIRST, {n: holidays[: n + 12] for n in starts})
    assert np.allclose(plain.share, found.share, atol=0.02)


def curve(told: turning.Belief, regime: np.ndarray, thresholds: tuple[float, ...]) -> list[turning_trial.Point]:
    return [turning_trial.score(turning.phases(told, t), regime) for t in thresholds]


def test_the_curve_is_what_is_stated():
    """Of seasonally adjusted series drawn afresh: later and less often for nothing with a higher threshold; later than who knows the draw."""
    thresholds = tuple(point[0] for point in turning.CURVES[False])
    world = turning_trial.drawn(fresh(), 48, 150)
    points = curve(turning.believe(world.counts), world.regime, thresholds)
    # Of so few series one alarm is 0.03 in ten years.
    assert all(a.delay <= b.delay + 0.3 for a, b in itertools.pairwise(points[::2]))
    assert all(a.false_alarms >= b.false_alarms - 0.1 for a, b in itertools.pairwise(points[::2]))
    chosen = points[thresholds.index(turning.THRESHOLD)]
    delay, false_alarms = turning.stated(as_known=False)
    assert chosen.delay == pytest.approx(delay, abs=3.6)  # 3.5 standard errors of so few turns
    assert chosen.false_alarms == pytest.approx(false_alarms, abs=0.25)
    best = curve(turning.believe(world.counts, world.true), world.regime, (turning.THRESHOLD,))[0]
    assert best.delay < chosen.delay
    with pytest.raises(ValueError, match="were measured"):
        turning.stated(0.2)


def test_nothing_is_told_where_nothing_turns():
    draw = fresh()
    for growing in (False, True):
        world = turning_trial.steady(draw, 16, 110, growing)
        found = curve(turning.believe(world.counts), world.regime, (turning.THRESHOLD,))[0]
        assert found.false_alarms <= 0.25
    exact = np.array([np.full(120, 500.0), 100 * 1.01 ** np.arange(120), 5000 * 0.99 ** np.arange(120), np.zeros(120)])
    assert turning.turns(turning.believe(exact), FIRST) == [[], [], [], []]
    with pytest.raises(ValueError, match="without gaps"):
        turning.believe([1, -1])


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_the_curves_of_many_series():
    draw = fresh()
    world, still = turning_trial.drawn(draw, 100, 180), turning_trial.steady(draw, 40, 150, False)
    beliefs = {False: turning.believe(world.counts), True: turning.believe_as_known(with_seasons(draw, world.counts), FIRST)}
    for as_known, stated in turning.CURVES.items():
        found = curve(beliefs[as_known], world.regime, tuple(point[0] for point in stated))
        for (threshold, delay, false_alarms), point in zip(stated, found, strict=True):
            print(as_known, threshold, point)
            assert point.delay == pytest.approx(delay, abs=1.5)
            assert point.false_alarms == pytest.approx(false_alarms, rel=0.4, abs=0.12)
    standing = curve(turning.believe_as_known(with_seasons(draw, still.counts), FIRST), still.regime, (turning.THRESHOLD,))[0]
    assert standing.false_alarms < 1
    # Beside the naive rule and a cumulative sum, where they have as many false alarms.
    ours = curve(beliefs[False], world.regime, tuple(np.linspace(0.4, 0.95, 23)))
    naive = [turning_trial.score(turning_trial.in_a_row(world.counts, n, 3), world.regime) for n in range(2, 9)]
    sums = [turning_trial.score(turning_trial.drop(world.counts, n), world.regime) for n in (1, 2, 2.5, 3, 3.5, 4, 5, 6, 8)]
    best = curve(turning.believe(world.counts, world.true), world.regime, tuple(np.linspace(0.5, 0.98, 25)))
    for rate in (1.0, 0.5, 0.25):
        delays = [turning_trial.at_rate(points, rate) for points in (best, ours, sums, naive)]
        print(rate, delays)
        assert delays[0] < delays[1] < delays[2] < delays[3]


def test_the_rules_that_were_tried():
    counts = np.array([[*range(100, 130), *range(130, 100, -1), *range(100, 130)]], dtype=float)
    regime = np.array([[turning.UP] * 30 + [turning.DOWN] * 30 + [turning.UP] * 30])
    told = turning_trial.in_a_row(counts, 3)
    assert np.flatnonzero(np.diff(told[0])).tolist() == [2, 32, 62]
    late = turning_trial.score(told, regime)
    assert (late.delay, late.false_alarms, late.missed) == (4, 0, 0)  # of the second turn: the first came before anything is scored
    assert set(turning_trial.drop(counts, 3)[0].tolist()) == {-1, turning.UP, turning.DOWN}
    nothing = turning_trial.score(np.full((1, 90), -1), regime)
    assert (nothing.missed, nothing.delay) == (1, 31)
    assert dataclasses.replace(nothing, missed=0).missed == 0
    points = [turning_trial.Point(5, 2.0, 0), turning_trial.Point(9, 1.0, 0)]
    assert turning_trial.at_rate(points, 1.5) == 7
    assert np.isnan(turning_trial.at_rate(points, 3))


def test_a_real_run_is_quick():
    draw = fresh()
    counts = with_seasons(draw, turning_trial.drawn(draw, 3, 120).counts)
    start = time.process_time()
    turning.believe_as_known(counts, FIRST)
    assert time.process_time() - start < 3, "33 series take eleven times as long"
