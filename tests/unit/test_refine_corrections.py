"""Corrections and crosswalks: the shipped files are in order, faults are named where they are, and each counts on its days only."""

import datetime as dt
import re
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.contract import load_contracts
from spark_jobs.mapping_use import definitions
from spark_jobs.refine import codes, corrections, kinds, mappings
from spark_jobs.refine.corrections import Prepared, prepare
from spark_jobs.refine.mappings import CATALOG, Correction, MappingError, read_corrections, read_crosswalk, standing
from spark_jobs.refine.registration import BUSINESS, FEED, INPUTS, refine

DAY = dt.date(2026, 11, 25)
CODE = "91440101633203772F"
CONTRACT = load_contracts()[f"bronze.{FEED}"]
HEADER = "correction_id,column,when_column,when_value,delivered,corrected,valid_from,valid_to,reason,decided_by,decided_on"
CROSSWALK_HEADER = "mapping_id,source_text,target_code,valid_from,valid_to,reason"


# --- what is shipped ---------------------------------------------------------------------------------------------------


def test_every_shipped_file_is_in_order():
    known = definitions()
    assert {d.mapping_kind for d in known.values()} == {"correction", "crosswalk"}
    assert len(known) == sum(
        len(path.read_text(encoding="utf-8").splitlines()) - 1 for path in CATALOG.glob("c*s*/*.csv") if path.parent.name != "codes"
    )


def test_a_correction_is_about_a_column_that_the_feed_delivers_and_hides_no_personal_column():
    delivered = {c.name: c for c in CONTRACT.columns if not c.reserved}
    assert set(INPUTS) == set(delivered)
    assert {name for name, c in delivered.items() if c.personal} == {*mappings.NEVER, *mappings.ADDRESSES}


@pytest.mark.parametrize(
    ("changes", "ids", "expected"),
    [
        (
            {"credit_code": "914400000000103848", "registered_address": "广州市茘湾区葵逢洲岸边街１号"},
            ["RS-0001"],
            {"district_code": "440103", "registered_address": "广州市荔湾区葵逢洲岸边街1号"},
        ),
        (
            {"credit_code": "914400000000970555", "enterprise_type": "内资企业法人"},
            ["RS-0002"],
            {"enterprise_type_code": "7200", "subject_category": "foreign_office"},
        ),
        # The same texts of another subject are left alone.
        ({"credit_code": CODE, "enterprise_type": "内资企业法人"}, [], {"enterprise_type_code": None, "subject_category": "enterprise"}),
    ],
)
def test_the_shipped_corrections_do_what_they_say(changes, ids, expected):
    record = refine({"subject_name": "甲乙贸易公司", "registration_date": "2006-09-24", **changes}, DAY)
    assert (record["corrections"], {name: record[name] for name in expected}) == (ids, expected)


def test_a_file_that_nothing_uses_and_an_id_in_two_files_are_faults(tmp_path, monkeypatch):
    monkeypatch.setattr("spark_jobs.mapping_use.CORRECTIONS", tmp_path)
    (tmp_path / "registration_subject.csv").write_text(HEADER, encoding="utf-8")
    with pytest.raises(MappingError, match=r"registration_subject\.csv：没有数据源或代码表使用这个文件"):
        definitions()
    (tmp_path / "registration_subject.csv").unlink()
    same = definitions_with("ET-0001")
    monkeypatch.setattr(corrections, "listed", lambda *_: same)
    with pytest.raises(MappingError, match="编号 ET-0001 在两个文件中都有"):
        definitions()


def definitions_with(identity: str) -> tuple[Correction, ...]:
    return (correction(mapping_id=identity),)


# --- faults ------------------------------------------------------------------------------------------------------------

ROW = {
    "correction_id": "RS-0001", "column": "enterprise_type", "when_column": "", "when_value": "", "delivered": "有限责任公可", "corrected": "有限责任公司",
    "valid_from": "2026-01-01", "valid_to": "", "reason": "来源录入错误", "decided_by": "登记注册处", "decided_on": "2026-11-25",
}  # fmt: skip


def faults(path: Any, *rows: dict[str, str]) -> list[str]:
    path.write_text("\n".join([HEADER, *(",".join({**ROW, **row}.values()) for row in rows)]) + "\n", encoding="utf-8")
    try:
        read_corrections(path, INPUTS)
    except MappingError as error:
        return error.problems
    return []


@pytest.mark.parametrize(
    ("changes", "column", "says"),
    [
        ({"correction_id": "1"}, "correction_id", "不是编号"),
        ({"column": "enterprise_typ"}, "column", "“enterprise_typ”不存在"),
        ({"when_column": "code", "when_value": CODE}, "when_column", "“code”不存在"),
        ({"when_column": "credit_code"}, "when_value", "要么都填"),
        ({"when_value": CODE}, "when_value", "要么都填"),
        ({"when_column": "enterprise_type", "when_value": "甲"}, "when_column", "不能与 column 相同"),
        ({"delivered": "甲", "corrected": "甲"}, "corrected", "等于没有更正"),
        ({"delivered": ""}, "delivered", "所有空值"),
        ({"valid_from": "2026/1/1"}, "valid_from", "不是日期"),
        ({"valid_from": "2026-02-30"}, "valid_from", "不是日期"),
        ({"valid_to": "永久"}, "valid_to", "不是日期"),
        ({"valid_to": "2026-01-01"}, "valid_to", "不晚于 valid_from"),
        ({"valid_to": "2025-01-01"}, "valid_to", "不晚于 valid_from"),
        ({"reason": ""}, "reason", "没有写明理由"),
        ({"reason": "wrong"}, "reason", "没有写明理由"),
        ({"decided_by": "张三"}, "decided_by", "不是单位"),
        ({"decided_on": ""}, "decided_on", "没有填写"),
        ({"decided_by": " 登记注册处"}, "decided_by", "前后有空白"),
        ({"column": "legal_representative"}, "column", "个人姓名"),
        ({"when_column": "legal_representative", "when_value": "张三"}, "when_column", "个人姓名"),
        ({"when_column": "registered_address", "when_value": "甲路"}, "when_column", "不能用地址"),
        ({"column": "registered_address"}, "when_column", "可能是个人住所"),
        ({"column": "registered_address", "when_column": "credit_code", "when_value": "92440101MA1234569G"}, "when_column", "可能是个人住所"),
        ({"column": "credit_code", "delivered": "11010519491231002X"}, "delivered", "居民身份证号码"),
    ],
)
def test_a_fault_is_named_with_file_line_and_column(tmp_path, changes, column, says):
    assert faults(tmp_path / "feed.csv", {}) == []
    found = faults(tmp_path / "feed.csv", {}, {"correction_id": "RS-0002", "delivered": "有限责任公ㄙ", **changes})
    place = f"{tmp_path.name}/feed.csv 第 3 行 {column} 列："
    assert any(problem.startswith(place) and says in problem for problem in found), found
    assert not {"11010519491231002X", "张三"} & set(re.findall(r"\w+", "".join(found)))


def test_all_faults_of_a_file_are_told_at_once(tmp_path):
    found = faults(tmp_path / "feed.csv", {"column": "x"}, {"valid_from": "x", "reason": ""})
    assert [problem.split("：")[0].split(" ", 1)[1] for problem in found] == [
        "第 2 行 column 列",
        "第 3 行 correction_id 列",
        "第 3 行 valid_from 列",
        "第 3 行 reason 列",
    ]


@pytest.mark.parametrize(
    ("first", "second", "overlap"),
    [
        (("", ""), ("", ""), True),
        (("2026-01-01", ""), ("2027-01-01", ""), True),
        (("2026-01-01", "2026-06-01"), ("2026-05-31", ""), True),
        (("2026-06-01", ""), ("", "2026-06-02"), True),
        (("2026-01-01", "2026-06-01"), ("2026-06-01", ""), False),
        (("2026-06-01", ""), ("", "2026-06-01"), False),
    ],
)
def test_no_two_rows_of_one_condition_hold_on_the_same_day(tmp_path, first, second, overlap):
    dates = [dict(zip(("valid_from", "valid_to"), span, strict=True)) for span in (first, second)]
    found = faults(tmp_path / "feed.csv", dates[0], {"correction_id": "RS-0002", **dates[1]})
    assert [("第 3 行 valid_from 列" in problem and "重叠" in problem) for problem in found] == ([True] if overlap else [])
    other = {"correction_id": "RS-0002", "when_column": "subject_name", "when_value": "甲", **dates[1]}
    assert faults(tmp_path / "feed.csv", dates[0], other) == []


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (HEADER.replace("reason", "why").encode(), "第 1 行：表头应为"),
        (b"", "表头应为"),
        ((HEADER + "\nRS-0001,enterprise_type").encode(), "第 2 行：应有 11 列，实有 2 列"),
        ((HEADER + '\nRS-0001,"enterprise_type').encode(), "不是正确的 CSV"),
        ("编号".encode("gb18030"), "不是 UTF-8"),
    ],
)
def test_a_file_of_another_shape(tmp_path, content, says):
    (tmp_path / "feed.csv").write_bytes(content)
    with pytest.raises(MappingError, match=says):
        read_corrections(tmp_path / "feed.csv", INPUTS)


def test_a_file_saved_by_a_spreadsheet_is_read(tmp_path):
    text = "\ufeff" + HEADER + "\r\n" + ",".join({**ROW, "delivered": '"甲,\n""乙"'}.values()) + "\r\n,,,,,,,,,,\r\n"
    (tmp_path / "feed.csv").write_bytes(text.encode())
    (row,) = read_corrections(tmp_path / "feed.csv", INPUTS)
    assert (row.delivered, row.valid_from, row.valid_to, row.decided_on) == ('甲,\n"乙', dt.date(2026, 1, 1), None, DAY)


@pytest.mark.parametrize(
    ("row", "column", "says"),
    [
        ("ET-0001,甲类,9999,,,来源简称", "target_code", "“9999”不存在"),
        ("ET-0001,,9500,,,来源简称", "source_text", "没有填写"),
        ("ET-0001,甲类,9500,,,", "reason", "没有写明理由"),
        ("ET-0001,甲类,9500,2026-01-01,2026-01-01,来源简称", "valid_to", "不晚于"),
        ("ET-0001,甲类,9500,,,来源简称\nET-0002,甲 类,4531,,,来源简称", "valid_from", "重叠"),
        ("ET-0001,甲类,9500,,,来源简称\nET-0001,乙类,4531,,,来源简称", "mapping_id", "已经用过"),
    ],
)
def test_a_fault_of_a_crosswalk(tmp_path, row, column, says):
    path = tmp_path / "list.csv"
    path.write_text(f"{CROSSWALK_HEADER}\n{row}\n", encoding="utf-8")
    with pytest.raises(MappingError, match=f"第 [23] 行 {column} 列：.*{says}"):
        read_crosswalk(path, {"9500", "4531"}, lambda text: text.replace(" ", ""))


# --- validity ----------------------------------------------------------------------------------------------------------


def correction(**changes: Any) -> Correction:
    row: dict[str, Any] = {**ROW, "mapping_id": "RS-0001", "valid_from": None, "valid_to": None, "decided_on": DAY, **changes}
    del row["correction_id"]
    return Correction(**row)


FIRST, SECOND = dt.date(2026, 1, 1), dt.date(2026, 7, 1)


def correct(values: dict[str, str | None], prepared: Prepared, on: dt.date) -> tuple[dict[str, str | None], list[str], list[str]]:
    """corrections.correct for one row."""
    columns, (applied,), (ended,) = corrections.correct({column: [text] for column, text in values.items()}, prepared, [on])
    return {column: text for column, (text,) in columns.items()}, applied, ended


def test_a_row_counts_from_its_first_day_to_the_day_before_its_end():
    row = correction(valid_from=FIRST, valid_to=SECOND)
    days = {dt.date(2025, 12, 31): (None, None), FIRST: (row, None), dt.date(2026, 6, 30): (row, None), SECOND: (None, row), DAY: (None, row)}
    assert {day: standing((row,), day) for day in days} == days
    later = correction(mapping_id="RS-0002", valid_from=SECOND)
    assert standing((row, later), SECOND) == (later, None)
    assert standing((row, later), None) == (later, None)
    ended = correction(mapping_id="RS-0003", valid_from=SECOND, valid_to=dt.date(2026, 8, 1))
    assert standing((row, ended), DAY) == (None, ended)


def test_a_correction_is_about_the_exact_text_as_delivered():
    prepared = prepare([correction()])
    assert correct({"enterprise_type": "有限责任公可"}, prepared, DAY) == ({"enterprise_type": "有限责任公司"}, ["RS-0001"], [])
    for text in ("有限责任公可 ", "有限责任公司", "", None):
        values = {"enterprise_type": text, "subject_name": "有限责任公可"}
        assert correct(values, prepared, DAY) == (values, [], [])


def test_one_that_names_records_goes_first_and_none_feeds_another():
    rows = [
        correction(mapping_id="RS-0001", column="subject_name", when_column="credit_code", when_value=CODE, delivered="甲", corrected="乙"),
        correction(mapping_id="RS-0002"),
        correction(mapping_id="RS-0003", when_column="subject_name", when_value="甲", corrected="分公司"),
        correction(mapping_id="RS-0004", when_column="subject_name", when_value="乙", corrected="办事处"),
        correction(mapping_id="RS-0005", delivered="分公司", corrected="联营企业"),
        correction(mapping_id="RS-0006", column="industry_name", when_column="enterprise_type", when_value="分公司", delivered="某", corrected=""),
    ]
    for order in (rows, rows[::-1]):
        delivered = {"credit_code": CODE, "enterprise_type": "有限责任公可", "subject_name": "甲", "industry_name": "某"}
        found = {**delivered, "enterprise_type": "分公司", "subject_name": "乙"}
        assert correct(delivered, prepare(order), DAY) == (found, ["RS-0001", "RS-0003"], [])
        assert (delivered["enterprise_type"], delivered["subject_name"]) == ("有限责任公可", "甲")


def test_nothing_delivered_and_nothing_to_be_stated():
    prepared = prepare([
        correction(delivered="", when_column="credit_code", when_value=CODE),
        correction(mapping_id="RS-0002", column="industry_name", delivered="某", corrected=""),
    ])  # fmt: skip
    for nothing in ({}, {"enterprise_type": None}, {"enterprise_type": ""}):
        found, ids, _ = correct({"credit_code": CODE, "industry_name": "某", **nothing}, prepared, DAY)
        assert (found["enterprise_type"], found["industry_name"], ids) == ("有限责任公司", None, ["RS-0001", "RS-0002"])


def test_what_has_ended_is_told_unless_another_takes_its_place():
    old = correction(valid_to=SECOND)
    values = {"enterprise_type": "有限责任公可", "subject_name": "甲"}
    assert correct(values, prepare([old]), DAY) == (values, [], ["RS-0001"])
    for successor in (
        correction(mapping_id="RS-0002", valid_from=SECOND),
        correction(mapping_id="RS-0002", when_column="subject_name", when_value="甲"),
    ):
        assert correct(values, prepare([old, successor]), DAY)[1:] == (["RS-0002"], [])


# Few texts in three columns, so that conditions fit often, several at once, and on some of the days only.
COLUMNS = ("enterprise_type", "subject_name", "industry_name")
SPANS = [(None, None), (None, SECOND), (FIRST, SECOND), (SECOND, None)]
ROWS = st.tuples(
    st.fixed_dictionaries({column: st.sampled_from([None, "", "甲", "乙"]) for column in COLUMNS}), st.sampled_from([FIRST, SECOND, DAY])
)
CONDITIONS = st.tuples(st.sampled_from(COLUMNS), st.sampled_from(["", "甲", "乙"]), st.sampled_from(["", *COLUMNS]), st.sampled_from(["甲", "乙"]))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(CONDITIONS, st.sampled_from(SPANS), st.sampled_from(["", "丙"])), max_size=12), st.lists(ROWS, max_size=6))
def test_each_row_of_a_batch_is_corrected_as_the_conditions_say(stated, rows):
    made = {}
    for number, ((column, delivered, when, value), (start, end), becomes) in enumerate(stated):
        row = correction(mapping_id=f"RS-{number:04}", column=column, delivered=delivered, when_column=when, when_value=when and value,
                         corrected=becomes, valid_from=start, valid_to=end)  # fmt: skip
        made[row.condition] = row
    columns, applied, ended = corrections.correct(
        {column: [values[column] for values, _ in rows] for column in COLUMNS}, prepare(made.values()), [day for _, day in rows]
    )
    found = [({column: columns[column][row] for column in COLUMNS}, applied[row], ended[row]) for row in range(len(rows))]
    assert found == [plainly_corrected(values, made.values(), day) for values, day in rows]


def plainly_corrected(values: dict[str, str | None], rows: Iterable[Correction], on: dt.date) -> tuple[dict[str, str | None], list[str], list[str]]:
    """Each column of one row against every correction."""
    result, applied, ended = dict(values), [], []
    for column in values:
        fit = [row for row in rows if row.column == column and row.delivered == (values[column] or "")]
        fit = [row for row in fit if not row.when_column or row.when_value == (values[row.when_column] or "")]
        held = min((row for row in fit if mappings.holds(row, on)), key=lambda row: (not row.when_column, row.mapping_id), default=None)
        if held is not None:
            result[column] = held.corrected or None
            applied.append(held.mapping_id)
        else:
            ended += [row.mapping_id for row in fit if row.valid_to is not None and row.valid_to <= on]
    return result, sorted(applied), sorted(ended)


def test_rows_that_nothing_fits_are_not_looked_at_one_by_one():
    class Texts(list[str | None]):
        passes = 0

        def __iter__(self):
            type(self).passes += 1
            return super().__iter__()

    prepared = prepare([correction(mapping_id=f"RS-{number:04}", delivered=f"甲{number}") for number in range(1000)])
    values = {"enterprise_type": Texts(["乙"] * 10)}
    found, applied, ended = corrections.correct(values, prepared, [DAY] * 10)
    assert (found["enterprise_type"] is values["enterprise_type"], applied, ended) == (True, [[]] * 10, [[]] * 10)
    assert Texts.passes == 1


@pytest.fixture
def shipped(monkeypatch):
    """Set other corrections in the place of those that are shipped."""
    return lambda *rows: monkeypatch.setattr(corrections, "of_feed", lambda *_: prepare(rows))


def test_a_record_goes_by_the_business_date_else_by_the_day_of_arrival(shipped):
    shipped(correction(valid_from=FIRST, valid_to=SECOND))
    values = {"subject_name": "广州甲乙贸易有限公司", "credit_code": CODE, "registration_date": "2010-03-01", "enterprise_type": "有限责任公可"}
    inside, outside = dt.date(2026, 3, 1), DAY
    assert refine(values, inside)["corrections"] == refine(values, outside, inside)["corrections"] == ["RS-0001"]
    for late in (refine(values, outside), refine(values, inside, outside)):
        assert (late["corrections"], late["ended"], late["unmapped"]) == ([], ["RS-0001"], ["enterprise_type=有限责任公可"])
    early = refine(values, dt.date(2025, 1, 1))
    assert (early["corrections"], early["ended"]) == ([], [])


def test_what_was_corrected_is_the_same_content_as_what_was_delivered_right(shipped):
    shipped(correction())
    values = {"subject_name": "广州甲乙贸易有限公司", "credit_code": CODE, "registration_date": "2010-03-01"}
    corrected = refine({**values, "enterprise_type": "有限责任公可"}, DAY)
    right = refine({**values, "enterprise_type": "有限责任公司"}, DAY)
    assert (corrected["corrections"], right["corrections"]) == (["RS-0001"], [])
    assert "corrections" not in BUSINESS
    assert {**corrected, "corrections": []} == right


# --- the crosswalk of types --------------------------------------------------------------------------------------------


def test_a_spoken_type_counts_on_its_days_only(tmp_path, monkeypatch):
    path = tmp_path / "enterprise_types.csv"
    path.write_text(
        f"{CROSSWALK_HEADER}\nET-0901,甲乙户,9500,2026-01-01,2026-07-01,来源简称\nET-0902,分公司,,,2026-07-01,来源简称\n", encoding="utf-8"
    )
    rows = read_crosswalk(path, {"9500"}, kinds._key)
    monkeypatch.setattr(kinds, "crosswalk", lambda: rows)
    kinds._read.cache_clear()
    try:
        inside, after, before = dt.date(2026, 3, 1), SECOND, dt.date(2025, 1, 1)
        assert [kinds.read_type("甲乙户", day)[1:4] for day in (inside, after, before, None)] == [
            (True, "9500", "enterprise"),
            (False, None, None),
            (False, None, None),
            (False, None, None),
        ]
        used = {inside: ("ET-0901", None), after: (None, "ET-0901"), before: (None, None)}
        assert {day: kinds.crosswalk_used("甲乙户", day) for day in used} == used
        # A row stands before the list while it holds; after that the list counts.
        assert kinds.crosswalk_used("分公司", inside) == ("ET-0902", None)
        assert kinds.read_type("分公司", inside).known
        assert kinds.read_type("分公司", after).known
        assert kinds.crosswalk_used("甲" * 200, inside) == kinds.crosswalk_used(None, inside) == (None, None)
    finally:
        kinds._read.cache_clear()


def test_the_errors_of_a_published_mapping_table_are_not_ours():
    """A city's table gives the sole owner from Taiwan, Hong Kong or Macau the code of a legal person, and the listed company that of a branch."""
    assert kinds.read_type("有限责任公司(台港澳自然人独资)").code == "6140"
    assert kinds.read_type("股份有限公司(上市、自然人投资或控股)").code == "1212"
    by_code = {row["code"]: row["name"] for row in codes.rows("enterprise_types")}
    assert (by_code["6150"], by_code["2212"]) == ("有限责任公司(港澳台法人独资)", "股份有限公司分公司(上市、自然人投资或控股)")


# --- what no list knows ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "unmapped"),
    [
        ({}, []),
        ({"enterprise_type": "星际企业"}, ["enterprise_type=星际企业"]),
        ({"enterprise_type": "其他"}, []),
        ({"registered_capital_text": "100万火星币"}, ["registered_capital_text=火星币"]),
        ({"registered_capital_text": "火星元1,000万元"}, ["registered_capital_text=火星元"]),
        ({"registered_capital_text": "100(万德国马克)"}, []),
        ({"registered_capital_text": "100万英镑"}, []),  # known, only its rate is not
        ({"registered_capital_text": "100(万火星元)"}, ["registered_capital_text=火星元"]),
        ({"registered_capital_text": "-100万元"}, []),  # no word at all
        ({"registered_capital_text": "100万元起"}, []),
        ({"registered_capital_text": "李四"}, []),
        ({"province_name": "普通合伙"}, ["province_name=普通合伙"]),
        ({"province_name": "广西"}, []),
        ({"region_name": "广东省广州市"}, []),
        ({"region_name": "佛山"}, []),
        ({"region_name": "上海市"}, []),
        ({"region_name": "增城市"}, ["region_name=增城市"]),
        ({"industry_name": "某业"}, ["industry_name=某业"]),
        ({"industry_name": "零售业"}, []),
        ({"industry_name": "N/A"}, []),
        ({"registered_address": "甲路1号"}, []),  # an address is no code
        ({"enterprise_type": "星际企业", "region_name": "火星"}, ["enterprise_type=星际企业", "region_name=火星"]),
        ({"industry_name": "张三13800138000"}, ["industry_name=（含长串数字，未列出）"]),
        ({"industry_name": "甲" * 300}, ["industry_name=" + "甲" * 100]),
    ],
)
def test_what_no_list_knows_is_listed_as_it_came(changes, unmapped):
    values = {"subject_name": "广州甲乙贸易有限公司", "credit_code": CODE, "registration_date": "2010-03-01", **changes}
    record = refine(values, DAY)
    assert (record["reasons"], record["unmapped"]) == ([], unmapped)


def test_nothing_of_a_record_that_is_set_aside_is_listed():
    values = {"subject_name": "广州甲乙贸易有限公司", "credit_code": CODE, "registration_date": "2010-03-01"}
    record = refine({**values, "province_name": "张三", "registered_capital_text": "李四"}, DAY)
    assert (record["reasons"], record["unmapped"]) == (["columns_aligned"], [])
    record = refine({**values, "registration_date": None, "enterprise_type": "王五"}, DAY)
    assert (record["reasons"], record["unmapped"]) == (["registration_date_present"], [])
