"""Whether a mark is valid on a day, and that the form for tables says the same as the one for a single mark."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_jobs.trademark.validity import (
    Course,
    Decision,
    Effect,
    Renewal,
    State,
    Transfer,
    days_in_force,
    effect,
    ended_on,
    ends,
    is_valid,
    last_day,
    owner_on,
    owners_on,
    procedure_kind,
    state_on,
    unread,
    valid_on,
)

QUICK = settings(max_examples=60, deadline=None)  # the first example loads tables
D = dt.date.fromisoformat
MARK = Course(D("2012-01-05"), D("2012-10-06"), D("2013-01-07"), owner="甲")
UNTIL = D("2023-01-06")


def after(*decisions, **changes):
    return Course(**{**MARK.__dict__, "decisions": decisions, **changes})


@pytest.mark.parametrize(
    ("day", "state"),
    [
        ("2012-01-04", State.UNFILED), ("2012-01-05", State.FILED), ("2012-10-06", State.PUBLISHED), ("2013-01-06", State.PUBLISHED),
        ("2013-01-07", State.VALID), ("2023-01-06", State.VALID),
        ("2023-01-07", State.GRACE), ("2023-07-06", State.GRACE), ("2023-07-07", State.EXPIRED),
    ],
)  # fmt: skip
def test_a_course_without_incidents(day, state):
    assert state_on(MARK, D(day)) is state


@pytest.mark.parametrize(
    ("procedure", "result", "over"),
    [
        ("异议", "不予注册", True), ("异议", "准予注册", False), ("异议", "部分不予注册", False), ("无效宣告", "宣告无效", True), ("无效宣告", "维持注册", False),
        ("撤销三年不使用", "予以撤销", True), ("撤销三年不使用", "撤销申请不成立", False), ("撤销三年不使用", "商标失效", True), ("注销", None, True), ("注销", "核准注销", True),
        ("异议", None, False), ("无效宣告", "在部分商品上宣告无效", False),
    ],
)  # fmt: skip
def test_what_ends_a_mark(procedure, result, over):
    assert ends(procedure, result) is over


@pytest.mark.parametrize(
    ("result", "found"),
    [
        (" 不予注册 ", Effect.ENDS), ("不予\u3000注册", Effect.ENDS), ("异议成立，不予注册", Effect.ENDS), ("无效宣告请求成立", Effect.ENDS),
        ("全部宣告无效", Effect.ENDS), ("在全部商品上宣告无效", Effect.ENDS), ("全部撤销", Effect.ENDS), ("予以无效宣告", Effect.ENDS), ("准予注销", Effect.ENDS),
        ("在全部商品上予以撤销", Effect.ENDS), ("撤销该注册商标", Effect.ENDS), ("争议商标予以宣告无效", Effect.ENDS), ("撤销申请成立", Effect.ENDS),
        ("撤回", Effect.KEEPS), ("撤回异议申请", Effect.KEEPS), ("准予注册", Effect.KEEPS), ("异议不成立，准予注册", Effect.KEEPS),
        ("撤销原决定", Effect.KEEPS), ("撤销不予注册决定，准予注册", Effect.KEEPS), ("不予撤销", Effect.KEEPS), ("不予宣告无效", Effect.KEEPS),
        ("驳回无效宣告请求", Effect.KEEPS), ("维持注册", Effect.KEEPS), ("撤销原决定，维持注册", Effect.KEEPS), ("核准注册", Effect.KEEPS),
        ("撤销原决定，宣告无效", Effect.ENDS), ("撤销原裁定；争议商标予以撤销", Effect.ENDS), ("无效", Effect.ENDS), ("撤回复审申请", Effect.UPHELD),
        ("不予核准注册", Effect.ENDS), ("维持原决定", Effect.UPHELD), ("维持不予注册决定", Effect.UPHELD), ("驳回复审请求", Effect.UPHELD),
        ("维持撤销决定", Effect.UPHELD), ("部分商品予以撤销", Effect.PART), ("异议部分成立", Effect.PART),
        ("", Effect.UNREAD), (None, Effect.UNREAD), ("撤销申请", Effect.UNREAD), ("移送", Effect.UNREAD), ("注销申请受理", Effect.UNREAD),
    ],
)  # fmt: skip
def test_words_of_results(result, found):
    assert effect("撤销三年不使用", result) is found
    assert ends("撤销三年不使用", result) is (found is Effect.ENDS)


def test_a_review_that_comes_to_nothing_brings_nothing_back():
    assert effect("撤销复审", "撤回") is effect("撤销复审", "驳回") is Effect.UPHELD
    assert effect("撤销复审", "驳回撤销申请") is effect("撤销三年不使用", "撤回") is effect("异议", "驳回") is Effect.KEEPS


def test_what_cannot_be_read_changes_nothing_and_is_counted():
    unclear = after(Decision(D("2018-05-01"), "撤销三年不使用", "予以撤销"), Decision(D("2019-05-01"), "撤销复审", "另行通知"))
    assert not is_valid(unclear, D("2019-06-01"))
    upheld = after(Decision(D("2018-05-01"), "撤销三年不使用", "予以撤销"), Decision(D("2019-05-01"), "撤销复审", "维持原决定"))
    assert not is_valid(upheld, D("2019-06-01"))
    assert is_valid(after(Decision(D("2019-05-01"), "撤销复审", "另行通知")), D("2019-06-01"))
    told = pd.DataFrame({
        "mark_procedure": ["撤销复审", "撤销复审", "异议", "注销", "异议", None],
        "decision_result": ["另行通知", "另行通知", "不予注册", None, None, "撤回"],
    })  # fmt: skip
    assert unread(told).to_dict() == {("撤销复审", "另行通知"): 2, ("异议", ""): 1}
    assert unread(told[:0]).to_dict() == {}


def test_kinds_of_procedures():
    assert [procedure_kind(p) for p in ("异议", "不予注册复审", "无效宣告", "撤销连续三年不使用", "撤销复审", "注销", "驳回复审")] == [
        "异议", "异议", "无效", "撤销", "撤销", "注销", "其他",
    ]  # fmt: skip


def test_cancelled_from_then_on_and_invalid_from_the_start():
    cancelled = after(Decision(D("2018-05-01"), "撤销三年不使用", "予以撤销"))
    assert [is_valid(cancelled, D(d)) for d in ("2018-04-30", "2018-05-01")] == [True, False]
    assert is_valid(cancelled, D("2018-04-30"), retroactive=True)
    invalid = after(Decision(D("2018-05-01"), "无效宣告", "宣告无效"))
    assert is_valid(invalid, D("2018-04-30"))
    assert not is_valid(invalid, D("2018-04-30"), retroactive=True)


def test_a_review_brings_back_what_was_taken():
    found = after(Decision(D("2018-05-01"), "撤销三年不使用", "予以撤销"), Decision(D("2019-05-01"), "撤销复审", "维持注册"))
    assert [is_valid(found, D(d)) for d in ("2018-04-30", "2018-06-01", "2019-05-01")] == [True, False, True]
    # What another procedure leaves alone brings nothing back.
    found = after(Decision(D("2018-05-01"), "注销", None), Decision(D("2019-05-01"), "无效宣告", "维持注册"))
    assert not is_valid(found, D("2019-06-01"))


def test_an_opposition_ends_an_application_unless_it_is_registered_later():
    lost = Decision(D("2012-12-01"), "异议", "不予注册")
    assert state_on(after(lost, registered=None), D("2012-12-01")) is State.ENDED
    assert is_valid(after(lost), D("2013-01-07"))
    assert not is_valid(after(lost, registered=None), D("2014-01-01"))


def test_renewed_in_grace():
    found = after(renewals=(Renewal(D("2023-05-20"), D("2033-01-06")),))
    assert state_on(found, D("2023-03-01")) is State.GRACE  # the register didn't know
    assert is_valid(found, D("2023-03-01"), retroactive=True)
    assert is_valid(found, D("2023-05-20"))
    assert last_day(found) == D("2033-01-06")
    assert last_day(found, D("2023-05-19")) == UNTIL
    assert last_day(Course()) is None


def test_owners():
    found = after(transfers=(Transfer(D("2016-01-01"), "乙"), Transfer(D("2018-01-01"), "丙")))
    assert [owner_on(found, D(d)) for d in ("2015-12-31", "2016-01-01", "2020-01-01")] == ["甲", "乙", "丙"]


def test_owners_of_a_table():
    marks = pd.DataFrame({"mark_number": ["1", "2"], "registrant": ["甲", "丁"]}, index=[7, 8])
    transfers = pd.DataFrame({"mark_number": ["1", "1"], "gazetted_on": [D("2018-01-01"), D("2016-01-01")], "current_registrant": ["丙", "乙"]})
    assert [owners_on(marks, transfers, D(d)).tolist() for d in ("2015-12-31", "2016-01-01", "2020-01-01")] == [
        ["甲", "丁"],
        ["乙", "丁"],
        ["丙", "丁"],
    ]


def test_days_in_force():
    assert days_in_force(MARK) == (UNTIL - D("2013-01-07")).days + 1
    assert days_in_force(after(Decision(D("2013-01-08"), "注销", None))) == 1
    assert days_in_force(Course()) == 0


DAYS = st.dates(dt.date(2008, 1, 1), dt.date(2026, 1, 1))
RESULTS = st.sampled_from(
    [
        None,
        "不予注册",
        "准予注册",
        "宣告无效",
        "维持注册",
        "予以撤销",
        "部分予以撤销",
        "商标失效",
        "核准注销",
        " 全部撤销",
        "维持原决定",
        "另行通知",
        "",
    ]
)
DECISIONS = st.builds(Decision, DAYS, st.sampled_from(["异议", "无效宣告", "撤销三年不使用", "撤销复审", "注销", "驳回复审"]), RESULTS)
COURSES = st.builds(
    Course,
    registered=st.one_of(st.none(), DAYS),
    exclusive_until=st.one_of(st.none(), DAYS),
    decisions=st.lists(DECISIONS, max_size=3, unique_by=lambda d: d.decided_on),
    renewals=st.lists(st.builds(Renewal, DAYS, DAYS), max_size=2),
)


@QUICK
@given(st.lists(COURSES, min_size=1, max_size=6), DAYS, st.booleans())
def test_tables_say_the_same(courses, day, retroactive):
    marks = pd.DataFrame({
        "mark_number": [str(i) for i in range(len(courses))], "nice_class": 3,
        "mark_registered_on": [c.registered for c in courses], "exclusive_until": [c.exclusive_until for c in courses],
    }, index=range(100, 100 + len(courses)))  # fmt: skip
    decisions = pd.DataFrame(
        [(str(i), 3 if i % 2 else None, d.decided_on, d.procedure, d.result) for i, c in enumerate(courses) for d in c.decisions],
        columns=["mark_number", "nice_class", "decided_on", "mark_procedure", "decision_result"],
    )
    renewals = pd.DataFrame(
        [(str(i), r.gazetted_on, r.exclusive_until) for i, c in enumerate(courses) for r in c.renewals],
        columns=["mark_number", "gazetted_on", "exclusive_until"],
    )
    found = valid_on(marks, day, decisions, renewals, retroactive)
    assert found.tolist() == [is_valid(c, day, retroactive) for c in courses]
    assert found.index.tolist() == marks.index.tolist()


def test_a_decision_on_another_class_leaves_the_mark():
    marks = pd.DataFrame(
        {"mark_number": ["1", "1"], "nice_class": [3, 5], "mark_registered_on": [D("2013-01-07")] * 2, "exclusive_until": [None, None]}
    )
    decisions = pd.DataFrame({
        "mark_number": ["1"], "nice_class": [5], "decided_on": [D("2018-05-01")], "mark_procedure": ["注销"], "decision_result": ["核准注销"],
    })  # fmt: skip
    assert valid_on(marks, D("2019-01-01"), decisions).tolist() == [True, False]
    assert valid_on(marks, D("2019-01-01")).tolist() == [True, True]


def test_what_tables_hold_besides():
    marks = pd.DataFrame({
        "mark_number": ["1", "2", "3"], "nice_class": [3, None, 5], "mark_registered_on": [D("1958-03-01"), None, D("2013-01-07")],
        "exclusive_until": [D("9999-12-31"), None, None],
    })  # fmt: skip
    decisions = pd.DataFrame({
        "mark_number": ["1", "3"], "nice_class": [None, None], "decided_on": [None, D("2015-01-01")], "mark_procedure": ["撤销", None],
        "decision_result": ["予以撤销", None],
    })  # fmt: skip
    assert valid_on(marks, D("2020-01-01"), decisions).tolist() == [True, False, True]
    assert valid_on(marks, D("2020-01-01"), decisions[:0], pd.DataFrame()).tolist() == [True, False, True]
    assert valid_on(marks[:0], D("2020-01-01"), decisions).tolist() == []


@QUICK
@given(COURSES, DAYS)
def test_what_is_over_is_not_valid(course, day):
    if ended_on(course, day):
        assert not is_valid(course, day)
    if course.registered is None:
        assert not is_valid(course, day, retroactive=True)
