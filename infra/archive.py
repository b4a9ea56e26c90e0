"""``./lake archive``: one market subject's archive on one screen, with its history, as the asking user may see it."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import trino
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from catalog.contract import Contract, load_contracts
from infra import archive_evidence as evidence
from infra import archive_known
from infra.clock import CHINA
from infra.problems import Problem
from infra.querying import asking, plain
from infra.services.base import Context
from spark_jobs.refine.text import name_key

SECTIONS = {
    "标识": ("subject_name", "trade_name", "former_names", "credit_code", "former_codes", "registration_number", "identifier_check", "is_contested", "subject_id"),
    "登记": (
        "registration_date", "enterprise_type", "enterprise_type_code", "subject_category", "category_basis", "ownership_group", "legal_representative", "industry_section_name",
        "industry_basis", "registration_authority", "supervising_authority", "business_scope", "scope_truncated",
    ),
    "注册资金": ("registered_capital_text", "registered_capital", "capital_currency", "capital_amount", "capital_rate", "capital_rate_year", "capital_status"),
    "住所": ("registered_address", "district_name", "district_confidence", "district_reason", "province_name", "region_name"),
    "质量与来历": ("quality_marks", "fact_count", "conflict_count", "effective_from", "first_known_at", "known_at", "value_kind", "release_id"),
}  # fmt: skip
# What themes repeat of the archive itself, and what says nothing to a reader.
_SAID_ABOVE = {*SECTIONS["标识"], *SECTIONS["登记"], *SECTIONS["注册资金"], *SECTIONS["住所"], "district_code", "supervising_district_code", "common_key", "known_at", "write_number"}  # fmt: skip
_LINKS, _PRIVATE = "gold.archive_links", "gold.archive_private"
MOST, MOST_EVENTS, MOST_MATTERS = 20, 30, 5
_AT_ONCE = 1000  # numbers that are asked for in one statement
_NO_CHANGE = {"delivery_id", "row_number", "known_at", "content_hash", "effective_from", "subject_id", "release_id", "fact_outcome", "quality_marks"}


_STANDING = "SELECT * FROM lake.gold.archive_timeline WHERE subject_id = ? AND is_standing ORDER BY occurred_on DESC, event_feed, delivery_id, row_number, event_number"
# Of the events of parties those until a day, as far as was known at a moment: what was said of a record last by then, whenever it was delivered. (A
# record may have told of the subject first and of another one later: all its statements are looked at.) Events that other feeds' records give their
# party (``through``) are those of the matters that were the subject's then, as `spark_jobs/dbt_runs.py` finds them.
_STOOD = """
WITH known AS (
    SELECT *, max(statement_rank) OVER (PARTITION BY event_feed, record_ref) AS last_rank FROM lake.gold.archive_timeline
    WHERE known_at <= ? AND (event_feed, record_ref) IN (SELECT event_feed, record_ref FROM lake.gold.archive_timeline WHERE {of})),
stood AS (
    SELECT *, row_number() OVER (PARTITION BY event_feed, record_ref, event_number ORDER BY known_at, delivery_id, row_number) AS copy
    FROM known WHERE statement_rank = last_rank AND fact_state = 'active')
SELECT * FROM stood WHERE copy = 1 AND event_name IS NOT NULL"""


class Moment(NamedTuple):
    """The business day of which an archive is asked, and until when it was known. Both are now where nothing is said."""

    day: dt.date
    known: dt.datetime


def moment(day: str, known: str) -> Moment | None:
    """Of which moment is asked (texts as people write them, empty: now); None: as it is now. A day without a time counts to its end.

    Raises:
        Problem: it can't be read.
    """
    if not day and not known:
        return None
    now = dt.datetime.now(CHINA)
    try:
        until = dt.datetime.fromisoformat(known) if known else now
        until = until.replace(hour=23, minute=59, second=59, microsecond=999999) if _is_day(known) else until
        return Moment(dt.date.fromisoformat(day) if day else now.date(), until if until.tzinfo else until.replace(tzinfo=CHINA))
    except ValueError as error:
        raise Problem("读不出日期", str(error), "日期写成 2024-06-30，时刻写成 2024-07-05T09:30（北京时间）") from None


def _is_day(text: str) -> bool:
    try:
        dt.date.fromisoformat(text)
    except ValueError:
        return False
    return True


def show(context: Context, wanted: str, user: str, password: str, as_json: bool, out: Console, at: Moment | None = None, whole: bool = False) -> None:
    """Print the archive of the subject that ``wanted`` names: a credit code, a registration number, a subject id, or a name.

    ``at``: as it was then, as far as was known then; needs an account that may read the register's records. ``whole``: all events, not the newest ones.

    Raises:
        Problem: nobody or several are meant, nothing was known then, or the account may not read archives.
    """
    contracts = load_contracts()
    archive = contracts["gold.archive_subject"]
    with asking(context, user, password, "lake archive", "主体档案") as cursor:
        found = _find(cursor, wanted)
        if not found:
            raise Problem(f"没有找到“{wanted}”", "没有主体用这个代码、注册号或名称", "核对写法；名称可以只写一部分")
        if len(found) > 1:
            lines = "\n       ".join(
                f"{r['credit_code'] or r['registration_number'] or '—'}  {r['subject_name']}  {r['district_name']}  {r['subject_id']}"
                for r in found[:MOST]
            )
            more = "，只列出前 20 个" if len(found) > MOST else ""
            raise Problem(f"“{wanted}”对应不止一个主体{more}", lines, "用其中一个主体标识（S 开头）再查")
        subject = found[0]
        history = _history(cursor, str(subject["subject_id"]))
        says = ""
        if at is None:
            events = _if_there(cursor, _STANDING, [subject["subject_id"]])
        else:
            subject, history, events, says = _as_known(cursor, contracts, subject, history, at, wanted)
        shown = [] if at else [c for c in contracts.values() if c.tells_of or c.id in (_LINKS, _PRIVATE)]
        themes = [(c, _theme(cursor, c, subject["subject_id"])) for c in shown]
    if as_json:
        parts = {
            "archive": _plain(subject),
            **{c.name.removeprefix("archive_"): [_plain(r) for r in rows] for c, rows in themes},
            "history": [_plain(r) for r in history],
            "events": [_plain(r) for r in events],
        }
        print(json.dumps(parts, ensure_ascii=False, indent=1))
        return
    if at is not None:
        out.print(f"\n截至 {at.day} 的情况，按 {at.known.astimezone(CHINA):%Y-%m-%d %H:%M}（北京时间）以前到达的批次{says}", style="yellow")
    _print(out, archive, contracts["silver.subject_registration"], contracts["bronze.registration_subjects"], subject, history)
    for theme, rows in themes:
        _print_theme(out, theme, rows, None if whole else MOST_MATTERS)
    _print_events(out, contracts["gold.archive_timeline"], events, None if whole else MOST_EVENTS)


def _ask(cursor: Any, sql: str, values: Sequence[object]) -> list[dict[str, Any]]:
    cursor.execute(sql, list(values))
    rows = cursor.fetchall()
    names = [c[0] for c in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in rows]


def _find(cursor: Any, wanted: str) -> list[dict[str, Any]]:
    """The subjects that are meant: by exact key first, then by name, current before former, whole before part, and by how it is read."""
    text = wanted.strip()
    conditions = (
        ("subject_id = ? OR credit_code = ? OR registration_number = ?", [text, text.upper(), text]),
        ("contains(former_codes, ?)", [text.upper()]),
        ("subject_name = ?", [text]),
        ("contains(former_names, ?)", [text]),
        ("upper(replace(subject_name, ' ', '')) LIKE '%' || ? || '%' ESCAPE '\\'", [_escaped(name_key(text) or text)]),
        *([("search_text LIKE '% ' || ? || '%'", [text.lower()])] if text.isascii() and text.isalnum() else []),  # how the name is read
    )
    for condition, values in conditions:
        found = _ask(cursor, f"SELECT * FROM lake.gold.archive_subject WHERE {condition} ORDER BY subject_name, subject_id LIMIT {MOST + 1}", values)  # noqa: S608
        if found:
            return found
    return []


def _as_known(
    cursor: Any, contracts: Mapping[str, Contract], subject: dict[str, Any], records: list[dict[str, Any]], at: Moment, wanted: str
) -> tuple[dict[str, Any], list[dict[str, Any]], list[dict[str, Any]], str]:
    """(archive, records, events, what has to be said of them)."""
    if not records:
        raise Problem("不能查看以前的情况", "这个账号不能读标准层的登记记录，以前的情况要由它们算出", "换一个分析员、监管人员或数据管理员的账号")
    found = evidence.then(lambda sql, values: _ask(cursor, sql, values), str(subject["subject_id"]), wanted.strip().upper(), at.day, at.known)
    standing = archive_known.history(found.records, at.day, at.known) if found else []
    if found is None or not standing:
        first = min(r["known_at"] for r in records).astimezone(CHINA)
        why = f"第一份登记记录 {first:%Y-%m-%d %H:%M} 到达，自 {min(r['effective_from'] for r in records)} 起成立"
        raise Problem(f"那时还不知道“{subject['subject_name']}”", why, "把 --as-of 或 --known-at 改晚一些")
    titles = _ask(cursor, "SELECT industry_code, max_by(industry_title, industry_edition) AS title FROM lake.silver.ref_industry WHERE industry_level = 'section' GROUP BY 1", [])  # fmt: skip
    card = archive_known.card(contracts["gold.archive_subject"], standing, {r["industry_code"]: r["title"] for r in titles})
    told = [e for e in archive_known.events(standing) if e["occurred_on"] <= at.day]
    told += [e for e in _stood(cursor, contracts["gold.archive_timeline"], found.parties, at.known) if e["occurred_on"] <= at.day]
    told.sort(key=lambda e: (e["event_feed"], e["delivery_id"], e["row_number"], e["event_number"]))
    told.sort(key=lambda e: e["occurred_on"], reverse=True)
    says = "" if found.exact else "；这个账号不能读主体标识联系，归属按现在所知"
    says += f"；它的记录当时分属 {found.several} 个主体，这里是其中一个" if found.several > 1 else ""
    stood = {(r["delivery_id"], r["row_number"]) for r in standing}
    records = [
        r | {"fact_outcome": "applied" if (r["delivery_id"], r["row_number"]) in stood else "superseded", "is_conflict": False}
        for r in sorted(found.records, key=lambda r: (r["effective_from"], r["known_at"]))
        if r["effective_from"] <= at.day
    ]
    return card, records, told, says


def _stood(cursor: Any, timeline: Contract, parties: Collection[str], known: dt.datetime) -> list[dict[str, Any]]:
    """The events of parties as far as was known at a moment."""
    if not parties:
        return []

    def stood(column: str, values: Collection[str], feeds: Collection[str] = ()) -> list[dict[str, Any]]:
        of = [f"{name} IN ({', '.join('?' for _ in among)})" for name, among in ((column, values), ("event_feed", feeds)) if among]
        return _if_there(cursor, _STOOD.format(of=" AND ".join(of)), [known, *values, *feeds])

    through = {e.feed: e.through for e in timeline.events if e.through}
    mine = [e for e in stood("party_key", parties) if e["party_key"] in parties and e["event_feed"] not in through]
    for feed, others in through.items():
        matters = sorted({e["matter_number"] for e in mine if e["event_feed"] in others and e["matter_number"]})
        parts = [matters[at : at + _AT_ONCE] for at in range(0, len(matters), _AT_ONCE)]
        of_matters = [e for part in parts for e in stood("matter_number", part, [feed, *others])]
        named: dict[str, tuple[str, str]] = {}
        for e in of_matters:
            if e["event_feed"] in others and e["party_key"]:
                named[e["matter_number"]] = min(named.get(e["matter_number"], ("~", "")), (e["event_feed"], e["party_key"]))
        mine += [e for e in of_matters if e["event_feed"] == feed and named.get(e["matter_number"], ("", ""))[1] in parties]
    return mine


def _if_there(cursor: Any, sql: str, values: Sequence[object]) -> list[dict[str, Any]]:
    """The rows of an answer; none where the release that readers see is older than the table."""
    try:
        return _ask(cursor, sql, values)
    except trino.exceptions.TrinoUserError as error:
        if error.error_name in ("TABLE_NOT_FOUND", "COLUMN_NOT_FOUND"):
            return []
        raise


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_").replace("(", "（").replace(")", "）")


def _history(cursor: Any, subject_id: str) -> list[dict[str, Any]]:
    """The records that make up the history; none where the account may not read them (leaders see archives only)."""
    try:
        return _ask(
            cursor,
            "SELECT * FROM lake.silver.subject_registration WHERE subject_id = ? ORDER BY effective_from, known_at, delivery_id, row_number",
            [subject_id],
        )
    except trino.exceptions.TrinoUserError as error:
        if error.error_name == "PERMISSION_DENIED":
            return []
        raise


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: plain(value) for name, value in row.items()}


def _shown(contract: Contract, name: str, value: Any, marks: dict[str, str]) -> str:
    if name == "quality_marks":
        return "\n".join(marks.get(mark, mark) for mark in value) or "无"
    if isinstance(value, list):
        return "、".join(value) or "—"
    if isinstance(value, bool):
        return "是" if value else "否"
    if value is None:
        return "—"
    if name == "registered_capital" or name.endswith("_amount"):
        return f"{value:,.2f}"
    return dict(contract.column(name).allowed).get(str(value), str(plain(value))) if name != "release_id" else str(value)


def _print(out: Console, archive: Contract, facts: Contract, feed: Contract, subject: dict[str, Any], history: list[dict[str, Any]]) -> None:
    marks = {r.id: r.description for r in feed.rules}
    out.print(f"\n[bold]{subject['subject_name']}[/]   主体档案", soft_wrap=True)
    if subject["value_kind"] == "simulated":
        out.print("本档案含模拟（演示）数据", style="yellow")
    for title, names in SECTIONS.items():
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column(style="dim", no_wrap=True, min_width=14)
        table.add_column(overflow="fold")
        for name in (n for n in names if n in subject):  # of what was known then not everything is asked
            label = archive.release_column.chinese if name == "release_id" else archive.column(name).chinese
            table.add_row(label, _shown(archive, name, subject[name], marks))
        out.print(f"\n[bold cyan]{title}[/]")
        out.print(table)
    if not history:
        return
    out.print("\n[bold cyan]历史[/]")
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("生效日期", "去向", "变化", "来源"):
        table.add_column(heading, overflow="fold", no_wrap=heading in ("生效日期", "去向"))
    before: dict[str, Any] | None = None
    for row in history:
        applied = row["fact_outcome"] == "applied"
        changed = (
            []
            if before is None
            else [f for f in row if f not in _NO_CHANGE and row[f] != before[f] and f not in ("source_revision", "is_conflict", "value_kind")]
        )
        what = "首次记录" if before is None and applied else "、".join(facts.column(f).chinese for f in changed) if applied else "—"
        outcome = dict(facts.column("fact_outcome").allowed)[row["fact_outcome"]].split("，")[-1]
        table.add_row(
            str(row["effective_from"]),
            outcome,
            what + ("（冲突）" if row["is_conflict"] else ""),
            f"{row['delivery_id']} 第 {row['row_number']} 条记录",
        )
        before = row if applied else before
    out.print(table)


def _theme(cursor: Any, archive: Contract, subject_id: str) -> list[dict[str, Any]]:
    shared = " AND common_subjects > 1" if archive.id == _LINKS else ""  # of what it has in common with nobody there are rows, too
    return _if_there(cursor, f"SELECT * FROM lake.gold.{archive.name} WHERE subject_id = ?{shared}", [subject_id])  # noqa: S608 - a name of a contract


def _print_theme(out: Console, archive: Contract, rows: list[dict[str, Any]], most: int | None) -> None:
    """What is on record, without what never was: of one row its columns one below the other, of several a table, the newest first."""
    if not rows:
        return
    title = archive.title.removesuffix("档案")
    own = [c for c in archive.columns if not c.reserved and c.name not in _SAID_ABOVE]
    said = [c for c in own if any(row[c.name] not in (None, 0, False) for row in rows)]
    if archive.keys == ("subject_id",):
        out.print(f"\n[bold cyan]{title}[/]")
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column(style="dim", no_wrap=True, min_width=14)
        table.add_column(overflow="fold")
        for column in said:
            table.add_row(column.chinese, escape(_shown(archive, column.name, rows[0][column.name], {})))
        out.print(table)
        return
    days, today = [c.name for c in own if c.type == "DATE"], dt.datetime.now(CHINA).date()  # a term that ends later is nothing that happened
    shown = sorted(rows, key=lambda r: max((r[d] for d in days if r[d] is not None and r[d] <= today), default=dt.date.min), reverse=True)[:most]
    out.print(f"\n[bold cyan]{title}[/]  共 {len(rows)} 件{f'，列出最近 {len(shown)} 件（--all 全部列出）' if len(shown) < len(rows) else ''}")
    for row in shown:
        parts = [f"{c.chinese} {_shown(archive, c.name, row[c.name], {})}" for c in said if row[c.name] not in (None, 0, False)]
        out.print(escape("  · " + "；".join(parts)), soft_wrap=True, highlight=False)


def _print_events(out: Console, timeline: Contract, events: list[dict[str, Any]], most: int | None) -> None:
    if not events:
        return
    sections = dict(timeline.column("archive_section").allowed)
    shown = events[:most]
    out.print(f"\n[bold cyan]事项[/]  共 {len(events)} 项{f'，列出最近 {len(shown)} 项（--all 全部列出）' if len(shown) < len(events) else ''}")
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("日期", "栏目", "事项", "编号", "摘要", "来源"):
        table.add_column(heading, overflow="fold", no_wrap=heading in ("日期", "栏目"))
    for e in shown:
        source = f"{e['delivery_id']} 第 {e['row_number']} 条记录"
        table.add_row(
            str(e["occurred_on"]),
            sections[e["archive_section"]],
            e["event_name"],
            escape(e.get("matter_number") or ""),
            escape(e["event_summary"] or ""),
            source,
        )
    out.print(table)
