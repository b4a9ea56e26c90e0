"""What of a subject had come by a moment: the register's records, and the parties that meant it, as whose they were known then.

Asked of Trino as the asking user; what this may not read is told as it is known now.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import trino

from catalog.derive import MASK_TEXT
from infra.archive_known import history
from spark_jobs.identity import known, ties
from spark_jobs.identity.known import Row
from spark_jobs.identity.links import DECIDED_APART, DECIDED_SAME, SAME_NAME, Key, Statement

Ask = Callable[[str, Sequence[object]], list[Row]]
_ALWAYS = dt.date(9999, 12, 31)
_LINKS = """SELECT link_kind, first_kind, first_value, first_name, second_kind, second_value, second_name, effective_from, known_at, link_evidence
    FROM lake.silver.identity_link WHERE cluster IN (SELECT cluster FROM lake.silver.identity_link
        WHERE concat(first_kind, ':', first_value) IN ({keys}) OR concat(second_kind, ':', second_value) IN ({keys}))"""
_FACTS = """SELECT * FROM lake.silver.subject_registration
    WHERE subject_id IN (SELECT subject_id FROM lake.silver.subject_key WHERE concat(key_kind, ':', key_value) IN ({keys}))"""
_PARTIES = "SELECT * FROM lake.silver.party WHERE subject_id IN ({subjects}) OR key_value IN ({values}) OR normalized_name IN ({names}) OR short_name IN ({shorts})"
_CALLED = """SELECT DISTINCT credit_code, registration_number, identifier_kind, normalized_name, district_code
    FROM lake.silver.subject_registration WHERE normalized_name IN ({names}) OR short_name IN ({shorts})"""


class Then(NamedTuple):
    """``records``: of the register; ``parties``: keys of those that meant the subject; ``several``: as how many subjects its records were known then;
    ``exact``: whether the ties of its keys could be read."""

    records: list[Row]
    parties: list[str]
    several: int
    exact: bool


def then(ask: Ask, subject_id: str, code: str | None, day: dt.date, moment: dt.datetime) -> Then | None:
    """What was known of a subject at a moment; None where none of its records had come. Of several subjects that its records were then it is that of
    the ``code`` (or number), else one of which something held on the ``day``."""
    keys = {_bare(r) for r in ask("SELECT key_kind, key_value FROM lake.silver.subject_key WHERE subject_id = ?", [subject_id])}
    _, keys, exact = _ties(ask, keys)
    own = ask(*_filled(_FACTS, keys=_texts(keys)))
    subjects = sorted({f["subject_id"] for f in own})
    parties = ask(*_filled(_PARTIES, subjects=subjects, values=sorted(k.value for k in keys), **_names(own)))
    if not exact:
        mine_now = [f for f in own if f["subject_id"] == subject_id and f["known_at"] <= moment]
        return Then(mine_now, sorted(p["party_key"] for p in parties if p["subject_id"] == subject_id), 1, False) if mine_now else None
    # A code that can be relied upon is nobody else's, whatever the name beside it. Whom others may have meant then: whom their code fits, and who
    # has borne their name.
    parties = [p for p in parties if not p["is_trusted"] or Key(p["key_kind"], p["key_value"]) in keys]
    loose = [p for p in parties if not p["is_trusted"]]
    keys |= {Key(p["key_kind"], p["key_value"]) for p in loose if p["key_value"]}
    keys |= {known.key_of(f) for f in ask(*_filled(_CALLED, **_names(loose)))}
    statements, keys, _ = _ties(ask, keys)
    groups, under = known.subjects(ask(*_filled(_FACTS, keys=_texts(keys))), statements, moment)
    mine = {anchor: rows for anchor, rows in groups.items() if any(r["subject_id"] == subject_id for r in rows)}
    if not mine:
        return None

    def last(rows: list[Row]) -> tuple[Any, ...]:
        own = [(r["effective_from"] <= day, r["effective_from"], r["known_at"]) for r in rows if r["subject_id"] == subject_id]
        return any(code in (r["credit_code"], r["registration_number"]) for r in rows if code), max(own)

    anchor = max(mine, key=lambda a: (last(mine[a]), a))
    called: dict[str, dict[Key, set[str | None]]] = {}
    shortly: dict[str | None, dict[Key, set[tuple[str, str | None]]]] = {}
    for subject, rows in groups.items():
        for r in history(rows, _ALWAYS, moment):
            called.setdefault(r["normalized_name"], {}).setdefault(subject, set()).add(r["district_code"])
            shortly.setdefault(r["short_name"], {}).setdefault(subject, set()).add((r["normalized_name"], r["district_code"]))

    def belongs(party: Row) -> bool:
        fits = under.get(Key(party["key_kind"], party["key_value"]), set())
        return bool(known.belongs(party, fits, called.get(party["normalized_name"], {}), shortly.get(party["short_name"], {}))[1] == anchor)

    return Then(mine[anchor], sorted(p["party_key"] for p in parties if belongs(p)), len(mine), True)


def _bare(row: Row) -> Key:
    """One company of a contested code is found by the code."""
    return Key("uscc", row["key_value"].partition("|")[0]) if row["key_kind"] == "uscc_name" else Key(row["key_kind"], row["key_value"])


def _ties(ask: Ask, keys: set[Key]) -> tuple[list[Statement], set[Key], bool]:
    """(what is said of the keys of a cluster, these keys, whether that could be read). What two names say follows from the records."""
    try:
        rows = ask(*_filled(_LINKS, keys=_texts(keys)))
    except trino.exceptions.TrinoUserError as error:
        if error.error_name in ("PERMISSION_DENIED", "TABLE_NOT_FOUND"):  # also of a release that is older than the table
            return [], keys, False
        raise
    # Between decisions of one day the record's id decides, which some may not see.
    if any(r["link_kind"] in (DECIDED_SAME, DECIDED_APART) and r["link_evidence"] == MASK_TEXT for r in rows):
        return [], keys, False
    ends = {Key(r[f"{end}_kind"], r[f"{end}_value"]) for r in rows for end in ("first", "second")}
    said = [ties.statement_of((*list(r.values())[:8], known.micros(r["known_at"]), r["link_evidence"])) for r in rows if r["link_kind"] != SAME_NAME]
    return said, keys | ends, True


def _names(rows: list[Row]) -> dict[str, list[str]]:
    """The names of records or parties, in full and for short."""
    return {to: sorted({r[name] for r in rows if r[name]}) for to, name in (("names", "normalized_name"), ("shorts", "short_name"))}


def _texts(keys: set[Key]) -> list[str]:
    return sorted(map(":".join, keys))


def _filled(sql: str, **lists: Sequence[str]) -> tuple[str, list[object]]:
    """A statement with a mark for each value of each list, and the values in the order of their marks."""
    first, *parts = sql.split("{")
    values: list[object] = []
    for part in parts:
        name, _, rest = part.partition("}")
        first += (", ".join("?" for _ in lists[name]) or "NULL") + rest
        values += lists[name]
    return first, values
