"""What has not come as it should: deliveries late or missing, and records that source systems took down and never sent."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from catalog.contract import load_contracts
from infra.services.base import Context
from infra.services.trino import as_publisher
from spark_jobs import publish

MOST = 20  # rows of each table; the views have them all
_LATE = """
    SELECT department, feed_title, business_date, due_on, arrived_on, punctuality, days_late FROM lake.ops.delivery_calendar
    WHERE punctuality IN ('overdue', 'missing', 'late') ORDER BY punctuality <> 'overdue', days_late DESC, department, feed_title, business_date"""
_ACCOUNT = """
    SELECT department, feed, count(*), sum(arrived), sum(applied), sum(superseded), sum(duplicate), sum(quarantined) FROM lake.ops.deliveries
    WHERE release_id IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2"""
_DIFFERENT = """
    SELECT coalesce(department, '—'), resource_name, count(*), count_if(reconciliation_status = 'matched'), sum(source_records), sum(held_records),
        coalesce(sum(missing_records) FILTER (WHERE reconciliation_status = 'short'), 0),
        coalesce(sum(missing_records) FILTER (WHERE reconciliation_status IN ('awaited', 'unknown')), 0),
        array_join(array_agg(CAST(period_to AS varchar) ORDER BY missing_records DESC) FILTER (WHERE reconciliation_status = 'short'), '、')
    FROM lake.ops.reconciliation GROUP BY 1, 2 ORDER BY 7 DESC, 8 DESC, 1, 2"""


def show(context: Context, out: Console) -> None:
    """Print what is overdue, missing or late, with the department that owes it, and where source systems say more than has come."""
    late = publish.ask(as_publisher(context).cursor(), _LATE)
    words = dict(load_contracts()["ops.delivery_calendar"].column("punctuality").allowed)
    if late:
        table = _table(("供数部门", "数据源", "业务日期", "应到", "到达", "情况", "逾期天数"))
        for department, title, business_date, due, arrived, status, days in late[:MOST]:
            table.add_row(
                department,
                title,
                str(business_date),
                str(due),
                str(arrived or "—"),
                words[status],
                str(days),
                style="red" if status != "late" else "yellow",
            )
        out.print(table)
        out.print(f"共 {len(late):,} 个批次迟到、缺报或逾期未到{f'，列出最久的 {MOST} 个' if len(late) > MOST else ''}；全部见 ops.delivery_calendar")
    else:
        out.print("没有迟到、缺报或逾期未到的批次")
    reconciled = publish.ask(as_publisher(context).cursor(), _DIFFERENT)
    if not reconciled:
        out.print("还没有收到源系统对账单（数据源 control_totals），不能与来源对账")
        return
    table = _table(("供数部门", "资源", "对账期", "相符", "来源", "送达", "缺少", "待送", "缺少最多的对账期止于"))
    for department, resource, periods, matched, source, held, missing, awaited, where in reconciled:
        first = "、".join((where or "").split("、")[:3])
        table.add_row(
            department,
            resource,
            f"{periods:,}",
            f"{matched:,}",
            f"{source:,}",
            f"{held:,}",
            f"{missing:,}",
            f"{awaited:,}",
            first,
            style="red" if missing else "",
        )
    out.print(table)
    out.print("缺少：源系统对账单里有、报送里没有的记录；待送：还没有批次说到的那些天，或没有登记的资源。逐期见 ops.reconciliation")


def account(context: Context, out: Console) -> None:
    """Print the account of all deliveries by department and feed."""
    titles = {c.name: c.control_name for c in load_contracts().values()}
    table = _table(("供数部门", "数据源", "批次", "到达", "应用", "被取代", "重复", "隔离"))
    for department, feed, *numbers in publish.ask(as_publisher(context).cursor(), _ACCOUNT):
        table.add_row(department, titles.get(feed, feed), *(f"{n:,}" for n in numbers))
    out.print(table)


def _table(titles: tuple[str, ...]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in titles:
        table.add_column(
            title, justify="left" if title in ("供数部门", "数据源", "资源", "情况", "缺少最多的对账期止于") else "right", overflow="fold"
        )
    return table
