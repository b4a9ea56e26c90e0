"""The section (门类) of GB/T 4754 in which a subject works: stated, else estimated from a trade word in its name.

The table of trade words (catalog/codes/industry_words.csv) is ours and careful: a word is in it only if one section can be meant. 科技,
实业, 发展, 投资, 咨询, 服务, 食品, 电子 and the like name no section, or two.
"""

from __future__ import annotations

import datetime as dt
import re
from functools import cache, lru_cache

from spark_jobs.refine import codes
from spark_jobs.refine.codes import UNKNOWN, Reading
from spark_jobs.refine.text import stated

EDITION_2017_FROM = dt.date(2017, 10, 1)  # GB/T 4754-2017 in force
_LONGEST = 100  # characters of a stated industry
_CODE = re.compile(r"([A-T])?([0-9]{2,4})?")
_LEGAL_FORM = re.compile(r"(?:集团)?(?:股份有限公司|有限责任公司|有限公司|总公司|公司)")
_BRACKETS = re.compile(r"[（(][^（()）]*[）)]")
# Behind a company's name: a unit that does the company's trade. Anything else (有限公司停车场) has a trade of its own, or none (办事处).
_SAME_TRADE = re.compile(r".{0,16}(?:分公司|分店|分厂|分部|支公司|[一二三四五六七八九十\d]店)$")


@cache
def _words() -> dict[str, str]:
    return {r["word"]: r["section"] for r in codes.rows("industry_words")}


@cache
def _lengths() -> dict[str, list[int]]:
    """Last character of a word → lengths of the words that end in it, the longest first."""
    found: dict[str, set[int]] = {}
    for word in _words():
        found.setdefault(word[-1], set()).add(len(word))
    return {character: sorted(lengths, reverse=True) for character, lengths in found.items()}


@cache
def _sections(edition: str) -> tuple[dict[str, str], dict[str, str]]:
    """(code → section, name of a section or division → section) of an edition; a name that two sections have is left out."""
    parents = {r["code"]: r["parent_code"] for r in codes.rows("gbt4754_industries") if r["edition"] == edition}

    # By the first two digits: a group without classes has its own class as parent in the list, and no chain of parents is to be trusted.
    by_code = {code: parents[code[:2]] if code[0].isdigit() else code for code in parents}
    by_name: dict[str, str | None] = {}
    for row in codes.rows("gbt4754_industries"):
        if row["edition"] == edition and row["level"] in ("section", "division"):
            found = by_code[row["code"]]
            by_name[row["name"]] = found if by_name.get(row["name"], found) == found else None
    return by_code, {name: found for name, found in by_name.items() if found is not None}


def industry_section(stated_text: str | None, name: str | None, registration_date: dt.date | None) -> tuple[str | None, str]:
    """(section letter, basis): `stated` from a code or the exact name of a section or division, `name` from a trade word, `unassigned`.

    A stated code means what it meant on the day of registration: edition 2017 from 2017-10-01, edition 2011 before (the oldest at hand).
    """
    section = _stated_section(stated_text, registration_date) if stated_text else None
    if section is not None:
        return section, "stated"
    section = section_of_name(name) if name else None
    return (section, "name") if section is not None else (None, "unassigned")


def edition_on(date: dt.date | None) -> int:
    """The edition that held on a day; 2011, the oldest at hand, for none."""
    return 2017 if date is not None and date >= EDITION_2017_FROM else 2011


@lru_cache(maxsize=65536)
def read_section(text: str, on: dt.date) -> Reading:
    """The section that a code or the exact name of a section or division meant on the day `on`, and the edition of that day."""
    section = _stated_section(text, on) if len(text) <= _LONGEST else None
    return Reading(section, UNKNOWN if section is None else "listed", edition_on(on))


def _stated_section(text: str, date: dt.date | None) -> str | None:
    tidied = stated(text)
    if tidied is None:
        return None
    by_code, by_name = _sections(str(edition_on(date)))
    if tidied in by_name:
        return by_name[tidied]
    found = _CODE.fullmatch(tidied.upper())
    if found is None:
        return None
    letter, digits = found.groups()
    section = by_code.get(digits or letter or "")
    return section if section is not None and letter in (None, section) else None  # F3911: letter and digits contradict each other


def section_of_name(name: str) -> str | None:
    """The section of the trade word right before the legal form, the longest that fits; None if there is none."""
    if len(name) > 200:
        return None
    bare = _BRACKETS.sub("", name) if "（" in name or "(" in name else name
    while True:
        form = _LEGAL_FORM.search(bare)
        if form is None:
            return _last_word(bare)
        tail = bare[form.end() :]
        if not tail:
            return _last_word(bare[: form.start()])
        if _SAME_TRADE.fullmatch(tail):
            own = _last_word(tail)
            return own if own is not None else _last_word(bare[: form.start()])
        bare = tail  # a later company (甲总公司乙有限公司), or a unit with a trade of its own


def _last_word(text: str) -> str | None:
    words = _words()
    for length in _lengths().get(text[-1:], ()):
        section = words.get(text[-length:])
        if section is not None:
            return section or None  # an empty section: a longer word that takes the meaning away from its ending
    return None
