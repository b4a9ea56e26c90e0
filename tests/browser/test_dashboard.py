"""A leader signs in by the form, opens the dashboard, and every figure is Trino's."""

from __future__ import annotations

import os
import re
import shutil
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Response, expect

from infra import dashboards
from infra.services.superset import assets

MART = "lake.gold.mart_registrations_yearly"
WIDTH, HEIGHT = 1440, 1520
SECONDS = 60_000
FILES = assets.load(dashboards.FOLDER)
CHARTS = [content["slice_name"] for path, content in FILES.items() if assets.kind(path) == "charts"]
# Superset's own usage pixel, which our content security policy keeps from being fetched.
PIXEL = "https://apachesuperset.gateway.scarf.sh/"


class Visit:
    """A page with everything that went wrong on it, and the data that its charts were given."""

    def __init__(self, page: Page, base: str) -> None:
        self.page = page
        self.base = base
        self.wrong: list[str] = []
        self.data: dict[str, list[dict[str, Any]]] = {}
        self._answers: list[Response] = []
        self.elsewhere: set[str] = set()
        page.on("console", lambda m: self.wrong.append(f"console: {m.text}") if m.type == "error" and PIXEL not in m.text else None)
        page.on("pageerror", lambda e: self.wrong.append(f"script: {e}"))
        page.on("response", self._response)
        page.on("request", lambda r: None if r.url.startswith((base, "data:", "blob:")) else self.elsewhere.add(r.url))
        page.on("requestfailed", lambda r: self.elsewhere.discard(r.url) if r.failure == "csp" else None)

    def _response(self, response: Response) -> None:
        if response.status >= 400:
            self.wrong.append(f"{response.status} {response.url}")
        elif "/api/v1/chart/data" in response.url:
            self._answers.append(response)

    def _read_answers(self) -> None:
        while self._answers:
            for result in self._answers.pop(0).json()["result"]:
                # A chart is known by what it asks for.
                self.data[",".join(sorted(result["colnames"]))] = result["data"]

    def sign_in(self, user: str, password: str) -> None:
        self.page.goto(f"{self.base}/login/")
        self.page.get_by_label("用户名").or_(self.page.locator("#username")).first.fill(user)
        self.page.locator("#password, input[type=password]").first.fill(password)
        self.page.locator("button[type=submit]").click()
        self.page.wait_for_url("**/superset/welcome/**", timeout=SECONDS)

    def open(self, slug: str) -> None:
        self.page.goto(f"{self.base}/superset/dashboard/{slug}/")
        self.settled()

    def settled(self) -> None:
        """Wait until every chart has drawn its picture, its number or its table."""
        for name in CHARTS:
            chart = self.chart(name)
            expect(chart.locator("canvas, .header-line, table tbody tr").first).to_be_visible(timeout=SECONDS)
        self.page.wait_for_load_state("networkidle", timeout=SECONDS)
        expect(self.page.locator("[data-test=loading-indicator]")).to_have_count(0, timeout=SECONDS)
        expect(self.page.locator(".ant-alert-error")).to_have_count(0)
        self._read_answers()

    def chart(self, name: str) -> Any:
        return self.page.locator(f'[data-test-chart-name="{name}"]')

    def number(self, name: str) -> Any:
        return self.chart(name).locator(".header-line")


@pytest.fixture(scope="module")
def visit(place: Any, browser: Browser) -> Any:
    context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, locale="zh-CN", timezone_id="Asia/Shanghai")
    seen = Visit(context.new_page(), place.base)
    seen.sign_in("leader", place.passwords["leader"])
    seen.open("registrations")
    yield seen
    context.close()


def test_every_chart_is_drawn_and_nothing_is_wrong(visit, place):
    picture = place.settings.folder("pictures") / "registrations.png"
    visit.page.screenshot(path=str(picture), full_page=True, animations="disabled")
    if os.geteuid() == 0:  # what lies in the instance's folder belongs to the service user
        for path in (picture.parent, picture):
            shutil.chown(path, place.settings.state.owner(), place.settings.state.group())
    assert visit.wrong == []
    assert visit.page.locator(".ant-alert-error").count() == 0
    assert visit.page.locator("[data-test-chart-name]").count() == len(CHARTS)
    # Nothing is cut at the side.
    assert visit.page.evaluate("document.documentElement.scrollWidth") == WIDTH


def test_the_figures_are_those_of_trino(visit, place):
    ((total, with_district, with_type, as_of, release),) = place.ask(
        "leader",
        f"""SELECT sum(subjects), sum(subjects) FILTER (WHERE district_code IS NOT NULL), sum(subjects) FILTER (WHERE enterprise_type <> '未知'),
                   max(as_of), max(release_id) FROM {MART}""",
    )
    expect(visit.number("登记户数合计")).to_have_text(f"{total:,}")
    expect(visit.number("所在区已判定占比")).to_have_text(f"{with_district / total:.1%}")
    expect(visit.number("企业类型已知占比")).to_have_text(f"{with_type / total:.1%}")
    expect(visit.number("数据截止日期")).to_have_text(f"{as_of:%Y-%m-%d}")
    expect(visit.chart("数据版本")).to_contain_text(release)

    shown = visit.data["district_name,subjects_with_district,subjects_without_district"]
    by_district = {r["district_name"]: (r["subjects_with_district"] or 0) + (r["subjects_without_district"] or 0) for r in shown}
    assert by_district == dict(place.ask("leader", f"SELECT district_name, sum(subjects) FROM {MART} GROUP BY 1"))
    by_type = {r["enterprise_type"]: r["subjects_total"] for r in visit.data["enterprise_type,subjects_total"]}
    assert by_type == dict(place.ask("leader", f"SELECT enterprise_type, sum(subjects) FROM {MART} WHERE enterprise_type <> '未知' GROUP BY 1"))
    by_year = [r["subjects_total"] for r in visit.data["subjects_total,登记年份"]]
    assert sorted(by_year) == sorted(n for _, n in place.ask("leader", f"SELECT registration_year, sum(subjects) FROM {MART} GROUP BY 1"))


def test_the_interface_is_chinese(visit):
    text = visit.page.inner_text("body")
    assert "商事登记概览" in text
    assert "其数量不代表任何经济事实" in text
    assert re.findall(r"[A-Za-z]{2,}", text) == []


def test_the_sign_in_page_is_chinese(place, browser):
    page = browser.new_page(locale="zh-CN")
    page.goto(f"{place.base}/login/")
    expect(page.locator("button[type=submit]")).to_have_text(re.compile("登\\s*录"), timeout=SECONDS)
    assert re.findall(r"[A-Za-z]{2,}", page.inner_text("body")) == []
    page.close()


def test_the_browser_talks_to_nobody_else(visit):
    assert visit.elsewhere == set()


def test_a_filter_reaches_the_charts(visit, place):
    """Last in this file: it leaves the page filtered."""
    district, expected = place.ask("leader", f"SELECT district_name, sum(subjects) n FROM {MART} GROUP BY 1 ORDER BY n DESC LIMIT 1")[0]
    select = visit.page.locator("[data-test=form-item-value], .filter-item-wrapper, .ant-form-item").filter(has_text="所在区").last
    select.locator("input").first.click()
    visit.page.locator(".ant-select-item-option").filter(has_text=re.compile(f"^{district}$")).first.click()
    # No Escape: it may come before the page has noted the choice, and then undoes it.
    expect(visit.page.locator(".ant-select-item-option-selected").filter(has_text=district)).to_be_visible(timeout=SECONDS)
    visit.page.get_by_role("button", name=re.compile("应\\s*用")).click()
    expect(visit.number("登记户数合计")).to_have_text(f"{expected:,}", timeout=SECONDS)
    visit.settled()
    assert visit.wrong == []
