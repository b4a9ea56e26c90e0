"""The government resource directory (信息资源目录): the core metadata of 政务信息资源目录编制指南（试行）2017, derived from the contracts.

An authority lists the resources that it makes or gets in doing its duties, not the buffers of its platform. So every table is listed,
shared or not, but (`unlisted` says why of each):

* rows as they arrived and rows that were set aside: what they say is listed as the typed records or facts made from them;
* copies of the ledger, and tables that only those who look after the lake may read: how the platform is run is no resource.

Contracts say name, summary, items, sharing and update cycle; departments.yaml says who stands behind a department, how a domain is classed, on which
law what is not shared rests; directory.csv holds the code and the day of issue of each resource, so that neither changes when a table is added
(`catalog.directory_register` keeps it). What is wrong with an entry is said by `catalog.directory_check`.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field, ValidationError

from catalog.contract import HOME, Contract, ContractError
from catalog.derive import all_tables, view_columns
from catalog.properties import Kind, Strict

DEPARTMENTS = HOME / "departments.yaml"
REGISTER = HOME / "directory.csv"

# 类 and 项 of the guide, in its order; a 项 is numbered by its place. The guide's own list of codes was not at hand.
CLASSES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "1": ("基础信息资源", ("人口", "法人单位", "自然资源和空间地理", "社会信用", "电子证照")),
    "2": (
        "主题信息资源",
        ("公共服务", "健康保障", "社会保障", "食品药品安全", "安全生产", "价格监管", "能源安全", "信用体系", "城乡建设", "社区治理", "生态环保", "应急维稳"),
    ),
    "3": (
        "部门信息资源",
        ("党中央", "全国人大常委会", "国务院", "全国政协", "最高人民法院", "最高人民检察院", "省（自治区、直辖市）及其下各级政务部门", "计划单列市及其下各级政务部门"),
    ),
}  # fmt: skip
# 细目, ours: what kind of table it is; a 细目 is numbered by its place.
GENRES = ("代码表", "业务记录", "对照关系", "主体与事项档案", "统计分析")
# Spark SQL type of a column → data type of the guide.
DATA_TYPES = {
    "STRING": "字符型C",
    "INT": "整型I",
    "BIGINT": "整型I",
    "DOUBLE": "双精度型B",
    "DECIMAL": "数值型N",
    "BOOLEAN": "逻辑型L",
    "DATE": "日期型D",
    "TIMESTAMP": "日期时间型T",
    "ARRAY<STRING>": "备注型M",
}
UNSHARED = "不予共享"
KEEPERS = {"steward", "operator"}  # those who look after the lake


# --- what contracts do not say -----------------------------------------------------------------------------------------


class Catalogue(Strict):
    """The directory as a whole. ``example``: the address is made up."""

    title: str
    publisher: str  # one of the bodies
    address: str = Field(pattern=r"^https?://[^\s/]+/(\S*/)?$")
    example: bool
    sharing_method: str
    format: tuple[str, str]  # of the guide's two levels
    open_condition: str = Field(min_length=1)


class Body(Strict):
    """A legal body. ``example``: the code is made up."""

    name: str = Field(min_length=1)
    code: str
    kind: Literal["机关", "事业单位", "群众团体", "社会团体", "企业"]
    example: bool


class Department(Strict):
    """A department as contracts name it: the key of its body, and how its data come where that isn't plain."""

    body: str
    note: str | None = None


class Classed(Strict):
    """How the tables of a domain are classed, or those of one ``genre`` of it."""

    domain: str
    genre: str | None = None
    class_: str = Field(alias="class")
    item: str
    group: str = Field(pattern=r"^\d{3}$")
    name: str = Field(min_length=1)


class LegalBasis(Strict):
    """The law on which a refusal to share rests. ``confirmed``: the authority's lawyers have agreed."""

    basis: str = Field(min_length=1)
    confirmed: bool


class Facts(Strict):
    """What departments.yaml says."""

    catalogue: Catalogue
    bodies: dict[str, Body]
    departments: dict[str, Department]
    classes: list[Classed]
    legal_bases: dict[str, LegalBasis]


@dataclass(frozen=True)
class Entry:
    """What directory.csv holds of a table: its code, the day of issue, and the day on which it was withdrawn, if it was (CCYY-MM-DD)."""

    code: str
    issued: str
    withdrawn: str = ""


def load_facts(path: Path = DEPARTMENTS) -> Facts:
    """The facts beside the contracts. Raises ContractError with every fault."""
    try:
        facts = Facts.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except yaml.YAMLError as error:
        raise ContractError([f"{path.name}: not YAML: {error}"]) from error
    except ValidationError as error:
        raise ContractError(f"{path.name}: {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()) from error
    if problems := [f"{path.name}: {text}" for text in _fact_problems(facts)]:
        raise ContractError(problems)
    return facts


def _fact_problems(facts: Facts) -> Iterator[str]:
    for place, body in (("catalogue", facts.catalogue.publisher), *((d, entry.body) for d, entry in facts.departments.items())):
        if body not in facts.bodies:
            yield f"{place}: {body} is no body; add it below `bodies` or correct it"
    seen = set()
    for entry in facts.classes:
        if entry.class_ not in CLASSES or entry.item not in CLASSES[entry.class_][1]:
            yield f"classes: {entry.domain}: {entry.class_} {entry.item} is no 类 and 项 of the guide; take one of catalog/directory.py CLASSES"
        if entry.genre not in (None, *GENRES):
            yield f"classes: {entry.domain}: there is no genre {entry.genre}; use one of {'、'.join(GENRES)}"
        if (entry.domain, entry.genre) in seen:
            yield f"classes: {entry.domain} {entry.genre or ''} is given twice; keep one"
        seen.add((entry.domain, entry.genre))


def load_register(path: Path = REGISTER) -> dict[str, Entry]:
    """Codes and days of issue, by table; those that were withdrawn too. Raises ContractError for a table that stands there twice."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    tables = [row["table"] for row in rows]
    if twice := sorted({t for t in tables if tables.count(t) > 1}):
        raise ContractError(f"{path.name}: {table} stands there twice; keep one line" for table in twice)
    return {row["table"]: Entry(row["code"], row["issued"], row["withdrawn"]) for row in rows}


# --- resources ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Item:
    """A 信息项: a column of the readers' view."""

    name: str  # Chinese
    column: str
    type: str  # one of the guide's data types
    meaning: str
    classification: str
    key: bool
    required: bool

    @property
    def personal(self) -> bool:
        """Whether readers see a mask."""
        return self.classification != "一般"


@dataclass(frozen=True)
class Category:
    """类, 项, 目, 细目: code and name of each."""

    levels: tuple[tuple[str, str], ...]

    @property
    def code(self) -> str:
        return "".join(code for code, _ in self.levels)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for _, name in self.levels)


@dataclass(frozen=True)
class Resource:
    """The core metadata of one resource, in the guide's order, and what exports need beside it."""

    category: Category
    name: str
    code: str  # classification code / serial number; empty while the register has none
    provider: str  # full name of the body
    provider_code: str  # its unified social credit code
    summary: str
    format: tuple[str, str]
    items: tuple[Item, ...]
    sharing: str
    sharing_condition: str | None  # of 不予共享: the reason and its legal basis
    sharing_method: str | None  # None: not shared
    is_open: bool
    open_condition: str | None
    update_cycle: str
    issued: str  # CCYY-MM-DD
    related: tuple[str, ...]  # codes of the resources that it is made from
    # beside the guide
    table: str  # id of the contract
    english: str
    version: str
    owner: str  # department that answers for it
    department: str  # supplying department, as the contract names it
    provider_kind: str
    is_example: bool  # the provider's code is made up
    is_confirmed: bool  # the legal basis of 不予共享, if it has one from departments.yaml, is agreed


def unlisted(contracts: Mapping[str, Contract]) -> dict[str, str]:
    """Why a table is not in the directory, in Chinese, by id; of all tables that are not."""
    return {identity: why for identity, contract in all_tables(contracts).items() if (why := _why_unlisted(contract))}


def _why_unlisted(contract: Contract) -> str | None:
    if contract.kind is Kind.FEED:
        return "原始到达记录，其内容以标准层的记录列入目录"
    if contract.kind is Kind.QUARANTINE:
        return "被隔离、等待整改的记录，不能使用"
    if contract.kind is Kind.PROJECTION:
        return "平台运行台账的投影，不是履职形成的信息资源"
    if set(contract.readers) <= KEEPERS:
        return "只供数据管理员和运维使用的治理清单，不是履职形成的信息资源"
    return None


def listed(contracts: Mapping[str, Contract]) -> dict[str, Contract]:
    """The tables that are in the directory, by id."""
    left_out = unlisted(contracts)
    return {identity: contract for identity, contract in all_tables(contracts).items() if identity not in left_out}


def genre_of(contract: Contract) -> str:
    """The 细目 of a table, one of GENRES."""
    if contract.kind is Kind.REFERENCE:
        return "代码表"
    if contract.kind in (Kind.RECORD, Kind.FACT):
        return "业务记录"
    if contract.kind is Kind.DERIVED:
        return "对照关系"
    # A table that names single things by an id of ours tells of them; one that doesn't counts.
    return "主体与事项档案" if any(c.name.endswith("_id") for c in contract.columns) else "统计分析"


def category_of(contract: Contract, facts: Facts) -> Category:
    """How a table is classed. Raises ContractError for a domain of which departments.yaml doesn't say it."""
    genre = genre_of(contract)
    by_genre = {entry.genre: entry for entry in facts.classes if entry.domain == contract.domain}
    entry = by_genre.get(genre) or by_genre.get(None)
    if entry is None:
        raise ContractError([f"{DEPARTMENTS.name}: classes: domain {contract.domain} of {contract.id} is not classed; add it"])
    title, items = CLASSES[entry.class_]
    return Category(
        (
            (entry.class_, title),
            (f"{items.index(entry.item) + 1:02d}", entry.item),
            (entry.group, entry.name),
            (f"{GENRES.index(genre) + 1:02d}", genre),
        )
    )


def resources(contracts: Mapping[str, Contract], facts: Facts | None = None, register: Mapping[str, Entry] | None = None) -> tuple[Resource, ...]:
    """The directory: a resource for each listed table, by code. Without ``facts`` and ``register``, those of the repository.

    A table that the register doesn't know has no code and no day of issue yet, which `catalog.directory_check` tells. Raises ContractError for a
    department or a domain that departments.yaml doesn't know, all of them at once.
    """
    facts, register = facts or load_facts(), load_register() if register is None else register
    tables, everything = listed(contracts), all_tables(contracts)
    problems = []
    for contract in tables.values():
        for name, does in ((contract.department, "supplies"), (contract.owner, "answers for")):
            if name not in facts.departments:
                problems.append(f"{DEPARTMENTS.name}: departments: {name}, which {does} {contract.id}, is missing; add it")
        try:
            category_of(contract, facts)
        except ContractError as error:
            problems += error.problems
    if problems:
        raise ContractError(problems)
    codes = {identity: register[identity].code for identity in tables if identity in register}
    found = [
        _resource(contract, facts, register.get(identity, Entry("", "")), _related(contract, everything, codes))
        for identity, contract in tables.items()
    ]
    return tuple(sorted(found, key=lambda r: (r.code, r.table)))


def _resource(contract: Contract, facts: Facts, entry: Entry, related: tuple[str, ...]) -> Resource:
    department = facts.departments[contract.department]
    body = facts.bodies[department.body]
    items = tuple(
        Item(c.chinese, c.name, DATA_TYPES[c.type.partition("(")[0]], c.meaning, c.classification, bool(c.key), c.required)
        for c in view_columns(contract)
    )
    shared = contract.sharing != UNSHARED
    # Whoever may have it without condition may be a citizen, but never where a column has to be masked.
    is_open = contract.sharing == "无条件共享" and not any(i.personal for i in items)
    basis = None if shared else facts.legal_bases.get(contract.id)
    return Resource(
        category=category_of(contract, facts),
        name=contract.title,
        code=entry.code,
        provider=body.name,
        provider_code=body.code,
        summary=_summary(contract, department),
        format=facts.catalogue.format,
        items=items,
        sharing=contract.sharing,
        sharing_condition=f"{contract.sharing_condition}。依据：{basis.basis}" if basis else contract.sharing_condition,
        sharing_method=facts.catalogue.sharing_method if shared else None,
        is_open=is_open,
        open_condition=facts.catalogue.open_condition if is_open else None,
        update_cycle=contract.update_cycle,
        issued=entry.issued,
        related=related,
        table=contract.id,
        english=contract.english,
        version=contract.version,
        owner=contract.owner,
        department=contract.department,
        provider_kind=body.kind,
        is_example=body.example,
        is_confirmed=basis is None or basis.confirmed,
    )


def _summary(contract: Contract, department: Department) -> str:
    sentences = (contract.description, contract.grain, f"用途：{contract.purpose}", f"口径与限制：{contract.limitations}", department.note)
    return "。".join(s.rstrip("。") for s in sentences if s) + "。"


def _related(contract: Contract, tables: Mapping[str, Contract], codes: Mapping[str, str]) -> tuple[str, ...]:
    """Codes of what a table is made from: of a feed what it became, of what is not listed what that is made from."""
    found: set[str] = set()
    seen = {contract.id}
    waiting = list(contract.inputs)
    while waiting:
        identity = waiting.pop()
        if identity in seen:
            continue
        seen.add(identity)
        if identity in codes:
            found.add(codes[identity])
        elif identity.startswith("bronze."):
            waiting.append(identity.replace("bronze.", "silver.", 1))
        elif identity in tables:
            waiting += tables[identity].inputs
    return tuple(sorted(found))


def by_sharing(found: Iterable[Resource]) -> dict[str, int]:
    """How many resources there are of each sharing type."""
    counts = {"无条件共享": 0, "有条件共享": 0, UNSHARED: 0}
    for resource in found:
        counts[resource.sharing] = counts.get(resource.sharing, 0) + 1
    return counts
