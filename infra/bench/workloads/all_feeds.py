"""All feeds of the city as they stood on its last day, from files in all their forms to records, archives and marts.

Three years of all departments, the register among them: what was late, sent twice, or wrong and corrected, too. What is sent daily or weekly
comes as a file a month, so that there are some eight hundred files at any scale.
"""

from __future__ import annotations

from infra.bench.cases import Case
from infra.bench.contenders import REBUILD_ALL, Contender, Lake, program

SAYS = "first load of all feeds"
ROUNDS = 1
CADENCE = "monthly"


def contenders(case: Case) -> list[Contender]:
    lake = Lake()
    feeds = {d.feed for d in case.sent}
    return [
        Contender("lake", lambda number: lake.fresh(), lambda number: lake.first_load_of_all(case), lambda number: lake.outcome_of_all(feeds)),
        program(case, "spark_scripts", REBUILD_ALL, lambda number: case.sent),
        program(case, "duck", REBUILD_ALL, lambda number: case.sent),
    ]
