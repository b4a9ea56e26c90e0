"""A dashboard in a browser: its charts, and when they are all there."""

from playwright.sync_api import expect

from infra import dashboards
from infra.services.superset import assets

SECONDS = 60_000
DRAWN = "canvas, .header-line, table tbody tr, .ant-empty"


def charts_of(path):
    """The names of the charts of a dashboard that git has (``dashboards/economy.yaml``)."""
    nodes = assets.load(dashboards.FOLDER)[path]["position"].values()
    return [n["meta"]["sliceName"] for n in nodes if isinstance(n, dict) and n["type"] == "CHART"]


def chart(page, name):
    return page.locator(f'[data-test-chart-name="{name}"]')


def settled(page, names):
    """Wait until every chart is drawn and nothing is wrong."""
    for name in names:
        expect(chart(page, name).locator(DRAWN).first).to_be_visible(timeout=SECONDS)
    page.wait_for_load_state("networkidle", timeout=SECONDS)
    expect(page.locator("[data-test=loading-indicator]")).to_have_count(0, timeout=SECONDS)
    expect(page.locator(".ant-alert-error")).to_have_count(0)
