"""Months without a gap, and what is said at the end of the last one."""

from __future__ import annotations

import datetime as dt
import math
import random
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from catalog.contract import load_contracts
from spark_jobs.analyse import build, forecast, months, outlook, vintages

DISTRICTS, SECTIONS = ["甲区", "乙区"], ["制造业", "批发和零售业"]
CITY = ("全市", "全部")
START = dt.date(2016, 1, 1)
MEANS = np.array([[60.0, 90, 2], [30, 1, 0], [0, 0, 4]])  # with what is unassigned


def births(number: int, seed: int | None = None) -> pd.DataFrame:
    draw = np.random.default_rng(random.SystemRandom().randrange(10**9) if seed is None else seed)
    d, s = [*DISTRICTS, None], [*SECTIONS, None]
    rows = []
    for n in range(number):
        season = 1 + 0.3 * math.sin(2 * math.pi * n / 12)
        counted = draw.poisson(MEANS * season)
        rows += [(months.later(START, n), d[i], s[j], int(counted[i, j]), "observed") for i in range(3) for j in range(3) if counted[i, j]]
    return pd.DataFrame(rows, columns=["month", "district", "section", "subjects", "value_kind"])


def laid(frame: pd.DataFrame, until: dt.date = dt.date(2100, 1, 1)) -> months.Monthly | None:
    return months.monthly(frame, DISTRICTS, SECTIONS, until)


# --- months without a gap --------------------------------------------------------------------------------------------------


def test_a_month_that_has_only_begun_is_left_out():
    frame = births(50)
    assert laid(frame, dt.date(2020, 2, 29)).origin == dt.date(2020, 1, 31), "on its last day there is more to come"
    assert laid(frame, dt.date(2020, 3, 1)).origin == dt.date(2020, 2, 29)
    assert laid(frame.iloc[:0]) is None


def test_a_month_of_nobody_ends_a_stretch():
    frame = births(120)
    hole = dt.date(2022, 3, 1)  # the 75th month: 45 come after it
    assert laid(frame[frame["month"] != hole]).months[0] == dt.date(2022, 4, 1)
    late = dt.date(2024, 6, 1)  # only 18 come after it: those before it are the newest that are long enough
    found = laid(frame[frame["month"] != late])
    assert (found.months[0], found.origin) == (START, dt.date(2024, 5, 31))
    assert laid(births(43)) is None
    assert len(laid(births(44)).months) == 44


def test_ten_years_are_looked_back_at():
    frame = births(130)
    found = laid(frame)
    assert len(found.months) == 120
    assert found.counted.sum() == frame[frame["month"] >= found.months[0]]["subjects"].sum()


def test_the_weakest_kind_is_told():
    frame = births(60)
    frame.loc[frame.index[-1], "value_kind"] = "simulated"
    assert laid(frame).kind == "simulated"
    frame["value_kind"] = "estimated"
    assert laid(frame).kind == "estimated"


# --- what is said ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Two quick models: what the models are worth is tested with `forecast`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forecast, "ALL_MODELS", ("theta", "ces"))
        patch.setattr(forecast, "QUICK", ("theta",))
        patch.setattr(forecast, "QUICKEST", ("theta",))
        yield


@pytest.fixture(scope="module")
def of() -> months.Monthly:
    found = laid(births(84))
    assert found
    return found


@pytest.fixture(scope="module")
def said(of) -> outlook.Outlook:
    return outlook.outlook(of, {})


def test_what_is_expected_adds_up_and_lies_in_its_interval(of, said):
    value = {(e.place, e.month): e.value for e in said.expected}
    ahead = [months.later(of.months[-1], n) for n in range(1, 13)]
    assert {m for _, m in value} == set(ahead)
    d, s = [*DISTRICTS, "未分配"], [*SECTIONS, "未分配"]
    for month in ahead:
        for parts in ([(x, "全部") for x in d], [("全市", y) for y in s], [(x, y) for x in d for y in s]):
            assert value[CITY, month] == pytest.approx(sum(value.get((p, month), 0) for p in parts))
    for e in said.expected:
        (low, high), (lowest, highest) = e.bounds(0), e.bounds(1)
        assert 0 <= lowest <= low <= e.value <= high <= highest
        assert (e.origin, e.ahead) == (of.origin, 1 + ahead.index(e.month))
    assert (("乙区", "未分配"), ahead[0]) not in value, "nobody has ever registered there"
    methods = {e.place: e.method for e in said.expected}
    assert methods["未分配", "未分配"] in ("mean", "seasonal_naive"), "four in a month are no model's worth"
    total = sum(e.value for e in said.expected if e.place == CITY)
    assert total == pytest.approx(12 * MEANS.sum(), rel=0.1)


def test_the_course_of_each_total_is_told(of, said):
    totals = {p for p in of.series() if "全市" in p[0] or p[1] == "全部"}
    assert {t.place for t in said.told} == set(of.series())
    assert {t.place for t in said.told if t.adjusted is not None} == totals
    city = [t for t in said.told if t.place == CITY]
    assert [t.month for t in city] == of.months
    assert [t.counted for t in city] == of.counted.sum(axis=(1, 2)).tolist()
    assert np.std([t.adjusted for t in city]) < np.std([t.counted for t in city]), "without its season"
    expected = [t for t in city if t.expected]
    assert all(t.backcast for t in expected)
    assert len(expected) == 84 - 36 - forecast.LEAST_ORIGINS - 1
    assert {t.place for t in said.tested} >= {CITY, ("甲区", "全部")}


def test_a_month_outside_what_was_published_is_told():
    frame = births(60, seed=5)
    last = months.later(START, 59)
    frame.loc[(frame["month"] == last) & (frame["district"] == "甲区"), "subjects"] *= 3
    counted = laid(frame)
    published = {(CITY, last): outlook.Expected(dt.date(2020, 11, 30), last, 1, CITY, 180.0, (20.0, 40.0), "median")}
    told = {(t.place, t.month): t for t in outlook.outlook(counted, published).told}
    assert (told[CITY, last].surprise, told[CITY, last].backcast) == ("above", False)
    assert told[CITY, last].expected is published[CITY, last]
    assert told[("甲区", "全部"), last].surprise == "above"
    assert told[CITY, START].surprise is None
    assert told[("甲区", "全部"), last].unusual
    cell = ("甲区", "制造业")
    published[cell, last] = outlook.Expected(dt.date(2020, 11, 30), last, 1, cell, 60.0, (1.0, 2.0), "median")
    assert not any(t.unusual for t in outlook.outlook(counted, published).told if t.place == cell), "of hundreds some always are"


def test_two_processes_say_the_same(monkeypatch):
    short = laid(births(46))
    alone = outlook.outlook(short, {})
    monkeypatch.setattr(outlook, "WORTH_IT", 1)
    assert outlook.outlook(short, {}, workers=2).expected == alone.expected


def test_the_contracts_name_what_is_read():
    for name in (vintages.FORECAST, vintages.MONTHLY, vintages.BACKTEST):
        assert set(load_contracts()[name].inputs) == {build.BIRTHS, "silver.ref_industry"}


def test_methods_and_kinds_are_those_declared(said):
    contracts = load_contracts()
    declared = {name: set(dict(contracts[table].column(name).allowed)) for table, name in (
        (vintages.FORECAST, "forecast_method"), (vintages.MONTHLY, "adjustment_method"), (vintages.BACKTEST, "test_verdict"))}  # fmt: skip
    assert {e.method for e in said.expected} <= declared["forecast_method"] == {*forecast.METHODS, outlook.MEAN}
    assert {t.method for t in said.told if t.method} <= declared["adjustment_method"]
    assert {t.result.against_naive.verdict for t in said.tested} <= declared["test_verdict"]
