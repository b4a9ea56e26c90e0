"""Every ``fail`` rule of a contract becomes one expectation; nothing is left out silently."""

from dataclasses import replace

import pytest

from catalog.contract import load_contracts
from expectations import suites

CONTRACTS = load_contracts()


@pytest.mark.parametrize("identity", sorted(CONTRACTS))
def test_each_fail_rule_has_its_expectation(identity):
    contract = CONTRACTS[identity]
    rules = [rule.id for rule in contract.rules if rule.severity == "fail"]
    assert [e.meta["rule"] for e in suites.from_contract(contract)] == rules


def test_a_rule_that_is_not_translated_is_an_error():
    contract = CONTRACTS["silver.ref_area"]
    strange = replace(contract.rules[0], operator="mustBeLessThan")
    with pytest.raises(NotImplementedError, match="ref_area_rows"):
        suites.from_contract(replace(contract, rules=(strange,)))


def test_the_sum_may_not_fall_by_more_than_a_tenth():
    (expectation,) = suites.against_history("subjects", 1000)
    assert expectation.min_value == 900
    assert suites.against_history("subjects", None) == []
