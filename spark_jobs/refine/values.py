"""Delivered text to the value of a column, as the column's declaration says: by its type, its allowed values, its reader and unit."""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from catalog.contract import Column
from spark_jobs.refine.dates import parse_date, parse_moment
from spark_jobs.refine.identifiers import identify
from spark_jobs.refine.text import clean_name

UNITS = {"元": Decimal(1), "千元": Decimal(10) ** 3, "万元": Decimal(10) ** 4, "亿元": Decimal(10) ** 8, "%": Decimal("0.01")}
_YES, _NO = frozenset(("是", "有", "Y", "YES", "TRUE", "1")), frozenset(("否", "无", "没有", "N", "NO", "FALSE", "0"))
_INTEGER = re.compile(r"(?P<number>[+-]?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,18}))(?:\.0+)?(?:年|年度)?")
_MONEY = re.compile(r"^(?:人民币|[¥￥])|(?:人民币)?[整正]?$")
_NUMBER = re.compile(r"(?P<number>[+-]?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,20})(?:\.[0-9]{1,12})?)(?P<unit>%|元|[千万亿]元?)?")
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")
_YEAR_IN_BRACKETS = re.compile(r"[(\[【〔{]((?:19|20)[0-9]{2})[)\]】〕}]")
_PERIOD = re.compile(r"(?P<y>(?:19|20)[0-9]{2})年?(?:度|-?(?:Q(?P<q>[1-4])|第?(?P<qz>[一二三四1-4])季度?)|[-./]?(?P<m>0?[1-9]|1[0-2])月?)?")
_QUARTERS = {"一": 1, "二": 2, "三": 3, "四": 4, "1": 1, "2": 2, "3": 3, "4": 4}
NO_END = dt.date(9999, 12, 31)
_FOR_GOOD = frozenset(("长期", "长期有效", "永久", "永久有效", "无固定期限", "无期限"))
_RANGE = {"INT": 2**31 - 1, "BIGINT": 2**63 - 1}

Read = Callable[[str], Any]


def reader(column: Column) -> Read | None:
    """The function of a stated text (tidy, never one that stands for nothing) that gives the column's value, None where it can't be read.

    None: the text itself is the value. Amounts come in yuan; the unit of the delivery holds where the text has none of its own. Times come
    in UTC, read as China's where the text has no offset; a text of allowed values may be the label or the value.
    Raises NotImplementedError for a type that no feed has yet.
    """
    if column.allowed:
        known = {_plain(value): value for value, _ in column.allowed} | {_plain(label): value for value, label in column.allowed}
        known |= {_plain(text): value for text, value in column.spoken}
        return lambda text: known.get(_plain(text))
    if column.reader is not None and column.reader != "ratio":
        return _READERS[column.reader]
    if found := _DECIMAL.fullmatch(column.type):
        precision, scale, unit = int(found[1]), int(found[2]), column.delivered_unit or "元"
        if column.reader == "ratio":
            return lambda text: None if (ratio := _amount(text, precision, scale, "%")) is None or abs(ratio) > 1 else ratio
        return lambda text: _amount(text, precision, scale, unit)
    if column.type in _RANGE:
        return lambda text: _integer(text, _RANGE[column.type])
    fixed: dict[str, Read | None] = {"STRING": None, "DATE": parse_date, "TIMESTAMP": parse_moment, "BOOLEAN": _yes}
    if column.type not in fixed:
        raise NotImplementedError(f"{column.name}: no reader for {column.type}")
    return fixed[column.type]


def canonical(value: object) -> str | None:
    """The text under which equal values are equal, for keys and content hashes; None for none."""
    if value is None or type(value) is str:
        return value
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat()
    return str(value)


def _plain(text: str) -> str:
    return re.sub(r"\s+", "", unicodedata.normalize("NFKC", text)).upper()


def _identifier(text: str) -> str | None:
    return identify(text).value


def _document_number(text: str) -> str:
    """One way to write it: half width, no blanks, the year in 〔〕 (GB/T 9704-2012 of official documents) whatever brackets it came in."""
    said = re.sub(r"\s+", "", unicodedata.normalize("NFKC", text))
    return _YEAR_IN_BRACKETS.sub(r"〔\1〕", said)


def _period(text: str) -> str | None:
    """A year, quarter or month in one way to write it: 2025, 2025Q3, 2025-09."""
    found = _PERIOD.fullmatch(_plain(text))
    if found is None:
        return None
    if quarter := found["q"] or found["qz"]:
        return f"{found['y']}Q{_QUARTERS[quarter]}"
    return f"{found['y']}-{int(found['m']):02}" if found["m"] else found["y"]


def _expiry(text: str) -> dt.date | None:
    """The last day of a term; one that has no end is `NO_END`."""
    return NO_END if _plain(text) in _FOR_GOOD else parse_date(text)


def _yes(text: str) -> bool | None:
    said = _plain(text)
    return True if said in _YES else False if said in _NO else None


def _integer(text: str, largest: int) -> int | None:
    found = _INTEGER.fullmatch(_plain(text))
    if found is None:
        return None
    number = int(found["number"].replace(",", ""))
    return number if abs(number) <= largest else None


@lru_cache(maxsize=65536)
def _amount(text: str, precision: int, scale: int, unit: str) -> Decimal | None:
    found = _NUMBER.fullmatch(_MONEY.sub("", _plain(text)))
    if found is None or (found["unit"] == "%" and unit != "%"):
        return None
    own = found["unit"] if found["unit"] in (None, "%") else f"{found['unit'].rstrip('元')}元"
    try:
        number = Decimal(found["number"].replace(",", "")) * UNITS[own or (unit if unit != "%" else "元")]
        number = number.quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP) + 0  # no minus before a zero
    except InvalidOperation:  # more digits than the context has
        return None
    return number if abs(number) < Decimal(10) ** (precision - scale) else None


_READERS: dict[str, Read] = {
    "credit_code": _identifier,
    "name": clean_name,
    "document_number": _document_number,
    "period": _period,
    "expiry": _expiry,
}
