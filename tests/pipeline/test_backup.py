"""The drill: back up, restore to an empty instance on another path and other ports, and find everything as it was.

The restored instance takes the place of the first one, which is stopped meanwhile: two stacks want more memory than a small machine has.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from catalog.contract import load_contracts
from catalog.derive import all_tables, checksum_sql, table_name
from infra.backup import IMMUTABLE
from infra.backup_store import Manifest, Store
from infra.delta_log import DeltaLog
from infra.services import postgres, superset
from infra.services.trino import as_publisher
from infra.settings import REPO

pytestmark = pytest.mark.long
ROOT = os.geteuid() == 0
CONTRACTS = {table_name(c): c for c in all_tables(load_contracts()).values()}
# A backup during which the databases write on, more than their log keeps of itself.
BUSY = """
import sys
from pathlib import Path
from rich.console import Console
from infra import backup, credentials, settings
from infra.services.base import Context
from infra.services.postgres import base_backup, connect

current = settings.load()
context = Context(current, credentials.load(current))
real, seen = base_backup.copy, []

def copy(context, label, take, take_bytes):
    def busy(path):
        take(path)
        if len(seen) < 3:
            seen.append(path)
            with connect(context, 'exchange') as exchange, connect(context, 'exchange', superuser=True) as superuser:
                if len(seen) == 1:
                    exchange.execute('DROP TABLE IF EXISTS meanwhile')
                    exchange.execute('CREATE TABLE meanwhile (n bigint, filler text)')
                exchange.execute("INSERT INTO meanwhile SELECT n, repeat('x', 500) FROM generate_series(1, 20000) n")
                superuser.execute('SELECT pg_switch_wal()')
                superuser.execute('CHECKPOINT')
    real(context, label, busy, take_bytes)

base_backup.copy = copy
backup.make(context, Path(sys.argv[1]), Console())
"""
# What the restored ledger says, asked without starting anything but the database.
LEDGER = """
import json
from infra import credentials, settings
from infra.ledger import Ledger
from infra.services import postgres
from infra.services.base import Context

current = settings.load()
context = Context(current, credentials.load(current))
with postgres.serving(context), Ledger(context) as ledger:
    kind, parent = ledger.releases()[0][1:3]
    tables = [(t.table_name, t.version) for t in ledger.release_tables(ledger.current_release())]
    print(json.dumps({'kind': kind, 'parent': parent, 'tables': tables, 'live': ledger.live_run(), 'left': ledger.run_state('left-behind')}))
"""


@pytest.fixture(scope="module")
def destination(published: Any) -> Iterator[Path]:
    """An empty folder that belongs to the service user, outside of the checkout."""
    folder = Path(tempfile.mkdtemp(prefix="lake-backup-"))
    if ROOT:
        shutil.chown(folder, "lake", "lake")
    yield folder / "store"
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def first(published: Any, destination: Path) -> Manifest:
    """The first backup of the demonstrated stack."""
    print(published.lake("backup", str(destination)).stdout)
    return Store(destination).manifest()


@pytest.fixture(scope="module")
def second(published: Any, destination: Path, first: Manifest) -> Manifest:
    """A backup after a further delivery."""
    names = [f"广州市演示备份{first.release}之{i}有限公司" for i in (1, 2, 3)]
    published.send(f"备份之间{first.release}.csv", [f"{name},,2019-08-01,广州市天河区演示路1号" for name in names])
    published.lake("run", timeout=900)
    print(published.python(BUSY, str(destination)).stdout)
    return Store(destination).manifest()


@pytest.fixture(scope="module")
def restored(published: Any) -> Iterator[Any]:
    """An instance on another path and other ports, with nothing in it but its settings."""
    instance = type(published._stack)("test-restored", 4000, memory_available_gib=3)
    instance.remove()
    instance.write_settings()
    yield instance
    instance.lake("down", check=False)
    instance.remove()


def releases(instance: Any) -> list[str]:
    """Those whose tables are there: tests of damage may have run before."""
    with instance.ledger() as ledger:
        return [
            row[0]
            for row in ledger.execute("SELECT release_id FROM release WHERE release_id NOT IN (SELECT release_id FROM lost_release) ORDER BY 1 DESC")
        ]


def contents(instance: Any, release: str) -> dict[str, tuple[int, int, str]]:
    """Per table of a release: version, rows and checksum, as Trino reads them now."""
    with instance.ledger() as ledger:
        tables = dict(ledger.execute("SELECT table_name, version FROM release_table WHERE release_id = %s", (release,)).fetchall())
    cursor = as_publisher(instance.context).cursor()
    found = {}
    for name, version in tables.items():
        rows = cursor.execute(f"SELECT count(*), {checksum_sql(CONTRACTS[name], 'trino')} FROM lake.{name} FOR VERSION AS OF {version}").fetchall()
        found[name] = (version, *rows[0])
    return found


def newest(instance: Any) -> dict[str, list[Any]]:
    """The same of the tables that belong to no release, as a steward reads them."""
    names = [name for name in CONTRACTS if name.startswith("bronze.")]
    return {n: instance.ask("steward", f"SELECT count(*), {checksum_sql(CONTRACTS[n], 'trino')} FROM lake.{n}")[0] for n in names}


def dashboard(instance: Any, password: str) -> list[Any]:
    """What the dashboard's API gives a leader: its charts, and the answer of a chart that is asked anew."""
    client = superset.Client(instance.context, "leader", password)
    charts = client.ok("GET", "/api/v1/dashboard/registrations/charts").json()["result"]
    dataset = next(iter(client.entries("/api/v1/dataset/", ("id", "table_name"), "table_name", "(col:table_name,opr:eq,value:mart_registrations_monthly)")))  # fmt: skip
    query = {"columns": ["district_name"], "metrics": [{"expressionType": "SQL", "sqlExpression": "sum(subjects)", "label": "n"}], "orderby": [["district_name", True]]}  # fmt: skip
    body = {"datasource": {"id": dataset["id"], "type": "table"}, "force": True, "queries": [query | {"row_limit": 100}]}
    answer = client.ok("POST", "/api/v1/chart/data", json=body).json()["result"][0]["data"]
    return [sorted(c["slice_name"] for c in charts), answer]


def damaged_copy(store: Path, entry: Any) -> Path:
    """A second store with the same contents, but for one bit of one of them."""
    copy = store.with_name("damaged")
    shutil.copytree(store, copy, copy_function=os.link)
    path = Store(copy).path(entry.sha256)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink()  # or the first store's would change with it
    path.write_bytes(content)
    for at in (copy, *copy.rglob("*")):
        if ROOT and at.stat().st_uid == 0:
            shutil.chown(at, "lake", "lake")
    return copy


def test_a_backup_holds_the_releases_and_all_that_is_needed_to_go_on(published, destination, first):
    assert list(first.releases) == releases(published)
    with published.ledger() as ledger:
        named = ledger.execute(
            "SELECT table_name, max(version) FROM release_table WHERE release_id NOT IN (SELECT release_id FROM lost_release) GROUP BY 1"
        ).fetchall()
    assert {name: first.tables[name] for name, _ in named} == dict(named)
    assert {name.split(".")[0] for name in first.tables} == {"bronze", "silver_tables", "gold_tables", "ops_tables"}
    paths = {e.path for e in first.entries}
    assert {
        "secrets/secrets.json",
        "users.yaml",
        "settings.toml",
        "data/postgres/cluster/backup_label",
        "program/catalog/fields.yaml",
    } - paths == set()
    assert not [p for p in paths if p.startswith(("warehouse/work.db", "logs/", "run/", "conf/"))]
    kept = {p.name for p in (published.state / "landing" / "kept" / "registration_subjects").iterdir()}
    assert {p.rpartition("/")[2] for p in paths if p.startswith("landing/kept/")} == kept
    shown = published.lake("backup", str(destination), "--list").stdout
    assert f"{first.backup_id} " in shown
    assert f" {first.release} " in shown
    assert "个人信息" in shown
    verified = published.lake("backup", str(destination), first.backup_id, "--verify").stdout
    assert "完好" in verified
    for folder, _, files in os.walk(destination):
        assert os.stat(folder).st_mode & 0o077 == 0
        assert not [f for f in files if os.stat(f"{folder}/{f}").st_mode & 0o077]


@pytest.mark.timeout(1200)
def test_what_was_there_is_not_stored_again(first, second, destination):
    before = {e.path: e.sha256 for e in first.entries}
    contents_before = set(before.values())
    new = [e for e in second.entries if e.sha256 not in contents_before]
    assert len({e.sha256 for e in new}) == second.new_objects
    assert second.release not in first.releases
    # Of files that never change, only those that did not exist.
    fresh = [e for e in new if IMMUTABLE.fullmatch(e.path)]
    assert fresh
    assert [e.path for e in fresh if e.path in before] == []
    tables = [e for e in second.entries if e.path.startswith("warehouse/")]
    assert sum(e.size for e in fresh) < sum(e.size for e in tables) / 2
    stored = {p.name for p in (destination / "objects").glob("*/*")}
    assert stored == contents_before | {e.sha256 for e in second.entries}


def test_a_folder_in_the_lake_a_relative_one_and_a_full_instance_are_refused(published, destination, second):
    for place in (published.state / "backup", REPO / ".lake" / "backup"):
        done = published.lake("backup", str(place), check=False)
        assert (done.returncode, "在湖仓自己的目录里" in done.stderr, place.exists()) == (1, True, False)
    assert "绝对路径" in published.lake("backup", "backup", check=False).stderr
    done = published.lake("restore", str(destination), check=False)
    assert (done.returncode, "正在运行" in done.stderr) == (1, True)
    assert "没有备份 B1" in published.lake("backup", str(destination), "B1", "--verify", check=False).stderr


def test_a_damaged_table_is_not_taken_for_a_good_one(published, destination, second):
    """The first copy of a file is compared with what Spark noted when it was written; an older good copy is kept."""
    (entry,) = [e for e in second.entries if re.fullmatch(r"warehouse/gold_tables.db/archive_subject/_delta_log/0+\.json", e.path)]
    table = published.state / "warehouse" / "gold_tables.db" / "archive_subject"
    log = DeltaLog(table)
    path = table / min(f.path for f in log.snapshot(log.newest).files)
    elsewhere = destination.with_name("elsewhere")
    whole = path.read_bytes()
    injured = bytearray(whole)
    injured[len(injured) // 2] ^= 1
    try:
        path.write_bytes(injured)
        done = published.lake("backup", str(elsewhere), check=False)
        assert done.returncode == 1
        assert re.search(r"表 gold_tables\.archive_subject 版本 \d+ 已损坏", done.stderr), done.stderr
        assert path.name in done.stderr
        assert "与写入时的校验值不符" in done.stderr
        path.write_bytes(whole[:-1])
        assert "字节，应有" in published.lake("backup", str(elsewhere), check=False).stderr
    finally:
        path.write_bytes(whole)
    assert Store(elsewhere).ids() == []
    assert entry.size == (table / "_delta_log" / Path(entry.path).name).stat().st_size


def test_a_backup_waits_for_the_program_that_writes(published, destination, second, running, eventually):
    hold = "import sys, time\nfrom infra.ledger import Ledger\nfrom spark_jobs.session import context\nwith Ledger(context()) as ledger:\n    ledger.hold_writer(lambda: None)\n    time.sleep(300)\n"
    with published.background(hold):
        eventually(lambda: held(published), 30, "the writer's lease")
        environment = {**os.environ, "LAKE_INSTANCE": published.name}
        with running([str(REPO / "lake"), "backup", str(destination)], env=environment) as process:
            with pytest.raises(AssertionError):
                eventually(lambda: process.poll() is not None, 15, "the end of the backup")
            done = published.lake("backup", str(destination), check=False)
            assert "另一个备份正在写" in done.stderr
    eventually(lambda: not held(published), 30, "the end of the writer's lease")
    assert Store(destination).manifest().backup_id == second.backup_id


def held(instance: Any) -> bool:
    with instance.ledger() as ledger:
        return bool(ledger.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4403 AND granted").fetchone()[0])


def test_a_changed_content_stops_the_restore_and_names_the_file(published, destination, second, restored):
    entry = next(e for e in second.entries if re.fullmatch(r"warehouse/gold_tables.db/archive_subject/[^/]*\.parquet", e.path))
    damaged = damaged_copy(destination, entry)
    done = restored.lake("restore", str(damaged), check=False)
    assert done.returncode == 1
    assert f"恢复中止：{entry.path} 在备份里已损坏" in done.stderr
    assert f"objects/{entry.sha256[:2]}/{entry.sha256} 内容已改变" in done.stderr
    done = restored.lake("up", check=False)
    assert (done.returncode, "恢复没有做完" in done.stderr) == (1, True)
    assert entry.path in published.lake("backup", str(damaged), "--verify", check=False).stderr
    shutil.rmtree(damaged)


def test_without_its_manifest_a_backup_is_none(published, destination, first, second):
    path = destination / "backups" / second.backup_id / "manifest.json"
    away = path.with_name("away")
    path.rename(away)
    try:
        shown = published.lake("backup", str(destination), "--list").stdout
        assert (first.backup_id in shown, second.backup_id in shown) == (True, False)
    finally:
        away.rename(path)


@pytest.mark.timeout(1800)
def test_a_restored_instance_is_what_the_first_one_was_and_goes_on(published, destination, first, second, restored):
    past = first.release
    was = {r: contents(published, r) for r in (second.release, past)}
    assert was[second.release] != was[past]
    bronze, page = newest(published), dashboard(published, published.password("leader"))
    with published.ledger() as ledger:
        deliveries = ledger.execute("SELECT delivery_id, state, row_count FROM delivery ORDER BY 1").fetchall()
    published.lake("down")
    done = published.lake("backup", str(destination), check=False)
    assert (done.returncode, "数据库没有应答" in done.stderr, "./lake up" in done.stderr) == (1, True, True)
    away = published.state.with_name(f"{published.name}.away")
    published.state.rename(away)  # nothing that is restored may look for anything there
    try:
        # What an interrupted restore has left is cleared away by the next one.
        print(restored.lake("restore", str(destination)).stdout)
        said = restored.lake("up", timeout=600).stdout
        print("\n".join(said.splitlines()[-4:]))
        assert "RTO" in said
        restored.passwords = published._stack.passwords
        assert restored.ports["trino"] != published.ports["trino"]
        assert releases(restored) == list(second.releases)
        assert {r: contents(restored, r) for r in (second.release, past)} == was
        assert newest(restored) == bronze
        assert dashboard(restored, restored.password("leader")) == page
        assert restored.ask("leader", "SELECT count(*), count(DISTINCT release_id), max(release_id) FROM lake.gold.archive_subject") == [
            [was[second.release]["gold_tables.archive_subject"][1], 1, second.release]
        ]
        assert restored.ask("leader", "SELECT max(release_id) FROM lake.ops.releases") == [[second.release]]
        assert restored.lets_in("operator", restored.password("operator")) == {"superset": True, "airflow": True, "trino": True}
        with restored.ledger() as ledger:
            assert ledger.execute("SELECT delivery_id, state, row_count FROM delivery ORDER BY 1").fetchall() == deliveries
        # Written while the copy was made: the log of the databases is in it.
        with postgres.connect(restored.context, "exchange") as exchange:
            assert exchange.execute("SELECT count(*), count(DISTINCT n) FROM meanwhile").fetchone() == (60_000, 20_000)
        with postgres.connect(restored.context, "metastore") as metastore:
            assert metastore.execute('SELECT count(*) FROM "SDS" WHERE "LOCATION" LIKE %s', (f"%/instances/{published.name}/%",)).fetchone() == (0,)
            assert metastore.execute("""SELECT count(*) FROM "TBLS" JOIN "DBS" USING ("DB_ID") WHERE "NAME" = 'work'""").fetchone() == (0,)
        assert "没有要做的" in restored.lake("run", timeout=900).stdout, "the restored release holds all deliveries"

        type(published)(restored).send("恢复之后.csv", ["广州市演示恢复一号有限公司,,2019-09-01,广州市越秀区演示路1号"])
        restored.lake("run", timeout=900)
        after = releases(restored)[0]
        assert after > second.release
        (count,) = restored.ask("leader", "SELECT count(*), max(release_id) FROM lake.gold.archive_subject")
        assert count == [was[second.release]["gold_tables.archive_subject"][1] + 1, after]
        restored.lake("down")
    finally:
        restored.lake("down", check=False)
        away.rename(published.state)
        published.lake("up", timeout=600)


def test_a_past_release_can_be_restored_at_once(published, destination, first, second, restored):
    done = restored.lake("restore", str(destination), check=False)
    assert (done.returncode, "它不是空的" in done.stderr) == (1, True)
    restored.remove()
    restored.write_settings()
    assert "没有发布 R99999999" in restored.lake("restore", str(destination), "--release", "R99999999", check=False).stderr
    restored.lake("restore", str(destination), "--backup", second.backup_id, "--release", first.release)
    said = json.loads(restored.python(LEDGER).stdout.splitlines()[-1])
    with published.ledger() as ledger:
        named = ledger.execute("SELECT table_name, version FROM release_table WHERE release_id = %s ORDER BY 1", (first.release,)).fetchall()
    assert (said["kind"], said["parent"], [tuple(t) for t in said["tables"]]) == ("restore", first.release, named)


def test_a_run_that_was_under_way_is_given_up(published, destination, second, restored):
    """What it had built after the release is not in the copy."""
    with published.ledger() as ledger:
        ledger.execute("INSERT INTO run (run_id, parent_release_id, silver_build) VALUES ('left-behind', %s, 'x')", (second.release,))
    try:
        published.lake("backup", str(destination))
    finally:
        with published.ledger() as ledger:
            ledger.execute("DELETE FROM run WHERE run_id = 'left-behind'")
    restored.remove()
    restored.write_settings()
    restored.lake("restore", str(destination))
    said = json.loads(restored.python(LEDGER).stdout.splitlines()[-1])
    assert said["live"] is None
    state, why = said["left"]
    assert (state, "恢复后放弃" in why) == ("abandoned", True)
