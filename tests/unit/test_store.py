"""What the ledger names is looked for on disk; each kind of damage is named by table, version and file."""

from __future__ import annotations

import hashlib
import json
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infra import store
from infra.ledger import Delivery

TABLE = "silver_tables.made_up"


@pytest.fixture
def settings(tmp_path: Path) -> Any:
    return SimpleNamespace(warehouse=tmp_path / "warehouse", landing=tmp_path / "landing")


def commit(folder: Path, version: int, add: list[str], remove: list[str] = []) -> None:  # noqa: B006
    log = folder / "_delta_log"
    log.mkdir(parents=True, exist_ok=True)
    lines: list[dict[str, Any]] = [{"commitInfo": {"operation": "WRITE"}}]
    for name in add:
        content = f"rows of {name}".encode() * 50
        (folder / name).write_bytes(content)
        sums = b"".join(zlib.crc32(content[i : i + 512]).to_bytes(4, "big") for i in range(0, len(content), 512))
        (folder / f".{name}.crc").write_bytes(b"crc\0" + (512).to_bytes(4, "big") + sums)
        lines.append({"add": {"path": name, "size": len(content)}})
    lines += [{"remove": {"path": name}} for name in remove]
    (log / f"{version:020}.json").write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture
def table(settings: Any) -> Path:
    folder = store.folder_of(settings, TABLE)
    commit(folder, 0, ["a.parquet"])
    commit(folder, 1, ["b.parquet"])
    commit(folder, 2, ["c.parquet"], ["a.parquet"])
    return folder


PINNED = {1: ("R00000001",), 2: ("R00000002", "R00000003")}


def damage(settings: Any, deep: bool = True) -> list[store.Damage]:
    found = store.table_damage(settings, TABLE, PINNED, deep)
    return found + [d for d in store.log_damage(settings, TABLE) if d.file not in {f.file for f in found}]


def test_a_whole_table_has_none(settings, table):
    assert damage(settings) == []
    assert store.orphans(settings, TABLE) == []


def test_a_lost_data_file_is_named_with_every_release_that_needs_it(settings, table):
    (table / "b.parquet").unlink()
    found = damage(settings, deep=False)
    assert [(d.kind, d.place, d.version, d.file) for d in found] == [("data", TABLE, 1, "b.parquet"), ("data", TABLE, 2, "b.parquet")]
    assert [d.releases for d in found] == [PINNED[1], PINNED[2]]


def test_a_file_that_only_an_older_release_needs_costs_only_that_release(settings, table):
    (table / "a.parquet").unlink()
    assert [(d.version, d.releases) for d in damage(settings)] == [(1, PINNED[1])]


def test_a_cut_file_shows_by_its_length_and_a_flipped_bit_by_its_checksum(settings, table):
    content = (table / "c.parquet").read_bytes()
    (table / "c.parquet").write_bytes(content[:-1])
    assert [d.kind for d in damage(settings, deep=False)] == ["data"]
    (table / "c.parquet").write_bytes(bytes([content[0] ^ 1]) + content[1:])
    assert damage(settings, deep=False) == [], "only reading it shows"
    assert [(d.kind, d.file) for d in damage(settings)] == [("data", "c.parquet")]
    known = frozenset({"c.parquet"})
    assert store.table_damage(settings, TABLE, PINNED, True, known) == [], "what was compared before is not read again"


@pytest.mark.parametrize("content", [b"", b'{"commitInfo"', b"\0" * 100])
def test_a_newest_commit_that_is_empty_or_torn(settings, table, content):
    path = table / "_delta_log" / f"{2:020}.json"
    path.write_bytes(content)
    (found,) = damage(settings)
    assert (found.kind, found.version, found.file, found.releases) == ("log", 2, f"_delta_log/{path.name}", PINNED[2])


def test_a_missing_commit_in_the_middle_stops_all_that_come_after(settings, table):
    (table / "_delta_log" / f"{1:020}.json").unlink()
    assert [(d.kind, d.version) for d in damage(settings)] == [("log", 1), ("log", 2)]


def test_a_broken_pointer_to_a_checkpoint_is_found_though_versions_can_be_read(settings, table):
    (table / "_delta_log" / "_last_checkpoint").write_text("{")
    assert [(d.kind, d.file, d.releases) for d in damage(settings)] == [("checkpoint", "_delta_log/_last_checkpoint", ())]


def test_a_table_without_a_log(settings, table):
    for path in (table / "_delta_log").iterdir():
        path.unlink()
    assert [(d.kind, d.releases) for d in damage(settings)] == [("log", (*PINNED[1], *PINNED[2]))]


def test_an_orphan_is_what_no_version_names(settings, table):
    (table / "d.parquet").write_bytes(b"PAR1")
    assert [(d.kind, d.file) for d in store.orphans(settings, TABLE)] == [("orphan", "d.parquet")]


def test_received_bytes_and_split_records(settings):
    content = b"bytes"
    digest = hashlib.sha256(content).hexdigest()
    delivery = Delivery("D1", "feed", "x.csv", "loaded", None, 2, "2026-11-25T00:00:00.000Z", None, None, 0, False)
    kept = settings.landing / "kept" / "feed" / f"{digest}.bin"
    records = store.records_file(settings, delivery)
    for path in (kept, records):
        path.parent.mkdir(parents=True)

    def found(deep: bool = True) -> list[str]:
        return [d.kind for d in store.landing_damage(settings, [delivery], {"D1": digest}, deep)]

    assert found() == ["kept", "records"]
    kept.write_bytes(content)
    pq.write_table(pa.table({"n": [1, 2]}), records)
    assert found() == []
    pq.write_table(pa.table({"n": [1]}), records)
    assert found() == ["records"]
    records.write_bytes(b"PAR1")
    assert found() == ["records"]
    kept.write_bytes(b"byteS")
    assert found() == ["kept", "records"]
    assert found(deep=False) == ["records"]
