"""Whom a record means: by code, name and district, and never a person (docs/decisions/0031)."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.contract import load_contracts
from spark_jobs.identity import known
from spark_jobs.identity.short_names import is_short_for, short_key
from spark_jobs.refine.parties import party
from spark_jobs.refine.records import party_columns, refine_columns

CONTRACTS = load_contracts()
CODE, MISTYPED = "91440101633203772F", "91440101633203773F"
COMPANY = "广州市演示有限公司"


def test_what_is_written_otherwise_is_said_alike():
    alike = [party(CODE, COMPANY, None), party(" 91440101-633203772f", "广州市演示有限公司（简称：演示）", None)]
    assert len({p.key for p in alike}) == 1


def test_a_district_counts_only_where_no_checked_code_says_who_is_meant():
    assert party(CODE, COMPANY, "440106").key == party(CODE, COMPANY, "440111").key
    assert party(MISTYPED, COMPANY, "440106").key != party(MISTYPED, COMPANY, "440111").key
    assert party(None, COMPANY, "440106").key != party(None, COMPANY, None).key


def test_persons_and_nothing_are_no_parties():
    assert [party(None, name, None) for name in (None, "", "N/A", "演示人", "演示人一", "JOHN SMITH", "演示提江买买提")] == [None] * 7
    assert party("11010519491231002X", "演示人", None) is None, "the number of a person (the example of GB 11643) is no code"
    assert party(CODE, "演示人", None).name is None


def test_a_name_that_is_personal_data_says_nothing():
    shareholders = CONTRACTS["bronze.shareholders"]
    of_role = {c.name: party_columns(shareholders, c) for c in shareholders.derived_columns if c.party is not None}
    assert of_role == {"subject_party": ("credit_code", "subject_name", None), "shareholder_party": ("shareholder_code", None, None)}


def test_every_feed_that_names_a_subject_says_so():
    named = {f.name: {c.name for c in f.derived_columns if c.party is not None} for f in CONTRACTS.values() if f.record_key}
    without = {name for name, parties in named.items() if not parties}
    assert "penalties" not in without
    assert {name for name in without if "credit_code" in {c.name for c in CONTRACTS[f"bronze.{name}"].columns}} == set()


def test_a_party_is_no_content():
    feed = CONTRACTS["bronze.complaints"]
    texts = {c.name: [None] for c in feed.columns if not c.reserved} | {"demand_number": ["GZ1"], "respondent_name": [COMPANY]}
    day = dt.date(2026, 3, 5)
    one = refine_columns(feed, texts | {"respondent_district": ["天河区"], "lodged_at": ["2026-03-04 08:30:00"]}, [day])
    assert one["respondent_party"] == [party(None, COMPANY, "440106").key]


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_text_has_an_outcome(code, name):
    found = party(code, name, None)
    assert found is None or (found.value or found.name)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("广州市天河区棠德南路卓翔面馆", "棠德南路卓翔面馆"),
        ("天河区棠德南路卓翔面馆", "棠德南路卓翔面馆"),
        ("广州信产兴商行有限公司", "信产兴商行"),
        ("广东省广州市番禺区大石演示五金店", "大石演示五金店"),
        ("广州市天河区广州演示酒家食品店", "演示酒家食品店"),
        ("黄埔东路演示手机店", "黄埔东路演示手机店"),  # a road, not the district
        ("番禺市桥演示面馆", "番禺市桥演示面馆"),  # 市桥 is a place
        ("广州市场演示服务有限公司", "市场演示服务"),
        ("深圳市演示兴隆商贸有限公司", "深圳市演示兴隆商贸"),  # of another city, which is a part of who it is
        ("龙门县演示兴隆农场", "龙门县演示兴隆农场"),  # was the city's once
        ("广州市演示有限公司", None),  # 演示 alone says too little
        (None, None),
    ],
)
def test_what_is_left_of_a_name_when_all_is_cut_that_people_leave_out(name, key):
    assert short_key(name) == key
    assert short_key(key) == key


@pytest.mark.parametrize(
    ("said", "name", "short"),
    [
        ("棠德南路卓翔面馆", "广州市天河区棠德南路卓翔面馆", True),
        ("广州信产兴商行", "广州信产兴商行有限公司", True),
        ("广州市番禺区演示兴隆便利店", "广州市天河区演示兴隆便利店", False),
        ("广东演示兴隆农业有限公司", "广州演示兴隆农业有限公司", False),
        ("演示兴隆农业股份有限公司", "演示兴隆农业有限公司", False),
    ],
)
def test_a_name_that_says_something_else_is_not_said_for_short(said, name, short):
    assert short_key(said) == short_key(name)
    assert is_short_for(said, name) == short


def test_a_name_is_looked_for_by_its_short_key_only_in_the_district_that_is_stated():
    assert party(None, "棠德南路卓翔面馆", "440106").short_name == "棠德南路卓翔面馆"
    assert party(None, "棠德南路卓翔面馆", None).short_name is None
    assert party(CODE, "棠德南路卓翔面馆", "440106").short_name is None


@pytest.mark.parametrize(
    ("others", "basis"),
    [
        ({}, "short_name"),
        ({"S2": {("广州卓翔面馆(天河)", "440106")}}, "short_name"),  # doesn't say so
        ({"S2": {("广州市棠德南路卓翔面馆", "440111")}}, "short_name"),  # in another district
        ({"S2": {("广州市棠德南路卓翔面馆", "440106")}}, "ambiguous"),
        ({"S2": {("广州市棠德南路卓翔面馆", None)}}, "ambiguous"),  # it may lie in this one
    ],
)
def test_a_short_name_leads_to_the_only_one_of_the_district(others, basis):
    said = {"is_trusted": False, "normalized_name": "棠德南路卓翔面馆", "short_name": "棠德南路卓翔面馆", "district_code": "440106"}
    mine = {"S1": {("广州市天河区棠德南路卓翔面馆", "440106"), ("广州市天河区棠德南路卓翔面馆", None)}}
    assert known.belongs(said, set(), {}, mine | others)[0] == basis
    assert known.belongs(said, set(), {"S3": {"440106"}}, mine | others) == ("name", "S3"), "a full name goes before"
    assert known.belongs(said, set(), {}, {"S1": {("广州市天河区棠德南路卓翔面馆", None)}}) == ("unknown", None)


def test_what_says_a_trade_is_a_firm():
    assert party(None, "信产兴贸易", "440106").name == "信产兴贸易"
    assert party(None, "演示提江买买提", "440106") is None
