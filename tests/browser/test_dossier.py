"""An analyst looks a subject up by how its name is read, and sees what Trino says of it; personal data is masked."""

from __future__ import annotations

import os
import random
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from infra.settings import REPO

SECONDS = 60_000
WIDTH, HEIGHT = 1440, 3100  # the whole page: what is out of sight is taken out
CHARTS = ("身份", "登记", "资金与住所", "各栏目的事项", "事项（现在成立的，新的在前）")
CREDIT = "信用记录（没有记录的不显示）"
THEMES = {
    "enforcement": "监管执法（案件、处罚、抽查，新的在前）",
    "complaint": "维权（投诉举报，新的在前）",
    "property": "知识产权（商标，新的在前）",
    "relations": "关系（股东、对外投资、分支机构、隶属企业）",
}


@pytest.fixture(scope="module")
def subject(place: Any) -> dict[str, Any]:
    """A subject of the samples that has a representative, an address and a trade name that nobody else has."""
    sql = """SELECT subject_id, subject_name, search_text FROM lake.gold.archive_subject a
        WHERE legal_representative IS NOT NULL AND registered_address IS NOT NULL AND district_code IS NOT NULL
            AND trade_name IN (SELECT trade_name FROM lake.gold.archive_subject GROUP BY 1 HAVING count(*) = 1)
        ORDER BY (SELECT count(*) FROM lake.gold.archive_timeline t WHERE t.subject_id = a.subject_id AND is_standing) DESC, subject_id LIMIT 1"""
    ((identity, name, text),) = place.ask("analyst", sql)
    spelled = [word for word in text.split(" ") if word.isascii() and word.islower()]
    return {"id": identity, "name": name, "spelled": spelled[0]}


@pytest.fixture(scope="module")
def page(place: Any, browser: Browser) -> Any:
    with signed_in(place, browser, "analyst") as page:
        yield page


@contextmanager
def signed_in(place: Any, browser: Browser, user: str, password: str | None = None) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, locale="zh-CN", timezone_id="Asia/Shanghai")
    page = context.new_page()
    place.sign_in(page, user, password)
    yield page
    context.close()


def chart(page: Page, name: str) -> Any:
    return page.locator(f'[data-test-chart-name="{name}"]')


def settled(page: Page) -> None:
    for name in CHARTS:
        expect(chart(page, name).locator("table tbody tr").first).to_be_visible(timeout=SECONDS)
    for name in (CREDIT, *THEMES.values()):
        expect(chart(page, name).locator("table tbody tr, .ant-empty").first).to_be_visible(timeout=SECONDS)
    page.wait_for_load_state("networkidle", timeout=SECONDS)
    expect(page.locator("[data-test=loading-indicator]")).to_have_count(0, timeout=SECONDS)
    assert page.locator(".ant-alert-error").count() == 0


def look_up(place: Any, page: Page, typed: str, subject: dict[str, Any]) -> None:
    """Open the dossier and choose a subject in its search."""
    page.goto(f"{place.base}/superset/dashboard/dossier/")
    settled(page)
    search = page.locator(".ant-select input").first
    search.click()
    search.press_sequentially(typed, delay=30)
    page.locator(".ant-select-item-option", has_text=subject["name"]).first.click(timeout=SECONDS)
    expect(page.locator(".ant-select-selection-item", has_text=subject["id"]).first).to_be_visible(timeout=SECONDS)
    page.get_by_role("button", name=re.compile("应 ?用")).click()
    expect(chart(page, "身份").locator("tbody tr")).to_have_count(1, timeout=SECONDS)
    expect(chart(page, "身份").locator("tbody")).to_contain_text(subject["id"], timeout=SECONDS)
    settled(page)


def test_a_subject_is_found_by_how_its_name_is_read(place, page, subject):
    look_up(place, page, subject["spelled"], subject)
    place.photograph(page, "dossier")
    expect(chart(page, "登记").locator("tbody")).to_contain_text("***")
    expect(chart(page, "资金与住所").locator("tbody")).to_contain_text("***")
    told = place.ask("analyst", f"SELECT count(*) FROM lake.gold.archive_timeline WHERE subject_id = '{subject['id']}' AND is_standing")
    expect(chart(page, "事项（现在成立的，新的在前）").locator("tbody tr")).to_have_count(told[0][0])
    for theme, name in THEMES.items():
        rows = place.ask("analyst", f"SELECT count(*) FROM lake.gold.archive_{theme} WHERE subject_id = '{subject['id']}'")[0][0]
        expect(chart(page, name).locator("table tbody tr td:first-child").filter(has_text=re.compile("."))).to_have_count(
            min(rows, 10), timeout=SECONDS
        )


@pytest.mark.parametrize("role", [pytest.param("leader", marks=pytest.mark.long), pytest.param("supervisor", marks=pytest.mark.long), "district"])
def test_each_role_sees_people_masked_and_a_district_office_its_own(place, browser, subject, role):
    ((own,),) = place.ask("steward", f"SELECT district_code FROM lake.gold.archive_subject WHERE subject_id = '{subject['id']}'")
    name, password = f"{role}-{random.SystemRandom().randrange(10**6)}", "Zhiyuan-4711-lake"
    environment = {**os.environ, "LAKE_INSTANCE": place.settings.instance, "LAKE_NEW_PASSWORD": password}
    office = ["--district", own] if role == "district" else []
    subprocess.run([str(REPO / "lake"), "user", "add", name, "--role", role, *office], env=environment, check=True, capture_output=True)
    with signed_in(place, browser, name, password) as page:
        look_up(place, page, subject["spelled"], subject)
        expect(chart(page, "登记").locator("tbody")).to_contain_text("***")
        expect(chart(page, "资金与住所").locator("tbody")).to_contain_text("***")
        place.photograph(page, f"dossier-{role}")
        elsewhere = f"""SELECT subject_name FROM lake.gold.archive_subject
            WHERE district_code <> '{own}' AND coalesce(supervising_district_code, '') <> '{own}' ORDER BY subject_id LIMIT 1"""
        ((other,),) = place.ask("steward", elsewhere)
        page.goto(f"{place.base}/superset/dashboard/dossier/")
        settled(page)
        search = page.locator(".ant-select input").first
        search.click()
        search.press_sequentially(other, delay=10)
        offered = page.locator(".ant-select-item-option", has_text=other)
        if role == "district":
            page.wait_for_load_state("networkidle", timeout=SECONDS)
            expect(page.locator(".ant-select-dropdown .ant-empty, .ant-select-item-empty").first).to_be_visible(timeout=SECONDS)
            expect(offered).to_have_count(0)
        else:
            expect(offered.first).to_be_visible(timeout=SECONDS)
