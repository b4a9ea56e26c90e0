"""``./lake archive``: one market subject's archive on one screen, with its history, as the asking user may see it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import trino
from rich.console import Console
from rich.table import Table

from catalog.contract import Contract, load_contracts
from infra.problems import Problem
from infra.querying import plain
from infra.services.base import Context
from infra.services.trino import connect
from spark_jobs.refine.text import name_key

SECTIONS = {
    "标识": ("subject_name", "former_names", "credit_code", "registration_number", "identifier_check", "is_contested", "subject_id"),
    "登记": (
        "registration_date", "enterprise_type", "enterprise_type_code", "subject_category", "category_basis", "ownership_group", "legal_representative", "industry_section_name",
        "industry_basis", "registration_authority", "supervising_authority", "business_scope", "scope_truncated",
    ),
    "注册资金": ("registered_capital_text", "registered_capital", "capital_currency", "capital_amount", "capital_rate", "capital_rate_year", "capital_status"),
    "住所": ("registered_address", "district_name", "district_confidence", "district_reason", "province_name", "region_name"),
    "质量与来历": ("quality_marks", "fact_count", "conflict_count", "effective_from", "first_known_at", "known_at", "value_kind", "release_id"),
}  # fmt: skip
MOST = 20
_NO_CHANGE = {"delivery_id", "row_number", "known_at", "content_hash", "effective_from", "subject_id", "release_id", "fact_outcome", "quality_marks"}


def show(context: Context, wanted: str, user: str, password: str, as_json: bool, out: Console) -> None:
    """Print the archive of the subject that ``wanted`` names: a credit code, a registration number, a subject id, or a name.

    Raises:
        Problem: nobody or several are meant, or the account may not read archives.
    """
    contracts = load_contracts()
    archive = contracts["gold.archive_subject"]
    try:
        cursor = connect(context, user, password, source="lake archive").cursor()
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
    except trino.exceptions.TrinoUserError as error:
        raise Problem("不能查看主体档案", f"{error.message} [{error.error_name}]", "换一个有权限的账号，或请运维授权") from error
    except (trino.exceptions.Error, trino.exceptions.HttpError, OSError) as error:
        raise Problem("Trino 没有应答", str(error).splitlines()[0][:200], "核对账号和 ./lake status") from error
    if as_json:
        print(json.dumps({"archive": _plain(subject), "history": [_plain(r) for r in history]}, ensure_ascii=False, indent=1))
        return
    _print(out, archive, contracts["silver.subject_registration"], contracts["bronze.registration_subjects"], subject, history)


def _ask(cursor: Any, sql: str, values: Sequence[object]) -> list[dict[str, Any]]:
    cursor.execute(sql, list(values))
    rows = cursor.fetchall()
    names = [c[0] for c in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in rows]


def _find(cursor: Any, wanted: str) -> list[dict[str, Any]]:
    """The subjects that are meant: by exact key first, then by name, current before former, whole before part."""
    text = wanted.strip()
    conditions = (
        ("subject_id = ? OR credit_code = ? OR registration_number = ?", [text, text.upper(), text]),
        ("subject_name = ?", [text]),
        ("contains(former_names, ?)", [text]),
        ("upper(replace(subject_name, ' ', '')) LIKE '%' || ? || '%' ESCAPE '\\'", [_escaped(name_key(text) or text)]),
    )
    for condition, values in conditions:
        found = _ask(cursor, f"SELECT * FROM lake.gold.archive_subject WHERE {condition} ORDER BY subject_name, subject_id LIMIT {MOST + 1}", values)  # noqa: S608
        if found:
            return found
    return []


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
    if name == "registered_capital":
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
        for name in names:
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
