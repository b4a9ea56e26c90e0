"""How marks are read: all readings, what the region confuses, pinyin in letters."""

import numpy as np
import pytest

from spark_jobs.trademark.normalise import normalise
from spark_jobs.trademark.readings import SPELLED, WAYS, fold, readings, repeated, spelled, spelled_starts, syllables, table, ways


def ways_of(name: str) -> list[str]:
    names = normalise([name])
    _, found = ways(names.matrix(np.array([0]), len(name)))
    return [" ".join(syllables()[n - 1] for n in way) for way in found.tolist()]


def in_words(letters: str) -> list[str]:
    return [" ".join(syllables()[point - SPELLED - 1] for point in way) for way in spelled(letters)]


@pytest.mark.parametrize(
    ("syllable", "stands_for"),
    [
        ("zhang", "zang"),
        ("chi", "ci"),
        ("shui", "sui"),
        ("niang", "liang"),
        ("nv", "lv"),
        ("zheng", "zen"),
        ("jing", "jin"),
        ("weng", "wen"),
        ("n", "n"),
    ],
)
def test_confused_syllables_have_one_that_stands_for_them(syllable, stands_for):
    assert fold(syllable) == stands_for
    assert fold(stands_for) == stands_for


def test_what_is_not_confused_stays_apart():
    assert len({fold(s) for s in ("fu", "hu", "hua", "fa", "ding", "deng", "dong", "lang", "liang")}) == 9


def test_a_character_of_several_readings_has_all_of_them():
    assert set(readings("长")) == {"zhang", "chang"}
    assert "qian" in readings("干")  # 乾 is written so
    assert readings("吕") == ("lv",)
    assert readings("☂") == ()


def test_chang_long_is_heard_both_ways():
    assert ways_of("长隆") == ["zang long", "cang long"]
    assert "cang long" in ways_of("常隆")


def test_ways_are_limited_and_the_usual_one_comes_first():
    found = ways_of("长乐行重长乐行重")
    assert len(found) == WAYS == len(set(found))
    assert found[0].startswith("zang le")


def test_readings_that_no_word_has_are_not_alive():
    number = {s: n for n, s in enumerate(syllables(), start=1)}
    assert number["wang"] in table().exact[ord("方")]
    assert number["wang"] not in table().alive[ord("方")]
    assert {number["zhang"], number["chang"]} <= set(table().alive[ord("长")].tolist())


@pytest.mark.parametrize(
    ("letters", "read"),
    [
        ("libai", ["li bai"]),
        ("wanglaoji", ["wang lao ji", "wang la o ji"]),
        ("xian", ["xi an"]),  # one syllable is no mark in pinyin
        ("lvcheng", ["lv cheng"]),
        ("fangan", ["fang an", "fan gan"]),
        ("google", []),
        ("li", []),
        ("", []),
    ],
)
def test_letters_are_read_as_pinyin(letters, read):
    assert in_words(letters) == read


def test_lu_is_also_written_for_lv():
    assert set(in_words("lucheng")) == {"lu cheng", "lv cheng"}


def test_pinyin_that_a_word_begins_with_is_read():
    starts = [" ".join(syllables()[point - SPELLED - 1] for point in way) for way in spelled_starts("changlongpark")]
    assert "chang long" in starts
    assert "chang" not in starts
    assert spelled_starts("liby") == spelled_starts("lake") == []


def test_digits_are_read_as_numerals_and_as_how_often_they_are_there():
    assert ways_of("7天") == ways_of("七天")
    assert [syllables()[point - SPELLED - 1] for point in repeated("999")] == ["san", "jiu"]
    assert repeated("99") == repeated("998") == repeated("9" * 10) == repeated("aaa") == repeated("") == ()
