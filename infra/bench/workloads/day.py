"""A day of 20,000 records on a register that is there: the lake takes in the day, the others build everything anew."""

from __future__ import annotations

from infra.bench.cases import Case, Delivery
from infra.bench.contenders import REBUILD, Contender, Lake, program
from infra.bench.measure import Measured

SAYS = "a day of 20,000 records"
ROUNDS = 2


def contenders(case: Case) -> list[Contender]:
    lake = Lake()

    def prepare(number: int) -> None:
        if number == 0:
            lake.load(case)
        case.day(number)

    def work(number: int) -> Measured:
        before = lake.stored()
        measured = lake.ingest([case.day(number)])
        # What was asked of files by all services tells little; what the tables have grown by is the cost of a day.
        measured.written = lake.added(before)
        return measured

    def all_so_far(number: int) -> list[Delivery]:
        return [*case.register, *(case.day(n) for n in range(number + 1))]

    return [
        Contender("lake", prepare, work, lambda number: lake.outcome()),
        program(case, "spark_scripts", REBUILD, all_so_far),
        program(case, "duck", REBUILD, all_so_far),
    ]
