"""The store of backups: each content once, whole or not at all, damage by name."""

import contextlib
import dataclasses
import errno
import os
import stat
import subprocess

import pytest
from rich.console import Console

from infra import backup
from infra.backup_store import BLOCK, Manifest, Store
from infra.problems import Problem

SILENT = Console(file=open(os.devnull, "w"))  # noqa: SIM115


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "a.parquet").write_bytes(b"a" * 3_000_000)
    (folder / "same.parquet").write_bytes(b"a" * 3_000_000)
    (folder / "b.bin").write_bytes(b"b")
    (folder / "empty").touch()
    return folder


def manifest(backup_id, entries, **more):
    values = {
        "backup_id": backup_id, "made_at": "2026-11-25T06:00:00+00:00", "instance": "main", "state": "/s", "releases": ("R00000002", "R00000001"),
        "tables": {"gold_tables.t": 3}, "commit": "", "folders": ("data",), "new_objects": 0, "new_bytes": 0, "seconds": 1.0,
    }  # fmt: skip
    return Manifest(**values | more, entries=tuple(entries))


def fill(folder, source, backup_id):
    with Store.writing(folder) as store:
        entries = [dataclasses.replace(store.put(p), path=p.name) for p in sorted(source.iterdir())]
        store.finish(manifest(backup_id, entries, new_objects=store.new_objects, new_bytes=store.new_bytes))
    return store


def test_each_content_is_stored_once_and_reads_back(tmp_path, source):
    store = fill(tmp_path / "d", source, "B1")
    assert (store.new_objects, store.new_bytes) == (3, 3_000_001)
    found = Store(tmp_path / "d").manifest()
    assert [e.path for e in found.entries] == ["a.parquet", "b.bin", "empty", "same.parquet"]
    assert (found.release, found.releases, found.tables, found.size) == ("R00000002", ("R00000002", "R00000001"), {"gold_tables.t": 3}, 6_000_001)
    for entry in found.entries:
        pieces = []
        Store(tmp_path / "d").read(entry, pieces.append)
        assert b"".join(pieces) == (source / entry.path).read_bytes()
    backup.verify(Store(tmp_path / "d"), "", SILENT)

    (source / "b.bin").write_bytes(b"c")
    again = fill(tmp_path / "d", source, "B2")
    assert (again.new_objects, again.new_bytes) == (1, 1)
    assert Store(tmp_path / "d").ids() == ["B1", "B2"]
    backup.verify(Store(tmp_path / "d"), "B1", SILENT)


def test_nobody_else_can_read_it(tmp_path, source):
    before = os.umask(0o022)
    try:
        fill(tmp_path / "d", source, "B1")
    finally:
        os.umask(before)
    for folder, _, files in os.walk(tmp_path / "d"):
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700, folder
        for name in set(files) - {".lock", "README.txt"}:
            assert stat.S_IMODE(os.stat(f"{folder}/{name}").st_mode) == 0o600, name


def test_an_interrupted_backup_is_none_and_the_next_one_goes_on_from_it(tmp_path, source):
    with contextlib.suppress(KeyboardInterrupt), Store.writing(tmp_path / "d") as store:
        store.put(source / "a.parquet")
        (tmp_path / "d" / "incoming" / "77.new").write_bytes(b"half")
        raise KeyboardInterrupt
    assert Store(tmp_path / "d").ids() == []
    with pytest.raises(Problem, match="没有完整的备份"):
        Store(tmp_path / "d").manifest()
    store = fill(tmp_path / "d", source, "B1")
    assert store.new_objects == 2
    assert list((tmp_path / "d" / "incoming").iterdir()) == []
    # The same when it stops between the manifest's bytes and its name.
    (tmp_path / "d" / "backups" / "B1" / "manifest.json").rename(tmp_path / "d" / "backups" / "B1" / "manifest.json.new")
    assert Store(tmp_path / "d").ids() == []


def test_a_changed_or_missing_content_is_named(tmp_path, source):
    fill(tmp_path / "d", source, "B1")
    store = Store(tmp_path / "d")
    entries = {e.path: e for e in store.manifest().entries}
    path = store.path(entries["a.parquet"].sha256)
    content = bytearray(path.read_bytes())
    content[1_234_567] ^= 1
    path.write_bytes(content)
    store.path(entries["b.bin"].sha256).unlink()
    with pytest.raises(Problem) as raised:
        backup.verify(store, "", SILENT)
    assert raised.value.what == "备份 B1 有 3 个文件损坏"
    for name, what in (("a.parquet", "内容已改变"), ("same.parquet", "内容已改变"), ("b.bin", "不在备份里")):
        sha256 = entries[name].sha256
        assert f"{name}（objects/{sha256[:2]}/{sha256} {what}）" in raised.value.why
    # What is missing is stored anew by the next backup.
    assert fill(tmp_path / "d", source, "B2").new_objects == 1


def test_a_backup_that_is_forgotten_takes_along_only_what_no_other_one_needs(tmp_path, source):
    fill(tmp_path / "d", source, "B1")
    (source / "b.bin").write_bytes(b"c")
    fill(tmp_path / "d", source, "B2")
    (source / "a.parquet").unlink()
    fill(tmp_path / "d", source, "B3")
    with Store.writing(tmp_path / "d") as store:
        for backup_id, why in (("B3", "最新"), ("", "没有写明"), ("B9", "没有备份")):
            with pytest.raises(Problem, match=why):
                store.forget(backup_id)
        assert store.forget("B1") == (1, 4096)
    assert Store(tmp_path / "d").ids() == ["B2", "B3"]
    for backup_id in ("B2", "B3"):
        backup.verify(Store(tmp_path / "d"), backup_id, SILENT)
    # What is needed can't be known while a manifest is damaged.
    (tmp_path / "d" / "backups" / "B3" / "manifest.json").write_bytes(b"")
    with Store.writing(tmp_path / "d") as store, pytest.raises(Problem, match="已损坏"):
        store.forget("B2")
    assert Store(tmp_path / "d").ids() == ["B2", "B3"]
    backup.verify(Store(tmp_path / "d"), "B2", SILENT)


def test_a_damaged_manifest_is_refused(tmp_path, source):
    fill(tmp_path / "d", source, "B1")
    path = tmp_path / "d" / "backups" / "B1" / "manifest.json"
    whole = path.read_bytes()
    for injured in (whole.replace(b'"main"', b'"mein"'), whole[:-5], b"", whole.split(b"\n", 1)[1]):
        path.write_bytes(injured)
        with pytest.raises(Problem, match="已损坏"):
            Store(tmp_path / "d").manifest("B1")
    path.write_bytes(whole)
    assert Store(tmp_path / "d").manifest("B1").instance == "main"
    with pytest.raises(Problem, match="没有备份 B9"):
        Store(tmp_path / "d").manifest("B9")


def test_two_at_once_are_one_too_many(tmp_path, source):
    with Store.writing(tmp_path / "d"), pytest.raises(Problem, match="另一个备份正在写"), Store.writing(tmp_path / "d"):
        pass
    fill(tmp_path / "d", source, "B1")


def test_a_folder_with_other_things_is_no_store(tmp_path, source):
    with pytest.raises(Problem, match="里面有别的文件"), Store.writing(source):
        pass
    with pytest.raises(Problem, match="里没有备份"):
        Store(source)
    assert sorted(p.name for p in source.iterdir()) == ["a.parquet", "b.bin", "empty", "same.parquet"]


def test_the_empty_end_of_a_file_takes_no_space(tmp_path):
    segment = tmp_path / "segment"
    segment.write_bytes(b"x" * 100 + bytes(16 * BLOCK - 100))
    with Store.writing(tmp_path / "d") as store:
        entry = store.put(segment)
        assert (entry.size, store.new_bytes) == (16 * BLOCK, BLOCK)
        pieces = []
        store.read(entry, pieces.append)
        assert b"".join(pieces) == segment.read_bytes()
        assert store.path(entry.sha256).stat().st_blocks * 512 < 2 * BLOCK


def test_a_full_disk_says_so_and_leaves_older_backups_alone(tmp_path, source):
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=5m", "tmpfs", str(small)], capture_output=True).returncode:
        pytest.skip("a small disk can't be mounted here")
    try:
        fill(small / "d", source, "B1")
        (source / "big.parquet").write_bytes(os.urandom(4_000_000))
        with pytest.raises(Problem, match="没有空间了"):
            fill(small / "d", source, "B2")
        assert Store(small / "d").ids() == ["B1"]
        backup.verify(Store(small / "d"), "", SILENT)
        (source / "big.parquet").write_bytes(os.urandom(1_000_000))
        fill(small / "d", source, "B3")
        assert Store(small / "d").ids() == ["B1", "B3"]
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_what_reads_back_otherwise_is_not_kept(tmp_path, source, monkeypatch):
    monkeypatch.setattr("infra.backup_store.os.posix_fadvise", lambda fd, *_: os.pwrite(fd, b"!", 5))
    with pytest.raises(Problem, match="读回来不一样"):
        fill(tmp_path / "d", source, "B1")
    assert Store(tmp_path / "d").ids() == []


def test_other_errors_are_not_taken_for_a_full_disk(tmp_path):
    with pytest.raises(OSError, match="strange"), Store.writing(tmp_path / "d"):
        raise OSError(errno.EIO, "strange")


def test_files_that_never_change_are_known_by_their_names():
    for name in ("warehouse/gold_tables.db/t/part-0.snappy.parquet", "warehouse/s.db/t/x=1/.part-0.parquet.crc", "warehouse/s.db/t/ab/deletion_vector_1.bin", "landing/kept/f/1.bin"):  # fmt: skip
        assert backup.IMMUTABLE.fullmatch(name), name
    for name in ("warehouse/s.db/t/_delta_log/_last_checkpoint", "data/postgres/cluster/base/1/2", "landing/inbox/f/a.parquet", "users.yaml"):
        assert not backup.IMMUTABLE.fullmatch(name), name


def test_the_list_shows_what_there_is(tmp_path, source):
    fill(tmp_path / "d", source, "B1")
    shown = Console(width=200, record=True, file=SILENT.file)
    backup.show(Store(tmp_path / "d"), shown)
    text = shown.export_text()
    assert "B1" in text
    assert "2026-11-25 14:00:00" in text
    assert "R00000002" in text
