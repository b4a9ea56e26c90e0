"""The resource directory: what is in it follows from the contracts, every entry is right, each rule sees what it is for, codes stay."""

from __future__ import annotations

from dataclasses import replace

import pytest

from catalog import directory_register
from catalog.contract import ContractError, load_contracts
from catalog.derive import all_tables
from catalog.directory import (
    DATA_TYPES,
    Category,
    Entry,
    Facts,
    by_sharing,
    category_of,
    genre_of,
    listed,
    load_facts,
    load_register,
    resources,
    unlisted,
)
from catalog.directory_check import TYPES, check
from catalog.properties import Kind


@pytest.fixture(scope="module")
def contracts():
    return load_contracts()


@pytest.fixture(scope="module")
def facts():
    return load_facts()


@pytest.fixture(scope="module")
def found(contracts):
    return resources(contracts)


@pytest.fixture(scope="module")
def by_table(found):
    return {r.table: r for r in found}


def without(facts, **parts):
    """The facts with parts of the file put in place of others."""
    return Facts.model_validate(facts.model_dump(by_alias=True) | parts)


# --- what is listed ----------------------------------------------------------------------------------------------------


def test_every_shared_table_is_listed(contracts, by_table):
    shared = {identity for identity, c in all_tables(contracts).items() if c.sharing != "不予共享"}
    assert shared - by_table.keys() == set()
    assert by_sharing(by_table.values()) == {
        s: sum(c.sharing == s for c in listed(contracts).values()) for s in ("无条件共享", "有条件共享", "不予共享")
    }


def test_what_is_not_listed_is_no_resource(contracts, by_table):
    left_out = unlisted(contracts)
    tables = all_tables(contracts)
    assert left_out.keys() | by_table.keys() == tables.keys()
    assert left_out.keys() & by_table.keys() == set()
    for identity in left_out:
        contract = tables[identity]
        assert contract.kind in (Kind.FEED, Kind.QUARANTINE, Kind.PROJECTION) or set(contract.readers) <= {"steward", "operator"}, identity
    # Not shared, but made in doing the authority's duties: listed, with the law.
    assert {"silver.inspectors", "silver.risk_classes", "gold.activity_subject", "gold.trademark_alerts"} <= by_table.keys()


def test_the_content_of_every_feed_is_listed(contracts, by_table):
    for feed in (c for c in contracts.values() if c.kind is Kind.FEED):
        made = {identity for identity, c in listed(contracts).items() if feed.id in c.inputs and c.kind in (Kind.RECORD, Kind.FACT)}
        assert made, feed.id


def test_an_entry_says_what_its_contract_says(contracts, by_table, facts):
    subject, contract = by_table["gold.archive_subject"], contracts["gold.archive_subject"]
    assert (subject.name, subject.english, subject.version) == ("主体档案", contract.english, contract.version)
    assert (subject.sharing, subject.sharing_condition, subject.update_cycle) == (contract.sharing, contract.sharing_condition, contract.update_cycle)
    assert subject.category.names == ("基础信息资源", "法人单位", "市场主体登记", "主体与事项档案")
    assert (subject.provider, subject.provider_code, subject.department) == ("广州市市场监督管理局", facts.bodies["bureau"].code, "登记注册处")
    assert subject.summary.startswith(f"{contract.description}。{contract.grain}。用途：{contract.purpose}。")
    assert [i.column for i in subject.items] == [*(c.name for c in contract.columns), "release_id"]
    assert {i.column for i in subject.items if i.personal} == {c.name for c in contract.columns if c.personal} != set()
    assert {by_table[t].code for t in ("silver.subject_registration", "silver.subject_key", "silver.ref_industry")} == set(subject.related)


def test_relations_pass_over_what_is_not_listed(by_table):
    assert by_table["silver.penalties"].related == (), "made from its feed alone, which it stands for"
    assert by_table["silver.penalties"].code in by_table["silver.party"].related, "of a feed, what it became"


def test_every_kind_of_table_has_its_genre(contracts):
    genres = {identity: genre_of(c) for identity, c in listed(contracts).items()}
    assert {g for i, g in genres.items() if i.startswith("gold.archive")} == {"主体与事项档案"}
    assert genres["gold.trademark_alerts"] == genres["gold.trademark_pairs"] == "主体与事项档案"
    assert genres["gold.trademark_monthly"] == genres["gold.mart_registrations_monthly"] == genres["gold.economy_map"] == "统计分析"
    assert genres["silver.ref_area"] == "代码表"
    assert genres["silver.penalties"] == genres["silver.subject_registration"] == "业务记录"


def test_every_type_of_a_column_is_one_of_the_guide(contracts):
    types = {c.type.partition("(")[0] for t in all_tables(contracts).values() for c in t.columns}
    assert types - DATA_TYPES.keys() == set()


# --- open to the public ------------------------------------------------------------------------------------------------


def test_only_what_is_shared_without_condition_is_open(found):
    assert {r.table for r in found if r.is_open} == {"silver.ref_area", "silver.ref_industry", "silver.ref_quality_rule"}


@pytest.mark.parametrize("classification", ["个人信息", "敏感个人信息", "商业秘密"])
def test_a_table_with_a_personal_column_is_never_open(contracts, classification):
    area = contracts["silver.ref_area"]
    columns = (replace(area.columns[0], classification=classification), *area.columns[1:])
    changed = resources({**contracts, area.id: replace(area, columns=columns)})
    assert [(r.is_open, r.open_condition) for r in changed if r.table == area.id] == [(False, None)]
    assert check(changed) == []


# --- every entry is right, and each rule sees what it is for ------------------------------------------------------------


def test_all_entries_are_complete_and_right(found):
    assert [str(f) for f in check(found)] == []


def item_of(**changes):
    return lambda r: replace(r, items=(replace(r.items[0], **changes), *r.items[1:]))


def some(**changes):
    return lambda r: replace(r, **changes)


def levels(*changed):
    return lambda r: replace(r, category=Category(changed))


SHARED, OPEN, UNSHARED = "gold.archive_subject", "silver.ref_area", "silver.inspectors"
DAMAGE = {
    "no name": (SHARED, some(name=" "), "信息资源名称", "没有填写"),
    "no code": (SHARED, some(code=""), "信息资源代码", "没有填写"),
    "no provider": (SHARED, some(provider=""), "信息资源提供方", "没有填写"),
    "no code of the provider": (SHARED, some(provider_code=""), "信息资源提供方代码", "没有填写"),
    "no summary": (SHARED, some(summary=""), "信息资源摘要", "没有填写"),
    "no sharing": (SHARED, some(sharing=""), "共享类型", "没有填写"),
    "no cycle": (SHARED, some(update_cycle=""), "更新周期", "没有填写"),
    "no day": (SHARED, some(issued=""), "发布日期", "没有填写"),
    "three levels": (SHARED, levels(("1", "基础信息资源"), ("02", "法人单位"), ("001", "市场主体登记")), "信息资源分类", "没有填全"),
    "another class": (SHARED, levels(("9", "其他"), ("02", "法人单位"), ("001", "登记"), ("04", "档案")), "信息资源分类", "没有“9”这一类"),
    "another 项": (SHARED, levels(("1", "基础信息资源"), ("03", "法人单位"), ("001", "登记"), ("04", "档案")), "信息资源分类", "没有“03 法人单位”这一项"),
    "a 项 beyond the list": (SHARED, levels(("1", "基础信息资源"), ("06", "其他"), ("001", "登记"), ("04", "档案")), "信息资源分类", "没有“06 其他”"),
    "a code of another form": (SHARED, some(code="A-17"), "信息资源代码", "不合格式"),
    "a code of another class": (SHARED, some(code="30700105/9999"), "信息资源代码", "与现在的分类 10200104 不符"),
    "a text for a code": (SHARED, some(provider_code="暂无"), "信息资源提供方代码", "不是 18 位"),
    "a code written otherwise": (SHARED, some(provider_code="11440100example11h"), "信息资源提供方代码", "不是 18 位"),
    "a wrong check digit": (SHARED, some(provider_code="11440100EXAMPLE11J"), "信息资源提供方代码", "校验位不符"),
    "an unknown registrar": (SHARED, some(provider_code="C1440100EXAMPLE117"), "信息资源提供方代码", "前两位"),
    "an example that hides": (SHARED, some(is_example=False), "信息资源提供方代码", "是示例代码，却没有标明"),
    "a real code said to be an example": (SHARED, some(provider_code="11440100YC000001XL"), "信息资源提供方代码", "标为示例"),
    "an unknown format": (SHARED, some(format=("纸质", "报表")), "信息资源格式", "没有“纸质”"),
    "a format of another kind": (SHARED, some(format=("电子表格", "oracle")), "信息资源格式", "“oracle”不是电子表格的格式"),
    "other, but what": (SHARED, some(format=("数据库", "其他：")), "信息资源格式", "不是数据库的格式"),
    "no items": (SHARED, some(items=()), "信息项信息", "没有信息项"),
    "an item without a name": (SHARED, item_of(name=""), "信息项名称", "第 1 项没有名称"),
    "an item of another type": (SHARED, item_of(type="VARCHAR"), "数据类型", "“VARCHAR”不在指南的类型中"),
    "two items of one name": (SHARED, lambda r: replace(r, items=(*r.items, r.items[0])), "信息项名称", "出现 2 次"),
    "another sharing": (SHARED, some(sharing="部分共享"), "共享类型", "没有“部分共享”"),
    "a condition that isn't said": (SHARED, some(sharing_condition=None), "共享条件", "没有写明条件"),
    "no law": (UNSHARED, some(sharing_condition="仅供内部使用"), "共享条件", "没有法律、行政法规"),
    "not shared, but how": (UNSHARED, some(sharing_method="邮件"), "共享方式", "不予共享却写了"),
    "shared, but not how": (SHARED, some(sharing_method=None), "共享方式", "没有“（空）”"),
    "shared in another way": (SHARED, some(sharing_method="微信"), "共享方式", "没有“微信”"),
    "open without a condition": (OPEN, some(open_condition=" "), "开放条件", "没有写明"),
    "a condition, but not open": (SHARED, some(open_condition="注明来源"), "开放条件", "不向社会开放却写了"),
    "open, but shared on a condition": (OPEN, some(sharing="有条件共享", sharing_condition="供本市行政机关使用"), "是否向社会开放", "不能向社会开放"),
    "open, but personal": (OPEN, item_of(classification="个人信息"), "是否向社会开放", "含个人信息"),
    "another cycle": (SHARED, some(update_cycle="每旬"), "更新周期", "没有“每旬”"),
    "a day that isn't": (SHARED, some(issued="2026-02-30"), "发布日期", "不是日期"),
    "a day in another form": (SHARED, some(issued="20261125"), "发布日期", "不是日期"),
    "a relation to nothing": (SHARED, some(related=("10200102/9999",)), "关联资源代码", "目录里没有 10200102/9999"),
    "a relation to itself": (SHARED, lambda r: replace(r, related=(r.code,)), "关联资源代码", "关联到自身"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_entry_is_told(found, damage):
    table, change, item, says = DAMAGE[damage]
    # Others that are made from it would tell, too, that a code is gone.
    damaged = [change(r) if r.table == table else replace(r, related=()) for r in found]
    faults = check(damaged)
    told = [f for f in faults if f.table == table and f.item == item and says in f.says]
    assert told, [str(f) for f in faults]
    assert told[0].remedy
    assert {f.table for f in faults} == {table}, "nothing is said of the others"


def test_codes_and_names_are_unique(found):
    faults = check([*found, replace(found[0], table="gold.twice", related=())])
    assert [(f.table, f.item) for f in faults] == [("gold.twice", "信息资源代码"), ("gold.twice", "信息资源名称")]


def test_a_fault_says_where_what_and_what_to_do(found):
    (fault,) = check([replace(found[0], update_cycle="每旬", related=())])
    assert str(fault).startswith(f"{found[0].name}（{found[0].table}）：更新周期：没有“每旬”这一周期；请改用实时、每日")


def test_the_guides_types_are_all_known():
    assert len(TYPES) == 11


# --- codes stay --------------------------------------------------------------------------------------------------------

DAY = "2027-01-31"


def test_the_register_fits_the_contracts(contracts, facts):
    register = load_register()
    after = directory_register.updated(contracts, facts, register, DAY)
    assert after == register, "run ./lake contracts release"


def test_a_new_table_takes_the_next_number_and_changes_no_other(contracts, facts):
    register = load_register()
    before = {t: e for t, e in register.items() if t != "gold.economy_map"}
    after = directory_register.updated(contracts, facts, before, DAY)
    largest = max(int(e.code[-4:]) for e in before.values())
    assert after["gold.economy_map"] == Entry(f"{category_of(contracts['gold.economy_map'], facts).code}/{largest + 1:04d}", DAY)
    assert {t: e for t, e in after.items() if t != "gold.economy_map"} == before


def test_a_table_that_is_gone_keeps_its_number(contracts, facts):
    register = load_register()
    last = max(register, key=lambda t: int(register[t].code[-4:]))
    feed = last.replace("silver.", "bronze.")
    fewer = {i: c for i, c in contracts.items() if i not in (last, feed)}
    gone = directory_register.updated(fewer, facts, register, DAY)
    assert gone[last] == replace(register[last], withdrawn=DAY)
    assert directory_register.updated(fewer, facts, gone, "2027-02-28") == gone, "withdrawn once"
    added = directory_register.updated({**fewer, "gold.new": replace(contracts["gold.economy_map"], name="new")}, facts, gone, DAY)
    assert int(added["gold.new"].code[-4:]) == int(register[last].code[-4:]) + 1
    assert directory_register.updated(contracts, facts, gone, DAY) == register, "taken up again"


def test_a_table_that_the_register_does_not_know_is_a_fault(contracts):
    register = load_register()
    register.pop("gold.trademark_pairs")
    faults = check(resources(contracts, register=register))
    assert [(f.table, f.item) for f in faults] == [("gold.trademark_pairs", "信息资源代码"), ("gold.trademark_pairs", "发布日期")]


def test_the_register_is_read_as_it_is_written(tmp_path):
    path = tmp_path / "directory.csv"
    path.write_text(directory_register.text_of(load_register()), encoding="utf-8")
    assert load_register(path) == load_register()
    path.write_text(path.read_text(encoding="utf-8") + "gold.economy_map,1/1,2026-01-01,\n", encoding="utf-8")
    with pytest.raises(ContractError, match=r"gold\.economy_map stands there twice"):
        load_register(path)


# --- facts beside the contracts ----------------------------------------------------------------------------------------


def test_an_unknown_department_and_domain_are_refused(contracts, facts):
    departments = {n: d for n, d in facts.model_dump()["departments"].items() if n != "市统计局"}
    classes = [c for c in facts.model_dump(by_alias=True)["classes"] if c["domain"] != "complaints"]
    with pytest.raises(ContractError) as error:
        resources(contracts, without(facts, departments=departments, classes=classes))
    assert len(error.value.problems) == 4
    assert "市统计局, which supplies silver.macro_statistics, is missing" in str(error.value)
    assert "domain complaints of gold.archive_complaint is not classed" in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("登记注册处: {body: bureau}", "登记注册处: {body: nobody}", "登记注册处: nobody is no body"),
        ("publisher: bureau", "publisher: nobody", "catalogue: nobody is no body"),
        ("item: 信用体系", "item: 信用", "supervision: 2 信用 is no 类 and 项"),
        ("genre: 统计分析", "genre: 统计", "there is no genre 统计"),
        ("{domain: complaints,", "{domain: supervision,", "supervision  is given twice"),
        ("kind: 社会团体", "kind: 协会", "bodies.association.kind"),
        ("confirmed: false}", "agreed: false}", "confirmed: Field required"),
        ("bodies:", "bodies: [", "not YAML"),
    ],
)
def test_wrong_facts_are_refused(tmp_path, old, new, says):
    from catalog.directory import DEPARTMENTS

    text = DEPARTMENTS.read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "departments.yaml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ContractError, match=says):
        load_facts(path)


def test_no_fact_is_left_that_nothing_uses(contracts, facts, found):
    assert facts.departments.keys() - {n for c in contracts.values() for n in (c.department, c.owner)} == set()
    assert facts.bodies.keys() - {d.body for d in facts.departments.values()} == set()
    assert {c.domain for c in facts.classes} - {c.domain for c in listed(contracts).values()} == set()
    assert facts.legal_bases.keys() - {r.table for r in found if r.sharing == "不予共享"} == set()
