"""Read a Delta table's log from its files, without Spark: which files a version consists of, and whether the log is whole.

For a check before serving, and for backups. It follows Delta's protocol as far as our tables use it: JSON commits, checkpoints
(classic, in parts, and the second kind with sidecars), deletion vectors. It writes nothing.
"""

from __future__ import annotations

import functools
import json
import re
import uuid
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import pyarrow as pa
import pyarrow.parquet as pq

_COMMIT = re.compile(r"(\d{20})\.json")
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint(?:\.(\d{10})\.(\d{10})|\.([0-9a-f-]{36}))?\.(parquet|json)")
_Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
_LAST = "_last_checkpoint"
_FILES = ("add", "remove")  # the actions that name data files


class LogDamaged(Exception):
    """A version of a table can't be read from its log.

    ``table``: the table's folder. ``version``: the version that can't be read. ``file``: the path in the table of the file that is
    damaged or missing. ``what``: what is wrong with it, in a few words.
    """

    def __init__(self, table: Path, version: int, file: str, what: str) -> None:
        super().__init__(f"{table} version {version}: {file} {what}")
        self.table, self.version, self.file, self.what = table, version, file, what


@dataclass(frozen=True)
class DataFile:
    """A live data file. ``path`` and ``deletion_vector`` are relative to the table, or absolute where the log says so.

    ``size``: bytes. ``deletion_vector``: the file that says which rows are gone; None where there is none or the log itself holds it.
    """

    path: str
    size: int
    deletion_vector: str | None


@dataclass(frozen=True)
class Snapshot:
    """A version of a table: its live files, and the files of the log (paths in the table) that it was read from."""

    version: int
    files: tuple[DataFile, ...]
    log_files: tuple[str, ...]

    @property
    def paths(self) -> set[str]:
        """All files beside the log without which the version can't be read."""
        return {f.path for f in self.files} | {f.deletion_vector for f in self.files if f.deletion_vector}


@dataclass(frozen=True)
class Note:
    """What a commit says of itself: Delta's name of the operation, and the text that its writer put in (None: none)."""

    version: int
    operation: str
    text: str | None


@dataclass(frozen=True)
class Commit:
    """What a commit has added: rows, bytes and number of files that were not there before. ``at``: when, in milliseconds of the epoch. ``text``: as in
    `Note`. ``rows``: None where the log doesn't say of a file how many it has."""

    version: int
    at: int
    text: str | None
    rows: int | None
    bytes: int
    files: int


@dataclass(frozen=True)
class _Checkpoint:
    """A complete checkpoint as the folder's listing shows it; it may still turn out to be unreadable."""

    version: int
    parts: tuple[str, ...]


class _Unreadable(Exception):
    """A file of the log is damaged; whether that matters depends on the version that is asked for."""

    def __init__(self, file: str, what: str) -> None:
        super().__init__(f"{file} {what}")
        self.file, self.what = file, what


class DeltaLog:
    """The log of the table in ``folder``, as it is listed now.

    ``newest``: the newest version that the listing shows, readable or not.

    Raises:
        FileNotFoundError: the folder is no Delta table.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._log = folder / "_delta_log"
        names = sorted(p.name for p in self._log.iterdir())
        self.commits = [int(m[1]) for name in names if (m := _COMMIT.fullmatch(name))]
        self._committed = set(self.commits)
        self._checkpoints, self._half = _checkpoints(names)
        if not self.commits and not self._checkpoints:
            raise FileNotFoundError(f"{folder} has no Delta log")
        self.newest = max(self.commits[-1:] + [c.version for c in self._checkpoints])

    def snapshot(self, version: int) -> Snapshot:
        """The live files of ``version``.

        Raises:
            LogDamaged: the version is not in the log, or a file without which it can't be read is damaged or missing.
        """
        return next(self.snapshots([version]))

    def snapshots(self, versions: Iterable[int]) -> Iterator[Snapshot]:
        """Snapshots of several versions, the oldest first, in one pass over the log as far as it is whole.

        Raises:
            LogDamaged: as in :meth:`snapshot`, when the damaged version's turn comes.
        """
        live: dict[str, DataFile] = {}
        read: list[str] = []
        at: int | None = None  # the version that ``live`` is at
        for version in sorted(set(versions)):
            damage = None
            if at is not None:
                damage = self._replay(live, read, at + 1, version)
            if at is None or damage is not None:
                live, read = self._start(version, damage)
            at = version
            yield Snapshot(version, tuple(live[p] for p in sorted(live)), tuple(read))

    def _start(self, version: int, damage: _Unreadable | None) -> tuple[dict[str, DataFile], list[str]]:
        """Read a version from the newest checkpoint that serves, else from the commits alone: of a long log that would take long."""
        starts: list[_Checkpoint | None] = [*(c for c in reversed(self._checkpoints) if c.version <= version), None]
        for start in starts:
            live: dict[str, DataFile] = {}
            read: list[str] = []
            try:
                if start is not None:
                    live, read = self._read_checkpoint(start)
                found = self._replay(live, read, 0 if start is None else start.version + 1, version)
            except _Unreadable as error:
                found = error
            if found is None:
                return live, read
            damage = damage or found
        assert damage is not None
        raise LogDamaged(self.folder, version, damage.file, damage.what)

    def _replay(self, live: dict[str, DataFile], read: list[str], first: int, last: int) -> _Unreadable | None:
        """Bring ``live`` from before ``first`` to ``last``; return what stands in the way, if anything."""
        for version in range(first, last + 1):
            try:
                added = []
                for kind, file in self._commit(version):
                    if kind == "remove":
                        live.pop(file.path, None)
                    elif kind == "add":
                        added.append(file)
                live.update((f.path, f) for f in added)  # a file that gets a deletion vector is removed and added in one commit
            except _Unreadable as error:
                return error
            read.append(f"_delta_log/{version:020}.json")
        return None

    def _commit(self, version: int) -> Iterator[tuple[str, DataFile]]:
        """The files that a commit adds and removes, line by line; it must hold at least one action of some kind."""
        name = f"{version:020}.json"
        file = f"_delta_log/{name}"
        if version not in self._committed:
            raise _Unreadable(file, "is missing")
        path = self._log / name
        try:
            data = path.read_bytes()
        except OSError as error:
            raise _Unreadable(file, f"can't be read ({error.strerror})") from error
        if not data:
            raise _Unreadable(file, "is empty")
        if not data.endswith(b"\n"):
            raise _Unreadable(file, "is torn: its last line does not end")
        if checksum_fault(path):
            raise _Unreadable(file, "is not what was written: its checksum differs")
        lines = data.split(b"\n")[:-1]
        for number, line in enumerate(lines, start=1):
            try:
                ((kind, action),) = json.loads(line).items()
                if kind in _FILES:
                    yield kind, _data_file(action)
            except (ValueError, AttributeError, KeyError, TypeError) as error:
                raise _Unreadable(file, f"is torn: line {number} is no action") from error

    def notes(self, after: int) -> Iterator[Note]:
        """Who committed the versions after ``after``, the oldest first.

        Raises:
            LogDamaged: the commit of such a version is missing or can't be read.
        """
        for version in range(after + 1, self.newest + 1):
            file = f"_delta_log/{version:020}.json"
            try:
                actions = [json.loads(line) for line in (self.folder / file).read_text(encoding="utf-8").splitlines()]
                info = next(a["commitInfo"] for a in actions if "commitInfo" in a)
                yield Note(version, info["operation"], info.get("userMetadata"))
            except (OSError, ValueError, TypeError, KeyError, StopIteration) as error:
                raise LogDamaged(self.folder, version, file, "does not say who committed it") from error

    def commits_since(self, moment: int) -> list[Commit]:
        """The commits in the listing that were made at ``moment`` (milliseconds of the epoch) or later, the oldest first.

        Raises:
            LogDamaged: such a commit can't be read.
        """
        found: list[Commit] = []
        for version in reversed(self.commits):
            file = f"_delta_log/{version:020}.json"
            try:
                actions = [json.loads(line) for line in (self.folder / file).read_text(encoding="utf-8").splitlines()]
                info = next(a["commitInfo"] for a in actions if "commitInfo" in a)
                if int(info["timestamp"]) < moment:
                    break
                added = [] if info["operation"] == "RESTORE" else _new_files(actions)
                whole = sum(int(json.loads(a["stats"])["numRecords"]) for a in added) if all(a.get("stats") for a in added) else None
                found.append(Commit(version, int(info["timestamp"]), info.get("userMetadata"), whole, sum(int(a["size"]) for a in added), len(added)))
            except (OSError, ValueError, TypeError, KeyError, StopIteration) as error:
                raise LogDamaged(self.folder, version, file, "does not say what was committed") from error
        return found[::-1]

    def _read_checkpoint(self, checkpoint: _Checkpoint) -> tuple[dict[str, DataFile], list[str]]:
        live: dict[str, DataFile] = {}
        files = [f"_delta_log/{part}" for part in checkpoint.parts]
        for file in files:  # grows by the sidecars that are named in it
            for kind, found in self._checkpoint_entries(file):
                if kind == "add":
                    live[found.path] = found
                elif kind == "sidecar":
                    files.append(f"_delta_log/_sidecars/{found.path.rpartition('/')[2]}")
        return live, files

    def _checkpoint_entries(self, file: str) -> Iterator[tuple[str, DataFile]]:
        """The files that a checkpoint, or a sidecar of one, says are there (add), were there (remove) or carry on with it (sidecar)."""
        path = self.folder / file
        try:
            if file.endswith(".json"):
                for line in path.read_text().splitlines():
                    yield from ((kind, _data_file(action)) for kind, action in json.loads(line).items() if kind in (*_FILES, "sidecar"))
                return
            with pq.ParquetFile(path) as parquet:
                kinds = {name for name in (*_FILES, "sidecar") if name in parquet.schema_arrow.names}
                if not kinds:
                    raise _Unreadable(file, "is no checkpoint")
                columns = [f"{kind}.{field}" for kind in kinds for field in ("path", "size", "deletionVector", "sizeInBytes")]
                for batch in parquet.iter_batches(batch_size=10_000, columns=columns):
                    for row in batch.to_pylist():
                        yield from ((kind, _data_file(action)) for kind, action in row.items() if action is not None)
        except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
            raise _Unreadable(file, f"is an unreadable checkpoint ({type(error).__name__})") from error

    def warnings(self) -> list[str]:
        """What is damaged in the retained log, whether or not a version that somebody needs depends on it. Reads all of it."""
        found = [f"{name} belongs to a checkpoint that lacks parts" for name in self._half]
        for checkpoint in self._checkpoints:
            try:
                self._read_checkpoint(checkpoint)
            except _Unreadable as error:
                found.append(str(error))
        for version in range(self.commits[0], self.commits[-1] + 1) if self.commits else ():
            try:
                for _ in self._commit(version):
                    pass
            except _Unreadable as error:
                found.append(str(error))
        last = self._log / _LAST
        if last.exists():
            try:
                named = int(json.loads(last.read_text())["version"])
            except (OSError, ValueError, KeyError, TypeError):
                found.append(f"_delta_log/{_LAST} is unreadable")
            else:
                if named not in {c.version for c in self._checkpoints}:
                    found.append(f"_delta_log/{_LAST} names version {named}, which has no checkpoint")
        return found

    def referenced(self) -> set[str]:
        """Every data and deletion-vector file that the readable part of the retained log has ever named."""
        found: set[str] = set()

        def note(entries: Iterator[tuple[str, DataFile]]) -> None:
            for kind, file in entries:
                if kind in _FILES:
                    found.update({file.path} | ({file.deletion_vector} if file.deletion_vector else set()))

        for checkpoint in self._checkpoints:
            try:
                _, files = self._read_checkpoint(checkpoint)
                for file in files:
                    note(self._checkpoint_entries(file))
            except _Unreadable:
                continue
        for version in self.commits:
            try:
                note(self._commit(version))
            except _Unreadable:
                continue
        return found

    def files_up_to(self, version: int) -> list[str]:
        """The files of the log (paths in the table) that a copy whose newest version is ``version`` should hold.

        Without checkpoints that can't be read, and without the pointer to the last one where that is newer, or damaged: a
        reader does without, but stumbles over a wrong one.
        """
        good: dict[int, list[str]] = {}
        for checkpoint in self._checkpoints:
            if checkpoint.version <= version:
                try:
                    good.setdefault(checkpoint.version, []).extend(self._read_checkpoint(checkpoint)[1])
                except _Unreadable:
                    continue
        files = [f"_delta_log/{v:020}.json" for v in self.commits if v <= version]
        files += [f"_delta_log/{p.name}" for p in self._log.glob("*.crc") if p.stem.isdigit() and int(p.stem) <= version]
        files += sorted({part for parts in good.values() for part in parts})
        try:
            if int(json.loads((self._log / _LAST).read_text())["version"]) in good:
                files.append(f"_delta_log/{_LAST}")
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return files


def _checkpoints(names: Iterable[str]) -> tuple[list[_Checkpoint], list[str]]:
    """Complete checkpoints by version, and the parts of incomplete ones, which readers must ignore."""
    whole: list[_Checkpoint] = []
    parts: dict[tuple[int, int], list[str]] = {}
    for name in names:
        match = _CHECKPOINT.fullmatch(name)
        if match and match[2]:
            parts.setdefault((int(match[1]), int(match[3])), []).append(name)
        elif match:
            whole.append(_Checkpoint(int(match[1]), (name,)))
    half = []
    for (version, count), found in parts.items():
        if len(found) == count:
            whole.append(_Checkpoint(version, tuple(found)))
        else:
            half += [f"_delta_log/{name}" for name in found]
    return sorted(whole, key=lambda c: (c.version, c.parts)), half


def _path(text: str) -> str:
    """A path as the log writes it (an encoded URI), relative to the table or absolute."""
    parsed = urlparse(text)
    return unquote(parsed.path) if parsed.scheme == "file" else unquote(text)


def _data_file(action: dict[str, Any]) -> DataFile:
    return DataFile(_path(action["path"]), int(action.get("size") or 0), _deletion_vector(action.get("deletionVector")))


def _new_files(actions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of the actions of a commit, the files with rows that were not stored before: neither those of which only some rows are masked now, nor those
    into which old rows were put together."""
    removed = {a["remove"]["path"] for a in actions if "remove" in a}
    return [a["add"] for a in actions if "add" in a and a["add"].get("dataChange", True) and a["add"]["path"] not in removed]


def _deletion_vector(descriptor: dict[str, Any] | None) -> str | None:
    if not descriptor or descriptor["storageType"] == "i":
        return None
    text = descriptor["pathOrInlineDv"]
    if descriptor["storageType"] == "p":
        return _path(text)
    # The last 20 characters are the file's UUID in Z85; what stands before is the folder, named at random.
    folder, code = text[:-20], text[-20:]
    return f"{folder}{'/' if folder else ''}deletion_vector_{uuid.UUID(bytes=_z85(code))}.bin"


@functools.cache
def _z85(text: str) -> bytes:
    words = (functools.reduce(lambda number, c: number * 85 + _Z85.index(c), text[i : i + 5], 0) for i in range(0, len(text), 5))
    return b"".join(word.to_bytes(4, "big") for word in words)


def checksum_file(path: Path) -> Path:
    """Where Hadoop keeps the checksums of a file that it wrote on a local disk."""
    return path.with_name(f".{path.name}.crc")


def checksum_fault(path: Path) -> bool:
    """Whether a file differs from the checksums that Hadoop wrote beside it; False where there are none.

    Spark compares them whenever it reads the file, Trino does not.
    """
    beside = checksum_file(path)
    if not beside.exists():
        return False
    sums = beside.read_bytes()
    if sums[:4] != b"crc\0":
        return True
    piece, at = int.from_bytes(sums[4:8], "big"), 8
    with path.open("rb") as f:
        while block := f.read(piece):
            if zlib.crc32(block) != int.from_bytes(sums[at : at + 4], "big") or at + 4 > len(sums):
                return True
            at += 4
    return at != len(sums)
