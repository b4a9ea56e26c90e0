"""The exchange database: what others change there arrives once, whatever is late, deleted, renamed, cut or killed."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psycopg
import pytest
from platform_pages import Platform, serving

from infra.services.postgres import connect

FEED = "tax_flags"
COLUMNS = ("统一社会信用代码", "企业名称", "所属期", "纳税状态", "纳税信用等级", "认定日期")
SHAPE = f"{', '.join(f'{c} text' for c in COLUMNS)}, 更新时间 timestamptz, PRIMARY KEY (统一社会信用代码, 所属期)"
READ = "SELECT 统一社会信用代码, 所属期, 纳税状态 FROM share.tax_flags ORDER BY 1, 2"


class Source:
    """The table as its owner sees it."""

    def __init__(self, stack: Any) -> None:
        self._stack = stack
        self.tag = f"{random.SystemRandom().randrange(10**6):06}"  # of this session: a kept stack has seen others
        with self.connection() as c:
            c.execute("CREATE SCHEMA IF NOT EXISTS share")
            c.execute("DROP TABLE IF EXISTS share.tax_flags, share.kept")
            c.execute(f"CREATE TABLE share.tax_flags ({SHAPE})")

    def connection(self, **more: Any) -> psycopg.Connection:
        return connect(self._stack.context, "exchange", **more)

    def put(self, connection: psycopg.Connection, number: int, status: str, changed: str = "clock_timestamp()") -> None:
        connection.execute(
            f"INSERT INTO share.tax_flags VALUES (%s, %s, '2026Q3', %s, 'A', '2026-10-15', {changed})"
            " ON CONFLICT (统一社会信用代码, 所属期) DO UPDATE SET 纳税状态 = excluded.纳税状态, 更新时间 = excluded.更新时间",
            (f"{self.tag}{number:09}", f"演示第{number}号", status),
        )

    def rows(self) -> list[tuple[str, str, str]]:
        with self.connection() as c:
            return c.execute(READ).fetchall()


@pytest.fixture(scope="module")
def source(published) -> Iterator[Source]:
    made = Source(published)
    yield made
    with made.connection() as c:
        c.execute("DROP TABLE share.tax_flags")


def arrived(published: Any, tag: str) -> list[dict[str, str]]:
    """What bronze holds of the source's rows, in the order of the readings."""
    sql = f"""SELECT b.credit_code, b.tax_status, b.record_state, b.source_changed_at, d.file_name FROM lake.bronze.tax_flags b
        JOIN lake.ops.deliveries d ON d.delivery_id = b.delivery_id WHERE b.credit_code LIKE '{tag}%' ORDER BY d.file_name, b.row_number"""
    return [dict(zip(("code", "status", "state", "changed", "file"), row, strict=True)) for row in published.ask("steward", sql)]


def test_what_changes_arrives_once(published, source):
    with source.connection() as c:
        for number in range(60):
            source.put(c, number, "正常")
        c.execute("INSERT INTO share.tax_flags VALUES (%s, '演示没有时间', '2026Q3', '正常', 'A', '2026-10-15', NULL)", (f"{source.tag}900000000",))
    published.step("ingest")
    assert [(r["status"], r["state"]) for r in arrived(published, source.tag)] == [("正常", "")] * 60

    # A row is changed and its transaction stays open while others go on.
    with source.connection(autocommit=False) as late, source.connection() as c:
        source.put(late, 1, "迟交")
        source.put(c, 2, "非正常")
        source.put(c, 100, "正常")
        published.step("ingest")
        assert {(r["code"][-9:], r["status"]) for r in arrived(published, source.tag)[60:]} == {("000000002", "非正常"), ("000000100", "正常")}
        late.commit()
    published.step("ingest")
    published.step("ingest")
    assert [(r["code"][-9:], r["status"]) for r in arrived(published, source.tag)[62:]] == [("000000001", "迟交")]


def test_what_no_time_tells_is_found_by_comparison(published, source):
    before = len(arrived(published, source.tag))
    with source.connection() as c:
        c.execute("DELETE FROM share.tax_flags WHERE 统一社会信用代码 IN (%s, %s)", (f"{source.tag}000000003", f"{source.tag}000000004"))
        source.put(c, 5, "非正常", "timestamptz '2026-01-01 00:00:00+08'")  # by a machine whose clock stands
    published.step("ingest")
    assert len(arrived(published, source.tag)) == before
    published.lake("exchange", "--compare", FEED)
    published.step("ingest")
    found = {(r["code"][-9:], r["status"], r["state"]) for r in arrived(published, source.tag)[before:]}
    assert found == {("000000003", "", "删除"), ("000000004", "", "删除"), ("000000005", "非正常", ""), ("900000000", "正常", "")}
    # A record comes back from a backup, as it was.
    with source.connection() as c:
        source.put(c, 3, "正常", "timestamptz '2026-01-02 00:00:00+08'")
    published.lake("exchange", "--compare", FEED)
    published.step("ingest")
    published.lake("exchange", "--compare", FEED)
    published.step("ingest")
    (back,) = arrived(published, source.tag)[before + 4 :]
    assert (back["code"][-9:], back["status"]) == ("000000003", "正常")
    assert not back["changed"].startswith("2026-01-0")


def test_an_emptied_source_deletes_nothing(published, source):
    before = len(arrived(published, source.tag))
    with source.connection() as c:
        c.execute("ALTER TABLE share.tax_flags RENAME TO kept")
        c.execute(f"CREATE TABLE share.tax_flags ({SHAPE})")
    try:
        published.lake("exchange", "--compare", FEED)
        published.step("ingest")
        assert len(arrived(published, source.tag)) == before
        assert "多半是误清空" in published.lake("exchange").stdout
    finally:
        with source.connection() as c:
            c.execute("DROP TABLE share.tax_flags")
            c.execute("ALTER TABLE share.kept RENAME TO tax_flags")
    published.lake("exchange", "--compare", FEED)
    published.step("ingest")
    assert len(arrived(published, source.tag)) == before
    assert "多半是误清空" not in published.lake("exchange").stdout


@pytest.mark.long
def test_a_renamed_column_stops_the_feed_and_nothing_is_lost(published, source):
    before = len(arrived(published, source.tag))
    with source.connection() as c:
        source.put(c, 6, "迟交")
        c.execute("ALTER TABLE share.tax_flags RENAME 纳税状态 TO 状态名称")
    done = published.step("ingest")
    assert "状态名称" in done.stdout
    assert "状态名称" in published.lake("exchange").stdout
    with source.connection() as c:
        c.execute("ALTER TABLE share.tax_flags RENAME 状态名称 TO 纳税状态")
        c.execute("ALTER TABLE share.tax_flags RENAME 更新时间 TO 时间")
    assert "来源更新时间" in published.step("ingest").stdout
    assert len(arrived(published, source.tag)) == before
    with source.connection() as c:
        c.execute("ALTER TABLE share.tax_flags RENAME 时间 TO 更新时间")
    published.step("ingest")
    assert [(r["code"][-9:], r["status"]) for r in arrived(published, source.tag)[before:]] == [("000000006", "迟交")]


@pytest.mark.parametrize("injury", ["after a reading is noted", pytest.param("before a reading is noted", marks=pytest.mark.long)])
def test_a_killed_reading_is_made_once(published, source, injury):
    before = len(arrived(published, source.tag))
    number = 7 if injury.startswith("after") else 8
    with source.connection() as c:
        source.put(c, number, "迟交")
    kill = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    noting = "from infra.ledger import Ledger\nnote = Ledger.note_pull\n"
    noting += f"def killed(*a, **k):\n    {'note(*a, **k)' if injury.startswith('after') else 'pass'}\n    {kill}\nLedger.note_pull = killed"
    assert published.step("ingest", noting, check=False).returncode == -9
    published.step("ingest")
    published.step("ingest")
    assert [(r["code"][-9:], r["status"]) for r in arrived(published, source.tag)[before:]] == [(f"{number:09}", "迟交")]


def test_pages_of_a_platform_become_a_delivery(published):
    platform = Platform(size=2)
    tag = f"{random.SystemRandom().randrange(10**6):06}"
    platform.records = [
        (
            f"2026-02-{n:02}",
            {"编号": f"YQ{tag}{n}", "发布时间": f"2026-02-{n:02} 09:00:00", "来源": "演示网", "标题": "演示", "涉及主体": "", "情感": "正面"},
        )
        for n in range(1, 6)
    ]
    platform.failing = ["", "cut", "busy"]
    with serving(platform) as base:
        published.write_settings(pages={"base": base})
        try:
            published.step("ingest")
            published.step("ingest")
        finally:
            published.write_settings()
    assert "HTTP /opinions" in published.lake("exchange").stdout
    sql = f"SELECT opinion_number FROM lake.bronze.public_opinion WHERE opinion_number LIKE 'YQ{tag}%' ORDER BY 1"
    assert published.ask("steward", sql) == [[f"YQ{tag}{n}"] for n in range(1, 6)]


def test_records_stand_as_the_source_says(published, source, ingested):
    assert standing(published, source.tag) == source.rows()
    secret = json.loads((published.state / "secrets" / "secrets.json").read_text())["postgres_exchange"]
    logs = [p for p in (published.state / "logs").rglob("*") if p.is_file() and secret in p.read_text(errors="replace")]
    assert logs == []


def standing(published: Any, tag: str) -> list[tuple[str, str, str]]:
    """The records that stand."""
    sql = f"""SELECT credit_code, tax_period, tax_status FROM (
            SELECT *, row_number() OVER (PARTITION BY record_id ORDER BY effective_from DESC) AS n FROM lake.silver.tax_flags
            WHERE fact_outcome = 'applied' AND credit_code LIKE '{tag}%')
        WHERE n = 1 AND fact_state = 'active' ORDER BY 1, 2"""
    return [tuple(row) for row in published.ask("steward", sql)]  # others see a mask


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_ten_minutes_of_writers_and_cuts(published, source):
    """Writers insert, change and delete at once, some with slow transactions and wrong clocks; every 30 seconds all connections are cut."""
    end, stop = time.monotonic() + 600, threading.Event()
    cuts: list[int] = []

    def write(seed: int) -> None:
        g = random.Random(f"{source.tag}{seed}")
        with source.connection(autocommit=False) as c:
            while not stop.is_set():
                for _ in range(g.randrange(1, 8)):
                    number, kind = 10_000 + g.randrange(3_000), g.random()
                    if kind < 0.1:
                        c.execute("DELETE FROM share.tax_flags WHERE 统一社会信用代码 = %s", (f"{source.tag}{number:09}",))
                    else:
                        skew = f"clock_timestamp() + interval '{g.randrange(-120, 120)} seconds'" if g.random() < 0.2 else "clock_timestamp()"
                        source.put(c, number, g.choice(["正常", "迟交", "非正常"]), skew)
                    if g.random() < 0.3:
                        time.sleep(g.random() * 0.5)
                if g.random() < 0.01:
                    time.sleep(20)  # a transaction that stays open
                with suppress(psycopg.errors.DeadlockDetected):
                    c.commit()
                time.sleep(0.02)

    def retrying(seed: int) -> None:
        while not stop.is_set():
            with suppress(psycopg.errors.DeadlockDetected):
                write(seed)

    def cut() -> None:
        with connect(published.context, "exchange", superuser=True) as c:
            while not stop.wait(30):
                (number,) = c.execute(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = 'exchange' AND application_name LIKE '%JDBC%'"
                ).fetchone()
                cuts.append(number)

    threads = [threading.Thread(target=retrying, args=(seed,)) for seed in range(4)] + [threading.Thread(target=cut)]
    for thread in threads:
        thread.start()
    try:
        while time.monotonic() < end:
            published.step("ingest", check=False)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    published.lake("exchange", "--compare", FEED)
    published.publish()
    truth = source.rows()
    assert standing(published, source.tag) == truth
    assert len(truth) > 2_000
    with published.ledger() as ledger:
        readings = ledger.execute("SELECT count(*), sum(row_count), count(problem) FROM pull WHERE feed = %s", (FEED,)).fetchone()
    print(f"readings, rows, problems: {readings}; connections cut at each of {len(cuts)} times: {cuts}; records: {len(truth)}")
    # Nothing came twice: no two rows of bronze are alike.
    rows = [(r["code"], r["status"], r["state"], r["changed"]) for r in arrived(published, source.tag)]
    assert len(set(rows)) == len(rows)
