"""The register as it stood before the first day, from files to published archives and marts."""

from __future__ import annotations

from infra.bench.cases import Case
from infra.bench.contenders import REBUILD, Contender, Lake, program

SAYS = "first load of the register"
ROUNDS = 1


def contenders(case: Case) -> list[Contender]:
    lake = Lake()
    return [
        Contender("lake", lambda number: lake.fresh(), lambda number: lake.first_load(case), lambda number: lake.outcome()),
        program(case, "spark_scripts", REBUILD, lambda number: case.register),
        program(case, "duck", REBUILD, lambda number: case.register),
    ]
