"""A leader opens 经济运行与预测: charts are complete, a district reaches them, and figures are Trino's."""

from __future__ import annotations

from typing import Any

import pytest
from boards import SECONDS, chart, charts_of, settled
from playwright.sync_api import Browser, expect

WIDTH, HEIGHT = 1440, 3050
CHARTS = charts_of("dashboards/forecast.yaml")
SUM = """SELECT sum(forecast_value) FROM lake.gold.economy_forecast WHERE district_name = '{}' AND industry_section_name = '全部'
    AND forecast_origin = (SELECT max(forecast_origin) FROM lake.gold.economy_monthly)"""
LAST = """SELECT sum(subjects) FROM lake.gold.mart_registrations_monthly
    WHERE date_add('month', 1, registration_month) = (SELECT date_add('day', 1, max(forecast_origin)) FROM lake.gold.economy_monthly)"""


@pytest.fixture(scope="module")
def page(place: Any, browser: Browser) -> Any:
    with place.window(browser, "leader", WIDTH, HEIGHT) as opened:
        yield opened


def test_what_is_expected_is_shown_of_the_city_and_of_a_district(place, page):
    ((city,),), ((district,),), ((last,),) = (place.ask("leader", sql) for sql in (SUM.format("全市"), SUM.format("天河区"), LAST))
    page.goto(f"{place.base}/superset/dashboard/forecast/")
    settled(page, CHARTS)
    year = chart(page, "今后十二个月的预测").locator(".header-line")
    expect(year).to_have_text(f"{float(city):,.0f}", timeout=SECONDS)
    expect(chart(page, "最近整月新登记").locator(".header-line")).to_have_text(f"{last:,.0f}")
    row = chart(page, "各区：过去十二个月和今后十二个月").locator("tbody tr", has_text="天河区")
    expect(row).to_contain_text(f"{float(district):,.0f}")
    place.photograph(page, "forecast")

    page.locator(".ant-select-selector").first.click()
    page.keyboard.type("天河")
    page.locator(".ant-select-item-option", has_text="天河区").first.click(timeout=SECONDS)
    page.keyboard.press("Escape")
    page.locator("[data-test=filter-bar__apply-button]").click()
    expect(year).to_have_text(f"{float(district):,.0f}", timeout=SECONDS)
    settled(page, CHARTS)
    place.photograph(page, "forecast-district")
