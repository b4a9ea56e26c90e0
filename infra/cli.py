"""The command line: ``./lake``."""

from __future__ import annotations

import csv
import datetime as dt
import getpass
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from infra import accounts, credentials, health, settings, supervision, testing
from infra.clock import CHINA
from infra.ledger import Ledger
from infra.problems import Problem
from infra.services import BY_NAME, SERVICES, Context, airflow, superset
from infra.services.trino import tls
from infra.settings import REPO

app = typer.Typer(
    help="lake — a data lakehouse for a market-supervision authority: files → Airflow → Spark and Delta → dbt → Trino → Superset.",
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip
user_app = typer.Typer(help="Accounts of people: add, change the password, disable.", no_args_is_help=True)
app.add_typer(user_app, name="user")
trademark_app = typer.Typer(help="商标：查近似的名称，看抢注预警，作反馈。", no_args_is_help=True)
app.add_typer(trademark_app, name="trademark")
catalog_app = typer.Typer(help="数据目录：信息资源目录。", no_args_is_help=True)
app.add_typer(catalog_app, name="catalog")
contracts_app = typer.Typer(help="合同：一次核对合同和随之要改的各处，登记版本。", no_args_is_help=True)
app.add_typer(contracts_app, name="contracts")
lineage_app = typer.Typer(help="血缘：以 OpenLineage 事件交给别的目录（OpenMetadata、DataHub、Marquez）。", no_args_is_help=True)
app.add_typer(lineage_app, name="lineage")
rectify_app = typer.Typer(help="整改台账：发现、派单、反馈供数部门、异议、豁免，直到后来的批次真正改正。", no_args_is_help=True)
app.add_typer(rectify_app, name="rectify")
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def started_context() -> Context:
    """The context of an instance that has been started before."""
    current = settings.load()
    return Context(current, credentials.load(current))


@app.command()
def up() -> None:
    """Start every service and wait until all are healthy. Safe to run again."""
    from infra import restore  # slow to import, and not needed by the other commands

    current = settings.load()
    restore.refuse_unfinished(current)
    if not supervision.running(current):
        _check_resources(current)
    context = Context(current, credentials.ensure(current))
    accounts.ensure_first_users(context)
    begin = time.monotonic()
    if supervision.start(context):
        out.print(f"Starting {len(SERVICES)} services (instance {current.instance}, all on 127.0.0.1)")
    wait_healthy(context, begin)
    replay_views(context)
    restore.complete(context, out)
    out.print(
        f"All {len(SERVICES)} services are healthy after {time.monotonic() - begin:.0f} s. Dashboards: {superset.address(context)}  pipelines: {airflow.address(context)}"
    )


def replay_views(context: Context) -> None:
    """Make readers' views follow the ledger's current release: they may be behind after a crash or a restore.

    If files of that release are gone or cut, readers get the newest release that is whole.
    """
    with Ledger(context) as ledger:
        if ledger.live_run() is None:
            from infra import amendments  # slow to import, and not needed by the other commands

            if amendments.take_up(context, ledger):
                out.print("  ✓ amendments of declarations that were approved are in force")
        release = ledger.current_release()
        if release:
            from catalog.contract import load_contracts  # slow to import, and not needed by the other commands
            from catalog.derive import all_tables
            from infra import store
            from spark_jobs import publish

            for kept in ledger.kept_releases(store.HOLD):
                damage = store.release_damage(context.settings, kept, ledger.release_tables(kept), deep=False)
                if not damage:
                    break
                out.print(
                    f"  ✗ {kept}：{damage[0].place} 版本 {damage[0].version} 的 {damage[0].file}：{damage[0].says}", style="red", soft_wrap=True
                )
            else:
                out.print("  ✗ 没有完好的发布；运行 ./lake check --repair", style="red")
                return
            if kept != release:
                release = ledger.restore(kept)
                out.print(f"  读者改看 {release}（内容同 {kept}）；运行 ./lake check --repair 修复", style="red", soft_wrap=True)
            tables = ledger.release_tables(release)
            views = publish.replay_views(context, ledger, all_tables(load_contracts()), release, tables)
            out.print(f"  ✓ {views} views show release {release}")
    if release:
        from infra import dashboards

        if dashboards.follow(context):
            out.print("  ✓ the dashboards were deployed again: contracts or dashboards have changed")
    if release and _names_are_stale(context, release, tables):
        from spark_jobs import pipeline

        out.print("  … names of marks and rights are written anew")
        pipeline.show_current(context)


def _names_are_stale(context: Context, release: str, tables: list[Any]) -> bool:
    from spark_jobs.trademark import lookup  # slow to import, and not needed by the other commands

    return lookup.is_stale(context.settings, release, tables)


def wait_healthy(context: Context, begin: float) -> None:
    """Wait for all services, saying who became healthy and, every few seconds, who is awaited and why."""
    waiting = [s.name for s in SERVICES]
    limit = context.settings.values["limits"]["start_seconds"]
    said = time.monotonic()
    while waiting:
        asked = health.conditions(context, waiting, measure=False)
        for condition in asked:
            if condition.healthy:
                waiting.remove(condition.service)
                out.print(f"  ✓ {condition.service:22} {time.monotonic() - begin:4.0f} s  {condition.says}")
        if waiting and time.monotonic() - begin > limit:
            condition = next(c for c in asked if c.service in waiting)
            raise Problem(
                f"{condition.service} is not healthy after {limit} s",
                condition.says,
                f"see ./lake logs {condition.service}; the others stay up, ./lake up tries again",
            )
        if waiting and time.monotonic() - said > 8:
            restarting = [c.service for c in asked if c.state in ("BACKOFF", "FATAL", "EXITED") and c.service in waiting]
            why = f" ({', '.join(restarting)} stopped and is started again: ./lake logs {restarting[0]})" if restarting else ""
            out.print(f"  … waiting for {', '.join(waiting)}{why}", style="dim", soft_wrap=True)
            said = time.monotonic()
        if waiting:
            time.sleep(0.5)


def _check_resources(current: settings.Settings) -> None:
    limits = current.values["limits"]
    available = next(int(line.split()[1]) for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemAvailable:")) / 2**20
    if available < limits["memory_available_gib"]:
        raise Problem(
            "not enough memory",
            f"{available:.1f} GiB are available, {limits['memory_available_gib']} GiB are needed",
            "stop other programs, or lower the heaps in infra/settings.toml",
        )
    free = shutil.disk_usage(current.made).free / 2**30
    if free < limits["disk_free_gib"]:
        raise Problem(
            "not enough disk space", f"{free:.1f} GiB are free at {current.made}, {limits['disk_free_gib']} GiB are needed", "free some space"
        )


@app.command()
def demo(
    small: Annotated[bool, typer.Option("--small", help="only the sample register and a few other deliveries, without the sandbox city")] = False,
) -> None:
    """Start everything, send the samples and three years of a sandbox city through Airflow, deploy the dashboard. Safe to run again."""
    from infra import dashboards  # slow to import, and not needed by the other commands
    from infra import demo as demonstration

    up()
    context = started_context()
    before = demonstration.loaded(context)
    demonstration.deliver(context, out, city=not small)
    out.print("Deploying the dashboard")
    dashboards.deploy(context)
    demonstration.summary(context, before, out)


@app.command()
def run() -> None:
    """Run the pipeline now, for every delivery that waits in landing/inbox, and follow it to its end."""
    from infra import demo as demonstration
    from infra import pipelines

    context = started_context()
    before = demonstration.loaded(context)
    pipelines.run(context, out)
    demonstration.summary(context, before, out)


@app.command()
def ingest(
    feed: Annotated[str, typer.Argument(help="数据源，如 registration_subjects")],
    files: Annotated[list[Path], typer.Argument(help="一个或多个文件")],
    as_of: Annotated[str, typer.Option("--as-of", help="业务日期，如 2019-06-30；不写时看文件名，再看记录自身")] = "",
    revision: Annotated[int, typer.Option("--revision", min=0, help="修订号：更正曾经送过的文件时写一个更大的数")] = 0,
    department: Annotated[str, typer.Option("--department", help="报送单位；默认为数据源登记的供数部门")] = "",
    simulated: Annotated[bool, typer.Option("--simulated", help="内容是演示或模拟数据")] = False,
) -> None:
    """接收文件：入湖、加工、发布，并逐个给出记录账（到达 = 应用 + 被取代 + 重复 + 隔离）。"""
    from infra import deliveries, pipelines  # slow to import, and not needed by the other commands

    context = started_context()
    contract = deliveries.feed(feed)
    says: dict[str, object] = {"as_of": as_of, "revision": revision, "department": department, "simulated": simulated}
    with Ledger(context) as ledger:
        before = {d.delivery_id for d in ledger.deliveries(contract.name)}
    sent = deliveries.hand_over(context, contract, files, {k: v for k, v in says.items() if v})
    pipelines.run(context, out)
    deliveries.account(context, contract, sent, before, out)


@app.command("try")
def try_file(
    feed: Annotated[str, typer.Argument(help="数据源，如 registration_subjects")],
    file: Annotated[Path, typer.Argument(help="一个文件")],
    rows: Annotated[int, typer.Option("--rows", min=0, help="整条列出几条，有问题的在先")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """试读一个文件：每条记录读成什么，哪些会被隔离、标记；不起服务，什么都不保存。"""
    from infra import deliveries, trial  # slow to import, and not needed by the other commands

    trial.show(deliveries.feed(feed), file, rows, as_json, out)


@app.command()
def withdraw(
    delivery: Annotated[str, typer.Argument(help="批次编号，如 D0123456789abcdef")],
    reason: Annotated[str, typer.Option("--reason", help="为什么；记入台账")] = "",
    undo: Annotated[bool, typer.Option("--undo", help="恢复采用已撤回的批次")] = False,
) -> None:
    """撤回一个批次：发布后如同它从未到达，原件和撤回的经过留在台账里。"""
    from infra import recall  # slow to import, and not needed by the other commands

    (recall.reinstate if undo else recall.withdraw)(started_context(), delivery, reason, out)


@app.command()
def accept(
    delivery: Annotated[str, typer.Argument(help="批次编号，如 D0123456789abcdef")],
    reason: Annotated[str, typer.Option("--reason", help="为什么；记入台账")] = "",
) -> None:
    """采用一个因坏记录过多而扣留的批次：合格的记录进入加工，其余照常隔离。"""
    from infra import recall  # slow to import, and not needed by the other commands

    recall.accept(started_context(), delivery, reason, out)


@app.command()
def replay(
    feed: Annotated[str, typer.Argument(help="数据源，如 registration_subjects")],
    first: Annotated[str, typer.Option("--from", help="第一天，如 2019-03-01")],
    last: Annotated[str, typer.Option("--to", help="最后一天，含当日")],
    by: Annotated[str, typer.Option("--by", help="arrival：按到达日；business：按业务日期")] = "arrival",
    reason: Annotated[str, typer.Option("--reason", help="为什么；记入台账")] = "",
) -> None:
    """重放：按现在的合同和规则重新读取保存的原件，逐个批次对照前后的账。"""
    from infra import deliveries, recall  # slow to import, and not needed by the other commands

    if by not in ("arrival", "business"):
        raise Problem(f"没有 --by {by} 这种查法", "可写 arrival（到达日）或 business（业务日期）", "写其中一个")
    contract = deliveries.feed(feed)
    recall.replay(
        started_context(), contract, _date("--from", first), _date("--to", last), "business" if by == "business" else "arrival", reason, out
    )


def _date(option: str, text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise Problem(f"{option} {text} 不是日期", "日期写作 2019-06-30", "改正后再运行") from None


@app.command("arrivals")
def arrivals_command() -> None:
    """查看报送是否按时、是否齐全：迟到、缺报、逾期未到的批次和供数部门，与源系统对账单的差异。"""
    from infra import arrivals  # slow to import, and not needed by the other commands

    context = started_context()
    arrivals.account(context, out)
    arrivals.show(context, out)


@app.command("notices")
def notices_command(
    send: Annotated[bool, typer.Option("--send", help="现在就发送")] = False,
    test: Annotated[str, typer.Option("--test", metavar="地址", help="只向这个地址发一封测试邮件")] = "",
) -> None:
    """邮件通知：哪些等待发送、近来发送了哪些；平时在发布之后和每天定时自动发送。"""
    from infra import notify  # slow to import, and not needed by the other commands

    context = started_context()
    if test:
        notify.test(notify.required(context), test, out)
    elif send:
        if notify.send(context, notify.required(context), out) == 1:
            raise typer.Exit(1)
    else:
        notify.show(context, out)


@app.command("exchange")
def exchange_database(
    compare: Annotated[str, typer.Option("--compare", metavar="数据源", help="下次运行时整表比对：找出漏读、改动和已删除的记录")] = "",
) -> None:
    """查看各数据源从前置库、从平台接口读到了哪里；加 --compare 要求整表比对（平时每天一次）。"""
    from infra import exchange  # slow to import, and not needed by the other commands

    (exchange.ask_comparison(started_context(), compare, out) if compare else exchange.show(started_context(), out))


@app.command()
def releases(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """列出全部发布，最新的在前。"""
    with Ledger(started_context()) as ledger:
        rows = ledger.releases()
    if as_json:
        names = ("release_id", "kind", "parent_release_id", "published_at", "as_of", "tables", "deliveries")
        print(json.dumps([dict(zip(names, [v if isinstance(v, int | str | None) else str(v) for v in row], strict=True)) for row in rows], indent=1))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("发布", "方式", "基于", "发布时间（北京）", "数据截止", "表", "批次"):
        table.add_column(title, justify="right" if title in ("表", "批次") else "left")
    for index, (identity, kind, parent, published, as_of, tables, contained) in enumerate(rows):
        word = {"publish": "发布", "restore": "恢复"}[kind]
        when = f"{published.astimezone(CHINA):%Y-%m-%d %H:%M:%S}"
        table.add_row(identity, word, parent or "—", when, str(as_of or "—"), str(tables), str(contained), style="bold" if index == 0 else "")
    out.print(table)
    out.print("第一行是读者现在看到的。恢复较早的发布：./lake publish --restore 发布编号" if rows else "还没有发布")


@app.command()
def publish(restore: Annotated[str, typer.Option("--restore", help="恢复到这个发布，如 R00000042")] = "") -> None:
    """让读者看到当前发布；加 --restore 恢复到较早的发布（之后到达的批次会在下次运行时重新加工）。"""
    from spark_jobs import pipeline  # slow to import, and not needed by the other commands

    context = started_context()
    if restore:
        identity = pipeline.restore(context, restore)
        out.print(f"已恢复：{identity} 的内容与 {restore} 相同，读者现在看到它。之后到达的批次会在下次运行（./lake run）时重新进入。", soft_wrap=True)
    else:
        out.print(f"读者看到的是 {pipeline.show_current(context)}")


@app.command()
def check(
    repair: Annotated[bool, typer.Option("--repair", help="修复：移开损坏的文件，从原件和记录文件重做，读者先看完好的发布")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="只看文件在不在、长度对不对，不读内容")] = False,
) -> None:
    """核对存储：原件、提交记录、数据文件、视图和台账是否一致；指明表、版本和文件。"""
    from infra import check as checks  # slow to import, and not needed by the other commands

    context = started_context()
    found = checks.check(context, quick, out)
    if found and repair:
        from infra import pipelines
        from spark_jobs import repair as repairs

        if repairs.repair(context, found, out):
            pipelines.run(context, out)
        out.print("再核对一次")
        found = checks.check(context, quick, out)
    if any(d.kind != "orphan" for d in found):
        raise typer.Exit(1)


@app.command()
def maintain(hours: Annotated[int, typer.Option("--hours", help="旧文件保留的小时数；默认按要保留的发布计算")] = 0) -> None:
    """整理存储：合并小文件，清理任何保留的发布都不再使用的文件。每周日凌晨自动运行。"""
    from spark_jobs import maintain as maintenance  # slow to import, and not needed by the other commands

    maintenance.maintain(started_context(), hours or None)


@app.command()
def analyse(
    name: Annotated[
        str,
        typer.Argument(
            metavar="[economy|forecast|activity|development]",
            help="economy：一期的各项指标；forecast：今后十二个月新登记户数的预测；activity：企业活跃度；development：企业发展指数",
        ),
    ] = "economy",
    as_of: Annotated[
        str, typer.Option("--as-of", help="截至哪一天的时期，如 2023-12-31（预测、指数：到那天为止已有的最新一期）；不写为最近一期")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    user: Annotated[str, typer.Option("--user", "-u", help="Account; default as in ./lake query.")] = "",
) -> None:
    """全市经济监测指标：存量与变动、产业结构、区域协调，及各区的情况；新登记户数的预测；企业活跃度；企业发展指数。"""
    from infra import analyse as analyses  # slow to import, and not needed by the other commands
    from infra import analyse_indices as indices

    kinds = {
        "economy": analyses.show,
        "forecast": analyses.show_forecast,
        "activity": indices.show_activity,
        "development": indices.show_development,
    }
    if name not in kinds:
        raise Problem(f"没有名为 {name} 的分析", "写错了名称", f"可用的有：{'、'.join(kinds)}")
    context = started_context()
    account, password = _sign_in(context, user)
    kinds[name](context, as_of, account, password, as_json, out)


@trademark_app.command("check")
def trademark_check(
    name: Annotated[str, typer.Argument(help="要查的商标文字")],
    nice_class: Annotated[int | None, typer.Option("--class", "-c", help="尼斯分类类别，1 至 45；不写为不看商品")] = None,
    groups: Annotated[str, typer.Option("--groups", help="类似群，如 0301,0306")] = "",
    most: Annotated[int, typer.Option("--most", min=1, max=200, help="最多列多少个")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """与一个名称相同、近似的字号、名录名称和商标，及为什么。"""
    from infra import trademark  # slow to import, and not needed by the other commands

    trademark.check(started_context(), name, nice_class, groups, most, as_json, out)


@trademark_app.command("alerts")
def trademark_alerts(
    days_left: Annotated[int | None, typer.Option("--days-left", min=0, help="只看多少天以内到期的；不写为全部未到期")] = None,
    verdict: Annotated[
        str, typer.Option("--verdict", metavar="[suspect|similar|all]", help="suspect：疑似抢注；similar：相似但可能正当；all：全部")
    ] = "suspect",
    district: Annotated[str, typer.Option("--district", help="权利人所在区，如 天河区")] = "",
    most: Annotated[int, typer.Option("--most", min=1, help="最多列多少条")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    user: Annotated[str, typer.Option("--user", "-u", help="Account; default as in ./lake query.")] = "",
) -> None:
    """商标抢注预警的工作清单，最急的在前；负责人等个人信息按账号的权限遮蔽。"""
    from infra import trademark  # slow to import, and not needed by the other commands

    if verdict not in ("suspect", "similar", "all"):
        raise Problem(f"没有“{verdict}”这一类预警", "写错了", "可用的有：suspect、similar、all")
    context = started_context()
    account, password = _sign_in(context, user)
    trademark.show_alerts(context, days_left, verdict, district, most, account, password, as_json, out)


@trademark_app.command("feedback")
def trademark_feedback(
    alert_id: Annotated[str, typer.Argument(help="预警编号")],
    answer: Annotated[str, typer.Argument(metavar="[confirmed|rejected|more]", help="confirmed：属实；rejected：不属实；more：需要补充材料")],
    note: Annotated[str, typer.Option("--note", help="说明")] = "",
    user: Annotated[str, typer.Option("--user", "-u", help="Account; default as in ./lake query.")] = "",
) -> None:
    """对一条预警作反馈；反馈不改动，以最后一次为准。"""
    from infra import trademark  # slow to import, and not needed by the other commands

    context = started_context()
    account, password = _sign_in(context, user)
    trademark.answer(context, alert_id, answer, note, account, password, out)


@lineage_app.command("export")
def lineage_export(
    file: Annotated[Path, typer.Argument(metavar="OUT.ndjson", help="写到哪个文件，每行一条事件")],
    form: Annotated[str, typer.Option("--form", help="static：设计事件；runs：运行事件，供只认运行事件的目录（如 OpenMetadata）")] = "static",
) -> None:
    """写出现在的全部血缘：每张表由哪些表加工而成，列的来源已知的也写；不起服务。"""
    from infra import lineage  # slow to import, and not needed by the other commands

    lineage.export(settings.load(), file, form, out)


@lineage_app.command("send")
def lineage_send(files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="事件文件，如 logs/lineage 里的")]) -> None:
    """把事件文件送到 settings.toml 里 lineage 一节 target 的地址：补送没有送到的，或送 export 写出的。"""
    from infra import lineage  # slow to import, and not needed by the other commands

    lineage.send_files(started_context(), files, out)


@contracts_app.command("check")
def contracts_check() -> None:
    """核对全部合同，以及版本、规则、部门和职能、信息资源目录、dbt 文件，逐条说明怎样改；不起服务。有问题时以 1 结束。"""
    from infra import contracts  # slow to import, and not needed by the other commands

    if not contracts.check(REPO, out):
        raise typer.Exit(1)


@contracts_app.command("release")
def contracts_release() -> None:
    """登记合同现在的版本，给目录编号，更新 dbt 文件，列出写了哪些文件；由工作副本的主人提交。有问题时什么都不写。"""
    from infra import contracts  # slow to import, and not needed by the other commands

    if not contracts.release(REPO, out):
        raise typer.Exit(1)


@catalog_app.command("build")
def catalog_build(
    folder: Annotated[Path | None, typer.Argument(metavar="[OUT]", help="写到哪个文件夹，可以拷走；不写为更新 ./lake up 提供的站点")] = None,
) -> None:
    """生成信息资源目录的网页；平时发布后自动更新。"""
    from infra import catalog_site  # slow to import, and not needed by the other commands

    current = settings.load()
    running = supervision.running(current)
    if folder is None and not running:
        raise Problem("服务没有启动", "不写 OUT 时更新的是服务提供的站点", "先运行 ./lake up，或写明一个文件夹")
    files = (
        catalog_site.publish(started_context()) if folder is None else catalog_site.write_to(current, folder, started_context() if running else None)
    )
    out.print(f"已写入 {files} 个文件" + (f"，打开 {folder / 'index.html'}" if folder else ""), soft_wrap=True)


@catalog_app.command("check")
def catalog_check() -> None:
    """程序、模型、看板用到的表和列是否都有合同；不起服务。有问题时以 1 结束。"""
    from catalog import drift  # slow to import, and not needed by the other commands
    from catalog.contract import ContractError, load_contracts
    from catalog.derive import all_tables

    try:
        drift.require_none(all_tables(load_contracts()))
    except (ContractError, drift.Drift) as error:
        for problem in error.problems:
            out.print(f"  ✗ {problem}", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from None
    out.print("程序、模型、看板用到的表和列都有合同", style="green")


@catalog_app.command("set")
def catalog_set(
    target: Annotated[
        str,
        typer.Argument(
            metavar="对象", help="列名（如 registered_capital）、合同（如 gold.archive_credit）或规则（如 bronze.complaints/lodged_at_not_future）"
        ),
    ],
    attribute: Annotated[
        str,
        typer.Argument(
            metavar="项目",
            help="列：zh meaning aliases classification element；合同：description grain purpose limitations owner frequency sharing sharingCondition；规则：description severity",
        ),
    ],
    value: Annotated[str, typer.Argument(metavar="内容", help="几个别名之间用顿号；可以没有的项目写空文字即删去")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="只看会引起什么，不写文件")] = False,
) -> None:
    """修改定义的一处：先在副本上核对，说明由此引起的变化，再写合同、版本、已发布状态和 dbt 文件；由工作副本的主人提交。"""
    from infra import catalog  # slow to import, and not needed by the other commands

    catalog.set_value(REPO, target, attribute, value, dry_run, out)


@catalog_app.command("adopt")
def catalog_adopt(dry_run: Annotated[bool, typer.Option("--dry-run", help="只看会写什么，不写文件")] = False) -> None:
    """把数据管理员在目录里审批通过的修改写进工作副本的合同；由工作副本的主人运行、核对、提交。"""
    from infra import catalog  # slow to import, and not needed by the other commands

    catalog.adopt(REPO, settings.load().declarations, dry_run, out)


@catalog_app.command("directory")
def catalog_directory(
    folder: Annotated[Path, typer.Argument(metavar="OUT", help="写到哪个目录")],
    form: Annotated[str, typer.Option("--format", metavar="[xlsx|jsonld|both]", help="xlsx：编制模板的电子表格；jsonld：DCAT；both：两种")] = "both",
) -> None:
    """导出政务信息资源目录并逐项校验；不起服务。有问题时以 1 结束。"""
    from infra import catalog  # slow to import, and not needed by the other commands

    if not catalog.directory(folder, form, out):
        raise typer.Exit(1)


_Item = Annotated[str, typer.Argument(metavar="事项", help="整改事项编号，如 Z0123abcd")]
_Records = Annotated[list[str] | None, typer.Option("--record", "-r", metavar="记录编号", help="清单里的整改记录编号；可以写几次")]
_User = Annotated[str, typer.Option("--user", "-u", help="Account; default as in ./lake query.")]


@rectify_app.command("list")
def rectify_list(
    department: Annotated[str, typer.Option("--department", "-d", help="供数部门")] = "",
    state: Annotated[
        str, typer.Option("--state", metavar="[found|assigned|exported|mending|review|reopened|exempted|closed]", help="不写为全部未了结的")
    ] = "",
    overdue: Annotated[bool, typer.Option("--overdue", help="只看逾期的")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    user: _User = "",
) -> None:
    """整改事项，逾期和最急的在前：哪个部门的什么问题、还有多少、谁负责、何时到期。"""
    from infra import rectification  # slow to import, and not needed by the other commands

    context = started_context()
    rectification.show(context, rectification.Asked(*_sign_in(context, user)), department, state, overdue, as_json, out)


@rectify_app.command("assign")
def rectify_assign(
    item: _Item,
    to: Annotated[str, typer.Option("--to", help="责任人：科室或岗位上的人员")],
    until: Annotated[str, typer.Option("--until", help="期限，如 2027-06-30；不写为按严重程度的工作日（设置 [rectification]）")] = "",
    note: Annotated[str, typer.Option("--note", help="说明")] = "",
    user: _User = "",
) -> None:
    """派单：把一个事项交给责任人，定下期限；再派一次即改派、改期。"""
    from infra import rectification  # slow to import, and not needed by the other commands

    context = started_context()
    rectification.assign(context, rectification.Asked(*_sign_in(context, user)), item, to, until, note, out)


@rectify_app.command("export")
def rectify_export(
    folder: Annotated[Path | None, typer.Argument(metavar="[目录]", help="默认为设置 [rectification] outbox，再则本实例的 outbox")] = None,
    department: Annotated[str, typer.Option("--department", "-d", help="只导出这个部门的")] = "",
    user: _User = "",
) -> None:
    """反馈供数部门：每个部门一个 Excel 工作簿和一封邮件草稿，放进各自的目录；记入台账。"""
    from infra import rectification  # slow to import, and not needed by the other commands

    context = started_context()
    rectification.export(context, rectification.Asked(*_sign_in(context, user)), department, folder, out)


@rectify_app.command("exempt")
def rectify_exempt(
    item: _Item,
    until: Annotated[str, typer.Option("--until", help="最后一天，如 2027-06-30，至多一年；次日自动恢复")] = "",
    reason: Annotated[str, typer.Option("--reason", help="为什么；记入台账，不要写个人信息")] = "",
    lift: Annotated[bool, typer.Option("--lift", help="提前结束豁免")] = False,
    user: _User = "",
) -> None:
    """豁免：到某日为止暂不要求整改，过期自动失效。"""
    from infra import rectification  # slow to import, and not needed by the other commands

    context = started_context()
    rectification.exempt(context, rectification.Asked(*_sign_in(context, user)), item, until, reason, lift, out)


@rectify_app.command("dispute")
def rectify_dispute(
    item: _Item,
    record: _Records = None,
    evidence: Annotated[str, typer.Option("--evidence", help="部门的依据，如文号；记入台账，不要写个人信息")] = "",
    user: _User = "",
) -> None:
    """登记异议：部门认为记录无误；裁定之前单独计数，不算待整改。"""
    from infra import rectification  # slow to import, and not needed by the other commands

    context = started_context()
    rectification.dispute(context, rectification.Asked(*_sign_in(context, user)), item, record or [], evidence, out)


@rectify_app.command("decide")
def rectify_decide(
    item: _Item,
    verdict: Annotated[str, typer.Argument(metavar="[upheld|dismissed]", help="upheld：异议成立，不再要求整改；dismissed：不成立")],
    record: _Records = None,
    reason: Annotated[str, typer.Option("--reason", help="为什么；记入台账，不要写个人信息")] = "",
    user: _User = "",
) -> None:
    """裁定异议。"""
    from infra import rectification  # slow to import, and not needed by the other commands

    context = started_context()
    rectification.decide(context, rectification.Asked(*_sign_in(context, user)), item, record or [], verdict, reason, out)


@rectify_app.command("note")
def rectify_note(
    item: _Item,
    text: Annotated[str, typer.Argument(metavar="内容", help="不要写个人信息")],
    user: _User = "",
) -> None:
    """备注：记下与部门的联系等，不改变状态。"""
    from infra import rectification  # slow to import, and not needed by the other commands

    context = started_context()
    rectification.note(context, rectification.Asked(*_sign_in(context, user)), item, text, out)


@app.command()
def archive(
    subject: Annotated[str, typer.Argument(help="统一社会信用代码、注册号、主体标识、名称（可以只写一部分），或字号的拼音、首字母")],
    as_of: Annotated[str, typer.Option("--as-of", help="截至哪一个业务日期的情况，如 2024-06-30；不写为今天")] = "",
    known_at: Annotated[
        str, typer.Option("--known-at", help="按哪一刻以前到达的批次，如 2024-07-05 或 2024-07-05T09:30（北京时间）；不写为现在")
    ] = "",
    whole: Annotated[bool, typer.Option("--all", help="列出全部事项，不只最近的")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    user: Annotated[str, typer.Option("--user", "-u", help="Account; default as in ./lake query.")] = "",
) -> None:
    """查看一个市场主体的档案、历史和事项，现在的或以前某日所知的；看到什么由账号的权限决定。"""
    from infra import archive as archives  # slow to import, and not needed by the other commands

    at = archives.moment(as_of, known_at)
    context = started_context()
    name, password = _sign_in(context, user)
    archives.show(context, subject, name, password, as_json, out, at, whole)


@app.command()
def backup(
    destination: Annotated[Path, typer.Argument(help="备份目录，在另一块磁盘上，如 /mnt/backup/lake")],
    identity: Annotated[str, typer.Argument(metavar="[编号]", help="与 --verify、--forget 一起：哪一份备份；核对默认最新一份")] = "",
    show: Annotated[bool, typer.Option("--list", help="列出目录里的备份")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="读出一份备份的全部内容，逐个核对")] = False,
    forget: Annotated[bool, typer.Option("--forget", help="删除一份备份，以及其他备份都不用的内容")] = False,
) -> None:
    """备份全部不能重做的内容：发布的各表、台账和各数据库、到达的文件、口令和设置。只写入新的内容。"""
    from infra import backup as backups  # slow to import, and not needed by the other commands
    from infra.backup_store import Store

    if show:
        backups.show(Store(destination), out)
    elif verify:
        backups.verify(Store(destination), identity, out)
    elif forget:
        with Store.writing(destination) as store:
            count, freed = store.forget(identity)
        out.print(f"已删除备份 {identity}：{count:,} 个对象，腾出 {backups.size(freed)}")
    else:
        backups.make(started_context(), destination, out)


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(help="备份目录")],
    backup: Annotated[str, typer.Option("--backup", help="哪一份备份；默认最新一份")] = "",
    release: Annotated[str, typer.Option("--release", help="读者看到哪个发布，如 R00000042；默认备份时的当前发布")] = "",
) -> None:
    """把备份恢复到一个空的实例，可以换路径、换端口；然后运行 ./lake up。"""
    from infra import restore as restoring  # slow to import, and not needed by the other commands

    restoring.restore(source, backup, release, out)


@app.command("city", context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []})
def make_city(arguments: typer.Context) -> None:
    """生成一座模拟城市：各部门的报送文件和它的真相；选项见 ./lake city --help。"""
    # A program of its own: the pipeline imports nothing of the city (tests/unit/test_city.py).
    raise typer.Exit(subprocess.run([sys.executable, "-P", "-m", "samples.city", *arguments.args], check=False).returncode)


@app.command()
def bench(
    workload: Annotated[
        list[str] | None, typer.Argument(help="all_feeds, all_feeds_day, first_load, day, idle, trademark, views; leave it out for all")
    ] = None,
    subjects: Annotated[str, typer.Option("--subjects", help="live subjects of the city; several with commas")] = "50000",
    rounds: Annotated[int, typer.Option("--rounds", help="how often; default as the workload says")] = 0,
    only: Annotated[str, typer.Option("--only", help="contenders, with commas")] = "",
) -> None:
    """Measure the lake beside others who do the same work: time, memory, bytes, and whether they agree."""
    from infra.bench import run as benching  # its peers are not needed by the other commands

    folder = benching.run(
        workload or [], [int(n.replace("_", "")) for n in subjects.split(",")], rounds or None, [n for n in only.split(",") if n], out
    )
    out.print(f"Results: {folder}")


@app.command("test")
def run_tests(part: Annotated[str, typer.Argument(help="unit, faults, or leave it out for everything but faults")] = "all") -> None:
    """Run the tests: unit tests alone (two minutes, no services), all on a stack of their own, or the long fault tests."""
    if part not in ("unit", "all", "faults"):
        raise Problem(f"there is no part {part}", "parts are unit, all and faults", "choose one of them")
    raise typer.Exit(testing.run(part, out))


@app.command()
def down() -> None:
    """Stop every service. What was loaded stays."""
    current = settings.load()
    with out.status("Stopping the services") if out.is_terminal else _said("Stopping the services"):
        ran = supervision.stop(current)
    out.print("Stopped." if ran else "Nothing was running.")


class _said:
    def __init__(self, text: str) -> None:
        out.print(text)

    def __enter__(self) -> None: ...

    def __exit__(self, *error: object) -> None: ...


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Show every service on one screen. Exits with 1 unless all are healthy."""
    context = started_context()
    all_conditions = health.conditions(context)
    if as_json:
        print(json.dumps([vars(c) for c in all_conditions], indent=1))
    else:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for title in ("service", "health", "port", "up", "memory", "what it did just now"):
            table.add_column(title, justify="right" if title in ("port", "up", "memory") else "left", no_wrap=title != "what it did just now")
        for c in all_conditions:
            colour = "green" if c.healthy else "red"
            table.add_row(
                c.service,
                f"[{colour}]{'healthy' if c.healthy else c.state.lower() if c.state != 'RUNNING' else 'unhealthy'}[/]",
                str(c.port or ""),
                health.duration(c.up_seconds),
                f"{c.memory / 2**20:.0f} MB",
                c.says,
            )
        out.print(table)
        out.print(
            f"{sum(c.healthy for c in all_conditions)} of {len(all_conditions)} healthy, {sum(c.memory for c in all_conditions) / 2**30:.1f} GiB resident"
        )
    if not all(c.healthy for c in all_conditions):
        raise typer.Exit(1)


@app.command()
def logs(
    service: Annotated[str, typer.Argument(help="A service as ./lake status names it.")],
    lines: Annotated[int, typer.Option("--lines", "-n")] = 60,
    follow: Annotated[bool, typer.Option("--follow", "-f")] = False,
) -> None:
    """Show the end of a service's log."""
    if service not in BY_NAME and service != "supervisor":
        raise Problem(f"there is no service {service}", f"services are {', '.join(BY_NAME)}, supervisor", "choose one of them")
    folder = settings.load().folder("logs")
    files = [p for p in (folder / f"{service}.log", folder / f"{service}-server.log") if p.exists()]
    if not files:
        raise Problem(f"{service} has no log yet", "it was never started here", "run ./lake up")
    command = ["tail", "-n", str(lines), *(["-f"] if follow else []), *map(str, files)]
    sys.stdout.flush()
    os.execvp(command[0], command)


@app.command()
def query(
    sql: Annotated[str, typer.Argument(help='One statement, such as "SELECT * FROM gold.mart_registrations_monthly LIMIT 5".')],
    output: Annotated[str, typer.Option("--format", help="table, csv or json")] = "table",
    user: Annotated[str, typer.Option("--user", "-u", help="Account; default: $LAKE_USER, else your login name, else analyst.")] = "",
) -> None:
    """Ask Trino, as yourself: masks and row filters hold.

    The password comes from $LAKE_PASSWORD, or from the file of first passwords where you may read
    it, or is asked for.
    """
    from infra import querying

    if output not in querying.FORMATS:
        raise Problem(f"there is no format {output}", f"formats are {', '.join(querying.FORMATS)}", "choose one of them")
    context = started_context()
    name, password = _sign_in(context, user)
    querying.run(context, sql, name, password, output, out)


def _sign_in(context: Context, user: str) -> tuple[str, str]:
    """The account to ask as, and its password."""
    name = user or os.environ.get("LAKE_USER") or (getpass.getuser() if getpass.getuser() in accounts.users(context) else "analyst")
    password = os.environ.get("LAKE_PASSWORD") or accounts.initial_passwords(context).get(name)
    if not password:
        if not sys.stdin.isatty():
            raise Problem(f"no password for {name}", "LAKE_PASSWORD is not set and there is no terminal to ask at", "set LAKE_PASSWORD")
        password = getpass.getpass(f"Password of {name}: ")
    return name, password


@app.command()
def certificate() -> None:
    """Print the certificate that clients of Trino (JDBC, Python) must trust."""
    print(tls.ensure(started_context())["ca"].read_text(), end="")


@user_app.command("add")
def user_add(
    name: str, role: Annotated[str, typer.Option("--role", help=", ".join(accounts.ROLES))], title: Annotated[str, typer.Option("--title", help="Shown name, such as 王科长")] = "",
    district: Annotated[str | None, typer.Option("--district", help="Six-digit code, for role district")] = None,
) -> None:  # fmt: skip
    """Add an account to Trino, Superset and (operators, stewards) Airflow."""
    password = accounts.add(started_context(), name, role, title, district, os.environ.get("LAKE_NEW_PASSWORD"))
    _show_password(name, password)


@user_app.command("passwd")
def user_passwd(name: str) -> None:
    """Change a password everywhere; asks for it, or generates one when there is no terminal."""
    password = os.environ.get("LAKE_NEW_PASSWORD")
    if password is None and sys.stdin.isatty():
        password = getpass.getpass("New password (empty: generate one): ") or None
    _show_password(name, accounts.set_password(started_context(), name, password))


def _show_password(name: str, password: str) -> None:
    if os.environ.get("LAKE_NEW_PASSWORD") == password:
        out.print(f"{name}: done")
    else:
        out.print(f"{name}: the password is {password}  (shown this once)", soft_wrap=True)


@user_app.command("disable")
def user_disable(name: str, undo: Annotated[bool, typer.Option("--undo", help="Let the account in again.")] = False) -> None:
    """Lock an account out of every service."""
    accounts.disable(started_context(), name, not undo)
    out.print(f"{name}: {'active again' if undo else 'disabled'}")


@user_app.command("list")
def user_list() -> None:
    """List the accounts."""
    context = started_context()
    writer = csv.writer(sys.stdout, delimiter="\t")
    for name, entry in sorted(accounts.users(context).items()):
        writer.writerow(
            [
                name,
                entry["role"],
                entry["title"],
                entry.get("district", ""),
                "disabled" if entry["disabled"] else "active",
                "first password" if name in accounts.initial_passwords(context) else "",
            ]
        )


@app.command(hidden=True)
def lock() -> None:
    """Compile the requirements files again (needs uv on the path)."""
    folder = REPO / "infra" / "requirements"
    for name in ("build", "lake", "airflow", "superset"):
        argv = [
            "uv",
            "pip",
            "compile",
            "--universal",
            "--python-version",
            "3.11",
            "--no-emit-index-url",
            "--generate-hashes",
            "--no-annotate",
            "--custom-compile-command",
            "./lake lock",
            "-q",
            f"{name}.in",
            "-o",
            f"{name}.txt",
        ]
        subprocess.run(argv, check=True, cwd=folder)


def _say(problem: Problem) -> None:
    why = problem.why.replace("\n", "\n       ")
    err.print(f"lake: {problem.what}\n  why: {why}\n  do:  {problem.do}", markup=False, soft_wrap=True)


def main() -> None:
    try:
        app()
    except Problem as problem:
        _say(problem)
        sys.exit(1)
    except ValueError as error:
        from catalog.contract import ContractError  # slow to import, and not needed by all commands

        if not isinstance(error, ContractError):
            raise
        _say(Problem(f"合同有 {len(error.problems)} 处问题", "\n".join(error.problems), "逐条改正后运行 ./lake contracts check"))
        sys.exit(1)
    except KeyboardInterrupt:
        err.print("\nlake: stopped; run the same command again to go on")
        sys.exit(130)


if __name__ == "__main__":
    main()
