"""Known errors of a source, set right on the delivered text before anything is read from it. The original stays in bronze."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import product
from typing import NamedTuple

from spark_jobs.refine.columns import Texts, no_ids
from spark_jobs.refine.mappings import CORRECTIONS, Correction, read_corrections, standing

Pair = tuple[str | None, str | None]


class Group(NamedTuple):
    """Corrections of one condition; of several conditions that fit, the one of the lowest `rank` goes first."""

    rank: int
    rows: tuple[Correction, ...]


class Lookup(NamedTuple):
    """All corrections of one column that look at one other column, `when_column` (empty: at none).

    `groups`: by the text delivered in the column and that in `when_column`. `delivered` and `when_values`: the texts that stand there.
    """

    column: str
    when_column: str
    delivered: frozenset[str | None]
    when_values: frozenset[str | None]
    groups: Mapping[Pair, Group]


Prepared = Sequence[Lookup]


def prepare(corrections: Iterable[Correction]) -> Prepared:
    """Corrections as they are looked up. Those that name records go before those for every row, then the lower id."""
    conditions: dict[tuple[str, ...], list[Correction]] = {}
    for correction in sorted(corrections, key=lambda c: (not c.when_column, c.mapping_id)):
        conditions.setdefault(correction.condition, []).append(correction)
    looked_at: dict[tuple[str, str], dict[Pair, Group]] = {}
    for rank, ((column, delivered, when_column, when_value), rows) in enumerate(conditions.items()):
        groups = looked_at.setdefault((column, when_column), {})
        groups |= dict.fromkeys(product(_as_delivered(delivered), _as_delivered(when_value)), Group(rank, tuple(rows)))
    return [
        Lookup(column, when_column, frozenset(text for text, _ in groups), frozenset(text for _, text in groups), groups)
        for (column, when_column), groups in looked_at.items()
    ]


def _as_delivered(text: str) -> tuple[str | None, ...]:
    return (text,) if text else (None, "")


def listed(feed: str, columns: Collection[str]) -> tuple[Correction, ...]:
    """The corrections of ``catalog/corrections/<feed>.csv``; `columns` are those that the feed delivers. Raises MappingError, OSError."""
    return read_corrections(CORRECTIONS / f"{feed}.csv", columns)


@cache
def of_feed(feed: str, columns: Collection[str]) -> Prepared:
    """`listed`, ready to be looked up."""
    return prepare(listed(feed, columns))


def correct(
    values: Mapping[str, Texts], corrections: Prepared, on: Sequence[dt.date]
) -> tuple[Mapping[str, Texts], list[Sequence[str]], list[Sequence[str]]]:
    """(the texts as corrected, for each row sorted ids of what was applied, and of what fits but had ended by `on`, the day of its delivery).

    Every condition is about the text as delivered: one correction never feeds another, so their order does not matter. At most one is
    applied to a column; one that names records goes before one for every row, then the lower id.
    """
    fitting: dict[tuple[int, str], list[Group]] = {}
    for lookup in corrections:
        for row, group in _fitting(lookup, values, len(on)):
            fitting.setdefault((row, lookup.column), []).append(group)
    # A column that a delivery lacks can be corrected too: nothing was delivered there.
    corrected = {column: list(values.get(column) or [None] * len(on)) for column in {column for _, column in fitting}}
    applied, ended = no_ids(len(on)), no_ids(len(on))
    for (row, column), groups in fitting.items():
        now, late = _decided(groups, on[row])
        if now is not None:
            corrected[column][row] = now.corrected or None
            applied[row] = sorted([*applied[row], now.mapping_id])
        if late:
            ended[row] = sorted([*ended[row], *late])
    return {**values, **corrected}, applied, ended


def _fitting(lookup: Lookup, values: Mapping[str, Texts], rows: int) -> Iterator[tuple[int, Group]]:
    """The rows whose texts fit a condition, each with its corrections."""
    nothing: Texts = [None] * rows
    delivered, when = values.get(lookup.column, nothing), values.get(lookup.when_column, nothing)
    # In most batches no row fits, and sets tell that much faster than a look at each row.
    if lookup.delivered.isdisjoint(delivered) or lookup.when_values.isdisjoint(when):
        return
    for row, texts in enumerate(zip(delivered, when, strict=True)):
        if texts in lookup.groups:
            yield row, lookup.groups[texts]


def _decided(groups: Iterable[Group], on: dt.date) -> tuple[Correction | None, list[str]]:
    """(the correction that is applied on a day, else the ids of those that had ended by then) of the groups that fit one text."""
    late = []
    for group in sorted(groups):
        now, before = standing(group.rows, on)
        if now is not None:
            return now, []
        late += [before.mapping_id] if before is not None else []
    return None, late
