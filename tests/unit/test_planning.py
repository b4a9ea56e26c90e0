"""The planning of information resources: the matrix, one source for each element, planned feeds, data elements; and that each gap is seen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from catalog import planning
from catalog.contract import ContractError, load_contracts
from catalog.derive import all_tables
from catalog.planning import Plan, load_plan
from catalog.properties import Kind


@pytest.fixture(scope="module")
def contracts():
    return load_contracts()


@pytest.fixture(scope="module")
def plan():
    return load_plan()


@pytest.fixture(scope="module")
def matrix(contracts):
    return planning.matrix(contracts)


@pytest.fixture(scope="module")
def row(matrix):
    return {r.table: r for r in matrix.rows}


def changed(plan, **parts):
    return Plan.model_validate(plan.model_dump() | parts)


def function(plan, key, **parts):
    """The plan with a function that says something else."""
    said = plan.model_dump()["functions"]
    return changed(plan, functions={**said, key: {**said[key], **parts}})


def says(findings):
    return [(f.what, f.says) for f in findings]


# --- matrix ------------------------------------------------------------------------------------------------------------


def test_every_table_has_one_function_that_creates_it(matrix, contracts):
    assert says(matrix.findings) == []
    assert {r.table for r in matrix.rows} == {i for i, c in all_tables(contracts).items() if c.kind not in (Kind.FEED, Kind.QUARANTINE)}
    assert [r.table for r in matrix.rows if [f for f in matrix.functions if r.letter(f) == "C"] != [r.creator]] == []


def test_the_most_particular_claim_creates(row):
    assert row["silver.subject_registration"].creator == "registration", "by domain"
    assert row["silver.annual_reports"].creator == "annual_reports", "by owner, though its domain would be another"
    assert row["silver.inspection_results"].creator == "inspection", "by name, though its owner is that of credit"
    assert row["silver.abnormal_list"].creator == "credit"


def test_use_follows_from_what_tables_are_made_from(row):
    uses = {t: {u.function for u in row[t].uses if u.basis == "加工"} for t in row}
    assert uses["silver.subject_registration"] >= {"governance"}, "party and keys are made from it"
    assert uses["silver.complaints"] == {"registration", "governance"}, "the timeline, and who is meant; its own archive is no other function's"
    assert uses["gold.mart_registrations_monthly"] == set(), "used within its own function alone"
    assert "property" in uses["gold.archive_subject"], "alerts are made from it"
    assert "registration" in uses["silver.ref_area"]


def test_use_follows_from_who_may_read(row, matrix):
    assert row["gold.mart_registrations_monthly"].letter("decision") == "U"
    assert row["gold.trademark_pairs"].letter("decision") == "", "leaders may not read it"
    assert [u.basis for u in row["gold.archive_subject"].uses if u.function == "economy"] == ["加工"], (
        "what is worked with isn't told as reading, too"
    )
    assert set(matrix.functions) == {f for f in matrix.functions for r in row.values() if r.letter(f)}, "no function has nothing"


def test_what_another_body_supplies_says_so(row):
    assert {t for t in row if row[t].is_external} == {
        "silver.association_figures", "silver.court_enforcement", "silver.macro_statistics", "silver.other_licences", "silver.other_penalties",
        "silver.social_security", "silver.tax_flags",
    }  # fmt: skip


def test_a_table_that_nobody_creates_is_a_finding(contracts, plan):
    found = planning.matrix(contracts, function(plan, "advertising", owners=[]))
    assert ("silver.advertising", "没有产生它的业务职能") in says(found.findings)
    assert [r.creator for r in found.rows if r.table == "silver.advertising"] == [None]
    assert ("广告监测", "不产生、也不使用任何数据") in says(found.findings)


def test_a_table_that_two_create_is_a_finding(contracts, plan):
    found = planning.matrix(contracts, function(plan, "credit", tables=["inspect*"]))
    assert ("silver.inspectors", "同时归入双随机监管、信用监管") in says(found.findings)
    assert [r.creator for r in found.rows if r.table == "silver.inspectors"] == [None]


@pytest.mark.parametrize(("kind", "value"), [("tables", "nothing_*"), ("owners", "不存在处"), ("domains", "food")])
def test_a_claim_that_meets_no_table_is_a_finding(contracts, plan, kind, value):
    found = planning.matrix(contracts, function(plan, "registration", **{kind: [*getattr(plan.functions["registration"], kind), value]}))
    assert says(found.findings) == [("登记注册", f"{kind} 里的“{value}”没有对应的表")]


# --- one source for each element ---------------------------------------------------------------------------------------


def test_every_element_has_one_source_or_none_to_have(contracts):
    found = planning.elements(contracts)
    assert says(found.findings) == []
    assert found.settled_share == 1
    delivered = {c.name for f in contracts.values() if f.kind is Kind.FEED for c in f.columns if not c.reserved}
    assert [e.name for e in found.elements] == sorted(delivered)
    feeds = {c.name: c for c in contracts.values() if c.kind is Kind.FEED}
    for e in found.elements:
        assert (e.source is None) == (e.basis == "各记录自有")
        if e.source:
            assert e.source in e.feeds
            assert (e.owner, e.department) == (feeds[e.source].owner, feeds[e.source].department)
            assert e.name in {c.name for c in feeds[e.source].columns}


def test_where_a_source_comes_from(contracts):
    basis = {e.name: (e.source, e.basis, e.owner) for e in planning.elements(contracts).elements}
    assert basis["credit_code"] == ("registration_subjects", "已声明", "登记注册处")
    assert basis["demand_number"] == ("complaints", "记录主键", "12315投诉举报中心"), "complaints are told apart by it alone, their steps are not"
    assert basis["case_step"] == ("enforcement_cases", "唯一数据源", "执法监督处")
    assert basis["decided_on"] == (None, "各记录自有", None)


def test_an_element_of_several_feeds_without_a_source_is_a_finding(contracts, plan):
    sources = {k: v for k, v in plan.sources.items() if k != "credit_code"}
    each = [n for n in plan.of_each_record if n != "decided_on"]
    found = planning.elements(contracts, changed(plan, sources=sources, of_each_record=each))
    assert [f.what for f in found.findings] == ["统一社会信用代码（credit_code）", "决定日期（decided_on）"]
    assert all("没有确定权威来源" in f.says and "sources" in f.remedy for f in found.findings)
    assert found.settled_share == 1 - 2 / len(found.elements)


def test_two_feeds_told_apart_by_an_element_alone_give_no_source(contracts):
    steps = contracts["bronze.complaint_steps"]
    found = planning.elements({**contracts, steps.id: replace(steps, record_key=("demand_number",))})
    assert [f.what for f in found.findings] == ["登记编号（demand_number）"]


@pytest.mark.parametrize(
    ("sources", "each", "what", "said"),
    [
        ({"credit_code": "complaints"}, [], "credit_code", "声明的来源 complaints 不报送它"),
        ({"nothing": "complaints"}, [], "nothing", "声明的来源 complaints 不报送它"),
        ({"case_step": "enforcement_cases"}, [], "case_step", "来源 enforcement_cases 由契约已可得出"),
        ({"demand_number": "complaints"}, [], "demand_number", "来源 complaints 由契约已可得出"),
        ({}, ["case_step"], "case_step", "并非由几个数据源报送"),
    ],
)
def test_what_is_declared_wrongly_or_twice_is_a_finding(contracts, plan, sources, each, what, said):
    found = planning.elements(contracts, changed(plan, sources={**plan.sources, **sources}, of_each_record=[*plan.of_each_record, *each]))
    assert (what, said) in says(found.findings)


# --- planned and connected feeds ---------------------------------------------------------------------------------------


def test_every_feed_is_planned_and_connected_once_it_has_delivered(contracts, plan):
    feeds = {c.name for c in contracts.values() if c.kind is Kind.FEED}
    found = planning.sources(contracts, feeds - {"penalties"})
    assert [s.name for s in found.sources if s.has_contract] == sorted(feeds)
    assert [s.zh for s in found.sources if not s.has_contract] == [p.zh for p in plan.planned] != []
    assert found.connected_share == (len(feeds) - 1) / (len(feeds) + len(plan.planned))
    assert says(found.findings) == [("行政处罚", "已有契约，尚无到达"), *((p.zh, "已规划，尚无契约") for p in plan.planned)]
    assert {s.function for s in found.sources} <= plan.functions.keys()
    penalties = next(s for s in found.sources if s.name == "penalties")
    assert (penalties.zh, penalties.function, penalties.department, penalties.update_cycle) == ("行政处罚", "enforcement", "执法监督处", "每周")


def test_deliveries_of_no_contract_and_plans_that_are_done_are_findings(contracts, plan):
    done = changed(plan, planned=[{"zh": "行政处罚", "function": "enforcement", "department": "执法监督处"}])
    feeds = {c.name for c in contracts.values() if c.kind is Kind.FEED}
    found = says(planning.sources(contracts, {*feeds, "food_samples"}, done).findings)
    assert ("food_samples", "有到达，却没有契约") in found
    assert ("行政处罚", "已有契约，仍列在待建") in found


# --- national data elements --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def standards(contracts):
    return planning.standards(contracts)


def test_the_share_that_conforms_is_what_its_formula_says(standards, contracts):
    tables = [c for c in all_tables(contracts).values() if c.kind not in (Kind.FEED, Kind.QUARANTINE, Kind.PROJECTION)]
    bound = [(t.id, c.name) for t in tables for c in t.columns if c.element and not c.reserved]
    assert [(b.table, b.column) for b in standards.columns] == bound
    assert standards.total == sum(not c.reserved for t in tables for c in t.columns)
    conforming = [b for b in standards.columns if b.why is None]
    assert standards.conforming_share == len(conforming) / len(bound)
    assert standards.bound_share == len(bound) / standards.total
    assert 0 < standards.conforming_share < 1
    assert sum(n for n, _ in standards.by_standard.values()) == len(bound)
    assert sum(n for _, n in standards.by_standard.values()) == len(conforming)
    fields, fine = standards.conforming_fields
    assert fields == len({c for _, c in bound})
    assert fine == fields - len({b.column for b in standards.columns if b.why})
    assert says(standards.findings) == []


def why(standards, table, column):
    (found,) = (b for b in standards.columns if (b.table, b.column) == (table, column))
    return found.why


def test_what_conforms_and_why_the_rest_does_not(standards):
    assert why(standards, "silver.penalties", "credit_code") is None
    assert why(standards, "silver.ref_industry", "industry_code") is None, "the table is the list"
    assert why(standards, "silver.complaints", "respondent_district_code") is None, "read by the list of its day"
    assert why(standards, "gold.mart_registrations_monthly", "district_code") is None, "names list and edition"
    assert why(standards, "gold.mart_registrations_monthly", "district_name") is None, "beside its code"
    assert why(standards, "gold.mart_registrations_monthly", "industry_section") == "契约没有写明代码表及版本"
    assert why(standards, "gold.economy_monthly", "industry_section_name") == "只有名称或版本，同表没有符合标准的代码列"


def with_column(contracts, table, name, **parts):
    contract = contracts[table]
    return {**contracts, table: replace(contract, columns=tuple(replace(c, **parts) if c.name == name else c for c in contract.columns))}


@pytest.mark.parametrize(
    ("table", "column", "parts", "says"),
    [
        ("gold.archive_subject", "credit_code", {"type": "BIGINT"}, "类型是 BIGINT，应为 STRING"),
        ("gold.archive_subject", "credit_code", {"reader": None}, "没有按标准校验取值"),
        ("gold.mart_registrations_monthly", "district_code", {"code_list": None}, "契约没有写明代码表及版本"),
        ("gold.mart_registrations_monthly", "district_code", {"code_list": "GB/T 4754"}, "契约没有写明代码表及版本"),
    ],
)
def test_a_column_that_strays_from_its_standard_is_told(contracts, standards, table, column, parts, says):
    assert why(standards, table, column) is None
    strayed = planning.standards(with_column(contracts, table, column, **parts))
    assert why(strayed, table, column) == says
    assert strayed.conforming_share < standards.conforming_share


def test_a_name_conforms_only_beside_its_code(contracts):
    strayed = planning.standards(with_column(contracts, "gold.mart_registrations_monthly", "district_code", code_list=None))
    assert why(strayed, "gold.mart_registrations_monthly", "district_name") == "只有名称或版本，同表没有符合标准的代码列"


def test_columns_that_the_lake_adds_do_not_count(contracts, standards):
    found = planning.standards(with_column(contracts, "gold.mart_registrations_monthly", "district_code", reserved=True))
    assert ("gold.mart_registrations_monthly", "district_code") not in {(b.table, b.column) for b in found.columns}
    assert (found.total, len(found.columns)) == (standards.total - 1, len(standards.columns) - 1)


def test_a_list_without_an_element_and_a_standard_without_a_rule_are_findings(contracts, plan):
    found = planning.standards(with_column(contracts, "gold.mart_registrations_monthly", "district_code", element=None))
    assert says(found.findings) == [("所在区代码（district_code）", "取值来自GB/T 2260，却没有绑定数据元")]
    fewer = {k: v for k, v in plan.model_dump()["standards"].items() if k != "GS 15-2006"}
    found = planning.standards(
        contracts, changed(plan, standards={**fewer, "GB 11714-1997": {"zh": "全国组织机构代码编制规则", "types": ["STRING"]}})
    )
    assert says(found.findings) == [("GB 11714-1997", "没有列绑定它"), ("GS 15-2006", "没有规定怎样才算符合")]


# --- the file ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("function: property", "function: food", "马德里国际注册: food is no function"),
        ("credit_code: registration_subjects", "decided_on: penalties", "decided_on has a source, too"),
        ("applied_on, decided_on,", "applied_on, applied_on,", "applied_on stands there twice"),
        ("roles: [leader]", "roles: [mayor]", "functions.decision.roles.0"),
        ("zh: 登记注册,", "zh: registration,", "functions.registration.zh"),
        ("types: [INT]", "types: []", "Nice Classification.types"),
        ("functions:", "functions: [", "not YAML"),
    ],
)
def test_a_wrong_plan_is_refused(tmp_path, old, new, says):
    text = planning.FUNCTIONS.read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "functions.yaml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ContractError, match=says):
        load_plan(path)
