"""Texts of code columns that no list and no crosswalk knows: work for the steward. They are listed as they came, never put under "other"."""

from __future__ import annotations

import re
from collections.abc import Mapping

from spark_jobs.refine import capital, kinds
from spark_jobs.refine.districts import province_names, region_names

# Delivered column → the list against which it is read. (The district of an address is found, not mapped: an address is no code.)
CODE_LISTS = {
    "enterprise_type": "企业（机构）类型代码",
    "registered_capital_text": "GB/T 12406",
    "province_name": "GB/T 2260",
    "region_name": "GB/T 2260",
    "industry_name": "GB/T 4754",
}
# No code of these lists has so many digits; a number of a person or a telephone has. That there was something is listed, the number is not.
_LONG_NUMBER = re.compile(r"[0-9]{7}")
WITHHELD = "（含长串数字，未列出）"
LONGEST = 100  # characters of a text that are listed


def of_record(record: Mapping[str, object], industry: str | None, kind: kinds.TypeKind, money: capital.Capital) -> list[str]:
    """What a record states that no list knows, sorted, each as `<delivered column>=<text>`. `industry`: the industry as stated."""
    found: dict[str, str | None] = {}
    if kind.text is not None and not kind.known:
        found["enterprise_type"] = kind.text
    if money.status == "unparsed":
        found["registered_capital_text"] = capital.unknown_currency(str(record["registered_capital_text"]))
    province, region = record["province_name"], record["region_name"]
    if province is not None and province not in province_names():
        found["province_name"] = str(province)
    if region is not None and not _region_known(str(region)):
        found["region_name"] = str(region)
    if industry is not None and record["industry_basis"] != "stated":
        found["industry_name"] = industry
    return sorted(f"{column}={_shown(text)}" for column, text in found.items() if text is not None)


def _region_known(text: str) -> bool:
    """A division below the province, its province before it or not (广东省广州市)."""
    return text in region_names() or any(text.startswith(p) and text.removeprefix(p) in region_names() for p in province_names())


def _shown(text: str) -> str:
    return WITHHELD if _LONG_NUMBER.search(text) else text[:LONGEST]
