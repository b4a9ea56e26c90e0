"""Filings held against what is protected: who has a right to which name, which filings come close to it, and what to say of each.

Pure: frames go in (`told`, stored pairs), frames come out. A pair of a right and a filing is looked for when either is new, kept whatever is said of it,
and judged at each run: conduct shows itself later, owners change. What is shown of a filing are the `MOST_OF_A_FILING` pairs that say most.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spark_jobs.identity.names import parse_name
from spark_jobs.trademark import bad_faith, deadlines, index, protected, similarity
from spark_jobs.trademark.bad_faith import Evidence, Filed, Habits, Judgement, Verdict
from spark_jobs.trademark.deadlines import Stage, months_after
from spark_jobs.trademark.goods import Goods, Relation, classes_of_section, edition_of, is_trade_of_section, relation
from spark_jobs.trademark.normalise import Names, cores, normalise
from spark_jobs.trademark.protected import HOLDERS_OF_A_COMMON_NAME, Kind, ProtectedRight, Scope
from spark_jobs.trademark.told import KEY, Told, applicants, are_persons, keys

MOST_OF_A_FILING, MOST_PAIRS = 10, 50  # that are shown of a filing; that are kept, the most similar ones
AT_ONCE = 20_000  # filings that are searched
AGENT_MONTHS = 24  # in which an agent's filings tell of it
HABIT_MONTHS = 72  # filings so young are held against names, whatever became of them: they tell of their applicants
FORGOTTEN_MONTHS = 36  # without a step, an application isn't watched any longer: no feed tells of refusals
# Who has borne a trade name for so long before a filing bears it in his own right; a namesake founded just before is no excuse.
OWN_NAME_MONTHS = 36
RIGHTS = ["right_id", "right_kind", "right_name", "owner_subject_id", "nice_classes", "similar_groups", "right_since", "right_reach", "name_holders"]
PAIRS = ["right_id", *KEY, "mark_similarity", "is_same_name", "adds_generic_word", "similar_names", "why_similar", "first_alerted_on"]
Filing = tuple[str, int]  # mark_number, nice_class


class Holder(NamedTuple):
    """A subject that bears a trade name; ``section``: of its trade."""

    subject_id: str
    since: dt.date | None
    section: str | None


class Right(NamedTuple):
    """A row of `Rights.frame`."""

    right_id: str
    right_kind: str
    right_name: str
    owner_subject_id: str | None
    nice_classes: str | None
    similar_groups: str | None
    right_since: dt.date | None
    right_reach: str
    name_holders: int


@dataclass(frozen=True)
class Rights:
    """``rows``: each right once. ``holders``: by trade name, the earliest first. ``ties``: by subject, its relatives."""

    rows: Sequence[Right]
    holders: Mapping[str, Sequence[Holder]]
    ties: Mapping[str, frozenset[str]]

    @cached_property
    def ids(self) -> dict[str, int]:
        """Row of each right."""
        return {r.right_id: n for n, r in enumerate(self.rows)}

    @cached_property
    def names(self) -> NDArray[np.object_]:
        """The names, by row."""
        return np.array([r.right_name for r in self.rows], dtype=object)

    def group(self, subjects: Collection[str]) -> frozenset[str]:
        """Subjects with their parents, daughters and sisters."""
        near = frozenset(subjects).union(*(self.ties.get(s, frozenset()) for s in subjects))
        return near.union(*(self.ties.get(s, frozenset()) for s in near))

    def of(self, row: int, nice_class: int, filed: dt.date) -> ProtectedRight:
        """The right of a row, as it stands beside a filing of a day in a class.

        Of several who bear a trade name the owner is who bore it by then and trades in the class, the earliest first; whoever has borne it for
        `OWN_NAME_MONTHS` files it in his own right, too.
        """
        r = self.rows[row]
        kind, owner, since = Kind(r.right_kind), r.owner_subject_id, r.right_since
        own: frozenset[str] = self.group([owner]) if owner else frozenset()
        if kind is Kind.TRADE_NAME:
            bearing = [h for h in self.holders[r.right_name] if h.since is not None and h.since < filed] or self.holders[r.right_name]
            holder = next((h for h in bearing if nice_class in classes_of_section(h.section)), bearing[0])
            owner, since = holder.subject_id, holder.since
            long_before = months_after(filed, -OWN_NAME_MONTHS)
            own = self.group([owner]) | {h.subject_id for h in bearing if h.since is not None and h.since <= long_before}
        others = own - {owner} if owner else own
        goods = _goods(r.nice_classes, r.similar_groups)
        return ProtectedRight(r.right_id, kind, r.right_name, owner, others, goods, since, _scope(r.right_reach))


@cache
def _scope(reach: str) -> Scope:
    return Scope[reach.upper()]


@lru_cache(maxsize=65536)
def _goods(classes: str | None, groups: str | None) -> Goods:
    return Goods.of([int(c) for c in classes.split("|")] if classes else [], groups.split("|") if groups else [])


@lru_cache(maxsize=262144)
def _filed_goods(nice_class: int, groups: str | None) -> Goods:
    return Goods.read(nice_class, groups)


@lru_cache(maxsize=262144)
def _related(classes: str | None, nice_class: int) -> Relation:
    """Of classes alone."""
    return relation(_goods(classes, None), Goods.of([nice_class]))


def rights(told: Told, valid: pd.Series) -> Rights:
    """What is protected. ``valid``: which of the marks told are in force; only those of the city's subjects count.

    A trade name that very many bear belongs to none of them; their marks, and listed names, stay.
    """
    holders: dict[str, list[Holder]] = defaultdict(list)
    bearing = told.holders[(told.holders["trade_name"].fillna("").str.len() >= 2).to_numpy(bool)]
    for name, subject, since, section in bearing[["trade_name", "subject_id", "registration_date", "industry_section"]].itertuples(index=False):
        holders[name].append(Holder(subject, since if isinstance(since, dt.date) else None, section if isinstance(section, str) else None))
    for several in holders.values():
        several.sort(key=lambda h: (h.since is None, h.since or dt.date.max, h.subject_id))
    ties: dict[str, set[str]] = defaultdict(set)
    for one, other in told.ties.itertuples(index=False):
        ties[one].add(other)
        ties[other].add(one)
    found = Rights((), holders, {s: frozenset(o) for s, o in ties.items()})
    rows = [
        *_trade_names(holders),
        *_of_marks(told.marks[valid.to_numpy(bool)], set(told.holders["subject_id"])),
        *_listed(found, months_after(told.until, -OWN_NAME_MONTHS)),
    ]
    return replace(found, rows=rows)


def _trade_names(holders: Mapping[str, Sequence[Holder]]) -> Iterator[Right]:
    for name, bearing in holders.items():
        if len(bearing) < HOLDERS_OF_A_COMMON_NAME:
            classes = sorted({c for h in bearing for c in classes_of_section(h.section)})
            yield _right(Kind.TRADE_NAME, name, name, bearing[0].subject_id, classes, [], bearing[0].since, len(bearing))


def _of_marks(marks: pd.DataFrame, local: Collection[str]) -> Iterator[Right]:
    """An owner's marks of one name are one right in all their classes."""
    mine = marks[(marks["owner_subject_id"].isin(local) & marks["words"].notna()).to_numpy(bool)]
    for (owner, name), of in mine.groupby(["owner_subject_id", "words"], sort=True):
        goods = [Goods.read(c, g) for c, g in zip(of["nice_class"], of["similar_groups"], strict=True)]
        groups = sorted({g for one in goods for g in one.groups})
        first = [d for row in zip(of["applied_on"], of["mark_registered_on"], strict=True) if (d := next((x for x in row if x is not None), None))]
        yield _right(Kind.MARK, f"{owner}:{name}", name, owner, sorted({int(c) for c in of["nice_class"]}), groups, min(first, default=None), 1)


def _listed(known: Rights, by: dt.date) -> Iterator[Right]:
    """Listed names; whose one is, is known where all who have borne it since ``by`` or before are of one group."""
    for right in protected.listed_rights():
        bearing = known.holders.get(right.name, ())
        old = [h for h in bearing if h.since is not None and h.since <= by]
        one = bool(old) and {h.subject_id for h in old} <= known.group([old[0].subject_id])
        owner, since = (old[0].subject_id, old[0].since) if one else (None, None)
        yield _right(right.kind, right.name, right.name, owner, sorted(right.goods.classes), [], since, max(1, len(bearing)))


def _right(
    kind: Kind, number: str, name: str, owner: str | None, classes: Sequence[int], groups: Sequence[str], since: dt.date | None, holders: int
) -> Right:
    reach = protected.scope(name, kind, holders)
    said = "|".join(map(str, classes)) or None, "|".join(groups) or None
    return Right(f"{kind.value}:{number}", kind.value, name, owner, *said, since, reach.name.lower(), holders)


# ---- pairs ----


def find(of: Rights, filings: pd.DataFrame, only: Collection[str] | None = None) -> pd.DataFrame:
    """Pairs (`PAIRS`) of rights and ``filings`` (`KEY`, words) that resemble each other and whose goods may have to do with each other.

    ``only``: ids of rights that are new, where all filings are to be held against these: then the filings are what is indexed.
    `similar_names`: how many names each filing resembles, whatever they are for. Why, and since when it is an alert, isn't said.
    """
    mine = filings[filings["words"].notna().to_numpy(bool)]
    words = mine["words"].tolist()
    if not words or not of.rows:
        return pd.DataFrame(columns=PAIRS)
    parts = []
    if only is None:
        names = index.build(np.arange(len(of.rows)), of.names.tolist())
        for first in range(0, len(words), AT_ONCE):
            found = index.query(names, words[first : first + AT_ONCE])
            parts.append(_near(of, mine, words, found.rows.astype(np.int64) + first, names.ids[found.places].astype(np.int64)))
    else:
        rows = np.array([of.ids[r] for r in only if r in of.ids], dtype=np.int64)
        names = index.build(np.arange(len(words)), words)
        for first in range(0, len(rows), AT_ONCE):
            some = rows[first : first + AT_ONCE]
            found = index.query(names, of.names[some].tolist())
            parts.append(_near(of, mine, words, names.ids[found.places].astype(np.int64), some[found.rows]))
    parts = [p for p in parts if len(p)]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=PAIRS)


def _near(of: Rights, filings: pd.DataFrame, words: Sequence[str], asked: NDArray[np.int64], at: NDArray[np.int64]) -> pd.DataFrame:
    """What of candidates is near: filing ``asked[n]`` with right ``at[n]``."""
    if not len(asked):
        return pd.DataFrame(columns=PAIRS)
    # Each text once: of a name that several have rights to, there is one comparison.
    place, names = pd.factorize(of.names[at])
    which, filed = pd.factorize(asked)
    new, prior = normalise([words[f] for f in filed]), normalise(names.tolist())
    both, back = np.unique(which.astype(np.int64) << 32 | place, return_inverse=True)
    scored = similarity.score(new, prior, both >> 32, both & 0xFFFFFFFF)
    mark = scored.mark[back]
    near = np.flatnonzero(mark >= bad_faith.LEAST_SIMILARITY)
    if not len(near):
        return pd.DataFrame(columns=PAIRS)
    which, place, at, asked, mark = which[near], place[near], at[near], asked[near], mark[near]
    own, theirs, new_text, prior_text = _bare(new), _bare(prior), _texts(new), _texts(prior)
    same = new_text[which] == prior_text[place]
    longer = new.lengths[which] > prior.lengths[place]
    pairs = pd.DataFrame({
        "right_id": [of.rows[r].right_id for r in at], "mark_number": filings["mark_number"].to_numpy()[asked], "nice_class": filings["nice_class"].to_numpy()[asked],
        "mark_similarity": mark.astype(float), "is_same_name": same, "adds_generic_word": (own[which] == theirs[place]) & longer & ~same,
    })  # fmt: skip
    pairs["similar_names"] = pd.Series(asked).map(pd.Series(place).groupby(asked).nunique()).to_numpy().astype(int)
    matters = [
        of.rows[r].right_reach == "all" or _related(of.rows[r].nice_classes, int(c)) >= Relation.RELATED_CLASS
        for r, c in zip(at, pairs["nice_class"], strict=True)
    ]
    pairs = pairs[np.array(matters, dtype=bool)].sort_values("mark_similarity", ascending=False, kind="stable")
    return pairs.groupby(KEY, sort=False).head(MOST_PAIRS).assign(why_similar=None, first_alerted_on=None)[PAIRS]


def _texts(names: Names) -> NDArray[np.object_]:
    return np.array([names.text(n) for n in range(len(names))], dtype=object)


def _bare(names: Names) -> NDArray[np.object_]:
    """Texts without generic words around them."""
    return _texts(names.take(np.arange(len(names)), *cores(names)))


# ---- what is known of a filing ----


@dataclass(frozen=True)
class Known:
    """Of filings by their key: ``habits`` and trade ``section`` of the applicant, whether he may be a ``person``, the trade name that he ``bears`` (normalised, '' if
    unknown), his ``agent`` as a ratio, and the ``names_hit``: others' names that his filings within a year resemble."""

    habits: Mapping[Filing, Habits]
    person: Mapping[Filing, bool]
    section: Mapping[Filing, str | None]
    bears: Mapping[Filing, str]
    agent: Mapping[Filing, float]
    names_hit: Mapping[Filing, tuple[str, ...]]


def known(told: Told, of: Rights, lost: Mapping[Filing, dt.date], brands: Mapping[Filing, str], wanted: Collection[Filing]) -> Known:
    """What is known of the ``wanted`` filings' applicants and agents on the day until which is told.

    ``lost``: filings that a procedure ended, and when. ``brands``: the name of another that a filing resembles most, of those at home in its class.
    """
    marks = told.marks.assign(applicant=applicants(told.marks), filed=filed_on(told.marks), person=are_persons(told.marks))
    marks = marks[marks["filed"].notna().to_numpy(bool)]
    ids = keys(marks)
    given = _given(told, of)
    filings: dict[str, list[Filed]] = defaultdict(list)
    for key, who, filed in zip(ids, marks["applicant"], marks["filed"], strict=True):
        filings[who].append(Filed(filed, int(key[1]), brands.get(key), lost.get(key), given.get(key[0])))
    for several in filings.values():
        several.sort(key=lambda f: f.filed)
    days = {who: [f.filed for f in several] for who, several in filings.items()}
    whole = {
        who: (sum(f.lost_on is not None and f.lost_on <= told.until for f in s), sum(f.given_on is not None and f.given_on <= told.until for f in s))
        for who, s in filings.items()
    }

    @cache
    def habits_of(who: str, filed: dt.date) -> tuple[Habits, tuple[str, ...]]:
        # Windows of twelve months that hold the day reach no further than a year.
        near = filings[who][bisect_left(days[who], filed - dt.timedelta(days=367)) : bisect_right(days[who], filed + dt.timedelta(days=367))]
        found = bad_faith.habits(near, filed, told.until)
        return replace(found, losses=whole[who][0], transfers=whole[who][1]), tuple(sorted({f.brand for f in near if f.brand is not None}))

    since, asked = months_after(told.until, -AGENT_MONTHS), set(wanted)
    habits, names_hit = {}, {}
    hits: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for key, who, filed, agent in zip(ids, marks["applicant"], marks["filed"], marks["agent_name"], strict=True):
        recent = filed > since and agent is not None
        if key in asked or recent:
            found, names = habits_of(who, filed)
            if recent:
                hits[agent][0] += found.brands >= 3
                hits[agent][1] += 1
            if key in asked:
                habits[key], names_hit[key] = found, names
    overall = sum(h for h, _ in hits.values()) / max(1, sum(n for _, n in hits.values()))
    ratio = {a: bad_faith.agent_ratio(h, n, overall) for a, (h, n) in hits.items()}
    mine = marks[np.array([key in asked for key in ids], dtype=bool)]
    ids = keys(mine)
    own = told.holders.drop_duplicates("subject_id").set_index("subject_id")[["trade_name", "industry_section"]]
    trade, section = mine["applicant_subject_id"].map(own["trade_name"]), mine["applicant_subject_id"].map(own["industry_section"])
    parsed = {n: parse_name(n).trade_name for n in mine.loc[trade.isna().to_numpy(bool), "applicant_name"].dropna().unique()}
    bears = trade.where(trade.notna(), mine["applicant_name"].map(parsed)).fillna("").tolist()
    normal = _texts(normalise(bears))
    person = mine["person"].tolist()
    return Known(
        habits,
        dict(zip(ids, person, strict=True)),
        {key: s if isinstance(s, str) else None for key, s in zip(ids, section, strict=True)},
        # Of a person the name is no trade name.
        {key: "" if p else normal[n] for n, (key, p) in enumerate(zip(ids, person, strict=True))},
        {key: ratio.get(a, 1.0) for key, a in zip(ids, mine["agent_name"], strict=True)},
        names_hit,
    )


def _given(told: Told, of: Rights) -> dict[str, dt.date]:
    """Marks that were sold to somebody outside the seller's group, and when; what is inherited isn't sold."""
    sold = told.renewals[(told.renewals["is_transfer"].astype(bool) & told.renewals["is_given"].astype(bool)).to_numpy(bool)]
    found: dict[str, dt.date] = {}
    for number, on, former, current in sold[["mark_number", "gazetted_on", "former_subject_id", "current_subject_id"]].itertuples(index=False):
        inside = isinstance(former, str) and isinstance(current, str) and current in of.group([former])
        if not inside:
            found[number] = min(on, found.get(number, on))
    return found


def filed_on(marks: pd.DataFrame) -> pd.Series:
    """Days of filing; where only the publication is told, that: the earlier day isn't known. Of marks told by their registration alone nothing is."""
    return marks["applied_on"].where(marks["applied_on"].notna(), marks["preliminarily_published_on"])


def closest(pairs: pd.DataFrame, of: Rights, told: Told) -> dict[Filing, str]:
    """By filing, the name of another that it resembles most, of those that are at home in its class."""
    marks = told.marks.assign(filed=filed_on(told.marks))
    who = dict(zip(keys(marks), zip(marks["applicant_subject_id"], marks["filed"], strict=True), strict=True))
    best: dict[Filing, tuple[float, str]] = {}
    for right_id, number, nice_class, alike in pairs[["right_id", *KEY, "mark_similarity"]].itertuples(index=False):
        key, row = (number, nice_class), of.ids[right_id]
        r = of.rows[row]
        if (alike, r.right_name) <= best.get(key, (0.0, "")) or key not in who or who[key][1] is None:
            continue
        if _related(r.nice_classes, int(nice_class)) >= Relation.SAME_CLASS:
            subject, filed = who[key]
            if subject is None or not of.of(row, int(nice_class), filed).belongs_to(subject):
                best[key] = (alike, r.right_name)
    return {key: name for key, (_, name) in best.items()}


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
    """Sixteen digits and letters; the same for the same right and filing for ever."""
    return hashlib.sha256(f"{right_id}\0{mark_number}\0{nice_class}".encode()).hexdigest()[:16].upper()


def judged(pairs: pd.DataFrame, of: Rights, told: Told, on: Known) -> list[Alert]:
    """The alerts of pairs; what comes to nothing is none. Of a filing those that say most."""
    asked = set(keys(pairs))
    marks = told.marks[np.array([k in asked for k in keys(told.marks)], dtype=bool)]
    plain = _texts(normalise(marks["words"].tolist()))
    filings = {
        key: (who, filed, groups, text, applied is None)
        for key, who, filed, groups, text, applied in zip(
            keys(marks), marks["applicant_subject_id"], filed_on(marks), marks["similar_groups"], plain, marks["applied_on"], strict=True,
        )
    }  # fmt: skip
    listed = {r.name for r in protected.listed_rights()}
    rarity = cache(bad_faith.rarity)
    found: dict[Filing, list[Alert]] = defaultdict(list)
    for pair in pairs.to_dict("records"):
        key = pair["mark_number"], pair["nice_class"]
        if key not in filings or key not in on.habits:
            continue
        who, filed, groups, text, unsure = filings[key]
        row = of.ids[pair["right_id"]]
        right = of.of(row, int(key[1]), filed)
        h, bears = on.habits[key], on.bears[key]
        evidence = Evidence(
            float(pair["mark_similarity"]), bool(pair["is_same_name"]), Relation.NONE, h.filings, max(1, h.brands), h.classes, h.losses, h.transfers,
            on.agent[key], on.person[key], None, is_trade_of_section(on.section[key], int(key[1])), len(bears) >= 2 and bears in text,
            of.rows[row].name_holders, int(pair["similar_names"]), bool(pair["adds_generic_word"]), rarity(right.name), right.name in listed,
        )  # fmt: skip
        said = bad_faith.judge(right, _filed_goods(int(key[1]), groups), filed, who, evidence, edition_of(filed.year))
        if said.verdict is Verdict.SUSPECT and unsure and right.since is not None and right.since > months_after(filed, -12):
            # Who was first can't be told by the day of publication.
            said = replace(said, verdict=Verdict.SIMILAR, why=f"申请日期未报来，不能确定晚于在先权利；{said.why}")
        if said.verdict is not Verdict.NOTHING:
            found[key].append(Alert(pair, right, evidence, said, on.names_hit.get(key, ())))
    return [a for of_one in found.values() for a in sorted(of_one, key=_weight)[:MOST_OF_A_FILING]]


def _weight(alert: Alert) -> tuple[Any, ...]:
    return alert.judged.verdict is not Verdict.SUSPECT, -alert.judged.score, -alert.evidence.similarity, alert.right.right_id


class Course(NamedTuple):
    """Where a filing stands: ``stage``; ``due``, ``expected``, ``latest``: last days on which its owner's rivals can act, None where none is running."""

    stage: Stage
    due: dt.date | None
    expected: dt.date | None
    latest: dt.date | None
    is_provisional: bool
    note: str
    action: str


@lru_cache(maxsize=262144)
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
        return Course(stage, None, None, None, False, "", action)
    return Course(stage, limit.due, limit.expected, limit.latest, limit.provisional, limit.note, action)


def is_watched(day: dt.date, of: Course, filed: dt.date, published: dt.date | None) -> bool:
    """Whether somebody may still have to act against a filing that stands so."""
    if of.stage in (Stage.FILED, Stage.WAITING):
        return max(filed, published or filed) > months_after(day, -FORGOTTEN_MONTHS)
    return of.stage in (Stage.PUBLISHED, Stage.UNSURE, Stage.REGISTERED)
