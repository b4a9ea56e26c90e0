"""Regional inequality and pattern against published and worked examples, printed digits as printed."""

from __future__ import annotations

import random

import numpy as np
import pytest

from spark_jobs.analyse import regions

Y, P, GROUPS = [100, 120, 80, 50, 40, 60, 30], [10, 12, 8, 10, 8, 12, 10], [1, 1, 1, 2, 2, 2, 2]


def test_two_groups_of_regions():
    found = regions.theil(Y, P, GROUPS)
    assert (found.total, found.between, found.within) == pytest.approx((0.085437, 0.077854, 0.007584), abs=6e-7)
    assert found.groups == pytest.approx({1: 0, 2: 0.020223}, abs=5e-7)
    assert regions.mean_log_deviation(Y, P) == pytest.approx(0.091765, abs=5e-7)
    assert regions.williamson(Y, P) == pytest.approx(0.408248, abs=5e-7)
    assert regions.gini(Y, P) == pytest.approx(0.214286, abs=5e-7)


def test_one_to_five():
    assert regions.theil([1, 2, 3, 4, 5]).total == pytest.approx(0.119688, abs=5e-7)
    assert regions.gini([1, 2, 3, 4, 5]) == pytest.approx(0.266667, abs=5e-7)


def test_all_alike_is_nothing():
    assert regions.theil([2, 4], [1, 2]).total == pytest.approx(0)
    assert regions.gini([2, 4], [1, 2]) == pytest.approx(0)
    assert regions.williamson([2, 4], [1, 2]) == pytest.approx(0)
    assert regions.theil([3, 0]).total == pytest.approx(np.log(2))


def test_parts_sum_to_the_whole_whatever_the_groups():
    draw = np.random.default_rng(random.SystemRandom().randrange(10**9))
    amounts, weights = draw.integers(0, 100, 11) + (np.arange(11) == 0), draw.integers(1, 50, 11)
    found = regions.theil(amounts, weights, [str(n) for n in draw.integers(0, 4, 11)])
    assert found.between + found.within == pytest.approx(found.total)
    assert found.between >= -1e-12


@pytest.mark.parametrize(("amounts", "weights"), [([1, -1], None), ([0, 0], None), ([1, 1], [1, 0]), ([1, 1], [1]), ([], None)])
def test_what_makes_no_sense_is_refused(amounts, weights):
    with pytest.raises(ValueError, match=r"weights|one number"):
        regions.theil(amounts, weights)


SQUARE = {"a": ["b", "c"], "b": ["a", "d"], "c": ["a", "d"], "d": ["b", "c"]}
CHAIN = {str(n): [str(m) for m in (n - 1, n + 1) if 1 <= m <= 5] for n in range(1, 6)}


def test_checkerboard_halves_and_chain():
    board = regions.moran({"a": 1, "b": 0, "c": 0, "d": 1}, SQUARE)
    assert (board.value, board.expected) == pytest.approx((-1, -1 / 3))
    assert regions.moran({"a": 1, "b": 1, "c": 0, "d": 0}, SQUARE).value == pytest.approx(0)
    chain = regions.moran({str(n): n for n in range(1, 6)}, CHAIN)
    assert (chain.value, chain.expected) == pytest.approx((0.5, -0.25))


def test_the_same_figures_give_the_same_chance():
    first = regions.moran({str(n): n for n in range(1, 6)}, CHAIN)
    assert first == regions.moran({str(n): n for n in range(1, 6)}, CHAIN)
    # Of the 120 orders of 1..5 along the chain: how many lie as far from the expected as the sorted one.
    assert 0.02 < first.p_value < 0.2


def test_neighbours_are_mutual_and_there_is_something_to_see():
    with pytest.raises(ValueError, match="not the other way round"):
        regions.moran({"a": 1, "b": 2}, {"a": ["b"], "b": []})
    with pytest.raises(ValueError, match="other regions"):
        regions.moran({"a": 1, "b": 2}, {"a": []})
    with pytest.raises(ValueError, match="no pattern"):
        regions.moran({"a": 1, "b": 1}, {"a": ["b"], "b": ["a"]})
