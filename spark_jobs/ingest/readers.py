"""Rows of cells out of each format. A cell is text as a person sees it; nothing is typed, rounded or dropped here.

Kept libraries read the formats: the csv module, python-calamine (xlsx, xlsb, xls, ods), ijson, defusedxml.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import IO, Any
from xml.etree.ElementTree import Element, ParseError

import ijson
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse
from python_calamine import CalamineError, CalamineWorkbook, PasswordError, SheetTypeEnum, SheetVisibleEnum

from spark_jobs.ingest.formats import AGAIN, Found
from spark_jobs.ingest.refusal import Refused

LARGEST_CELL = 16 * 2**20  # characters
MOST_COLUMNS = 2_000
LINES_OF_A_CELL = 200  # no cell of a register has more
DELIMITERS = (",", "\t", ";", "|", "，")
KEYS_FROM = 1_000  # records of JSON or XML that say which columns there are
csv.field_size_limit(LARGEST_CELL)

Cells = list[str]
# A row of a sheet: its number as a person sees it, from 1, and its cells; or None and the text that is no row.
Row = tuple[int, Cells | None, str]


@dataclass
class Sheet:
    """``name`` is empty where the format has no sheets. ``headed``: the first row is the header for certain (JSON, XML).

    ``width``: the number of columns, set once the header is found; it helps to tell a damaged row from a long one.
    """

    name: str
    rows: Iterator[Row] = field(default_factory=lambda: iter(()))
    headed: bool = False
    width: int = 0


def sheets(file: Found, known: Callable[[str], bool]) -> Iterator[Sheet]:
    """The sheets of a file, one after the other; the rows of one must be read before the next is asked for.

    ``known`` says whether a text is the header of a column; a delimited text is split by what gives most of them.

    Raises:
        Refused: also while rows are read: the file is damaged, or larger than any register's row.
    """
    if file.kind == "workbook":
        yield from _workbook(file)
        return
    with file.path.open(encoding=file.encoding, newline="") as f:
        if file.kind == "text":
            sheet = Sheet("")
            sheet.rows = _delimited(f, known, sheet)
            yield sheet
        elif file.kind == "json":
            yield Sheet("", _keyed(_json_records(f)), headed=True)
        elif file.kind == "xml":
            yield Sheet("", _keyed(_xml_records(file)), headed=True)
        else:
            yield from _spreadsheetml(file)


# ---- delimited text ----


def _delimited(text: IO[str], known: Callable[[str], bool], sheet: Sheet) -> Iterator[Row]:
    """Rows by RFC 4180, but so that a damaged quote costs its own row only.

    Quotes come in pairs; a line with an odd number of them goes on in the next line. Where what comes of that has not the header's
    width, or one of its lines is a whole row by itself, the quote is damage: the first line is no row and reading goes on behind it.
    """
    delimiter = _delimiter(text, known)
    text.seek(0)
    if text.read(1) != "\ufeff":
        text.seek(0)
    lines = _Lines(text)
    while (line := lines.next()) is not None:
        number = lines.number
        cells = _split_plain(line, delimiter) if '"' not in line else _quoted_row(line, lines, delimiter, sheet.width)
        if cells is not None and len(cells) > MOST_COLUMNS and not sheet.width:
            raise Refused(f"第 {number} 行有 {len(cells)} 列，超出限度（{MOST_COLUMNS} 列）。请检查分隔符和换行后重新导出。")
        yield number, cells, "" if cells is not None else line.rstrip("\r\n")


def _quoted_row(line: str, lines: _Lines, delimiter: str, width: int) -> Cells | None:
    """The cells of the row that begins with a line with quotes; the lines that it goes on in are taken."""
    parts = [line]
    if line.count('"') % 2:
        more = lines.until_paired()
        if more and _is_one(parts + more, delimiter, width):
            parts += more
        else:
            lines.put_back(more)
    return _split(parts, delimiter)


def _is_one(parts: list[str], delimiter: str, width: int) -> bool:
    """Whether lines are one row with line breaks inside quotes."""
    together = _split(parts, delimiter)
    if together is None or (width and len(together) != width):
        return False
    # The last line closes the quote; one between that needs no other is a row.
    return not any(width > 1 and len(_split([part], delimiter) or ()) == width for part in parts[1:-1])


def _split(lines: list[str], delimiter: str) -> Cells | None:
    """The cells of one row, given as its physical lines; None where quotes stand as no writer puts them."""
    try:
        return next(csv.reader(lines, delimiter=delimiter, strict=True), [])
    except csv.Error:
        return None


def _split_plain(line: str, delimiter: str) -> Cells:
    """What _split makes of a line without quotes: most lines of most files, which the csv module takes one character after the other."""
    line = line.rstrip("\r\n")
    return line.split(delimiter) if line else []


class _Lines:
    """Physical lines with their numbers, of which some may be looked at ahead."""

    def __init__(self, text: IO[str]) -> None:
        self._text = text
        self._ahead: list[str] = []
        self.number = 0

    def next(self) -> str | None:
        line = self._ahead.pop(0) if self._ahead else self._text.readline(LARGEST_CELL)
        if len(line) >= LARGEST_CELL:
            raise Refused(f"第 {self.number + 1} 行超过 {LARGEST_CELL // 2**20} 兆字。请检查换行和引号后重新导出。")
        self.number += bool(line)
        return line or None

    def until_paired(self) -> list[str]:
        """The next lines up to the one that closes the quote; none if it isn't closed within LINES_OF_A_CELL lines."""
        taken: list[str] = []
        while len(taken) < LINES_OF_A_CELL and (line := self.next()) is not None:
            taken.append(line)
            if line.count('"') % 2:
                return taken
        self.put_back(taken)
        return []

    def put_back(self, lines: list[str]) -> None:
        self._ahead = lines + self._ahead
        self.number -= len(lines)


def _delimiter(text: IO[str], known: Callable[[str], bool]) -> str:
    """What splits the first lines into most known headers; a comma when nothing does."""
    lines = [text.readline(LARGEST_CELL) for _ in range(30)]

    def headers(delimiter: str) -> int:
        return max((sum(known(cell.strip().strip('"')) for cell in line.rstrip("\r\n").split(delimiter)) for line in lines), default=0)

    return max(DELIMITERS[:-1], key=lambda d: (headers(d), -DELIMITERS.index(d)))


# ---- workbooks ----


def _workbook(file: Found) -> Iterator[Sheet]:
    try:
        with file.path.open("rb") as f:
            workbook = CalamineWorkbook.from_filelike(f)
            for about in workbook.sheets_metadata:
                if about.typ is SheetTypeEnum.WorkSheet and about.visible is SheetVisibleEnum.Visible:
                    yield Sheet(about.name, _cells_of(workbook, about.name))
    except PasswordError as error:
        raise Refused("电子表格有密码。请去掉密码后再送。") from error
    except CalamineError as error:
        if _encrypted(file):
            raise Refused("电子表格有密码。请去掉密码后再送。") from error
        raise Refused(f"电子表格不完整或已损坏（{error}）。请在表格软件里打开，另存为新的 xlsx 再送。") from error


def _encrypted(file: Found) -> bool:
    """Whether a workbook in a compound file is the encrypted kind."""
    with file.path.open("rb") as f:
        return "EncryptedPackage".encode("utf-16-le") in f.read(2**20)


def _cells_of(workbook: CalamineWorkbook, name: str) -> Iterator[Row]:
    sheet = workbook.get_sheet_by_name(name)
    if sheet.total_width > MOST_COLUMNS:
        raise Refused(f"工作表“{name}”有 {sheet.total_width} 列，超出限度（{MOST_COLUMNS} 列）。请删去右侧的空列后再送。")
    # A value of merged cells stands in the first of them and holds for all below it.
    merged = {(top, left): bottom for (top, left), (bottom, right) in sheet.merged_cell_ranges or [] if bottom > top}
    holds: dict[int, tuple[int, str]] = {}
    first_row, first_column = sheet.start or (0, 0)
    for index, values in enumerate(sheet.iter_rows()):
        row = first_row + index
        cells = [""] * first_column + [cell_text(v) for v in values]
        for column, cell in enumerate(cells):
            if (row, column) in merged:
                holds[column] = (merged[row, column], cell)
            elif not cell and column in holds and row <= holds[column][0]:
                cells[column] = holds[column][1]
        yield row + 1, cells, ""


def cell_text(value: Any) -> str:
    """A typed cell as its text: whole numbers without a point, dates as ISO 8601, a time of midnight left out."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else format(Decimal(repr(value)), "f")
    if isinstance(value, dt.datetime):
        return value.date().isoformat() if value.time() == dt.time() else value.isoformat(sep=" ", timespec="seconds")
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    return "" if value is None else str(value)


# ---- JSON and XML: records with named values ----


def _keyed(records: Iterator[tuple[int, dict[str, str] | None, str]]) -> Iterator[Row]:
    """The keys of the first records as a header, then each record under it. A record with a key that came too late is no row."""
    begin = []
    for record in records:
        begin.append(record)
        if len(begin) == KEYS_FROM:
            break
    keys = list(dict.fromkeys(key for _, values, _ in begin for key in values or ()))
    if len(keys) > MOST_COLUMNS:
        raise Refused(f"记录里有 {len(keys)} 个不同的字段，超出限度（{MOST_COLUMNS} 个）。{AGAIN}")
    yield 0, keys, ""
    for number, values, raw in _then(begin, records):
        if values is None or not values.keys() <= set(keys):
            yield number, None, raw or json.dumps(values, ensure_ascii=False)
        else:
            yield number, [values.get(key, "") for key in keys], ""


def _then(begin: list[Any], more: Iterator[Any]) -> Iterator[Any]:
    yield from begin
    yield from more


def _named(record: dict[str, Any]) -> dict[str, str]:
    return {str(k).strip(): "" if v is None else v if isinstance(v, str) else _literal(v) for k, v in record.items()}


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, Decimal):
        return format(value, "f")
    return str(value) if isinstance(value, int) else json.dumps(value, ensure_ascii=False, default=str)


class _Bytes:
    """A text as the UTF-8 that ijson wants."""

    def __init__(self, text: IO[str]) -> None:
        self._text = text

    def read(self, size: int) -> bytes:
        return self._text.read(size).encode()


def _json_records(text: IO[str]) -> Iterator[tuple[int, dict[str, str] | None, str]]:
    """Records of an array, of the one array in an object, or of lines."""
    start = _first_character(text)
    try:
        if start == "[":
            yield from _numbered(ijson.items(_Bytes(text), "item"))
            return
        if _is_lines(text):
            yield from _json_lines(text)
            return
        text.seek(0)
        prefix = _array_prefix(text)
        text.seek(0)
        yield from _numbered(ijson.items(_Bytes(text), f"{prefix}.item"))
    except ijson.JSONError as error:
        raise Refused(f"JSON 不完整或有语法错误（{str(error).splitlines()[0][:80]}），可能没有传完。{AGAIN}") from error


def _numbered(items: Iterator[Any]) -> Iterator[tuple[int, dict[str, str] | None, str]]:
    for number, item in enumerate(items, 1):
        yield (number, _named(item), "") if isinstance(item, dict) else (number, None, json.dumps(item, ensure_ascii=False, default=str))


def _is_lines(text: IO[str]) -> bool:
    """Whether each line is a record: the first is a whole object, and either not the only line or without anything nested."""
    text.seek(0)
    lines = (line.strip("\ufeff \t\r\n") for line in iter(lambda: text.readline(LARGEST_CELL), ""))
    filled = (line for line in lines if line)
    try:
        first = json.loads(next(filled))
    except ValueError:
        return False
    return isinstance(first, dict) and (next(filled, None) is not None or not any(isinstance(v, (list, dict)) for v in first.values()))


def _json_lines(text: IO[str]) -> Iterator[tuple[int, dict[str, str] | None, str]]:
    """One object in each line; a bad line is one bad record."""
    text.seek(0)
    for number, line in enumerate(iter(lambda: text.readline(LARGEST_CELL), ""), 1):
        if not line.strip("\ufeff \t\r\n"):
            continue
        try:
            item = json.loads(line.strip("\ufeff \t\r\n"), parse_float=Decimal)
        except ValueError:
            yield number, None, line.rstrip("\r\n")
            continue
        yield (number, _named(item), "") if isinstance(item, dict) else (number, None, line.rstrip("\r\n"))


def _first_character(text: IO[str]) -> str:
    text.seek(0)
    while character := text.read(1):
        if character not in "\ufeff \t\r\n":
            if character == "[":
                text.seek(0)
            return character
    raise Refused("文件里只有空白。请确认导出是否完成。")


def _array_prefix(text: IO[str]) -> str:
    """Where the one array of objects lies, e.g. ``data.rows``."""
    found: list[str] = []
    for prefix, event, _ in ijson.parse(_Bytes(text)):
        if event == "start_map" and prefix.endswith("item") and prefix.count("item") == 1:
            name = prefix.removesuffix(".item")
            if name not in found:
                found.append(name)
    if len(found) != 1:
        names = f"（{'、'.join(found[:5])}）" if found else ""
        raise Refused(f"JSON 里应当只有一个记录数组，实际有 {len(found)} 个{names}。请报送一个数组，或每行一条记录。")
    return found[0]


def _xml_records(file: Found) -> Iterator[tuple[int, dict[str, str] | None, str]]:
    """Elements two levels down whose children are values: ``<root><row><name>…``; attributes are values too."""
    number = 0
    for depth, element in _elements(file):
        if depth == 2:
            number += 1
            values = {_local(k): v for k, v in element.attrib.items()}
            nested = any(len(child) for child in element)
            values |= {_local(child.tag): (child.text or "").strip() for child in element}
            yield (number, None, "".join(element.itertext()).strip()) if nested else (number, values, "")


def _elements(file: Found) -> Iterator[tuple[int, Element]]:
    """Each element at its end with its depth (the root's is 1); those two levels down are forgotten after use."""
    try:
        with file.path.open("rb") as f:
            source: IO[Any] = f if file.encoding.startswith(("utf-8", "utf-16")) else io.TextIOWrapper(f, file.encoding)
            path: list[Element] = []
            for event, element in iterparse(source, events=("start", "end"), forbid_dtd=True):
                if event == "start":
                    path.append(element)
                    continue
                yield len(path), element
                path.pop()
                if len(path) == 1:
                    path[0].remove(element)
    except DefusedXmlException as error:
        raise Refused("XML 里有文档类型或实体声明，可能用来读取别的文件，不予接收。请去掉 DOCTYPE 后再送。") from error
    except ParseError as error:
        line, column = error.position
        raise Refused(f"XML 不完整或有语法错误（第 {line} 行第 {column + 1} 列），可能没有传完。{AGAIN}") from error


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


# ---- SpreadsheetML (Excel 2003 XML) ----

_SS = "{urn:schemas-microsoft-com:office:spreadsheet}"


def _spreadsheetml(file: Found) -> Iterator[Sheet]:
    # Worksheets are what lies two levels down; one at a time is held.
    for depth, element in _elements(file):
        if depth == 2 and element.tag == f"{_SS}Worksheet":
            yield Sheet(element.get(f"{_SS}Name", ""), _spreadsheet_rows(element))


def _spreadsheet_rows(sheet: Element) -> Iterator[Row]:
    number = 0
    holds: dict[int, tuple[int, str]] = {}
    for row in sheet.iter(f"{_SS}Row"):
        number = int(row.get(f"{_SS}Index", number + 1))
        cells: Cells = []
        for cell in row.iter(f"{_SS}Cell"):
            index = int(cell.get(f"{_SS}Index", len(cells) + 1))
            if index > MOST_COLUMNS:
                raise Refused(f"第 {number} 行有 {index} 列，超出限度（{MOST_COLUMNS} 列）。请删去右侧的空列后再送。")
            cells += [""] * (index - 1 - len(cells))
            data = cell.find(f"{_SS}Data")
            text = _spreadsheet_text(data)
            down, across = int(cell.get(f"{_SS}MergeDown", 0)), int(cell.get(f"{_SS}MergeAcross", 0))
            if down:
                holds[len(cells)] = (number + down, text)
            cells += [text, *[""] * min(across, MOST_COLUMNS)]
        for column, (last, text) in holds.items():
            if number <= last:
                cells += [""] * (column + 1 - len(cells))
                cells[column] = cells[column] or text
        yield number, cells, ""


def _spreadsheet_text(data: Element | None) -> str:
    if data is None:
        return ""
    text = "".join(data.itertext())
    kind = data.get(f"{_SS}Type")
    if kind == "Number":
        try:
            return cell_text(float(text)) if "." in text or "e" in text.lower() else text
        except ValueError:
            return text
    return text.removesuffix(".000").removesuffix("T00:00:00") if kind == "DateTime" else text
