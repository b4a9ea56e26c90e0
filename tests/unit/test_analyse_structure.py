"""Industrial structure against published tables and worked examples, printed digits as printed."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from spark_jobs.analyse import structure

# G. Krumme, University of Washington: a region's four industries in 1985 and 1995, the nation's shares and growth.
BEFORE, AFTER = [500, 100, 200, 200], [1000, 100, 250, 280]
NATION_BEFORE, NATION_AFTER = [10, 20, 40, 30], [11, 24, 52, 42]


def test_krumme_s_table():
    quotients = [
        structure.location_quotient(b, sum(BEFORE), n * 100, sum(NATION_BEFORE) * 100).value for b, n in zip(BEFORE, NATION_BEFORE, strict=True)
    ]
    assert quotients == pytest.approx([5, 0.5, 0.5, 0.667], abs=5e-4)
    parts = structure.shift_share(BEFORE, AFTER, NATION_BEFORE, NATION_AFTER)
    assert np.round(parts.national).tolist() == [145, 29, 58, 58]
    assert np.round(parts.mix).tolist() == [-95, -9, 2, 22]
    assert np.round(parts.competitive).tolist() == [450, -20, -10, 0]
    assert (parts.national + parts.mix + parts.competitive).sum() == pytest.approx(630)


def test_parts_of_a_change_sum_to_it():
    draw = np.random.default_rng(random.SystemRandom().randrange(10**9))
    before, after = draw.integers(0, 500, 20), draw.integers(0, 500, 20)
    all_before, all_after = before + draw.integers(1, 5000, 20), after + draw.integers(1, 5000, 20)
    parts = structure.shift_share(before, after, all_before, all_after)
    assert parts.national + parts.mix + parts.competitive == pytest.approx((after - before).astype(float))
    # Over all regions together nothing is left for the regions' own part.
    rest = structure.shift_share(all_before - before, all_after - after, all_before, all_after)
    assert parts.competitive + rest.competitive == pytest.approx(np.zeros(20), abs=1e-9)


def test_an_industry_without_a_beginning_has_no_growth():
    with pytest.raises(ValueError, match="no growth"):
        structure.shift_share([0, 1], [1, 1], [0, 10], [5, 10])


def test_concentration():
    assert structure.herfindahl([30, 30, 20, 20]) == pytest.approx(2600)  # Horizontal Merger Guidelines
    assert structure.normalised_herfindahl([30, 30, 20, 20]) == pytest.approx(0.013333, abs=5e-7)
    assert structure.concentration_ratio([1, 2, 3, 4, 90]) == pytest.approx(0.99)
    assert structure.normalised_herfindahl([5]) == 1


def test_similarity_and_turn():
    one, other = (0.20, 0.50, 0.30), (0.10, 0.45, 0.45)
    assert structure.similarity(one, other) == pytest.approx(0.956903, abs=5e-7)
    assert structure.moore_angle(one, other) == pytest.approx(16.8824, abs=5e-5)
    assert math.radians(structure.moore_angle(one, other)) == pytest.approx(0.294654, abs=5e-7)
    assert structure.structural_change(one, other) == pytest.approx(0.15)
    assert structure.moore_angle(one, one) == pytest.approx(0)


@pytest.mark.parametrize(
    ("three", "index"),
    [((0.2, 0.5, 0.3), 6.033158), ((0.1, 0.45, 0.45), 6.637150), ((240.04, 5925.87, 13445.03), 7.390262)],
)
def test_upgrading(three, index):
    """The last: Guangzhou 2016, 亿元, first publication."""
    assert structure.upgrading(three) == pytest.approx(index, abs=5e-7)


def test_guangzhou_2016_in_shares():
    assert (100 * structure.shares([240.04, 5925.87, 13445.03])).tolist() == pytest.approx([1.2240, 30.2172, 68.5588], abs=5e-5)


def test_what_serves_agriculture_mining_and_metalworking_is_tertiary():
    assert [structure.sector("A", "05"), structure.sector("B", "11"), structure.sector("C", "43")] == [3, 3, 3]
    assert [structure.sector("A", "01"), structure.sector("C", "35"), structure.sector("E"), structure.sector("F")] == [1, 2, 2, 3]
    assert structure.three_sectors({"A": 1, "C": 2, "D": 3, "G": 4, "T": 5}) == (1, 5, 9)
    with pytest.raises(ValueError, match="no section"):
        structure.sector("U")


def test_of_too_few_nothing_is_said():
    assert structure.location_quotient(3, 100, 20, 1000, least=5) == structure.Quotient(None, None, None)  # 2 are expected
    assert structure.location_quotient(3, 100, 60, 1000, least=5).value == pytest.approx(0.5)
    with pytest.raises(ValueError, match="within each other"):
        structure.location_quotient(5, 4, 10, 100)


def test_the_interval_of_a_quotient_holds_what_chance_gives():
    """Subjects settle by chance: about 19 of 20 intervals hold the quotient that they were drawn with."""
    draw = np.random.default_rng(random.SystemRandom().randrange(10**9))
    held, asked = 0, 2000
    industry, region, both = 0.1, 0.09, 0.018  # a quotient of 2
    for cells in draw.multinomial(5000, [both, region - both, industry - both, 1 - region - industry + both], asked):
        cell = structure.location_quotient(cells[0], cells[0] + cells[1], cells[0] + cells[2], cells.sum(), least=5)
        held += cell.low <= 2 <= cell.high
    assert 0.93 <= held / asked <= 0.985
