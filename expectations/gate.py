"""The gate before a publication: Great Expectations judges the candidate versions, independently of who made them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")

import great_expectations as gx
from great_expectations.data_context.types.base import ProgressBarsConfig
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from catalog.contract import Contract
from catalog.derive import table_name
from expectations import suites
from infra.ledger import TableVersion


@dataclass(frozen=True)
class Verdict:
    """The outcome of one expectation on one candidate version."""

    table_name: str
    version: int
    rule: str
    description: str
    dimension: str
    passed: bool
    observed: str


def judge(spark: SparkSession, contracts: dict[str, Contract], candidates: list[TableVersion], current: list[TableVersion]) -> list[Verdict]:
    """Judge each candidate by its contract's suite, by what its source holds and by the current release."""
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    source = context.data_sources.add_spark("lake")
    by_table = {table_name(c): c for c in contracts.values()}
    versions = {t.table_name: t.version for t in current}
    verdicts: list[Verdict] = []
    for candidate in candidates:
        contract = by_table[candidate.table_name]
        frame = _at(spark, candidate.table_name, candidate.version)
        expectations = suites.from_contract(contract)
        if contract.id == "gold.mart_registrations_yearly":
            before = versions.get(candidate.table_name)
            total = _at(spark, candidate.table_name, before).agg(F.sum("subjects")).collect()[0][0] if before is not None else None
            expectations += suites.against_history("subjects", total)
            expectations += suites.conservation("subjects", _subjects_in_source(spark))
        suite = gx.ExpectationSuite(name=contract.id, expectations=expectations)
        batch = source.add_dataframe_asset(contract.id).add_batch_definition_whole_dataframe("candidate").get_batch({"dataframe": frame})
        result = batch.validate(suite, result_format="BASIC")
        if len(result.results) != len(expectations):
            raise RuntimeError(f"{contract.id}: {len(expectations)} expectations, {len(result.results)} results")
        verdicts += [_verdict(candidate, r) for r in result.results]
    return verdicts


def _at(spark: SparkSession, table: str, version: int) -> Any:
    return spark.sql(f"SELECT * FROM {table} VERSION AS OF {int(version)}")  # noqa: S608 - names come from contracts


def _subjects_in_source(spark: SparkSession) -> int:
    """Distinct subjects with a name and a date that bronze holds: counted another way than the mart does it."""
    bronze = spark.table("bronze.registration_subjects").where("raw_line IS NULL")
    tokens = F.trim(F.col("subject_name")).isin("", "N/A", "-")
    named = bronze.where(F.col("subject_name").isNotNull() & ~tokens & F.col("registration_date").rlike(r"^(19|20)\d{2}\D?\d{1,2}\D?\d{1,2}"))
    return int(named.select(F.trim("credit_code"), F.trim("subject_name")).distinct().count())


def _verdict(candidate: TableVersion, result: Any) -> Verdict:
    meta = result.expectation_config.meta
    details = result.result or {}
    # Counts only: values of rows may be personal data.
    observed = details.get("observed_value", details.get("unexpected_count", ""))
    raised = _raised(result.exception_info or {})
    if raised:
        observed = f"这条规则没能执行：{raised}"
    return Verdict(candidate.table_name, candidate.version, meta["rule"], meta["description"], meta["dimension"], bool(result.success), str(observed))


def _raised(info: dict[str, Any]) -> str:
    """The first line of an exception inside a result; Great Expectations nests them by metric."""
    entries = [info] if "raised_exception" in info else [v for v in info.values() if isinstance(v, dict)]
    return next((str(e.get("exception_message", "")).strip().splitlines()[0][:300] for e in entries if e.get("raised_exception")), "")
