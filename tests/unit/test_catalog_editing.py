"""One value of the declarations is changed, and nothing else; what follows is told before."""

from __future__ import annotations

import difflib
import shutil
from pathlib import Path

import pytest
import yaml

from catalog import editing, effects
from catalog.contract import HOME, load_contracts
from catalog.derive import all_tables
from catalog.editing import Edit, Refused
from infra.settings import REPO
from spark_jobs import pipeline


def edit(kind, target, attribute, new):
    return Edit(kind, target, attribute, editing.current(kind, target, attribute), new)


def changed_lines(before, after):
    return [line for line in difflib.ndiff(before.splitlines(), after.splitlines()) if line[:2] in ("+ ", "- ")]


@pytest.mark.parametrize(
    ("kind", "target", "attribute", "new"),
    [
        ("field", "registered_capital", "meaning", "折合人民币的数额：单位元，“#”也行"),
        ("field", "registered_capital", "aliases", "注册资本、出资总额、股本"),
        ("field", "registered_capital_text", "aliases", ""),
        ("field", "disputed_amount", "aliases", "标的额"),
        ("field", "credit_code", "element", "GB 32100-2015, 第5章"),
        ("table", "gold.archive_credit", "purpose", "看一个主体的信用: 怎样"),
        ("table", "gold.archive_credit", "description", "- 不是列表"),
        ("table", "gold.archive_credit", "grain", "每行是一个主体"),
        ("table", "gold.archive_credit", "owner", "信用监管处"),
        ("table", "bronze.complaints", "frequency", "每周"),
        ("rule", "bronze.complaints/lodged_at_not_future", "description", "登记时间晚于到达之日；请核对（来源）"),
        ("rule", "bronze.complaints/lodged_at_not_future", "severity", "warn"),
        ("value", "demand_kind/other", "label", "其他诉求"),
        ("value", "demand_kind/other", "spoken", "意见、表扬、感谢、建议"),
        ("value", "demand_kind/report", "spoken", "检举"),
        ("value", "subject_category/enterprise", "label", "企业: 法人"),
    ],
)
def test_only_the_value_is_changed_and_reads_back(kind, target, attribute, new, tmp_path):
    asked = edit(kind, target, attribute, new)
    file = editing.file_of(kind, target, HOME)
    before = file.read_text(encoding="utf-8")
    after = editing._replaced(before, asked) if asked.new != asked.old else before
    assert len(changed_lines(before, after)) <= 2
    copy = tmp_path / "catalog"
    shutil.copytree(HOME / "contracts", copy / "contracts")
    shutil.copyfile(HOME / "fields.yaml", copy / "fields.yaml")
    editing.file_of(kind, target, copy).write_text(after, encoding="utf-8")
    assert editing.current(kind, target, attribute, copy) == new


@pytest.fixture(scope="module")
def repo(tmp_path_factory):
    there = tmp_path_factory.mktemp("repo")
    for name in ("contracts", "released"):
        shutil.copytree(HOME / name, there / "catalog" / name)
    shutil.copyfile(HOME / "fields.yaml", there / "catalog" / "fields.yaml")
    shutil.copytree(REPO / "dbt", there / "dbt")
    return there


def test_a_definition_brings_versions_and_comments_along_and_no_data(repo):
    home = repo / "catalog"
    asked = Edit("field", "abnormal_since", "meaning", editing.current("field", "abnormal_since", "meaning", home), "列入后没有移出的，最早的一次")
    effect = editing.try_out([asked], home)
    assert [(v[0], v[2]) for v in effect.versions] == [("gold.archive_credit", "1.1.1")]
    assert effect.breaking == ()
    assert not effect.rebuilds
    assert [c[0] for c in effect.comments] == ["gold.archive_credit.abnormal_since"]
    assert "最早的一次" in effect.comments[0][2]
    assert editing.current("field", "abnormal_since", "meaning", home) == asked.old, "trying out writes nothing"
    written = {str(p.relative_to(repo)) for p in editing.apply([asked], repo)}
    assert written == {
        "catalog/fields.yaml",
        "catalog/contracts/gold/archive_credit.yaml",
        "catalog/released/gold/archive_credit.yaml",
        "catalog/released/changes.yaml",
        "dbt/models/gold/archive_credit.yml",
    }
    after = load_contracts(home / "contracts", home / "fields.yaml")["gold.archive_credit"]
    assert after.version == "1.1.1"
    assert after.column("abnormal_since").meaning == "列入后没有移出的，最早的一次"
    with pytest.raises(Refused, match="有人先改了"):
        editing.apply([asked], repo)


def test_a_rule_that_stops_more_is_told_as_it_is():
    effect = editing.try_out([edit("rule", "bronze.complaints/lodged_at_not_future", "severity", "warn")])
    assert effect.rebuilds
    assert [v[0] for v in effect.versions] == ["bronze.complaints"]


@pytest.mark.parametrize(
    ("kind", "target", "attribute", "new", "says"),
    [
        ("field", "no_such_field", "meaning", "某个", "没有 no_such_field"),
        ("field", "credit_code", "type", "INT", "不能在这里修改"),
        ("field", "credit_code", "meaning", " ", "不能为空"),
        ("field", "credit_code", "meaning", "in English", "credit_code"),
        ("field", "credit_code", "classification", "秘密", "只能是"),
        ("field", "credit_code", "meaning", "两行\n文字", "换行"),
        ("table", "gold.no_such_table", "purpose", "某个", "没有合同"),
        ("table", "silver.complaints", "purpose", "某个", "没有合同"),
        ("table", "../../etc.passwd", "purpose", "某个", "没有合同"),
        ("table", "gold.archive_credit", "sharing", "无条件共享", "sharingCondition"),
        ("rule", "bronze.complaints/no_such_rule", "severity", "warn", "没有写规则"),
        ("value", "demand_kind/no_such", "label", "某个", "没有 demand_kind 的取值"),
        ("value", "demand_kind/other", "spoken", "投诉", "投诉"),
    ],
)
def test_what_may_not_be_is_refused_with_the_reason(kind, target, attribute, new, says):
    def attempt():
        editing.try_out([Edit(kind, target, attribute, editing.current(kind, target, attribute), new)])

    with pytest.raises(Refused, match=says):
        attempt()


# ---- what data depends on ----

FIELDS = b"a:\n  zh: \xe7\x94\xb2\n  meaning: x\n  type: STRING\n  classification: y\n"


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        (b"meaning: x", b"meaning: z", True),
        (b"meaning: x", b"meaning: x\n  aliases: [b]", True),
        (b"STRING", b"INT", False),
        (b"\xe7\x94\xb2", b"\xe4\xb9\x99", False),
    ],
)
def test_texts_of_the_dictionary_build_nothing_anew(old, new, same):
    path = Path("catalog/fields.yaml")
    assert old in FIELDS
    assert (effects.of(path, FIELDS) == effects.of(path, FIELDS.replace(old, new))) is same


def test_only_fields_that_a_layer_names_count_for_it():
    def of(words, **more):
        return effects.of(
            effects.DICTIONARY,
            yaml.safe_dump({"a": {"zh": "甲"}, "b": {"zh": "乙"}, "c": {"zh": "丙", "derived": {"of": "a"}}, **more}).encode(),
            words,
        )

    assert of({b"b"}) == of({b"b"}, a={"zh": "别的"})
    assert of({b"a"}) != of({b"a"}, a={"zh": "别的"})
    assert of({b"a"}) != of({b"a"}, c={"zh": "别的", "derived": {"of": "a"}}), "worked out from it"
    assert of({b"b"}) == of({b"b"}, c={"zh": "别的", "derived": {"of": "a"}})
    assert of({b"b"}) != of({b"b"}, d={"zh": "丁", "party": {"code": "b"}})


def test_no_field_of_a_layer_is_missed():
    """Every column of a table that a build makes is among the fields that count for it."""
    fields = yaml.safe_load((HOME / "fields.yaml").read_text(encoding="utf-8"))
    for parts, layers in ((pipeline.SILVER_CODE, ("bronze", "silver")), (pipeline.GOLD_CODE, ("gold",))):
        counted = set(effects._named(fields, effects.words_of(effects.files(*parts))))
        for contract in all_tables(load_contracts()).values():
            if contract.layer in layers:
                assert {c.name for c in contract.columns} <= counted, contract.id


def test_of_a_contract_columns_and_rules_count_and_texts_do_not():
    path = Path("catalog/contracts/bronze/complaints.yaml")
    text = (REPO / path).read_bytes()
    for old, new, same in (
        ("purpose: ", "purpose: 又", True),
        ("version: 1.0.0", "version: 1.0.1", True),
        ("{property: sharing, value: 不予共享}", "{property: sharing, value: 有条件共享}", True),
        ("{property: quarantineBudget, value: 0.2}", "{property: quarantineBudget, value: 0.3}", False),
        ("severity: quarantine", "severity: warn", False),
        ("name: disputed_amount", "name: penalty_amount", False),
        ("登记编号不能为空；请补报", "登记编号不能为空", False),
    ):
        assert old.encode() in text, old
        assert (effects.of(path, text) == effects.of(path, text.replace(old.encode(), new.encode(), 1))) is same, old


def test_programs_and_lists_count_to_the_letter():
    assert effects.of(Path("spark_jobs/silver.py"), b"# a") == b"# a"
    assert effects.of(Path("catalog/codes/x.csv"), b"a") == b"a"
    generated = b"version: 2\nmodels:\n- name: x\n  description: a\n  columns:\n  - {name: y, description: b, data_type: string}\n"
    path = Path("dbt/models/gold/x.yml")
    assert effects.of(path, generated) == effects.of(path, generated.replace(b"description: b", b"description: c"))
    assert effects.of(path, generated) != effects.of(path, generated.replace(b"string", b"int"))
