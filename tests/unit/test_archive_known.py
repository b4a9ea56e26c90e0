"""An archive as it was known: from rows, the same as if only what had arrived by then had ever come."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.contract import load_contracts
from infra.archive import moment
from infra.archive_known import card, events, history
from infra.clock import CHINA
from infra.problems import Problem

ARCHIVE = load_contracts()["gold.archive_subject"]
COLUMNS = [c.name for c in load_contracts()["silver.subject_registration"].columns]
START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
ALWAYS = dt.date(9999, 1, 1), dt.datetime(9999, 1, 1, tzinfo=dt.UTC)


def record(name: str, day: int, known: int, revision: int = 0, **more: Any) -> dict[str, Any]:
    """A record of one subject that stands from a day of January 2024 and came on another."""
    row = dict.fromkeys(COLUMNS) | {
        "subject_id": "S1", "subject_name": name, "registration_date": dt.date(2001, 5, 6), "quality_marks": [], "credit_code": "C1", "identifier_kind": "uscc",
        "identifier_check": "passed", "subject_category": "unknown", "ownership_group": "unknown", "capital_status": "not_stated",
        "effective_from": dt.date(2024, 1, day), "known_at": START + dt.timedelta(days=known), "source_revision": revision, "delivery_id": f"D{known}",
        "row_number": 1, "fact_outcome": "applied", "value_kind": "simulated",
    } | more  # fmt: skip
    # A digest says the content; its order is that of the names.
    return row | {"content_hash": f"{name} {more}"}


def names(records: list[dict[str, Any]], day: int = 31, known: int = 31) -> list[str]:
    return [r["subject_name"] for r in history(records, dt.date(2024, 1, day), START + dt.timedelta(days=known))]


def test_what_came_later_or_holds_later_is_left_out():
    records = [record("甲", 1, 1), record("乙", 10, 12), record("丙", 20, 2)]
    assert names(records) == ["甲", "乙", "丙"]
    assert names(records, known=11) == ["甲", "丙"]
    assert names(records, day=19) == ["甲", "乙"]
    assert names(records, known=0) == []


def test_of_one_day_the_later_revision_stands_once_it_is_known():
    records = [record("甲", 1, 1), record("改", 1, 9, revision=1)]
    assert names(records, known=8) == ["甲"]
    assert names(records) == ["改"]


def test_a_checked_code_goes_before_a_mistyped_one_of_the_same_day():
    records = [record("甲", 1, 1), record("错", 1, 2, credit_code="C9", identifier_check="both_failed")]
    assert names(records) == ["甲"]


def test_what_says_what_stood_already_is_nothing_new():
    records = [record("甲", 1, 1), record("甲", 5, 5), record("乙", 9, 9), record("甲", 12, 12)]
    assert names(records) == ["甲", "乙", "甲"]


def test_what_is_no_content_makes_nothing_new():
    corrected = record("甲", 1, 1) | {"corrections": ["K-1"], "quality_marks": ["x"]}
    assert names([corrected, record("甲", 5, 5)]) == ["甲"]


def test_to_who_may_not_see_digests_what_the_run_said_decides():
    masked = [record("甲", 1, 1) | {"content_hash": "***"}, record("甲", 5, 5) | {"content_hash": "***"}]
    assert names(masked) == ["甲", "甲"], "another address, which is masked"
    assert [e["event_summary"] for e in events(history(masked, *ALWAYS))][1:] == ["遮蔽的内容（如住所）有变"]
    assert names([masked[0], masked[1] | {"fact_outcome": "duplicate"}]) == ["甲"]


def test_events_of_the_register_are_told_by_what_was_known():
    a = record("甲", 1, 1, registered_capital_text="10万元")
    b, c = record("乙", 10, 20), record("丙", 20, 2)

    def told(known):
        return [(e["event_name"], e["event_summary"]) for e in events(history([a, b, c], dt.date(2024, 1, 31), START + dt.timedelta(days=known)))]

    assert told(1) == [("设立登记", "名称：甲；注册资金：10万元")]
    assert told(2) == [("设立登记", "名称：甲；注册资金：10万元"), ("登记信息更新", "名称：甲 → 丙")]
    assert told(20)[1:] == [("登记信息更新", "名称：甲 → 乙"), ("登记信息更新", "名称：乙 → 丙")]


def test_a_card_takes_of_each_thing_what_was_said_of_it_last():
    address = {"registered_address": "一路1号", "district_name": "天河区", "district_code": "440106", "district_confidence": "exact"}
    told = record("旧名", 1, 1, enterprise_type="有限责任公司", subject_category="enterprise", category_basis="type", **address)
    after = record("新名", 9, 9, credit_code="C9", identifier_check="both_failed", capital_status="yuan", registered_capital_text="10万元")
    found = card(ARCHIVE, history([told, after], *ALWAYS), {"F": "批发和零售业"})
    assert (found["subject_name"], found["former_names"]) == ("新名", ["旧名"])
    assert (found["credit_code"], found["former_codes"], found["identifier_check"]) == ("C1", [], "passed"), "a mistyped code replaces none"
    assert (found["enterprise_type"], found["subject_category"], found["district_name"]) == ("有限责任公司", "enterprise", "天河区")
    assert (found["capital_status"], found["registered_capital_text"]) == ("yuan", "10万元")
    assert (found["ownership_group"], found["industry_section_name"], found["fact_count"]) == ("unknown", "未分配", 2)
    known = {c.name for c in ARCHIVE.columns} - {"is_contested", "conflict_count", "search_text", "write_number", "as_of"}
    assert known <= found.keys(), "everything that the archive says"


RECORDS = st.lists(st.builds(record, st.sampled_from("甲乙丙丁"), st.integers(1, 6), st.integers(0, 9), st.integers(0, 2)), min_size=1, max_size=8)


@given(RECORDS, st.integers(0, 9), st.integers(1, 6), st.randoms())
def test_it_is_what_an_archive_of_only_the_records_known_by_then_says(records, known, day, chance):
    until, on = START + dt.timedelta(days=known), dt.date(2024, 1, day)
    arrived = [r for r in records if r["known_at"] <= until and r["effective_from"] <= on]
    chance.shuffle(records)
    a, b = history(records, on, until), history(arrived, *ALWAYS)
    assert [r["content_hash"] for r in a] == [r["content_hash"] for r in b]
    if a:
        assert card(ARCHIVE, a, {}) == card(ARCHIVE, b, {})


def test_a_moment_is_read_as_people_write_it():
    assert moment("", "") is None
    at = moment("2024-06-30", "2024-07-05")
    assert at is not None
    assert (at.day, at.known) == (dt.date(2024, 6, 30), dt.datetime(2024, 7, 5, 23, 59, 59, 999999, CHINA))
    exact = moment("", "2024-07-05T09:30")
    assert exact is not None
    assert exact.known == dt.datetime(2024, 7, 5, 9, 30, tzinfo=CHINA)
    with pytest.raises(Problem, match="读不出日期"):
        moment("昨天", "")
