"""What a monthly report on quality says, in words: its page and the file to print are made of the same."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from catalog.site.status import Report

_CHANGES = {"new": "新出现", "more": "增多", "fewer": "减少", "same": "持平", "gone": "已无", "unknown": "无从比较"}
_SAMPLES, _WORST, _ANOMALIES = 3, 10, 20  # the most that are shown: of a finding, of a month, of a month


@dataclass(frozen=True)
class Finding:
    """A rule that records of this month failed. ``before``: the share of the month before; empty where there is none to compare with."""

    description: str
    feed: str
    dimension: str
    failed: str
    share: str
    change: str
    before: str
    open: str
    samples: tuple[str, ...]


@dataclass(frozen=True)
class Told:
    """All that a report says, as it is read. ``opening``, ``score`` (0–100, two places; empty where nothing was judged) and ``lead`` are one paragraph.
    ``trend``: months, the oldest first, each with its score or none. ``feeds``, ``dimensions``: name, score, grade. ``counts``: a cell each.
    ``anomalies``: text and on which day it was over, or nothing."""

    department: str
    month: str
    simulated: str
    opening: str
    score: str
    lead: str
    trend: tuple[tuple[str, str], ...]
    findings: tuple[Finding, ...]
    gone: str
    feeds: tuple[tuple[str, str, str], ...]
    dimensions: tuple[tuple[str, str, str], ...]
    punctuality: str
    late: tuple[str, ...]
    counts: tuple[tuple[str, ...], ...]
    anomalies: tuple[tuple[str, str], ...]
    notes: str


def address(report: Report) -> tuple[str, str]:
    """Where a report is found: month (``2026-11``) and slug of the department."""
    return f"{report['month']:%Y-%m}", report["slug"]


def told(report: Report, grades: Mapping[str, str]) -> Told:
    """A report in words. ``grades``: what they are called, by code."""
    failing = [f for f in report["findings"] if f["failed"]]
    score = report["overall"]["score"]
    return Told(
        report["department"],
        _month(report["month"]),
        "含模拟数据，不代表任何部门的工作" if report["simulated"] else "",
        "本月没有可评的报送。" if score is None else "本月报送质量",
        "" if score is None else str(score),
        _lead(report, failing, grades),
        tuple((f"{m['month']:%Y-%m}", "" if m["score"] is None else str(m["score"])) for m in report["trend"]),
        tuple(_finding(f) for f in failing),
        _gone([f for f in report["findings"] if not f["failed"]]),
        _scored(report["by_feed"], grades),
        _scored(report["by_dimension"], grades),
        _punctuality(report["punctuality"]),
        tuple(f"{title} {day} 的批次，晚 {days} 天" for title, day, days in report["punctuality"]["worst"][:_WORST]),
        tuple(
            (c["resource"], str(c["periods"]), *(f"{c[n]:,}" for n in ("source_records", "held_records", "missing_records")))
            for c in report["counts"]
        ),
        tuple((a["text"], "" if a["state"] == "open" else f"{a['recovered_on']} 恢复") for a in report["anomalies"][:_ANOMALIES]),
        "未改正的数和例子是生成时的；个人信息以 *** 代替。得分只评报送的数据；公式、权数和等级界线见数据质量说明。",
    )


def _month(month: dt.date) -> str:
    return f"{month.year} 年 {month.month} 月"


def _lead(report: Report, failing: list[dict[str, Any]], grades: Mapping[str, str]) -> str:
    overall, change, due = report["overall"], report["change"], report["punctuality"]
    said = ""
    if overall["score"] is not None:
        said += f"分，{grades[overall['grade']]}"
        if change is not None:
            said += "，比上月" + (f"高 {change} 分" if change > 0 else f"低 {-change} 分" if change < 0 else "持平")
        said += "。"
    if failing:
        said += f"{len(failing)} 条规则有记录不满足，最多的是“{failing[0]['description']}”，{failing[0]['failed']:,} 条。"
    elif overall["score"] is not None:
        said += "没有不满足规则的记录。"
    if due["due"]:
        absent = due["missing"] + due["overdue"]
        said += f"应到 {due['due']} 批，按时 {due['on_time']} 批" + (f"，{absent} 批没有到" if absent else "") + "。"
    return said


def _finding(f: dict[str, Any]) -> Finding:
    before, open_ = f["share_before"], f["open_records"]
    return Finding(
        f["description"], f["feed_title"], f["dimension"], f"{f['failed']:,}", f"{f['share']}%", _CHANGES[f["change"]],
        "" if before is None else f"{before}%", "—" if open_ is None else f"{open_:,}", tuple(f["samples"][:_SAMPLES]),
    )  # fmt: skip


def _gone(gone: list[dict[str, Any]]) -> str:
    """What failed in the month before and not in this one, as a sentence; empty where there is nothing."""
    if not gone:
        return ""
    named = (f"{f['description'].strip('；')}（{f['feed_title']}，上月 {f['failed_before']:,} 条）" for f in gone)
    return f"上月有、本月没有的：{'；'.join(named)}。"


def _scored(scores: tuple[tuple[str, dict[str, Any]], ...], grades: Mapping[str, str]) -> tuple[tuple[str, str, str], ...]:
    return tuple((title, str(s["score"]), grades[s["grade"]]) for title, s in scores)


def _punctuality(p: dict[str, Any]) -> str:
    """How the deliveries came that were due; empty where none was."""
    if not p["due"]:
        return ""
    return f"应到 {p['due']} 批：按时 {p['on_time']}，迟到 {p['late']}，缺报 {p['missing']}，逾期未到 {p['overdue']}。"
