"""What speaks for bad faith: likeness alone never does, more of it never helps the filer, and every reason is said."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_jobs.trademark import bad_faith
from spark_jobs.trademark.bad_faith import Evidence, Filed, Verdict, agent_ratio, at_prevalence, habits, judge, rarity, reasons, score
from spark_jobs.trademark.goods import Goods, Relation
from spark_jobs.trademark.protected import Kind, ProtectedRight, Scope

D = dt.date.fromisoformat
RIGHT = ProtectedRight("1", Kind.TRADE_NAME, "立白", "s1", frozenset({"s2"}), Goods.of([3]), D("2000-01-01"), Scope.RELATED)
SQUAT = Evidence(
    1.0, True, Relation.SAME_CLASS, filings=30, brands=20, classes=12, losses=2, agent=4.0, person=True, elsewhere=True, own_trade=None, rarity=6.0
)
HONEST = Evidence(0.9, False, Relation.SAME_CLASS, elsewhere=False, own_trade=True, bears_name=True)
LIKENESS = {
    "similarity": st.floats(0, 1),
    "identical": st.booleans(),
    "goods": st.sampled_from(Relation),
    "gap": st.booleans(),
    "holders": st.integers(1, 500),
    "rivals": st.integers(1, 50),
    "adds_generic": st.booleans(),
    "rarity": st.floats(0, 15),
    "elsewhere": st.sampled_from([None, True, False]),
    "bears_name": st.booleans(),
}
CONDUCT = {
    "listed": st.booleans(),
    "filings": st.integers(1, 1000),
    "brands": st.integers(1, 200),
    "classes": st.integers(1, 45),
    "losses": st.integers(0, 50),
    "transfers": st.integers(0, 50),
    "agent": st.floats(0, 50),
    "person": st.sampled_from([None, True, False]),
    "own_trade": st.sampled_from([None, True, False]),
}
QUICK = settings(max_examples=60, deadline=None)  # the first example loads tables
ANY = st.builds(Evidence, **LIKENESS, **CONDUCT)


def said(evidence, **changes):
    return judge(RIGHT, changes.get("goods", Goods.of([3])), changes.get("filed", D("2024-01-01")), changes.get("applicant"), evidence)


def test_a_bulk_filer_is_suspect_and_told_why():
    found = said(SQUAT)
    assert found.verdict is Verdict.SUSPECT
    assert "与20个他人名称近似" in found.why
    assert {r.code for r in found.reasons} >= {"brands", "filings", "losses", "agent", "identical"}
    assert all(r.text and r.hook for r in found.reasons)
    assert found.relation is Relation.SAME_CLASS


def test_the_relation_of_goods_is_found_and_not_believed():
    wrong = dataclasses.replace(SQUAT, goods=Relation.NONE)
    assert said(wrong) == said(SQUAT)


def test_who_bears_the_name_is_kept_apart():
    found = said(HONEST)
    assert found.verdict is Verdict.SIMILAR
    assert "商标含申请人自己的字号" in found.why


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"applicant": "s1"}, "权利人或其关联方"),
        ({"applicant": "s2"}, "权利人或其关联方"),
        ({"filed": D("2000-01-01")}, "申请日不晚于"),
        ({"goods": Goods.of([12])}, "保护范围"),
    ],
)
def test_nothing_is_at_stake(changes, why):
    found = said(SQUAT, **changes)
    assert (found.verdict, found.score, found.reasons) == (Verdict.NOTHING, 0.0, ())
    assert why in found.why
    assert said(dataclasses.replace(SQUAT, similarity=0.3)).why == "商标不近似"


@QUICK
@given(st.builds(Evidence, **LIKENESS))
def test_likeness_alone_makes_nobody_suspect(evidence):
    assert said(evidence).verdict is not Verdict.SUSPECT


def test_a_stranger_who_files_a_listed_name_in_its_class_is_suspect():
    copied = Evidence(1.0, True, Relation.SAME_CLASS, elsewhere=False, rarity=rarity("陶陶居"), listed=True)
    assert said(copied).verdict is Verdict.SUSPECT
    assert "名录" in said(copied).why
    assert said(dataclasses.replace(copied, listed=False)).verdict is Verdict.SIMILAR
    assert said(dataclasses.replace(copied, bears_name=True)).verdict is Verdict.SIMILAR
    # 致美斋, filed as 至美斋 by somebody from elsewhere.
    sounds = Evidence(0.9, False, Relation.SAME_CLASS, elsewhere=True, rarity=rarity("致美斋"), listed=True)
    assert said(sounds).verdict is Verdict.SUSPECT


@QUICK
@given(ANY, st.sampled_from(["filings", "brands", "classes", "losses", "transfers", "agent", "similarity", "rarity"]), st.floats(0, 3))
def test_more_that_speaks_for_it_never_lowers_the_score(evidence, name, more):
    raised = min(1.0, getattr(evidence, name) + more / 3) if name == "similarity" else getattr(evidence, name) + math.ceil(more)
    assert score(dataclasses.replace(evidence, **{name: raised})) >= score(evidence) - 1e-12


@QUICK
@given(ANY, st.integers(0, 30))
def test_what_speaks_against_it_never_raises_the_score(evidence, more):
    for changes in ({"holders": evidence.holders + more}, {"rivals": evidence.rivals + more}, {"bears_name": True}):
        assert score(dataclasses.replace(evidence, **changes)) <= max(score(evidence), 0) + 1e-12


@QUICK
@given(ANY)
def test_reasons_are_the_terms_of_the_score(evidence):
    linear = bad_faith.weights()["intercept"].weight + sum(r.contribution for r in reasons(evidence))
    assert 1 / (1 + math.exp(-linear)) == pytest.approx(score(evidence))
    assert all("{" not in r.text for r in reasons(evidence))


def test_what_is_unknown_speaks_for_nothing():
    unknown = Evidence(0.9, False, Relation.SAME_CLASS)
    assert {"person", "elsewhere", "no_own_trade"} & {r.code for r in reasons(unknown)} == set()
    assert score(unknown) == score(dataclasses.replace(unknown, person=False, elsewhere=False, own_trade=True))
    table = pd.DataFrame([dataclasses.asdict(unknown)] * 2)
    table["own_trade"] = pd.array([pd.NA, False], dtype="boolean")
    assert bad_faith.features(table)["no_own_trade"].tolist() == [0, 1]
    assert bad_faith.scores(table)[0] == score(unknown)
    assert bad_faith.suspects(pd.DataFrame([dataclasses.asdict(e) for e in (SQUAT, HONEST)])).tolist() == [True, False]


def test_habits():
    own = [
        Filed(D("2022-01-01"), 3, "立白", D("2023-06-01")),
        Filed(D("2023-12-31"), 3, "立白", given_on=D("2024-05-01")),
        Filed(D("2024-01-01"), 5, "浪奇"),
        Filed(D("2024-03-01"), 30),
        Filed(D("2024-06-01"), 9, "虎头"),
    ]
    found = habits(own, D("2024-01-01"), D("2024-01-01"))
    assert (found.filings, found.brands, found.classes, found.losses) == (2, 2, 2, 1)
    # What comes later counts once it is known; what is more than a year away never does.
    found = habits(own, D("2024-01-01"), D("2024-06-01"))
    assert (found.filings, found.brands, found.classes, found.transfers) == (4, 3, 4, 1)
    assert habits(own, D("2024-01-01"), D("2023-05-31")).losses == 0


def test_agents_of_few_filings_are_average():
    assert agent_ratio(0, 0, 0.1) == pytest.approx(1)
    assert agent_ratio(10, 100, 0.1) == pytest.approx(1)
    assert agent_ratio(2, 2, 0.1) < 1.4
    assert agent_ratio(500, 1000, 0.1) == pytest.approx(4.8, abs=0.05)
    assert agent_ratio(5, 10, 0) == 1


@QUICK
@given(st.floats(0.001, 0.999), st.floats(0.001, 0.5), st.floats(0.001, 0.5))
def test_prevalence(probability, one, other):
    assert at_prevalence(probability, one, one) == pytest.approx(probability)
    assert at_prevalence(at_prevalence(probability, one, other), other, one) == pytest.approx(probability)
    assert (at_prevalence(probability, one, other) > probability) == (other > one) or one == pytest.approx(other)


def test_rare_names():
    assert rarity("立白") < rarity("鹰金钱")
    assert rarity("华新") < rarity("陶陶居")
    assert rarity("龘") > 3


def test_weights_are_declared():
    used = bad_faith.weights()
    assert set(bad_faith.FEATURES) | {"intercept", "threshold"} == set(used)
    assert all(w.origin in ("fitted", "judged") for w in used.values())
    assert all(used[n].reason and ("参考" in used[n].hook or n == "gap") and used[n].sign for n in bad_faith.FEATURES)
    assert all(used[n].sign > 0 for n in bad_faith.CONDUCT)


@pytest.mark.parametrize("weight", ["-0.1", "2.5"])
def test_a_weight_against_its_sign_or_beyond_its_limit_is_refused(monkeypatch, weight):
    rows = [{**r, "weight": weight} if r["feature"] == "brands" else r for r in bad_faith.codes.rows("bad_faith_weights")]
    monkeypatch.setattr(bad_faith.codes, "rows", lambda name: rows)
    bad_faith.weights.cache_clear()
    with pytest.raises(ValueError, match="brands"):
        bad_faith.weights()
    bad_faith.weights.cache_clear()
