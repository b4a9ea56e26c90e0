"""What a leader is told in one sentence each, put together from the newest figures 领导驾驶舱. Pure: figures in, Chinese sentences out.

A sentence says what is known, and that something isn't; none is written before there are figures for it.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

TOPICS = ("subjects", "course", "activity", "development")


def _than(value: float, before: float, more: str, less: str) -> str:
    return more if value >= before else less


@dataclass(frozen=True)
class Year:
    """The newest whole year: subjects live at its end and at the end of the year before, births, exits (None: not told), share of tertiary industries."""

    year: int
    live: float
    live_before: float | None
    births: float
    exits: float | None
    tertiary: float | None

    def sentence(self) -> str:
        change = ""
        if self.live_before:
            change = f"，比上年末{_than(self.live, self.live_before, '增加', '减少')} {abs(self.live / self.live_before - 1):.1%}"
        left = "退出多少不知道" if self.exits is None else f"退出 {self.exits:,.0f} 户"
        share = "" if self.tertiary is None else f"；第三产业占 {self.tertiary:.1%}"
        return f"{self.year} 年末存量 {self.live:,.0f} 户{change}；全年新登记 {self.births:,.0f} 户，{left}{share}。"


@dataclass(frozen=True)
class Course:
    """The last month that is over with what had been expected of it (``judged``: by a forecast that was published before it, with an interval; ``surprise``:
    above, below, or None), and the twelve months to come beside the twelve before."""

    month: dt.date
    registered: float
    judged: bool
    surprise: str | None
    next_year: float
    past_year: float

    def sentence(self) -> str:
        expected = ""
        if self.judged:
            expected = {"above": "，高于此前预期的区间", "below": "，低于此前预期的区间", None: "，在此前预期的区间以内"}[self.surprise]
        change = (
            f"，比过去十二个月{_than(self.next_year, self.past_year, '增加', '减少')} {abs(self.next_year / self.past_year - 1):.1%}"
            if self.past_year
            else ""
        )
        return f"{self.month.year} 年 {self.month.month} 月新登记 {self.registered:,.0f} 户{expected}；今后十二个月预计 {self.next_year:,.0f} 户{change}（预测）。"


@dataclass(frozen=True)
class Active:
    """The newest month end: share of active subjects, that of a year before (None: not told), and how many are unclear."""

    month_end: dt.date
    rate: float
    rate_before: float | None
    unclear: int

    def sentence(self) -> str:
        change = ""
        if self.rate_before is not None:
            change = f"，比一年前{_than(self.rate, self.rate_before, '高', '低')} {100 * abs(self.rate - self.rate_before):.1f} 个百分点"
        return f"{self.month_end.year} 年 {self.month_end.month} 月末活跃率 {self.rate:.1%}{change}；另有 {self.unclear:,} 户没有年报、社保、税务等来源说到，状况不明。"


@dataclass(frozen=True)
class Leading:
    """What leads a reference series: how many series were ``compared``, the index of the newest quarter and of a year before (None: no series leads), its lead,
    whether it helps (None: not tested)."""

    reference: str
    compared: int
    index: float | None
    index_before: float | None
    lead: int | None
    helps: bool | None

    def sentence(self) -> str:
        if not self.compared:
            return f"{self.reference}与登记序列共有的季度太少，暂无发展指数。"
        if self.index is None:
            return f"没有登记序列可靠地领先于{self.reference}，暂无发展指数。"
        change = ""
        if self.index_before:
            change = f"，比上年同季{_than(self.index, self.index_before, '高', '低')} {abs(self.index / self.index_before - 1):.1%}"
        helps = {True: "，加入它预测得更准", False: "，但加入它未必预测得更准", None: "，还没有足够的季度检验它有没有帮助"}[self.helps]
        return f"企业发展指数 {self.index:.1f}{change}；领先{self.reference}约 {self.lead} 个季度{helps}。"
