"""Texts of code columns that no list and no crosswalk knows: work for the steward. They are listed as they came, never put under "other"."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from spark_jobs.refine import capital, kinds
from spark_jobs.refine.columns import Texts, each, no_ids
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


def of_columns(
    record: Mapping[str, Sequence[Any]],
    industries: Texts,
    types: Sequence[kinds.TypeKind],
    money: Sequence[capital.Capital],
    reasons: Sequence[Sequence[str]],
) -> list[Sequence[str]]:
    """What each record states that no list knows, sorted, each as `<delivered column>=<text>`. `industries`: the industries as stated.

    Of a record that is set aside (it has `reasons`) nothing is listed: where columns have slipped, a person's name may stand in place of a code.
    """
    amounts = record["registered_capital_text"]
    unread = [text if held.status == "unparsed" else None for text, held in zip(amounts, money, strict=True)]
    unknown: dict[str, Texts] = {
        "enterprise_type": [None if kind.known else kind.text for kind in types],
        "registered_capital_text": each(capital.unknown_currency, unread),
        "province_name": each(_unknown_province, record["province_name"]),
        "region_name": each(_unknown_region, record["region_name"]),
        "industry_name": [None if basis == "stated" else text for text, basis in zip(industries, record["industry_basis"], strict=True)],
    }
    found = no_ids(len(reasons))
    for column in sorted(unknown):
        if any(unknown[column]):
            for row, text in enumerate(unknown[column]):
                if text is not None and not reasons[row]:
                    found[row] = [*found[row], f"{column}={shown(text)}"]
    return found


def _unknown_province(text: str | None) -> str | None:
    return text if text is not None and text not in province_names() else None


def _unknown_region(text: str | None) -> str | None:
    return text if text is not None and not _region_known(text) else None


def _region_known(text: str) -> bool:
    """A division below the province, its province before it or not (广东省广州市)."""
    return text in region_names() or any(text.startswith(p) and text.removeprefix(p) in region_names() for p in province_names())


def shown(text: str) -> str:
    """The text as it is listed: without long numbers, which may be somebody's, and not in full length."""
    return WITHHELD if _LONG_NUMBER.search(text) else text[:LONGEST]
