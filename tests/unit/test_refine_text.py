"""Text: nothing is None, what carries nothing goes, names compare by one key, a cut scope is told from a complete one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_jobs.refine.text import (
    _careful_key,
    _careful_name,
    clean_name,
    clean_scope,
    is_plain,
    name_key,
    normalize_name,
    stated,
    tidy,
    unreadable,
)  # fmt: skip

ANY_TEXT = st.text(max_size=60)
UNTIDY_TEXT = st.text(alphabet="广州甲乙Ａ１ａb9 （）()［］【】。．.,，-—━·\u3000\u200b\ufeff\x00\ue7d9\u00a0简称:：冻结N/A无　ﬁŉ㈱", max_size=30)


@pytest.mark.parametrize("token", ["", " ", "-", "N/A", "n/a", " null", "NULL", "无", "—", "Ｎ／Ａ", "\u200b", "\u3000", None])
def test_what_stands_for_nothing_is_none(token):
    assert stated(token) is None
    assert clean_name(token) is None
    assert clean_scope(token) == (None, False)


@pytest.mark.parametrize("text", ["0", "无字号", "无锡小天地有限公司", "未知", "NANO", "空调"])
def test_what_only_looks_like_nothing_is_kept(text):
    assert stated(text) == text


@pytest.mark.parametrize(
    ("text", "tidied"),
    [
        ("荔城大道１９７号Ａ座", "荔城大道197号A座"),
        ("甲\u3000乙\xa0 丙", "甲 乙 丙"),
        ("甲\u200b乙\ufeff丙\x00丁", "甲乙丙丁"),
        ("何\ue7d9经济", "何经济"),
        ("批发（零售）；制造，加工。", "批发（零售）；制造，加工。"),  # Chinese punctuation stays readable
        ("\u2f8f政", "行政"),  # a Kangxi radical
        ("𠀀厂", "𠀀厂"),  # beyond the basic plane
        ("甲\U000f0000乙", "甲乙"),
    ],
)
def test_tidy(text, tidied):
    assert tidy(text) == tidied


@pytest.mark.parametrize(
    ("text", "shown", "key"),
    [
        ("甲乙(中国)有限公司", "甲乙（中国）有限公司", "甲乙(中国)有限公司"),
        ("广州甲乙公司。", "广州甲乙公司", "广州甲乙公司"),
        ("甲乙银行广州支行 (简称:甲乙支行)", "甲乙银行广州支行", "甲乙银行广州支行"),
        ("广州丙丁有限公司(冻结股权2002.6.25某某法院)", "广州丙丁有限公司", "广州丙丁有限公司"),
        ("五羊━甲乙（广州）有限公司", "五羊━甲乙（广州）有限公司", "五羊-甲乙(广州)有限公司"),
        ("甲--乙公司", "甲--乙公司", "甲-乙公司"),
        ("ａbc 公 司", "abc 公 司", "ABC公司"),
        ("Ｊ．Ｂ．国际公司", "J.B.国际公司", "JB国际公司"),
        ("···", "···", None),
    ],
)
def test_names(text, shown, key):
    assert clean_name(text) == shown
    assert normalize_name(text) == key


@given(st.one_of(ANY_TEXT, UNTIDY_TEXT))
def test_cleaning_twice_changes_nothing(text):
    assert tidy(tidy(text)) == tidy(text)
    assert stated(stated(text)) == stated(text)
    assert clean_name(clean_name(text)) == clean_name(text)
    assert normalize_name(normalize_name(text)) == normalize_name(text)
    assert name_key(clean_name(text)) == normalize_name(text)
    scope = clean_scope(text)[0]
    assert clean_scope(scope)[0] == scope


@settings(max_examples=50)
@given(st.text(alphabet="甲乙丙ABC广州公司", min_size=1, max_size=12))
def test_writing_does_not_matter_for_the_key(name):
    wide = "".join(chr(ord(c) + 0xFEE0) if c.isascii() else c for c in name)
    assert normalize_name(f" {wide}\u3000。") == normalize_name(name) == normalize_name(name.lower())


def test_a_scope_is_cut_only_without_its_end_mark():
    assert clean_scope("服装批发;服装零售〓") == ("服装批发;服装零售", False)
    assert clean_scope("服装批发;〓〓 ") == ("服装批发;", False)
    assert clean_scope("甲" * 1024) == ("甲" * 1024, True)
    assert clean_scope("甲" * 1023) == ("甲" * 1023, False)
    assert clean_scope("甲" * 1024 + "〓") == ("甲" * 1024, False)
    assert clean_scope("〓") == (None, False)


def test_lost_characters_are_seen():
    assert unreadable("何\ue7d9经济")
    assert unreadable("甲\ufffd乙")
    assert not unreadable("何氏经济")
    assert not unreadable(None)


PLAIN_TEXT = (
    st.text(alphabet="一广州甲公司AZaz019（）()N/A龿无空Ａﬁŉİ \u9fff\ua000\u3400", max_size=12)
    | UNTIDY_TEXT
    | ANY_TEXT
    | st.sampled_from(["（NULL）", "（NULL）公司"])
)


@settings(max_examples=1000, deadline=None)
@given(PLAIN_TEXT)
def test_what_is_short_for_plain_names_changes_no_name(text):
    name = stated(text)
    if name is not None:
        assert clean_name(text) == _careful_name(name)
        assert name_key(name) == _careful_key(name)
    if is_plain(text):
        assert tidy(text) == text
