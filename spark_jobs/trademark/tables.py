"""Marks, rights to names, alerts and statistics in tables, worked out when something of marks has arrived.

A pair of a right and a filing is searched for when either is new and kept with its alert; what is said of it, its stage and its deadline are said anew.
Since when an alert is there stays as it was first published.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from catalog.contract import Contract
from catalog.derive import spark_schema, table_name
from infra.ledger import Run
from spark_jobs.analyse import economy
from spark_jobs.analyse.build import districts, period_name
from spark_jobs.trademark import counts, similarity, told, validity, watch
from spark_jobs.trademark.bad_faith import Verdict
from spark_jobs.trademark.deadlines import months_after
from spark_jobs.trademark.told import KEY, Told
from spark_jobs.writing import Writer

MARKS, RIGHTS, ALERTS = "gold.trademark_marks", "gold.trademark_rights", "gold.trademark_alerts"
MONTHLY, RANKING = "gold.trademark_monthly", "gold.trademark_ranking"
HABIT_MONTHS = 24  # filings so young are held against names, whatever became of them: they tell of their applicants
_STORED = "SELECT mark_number, nice_class, trademark_name, similar_groups, applied_on, closest_name FROM {table}"
_SUBJECTS = """
    SELECT period_end, district_name, CAST(economy_value AS DOUBLE) AS subjects FROM gold_tables.economy_indicators
    WHERE economy_indicator = 'live_subjects' AND industry_section_name = '全部'"""
_OWNERS = """
    SELECT subject_id, subject_name, legal_representative, registered_address, district_code, district_name FROM gold_tables.archive_subject"""


def make(writer: Writer, contracts: Mapping[str, Contract], run: Run, known: Collection[str], changed: Collection[str], anew: bool) -> None:
    """Bring the tables to what this run has taken in, if any of it is about marks or what was answered to alerts.

    ``known``: feeds of which silver has a table, ``changed``: those of which this run has changed it.
    """
    if not set(told.FEEDS[:3]) & set(known) or not (anew or set(changed) & set(told.FEEDS)):
        return
    of = told.fetch(writer, known)
    print(f"商标：{len(of.marks)} 件次，{len(of.holders)} 个主体的字号", flush=True)
    tables = _Tables(writer, contracts, run, (run.number, of.until))
    over = validity.is_over(of.marks, of.until, of.decisions)
    valid = validity.valid_on(of.marks, of.until, of.decisions, of.renewals)
    rights = watch.rights(of, valid)
    alerts, brands = _watched(tables, of, rights, over, anew)
    owners = {r.subject_id: r for r in writer.spark.sql(_OWNERS).join(_ids(writer, _named(rights, alerts, of)), "subject_id", "left_semi").collect()}
    kind = "simulated" if (of.marks["value_kind"] == "simulated").any() or (of.holders["value_kind"] == "simulated").any() else "estimated"
    tables.write(MARKS, _marks(of, over, brands), kind)
    tables.write(RIGHTS, _rights(rights, owners), kind)
    tables.write(ALERTS, _alerts(tables, alerts, of, over, owners), kind)
    frame, subjects = districts(), _subjects(writer)
    monthly = [
        (m.month, frame[m.district].code if m.district in frame else None, m.district, m.nice_class, m.applications, m.registrations, m.stock)
        for m in counts.of_months(of)
    ]
    tables.write(MONTHLY, monthly, kind)
    tables.write(RANKING, [_ranked(p, owners, frame) for p in counts.rankings(of, subjects)], kind)


@dataclass(frozen=True)
class _Tables:
    writer: Writer
    contracts: Mapping[str, Contract]
    run: Run
    last: tuple[int, dt.date]

    def name(self, identity: str) -> str:
        return table_name(self.contracts[identity])

    def write(self, identity: str, rows: Sequence[tuple[Any, ...]], kind: str) -> None:
        """Overwrite a table; number of the run, day and kind of value follow each row."""
        schema = spark_schema(self.contracts[identity])
        frame = self.writer.spark.createDataFrame([(*r, *self.last, kind) for r in rows], schema)
        self.writer.write(frame, self.name(identity), "overwrite", "trademark", self.run.run_id)

    def published(self, identity: str, columns: str) -> list[Any]:
        """Rows of the newest version of a table that any release has named: what it says was said, also where the table is being built anew."""
        version = self.writer.ledger.newest_version(self.name(identity))
        if version is None:
            return []
        return self.writer.spark.sql(f"SELECT {columns} FROM {version.table_name} VERSION AS OF {int(version.version)}").collect()  # noqa: S608


def _watched(tables: _Tables, of: Told, rights: watch.Rights, over: pd.Series, anew: bool) -> tuple[list[watch.Alert], dict[tuple[str, int], str]]:
    """The alerts, and by filing the name of another that it resembles most."""
    spark = tables.writer.spark
    key = list(zip(of.marks["mark_number"], of.marks["nice_class"], strict=True))
    filed = watch.filed_on(of.marks)
    young = filed.map(lambda d: d is not None and d > months_after(of.until, -HABIT_MONTHS))
    stages = [
        watch.course(of.until, p, r, o).stage
        for p, r, o in zip(of.marks["preliminarily_published_on"], of.marks["mark_registered_on"], over, strict=True)
    ]
    watched = pd.Series([s in watch.WATCHED for s in stages], index=of.marks.index) & filed.notna()
    looked = of.marks[watched | (young & filed.notna())]
    stored = {} if anew else {(r.mark_number, r.nice_class): r for r in spark.sql(_STORED.format(table=tables.name(MARKS))).collect()}
    is_new = [_differs(stored.get((r.mark_number, r.nice_class)), r) for r in looked.itertuples(index=False)]
    pairs = watch.find(rights, looked[is_new])
    brands = {k: r.closest_name for k, r in stored.items() if r.closest_name is not None}
    for k in zip(looked[is_new]["mark_number"], looked[is_new]["nice_class"], strict=True):
        brands.pop(k, None)
    if stored:
        before = {r.right_id for r in spark.table(tables.name(RIGHTS)).select("right_id").collect()}
        fresh = [r for r in rights.frame["right_id"] if r not in before]
        if fresh:
            pairs = pd.concat([pairs, watch.find(rights, looked[[not n for n in is_new]], only=fresh)])
        new = set(zip(looked[is_new]["mark_number"], looked[is_new]["nice_class"], strict=True))
        kept = spark.table(tables.name(ALERTS)).select(*watch.PAIRS).toArrow().to_pandas()
        kept = kept[[k not in new for k in zip(kept["mark_number"], kept["nice_class"], strict=True)]]
        pairs = pd.concat([kept.astype({"mark_similarity": float}), pairs]).drop_duplicates(["right_id", *KEY])
    # Of filings that were searched before, what was found then stays: only the weightiest pairs are stored.
    brands = watch.closest(pairs, rights, of) | brands
    lost = _lost(of)
    alive = {k for k, w in zip(key, watched, strict=True) if w}
    mine = pairs[[k in alive for k in zip(pairs["mark_number"], pairs["nice_class"], strict=True)]]
    on = watch.known(of, lost, brands, set(zip(mine["mark_number"], mine["nice_class"], strict=True)))
    return watch.judged(mine, rights, of, on), brands


def _differs(before: Any, now: Any) -> bool:
    """Whether a filing is new, or another than what was held against names."""
    return before is None or any(getattr(before, c) != getattr(now, c) for c in ("trademark_name", "similar_groups", "applied_on"))


def _lost(of: Told) -> dict[tuple[str, int], dt.date]:
    """Filings that an opposition or invalidity has ended, and when."""
    classes = of.marks.groupby("mark_number")["nice_class"].agg(list).to_dict()
    found = {}
    for number, nice_class, on, procedure, result in of.decisions[
        ["mark_number", "nice_class", "decided_on", "mark_procedure", "decision_result"]
    ].itertuples(index=False):
        if validity.procedure_kind(procedure or "") in ("异议", "无效") and validity.ends(procedure, result):
            for c in classes.get(number, ()) if pd.isna(nice_class) else (int(nice_class),):
                found[number, c] = on
    return found


def _named(rights: watch.Rights, alerts: Iterable[watch.Alert], of: Told) -> set[str]:
    marks = set(of.marks["owner_subject_id"].dropna())
    return marks | set(rights.frame["owner_subject_id"].dropna()) | {a.right.owner for a in alerts if a.right.owner}


def _ids(writer: Writer, ids: Collection[str]) -> Any:
    return writer.spark.createDataFrame([(i,) for i in sorted(ids)], "subject_id STRING")


def _marks(of: Told, over: pd.Series, brands: Mapping[tuple[str, int], str]) -> list[tuple[Any, ...]]:
    longer = of.renewals[of.renewals["exclusive_until"].notna()].groupby("mark_number")["exclusive_until"].max().to_dict()
    rows = []
    for m, is_over in zip(of.marks.itertuples(index=False), over, strict=True):
        until = max((d for d in (m.exclusive_until, longer.get(m.mark_number)) if d is not None), default=None)
        course = validity.Course(m.applied_on, m.preliminarily_published_on, m.mark_registered_on, until)
        state = validity.State.ENDED if is_over else validity.state_on(course, of.until)
        rows.append(
            (m.mark_number, int(m.nice_class), m.trademark_name, m.similar_groups, m.applicant_name, m.applicant_address, m.applicant_subject_id,
             m.owner_name, m.owner_subject_id, m.agent_name, m.district_code, m.district_name or counts.ABROAD, m.applied_on, m.preliminarily_published_on,
             m.mark_registered_on, until, state.name.lower(), brands.get((m.mark_number, m.nice_class)))
        )  # fmt: skip
    return rows


def _rights(rights: watch.Rights, owners: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    rows = []
    for r in rights.frame.itertuples(index=False):
        owner = owners.get(r.owner_subject_id)
        place = (owner.subject_name, owner.district_code, owner.district_name) if owner else (None, None, economy.UNASSIGNED)
        kind = watch.Kind(r.right_kind).name.lower()
        rows.append(
            (
                r.right_id,
                kind,
                r.right_name,
                r.owner_subject_id,
                *place,
                r.nice_classes,
                r.similar_groups,
                r.right_since,
                r.right_reach,
                r.name_holders,
            )
        )
    return rows


def _alerts(tables: _Tables, alerts: Iterable[watch.Alert], of: Told, over: pd.Series, owners: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    since = {r.alert_id: r.first_alerted_on for r in tables.published(ALERTS, "alert_id, first_alerted_on")}
    answers = tables.writer.ledger.newest_feedback()
    marks = of.marks.assign(is_over=over).set_index(KEY)
    at = {k: n for n, k in enumerate(marks.index)}
    rows = []
    for a in alerts:
        m = marks.iloc[at[a.pair["mark_number"], a.pair["nice_class"]]]
        course = watch.course(of.until, m["preliminarily_published_on"], m["mark_registered_on"], bool(m["is_over"]))
        owner = owners.get(a.right.owner) if a.right.owner else None
        who = [getattr(owner, c, None) for c in ("subject_name", "legal_representative", "registered_address", "district_code")]
        why = a.pair["why_similar"] or similarity.explain(m["trademark_name"], a.right.name, a.judged.relation).sentence
        hooks = "；".join(dict.fromkeys(r.hook for r in a.judged.reasons if r.contribution > 0 and r.hook))
        e = a.evidence
        rows.append(
            (a.alert_id, a.right.right_id, a.right.kind.name.lower(), a.right.name, a.right.owner, *who, owner.district_name if owner else economy.UNASSIGNED,
             a.pair["mark_number"], int(a.pair["nice_class"]), m["trademark_name"], m["similar_groups"], m["applicant_name"], m["applicant_subject_id"],
             m["agent_name"], m["applied_on"], m["preliminarily_published_on"], m["mark_registered_on"], course.stage.name.lower(), course.due, course.expected,
             course.is_provisional, course.note or None, course.action, a.judged.relation.name.lower(), economy.decimal(e.similarity), e.identical, e.adds_generic,
             e.rivals, why, "suspect" if a.judged.verdict is Verdict.SUSPECT else "similar", economy.decimal(a.judged.score), a.judged.why, hooks or None,
             e.filings, e.brands, e.classes, e.losses, "、".join(a.names_hit[:10]) or None, e.holders, since.get(a.alert_id, of.until), answers.get(a.alert_id))
        )  # fmt: skip
    return rows


def _subjects(writer: Writer) -> dict[tuple[dt.date, str], float]:
    """Live subjects by the last day of each month of a year, and district: as many as at the end of that year, or of what there is of it."""
    found: dict[tuple[dt.date, str], float] = {}
    for r in writer.spark.sql(_SUBJECTS).collect():
        for month in range(1, 13):
            end = (pd.Period(year=r.period_end.year, month=month, freq="M")).end_time.date()
            found[end, r.district_name] = r.subjects
    return found


def _ranked(p: counts.Place, owners: Mapping[str, Any], frame: Mapping[str, economy.District]) -> tuple[Any, ...]:
    name, district = p.name, p.name
    if p.of == "owner":
        owner = owners.get(p.key)
        name, district = (owner.subject_name, owner.district_name) if owner else (p.key, economy.UNASSIGNED)
    elif p.of == "class":
        name, district = f"第{p.key}类", counts.CITY
    code = frame[district].code if district in frame else None
    values = [economy.figure(v) for v in (p.value, p.before, p.change, p.share)]
    return (p.of, p.indicator, p.period_end, period_name(p.period_end), p.key, name, code, *values, p.rank, p.rank_before)
