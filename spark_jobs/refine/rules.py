"""Routing: which rules of the feed's contract a record fails.

A rule of severity `quarantine` sets the record aside, one of severity `warn` marks it. What no ODCS metric can say is a named function
here: `invalidValues` with `arguments: {check: NAME}`, found in CHECKS. Every check is named by the contract and every name exists (test).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple

from catalog.contract import Contract, Rule, load_contracts
from spark_jobs.refine import capital, identifiers, kinds
from spark_jobs.refine.dates import parse_date
from spark_jobs.refine.districts import province_names
from spark_jobs.refine.text import ANNOTATION, stated, tidy, unreadable

FEED = "bronze.registration_subjects"
FIRST_PLAUSIBLE = dt.date(1949, 10, 1)  # no registrar of today is older
LARGEST_PLAUSIBLE = Decimal(10) ** 11  # yuan; the largest of the real register is 1.5 × 10^10, a unit mistake multiplies by 10^4

_LETTERS = re.compile(r"[\u3400-\u9fff\U00020000-\U0003ffff]|[^\W\d_]{2}")
_CJK = re.compile("[\u3400-\u9fff]")
_AMOUNT = re.compile("[0-9]|[万亿元圆整)）]$")  # a Chinese numeral alone proves no amount: people are called 李四
_RESIDENT_IN_TEXT = re.compile(r"(?<![0-9])[1-8][0-9]{16}[0-9Xx](?![0-9])")
_DIGIT = re.compile(r"\d")


class Row(NamedTuple):
    """A record with what it was made of: `delivered` texts by column, the same tidied in `said` (None: nothing), `record` as refined, the day
    it arrived (China)."""

    delivered: Mapping[str, str | None]
    said: Mapping[str, str | None]
    record: Mapping[str, Any]
    identifier: identifiers.Identifier
    kind: kinds.TypeKind
    capital: capital.Capital
    arrived_on: dt.date


Check = Callable[[Row], bool]
CHECKS: dict[str, Check] = {}


def check(function: Check) -> Check:
    """Register a check under its name. It returns True where the row is in order, also where there is nothing to judge."""
    CHECKS[function.__name__] = function
    return function


# --- name and the record as a whole ------------------------------------------------------------------------------------


@check
def name_legible(row: Row) -> bool:
    """The name names something: not only digits and signs, no code, no date."""
    name = row.record["subject_name"]
    if name is None:
        return True
    if row.record["normalized_name"] is None or _LETTERS.search(name) is None:
        return False
    return not name.isascii() or (identifiers.identify(name) is identifiers.NO_IDENTIFIER and parse_date(name) is None)


@check
def name_clean(row: Row) -> bool:
    """The name has no lost character, no registrar's remark (简称, 冻结) and no trailing punctuation."""
    raw = tidy(row.delivered.get("subject_name"))
    if raw is None or row.record["subject_name"] is None:
        return True
    return not (raw[-1] in "。．.,，;；、:：*" or unreadable(row.delivered["subject_name"]) or ANNOTATION.search(raw))


@check
def columns_aligned(row: Row) -> bool:
    """Fewer than two columns hold what belongs into another: then the sender's columns have slipped, and none can be trusted."""
    record = row.record
    slipped = 0
    if record["province_name"] is not None and record["province_name"] not in province_names():
        slipped += 1
    if row.capital.status == "unparsed" and not _AMOUNT.search(record["registered_capital_text"] or ""):
        slipped += 1
    if record["registration_date"] is None and _CJK.search(
        (row.said["registration_date"] or "").replace("年", "").replace("月", "").replace("日", "")
    ):
        slipped += 1
    if row.identifier.kind == "none" and _CJK.search(row.said["credit_code"] or ""):
        slipped += 1
    name, address = record["subject_name"], record["registered_address"]
    if name is not None and name.isascii() and _DIGIT.search(name) and not name_legible(row):
        slipped += 1
    if address is not None and not _CJK.search(address) and _DIGIT.search(address):
        slipped += 1
    return slipped < 2


@check
def subject_identifiable(row: Row) -> bool:
    """A code or number, or a name with its district: without one nobody can say which subject is meant."""
    return row.identifier.value is not None or row.record["district_code"] is not None


@check
def no_resident_id_in_text(row: Row) -> bool:
    """Name, address and scope hold no resident identity number."""
    for column in ("subject_name", "registered_address", "business_scope"):
        text = row.record[column]
        if text is not None:
            for found in _RESIDENT_IN_TEXT.finditer(text):
                if identifiers.is_resident_id(found[0].upper()):
                    return False
    return True


@check
def representative_is_name(row: Row) -> bool:
    """The representative is a name, without digits (a phone or identity number)."""
    return not _DIGIT.search(row.record["legal_representative"] or "")


# --- code --------------------------------------------------------------------------------------------------------------


@check
def no_resident_id_as_code(row: Row) -> bool:
    """The code column holds no person's identity number."""
    return not row.identifier.resident


@check
def identifier_recognised(row: Row) -> bool:
    """What is stated as code is a credit code or a registration number by its form."""
    return row.identifier.kind != "none" or row.identifier.resident or row.said["credit_code"] is None


@check
def identifier_checked(row: Row) -> bool:
    """The check digits fit, or the code is one of the pilot, or there are none (13 digits)."""
    return row.identifier.check in ("passed", "pilot", "unchecked")


@check
def department_known(row: Row) -> bool:
    """Positions 1 and 2 of a credit code are a department and a category of the standard."""
    return row.identifier.kind != "uscc" or identifiers.department_known(row.identifier.value or "")


@check
def code_not_filled_up(row: Row) -> bool:
    """A credit code is whole, not a beginning filled up with zeros: many subjects would share it."""
    return row.identifier.kind != "uscc" or not identifiers.is_filler(row.identifier.value or "")


# --- date --------------------------------------------------------------------------------------------------------------


@check
def registration_date_real(row: Row) -> bool:
    """A stated date can be read and exists."""
    return row.record["registration_date"] is not None or row.said["registration_date"] is None


@check
def registration_date_not_future(row: Row) -> bool:
    """The date is not after the day of arrival."""
    date = row.record["registration_date"]
    return date is None or date <= row.arrived_on


@check
def registration_date_plausible(row: Row) -> bool:
    """The date is not before 1949-10-01."""
    date = row.record["registration_date"]
    return date is None or date >= FIRST_PLAUSIBLE


# --- kind --------------------------------------------------------------------------------------------------------------


@check
def type_known(row: Row) -> bool:
    """A stated type is in the list of types."""
    return row.kind.known or row.kind.text is None


@check
def category_consistent(row: Row) -> bool:
    """Type, name and a code that passed its checks don't say different categories."""
    record = row.record
    trusted = row.identifier.kind == "uscc" and row.identifier.check in ("passed", "pilot")
    if row.kind.category is None and not trusted:
        return True
    said = {row.kind.category, kinds.category_of_name(record["subject_name"])} - {None}
    if said == {"foreign_office", "branch"}:  # offices of foreign companies call themselves 办事处 too
        return True
    if trusted:
        by_code = kinds.category_of_code(row.identifier.value or "")
        # 91 covers companies, their branches and offices.
        if by_code is not None and not (by_code == "enterprise" and said <= {"enterprise", "branch", "foreign_office"}):
            said.add(by_code)
    return len(said) < 2


# --- capital -----------------------------------------------------------------------------------------------------------


@check
def capital_stated(row: Row) -> bool:
    """A company states its capital. Branches, offices and sole traders have none."""
    return row.capital.status != "not_stated" or row.record["subject_category"] != "enterprise"


@check
def capital_parsed(row: Row) -> bool:
    """A stated capital can be read."""
    return row.capital.status != "unparsed"


@check
def capital_unit_stated(row: Row) -> bool:
    """A capital has a unit; a bare number counts as yuan and may be meant in 万元."""
    return row.capital.amount is None or row.capital.unit is not None


@check
def capital_rate_known(row: Row) -> bool:
    """There is a rate for the currency and year."""
    return row.capital.status != "no_rate"


@check
def capital_plausible(row: Row) -> bool:
    """A capital is not above 10^11 yuan, and that of a company is above zero."""
    yuan = row.capital.yuan
    return yuan is None or ((yuan > 0 or row.record["subject_category"] != "enterprise") and yuan <= LARGEST_PLAUSIBLE)


# --- scope, industry, place --------------------------------------------------------------------------------------------


@check
def scope_complete(row: Row) -> bool:
    """The scope is not cut off at 1,024 characters."""
    return not row.record["scope_truncated"]


@check
def industry_readable(row: Row) -> bool:
    """A stated industry is a code or the name of a section or division."""
    return row.record["industry_basis"] == "stated" or row.said["industry_name"] is None


@check
def district_found(row: Row) -> bool:
    """An address of the city names its district."""
    return row.record["district_code"] is not None or row.record["district_reason"] in ("no_address", "other_city")


@check
def address_in_city(row: Row) -> bool:
    """The address lies in the city."""
    return row.record["district_reason"] != "other_city"


@check
def district_agrees(row: Row) -> bool:
    """Address and supervising authority name the same district, where both name one."""
    record = row.record
    return record["supervising_district_code"] in (None, record["district_code"]) or record["district_code"] is None


# --- from the contract -------------------------------------------------------------------------------------------------


class Router:
    """The row rules of a feed's contract, made ready once.

    Raises ValueError for a rule that no row can be judged by, KeyError for a check that does not exist.
    """

    def __init__(self, contract: Contract) -> None:
        row_rules = [
            r for r in contract.rules if r.severity in ("quarantine", "warn") and r.metric in ("nullValues", "missingValues", "invalidValues")
        ]
        self.quarantine = sorted((r.id, _test(r)) for r in row_rules if r.severity == "quarantine")
        self.warn = sorted((r.id, _test(r)) for r in row_rules if r.severity == "warn")

    def route(self, row: Row) -> tuple[list[str], list[str]]:
        """(reasons, marks): sorted ids of the quarantine rules and of the warn rules that the row fails."""
        return [name for name, good in self.quarantine if not good(row)], [name for name, good in self.warn if not good(row)]


def _test(rule: Rule) -> Check:
    if (rule.operator, rule.threshold) != ("mustBe", 0):
        raise ValueError(f"rule {rule.id}: a rule about single rows says mustBe: 0")
    (column,) = rule.columns
    if "check" in rule.arguments:
        return CHECKS[rule.arguments["check"]]
    if rule.metric == "nullValues":
        return lambda row: row.delivered.get(column) is not None
    if rule.metric == "missingValues":
        # What stands for nothing in every column (text.NULL_TOKENS) is missing too; a rule can only add to it.
        more = frozenset(token for token in rule.arguments.get("missingValues", ()) if stated(token) is not None)
        return lambda row: (text := row.said[column]) is not None and text not in more
    # A value that is missing is not invalid; that is the other rule's matter.
    if "pattern" in rule.arguments:
        search = re.compile(rule.arguments["pattern"]).search
        return lambda row: (text := row.said[column]) is None or search(text) is not None
    valid = frozenset(rule.arguments.get("validValues", ()))
    return lambda row: (text := row.said[column]) is None or text in valid


@cache
def router(feed: str = FEED) -> Router:
    """The router of a feed's contract. Raises ContractError, KeyError for another id."""
    return Router(load_contracts()[feed])
