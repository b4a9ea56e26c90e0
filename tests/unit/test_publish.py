"""Readers' views and the ledger's projections follow the contracts."""

import re
from dataclasses import replace

import pytest
from trino.exceptions import TrinoUserError

from catalog.contract import load_contracts
from catalog.derive import all_tables, physical_columns, table_name, table_schema, view_columns
from infra.ledger import TableVersion
from infra.problems import Problem
from spark_jobs import publish
from spark_jobs.publish import pin_sql, replay_views, view_sql

CONTRACTS = load_contracts()
MONTHLY, QUARANTINE, RELEASES = "gold.mart_registrations_monthly", "silver.registration_subjects_quarantine", "ops.releases"


def test_a_view_names_its_columns_its_version_and_its_release():
    sql = pin_sql(CONTRACTS["gold.mart_registrations_monthly"], 7, "R00000042")
    assert "lake_publish.gold_pinned.mart_registrations_monthly" in sql
    assert "FROM lake.gold_tables.mart_registrations_monthly FOR VERSION AS OF 7" in sql
    assert "'R00000042' AS release_id" in sql
    above = view_sql(CONTRACTS["gold.mart_registrations_monthly"])
    assert above.endswith("  release_id\nFROM lake.gold_pinned.mart_registrations_monthly")
    for text in (sql, above):
        assert "SECURITY DEFINER" in text
        assert "*" not in re.sub(r"COMMENT '.*?' SECURITY", "", text)


def test_a_quote_in_a_comment_or_release_can_t_end_the_text():
    assert "'R''1' AS release_id" in pin_sql(CONTRACTS["gold.mart_registrations_monthly"], 7, "R'1")


def test_a_view_of_the_ledger_is_pinned_to_nothing_and_names_its_own_release():
    assert view_sql(CONTRACTS[RELEASES]).endswith("FROM lake.ops_tables.releases")


# --- all views again ----------------------------------------------------------------------------------------------------


class Trino:
    """Answers as Trino would that stores ``tables`` and shows ``release``; keeps what it was asked."""

    def __init__(self, tables, release="R00000042"):
        self.columns = [[table_schema(c), c.name, column.name] for c in tables for column in physical_columns(c)]
        self.release = release
        self.asked = []
        self.standing = []  # views as information_schema tells them

    def cursor(self):
        return self

    def execute(self, sql):
        self.asked.append(sql)

    def fetchall(self):
        if "information_schema.columns" in self.asked[-1]:
            return self.columns
        if "information_schema.views" in self.asked[-1]:
            return self.standing
        return [[self.release]] if self.asked[-1].startswith("SELECT release_id") else []

    @property
    def views(self):
        """The readers' views that were made."""
        return [v for v in self.made if "_pinned." not in v]

    @property
    def pinned(self):
        return [v.replace("_pinned.", ".") for v in self.made if "_pinned." in v]

    @property
    def made(self):
        return [m[1] for sql in self.asked if (m := re.match(r"CREATE OR REPLACE VIEW lake_publish\.(\S+) ", sql))]


class Notes:
    """What the ledger notes of views."""

    def __init__(self):
        self.made = {}

    def views_made(self):
        return dict(self.made)

    def views_unmade(self, names):
        for name in names:
            self.made.pop(name, None)

    def note_views(self, definitions):
        self.made |= definitions


@pytest.fixture
def replayed(monkeypatch):
    """``replayed(trino, *pinned ids)``: what became of a replay of R00000042 over all tables."""
    notes = Notes()

    def replay(trino, *pinned):
        monkeypatch.setattr(publish, "as_publisher", lambda context: trino)
        tables = all_tables(CONTRACTS)
        return replay_views(None, notes, tables, "R00000042", [TableVersion(table_name(tables[i]), 7, 10, "1") for i in pinned])

    return replay


def test_views_are_made_of_what_is_released_and_of_the_ledger(replayed):
    tables = all_tables(CONTRACTS)
    trino = Trino(tables.values())
    assert replayed(trino, MONTHLY, QUARANTINE) == len(trino.views)
    assert set(trino.views) == {MONTHLY, QUARANTINE} | {i for i, c in CONTRACTS.items() if c.layer == "ops"}
    assert [sql for sql in trino.asked if "FOR VERSION AS OF 7" in sql] == [pin_sql(tables[i], 7, "R00000042") for i in (MONTHLY, QUARANTINE)]
    assert [sql for sql in trino.asked if sql.startswith("SELECT release_id")] == [
        f"SELECT release_id FROM lake.{i} LIMIT 1" for i in (MONTHLY, QUARANTINE)
    ]


def test_what_a_release_does_not_change_is_left_as_it_stands(replayed):
    tables = all_tables(CONTRACTS)
    first = Trino(tables.values())
    replayed(first, MONTHLY, QUARANTINE)
    standing = [
        [*name.split("."), sql] for name in first.made for sql in first.asked if sql.startswith(f"CREATE OR REPLACE VIEW lake_publish.{name} ")
    ]
    again, lost, unpinned, moved = (Trino(tables.values()) for _ in range(4))
    again.standing = standing
    assert replayed(again, MONTHLY, QUARANTINE) == len(first.views)
    assert again.made == []
    # One that has gone is made, and so is what it reads.
    for trino, schema in ((lost, "gold"), (unpinned, "gold_pinned")):
        trino.standing = [row for row in standing if row[:2] != [schema, "mart_registrations_monthly"]]
        replayed(trino, MONTHLY, QUARANTINE)
        assert (trino.views, trino.pinned) == ([MONTHLY], [MONTHLY])
    # Of one that shows another version, only that: its columns keep their comments.
    moved.standing = [[*row[:2], row[2].replace("VERSION AS OF 7", "VERSION AS OF 6")] for row in standing]
    replayed(moved, MONTHLY, QUARANTINE)
    assert (moved.views, set(moved.pinned)) == ([], {MONTHLY, QUARANTINE})
    assert not [sql for sql in moved.asked if sql.startswith("COMMENT")]


def test_a_view_is_made_again_where_a_type_beneath_it_has_changed():
    contract = CONTRACTS[MONTHLY]
    columns = [replace(c, type="INT") if c.type == "BIGINT" else c for c in contract.columns]
    assert columns != list(contract.columns)
    other = replace(contract, columns=tuple(columns))
    assert view_sql(contract) == view_sql(other)
    assert publish.definition(contract) != publish.definition(other)


def test_every_column_gets_its_comment_again(replayed):
    trino = Trino(all_tables(CONTRACTS).values())
    replayed(trino, MONTHLY)
    made = [re.match(r"COMMENT ON COLUMN lake_publish\.(\S+) IS '", sql) for sql in trino.asked]
    columns = {m[1] for m in made if m}
    assert {name for name in columns if name.startswith(f"{MONTHLY}.")} == {f"{MONTHLY}.{c.name}" for c in view_columns(CONTRACTS[MONTHLY])}


def test_a_table_that_lacks_a_new_column_keeps_its_view(replayed):
    trino = Trino(all_tables(CONTRACTS).values())
    trino.columns.remove(["gold_tables", "mart_registrations_monthly", "marked_subjects"])
    trino.columns.remove(["ops_tables", "releases", "checksum"])
    replayed(trino, MONTHLY, QUARANTINE)
    assert QUARANTINE in trino.views
    assert not {MONTHLY, RELEASES} & set(trino.views)


def test_a_version_that_lacks_a_column_keeps_its_view_though_the_table_has_it(replayed):
    """A run that built the table anew and wasn't published leaves the column in the newest version alone."""

    class Older(Trino):
        def execute(self, sql):
            if sql.startswith("CREATE OR REPLACE VIEW lake_publish.gold_pinned.mart_registrations_monthly "):
                raise TrinoUserError({"errorName": "COLUMN_NOT_FOUND", "message": "line 1:1: Column 'marked_subjects' cannot be resolved"})
            super().execute(sql)

    trino = Older(all_tables(CONTRACTS).values())
    replayed(trino, MONTHLY, QUARANTINE)
    assert MONTHLY not in trino.views
    assert QUARANTINE in trino.views
    asked = [sql for sql in trino.asked if MONTHLY in sql]
    assert not any(sql.startswith("COMMENT") for sql in asked), "what stays as it was keeps its comments"


def test_a_view_that_shows_another_release_is_a_problem(replayed):
    with pytest.raises(Problem, match="does not show R00000042"):
        replayed(Trino(all_tables(CONTRACTS).values(), release="R00000041"), MONTHLY)


@pytest.mark.parametrize(
    ("rows", "checksum", "differs"),
    [(2, "crc32:7", False), (2, "crc32:8", True), (3, "crc32:7", True), (2, "md5:8", False), (2, None, False)],
)
def test_contents_are_compared_by_rows_and_by_checksums_of_one_kind(rows, checksum, differs):
    assert publish.differs(TableVersion("gold_tables.t", 4, 2, "crc32:7"), rows, checksum) is differs
    # What an earlier version of the program noted: sums of another kind, without its name.
    assert publish.differs(TableVersion("gold_tables.t", 4, 2, "46138725867863153308"), rows, checksum) is (rows != 2)
