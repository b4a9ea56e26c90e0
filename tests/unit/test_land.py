"""Landing: strict decoding, columns bound by name, bad records kept as text, bad files refused with a message for a clerk."""

import pytest

from catalog.contract import load_contracts
from spark_jobs.ingest.land import Refused, decode, records

FEED = load_contracts()["bronze.registration_subjects"]
HEADER = "企业名称,统一社会信用代码,注册日期,注册地址"
ROW = "广州市测试一号有限公司,91440101MA5TEST018,2019-03-01,广州市天河区体育西路1号"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_text_is_the_same_in_every_accepted_encoding(encoding):
    text = f"{HEADER}\n{ROW}𠀀㐀\n"
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("广州�公司".encode(), "替换字符"),
        (b"a\x00b", "空字节"),
        ("广州".encode()[:-1] + b"\xff\xff", "无法识别"),
    ],
)
def test_text_that_is_not_whole_is_refused(content, says):
    with pytest.raises(Refused, match=says):
        decode(content)


def test_columns_are_bound_by_name_not_by_place():
    swapped = "注册地址,企业名称,注册日期,统一社会信用代码\n地址,名称,2019-01-01,代码\n"
    _, rows = records(FEED, swapped)
    assert list(rows) == [(1, {"registered_address": "地址", "subject_name": "名称", "registration_date": "2019-01-01", "credit_code": "代码"}, "")]


def test_aliases_of_a_column_are_known():
    columns, _ = records(FEED, HEADER.replace("企业名称", "市场主体名称") + "\n")
    assert columns[0] == "subject_name"


@pytest.mark.parametrize(
    ("header", "says"),
    [
        (HEADER.replace("注册日期", "日期不明"), "不认识的列：日期不明；缺少的列：注册日期"),
        (HEADER + ",名称", "重复的列"),
        ("", "没有表头|缺少的列"),
    ],
)
def test_a_header_that_breaks_the_contract_refuses_the_file(header, says):
    with pytest.raises(Refused, match=says):
        records(FEED, header + ("\n" + ROW if header else ""))


def test_a_record_of_another_length_is_kept_as_text_and_harms_no_other():
    _, rows = records(FEED, f"{HEADER}\n{ROW}\n只有,两列\n{ROW}\n\n")
    kept = list(rows)
    assert [(number, values is not None) for number, values, _ in kept] == [(1, True), (2, False), (3, True)]
    assert kept[1][2] == "只有,两列"


def test_a_newline_inside_quotes_does_not_split_a_record():
    _, rows = records(FEED, f'{HEADER}\n"广州\n公司",代码,2019-01-01,地址\n')
    assert [values["subject_name"] for _, values, _ in rows] == ["广州\n公司"]


def test_an_open_quote_refuses_the_file():
    _, rows = records(FEED, f'{HEADER}\n"广州公司,代码,2019-01-01,地址\n{ROW}\n')
    with pytest.raises(Refused, match="引号"):
        list(rows)
