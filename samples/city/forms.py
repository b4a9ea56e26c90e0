"""Rows of text columns as the bytes that departments send. Lines are made for all rows at once; spreadsheets and XML row by row, small ones only."""

from __future__ import annotations

import csv
import gzip
import io
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from samples.city.dirt import LOST
from samples.city.feeds import Feed

LARGEST = 5_000  # rows of a spreadsheet or an XML file; a larger delivery comes as CSV
SUFFIX = {"csv": ".csv", "gb18030": ".csv", "json": ".json", "gz": ".csv.gz", "xlsx": ".xlsx", "xls": ".xls", "spreadsheetml": ".xls", "xml": ".xml"}
_STAMP = (2020, 1, 1, 0, 0, 0)  # files say no time of their own: the same seed gives the same bytes


def lines(feed: Feed, columns: Mapping[str, pa.Array]) -> tuple[memoryview, np.ndarray]:
    """All rows as lines of CSV (RFC 4180, only what needs quotes has them) or of JSON: the bytes, and where each line begins, and the end."""
    if feed.form == "json":
        parts: list[pa.Array | pa.Scalar] = []
        for place, header in enumerate(feed.headers):
            parts += [pa.scalar(f'{"{" if place == 0 else ", "}"{header}": "'), _json_text(columns[header]), pa.scalar('"')]
        parts.append(pa.scalar("}\n"))
    else:
        parts = []
        for place, header in enumerate(feed.headers):
            cell = _csv_text(columns[header])
            if place == 0:
                parts.append(cell)
            else:
                # A lost cell takes its comma with it.
                parts.append(pc.if_else(pc.equal(columns[header], LOST), pa.scalar(""), pc.binary_join_element_wise(pa.scalar(","), cell, "")))
        parts.append(pa.scalar("\r\n"))
    text = pc.binary_join_element_wise(*[_large(x) for x in parts], pa.scalar("", pa.large_string()))
    if len(text) == 0:
        return memoryview(b""), np.zeros(1, np.int64)
    offsets = np.frombuffer(text.buffers()[1], dtype=np.int64)[text.offset : text.offset + len(text) + 1]
    return memoryview(text.buffers()[2]), offsets


def _large(part: pa.Array | pa.Scalar) -> pa.Array | pa.Scalar:
    return part.cast(pa.large_string())


def _csv_text(column: pa.Array) -> pa.Array:
    plain = pc.if_else(pc.equal(column, LOST), pa.scalar(""), column)
    quoted = pc.match_substring_regex(plain, '[",\r\n]')
    if not pc.any(quoted).as_py():
        return plain
    return pc.if_else(quoted, pc.binary_join_element_wise(pa.scalar('"'), pc.replace_substring(plain, '"', '""'), pa.scalar('"'), ""), plain)


def _json_text(column: pa.Array) -> pa.Array:
    if not pc.any(pc.match_substring_regex(column, '["\\\\\x00-\x1f]')).as_py():
        return column
    for old, new in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t"), ("\x00", "")):
        column = pc.replace_substring(column, old, new)
    return column


def header(feed: Feed) -> bytes:
    return b"" if feed.form == "json" else (",".join(feed.headers) + "\r\n").encode()


def form_of(feed: Feed, rows: int) -> str:
    """The form in which a delivery of so many rows comes."""
    return "csv" if feed.form in ("xlsx", "xls", "spreadsheetml", "xml") and rows > LARGEST else feed.form


def finish(feed: Feed, form: str, made: Path, target: Path) -> None:
    """Turn the lines in ``made`` (without a header) into the file that is sent."""
    if form in ("csv", "json"):
        with target.open("wb") as out, made.open("rb") as source:
            out.write(header(feed))
            shutil.copyfileobj(source, out, 2**20)
    elif form == "gz":
        with target.open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as out, made.open("rb") as source:
            out.write(header(feed))
            shutil.copyfileobj(source, out, 2**20)
    elif form == "gb18030":
        with target.open("w", encoding="gb18030", newline="") as out, made.open(encoding="utf-8", newline="") as source:
            out.write(header(feed).decode())
            shutil.copyfileobj(source, out, 2**20)
    else:
        with made.open(encoding="utf-8", newline="") as source:
            rows = list(csv.reader(source))
        target.write_bytes({"xlsx": _xlsx, "xls": _xls, "xml": _xml, "spreadsheetml": _spreadsheetml}[form](feed, rows))
    made.unlink()


def _banner(feed: Feed) -> list[list[str]]:
    return [[f"{feed.chinese}报送表"], [f"报送单位：{feed.department}（模拟数据）"], list(feed.headers)]


def _footer(feed: Feed, rows: list[list[str]]) -> list[list[str]]:
    return [["合计", f"{len(rows)} 条"], [f"数据来源：{feed.department}"]]


def _xlsx(feed: Feed, rows: list[list[str]]) -> bytes:
    import datetime as dt

    import openpyxl  # slow to import, and only small cities need it

    book = openpyxl.Workbook(write_only=True)
    book.properties.created = book.properties.modified = dt.datetime(*_STAMP[:3])
    sheet = book.create_sheet("报送")
    for row in [*_banner(feed), *rows, *_footer(feed, rows)]:
        sheet.append(row)
    packed = io.BytesIO()
    book.save(packed)
    out = io.BytesIO()
    with zipfile.ZipFile(packed) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for entry in sorted(source.namelist()):
            content = source.read(entry)
            if entry == "docProps/core.xml":
                content = (
                    content.split(b"<dcterms:modified")[0]
                    + b'<dcterms:modified xsi:type="dcterms:W3CDTF">2020-01-01T00:00:00Z</dcterms:modified></cp:coreProperties>'
                )
            target.writestr(zipfile.ZipInfo(entry, _STAMP), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _xls(feed: Feed, rows: list[list[str]]) -> bytes:
    import xlwt

    book = xlwt.Workbook(encoding="utf-8")
    sheet = book.add_sheet("报送")
    for place, row in enumerate([*_banner(feed), *rows, *_footer(feed, rows)]):
        for column, cell in enumerate(row):
            sheet.write(place, column, cell)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _xml(feed: Feed, rows: list[list[str]]) -> bytes:
    names = [h.replace("（", "_").replace("）", "") for h in feed.headers]
    body = "".join("<记录>" + "".join(f"<{n}>{escape(c)}</{n}>" for n, c in zip(names, row, strict=False)) + "</记录>\n" for row in rows)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{feed.chinese}>\n{body}</{feed.chinese}>\n'.encode()


def _spreadsheetml(feed: Feed, rows: list[list[str]]) -> bytes:
    content = [*_banner(feed), *rows, *_footer(feed, rows)]
    body = "".join("<Row>" + "".join(f'<Cell><Data ss:Type="String">{escape(c)}</Data></Cell>' for c in row) + "</Row>\n" for row in content)
    name = "urn:schemas-microsoft-com:office:spreadsheet"
    return f'<?xml version="1.0"?>\n<Workbook xmlns="{name}" xmlns:ss="{name}"><Worksheet ss:Name="报送"><Table>\n{body}</Table></Worksheet></Workbook>\n'.encode()
