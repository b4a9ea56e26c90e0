"""Quality problems: what a record is recognised by, which stored statements have to be looked at."""

import duckdb
import pytest

from catalog.contract import load_contracts
from catalog.properties import Kind
from infra.ledger import Delivery
from spark_jobs.problems import Judged, _looked_up, label_sql, record_id_sql

FEEDS = {c.name: c for c in load_contracts().values() if c.kind is Kind.FEED}


def evaluated(expression, **columns):
    names = ", ".join(f"{'NULL' if v is None else repr(v)} AS {k}" for k, v in columns.items())
    return duckdb.sql(f"SELECT {expression} FROM (SELECT {names})").fetchall()[0][0]


@pytest.mark.parametrize("feed", [f for f in FEEDS.values() if f.record_key], ids=lambda f: f.name)
def test_no_label_shows_personal_data(feed):
    personal = {c.name for c in feed.columns if c.personal}
    shown = evaluated(label_sql(feed), **{name: f"text of {name}" for name in feed.record_key})
    assert not any(f"text of {name}" in shown for name in personal)
    assert all(f"text of {name}" in shown for name in feed.record_key if name not in personal)


def test_a_record_without_what_tells_it_apart_has_no_id():
    penalties = record_id_sql(FEEDS["penalties"])
    assert evaluated(penalties, decision_number="1", record_id="r") == "r"
    assert evaluated(penalties, decision_number=None, record_id="r") is None
    register = record_id_sql(FEEDS["registration_subjects"]).replace("sha2(", "concat(").replace(", 256)", ")")
    known = {"credit_code": None, "registration_number": None, "normalized_name": "甲", "district_code": "440106", "identifier_kind": "none"}
    assert evaluated(register, **known) is not None
    assert evaluated(register, **known | {"district_code": None}) is None
    assert evaluated(register, **known | {"normalized_name": None, "district_code": None, "credit_code": "91", "identifier_kind": "uscc"}) is not None


def delivery(identity, feed, arrived, state="loaded"):
    return Delivery(identity, feed, f"{identity}.csv", state, None, 1, arrived, None, None, 0, False)


def test_stored_statements_are_looked_at_where_something_went_or_came_late():
    old, new = delivery("a", "penalties", "2026-01-01T00:00:00.000Z"), delivery("b", "penalties", "2026-01-02T00:00:00.000Z")
    gone = delivery("c", "licences", "2026-01-03T00:00:00.000Z", "withdrawn")

    def taking(*deliveries):
        return [Judged(FEEDS["penalties"], list(deliveries), None)]

    assert _looked_up([old, new], taking(new), []) == set()
    assert _looked_up([old, new], taking(old, new), []) == set()
    assert _looked_up([old, new], taking(old), []) == {"penalties"}  # it had been held back
    assert _looked_up([old, new, gone], taking(new), ["c"]) == {"licences"}
