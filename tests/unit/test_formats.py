"""The same rows in every format give the same records; what is broken is refused with what to do."""

import csv
import gzip
import io
import json
import zipfile

import openpyxl
import pytest
from forms import FORMS, records, text, xlsx, zipped

from catalog.contract import load_contracts
from infra.settings import REPO
from spark_jobs.ingest import formats, readers, tables
from spark_jobs.ingest.formats import found
from spark_jobs.ingest.refusal import Refused

FEED = load_contracts()["bronze.registration_subjects"]
SAMPLE = next(iter(sorted((REPO / "samples" / "registrations").glob("*.csv"))))
HEADER, *ROWS = list(csv.reader(io.StringIO(SAMPLE.read_text(encoding="utf-8"))))
ROWS = [r for r in ROWS if len(r) == len(HEADER)]


def read(content: bytes, tmp_path):
    """``(records, tables)`` of a file with these bytes."""
    path = tmp_path / "delivery"
    path.write_bytes(content)
    records, seen = [], []
    with found(path, tmp_path) as file:
        for sheet in readers.sheets(file, tables.known_header(FEED)):
            table = tables.table(FEED, sheet, padded=file.kind in ("workbook", "spreadsheetml"))
            if table:
                records += [(values, raw) for _, values, raw in table.records]
                seen.append(table)
    return records, seen


@pytest.mark.parametrize("form", FORMS)
def test_every_format_gives_the_same_records(form, tmp_path):
    expected, _ = read(FORMS["csv"](HEADER, ROWS), tmp_path)
    assert len(expected) == len(ROWS)
    assert [list(v.values()) for v, _ in expected] == ROWS
    got, (table,) = read(FORMS[form](HEADER, ROWS), tmp_path)
    stripped = [({k: v.strip() for k, v in values.items()}, raw) for values, raw in expected]
    assert [({k: v.strip() for k, v in values.items()}, raw) for values, raw in got] == stripped
    assert table.confidence == 1.0


def test_spreadsheets_as_districts_send_them(tmp_path):
    banner = [["广州市市场主体登记信息"], ["填报单位：演示局", "", "单位：万元"], []]
    rows = [*banner, HEADER, *ROWS[:5], *[[""] * len(HEADER)] * 3000, ["合计", len(ROWS)], ["数据来源：演示"]]
    got, (table,) = read(xlsx(rows, more=[("说明", [["填表说明"], ["一、请按营业执照填写"]])]), tmp_path)
    assert [list(v.values()) for v, _ in got] == ROWS[:5]
    assert table.header_row == 4
    assert [n.split("“")[1].split("”")[0] for n in table.notes] == ["合计", "数据来源：演示"]


@pytest.mark.parametrize(
    ("row", "footer"),
    [
        (["合计", "8 条", ""], True),
        (["合计", "1,234", "56.7 万元"], True),
        (["总计", "12 户", "-", ""], False),  # something that is no number: perhaps a record
        (["合计行贸易有限公司", "8 条", ""], False),
        (["数据来源：登记注册处", "", ""], True),
        (["数据来源：登记注册处", "2019", ""], False),
    ],
)
def test_a_narrow_sheet_has_footers_too(row, footer):
    assert tables._is_footer(row[0], row, len(row)) is footer


def test_values_of_spreadsheets_are_what_people_see(tmp_path):
    import datetime as dt

    rows = [
        ["企业名称", "统一社会信用代码", "注册日期", "注册地址"],
        ["甲", 440101000012345, dt.datetime(2019, 3, 1), 1],
        ["乙", "91440101YTEXT00018", dt.date(2019, 3, 2), True],
        ["丙", 1.5, 43525, dt.datetime(2019, 3, 1, 8, 30)],
    ]
    got, _ = read(xlsx(rows), tmp_path)
    assert [list(v.values()) for v, _ in got] == [
        ["甲", "440101000012345", "2019-03-01", "1"],
        ["乙", "91440101YTEXT00018", "2019-03-02", "TRUE"],
        ["丙", "1.5", "43525", "2019-03-01 08:30:00"],
    ]


def zipped_as(name, content):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(name, content)
    return out.getvalue()


BAD = {
    "empty": (b"", "0 字节"),
    "cut inside a character": (text([HEADER, *ROWS[:9]]).encode()[: len(text([HEADER, ROWS[0]]).encode()) + 1], "在一个字的中间断了"),
    "truncated gzip": (gzip.compress(FORMS["csv"](HEADER, ROWS))[:-900], "gzip 文件不完整"),
    "truncated zip": (zipped(text([HEADER, *ROWS]))[:-60], "压缩包不完整"),
    "truncated xlsx": (xlsx([HEADER, *ROWS])[:-60], "不完整"),
    "two members": (None, "只有一个文件，实际有 2 个"),
    "packed twice": (gzip.compress(gzip.compress(b"x")), "还是压缩包"),
    "a bomb": (gzip.compress(bytes(64 * 2**20), 9), "压缩炸弹"),
    "NUL": (FORMS["csv"](HEADER, ROWS[:3]).replace(b"1", b"\x00", 1), "空字节"),
    "replacement": (FORMS["csv"](HEADER, ROWS[:3]).replace("广".encode(), "\ufffd".encode(), 1), "替换字符"),
    "no text": (bytes(range(128, 256)) * 40, "既不是 UTF-8"),
    "PDF": (b"%PDF-1.7 ...", "PDF"),
    "HTML": (b"<html><table><tr><td>1</td></tr></table></html>", "网页表格"),
    "cut JSON": (FORMS["JSON array, escaped"](HEADER, ROWS)[:-30], "JSON 不完整"),
    "cut XML": (FORMS["XML"](HEADER, ROWS).rsplit(b"<row>", 1)[0], "XML 不完整"),
    "XML entities": (b'<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><r><row><a>&x;</a></row></r>', "DOCTYPE"),
    "two arrays": (json.dumps({"a": records(HEADER, ROWS[:2]), "b": records(HEADER, ROWS[:2])}).encode(), "实际有 2 个"),
    "unknown column": (text([[*HEADER[:-1], "秘密"], *ROWS[:2]]).encode(), "不认识的列：秘密"),
    "column twice": (text([[*HEADER, HEADER[0]], *[[*r, ""] for r in ROWS[:2]]]).encode(), "重复的列"),
    "missing column": (text([HEADER[1:], *[r[1:] for r in ROWS[:2]]]).encode(), "缺少的列"),
    "a million columns": (("企业名称," * 1_000_000 + "\n").encode(), "超出限度"),
    "a cell of 100 MB": (text([HEADER, ["甲" * (100 * 2**20 // 3), *ROWS[0][1:]], ROWS[1]]).encode(), "超过 16 兆字"),
    "columns swapped and renamed": (text([["名", *HEADER[1:]], *ROWS[:2]]).encode(), "不认识的列：名"),
    "half a header": (",".join(HEADER).encode()[: len(",".join(HEADER[:2]).encode())], "缺少的列"),
    "a path in the archive, twice packed": (zipped_as("../../etc/x.csv", gzip.compress(b"x")), "还是压缩包"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_broken_is_refused_with_what_to_do(case, tmp_path):
    content, says = BAD[case]
    if content is None:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("a.csv", "1")
            archive.writestr("b.csv", "2")
        content = out.getvalue()
    with pytest.raises(Refused, match=says) as refusal:
        read(content, tmp_path)
    assert "请" in str(refusal.value)
    assert not list(tmp_path.glob("unpacked-*")), "nothing is left behind"


def test_a_hostile_path_in_an_archive_is_a_name_and_nothing_more(tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    got, _ = read(zipped_as("../../escaped.csv", FORMS["csv"](HEADER, ROWS)), inside)
    assert len(got) == len(ROWS)
    assert [p.name for p in tmp_path.iterdir()] == ["inside"]


def test_positions_in_messages_are_those_of_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "BLOCK", 7)
    content = ("甲" * 100).encode() + b"\xff" + b"abc" * 9
    with pytest.raises(Refused, match=r"第 30[12] 个字节"):
        read(content, tmp_path)


def test_a_bad_record_harms_no_other(tmp_path):
    lines = FORMS["JSON lines"](HEADER, ROWS[:5]).decode().split("\n")
    lines[2] = lines[2][:20]
    got, _ = read("\n".join(lines).encode(), tmp_path)
    assert [v is None for v, _ in got] == [False, False, True, False, False]
    assert got[2][1] == lines[2]
    short = [HEADER, ROWS[0], ROWS[1][:3], ROWS[2]]
    assert [v is None for v, _ in read(text(short).encode(), tmp_path)[0]] == [False, True, False]


def test_a_merged_cell_holds_for_all_its_rows(tmp_path):
    book = openpyxl.Workbook()
    for row in (
        ["企业名称", "注册日期", "统一社会信用代码", "注册地址"],
        ["甲", "2019-01-01", "", "广州市天河区"],
        ["乙", "2019-01-02", "", None],
        ["丙", "2019-01-03", "", None],
    ):
        book.active.append(row)
    book.active.merge_cells("D2:D3")
    out = io.BytesIO()
    book.save(out)
    got, _ = read(out.getvalue(), tmp_path)
    assert [v["registered_address"] for v, _ in got] == ["广州市天河区", "广州市天河区", ""]
