"""Is what the ledger names still there, whole, on disk? Files only: no engine is asked, nothing is written.

Tables are read by their logs (`infra.delta_log`); what Spark wrote has Hadoop's checksums beside it, so that a flipped bit is found
although Trino doesn't look for it. Received bytes have their SHA-256 in the ledger.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from infra.delta_log import DeltaLog, LogDamaged, Snapshot, checksum_fault
from infra.ledger import Delivery, Ledger, TableVersion
from infra.settings import Settings

HOLD = 35  # days that a release stays restorable from the tables (docs/decisions/0012)


@dataclass(frozen=True)
class Damage:
    """Something that is not as the ledger says.

    ``kind``: ``log`` (a version can't be read), ``checkpoint`` (a helper of the log is broken), ``data`` (a file of a version is gone or
    changed), ``orphan`` (a file that no version names), ``kept`` or ``records`` (landing), ``ledger``, ``view``, ``projection``.
    ``place``: the table, or the feed. ``version``: None where it is about no version. ``file``: relative to the table's folder.
    ``releases``: the kept releases that can't be read for it.
    """

    kind: str
    place: str
    version: int | None
    file: str
    says: str
    releases: tuple[str, ...] = ()


def folder_of(settings: Settings, table: str) -> Path:
    """Where a table lies: all of them are managed by the metastore, beneath the warehouse."""
    schema, name = table.split(".")
    return settings.warehouse / f"{schema}.db" / name


def at_version(settings: Settings, table: str, version: int) -> str:
    """A version of a table, named for a statement of Spark. The newest goes by the table's name: any other one has to be put together first."""
    newest = DeltaLog(folder_of(settings, table)).newest
    return table if newest == version else f"{table} VERSION AS OF {version:d}"


def table_damage(
    settings: Settings, table: str, pinned: Mapping[int, tuple[str, ...]], deep: bool, known: frozenset[str] = frozenset()
) -> list[Damage]:
    """Damage of a table: of its newest version, which the next write begins with, and of the ``pinned`` versions, with their releases.

    ``deep``: compare each file with its checksums, but for those ``known`` to be right; else its existence and size.
    """
    try:
        log = DeltaLog(folder_of(settings, table))
    except FileNotFoundError:
        return [Damage("log", table, None, "_delta_log", "没有提交记录", tuple(r for rs in pinned.values() for r in rs))]
    found: list[Damage] = []
    seen = set(known)
    for version in sorted({log.newest, *pinned}):
        releases = pinned.get(version, ())
        try:
            snapshot = log.snapshot(version)
        except LogDamaged as damaged:
            found.append(Damage("log", table, version, damaged.file, f"提交记录损坏：{damaged.what}", releases))
            continue
        found += _data_damage(log.folder, table, snapshot, deep, seen, releases)
    return found


def log_damage(settings: Settings, table: str) -> list[Damage]:
    """What is broken in the retained log though every version may be readable without it. Reads all of the log, so not before each run."""
    try:
        warnings = DeltaLog(folder_of(settings, table)).warnings()
    except FileNotFoundError:
        return []
    parts = (warning.partition(" ") for warning in warnings)
    return [Damage("checkpoint", table, None, file, f"提交记录的辅助文件损坏：{what}") for file, _, what in parts]


def data_fault(path: Path, size: int | None, deep: bool) -> str:
    """What is wrong with a data file of ``size`` bytes (None: not known), in Chinese; empty if nothing. ``deep``: read it all."""
    try:
        actual = path.stat().st_size
        if size is not None and actual != size:
            return f"有 {actual:,} 字节，应有 {size:,}"
        return "内容与写入时的校验值不符" if deep and checksum_fault(path) else ""
    except FileNotFoundError:
        return "不存在"


def _data_damage(folder: Path, table: str, snapshot: Snapshot, deep: bool, seen: set[str], releases: tuple[str, ...]) -> Iterator[Damage]:
    sizes = {f.path: f.size for f in snapshot.files}
    for name in sorted(snapshot.paths):
        fault = data_fault(folder / name, sizes.get(name), deep and name not in seen)
        if fault:
            yield Damage("data", table, snapshot.version, name, f"数据文件{fault}", releases)
        else:
            seen.add(name)


def orphans(settings: Settings, table: str) -> list[Damage]:
    """Files of a table that no version names. Only while nobody writes: a commit comes after its files."""
    folder = folder_of(settings, table)
    try:
        named = DeltaLog(folder).referenced()
    except FileNotFoundError:
        return []
    files = (p.relative_to(folder) for p in folder.rglob("*") if p.is_file() and not p.name.startswith("."))
    return [Damage("orphan", table, None, str(f), "没有任何版本用到这个文件") for f in files if f.parts[0] != "_delta_log" and str(f) not in named]


def landing_damage(settings: Settings, deliveries: Iterable[Delivery], sha256: Mapping[str, str], deep: bool) -> Iterator[Damage]:
    """Received bytes that are gone or changed, and records split from them that are."""
    for d in deliveries:
        kept = settings.landing / "kept" / d.feed / f"{sha256[d.delivery_id]}.bin"
        if not kept.exists():
            yield Damage("kept", d.feed, None, kept.name, f"{d.file_name}（批次 {d.delivery_id}）的原件不见了")
        elif deep and sha256_of(kept) != sha256[d.delivery_id]:
            yield Damage("kept", d.feed, None, kept.name, f"{d.file_name}（批次 {d.delivery_id}）的原件与收到时不同")
        if d.state in ("landed", "loaded"):
            says = _records_fault(records_file(settings, d), d)
            if says:
                yield Damage("records", d.feed, None, f"{d.delivery_id}.parquet", f"{d.file_name} 的记录文件{says}")


def records_file(settings: Settings, delivery: Delivery) -> Path:
    """The records that were split from a delivery's bytes."""
    return settings.landing / "records" / delivery.feed / f"{delivery.delivery_id}.parquet"


def _records_fault(path: Path, delivery: Delivery) -> str:
    if not path.exists():
        return "不见了"
    try:
        rows = pq.read_metadata(path).num_rows
    except (OSError, pa.ArrowException):
        return "读不出来"
    return "" if rows == delivery.row_count else f"有 {rows:,} 条，台账记 {delivery.row_count:,} 条"


def sha256_of(path: Path) -> str:
    """The digest of a file (hex)."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pinned_versions(ledger: Ledger) -> dict[str, dict[int, tuple[str, ...]]]:
    """By table, the versions that kept releases name: the current one, its predecessor, and those of the last `HOLD` days."""
    found: dict[str, dict[int, tuple[str, ...]]] = {}
    for release in ledger.kept_releases(HOLD):
        for t in ledger.release_tables(release):
            versions = found.setdefault(t.table_name, {})
            versions[t.version] = (*versions.get(t.version, ()), release)
    return found


def release_damage(
    settings: Settings, release: str, tables: Iterable[TableVersion], deep: bool, known: Mapping[str, frozenset[str]] | None = None
) -> list[Damage]:
    """Damage of the versions that a release (or what is about to become one) names; ``known``: by table, files that need no reading."""
    found: list[Damage] = []
    for t in tables:
        found += table_damage(settings, t.table_name, {t.version: (release,)}, deep, (known or {}).get(t.table_name, frozenset()))
    return [d for d in found if release in d.releases]


def files_of(settings: Settings, tables: Iterable[TableVersion]) -> dict[str, frozenset[str]]:
    """By table, the files of a version that was checked before. A table that can't be read has none."""
    found = {}
    for t in tables:
        try:
            found[t.table_name] = frozenset(DeltaLog(folder_of(settings, t.table_name)).snapshot(t.version).paths)
        except (LogDamaged, FileNotFoundError):
            found[t.table_name] = frozenset()
    return found
