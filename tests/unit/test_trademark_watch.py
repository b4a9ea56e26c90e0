"""Filings held against what is protected: whose a name is, which pairs are found, what is said of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import pandas as pd
import pytest

from spark_jobs.trademark import watch
from spark_jobs.trademark.deadlines import Stage
from spark_jobs.trademark.protected import HOLDERS_OF_A_COMMON_NAME, Kind
from spark_jobs.trademark.told import Told, applicants, attributed, is_person

UNTIL = dt.date(2025, 6, 30)
BORN = dt.date(2010, 5, 1)
CATERING, SOFTWARE = "H", "I"
RENEWALS = [
    "mark_number", "gazetted_on", "exclusive_until", "current_registrant", "former_subject_id", "current_subject_id", "is_given", "known_at", "is_transfer",
]  # fmt: skip
DECISIONS = ["mark_number", "nice_class", "decided_on", "mark_procedure", "decision_result", "known_at"]


def holder(subject: str, name: str | None, section: str = CATERING, born: dt.date | None = BORN) -> dict[str, Any]:
    return {
        "subject_id": subject, "trade_name": name, "registration_date": born, "industry_section": section, "district_name": "天河区", "value_kind": "observed",
        "known_at": pd.Timestamp(UNTIL),
    }  # fmt: skip


def mark(number: str, text: str, nice_class: int = 43, subject: str | None = None, **more: Any) -> dict[str, Any]:
    base = {
        "mark_number": number, "nice_class": nice_class, "trademark_name": text, "applicant_name": "外地某某商贸有限公司", "applicant_subject_id": subject,
        "agent_name": "某代理", "applied_on": dt.date(2024, 9, 1), "preliminarily_published_on": None, "mark_registered_on": None, "exclusive_until": None,
        "similar_groups": None, "applicant_address": "浙江省义乌市某路1号", "known_at": pd.Timestamp(UNTIL), "value_kind": "observed",
    }  # fmt: skip
    base |= more
    return {"registrant_name": base["applicant_name"], "registrant_subject_id": base["applicant_subject_id"]} | base


def told(
    holders: Sequence[dict[str, Any]],
    marks: Sequence[dict[str, Any]],
    ties: Sequence[tuple[str, str]] = (),
    renewals: Sequence[tuple] = (),
    decisions: Sequence[tuple] = (),
) -> Told:
    of = pd.DataFrame(list(holders)).astype(object)
    went = pd.DataFrame(list(renewals), columns=RENEWALS)
    places = {h["subject_id"]: h["district_name"] for h in holders}
    filed = pd.DataFrame([m | {"registered_code": None, "registered_name": places.get(m["applicant_subject_id"])} for m in marks]).astype(object)
    return Told(
        attributed(filed.where(filed.notna(), None), went, UNTIL), went, pd.DataFrame(list(decisions), columns=DECISIONS), of.where(of.notna(), None),
        pd.DataFrame(list(ties), columns=["subject_id", "other_subject_id"]), UNTIL,
    )  # fmt: skip


def alerts(of: Told, valid: list[bool] | None = None, lost: dict | None = None) -> list[watch.Alert]:
    rights = watch.rights(of, pd.Series(valid or [False] * len(of.marks)))
    pairs = watch.find(rights, of.marks)
    on = watch.known(of, rights, lost or {}, watch.closest(pairs, rights, of), set(zip(of.marks["mark_number"], of.marks["nice_class"], strict=True)))
    return watch.judged(pairs, rights, of, on)


def by_name(found: list[watch.Alert]) -> dict[tuple[str, str], str]:
    return {(a.pair["mark_number"], a.right.name): a.judged.verdict.name for a in found if a.right.kind is not Kind.LISTED}


SQUATTED = ["致美斋", "潘高寿", "泮溪酒楼", "皇上皇"]
HOLDERS = [holder(f"s{n}", name) for n, name in enumerate(SQUATTED)]


def test_who_files_many_names_of_others_is_suspect_and_who_files_one_is_not():
    series = [mark(str(n), name) for n, name in enumerate(["至美斋", "潘高受", "泮溪酒楼", "皇上黄"])]
    once = mark("9", "至美斋", applicant_name="外省另一家食品有限公司")
    found = by_name(alerts(told(HOLDERS, [*series, once])))
    assert found["0", "致美斋"] == "SUSPECT"
    assert found["9", "致美斋"] == "SIMILAR"


def test_own_people_older_filings_and_strange_goods_are_no_alert():
    holders = [holder("s0", "味香园"), holder("daughter", "美丽轩"), holder("sister", "福满楼")]
    ties = [("s0", "daughter"), ("s0", "sister")]
    marks = [
        mark("1", "味香园", subject="s0"), mark("2", "味香圆", subject="daughter"), mark("3", "味香圆", applied_on=dt.date(2009, 1, 1)),
        mark("4", "味香圆", nice_class=13), mark("5", "味香圆"), mark("6", "味香圆", subject="sister"),
    ]  # fmt: skip
    assert set(by_name(alerts(told(holders, marks, ties)))) == {("5", "味香园")}


def test_a_first_character_that_differs_clearly_is_no_alert():
    assert not alerts(told([holder("s0", "致美斋")], [mark("1", "茂美斋")]))
    assert alerts(told([holder("s0", "康帅傅")], [mark("1", "康师傅")]))


def of_marks(of: Told) -> list[watch.Right]:
    return [r for r in watch.rights(of, pd.Series([True] * len(of.marks))).rows if r.right_kind == "有效注册商标"]


def test_a_name_that_very_many_bear_belongs_to_nobody():
    many = [holder(f"s{n}", "五羊") for n in range(HOLDERS_OF_A_COMMON_NAME)]
    rights = watch.rights(told([*many, holder("one", "致美斋")], [mark("1", "某某")]), pd.Series([False]))
    assert [r.right_name for r in rights.rows if r.right_kind == "字号"] == ["致美斋"]
    # Its mark is one, for its goods only.
    of = told(many, [mark("1", "五羊", nice_class=32, subject="s3", mark_registered_on=dt.date(2020, 1, 1), similar_groups="3201")])
    (row,) = of_marks(of)
    assert (row.right_id, row.owner_subject_id, row.right_reach, row.similar_groups) == ("有效注册商标:s3:五羊", "s3", "own", "3201")


def test_marks_of_an_owner_are_one_right_in_all_their_classes_and_of_strangers_none():
    of = told(
        [holder("s0", "致美斋")],
        [
            mark("7", "美美", nice_class=30, subject="s0", mark_registered_on=dt.date(2021, 1, 1), applied_on=None),
            mark("6", "美美", nice_class=29, subject="s0", mark_registered_on=dt.date(2019, 1, 1), applied_on=dt.date(2018, 2, 3)),
            mark("5", "美美", nice_class=5, mark_registered_on=dt.date(2019, 1, 1)),
        ],
    )
    assert [(r.right_id, r.nice_classes, r.right_since) for r in of_marks(of)] == [("有效注册商标:s0:美美", "29|30", dt.date(2018, 2, 3))]


def test_a_listed_name_is_settled_where_all_who_bear_it_are_one_group():
    alone = watch.rights(told([holder("s0", "陶陶居")], [mark("1", "某")]), pd.Series([False]))
    row = alone.ids["名录:陶陶居"]
    assert alone.of(row, 43, UNTIL).unsettled() == ""
    several = watch.rights(told([holder("s0", "陶陶居"), holder("s1", "陶陶居")], [mark("1", "某")]), pd.Series([False]))
    assert "权利人" in several.of(several.ids["名录:陶陶居"], 43, UNTIL).unsettled()
    tied = watch.rights(told([holder("s0", "陶陶居"), holder("s1", "陶陶居")], [mark("1", "某")], [("s0", "s1")]), pd.Series([False]))
    assert tied.of(tied.ids["名录:陶陶居"], 43, UNTIL).owner == "s0"


def test_the_owner_beside_a_filing_is_who_trades_in_its_class():
    of = told([holder("old", "美味轩", SOFTWARE, dt.date(2000, 1, 1)), holder("cook", "美味轩", CATERING)], [mark("1", "美味轩")])
    (alert,) = [a for a in alerts(of) if a.right.kind.name == "TRADE_NAME"]
    assert alert.right.owner == "cook"
    assert alert.right.since == BORN


def test_a_pair_is_found_whichever_of_the_two_is_new():
    of = told(HOLDERS, [mark("1", "至美斋"), mark("2", "皇上黄"), mark("3", "泮溪酒楼有限公司"), mark("4", "无关之物")])
    rights = watch.rights(of, pd.Series([False] * 4))
    one = watch.find(rights, of.marks)
    other = watch.find(rights, of.marks, only=list(rights.ids))
    columns = ["right_id", "mark_number", "mark_similarity", "is_same_name", "adds_generic_word"]
    for found in (one, other):
        assert {"1", "2", "3"} <= set(found["mark_number"])
        assert "4" not in set(found["mark_number"])
    key = ["right_id", "mark_number"]
    pd.testing.assert_frame_equal(
        one[columns].sort_values(key).reset_index(drop=True), other[columns].sort_values(key).reset_index(drop=True), check_exact=False
    )


def test_persons_of_one_name_are_told_apart_by_where_they_live():
    marks = pd.DataFrame([
        mark("1", "甲", applicant_name="张伟"), mark("2", "乙", applicant_name="张伟", applicant_address="四川省成都市某街2号"),
        mark("3", "丙", applicant_name="张伟"), mark("4", "丁", applicant_name="张伟", applicant_address=None), mark("5", "戊", applicant_name="张伟", applicant_address=None),
        mark("6", "己"), mark("7", "庚", applicant_address=None),
    ])  # fmt: skip
    keys = applicants(marks)
    assert keys[0] == keys[2] != keys[1]
    assert keys[3] != keys[4]
    assert keys[5] == keys[6]


def test_where_a_mark_belongs_is_told_by_the_register_then_the_address_and_never_by_the_agent():
    of = told(
        [holder("s0", "致美斋")],
        [
            mark("1", "甲", subject="s0"), mark("2", "乙", applicant_address="广州市越秀区某路"), mark("3", "丙", applicant_address="广州某路"), mark("4", "丁"),
            mark("5", "戊", agent_name="广州某商标代理有限公司", applicant_address=None),
        ],
        renewals=[("4", dt.date(2025, 1, 1), None, "广州市致美斋有限公司", None, "s0", True, pd.Timestamp(UNTIL), True)],
    )  # fmt: skip
    assert list(of.marks["district_name"]) == ["天河区", "越秀区", "未分配", None, None]
    # A transfer makes another its owner, and moves nobody.
    assert list(of.marks["owner_subject_id"]) == ["s0", None, None, "s0", None]


@pytest.mark.parametrize(
    ("day", "published", "registered", "over", "stage", "due"),
    [
        ((2024, 1, 5), (2023, 12, 6), None, False, Stage.PUBLISHED, (2024, 3, 6)),
        ((2020, 10, 9), (2020, 7, 6), None, False, Stage.PUBLISHED, (2020, 10, 9)),
        ((2020, 10, 10), (2020, 7, 6), None, False, Stage.WAITING, None),
        ((2020, 12, 1), (2020, 7, 6), (2020, 10, 21), False, Stage.REGISTERED, (2025, 10, 21)),
        ((2025, 12, 1), (2020, 7, 6), (2020, 10, 21), False, Stage.SETTLED, None),
        ((2024, 1, 5), None, None, False, Stage.FILED, None),
        ((2024, 1, 5), (2023, 12, 6), None, True, Stage.ENDED, None),
    ],
)
def test_course(day, published, registered, over, stage, due):
    found = watch.course(dt.date(*day), published and dt.date(*published), registered and dt.date(*registered), over)
    assert (found.stage, found.due) == (stage, due and dt.date(*due))


def test_of_a_filing_those_alerts_stay_that_say_most():
    names = [f"美{c}轩" for c in "味香丽华景福兰云龙凤鹤松"]
    found = alerts(told([holder(f"s{n}", name) for n, name in enumerate(names)], [mark("1", "美味轩")]))
    assert len(found) <= watch.MOST_OF_A_FILING
    assert found[0].right.name == "美味轩"


def test_the_number_of_an_alert_is_the_same_for_ever():
    assert watch.alert_id("字号:致美斋", "123", 30) == "30BD426D644726FB"


def test_a_namesake_founded_just_before_is_no_excuse_and_an_old_one_is():
    new = holder("squatter", "味香园", born=dt.date(2024, 8, 15))
    series = [
        mark(str(n), name, subject="squatter", applicant_name="广州味香园贸易有限公司")
        for n, name in enumerate(["味香园", "潘高受", "泮溪酒楼", "皇上黄"])
    ]
    found = by_name(alerts(told([holder("s9", "味香园"), new, *HOLDERS], series)))
    assert found["0", "味香园"] in ("SIMILAR", "SUSPECT")
    assert found["3", "皇上皇"] == "SUSPECT"
    old = holder("other", "味香园", born=dt.date(2015, 1, 1))
    own = mark("1", "味香园", subject="other", applicant_name="广州味香园贸易有限公司")
    assert ("1", "味香园") not in by_name(alerts(told([holder("s9", "味香园"), old], [own])))


def test_a_holder_younger_than_the_filing_is_not_its_owner():
    of = told(
        [holder("old", "美味轩", SOFTWARE, dt.date(2000, 1, 1)), holder("young", "美味轩", CATERING, dt.date(2025, 2, 1))], [mark("1", "美味轩")]
    )
    assert [a.right.owner for a in alerts(of)] in ([], ["old"])


def test_by_the_day_of_publication_nobody_is_called_the_later_one():
    published = {"applied_on": None, "preliminarily_published_on": dt.date(2024, 10, 1)}
    holders = [holder(f"s{n}", name, born=dt.date(2024, 6, 1)) for n, name in enumerate(["味香园", "潘高轩", "泮溪居", "皇上阁"])]
    series = [mark(str(n), name, **published) for n, name in enumerate(["味香圆", "潘高宣", "泮溪局", "皇上各"])]
    assert set(by_name(alerts(told(holders, series))).values()) == {"SIMILAR"}
    long_before = [h | {"registration_date": BORN} for h in holders]
    assert "SUSPECT" in by_name(alerts(told(long_before, series))).values()


def test_only_what_is_sold_outside_the_group_speaks_against_its_seller():
    marks = [mark("1", "甲乙", subject="s0"), mark("2", "丙丁", subject="s0"), mark("3", "戊己", subject="s0")]
    when = dt.date(2025, 1, 1), None, "某公司"
    went = [
        ("1", *when, "s0", "daughter", True, pd.Timestamp(UNTIL), True), ("2", *when, "s0", None, True, pd.Timestamp(UNTIL), True),
        ("3", *when, "s0", None, False, pd.Timestamp(UNTIL), True),
    ]  # fmt: skip
    of = told([holder("s0", "味香园"), holder("daughter", "美味轩")], marks, [("s0", "daughter")], went)
    assert watch._given(of, watch.rights(of, pd.Series([False] * 3))) == {"2": dt.date(2025, 1, 1)}


@pytest.mark.parametrize(
    ("name", "person"),
    [
        ("张伟", True), ("艾尔肯·买买提", True), ("JOHN SMITH", True), ("Maria Garcia", True), ("张一行", True), ("义乌市某某商贸有限公司", False), ("ACME TRADING CO., LTD.", False),
        ("西湖区老王面馆", False), ("北京大学", False), ("某某集团（香港）有限公司", False), (None, False),
    ],
)  # fmt: skip
def test_who_may_be_a_person(name, person):
    assert is_person(name) is person


def test_persons_with_long_names_are_not_joined_by_name():
    marks = [
        mark(str(n), name, applicant_name="艾尔肯·买买提", applicant_address=f"新疆某地{n}号")
        for n, name in enumerate(["至美斋", "潘高受", "泮溪酒楼", "皇上黄"])
    ]
    assert set(by_name(alerts(told(HOLDERS, marks))).values()) == {"SIMILAR"}


def test_marks_without_words_are_like_nothing():
    of = told([holder("s0", "味香园")], [mark("1", "图形", subject="s0", mark_registered_on=dt.date(2020, 1, 1)), mark("2", "图形")])
    assert not alerts(of, [True, False])
    assert of_marks(of) == []


def test_nothing_told_is_nothing_said():
    of = told([holder("s0", "味香园")], [mark("1", "无关之物")])
    assert alerts(of) == []
    rights = watch.rights(of, pd.Series([False]))
    assert list(watch.find(rights, of.marks.iloc[:0]).columns) == watch.PAIRS
    assert list(watch.find(rights, of.marks, only=[]).columns) == watch.PAIRS
