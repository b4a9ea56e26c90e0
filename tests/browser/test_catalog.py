"""The catalog as a steward uses it: sign in, find by pinyin, read what a field means and how good it is, follow it to its source."""

from __future__ import annotations

import time

import pytest
import requests

SECONDS = 60_000
WAIT = 240  # seconds for the site to follow a release: it yields to whoever works


@pytest.fixture(scope="module")
def address(place):
    base = f"http://localhost:{place.settings.port('catalog')}"
    release = place.ask("steward", "SELECT max(release_id) FROM ops.releases")[0][0]
    until = time.monotonic() + WAIT
    while f"shows {release}" not in (says := requests.get(f"{base}/healthz", timeout=10).json()["says"]):
        assert time.monotonic() < until, says
        time.sleep(2)
    return base


@pytest.fixture
def page(place, browser, address):
    with place.catalog_window(browser, "steward") as opened:
        yield opened


def test_a_steward_finds_a_field_by_pinyin_and_reads_meaning_code_and_quality(place, page):
    place.photograph(page, "catalog-home", full_page=True)
    page.locator("#find").fill("zhuceziben")
    found = page.locator("#found a")
    found.first.wait_for(timeout=SECONDS)
    place.photograph(page, "catalog-search")
    assert "registered_capital" in found.first.inner_text()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/fields/registered_capital/**", timeout=SECONDS)
    text = page.locator("main").inner_text()
    for said in ("注册资金（元）", "也称 注册资本", "折合人民币", "decimal(20,2)", "主体档案"):
        assert said in text
    place.photograph(page, "catalog-field", full_page=True)


def test_a_tables_page_says_what_readers_see_now(place, page, address):
    rows = place.ask("steward", "SELECT count(*) FROM gold.archive_subject")[0][0]
    page.goto(f"{address}/tables/gold.archive_subject/")
    text = page.locator("main").inner_text()
    assert f"{rows:,}" in text
    assert page.locator("svg.lineage a").count() > 3
    shown = page.locator("table.sample tbody tr")
    assert shown.count() > 0
    header = page.locator("table.sample thead th").all_inner_texts()
    at = header.index("法定代表人")
    for row in shown.all():
        assert row.locator("td").nth(at).inner_text() in ("***", "空")
    place.photograph(page, "catalog-table", full_page=True)


def test_a_feed_shows_its_quality_as_the_tables_have_it(place, page, address):
    feed, score = place.ask(
        "steward", "SELECT feed, max_by(quality_score, score_date) FROM ops.quality_scores WHERE score_level = 'table' GROUP BY 1 ORDER BY 1 LIMIT 1"
    )[0]
    page.goto(f"{address}/tables/bronze.{feed}/")
    assert f"{score:.2f}" in page.locator("#state ~ h3").first.inner_text()
    place.photograph(page, "catalog-feed", full_page=True)


def test_a_number_of_a_dashboard_leads_to_its_definition_and_columns(place, page, address):
    page.goto(f"{address}/numbers/economy_live/")
    text = page.locator("main").inner_text()
    assert "给局领导看" in text
    assert "economy_value" in text
    place.photograph(page, "catalog-number", full_page=True)


def test_it_reads_on_a_telephone(place, page, address):
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{address}/fields/credit_code/")
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    place.photograph(page, "catalog-telephone")
