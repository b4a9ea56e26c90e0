"""Great Expectations suites: what a contract calls ``fail``, and what only history can tell.

The contract's rules are translated one to one. The expectations about history are no contract's: they
compare a candidate with the release that readers see now, which no rule about one table can.
"""

from __future__ import annotations

from typing import Any

import great_expectations.expectations as gxe

from catalog.contract import Contract, Rule

# A mart that loses more than this share of its total against the current release is not published.
LARGEST_LOSS = 0.10


def from_contract(contract: Contract) -> list[Any]:
    """Return one expectation for each ``fail`` rule of the contract, with the rule's id and meaning in ``meta``.

    Raises:
        NotImplementedError: a rule has a metric or operator that is not translated; it must not be left out silently.
    """
    return [_expectation(contract, rule) for rule in contract.rules if rule.severity == "fail"]


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


def against_history(total_column: str | None, current_total: int | None) -> list[Any]:
    """Return the expectation that a mart's total did not collapse against the current release (none at the first)."""
    if total_column is None or not current_total:
        return []
    least = round(current_total * (1 - LARGEST_LOSS))
    meta = {"rule": f"{total_column}_not_lost", "description": f"与当前发布相比，合计不应减少一成以上（当前 {current_total}）", "dimension": "准确性"}
    return [gxe.ExpectColumnSumToBeBetween(column=total_column, min_value=least, meta=meta)]


def conservation(total_column: str, counted: int) -> list[Any]:
    """Return the expectation that a mart's total equals what was counted independently in its source."""
    meta = {"rule": f"{total_column}_conserved", "description": f"合计应等于来源中的主体数（{counted}），不多不少", "dimension": "一致性"}
    return [gxe.ExpectColumnSumToBeBetween(column=total_column, min_value=counted, max_value=counted, meta=meta)]
