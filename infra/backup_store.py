"""The store of backups: each content once, under its own hash; a manifest for each backup, written last.

    objects/<2 hex digits>/<SHA-256>     contents
    backups/<id>/manifest.json           what a backup consists of
    incoming/                            half-written contents; emptied by whoever writes next

What has no manifest is no backup. Nothing that is stored is ever changed; it goes when no backup that is left needs it.
"""

from __future__ import annotations

import dataclasses
import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from infra.durable import sync
from infra.problems import Problem

FORMAT = 1
BLOCK = 2**20
README = (
    "这里是数据湖仓的备份。它含有个人信息、商业秘密以及全部口令和密钥，必须与湖仓本身同等保护：\n"
    "只允许备份人员访问，介质加密存放，报废前销毁。用 ./lake backup 目录 --list 查看，用 ./lake restore 目录 恢复。\n"
    "不要改动、改名或单独删除其中的文件。\n"
)


@dataclass(frozen=True)
class Entry:
    """A file of a backup. ``path``: relative to the instance's state, or below ``program/``. ``size`` in bytes, ``modified`` in ns."""

    path: str
    size: int
    modified: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a backup consists of.

    ``made_at``: when writers were held back, in UTC; the backup shows that moment. ``state``: the folder that the instance had.
    ``releases``: those that can be shown again, the newest first; the first is the current one. ``tables``: ``schema.table`` → newest
    version in the copy. ``commit``: the program's git commit, empty where unknown. ``folders``: folders that must exist though
    they may be empty. ``new_objects``, ``new_bytes``: what this backup added to the store. ``seconds``: how long it took.
    """

    backup_id: str
    made_at: str
    instance: str
    state: str
    releases: tuple[str, ...]
    tables: dict[str, int]
    commit: str
    entries: tuple[Entry, ...]
    folders: tuple[str, ...]
    new_objects: int
    new_bytes: int
    seconds: float

    @property
    def release(self) -> str | None:
        return self.releases[0] if self.releases else None

    @property
    def size(self) -> int:
        """Bytes of all files; contents that several files share are counted for each."""
        return sum(e.size for e in self.entries)


class Damaged(Exception):
    """A stored content is missing or is not what its name says. ``what``: in a few words."""

    def __init__(self, sha256: str, what: str) -> None:
        super().__init__(f"objects/{sha256[:2]}/{sha256} {what}")
        self.sha256, self.what = sha256, what


def hash_of(source: BinaryIO) -> str:
    digest = hashlib.sha256()
    while block := source.read(BLOCK):
        digest.update(block)
    return digest.hexdigest()


class Store:
    """The backups in ``folder``.

    Raises:
        Problem: the folder holds something else, or can't be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.new_objects = self.new_bytes = 0
        self._touched: set[Path] = set()
        try:
            if not (folder / "objects").is_dir() or not (folder / "backups").is_dir():
                raise Problem(f"{folder} 里没有备份", "没有 objects 和 backups 目录", "核对路径；备份由 ./lake backup 生成")
        except PermissionError:
            raise _forbidden(folder) from None

    # ---- reading ----

    def ids(self) -> list[str]:
        """The backups that are whole, the oldest first."""
        return sorted(p.parent.name for p in self.folder.glob("backups/*/manifest.json"))

    def manifest(self, backup_id: str = "") -> Manifest:
        """A backup's manifest; without an id the newest one.

        Raises:
            Problem: there is no such backup, or its manifest is damaged or of a newer program.
        """
        ids = self.ids()
        if not ids:
            raise Problem(f"{self.folder} 里没有完整的备份", "没有任何 manifest.json", "先运行 ./lake backup")
        if backup_id and backup_id not in ids:
            raise Problem(f"没有备份 {backup_id}", f"这里有：{'、'.join(ids)}", f"用 ./lake backup {self.folder} --list 查看")
        path = self.folder / "backups" / (backup_id or ids[-1]) / "manifest.json"
        try:
            digest, body = path.read_bytes().split(b"\n", 1)
            whole = hashlib.sha256(body).hexdigest().encode() == digest
            values = json.loads(body) if whole else {}
        except (OSError, ValueError):
            whole = False
        if not whole:
            raise Problem(f"备份清单 {path} 已损坏", "内容与它记下的校验值不符", "换用另一份备份（--list 查看），并检查备份介质")
        if values.pop("format") != FORMAT:
            raise Problem(f"备份清单 {path} 的格式不认识", "它由另一个版本的程序写成", "用备份时的程序版本恢复")
        for name, kind in (("entries", lambda e: Entry(*e)), ("releases", str), ("folders", str)):
            values[name] = tuple(kind(v) for v in values[name])
        return Manifest(**values)

    def path(self, sha256: str) -> Path:
        return self.folder / "objects" / sha256[:2] / sha256

    def read(self, entry: Entry, write: Callable[[bytes], object]) -> None:
        """Hand a file's content to ``write`` in pieces.

        Raises:
            Damaged: it is missing or differs from its hash; what has been written by then is worthless.
        """
        digest = hashlib.sha256()
        try:
            with self.path(entry.sha256).open("rb") as source:
                while block := source.read(BLOCK):
                    digest.update(block)
                    write(block)
        except FileNotFoundError:
            raise Damaged(entry.sha256, "不在备份里") from None
        except OSError as error:
            if error.errno == errno.EIO:
                raise Damaged(entry.sha256, "读取出错") from error
            raise
        if digest.hexdigest() != entry.sha256:
            raise Damaged(entry.sha256, "内容已改变")

    # ---- writing ----

    @classmethod
    @contextmanager
    def writing(cls, folder: Path) -> Iterator[Store]:
        """The store, made where it is missing, for the one program that may write to it.

        Raises:
            Problem: another program writes, the folder holds something else or may not be written, or there is no more space.
        """
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not (folder / "objects").is_dir() and {p.name for p in folder.iterdir()} - {"lost+found", ".lock"}:
                raise Problem(f"{folder} 不能用作备份目录", "里面有别的文件", "给备份一个空目录")
            with (folder / ".lock").open("w") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise Problem("备份没有开始", f"另一个备份正在写 {folder}", "等它结束后再试") from None
                shutil.rmtree(folder / "incoming", ignore_errors=True)
                for name in ("incoming", "objects", "backups"):
                    (folder / name).mkdir(mode=0o700, exist_ok=True)
                readme = folder / "README.txt"
                if not readme.exists():
                    readme.write_text(README)
                yield cls(folder)
        except PermissionError as error:
            if (error.filename and Path(str(error.filename)).is_relative_to(folder)) or not folder.exists():
                raise _forbidden(folder) from error
            raise
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise Problem("备份没有完成", f"{folder} 没有空间了", "腾出空间后再运行同一命令：已写入的部分不会重写。较早的备份不受影响") from error
            raise

    def put(self, source: Path) -> Entry:
        """Store a file's content, unless it is there; ``path`` of the entry is the file's own.

        A file that changes meanwhile is stored as it was read: whole as far as each of its pieces goes, no more.

        Raises:
            FileNotFoundError: the file is gone.
            Problem: what was stored reads otherwise than what was written.
        """
        with source.open("rb") as f:
            status = os.fstat(f.fileno())
            sha256 = hash_of(f)
            size = f.tell()
            if not self.holds(sha256, size):
                f.seek(0)
                sha256, size = self._write(f, source)
        return Entry(str(source), size, status.st_mtime_ns, sha256)

    def holds(self, sha256: str, size: int) -> bool:
        try:
            return self.path(sha256).stat().st_size == size
        except FileNotFoundError:
            return False

    def _write(self, source: BinaryIO, name: Path) -> tuple[str, int]:
        temporary = self.folder / "incoming" / f"{os.getpid()}.new"
        digest, size, written = hashlib.sha256(), 0, 0
        with open(os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), "wb+") as f:
            while block := source.read(BLOCK):
                digest.update(block)
                size += len(block)
                if block.count(0) == len(block):  # the unused end of a database's log: a hole takes no space
                    f.seek(len(block), os.SEEK_CUR)
                else:
                    written += f.write(block)
            f.truncate(size)
            f.flush()
            os.fsync(f.fileno())
            # Read back from the disk, as far as the system lets go of what it has in memory.
            os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            f.seek(0)
            if hash_of(f) != digest.hexdigest():
                raise Problem(f"{name} 的备份读回来不一样", "备份介质写入的内容与读出的不符", "检查备份介质后再试；较早的备份不受影响")
        target = self.path(digest.hexdigest())
        target.parent.mkdir(mode=0o700, exist_ok=True)
        temporary.replace(target)
        self._touched |= {target.parent, target.parent.parent}
        self.new_objects += 1
        self.new_bytes += written
        return digest.hexdigest(), size

    def put_bytes(self, content: bytes, path: str) -> Entry:
        """Store a content that is in no file."""
        temporary = self.folder / "incoming" / f"{os.getpid()}.bytes"
        temporary.write_bytes(content)
        entry = self.put(temporary)
        temporary.unlink()
        return dataclasses.replace(entry, path=path)

    def finish(self, manifest: Manifest) -> None:
        """Make what was stored a backup. All of it is on the disk before the manifest is."""
        for folder in self._touched:
            sync(folder)
        values = {"format": FORMAT, **{f.name: getattr(manifest, f.name) for f in dataclasses.fields(manifest)}}
        values["entries"] = [dataclasses.astuple(e) for e in manifest.entries]
        body = json.dumps(values, ensure_ascii=False, indent=0).encode()
        folder = self.folder / "backups" / manifest.backup_id
        folder.mkdir(mode=0o700)
        temporary = folder / "manifest.json.new"
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as f:
            f.write(hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
            f.flush()
            os.fsync(f.fileno())
        temporary.replace(folder / "manifest.json")
        sync(folder)
        sync(folder.parent)

    def forget(self, backup_id: str) -> tuple[int, int]:
        """Delete a backup and what no other one needs; return how many objects and bytes that were. The newest one stays.

        Stopped half-way, the backup is gone and some of its objects are left: the next call deletes them.

        Raises:
            Problem: the id is empty or of no backup, it is the newest one, or a manifest can't be read, so that nobody knows what is needed.
        """
        if not backup_id:
            raise Problem("没有删除任何备份", "没有写明是哪一份", f"写上编号；用 ./lake backup {self.folder} --list 查看")
        self.manifest(backup_id)
        others = [i for i in self.ids() if i != backup_id]
        if not others or backup_id > others[-1]:
            raise Problem(f"没有删除 {backup_id}", "它是最新的一份备份", "先做一份新的备份")
        needed = {e.sha256 for i in others for e in self.manifest(i).entries}
        folder = self.folder / "backups" / backup_id
        (folder / "manifest.json").unlink()
        sync(folder)
        shutil.rmtree(folder)
        count = freed = 0
        for path in list(self.folder.glob("objects/*/*")):
            if path.name not in needed:
                freed += path.stat().st_blocks * 512
                path.unlink()
                count += 1
        return count, freed


def _forbidden(folder: Path) -> Problem:
    account = _account()
    return Problem(
        f"不能使用备份目录 {folder}",
        f"账号 {account} 没有权限",
        f"以 root 运行 install -d -o {account} -m 700 {folder}；目录里已有备份时用 chown -R {account} {folder}",
    )


def _account() -> str:
    return os.environ.get("USER") or str(os.geteuid())
