"""What a publication costs, in numbers that don't depend on the machine: Spark's jobs and stages by step, and what is written to tables."""

import re
from dataclasses import dataclass, field


@dataclass
class Costs:
    """Of the steps of one publication; work tables hold what a run writes down for itself, which is paid for too."""

    jobs: dict[str, int] = field(default_factory=dict)
    stages: dict[str, int] = field(default_factory=dict)
    files: int = 0
    written: int = 0

    def above(self, limit: "Costs") -> dict[str, object]:
        """What is more than ``limit`` says."""
        of = {f"jobs of {s}": (n, limit.jobs[s]) for s, n in self.jobs.items()} | {
            f"stages of {s}": (n, limit.stages[s]) for s, n in self.stages.items()
        }
        of |= {"files": (self.files, limit.files), "bytes": (self.written, limit.written)}
        return {what: number for what, (number, most) in of.items() if number > most}


def costs_of_publication(published, injuries):
    """All steps of a run without Airflow; ``injuries``: step → what is done to it. Returns its costs."""
    log, warehouse = published.state / "logs" / "spark.log", published.state / "warehouse"
    before = {p for p in warehouse.rglob("*") if p.is_file()}
    costs = Costs()
    for step in ("ingest", "silver", "gold", "publish"):
        begin = log.stat().st_size
        published.step(step, injuries.get(step, ""))
        said = log.read_bytes()[begin:].decode(errors="replace")
        costs.jobs[step] = len(re.findall(r"Got (?:map stage )?job \d", said))
        costs.stages[step] = len(re.findall(r"Submitting \d+ missing tasks", said))
    assert all(costs.jobs.values()), "Spark's log tells its jobs"
    new = [p for p in warehouse.rglob("*") if p.is_file() and p not in before]
    costs.files, costs.written = len(new), sum(p.stat().st_size for p in new)
    print(costs)
    return costs
