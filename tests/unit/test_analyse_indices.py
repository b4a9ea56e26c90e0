"""Activity and development index against worked examples."""

from __future__ import annotations

import random

import numpy as np
import pytest
from statsmodels.datasets import macrodata

from spark_jobs.analyse import activity, development

X = [[3, 10, 5], [5, 8, 5], [4, 9, 5], [8, 2, 5]]


def test_entropy_and_its_weights():
    assert activity.entropy(X) == pytest.approx([0.951851, 0.916083, 1], abs=5e-7)
    assert activity.entropy_weights(X) == pytest.approx([0.364585, 0.635415, 0], abs=5e-7)


def test_what_tells_nobody_apart_weighs_alike():
    assert activity.entropy_weights([[1, 2], [1, 2]]).tolist() == [0.5, 0.5]
    assert activity.entropy_weights([[0, 0], [0, 0]]).tolist() == [0.5, 0.5]
    assert activity.entropy([[0.0], [7.0]]).tolist() == [0], "nothing is said of nothing"


def test_outliers_are_cut_and_groups_made_comparable():
    x = np.array([[1.0], [1], [1], [1], [100]])
    assert activity.clip_bounds(x)[1] == pytest.approx(x.mean() + 1.5 * x.std())
    groups = np.array(["a", "a", "b", "b"])
    of_two = np.array([[1.0], [3], [10], [30]])
    adjusted = activity.group_factors(of_two, groups) * of_two
    assert adjusted[:2].mean() == adjusted[2:].mean() == of_two.mean()
    assert activity.group_factors([[0.0], [0], [1], [1]], groups)[:2].tolist() == [[1], [1]], "of a group without any there is no factor"


def test_the_index_is_between_0_and_100():
    draw = np.random.default_rng(random.SystemRandom().randrange(10**9))
    x = activity.normalise(np.clip(y := draw.pareto(1.5, (200, 4)), *activity.clip_bounds(y)))
    told = activity.index(x, activity.entropy_weights(x))
    assert 0 <= told.min() < told.max() <= 100 + 1e-9
    assert activity.normalise([[2.0], [2.0]]).tolist() == [[0], [0]]


T = np.arange(40)
LEADING, REFERENCE = 50 + 5 * np.sin(2 * np.pi * (T + 2) / 12), 100 + 10 * np.sin(2 * np.pi * T / 12)


def test_a_series_that_leads_by_two():
    r = development.lead_correlations(LEADING, REFERENCE, 6)
    assert max(r, key=r.get) == 2
    assert [r[n] for n in (0, 1, 2, 3)] == pytest.approx([0.5234, 0.8758, 1.0, 0.8716], abs=5e-5)
    k = development.lead_information(LEADING, REFERENCE, 6)
    assert min(k, key=k.get) == 2
    assert [k[n] for n in (0, 1, 2, 3)] == pytest.approx([23.8603, 6.358, 0.0, 6.538], abs=5e-4)
    with pytest.raises(ValueError, match="above 0"):
        development.lead_information(LEADING - 50, REFERENCE, 6)


def test_one_series_reproduces_itself():
    series = [100, 110, 121, 108.9, 119.79]
    assert development.symmetric_changes(series) == pytest.approx([9.52381, 9.52381, -10.526316, 9.52381], abs=5e-6)
    assert development.composite([series], standardised=False) == pytest.approx(series)


def test_a_composite_is_as_restless_as_its_calm_series():
    calm, wild = 100 * np.cumprod(1 + 0.001 * (-1.0) ** T), 100 * np.cumprod(1 + 0.1 * (-1.0) ** T)
    together = development.composite([calm, wild])
    assert np.sign(np.diff(together)).tolist() == np.sign(np.diff(calm)).tolist()
    assert development.composite([calm, wild], weights=[1, 0]) == pytest.approx(development.composite([calm]))
    with pytest.raises(ValueError, match="never changes"):
        development.composite([[1, 1, 1]])


def test_a_rate_is_told_by_differences():
    assert development.symmetric_changes([3.0, 2.5, -1.0]).tolist() == [-0.5, -3.5]
    assert development.symmetric_changes([3.0, 2.5, 2.0], rate=True).tolist() == [-0.5, -0.5]


def test_diffusion():
    assert development.diffusion([1, 1, 1, 1], [2, 2, 1, 0]) == 62.5


def drawn_pair(lead, months=120):
    """A reference series, and one that says the same ``lead`` months before, with noise of its own."""
    draw = np.random.default_rng(random.SystemRandom().randrange(10**9))
    wave = np.zeros(months + 40)
    for n in range(2, len(wave)):
        wave[n] = 1.7 * wave[n - 1] - 0.75 * wave[n - 2] + draw.normal()
    wave = (wave - wave.mean()) / wave.std()
    y = wave[20 : 20 + months] + draw.normal(0, 0.3, months)
    x = wave[20 + lead : 20 + lead + months] + draw.normal(0, 0.5, months)
    return x, y


def test_the_lead_of_a_series_is_found_within_a_quarter():
    draw = random.SystemRandom()
    right = 0
    for _ in range(20):
        true = draw.randint(0, 9)
        found = development.lead(*drawn_pair(true), 12)
        right += abs(found.lead - true) <= 3 and found.p_value < 0.05
    assert right >= 18


def test_chance_leads_are_told():
    """Forty series of nothing, thirteen leads each: the largest correlation is large, and is what chance does."""
    seen = [development.lead(drawn_pair(0)[0], drawn_pair(0)[1], 12) for _ in range(40)]
    assert max(f.correlation for f in seen) > 0.3
    assert sum(f.p_value < 0.05 for f in seen) <= 11


def test_cycles_of_a_published_series():
    """Real gross domestic product of the United States, quarters of 1959 to 2009, as statsmodels carries and publishes it."""
    product = macrodata.load_pandas().data["realgdp"]
    found = development.cycle(product, 4)
    assert found[:3] == pytest.approx([39.5119, 80.0885, 48.8755], abs=5e-5)
    known = development.cycle_as_known(product, 4)
    assert known.shape == found.shape
    assert np.isnan(known[:11]).all()
    assert known[-1] == found[-1]
    assert known[60] == pytest.approx(development.cycle(product[:61], 4)[-1])
    assert np.corrcoef(known[11:], found[11:])[0, 1] < 0.9, "what is known at the time is less"
