"""The ledger's projections: their columns, what they grow by, and what is worked out from them."""

import datetime as dt
import re

import pytest
from pyspark.errors import PySparkException

from catalog.contract import load_contracts
from catalog.derive import physical_columns
from spark_jobs import profiles, projections
from spark_jobs.projections import PROJECTIONS, WORKED_OUT
from spark_jobs.punctuality import Came, punctuality
from spark_jobs.reconciliation import Held, Total, reconcile

CONTRACTS = load_contracts()


def test_projections_have_as_many_columns_as_their_contracts():
    assert {*PROJECTIONS, *WORKED_OUT} == {i for i, c in CONTRACTS.items() if c.layer == "ops"}
    for identity, sql in PROJECTIONS.items():
        # Without what stands in brackets (calls, sub-queries), the select list is what the commas divide.
        flat = re.sub(r"DISTINCT ON \(.*?\)", "", sql)
        while "(" in flat:
            flat = re.sub(r"\([^()]*\)", "", flat)
        selected = re.search(r"SELECT (.*?)\sFROM\s", flat, re.S)
        assert selected
        assert len(selected[1].split(",")) == len(physical_columns(CONTRACTS[identity])), identity


def test_a_digest_tells_rows_apart_but_not_their_order():
    rows = [("D1", 3, None), ("D2", 4, dt.datetime(2026, 1, 1, tzinfo=dt.UTC))]
    assert projections.contents_digest(rows) == projections.contents_digest(rows[::-1])
    for other in (rows[:1], [*rows, rows[0]], [("D1", 3, ""), rows[1]], [("D1", 4, None), rows[1]]):
        assert projections.contents_digest(other) != projections.contents_digest(rows)


class Counting:
    """A ledger whose projection has rows that came at moments 1, 2, 3 …"""

    def __init__(self, moments):
        self.moments = moments

    def rows(self, sql):
        limit = re.search(r"at (<=|>) timestamptz '(\d+)'", sql)
        kept = [m for m in self.moments if not limit or (m <= int(limit[2])) == (limit[1] == "<=")]
        if "max(" in sql:
            return [(len(kept), str(max(kept)) if kept else None)]
        return [(len(kept),)] if "count(*)" in sql else [(m,) for m in kept]


@pytest.mark.parametrize(
    ("moments", "note", "mode", "written"),
    [
        ([1, 2, 3], "rows:2 until:2", "append", [3]),
        ([1, 2], "rows:2 until:2", "append", []),
        ([1, 2, 3], None, "overwrite", [1, 2, 3]),
        ([1, 2, 3], "silver/1", "overwrite", [1, 2, 3]),  # somebody else's
        ([2, 3], "rows:2 until:2", "overwrite", [2, 3]),  # the ledger of a backup
        ([], "rows:0 until:None", "overwrite", []),
    ],
)
def test_a_projection_that_only_gains_rows_gets_the_new_ones(monkeypatch, moments, note, mode, written):
    monkeypatch.setattr(projections.delta, "files", lambda table: ())
    found = projections._growth(Counting(moments), "SELECT at FROM t", "at", note, "ops_tables.t")
    assert found == (mode, [(m,) for m in written], f"rows:{len(moments)} until:{max(moments, default=None)}")


def test_a_projection_of_many_files_is_written_anew(monkeypatch):
    monkeypatch.setattr(projections.delta, "files", lambda table: ["a"] * projections.delta.MOST_FILES)
    assert projections._growth(Counting([1, 2]), "SELECT at FROM t", "at", "rows:1 until:1", "ops_tables.t")[:2] == ("overwrite", [(1,), (2,)])


# --- reconciliation -----------------------------------------------------------------------------------------------------

PENALTIES, REGISTER = CONTRACTS["bronze.penalties"], CONTRACTS["bronze.registration_subjects"]


def day(number):
    return dt.date(2026, 1, number)


def held(business_date, records, revision=0, department="执法监督处", feed="penalties"):
    return Held(feed, department, business_date, revision, records, False)


def reconciled(counts, deliveries):
    totals = [Total("行政处罚", day(d), n) for d, n in counts.items()]
    return [
        (x.period_from.day, x.period_to.day, x.source_records, x.held_records, x.status) for x in reconcile(totals, deliveries, [PENALTIES, REGISTER])
    ]


def test_what_was_never_sent_is_seen_in_its_period():
    counts = {1: 3, 5: 4, 7: 2, 8: 5, 14: 1, 16: 9}
    assert reconciled(counts, [held(day(7), 9), held(day(14), 5)]) == [
        (1, 7, 9, 9, "matched"), (8, 14, 6, 5, "short"), (16, 16, 9, 0, "awaited"),
    ]  # fmt: skip


def test_a_delivery_that_never_came_is_seen_in_the_next():
    assert reconciled({1: 3, 8: 5}, [held(day(14), 5)]) == [(1, 8, 8, 5, "short")]


def test_a_correction_counts_in_the_place_of_what_it_corrects():
    parts = [held(day(7), 4, department="天河区"), held(day(7), 5, department="越秀区"), held(day(7), 5, revision=1, department="越秀区")]
    assert reconciled({7: 9}, parts) == [(7, 7, 9, 9, "matched")]
    assert reconciled({7: 9}, [*parts, held(day(7), 1, department="海珠区")]) == [(7, 7, 9, 10, "over")]


def test_a_resource_that_no_feed_is_and_deliveries_without_a_day_are_told():
    (line,) = reconcile([Total("别的资源", day(7), 4)], [held(None, 4)], [PENALTIES])
    assert (line.feed, line.status, line.source_records) == (None, "unknown", 4)
    (line,) = reconcile([Total("主体基本信息", day(7), 4)], [held(day(7), 4, feed="registration_subjects")], [PENALTIES, REGISTER])
    assert (line.feed, line.status) == ("registration_subjects", "matched")


# --- punctuality --------------------------------------------------------------------------------------------------------


def came(business_date, arrived_on=None, simulated=False):
    return Came(business_date, arrived_on or business_date + dt.timedelta(days=1), simulated)


def told(feed, deliveries, today):
    return [(d.business_date.isoformat()[5:], d.status, d.days_late) for d in punctuality(CONTRACTS[f"bronze.{feed}"], deliveries, today)]


def test_what_is_late_missing_or_overdue_is_told():
    weeks = [came(day(4)), came(day(11), day(20)), came(day(25))]
    assert told("penalties", weeks, day(31)) == [
        ("01-04", "on_time", 0), ("01-11", "late", 6), ("01-18", "missing", 10), ("01-25", "on_time", 0), ("02-01", "awaited", 0),
    ]  # fmt: skip
    assert told("penalties", weeks, dt.date(2026, 2, 10))[-1] == ("02-01", "overdue", 6)


def test_months_end_where_months_end():
    ends = [came(dt.date(2026, 1, 31)), came(dt.date(2026, 2, 28)), came(dt.date(2026, 4, 30))]
    assert [(d, s) for d, s, _ in told("inspection_results", ends, dt.date(2026, 5, 2))] == [
        ("01-31", "on_time"), ("02-28", "on_time"), ("03-31", "missing"), ("04-30", "on_time"), ("05-31", "awaited"),
    ]  # fmt: skip


def test_what_was_due_before_the_feed_was_connected_is_history():
    old = [came(day(4), day(26)), came(day(18), day(26)), came(day(25), day(26))]
    assert [(d, s) for d, s, _ in told("penalties", old, day(27))] == [
        ("01-04", "history"), ("01-11", "history"), ("01-18", "history"), ("01-25", "on_time"), ("02-01", "awaited"),
    ]  # fmt: skip


def test_nobody_is_reminded_of_made_up_deliveries_nor_of_feeds_without_a_cycle():
    assert told("penalties", [came(day(4), simulated=True)], dt.date(2027, 1, 1)) == [("01-04", "on_time", 0)]
    assert told("penalties", [], day(4)) == []


def test_a_delivery_that_came_twice_came_when_it_first_did():
    assert told("penalties", [came(day(4), day(20)), came(day(4), day(5))], day(6))[0] == ("01-04", "on_time", 0)


# --- profiles and anomalies ---------------------------------------------------------------------------------------------


class Nothing:
    """Spark whose tables of profiles are empty."""

    def __init__(self):
        self.asked = []

    def sql(self, statement):
        self.asked.append(statement)
        return self

    def collect(self):
        return []


def taken_row(number, records, state=False):
    week = dt.date(2026, 6, 1) + dt.timedelta(weeks=number)
    return (f"D{number:016}", "penalties", "执法监督处", f"{number}.csv", week, 0, week + dt.timedelta(days=1), records, False, 1, state)


def unusual(monkeypatch, records, note=None, broken=None):
    """What would be written of anomalies, where so many records came week by week; ``note``: what the table's newest commit says."""

    class Taken:
        def rows(self, sql):
            assert sql == profiles.TAKEN
            return [taken_row(n, r) for n, r in enumerate(records)]

    def bring_up(*_):
        if broken:
            raise broken

    monkeypatch.setattr(projections.profiles, "bring_up", bring_up)
    monkeypatch.setattr(projections, "_note", lambda contract, anew: note)
    feeds = {"penalties": PENALTIES}
    return projections._unusual(Nothing(), Taken(), CONTRACTS, feeds, False)


def test_anomalies_are_written_for_the_feeds_of_which_something_came(monkeypatch):
    ordinary = [400, 420, 380, 410, 395, 430, 405]
    (first,) = unusual(monkeypatch, ordinary)
    assert (first.rows, first.replaced) == ([], None)
    assert unusual(monkeypatch, ordinary, note=first.holds) == []
    (second,) = unusual(monkeypatch, [*ordinary, 20], note=first.holds)
    assert ([r[3] for r in second.rows], second.replaced) == (["volume_low"], "feed IN ('penalties')")
    (third,) = unusual(monkeypatch, [], note=second.holds)  # all withdrawn
    assert (third.rows, third.replaced) == ([], "feed IN ('penalties')")
    (anew,) = unusual(monkeypatch, [*ordinary, 20], note="maintain/1")
    assert (len(anew.rows), anew.replaced) == (1, None)


def test_profiles_that_can_t_be_made_stop_nothing_and_tell_no_cell(monkeypatch, capsys):
    secret = "440106198001011234"
    assert unusual(monkeypatch, [400], broken=PySparkException(message=f"The value '{secret}' can't be cast")) == []
    assert "列的剖析没有完成" in (said := capsys.readouterr().out)
    assert secret not in said
