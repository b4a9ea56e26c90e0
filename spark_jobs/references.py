"""Code lists into silver: from files of ``catalog/codes``, and from the contracts themselves."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from catalog.contract import Contract
from catalog.derive import header_bindings, physical_columns, spark_schema, table_name
from catalog.properties import Kind
from infra.settings import REPO
from spark_jobs.writing import Writer

FILES = {"silver.ref_area": "gbt2260_areas.csv", "silver.ref_industry": "gbt4754_industries.csv"}
RULES = "silver.ref_quality_rule"


def load(writer: Writer, contracts: Mapping[str, Contract], run_id: str) -> None:
    """Fill every code list. They are part of what silver is built with: when one changes, silver is built anew, and they with it."""
    rules = [(f.name, r.id, r.severity, r.dimension, r.description) for f in contracts.values() if f.kind is Kind.FEED for r in f.rules]
    lists = {identity: _from_file(writer, contracts[identity], file) for identity, file in FILES.items()}
    lists[RULES] = writer.spark.createDataFrame(rules, spark_schema(contracts[RULES]))
    for identity, wanted in lists.items():
        writer.write(wanted, table_name(contracts[identity]), "overwrite", "reference", run_id)


def _from_file(writer: Writer, contract: Contract, file: str) -> DataFrame:
    bindings = header_bindings(contract)
    # Bound by the header's names: without a schema every column is text, and none is bound by position.
    path = str(REPO / "catalog" / "codes" / file)
    delivered = writer.spark.read.option("header", True).option("escape", '"').option("mode", "FAILFAST").csv(path)
    column_of = {bindings[header]: header for header in delivered.columns}
    return delivered.select(*[F.col(column_of[c.name]).cast(c.type).alias(c.name) for c in physical_columns(contract)])
