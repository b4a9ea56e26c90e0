"""Forecasts of registrations in tables: each made once, kept as it was published, and shown with the months before it; and how what was published is kept."""

from __future__ import annotations

import datetime as dt
import math
import os
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from catalog.contract import Contract
from catalog.derive import spark_schema, table_name
from infra.ledger import Run, TableVersion
from spark_jobs import delta
from spark_jobs.analyse import active_tables, development_tables, economy, months
from spark_jobs.writing import Writer

if TYPE_CHECKING:
    from spark_jobs.analyse.outlook import Expected

FORECAST, MONTHLY, BACKTEST = "gold.economy_forecast", "gold.economy_monthly", "gold.economy_backtest"
# What is made once and kept, with the column that tells vintages apart.
KEPT = {
    FORECAST: "forecast_origin",
    active_tables.MONTHLY: "month_end",
    active_tables.OUTCOME: "month_end",
    active_tables.WEIGHTS: "base_month",
    development_tables.INDEX: "index_origin",
    development_tables.LEADS: "index_origin",
    development_tables.TEST: "index_origin",
}
SERIES = "registrations"
PROCESSES = 4  # at most: each takes some 0.4 GiB
# What was expected of each month by the last forecast that was made before it was over.
_BEFORE = """
    SELECT * FROM (
        SELECT *, row_number() OVER (PARTITION BY series_month, district_name, industry_section_name ORDER BY forecast_origin DESC) AS place
        FROM {table} WHERE as_of < add_months(series_month, 1))
    WHERE place = 1"""


def put_back(writer: Writer, contract: Contract, run: Run, published: TableVersion) -> bool:
    """Bring back the vintages that a table of `KEPT` lacks since it was emptied to be built anew, or set back to a restored release.

    They can't be worked out again as they were known then. ``published``: the newest version of the table that any release has named, which holds all of them.
    Returns whether there were any: the table then holds rows of earlier runs in new files.
    """
    if delta.newest_version(published.table_name) == published.version:
        return False
    now, key = writer.spark.table(table_name(contract)), KEPT[contract.id]
    released = _at(writer, published)
    missing = released.join(now.select(key).distinct(), key, "left_anti")
    if not missing.limit(1).count():
        return False
    known = missing.select(*(F.col(f.name) if f.name in released.columns else F.lit(None).cast(f.dataType).alias(f.name) for f in now.schema))
    writer.write(known, published.table_name, "append", "analyse", run.run_id)
    return True


def make(
    writer: Writer,
    contracts: Mapping[str, Contract],
    run: Run,
    of: months.Monthly | None,
    frame: Mapping[str, economy.District],
    sections: Mapping[str, str],
    until: dt.date,
    anew: bool,
) -> None:
    """Forecast at the end of the last month, if that is a new one, and show the months that forecasts go on from (again, where it is another than was shown).

    ``of``: registrations by month, None where there are too few. ``until``: the newest arrival of what they rest on. What was published stays: a
    month to which a withdrawal leads back is not forecast again, nor one before the newest that was.
    """
    tables = {name: table_name(contracts[name]) for name in (FORECAST, MONTHLY, BACKTEST)}
    newest, shown = (writer.spark.table(tables[name]).agg(F.max("forecast_origin")).collect()[0][0] for name in (FORECAST, MONTHLY))
    if (of.origin if of else None) == shown and not anew:
        return
    if of is None:
        for name in (MONTHLY, BACKTEST):
            writer.write(writer.spark.createDataFrame([], spark_schema(contracts[name])), tables[name], "overwrite", "analyse", run.run_id)
        return
    from spark_jobs.analyse import outlook  # two seconds of libraries, which a day without a new month does not need

    print(f"按月预测：截至 {of.origin} 的 {len(of.months)} 个月", flush=True)
    before = {(e.place, e.month): e for e in _expected(writer.spark.sql(_BEFORE.format(table=tables[FORECAST])))}
    said = outlook.outlook(of, before, min(os.cpu_count() or 1, PROCESSES))
    last, place = (run.number, until), economy.places(frame, sections)
    stored = _expected(writer.spark.table(tables[FORECAST]).where(F.col("forecast_origin") == of.origin))
    due = newest is None or of.origin > newest
    if due:
        rows = [
            (SERIES, e.origin, e.month, *place(e.place), e.ahead, economy.decimal(e.value), *_bounds(e), e.method, of.kind, *last, "projected")
            for e in said.expected
        ]
        writer.write(writer.spark.createDataFrame(rows, spark_schema(contracts[FORECAST])), tables[FORECAST], "append", "analyse", run.run_id)
    of_months = [
        (t.month, *place(t.place), of.origin, t.counted, *(None if x is None else economy.decimal(x) for x in (t.adjusted, t.trend)), t.method,
         *((t.broken.kind, economy.decimal(t.broken.effect)) if t.broken else (None, None)),
         *((economy.decimal(t.expected.value), *_bounds(t.expected), "backcast" if t.backcast else "vintage") if t.expected else [None] * 6),
         t.surprise, t.unusual, t.phase, *((t.turn.kind, t.turn.found_in) if t.turn else (None, None)), *last, of.kind)
        for t in said.told
    ]  # fmt: skip
    # The months to come follow those that are over, so that one chart can show both.
    basis = "vintage" if stored or due else "backcast"
    of_months += [
        (
            e.month,
            *place(e.place),
            of.origin,
            *[None] * 6,
            economy.decimal(e.value),
            *_bounds(e),
            basis,
            None,
            False,
            None,
            None,
            None,
            *last,
            "projected",
        )
        for e in stored or said.expected
    ]
    writer.write(writer.spark.createDataFrame(of_months, spark_schema(contracts[MONTHLY])), tables[MONTHLY], "overwrite", "analyse", run.run_id)
    tested = [
        (SERIES, of.origin, *place(t.place), t.origins, *map(economy.decimal, (t.result.errors.mean(), t.result.naive_errors.mean(), t.result.against_naive.low,
         t.result.against_naive.high, t.result.against_naive.p_value)), t.result.against_naive.verdict, economy.decimal(t.result.coverage), *last, of.kind)
        for t in said.tested
    ]  # fmt: skip
    writer.write(writer.spark.createDataFrame(tested, spark_schema(contracts[BACKTEST])), tables[BACKTEST], "overwrite", "analyse", run.run_id)


def _at(writer: Writer, version: TableVersion) -> DataFrame:
    return writer.spark.sql(f"SELECT * FROM {version.table_name} VERSION AS OF {int(version.version)}")  # noqa: S608 - names come from contracts


def _expected(rows: DataFrame) -> list[Expected]:
    """Stored forecasts; what they may miss by is told by their upper bounds, which nothing cuts off."""
    from spark_jobs.analyse.outlook import Expected

    def one(r: Any) -> Expected:
        miss = tuple(math.nan if high is None else float(high - r.forecast_value) for high in (r.forecast_high, r.forecast_high_wide))
        place = r.district_name, r.industry_section_name
        return Expected(r.forecast_origin, r.series_month, r.months_ahead, place, float(r.forecast_value), miss, r.forecast_method)

    return [one(r) for r in rows.collect()]


def _bounds(e: Expected) -> Iterator[Decimal | None]:
    """The bounds at each level, as columns."""
    for level, miss in enumerate(e.miss):
        yield from ((None, None) if math.isnan(miss) else map(economy.decimal, e.bounds(level)))
