"""A contract cannot change without a version that says so, and what changed can be read."""

import json
import shutil
import socket
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from catalog.contract import FIELDS, REASONS_COLUMN, RELEASE_COLUMN, RESERVED, load_contracts
from catalog.versions import HISTORY, changelog, changes, check, history, load_released, path_of, release, text_of


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("the comparison tried to reach the network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


# --- a small tree: a feed and a mart -----------------------------------------------------------------------------------

DICTIONARY = yaml.safe_load(FIELDS.read_text(encoding="utf-8"))
KEPT = {name for columns in RESERVED.values() for name, _, _ in columns} | {REASONS_COLUMN, RELEASE_COLUMN}
OWN = {
    "shop_code": {"zh": "门店编号", "meaning": "门店的编号", "type": "STRING", "classification": "一般", "element": "GB 1"},
    "shop_state": {
        "zh": "门店状态",
        "meaning": "门店的状态",
        "type": "STRING",
        "classification": "一般",
        "allowed": {"open": "开业", "shut": "歇业"},
    },
    "shop_count": {"zh": "门店数", "meaning": "门店的户数", "type": "BIGINT", "classification": "一般"},
    "shop_note": {"zh": "备注说明", "meaning": "其他说明", "type": "STRING", "classification": "一般"},
}
FEED, MART = "bronze.shop", "gold.mart_shop"


def rule(name, severity, metric="missingValues", **more):
    custom = [{"property": "dimension", "value": "完整性"}]
    return {"id": name, "metric": metric, "mustBe": 0, "severity": severity, "description": "不能为空", "customProperties": custom, **more}


def named_check(severity):
    return rule("code_legible", severity, "invalidValues", arguments={"check": "name_legible"})


def contract(layer, name, kind, roles, columns):
    custom = {"kind": kind, "englishName": "Shops", "supplyingDepartment": "注册处", "sharing": "无条件共享"}
    return {
        "apiVersion": "v3.2.0",
        "kind": "DataContract",
        "id": f"{layer}.{name}",
        "name": name,
        "version": "1.2.3",
        "status": "active",
        "domain": "shop",
        "description": {"purpose": "观察门店"},
        "team": {"name": "注册处"},
        "roles": [{"role": role, "access": "read"} for role in roles],
        "slaProperties": [{"property": "frequency", "value": "每日"}, {"property": "retention", "value": "永久"}],
        "customProperties": [{"property": p, "value": v} for p, v in custom.items()],
        "schema": [
            {
                "name": name,
                "physicalType": "table",
                "businessName": f"门店{kind}",
                "description": "门店的情况",
                "dataGranularityDescription": "每行是一个门店",
                "properties": columns,
            }
        ],
    }


class Tree:
    """Contracts that can be changed one by one; the first state of them is released."""

    def __init__(self, root: Path):
        self.root = root
        self.fields = {name: dict(DICTIONARY[name]) for name in KEPT} | {name: {**field} for name, field in OWN.items()}
        feed = contract("bronze", "shop", "feed", ["steward", "operator"], [
            {"name": "shop_code", "logicalType": "string", "required": True, "synonyms": [{"synonym": "编号"}]},
            {"name": "shop_state", "logicalType": "string", "quality": [rule("state_present", "warn")]},
        ])  # fmt: skip
        mart = contract("gold", "mart_shop", "mart", ["analyst", "steward"], [
            {"name": "shop_code", "logicalType": "string", "required": True, "primaryKey": True, "primaryKeyPosition": 1},
            {"name": "shop_state", "logicalType": "string", "required": True},
            {"name": "shop_count", "logicalType": "integer", "required": True, "quality": [rule("count_sane", "fail", "nullValues")]},
        ])  # fmt: skip
        self.contracts = {FEED: feed, MART: mart}
        self.released = root / "released"

    def load(self, *names):
        for name, content in self.contracts.items():
            if names and name not in names:
                continue
            path = (self.root / "contracts" / Path(*name.split("."))).with_suffix(".yaml")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(content), encoding="utf-8")
        for path in (self.root / "contracts").glob("*/*.yaml"):
            if f"{path.parent.name}.{path.stem}" not in self.contracts:
                path.unlink()
        (self.root / "fields.yaml").write_text(json.dumps(self.fields), encoding="utf-8")
        return load_contracts(self.root / "contracts", self.root / "fields.yaml")

    def problems(self):
        return check(self.load(), load_released(self.released))

    def lines(self):
        return changelog(self.load(), load_released(self.released))

    def release(self):
        return release(self.load(), self.released)

    def table(self, name):
        return self.contracts[name]["schema"][0]

    def column(self, name, column):
        return next(c for c in self.table(name)["properties"] if c["name"] == column)


@pytest.fixture(scope="module")
def first_release(tmp_path_factory):
    tree = Tree(tmp_path_factory.mktemp("first"))
    assert tree.release() == [FEED, MART]
    return tree.released


@pytest.fixture(scope="module")
def first_released(first_release):
    return load_released(first_release)


@pytest.fixture
def tree(tmp_path, first_release):
    shutil.copytree(first_release, tmp_path / "released")
    return Tree(tmp_path)


def remove(tree, name, column):
    tree.table(name)["properties"].remove(tree.column(name, column))


def add(tree, name, **more):
    tree.table(name)["properties"].append({"name": "shop_note", "logicalType": "string", **more})


def move_key(tree):
    key = tree.column(MART, "shop_code")
    for name in ("primaryKey", "primaryKeyPosition"):
        tree.column(MART, "shop_state")[name] = key.pop(name)


def narrow(tree, type_):
    tree.fields["shop_count"]["type"] = type_


def rename(tree):
    tree.fields["shop_number"] = {**tree.fields["shop_code"], "zh": "店号"}
    tree.column(MART, "shop_code")["name"] = "shop_number"


def custom(tree, name, value):
    next(p for p in tree.contracts[MART]["customProperties"] if p["property"] == name)["value"] = value


# change → contract, level, what the problem says, what the changelog says
CHANGES = {
    # breaks a reader
    "column gone": (MART, "major", "Removed schema.mart_shop.properties.shop_count", "删除列“门店数”（shop_count）（不兼容）", lambda t: remove(t, MART, "shop_count")),
    "column renamed": (MART, "major", "Removed schema.mart_shop.properties.shop_code", "新增列“店号”（shop_number）（不兼容）", rename),
    "type narrowed": (MART, "major", "from 'BIGINT' to 'INT'", "列“门店数”（shop_count）存储类型由“BIGINT”改为“INT”（不兼容）", lambda t: narrow(t, "INT")),
    "key moved": (MART, "major", "shop_code.primaryKey", "删除列“门店编号”（shop_code）主键（不兼容）", move_key),
    "key extended": (MART, "major", "shop_state.primaryKey", "新增列“门店状态”（shop_state）主键（不兼容）",
                     lambda t: t.column(MART, "shop_state").update(primaryKey=True, primaryKeyPosition=2)),
    "key extended by a new column": (MART, "major", "Added schema.mart_shop.properties.shop_note", "新增列“备注说明”（shop_note）（不兼容）",
                                     lambda t: add(t, MART, required=True, primaryKey=True, primaryKeyPosition=2)),
    "column made nullable": (MART, "major", "shop_state.required from 'True' to 'False'", "必填由“是”改为“否”（不兼容）",
                             lambda t: t.column(MART, "shop_state").pop("required")),
    "allowed value gone": (MART, "major", "Removed schema.mart_shop.properties.shop_state.enum.shut", "删除列“门店状态”（shop_state）允许值“shut”（不兼容）",
                           lambda t: t.fields["shop_state"].update(allowed={"open": "开业"})),
    "allowed value means another thing": (MART, "major", "from '歇业' to '注销'", "允许值“shut”的含义由“歇业”改为“注销”（不兼容）",
                                          lambda t: t.fields["shop_state"].update(allowed={"open": "开业", "shut": "注销"})),
    "allowed value comes": (MART, "major", "enum.moved", "新增列“门店状态”（shop_state）允许值“moved”（不兼容）",
                            lambda t: t.fields["shop_state"].update(allowed={"open": "开业", "shut": "歇业", "moved": "迁出"})),
    "reader gone": (MART, "major", "Removed roles.analyst", "删除读者“analyst”（不兼容）", lambda t: t.contracts[MART]["roles"].pop(0)),
    "classified more strictly": (MART, "major", "from '一般' to '个人信息'", "数据分类由“一般”改为“个人信息”（不兼容）",
                                 lambda t: t.column(MART, "shop_code").update(classification="个人信息")),
    "classified more strictly by the dictionary": (FEED, "major", "from '一般' to '商业秘密'", "数据分类由“一般”改为“商业秘密”（不兼容）",
                                                   lambda t: t.fields["shop_code"].update(classification="商业秘密")),
    "rule of a mart gone": (MART, "major", "Removed quality rule at schema.mart_shop.properties.shop_count.quality.count_sane", "删除列“门店数”（shop_count）质量规则“不能为空”（不兼容）",
                            lambda t: t.column(MART, "shop_count").pop("quality")),
    "retired": (MART, "major", "Updated status from 'active' to 'retired'", "契约状态由“active”改为“retired”（不兼容）",
                lambda t: t.contracts[MART].update(status="retired")),
    # breaks a supplier
    "delivered column gone": (FEED, "major", "Removed schema.shop.properties.shop_state", "删除列“门店状态”（shop_state）（不兼容）", lambda t: remove(t, FEED, "shop_state")),
    "required header added": (FEED, "major", "Added schema.shop.properties.shop_note", "新增列“备注说明”（shop_note）（不兼容）", lambda t: add(t, FEED, required=True)),
    "column added with a rule that sets aside": (FEED, "major", "Added schema.shop.properties.shop_note", "新增列“备注说明”",
                                                 lambda t: add(t, FEED, quality=[rule("note_present", "quarantine")])),
    "header made required": (FEED, "major", "shop_state.required", "必填由“否”改为“是”（不兼容）", lambda t: t.column(FEED, "shop_state").update(required=True)),
    "rule of a feed made stricter": (FEED, "major", "quality.state_present.severity from 'warn' to 'quarantine'", "处理方式由“warn”改为“quarantine”（不兼容）",
                                     lambda t: t.column(FEED, "shop_state")["quality"][0].update(severity="quarantine")),
    "rule of a feed added": (FEED, "major", "Added schema.shop.properties.shop_code.quality.code_present", "新增列“门店编号”（shop_code）质量规则“不能为空”（不兼容）",
                             lambda t: t.column(FEED, "shop_code").update(quality=[rule("code_present", "quarantine")])),
    "rule of a feed on the dictionary's values added": (FEED, "major", "quality.state_known", "质量规则“不能为空”（不兼容）",
                             lambda t: t.column(FEED, "shop_state")["quality"].append(rule("state_known", "quarantine", "invalidValues"))),
    "named check of a feed added": (FEED, "major", "Added schema.shop.properties.shop_code.quality.code_legible", "新增列“门店编号”（shop_code）质量规则“不能为空”（不兼容）",
                                    lambda t: t.column(FEED, "shop_code").update(quality=[named_check("quarantine")])),
    "named check of a feed added as a warning": (FEED, "minor", "Added schema.shop.properties.shop_code.quality.code_legible", "新增列“门店编号”（shop_code）质量规则“不能为空”",
                                                 lambda t: t.column(FEED, "shop_code").update(quality=[named_check("warn")])),
    "header gone": (FEED, "major", "Removed schema.shop.properties.shop_code.synonyms.编号", "删除列“门店编号”（shop_code）可用表头“编号”（不兼容）",
                    lambda t: t.column(FEED, "shop_code").pop("synonyms")),
    "Chinese header gone": (FEED, "major", "from '门店编号' to '店号'", "中文名由“门店编号”改为“店号”（不兼容）", lambda t: t.fields["shop_code"].update(zh="店号")),
    # adds
    "column added": (MART, "minor", "Added schema.mart_shop.properties.shop_note", "新增列“备注说明”（shop_note）", lambda t: add(t, MART)),
    "optional header added": (FEED, "minor", "Added schema.shop.properties.shop_note", "新增列“备注说明”（shop_note）", lambda t: add(t, FEED)),
    "synonym added": (FEED, "minor", "synonyms.店码", "新增列“门店状态”（shop_state）可用表头“店码”",
                      lambda t: t.column(FEED, "shop_state").update(synonyms=[{"synonym": "店码"}])),
    "reader added": (MART, "minor", "roles.leader", "新增读者“leader”", lambda t: t.contracts[MART]["roles"].append({"role": "leader", "access": "read"})),
    "header no longer required": (FEED, "minor", "shop_code.required", "必填由“是”改为“否”", lambda t: t.column(FEED, "shop_code").pop("required")),
    "rule of a mart added": (MART, "minor", "Added quality rule", "新增列“门店编号”（shop_code）质量规则“不能为空”",
                             lambda t: t.column(MART, "shop_code").update(quality=[rule("code_filled", "fail", "nullValues")])),
    "warning of a feed added": (FEED, "minor", "quality.code_present", "新增列“门店编号”（shop_code）质量规则“不能为空”",
                                lambda t: t.column(FEED, "shop_code").update(quality=[rule("code_present", "warn")])),
    "other source": (MART, "minor", "inputs", "新增来源表", lambda t: t.contracts[MART]["customProperties"].append({"property": "inputs", "value": [MART]})),
    "other national standard": (MART, "minor", "element", "数据元标准由“GB 1”改为“GB 2”", lambda t: t.fields["shop_code"].update(element="GB 2")),
    # texts
    "purpose": (MART, "patch", "description.purpose", "用途由“观察门店”改为“观察各门店”", lambda t: t.contracts[MART]["description"].update(purpose="观察各门店")),
    "description": (MART, "patch", "mart_shop.description", "说明由“门店的情况”改为“各门店的情况”", lambda t: t.table(MART).update(description="各门店的情况")),
    "English name": (MART, "patch", "englishName", "英文名由“Shops”改为“All shops”", lambda t: custom(t, "englishName", "All shops")),
    "meaning in the dictionary": (MART, "patch", "shop_count.description", "列“门店数”（shop_count）含义由“门店的户数”改为“户数”",
                                  lambda t: t.fields["shop_count"].update(meaning="户数")),
    "meaning of a reserved column": (MART, "patch", "as_of.description", "改为“截止日”", lambda t: t.fields["as_of"].update(meaning="截止日")),
    "order of columns": (MART, "patch", "order", "排列次序有调整", lambda t: t.table(MART)["properties"].reverse()),
}  # fmt: skip
NEEDED = {"none": "1.2.3", "patch": "1.2.4", "minor": "1.3.0", "major": "2.0.0"}


def test_nothing_changed_is_fine(tree):
    assert tree.problems() == []
    assert tree.lines() == {}
    assert tree.release() == []


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_needs_its_version(tree, first_released, change):
    name, level, english, chinese, edit = CHANGES[change]
    edit(tree)
    # The dictionary may touch both contracts; the one under test is loaded and judged.
    changed, released = tree.load(name)[name], {name: first_released[name]}
    (problem,) = check({name: changed}, released)
    assert problem.startswith(f"{name.replace('.', '/')}.yaml: version: 1.2.3 ")
    assert f"write {NEEDED[level]}:" in problem
    assert english in problem
    lines = [change.chinese for change in changes(changed, released[name])]
    assert any(chinese in line for line in lines), lines
    # The version before the needed one does not do, the needed one does.
    versions = list(NEEDED.values())
    lower = versions[versions.index(NEEDED[level]) - 1]
    for version, fine in ((lower, False), (NEEDED[level], True)):
        assert (check({name: replace(changed, version=version)}, released) == []) is fine, version


def test_a_change_of_the_dictionary_reaches_every_contract_that_inherits_it(tree):
    tree.fields["shop_state"]["meaning"] = "门店现在的状态"
    assert [problem.split(":")[0] for problem in tree.problems()] == ["bronze/shop.yaml", "gold/mart_shop.yaml"]


def test_a_column_may_have_the_name_of_a_setting(tree):
    tree.fields["unique"] = {**OWN["shop_note"], "zh": "唯一"}
    tree.table(MART)["properties"].append({"name": "unique", "logicalType": "string"})
    tree.contracts[MART]["version"] = "1.3.0"
    tree.release()
    remove(tree, MART, "unique")
    assert "write 2.0.0" in tree.problems()[0]


def test_a_version_never_goes_back(tree):
    tree.contracts[MART]["version"] = "1.2.2"
    assert "1.2.2 does not do after the released 1.2.3" in tree.problems()[0]


def test_the_weightiest_change_decides_and_comes_first(tree):
    tree.contracts[MART]["description"]["purpose"] = "观察"
    tree.contracts[MART]["version"] = "1.3.0"
    assert tree.problems() == []
    remove(tree, MART, "shop_count")
    (problem,) = tree.problems()
    assert [line.split(":")[0].strip() for line in problem.splitlines()[1:]] == ["major", "patch"]
    assert len(tree.lines()[MART]) == 2, "what was in the removed column is not told again"


# --- release -----------------------------------------------------------------------------------------------------------


def test_release_refuses_what_check_finds_and_writes_nothing(tree):
    before = {path: path.read_bytes() for path in tree.released.rglob("*.yaml")}
    remove(tree, MART, "shop_count")
    tree.contracts[FEED]["version"] = "1.3.0"
    with pytest.raises(ValueError, match=r"write 2\.0\.0"):
        tree.release()
    assert {path: path.read_bytes() for path in tree.released.rglob("*.yaml")} == before


def test_release_keeps_what_each_version_changed(tree):
    remove(tree, MART, "shop_count")
    tree.contracts[MART]["version"] = "2.0.0"
    assert tree.release() == [MART]
    assert tree.problems() == []
    assert history(tree.released)[MART] == [
        {"version": "2.0.0", "changes": ["删除列“门店数”（shop_count）（不兼容）"]},
        {"version": "1.2.3", "changes": ["首次发布"]},
    ]
    assert {name: path_of(name, tree.released).read_text(encoding="utf-8") for name in (FEED, MART)} == {
        name: text_of(c) for name, c in tree.load().items()
    }


def test_a_new_contract_is_fine(tree):
    (tree.released / "gold" / "mart_shop.yaml").unlink()
    assert tree.problems() == []
    assert tree.lines() == {MART: ["首次发布"]}


def test_a_contract_goes_only_after_it_was_released_as_retired_and_its_name_is_not_used_anew(tree):
    mart = tree.contracts.pop(MART)
    assert "gold/mart_shop.yaml: the released contract is gone" in tree.problems()[0]
    tree.contracts[MART] = mart | {"status": "retired", "version": "2.0.0"}
    tree.release()
    tree.contracts.pop(MART)
    assert tree.problems() == []
    assert tree.release() == []
    tree.contracts[MART] = mart | {"version": "1.0.0"}
    assert "1.0.0 does not do after the released 2.0.0" in tree.problems()[0]


# --- the repository ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def contracts():
    return load_contracts()


def test_versions_of_the_repository_fit_their_changes(contracts):
    problems = check(contracts, load_released())
    assert problems == [], "\n".join(problems)


def test_released_files_are_what_release_writes(contracts):
    for name, released in load_released().items():
        assert history()[name][0]["version"] == released.version, f"{name}: {HISTORY} and the released file differ; `release` writes both"
        if name in contracts and contracts[name].version == released.version:
            assert path_of(name).read_text(encoding="utf-8") == text_of(contracts[name]), f"{name}: not what was released as {released.version}"
    assert set(history()) == set(load_released())
