"""The city's time. Moments are stored in UTC; a day is a day in Guangzhou."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

CHINA = ZoneInfo("Asia/Shanghai")


def china_day(moment: dt.datetime) -> dt.date:
    """The day of a moment in China; one without a zone is in UTC."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).astimezone(CHINA).date()
