"""Whom a record means: one way to say it, by code, name and district, with a key of its own.

Many records say it in one way, and which subject that is may change with what is known of the register: so records carry the key, and the table
of parties says to which subject it belongs (docs/decisions/0031).
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import NamedTuple

from spark_jobs.identity.names import parse_name
from spark_jobs.identity.short_names import short_key
from spark_jobs.refine.identifiers import identify
from spark_jobs.refine.text import normalize_name

SHORTEST_NAME = 5  # characters; a shorter name of a firm tells it from no other
# What a name of a firm or an office has and a person's has not, however long it is; else it says a trade (信产兴贸易).
_FIRM = re.compile(
    "公司|企业|集团|合伙|合作社|工作室|超市|商场|市场|学校|大学|学院|医院|银行|协会|中心|[厂店行部社院所馆场站铺档坊吧园堂庄楼城会局处队室网厅]"
)


class Party(NamedTuple):
    """`kind`, `value`: of the code or number, None for none; `trusted`: a credit code that passed its checks; `name` normalised; `district` only
    where there is no such code."""

    kind: str | None
    value: str | None
    trusted: bool
    name: str | None
    district: str | None

    @property
    def short_name(self) -> str | None:
        """What the name may be short for, where a district says among whom to look."""
        return None if self.district is None else short_key(self.name)

    @property
    def key(self) -> str:
        """24 hex digits of SHA-256 over what is said, as a JSON list."""
        said = json.dumps([self.kind, self.value, self.name, self.district], ensure_ascii=False)
        return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def party(code: str | None, name: str | None, district: str | None) -> Party | None:
    """The party that a record means; None where neither a code nor a name of some length says it."""
    found = identify(code)
    called = normalize_name(name)
    if called is not None and (len(called) < SHORTEST_NAME or not (_FIRM.search(called) or parse_name(called).trade)):
        called = None
    if found.value is None and called is None:
        return None
    return Party(
        None if found.value is None else found.kind, found.value, found.trusted, called, None if found.trusted or called is None else district
    )
