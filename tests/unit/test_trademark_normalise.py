"""Names of marks: one text for the ways to write one, and what is left without generic words."""

import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_jobs.trademark.normalise import cores, generic_words, mixed, normalise


def texts(*names: str | None) -> list[str]:
    found = normalise(names)
    return [found.text(n) for n in range(len(found))]


def core(name: str) -> str:
    found = normalise([name])
    return found.take(np.array([0]), *cores(found)).text(0)


@pytest.mark.parametrize(
    ("written", "compared"),
    [
        ("莲香樓", "莲香楼"),
        ("陳李濟", "陈李济"),
        (" LI-BAI® ", "libai"),
        ("Ｌｉｂｙ", "liby"),
        ("Café", "cafe"),
        ("ﬁne㈱", "fine株"),
        ("ЅОNY", "sony"),  # the first two letters are Cyrillic
        ("浪·奇", "浪奇"),
        ("〇一", "零一"),
        ("𠮷野家", "𠮷野家"),
        ("‱", ""),
        ("정관장", "정관장"),
        (unicodedata.normalize("NFD", "정관장"), "정관장"),  # as parts of syllables
        ("⽴⽩", "立白"),  # radicals, as PDF files have them
        ("⻓隆", "长隆"),
        ("⺩老吉", "王老吉"),
        ("ⓁⒾⒷⓎ", "liby"),
        ("🄻🄸🄱🄨", "liby"),
        ("⑦天", "7天"),
        ("ŁØDŹ", "lodz"),
        ("Cœur Straße", "coeurstrasse"),
        ("ıstanbul İSTANBUL", "istanbulistanbul"),
        ("LIBY™", "liby"),
        ("ไทย", "ไทย"),
    ],
)
def test_one_text_for_the_ways_to_write_a_mark(written, compared):
    assert texts(written) == [compared]


def test_nothing_is_nothing_and_moves_no_neighbour():
    assert texts("浪奇", None, "", "®", "立白") == ["浪奇", "", "", "", "立白"]
    assert len(normalise([])) == 0


@settings(deadline=None)  # the first one reads the tables
@given(st.lists(st.one_of(st.none(), st.text(max_size=8)), max_size=12))
def test_any_text_is_taken_and_changes_no_more(names):
    once = texts(*names)
    assert len(once) == len(names)
    assert texts(*once) == once


ANY = st.one_of(st.text(max_size=8), st.text(st.sampled_from("각ㄱㅏ정ﬁŁœⓁ⽴⻓™-"), max_size=6), st.characters(codec="utf-8"))


@settings(max_examples=1_000, deadline=None)
@given(ANY)
def test_no_letter_and_no_digit_vanishes(name):
    there = unicodedata.normalize("NFKC", name.translate(dict.fromkeys(map(ord, "™℠"))))
    assert any(c.isalnum() for c in there) <= bool(texts(name)[0])
    assert texts(texts(name)[0]) == texts(name)


def test_no_letter_of_any_alphabet_vanishes():
    every = [chr(c) for c in range(0x110000) if any(x.isalnum() for x in unicodedata.normalize("NFKC", chr(c))) and chr(c) not in "™℠"]
    once = texts(*every)
    assert [c for c, text in zip(every, once, strict=True) if not text] == []
    # A simple character may be the full form of another one: 薴 → 苧 → 苎.
    assert len([text for text, again in zip(once, texts(*once), strict=True) if text != again]) < 20


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("浪奇洗衣", "浪奇"),
        ("浪奇", "浪奇"),
        ("广州虎头牌电池", "虎头"),
        ("王老吉凉茶", "王老吉"),
        ("正宗王老吉牌凉茶旗舰店", "王老吉"),
        ("广州酒家", "广州酒家"),  # of nothing but generic words nothing is left
        ("中国贸易", "中国贸易"),
        ("新华", "新华"),
        ("libai", "libai"),
    ],
)
def test_generic_words_are_cut_but_never_the_whole(name, left):
    assert core(name) == left


@settings(deadline=None)
@given(st.text(alphabet="浪奇立白广州老新洗衣店牌公司王吉", max_size=10))
def test_what_is_left_stands_in_the_name(name):
    left = core(name)
    assert left in name
    assert len(left) >= min(2, len(name))


def test_brands_are_no_generic_words():
    before, behind = generic_words()
    assert not {"浪奇", "立白", "王老吉", "长隆", "珠江", "五羊", "虎头"} & (before | behind)
    assert {"广州", "广东", "老"} <= before
    assert {"洗衣", "有限公司", "牌"} <= behind


def test_keys_of_different_rows_differ():
    draw = np.random.default_rng(3)
    rows = np.unique(draw.integers(0x4E00, 0x9FFF, (20_000, 3)).astype(np.uint32), axis=0)
    assert len(np.unique(mixed(rows))) == len(rows)
    assert not np.isin(mixed(rows, seed=1), mixed(rows)).any()
