"""A subject's archive as it was on a business day, as far as was known at a moment: worked out from rows, as dbt does from all of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping

from catalog.contract import Contract
from catalog.derive import MASK_TEXT
from spark_jobs.identity.known import Row, trusted

# Of what the register says otherwise than before, what is told in full, and what only that it is so.
_TOLD = (("subject_name", "名称"), ("enterprise_type", "类型"), ("registered_capital_text", "注册资金"))
_NAMED = (("registered_address", "住所"), ("business_scope", "经营范围"))
_NO_CONTENT = frozenset((
    "delivery_id", "row_number", "known_at", "effective_from", "source_revision", "fact_outcome", "is_conflict", "write_number", "release_id", "value_kind",
    "corrections", "quality_marks", "trade_name", "name_spellings", "subject_id",
))  # fmt: skip
_IDENTIFIER = ("credit_code", "registration_number", "identifier_kind", "identifier_check")


def history(records: Iterable[Row], day: dt.date, known: dt.datetime) -> list[Row]:
    """Of the register's records of one subject those that made up its history on ``day``, as far as they were known: one for each business
    day that said something new, in order (docs/decisions/0010).

    Of two contents of one day without an order by their sender that is taken which stands now; to who may not see digests, of three of which
    the standing one was not yet known, the first that came.
    """
    of_day: dict[dt.date, list[Row]] = {}
    for row in records:
        if row["known_at"] <= known and row["effective_from"] <= day:
            of_day.setdefault(row["effective_from"], []).append(row)
    found: list[Row] = []
    for _, rows in sorted(of_day.items()):
        ordered = sorted(rows, key=lambda r: (r["known_at"], r["delivery_id"], r["row_number"]))
        stands = max(ordered, key=lambda r: (r["source_revision"] * 2 + trusted(r), r["content_hash"], r["fact_outcome"] == "applied"))
        if not found or _new(found[-1], stands):
            found.append(stands)
    return found


def card(archive: Contract, standing: list[Row], sections: Mapping[str, str]) -> Row:
    """The columns of the archive that a history (`history`, not empty) decides. ``sections``: names of industries by code."""
    last = standing[-1]
    coded = next((r for r in reversed(standing) if trusted(r)), last)
    found: Row = {name: last[name] for name in ("subject_id", "subject_name", "trade_name", "registration_date", "quality_marks")}
    found |= {name: coded[name] for name in _IDENTIFIER}
    for group in archive.stated:
        said = next((r for r in reversed(standing) if r[group.by] is not None and r[group.by] != group.nothing), None)
        found |= {name: said[name] if said else None for name in (group.by, *group.beside)}
        found[group.by] = found[group.by] if said else group.nothing
    codes = list(dict.fromkeys(r["credit_code"] for r in standing if trusted(r)))
    names = list(dict.fromkeys(r["subject_name"] for r in standing))
    found["former_names"] = [n for n in names if n != last["subject_name"]]
    found["former_codes"] = [c for c in codes if c != coded["credit_code"]]
    found["industry_section_name"] = sections.get(found["industry_section"] or "", "未分配")
    for name, nothing in (("category_basis", "unknown"), ("industry_basis", "unassigned"), ("district_name", "未分配"), ("district_confidence", "unassigned"), ("scope_truncated", False)):  # fmt: skip
        found[name] = nothing if found[name] is None else found[name]
    if found["registered_address"] is None:
        found["district_reason"] = "no_address"
    found["effective_from"] = last["effective_from"]
    found["fact_count"] = len(standing)
    found["first_known_at"], found["known_at"] = min(r["known_at"] for r in standing), max(r["known_at"] for r in standing)
    found["value_kind"] = max(r["value_kind"] for r in standing)
    return found


def _new(before: Row, row: Row) -> bool:
    """Whether a record says something else than the one before it, by their digests. To who may not see these, what the run said of it decides; and
    what stands in the row."""
    if row["content_hash"] != MASK_TEXT:
        return bool(row["content_hash"] != before["content_hash"])
    return row["fact_outcome"] == "applied" or any(row[c] != before[c] for c in row if c not in _NO_CONTENT)


def events(standing: list[Row]) -> list[Row]:
    """What the register says of the subject, as `archive_timeline` has it: that it was founded, and what each later record says otherwise."""
    found = []
    before: Row = {}
    for number, row in enumerate(standing):
        if number == 0:
            parts = [f"{title}：{row[c]}" for c, title in (("subject_name", "名称"), ("enterprise_type", "类型"), ("registered_capital_text", "注册资金")) if row[c] is not None]  # fmt: skip
        else:
            parts = [f"{title}：{before[c]} → {row[c]}" for c, title in _TOLD if _differs(before, row, c)]
            parts += [f"{title}有变" for c, title in _NAMED if _differs(before, row, c)]
            hidden = row["content_hash"] == MASK_TEXT and all(row[c] == standing[number - 1][c] for c in row if c not in _NO_CONTENT)
            parts += ["遮蔽的内容（如住所）有变"] if hidden else []
        before |= {c: row[c] for c, _ in (*_TOLD, *_NAMED) if row[c] is not None}
        if number == 0 or parts:
            own = {c: row[c] for c in ("subject_id", "delivery_id", "row_number", "effective_from", "known_at", "value_kind")}
            day = row["effective_from"] if number else row["registration_date"]
            name = "登记信息更新" if number else "设立登记"
            found.append(own | {"event_feed": "registration_subjects", "event_number": 0, "archive_section": "registration", "event_name": name, "occurred_on": day, "matter_number": None, "event_summary": "；".join(parts)})  # fmt: skip
    return found


def _differs(before: Row, row: Row, column: str) -> bool:
    return row[column] is not None and before.get(column) is not None and row[column] != before[column]
