"""What analysts and dashboards ask of the published views, by one client and by ten at once."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from infra.bench.cases import Case
from infra.bench.contenders import Contender, Lake
from infra.bench.measure import Measured
from infra.services.trino import as_publisher

SAYS = "queries on published views"
ROUNDS = 2
QUERIES = (
    "SELECT district_name, sum(subjects) FROM lake.gold.mart_registrations_monthly GROUP BY 1",
    "SELECT date_trunc('year', registration_month), sum(subjects), sum(registered_capital_total) FROM lake.gold.mart_registrations_monthly GROUP BY 1 ORDER BY 1",
    "SELECT subject_category, count(*), sum(registered_capital) FROM lake.gold.archive_subject GROUP BY 1",
    "SELECT count(*) FROM lake.gold.archive_subject WHERE district_name = '天河区' AND registration_date >= DATE '2022-01-01'",
    "SELECT subject_name, registration_date FROM lake.gold.archive_subject WHERE credit_code = '91440101YC0000000X'",
)


def contenders(case: Case) -> list[Contender]:
    lake = Lake()

    def ask(clients: int) -> Measured:
        def client(_: int) -> list[float]:
            cursor, took = as_publisher(lake.context).cursor(), []
            for query in QUERIES:
                begin = time.monotonic()
                cursor.execute(query)
                cursor.fetchall()
                took.append(time.monotonic() - begin)
            return took

        with lake.measuring() as measured, ThreadPoolExecutor(clients) as pool:
            times = list(pool.map(client, range(clients)))
        measured.stages = {f"query {i + 1}": max(t[i] for t in times) for i in range(len(QUERIES))}
        return measured

    return [
        Contender("1 client", lambda number: lake.loaded(case), lambda number: ask(1)),
        Contender("10 clients", lambda number: lake.loaded(case), lambda number: ask(10)),
    ]
