"""Work out the analyses of a run from the marts that it has built, where these have changed."""

from __future__ import annotations

import csv
import datetime as dt
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal

import pandas as pd
from pyspark.sql import functions as F

from catalog.contract import Contract
from catalog.derive import spark_schema, table_name
from infra.ledger import Run, TableVersion
from infra.settings import REPO
from spark_jobs.analyse import economy, months
from spark_jobs.writing import Writer

INDICATORS = "gold.economy_indicators"
FORECAST, MONTHLY, BACKTEST = "gold.economy_forecast", "gold.economy_monthly", "gold.economy_backtest"
SERIES = "registrations"
BIRTHS, EXITS = "gold.mart_registrations_monthly", "gold.mart_exits_monthly"
DISTRICTS = REPO / "catalog" / "maps" / "guangzhou_districts.csv"
_COUNTED = """
    SELECT {month} AS month, district_name AS district, industry_section_name AS section, sum(subjects) AS subjects,
        CASE WHEN bool_or(value_kind = 'simulated') THEN 'simulated' WHEN bool_or(value_kind = 'estimated') THEN 'estimated' ELSE 'observed' END AS value_kind,
        max(as_of) AS as_of
    FROM {table} WHERE {where} GROUP BY 1, 2, 3"""
_SECTIONS = """
    SELECT industry_code, max_by(industry_title, industry_edition) AS title FROM silver_tables.ref_industry
    WHERE industry_level = 'section' GROUP BY 1 ORDER BY 1"""

# The first month of which this run has counted somebody (views: spark_jobs/dbt_runs.py), and the newest period that there is.
_CHANGED = """
    SELECT min(month), (SELECT max(period_end) FROM {table}) FROM (
        SELECT registration_month AS month FROM changed_month UNION ALL SELECT exit_month FROM exit_month_before UNION ALL
        SELECT explode(array(ended_on, revoked_on)) FROM gold_tables.archive_exit LEFT SEMI JOIN concerned_subject USING (subject_id))"""

# What was expected of each month, by the last forecast before it.
_BEFORE = """
    SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY series_month, district_name, industry_section_name ORDER BY forecast_origin DESC) AS place FROM {table})
    WHERE place = 1"""


def build(writer: Writer, contracts: Mapping[str, Contract], run: Run, parent: Mapping[str, TableVersion], anew: bool) -> None:
    """Write the indicators of the periods that this run has changed: those from the first month on of which it counted something else; and what is
    forecast at the end of a month that is over for the first time. ``parent``: the tables of the release that the run builds on."""
    if anew:
        _put_back(writer, contracts, run, parent)
    inputs = [table_name(contracts[i]) for i in (BIRTHS, EXITS)]
    contract = contracts[INDICATORS]
    first = dt.date.min
    if not anew:
        changed, newest = writer.spark.sql(_CHANGED.format(table=table_name(contract))).collect()[0]
        if changed is None:
            return
        # The newest period may have been a part of a year, which has gone on since.
        first = min(changed, newest or changed).replace(month=1, day=1)
    births = _frame(writer, _COUNTED.format(month="registration_month", table=inputs[0], where="true"))
    exits = _frame(writer, _COUNTED.format(month="exit_month", table=inputs[1], where="exit_kind NOT IN ('revoked', 'closed')"))
    frame = districts()
    sections = {row.industry_code: row.title for row in writer.spark.sql(_SECTIONS).collect()}
    until = max(pd.concat([births["as_of"], exits["as_of"]]))
    counted = economy.counts(births, exits, [d.name for d in frame.values()], list(sections.values()), until)
    # Where the newest delivery was withdrawn, what was a whole year may be a part of one again.
    first = min(first, counted.periods[-1].replace(month=1, day=1))
    rows = rows_of(economy.figures(counted, frame, first), frame, sections, run.number, until)
    of = writer.spark.createDataFrame(rows, spark_schema(contract))
    if anew:
        writer.write(of, table_name(contract), "overwrite", "analyse", run.run_id)
    else:
        writer.replace(of, table_name(contract), f"period_end >= DATE '{first}'", "analyse", run.run_id)
    of_months = months.monthly(births, [d.name for d in frame.values()], list(sections.values()), until)
    if of_months:
        _forecast(writer, contracts, run, of_months, frame, sections, until)


def _put_back(writer: Writer, contracts: Mapping[str, Contract], run: Run, parent: Mapping[str, TableVersion]) -> None:
    """What was forecast can't be worked out again as it was known then: of tables that are built anew the released rows stay."""
    for name in (FORECAST, MONTHLY, BACKTEST):
        pinned = parent.get(table_name(contracts[name]))
        if pinned is None:
            continue
        released = writer.spark.sql(f"SELECT * FROM {pinned.table_name} VERSION AS OF {int(pinned.version)}")  # noqa: S608 - names come from contracts
        shape = writer.spark.table(pinned.table_name).schema
        known = released.select(*(F.col(f.name) if f.name in released.columns else F.lit(None).cast(f.dataType).alias(f.name) for f in shape))
        writer.write(known, pinned.table_name, "overwrite", "analyse", run.run_id)


def _forecast(
    writer: Writer,
    contracts: Mapping[str, Contract],
    run: Run,
    of: months.Monthly,
    frame: Mapping[str, economy.District],
    sections: Mapping[str, str],
    until: dt.date,
) -> None:
    """Forecast at the end of the last month, unless that was done before: what was published stays."""
    tables = {name: table_name(contracts[name]) for name in (FORECAST, MONTHLY, BACKTEST)}
    if writer.spark.table(tables[FORECAST]).where(F.col("forecast_origin") == of.origin).limit(1).count():
        return
    from spark_jobs.analyse import outlook  # two seconds of libraries, which a day without a new month does not need

    print(f"按月预测：截至 {of.origin} 的 {len(of.months)} 个月", flush=True)
    before = {
        ((row.district_name, row.industry_section_name), row.series_month): outlook.Expected(
            row.forecast_origin, row.series_month, row.months_ahead, (row.district_name, row.industry_section_name),
            float(row.forecast_value), tuple(float("nan" if high is None else high - row.forecast_value) for high in (row.forecast_high, row.forecast_high_wide)),
            row.forecast_method,
        )
        for row in writer.spark.sql(_BEFORE.format(table=tables[FORECAST])).collect()
    }  # fmt: skip
    said = outlook.outlook(of, before, os.cpu_count() or 1)
    letters = {title: code for code, title in sections.items()}

    def at(place: months.Place) -> tuple[str | None, str, str | None, str]:
        return frame[place[0]].code if place[0] in frame else None, place[0], letters.get(place[1]), place[1]

    def bounds(e: outlook.Expected, *levels: int) -> Iterator[Decimal | None]:
        for level in levels:
            yield from ((None, None) if math.isnan(e.miss[level]) else map(economy.decimal, e.bounds(level)))

    last = (run.number, until)
    expected = [
        (SERIES, e.origin, e.month, *at(e.place), e.ahead, economy.decimal(e.value), *bounds(e, 0, 1), e.method, of.kind, *last, "projected")
        for e in said.expected
    ]
    told = [
        (t.month, *at(t.place), of.origin, t.counted, *(None if x is None else economy.decimal(x) for x in (t.adjusted, t.trend)), t.method,
         *((t.broken.kind, economy.decimal(t.broken.effect)) if t.broken else (None, None)),
         *((economy.decimal(t.expected.value), *bounds(t.expected, 0, 1), "backcast" if t.backcast else "vintage") if t.expected else [None] * 6),
         t.surprise, bool(t.surprise or t.broken), *last, of.kind)
        for t in said.told
    ]  # fmt: skip
    # The months to come follow those that are over, so that one chart can show both.
    told += [
        (e.month, *at(e.place), of.origin, *[None] * 6, economy.decimal(e.value), *bounds(e, 0, 1), "vintage", None, False, *last, "projected")
        for e in said.expected
    ]
    tested = [
        (SERIES, of.origin, *at(t.place), t.origins, economy.decimal(t.result.errors.mean()), economy.decimal(t.result.naive_errors.mean()),
         economy.decimal(t.result.against_naive.low), economy.decimal(t.result.against_naive.high), economy.decimal(t.result.against_naive.p_value),
         t.result.against_naive.verdict, economy.decimal(t.result.coverage), *last, of.kind)
        for t in said.tested
    ]  # fmt: skip
    for name, rows, mode in ((FORECAST, expected, "append"), (MONTHLY, told, "overwrite"), (BACKTEST, tested, "overwrite")):
        writer.write(writer.spark.createDataFrame(rows, spark_schema(contracts[name])), tables[name], mode, "analyse", run.run_id)


def _frame(writer: Writer, sql: str) -> pd.DataFrame:
    rows = writer.spark.sql(sql)
    return pd.DataFrame([tuple(r) for r in rows.collect()], columns=rows.columns)


def rows_of(
    figures: Iterable[economy.Row], frame: Mapping[str, economy.District], sections: Mapping[str, str], number: int, as_of: dt.date
) -> list[tuple[object, ...]]:
    """The figures as rows of the table, with codes beside the names."""
    letters = {title: code for code, title in sections.items()}
    return [
        (r.indicator, r.period_end, period_name(r.period_end), frame[r.district].code if r.district in frame else None, r.district, letters.get(r.section), r.section, r.value, r.low, r.high, r.counted, number, as_of, r.value_kind)
        for r in figures
    ]  # fmt: skip


def period_name(end: dt.date) -> str:
    """2024年 of a whole year, 2026年截至9月30日 of a part of one."""
    return f"{end.year}年" if (end.month, end.day) == (12, 31) else f"{end.year}年截至{end.month}月{end.day}日"


def districts() -> dict[str, economy.District]:
    """The districts of today's frame by name, in the order of their codes."""
    with DISTRICTS.open(encoding="utf-8", newline="") as f:
        return {r["name"]: economy.District(r["code"], r["name"], r["district_group"], tuple(r["neighbours"].split("|"))) for r in csv.DictReader(f)}
