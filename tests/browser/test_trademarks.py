"""商标统计 and 商标抢注预警 in the browser: charts are complete, also where no mark has come yet, and what they say is what Trino says."""

from __future__ import annotations

from typing import Any

import pytest
from boards import SECONDS, chart, charts_of, settled
from playwright.sync_api import Browser, Page, expect

STOCK = """SELECT coalesce(sum(marks_in_force), 0) FROM lake.gold.trademark_monthly WHERE district_name = '{}' AND class_number = 0
    AND count_month = (SELECT max(count_month) FROM lake.gold.trademark_monthly)"""
TODAY = "CAST(current_timestamp AT TIME ZONE 'Asia/Shanghai' AS date)"
SUSPECTS = (
    f"SELECT count(*) FROM lake.gold.trademark_alerts WHERE alert_verdict = 'suspect' AND (act_until_latest >= {TODAY} OR act_until IS NULL){{}}"
)


@pytest.fixture(scope="module")
def page(place: Any, browser: Browser) -> Any:
    with place.window(browser, "leader", 1600, 3000) as opened:
        yield opened


def opened(place: Any, page: Page, slug: str) -> None:
    page.goto(f"{place.base}/superset/dashboard/{slug}/")
    settled(page, charts_of(f"dashboards/{slug}.yaml"))


def test_marks_in_force_are_those_of_the_table(place, page):
    opened(place, page, "trademarks")
    ((stock,),) = place.ask("leader", STOCK.format("全市"))
    if stock:
        expect(chart(page, "有效注册量").locator(".header-line")).to_have_text(f"{stock:,}", timeout=SECONDS)
        first = place.ask("leader", "SELECT ranked_name FROM lake.gold.trademark_ranking WHERE ranking_of = 'district' AND trademark_indicator = 'per_10_000_subjects' AND value_rank = 1")  # fmt: skip
        for (name,) in first:
            expect(chart(page, "各区每万户主体有效注册件数").locator("tbody tr", has_text=name).first).to_be_visible(timeout=SECONDS)
    place.photograph(page, "trademarks")


def test_the_work_list_is_that_of_the_table(place, page):
    opened(place, page, "alerts")
    ((suspects,),) = place.ask("leader", SUSPECTS.format(""))
    place.photograph(page, "alerts")
    if suspects:
        expect(chart(page, "疑似抢注").locator(".header-line")).to_have_text(f"{suspects:,}", timeout=SECONDS)
        ((district, of_district),) = place.ask(
            "leader", SUSPECTS.format(" GROUP BY district_name ORDER BY 2 DESC, 1 LIMIT 1").replace("count(*)", "district_name, count(*)")
        )
        page.locator(".ant-select-selector").nth(0).click()
        page.keyboard.type(district)
        page.locator(".ant-select-item-option", has_text=district).first.click(timeout=SECONDS)
        page.keyboard.press("Escape")
        page.locator("[data-test=filter-bar__apply-button]").click()
        expect(chart(page, "疑似抢注").locator(".header-line")).to_have_text(f"{of_district:,}", timeout=SECONDS)
    # A leader reads no name of who is in charge.
    people = place.ask("leader", "SELECT DISTINCT legal_representative FROM lake.gold.trademark_alerts WHERE legal_representative IS NOT NULL")
    assert {name for (name,) in people} <= {"***"}
