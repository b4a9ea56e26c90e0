"""Which keys are one subject: corrections, names, decisions, in any order (docs/decisions/0030)."""

import datetime as dt
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_jobs.identity import ties
from spark_jobs.identity.links import CORRECTED, DECIDED_APART, DECIDED_SAME, SAME_NAME, Key, State, Statement, resolve

DAYS = [dt.date(2001, 1, 1), dt.date(2002, 2, 2), dt.date(2003, 3, 3)]
NOW = 1_700_000_000_000_000
OLD, NEW, OTHER = Key("uscc", "91A"), Key("uscc", "91B"), Key("uscc", "91C")
TYPO, NUMBER, NAMED = Key("uscc", "91X"), Key("regno15", "440"), Key("name", "甲|440106")


def state(key, name="甲", date=DAYS[0], district="440106", trusted=None, effective=None):
    return State(key, name, date, district, key in (OLD, NEW, OTHER) if trusted is None else trusted, effective or date, NOW)


def said(kind, first, second, first_name=None, second_name=None, day=DAYS[1], evidence="f/1"):
    return Statement(kind, first, second, first_name, second_name, day, NOW, evidence)


def subjects(resolved):
    """The keys and names of each subject."""
    found = {}
    for (key, name), anchor in resolved.anchors.items():
        found.setdefault(anchor, set()).add((key, name))
    return set(map(frozenset, found.values()))


def anchors(resolved):
    return set(resolved.anchors.values())


def test_a_correction_of_the_code_keeps_one_subject_and_its_id():
    states = [state(OLD), state(NEW, effective=DAYS[1])]
    found = resolve(states, [said(CORRECTED, OLD, NEW)])
    assert anchors(found) == {OLD}
    assert {(row.key, row.anchor) for row in found.keys} == {(OLD, OLD), (NEW, OLD)}
    assert found.reviews == []


def test_without_the_correction_two_checked_codes_of_one_name_are_two_subjects_and_somebody_is_asked():
    found = resolve([state(OLD), state(NEW)], [])
    assert anchors(found) == {OLD, NEW}
    assert [(r.kind, r.keys) for r in found.reviews] == [("two_codes_of_one_name", ("91A", "91B"))]


def test_a_code_that_was_corrected_before_any_record_of_it_came_is_the_anchor_all_the_same():
    found = resolve([state(NEW)], [said(CORRECTED, OLD, NEW)])
    assert anchors(found) == {OLD}
    assert OLD in {row.key for row in found.keys}


def test_a_chain_of_corrections_ends_in_what_nobody_corrected_to():
    found = resolve([state(NEW), state(OTHER)], [said(CORRECTED, NEW, OTHER), said(CORRECTED, OLD, NEW)])
    assert anchors(found) == {OLD}


def test_a_circle_of_corrections_has_one_anchor():
    found = resolve([state(NEW), state(OLD)], [said(CORRECTED, NEW, OLD), said(CORRECTED, OLD, NEW)])
    assert anchors(found) == {OLD}


def test_a_mistyped_code_joins_the_subject_of_its_name_and_day():
    found = resolve([state(NEW), state(TYPO)], [])
    assert anchors(found) == {NEW}
    assert [(r.said.kind, r.applied) for r in found.links] == [(SAME_NAME, True)]


@pytest.mark.parametrize("weak", [TYPO, NUMBER, NAMED])
def test_what_could_belong_to_two_checked_codes_belongs_to_neither(weak):
    found = resolve([state(OLD), state(NEW), state(weak)], [])
    assert anchors(found) == {OLD, NEW, weak}
    assert len(found.reviews) == 1


def test_another_day_of_registration_or_district_is_another_subject():
    assert anchors(resolve([state(NEW), state(TYPO, date=DAYS[1])], [])) == {NEW, TYPO}
    assert anchors(resolve([state(NEW), state(TYPO, district="440111")], [])) == {NEW, TYPO}


def test_a_company_that_moves_keeps_a_name_that_nobody_else_may_bear():
    assert anchors(resolve([state(NEW, "甲公司"), state(TYPO, "甲公司", district="440111")], [])) == {NEW}


def test_a_state_without_a_district_belongs_to_the_only_one_that_is_named():
    assert anchors(resolve([state(NEW), state(TYPO, district=None)], [])) == {NEW}
    assert anchors(resolve([state(NEW), state(NUMBER, district="440111"), state(TYPO, district=None)], [])) == {NEW, NUMBER, TYPO}


def test_the_number_of_before_joins_when_the_code_turns_up():
    assert anchors(resolve([state(NUMBER)], [])) == {NUMBER}
    assert anchors(resolve([state(NUMBER), state(NEW)], [])) == {NEW}


def test_of_a_contested_code_the_correction_says_by_name_which_company_is_meant():
    contested = [state(OLD), state(OLD, "乙", DAYS[1]), state(NEW, "乙", DAYS[2])]
    found = resolve(contested, [said(CORRECTED, OLD, NEW, "乙")])
    assert subjects(found) == {frozenset({(OLD, "甲")}), frozenset({(OLD, "乙"), (NEW, "乙")})}
    assert anchors(found) == {Key("uscc_name", "91A|甲"), Key("uscc_name", "91A|乙")}
    unclear = resolve(contested, [said(CORRECTED, OLD, NEW)])
    assert subjects(unclear) == {frozenset({(OLD, "甲")}), frozenset({(OLD, "乙")}), frozenset({(NEW, "乙")})}
    assert {r.kind for r in unclear.reviews} == {"contested_code", "unclear_correction"}


def test_a_decision_joins_the_companies_of_a_contested_code_and_its_id_stays_qualified():
    contested = [state(OLD), state(OLD, "乙", DAYS[1])]
    found = resolve(contested, [said(DECIDED_SAME, OLD, OLD, "甲", "乙")])
    assert anchors(found) == {Key("uscc_name", "91A|乙")}  # of equals the smallest
    assert found.reviews == []


def test_a_decision_splits_what_shares_a_day_of_registration():
    shared = [state(OLD), state(OLD, "乙")]
    assert len(anchors(resolve(shared, []))) == 1
    found = resolve(shared, [said(DECIDED_APART, OLD, OLD, "甲", "乙")])
    assert anchors(found) == {Key("uscc_name", "91A|甲"), Key("uscc_name", "91A|乙")}
    assert found.reviews == []


def test_a_decision_undoes_a_correction_and_a_later_one_brings_it_back():
    states, corrected = [state(OLD), state(NEW)], said(CORRECTED, OLD, NEW)
    apart = said(DECIDED_APART, OLD, NEW, day=DAYS[1])
    assert anchors(resolve(states, [corrected, apart])) == {OLD, NEW}
    assert resolve(states, [corrected, apart]).reviews == []
    same = said(DECIDED_SAME, NEW, OLD, day=DAYS[2])
    assert anchors(resolve(states, [same, apart])) == {OLD}
    earlier = said(DECIDED_SAME, NEW, OLD, day=DAYS[0])
    assert anchors(resolve(states, [earlier, apart])) == {OLD, NEW}


def test_what_is_only_spoken_of_is_no_subject():
    for statement in (said(CORRECTED, OLD, NEW), said(DECIDED_APART, OLD, NEW)):
        found = resolve([], [statement])
        assert (found.keys, len(found.links)) == ([], 1)
    found = resolve([state(OLD)], [said(DECIDED_APART, OLD, NEW)])
    assert {row.key for row in found.keys} == {OLD}


def test_a_later_decision_overrules_whether_it_names_the_companies_or_not():
    states = [state(OLD), state(NEW)]
    apart, same = said(DECIDED_APART, OLD, NEW, day=DAYS[0]), said(DECIDED_SAME, OLD, NEW, "甲", "甲", day=DAYS[1])
    assert len(anchors(resolve(states, [apart, same]))) == 1
    # Of a contested code the name says which company is meant.
    contested = [state(OLD), state(OLD, "乙", DAYS[1]), state(NEW, "丙", DAYS[2])]
    of_two = [said(DECIDED_APART, OLD, NEW, "甲", day=DAYS[0]), said(DECIDED_SAME, OLD, NEW, "乙", day=DAYS[1])]
    assert subjects(resolve(contested, of_two)) == {frozenset({(OLD, "甲")}), frozenset({(OLD, "乙"), (NEW, "丙")})}


def test_a_decision_about_a_company_that_nobody_knows_is_asked_about():
    found = resolve([state(OLD), state(OLD, "乙", DAYS[1]), state(NEW, "丙", DAYS[2])], [said(DECIDED_APART, OLD, NEW, "丁")])
    assert ("unclear_correction", OLD) in {(r.kind, r.key) for r in found.reviews}


CHECKED, ANOTHER = "91440101633203772F", "914401011904817725"


@pytest.mark.parametrize(
    ("row", "meant"),
    [
        ({}, True),
        ({"own": None}, True),
        ({"own": "91440101190400000A"}, False),  # the codes of others: shareholders of before and after
        ({"own": ""}, False),
        ({"second_code": CHECKED}, False),
        ({"first_code": "N/A"}, False),
        ({"said": None}, False),
        ({"first_code": "11010519491231002X"}, False),  # a person's
    ],
)
def test_what_a_record_says_of_two_codes(row, meant):
    said_ = {"said": CORRECTED, "first_code": CHECKED, "first_name": "甲公司", "second_code": ANOTHER, "second_name": None, "day": DAYS[0], "own": CHECKED, "known_at": NOW, "link_evidence": "f/1"}  # fmt: skip
    assert (ties.statement(said_ | row) is not None) == meant


def test_two_companies_of_one_code_are_told_by_name():
    said_ = {"said": DECIDED_APART, "first_code": CHECKED, "first_name": "甲公司", "second_code": CHECKED, "second_name": "乙公司", "day": DAYS[0], "own": None, "known_at": NOW, "link_evidence": "f/1"}  # fmt: skip
    found = ties.statement_of(ties.statement(said_))
    assert (found.first, found.first_name, found.second_name) == (Key("uscc", CHECKED), "甲公司", "乙公司")
    assert ties.statement(said_ | {"second_name": None}) is None


KEYS = st.sampled_from([OLD, NEW, OTHER, TYPO, NUMBER, NAMED])
STATES = st.lists(
    st.builds(state, KEYS, st.sampled_from("甲乙"), st.sampled_from(DAYS), st.sampled_from(["440106", "440111", None])), min_size=1, max_size=7
)
NAMES = st.sampled_from([None, "甲", "乙"])
STATEMENTS = st.lists(
    st.builds(said, st.sampled_from([CORRECTED, DECIDED_SAME, DECIDED_APART]), KEYS, KEYS, NAMES, NAMES, st.sampled_from(DAYS), st.sampled_from(["f/1", "f/2", "f/3"])),
    max_size=4,
)  # fmt: skip


@settings(max_examples=300)
@given(STATES, STATEMENTS, st.integers(0, 10**6))
def test_the_order_of_arrival_does_not_matter(states, statements, seed):
    shuffled = random.Random(seed)
    again = shuffled.sample(states, len(states)), shuffled.sample(statements, len(statements))
    assert resolve(states, statements) == resolve(*again) == resolve([*states, states[0]], [*statements, *statements[:1]])


@settings(max_examples=300)
@given(STATES, STATEMENTS)
def test_one_anchor_for_a_subject_among_its_keys_and_no_two_checked_codes_by_name_alone(states, statements):
    found = resolve(states, statements)
    assert {(s.key, s.name) for s in states} == set(found.anchors)
    assert len({row.anchor for row in found.keys if row.key == row.anchor}) == len({row.anchor for row in found.keys})
    assert anchors(found) == {row.anchor for row in found.keys}
    joining = [s for s in statements if s.kind != DECIDED_APART]
    if not joining:
        for anchor in anchors(found):
            assert len({key for (key, _), of in found.anchors.items() if of == anchor and key in (OLD, NEW, OTHER)}) < 2
    # Each statement is kept as a tie, so that the next run knows it.
    assert {row.said for row in found.links if row.said.kind != SAME_NAME} == set(statements)
    for row in found.links:
        assert ties.tie_of(ties.row_of(row)) == row
        assert row.cluster in {":".join(k) for k in (OLD, NEW, OTHER, TYPO, NUMBER, NAMED)}


@settings(max_examples=200)
@given(STATES, STATEMENTS)
def test_what_no_tie_reaches_changes_nothing(states, statements):
    """A run resolves only the clusters that new evidence touches: each gives the same alone as with all others."""
    whole = resolve(states, statements)
    clusters = {}
    for row in whole.links:
        for key in (row.said.first, row.said.second):
            clusters[key] = row.cluster
    for cluster in set(clusters.values()):
        keys = {k for k, c in clusters.items() if c == cluster}
        part = resolve([s for s in states if s.key in keys], [s for s in statements if s.first in keys])
        assert part.anchors == {k: v for k, v in whole.anchors.items() if k[0] in keys}
        assert part.links == [r for r in whole.links if r.cluster == cluster]
