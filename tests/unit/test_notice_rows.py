"""What is asked for, so that nothing of a person can get into a mail, and what becomes of a view that isn't there."""

import datetime as dt
import re
from types import SimpleNamespace

import pytest
import trino

from catalog.contract import load_contracts
from catalog.derive import view_columns
from infra import notice_rows
from infra.ledger import RectificationEvent, StoppedRun
from spark_jobs import rectification
from spark_jobs.rectification import Failure, Key

CONTRACTS = load_contracts()
TODAY = dt.date(2026, 12, 1)
# Classed as general, for most of them are firms. These are not: they are, name or may name a person.
PEOPLE = re.compile(r"applicant|agent|owner|legal_representative|address|assigned|reason|why_|names_hit|label|telephone|contact")
ITEM = Key("penalties", "执法监督处", "rule", "decided_on_not_future")
TERMS = {"rectification": {"quarantine_days": 5, "warn_days": 15, "escalation_days": 5}}


class Ledger:
    """As much of a ledger as is asked."""

    def __init__(self, events=(), feedback=None, stopped=()):
        self.events, self.feedback, self.stopped = list(events), feedback or {}, list(stopped)

    def stopped_runs(self, idle):
        assert idle == notice_rows.IDLE
        return self.stopped

    def newest_feedback(self):
        return self.feedback

    def notices(self):
        return []

    def rectification_events(self):
        return self.events

    def rectification_begun(self):
        return dt.date(2020, 1, 1)


class Views:
    """Answers like Trino, by view: rows, or an error to raise. ``asked``: the statements."""

    def __init__(self, **rows):
        self.rows, self.asked = {name.replace("__", "."): found for name, found in rows.items()}, []

    def cursor(self):
        return self

    def execute(self, sql, values):
        self.asked.append(sql)
        columns, view = re.fullmatch(r"SELECT (.*) FROM lake\.(\S+) WHERE .*", sql).groups()
        found = self.rows.get(view, [])
        if isinstance(found, Exception):
            raise found
        names = columns.split(", ")
        self.description = [(name,) for name in names]
        self.found = [tuple(row[name] for name in names) for row in found]
        return self

    def fetchall(self):
        return self.found


@pytest.fixture
def find(monkeypatch):
    def of(views, ledger=None):
        monkeypatch.setattr(notice_rows, "as_publisher", lambda context: views)
        return notice_rows.find(SimpleNamespace(settings=SimpleNamespace(values=TERMS)), ledger or Ledger(), TODAY)

    return of


def user_error(name):
    return trino.exceptions.TrinoUserError({"errorName": name, "errorType": "USER_ERROR", "message": "line 1:1: gone"}, "q")


def overdue(feed="penalties", **more):
    return {
        "feed": feed, "feed_title": "行政处罚", "department": "执法监督处", "business_date": TODAY, "due_on": TODAY - dt.timedelta(days=8), "arrived_on": None,
        "punctuality": "overdue", "value_kind": "observed",
    } | more  # fmt: skip


def suspect(**more):
    until = TODAY + dt.timedelta(days=5)
    return {
        "alert_id": "A1", "right_name": "云朗阁", "trademark_name": "云郎阁", "mark_number": "1", "nice_class": 43, "mark_stage": "published", "act_until": until,
        "act_until_latest": until, "is_provisional": False, "suggested_action": "异议", "alert_verdict": "suspect", "alert_feedback": None, "value_kind": "observed",
    } | more  # fmt: skip


def item_row(days_ago=60):
    failed = dt.datetime(2026, 12, 1, tzinfo=dt.UTC) - dt.timedelta(days=days_ago)
    (f,) = rectification.facts([Failure(ITEM, "1", "D1-1", failed, None, "quarantine")], {})
    return {
        "item_id": ITEM.item_id, "feed": ITEM.feed, "feed_title": "行政处罚", "department": ITEM.department, "item_scope": ITEM.scope, "rule_id": ITEM.rule,
        "rule_description": "处罚日期不晚于今天", "severity": f.severity, "value_kind": "observed", "item_open": 1, "item_returned": 0, "item_disputed": 0, "item_exempted": 0,
        "item_upheld": 0, "item_mended": 0, "item_withdrawn": 0, "open_since": f.open_since, "record_returned_at": None, "item_began_at": f.began_at, "item_mended_at": None,
        "check_awaited_since": None, "times_reopened": 0,
    }  # fmt: skip


def test_no_column_that_is_asked_for_tells_of_a_person(find):
    views = Views()
    find(views)
    assert len(views.asked) == 3
    for sql in views.asked:
        columns, view = re.fullmatch(r"SELECT (.*) FROM lake\.(\S+) WHERE .*", sql).groups()
        names = columns.split(", ")
        declared = {c.name: c for c in view_columns(CONTRACTS[view])}
        assert "*" not in columns
        assert set(names) <= declared.keys()
        assert {n: declared[n].classification for n in names} == dict.fromkeys(names, "一般")
        assert [n for n in names if PEOPLE.search(n)] == []


def test_the_pattern_knows_the_columns_that_it_is_for():
    alerts = {c.name for c in CONTRACTS["gold.trademark_alerts"].columns}
    named = {"applicant_name", "agent_name", "owner_name", "legal_representative", "registered_address", "names_hit", "why_suspected", "why_similar"}
    assert named <= {n for n in alerts if PEOPLE.search(n)}
    assert PEOPLE.search("assigned_to")


def test_all_that_there_is_becomes_notices(find):
    stopped = StoppedRun("r", "gated", dt.datetime(2026, 12, 1, tzinfo=dt.UTC))
    found = find(
        Views(ops__delivery_calendar=[overdue()], ops__rectification_items=[item_row()], gold__trademark_alerts=[suspect()]),
        Ledger(stopped=[stopped]),
    )
    assert {(n.kind, n.to) for n in found.notices} == {
        ("run", "operators"), ("delivery", "执法监督处"), ("item", "执法监督处"), ("summary", "stewards"), ("alert", "知识产权保护处")
    }  # fmt: skip
    assert (found.left_out, found.is_whole) == ((), True)


@pytest.mark.parametrize("error", ["TABLE_NOT_FOUND", "COLUMN_NOT_FOUND", "SCHEMA_NOT_FOUND"])
def test_a_view_that_an_old_release_lacks_is_left_out_and_the_others_are_read(find, error):
    found = find(Views(ops__rectification_items=user_error(error), ops__delivery_calendar=[overdue()], gold__trademark_alerts=[suspect()]))
    assert {n.kind for n in found.notices} == {"delivery", "alert"}
    assert found.left_out == ("当前发布里没有 ops.rectification_items，它的通知略过",)
    assert found.is_whole  # trying again finds no more


def test_what_is_refused_for_another_reason_is_a_fault(find):
    with pytest.raises(trino.exceptions.TrinoUserError):
        find(Views(gold__trademark_alerts=user_error("PERMISSION_DENIED")))


@pytest.mark.parametrize("error", [ConnectionRefusedError(), trino.exceptions.TrinoConnectionError("away"), trino.exceptions.HttpError("502")])
def test_without_trino_the_operators_are_still_told_of_a_run_that_stopped(find, error):
    views = Views(ops__delivery_calendar=error)
    found = find(views, Ledger(stopped=[StoppedRun("r", "open", dt.datetime(2026, 12, 1, tzinfo=dt.UTC))]))
    assert [n.kind for n in found.notices] == ["run"]
    assert len(views.asked) == 1
    assert "Trino 没有应答" in found.left_out[0]
    assert not found.is_whole


def test_who_has_just_been_given_more_time_is_not_late(find):
    views = Views(ops__rectification_items=[item_row()])
    assert [n.kind for n in find(views).notices] == ["item", "summary"]
    now, later = dt.datetime(2026, 12, 1, 0, 30, tzinfo=dt.UTC), TODAY + dt.timedelta(days=14)
    for kind, more in (("assigned", {"owner": "数据科", "until": later}), ("exempted", {"until": later, "note": "改造"})):
        assert find(views, Ledger([RectificationEvent(*ITEM, kind, "steward", now, **more)])).notices == []


def test_what_was_answered_after_the_release_counts(find):
    views = Views(
        gold__trademark_alerts=[suspect(), suspect(alert_id="A2", alert_feedback="rejected"), suspect(alert_id="A3", alert_feedback="rejected")]
    )
    found = find(views, Ledger(feedback={"A1": "rejected", "A2": "confirmed"}))
    assert [n.key.split("/")[1] for n in found.notices] == ["A2"]
