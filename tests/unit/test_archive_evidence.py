"""Whose records and parties were whose at a moment: the same as if only what had come by then had ever come (docs/decisions/0032)."""

import datetime as dt
import random

import duckdb
import pytest
import trino

from infra.archive_evidence import then
from infra.archive_known import history
from spark_jobs.identity import known
from spark_jobs.identity.links import CORRECTED, DECIDED_APART, DECIDED_SAME, Key, State, Statement, resolve
from spark_jobs.identity.short_names import short_key

START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
ALWAYS, NOW = dt.date(9999, 1, 1), dt.datetime(9999, 1, 1, tzinfo=dt.UTC)
CODES = [("91A", "passed"), ("91B", "passed"), ("91C", "passed"), ("91X", "both_failed"), ("91Y", "both_failed"), (None, None)]
NAMES, DISTRICTS = ["广州甲乙丙丁商行有限公司", "甲乙丙丁商行", "广州乙商店"], ["1", "2", None]  # the first is said for short as the second
TABLES = {
    "subject_registration": "subject_id VARCHAR, subject_name VARCHAR, normalized_name VARCHAR, short_name VARCHAR, credit_code VARCHAR, registration_number VARCHAR, identifier_kind VARCHAR, identifier_check VARCHAR, registration_date DATE, district_code VARCHAR, effective_from DATE, known_at TIMESTAMPTZ, source_revision INT, content_hash VARCHAR, fact_outcome VARCHAR, delivery_id VARCHAR, row_number BIGINT",
    "subject_key": "key_kind VARCHAR, key_value VARCHAR, subject_id VARCHAR, known_at TIMESTAMPTZ",
    "identity_link": "link_kind VARCHAR, first_kind VARCHAR, first_value VARCHAR, first_name VARCHAR, second_kind VARCHAR, second_value VARCHAR, second_name VARCHAR, effective_from DATE, known_at TIMESTAMPTZ, link_evidence VARCHAR, cluster VARCHAR",
    "party": "party_key VARCHAR, key_kind VARCHAR, key_value VARCHAR, is_trusted BOOLEAN, normalized_name VARCHAR, short_name VARCHAR, district_code VARCHAR, subject_id VARCHAR",
}  # fmt: skip


class World:
    """Everything that a run would hold of what has come: the tables that are asked, made by the functions that runs use."""

    def __init__(self, facts, statements, parties):
        self.db = duckdb.connect()
        self.db.execute("SET TimeZone = 'UTC'; ATTACH ':memory:' AS lake; CREATE SCHEMA lake.silver")
        groups, under = known.subjects(facts, statements, NOW)
        self.facts = [f | {"subject_id": ":".join(anchor)} for anchor, rows in groups.items() for f in rows]
        stands = {(r["delivery_id"], r["row_number"]) for rows in groups.values() for r in history(rows, ALWAYS, NOW)}
        self.facts = [f | {"fact_outcome": "applied" if (f["delivery_id"], f["row_number"]) in stands else "superseded"} for f in self.facts]
        states = [State(known.key_of(f), f["normalized_name"], f["registration_date"], f["district_code"], known.trusted(f), f["effective_from"], known.micros(f["known_at"])) for f in facts]  # fmt: skip
        resolved = resolve(states, statements)
        called, shortly = {}, {}
        for anchor, rows in groups.items():
            for r in history(rows, ALWAYS, NOW):
                called.setdefault(r["normalized_name"], {}).setdefault(anchor, set()).add(r["district_code"])
                shortly.setdefault(r["short_name"], {}).setdefault(anchor, set()).add((r["normalized_name"], r["district_code"]))
        self.parties = {}
        for p in parties:
            names = called.get(p["normalized_name"], {}), shortly.get(p["short_name"], {})
            _, subject = known.belongs(p, under.get(Key(p["key_kind"], p["key_value"]), set()), *names)
            self.parties[p["party_key"]] = subject and ":".join(subject)
        self._fill("subject_registration", self.facts)
        self._fill("subject_key", [{"key_kind": k.key.kind, "key_value": k.key.value, "subject_id": ":".join(k.anchor), "known_at": at(k.known_at)} for k in resolved.keys])  # fmt: skip
        self._fill("identity_link", [link(t) for t in resolved.links])
        self._fill("party", [p | {"subject_id": self.parties[p["party_key"]]} for p in parties])

    def _fill(self, table, rows):
        columns = [c.split()[0] for c in TABLES[table].split(", ")]
        self.db.execute(f"CREATE TABLE lake.silver.{table} ({TABLES[table]})")
        for row in rows:
            self.db.execute(f"INSERT INTO lake.silver.{table} VALUES ({', '.join('?' for _ in columns)})", [row.get(c) for c in columns])

    def ask(self, sql, values):
        found = self.db.execute(sql, list(values))
        names = [d[0] for d in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def at(micros):
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=micros)


def link(tie):
    s = tie.said
    return {"link_kind": s.kind, "first_kind": s.first.kind, "first_value": s.first.value, "first_name": s.first_name, "second_kind": s.second.kind, "second_value": s.second.value, "second_name": s.second_name, "effective_from": s.effective, "known_at": at(s.known_at), "link_evidence": s.evidence, "cluster": tie.cluster}  # fmt: skip


def drawn(chance):
    facts = []
    for n in range(chance.randint(1, 7)):
        code, check = chance.choice(CODES)
        name = chance.choice(NAMES)
        facts.append({
            "subject_name": name, "normalized_name": name, "short_name": short_key(name), "credit_code": code, "registration_number": None, "identifier_kind": "uscc" if code else "missing",
            "identifier_check": check, "registration_date": dt.date(2001, 1, chance.randint(1, 2)), "district_code": chance.choice(DISTRICTS),
            "effective_from": dt.date(2023, 1, chance.randint(1, 28)), "known_at": START + dt.timedelta(days=chance.randint(0, 5)), "source_revision": 0,
            "content_hash": f"{chance.random()}", "fact_outcome": "applied", "delivery_id": f"D{n}", "row_number": 1,
        })  # fmt: skip
    keys = [Key("uscc", code) for code, _ in CODES if code]
    statements = []
    for n in range(chance.randint(0, 3)):
        kind = chance.choice([CORRECTED, CORRECTED, DECIDED_SAME, DECIDED_APART])
        first, second = chance.sample(keys, 2)
        statements.append(Statement(kind, first, second, None, None, dt.date(2023, 2, n + 1), known.micros(START + dt.timedelta(days=chance.randint(0, 5))), f"f/{n}"))  # fmt: skip
    parties = []
    for n in range(6):
        code, check = chance.choice(CODES)
        trusted = check == "passed"
        name = chance.choice([*NAMES, None]) if code else chance.choice(NAMES)
        district = None if trusted or name is None else chance.choice(DISTRICTS)
        parties.append({"party_key": f"P{n}", "key_kind": "uscc" if code else None, "key_value": code, "is_trusted": trusted, "normalized_name": name, "district_code": district, "short_name": short_key(name) if district else None})  # fmt: skip
    return facts, statements, parties


@pytest.mark.parametrize("part", range(4))
def test_it_is_as_if_nothing_else_had_ever_come(part):
    seed = random.SystemRandom().randrange(10**9)
    chance = random.Random(seed)
    for number in range(15):
        facts, statements, parties = drawn(chance)
        now = World(facts, statements, parties)
        moment = START + dt.timedelta(days=chance.randint(0, 5), hours=1)
        before = World([f for f in facts if f["known_at"] <= moment], [s for s in statements if s.known_at <= known.micros(moment)], parties)
        was = {f["delivery_id"]: f["subject_id"] for f in before.facts}
        for subject in sorted({f["subject_id"] for f in now.facts}):
            mine = {f["delivery_id"] for f in now.facts if f["subject_id"] == subject}
            found = then(now.ask, subject, None, ALWAYS, moment)
            assert (found is None) == (not mine & was.keys()), (seed, number)
            if found is None:
                continue
            of = {was[r["delivery_id"]] for r in found.records}
            assert len(of) == 1, (seed, number, "records of several")
            assert {r["delivery_id"] for r in found.records} == {d for d, s in was.items() if s in of}, (seed, number)
            assert set(found.parties) == {p for p, s in before.parties.items() if s in of}, (seed, number)
            assert found.several == len({was[d] for d in mine & was.keys()}), (seed, number)


def fact(n, code, day):
    return {
        "subject_name": "广州甲有限公司", "normalized_name": "广州甲有限公司", "short_name": None, "credit_code": code, "registration_number": None, "identifier_kind": "uscc",
        "identifier_check": "passed", "registration_date": dt.date(2001, 1, 1), "district_code": None, "effective_from": dt.date(2023, 1, n),
        "known_at": START + dt.timedelta(days=day), "source_revision": 0, "content_hash": f"{n}", "fact_outcome": "applied", "delivery_id": f"D{n}", "row_number": 1,
    }  # fmt: skip


def test_before_a_correction_came_two_codes_were_two_subjects():
    changed = Statement(CORRECTED, Key("uscc", "91A"), Key("uscc", "91B"), None, None, dt.date(2023, 2, 1), known.micros(START + dt.timedelta(days=3)), "f/1")  # fmt: skip
    parties = [{"party_key": p, "key_kind": "uscc", "key_value": c, "is_trusted": True, "normalized_name": None, "short_name": None, "district_code": None} for p, c in (("PA", "91A"), ("PB", "91B"))]  # fmt: skip
    now = World([fact(1, "91A", 1), fact(2, "91B", 2)], [changed], parties)
    (subject,) = {f["subject_id"] for f in now.facts}

    def told(day, code=None, on=ALWAYS):
        found = then(now.ask, subject, code, on, START + dt.timedelta(days=day, hours=1))
        return [r["delivery_id"] for r in found.records], found.parties, found.several

    assert told(1) == (["D1"], ["PA"], 1)
    assert told(2) == (["D2"], ["PB"], 2), "of both that of the newest record"
    assert told(2, "91A") == (["D1"], ["PA"], 2)
    assert told(2, on=dt.date(2023, 1, 1)) == (["D1"], ["PA"], 2), "of the other nothing held yet on that day"
    assert told(3) == (["D1", "D2"], ["PA", "PB"], 1)


def test_who_may_not_see_ties_is_told_by_what_is_known_now():
    changed = Statement(CORRECTED, Key("uscc", "91A"), Key("uscc", "91B"), None, None, dt.date(2023, 2, 1), known.micros(START + dt.timedelta(days=3)), "f/1")  # fmt: skip
    now = World([fact(1, "91A", 1), fact(2, "91B", 2)], [changed], [])

    def ask(sql, values):
        if "identity_link" in sql:
            raise trino.exceptions.TrinoUserError({"errorName": "PERMISSION_DENIED"})
        return now.ask(sql, values)

    found = then(ask, "uscc:91A", None, ALWAYS, START + dt.timedelta(days=2, hours=1))
    assert (sorted(r["delivery_id"] for r in found.records), found.exact) == (["D1", "D2"], False)
    assert then(ask, "uscc:91A", None, ALWAYS, START) is None
