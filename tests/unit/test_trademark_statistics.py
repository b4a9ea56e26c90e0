"""Trademark statistics against published tables: CNIPA's yearbook of 2022, and the national figures of 2016."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_jobs.trademark import statistics

QUICK = settings(max_examples=60, deadline=None)  # the first example loads tables
D = dt.date.fromisoformat
# CNIPA yearbook 2022, table 7-4: Madrid applications by origin, 2021 and 2022; cities as far as they were copied.
BEFORE = {"深圳": 818, "广州": 266, "杭州": 177, "宁波": 115, "南京": 91, "青岛": 36, "厦门": 80, "济南": 101}
NOW = {"深圳": 774, "广州": 395, "杭州": 162, "宁波": 123, "南京": 74, "青岛": 74, "厦门": 74, "济南": 68}


def test_madrid_ranking_of_cnipa():
    table = statistics.ranking(NOW, BEFORE)
    assert table["rank"].to_dict() == {"深圳": 1, "广州": 2, "杭州": 3, "宁波": 4, "南京": 5, "青岛": 5, "厦门": 5, "济南": 8}
    assert table["rank_before"][["深圳", "广州", "杭州", "宁波"]].tolist() == [1, 2, 3, 4]
    assert table["change"]["广州"] == pytest.approx(0.485, abs=5e-4)
    assert statistics.change(395, 266) == pytest.approx(table["change"]["广州"])
    assert table.index[0] == "深圳"


def test_share_of_guangzhou_in_guangdong():
    assert statistics.ranking(NOW, BEFORE, total=1551)["share"]["广州"] == pytest.approx(0.2547, abs=5e-5)
    assert statistics.ranking(BEFORE, {}, total=1513)["share"]["广州"] == pytest.approx(0.1758, abs=5e-5)


def test_guangdong_2016():
    applications = statistics.ranking({"广东": 689_434, "北京": 372_387, "浙江": 327_572}, {}, total=3_526_827)
    assert applications["share"]["广东"] == pytest.approx(0.1955, abs=5e-5)
    assert applications["rank"].tolist() == [1, 2, 3]
    assert applications["change"].isna().all()
    assert statistics.registration_ratio(410_207, 689_434) == pytest.approx(0.5950, abs=5e-5)


@QUICK
@given(st.dictionaries(st.text("甲乙丙丁戊己庚", min_size=1, max_size=4), st.integers(0, 5), min_size=1))
def test_ranks_count_the_better_ones(values):
    found = statistics.ranks(values)
    assert all(found[name] == 1 + sum(other > value for other in values.values()) for name, value in values.items())


def test_no_value_no_rank():
    table = statistics.ranking({"甲": 3, "乙": 5}, {"丙": 1, "甲": 0})
    assert table["rank"].dropna().to_dict() == {"乙": 1, "甲": 2}
    assert table["rank_before"].dropna().to_dict() == {"丙": 1, "甲": 2}
    assert table["change"].isna().all()
    assert statistics.change(3, 0) is None
    assert statistics.per_10_000(3, 0) is None
    assert statistics.registration_ratio(3, 0) is None
    assert statistics.per_10_000(1_000_000, 4_217_400) == pytest.approx(2371.13, abs=0.01)


MARKS = pd.DataFrame(
    [
        ("1", 3, "荔湾区", "甲", "2012-03-01", "2013-01-07", None),
        ("1", 5, "荔湾区", "甲", "2012-03-01", "2013-01-07", None),
        ("2", 3, None, "乙", "2012-03-31", None, None),
        ("3", 30, "越秀区", "甲", "2012-04-01", "2013-06-07", "2023-06-06"),
    ],
    columns=["mark_number", "nice_class", "district", "owner", "applied_on", "mark_registered_on", "exclusive_until"],
)
DECISIONS = pd.DataFrame(
    {"mark_number": ["1"], "nice_class": [5], "decided_on": ["2015-01-01"], "mark_procedure": ["注销"], "decision_result": [None]}
)
RENEWALS = pd.DataFrame({"mark_number": ["3"], "gazetted_on": ["2023-05-01"], "exclusive_until": ["2033-06-06"]})


def test_a_mark_of_two_classes_counts_in_each():
    assert statistics.counted(MARKS, "applied_on", D("2012-01-01"), D("2012-12-31")).tolist() == [4]
    assert statistics.counted(MARKS, "applied_on", D("2012-03-31"), D("2012-04-01")).tolist() == [2]
    assert statistics.counted(MARKS, "mark_registered_on", D("2013-01-01"), D("2013-12-31"), ["nice_class"]).to_dict() == {3: 1, 5: 1, 30: 1}
    with pytest.raises(ValueError, match="counts once"):
        statistics.counted(pd.concat([MARKS, MARKS]), "applied_on", D("2012-01-01"), D("2012-12-31"))


def test_parts_sum_to_the_whole_also_where_a_district_is_unknown():
    found = statistics.counted(MARKS, "applied_on", D("2012-01-01"), D("2012-12-31"), ["district"])
    assert found.sum() == 4
    assert found[found.index.isna()].tolist() == [1]


def test_months():
    found = statistics.monthly(MARKS, "applied_on")
    assert found.to_dict() == {pd.Timestamp("2012-03-01"): 3, pd.Timestamp("2012-04-01"): 1}
    assert statistics.monthly(MARKS, "mark_registered_on").sum() == 3


@pytest.mark.parametrize(
    ("day", "count"), [("2012-12-31", 0), ("2014-12-31", 3), ("2015-01-01", 2), ("2023-01-06", 2), ("2023-01-07", 1), ("2033-06-07", 0)]
)
def test_stock(day, count):
    assert statistics.stock(MARKS, D(day), DECISIONS, RENEWALS).tolist() == [count]


def test_stock_month_by_month():
    found = statistics.monthly_stock(MARKS, D("2014-12-15"), D("2015-01-15"), DECISIONS, RENEWALS)
    assert found.to_dict() == {pd.Timestamp("2014-12-01"): 3, pd.Timestamp("2015-01-01"): 2}
    found = statistics.monthly_stock(MARKS, D("2014-12-15"), D("2015-01-15"), DECISIONS, RENEWALS, ["nice_class"])
    assert found[pd.Timestamp("2014-12-01")].to_dict() == {3: 1, 5: 1, 30: 1}
    assert found[pd.Timestamp("2015-01-01")].to_dict() == {3: 1, 30: 1}


def test_stock_by_owner_and_class():
    assert statistics.stock(MARKS, D("2014-12-31"), DECISIONS, RENEWALS, ["owner", "nice_class"]).to_dict() == {
        ("甲", 3): 1,
        ("甲", 5): 1,
        ("甲", 30): 1,
    }


def test_share_registered_follows_the_same_applications():
    assert statistics.registered_share(MARKS, D("2012-01-01"), D("2012-12-31"), D("2013-01-31")) == pytest.approx(0.5)
    assert statistics.registered_share(MARKS, D("2014-01-01"), D("2014-12-31"), D("2020-01-01")) is None
