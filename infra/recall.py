"""Withdraw a delivery, take a withdrawal back, read kept deliveries again: what people decide afterwards (docs/decisions/0018)."""

from __future__ import annotations

import datetime as dt
import getpass
from collections.abc import Callable
from typing import Literal

from rich.console import Console

from catalog.contract import Contract
from infra import deliveries, pipelines
from infra.ledger import Delivery, Ledger
from infra.problems import Problem
from infra.services.base import Context


def withdraw(context: Context, identity: str, reason: str, out: Console) -> None:
    """Let a delivery not count any more, and publish the lake without it.

    Raises:
        Problem: there is no such delivery, its state does not allow it, no reason is given, or the run did not get to a release.
    """
    with Ledger(context) as ledger:
        before = ledger.accounts(ledger.current_release()).get(identity)
        delivery = _decide(ledger, identity, reason, "撤回", "只能撤回已落地、已入湖或已扣留的批次", ledger.withdraw)
    out.print(f"撤回 {delivery.file_name}（批次 {identity}）：{reason.strip()}", markup=False, soft_wrap=True)
    if before:
        out.print(f"  它在当前发布里：到达 {before.arrived:,}，应用 {before.applied:,}；发布后都不再计入，原件和这次决定留在台账里", soft_wrap=True)
    _publish(context, identity, False, out)
    out.print(f"要恢复采用：./lake withdraw {identity} --undo --reason 原因", soft_wrap=True)


def reinstate(context: Context, identity: str, reason: str, out: Console) -> None:
    """Let a withdrawn delivery count again, and publish the lake with it. Raises as `withdraw` does."""
    with Ledger(context) as ledger:
        delivery = _decide(ledger, identity, reason, "恢复采用", "只能恢复采用已撤回的批次", ledger.reinstate)
    out.print(f"恢复采用 {delivery.file_name}（批次 {identity}）：{reason.strip()}", markup=False, soft_wrap=True)
    _publish(context, identity, True, out)


def accept(context: Context, identity: str, reason: str, out: Console) -> None:
    """Take the good rows of a delivery that was held back, and publish the lake with them. Raises as `withdraw` does."""
    with Ledger(context) as ledger:
        delivery = _decide(ledger, identity, reason, "采用", "只能采用已扣留的批次", ledger.accept)
    out.print(f"采用 {delivery.file_name}（批次 {identity}）中合格的记录：{reason.strip()}", markup=False, soft_wrap=True)
    _publish(context, identity, True, out)


def _decide(ledger: Ledger, identity: str, reason: str, verb: str, only: str, decision: Callable[[str, str, str], None]) -> Delivery:
    if not reason.strip():
        raise Problem("没有写原因", "人作的决定都记入台账，以后要能查到为什么", '加上 --reason "原因"')
    try:
        delivery = ledger.delivery(identity)
        decision(identity, reason.strip(), getpass.getuser())
    except KeyError:
        raise Problem(f"没有批次 {identity}", "台账里没有这个编号", "编号见 ./lake ingest 的输出或 ops.deliveries 的 delivery_id") from None
    except ValueError:
        state = deliveries.STATES[delivery.state]
        raise Problem(f"批次 {identity}（{delivery.file_name}）不能{verb}：现在是“{state}”", only, "没有要做的") from None
    return delivery


def _publish(context: Context, identity: str, counts: bool, out: Console) -> None:
    pipelines.run(context, out)
    with Ledger(context) as ledger:
        release = ledger.current_release()
        if (identity in ledger.contained(release)) != counts:
            raise Problem(f"决定已记入台账，但发布 {release} 还没有反映", "上面的运行没有走到发布", "排除原因后再运行 ./lake run")
    out.print(f"发布 {release} {'包含' if counts else '已不含'}这个批次。")


def replay(
    context: Context, contract: Contract, first: dt.date, last: dt.date, by: Literal["arrival", "business"], reason: str, out: Console
) -> None:
    """Read the kept bytes of a feed's deliveries again, as readers, contract and corrections are today, and publish the outcome.

    ``first``, ``last``: days in Asia/Shanghai, both included: of arrival, or the business date that was stated.

    Raises:
        Problem: no delivery lies in these days.
    """
    with Ledger(context) as ledger:
        chosen = [d for d in ledger.deliveries(contract.name, "loaded") if (day := _day(d, by)) is not None and first <= day <= last]
        if not chosen:
            raise Problem(
                f"《{contract.chinese}》在 {first} 至 {last} 没有已入湖的批次",
                f"按{'到达日' if by == 'arrival' else '业务日期'}查找，已撤回和拒收的不算",
                "核对日期；--by business 按业务日期，--by arrival 按到达日",
            )
        before = ledger.accounts(ledger.current_release())
        for delivery in chosen:
            ledger.ask_replay(delivery.delivery_id, reason or f"replay {first} {last}", getpass.getuser())
    out.print(f"重放《{contract.chinese}》的 {len(chosen)} 个批次（共 {sum(d.row_count or 0 for d in chosen):,} 条记录）：重新读取保存的原件")
    pipelines.run(context, out)
    with Ledger(context) as ledger:
        release = ledger.current_release()
        after = ledger.accounts(release)
        for d in chosen:
            event, said, _, _ = ledger.events(d.delivery_id)[-1]
            if event == "replay_refused":
                out.print(f"  {d.delivery_id} {d.file_name}：重放不成，保持原样。{said}", style="red", markup=False, soft_wrap=True)
            elif before.get(d.delivery_id) != after.get(d.delivery_id):
                out.print(
                    f"  {d.delivery_id} {d.file_name}：{_account(before.get(d.delivery_id))} → {_account(after.get(d.delivery_id))}", soft_wrap=True
                )
    same = sum(before.get(d.delivery_id) == after.get(d.delivery_id) for d in chosen)
    out.print(f"发布 {release}：{same} 个批次的账不变，{len(chosen) - same} 个有变化")


def _day(delivery: Delivery, by: str) -> dt.date | None:
    return delivery.business_date if by == "business" else delivery.arrived_on


def _account(account: object) -> str:
    return (
        "未发布"
        if account is None
        else "到达 {arrived:,} 应用 {applied:,} 被取代 {superseded:,} 重复 {duplicate:,} 隔离 {quarantined:,}".format(**vars(account))
    )
