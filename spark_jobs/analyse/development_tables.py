"""The development index in tables: made once when a quarter is over, and kept as it was published."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd

from catalog.contract import Contract
from catalog.derive import spark_schema, table_name
from infra.ledger import Run
from spark_jobs.analyse import economy, months
from spark_jobs.writing import Writer

INDEX, LEADS, TEST = "gold.development_index", "gold.development_leads", "gold.development_test"
REFERENCE_FEED = "macro_statistics"
LEAST = 36  # months without a gap that the seasonal adjustment needs
# Series that are counted month by month: by event of the timeline, beside registrations and exits.
EVENTS = {
    "变更登记": "changes",
    "对外投资变动": "investments",
    "申请商标": "mark_applications",
    "列入经营异常名录": "abnormal_listings",
    "设立分支机构": "branches",
}
_EVENTS = """
    SELECT event_name, cast(trunc(occurred_on, 'MM') AS date) AS month, count(*) AS events FROM gold_tables.archive_timeline
    WHERE is_standing AND subject_id IS NOT NULL AND event_name IN ({events}) AND occurred_on <= DATE '{until}' GROUP BY 1, 2"""
# What was released last of each period, of records that stand.
_REFERENCES = """
    SELECT s.indicator, s.period, max_by(struct(s.indicator_value, s.value_kind), struct(s.released_on, s.content_hash)) AS told FROM (
        SELECT max_by(struct(*), struct(effective_from, content_hash)) AS s FROM silver_tables.macro_statistics WHERE fact_outcome = 'applied' GROUP BY record_id)
    WHERE s.fact_state = 'active' AND s.indicator_value IS NOT NULL GROUP BY s.indicator, s.period ORDER BY s.indicator, s.period"""
_QUARTER = re.compile(r"(\d{4})\s*(?:年|-)?\s*(?:[Qq]\s*([1-4])|第?([1-4一二三四])季度?)")


def make(
    writer: Writer, contracts: Mapping[str, Contract], run: Run, of: months.Monthly, exits: pd.DataFrame, known: Collection[str], until: dt.date
) -> None:
    """Say of the last quarter that is over what leads the references, and what the index is, if that has not been said. ``exits``: as for `economy.counts`."""
    if REFERENCE_FEED not in known:
        return
    from spark_jobs.analyse import leading  # libraries that a day without a new quarter does not need

    last = leading.quarter_of(of.months[-1] if of.months[-1].month % 3 == 0 else months.later(of.months[-1], -3))
    origin = leading.quarter_end(last)
    # Of each reference the test is told, also where no series shares enough quarters with it.
    newest = writer.spark.table(table_name(contracts[TEST])).agg({"index_origin": "max"}).collect()[0][0]
    if newest is not None and newest >= origin:
        return
    references = _references(writer)
    if not references:
        return
    print(f"企业发展指数：截至 {origin}，参照 {len(references)} 个序列", flush=True)
    counted = {"registrations": (of.months[0], of.counted.sum(axis=(1, 2)))}
    counted |= _unbroken("exits", exits.groupby("month")["subjects"].sum().to_dict(), origin)
    rows = writer.spark.sql(_EVENTS.format(events=", ".join(f"'{e}'" for e in EVENTS), until=origin)).collect()
    for event, name in EVENTS.items():
        counted |= _unbroken(name, {r.month: r.events for r in rows if r.event_name == event}, origin)
    series = {name: {q: v for q, v in leading.quarterly(y, first).items() if q <= last} for name, (first, y) in counted.items()}
    simulated = of.kind == "simulated" or any(kind == "simulated" for _, kind in references.values())
    end = (run.number, until, "simulated" if simulated else "estimated")
    index: list[tuple[Any, ...]] = []
    leads: list[tuple[Any, ...]] = []
    tests: list[tuple[Any, ...]] = []
    for name, (reference, _) in references.items():
        found = leading.work_out({q: v for q, v in reference.items() if q <= last}, series)
        leads += [
            (origin, name, x.series, x.pairs, x.lead, economy.figure(x.correlation), economy.figure(x.p_value), x.information_lead, x.chosen, *end)
            for x in found.led
        ]
        index += [
            (origin, name, leading.quarter_end(s.quarter), *map(economy.figure, (s.index, s.diffusion, s.reference)), *end)
            for s in found.said if s.index is not None or s.reference is not None
        ]  # fmt: skip
        verdict = found.verdict
        errors = [None if e is None else float(np.sqrt(e.mean())) for e in found.tested or (None, None)]
        tests.append(
            (origin, name, sum(x.chosen for x in found.led), found.lead, len(found.tested[0]) if found.tested else 0, *map(economy.figure, errors),
             economy.figure(verdict.p_value if verdict else None), verdict.verdict if verdict else None, *end)
        )  # fmt: skip
    for contract, said in ((INDEX, index), (LEADS, leads), (TEST, tests)):
        if said:
            frame = writer.spark.createDataFrame(said, spark_schema(contracts[contract]))
            writer.write(frame, table_name(contracts[contract]), "append", "analyse", run.run_id)


def quarter(period: str) -> int | None:
    """The number of the quarter that a text names: 2025Q3, 2025年第三季度, 2025年3季度; None of any other period."""
    found = _QUARTER.fullmatch(period.strip())
    if not found:
        return None
    part = found[2] or found[3]
    return 4 * int(found[1]) + "1234".find(part if part in "1234" else str("一二三四".index(part) + 1))


def _references(writer: Writer) -> dict[str, tuple[dict[int, float], str]]:
    """The quarterly series of the statistics office by name, with the weakest kind of value among them."""
    found: dict[str, tuple[dict[int, float], str]] = {}
    for row in writer.spark.sql(_REFERENCES).collect():
        if (number := quarter(row.period)) is not None:
            values, kind = found.setdefault(row.indicator, ({}, row.told.value_kind))
            values[number] = float(row.told.indicator_value)
            found[row.indicator] = values, max(kind, row.told.value_kind)  # simulated sorts after observed
    return found


def _unbroken(name: str, counts: Mapping[dt.date, int], origin: dt.date) -> dict[str, tuple[dt.date, np.ndarray]]:
    """The counts of the newest months without one of nothing, up to ``origin``; none where these are too few to be adjusted."""
    month = origin.replace(day=1)
    values: list[float] = []
    while counts.get(month) and len(values) < months.MOST:
        values.append(float(counts[month]))
        month = months.later(month, -1)
    return {name: (months.later(month, 1), np.array(values[::-1]))} if len(values) >= LEAST else {}
