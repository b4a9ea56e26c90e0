"""The guard: what is counted for a delivery, and when a correction or a crosswalk row no longer applies. Without Spark."""

import datetime as dt
import sqlite3
from dataclasses import replace
from typing import Any

import pytest

from catalog.contract import load_contracts
from infra.ledger import Delivery
from infra.problems import Problem
from spark_jobs import mapping_use, pipeline
from spark_jobs.mapping_use import FIGURES, IDLE_AFTER, Definition, Figures, check_files, day_of, state, uses
from spark_jobs.refine.mappings import MappingError
from spark_jobs.refine.registration import INPUTS
from spark_jobs.refine.unmapped import CODE_LISTS

CONTRACTS = load_contracts()
START = dt.date(2026, 1, 1)


def day(number: int) -> dt.date:
    return START + dt.timedelta(days=number)


def mapping(identity: str = "RS-0001", start: dt.date | None = None, end: dt.date | None = None) -> Definition:
    return Definition(identity, "correction", "feed", "enterprise_type", "甲", None, "乙", start, end, "来源录入错误", "登记注册处")


def figures(rows: list[tuple[Any, ...]]) -> dict[str, Figures]:
    """FIGURES over rows of silver.mapping_use."""
    with sqlite3.connect(":memory:") as base:
        base.execute("CREATE TABLE uses (delivery_id, mapping_id, mapping_kind, delivered_on, applied_rows, expired_rows)")
        base.executemany(
            "INSERT INTO uses VALUES (?, ?, ?, ?, ?, ?)", [tuple(v.isoformat() if isinstance(v, dt.date) else v for v in r) for r in rows]
        )
        found = base.execute(FIGURES.format(uses="uses")).fetchall()
    dated = {"last_applied_on", "last_expired_on"}
    return {
        r[0]: Figures(*[dt.date.fromisoformat(v) if name in dated and v else v for name, v in zip(Figures._fields, r[1:-1], strict=True)])
        for r in found
    }


def judged(applied: dict[int, int], one: Definition, deliveries: int = 40, ended: dict[int, int] | None = None) -> str:
    """State after a delivery a day; `applied` and `ended`: day → rows."""
    days = {f"D{n}": day(n) for n in range(deliveries)}
    counts = {(f"D{n}", one.mapping_id, over): rows for over, told in ((False, applied), (True, ended or {})) for n, rows in told.items()}
    found = figures(uses(days, counts, {one.mapping_id: one})).get(one.mapping_id, Figures())
    return state(one, found, max(days.values()))


def test_a_mapping_has_a_row_for_each_delivery_within_its_dates_also_with_none():
    known = {m.mapping_id: m for m in (mapping("RS-0001"), mapping("RS-0002", day(1)), mapping("RS-0003", None, day(1)))}
    rows = uses({"D2": day(1), "D1": day(0)}, {("D1", "RS-0001", False): 3, ("D2", "RS-0003", True): 2}, known)
    assert rows == [
        ("D1", "RS-0001", "correction", day(0), 3, 0),
        ("D1", "RS-0003", "correction", day(0), 0, 0),
        ("D2", "RS-0001", "correction", day(1), 0, 0),
        ("D2", "RS-0002", "correction", day(1), 0, 0),
        ("D2", "RS-0003", "correction", day(1), 0, 2),
    ]
    assert uses({}, {}, known) == []


@pytest.mark.parametrize(
    ("applied", "deliveries", "expected"),
    [
        ({}, IDLE_AFTER - 1, "waiting"),
        ({}, IDLE_AFTER, "never_used"),
        ({0: 5}, IDLE_AFTER, "in_use"),
        ({0: 5}, IDLE_AFTER + 1, "idle"),
        ({0: 5, 10: 1}, IDLE_AFTER + 10, "in_use"),
        ({0: 5, 10: 1}, IDLE_AFTER + 11, "idle"),
    ],
)
def test_one_that_its_deliveries_no_longer_need_is_reported(applied, deliveries, expected):
    assert judged(applied, mapping(), deliveries) == expected


def test_deliveries_outside_the_dates_count_for_nothing():
    assert judged({}, mapping(start=day(20))) == "waiting"  # 40 deliveries, 20 of them within
    assert judged({}, mapping(start=day(100))) == "waiting"
    assert judged({}, mapping(start=day(5))) == "never_used"


def test_one_that_has_ended_is_reported_while_its_text_arrives():
    ended = mapping(end=day(20))
    assert judged({3: 1}, ended, ended={25: 2}) == "expired_arriving"
    assert judged({3: 1}, ended) == "closed"
    assert judged({}, ended) == "closed"
    assert judged({3: 1}, ended, deliveries=20) == "in_use"  # its last day
    assert judged({3: 1}, ended, deliveries=21) == "closed"


def test_deliveries_of_one_day_have_no_order():
    days = {f"D{n}": day(0) for n in range(IDLE_AFTER + 10)}
    one = mapping()
    for used in days:
        found = figures(uses(days, {(used, one.mapping_id, False): 1}, {one.mapping_id: one}))[one.mapping_id]
        assert (found.idle_deliveries, state(one, found, day(0))) == (0, "in_use")


def test_the_figures_do_not_depend_on_the_order_of_arrival_and_a_delivery_can_be_taken_out():
    one = mapping(end=day(30))
    days = {f"D{n}": day(n) for n in range(40)}
    rows = uses(days, {("D3", one.mapping_id, False): 2, ("D7", one.mapping_id, False): 4, ("D35", one.mapping_id, True): 1}, {one.mapping_id: one})
    whole = {one.mapping_id: Figures(30, 6, day(7), 22, 1, day(35))}
    assert figures(rows) == figures(rows[::-1]) == figures(sorted(rows, key=lambda r: hash(r[0]))) == whole
    without = [r for r in rows if r[0] not in ("D7", "D35")]
    assert figures(without) == {one.mapping_id: Figures(29, 2, day(3), 25, 0, None)}


def test_the_day_is_the_business_date_else_the_day_of_arrival_in_china():
    delivery = Delivery("D1", "feed", "f.csv", "loaded", None, 1, "2026-11-24T16:30:00.000Z", None, None, 0, False)
    assert day_of(delivery) == dt.date(2026, 11, 25)
    assert day_of(replace(delivery, business_date=dt.date(2019, 6, 30))) == dt.date(2019, 6, 30)


def test_a_faulty_file_stops_the_work_before_it_begins(monkeypatch):
    def refuse() -> None:
        raise MappingError(["corrections/feed.csv 第 2 行 reason 列：没有写明理由"])

    monkeypatch.setattr(mapping_use, "definitions", refuse)
    with pytest.raises(Problem, match="第 2 行 reason 列"):
        check_files()
    assert mapping_use.main() == 1
    # No lake is needed to be told so: the check comes before the ledger is asked for anything.
    with pytest.raises(Problem, match="没有开始加工"):
        pipeline.silver_step(None)  # type: ignore[arg-type]


# --- what the contracts say --------------------------------------------------------------------------------------------


def test_the_tables_say_what_is_written():
    written = ("delivery_id", "mapping_id", "mapping_kind", "delivered_on", "applied_rows", "expired_rows")
    assert tuple(c.name for c in CONTRACTS[mapping_use.USES].columns) == written
    assert {c.name for c in CONTRACTS[mapping_use.STATUS].columns} == {*Definition._fields, *Figures._fields, "mapping_state"}
    assert CONTRACTS[mapping_use.USES].keys == ("delivery_id", "mapping_id")
    assert CONTRACTS[mapping_use.UNMAPPED].keys[0] == "delivery_id"
    assert set(CODE_LISTS) <= set(INPUTS)


def test_the_states_are_those_of_the_contract_and_it_states_the_threshold():
    contract = CONTRACTS[mapping_use.STATUS]
    states = {judged({}, mapping(), 1), judged({}, mapping()), judged({39: 1}, mapping()), judged({0: 1}, mapping()),
              judged({}, mapping(end=day(9))), judged({}, mapping(end=day(9)), ended={20: 1})}  # fmt: skip
    assert {value for value, _ in contract.column("mapping_state").allowed} == states
    assert f"至少 {IDLE_AFTER} 个批次" in contract.purpose
    for reported in ("never_used", "idle", "expired_arriving"):
        assert reported in contract.limitations


def test_what_may_be_personal_is_masked_for_all_but_the_steward():
    assert [c.name for c in CONTRACTS[mapping_use.STATUS].columns if c.personal] == ["source_text", "target_text"]
    assert [c.name for c in CONTRACTS[mapping_use.UNMAPPED].columns if c.personal] == ["unmapped_text"]
    for name in (mapping_use.USES, mapping_use.STATUS, mapping_use.UNMAPPED):
        assert set(CONTRACTS[name].readers) == {"steward", "operator"}


@pytest.mark.parametrize("folder", ["catalog/corrections", "catalog/crosswalks", "spark_jobs/mapping_use.py", "spark_jobs/refine"])
def test_a_change_of_what_was_decided_builds_silver_anew(folder):
    assert folder in pipeline.SILVER_CODE
