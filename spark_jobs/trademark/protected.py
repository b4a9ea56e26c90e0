"""What is protected against squatters: trade names, marks, listed names and geographical indications; and how far each is.

How far: a mark is protected for the same and similar goods (商标法第五十七条), a trade name where the public could take one for the other (反不正当竞争法;
商标法第三十二条), a well-known mark beyond its goods (第十三条第三款), but 驰名 is recognised case by case, so nothing here says that a name has that status.
Names made of common words are protected only for their goods. Articles [to be confirmed]; the list of names is a beginning, to be settled by the
department (catalog/codes/time_honoured.csv).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from enum import Enum
from functools import cache

from spark_jobs.refine import codes
from spark_jobs.trademark.goods import Goods, Relation, relation

# Subjects without a tie to each other that bear the same trade name: from so many on it says nothing of whose it is. Ours, to be confirmed.
HOLDERS_OF_A_COMMON_NAME = 20


class Kind(Enum):
    """What a right rests on."""

    TRADE_NAME = "字号"
    MARK = "有效注册商标"
    LISTED = "名录"
    INDICATION = "地理标志"


class Scope(Enum):
    """For which goods a name is watched. OWN: the same and similar ones; RELATED: its classes, and those whose groups are tied; ALL: every class."""

    OWN = "仅限相同或类似商品"
    RELATED = "本类别及相关类别"
    ALL = "各类别（跨类为提示，驰名个案认定）"


@dataclass(frozen=True)
class ProtectedRight:
    """A right to a name.

    ``owner``: subject id, None while nobody is matched to a listed name. ``affiliates``: subject ids of the owner's group, who may file it too.
    ``since``: first use or registration, None if unknown: then nobody knows which filings are later. ``reach``: how far it is protected.
    """

    right_id: str
    kind: Kind
    name: str
    owner: str | None
    affiliates: frozenset[str]
    goods: Goods
    since: dt.date | None
    reach: Scope

    def belongs_to(self, subject_id: str | None) -> bool:
        """Whether a subject is the owner or one of its group; a stranger without an id is not."""
        return subject_id is not None and (subject_id == self.owner or subject_id in self.affiliates)

    def is_earlier(self, filed: dt.date) -> bool | None:
        """Whether the right was there before the filing; None if it isn't known since when it is."""
        return None if self.since is None else self.since < filed

    def unsettled(self) -> str:
        """What isn't known of the right, so that nobody can be suspected beside it; Chinese, empty if it is known whose it is and since when."""
        lacking = [what for what, value in (("权利人", self.owner), ("起始日期", self.since)) if value is None]
        return f"在先权利的{'和'.join(lacking)}尚未核定" if lacking else ""


def covers(right: ProtectedRight, goods: Goods, edition: int | None = None) -> bool:
    """Whether a right is watched for ``goods``. OWN asks for the same group or a note between groups; where a side says no groups, for the class."""
    found = relation(right.goods, goods, edition)
    if right.reach is Scope.OWN:
        groups_said = not right.goods.without_groups() and not goods.without_groups()
        return found >= (Relation.NOTE if groups_said else Relation.SAME_CLASS)
    return right.reach is Scope.ALL or found >= Relation.RELATED_CLASS


@cache
def _places() -> frozenset[str]:
    """Names of areas of today with and without their suffix, and places of the city: words that anybody may use for where he is."""
    areas = {r["name"] for r in codes.rows("gbt2260_areas") if not r["end_year"]}
    short = {n[:-1] for n in areas if n[-1] in "省市区县" and len(n) > 2}
    return frozenset(areas | short | {r["name"] for r in codes.rows("name_places") if r["kind"] != "rather_name"})


@cache
def _listed() -> dict[str, dict[str, str]]:
    return {r["name"]: r for r in codes.rows("time_honoured")}


def is_common(name: str, holders: int = 0) -> bool:
    """Whether a name says too little to belong to one: marked so in the list, a place, one character, or borne by many.

    ``holders``: market subjects without a tie to the owner that bear it as their trade name, 0 if not counted.
    """
    listed = _listed().get(name)
    if listed is not None:
        return listed["common_words"] == "是"
    return len(name) < 2 or name in _places() or holders >= HOLDERS_OF_A_COMMON_NAME


def scope(name: str, kind: Kind, holders: int = 0) -> Scope:
    """How far a name is watched: a common word for its goods only, like marks and indications; a trade name in its trade; a listed one everywhere."""
    if kind in (Kind.MARK, Kind.INDICATION) or is_common(name, holders):
        return Scope.OWN
    return Scope.ALL if kind is Kind.LISTED else Scope.RELATED


def listed_rights() -> tuple[ProtectedRight, ...]:
    """The names of catalog/codes/time_honoured.csv as rights; owners and days are matched later (`owned_by`)."""
    return tuple(
        ProtectedRight(
            f"名录:{name}", Kind.LISTED, name, None, frozenset(), Goods.of(int(c) for c in row["classes"].split("|")), None, scope(name, Kind.LISTED)
        )
        for name, row in _listed().items()
    )


def owned_by(right: ProtectedRight, owner: str, affiliates: frozenset[str] = frozenset(), since: dt.date | None = None) -> ProtectedRight:
    """A listed right with its owner, and since when it is there, if that was found out."""
    return replace(right, owner=owner, affiliates=affiliates - {owner}, since=since or right.since)
