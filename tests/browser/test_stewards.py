"""A definition is changed in the browser, approved by a second person, and seen in Trino, in Superset and in the catalog after the next run."""

from __future__ import annotations

import time

import pytest
from boards import chart, charts_of, settled

SECONDS = 60_000
WAIT = 400  # seconds for the site to follow: it lets things settle for a minute, and yields to whoever works
FIELD, DATASET = "rectify_by", "rectification_items"
NAMES = ("整改期限", "整改截止日")
MEANING = "供数部门应当改正完毕的最后一天"


@pytest.fixture(scope="module")
def address(place):
    return f"http://localhost:{place.settings.port('catalog')}"


def column_of_trino(place):
    return {name: comment for name, _, _, comment in place.ask("steward", f"SHOW COLUMNS FROM lake.ops.{DATASET}")}[FIELD]


def column_of_superset(place):
    client = place.client("operator")
    (identity,) = [e["id"] for e in client.entries("/api/v1/dataset/", ("id", "table_name"), "table_name") if e["table_name"] == DATASET]
    columns = client.ok("GET", f"/api/v1/dataset/{identity}").json()["result"]["columns"]
    return next(c["verbose_name"] for c in columns if c["column_name"] == FIELD)


@pytest.mark.long
@pytest.mark.timeout(1500)
def test_a_definition_is_changed_approved_and_seen_everywhere_after_the_next_run(place, browser, address):
    # Trino says what is in force; a deployment of this session may have put the shipped name back into Superset.
    before, shown = (NAMES[0] if NAMES[0] in column_of_trino(place) else NAMES[1]), column_of_superset(place)
    name = NAMES[1] if before == NAMES[0] else NAMES[0]
    meaning = f"{MEANING}，{'含' if name == NAMES[1] else '包括'}当天"
    with place.catalog_window(browser, "analyst") as page:
        page.locator("#find").fill("zgqx" if before == NAMES[0] else "zgjzr")
        page.locator("#found a", has_text=FIELD).first.click(timeout=SECONDS)
        page.get_by_role("link", name="提出修改").first.click()
        page.get_by_label("中文名").fill(name)
        page.get_by_label("含义").fill(meaning)
        page.get_by_label("为什么改").fill("与整改通知的用语一致")
        page.get_by_role("button", name="先看影响").click()
        page.get_by_text("会引起什么").wait_for(timeout=SECONDS)
        place.photograph(page, "change-preview", full_page=True)
        assert "ops.rectification_items" in page.locator(".preview").inner_text()
        page.get_by_role("button", name="提交审批").click()
        page.wait_for_url("**/changes/*", timeout=SECONDS)
        number = page.url.rstrip("/").rpartition("/")[2]
        assert page.get_by_role("button", name="通过").count() == 0, "nobody approves their own"
        place.photograph(page, "change-proposed", full_page=True)
    with place.catalog_window(browser, "steward") as page:
        page.get_by_role("navigation").get_by_role("link", name="修改", exact=True).click()
        place.photograph(page, "changes", full_page=True)
        page.get_by_role("link", name=number, exact=True).click()
        place.photograph(page, "change-to-decide", full_page=True)
        page.get_by_label("意见").fill("同意")
        page.get_by_role("button", name="通过").click()
        page.get_by_text("下一次运行时生效").first.wait_for(timeout=SECONDS)
        assert column_of_superset(place) == shown, "not before the next run"
        place.run()
        comment = column_of_trino(place)
        assert name in comment
        assert meaning in comment
        assert column_of_superset(place) == name
        until = time.monotonic() + WAIT
        while True:
            page.goto(f"{address}/fields/{FIELD}/")
            if page.locator("h1", has_text=name).count():
                break
            assert time.monotonic() < until, page.locator("main").inner_text()[:300]
            time.sleep(5)
        assert meaning in page.locator("main").inner_text()
        place.photograph(page, "change-in-catalog", full_page=True)
        page.goto(f"{address}/changes/{number}")
        assert "已生效" in page.locator("main").inner_text()
        place.photograph(page, "change-in-force", full_page=True)
    with place.window(browser, "leader", 1600, 3000) as page:
        page.goto(f"{place.base}/superset/dashboard/quality/")
        settled(page, charts_of("dashboards/quality.yaml"))
        assert name in chart(page, "整改台账：先到期的在前").inner_text()
        place.photograph(page, "change-on-dashboard")
