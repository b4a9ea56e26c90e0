"""Find the header among the rows of a sheet, bind columns by name, and tell records from banners, footers and blanks.

Never by position and never by guess: a row is taken for the header only where its texts are names that the contract knows, and all of
them are. Where that is not so, the delivery stops with what was seen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from catalog.contract import Contract
from catalog.derive import header_bindings, required_headers
from spark_jobs.ingest.readers import Cells, Row, Sheet
from spark_jobs.ingest.refusal import Refused

BANNER_ROWS = 30  # the header is looked for in so many filled rows
TOTALS = ("合计", "总计", "小计")
FOOTERS = (*TOTALS, "数据来源", "制表", "填表", "填报", "审核", "备注", "注：", "注:", "说明：", "说明:", "打印时间", "导出时间")
_TOTAL = re.compile(r"[0-9][0-9,.]* *(?:条|户|件|家|个|人|元|万元|亿元)?")
_FOOTER_BEGINS = frozenset(footer[0] for footer in FOOTERS)
FOOTER_SHARE = 1 / 3  # a footer fills no more of the columns than this

Record = tuple[int, dict[str, str] | None, str]


@dataclass(eq=False)  # two sheets may be alike
class Table:
    """A sheet with its header. ``headers``: what it calls each of ``columns``. ``confidence``: the share of the header row's filled cells that
    name a column, 0 to 1.

    ``rows``: the records, each as its number, its cells in the order of ``columns`` and "", or its number, None and the text that could
    not be split. ``notes`` says, once they are read, which rows were no records and why.
    """

    sheet: str
    header_row: int
    confidence: float
    columns: list[str]
    headers: list[str]
    rows: Iterator[Row]
    notes: list[str] = field(default_factory=list)

    @property
    def records(self) -> Iterator[Record]:
        """``rows`` with their cells by column."""
        for number, cells, raw in self.rows:
            yield number, None if cells is None else dict(zip(self.columns, cells, strict=True)), raw


def known_header(contract: Contract) -> Callable[[str], bool]:
    """Whether a text names a column of the contract."""
    bindings = header_bindings(contract)
    return lambda text: tidy(text) in bindings


def tidy(header: str) -> str:
    """A header cell as it is compared: without blanks, line breaks and the mark of a required column."""
    return "".join(header.split()).strip("*＊\ufeff")


def table(contract: Contract, sheet: Sheet, padded: bool) -> Table | None:
    """The table of a sheet; None where no row names any column. ``padded``: short rows only lack empty cells at their end.

    Raises:
        Refused: a row looks like a header but is not wholly understood; required columns are missing; columns are unknown or twice.
    """
    bindings = header_bindings(contract)
    rows = iter(sheet.rows)
    before: list[Row] = []
    header: Row | None = None
    for row in _filled(rows):
        before.append(row)
        if _hits(bindings, row[1] or []) == _most(bindings, row[1] or []) or sheet.headed:
            header = row
            break
        if len(before) == BANNER_ROWS:
            break
    if header is None:
        likely = max(before, key=lambda r: _hits(bindings, r[1] or []), default=None)
        if likely is None or _hits(bindings, likely[1] or []) == 0:
            return None
        header = likely  # the check below says what is wrong with it
    number, cells, _ = header
    columns = _bind(contract, bindings, sheet.name, number, cells or [])
    sheet.width = len(columns)
    filled = sum(1 for c in cells or [] if c.strip())
    headers = [tidy(c) for c in (cells or [])[: len(columns)]]
    found = Table(sheet.name, number, _hits(bindings, cells or []) / max(filled, 1), columns, headers, iter(()))
    found.rows = _records(found, rows, padded)
    return found


def _filled(rows: Iterable[Row]) -> Iterator[Row]:
    return (row for row in rows if row[1] is None or any(c.strip() for c in row[1]))


def _hits(bindings: dict[str, str], cells: Cells) -> int:
    return len({bindings[tidy(c)] for c in cells if tidy(c) in bindings})


def _most(bindings: dict[str, str], cells: Cells) -> int:
    """How many hits make a row the header for certain: all its filled cells, and at least two."""
    return max(2, sum(1 for c in cells if c.strip()))


def _bind(contract: Contract, bindings: dict[str, str], sheet: str, number: int, cells: Cells) -> list[str]:
    while cells and not cells[-1].strip():
        cells = cells[:-1]
    names = [tidy(c) for c in cells]
    columns = [bindings.get(name, "") for name in names]
    unknown = [name for name in names if name and name not in bindings]
    unnamed = [str(i) for i, name in enumerate(names, 1) if not name]
    missing = [contract.column(name).chinese for name in required_headers(contract) if name not in columns]
    twice = [contract.column(name).chinese for name in sorted({c for c in columns if c and columns.count(c) > 1})]
    if unknown or unnamed or missing or twice:
        parts = [f"不认识的列：{'、'.join(n[:20] for n in unknown[:20])}"] if unknown else []
        parts += [f"没有列名的列：第 {'、'.join(unnamed)} 列"] if unnamed else []
        parts += [f"缺少的列：{'、'.join(missing)}"] if missing else []
        parts += [f"重复的列：{'、'.join(twice)}"] if twice else []
        where = f"（{f'工作表“{sheet}”' if sheet else ''}第 {number} 行）" if number else ""
        raise Refused(
            f"表头{where}与《{contract.chinese}》的约定不符。{'；'.join(parts)}。"
            f"认出的列是：{'、'.join(n for n in names if n in bindings)}。请按约定的列名重新导出，或请数据管理员登记新的列名。"
        )
    return columns


def _is_footer(first: str, cells: Cells, width: int) -> bool:
    """Whether a row whose first text begins like a footer is one: it fills few columns, or says nothing but totals."""
    filled = [text for c in cells if (text := c.strip())]
    return len(filled) <= max(1, width * FOOTER_SHARE) or (first in TOTALS and all(_TOTAL.fullmatch(text) for text in filled if text != first))


def _records(found: Table, rows: Iterator[Row], padded: bool) -> Iterator[Row]:
    width, header = len(found.columns), found.headers
    for number, cells, raw in rows:
        if cells is None:
            yield number, None, raw
            continue
        first = cells[0].strip() if cells else ""
        if not first:
            first = next((text for c in cells if (text := c.strip())), "")
            if not first:
                continue
        # Each judgement begins with a test of one character, because nearly no row needs more.
        if first[0] in _FOOTER_BEGINS and first.startswith(FOOTERS) and _is_footer(first, cells, width):
            found.notes.append(f"第 {number} 行“{first[:12]}”是表尾或合计，不是记录")
            continue
        if header[0][0] in cells[0] and [tidy(c) for c in cells[:width]] == header:
            found.notes.append(f"第 {number} 行重复了表头，不是记录")
            continue
        if padded:
            cells = [*cells, *[""] * (width - len(cells))]
            while len(cells) > width and not cells[-1].strip():
                cells = cells[:-1]
        if len(cells) == width:
            yield number, cells, ""
        else:
            yield number, None, ",".join(cells)
