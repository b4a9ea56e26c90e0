"""``./lake analyse activity`` and ``development``: who is active, and what leads the economy, on one screen, as the asking user may see it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.table import Table

from catalog.contract import Contract, load_contracts
from infra.analyse import ALL, CITY, day_of
from infra.printing import print_json
from infra.problems import Problem
from infra.querying import asking, records
from infra.services.base import Context

MONTHLY, OUTCOME, INDEX, LEADS, TEST = (
    "gold.activity_monthly", "gold.activity_outcome", "gold.development_index", "gold.development_leads", "gold.development_test",
)  # fmt: skip
# What is shown, by table; everything is in the JSON.
OF_MONTH = ("active_subjects", "inactive_subjects", "unclear_subjects", "activity_rate", "activity_level", "activity_level_entropy")
OF_OUTCOME = ("month_end", "active_exit_rate", "inactive_exit_rate", "unclear_exit_rate", "flag_auc", "index_auc", "entropy_index_auc")
OF_LEADS = (
    "reference_series",
    "register_series",
    "is_chosen",
    "lead_quarters",
    "lead_correlation",
    "chance_p_value",
    "information_lead",
    "shared_quarters",
)
OF_TEST = ("reference_series", "chosen_series", "index_lead", "tested_quarters", "index_error", "own_error", "test_p_value", "index_verdict")
OF_INDEX = ("reference_series", "quarter_end", "development_index", "diffusion_index", "reference_value")
QUARTERS = 8  # of the index that are shown

Row = dict[str, Any]


def show_activity(context: Context, as_of: str, user: str, password: str, as_json: bool, out: Console) -> None:
    """Print who was active at the newest month end of which that was told by ``as_of`` (empty: the newest), by district and section, and what became of it.

    Raises:
        Problem: the date can't be read, no month has been judged by then, or the account may not read the tables.
    """
    day = day_of(as_of)
    with asking(context, user, password, "lake analyse", "企业活跃度") as cursor:
        month = _newest(cursor, MONTHLY, "month_end", day, "没有判断过企业活跃度", "需要年报、社保、税务、异常名录或个体标记中至少一个数据源")
        told = records(cursor, f"SELECT * FROM lake.{MONTHLY} WHERE month_end = ? ORDER BY district_code, industry_section", [month])  # noqa: S608 - our own names
        # A district office is not shown what became of the whole city.
        city = any(r["district_name"] == CITY for r in told)
        newest = f"SELECT * FROM lake.{OUTCOME} WHERE as_of <= ? ORDER BY month_end DESC LIMIT 1"  # noqa: S608
        after = records(cursor, newest, [day]) if city else []
    if as_json:
        print_json({"month_end": month, "told": told, "outcome": after})
        return
    _head(out, f"{month} 的企业活跃度", "docs/activity.zh.md", told)
    contracts = load_contracts()
    for title, rows, first in (
        ("各区", [r for r in told if r["industry_section_name"] == ALL], "district_name"),
        ("各行业", [r for r in told if r["district_name"] == CITY and r["industry_section_name"] != ALL], "industry_section_name"),
    ):
        _table(out, contracts[MONTHLY], title, rows, (first, *OF_MONTH))
    _table(out, contracts[OUTCOME], "满一年的月份：活跃与不活跃的此后退出多少（按现在所知；区分能力 0.5 为没有）", after, OF_OUTCOME)


def show_development(context: Context, as_of: str, user: str, password: str, as_json: bool, out: Console) -> None:
    """Print the development index that was made last by ``as_of`` (empty: the newest): what leads, the index, whether it helps.

    Raises:
        Problem: the date can't be read, none has been made by then, or the account may not read the tables.
    """
    day = day_of(as_of)
    with asking(context, user, password, "lake analyse", "企业发展指数") as cursor:
        origin = _newest(cursor, TEST, "index_origin", day, "没有作过企业发展指数", "需要统计部门的季度序列，和与它共有的至少十六个季度")
        found = {
            name: records(cursor, f"SELECT * FROM lake.{name} WHERE index_origin = ? ORDER BY {order}", [origin])  # noqa: S608
            for name, order in (
                (LEADS, "reference_series, lead_correlation DESC"),
                (INDEX, "reference_series, quarter_end DESC"),
                (TEST, "reference_series"),
            )
        }
    if as_json:
        print_json({"index_origin": origin, **{name.partition(".")[2]: rows for name, rows in found.items()}})
        return
    _head(out, f"{origin} 为止的企业发展指数", "docs/development.zh.md", found[TEST])
    contracts = load_contracts()
    _table(out, contracts[LEADS], "各登记序列领先几个季度", found[LEADS], OF_LEADS)
    if any(r["development_index"] is not None for r in found[INDEX]):
        _table(out, contracts[INDEX], "最近的指数", found[INDEX][:QUARTERS], OF_INDEX)
    else:
        out.print("\n没有登记序列可靠地领先于参照序列，没有指数。", style="yellow")
    _table(out, contracts[TEST], "指数有没有帮助（样本外预测下一季度）", found[TEST], OF_TEST)


def _newest(cursor: Any, table: str, column: str, day: dt.date, what: str, why: str) -> dt.date:
    ((found,),) = cursor.execute(f"SELECT max({column}) FROM lake.{table} WHERE as_of <= ?", [day]).fetchall()  # noqa: S608 - our own names
    if found is None:
        raise Problem(what, why if day == dt.date.max else f"到 {day} 还没有", "补齐数据源，或把 --as-of 改晚一些")
    return dt.date.fromisoformat(str(found))


def _head(out: Console, title: str, page: str, rows: Sequence[Row]) -> None:
    out.print(f"\n[bold]{title}[/]", soft_wrap=True)
    out.print(f"依据 {rows[0]['as_of']} 为止到达的数据，发布 {rows[0]['release_id']}；定义和注意事项见 {page}", style="dim", soft_wrap=True)
    if any(r["value_kind"] == "simulated" for r in rows):
        out.print("含模拟（演示）数据", style="yellow")


def _table(out: Console, contract: Contract, title: str, rows: Sequence[Row], columns: Sequence[str]) -> None:
    """Rows under the Chinese names of their columns; codes as their labels."""
    if not rows:
        return
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for name in columns:
        table.add_column(contract.column(name).chinese, justify="left" if isinstance(rows[0][name], str) else "right", overflow="fold")
    for row in rows:
        table.add_row(*(_shown(dict(contract.column(name).allowed), name, row[name]) for name in columns))
    out.print(f"\n[bold cyan]{title}[/]")
    out.print(table)


def _shown(labels: dict[str, str], name: str, value: Any) -> str:
    if value is None:
        return "—"
    if isinstance(value, bool):
        return "是" if value else "否"
    if isinstance(value, Decimal):
        return f"{100 * value:.1f}%" if name.endswith("_rate") else f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else labels.get(str(value), str(value))
