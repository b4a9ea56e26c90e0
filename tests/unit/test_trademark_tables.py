"""What runs keep of each other: after any of them the pairs and alerts are those that a rebuild would give."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd
import pytest

from spark_jobs.trademark import tables, validity, watch
from spark_jobs.trademark.told import Told
from tests.unit.test_trademark_watch import SOFTWARE, holder, mark, told

DAY = dt.date(2020, 1, 1)


class Kept:
    """The tables between runs, in memory."""

    def __init__(self) -> None:
        self.frames: dict[str, pd.DataFrame] = {}
        self.newest = self.frames

    def stored(self, identity: str, columns: list[str]) -> pd.DataFrame:
        return self.frames[identity][list(columns)]

    def published(self, identity: str, columns: list[str]) -> pd.DataFrame:
        return self.frames[identity][list(columns)] if identity in self.frames else pd.DataFrame(columns=list(columns))

    def run(self, of: Told, anew: bool = False) -> dict[tuple[str, str], str]:
        """A run on what is told now; gives the alerts."""
        over = validity.is_over(of.marks, of.until, of.decisions)
        rights = watch.rights(of, validity.valid_on(of.marks, of.until, of.decisions, of.renewals))
        looked, watched = tables._filings(of, over)
        pairs = tables._pairs(self, of.marks[looked], rights, anew)  # type: ignore[arg-type]
        alerts, _ = tables._judged(of, rights, pairs, watched)
        pairs = tables._explained(pairs, alerts, of)
        compared = of.marks["words"].where(pd.Series(looked, index=of.marks.index), None)
        self.frames = {
            tables.MARKS: of.marks[["mark_number", "nice_class"]].assign(words_compared=compared, is_compared=looked),
            tables.RIGHTS: pd.DataFrame(rights.rows, columns=watch.RIGHTS)[["right_id", "nice_classes", "right_reach"]],
            tables.PAIRS: pairs,
        }
        self.shown = {(a.pair["mark_number"], a.right.right_id): a.judged.verdict.name for a in alerts}
        return self.shown


OWNERS = [holder(f"s{n}", name) for n, name in enumerate(["味香园", "潘高轩", "泮溪居", "皇上阁"])]
FILED = [mark("20", "美美", nice_class=30), mark("21", "白云堂", nice_class=30), mark("22", "味香圆"), mark("23", "潘高宣", applicant_name="张伟")]
OWN = {"subject": "s0", "applied_on": dt.date(2018, 1, 1), "mark_registered_on": DAY}
REFUSED = ("22", 43, dt.date(2025, 3, 1), "异议", "不予注册", pd.Timestamp(DAY))
OVERTURNED = ("22", 43, dt.date(2025, 5, 1), "不予注册复审", "准予注册", pd.Timestamp(DAY))
BEFORE: dict[str, Any] = {"holders": OWNERS, "marks": [*FILED, mark("10", "美美", nice_class=3, **OWN)]}
COURSES = {
    "a right that grows": [BEFORE, BEFORE | {"marks": [*BEFORE["marks"], mark("11", "美美", nice_class=30, **OWN)]}],
    "a text that was corrected": [BEFORE, BEFORE | {"marks": [*FILED, mark("10", "白云堂", nice_class=30, **OWN)]}],
    "a filing that comes back": [BEFORE, BEFORE | {"decisions": [REFUSED]}, BEFORE | {"decisions": [REFUSED, OVERTURNED]}],
    "an owner who leaves": [BEFORE, BEFORE | {"holders": OWNERS[1:]}, BEFORE],
    "a namesake who comes": [BEFORE | {"holders": [*OWNERS[1:], holder("s0", "味香园", SOFTWARE)]}, BEFORE | {"holders": [*OWNERS, holder("s9", "味香园", SOFTWARE)]}],
    "nothing near at first": [{"holders": [holder("s7", "无关轩")], "marks": [mark("1", "天地人")]}, BEFORE],
    "nothing at all later": [BEFORE, {"holders": [holder("s7", "无关轩")], "marks": [mark("1", "天地人")]}],
    "an application told after its registration": [
        BEFORE | {"marks": [*FILED, mark("30", "皇上各", applied_on=None, mark_registered_on=dt.date(2025, 1, 1))]},
        BEFORE | {"marks": [*FILED, mark("30", "皇上各", mark_registered_on=dt.date(2025, 1, 1))]},
    ],
    "an affiliate who is none any more": [BEFORE | {"marks": [*FILED, mark("31", "味香圆", subject="s1")], "ties": [("s0", "s1")]}, BEFORE | {"marks": [*FILED, mark("31", "味香圆", subject="s1")]}],
}  # fmt: skip


@pytest.mark.parametrize("course", COURSES.values(), ids=list(COURSES))
def test_run_after_run_gives_what_a_rebuild_gives(course):
    kept = Kept()
    kept.run(told(**course[0]), anew=True)
    for step in course[1:]:
        found = kept.run(told(**step))
        assert found == Kept().run(told(**step), anew=True)
        key = ["right_id", "mark_number", "nice_class"]
        assert not kept.frames[tables.PAIRS].duplicated(key).any()


def test_courses_say_something():
    """That what is compared above isn't nothing."""
    assert ("20", "有效注册商标:s0:美美") not in Kept().run(told(**BEFORE), anew=True)
    assert ("20", "有效注册商标:s0:美美") in Kept().run(told(**COURSES["a right that grows"][1]), anew=True)
    assert ("22", "字号:味香园") in Kept().run(told(**BEFORE), anew=True)
    assert ("22", "字号:味香园") not in Kept().run(told(**(BEFORE | {"decisions": [REFUSED]})), anew=True)


def test_the_first_day_of_an_alert_stays():
    kept = Kept()
    kept.run(told(**BEFORE), anew=True)
    first = kept.frames[tables.PAIRS].copy()
    first["first_alerted_on"] = first["first_alerted_on"].map(lambda d: DAY if isinstance(d, dt.date) else None)
    kept.frames[tables.PAIRS] = first
    for anew in (False, True):
        kept.run(told(**BEFORE), anew)
        days = kept.frames[tables.PAIRS]["first_alerted_on"].dropna()
        assert len(days)
        assert set(days) == {DAY}


def test_what_a_review_overturned_is_not_lost():
    of = told(**(BEFORE | {"decisions": [REFUSED, OVERTURNED]}))
    assert tables._lost(of) == {}
    assert tables._lost(told(**(BEFORE | {"decisions": [REFUSED]}))) == {("22", 43): dt.date(2025, 3, 1)}
    whole = ("22", None, dt.date(2025, 3, 1), "无效宣告", "宣告无效", pd.Timestamp(DAY))
    assert ("22", 43) in tables._lost(told(**(BEFORE | {"decisions": [whole]})))


def test_an_application_that_nobody_hears_of_is_not_watched_for_ever():
    day = dt.date(2025, 6, 30)
    filed = watch.course(day, None, None, False)
    assert watch.is_watched(day, filed, dt.date(2023, 6, 30), None)
    assert not watch.is_watched(day, filed, dt.date(2022, 6, 1), None)
    waiting = watch.course(day, dt.date(2021, 1, 6), None, False)
    assert not watch.is_watched(day, waiting, dt.date(2020, 6, 1), dt.date(2021, 1, 6))
    registered = watch.course(day, dt.date(2021, 1, 6), dt.date(2021, 4, 7), False)
    assert watch.is_watched(day, registered, dt.date(2020, 6, 1), dt.date(2021, 1, 6))
