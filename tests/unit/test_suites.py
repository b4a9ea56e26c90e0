"""Every ``fail`` rule of a contract becomes one expectation; nothing is left out silently."""

import os
from dataclasses import replace

os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")

import great_expectations as gx
import pandas as pd
import pytest

from catalog.contract import load_contracts
from catalog.derive import all_tables
from expectations import suites

CONTRACTS = all_tables(load_contracts())


def validates(frame, expectation):
    """Whether rows meet an expectation."""
    source = gx.get_context(mode="ephemeral").data_sources.add_pandas("unit")
    batch = source.add_dataframe_asset("rows").add_batch_definition_whole_dataframe("all")
    return batch.get_batch({"dataframe": frame}).validate(expectation, result_format="BOOLEAN_ONLY").success


@pytest.mark.parametrize("identity", sorted(CONTRACTS))  # the quarantine of a feed among them
def test_each_fail_rule_has_its_expectation(identity):
    contract = CONTRACTS[identity]
    rules = [rule.id for rule in contract.rules if rule.severity == "fail"]
    assert [e.meta["rule"] for _, e in suites.from_contract(contract)] == rules


@pytest.mark.parametrize(
    ("values", "passed"),
    [(["no_address", None], True), ([None, None], True), (["no_address", "somewhere"], False), (["", None], False)],
)
def test_an_allowed_value_may_be_missing_where_the_column_may_be_empty(values, passed):
    archive = CONTRACTS["gold.archive_subject"]
    assert not archive.column("district_reason").required
    (expectation,) = [e for _, e in suites.from_contract(archive) if e.meta["rule"] == "district_reason_known"]
    assert validates(pd.DataFrame({"district_reason": values}, dtype=object), expectation) is passed


def test_a_required_column_is_judged_for_emptiness_too():
    rules = {e.meta["rule"]: type(e).__name__ for _, e in suites.from_contract(CONTRACTS["gold.archive_subject"])}
    assert rules["district_confidence_known"] == "ExpectColumnValuesToBeInSet"
    assert rules["district_confidence_present"] == "ExpectColumnValuesToNotBeNull"
    assert "district_reason_present" not in rules


def test_a_rule_that_is_not_translated_is_an_error():
    contract = CONTRACTS["silver.ref_area"]
    strange = replace(contract.rules[0], operator="mustBeLessThan")
    with pytest.raises(NotImplementedError, match="ref_area_rows"):
        suites.from_contract(replace(contract, rules=(strange,)))


@pytest.mark.parametrize(("value", "passed"), [(12, True), (11, False), (13, False), (None, False)])
def test_a_figure_lies_between_its_bounds(value, passed):
    expectation = suites.figure("nothing_lost", 12, 12, "应与落地的行数一致")
    assert (expectation.column, expectation.meta["rule"], expectation.meta["dimension"]) == ("nothing_lost", "nothing_lost", "一致性")
    assert validates(pd.DataFrame({"nothing_lost": [value]}, dtype=float), expectation) is passed


def test_a_figure_may_have_no_upper_bound():
    expectation = suites.figure("rows_not_lost", 900, None, "不应减少", "准确性")
    assert validates(pd.DataFrame({"rows_not_lost": [10_000.0]}), expectation)
    assert not validates(pd.DataFrame({"rows_not_lost": [899.0]}), expectation)
