"""A leader signs in by the form, opens the dashboard, and every figure is Trino's."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Response, expect

from catalog.contract import load_contracts
from infra import dashboards
from infra.services.superset import assets

MART = "lake.gold.mart_registrations_monthly"
MARKS = "lake.gold.mart_subject_marks_monthly"
BY_YEAR, BY_MONTH = "各年登记户数", "各月登记户数（请用上方“登记月份”选定时期细看）"
BY_DISTRICT, BY_CATEGORY, BY_TYPE = "各区户数（按住所地址）", "各类主体户数", "企业类型构成（不含未填写）"
BY_INDUSTRY, BY_MARK = "行业门类构成（估计：按名称中的行业用语）", "登记信息质量标记（一户可有多项，不能相加）"
BY_KIND, DELIVERIES = "数值性质与所依据的发布", "到达批次与记录去向"
WIDTH, HEIGHT = 1440, 2660
SECONDS = 60_000
FILES = assets.load(dashboards.FOLDER)
LABELS = {c.name: dict(c.allowed) for c in load_contracts()["gold.mart_registrations_monthly"].columns if c.allowed}
CATEGORIES, KINDS = LABELS["subject_category"], LABELS["value_kind"]
CHARTS = [node["meta"]["sliceName"] for node in FILES["dashboards/registrations.yaml"]["position"].values() if isinstance(node, dict) and node["type"] == "CHART"]  # fmt: skip
DRAWN = "canvas, .header-line, table tbody tr"
# Superset's own usage pixel, which our content security policy keeps from being fetched.
PIXEL = "https://apachesuperset.gateway.scarf.sh/"
# Superset wants to keep the colours of labels for everybody when a page is left; a reader may not, and is told nothing.
COLOURS = re.compile(r"/api/v1/dashboard/\d+/colors")


class Visit:
    """A page with everything that went wrong on it, and the data that its charts were given."""

    def __init__(self, page: Page, base: str, charts: dict[int, str]) -> None:
        self.page = page
        self.base = base
        self.charts = charts
        self.wrong: list[str] = []
        self.data: dict[str, list[dict[str, Any]]] = {}
        self._answers: list[Response] = []
        self.elsewhere: set[str] = set()
        page.on("console", self._said)
        # An answer that no script caught is called "Response"; the answer itself is looked at below.
        page.on("pageerror", lambda e: self.wrong.append(f"script: {e}") if str(e) != "Response" else None)
        page.on("response", self._response)
        page.on("request", lambda r: None if r.url.startswith((base, "data:", "blob:")) else self.elsewhere.add(r.url))
        page.on("requestfailed", lambda r: self.elsewhere.discard(r.url) if r.failure == "csp" else None)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error" and PIXEL not in message.text and not COLOURS.search(message.location["url"]):
            self.wrong.append(f"console: {message.text}")

    def _response(self, response: Response) -> None:
        if response.status == 403 and response.request.method == "PUT" and COLOURS.search(response.url):
            return
        if response.status >= 400:
            self.wrong.append(f"{response.status} {response.url}")
        elif "/api/v1/chart/data" in response.url:
            self._answers.append(response)

    def _read_answers(self) -> None:
        while self._answers:
            answer = self._answers.pop(0)
            of = json.loads(parse_qs(urlsplit(answer.url).query).get("form_data", ["{}"])[0]).get("slice_id")
            if of in self.charts:  # the filters' own lists of choices come the same way, without a number
                (result,) = answer.json()["result"]
                self.data[self.charts[of]] = result["data"]

    def open(self, slug: str, filters: str = "", drawn: str = DRAWN) -> None:
        self._answers.clear()  # a page that is left takes the bodies of its answers along
        self.page.goto(f"{self.base}/superset/dashboard/{slug}/{filters}")
        self.settled(drawn)

    def settled(self, drawn: str = DRAWN) -> None:
        """Wait until every chart has drawn its picture, its number or its table."""
        for name in CHARTS:
            expect(self.chart(name).locator(drawn).first).to_be_visible(timeout=SECONDS)
        self.page.wait_for_load_state("networkidle", timeout=SECONDS)
        expect(self.page.locator("[data-test=loading-indicator]")).to_have_count(0, timeout=SECONDS)
        expect(self.page.locator(".ant-alert-error")).to_have_count(0)
        self._read_answers()

    def chart(self, name: str) -> Any:
        return self.page.locator(f'[data-test-chart-name="{name}"]')

    def number(self, name: str) -> Any:
        return self.chart(name).locator(".header-line")

    def by(self, name: str, column: str, *metrics: str) -> dict[str, int]:
        """The chart's data: ``column`` → the metrics' sum."""
        return {row[column]: sum(row[metric] or 0 for metric in metrics) for row in self.data[name]}


def expected(place: Any, condition: str = "true") -> dict[str, Any]:
    """What Trino says of the market subjects that meet the condition, for each chart that shows groups."""

    def groups(column: str, more: str = "true", table: str = MART) -> dict[str, int]:
        return dict(place.ask("leader", f"SELECT {column}, sum(subjects) FROM {table} WHERE {condition} AND {more} GROUP BY 1"))

    return {
        BY_DISTRICT: groups("district_name"),
        BY_CATEGORY: {CATEGORIES[code]: n for code, n in groups("subject_category").items()},
        BY_TYPE: groups("enterprise_type", "enterprise_type <> '未填写'"),
        BY_INDUSTRY: groups("industry_section_name", "industry_section_name <> '未分配'"),
        BY_MARK: groups("mark_name", table=MARKS),
        BY_KIND: {KINDS[code]: n for code, n in groups("value_kind").items()},
        BY_YEAR: sorted(groups("year(registration_month)").values()),
        BY_MONTH: sorted(groups("registration_month").values()),
    }


def shown(visit: Visit) -> dict[str, Any]:
    """The same of what the charts were given."""
    return {
        BY_DISTRICT: visit.by(BY_DISTRICT, "district_name", "subjects_with_district", "subjects_without_district"),
        BY_CATEGORY: visit.by(BY_CATEGORY, "subject_category_label", "subjects_with_category", "subjects_without_category"),
        BY_TYPE: visit.by(BY_TYPE, "enterprise_type", "subjects_total"),
        BY_INDUSTRY: visit.by(BY_INDUSTRY, "industry_section_name", "subjects_total"),
        BY_MARK: visit.by(BY_MARK, "mark_name", "marked_subjects_total"),
        BY_KIND: visit.by(BY_KIND, "value_kind_label", "subjects_total"),
        BY_YEAR: sorted(visit.by(BY_YEAR, "registration_month", "subjects_total").values()),
        BY_MONTH: sorted(visit.by(BY_MONTH, "registration_month", "subjects_total").values()),
    }


@pytest.fixture(scope="module")
def visit(place: Any, browser: Browser) -> Any:
    context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, locale="zh-CN", timezone_id="Asia/Shanghai")
    charts = place.client("leader").ok("GET", "/api/v1/dashboard/registrations/charts").json()["result"]
    seen = Visit(context.new_page(), place.base, {c["id"]: c["slice_name"] for c in charts})
    place.sign_in(seen.page, "leader")
    seen.open("registrations")
    yield seen
    context.close()


def test_every_chart_is_drawn_and_nothing_is_wrong(visit, place):
    place.photograph(visit.page, "registrations", full_page=True)
    assert visit.wrong == []
    assert visit.page.locator(".ant-alert-error").count() == 0
    # Superset takes its charts out and puts them back when a part of the page comes late; they have to be there in the end.
    visit.settled()
    expect(visit.page.locator("[data-test-chart-name]")).to_have_count(len(CHARTS), timeout=SECONDS)
    # Nothing is cut at the side.
    assert visit.page.evaluate("document.documentElement.scrollWidth") == WIDTH


def test_the_figures_are_those_of_trino(visit, place):
    ((total, with_capital, capital, marked, no_industry, no_type, as_of, release),) = place.ask(
        "leader",
        f"""SELECT sum(subjects), sum(subjects_with_capital), sum(registered_capital_total), sum(marked_subjects),
                   sum(subjects) FILTER (WHERE industry_section_name = '未分配'), sum(subjects) FILTER (WHERE enterprise_type = '未填写'),
                   max(as_of), max(release_id) FROM {MART}""",
    )
    expect(visit.number("市场主体户数")).to_have_text(f"{total:,}")
    expect(visit.number("有注册资金的户数")).to_have_text(f"{with_capital:,}")
    expect(visit.number("注册资金合计")).to_have_text(f"{float(capital) / 1e8:,.1f}")
    expect(visit.number("有质量标记的户数")).to_have_text(f"{marked:,}")
    expect(visit.number("有质量标记的占比")).to_have_text(f"{marked / total:.1%}")
    expect(visit.number("行业未分配占比")).to_have_text(f"{(no_industry or 0) / total:.1%}")
    expect(visit.number("企业类型未填写占比")).to_have_text(f"{(no_type or 0) / total:.1%}")
    expect(visit.number("数据截止日期")).to_have_text(f"{as_of:%Y-%m-%d}")
    expect(visit.chart(BY_KIND)).to_contain_text(release)
    assert shown(visit) == expected(place)
    assert sum(shown(visit)[BY_DISTRICT].values()) == total


def test_what_has_no_district_or_category_comes_last(visit):
    """Bars are drawn from below upwards in the order of the data: the first of the data is the last to be read."""
    for name, column, without, left in (
        (BY_DISTRICT, "district_name", "subjects_without_district", "未分配"),
        (BY_CATEGORY, "subject_category_label", "subjects_without_category", "类别不明"),
    ):
        assert [row[column] for row in visit.data[name] if row[without]] in ([], [left])
        names = [row[column] for row in visit.data[name]]
        assert left not in names or names[0] == left


def test_the_account_of_deliveries_is_the_ledgers(visit, place):
    parts = ("arrived", "applied", "superseded", "duplicate", "quarantined", "not_counted")
    sums = ", ".join(f"coalesce(sum({part}), 0)" for part in parts[:-1])
    left = "coalesce(sum(arrived) FILTER (WHERE release_id IS NULL), 0)"
    ledger = {
        row[0]: tuple(row[1:]) for row in place.ask("leader", f"SELECT department, count(*), {sums}, {left} FROM lake.ops.deliveries GROUP BY 1")
    }
    rows = {r["department"]: (r["deliveries_total"], *(r[f"{part}_total"] for part in parts)) for r in visit.data[DELIVERIES]}
    assert rows == ledger
    for department, (_, arrived, *rest) in rows.items():
        assert arrived == sum(rest), department
        expect(visit.chart(DELIVERIES)).to_contain_text(f"{arrived:,}")


def test_the_interface_is_chinese(visit):
    text = visit.page.inner_text("body")
    assert "市场主体概览" in text
    assert "户数不代表任何经济事实" in text
    assert re.findall(r"[A-Za-z]{2,}", text) == []


def test_the_sign_in_page_is_chinese(place, browser):
    page = browser.new_page(locale="zh-CN")
    page.goto(f"{place.base}/login/")
    expect(page.locator("button[type=submit]")).to_have_text(re.compile("登\\s*录"), timeout=SECONDS)
    assert re.findall(r"[A-Za-z]{2,}", page.inner_text("body")) == []
    page.close()


def test_the_browser_talks_to_nobody_else(visit):
    assert visit.elsewhere == set()


def test_the_filters_together_reach_every_chart_of_market_subjects(visit, place):
    """Period, district and category at once, as an address says them; the account of deliveries stays as it is."""
    (year, district, category) = place.ask(
        "leader",
        f"SELECT year(registration_month), district_name, subject_category FROM {MART} GROUP BY 1, 2, 3 ORDER BY sum(marked_subjects) DESC LIMIT 1",
    )[0]
    period = f"{year}-01-01 : {year}-07-01"
    chosen = {
        "period": ({"time_range": period}, period),
        "district": ({"filters": [{"col": "district_name", "op": "IN", "val": [district]}]}, [district]),
        "category": ({"filters": [{"col": "subject_category_label", "op": "IN", "val": [CATEGORIES[category]]}]}, [CATEGORIES[category]]),
    }
    masks = {
        f"NATIVE_FILTER-{k}": {"id": f"NATIVE_FILTER-{k}", "extraFormData": e, "filterState": {"value": v}, "ownState": {}}
        for k, (e, v) in chosen.items()
    }
    deliveries = visit.data[DELIVERIES]
    visit.data.clear()
    visit.open("registrations", f"?native_filters={quote(rison(masks))}", f"{DRAWN}, .ant-empty")
    condition = f"""district_name = '{district}' AND subject_category = '{category}'
                    AND registration_month >= DATE '{year}-01-01' AND registration_month < DATE '{year}-07-01'"""
    assert shown(visit) == expected(place, condition)
    assert sum(shown(visit)[BY_MONTH]) > 0
    assert sum(shown(visit)[BY_MARK].values()) > 0
    assert visit.data[DELIVERIES] == deliveries
    assert visit.wrong == []


def rison(value: Any) -> str:
    """The notation in which Superset's addresses carry filters."""
    if isinstance(value, dict):
        return "(" + ",".join(f"{rison(k)}:{rison(v)}" for k, v in value.items()) + ")"
    if isinstance(value, list):
        return "!(" + ",".join(map(rison, value)) + ")"
    return "'" + str(value).replace("!", "!!").replace("'", "!'") + "'"


def test_a_filter_reaches_the_charts(visit, place):
    """Last in this file: it leaves the page filtered."""
    visit.open("registrations")
    district, expected = place.ask("leader", f"SELECT district_name, sum(subjects) n FROM {MART} GROUP BY 1 ORDER BY n DESC LIMIT 1")[0]
    select = visit.page.locator("[data-test=form-item-value], .filter-item-wrapper, .ant-form-item").filter(has_text="所在区").last
    select.locator("input").first.click()
    visit.page.locator(".ant-select-item-option").filter(has_text=re.compile(f"^{district}$")).first.click()
    # No Escape: it may come before the page has noted the choice, and then undoes it.
    expect(visit.page.locator(".ant-select-item-option-selected").filter(has_text=district)).to_be_visible(timeout=SECONDS)
    visit.page.get_by_role("button", name=re.compile("应\\s*用")).click()
    expect(visit.number("市场主体户数")).to_have_text(f"{expected:,}", timeout=SECONDS)
    visit.settled()
    assert visit.wrong == []
