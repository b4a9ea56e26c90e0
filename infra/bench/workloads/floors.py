"""The least that a first load can cost on this machine."""

from __future__ import annotations

from infra.bench.cases import Case
from infra.bench.contenders import Contender, program

SAYS = "floors of the first load: read, parse, encode"
ROUNDS = 2


def contenders(case: Case) -> list[Contender]:
    return [program(case, "floors", ("read", "parse", "encode"), lambda number: case.register, compared=False)]
