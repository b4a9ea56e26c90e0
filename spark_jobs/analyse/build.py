"""Work out the analyses of a run from the marts that it has built, where these have changed."""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Collection, Iterable, Mapping

import pandas as pd

from catalog.contract import Contract
from catalog.derive import spark_schema, table_name
from infra.ledger import Run
from infra.settings import REPO
from spark_jobs.analyse import active_tables, brief, development_tables, economy, months, vintages
from spark_jobs.writing import Writer

INDICATORS = "gold.economy_indicators"
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


def build(writer: Writer, contracts: Mapping[str, Contract], run: Run, feeds: Collection[str], anew: bool) -> None:
    """Write the indicators of the periods that this run has changed: those from the first month on of which it counted something else; and, at the end of
    a month that is over for the first time, what is forecast, and who is active. ``feeds``: those of which silver has a table."""
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
    figures = list(economy.figures(counted, frame, first))
    for name, rows in (
        (INDICATORS, rows_of(figures, frame, sections, run.number, until)),
        (brief.MAPS, list(brief.maps(figures, period_name, (run.number, until)))),
    ):
        of = writer.spark.createDataFrame(rows, spark_schema(contracts[name]))
        if anew:
            writer.write(of, table_name(contracts[name]), "overwrite", "analyse", run.run_id)
        else:
            writer.replace(of, table_name(contracts[name]), f"period_end >= DATE '{first}'", "analyse", run.run_id)
    # Exits say nothing of whether a month of registrations is over.
    arrived = max(births["as_of"], default=until)
    of_months = months.monthly(births, [d.name for d in frame.values()], list(sections.values()), arrived)
    vintages.make(writer, contracts, run, of_months, frame, sections, arrived, anew)
    if month_end := active_tables.over(births["month"], arrived):
        active_tables.make(writer, contracts, run, month_end, feeds, frame, sections, arrived, anew)
    if of_months:
        development_tables.make(writer, contracts, run, of_months, exits, feeds, arrived)
    brief.make(writer, contracts, run, until)


def _frame(writer: Writer, sql: str) -> pd.DataFrame:
    rows = writer.spark.sql(sql)
    return pd.DataFrame([tuple(r) for r in rows.collect()], columns=rows.columns)


def rows_of(
    figures: Iterable[economy.Row], frame: Mapping[str, economy.District], sections: Mapping[str, str], number: int, as_of: dt.date
) -> list[tuple[object, ...]]:
    """The figures as rows of the table, with codes beside the names."""
    place = economy.places(frame, sections)
    return [
        (r.indicator, r.period_end, period_name(r.period_end), *place((r.district, r.section)), r.value, r.low, r.high, r.counted, number, as_of, r.value_kind)
        for r in figures
    ]  # fmt: skip


def period_name(end: dt.date) -> str:
    """2024年 of a whole year, 2026年截至9月30日 of a part of one."""
    return f"{end.year}年" if (end.month, end.day) == (12, 31) else f"{end.year}年截至{end.month}月{end.day}日"


def districts() -> dict[str, economy.District]:
    """The districts of today's frame by name, in the order of their codes."""
    with DISTRICTS.open(encoding="utf-8", newline="") as f:
        return {r["name"]: economy.District(r["code"], r["name"], r["district_group"], tuple(r["neighbours"].split("|"))) for r in csv.DictReader(f)}
