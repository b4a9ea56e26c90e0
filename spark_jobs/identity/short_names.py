"""How people say a registered name for short: without the city and district at its beginning, and without the words for a company at its end."""

from __future__ import annotations

import re
from functools import cache, lru_cache

from spark_jobs.refine.districts import own_divisions

SHORTEST = 5  # characters; less tells one shop from no other
_COMPANY = re.compile(r"(?:股份有限|有限责任|有限)公司$")


@cache
def _own_area() -> re.Pattern[str]:
    """What the names of the city's own subjects begin with: of other places the name is a part of who is meant."""
    province, city, districts = own_divisions()
    # A district with the word for its rank alone (黄埔东路 is a road), and none that goes on as a place does (番禺市桥, 广州市场).
    named = "|".join(sorted(districts, key=len, reverse=True))
    return re.compile(f"^(?:{province}省?)?(?:{city}(?:市(?![桥场]))?)?(?:(?:{named})(?![桥场]))?")


@lru_cache(maxsize=100_000)
def short_key(name: str | None) -> str | None:
    """What is left of a name when all is cut that people leave out: ``广州市天河区棠德南路卓翔面馆``, ``天河区棠德南路卓翔面馆`` → ``棠德南路卓翔面馆``;
    ``广州信产兴商行有限公司`` → ``信产兴商行``. None where fewer than SHORTEST characters are left.

    Two names of one key may still contradict each other (`is_short_for`). ``name``: normalised (`spark_jobs.refine.text.name_key`).
    """
    if name is None:
        return None
    begins, said = _own_area(), name
    while (cut := _COMPANY.sub("", begins.sub("", said))) != said:
        said = cut
    return said if len(said) >= SHORTEST else None


def is_short_for(said: str, name: str) -> bool:
    """Whether a name of the same key says nothing else than ``name``: 广东… is none for 广州…, nor …股份有限公司 for …有限公司."""
    return said in name
