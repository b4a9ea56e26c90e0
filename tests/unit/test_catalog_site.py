"""The catalog site: whole, without anything from outside, safe to show, and found by Chinese, pinyin and English."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import asdict, replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest

from catalog import drift
from catalog.contract import load_contracts
from catalog.derive import all_tables
from catalog.site import build, lineage, model, numbers, searching, texts
from catalog.site.status import FeedStatus, ProblemStatus, Score, Status, TableStatus, read, write
from spark_jobs import quality_month

CONTRACTS = load_contracts()
TABLES = all_tables(CONTRACTS)
AT = dt.datetime(2026, 11, 30, 1, 30, tzinfo=dt.UTC)
STATUS = Status(
    "R00000007",
    AT,
    dt.date(2026, 11, 29),
    {
        "gold.archive_subject": TableStatus(
            3, 20321, 4, 2_500_000, AT, "R00000006", ("subject_name", "legal_representative"), (("广州市测试<b>一号</b>", "***"),)
        )
    },
    {
        "complaints": FeedStatus(
            12,
            3456,
            dt.date(2026, 11, 29),
            dt.date(2026, 11, 28),
            True,
            (Score(dt.date(2026, 11, 28), 97.5), Score(dt.date(2026, 11, 29), 81.25)),
            {"完整性": 99.1},
            (ProblemStatus("demand_number_present", "登记编号不能为空；请补报", "完整性", 40, 7),),
            2,
            1,
            3500,
            3456,
        )
    },
    {"12315投诉举报中心": (Score(dt.date(2026, 11, 28), 97.5), Score(dt.date(2026, 11, 29), 81.25))},
)


MONTH = quality_month.department_month(
    "12315投诉举报中心",
    dt.date(2026, 11, 1),
    quality_month.Tables(
        [
            {
                "score_date": dt.date(2026, month, 15), "score_level": "rule", "department": "12315投诉举报中心", "feed": "complaints", "dimension": "完整性",
                "rule_id": "demand_number_present", "checked_count": 200, "failed_count": failed, "quality_score": 0, "value_kind": "simulated",
            }
            for month, failed in ((10, 20), (11, 10))
        ],
        [
            {
                "feed": "complaints", "department": "12315投诉举报中心", "rule_id": "demand_number_present", "problem_scope": "rule", "problem_state": "open",
                "open_records": 7, "sample_keys": ["诉求<i>1</i>"],
            }
        ],
        [], [], [],
    ),
    {c.name: c for c in CONTRACTS.values() if c.layer == "bronze"},
)  # fmt: skip
STATUS = replace(STATUS, reports=(asdict(MONTH) | {"slug": "center"},))


class _Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.links, self.ids, self.loaded = [], set(), []

    def handle_starttag(self, tag, attributes):
        at = dict(attributes)
        self.ids.add(at.get("id"))
        if tag == "a" and at.get("href"):
            self.links.append(at["href"])
        if tag in ("script", "img") and at.get("src"):
            self.loaded.append(at["src"])
        if tag == "link":
            self.loaded.append(at["href"])


@pytest.fixture(scope="module")
def catalog():
    return model.load(STATUS)


@pytest.fixture(scope="module")
def site(catalog, tmp_path_factory):
    target = tmp_path_factory.mktemp("site") / "current"
    build.write(catalog, target, b"window.Fuse = null;")
    return target


def text_of(site, address):
    return (site / address / "index.html").read_text(encoding="utf-8")


def test_there_is_a_page_for_everything(site, catalog):
    pages = {str(p.parent.relative_to(site.resolve())) for p in site.resolve().rglob("index.html")}
    assert {f"tables/{t}" for t in TABLES} <= pages
    assert {f"fields/{n}" for n in catalog.used} <= pages
    assert {f"codes/{p.stem}" for p in model.CODES.glob("*.csv")} <= pages
    assert {f"departments/{d.slug}" for d in catalog.departments.values()} <= pages
    assert {f"numbers/{k}" for k in catalog.numbers} <= pages
    assert {c.department for c in TABLES.values()} | {c.owner for c in TABLES.values()} == set(catalog.departments)


def test_every_link_leads_somewhere_and_nothing_comes_from_outside(site):
    root = site.resolve()
    parsed = {}
    for page in root.rglob("*.html"):
        parsed[page] = _Links()
        parsed[page].feed(page.read_text(encoding="utf-8"))
    assert len(parsed) > 900
    for page, found in parsed.items():
        for address in found.loaded:
            if address == "data:,":
                continue
            assert not re.match(r"[a-z]+:|//", address), (page, address)
            assert (page.parent / address).resolve().exists(), (page, address)
        for link in found.links:
            if link.startswith(("https://", "/changes/", "/gates/")):
                continue
            path, part = urldefrag(link)
            target = (page.parent / unquote(path)).resolve() if path else page
            target = target / "index.html" if target.is_dir() else target
            assert target.exists(), (page, link)
            assert not part or unquote(part) in parsed[target].ids or target.parent.parent.name == "docs", (page, link)


def test_a_page_says_what_its_contract_says(site):
    page = text_of(site, "tables/silver.complaints")
    contract = TABLES["silver.complaints"]
    for said in (contract.chinese, contract.department, contract.sharing, *(c.meaning for c in contract.columns if "docs/" not in c.meaning)):
        assert said in page
    assert "敏感个人信息" in page
    assert "数据管理员" in page
    assert "3,456 条" in page
    assert "相差 44 条" in page
    assert "登记编号不能为空" in page
    assert "81.25" in page
    assert "含模拟数据" in page
    assert 'demand_number AS "登记编号"' in page or "登记编号" in page


def test_a_monthly_report_says_what_is_wrong_how_much_and_what_has_changed(site):
    page = " ".join(text_of(site, "reports/2026-11/center").split())
    # 10 of 200 failed after 20 of 200: 95 after 90.
    for said in ("<b>95.00</b> 分，良，比上月高 5.00 分", "5.00%", "减少", "（10.00%）", "登记编号不能为空", "诉求&lt;i&gt;1", "含模拟数据"):
        assert said in page
    assert "reports/2026-11/center/index.html" in text_of(site, "reports").replace("2026-11/center", "reports/2026-11/center")
    for place, link in (("reports/2026-11/center", "report.pdf"), ("reports", "2026-11/center/report.pdf")):
        assert f'<a href="{link}" download="12315投诉举报中心 2026-11 数据质量月报.pdf">PDF</a>' in text_of(site, place)
    assert (site / "reports/2026-11/center/report.pdf").read_bytes().startswith(b"%PDF-")


def test_markup_in_data_is_shown_and_not_obeyed(site):
    page = text_of(site, "tables/gold.archive_subject")
    assert "广州市测试&lt;b&gt;一号&lt;/b&gt;" in page
    assert "<b>一号" not in page
    assert "<script>" not in texts.markdown("x <script>alert(1)</script> [a](javascript:alert(1))", lambda href: None)
    assert "javascript:" not in texts.markdown("[a](javascript:alert(1))", lambda href: None).replace("[a](javascript:alert(1))", "")


@pytest.mark.parametrize(
    ("typed", "found"),
    [("zhuceziben", "registered_capital"), ("zczb", "registered_capital"), ("tongyishehuixinyongdaima", "credit_code"), ("zihao", "trade_name")],
)
def test_a_field_is_found_by_its_reading_or_another_name(catalog, typed, found):
    entries = [e for e in searching.entries(catalog, lambda end, **at: end) if typed in e["p"]]
    assert found in [e["n"] for e in entries if e["k"] == "字段"]


def test_codes_are_found_by_number_and_by_reading(catalog):
    codes = list(searching.codes(catalog, lambda end, **at: end))
    assert any(e["n"] == "440106" and e["t"] == "天河区" and "tianhequ" in e["p"] for e in codes)
    assert any(e["n"] == "0301" for e in codes)


def test_a_figure_of_a_dashboard_is_led_back_to_columns(catalog):
    number = catalog.numbers["economy_live"]
    assert number.table == "gold.economy_indicators"
    assert number.reader == "局领导"
    assert {"economy_value", "economy_indicator", "period_end"} <= set(number.columns)
    assert number in catalog.column_numbers["gold.economy_indicators", "economy_value"]


def test_records_are_led_back_to_what_was_delivered(catalog):
    assert catalog.columns["silver.complaints", "demand_number"] == (lineage.Source("bronze.complaints", "demand_number", "同一记录"),)
    derived = catalog.columns["silver.complaints", "respondent_district_code"]
    assert [(s.column, s.how) for s in derived] == [("respondent_district", "代码表")]


def test_models_are_led_back_through_their_sql():
    sql = """WITH told AS (SELECT subject_id, upper(subject_name) AS named FROM gold_tables.archive_subject)
        SELECT t.subject_id, t.named AS abnormal_reason, 1 AS times_abnormal, e.occurred_on AS abnormal_since
        FROM told t JOIN gold_tables.archive_timeline e USING (subject_id)"""
    found = lineage.of_models({"archive_credit": sql}, TABLES)
    assert found["gold.archive_credit", "abnormal_reason"] == (lineage.Source("gold.archive_subject", "subject_name", "模型"),)
    assert found["gold.archive_credit", "abnormal_since"] == (lineage.Source("gold.archive_timeline", "occurred_on", "模型"),)
    assert ("gold.archive_credit", "times_abnormal") not in found


def test_what_is_reached_counts_steps_and_ends_in_circles():
    edges = {"a": ("b", "c"), "b": ("c",), "c": ("a",), "d": ("a",)}
    assert lineage.reached(edges, "a") == {"a": 0, "b": 1, "c": 1}
    assert lineage.reached(edges, "x") == {"x": 0}
    assert lineage.reverse(edges)["a"] == ("c", "d")


def test_every_declared_input_is_shown_both_ways(catalog):
    for contract in CONTRACTS.values():
        for source in contract.inputs:
            if source in TABLES and source != contract.id:
                assert contract.id in catalog.down[source]
    assert "silver.complaints" in catalog.down["bronze.complaints"]


def test_a_new_build_replaces_the_former_as_a_whole(tmp_path, catalog, monkeypatch):
    small = replace(catalog, tables={t: c for t, c in catalog.tables.items() if t == "gold.archive_subject"})
    monkeypatch.setattr(build, "pages_of", lambda c: iter([("documents", {})]))
    target = tmp_path / "current"
    for _ in range(3):
        build.write(small, target, b"")
    assert target.is_symlink()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["current", target.resolve().name]


def test_the_status_is_read_as_it_was_written(tmp_path):
    plain = replace(STATUS, reports=())
    write(plain, tmp_path / "status.json")
    assert read(tmp_path / "status.json") == plain


# ---- what stops the build ----


def problems_without(*gone, tables=None, repo=None):
    left = {t: c for t, c in (tables or TABLES).items() if t not in gone}
    with pytest.raises(drift.Drift) as caught:
        drift.require_none(left, repo or drift.REPO)
    return "\n".join(caught.value.problems)


def test_nothing_is_used_that_no_contract_declares():
    drift.require_none(TABLES)


@pytest.mark.parametrize(
    ("gone", "place"),
    [
        ("gold.archive_credit", "dbt/models/gold/archive_credit.sql: 模型没有合同"),
        ("gold.archive_credit", "superset/datasets/gold/archive_credit.yaml: 数据表 gold.archive_credit 没有合同"),
        ("ops.trademark_feedback", "spark_jobs/projections.py"),
        ("silver.quality_problem", "spark_jobs/problems.py"),
        ("gold.archive_timeline", "dbt/models/gold/archive_property.sql: 用到 gold.archive_timeline"),
    ],
)
def test_a_contract_that_is_gone_stops_the_build_where_it_is_used(gone, place):
    assert place in problems_without(gone)


def test_a_column_that_is_gone_from_a_contract_stops_a_dashboard_that_shows_it():
    contract = TABLES["gold.economy_indicators"]
    less = replace(contract, columns=tuple(c for c in contract.columns if c.name != "economy_value"))
    said = problems_without(tables=TABLES | {contract.id: less})
    assert "superset/charts/economy_live.yaml" in said
    assert "economy_value" in said


def test_a_stored_column_without_its_contract_stops_the_build():
    stored = {"gold_tables.archive_credit": ["subject_id", "smuggled_in"], "gold_tables.unknown": ["x"]}
    said = drift.of_tables(stored, TABLES)
    assert len(said) == 2
    assert "gold.archive_credit 没有的列 smuggled_in" in said[0]
    assert "gold_tables.unknown 没有合同" in said[1]
    assert drift.of_tables({"gold_tables.archive_credit": ["subject_id"]}, TABLES) == []


def test_a_dashboard_on_an_undeclared_table_stops_the_build(tmp_path):
    for kind, name, text in (
        ("datasets/gold", "made_up", "{uuid: 1, schema: gold, table_name: made_up}"),
        ("charts", "lost", "{uuid: 2, dataset_uuid: 9, slice_name: x, params: {}}"),
        ("dashboards", "page", "{uuid: 3, slug: page, dashboard_title: x, position: {}}"),
    ):
        (tmp_path / kind).mkdir(parents=True, exist_ok=True)
        (tmp_path / kind / f"{name}.yaml").write_text(text)
    with pytest.raises(numbers.DashboardError) as caught:
        numbers.read(tmp_path, TABLES)
    assert "superset/datasets/gold/made_up.yaml: 数据表 gold.made_up 没有合同" in caught.value.problems[0]
    assert "superset/charts/lost.yaml: 没有它的数据集" in caught.value.problems[1]


def test_a_code_list_that_nobody_tells_of_stops_the_build(tmp_path):
    (tmp_path / "mystery.csv").write_text("code,name\n1,x\n")
    with pytest.raises(ValueError, match="mystery"):
        model.code_lists.__wrapped__(tmp_path, model.CODE_LISTS)


def test_fuse_is_taken_from_its_archive_or_asked_for(tmp_path):
    with pytest.raises(FileNotFoundError, match="lake install"):
        build.fuse_program(Path(tmp_path))
