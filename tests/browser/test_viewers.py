"""Ten viewers at a human pace: what a browser asks of each dashboard, asked again by ten at once. How long it took is told, not judged (`-s`)."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import quantiles
from typing import Any
from urllib.parse import urlsplit

import pytest
from boards import charts_of, settled
from playwright.sync_api import Browser, Request

from infra import dashboards
from infra.services.superset import assets

BOARDS = {a["slug"]: path for path, a in assets.load(dashboards.FOLDER).items() if path.startswith("dashboards/") and a["slug"] != "dossier"}
VIEWERS, PAGES, AT_ONCE = 10, 12, 6  # a browser asks one server six things at once
READS = (5.0, 15.0)  # seconds that somebody looks at a page

Asked = tuple[str, str]  # path with query, body


def asked_by_a_browser(place: Any, browser: Browser) -> dict[str, list[Asked]]:
    """What the page of each dashboard asks for, by dashboard."""
    found: dict[str, list[Asked]] = {}

    with place.window(browser, "leader", 1440, 4000) as page:
        for slug, path in BOARDS.items():
            mine: list[Asked] = []

            def keep(request: Request, mine: list[Asked] = mine) -> None:
                if request.method == "POST" and "/api/v1/chart/data" in request.url:
                    parts = urlsplit(request.url)
                    mine.append((f"{parts.path}?{parts.query}", request.post_data or ""))

            page.on("request", keep)
            page.goto(f"{place.base}/superset/dashboard/{slug}/")
            settled(page, charts_of(path))
            page.remove_listener("request", keep)
            found[slug] = mine
    return found


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_ten_viewers_are_served_from_the_cache(place: Any, browser: Browser) -> None:
    asked = asked_by_a_browser(place, browser)
    assert all(asked.values()), "each dashboard has charts"

    def view(number: int) -> list[tuple[float, bool]]:
        chance, clients = random.Random(number), [place.client("leader") for _ in range(AT_ONCE)]
        took: list[tuple[float, bool]] = []

        def ask(several: tuple[Any, list[Asked]]) -> list[tuple[float, bool]]:
            client, mine = several
            answers = []
            for path, body in mine:
                begin = time.monotonic()
                answer = client.ok("POST", path, data=body.encode(), headers={"Content-Type": "application/json"})
                answers.append((time.monotonic() - begin, all(r["is_cached"] for r in answer.json()["result"])))
            return answers

        time.sleep(chance.uniform(0, READS[1]))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for _ in range(PAGES):
                charts = asked[chance.choice(list(asked))]
                for some in pool.map(ask, [(c, charts[n::AT_ONCE]) for n, c in enumerate(clients)]):
                    took += some
                time.sleep(chance.uniform(*READS))
        return took

    with ThreadPoolExecutor(VIEWERS) as pool:
        answers = [answer for some in pool.map(view, range(VIEWERS)) for answer in some]
    seconds = sorted(s for s, _ in answers)
    cut = quantiles(seconds, n=20)
    print(
        f"\n{len(BOARDS)} dashboards, {sum(map(len, asked.values()))} charts, {VIEWERS} viewers, {len(seconds)} answers: median {cut[9]:.3f} s, p95 {cut[18]:.3f} s, most {seconds[-1]:.3f} s"
    )
    assert sum(cached for _, cached in answers) == len(answers), "what a page shows was worked out once, whoever opens it next"
