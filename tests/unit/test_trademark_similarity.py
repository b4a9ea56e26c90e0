"""How similar two marks are: the examiner's rules on known cases, and what holds for all pairs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_jobs.trademark import similarity
from spark_jobs.trademark.goods import Relation
from spark_jobs.trademark.normalise import LONGEST, normalise
from spark_jobs.trademark.similarity import Verdict, explain, score


@pytest.mark.parametrize(
    ("new", "prior"),
    [
        # shape
        ("王老古", "王老吉"),
        ("康帅傅", "康师傅"),
        ("末来", "未来"),
        ("芧台", "茅台"),
        # sound
        ("常隆", "长隆"),
        ("丽白", "立白"),
        ("朱江", "珠江"),
        ("朗奇", "浪奇"),
        ("维品汇", "唯品会"),
        ("淘淘居", "陶陶居"),
        ("至美斋", "致美斋"),  # the first character differs, but not in sound
        # order, generic words, letters, single characters
        ("老王吉", "王老吉"),
        ("浪奇洗衣", "浪奇"),
        ("浪奇研学", "浪奇"),  # in none of our lists
        ("正宗立白", "立白"),
        ("LIBAI", "立白"),
        ("360", "三六〇"),
        ("LIBAI立白", "立白"),
        ("浪奇洗衣", "广州浪奇"),
        ("浪奇研学", "广州浪奇"),
        ("广州浪奇", "正宗浪奇"),  # both begin with what nobody looks at
        ("帅", "师"),
        ("王老虎", "王老吉"),
        ("陈李记济", "陈李济"),
        ("NIKF", "NIKE"),
        ("BALANCENEW", "NEWBALANCE"),
    ],
)
def test_similar_marks_alarm_whichever_is_new(new, prior):
    assert explain(new, prior).alarms
    assert explain(prior, new).alarms


@pytest.mark.parametrize(
    ("new", "prior"),
    [
        ("张老吉", "王老吉"),  # three characters, the first one differs clearly in sound and shape
        ("孔大傅", "康师傅"),
        ("旺落易", "王老古"),  # two read alike, no character the same
        ("六羊", "五羊"),
        ("大海", "浪奇"),
        ("ABC", "ABD"),  # three letters
        ("方盛家", "王老古"),  # alike only in readings that nobody uses
        ("", "王老吉"),
        # a first character that differs clearly, and is a word that others strip, or a letter
        *((first + "师傅", "康师傅") for first in "大小老新A"),
        *((first + "老吉", "王老吉") for first in "新大A"),
        *((first + "美斋", "致美斋") for first in "大真"),
        ("小月亮", "蓝月亮"),
        ("老李济", "陈李济"),
        ("新香楼", "莲香楼"),
        ("3号店", "一号店"),
        ("大师傅饼家", "康师傅饼家"),
        ("大师傅饼家", "康师傅"),
        ("大方科苑店", "东方科苑"),
        ("A师傅店", "康师傅"),
        ("张老吉甲乙丙丁戊", "王老吉甲乙丙丁戊"),  # in no other order
    ],
)
def test_other_marks_do_not(new, prior):
    assert not explain(new, prior).alarms
    assert not explain(prior, new).alarms


def test_the_same_mark_in_other_writing_is_the_same():
    assert explain("莲香樓", "莲香楼").verdict is Verdict.SAME
    assert explain("ＬＩＢＹ", "liby").verdict is Verdict.SAME
    assert explain("老王吉", "王老吉").verdict is Verdict.SIMILAR


def test_only_whole_names_that_are_equal_are_the_same():
    long = "甲乙丙丁戊己庚辛壬癸子丑寅卯辰巳"
    assert len(long) == LONGEST
    assert explain(long + "午", long + "午").verdict is Verdict.SAME
    for new, prior in ((long + "午", long + "未"), (long + "午", long)):
        assert explain(new, prior).verdict is explain(prior, new).verdict is Verdict.SIMILAR


@pytest.mark.parametrize(
    ("new", "prior"), [("丽白", "立白"), ("朱江", "珠江"), ("朗奇", "浪奇"), ("维品汇", "唯品会"), ("淘淘居", "陶陶居"), ("常隆", "长隆")]
)
def test_equal_in_sound(new, prior):
    assert explain(new, prior).sound == pytest.approx(1)


def test_confused_sounds_count_a_little_less():
    assert 0.9 < explain("南波湾", "蓝波湾").sound < 1


def test_a_mark_read_alike_before_other_words_is_left_to_a_reader():
    found = explain("朗奇研学", "浪奇")
    assert found.verdict is Verdict.DOUBTFUL
    assert "“朗奇研学”的开头与“浪奇”读音相同或者相近" in found.sentence


def test_goods_lower_the_total_and_not_the_mark():
    found = [explain("丽白", "立白", goods) for goods in sorted(Relation, reverse=True)]
    assert [e.mark for e in found] == [found[0].mark] * len(Relation)
    assert [e.total for e in found] == sorted((e.total for e in found), reverse=True)
    assert len({e.total for e in found}) == len({e.sentence for e in found}) == len(Relation)
    assert found[0].alarms
    assert not found[-1].alarms


@pytest.mark.parametrize(
    ("new", "prior", "sentence"),
    [
        ("王老古", "王老吉", "“王老古”与“王老吉”：三字中二字相同；“古”与“吉”字形近似（1.00）；商品属同一类似群。判断：近似（0.98）。"),
        ("至美斋", "致美斋", "“至美斋”与“致美斋”：三字中二字相同；首字“至”与“致”读音相同；商品属同一类似群。判断：近似（0.92）。"),
        ("张老吉", "王老吉", "“张老吉”与“王老吉”：三字中二字相同；首字“张”与“王”读音、字形均有明显差异；商品属同一类似群。判断：不近似（0.50）。"),
        ("老王吉", "王老吉", "“老王吉”与“王老吉”：文字相同，仅排列顺序不同；商品属同一类似群。判断：近似（0.90）。"),
        (
            "浪奇洗衣",
            "浪奇",
            "“浪奇洗衣”与“浪奇”：均以“浪奇”为显著部分，其余为通用名称、地名或表示质量的词；商品属同一类似群。判断：近似（0.95）。",
        ),
        ("浪奇研学", "浪奇", "“浪奇研学”与“浪奇”：“浪奇研学”完整包含“浪奇”；商品属同一类似群。判断：近似（0.78）。"),
        ("莲香樓", "莲香楼", "“莲香樓”与“莲香楼”：文字相同（不计字体、繁简、大小写和标点）；商品属同一类似群。判断：相同（1.00）。"),
        ("LIBAI", "立白", "“LIBAI”与“立白”：“libai”可按拼音读作“立白”；商品属同一类似群。判断：近似（0.90）。"),
        ("LIBAI立白", "立白", "“LIBAI立白”与“立白”：汉字部分“立白”相同；商品属同一类似群。判断：近似（0.95）。"),
        ("zhanglong", "长隆", "“zhanglong”与“长隆”：“zhanglong”可按拼音读作“长隆”；商品属同一类似群。判断：近似（0.90）。"),
        ("libai168", "立白", "“libai168”与“立白”：“libai168”中的字母可按拼音读作“立白”；商品属同一类似群。判断：近似（0.90）。"),
        (
            "CHANGLONG PARK",
            "长隆",
            "“CHANGLONG PARK”与“长隆”：“changlongpark”的开头可按拼音读作“长隆”；商品属同一类似群。判断：有待人工判断（0.70）。",
        ),
        ("999", "三九", "“999”与“三九”：“999”可读作“三九”；商品属同一类似群。判断：近似（0.90）。"),
        ("7天", "七天", "“7天”与“七天”：两个字符中一个字符相同；首字符“7”与“七”读音相同；商品属同一类似群。判断：近似（0.90）。"),
        ("A师傅", "康师傅", "“A师傅”与“康师傅”：三个字符中两个字符相同；首字符“a”与“康”不同；商品属同一类似群。判断：不近似（0.50）。"),
        ("1688", "1689", "“1688”与“1689”：四个数字中三个数字相同；“8”与“9”不同；商品属同一类似群。判断：近似（0.82）。"),
        ("NIKF", "NIKE", "“NIKF”与“NIKE”：四个字母中三个字母相同；“f”与“e”不同；商品属同一类似群。判断：近似（0.82）。"),
        ("帅", "师", "“帅”与“师”：“帅”与“师”字形近似（0.84）；商品属同一类似群。判断：近似（0.82）。"),
        (
            "LIBY",
            "立白",
            "“LIBY”与“立白”：“liby”为字母，“立白”为汉字，读音相似度0.00，字形相似度0.00；商品属同一类似群。判断：不近似（0.00）。",
        ),
        ("®", "立白", "“®”与“立白”：没有可以比较的文字；商品属同一类似群。判断：不近似（0.00）。"),
    ],
)
def test_the_sentence_says_why(new, prior, sentence):
    assert explain(new, prior).sentence == sentence


MARK = st.one_of(
    st.text(alphabet="王老吉古浪奇立丽白长常隆广州酒家洗衣店牌康师帅傅", max_size=6), st.text(alphabet="LIBAYwangji", max_size=7), st.text(max_size=5)
)


@settings(max_examples=150, deadline=None)
@given(MARK, MARK)
def test_scores_are_mutual_and_from_0_to_1(new, prior):
    one, other = explain(new, prior), explain(prior, new)
    for name in ("sound", "shape", "order", "containment", "first", "mark", "total"):
        assert 0 <= getattr(one, name) <= 1, name
        assert getattr(one, name) == pytest.approx(getattr(other, name), abs=1e-5), name
    assert one.verdict == other.verdict


@settings(max_examples=50, deadline=None)
@given(MARK)
def test_a_mark_is_the_same_as_itself(mark):
    assert explain(mark, mark).verdict is (Verdict.SAME if len(normalise([mark]).codes) else Verdict.DIFFERENT)


def test_many_pairs_are_scored_as_one_by_one(monkeypatch):
    marks = ["王老古", "常隆", "LIBAI", "浪奇洗衣", "张老吉", "®", "广州酒家甲乙丙丁戊己庚辛壬癸"]
    priors = ["王老吉", "长隆", "立白", "浪奇", "广州酒家"]
    rows, places = (m.ravel() for m in np.meshgrid(np.arange(len(marks)), np.arange(len(priors)), indexing="ij"))
    whole = score(normalise(marks), normalise(priors), rows, places)
    assert whole.total.tolist() == pytest.approx([explain(marks[r], priors[p]).total for r, p in zip(rows, places, strict=True)])
    monkeypatch.setattr(similarity, "_AT_ONCE", 4)
    monkeypatch.setattr(similarity, "_CELLS", 10)
    again = score(normalise(marks), normalise(priors), rows, places)
    assert all(np.allclose(a, b) for a, b in zip(vars(whole).values(), vars(again).values(), strict=True))


def test_no_pairs_have_no_scores():
    assert len(score(normalise(["甲"]), normalise(["乙"]), np.zeros(0, int), np.zeros(0, int)).total) == 0
