"""The planning of information resources (信息资源规划), derived from the contracts.

* `matrix`: which business function creates which table (C), and which uses it (U);
* `elements`: of each element that feeds deliver the one authoritative source and its owner (一数一源);
* `sources`: which feeds are planned, which have a contract, which have delivered;
* `standards`: which columns are bound to a national data element, and the share of them that conforms (落标率).

functions.yaml says what no contract does: the functions, who works for them, the sources that don't follow from record keys, what a standard asks of a column.
Pure but for reading that file. What is not in order is a `Finding`, not an error: a plan shows its gaps.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field, ValidationError

from catalog.contract import HOME, Column, Contract, ContractError
from catalog.derive import all_tables
from catalog.directory import Facts, load_facts
from catalog.properties import Kind, Role, Strict

FUNCTIONS = HOME / "functions.yaml"


# --- what contracts do not say -----------------------------------------------------------------------------------------


class FunctionPlan(Strict):
    """A business function: the tables that it creates, by pattern of name, owner or domain, and the roles of those who work for it."""

    zh: str = Field(pattern=r"[\u4e00-\u9fff]")
    tables: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    roles: tuple[Role, ...] = ()


class PlannedFeed(Strict):
    """A feed that the plan names and that has no contract yet."""

    zh: str = Field(pattern=r"[\u4e00-\u9fff]")
    function: str
    department: str


class StandardPlan(Strict):
    """What a national standard asks of a column that is bound to it."""

    zh: str
    types: list[str] = Field(min_length=1)
    reader: str | None = None
    code_list: bool = False


class Plan(Strict):
    """What functions.yaml says."""

    functions: dict[str, FunctionPlan]
    sources: dict[str, str]  # element → feed
    of_each_record: list[str]
    planned: list[PlannedFeed]
    standards: dict[str, StandardPlan]


def load_plan(path: Path = FUNCTIONS) -> Plan:
    """The plan beside the contracts. Raises ContractError with every fault."""
    try:
        plan = Plan.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except yaml.YAMLError as error:
        raise ContractError([f"{path.name}: not YAML: {error}"]) from error
    except ValidationError as error:
        raise ContractError(f"{path.name}: {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()) from error
    problems = [f"planned: {feed.zh}: {feed.function} is no function; correct it" for feed in plan.planned if feed.function not in plan.functions]
    problems += [f"of_each_record: {name} has a source, too; keep one of both" for name in plan.of_each_record if name in plan.sources]
    problems += [f"of_each_record: {name} stands there twice; keep one" for name in set(plan.of_each_record) if plan.of_each_record.count(name) > 1]
    if problems:
        raise ContractError(f"{path.name}: {text}" for text in sorted(problems))
    return plan


@dataclass(frozen=True)
class Finding:
    """A gap of the plan, in Chinese: of what, what is missing or wrong, what to do."""

    what: str
    says: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}：{self.says}；{self.remedy}"


# --- functions and data ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Use:
    """That a function uses a table: 加工, its own tables are made from it; 查阅, those who work for it may read it."""

    function: str
    basis: Literal["加工", "查阅"]


@dataclass(frozen=True)
class Row:
    """A table in the matrix."""

    table: str  # id of the contract
    name: str
    creator: str | None  # key of the function; None: none or several claim it (a finding)
    department: str  # supplying department
    is_external: bool  # another body supplies it: the function brings it in
    uses: tuple[Use, ...]

    def letter(self, function: str) -> str:
        """C, U or nothing. Whoever creates a table uses it without saying."""
        return "C" if self.creator == function else "U" if any(u.function == function for u in self.uses) else ""


@dataclass(frozen=True)
class Matrix:
    """Functions (key → Chinese name, in the order of the plan) by tables."""

    functions: Mapping[str, str]
    rows: tuple[Row, ...]
    findings: tuple[Finding, ...]


def matrix(contracts: Mapping[str, Contract], plan: Plan | None = None, facts: Facts | None = None) -> Matrix:
    """Which function creates and uses which table. Rows as they arrived and rows set aside are no tables of their own here.

    C follows from the contract: the function that `tables`, `owners` or `domains` of the plan give its table to, the most particular of them. U follows from
    what the tables of a function are made from (`inputs`), and from who may read (`roles`).
    """
    plan, facts = plan or load_plan(), facts or load_facts()
    tables = {i: c for i, c in all_tables(contracts).items() if c.kind not in (Kind.FEED, Kind.QUARANTINE)}
    claims = {identity: _claims(contract, plan) for identity, contract in tables.items()}
    creators = {identity: found[0] if len(found) == 1 else None for identity, found in claims.items()}
    made_from: dict[str, set[str]] = {identity: set() for identity in tables}
    for identity, contract in tables.items():
        for source in _typed_inputs(contract, tables):
            if (function := creators[identity]) is not None:
                made_from[source].add(function)
    own = facts.catalogue.publisher
    rows = []
    for identity, contract in tables.items():
        uses = [Use(f, "加工") for f in plan.functions if f in made_from[identity]]
        readers = [Use(f, "查阅") for f, p in plan.functions.items() if set(p.roles) & set(contract.readers) and f not in made_from[identity]]
        order = list(plan.functions)
        others = sorted((u for u in (*uses, *readers) if u.function != creators[identity]), key=lambda u: order.index(u.function))
        department = facts.departments.get(contract.department)
        rows.append(
            Row(identity, contract.title, creators[identity], contract.department, department is not None and department.body != own, tuple(others))
        )
    findings = (*_claim_findings(claims, plan), *_function_findings(rows, tables, plan))
    return Matrix({key: f.zh for key, f in plan.functions.items()}, tuple(rows), findings)


def _claims(contract: Contract, plan: Plan) -> list[str]:
    """The functions that the table belongs to, by what is most particular of it: one if the plan is in order."""
    for claim in (
        lambda f: any(fnmatchcase(contract.name, pattern) for pattern in f.tables),
        lambda f: contract.owner in f.owners,
        lambda f: contract.domain in f.domains,
    ):
        if found := [key for key, function in plan.functions.items() if claim(function)]:
            return found
    return []


def _typed_inputs(contract: Contract, tables: Mapping[str, Contract]) -> set[str]:
    """The tables that a table is made from; of a feed those that its rows became."""
    found = set()
    for identity in contract.inputs:
        if identity in tables:
            found.add(identity)
        elif identity.startswith("bronze."):
            found |= {i for i, c in tables.items() if c.kind in (Kind.RECORD, Kind.FACT) and identity in c.inputs}
    return found - {contract.id}


def _claim_findings(claims: Mapping[str, list[str]], plan: Plan) -> Iterator[Finding]:
    for identity, found in claims.items():
        if not found:
            yield Finding(identity, "没有产生它的业务职能", f"请在 {FUNCTIONS.name} 把它的表名、责任部门或业务领域归入一个职能")
        elif len(found) > 1:
            names = "、".join(plan.functions[f].zh for f in found)
            yield Finding(identity, f"同时归入{names}", f"请在 {FUNCTIONS.name} 用 tables 指明其中一个")


def _function_findings(rows: Collection[Row], tables: Mapping[str, Contract], plan: Plan) -> Iterator[Finding]:
    for key, function in plan.functions.items():
        if not any(row.letter(key) for row in rows):
            yield Finding(function.zh, "不产生、也不使用任何数据", f"请在 {FUNCTIONS.name} 核对其归属，或删去")
        for kind, given, matches in (
            ("tables", function.tables, lambda value, c: fnmatchcase(c.name, value)),
            ("owners", function.owners, lambda value, c: c.owner == value),
            ("domains", function.domains, lambda value, c: c.domain == value),
        ):
            for value in given:
                if not any(matches(value, c) for c in tables.values()):
                    yield Finding(function.zh, f"{kind} 里的“{value}”没有对应的表", f"请在 {FUNCTIONS.name} 改正或删去")


# --- one source for each element ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Element:
    """An element that feeds deliver. ``source``: name of the authoritative feed; None where each record has its own, or nobody has said it."""

    name: str  # of the field dictionary
    zh: str
    standard: str | None  # the national standard that defines it
    feeds: tuple[str, ...]
    source: str | None
    basis: Literal["唯一数据源", "记录主键", "已声明", "各记录自有", "未定"]
    owner: str | None  # department that answers for the source
    department: str | None  # department that supplies it


@dataclass(frozen=True)
class Elements:
    """All elements that feeds deliver, by name."""

    elements: tuple[Element, ...]
    findings: tuple[Finding, ...]

    @property
    def settled_share(self) -> float:
        """The share of the elements of which it is settled where they come from: all but those that are 未定."""
        return sum(e.basis != "未定" for e in self.elements) / len(self.elements) if self.elements else 1.0


def elements(contracts: Mapping[str, Contract], plan: Plan | None = None) -> Elements:
    """The one authoritative source of each delivered element, and its owner.

    An element of one feed comes from there. Of one that several feeds deliver it is the feed whose records are told apart by this element alone
    (`recordKey`), if there is exactly one; else the feed that the plan declares. Columns in which each record speaks of itself are declared as such.
    """
    plan = plan or load_plan()
    feeds = {c.name: c for c in contracts.values() if c.kind is Kind.FEED}
    columns: dict[str, Column] = {}
    delivered: dict[str, list[str]] = {}
    for feed in feeds.values():
        for column in feed.columns:
            if not column.reserved:
                columns.setdefault(column.name, column)
                delivered.setdefault(column.name, []).append(feed.name)
    found = []
    for name, by in sorted(delivered.items()):
        source, basis = _source(name, by, feeds, plan)
        owner = (feeds[source].owner, feeds[source].department) if source in feeds else (None, None)
        found.append(Element(name, columns[name].chinese, columns[name].element, tuple(by), source, basis, *owner))
    return Elements(tuple(found), tuple(_element_findings(found, delivered, feeds, plan)))


def _keyed_alone(name: str, by: Collection[str], feeds: Mapping[str, Contract]) -> list[str]:
    return [feed for feed in by if feeds[feed].record_key == (name,)]


def _source(
    name: str, by: list[str], feeds: Mapping[str, Contract], plan: Plan
) -> tuple[str | None, Literal["唯一数据源", "记录主键", "已声明", "各记录自有", "未定"]]:
    if len(by) == 1:
        return by[0], "唯一数据源"
    if plan.sources.get(name) in by:
        return plan.sources[name], "已声明"
    if name in plan.of_each_record:
        return None, "各记录自有"
    keyed = _keyed_alone(name, by, feeds)
    return (keyed[0], "记录主键") if len(keyed) == 1 else (None, "未定")


def _element_findings(found: list[Element], delivered: Mapping[str, list[str]], feeds: Mapping[str, Contract], plan: Plan) -> Iterator[Finding]:
    for element in found:
        if element.basis == "未定":
            titles = "、".join(feeds[f].title for f in element.feeds)
            yield Finding(
                f"{element.zh}（{element.name}）",
                f"由{titles}分别报送，没有确定权威来源",
                f"请在 {FUNCTIONS.name} 的 sources 声明一个；各说各的记录的，列入 of_each_record",
            )
    for name, feed in plan.sources.items():
        if feed not in delivered.get(name, []):
            yield Finding(name, f"声明的来源 {feed} 不报送它", f"请在 {FUNCTIONS.name} 的 sources 改正")
        elif len(delivered[name]) == 1 or _keyed_alone(name, delivered[name], feeds) == [feed]:
            yield Finding(name, f"来源 {feed} 由契约已可得出", f"请从 {FUNCTIONS.name} 的 sources 删去，只说一处")
    for name in plan.of_each_record:
        if len(delivered.get(name, [])) < 2:
            yield Finding(name, "并非由几个数据源报送", f"请从 {FUNCTIONS.name} 的 of_each_record 删去")


# --- planned and connected feeds ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Source:
    """A planned feed. ``name`` and ``update_cycle``: None without a contract."""

    name: str | None
    zh: str
    function: str | None  # key of the function that it is for; None: a finding of the matrix
    department: str
    update_cycle: str | None
    has_contract: bool
    is_connected: bool  # has deliveries


@dataclass(frozen=True)
class Sources:
    """The planned feeds: those with a contract by name, then the others as the plan has them."""

    sources: tuple[Source, ...]
    findings: tuple[Finding, ...]

    @property
    def connected_share(self) -> float:
        """Connected feeds / planned feeds."""
        return sum(s.is_connected for s in self.sources) / len(self.sources) if self.sources else 1.0


def sources(contracts: Mapping[str, Contract], connected: Collection[str], plan: Plan | None = None) -> Sources:
    """Planned against connected feeds. ``connected``: names of the feeds that have delivered, e.g. those of the ledger's deliveries.

    Every feed with a contract is planned, and those that the plan names beside them.
    """
    plan = plan or load_plan()
    feeds = {c.name: c for c in contracts.values() if c.kind is Kind.FEED}
    found = []
    for name, feed in sorted(feeds.items()):
        claims = _claims(feed, plan)
        found.append(Source(name, feed.title, claims[0] if len(claims) == 1 else None, feed.department, feed.update_cycle, True, name in connected))
    found += [Source(None, p.zh, p.function, p.department, None, False, False) for p in plan.planned]
    findings = [Finding(s.zh, "已有契约，尚无到达", f"请与{s.department}落实首次报送") for s in found if s.has_contract and not s.is_connected]
    findings += [
        Finding(s.zh, "已规划，尚无契约", f"请与{s.department}商定内容，按 docs/how-to/feeds.zh.md 接入") for s in found if not s.has_contract
    ]
    findings += [Finding(name, "有到达，却没有契约", "请核对数据源名称，或补契约") for name in sorted(set(connected) - feeds.keys())]
    titles = {feed.title for feed in feeds.values()}
    findings += [Finding(p.zh, "已有契约，仍列在待建", f"请从 {FUNCTIONS.name} 的 planned 删去") for p in plan.planned if p.zh in titles]
    return Sources(tuple(found), tuple(findings))


# --- national data elements --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bound:
    """A column that is bound to a national standard. ``why``: why it doesn't conform, in Chinese; None: it does."""

    table: str
    column: str
    zh: str
    standard: str
    why: str | None


@dataclass(frozen=True)
class Standards:
    """The columns that are bound to national standards, by table and place.

    落标率 (`conforming_share`) = bound columns that conform / bound columns, of the tables of silver and gold that are typed: without what arrived,
    what was set aside, copies of the ledger, and the columns that the lake adds to every table.
    对标率 (`bound_share`) = bound columns / all columns of these tables: how much of the data has a national standard at all, as far as the field dictionary says.
    A field conforms (`conforming_fields`) where all its columns do.
    """

    columns: tuple[Bound, ...]
    total: int  # columns of these tables
    titles: Mapping[str, str]  # standard → its title
    findings: tuple[Finding, ...]

    @property
    def bound_share(self) -> float:
        return len(self.columns) / self.total if self.total else 0.0

    @property
    def conforming_share(self) -> float:
        return sum(c.why is None for c in self.columns) / len(self.columns) if self.columns else 1.0

    @cached_property
    def by_standard(self) -> Mapping[str, tuple[int, int]]:
        """Standard → bound columns, and those of them that conform."""
        counts = dict.fromkeys(self.titles, (0, 0))
        for c in self.columns:
            bound, conforming = counts.get(c.standard, (0, 0))
            counts[c.standard] = bound + 1, conforming + (c.why is None)
        return counts

    @cached_property
    def conforming_fields(self) -> tuple[int, int]:
        """Bound fields, and those of them that conform."""
        failing = {c.column for c in self.columns if c.why is not None}
        fields = {c.column for c in self.columns}
        return len(fields), len(fields - failing)


def standards(contracts: Mapping[str, Contract], plan: Plan | None = None) -> Standards:
    """Which columns are bound to a national data element and conform to it; the formula is that of `Standards`.

    A column conforms if its type is one that the standard allows; its texts are read as the standard's (credit codes with their check digits); and its
    values come from the standard's list: it names list and edition, or is read by a list with editions, or its table is the list. A column that says the
    name of a code, or by which edition it was read, has to stand beside a column of the code that conforms.
    """
    plan = plan or load_plan()
    tables = [c for c in all_tables(contracts).values() if c.kind not in (Kind.FEED, Kind.QUARANTINE, Kind.PROJECTION)]
    found, findings = [], set()
    for contract in tables:
        codes = {c.element for c in contract.columns if c.element in plan.standards and not _beside(c) and not _code_fault(c, contract, plan)}
        for column in contract.columns:
            if column.reserved:
                continue
            if column.element is None:
                if column.code_list in plan.standards:
                    findings.add(
                        Finding(
                            f"{column.chinese}（{column.name}）",
                            f"取值来自{column.code_list}，却没有绑定数据元",
                            "请在 catalog/fields.yaml 写明 element",
                        )
                    )
                continue
            if column.element not in plan.standards:
                why: str | None = f"没有规定怎样才算符合{column.element}"
                findings.add(Finding(column.element, "没有规定怎样才算符合", f"请在 {FUNCTIONS.name} 的 standards 补写"))
            elif _beside(column):
                why = None if column.element in codes else "只有名称或版本，同表没有符合标准的代码列"
            else:
                why = _code_fault(column, contract, plan)
            found.append(Bound(contract.id, column.name, column.chinese, column.element, why))
    total = sum(not c.reserved for t in tables for c in t.columns)
    titles = {name: s.zh for name, s in plan.standards.items()}
    unused = plan.standards.keys() - {b.standard for b in found}
    findings |= {Finding(name, "没有列绑定它", f"请从 {FUNCTIONS.name} 的 standards 删去") for name in unused}
    return Standards(tuple(found), total, titles, tuple(sorted(findings, key=str)))


def _beside(column: Column) -> bool:
    """Whether a column says the name of a code or the edition of its list, not the code itself."""
    return column.chinese.endswith("名称") or (column.derived is not None and column.derived.gives == "edition")


def _code_fault(column: Column, contract: Contract, plan: Plan) -> str | None:
    """Why a column of values of a standard does not conform to it; None: it does."""
    assert column.element
    standard = plan.standards[column.element]
    if column.type.partition("(")[0] not in standard.types:
        return f"类型是 {column.type}，应为 {' 或 '.join(standard.types)}"
    if standard.reader is not None and column.reader != standard.reader:
        return "没有按标准校验取值"
    if standard.code_list and contract.kind is not Kind.REFERENCE and column.derived is None and column.code_list != column.element:
        return "契约没有写明代码表及版本"
    return None
