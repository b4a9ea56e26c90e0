"""A whole record: keys, types, routing by the contract, one hash for one content, and no text that breaks it."""

import datetime as dt
import hashlib
import json
import re
import shutil
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.contract import CONTRACTS as FOLDER
from catalog.contract import FIELDS, ContractError, load_contracts
from spark_jobs.refine import registration, rules
from spark_jobs.refine.batches import OUTPUT_SCHEMA, refine_batches, spark_ddl
from spark_jobs.refine.identifiers import is_resident_id
from spark_jobs.refine.registration import BUSINESS, INPUTS, OUTPUTS, content_hash, refine, refine_columns

CONTRACTS = load_contracts()
FEED = CONTRACTS[rules.FEED]
TODAY = dt.date(2019, 6, 30)
RESIDENT = "11010519491231002X"  # the example of the standard, nobody's
GOOD: dict[str, str | None] = {
    "subject_name": "广州甲乙贸易有限公司",
    "credit_code": "91440101633203772F",
    "registration_date": "2010-03-01",
    "enterprise_type": "有限责任公司",
    "legal_representative": "张三",
    "registered_capital_text": "100(万人民币元)",
    "business_scope": "服装批发;服装零售〓",
    "province_name": "广东",
    "region_name": "广州",
    "registered_address": "广州市天河区体育西路1号",
}


def routed(**changes: str | None) -> tuple[list[str], list[str]]:
    record: Any = refine({**GOOD, **changes}, TODAY)
    return record["reasons"], record["quality_marks"]


def test_a_good_record():
    assert refine(GOOD, TODAY) == {
        "subject_name": "广州甲乙贸易有限公司", "normalized_name": "广州甲乙贸易有限公司", "credit_code": "91440101633203772F", "registration_number": None,
        "identifier_kind": "uscc", "identifier_check": "passed", "registration_date": dt.date(2010, 3, 1), "enterprise_type": "有限责任公司",
        "enterprise_type_code": None, "subject_category": "enterprise", "category_basis": "type", "ownership_group": "unknown",
        "legal_representative": "张三", "registered_capital_text": "100(万人民币元)", "registered_capital": Decimal("1000000.00"),
        "capital_amount": Decimal("1000000.000000"), "capital_unit": "万元", "capital_currency": "CNY", "capital_rate": None, "capital_rate_year": None,
        "capital_status": "yuan", "industry_section": "F", "industry_basis": "name", "registration_authority": None, "supervising_authority": None,
        "supervising_district_code": None, "registered_address": "广州市天河区体育西路1号", "district_code": "440106", "district_name": "天河区",
        "district_confidence": "exact", "district_reason": None, "business_scope": "服装批发;服装零售", "scope_truncated": False,
        "province_name": "广东", "region_name": "广州", "trade_name": "甲乙", "name_spellings": "jiayi jy", "corrections": [], "crosswalks": [], "ended": [], "unmapped": [],
        "short_name": None,  # 演示: too short
        "quality_marks": [], "reasons": [],
        "content_hash": content_hash(refine(GOOD, TODAY)),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({"subject_name": "N/A"}, ["subject_name_present"]),
        ({"subject_name": "123"}, ["subject_name_legible"]),
        ({"subject_name": "···"}, ["subject_name_legible"]),
        ({"subject_name": "91440101633203772F"}, ["subject_name_legible"]),
        ({"registration_date": None}, ["registration_date_present"]),
        ({"registration_date": "1993-02-30"}, ["registration_date_real"]),
        ({"registration_date": "1899-12-31"}, ["registration_date_real"]),
        ({"registration_date": "2019-07-01"}, ["registration_date_not_future"]),
        ({"credit_code": RESIDENT}, ["credit_code_no_resident_id"]),
        ({"credit_code": "N/A", "registered_address": "N/A"}, ["subject_identifiable"]),
        ({"credit_code": "N/A"}, []),
        ({"province_name": "普通合伙", "registered_capital_text": "李四"}, ["columns_aligned"]),
        ({"province_name": "普通合伙"}, []),
        ({"credit_code": "有限责任公司", "registration_date": "张三"}, ["columns_aligned", "registration_date_real"]),
    ],
)
def test_what_is_set_aside(changes, reasons):
    assert routed(**changes)[0] == reasons


@pytest.mark.parametrize(
    ("changes", "mark"),
    [
        ({"subject_name": "广州甲乙贸易有限公司。"}, "subject_name_clean"),
        ({"subject_name": "广州甲\ue7d9贸易有限公司"}, "subject_name_clean"),
        ({"credit_code": "-"}, "credit_code_present"),
        ({"credit_code": "ABC"}, "credit_code_form"),
        ({"credit_code": "914401016332037720"}, "credit_code_checked"),
        ({"credit_code": "02440101MA1234569G"}, "credit_code_department"),
        ({"credit_code": "914401010000000000"}, "credit_code_whole"),
        ({"registration_date": "1948-01-01"}, "registration_date_plausible"),
        ({"enterprise_type": "N/A"}, "enterprise_type_present"),
        ({"enterprise_type": "星际企业"}, "enterprise_type_known"),
        ({"enterprise_type": "个体工商户"}, "category_consistent"),
        ({"legal_representative": "13800138000"}, "legal_representative_name"),
        ({"registered_capital_text": "N/A"}, "registered_capital_present"),
        ({"registered_capital_text": "若干"}, "registered_capital_parsed"),
        ({"registered_capital_text": "100"}, "registered_capital_unit"),
        ({"registered_capital_text": "100万英镑"}, "registered_capital_rate"),
        ({"registered_capital_text": "0万元"}, "registered_capital_plausible"),
        ({"registered_capital_text": "20000000(万元)"}, "registered_capital_plausible"),
        ({"business_scope": None}, "business_scope_present"),
        ({"business_scope": "甲" * 1024}, "business_scope_complete"),
        ({"province_name": "湖南"}, "province_name_form"),
        ({"region_name": "佛山"}, "region_name_form"),
        ({"registered_address": "N/A"}, "registered_address_present"),
        ({"registered_address": "广州市黄埔大道西1号"}, "registered_address_district"),
        ({"registered_address": "佛山市南海区某路"}, "registered_address_in_city"),
        ({"registered_address": f"广州市天河区某路{RESIDENT}"}, "no_resident_id_in_text"),
        ({"industry_name": "某业"}, "industry_readable"),
        ({"supervising_authority": "广州市越秀区市场监督管理局"}, "supervising_authority_agrees"),
    ],
)
def test_what_is_marked(changes, mark):
    reasons, marks = routed(**changes)
    assert reasons == []
    assert mark in marks
    assert marks == sorted(marks)
    assert mark not in routed()[1]


def test_every_rule_of_the_feed_is_seen_to_fail():
    ids = {rule.id for rule in FEED.rules}
    seen = {reason for _, reasons in _cases(test_what_is_set_aside) for reason in reasons} | {mark for _, mark in _cases(test_what_is_marked)}
    assert seen == ids


def _cases(test: Any) -> list[tuple[Any, Any]]:
    (mark,) = [m for m in test.pytestmark if m.name == "parametrize"]
    cases: list[tuple[Any, Any]] = mark.args[1]
    return cases


def test_a_check_exists_for_every_name_and_a_name_for_every_check():
    named = [(c.id, rule.arguments["check"]) for c in CONTRACTS.values() for rule in c.rules if "check" in rule.arguments]
    assert sorted(name for feed, name in named if feed == FEED.id) == sorted(rules.CHECKS)
    assert {name for feed, name in named if feed != FEED.id} == rules.COLUMN_CHECKS.keys()


def test_messages_tell_a_clerk_what_to_do():
    for rule in FEED.rules:
        assert re.search(r"请|，|；", rule.description), rule.id
        if rule.severity == "quarantine":
            assert "请" in rule.description, rule.id


def test_a_resident_number_is_repeated_nowhere():
    record: Any = refine({**GOOD, "credit_code": RESIDENT}, TODAY)
    assert RESIDENT not in repr(record)
    assert (record["identifier_kind"], record["credit_code"], record["registration_number"]) == ("none", None, None)


def test_old_numbers_have_their_own_column():
    record = refine({**GOOD, "credit_code": "110108000000016"}, TODAY)
    assert (record["credit_code"], record["registration_number"], record["identifier_kind"]) == (None, "110108000000016", "regno15")


def test_the_fact_table_finds_all_its_business_columns_and_no_value_outside_its_lists():
    fact = CONTRACTS["silver.subject_registration"]
    made_later = {
        "subject_id",
        "effective_from",
        "known_at",
        "delivery_id",
        "row_number",
        "value_kind",
        "source_revision",
        "fact_outcome",
        "is_conflict",
        "write_number",
    }
    assert {c.name for c in fact.columns} - made_later <= set(OUTPUTS)
    lists = {c.name: {value for value, _ in c.allowed} for c in fact.columns if c.allowed and c.name in OUTPUTS}
    for changes, _ in [*_cases(test_what_is_set_aside), *_cases(test_what_is_marked)]:
        record = refine({**GOOD, **changes}, TODAY)
        for name, allowed in lists.items():
            assert record[name] in allowed or (record[name] is None and not fact.column(name).required), (name, record[name])


def test_one_content_one_hash():
    same = refine(
        {**GOOD, "registration_date": "2010年3月1日", "registered_address": " 广州市天河区体育西路１号", "region_name": "广州"}, dt.date(2020, 1, 1)
    )
    record = refine(GOOD, TODAY)
    assert same["content_hash"] == record["content_hash"]
    assert re.fullmatch("[0-9a-f]{64}", str(record["content_hash"]))
    for column in BUSINESS:
        assert content_hash({**record, column: "其他"}) != record["content_hash"], column
    assert content_hash({**record, "region_name": None}) != content_hash({**record, "region_name": ""})
    assert content_hash({**record, "quality_marks": ["x"], "reasons": ["y"]}) == record["content_hash"]


TEXT = st.none() | st.text(max_size=50) | st.text(alphabet="广州市天河区甲乙公司分123.,-万元(（)）〓年月日\x00\u200b\ue000 N/AX", max_size=50)


@settings(max_examples=300, deadline=None)
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(INPUTS, TEXT)))
def test_no_text_raises_and_every_result_fits_the_schema(values):
    record = refine(values, TODAY)
    assert tuple(record) == OUTPUTS
    for field in OUTPUT_SCHEMA:
        if field.name in record:
            pa.array([record[field.name]], field.type)
    assert "" not in record.values()


EARLIER = dt.date(2019, 2, 1)
# Few texts for each column, so that a batch repeats them.
VARIED = st.fixed_dictionaries({column: TEXT | st.sampled_from([None, GOOD.get(column), "N/A", RESIDENT, "2019-03-01"]) for column in INPUTS})


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(VARIED, st.sampled_from([TODAY, EARLIER]), st.sampled_from([None, TODAY, EARLIER])), max_size=8), st.data())
def test_a_record_does_not_depend_on_its_batch(rows, data):
    rows = data.draw(st.permutations(rows + rows))
    texts = {column: [values[column] for values, _, _ in rows] for column in INPUTS}
    columns = refine_columns(texts, [arrived for _, arrived, _ in rows], [business for _, _, business in rows])
    assert tuple(columns) == OUTPUTS
    assert list(zip(*columns.values(), strict=True)) == [tuple(refine(*row).values()) for row in rows]


def test_a_text_that_many_rows_state_is_worked_on_once(monkeypatch):
    asked: list[Any] = []

    def counted(name: str) -> None:
        original = getattr(registration, name)
        monkeypatch.setattr(registration, name, lambda *texts: (asked.append((name, texts)), original(*texts))[1])

    for name in ("parse_capital", "parse_date", "read_type", "crosswalk_used", "authority_district"):
        counted(name)
    rows = 3_000
    capitals = ["100(万人民币元)", "3,000(万人民币元)", "N/A"]
    columns: dict[str, list[str | None]] = {name: [text] * rows for name, text in GOOD.items()}
    columns["registered_capital_text"] = [capitals[row % 3] for row in range(rows)]
    registration.refine_columns(columns, [TODAY] * rows, [None] * rows)
    assert len(asked) == len(set(asked)) == 3 + 1 + 1 + 1 + 1


@settings(max_examples=300, deadline=None)
@given(st.text() | st.text(alphabet='"\\/\x00\x1f\x7f\n\t甲\ud800\u2028𠀀'))
def test_the_hash_is_that_of_a_json_list(text):
    record: dict[str, Any] = {**refine(GOOD, TODAY), "subject_name": text, "region_name": None}
    content = [None if record[column] is None else str(record[column]) for column in BUSINESS]
    written = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    assert content_hash(record) == hashlib.sha256(written).hexdigest()


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from([RESIDENT, RESIDENT.lower(), RESIDENT[:17], "1", "甲", " ", "X"]), max_size=4).map("".join))
def test_an_identity_number_in_a_text_is_found_with_or_without_the_first_look(text):
    found = any(is_resident_id(number[0].upper()) for number in rules._RESIDENT_IN_TEXT.finditer(text))
    assert rules._holds_resident_id(text) == found


@pytest.mark.parametrize("char", ["甲", "(", "（简称", "。", " ", "0", "\x00", "9" * 17 + "X ", "公司", "，", "万"])
def test_a_very_long_text_is_only_long(char):
    record = refine(dict.fromkeys(INPUTS, char * 20_000), TODAY)
    assert tuple(record) == OUTPUTS


def batch(**columns: list[Any]) -> pa.RecordBatch:
    rows = len(next(iter(columns.values())))
    arrived = dt.datetime(2019, 6, 29, 17, 0, tzinfo=dt.UTC)  # 2019-06-30 in China
    standard: dict[str, Any] = {
        **{name: pa.array([value] * rows, pa.string()) for name, value in GOOD.items()},
        "delivery_id": pa.array(["D0000000000000001"] * rows),
        "row_number": pa.array(range(1, rows + 1), pa.int64()),
        "raw_line": pa.array([None] * rows, pa.string()),
        "arrived_at": pa.array([arrived] * rows, pa.timestamp("us", tz="Asia/Shanghai")),
        "business_date": pa.array([None] * rows, pa.date32()),
        "simulated": pa.array([False] * rows),
    }
    return pa.RecordBatch.from_pydict(standard | {name: pa.array(values, standard[name].type) for name, values in columns.items()})


def test_batches_keep_every_row_and_the_schema():
    (result,) = refine_batches(iter([batch(raw_line=[None, "坏行,一", None], business_date=[None, None, dt.date(2019, 5, 1)])]))
    assert result.schema == OUTPUT_SCHEMA
    good, bad, dated = result.to_pylist()
    expected = refine(GOOD, TODAY)
    assert {name: good[name] for name in OUTPUTS} == expected
    assert [r["effective_from"] for r in (good, bad, dated)] == [dt.date(2010, 3, 1), None, dt.date(2019, 5, 1)]
    assert [r["row_number"] for r in (good, bad, dated)] == [1, 2, 3]
    assert bad["reasons"] == ["unsplittable_line"]
    assert bad["raw_line"] == "坏行,一"
    assert all(bad[name] is None for name in (*BUSINESS, "content_hash"))


def test_the_day_of_arrival_is_the_day_in_china():
    (result,) = refine_batches(iter([batch(registration_date=["2019-06-30", "2019-07-01"])]))
    assert [r["reasons"] for r in result.to_pylist()] == [[], ["registration_date_not_future"]]


def test_an_empty_batch_and_a_batch_without_the_optional_columns():
    empty = batch(raw_line=[None]).slice(0, 0)
    assert [r.num_rows for r in refine_batches(iter([empty]))] == [0]


def test_the_ddl_says_what_the_schema_says():
    ddl = spark_ddl()
    assert ddl.startswith("subject_name STRING, ")
    assert "registered_capital DECIMAL(20,2), capital_amount DECIMAL(24,6), capital_unit STRING" in ddl
    assert "reasons ARRAY<STRING>" in ddl
    assert ddl.endswith("arrived_at TIMESTAMP, effective_from DATE, simulated BOOLEAN")
    fact = {c.name: c.type for c in CONTRACTS["silver.subject_registration"].columns}
    declared = dict(part.split(" ", 1) for part in ddl.split(", "))
    assert {n: t for n, t in declared.items() if n in fact} == {n: t for n, t in fact.items() if n in declared}


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("bronze/registration_subjects.yaml", "{check: name_legible}", "{check: name_legible, pattern: '.'}", "a check says by itself what is valid"),
        ("silver/ref_area.yaml", "arguments: {pattern:", "arguments: {check: name_legible} #", "a named check judges the rows of a feed"),
    ],
)
def test_a_check_stands_alone_and_only_in_a_feed(tmp_path: Path, file, old, new, says):
    shutil.copytree(FOLDER, tmp_path / "contracts")
    path = tmp_path / "contracts" / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ContractError, match=says):
        load_contracts(tmp_path / "contracts", FIELDS)


def test_an_unknown_check_or_a_share_stops_the_router():
    (rule, *_) = [r for r in FEED.rules if "check" in r.arguments]
    with pytest.raises(KeyError):
        rules.Router(replace(FEED, rules=(replace(rule, arguments={"check": "no_such_check"}),)))
    with pytest.raises(ValueError, match="mustBe: 0"):
        rules.Router(replace(FEED, rules=(replace(rule, operator="mustBeLessThan", threshold=5),)))
