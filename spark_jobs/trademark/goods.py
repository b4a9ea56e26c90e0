"""How the goods and services of two marks relate, by the official table of similar groups (类似商品和服务区分表, NCL12-2025).

The table's notes tie groups of different classes: 花粉(原材料) of 3103 is similar to 食用花粉 of 2904. Most notes tie some goods of a group and not all:
a tie of groups says that goods *may* be similar, and its text says which. Ties to groups of earlier editions hold for marks registered under those
editions; they are kept apart. What a note says within its own group (各部分之间商品不类似) makes no tie.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from functools import cache

from spark_jobs.refine import codes

_NUMERALS = {c: i for i, c in enumerate("一二三四五六七八九", start=1)}
_CODE = r"(?<![0-9A-Z])([0-9]{4})(?![0-9])"
_PART = r"(?:第\([一二三四五六七八九十]+\)部分)?"
_LISTED = re.compile(rf"\(((?:[0-9]{{4}}{_PART},?){{2,}})\)")  # (0702第(二)部分,0725,0733)
_ITEMS_WITH_CODES = re.compile(r"^.*?[0-9]{6}(?=注:)")  # the goods themselves, run into the note
_NUMBER = re.compile(r"(?:(?<=^)|(?<=[^0-9]))[0-9]{1,2}\.(?=[^0-9])")
_EARLIER = re.compile(r"第([一二三四五六七八九十]+)版(?:及以前版本|时移入)")
_BELONGS = re.compile(r"属于[0-9、]+")  # goods that belong here now: no tie to another group
_WITHIN = re.compile(r"不类似|互为类似|均类似|之间类似|确定类似商品|单一商品|单一服务|本部分为|不判为类似|无机碱")
_OWN_PARTS = re.compile(r"与(?:第.{1,3}版及以前版本)?第\([一二三四五六七八九十]+\)部分")
_CLASS = re.compile(r"与([0-9]{1,2})类")


@dataclass(frozen=True)
class Tie:
    """Two groups that a note ties, in the order of their codes. ``edition``: None for the present table, else the last edition in which it was so.

    ``text``: the note's words, normalised; ``of``: the group whose note it is.
    """

    one: str
    other: str
    edition: int | None
    text: str
    of: str


@dataclass(frozen=True)
class Notes:
    """All notes as read: ``ties``, and how many clauses were read as what (``read``, by kind), and those that couldn't be (``unread``)."""

    ties: tuple[Tie, ...]
    read: dict[str, int]
    unread: tuple[tuple[str, str], ...]

    @property
    def share_read(self) -> float:
        """Share of the clauses of which it is known what they say of pairs of groups."""
        known = sum(self.read.values())
        return known / (known + len(self.unread))


def _number(text: str) -> int:
    tens, _, ones = text.partition("十")
    return (_NUMERALS.get(tens, 1) * 10 if "十" in text else _NUMERALS[tens]) + (_NUMERALS.get(ones, 0) if "十" in text else 0)


def clauses(note: str) -> list[str]:
    """The numbered or separated statements of a note, in half-width signs."""
    plain = unicodedata.normalize("NFKC", note).replace(" ", "").replace("“", "")
    plain = _ITEMS_WITH_CODES.sub("", plain).removeprefix("注:")
    parts = re.split(r"[;。]", _NUMBER.sub(";", plain))
    return [part.strip(",:") for part in parts if part.strip(",:")]


def _read(group: str, clause: str, known: frozenset[str]) -> tuple[str, list[Tie]]:
    """(kind, ties) of a clause of a group's note; kind `unread` if it can't be told what it says."""

    def tie(other: str, edition: int | None) -> list[Tie]:
        return [Tie(min(group, other), max(group, other), edition, clause, group)] if other != group else []

    listed = _LISTED.findall(clause)
    if listed:
        found = [t for codes_ in listed for other in re.findall(_CODE, codes_) if group in codes_ for t in tie(other, None)]
        return "shared_goods", found
    # What is tied to earlier editions stands behind the words that name the edition.
    pieces = _EARLIER.split(_BELONGS.sub("", clause))
    now = pieces[0] if len(pieces) > 1 else clause
    found = [t for other in re.findall(_CODE, now) if other in known for t in tie(other, None)] if "类似" in now.replace("类似群", "") else []
    earlier = [t for e, text in zip(pieces[1::2], pieces[2::2], strict=True) for other in re.findall(_CODE, text) for t in tie(other, _number(e))]
    if found:
        return "similar", found + earlier
    if earlier:
        return "earlier", earlier
    if _CLASS.search(clause) and "类似" in clause.replace("类似群", ""):
        return "class_only", []
    if _WITHIN.search(clause) or _OWN_PARTS.search(clause) or set(re.findall(_CODE, clause)) == {group}:
        return "within", []
    return "unread", []


@cache
def notes() -> Notes:
    """The notes of catalog/codes/nice_cross_group_notes.csv."""
    known = frozenset(r["group_code"] for r in codes.rows("nice_similar_groups"))
    ties: dict[tuple[str, str, int | None, str], Tie] = {}
    read: Counter[str] = Counter()
    unread = []
    for row in codes.rows("nice_cross_group_notes"):
        for clause in clauses(row["note"]):
            kind, found = _read(row["group_code"], clause, known)
            if kind == "unread":
                unread.append((row["group_code"], clause))
            else:
                read[kind] += 1
            for t in found:
                ties.setdefault((t.one, t.other, t.edition, t.text), t)
    return Notes(tuple(ties.values()), dict(read), tuple(unread))


@cache
def _ties() -> dict[tuple[str, str], tuple[Tie, ...]]:
    found: dict[tuple[str, str], list[Tie]] = {}
    for t in notes().ties:
        found.setdefault((t.one, t.other), []).append(t)
    return {pair: tuple(ties) for pair, ties in found.items()}


@cache
def _class_pairs() -> frozenset[tuple[int, int]]:
    return frozenset((int(one[:2]), int(other[:2])) for (one, other), ties in _ties().items() if any(t.edition is None for t in ties))


# First days of the editions of the Nice Classification; the 13th is in force and its table not at hand [to be confirmed].
EDITIONS = ((1997, 7), (2002, 8), (2007, 9), (2012, 10), (2017, 11), (2023, 12), (2026, 13))


def edition_of(year: int) -> int:
    """The edition of the Nice Classification of a year of application [to be confirmed]; 6 before 1997, whichever it was."""
    return max((edition for first, edition in EDITIONS if first <= year), default=6)


def ties_between(one: str, other: str, edition: int | None = None) -> tuple[Tie, ...]:
    """The notes that tie two groups, in either order: of the present table, and with ``edition`` those that held in that edition, too."""
    found = _ties().get((min(one, other), max(one, other)), ())
    return tuple(t for t in found if t.edition is None or (edition is not None and edition <= t.edition))


class Relation(IntEnum):
    """How goods relate, the closer the higher. RELATED_CLASS: groups of the two classes are tied, and on one side it's not known which groups."""

    NONE = 0
    RELATED_CLASS = 1
    SAME_CLASS = 2
    NOTE = 3
    SAME_GROUP = 4

    @property
    def chinese(self) -> str:
        """For readers."""
        return ("不相关", "类别之间有类似群", "同一类别", "跨类似群注释", "同一类似群")[self]


@dataclass(frozen=True)
class Goods:
    """What a mark is for: Nice classes 1 to 45, and similar groups (four digits, the first two the class) as far as they are known.

    Raises:
        ValueError: a class or group that can't be; so that a wrong table doesn't relate to nothing in silence.
    """

    classes: frozenset[int]
    groups: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not all(1 <= c <= 45 for c in self.classes) or not all(re.fullmatch("[0-9]{4}", g) and 1 <= int(g[:2]) <= 45 for g in self.groups):
            raise ValueError(f"no goods: {sorted(self.classes)}, {sorted(self.groups)}")

    @classmethod
    def of(cls, classes: Iterable[int] = (), groups: Iterable[str] = ()) -> Goods:
        """Goods by classes and groups; the class of a group needn't be said."""
        known = frozenset(groups)
        return cls(frozenset(classes) | {int(g[:2]) for g in known if g[:2].isdigit()}, known)

    @classmethod
    def read(cls, nice_class: int | None, groups: str | None) -> Goods:
        """Goods of a record: its class, and the groups that its text names in whatever form (0301；0306, 0102第(四)部分).

        What can't be a class or a group is left out; a class that neither says is empty, and so relates to nothing.
        """
        named = [g for g in re.findall(_CODE, unicodedata.normalize("NFKC", groups or "")) if 1 <= int(g[:2]) <= 45]
        return cls.of([nice_class] if nice_class is not None and 1 <= nice_class <= 45 else [], named)

    def without_groups(self) -> frozenset[int]:
        """Classes of which no group is known."""
        return self.classes - {int(g[:2]) for g in self.groups}


def relation(one: Goods, other: Goods, edition: int | None = None) -> Relation:
    """The closest relation between anything of one and anything of the other; the same in either order.

    ``edition``: of the older mark where it was registered under an earlier one: then ties to groups of that time count, too.
    """
    if one.groups & other.groups:
        return Relation.SAME_GROUP
    if any(ties_between(a, b, edition) for a in one.groups for b in other.groups):
        return Relation.NOTE
    if one.classes & other.classes:
        return Relation.SAME_CLASS
    # Where both sides say their groups, the table has spoken. Else classes whose groups are tied may be related.
    for a in one.classes:
        for b in other.classes:
            if (a in one.without_groups() or b in other.without_groups()) and (min(a, b), max(a, b)) in _class_pairs():
                return Relation.RELATED_CLASS
    return Relation.NONE


@cache
def _industry_classes() -> dict[str, tuple[int, ...]]:
    return {r["industry"]: tuple(int(c) for c in r["classes"].split("|") if c) for r in codes.rows("industry_nice")}


def classes_of_industry(code: str | None) -> tuple[int, ...]:
    """The Nice classes a trade is active in, the main one first; empty where it has none (public bodies), or ``code`` is unknown.

    ``code``: 2 to 4 digits of GB/T 4754-2017 (of another edition it is unknown), a section letter before them is ignored; the longest beginning that
    the table has decides. Class 35 (推销、广告、商业管理 for others) stands only where that is the trade: every firm promotes its own goods, and if that
    counted, all would be related.
    """
    if not isinstance(code, str):  # tables hold NaN where a trade isn't known
        return ()
    digits = code.lstrip("ABCDEFGHIJKLMNOPQRST")
    table = _industry_classes()
    for length in (3, 2):
        if len(digits) >= length and digits[:length] in table:
            return table[digits[:length]]
    return ()


@cache
def classes_of_section(letter: str | None) -> tuple[int, ...]:
    """The Nice classes that a section of GB/T 4754-2017 is active in: the two main ones of each of its divisions, ascending; empty if it is unknown.

    Of manufacturing that is most classes of goods: where only the section is known, goods say little.
    """
    divisions = [
        r["code"] for r in codes.rows("gbt4754_industries") if r["edition"] == "2017" and r["level"] == "division" and r["parent_code"] == letter
    ]
    return tuple(sorted({c for d in divisions for c in classes_of_industry(d)[:2]}))


# Wholesale and retail: what a dealer deals in isn't told by his trade's code.
DEALERS, DEALERS_SECTION = ("51", "52"), "F"


def is_own_trade(code: str | None, nice_class: int) -> bool | None:
    """Whether a trade is active in a class; None where that can't be told: a dealer's, one that is in no class, or an unknown one."""
    classes = classes_of_industry(code)
    if not isinstance(code, str) or not classes or code.lstrip("ABCDEFGHIJKLMNOPQRST").startswith(DEALERS):
        return None
    return nice_class in classes


def is_trade_of_section(letter: str | None, nice_class: int) -> bool | None:
    """`is_own_trade` where only the section is known."""
    classes = classes_of_section(letter)
    return None if not classes or letter == DEALERS_SECTION else nice_class in classes
