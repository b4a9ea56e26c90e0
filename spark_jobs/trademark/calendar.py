"""Working days of China: the State Council's holidays and shifted workdays as far as they are announced, and what is known beyond.

Announced: the tables of the package chinesecalendar, each year's made from the notice 国务院办公厅关于…部分节假日安排的通知. A notice of a year
also moves the last days of the year before it (2018-12-29 became a workday by the notice for 2019), so the table's last days are not sure. Nor is a
running year quite: 2019-04-28 became a workday in March 2019 only. So readers are told to follow the latest notice (以最新通知为准).

Known beyond the table: statutory holidays with a fixed date, and the Spring Festival (全国年节及纪念日放假办法, as amended 2024-11-10, in force
2025-01-01 [to be confirmed]). 清明, 端午 and 中秋 are not computed, and which weekend becomes a workday is not known before the notice.
"""

from __future__ import annotations

import datetime as dt
from functools import cache, lru_cache

import chinese_calendar
from chinese_calendar import constants

from spark_jobs.refine import codes

DAY = dt.timedelta(days=1)
# (month, day) of the holidays that no notice can make a workday.
FIXED_HOLIDAYS = frozenset({(1, 1), (5, 1), (5, 2), (10, 1), (10, 2), (10, 3)})
# Days of the Spring Festival that are holidays by law, from the first day of the first month: its eve and three days.
SPRING_FESTIVAL = (-1, 0, 1, 2)
# A notice has changed days of the year before from 29 December on; a few days more, to be safe.
UNSURE_FROM = (12, 26)


def date_of(day: dt.date) -> dt.date:
    """The calendar day of a date, a datetime or a timestamp of pandas, which can't be compared with dates.

    Raises:
        TypeError: it is no day (None, NaT).
    """
    if not isinstance(day, dt.date) or day != day:  # NaT is a datetime, and not itself
        raise TypeError(f"no day: {day!r}")
    return day.date() if isinstance(day, dt.datetime) else day


@cache
def announced_from() -> dt.date:
    """The first day whose state is known."""
    return dt.date(min(d.year for d in constants.holidays), 1, 1)


@cache
def announced_until() -> dt.date:
    """The last day whose state is sure."""
    return dt.date(max(d.year for d in constants.holidays), *UNSURE_FROM) - DAY


def is_announced(day: dt.date) -> bool:
    """Whether it is sure that ``day`` is a working day, or none."""
    return announced_from() <= day <= announced_until()


@cache
def _spring_festivals() -> frozenset[dt.date]:
    firsts = [dt.date.fromisoformat(r["spring_festival"]) for r in codes.rows("spring_festivals")]
    return frozenset(first + k * DAY for first in firsts for k in SPRING_FESTIVAL)


def is_lawful_holiday(day: dt.date) -> bool:
    """Whether ``day`` is a holiday by the law itself, as far as that can be known without a notice. Of days before 2025 that is an approximation."""
    return (day.month, day.day) in FIXED_HOLIDAYS or day in _spring_festivals()


@lru_cache(maxsize=65536)
def is_working_day(day: dt.date) -> bool:
    """Whether offices work on ``day``: as announced, else as expected: Monday to Friday without the holidays that the law itself names."""
    if is_announced(day):
        return bool(chinese_calendar.is_workday(day))
    return day.weekday() < 5 and not is_lawful_holiday(day)


@lru_cache(maxsize=65536)
def may_be_working_day(day: dt.date) -> bool:
    """Whether ``day`` is a working day or might become one: a weekend beyond the table can be exchanged for a holiday."""
    return bool(chinese_calendar.is_workday(day)) if is_announced(day) else not is_lawful_holiday(day)


def working_days_between(after: dt.date, until: dt.date) -> int:
    """Working days after ``after`` up to and with ``until``; 0 where there are none. Beyond the table as expected."""
    return sum(is_working_day(after + k * DAY) for k in range(1, (until - after).days + 1))
