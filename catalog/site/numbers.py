"""What the dashboards show: each chart with its figures, the columns that these are made of and where they are defined."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlglot
import yaml
from sqlglot import exp

from catalog.contract import Contract
from catalog.derive import label_sql, view_columns

_READER = re.compile(r"读者：(?P<reader>[^。]+)。\s*问题：(?P<question>.+?)\s*$", re.S)


class DashboardError(ValueError):
    """Faults of the dashboards' files, a line each in `problems`."""

    def __init__(self, problems: list[str]):
        self.problems = problems
        super().__init__("\n".join(problems))


@dataclass(frozen=True)
class Figure:
    """A metric or a column that a chart shows. ``expression``: the SQL of a metric; None for a column as it is."""

    name: str
    title: str
    says: str
    expression: str | None
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Number:
    """A chart of a dashboard. ``key``: the name of its file. ``table``: id of the contract."""

    key: str
    title: str
    reader: str
    question: str
    table: str
    figures: tuple[Figure, ...]
    dashboards: tuple[str, ...]  # slugs

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(c for f in self.figures for c in f.columns))


@dataclass(frozen=True)
class Dashboard:
    slug: str
    title: str
    says: str
    charts: tuple[str, ...]  # keys, in the order in which they stand on the page


def read(folder: Path, contracts: Mapping[str, Contract]) -> tuple[dict[str, Dashboard], dict[str, Number]]:
    """The dashboards by slug, and their charts by key.

    Raises:
        DashboardError: a dataset is of a table that no contract declares, a figure of a column that its contract does not have.
    """
    problems: list[str] = []
    datasets = {path: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("datasets/*/*.yaml"))}
    by_uuid: dict[str, tuple[Contract, dict[str, Any]]] = {}
    for path, dataset in datasets.items():
        table = f"{dataset['schema']}.{dataset['table_name']}"
        if table not in contracts:
            problems.append(f"superset/{path.relative_to(folder)}: 数据表 {table} 没有合同；写出合同，或删去这个数据集和用它的图表")
        else:
            by_uuid[dataset["uuid"]] = (contracts[table], dataset)
    known = {dataset["uuid"] for dataset in datasets.values()}
    charts = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("charts/*.yaml"))}
    of_uuid = {chart["uuid"]: key for key, chart in charts.items()}
    dashboards: dict[str, Dashboard] = {}
    for path in sorted(folder.glob("dashboards/*.yaml")):
        page = yaml.safe_load(path.read_text(encoding="utf-8"))
        keys = tuple(of_uuid[uuid] for uuid in _placed(page["position"], "ROOT_ID") if uuid in of_uuid)
        dashboards[page["slug"]] = Dashboard(page["slug"], page["dashboard_title"], page.get("description") or "", keys)
    numbers: dict[str, Number] = {}
    for key, chart in charts.items():
        if chart["dataset_uuid"] not in by_uuid:
            if chart["dataset_uuid"] not in known:
                problems.append(f"superset/charts/{key}.yaml: 没有它的数据集 {chart['dataset_uuid']}；改正 dataset_uuid")
            continue
        contract, dataset = by_uuid[chart["dataset_uuid"]]
        figures = tuple(_figures(chart["params"], contract, dataset))
        there = {c.name for c in view_columns(contract)}
        for figure in figures:
            if unknown := sorted((set(figure.columns) | _read_by(figure.expression)) - there):
                problems.append(f"superset/charts/{key}.yaml: {figure.title} 用到 {contract.id} 的合同里没有的列 {'、'.join(unknown)}；改正其一")
        told = _READER.search(chart.get("description") or "")
        numbers[key] = Number(
            key, chart["slice_name"], told["reader"] if told else "", told["question"] if told else chart.get("description") or "", contract.id, figures,
            tuple(slug for slug, page in dashboards.items() if key in page.charts),
        )  # fmt: skip
    if problems:
        raise DashboardError(problems)
    return dashboards, numbers


def _placed(position: Mapping[str, Any], node: str) -> Iterator[str]:
    """The uuids of the charts below a node of a dashboard, in their order on the page."""
    here = position.get(node) or {}
    if isinstance(here, dict):
        if (uuid := (here.get("meta") or {}).get("uuid")) is not None:
            yield uuid
        for child in here.get("children") or ():
            yield from _placed(position, child)


def _figures(params: Mapping[str, Any], contract: Contract, dataset: Mapping[str, Any]) -> Iterator[Figure]:
    """Metrics first, then columns; each once."""
    metrics = {m["metric_name"]: m for m in dataset.get("metrics") or ()}
    seen: set[str] = set()
    for key in ("metric", "metrics", "percent_metrics", "metrics_b"):
        for metric in _several(params.get(key)):
            name = metric if isinstance(metric, str) else metric.get("label") or str(metric)
            if name in seen:
                continue
            seen.add(name)
            stated = metrics.get(name) or {} if isinstance(metric, str) else {"expression": metric.get("sqlExpression"), "verbose_name": name}
            expression = stated.get("expression")
            yield Figure(name, stated.get("verbose_name") or name, stated.get("description") or "", expression, columns_of(expression, contract))
    for key in ("x_axis", "groupby", "columns", "all_columns"):
        for name in _several(params.get(key)):
            if isinstance(name, str) and name not in seen:
                seen.add(name)
                yield _column_figure(name, contract)


def _column_figure(name: str, contract: Contract) -> Figure:
    columns = {c.name: c for c in view_columns(contract)}
    of = name.removesuffix("_label")
    if name not in columns and of in columns and (label_sql(columns[of]) is not None or columns[of].type == "ARRAY<STRING>"):
        return Figure(name, columns[of].chinese, columns[of].meaning, None, (of,))
    return Figure(name, columns[name].chinese if name in columns else name, columns[name].meaning if name in columns else "", None, (name,))


def columns_of(expression: str | None, contract: Contract) -> tuple[str, ...]:
    """The columns of the contract's view that a metric's SQL reads."""
    return tuple(sorted(_read_by(expression) & {c.name for c in view_columns(contract)}))


@functools.cache
def _read_by(expression: str | None) -> frozenset[str]:
    """The columns that a metric's SQL reads, but for those within a query of its own: that one has other names, too."""
    if not expression:
        return frozenset()
    columns = sqlglot.parse_one(expression, dialect="trino").find_all(exp.Column)
    return frozenset(c.name for c in columns if c.find_ancestor(exp.Select) is None)


def _several(value: Any) -> list[Any]:
    return [] if value is None else value if isinstance(value, list) else [value]
