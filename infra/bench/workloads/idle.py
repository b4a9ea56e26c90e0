"""A run with nothing to do, and a start of all services, on the instance that the other workloads have left."""

from __future__ import annotations

from infra.bench.cases import Case
from infra.bench.contenders import INSTANCE, Contender, Lake
from infra.bench.measure import Measured, measuring, named

SAYS = "an idle run, and `up`"
ROUNDS = 2


def contenders(case: Case) -> list[Contender]:
    lake = Lake()

    def prepare(number: int) -> None:
        if not (lake.state / "warehouse" / "gold_tables.db").exists():
            lake.fresh()
            lake.ingest(case.register)

    def up(number: int) -> Measured:
        with measuring(lambda: named(f"LAKE_INSTANCE={INSTANCE}")) as measured:
            lake.lake("up")
        return measured

    return [
        Contender("idle run", prepare, lambda number: lake.run()),
        Contender("up", lambda number: (lake.lake("down"), None)[1], up),
    ]
