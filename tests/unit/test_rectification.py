"""The rectification ledger: states, deadlines, escalation; that no record is lost; that SQL adds up what the definition says."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import replace

import duckdb
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.ledger import RectificationEvent
from spark_jobs import rectification, rectification_tables
from spark_jobs.punctuality import Due
from spark_jobs.reconciliation import Line
from spark_jobs.rectification import Failure, Key, Terms, Verdict, facts, item, items, verdicts, working_days_after
from spark_jobs.trademark import calendar

QUICK = settings(max_examples=80, deadline=None)
KEY = Key("penalties", "执法监督处", "rule", "decided_on_readable")
OTHER = Key("penalties", "天河区", "rule", "decided_on_readable")
TERMS = Terms(quarantine_days=5, warn_days=15, escalation_days=5)
MONDAY = dt.date(2026, 3, 2)  # five ordinary weeks follow


def at(day: int, hour: int = 12) -> dt.datetime:
    """A moment so many days after a Monday, by the clock of China."""
    return dt.datetime(2026, 3, 2, hour - 8, tzinfo=dt.UTC) + dt.timedelta(days=day)


def on(day: int) -> dt.date:
    return MONDAY + dt.timedelta(days=day)


def failed(record: str, begin: int, end: int | None = None, key: Key = KEY, severity: str = "quarantine") -> Failure:
    ref = f"D{begin:02}-{record}"
    return Failure(key, record, ref, at(begin), None if end is None else at(end), severity, mended_by=None if end is None else f"D{end:02}", label=record, file_name=f"{begin}.csv", delivery_id=f"D{begin:02}")  # fmt: skip


def did(kind: str, day: int, key: Key = KEY, **more) -> RectificationEvent:
    needed = {
        "assigned": {"owner": "数据科", "until": on(day + 7)}, "exempted": {"note": "系统改造", "until": on(day + 7)}, "lifted": {"note": "改造完成"},
        "exported": {"records": 1, "place": "清单.xlsx", "sha256": "0" * 64}, "noted": {"note": "已电话联系"},
    }  # fmt: skip
    return RectificationEvent(*key, kind, "steward", at(day, 15), **(needed.get(kind, {"note": "见附件"}) | more))


def seen(failures, events=(), day=20):
    """The one item that there is."""
    (found,) = items(facts(failures, verdicts(events)), events, on(day), TERMS)
    return found


# --- states -------------------------------------------------------------------------------------------------------------


def test_an_item_goes_from_found_to_closed_and_nobody_ticks_it_off():
    two = [failed("甲", 0), failed("乙", 0)]
    assert seen(two).state == "found"
    assign, export = did("assigned", 1), did("exported", 2)
    assert seen(two, [assign]).state == "assigned"
    assert seen(two, [assign, export]).state == "exported"
    one = [failed("甲", 0, 5), failed("乙", 0)]
    assert (seen(one, [assign, export]).state, seen(one, [assign, export]).open) == ("mending", 1)
    both = [failed("甲", 0, 5), failed("乙", 0, 6)]
    closed = seen(both, [assign, export])
    assert (closed.state, closed.closed_on, closed.deadline, closed.escalation) == ("closed", on(6), None, "none")
    # Whatever else people note.
    assert seen(two, [assign, export, did("noted", 3)]).state == "exported"


def test_a_delivery_that_came_after_the_list_was_handed_over_is_being_checked():
    (known,) = facts([failed("甲", 0)], {})
    events = [did("assigned", 1), did("exported", 2)]
    assert item(replace(known, waiting_at=at(4)), events, on(4), TERMS).state == "review"
    assert item(replace(known, waiting_at=at(1, 9)), events, on(4), TERMS).state == "exported"
    assert item(replace(known, waiting_at=at(4)), [], on(4), TERMS).state == "found"


def test_what_comes_back_reopens_until_it_is_handed_out_again():
    back = [failed("甲", 0, 5), failed("甲", 9)]
    events = [did("assigned", 1), did("exported", 2)]
    found = seen(back, events)
    assert (found.state, found.open, found.returned, found.mended, found.reopened, found.owner) == ("reopened", 1, 1, 0, 1, "数据科")
    assert seen(back, [*events, did("assigned", 10)]).state == "assigned"
    # One comes back while others were never mended: the item has not been closed, and yet something has returned.
    part = [*back, failed("乙", 0)]
    found = seen(part, events)
    assert (found.state, found.open, found.returned, found.reopened) == ("reopened", 2, 1, 0)
    # Mended and back between two looks, never handed out.
    assert seen(back).state == "reopened"


def test_another_record_of_the_same_kind_reopens_what_had_been_closed():
    again = [failed("甲", 0, 5), failed("乙", 9)]
    assert (seen(again).state, seen(again).returned, seen(again).reopened) == ("reopened", 0, 1)
    # What is mended by the delivery that brings the next one leaves no gap.
    assert (seen([failed("甲", 0, 5), failed("乙", 5)]).state, seen([failed("甲", 0, 5), failed("乙", 5)]).reopened) == ("found", 0)


def test_an_assignment_is_about_what_was_there_then():
    events = [did("assigned", 1)]
    later = seen([failed("甲", 0, 5), failed("乙", 3), failed("丙", 5)], events)
    assert (later.state, later.deadline) == ("found", working_days_after(on(3), 5))


def test_an_exemption_expires_by_itself():
    one = [failed("甲", 0), failed("乙", 0, 3)]
    exempt = did("exempted", 1, until=on(10))
    inside, after = seen(one, [exempt], day=10), seen(one, [exempt], day=11)
    assert (inside.state, inside.open, inside.exempted, inside.deadline, inside.escalation) == ("exempted", 0, 1, None, "none")
    assert (after.state, after.open, after.exempted, after.escalation) == ("found", 1, 0, "none")
    assert after.deadline == working_days_after(on(10), 5)
    lifted = seen(one, [exempt, did("lifted", 4)], day=5)
    assert (lifted.state, lifted.deadline) == ("found", working_days_after(on(4), 5))
    assert seen(one, [exempt, did("lifted", 4), did("exempted", 5, until=on(9))], day=8).state == "exempted"


def test_a_disputed_record_is_apart_until_somebody_decides():
    two = [failed("甲", 0), failed("乙", 0)]
    claim = did("disputed", 2, record="D00-甲")
    found = seen(two, [claim])
    assert (found.state, found.open, found.disputed) == ("found", 1, 1)
    one = [failed("甲", 0), failed("乙", 0, 4)]
    assert (seen(one, [claim]).state, seen(one, [claim]).escalation) == ("review", "none")
    right = seen(one, [claim, did("upheld", 5, record="D00-甲")])
    assert (right.state, right.open, right.exempted) == ("closed", 0, 1)
    wrong = seen(one, [claim, did("dismissed", 5, record="D00-甲")])
    assert (wrong.state, wrong.open, wrong.disputed) == ("found", 1, 0)
    # That the department is right holds when the same record is sent again; a dispute doesn't once the record was mended and came back.
    more = [*one, failed("甲", 6)]
    assert seen(more, [claim, did("upheld", 5, record="D00-甲")]).state == "closed"
    back = [failed("甲", 0, 3), failed("甲", 6)]
    assert (seen(back, [claim]).open, seen(back, [claim]).disputed) == (1, 0)
    # The last word counts, in whatever order they are read.
    words = [claim, did("upheld", 5, record="D00-甲"), did("dismissed", 6, record="D00-甲")]
    assert seen(two, words[::-1]).open == seen(two, words).open == 2
    # What was said of a record that is no longer there says nothing of others.
    assert seen(two, [did("disputed", 2, record="D00-丁")]).disputed == 0


# --- deadlines ------------------------------------------------------------------------------------------------------------


def test_deadlines_count_working_days_by_severity_and_escalate_by_the_day():
    one = [failed("甲", 0)]
    due = on(7)  # five working days after a Monday
    assert [(seen(one, day=d).deadline, seen(one, day=d).days_left, seen(one, day=d).escalation) for d in (7, 8, 14, 15)] == [
        (due, 0, "none"), (due, -1, "first"), (due, -7, "first"), (due, -8, "second"),
    ]  # fmt: skip
    assert seen([failed("甲", 0, severity="warn")]).deadline == on(21)
    assert seen(one, [did("assigned", 1, until=on(30))], day=29).escalation == "none"
    assert seen(one, [did("assigned", 1, until=on(3))], day=4).escalation == "first"


def test_no_deadline_runs_from_before_there_was_a_ledger():
    (known,) = facts([failed("甲", 0)], {})
    found = item(known, [], on(30), replace(TERMS, begun=on(28)))
    assert (found.deadline, found.escalation) == (working_days_after(on(28), 5), "none")


def test_holidays_are_no_working_days_and_where_they_are_not_announced_it_is_said():
    assert working_days_after(dt.date(2026, 9, 30), 1) > dt.date(2026, 10, 7)
    assert seen([failed("甲", 0)]).deadline_note is None
    beyond = replace(failed("甲", 0), failed_at=dt.datetime.combine(calendar.announced_until(), dt.time(), dt.UTC))
    (found,) = items(facts([beyond], {}), [], calendar.announced_until(), TERMS)
    assert str(calendar.announced_until()) in found.deadline_note


@given(st.dates(dt.date(2024, 1, 1), dt.date(2030, 1, 1)), st.integers(1, 40))
@QUICK
def test_so_many_working_days_lie_between(start, number):
    end = working_days_after(start, number)
    assert calendar.is_working_day(end)
    assert calendar.working_days_between(start, end) == number


# --- what holds of all ------------------------------------------------------------------------------------------------------

RECORDS = "甲乙丙丁"


@st.composite
def histories(draw) -> list[Failure]:
    """Failures of a few records, in spans as deliveries leave them: what is mended at a moment was mended by a delivery of that moment."""
    found = []
    for key in (KEY, OTHER)[: draw(st.integers(1, 2))]:
        for record in RECORDS[: draw(st.integers(1, 4))]:
            for begin in sorted(draw(st.sets(st.integers(0, 12), max_size=4))):
                end = draw(st.one_of(st.none(), st.integers(begin + 1, 14)))
                found.append(failed(record, begin, end, key, draw(st.sampled_from(["quarantine", "warn"]))))
    return found


@st.composite
def handlings(draw) -> list[RectificationEvent]:
    kinds = st.sampled_from(["assigned", "exported", "exempted", "lifted", "disputed", "upheld", "dismissed", "noted"])
    refs = st.builds(lambda begin, record: f"D{begin:02}-{record}", st.integers(0, 12), st.sampled_from(RECORDS))
    found = []
    for kind in draw(st.lists(kinds, max_size=8)):
        more = {"record": draw(refs)} if kind in rectification.VERDICTS else {}
        found.append(did(kind, draw(st.integers(0, 14)), draw(st.sampled_from([KEY, OTHER])), **more))
    return found


@given(histories(), handlings(), st.integers(0, 40), st.integers(0, 3), st.randoms(use_true_random=False))
@QUICK
def test_any_order_of_recording_tells_the_same_and_no_record_is_lost(failures, events, day, withdrawn, chance: random.Random):
    def told(failures, events):
        known = [replace(f, withdrawn=withdrawn) for f in facts(failures, verdicts(events))]
        return items(chance.sample(known, len(known)), events, on(day), TERMS)

    found = told(failures, events)
    assert told(chance.sample(failures, len(failures)), chance.sample(events, len(events))) == found
    for i in found:
        ever = len({f.record for f in failures if f.item == i.item})
        assert i.records == i.open + i.disputed + i.exempted + i.mended + i.withdrawn
        assert i.records == ever + (withdrawn if ever else 0)
        assert i.returned <= i.open
        assert (i.state == "closed") == (i.open + i.disputed == 0 and i.state != "exempted")
        assert (i.deadline is None) == (i.open == 0)
        assert (i.escalation == "none") == (i.deadline is None or i.days_left >= 0)
        assert i.state in rectification.STATES
        assert i.escalation in rectification.ESCALATIONS


@given(histories(), handlings(), st.integers(0, 40))
@QUICK
def test_time_alone_changes_nothing_but_exemptions_and_what_is_overdue(failures, events, day):
    known = facts(failures, verdicts(events))
    for now, later in zip(items(known, events, on(day), TERMS), items(known, events, on(day + 1), TERMS), strict=True):
        if now.state == later.state:
            order = rectification.ESCALATIONS
            assert order.index(now.escalation) <= order.index(later.escalation)
            assert now.deadline == later.deadline
        else:
            assert now.state == "exempted"


TABLES = """
    CREATE TABLE problems (feed TEXT, rule_id TEXT, severity TEXT, delivery_id TEXT, row_number BIGINT, known_at TIMESTAMP, resolved_at TIMESTAMP,
        resolved_by TEXT, record_id TEXT, record_label TEXT);
    CREATE TABLE came (delivery_id TEXT, department TEXT, file_name TEXT, simulated BOOLEAN);
    CREATE TABLE said (feed TEXT, department TEXT, rule_id TEXT, record_ref TEXT, verdict TEXT, said_at TIMESTAMP);
    CREATE TABLE which (feed TEXT, department TEXT, rule_id TEXT, item_id TEXT)"""


def naive(moment: dt.datetime | None) -> dt.datetime | None:
    return moment.astimezone(dt.UTC).replace(tzinfo=None) if moment else None


def drawn(chance: random.Random, number: int) -> tuple[list[Failure], dict[tuple[Key, str], Verdict]]:
    """Made-up histories of so many rules, and what was said of their records, each thing at a moment of its own."""
    failures: list[Failure] = []
    said: dict[tuple[Key, str], Verdict] = {}
    for n in range(number):
        key = Key("penalties", chance.choice("甲乙") + "区", "rule", f"rule_{n:03}")
        for row, record in enumerate(RECORDS[: chance.randint(1, 4)], 1):
            for begin in sorted(chance.sample(range(13), chance.randint(1, 4))):
                delivery, severity = f"D{key.department[0]}{begin:02}", chance.choice(["quarantine", "warn"])
                end = chance.choice([None, chance.randint(begin + 1, 14)])
                f = failed(record, begin, end, key, severity)
                failures.append(replace(f, ref=f"{delivery}-{row}", delivery_id=delivery))
                if chance.random() < 0.25:
                    when = at(chance.randint(begin, 14)) + dt.timedelta(seconds=len(said) + 1)
                    said[key, f"{delivery}-{row}"] = Verdict(chance.choice(rectification.VERDICTS), when)
    return failures, said


def test_sql_adds_up_what_the_definition_says():
    failures, said = drawn(random.Random(41), 600)
    keys = sorted({f.item for f in failures})
    hold = {
        "problems": [
            (f.item.feed, f.item.rule, f.severity, f.delivery_id, int(f.ref.partition("-")[2]), naive(f.failed_at), naive(f.mended_at), f.mended_by, f.record, f.label)
            for f in failures
        ],
        "came": [(delivery, department, name, False) for delivery, name, department in sorted({(f.delivery_id, f.file_name, f.item.department) for f in failures})],
        "said": [(key.feed, key.department, key.rule, ref, v.kind, naive(v.at)) for (key, ref), v in said.items()],
        "which": [(key.feed, key.department, key.rule, key.item_id) for key in keys],
    }  # fmt: skip
    names = {table: table for table in hold}
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'; SET threads = 1")
        database.execute(TABLES)
        for table, rows in hold.items():
            places = ", ".join(f"({', '.join('?' * len(rows[0]))})" for _ in rows)
            database.execute(f"INSERT INTO {table} VALUES {places}", [value for row in rows for value in row])
        found = database.execute(rectification_tables.FACTS.format(**names, micros="epoch_us", hash="hash")).fetchall()
        rows = database.execute(rectification_tables.NAMED.format(**names)).fetchall()
    expected = facts(failures, said)
    assert sorted((rectification_tables.facts_of(row) for row in found), key=lambda f: f.item) == expected
    assert {state for f in expected for state in ("open", "returned", "disputed", "upheld", "mended") if getattr(f, state)} == {"open", "returned", "disputed", "upheld", "mended"}  # fmt: skip
    # The records that are left, too, each by the row that failed last; of which there is a digest where there are any.
    named = {(r[0], r[1]): r for group in rectification_tables.left(failures, said).values() for r in group}
    shown = {(r[0], r[1]): r for r in rows}
    assert len(rows) == len(shown)
    assert shown.keys() == named.keys()
    for key, r in shown.items():
        assert (*r[2:9], r[10], r[12], r[13] is None, r[14]) == (
            *named[key][2:9],
            named[key][10],
            named[key][12],
            named[key][13] is None,
            named[key][14],
        )
    assert {Key(r[0], r[1], "rule", r[2]).item_id for r in found if r[-1] is not None} == {identity for identity, _ in named}


# --- deliveries and periods -----------------------------------------------------------------------------------------------


def test_a_delivery_that_never_came_is_open_and_one_that_came_late_is_mended():
    due = [
        Due("penalties", "执法监督处", on(0), on(3), on(9), "late", 6, False), Due("penalties", "执法监督处", on(7), on(10), None, "missing", 9, False),
        Due("penalties", "执法监督处", on(14), on(17), on(16), "on_time", 0, False), Due("penalties", "执法监督处", on(21), on(24), None, "awaited", 0, False),
    ]  # fmt: skip
    (found,) = items(facts(rectification_tables._missing(due), {}), [], on(19), TERMS)
    assert (found.item.scope, found.open, found.mended, found.open_since, found.state) == ("missing", 1, 1, on(11), "reopened")
    said = {(found.item, str(on(7))): Verdict("upheld", at(19))}
    (found,) = items(facts(rectification_tables._missing(due), said), [], on(19), TERMS)
    assert (found.state, found.exempted) == ("closed", 1)


def test_a_period_of_which_less_came_is_open_since_its_delivery_arrived():
    line = Line("行政处罚", on(6), on(0), "penalties", "执法监督处", on(6), 9, 8, "short", False)
    (failure,) = rectification_tables._unsent(
        [line, replace(line, status="matched"), replace(line, business_date=None)], {("penalties", on(6)): at(8)}
    )
    assert (failure.failed_at, failure.label) == (at(8), f"{on(0)} 至 {on(6)}：来源 9 条，送达 8 条")
