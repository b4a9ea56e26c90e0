"""A leader opens 领导驾驶舱, 区域协调, 企业活跃度 and 企业发展指数: charts are complete, filters reach them, and what they say is what Trino says."""

from __future__ import annotations

import re
from typing import Any

import pytest
from boards import SECONDS, chart, charts_of, settled
from playwright.sync_api import Browser, Page, expect

WIDTH = 1440
FIGURE = """SELECT CAST(economy_value AS double) FROM lake.gold.economy_indicators
    WHERE economy_indicator = 'live_subjects' AND district_name = '{}' AND industry_section_name = '全部' AND period_name = '{}'"""
COUNTS = """SELECT active_subjects, unclear_subjects FROM lake.gold.activity_monthly WHERE district_name = '{}' AND industry_section_name = '全部'
    AND month_end = (SELECT max(month_end) FROM lake.gold.activity_monthly)"""


@pytest.fixture(scope="module")
def page(place: Any, browser: Browser) -> Any:
    with place.window(browser, "leader", WIDTH, 2200) as opened:
        yield opened


def opened(place: Any, page: Page, slug: str) -> None:
    page.goto(f"{place.base}/superset/dashboard/{slug}/")
    settled(page, charts_of(f"dashboards/{slug}.yaml"))


def choose(page: Page, filter_number: int, text: str) -> None:
    page.locator(".ant-select-selector").nth(filter_number).click()
    page.keyboard.type(text[:2])
    page.locator(".ant-select-item-option", has_text=text).first.click(timeout=SECONDS)
    page.keyboard.press("Escape")
    page.locator("[data-test=filter-bar__apply-button]").click()


def test_sentences_are_those_of_the_table_and_the_map_is_drawn(place, page):
    said = place.ask("leader", "SELECT headline FROM lake.gold.economy_headlines")
    assert len(said) >= 2, "of the subjects and of the months there is always something to say"
    opened(place, page, "cockpit")
    for (headline,) in said:
        expect(chart(page, "要点")).to_contain_text(headline, timeout=SECONDS)
    picture = chart(page, "各区存量（最近的整年）").locator("img")
    expect(picture).to_be_visible(timeout=SECONDS)
    assert picture.evaluate("i => i.naturalWidth") > 100, "a picture that the browser could not read has no size"
    place.photograph(page, "cockpit")


def test_a_map_of_another_year_is_another_map(place, page):
    (now,), (before,) = place.ask(
        "leader",
        "SELECT period_name FROM lake.gold.economy_map WHERE map_measure = 'live_subjects' AND period_name NOT LIKE '%截至%' ORDER BY period_end DESC LIMIT 2",
    )
    opened(place, page, "regions")
    for period in (now, before):
        ((live,),) = place.ask("leader", FIGURE.format("天河区", period))
        expect(chart(page, "各区存量").locator("img")).to_have_attribute("alt", re.compile(f"天河区 {live:,.0f}；"), timeout=SECONDS)
        expect(chart(page, "各区").locator("tbody tr", has_text="天河区")).to_contain_text(f"{live:,.0f}", timeout=SECONDS)
        if period == now:
            place.photograph(page, "regions")
            choose(page, 0, before)


def test_who_is_active_is_told_of_the_city_and_of_a_district(place, page):
    opened(place, page, "activity")
    for district in ("全市", "天河区"):
        ((active, unclear),) = place.ask("leader", COUNTS.format(district))
        expect(chart(page, "活跃户数").locator(".header-line")).to_have_text(f"{active:,}", timeout=SECONDS)
        expect(chart(page, "状况不明户数").locator(".header-line")).to_have_text(f"{unclear:,}", timeout=SECONDS)
        if district == "全市":
            place.photograph(page, "activity")
            choose(page, 0, "天河区")


def test_what_leads_is_told_where_there_is_a_reference(place, page):
    """Without a series of the statistics office there is no index, and the page is there all the same."""
    ((leads,),) = place.ask("leader", "SELECT count(*) FROM lake.gold.development_leads")
    opened(place, page, "development")
    expect(page.get_by_text("指数只说登记活动的起落一般早于参照序列几个季度")).to_be_visible(timeout=SECONDS)
    if leads:
        rows = chart(page, "各登记序列领先几个季度").locator("tbody tr:not(:has(.ant-empty))")
        expect(rows).to_have_count(leads, timeout=SECONDS)
    place.photograph(page, "development")
