"""The district of an address: only where the address begins with it.

An address counts as located only where it begins with (province, city and) the name of a district: a road named after a district
(黄埔大道 lies in 天河) or a district of the same name in another city never decides. Former districts lead to today's by the successors of
GB/T 2260 where all paths end in one. The digits of a credit code name the first registrar and are never used.

A column of districts (`read_district`) is read by the day of its record instead: what a division was that year, and what can have become of a
place in it since. No address stands beside it, so a division that was divided later leads to none of its heirs.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import unicodedata
from functools import cache, lru_cache
from typing import NamedTuple

from spark_jobs.refine import codes
from spark_jobs.refine.codes import UNKNOWN, Reading

CITY = "440100"  # Guangzhou
UNASSIGNED = "未分配"
_ROAD = "(?![东西南北中]?(?:路|大道|大街|公路))"  # 番禺大道 and 花都北路 are roads, not places in 番禺 and 花都
_BLANKS = re.compile(r"[\s\u3000]+")
_REGION_ENDS = "省市区县旗盟州"
_PROVINCE_ENDS = re.compile(r"(?:省|市|(?:壮族|回族|维吾尔)?自治区|特别行政区)$")


class District(NamedTuple):
    """`confidence`: exact, successor, abbreviated, unassigned. `reason`: only for unassigned: no_address, other_city,
    development_zone (the address names only such a zone; zones are no divisions and cross the borders of districts), no_district."""

    code: str | None
    name: str
    confidence: str
    reason: str | None = None


NO_ADDRESS = District(None, UNASSIGNED, "unassigned", "no_address")
OTHER_CITY = District(None, UNASSIGNED, "unassigned", "other_city")
DEVELOPMENT_ZONE = District(None, UNASSIGNED, "unassigned", "development_zone")
NO_DISTRICT = District(None, UNASSIGNED, "unassigned", "no_district")
_ZONE = re.compile(r".{0,8}?(?:经济技术开发区|高新技术产业开发区|技术开发区|高新区|保税区|保税港区|自贸区|自由贸易试验区|开发区|科学城|知识城)")


class Area(NamedTuple):
    code: str
    name: str
    parent: str
    start: int
    end: int | None
    successors: tuple[str, ...]  # without parts that left in an earlier year: those are no successors
    parts: tuple[tuple[int, str], ...]  # (year, code to which a part left)


@cache
def areas() -> tuple[Area, ...]:
    return tuple(
        Area(
            r["code"], r["name"], r["parent_code"], int(r["start_year"]), int(r["end_year"]) if r["end_year"] else None,
            tuple(str(link["code"]) for link in links if "time" not in link),
            tuple((link["time"], str(link["code"])) for link in links if "time" in link),
        )
        for r in codes.rows("gbt2260_areas")
        for links in [json.loads(r["successors"] or "[]")]
    )  # fmt: skip


@cache
def _by_code() -> dict[str, tuple[Area, ...]]:
    found: dict[str, tuple[Area, ...]] = {}
    for area in areas():
        found[area.code] = (*found.get(area.code, ()), area)
    return found


def _today(area: Area, steps: int = 5) -> set[Area | None]:
    """The divisions of today that a division became; None among them for a path that ends nowhere."""
    if area.end is None:
        return {area}
    if steps == 0 or not area.successors:
        return {None}
    ends: set[Area | None] = set()
    for code in area.successors:
        ends |= {end for heir in _heirs(code, area.end) for end in _today(heir, steps - 1)} or {None}
    return ends


def _heirs(code: str, year: int) -> list[Area]:
    """The division that a code led to in a year: it may have been used twice, and the one that is valid from then on is meant."""
    return [a for a in _by_code().get(code, ()) if a.start <= year and (a.end is None or a.end > year)]


def _today_of_place(area: Area, year: int, steps: int = 8) -> set[Area | None]:
    """The divisions of today in which a place may lie that was in `area` in a year: those of `_today`, and of all parts that left since.

    The list has years, no days: a part that left in that very year may still have been there.
    """
    if steps == 0:
        return {None}
    ends: set[Area | None] = {area} if area.end is None else set()
    gone = [(code, left) for left, code in area.parts if left >= year]
    if area.end is not None:
        gone += [(code, area.end) for code in area.successors]
    for code, left in gone:
        ends |= {end for heir in _heirs(code, left) for end in _today_of_place(heir, max(year, left), steps - 1)} or {None}
    return ends or {None}


class _Names(NamedTuple):
    lookup: dict[str, District]
    beginning: re.Pattern[str]
    bureau: re.Pattern[str]  # a city bureau's district branch: 广州市工商行政管理局天河分局
    bare: dict[str, District]
    elsewhere: frozenset[str]
    longest: int
    province: str
    prefix: re.Pattern[str]  # province and city before a district


@cache
def _names(city: str) -> _Names:
    """All texts that may stand for a district of the city, each with the one district that it means."""
    proposals: dict[str, dict[str, tuple[int, District]]] = {}  # text → code → (rank, district)

    def propose(text: str, area: Area, confidence: str, rank: int) -> None:
        known = proposals.setdefault(text, {})
        if area.code not in known or known[area.code][0] < rank:
            known[area.code] = (rank, District(area.code, area.name, confidence))

    for area in areas():
        if area.parent != city:
            continue
        if area.end is None:
            propose(area.name, area, "exact", 3)
            continue
        ends = _today(area)
        end = next(iter(ends)) if len(ends) == 1 else None
        if end is None or end.parent != city:
            continue
        propose(area.name, end, "successor", 2)
        # Former counties and cities are written without their suffix too (增城新塘镇). Urban districts are not taken so: their bare names
        # are names of roads.
        if area.name[-1] in "市县" and len(area.name) > 2:
            propose(area.name[:-1], end, "abbreviated", 1)
    lookup = {text: next(iter(known.values()))[1] for text, known in proposals.items() if len(known) == 1}
    full = sorted((t for t, d in lookup.items() if d.confidence != "abbreviated"), key=len, reverse=True)
    short = sorted((t for t, d in lookup.items() if d.confidence == "abbreviated"), key=len, reverse=True)
    place = {a.code: a.name for a in areas() if a.end is None and a.code in (city, f"{city[:2]}0000")}
    prefix = f"(?:{_optional(place[f'{city[:2]}0000'])})?(?:{_optional(place[city])})?"
    bare = {text.rstrip("区市县") if len(text) > 2 else text: district for text, district in lookup.items()}
    own = set(lookup) | {f"{t}{s}" for t in short for s in _REGION_ENDS} | set(place.values())
    # Names of one character and a suffix, and 城区, 郊区, 市辖区, are words, not places.
    elsewhere = frozenset(a.name for a in areas() if len(a.name) >= 3 and a.name[-1] in _REGION_ENDS and a.name not in own and a.name != "市辖区")
    return _Names(
        lookup,
        re.compile(f"{prefix}({'|'.join(full)}|(?:{'|'.join(short) or '(?!)'}){_ROAD})"),
        re.compile(f"局({'|'.join(sorted(bare, key=len, reverse=True))})(?:区|市|县)?分局"),
        bare,
        elsewhere,
        max(map(len, elsewhere)),
        place[f"{city[:2]}0000"],
        re.compile(f"^{prefix}"),
    )


def _optional(name: str) -> str:
    """A name whose suffix may be missing, as an expression: 广州市?"""
    return f"{name}?"


@cache
def own_divisions(city: str = CITY) -> tuple[str, str, tuple[str, ...]]:
    """(the province and the city without the word for their rank, the names in full of the city's districts, also of former ones that lie in it)."""
    names = _names(city)
    (own,) = (a.name for a in areas() if a.end is None and a.code == city)
    return names.province.removesuffix("省"), own.removesuffix("市"), tuple(t for t, d in names.lookup.items() if d.confidence != "abbreviated")


def locate(address: str | None, city: str = CITY) -> District:
    """The district of today in which an address lies. Raises KeyError for a code that is no city of today."""
    if not address:
        return NO_ADDRESS
    text = _BLANKS.sub("", address) if " " in address or "\u3000" in address else address
    if not text:
        return NO_ADDRESS
    names = _names(city)
    found = names.beginning.match(text)
    if found:
        return names.lookup[found[1]]
    if _begins_elsewhere(text, names):
        return OTHER_CITY
    return DEVELOPMENT_ZONE if _ZONE.match(text) else NO_DISTRICT


def _begins_elsewhere(text: str, names: _Names) -> bool:
    """Whether an address begins with a province, city or county that is not ours, the own province before it or not."""
    for own in (names.province, names.province[:-1]):
        if text.startswith(own):
            text = text.removeprefix(own)
            break
    else:
        for short, full in _provinces():
            # 湖南长沙市: a province without its suffix counts only before a place; 北京路 is a road.
            if (
                text.startswith(short)
                and full != names.province
                and any(text[len(short) : len(short) + n] in names.elsewhere for n in range(3, names.longest))
            ):
                return True
    return any(text[:n] in names.elsewhere for n in range(3, names.longest + 1))


@cache
def _provinces() -> tuple[tuple[str, str], ...]:
    return tuple((_PROVINCE_ENDS.sub("", a.name), a.name) for a in areas() if not a.parent and a.end is None)


@cache
def province_names() -> frozenset[str]:
    """Names of provinces since 1981, with and without 省, 市, 自治区."""
    return frozenset(name for a in areas() if not a.parent for name in (a.name, _PROVINCE_ENDS.sub("", a.name)))


@cache
def region_names() -> frozenset[str]:
    """Names of the divisions below the province since 1981, with and without their suffix; the provinces that are cities too."""
    below = (a.name for a in areas() if a.code.endswith("00") and a.parent)
    return province_names() | {text for name in below for text in (name, re.sub(r"(?:市|地区|盟)$", "", name))}


def authority_district(text: str | None, city: str = CITY) -> tuple[str, str] | None:
    """(code, name) of the district that an authority's name states, e.g. 广州市天河区市场监督管理局, 广州市工商行政管理局天河分局; else None.

    The city's own bureau and the bureaus of development zones are of no district.
    """
    return _authority(text, city) if text and len(text) <= 100 else None


@lru_cache(maxsize=4096)
def _authority(text: str, city: str) -> tuple[str, str] | None:
    text = _BLANKS.sub("", text)
    names = _names(city)
    found = names.beginning.match(text)
    district = names.lookup[found[1]] if found else None
    if district is None:
        branch = names.bureau.search(text)
        district = names.bare[branch[1]] if branch else None
    return (district.code, district.name) if district is not None and district.code is not None else None


_DISTRICT_CODE = re.compile(r"([0-9]{6})(?:0{3}|0{6})?")  # of the division, or of its level in the codes of 9 and 12 digits
_LONGEST = 100  # characters


def read_district(text: str, on: dt.date, city: str = CITY) -> Reading:
    """The district of today for what a column of districts says in a record of the day `on`: a name, with or without suffix, or a code.

    Basis: `exact` (a district of today, to which all that it was that year belongs), `successor` (a former division, all of it in one district of today), `ambiguous` (in more
    than one: only an address tells), `other_city`, `city` (the city alone, or its 市辖区), `unknown` (no such division on that day). Names and
    codes that have ended by then mean what they meant last, for people go on using them; those that come later mean nothing yet.
    """
    return _district(text, on.year, city) if len(text) <= _LONGEST else Reading(None, UNKNOWN)


@lru_cache(maxsize=8192)
def _district(text: str, year: int, city: str) -> Reading:
    said, names = _BLANKS.sub("", unicodedata.normalize("NFKC", text)), _names(city)
    if found := _DISTRICT_CODE.fullmatch(said):
        if found[1] in (city, f"{city[:4]}01", f"{city[:2]}0000"):  # 440101 市辖区 stands in records and in no list of counties
            return Reading(None, "city")
        return _of_today(_in_year(_by_code().get(found[1], ()), year), year, city)
    own = names.prefix.sub("", said)
    if own in ("", "市辖区", "市直"):
        return Reading(None, "city")
    known = _by_name(city)
    if own not in known and (found := names.beginning.match(said)):  # a street behind the district
        own = found[1]
    if own in known:
        return _of_today(_in_year(known[own], year), year, city)
    if _begins_elsewhere(said, names):
        return Reading(None, "other_city")
    return Reading(None, "ambiguous" if _ZONE.match(said) else UNKNOWN)


@cache
def _by_name(city: str) -> dict[str, tuple[Area, ...]]:
    """The divisions that the city has had, by name and by name without suffix."""
    found: dict[str, tuple[Area, ...]] = {}
    for area in areas():
        if area.parent == city:
            for text in {area.name, area.name[:-1] if len(area.name) > 2 else area.name}:
                found[text] = (*found.get(text, ()), area)
    return found


def _in_year(candidates: tuple[Area, ...], year: int) -> list[Area]:
    """Those that were valid at some time of the year; if none was, those that were the last to end before."""
    valid = [a for a in candidates if a.start <= year and (a.end is None or a.end >= year)]
    ended = [a for a in candidates if a.end is not None and a.end < year]
    return valid or [a for a in ended if a.end == max(e.end or 0 for e in ended)]


def _of_today(meant: list[Area], year: int, city: str) -> Reading:
    if not meant:
        return Reading(None, UNKNOWN)
    ends = {end for area in meant for end in _today_of_place(area, year)}
    here = {end for end in ends if end is not None and end.parent == city}
    if not here:
        return Reading(None, "other_city")
    if len(ends) > 1:
        return Reading(None, "ambiguous")
    (end,) = here
    return Reading(end.code, "exact" if meant == [end] else "successor")
