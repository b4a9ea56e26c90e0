"""The resource directory as DCAT 3 in JSON-LD, for catalogues that harvest. The same directory gives the same text.

名称 dct:title, 摘要 dct:description, 提供方 dct:publisher, 代码 dct:identifier, 分类 dcat:theme, 更新周期 dct:accrualPeriodicity, 发布日期 dct:issued, 共享属性 dct:accessRights and
dct:rights, 开放条件 in a second dct:rights, 信息项 a csvw:Schema (dct:conformsTo; csvw:tableSchema of the distribution), 关联资源 dct:relation. What is not shared has no distribution.
The context is written out: nothing is fetched to read the document.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from catalog.directory import Facts, Item, Resource

CONTEXT: Mapping[str, Any] = {
    "dcat": "http://www.w3.org/ns/dcat#",
    "dct": "http://purl.org/dc/terms/",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "vcard": "http://www.w3.org/2006/vcard/ns#",
    "csvw": "http://www.w3.org/ns/csvw#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
_EU = "http://publications.europa.eu/resource/authority/"
FREQUENCIES = {
    "实时": "UPDATE_CONT", "每日": "DAILY", "每周": "WEEKLY", "每月": "MONTHLY", "每季度": "QUARTERLY", "每年": "ANNUAL", "不定期": "IRREG",
}  # fmt: skip
DATATYPES = {
    "字符型C": "string", "整型I": "integer", "双精度型B": "double", "数值型N": "decimal", "逻辑型L": "boolean", "日期型D": "date", "日期时间型T": "dateTime",
    "备注型M": "string",
}  # fmt: skip


def document(resources: Sequence[Resource], facts: Facts) -> dict[str, Any]:
    """The directory as a JSON-LD document: one dcat:Catalog with a dcat:Dataset for each resource, the bodies and the scheme of classes."""
    base = facts.catalogue.address
    publishers = {r.provider_code: r for r in resources}
    themes = {
        category.code[: len("".join(c for c, _ in category.levels[:n]))]: category.levels[:n]
        for category in (r.category for r in resources)
        for n in range(1, 5)
    }
    of_code = {r.code: _address(base, r.code) for r in resources}
    own = facts.bodies[facts.catalogue.publisher]
    catalog = {
        "@id": base,
        "@type": "dcat:Catalog",
        "dct:title": _zh(facts.catalogue.title),
        "dct:description": _zh("按《政务信息资源目录编制指南（试行）》的核心元数据编制，由数据湖的契约推导"),
        "dct:publisher": {"@id": f"{base}body/{own.code}"},
        "dct:language": {"@id": f"{_EU}language/ZHO"},
        "dct:modified": _day(max((r.issued for r in resources), default="")),
        "dcat:themeTaxonomy": {"@id": f"{base}theme"},
        "dcat:dataset": [{"@id": of_code[r.code]} for r in resources],
    }
    bodies = {own.code: _body(base, own.code, own.name, own.example)}
    bodies |= {code: _body(base, code, r.provider, r.is_example) for code, r in sorted(publishers.items())}
    scheme = {"@id": f"{base}theme", "@type": "skos:ConceptScheme", "dct:title": _zh("信息资源分类")}
    concepts = [_theme(base, levels) for _, levels in sorted(themes.items())]
    datasets = [_dataset(base, r, [of_code[code] for code in r.related if code in of_code]) for r in resources]
    return {"@context": dict(CONTEXT), "@graph": [catalog, *bodies.values(), scheme, *concepts, *datasets]}


def text_of(resources: Sequence[Resource], facts: Facts) -> str:
    """The document as text."""
    return json.dumps(document(resources, facts), ensure_ascii=False, indent=1) + "\n"


def _zh(text: str) -> dict[str, str]:
    return {"@value": text, "@language": "zh"}


def _day(text: str) -> dict[str, str]:
    return {"@value": text, "@type": "xsd:date"}


def _address(base: str, code: str) -> str:
    return f"{base}resource/{code.replace('/', '-')}"


def _body(base: str, code: str, name: str, is_example: bool) -> dict[str, Any]:
    body = {"@id": f"{base}body/{code}", "@type": "foaf:Agent", "foaf:name": _zh(name), "dct:identifier": code}
    return body | ({"rdfs:comment": _zh("示例代码，正式报送前请改为本单位代码")} if is_example else {})


def _theme(base: str, levels: Sequence[tuple[str, str]]) -> dict[str, Any]:
    code = "".join(c for c, _ in levels)
    concept: dict[str, Any] = {
        "@id": f"{base}theme/{code}",
        "@type": "skos:Concept",
        "skos:prefLabel": _zh(levels[-1][1]),
        "skos:notation": code,
        "skos:inScheme": {"@id": f"{base}theme"},
    }
    above = "".join(c for c, _ in levels[:-1])
    return concept | ({"skos:broader": {"@id": f"{base}theme/{above}"}} if above else {"skos:topConceptOf": {"@id": f"{base}theme"}})


def _dataset(base: str, r: Resource, related: Sequence[str]) -> dict[str, Any]:
    address = _address(base, r.code)
    rights = [f"{r.sharing}：{r.sharing_condition}" if r.sharing_condition else r.sharing]
    rights.append(f"向社会开放：{r.open_condition}" if r.is_open else "不向社会开放")
    access = "PUBLIC" if r.is_open else "NON_PUBLIC" if r.sharing_method is None else "RESTRICTED"
    dataset: dict[str, Any] = {
        "@id": address,
        "@type": "dcat:Dataset",
        "dct:title": [_zh(r.name), {"@value": r.english, "@language": "en"}],
        "dct:description": _zh(r.summary),
        "dct:identifier": r.code,
        "dct:publisher": {"@id": f"{base}body/{r.provider_code}"},
        "dcat:contactPoint": {"@type": "vcard:Organization", "vcard:fn": _zh(r.owner)},
        "dcat:theme": {"@id": f"{base}theme/{r.category.code}"},
        "dct:accrualPeriodicity": {"@id": f"{_EU}frequency/{FREQUENCIES[r.update_cycle]}"},
        "dct:issued": _day(r.issued),
        "dct:language": {"@id": f"{_EU}language/ZHO"},
        "dct:accessRights": {"@id": f"{_EU}access-right/{access}"},
        "dct:rights": [{"@type": "dct:RightsStatement", "rdfs:label": _zh(text)} for text in rights],
        "dcat:version": r.version,
        "dct:conformsTo": _schema(f"{address}#schema", r.items),
    }
    if related:
        dataset["dct:relation"] = [{"@id": other} for other in related]
    if r.sharing_method is not None:
        dataset["dcat:distribution"] = {
            "@id": f"{address}#view",
            "@type": "dcat:Distribution",
            "dct:title": _zh(f"{r.sharing_method}：{r.table}"),
            "dct:description": _zh("；".join((*r.format, "个人信息和商业秘密按使用者的权限遮蔽"))),
            "dcat:accessURL": {"@id": f"{base}sql/{r.table}"},
            "csvw:tableSchema": {"@id": f"{address}#schema"},
        }
    return dataset


def _schema(address: str, items: Sequence[Item]) -> dict[str, Any]:
    columns = [
        {
            "@type": "csvw:Column",
            "csvw:name": i.column,
            "csvw:title": _zh(i.name),
            "dct:description": _zh(i.meaning),
            "csvw:datatype": {"@id": f"xsd:{DATATYPES[i.type]}"},
            "csvw:required": i.required,
            **({"dct:accessRights": {"@type": "dct:RightsStatement", "rdfs:label": _zh(f"{i.classification}，提供时遮蔽")}} if i.personal else {}),
        }
        for i in items
    ]
    schema: dict[str, Any] = {"@id": address, "@type": "csvw:Schema", "csvw:column": {"@list": columns}}
    keys = [i.column for i in items if i.key]
    return schema | ({"csvw:primaryKey": keys} if keys else {})
