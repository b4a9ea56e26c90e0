"""Whose records were whose as far as was known at a moment: ties of keys and parties told again from what had come by then.

Of one subject, from the records and statements of all keys that any tie leads to: a cluster alone is told as it is among all others. What `links` and
`parties` say of everything now is said here of a few for any moment; a statement that its source has withdrawn since counts as never made.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from spark_jobs.identity.links import Key, State, Statement, resolve
from spark_jobs.identity.short_names import is_short_for

Row = dict[str, Any]
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def micros(moment: dt.datetime) -> int:
    """Microseconds of 1970 (UTC), as states and statements have them."""
    return (moment - _EPOCH) // dt.timedelta(microseconds=1)


def key_of(fact: Row) -> Key:
    """The key of a record of the register (`keys.KEY_KIND`, `keys.KEY_VALUE`)."""
    value = fact["credit_code"] or fact["registration_number"]
    return Key(fact["identifier_kind"], value) if value else Key("name", f"{fact['normalized_name']}|{fact['district_code'] or ''}")


def trusted(fact: Row) -> bool:
    """Whether its code can be relied upon (`keys.TRUSTED`)."""
    return fact["identifier_kind"] == "uscc" and fact["identifier_check"] in ("passed", "pilot")


def subjects(facts: Iterable[Row], statements: Iterable[Statement], known: dt.datetime) -> tuple[dict[Key, list[Row]], dict[Key, set[Key]]]:
    """(the records that had come by ``known``, by the anchor of the subject that they were one with then; the anchors of each key).

    ``facts``: all records of all keys of a cluster; ``statements``: all about them.
    """
    told = [f for f in facts if f["known_at"] <= known]
    states: dict[tuple[Any, ...], State] = {}
    for f in told:
        said = (key_of(f), f["normalized_name"], f["registration_date"], f["district_code"], trusted(f))
        one = State(*said, f["effective_from"], micros(f["known_at"]))
        before = states.get(said, one)
        states[said] = one._replace(effective=min(one.effective, before.effective), known_at=min(one.known_at, before.known_at))
    resolved = resolve(states.values(), [s for s in statements if s.known_at <= micros(known)])
    found: dict[Key, list[Row]] = {}
    for f in told:
        found.setdefault(resolved.anchors[key_of(f), f["normalized_name"]], []).append(f)
    under: dict[Key, set[Key]] = {}
    for row in resolved.keys:
        under.setdefault(row.key, set()).add(row.anchor)
    return found, under


def belongs(
    party: Row, under_code: Collection[Any], called: Mapping[Any, Collection[str | None]], shortly: Mapping[Any, Collection[tuple[str, str | None]]]
) -> tuple[str, Any]:
    """(basis, subject) of a party, as `parties` tells it: ``under_code``: the subjects that its code fits; ``called``: those that have borne
    its name, with the districts in which they did; ``shortly``: those of whose names one has its short key, with these names and their districts. The subject is None where it belongs to none,
    ``unregistered`` where only its code is known."""
    if len(under_code) == 1:
        return "code", next(iter(under_code))
    if under_code:
        both = [s for s in under_code if s in called]
        return ("code_and_name", both[0]) if len(both) == 1 else ("ambiguous", None)
    if party["is_trusted"]:
        return "unregistered", Key(party["key_kind"], party["key_value"])
    near = [s for s, districts in called.items() if party["district_code"] is not None and party["district_code"] in districts]
    if len(called) == 1:
        return "name", next(iter(called))
    if len(near) == 1:
        return "name", near[0]
    if called:
        return "ambiguous", None
    short: dict[Any, set[str | None]] = {}
    for subject, borne in shortly.items() if party["short_name"] is not None else ():
        for name, district in borne:
            if district in (None, party["district_code"]) and is_short_for(party["normalized_name"], name):
                short.setdefault(subject, set()).add(district)
    if len(short) == 1 and next(iter(short.values())) != {None}:
        return "short_name", next(iter(short))
    return ("ambiguous" if len(short) > 1 else "unknown"), None
