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
from spark_jobs.trademark.deadlines import months_after
from spark_jobs.trademark.goods import Goods, Relation
from spark_jobs.trademark.protected import Kind, ProtectedRight, Scope, listed_rights, owned_by
from spark_jobs.trademark.similarity import ALARM

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
    "holders": st.integers(1, 500),
    "rivals": st.integers(1, 50),
    "adds_generic": st.booleans(),
    "rarity": st.floats(0, 15),
    "elsewhere": st.sampled_from([None, True, False]),
    "bears_name": st.booleans(),
    "listed": st.booleans(),
    # What goes with bad faith and doesn't tell of it.
    "filings": st.integers(1, 2),
    "classes": st.integers(1, 2),
    "person": st.sampled_from([None, True, False]),
    "own_trade": st.sampled_from([None, True, False]),
}
CONDUCT = {
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
ANY = st.builds(Evidence, **(LIKENESS | CONDUCT))


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


LISTED = {r.name: owned_by(r, "s1", since=D("1980-01-01")) for r in listed_rights()}


def test_a_listed_name_makes_nobody_suspect_without_conduct():
    for name, goods in (("陶陶居", [43]), ("趣香", [44]), ("趣香", [30]), ("沧洲", [29]), ("唯品会", [35])):
        copied = Evidence(1.0, True, Relation.SAME_GROUP, adds_generic=True, elsewhere=True, rarity=rarity(name), listed=True)
        found = judge(LISTED[name], Goods.of(goods), D("2024-01-01"), None, copied)
        assert found.verdict is not Verdict.SUSPECT
        assert "listed" not in {r.code for r in found.reasons}
        assert score(copied) == score(dataclasses.replace(copied, listed=False))


def test_a_listed_name_counts_beside_conduct_for_its_own_goods_only():
    filer = Evidence(1.0, True, Relation.SAME_CLASS, filings=3, brands=2, rarity=rarity("陶陶居"), listed=True)
    own, other = (judge(LISTED["陶陶居"], Goods.of([c]), D("2024-01-01"), None, filer) for c in (43, 12))
    assert own.verdict is Verdict.SUSPECT
    text = next(r.text for r in own.reasons if r.code == "listed")
    assert text == "名录中的名称（待核定），申请人可能知晓"
    assert "应当知道" not in own.why
    assert own.score > score(dataclasses.replace(filer, listed=False))
    assert "listed" not in {r.code for r in other.reasons}
    assert judge(LISTED["陶陶居"], Goods.of([43]), D("2024-01-01"), None, dataclasses.replace(filer, bears_name=True)).verdict is Verdict.SIMILAR


@pytest.mark.parametrize(
    ("right", "lacking"),
    [
        (dataclasses.replace(RIGHT, since=None), "起始日期"),
        (dataclasses.replace(RIGHT, owner=None), "权利人"),
        (next(r for r in listed_rights() if r.name == "唯品会"), "权利人和起始日期"),
    ],
)
def test_nobody_is_suspect_beside_a_right_of_which_not_all_is_known(right, lacking):
    """唯品会, filed in 1999, may be older than the firm; and who files may be the owner."""
    goods = Goods.of([min(right.goods.classes)])
    found = judge(right, goods, D("1999-01-01") if right.kind is Kind.LISTED else D("2024-01-01"), "s7", dataclasses.replace(SQUAT, listed=True))
    assert found.verdict is Verdict.SIMILAR
    assert f"在先权利的{lacking}尚未核定" in found.why
    table = pd.DataFrame([dataclasses.asdict(e) for e in (SQUAT, dataclasses.replace(SQUAT, settled=False))])
    assert bad_faith.suspects(table).tolist() == [True, False]


def test_what_is_similar_is_said_only_where_it_is():
    for evidence in (SQUAT, HONEST):
        assert said(dataclasses.replace(evidence, similarity=ALARM)).why.startswith("近似，")
        assert said(dataclasses.replace(evidence, similarity=ALARM - 0.01)).why.startswith("是否近似有待人工判断，")


def test_a_similarity_that_is_unknown_resembles_nothing():
    unknown = dataclasses.replace(SQUAT, similarity=math.nan)
    assert said(unknown).verdict is Verdict.NOTHING
    assert "近似度不明" in said(unknown).why
    assert 0 <= score(unknown) <= score(SQUAT)


@QUICK
@given(ANY)
def test_where_somebody_is_from_changes_nothing(evidence):
    found = {(said(e).verdict, score(e)) for e in (dataclasses.replace(evidence, elsewhere=x) for x in (None, True, False))}
    assert len(found) == 1


def test_what_only_goes_with_bad_faith_makes_nobody_suspect():
    """A local firm with a mark that is another's name and a generic word, in a class that its trade isn't listed for."""
    local = Evidence(0.9, False, Relation.SAME_GROUP, filings=2, elsewhere=False, own_trade=False, adds_generic=True, rarity=5.0)
    assert said(local, goods=Goods.of(groups=["0301"])).verdict is Verdict.SIMILAR
    assert "申请类别与行业对照表不符（参考）" in {r.text for r in reasons(local)}
    many = dataclasses.replace(local, filings=500, classes=45, person=True)
    assert said(many).verdict is Verdict.SIMILAR
    assert said(dataclasses.replace(many, brands=3)).verdict is Verdict.SUSPECT
    # An agent a little above the average is nothing.
    assert score(dataclasses.replace(many, agent=1.5)) == score(many)
    assert score(dataclasses.replace(many, agent=1.6)) > score(many)
    assert said(dataclasses.replace(many, agent=1.6)).verdict is Verdict.SIMILAR


def test_a_name_of_many_belongs_to_nobody():
    filer = Evidence(1.0, True, Relation.SAME_CLASS, filings=3, brands=3)
    assert said(filer).verdict is Verdict.SUSPECT
    many = dataclasses.replace(filer, holders=500)
    assert said(many).verdict is Verdict.SIMILAR
    assert "该名称有500户使用，显著性弱" in said(many).why
    by_holders = [score(dataclasses.replace(filer, holders=n)) for n in (1, 2, 20, 500)]
    assert sorted(by_holders, reverse=True) == by_holders
    assert len(set(by_holders)) == 4


@pytest.mark.parametrize("name", ["新华", "中一", "中国", "中国新华", "立白", "广百", "NIKE", "Gucci", "", "123"])
def test_usual_characters_are_not_said_to_be_rare(name):
    usual = Evidence(0.9, False, Relation.SAME_CLASS, rarity=rarity(name))
    assert "rarity" not in {r.code for r in reasons(usual)}
    rare = dataclasses.replace(usual, rarity=rarity("陶陶居"))
    assert "在先名称用字少见，巧合可能性小" in {r.text for r in reasons(rare)}


@QUICK
@given(ANY, st.sampled_from(["filings", "brands", "classes", "losses", "transfers", "agent", "similarity", "rarity"]), st.floats(0, 3))
def test_more_that_speaks_for_it_never_lowers_the_score(evidence, name, more):
    raised = min(1.0, getattr(evidence, name) + more / 3) if name == "similarity" else getattr(evidence, name) + math.ceil(more)
    assert score(dataclasses.replace(evidence, **{name: raised})) >= score(evidence) - 1e-12


@QUICK
@given(ANY, st.integers(0, 30))
def test_what_speaks_against_it_never_raises_the_score(evidence, more):
    for changes in ({"holders": evidence.holders + more}, {"rivals": evidence.rivals + more}, {"bears_name": True}):
        assert score(dataclasses.replace(evidence, **changes)) <= score(evidence) + 1e-12


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
    # What comes later counts once it is known; what is a year away never does.
    found = habits(own, D("2024-01-01"), D("2024-06-01"))
    assert (found.filings, found.brands, found.classes, found.transfers) == (4, 3, 4, 1)
    assert habits(own, D("2024-01-01"), D("2023-05-31")).losses == 0
    assert habits([], D("2024-01-01"), D("2024-01-01")).filings == 0


def test_habits_are_of_twelve_months_and_not_of_two_years():
    """One filing each half year: never more than two within 12 months, though four others lie within a year before or behind."""
    own = [
        Filed(D(d), c, b) for d, c, b in (("2023-01-15", 1, "甲乙"), ("2023-07-15", 2, "丙丁"), ("2024-01-15", 3, "戊己"), ("2024-07-15", 4, "庚辛"))
    ]
    found = habits(own, D("2024-01-15"), D("2025-12-31"))
    assert (found.filings, found.brands, found.classes) == (2, 2, 2)
    # Of two such windows the one with more brands; the day a year on is not within.
    own = [Filed(D("2023-01-02"), 3), Filed(D("2024-01-01"), 3), Filed(D("2024-12-31"), 3, "立白"), Filed(D("2025-01-01"), 3, "浪奇")]
    assert habits(own, D("2024-01-01"), D("2025-12-31")) == bad_faith.Habits(2, 1, 1, 0, 0)


@QUICK
@given(st.lists(st.tuples(st.integers(0, 1500), st.integers(1, 5), st.sampled_from([None, "甲", "乙", "丙"])), min_size=1, max_size=12))
def test_the_densest_window_holds_the_filing_and_no_other_is_denser(told):
    own = [Filed(D("2020-02-29") + dt.timedelta(days=n), c, b) for n, c, b in told]
    filed = own[0].filed
    counts = []
    for start in (filed - dt.timedelta(days=k) for k in range(366)):
        end = months_after(start, 12)
        if start <= filed < end:
            counts.append(sum(start <= f.filed < end for f in own))
    assert habits(own, filed, D("2030-01-01")).filings == max(counts)


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


def test_prevalence_at_the_ends():
    assert at_prevalence(0.5, 0.017, 1) == 1
    assert at_prevalence(0.5, 0.017, 0) == 0
    assert at_prevalence(0, 0.017, 1) == 0
    assert at_prevalence(pd.Series([0.2, 0.5]), 0.5, 0.5).tolist() == pytest.approx([0.2, 0.5])
    with pytest.raises(ValueError, match="no shares"):
        at_prevalence(0.5, 0, 0.1)


def test_rare_names():
    assert rarity("立白") < rarity("鹰金钱")
    assert rarity("华新") < rarity("陶陶居")
    assert rarity("龘") > bad_faith.UNUSUAL > rarity("立白")
    # Longer isn't rarer, and letters aren't rare characters.
    assert rarity("新华新华") == pytest.approx(rarity("新华"))
    assert rarity("NIKE陶陶居") == rarity("陶陶居")
    assert rarity("NIKE") == rarity("") == 0


def test_weights_are_declared():
    used = bad_faith.weights()
    assert set(bad_faith.FEATURES) | {"intercept", "threshold"} == set(used)
    assert all(w.origin in ("fitted", "judged") for w in used.values())
    assert all(used[n].reason and "参考" in used[n].hook and used[n].sign for n in bad_faith.FEATURES)
    assert all(used[n].sign > 0 for n in bad_faith.CONDUCT)
    assert "listed" not in bad_faith.CONDUCT
    assert used["elsewhere"].limit == 0


@pytest.mark.parametrize("weight", ["-0.1", "2.5"])
def test_a_weight_against_its_sign_or_beyond_its_limit_is_refused(monkeypatch, weight):
    rows = [{**r, "weight": weight} if r["feature"] == "brands" else r for r in bad_faith.codes.rows("bad_faith_weights")]
    monkeypatch.setattr(bad_faith.codes, "rows", lambda name: rows)
    bad_faith.weights.cache_clear()
    with pytest.raises(ValueError, match="brands"):
        bad_faith.weights()
    bad_faith.weights.cache_clear()
