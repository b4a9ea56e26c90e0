"""Marks, rights to names, pairs, alerts and statistics in tables, worked out when something of marks has arrived.

A pair of a right and a filing is searched for when either is new, and kept; what is said of it, its stage and its deadline are said anew. Since when it is
an alert stays as it was first published.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from catalog.contract import Contract
from catalog.derive import spark_schema, table_name
from infra.ledger import Run
from spark_jobs.analyse import economy
from spark_jobs.analyse.build import districts, period_name
from spark_jobs.trademark import counts, similarity, told, validity, watch
from spark_jobs.trademark.bad_faith import Verdict
from spark_jobs.trademark.deadlines import months_after
from spark_jobs.trademark.told import KEY, Told, keys
from spark_jobs.trademark.watch import Alert, Filing, Rights
from spark_jobs.writing import Writer

MARKS, RIGHTS, ALERTS, PAIRS = "gold.trademark_marks", "gold.trademark_rights", "gold.trademark_alerts", "gold.trademark_pairs"
MONTHLY, RANKING = "gold.trademark_monthly", "gold.trademark_ranking"
ROWS_AT_ONCE = 200_000  # that are sent to the server in one piece
# What a filing was when it was held against names, and a right when filings were.
_FILING = ["words_compared", "is_compared"]
_SIGNATURE = ["nice_classes", "right_reach"]
_SUBJECTS = """
    SELECT period_end, district_name, CAST(economy_value AS DOUBLE) AS subjects FROM gold_tables.economy_indicators
    WHERE economy_indicator = 'live_subjects' AND industry_section_name = '全部'"""
_OWNERS = """
    SELECT subject_id, subject_name, legal_representative, registered_address, district_code, supervising_district_code, district_name
    FROM gold_tables.archive_subject"""
_NOBODY = (None, None, None, None, None, economy.UNASSIGNED)


def make(writer: Writer, contracts: Mapping[str, Contract], run: Run, known: Collection[str], anew: bool) -> None:
    """Bring the tables to what is told now. ``known``: feeds of which silver has a table; of marks nothing is said until a stage of theirs is told."""
    if not told.STAGES & set(known):
        return
    of = told.fetch(writer, known)
    print(f"商标：{len(of.marks)} 件次，{len(of.holders)} 个主体的字号", flush=True)
    tables = _Tables(writer, contracts, run, (run.number, of.until))
    over = validity.is_over(of.marks, of.until, of.decisions)
    rights = watch.rights(of, validity.valid_on(of.marks, of.until, of.decisions, of.renewals))
    looked, watched = _filings(of, over)
    pairs = _pairs(tables, of.marks[looked], rights, anew)
    alerts, brands = _judged(of, rights, pairs, watched)
    pairs = _explained(pairs, alerts, of)
    ids = set(of.marks["owner_subject_id"].dropna()) | {r.owner_subject_id for r in rights.rows} | {a.right.owner for a in alerts}
    owners = _owners(writer, {i for i in ids if i})
    kind = "simulated" if (of.marks["value_kind"] == "simulated").any() or (of.holders["value_kind"] == "simulated").any() else "estimated"
    why = dict(
        zip(zip(*(pairs[c] for c in ("right_id", *KEY)), strict=True), zip(pairs["why_similar"], pairs["first_alerted_on"], strict=True), strict=True)
    )
    tables.write(MARKS, _marks(of, over, looked, brands), kind)
    tables.write(RIGHTS, _rights(rights, owners), kind)
    tables.write(
        PAIRS,
        [(r, n, int(c), economy.decimal(s), bool(a), bool(g), int(k), w or None, d) for r, n, c, s, a, g, k, w, d in pairs.itertuples(index=False)],
        kind,
    )
    tables.write(ALERTS, _alerts(alerts, of, over, owners, why, writer.ledger.newest_feedback()), kind)
    frame = districts()
    monthly = [
        (m.month, frame[m.district].code if m.district in frame else None, m.district, m.nice_class, m.applications, m.registrations, m.stock)
        for m in counts.of_months(of)
    ]
    tables.write(MONTHLY, monthly, kind)
    tables.write(RANKING, [_ranked(p, owners, frame) for p in counts.rankings(of, _subjects(writer))], kind)


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
        for first in range(0, max(1, len(rows)), ROWS_AT_ONCE):
            frame = self.writer.spark.createDataFrame([(*r, *self.last, kind) for r in rows[first : first + ROWS_AT_ONCE]], schema)
            self.writer.write(frame, self.name(identity), "append" if first else "overwrite", "trademark", self.run.run_id)

    def stored(self, identity: str, columns: Sequence[str]) -> pd.DataFrame:
        """What a table says before this run."""
        return self.writer.spark.table(self.name(identity)).select(*columns).toArrow().to_pandas(date_as_object=True)

    def published(self, identity: str, columns: Sequence[str]) -> pd.DataFrame:
        """What the newest version of a table says that any release has named, also where the table is being built anew."""
        version = self.writer.ledger.newest_version(self.name(identity))
        if version is None:
            return pd.DataFrame(columns=list(columns))
        sql = f"SELECT {', '.join(columns)} FROM {version.table_name} VERSION AS OF {int(version.version)}"  # noqa: S608 - our own names
        return self.writer.spark.sql(sql).toArrow().to_pandas(date_as_object=True)


def _which(flags: Iterable[bool]) -> np.ndarray:
    """A mask, also of nothing."""
    return np.array(list(flags), dtype=bool)


def _filings(of: Told, over: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """(which marks are held against names, which of these are watched)."""
    looked, watched = [], []
    young = months_after(of.until, -watch.HABIT_MONTHS)
    columns = (of.marks["preliminarily_published_on"], of.marks["mark_registered_on"], over, watch.filed_on(of.marks), of.marks["words"])
    for published, registered, is_over, filed, words in zip(*columns, strict=True):
        can = filed is not None and words is not None
        watched.append(can and watch.is_watched(of.until, watch.course(of.until, published, registered, bool(is_over)), filed, published))
        looked.append(watched[-1] or (can and filed > young))
    return _which(looked), _which(watched)


def _pairs(tables: _Tables, looked: pd.DataFrame, rights: Rights, anew: bool) -> pd.DataFrame:
    """All pairs of the filings that are held against names: those that are stored, and what is found of new filings and of new rights."""
    if anew:
        found = watch.find(rights, looked)
        first = tables.published(PAIRS, ["right_id", *KEY, "why_similar", "first_alerted_on"])
        return found.drop(columns=["why_similar", "first_alerted_on"]).merge(first, how="left", on=["right_id", *KEY])[watch.PAIRS]
    marks, before = tables.stored(MARKS, [*KEY, *_FILING]), tables.stored(RIGHTS, ["right_id", *_SIGNATURE])
    compared = {k: w for *k_, w, is_ in marks.itertuples(index=False) if is_ for k in [tuple(k_)]}
    is_new = _which(compared.get(k) != w for k, w in zip(keys(looked), looked["words"], strict=True))
    was = {r: (c, reach) for r, c, reach in before.itertuples(index=False)}
    fresh = [r.right_id for r in rights.rows if was.get(r.right_id) != (r.nice_classes, r.right_reach)]
    there = set(keys(looked[~is_new]))
    kept = tables.stored(PAIRS, watch.PAIRS)
    kept = kept[_which(r in rights.ids and k in there for r, k in zip(kept["right_id"], keys(kept), strict=True))]
    more = watch.find(rights, looked[~is_new], only=fresh)
    if len(more):
        # How many names a filing resembles grows by those that are new.
        grown = more.groupby(KEY)["right_id"].nunique().to_dict()
        kept = kept.assign(similar_names=[int(n) + grown.get(k, 0) for n, k in zip(kept["similar_names"], keys(kept), strict=True)])
    parts = [p for p in (kept, more, watch.find(rights, looked[is_new])) if len(p)]
    if not parts:
        return pd.DataFrame(columns=watch.PAIRS)
    found = pd.concat(parts, ignore_index=True).drop_duplicates(["right_id", *KEY]).astype({"mark_similarity": float})
    return found.sort_values("mark_similarity", ascending=False, kind="stable").groupby(KEY, sort=False).head(watch.MOST_PAIRS).astype(object).where(lambda f: f.notna(), None)  # fmt: skip


def _judged(of: Told, rights: Rights, pairs: pd.DataFrame, watched: np.ndarray) -> tuple[list[Alert], dict[Filing, str]]:
    """The alerts, and by filing the name of another that it resembles most."""
    brands = watch.closest(pairs, rights, of)
    alive = set(keys(of.marks[watched]))
    mine = pairs[_which(k in alive for k in keys(pairs))]
    return watch.judged(mine, rights, of, watch.known(of, rights, _lost(of), brands, set(keys(mine)))), brands


def _lost(of: Told) -> dict[Filing, dt.date]:
    """Filings that an opposition or invalidity has ended, and when; what a review has overturned isn't lost."""
    classes = of.marks.groupby("mark_number")["nice_class"].agg(list).to_dict()
    last: dict[tuple[str, int, str], tuple[dt.date, bool]] = {}
    columns = ["mark_number", "nice_class", "decided_on", "mark_procedure", "decision_result"]
    for number, nice_class, on, procedure, result in of.decisions[columns].itertuples(index=False):
        kind, effect = validity.procedure_kind(procedure or ""), validity.effect(procedure, result)
        if kind in ("异议", "无效") and effect in (validity.Effect.ENDS, validity.Effect.KEEPS):
            for c in classes.get(number, ()) if pd.isna(nice_class) else (int(nice_class),):
                last[number, c, kind] = (on, effect is validity.Effect.ENDS)
    return {(number, c): on for (number, c, _), (on, ends) in last.items() if ends}


def _explained(pairs: pd.DataFrame, alerts: Sequence[Alert], of: Told) -> pd.DataFrame:
    """Pairs with the sentence that says why, and the day of the first alert, where they are one."""
    words = dict(zip(keys(of.marks), of.marks["words"], strict=True))
    place = {key: n for n, key in enumerate(zip(*(pairs[c] for c in ("right_id", *KEY)), strict=True))}
    at = [place[a.right.right_id, a.pair["mark_number"], a.pair["nice_class"]] for a in alerts]
    why, since = pairs["why_similar"].tolist(), pairs["first_alerted_on"].tolist()
    due = [n for n in range(len(at)) if not isinstance(why[at[n]], str)]
    said = similarity.explain_all(
        [(words[a.pair["mark_number"], a.pair["nice_class"]], a.right.name, a.judged.relation) for a in (alerts[n] for n in due)]
    )
    for n, explanation in zip(due, said, strict=True):
        why[at[n]] = explanation.sentence
    for n in at:
        since[n] = since[n] if isinstance(since[n], dt.date) else of.until
    known = [d if isinstance(d, dt.date) else None for d in since]
    return pairs.assign(
        why_similar=[w if isinstance(w, str) else None for w in why], first_alerted_on=pd.Series(known, index=pairs.index, dtype=object)
    )


def _owners(writer: Writer, ids: Collection[str]) -> dict[str, Any]:
    wanted = writer.spark.createDataFrame([(i,) for i in sorted(ids)], "subject_id STRING")
    return {r.subject_id: r for r in writer.spark.sql(_OWNERS).join(wanted, "subject_id", "left_semi").collect()}


def _marks(of: Told, over: pd.Series, looked: np.ndarray, brands: Mapping[Filing, str]) -> list[tuple[Any, ...]]:
    longer = of.renewals[of.renewals["exclusive_until"].notna().to_numpy(bool)].groupby("mark_number")["exclusive_until"].max().to_dict()
    rows = []
    for m, is_over, compared in zip(of.marks.itertuples(index=False), over, looked, strict=True):
        until = max((d for d in (m.exclusive_until, longer.get(m.mark_number)) if d is not None), default=None)
        course = validity.Course(m.applied_on, m.preliminarily_published_on, m.mark_registered_on, until)
        state = validity.State.ENDED if is_over else validity.state_on(course, of.until)
        rows.append(
            (m.mark_number, int(m.nice_class), m.trademark_name, m.similar_groups, m.applicant_name, m.applicant_address, m.applicant_subject_id,
             m.owner_name, m.owner_subject_id, m.agent_name, m.district_code, m.district_name or counts.ABROAD, m.applied_on, m.preliminarily_published_on,
             m.mark_registered_on, until, state.name.lower(), brands.get((m.mark_number, m.nice_class)), m.words if compared else None, bool(compared))
        )  # fmt: skip
    return rows


def _rights(rights: Rights, owners: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    rows = []
    for r in rights.rows:
        owner = owners.get(r.owner_subject_id or "")
        who = (
            (owner.subject_name, owner.district_code, owner.supervising_district_code, owner.district_name)
            if owner
            else (None, None, None, economy.UNASSIGNED)
        )
        kind = watch.Kind(r.right_kind).name.lower()
        rows.append(
            (r.right_id, kind, r.right_name, r.owner_subject_id, *who, r.nice_classes, r.similar_groups, r.right_since, r.right_reach, r.name_holders)
        )
    return rows


def _alerts(
    alerts: Iterable[Alert],
    of: Told,
    over: pd.Series,
    owners: Mapping[str, Any],
    why: Mapping[tuple[str, str, int], tuple[str, dt.date]],
    answers: Mapping[str, str],
) -> list[tuple[Any, ...]]:
    wanted = {(a.pair["mark_number"], a.pair["nice_class"]) for a in alerts}
    marks = {
        (m.mark_number, m.nice_class): (m, o)
        for m, o in zip(of.marks.itertuples(index=False), over, strict=True)
        if (m.mark_number, m.nice_class) in wanted
    }
    rows = []
    for a in alerts:
        number, nice_class = a.pair["mark_number"], a.pair["nice_class"]
        m, is_over = marks[number, nice_class]
        course = watch.course(of.until, m.preliminarily_published_on, m.mark_registered_on, bool(is_over))
        o = owners.get(a.right.owner or "")
        who = (
            (o.subject_name, o.legal_representative, o.registered_address, o.district_code, o.supervising_district_code, o.district_name)
            if o
            else _NOBODY
        )
        hooks = "；".join(dict.fromkeys(r.hook for r in a.judged.reasons if r.contribution > 0 and r.hook))
        sentence, since = why[a.right.right_id, number, nice_class]
        e = a.evidence
        rows.append(
            (a.alert_id, a.right.right_id, a.right.kind.name.lower(), a.right.name, a.right.owner, *who, number, int(nice_class), m.trademark_name,
             m.similar_groups, m.applicant_name, m.applicant_subject_id, m.agent_name, m.applied_on, m.preliminarily_published_on, m.mark_registered_on,
             course.stage.name.lower(), course.due, course.expected, course.latest, course.is_provisional, course.note or None, course.action,
             a.judged.relation.name.lower(), economy.decimal(e.similarity), e.identical, e.adds_generic, e.rivals, sentence,
             "suspect" if a.judged.verdict is Verdict.SUSPECT else "similar", economy.decimal(a.judged.score), a.judged.why, hooks or None, e.filings, e.brands,
             e.classes, e.losses, "、".join(a.names_hit[:10]) or None, e.holders, since, answers.get(a.alert_id))
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
