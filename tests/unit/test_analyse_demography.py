"""Business demography against worked examples."""

from __future__ import annotations

import datetime as dt
import random

import numpy as np
import pytest

from spark_jobs.analyse import demography


def test_rates_of_a_year():
    assert demography.rates(1000, 120, 80) == demography.Rates(0.12, 0.08, 0.04, 0.20)
    with pytest.raises(ValueError, match="among the active"):
        demography.rates(10, 11, 0)


def test_survival_of_a_cohort_that_was_seen_to_its_end():
    """57 of 120 live after three years."""
    curve = demography.survival([1] * 30 + [2] * 20 + [3] * 13 + [4] * 57, [True] * 63 + [False] * 57)
    assert curve.at(3) == pytest.approx(0.475)
    assert (curve.at(0.5), curve.at(1)) == pytest.approx((1, 0.75))


def test_who_is_seen_no_longer_has_not_ended():
    """The first ten of Freireich's 6-MP arm (1963), as printed in every book on survival: weeks to relapse, + where still in remission."""
    weeks = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
    ended = [True, True, True, False, True, False, True, False, False, True, True, False, False, False, True, True] + [False] * 5
    curve = demography.survival(weeks, ended)
    assert curve.time.tolist() == [6, 7, 10, 13, 16, 22, 23]
    assert curve.share == pytest.approx([0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448], abs=5e-4)
    assert ((curve.low >= 0) & (curve.low <= curve.share) & (curve.share <= curve.high) & (curve.high <= 1)).all()


def test_nobody_ended_and_everybody_did():
    assert demography.survival([1, 2], [False, False]).at(5) == 1
    curve = demography.survival([1, 2], [True, True])
    assert (curve.share[-1], curve.low[-1], curve.high[-1]) == (0, 0, 0)


def test_intervals_hold_the_truth():
    draw = np.random.default_rng(random.SystemRandom().randrange(10**9))
    held = 0
    for _ in range(400):
        lives, seen = draw.exponential(10, 200), draw.uniform(2, 12, 200)
        curve = demography.survival(np.minimum(lives, seen), lives <= seen)
        place = int(np.searchsorted(curve.time, 5, side="right")) - 1
        held += curve.low[place] <= np.exp(-0.5) <= curve.high[place]
    assert 0.91 <= held / 400 <= 0.985


def test_high_growth_and_gazelles():
    assert demography.is_high_growth(10, 17.3)
    assert not demography.is_high_growth(10, 17.28)  # 10 x 1.2^3, and no more
    assert not demography.is_high_growth(9, 30)
    assert demography.is_high_growth(10, 13.4, yearly=0.10)
    assert [demography.is_gazelle(10, 20, age) for age in (5, 6)] == [True, False]


def test_high_growth_of_many():
    before, after, ages = [10, 10, 9, 100, 50, 20], [17.28, 18, 90, 200, 0, 26.7], [4, 4, 4, 9, 3, 5]
    assert demography.growth(before, after, ages) == demography.Growth(5, 2, 1)
    assert demography.growth(before, after, ages).share == 0.4
    assert demography.growth(before, after, ages, yearly=0.10) == demography.Growth(5, 4, 3)
    assert demography.growth([], [], []).share == 0
    with pytest.raises(ValueError, match="zip"):
        demography.growth([10], [20], [])


def test_survival_by_year_of_birth():
    """57 of 120 live after three years; of the younger cohort half has not been seen for so long."""
    born = [dt.date(2018, 3, 1)] * 120 + [dt.date(2021, 3, 1)] * 10 + [dt.date(2021, 9, 1)] * 10 + [dt.date(2025, 1, 1)]
    ended = [dt.date(2019, 3, 1)] * 30 + [dt.date(2020, 6, 30)] * 33 + [None] * 57
    ended += [dt.date(2023, 3, 1)] * 4 + [None] * 6 + [None] * 9 + [dt.date(2024, 12, 1)] + [None]
    old, young = demography.cohorts(born, ended, dt.date(2024, 5, 31))
    assert (old.year, old.births, young.births) == (2018, 120, 20)
    assert old.share == pytest.approx({12: 0.75, 24: 0.75, 36: 0.475, 48: 0.475, 60: 0.475})
    assert old.low[36] < 0.475 < old.high[36]
    assert young.share == pytest.approx({12: 1, 24: 0.8, 36: 0.8}), "who ended after the day is alive on it"
    assert (young.low[12], young.high[12]) == (1, 1)
    (gone,) = demography.cohorts([dt.date(2020, 1, 1)], [dt.date(2020, 5, 1)], dt.date(2024, 1, 1))
    assert gone.share == {12: 0, 24: 0, 36: 0, 48: 0}
    with pytest.raises(ValueError, match="born on"):
        demography.cohorts([dt.date(2020, 1, 2)], [dt.date(2020, 1, 1)], dt.date(2021, 1, 1))


def test_a_published_total_and_its_parts():
    """Shenzhen 2017-04: enterprises and households are the whole; the bands of capital lack 540 of the 34,169 that they should sum to."""
    assert demography.identities(53_533, [35_439, 18_094]) == 0
    assert demography.identities(35_439, [22, 34_904, 513]) == 0
    assert demography.identities(34_169, [33_629]) == 540
    assert demography.identities(808.06, [166.70, 32.63, 608.74], within=0.015) == 0  # rounded to two places each
