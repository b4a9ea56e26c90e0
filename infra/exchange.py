"""What is read from the exchange database and from pages over HTTP, for the steward and the operator."""

from __future__ import annotations

import getpass

from rich.console import Console
from rich.table import Table

from catalog.contract import load_contracts
from infra import deliveries
from infra.clock import CHINA
from infra.ledger import Ledger, Pull, delivery_id
from infra.problems import Problem
from infra.services.base import Context


def show(context: Context, out: Console) -> None:
    """Print for each feed of the exchange database how far it has been read, when it was compared whole, and what stands in the way."""
    problems: list[str] = []
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("数据源", "读取自", "读到（来源时间）", "最近一次读取（北京）", "最近一次比对（北京）", "读过", "其中已删除"):
        table.add_column(title, justify="right" if title in ("读过", "其中已删除") else "left", overflow="fold")
    with Ledger(context) as ledger:
        refused = {d.delivery_id: d.reason or "" for d in ledger.deliveries(state="refused")}
        for contract in load_contracts().values():
            if contract.exchange is None and contract.pages is None:
                continue
            readings = ledger.pulls(contract.name)
            good = [p for p in readings if p.problem is None and _digest(p) not in refused]
            # What stands in the way until a reading of the same kind has succeeded.
            done = {kind: max((p.pull_id for p in good if p.kind == kind), default=0) for kind in {p.kind for p in readings}}
            problem = next((p.problem or refused[_digest(p)] for p in reversed(readings) if p not in good and p.pull_id > done[p.kind]), "")
            table.add_row(
                f"{contract.name}（{contract.title}）",
                contract.exchange.table if contract.exchange else f"HTTP {contract.pages.path}" if contract.pages else "",
                good[-1].upper_bound if good else "还没有读过",
                _moment(readings[-1:]),
                _moment([p for p in good if p.kind == "comparison"][-1:]),
                f"{sum(p.row_count for p in good):,}",
                f"{sum(p.withdrawn for p in good):,}",
                style="red" if problem else "",
            )
            problems += [f"✗ {contract.name}：{problem}"] if problem else []
    out.print(table)
    for problem in problems:
        out.print(problem, style="red", markup=False, soft_wrap=True)


def ask_comparison(context: Context, name: str, out: Console) -> None:
    """Let the next run compare the whole table of a feed.

    Raises:
        Problem: there is no such feed, or it is not read from the exchange database.
    """
    contract = deliveries.feed(name)
    if contract.exchange is None:
        known = "、".join(c.name for c in load_contracts().values() if c.exchange)
        raise Problem(f"{name} 不从前置库读取", f"从前置库读取的数据源：{known}", "写其中一个名称")
    with Ledger(context) as ledger:
        ledger.ask_comparison(contract.name, getpass.getuser())
    out.print(f"已登记：下次运行（./lake run，或每日定时）时，{contract.exchange.table} 整表比对一次。")


def _digest(reading: Pull) -> str:
    return delivery_id(reading.feed, reading.sha256) if reading.sha256 else ""


def _moment(readings: list[Pull]) -> str:
    return f"{readings[-1].pulled_at.astimezone(CHINA):%Y-%m-%d %H:%M:%S}" if readings else "—"
