"""Records of a feed that its contract describes in full: typed, judged, told apart, never raising."""

from __future__ import annotations

import datetime as dt
import io
import json
import re
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from catalog.contract import FIELDS, RECORD_STATE, Column, load_contracts
from catalog.derive import create_table_sql, quarantine_of, records_of, silver_of
from catalog.properties import Kind
from infra import trial
from infra.problems import Problem
from infra.settings import REPO
from spark_jobs.ingest import land
from spark_jobs.ingest.exchange import GONE
from spark_jobs.refine.batches import UNSPLITTABLE, spark_ddl
from spark_jobs.refine.records import output_schema, own_columns, refine_batches, refine_columns
from spark_jobs.refine.values import reader

CONTRACTS = load_contracts()
PENALTIES, COMPLAINTS, ABNORMAL = (CONTRACTS[f"bronze.{name}"] for name in ("penalties", "complaints", "abnormal_list"))
RECORD_FEEDS = [c for c in CONTRACTS.values() if c.record_key]
ARRIVED = dt.date(2026, 3, 5)
PENALTY = {
    "decision_number": "穗市监处〔2026〕1号", "credit_code": "91440101633203772F", "subject_name": "广州市演示有限公司", "penalty_kind": "罚款",
    "violation_kind": "虚假广告", "fine_amount": "1.25", "confiscated_amount": "", "decided_on": "2026-02-03", "published_until": "2029/2/3",
}  # fmt: skip
LISTED = {
    "credit_code": "91440101633203772F",
    "subject_name": "广州市演示有限公司",
    "listed_on": "2026-01-05",
    "listing_reason": "通过登记的住所无法联系",
}
DEMAND = {
    "demand_number": "GZ1", "lodged_at": "2026-03-04 08:30:00", "demand_kind": "投诉", "object_kind": "商品", "respondent_name": "某店",
    "complainant_name": "甲某", "complainant_phone": "100000000001", "disputed_amount": "1,200.50元",
}  # fmt: skip


def refined(feed: Any, row: dict[str, str | None], **changes: str | None) -> dict[str, Any]:
    record = refine_columns(feed, {name: [text] for name, text in {**row, **changes}.items()}, [ARRIVED])
    return {name: value for name, (value,) in record.items()}


def column(type_: str, **more: Any) -> Column:
    return Column("c", "列", "意", type_, "一般", **more)


@pytest.mark.parametrize(
    ("what", "text", "value"),
    [
        (column("STRING"), "原文", None),
        (column("DATE"), "2026年3月1日", dt.date(2026, 3, 1)),
        (column("DATE"), "2026-02-30", None),
        (column("TIMESTAMP"), "2026-03-04 08:30:00", dt.datetime(2026, 3, 4, 0, 30, tzinfo=dt.UTC)),
        (column("TIMESTAMP"), "2026-03-03T16:00:00Z", dt.datetime(2026, 3, 3, 16, 0, tzinfo=dt.UTC)),
        (column("TIMESTAMP"), "2026-03-04", dt.datetime(2026, 3, 3, 16, 0, tzinfo=dt.UTC)),
        (column("INT"), "1,234", 1234),
        (column("INT"), "１２", 12),
        (column("INT"), "12.0", 12),
        (column("INT"), "12.5", None),
        (column("INT"), "2147483648", None),
        (column("BIGINT"), "2147483648", 2147483648),
        (column("DECIMAL(20,2)"), "1,234.565", Decimal("1234.57")),
        (column("DECIMAL(20,2)", delivered_unit="万元"), "1.25", Decimal("12500.00")),
        (column("DECIMAL(20,2)"), "-3", Decimal("-3.00")),
        (column("DECIMAL(5,2)"), "1000", None),
        (column("DECIMAL(20,2)", delivered_unit="万元"), "12,500元", Decimal("12500.00")),
        (column("DECIMAL(20,2)"), "3万美元", None),
        (column("DECIMAL(20,2)", delivered_unit="万元"), "50%", None),
        (column("BOOLEAN"), "是", True),
        (column("BOOLEAN"), "ｎ", False),
        (column("BOOLEAN"), "也许", None),
        (column("STRING", allowed=(("goods", "商品"),)), " 商 品", "goods"),
        (column("STRING", allowed=(("goods", "商品"),)), "GOODS", "goods"),
        (column("STRING", allowed=(("goods", "商品"),)), "其他", None),
        (column("STRING", reader="credit_code"), "91440101 ma1234569q", "91440101MA1234569Q"),
        (column("STRING", reader="credit_code"), "广州某公司", None),
        (column("STRING", reader="name"), "广州某公司(冻结)。", "广州某公司"),
        (column("STRING", allowed=(("goods", "商品"),), spoken=(("商品类", "goods"),)), "商品类", "goods"),
        (column("STRING", reader="document_number"), "穗市监处［2026］ 12 号", "穗市监处〔2026〕12号"),
        (column("STRING", reader="document_number"), "(2025)粤0106执123号", "〔2025〕粤0106执123号"),
        (column("STRING", reader="period"), "2025年9月", "2025-09"),
        (column("STRING", reader="period"), "202509", "2025-09"),
        (column("STRING", reader="period"), "2025Q3", "2025Q3"),
        (column("STRING", reader="period"), "2025年第三季度", "2025Q3"),
        (column("STRING", reader="period"), "2025年度", "2025"),
        (column("STRING", reader="period"), "上个月", None),
        (column("DATE", reader="expiry"), "长期有效", dt.date(9999, 12, 31)),
        (column("DATE", reader="expiry"), "2026/3/1", dt.date(2026, 3, 1)),
        (column("DECIMAL(9,6)", reader="ratio"), "35.12%", Decimal("0.351200")),
        (column("DECIMAL(9,6)", reader="ratio"), "0.35", Decimal("0.350000")),
        (column("DECIMAL(9,6)", reader="ratio"), "35.12", None),
        (column("DECIMAL(20,2)", delivered_unit="万元"), "2万", Decimal("20000.00")),
        (column("DECIMAL(20,2)"), "￥20,000元整", Decimal("20000.00")),
        (column("DECIMAL(20,2)"), "-0.001", Decimal("0.00")),
        (column("INT"), "2025年度", 2025),
    ],
)  # fmt: skip
def test_a_text_becomes_the_value_that_the_column_declares(what, text, value):
    read = reader(what)
    assert (read(text) if read else None) == value


def test_a_type_that_no_feed_has_is_refused():
    with pytest.raises(NotImplementedError, match="DOUBLE"):
        reader(column("DOUBLE"))


def test_a_good_record_is_typed_and_says_nothing_against_it():
    record = refined(PENALTIES, PENALTY)
    assert (record["fine_amount"], record["confiscated_amount"], record["decided_on"]) == (Decimal("12500.00"), None, dt.date(2026, 2, 3))
    assert (record["reasons"], record["quality_marks"], record["unmapped"]) == ([], [], [])
    demand = refined(COMPLAINTS, DEMAND)
    assert demand["lodged_at"] == dt.datetime(2026, 3, 4, 0, 30, tzinfo=dt.UTC)
    assert (demand["demand_kind"], demand["object_kind"], demand["disputed_amount"]) == ("complaint", "goods", Decimal("1200.50"))
    assert demand["quality_marks"] == []


@pytest.mark.parametrize(
    ("feed", "row", "changes", "reasons"),
    [
        (PENALTIES, PENALTY, {"decision_number": "无"}, ["decision_number_present"]),
        (PENALTIES, PENALTY, {"decided_on": ""}, ["decided_on_present"]),
        (PENALTIES, PENALTY, {"decided_on": "2026-02-30"}, ["decided_on_readable"]),
        (PENALTIES, PENALTY, {"decided_on": "2026-03-06"}, ["decided_on_not_future"]),
        (PENALTIES, PENALTY, {"fine_amount": "虚假广告", "published_until": "罚款"}, ["columns_aligned"]),
        (PENALTIES, PENALTY, {"credit_code": "广州市演示有限公司"}, ["columns_aligned"]),
        (PENALTIES, PENALTY, {"decision_number": "91440101633203772F"}, ["decision_number_no_code"]),
        (ABNORMAL, LISTED, {"credit_code": "11010519491231002X"}, ["credit_code_no_resident_id", "credit_code_readable"]),
        (ABNORMAL, LISTED, {"listing_reason": ""}, ["listing_reason_present"]),
        (COMPLAINTS, DEMAND, {"lodged_at": "2026-03-06 00:30"}, ["lodged_at_not_future"]),
        (COMPLAINTS, DEMAND, {"lodged_at": "2026-03-05T23:59:59+08:00"}, []),
    ],
)
def test_what_is_set_aside(feed, row, changes, reasons):
    assert refined(feed, row, **changes)["reasons"] == reasons


@pytest.mark.parametrize(
    ("changes", "mark"),
    [
        ({"credit_code": "91440101MA1234569A"}, "credit_code_checked"),
        ({"credit_code": "待核"}, "credit_code_readable"),
        ({"subject_name": "-"}, "subject_name_present"),
        ({"published_until": "待定"}, "published_until_readable"),
        ({"credit_code": "11010519491231002X"}, "credit_code_no_resident_id"),
        ({"penalty_kind": ""}, "penalty_kind_present"),
    ],
)
def test_what_is_marked(changes, mark):
    record = refined(PENALTIES, PENALTY, **changes)
    assert (record["reasons"], mark in record["quality_marks"]) == ([], True)


def test_what_no_list_knows_is_the_steward_s_and_never_becomes_another_value():
    record = refined(COMPLAINTS, DEMAND, demand_kind="建议", object_kind="房产")
    assert (record["demand_kind"], record["unmapped"], record["reasons"]) == (None, ["demand_kind=建议", "object_kind=房产"], [])
    aside = refined(COMPLAINTS, DEMAND, demand_kind="建议", demand_number="")
    assert (aside["reasons"], aside["unmapped"]) == (["demand_number_present"], [])


def test_a_record_is_told_apart_by_its_key_and_its_content_by_all_columns():
    one, again, other = refined(PENALTIES, PENALTY), refined(PENALTIES, PENALTY, fine_amount="1.250"), refined(PENALTIES, PENALTY, fine_amount="2")
    assert one["record_id"] == again["record_id"] == other["record_id"]
    assert one["content_hash"] == again["content_hash"] != other["content_hash"]
    assert refined(PENALTIES, PENALTY, decision_number="2号")["record_id"] != one["record_id"]
    # NULL is told from a text, and one column from the next.
    blank, missing = (refined(ABNORMAL, {"subject_name": a, "listing_reason": b})["content_hash"] for a, b in (("甲", None), (None, "甲")))
    assert blank != missing
    # A document's number is one number, however its brackets are written.
    assert refined(PENALTIES, PENALTY, decision_number="穗市监处[2026] 1 号")["record_id"] == one["record_id"]


def test_what_a_record_states_happened_on_the_first_day_that_is_stated():
    assert refined(ABNORMAL, LISTED)["occurred_on"] == dt.date(2026, 1, 5)
    assert refined(ABNORMAL, LISTED, removed_on="2026-02-01")["occurred_on"] == dt.date(2026, 2, 1)
    assert refined(COMPLAINTS, DEMAND, lodged_at="2026-03-03T16:30:00Z")["occurred_on"] == dt.date(2026, 3, 4)


def test_a_digest_is_as_confidential_as_what_it_is_made_of():
    hidden = {
        f"{c.id}.{x.name}": x.classification for c in map(records_of, RECORD_FEEDS) for x in c.columns if x.name in ("record_id", "content_hash")
    }
    assert hidden["silver.penalties.content_hash"] == hidden["silver.tax_flags.record_id"] == "一般"
    assert hidden["silver.tax_flags.content_hash"] == "商业秘密"
    assert hidden["silver.key_persons.record_id"] == hidden["silver.shareholders.record_id"] == "个人信息"
    assert hidden["silver.complaints.content_hash"] == "敏感个人信息"
    assert CONTRACTS["silver.subject_registration"].column("content_hash").personal


@pytest.mark.parametrize("feed", RECORD_FEEDS, ids=lambda c: c.name)
def test_the_tables_of_a_feed_follow_from_its_contract(feed):
    records, aside = records_of(feed), quarantine_of(feed)
    assert silver_of(feed) == (aside, records)
    assert (records.kind, records.id, records.readers) == (Kind.RECORD, f"silver.{feed.name}", feed.record_readers)
    assert "到达）" not in records.chinese
    own = [c.name for c in own_columns(feed) if c.name != RECORD_STATE]  # it becomes the state of the fact
    assert [c.name for c in records.columns][: len(own)] == own
    assert records.keys == ("delivery_id", "row_number")
    assert {"record_id", "effective_from", "fact_outcome", "write_number"} <= {c.name for c in records.columns}
    # What the refinement makes is what the table takes, column by column.
    made = dict(part.split(" ", 1) for part in spark_ddl(output_schema(feed)).replace(", ", "\n").splitlines())
    stored = {c.name: c.type for c in records.columns}
    assert {name: made[name] for name in stored if name in made} == {name: stored[name] for name in stored if name in made}
    assert stored.keys() - made.keys() == {"source_revision", "known_at", "value_kind", "write_number", "fact_outcome", "is_conflict"}
    assert f"silver_tables.{feed.name} (" in create_table_sql(records, {})


def test_a_feed_without_a_key_has_no_typed_records():
    with pytest.raises(ValueError, match="recordKey"):
        records_of(CONTRACTS["bronze.registration_subjects"])


def test_a_feed_is_added_as_the_how_to_says(tmp_path):
    """The how-to's own words: its fields, its contract, its file."""
    text = (REPO / "docs" / "how-to" / "feeds.zh.md").read_text(encoding="utf-8")
    delivered, fields, contract, *_ = re.findall(r"```(?:csv|yaml)\n(.*?)```", text, re.DOTALL)
    (tmp_path / "contracts" / "bronze").mkdir(parents=True)
    (tmp_path / "contracts" / "bronze" / "contract_filings.yaml").write_text(contract, encoding="utf-8")
    (tmp_path / "fields.yaml").write_text(FIELDS.read_text(encoding="utf-8") + fields, encoding="utf-8")
    feed = load_contracts(tmp_path / "contracts", tmp_path / "fields.yaml")["bronze.contract_filings"]
    path = tmp_path / "格式条款备案_2026-02-28.csv"
    path.write_text(delivered, encoding="utf-8")
    rows = [values or {} for _, values, _ in land.records(feed, path, tmp_path)]
    record = refine_columns(feed, {c.name: [row.get(c.name) for row in rows] for c in own_columns(feed)}, [ARRIVED] * len(rows))
    assert record["filing_number"] == ["HT2026-001", "HT2026-002"]
    assert (record["liquidated_damages"], record["is_disclosed"]) == ([Decimal("5000.00"), None], [True, True])
    assert record["reasons"] == [[], ["columns_aligned", "contract_filed_on_readable"]]
    assert [c.id for c in silver_of(feed)] == ["silver.contract_filings_quarantine", "silver.contract_filings"]
    # `./lake try` says so in the how-to's words.
    said = io.StringIO()
    trial.show(feed, path, 5, False, Console(file=said, width=200))
    assert re.search(r"^《.*条没有问题$", text, re.M)[0] == said.getvalue().splitlines()[0]
    assert "columns_aligned" in said.getvalue()
    assert "5000.00" in said.getvalue()


def test_a_trial_says_what_is_wrong_with_the_file_or_the_contract(tmp_path):
    penalties, path = CONTRACTS["bronze.penalties"], tmp_path / "处罚.csv"
    path.write_text("甲,乙\n1,2\n", encoding="utf-8")
    with pytest.raises(Problem, match="会被拒收"):
        trial.read(penalties, path)
    with pytest.raises(Problem, match="没有文件"):
        trial.read(penalties, tmp_path / "没有.csv")
    rule = next(r for r in penalties.rules if "check" in r.arguments)
    wrong = replace(penalties, rules=(replace(rule, arguments={"check": "kode_checked"}),))
    with pytest.raises(Problem, match=r"bronze/penalties.yaml: quality \w+: 没有 check: kode_checked；可用的：.*code_checked"):
        trial.read(wrong, path)


def test_a_trial_shows_brackets_as_they_were_delivered(tmp_path):
    path, said = tmp_path / "处罚.csv", io.StringIO()
    path.write_text("决定书文号,统一社会信用代码,当事人,处罚类别,决定日期\n参见[/附件]1号,,演示[abc]有限公司,警告,2019-02-03\n", encoding="utf-8")
    trial.show(PENALTIES, path, 5, False, Console(file=said, width=200))
    assert "参见[/附件]1号" in said.getvalue()
    assert "演示[abc]有限公司" in said.getvalue()


def test_a_trial_shows_the_headers_of_the_file_and_names_of_rules_uncut(tmp_path, capsys):
    path, said = tmp_path / "处罚.csv", io.StringIO()
    path.write_text("决定书文号,统一社会信用代码,当事人,处罚类别,决定日期\n91440101633203772F,,演示有限公司,警告,2019-02-30\n", encoding="utf-8")
    trial.show(PENALTIES, path, 5, False, Console(file=said, width=50))
    shown = said.getvalue()
    assert "当事人" in shown
    assert "企业名称" not in shown
    assert "罚款金额" in shown, "what the file doesn't have is called as the lake calls it"
    assert "第 1 条　隔离 decided_on_readable、decision_number_no_code" in shown
    assert re.search(r"^ 隔离 +decision_number_no_code ", shown, re.M)
    trial.show(PENALTIES, path, 5, True, Console())
    assert "headers" not in json.loads(capsys.readouterr().out)[0], "for programs columns have one name"


def test_a_trial_of_the_register_s_samples_reads_as_the_lake_does():
    path = next((REPO / "samples" / "registrations").glob("*_1979.csv"))
    found = trial.read(CONTRACTS["bronze.registration_subjects"], path)
    assert found
    assert all(r["subject_name"] and not r["reasons"] for r in found)


TEXT = st.one_of(st.none(), st.text(max_size=30), st.sampled_from([*PENALTY.values(), "９" * 40, "1e400", "-0", "%", "2026-13-01 25:61", "\x00"]))


@settings(deadline=None)
@given(st.sampled_from(RECORD_FEEDS), st.data())
def test_any_text_has_an_outcome_and_fits_the_table(feed, data):
    rows = data.draw(st.lists(st.fixed_dictionaries({c.name: TEXT for c in own_columns(feed)}), min_size=1, max_size=4))
    number = len(rows)
    batch = pa.RecordBatch.from_pydict(
        {c.name: pa.array([row[c.name] for row in rows], pa.string()) for c in own_columns(feed)}
        | {
            "delivery_id": pa.array(["D1"] * number),
            "row_number": pa.array(range(1, number + 1), pa.int64()),
            "raw_line": pa.array([None] * (number - 1) + ["断行"], pa.string()),
            "arrived_at": pa.array([dt.datetime(2026, 3, 5, tzinfo=dt.UTC)] * number, pa.timestamp("us", tz="UTC")),
            "business_date": pa.array([None] * number, pa.date32()),
            "simulated": pa.array([True] * number),
        }
    )
    (out,) = refine_batches(feed)(iter([batch]))
    assert (out.schema, out.num_rows) == (output_schema(feed), number)
    made = out.to_pylist()
    assert made[-1]["reasons"] == [UNSPLITTABLE]
    # What goes on has a key and a day.
    assert [r for r in made if not r["reasons"] and not (r["record_id"] and r["effective_from"])] == []


# --- what a source withdraws, and when it changed a row -----------------------------------------------------------------

TAX = CONTRACTS["bronze.tax_flags"]
FLAG = {
    "credit_code": "91440101633203772F", "subject_name": "广州市演示有限公司", "tax_period": "2025Q4", "tax_status": "正常", "tax_credit_grade": "A",
    "determined_on": "2026-01-15", "record_state": "", "source_changed_at": "2026-02-01 16:30:00.123+00",
}  # fmt: skip


def test_a_row_holds_from_the_day_in_china_on_which_its_source_changed_it():
    row = refined(TAX, FLAG)
    assert row["source_changed_at"] == dt.datetime(2026, 2, 1, 16, 30, 0, 123000, tzinfo=dt.UTC)
    assert (row["fact_state"], row["occurred_on"], row["reasons"]) == ("active", dt.date(2026, 1, 15), [])
    batch = pa.RecordBatch.from_pydict(
        {name: [text] for name, text in FLAG.items()}
        | {
            "delivery_id": ["D1"],
            "row_number": [1],
            "raw_line": pa.array([None], pa.string()),
            "arrived_at": [dt.datetime(2026, 3, 5, tzinfo=dt.UTC)],
        }
        | {"business_date": pa.array([dt.date(2026, 3, 4)], pa.date32()), "simulated": [True]}
    )
    (out,) = refine_batches(TAX)(iter([batch]))
    assert out.column("effective_from").to_pylist() == [dt.date(2026, 2, 2)]


def test_a_row_that_was_only_touched_says_nothing_new():
    first, touched = refined(TAX, FLAG), refined(TAX, FLAG, source_changed_at="2026-02-03 09:00:00+08")
    assert first["content_hash"] == touched["content_hash"]
    assert first["content_hash"] != refined(TAX, FLAG, tax_status="非正常")["content_hash"]


@pytest.mark.parametrize("word", ["删除", "已删除", "已撤销", "withdrawn", "D", "delete"])
def test_a_withdrawn_record_needs_nothing_but_its_key_and_the_time(word):
    gone = dict.fromkeys(FLAG, "") | {"credit_code": FLAG["credit_code"], "tax_period": "2025年第四季度", "record_state": word}
    row = refined(TAX, gone, source_changed_at="2026-02-05 10:00:00+08")
    assert (row["fact_state"], row["reasons"], row["quality_marks"]) == ("withdrawn", [], [])
    assert row["occurred_on"] == dt.date(2026, 2, 5)
    assert row["record_id"] == refined(TAX, FLAG)["record_id"]
    # Without a key nobody can say what is withdrawn, without a time not when.
    assert refined(TAX, gone, source_changed_at="2026-02-05 10:00:00+08", tax_period="")["reasons"]
    assert refined(TAX, gone)["reasons"]
    # The same emptiness is no record where nothing is withdrawn.
    assert refined(TAX, gone, source_changed_at="2026-02-05 10:00:00+08", record_state="")["reasons"]


def test_what_the_lake_writes_for_a_record_that_is_gone_is_understood():
    assert dict(TAX.column("record_state").spoken)[GONE] == "withdrawn"
    assert [f.name for f in RECORD_FEEDS if f.exchange] == ["court_enforcement", "other_licences", "other_penalties", "social_security", "tax_flags"]
