"""Kinds: every type text of the register, names that prove a form, and the order in which evidence counts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_jobs.refine import codes
from spark_jobs.refine.kinds import NO_TYPE, _careful_category, category, category_of_name, read_type

GOOD_91, GOOD_92, GOOD_93 = "91440101633203772F", "92440101MA1234569G", "93440183MA12345696"


@pytest.mark.parametrize(
    ("text", "code", "kind", "ownership"),
    [
        ("有限责任公司", None, "enterprise", "unknown"),
        ("集体所有制", "3200", "enterprise", "collective"),
        ("个体户", "9500", "individual", "unknown"),
        ("个人独资企业", "4540", "enterprise", "private"),
        ("集体分支机构(非法人)", "4320", "branch", "collective"),
        ("集体分支机构（非法人）", "4320", "branch", "collective"),
        ("个体工商户", "9500", "individual", "unknown"),
        ("股份合作制", "3400", "enterprise", "unknown"),
        ("外国(地区)企业常驻代表机构", "7200", "foreign_office", "foreign"),
        ("股份制", "3300", "enterprise", "unknown"),
        ("国有企业", None, "enterprise", "state"),
        ("普通合伙", "4531", "enterprise", "unknown"),
        ("有限责任公司 港、澳、台", None, "enterprise", "foreign"),
        ("分公司", None, "branch", "unknown"),
        ("股份合作制分支机构", "4340", "branch", "unknown"),
        ("联营企业", "3500", "enterprise", "unknown"),
        ("有限责任公司 国有企业", None, "enterprise", "state"),
        ("股份有限公司", None, "enterprise", "unknown"),
        ("有限责任公司 外商投资企业", None, "enterprise", "foreign"),
        ("办事处", None, "branch", "unknown"),
        ("内资企业法人", None, "enterprise", "unknown"),
        ("集体社团法人营业", "4220", "branch", "collective"),
        ("有限责任公司（自然人独资）", "1151", "enterprise", "private"),
        ("有限责任公司(国有独资)", "1110", "enterprise", "state"),
        ("有限责任公司(外商投资企业投资)", "1120", "enterprise", "unknown"),
        ("有限责任公司(中外合资)", "5110", "enterprise", "foreign"),
        ("有限责任公司(台港澳法人独资)", None, "enterprise", "foreign"),
        ("农民专业合作社", "9100", "cooperative", "unknown"),
        ("农民专业合作社分支机构", "9200", "branch", "unknown"),
        ("其他", "9000", None, "unknown"),
    ],
)
def test_type_texts(text, code, kind, ownership):
    found = read_type(text)
    if text == "有限责任公司(台港澳法人独资)":  # the list says 港澳台法人独资; the order of the three makes no difference
        code = "6150"
    assert (found.known, found.code, found.category, found.ownership) == (True, code, kind, ownership)


def test_an_unknown_type_is_kept_and_falls_into_no_class():
    assert read_type("星际有限企业") == ("星际有限企业", False, None, None, "unknown")
    assert read_type("N/A") == read_type(None) == NO_TYPE


def test_every_listed_type_is_known_and_only_two_name_no_category():
    unknown = {r["name"] for r in codes.rows("enterprise_types") if not read_type(r["name"]).known}
    without = {r["name"] for r in codes.rows("enterprise_types") if read_type(r["name"]).category is None}
    assert (unknown, without) == (set(), {"其他", "集团"})


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("甲乙有限公司", "enterprise"),
        ("甲乙有限公司广州分公司", "branch"),
        ("甲乙石油有限公司广州第一加油站", "branch"),
        ("甲乙银行股份有限公司广州丙丁支行", "branch"),
        ("广州甲乙联运公司", "enterprise"),
        ("甲乙进出口贸易公司广州公司", None),  # a company of its own, or not
        ("广州甲乙塑料厂", None),
        ("广州甲乙塑料厂（普通合伙）", "enterprise"),
        ("广州甲乙蔬菜专业合作社", "cooperative"),
        ("广州市甲乙供销合作社", None),
        ("香港甲乙有限公司广州代表处", "foreign_office"),
        ("湖南甲乙有限公司广州代表处", None),
        ("广州市甲乙街道办事处", None),
        ("甲乙(中国)有限公司", "enterprise"),
        (None, None),
    ],
)
def test_names_that_prove_a_form(name, kind):
    assert category_of_name(name) == kind


@pytest.mark.parametrize(
    ("type_text", "name", "code", "check", "expected"),
    [
        ("个体户", "甲乙有限公司", GOOD_91, "passed", ("individual", "type")),
        (None, "甲乙商店", GOOD_92, "passed", ("individual", "code")),
        (None, "甲乙果场", GOOD_93, "passed", ("cooperative", "code")),
        (None, "甲乙厂", GOOD_91, "passed", ("enterprise", "code")),
        (None, "甲乙有限公司番禺分公司", GOOD_91, "passed", ("branch", "name")),
        (None, "甲乙商店", GOOD_92, "both_failed", ("unknown", "unknown")),
        (None, "甲乙有限公司", GOOD_92, "both_failed", ("enterprise", "name")),
        ("星际企业", "甲乙商店", None, "unchecked", ("unknown", "unknown")),
        (None, None, GOOD_91, "pilot", ("enterprise", "code")),
    ],
)
def test_type_before_code_before_name(type_text, name, code, check, expected):
    assert category(read_type(type_text), category_of_name(name), code, check) == expected


PARTS = st.sampled_from(
    ["甲", "有限", "公司", "有限公司", "分", "支", "总公司", "（有限合伙）", "日本", "代表处", "办事处", "镇", "专业合作社", "\n", " ", "责任"]
)


@settings(max_examples=1000, deadline=None)
@given(st.lists(PARTS, max_size=6).map("".join))
def test_the_short_way_for_companies_says_what_the_expressions_say(name):
    assert category_of_name(name) == _careful_category(name)
