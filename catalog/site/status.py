"""What a lake that has run says of itself: sizes, freshness, quality, examples. The site shows it; nothing here asks for it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter


@dataclass(frozen=True)
class TableStatus:
    """Of a table in the current release. ``bytes``: of the files that the version consists of. ``changed_at``: when the release that brought this version
    was published (UTC). ``sample``: rows as a reader without rights to personal data sees them, every value as text; None where there is none."""

    version: int
    rows: int
    files: int
    bytes: int
    changed_at: dt.datetime | None = None
    release_id: str | None = None
    sample_columns: tuple[str, ...] = ()
    sample: tuple[tuple[str | None, ...], ...] = ()


@dataclass(frozen=True)
class Score:
    """A quality score in percent (0–100) of a day."""

    day: dt.date
    score: float


@dataclass(frozen=True)
class ProblemStatus:
    """A kind of problem: how many records it ever concerned, and how many still."""

    rule_id: str
    says: str
    dimension: str
    affected: int
    open: int


@dataclass(frozen=True)
class FeedStatus:
    """Of a feed that has been delivered. ``scores``: of the table, oldest first. ``dimensions``: newest score of each dimension, all days taken together
    weighted by nothing: that of the last day that has one. ``late``, ``missing``: deliveries by the calendar."""

    deliveries: int
    records: int
    last_arrived_on: dt.date | None
    last_business_date: dt.date | None
    simulated: bool
    scores: tuple[Score, ...] = ()
    dimensions: dict[str, float] = field(default_factory=dict)
    problems: tuple[ProblemStatus, ...] = ()
    late: int = 0
    missing: int = 0
    source_records: int | None = None  # by the source's control totals, over all periods that it stated
    held_records: int | None = None  # of the same periods


# What a monthly report says of a department, by name, with `slug` for its address (spark_jobs/quality_month.py says what is in it).
Report = dict[str, Any]


@dataclass(frozen=True)
class Status:
    """``release_id``: what readers see; None before the first release. ``tables``: by contract id. ``feeds``: by name. ``departments``: scores by day.
    ``compiled``: SQL of the gold models as Spark ran it, by model. ``reports``: of departments and months."""

    release_id: str | None = None
    published_at: dt.datetime | None = None
    as_of: dt.date | None = None
    tables: dict[str, TableStatus] = field(default_factory=dict)
    feeds: dict[str, FeedStatus] = field(default_factory=dict)
    departments: dict[str, tuple[Score, ...]] = field(default_factory=dict)
    compiled: dict[str, str] = field(default_factory=dict)
    reports: tuple[Report, ...] = ()


_STATUS = TypeAdapter(Status)


def write(status: Status, file: Path) -> None:
    file.write_bytes(_STATUS.dump_json(status, indent=1))


def read(file: Path) -> Status:
    """Raises: pydantic.ValidationError, OSError: it can't be read; make it anew."""
    return _STATUS.validate_json(file.read_bytes())
