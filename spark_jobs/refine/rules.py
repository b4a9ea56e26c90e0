"""Routing: which rules of the feed's contract a record fails.

A rule of severity `quarantine` sets the record aside, one of severity `warn` marks it. What no ODCS metric can say is a named function
here: `invalidValues` with `arguments: {check: NAME}`, found in CHECKS. Every check is named by the contract and every name exists (test).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple, Protocol

from catalog.contract import Contract, Rule, load_contracts
from infra.clock import china_day
from spark_jobs.refine import capital, identifiers, kinds
from spark_jobs.refine.columns import each, no_ids
from spark_jobs.refine.dates import parse_date
from spark_jobs.refine.districts import province_names
from spark_jobs.refine.text import ANNOTATION, is_plain, stated, tidy, unreadable

FEED = "bronze.registration_subjects"
FIRST_PLAUSIBLE = dt.date(1949, 10, 1)  # no registrar of today is older
LARGEST_PLAUSIBLE = Decimal(10) ** 11  # yuan; the largest of the real register is 1.5 × 10^10, a unit mistake multiplies by 10^4

_LETTERS = re.compile(r"[\u3400-\u9fff\U00020000-\U0003ffff]|[^\W\d_]{2}")
_CJK = re.compile("[\u3400-\u9fff]")
_COMPANY = re.compile("[\u3400-\u9fff]{3}(?:公司|合伙）|企业|合作社|[店厂部行社中心馆所院场档室站会队铺坊吧园])(?:（.*）)?$")
_AMOUNT = re.compile("[0-9]|[万亿元圆整)）]$")  # a Chinese numeral alone proves no amount: people are called 李四
_RESIDENT_IN_TEXT = re.compile(r"(?<![0-9])[1-8][0-9]{16}[0-9Xx](?![0-9])")
_SEVENTEEN_DIGITS = re.compile("[1-8][0-9]{16}")
_DIGIT = re.compile(r"\d")


class Rows(NamedTuple):
    """Records by column, with what they were made of: `delivered` texts, the same tidied in `said` (None: nothing), `record` as refined,
    `name_categories` as the names prove them (kinds.category_of_name), the day each arrived (China)."""

    delivered: Mapping[str, Sequence[str | None]]
    said: Mapping[str, Sequence[str | None]]
    record: Mapping[str, Sequence[Any]]
    identifiers: Sequence[identifiers.Identifier]
    kinds: Sequence[kinds.TypeKind]
    capitals: Sequence[capital.Capital]
    name_categories: Sequence[str | None]
    arrived_on: Sequence[dt.date]
    listed: Collection[str] = ()  # columns of allowed values


class AnyRows(Protocol):
    """Rows of any feed: as above, what a rule about one column looks at."""

    @property
    def delivered(self) -> Mapping[str, Sequence[str | None]]: ...
    @property
    def said(self) -> Mapping[str, Sequence[str | None]]: ...
    @property
    def record(self) -> Mapping[str, Sequence[Any]]: ...
    @property
    def arrived_on(self) -> Sequence[dt.date]: ...
    @property
    def listed(self) -> Collection[str]: ...


Check = Callable[[Any], list[bool]]
CHECKS: dict[str, Check] = {}


def check(function: Check) -> Check:
    """Register a check under its name. It returns True for each row that is in order, also where there is nothing to judge."""
    CHECKS[function.__name__] = function
    return function


# --- name and the record as a whole ------------------------------------------------------------------------------------


@check
def name_legible(rows: Rows) -> list[bool]:
    """The name names something: not only digits and signs, no code, no date."""
    return [name is None or _legible(name, key) for name, key in zip(rows.record["subject_name"], rows.record["normalized_name"], strict=True)]


def _legible(name: str, key: str | None) -> bool:
    if key is None or _LETTERS.search(name) is None:
        return False
    return not name.isascii() or (identifiers.identify(name) is identifiers.NO_IDENTIFIER and parse_date(name) is None)


@check
def name_clean(rows: Rows) -> list[bool]:
    """The name has no lost character, no registrar's remark (简称, 冻结) and no trailing punctuation."""
    return [
        text is None or is_plain(text) or name is None or _clean(text)
        for text, name in zip(rows.delivered["subject_name"], rows.record["subject_name"], strict=True)
    ]


def _clean(text: str) -> bool:
    raw = tidy(text)
    return raw is None or not (raw[-1] in "。．.,，;；、:：*" or unreadable(text) or ANNOTATION.search(raw))


@check
def columns_aligned(rows: Rows) -> list[bool]:
    """Fewer than two columns hold what belongs into another: then the sender's columns have slipped, and none can be trusted."""
    record, said, provinces = rows.record, rows.said, province_names()
    slipped = (
        [province is not None and province not in provinces for province in record["province_name"]],
        [
            held.status == "unparsed" and not _AMOUNT.search(text or "")
            for held, text in zip(rows.capitals, record["registered_capital_text"], strict=True)
        ],
        [date is None and _is_words(text) for date, text in zip(record["registration_date"], said["registration_date"], strict=True)],
        [found.kind == "none" and bool(_CJK.search(text or "")) for found, text in zip(rows.identifiers, said["credit_code"], strict=True)],
        [
            name is not None and name.isascii() and bool(_DIGIT.search(name)) and not _legible(name, key)
            for name, key in zip(record["subject_name"], record["normalized_name"], strict=True)
        ],
        [address is not None and not _CJK.search(address) and bool(_DIGIT.search(address)) for address in record["registered_address"]],
    )
    return [sum(columns) < 2 for columns in zip(*slipped, strict=True)]


def _is_words(date_text: str | None) -> bool:
    return bool(_CJK.search((date_text or "").replace("年", "").replace("月", "").replace("日", "")))


@check
def subject_identifiable(rows: Rows) -> list[bool]:
    """A code or number, or a name with its district: without one nobody can say which subject is meant."""
    return [found.value is not None or district is not None for found, district in zip(rows.identifiers, rows.record["district_code"], strict=True)]


@check
def no_resident_id_in_text(rows: Rows) -> list[bool]:
    """Name, address and scope hold no resident identity number."""
    columns = [rows.record[column] for column in ("subject_name", "registered_address", "business_scope")]
    return [not any(text is not None and _holds_resident_id(text) for text in texts) for texts in zip(*columns, strict=True)]


def _holds_resident_id(text: str) -> bool:
    # The digits alone are found faster, and nearly no text has so many.
    return _SEVENTEEN_DIGITS.search(text) is not None and any(
        identifiers.is_resident_id(found[0].upper()) for found in _RESIDENT_IN_TEXT.finditer(text)
    )


@check
def representative_is_name(rows: Rows) -> list[bool]:
    """The representative is a name, without digits (a phone or identity number)."""
    return [text is None or not _DIGIT.search(text) for text in rows.record["legal_representative"]]


# --- code --------------------------------------------------------------------------------------------------------------


@check
def no_resident_id_as_code(rows: Rows) -> list[bool]:
    """The code column holds no person's identity number."""
    return [not found.resident for found in rows.identifiers]


@check
def identifier_recognised(rows: Rows) -> list[bool]:
    """What is stated as code is a credit code or a registration number by its form."""
    return [found.kind != "none" or found.resident or text is None for found, text in zip(rows.identifiers, rows.said["credit_code"], strict=True)]


@check
def identifier_checked(rows: Rows) -> list[bool]:
    """The check digits fit, or the code is one of the pilot, or there are none (13 digits)."""
    return [found.check in ("passed", "pilot", "unchecked") for found in rows.identifiers]


@check
def department_known(rows: Rows) -> list[bool]:
    """Positions 1 and 2 of a credit code are a department and a category of the standard."""
    return [code is None or identifiers.department_known(code) for code in rows.record["credit_code"]]


@check
def code_not_filled_up(rows: Rows) -> list[bool]:
    """A credit code is whole, not a beginning filled up with zeros: many subjects would share it."""
    return [code is None or not identifiers.is_filler(code) for code in rows.record["credit_code"]]


# --- date --------------------------------------------------------------------------------------------------------------


@check
def registration_date_real(rows: Rows) -> list[bool]:
    """A stated date can be read and exists."""
    return [date is not None or text is None for date, text in zip(rows.record["registration_date"], rows.said["registration_date"], strict=True)]


@check
def registration_date_not_future(rows: Rows) -> list[bool]:
    """The date is not after the day of arrival."""
    return [date is None or date <= arrived_on for date, arrived_on in zip(rows.record["registration_date"], rows.arrived_on, strict=True)]


@check
def registration_date_plausible(rows: Rows) -> list[bool]:
    """The date is not before 1949-10-01."""
    return [date is None or date >= FIRST_PLAUSIBLE for date in rows.record["registration_date"]]


# --- kind --------------------------------------------------------------------------------------------------------------


@check
def type_known(rows: Rows) -> list[bool]:
    """A stated type is in the list of types."""
    return [kind.known or kind.text is None for kind in rows.kinds]


@check
def category_consistent(rows: Rows) -> list[bool]:
    """Type, name and a code that passed its checks don't say different categories."""
    return [
        _agree(kind.category, by_name, kinds.category_of_code(found.value or "") if found.trusted else None)
        for kind, by_name, found in zip(rows.kinds, rows.name_categories, rows.identifiers, strict=True)
    ]


@cache
def _agree(by_type: str | None, by_name: str | None, by_code: str | None) -> bool:
    said = {by_type, by_name} - {None}
    if said == {"foreign_office", "branch"}:  # offices of foreign companies call themselves 办事处 too
        return True
    # 91 covers companies, their branches and offices.
    if by_code is not None and not (by_code == "enterprise" and said <= {"enterprise", "branch", "foreign_office"}):
        said.add(by_code)
    return len(said) < 2


# --- capital -----------------------------------------------------------------------------------------------------------


@check
def capital_stated(rows: Rows) -> list[bool]:
    """A company states its capital. Branches, offices and sole traders have none."""
    return [
        held.status != "not_stated" or category != "enterprise" for held, category in zip(rows.capitals, rows.record["subject_category"], strict=True)
    ]


@check
def capital_parsed(rows: Rows) -> list[bool]:
    """A stated capital can be read."""
    return [held.status != "unparsed" for held in rows.capitals]


@check
def capital_unit_stated(rows: Rows) -> list[bool]:
    """A capital has a unit; a bare number counts as yuan and may be meant in 万元."""
    return [held.amount is None or held.unit is not None for held in rows.capitals]


@check
def capital_rate_known(rows: Rows) -> list[bool]:
    """There is a rate for the currency and year."""
    return [held.status != "no_rate" for held in rows.capitals]


@check
def capital_plausible(rows: Rows) -> list[bool]:
    """A capital is not above 10^11 yuan, and that of a company is above zero."""
    return [
        held.yuan is None or ((held.yuan > 0 or category != "enterprise") and held.yuan <= LARGEST_PLAUSIBLE)
        for held, category in zip(rows.capitals, rows.record["subject_category"], strict=True)
    ]


# --- scope, industry, place --------------------------------------------------------------------------------------------


@check
def scope_complete(rows: Rows) -> list[bool]:
    """The scope is not cut off at 1,024 characters."""
    return [not truncated for truncated in rows.record["scope_truncated"]]


@check
def industry_readable(rows: Rows) -> list[bool]:
    """A stated industry is a code or the name of a section or division."""
    return [basis == "stated" or text is None for basis, text in zip(rows.record["industry_basis"], rows.said["industry_name"], strict=True)]


@check
def district_found(rows: Rows) -> list[bool]:
    """An address of the city names its district."""
    return [
        code is not None or reason in ("no_address", "other_city")
        for code, reason in zip(rows.record["district_code"], rows.record["district_reason"], strict=True)
    ]


@check
def address_in_city(rows: Rows) -> list[bool]:
    """The address lies in the city."""
    return [reason != "other_city" for reason in rows.record["district_reason"]]


@check
def district_agrees(rows: Rows) -> list[bool]:
    """Address and supervising authority name the same district, where both name one."""
    return [
        supervising is None or code is None or supervising == code
        for supervising, code in zip(rows.record["supervising_district_code"], rows.record["district_code"], strict=True)
    ]


# --- one column of any feed --------------------------------------------------------------------------------------------


def readable(rows: AnyRows, column: str) -> list[bool]:
    """What is stated could be read as a value of the column."""
    return [value is not None or text is None for value, text in zip(rows.record[column], rows.said[column], strict=True)]


def aligned(rows: AnyRows, column: str) -> list[bool]:
    """Fewer than two columns of the row hold what can't be read as their value: else the sender's columns have slipped.

    A company's name in the place of a code counts as two; a word that is none of the allowed ones as nothing, for it may be a new one.
    """
    unread = {name: [not good for good in readable(rows, name)] for name in rows.record if name not in rows.listed}
    names = [
        [bad and _COMPANY.search(text or "") is not None for bad, text in zip(of_column, rows.said[name], strict=True)]
        for name, of_column in unread.items()
        if name.endswith("_code")
    ]
    return [sum(of_row) < 2 for of_row in zip(*unread.values(), *names, strict=True)]


def not_after_arrival(rows: AnyRows, column: str) -> list[bool]:
    """A date is not after the day of arrival."""
    days = [china_day(value) if isinstance(value, dt.datetime) else value for value in rows.record[column]]
    return [day is None or day <= arrived for day, arrived in zip(days, rows.arrived_on, strict=True)]


def code_checked(rows: AnyRows, column: str) -> list[bool]:
    """The check digits of a code or number fit, or it is one of the pilot, or there are none (13 digits)."""
    return each(_code_checks, rows.record[column])


def no_code(rows: AnyRows, column: str) -> list[bool]:
    """The number of a document is no credit code."""
    return [text is None or identifiers.identify(text).kind != "uscc" for text in rows.said[column]]


def no_resident_id(rows: AnyRows, column: str) -> list[bool]:
    """A text holds no resident identity number."""
    return [text is None or not _holds_resident_id(text.upper()) for text in rows.said[column]]


COLUMN_CHECKS: dict[str, Callable[[AnyRows, str], list[bool]]] = {
    f.__name__: f for f in (aligned, readable, not_after_arrival, code_checked, no_code, no_resident_id)
}


def _code_checks(code: str | None) -> bool:
    return code is None or identifiers.identify(code).check in ("passed", "pilot", "unchecked")


# --- from the contract -------------------------------------------------------------------------------------------------


def faults(feed: Contract) -> Iterator[str]:
    """Why no row can be judged by a rule of a feed whose contract is otherwise valid, in Chinese, a line for each rule."""
    known = COLUMN_CHECKS.keys() if feed.record_key else COLUMN_CHECKS.keys() | CHECKS.keys()
    for rule in _row_rules(feed):
        place = f"{feed.layer}/{feed.path.name}: quality {rule.id}"
        if (name := rule.arguments.get("check")) and name not in known:
            yield f"{place}: 没有 check: {name}；可用的：{'、'.join(sorted(known))}"
        if (rule.operator, rule.threshold) != ("mustBe", 0):
            yield f"{place}: 逐条判断的规则只能写 mustBe: 0；请改正"


def _row_rules(contract: Contract) -> list[Rule]:
    return [r for r in contract.rules if r.severity in ("quarantine", "warn") and r.metric in ("nullValues", "missingValues", "invalidValues")]


class Router:
    """The row rules of a feed's contract, made ready once.

    Raises ValueError for a rule that no row can be judged by, KeyError for a check that does not exist.
    """

    def __init__(self, contract: Contract) -> None:
        self.quarantine = sorted((r.id, _test(r)) for r in _row_rules(contract) if r.severity == "quarantine")
        self.warn = sorted((r.id, _test(r)) for r in _row_rules(contract) if r.severity == "warn")

    def route(self, rows: AnyRows) -> tuple[list[Sequence[str]], list[Sequence[str]]]:
        """(reasons, marks), each for each row: sorted ids of the quarantine rules and of the warn rules that it fails."""
        return _failed(self.quarantine, rows), _failed(self.warn, rows)


def _failed(tests: list[tuple[str, Check]], rows: AnyRows) -> list[Sequence[str]]:
    failed = no_ids(len(rows.arrived_on))
    for name, test in tests:
        good = test(rows)
        if not all(good):
            for row, passed in enumerate(good):
                if not passed:
                    failed[row] = [*failed[row], name]
    return failed


def _test(rule: Rule) -> Check:
    if (rule.operator, rule.threshold) != ("mustBe", 0):
        raise ValueError(f"rule {rule.id}: a rule about single rows says mustBe: 0")
    (column,) = rule.columns
    if name := rule.arguments.get("check"):
        in_column = COLUMN_CHECKS.get(name)
        return CHECKS[name] if in_column is None else lambda rows: in_column(rows, column)
    if rule.metric == "nullValues":
        return lambda rows: [text is not None for text in rows.delivered[column]]
    if rule.metric == "missingValues":
        # What stands for nothing in every column (text.NULL_TOKENS) is missing too; a rule can only add to it.
        more = frozenset(token for token in rule.arguments.get("missingValues", ()) if stated(token) is not None)
        return lambda rows: [text is not None and text not in more for text in rows.said[column]]
    # A value that is missing is not invalid; that is the other rule's matter.
    if "pattern" in rule.arguments:
        search = re.compile(rule.arguments["pattern"]).search
        return lambda rows: [text is None or search(text) is not None for text in rows.said[column]]
    valid = frozenset(rule.arguments.get("validValues", ()))
    return lambda rows: [text is None or text in valid for text in rows.said[column]]


@cache
def router(feed: str = FEED) -> Router:
    """The router of a feed's contract. Raises ContractError, KeyError for another id."""
    return Router(load_contracts()[feed])
