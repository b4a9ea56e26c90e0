"""Deadlines against marks: examples of the office, the law's way of counting, and what holds of all days."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_jobs.trademark import calendar, deadlines
from spark_jobs.trademark.deadlines import Stage

QUICK = settings(max_examples=60, deadline=None)  # the first example loads tables
D = dt.date.fromisoformat
SURE = calendar.announced_until()
KNOWN = st.dates(dt.date(2004, 1, 1), SURE - dt.timedelta(days=125))
ANY = st.dates(dt.date(2004, 1, 1), dt.date(2040, 12, 31))


@pytest.mark.parametrize(
    ("published", "due"),
    [("2023-12-06", "2024-03-06"), ("2020-07-06", "2020-10-09"), ("2017-07-06", "2017-10-09"), ("2016-11-30", "2017-02-28")],
)
def test_opposition(published, due):
    found = deadlines.opposition(D(published))
    assert (found.due, found.provisional, found.note) == (D(due), False, "")


def test_a_shifted_workday_is_a_working_day():
    # 2021-02-07 and 2021-09-18 were a Sunday and a Saturday on which offices worked.
    assert deadlines.opposition(D("2020-11-07")).due == D("2021-02-07")
    assert deadlines.opposition(D("2021-06-18")).due == D("2021-09-18")


@QUICK
@given(KNOWN)
def test_a_deadline_within_the_table_is_the_first_working_day_from_the_end_of_the_period(published):
    found = deadlines.opposition(published)
    assert not found.provisional
    assert calendar.is_working_day(found.due)
    assert found.due == found.expected >= found.runs_out
    assert calendar.working_days_between(found.runs_out - calendar.DAY, found.due) == 1


@QUICK
@given(ANY, st.integers(0, 500))
def test_a_later_publication_never_has_an_earlier_deadline(published, later):
    one, other = deadlines.opposition(published), deadlines.opposition(published + later * calendar.DAY)
    assert one.due <= other.due
    assert one.expected <= other.expected
    assert one.latest <= other.latest


@QUICK
@given(st.dates(SURE - dt.timedelta(days=85), dt.date(2060, 1, 1)))
def test_beyond_the_table_the_earlier_day_is_shown_and_said_to_be_provisional(published):
    found = deadlines.opposition(published)
    assert found.provisional
    assert found.note.startswith("暂定")
    assert found.runs_out <= found.due <= found.expected < found.latest
    assert "以最新通知为准" in found.note
    assert not calendar.is_lawful_holiday(found.due)


@pytest.fixture
def table_until_2026(monkeypatch):
    """Days of 2027 as if no notice was there, also once chinesecalendar has them."""
    functions = (calendar.announced_until, calendar.is_working_day, calendar.may_be_working_day, deadlines.opposition)
    for f in functions:
        f.cache_clear()
    monkeypatch.setattr(calendar.constants, "holidays", {d: h for d, h in calendar.constants.holidays.items() if d.year <= 2026})
    yield
    for f in functions:
        f.cache_clear()


@pytest.mark.usefixtures("table_until_2026")
def test_beyond_the_table_by_example():
    # 2027-01-30 is a Saturday a week before the Spring Festival of 2027-02-06: the notice may make it a workday.
    found = deadlines.opposition(D("2026-10-30"))
    assert (found.due, found.expected) == (D("2027-01-30"), D("2027-02-01"))
    assert found.expected.isoformat() in found.note
    # A holiday of the law itself can't become a workday: from 1 October 2027, a Friday, to 3 October.
    assert deadlines.opposition(D("2027-07-01")).due == D("2027-10-04")
    # Spring Festival 2027: its eve is 5 February.
    assert deadlines.opposition(D("2026-11-06")).due == D("2027-02-09")


def test_last_days_of_the_table_are_not_sure():
    # 2018-12-29, 30 and 31 were changed by the notice for 2019.
    assert (SURE.month, SURE.day) == (12, 25)
    assert deadlines.opposition(dt.date(SURE.year, 9, 15)).provisional is False
    assert deadlines.opposition(dt.date(SURE.year, 9, 30)).provisional is True
    moved = [d for d in (*calendar.constants.holidays, *calendar.constants.workdays) if d.month == 12]
    assert min((d.month, d.day) for d in moved) >= calendar.UNSURE_FROM


def test_before_the_table():
    found = deadlines.opposition(D("2003-06-12"))
    assert found.provisional
    assert deadlines.opposition(D("2003-10-15")).provisional is False


def test_the_draft_of_2025_is_not_law():
    assert deadlines.period("opposition", D("2026-11-30")).months == 3
    found = deadlines.opposition(D("2026-03-06"))
    assert (found.due, found.if_draft) == (D("2026-06-08"), D("2026-05-06"))
    assert "修订草案拟改为二个月，如已施行则为2026-05-06" in found.note
    # Of what was published before there was a draft, nothing is said of it.
    before = deadlines.opposition(D("2025-11-30"))
    assert before.if_draft is None
    assert "草案" not in before.note
    with pytest.raises(LookupError, match="0 periods"):
        deadlines.period("oposition", D("2020-01-01"))


def test_marks_older_than_the_law():
    assert deadlines.term(D("1958-03-01")).until == D("1968-02-29")
    assert deadlines.invalidation(D("1958-03-01")).due == D("1959-03-01")
    assert deadlines.invalidation(D("2001-11-30")).due == D("2002-11-30")
    assert deadlines.invalidation(D("2001-12-01")).due == D("2006-12-01")
    assert deadlines.stage_on(D("2026-01-01"), registered=D("1958-03-01")) is Stage.SETTLED


def test_every_period_names_its_source_and_no_two_hold_at_once():
    assert all("商标法" in p.legal_source for p in deadlines.periods())
    for name in {p.name for p in deadlines.periods()}:
        assert deadlines.period(name, D("2014-04-30"))
        assert deadlines.period(name, D("2014-05-01"))


def test_a_law_that_changes_is_a_row(monkeypatch):
    old = deadlines.period("opposition", D("2026-01-01"))
    new = deadlines.Period("opposition", 2, "from_next_day", True, D("2028-01-01"), None, "商标法")
    changed = deadlines.Period("opposition", 3, "from_next_day", True, old.valid_from, D("2027-12-31"), "商标法")
    monkeypatch.setattr(deadlines, "periods", lambda: (changed, new))
    assert deadlines.period("opposition", D("2027-12-31")).months == 3
    assert deadlines.period("opposition", D("2028-01-01")).months == 2


def test_days_left():
    found = deadlines.opposition(D("2020-07-06"))
    assert [found.days_left(D(d)) for d in ("2020-10-09", "2020-10-08", "2020-10-10")] == [0, 1, -1]
    assert [found.working_days_left(D(d)) for d in ("2020-09-30", "2020-09-29", "2020-10-09", "2020-10-12")] == [1, 2, 0, 0]


def test_term_ends_on_the_day_before_and_has_a_grace():
    found = deadlines.term(D("2016-02-14"))
    assert (found.until, found.renew_from, found.renew_until, found.grace_until) == (
        D("2026-02-13"), D("2025-02-14"), D("2026-02-13"), D("2026-08-13"),
    )  # fmt: skip
    assert deadlines.term(D("2016-02-29")).until == D("2026-02-28")  # no corresponding day: the last of the month
    assert deadlines.term(D("2010-01-01"), D("2021-05-06")).until == D("2021-05-06")
    assert deadlines.term(D("2003-06-01")).renew_from == D("2012-12-01")  # six months before the end, by the law of that time


def test_invalidation_and_non_use():
    assert deadlines.invalidation(D("2020-02-29")).due == D("2025-02-28")
    assert deadlines.non_use_from(D("2020-06-14")) == D("2023-06-15")


@pytest.mark.parametrize(
    ("day", "stage"),
    [
        ("2020-07-05", Stage.FILED),
        ("2020-07-06", Stage.PUBLISHED),
        ("2020-10-09", Stage.PUBLISHED),
        ("2020-10-10", Stage.WAITING),
        ("2020-10-21", Stage.REGISTERED),
        ("2025-10-21", Stage.REGISTERED),
        ("2025-10-22", Stage.SETTLED),
        ("2026-01-01", Stage.ENDED),
    ],
)
def test_stages(day, stage):
    assert deadlines.stage_on(D(day), D("2020-07-06"), D("2020-10-21"), D("2026-01-01")) is stage


def test_an_opposed_mark_waits_for_the_decision():
    assert deadlines.stage_on(D("2021-01-05"), D("2020-07-06"), opposed_until=D("2021-06-01")) is Stage.OPPOSED
    assert deadlines.stage_on(D("2021-01-05"), D("2020-07-06"), is_opposed=True) is Stage.OPPOSED


@pytest.mark.usefixtures("table_until_2026")
@pytest.mark.parametrize(
    ("published", "asked"), [("2027-07-04", "2027-10-05"), ("2026-11-10", "2027-02-11"), ("2027-01-05", "2027-04-06"), ("2026-10-30", "2027-02-01")]
)
def test_nobody_is_told_that_it_is_too_late_while_it_may_not_be(published, asked):
    found = deadlines.opposition(D(published))
    assert deadlines.stage_on(found.due, D(published)) is Stage.PUBLISHED
    assert deadlines.stage_on(D(asked), D(published)) is Stage.UNSURE
    assert "可能已届满，待核实" in deadlines.action(Stage.UNSURE)
    assert deadlines.stage_on(found.latest, D(published)) is Stage.UNSURE
    assert deadlines.stage_on(found.latest + calendar.DAY, D(published)) is Stage.WAITING


def test_the_longest_holidays_announced_fit_into_what_is_unknown():
    runs, run = [0], 0
    for k in range((SURE - calendar.announced_from()).days + 1):
        run = 0 if calendar.is_working_day(calendar.announced_from() + k * calendar.DAY) else run + 1
        runs.append(run)
    assert 8 <= max(runs) <= deadlines.UNKNOWN_HOLIDAYS


def test_whether_the_five_years_move_is_open():
    # 2026-10-01 to 07 were holidays.
    found = deadlines.invalidation(D("2021-10-02"))
    assert (found.due, found.expected, found.provisional) == (D("2026-10-02"), D("2026-10-08"), False)
    assert "是否顺延待确认" in found.note
    assert found.expected.isoformat() in found.note
    assert deadlines.stage_on(D("2026-10-08"), registered=D("2021-10-02")) is Stage.REGISTERED
    assert deadlines.stage_on(D("2026-10-09"), registered=D("2021-10-02")) is Stage.SETTLED
    assert "顺延" not in deadlines.invalidation(D("2020-10-21")).note


def test_a_running_year_may_still_be_changed():
    """2019-04-28 became a workday in March 2019."""
    assert "以最新通知为准" in deadlines.opposition(dt.date(SURE.year, 2, 2)).note
    assert deadlines.opposition(D("2018-12-28")).note == ""


def test_days_of_other_kinds():
    day = D("2020-07-06")
    for same in (pd.Timestamp(day), dt.datetime(2020, 7, 6, 9, 30)):
        assert deadlines.opposition(same) == deadlines.opposition(day)
        assert deadlines.invalidation(same) == deadlines.invalidation(day)
        assert deadlines.non_use_from(same) == deadlines.non_use_from(day)
        assert deadlines.term(same, same) == deadlines.term(day, day)
        assert deadlines.stage_on(same, same, pd.NaT) is Stage.PUBLISHED
    with pytest.raises(TypeError, match="no day"):
        deadlines.opposition(pd.NaT)


def test_a_term_without_end():
    found = deadlines.term(D("2020-01-01"), dt.date.max)
    assert found.until == found.renew_until == found.grace_until == dt.date.max
    assert deadlines.opposition(dt.date.max).due == dt.date.max


def test_every_stage_has_an_action():
    assert all(deadlines.action(stage) for stage in Stage)
    said = deadlines.action(Stage.REGISTERED, D("2020-01-01"), D("2024-01-01"))
    assert "三年不使用" in said
