"""Forecasts against published series and worked examples, and against series drawn afresh."""

from __future__ import annotations

import random

import numpy as np
import pytest
from golden import series

from spark_jobs.analyse import accuracy, forecast, hierarchy

KNOWN = [10, 12, 14, 16, 11, 13, 15, 17, 12, 14, 16, 18]
ACTUAL = [13, 15, 17, 19]


def fresh() -> np.random.Generator:
    seed = random.SystemRandom().randrange(10**9)
    print("seed", seed)
    return np.random.default_rng(seed)


# --- accuracy ----------------------------------------------------------------------------------------------------------


def test_measures_of_a_worked_example():
    told = [12.5, 15.5, 16, 20]
    assert accuracy.naive_scale(KNOWN, 4) == 1
    assert accuracy.mase(ACTUAL, [12, 14, 16, 18], KNOWN, 4) == 1
    assert accuracy.mase(ACTUAL, told, KNOWN, 4) == 0.75
    assert accuracy.smape(ACTUAL, told) == pytest.approx(4.5973, abs=5e-5)
    assert accuracy.rmsse(ACTUAL, told, KNOWN, 4) == pytest.approx(0.790569, abs=5e-7)
    low, high = [11, 13, 15, 17], [14, 16, 16.5, 21]
    assert accuracy.coverage(ACTUAL, low, high) == 0.75
    assert accuracy.msis(ACTUAL, low, high, KNOWN, 4, 0.8) == pytest.approx(4.125)
    assert accuracy.smape([0, 1], [0, 1]) == 0
    for wrong in (KNOWN[:4], [5] * 12):
        with pytest.raises(ValueError, match=r"known|scale"):
            accuracy.naive_scale(wrong, 4)


def test_a_difference_is_told_from_chance():
    draw = fresh()
    for origins, horizon in ((40, 1), (24, 12)):  # the second as in back-tests: means of twelve months that overlap in eleven
        verdicts = []
        for _ in range(400):
            steps = np.abs(draw.normal(1, 0.5, (2, origins + horizon - 1)))
            losses = [np.convolve(s, np.ones(horizon) / horizon, "valid") for s in steps]
            verdicts.append(accuracy.compare(*losses, horizon).verdict)
        assert 0.01 <= 1 - verdicts.count("no_difference") / 400 <= 0.10, "5 % are wrong"
    better = accuracy.compare(draw.normal(0.7, 0.1, 40), draw.normal(1, 0.1, 40), 4)
    assert (better.verdict, better.high < 0) == ("better", True)
    assert accuracy.compare([1.0] * 8, [1.0] * 8, 4) == accuracy.Comparison(0, 0, 0, 1)
    assert accuracy.compare([1.0] * 8, [2.0] * 8, 4).verdict == "better"
    for _ in range(50):
        found = accuracy.compare(*draw.normal(1, 0.3, (2, 16)) + draw.normal(0, 0.2, (2, 1)), 4)
        assert (found.verdict != "no_difference") == (not found.low <= 0 <= found.high), "interval and test say the same"
    with pytest.raises(ValueError, match="same origins"):
        accuracy.compare([1, 2], [1, 2], 4)


# --- forecasts of published series ---------------------------------------------------------------------------------------


def test_the_last_year_of_the_airline():
    air = series("air_passengers_monthly")
    naive, median = (accuracy.mase(air[-12:], told, air[:-12], 12) for told in forecast.candidates(air[:-12], 12, 12))
    assert naive == pytest.approx(1.5709, abs=5e-5)
    assert median <= 0.40


def test_business_formation_is_forecast_as_well_as_by_the_year_before():
    """Sixteen origins, choosing anew at each: on this series the seasonal naive (0.310) is hard to beat, and that is what is said."""
    applications = series("us_business_applications_quarterly")
    told = forecast.rolling(applications, 4, 4, 12)
    found = forecast.backtest(applications, 4, told, 12, 16)
    assert found.naive_errors.mean() == pytest.approx(0.310, abs=5e-4)
    assert found.errors.mean() <= 0.33
    assert found.against_naive.verdict == "no_difference"
    assert len(found.methods) == len(found.errors) == 16


# --- what is chosen and said -----------------------------------------------------------------------------------------------


def simulated(draw: np.random.Generator, months: int = 84) -> np.ndarray:
    """A monthly series of a kind drawn by chance: even or wandering level, seasons that stay or drift, counts, a shift."""
    t, season = np.arange(months), draw.normal(0, draw.uniform(0.03, 0.25), 12)
    growth, level, kind = draw.normal(0, 0.006), draw.uniform(2.5, 7), draw.integers(4)
    if kind == 0:
        return np.exp(level + growth * t + season[t % 12] + draw.normal(0, draw.uniform(0.03, 0.2), months))
    if kind == 1:
        return np.exp(level + np.cumsum(draw.normal(growth, draw.uniform(0.01, 0.06), months)) + season[t % 12] + draw.normal(0, 0.08, months))
    if kind == 2:
        return draw.poisson(np.exp(draw.uniform(1, 3) + growth * t + season[t % 12])).astype(float)
    mean = np.exp(draw.uniform(2, 5) + growth * t + season[t % 12])
    mean[draw.integers(months // 3, months) :] *= np.exp(draw.normal(0, 0.3))
    return draw.negative_binomial(10, 10 / (10 + mean)).astype(float)


def pooled(draw: np.random.Generator, number: int, models: tuple[str, ...]) -> list[float]:
    """The shares of values inside the intervals, at each level, of so many series at their last twelve origins."""
    inside = []
    for _ in range(number):
        y = simulated(draw)
        told = forecast.rolling(y, 12, 12, 36, models)
        for origin in range(len(y) - 23, len(y) - 11):
            made = forecast.at(y[:origin], told[: origin - 35], 36, origin)
            inside.append([np.mean(np.abs(y[origin : origin + 12] - made.value) <= miss) for miss in made.miss])
    return list(np.mean(inside, axis=0))


@pytest.mark.long
def test_intervals_hold_what_they_promise():
    narrow, wide = pooled(fresh(), 120, ("theta",))
    assert 0.76 <= narrow <= 0.85
    assert 0.91 <= wide <= 0.97


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_intervals_of_the_real_models_hold_what_they_promise():
    narrow, wide = pooled(fresh(), 150, forecast.QUICK)
    print(f"80 %: {narrow:.4f}; 95 %: {wide:.4f}")
    assert 0.77 <= narrow <= 0.83
    assert 0.91 <= wide <= 0.97


def test_nothing_of_the_future_is_used():
    y = simulated(fresh())
    told = forecast.rolling(y, 12, 12, 36, ("theta",))
    other = y.copy()
    other[60:] *= 3
    changed = forecast.rolling(other, 12, 12, 36, ("theta",))
    assert np.array_equal(told[: 60 - 35], changed[: 60 - 35])
    before, after = forecast.at(y, told, 36, 60), forecast.at(other[:60], changed[: 60 - 35], 36, 60)
    assert (before.method, before.value.tolist(), before.miss.tolist()) == (after.method, after.value.tolist(), after.miss.tolist())


def test_the_naive_stays_where_nothing_beats_it():
    draw = fresh()
    jagged = np.tile(draw.uniform(50, 500, 12), 6) + draw.normal(0, 0.01, 72)
    # Models of a mean know nothing of these months.
    assert forecast.at(jagged, forecast.rolling(jagged, 12, 12, 36, ()), 36, 72).method == "seasonal_naive"
    steady = draw.poisson(40, 72).astype(float)
    assert forecast.at(steady, forecast.rolling(steady, 12, 12, 36, ()), 36, 72).method == "median"


def test_few_origins_give_no_interval():
    y = simulated(fresh(), 40)
    made = forecast.at(y, forecast.rolling(y, 12, 12, 36, ("theta",)), 36, 40)
    assert made.method == "seasonal_naive"
    assert np.isnan(made.miss).all()
    with pytest.raises(ValueError, match="3 whole years"):
        forecast.candidates(y[:35], 12, 12)
    with pytest.raises(ValueError, match="periods are needed"):
        forecast.backtest(y, 12, forecast.rolling(y, 12, 12, 36, ()), 36, 24)


def test_a_series_that_no_model_fits_is_told_all_the_same():
    """A year that repeats itself exactly: the library gives up with a plain exception."""
    once = np.tile([100.0, *[0.0] * 11], 4)
    for models in (forecast.ALL_MODELS, forecast.QUICKEST, ("ces",), ()):
        assert np.isfinite(forecast.candidates(once, 12, 12, models)).all()
    assert forecast.candidates(once, 12, 12, ())[1] == pytest.approx(np.full(12, 100 / 12))


def test_the_calendar_is_taken_out_and_put_back():
    y = np.full(60, 100.0)
    factors = np.ones(72)
    factors[[49, 61]] = 0.5  # a holiday, known of the future, too
    told = forecast.candidates(y * factors[:60], 12, 12, ("theta",), factors)
    assert told[1][1] == pytest.approx(50, rel=0.01)
    assert np.delete(told[1], 1) == pytest.approx(np.full(11, 100), rel=0.01)


# --- forecasts that add up -------------------------------------------------------------------------------------------------


def test_forecasts_add_up_and_follow_the_surer_ones():
    cells = [(d, s) for d in range(3) for s in range(2)]
    sums = hierarchy.summing(cells, range(3), range(2))
    assert sums.sum(axis=0).tolist() == [4] * 6, "each cell is in the city, its district, its section and itself"
    true = sums @ np.array([40.0, 0, 7, 3, 0.2, 11])
    draw = fresh()
    sure = np.full((len(true), 12), 1.0)
    assert hierarchy.coherent(sums, np.tile(true[:, None], 3), sure) == pytest.approx(np.tile(true[:, None], 3), abs=0.01), "what adds up stays"
    told = np.maximum(0, true[:, None] + draw.normal(0, 4, (len(true), 3)))
    found = hierarchy.coherent(sums, told, sure)
    assert (found >= 0).all()
    for part in (found[1:4], found[4:6], found[6:]):
        assert part.sum(axis=0) == pytest.approx(found[0])
    missed = np.full((len(true), 12), 50.0)
    missed[0] = 0.5
    told[0] = true[0]
    assert hierarchy.coherent(sums, told, missed)[0] == pytest.approx(true[[0, 0, 0]], rel=0.02), "the city was sure"
