"""The same rows in every format in which departments send them."""

import codecs
import csv
import gzip
import io
import json
import random
import zipfile
from xml.sax.saxutils import escape

import openpyxl
import xlwt

from infra.settings import REPO


def text(rows, delimiter=",", ending="\n"):
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator=ending).writerows(rows)
    return out.getvalue()


def xlsx(rows, sheet="Sheet1", more=()):
    book = openpyxl.Workbook()
    book.active.title = sheet
    for row in rows:
        book.active.append(row)
    for name, content in more:
        other = book.create_sheet(name)
        for row in content:
            other.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def xls(rows):
    book = xlwt.Workbook(encoding="utf-8")
    sheet = book.add_sheet("表1")
    for r, row in enumerate(rows):
        for c, cell in enumerate(row):
            sheet.write(r, c, cell)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def spreadsheetml(rows):
    body = "".join("<Row>" + "".join(f'<Cell><Data ss:Type="String">{escape(c)}</Data></Cell>' for c in row) + "</Row>" for row in rows)
    namespace = "urn:schemas-microsoft-com:office:spreadsheet"
    return f'<?xml version="1.0"?><Workbook xmlns="{namespace}" xmlns:ss="{namespace}"><Worksheet ss:Name="表1"><Table>{body}</Table></Worksheet></Workbook>'.encode()


def xml(header, rows):
    body = "".join("<row>" + "".join(f"<{h}>{escape(c)}</{h}>" for h, c in zip(header, row, strict=True)) + "</row>" for row in rows)
    return f'<?xml version="1.0" encoding="UTF-8"?><data>{body}</data>'.encode()


def records(header, rows):
    return [dict(zip(header, row, strict=True)) for row in rows]


def zipped(content, name="data.csv"):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return out.getvalue()


FORMS = {
    "csv": lambda header, rows: text([header, *rows]).encode(),
    "csv with a mark": lambda header, rows: codecs.BOM_UTF8 + text([header, *rows], ending="\r\n").encode(),
    "csv in GB18030": lambda header, rows: text([header, *rows]).encode("gb18030"),
    "csv in UTF-16": lambda header, rows: text([header, *rows]).encode("utf-16"),
    "csv in UTF-16 without a mark": lambda header, rows: text([header, *rows]).encode("utf-16-le"),
    "csv in UTF-16, other end first": lambda header, rows: codecs.BOM_UTF16_BE + text([header, *rows]).encode("utf-16-be"),
    "tsv": lambda header, rows: text([header, *rows], "\t").encode(),
    "semicolons": lambda header, rows: text([header, *rows], ";").encode(),
    "xlsx": lambda header, rows: xlsx([header, *rows]),
    "xls": lambda header, rows: xls([header, *rows]),
    "SpreadsheetML": lambda header, rows: spreadsheetml([header, *rows]),
    "JSON array": lambda header, rows: json.dumps(records(header, rows), ensure_ascii=False).encode(),
    "JSON array, escaped": lambda header, rows: json.dumps(records(header, rows), indent=2).encode(),
    "JSON wrapped": lambda header, rows: json.dumps({"code": 0, "data": {"total": 5, "rows": records(header, rows)}}, ensure_ascii=False).encode(),
    "JSON wrapped, in lines": lambda header, rows: json.dumps({"code": 0, "rows": records(header, rows)}, ensure_ascii=False, indent=1).encode(),
    "JSON lines": lambda header, rows: "\n".join(json.dumps(r, ensure_ascii=False) for r in records(header, rows)).encode(),
    "JSON lines in GB18030": lambda header, rows: "\r\n".join(json.dumps(r, ensure_ascii=False) for r in records(header, rows)).encode("gb18030"),
    "XML": xml,
    "gzip of csv": lambda header, rows: gzip.compress(text([header, *rows]).encode()),
    "zip of csv": lambda header, rows: zipped(text([header, *rows])),
    "zip of xlsx": lambda header, rows: zipped(xlsx([header, *rows]), "表.xlsx"),
}

ROWS = 600


def real_rows():
    """Header and rows of the samples; each file has the same header."""
    rows = []
    for path in sorted((REPO / "samples" / "registrations").glob("*.csv")):
        header, *more = csv.reader(io.StringIO(path.read_text(encoding="utf-8")))
        rows += [r for r in more if len(r) == len(header)]
    return header, rows


def send_forms(published):
    header, rows = real_rows()
    chosen = random.Random(5).sample(rows, ROWS)
    inbox = published.state / "landing" / "inbox" / "registration_subjects"
    for number, form in enumerate(FORMS):
        published.deliver(inbox / f"form-{number:02}", FORMS[form](header, chosen))
