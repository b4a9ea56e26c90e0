"""What programs, models and dashboards use and no contract declares: it stops the build, with the place and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from catalog.contract import Contract
from catalog.derive import physical_columns, table_name
from catalog.properties import Kind
from catalog.site import numbers

REPO = Path(__file__).resolve().parents[1]
PROGRAMS = ("catalog", "dags", "expectations", "infra", "spark_jobs")
# A table as programs write it: `gold.archive_subject`, `silver_tables.party`. In f-strings the rest of the name may follow in braces: not these.
_TABLE = re.compile(r"(?<![\w./{-])(bronze|silver|gold|ops)(?:_tables)?\.(?!db\b)([a-z][a-z0-9_]+)(?![\w./(*{])")
_MODEL = re.compile(r"(?:ref\(\s*'(?P<model>\w+)'\s*\)|source\(\s*'(?P<schema>\w+?)_tables'\s*,\s*'(?P<table>\w+)'\s*\))")


class Drift(ValueError):
    """Faults, a line each in `problems`."""

    def __init__(self, problems: Iterable[str]):
        self.problems = list(problems)
        super().__init__("\n".join(self.problems))


def require_none(contracts: Mapping[str, Contract], repo: Path = REPO) -> None:
    """``contracts``: all, with those that follow from feeds, by id.

    Raises:
        Drift: something uses a table or a column that no contract declares, or a mart has a contract and no model.
    """
    problems = [*_of_programs(contracts, repo), *_of_models(contracts, repo)]
    try:
        numbers.read(repo / "superset", contracts)
    except numbers.DashboardError as error:
        problems += error.problems
    if problems:
        raise Drift(problems)


def of_tables(stored: Mapping[str, Iterable[str]], contracts: Mapping[str, Contract]) -> list[str]:
    """What is wrong with the columns of stored tables (``schema.table`` → names): those that the table's contract does not declare.

    A table without a contract is told of too. A column that is declared and not stored yet is no fault: the next run makes the table anew.
    """
    by_table = {table_name(c): c for c in contracts.values()}
    problems = []
    for table, columns in sorted(stored.items()):
        if (contract := by_table.get(table)) is None:
            problems.append(f"表 {table} 没有合同；写出合同，或删除这张表")
        elif unknown := sorted(set(columns) - {c.name for c in physical_columns(contract)}):
            problems.append(f"表 {table} 有合同 {contract.id} 没有的列 {'、'.join(unknown)}；写进合同，或运行 ./lake run 把表重做成合同的样子")
    return problems


def _of_programs(contracts: Mapping[str, Contract], repo: Path) -> Iterable[str]:
    for folder in PROGRAMS:
        for path in sorted((repo / folder).rglob("*.py")):
            if "tests" in path.parts:
                continue
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
                if line.lstrip().startswith("#"):
                    continue
                for found in _TABLE.finditer(line):
                    if f"{found[1]}.{found[2]}" not in contracts:
                        yield f"{path.relative_to(repo)}:{number}: 用到 {found[0]}，它没有合同；写出合同 catalog/contracts/{found[1]}/{found[2]}.yaml，或改正名称"


def _of_models(contracts: Mapping[str, Contract], repo: Path) -> Iterable[str]:
    models = {path.stem: path for path in sorted((repo / "dbt" / "models").rglob("*.sql"))}
    for name, path in models.items():
        at = path.relative_to(repo)
        if f"gold.{name}" not in contracts:
            yield f"{at}: 模型没有合同；写出合同 catalog/contracts/gold/{name}.yaml，或删去模型"
        for found in _MODEL.finditer(path.read_text(encoding="utf-8")):
            table = f"gold.{found['model']}" if found["model"] else f"{found['schema']}.{found['table']}"
            if table not in contracts:
                yield f"{at}: 用到 {table}，它没有合同；写出合同，或改正名称"
    for contract in contracts.values():
        if contract.kind is Kind.MART and contract.name not in models:
            yield f"catalog/contracts/gold/{contract.name}.yaml: 没有模型 dbt/models/gold/{contract.name}.sql；写出模型，或删去合同"
