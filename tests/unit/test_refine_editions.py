"""Code editions: a text means what its list said on the day of the record; what is divided since is flagged, what is unknown is listed."""

from __future__ import annotations

import csv
import datetime as dt
from itertools import pairwise
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.contract import load_contracts, load_fields
from catalog.derive import records_of
from catalog.properties import DatedList
from spark_jobs.refine import codes, districts, editions
from spark_jobs.refine.categories import categories, key, read_category
from spark_jobs.refine.codes import UNKNOWN, Reading
from spark_jobs.refine.districts import read_district
from spark_jobs.refine.industry import EDITION_2017_FROM, industry_section, read_section
from spark_jobs.refine.kinds import read_type
from spark_jobs.refine.records import output_schema, refine_columns

CONTRACTS = load_contracts()
COMPLAINTS, FIGURES = CONTRACTS["bronze.complaints"], CONTRACTS["bronze.association_figures"]
DERIVED = {name: field for name, field in load_fields().items() if field.derived is not None}
ARRIVED = dt.date(2026, 3, 5)
OLD, NEW = dt.date(2016, 2, 1), dt.date(2024, 5, 1)


def read(feed: Any, **row: str | None) -> dict[str, Any]:
    record = refine_columns(feed, {name: [text] for name, text in row.items()}, [ARRIVED])
    return {name: value for name, (value,) in record.items()}


def demand(lodged: str = "2024-05-01 08:30:00", **row: str | None) -> dict[str, Any]:
    return read(COMPLAINTS, demand_number="GZ1", lodged_at=lodged, demand_kind="投诉", **row)


def figure(reported: str, section: str | None) -> dict[str, Any]:
    return read(
        FIGURES, association_name="协会", industry_section=section, period="2017Q3", indicator="指数", indicator_value="1", reported_on=reported
    )


# --- GB/T 4754 ---------------------------------------------------------------------------------------------------------


def classes(edition: str) -> dict[str, str]:
    """The classes of an edition: four digits. (In 2011 a group without classes is one, by its code and 0.)"""
    return {r["code"]: r["name"] for r in codes.rows("gbt4754_industries") if r["edition"] == edition and len(r["code"]) == 4}


def test_194_codes_were_used_again_for_another_class():
    old, new = classes("2011"), classes("2017")
    kept = old.keys() & new.keys()
    assert (len(old), len(new)) == (1094, 1382)  # 2017 with its first amendment
    assert sum(old[c] == new[c] for c in kept) == 743
    assert sum(old[c] != new[c] for c in kept) == 194
    assert len(old.keys() - new.keys()) == 157


@pytest.mark.parametrize(
    ("code", "before", "after"),
    [
        ("2645", "密封用填料及类似品制造", "染料制造"),
        ("3071", "卫生陶瓷制品制造", "建筑陶瓷制品制造"),
        ("6540", "数据处理和存储服务", "运行维护服务"),
        ("1363", "水产饲料制造", "鱼油提取及制品制造"),
    ],
)
def test_the_meaning_of_a_code_is_its_edition_s(code, before, after):
    assert (classes("2011")[code], classes("2017")[code]) == (before, after)
    first = EDITION_2017_FROM
    assert [read_section(code, day).edition for day in (first - dt.timedelta(days=1), first)] == [2011, 2017]


def test_a_class_whose_code_went_to_another_section_is_read_in_the_section_of_its_day():
    moved = [c for c in classes("2011").keys() & classes("2017").keys() if read_section(c, OLD).code != read_section(c, NEW).code]
    assert moved
    for code in moved:
        assert (read_section(code, OLD).code, "stated") == industry_section(code, None, OLD)
        assert (read_section(code, NEW).code, "stated") == industry_section(code, None, NEW)


@pytest.mark.parametrize(
    ("reported", "text", "section", "edition"),
    [
        ("2017-09-30", "79", "O", 2011),  # 居民服务业
        ("2017-10-01", "79", "N", 2017),  # 土地管理业
        ("2017-09-30", "开采辅助活动", "B", 2011),
        ("2017-10-01", "开采专业及辅助性活动", "B", 2017),
        ("2024-01-15", "F", "F", 2017),
        ("2024-01-15", "批发和零售业", "F", 2017),
        ("2024-01-15", None, None, None),
    ],
)
def test_an_association_s_industry_is_read_by_the_edition_of_its_day(reported, text, section, edition):
    record = figure(reported, text)
    assert (record["industry_section"], record["industry_section_code"], record["industry_section_edition"]) == (text, section, edition)
    assert (record["reasons"], record["unmapped"]) == ([], [])


@pytest.mark.parametrize(("reported", "text"), [("2017-10-01", "开采辅助活动"), ("2017-09-30", "土地管理业"), ("2024-01-15", "直播业")])
def test_an_industry_that_the_edition_of_the_day_lacks_is_the_steward_s(reported, text):
    record = figure(reported, text)
    assert (record["industry_section_code"], record["unmapped"], record["reasons"]) == (None, [f"industry_section={text}"], [])


# --- GB/T 2260 ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "chain"),
    [
        ("440102", ["440104"]),
        ("440107", ["440103"]),
        ("440116", ["440112"]),
        ("440126", ["440181", "440113"]),
        ("440121", ["440182", "440114"]),
        ("440122", ["440184", "440117"]),
        ("440125", ["440183", "440118"]),
        ("440123", ["440233"]),
        ("440124", ["441324"]),
    ],
)
def test_a_division_leads_over_its_successors_to_one_of_today(code, chain):
    (area,) = (a for a in districts.areas() if a.code == code)
    for heir in chain:
        assert heir in area.successors
        area = next(a for a in districts.areas() if a.code == heir and a.start <= (area.end or 0) and (a.end or 9999) > (area.end or 0))
    (first,) = (a for a in districts.areas() if a.code == code)
    assert districts._today(first) == {area}


def test_the_frame_has_eleven_districts_and_each_is_read_as_itself_by_name_and_code():
    frame = [a for a in districts.areas() if a.parent == districts.CITY and a.end is None]
    assert [a.code for a in frame] == [f"4401{n:02}" for n in (3, 4, 5, 6, 11, 12, 13, 14, 15, 17, 18)]
    for year in range(2014, 2027):
        for area in frame:
            for text in (area.code, area.name, f"广州市{area.name}", f"{area.code}000000"):
                assert read_district(text, dt.date(year, 12, 31)) == (area.code, "exact", None), (text, year)
            # In 2014 增城 was short for the city, then for the district; both are one district of today.
            assert read_district(area.name.removesuffix("区"), dt.date(year, 12, 31)).code == area.code


@pytest.mark.parametrize(
    ("text", "year", "code", "basis"),
    [
        ("440102", 2004, "440104", "successor"),
        ("东山区", 2016, "440104", "successor"),  # people go on using it
        ("440107", 2003, "440103", "successor"),
        ("440116", 2010, "440112", "successor"),
        ("440121", 1990, "440114", "successor"),
        ("440182", 1999, "440114", "successor"),
        ("440126", 1990, None, "ambiguous"),  # 440181, 440113; of which 南沙 left in 2005 and 2012
        ("440126", 2016, "440113", "successor"),
        ("番禺市", 1998, None, "ambiguous"),
        ("番禺区", 2004, None, "ambiguous"),
        ("番禺区", 2008, None, "ambiguous"),
        ("番禺区", 2012, None, "ambiguous"),  # the list has years, no days
        ("番禺区", 2013, "440113", "exact"),
        ("440183", 2004, None, "ambiguous"),  # a part became 萝岗
        ("440183", 2010, "440118", "successor"),
        ("增城", 2010, "440118", "successor"),
        ("440183", 2020, "440118", "successor"),
        ("440184", 2004, "440117", "successor"),
        ("白云区", 2004, None, "ambiguous"),
        ("白云区", 2006, "440111", "exact"),
        ("黄埔区", 2003, "440112", "exact"),  # what became 萝岗 came back
        ("天河区", 2005, None, "ambiguous"),
        ("440111", 1985, None, "ambiguous"),  # 郊区: 天河 and 芳村 left it
        ("440111", 1987, None, "ambiguous"),  # both meanings in one year
        ("440111", 2020, "440111", "exact"),
        ("郊区", 1984, None, "ambiguous"),
        ("440123", 1985, None, "other_city"),
        ("440124", 1985, None, "other_city"),
        ("440127", 1985, None, "other_city"),  # two heirs, both of 清远
        ("440305", 2020, None, "other_city"),
        ("贵阳市白云区", 2020, None, "other_city"),
        ("深圳市南山区", 2020, None, "other_city"),
        ("440101", 2020, None, "city"),
        ("440100", 2020, None, "city"),
        ("市辖区", 2020, None, "city"),
        ("广东省广州市", 2020, None, "city"),
        ("广州开发区", 2020, None, "ambiguous"),  # crosses the borders of districts
        ("广东省广州市天河区石牌街", 2020, "440106", "exact"),
        ("４４０１０６", 2020, "440106", "exact"),
        ("440115", 2003, None, UNKNOWN),  # 南沙 since 2005
        ("增城区", 2013, None, UNKNOWN),
        ("440199", 2020, None, UNKNOWN),
        ("火星区", 2020, None, UNKNOWN),
        ("天河北路", 2020, None, UNKNOWN),
    ],
)
def test_a_district_is_read_by_the_year_of_its_record(text, year, code, basis):
    assert read_district(text, dt.date(year, 6, 30)) == (code, basis, None)


def test_a_place_may_lie_in_what_its_division_became_and_in_what_left_it_since():
    def heirs(name: str, year: int) -> set[str]:
        (area,) = (a for a in districts.areas() if a.parent == districts.CITY and a.name == name)
        return {end.code for end in districts._today_of_place(area, year) if end is not None}

    assert heirs("番禺县", 1990) == {"440113", "440115"}
    assert heirs("增城县", 1990) == {"440118", "440112"}  # 萝岗 went on into 黄埔
    assert heirs("白云区", 1990) == {"440111", "440104", "440112"}
    assert heirs("郊区", 1984) == {"440111", "440104", "440112", "440106", "440103"}
    assert heirs("越秀区", 1990) == {"440104"}
    assert heirs("清远县", 1986) == {"441802", "441803"}


# --- 12315 -------------------------------------------------------------------------------------------------------------


def test_the_list_of_categories_is_sound():
    rows = codes.rows("complaint_categories")
    present = {(r["kind"], r["name"]) for r in rows if not r["valid_to"] and r["present"] == r["name"]}
    for row in rows:
        assert row["kind"] in ("goods", "service"), row
        assert not row["present"] or (row["kind"], row["present"]) in present, row
        assert row["present"] or row["note"], row  # why it can't be converted
    # On no day do two rows hold for one name, whether of goods or services.
    for name, same in categories().items():
        spans = sorted((c.valid_from or dt.date.min, c.valid_to or dt.date.max) for c in same)
        assert all(start < end for start, end in spans), name
        assert all(a[1] <= b[0] for a, b in pairwise(spans)), name


def test_what_the_city_s_report_of_2016_counts_most_is_known_and_two_thirds_of_it_can_be_compared():
    # 广州市工商局 2016Q1 (南方日报): the five categories of goods and of services with the most complaints.
    report = {
        "日用百货": 2584, "通讯器材": 2356, "交通工具": 1082, "家用电器": 873, "计算机及配套设备": 474,
        "互联网服务": 6665, "通讯服务": 2883, "居民服务": 577, "修理维护服务": 392, "文化娱乐服务": 348,
    }  # fmt: skip
    found = {name: read_category(name, OLD) for name in report}
    assert {r.edition for r in found.values()} == {2016}
    assert sum(n for name, n in report.items() if found[name].basis == "mapped") == 12190
    assert {name for name in report if found[name].basis == "ambiguous"} == {"日用百货", "通讯服务", "居民服务"}


@pytest.mark.parametrize(
    ("text", "on", "found"),
    [
        ("通讯器材", OLD, ("通讯产品", "mapped", 2016)),
        ("通讯器材类", OLD, ("通讯产品", "mapped", 2016)),
        ("修理维护", OLD, ("制作保养修理", "mapped", 2016)),
        ("交通工具", OLD, ("交通工具", "mapped", 2016)),
        ("交通工具", NEW, ("交通工具", "listed", 2018)),
        ("日用百货", OLD, (None, "ambiguous", 2016)),
        ("计算机", dt.date(2017, 12, 31), ("计算机", "mapped", 2016)),
        ("计算机", dt.date(2018, 1, 1), ("计算机", "listed", 2018)),
        ("餐饮和住宿服务", NEW, ("餐饮住宿", "listed", 2018)),
        ("美容、美发、洗浴服务", NEW, ("美容美发洗浴", "listed", 2018)),
        ("其他商品", NEW, ("其他商品", "listed", 2018)),
        ("其他服务", NEW, ("其他服务", "listed", 2018)),
        ("其他", NEW, (None, UNKNOWN, None)),
        ("日用百货", NEW, (None, UNKNOWN, None)),  # a name of the old tree
        ("家居用品", OLD, (None, UNKNOWN, None)),  # of one that was not there yet
        ("食" * 60, NEW, (None, UNKNOWN, None)),
    ],
)
def test_a_category_is_read_by_the_tree_of_its_day(text, on, found):
    assert read_category(text, on) == found


def test_a_category_of_another_spelling_is_one_category():
    assert key("文化、娱乐、体育服务") == key("文化娱乐体育") == key(" 文化娱乐体育类")
    assert key("其他服务") != key("其他商品")


# --- enterprise types: two known errors of a real mapping table ----------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code", "wrong"),
    [("有限责任公司(台港澳自然人独资)", "6140", "6150"), ("股份有限公司(上市、自然人投资或控股)", "1212", "2212")],
)
def test_a_known_error_of_another_table_is_not_ours(text, code, wrong):
    assert read_type(text).code == code != wrong
    assert {r["code"] for r in codes.rows("enterprise_types")} >= {code, wrong}


# --- declared once -----------------------------------------------------------------------------------------------------


def test_records_keep_what_was_registered_and_say_what_it_is_today():
    record = demand("2016-02-01 08:30:00", object_category="通讯器材", respondent_district="增城市")
    assert (record["object_category"], record["present_category"], record["present_category_basis"]) == ("通讯器材", "通讯产品", "mapped")
    assert (record["respondent_district"], record["respondent_district_code"], record["respondent_district_confidence"]) == (
        "增城市",
        "440118",
        "successor",
    )
    assert (record["reasons"], record["unmapped"]) == ([], [])


def test_the_day_of_a_record_is_china_s():
    assert demand("2017-12-31T16:30:00Z", object_category="家居用品")["present_category_basis"] == "listed"
    assert demand("2017-12-31T15:30:00Z", object_category="家居用品")["present_category_basis"] == UNKNOWN


def test_what_a_list_does_not_know_is_the_steward_s_and_marks_nothing():
    record = demand(object_category="虚拟商品", respondent_district="火星区")
    assert record["unmapped"] == ["object_category=虚拟商品", "respondent_district=火星区"]
    assert (record["present_category"], record["present_category_basis"], record["respondent_district_code"]) == (None, UNKNOWN, None)
    assert not {"object_category", "respondent_district"} & {i.removesuffix("_readable") for i in record["quality_marks"]}
    # What can't be told without an address is no work for the steward, and neither is silence.
    assert demand(object_category="", respondent_district="广州开发区")["unmapped"] == []
    aside = demand("2026-03-06 00:30", object_category="虚拟商品")
    assert (aside["reasons"], aside["unmapped"]) == (["lodged_at_not_future"], [])


def test_a_record_without_a_day_is_read_by_no_edition():
    record = demand("", object_category="食品", respondent_district="天河区")
    assert record["reasons"]
    assert [record[c.name] for c in COMPLAINTS.derived_columns if c.derived] == [None] * 4


def test_an_edition_of_a_list_changes_no_digest(monkeypatch):
    def digests() -> tuple[str, str]:
        record = demand(object_category="食品", respondent_district="天河区")
        return record["record_id"], record["content_hash"]

    before = digests()
    other = {name: editions.Dated("另一版", lambda text, on: Reading("别的", "listed", 2030)) for name in editions.LISTS}
    monkeypatch.setattr(editions, "LISTS", other)
    assert demand(object_category="食品")["present_category"] == "别的"
    assert digests() == before


def test_every_list_is_there_and_says_nothing_that_the_dictionary_does_not_state():
    assert set(editions.LISTS) == set(get_args(DatedList))
    assert {f.derived.code_list for f in DERIVED.values() if f.derived} == set(editions.LISTS)
    bases = {f.derived.code_list: set(f.allowed) for f in DERIVED.values() if f.derived and f.derived.gives == "basis"}
    assert bases == {
        "complaint_categories": {"listed", "mapped", "ambiguous", UNKNOWN},
        "districts": {"exact", "successor", "ambiguous", "other_city", "city", UNKNOWN},
    }


@given(st.text(max_size=120) | st.from_regex(r"[0-9]{4,12}", fullmatch=True), st.dates())
def test_any_text_of_any_day_is_read(text, on):
    for field in DERIVED.values():
        assert field.derived is not None
        (reading,) = editions.readings(field.derived.code_list, [text], [on])
        if field.derived.gives == "basis":
            assert reading.basis in field.allowed
            assert (reading.code is not None) <= (reading.basis not in ("ambiguous", UNKNOWN))


def test_derived_columns_are_in_the_records_and_in_no_delivery():
    assert [c.name for c in COMPLAINTS.derived_columns] == [
        "present_category", "present_category_basis", "respondent_district_code", "respondent_district_confidence", "respondent_party",
    ]  # fmt: skip
    assert [c.name for c in FIGURES.derived_columns] == ["industry_section_code", "industry_section_edition"]
    for feed in (COMPLAINTS, FIGURES):
        names = {c.name for c in feed.derived_columns}
        assert names <= {c.name for c in records_of(feed).columns} & set(output_schema(feed).names)
        assert not names & {c.name for c in feed.columns}
    assert {r.id for r in records_of(COMPLAINTS).rules} >= {"present_category_basis_known", "respondent_district_confidence_known"}
    # The register has a module of its own, and its section stays what it was.
    assert CONTRACTS["bronze.registration_subjects"].derived_columns == CONTRACTS["silver.subject_registration"].derived_columns == ()


def test_the_list_is_a_file_that_a_steward_can_open():
    with (codes.FOLDER / "complaint_categories.csv").open(encoding="utf-8", newline="") as file:
        assert next(csv.reader(file)) == ["edition", "kind", "name", "present", "valid_from", "valid_to", "note"]
