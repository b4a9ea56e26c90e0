"""Registered-capital text to an amount, its currency and its value in yuan.

The text doesn't say whether capital is subscribed or paid in; neither does the result.
"""

from __future__ import annotations

import re
import unicodedata
from decimal import ROUND_HALF_UP, Decimal
from functools import cache, lru_cache
from typing import NamedTuple

from spark_jobs.refine import codes
from spark_jobs.refine.text import stated

LARGEST_YUAN = Decimal(10) ** 13  # ten times the largest bank's; anything above is no capital
LARGEST_FOREIGN = Decimal(10) ** 17  # without a rate only the width of the column bounds an amount
_CENT, _MICRO = Decimal("0.01"), Decimal("0.000001")

_NUMBER = re.compile(r"(?P<number>[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?|[0-9]{1,18}(?:\.[0-9]+)?|\.[0-9]+)")
_CHINESE_NUMBER = re.compile("(?P<number>[零〇一二两三四五六七八九壹贰叁肆伍陆柒捌玖十百千万亿拾佰仟]+)(?=[元圆整美港日欧英人]|$)")
_BRACKETS = re.compile(r"[()\[\]【】〔〕]")
_AROUND_CURRENCY = re.compile(r"^[十百千万亿元圆]+|[整正]$")
_WORD = re.compile("[\u3400-\u9fffA-Z]{2,10}")
_UNIT = {"": 1, "千": 10**3, "万": 10**4, "十万": 10**5, "百万": 10**6, "千万": 10**7, "亿": 10**8, "十亿": 10**9, "百亿": 10**10}
_DIGITS = {c: i for i, group in enumerate(("零〇", "一壹", "二贰两", "三叁", "四肆", "五伍", "六陆", "七柒", "八捌", "九玖")) for c in group}
_TENS = {"十": 10, "拾": 10, "百": 100, "佰": 100, "千": 1000, "仟": 1000}


class Capital(NamedTuple):
    """`yuan`: value in yuan, 2 places. `amount`: in whole units of the currency (not in 万), 6 places. `unit`: 元, 万元, …; None where
    the text has none, then the number counts as whole units. `currency`: ISO 4217 (CNY also where it is not stated).
    `rate`: yuan for one unit, `rate_year`: its year; None for CNY. `status`: yuan, converted, no_rate, not_stated, unparsed."""

    status: str
    yuan: Decimal | None = None
    amount: Decimal | None = None
    unit: str | None = None
    currency: str | None = None
    currency_stated: bool = False
    rate: Decimal | None = None
    rate_year: int | None = None


NOT_STATED = Capital("not_stated")
UNPARSED = Capital("unparsed")


@cache
def rates() -> dict[tuple[str, int], Decimal]:
    """(currency, year) → yuan for one unit, annual average. Only what the list has; no year is guessed."""
    return {(r["currency"], int(r["year"])): Decimal(r["cny_per_unit"]) for r in codes.rows("currency_rates_annual")}


@cache
def _currencies() -> tuple[tuple[str, str], ...]:
    """(name, currency), the longest name first: 澳大利亚元 before 元 is looked for."""
    names = {name.upper(): r["currency"] for r in codes.rows("currencies") for name in (r["name"], *r["aliases"].split("|"))}
    return tuple(sorted(names.items(), key=lambda pair: (-len(pair[0]), pair[0])))


def parse_capital(text: str | None, year: int | None) -> Capital:
    """The capital that a text states; foreign currency is converted at the average rate of `year`, the year of registration.

    Forms: 100(万人民币元), 100(万元人民币), 100万元, 3,000(万美元), 人民币100万元, １００（万元）, 壹佰万元整, 100. Negative amounts, more than
    10^13 yuan, commas that don't group by three, and words that are neither unit nor currency are `unparsed`.
    """
    if text is None:
        return NOT_STATED
    if len(text) > 200:  # no amount is that long; and a cache shall not keep it
        return UNPARSED
    return _parse(text, year)


@lru_cache(maxsize=65536)
def _parse(raw: str, year: int | None) -> Capital:
    text = stated(raw)
    if text is None:
        return NOT_STATED
    compact = _compact(text)
    found = _NUMBER.search(compact)
    if found:
        number = Decimal(found["number"].replace(",", ""))
        words = _words(compact[: found.start()] + "|" + compact[found.end() :])
    else:
        found = _CHINESE_NUMBER.search(compact)
        if not found:
            return UNPARSED
        value = _chinese_number(found["number"])
        if value is None:
            return UNPARSED
        number, words = Decimal(value), _words(compact[: found.start()] + "|" + compact[found.end() :])
    if words is None:
        return UNPARSED
    unit, factor, currency, currency_stated = words
    amount = number * factor
    if amount > (LARGEST_YUAN if currency == "CNY" else LARGEST_FOREIGN):
        return UNPARSED
    amount = amount.quantize(_MICRO, ROUND_HALF_UP)
    if currency == "CNY":
        return Capital("yuan", amount.quantize(_CENT, ROUND_HALF_UP), amount, unit, currency, currency_stated)
    rate = rates().get((currency, year)) if year is not None else None
    if rate is None:
        return Capital("no_rate", None, amount, unit, currency, True)
    yuan = (amount * rate).quantize(_CENT, ROUND_HALF_UP)
    return UNPARSED if yuan > LARGEST_YUAN else Capital("converted", yuan, amount, unit, currency, True, rate, year)


def _compact(text: str) -> str:
    return _BRACKETS.sub("", "".join(unicodedata.normalize("NFKC", text).upper().split())).replace("，", ",")


def unknown_currency(text: str | None) -> str | None:
    """The word at the place of a currency that the list does not know (100万火星币 → 火星币) in a text that is `unparsed`; else None."""
    said = stated(text) if text is not None and len(text) <= 200 else None
    found = _NUMBER.search(compact := _compact(said)) if said is not None else None
    if found is None:
        return None
    before, after = compact[: found.start()], compact[found.end() :]
    word = before.rstrip(":") + _AROUND_CURRENCY.sub("", after)
    return word if _WORD.fullmatch(word) and not any(name in word for name, _ in _currencies()) else None


@lru_cache(maxsize=4096)
def _words(around: str) -> tuple[str | None, int, str, bool] | None:
    """(unit, its factor, currency, whether it was stated) of the words around the number (`|`); None if a word is neither."""
    currency = None
    for name, code in _currencies():
        if name in around:
            currency, around = code, around.replace(name, "", 1)
            break
    before, _, after = around.partition("|")
    if before not in ("", "元", ":"):  # 注册资本：, a sign or a second number is nothing that can be read
        return None
    rest = after.removesuffix("整").removesuffix("正")
    whole = "元" in rest or "圆" in rest
    rest = rest.replace("元", "", 1) if "元" in rest else rest.replace("圆", "", 1)
    if rest not in _UNIT:
        return None
    # 万美元 and 万人民币 are counted in 万 whole units too; only a bare number has no unit.
    unit = f"{rest}元" if rest or whole or currency else None
    return unit, _UNIT[rest], currency or "CNY", currency is not None


def _chinese_number(text: str) -> int | None:
    """The value of a Chinese numeral such as 壹佰贰拾万; None where its order makes no sense."""
    total = section = 0
    digit: int | None = None
    last = 10**4
    for symbol in text:
        if symbol in _DIGITS:
            if digit not in (None, 0):
                return None
            digit = _DIGITS[symbol]
        elif symbol in _TENS:
            if _TENS[symbol] >= last:
                return None
            last = _TENS[symbol]
            section, digit = section + (1 if digit is None else digit) * last, None
        else:
            section += digit or 0
            if symbol == "万" and section and total % 10**8 == 0:
                total += section * 10**4
            elif symbol == "亿" and (total or section) and total < 10**8:
                total = (total + section) * 10**8
            else:
                return None
            section, digit, last = 0, None, 10**4
    return total + section + (digit or 0)
