"""Activity of subjects in tables: each month judged once, as it was known when it was over, and looked at again when the year after it is over."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from catalog.contract import Contract
from catalog.derive import spark_schema, table_name
from infra.ledger import Run
from spark_jobs.analyse import active, economy, months, signals
from spark_jobs.writing import Writer

MONTHLY, WEIGHTS, OUTCOME, SUBJECT = "gold.activity_monthly", "gold.activity_weights", "gold.activity_outcome", "gold.activity_subject"
BACK = 24  # months that are judged at first: twelve of them have an outcome
_NEWEST = "SELECT max(month_end) FROM {table}"
_JUDGED = "SELECT DISTINCT month_end FROM {table}"
_SUBJECTS = """
    SELECT s.subject_id, s.month_end, p.activity_status, s.last_sign_on, nullif(concat_ws('、', {signs}), '') AS signs_of_year, p.activity_index, p.activity_index_entropy,
        s.district_code, s.supervising_district_code, s.district_name, s.industry_section, s.industry_section_name, s.subject_category,
        CAST({number} AS BIGINT) AS write_number, DATE '{until}' AS as_of, s.value_kind
    FROM activity_state AS s JOIN activity_profile AS p ON {same}
    WHERE s.month_end = DATE '{month}'"""


def make(
    writer: Writer,
    contracts: Mapping[str, Contract],
    run: Run,
    origin: dt.date,
    known: Collection[str],
    frame: Mapping[str, economy.District],
    sections: Mapping[str, str],
    until: dt.date,
    anew: bool,
) -> None:
    """Judge the months up to ``origin`` (the end of the last month that is over, and of which a registration is told) that have not been judged yet, and what became of those of a year ago.

    ``known``: feeds of which silver has a table; without one that tells of everybody of a kind (`signals.COVERING`) nothing can be said. What has been
    published stays.
    """
    if not set(signals.COVERING) & set(known):
        return
    tables = {name: table_name(contracts[name]) for name in (MONTHLY, WEIGHTS, OUTCOME, SUBJECT)}
    judged, reviewed, shown = (
        {r[0] for r in writer.spark.sql(sql.format(table=tables[name])).collect()}
        for sql, name in ((_JUDGED, MONTHLY), (_JUDGED, OUTCOME), (_NEWEST, SUBJECT))
    )
    if judged and origin <= max(judged) and origin in shown and not anew:
        return
    ends = [ended(origin, n) for n in range(BACK, -1, -1)]
    due = [m for m in ends if m > max(judged, default=dt.date.min)]
    over = [m for m in ends if ended(m, -signals.WINDOW) <= origin and m not in reviewed]
    looked = sorted({origin, *due, *over})
    print(f"企业活跃度：截至 {origin}，判断 {len(due)} 个月", flush=True)
    stored = _stored(writer, tables[WEIGHTS])
    wanted = sorted({*looked, *(before(m) for m in looked if before(m) not in stored)})
    signals.states(writer, wanted, known, origin).createOrReplaceTempView("activity_state")
    found = {m: p.reset_index(drop=True) for m, p in signals.profiles(writer, "activity_state").groupby("month_end")}
    if origin not in found:
        return
    scales = {m: _scale(found, stored, m) for m in looked if m in found}
    last, place = (run.number, until), economy.places(frame, sections)
    rows = [
        (r.month_end, *place((r.district, r.section)), by.month_end if by else m, *r.subjects, economy.figure(r.rate), *(map(economy.figure, r.levels or (None, None))), *last, _kind(r.simulated))
        for m in due if m in found for by in (scales[m],) for r in active.rows(found[m], by if by and by.month_end != m else None)
    ]  # fmt: skip
    _append(writer, contracts[MONTHLY], rows, run)
    # Only what others are measured by stays: a month that measures itself says nothing of another.
    fresh = {s.month_end: s for m, s in scales.items() if s and s.month_end not in stored and s.month_end != m}
    simulated = any(bool(p["is_simulated"].any()) for p in found.values())
    _append(writer, contracts[WEIGHTS], [row for s in fresh.values() for row in _weights(s, last, simulated)], run)
    outcomes = [active.outcome(found[m], by) for m in over if (by := scales.get(m))]
    _append(writer, contracts[OUTCOME], [_outcome(o, last, simulated) for o in outcomes if sum(o.exits)], run)
    labels = next(dict(c.allowed) for c in contracts[WEIGHTS].columns if c.name == "activity_sign")
    _subjects(writer, contracts[SUBJECT], found[origin], scales[origin], run, until, labels)


def ended(origin: dt.date, months_before: int) -> dt.date:
    """The last day of the month so many months before (after: negative) that of ``origin``."""
    return months.later(origin, 1 - months_before) - dt.timedelta(days=1)


def over(told: Iterable[dt.date], arrived: dt.date) -> dt.date | None:
    """The end of the newest of the months ``told`` of (first days) that was over when something ``arrived`` last; None where none was."""
    return max((ended(m, 0) for m in told if months.later(m, 1) <= arrived), default=None)


def before(month_end: dt.date) -> dt.date:
    """The month that a month is measured by: the last one of the year before."""
    return dt.date(month_end.year - 1, 12, 31)


def _scale(found: Mapping[dt.date, pd.DataFrame], stored: Mapping[dt.date, active.Scale], month_end: dt.date) -> active.Scale | None:
    """By the base month, as it was stored when it was first measured by; by the month itself where the base knew half of the signs or fewer."""
    if (base := before(month_end)) in stored:
        return stored[base]
    now = found[month_end]
    if base in found and 2 * len(active.told(found[base]) & active.told(now)) > len(active.told(now)):
        return active.scale(found[base])
    return active.scale(now)


def _stored(writer: Writer, table: str) -> dict[dt.date, active.Scale]:
    """The scales that months have been measured by."""
    at: dict[dt.date, dict[str, Any]] = {}
    for row in writer.spark.table(table).collect():
        at.setdefault(row.base_month, {})[row.activity_sign] = row

    def one(month: dt.date, of: dict[str, Any]) -> active.Scale:
        low, high, smallest, largest, equal, entropy = (
            np.array([float(of[s][column]) for s in signals.SIGNS])
            for column in ("clip_low", "clip_high", "smallest_value", "largest_value", "equal_weight", "entropy_weight")
        )
        first = of[signals.SIGNS[0]]
        return active.Scale(
            month, low, high, smallest, largest, np.array([equal, entropy]), np.array([float(first.equal_level), float(first.entropy_level)])
        )

    return {month: one(month, of) for month, of in at.items() if of.keys() >= set(signals.SIGNS)}


def _append(writer: Writer, contract: Contract, rows: list[tuple[Any, ...]], run: Run) -> None:
    if rows:
        writer.write(writer.spark.createDataFrame(rows, spark_schema(contract)), table_name(contract), "append", "analyse", run.run_id)


def _weights(by: active.Scale, last: tuple[int, dt.date], simulated: bool) -> Iterator[tuple[Any, ...]]:
    for n, sign in enumerate(signals.SIGNS):
        values = (*by.weights[:, n], by.low[n], by.high[n], by.smallest[n], by.largest[n], *by.level)
        yield (by.month_end, sign, *(economy.decimal(float(x)) for x in values), *last, _kind(simulated))


def _outcome(of: active.Outcome, last: tuple[int, dt.date], simulated: bool) -> tuple[Any, ...]:
    rates = [economy.figure(e / n) if n else None for e, n in zip(of.exits, of.subjects, strict=True)]
    return (of.month_end, *of.subjects, *of.exits, *rates, economy.figure(of.auc_flag), *map(economy.figure, of.auc_index), *last, _kind(simulated))


def _subjects(
    writer: Writer, contract: Contract, of: pd.DataFrame, by: active.Scale | None, run: Run, until: dt.date, labels: Mapping[str, str]
) -> None:
    """Each subject with what is said of it at the end of the last month; what many share goes to the server once."""
    said = of[list(signals.PROFILE)].drop(columns="month_end").copy()
    said["activity_status"] = np.array(active.STATUSES)[active.statuses(of)]
    found = active.indices(of, by)
    keys = list(said.columns.drop("activity_status"))
    for name, values in zip(("activity_index", "activity_index_entropy"), found, strict=True):
        said[name] = [economy.figure(v) for v in values]
    writer.spark.createDataFrame(said).createOrReplaceTempView("activity_profile")
    rows = writer.spark.sql(
        _SUBJECTS.format(
            signs=", ".join(f"CASE WHEN s.{sign} > 0 THEN '{labels[sign]}' END" for sign in signals.SIGNS),
            same=" AND ".join(f"s.{k} <=> p.{k}" for k in keys),
            number=run.number,
            until=until,
            month=of["month_end"].iloc[0],
        )
    )
    whole = rows.selectExpr(*(f"CAST({f.name} AS {f.dataType.simpleString()}) AS {f.name}" for f in writer.spark.table(table_name(contract)).schema))
    writer.write(whole, table_name(contract), "overwrite", "analyse", run.run_id)


def _kind(simulated: bool) -> str:
    """Districts and sections are estimated from addresses and names."""
    return "simulated" if simulated else "estimated"
