"""A day on which all departments deliver, on all feeds that are there: the lake takes in the day, the others build everything anew.

It is the day after the city's last one, when the daily, weekly, monthly, quarterly and yearly feeds fall due, the register among them; a feed
that has nothing to say, or whose file never comes, is missing. Each file is cut to its share of 20,000 records in all, the same at any scale that
has so many, in its own form: it stands for a day's share of the month that the file holds, and what a day costs can be compared between cities.
A second round takes the next records of the same files.
"""

from __future__ import annotations

from infra.bench.cases import Case, Delivery
from infra.bench.contenders import REBUILD_ALL, Contender, Lake, program
from infra.bench.measure import Measured

SAYS = "a day of all feeds, 20,000 records"
ROUNDS = 1
CADENCE = "monthly"


def contenders(case: Case) -> list[Contender]:
    lake = Lake()

    def prepare(number: int) -> None:
        if number == 0:
            lake.load_all(case)
        case.day_of_all(number)

    def work(number: int) -> Measured:
        before = lake.stored()
        measured = lake.ingest_all(case.day_of_all(number))
        # As for a day of the register: what the tables have grown by.
        measured.written = lake.added(before)
        return measured

    def all_so_far(number: int) -> list[Delivery]:
        return [*case.sent, *(d for n in range(number + 1) for d in case.day_of_all(n))]

    return [
        Contender("lake", prepare, work, lambda number: lake.outcome_of_all(d.feed for d in all_so_far(number))),
        program(case, "spark_scripts", REBUILD_ALL, all_so_far),
        program(case, "duck", REBUILD_ALL, all_so_far),
    ]
