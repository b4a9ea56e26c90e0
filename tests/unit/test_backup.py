"""What a backup takes: the kept releases that are whole, everything else at its newest version, nothing in between."""

import datetime as dt
import io
import json
import os
import re
from types import SimpleNamespace

import pytest
from rich.console import Console

from infra import backup, restore
from infra.backup_store import Manifest, Store
from infra.problems import Problem
from infra.services.postgres.base_backup import _segments, folders

NOW = dt.datetime.now(dt.UTC)


class Warehouse:
    """Tables whose version ``n`` holds the file ``n.parquet``, and releases that name versions."""

    def __init__(self, folder):
        self.warehouse = folder
        self.published = []  # the newest first: id, published at, {table: version}

    def table(self, name, versions):
        schema, table = name.split(".")
        folder = self.warehouse / f"{schema}.db" / table
        (folder / "_delta_log").mkdir(parents=True)
        for version in range(versions):
            (folder / f"{version}.parquet").write_bytes(b"x" * version)
            actions = [{"add": {"path": f"{version}.parquet", "size": version}}]
            actions += [{"remove": {"path": f"{version - 1}.parquet"}}] if version else []
            self.log(folder, version).write_text("".join(json.dumps(a) + "\n" for a in actions))
        return folder

    @staticmethod
    def log(folder, version):
        return folder / "_delta_log" / f"{version:020}.json"

    def current_release(self):
        return self.published[0][0]

    def kept_releases(self, days):
        """As the ledger's: the newest two and those of the last days (infra/ledger)."""
        return [identity for place, (identity, at, _) in enumerate(self.published) if place < 2 or at > NOW - dt.timedelta(days)]

    def release_tables(self, identity):
        tables = next(t for i, _, t in self.published if i == identity)
        return [SimpleNamespace(table_name=name, version=version) for name, version in tables.items()]

    def plan(self):
        plan = backup._plan(SimpleNamespace(settings=self), self, SimpleNamespace(stored=lambda path: None))
        found = {}
        for path in plan.files:
            name = str(path.relative_to(self.warehouse))
            short = re.sub(r"^0+(?=\d)", "", name.split("/", 2)[2].removeprefix("_delta_log/"))
            found.setdefault(name.split("/")[1], []).append(short)
        return plan, {name: sorted(files) for name, files in found.items()}


@pytest.fixture
def lake(tmp_path):
    w = Warehouse(tmp_path)
    w.gold = w.table("gold_tables.mart", 6)
    w.table("bronze.feed", 3)
    w.table("work.moved", 2)
    days = dt.timedelta(days=1)
    w.published = [
        ("R4", NOW, {"gold_tables.mart": 4}),
        ("R3", NOW - 40 * days, {"gold_tables.mart": 3}),
        ("R2", NOW - 50 * days, {"gold_tables.mart": 1}),
    ]
    return w


def test_kept_releases_and_newest_versions_are_taken(lake):
    plan, files = lake.plan()
    # Of two old releases the predecessor of the current one; of the log nothing that came after what is shown.
    assert plan.releases == ["R4", "R3"]
    assert plan.versions == {"gold_tables.mart": 4, "bronze.feed": 2}
    assert files == {
        "mart": ["0.json", "1.json", "2.json", "3.json", "3.parquet", "4.json", "4.parquet"],
        "feed": ["0.json", "1.json", "2.json", "2.parquet"],
    }
    assert plan.notes == []
    lake.published[2] = ("R2", NOW, {"gold_tables.mart": 1})
    assert lake.plan()[0].releases == ["R4", "R3", "R2"]


@pytest.mark.parametrize(
    ("injure", "file", "what"),
    [
        (lambda w: (w.gold / "4.parquet").unlink(), "4.parquet", "不存在"),
        (lambda w: (w.gold / "4.parquet").write_bytes(b""), "4.parquet", "有 0 字节，应有 4"),
        (lambda w: w.log(w.gold, 4).write_bytes(b""), f"_delta_log/{4:020}.json", "is empty"),
        (lambda w: (w.gold / ".4.parquet.crc").write_bytes(b"crc\0" + (512).to_bytes(4, "big") + bytes(4)), "4.parquet", "内容与写入时的校验值不符"),
    ],
)
def test_a_damaged_current_release_is_no_backup(lake, injure, file, what):
    injure(lake)
    with pytest.raises(Problem) as raised:
        lake.plan()
    assert (raised.value.what, raised.value.why) == ("表 gold_tables.mart 版本 4 已损坏", f"{file} {what}")


def test_a_damaged_older_release_is_left_out_and_said(lake):
    (lake.gold / "3.parquet").unlink()
    plan, files = lake.plan()
    assert plan.releases == ["R4"]
    assert "3.parquet" not in files["mart"]
    assert plan.notes == ["发布 R3 不完整，不在这份备份里：表 gold_tables.mart 版本 3 已损坏，3.parquet 不存在"]


def test_damage_after_the_release_is_not_copied(lake):
    lake.log(lake.gold, 5).write_bytes(b"")
    assert lake.plan()[0].versions["gold_tables.mart"] == 4


def test_a_damaged_projection_is_made_anew_and_damaged_bronze_is_not(lake):
    lake.log(lake.table("ops_tables.releases", 2), 1).write_bytes(b"torn")
    plan, files = lake.plan()
    assert "releases" not in files
    assert "ops_tables.releases" not in plan.versions
    (note,) = plan.notes
    assert "ops_tables.releases 不在这份备份里" in note
    lake.log(lake.warehouse / "bronze.db" / "feed", 2).write_bytes(b"torn")
    with pytest.raises(Problem, match=r"bronze\.feed 版本 2"):
        lake.plan()


def test_files_that_never_change_are_not_read_again(tmp_path, monkeypatch):
    state, store_folder, silent = tmp_path / "state", tmp_path / "store", Console(file=io.StringIO())
    names = ("landing/kept/f/1.bin", "warehouse/s.db/t/1.parquet", "users.yaml")
    for name in names:
        (state / name).parent.mkdir(parents=True, exist_ok=True)
        (state / name).write_text(name)
    context = SimpleNamespace(settings=SimpleNamespace(state=state))
    values = {"made_at": "", "instance": "", "state": "", "releases": (), "tables": {}, "commit": "", "folders": (), "new_objects": 0, "new_bytes": 0, "seconds": 0}  # fmt: skip

    def run(backup_id):
        """A backup of the three files; returns those that were read."""
        with Store.writing(store_folder) as store:
            read, put = [], store.put
            monkeypatch.setattr(store, "put", lambda path: read.append(path.name) or put(path))
            copy = backup._Copy(context, store, silent)
            copy.take_all(state / name for name in names)
            store.finish(Manifest(backup_id=backup_id, entries=tuple(copy.done.values()), **values))
        return read

    assert run("B1") == ["1.bin", "1.parquet", "users.yaml"]
    assert run("B2") == ["users.yaml"]
    (state / names[1]).write_text("another")
    os.utime(state / names[0], ns=(1, 1))
    assert run("B3") == ["1.bin", "1.parquet", "users.yaml"]
    store = Store(store_folder)
    store.path({e.path: e for e in store.manifest().entries}[names[0]].sha256).unlink()
    assert run("B4") == ["1.bin", "users.yaml"]
    backup.verify(store, "B4", silent)


def test_the_names_of_the_database_s_log():
    assert _segments("000000010000000000000002", "000000010000000000000004", 2**24) == [f"00000001000000000000000{n}" for n in (2, 3, 4)]
    assert _segments("0000000100000000000000FF", "000000010000000100000000", 2**24) == ["0000000100000000000000FF", "000000010000000100000000"]
    assert _segments("0000000A0000000100000003", "0000000A0000000200000000", 2**30) == ["0000000A0000000100000003", "0000000A0000000200000000"]


def test_empty_folders_of_the_cluster_are_kept_and_its_log_is_not(tmp_path):
    for name in ("base/1", "pg_wal/archive_status", "pg_replslot/gone", "pg_twophase"):
        (tmp_path / name).mkdir(parents=True)
    assert folders(tmp_path) == ["", "base", "base/1", "pg_replslot", "pg_twophase", "pg_wal"]


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "warehouse/../../x"])
def test_a_path_that_leads_out_of_the_instance_is_refused(tmp_path, name):
    with pytest.raises(Problem, match="在实例目录之外"):
        restore._inside(tmp_path, name)
    assert restore._inside(tmp_path, "a/b") == tmp_path / "a" / "b"
