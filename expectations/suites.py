"""Great Expectations suites: what a contract calls ``fail``, translated one to one, and what is expected of counted figures."""

from __future__ import annotations

from typing import Any

import great_expectations.expectations as gxe

from catalog.contract import Contract, Rule


def from_contract(contract: Contract) -> list[tuple[Rule, Any]]:
    """Return each ``fail`` rule of the contract with its expectation, which has the rule's id and meaning in ``meta``.

    Raises:
        NotImplementedError: a rule has a metric or operator that is not translated; it must not be left out silently.
    """
    return [(rule, _expectation(contract, rule)) for rule in contract.rules if rule.severity == "fail"]


def _expectation(contract: Contract, rule: Rule) -> Any:
    meta = {"rule": rule.id, "description": rule.description, "dimension": rule.dimension}
    untranslated = NotImplementedError(f"{contract.id}: rule {rule.id} ({rule.metric} {rule.operator} {rule.threshold:g}) has no expectation")
    if rule.metric == "rowCount":
        if rule.operator == "mustBeGreaterThan":
            return gxe.ExpectTableRowCountToBeBetween(min_value=int(rule.threshold) + 1, meta=meta)
        if rule.operator == "mustBeGreaterOrEqualTo":
            return gxe.ExpectTableRowCountToBeBetween(min_value=int(rule.threshold), meta=meta)
        raise untranslated
    if (rule.operator, rule.threshold) != ("mustBe", 0):
        raise untranslated
    if rule.metric == "nullValues":
        return gxe.ExpectColumnValuesToNotBeNull(column=rule.columns[0], meta=meta)
    if rule.metric == "duplicateValues":
        if len(rule.columns) == 1:
            return gxe.ExpectColumnValuesToBeUnique(column=rule.columns[0], meta=meta)
        return gxe.ExpectCompoundColumnsToBeUnique(column_list=list(rule.columns), meta=meta)
    if rule.metric == "invalidValues":
        if "pattern" in rule.arguments:
            return gxe.ExpectColumnValuesToMatchRegex(column=rule.columns[0], regex=rule.arguments["pattern"], meta=meta)
        values = [value for value, _ in contract.column(rule.columns[0]).allowed]
        return gxe.ExpectColumnValuesToBeInSet(column=rule.columns[0], value_set=values, meta=meta)
    raise untranslated


def figure(rule: str, least: float | None, most: float | None, description: str, dimension: str = "一致性") -> Any:
    """A number that was counted lies between ``least`` and ``most``, both included (None: no bound). It stands in a column of the rule's name."""
    return gxe.ExpectColumnMaxToBeBetween(column=rule, min_value=least, max_value=most, meta=_meta(rule, description, dimension))


def _meta(rule: str, description: str, dimension: str) -> dict[str, str]:
    return {"rule": rule, "description": description, "dimension": dimension}
