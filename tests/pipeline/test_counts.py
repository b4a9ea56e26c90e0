"""What a day costs, in numbers that don't depend on the machine: Spark's jobs and stages, and what is written to tables.

Seen on 2026-11-27: 20, 256, 132 (191 where a table must be set back first) and 23 jobs, each of one stage, 116 files of 404,711 bytes; at the
day's beginning 27, 414, 381, 37, 160 and 683,334. A limit is a tenth more than was seen, and room for the checkpoints that some commits
write. Where a change makes a step cheaper, its limit goes down with it.
"""

import random
import re

STEPS = ("ingest", "silver", "gold", "publish")
JOBS = {"ingest": 29, "silver": 285, "gold": 215, "publish": 34}
STAGES = {"ingest": 29, "silver": 285, "gold": 215, "publish": 34}
FILES, BYTES = 135, 550_000


def test_a_small_delivery_costs_no_more_jobs_stages_files_and_bytes_than_noted(published):
    log, warehouse = published.state / "logs" / "spark.log", published.state / "warehouse"
    tag = random.SystemRandom().randrange(10**6)
    published.send(f"counted-{tag}.csv", [f"广州市测试计数{tag}有限公司,,2019-03-02,演示路1号"])
    before = {p for p in warehouse.rglob("*") if p.is_file()}
    jobs, stages = {}, {}
    for step in STEPS:
        begin = log.stat().st_size
        published.step(step)
        said = log.read_bytes()[begin:].decode(errors="replace")
        jobs[step], stages[step] = len(re.findall(r"Got (?:map stage )?job \d", said)), len(re.findall(r"Submitting \d+ missing tasks", said))
    # Work tables hold what a run writes down for itself: it is paid for too.
    new = [p for p in warehouse.rglob("*") if p.is_file() and p not in before]
    written = sum(p.stat().st_size for p in new)
    print(f"jobs {jobs}, stages {stages}, {len(new)} files, {written} bytes")
    assert all(jobs[step] > 0 for step in STEPS), "Spark's log tells its jobs"
    assert {s: n for s, n in jobs.items() if n > JOBS[s]} == {}
    assert {s: n for s, n in stages.items() if n > STAGES[s]} == {}
    assert len(new) <= FILES
    assert written <= BYTES
