"""``./lake check``: is the store as the ledger says? Every finding names table, version and file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from rich.console import Console

from catalog.contract import Contract, load_contracts
from catalog.derive import all_tables, quarantine_of, records_of, table_name
from catalog.properties import Kind
from infra import store
from infra.ledger import Ledger
from infra.services.base import Context
from infra.services.trino import as_publisher
from infra.store import Damage
from spark_jobs import projections, publish, session

KINDS = {
    "log": "提交记录", "checkpoint": "检查点", "data": "数据文件", "orphan": "多余文件", "kept": "原件", "records": "记录文件",
    "ledger": "台账不符", "view": "视图落后", "projection": "台账投影",
}  # fmt: skip
FACTS = "silver.subject_registration"  # what the register's rows become


def check(context: Context, quick: bool, out: Console) -> list[Damage]:
    """Look at landing, tables, readers' views and the ledger while nobody writes; return what is not right, printed as well.

    Orphan files are no damage: Spark leaves empty results and those of broken-off statements behind.

    ``quick``: files are looked for and measured, not read, and no table is counted.
    """
    with Ledger(context) as ledger:
        ledger.hold_writer(lambda: out.print("  … 有程序正在写入，等它结束", style="dim"))
        if not ledger.deliveries():
            out.print("还没有收到任何批次，没有要核对的")
            return []
        out.print("• 原件和记录文件", style="dim")
        found = list(_landing(context, ledger, quick))
        out.print("• 表的提交记录和数据文件", style="dim")
        found += _tables(context, ledger, quick)
        unreadable = {d.place for d in found if d.kind in ("log", "data")}
        out.print("• 读者视图和台账投影", style="dim")
        found += _shown(context, ledger, unreadable)
        if not quick and not unreadable:  # what can't be read can't be counted
            out.print("• 台账与表的行数、校验和", style="dim")
            found += _contents(context, ledger)
    _print(found, out)
    return found


def _landing(context: Context, ledger: Ledger, quick: bool) -> Iterator[Damage]:
    deliveries = ledger.deliveries()
    yield from store.landing_damage(context.settings, deliveries, {d.delivery_id: ledger.sha256(d.delivery_id) for d in deliveries}, not quick)


def _tables(context: Context, ledger: Ledger, quick: bool) -> Iterator[Damage]:
    pinned = store.pinned_versions(ledger)
    feeds = [table_name(c) for c in load_contracts().values() if c.kind is Kind.FEED]
    loaded = {f"bronze.{d.feed}" for d in ledger.deliveries(state="loaded")}
    for table in sorted({*pinned, *(f for f in feeds if f in loaded), *projections.PROJECTED}):
        damaged = store.table_damage(context.settings, table, pinned.get(table, {}), not quick)
        yield from damaged
        named = {d.file for d in damaged}
        yield from (d for d in store.log_damage(context.settings, table) if d.file not in named)
        yield from store.orphans(context.settings, table)
    # Work tables hold nothing that anybody needs, but one whose log can't be read stops every run.
    for folder in sorted((context.settings.warehouse / "work.db").glob("*")):
        yield from (d for d in store.table_damage(context.settings, f"work.{folder.name}", {}, False) if d.kind == "log")


def _shown(context: Context, ledger: Ledger, unreadable: set[str]) -> Iterator[Damage]:
    release = ledger.current_release()
    pinned = {t.table_name: t.version for t in ledger.release_tables(release)}
    contracts = all_tables(load_contracts())
    views = publish.shown(context)
    for contract in contracts.values():
        version = pinned.get(table_name(contract))
        seen = views.get(contract.id)
        if version is None and seen is not None and seen[1] is not None and release is not None:
            yield Damage("view", contract.id, seen[1], "", f"显示的是 {seen[0]} 版本 {seen[1]}，而 {release} 没有这张表")
        # The release that a view names is the one that brought its version.
        if version is not None and (seen is None or seen[1] != version):
            says = "没有这个视图" if seen is None else f"显示的是 {seen[0]} 版本 {seen[1]}"
            yield Damage("view", contract.id, version, "", f"应显示 {release} 版本 {version}，{says}")
    cursor = as_publisher(context).cursor()
    for identity, sql in projections.PROJECTIONS.items():
        table = table_name(contracts[identity])
        if table in unreadable or identity == "ops.quality_results":  # a run that is under way has results that nobody sees yet
            continue
        (rows,) = publish.ask(cursor, f"SELECT count(*) FROM lake.{table}")[0]  # noqa: S608 - names come from contracts
        if rows != len(ledger.rows(sql)):
            yield Damage("projection", table, None, "", f"有 {rows:,} 行，台账里有 {len(ledger.rows(sql)):,} 行")
    if "ops_tables.releases" in unreadable:
        return
    (latest,) = publish.ask(cursor, "SELECT max(release_id) FROM lake.ops_tables.releases")[0]
    if latest != release:
        yield Damage("projection", "ops_tables.releases", None, "", f"最新的是 {latest}，台账里是 {release}")


def _contents(context: Context, ledger: Ledger) -> Iterator[Damage]:
    release = ledger.current_release()
    tables, contracts = ledger.release_tables(release), all_tables(load_contracts())
    for t, rows, checksum in publish.contents(context, contracts, tables):
        if publish.differs(t, rows, checksum):
            says = f"台账记 {t.row_count:,} 行、校验和 {t.checksum}，表里是 {rows:,} 行、{checksum}"
            yield Damage("ledger", t.table_name, t.version, "", says, (release,) if release else ())
    feeds = [c for c in contracts.values() if c.kind is Kind.FEED]
    loaded = {d.feed for d in ledger.deliveries(state="loaded")}
    yield from _arrived(context, ledger, [feed for feed in feeds if feed.name in loaded])
    yield from _accounts(context, ledger, release, feeds, contracts[FACTS])


def _arrived(context: Context, ledger: Ledger, feeds: Iterable[Contract]) -> Iterator[Damage]:
    """Deliveries of which bronze does not hold as many rows as landed."""
    spark = session.connect(context)  # the publisher may not read what arrived
    try:
        there = {
            feed.name: {r[0]: r[1] for r in spark.table(table).groupBy("delivery_id").count().collect()}
            for feed in feeds
            if spark.catalog.tableExists(table := table_name(feed))
        }
    finally:
        spark.stop()
    for feed in feeds:
        counted = there.get(feed.name, {})
        for d in ledger.deliveries(feed.name, "loaded"):
            if (rows := counted.get(d.delivery_id, 0)) != d.row_count:
                yield Damage("ledger", table_name(feed), None, d.delivery_id, f"{d.file_name}：台账记 {d.row_count:,} 条，表里是 {rows:,} 条")


def _accounts(context: Context, ledger: Ledger, release: str | None, feeds: Iterable[Contract], facts: Contract) -> Iterator[Damage]:
    """Deliveries of which the release's tables do not hold what its account says."""
    cursor, version = as_publisher(context).cursor(), {t.table_name: t.version for t in ledger.release_tables(release)}
    accounts, feed_of = ledger.accounts(release), {d.delivery_id: d.feed for d in ledger.deliveries()}
    for feed in feeds:
        kept, aside = table_name(records_of(feed) if feed.record_key else facts), table_name(quarantine_of(feed))
        if kept not in version:
            continue
        told: dict[str, dict[str, int]] = {}
        sql = f"""SELECT delivery_id, fact_outcome, count(*) FROM lake.{kept} FOR VERSION AS OF {version[kept]} GROUP BY 1, 2
            UNION ALL SELECT delivery_id, 'quarantined', count(*) FROM lake.{aside} FOR VERSION AS OF {version[aside]} GROUP BY 1"""  # noqa: S608
        for identity, outcome, rows in publish.ask(cursor, sql):
            told.setdefault(identity, {})[outcome] = rows
        for identity, a in accounts.items():
            parts = {k: v for k in ("applied", "superseded", "duplicate", "quarantined") if (v := getattr(a, k))}
            if feed_of[identity] == feed.name and told.get(identity, {}) != parts:
                says = f"批次 {identity}：台账的账是 {parts}，表里是 {told.get(identity, {})}"
                yield Damage("ledger", kept, version[kept], "", says, (release,) if release else ())


def _print(found: list[Damage], out: Console) -> None:
    for d in found:
        if d.kind == "orphan":
            continue
        version = "" if d.version is None else f" 版本 {d.version}"
        releases = f"；影响发布 {'、'.join(d.releases)}" if d.releases else ""
        out.print(f"✗ {KINDS[d.kind]}  {d.place}{version}  {d.file}\n    {d.says}{releases}", style="red", markup=False, soft_wrap=True)
    litter = Counter(d.place for d in found if d.kind == "orphan")
    for place, number in litter.items():
        first = next(d.file for d in found if d.kind == "orphan" and d.place == place)
        out.print(f"· {KINDS['orphan']}  {place}  {first}{f' 等 {number} 个' if number > 1 else ''}", style="dim", markup=False, soft_wrap=True)
    if litter:
        out.print("  中断的写入和空的结果会留下多余文件，不影响数据；./lake maintain 到期清理，--repair 立即清理", style="dim")
    damaged = sum(d.kind != "orphan" for d in found)
    out.print(f"✗ 共 {damaged} 处损坏" if damaged else "✓ 存储与台账一致", style="red" if damaged else "green")
