"""Sentences and maps: what they say is what they were given, and what isn't known is said."""

from __future__ import annotations

import base64
import datetime as dt
import re
import xml.etree.ElementTree as ET

import pytest

from spark_jobs.analyse import brief, build, district_map, economy
from spark_jobs.analyse.headlines import Active, Course, Leading, Year

NAMES = [d.name for d in build.districts().values()]
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize(("said", "sentence"), [
    (Year(2025, 4_217_400, 3_640_100, 884_600, 307_300, 0.916), "2025 年末存量 4,217,400 户，比上年末增加 15.9%；全年新登记 884,600 户，退出 307,300 户；第三产业占 91.6%。"),
    (Year(2024, 90, 100, 5, None, None), "2024 年末存量 90 户，比上年末减少 10.0%；全年新登记 5 户，退出多少不知道。"),
    (Year(2024, 90, None, 5, 0, None), "2024 年末存量 90 户；全年新登记 5 户，退出 0 户。"),
    (Course(dt.date(2025, 12, 1), 352, True, None, 4800, 5000), "2025 年 12 月新登记 352 户，在此前预期的区间以内；今后十二个月预计 4,800 户，比过去十二个月减少 4.0%（预测）。"),
    (Course(dt.date(2025, 2, 1), 352, True, "below", 4800, 4800), "2025 年 2 月新登记 352 户，低于此前预期的区间；今后十二个月预计 4,800 户，比过去十二个月增加 0.0%（预测）。"),
    (Course(dt.date(2025, 2, 1), 352, False, None, 4800, 0), "2025 年 2 月新登记 352 户；今后十二个月预计 4,800 户（预测）。"),
    (Active(dt.date(2025, 12, 31), 0.7758, 0.7713, 7099), "2025 年 12 月末活跃率 77.6%，比一年前高 0.5 个百分点；另有 7,099 户没有年报、社保、税务等来源说到，状况不明。"),
    (Active(dt.date(2025, 12, 31), 0.7758, None, 0), "2025 年 12 月末活跃率 77.6%；另有 0 户没有年报、社保、税务等来源说到，状况不明。"),
    (Leading("地区生产总值同比", 0, None, None, None, None), "地区生产总值同比与登记序列共有的季度太少，暂无发展指数。"),
    (Leading("地区生产总值同比", 3, None, None, None, None), "没有登记序列可靠地领先于地区生产总值同比，暂无发展指数。"),
    (Leading("地区生产总值同比", 3, 104.2, 110.0, 2, False), "企业发展指数 104.2，比上年同季低 5.3%；领先地区生产总值同比约 2 个季度，但加入它未必预测得更准。"),
])  # fmt: skip
def test_a_sentence_says_its_figures(said, sentence):
    assert said.sentence() == sentence


def drawn(element: str) -> ET.Element:
    """The picture of an element, as a browser would read it."""
    return ET.fromstring(base64.b64decode(re.search(r"base64,([^\"]+)", element)[1]))


def test_a_map_shows_each_district_once_with_its_words_and_those_without_are_nameless():
    shown = {name: (float(n), f"{n} 户") for n, name in enumerate(NAMES[:-1])}
    element = district_map.picture(shown, "户数<五档>")
    svg = drawn(element)
    fills = [p.get("fill") for p in svg.iter(f"{SVG}path")]
    assert len(fills) == len(NAMES) == 11
    assert fills.count("#FFFFFF") == 1
    assert set(fills) - {"#FFFFFF"} == set(district_map.SHADES)
    texts = [t.text for t in svg.iter(f"{SVG}text")]
    assert [t for t in texts if t.endswith("户")] == [shown[n][1] for n in sorted(shown, key=lambda n: texts.index(n[:-1]))]
    assert texts[-1] == "户数<五档>"
    assert not set(texts) & {NAMES[-1][:-1]}
    assert element.startswith('<img alt="户数&lt;五档&gt;：')
    for t in svg.iter(f"{SVG}text"):
        assert 0 < float(t.get("x")) < district_map.WIDTH
        assert 0 < float(t.get("y")) < district_map.HEIGHT


def test_names_do_not_lie_on_each_other():
    places = {
        t.text: (float(t.get("x")), float(t.get("y")))
        for t in drawn(district_map.picture(dict.fromkeys(NAMES, (1.0, "")), "")).iter(f"{SVG}text")
        if t.text
    }
    for name, (x, y) in places.items():
        for other, (x2, y2) in places.items():
            assert name == other or abs(x - x2) >= 30 or abs(y - y2) >= 28, (name, other)


def test_shades_are_fifths_and_equals_are_equal():
    assert district_map.shades({str(n): n for n in range(10)}) == {str(n): n // 2 for n in range(10)}
    assert set(district_map.shades({"a": 1, "b": 1, "c": 1}).values()) == {0}


def test_a_line_is_no_further_away_than_it_may():
    line = [(float(n), (n % 7) * 0.2) for n in range(100)]
    short = district_map.simplified(line, 0.5)
    assert len(short) < 60
    assert short[0] == line[0]
    assert short[-1] == line[-1]
    assert district_map.simplified([(0.0, 0.0), (5.0, 0.1), (10.0, 0.0)], 0.5) == [(0.0, 0.0), (10.0, 0.0)]


def test_maps_are_made_of_periods_that_have_figures():
    def row(indicator, district, value, end=dt.date(2025, 12, 31)):
        return economy.Row(
            indicator, end, district, economy.ALL, economy.decimal(value), None, None, 1, "simulated" if district == NAMES[0] else "estimated"
        )

    figures = [row("live_subjects", n, 5) for n in (*NAMES, economy.CITY, economy.UNASSIGNED)] + [
        row("net_rate", NAMES[1], 0.123),
        row("live_subjects", NAMES[1], 7, dt.date(2024, 12, 31)),
    ]
    rows = list(brief.maps(figures, build.period_name, (7, dt.date(2026, 1, 2))))
    assert [(r[0].year, r[1], r[2], r[-1]) for r in rows] == [
        (2025, "live_subjects", "2025年", "simulated"), (2025, "net_rate", "2025年", "estimated"), (2024, "live_subjects", "2024年", "estimated")]  # fmt: skip
    assert "越秀区 +12.3%" in rows[1][3]
