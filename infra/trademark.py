"""``./lake trademark``: what comes close to a name, the work list of alerts, and what people answer to them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from infra.clock import CHINA
from infra.ledger import Feedback, Ledger
from infra.printing import print_json
from infra.problems import Problem
from infra.services import names
from infra.services.base import Context

ALERTS = "gold.trademark_alerts"
ANSWERS = {"confirmed": "属实", "rejected": "不属实", "more": "需要补充材料"}
# As `similarity.Verdict` and `goods.Relation` say it.
VERDICTS = {"same": "相同", "similar": "近似", "doubtful": "有待人工判断"}
GOODS = {"same_group": "同一类似群", "note": "跨类似群注释", "same_class": "同一类别", "related_class": "类别之间有类似群", "none": "不相关"}
ENTRIES = {"trade_name": "字号", "listed": "名录", "indication": "地理标志", "filing": "商标"}
_LIST = """
    SELECT alert_id, act_until, act_until_expected, act_until_latest, is_provisional, deadline_note, mark_stage, alert_verdict, bad_faith_score, right_name, right_kind, owner_name,
        legal_representative, registered_address, district_name, trademark_name, mark_number, nice_class, applicant_name, agent_name, why_similar, why_suspected, names_hit,
        legal_hooks, suggested_action, first_alerted_on, alert_feedback, as_of, value_kind, release_id
    FROM lake.gold.trademark_alerts WHERE {where} ORDER BY act_until NULLS LAST, alert_verdict DESC, bad_faith_score DESC, alert_id"""


def check(context: Context, name: str, nice_class: int | None, groups: str, most: int, as_json: bool, out: Console) -> None:
    """Print what comes close to ``name``: rights of the city's subjects, and marks that are filed or in force, whoever's they are.

    Asks the resident process; where that isn't running, the names are opened here.

    Raises:
        Problem: no release has names, or the name or class can't be asked.
    """
    question = {"name": name, "nice_class": nice_class, "groups": groups, "most": most}
    try:
        try:
            told = names.ask(context.settings, question)
        except OSError:
            from spark_jobs.trademark import lookup, named  # slow to import, and not needed where the process answers

            told = lookup.Lookup.open(named.folder(context.settings)).check(name, nice_class, groups, most)
    except FileNotFoundError:
        raise Problem("没有可查的名称", "当前发布里还没有商标数据", "送来商标数据并运行 ./lake run 后再查") from None
    except ValueError as error:
        raise Problem("不能查询", str(error), "核对名称和类别；如提示需要重建，运行 ./lake up") from error
    if as_json:
        print_json(told)
        return
    of = f"第{nice_class}类" if nice_class is not None else "不限类别（按商品相同比较）"
    out.print(f"\n[bold]“{escape(name)}”，{of}[/]：{told['similar']} 个相同、近似或有待判断", soft_wrap=True)
    out.print(
        f"发布 {told['release']}，在 {told['names']:,} 个名称和商标里比对了 {told['candidates']:,} 个；是供人判断的线索，不是审查结论",
        style="dim",
        soft_wrap=True,
    )
    table = Table(show_edge=False, pad_edge=False)
    for title in ("判断", "名称", "种类", "权利人", "类别", "起始", "近似度", "商品关系"):
        table.add_column(title)
    told["found"] = [{k: escape(v) if isinstance(v, str) else v for k, v in f.items()} for f in told["found"]]
    for f in told["found"]:
        classes = (f["classes"] or "").replace("|", "、")
        table.add_row(
            VERDICTS[f["verdict"]], f["name"], ENTRIES[f["entry"]], f["owner"] or "（不列）", classes, f["since"] or "不明", f"{f['total']:.2f}", GOODS.get(f["goods"] or "", "—"),
        )  # fmt: skip
    out.print(table)
    for f in told["found"][:5]:
        out.print(f"  {f['why']}", soft_wrap=True)


def show_alerts(
    context: Context, days_left: int | None, verdict: str, district: str, most: int, user: str, password: str, as_json: bool, out: Console
) -> None:
    """Print the alerts of which something can still be done in time, the most urgent first.

    ``days_left``: only those with at most so many days; None: all, also those with no day yet.

    Raises:
        Problem: the account may not read alerts.
    """
    today = dt.datetime.now(CHINA).date()
    where, values = ["(act_until_latest >= CAST(? AS DATE) OR act_until IS NULL)"], [today.isoformat()]
    if days_left is not None:
        where = ["act_until_latest >= CAST(? AS DATE) AND act_until <= CAST(? AS DATE)"]
        values.append((today + dt.timedelta(days=days_left)).isoformat())
    if verdict != "all":
        where.append("alert_verdict = ?")
        values.append(verdict)
    if district:
        where.append("district_name = ?")
        values.append(district)
    from catalog.contract import load_contracts  # slow to import; who checks a name doesn't wait for it
    from infra.querying import asking, records

    with asking(context, user, password, "lake trademark", "商标抢注预警") as cursor:
        rows = records(cursor, _LIST.format(where=" AND ".join(where)), values)
    for r in rows:
        r["days_left"] = (_day(r["act_until"]) - today).days if r["act_until"] else None
    if as_json:
        print_json({"today": today, "alerts": rows})
        return
    said_of = {c.name: dict(c.allowed) for c in load_contracts()[ALERTS].columns if c.allowed}
    said = "，".join(s for s in (f"{days_left} 天内到期" if days_left is not None else "", district) if s)
    out.print(f"\n[bold]商标抢注预警[/]（{said or '全部未到期'}）：{len(rows)} 条", soft_wrap=True)
    if not rows:
        return
    out.print(
        f"依据 {rows[0]['as_of']} 为止到达的数据，发布 {rows[0]['release_id']}，今天 {today}；是线索，不是认定；定义见 docs/trademark.zh.md",
        style="dim",
        soft_wrap=True,
    )
    if any(r["value_kind"] == "simulated" for r in rows):
        out.print("含模拟（演示）数据", style="yellow")
    for r in rows[:most]:
        _print(out, said_of, r)
    if len(rows) > most:
        out.print(f"\n另有 {len(rows) - most} 条，用 --most 或 --json 看全部", style="dim")


def _print(out: Console, said: Mapping[str, Mapping[str, str]], r: dict[str, Any]) -> None:
    r = {k: escape(v) if isinstance(v, str) else v for k, v in r.items()}
    if r["days_left"] is None:
        left = "没有正在计算的期限"
    elif r["days_left"] < 0:
        left = f"期限可能已过（{r['act_until']}），最晚可能到 {r['act_until_latest']}，请立即核对"
    else:
        left = f"还有 {r['days_left']} 天（{r['act_until']}{'，暂定' if r['is_provisional'] else ''}）"
    out.print(f"\n[bold]{r['alert_id']}  {left}[/]  {said['mark_stage'][r['mark_stage']]}", soft_wrap=True)
    out.print(
        f"  {r['applicant_name']} 申请“{r['trademark_name']}”（{r['mark_number']}，第{r['nice_class']}类），代理：{r['agent_name'] or '无'}",
        soft_wrap=True,
    )
    who = f"{r['owner_name'] or '未核定'}（{r['district_name']}，负责人 {r['legal_representative'] or '—'}）"
    out.print(f"  在先权利：{said['right_kind'][r['right_kind']]}“{r['right_name']}”，{who}", soft_wrap=True)
    style = "red" if r["alert_verdict"] == "suspect" else ""
    out.print(
        f"  {said['alert_verdict'][r['alert_verdict']]}（评分 {float(r['bad_faith_score']):.2f}）：{r['why_suspected']}", style=style, soft_wrap=True
    )
    out.print(f"  {r['why_similar']}", soft_wrap=True)
    for title, text in (("涉及", r["names_hit"]), ("期限", r["deadline_note"]), ("建议", r["suggested_action"])):
        if text:
            out.print(f"  {title}：{text}", style="dim", soft_wrap=True)
    if r["alert_feedback"]:
        out.print(f"  反馈：{ANSWERS[r['alert_feedback']]}", style="green", soft_wrap=True)


def answer(context: Context, alert_id: str, given: str, note: str, user: str, password: str, out: Console) -> None:
    """Note what ``user`` answers to an alert that this account may see.

    Raises:
        Problem: there is no such answer or alert, or the account may not read alerts.
    """
    if given not in ANSWERS:
        raise Problem(f"没有“{given}”这种反馈", "写错了", f"可用的有：{'、'.join(f'{k}（{v}）' for k, v in ANSWERS.items())}")
    from infra.querying import asking, records

    with asking(context, user, password, "lake trademark", "商标抢注预警") as cursor:
        found = records(cursor, _LIST.format(where="alert_id = ?"), [alert_id.strip().upper()])
    if not found:
        raise Problem(f"没有预警 {alert_id}", "编号写错了，或该预警已不成立，或不在本账号的范围内", "用 ./lake trademark alerts 查看编号")
    r = found[0]
    until = _day(r["act_until"]) if r["act_until"] else None
    said = Feedback(
        r["alert_id"], given, note.strip() or None, r["right_name"], r["trademark_name"], r["mark_number"], r["nice_class"], r["alert_verdict"], r["bad_faith_score"],
        until, r["release_id"],
    )  # fmt: skip
    with Ledger(context) as ledger:
        ledger.note_feedback(said, user)
    out.print(
        f"已记下：{r['alert_id']}（“{r['trademark_name']}”对“{r['right_name']}”）{ANSWERS[given]}。ops.trademark_feedback 在下一次加工后更新。",
        soft_wrap=True,
    )


def _day(value: Any) -> dt.date:
    return value if isinstance(value, dt.date) else dt.date.fromisoformat(str(value))
