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


@pytest.mark.parametrize("identity", sorted(CONTRACTS))  # the quarantine of a feed among them
def test_each_fail_rule_has_its_expectation(identity):
    contract = CONTRACTS[identity]
    rules = [rule.id for rule in contract.rules if rule.severity == "fail"]
    assert [e.meta["rule"] for e in suites.from_contract(contract)] == rules


@pytest.mark.parametrize(
    ("values", "passed"),
    [(["no_address", None], True), ([None, None], True), (["no_address", "somewhere"], False), (["", None], False)],
)
def test_an_allowed_value_may_be_missing_where_the_column_may_be_empty(values, passed):
    archive = CONTRACTS["gold.archive_subject"]
    assert not archive.column("district_reason").required
    (expectation,) = [e for e in suites.from_contract(archive) if e.meta["rule"] == "district_reason_known"]
    source = gx.get_context(mode="ephemeral").data_sources.add_pandas("unit")
    batch = source.add_dataframe_asset("rows").add_batch_definition_whole_dataframe("all")
    frame = pd.DataFrame({"district_reason": values}, dtype=object)
    assert batch.get_batch({"dataframe": frame}).validate(expectation, result_format="BOOLEAN_ONLY").success is passed


def test_a_required_column_is_judged_for_emptiness_too():
    rules = {e.meta["rule"]: type(e).__name__ for e in suites.from_contract(CONTRACTS["gold.archive_subject"])}
    assert rules["district_confidence_known"] == "ExpectColumnValuesToBeInSet"
    assert rules["district_confidence_present"] == "ExpectColumnValuesToNotBeNull"
    assert "district_reason_present" not in rules


def test_a_rule_that_is_not_translated_is_an_error():
    contract = CONTRACTS["silver.ref_area"]
    strange = replace(contract.rules[0], operator="mustBeLessThan")
    with pytest.raises(NotImplementedError, match="ref_area_rows"):
        suites.from_contract(replace(contract, rules=(strange,)))


def test_a_table_may_not_lose_more_than_a_tenth():
    (expectation,) = suites.not_lost(1000)
    assert expectation.min_value == 900


def test_rows_counted_elsewhere_and_keys_are_exact():
    (counted,) = suites.row_count("nothing_lost", 12, "应与落地的行数一致")
    assert (counted.value, counted.meta["rule"], counted.meta["dimension"]) == (12, "nothing_lost", "一致性")
    (unique,) = suites.unique(["a", "b"], "one_each", "不应重复")
    assert unique.column_list == ["a", "b"]


def test_a_conserved_sum_is_exact():
    (expectation,) = suites.conservation("subjects", 7, "合计应等于主体数")
    assert (expectation.min_value, expectation.max_value) == (7, 7)
    (empty,) = suites.conservation("subjects", 0, "合计应等于主体数")
    assert empty.value == 0
