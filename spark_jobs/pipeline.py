"""The four programs that make a release. Each may be killed at any point and started again.

    python -m spark_jobs.pipeline ingest [FEED] | silver | gold | publish

ingest   of a feed, or of all: read the exchange database and pages, land the files that wait and load them into bronze
silver   open a run on the current release, refine what the release lacks, judge silver
gold     build gold with dbt from the judged silver, judge gold
publish  one commit in the ledger; then readers' views follow

Which run is under way, and what it may do next, is in the ledger, not in the caller: silver opens a run, gold and publish go on
with it. Exit codes: 0 done, 1 failed (try again), 3 refused (a gate failed: trying again changes nothing), 4 nothing to do.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from pyspark.errors import PySparkException
from pyspark.errors.exceptions.connect import SparkConnectGrpcException
from pyspark.sql import SparkSession

from catalog.contract import Contract, load_contracts
from catalog.derive import PINNED_SCHEMAS, VIEW_SCHEMAS, all_tables, silver_of, table_name, table_schema
from catalog.effects import build_id
from catalog.properties import Kind
from infra import amendments, dashboards, store
from infra.delta_log import LogDamaged
from infra.ledger import Account, Delivery, Finding, Ledger, Run, TableVersion
from infra.problems import Problem
from infra.services.base import Context
from spark_jobs import dbt_runs, delta, lineage, mapping_use, problems, projections, publish, records, references, session, silver
from spark_jobs.analyse import build as analyses
from spark_jobs.analyse import vintages
from spark_jobs.identity import parties, ties
from spark_jobs.ingest import exchange, land, load, pages
from spark_jobs.trademark import named
from spark_jobs.writing import Writer, writing

REFUSED, NOTHING = 3, 4
AT_ONCE = 4  # tables that are set back, emptied or put together: each waits for the metastore and for the log most of the time
# A change in any of these makes old rows of the layer differ from new ones: the layer is built anew.
SILVER_CODE = ("spark_jobs/refine", "spark_jobs/identity", "spark_jobs/history.py", "spark_jobs/records.py", "spark_jobs/routing.py", "spark_jobs/silver.py", "spark_jobs/problems.py", "spark_jobs/mapping_use.py", "spark_jobs/references.py", "catalog/contract.py", "catalog/derive.py", "catalog/fields.yaml", "catalog/codes", "catalog/corrections", "catalog/crosswalks", "catalog/contracts/bronze", "catalog/contracts/silver")  # fmt: skip
GOLD_CODE = (
    "dbt/models",
    "dbt/macros",
    "catalog/contracts/gold",
    "catalog/fields.yaml",
    "catalog/maps",
    "catalog/codes/spring_festivals.csv",
    "spark_jobs/dbt_runs.py",
    "spark_jobs/analyse",
    "spark_jobs/trademark",
    "catalog/glyphs",
)


@dataclass(frozen=True)
class Lake:
    """Everything that a step works with."""

    context: Context
    contracts: Mapping[str, Contract]  # with the quarantines

    def tables(self, *layers: str) -> list[Contract]:
        return [c for c in self.contracts.values() if c.layer in layers]

    def names(self, *layers: str) -> list[str]:
        return [table_name(c) for c in self.tables(*layers)]

    @property
    def feeds(self) -> list[Contract]:
        return [c for c in self.contracts.values() if c.kind is Kind.FEED]


# ---- ingest ----


def ingest_step(lake: Lake, chosen: str | None = None) -> int:
    """Land and load what waits, of all feeds or of the ``chosen`` one. A file that can't be taken is refused alone."""
    with writing(lake.context, "ingest", lake.names("bronze")) as writer:
        database = exchange.Database(writer, lake.feeds)
        for feed in lake.feeds:
            if chosen not in (None, feed.name):
                continue
            _take(writer, feed)
            if feed.pages is not None:
                pages.pull(lake.context, writer.ledger, feed)
                _take(writer, feed)
            more = feed.exchange is not None
            while more:
                more = exchange.pull(writer, database, feed)
                _take(writer, feed)
        if chosen is None:
            _project(lake, writer.ledger, writer.spark)
    return 0


def _take(writer: Writer, feed: Contract) -> None:
    """Land what waits in the feed's inbox, and load it."""
    for landing in land.land_waiting(writer.context.settings, writer.ledger, feed):
        d = landing.delivery
        note = "（内容曾经到达，不再入湖）" if not landing.new and d.state == "loaded" else ""
        print(f"{d.delivery_id} {d.file_name}: {d.state}{note} {d.reason or ''}", flush=True)
    for d, objection in land.read_again(writer.context.settings, writer.ledger, feed):
        print(f"{d.delivery_id} {d.file_name}: {f'重放不成，保持原样：{objection}' if objection else '已重新读取'}", flush=True)
    before, waited = delta.newest_version(table_name(feed)), load.waiting_since(writer, feed)
    counts = load.load_waiting(writer, feed)
    if counts:
        print(f"{feed.id}: {sum(counts.values())} rows of {len(counts)} deliveries loaded", flush=True)
        # A try that was killed may have committed some of them, and settled nothing.
        delta.settle(table_name(feed), before, waited)
        writer.ledger.loaded(list(counts))


# ---- silver ----


def silver_step(lake: Lake) -> int:
    """Open a run, bring silver to the current release, add what it lacks, judge it."""
    mapping_use.check_files()
    with writing(lake.context, "silver", lake.names("bronze", "silver")) as writer:
        ledger, spark = writer.ledger, writer.spark
        if amendments.take_up(lake.context, ledger):
            # Texts are seen at once, whether or not there is anything to refine; what rows depend on follows with the run.
            lake = Lake(lake.context, all_tables(load_contracts()))
            make_visible(lake, ledger, spark)
            print("审批通过的定义修改已生效", flush=True)
        else:
            _project(lake, ledger, spark)  # what has arrived is seen, whatever becomes of it
        current, code = ledger.base_release(), build_id(*SILVER_CODE)
        silver_code, gold_code = ledger.builds(current)
        anew = current is None or silver_code != code
        contained = ledger.contained(current)
        feeds = {feed.name for feed in lake.feeds}
        deliveries = [d for d in ledger.deliveries(state="loaded") if d.feed in feeds and (anew or contained.get(d.delivery_id) != d.reading)]
        # A held delivery that a restored release still contains goes out too, until somebody has decided.
        withdrawn = [d.delivery_id for state in ("withdrawn", "held") for d in ledger.deliveries(state=state) if d.delivery_id in contained]
        if not deliveries and not withdrawn and not anew and gold_code == build_id(*GOLD_CODE):
            print(f"{current} 已包含全部批次，没有要加工的内容", flush=True)
            return NOTHING
        if not ledger.deliveries(silver.REGISTER, "loaded") and not withdrawn:
            print("还没有主体登记信息入湖，其他数据源的批次等它到达后一并加工", flush=True)
            return NOTHING
        gate = _importing("expectations.gate")
        run = ledger.open_run(str(uuid.uuid4()), code)
        parent = {t.table_name: t for t in ledger.release_tables(current)}
        require_whole(lake, current or "", parent.values(), lake.names("bronze"))
        why = "（加工规则或合同有变，标准层全部重做）" if anew and current else ""
        print(f"run {run.run_id} on {current or 'nothing'}: {len(deliveries)} deliveries, {len(withdrawn)} withdrawn{why}", flush=True)
        tables = _connected(lake, ledger, parent)
        stood = _set_back(spark, tables, parent, anew)
        whole = _compact(spark, tables, anew)
        if anew:
            references.load(writer, lake.contracts, run.run_id)
        # A replayed delivery goes out and comes in again.
        taken_out = [] if anew else [*withdrawn, *(d.delivery_id for d in deliveries if d.delivery_id in contained)]
        fresh = {d.delivery_id for d in deliveries} - contained.keys()
        taken, accounts, findings = _build_silver(writer, lake, run, deliveries, taken_out, fresh, {c.id for c in tables}, anew)
        if current is None and not any(d.feed == silver.REGISTER for d in taken):
            ledger.abandon(run.run_id, "the register was held back")
            print("主体登记信息被扣留，其他数据源的批次等它到达后一并加工", flush=True)
            _project(lake, ledger, spark)
            return NOTHING
        if deliveries and not taken and not withdrawn and not anew:
            ledger.abandon(run.run_id, "every delivery was held back")
            print("新到的批次都被扣留，没有要加工的内容", flush=True)
            _project(lake, ledger, spark)
            return NOTHING
        candidates = _candidates(writer, tables, stood, parent, run.number, whole)
        landed = {c.id: sum(d.row_count or 0 for d in ledger.deliveries(c.name, "loaded")) for c in lake.feeds}
        baseline = _baseline(lake, current, parent, withdrawn)
        begin = time.monotonic()
        verdicts = gate.result().judge_silver(
            lake.context, spark, lake.contracts, candidates, parent, baseline, landed, [d.delivery_id for d in taken]
        )
        _require_unmoved(candidates)
        if not _passed(ledger, run, verdicts):
            _project(lake, ledger, spark)
            return REFUSED
        ledger.refined(run.run_id, candidates, taken, accounts, findings, withdrawn)
        for a in accounts:
            print(
                f"{a.delivery_id}: 到达 {a.arrived} = 应用 {a.applied} + 被取代 {a.superseded} + 重复 {a.duplicate} + 隔离 {a.quarantined}",
                flush=True,
            )
        print(f"标准层通过 {len(verdicts)} 项检查，用时 {time.monotonic() - begin:.1f} 秒", flush=True)
    return 0


def _connected(lake: Lake, ledger: Ledger, parent: Mapping[str, TableVersion]) -> list[Contract]:
    """The tables of silver: of those that follow from a feed beside the register, only where a delivery of it has been taken, or the release has them."""
    came = {d.feed for d in ledger.deliveries() if d.landed_path is not None}
    absent = {c.id for feed in lake.feeds if feed.record_key and feed.name not in came for c in silver_of(feed)}
    return [c for c in lake.tables("silver") if c.id not in absent or table_name(c) in parent]


def _build_silver(
    writer: Writer,
    lake: Lake,
    run: Run,
    deliveries: list[Delivery],
    taken_out: list[str],
    fresh: Collection[str],
    connected: Collection[str],
    anew: bool,
) -> tuple[list[Delivery], list[Account], list[Finding]]:
    """Build what follows from each feed of which something comes in or goes out; return the deliveries taken, accounts and findings of all.

    ``connected``: the tables (contract ids) that silver has. ``anew``: everything is built from nothing.
    """
    feed_of = {d.delivery_id: d.feed for d in writer.ledger.deliveries()}
    taken: list[Delivery] = []
    accounts: list[Account] = []
    findings: list[Finding] = []
    judged: list[problems.Judged] = []
    work = [
        records.Work(feed, mine, out)
        for feed in lake.feeds
        for mine, out in [([d for d in deliveries if d.feed == feed.name], [i for i in taken_out if feed_of[i] == feed.name])]
        if mine or out
    ]
    # What other feeds say of keys is known before the register's subjects are told apart.
    others = [w for w in work if w.feed.record_key]
    built = list(zip(others, records.build(writer, lake.contracts, run, others, fresh), strict=True))
    said = ties.stated(writer, lake.contracts, connected) if any(w.feed.name in ties.SOURCES for w in others) or anew else None
    feed = lake.contracts[f"bronze.{silver.REGISTER}"]
    register = next((w for w in work if not w.feed.record_key), records.Work(feed, [], []))
    own = silver.build(writer, lake.contracts, feed, run, register.deliveries, register.taken_out, fresh, said)
    if own is not None:
        built.insert(0, (register, own))
    parties.record(writer, lake.contracts, run, [w.feed for w in others], None if own is None else silver.left(writer, register.taken_out))
    for w, own in built:
        taken, accounts, findings = taken + own.deliveries, accounts + own.accounts, findings + own.findings
        if w.deliveries or w.taken_out:
            judged.append(problems.Judged(w.feed, own.deliveries, own.judged))
    problems.record(writer, lake.contracts[problems.PROBLEMS], lake.contracts[silver.FACTS], lake.feeds, run, judged, taken_out)
    return taken, accounts, findings


def _importing(*modules: str) -> Future[Any]:
    """Import modules that take seconds, only where they are needed, one after another while Spark works; the result is the last of them."""
    return ThreadPoolExecutor(1).submit(lambda: [importlib.import_module(m) for m in modules][-1])


def _set_back(spark: SparkSession, tables: Iterable[Contract], parent: Mapping[str, TableVersion], anew: bool) -> dict[str, int]:
    """Bring tables to the parent release, or empty them to be built anew; return the version at which each of them then stands.

    What a dead run left does not leak into this one.
    """

    def one(contract: Contract) -> tuple[str, int]:
        table = table_name(contract)
        pinned = parent.get(table)
        if pinned is None or anew:
            delta.make_anew(spark, contract)
        elif delta.newest_version(table) == pinned.version:
            return table, pinned.version
        else:
            spark.sql(f"RESTORE TABLE {table} TO VERSION AS OF {int(pinned.version)}")
            print(f"{table}: set back to version {pinned.version}", flush=True)
        return table, delta.newest_version(table)

    several = list(tables)
    for schema in sorted({table_schema(c) for c in several if anew or table_name(c) not in parent}):
        spark.sql(f"CREATE SCHEMA IF NOT EXISTS {schema}")  # not by several at once
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(pool.map(one, several))


def _compact(spark: SparkSession, tables: Iterable[Contract], anew: bool) -> set[str]:
    """Put the many small files that runs leave into few large ones; return the tables all rows of which are in new files now.

    That is those, or all if they are built ``anew``.
    """
    if anew:
        return {table_name(c) for c in tables}
    many = {table_name(c) for c in tables if len(delta.files(table_name(c))) > delta.MOST_FILES}

    def one(table: str) -> None:
        spark.sql(f"OPTIMIZE {table}")
        print(f"{table}: compacted", flush=True)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(one, many))
    return many


def _candidates(
    writer: Writer, tables: Iterable[Contract], stood: Mapping[str, int], parent: Mapping[str, TableVersion], number: int, whole: Collection[str]
) -> list[TableVersion]:
    """The newest versions, made durable, after a look at who wrote them since the tables were set back. What is unchanged needs neither.

    ``number``: the run's, which all rows carry that it has written. ``whole``: tables of which every row is in a new file.
    """
    found, changed = [], []
    for contract in tables:
        table = table_name(contract)
        version, released = delta.newest_version(table), parent.get(table)
        if released is not None and released.version == version and released.checksum is not None:
            found.append(released)
            continue
        delta.check_strangers(writer.spark, table, stood[table], writer.stamp)
        delta.settle(table, stood[table] - 1)
        changed.append((contract, version, 0 if table in whole or released is None else number))
    return found + delta.candidates(writer.spark, changed)


def _baseline(lake: Lake, release: str | None, parent: Mapping[str, TableVersion], withdrawn: Collection[str]) -> Mapping[str, TableVersion]:
    """What volume and distribution are compared with: the release, unless this run differs from it on purpose."""
    if withdrawn:
        print(f"本次撤回 {len(withdrawn)} 个批次，不与 {release} 比较数量和分布", flush=True)
        return {}
    if release and lake.context.settings.values["gates"]["accept_change_against"] == release:
        print(f"按设置 [gates] accept_change_against，本次不与 {release} 比较数量和分布", flush=True)
        return {}
    return parent


def _require_unmoved(candidates: Iterable[TableVersion]) -> None:
    """Make sure that what was judged, the newest version of each table, is still what the candidates name.

    Raises:
        Problem: somebody else has written meanwhile.
    """
    for t in candidates:
        if (newest := delta.newest_version(t.table_name)) != t.version:
            why = f"version {t.version} was built, version {newest} was judged"
            raise Problem(f"somebody else wrote {t.table_name}", why, "nothing was published; the run is started again from the release")


def _passed(ledger: Ledger, run: Run, verdicts: list) -> bool:
    ledger.judged(run.run_id, [(v.table_name, v.version, v.rule, v.description, v.dimension, v.passed, v.observed) for v in verdicts])
    failed = [v for v in verdicts if not v.passed]
    if failed:
        lines = "；".join(f"{v.table_name} 版本 {v.version} 不满足“{v.description}”（规则 {v.rule}，实际：{v.observed}）" for v in failed)
        ledger.abandon(run.run_id, lines)
        print(f"发布被质量关口拦下：{lines}。读者仍看到上一次发布。", flush=True)
        if any("与当前发布相比" in v.description for v in failed):
            print(
                f'如果变化是有意的（如调整了规则或口径），请在 settings.toml 写 [gates] accept_change_against = "{run.parent_release_id}" 后再运行。',
                flush=True,
            )
    return not failed


def require_whole(
    lake: Lake, release: str, tables: Iterable[TableVersion], newest: Iterable[str], known: Iterable[TableVersion] | None = None
) -> None:
    """Make sure that nothing is built on, or shown from, files that are not as they were written.

    ``newest``: tables of which the newest version matters. ``known``: versions whose files were compared with their checksums before;
    None: only look whether all files are there, in full length.

    Raises:
        Problem: names table, version and file.
    """
    settings = lake.context.settings
    deep, before = known is not None, store.files_of(settings, known or ())
    found = store.release_damage(settings, release, tables, deep, before)
    for table in newest:
        if store.folder_of(settings, table).exists():
            found += store.table_damage(settings, table, {}, False)
    if found:
        first = found[0]
        raise Problem(
            f"存储损坏：{first.place} 版本 {first.version} 的 {first.file}（{first.says}）{f'，共 {len(found)} 处' if len(found) > 1 else ''}",
            "提交记录或数据文件与台账不符，不能在它上面加工或发布；读者仍看到上一次发布",
            "运行 ./lake check 查看全部，再运行 ./lake check --repair",
        )


# ---- gold ----


def gold_step(lake: Lake) -> int:
    """Build gold on the judged silver of the run under way, and judge it."""
    with writing(lake.context, "gold", lake.names("gold")) as writer:
        ledger, spark = writer.ledger, writer.spark
        run = ledger.live_run()
        if run is None or run.state not in ("refined", "built"):
            print("没有等待主题加工的运行", flush=True)
            return NOTHING
        gate = _importing("dbt.cli.main", "expectations.gate")
        base = ledger.base_release()
        parent = {t.table_name: t for t in ledger.release_tables(base)}
        silver_code, gold_code = ledger.builds(base)
        code = build_id(*GOLD_CODE)
        tables = lake.tables("gold")
        anew = gold_code != code or silver_code != run.silver_build or any(table_name(c) not in parent for c in tables)
        stood = _set_back(spark, tables, parent, anew)
        whole = _compact(spark, tables, anew)
        at = {t.table_name: t for t in ledger.candidates(run.run_id)}
        changed = {name for name, t in at.items() if parent.get(name) != t}
        first, left = changed - parent.keys(), ledger.rows_left(run.run_id)
        dbt_runs.build(lake.context, writer, lake.contracts, dbt_runs.Changes(run.number, at.keys(), changed, first, left, anew))
        kept = {c: v for c in vintages.KEPT if (v := ledger.newest_version(table_name(lake.contracts[c])))}
        whole |= {v.table_name for c, v in kept.items() if vintages.put_back(writer, lake.contracts[c], run, v)}
        known, fresh = ({table.removeprefix("silver_tables.") for table in tables} for tables in (at, changed))
        analyses.build(writer, lake.contracts, run, known, anew)
        if anew or not fresh.isdisjoint(named.FEEDS):
            from spark_jobs.trademark import tables as trademarks  # seconds of libraries, which a day without marks does not need

            trademarks.make(writer, lake.contracts, run, known, anew)
        candidates = _candidates(writer, tables, stood, parent, run.number, whole)
        ledger.built(run.run_id, candidates, code)
        baseline = _baseline(lake, base, parent, ledger.taken_out(run.run_id))
        begin = time.monotonic()
        verdicts = gate.result().judge_gold(lake.context, spark, lake.contracts, ledger.candidates(run.run_id), parent, baseline, kept)
        _require_unmoved(candidates)
        if not _passed(ledger, run, verdicts):
            return REFUSED
        ledger.gated(run.run_id)
        print(f"主题层通过 {len(verdicts)} 项检查，用时 {time.monotonic() - begin:.1f} 秒", flush=True)
    return 0


# ---- publish ----


def publish_step(lake: Lake) -> int:
    """Compare both engines, publish by one commit in the ledger, then make it visible."""
    with writing(lake.context, "publish", ()) as writer:
        run = writer.ledger.live_run()
        if run is None or run.state != "gated":
            print("没有等待发布的运行", flush=True)
            make_visible(lake, writer.ledger, writer.spark)
            return NOTHING
        known = set(writer.ledger.release_tables(run.parent_release_id))  # none where the run built on nothing
        every = writer.ledger.candidates(run.run_id)
        candidates = [t for t in every if t not in known]
        # What the release before already held was read when it was new.
        require_whole(lake, "候选版本", every, (), known)
        publish.compare(lake.context, lake.contracts, candidates)
        release = writer.ledger.publish(run.run_id)
        make_visible(lake, writer.ledger, writer.spark)
        print(f"{release} is published", flush=True)
    return 0


def restore(context: Context, release_id: str) -> str:
    """Make readers see an older release again; return the id of the new release that names its versions.

    Raises:
        Problem: there is no such release.
    """
    lake = Lake(context, all_tables(load_contracts()))
    with writing(context, "restore", ()) as writer:
        lost = writer.ledger.lost(release_id)
        if lost:
            raise Problem(f"发布 {release_id} 不能恢复", lost, "选另一个发布，或从备份恢复")
        # A version number alone proves nothing: its files may have gone, or its table been rebuilt.
        tables = writer.ledger.release_tables(release_id)
        require_whole(lake, release_id, tables, (), ())
        for t, rows, checksum in publish.contents(context, lake.contracts, tables):
            if publish.differs(t, rows, checksum):
                raise Problem(f"发布 {release_id} 不能恢复", f"{t.table_name} 版本 {t.version} 的内容与发布时不同", "选另一个发布，或从备份恢复")
        try:
            restored = writer.ledger.restore(release_id)
        except KeyError:
            raise Problem(f"没有发布 {release_id}", "台账里没有这个编号", "用 ./lake releases 查看全部发布") from None
        make_visible(lake, writer.ledger, writer.spark)
    return restored


def show_current(context: Context) -> str | None:
    """Let readers' views follow the ledger once more; return the release that they show."""
    lake = Lake(context, all_tables(load_contracts()))
    with writing(context, "publish", ()) as writer:
        make_visible(lake, writer.ledger, writer.spark)
        return writer.ledger.current_release()


def make_visible(lake: Lake, ledger: Ledger, spark: SparkSession, anew: bool = False) -> None:
    """Project the ledger (``anew``: also where nothing has changed) and replay the views of the current release. Safe at any time."""
    _project(lake, ledger, spark, anew)
    release = ledger.current_release()
    tables = ledger.release_tables(release)
    publish.replay_views(lake.context, ledger, lake.contracts, release, tables)
    dashboards.follow(lake.context)
    # Dashboards keep answers for a day; those of an older release must go.
    dashboards.forget_cached(lake.context, [t.table_name.replace("_tables.", ".") for t in tables])
    if not named.says(named.folder(lake.context.settings), release, named.key(tables)):
        from spark_jobs.trademark import lookup  # seconds of libraries and tables, which a release without new marks does not need

        lookup.follow(lake.context.settings, spark, release, tables)


def _project(lake: Lake, ledger: Ledger, spark: SparkSession, anew: bool = False) -> None:
    for schema in (*VIEW_SCHEMAS, *PINNED_SCHEMAS):
        spark.sql(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    projections.project_ledger(spark, ledger, lake.contracts, anew)


STEPS: dict[str, Callable[[Lake], int]] = {"ingest": ingest_step, "silver": silver_step, "gold": gold_step, "publish": publish_step}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("feed", nargs="?", help="ingest: only this one")
    arguments = parser.parse_args()
    try:
        lake = Lake(session.context(), all_tables(load_contracts()))
        step = partial(ingest_step, lake, arguments.feed) if arguments.step == "ingest" else partial(STEPS[arguments.step], lake)
        return lineage.told(lake.context, lake.contracts, arguments.step, step)
    except Problem as problem:
        print(f"{problem.what}\n  why: {problem.why}\n  do:  {problem.do}", file=sys.stderr, flush=True)
    except PySparkException as error:
        # What went wrong on the server's disk is said by the last of the causes only.
        causes = error.getStackTrace() if isinstance(error, SparkConnectGrpcException) else None
        lines = [line.strip() for line in f"{error}\n{causes or ''}".splitlines() if line.strip()]
        line = next((line for line in lines if "No space left" in line), lines[0])
        print(f"Spark refused a statement: {line}\n  do:  {_do(line)}", file=sys.stderr, flush=True)
    except LogDamaged as damaged:
        place = f"{damaged.table.name} 版本 {damaged.version} 的 {damaged.file}（{damaged.what}）"
        print(f"存储损坏：{place}\n  do:  运行 ./lake check 查看全部，再运行 ./lake check --repair", file=sys.stderr, flush=True)
    except OSError as error:
        print(f"{error.strerror or error}: {error.filename or ''}\n  do:  {_do(str(error))}", file=sys.stderr, flush=True)
    return 1


def _do(line: str) -> str:
    if "No space left" in line:
        return "free some disk space, then start the same step again; nothing was published, readers stay on the last release"
    return "see ./lake logs spark; the same step may be started again"


if __name__ == "__main__":
    sys.exit(main())
