"""Whatever the order, the batches, the repeats and the crashes: the same archives. Each world is drawn afresh; its seed is shown."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from worlds import World, account, business, send

from spark_jobs import session


class Readers:
    """Somebody who reads all the time; what each view shows must belong to one release, whole."""

    VIEWS = ("gold.archive_subject", "gold.mart_registrations_monthly", "gold.mart_subject_marks_monthly", "silver.subject_registration")

    def __init__(self, published: Any) -> None:
        self.seen: set[tuple[Any, ...]] = set()
        self.failed: list[str] = []
        self._published, self._on = published, True
        self._thread = threading.Thread(target=self._read, daemon=True)

    @classmethod
    def look(cls, published: Any) -> set[tuple[Any, ...]]:
        """``(view, first release id, last release id, number of rows)`` of each view."""
        parts = [f"SELECT '{view}', min(release_id), max(release_id), count(*) FROM lake.{view}" for view in cls.VIEWS]
        return set(map(tuple, published.ask("analyst", " UNION ALL ".join(parts))))

    def _read(self) -> None:
        while self._on:
            try:
                self.seen |= self.look(self._published)
            except Exception as error:  # any failure is one that a reader would see
                self.failed.append(f"{type(error).__name__}: {error}")
            time.sleep(0.5)

    def __enter__(self) -> Readers:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._on = False
        self._thread.join(60)


def kill_when(published: Any, eventually: Any, step: str, sign: Any, what: str) -> None:
    """When ``sign`` is given while a step's program runs, kill that program and Spark, at once."""
    eventually(lambda: published.programs(f"spark_jobs.pipeline {step}") and sign(), 600, what, 0.1)
    before = published.pids()["spark"]
    for pid in (*published.programs(f"spark_jobs.pipeline {step}"), before):
        published.kill(pid, signal.SIGKILL)
    eventually(lambda: published.pids()["spark"] not in (0, before), 60, "a new Spark")


def task_log(published: Any, step: str) -> str:
    files = sorted((published.state / "logs" / "airflow-tasks" / f"dag_id={step}").rglob("*.log"), key=lambda p: p.stat().st_mtime)
    return files[-1].read_text(errors="replace") if files else ""


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_any_order_any_batches_repeats_and_crashes_give_the_same_archives(published, eventually):
    """Copy A comes in two batches in a drawn order, B at once and twice, C at once while Spark and three programs are killed."""
    seed = random.SystemRandom().randrange(10**9)
    print(f"seed {seed}")
    world, order = World(seed), random.Random(seed)
    a, b, c = (f"{letter}{seed % 10**5:05}" for letter in "ABC")
    mine = {tag: [*world.files(tag), *world.others(tag)] for tag in (a, b, c)}
    first, then = (lambda drawn: (drawn[:4], drawn[4:]))(order.sample(mine[a], len(mine[a])))
    for file in first:
        send(published, file)
    for file in mine[b]:
        send(published, file)
        send(published, file, again="again-")
    published.lake("run")

    for file in [*then, *mine[c]]:
        send(published, file)
    before = Readers.look(published)
    with Readers(published) as readers:
        run = published.background_run()
        bronze = published.state / "warehouse" / "bronze.db" / "registration_subjects" / "_delta_log"
        written = len(list(bronze.glob("*.json")))
        kill_when(published, eventually, "ingest", lambda: len(list(bronze.glob("*.json"))) > written, "rows in bronze that the ledger does not know")
        kill_when(published, eventually, "gold", lambda: "START sql incremental model" in task_log(published, "gold"), "a model under way in dbt")
        kill_when(published, eventually, "publish", lambda: True, "the start of publish")
        eventually(lambda: run.poll() is not None, 900, "the end of the run", 1)
        said = run.stdout.read()
    assert run.returncode == 0, said
    with psycopg.connect(**published.database("airflow")) as airflow:
        tries = dict(airflow.execute("SELECT task_id, max(try_number) FROM task_instance GROUP BY task_id").fetchall())
    assert min(tries[task] for task in ("feed", "gold", "publish")) >= 2, "Airflow started each killed program again"
    after = Readers.look(published)
    assert max(r[2] for r in before) < min(r[1] for r in after), "a new release"
    assert not readers.failed
    assert before <= readers.seen <= before | after, "in each view readers saw the old release or the new one, whole"

    archives = business(published, a)
    assert archives["gold.archive_subject"], "the world has subjects"
    assert archives["silver.penalties"], "and penalties"
    assert business(published, b) == archives, f"all at once and twice, seed {seed}"
    assert business(published, c) == archives, f"with crashes, seed {seed}"
    accounts = {tag: account(published, tag) for tag in (a, b, c)}
    assert {n: parts[0] for tag in (a, c) for n, parts in accounts[tag].items()} == {n: len(r) for tag in (a, c) for n, _, r in mine[tag]}
    assert all(arrived == sum(parts) for of in accounts.values() for arrived, *parts in of.values())
    total = {tag: [sum(column) for column in zip(*of.values(), strict=True)] for tag, of in accounts.items()}
    assert total[a] == total[c]
    # Twice the rows: as much applied, the other copies are duplicates (or superseded like the first).
    assert (total[b][0], total[b][1], total[b][4]) == (2 * total[a][0], total[a][1], 2 * total[a][4])


ARRANGEMENTS, TWICE = 4, 3


def arrangements(draw: random.Random, worlds: int) -> Iterator[tuple[Any, ...]]:
    """Records of many small worlds, each in several arrangements: other orders and times of arrival, repeats, other ids of deliveries."""
    for world in range(worlds):
        names, days = ["甲", "乙", "丙"][: draw.randint(1, 3)], [f"2019-0{m}-01" for m in range(1, 4)]
        dates = ["2018-01-01", "2018-02-02", "2018-03-03"][: draw.randint(1, 3)]
        base = [
            (draw.choice("12"), draw.choice(names), draw.choice(dates), draw.choice(days), draw.choice((0, 0, 1)), f"h{draw.randint(1, 3)}")
            for _ in range(draw.randint(1, 7))
        ]
        # A content says the name and the date of registration, too.
        base = [(*r[:5], f"{r[5]}/{r[1]}/{r[2]}") for r in base]
        for arrangement in range(ARRANGEMENTS):
            rows = draw.sample(base, len(base))
            if arrangement == TWICE:
                rows = draw.sample(base * 2, 2 * len(base))
            for number, (key, name, date, day, revision, content) in enumerate(rows):
                yield (
                    world, arrangement, f"D{draw.randrange(10**6)}/{world}/{arrangement}", number, "uscc", f"{world}/{arrangement}/{key}", name, date, day, revision, content,
                    f"2020-01-{draw.randint(1, 28):02}",
                )  # fmt: skip


def test_no_order_of_arrival_changes_a_history(published):
    """Hundreds of small worlds in one pass of the program's own statements: keys, links, contested codes, outcomes."""
    from spark_jobs.history import outcomes
    from spark_jobs.identity.keys import assign_subjects

    seed = random.SystemRandom().randrange(10**9)
    print(f"seed {seed}")
    columns = "world INT, arrangement INT, delivery_id STRING, row_number INT, key_kind STRING, key_value STRING, normalized_name STRING, registration_date STRING, effective_from STRING, source_revision INT, content_hash STRING, known_at STRING"
    typed = ["registration_date::date AS registration_date", "effective_from::date AS effective_from", "known_at::timestamp AS known_at"]
    spark = session.connect(published.context)
    try:
        frame = spark.createDataFrame(list(arrangements(random.Random(seed), 300)), columns)
        kept = [c for c in frame.columns if c not in ("registration_date", "effective_from", "known_at")]
        records = frame.selectExpr(*kept, *typed)
        of_few, placed = [], []
        for many, rows in ((False, of_few), (True, placed)):  # the two ways in which Spark works out a run's statements
            session.plan_for(spark, many, 4)
            rows += outcomes(assign_subjects(records.drop("world", "arrangement"))).join(records, ["delivery_id", "row_number"]).collect()
        assert sorted(map(repr, of_few)) == sorted(map(repr, placed))
    finally:
        spark.stop()
    histories: dict[int, dict[int, dict[str, set[Any]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(set)))
    parts: dict[tuple[int, int], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for r in placed:
        parts[r.world, r.arrangement][r.fact_outcome] += 1
        if r.fact_outcome == "applied":
            history = (r.key_value.rsplit("/", 1)[1], r.normalized_name, r.effective_from, r.content_hash, r.is_conflict)
            histories[r.world][r.arrangement][r.subject_id].add(history)
    assert len(histories) == 300
    assert {o for p in parts.values() for o in p} == {"applied", "superseded", "duplicate"}, "the worlds have all outcomes"
    for world, arranged in histories.items():
        told = [sorted(map(sorted, subjects.values())) for subjects in arranged.values()]
        assert len(told) == ARRANGEMENTS
        assert all(t == told[0] for t in told), f"world {world} of seed {seed}"
    for world in histories:
        first, twice = parts[world, 0], parts[world, TWICE]
        assert sum(twice.values()) == 2 * sum(first.values())
        assert twice["applied"] == first["applied"]
