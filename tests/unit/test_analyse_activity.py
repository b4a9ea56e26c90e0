"""Who is active: the flag, the index, what they are summed to, and how both are held against what came after."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from spark_jobs.analyse import active, active_tables, activity
from spark_jobs.analyse.signals import SIGNS

MONTH = dt.date(2025, 6, 30)


def profiles(*rows: dict) -> pd.DataFrame:
    usual = {"month_end": MONTH, "district_name": "天河区", "industry_section_name": "零售", "subject_category": "enterprise", "is_covered": True,
             "is_lost": False, "subjects": 1, "exits": np.nan, "is_simulated": False} | dict.fromkeys(SIGNS, 0)  # fmt: skip
    return pd.DataFrame([usual | row for row in rows])


def drawn(seed: int, number: int = 400) -> pd.DataFrame:
    g = np.random.default_rng(seed)
    rows = [
        {s: int(g.integers(0, 4)) for s in SIGNS} | {"annual_report": int(g.random() < 0.7), "paying_tax": int(g.random() < 0.5)}
        | {"district_name": g.choice(["天河区", "越秀区"]), "industry_section_name": g.choice(["零售", "制造"]), "subject_category": g.choice(["enterprise", "individual"]),
           "is_covered": bool(g.random() < 0.9), "is_lost": bool(g.random() < 0.05), "subjects": int(g.integers(1, 9)), "exits": 0}
        for _ in range(number)
    ]  # fmt: skip
    found = profiles(*rows)
    found["exits"] = (found["subjects"] * g.random(number) * 0.4).round()
    return found


def test_no_sign_is_idle_only_where_a_source_would_have_told():
    of = profiles(
        {"marks": 1}, {}, {"is_covered": False}, {"is_covered": False, "contacts": 1}, {"annual_report": 1, "is_lost": True}, {"is_covered": False, "is_lost": True}
    )  # fmt: skip
    assert [active.STATUSES[n] for n in active.statuses(of)] == ["active", "inactive", "unknown", "active", "inactive", "inactive"]


def test_of_whom_nothing_is_known_there_is_no_index_and_nobody_finds_who_is_lost():
    of = drawn(1)
    by = active.scale(of)
    assert by is not None
    found = active.indices(of, by)
    assert np.isnan(found[0]).tolist() == (active.statuses(of) == 2).tolist()
    assert np.nanmin(found) >= 0
    assert np.nanmax(found) <= 100 + 1e-9
    assert found[:, of["is_lost"]].max() == pytest.approx(found[:, active.statuses(of) < 2].min())


def test_profiles_that_many_share_weigh_as_many():
    of = drawn(2)
    apart = of.loc[of.index.repeat(of["subjects"])].assign(subjects=1).reset_index(drop=True)
    together, alone = active.scale(of), active.scale(apart)
    assert together.weights == pytest.approx(alone.weights)
    assert together.level == pytest.approx(alone.level)
    assert active.indices(of, together)[0].repeat(of["subjects"]) == pytest.approx(active.indices(apart, alone)[0], nan_ok=True)


def test_a_trade_in_which_little_is_filed_is_measured_by_its_like():
    rows = [{"industry_section_name": s, "licences": n} for s, most in (("零售", 1), ("制造", 3)) for n in range(most + 1) for _ in range(20)]
    of = profiles(*rows, {"marks": 1})
    found = active.indices(of, active.scale(of))[0]
    means = {s: found[(of["industry_section_name"] == s) & (of["marks"] == 0)].mean() for s in ("零售", "制造")}
    assert means["零售"] > 0.5 * means["制造"], "with three times as much filed in the one, no index of a third in the other"


def test_groups_add_up_and_the_base_is_100():
    of = drawn(3)
    by = active.scale(of)
    assert by is not None
    rows = list(active.rows(of, by))
    city = next(r for r in rows if (r.district, r.section) == ("全市", "全部"))
    assert sum(city.subjects) == of["subjects"].sum()
    assert city.levels == pytest.approx((100, 100))
    for parts in (
        lambda r: r.district != "全市" and r.section == "全部",
        lambda r: r.district == "全市" and r.section != "全部",
        lambda r: r.district != "全市" and r.section != "全部",
    ):
        assert np.sum([r.subjects for r in rows if parts(r)], axis=0).tolist() == list(city.subjects)
    assert city.rate == pytest.approx(city.subjects[0] / (city.subjects[0] + city.subjects[1]))
    few = list(active.rows(profiles({"marks": 1, "subjects": active.LEAST - 1}), by))
    assert all(r.levels is None and r.rate == 1 for r in few)
    assert all(r.rate is None for r in active.rows(profiles({"is_covered": False}), by)), "of nobody known there is no rate"


def test_the_area_under_the_curve_is_what_a_library_says():
    g = np.random.default_rng(4)
    counts, scores = g.integers(1, 5, 200), g.integers(0, 20, 200).astype(float)
    events = np.minimum(counts, g.integers(0, 3, 200))
    each = [(s, e) for s, n, k in zip(scores, counts, events, strict=True) for e in [1] * k + [0] * (n - k)]
    assert activity.auc(scores, events, counts) == pytest.approx(roc_auc_score([e for _, e in each], [-s for s, _ in each]))
    assert np.isnan(activity.auc([1.0, 2], [0, 0], [1, 1]))
    assert activity.auc([1.0, 2], [1, 0], [1, 1]) == 1


def test_what_came_after_is_told_by_status():
    of = profiles({"marks": 1, "subjects": 10, "exits": 1}, {"subjects": 5, "exits": 3}, {"is_covered": False, "subjects": 4, "exits": 1}, {"annual_report": 1, "subjects": 10, "exits": 0})  # fmt: skip
    found = active.outcome(of, active.scale(of))
    assert (found.subjects, found.exits) == ((20, 5, 4), (1, 3, 1))
    assert found.auc_flag == pytest.approx(1 - (1 * 2 + 0.5 * (3 * 2 + 1 * 19)) / (4 * 21))


def test_months_end_with_months():
    assert active_tables.ended(dt.date(2024, 2, 29), 12) == dt.date(2023, 2, 28)
    assert active_tables.ended(dt.date(2023, 11, 30), -3) == dt.date(2024, 2, 29)
    assert active_tables.before(dt.date(2025, 6, 30)) == dt.date(2024, 12, 31)


def test_a_base_that_knows_half_of_the_signs_is_none_and_a_stored_one_stays():
    last, now = drawn(8), drawn(9)
    last["month_end"] = active_tables.before(MONTH)
    both = {MONTH: now, active_tables.before(MONTH): last}
    stored = active_tables._scale(both, {}, MONTH)
    assert stored is not None
    assert stored.month_end == active_tables.before(MONTH)
    last["subjects"] += 1
    assert active_tables._scale(both, {stored.month_end: stored}, MONTH) is stored
    for sign in SIGNS[:4]:
        last[sign] = 0
    assert active_tables._scale(both, {}, MONTH).month_end == MONTH
    assert active_tables._scale({MONTH: now}, {}, MONTH).month_end == MONTH


def test_a_sign_that_hardly_anybody_of_a_trade_shows_is_worth_no_more_than_that():
    rows = [
        {"industry_section_name": "零售", "subjects": 2000},
        {"industry_section_name": "零售", "marks": 1},
        {"industry_section_name": "制造", "marks": 1, "subjects": 50},
    ]
    of = profiles(*rows, {"industry_section_name": "制造", "subjects": 50})
    found = active.indices(of, active.scale(of))[0]
    assert found[1] <= 1.0001 * active.MOST_FACTOR**2 * found[2], "the one of few is worth four times, one of many a fourth"
    assert found[2] > 0


def test_of_too_few_there_is_no_index_but_a_rate():
    few = profiles({"marks": 1, "subjects": 10}, {"subjects": 10}, {"is_covered": False, "subjects": 500})
    assert active.scale(few) is None
    assert active.scale(profiles({"subjects": 100})) is None, "where nobody shows a sign nobody is told apart"
    (city,) = (r for r in active.rows(few, None) if (r.district, r.section) == ("全市", "全部"))
    assert (city.subjects, city.rate, city.levels) == ((10, 10, 500), 0.5, None)
    assert np.isnan(active.indices(few, None)).all()


def test_a_month_is_over_when_something_came_later():
    told = [dt.date(2025, 11, 1), dt.date(2025, 12, 1)]
    assert active_tables.over(told, dt.date(2025, 12, 31)) == dt.date(2025, 11, 30)
    assert active_tables.over(told, dt.date(2026, 1, 1)) == dt.date(2025, 12, 31)
    assert active_tables.over(told, dt.date(2026, 9, 1)) == dt.date(2025, 12, 31), "that later months have nobody is not told"
    assert active_tables.over(told, dt.date(2025, 11, 30)) is None
