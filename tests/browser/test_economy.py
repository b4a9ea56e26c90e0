"""A leader opens 经济运行与结构: charts are complete, the period reaches them, and figures are Trino's."""

from __future__ import annotations

from typing import Any

import pytest
from boards import SECONDS, chart, charts_of, settled
from playwright.sync_api import Browser, expect

WIDTH, HEIGHT = 1440, 3300
CHARTS = charts_of("dashboards/economy.yaml")
FIGURE = "SELECT economy_value FROM lake.gold.economy_indicators WHERE economy_indicator = '{}' AND district_name = '{}' AND industry_section_name = '全部' AND period_name = '{}'"


@pytest.fixture(scope="module")
def page(place: Any, browser: Browser) -> Any:
    with place.window(browser, "leader", WIDTH, HEIGHT) as opened:
        yield opened


def figure(place: Any, indicator: str, period: str, district: str = "全市") -> float:
    return float(place.ask("leader", FIGURE.format(indicator, district, period))[0][0])


def test_the_newest_whole_year_is_shown_and_another_period_may_be_chosen(place, page):
    ((year,),) = place.ask(
        "leader", "SELECT max_by(period_name, period_end) FROM lake.gold.economy_indicators WHERE economy_indicator = 'birth_rate'"
    )
    before = (
        f"SELECT max_by(period_name, period_end) FROM lake.gold.economy_indicators WHERE economy_indicator = 'birth_rate' AND period_name <> '{year}'"
    )
    ((other,),) = place.ask("leader", before)
    page.goto(f"{place.base}/superset/dashboard/economy/")
    settled(page, CHARTS)
    live = chart(page, "存量户数").locator(".header-line")
    expect(live).to_have_text(f"{figure(place, 'live_subjects', year):,.0f}", timeout=SECONDS)
    expect(chart(page, "新生率").locator(".header-line")).to_have_text(f"{100 * figure(place, 'birth_rate', year):.1f}%", timeout=SECONDS)
    row = chart(page, "各区的存量、变动和结构").locator("tbody tr", has_text="天河区")
    expect(row).to_contain_text(f"{figure(place, 'live_subjects', year, '天河区'):,.0f}", timeout=SECONDS)
    place.photograph(page, "economy")

    page.locator(".ant-select-selector").first.click()
    page.locator(".ant-select-item-option", has_text=other).first.click(timeout=SECONDS)
    page.locator("[data-test=filter-bar__apply-button]").click()
    expect(live).to_have_text(f"{figure(place, 'live_subjects', other):,.0f}", timeout=SECONDS)
    settled(page, CHARTS)
    place.photograph(page, "economy-other")
