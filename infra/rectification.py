"""``./lake rectify``: the rectification ledger (整改台账): what is to be mended, who sees to it, what departments are handed, what they object.

Commands add events to the ledger and read what the last run worked out; states and deadlines are those of now, counts of records of the last run.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from catalog.contract import load_contracts
from infra import accounts
from infra.clock import CHINA
from infra.ledger import Ledger, RectificationEvent
from infra.printing import print_json
from infra.problems import Problem
from infra.querying import asking, records
from infra.services.base import Context
from spark_jobs import rectification
from spark_jobs.rectification import ESCALATIONS, STATES, Facts, Item, Key, Terms

SOURCE, WHAT = "lake rectify", "整改台账"
LONGEST_EXEMPTION = 366  # days: what is let pass for good is a rule to be changed, or a record of which the department is right
LATER = "ops.rectification_* 在下一次加工后更新"
_ITEMS = "SELECT * FROM lake.ops.rectification_items WHERE {where} ORDER BY department, feed, item_scope, rule_id"
_RECORDS = """
    SELECT item_id, item_record, record_label, file_name, row_number, item_record_state, first_seen_on, record_returned_on
    FROM lake.ops.rectification_records WHERE department = ? ORDER BY item_id, first_seen_on, file_name, row_number, item_record"""
_FOUND = "SELECT item_record, item_record_state FROM lake.ops.rectification_records WHERE item_id = ?"


class Asked(NamedTuple):
    """Who asks: an account and its password."""

    user: str
    password: str


class Current(NamedTuple):
    """An item: the row that the last run left of it, and what it is now."""

    row: dict[str, Any]
    item: Item


def show(context: Context, asked: Asked, department: str, state: str, overdue: bool, as_json: bool, out: Console) -> None:
    """Print items, the most urgent first; without a ``state`` those that are not closed.

    Raises:
        Problem: there is no such state, or the account may not read items.
    """
    if state and state not in STATES:
        raise Problem(f"没有“{state}”这种办理状态", "写错了", f"可用的有：{'、'.join(STATES)}")
    where, values = ("department = ?", [department]) if department else ("true", [])
    with asking(context, *asked, SOURCE, WHAT) as cursor:
        rows = records(cursor, _ITEMS.format(where=where), values)
    found = [
        c
        for c in _current(context, rows)
        if (c.item.state == state if state else c.item.state != "closed") and (not overdue or c.item.escalation != "none")
    ]
    found.sort(key=lambda c: (-ESCALATIONS.index(c.item.escalation), c.item.deadline or dt.date.max, -c.item.open, c.item.item))
    if as_json:
        print_json({"today": _today(), "items": [_told(c) for c in found]})
        return
    said = _words()
    out.print(f"\n[bold]整改台账[/]（{_today()}）：{len(found)} 个事项，待整改 {sum(c.item.open for c in found):,}", soft_wrap=True)
    if not rows:
        out.print("还没有整改事项：没有发现过质量问题，或还没有加工过", style="dim")
        return
    if any(c.item.simulated for c in found):
        out.print("含模拟（演示）数据", style="yellow")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("编号", "供数部门", "数据源", "问题", "状态", "待整改", "重现", "异议", "豁免", "已改", "责任人", "期限", "剩余"):
        number = title in ("待整改", "重现", "异议", "豁免", "已改", "剩余")
        table.add_column(title, justify="right" if number else "left", no_wrap=title == "编号", overflow="fold")
    for row, i in found:
        counts = (f"{n:,}" if n else "" for n in (i.open, i.returned, i.disputed, i.exempted, i.mended))
        left = "" if i.days_left is None else f"{i.days_left} 天" if i.days_left >= 0 else f"逾期 {-i.days_left} 天"
        until = f"{i.deadline}{'（暂定）' if i.deadline_note else ''}" if i.deadline else f"豁免至 {i.exempt_until}" if i.state == "exempted" else ""
        style = {"none": "", "first": "yellow", "second": "red"}[i.escalation]
        texts = (i.item.department, row["feed_title"], row["rule_description"], said["item_state"][i.state])
        table.add_row(i.item.item_id, *map(escape, texts), *counts, escape(i.owner or ""), until, left, style=style)
    out.print(table)
    for level in ("second", "first"):
        if late := sum(c.item.escalation == level for c in found):
            out.print(f"{late} 个事项{said['escalation'][level]}", style="red" if level == "second" else "yellow")
    if note := next((c.item.deadline_note for c in found if c.item.deadline_note), None):
        out.print(note, style="dim", soft_wrap=True)
    out.print("各项计数为上一次加工所得；之后登记的异议、裁定在下一次加工后计入", style="dim", soft_wrap=True)


def assign(context: Context, asked: Asked, item_id: str, to: str, until: str, note: str, out: Console) -> None:
    """Give an item to somebody, until a day; without one, so many working days from today as its severity has.

    Raises:
        Problem: there is no such item, nothing of it is open, or the day has passed.
    """
    if not to.strip():
        raise Problem("没有写派给谁", "责任人不能为空", "写 --to 科室或岗位人员")
    c = _one(context, asked, item_id)
    if not c.item.open and not c.item.disputed:
        raise Problem(f"{c.item.item.item_id} 不能派单", f"没有待整改的记录（{_words()['item_state'][c.item.state]}）", "重现后会自动回到清单")
    day = _future("--until", until) if until else rectification.working_days_after(_today(), _terms(context).days(c.item.severity))
    _note(context, [_event(asked, c.item.item, "assigned", owner=to.strip(), until=day, note=note.strip() or None)])
    out.print(f"已派单：{_name(c)}，责任人 {to.strip()}，期限 {day}。{LATER}。", soft_wrap=True, markup=False)


def exempt(context: Context, asked: Asked, item_id: str, until: str, reason: str, lift: bool, out: Console) -> None:
    """Let an item rest until a day, at most a year from now, or (``lift``) no longer.

    Raises:
        Problem: there is no such item or no reason, the day can't be, or there is no exemption to lift.
    """
    why = _required("理由", "--reason", reason)
    c = _one(context, asked, item_id)
    if lift:
        if c.item.exempt_until is None or c.item.exempt_until < _today():
            raise Problem(f"{c.item.item.item_id} 没有豁免", "没有登记过，或已经到期", "不需要结束")
        _note(context, [_event(asked, c.item.item, "lifted", note=why)])
        out.print(f"已结束豁免：{_name(c)}。{LATER}。", soft_wrap=True, markup=False)
        return
    day = _future("--until", until)
    if (day - _today()).days > LONGEST_EXEMPTION:
        raise Problem(f"豁免到 {day} 太久", f"一次至多 {LONGEST_EXEMPTION} 天", "写近一些，到期再续；长期不要求的，请修改规则或裁定异议成立")
    _note(context, [_event(asked, c.item.item, "exempted", until=day, note=why)])
    out.print(f"已豁免：{_name(c)}，到 {day} 为止，次日自动恢复。{LATER}。", soft_wrap=True, markup=False)


def dispute(context: Context, asked: Asked, item_id: str, named: Sequence[str], evidence: str, out: Console) -> None:
    """Note that the department holds records to be right, with its evidence.

    Raises:
        Problem: there is no such item, one of the records isn't open in it, or there is no evidence.
    """
    why = _required("依据", "--evidence", evidence)
    c = _one(context, asked, item_id)
    with asking(context, *asked, SOURCE, WHAT) as cursor:
        left = {r["item_record"]: r["item_record_state"] for r in records(cursor, _FOUND, [c.item.item.item_id])}
    disputed = {ref for ref, v in _verdicts(context, c.item.item).items() if v == "disputed"}
    for record in _some(named):
        if record not in left:
            raise Problem(
                f"{c.item.item.item_id} 里没有待整改的记录 {record}", "编号写错了，或这条记录已经改正", "编号见反馈的清单或 ops.rectification_records"
            )
        if record in disputed and left[record] == "disputed":
            raise Problem(f"{record} 已经登记过异议", "还没有裁定", f"用 ./lake rectify decide {c.item.item.item_id} 裁定")
    _note(context, [_event(asked, c.item.item, "disputed", record=r, note=why) for r in _some(named)])
    out.print(f"已登记异议：{_name(c)}，{len(_some(named))} 条，裁定之前不计入待整改。{LATER}。", soft_wrap=True, markup=False)


def decide(context: Context, asked: Asked, item_id: str, named: Sequence[str], verdict: str, reason: str, out: Console) -> None:
    """End disputes: ``upheld``, the department is right, or ``dismissed``.

    Raises:
        Problem: there is no such item or verdict, no reason, or nobody disputes one of the records.
    """
    if verdict not in ("upheld", "dismissed"):
        raise Problem(f"没有“{verdict}”这种裁定", "写错了", "可用的有：upheld（异议成立）、dismissed（异议不成立）")
    why = _required("理由", "--reason", reason)
    c = _one(context, asked, item_id)
    waiting = {ref for ref, v in _verdicts(context, c.item.item).items() if v == "disputed"}
    for record in _some(named):
        if record not in waiting:
            raise Problem(
                f"{record} 没有待裁定的异议", "编号写错了，没有登记过异议，或已经裁定", f"待裁定的有：{'、'.join(sorted(waiting)) or '没有'}"
            )
    _note(context, [_event(asked, c.item.item, verdict, record=r, note=why) for r in _some(named)])
    out.print(f"已裁定：{_name(c)}，{len(_some(named))} 条，{_words()['handling_kind'][verdict]}。{LATER}。", soft_wrap=True, markup=False)


def note(context: Context, asked: Asked, item_id: str, text: str, out: Console) -> None:
    """Note something about an item.

    Raises:
        Problem: there is no such item, or nothing to note.
    """
    said = _required("内容", "备注", text)
    c = _one(context, asked, item_id)
    _note(context, [_event(asked, c.item.item, "noted", note=said)])
    out.print(f"已备注：{_name(c)}。", soft_wrap=True, markup=False)


def export(context: Context, asked: Asked, department: str, folder: Path | None, out: Console) -> None:
    """Write for each department (or one) a workbook of what it has to mend, with a letter, into a folder of its own below ``folder``; note it.

    Raises:
        Problem: the account may not, there is nothing of that department, or the folder can't be written.
    """
    from infra import rectification_export as workbooks  # slow to import, and not needed by the other commands

    _require_keeper(context, asked.user)
    where, values = ("department = ?", [department]) if department else ("true", [])
    base = folder or Path(context.settings.values["rectification"]["outbox"] or context.settings.folder("outbox"))
    with asking(context, *asked, SOURCE, WHAT) as cursor:
        rows = records(cursor, _ITEMS.format(where=where), values)
        if department and not rows:
            raise Problem(f"没有 {department} 的整改事项", "部门名称写错了，或它从来没有质量问题", "用 ./lake rectify list 查看部门名称")
        of: dict[str, list[Current]] = {}
        for c in _current(context, rows):
            if (c.item.open or c.item.disputed) and c.item.state != "exempted":
                of.setdefault(c.item.item.department, []).append(c)
        for name, mine in sorted(of.items()):
            items = [_told(c) for c in mine]
            chosen = {i["item_id"] for i in items}
            counts = dict.fromkeys(chosen, 0)
            content = workbooks.workbook(name, items, _counted(cursor, name, counts), _today())
            file = base / _safe(name) / f"整改清单_{_safe(name)}_{_today()}.xlsx"
            _write(file, content)
            _write(file.with_suffix(".eml"), workbooks.letter(name, items, _today(), file.name, content))
            digest = hashlib.sha256(content).hexdigest()
            known = {(e.place, e.sha256) for e in _events(context) if e.department == name and e.kind == "exported"}
            if (file.name, digest) not in known:
                _note(
                    context,
                    [_event(asked, c.item.item, "exported", records=counts[c.item.item.item_id], place=file.name, sha256=digest) for c in mine],
                )
            again = "（与上次导出的相同，不再登记）" if (file.name, digest) in known else ""
            out.print(f"{name}：{len(mine)} 个事项，{sum(counts.values()):,} 条 → {file}{again}", soft_wrap=True, markup=False)
    if not of:
        out.print("没有要反馈的事项")
        return
    out.print(f"同名的 .eml 是邮件草稿，填上收件人即可发送。{LATER}。", soft_wrap=True)


def _counted(cursor: Any, department: str, counts: dict[str, int]) -> Iterator[dict[str, Any]]:
    """The records of the items that ``counts`` names, which are counted there."""
    cursor.execute(_RECORDS, [department])
    names = [d[0] for d in cursor.description]
    while (row := cursor.fetchone()) is not None:
        record = dict(zip(names, row, strict=True))
        if record["item_id"] in counts:
            counts[record["item_id"]] += 1
            yield record


def _write(file: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    temporary = file.with_name(f".{file.name}.new")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        temporary.replace(file)
    except OSError as error:
        raise Problem(f"不能写 {file}", error.strerror or str(error), "换一个服务账号可写的目录，或改设置 [rectification] outbox") from error


def _safe(name: str) -> str:
    """A department's name as the name of a folder."""
    return re.sub(r'[\\/:*?"<>|\x00-\x1f]', "_", name).strip(". ") or "_"


# ---- items as they are now ----


def facts_of(row: dict[str, Any]) -> Facts:
    """What the last run knew of an item, from its row in ops.rectification_items."""
    r = row
    return Facts(
        Key(r["feed"], r["department"], r["item_scope"], r["rule_id"]), r["severity"], r["value_kind"] == "simulated",
        r["item_open"] + r["item_exempted"] - r["item_upheld"], r["item_returned"], r["item_disputed"], r["item_upheld"], r["item_mended"],
        None, None, r["open_since"], r["record_returned_at"], r["item_mended_at"], r["times_reopened"] + (r["item_began_at"] is not None),
        r["item_began_at"], r["item_withdrawn"], r["check_awaited_since"],
    )  # fmt: skip


def _current(context: Context, rows: Iterable[dict[str, Any]]) -> list[Current]:
    events: dict[Key, list[RectificationEvent]] = {}
    for e in _events(context):
        events.setdefault(rectification.key_of(e), []).append(e)
    terms, today = _terms(context), _today()
    known = [(row, facts_of(row)) for row in rows]
    return [Current(row, rectification.item(f, events.get(f.item, []), today, terms)) for row, f in known]


def _one(context: Context, asked: Asked, item_id: str) -> Current:
    """The item that somebody names, who may handle it."""
    _require_keeper(context, asked.user)
    wanted = item_id.strip()[:1].upper() + item_id.strip()[1:].lower()
    with asking(context, *asked, SOURCE, WHAT) as cursor:
        rows = records(cursor, _ITEMS.format(where="item_id = ?"), [wanted])
    if len(rows) != 1:
        raise Problem(f"没有整改事项 {item_id}", "编号写错了，或上一次加工之后才出现", "用 ./lake rectify list 查看编号")
    return _current(context, rows)[0]


def _require_keeper(context: Context, user: str) -> None:
    if accounts.users(context).get(user, {}).get("role") not in ("steward", "operator"):
        raise Problem(f"{user} 不能办理整改事项", "只有数据管理员和运维可以", "换一个账号：--user steward")


def _told(c: Current) -> dict[str, Any]:
    """The row of an item with what is true of it now."""
    i = c.item
    now = {
        "item_state": i.state, "item_open": i.open, "item_returned": i.returned, "item_exempted": i.exempted, "assigned_to": i.owner,
        "assigned_on": i.assigned_on, "rectify_by": i.deadline, "days_left": i.days_left, "deadline_note": i.deadline_note, "escalation": i.escalation,
        "exported_on": i.exported_on, "exported_to": i.exported_to, "exempt_until": i.exempt_until, "exempt_reason": i.exempt_reason,
        "looked_on": _today(),
    }  # fmt: skip
    return c.row | now


def _verdicts(context: Context, key: Key) -> dict[str, str]:
    """What was last said of each record of an item that somebody has disputed."""
    return {ref: v.kind for (k, ref), v in rectification.verdicts(_events(context)).items() if k == key}


def _events(context: Context) -> list[RectificationEvent]:
    with Ledger(context) as ledger:
        return ledger.rectification_events()


def _terms(context: Context) -> Terms:
    with Ledger(context) as ledger:
        return rectification.terms(context.settings, ledger)


def _note(context: Context, events: list[RectificationEvent]) -> None:
    with Ledger(context) as ledger:
        ledger.note_rectification(events)


def _event(asked: Asked, key: Key, kind: str, **more: Any) -> RectificationEvent:
    return RectificationEvent(*key, kind, asked.user, dt.datetime.now(dt.UTC), **more)


# ---- what is said ----


def _name(c: Current) -> str:
    return f"{c.item.item.item_id}（{c.item.item.department}，{c.row['feed_title']}：{c.row['rule_description']}）"


def _words() -> dict[str, dict[str, str]]:
    """The Chinese labels of values, as the contracts have them."""
    contracts = load_contracts()
    of = {"item_state": "items", "escalation": "items", "handling_kind": "events"}
    return {name: dict(contracts[f"ops.rectification_{table}"].column(name).allowed) for name, table in of.items()}


def _some(named: Sequence[str]) -> list[str]:
    found = list(dict.fromkeys(r.strip() for r in named if r.strip()))
    if not found:
        raise Problem("没有写哪些记录", "至少要有一条", "写 --record 记录编号，可以写几次")
    return found


def _required(what: str, option: str, text: str) -> str:
    if not text.strip():
        raise Problem(f"没有写{what}", f"{what}要留在台账里", f"写 {option}")
    return text.strip()


def _future(option: str, text: str) -> dt.date:
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        raise Problem(f"{option} {text} 不是日期", "日期写作 2027-06-30", "改正后再运行") from None
    if day < _today():
        raise Problem(f"{option} {day} 已经过去", f"今天是 {_today()}", "写今天或以后的日期")
    return day


def _today() -> dt.date:
    return dt.datetime.now(CHINA).date()
