"""Corrections and crosswalks: what people have decided about the texts of a source, as data with dates of validity and a reason.

``catalog/corrections/<feed>.csv``: known errors of a source. ``catalog/crosswalks/<code list>.csv``: what a text that stands beside a
code list means in it. Both are read strictly: every fault is named with file, line and column, in Chinese, because a steward reads it.

Validity is counted by the day of the delivery: its business date, else the day on which it arrived (Asia/Shanghai). `valid_from` is the
first day (empty: always held), `valid_to` the first day that no longer counts (empty: still holds).
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, TypeVar

from spark_jobs.refine.identifiers import is_resident_id

CATALOG = Path(__file__).resolve().parents[2] / "catalog"
CORRECTIONS, CROSSWALKS = CATALOG / "corrections", CATALOG / "crosswalks"
# A decision is made by an office, never by a person: what its name ends with.
_OFFICE = re.compile(r"[\u4e00-\u9fff]{1,30}(?:局|处|科|室|中心|所|署|司|部门|委员会|支队|大队)")
_ID = re.compile(r"[A-Z]{2,4}-[0-9]{4}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_CHINESE = re.compile("[\u4e00-\u9fff]{2}")
_RESIDENT = re.compile(r"(?<![0-9])[1-8][0-9]{16}[0-9Xx](?![0-9])")
# Names of persons don't belong into a file that everybody with the repository can read.
NEVER = ("legal_representative",)
# An address may be a home: a correction of one names the subject, and that is no sole trader (92).
ADDRESSES = ("registered_address",)


class Correction(NamedTuple):
    """`delivered` in `column` is wrong and means `corrected` (both exact; empty: nothing was, or is to be, stated), in every row, or only where
    `when_column` holds exactly `when_value`."""

    mapping_id: str
    column: str
    when_column: str
    when_value: str
    delivered: str
    corrected: str
    valid_from: dt.date | None
    valid_to: dt.date | None
    reason: str
    decided_by: str
    decided_on: dt.date

    @property
    def condition(self) -> tuple[str, ...]:
        return self.column, self.delivered, self.when_column, self.when_value


class CrosswalkRow(NamedTuple):
    """`source_text` means `target_code` of the list; None: the text is known, and no single code is meant."""

    mapping_id: str
    source_text: str
    target_code: str | None
    valid_from: dt.date | None
    valid_to: dt.date | None
    reason: str


Mapped = TypeVar("Mapped", Correction, CrosswalkRow)
Grouped = Mapping[str, tuple[CrosswalkRow, ...]]


class MappingError(ValueError):
    """A file of corrections or crosswalks is not in order; `problems` has one Chinese message for each fault."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(self.problems))


def holds(row: Mapped, on: dt.date | None) -> bool:
    """Whether a row counts for a delivery of that day; for None, whether it is open-ended."""
    if on is None:
        return row.valid_to is None
    return (row.valid_from is None or row.valid_from <= on) and (row.valid_to is None or on < row.valid_to)


def standing(rows: Sequence[Mapped], on: dt.date | None) -> tuple[Mapped | None, Mapped | None]:
    """(the row that counts on a day, else the last one that had ended by then) of the rows of one condition. At most one is not None."""
    for row in rows:
        if holds(row, on):
            return row, None
    ended = [row for row in rows if on is not None and row.valid_to is not None and row.valid_to <= on]
    return None, max(ended, key=lambda row: row.valid_to or dt.date.min, default=None)


def read_corrections(path: Path, columns: Collection[str]) -> tuple[Correction, ...]:
    """The corrections of a file, for a feed whose delivered columns are `columns`. Raises MappingError."""
    file = _File(path, tuple("correction_id" if name == "mapping_id" else name for name in Correction._fields))
    found: list[tuple[int, Correction]] = []
    for line, cells in file.rows:
        before = len(file.problems)
        row = Correction(
            mapping_id=file.identity(line, "correction_id", cells),
            column=file.one_of(line, "column", cells, columns),
            when_column=cells["when_column"] and file.one_of(line, "when_column", cells, columns),
            when_value=cells["when_value"],
            delivered=cells["delivered"],
            corrected=cells["corrected"],
            **file.validity(line, cells),
            reason=file.reason(line, cells),
            decided_by=file.office(line, "decided_by", cells),
            decided_on=file.date(line, "decided_on", cells) or dt.date.min,
        )
        if not cells["decided_on"]:
            file.problem(line, "decided_on", "没有填写；请写作出决定的日期，如 2026-11-25")
        if len(file.problems) == before:
            _sensible(file, line, row)
            found.append((line, row))
    file.disjoint((line, row.condition, row) for line, row in found)
    file.finish()
    return tuple(row for _, row in found)


def _sensible(file: _File, line: int, row: Correction) -> None:
    if row.delivered == row.corrected:
        file.problem(line, "corrected", "与 delivered 相同，等于没有更正；请核对")
    if bool(row.when_column) != bool(row.when_value):
        file.problem(line, "when_value", "when_column 与 when_value 要么都填，要么都不填")
    if row.when_column == row.column:
        file.problem(line, "when_column", "不能与 column 相同；同一列的原文写在 delivered")
    if not row.delivered and not row.when_column:
        file.problem(line, "delivered", "没有填写时，必须用 when_column 指明是哪些记录，否则所有空值都会被改写")
    for name in ("column", "when_column"):
        if getattr(row, name) in NEVER:
            file.problem(line, name, f"{getattr(row, name)} 是个人姓名，不得写进本文件；请供数部门更正后重报")
    if row.when_column in ADDRESSES:
        file.problem(line, "when_column", "不能用地址指明记录；请用 credit_code 或 subject_name")
    if row.column in ADDRESSES and (row.when_column != "credit_code" or row.when_value.startswith("92")):
        file.problem(
            line, "when_column", "地址可能是个人住所：更正地址须以 credit_code 指明主体，且不得是个体工商户（92 开头）；请供数部门更正后重报"
        )


def read_crosswalk(path: Path, targets: Collection[str], key: Callable[[str], str]) -> Grouped:
    """The rows of a crosswalk by the key of their source text; `targets` are the codes that the list has. Raises MappingError."""
    file = _File(path, CrosswalkRow._fields)
    found: list[tuple[int, CrosswalkRow]] = []
    for line, cells in file.rows:
        before = len(file.problems)
        if not key(cells["source_text"]):
            file.problem(line, "source_text", "没有填写；请写来源的原文")
        row = CrosswalkRow(
            mapping_id=file.identity(line, "mapping_id", cells),
            source_text=cells["source_text"],
            target_code=(cells["target_code"] and file.one_of(line, "target_code", cells, targets)) or None,
            **file.validity(line, cells),
            reason=file.reason(line, cells),
        )
        if len(file.problems) == before:
            found.append((line, row))
    file.disjoint((line, key(row.source_text), row) for line, row in found)
    file.finish()
    grouped: dict[str, tuple[CrosswalkRow, ...]] = {}
    for _, row in found:
        grouped[key(row.source_text)] = (*grouped.get(key(row.source_text), ()), row)
    return grouped


class _File:
    """A file's rows with their line numbers; gathers problems instead of stopping at the first."""

    def __init__(self, path: Path, header: tuple[str, ...]) -> None:
        self.path = path
        self.problems: list[str] = []
        self.rows: list[tuple[int, dict[str, str]]] = []
        self._seen: dict[str, int] = {}
        try:
            text = path.read_bytes().decode("utf-8-sig")  # spreadsheets put a mark in front
        except UnicodeDecodeError:
            raise MappingError([f"{self._name()}：不是 UTF-8 编码；请另存为“CSV UTF-8”"]) from None
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        try:
            if tuple(first := next(reader, [])) != header:
                raise MappingError([f"{self._name()} 第 1 行：表头应为 {','.join(header)}，实为 {','.join(first) or '空'}"])
            line = reader.line_num + 1
            for cells in reader:
                self._take(line, cells, header)
                line = reader.line_num + 1
        except csv.Error as error:
            raise MappingError([f"{self._name()} 第 {reader.line_num} 行：不是正确的 CSV（{error}）；含逗号或引号的内容要用双引号括起来"]) from None

    def _name(self) -> str:
        return f"{self.path.parent.name}/{self.path.name}"

    def _take(self, line: int, cells: list[str], header: tuple[str, ...]) -> None:
        if not any(cells):
            return
        if len(cells) != len(header):
            self.problems.append(f"{self._name()} 第 {line} 行：应有 {len(header)} 列，实有 {len(cells)} 列；含逗号的内容要用双引号括起来")
            return
        row = dict(zip(header, cells, strict=True))
        self.rows.append((line, row))
        for column, text in row.items():
            if column not in ("delivered", "corrected", "when_value", "source_text") and text != text.strip():
                self.problem(line, column, "前后有空白；请删去")
            if any(is_resident_id(found[0].upper()) for found in _RESIDENT.finditer(text)):
                self.problem(line, column, "含居民身份证号码，不得写进本文件；请供数部门更正后重报")

    def problem(self, line: int, column: str, text: str) -> None:
        self.problems.append(f"{self._name()} 第 {line} 行 {column} 列：{text}")

    def finish(self) -> None:
        if self.problems:
            raise MappingError(self.problems)

    def identity(self, line: int, column: str, cells: Mapping[str, str]) -> str:
        text = cells[column]
        if not _ID.fullmatch(text):
            self.problem(line, column, f"“{text}”不是编号；请写成字母、横线和四位数字，如 RS-0001")
        elif text in self._seen:
            self.problem(line, column, f"编号 {text} 在第 {self._seen[text]} 行已经用过；请换一个，编号不重复使用")
        else:
            self._seen[text] = line
        return text

    def one_of(self, line: int, column: str, cells: Mapping[str, str], allowed: Collection[str]) -> str:
        text = cells[column]
        if text not in allowed:
            known = f"；可用的有 {'、'.join(allowed)}" if len(allowed) <= 20 else ""
            self.problem(line, column, f"“{text}”不存在{known}")
        return text

    def date(self, line: int, column: str, cells: Mapping[str, str]) -> dt.date | None:
        text = cells[column]
        if not text:
            return None
        try:
            if _DATE.fullmatch(text):
                return dt.date.fromisoformat(text)
        except ValueError:
            pass
        self.problem(line, column, f"“{text}”不是日期；请写成 2026-11-25 的样子")
        return None

    def validity(self, line: int, cells: Mapping[str, str]) -> dict[str, dt.date | None]:
        start, end = self.date(line, "valid_from", cells), self.date(line, "valid_to", cells)
        if start is not None and end is not None and end <= start:
            self.problem(line, "valid_to", f"{end} 不晚于 valid_from {start}；valid_to 是不再适用的第一天")
        return {"valid_from": start, "valid_to": end}

    def reason(self, line: int, cells: Mapping[str, str]) -> str:
        if not _CHINESE.search(cells["reason"]):
            self.problem(line, "reason", "没有写明理由；请写为什么确定、依据是什么")
        return cells["reason"]

    def office(self, line: int, column: str, cells: Mapping[str, str]) -> str:
        if not _OFFICE.fullmatch(cells[column]):
            self.problem(line, column, "不是单位或处室名称；请写作出决定的处室，不写个人姓名")
        return cells[column]

    def disjoint(self, rows: Iterable[tuple[int, object, Mapped]]) -> None:
        """Of one condition no two rows may hold on the same day."""
        by_condition: dict[object, list[tuple[dt.date, dt.date, int]]] = {}
        for line, condition, row in rows:
            by_condition.setdefault(condition, []).append((row.valid_from or dt.date.min, row.valid_to or dt.date.max, line))
        for spans in by_condition.values():
            spans.sort()
            for (_, end, first), (start, _, second) in pairwise(spans):
                if start < end:
                    self.problem(max(first, second), "valid_from", f"与第 {min(first, second)} 行条件相同而有效期重叠；请先给较早的一行写上 valid_to")
