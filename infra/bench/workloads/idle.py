"""A run with nothing to do, and a start of all services, on the instance that the other workloads have left."""

from __future__ import annotations

from infra.bench.cases import Case
from infra.bench.contenders import Contender, Lake
from infra.bench.measure import Measured

SAYS = "an idle run, and `up`"
ROUNDS = 2


def contenders(case: Case) -> list[Contender]:
    lake = Lake()

    def up(number: int) -> Measured:
        with lake.measuring() as measured:
            lake.lake("up")
        return measured

    return [
        Contender("idle run", lambda number: lake.loaded(case), lambda number: lake.run()),
        Contender("up", lambda number: (lake.lake("down"), None)[1], up),
    ]
