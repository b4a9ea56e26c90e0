"""What the search box finds: an entry for each thing that has a page, by its Chinese name, its reading, and its name in English."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pypinyin import Style, lazy_pinyin

from catalog.site.model import DOMAINS, LAYERS, Catalog

Entry = dict[str, Any]
Address = Callable[..., str]  # as flask.url_for


def readings(text: str) -> list[str]:
    """How a name is typed by its sound: all syllables, and their first letters."""
    return [
        "".join(lazy_pinyin(text, errors="ignore")),
        "".join(lazy_pinyin(text, style=Style.FIRST_LETTER, errors="ignore")),
    ]


def entry(kind: str, title: str, name: str, address: str, says: str, more: str = "", aliases: Iterable[str] = ()) -> Entry:
    """``k``: what it is, ``t``: Chinese name, ``a``: other names, ``n``: English or technical name, ``p``: readings of all names, ``u``: address,
    ``s``: a sentence, ``m``: more to be found by."""
    names = [title, *aliases]
    return {"k": kind, "t": title, "a": names[1:], "n": name, "p": [r for n in names for r in readings(n)], "u": address, "s": says, "m": more}


def entries(catalog: Catalog, address: Address) -> Iterator[Entry]:
    """Everything but the codes, in the order in which equals are shown."""
    for name, field in catalog.fields.items():
        if name in catalog.used:
            where = "、".join(c.chinese for c in catalog.used[name][:3]) + ("等" if len(catalog.used[name]) > 3 else "")
            values = " ".join(f"{value} {label}" for value, label in field.allowed.items())
            yield entry("字段", field.zh, name, address("field", name=name), f"{field.meaning}（{where}）", values, field.aliases)
    for contract in catalog.tables.values():
        at = f"{LAYERS[contract.layer]} · {DOMAINS[contract.domain]} · {contract.department}"
        yield entry("数据表", contract.chinese, contract.id, address("table", table=contract.id), f"{contract.description}（{at}）", contract.english)
    for number in catalog.numbers.values():
        if number.dashboards:
            page = catalog.dashboards[number.dashboards[0]]
            yield entry(
                "看板数字",
                number.title,
                number.key,
                address("number", key=number.key),
                f"{page.title}：{number.question}",
                " ".join(f.title for f in number.figures),
            )
    for dashboard in catalog.dashboards.values():
        yield entry("看板", dashboard.title, dashboard.slug, address("dashboard", slug=dashboard.slug), dashboard.says)
    for key, codes in catalog.codes.items():
        yield entry("代码表", codes.about.zh, key, address("code_list", key=key), codes.about.says, codes.about.codeList or "")
    for department in catalog.departments.values():
        yield entry(
            "部门",
            department.name,
            department.slug,
            address("department", slug=department.slug),
            f"供数 {len(department.supplies)} 张表，负责 {len(department.owns)} 张表",
        )
    for document in catalog.documents.values():
        yield entry(
            "说明",
            document.title,
            document.key,
            address("document", key=document.key),
            "定义、公式、口径和来源" if "-" not in document.key else "操作说明",
        )
    for contract in catalog.tables.values():
        if contract.id in catalog.declared:
            for rule in contract.rules:
                if rule.description:
                    yield entry("质量规则", rule.description, rule.id, address("table", table=contract.id) + "#rules", contract.chinese)


def codes(catalog: Catalog, address: Address) -> Iterator[Entry]:
    """An entry for each code. They are many, so they are a file of their own."""
    for key, listed in catalog.codes.items():
        about = listed.about
        if about.name is None:
            continue
        at = {column: listed.header.index(column) for column in listed.header}
        url = address("code_list", key=key)
        for row in listed.rows:
            code = row[at[about.code]] if about.code else ""
            when = f"{row[at[about.since]]}—{row[at[about.until]] if about.until else ''} " if about.since else ""
            edition = f"{row[at[about.edition]]} 版 " if about.edition else ""
            yield {
                "k": "代码",
                "t": row[at[about.name]],
                "a": [],
                "n": code,
                "p": readings(row[at[about.name]]),
                "u": url,
                "s": f"{about.zh} {edition}{when}".strip(),
                "m": "",
            }
