"""``./lake contracts``: whether the contracts, and all that has to go with them, fit together; and their release. No service has to run."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from rich.console import Console

from catalog import dbt_files, directory, directory_check, directory_register, planning, versions
from catalog.contract import Contract, ContractError, load_contracts
from catalog.properties import Kind
from infra.clock import china_day
from infra.problems import Problem
from spark_jobs.refine import rules

Loaded = TypeVar("Loaded")


@dataclass
class State:
    """``problems``: what only people can mend, a line for each. ``unreleased``: what has changed since the last release (Chinese lines), by contract.
    ``stale``: files that a release writes beside those of the contracts, with their texts."""

    problems: list[str] = field(default_factory=list)
    contracts: Mapping[str, Contract] = field(default_factory=dict)
    unreleased: Mapping[str, list[str]] = field(default_factory=dict)
    stale: Mapping[Path, str] = field(default_factory=dict)


def check(repo: Path, out: Console) -> bool:
    """Print every problem of the declarations in ``repo``, or what comes next; whether there is none.

    A release brings codes of the directory and dbt's files up to date. While one is due they are no problem.
    """
    state = look(repo)
    problems = [*state.problems]
    if not state.unreleased:
        problems += [f"{path.relative_to(repo)}: 与合同不一致；运行 ./lake contracts release" for path in state.stale]
    if problems:
        _print_problems(problems, out)
        return False
    out.print(f"{len(state.contracts)} 份合同合格", style="green")
    for identity, lines in state.unreleased.items():
        out.print(f"  待登记 {identity} {state.contracts[identity].version}：{'；'.join(lines)}", markup=False, soft_wrap=True)
    if state.unreleased:
        out.print("用 ./lake try 试过，合适了再登记：./lake contracts release")
    return True


def release(repo: Path, out: Console) -> bool:
    """Make the contracts in ``repo`` the released ones, bring along what follows from them, and name the files written. False, with the problems
    printed and nothing written, where there are any that a release can't mend.

    Raises:
        Problem: a file can't be written.
    """
    state = look(repo)
    if state.problems:
        _print_problems(state.problems, out)
        return False
    released = repo / "catalog" / versions.RELEASED.name
    written = [versions.path_of(identity, released) for identity in state.unreleased]
    written += [released / versions.HISTORY] if written else []
    try:
        versions.record(state.contracts, state.unreleased, released)
        for path, text in state.stale.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Problem(f"不能写入 {error.filename}", str(error.strerror), "以工作副本的主人运行") from error
    for path in (*written, *state.stale):
        out.print(f"  {path.relative_to(repo)}", markup=False, soft_wrap=True)
    count = len(written) + len(state.stale)
    out.print(f"已写 {count} 个文件；连同改过的合同、字典等一并提交" if count else "没有要登记的", style="green")
    return True


def look(repo: Path) -> State:
    """What is to be said of the declarations in ``repo``."""
    home, state = repo / "catalog", State()
    contracts = _loaded(state, lambda: load_contracts(home / "contracts", home / "fields.yaml"))
    facts = _loaded(state, lambda: directory.load_facts(home / directory.DEPARTMENTS.name))
    plan = _loaded(state, lambda: planning.load_plan(home / planning.FUNCTIONS.name))
    register = _loaded(state, lambda: directory.load_register(home / directory.REGISTER.name))
    if contracts is None:
        return state
    state.contracts, released = contracts, versions.load_released(home / versions.RELEASED.name)
    state.problems += versions.check(contracts, released)
    state.problems += [problem for contract in contracts.values() if contract.kind is Kind.FEED for problem in rules.faults(contract)]
    state.unreleased = versions.changelog(contracts, released)
    texts = {repo / "dbt" / name: text for name, text in dbt_files.dbt_files(contracts).items()}
    if facts is not None and plan is not None:
        state.problems += [str(finding) for finding in _planning(contracts, plan, facts)]
    if facts is not None and register is not None:
        try:
            directory.resources(contracts, facts, register)  # says of all tables which department or class is missing
            issued = directory_register.updated(contracts, facts, register, china_day(dt.datetime.now(dt.UTC)).isoformat())
            state.problems += [str(fault) for fault in directory_check.check(directory.resources(contracts, facts, issued))]
            texts[home / directory.REGISTER.name] = directory_register.text_of(issued)
        except ContractError as error:
            state.problems += error.problems
    state.stale = {path: text for path, text in texts.items() if not path.exists() or path.read_text(encoding="utf-8") != text}
    return state


def _loaded(state: State, load: Callable[[], Loaded]) -> Loaded | None:
    """What is loaded; None, with the problems noted, where it isn't valid."""
    try:
        return load()
    except ContractError as error:
        state.problems += error.problems
        return None


def _planning(contracts: Mapping[str, Contract], plan: planning.Plan, facts: directory.Facts) -> Iterator[planning.Finding]:
    yield from planning.matrix(contracts, plan, facts).findings
    yield from planning.elements(contracts, plan).findings
    yield from planning.standards(contracts, plan).findings


def _print_problems(problems: list[str], out: Console) -> None:
    for problem in problems:
        line = "; ".join(part.strip() for part in problem.splitlines()).replace(":; ", ": ")
        out.print(f"  ✗ {line}", style="red", markup=False, soft_wrap=True)
    out.print(f"{len(problems)} 处问题；逐条改正后再运行 ./lake contracts check", style="red")
