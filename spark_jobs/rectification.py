"""The rectification ledger (整改台账): what became of each kind of problem, from its facts, from what people did, and from the day.

An item is a kind of problem of a feed, of one department. Its facts are failures of records, each until something later mends it; nobody ticks one off.
What people do is events of the ledger, which are only added to. The state is worked out from both, never stored:

found → assigned → exported → mending → review → closed, once no record is open;
reopened, where records are open again after they had been mended, until somebody assigns or exports the item again;
exempted until a day. Being overdue, and how far that is escalated, is beside the state.

Pure but for `terms`: no Spark, no clock.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import NamedTuple

from infra.clock import china_day
from infra.ledger import Ledger, RectificationEvent
from infra.settings import Settings
from spark_jobs.trademark import calendar

SCOPES = ("rule", "refused", "held", "missing", "unsent")
STATES = ("found", "assigned", "exported", "mending", "review", "reopened", "exempted", "closed")
ESCALATIONS = ("none", "first", "second")
VERDICTS = ("disputed", "upheld", "dismissed")


class Key(NamedTuple):
    """What an item is about. ``scope``: one of `SCOPES`; ``rule``: of the contract, or what stands for it."""

    feed: str
    department: str
    scope: str
    rule: str

    @property
    def item_id(self) -> str:
        """``Z`` and 8 hex digits, the same for ever."""
        return "Z" + hashlib.sha256("\n".join(self).encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Failure:
    """A record that failed at a moment, until another (None: it still does).

    ``record`` tells records of an item apart, ``ref`` is what people call this failure by: delivery and row, a delivery, or a day.
    """

    item: Key
    record: str
    ref: str
    failed_at: dt.datetime
    mended_at: dt.datetime | None
    severity: str
    simulated: bool = False
    mended_by: str | None = None
    label: str = ""
    file_name: str | None = None
    delivery_id: str | None = None


@dataclass(frozen=True)
class Verdict:
    """What was last said of a disputed record: one of `VERDICTS`. ``upheld``: the department is right."""

    kind: str
    at: dt.datetime


@dataclass(frozen=True)
class Facts:
    """What is known of an item's records, each of which is counted once, as open, disputed, upheld or mended.

    ``returned``: of the open ones, those that had been mended. ``open_since``: when the oldest open record failed. ``returned_at``: when a record last
    came back. ``episodes``: how often records became open when none was; ``began_at``: the last time. ``withdrawn``: rows of deliveries that were
    withdrawn. ``waiting_at``: when the newest delivery of the feed and department arrived that no release has yet.
    """

    item: Key
    severity: str
    simulated: bool
    open: int
    returned: int
    disputed: int
    upheld: int
    mended: int
    first_seen: dt.datetime | None
    last_seen: dt.datetime | None
    open_since: dt.datetime | None
    returned_at: dt.datetime | None
    mended_at: dt.datetime | None
    episodes: int
    began_at: dt.datetime | None
    withdrawn: int = 0
    waiting_at: dt.datetime | None = None

    @property
    def records(self) -> int:
        return self.open + self.disputed + self.upheld + self.mended + self.withdrawn


@dataclass(frozen=True)
class Terms:
    """Working days until a deadline, by severity, and from one escalation to the next. ``begun``: no deadline runs from before that day."""

    quarantine_days: int
    warn_days: int
    escalation_days: int
    begun: dt.date = dt.date.min

    def days(self, severity: str) -> int:
        return self.warn_days if severity == "warn" else self.quarantine_days


@dataclass(frozen=True)
class Item:
    """An item as of a day. ``state``: one of `STATES`, ``escalation``: of `ESCALATIONS`; ``days_left`` counts every day and is negative once overdue.

    ``open + disputed + exempted + mended + withdrawn == records``. While the item is exempted, its open records are among the exempted ones;
    those of which the department was right always are.
    """

    item: Key
    state: str
    severity: str
    simulated: bool
    records: int
    open: int
    returned: int
    disputed: int
    exempted: int
    mended: int
    withdrawn: int
    first_seen: dt.date | None
    last_seen: dt.date | None
    open_since: dt.date | None
    owner: str | None
    assigned_on: dt.date | None
    deadline: dt.date | None
    days_left: int | None
    deadline_note: str | None
    escalation: str
    exported_on: dt.date | None
    exported_to: str | None
    exempt_until: dt.date | None
    exempt_reason: str | None
    reopened: int
    closed_on: dt.date | None


def terms(settings: Settings, ledger: Ledger) -> Terms:
    """As an installation has set them."""
    values = settings.values["rectification"]
    return Terms(values["quarantine_days"], values["warn_days"], values["escalation_days"], ledger.rectification_begun())


# ---- facts ----


def verdicts(events: Iterable[RectificationEvent]) -> dict[tuple[Key, str], Verdict]:
    """What was last said of each disputed record, by item and what the record was called by."""
    found: dict[tuple[Key, str], Verdict] = {}
    for e in ordered(events):
        if e.kind in VERDICTS and e.record is not None:
            found[key_of(e), e.record] = Verdict(e.kind, e.happened_at)
    return found


def key_of(event: RectificationEvent) -> Key:
    return Key(event.feed, event.department, event.scope, event.rule)


def ordered(events: Iterable[RectificationEvent]) -> list[RectificationEvent]:
    """By when they happened, whatever the order in which they are read; of two of one moment always the same is the later."""
    return sorted(events, key=lambda e: (e.happened_at, e.kind, repr(astuple(e))))


def record_state(failures: Sequence[Failure], verdict: Verdict | None) -> str:
    """``mended``, ``upheld``, ``disputed``, ``returned`` (open again) or ``open``: of all failures of one record.

    A dispute is about what the record was like then: once it was mended and has come back, it is open. That the department was right stays.
    """
    if all(f.mended_at is not None for f in failures):
        return "mended"
    back = returned_at(failures)
    if verdict and (verdict.kind == "upheld" or (verdict.kind == "disputed" and (back is None or verdict.at >= back))):
        return verdict.kind
    return "open" if back is None else "returned"


def returned_at(failures: Sequence[Failure]) -> dt.datetime | None:
    """Since when a record has been open again that had been mended."""
    mended = min((f.mended_at for f in failures if f.mended_at is not None), default=None)
    return min((f.failed_at for f in failures if mended and f.mended_at is None and f.failed_at > mended), default=None)


def facts(failures: Iterable[Failure], said: Mapping[tuple[Key, str], Verdict]) -> list[Facts]:
    """The facts of items of which all failures are at hand. (Of rules there are too many: `spark_jobs/rectification_tables.py` says the same in SQL.)"""
    of: dict[Key, dict[str, list[Failure]]] = {}
    for f in failures:
        of.setdefault(f.item, {}).setdefault(f.record, []).append(f)
    return [_facts(item, records, said) for item, records in sorted(of.items())]


def latest_verdict(record: Iterable[Failure], said: Mapping[tuple[Key, str], Verdict]) -> Verdict | None:
    """What was last said of a record, whichever of its failures it was said of."""
    return max((v for f in record if (v := said.get((f.item, f.ref)))), key=lambda v: (v.at, v.kind), default=None)


def _facts(item: Key, records: Mapping[str, list[Failure]], said: Mapping[tuple[Key, str], Verdict]) -> Facts:
    spans: list[tuple[dt.datetime, dt.datetime | None]] = []
    states: dict[str, str] = {}
    for name, record in records.items():
        verdict = latest_verdict(record, said)
        states[name] = record_state(record, verdict)
        upheld = verdict.at if verdict and verdict.kind == "upheld" else None
        spans += [(f.failed_at, f.mended_at or upheld) for f in record]
    began = _beginnings(spans)
    still = [f for r in records.values() for f in r if f.mended_at is None]
    every = [f for r in records.values() for f in r]
    open_ = [r for name, r in records.items() if states[name] in ("open", "returned")]
    count = {s: sum(state == s for state in states.values()) for s in ("open", "returned", "disputed", "upheld", "mended")}
    return Facts(
        item,
        min(f.severity for f in still or every),
        any(f.simulated for f in every),
        count["open"] + count["returned"],
        count["returned"],
        count["disputed"],
        count["upheld"],
        count["mended"],
        min(f.failed_at for f in every),
        max(f.failed_at for f in every),
        min((f.failed_at for r in open_ for f in r if f.mended_at is None), default=None),
        max((back for r in open_ if (back := returned_at(r))), default=None),
        max((f.mended_at for f in every if f.mended_at is not None), default=None),
        len(began),
        max(began, default=None),
    )


def _beginnings(spans: Iterable[tuple[dt.datetime, dt.datetime | None]]) -> list[dt.datetime]:
    """The moments at which something became open when nothing was. What is mended at the moment at which something else fails leaves no gap."""
    found: list[dt.datetime] = []
    until: dt.datetime | None = None
    for begin, end in sorted(((b, e) for b, e in spans if e is None or e > b), key=lambda s: s[0]):
        if not found or (until is not None and begin > until):
            found.append(begin)
            until = end
        elif until is not None:
            until = None if end is None else max(until, end)
    return found


def nothing(item: Key) -> Facts:
    """The facts of an item that people have handled and of which no record is left."""
    return Facts(item, "quarantine", False, 0, 0, 0, 0, 0, None, None, None, None, None, 0, None)


# ---- items ----


def items(facts_: Iterable[Facts], events: Iterable[RectificationEvent], today: dt.date, terms: Terms) -> list[Item]:
    """All items as of ``today``, in the order of their keys: those that have facts, and those that people have handled."""
    handled: dict[Key, list[RectificationEvent]] = {}
    for e in ordered(events):
        handled.setdefault(key_of(e), []).append(e)
    known = {f.item: f for f in facts_}
    return [item(known.get(k) or nothing(k), handled.get(k, []), today, terms) for k in sorted(known.keys() | handled.keys())]


def item(f: Facts, events: Iterable[RectificationEvent], today: dt.date, terms: Terms) -> Item:
    """One item as of ``today`` from its facts and its own events, in whatever order they come."""
    events = ordered(events)
    exemption = _last(events, "exempted", "lifted")
    exempt_until = exemption.until if exemption and exemption.kind == "exempted" else None
    is_exempt = exempt_until is not None and exempt_until >= today and f.open > 0
    state = "exempted" if is_exempt else _state(f, events)
    assigned, exported = _last(events, "assigned"), _last(events, "exported")
    deadline = None if is_exempt or not f.open else _deadline(f, events, terms)
    return Item(
        f.item,
        state,
        f.severity,
        f.simulated,
        f.records,
        0 if is_exempt else f.open,
        0 if is_exempt else f.returned,
        f.disputed,
        f.upheld + (f.open if is_exempt else 0),
        f.mended,
        f.withdrawn,
        _day(f.first_seen),
        _day(f.last_seen),
        _day(f.open_since),
        assigned.owner if assigned else None,
        _day(assigned.happened_at) if assigned else None,
        deadline,
        (deadline - today).days if deadline else None,
        None
        if deadline is None or calendar.is_announced(deadline)
        else f"国务院办公厅公布的节假日安排到 {calendar.announced_until()} 为止，之后按法定节假日和周末推算，以最新通知为准",
        _escalation(deadline, today, terms),
        _day(exported.happened_at) if exported else None,
        exported.place if exported else None,
        exempt_until,
        exemption.note if exemption and exempt_until else None,
        max(0, f.episodes - 1),
        _day(f.mended_at) if state == "closed" else None,
    )


def _state(f: Facts, events: list[RectificationEvent]) -> str:
    if not f.open:
        return "review" if f.disputed else "closed"
    back = max((m for m in (f.returned_at, f.began_at if f.episodes > 1 else None) if m), default=None)
    # What was done before a record failed was not about it.
    since = max(m for m in (f.open_since, back) if m)
    done = [e for e in events if e.kind in ("assigned", "exported") and e.happened_at >= since]
    if not done:
        return "reopened" if back else "found"
    if f.waiting_at and f.waiting_at > done[0].happened_at:
        return "review"
    if f.mended_at and f.mended_at > done[0].happened_at:
        return "mending"
    return "exported" if any(e.kind == "exported" for e in done) else "assigned"


def _deadline(f: Facts, events: list[RectificationEvent], terms: Terms) -> dt.date:
    """As assigned, else so many working days after the oldest open record failed; after an exemption there is as much time as there was at first."""
    assert f.open_since
    days = terms.days(f.severity)
    assigned = [e.until for e in events if e.kind == "assigned" and e.happened_at >= f.open_since]
    deadline = (assigned[-1] if assigned else None) or working_days_after(max(china_day(f.open_since), terms.begun), days)
    exemption = _last(events, "exempted", "lifted")
    over = None if exemption is None else exemption.until if exemption.kind == "exempted" else china_day(exemption.happened_at)
    return max(deadline, working_days_after(over, days)) if over and over >= china_day(f.open_since) else deadline


def _escalation(deadline: dt.date | None, today: dt.date, terms: Terms) -> str:
    if deadline is None or today <= deadline:
        return "none"
    return "first" if today <= working_days_after(deadline, terms.escalation_days) else "second"


def working_days_after(start: dt.date, number: int) -> dt.date:
    """The last of so many working days after ``start``; as expected, beyond what has been announced of holidays."""
    day = start
    while number > 0:
        day += calendar.DAY
        number -= calendar.is_working_day(day)
    return day


def _last(events: list[RectificationEvent], *kinds: str) -> RectificationEvent | None:
    return next((e for e in reversed(events) if e.kind in kinds), None)


def _day(moment: dt.datetime | None) -> dt.date | None:
    return china_day(moment) if moment else None
