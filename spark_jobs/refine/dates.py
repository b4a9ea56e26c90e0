"""Delivered date text to a date."""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from functools import lru_cache

EARLIEST = dt.date(1900, 1, 1)  # nothing registered before it still exists; such dates are defaults of some system
_CHINA = dt.timezone(dt.timedelta(hours=8))
_DATE = re.compile(
    r"(?P<y>[0-9]{4})(?:(?P<s>[-/.])(?P<m>[0-9]{1,2})(?P=s)(?P<d>[0-9]{1,2})|年(?P<m2>[0-9]{1,2})月(?P<d2>[0-9]{1,2})日?|(?P<m3>[0-9]{2})(?P<d3>[0-9]{2}))"
    r"(?:[T ]*(?P<H>[0-9]{1,2})[:时](?P<M>[0-9]{2})(?:[:分](?P<S>[0-9]{2})(?:\.(?P<f>[0-9]+))?秒?|分)? *(?P<z>Z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?"
)


def parse_date(text: str | None) -> dt.date | None:
    """The date that a text states, China time; None if it is none, impossible (1993-02-30) or before 1900.

    Forms: 2019-03-01, 2019/3/1, 2019.3.1, 2019年3月1日, 20190301, full-width digits, each with or without a time of day. A time with an
    offset is moved to China time, because a system that writes UTC writes the evening before. A bare number of days (as a spreadsheet
    keeps dates) is not guessed at: it can't be told from any other number.
    """
    moment = None if text is None or len(text) > 64 else _parse(text)
    return None if moment is None else moment.date()


def parse_moment(text: str | None) -> dt.datetime | None:
    """The moment that a text states, to the millisecond, with China's offset; None as for `parse_date`, in whose forms it is. A day alone is its midnight."""
    return None if text is None or len(text) > 64 else _parse(text)


@lru_cache(maxsize=65536)
def _parse(text: str) -> dt.datetime | None:
    found = _DATE.fullmatch(unicodedata.normalize("NFKC", text).strip())
    if not found:
        return None
    part = found.groupdict()
    try:
        date = dt.date(int(part["y"]), int(part["m"] or part["m2"] or part["m3"]), int(part["d"] or part["d2"] or part["d3"]))
        millis = int((part["f"] or "")[:3].ljust(3, "0"))
        time = dt.time(int(part["H"] or 0), int(part["M"] or 0), int(part["S"] or 0), millis * 1000)
        zone: dt.tzinfo | None = _CHINA
        if part["z"] is not None:
            zone = dt.UTC if part["z"] == "Z" else dt.datetime.strptime(part["z"].ljust(5, "0"), "%z").tzinfo
        moment = dt.datetime.combine(date, time, zone).astimezone(_CHINA)
    except (ValueError, OverflowError):
        return None
    return moment if moment.date() >= EARLIEST else None
