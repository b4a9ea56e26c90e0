"""A table's log read from its files: what a version consists of, and each kind of damage by its name."""

import json
import zlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infra.delta_log import Commit, DataFile, DeltaLog, LogDamaged, Note, checksum_fault

# The examples of Delta's protocol for a deletion vector in a file beside the data.
VECTOR = {"storageType": "u", "pathOrInlineDv": "ab^-aqEH.-t@S}K{vb[*k^", "offset": 4, "sizeInBytes": 40, "cardinality": 6}
VECTOR_FILE = "ab/deletion_vector_d2c639aa-8816-431a-aaf6-d3fe2512ff61.bin"
INFO = {"commitInfo": {"operation": "WRITE"}}


def add(path, size=10, vector=None):
    return {"add": {"path": path, "size": size, "dataChange": True} | ({"deletionVector": vector} if vector else {})}


def remove(path, vector=None):
    return {"remove": {"path": path, "dataChange": True} | ({"deletionVector": vector} if vector else {})}


class Table:
    """A table's log, written by hand."""

    def __init__(self, folder):
        self.folder = folder
        self.log = folder / "_delta_log"
        self.log.mkdir(parents=True)

    def commit(self, version, *actions):
        path = self.log / f"{version:020}.json"
        path.write_text("".join(json.dumps(a) + "\n" for a in (INFO, *actions)))
        return path

    def checkpoint(self, version, *actions, suffix="", sidecar=False):
        folder = self.log / "_sidecars" if sidecar else self.log
        folder.mkdir(exist_ok=True)
        path = folder / (f"{suffix}.parquet" if sidecar else f"{version:020}.checkpoint{suffix}.parquet")
        kinds = {kind for a in actions for kind in a}
        pq.write_table(pa.Table.from_pylist([{k: a.get(k) for k in kinds} for a in actions]), path)
        return path

    def paths(self, version):
        return [f.path for f in DeltaLog(self.folder).snapshot(version).files]

    def damage(self, version):
        with pytest.raises(LogDamaged) as raised:
            DeltaLog(self.folder).snapshot(version)
        assert (raised.value.table, raised.value.version) == (self.folder, version)
        return raised.value.file, raised.value.what


@pytest.fixture
def table(tmp_path):
    """Versions 0 to 4: made, two files, one replaced, one masked, nothing."""
    t = Table(tmp_path / "t")
    t.commit(0, {"metaData": {"id": "x"}})
    t.commit(1, add("a.parquet", 11), add("b%20%E5%B9%BF.parquet", 12))
    t.commit(2, remove("a.parquet"), add("c.parquet", 13))
    t.commit(3, add("c.parquet", 13, VECTOR), remove("c.parquet"))
    t.commit(4)
    return t


def test_each_version_has_its_files(table):
    log = DeltaLog(table.folder)
    assert log.newest == 4
    assert table.paths(0) == []
    assert table.paths(1) == ["a.parquet", "b 广.parquet"]
    assert log.snapshot(2).files == (DataFile("b 广.parquet", 12, None), DataFile("c.parquet", 13, None))
    assert log.snapshot(4).files == (DataFile("b 广.parquet", 12, None), DataFile("c.parquet", 13, VECTOR_FILE))
    assert log.snapshot(4).paths == {"b 广.parquet", "c.parquet", VECTOR_FILE}
    assert log.snapshot(1).log_files == ("_delta_log/00000000000000000000.json", "_delta_log/00000000000000000001.json")
    assert log.referenced() == {"a.parquet", "b 广.parquet", "c.parquet", VECTOR_FILE}
    assert log.warnings() == []


def test_several_versions_come_from_one_pass(table):
    log = DeltaLog(table.folder)
    assert [(s.version, len(s.files)) for s in log.snapshots([4, 0, 2, 2])] == [(0, 0), (2, 2), (4, 2)]


def test_deletion_vectors_elsewhere_and_inline(table):
    absolute = {"storageType": "p", "pathOrInlineDv": "file:/lake/a%20b/v.bin"}
    inline = {"storageType": "i", "pathOrInlineDv": "wi5b=000010000siXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L"}
    short = {"storageType": "u", "pathOrInlineDv": VECTOR["pathOrInlineDv"][2:]}
    table.commit(5, add("p.parquet", 1, absolute), add("i.parquet", 1, inline), add("s.parquet", 1, short))
    vectors = {f.path: f.deletion_vector for f in DeltaLog(table.folder).snapshot(5).files}
    assert (vectors["p.parquet"], vectors["i.parquet"], vectors["s.parquet"]) == ("/lake/a b/v.bin", None, VECTOR_FILE.removeprefix("ab/"))


@pytest.mark.parametrize(
    ("injury", "says"),
    [
        (lambda p: p.write_bytes(b""), "is empty"),
        (lambda p: p.write_bytes(p.read_bytes()[:-20]), "is torn: its last line does not end"),
        (lambda p: p.write_bytes(p.read_bytes()[:-20] + b"\n"), "is torn: line 3 is no action"),
        (lambda p: p.write_bytes(b"\n"), "is torn: line 1 is no action"),
        (lambda p: p.write_bytes(b'{"add": {"size": 3}}\n'), "is torn: line 1 is no action"),
        (lambda p: p.write_bytes(b"\x00" * 300 + b"\n"), "is torn: line 1 is no action"),
        (lambda p: p.unlink(), "is missing"),
    ],
)
def test_a_damaged_commit_is_named_and_older_versions_stay_readable(table, injury, says):
    injury(table.log / f"{2:020}.json")
    assert table.paths(1) == ["a.parquet", "b 广.parquet"]
    for version in (2, 3, 4):
        assert table.damage(version) == (f"_delta_log/{2:020}.json", says)
    assert DeltaLog(table.folder).warnings() == [f"_delta_log/{2:020}.json {says}"]
    log = DeltaLog(table.folder).snapshots([1, 3])
    assert next(log).version == 1
    with pytest.raises(LogDamaged):
        next(log)


def test_a_commit_that_lost_whole_lines_differs_from_its_checksum(table):
    path = table.log / f"{2:020}.json"
    content = path.read_bytes()
    pieces = [content[i : i + 64] for i in range(0, len(content), 64)]
    path.with_name(f".{path.name}.crc").write_bytes(b"crc\0" + (64).to_bytes(4, "big") + b"".join(zlib.crc32(p).to_bytes(4, "big") for p in pieces))
    assert not checksum_fault(path)
    assert len(table.paths(4)) == 2
    path.write_bytes(b"".join(content.splitlines(keepends=True)[:-1]))
    assert checksum_fault(path)
    assert table.damage(2) == (f"_delta_log/{2:020}.json", "is not what was written: its checksum differs")


def test_the_newest_version_counts_even_when_it_is_empty(table):
    (table.log / f"{5:020}.json").touch()
    assert DeltaLog(table.folder).newest == 5
    assert table.damage(5)[1] == "is empty"


def test_a_version_that_never_was(table):
    assert table.damage(9) == (f"_delta_log/{5:020}.json", "is missing")
    with pytest.raises(FileNotFoundError):
        DeltaLog(table.folder / "_delta_log")


def test_a_checkpoint_stands_for_commits_that_were_cleaned_up(table):
    whole = table.paths(4)
    path = table.checkpoint(3, add("b%20%E5%B9%BF.parquet", 12), add("c.parquet", 13, VECTOR), remove("a.parquet"))
    for version in (0, 1, 2, 3):
        (table.log / f"{version:020}.json").unlink()
    log = DeltaLog(table.folder)
    assert table.paths(4) == whole
    assert log.snapshot(3).paths == {"b 广.parquet", "c.parquet", VECTOR_FILE}
    assert log.snapshot(4).log_files == (f"_delta_log/{path.name}", f"_delta_log/{4:020}.json")
    assert log.referenced() == {"a.parquet", "b 广.parquet", "c.parquet", VECTOR_FILE}
    assert table.damage(2) == (f"_delta_log/{0:020}.json", "is missing")
    assert log.warnings() == []


@pytest.mark.parametrize("content", [b"", b"PAR1 nothing of the kind PAR1"])
def test_a_damaged_checkpoint_matters_only_where_it_is_needed(table, content):
    path = table.checkpoint(3, add("c.parquet"))
    path.write_bytes(content)
    (table.log / "_last_checkpoint").write_text('{"version":')
    log = DeltaLog(table.folder)
    assert len(log.snapshot(4).files) == 2
    assert log.warnings() == [f"_delta_log/{path.name} is an unreadable checkpoint (ArrowInvalid)", "_delta_log/_last_checkpoint is unreadable"]
    # A copy is made without either.
    assert log.files_up_to(4) == [f"_delta_log/{v:020}.json" for v in range(5)]
    (table.log / f"{0:020}.json").unlink()
    assert table.damage(4) == (f"_delta_log/{path.name}", "is an unreadable checkpoint (ArrowInvalid)")


def test_a_hole_before_a_good_checkpoint_costs_the_versions_between(table):
    table.checkpoint(3, add("b%20%E5%B9%BF.parquet", 12), add("c.parquet", 13, VECTOR))
    (table.log / f"{2:020}.json").unlink()
    assert len(table.paths(4)) == 2
    assert len(table.paths(1)) == 2
    assert table.damage(2) == (f"_delta_log/{2:020}.json", "is missing")
    assert [(s.version, len(s.files)) for s in DeltaLog(table.folder).snapshots([1, 3, 4])] == [(1, 2), (3, 2), (4, 2)]
    assert DeltaLog(table.folder).warnings() == [f"_delta_log/{2:020}.json is missing"]


def test_checkpoints_in_parts_and_with_sidecars(table):
    rows = [add("b%20%E5%B9%BF.parquet", 12), add("c.parquet", 13, VECTOR)]
    table.checkpoint(3, rows[0], suffix=".0000000001.0000000002")
    (table.log / f"{0:020}.json").unlink()
    half = DeltaLog(table.folder)
    assert table.damage(4)[1] == "is missing"
    assert half.warnings() == [f"_delta_log/{3:020}.checkpoint.0000000001.0000000002.parquet belongs to a checkpoint that lacks parts"]
    table.checkpoint(3, rows[1], suffix=".0000000002.0000000002")
    assert len(table.paths(4)) == 2

    for part in table.log.glob("*.checkpoint.*"):
        part.unlink()
    side = table.checkpoint(3, *rows, suffix="7d17ac10-5cc3-401b-bd1a-9c82dd2ea032", sidecar=True)
    top = table.log / f"{3:020}.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json"
    top.write_text(json.dumps({"checkpointMetadata": {"version": 3}}) + "\n" + json.dumps({"sidecar": {"path": side.name, "sizeInBytes": 1}}) + "\n")
    log = DeltaLog(table.folder)
    assert log.snapshot(4).log_files == (f"_delta_log/{top.name}", f"_delta_log/_sidecars/{side.name}", f"_delta_log/{4:020}.json")
    assert len(log.snapshot(4).files) == 2
    side.unlink()
    assert table.damage(4)[0] == f"_delta_log/_sidecars/{side.name}"


def test_a_copy_takes_what_belongs_to_its_newest_version(table):
    table.checkpoint(1, add("a.parquet", 11), add("b%20%E5%B9%BF.parquet", 12))
    table.checkpoint(4, add("b%20%E5%B9%BF.parquet", 12))
    (table.log / f"{1:020}.crc").write_text("{}")
    (table.log / f"{4:020}.crc").write_text("{}")
    (table.log / "_last_checkpoint").write_text('{"version":4,"size":1}')
    names = [f"{0:020}.json", f"{1:020}.json", f"{2:020}.json", f"{1:020}.crc", f"{1:020}.checkpoint.parquet"]
    assert DeltaLog(table.folder).files_up_to(2) == [f"_delta_log/{name}" for name in names]
    assert "_delta_log/_last_checkpoint" in DeltaLog(table.folder).files_up_to(4)


def test_thousands_of_commits(tmp_path):
    t = Table(tmp_path / "t")
    t.commit(0, {"metaData": {"id": "x"}})
    for version in range(1, 3001):
        t.commit(version, add(f"{version}.parquet"), *([remove(f"{version - 1}.parquet")] if version > 1 else []))
    assert [len(s.files) for s in DeltaLog(t.folder).snapshots(range(0, 3001, 100))] == [0] + [1] * 30


def test_each_commit_says_who_made_it(tmp_path):
    t = Table(tmp_path / "t")
    t.commit(0)
    (t.log / f"{1:020}.json").write_text('{"add": {"path": "a"}}\n{"commitInfo": {"operation": "MERGE", "userMetadata": "silver/1"}}\n')
    assert list(DeltaLog(t.folder).notes(-1)) == [Note(0, "WRITE", None), Note(1, "MERGE", "silver/1")]
    assert [n.version for n in DeltaLog(t.folder).notes(0)] == [1]
    assert list(DeltaLog(t.folder).notes(1)) == []


@pytest.mark.parametrize("content", ["", "{", '{"add": {"path": "a"}}\n'])
def test_a_commit_that_does_not_say_who_made_it_is_damaged(tmp_path, content):
    t = Table(tmp_path / "t")
    t.commit(0)
    (t.log / f"{1:020}.json").write_text(content)
    with pytest.raises(LogDamaged, match="does not say who committed it"):
        list(DeltaLog(t.folder).notes(0))


def write_commit(table, version, at, *actions, operation="WRITE", text="gold/one"):
    """A commit with the moment and the note of its writer."""
    info = {"commitInfo": {"operation": operation, "timestamp": at, "userMetadata": text}}
    (table.log / f"{version:020}.json").write_text("".join(json.dumps(a) + "\n" for a in (info, *actions)))


def rows(path, number, size=10):
    return {"add": {"path": path, "size": size, "dataChange": True, "stats": json.dumps({"numRecords": number})}}


def test_commits_since_a_moment_say_what_was_new_in_them(tmp_path):
    table = Table(tmp_path / "t")
    write_commit(table, 0, 100, {"metaData": {}}, text=None)
    write_commit(table, 1, 200, rows("a", 3), rows("b", 4, 20))
    write_commit(table, 2, 300, remove("a"), rows("a", 3), rows("c", 1))  # rows of a are masked, one is written anew
    write_commit(table, 3, 400, {"add": {"path": "d", "size": 9, "dataChange": False}}, remove("b"), operation="OPTIMIZE")
    write_commit(table, 4, 500, rows("a", 3), operation="RESTORE")
    write_commit(table, 5, 600, add("e"))
    log = DeltaLog(table.folder)
    assert log.commits_since(200) == [
        Commit(1, 200, "gold/one", 7, 30, 2),
        Commit(2, 300, "gold/one", 1, 10, 1),
        Commit(3, 400, "gold/one", 0, 0, 0),
        Commit(4, 500, "gold/one", 0, 0, 0),
        Commit(5, 600, "gold/one", None, 10, 1),
    ]
    assert log.commits_since(601) == []
    assert [c.version for c in log.commits_since(0)] == [0, 1, 2, 3, 4, 5]


def test_a_commit_that_can_not_be_read_is_named(tmp_path):
    table = Table(tmp_path / "t")
    write_commit(table, 0, 100, rows("a", 1))
    table.commit(1, add("b"))  # without a moment
    with pytest.raises(LogDamaged) as raised:
        DeltaLog(table.folder).commits_since(50)
    assert raised.value.version == 1
