"""What a supplying department is handed: a workbook with what it has to mend, and a letter with it that any mail program sends."""

from __future__ import annotations

import datetime as dt
import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Alignment, Font
from openpyxl.worksheet.datavalidation import DataValidation

MOST_ROWS = 1_048_576  # of a sheet, as Excel has it
LONGEST = 32_767  # characters in a cell, as Excel has it
UNITS = {"rule": "条", "refused": "批", "held": "批", "missing": "批", "unsent": "期"}
WHAT_TO_DO = {
    "quarantine": "记录没有入湖。请在源系统改正，重送整份文件并写更大的修订号",
    "warn": "记录已入湖但有标记。请在源系统改正，随下一批次重新报送这条记录",
    "refused": "整批没有入湖。请按拒收原因改正文件后重新报送",
    "held": "整批没有入湖。请改正不合规则的记录后重新报送",
    "missing": "请补报；确实没有数据的，请书面说明",
    "unsent": "请补报缺少的记录，或说明源系统对账单为何多计",
}
SUMMARY = ("事项编号", "数据源", "问题", "待整改", "其中重现", "有异议", "首次发现", "整改期限", "如何改正")
COLUMNS = (
    "事项编号",
    "整改记录编号",
    "数据源",
    "问题",
    "文件",
    "行序号",
    "记录",
    "状态",
    "发现日期",
    "重现日期",
    "整改期限",
    "如何改正",
    "整改情况",
    "说明",
)
ANSWERS = ("已改正，将重报", "记录无误，有异议", "暂不能改正")
STATES = {"open": "待整改", "returned": "重现", "disputed": "有异议，待裁定"}
_WIDE = {"问题": 46, "文件": 34, "记录": 40, "如何改正": 50, "数据源": 26, "说明": 40, "整改记录编号": 24, "整改情况": 18}
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")  # what XML, and so a workbook, can't hold
_NEVER = dt.datetime(1980, 1, 1)  # a workbook is the same for the same content, whenever it is written
Row = dict[str, Any]


def workbook(department: str, items: Sequence[Row], records: Iterable[Row], day: dt.date) -> bytes:
    """A workbook of what ``department`` has to mend, as of ``day``: a page for people, then the records. The same for the same rows.

    ``items`` and ``records`` are rows of ops.rectification_items and ops.rectification_records, in the order in which they are to stand.
    """
    book = Workbook(write_only=True)
    book.properties.creator, book.properties.created = "市场监督管理局数据湖", _NEVER
    _cover(book, department, items, day)
    by_id = {i["item_id"]: i for i in items}
    _list(book, (_record(by_id[r["item_id"]], r) for r in records))
    out = io.BytesIO()
    book.save(out)
    return _settled(out.getvalue())


def letter(department: str, items: Sequence[Row], day: dt.date, name: str, content: bytes) -> bytes:
    """A mail with the workbook, for somebody to look over and send: nobody is named as its receiver."""
    mail = EmailMessage(policy=SMTP)
    mail["Subject"] = f"数据质量整改清单（{department}，{day}）"
    mail["X-Unsent"] = "1"  # mail programs open it as a draft
    lines = [f"· {i['feed_title']}：{i['rule_description']}；待整改 {_count(i)}，{_until(i)}" for i in items]
    text = [
        f"{department}：",
        "",
        "贵单位报送的数据有下列问题，请按期改正：",
        "",
        *lines,
        "",
        *(f"{n}. {t}" for n, t in enumerate(_how(), 1)),
        "",
        str(day),
    ]
    mail.set_content("\n".join(text), cte="base64")
    mail.add_attachment(content, maintype="application", subtype="vnd.openxmlformats-officedocument.spreadsheetml.sheet", filename=name)
    mail.set_boundary("=_lake_rectification_=")  # in no base64 text
    return mail.as_bytes()


def _how() -> tuple[str, ...]:
    return (
        "请在源系统改正，不要只改报送文件：只改文件的，下一批次会再次出现同样的问题。",
        "被隔离、拒收、扣留的：改正后重送整份文件，随附说明（文件名.manifest.json）里写更大的修订号 revision，业务日期不变。",
        "认为记录无误的，请在“整改情况”一栏选“记录无误，有异议”，在“说明”一栏写明依据，退回本局数据管理员。",
        "收到更正后由系统逐条核对，真正改正的自动了结，不需要回复；改正后又出现的会重新列入清单。",
        "清单里的个人信息以 *** 代替，请凭文件和行序号查找；退回时也不要填写个人信息。",
    )


def _cover(book: Workbook, department: str, items: Sequence[Row], day: dt.date) -> None:
    sheet = book.create_sheet("说明")
    for column, title in zip("ABCDEFGHI", SUMMARY, strict=True):
        sheet.column_dimensions[column].width = _WIDE.get(title, 13)
    sheet.append([_cell(sheet, f"数据质量整改清单：{department}", bold=True, size=14)])
    sheet.append([_cell(sheet, f"截至 {day}（北京时间），共 {len(items)} 个事项")])
    sheet.append([])
    sheet.append([_cell(sheet, title, bold=True) for title in SUMMARY])
    for i in items:
        values = (
            i["item_id"], i["feed_title"], i["rule_description"], _count(i), i["item_returned"], i["item_disputed"], str(i["first_seen_on"] or ""),
            _until(i), _todo(i),
        )  # fmt: skip
        sheet.append([_cell(sheet, v) for v in values])
    sheet.append([])
    for number, text in enumerate(_how(), 1):
        sheet.append([_cell(sheet, f"{number}. {text}", wrap=False)])


def _count(i: Row) -> str:
    return f"{i['item_open']:,} {UNITS[i['item_scope']]}"


def _until(i: Row) -> str:
    if not i["rectify_by"]:
        return "异议待裁定"
    return f"期限 {i['rectify_by']}" + ("，已逾期" if i["escalation"] != "none" else "") + ("（暂定）" if i["deadline_note"] else "")


def _todo(i: Row) -> str:
    return WHAT_TO_DO[i["severity"] if i["item_scope"] == "rule" else i["item_scope"]]


def _record(i: Row, r: Row) -> tuple[Any, ...]:
    return (
        r["item_id"], r["item_record"], i["feed_title"], i["rule_description"], r["file_name"], r["row_number"], r["record_label"],
        STATES[r["item_record_state"]], str(r["first_seen_on"]), str(r["record_returned_on"] or ""), str(i["rectify_by"] or ""), _todo(i), None, None,
    )  # fmt: skip


def _list(book: Workbook, rows: Iterator[tuple[Any, ...]]) -> None:
    """One sheet of records, or as many as they need."""
    number, row = 0, next(rows, None)
    while number == 0 or row is not None:
        number += 1
        sheet = book.create_sheet("记录清单" if number == 1 else f"记录清单{number}")
        sheet.freeze_panes = "A2"
        for place, title in enumerate(COLUMNS):
            sheet.column_dimensions[chr(ord("A") + place)].width = _WIDE.get(title, 13)
        sheet.append([_cell(sheet, title, bold=True) for title in COLUMNS])
        length = 1
        while row is not None and length < MOST_ROWS:
            sheet.append([_cell(sheet, v, wrap=False) for v in row])
            length += 1
            row = next(rows, None)
        choice = DataValidation(type="list", formula1=f'"{",".join(a.replace(",", "，") for a in ANSWERS)}"', allow_blank=True)
        choice.add(f"M2:M{max(length, 2)}")
        sheet.data_validations.append(choice)


def _cell(sheet: Any, value: Any, bold: bool = False, size: int = 11, wrap: bool = True) -> Any:
    """A cell that shows ``value`` as it is: a text is never taken for a formula, here or in what the sheet is saved as later."""
    text = isinstance(value, str)
    if text:
        value = _CONTROL.sub("", value)
        value = value if len(value) <= LONGEST else value[: LONGEST - 1] + "…"
    if value is None or not (text or bold):
        return value
    cell = WriteOnlyCell(sheet, value=value)
    cell.data_type = "s"
    if value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        cell.quotePrefix = True
    if bold or size != 11:
        cell.font = Font(bold=bold, size=size)
    if wrap and not bold:
        cell.alignment = Alignment(wrap_text=True, vertical="top")
    return cell


def _settled(content: bytes) -> bytes:
    """The workbook without the moments at which it was written."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for info in source.infolist():
            body = source.read(info)
            if info.filename == "docProps/core.xml":
                body = re.sub(rb"(<dcterms:modified[^>]*>)[^<]*", rb"\g<1>" + f"{_NEVER:%Y-%m-%dT%H:%M:%SZ}".encode(), body)
            target.writestr(zipfile.ZipInfo(info.filename, _NEVER.timetuple()[:6]), body, zipfile.ZIP_DEFLATED)
    return out.getvalue()
