"""`./lake contracts`: everything that a change of contracts needs is told at once, and a release brings along what follows from it."""

from __future__ import annotations

import io
import re
import shutil
import sys

import pytest
from rich.console import Console

from catalog import versions
from catalog.contract import load_contracts
from infra import cli, contracts, deliveries
from infra.problems import Problem
from infra.settings import REPO

FILINGS = "catalog/contracts/bronze/contract_filings.yaml"


@pytest.fixture
def tree(tmp_path):
    """A copy of the declarations and of dbt's files, and nothing else of the repository."""
    shutil.copytree(REPO / "catalog", tmp_path / "catalog", ignore=shutil.ignore_patterns("*.py", "codes", "glyphs", "maps", "site", "__pycache__"))
    for kind in ("models", "macros"):
        shutil.copytree(REPO / "dbt" / kind, tmp_path / "dbt" / kind)
    return tmp_path


def edit(tree, file, *replacements):
    path = tree / file
    text = path.read_text(encoding="utf-8")
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new, 1)
    path.write_text(text, encoding="utf-8")


def add_the_how_to_s_feed(tree):
    """The how-to's own words: its fields and its contract. Its lines for a new department are returned."""
    text = (REPO / "docs" / "how-to" / "feeds.zh.md").read_text(encoding="utf-8")
    fields, contract, department, function = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    with (tree / "catalog" / "fields.yaml").open("a", encoding="utf-8") as file:
        file.write(fields)
    (tree / FILINGS).write_text(contract, encoding="utf-8")
    return department, function


def add_a_feed_with_its_department(tree):
    department, function = add_the_how_to_s_feed(tree)
    edit(tree, "catalog/departments.yaml", ("\ndepartments:\n", f"\ndepartments:\n{department}"))
    edit(tree, "catalog/functions.yaml", ("\nfunctions:\n", f"\nfunctions:\n{function}"))


def said(command, tree):
    """Whether a command is content, and the lines it prints."""
    out = io.StringIO()
    content = command(tree, Console(file=out, width=80))
    return content, out.getvalue().splitlines()


def test_the_repository_is_in_order():
    content, lines = said(contracts.check, REPO)
    assert (content, lines) == (True, [f"{len(load_contracts())} 份合同合格"])


def test_a_feed_is_added_as_the_how_to_says(tree):
    """Its contract, its fields, its department and function: in order, released with all that follows, and nothing left to do."""
    add_a_feed_with_its_department(tree)
    before = {path: path.read_bytes() for path in tree.rglob("*") if path.is_file()}
    content, lines = said(contracts.check, tree)
    assert content, lines
    assert lines[1:] == ["  待登记 bronze.contract_filings 1.0.0：首次发布", "用 ./lake try 试过，合适了再登记：./lake contracts release"]
    assert {path: path.read_bytes() for path in tree.rglob("*") if path.is_file()} == before, "a check writes nothing"

    content, lines = said(contracts.release, tree)
    changed = {str(p.relative_to(tree)) for p in tree.rglob("*") if p.is_file() and before.get(p) != p.read_bytes()}
    assert changed == {"catalog/released/bronze/contract_filings.yaml", "catalog/released/changes.yaml", "catalog/directory.csv"}
    assert {line.strip() for line in lines[:-1]} == changed
    assert "已写 3 个文件" in lines[-1]
    assert "silver.contract_filings,20800102/" in (tree / "catalog" / "directory.csv").read_text(encoding="utf-8")
    assert said(contracts.check, tree) == (True, [f"{len(load_contracts()) + 1} 份合同合格"])
    assert said(contracts.release, tree) == (True, ["没有要登记的"])


def test_a_department_and_a_domain_that_nobody_knows_are_told_and_nothing_released(tree):
    add_the_how_to_s_feed(tree)
    edit(tree, FILINGS, ("domain: supervision", "domain: filings"))
    content, lines = said(contracts.check, tree)
    assert not content
    told = "\n".join(lines)
    assert "departments.yaml: departments: 合同监管处, which supplies silver.contract_filings, is missing; add it" in told
    assert "departments.yaml: classes: domain filings of silver.contract_filings is not classed; add it" in told
    assert "silver.contract_filings：没有产生它的业务职能；请在 functions.yaml" in told
    before = {path: path.read_bytes() for path in tree.rglob("*") if path.is_file()}
    assert said(contracts.release, tree) == (False, lines)
    assert {path: path.read_bytes() for path in tree.rglob("*") if path.is_file()} == before


def test_problems_of_every_kind_are_told_at_once_each_in_a_line(tree):
    add_a_feed_with_its_department(tree)
    edit(tree, FILINGS, ("check: code_checked", "check: kode_checked"), ("frequency, value: 每周", "frequency, value: 每月"))
    edit(tree, "catalog/contracts/bronze/penalties.yaml", ("retention, value: 永久", "retention, value: 10, unit: y"))
    edit(
        tree,
        "catalog/functions.yaml",
        ("economy:", "nobody: {zh: 无人, owners: [无名处]}\n  economy:"),
        ("applied_on, decided_on,", "applied_on,"),
        ("GS 15-2006: {", "GB 1-2000: {zh: 无, types: [STRING]}\n  GS 15-2006: {"),
    )
    edit(tree, "catalog/departments.yaml", ("code: 11440100EXAMPLE11H", "code: 11440100EXAMPLE111"))
    content, lines = said(contracts.check, tree)
    assert not content
    told = {
        "version": "bronze/penalties.yaml: version:",
        "check": "bronze/contract_filings.yaml: quality credit_code_checked: 没有 check: kode_checked；可用的：",
        "functions": "无人：owners 里的“无名处”没有对应的表",
        "sources": "决定日期（decided_on）：由",
        "standards": "GB 1-2000：没有列绑定它",
        "directory": "信息资源提供方代码：“11440100EXAMPLE111”校验位不符",
    }
    assert [kind for kind, text in told.items() if not any(text in line for line in lines)] == []
    assert all(line.startswith("  ✗ ") for line in lines[:-1]), "each in one line"
    assert lines[-1].startswith(f"{len(lines) - 1} 处问题")


def test_a_check_of_another_feed_is_none_of_this_one_s(tree):
    add_a_feed_with_its_department(tree)
    edit(tree, FILINGS, ("check: code_checked", "check: name_legible"))
    _, lines = said(contracts.check, tree)
    assert "没有 check: name_legible" in lines[0]


def test_what_does_not_load_is_told_of_every_file(tree):
    edit(tree, "catalog/contracts/bronze/penalties.yaml", ("domain:", "domian:"))
    edit(tree, "catalog/functions.yaml", ("zh: 登记注册", "en: registration"))
    edit(tree, "catalog/departments.yaml", ("publisher: bureau", "publisher: nobody"))
    content, lines = said(contracts.check, tree)
    assert not content
    assert [
        any(name in line for line in lines) for name in ("bronze/penalties.yaml", "functions.yaml: functions.registration", "nobody is no body")
    ] == [True] * 3
    assert said(contracts.release, tree)[0] is False


@pytest.mark.parametrize("file", ["catalog/directory.csv", "dbt/models/sources.yml"])
def test_a_file_that_lags_behind_is_a_problem_where_no_release_is_due_and_a_release_mends_it(tree, file):
    whole = (tree / file).read_bytes()
    (tree / file).write_bytes(whole[: whole.rstrip().rfind(b"\n") + 1])
    content, lines = said(contracts.check, tree)
    assert (content, lines[0]) == (False, f"  ✗ {file}: 与合同不一致；运行 ./lake contracts release")
    content, lines = said(contracts.release, tree)
    assert (content, lines[0]) == (True, f"  {file}")
    assert said(contracts.check, tree)[0]


def test_a_file_that_cannot_be_written_is_named(tree, monkeypatch):
    add_a_feed_with_its_department(tree)

    def refuse(*_):
        raise PermissionError(13, "Permission denied", "x.yaml")

    monkeypatch.setattr(versions, "record", refuse)
    with pytest.raises(Problem, match=r"不能写入 x\.yaml"):
        contracts.release(tree, Console(file=io.StringIO()))


# --- the other commands: no traceback where a contract is wrong --------------------------------------------------------


@pytest.fixture
def wrong(tree, monkeypatch):
    """Contracts that don't load are in force."""
    edit(tree, "catalog/contracts/bronze/penalties.yaml", ("domain:", "domian:"))
    fault = lambda *_: load_contracts(tree / "catalog" / "contracts", tree / "catalog" / "fields.yaml")  # noqa: E731
    monkeypatch.setattr(deliveries, "load_contracts", fault)
    monkeypatch.setattr(versions, "load_contracts", fault)


def test_a_trial_tells_what_is_wrong_with_a_contract(wrong, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["lake", "try", "penalties", "处罚.csv"])
    with pytest.raises(SystemExit) as left:
        cli.main()
    lines = capsys.readouterr().err.splitlines()
    assert left.value.code == 1
    assert re.fullmatch(r"lake: 合同有 \d+ 处问题", lines[0])
    assert lines[1].startswith("  why: bronze/penalties.yaml: ")
    assert lines[-1] == "  do:  逐条改正后运行 ./lake contracts check"


def test_the_program_of_versions_tells_it_too(wrong, capsys):
    assert versions.main(["check"]) == 1
    assert capsys.readouterr().err.startswith("bronze/penalties.yaml: ")


def test_any_other_error_stays_what_it_is(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["lake", "contracts", "check"])
    monkeypatch.setattr(contracts, "check", lambda *_: int("x"))
    with pytest.raises(ValueError, match="invalid literal"):
        cli.main()


@pytest.mark.parametrize(("content", "code"), [(True, 0), (False, 1)])
@pytest.mark.parametrize("command", ["check", "release"])
def test_the_status_says_whether_anything_is_wrong(monkeypatch, command, content, code):
    monkeypatch.setattr(sys, "argv", ["lake", "contracts", command])
    monkeypatch.setattr(contracts, command, lambda *_: content)
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == code


def test_a_feed_that_does_not_exist_is_answered_with_those_that_do():
    with pytest.raises(Problem) as problem:
        deliveries.feed("penaltys")
    lines = problem.value.why.splitlines()
    assert "penalties（行政处罚）" in lines
    assert len(lines) == 1 + sum(c.layer == "bronze" for c in load_contracts().values())
