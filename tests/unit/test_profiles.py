"""Profiles of columns: counts of what arrived, and no content of any cell. The statements are run in DuckDB; Spark takes the same ones."""

import datetime as dt
from dataclasses import replace
from decimal import Decimal

import duckdb
import pytest

from catalog.contract import load_contracts
from catalog.derive import physical_columns
from spark_jobs import profiles
from spark_jobs.profiles import Profile, Taken, coarse, counts_sql, delivered, frequent_sql, profile, row

CONTRACTS = load_contracts()
COMPLAINTS, PENALTIES = CONTRACTS["bronze.complaints"], CONTRACTS["bronze.penalties"]
PERSON = "440106198001011234"  # of a made-up person


def arrived(feed, rows):
    """A table ``arrived`` of bronze rows: ``(delivery, row, {column: cell})``; a row with raw_line could not be split."""
    columns = [c.name for c in physical_columns(feed)]
    connection = duckdb.connect()
    connection.execute(f"CREATE TABLE arrived ({', '.join(f'{c} VARCHAR' if c != 'row_number' else f'{c} BIGINT' for c in columns)})")
    for delivery, number, cells in rows:
        said = {"delivery_id": delivery, "row_number": number} | cells
        connection.execute(f"INSERT INTO arrived VALUES ({', '.join('?' for _ in columns)})", [said.get(c) for c in columns])
    return connection, columns


def profiled(feed, rows, deliveries):
    connection, columns = arrived(feed, rows)
    counted = {(r[0], r[1]): r[2:] for r in connection.execute(counts_sql(feed, "arrived", deliveries, columns)).fetchall()}
    frequent = {(r[0], r[1]): (int(r[2]), int(r[3])) for r in connection.execute(frequent_sql(feed, "arrived", deliveries, columns)).fetchall()}
    return {key: profile(counts, frequent.get(key)) for key, counts in counted.items()}


def test_a_profile_is_what_one_counts_by_hand():
    cells = [
        {"penalty_kind": "罚款", "fine_amount": "1,200.50", "decided_on": "2019-03-01"},
        {"penalty_kind": " 警告　", "fine_amount": "34567", "decided_on": "20190412"},
        {"penalty_kind": "罚款", "fine_amount": "五百元", "decided_on": "2018年7月1日"},
        {"penalty_kind": "　", "fine_amount": "", "decided_on": "不详"},
        {"raw_line": "一行，拆不开"},
    ]
    found = profiled(PENALTIES, [("D1", n, c) for n, c in enumerate(cells, 1)] + [("D2", 1, {"penalty_kind": "罚款"})], {"D1": 5})
    # Four rows could be split. Kinds: 罚款 twice, 警告 (two characters without its blanks), one blank.
    assert found["D1", "penalty_kind"] == Profile(4, 1, 2, 2, 2, 2.0, None, None, 3, 2)
    # Amounts: 8, 5 and 3 characters, of which 1200.5 and 34567 can be read.
    assert found["D1", "fine_amount"] == Profile(4, 1, 3, 3, 8, 16 / 3, "1200", "35000", 3, 1)
    # Dates: 10, 8, 9 and 2 characters; three begin with year and month.
    assert found["D1", "decided_on"] == Profile(4, 0, 4, 2, 10, 29 / 4, "2018-07", "2019-04", 4, 1)
    assert found["D1", "violation_kind"] == Profile(4, 4, 0)
    assert {d for d, _ in found} == {"D1"}
    assert {c for _, c in found} == {c.name for c in delivered(PENALTIES)}


def test_of_a_classified_column_there_are_counts_alone():
    people = [c.name for c in delivered(COMPLAINTS) if c.personal]
    assert "complainant_phone" in people
    rows = [("D1", n, {c.name: f"{PERSON}{n % 2}" for c in delivered(COMPLAINTS)}) for n in range(1, 7)]
    found = profiled(COMPLAINTS, rows, {"D1": 6})
    for name in people:
        assert found["D1", name] == Profile(6, 0, 2), name


def test_neither_are_numbers_and_dates_of_a_classified_column_told():
    columns = tuple(replace(c, classification="个人信息") if c.name in ("fine_amount", "decided_on") else c for c in PENALTIES.columns)
    cells = {"fine_amount": "5000", "decided_on": "2019-03-01", "confiscated_amount": "20"}
    found = profiled(replace(PENALTIES, columns=columns), [("D1", 1, cells)], {"D1": 1})
    assert found["D1", "fine_amount"] == found["D1", "decided_on"] == Profile(1, 0, 1)
    assert found["D1", "confiscated_amount"].least == "20"


@pytest.mark.parametrize("feed", [c for c in CONTRACTS.values() if c.kind.value == "feed"], ids=lambda c: c.name)
def test_a_person_s_number_in_any_column_is_in_no_profile(feed):
    """Where columns have slipped, it may stand in each of them."""
    told = "".join(
        str(row(taken(feed), feed, feed.column(column), p))
        for cell in (PERSON, "13800000000", "19800101", "广州市测试人甲")
        for (_, column), p in profiled(feed, [("D1", 1, {c.name: cell for c in delivered(feed)})], {"D1": 1}).items()
    )
    for secret in (PERSON, PERSON[:8], "1380000000", "19800101", "1980-01-01", "测试人"):
        assert secret not in told


def test_the_most_frequent_content_of_a_large_delivery_is_looked_for_in_a_part_of_it(monkeypatch):
    monkeypatch.setattr(profiles, "SAMPLE", 10)
    rows = [("D1", n, {"penalty_kind": "罚款" if n % 4 else "警告"}) for n in range(1, 41)]
    connection, columns = arrived(PENALTIES, rows + [("D2", n, {"penalty_kind": "罚款"}) for n in range(1, 4)])
    found = {(r[0], r[1]): r[2:] for r in connection.execute(frequent_sql(PENALTIES, "arrived", {"D1": 40, "D2": 3}, columns)).fetchall()}
    assert found["D1", "penalty_kind"] == (10, 10)  # every fourth row
    assert found["D2", "penalty_kind"] == (3, 3)


def test_a_column_that_bronze_does_not_have_yet_is_left_out():
    connection, columns = arrived(PENALTIES, [("D1", 1, {"penalty_kind": "罚款"})])
    told = connection.execute(counts_sql(PENALTIES, "arrived", ["D1"], [c for c in columns if c != "case_number"])).fetchall()
    assert "case_number" not in {r[1] for r in told}


@pytest.mark.parametrize(
    ("number", "told"),
    [(1234567, "1200000"), (0.0123, "0.012"), (-45.6, "-46"), (0, "0"), (99.6, "100"), (440106198001011234, "440000000000000000"), (None, None), (float("inf"), None)],
)  # fmt: skip
def test_numbers_are_told_to_two_digits(number, told):
    assert coarse(number) == told


def taken(feed, **more):
    day = dt.date(2026, 11, 2)
    return Taken(**{"delivery_id": "D1", "feed": feed.name, "department": feed.department, "file_name": "a.csv", "business_date": day, "revision": 0, "arrived_on": day, "records": 1, "simulated": False, "reading": 1, "held": False} | more)  # fmt: skip


def test_a_row_has_the_columns_of_its_contract():
    told = row(taken(PENALTIES), PENALTIES, PENALTIES.column("fine_amount"), Profile(4, 1, 3, 3, 8, 16 / 3, "1200", "35000", 3, 2))
    named = dict(zip([c.name for c in physical_columns(CONTRACTS[profiles.PROFILES])], told, strict=True))
    assert (named["profiled_records"], named["empty_count"], named["distinct_count"]) == (4, 1, 3)
    of_type = {"STRING": str, "DATE": dt.date, "INT": int, "BIGINT": int, "DECIMAL(12,2)": Decimal, "DECIMAL(7,6)": Decimal}
    for column in CONTRACTS[profiles.PROFILES].columns:
        assert isinstance(named[column.name], of_type[column.type]), column.name
    assert (str(named["mean_length"]), str(named["most_frequent_share"]), named["column_title"]) == ("5.33", "0.666667", "罚款金额")


# ---- which deliveries are profiled ----


class Table:
    """Stands for Spark: what the table holds, by (delivery, reading, form)."""

    def __init__(self, monkeypatch, holds=()):
        self.holds, self.note, self.commits = set(holds), None, []
        monkeypatch.setattr(profiles, "_rows", lambda spark, feeds, chunk: [(d.delivery_id, d.reading, profiles.FORM) for d in chunk])
        monkeypatch.setattr(profiles, "_put", self._put)
        monkeypatch.setattr(profiles.delta, "files", lambda table: ())

    def sql(self, statement):
        return self

    def collect(self):
        return sorted(self.holds)

    def _put(self, spark, ledger, contract, rows, holds, replaced):
        out = None if replaced is None else {part.strip("' ") for part in replaced.removeprefix("delivery_id IN (").rstrip(")").split(",")}
        self.holds = {r for r in self.holds if out is not None and r[0] not in out} | set(rows)
        self.note = holds
        self.commits.append((sorted(r[0] for r in rows), replaced))

    def bring_up(self, deliveries, anew=False):
        self.commits.clear()
        profiles.bring_up(self, None, CONTRACTS[profiles.PROFILES], {"penalties": PENALTIES}, deliveries, self.note, anew)
        return [ids for ids, _ in self.commits]


def came(identity, **more):
    return taken(PENALTIES, delivery_id=identity, **more)


def test_each_delivery_is_profiled_once_for_each_reading_and_goes_when_it_is_withdrawn(monkeypatch):
    table = Table(monkeypatch)
    assert table.bring_up([came("D1"), came("D2"), came("D3", records=0), taken(COMPLAINTS, delivery_id="D4")]) == [["D1", "D2"]]
    assert table.bring_up([came("D1"), came("D2")]) == []
    assert table.bring_up([came("D1"), came("D2"), came("D5")]) == [["D5"]]
    assert table.bring_up([came("D1", reading=2), came("D2"), came("D5")]) == [["D1"]]
    assert table.bring_up([came("D1", reading=2), came("D5")]) == [[]]
    assert table.holds == {("D1", 2, profiles.FORM), ("D5", 1, profiles.FORM)}
    assert table.bring_up([came("D1", reading=2), came("D5")], anew=True) == [["D1", "D5"]]
    table.note = "maintain/1"  # somebody else's commit: what is there stays
    assert table.bring_up([came("D1", reading=2), came("D5")]) == [[]]
    monkeypatch.setattr(profiles, "FORM", profiles.FORM + 1)
    assert table.bring_up([came("D1", reading=2), came("D5")]) == [["D1", "D5"]]


def test_one_that_was_killed_between_two_commits_goes_on_where_it_was(monkeypatch):
    monkeypatch.setattr(profiles, "AT_ONCE", 1)
    table, put = Table(monkeypatch), profiles._put
    monkeypatch.setattr(profiles, "_put", lambda *a: put(*a) if not table.commits else (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        table.bring_up([came("D1"), came("D2")])
    monkeypatch.setattr(profiles, "_put", put)
    assert table.bring_up([came("D1"), came("D2")]) == [["D2"]]
    assert table.holds == {("D1", 1, profiles.FORM), ("D2", 1, profiles.FORM)}
