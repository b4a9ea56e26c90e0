"""The kind of a subject: its type text and code, its category, and the ownership that the text states.

The list of types is the public list of 4-digit codes (catalog/codes/enterprise_types.csv). A type text that is not known is kept as it
is, has no code and counts as unknown; it never falls into "other".
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache
from typing import NamedTuple

from spark_jobs.refine import codes
from spark_jobs.refine.text import stated

# What the register writes beside the names of the list. The code only where one code can be meant: 有限责任公司 is 1100, 5100 or 6100.
_SPOKEN = {
    "个体户": "9500",
    "普通合伙": "4531",
    "特殊普通合伙": "4532",
    "有限合伙": "4533",
    "外国(地区)企业常驻代表机构": "7200",
    "集体分支机构(非法人)": "4320",
    "国有企业": None,
    "内资企业法人": None,
    "有限责任公司港澳台": None,
    "有限责任公司国有企业": None,
    "有限责任公司外商投资企业": None,
    "有限责任公司分公司": None,
    "个体": "9500",
}
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
_TRAILING_BRACKETS = re.compile(r"[（(][^（()）]*[）)]$")


class TypeKind(NamedTuple):
    """What the type text alone says. `known`: it is in the list or among the spoken forms; `category` is None if it says none."""

    text: str | None
    known: bool
    code: str | None
    category: str | None
    ownership: str


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
    return found | _SPOKEN


def read_type(text: str | None) -> TypeKind:
    """What a delivered type text says."""
    return NO_TYPE if text is None else _read(text) if len(text) <= 100 else TypeKind(stated(text), False, None, None, "unknown")


@lru_cache(maxsize=4096)
def _read(raw: str) -> TypeKind:
    text = stated(raw)
    if text is None:
        return NO_TYPE
    key = _key(text)
    if key not in _types():
        return TypeKind(text, False, None, None, "unknown")
    said = _FOREIGN_OWNER.sub("", key)
    ownership = next((group for group, pattern in _GROUPS if pattern.search(said)), "unknown")
    return TypeKind(text, True, _types()[key], _category_of_type(key), ownership)


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


def category(kind: TypeKind, name: str | None, code: str | None, check: str) -> tuple[str, str]:
    """(subject_category, category_basis): from the type, else from positions 1–2 of a credit code that passed, else from the name.

    91 stands for companies and for their branches, so under it a name that proves a branch decides.
    """
    if kind.category is not None:
        return kind.category, "type"
    by_name = category_of_name(name)
    if code is not None and check in ("passed", "pilot"):
        by_code = category_of_code(code)
        if by_code == "enterprise" and by_name in ("branch", "foreign_office"):
            return by_name, "name"
        if by_code is not None:
            return by_code, "code"
    return (by_name, "name") if by_name is not None else ("unknown", "unknown")


def category_of_code(code: str) -> str | None:
    """What positions 1–2 of a credit code say (GB 32100-2015); None for departments other than market supervision."""
    return {"91": "enterprise", "92": "individual", "93": "cooperative"}.get(code[:2])
