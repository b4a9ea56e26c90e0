"""``./lake check --repair``: bring the store back to what the ledger says, from landing where tables have lost something.

Nothing is deleted that somebody might want to look at: damaged files of logs and whole damaged tables are moved to the instance's
``damaged/``. Readers are led to the newest release that is whole; the next run takes in again what it lacks.
"""

from __future__ import annotations

import datetime as dt
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

from pyspark.sql import SparkSession
from rich.console import Console

from catalog.contract import load_contracts
from catalog.derive import all_tables, table_name
from infra import health, store, supervision
from infra.delta_log import DeltaLog, LogDamaged
from infra.ledger import Ledger
from infra.problems import Problem
from infra.services.base import Context
from infra.store import Damage
from spark_jobs import delta, publish
from spark_jobs.ingest import land
from spark_jobs.ingest.refusal import Refused
from spark_jobs.pipeline import Lake, make_visible
from spark_jobs.writing import Writer, writing

START_SECONDS = 180


def repair(context: Context, found: Iterable[Damage], out: Console) -> bool:
    """Mend what `infra.check` has found; return whether the pipeline must run for the lake to be whole again.

    Raises:
        Problem: Spark does not come back.
    """
    damages = list(found)
    lake = Lake(context, all_tables(load_contracts()))
    aside = context.settings.folder(f"damaged/{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%SZ}")
    with Ledger(context) as ledger:
        ledger.hold_writer(lambda: out.print("  … 有程序正在写入，等它结束", style="dim"))
        cut = _mend_logs(context, damages, aside, out)
        if cut or any(d.kind in ("log", "checkpoint") for d in damages):
            _forget_logs(context, out)
        _mend_landing(context, ledger, damages, out)
    lost_tables = {table for table, newest in cut.items() if newest < 0}
    with writing(context, "repair", ()) as writer:
        for table in sorted(lost_tables):
            if not store.folder_of(context.settings, table).exists():  # nobody has made it anew since: only the metastore knows it
                writer.spark.sql(f"DROP TABLE IF EXISTS {table}")
        run = _mend_bronze(writer, lake, damages, cut, out)
        run |= _lead_readers(writer, lake, damages, cut, out)
        run |= _set_back(writer, damages, out)
        # Anew: commits that were set aside have left files that no version names any more. Nobody else writes now.
        tables = {d.place for d in damages if d.kind in ("orphan", "log")} - lost_tables
        litter = [o for table in sorted(tables) for o in store.orphans(context.settings, table)]
        for orphan in litter:
            (store.folder_of(context.settings, orphan.place) / orphan.file).unlink(missing_ok=True)
        if litter:
            out.print(f"  清理多余文件 {len(litter)} 个")
        make_visible(lake, writer.ledger, writer.spark, anew=True)  # a damaged file shows in no commit
        out.print("  读者视图和台账投影已按台账重做")
    if not any(aside.iterdir()):
        aside.rmdir()
    return run


def _mend_logs(context: Context, damages: list[Damage], aside: Path, out: Console) -> dict[str, int]:
    """Set aside what stops a log from being read; return, by table that has lost versions, the newest one left (-1: none, it is set aside whole)."""
    cut = {}
    for table in sorted({d.place for d in damages if d.kind in ("log", "checkpoint")}):
        folder = store.folder_of(context.settings, table)
        for d in damages:
            if d.kind == "checkpoint" and d.place == table:
                _set_aside(folder, d.file, aside / table, out)
        try:
            newest = _newest_readable(folder)
        except FileNotFoundError:
            newest = None
        if newest is None:
            if folder.exists():
                shutil.move(folder, aside / table)
            cut[table] = -1
            out.print(f"  {table} 没有一个版本读得出来，整个表移到 {aside.name}", soft_wrap=True)
            continue
        for name in sorted(p.name for p in (folder / "_delta_log").iterdir() if p.is_file()):
            digits = name.lstrip(".")[:20]
            if digits.isdigit() and int(digits) > newest:
                _set_aside(folder, f"_delta_log/{name}", aside / table, out)
                cut[table] = newest
    return cut


def _newest_readable(folder: Path) -> int | None:
    log = DeltaLog(folder)
    for version in range(log.newest, -1, -1):
        try:
            log.snapshot(version)
        except LogDamaged:
            continue
        return version
    return None


def _set_aside(folder: Path, file: str, aside: Path, out: Console) -> None:
    path = folder / file
    if path.exists():
        (aside / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, aside / file)
        if not path.name.startswith("."):
            out.print(f"  移开 {folder.parent.name}/{folder.name}/{file}", soft_wrap=True)
        # Hadoop's checksum belongs to the file that was there.
        path.with_name(f".{path.name}.crc").unlink(missing_ok=True)


def _forget_logs(context: Context, out: Console) -> None:
    """Both engines keep logs in memory; what was mended beneath them must be read again."""
    engines = ["spark", "trino"]
    for name in engines:
        supervision.restart(context.settings, name)
    deadline = time.monotonic() + START_SECONDS
    while waiting := [c for c in health.conditions(context, engines, measure=False) if not c.healthy]:
        if time.monotonic() > deadline:
            raise Problem(
                f"{waiting[0].service} is not healthy",
                f"it was started again {START_SECONDS} s ago",
                f"see ./lake logs {waiting[0].service}, then ./lake check --repair",
            )
        time.sleep(1)
    out.print("  Spark 和 Trino 已重新启动")


def _mend_landing(context: Context, ledger: Ledger, damages: list[Damage], out: Console) -> None:
    """Split again, from the kept bytes, what was split and is gone."""
    contracts = {c.name: c for c in load_contracts().values()}
    lost = {d.file for d in damages if d.kind == "kept"}
    for d in damages:
        if d.kind == "kept":
            out.print(f"  {d.says}：只能从备份恢复（./lake restore），或请报送单位再送一次同一个文件", style="red", soft_wrap=True)
        if d.kind != "records":
            continue
        delivery = ledger.delivery(d.file.removesuffix(".parquet"))
        if f"{ledger.sha256(delivery.delivery_id)}.bin" in lost:
            continue
        try:
            target, rows = land.split_kept(context.settings, ledger, contracts[delivery.feed], delivery)
        except Refused as refusal:
            out.print(f"  {delivery.file_name} 的记录文件不能从原件重做：{refusal}", style="red", markup=False, soft_wrap=True)
            continue
        out.print(f"  {delivery.file_name} 的记录文件已从原件重做（{rows:,} 条）", soft_wrap=True)
        if rows == delivery.row_count:
            continue
        # The reader has changed since: what it finds now is another reading, which must come in everywhere.
        where = str(target.relative_to(context.settings.folder("landing")))
        if delivery.state == "loaded":
            ledger.ask_replay(delivery.delivery_id, f"repair: {delivery.row_count} records before", "lake")
            ledger.replayed(delivery.delivery_id, where, rows)
        else:
            ledger.landed(delivery.delivery_id, where, rows)


def _mend_bronze(writer: Writer, lake: Lake, damages: list[Damage], cut: dict[str, int], out: Console) -> bool:
    """Let bronze be loaded again from landing, as far as it has lost rows; return whether there is something to load."""
    run = False
    for feed in lake.feeds:
        table = table_name(feed)
        loaded = {d.delivery_id: d for d in writer.ledger.deliveries(feed.name, "loaded")}
        if cut.get(table) == -1 or any(d.kind == "data" and d.place == table for d in damages):
            if cut.get(table) != -1:
                delta.make_anew(writer.spark, feed)
            again = set(loaded)
        else:
            there = _rows_by_delivery(writer.spark, table) if loaded else {}
            # Of a log that was cut, the rows of a delivery that was replayed may be those of its reading before.
            again = {i for i, d in loaded.items() if there.get(i, 0) != d.row_count or (table in cut and d.reading > 1)}
            partly = sorted(again & set(there))
            if partly:
                chosen = ", ".join(f"'{i}'" for i in partly)
                writer.change(f"DELETE FROM {table} WHERE delivery_id IN ({chosen})", table, "repair", None)  # noqa: S608 - ids are ours
        if again:
            writer.ledger.land_again(again)
            out.print(f"  {table}：{len(again)} 个批次将从记录文件重新入湖", soft_wrap=True)
            run = True
    return run


def _set_back(writer: Writer, damages: list[Damage], out: Console) -> bool:
    """Bring tables whose newest version is damaged back to the release that readers see: the next write begins with the newest version.

    `./lake up` may have led readers to an older release before; then no release that counts names the damaged version any more.
    """
    run = False
    pinned = {t.table_name: t.version for t in writer.ledger.release_tables(writer.ledger.base_release())}
    for table in sorted({d.place for d in damages if d.kind == "data"} & pinned.keys()):
        if delta.newest_version(table) != pinned[table]:
            writer.spark.sql(f"RESTORE TABLE {table} TO VERSION AS OF {int(pinned[table])}")
            out.print(f"  {table} 退回读者所见的版本 {pinned[table]}", soft_wrap=True)
            run = True
    return run


def _rows_by_delivery(spark: SparkSession, table: str) -> dict[str, int]:
    return {r[0]: r[1] for r in spark.table(table).groupBy("delivery_id").count().collect()}


def _lead_readers(writer: Writer, lake: Lake, damages: list[Damage], cut: dict[str, int], out: Console) -> bool:
    """Note which kept releases are lost; lead readers to the newest one that is whole. Return whether a run must follow."""
    ledger, settings = writer.ledger, lake.context.settings
    current = ledger.current_release()
    if current is None or not (cut or any(d.releases for d in damages)):
        return False
    # The numbers of versions that are gone will be given to others.
    lost = {release: f"{table} 版本 {newest + 1} 以后不在了" for table, newest in cut.items() for release in ledger.naming(table, newest + 1)}
    kept = ledger.kept_releases(store.HOLD)  # once: of what is noted as lost the list would be filled up with older ones, unseen
    for release in kept:
        if release in lost:
            continue
        tables = ledger.release_tables(release)
        found = store.release_damage(settings, release, tables, deep=True)
        if found:
            lost[release] = f"{found[0].place} 版本 {found[0].version} 的 {found[0].file}：{found[0].says}"
        else:
            wrong = [t for t, rows, checksum in publish.contents(lake.context, lake.contracts, tables) if publish.differs(t, rows, checksum)]
            if wrong:
                lost[release] = f"{wrong[0].table_name} 版本 {wrong[0].version} 的内容与发布时不同"
    for release, why in lost.items():
        ledger.lose([release], why)
        out.print(f"  发布 {release} 不能再读：{why}", soft_wrap=True)
    if current not in lost:
        return False
    whole = [r for r in kept if r not in lost]
    if whole:
        restored = ledger.restore(whole[0])
        out.print(f"  读者改看 {restored}（内容同 {whole[0]}）；之后的批次由下一次运行重新加工", style="yellow", soft_wrap=True)
    else:
        out.print("  没有完好的发布；标准层和主题层由下一次运行从到达层全部重做", style="yellow")
    return True
