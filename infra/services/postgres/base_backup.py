"""Copy the running PostgreSQL cluster, all databases at one moment, by its low-level backup API.

As the manual says under "Making a Base Backup Using the Low Level API": pg_backup_start, copy the files, pg_backup_stop on the same
connection, then the label and the log (WAL) that was written meanwhile. A copy without them does not start.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from infra.problems import Problem
from infra.services.base import Context
from infra.services.postgres import connect

CLUSTER = "data/postgres/cluster"
# Made anew by every start, or meaningless elsewhere; the folders themselves must be there.
EMPTIED = {"pg_wal", "pg_replslot", "pg_dynshmem", "pg_notify", "pg_serial", "pg_snapshots", "pg_stat_tmp", "pg_subtrans"}
LEFT_OUT = {"postmaster.pid", "postmaster.opts", "backup_label", "tablespace_map"}
SEGMENT = re.compile(r"[0-9A-F]{24}")
CONTROL = "global/pg_control"


def folders(cluster: Path) -> list[str]:
    """The folders of a cluster, relative to it; all must be there, also the empty ones."""
    found = [""]
    for folder, names, _ in os.walk(cluster):
        at = Path(folder).relative_to(cluster)
        names[:] = [] if str(at) in EMPTIED else names
        found += [str(at / name) for name in names]
    return sorted(found)


def copy(context: Context, label: str, take: Callable[[Path], None], take_bytes: Callable[[bytes, str], None]) -> None:
    """Hand the cluster's files to ``take`` and what has no file of its own to ``take_bytes`` (content, path in the cluster).

    The database answers all the while. The log is kept by a temporary slot, which ends with the connection, however that ends.

    Raises:
        Problem: the log of the copy is incomplete, or the cluster has tablespaces elsewhere.
    """
    cluster = context.settings.state / CLUSTER
    with connect(context, "postgres", superuser=True) as connection:

        def one(sql: str, *values: object) -> str:
            row = connection.execute(sql, values).fetchone()
            assert row
            return str(row[0])

        segment_bytes = int(one("SELECT pg_size_bytes(current_setting('wal_segment_size'))"))
        one("SELECT pg_create_physical_replication_slot(%s, true, true)", f"backup_{os.getpid()}")
        one("SELECT pg_backup_start(%s, fast => true)", label)
        for path in _files(cluster):
            try:
                take(path)
            except FileNotFoundError:
                continue  # a table or a temporary file that was dropped meanwhile; the log says so
        take(cluster / CONTROL)
        row = connection.execute("SELECT pg_walfile_name(lsn), labelfile, spcmapfile FROM pg_backup_stop(wait_for_archive => false)").fetchone()
        assert row
        last, text, tablespaces = row
        if tablespaces:
            raise Problem("数据库不能备份", "它有放在别处的表空间", "把表空间移回数据库目录")
        first = re.search(r"file ([0-9A-F]{24})\)", text)
        assert first, text
        wal = cluster / "pg_wal"
        wanted = _segments(first[1], last, segment_bytes)
        missing = [name for name in wanted if not (wal / name).exists()]
        if missing:
            raise Problem(
                "数据库的备份不完整", f"日志 {', '.join(missing)} 已被清除", "再运行一次；如果重复出现，请检查数据库日志 ./lake logs postgres"
            )
        for name in wanted:
            take(wal / name)
        for path in sorted(wal.glob("*.history")):
            take(path)
        take_bytes(text.encode(), "backup_label")


def _files(cluster: Path) -> Iterator[Path]:
    """What is copied while the server runs; the control file comes last, and the log after the end."""
    for folder, names, files in os.walk(cluster):
        at = Path(folder).relative_to(cluster)
        if str(at) in EMPTIED:
            names[:] = []
            continue
        names.sort()
        for name in sorted(files):
            unneeded = name in LEFT_OUT or name.startswith(("pgsql_tmp", "pg_internal.init"))
            if not unneeded and str(at / name) != CONTROL:
                yield Path(folder) / name


def _segments(first: str, last: str, segment_bytes: int) -> list[str]:
    """The names of the log's files from ``first`` to ``last`` on one timeline."""
    in_one = 2**32 // segment_bytes

    def number(name: str) -> int:
        return int(name[8:16], 16) * in_one + int(name[16:], 16)

    assert first[:8] == last[:8], "a server that runs does not change its timeline"
    return [f"{first[:8]}{n // in_one:08X}{n % in_one:08X}" for n in range(number(first), number(last) + 1)]
