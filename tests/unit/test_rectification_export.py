"""The workbook and the letter that a department gets, read back as Excel and a mail program read them."""

from __future__ import annotations

import datetime as dt
import email
import email.policy
import io
import time
import zipfile

import openpyxl
import pytest

from infra import rectification_export as export

DAY = dt.date(2026, 3, 20)


def an_item(**more):
    return {
        "item_id": "Z0000000a", "feed_title": "行政处罚（到达）", "rule_description": "决定日期读不懂；请核对", "item_scope": "rule", "severity": "quarantine", "item_open": 2,
        "item_returned": 1, "item_disputed": 0, "first_seen_on": dt.date(2026, 3, 2), "rectify_by": dt.date(2026, 3, 9), "escalation": "second", "deadline_note": None,
    } | more  # fmt: skip


def a_record(**more):
    return {
        "item_id": "Z0000000a", "item_record": "D0123456789abcdef-4", "file_name": "处罚_2026-03-01.csv", "row_number": 4, "record_label": "第 4 条",
        "item_record_state": "open", "first_seen_on": dt.date(2026, 3, 2), "record_returned_on": None,
    } | more  # fmt: skip


def made(items, records):
    return export.workbook("执法监督处", items, records, DAY)


def read(content):
    return openpyxl.load_workbook(io.BytesIO(content))


def listed(book, name="记录清单"):
    return [dict(zip(export.COLUMNS, (c.value for c in row), strict=True)) for row in book[name].iter_rows(min_row=2)]


def test_a_department_reads_what_is_wrong_how_much_until_when_and_what_to_do():
    book = read(made([an_item()], [a_record(), a_record(item_record="D0123456789abcdef-9", item_record_state="returned", record_returned_on=DAY)]))
    assert book.sheetnames == ["说明", "记录清单"]
    cover = [[c.value for c in row] for row in book["说明"].iter_rows()]
    assert cover[3] == list(export.SUMMARY)
    assert cover[4][:8] == ["Z0000000a", "行政处罚（到达）", "决定日期读不懂；请核对", "2 条", 1, 0, "2026-03-02", "期限 2026-03-09，已逾期"]
    assert "修订号" in cover[4][8]
    first, second = listed(book)
    assert (first["整改记录编号"], first["文件"], first["行序号"], first["状态"], first["整改情况"], first["说明"]) == ("D0123456789abcdef-4", "处罚_2026-03-01.csv", 4, "待整改", None, None)  # fmt: skip
    assert (second["状态"], second["重现日期"]) == ("重现", "2026-03-20")
    (choice,) = book["记录清单"].data_validations.dataValidation
    assert (str(choice.sqref), choice.formula1) == ("M2:M3", '"已改正，将重报,记录无误，有异议,暂不能改正"')


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "=cmd|' /C calc'!A0", "http://a.example", "2026-03-02", "00012"])
def test_a_text_stays_a_text(text):
    content = made([an_item(feed_title=text)], [a_record(record_label=text, file_name=text)])
    book = read(content)
    (row,) = listed(book)
    assert (row["记录"], row["文件"], row["数据源"]) == (text, text, text)
    cell = book["记录清单"]["G2"]
    assert cell.data_type == "s"
    assert cell.hyperlink is None
    assert cell.quotePrefix == (text[0] in "=+-@\t")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert not any(b"<f>" in archive.read(n) for n in archive.namelist() if n.startswith("xl/worksheets/sheet"))


def test_what_a_cell_can_t_hold_is_left_out_or_cut():
    (row,) = listed(read(made([an_item()], [a_record(record_label="甲\x00\x1b乙", file_name="长" * 40_000)])))
    assert row["记录"] == "甲乙"
    assert (len(row["文件"]), row["文件"][-1]) == (export.LONGEST, "…")


def test_more_rows_than_a_sheet_holds_go_on_the_next(monkeypatch):
    monkeypatch.setattr(export, "MOST_ROWS", 4)
    book = read(made([an_item()], [a_record(row_number=n) for n in range(7)]))
    assert book.sheetnames == ["说明", "记录清单", "记录清单2", "记录清单3"]
    assert [r["行序号"] for name in book.sheetnames[1:] for r in listed(book, name)] == list(range(7))


def test_the_same_rows_make_the_same_file(monkeypatch):
    one = made([an_item()], [a_record()])
    monkeypatch.setattr(time, "time", lambda: 2_000_000_000.0)
    time.sleep(2.1)  # an archive's times have two seconds
    assert made([an_item()], [a_record()]) == one
    assert made([an_item(item_open=3)], [a_record()]) != one
    assert export.letter("执法监督处", [an_item()], DAY, "清单.xlsx", one) == export.letter("执法监督处", [an_item()], DAY, "清单.xlsx", one)


def test_a_letter_opens_as_a_draft_with_the_workbook():
    content = made([an_item()], [a_record()])
    mail = email.message_from_bytes(export.letter("执法监督处", [an_item()], DAY, "整改清单_执法监督处.xlsx", content), policy=email.policy.default)
    assert (mail["Subject"], mail["X-Unsent"], mail["To"]) == ("数据质量整改清单（执法监督处，2026-03-20）", "1", None)
    assert "决定日期读不懂；请核对；待整改 2 条，期限 2026-03-09，已逾期" in mail.get_body().get_content()
    (part,) = mail.iter_attachments()
    assert (part.get_filename(), part.get_content()) == ("整改清单_执法监督处.xlsx", content)


@pytest.mark.parametrize("scope", ["rule", "refused", "held", "missing", "unsent"])
@pytest.mark.parametrize("severity", ["quarantine", "warn"])
def test_of_every_kind_it_says_what_to_do(scope, severity):
    book = read(made([an_item(item_scope=scope, severity=severity)], [a_record(row_number=None, file_name=None)]))
    assert book["说明"]["I5"].value
    assert listed(book)[0]["如何改正"]
