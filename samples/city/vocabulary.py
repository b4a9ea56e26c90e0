"""The words that the city's names, addresses and scopes are made of: from the real register extract and from vocabulary.yaml."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import yaml

HERE = Path(__file__).parent
CODES = HERE.parents[1] / "catalog" / "codes"
DISTRICTS = (
    ("440103", "荔湾区"), ("440104", "越秀区"), ("440105", "海珠区"), ("440106", "天河区"), ("440111", "白云区"), ("440112", "黄埔区"),
    ("440113", "番禺区"), ("440114", "花都区"), ("440115", "南沙区"), ("440117", "从化区"), ("440118", "增城区"),
)  # fmt: skip
# Share of the subjects; assumed, roughly by the districts' size.
DISTRICT_SHARES = (0.075, 0.08, 0.085, 0.19, 0.19, 0.10, 0.12, 0.065, 0.045, 0.02, 0.03)
FORMER = {5: "萝岗区", 1: "东山区", 0: "芳村区", 9: "从化市", 10: "增城市"}  # by place in DISTRICTS: names that addresses still carry
AREAS = ("广州市", "广州", "广东", "")
FORMS = ("有限公司", "有限责任公司", "股份有限公司", "合伙企业（有限合伙）", "（个人独资）")


@dataclass(frozen=True)
class Vocabulary:
    """``first``, ``next``: characters of trade names with their shares. ``words``: trade words of enterprises, then ends of sole traders' names;
    ``word_section``: the section of each. ``streets``: by district. ``scopes``: real scope texts. ``classes``: (code, name) by section and edition.
    """

    first: list[str]
    first_shares: np.ndarray
    next: list[str]
    next_shares: np.ndarray
    sections: list[str]
    section_names: list[str]
    words: list[str]
    word_section: np.ndarray
    sole_from: int  # words from here on are ends of sole traders' names
    streets: list[list[str]]
    scopes: list[str]
    scope_begins: np.ndarray  # where the scopes of each section begin, and the end
    classes: dict[tuple[str, int], list[tuple[str, str]]]
    yaml: dict[str, Any]

    def arrow(self, name: str) -> pa.Array:
        return pa.array(getattr(self, name), pa.string())


@cache
def vocabulary() -> Vocabulary:
    listed = yaml.safe_load((HERE / "vocabulary.yaml").read_text("utf-8"))
    sections = sorted(listed["trades"])
    words = [(w, sections.index(s)) for s in sections for w in listed["trades"][s][2]]
    sole = [(w, sections.index(s)) for s in sections for w in listed["sole_traders"].get(s, ())]
    first: Counter[str] = Counter()
    following: Counter[str] = Counter()
    streets: list[set[str]] = [set() for _ in DISTRICTS]
    scopes: dict[int, set[str]] = {}
    section_of = dict(words)
    ends = "|".join(sorted((w for w, _ in words), key=len, reverse=True))
    pattern = re.compile(rf"(?:广州市|广州|广东省|广东)?([\u4e00-\u9fff]{{2,3}}?)({ends})")
    for row in _register():
        trade = pattern.match(row["企业名称"])
        if trade:
            first[trade[1][0]] += 1
            following.update(trade[1][1:])
        for place, (_, name) in enumerate(DISTRICTS):
            street = re.search(rf"{name}([\u4e00-\u9fff]{{2,8}}?(?:路|街|大道|巷))", row["注册地址"])
            if street:
                streets[place].add(street[1])
        if 8 < len(row["经营范围"]) < 400:
            named = pattern.match(row["企业名称"])
            word = named[2] if named else ""
            scopes.setdefault(section_of.get(word, -1), set()).add(row["经营范围"].rstrip("〓.").replace("\n", ""))
    classes: dict[tuple[str, int], list[tuple[str, str]]] = {}
    with (CODES / "gbt4754_industries.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = {r["code"]: r["name"] for r in rows if r["level"] == "section" and r["edition"] == "2017"}
    parents = {(r["edition"], r["code"]): r["parent_code"] for r in rows}
    for r in rows:
        if len(r["code"]) == 4:
            section = parents.get((r["edition"], r["code"][:2]), "")
            if section in sections:
                classes.setdefault((r["edition"], sections.index(section)), []).append((r["code"], r["name"]))
    most, mores = first.most_common(700), following.most_common(900)
    everything = sorted(set().union(*scopes.values()))
    by_section = [sorted(scopes.get(number, ())) or everything for number in range(len(sections))]
    return Vocabulary(
        [c for c, _ in most], np.array([n for _, n in most], float), [c for c, _ in mores], np.array([n for _, n in mores], float),
        sections, [names[s] for s in sections], [w for w, _ in words + sole], np.array([s for _, s in words + sole]), len(words),
        [sorted(s) or ["人民路"] for s in streets], [scope for of in by_section for scope in of], np.cumsum([0, *[len(of) for of in by_section]]), classes, listed,
    )  # fmt: skip


def _register() -> Iterator[dict[str, str]]:
    for path in sorted((HERE.parent / "registrations").glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            yield from csv.DictReader(file)
