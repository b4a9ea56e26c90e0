"""The sentences and the maps that dashboards show, in tables: said of what the run has worked out, so that they can't say anything else."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from catalog.contract import Contract
from catalog.derive import spark_schema, table_name
from infra.ledger import Run
from spark_jobs.analyse import active_tables, development_tables, district_map, economy, headlines
from spark_jobs.writing import Writer

HEADLINES, MAPS = "gold.economy_headlines", "gold.economy_map"
INDICATORS, COURSE = "gold.economy_indicators", "gold.economy_monthly"
STOCK, CHANGE = "live_subjects", "net_rate"
_CITY = "district_name = '全市' AND industry_section_name = '全部'"
_YEARS = """
    SELECT year(period_end) AS year, map_from_entries(collect_list(struct(economy_indicator, CAST(economy_value AS DOUBLE)))) AS told, max(value_kind) AS value_kind
    FROM {table} WHERE {city} AND month(period_end) = 12 AND day(period_end) = 31 GROUP BY 1 ORDER BY 1 DESC LIMIT 2"""
_COURSE = """
    SELECT series_month, month_subjects, expected_value, month_surprise, series_month > forecast_origin AS is_to_come,
        expected_basis = 'vintage' AND expected_low_wide IS NOT NULL AS was_expected
    FROM {table} WHERE {city} ORDER BY 1 DESC LIMIT 24"""
_ACTIVE = (
    "SELECT month_end, activity_rate, unclear_subjects, value_kind FROM {table} WHERE {city} AND activity_rate IS NOT NULL ORDER BY 1 DESC LIMIT 13"
)
# Of several references one that something leads, then the first by name.
_LEADING = """
    SELECT t.reference_series, t.index_lead, t.index_verdict, t.value_kind,
        (SELECT count(*) FROM {leads} AS x WHERE x.index_origin = t.index_origin AND x.reference_series = t.reference_series) AS compared,
        (SELECT collect_list(struct(quarter_end, development_index)) FROM {index} AS i
            WHERE i.index_origin = t.index_origin AND i.reference_series = t.reference_series AND development_index IS NOT NULL) AS told
    FROM {test} AS t ORDER BY t.index_origin DESC, t.chosen_series = 0, t.reference_series LIMIT 1"""


def maps(figures: Iterable[economy.Row], period_name: Any, last: tuple[int, dt.date]) -> Iterator[tuple[Any, ...]]:
    """Rows of the maps of each period: where the subjects are, and where they become more or fewer (of a period without rates only the first)."""
    told: dict[dt.date, dict[str, dict[str, economy.Row]]] = {}
    for r in figures:
        if r.section == economy.ALL and r.district not in (economy.CITY, economy.UNASSIGNED) and r.indicator in (STOCK, CHANGE):
            told.setdefault(r.period_end, {}).setdefault(r.indicator, {})[r.district] = r
    for end, of in told.items():
        for measure, says, legend in ((STOCK, "{:,.0f}", "存量户数，从少到多"), (CHANGE, "{:+.1%}", "净增率，从低到高")):
            if rows := of.get(measure):
                shown = {name: (float(r.value), says.format(r.value)) for name, r in rows.items()}
                kind = max((r.value_kind for r in rows.values()), key=economy.KINDS.index)
                yield end, measure, period_name(end), district_map.picture(shown, f"{period_name(end)}{legend}"), *last, kind


def make(writer: Writer, contracts: Mapping[str, Contract], run: Run, until: dt.date) -> None:
    """Write the sentences anew: of what the tables say now, with the weakest kind of value among what each rests on."""
    rows = [
        (topic, sentence, run.number, until, kind)
        for topic, said in zip(headlines.TOPICS, _said(writer, contracts), strict=True)
        if said
        for sentence, kind in (said,)
    ]
    contract = contracts[HEADLINES]
    writer.write(writer.spark.createDataFrame(rows, spark_schema(contract)), table_name(contract), "overwrite", "analyse", run.run_id)


def _said(writer: Writer, contracts: Mapping[str, Contract]) -> Iterator[tuple[str, str] | None]:
    """A sentence and its kind for each topic, None where there is nothing to say."""

    def rows(sql: str, **tables: str) -> list[Any]:
        return writer.spark.sql(sql.format(city=_CITY, **{k: table_name(contracts[v]) for k, v in tables.items()})).collect()

    years = rows(_YEARS, table=INDICATORS)
    if years:
        now, before = years[0].told, years[1].told if len(years) > 1 and years[1].year == years[0].year - 1 else {}
        year = headlines.Year(
            years[0].year, now["live_subjects"], before.get("live_subjects"), now["births"], now.get("exits"), now.get("tertiary_share")
        )
        yield year.sentence(), years[0].value_kind
    else:
        yield None
    course = rows(_COURSE, table=COURSE)
    past = [r for r in course if not r.is_to_come]
    if past:
        sums = sum(float(r.expected_value) for r in course if r.is_to_come), sum(r.month_subjects for r in past)
        newest = past[0]
        said = headlines.Course(newest.series_month, newest.month_subjects, bool(newest.was_expected), newest.month_surprise, *sums)
        yield said.sentence(), "projected"
    else:
        yield None
    active = rows(_ACTIVE, table=active_tables.MONTHLY)
    if active:
        year_ago = next((float(r.activity_rate) for r in active if r.month_end == active_tables.ended(active[0].month_end, 12)), None)
        yield (
            headlines.Active(active[0].month_end, float(active[0].activity_rate), year_ago, active[0].unclear_subjects).sentence(),
            active[0].value_kind,
        )
    else:
        yield None
    leading = rows(_LEADING, index=development_tables.INDEX, leads=development_tables.LEADS, test=development_tables.TEST)
    if leading:
        of, told = leading[0], {r.quarter_end: float(r.development_index) for r in leading[0].told or ()}
        newest = max(told, default=None)
        before = told.get(active_tables.ended(newest, 12)) if newest else None
        helps = None if of.index_verdict is None else of.index_verdict == "better"
        found = headlines.Leading(of.reference_series, of.compared, told.get(newest), before, of.index_lead, helps)
        yield found.sentence(), of.value_kind
    else:
        yield None
