"""Faults of machines and programs, injected for real: what must hold afterwards is the same each time, nothing lost and nothing twice."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from worlds import World, account, business, send

from infra.settings import REPO

STEPS = ("ingest", "silver", "gold", "publish")
FEED = "bronze.registration_subjects"


def rows(prefix: str, number: int) -> list[str]:
    return [f"广州市测试{prefix}{n}号有限公司,,2019-03-0{n % 9 + 1},广州市天河区演示路{n}号" for n in range(number)]


def in_bronze(published: Any, name: str) -> int:
    sql = f"SELECT count(*) FROM lake.{FEED} b JOIN lake.ops.deliveries d ON d.delivery_id = b.delivery_id WHERE d.file_name = '{name}'"
    return int(published.ask("steward", sql)[0][0])


def tag() -> str:
    drawn = f"F{random.SystemRandom().randrange(10**5):05}"
    print(f"tag {drawn}")
    return drawn


# ---- a second writer, an orphan that commits late ----


def test_a_second_spark_server_on_the_same_warehouse_does_not_start(published):
    """On a local disk two servers writing one table can both be told "success"."""
    program = (
        "from pathlib import Path; import sys; from infra.services.spark import hold_warehouse; hold_warehouse(Path(sys.argv[1])); print('held')"
    )
    done = published.python(program, str(published.state / "warehouse"), check=False)
    assert done.returncode != 0
    assert "is written by another Spark server" in done.stderr
    assert published.python(program, str(published.state / "scratch")).stdout == "held\n"


SLOW = """
from spark_jobs import delta
from pyspark.sql import functions as F
write = delta.write
def slowly(frame, *more):
    print('writing', flush=True)
    write(frame.where("coalesce(reflect('java.lang.Thread', 'sleep', bigint(length(delivery_id)) * 60), '') = ''"), *more)
delta.write = slowly
"""


@pytest.mark.long
def test_what_an_orphan_still_commits_after_its_program_was_killed_does_not_count_twice(published, eventually):
    """The statement goes on in Spark when its client is gone; the next writer ends it, and shuts out what may still come of it."""
    name = f"orphan-{tag()}.csv"
    published.send(name, rows(name[7:13], 20))
    with published.slow_step("ingest", SLOW) as program:
        eventually(lambda: "writing" in Path(program.log).read_text(), 60, "the statement is under way")
        time.sleep(2)
        program.process.send_signal(signal.SIGKILL)
        program.process.wait()
    said = published.step("ingest").stdout
    assert "ending the session" in said
    time.sleep(25)  # as long as the orphan would have slept
    assert in_bronze(published, name) == 20
    for step in STEPS[1:]:
        published.step(step)
    assert in_bronze(published, name) == 20


# ---- power cut ----

SYNCED = """
import os
from infra import ledger, store
from infra.delta_log import DeltaLog
synced, sync = set(), os.fsync
def fsync(descriptor):
    synced.add(os.readlink(f'/proc/self/fd/{descriptor}'))
    sync(descriptor)
os.fsync = fsync
loaded = ledger.Ledger.loaded
def acknowledged(self, identities):
    from infra import settings
    folder = store.folder_of(settings.load(), 'bronze.registration_subjects')
    log = DeltaLog(folder)
    newest, before = log.snapshot(log.newest), log.snapshot(log.newest - 1)
    needed = {str(folder / p) for p in newest.paths - before.paths} | {str(folder / '_delta_log' / f'{log.newest:020}.json')}
    print('to sync:', len(needed), 'lost in a power cut:', sorted(needed - synced), flush=True)
    loaded(self, identities)
ledger.Ledger.loaded = acknowledged
"""


@pytest.mark.parametrize(("weakness", "kept"), [("", True), ("pipeline.delta.settle = lambda *arguments: 0", False)], ids=["as it is", "weakened"])
def test_the_ledger_names_nothing_that_a_power_cut_could_take(published, weakness, kept):
    """Delta does not fsync on a local disk: before the ledger says `loaded`, every file that the rows need must be on it."""
    name = f"power-{tag()}.csv"
    published.send(name, rows(name[6:12], 3))
    said = published.step("ingest", SYNCED + weakness).stdout
    assert "to sync:" in said
    assert ("lost in a power cut: []" in said) == kept, said


# ---- what other programs forget ----


@pytest.mark.long
def test_airflow_s_memory_may_be_lost(published):
    """Its database restored from yesterday knows nothing of today's runs: the ledger decides what is done."""
    t = tag()
    first, second, *_ = World(int(t[1:])).files(t)
    send(published, first)
    published.lake("run")
    before = account(published, t)
    with psycopg.connect(**published.database("airflow"), autocommit=True) as airflow:
        airflow.execute("TRUNCATE dag_run, task_instance, asset_event, asset_dag_run_queue CASCADE")
    send(published, second)
    published.lake("run")
    after = account(published, t)
    assert set(after) - set(before) == {second[0]}
    assert {n: sum(a[1:]) for n, a in after.items()} == {n: len(r) for n, _, r in (first, second)}
    assert in_bronze(published, first[0]) == len(first[2])


@pytest.mark.long
def test_a_restarted_trino_shows_the_release_of_the_ledger(published, eventually):
    with published.ledger() as ledger:
        ((release, rows),) = ledger.execute(
            """SELECT release_id, row_count FROM release_table
               WHERE table_name = 'gold_tables.archive_subject' ORDER BY release_id DESC LIMIT 1"""
        ).fetchall()
    before = published.pids()["trino"]
    published.kill(before, signal.SIGKILL)
    eventually(lambda: published.pids()["trino"] not in (0, before), 60, "a new Trino")
    sql = "SELECT (SELECT max(release_id) FROM lake.ops.releases), (SELECT count(*) FROM lake.gold.archive_subject)"
    eventually(lambda: published.ask("analyst", sql) == [[release, rows]], 120, "readers see the release again", 2)


# ---- clearing away too much ----


@pytest.mark.long
def test_cleaning_refuses_what_a_kept_release_needs_and_harms_no_reader(published):
    refused = published.lake("maintain", "--hours", "168", check=False)
    assert refused.returncode == 1
    assert "可能还要恢复" in refused.stderr
    sql = "SELECT count(*), max(release_id) FROM lake.gold.archive_subject"
    before = published.ask("leader", sql)
    assert "清理了" in published.lake("maintain").stdout
    assert published.ask("leader", sql) == before
    assert published.lake("check").returncode == 0


# ---- a full disk ----


@contextmanager
def small_disk(folder: Path, spare: int) -> Iterator[Any]:
    """The folder on a disk of its own with ``spare`` bytes left; gives a function that makes it large."""
    aside = folder.with_name(f"{folder.name}.aside")
    used = int(subprocess.run(["du", "-s", "-B1", "--apparent-size", str(folder)], capture_output=True, text=True, check=True).stdout.split()[0])
    blocks = int(subprocess.run(["du", "-s", "-B1", str(folder)], capture_output=True, text=True, check=True).stdout.split()[0])
    subprocess.run(["cp", "-a", str(folder), str(aside)], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={max(used, blocks) + spare},mode=0700", "tmpfs", str(folder)], check=True)
    try:
        subprocess.run(["cp", "-a", f"{aside}/.", f"{folder}/"], check=True)
        yield lambda: subprocess.run(["mount", "-o", "remount,size=4g", str(folder)], check=True)
        shutil.rmtree(aside)
        subprocess.run(["cp", "-a", str(folder), str(aside)], check=True)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
        shutil.rmtree(folder)
        aside.rename(folder)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
@pytest.mark.parametrize(
    ("folder", "step"),
    [("landing/records/registration_subjects", "ingest"), ("warehouse/bronze.db", "ingest"), ("warehouse/silver_tables.db", "silver")],
)
def test_a_full_disk_stops_a_step_with_a_clear_word_and_nothing_else(published, folder, step):
    name = f"full-{tag()}.csv"
    noise = random.Random(name)
    content = [f"{row}{''.join(noise.choices('甲乙丙丁戊己庚辛壬癸子丑寅卯辰巳午未申酉戌亥', k=400))}" for row in rows(name[5:11], 1500)]
    before = published.ask("leader", "SELECT max(release_id), count(*) FROM lake.gold.archive_subject")
    published.send(name, content)
    for earlier in STEPS[: STEPS.index(step)]:
        published.step(earlier)
    with small_disk(published.state / folder, 64 * 1024) as enlarge:
        failed = published.step(step, check=False)
        assert failed.returncode == 1, failed.stdout + failed.stderr
        assert "No space left" in failed.stderr
        assert "free some disk space" in failed.stderr
        assert "Traceback" not in failed.stderr
        assert published.ask("leader", "SELECT max(release_id), count(*) FROM lake.gold.archive_subject") == before
        enlarge()
        for again in STEPS[STEPS.index(step) :]:
            published.step(again)
    assert in_bronze(published, name) == 1500
    assert published.ask("leader", "SELECT count(*) FROM lake.gold.archive_subject") == [[before[0][1] + 1500]]


# ---- kill -9, again and again ----

ROUNDS = 30
LASTS = {"ingest": 12, "silver": 35, "gold": 30, "publish": 15}  # seconds within which a program is killed


@pytest.mark.long
@pytest.mark.timeout(3 * 3600)
def test_thirty_kills_over_sixty_deliveries_change_nothing(published, eventually):
    """Two deliveries a round; a program, Spark or both are killed at a random moment of a random step, then the step is started again."""
    t, calm = tag(), "C" + tag()[1:]
    draw = random.Random(t)
    print(f"seed {t}")
    worlds = [World(draw.randrange(10**9)) for _ in range(12)]
    schedule = [(n, file) for n, world in enumerate(worlds) for file in world.files(f"{t[0]}{n:02}{t[3:]}")][: 2 * ROUNDS]
    undisturbed = [file for n, world in enumerate(worlds) for file in world.files(f"{calm[0]}{n:02}{t[3:]}")][: 2 * ROUNDS]
    draw.shuffle(schedule)
    struck = 0
    for number in range(ROUNDS):
        for _, file in schedule[2 * number : 2 * number + 2]:
            send(published, file)
        victim, target = draw.choice(STEPS), draw.choice(("program", "spark", "both"))
        for step in STEPS:
            if step == victim:
                struck += strike(published, eventually, step, target, draw.uniform(1, LASTS[step]))
            published.step_until_done(step)
        print(f"round {number + 1}: {victim}, {target}", flush=True)
    print(f"{struck} of {ROUNDS} struck while the step ran")
    for file in undisturbed:
        send(published, file)
    for step in STEPS:
        published.step_until_done(step)
    for n in range(len(worlds)):
        with_kills, without = f"{t[0]}{n:02}{t[3:]}", f"{calm[0]}{n:02}{t[3:]}"
        assert business(published, with_kills) == business(published, without), f"world {n} of {t}"
        assert account(published, with_kills).keys() == {f.replace(without, with_kills) for f in account(published, without)}
        assert sum(map(sum, account(published, with_kills).values())) == sum(map(sum, account(published, without).values()))
    assert published.lake("check", timeout=900).returncode == 0
    assert struck > ROUNDS / 2


def strike(published: Any, eventually: Any, step: str, target: str, after: float) -> bool:
    """Start a step, kill it (or Spark, or both) after so many seconds; whether it was still running."""
    with published.slow_step(step) as program:
        time.sleep(after)
        running = program.process.poll() is None
        spark = published.pids()["spark"]
        if target in ("program", "both"):
            program.process.send_signal(signal.SIGKILL)
        if target in ("spark", "both"):
            published.kill(spark, signal.SIGKILL)
            eventually(lambda: published.pids()["spark"] not in (0, spark), 60, "a new Spark")
        program.process.wait(600)
    return running


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_too_little_memory_fails_or_spills_but_never_publishes_half(published):
    """Everything is built anew by a Spark of 512 MB: it ends well, or the release stays as it was and a larger one ends well."""
    sql = "SELECT count(*), sum(fact_count) FROM lake.gold.archive_subject"
    before = published.ask("leader", sql)
    release = published.ask("leader", "SELECT max(release_id) FROM lake.gold.archive_subject")
    anew = "pipeline.build_id = lambda *parts: 'drawn anew'"
    published.restart_with(spark="512m")
    try:
        codes = [published.step(step, anew, check=False).returncode for step in STEPS[1:]]
        assert published.ask("leader", sql) == before
        if any(codes):
            assert published.ask("leader", "SELECT max(release_id) FROM lake.gold.archive_subject") == release
    finally:
        published.restart_with()
    for step in STEPS[1:]:
        published.step(step, anew, check=False)
    assert published.ask("leader", sql) == before


def test_every_fault_has_its_test():
    """The list of faults in docs/faults.md names tests that exist."""
    text = (REPO / "docs" / "faults.md").read_text(encoding="utf-8")
    written = "".join(p.read_text(encoding="utf-8") for p in sorted((REPO / "tests").rglob("test_*.py")))
    named = set(re.findall(r"`(test_\w+)`", text))
    assert len(named) > 25
    assert [name for name in sorted(named) if f"def {name}(" not in written] == []
