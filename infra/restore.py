"""``./lake restore``: make an empty instance what another one was at the moment of a backup, on any path and any ports.

Every content is compared with its hash while it is written. Then, on the restored database alone: places in the metastore are those of
this instance, what the copy does not hold is forgotten, and a run that was under way is given up. The first ``./lake up`` does what
needs the engines.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path, PurePosixPath

import psycopg
from psycopg import sql
from rich.console import Console

from infra import credentials, dashboards, processes, settings, supervision
from infra.backup import PROGRAM, WARNING, commit, size
from infra.backup_store import Damaged, Entry, Manifest, Store, hash_of
from infra.ledger import Ledger
from infra.problems import Problem
from infra.services import postgres
from infra.services.base import Context
from infra.settings import REPO, Settings

SETTINGS = "settings.toml"
# Both lie in run/, which no backup holds. The first: a restore began and did not end. The second: the engines have not seen it yet.
UNFINISHED, FRESH = "restoring", "restored.json"
# Where the metastore keeps places.
PLACES = (("DBS", "DB_LOCATION_URI"), ("SDS", "LOCATION"), ("SERDE_PARAMS", "PARAM_VALUE"), ("TABLE_PARAMS", "PARAM_VALUE"))


def restore(source: Path, backup_id: str, release: str, out: Console) -> None:
    """Restore a backup (the newest one, or ``backup_id``) into this instance; readers will see ``release``, or the backup's current one.

    Raises:
        Problem: the instance is not empty, something is damaged, or there is no such backup or release in it.
    """
    begin = time.time()
    current = settings.load()
    _check_empty(current)
    if not source.is_absolute():
        raise Problem(f"不能从 {source} 恢复", "它不是绝对路径", "写完整路径，如 /mnt/backup/lake")
    store = Store(source)
    manifest = store.manifest(backup_id)
    if release and release not in manifest.releases:
        raise Problem(
            f"备份 {manifest.backup_id} 里没有发布 {release}",
            f"可以恢复的发布：{'、'.join(manifest.releases) or '没有'}",
            "换一个发布，或换一份备份（./lake backup 目录 --list）",
        )
    free = shutil.disk_usage(current.state).free
    if free < manifest.size * 1.05:
        raise Problem("没有开始恢复", f"{current.state} 所在磁盘剩余 {size(free)}，恢复需要 {size(manifest.size)}", "腾出空间")
    out.print(
        f"从 {source} 恢复 {manifest.backup_id}（{manifest.made_at}，实例 {manifest.instance}，发布 {manifest.release or '没有'}）", soft_wrap=True
    )
    (current.folder("run") / UNFINISHED).touch()
    for entry in manifest.entries:  # first what says on which ports and with which secrets
        if entry.path == SETTINGS and not (current.state / SETTINGS).exists():
            _place(store, entry, current.state / SETTINGS)
    settings.load.cache_clear()
    current = settings.load()
    busy = [b for b in supervision.busy_ports(current) if "(postgres)" in b]
    if busy:
        raise Problem(
            "没有开始恢复",
            f"端口 {busy[0]} 被其他程序占用",
            f"停掉它（原实例还在运行？），或在 {current.state / SETTINGS} 写上别的端口，再运行同一命令",
        )
    _place_all(store, manifest, current.state, out)
    context = Context(current, credentials.load(current))
    out.print("启动数据库，改写表的位置")
    dropped = _settle_databases(context, manifest, release)
    (current.folder("run") / FRESH).write_text(json.dumps({"begin": begin, "backup": manifest.backup_id, "made_at": manifest.made_at}))
    os.sync()
    (current.folder("run") / UNFINISHED).unlink()
    out.print(
        f"已恢复 {len(manifest.entries):,} 个文件 {size(manifest.size)}，逐个核对过；用时 {time.time() - begin:.0f} 秒。"
        f"数据截至 {manifest.made_at}（恢复点）：此后送来的批次不在其中，请重新报送，内容相同的不会重复入湖。",
        soft_wrap=True,
    )
    if dropped:
        out.print(f"备份里没有的表（中间结果，运行时重建）：{'、'.join(dropped)}", style="dim", soft_wrap=True)
    if release and release != manifest.release:
        out.print(f"读者将看到 {release} 的内容；之后到达的批次会在下次运行时重新进入。", soft_wrap=True)
    _say_program(store, manifest, out)
    out.print(WARNING, style="yellow")
    out.print("下一步：./lake up")


def refuse_unfinished(current: Settings) -> None:
    """Don't start what a restore has left half-way.

    Raises:
        Problem: it has.
    """
    if (current.folder("run") / UNFINISHED).exists():
        raise Problem(
            f"实例 {current.instance} 的恢复没有做完",
            "上次 ./lake restore 中断了",
            f"再运行一次同样的 ./lake restore，它会从头放置文件；不再恢复时删除 {current.state}",
        )


def complete(context: Context, out: Console) -> None:
    """After the first start: let the engines and Superset follow what was restored. Safe to run again until it has worked."""
    marker = context.settings.folder("run") / FRESH
    if not marker.exists():
        return
    from spark_jobs import pipeline  # slow to import, and rarely needed

    begun = json.loads(marker.read_text())
    out.print("恢复后的首次启动：重新部署看板，重写台账投影")
    dashboards.deploy(context)
    release = pipeline.show_current(context)
    marker.unlink()
    out.print(
        f"  ✓ 读者看到 {release}。从开始恢复到可用 {time.time() - begun['begin']:.0f} 秒（RTO，含两条命令之间的等待）；"
        f"恢复点 {begun['made_at']}（RPO：此后的批次请重新报送）",
        soft_wrap=True,
    )


def _check_empty(current: Settings) -> None:
    """Make sure that nothing is overwritten; clear away what an interrupted restore has left.

    Raises:
        Problem: the instance holds something.
    """
    if supervision.running(current):
        raise Problem(f"不能恢复到实例 {current.instance}", "它正在运行", "用 LAKE_INSTANCE=名字 恢复到一个新的实例")
    if (current.state / "run" / UNFINISHED).exists():
        processes.kill_leftovers(current.state, "postgres")
        for path in current.state.iterdir():
            if path.name not in (SETTINGS, "run"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        return
    held = [p for p in current.state.rglob("*") if not p.is_dir() and p != current.state / SETTINGS]
    if held:
        raise Problem(
            f"不能恢复到实例 {current.instance}",
            f"它不是空的（有 {held[0].relative_to(current.state)} 等 {len(held)} 个文件）；恢复从不覆盖",
            f"用 LAKE_INSTANCE=名字 恢复到一个新的实例；确认旧的不再需要时，也可以先移走 {current.state}",
        )


def _place_all(store: Store, manifest: Manifest, state: Path, out: Console) -> None:
    done, said = 0, time.monotonic()
    for name in manifest.folders:
        _inside(state, name).mkdir(mode=0o700, parents=True, exist_ok=True)
    for entry in manifest.entries:
        if entry.path != SETTINGS and not entry.path.startswith(PROGRAM):
            _place(store, entry, _inside(state, entry.path))
        done += entry.size
        if time.monotonic() - said > 5:
            said = time.monotonic()
            out.print(f"  … 已恢复 {size(done)} / {size(manifest.size)}", style="dim")


def _inside(state: Path, name: str) -> Path:
    """A path below the state. The manifest's hash shows damage, not malice.

    Raises:
        Problem: it leads elsewhere.
    """
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts:
        raise Problem("备份清单不可信", f"{name} 在实例目录之外", "不要使用这份备份")
    return state / pure


def _place(store: Store, entry: Entry, target: Path) -> None:
    for folder in reversed([p for p in target.parents if not p.exists()]):
        folder.mkdir(mode=0o700)
    try:
        with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as f:
            store.read(entry, f.write)
    except Damaged as damage:
        raise Problem(
            f"恢复中止：{entry.path} 在备份里已损坏", str(damage), "换用另一份备份（./lake backup 目录 --list，--verify 核对），并检查备份介质"
        ) from None
    # Delta keeps its log by the files' times, and the next backup knows unchanged files by them.
    os.utime(target, ns=(entry.modified, entry.modified))


def _settle_databases(context: Context, manifest: Manifest, release: str) -> list[str]:
    """What must be put right in the databases before anything else looks at them; returns the tables that were forgotten."""
    postgres.SERVICE.render(context)
    try:
        with postgres.serving(context, context.log("postgres")):
            with postgres.connect(context, "metastore") as metastore, metastore.transaction():
                _move(metastore, f"{manifest.state}/warehouse", str(context.settings.warehouse))
                dropped = _forget_absent(metastore, context.settings.warehouse)
            with Ledger(context) as ledger:
                run = ledger.live_run()
                if run:
                    ledger.abandon(run.run_id, f"备份 {manifest.backup_id} 时正在进行，恢复后放弃")
                if release and release != manifest.release:
                    ledger.restore(release)
    except RuntimeError as error:
        raise Problem("恢复的数据库起不来", str(error), f"见 {context.log('postgres')}；换用另一份备份再来") from error
    return dropped


def _move(metastore: psycopg.Connection, before: str, after: str) -> None:
    """Let the metastore name this instance's warehouse, whether as a path or as an address."""
    for table, column in PLACES:
        for old, new in ((before, after), (Path(before).as_uri(), Path(after).as_uri())):
            name = sql.Identifier(column)
            statement = sql.SQL("UPDATE {} SET {} = replace({}, %s, %s) WHERE position(%s IN {}) > 0").format(sql.Identifier(table), name, name, name)
            metastore.execute(statement, (old, new, old))


def _forget_absent(metastore: psycopg.Connection, warehouse: Path) -> list[str]:
    """Take tables out of the metastore whose files the backup does not hold, such as intermediate rows; return their names."""
    rows = metastore.execute(
        'SELECT d."NAME", t."TBL_NAME", t."TBL_ID", s."SD_ID", s."SERDE_ID", s."CD_ID" FROM "TBLS" t JOIN "DBS" d USING ("DB_ID") JOIN "SDS" s USING ("SD_ID")'
        " WHERE t.\"TBL_TYPE\" <> 'VIRTUAL_VIEW' ORDER BY 1, 2"
    ).fetchall()
    absent = [r for r in rows if not (warehouse / f"{r[0]}.db" / r[1] / "_delta_log").is_dir()]
    for at, table, key in ((2, "TBLS", "TBL_ID"), (3, "SDS", "SD_ID"), (4, "SERDES", "SERDE_ID"), (5, "CDS", "CD_ID")):
        _delete(metastore, table, key, [int(r[at]) for r in absent])
    return [f"{r[0]}.{r[1]}" for r in absent]


def _delete(metastore: psycopg.Connection, table: str, key: str, ids: list[int]) -> None:
    """Delete rows and what hangs on them: the metastore's tables have foreign keys, but no cascades."""
    children = metastore.execute(
        "SELECT c.relname, a.attname FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class p ON p.oid = k.confrelid"
        " JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1] WHERE k.contype = 'f' AND p.relname = %s",
        (table,),
    ).fetchall()
    for name, column in [*children, (table, key)]:
        metastore.execute(sql.SQL("DELETE FROM {} WHERE {} = ANY(%s)").format(sql.Identifier(name), sql.Identifier(column)), (ids,))


def _say_program(store: Store, manifest: Manifest, out: Console) -> None:
    """Whether the program that restores is the one that made the backup; the next run builds anew what other contracts define."""
    here = {str(p.relative_to(REPO)): p for p in (REPO / "catalog").rglob("*") if p.is_file() and p.suffix != ".pyc"}
    there = {e.path.removeprefix(PROGRAM): e for e in manifest.entries if e.path.startswith(PROGRAM)}

    def differs(name: str) -> bool:
        if name not in here or name not in there:
            return True
        with here[name].open("rb") as f:
            return hash_of(f) != there[name].sha256

    changed = sorted(name for name in here.keys() | there.keys() if differs(name))
    same = manifest.commit and manifest.commit == commit()
    if changed:
        out.print(
            f"注意：备份由程序 {manifest.commit[:12] or '（版本未知）'} 写成，数据约定与现在的程序有 {len(changed)} 个文件不同（如 {changed[0]}）；下次运行会按现在的约定重做。",
            style="yellow", soft_wrap=True,
        )  # fmt: skip
    elif not same:
        out.print(f"备份由程序 {manifest.commit[:12] or '（版本未知）'} 写成，数据约定与现在的程序相同。", style="dim")
