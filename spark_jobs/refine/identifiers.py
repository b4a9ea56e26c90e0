"""What kind of identifier a text is, and whether its check digits fit.

Standards: GB 32100-2015 (unified social credit code, 18 characters, of which 9–17 are the organisation code), GB 11714-1997
(organisation code), GS 15-2006 (registration number, 15 digits), GB 11643-1999 (resident identity number, only to detect it).

The digits 3–8 name the registrar at first registration; they never say where a subject is today.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from typing import NamedTuple

ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"  # 31 symbols, no I O S V Z
_VALUE = {symbol: value for value, symbol in enumerate(ALPHABET)}
_OUTER = tuple(pow(3, i, 31) for i in range(17))
_ORG_VALUE = {symbol: value for value, symbol in enumerate("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")}  # 36 symbols here
_ORG = (3, 7, 9, 10, 5, 8, 4, 2)
_RESIDENT = tuple(pow(2, 17 - i, 11) for i in range(17))
# One table per place: symbol → its share of the sum.
_OUTER_SHARE = tuple({s: v * w for s, v in _VALUE.items()} for w in _OUTER)
_ORG_SHARE = tuple({s: v * w for s, v in _ORG_VALUE.items()} for w in _ORG)
_symbol_share = dict[str, int].__getitem__

_PROVINCES = "1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[1-3]"
_CODE = re.compile(f"[{ALPHABET}]{{2}}[0-9]{{6}}[{ALPHABET}]{{10}}")
_NEARLY_CODE = re.compile(f"[{ALPHABET}OI]{{18}}")
_REGNO = re.compile(r"[0-9]{15}")
# Exceptions in real data: co-operatives carry NA and end in X; some numbers of Shanxi (14) carry one A.
_REGNO_WITHOUT_CHECK = re.compile(r"[0-9]{6}NA[0-9]{6}X|(?=[0-9]*A[0-9]*$)14[0-9]{4}[0-9A]{9}")
_REGNO13 = re.compile(r"[0-9]{13}")
_RESIDENT18 = re.compile(f"(?:{_PROVINCES})[0-9]{{4}}(?P<date>(?:18|19|20)[0-9]{{6}})[0-9]{{3}}[0-9X]")
_RESIDENT15 = re.compile(f"(?:{_PROVINCES})[0-9]{{4}}(?P<date>[0-9]{{6}})[0-9]{{3}}")
_NOISE = re.compile(r"[\s\-‐‑–—_.·\u200b-\u200f\u2060\ufeff\x00-\x1f\x7f-\x9f]+")
_PILOT_SUBJECT = "M000"  # organisation codes handed out in the pilot before the standard was final (Fujian 2015)

# Position 1, the registering department, and 2, the category (GB 32100-2015, table 1; the municipal lists agree on 1, 5, 9, Y).
# A department with an empty list: its categories are not confirmed, any is taken.
DEPARTMENTS = {
    "1": ("机构编制", {"1": "机关", "2": "事业单位", "3": "群众团体", "9": "其他"}),
    "2": ("外交", {}),
    "3": ("司法行政", {}),
    "4": ("文化", {}),
    "5": ("民政", {"1": "社会团体", "2": "民办非企业单位", "3": "基金会", "4": "基层群众性自治组织", "9": "其他"}),
    "6": ("旅游", {}),
    "7": ("宗教", {}),
    "8": ("工会", {}),
    "9": ("市场监管", {"1": "企业", "2": "个体工商户", "3": "农民专业合作社"}),
    "A": ("中央军委改革和编制", {}),
    "N": ("农业农村", {}),
    "Y": ("其他", {"1": "其他"}),
}


class Identifier(NamedTuple):
    """`kind`: uscc, regno15, regno13, none. `value`: canonical form, None for none. `check`: passed, pilot, outer_failed,
    inner_failed, both_failed, unchecked. `resident`: the text looks like a person's identity number; it is then no identifier."""

    kind: str
    value: str | None
    check: str
    resident: bool = False

    @property
    def trusted(self) -> bool:
        """Whether it is a credit code that passed its checks, or one of the pilot."""
        return self.kind == "uscc" and self.check in ("passed", "pilot")


NO_IDENTIFIER = Identifier("none", None, "unchecked")
RESIDENT = Identifier("none", None, "unchecked", True)


def identify(text: str | None) -> Identifier:
    """The identifier that a text is. A well-formed code that fails its checks is one too (decision 0009), with the result of the checks.

    Full-width and lower case, blanks and hyphens don't matter. The letters O and I, which no code has, are read as 0 and 1 only where
    that makes both check digits fit.
    """
    if text is None or len(text) > 64:
        return NO_IDENTIFIER
    value = text
    if not (value.isascii() and value.isalnum()):
        value = _NOISE.sub("", unicodedata.normalize("NFKC", value))
    value = value.upper()
    if len(value) == 18:
        return _eighteen(value)
    if len(value) == 15:
        return _fifteen(value)
    if len(value) == 13 and _REGNO13.fullmatch(value):
        return Identifier("regno13", value, "unchecked")
    return NO_IDENTIFIER


def _eighteen(value: str) -> Identifier:
    # Before anything else: a person's number may happen to be well formed as a code.
    if is_resident_id(value):
        return RESIDENT
    if not _CODE.fullmatch(value):
        if not _NEARLY_CODE.fullmatch(value):
            return NO_IDENTIFIER
        value = value.replace("O", "0").replace("I", "1")
        if not _CODE.fullmatch(value) or code_check(value) != "passed":
            return NO_IDENTIFIER
    return Identifier("uscc", value, code_check(value))


def _fifteen(value: str) -> Identifier:
    if _REGNO.fullmatch(value):
        if value[14] == registration_number_check(value[:14]):
            return Identifier("regno15", value, "passed")
        # A failing number that reads as an old identity number (no check digit of its own) is not worth the risk.
        return RESIDENT if is_old_resident_id(value) else Identifier("regno15", value, "outer_failed")
    return Identifier("regno15", value, "unchecked") if _REGNO_WITHOUT_CHECK.fullmatch(value) else NO_IDENTIFIER


def code_check(code: str) -> str:
    """Result of both checks of a well-formed credit code: passed, pilot, outer_failed, inner_failed, both_failed. Raises KeyError else."""
    outer = code[17] == credit_code_check(code[:17])
    inner = code[16] == organisation_code_check(code[8:16])
    if outer:
        return "passed" if inner else "inner_failed"
    if inner:
        return "pilot" if code.startswith(_PILOT_SUBJECT, 8) else "outer_failed"
    return "both_failed"


def credit_code_check(first: str) -> str:
    """The 18th character for the first 17 (GB 32100-2015, MOD 31). Raises KeyError for a symbol outside the alphabet."""
    total = sum(map(_symbol_share, _OUTER_SHARE, first))
    return ALPHABET[-total % 31]


def organisation_code_check(first: str) -> str:
    """The 9th character of an organisation code for its first 8 (GB 11714-1997, MOD 11). Raises KeyError for another symbol."""
    total = sum(map(_symbol_share, _ORG_SHARE, first))
    return "0X987654321"[total % 11]


def registration_number_check(first: str) -> str:
    """The 15th digit of a registration number for its first 14 (GS 15-2006; ISO 7064 MOD 11,10)."""
    product = 10
    for digit in first:
        product = ((product + int(digit)) % 10 or 10) * 2 % 11
    return str((11 - product) % 10)


def is_organisation_code(text: str) -> bool:
    """Whether a text is an organisation code whose check fits, with or without its hyphen (GB 11714-1997)."""
    value = _NOISE.sub("", text.upper())
    return len(value) == 9 and all(c in _ORG_VALUE for c in value[:8]) and value[8] == organisation_code_check(value[:8])


def is_resident_id(value: str) -> bool:
    """Whether 18 characters are a resident identity number: province, real date of birth, check digit (GB 11643-1999)."""
    if value[:1] not in "12345678":  # the provinces; nearly all codes begin with 9
        return False
    found = _RESIDENT18.fullmatch(value)
    if not found or not _is_date(found["date"]):
        return False
    return value[17] == "10X98765432"[sum(int(d) * w for d, w in zip(value, _RESIDENT, strict=False)) % 11]


def is_old_resident_id(value: str) -> bool:
    """Whether 15 digits can be a resident identity number of before 1999: province and a real date of birth (no check digit)."""
    found = _RESIDENT15.fullmatch(value)
    return bool(found) and _is_date(f"19{found['date']}")  # type: ignore[index]


def department_known(code: str) -> bool:
    """Whether positions 1 and 2 of a credit code are a department and category of GB 32100-2015."""
    _, categories = DEPARTMENTS.get(code[0], ("", None))
    return categories is not None and (not categories or code[1] in categories)


def is_filler(code: str) -> bool:
    """Whether a credit code is only a beginning filled up with zeros: seven zeros or more in its organisation code."""
    return "0000000" in code[8:17]


def _is_date(digits: str) -> bool:
    try:
        dt.date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return False
    return True
