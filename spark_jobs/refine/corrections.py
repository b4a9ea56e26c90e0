"""Known errors of a source, set right on the delivered text before anything is read from it. The original stays in bronze."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from functools import cache

from spark_jobs.refine.mappings import CORRECTIONS, Correction, read_corrections, standing

# column → delivered text → groups of one condition each, those that name records before those for every row
Prepared = Mapping[str, Mapping[str, tuple[tuple[Correction, ...], ...]]]


def prepare(corrections: Iterable[Correction]) -> Prepared:
    """Corrections in the order in which they are looked up."""
    groups: dict[tuple[str, ...], list[Correction]] = {}
    for correction in sorted(corrections, key=lambda c: (not c.when_column, c.mapping_id)):
        groups.setdefault(correction.condition, []).append(correction)
    found: dict[str, dict[str, tuple[tuple[Correction, ...], ...]]] = {}
    for (column, delivered, _, _), rows in groups.items():
        by_text = found.setdefault(column, {})
        by_text[delivered] = (*by_text.get(delivered, ()), tuple(rows))
    return found


def listed(feed: str, columns: Collection[str]) -> tuple[Correction, ...]:
    """The corrections of ``catalog/corrections/<feed>.csv``; `columns` are those that the feed delivers. Raises MappingError, OSError."""
    return read_corrections(CORRECTIONS / f"{feed}.csv", columns)


@cache
def of_feed(feed: str, columns: Collection[str]) -> Prepared:
    """`listed`, ready to be looked up."""
    return prepare(listed(feed, columns))


def correct(values: Mapping[str, str | None], corrections: Prepared, on: dt.date) -> tuple[Mapping[str, str | None], list[str], list[str]]:
    """(the texts as corrected, sorted ids of what was applied, sorted ids of what fits but had ended by `on`, the day of the delivery).

    Every condition is about the text as delivered: one correction never feeds another, so their order does not matter. At most one is
    applied to a column; one that names records goes before one for every row, then the lower id.
    """
    corrected: dict[str, str | None] = {}
    applied, ended = [], []
    for column, by_text in corrections.items():
        groups = by_text.get(values.get(column) or "")
        if groups is None:
            continue
        late = []
        for rows in groups:
            if rows[0].when_column and (values.get(rows[0].when_column) or "") != rows[0].when_value:
                continue
            now, before = standing(rows, on)
            if now is not None:
                corrected[column] = now.corrected or None
                applied.append(now.mapping_id)
                break
            late += [before.mapping_id] if before is not None else []
        else:
            ended += late
    return {**values, **corrected} if corrected else values, sorted(applied), sorted(ended)
