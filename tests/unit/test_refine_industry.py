"""Industry: stated codes in the edition of their day, trade words before the legal form, silence where in doubt."""

import datetime as dt

import pytest

from spark_jobs.refine import codes
from spark_jobs.refine.industry import _last_word, industry_section, section_of_name

BEFORE, AFTER = dt.date(2017, 9, 30), dt.date(2017, 10, 1)


@pytest.mark.parametrize(
    ("text", "date", "section"),
    [
        ("F", AFTER, "F"),
        ("5111", AFTER, "F"),
        ("F51", AFTER, "F"),
        ("F5111", AFTER, "F"),
        ("G5111", AFTER, None),  # letter and digits contradict each other
        ("批发和零售业", AFTER, "F"),
        ("房地产业", AFTER, "K"),
        ("房地产业", BEFORE, "K"),
        ("土地管理业", AFTER, "N"),  # a division of 2017 only
        ("土地管理业", BEFORE, None),
        ("79", AFTER, "N"),
        ("79", BEFORE, "O"),  # 居民服务业 in 2011
        ("79", None, "O"),
        ("餐饮", AFTER, None),
        ("9999", AFTER, None),
        ("Z", AFTER, None),
    ],
)
def test_stated(text, date, section):
    assert industry_section(text, None, date) == ((section, "stated") if section else (None, "unassigned"))


@pytest.mark.parametrize(
    ("name", "section"),
    [
        ("广州甲乙贸易有限公司", "F"),
        ("广州甲乙餐饮有限公司", "H"),
        ("甲乙（广州）物流有限责任公司", "G"),
        ("广州甲乙装饰工程有限公司", "E"),
        ("广州甲乙装饰材料有限公司", None),
        ("广州甲乙房地产开发集团有限公司", "K"),
        ("广州甲乙塑料厂", "C"),
        ("广州甲乙汽车修理厂", "O"),
        ("广州甲乙自来水厂", "D"),
        ("广州甲乙水厂", None),
        ("广州甲乙洗水厂", "C"),
        ("甲乙石油有限公司广州第一加油站", "F"),
        ("甲乙银行股份有限公司广州丙丁支行", "J"),
        ("甲乙广告有限公司广州分公司", "L"),
        ("甲乙广告有限公司广州办事处", None),  # a liaison office trades in nothing
        ("甲乙酒店有限公司停车场", None),  # a trade of its own
        ("广州甲乙酒店管理有限公司", None),
        ("广州甲乙科技有限公司", None),
        ("广州甲乙投资有限公司", None),
        ("广州甲乙咨询有限公司", None),
        ("广州甲乙实业发展公司", None),
        ("甲乙总公司丙丁建筑工程公司", "E"),
        ("甲乙", None),
        ("", None),
    ],
)
def test_by_name(name, section):
    assert section_of_name(name) == section
    assert industry_section(None, name, None) == ((section, "name") if section else (None, "unassigned"))


def test_what_is_stated_comes_before_the_name_and_what_is_unreadable_does_not():
    assert industry_section("K", "广州甲乙贸易有限公司", AFTER) == ("K", "stated")
    assert industry_section("某业", "广州甲乙贸易有限公司", AFTER) == ("F", "name")


def test_the_table_of_words_is_sound():
    rows = codes.rows("industry_words")
    words = [r["word"] for r in rows]
    assert len(words) == len(set(words))
    assert {r["section"] for r in rows} <= set("ABCDEFGHIJKLMNOPQRST") | {""}
    assert not {"科技", "实业", "发展", "投资", "咨询", "服务", "食品", "电子"} & set(words)
    # A word that takes a meaning away must end in one that has it, else it does nothing.
    for row in rows:
        if not row["section"]:
            assert row["note"], row["word"]


def test_the_longest_word_at_the_end_decides():
    words = {row["word"]: row["section"] for row in codes.rows("industry_words")}
    for text in [*words, *(f"甲{word}" for word in words), *(word[1:] for word in words), *(f"{a}{b}" for a in list(words)[:40] for b in words)]:
        longest = max((word for word in words if text.endswith(word)), key=len, default="")
        assert _last_word(text) == (words.get(longest) or None), text
