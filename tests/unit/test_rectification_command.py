"""./lake rectify against a ledger in memory, and what each run brings up of items."""

from __future__ import annotations

import datetime as dt
import io
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import openpyxl
import pytest
from rich.console import Console

from catalog.contract import load_contracts
from catalog.derive import physical_columns
from catalog.properties import Kind
from infra import rectification as commands
from infra.problems import Problem
from infra.rectification import Asked
from spark_jobs import projections, rectification, rectification_tables
from spark_jobs.rectification import Failure, Key, Terms
from spark_jobs.rectification_tables import Seen

CONTRACTS = load_contracts()
FEEDS = {c.name: c for c in CONTRACTS.values() if c.kind is Kind.FEED}
STEWARD = Asked("steward", "-")
REFUSED = Key("penalties", "执法监督处", "refused", "delivery_refused")
LATE = Key("licences", "行政审批处", "missing", "delivered_on_time")
TERMS = Terms(5, 15, 5)


def moment(days_ago: float) -> dt.datetime:
    return dt.datetime.now(dt.UTC) - dt.timedelta(days=days_ago)


def stopped(identity: str, days_ago: float, mended: float | None = None, key: Key = REFUSED) -> Failure:
    return Failure(key, identity, identity, moment(days_ago), None if mended is None else moment(mended), "quarantine", True, None if mended is None else "D9", f"{identity}.csv", f"{identity}.csv", identity)  # fmt: skip


def seen(failures, events=(), today=None, **more) -> Seen:
    return Seen(None, [], list(failures), more.get("withdrawn", {}), more.get("waiting", {}), list(events), {}, TERMS, today or commands._today())


def named(contract_id, rows):
    names = [c.name for c in physical_columns(CONTRACTS[contract_id])]
    return [dict(zip(names, row, strict=True)) for row in rows]


class Memory:
    """A ledger, and what Trino would answer from what the last run made of it."""

    def __init__(self, failures):
        self.failures, self.events = failures, []
        self.run()

    def run(self):
        of_run = seen(self.failures, self.events)
        told = rectification_tables.tell(None, of_run, FEEDS, "R00000001")
        self.items = named(rectification_tables.ITEMS, told.items)
        self.records = named(rectification_tables.RECORDS, [r for rows in told.rows.values() for r in rows])

    # ---- the ledger ----

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def rectification_events(self):
        return list(self.events)

    def rectification_begun(self):
        return dt.date(2020, 1, 1)

    def note_rectification(self, events):
        self.events += [replace(e, happened_at=dt.datetime.now(dt.UTC)) for e in events]

    # ---- a cursor ----

    def answer(self, sql, values):
        rows = self.records if "rectification_records" in sql else self.items
        for column in ("department", "item_id"):
            if f"{column} = ?" in sql:
                rows = [r for r in rows if r[column] == values[0]]
        return rows

    def execute(self, sql, values):
        rows = self.answer(sql, values)
        self.description = [(name,) for name in rows[0]] if rows else []
        self.left = [tuple(r.values()) for r in rows]
        return self

    def fetchall(self):
        return self.left

    def fetchone(self):
        return self.left.pop(0) if self.left else None


@pytest.fixture
def lake(monkeypatch, tmp_path):
    memory = Memory([stopped("D1", 30), stopped("D2", 1), stopped("D3", 40, 35), stopped("D4", 2, key=LATE)])
    settings = SimpleNamespace(values={"rectification": {"quarantine_days": 5, "warn_days": 15, "escalation_days": 5, "outbox": ""}}, folder=lambda name: tmp_path / name)  # fmt: skip

    @contextmanager
    def asking(*_):
        yield memory

    monkeypatch.setattr(commands, "asking", asking)
    monkeypatch.setattr(commands, "Ledger", lambda context: memory)
    monkeypatch.setattr(commands.accounts, "users", lambda context: {"steward": {"role": "steward"}, "leader": {"role": "leader"}})
    memory.context, memory.folder = SimpleNamespace(settings=settings), tmp_path
    return memory


def said(command, lake, *arguments):
    out = Console(file=io.StringIO(), width=260)
    command(lake.context, STEWARD, *arguments, out)
    return out.file.getvalue()


def state(lake, key):
    (found,) = [c for c in commands._current(lake.context, lake.items) if c.item.item == key]
    return found.item


def test_rows_have_the_columns_of_their_contracts_and_lead_back_to_the_same_item(lake):
    lake.events = []
    known = {f.item: f for f in rectification.facts(lake.failures, {})}
    for row in lake.items:
        f = commands.facts_of(row)
        original = replace(known[f.item], first_seen=None, last_seen=None)
        assert f == original
        assert row["item_id"] == f.item.item_id


def test_the_list_shows_what_is_overdue_first_and_who_is_to_see_to_it(lake):
    text = said(commands.show, lake, "", "", False, False)
    assert text.index(REFUSED.item_id) < text.index(LATE.item_id)
    assert "1 个事项逾期已久，由分管局领导督办" in text
    assert "含模拟" in text
    late = said(commands.show, lake, "", "", True, False)
    assert REFUSED.item_id in late
    assert LATE.item_id not in late
    assert LATE.item_id in said(commands.show, lake, "行政审批处", "found", False, False)
    with pytest.raises(Problem, match="没有“open”这种办理状态"):
        said(commands.show, lake, "", "open", False, False)


def test_what_is_assigned_shows_at_once_and_nobody_else_may(lake):
    text = said(commands.assign, lake, REFUSED.item_id.lower(), "数据科", "", "")
    assert state(lake, REFUSED).state == "assigned"
    assert state(lake, REFUSED).escalation == "none"
    assert str(rectification.working_days_after(commands._today(), 5)) in text
    with pytest.raises(Problem, match="leader 不能办理"):
        commands.assign(lake.context, Asked("leader", "-"), REFUSED.item_id, "数据科", "", "", Console(file=io.StringIO()))
    for arguments, why in (((" ", "", ""), "没有写派给谁"), (("甲", "2020-01-01", ""), "已经过去"), (("甲", "明天", ""), "不是日期")):
        with pytest.raises(Problem, match=why):
            said(commands.assign, lake, REFUSED.item_id, *arguments)
    with pytest.raises(Problem, match="没有整改事项 Z00000000"):
        said(commands.assign, lake, "Z00000000", "甲", "", "")
    assert len(lake.events) == 1


def test_each_department_gets_its_own_folder_and_the_ledger_knows(lake):
    text = said(commands.export, lake, "", None)
    files = sorted(p.relative_to(lake.folder / "outbox") for p in (lake.folder / "outbox").rglob("*") if p.is_file())
    day = commands._today()
    assert [str(f) for f in files] == [f"{d}/整改清单_{d}_{day}.{e}" for d in ("执法监督处", "行政审批处") for e in ("eml", "xlsx")]
    book = openpyxl.load_workbook(lake.folder / "outbox" / f"执法监督处/整改清单_执法监督处_{day}.xlsx")
    assert [row[1].value for row in book["记录清单"].iter_rows(min_row=2)] == ["D1", "D2"]
    assert [(e.department, e.kind, e.records) for e in lake.events] == [("执法监督处", "exported", 2), ("行政审批处", "exported", 1)]
    assert state(lake, REFUSED).state == "exported"
    assert "执法监督处：1 个事项，2 条" in text
    assert "不再登记" in said(commands.export, lake, "执法监督处", lake.folder / "outbox")
    assert len(lake.events) == 2
    with pytest.raises(Problem, match="没有 某处 的整改事项"):
        said(commands.export, lake, "某处", None)
    blocked = lake.folder / "file"
    blocked.write_text("")
    with pytest.raises(Problem, match="不能写"):
        said(commands.export, lake, "", blocked)


def test_an_exempted_item_is_in_no_workbook(lake):
    until = commands._today() + dt.timedelta(days=30)
    said(commands.exempt, lake, LATE.item_id, str(until), "没有数据", False)
    assert state(lake, LATE).state == "exempted"
    said(commands.export, lake, "", None)
    assert {e.department for e in lake.events if e.kind == "exported"} == {"执法监督处"}
    said(commands.exempt, lake, LATE.item_id, "", "已补", True)
    assert state(lake, LATE).state == "found"
    for arguments, why in (((str(until), "", False), "没有写理由"), (("2099-01-01", "x", False), "太久"), (("", "x", True), "没有豁免")):
        with pytest.raises(Problem, match=why):
            said(commands.exempt, lake, LATE.item_id, *arguments)


def test_a_dispute_needs_evidence_and_is_decided_once(lake):
    said(commands.dispute, lake, REFUSED.item_id, ["D1"], "穗函〔2026〕1号")
    lake.run()
    assert (state(lake, REFUSED).open, state(lake, REFUSED).disputed) == (1, 1)
    for record, evidence, why in (
        ("D1", "x", "已经登记过"),
        ("D3", "x", "没有待整改的记录 D3"),
        ("D2", " ", "没有写依据"),
        (" ", "x", "没有写哪些记录"),
    ):
        with pytest.raises(Problem, match=why):
            said(commands.dispute, lake, REFUSED.item_id, [record], evidence)
    with pytest.raises(Problem, match="D2 没有待裁定的异议"):
        said(commands.decide, lake, REFUSED.item_id, ["D2"], "upheld", "x")
    assert "裁定异议成立" in said(commands.decide, lake, REFUSED.item_id, ["D1"], "upheld", "依据充分")
    lake.run()
    assert (state(lake, REFUSED).open, state(lake, REFUSED).exempted) == (1, 1)
    with pytest.raises(Problem, match="没有待裁定"):
        said(commands.decide, lake, REFUSED.item_id, ["D1"], "dismissed", "x")
    assert [e.kind for e in lake.events] == ["disputed", "upheld"]


# --- what a run brings up ---------------------------------------------------------------------------------------------------


class Ledger:
    """As much of a ledger as a projection asks."""

    def __init__(self):
        self.parts = {}

    def release_tables(self, _):
        return []

    def current_release(self):
        return "R00000001"

    def projected_parts(self, _):
        return self.parts


@pytest.fixture
def runs(monkeypatch):
    """A run on a day: what it writes of items and records."""
    notes, ledger, spark = {}, Ledger(), SimpleNamespace(createDataFrame=lambda rows, schema: rows)
    monkeypatch.setattr(projections, "_note", lambda contract, anew: notes.get(contract.id))
    monkeypatch.setattr(projections.delta, "files", lambda table: ())

    def run(failures, day, events=()):
        monkeypatch.setattr(rectification_tables, "look", lambda *_: seen(failures, events, day))
        changes, parts = projections._rectify(spark, ledger, CONTRACTS, FEEDS, [], [], False)
        for c in changes:
            notes[c.contract.id] = c.holds
        ledger.parts = ledger.parts if parts is None else parts
        return {c.contract.name: (c.rows, c.replaced) for c in changes}

    return run


def test_each_run_tells_what_has_become_overdue_and_writes_only_what_has_changed(runs):
    today = commands._today()
    one, other = stopped("D1", 1), stopped("D4", 1, key=LATE)
    first = runs([one, other], today)
    assert set(first) == {"rectification_items", "rectification_records"}
    assert first["rectification_records"][1] is None
    assert runs([one, other], today) == {}
    # A day passes: items are told anew, their records stay.
    states = []
    for days in (1, 12, 30):
        written = runs([one, other], today + dt.timedelta(days=days))
        assert set(written) == {"rectification_items"}
        states.append({i["escalation"] for i in named(rectification_tables.ITEMS, written["rectification_items"][0])})
    assert states == [{"none"}, {"first"}, {"second"}]
    # One is mended: its records go, those of others aren't touched.
    mended = runs([replace(one, mended_at=moment(0)), other], today)
    assert mended["rectification_records"] == ([], f"item_id IN ('{REFUSED.item_id}')")
    again = runs([one, other], today)
    assert ([r[0] for r in again["rectification_records"][0]], again["rectification_records"][1]) == (
        [REFUSED.item_id],
        f"item_id IN ('{REFUSED.item_id}')",
    )


def test_rows_that_went_with_their_delivery_are_told_of(runs):
    key = Key("penalties", "执法监督处", "rule", "decided_on_readable")
    told = rectification_tables.tell(None, seen([], withdrawn={key: 3}), FEEDS, None)
    (row,) = named(rectification_tables.ITEMS, told.items)
    assert (row["item_state"], row["item_total"], row["item_withdrawn"]) == ("closed", 3, 3)
