"""What speaks for bad faith in a filing that resembles a protected name, beyond the resemblance; and what doesn't.

Resemblance finds candidates; it doesn't separate squatters from others, who may have come to like words by themselves. What does, is conduct: many
filings, on many brands, across classes, lost procedures, an agent of whose filings many hit somebody. These are the factors of 规范商标申请注册行为若干
规定 (2019, Order 17) 第八条 [to be confirmed]; articles in reasons are a reference (参考), no finding.

The score is a logistic regression whose weights may only have the sign that the law's reasoning gives them, so that more of what speaks for bad
faith never lowers it. **No real labels exist here**: weights marked `fitted` in catalog/codes/bad_faith_weights.csv are estimates (估计) from filings
of the sandbox city, whose squatters are made up; those marked `judged` are our judgement. No weight may pass its limit: in the sandbox some things
tell squatters apart better than they will in life (there many of those who file from elsewhere are squatters), and none may decide alone. Numbers
measured on the sandbox say nothing about Guangzhou. The score orders what people look at and is shown with its reasons; nobody is called a squatter
by it. How it did on cities drawn afresh stands in tests/unit/test_trademark_bad_faith_city.py.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import Enum
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spark_jobs.refine import codes
from spark_jobs.trademark.goods import Goods, Relation, relation
from spark_jobs.trademark.protected import ProtectedRight, covers

Array = NDArray[np.float64]
WINDOW = dt.timedelta(days=365)
# Below this similarity (0 to 1) of the candidate search nothing resembles; its scale is the search's, so the caller may give another.
LEAST_SIMILARITY = 0.6
# What the applicant or its agent did, or is, or can't but have known (a listed name). The rest is likeness, the strength of the name, or, as another
# city, nothing to hold against anybody.
CONDUCT = ("listed", "brands", "filings", "classes", "losses", "transfers", "agent", "person", "no_own_trade")
# What conduct must add in logarithmic odds for anybody to be suspect: it doubles them. An agent slightly above the average is nothing.
LEAST_CONDUCT = 0.69
# Share of squatters' filings among those that resemble some name, in the sandbox cities: what the probabilities rest on. The true one is unknown.
FITTED_SHARE = 0.017


class Verdict(Enum):
    """What an alert says. Likeness alone makes nobody suspect."""

    SUSPECT = "疑似抢注"
    SIMILAR = "相似但可能正当"
    NOTHING = "不构成"


@dataclass(frozen=True)
class Filed:
    """A filing of an applicant. ``brand``: the name of another that it resembles most, of those that are at home in its class; None if there is none.

    A name without the class is met by chance often: short names are many. One's own name is no brand of another.
    ``lost_on``: day on which an opposition or invalidity was lost; ``given_on``: day on which the mark was published as transferred to another.
    """

    filed: dt.date
    nice_class: int
    brand: str | None = None
    lost_on: dt.date | None = None
    given_on: dt.date | None = None


@dataclass(frozen=True)
class Habits:
    """What an applicant did around a filing: within 12 months of it, as known on a day; ``losses``, ``transfers`` in all the time before it.

    ``filings`` 件 (each class counts), ``brands``: distinct names of others that filings resemble most, ``classes``: distinct Nice classes.
    """

    filings: int
    brands: int
    classes: int
    losses: int
    transfers: int


def habits(own: Sequence[Filed], filed: dt.date, known_on: dt.date) -> Habits:
    """The habits of an applicant around its filing of ``filed``, from all its filings ``own``, as they were known on ``known_on``.

    Later filings count as soon as they are known: a series often shows itself only after its first piece.
    """
    near = [f for f in own if f.filed <= known_on and abs(f.filed - filed) <= WINDOW]
    return Habits(
        len(near),
        len({f.brand for f in near if f.brand is not None}),
        len({f.nice_class for f in near}),
        sum(f.lost_on is not None and f.lost_on <= known_on for f in own),
        sum(f.given_on is not None and f.given_on <= known_on for f in own),
    )


def agent_ratio(hits: float, filings: float, overall: float, weight: float = 50) -> float:
    """How many times as often as on average an agent files for those who file on several brands; 1 for an agent of whom nothing is known.

    ``hits``: filings of applicants whose habits show at least three brands, of ``filings`` within 12 months; ``overall``: their share among all
    filings. Few filings are drawn to the average, as if ``weight`` average ones were added.
    """
    return (hits + weight * overall) / ((filings + weight) * overall) if overall > 0 else 1.0


# Between these a name's rarity counts: most names of the register lie there.
COMMONEST, RAREST = 3.0, 9.0


@cache
def _characters() -> tuple[dict[str, int], int]:
    counts = {r["character"]: int(r["count"]) for r in codes.rows("name_characters")}
    return counts, sum(counts.values())


def rarity(name: str) -> float:
    """How unlikely it is that somebody comes to a name by himself: minus the decimal logarithm of the product of its characters' shares.

    Shares are those of the characters of the register's trade names; a character that isn't there counts as one that is there once. 立白: about 5.5.
    """
    counts, total = _characters()
    return float(-sum(np.log10(max(counts.get(c, 1), 1) / total) for c in name))


@dataclass(frozen=True)
class Evidence:
    """What is known of a filing and a right that it resembles.

    ``similarity``: 0 to 1; ``identical``: the same characters once normalised; ``goods``: their relation. ``agent``: see `agent_ratio`.
    None is unknown and speaks for nothing: ``person``: a natural person; ``elsewhere``: of another city; ``own_trade``: the applicant's
    registered trade is active in the class. ``bears_name``: the mark is, or contains, the applicant's own trade name. ``gap``: the owner has
    no mark in the class. ``holders``: others who bear the name; ``rivals``: protected names that the mark resembles, this one counted;
    ``adds_generic``: the mark is the name with a generic word; ``rarity``: see `rarity`. ``listed``: of the list of well-known names.
    """

    similarity: float
    identical: bool
    goods: Relation
    filings: int = 1
    brands: int = 1
    classes: int = 1
    losses: int = 0
    transfers: int = 0
    agent: float = 1.0
    person: bool | None = None
    elsewhere: bool | None = None
    own_trade: bool | None = None
    bears_name: bool = False
    gap: bool = False
    holders: int = 1
    rivals: int = 1
    adds_generic: bool = False
    rarity: float = 4.0
    listed: bool = False


@dataclass(frozen=True)
class Weight:
    """Of a feature, in logarithmic odds. ``sign``: 1 or -1, the only one it may have (0: any); ``limit``: the most it may be, either way.

    ``origin``: `fitted` or `judged`; ``reason``, ``hook``: Chinese, for readers.
    """

    feature: str
    weight: float
    sign: int
    limit: float
    origin: str
    reason: str
    hook: str


@cache
def weights() -> Mapping[str, Weight]:
    """The weights, by feature, with `intercept` and `threshold` (a probability).

    Raises:
        ValueError: a weight has a sign that it may not have, or passes its limit.
    """
    found = {
        r["feature"]: Weight(r["feature"], float(r["weight"]), int(r["sign"]), float(r["limit"]), r["origin"], r["reason"], r["legal_hook"])
        for r in codes.rows("bad_faith_weights")
    }
    wrong = [w.feature for w in found.values() if w.weight * w.sign < 0 or abs(w.weight) > w.limit]
    if wrong:
        raise ValueError(f"weights against their sign or beyond their limit: {wrong}")
    return found


FEATURES = (
    "identical", "similarity", "goods", "brands", "filings", "classes", "losses", "transfers", "agent", "person", "elsewhere", "no_own_trade",
    "bears_name", "gap", "holders", "rivals", "adds_generic", "rarity", "listed",
)  # fmt: skip


def _values(columns: Mapping[str, Any]) -> Array:
    """The features (n, FEATURES) of columns named as the fields of `Evidence`."""

    def plain(name: str) -> Array:
        return np.asarray(columns[name], dtype=float)

    def known(name: str, value: bool) -> Array:
        return np.array([v is not None and v is not pd.NA and v == value for v in columns[name]], dtype=float)

    def times(name: str, most: float) -> Array:
        """How often it doubled; beyond ``most`` doublings, more of it says no more."""
        return np.minimum(np.log2(np.maximum(plain(name), 1)), most)

    found = {
        "identical": plain("identical"), "similarity": np.clip(plain("similarity"), 0, 1), "goods": plain("goods") / Relation.SAME_GROUP,
        "brands": times("brands", 4), "filings": times("filings", 4), "classes": times("classes", 4),
        "losses": np.minimum(np.log2(1 + plain("losses")), 3), "transfers": np.minimum(np.log2(1 + plain("transfers")), 3),
        "agent": times("agent", 3), "person": known("person", True), "elsewhere": known("elsewhere", True), "no_own_trade": known("own_trade", False),
        "bears_name": plain("bears_name"), "gap": plain("gap"), "holders": times("holders", 6), "rivals": times("rivals", 4),
        "adds_generic": plain("adds_generic"), "rarity": np.clip(plain("rarity"), COMMONEST, RAREST) - COMMONEST, "listed": plain("listed"),
    }  # fmt: skip
    return np.column_stack([found[name] for name in FEATURES])


def features(table: pd.DataFrame) -> pd.DataFrame:
    """The features of pairs, from columns named as the fields of `Evidence`. All are 0 for what speaks neither for nor against."""
    return pd.DataFrame(_values({f.name: table[f.name].array for f in fields(Evidence)}), index=table.index, columns=list(FEATURES))


def _scored(values: Array) -> tuple[Array, NDArray[np.bool_]]:
    """(probability, suspect) of features."""
    used = weights()
    by_feature = values * np.array([used[name].weight for name in FEATURES])
    probability = 1 / (1 + np.exp(-(used["intercept"].weight + by_feature.sum(axis=1))))
    conduct = by_feature[:, [FEATURES.index(name) for name in CONDUCT]].sum(axis=1)
    return probability, (probability >= used["threshold"].weight) & (conduct >= LEAST_CONDUCT)


def scores(table: pd.DataFrame) -> pd.Series:
    """Probability of bad faith of each pair, 0 to 1, at the share of squatters that the weights were fitted at (see `at_prevalence`)."""
    return pd.Series(_scored(features(table).to_numpy())[0], index=table.index)


def suspects(table: pd.DataFrame) -> pd.Series:
    """Whether each pair is above the threshold, and conduct (or that the name is listed) at least doubles the odds of bad faith."""
    return pd.Series(_scored(features(table).to_numpy())[1], index=table.index)


def at_prevalence(probability: Any, fitted: float, true: float) -> Any:
    """A probability where the share of squatters among candidates is ``true`` and not ``fitted`` (see `FITTED_SHARE`): odds change by their ratio."""
    ratio = true / (1 - true) / (fitted / (1 - fitted))
    return probability * ratio / (1 - probability + probability * ratio)


@dataclass(frozen=True)
class Reason:
    """Something that speaks for bad faith (``contribution`` > 0, in logarithmic odds) or against it. ``text``, ``hook``: Chinese, for readers."""

    code: str
    text: str
    hook: str
    contribution: float


@dataclass(frozen=True)
class Judgement:
    """``score``: 0 where nothing is at stake. ``reasons``: the weightiest first. ``why``: Chinese, one sentence on the verdict."""

    verdict: Verdict
    score: float
    reasons: tuple[Reason, ...]
    why: str
    relation: Relation


def _one(evidence: Evidence) -> Array:
    return _values({f.name: [getattr(evidence, f.name)] for f in fields(Evidence)})


def score(evidence: Evidence) -> float:
    """`scores` of one pair."""
    return float(_scored(_one(evidence))[0][0])


def reasons(evidence: Evidence) -> tuple[Reason, ...]:
    """What speaks for and against bad faith, with its weight: the terms of the score, but for the intercept."""
    used, values = weights(), dict(zip(FEATURES, _one(evidence)[0], strict=True))
    said = {f.name: getattr(evidence, f.name) for f in fields(Evidence)} | {"goods": evidence.goods.chinese}
    found = [
        Reason(n, used[n].reason.format(**said), used[n].hook, float(used[n].weight * values[n])) for n in FEATURES if used[n].weight * values[n]
    ]
    return tuple(sorted(found, key=lambda r: -abs(r.contribution)))


def judge(
    right: ProtectedRight,
    goods: Goods,
    filed: dt.date,
    applicant: str | None,
    evidence: Evidence,
    edition: int | None = None,
    least_similarity: float = LEAST_SIMILARITY,
) -> Judgement:
    """What to say of a filing for ``goods``, of the day ``filed``, by ``applicant`` (subject id, None for one without) beside a right.

    Suspect is who is above the threshold with conduct that speaks for bad faith (`suspects`). Whoever resembles without that may well be in the
    right: he is shown apart. The right's own people, filings older than the right and goods beyond its reach are nothing. How the goods relate is
    found here, whatever ``evidence`` says of it.
    """
    found = relation(right.goods, goods, edition)

    def nothing(why: str) -> Judgement:
        return Judgement(Verdict.NOTHING, 0.0, (), why, found)

    if right.belongs_to(applicant):
        return nothing("申请人是权利人或其关联方")
    if not right.is_earlier(filed):
        return nothing("申请日不晚于在先权利的日期")
    if not covers(right, goods, edition):
        return nothing(f"商品或服务不在保护范围内（{right.reach.value}）")
    if evidence.similarity < least_similarity:
        return nothing("商标不近似")
    evidence = replace(evidence, goods=found)
    terms = reasons(evidence)
    (probability,), (is_suspect,) = _scored(_one(evidence))
    if is_suspect:
        conduct = [r for r in terms if r.contribution > 0 and r.code in CONDUCT]
        return Judgement(Verdict.SUSPECT, float(probability), terms, "近似，且" + "；".join(r.text for r in conduct[:3]), found)
    against = [r.text for r in terms if r.contribution < 0]
    why = "近似，但" + ("；".join(against[:2]) if against else "没有足够的恶意申请迹象")
    return Judgement(Verdict.SIMILAR, float(probability), terms, why, found)
