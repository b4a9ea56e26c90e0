"""What speaks for bad faith in a filing that resembles a protected name, beyond the resemblance; and what doesn't.

Resemblance finds candidates; it doesn't separate squatters from others, who may have come to like words by themselves. What does, is conduct: many
filings, on many brands, across classes, lost procedures, an agent of whose filings many hit somebody. These are the factors of 规范商标申请注册行为若干
规定 (2019, Order 17) 第八条 [to be confirmed]; articles in reasons are a reference (参考), no finding.

The score is a logistic regression whose weights may only have the sign that the law's reasoning gives them, so that more of what speaks for bad
faith never lowers it. **No real labels exist here**: weights marked `fitted` in catalog/codes/bad_faith_weights.csv are estimates (估计) from filings
of the sandbox city, whose squatters are made up; those marked `judged` are our judgement. No weight may pass its limit: in the sandbox some things
tell squatters apart better than they will in life, and none may decide alone. Of which city an applicant is counts nothing, though it would tell a
lot in the sandbox: the limit of that weight is 0. Numbers measured on the sandbox say nothing about Guangzhou. The score orders what people look at
and is shown with its reasons; nobody is called a squatter by it. How it did on cities drawn afresh: tests/unit/test_trademark_bad_faith_city.py.
"""

from __future__ import annotations

import datetime as dt
import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import Enum
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spark_jobs.refine import codes
from spark_jobs.trademark.calendar import DAY
from spark_jobs.trademark.deadlines import months_after
from spark_jobs.trademark.goods import Goods, Relation, relation
from spark_jobs.trademark.protected import ProtectedRight, covers
from spark_jobs.trademark.similarity import ALARM

Array = NDArray[np.float64]
WINDOW_MONTHS = 12
# Below this similarity (0 to 1) of the candidate search nothing resembles; its scale is the search's, so the caller may give another.
LEAST_SIMILARITY = 0.6
# What tells of bad faith by itself. What only goes with it (many filings, a class that isn't that of one's trade) never makes anybody suspect alone.
TELLING = ("brands", "losses", "transfers", "agent")
# What the applicant or its agent did, or is. The rest is likeness, the strength of the name, or, as another city, nothing to hold against anybody.
CONDUCT = (*TELLING, "filings", "classes", "person", "no_own_trade")
# What conduct must add in logarithmic odds for anybody to be suspect: it doubles them. And what of it must be telling: one lost procedure.
LEAST_CONDUCT, LEAST_TELLING = 0.69, 0.5
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
    """What an applicant did, as known on a day: in those 12 months around a filing that hold most filings; ``losses``, ``transfers`` in all the time.

    ``filings`` 件 (each class counts), ``brands``: distinct names of others that filings resemble most, ``classes``: distinct Nice classes.
    """

    filings: int
    brands: int
    classes: int
    losses: int
    transfers: int


def habits(own: Sequence[Filed], filed: dt.date, known_on: dt.date) -> Habits:
    """The habits of an applicant around its filing of ``filed``, from all its filings ``own``, as they were known on ``known_on``.

    Later filings count as soon as they are known: a series often shows itself only after its first piece. Of windows with equally many filings that
    with most brands, then classes, counts.
    """
    near = _densest([f for f in own if f.filed <= known_on], filed)
    return Habits(
        len(near),
        len({f.brand for f in near if f.brand is not None}),
        len({f.nice_class for f in near}),
        sum(f.lost_on is not None and f.lost_on <= known_on for f in own),
        sum(f.given_on is not None and f.given_on <= known_on for f in own),
    )


def _densest(known: Sequence[Filed], filed: dt.date) -> Sequence[Filed]:
    """The filings of the 12 months that hold ``filed``; it is enough to look at windows that begin with a filing."""
    known = sorted(known, key=lambda f: f.filed)
    days = [f.filed for f in known]
    first = bisect_left(days, months_after(filed, -WINDOW_MONTHS) + DAY)
    spans = {}
    for start in dict.fromkeys([*days[first : bisect_left(days, filed)], filed]):
        end = months_after(start, WINDOW_MONTHS)
        if filed < end:  # of a 29 February the 12 months end earlier
            spans[start] = (bisect_left(days, start), bisect_left(days, end))
    most = max(e - b for b, e in spans.values())
    windows = [known[b:e] for b, e in spans.values() if e - b == most]
    return max(windows, key=lambda w: (len({f.brand for f in w if f.brand is not None}), len({f.nice_class for f in w})))


def agent_ratio(hits: float, filings: float, overall: float, weight: float = 50) -> float:
    """How many times as often as on average an agent files for those who file on several brands; 1 for an agent of whom nothing is known.

    ``hits``: filings of applicants whose habits show at least three brands, of ``filings`` within 12 months; ``overall``: their share among all
    filings. Few filings are drawn to the average, as if ``weight`` average ones were added.
    """
    return (hits + weight * overall) / ((filings + weight) * overall) if overall > 0 else 1.0


# An agent up to so many times the average says nothing.
USUAL_AGENT = 1.5
# Between these a name's rarity counts: most characters of trade names are more usual than the first (one in 1,000), hardly any rarer than the last.
UNUSUAL, RAREST = 3.0, 4.5


_HAN = re.compile("[\u3007\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")


@cache
def _characters() -> tuple[dict[str, int], int]:
    counts = {r["character"]: int(r["count"]) for r in codes.rows("name_characters")}
    return counts, sum(counts.values())


def rarity(name: str) -> float:
    """How unusual a name's characters are: minus the decimal logarithm of their shares, on average, so that long names aren't rare by their length.

    Shares are those of the characters of the register's trade names; a character that isn't there counts as one that is there once. 新华 about 1.7,
    立白 2.8, 陶陶居 3.6. Letters, digits and signs aren't Chinese characters and aren't counted; a name of nothing else is 0: it isn't known.
    """
    counts, total = _characters()
    shares = [max(counts.get(c, 1), 1) / total for c in name if _HAN.match(c)]
    return float(-np.mean(np.log10(shares))) if shares else 0.0


@dataclass(frozen=True)
class Evidence:
    """What is known of a filing and a right that it resembles.

    ``similarity``: 0 to 1; ``identical``: the same characters once normalised; ``goods``: their relation. ``agent``: see `agent_ratio`.
    None is unknown and speaks for nothing: ``person``: a natural person; ``elsewhere``: of another city; ``own_trade``: the applicant's registered
    trade is active in the class (`goods.is_own_trade`). ``bears_name``: the mark is, or contains, the applicant's own trade name. ``holders``:
    others who bear the name; ``rivals``: protected names that the mark resembles, this one counted; ``adds_generic``: the mark is the name with a
    generic word; ``rarity``: see `rarity`. ``listed``: of the list of well-known names: it counts beside telling conduct only, in the name's own
    classes. ``settled``: it is known whose the right is and since when; if not, nobody is suspect.
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
    holders: int = 1
    rivals: int = 1
    adds_generic: bool = False
    rarity: float = UNUSUAL
    listed: bool = False
    settled: bool = True


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
    "bears_name", "holders", "rivals", "adds_generic", "rarity", "listed",
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
        "identical": plain("identical"), "similarity": np.nan_to_num(np.clip(plain("similarity"), 0, 1)),
        "goods": plain("goods") / Relation.SAME_GROUP,
        "brands": times("brands", 4), "filings": times("filings", 4), "classes": times("classes", 4),
        "losses": np.minimum(np.log2(1 + plain("losses")), 3), "transfers": np.minimum(np.log2(1 + plain("transfers")), 3),
        "agent": np.clip(np.log2(np.maximum(plain("agent"), 1) / USUAL_AGENT), 0, 3), "person": known("person", True),
        "elsewhere": known("elsewhere", True), "no_own_trade": known("own_trade", False),
        "bears_name": plain("bears_name"), "holders": times("holders", 9), "rivals": times("rivals", 4),
        "adds_generic": plain("adds_generic"), "rarity": np.clip(plain("rarity"), UNUSUAL, RAREST) - UNUSUAL,
    }  # fmt: skip
    # Knowing a name is no conduct; it makes conduct graver.
    told = np.any([found[name] > 0 for name in TELLING], axis=0)
    found["listed"] = plain("listed") * told * (plain("goods") >= Relation.SAME_CLASS)
    return np.column_stack([found[name] for name in FEATURES])


def features(table: pd.DataFrame) -> pd.DataFrame:
    """The features of pairs, from columns named as the fields of `Evidence`. All are 0 for what speaks neither for nor against."""
    return pd.DataFrame(_values({f.name: table[f.name].array for f in fields(Evidence)}), index=table.index, columns=list(FEATURES))


def _scored(values: Array, settled: Any) -> tuple[Array, NDArray[np.bool_]]:
    """(probability, suspect) of features, and whether the rights are ``settled``."""
    used = weights()
    by_feature = values * np.array([used[name].weight for name in FEATURES])
    probability = 1 / (1 + np.exp(-(used["intercept"].weight + by_feature.sum(axis=1))))
    conduct, telling = (by_feature[:, [FEATURES.index(name) for name in names]].sum(axis=1) for names in (CONDUCT, TELLING))
    enough = (conduct >= LEAST_CONDUCT) & (telling >= LEAST_TELLING)
    return probability, (probability >= used["threshold"].weight) & enough & np.asarray(settled, dtype=bool)


def scores(table: pd.DataFrame) -> pd.Series:
    """Probability of bad faith of each pair, 0 to 1, at the share of squatters that the weights were fitted at (see `at_prevalence`)."""
    return pd.Series(_scored(features(table).to_numpy(), table["settled"])[0], index=table.index)


def suspects(table: pd.DataFrame) -> pd.Series:
    """Whether each pair is above the threshold, its right settled, and conduct at least doubles the odds of bad faith, telling conduct among it."""
    return pd.Series(_scored(features(table).to_numpy(), table["settled"])[1], index=table.index)


def at_prevalence(probability: Any, fitted: float, true: float) -> Any:
    """A probability where the share of squatters among candidates is ``true`` and not ``fitted`` (see `FITTED_SHARE`): odds change by their ratio.

    Raises:
        ValueError: a share that can't be: ``fitted`` is neither 0 nor 1, ``true`` may be.
    """
    if not (0 < fitted < 1 and 0 <= true <= 1):
        raise ValueError(f"no shares: {fitted}, {true}")
    guilty, other = probability * true * (1 - fitted), (1 - probability) * (1 - true) * fitted
    return guilty / np.maximum(guilty + other, np.finfo(float).tiny)


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
    return float(_scored(_one(evidence), [evidence.settled])[0][0])


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
    right: he is shown apart. The right's own people, filings older than the right and goods beyond its reach are nothing. Beside a right of which it
    isn't known whose it is, or since when, nobody is suspect: he may be the owner, or the earlier one. How the goods relate and whether the right is
    settled is found here, whatever ``evidence`` says of it.
    """
    found = relation(right.goods, goods, edition)

    def nothing(why: str) -> Judgement:
        return Judgement(Verdict.NOTHING, 0.0, (), why, found)

    if right.belongs_to(applicant):
        return nothing("申请人是权利人或其关联方")
    if right.is_earlier(filed) is False:
        return nothing("申请日不晚于在先权利的日期")
    if not covers(right, goods, edition):
        return nothing(f"商品或服务不在保护范围内（{right.reach.value}）")
    if not evidence.similarity >= least_similarity:  # NaN is not above anything
        return nothing("商标不近似" if evidence.similarity < least_similarity else "近似度不明，未作判断")
    unsettled = right.unsettled()
    evidence = replace(evidence, goods=found, settled=not unsettled)
    terms = reasons(evidence)
    (probability,), (is_suspect,) = _scored(_one(evidence), [evidence.settled])
    alike = "近似" if evidence.similarity >= ALARM else "是否近似有待人工判断"
    if is_suspect:
        conduct = [r for r in terms if r.contribution > 0 and r.code in CONDUCT]
        return Judgement(Verdict.SUSPECT, float(probability), terms, f"{alike}，且" + "；".join(r.text for r in conduct[:3]), found)
    against = [r.text for r in terms if r.contribution < 0]
    why = f"{alike}，但" + ("；".join([*([unsettled] if unsettled else []), *against[:2]]) or "没有足够的恶意申请迹象")
    return Judgement(Verdict.SIMILAR, float(probability), terms, why, found)
