"""What there is to tell of: the rows of the current release, and what the ledger says since. Columns are named one by one: none tells of a person.

The publisher reads everything in clear, so what is not asked for here can't get into a mail (tests/unit/test_notice_rows.py holds the columns against
their classification).
"""

from __future__ import annotations

import datetime as dt
from typing import Any, NamedTuple

import trino

from catalog.contract import load_contracts
from infra.ledger import Ledger
from infra.notices import Notice, alerts, deliveries, items, runs
from infra.querying import records
from infra.rectification import facts_of
from infra.rectification_export import UNITS
from infra.services.base import Context
from infra.services.trino import as_publisher
from spark_jobs import rectification

CALENDAR, ITEMS, ALERTS = "ops.delivery_calendar", "ops.rectification_items", "gold.trademark_alerts"
COLUMNS = {
    CALENDAR: ("feed", "feed_title", "department", "business_date", "due_on", "arrived_on", "punctuality", "value_kind"),
    # Without whom it was assigned to. The counts and moments are those from which an item is worked out as of now.
    ITEMS: (
        "item_id", "feed", "feed_title", "department", "item_scope", "rule_id", "rule_description", "severity", "value_kind", "item_open", "item_returned", "item_disputed",
        "item_exempted", "item_upheld", "item_mended", "item_withdrawn", "open_since", "record_returned_at", "item_began_at", "item_mended_at", "check_awaited_since",
        "times_reopened",
    ),
    # Without the applicant, the agent, the owner, their addresses and representatives, and without the reasons, which name them.
    ALERTS: (
        "alert_id", "right_name", "trademark_name", "mark_number", "nice_class", "mark_stage", "act_until", "act_until_latest", "is_provisional", "suggested_action",
        "alert_verdict", "alert_feedback", "value_kind",
    ),
}  # fmt: skip
WHERE = {CALENDAR: "arrived_on IS NULL", ITEMS: "item_open + item_exempted > 0", ALERTS: "alert_verdict = 'suspect'"}
IDLE = dt.timedelta(hours=1)  # a run at which nobody has worked for so long is left: a step that failed is tried again within seconds
_NOT_THERE = ("TABLE_NOT_FOUND", "COLUMN_NOT_FOUND", "SCHEMA_NOT_FOUND")


class Found(NamedTuple):
    """All that anybody is to be told on a day, whether or not they have been. ``left_out``: what could not be read, and why; ``is_whole``: trying again
    would find no more."""

    notices: list[Notice]
    left_out: tuple[str, ...]
    is_whole: bool


def find(context: Context, ledger: Ledger, today: dt.date) -> Found:
    """What there is to tell of on ``today``. A view that the release doesn't have is left out; without Trino, all but what the ledger says."""
    contracts = load_contracts()
    said = {
        "punctuality": dict(contracts[CALENDAR].column("punctuality").allowed),
        "escalation": dict(contracts[ITEMS].column("escalation").allowed),
        "mark_stage": dict(contracts[ALERTS].column("mark_stage").allowed),
        "unit": UNITS,
    }
    rows, left_out, is_whole = _rows(context)
    found = runs(ledger.stopped_runs(IDLE))
    found += deliveries(rows[CALENDAR], today, said)
    found += items(_as_of_now(context, ledger, rows[ITEMS], today), today, said)
    answered = ledger.newest_feedback()
    answers = [r | {"alert_feedback": answered.get(r["alert_id"], r["alert_feedback"])} for r in rows[ALERTS]]
    found += alerts(answers, ledger.notices(), contracts[ALERTS].department, today, said)
    return Found(found, tuple(left_out), is_whole)


def _rows(context: Context) -> tuple[dict[str, list[dict[str, Any]]], list[str], bool]:
    """The rows of each view; what could not be read; whether trying again would help with none of that."""
    found: dict[str, list[dict[str, Any]]] = {view: [] for view in COLUMNS}
    left_out: list[str] = []
    for view, columns in COLUMNS.items():
        sql = f"SELECT {', '.join(columns)} FROM lake.{view} WHERE {WHERE[view]}"  # noqa: S608 - our own columns
        try:
            found[view] = records(as_publisher(context).cursor(), sql, [])
        except trino.exceptions.TrinoUserError as error:
            if error.error_name not in _NOT_THERE:
                raise
            left_out.append(f"当前发布里没有 {view}，它的通知略过")
        except (trino.exceptions.Error, trino.exceptions.HttpError, OSError) as error:
            return found, [*left_out, f"Trino 没有应答（{type(error).__name__}），只有台账里的"], False
    return found, left_out, True


def _as_of_now(context: Context, ledger: Ledger, rows: list[dict[str, Any]], today: dt.date) -> list[dict[str, Any]]:
    """Items with what people have done since the last run, and the day: who has just been given more time is not late."""
    events: dict[rectification.Key, list[Any]] = {}
    for e in ledger.rectification_events() if rows else ():
        events.setdefault(rectification.key_of(e), []).append(e)
    terms = rectification.terms(context.settings, ledger) if rows else None
    found = []
    for row in rows:
        assert terms
        now = rectification.item(facts := facts_of(row), events.get(facts.item, []), today, terms)
        found.append(row | {"item_open": now.open, "rectify_by": now.deadline, "deadline_note": now.deadline_note, "escalation": now.escalation})
    return found
