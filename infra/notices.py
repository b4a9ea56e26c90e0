"""Who is to be told of what, by rows of the day; and the mail that says it (docs/decisions/0048). Pure: no clock, no database, no server.

A notice has a key: what it is about, and the step that has been reached. Who has been told of a key is not told of it again. Of several steps that
have been passed only the last one counts: when nothing ran for days, the next run says what is true then, once.
"""

from __future__ import annotations

import datetime as dt
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

from infra.clock import CHINA
from infra.ledger import StoppedRun, Told
from infra.mail import OPERATORS, STEWARDS

# Days before the last day on which something can be done about a mark.
ALERT_STEPS = (3, 10, 30)
# Days after a delivery was due. Older ones stand in the rectification item of their feed, which is told of by itself.
DELIVERY_STEPS, FORGOTTEN = (30, 7, 1), 90
# A holiday that is announced moves a last day by days; another deadline of the same mark is months away.
SAME_DEADLINE = dt.timedelta(days=60)
ALERT, RUN, DELIVERY, ITEM, SUMMARY, ADDRESS = KINDS = ("alert", "run", "delivery", "item", "summary", "address")
TITLES = {
    ALERT: "商标抢注预警",
    RUN: "没有发布的运行",
    DELIVERY: "逾期未到的报送",
    ITEM: "逾期的整改事项",
    SUMMARY: "新逾期或升级的整改事项，按部门",
    ADDRESS: "没有收件地址的部门",
}
BESIDE = {
    ALERT: "是供人判断的线索，不是认定。期限含当日，以商标公告和最新的节假日安排为准。",
    RUN: "读者仍看到上一次发布。",
    DELIVERY: "请补报；某一期确实没有数据的，请告知数据管理员。",
    ITEM: "请改正后重送；认为记录无误的，请凭事项编号向数据管理员提出。",
}
NAMES = {OPERATORS: "运维", STEWARDS: "数据管理员"}
SIMULATED = "〔模拟数据〕"
# Who works at a run in each state of it (the first has begun it, and not refined).
WORKING = {"open": "标准加工", "refined": "主题加工", "built": "主题加工", "gated": "发布"}
WIDTH = 76  # columns, of which a Chinese character takes two
_NOT_FIRST = frozenset("，。；：、！？）》”〕」』%")  # no line begins with these
_NOT_LAST = frozenset("（《“〔「『")  # and none ends with these
Row = Mapping[str, Any]
Said = Mapping[str, Mapping[str, str]]  # of a column, what its values are called


@dataclass(frozen=True)
class Notice:
    """Something that a group of people is to be told, once.

    ``to``: a department, `OPERATORS` or `STEWARDS`. ``kind``: one of `KINDS`. ``rank``: of a kind, the smallest is the most urgent. ``lines``: what is said of
    it; of a `SUMMARY` only by what it is counted: department and escalation. ``days_left`` until its last day, if it has one.
    """

    key: str
    to: str
    kind: str
    rank: int
    lines: tuple[str, ...]
    is_simulated: bool = False
    days_left: int | None = None


class Links(NamedTuple):
    """Where people look further, as far as the installation says under which address they find it."""

    dashboards: str = ""
    pipelines: str = ""


# ---- who is to be told of what ----


def deliveries(rows: Iterable[Row], today: dt.date, said: Said) -> list[Notice]:
    """To its department: a delivery whose day has passed and that has not come, on the first day after and at each of `DELIVERY_STEPS`.

    Of those that came late nobody is told: there is nothing left to be done.
    """
    found = []
    for r in rows:
        late = (today - r["due_on"]).days
        # What was awaited when the calendar was written may be overdue by now.
        status = "overdue" if r["punctuality"] == "awaited" else r["punctuality"]
        if r["arrived_on"] is not None or status not in ("missing", "overdue") or not 0 < late <= FORGOTTEN:
            continue
        step = next(s for s in DELIVERY_STEPS if late >= s)
        line = f"{_clean(r['feed_title'])}，业务日期 {r['business_date']}：应于 {r['due_on']} 送达，{said['punctuality'][status]}，已逾 {late} 天"
        key = f"delivery/{r['feed']}/{r['business_date']}/{step}"
        found.append(Notice(key, r["department"], DELIVERY, -late, (line,), _is_simulated(r)))
    return found


def items(rows: Iterable[Row], today: dt.date, said: Said) -> list[Notice]:
    """To its department, and summed up to the stewards: an item past its day, and each escalation of it. Of another deadline they are told anew."""
    found = []
    for r in rows:
        if r["escalation"] == "none" or not r["item_open"] or r["rectify_by"] is None:
            continue
        late = (today - r["rectify_by"]).days
        key = f"item/{r['item_id']}/{r['rectify_by']}/{r['escalation']}"
        escalation = said["escalation"][r["escalation"]]
        lines = (
            f"{r['item_id']} {_clean(r['feed_title'])}：{_clean(r['rule_description'])}",
            f"待整改 {r['item_open']:,} {said['unit'][r['item_scope']]}，期限 {r['rectify_by']}"
            f"{'（暂定）' if r['deadline_note'] else ''}，已过 {late} 天；{escalation}",
        )
        found.append(Notice(key, r["department"], ITEM, -late, lines, _is_simulated(r)))
        found.append(Notice(key, STEWARDS, SUMMARY, -late, (r["department"], escalation), _is_simulated(r)))
    return found


def alerts(rows: Iterable[Row], told: Iterable[Told], to: str, today: dt.date, said: Said) -> list[Notice]:
    """To the department ``to``: marks that somebody may be squatting with, as their last day comes near (`ALERT_STEPS`).

    The last day is the earliest that it may be. Where it has passed and a later one is still possible, that is said; once that one is over too nobody
    is told any more, but for one notice where mails did not get through before: ``told`` knows of what was noticed and never sent.
    """
    unsent, reached = _by_deadline(told, to)
    found = []
    for r in rows:
        if r["alert_verdict"] != "suspect" or r["alert_feedback"] == "rejected":
            continue
        until, latest = r["act_until"], r["act_until_latest"] or r["act_until"]
        for missed in sorted(unsent.get(r["alert_id"], set()) - reached.get(r["alert_id"], set())):
            if missed < today and not (until and latest >= today and until - missed < SAME_DEADLINE):
                lines = (
                    _whom(r),
                    f"最晚 {missed}，已过；此前的邮件没有送达。请核对是否已经办理，以及还能采取的措施",
                    f"建议：{_clean(r['suggested_action'])}",
                )
                found.append(Notice(f"alert/{r['alert_id']}/{missed}/over", to, ALERT, -1, lines, _is_simulated(r)))
        if until is None or latest < today or (left := (until - today).days) > max(ALERT_STEPS):
            continue
        step = next(s for s in ALERT_STEPS if left <= s)
        lines = (_whom(r), f"{_last_day(r, until, latest, left)}；{said['mark_stage'][r['mark_stage']]}", f"建议：{_clean(r['suggested_action'])}")
        found.append(Notice(f"alert/{r['alert_id']}/{until}/{step}", to, ALERT, max(left, 0), lines, _is_simulated(r), left))
    return found


def _by_deadline(told: Iterable[Told], to: str) -> tuple[dict[str, set[dt.date]], dict[str, set[dt.date]]]:
    """The last days of alerts of which a notice was never sent, and of which one was, by alert."""
    unsent: dict[str, set[dt.date]] = {}
    sent: dict[str, set[dt.date]] = {}
    for t in told:
        if t.recipient == to and t.key.startswith(f"{ALERT}/"):
            _, alert, until, _ = t.key.split("/")
            if t.sent_at is not None:
                sent.setdefault(alert, set()).add(dt.date.fromisoformat(until))
            else:
                unsent.setdefault(alert, set()).add(dt.date.fromisoformat(until))
    return unsent, sent


def _whom(r: Row) -> str:
    return f"{r['alert_id']} “{_clean(r['right_name'])}”：商标 {_clean(r['mark_number'])} “{_clean(r['trademark_name'])}”，第 {r['nice_class']} 类"


def _last_day(r: Row, until: dt.date, latest: dt.date, left: int) -> str:
    if left < 0:
        return f"期限可能已过（{until}），最晚可能到 {latest}，请立即核对"
    later = f"，最晚可能到 {latest}" if latest > until else ""
    return f"最晚 {until}{f'（暂定{later}）' if r['is_provisional'] else ''}，{f'还有 {left} 天' if left else '就是今天'}"


def runs(stopped: Iterable[StoppedRun]) -> list[Notice]:
    """To the operators: a run that a gate has stopped, with the rules that were not met, and one that was left unfinished. No data."""
    found = []
    for run in stopped:
        at = f"{run.stopped_at.astimezone(CHINA):%Y-%m-%d %H:%M}"
        if run.failed:
            step = "主题加工" if any(table.startswith("gold") for table, _, _ in run.failed) else "标准加工"
            first = f"{step}被质量关口拦下（{at}，运行 {run.run_id}）"
            lines = [first, *(f"{table.replace('_tables.', '.')}：{_clean(says)}（规则 {rule}）" for table, rule, says in run.failed)]
        else:
            lines = [f"{WORKING[run.state]}没有完成（最后一次写入 {at}，运行 {run.run_id}）", "运行 ./lake status 查看各服务，再运行 ./lake run"]
        found.append(Notice(f"run/{run.run_id}/{run.state}", OPERATORS, RUN, 0, tuple(lines)))
    return found


def unaddressed(waiting: Iterable[Notice], addressed: Iterable[str]) -> list[Notice]:
    """To the operators, once for each group that has no address: that nobody hears of what is meant for it."""
    count = Counter(n.to for n in waiting if n.to not in set(addressed))
    return [
        Notice(f"address/{group}", OPERATORS, ADDRESS, 0, (f"{NAMES.get(group, group)}：{number} 项通知没有人收到，请把地址写进设置 [mail.to]",))
        for group, number in sorted(count.items())
    ]


def waiting(found: Iterable[Notice], told: Iterable[Told]) -> list[Notice]:
    """What has not been sent, in the order in which it is said: by group, kind and urgency."""
    sent = {(t.key, t.recipient) for t in told if t.sent_at is not None}
    left = {(n.key, n.to): n for n in found if (n.key, n.to) not in sent}
    return sorted(left.values(), key=lambda n: (n.to, KINDS.index(n.kind), n.rank, n.key))


def _is_simulated(r: Row) -> bool:
    return bool(r["value_kind"] == "simulated")


# ---- the mail ----


def subject(found: Sequence[Notice]) -> str:
    """How many of what, and how soon; no word from any data."""
    counts = Counter(n.kind for n in found)
    parts = []
    for kind in sorted(counts, key=KINDS.index):
        days = min((n.days_left for n in found if n.kind == kind and n.days_left is not None), default=None)
        soonest = "" if days is None else f"，最近的还有 {days} 天" if days > 0 else "，有的今天到期" if days == 0 else "，有的期限可能已过"
        parts.append(f"{TITLES[kind].removesuffix('，按部门')} {counts[kind]} 项{soonest}")
    return f"{SIMULATED if all(n.is_simulated for n in found) else ''}{'；'.join(parts)}"


def text(found: Sequence[Notice], today: dt.date, links: Links) -> str:
    """What one group is told, in the order of ``found``: plain text, in lines of at most `WIDTH` columns."""
    said = [f"{NAMES.get(found[0].to, found[0].to)}：", ""]
    if any(n.is_simulated for n in found):
        said += [f"标有{SIMULATED}的来自演示或模拟数据，不代表真实情况。", ""]
    for place, (kind, group) in enumerate(groupby(found, key=lambda n: n.kind)):
        mine = list(group)
        said += [f"{'一二三四五六'[place]}、{TITLES[kind]}（{len(mine)} 项）", *(wrapped(BESIDE[kind]) if kind in BESIDE else ()), ""]
        for number, lines in enumerate(_summed(mine) if kind == SUMMARY else ((n.lines, n.is_simulated) for n in mine), 1):
            said += [*_entry(number, *lines), *([""] if len(lines[0]) > 1 else [])]
        if said[-1]:
            said.append("")
        if link := _link(kind, links):
            said += [link, ""]
    return "\n".join([*said, "——", *wrapped(f"数据湖自动发送，{today}。每项在每个阶段只通知一次；不必回复。"), ""])


def _summed(found: Sequence[Notice]) -> Iterator[tuple[tuple[str, ...], bool]]:
    """A line for each department: how many, by escalation, that of what is overdue for longest first."""
    for department in sorted({n.lines[0] for n in found}):
        mine = [n for n in found if n.lines[0] == department]
        parts = "；".join(f"{escalation} {number} 项" for escalation, number in Counter(n.lines[1] for n in mine).items())
        yield (f"{department}：{parts}",), all(n.is_simulated for n in mine)


def _entry(number: int, lines: Sequence[str], is_simulated: bool) -> Iterator[str]:
    mark = f"{number}. "
    yield from wrapped(f"{SIMULATED if is_simulated else ''}{lines[0]}", mark, " " * len(mark))
    for line in lines[1:]:
        yield from wrapped(line, " " * len(mark), " " * len(mark))


def _link(kind: str, links: Links) -> str:
    if kind == ALERT and links.dashboards:
        return f"看板：{links.dashboards}/superset/dashboard/alerts/"
    return f"流程：{links.pipelines}" if kind == RUN and links.pipelines else ""


def wrapped(line: str, first: str = "", rest: str = "") -> list[str]:
    """``line`` in lines of at most `WIDTH` columns, behind ``first``, then ``rest``. Words and numbers stay whole, punctuation stays where it belongs."""
    lines, now = [], first
    for token in _tokens(line):
        if now not in (first, rest) and _columns(now) + _columns(token.rstrip()) > WIDTH:
            lines.append(now.rstrip())
            now = rest
        now += token
    return [*lines, now.rstrip()]


def _tokens(line: str) -> Iterator[str]:
    """What isn't torn apart: a word with what must not begin or end a line beside it, or a single Chinese character with that; spaces stay behind it."""
    token = ""
    for c in line:
        is_word = c.isascii() and token[-1:].isascii() and not token[-1:].isspace()
        if token and not (c in _NOT_FIRST or token[-1] in _NOT_LAST or c.isspace() or is_word):
            yield token
            token = ""
        token += c
    if token:
        yield token


def _columns(words: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WFA" else 1 for c in words)


def _clean(words: str) -> str:
    """A text from data on one line, and without what could steer a screen."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(words)).split())
