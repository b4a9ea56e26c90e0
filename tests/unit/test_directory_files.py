"""What is exported of the resource directory: the workbook, the JSON-LD, the command."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from typing import Any

import pytest
from openpyxl import load_workbook
from rich.console import Console
from typer.testing import CliRunner

from catalog import directory_dcat, directory_excel
from catalog.contract import load_contracts
from catalog.directory import load_facts, load_register, resources, unlisted
from catalog.directory_check import CYCLES, TYPES, check
from infra import catalog as command
from infra.problems import Problem

OFFICIAL = [
    "信息资源分类", "信息资源名称", "信息资源代码", "信息资源提供方", "信息资源提供方代码", "信息资源摘要", "信息资源格式", "信息项信息", "共享属性", "开放属性", "更新周期", "发布日期",
    "关联资源代码",
]  # fmt: skip


@pytest.fixture(scope="module")
def facts():
    return load_facts()


@pytest.fixture(scope="module")
def found():
    return resources(load_contracts())


@pytest.fixture(scope="module")
def content(found, facts):
    return directory_excel.workbook(found, unlisted(load_contracts()), facts, [])


@pytest.fixture(scope="module")
def book(content):
    return load_workbook(io.BytesIO(content))


def rows(sheet, first=1):
    return [list(row) for row in sheet.iter_rows(min_row=first, values_only=True)]


# --- workbook ----------------------------------------------------------------------------------------------------------


def test_columns_stand_in_the_order_of_the_template(book):
    sheet = book["信息资源目录"]
    top, below = rows(sheet)[:2]
    assert [h for h in top if h and "附加" not in h] == OFFICIAL
    assert [h for h in below if h] == [
        "类",
        "项",
        "目",
        "细目",
        "分类",
        "类型",
        "信息项名称",
        "数据类型",
        "共享类型",
        "共享条件",
        "共享方式",
        "是否向社会开放",
        "开放条件",
    ]
    assert [h for h in top if h][len(OFFICIAL) :] == [title for title, _ in directory_excel.OUR_COLUMNS], "what is ours comes after"


def test_every_resource_has_a_row(book, found):
    sheet = book["信息资源目录"]
    by_code = {row[5]: row for row in rows(sheet, 3)}
    assert len(rows(sheet, 3)) == len(by_code) == len(found)
    for r in found:
        row = by_code[r.code]
        assert (row[4], row[6], row[7], row[8], row[9]) == (r.name, r.provider, r.provider_code, r.summary, r.format[0])
        assert row[11].split("\n") == [i.name for i in r.items]
        assert row[12].split("\n") == [i.type for i in r.items]
        assert row[13:18] == [r.sharing, r.sharing_condition, r.sharing_method, "是" if r.is_open else "否", r.open_condition]
        assert row[18:20] == [r.update_cycle, r.issued]


def test_every_item_has_a_row_and_a_masked_one_says_so(book, found):
    listed = rows(book["信息项"], 2)
    assert len(listed) == sum(len(r.items) for r in found)
    assert {(row[0], row[4]) for row in listed if row[10] == "遮蔽"} == {(r.code, i.column) for r in found for i in r.items if i.personal} != set()


def test_it_can_be_read(book):
    sheet = book["信息资源目录"]
    assert (sheet.freeze_panes, sheet.auto_filter.ref, sheet.print_title_rows) == ("F3", f"A2:Y{sheet.max_row}", "$1:$2")
    assert sheet.column_dimensions["I"].width == 60
    for cell in (sheet["A1"], sheet["E3"], sheet["I3"]):
        assert cell.font.name == "宋体"
        assert cell.alignment.wrap_text
    assert book["信息项"].freeze_panes == "E2"
    assert all(cell.data_type != "f" for s in book for row in s.iter_rows() for cell in row)


def test_what_is_made_up_is_said(book, found, facts):
    note = {left: right for left, right in rows(book["说明"]) if left}
    used = {r.provider_code for r in found}
    for body in facts.bodies.values():
        assert body.code in used
        assert "示例代码，正式报送前请改为本单位代码" in note[f"示例代码 {body.code}"]
    waiting = [row[5] for row in rows(book["信息资源目录"], 3) if directory_excel.UNCONFIRMED in (row[24] or "")]
    assert waiting == [r.code for r in found if not r.is_confirmed] != []
    assert "示例网址" in note
    assert note["校验发现的问题：0 处"] is None


def test_a_text_that_looks_like_a_formula_is_none(found, facts):
    changed = directory_excel.workbook([replace(found[0], summary="=1+1")], {}, facts, [])
    assert load_workbook(io.BytesIO(changed))["信息资源目录"]["I3"].data_type == "s"


def test_faults_stand_in_the_workbook(found, facts):
    damaged = [replace(found[0], update_cycle="每旬", related=())]
    book = load_workbook(io.BytesIO(directory_excel.workbook(damaged, {}, facts, check(damaged))))
    assert any(left == "校验发现的问题：1 处" for left, _ in rows(book["说明"]))
    assert any("每旬" in (right or "") for _, right in rows(book["说明"]))


def test_the_same_directory_gives_the_same_bytes(content, found, facts):
    assert directory_excel.workbook(found, unlisted(load_contracts()), facts, []) == content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        core = archive.read("docProps/core.xml").decode()
    last = max(r.issued for r in found)
    assert core.count(f"{last}T00:00:00Z") == 2, "created and modified are the last day of issue"


# --- JSON-LD -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def document(found, facts):
    return json.loads(directory_dcat.text_of(found, facts))


def nodes(value: Any):
    """Every object of a document, inner ones too."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from nodes(inner)


def of_type(document, kind):
    return [n for n in nodes(document["@graph"]) if n.get("@type") == kind]


def test_every_term_can_be_expanded(document):
    prefixes = document["@context"]
    terms = {key for n in nodes(document["@graph"]) for key in n if not key.startswith("@")} | {
        n["@type"] for n in nodes(document["@graph"]) if "@type" in n
    }
    assert {t for t in terms if t.partition(":")[0] not in prefixes or not t.partition(":")[2]} == set()
    for address in (n["@id"] for n in nodes(document["@graph"]) if "@id" in n):
        assert address.startswith(("http://", "https://", "xsd:")), address
        assert " " not in address


def test_every_reference_of_ours_leads_to_a_node(document, facts):
    stated = {n["@id"] for n in nodes(document["@graph"]) if len(n) > 1 and "@id" in n}
    named = [n["@id"] for n in nodes(document["@graph"]) if list(n) == ["@id"] and n["@id"].startswith(facts.catalogue.address)]
    assert {a for a in named if a not in stated and "/sql/" not in a} == set()
    whole = [n["@id"] for n in nodes(document["@graph"]) if len(n) > 1 and "@id" in n]
    assert len(whole) == len(set(whole)), "no node is stated twice"


def test_there_is_one_catalogue_with_every_resource(document, found):
    (catalogue,) = of_type(document, "dcat:Catalog")
    datasets = {d["dct:identifier"]: d for d in of_type(document, "dcat:Dataset")}
    assert datasets.keys() == {r.code for r in found}
    assert {d["@id"] for d in catalogue["dcat:dataset"]} == {d["@id"] for d in datasets.values()}
    for r in found:
        d = datasets[r.code]
        assert d["dct:title"][0] == {"@value": r.name, "@language": "zh"}
        assert d["dct:description"]["@value"] == r.summary
        assert d["dct:publisher"]["@id"].endswith(r.provider_code)
        assert d["dct:issued"] == {"@value": r.issued, "@type": "xsd:date"}
        assert [c["csvw:name"] for c in d["dct:conformsTo"]["csvw:column"]["@list"]] == [i.column for i in r.items]
        assert len(d.get("dct:relation", [])) == len(r.related)
        assert ("dcat:distribution" in d) == (r.sharing != "不予共享")


def test_rights_follow_the_sharing_attribute(document, found):
    right = {d["dct:identifier"]: d["dct:accessRights"]["@id"].rpartition("/")[2] for d in of_type(document, "dcat:Dataset")}
    wanted = {"无条件共享": "PUBLIC", "有条件共享": "RESTRICTED", "不予共享": "NON_PUBLIC"}
    assert right == {r.code: wanted[r.sharing] for r in found}, "those shared without condition are all open"


def test_every_cycle_and_type_has_its_word():
    assert directory_dcat.FREQUENCIES.keys() == set(CYCLES)
    from catalog.directory import DATA_TYPES

    assert directory_dcat.DATATYPES.keys() == set(DATA_TYPES.values()) <= set(TYPES)


def test_a_made_up_code_says_so(document, facts):
    assert all("示例代码" in body["rdfs:comment"]["@value"] for body in of_type(document, "foaf:Agent"))
    assert len(of_type(document, "foaf:Agent")) == len(facts.bodies)


# --- command -----------------------------------------------------------------------------------------------------------


def said(folder, form="both"):
    out = Console(file=io.StringIO(), width=200)
    right = command.directory(folder, form, out)
    return right, out.file.getvalue()


def test_the_command_writes_both_files_and_says_what_is_in_them(tmp_path, found):
    right, text = said(tmp_path / "new" / "folder")
    assert right
    assert f"{len(found)} 项信息资源：无条件共享 3" in text
    assert "11440100EXAMPLE11H：示例代码，正式报送前请改为本单位代码" in text
    assert "校验：各项齐全、合规" in text
    before = {p.name: p.read_bytes() for p in (tmp_path / "new" / "folder").iterdir()}
    assert before.keys() == {"信息资源目录.xlsx", "信息资源目录.jsonld"}
    said(tmp_path / "new" / "folder")
    assert {p.name: p.read_bytes() for p in (tmp_path / "new" / "folder").iterdir()} == before


def test_a_fault_is_told_and_nothing_is_written_for_other_systems(tmp_path, monkeypatch):
    register = load_register()
    register.pop("gold.trademark_pairs")
    monkeypatch.setattr("catalog.directory.load_register", lambda: register)
    right, text = said(tmp_path)
    assert not right
    assert "✗ 近似名称对（gold.trademark_pairs）：信息资源代码：没有填写" in text
    assert "校验：2 处问题" in text
    assert [p.name for p in tmp_path.iterdir()] == ["信息资源目录.xlsx"]


def test_one_format_alone(tmp_path):
    said(tmp_path, "jsonld")
    assert [p.name for p in tmp_path.iterdir()] == ["信息资源目录.jsonld"]
    with pytest.raises(Problem, match="没有“pdf”这种格式"):
        said(tmp_path, "pdf")


def test_a_place_that_can_not_be_written_is_a_problem(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Problem, match="不能写入"):
        said(tmp_path / "file")


@pytest.mark.parametrize(("right", "code"), [(True, 0), (False, 1)])
def test_the_exit_code_says_whether_it_can_be_filed(tmp_path, monkeypatch, right, code):
    from infra.cli import app

    asked = []
    monkeypatch.setattr(command, "directory", lambda folder, form, out: asked.append((folder, form)) or right)
    result = CliRunner().invoke(app, ["catalog", "directory", str(tmp_path), "--format", "xlsx"])
    assert (result.exit_code, asked) == (code, [(tmp_path, "xlsx")])
