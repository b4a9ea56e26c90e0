"""The category of goods or services of a 12315 demand, comparable over the old and the present tree.

The list is catalog/codes/complaint_categories.csv, each name with the days on which a demand was registered by it. An old category that became
several, or of which no published name of the present tree is the counterpart, has none: it is known and not converted.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from functools import cache, lru_cache
from typing import NamedTuple

from spark_jobs.refine import codes
from spark_jobs.refine.codes import UNKNOWN, Reading

_LONGEST = 50  # characters; no category has so many, and a cache shall not keep it
_FILLING = re.compile(r"[\s、,，和]+")


class Category(NamedTuple):
    edition: int
    present: str | None  # the category of the present tree
    name: str
    valid_from: dt.date | None  # first day; None: from the beginning
    valid_to: dt.date | None  # first day that no longer counts; None: holds

    def holds(self, on: dt.date) -> bool:
        return (self.valid_from is None or self.valid_from <= on) and (self.valid_to is None or on < self.valid_to)


def key(text: str) -> str:
    """The text under which a name is looked up: 餐饮和住宿服务, 餐饮、住宿类 and 餐饮住宿 are one category. 其他服务 and 其他商品 are two."""
    bare = _FILLING.sub("", unicodedata.normalize("NFKC", text)).removesuffix("类")
    return bare if bare.startswith("其他") else bare.removesuffix("服务")


@cache
def categories() -> dict[str, tuple[Category, ...]]:
    """The categories by `key` of their name, of every edition. Raises ValueError for a date that is none."""
    found: dict[str, tuple[Category, ...]] = {}
    for row in codes.rows("complaint_categories"):
        start, end = (dt.date.fromisoformat(row[name]) if row[name] else None for name in ("valid_from", "valid_to"))
        category = Category(int(row["edition"]), row["present"] or None, row["name"], start, end)
        found[key(row["name"])] = (*found.get(key(row["name"]), ()), category)
    return found


@lru_cache(maxsize=65536)
def read_category(text: str, on: dt.date) -> Reading:
    """The category of the present tree for a name of the tree of the day `on`: `listed` (the present tree), `mapped`, `ambiguous` (no single
    counterpart), `unknown`. A name of the other tree is unknown on that day."""
    if len(text) > _LONGEST:
        return Reading(None, UNKNOWN)
    for category in categories().get(key(text), ()):
        if category.holds(on):
            if category.present is None:
                return Reading(None, "ambiguous", category.edition)
            own = category.valid_to is None and key(category.present) == key(category.name)
            return Reading(category.present, "listed" if own else "mapped", category.edition)
    return Reading(None, UNKNOWN)
