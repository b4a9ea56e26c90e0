"""Great Expectations suites: what a contract calls ``fail``, and what only history can tell.

The contract's rules are translated one to one. The expectations about history are no contract's: they
compare a candidate with the release that readers see now, which no rule about one table can.
"""

from __future__ import annotations

from typing import Any

import great_expectations.expectations as gxe
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from catalog.contract import Contract, Rule

# A table that loses more than this share of its rows against the current release is not published.
LARGEST_LOSS = 0.10
# Nor facts of which so much less can be placed than before: a changed form of addresses, say.
LARGEST_DROP = 0.10
FEWEST_ROWS = 500


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


def row_count(rule: str, rows: int, description: str) -> list[Any]:
    """Exactly ``rows`` rows: counted elsewhere, or 0 where the rows are those that break a reference."""
    return [gxe.ExpectTableRowCountToEqual(value=rows, meta=_meta(rule, description, "一致性"))]


def unique(columns: list[str], rule: str, description: str) -> list[Any]:
    """No two rows agree in ``columns``."""
    return [gxe.ExpectCompoundColumnsToBeUnique(column_list=columns, meta=_meta(rule, description, "一致性"))]


def conservation(total_column: str, counted: int, description: str) -> list[Any]:
    """The sum of a mart's column equals what was counted independently in its source."""
    meta = _meta(f"{total_column}_conserved", f"{description}（{counted}），不多不少", "一致性")
    if counted == 0:  # a sum over no rows is no number
        return [gxe.ExpectTableRowCountToEqual(value=0, meta=meta)]
    return [gxe.ExpectColumnSumToBeBetween(column=total_column, min_value=counted, max_value=counted, meta=meta)]


def not_lost(before: int) -> list[Any]:
    """The rows did not collapse against the release that readers see now."""
    least = round(before * (1 - LARGEST_LOSS))
    return [
        gxe.ExpectTableRowCountToBeBetween(min_value=least, meta=_meta("rows_not_lost", f"与当前发布相比不应减少一成以上（当前 {before}）", "准确性"))
    ]


def share_kept(column: str, before: DataFrame, what: str) -> list[Any]:
    """The share of rows with a value did not fall by more than LARGEST_DROP against the release; too few rows say nothing."""
    if column not in before.columns:  # older than the column
        return []
    rows, filled = before.agg(F.count("*"), F.count(column)).collect()[0]
    if rows < FEWEST_ROWS:
        return []
    least = max(0.0, filled / rows - LARGEST_DROP)
    meta = _meta(f"{column}_share_kept", f"与当前发布相比，{what}不应下降 {LARGEST_DROP:.0%} 以上（当前 {filled / rows:.1%}）", "准确性")
    return [gxe.ExpectColumnProportionOfNonNullValuesToBeBetween(column=column, min_value=least, meta=meta)]


def _meta(rule: str, description: str, dimension: str) -> dict[str, str]:
    return {"rule": rule, "description": description, "dimension": dimension}
