"""Until when one may act against a mark: opposition, invalidation, cancellation for non-use, renewal; the stage of a mark and what to do in it.

Periods are dated and cited in catalog/codes/trademark_periods.csv: law changes there. How they are counted: 商标法实施条例 (2014) 第十二条: the day on
which a period begins isn't counted; a period of months or years ends on the corresponding day of its last month, or on that month's last day where
it has none; if that is no working day, on the next one. The term of a registration is counted from its first day and ends on the day before.

A missed opposition can't be made up for. So wherever a date is uncertain, the earlier one is shown, and what it rests on is said; and nobody is told
that it is too late before the latest day that it may be.
"""

from __future__ import annotations

import calendar as months
import datetime as dt
from dataclasses import dataclass
from enum import Enum
from functools import cache, lru_cache

from spark_jobs.refine import codes
from spark_jobs.trademark.calendar import DAY, announced_until, date_of, is_announced, is_working_day, may_be_working_day, working_days_between

# First publications to which the draft of the amended law could matter: it was laid open in December 2025 [day to be confirmed].
DRAFT_MATTERS_FROM = dt.date(2025, 12, 1)
# Days that a holiday week not yet announced may put behind the expected last day: the longest so far had 9 (Spring Festival of 2026).
UNKNOWN_HOLIDAYS = 10
FOLLOW_NOTICES = "节假日安排以最新通知为准"
RELATIVE_GROUNDS = "第十三条第二款和第三款、第十五条、第十六条第一款、第三十条、第三十一条、第三十二条"


@dataclass(frozen=True)
class Period:
    """A period of the law. ``counted``: `from_next_day`, `term` (its first day counts) or `before_end` (backwards from the last day of a term).

    ``rolls``: whether it moves to the next working day. ``valid_from``: first day on which it holds for what happens then; None: a draft, not law.
    """

    name: str
    months: int
    counted: str
    rolls: bool
    valid_from: dt.date | None
    valid_to: dt.date | None
    legal_source: str


@cache
def periods() -> tuple[Period, ...]:
    """All periods and drafts of the table."""
    return tuple(
        Period(
            r["period"], int(r["value"]) * (12 if r["unit"] == "year" else 1), r["counted"], r["rolls"] == "true",
            dt.date.fromisoformat(r["valid_from"]) if r["status"] == "in_force" else None,
            dt.date.fromisoformat(r["valid_to"]) if r["valid_to"] else None, r["legal_source"],
        )
        for r in codes.rows("trademark_periods")
    )  # fmt: skip


def period(name: str, on: dt.date) -> Period:
    """The period ``name`` as the law had it on ``on``, the day of the publication or registration it runs from.

    That an old period goes on running under its own law when the law changes is an assumption: a change says itself what holds in between. Marks
    older than the first trademark law (1983-03-01) have the oldest period of the table [to be confirmed].

    Raises:
        LookupError: there is no such period, or there were two or none on that day.
    """
    mine = [(p.valid_from, p) for p in periods() if p.name == name and p.valid_from]
    day = max([on, *([min(first for first, _ in mine)] if mine else [])])
    found = [p for first, p in mine if first <= day and (p.valid_to is None or day <= p.valid_to)]
    if len(found) != 1:
        raise LookupError(f"{name} on {on}: {len(found)} periods in force")
    return found[0]


def months_after(day: dt.date, number: int) -> dt.date:
    """The corresponding day ``number`` months after (before, if negative) ``day``, or the last day of that month where it has none.

    At most the last day that a date can be: 9999-12-31 stands for a term without end.
    """
    year, month = divmod(day.year * 12 + day.month - 1 + number, 12)
    if year > dt.MAXYEAR:
        return dt.date.max
    return dt.date(year, month + 1, min(day.day, months.monthrange(year, month + 1)[1]))


@dataclass(frozen=True)
class Deadline:
    """The last day, inclusive, on which something can be done.

    ``due``: the day to show and to keep to. ``runs_out``: last day of the period before it is moved. ``expected``: the day by what is known of
    holidays: the same, unless ``provisional`` or it is open whether the period is moved at all. ``latest``: the last day that it may be, with a
    holiday week that isn't announced yet; ``expected`` where all are. ``if_draft``: the day if a draft that would shorten the period were law; None
    where there is none, or it didn't exist yet. ``note``: what to tell the reader, Chinese, empty if nothing.
    """

    due: dt.date
    runs_out: dt.date
    expected: dt.date
    latest: dt.date
    provisional: bool
    note: str
    if_draft: dt.date | None = None

    def days_left(self, today: dt.date) -> int:
        """Calendar days from ``today`` to the last day: 0 on the last day itself, negative once it is past."""
        return (self.due - today).days

    def working_days_left(self, today: dt.date) -> int:
        """Working days after ``today`` up to the last day; 0 once it is past."""
        return working_days_between(today, self.due)


def _moved(day: dt.date, rolls: bool) -> tuple[dt.date, dt.date, dt.date, bool]:
    """(earliest possible, expected, latest possible, provisional) last day of a period that runs out on ``day``."""
    if not rolls:
        return day, day, day, False
    earliest, expected = day, day
    while not may_be_working_day(earliest):
        earliest += DAY
    while not is_working_day(expected):
        expected += DAY
    judged = [day + k * DAY for k in range((expected - day).days + 1)]
    if all(is_announced(d) for d in judged):
        return earliest, expected, expected, False
    latest = dt.date.fromordinal(min(expected.toordinal() + UNKNOWN_HOLIDAYS, dt.date.max.toordinal()))
    while not is_working_day(latest):
        latest += DAY
    return earliest, expected, latest, True


def _note(due: dt.date, expected: dt.date, provisional: bool) -> list[str]:
    """What to tell of holidays: where they aren't announced, and where they are but may still be changed."""
    if not provisional:
        return [FOLLOW_NOTICES] if due.year >= announced_until().year else []
    said = ["暂定：届满日前后的节假日和调休安排尚未公布或不在节假日表内，按可能的最早一日显示"]
    said += [f"按周末和法定节日推算为{expected.isoformat()}"] if expected != due else []
    return [*said, FOLLOW_NOTICES]


@lru_cache(maxsize=16384)
def opposition(published: dt.date) -> Deadline:
    """The last day for opposing a mark that was preliminarily published on ``published`` (商标法第三十三条).

    Beyond the announced holidays the earliest day that any announcement can make the last one is ``due``: a weekend may become a workday, only
    holidays of the law itself can't. Without an announcement that moves workdays it would be ``expected``.
    """
    published = date_of(published)
    rule = period("opposition", published)
    due, expected, latest, provisional = _moved(runs_out := months_after(published, rule.months), rule.rolls)
    said, if_draft = _note(due, expected, provisional), None
    drafts = [p for p in periods() if p.name == "opposition" and p.valid_from is None and published >= DRAFT_MATTERS_FROM]
    for draft in drafts:
        if_draft = _moved(months_after(published, draft.months), draft.rolls)[0]
        said.append(f"修订草案拟改为{'零一二三四五六七八九'[draft.months]}个月，如已施行则为{if_draft.isoformat()}")
    return Deadline(due, runs_out, expected, latest, provisional, "；".join(said), if_draft)


def invalidation(registered: dt.date) -> Deadline:
    """The last day for requesting invalidation on relative grounds (商标法第四十五条); absolute grounds (第四十四条) have none.

    Nor has the owner of a well-known mark against a registration in bad faith. Whether it moves to the next working day is open [to be confirmed]:
    ``due`` is the day that isn't moved, ``expected`` the one that is.
    """
    registered = date_of(registered)
    runs_out = months_after(registered, period("invalidation_relative", registered).months)
    _, expected, latest, provisional = _moved(runs_out, rolls=True)
    said = ["恶意注册的，驰名商标所有人不受五年限制；依第四十四条请求宣告无效没有期限"]
    said += [f"届满日不是工作日，是否顺延待确认：按不顺延显示，如顺延为{expected.isoformat()}"] if expected != runs_out else []
    said += _note(runs_out, runs_out, provisional)
    return Deadline(runs_out, runs_out, expected, latest, provisional, "；".join(said))


def non_use_from(registered: dt.date) -> dt.date:
    """The first day on which a mark can have been unused for three years without a break: anybody may request its cancellation from then on."""
    registered = date_of(registered)
    rule = period("non_use", registered)
    return months_after(registered, rule.months) + DAY


@dataclass(frozen=True)
class Term:
    """A term of a registration. ``until``: its last day.

    Renewal may be requested from ``renew_from`` to ``renew_until``, in grace to ``grace_until``. None of these is moved to a working day: the earlier
    day is shown, whether they move is to be confirmed.
    """

    until: dt.date
    renew_from: dt.date
    renew_until: dt.date
    grace_until: dt.date


def term(first_day: dt.date, until: dt.date | None = None) -> Term:
    """The term that begins on ``first_day``; ``until``: its last day where it is stated (it goes before what is computed)."""
    first_day, until = date_of(first_day), until and date_of(until)
    corresponding = months_after(first_day, period("registration_term", first_day).months)
    # Where the last month has no corresponding day, its last day is the last of the term (第十二条第二款).
    last = until or (corresponding - DAY if corresponding.day == first_day.day else corresponding)
    after = last + DAY if last < dt.date.max else last  # 9999-12-31: no day is after it
    return Term(last, months_after(after, -period("renewal_before", last).months), last, months_after(last, period("renewal_grace", last).months))


class Stage(Enum):
    """The stage of a mark."""

    FILED = "申请受理"
    PUBLISHED = "初审公告（异议期内）"
    UNSURE = "异议期可能已届满，待核实"
    WAITING = "异议期满待注册"
    OPPOSED = "异议审理中"
    REGISTERED = "注册公告（五年内）"
    SETTLED = "注册满五年"
    ENDED = "已失效"


ACTIONS = {
    Stage.FILED: "持续关注审查进展；收集在先使用和知名度证据；评估是否补充申请本企业该类别商标",
    Stage.PUBLISHED: f"在异议截止日前提出异议：在先权利人、利害关系人可依商标法{RELATIVE_GROUNDS}；任何人可依第四条、第十条、第十一条、第十二条、第十九条第四款",
    Stage.UNSURE: "异议期可能已届满，待核实：核对最新的节假日安排，仍可能在期限内的，立即提出异议",
    Stage.WAITING: "异议期已过：关注注册公告，准备注册后请求宣告无效的材料",
    Stage.OPPOSED: "异议审理中：关注决定；准予注册的，异议人可以在注册后请求宣告无效",
    Stage.REGISTERED: f"在注册之日起五年内，在先权利人、利害关系人可依商标法第四十五条（{RELATIVE_GROUNDS}）请求宣告无效；依第四十四条的没有期限",
    Stage.SETTLED: "相对理由的五年期限已过（恶意注册的，驰名商标所有人不受限制）；可依第四十四条请求宣告无效，连续三年不使用的可以申请撤销",
    Stage.ENDED: "商标已失效：关注同一申请人是否再次申请",
}


def stage_on(
    day: dt.date,
    published: dt.date | None = None,
    registered: dt.date | None = None,
    ended: dt.date | None = None,
    opposed_until: dt.date | None = None,
    is_opposed: bool = False,
) -> Stage:
    """The stage on ``day`` of a mark that has been applied for.

    Args:
        published, registered, ended: days of the preliminary publication, the registration, and the loss of the mark or refusal of the application.
        opposed_until: day of the decision on an opposition. ``is_opposed``: an opposition is known and not decided.
    """
    day = date_of(day)
    published, registered, ended, opposed_until = (None if d is None or d != d else date_of(d) for d in (published, registered, ended, opposed_until))
    if ended and ended <= day:
        return Stage.ENDED
    if registered and registered <= day:
        # `latest` is the moved day `expected` wherever holidays are known.
        return Stage.REGISTERED if day <= invalidation(registered).latest else Stage.SETTLED
    if not (published and published <= day):
        return Stage.FILED
    last = opposition(published)
    if day <= last.due:
        return Stage.PUBLISHED
    if is_opposed or (opposed_until and day < opposed_until):
        return Stage.OPPOSED
    return Stage.UNSURE if day <= last.latest else Stage.WAITING


def action(stage: Stage, registered: dt.date | None = None, today: dt.date | None = None) -> str:
    """What to do at a stage, Chinese: a suggestion for the owner of an earlier right, no advice on the single case.

    With ``registered`` and ``today`` of a registered mark, cancellation for non-use is named once three years have passed.
    """
    said = ACTIONS[stage]
    if stage is Stage.REGISTERED and registered and today and date_of(today) >= non_use_from(registered):
        said += "；注册已满三年，连续三年不使用的可以申请撤销（商标法第四十九条第二款）"
    return said
