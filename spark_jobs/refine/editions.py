"""Lists whose codes and names meant other things on other days, and how a text is read by each: by the list as it was on the day of the record."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import NamedTuple

from catalog.properties import DatedList
from spark_jobs.refine.categories import read_category
from spark_jobs.refine.codes import NOTHING, Reading
from spark_jobs.refine.columns import Texts, each
from spark_jobs.refine.districts import read_district
from spark_jobs.refine.industry import read_section


class Dated(NamedTuple):
    """`title`: what the steward calls the list (as in silver.unmapped_value)."""

    title: str
    read: Callable[[str, dt.date], Reading]


LISTS: dict[DatedList, Dated] = {
    "complaint_categories": Dated("12315 商品服务类别", read_category),
    "districts": Dated("GB/T 2260", read_district),
    "industry_sections": Dated("GB/T 4754", read_section),
}


def readings(name: DatedList, texts: Texts, days: Sequence[dt.date | None]) -> list[Reading]:
    """What the list says to each tidy text on its day; nothing where either is missing."""
    read = LISTS[name].read
    return each(lambda said: NOTHING if said[0] is None or said[1] is None else read(said[0], said[1]), list(zip(texts, days, strict=True)))
