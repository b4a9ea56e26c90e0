"""Filings held against what is protected: who has a right to which name, which filings come close to it, and what to say of each.

Pure: frames go in (`told`, stored alerts), frames come out. A pair of a right and a filing is looked for once, when either is new, and judged at each
run, because conduct shows itself later. At most `MOST_OF_A_FILING` pairs of a filing are kept, those that say most.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from spark_jobs.identity.names import parse_name
from spark_jobs.trademark import bad_faith, deadlines, index, protected, similarity
from spark_jobs.trademark.bad_faith import Evidence, Filed, Habits, Judgement, Verdict
from spark_jobs.trademark.deadlines import Stage
from spark_jobs.trademark.goods import Goods, Relation, classes_of_section, edition_of, is_trade_of_section, relation
from spark_jobs.trademark.normalise import cores, normalise
from spark_jobs.trademark.protected import HOLDERS_OF_A_COMMON_NAME, Kind, ProtectedRight, Scope
from spark_jobs.trademark.told import KEY, Told, applicants, is_personal

MOST_OF_A_FILING = 10
AGENT_MONTHS = 24  # in which an agent's filings tell of it
RIGHTS = ["right_id", "right_kind", "right_name", "owner_subject_id", "nice_classes", "similar_groups", "right_since", "right_reach", "name_holders"]
PAIRS = ["right_id", *KEY, "mark_similarity", "is_same_name", "adds_generic_word", "similar_names", "why_similar"]


class Holder(NamedTuple):
    """A subject that bears a trade name; ``section``: of its trade."""

    subject_id: str
    since: dt.date | None
    section: str | None


@dataclass(frozen=True)
class Rights:
    """``frame``: one row a right (columns `RIGHTS`), by `right_id`. ``holders``: by trade name, the earliest first. ``ties``: by subject, its relatives."""

    frame: pd.DataFrame
    holders: Mapping[str, Sequence[Holder]]
    ties: Mapping[str, frozenset[str]]

    @cached_property
    def ids(self) -> dict[str, int]:
        """Row of each right."""
        return {r: n for n, r in enumerate(self.frame["right_id"])}

    def group(self, subjects: Collection[str]) -> frozenset[str]:
        """Subjects with their parents, daughters and sisters."""
        near = frozenset(subjects).union(*(self.ties.get(s, frozenset()) for s in subjects))
        return near.union(*(self.ties.get(s, frozenset()) for s in near))

    def of(self, row: int, nice_class: int) -> ProtectedRight:
        """The right of a row, as it stands beside a filing in a class: of several who bear a trade name the owner is who trades in it, the earliest first."""
        r = self.frame.iloc[row]
        kind, owner = Kind(r["right_kind"]), r["owner_subject_id"]
        members = [owner] if owner else []
        if kind is Kind.TRADE_NAME:
            bearing = self.holders[r["right_name"]]
            members = [h.subject_id for h in bearing]
            owner = next((h.subject_id for h in bearing if nice_class in classes_of_section(h.section)), members[0])
        goods = Goods.of(_classes(r["nice_classes"]), _groups(r["similar_groups"]))
        return ProtectedRight(
            r["right_id"], kind, r["right_name"], owner, self.group(members) - {owner}, goods, r["right_since"], Scope[r["right_reach"].upper()]
        )


def _classes(said: str | None) -> list[int]:
    return [int(c) for c in said.split("|")] if said else []


def _groups(said: str | None) -> list[str]:
    return said.split("|") if said else []


def rights(told: Told, valid: pd.Series) -> Rights:
    """What is protected. ``valid``: which of the marks told are in force; only those of the city's subjects count.

    A trade name that very many bear belongs to none of them; their marks, and listed names, stay.
    """
    holders: dict[str, list[Holder]] = defaultdict(list)
    bearing = told.holders[told.holders["trade_name"].fillna("").str.len() >= 2]
    for name, *who in bearing[["trade_name", "subject_id", "registration_date", "industry_section"]].itertuples(index=False):
        holders[name].append(Holder(*who))
    ties: dict[str, set[str]] = defaultdict(set)
    for one, other in told.ties.itertuples(index=False):
        ties[one].add(other)
        ties[other].add(one)
    found = Rights(pd.DataFrame(columns=RIGHTS), holders, {s: frozenset(o) for s, o in ties.items()})
    rows = [*_trade_names(holders), *_of_marks(told.marks[valid.to_numpy(bool)], set(told.holders["subject_id"])), *_listed(found)]
    frame = pd.DataFrame(rows, columns=RIGHTS).astype(object)
    return Rights(frame, holders, found.ties)


def _trade_names(holders: Mapping[str, Sequence[Holder]]) -> Iterator[tuple[Any, ...]]:
    for name, bearing in holders.items():
        if len(bearing) < HOLDERS_OF_A_COMMON_NAME:
            classes = sorted({c for h in bearing for c in classes_of_section(h.section)})
            since = min((h.since for h in bearing if h.since is not None), default=None)
            yield _row(Kind.TRADE_NAME, name, name, bearing[0].subject_id, classes, [], since, len(bearing))


def _of_marks(marks: pd.DataFrame, local: Collection[str]) -> Iterator[tuple[Any, ...]]:
    """An owner's marks of one name are one right in all their classes."""
    mine = marks[marks["owner_subject_id"].isin(local) & marks["trademark_name"].notna()]
    for (owner, name), of in mine.groupby(["owner_subject_id", "trademark_name"], sort=True):
        goods = [Goods.read(c, g) for c, g in zip(of["nice_class"], of["similar_groups"], strict=True)]
        groups = sorted({g for one in goods for g in one.groups})
        first = [d for row in zip(of["applied_on"], of["mark_registered_on"], strict=True) if (d := next((x for x in row if x is not None), None))]
        number = min(of["mark_number"])
        yield _row(Kind.MARK, str(number), name, owner, sorted({int(c) for c in of["nice_class"]}), groups, min(first, default=None), 1)


def _listed(known: Rights) -> Iterator[tuple[Any, ...]]:
    """Listed names; whose one is, is known where all who bear it are of one group."""
    for right in protected.listed_rights():
        bearing = known.holders.get(right.name, ())
        one = bool(bearing) and {h.subject_id for h in bearing} <= known.group([bearing[0].subject_id])
        owner, since = (bearing[0].subject_id, bearing[0].since) if one else (None, None)
        yield _row(right.kind, right.name, right.name, owner, sorted(right.goods.classes), [], since, max(1, len(bearing)))


def _row(
    kind: Kind, number: str, name: str, owner: str | None, classes: Sequence[int], groups: Sequence[str], since: dt.date | None, holders: int
) -> tuple[Any, ...]:
    reach = protected.scope(name, kind, holders)
    said = "|".join(map(str, classes)) or None, "|".join(groups) or None
    return f"{kind.value}:{number}", kind.value, name, owner, *said, since, reach.name.lower(), holders


# ---- pairs ----


def find(of: Rights, filings: pd.DataFrame, names: index.Index | None = None, only: Collection[str] | None = None) -> pd.DataFrame:
    """Pairs of rights and ``filings`` (`KEY`, trademark_name) that resemble each other, without the sentence that says why.

    ``names``: an index of the rights' names by their row, if there is one. ``only``: ids of rights that are new, where all filings are to be held
    against these: then the filings are what is indexed.
    """
    mine = filings[filings["trademark_name"].notna()]
    marks = mine["trademark_name"].tolist()
    if only is None:
        rows = np.arange(len(of.frame))
        of_names = names or index.build(rows, of.frame["right_name"].tolist())
        found = index.query(of_names, marks)
        asked, at = found.rows, of_names.ids[found.places].astype(np.int64)
    else:
        rows = np.array([of.ids[r] for r in only if r in of.ids], dtype=np.int64)
        turned = index.query(index.build(np.arange(len(marks)), marks), of.frame["right_name"].iloc[rows].tolist())
        asked, at = turned.places, rows[turned.rows]
    if not len(asked):
        return pd.DataFrame(columns=PAIRS)
    # Of a name that several have rights to, one comparison.
    names_of, place = np.unique(of.frame["right_name"].to_numpy(dtype=str)[at], return_inverse=True)
    new, prior = normalise(marks), normalise(names_of.tolist())
    scored = similarity.score(new, prior, asked, place)
    near = np.flatnonzero(scored.mark >= bad_faith.LEAST_SIMILARITY)
    if not len(near):
        return pd.DataFrame(columns=PAIRS)
    own, theirs = _bare(new), _bare(prior)
    pairs = pd.DataFrame({"right": at[near], "filing": asked[near], "mark_similarity": scored.mark[near].astype(float)})
    mark, name = own[pairs["filing"]], theirs[place[near]]
    pairs["is_same_name"] = [new.text(f) == prior.text(p) for f, p in zip(asked[near], place[near], strict=True)]
    longer = new.lengths[pairs["filing"]] > prior.lengths[place[near]]
    pairs["adds_generic_word"] = (mark == name) & longer & ~pairs["is_same_name"].to_numpy()
    rivals = pd.Series(place[near]).groupby(pairs["filing"].to_numpy()).nunique()
    pairs["similar_names"] = pairs["filing"].map(rivals).astype(int)
    pairs["right_id"] = of.frame["right_id"].to_numpy()[pairs["right"]]
    for column in KEY:
        pairs[column] = mine[column].to_numpy()[pairs["filing"]]
    return pairs.assign(why_similar=None)[PAIRS]


def _bare(names: Any) -> np.ndarray:
    """Texts without generic words around them."""
    skip, left = cores(names)
    cut = names.take(np.arange(len(names)), skip, left)
    return np.array([cut.text(n) for n in range(len(cut))], dtype=object)


# ---- what is known of a filing ----


@dataclass(frozen=True)
class Known:
    """Of filings by their key: ``habits``, ``person``, ``own_trade``, ``bears`` (the applicant's trade name, normalised, '' if unknown), ``agent``
    (its ratio) and ``names_hit`` (others' names that the applicant's filings of the densest year resemble)."""

    habits: Mapping[tuple[str, int], Habits]
    person: Mapping[tuple[str, int], bool]
    section: Mapping[tuple[str, int], str | None]
    bears: Mapping[tuple[str, int], str]
    agent: Mapping[tuple[str, int], float]
    names_hit: Mapping[tuple[str, int], tuple[str, ...]]


def known(told: Told, lost: Mapping[tuple[str, int], dt.date], brands: Mapping[tuple[str, int], str], wanted: Collection[tuple[str, int]]) -> Known:
    """What is known of the ``wanted`` filings' applicants and agents on the day until which is told.

    ``lost``: filings that a procedure ended, and when. ``brands``: the name of another that a filing resembles most, of those at home in its class.
    """
    marks = told.marks.assign(applicant=applicants(told.marks), filed=filed_on(told.marks))
    marks = marks[marks["filed"].notna()]
    keys = list(zip(marks["mark_number"], marks["nice_class"], strict=True))
    given = told.renewals[told.renewals["is_transfer"].astype(bool)].groupby("mark_number")["gazetted_on"].min().to_dict()
    of: dict[str, list[Filed]] = defaultdict(list)
    for key, who, filed in zip(keys, marks["applicant"], marks["filed"], strict=True):
        of[who].append(Filed(filed, int(key[1]), brands.get(key), lost.get(key), given.get(key[0])))
    since = deadlines.months_after(told.until, -AGENT_MONTHS)
    asked = set(wanted)
    habits, hit_of, names_hit = {}, [], {}
    for key, who, filed, agent in zip(keys, marks["applicant"], marks["filed"], marks["agent_name"], strict=True):
        recent = filed > since and agent is not None
        if key in asked or recent:
            habits[key] = bad_faith.habits(of[who], filed, told.until)
            if recent:
                hit_of.append((agent, habits[key].brands >= 3))
            if key in asked:
                names_hit[key] = tuple(sorted({f.brand for f in of[who] if f.brand and abs((f.filed - filed).days) <= 366}))
    by_agent = pd.DataFrame(hit_of, columns=["agent", "hit"]).groupby("agent")["hit"].agg(["sum", "count"])
    overall = by_agent["sum"].sum() / max(1, by_agent["count"].sum())
    ratio = {a: bad_faith.agent_ratio(hits, n, overall) for a, hits, n in by_agent.itertuples()}
    mine = marks[[k in asked for k in keys]]
    own = told.holders.set_index("subject_id")[["trade_name", "industry_section"]]
    subject = mine["applicant_subject_id"]
    trade = subject.map(own["trade_name"])
    parsed = {n: parse_name(n).trade_name for n in mine.loc[trade.isna(), "applicant_name"].dropna().unique()}
    bears = trade.where(trade.notna(), mine["applicant_name"].map(parsed)).fillna("").tolist()
    normal = normalise(bears)
    person = is_personal(mine["applicant_name"], subject)
    ids = list(zip(mine["mark_number"], mine["nice_class"], strict=True))
    section = subject.map(own["industry_section"])
    return Known(
        habits,
        dict(zip(ids, person.tolist(), strict=True)),
        dict(zip(ids, section.where(section.notna(), None), strict=True)),
        # Of a person the name is no trade name.
        {key: "" if p else normal.text(n) for n, (key, p) in enumerate(zip(ids, person, strict=True))},
        {key: ratio.get(a, 1.0) for key, a in zip(ids, mine["agent_name"], strict=True)},
        names_hit,
    )


def filed_on(marks: pd.DataFrame) -> pd.Series:
    """Days of filing; where only the publication is told, that: the earlier day isn't known. Of marks told by their registration alone nothing is."""
    return marks["applied_on"].where(marks["applied_on"].notna(), marks["preliminarily_published_on"])


def closest(pairs: pd.DataFrame, of: Rights, told: Told) -> dict[tuple[str, int], str]:
    """By filing, the name of another that it resembles most, of those that are at home in its class."""
    who = _indexed(told.marks)["applicant_subject_id"]
    best: dict[tuple[str, int], tuple[float, str]] = {}
    related: dict[tuple[Any, ...], bool] = {}
    for right_id, number, nice_class, alike in pairs[["right_id", *KEY, "mark_similarity"]].itertuples(index=False):
        key, row = (number, nice_class), of.ids[right_id]
        name, classes = of.frame["right_name"].iat[row], of.frame["nice_classes"].iat[row]
        at = (classes, nice_class)
        if at not in related:
            related[at] = relation(Goods.of(_classes(classes)), Goods.of([nice_class])) >= Relation.SAME_CLASS
        if related[at] and (alike, name) > best.get(key, (0.0, "")) and not of.of(row, nice_class).belongs_to(who.get(key)):
            best[key] = (alike, name)
    return {key: name for key, (_, name) in best.items()}


def _indexed(marks: pd.DataFrame) -> pd.DataFrame:
    return marks.set_index(KEY)


# ---- alerts ----


@dataclass(frozen=True)
class Alert:
    """What is said of a pair. ``right``: as it stands beside the filing."""

    pair: Mapping[str, Any]
    right: ProtectedRight
    evidence: Evidence
    judged: Judgement
    names_hit: tuple[str, ...]

    @property
    def alert_id(self) -> str:
        return alert_id(self.right.right_id, self.pair["mark_number"], self.pair["nice_class"])


def alert_id(right_id: str, mark_number: str, nice_class: int) -> str:
    """Twelve digits and letters that a person can read out; the same for the same right and filing for ever."""
    return hashlib.sha256(f"{right_id}\0{mark_number}\0{nice_class}".encode()).hexdigest()[:12].upper()


def judged(pairs: pd.DataFrame, of: Rights, told: Told, on: Known) -> list[Alert]:
    """The alerts of pairs; what comes to nothing is none. Of a filing those that say most."""
    marks = _indexed(told.marks)
    filings = {
        key: (who, filed, groups, mark)
        for key, who, filed, groups, mark in zip(
            marks.index, marks["applicant_subject_id"], filed_on(marks), marks["similar_groups"], marks["trademark_name"], strict=True
        )
    }
    texts = sorted({filings[k][3] for k in zip(pairs["mark_number"], pairs["nice_class"], strict=True) if k in filings})
    normal = normalise(texts)
    plain = {t: normal.text(n) for n, t in enumerate(texts)}
    listed = {r.name for r in protected.listed_rights()}
    found: dict[tuple[str, int], list[Alert]] = defaultdict(list)
    for pair in pairs.to_dict("records"):
        key = pair["mark_number"], pair["nice_class"]
        if key not in filings or key not in on.habits or pair["right_id"] not in of.ids:
            continue
        who, filed, groups, mark = filings[key]
        right = of.of(of.ids[pair["right_id"]], key[1])
        h, bears = on.habits[key], on.bears[key]
        evidence = Evidence(
            float(pair["mark_similarity"]), bool(pair["is_same_name"]), Relation.NONE, h.filings, max(1, h.brands), h.classes, h.losses, h.transfers,
            on.agent[key], on.person[key], None, is_trade_of_section(on.section[key], key[1]), len(bears) >= 2 and bears in plain[mark],
            int(of.frame["name_holders"].iat[of.ids[pair["right_id"]]]), int(pair["similar_names"]), bool(pair["adds_generic_word"]),
            bad_faith.rarity(right.name), right.name in listed,
        )  # fmt: skip
        said = bad_faith.judge(right, Goods.read(key[1], groups), filed, who, evidence, edition_of(filed.year))
        if said.verdict is not Verdict.NOTHING:
            found[key].append(Alert(pair, right, evidence, said, on.names_hit.get(key, ())))
    return [a for of_one in found.values() for a in sorted(of_one, key=_weight)[:MOST_OF_A_FILING]]


def _weight(alert: Alert) -> tuple[Any, ...]:
    return alert.judged.verdict is not Verdict.SUSPECT, -alert.judged.score, -alert.evidence.similarity, alert.right.right_id


@dataclass(frozen=True)
class Course:
    """Where a filing stands: ``stage``; ``due``, ``expected``: last days on which its owner's rivals can act, None where none is running."""

    stage: Stage
    due: dt.date | None
    expected: dt.date | None
    is_provisional: bool
    note: str
    action: str


def course(day: dt.date, published: dt.date | None, registered: dt.date | None, is_over: bool) -> Course:
    """The course of a filing on ``day``, and what to do."""
    stage = deadlines.stage_on(day, published, registered, day if is_over else None)
    action = deadlines.action(stage, registered, day)
    limit = None
    if stage in (Stage.PUBLISHED, Stage.UNSURE) and published is not None:
        limit = deadlines.opposition(published)
    elif stage is Stage.REGISTERED and registered is not None:
        limit = deadlines.invalidation(registered)
    if limit is None:
        return Course(stage, None, None, False, "", action)
    return Course(stage, limit.due, limit.expected, limit.provisional, limit.note, action)


WATCHED = (Stage.FILED, Stage.PUBLISHED, Stage.UNSURE, Stage.WAITING, Stage.OPPOSED, Stage.REGISTERED)
