"""数据质量 in the browser: charts are complete, and what they say is what Trino says."""

from __future__ import annotations

from typing import Any

import pytest
from boards import SECONDS, chart, charts_of, settled
from playwright.sync_api import Browser, Page, expect

CITY = "SELECT max_by(quality_score, score_date) FROM lake.ops.quality_scores WHERE score_level = 'city'"
OPEN = "SELECT count_if(item_state <> 'closed'), count_if(escalation <> 'none') FROM lake.ops.rectification_items{}"


@pytest.fixture(scope="module")
def page(place: Any, browser: Browser) -> Any:
    with place.window(browser, "leader", 1600, 3000) as opened:
        opened.goto(f"{place.base}/superset/dashboard/quality/")
        settled(opened, charts_of("dashboards/quality.yaml"))
        yield opened


def test_score_items_and_overdue_are_those_of_the_tables(place: Any, page: Page) -> None:
    place.photograph(page, "quality")
    ((score,),) = place.ask("leader", CITY)
    ((left, overdue),) = place.ask("leader", OPEN.format(""))
    expect(chart(page, "最近的报送质量").locator(".header-line")).to_have_text(f"{score:.2f}", timeout=SECONDS)
    expect(chart(page, "未了结事项").locator(".header-line")).to_have_text(f"{left:,}", timeout=SECONDS)
    expect(chart(page, "逾期事项").locator(".header-line")).to_have_text(f"{overdue:,}", timeout=SECONDS)


def test_a_department_narrows_all_charts(place: Any, page: Page) -> None:
    rows = place.ask("leader", "SELECT department, count(*) FROM lake.ops.delivery_calendar GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 1")
    ((department, _),) = rows
    page.locator(".ant-select-selector").nth(0).click()
    page.keyboard.type(department)
    page.locator(".ant-select-item-option", has_text=department).first.click(timeout=SECONDS)
    page.keyboard.press("Escape")
    page.locator("[data-test=filter-bar__apply-button]").click()
    ((left, _),) = place.ask("leader", OPEN.format(f" WHERE department = '{department}'"))
    expect(chart(page, "未了结事项").locator(".header-line")).to_have_text(f"{left:,}", timeout=SECONDS)
    place.photograph(page, "quality-department")
