"""``./lake backup``: copy everything that an instance can't make again, consistent at one moment, into a store of backups.

What is copied: the kept releases' tables (docs/decisions/0012) as far as their logs and files are whole, bronze and ``ops`` at their
newest versions, all databases, landing, secrets, accounts, settings, and the contracts. Not ``work``, caches, logs and what every
start renders.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import os
import re
import subprocess
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from rich.console import Console
from rich.table import Table

from infra.backup_store import Damaged, Entry, Manifest, Store
from infra.delta_log import DeltaLog, LogDamaged, checksum_file
from infra.ledger import Ledger
from infra.problems import Problem
from infra.services.base import Context
from infra.services.postgres import base_backup
from infra.settings import REPO, Settings
from infra.store import HOLD, data_fault

WARNING = "备份含有个人信息、商业秘密和全部口令密钥，必须与湖仓本身同等保护。"
PROGRAM = "program/"  # contracts lie below it: they say what the tables mean, and are not put back by a restore
# Of the instance's state: rendered or filled anew at each start, or copied in a way of their own.
LEFT_OUT = {
    "conf", "run", "home", "scratch", "logs", "warehouse", "data/postgres", "data/spark", "data/trino", "data/dbt", "data/airflow/logs", "data/names",
    "data/superset/cache", "data/superset/explore_cache", "data/superset/filter_cache", "data/superset/sessions",
}  # fmt: skip
# Written once under their name and never changed, so that time and size tell whether a file is the same.
IMMUTABLE = re.compile(r"warehouse/.*/[^/]*\.(parquet|bin)(\.crc)?|landing/(kept|records)/.*")


@dataclass
class _Plan:
    """Which files of which tables are to be copied."""

    releases: list[str]
    versions: dict[str, int]
    files: dict[Path, None] = field(default_factory=dict)  # a set that keeps its order
    notes: list[str] = field(default_factory=list)


class _Copy:
    """Files on their way into the store, with progress."""

    def __init__(self, context: Context, store: Store, out: Console) -> None:
        self._state, self._store, self._out = context.settings.state, store, out
        self._known = {e.path: e for i in store.ids()[-1:] for e in store.manifest(i).entries}
        self._said = time.monotonic()
        self.done: dict[str, Entry] = {}

    def immutable(self, path: Path) -> bool:
        return IMMUTABLE.fullmatch(str(path.relative_to(self._state))) is not None

    def stored(self, path: Path) -> Entry | None:
        """What the store has of a file that is never changed, known by its time and size without reading it."""
        relative = str(path.relative_to(self._state))
        known = self.done.get(relative) or self._known.get(relative)
        status = path.stat()
        if known is None or (known.size, known.modified) != (status.st_size, status.st_mtime_ns) or not self.immutable(path):
            return None
        return known if self._store.holds(known.sha256, known.size) else None

    def take(self, path: Path, name: str | None = None) -> None:
        """Store a file under its path in the state, or under ``name``.

        Raises:
            FileNotFoundError: it is gone.
        """
        relative = name or str(path.relative_to(self._state))
        stored = None if name else self.stored(path)
        self.done[relative] = stored or dataclasses.replace(self._store.put(path), path=relative)
        if time.monotonic() - self._said > 5:
            self._said = time.monotonic()
            self._out.print(f"  … 已核对 {len(self.done):,} 个文件，新写入 {size(self._store.new_bytes)}", style="dim")

    def take_all(self, paths: Iterable[Path]) -> None:
        for path in paths:
            self.take(path)

    def take_bytes(self, content: bytes, relative: str) -> None:
        self.done[relative] = self._store.put_bytes(content, relative)


def make(context: Context, destination: Path, out: Console) -> Manifest:
    """Make a backup and say what it took.

    Raises:
        Problem: the database is down, a table of the current release or of bronze is damaged, or the destination can't be used.
    """
    _check_destination(context.settings, destination)
    begin = time.monotonic()
    with Store.writing(destination) as store:
        copy = _Copy(context, store, out)
        with _answering(context), Ledger(context) as ledger:
            # Most of the bytes first, while others may still write: what a release names is never changed, and kept for weeks.
            out.print("复制已发布的数据文件")
            if destination.stat().st_dev == context.settings.state.stat().st_dev:
                out.print("  ! 备份目录与湖仓在同一块磁盘上：磁盘损坏时会一起丢失", style="yellow")
            copy.take_all(p for p in _plan(context, ledger, copy).files if copy.immutable(p))
            ledger.hold_writer(lambda: out.print("  … 等待：另一个程序正在写入", style="dim"))
            held = time.monotonic()
            out.print("写入暂停，复制台账、各数据库、到达文件和设置")
            made_at = dt.datetime.now(dt.UTC)
            plan = _plan(context, ledger, copy)
            for note in plan.notes:
                out.print(f"  ! {note}", style="yellow", soft_wrap=True)
            copy.take_all(plan.files)
            cluster = context.settings.state / base_backup.CLUSTER
            base_backup.copy(
                context, f"lake {made_at:%Y-%m-%dT%H:%M:%SZ}", copy.take, lambda c, name: copy.take_bytes(c, f"{base_backup.CLUSTER}/{name}")
            )
            for path in _state_files(context.settings.state):
                with contextlib.suppress(FileNotFoundError):  # a file that somebody took back from an inbox
                    copy.take(path)
            ledger.current_release()  # the connection that keeps writers out has lasted
        paused = time.monotonic() - held
        for path in sorted((REPO / "catalog").rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                copy.take(path, f"{PROGRAM}{path.relative_to(REPO)}")
        # Of the first pass some may have left the plan since.
        wanted = {str(p.relative_to(context.settings.state)) for p in plan.files}
        entries = [e for name, e in copy.done.items() if not name.startswith("warehouse/") or name in wanted]
        manifest = Manifest(
            backup_id=f"B{made_at:%Y%m%dT%H%M%SZ}",
            made_at=made_at.isoformat(timespec="seconds"),
            instance=context.settings.instance,
            state=str(context.settings.state),
            releases=tuple(plan.releases),
            tables=plan.versions,
            commit=commit(),
            entries=tuple(sorted(entries, key=lambda e: e.path)),
            folders=tuple(f"{base_backup.CLUSTER}/{name}".rstrip("/") for name in base_backup.folders(cluster)),
            new_objects=store.new_objects,
            new_bytes=store.new_bytes,
            seconds=round(time.monotonic() - begin, 1),
        )
        store.finish(manifest)
    out.print(
        f"备份 {manifest.backup_id} 完成：发布 {manifest.release or '（还没有）'}，可恢复的发布 {len(manifest.releases)} 个，{len(manifest.entries):,} 个文件 {size(manifest.size)}；"
        f"新写入 {manifest.new_objects:,} 个对象 {size(manifest.new_bytes)}，已逐个读回核对。用时 {manifest.seconds:.0f} 秒，其中暂停写入 {paused:.0f} 秒",
        soft_wrap=True,
    )
    out.print(WARNING, style="yellow")
    return manifest


@contextlib.contextmanager
def _answering(context: Context) -> Iterator[None]:
    """Say it in words when the database is down, or goes down meanwhile."""
    try:
        yield
    except psycopg.OperationalError as error:
        raise Problem(
            "备份没有完成",
            f"数据库没有应答（{str(error).strip().splitlines()[0]}）",
            f"先运行 ./lake up，再运行同一命令。如果数据库起不来：./lake down 之后，把 {context.settings.state} 整个目录原样复制到别处",
        ) from None


def _check_destination(settings: Settings, destination: Path) -> None:
    if not destination.is_absolute():
        raise Problem(f"{destination} 不能用作备份目录", "它不是绝对路径", "写完整路径，如 /mnt/backup/lake")
    resolved = destination.resolve()
    if any(resolved.is_relative_to(p.resolve()) for p in (settings.state, settings.made, REPO)):
        raise Problem(f"{destination} 不能用作备份目录", "它在湖仓自己的目录里，会和湖仓一起丢失", "用另一块磁盘上的目录，如 /mnt/backup/lake")


def _plan(context: Context, ledger: Ledger, copy: _Copy) -> _Plan:
    """The kept releases that are whole, and the files of their tables; other tables at their newest versions."""
    warehouse = context.settings.warehouse
    folders = {f"{p.parent.name.removesuffix('.db')}.{p.name}": p for p in sorted(warehouse.glob("*.db/*")) if (p / "_delta_log").is_dir()}
    faults: dict[Path, str] = {}
    plan = _Plan([], {})
    snapshots: dict[tuple[str, int], set[Path]] = {}
    pinned: dict[str, set[int]] = {}
    current = ledger.current_release()
    for identity in ledger.kept_releases(HOLD):
        tables = {t.table_name: t.version for t in ledger.release_tables(identity)}
        try:
            for name, version in tables.items():
                if (name, version) not in snapshots:
                    snapshots[name, version] = _whole(name, folders.get(name, warehouse / name.replace(".", ".db/", 1)), version, faults, copy)
        except Problem as problem:
            if identity == current:
                raise
            plan.notes.append(f"发布 {identity} 不完整，不在这份备份里：{problem.what}，{problem.why}")
            continue
        plan.releases.append(identity)
        for name, version in tables.items():
            pinned.setdefault(name, set()).add(version)
    for name, folder in folders.items():
        if name.startswith("work."):
            continue
        try:
            log = DeltaLog(folder)
            versions = pinned.get(name) or {log.newest}
            plan.versions[name] = max(versions)
            for version in sorted(versions):
                data = snapshots[name, version] if (name, version) in snapshots else _whole(name, folder, version, faults, copy)
                plan.files.update(dict.fromkeys(sorted(data)))
            names = [folder / f for f in log.files_up_to(max(versions))]
        except (FileNotFoundError, Problem) as error:
            if name in pinned or name.startswith("bronze."):
                raise
            plan.versions.pop(name, None)
            plan.notes.append(f"{name} 不在这份备份里，恢复后会重建：{error}")
            continue
        plan.files.update(dict.fromkeys(names))
    # Beside each file its checksums, with which Spark notices a changed byte.
    plan.files.update(dict.fromkeys([c for f in list(plan.files) if (c := checksum_file(f)).exists()]))
    return plan


def _whole(name: str, folder: Path, version: int, faults: dict[Path, str], copy: _Copy) -> set[Path]:
    """The data files of a version, each looked at once: there, of its size, and as it was written.

    Raises:
        Problem: naming table, version and file.
    """
    try:
        snapshot = DeltaLog(folder).snapshot(version)
    except FileNotFoundError:
        raise _damage(name, version, str(folder), "不存在") from None
    except LogDamaged as damage:
        raise _damage(name, version, damage.file, damage.what) from damage
    sizes = {f.path: f.size for f in snapshot.files}
    found = set()
    for relative in snapshot.paths:
        path = folder / relative
        if not path.resolve().is_relative_to(folder.resolve()):
            raise _damage(name, version, relative, "在表的目录之外")
        if path not in faults:
            faults[path] = data_fault(path, sizes.get(relative), deep=path.exists() and copy.stored(path) is None)
        if faults[path]:
            raise _damage(name, version, relative, faults[path])
        found.add(path)
    return found


def _damage(name: str, version: int, file: str, what: str) -> Problem:
    return Problem(f"表 {name} 版本 {version} 已损坏", f"{file} {what}", "较早的备份仍可用；先修复这张表，再备份")


def _state_files(state: Path) -> Iterator[Path]:
    for folder, names, files in os.walk(state):
        at = Path(folder).relative_to(state)
        names[:] = sorted(n for n in names if str(at / n) not in LEFT_OUT)
        # Names of this form are files that somebody is still writing.
        for path in (Path(folder) / n for n in sorted(files) if not (n.startswith(".") and n.endswith(".new"))):
            if path.is_file() and not path.is_symlink():
                yield path


def commit() -> str:
    """The git commit of the program, empty where there is none to be found."""
    argv = ["git", "-c", "safe.directory=*", "-C", str(REPO), "rev-parse", "HEAD"]
    try:
        return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=20).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def size(count: int) -> str:
    """A number of bytes for people: 12.3 MB."""
    for unit, name in ((2**30, "GB"), (2**20, "MB"), (2**10, "KB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count} 字节"


def verify(store: Store, backup_id: str, out: Console) -> None:
    """Read every content of a backup and compare it with its hash.

    Raises:
        Problem: naming the files that are damaged.
    """
    manifest = store.manifest(backup_id)
    begin = said = time.monotonic()
    names: dict[str, list[Entry]] = {}
    for entry in manifest.entries:
        names.setdefault(entry.sha256, []).append(entry)
    read, bad = 0, []
    for entries in names.values():
        try:
            store.read(entries[0], lambda _: None)
        except Damaged as damage:
            bad += [f"{e.path}（{damage}）" for e in entries]
        read += entries[0].size
        if time.monotonic() - said > 5:
            said = time.monotonic()
            out.print(f"  … 已读 {size(read)}", style="dim")
    if bad:
        raise Problem(
            f"备份 {manifest.backup_id} 有 {len(bad)} 个文件损坏",
            "\n       ".join(bad[:20]),
            "检查备份介质；原件还在时再备份一次会补齐缺失的对象，已改变的对象要先删除",
        )
    out.print(
        f"备份 {manifest.backup_id} 完好：{len(manifest.entries):,} 个文件、{len(names):,} 个对象、{size(read)} 全部读出核对，用时 {time.monotonic() - begin:.0f} 秒",
        soft_wrap=True,
    )


def show(store: Store, out: Console) -> None:
    """List the backups that are whole, the newest first."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("备份", "时间（北京）", "当前发布", "发布", "文件", "大小", "新增", "用时"):
        table.add_column(title, justify="left" if title in ("备份", "时间（北京）", "当前发布") else "right", no_wrap=True)
    for backup_id in reversed(store.ids()):
        m = store.manifest(backup_id)
        when = dt.datetime.fromisoformat(m.made_at).astimezone(dt.timezone(dt.timedelta(hours=8)))
        table.add_row(m.backup_id, f"{when:%Y-%m-%d %H:%M:%S}", m.release or "—", str(len(m.releases)), f"{len(m.entries):,}", size(m.size), size(m.new_bytes), f"{m.seconds:.0f} 秒")  # fmt: skip
    out.print(table)
    out.print("恢复：./lake restore 目录 --backup 编号。" + WARNING if store.ids() else "还没有完整的备份", soft_wrap=True)
