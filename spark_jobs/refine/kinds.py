"""The kind of a subject: its type text and code, its category, and the ownership that the text states.

The list of types is the public list of 4-digit codes (catalog/codes/enterprise_types.csv); what the register writes beside its names is in
catalog/crosswalks/enterprise_types.csv, with dates. A type text that is not known is kept as it is, has no code and counts as unknown; it
never falls into "other".
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from functools import cache, lru_cache
from typing import NamedTuple

from spark_jobs.refine import codes
from spark_jobs.refine.mappings import CROSSWALKS, Grouped, read_crosswalk, standing
from spark_jobs.refine.text import stated

_BRANCH_TYPE = re.compile(r"分支机构|分公司|办事机构|办事处|分厂|分店|法人营业|单位营业|经营单位")  # all without legal personality
_OFFICE_TYPE = re.compile(r"常驻代表机构|代表处")
# 外商投资企业投资 in 112x: a domestic company whose owner is a foreign-invested enterprise; the text says nothing of foreign capital.
_FOREIGN_OWNER = re.compile(r"外商投资企业(?:投资|合资|与内资合资|法人独资)")
_GROUPS = (
    ("foreign", re.compile(r"外商|中外|外国|港澳台")),
    ("state", re.compile(r"国有|全民")),
    ("collective", re.compile(r"集体")),
    ("private", re.compile(r"私营|自然人|个人独资")),
)

_BRANCH_NAME = re.compile(r"(?:分公司|分店|分厂|分行|支行|分理处|储蓄所|分社|分场|分站|支局|支公司|分院|分校|(?<!街道)(?<!街)(?<!镇)办事处)$")
_BEHIND_COMPANY = re.compile(r"有限(?:责任)?公司.")
_COMPANY_NAME = re.compile(r"^(?:(?!公司).)+公司$")
_PARTNERSHIP = re.compile(r"[（(](?:特殊)?(?:普通|有限)合伙[）)]$")
_COOPERATIVE_NAME = re.compile(r"专业合作(?:社|联社|社联合社)$")
_ABROAD = (
    "香港|澳门|台湾|日本|美国|英国|法国|德国|意大利|加拿大|澳大利亚|新西兰|新加坡|马来西亚|泰国|印度|印度尼西亚|菲律宾|越南|韩国|巴基斯坦|土耳其|俄罗斯|西班牙|荷兰|比利时|"
    "瑞士|瑞典|丹麦|挪威|芬兰|奥地利|巴西|墨西哥|南非|埃及|尼日利亚|约旦|以色列|伊朗|伊拉克|也门|叙利亚|黎巴嫩|巴勒斯坦|沙特|阿联酋|迪拜|科威特|加纳|肯尼亚|刚果|马里|"
    "几内亚|喀麦隆|安哥拉|坦桑尼亚|毛里求斯|文莱|柬埔寨|缅甸|孟加拉|斯里兰卡|尼泊尔|哈萨克斯坦|乌克兰|波兰|匈牙利|希腊|葡萄牙|爱尔兰|萨摩亚|塞舌尔|英属维尔京群岛"
)
_OFFICE_NAME = re.compile(f"^(?:{_ABROAD}).*(?:代表处|代表机构)$")
_BY_CODE = {"91": "enterprise", "92": "individual", "93": "cooperative"}
_TRAILING_BRACKETS = re.compile(r"[（(][^（()）]*[）)]$")


class TypeKind(NamedTuple):
    """What the type text alone says. `known`: it is in the list or in the crosswalk; `category` is None if it says none."""

    text: str | None
    known: bool
    code: str | None
    category: str | None
    ownership: str


_LONGEST = 100  # characters
NO_TYPE = TypeKind(None, False, None, None, "unknown")


def _key(text: str) -> str:
    """Type texts are compared without blanks and commas, with half-width brackets, and with one order of 港澳台."""
    text = re.sub(r"[\s、,，]", "", unicodedata.normalize("NFKC", text))
    return text.replace("台港澳", "港澳台")


@cache
def _types() -> dict[str, str | None]:
    """Key of a type's name → its code, None where several codes have the name."""
    found: dict[str, str | None] = {}
    for row in codes.rows("enterprise_types"):
        key = _key(row["name"])
        found[key] = None if key in found and found[key] != row["code"] else row["code"]
    return found


@cache
def crosswalk() -> Grouped:
    """The crosswalk beside the list of types, by key. Raises MappingError."""
    return read_crosswalk(CROSSWALKS / "enterprise_types.csv", {row["code"] for row in codes.rows("enterprise_types")}, _key)


def read_type(text: str | None, on: dt.date | None = None) -> TypeKind:
    """What a type text says in a delivery of the day `on`; without a day, by the rows of the crosswalk that are open-ended."""
    if text is not None and len(text) > _LONGEST:  # no type is that long; and a cache shall not keep it
        return TypeKind(stated(text), False, None, None, "unknown")
    return _read(text, on)[0] if text is not None else NO_TYPE


def crosswalk_used(text: str | None, on: dt.date | None) -> tuple[str | None, str | None]:
    """(id of the crosswalk's row that `read_type` goes by, else id of the row for this text that had ended by then)."""
    return _read(text, on)[1:] if text is not None and len(text) <= _LONGEST else (None, None)


@lru_cache(maxsize=4096)
def _read(raw: str, on: dt.date | None) -> tuple[TypeKind, str | None, str | None]:
    text = stated(raw)
    if text is None:
        return NO_TYPE, None, None
    key = _key(text)
    row, ended = standing(crosswalk().get(key, ()), on)
    used, late = row.mapping_id if row is not None else None, ended.mapping_id if ended is not None else None
    if row is None and key not in _types():
        return TypeKind(text, False, None, None, "unknown"), used, late
    said = _FOREIGN_OWNER.sub("", key)
    ownership = next((group for group, pattern in _GROUPS if pattern.search(said)), "unknown")
    code = row.target_code if row is not None else _types()[key]
    return TypeKind(text, True, code, _category_of_type(key), ownership), used, late


def _category_of_type(key: str) -> str | None:
    if key in ("其他", "集团"):
        return None
    if _OFFICE_TYPE.search(key):
        return "foreign_office"
    if _BRANCH_TYPE.search(key):
        return "branch"
    if key.startswith("个体"):
        return "individual"
    return "cooperative" if key.startswith("农民专业合作社") else "enterprise"


def category_of_name(name: str | None) -> str | None:
    """The category that a name proves by its form; None where it proves none (a 厂 may be a company, a branch or a sole trader)."""
    if name is None:
        return None
    # Most names; the expressions of _careful_category say the same, but slower.
    if name.endswith("有限公司") and name.find("公司") == len(name) - 2 and "\n" not in name:
        return "enterprise"
    return _careful_category(name)


def _careful_category(name: str) -> str | None:
    if _PARTNERSHIP.search(name):
        return "enterprise"
    bare = _TRAILING_BRACKETS.sub("", name)
    if _OFFICE_NAME.search(bare):
        return "foreign_office"
    # A branch carries the full name of its company in front of its own.
    if _BRANCH_NAME.search(bare) or _BEHIND_COMPANY.search(bare):
        return "branch" if not bare.endswith("代表处") else None
    if _COOPERATIVE_NAME.search(bare):
        return "cooperative"
    return "enterprise" if _COMPANY_NAME.search(bare) else None


def category(kind: TypeKind, by_name: str | None, code: str | None, check: str) -> tuple[str, str]:
    """(subject_category, category_basis): from the type, else from positions 1–2 of a credit code that passed, else from the name.

    `by_name`: what category_of_name says. 91 stands for companies and for their branches, so under it a name that proves a branch decides.
    """
    if kind.category is not None:
        return kind.category, "type"
    if code is not None and check in ("passed", "pilot"):
        by_code = category_of_code(code)
        if by_code == "enterprise" and by_name in ("branch", "foreign_office"):
            return by_name, "name"
        if by_code is not None:
            return by_code, "code"
    return (by_name, "name") if by_name is not None else ("unknown", "unknown")


def category_of_code(code: str) -> str | None:
    """What positions 1–2 of a credit code say (GB 32100-2015); None for departments other than market supervision."""
    return _BY_CODE.get(code[:2])
