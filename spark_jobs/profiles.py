"""What each column of each delivery looks like: how much is filled, how many contents, how long, how large. Counts alone.

Worked out from the rows as they arrived, before anybody has judged them: where columns have slipped, a person's number may stand in any
column. So no content is kept, not even the most frequent; of numbers two digits and of dates the month, and of columns that are classified
nothing but how many cells are filled and how many contents differ (docs/decisions/0042).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pyspark.sql import SparkSession

from catalog.contract import Column, Contract
from catalog.derive import spark_schema, table_name
from infra.ledger import Ledger
from spark_jobs import delta

PROFILES = "ops.column_profiles"
FORM = 1  # raised when a figure is worked out otherwise: all are made anew then
SAMPLE = 20_000  # filled cells at most, of a delivery, in which the most frequent content is looked for
AT_ONCE = 500  # deliveries that are profiled in one commit
_STEP = "profiles"
_NUMBERS = ("INT", "BIGINT", "DOUBLE", "DECIMAL")
_BLANK = " \t\r\n\u00a0\u3000"
# At most twelve digits before the point: what is longer is no amount, and nothing is gained by knowing how long it is.
_NUMBER = "^[+-]?[0-9]{1,12}([.][0-9]+)?$"
_MONTH = "^((?:18|19|20|21)[0-9][0-9])[-/.年]?(0[1-9]|1[0-2]|[1-9][-/.月])"

TAKEN = """
    SELECT delivery_id, feed, department, file_name, business_date, source_revision, (arrived_at AT TIME ZONE 'Asia/Shanghai')::date,
        coalesce(row_count, 0), simulated, reading, state = 'held'
    FROM delivery WHERE state IN ('loaded', 'held') ORDER BY arrived_at, delivery_id"""


@dataclass(frozen=True)
class Taken:
    """A delivery whose rows are in bronze, in the order of arrival. ``held``: whole, until somebody has decided."""

    delivery_id: str
    feed: str
    department: str
    file_name: str
    business_date: dt.date | None
    revision: int
    arrived_on: dt.date
    records: int
    simulated: bool
    reading: int
    held: bool


@dataclass(frozen=True)
class Profile:
    """A column of a delivery. Lengths in characters, of filled cells; ``sampled`` of them were looked at for the most frequent content, which
    ``most_frequent`` of those have. ``least``, ``greatest``: see `coarse`; None where nothing can be read, or the column is classified."""

    records: int
    empty: int
    distinct: int
    shortest: int | None = None
    longest: int | None = None
    mean_length: float | None = None
    least: str | None = None
    greatest: str | None = None
    sampled: int | None = None
    most_frequent: int | None = None


def taken(ledger: Ledger) -> list[Taken]:
    """Every delivery that may be profiled, in the order of arrival."""
    return [Taken(*row) for row in ledger.rows(TAKEN)]


def delivered(feed: Contract) -> tuple[Column, ...]:
    """The columns that a department fills."""
    return tuple(c for c in feed.columns if not c.reserved)


def counts_sql(feed: Contract, rows: str, deliveries: Collection[str], stored: Collection[str]) -> str:
    """Counts of each column of deliveries (Spark or DuckDB): ``delivery_id, column_name, records, empty, distinct, shortest, longest, length of all,
    least and greatest number, first and last month``.

    ``rows``: the table of rows as they arrived, with the columns ``stored``. A row that could not be split says nothing of columns.
    """
    return f"""
        SELECT delivery_id, column_name, count(*), count_if(said IS NULL), approx_count_distinct(said), min(size), max(size), sum(size),
            min(number), max(number), min(month), max(month)
        FROM (
            SELECT delivery_id, column_name, said, {_of_open(feed, stored, "length(said)")} AS size,
                {_of(feed, stored, _NUMBERS, _number_sql("said"))} AS number, {_of(feed, stored, ("DATE", "TIMESTAMP"), _month_sql("said"))} AS month
            FROM ({_cells(feed, rows, deliveries, stored)}))
        GROUP BY delivery_id, column_name"""  # noqa: S608 - names come from contracts, ids are ours


def frequent_sql(feed: Contract, rows: str, deliveries: Mapping[str, int], stored: Collection[str]) -> str | None:
    """``delivery_id, column_name, sampled, most frequent`` of each column that is not classified; None where all are. ``deliveries``: with their
    records; of one with more than `SAMPLE` every n-th row is looked at."""
    open_ = [c for c in _columns(feed, stored) if not c.personal]
    if not open_:
        return None
    steps = [(i, math.ceil(n / SAMPLE)) for i, n in deliveries.items() if n > SAMPLE]
    sampled = " AND ".join(f"(delivery_id <> '{i}' OR row_number % {step} = 0)" for i, step in steps) or "true"
    cells = _cells(feed, f"(SELECT * FROM {rows} WHERE {sampled})", deliveries, [c.name for c in open_])  # noqa: S608
    return f"""
        SELECT delivery_id, column_name, sum(cells), max(cells)
        FROM (SELECT delivery_id, column_name, said, count(*) AS cells FROM ({cells}) WHERE said IS NOT NULL GROUP BY delivery_id, column_name, said)
        GROUP BY delivery_id, column_name"""  # noqa: S608


def _columns(feed: Contract, stored: Collection[str]) -> list[Column]:
    return [c for c in delivered(feed) if c.name in stored]


def _cells(feed: Contract, rows: str, deliveries: Collection[str], stored: Collection[str]) -> str:
    """Each cell as a row: ``delivery_id, column_name, said`` (NULL: blank)."""
    names = ", ".join(c.name for c in _columns(feed, stored))
    return f"""
        SELECT delivery_id, column_name, nullif(trim(BOTH '{_BLANK}' FROM cell), '') AS said
        FROM (SELECT delivery_id, row_number, {names} FROM {rows} WHERE delivery_id IN ({_listed(deliveries)}) AND raw_line IS NULL) AS arrived
            UNPIVOT INCLUDE NULLS (cell FOR column_name IN ({names}))"""  # noqa: S608


def _of(feed: Contract, stored: Collection[str], types: tuple[str, ...], expression: str) -> str:
    """An expression, for columns of some types that are not classified."""
    names = [c.name for c in _columns(feed, stored) if not c.personal and c.type.startswith(types)]
    return _case(names, expression)


def _of_open(feed: Contract, stored: Collection[str], expression: str) -> str:
    return _case([c.name for c in _columns(feed, stored) if not c.personal], expression)


def _case(names: Iterable[str], expression: str) -> str:
    return f"CASE WHEN {f'column_name IN ({chosen})' if (chosen := _listed(names)) else 'false'} THEN {expression} END"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"'{n}'" for n in names)


def _number_sql(text: str) -> str:
    plain = f"replace({text}, ',', '')"
    return f"CAST(nullif(regexp_extract({plain}, '{_NUMBER}', 0), '') AS DOUBLE)"


def _month_sql(text: str) -> str:
    """The month of a date that begins with its year, as ``2026-03``."""
    month = f"lpad(regexp_replace(regexp_extract({text}, '{_MONTH}', 2), '[^0-9]', ''), 2, '0')"
    return f"CASE WHEN regexp_extract({text}, '{_MONTH}', 0) <> '' THEN concat(regexp_extract({text}, '{_MONTH}', 1), '-', {month}) END"


def coarse(number: float | None) -> str | None:
    """A number to two digits that count: whatever stands there, nobody can be told by it. ``"1200000"`` for 1,234,567."""
    if number is None or not math.isfinite(number):
        return None
    rounded = Decimal(f"{number:.1e}")
    return f"{rounded.normalize():f}" if rounded else "0"


def profile(counts: Sequence[Any], frequent: tuple[int, int] | None) -> Profile:
    """A column's profile of its row of `counts_sql` (without delivery and column) and what `frequent_sql` says of it."""
    records, empty, distinct, shortest, longest, length, least, greatest, first, last = counts
    filled = records - empty
    return Profile(
        records, empty, min(distinct, filled), shortest, longest, None if length is None or not filled else length / filled,
        first or coarse(least), last or coarse(greatest), *(frequent or (None, None)),
    )  # fmt: skip


def row(delivery: Taken, feed: Contract, column: Column, p: Profile) -> tuple[Any, ...]:
    """A row of ``ops.column_profiles``."""
    mean = None if p.mean_length is None else Decimal(f"{p.mean_length:.2f}")
    share = Decimal(f"{p.most_frequent / p.sampled:.6f}") if p.most_frequent and p.sampled else None
    return (
        delivery.delivery_id, column.name, delivery.arrived_on, feed.name, feed.title, delivery.department, delivery.business_date, column.chinese,
        p.records, p.empty, p.distinct, p.shortest, p.longest, mean, p.least, p.greatest, p.sampled, share, delivery.reading, FORM,
        "simulated" if delivery.simulated else "observed",
    )  # fmt: skip


# ---- the table ----


def bring_up(
    spark: SparkSession, ledger: Ledger, contract: Contract, feeds: Mapping[str, Contract], deliveries: Iterable[Taken], note: str | None, anew: bool
) -> None:
    """Profile each delivery that the table lacks, or has of an earlier reading, and take out what is withdrawn.

    ``note``: what the table's newest commit says that it holds. Each commit puts the profiles of some deliveries in the place of whatever the
    table holds of them: one that was killed is repeated, one that comes late finds its epoch passed, and each delivery is there once.
    """
    wanted = {d.delivery_id: d for d in deliveries if d.feed in feeds and d.records}
    holds = _holds(wanted.values())
    if note == holds and not anew:
        return
    table = table_name(contract)
    stored = () if anew else spark.sql(f"SELECT DISTINCT delivery_id, reading, profile_form FROM {table}").collect()  # noqa: S608
    there = {(r[0], r[1], r[2]) for r in stored}
    missing = [d for d in wanted.values() if (d.delivery_id, d.reading, FORM) not in there]
    gone = sorted({r[0] for r in stored} - wanted.keys())
    chunks = [missing[n : n + AT_ONCE] for n in range(0, len(missing), AT_ONCE)] or [[]]
    for number, chunk in enumerate(chunks):
        last = number == len(chunks) - 1
        out = [*(d.delivery_id for d in chunk), *(gone if last else ())]
        replaced = None if anew and number == 0 else f"delivery_id IN ({_listed(out)})" if out else "false"
        _put(spark, ledger, contract, _rows(spark, feeds, chunk), holds if last else f"{_STEP}: under way", replaced)
    if len(delta.files(table)) >= delta.MOST_FILES:
        _compact(spark, table, holds)


def _holds(wanted: Iterable[Taken]) -> str:
    said = "\n".join(sorted(f"{d.delivery_id} {d.reading}" for d in wanted))
    return f"{_STEP}:{FORM} sha256:{hashlib.sha256(said.encode()).hexdigest()}"


def _rows(spark: SparkSession, feeds: Mapping[str, Contract], chunk: Sequence[Taken]) -> list[tuple[Any, ...]]:
    """The profiles of deliveries, as rows of the table."""
    by_feed: dict[str, list[Taken]] = {}
    for d in chunk:
        by_feed.setdefault(d.feed, []).append(d)
    counted: dict[tuple[str, str], Sequence[Any]] = {}
    frequent: dict[tuple[str, str], tuple[int, int]] = {}
    counts, most = [], []
    for name, mine in by_feed.items():
        table = table_name(feeds[name])
        stored, ids = spark.table(table).columns, {d.delivery_id: d.records for d in mine}
        counts.append(counts_sql(feeds[name], table, ids, stored))
        most += [sql] if (sql := frequent_sql(feeds[name], table, ids, stored)) else []
    # To ask Spark something costs the same for many rows as for few: of all feeds at once.
    for r in _asked(spark, counts):
        counted[r[0], r[1]] = r[2:]
    for r in _asked(spark, most):
        frequent[r[0], r[1]] = (r[2], r[3])
    nothing = (0, 0, 0, None, None, None, None, None, None, None)  # none of its rows could be split, or it came before the column
    return [
        row(d, feeds[d.feed], c, profile(counted.get((d.delivery_id, c.name), nothing), frequent.get((d.delivery_id, c.name))))
        for d in chunk
        for c in delivered(feeds[d.feed])
    ]


def _asked(spark: SparkSession, statements: list[str]) -> Iterator[Any]:
    if statements:
        yield from spark.sql(" UNION ALL ".join(f"({s})" for s in statements)).collect()


def _put(spark: SparkSession, ledger: Ledger, contract: Contract, rows: list[tuple[Any, ...]], holds: str, replaced: str | None) -> None:
    """Put rows in the place of those that meet ``replaced`` (None: all), in one commit, exactly once."""
    table = table_name(contract)
    frame = spark.createDataFrame(rows, spark_schema(contract).replace(" NOT NULL", "")).coalesce(1)
    once = {"txnAppId": table, "txnVersion": str(ledger.take_epoch(None, table, _STEP))}
    delta.put(frame, table, "overwrite", {"userMetadata": holds, **once}, replaced)


def _compact(spark: SparkSession, table: str, holds: str) -> None:
    """Put the small files that runs leave together, under the note of what the table holds."""
    stamp = spark.conf.get(delta.STAMP, None)
    delta.stamp(spark, holds)
    try:
        spark.sql(f"OPTIMIZE {table}").collect()
    finally:
        if stamp is None:
            spark.conf.unset(delta.STAMP)
        else:
            delta.stamp(spark, stamp)
