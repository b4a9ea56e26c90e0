"""Whether a mark was valid on a day, from its course: registration, term, renewals, what was decided about it; whose it was.

A decision about a part of the goods leaves the mark, and so does a refused request, as `archive_property` reads them, too. It holds from the day on
which it was made: when one becomes final isn't reported [to be confirmed]. 撤销 and 注销 end a right from then on (商标法第五十四条, 第五十五条), a mark
declared invalid counts as never having been one (第四十七条) [articles to be confirmed]. So two questions have two answers: what was on the register
that day (``retroactive`` False: what stock figures publish), and what was the law that day, as one knows today (True).

Results are read by their words (`effect`). What can't be read changes nothing and is counted (`unread`), so that somebody adds the words here.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import pandas as pd

from spark_jobs.trademark.calendar import DAY
from spark_jobs.trademark.deadlines import months_after, period, term

# Tried in this order. A review that upholds (维持原决定) leaves what was decided before, be it for or against the mark.
_UPHELD = re.compile(r"维持(?:原(?!注册)|被诉|复审|撤销|不予|无效|宣告)|原(?:决定|裁定)[^，,；;]*维持|[驳撤]回复审")
_OVERTURNED = re.compile(r"撤销(?:原|不予)[^，,；;]*")  # by a review; what follows says what holds instead
_KEEPS = re.compile(
    r"不成立|不予(?:支持|受理|撤销|注销|宣告无效|无效宣告)|驳回|维持|撤回|(?<!不)准予(?:核准)?注册|(?<!不)予以(?:核准)?注册|(?<!不予)核准注册|撤销(?:原|不予)"
)
_BEFORE = r"(?:^|[，,；;]|被|予以|准予|核准|全部|商品上|服务上|项目上|决定)"
_ENDS = re.compile(
    r"不予(?:核准)?注册|异议成立|宣告[^，,；;]{0,6}无效|(?:^|全部)无效$|予以无效宣告|无效宣告(?:请求|申请)?成立"
    rf"|{_BEFORE}(?:撤销|注销)(?!(?:连续|三年|复审|公告|申请|请求))|(?:撤销|注销)[^，,；;]{{0,8}}(?:申请|请求)成立|(?:^|[，,；;]|商标|注册|已|权)失效"
)


@dataclass(frozen=True)
class Decision:
    """Of a procedure about a mark. ``result``: as the source has it, None if it says none."""

    decided_on: dt.date
    procedure: str
    result: str | None


@dataclass(frozen=True)
class Renewal:
    """A term that goes on until ``exclusive_until``, published on ``gazetted_on``."""

    gazetted_on: dt.date
    exclusive_until: dt.date


@dataclass(frozen=True)
class Transfer:
    """A mark that went to ``to`` on the day it was published."""

    gazetted_on: dt.date
    to: str


@dataclass(frozen=True)
class Course:
    """Of one mark in one class. ``owner``: as registered, else who applied. ``exclusive_until``: as stated at registration, else computed."""

    filed: dt.date | None = None
    published: dt.date | None = None
    registered: dt.date | None = None
    exclusive_until: dt.date | None = None
    decisions: Sequence[Decision] = ()
    renewals: Sequence[Renewal] = ()
    transfers: Sequence[Transfer] = ()
    owner: str | None = None


class State(Enum):
    """Of a mark on a day. GRACE: its term is over and it can still be renewed."""

    UNFILED = "尚未申请"
    FILED = "申请中"
    PUBLISHED = "初审公告"
    VALID = "有效"
    GRACE = "宽展期"
    EXPIRED = "期满未续展"
    ENDED = "已失效"


def procedure_kind(procedure: str) -> str:
    """异议, 无效, 撤销, 注销 or 其他: a review (复审) is of the kind that it reviews. 不予注册复审 reviews an opposition, a review of a refusal is 其他."""
    for kind, signs in (("异议", ("异议", "不予注册")), ("无效", ("无效",)), ("撤销", ("撤销",)), ("注销", ("注销",))):
        if any(sign in procedure for sign in signs):
            return kind
    return "其他"


class Effect(Enum):
    """Of a decision on a mark. PART: on some of its goods. UPHELD: what was decided before stands. UNREAD: nobody knows, so nothing follows."""

    ENDS = "ends"
    KEEPS = "keeps"
    PART = "part"
    UPHELD = "upheld"
    UNREAD = "unread"


def effect(procedure: str | None, result: str | None) -> Effect:
    """What a decision does to the whole mark, by the words of its result; a 注销 without a result ends it."""
    said = "".join(unicodedata.normalize("NFKC", result).split()) if isinstance(result, str) else ""
    if not said:
        return Effect.ENDS if isinstance(procedure, str) and procedure.strip() == "注销" else Effect.UNREAD
    if "部分" in said:
        return Effect.PART
    if "复审" in (procedure or "") and re.fullmatch("(?:予以)?[驳撤]回(?:申请|请求)?", said):
        return Effect.UPHELD  # it is the review that came to nothing
    for text in (_OVERTURNED.sub("", said), said):
        for pattern, found in ((_UPHELD, Effect.UPHELD), (_KEEPS, Effect.KEEPS), (_ENDS, Effect.ENDS)):
            if pattern.search(text):
                return found
    return Effect.UNREAD


def ends(procedure: str | None, result: str | None) -> bool:
    """Whether a decision takes the whole mark away."""
    return effect(procedure, result) is Effect.ENDS


def _effects(decisions: pd.DataFrame) -> pd.Series:
    procedure, result = decisions["mark_procedure"].fillna(""), decisions["decision_result"].fillna("")
    told = dict.fromkeys(zip(procedure, result, strict=True))
    return pd.Series(pd.MultiIndex.from_arrays([procedure, result]).map({pair: effect(*pair) for pair in told}), index=decisions.index, dtype=object)


def unread(decisions: pd.DataFrame) -> pd.Series:
    """How many decisions couldn't be read, by mark_procedure and decision_result, the most frequent first; empty texts where the source says none."""
    left = decisions.loc[_effects(decisions) == Effect.UNREAD, ["mark_procedure", "decision_result"]].fillna("")
    return left.value_counts()


_ON_THE_WHOLE = (Effect.ENDS, Effect.KEEPS)


def ended_on(course: Course, day: dt.date, retroactive: bool = False) -> dt.date | None:
    """Since when the mark or application is over on ``day``; None if it isn't.

    Of each kind of procedure the last decision on the whole mark counts: a review may bring back what was taken. A registration that came later than
    a decision says that it didn't end there. ``retroactive``: decisions that a mark is invalid count from the start, also later ones.
    """
    last: dict[str, Decision] = {}
    for d in sorted(course.decisions, key=lambda d: d.decided_on):
        kind = procedure_kind(d.procedure)
        if effect(d.procedure, d.result) in _ON_THE_WHOLE and (d.decided_on <= day or (retroactive and kind == "无效")):
            last[kind] = d
    over = [
        dt.date.min if retroactive and kind == "无效" else d.decided_on
        for kind, d in last.items()
        if ends(d.procedure, d.result) and (course.registered is None or d.decided_on >= course.registered)
    ]
    return min(over, default=None)


def last_day(course: Course, known_until: dt.date | None = None) -> dt.date | None:
    """The last day of the term, with the renewals published by ``known_until`` (None: all known); None if it was never registered."""
    if course.registered is None:
        return None
    first = course.exclusive_until or term(course.registered).until
    return max([first, *(r.exclusive_until for r in course.renewals if known_until is None or r.gazetted_on <= known_until)])


def state_on(course: Course, day: dt.date, retroactive: bool = False) -> State:
    """The state on ``day``. A renewal that was published later, in grace, counts with ``retroactive`` only: the register didn't know it."""
    if ended_on(course, day, retroactive):
        return State.ENDED
    if course.registered and course.registered <= day:
        until = last_day(course, None if retroactive else day)
        if until is None or day <= until:
            return State.VALID
        return State.GRACE if day <= months_after(until, period("renewal_grace", until).months) else State.EXPIRED
    if course.published and course.published <= day:
        return State.PUBLISHED
    return State.FILED if course.filed is None or course.filed <= day else State.UNFILED


def is_valid(course: Course, day: dt.date, retroactive: bool = False) -> bool:
    """Whether it was a registered mark in force on ``day``; in grace it isn't counted."""
    return state_on(course, day, retroactive) is State.VALID


def owner_on(course: Course, day: dt.date) -> str | None:
    """Whose it was on ``day``: a transfer counts from its publication (商标法第四十二条 [to be confirmed]); of two on one day the later told counts."""
    went = sorted((t for t in course.transfers if t.gazetted_on <= day), key=lambda t: t.gazetted_on)
    return went[-1].to if went else course.owner


LATEST = dt.date(2200, 1, 1)  # some write 9999-12-31 for a term without end, which pandas can't hold


def dates(column: pd.Series) -> pd.Series:
    """A column of dates (or texts of the form 2024-01-31) as timestamps, later ones than `LATEST` as that."""
    return pd.to_datetime(column.map(lambda d: min(d, LATEST) if isinstance(d, dt.date) and not isinstance(d, dt.datetime) else d))


def valid_on(
    marks: pd.DataFrame, day: dt.date, decisions: pd.DataFrame | None = None, renewals: pd.DataFrame | None = None, retroactive: bool = False
) -> pd.Series:
    """`is_valid` for each row of ``marks``, of the same index.

    Args:
        marks: mark_number, nice_class, mark_registered_on, exclusive_until (dates, empty where unknown).
        decisions: mark_number, nice_class (empty: of all its classes), decided_on, mark_procedure, decision_result.
        renewals: mark_number, gazetted_on, exclusive_until; rows without a new last day say nothing here.
    """
    when = pd.Timestamp(day)
    registered, until = dates(marks["mark_registered_on"]), dates(marks["exclusive_until"])
    computed = {r: pd.Timestamp(term(r.date()).until) for r in registered[until.isna() & registered.notna()].unique()}
    until = until.fillna(registered.map(computed)) if computed else until
    keys = pd.DataFrame({"mark_number": marks["mark_number"].to_numpy(), "row": np.arange(len(marks))})
    if renewals is not None and len(renewals):
        told = renewals[["mark_number"]].assign(on=dates(renewals["gazetted_on"]), until=dates(renewals["exclusive_until"]))
        told = told if retroactive else told[told["on"] <= when]
        until = pd.Series(
            np.fmax(until.to_numpy(), marks["mark_number"].map(told.groupby("mark_number")["until"].max()).to_numpy()), index=marks.index
        )
    in_term = (registered <= when) & (until >= when)
    if decisions is None or not len(decisions):
        return in_term
    return in_term & ~_over(keys, marks, registered, decisions, when, retroactive)


def is_over(marks: pd.DataFrame, day: dt.date, decisions: pd.DataFrame | None = None) -> pd.Series:
    """Whether a decision has ended each row of ``marks`` by ``day``, mark or application; of the same index. See `valid_on` for the columns."""
    if decisions is None or not len(decisions):
        return pd.Series(False, index=marks.index)
    keys = pd.DataFrame({"mark_number": marks["mark_number"].to_numpy(), "row": np.arange(len(marks))})
    return pd.Series(_over(keys, marks, dates(marks["mark_registered_on"]), decisions, pd.Timestamp(day), False), index=marks.index)


def _over(keys: pd.DataFrame, marks: pd.DataFrame, registered: pd.Series, decisions: pd.DataFrame, when: pd.Timestamp, retroactive: bool) -> Any:
    procedure, found = decisions["mark_procedure"].fillna(""), _effects(decisions)
    told = pd.DataFrame({
        "mark_number": decisions["mark_number"], "of_class": decisions["nice_class"], "on": dates(decisions["decided_on"]),
        "kind": procedure.map({p: procedure_kind(p) for p in procedure.unique()}),
        "ends": found == Effect.ENDS,
    })  # fmt: skip
    told = told[found.isin(_ON_THE_WHOLE) & ((told["on"] <= when) | (retroactive & (told["kind"] == "无效")))]
    met = keys.assign(nice_class=marks["nice_class"].to_numpy(), registered=registered.to_numpy()).merge(told, on="mark_number")
    met = met[met["of_class"].isna() | (met["of_class"] == met["nice_class"])]
    # Stable: of two decisions on one day the one that was delivered later counts, as in the function of one course.
    last = met.sort_values("on", kind="stable").drop_duplicates(["row", "kind"], keep="last")
    over = np.zeros(len(marks), dtype=bool)
    over[last.loc[last["ends"] & (last["registered"].isna() | (last["on"] >= last["registered"])), "row"].to_numpy()] = True
    return over


def owners_on(marks: pd.DataFrame, transfers: pd.DataFrame, day: dt.date) -> pd.Series:
    """`owner_on` for each row of ``marks`` (mark_number, registrant), of the same index; ``transfers``: mark_number, gazetted_on, current_registrant.

    Rows of ``transfers`` that tell of a renewal must be left out before. Of two on one day the later row counts.
    """
    told = transfers.assign(on=dates(transfers["gazetted_on"]))
    told = told[told["on"] <= pd.Timestamp(day)].sort_values("on", kind="stable").drop_duplicates("mark_number", keep="last")
    return marks["mark_number"].map(told.set_index("mark_number")["current_registrant"]).fillna(marks["registrant"])


def days_in_force(course: Course) -> int:
    """Days from registration to the end of the term or of the mark, whichever came first; 0 if it was never registered."""
    until = last_day(course)
    if until is None or course.registered is None:
        return 0
    gone = ended_on(course, dt.date.max)
    return max(0, ((min(until, gone - DAY) if gone else until) - course.registered).days + 1)
