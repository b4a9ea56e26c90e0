"""Which characters look alike, against pairs that were judged by reading."""

import numpy as np
import pytest

from spark_jobs.trademark.glyphs import ALIKE, WIDE, likeness, neighbours, printed, rows


@pytest.mark.parametrize("pair", ["未末", "吉古", "帅师", "王玉", "茅芧", "白自", "己已", "土士", "日曰", "人入", "大太"])
def test_pairs_that_are_taken_for_each_other(pair):
    assert likeness(*pair) >= ALIKE


@pytest.mark.parametrize("pair", ["我他", "汽机", "康糠", "清情", "五六", "张王", "虎吉", "珠朱", "立丽", "广新"])
def test_pairs_that_are_not(pair):
    assert likeness(*pair) < ALIKE


def test_a_character_is_itself_even_where_nothing_is_known_of_it():
    assert likeness("𠮷", "𠮷") == likeness("A", "A") == 1
    assert likeness("𠮷", "吉") == 0


def test_what_is_near_in_print_is_looked_at_and_no_more():
    alike, near = printed()
    assert "太" in alike["大"]
    assert "来" in near["米"]
    assert WIDE <= likeness("米", "来") < ALIKE


def test_likeness_is_mutual_and_between_wide_and_one():
    matrix = neighbours()
    assert abs(matrix - matrix.T).max() == 0
    assert matrix.data.min() >= WIDE
    assert matrix.data.max() <= 1
    assert not matrix.diagonal().any()


def test_what_is_alike_stays_a_small_part():
    usual = [ord(c) for c in rows("lookalike")]
    alike = (neighbours()[usual, :][:, usual].toarray() >= ALIKE).sum(axis=1)
    assert np.median(alike) < 40  # of 6,763


def test_tables_name_what_they_are_asked_for():
    assert rows("four_corner")["帅"] == "24027"
    assert rows("lookalike")["吉"] == "旮古杏右"
    assert rows("lookalike")["师"] == ""
    assert not [c for c in rows("four_corner") if 0xE000 <= ord(c) <= 0xF8FF]
