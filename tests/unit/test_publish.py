"""Readers' views and the ledger's projections follow the contracts."""

import re

from catalog.contract import load_contracts
from catalog.derive import physical_columns
from spark_jobs.publish import PROJECTIONS, view_sql

CONTRACTS = load_contracts()


def test_a_view_names_its_columns_its_version_and_its_release():
    sql = view_sql(CONTRACTS["gold.mart_registrations_yearly"], 7, "R00000042")
    assert "lake_publish.gold.mart_registrations_yearly" in sql
    assert "FROM lake.gold_tables.mart_registrations_yearly FOR VERSION AS OF 7" in sql
    assert "'R00000042' AS release_id" in sql
    assert "SECURITY DEFINER" in sql
    assert "*" not in re.sub(r"COMMENT '.*?' SECURITY", "", sql)


def test_a_quote_in_a_comment_or_release_can_t_end_the_text():
    assert "'R''1' AS release_id" in view_sql(CONTRACTS["gold.mart_registrations_yearly"], 7, "R'1")


def test_projections_have_as_many_columns_as_their_contracts():
    assert set(PROJECTIONS) == {i for i, c in CONTRACTS.items() if c.layer == "ops"}
    for identity, sql in PROJECTIONS.items():
        selected = re.search(r"SELECT (.*?) FROM", sql, re.S)
        assert selected
        assert len(selected[1].split(",")) == len(physical_columns(CONTRACTS[identity])), identity
