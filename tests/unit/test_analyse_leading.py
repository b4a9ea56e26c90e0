"""Which register series lead: found where they do, not found where they don't, never by what came later."""

from __future__ import annotations

import datetime as dt
import random

import numpy as np
import pytest

from spark_jobs.analyse import development_tables, leading


def drawn(g: np.random.Generator, quarters: int, lead: int, noise: int = 0) -> tuple[dict[int, float], dict[str, dict[int, float]]]:
    """An economy as the sandbox city has it: births follow its state at once, output ``lead`` quarters later; and so many series that have nothing to do with it."""
    state, keep = np.zeros(quarters + 20), g.uniform(0.6, 0.9)
    for t in range(1, len(state)):
        state[t] = keep * state[t - 1] + np.sqrt(1 - keep**2) * g.normal()
    state, first = state[8:], 4 * 2018
    births = {first + t: 8000 * float(np.exp(0.15 * state[t + 8] + 0.03 * g.normal())) for t in range(quarters)}
    output = {first + t: 5 + 0.9 * float(state[t + 8 - lead]) + 0.35 * g.normal() for t in range(quarters)}
    others = {f"other_{n}": {first + t: float(v) for t, v in enumerate(np.exp(8 + 0.05 * np.cumsum(g.normal(size=quarters))))} for n in range(noise)}
    return output, {"registrations": births, **others}


def test_a_lead_is_found_within_a_quarter_and_chance_seldom():
    g = np.random.default_rng(random.SystemRandom().randrange(10**9))
    apart, chosen, by_chance = [], 0, 0
    for _ in range(40):
        lead = int(g.integers(1, 4))
        found = leading.work_out(*drawn(g, int(g.integers(24, 44)), lead, 4)).led
        mine = next(x for x in found if x.series == "registrations")
        apart.append(abs(mine.lead - lead))
        chosen += mine.chosen
        by_chance += any(x.chosen for x in found if x.series != "registrations")
    assert max(apart) <= 1
    assert chosen >= 30
    assert by_chance <= 9, "5 % of the searches in the long run: more than nine of forty come once in ten thousand"


def test_one_series_makes_itself_the_index_and_what_is_worse_goes_in_upside_down():
    g = np.random.default_rng(5)
    output, series = drawn(g, 40, 2)
    of = leading.work_out(output, series)
    assert [x.series for x in of.led if x.chosen] == ["registrations"]
    assert of.lead == of.led[0].lead
    told = [s for s in of.said if s.index is not None]
    before = [series["registrations"][s.quarter] for s in told]
    assert np.sign(np.diff([s.index for s in told])).tolist() == np.sign(np.diff(before)).tolist()
    turned = leading.work_out(output, {"exits": {q: 1e8 / v for q, v in series["registrations"].items()}})
    assert [s.index for s in turned.said] == pytest.approx([s.index for s in of.said])
    assert [s.diffusion for s in turned.said if s.diffusion is not None] == [s.diffusion for s in of.said if s.diffusion is not None]


def test_nothing_leads_where_too_little_is_shared_and_nothing_is_made_of_it():
    output, series = drawn(np.random.default_rng(6), 40, 2)
    short = {q: v for n, (q, v) in enumerate(output.items()) if n >= 40 - leading.LEAST + 1}
    of = leading.work_out(short, series)
    assert (of.led, of.said, of.tested, of.lead, of.verdict) == ([], [], None, None, None)


def test_the_test_knows_nothing_of_what_came_later():
    output, series = drawn(np.random.default_rng(7), 40, 2)
    index = series["registrations"]
    whole = leading._tested(output, index)
    last = max(output)
    cut = leading._tested({q: v for q, v in output.items() if q < last - 4}, {q: v for q, v in index.items() if q < last - 4})
    assert whole is not None
    assert cut is not None
    assert whole[0][: len(cut[0])] == pytest.approx(cut[0])


def test_quarters_have_names_and_ends():
    assert [development_tables.quarter(p) for p in ("2025Q3", "2025年第三季度", "2025年3季度", "2025-Q3")] == [4 * 2025 + 2] * 4
    assert [development_tables.quarter(p) for p in ("2025-03", "2025", "2025年1-3月", "2025年")] == [None] * 4
    assert [leading.quarter_end(4 * 2024 + n) for n in range(4)] == [
        dt.date(2024, 3, 31),
        dt.date(2024, 6, 30),
        dt.date(2024, 9, 30),
        dt.date(2024, 12, 31),
    ]
    assert all(leading.quarter_of(leading.quarter_end(n)) == n for n in range(8000, 8100))


def test_quarters_are_summed_whole():
    of = leading.quarterly(np.full(40, 100.0), dt.date(2020, 2, 1))
    assert list(of) == [4 * 2020 + n for n in range(1, 13)], "the first quarter lacks a month, and so does the last"
    assert list(of.values()) == pytest.approx([300] * 12, rel=0.02)
