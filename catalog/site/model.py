"""Everything that the pages show, put together once."""

from __future__ import annotations

import csv
import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field
from pypinyin import lazy_pinyin

from catalog import versions
from catalog.contract import Column, Contract, load_contracts, load_fields
from catalog.derive import all_tables, view_columns
from catalog.properties import FieldDefinition, Kind
from catalog.site import lineage, numbers
from catalog.site.numbers import Dashboard, Number
from catalog.site.status import Status

REPO = Path(__file__).resolve().parents[2]
CODES, CODE_LISTS = REPO / "catalog" / "codes", REPO / "catalog" / "code_lists.yaml"
LAYERS = {"bronze": "到达层", "silver": "标准层", "gold": "主题层", "ops": "运行层"}
DOMAINS = {
    "registration": "商事登记",
    "supervision": "市场监管",
    "complaints": "消费维权",
    "trademarks": "商标",
    "sharing": "共享交换",
    "reference": "参考代码",
    "operations": "运行与质量",
}  # fmt: skip
KINDS = {
    Kind.FEED: "数据源的到达记录",
    Kind.RECORD: "数据源的标准记录",
    Kind.QUARANTINE: "隔离记录",
    Kind.REFERENCE: "代码表",
    Kind.FACT: "登记事实",
    Kind.DERIVED: "加工结果",
    Kind.MART: "档案和集市",
    Kind.ANALYSIS: "分析结果",
    Kind.PROJECTION: "运行记录",
}
MOST_ROWS = 2000  # of a code list that a page shows; the file has all


class CodeList(BaseModel):
    """What readers are told of a file of catalog/codes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    zh: str = Field(pattern=r"[\u4e00-\u9fff]")
    says: str = Field(pattern=r"[\u4e00-\u9fff]")
    source: str
    codeList: str | None = None
    code: str | None = None  # its column with the code
    name: str | None = None
    edition: str | None = None
    since: str | None = None
    until: str | None = None


@dataclass(frozen=True)
class Codes:
    """A code list with its rows."""

    key: str
    about: CodeList
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Department:
    """Who supplies or owns data. ``slug``: its name in letters."""

    name: str
    slug: str
    supplies: tuple[Contract, ...]
    owns: tuple[Contract, ...]


@dataclass(frozen=True)
class Document:
    """A page of definitions from docs/ (Chinese), in Markdown."""

    key: str
    title: str
    text: str


@dataclass(frozen=True)
class Catalog:
    """``tables``: all contracts, with those that follow from feeds, by id. ``used``: where a field stands, by its name. ``up``, ``down``: table → tables."""

    tables: dict[str, Contract]
    declared: frozenset[str]
    fields: dict[str, FieldDefinition]
    used: dict[str, tuple[Contract, ...]]
    codes: dict[str, Codes]
    departments: dict[str, Department]
    dashboards: dict[str, Dashboard]
    numbers: dict[str, Number]
    documents: dict[str, Document]
    changes: dict[str, list[dict[str, object]]]
    up: dict[str, tuple[str, ...]]
    down: dict[str, tuple[str, ...]]
    columns: lineage.Columns
    column_uses: dict[tuple[str, str], tuple[tuple[str, str], ...]]
    column_numbers: dict[tuple[str, str], tuple[Number, ...]]
    status: Status

    def numbers_of(self, table: str) -> list[Number]:
        return [n for n in self.numbers.values() if n.table == table and n.dashboards]

    def feed_of(self, contract: Contract) -> str | None:
        """The name of the feed that a table of bronze or silver belongs to."""
        name = contract.name.removesuffix("_quarantine")
        return name if f"bronze.{name}" in self.tables and contract.layer in ("bronze", "silver") else None

    def code_list_of(self, name: str | None) -> str | None:
        """The key of the list that contracts call by this name."""
        return next((key for key, codes in self.codes.items() if name and codes.about.codeList == name), None)


def load(status: Status | None = None, superset: Path = REPO / "superset", documents: Path = REPO / "docs") -> Catalog:
    """The catalog of this repository, with what a lake says of itself.

    Raises:
        ContractError: a contract is not in order.
        DashboardError: a dashboard shows what no contract declares.
    """
    declared = load_contracts()
    return put_together(declared, status or Status(), superset, documents)


def put_together(declared: Mapping[str, Contract], status: Status, superset: Path, documents: Path) -> Catalog:
    """As `load`, of given contracts."""
    tables = all_tables(declared)
    dashboards, figures = numbers.read(superset, tables)
    up = lineage.inputs(tables)
    columns = lineage.of_records(tables) | lineage.of_models(status.compiled, tables)
    fields = load_fields()
    used: dict[str, list[Contract]] = {}
    for contract in tables.values():
        for column in shown_columns(contract):
            used.setdefault(column.name, []).append(contract)
    return Catalog(
        tables, frozenset(declared), fields, {name: tuple(there) for name, there in used.items()}, code_lists(), _departments(tables.values()),
        dashboards, figures, _documents(documents), {k: list(v) for k, v in versions.history().items()}, up, lineage.reverse(up),
        columns, lineage.used_by(columns), lineage.shown_by(n for n in figures.values() if n.dashboards), status,
    )  # fmt: skip


def slug_of(name: str) -> str:
    """A name in letters, for an address."""
    return "-".join(lazy_pinyin(name))


def shown_columns(contract: Contract) -> tuple[Column, ...]:
    """The columns that a reader meets: of the readers' view, or of what has arrived."""
    return contract.columns if contract.layer == "bronze" else view_columns(contract)


@functools.cache
def code_lists(folder: Path = CODES, about: Path = CODE_LISTS) -> dict[str, Codes]:
    """The code lists by the names of their files.

    Raises:
        ValueError: a file that code_lists.yaml does not tell of, or the other way round.
    """
    told = {key: CodeList.model_validate(entry) for key, entry in yaml.safe_load(about.read_text(encoding="utf-8")).items()}
    files = {path.stem: path for path in sorted(folder.glob("*.csv"))}
    if told.keys() != files.keys():
        raise ValueError(f"{about.name} 与 {folder.name}/ 不一致：{'、'.join(sorted(told.keys() ^ files.keys()))}；补上说明，或补上文件")
    found = {}
    for key, about_list in told.items():
        with files[key].open(encoding="utf-8", newline="") as lines:
            header, *rows = csv.reader(lines)
        named = {about_list.code, about_list.name, about_list.edition, about_list.since, about_list.until} - {None}
        if unknown := sorted(str(n) for n in named if n not in header):
            raise ValueError(f"{about.name}: {key} 没有列 {'、'.join(unknown)}；改正列名")
        found[key] = Codes(key, about_list, tuple(header), tuple(tuple(row) for row in rows))
    return found


def _departments(contracts: Iterable[Contract]) -> dict[str, Department]:
    found: dict[str, Department] = {}
    for contract in contracts:
        if contract.kind is Kind.QUARANTINE:
            continue
        for name in dict.fromkeys((contract.department, contract.owner)):
            at = found.setdefault(name, Department(name, slug_of(name), (), ()))
            if name == contract.department:
                at = replace(at, supplies=(*at.supplies, contract))
            if name == contract.owner:
                at = replace(at, owns=(*at.owns, contract))
            found[name] = at
    slugs = [d.slug for d in found.values()]
    if len(slugs) != len(set(slugs)):
        raise ValueError(f"两个部门的拼音相同：{'、'.join(sorted(found))}；改一个名称")
    return dict(sorted(found.items()))


def _documents(folder: Path) -> dict[str, Document]:
    found = {}
    for path in sorted(folder.rglob("*.zh.md")):
        text = path.read_text(encoding="utf-8")
        key = str(path.relative_to(folder)).removesuffix(".zh.md").replace("/", "-")
        title = next((line.removeprefix("# ").strip() for line in text.splitlines() if line.startswith("# ")), key)
        found[key] = Document(key, title, text)
    return found
